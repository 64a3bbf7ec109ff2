"""A process that hangs is noticed, whoever waits; one that has nothing to do is let be."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from transformers import Qwen2Config, Qwen2ForCausalLM

from webdojo.agents.engines import vllm_connection
from webdojo.agents.engines.engine import EngineDeadError, Sampling
from webdojo.agents.engines.vllm_connection import VllmConnection
from webdojo.agents.engines.vllm_engine import VllmEngine
from webdojo.agents.engines.vllm_python import find_python
from webdojo.tasks.errors import UserError

STANDS_IN_FOR_VLLM = """#!{python}
import sys, time
from multiprocessing.connection import Connection
connection = Connection(int(sys.argv[-1]))
connection.recv()
{does}
time.sleep(1000)
"""
ANSWERS_AND_HANGS = """
connection.send(("ready",))
for _ in range(3):
    what, number, *_ = connection.recv()
    connection.send(("answer", number, 5) if what == "checksum" else ("counters", (0, 0, 0, 0, 0)))
"""
HALF_AN_ANSWER = """
import os
connection.send(("ready",))
connection.recv()
os.write(connection.fileno(), (1000).to_bytes(4, "big") + 500 * b"x")
"""
ANSWERS_AT_LENGTH = """
connection.send(("ready",))
number = connection.recv()[1]
for _ in range(1000):
    connection.send(("counters", (0, 0, 0, 0, 0)))
connection.send(("answer", number, 5))
"""
LOADS_ONCE_IT_MAY = """
import os
connection.send(("ready",))
_, number, _, _, version = connection.recv()
open({asked!r}, "w").close()
while not os.path.exists({may!r}):
    time.sleep(0.01)
connection.send(("answer", number, version))
connection.send(("answer", connection.recv()[1], version))
sys.exit(connection.recv())
"""
TELLS_ITS_ROOM = """
import os
number = connection.recv()[1]
connection.send(("failed", number, os.environ["VLLM_CPU_KVCACHE_SPACE"]))
"""
KILL = "os.kill(os.getpid(), 9)"
LEAVES_A_CHILD = """
import os
if os.fork() == 0:
    open({ends!r}).read()
    os._exit(0)
"""


def without_vllm() -> str:
    try:
        find_python()
    except UserError as error:
        return str(error)
    return ""


def connected(folder: Path, does: str, hang_s: float) -> VllmConnection:
    """To a process that is not vLLM's and hangs after it has done some things."""
    python = folder / "python"
    python.write_text(STANDS_IN_FOR_VLLM.format(python=sys.executable, does=does))
    python.chmod(0o700)
    return VllmConnection(str(python), {"cache_gib": 1}, 1, hang_s)


@pytest.fixture
def leaves_a_child(tmp_path: Path) -> Iterator[str]:
    """What makes a process leave a child that has its pipe open until the test ends."""
    ends = tmp_path / "ends"
    os.mkfifo(ends)
    writes = os.open(ends, os.O_RDWR)
    yield LEAVES_A_CHILD.format(ends=str(ends))
    ends.unlink()  # a child that has not opened it yet finds nothing, and ends as well
    os.close(writes)


async def until_dead(connection: VllmConnection) -> None:
    """Ask for something, and wait no longer for it, until the process is known to be dead."""
    async with asyncio.timeout(60):
        while True:
            connection.cancel(connection.ask("generate", [1])[0])
            await asyncio.sleep(0.3)


async def test_a_hang_is_noticed_though_nobody_waits_for_long(tmp_path: Path) -> None:
    connection = connected(tmp_path, 'connection.send(("ready",))', hang_s=2.0)
    with pytest.raises(EngineDeadError, match="was killed after 2 s without a word; start"):
        await until_dead(connection)
    await connection.close()


async def test_one_that_dies_is_noticed_though_its_child_has_the_pipe_open(
    tmp_path: Path, leaves_a_child: str
) -> None:
    does = leaves_a_child + 'connection.send(("ready",))'
    connection = connected(tmp_path, does, hang_s=600.0)
    async with asyncio.timeout(60):
        while not connection._started:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        _, reply = connection.ask("checksum")
        os.kill(connection.process_id, signal.SIGKILL)
        with pytest.raises(EngineDeadError, match="ended with status -9; start"):
            await reply.future
    await connection.close()


@pytest.mark.parametrize(
    ("then", "hang_s", "told"),
    [
        ("time.sleep(1000)", 2.0, "was killed after 2 s without a word"),
        (KILL, 600.0, "ended with status -9"),
    ],
)
async def test_one_that_stops_within_an_answer_is_noticed(
    tmp_path: Path, leaves_a_child: str, then: str, hang_s: float, told: str
) -> None:
    connection = connected(tmp_path, leaves_a_child + HALF_AN_ANSWER + then, hang_s)
    _, reply = connection.ask("checksum")
    with pytest.raises(EngineDeadError, match=told):
        await asyncio.wait_for(reply.future, 60)
    await connection.close()


async def test_what_one_said_before_it_died_is_heard(tmp_path: Path, leaves_a_child: str) -> None:
    connection = connected(tmp_path, leaves_a_child + ANSWERS_AT_LENGTH + KILL, hang_s=600.0)
    assert await asyncio.wait_for(connection.ask("checksum")[1].future, 60) == 5
    await connection.close()


async def test_one_that_never_begins_to_serve_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vllm_connection, "START_S", 1.0)
    connection = connected(tmp_path, "", hang_s=600.0)
    with pytest.raises(EngineDeadError, match="was killed after 1 s without a word"):
        await asyncio.wait_for(connection.ask("checksum")[1].future, 60)
    await connection.close()


@pytest.mark.parametrize(
    ("context", "own", "gib"),
    [(4096, None, "1"), (43_690, None, "2"), (131_072, None, "4"), (131_072, "9", "9")],
)
async def test_without_a_gpu_the_cache_has_room_for_a_sequence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, context: int, own: str | None, gib: str
) -> None:
    """Of the longest there may be, and for a block that vLLM takes: with less it does not start."""
    monkeypatch.delenv("VLLM_CPU_KVCACHE_SPACE", raising=False)
    if own is not None:
        monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", own)
    Qwen2Config(
        hidden_size=896, intermediate_size=4864, num_hidden_layers=24, num_attention_heads=14,
        num_key_value_heads=2, max_position_embeddings=131_072, architectures=["Qwen2ForCausalLM"],
    ).save_pretrained(tmp_path)  # fmt: skip
    python = tmp_path / "python"
    python.write_text(STANDS_IN_FOR_VLLM.format(python=sys.executable, does=TELLS_ITS_ROOM))
    python.chmod(0o700)
    engine = VllmEngine(tmp_path, context_tokens=context, python=str(python))
    with pytest.raises(ValueError, match=f": {gib}$"):
        await asyncio.wait_for(engine.generate([5], Sampling()), 60)
    os.kill(engine.process_id, signal.SIGKILL)
    await engine.close()


async def test_an_engine_knows_its_version_though_nobody_waits_for_its_weights_any_more(
    tmp_path: Path,
) -> None:
    config = Qwen2Config(
        vocab_size=64, hidden_size=64, intermediate_size=48, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=64,
    )  # fmt: skip
    Qwen2ForCausalLM(config).save_pretrained(tmp_path)
    asked, may = tmp_path / "asked", tmp_path / "may"
    python = tmp_path / "python"
    does = LOADS_ONCE_IT_MAY.format(asked=str(asked), may=str(may))
    python.write_text(STANDS_IN_FOR_VLLM.format(python=sys.executable, does=does))
    python.chmod(0o700)
    engine = VllmEngine(tmp_path, python=str(python))
    update = asyncio.create_task(engine.update_weights(tmp_path, 7))
    async with asyncio.timeout(60):
        while not asked.exists():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        update.cancel()
        await asyncio.wait([update])
        may.touch()
        served = await engine.checksum()
    assert update.cancelled()
    assert engine.version == served == 7
    await engine.close()


@pytest.mark.slow
async def test_one_that_has_answered_may_be_silent_until_it_is_asked(tmp_path: Path) -> None:
    connection = connected(tmp_path, ANSWERS_AND_HANGS, hang_s=1.0)
    assert await connection.ask("checksum")[1].future == 5
    connection.cancel(connection.ask("generate", [1])[0])
    await asyncio.sleep(3)
    _, reply = connection.ask("checksum")  # it lives, and hangs now
    with pytest.raises(EngineDeadError, match="was killed after 1 s without a word"):
        await asyncio.wait_for(reply.future, 60)
    await connection.close()


@pytest.mark.slow
@pytest.mark.skipif(bool(without_vllm()), reason=without_vllm())
async def test_a_stopped_vllm_is_noticed_and_an_idle_one_is_let_be(tmp_path: Path) -> None:
    config = Qwen2Config(
        vocab_size=64, hidden_size=64, intermediate_size=48, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=64,
    )  # fmt: skip
    Qwen2ForCausalLM(config).save_pretrained(tmp_path)
    engine = VllmEngine(tmp_path, slots=2, threads=1, eos_token_ids=())
    await engine.generate([5], Sampling(max_tokens=3))
    engine._process._hang_s = 5.0  # only now: vLLM's first step takes seconds
    cancelled = asyncio.create_task(engine.generate([5], Sampling(max_tokens=60)))
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.sleep(8)
    await engine.generate([5], Sampling(max_tokens=3))
    os.kill(engine.process_id, signal.SIGSTOP)
    with pytest.raises(EngineDeadError, match="was killed after 5 s without a word"):
        async with asyncio.timeout(120):
            while True:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(engine.generate([5], Sampling(max_tokens=3)), 0.5)
                await asyncio.sleep(1)
    await engine.close()
