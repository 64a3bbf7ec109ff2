"""A learner of adapters sends the adapters alone, and engines serve what it has."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from transformers import Qwen2Config, Qwen2ForCausalLM

from webdojo.agents.engines import weights as weights_module
from webdojo.agents.engines.adapters import Adapters, read_adapters, write_adapters
from webdojo.agents.engines.engine import Sampling
from webdojo.agents.engines.folders import is_published
from webdojo.agents.engines.memory import shared_memory
from webdojo.agents.engines.transformers_engine import TransformersEngine
from webdojo.agents.engines.unchanged import Stamp, Unchanged
from webdojo.agents.engines.vllm_engine import VllmEngine
from webdojo.agents.engines.vllm_python import find_python
from webdojo.agents.engines.weights import checksum, read_safetensors, weight_files
from webdojo.tasks.errors import UserError
from webdojo.training.config import PolicyConfig, TasksConfig, TrainConfig
from webdojo.training.learner import Learner
from webdojo.training.learner_config import LearnerConfig, LoraConfig
from webdojo.training.lora import adapter_tensors, add_adapters, merged_weights
from webdojo.training.packing import Row
from webdojo.training.publishing import published, publishing, write_published
from webdojo.training.run import train

# One thread: more only wait for one another on matrices of this size.
torch.set_num_threads(1)
ADAPTED = LearnerConfig(lr=3e-2, lora=LoraConfig(rank=2, alpha=4))
VOCABULARY = 64
PROMPT = [*range(5, 45)]


def without_vllm() -> str:
    try:
        find_python()
    except UserError as error:
        return str(error)
    return ""


VLLM = [pytest.mark.slow, pytest.mark.skipif(bool(without_vllm()), reason=without_vllm())]
AnyEngine = TransformersEngine | VllmEngine


def tiny_model(seed: int = 0) -> Qwen2ForCausalLM:
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=VOCABULARY, hidden_size=64, intermediate_size=160, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=512,
        initializer_range=0.3, tie_word_embeddings=True,
    )  # fmt: skip
    model = Qwen2ForCausalLM(config).eval()
    model.generation_config.eos_token_id = None
    return model


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint that the learner begins from, in several files."""
    folder = tmp_path_factory.mktemp("base")
    tiny_model().save_pretrained(folder, max_shard_size="150KB")
    assert len([*folder.glob("*.safetensors")]) > 1
    return folder


@pytest.fixture(scope="module", params=["transformers", pytest.param("vllm", marks=VLLM)])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AnyEngine]:
    """An engine that serves something else before it is told."""
    other = tmp_path_factory.mktemp("other")
    tiny_model(seed=8).save_pretrained(other)
    engine: AnyEngine = (
        VllmEngine(other, slots=4, threads=1, eos_token_ids=())
        if request.param == "vllm"
        else TransformersEngine.from_pretrained(other, slots=4, threads=1)
    )
    yield engine
    asyncio.run(engine.close())


def trained(learner: Learner, steps: int) -> Qwen2ForCausalLM:
    """The policy after some steps, adapters merged."""
    for _ in range(steps):
        learner.supervised_step([Row.of(range(20), [i, i + 1]) for i in range(6)])
    policy = tiny_model(seed=4)
    policy.load_state_dict(learner.weights())
    return policy


async def test_an_engine_is_sent_the_adapters_alone_and_serves_the_learners_policy(
    served: AnyEngine, base: Path, tmp_path: Path
) -> None:
    learner, file = Learner(tiny_model(), ADAPTED), tmp_path / "weights.safetensors"
    sums = set()
    for version in (1, 2):
        policy = trained(learner, steps=3 * version)
        write_published(published(learner, base), file)
        assert os.listdir(tmp_path) == [file.name]  # noqa: PTH208  # nothing half-written is left
        whole = sum(part.stat().st_size for part in weight_files(base))
        assert file.stat().st_size < whole / 5

        running = asyncio.create_task(served.generate(PROMPT, Sampling(1.0, 400, seed=1)))
        goal = served.counters.drawn_tokens + 10
        while served.counters.drawn_tokens < goal:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        await served.update_weights(file, version)
        assert not running.done()
        assert set((await running).versions) == {version - 1, version}

        assert await served.checksum() == checksum(policy.parameters())
        sums.add(checksum(policy.parameters()))
        drawn = await served.generate(PROMPT, Sampling(1.0, 50, seed=2))
        assert drawn.versions == (version,) * 50
        with torch.no_grad():
            logits = policy(torch.tensor([[*PROMPT, *drawn.token_ids]])).logits[0]
        expected = torch.log_softmax(logits[len(PROMPT) - 1 : -1], -1)
        expected = expected.gather(-1, torch.tensor(drawn.token_ids)[:, None])[:, 0]
        assert float((torch.tensor(drawn.logprobs) - expected).abs().mean()) < 1e-3
    assert len(sums) == 2


async def test_adapters_of_another_model_are_refused_and_the_old_weights_serve_on(
    served: AnyEngine, base: Path, tmp_path: Path
) -> None:
    before, version = await served.checksum(), served.version
    learner, file = Learner(tiny_model(), ADAPTED), tmp_path / "weights.safetensors"
    found = learner.adapters(base)
    some = next(name for name in found.tensors if name.endswith(".lora_B"))

    def variant(**changes: torch.Tensor) -> Adapters:
        return found._replace(tensors={**found.tensors, **changes})

    write_adapters(variant(**{some: torch.zeros(5, 2)}), file)
    with pytest.raises(ValueError, match=rf"{some[:-1]}A of \(2, 64\) is none of .*\(64, 64\)"):
        await served.update_weights(file, 9)
    write_adapters(variant(**{"other.lora_A": torch.zeros(2, 5)}), file)
    with pytest.raises(ValueError, match=r"other\.weight, of which .* has nothing of that name"):
        await served.update_weights(file, 9)
    write_adapters(found._replace(base=tmp_path / "gone"), file)
    with pytest.raises(FileNotFoundError, match=r"no safetensors at .*gone"):
        await served.update_weights(file, 9)
    write_adapters(found, file)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(ValueError, match="is damaged"):
        await served.update_weights(file, 9)
    assert (await served.checksum(), served.version) == (before, version)


async def test_adapters_are_not_served_over_weights_that_change_while_they_are_read(
    served: AnyEngine, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, version = await served.checksum(), served.version
    own, file = tmp_path / "base", tmp_path / "weights.safetensors"
    shutil.copytree(base, own)
    write_adapters(Learner(tiny_model(), ADAPTED).adapters(own), file)

    class ChangedBeforeTheyAreRead(Unchanged):
        def __init__(self, files: Iterable[Path], seen: dict[str, Stamp] | None = None) -> None:
            super().__init__(files, seen)
            if seen is not None:  # of the adapters, so these are the weights beneath them
                with weight_files(own)[0].open("r+b") as opened:
                    opened.seek(-64, os.SEEK_END)
                    opened.write(bytes(64))

    with monkeypatch.context() as hook:
        hook.setattr(weights_module, "Unchanged", ChangedBeforeTheyAreRead)
        with pytest.raises(ValueError, match="was changed while it was read"):
            await served.update_weights(file, 9)
    assert (await served.checksum(), served.version) == (before, version)
    await served.update_weights(file, 9)
    assert served.version == 9


@pytest.mark.parametrize("kept", [torch.float32, torch.bfloat16])
def test_merging_a_file_is_merging_in_the_learner_bit_for_bit(
    base: Path, tmp_path: Path, kept: torch.dtype
) -> None:
    model = tiny_model()
    # An embedding has factors of another form: it is sent whole.
    targets = ("q_proj", "down_proj", "embed_tokens")
    add_adapters(model, LoraConfig(rank=3, alpha=7, targets=targets), kept)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter)
    file = tmp_path / "weights.safetensors"
    write_adapters(Adapters(base, kept, 7 / 3, adapter_tensors(model)), file)
    assert {n.rsplit(".", 1)[1] for n in load_file(file)} == {"lora_A", "lora_B", "weight"}
    merged, found = merged_weights(model), read_safetensors(file)
    assert found.keys() == merged.keys() - {"lm_head.weight"}
    for name, value in found.items():
        assert torch.equal(value, merged[name]), name
    assert not torch.equal(found["model.embed_tokens.weight"].float(), tiny_model().lm_head.weight)


def test_a_learner_of_whole_weights_sends_them(base: Path, tmp_path: Path) -> None:
    learner = Learner(tiny_model(), LearnerConfig(lr=1e-2))
    policy = trained(learner, steps=1)
    write_published(published(learner, base), tmp_path / "weights.safetensors")
    assert read_adapters(tmp_path / "weights.safetensors") is None
    found = read_safetensors(tmp_path / "weights.safetensors")
    policy.load_state_dict(found)
    assert checksum(policy.parameters()) == checksum(trained(learner, steps=0).parameters())
    with pytest.raises(ValueError, match=r"set learner\.lora"):
        learner.adapters(base)


class KeepsPublishedFile:
    """Stands in for the rollout process: it remembers where published weights lay."""

    folder: Path | None = None

    def call(self, method: str, *, weights: Path, version: int) -> None:
        assert (method, version) == ("publish", 0)
        assert is_published(weights)
        self.folder = weights.parent.parent


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="no shared memory here")
@pytest.mark.parametrize("weights", [1, 3])
def test_weights_go_among_the_temporary_files_where_shared_memory_has_no_room(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: int
) -> None:
    learner = Learner(tiny_model(), LearnerConfig())
    size = sum(value.nbytes for value in learner.weights().values())
    used = shutil.disk_usage("/dev/shm")
    # A small /dev/shm cannot be had without mounting over everybody's.
    monkeypatch.setattr(shutil, "disk_usage", lambda place: used._replace(free=weights * size))
    rollouts: Any = KeepsPublishedFile()
    with publishing(learner, base, rollouts) as publish:
        publish(0)
    assert rollouts.folder == Path("/dev/shm" if weights == 3 else tempfile.gettempdir())
    assert shared_memory(place=str(tmp_path / "none")) is None


@pytest.mark.skipif(torch.cuda.device_count() > 1, reason="there are GPUs to broadcast between")
def test_nccl_without_gpus_is_refused_before_a_run_begins(base: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r'there are 0 here: set it to "file"'):
        VllmEngine(base, transfer="nccl")
    policy = PolicyConfig(engine="vllm", weight_transfer="nccl")
    config = TrainConfig(policy=policy, tasks=TasksConfig(reinforced=("miniwob.click-test",)))
    with pytest.raises(UserError, match=r"policy\.weight_transfer"):
        train(config, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
    with pytest.raises(ValidationError, match=r"is vLLM's, and engine is 'transformers'"):
        PolicyConfig(weight_transfer="nccl")
