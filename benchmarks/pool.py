"""How near the rollout pool comes to never waiting, and what it gains over synchronous rollouts.

The real pool is driven with scripted latencies in simulated time, batch = slots, groups of 8:

- 43 % of episodes succeed. Their steps are geometric with mean 5.1, those of failures geometric
  with mean 12.5; both are cut at 30.
- A step takes log-normal time, median 8 s, σ 0.8; 1 % of steps take 60–120 s instead.
- 0.5 % of episodes die, at a uniformly random point, and are run again.
- An update takes 0.3 × the mean episode, then the weights are copied for 5 s. Episodes go on
  meanwhile; a batch is asked for only when both are done.
- Rewards decide nothing here (no group is rejected for zero variance): the distribution does not
  say how successes cluster in tasks.

Measured are 20 updates after a warm-up, mean over the seeds, against two synchronous baselines on
the same slots: the full barrier (the same pool with η = 0, and the same scripts), and a barrier
that cuts off the last 5 % of the episodes (other scripts, drawn alike). The bound on seconds an
update is max(mean episode, update): every slot always busy and nothing thrown away. How much of it
any pool could reach at a bound η on staleness is told beside it (``share_possible``, and of one
that begins groups as slots come free ``share_possible_throughout``; see the function).

    python benchmarks/pool.py --json
    python benchmarks/pool.py --slots 64 --staleness 2 --staleness 5
    python benchmarks/pool.py --real-seconds 120      # also: the pool's own CPU, in real time

--publish writes what is measured, seed by seed, into benchmarks/results/pool.json too.
"""

from __future__ import annotations

import argparse
import asyncio
import bisect
import contextlib
import functools
import itertools
import json
import math
import random
import sys
import time
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from published import publish

from webdojo.tasks.sampling import UniformSampler
from webdojo.training.rollouts.episode import EpisodeRequest
from webdojo.training.rollouts.pool import RolloutPool
from webdojo.training.rollouts.trajectory import Trajectory, Turn
from webdojo.training.rollouts.virtual_time import run_in_virtual_time

GROUP_SIZE = 8
UPDATES = 20
WARM_UP = 10
HORIZON = 30
SUCCESS = 0.43
MEAN_STEPS = {True: 5.1, False: 12.5}
STEP_MEDIAN_S, STEP_SIGMA = 8.0, 0.8
STALL, STALL_S = 0.01, (60.0, 120.0)
DEATH = 0.005
COPY_S = 5.0
CUT = 0.95
FULL_PACE = 5
"""η under which the pool comes to 95 % of the bound with these latencies; docs/pool.md."""
PRESETS_STALENESS = 2
THROUGHOUT = 20
"""Moments of a version at which groups begin where slots take the next as they come free."""


def mean_episode_s() -> float:
    """Expected seconds of an episode that does not die."""
    steps = sum(
        share * MEAN_STEPS[success] * (1 - (1 - 1 / MEAN_STEPS[success]) ** HORIZON)
        for success, share in ((True, SUCCESS), (False, 1 - SUCCESS))
    )
    step_s = STEP_MEDIAN_S * math.exp(STEP_SIGMA**2 / 2)
    return steps * ((1 - STALL) * step_s + STALL * fmean(STALL_S))


UPDATE_S = 0.3 * mean_episode_s()


@dataclass(frozen=True, slots=True)
class Script:
    """What one attempt at an episode will do."""

    success: bool
    steps_s: tuple[float, ...]
    dies_after_s: float | None


def script(seed: int, episode_id: str) -> Script:
    """The script of an attempt: a function of its name alone, whoever runs it and when."""
    draw = random.Random(f"{seed}/{episode_id}")
    success = draw.random() < SUCCESS
    stay = math.log(1 - 1 / MEAN_STEPS[success])
    steps = min(HORIZON, 1 + int(math.log(1 - draw.random()) / stay))
    steps_s = tuple(
        draw.uniform(*STALL_S)
        if draw.random() < STALL
        else draw.lognormvariate(math.log(STEP_MEDIAN_S), STEP_SIGMA)
        for _ in range(steps)
    )
    dies_after_s = draw.random() * sum(steps_s) if draw.random() < DEATH else None
    return Script(success, steps_s, dies_after_s)


class EnvironmentDiedError(RuntimeError):
    """Scripted."""


class ScriptedEpisodes:
    """Runs scripts in place of browsers and models; one token a step."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.pool: RolloutPool

    async def run(self, request: EpisodeRequest) -> Trajectory:
        """Wait as the script says, in one wait (simulated time counts timers, not steps)."""
        plan = script(self.seed, request.episode_id)
        if plan.dies_after_s is not None:
            await asyncio.sleep(plan.dies_after_s)
            raise EnvironmentDiedError
        await asyncio.sleep(sum(plan.steps_s))
        return self._trajectory(request, plan, (request.version,) * len(plan.steps_s))

    async def run_stepwise(self, request: EpisodeRequest) -> Trajectory:
        """Wait step by step and give a sign of life at each, as a real episode does."""
        plan = script(self.seed, request.episode_id)
        versions = []
        for step_s in plan.steps_s:
            versions.append(self.pool.version)
            await asyncio.sleep(step_s)
            request.progress()
        if plan.dies_after_s is not None:
            raise EnvironmentDiedError
        return self._trajectory(request, plan, tuple(versions))

    def _trajectory(
        self, request: EpisodeRequest, plan: Script, versions: tuple[int, ...]
    ) -> Trajectory:
        tokens = len(versions)
        turn = Turn((), (0,) * tokens, (0.0,) * tokens, versions, "noop()")
        return Trajectory(
            request.episode_id,
            request.task_id,
            request.seed,
            request.group_id,
            request.member,
            (turn,),
            float(plan.success),
            "success" if plan.success else "failure",
            attempts=request.attempt,
        )


def make_pool(
    episodes: ScriptedEpisodes, slots: int, staleness: int, *, stepwise: bool
) -> RolloutPool:
    """The pool under test, its batch as large as its slots."""
    episodes.pool = RolloutPool(
        episodes.run_stepwise if stepwise else episodes.run,
        UniformSampler(["scripted"], range(1_000_000)),
        slots=slots,
        groups_per_batch=slots // GROUP_SIZE,
        group_size=GROUP_SIZE,
        staleness=staleness,
        reject_zero_variance=False,
        deadline_s=3600.0,
    )
    return episodes.pool


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of UPDATES updates after the warm-up."""

    update_s: float
    """Seconds an update, from one batch to the next."""
    idle_share: float
    staleness_mean: float
    """Of groups consumed, by their oldest token."""
    staleness_max: int
    rejected_share: float
    """Of groups that ended, those rejected as stale."""
    steps_mean: float
    """Of consumed episodes; the distribution's own is 8.73. Less means that long ones were lost."""


async def measure_pool(slots: int, staleness: int, seed: int) -> Measured:
    """Run the pool with a learner that takes UPDATE_S + COPY_S an update."""
    loop = asyncio.get_running_loop()
    steps: list[int] = []
    async with make_pool(ScriptedEpisodes(seed), slots, staleness, stepwise=False) as pool:
        start_s, before = 0.0, pool.status().counters
        for version in range(WARM_UP + UPDATES):
            groups = await pool.next_batch(version)
            if version == WARM_UP - 1:
                start_s, before = loop.time(), pool.status().counters
            elif version >= WARM_UP:
                steps += [t.response_tokens for group in groups for t in group.trajectories]
            if version < WARM_UP + UPDATES - 1:
                await asyncio.sleep(UPDATE_S + COPY_S)
                pool.set_version(version + 1)
        after = pool.status().counters
        seconds = loop.time() - start_s
    gaps = after.staleness - before.staleness
    stale = after.groups_rejected["stale"] - before.groups_rejected["stale"]
    return Measured(
        update_s=seconds / UPDATES,
        idle_share=(after.idle_s - before.idle_s) / (after.slot_s - before.slot_s),
        staleness_mean=sum(gap * groups for gap, groups in gaps.items()) / gaps.total(),
        staleness_max=max(gaps),
        rejected_share=stale / (stale + gaps.total()),
        steps_mean=fmean(steps),
    )


async def measure_cut(slots: int, seed: int) -> float:
    """Seconds an update where each update waits for 95 % of a batch and throws the rest away."""
    loop = asyncio.get_running_loop()

    async def run(episode_id: str) -> None:
        attempt = 1
        while True:
            plan = script(seed, f"{episode_id}-{attempt}")
            await asyncio.sleep(plan.dies_after_s or sum(plan.steps_s))
            if plan.dies_after_s is None:
                return
            attempt += 1

    for update in range(UPDATES):
        batch = [asyncio.create_task(run(f"{update}/{place}")) for place in range(slots)]
        ends = asyncio.as_completed(batch)
        for _ in range(math.ceil(CUT * slots)):
            await next(ends)
        for episode in batch:
            episode.cancel()
        await asyncio.gather(*batch, return_exceptions=True)
        await asyncio.sleep(UPDATE_S + COPY_S)
    return loop.time() / UPDATES


def measure(slots: int, staleness: int, seeds: range) -> tuple[dict[str, Any], list[Any]]:
    """One row of the result, means over ``seeds`` (maximum for staleness_max), and each seed's."""
    pools = [run_in_virtual_time(measure_pool(slots, staleness, seed)) for seed in seeds]
    barrier, cut = zip(*(baselines(slots, seed) for seed in seeds), strict=True)
    bound_s = max(mean_episode_s(), UPDATE_S)
    each = [
        {"seed": s, **asdict(p), "barrier_update_s": b, "cut_update_s": c}
        for s, p, b, c in zip(seeds, pools, barrier, cut, strict=True)
    ]
    means = {
        "slots": slots,
        "staleness_bound": staleness,
        "speedup_barrier": fmean(b / p.update_s for b, p in zip(barrier, pools, strict=True)),
        "speedup_cut": fmean(c / p.update_s for c, p in zip(cut, pools, strict=True)),
        "share_of_bound": fmean(bound_s / p.update_s for p in pools),
        "share_possible": share_possible(staleness),
        "share_possible_throughout": share_possible(staleness, THROUGHOUT),
        "idle_share": fmean(p.idle_share for p in pools),
        "staleness_mean": fmean(p.staleness_mean for p in pools),
        "staleness_max": max(p.staleness_max for p in pools),
        "rejected_share": fmean(p.rejected_share for p in pools),
        "steps_mean": fmean(p.steps_mean for p in pools),
    }
    return means, each


@functools.cache
def baselines(slots: int, seed: int) -> tuple[float, float]:
    """Seconds an update behind the full barrier, and behind the one that is cut."""
    barrier = run_in_virtual_time(measure_pool(slots, 0, seed))
    return barrier.update_s, run_in_virtual_time(measure_cut(slots, seed))


@functools.cache
def share_possible(staleness: int, begins: int = 1, groups: int = 4000) -> float:
    """The most of the bound that any pool could reach, whatever it knew.

    At best a group's members all begin as a version begins, and the group is consumed η versions
    later: with P seconds an update it has T = (η + 1)·P − update − copy. Of groups that take longer
    the time until T is lost, so of shares s = mean episode / P those are possible for which P is at
    least the slot time that a consumed episode costs, Σ min(duration, T) / (8 · share within T).

    Slots come free throughout a version. With ``begins`` above 1 equally many groups begin at each
    of so many moments of it, evenly apart, and have that much less time.
    """
    durations = [
        [sum(script(0, f"{group}/{member}").steps_s) for member in range(GROUP_SIZE)]
        for group in range(groups)
    ]
    longest = sorted(max(members) for members in durations)
    flat = sorted(itertools.chain.from_iterable(durations))
    sums = [0.0, *itertools.accumulate(flat)]
    mean_s = sums[-1] / len(flat)
    for thousandth in range(1000, 0, -1):
        update_s = max(mean_s / (thousandth / 1000), UPDATE_S)
        within = spent_s = 0.0
        for moment in range(begins):
            room_s = (staleness + 1 - moment / begins) * update_s - UPDATE_S - COPY_S
            within += bisect.bisect_right(longest, room_s) / groups
            shorter = bisect.bisect_right(flat, room_s)
            spent_s += (sums[shorter] + room_s * (len(flat) - shorter)) / len(flat)
        if within and spent_s / within <= update_s * 1.0005:
            return thousandth / 1000
    return 0.0


async def measure_cpu(slots: int, seconds: float) -> dict[str, float]:
    """The pool's CPU time in real time, as share of a core.

    It is what the pool and its scripted episodes take together, less what the episodes take alone,
    run by loops that do nothing else.
    """

    async def bare(slot: int) -> None:
        for number in itertools.count():
            request = EpisodeRequest(
                f"{number * slots + slot:06d}-0-1", number, slot, "scripted", 0
            )
            with contextlib.suppress(EnvironmentDiedError):
                await episodes.run_stepwise(request)

    episodes = ScriptedEpisodes(0)
    async with make_pool(episodes, slots, 5, stepwise=True) as pool:
        await asyncio.sleep(min(5.0, seconds))
        before = pool.status().counters.submitted
        both = await _share_of_core(seconds)
        begun = pool.status().counters.submitted - before
    loops = [asyncio.create_task(bare(slot)) for slot in range(slots)]
    await asyncio.sleep(min(5.0, seconds))
    alone = await _share_of_core(seconds)
    for loop in loops:
        loop.cancel()
    await asyncio.gather(*loops, return_exceptions=True)
    return {
        "slots": slots,
        "episodes_per_s": begun / seconds,
        "share_of_core": both - alone,
        "share_of_core_with_episodes": both,
    }


async def _share_of_core(seconds: float) -> float:
    cpu_s, wall_s = time.process_time(), time.monotonic()
    await asyncio.sleep(seconds)
    return (time.process_time() - cpu_s) / (time.monotonic() - wall_s)


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="JSON on standard output")
    parser.add_argument("--slots", type=int, action="append", help="default: 64, 256, 1280")
    parser.add_argument(
        "--staleness", type=int, action="append", help="η; default: 5, and apart from it 2"
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--real-seconds", type=float, default=0.0, help="measure CPU this long")
    parser.add_argument(
        "--publish", action="store_true", help="write benchmarks/results/pool.json too"
    )
    options = parser.parse_args()
    many = options.slots or [64, 256, 1280]
    if any(slots < GROUP_SIZE or slots % GROUP_SIZE for slots in many):
        parser.error(f"--slots takes a positive multiple of {GROUP_SIZE}, the size of a group")
    if any(staleness < 1 for staleness in options.staleness or ()):
        parser.error("--staleness takes 1 or more; 0 is the full barrier, measured beside each")
    if options.seeds < 1 or not 0 <= options.real_seconds < math.inf:
        parser.error("--seeds takes 1 or more, and --real-seconds no less than 0")

    by_seed: list[dict[str, Any]] = []

    def rows(staleness: int) -> list[dict[str, Any]]:
        found = []
        for slots in many:
            means, each = measure(slots, staleness, range(options.seeds))
            print("  ".join(f"{k} {v:.4g}" for k, v in means.items()), file=sys.stderr)
            found.append(means)
            by_seed.append({"slots": slots, "staleness_bound": staleness, "seeds": each})
        return found

    asked = options.staleness or [FULL_PACE]
    result: dict[str, Any] = {"runs": [row for staleness in asked for row in rows(staleness)]}
    if not options.staleness:
        result["runs_under_the_presets_staleness"] = rows(PRESETS_STALENESS)
    if options.real_seconds:
        result["cpu"] = asyncio.run(measure_cpu(1280, options.real_seconds))
        print(result["cpu"], file=sys.stderr)
    if options.publish:
        possible = {
            name: {str(staleness): share_possible(staleness, begins) for staleness in range(1, 6)}
            for name, begins in (("share_possible", 1), ("share_possible_throughout", THROUGHOUT))
        }
        path = publish("pool", {**result, "by_seed": by_seed, **possible})
        print(f"published: {path}", file=sys.stderr)
    if options.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
