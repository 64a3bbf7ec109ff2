"""The MiniWoB++ pages: which there are, which resemble each other, how long they take.

Split and similarity groups are those that BrowserGym publishes (benchmark metadata of
``browsergym-experiments`` 0.14): 62 pages to train on and 63 to test on, related pages always on
the same side. The three flight pages are not in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from webdojo.tasks.task import Difficulty

Side = Literal["train", "test", ""]

# One similarity group a line.
TRAIN = """
book-flight book-flight-nodelay
buy-ticket
choose-date choose-date-easy choose-date-medium choose-date-nodelay
circle-center
click-checkboxes click-checkboxes-large click-checkboxes-soft click-checkboxes-transfer
click-collapsible click-collapsible-2 click-collapsible-2-nodelay click-collapsible-nodelay
click-dialog click-dialog-2
click-option
click-shades
click-test-2 click-test-transfer
count-shape
daily-calendar
drag-box drag-shapes drag-shapes-2
drag-items drag-sort-numbers
drag-single-shape
draw-circle
draw-line
enter-date enter-password enter-text enter-text-2 enter-text-dynamic enter-time
find-midpoint
focus-text focus-text-2
form-sequence
identify-shape
login-user login-user-popup
multi-layouts multi-orderings
navigate-tree
odd-or-even
read-table read-table-2
search-engine
text-editor
text-transform
unicode-test
use-autocomplete use-autocomplete-nodelay
use-colorwheel use-colorwheel-2
use-slider use-slider-2
visual-addition
"""
TEST = """
ascending-numbers
bisect-angle
choose-list
click-button
click-button-sequence
click-color
click-link
click-menu click-menu-2
click-pie click-pie-nodelay
click-scroll-list
click-shape
click-tab
click-tab-2 click-tab-2-easy click-tab-2-hard click-tab-2-medium
click-test
click-widget
copy-paste copy-paste-2
count-sides
drag-circle
drag-cube
drag-items-grid
email-inbox email-inbox-delete email-inbox-forward email-inbox-forward-nl \
email-inbox-forward-nl-turk email-inbox-important email-inbox-nl-turk email-inbox-noscroll \
email-inbox-reply email-inbox-star-reply
find-greatest
find-word
form-sequence-2
form-sequence-3
generate-number
grid-coordinate
guess-number
highlight-text highlight-text-2
hot-cold
number-checkboxes
order-food
phone-book
resize-textarea
right-angle
scroll-text scroll-text-2
sign-agreement
simple-algebra simple-arithmetic
social-media social-media-all social-media-some
stock-market
terminal
tic-tac-toe
use-spinner
"""
FLIGHTS = "flight-aa flight-alaska flight-alaska-auto"

HORIZON = 10
LONGER = {
    "book-flight": 20,
    "book-flight-nodelay": 20,
    "choose-date": 20,
    "choose-date-nodelay": 20,
    "click-checkboxes-large": 20,
    "drag-cube": 30,
    "draw-circle": 20,
    "hot-cold": 20,
    "number-checkboxes": 20,
    "stock-market": 20,
}
"""Horizons of pages that may take more than ten actions."""
MEDIUM = frozenset(
    {
        "ascending-numbers",
        "click-checkboxes-soft",
        "click-pie",
        "click-shades",
        "daily-calendar",
        "drag-items-grid",
        "drag-shapes-2",
        "draw-line",
        "email-inbox-forward",
        "email-inbox-forward-nl",
        "email-inbox-forward-nl-turk",
        "email-inbox-reply",
        "guess-number",
        "login-user-popup",
        "multi-layouts",
        "multi-orderings",
        "odd-or-even",
        "order-food",
        "search-engine",
        "social-media-all",
        "social-media-some",
        "terminal",
        "tic-tac-toe",
        "use-slider",
        "use-slider-2",
        "use-spinner",
    }
)
"""Pages whose oracle takes four to six actions on average."""
HARD = frozenset(
    {
        "book-flight",
        "book-flight-nodelay",
        "choose-date",
        "choose-date-nodelay",
        "click-checkboxes-large",
        "drag-cube",
        "draw-circle",
        "hot-cold",
        "number-checkboxes",
        "stock-market",
    }
)
"""Pages whose oracle takes seven actions or more on average."""
FRESH_PAGE = frozenset(
    {
        "book-flight",
        "book-flight-nodelay",
        "click-pie",
        "click-pie-nodelay",
        "drag-cube",
        "drag-items",
        "drag-items-grid",
        "drag-sort-numbers",
        "form-sequence",
        "stock-market",
        "use-autocomplete",
        "use-autocomplete-nodelay",
        "use-colorwheel",
        "use-colorwheel-2",
        "use-slider",
        "use-slider-2",
    }
)
"""Pages on which an episode leaves traces that the next one shows."""


@dataclass(frozen=True, slots=True)
class Page:
    """What is known about one page."""

    name: str
    group: str
    """Name of the first page of its similarity group."""
    side: Side
    """Side of the published split; empty if the page is not in it."""
    difficulty: Difficulty
    horizon: int
    reuse_page: bool


def pages() -> list[Page]:
    """All pages, sorted by name."""
    sides: tuple[tuple[Side, str], ...] = (("train", TRAIN), ("test", TEST))
    found = [
        _page(name, group[0], side)
        for side, text in sides
        for group in map(str.split, text.strip().splitlines())
        for name in group
    ]
    return sorted(found, key=lambda page: page.name)


def _page(name: str, group: str, side: Side) -> Page:
    difficulty: Difficulty = "hard" if name in HARD else "medium" if name in MEDIUM else "easy"
    return Page(
        name, group, side, difficulty, LONGER.get(name, HORIZON), reuse_page=name not in FRESH_PAGE
    )
