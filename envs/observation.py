"""Observations: what an agent is shown of a page after each step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from webdojo.envs.shown_tree import prune as shown_tree
from webdojo.envs.snapshot import Node
from webdojo.envs.structured_html import to_structured_html
from webdojo.tasks.view import Box, PageView

TEXT_MODES = ("pruned_html", "pruned_html_diff", "outline", "axtree_txt", "html")
"""Forms in which the page's content can be had as text."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at the page. Forms that were not asked for are empty."""

    goal: str
    url: str
    title: str
    pruned_html: str = ""
    pruned_html_diff: str = ""
    """What is new in the pruned HTML since the step before; all of it where that is shorter."""
    outline: str = ""
    axtree_txt: str = ""
    html: str = ""
    """The document as it stands, unpruned and without bids."""
    screenshot: bytes = field(default=b"", repr=False)
    """Encoded image; empty if none was asked for."""
    focused_element_bid: str = ""
    last_action: str = ""
    last_action_error: str = ""
    state_hash: str = ""
    """Tells states apart: a hash of URL and page content, whatever forms were asked for."""
    page_changed: bool = True
    """Whether the page looks different from the step before."""
    elapsed_steps: int = 0
    notices: tuple[str, ...] = ()
    """What happened besides: dialogs answered, tabs opened, navigations and downloads refused."""
    open_pages_urls: tuple[str, ...] = ()
    """Addresses of all tabs, in the order in which they were opened."""
    open_pages_titles: tuple[str, ...] = ()
    """Titles of all tabs when they were last shown."""
    active_page_index: int = 0
    """Which of them is shown."""
    page_time_ms: int = 0
    """Page time that has passed since the episode began."""
    viewport: tuple[int, int] = (1280, 720)
    """Width and height in pixels of what is in view."""
    boxes: Mapping[str, Box] = field(default_factory=dict, repr=False)
    tree: Node | None = field(default=None, repr=False, compare=False)
    """All that was seen of the page, whatever forms were asked for."""

    def view(self) -> PageView:
        """The observation as an oracle reads it: the page's structure as it is."""
        html = to_structured_html(shown_tree(self.tree)) if self.tree else self.pruned_html
        return PageView(goal=self.goal, html=html, url=self.url, boxes=self.boxes)
