"""Tasks on sites that are not ours: they may be away, or turn the agent away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from webdojo.tasks.evaluators.evaluated_task import EvaluatedTask
from webdojo.tasks.imports.blocking import blocked_by
from webdojo.tasks.task import Outcome

if TYPE_CHECKING:
    from playwright.async_api import Page


class LiveTask(EvaluatedTask):
    """A task whose episode ends as blocked when its page turns the visitor away."""

    _status: int | None = None
    _unreachable: str = ""

    async def open(self, page: Page, url: str) -> None:
        """Go to where the task begins; a site that cannot be reached is a blocked one."""
        from playwright.async_api import Error

        self._status, self._unreachable = None, ""
        try:
            response = await page.goto(url)
            self._status = None if response is None else response.status
        except Error as error:
            if page.is_closed():
                raise
            self._unreachable = error.message.splitlines()[0]

    async def evaluate(self, page: Page, answer: str | None) -> Outcome:
        """Judge as usual, unless the site has turned the agent away."""
        documents = [sent.status for sent in self._recorder.requests if sent.navigates]
        status = documents[-1] if documents else self._status
        reason = self._unreachable or await blocked_by(page, status)
        if reason:
            return Outcome(0.0, done=True, message=f"blocked: {reason}", blocked=True)
        return await super().evaluate(page, answer)
