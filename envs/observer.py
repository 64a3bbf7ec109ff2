"""What is observed of an episode: each look at its tabs as text in every mode, and as a picture."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial

from webdojo.envs.axtree import to_axtree
from webdojo.envs.budget import beginning, within
from webdojo.envs.marks import draw_marks
from webdojo.envs.observation import Observation
from webdojo.envs.outline import to_outline
from webdojo.envs.page import DrivenPage
from webdojo.envs.page_diff import UNCHANGED, diff_html
from webdojo.envs.pruning import prune_html
from webdojo.envs.screenshots import ScreenshotSpec
from webdojo.envs.shown_tree import prune
from webdojo.envs.snapshot import Node, Snapshot
from webdojo.envs.spec import EnvSpec
from webdojo.envs.tabs import Tabs
from webdojo.tasks.characters import whole


class Observer:
    """Makes the observations of one episode, which begins with the first of them."""

    def __init__(self, spec: EnvSpec, tabs: Tabs, goal: str) -> None:
        self.last: Observation | None = None
        self._spec = spec
        self._tabs = tabs
        self._goal = goal
        self._begun_ms = tabs.elapsed_ms
        self._pictured: tuple[DrivenPage, str] | None = None
        """The page shown last and what its picture was known by."""
        self._before = ""
        """Pruned HTML of the look before, for what is new since."""

    async def observe(
        self, snapshot: Snapshot, *, last_action: str = "", error: str = "", steps: int = 0
    ) -> Observation:
        """The tab shown, of which ``snapshot`` is a look, after so many steps.

        ``error`` says why the last action was not done.
        """
        tabs = self._tabs
        page = tabs.active
        page.title = snapshot.title
        tree = prune(snapshot.tree) if snapshot.tree else None
        texts = {
            mode: self._text(mode, tree, snapshot) for mode in self._spec.modes if mode != "html"
        }
        if "html" in self._spec.modes:
            texts["html"] = beginning(await page.html(), self._spec.max_characters)
        last = self.last
        changed = (
            last is None
            or last.url != snapshot.url
            or any(_differs(last, mode, text) for mode, text in texts.items())
        )
        image = b""
        if self._spec.screenshot is not None:
            image = await self._picture(page, snapshot, self._spec.screenshot)
            changed = changed or (last is not None and last.screenshot != image)
        self.last = Observation(
            goal=self._goal,
            url=snapshot.url,
            title=snapshot.title,
            **texts,
            screenshot=image,
            focused_element_bid=snapshot.focused,
            last_action=last_action,
            last_action_error=whole(error),
            state_hash=_hashed(snapshot.url, self._content(texts, snapshot)),
            page_changed=changed,
            elapsed_steps=steps,
            notices=tabs.heard(),
            open_pages_urls=tuple(tab.page.url for tab in tabs.pages),
            open_pages_titles=tuple(tab.title for tab in tabs.pages),
            page_time_ms=tabs.elapsed_ms - self._begun_ms,
            active_page_index=tabs.pages.index(page),
            viewport=page.size,
            boxes=snapshot.boxes() if "pruned_html" in texts else {},
            tree=snapshot.tree,
        )
        return self.last

    async def _picture(self, page: DrivenPage, snapshot: Snapshot, spec: ScreenshotSpec) -> bytes:
        """The page as it looks; the last picture of it where nothing can have changed that."""
        last, before = self.last, self._pictured
        self._pictured = None
        if snapshot.picture:
            self._pictured = (page, f"{snapshot.picture} {await page.looking.styled()}")
            if before == self._pictured and last and last.tree == snapshot.tree:
                return last.screenshot
        if not spec.marks:
            return await page.looking.screenshot(spec.image_format, spec.quality)
        return draw_marks(await page.looking.screenshot("png", 100), snapshot.boxes(), spec)

    def _content(self, texts: dict[str, str], snapshot: Snapshot) -> str:
        """What tells one state of a page from another, as one text."""
        if "pruned_html" in texts:
            return texts["pruned_html"]
        if "pruned_html_diff" in texts:
            return self._before
        # Not as HTML: what has been typed is not in it.
        written = texts.get("outline") or texts.get("axtree_txt")
        return written or self._text("pruned_html", None, snapshot)

    def _text(self, mode: str, tree: Node | None, snapshot: Snapshot) -> str:
        spec, viewport = self._spec, self._tabs.active.size
        write: Callable[[Node | None], str]
        if mode in ("pruned_html", "pruned_html_diff"):
            text = prune_html(
                snapshot.tree,
                rules=spec.rules,
                max_characters=spec.max_characters,
                viewport=viewport,
            )
            if mode == "pruned_html":
                return text
            before, self._before = self._before, text
            return diff_html(before, text)
        if mode == "outline":
            write = partial(to_outline, without=self._goal)
        else:
            write = partial(to_axtree, title=snapshot.title)
        return within(tree, write, spec.max_characters, viewport)


def _hashed(url: str, content: str) -> str:
    return hashlib.sha256(f"{url}\0{content}".encode()).hexdigest()[:16]


def _differs(last: Observation, mode: str, text: str) -> bool:
    return text != UNCHANGED if mode == "pruned_html_diff" else getattr(last, mode) != text
