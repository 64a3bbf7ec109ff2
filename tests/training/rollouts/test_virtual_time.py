"""Simulated time: timers fire in order, at their time, without waiting."""

from __future__ import annotations

import asyncio
import time

import pytest

from webdojo.training.rollouts.virtual_time import DeadlockError, run_in_virtual_time


def test_a_day_passes_at_once_and_timers_fire_in_order() -> None:
    seen: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        seen.append((name, asyncio.get_running_loop().time()))

    async def main() -> None:
        await asyncio.gather(sleeper("late", 86_400), sleeper("soon", 0.25), sleeper("later", 3e5))

    before = time.monotonic()
    run_in_virtual_time(main())
    assert [name for name, _ in seen] == ["soon", "late", "later"]
    assert [at for _, at in seen] == pytest.approx([0.25, 86_400, 3e5])
    assert time.monotonic() - before < 3600


def test_a_timeout_follows_the_same_clock() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1000):
                await asyncio.Event().wait()
        return asyncio.get_running_loop().time()

    assert run_in_virtual_time(main()) == pytest.approx(1000)


def test_waiting_for_what_can_never_come_is_an_error() -> None:
    async def main() -> None:
        await asyncio.sleep(7)
        await asyncio.Event().wait()

    with pytest.raises(DeadlockError, match="at 7 s"):
        run_in_virtual_time(main())
