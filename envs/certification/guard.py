"""Mistakes in a task's own ``setup`` and ``evaluate``, told with their place."""

from __future__ import annotations

import traceback
from http import HTTPStatus
from numbers import Real
from typing import TYPE_CHECKING, Any

from webdojo.envs.certification.overdue import Overdue, in_time
from webdojo.envs.certification.place import place_of
from webdojo.tasks.errors import UserError
from webdojo.tasks.imports.live import LiveTask
from webdojo.tasks.task import Outcome, Task

if TYPE_CHECKING:
    from playwright.async_api import Page, Response

MENDS = {
    "ERR_FILE_NOT_FOUND": "there is no such file; correct the path",
    "ERR_CONNECTION_REFUSED": "no server listens there; start it first"
    " (sites outside this machine are reached with WEBDOJO_NETWORK=open alone)",
    "ERR_NAME_NOT_RESOLVED": "there is no such host; correct the address",
    "ERR_INVALID_URL": "write an absolute address",
    "invalid URL": "write a whole address, such as file:///folder/page.html",
    "Download is starting": "the address gives a file to be kept; give that of a page",
}


class AwayError(UserError):
    """The task's site or its judge was away, so nothing was found out about the task."""


def guarded(task: Task, source: str) -> Task:
    """The task, raising UserError with ``source`` where its own code is at fault.

    A page that is not there, an error raised in ``setup`` or ``evaluate``, and a goal or outcome
    of the wrong kind are the task's own faults; a browser that died is not.
    """
    whole_setup, whole_evaluate, whole_judge = task.setup, task.evaluate, task.judge
    place = f"{source}: {task.id}"

    async def setup(page: Page, seed: int) -> str:
        missing: list[Response] = []

        def hear(response: Response) -> None:
            opens = response.request.is_navigation_request() and response.frame == page.main_frame
            if opens and response.status >= HTTPStatus.BAD_REQUEST:
                missing.append(response)

        page.on("response", hear)
        try:
            goal: Any = await in_time(whole_setup(page, seed), task, f"{place}: setup")
        except Exception as error:
            raise _told(error, task, source, f"{place}: setup") from error
        finally:
            page.remove_listener("response", hear)
        # A page of another's site may be away; its task tells that from a fault by itself.
        if missing and not isinstance(task, LiveTask):
            raise UserError(
                f"{place}: setup: {missing[-1].url} answers {missing[-1].status};"
                " give the address of a page that is there"
            )
        if not isinstance(goal, str) or not goal.strip():
            raise UserError(f"{place}: setup must return the goal as a text; it returned {goal!r}")
        return goal

    async def evaluate(page: Page, answer: str | None) -> Outcome:
        try:
            found = await in_time(whole_evaluate(page, answer), task, f"{place}: evaluate")
            outcome = _checked(found, f"{place}: evaluate")
        except Exception as error:
            raise _told(error, task, source, f"{place}: evaluate") from error
        if outcome.blocked:
            raise AwayError(f"{outcome.message}; check it where the site answers")
        if outcome.undecided and outcome.done:
            raise AwayError(f"{outcome.message}; check it where the judge answers")
        return outcome

    def judge(value: Any, *answer: Any) -> Any:
        if not task.verdict:
            return whole_judge(value, *answer)  # a function of the task's own that has this name
        try:
            with Overdue(task, f"{place}: judge"):
                found = whole_judge(value, *answer)
            return _checked(found, f"{place}: judge")
        except Exception as error:
            raise _told(error, task, source, f"{place}: judge") from error

    for name, method in (("setup", setup), ("evaluate", evaluate), ("judge", judge)):
        setattr(task, name, method)
    return task


def _checked(outcome: Any, place: str) -> Outcome:
    if not isinstance(outcome, Outcome):
        raise UserError(f"{place} must return an Outcome; it returned {outcome!r}")
    reward: Any = outcome.reward
    done: Any = outcome.done
    if not isinstance(reward, Real) or not 0 <= float(reward) <= 1:
        raise UserError(f"{place}: reward must be a number in 0 … 1; it is {reward!r}")
    if done is None or isinstance(done, str):
        raise UserError(f"{place}: done must be True or False; it is {done!r}")
    return outcome


def _told(error: Exception, task: Task, source: str, place: str) -> Exception:
    """The error with its place; what the browser alone is to blame for stays what it is."""
    from playwright.async_api import Error

    if isinstance(error, UserError):
        return error if str(error).startswith(source) else UserError(f"{source}: {error}")
    if isinstance(error, Error):
        first = error.message.splitlines()[0]
        mend = next((words for code, words in MENDS.items() if code in first), "")
        if "net::" not in first and not mend:
            return error
        return UserError(f"{place}: {first}{': ' if mend else ''}{mend}")
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = place_of(error, task) or f"{last.filename}:{last.lineno}: {last.line}"
    return UserError(f"{place}: {where}: {type(error).__name__}: {error}")
