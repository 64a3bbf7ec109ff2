"""A suite's certificate says what a check finds.

It is written by ``webdojo tasks check miniwob --seeds 20 --write``, the other suite's with three
to five seeds. Each line has the outcome of every episode; a check is held to those it plays too.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from webdojo.envs.certification import Effort, certify
from webdojo.envs.certification.certificate import (
    certificate_path,
    differences,
    read_certificate,
    write_certificate,
)
from webdojo.envs.certification.report import ORACLE_BAR
from webdojo.tasks import miniwob, registry
from webdojo.tasks.errors import UserError
from webdojo.tasks.miniwob.browsergym import PART_MARKS
from webdojo.tasks.miniwob.catalogue import UNSOLVED

FOLDER = Path(miniwob.__file__).parent
CERTIFIED = read_certificate(certificate_path(FOLDER, "miniwob"))
BESIDE = read_certificate(certificate_path(FOLDER, "browsergym-miniwob"))
SEEDS = 20
FEWER_SEEDS = 3
"""Of the suite that figures are set beside BrowserGym's with."""
BESIDE_SAMPLE = (
    *("click-button", "click-checkboxes", "phone-book", "right-angle", "odd-or-even"),
    *("find-greatest", "use-colorwheel-2", "book-flight", "search-engine", "click-collapsible"),
)
SAMPLE = ["miniwob.click-button", "miniwob.login-user", "miniwob.count-shape", "miniwob.terminal"]


async def shortfalls(task_ids: list[str], effort: Effort) -> list[str]:
    reports = await certify([registry.entry(i) for i in task_ids], effort)
    return [line for found in reports for line in differences(CERTIFIED[found.id], found)]


def test_every_task_is_certified() -> None:
    assert list(CERTIFIED) == list(registry.task_ids("miniwob"))
    assert {task["id"]: task["problems"] for task in CERTIFIED.values() if task["problems"]} == {}
    played = {task["seeds"] for key, task in CERTIFIED.items() if key[8:] not in UNSOLVED}
    assert min(played) >= SEEDS


def test_oracles_solve_at_least_120_tasks() -> None:
    solved = [t for t in CERTIFIED.values() if (t["oracle_success"] or 0) >= ORACLE_BAR]
    assert len(solved) >= 120


def test_what_is_not_always_solved_is_written_down() -> None:
    told = (Path(__file__).parents[3] / "docs" / "certification.md").read_text(encoding="utf-8")
    for key, task in CERTIFIED.items():
        solved = task["outcomes"]["oracle"]
        if "0" in solved:
            assert f"`{key[8:]}` ({solved.count('1')} of {len(solved)})" in told


def test_the_suite_that_is_compared_with_browsergyms_is_certified() -> None:
    assert list(BESIDE) == list(registry.task_ids("browsergym-miniwob"))
    assert {task["id"]: task["problems"] for task in BESIDE.values() if task["problems"]} == {}
    assert min(task["seeds"] for task in BESIDE.values()) >= FEWER_SEEDS
    assert {task["noop_success"] for task in BESIDE.values()} == {0.0}


def test_nothing_is_rewarded_for_doing_nothing_and_every_target_is_shown() -> None:
    assert {task["noop_success"] for task in CERTIFIED.values()} == {0.0}
    assert {task["oracle_targets_kept"] for task in CERTIFIED.values()} <= {1.0, None}
    differ = {key for key, task in CERTIFIED.items() if task["deterministic"] is False}
    assert differ == set()


async def test_a_check_finds_what_is_certified() -> None:
    assert await shortfalls(SAMPLE, Effort(seeds=2, trials=2, random=1, idle=1)) == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
async def test_checks_of_all_tasks_find_what_is_certified() -> None:
    assert await shortfalls(list(CERTIFIED), Effort(seeds=4, trials=2, random=1, idle=1)) == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_a_sample_of_browsergyms_tasks_is_certified_when_played() -> None:
    sample = [registry.entry(f"browsergym-miniwob.{name}") for name in BESIDE_SAMPLE]
    found = await certify(sample, Effort(seeds=3, trials=3, random=2, idle=1))
    assert {one.id: one.problems for one in found if one.problems} == {}


def test_reasons_for_part_marks_are_given_where_wrong_solutions_earn_them() -> None:
    """A caveat that no certified episode needs is none; those of both suites are the pages' own."""
    used = {key for key, task in BESIDE.items() if task["mutated_success"]}
    given = {f"browsergym-miniwob.{name}" for name in PART_MARKS}
    assert given <= used


async def test_a_certificate_keeps_what_was_not_checked_again(tmp_path: Path) -> None:
    path = certificate_path(tmp_path, "miniwob")
    effort = Effort(seeds=1, trials=1, random=0, idle=1)
    one, other = await certify([registry.entry(i) for i in SAMPLE[:2]], effort)
    write_certificate(path, [one, other], keep=SAMPLE)
    write_certificate(path, [one], keep=SAMPLE)
    assert sorted(read_certificate(path)) == sorted([one.id, other.id])
    write_certificate(path, [one], keep=[one.id])
    assert list(read_certificate(path)) == [one.id]
    goals = f"{one.id}: {one.problems[0]}"
    assert differences(read_certificate(path)[one.id], one) == [goals]
    other_way = read_certificate(path)[one.id]
    other_way["outcomes"] |= {"oracle": "01", "noop": "01", "random": "0110"}
    assert differences(other_way, one) == [
        f"{one.id}: oracle is 1, certified 01: instance 0",
        goals,
    ]
    untold = {k: v for k, v in read_certificate(path)[one.id].items() if k != "outcomes"}
    assert differences(untold, one) == [
        f"{one.id}: its certificate tells no outcomes: write it anew",
        goals,
    ]
    drawn = read_certificate(path)[one.id]
    drawn["outcomes"] |= {"same": "0"}
    assert differences(drawn, one) == [f"{one.id}: same is 1, certified 0: instance 0", goals]
    path.write_text("{}")
    with pytest.raises(UserError, match="not a certificate"):
        read_certificate(path)
