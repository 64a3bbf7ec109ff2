"""Which groups the rollout pool gives its learner, in which order and how old at most."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from scripted_episodes import ScriptedDeathError, learn, trajectory_of
from small_pool import make_pool, mixed, now, ten_seconds

from webdojo.tasks.sampling import UniformSampler
from webdojo.training.rollouts.episode import EpisodeRequest
from webdojo.training.rollouts.pool import RolloutPool
from webdojo.training.rollouts.trajectory import Group, Trajectory
from webdojo.training.rollouts.virtual_time import run_in_virtual_time


def test_a_slot_goes_on_to_another_group_while_its_own_waits_for_a_straggler() -> None:
    async def straggler(request: EpisodeRequest) -> Trajectory:
        await asyncio.sleep(100 if request.group_id == 0 and request.member == 1 else 10)
        return mixed(request)

    async def main() -> None:
        async with make_pool(straggler, slots=2, staleness=3) as pool:
            batches = await learn(pool, 3, update_s=1)
            assert [batch[0].group_id for batch in batches] == [1, 2, 3]
            assert now() < 100

    run_in_virtual_time(main())


def test_a_group_that_has_grown_too_old_is_not_waited_for() -> None:
    """Its members still run, and may have drawn tokens under the version that they began with."""

    async def first_is_endless(request: EpisodeRequest) -> Trajectory:
        await asyncio.sleep(1000 if request.group_id == 0 else 10)
        return mixed(request)

    async def main() -> None:
        async with make_pool(first_is_endless, staleness=1) as pool:
            await learn(pool, 2, update_s=1)
            assert pool.version == 2
            await asyncio.sleep(1)
            status = pool.status()
            assert status.counters.groups_rejected == {"stale": 1}
            assert {slot.episode_id[:6] for slot in status.slots} == {"000003", "000004"}

    run_in_virtual_time(main())


def test_completion_order_takes_what_is_finished_and_submission_order_what_was_begun() -> None:
    async def first_is_slow(request: EpisodeRequest) -> Trajectory:
        await asyncio.sleep(50 if request.group_id == 0 else 10)
        return mixed(request)

    async def main(collection: Any) -> list[int]:
        async with make_pool(first_is_slow, staleness=3, collection=collection) as pool:
            batches = await learn(pool, 3, update_s=1)
            return [batch[0].group_id for batch in batches]

    assert run_in_virtual_time(main("completion")) == [1, 2, 3]
    assert run_in_virtual_time(main("submission")) == [0, 1, 2]


def test_in_submission_order_the_sampler_learns_of_groups_in_that_order() -> None:
    class RecordingSampler(UniformSampler):
        def record(self, task_id: str, success: float) -> None:
            learned.append(success)

    async def later_groups_are_quicker(request: EpisodeRequest) -> Trajectory:
        await asyncio.sleep(10 - request.group_id)
        return trajectory_of(request, (0,), float(request.member <= request.group_id))

    async def main(collection: Any) -> None:
        pool = RolloutPool(
            later_groups_are_quicker,
            RecordingSampler(["a.task"], range(10)),
            slots=12,
            groups_per_batch=3,
            group_size=4,
            staleness=0,
            collection=collection,
        )
        async with pool:
            await pool.next_batch(0)

    learned: list[float] = []
    run_in_virtual_time(main("submission"))
    assert learned == [0.25, 0.5, 0.75]
    learned.clear()
    run_in_virtual_time(main("completion"))
    assert learned == [0.75, 0.5, 0.25]


def test_in_submission_order_a_rejection_may_complete_the_batch() -> None:
    async def group_0_dies_late(request: EpisodeRequest) -> Trajectory:
        await asyncio.sleep(10)
        if request.group_id == 0:
            await asyncio.sleep(10)
            raise ScriptedDeathError
        return mixed(request)

    async def main() -> None:
        pool = make_pool(group_0_dies_late, staleness=1, retries=0, collection="submission")
        async with pool:
            (group,) = await pool.next_batch(0)
            assert (group.group_id, now()) == (1, 20)

    run_in_virtual_time(main())


def test_a_group_whose_rewards_are_all_equal_is_replaced() -> None:
    async def group_0_equal(request: EpisodeRequest) -> Trajectory:
        await asyncio.sleep(10)
        return mixed(request) if request.group_id else trajectory_of(request, (0,), 1.0)

    async def main(reject: bool, expected: int, seconds: float) -> None:
        pool = make_pool(group_0_equal, slots=2, reject_zero_variance=reject)
        async with pool:
            (group,) = await pool.next_batch(0)
            assert group.group_id == expected
            assert now() == seconds
            counters = pool.status().counters
            assert counters.groups_rejected["zero_variance"] == (expected == 1)
            assert counters.groups_finished - counters.groups_mixed == 1

    run_in_virtual_time(main(reject=True, expected=1, seconds=20))
    run_in_virtual_time(main(reject=False, expected=0, seconds=10))


def test_a_group_with_a_token_too_old_is_rejected_and_what_runs_of_it_cancelled() -> None:
    ended = []

    async def straggler(request: EpisodeRequest) -> Trajectory:
        try:
            if request.group_id == 0 and request.member == 1:
                await asyncio.sleep(10_000)
            return await ten_seconds(request)
        finally:
            ended.append((request.episode_id, now()))

    async def main() -> None:
        async with make_pool(straggler, staleness=1) as pool:
            batches = await learn(pool, 5, update_s=10)
            assert {batch[0].group_id for batch in batches} == {1, 2, 3, 4, 5}
            counters = pool.status().counters
            assert counters.groups_rejected == {"stale": 1}
            assert counters.rejected == {"stale": 2}
            assert dict(ended)["000000-1-1"] == 40  # when version 2 came

    run_in_virtual_time(main())


def test_staleness_is_measured_from_the_oldest_token_when_consumed() -> None:
    async def old_first_token(request: EpisodeRequest) -> Trajectory:
        await asyncio.sleep(10)
        return mixed(request, 3, 5) if request.group_id == 0 else mixed(request, 4, 5)

    async def main() -> None:
        pool = make_pool(old_first_token, staleness=1, version=5)
        async with pool:
            (group,) = await pool.next_batch(5)
            assert group.group_id == 1
            assert pool.status().counters.staleness == {1: 1}
            assert pool.status().counters.groups_rejected == {"stale": 1}

    run_in_virtual_time(main())


def test_an_episode_that_drew_no_token_is_not_stale() -> None:
    async def overflows(request: EpisodeRequest) -> Trajectory:
        await asyncio.sleep(10)
        if request.member == 0:
            return mixed(request)
        return Trajectory(request.episode_id, "a.task", 0, request.group_id, 1, (), 0.0, "overflow")

    async def main() -> None:
        async with make_pool(overflows, staleness=1, version=7) as pool:
            (group,) = await pool.next_batch(7)
            assert group.trajectories[1].turns == ()

    run_in_virtual_time(main())


def test_an_episode_whose_group_is_replaced_before_it_could_begin_does_not_begin() -> None:
    begun = []

    async def run(request: EpisodeRequest) -> Trajectory:
        begun.append(request.version)
        return await ten_seconds(request)

    async def main() -> None:
        async with make_pool(run, staleness=1, slots=10) as pool:
            await asyncio.sleep(5)
            for version in (5, 9):
                pool.set_version(version)
            await pool.next_batch(9)

    run_in_virtual_time(main())
    assert set(begun) == {0, 9}


def test_finished_groups_that_nobody_takes_stop_the_slots() -> None:
    async def main() -> None:
        async with make_pool(staleness=2, groups_per_batch=2) as pool:
            await asyncio.sleep(1000)
            status = pool.status()
            assert (status.groups_ready, status.running, status.capacity) == (6, 0, 0)
            assert status.counters.idle_share == pytest.approx(1 - 12 * 10 / (4 * 1000))

    run_in_virtual_time(main())


def test_a_batch_that_made_no_update_gives_its_capacity_back() -> None:
    async def main() -> None:
        async with make_pool() as pool:
            batches = [await pool.next_batch(0) for _ in range(3)]
            assert [batch[0].group_id for batch in batches] == [0, 1, 2]
            assert now() == 30

    run_in_virtual_time(main())


def oldest_version(group: Group) -> int:
    return min(v for t in group.trajectories for turn in t.turns for v in turn.versions)


def test_the_next_batch_may_be_asked_for_while_weights_are_on_their_way() -> None:
    async def main() -> None:
        async with make_pool(staleness=1) as pool:
            await pool.next_batch(0)
            (group,) = await pool.next_batch(1)
            assert (pool.version, oldest_version(group)) == (0, 0)
            pool.set_version(1)
            pool.set_version(2)
            (group,) = await pool.next_batch(2)
            assert oldest_version(group) == 1

    run_in_virtual_time(main())


def test_tokens_of_one_episode_may_span_versions() -> None:
    pools: list[RolloutPool] = []

    async def group_0_is_long(request: EpisodeRequest) -> Trajectory:
        versions = []
        for _ in range(10 if request.group_id == 0 else 1):
            versions.append(pools[0].version)
            await asyncio.sleep(10)
        return mixed(request, *versions)

    async def main() -> None:
        pools.append(make_pool(group_0_is_long, staleness=6))
        async with pools[0] as pool:
            batches = await learn(pool, 8, update_s=15.5)
        (spanning,) = (g for batch in batches for g in batch if g.group_id == 0)
        # Weights come at 25.5 s, 41 s, 56.5 s, 72 s and 87.5 s, tokens every 10 s.
        assert spanning.trajectories[0].turns[0].versions == (0, 0, 0, 1, 1, 2, 3, 3, 4, 5)

    run_in_virtual_time(main())
