"""One page for several episodes of a task: whether the next may begin on it, and how it does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from webdojo.envs.page import DrivenPage
    from webdojo.envs.tabs import Tabs
    from webdojo.tasks.task import Task

MAX_REUSES = 50
"""Episodes that one page is used for: what pages keep adds up, and goes only with their process."""
FORGET_EVERY = 4
"""Pages loaded anew after which the memory of documents that were left is given back."""


class PageReuse:
    """The episodes that one page has seen, all of the task that it was opened for."""

    def __init__(self, task_id: str = "") -> None:
        self.cut_short = False
        """Whether the page has not ended the episode itself: half done, it keeps what was done."""
        self._task_id = task_id
        self._begun_url = ""
        """Where the task has set its page up."""
        self._reuses = 0

    async def begin_again(self, tabs: Tabs, task: Task, seed: int) -> bool:
        """Begin another episode on the same page; False where it needs a page of its own.

        As it does after one that has stored anything.
        """
        self._reuses += 1
        reusable = task.reuse_page and self._task_id == task.id and len(tabs.pages) == 1
        if not (reusable and tabs.alive() and self._reuses < MAX_REUSES):
            return False
        await tabs.active.forget_state()
        if self.cut_short:
            # Before the page left can be there anew and read it.
            kept, _ = await asyncio.gather(tabs.keep_anything(), tabs.forget_fetched())
            if kept:
                return False
            await tabs.active.leave(self._begun_url)
        kept, *_ = await asyncio.gather(
            tabs.keep_anything(), tabs.forget_fetched(), tabs.active.restart(seed)
        )
        return not kept

    def set_up(self, page: DrivenPage) -> None:
        """The task has set its page up."""
        self._begun_url = page.page.url

    def begun(self, page: DrivenPage) -> None:
        """The episode has begun, and is cut short until the page has ended it."""
        if self.cut_short and self._reuses and self._reuses % FORGET_EVERY == 0:
            page.forget_left()
        self.cut_short = True
