"""The rollout pool as its caller sees it: what it tells, how it is waited for and closed."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from scripted_episodes import ScriptedEpisodes, learn, never_mind, other_tasks
from small_pool import make_pool, mixed, now, ten_seconds

from webdojo.training.rollouts.accounts import PoolEvent
from webdojo.training.rollouts.episode import EpisodeRequest
from webdojo.training.rollouts.pool import PoolClosedError
from webdojo.training.rollouts.trajectory import Trajectory
from webdojo.training.rollouts.virtual_time import run_in_virtual_time


def test_status_shows_signs_of_life() -> None:
    async def lively_then_silent(request: EpisodeRequest) -> Trajectory:
        for _ in range(3):
            await asyncio.sleep(10)
            request.progress()
        return await ten_seconds(request)

    async def main() -> None:
        async with make_pool(lively_then_silent) as pool:
            await asyncio.sleep(35)
            first, *_, idle = pool.status().slots
            assert (first.episode_id, first.task_id, first.attempt) == ("000000-0-1", "a.task", 1)
            assert (first.running_s, first.silent_s) == (35, 5)
            assert idle.episode_id == ""

    run_in_virtual_time(main())


def test_events_tell_the_life_of_a_group() -> None:
    events: list[PoolEvent] = []

    async def main() -> None:
        async with make_pool(on_event=events.append) as pool:
            await learn(pool, 1, update_s=5)

    run_in_virtual_time(main())
    of_group_0 = [(e.kind, e.time_s) for e in events if e.group_id in (0, -1)]
    assert of_group_0 == [
        ("begin", 0),
        ("begin", 0),
        ("finish", 10),
        ("finish", 10),
        ("ready", 10),
        ("consume", 10),
        ("version", 15),
    ]


def test_a_cancelled_wait_for_a_batch_loses_nothing() -> None:
    async def main() -> None:
        async with make_pool() as pool:
            waiting = asyncio.create_task(pool.next_batch(0))
            await asyncio.sleep(9)
            with pytest.raises(RuntimeError, match="one learner"):
                await pool.next_batch(0)
            await never_mind(waiting)
            await asyncio.sleep(9)
            (group,) = await pool.next_batch(0)
            assert (group.group_id, now()) == (0, 18)

    run_in_virtual_time(main())


def test_closing_wakes_the_learner_and_closing_twice_is_fine() -> None:
    async def main() -> None:
        pool = make_pool()
        pool.start()
        waiting = asyncio.create_task(pool.next_batch(0))
        await asyncio.sleep(5)
        await pool.close()
        await pool.close()
        with pytest.raises(PoolClosedError):
            await waiting
        with pytest.raises(PoolClosedError):
            await pool.next_batch(0)
        with pytest.raises(RuntimeError, match="starts once"):
            pool.start()
        assert not other_tasks()

    run_in_virtual_time(main())


def test_a_cancelled_close_still_ends_every_episode() -> None:
    episodes = ScriptedEpisodes(stubborn=1.0)

    async def main() -> None:
        episodes.pool = pool = make_pool(episodes.run, grace_s=20)
        pool.start()
        await asyncio.sleep(1)
        assert episodes.alive
        closing = asyncio.create_task(pool.close())
        await asyncio.sleep(1)
        await never_mind(closing)
        await pool.close()
        assert now() == 1 + 20
        assert episodes.alive == 0
        assert not other_tasks()

    run_in_virtual_time(main())


def test_misuse_is_refused_with_the_way_out() -> None:
    with pytest.raises(ValueError, match="reject_zero_variance=False"):
        make_pool(group_size=1)
    with pytest.raises(ValueError, match="max_running must be at least 1, got 0"):
        make_pool(slots=0)

    async def main() -> None:
        async with make_pool(version=3) as pool:
            with pytest.raises(ValueError, match="at version 2"):
                await pool.next_batch(2)
            with pytest.raises(ValueError, match="only rises"):
                pool.set_version(2)
            with pytest.raises(RuntimeError, match="before it starts"):
                pool.load_state_dict({})
            await pool.next_batch(3)
            with pytest.raises(RuntimeError, match="version 3 is being trained on"):
                pool.state_dict()
            pool.set_version(4)
            assert pool.state_dict()["version"] == 4

    run_in_virtual_time(main())


async def test_in_real_time_it_runs_as_in_simulated_time() -> None:
    async def quick(request: EpisodeRequest) -> Trajectory:
        await asyncio.sleep(0.001)
        return mixed(request)

    async with make_pool(quick, staleness=2, slots=8, groups_per_batch=2) as pool:
        batches = await learn(pool, 10, update_s=0.001)
    assert all(len(group.trajectories) == 2 for batch in batches for group in batch)
    assert len({group.group_id for batch in batches for group in batch}) == 20
    with contextlib.suppress(PoolClosedError):
        await pool.next_batch(10)
    assert not other_tasks()
