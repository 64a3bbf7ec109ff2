"""What the rollout pool does about episodes that hang, die or cannot be kept."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from scripted_episodes import ScriptedDeathError, learn, other_tasks
from small_pool import make_pool, mixed, now, ten_seconds

from webdojo.training.rollouts.episode import EpisodeRequest
from webdojo.training.rollouts.pool import EpisodesFailError
from webdojo.training.rollouts.trajectory import Trajectory
from webdojo.training.rollouts.virtual_time import run_in_virtual_time


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


@pytest.mark.parametrize("back_s", [30.5, 250.0])
def test_what_holds_up_every_episode_counts_against_no_deadline(back_s: float) -> None:
    """As an engine does that dies after 30 s, and takes its time to come back."""

    def away_s() -> float:
        return min(max(0.0, now() - 30), back_s - 30)

    async def waits(request: EpisodeRequest) -> Trajectory:
        await asyncio.sleep(back_s if request.group_id == 0 else 10)
        if request.episode_id == "000001-0-1":
            await asyncio.Event().wait()  # the deadline of the others is what it was
        return mixed(request)

    async def main() -> None:
        async with make_pool(waits, deadline_s=30.4, held_up_s=away_s) as pool:
            (first,) = await pool.next_batch(0)
            assert (first.group_id, now()) == (0, back_s)
            assert pool.status().counters.retried.total() == 0
            pool.set_version(1)
            (second,) = await pool.next_batch(1)
            assert [each.attempts for each in second.trajectories] == [2, 1]
            assert now() == pytest.approx(back_s + 30.4 + 10)

    run_in_virtual_time(main())


def test_a_deadline_is_put_off_by_no_more_than_the_hold_up() -> None:
    async def hangs(request: EpisodeRequest) -> Trajectory:
        await (asyncio.Event().wait() if request.episode_id == "000000-0-1" else asyncio.sleep(10))
        return mixed(request)

    async def main() -> None:
        away_s = 7
        until = {"deadline_s": 20, "held_up_s": lambda: min(max(0.0, now() - 5), away_s)}
        async with make_pool(hangs, **until) as pool:
            (group,) = await pool.next_batch(0)
            assert [each.attempts for each in group.trajectories] == [2, 1]
            assert now() == pytest.approx(20 + away_s + 10)

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
