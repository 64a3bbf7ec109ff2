"""vLLM where its cache has no room for all, and where its process is killed at the worst moment."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from test_contract import (
    SLOTS,
    VOCABULARY,
    gap,
    of_response,
    prompt_of,
    teacher_forced,
    tiny_model,
    until_drawn,
    without_vllm,
)
from test_vision_contract import Asked
from test_vision_contract import gap as seen_gap
from transformers import DynamicCache, Qwen2ForCausalLM

from webdojo.agents.checkpoint import find_checkpoint
from webdojo.agents.engines.engine import Completion, Sampling
from webdojo.agents.engines.restarting import RestartingEngine
from webdojo.agents.engines.vllm_engine import VllmEngine
from webdojo.agents.engines.vllm_python import find_python
from webdojo.agents.engines.weights import checksum
from webdojo.agents.pictures import Pictures
from webdojo.agents.tiny_vision import tiny_model as tiny_vision_model
from webdojo.agents.tiny_vision import write_tiny_vision
from webdojo.envs.screenshots import ScreenshotStore

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(bool(without_vllm()), reason=without_vllm()),
]
LENGTH, BLOCK = 230, 128
TELLS = '''#!{python}
"""The same process, which tells of what vLLM does, has less room, and dies when it is told to."""
import json, os, sys, time
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

folder = Path({folder!r})
*_, script, descriptor = sys.argv
spec = spec_from_file_location("vllm_process", script)
process = sys.modules["vllm_process"] = module_from_spec(spec)
spec.loader.exec_module(process)
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.request import RequestStatus

preempt = Scheduler._preempt_request

def tell(what):
    with (folder / "told").open("a") as file:
        file.write(json.dumps(what) + "\\n")

def telling(self, request, *arguments, **options):
    tell(["preempted", request.request_id, request.num_output_tokens])
    preempt(self, request, *arguments, **options)

Scheduler._preempt_request = telling

class Connection(process.Connection):
    def send(self, message):
        if message[0] == "answer" and (folder / "die").exists():
            (folder / "die").unlink()
            whole = bytes(ForkingPickler.dumps(message))
            if isinstance(message[2], tuple):
                os.write(self.fileno(), len(whole).to_bytes(4, "big") + whole[: len(whole) // 2])
            transfer = process._beside("vllm_transfer")
            tell(["died", sum(self.server._engine.apply_model(transfer.checksum)), len(whole)])
            os.kill(os.getpid(), 9)
        super().send(message)

class Server(process.Server):
    def __init__(self, connection, settings):
        super().__init__(connection, settings)
        connection.server = self

    def _update(self, *arguments):
        waiting = self._engine.engine_core.engine_core.scheduler.waiting
        tell(["waited", [r.request_id for r in waiting if r.status == RequestStatus.PREEMPTED]])
        super()._update(*arguments)

read, folded = process.read, process._folded

def read_slowly(**file):
    found = read(**file)
    if (folder / "load slowly").exists():
        found["weights"] = (time.sleep(0.4) or each for each in found["weights"])
    return found

def folded_wrongly(prompt, placeholder):
    found = folded(prompt, placeholder)
    if (folder / "refuse").exists():
        (folder / "refuse").unlink()
        found.remove(placeholder)
    return found

process.read, process._folded = read_slowly, folded_wrongly
process.Connection, process.Server = Connection, Server
# One of which vLLM keeps for itself.
process.EngineArgs = partial(process.EngineArgs, num_gpu_blocks_override={blocks})
process.main(int(descriptor))
'''


@dataclass
class Told:
    """What the process has told of, in order."""

    folder: Path

    def of(self, what: str) -> list[list[int]]:
        file = self.folder / "told"
        told = file.read_text().splitlines() if file.exists() else ()
        return [line[1:] for line in map(json.loads, told) if line[0] == what]

    def python(self, blocks: int) -> str:
        """A Python that has vLLM, and room for ``blocks`` in its cache."""
        python = self.folder / "python"
        python.write_text(
            TELLS.format(python=find_python(), folder=str(self.folder), blocks=blocks)
        )
        python.chmod(0o700)
        return str(python)

    def tell(self, what: str) -> Path:
        """Tell the process to "die", to "refuse" a prompt, or to "load slowly" while it is told."""
        file = self.folder / what
        file.touch()
        return file


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    return Told(tmp_path_factory.mktemp("told"))


@pytest.fixture(scope="module")
def served(
    told: Told, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RestartingEngine[VllmEngine]]:
    checkpoint, python = tmp_path_factory.mktemp("tiny"), told.python(blocks=7)
    tiny_model().save_pretrained(checkpoint)
    engine = RestartingEngine(
        lambda version: VllmEngine(
            checkpoint,
            version=version,
            slots=SLOTS,
            threads=1,
            eos_token_ids=(),
            python=python,
        )
    )
    yield engine
    asyncio.run(engine.close())


def draws(number: int) -> tuple[list[int], Sampling]:
    return prompt_of(120, seed=30 + number), Sampling(1.0, LENGTH, seed=number)


async def until(found: Callable[[], object]) -> None:
    while not found():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


async def test_what_there_is_no_room_for_waits_and_is_drawn_as_if_there_were(
    served: RestartingEngine[VllmEngine], told: Told
) -> None:
    await served.update_weights(tiny_model().state_dict(), 0)
    alone = [await served.generate(*draws(number)) for number in range(SLOTS)]
    assert not told.of("preempted")
    before = served.counters
    crowded = await asyncio.gather(*(served.generate(*draws(n)) for n in range(SLOTS)))
    assert any(drawn > 0 for _, drawn in told.of("preempted"))
    assert [each.token_ids for each in crowded] == [each.token_ids for each in alone]
    for number, each in enumerate(crowded):
        expected = teacher_forced(tiny_model(), draws(number)[0], each.token_ids)
        assert gap(each.logprobs, expected) < 1e-3
    after = served.counters
    assert after.drawn_tokens - before.drawn_tokens == SLOTS * LENGTH
    read = after.prefill_tokens - before.prefill_tokens
    shared = after.shared_prompt_tokens - before.shared_prompt_tokens
    assert (read + shared, min(read, shared) >= 0) == (SLOTS * 120, True)


def across(
    old: Qwen2ForCausalLM, new: Qwen2ForCausalLM, prompt: list[int], drawn: Completion, split: int
) -> torch.Tensor:
    """Log-probabilities of a response where the old weights read as far as ``split``."""
    if not split:
        return teacher_forced(new, prompt, drawn.token_ids)
    cache, ids = DynamicCache(), torch.tensor([[*prompt, *drawn.token_ids]])
    with torch.no_grad():
        first = old(input_ids=ids[:, :split], past_key_values=cache).logits[0]
        rest = new(input_ids=ids[:, split:-1], past_key_values=cache).logits[0]
    return of_response(torch.cat([first, rest])[len(prompt) - 1 :], drawn.token_ids)


async def test_what_waits_during_a_refresh_is_of_the_weights_that_each_token_names(
    served: RestartingEngine[VllmEngine], told: Told
) -> None:
    old, new = tiny_model(), tiny_model(seed=9)
    await served.update_weights(old.state_dict(), 0)
    already = len(told.of("preempted"))
    calls = [asyncio.create_task(served.generate(*draws(number))) for number in range(SLOTS)]
    await until(lambda: len(told.of("preempted")) > already)
    await served.update_weights(new.state_dict(), 7)
    (waited,) = told.of("waited")[-1]
    assert waited, "nothing that was begun waited for room"
    afresh = await served.generate(draws(0)[0], Sampling(1.0, 20, seed=3))
    assert afresh.versions == (7,) * 20
    assert gap(afresh.logprobs, teacher_forced(new, draws(0)[0], afresh.token_ids)) < 1e-3
    read_anew = 0
    for number, each in enumerate(await asyncio.gather(*calls)):
        prompt = draws(number)[0]
        assert list(each.versions) == sorted(each.versions)
        assert set(each.versions) == {0, 7}
        split = len(prompt) + each.versions.index(7) - 1
        # What makes room reads anew what the cache has not kept of it, a block at a time.
        beginnings = [*range(0, split, BLOCK), split]
        found = torch.tensor(each.logprobs)
        gaps = torch.stack([(found - across(old, new, prompt, each, b)).abs() for b in beginnings])
        assert gaps.amin(0).mean() < 1e-3
        read_anew += bool((gaps[-1] > 0.1).any())
    assert read_anew


async def test_one_that_is_killed_with_its_new_weights_loaded_is_followed_by_one_that_has_them(
    served: RestartingEngine[VllmEngine], told: Told
) -> None:
    old, new = tiny_model(seed=1), tiny_model(seed=2)
    await served.update_weights(old.state_dict(), 8)
    restarts = served.restarts
    calls = [asyncio.create_task(served.generate(*draws(number))) for number in range(2)]
    await until_drawn(served.engine, 2)
    told.tell("die")
    await served.update_weights(new.state_dict(), 9)
    ((loaded, _),) = told.of("died")
    assert loaded == checksum(new.parameters())
    assert (served.restarts, served.version) == (restarts + 1, 9)
    assert await served.checksum() == checksum(new.parameters())
    for number, each in enumerate(await asyncio.gather(*calls)):
        assert list(each.versions) == sorted(each.versions)
        assert set(each.versions) <= {8, 9}
        olds = each.versions.count(8)
        model = teacher_forced(old, draws(number)[0], each.token_ids)
        assert not olds or gap(each.logprobs[:olds], model[:olds]) < 1e-3


async def test_one_that_is_killed_within_an_answer_is_followed_by_one_that_draws_the_same(
    served: RestartingEngine[VllmEngine], told: Told
) -> None:
    new = tiny_model(seed=4)
    await served.update_weights(new.state_dict(), 10)
    restarts, dead = served.restarts, len(told.of("died"))
    first = await served.generate(*draws(1))
    told.tell("die")
    again = await served.generate(*draws(1))
    (_, length), *_ = told.of("died")[dead:]
    assert length > LENGTH
    assert served.restarts == restarts + 1
    assert (again.token_ids, again.versions) == (first.token_ids, (10,) * LENGTH)
    assert await served.checksum() == checksum(new.parameters())
    assert max(again.token_ids) < VOCABULARY


async def test_one_that_takes_long_to_load_weights_does_not_hang(
    served: RestartingEngine[VllmEngine], told: Told
) -> None:
    new, restarts = tiny_model(seed=5), served.restarts
    slowly, process = told.tell("load slowly"), served.engine._process
    process._hang_s = 3.0
    await served.update_weights(new.state_dict(), 11)
    slowly.unlink()
    process._hang_s = 600.0
    assert (served.restarts, served.version) == (restarts, 11)
    assert await served.checksum() == checksum(new.parameters())


Seeing = tuple[VllmEngine, Pictures, Told]


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seeing]:
    """One that sees, with little room too."""
    folder = tmp_path_factory.mktemp("seeing")
    checkpoint, told = folder / "tiny-vision", Told(folder)
    write_tiny_vision(checkpoint)
    store = ScreenshotStore(folder / "store")
    pictures = Pictures(store, find_checkpoint(str(checkpoint)).image_processor())
    engine = VllmEngine(
        checkpoint,
        slots=SLOTS,
        threads=1,
        eos_token_ids=(),
        pictures=pictures,
        context_tokens=512,
        images=2,
        python=told.python(blocks=7),
    )
    yield engine, pictures, told
    asyncio.run(engine.close())


async def test_pictures_of_what_made_room_are_looked_at_again(seeing: Seeing) -> None:
    engine, pictures, told = seeing
    old, new = tiny_vision_model(), tiny_vision_model(seed=1)
    await engine.update_weights(old.state_dict(), 0)
    asked = [Asked(pictures, [number, number + 1]) for number in range(SLOTS)]
    calls = [
        asyncio.create_task(each.answered(engine, Sampling(1.0, LENGTH, seed=number)))
        for number, each in enumerate(asked)
    ]
    await until(lambda: told.of("preempted") or calls[0].done())
    await engine.update_weights(new.state_dict(), 1)
    (waited,) = told.of("waited")[-1]
    assert waited, "nothing that was begun waited for room"
    for each, drawn in zip(asked, await asyncio.gather(*calls), strict=True):
        assert list(drawn.versions) == sorted(drawn.versions)
        assert len(drawn.versions) == LENGTH
        if olds := drawn.versions.count(0):
            first = replace(drawn, token_ids=drawn.token_ids[:olds], logprobs=drawn.logprobs[:olds])
            assert seen_gap(first, each.logits(old, first.token_ids)) < 1e-3
        else:
            assert seen_gap(drawn, each.logits(new, drawn.token_ids)) < 1e-3
    fresh = await asked[0].answered(engine, Sampling(1.0, 20, seed=9))
    assert fresh.versions == (1,) * 20
    assert seen_gap(fresh, asked[0].logits(new, fresh.token_ids)) < 1e-3


async def test_a_prompt_that_is_refused_leaves_its_pictures_to_others(seeing: Seeing) -> None:
    engine, pictures, told = seeing
    model = tiny_vision_model(seed=2)
    await engine.update_weights(model.state_dict(), 2)
    asked = Asked(pictures, [20, 21])
    told.tell("refuse")
    with pytest.raises(ValueError, match="vLLM refuses the prompt"):
        await asked.answered(engine, Sampling())
    drawn = await asked.answered(engine, Sampling(1.0, 20, seed=1))
    assert seen_gap(drawn, asked.logits(model, drawn.token_ids)) < 1e-3
