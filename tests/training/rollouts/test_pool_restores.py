"""What the rollout pool keeps of its groups, and finds again after a restart."""

from __future__ import annotations

import asyncio
from typing import Any

from scripted_episodes import learn, trajectory_of
from small_pool import make_pool, mixed, now

from webdojo.tasks.sampling import UniformSampler
from webdojo.training.rollouts.episode import EpisodeRequest
from webdojo.training.rollouts.pool import RolloutPool
from webdojo.training.rollouts.trajectory import Trajectory
from webdojo.training.rollouts.virtual_time import run_in_virtual_time


def test_every_trajectory_is_on_disk_before_it_counts() -> None:
    disk: list[str] = []

    async def write(trajectory: Trajectory) -> None:
        await asyncio.sleep(3)
        disk.append(trajectory.episode_id)

    async def main() -> None:
        async with make_pool(on_trajectory=write) as pool:
            (group,) = await pool.next_batch(0)
            assert now() == 13
            assert {t.episode_id for t in group.trajectories} <= set(disk)

    run_in_virtual_time(main())


def test_a_sampler_hears_after_a_restart_of_groups_that_no_batch_had_told_it_of() -> None:
    """In submission order a group that finishes is told with the next batch; here a kill comes."""

    class RecordingSampler(UniformSampler):
        def record(self, task_id: str, success: float) -> None:
            learned.append(success)

    async def group_2_is_one_sided(request: EpisodeRequest) -> Trajectory:
        await asyncio.sleep(10)
        good = bool(request.member) or request.group_id == 2
        return trajectory_of(request, (0,), (1.0 + request.group_id) ** 2 * good)

    async def keep(trajectory: Trajectory) -> None:
        disk.append(trajectory)

    def fresh() -> RolloutPool:
        sampler = RecordingSampler(["a.task"], range(10))
        return RolloutPool(
            group_2_is_one_sided, sampler, slots=4, groups_per_batch=2, group_size=2,
            staleness=1, collection="submission", on_trajectory=keep,
        )  # fmt: skip

    async def main() -> None:
        async with fresh() as pool:
            first = await pool.next_batch(0)
            pool.set_version(1)
            assert [group.group_id for group in first] == [0, 1]
            assert learned == [0.5, 2.0]
            await asyncio.sleep(15)
            state = pool.state_dict()
        learned.clear()
        resumed = fresh()
        resumed.load_state_dict(state, disk)
        async with resumed:
            await resumed.next_batch(1)
        assert learned[:2] == [9.0, 8.0]
        assert len(learned) == len(set(learned))

    disk: list[Trajectory] = []
    learned: list[float] = []
    run_in_virtual_time(main())


def test_a_group_found_finished_after_a_restart_is_counted_once() -> None:
    disk: list[Trajectory] = []

    async def keep(trajectory: Trajectory) -> None:
        disk.append(trajectory)

    async def main() -> None:
        settings: dict[str, Any] = {"staleness": 2, "on_trajectory": keep}
        async with make_pool(**settings) as pool:
            await asyncio.sleep(15)
            state = pool.state_dict()
            assert pool.status().counters.groups_finished == 2
            assert pool.status().counters.submitted == 6
        resumed = make_pool(**settings)
        resumed.load_state_dict(state, disk)
        async with resumed:
            await asyncio.sleep(1)
            status = resumed.status()
            assert (status.groups_ready, status.groups_open, status.running) == (2, 1, 2)
            assert status.counters.groups_finished == 2
            assert status.counters.groups_opened == 3
            assert (status.counters.submitted, status.counters.finished) == (6, 4)

    run_in_virtual_time(main())


def test_groups_that_wait_to_be_begun_again_are_counted_once_in_restart_after_restart() -> None:
    async def main() -> None:
        async with make_pool(staleness=1) as pool:
            await asyncio.sleep(1)
            state = pool.state_dict()
        for _ in range(2):  # with one place, which the first of the two groups takes
            resumed = make_pool(staleness=1, slots=1)
            resumed.load_state_dict(state)
            async with resumed:
                await asyncio.sleep(1)
                state = resumed.state_dict()
            assert len(state["groups"]) == state["counters"]["groups_opened"] == 2

    run_in_virtual_time(main())


def test_a_group_that_a_restart_finds_too_old_is_not_played_on() -> None:
    disk: list[Trajectory] = []

    async def member_1_is_slow(request: EpisodeRequest) -> Trajectory:
        await asyncio.sleep(30 if request.member else 10)
        return mixed(request)

    async def keep(trajectory: Trajectory) -> None:
        disk.append(trajectory)

    async def main() -> None:
        async with make_pool(member_1_is_slow, on_trajectory=keep) as pool:
            state = pool.state_dict()
            await learn(pool, 1)
            await asyncio.sleep(15)
        assert [(each.group_id, each.member) for each in disk] == [(0, 0), (0, 1), (1, 0)]
        resumed = make_pool(member_1_is_slow)
        resumed.load_state_dict(state, disk)
        async with resumed:
            await learn(resumed, 1)  # group 0, from disk
            await asyncio.sleep(1)
            status = resumed.status()
            assert status.counters.groups_rejected == {"stale": 1}
            running = {slot.episode_id for slot in status.slots if slot.episode_id}
            assert running == {"000002-0-1", "000002-1-1"}

    run_in_virtual_time(main())


def test_a_resumed_run_begins_no_more_than_the_pacing_allows() -> None:
    async def main() -> None:
        async with make_pool(slots=100, staleness=1, groups_per_batch=3) as pool:
            await learn(pool, 4)
            state = pool.state_dict()
        resumed = make_pool(slots=100, staleness=1, groups_per_batch=3)
        resumed.load_state_dict(state)
        async with resumed:
            await asyncio.sleep(1000)
            assert resumed.version == 4
            assert resumed.status().groups_ready == 2 * 3

    run_in_virtual_time(main())
