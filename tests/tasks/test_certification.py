"""A task is certified if its oracle solves it, every run of a seed is the same and seeds differ."""

from __future__ import annotations

import json
import os
from itertools import count

import pytest
from press_task import QUICK, Press, checked

from webdojo.envs.browser import Chromium
from webdojo.envs.certification import Effort, OracleRun, TaskReport, certify
from webdojo.envs.certification.certificate import differences, entry
from webdojo.envs.certification.certify import FIRST_SEED, Findings, _deterministic
from webdojo.envs.certification.report import report
from webdojo.tasks import registry
from webdojo.tasks.calls import click
from webdojo.tasks.files import load_tasks_file
from webdojo.tasks.registry import Entry


async def test_a_sound_task_is_certified() -> None:
    found = await checked(Press)
    assert found.problems == ()
    assert (found.oracle_success, found.noop_success, found.mutated_success) == (1.0, 0.0, 0.0)
    assert (found.deterministic, found.oracle_targets_kept, found.steps) == (True, 1.0, 1.0)
    assert (found.goals, found.instances, found.seeds) == (2, 2, 2)
    assert list(found.to_json()) == [
        "id", "oracle_success", "noop_success", "random_success", "mutated_success",
        "deterministic", "oracle_targets_kept", "steps", "seconds",
    ]  # fmt: skip


@pytest.mark.slow
async def test_reports_come_in_the_order_asked_for_and_as_soon_as_they_are_there() -> None:
    class Other(Press):
        id = "check.other"

    heard: list[TaskReport] = []
    entries = [Entry(Other, "here"), Entry(Press, "here")]
    found = await certify(entries, QUICK, contexts=3, on_done=heard.append)
    assert [one.id for one in found] == ["check.other", "check.press"]
    assert sorted(one.id for one in heard) == ["check.other", "check.press"]


def test_what_could_not_be_played_was_not_measured() -> None:
    found = report(Press(), [Findings(1, lost="the page was lost 3 times: no answer")])
    assert found.problems == ("could not be measured: the page was lost 3 times: no answer",)
    assert found.oracle_success is None
    assert report(Press(), [Findings(1)]).problems == (
        "what an oracle solves could not be measured",
    )


def ran(reward: float) -> OracleRun:
    return OracleRun("check.press", 1, reward, 1, ("noop()",))


@pytest.mark.parametrize(("solved", "passes"), [(99, True), (98, False), (90, False)])
def test_an_oracle_must_solve_99_of_100_instances(solved: int, passes: bool) -> None:
    played = [Findings(n, oracle=ran(float(n < solved)), instance=(str(n), "")) for n in range(100)]
    assert (report(Press(), played).problems == ()) is passes


@pytest.mark.parametrize(("certified", "now"), [(1.0, 0.0), (0.0, 1.0)])
def test_a_check_differs_from_its_certificate_either_way(certified: float, now: float) -> None:
    before, after = (
        report(Press(), [Findings(n, oracle=ran(1.0), random=found) for n in range(2)])
        for found in (certified, now)
    )
    problems = [f"check.press: {problem}" for problem in after.problems]
    figures = json.loads(json.dumps(entry(before)))
    assert differences(figures, before) == problems
    ways = f"random is {now:.0f}{now:.0f}, certified {certified:.0f}{certified:.0f}"
    assert differences(figures, after) == [f"check.press: {ways}: instance 0, 1", *problems]


def test_runs_that_a_task_says_differ_by_chance_may_differ_otherwise() -> None:
    class Moving(Press):
        caveats = {"deterministic": "it never stops"}  # noqa: RUF012

    for task, told in ((Press, {"oracle", "same", "random"}), (Moving, {"oracle"})):
        before, after = (
            report(task(), [Findings(1, oracle=ran(one), deterministic=bool(one), random=one)])
            for one in (1.0, 0.0)
        )
        found = differences(json.loads(json.dumps(entry(before))), after)
        ways = {line.split()[1] for line in found if " is 0, certified 1" in line}
        assert ways == told


def test_targets_that_are_seen_no_more_differ_from_the_certificate() -> None:
    seen = report(Press(), [Findings(1, oracle=ran(1.0), kept=[True, True])])
    less = report(Press(), [Findings(1, oracle=ran(1.0), kept=[True, False])])
    told = "check.press: oracle_targets_kept is 0.5, certified 1.0"
    assert differences(entry(seen), less)[0] == told
    assert differences(entry(less), less)[0] != told


def test_a_task_that_no_changed_value_was_tried_on_is_noted() -> None:
    played = Findings(1, oracle=ran(1.0), shortened=0.0)
    assert report(Press(), [played]).notes[0].startswith("no wrong solution could be made by chang")
    played.changed = 0.0
    assert report(Press(), [played]).notes == ()


@pytest.mark.parametrize(("rewards", "notes"), [((1.0, 1.0), 1), ((1.0, 0.0), 0)])
def test_a_task_that_chance_solves_is_noted(rewards: tuple[float, ...], notes: int) -> None:
    played = [Findings(seed, random=reward) for seed, reward in enumerate(rewards)]
    assert len(report(Press(), played).notes) == notes


async def test_chance_that_no_seed_fixes_is_found() -> None:
    numbers = count()

    class Drifting(Press):
        async def setup(self, page, seed):
            goal = await super().setup(page, seed)
            await page.evaluate("n => document.body.append('visitor ' + n)", next(numbers))
            return goal

    found = await checked(Drifting)
    assert found.deterministic is False
    assert found.problems == ("two runs of the same actions differ",)


async def test_a_difference_stands_however_the_next_runs_turn_out() -> None:
    visits = count()

    class OnceOther(Press):
        async def setup(self, page, seed):
            goal = await super().setup(page, seed)
            await page.evaluate("n => document.body.append('visit ' + n)", min(next(visits), 1))
            return goal

    entry = Entry(OnceOther, "here")
    async with Chromium() as chromium:
        assert await _deterministic(chromium, entry, 1, ["noop()"]) is False
        assert await _deterministic(chromium, entry, 1, ["noop()"]) is True


async def test_every_instance_is_played_twice() -> None:
    numbers = count()

    class LaterDrifting(Press):
        async def setup(self, page, seed):
            goal = await super().setup(page, seed)
            number = next(numbers) if seed != FIRST_SEED else 0
            await page.evaluate("n => document.body.append('visitor ' + n)", number)
            return goal

    found = await checked(LaterDrifting, Effort(seeds=2, trials=0, random=0, idle=0, twice=2))
    assert found.deterministic is False
    assert found.outcomes["same"] == "10"


DRAWN = """
from random import Random
from webdojo.tasks import Outcome, Task
from webdojo.tasks.calls import click
COLOURS = {"red", "blue", "green", "black", "white", "pink", "teal", "gold"}

class Pick(Task):
    id = "check-sets.pick"
    async def setup(self, page, seed):
        chance = Random(seed)
        shown = chance.sample(list(COLOURS), 4)
        self.wanted = chance.choice(shown)
        await page.set_content("".join(
            f"<button onclick='document.title=this.textContent'>{c}</button>" for c in shown))
        return f"Press {self.wanted}."
    async def evaluate(self, page, answer):
        title = await page.title()
        return Outcome(float(title == self.wanted), bool(title))
    def oracle(self, view):
        yield click(view.bid("button", view.goal.split()[1].rstrip(".")))
"""


@pytest.mark.parametrize(("ordered", "same"), [("list", False), ("sorted", True)])
async def test_chance_by_the_order_of_a_set_is_found(write, ordered: str, same: bool) -> None:
    (task_id,) = load_tasks_file(write(DRAWN.replace("list(COL", f"{ordered}(COL")))
    effort = Effort(seeds=2, trials=0, random=0, idle=0, twice=2)
    (found,) = await certify([registry.entry(task_id)], effort)
    assert found.outcomes["same"] == "11"
    assert found.deterministic is same
    if not same:
        (problem,) = found.problems
        # Which button is wanted may be the same by chance; that all four are is not.
        assert problem.startswith("two processes give other instances of one seed (")
        assert "sort sets" in problem


async def test_a_long_goal_is_compared_too(write) -> None:
    sound = DRAWN.replace("list(COL", "sorted(COL").replace(
        'f"Press', "f\"{'Look. ' * 20_000}Press"
    )
    sound = sound.replace("split()[1]", "split()[-1]")
    (task_id,) = load_tasks_file(write(sound))
    effort = Effort(seeds=2, trials=0, random=0, idle=0, twice=2)
    (found,) = await certify([registry.entry(task_id)], effort)
    assert found.problems == ()


async def test_what_another_process_cannot_set_up_is_told(write) -> None:
    sound = DRAWN.replace("list(COL", "sorted(COL")
    only_here = f"import os, sys\nif os.getpid() != {os.getpid()}: raise SystemExit(7)\n"
    (task_id,) = load_tasks_file(write(only_here + sound))
    effort = Effort(seeds=2, trials=0, random=0, idle=0, twice=2)
    (found,) = await certify([registry.entry(task_id)], effort)
    (problem,) = found.problems
    assert problem.startswith("a second process could not set it up: ")
    assert "line 2: SystemExit: 7" in problem


WAY_OUT = (
    "; let the seed choose what differs, or say why there is one instance:"
    ' caveats = { goals = "…" } in a TOML file, caveats = {"goals": "…"} in a class'
)
ALIKE = "every seed gives the same goal and the same text to read" + WAY_OUT


async def test_one_instance_does_not_tell_whether_seeds_differ() -> None:
    found = await checked(Press, Effort(seeds=1, trials=1, random=1, idle=1))
    assert found.problems == (
        "whether seeds differ was not checked: that takes --seeds 2 or more" + WAY_OUT,
    )


async def test_seeds_that_change_nothing_are_found() -> None:
    class Fixed(Press):
        async def setup(self, page, seed):
            return await super().setup(page, 1)

    assert (await checked(Fixed)).problems == (ALIKE,)


@pytest.mark.parametrize(
    "noise",
    [
        "<div style='display:none'>{n}</div><p style='opacity:0'>{n}</p><i data-x={n}></i>",
        "<div style='width:1px;height:1px;background:rgb({n},255,255)'></div>",
        "<p style='font-size:1px'>{n}</p>",
    ],
)
async def test_what_nobody_can_read_makes_no_other_instance(noise: str) -> None:
    class Noisy(Press):
        async def setup(self, page, seed):
            goal = await super().setup(page, 1)
            mark = noise.format(n=seed % 256)
            await page.evaluate("html => document.body.insertAdjacentHTML('beforeend', html)", mark)
            return goal + "\u200b" * (seed % 2)

        def oracle(self, view):
            yield click(view.bid("button", "1"))

    found = await checked(Noisy, Effort(seeds=2, trials=0, random=0, idle=0, twice=0))
    assert found.problems == (ALIKE,)


async def test_two_pages_of_one_goal_differ_by_what_they_say() -> None:
    class Said(Press):
        async def setup(self, page, seed):
            await super().setup(page, seed)
            said = f"<h1>{self.wanted}</h1>"
            await page.evaluate("html => document.body.insertAdjacentHTML('beforeend', html)", said)
            return "Press the number that is said."

        def oracle(self, view):
            yield click(view.bid("button", view.soup.h1.get_text()))

    found = await checked(Said, Effort(seeds=2, trials=0, random=0, idle=0, twice=0))
    assert (found.problems, found.goals, found.instances) == ((), 1, 2)


async def test_a_reason_excuses_and_stays_in_sight() -> None:
    class Excused(Press):
        rewards = (0.0, 1.0)
        caveats = {"mutated": "any button will do"}  # noqa: RUF012

    found = await checked(Excused)
    assert found.problems == ()
    assert found.excuses == ("50% of the wrong solutions are rewarded: any button will do",)
    assert not any("caveats =" in note for note in found.notes)


async def test_a_wrong_solution_that_is_rewarded_is_told_with_the_ways_out() -> None:
    class Blind(Press):
        rewards = (0.0, 1.0)

    found = await checked(Blind)
    (told,) = (note for note in found.notes if note.startswith("the first wrong solution"))
    assert told.endswith('caveats = { mutated = "…" } in a TOML file')


async def test_no_reason_excuses_a_reward_for_nothing() -> None:
    class Excused(Press):
        rewards = (1.0, 1.0)
        caveats = {"noop": "it is generous", "mutated": "it is generous"}  # noqa: RUF012  # no task that is registered has the first

    found = await checked(Excused)
    assert found.problems == ("doing nothing is rewarded on 100%",)
    assert [excuse.partition(" of ")[0] for excuse in found.excuses] == ["100%"]


async def test_a_reason_that_excuses_nothing_is_told() -> None:
    class Careful(Press):
        caveats = {"mutated": "any button will do"}  # noqa: RUF012

    found = await checked(Careful)
    assert found.notes == ("the caveat 'mutated' excused nothing: any button will do",)
