"""Certification tells mistakes in a task's code, its oracle's among them, with their place."""

from __future__ import annotations

import asyncio
import io
import json
import re
import socket
import sys
import tempfile
import time
from pathlib import Path

import pytest
from press_task import QUICK, Press, checked

from webdojo.envs.certification import certify, overdue
from webdojo.tasks import Outcome, Task
from webdojo.tasks.calls import click
from webdojo.tasks.evaluators import Database, EvaluatedTask, Python
from webdojo.tasks.registry import Entry


async def test_an_oracle_that_fails_is_told_with_its_reason() -> None:
    class Lost(Press):
        def oracle(self, view):
            yield click(view.bid("button", "9"))

    found = await checked(Lost)
    assert found.oracle_success == 0.0
    assert re.search(
        r"the oracle solves 0% \(\S*test_task_mistakes\.py:\d+: yield click\(view\.bid\(\"button\","
        r" \"9\"\)\): OracleError: no <button>"
        r" with text '9'",
        found.problems[0],
    )


@pytest.mark.slow
async def test_an_oracle_that_is_broken_is_told_and_the_others_go_on() -> None:
    class Misspelt(Press):
        id = "check.misspelt"

        def oracle(self, view):
            yield "clik(1)"

    class Raising(Press):
        id = "check.raising"

        def oracle(self, view):
            yield str(1 / 0)

    class Returning(Press):
        id = "check.returning"

        def oracle(self, view):
            return [click("1")]

    class Empty(Press):
        id = "check.empty"

        def oracle(self, view):
            yield None

    class Wrong(Press):
        id = "check.wrong"

        def oracle(self, view):
            yield click(view.bid("button", str((int(view.goal[-1]) + 1) % 4)))

    broken = (Misspelt, Raising, Returning, Empty, Wrong)
    found = await certify([Entry(task, "here") for task in (*broken, Press)], QUICK, contexts=2)
    told = (
        "unknown action 'clik'",
        ".py:",
        "must yield actions",
        ": yield None: the oracle yielded None, which is no action; yield a call",
        "reward 0 at click",
    )
    for one, words in zip(found[:-1], told, strict=True):
        assert one.oracle_success == 0.0
        assert words in one.problems[0]
    assert "ZeroDivisionError" in found[1].problems[0]
    assert found[-1].problems == ()


async def test_an_oracle_that_stops_early_is_told_with_the_evaluators_reason() -> None:
    class Early(EvaluatedTask):
        id = "check.early"

        async def start(self, page, seed):
            await page.set_content(f"<button>{seed}</button>")
            self.checks = Database(path="/no/such/shop.db", query="select 1", expected=1)
            return f"Press {seed}"

        def oracle(self, view):
            yield click(view.bid("button"))

    found = await checked(Early)
    assert "the oracle stopped before the episode was over" in found.problems[0]
    assert "the evaluator says: select 1: unable to open database file" in found.problems[0]


async def test_an_oracle_does_not_know_what_setup_kept() -> None:
    class Knowing(Press):
        def oracle(self, view):
            yield click(view.bid("button", self.wanted))

    found = await checked(Knowing)
    assert found.oracle_success == 0.0
    assert "has no attribute 'wanted'" in found.problems[0]


class NotThere(Press):
    async def setup(self, page, seed):
        await page.goto("file:///no/such/page.html")
        return "Go"


class NoAddress(Press):
    async def setup(self, page, seed):
        await page.goto("page.html")
        return "Go"


class NobodyListens(Press):
    async def setup(self, page, seed):
        with socket.socket() as held:  # a port that nobody listens on, and nobody else is given
            held.bind(("127.0.0.1", 0))
            await page.goto(f"http://127.0.0.1:{held.getsockname()[1]}/")
        return "Go"


class Kept(Press):
    folder = tempfile.TemporaryDirectory()
    file = Path(folder.name, "page.bin")
    file.write_bytes(b"0")

    async def setup(self, page, seed):
        await page.goto(self.file.as_uri())
        return "Go"


class Siteless(EvaluatedTask):
    id = "check.press"

    async def start(self, page, seed):
        self.checks = Database(path="shop.db", query="select 1", expected=1)
        return "Go"

    def oracle(self, view):
        yield "noop()"


class Unchecked(EvaluatedTask):
    id = "check.press"

    async def start(self, page, seed):
        return "Go"

    def oracle(self, view):
        yield "noop()"


class Broken(Press):
    async def setup(self, page, seed):
        return f"Press {[][seed]}"


class Speechless(Press):
    async def setup(self, page, seed):
        await super().setup(page, seed)


class Careless(Press):
    async def evaluate(self, page, answer):
        return 1.0


class Overreaching(Press):
    async def evaluate(self, page, answer):
        return Outcome(float(json.loads("{")), done=True)


class Wordy(Press):
    async def evaluate(self, page, answer):
        return Outcome("1", True)


class Undecided(Press):
    async def evaluate(self, page, answer):
        return Outcome(0.0, "no")


def blind():
    return True


class Blind(EvaluatedTask):
    id = "check.press"

    async def start(self, page, seed):
        self.checks = Python(function=blind)
        return "Go"

    def oracle(self, view):
        yield "noop()"


class Lavish(Press):
    async def evaluate(self, page, answer):
        return Outcome(2.0, done=True)


class Unsolved(Press):
    oracle = Task.oracle


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (NotThere, ("setup: Page.goto: net::ERR_FILE_NOT_FOUND", "no/such/page.html")),
        (NoAddress, ("setup: Page.goto: ", "invalid URL: write a whole address, such as file:")),
        (NobodyListens, ("setup: Page.goto", "no server listens there; start it first")),
        (Kept, ("setup: Page.goto: Download is starting", "give that of a page")),
        (Siteless, ("checks: database looks for 'shop.db'", "give it one: serves = Site(")),
        (Unchecked, ("start must set self.checks to an evaluator",)),
        (Broken, ("setup: ", "test_task_mistakes.py:", '[][seed]}": IndexError')),
        (Overreaching, ("evaluate: ", "test_task_mistakes.py:", "done=True): JSONDecodeError")),
        (Speechless, ("setup must return the goal as a text; it returned None",)),
        (Careless, ("evaluate must return an Outcome; it returned 1.0",)),
        (Lavish, ("evaluate: reward must be a number in 0 … 1; it is 2.0",)),
        (Wordy, ("evaluate: reward must be a number in 0 … 1; it is '1'",)),
        (Undecided, ("evaluate: done must be True or False; it is 'no'",)),
        (Blind, ("test_task_mistakes.py:", "takes the evidence: `def blind(evidence)`")),
        (Unsolved, ("oracle missing; add `def oracle(self, view)`",)),
    ],
)
async def test_mistakes_in_a_tasks_code_are_told_with_their_place(
    task: type[Task], said: tuple[str, ...]
) -> None:
    found = await checked(task)
    (problem,) = found.problems
    assert problem.startswith("here: ")
    assert "check.press" in problem
    for words in said:
        assert words in problem


class Waiting(Press):
    evaluation_s = 60.0  # which its set-up has as well, on a busy machine

    async def setup(self, page, seed):
        goal = await super().setup(page, seed)
        self.evaluation_s = 0.0
        return goal

    async def evaluate(self, page, answer):
        await asyncio.Event().wait()


class WaitingAtFirst(Press):
    async def setup(self, page, seed):
        await asyncio.Event().wait()


@pytest.mark.parametrize(("task", "method"), [(Waiting, "evaluate"), (WaitingAtFirst, "setup")])
async def test_code_that_waits_for_ever_is_ended_and_told(
    task: type[Task], method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overdue, "CODE_S", 0.5)
    (problem,) = (await checked(task)).problems
    assert problem.startswith(
        f"here: check.press: {method} has not returned within 0.5 s; it waits"
    )
    assert "test_task_mistakes.py:" in problem
    assert problem.endswith("await asyncio.Event().wait()")


def test_code_that_never_lets_go_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overdue, "GRACE_S", 0.0)
    # Not capsys: between its reading and its emptying what another thread writes would be lost.
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    with overdue.Overdue(Press(), "here: check.press: evaluate", 0.01):
        until = time.monotonic() + 60
        while "\n" not in stderr.getvalue() and time.monotonic() < until:
            pass
    told = stderr.getvalue()
    assert told.startswith("here: check.press: evaluate has not returned within 0.01 s; it is at ")
    assert "and only Ctrl-C ends it" in told


async def test_a_function_of_a_tasks_own_may_be_called_judge() -> None:
    class Judging(Press):
        def judge(self, pressed):
            return pressed == self.wanted

        async def evaluate(self, page, answer):
            pressed = await page.evaluate("window.pressed")
            return Outcome(float(self.judge(pressed)), done=pressed is not None)

    assert (await checked(Judging)).problems == ()
