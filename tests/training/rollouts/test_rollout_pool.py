"""The rollout pool, one promise at a time, in simulated time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from scripted_episodes import (
    ScriptedDeathError,
    ScriptedEpisodes,
    learn,
    never_mind,
    other_tasks,
    trajectory_of,
)

from webdojo.tasks.sampling import UniformSampler
from webdojo.training.rollouts.accounts import PoolEvent
from webdojo.training.rollouts.episode import EpisodeRequest
from webdojo.training.rollouts.pool import EpisodesFailError, PoolClosedError, RolloutPool
from webdojo.training.rollouts.trajectory import Group, Trajectory
from webdojo.training.rollouts.virtual_time import run_in_virtual_time

Run = Callable[[EpisodeRequest], Coroutine[Any, Any, Trajectory]]


def mixed(request: EpisodeRequest, *versions: int) -> Trajectory:
    """A trajectory of a group in which only member 0 succeeds."""
    return trajectory_of(request, versions or (request.version,), float(request.member == 0))


async def ten_seconds(request: EpisodeRequest) -> Trajectory:
    await asyncio.sleep(10)
    return mixed(request)


def make_pool(run: Run = ten_seconds, **settings: Any) -> RolloutPool:
    defaults = {"slots": 4, "groups_per_batch": 1, "group_size": 2, "staleness": 0}
    return RolloutPool(run, UniformSampler(["a.task"], range(10)), **{**defaults, **settings})


def now() -> float:
    return asyncio.get_running_loop().time()


def test_an_episode_past_its_deadline_is_run_again() -> None:
    async def hangs_once(request: EpisodeRequest) -> Trajectory:
        if request.attempt == 1 and request.member == 1:
            await asyncio.Event().wait()
        return await ten_seconds(request)

    async def main() -> None:
        async with make_pool(hangs_once, deadline_s=60) as pool:
            (group,) = await pool.next_batch(0)
            assert now() == 70
            assert [t.attempts for t in group.trajectories] == [1, 2]
            assert pool.status().counters.retried == {"deadline": 1}

    run_in_virtual_time(main())


def test_a_hanging_clean_up_is_cancelled_again_and_an_unstoppable_episode_left_behind() -> None:
    async def unstoppable(request: EpisodeRequest) -> Trajectory:
        cancels = {"000000-0-1": 2, "000000-1-1": 100}.get(request.episode_id, 0)
        while cancels:
            try:
                await asyncio.sleep(1000)
                cancels = 0
            except asyncio.CancelledError:
                cancels -= 1
        return await ten_seconds(request)

    async def main() -> None:
        async with make_pool(unstoppable, deadline_s=60, grace_s=5) as pool:
            await pool.next_batch(0)
            assert now() == 60 + 3 * 5 + 10
            assert pool.status().counters.retried == {"deadline": 2}
            assert pool.status().counters.abandoned == 1

    run_in_virtual_time(main())


def test_a_group_with_an_episode_that_keeps_dying_is_replaced() -> None:
    cancelled = []

    async def group_0_dies(request: EpisodeRequest) -> Trajectory:
        if request.group_id == 0 and request.member == 0:
            await asyncio.sleep(1)
            raise ScriptedDeathError("no browser")
        try:
            return await ten_seconds(request)
        except asyncio.CancelledError:
            cancelled.append(request.episode_id)
            raise

    async def main() -> None:
        async with make_pool(group_0_dies, retries=2) as pool:
            (group,) = await pool.next_batch(0)
            assert group.group_id == 1
            assert now() == 3 + 10
            counters = pool.status().counters
            assert counters.retried == {"ScriptedDeathError": 2}
            assert counters.rejected == {"failed": 2}
            assert counters.groups_rejected == {"failed": 1}
            assert cancelled == ["000000-1-1"]

    run_in_virtual_time(main())


def test_what_is_left_of_a_replaced_group_may_not_hang_in_its_clean_up() -> None:
    async def hangs_in_clean_up(request: EpisodeRequest) -> Trajectory:
        if request.group_id == 0 and request.member == 0:
            raise ScriptedDeathError
        try:
            return await ten_seconds(request)
        finally:
            if request.group_id == 0:
                await asyncio.sleep(10_000)

    async def main() -> None:
        async with make_pool(hangs_in_clean_up, slots=2, retries=0, grace_s=5) as pool:
            (group,) = await pool.next_batch(0)
            assert group.group_id == 1
            assert now() == 5 + 10

    run_in_virtual_time(main())


def test_what_is_run_again_comes_first_in_line() -> None:
    begun = []

    async def first_dies_once(request: EpisodeRequest) -> Trajectory:
        begun.append(request.episode_id)
        await asyncio.sleep(1)
        if request.episode_id == "000000-0-1":
            raise ScriptedDeathError
        return mixed(request)

    async def main() -> None:
        async with make_pool(first_dies_once, slots=1) as pool:
            await pool.next_batch(0)

    run_in_virtual_time(main())
    assert begun == ["000000-0-1", "000000-0-2", "000000-1-1"]


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


def test_when_every_group_fails_the_learner_is_told_why() -> None:
    async def dies(request: EpisodeRequest) -> Trajectory:
        await asyncio.sleep(1)
        raise ScriptedDeathError("chromium is missing")

    async def main() -> None:
        async with make_pool(dies) as pool:
            with pytest.raises(EpisodesFailError, match=r"8 groups in a row.*missing") as told:
                await pool.next_batch(0)
        assert "fewer rollout.slots" not in str(told.value)  # what raised was not too slow

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


def test_finished_groups_that_nobody_takes_stop_the_slots() -> None:
    async def main() -> None:
        async with make_pool(staleness=2, groups_per_batch=2) as pool:
            await asyncio.sleep(1000)
            status = pool.status()
            assert (status.groups_ready, status.running, status.capacity) == (6, 0, 0)
            assert status.counters.idle_share == pytest.approx(1 - 12 * 10 / (4 * 1000))

    run_in_virtual_time(main())


def test_members_of_a_replaced_group_that_have_not_begun_never_do() -> None:
    begun = []

    async def group_0_dies(request: EpisodeRequest) -> Trajectory:
        begun.append(request.episode_id)
        await asyncio.sleep(1)
        if request.group_id == 0:
            raise ScriptedDeathError
        return mixed(request)

    async def main() -> None:
        async with make_pool(group_0_dies, slots=1, retries=0) as pool:
            await pool.next_batch(0)

    run_in_virtual_time(main())
    assert begun == ["000000-0-1", "000001-0-1", "000001-1-1"]


def test_an_episode_that_outlives_its_group_is_counted_as_rejected() -> None:
    async def answers_cancellation_with_a_result(request: EpisodeRequest) -> Trajectory:
        if request.group_id == 0 and request.member == 0:
            raise ScriptedDeathError
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(10)
        return mixed(request)

    async def main() -> None:
        async with make_pool(answers_cancellation_with_a_result, slots=2, retries=0) as pool:
            await pool.next_batch(0)
            assert pool.status().counters.rejected == {"failed": 2}

    run_in_virtual_time(main())


def test_an_episode_whose_group_is_replaced_while_it_is_written_is_counted_as_rejected() -> None:
    async def write(trajectory: Trajectory) -> None:
        await asyncio.sleep(5)

    async def member_0_dies_late(request: EpisodeRequest) -> Trajectory:
        await asyncio.sleep(10)
        if request.group_id == 0 and request.member == 0:
            await asyncio.sleep(2)
            raise ScriptedDeathError
        return mixed(request)

    async def main() -> None:
        pool = make_pool(member_0_dies_late, slots=2, retries=0, on_trajectory=write)
        async with pool:
            await pool.next_batch(0)
            assert pool.status().counters.rejected == {"failed": 2}

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


def test_failures_with_finished_groups_between_them_do_not_end_the_run() -> None:
    async def odd_groups_die(request: EpisodeRequest) -> Trajectory:
        await asyncio.sleep(1)
        if request.group_id % 2:
            raise ScriptedDeathError
        return mixed(request)

    async def main() -> None:
        async with make_pool(odd_groups_die, slots=2, retries=0, failure_limit=2) as pool:
            batches = await learn(pool, 5)
            assert [batch[0].group_id for batch in batches] == [0, 2, 4, 6, 8]

    run_in_virtual_time(main())


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
            assert status.counters.submitted == 6

    run_in_virtual_time(main())


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


def test_a_full_disk_ends_the_run_with_its_own_error() -> None:
    async def write(trajectory: Trajectory) -> None:
        raise OSError(28, "No space left on device", "trajectories.jsonl")

    async def main() -> None:
        async with make_pool(on_trajectory=write) as pool:
            with pytest.raises(OSError, match="No space left"):
                await pool.next_batch(0)
        assert not other_tasks()

    run_in_virtual_time(main())


def test_an_episode_that_is_not_the_one_asked_for_ends_the_run() -> None:
    async def confused(request: EpisodeRequest) -> Trajectory:
        await asyncio.sleep(1)
        return Trajectory("x", "a.task", 0, request.group_id + 1, 0, (), 1.0, "success")

    async def main() -> None:
        async with make_pool(confused) as pool:
            with pytest.raises(ValueError, match="000000-0-1 and gave member 0 of group 1"):
                await pool.next_batch(0)

    run_in_virtual_time(main())


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
