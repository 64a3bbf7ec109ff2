"""The MiniWoB++ pages: which there are, which resemble each other, how long they take.

Split and similarity groups are those that BrowserGym publishes (benchmark metadata of
``browsergym-experiments`` 0.14): 62 pages to train on and 63 to test on, related pages always on
the same side. The timing and the flight pages, which the package carries as well, are on neither
side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from webdojo.tasks.task import Check, Difficulty

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
TIMING = """
button-delay
chase-circle
hover-shape
moving-items
simon-says
"""
FLIGHT = """
flight-aa
flight-alaska flight-alaska-auto flight-alaska-auto-medium
"""
FLIGHT_FOLDERS = {
    "flight-aa": "AA",
    "flight-alaska": "Alaska",
    "flight-alaska-auto": "Alaska-auto",
    "flight-alaska-auto-medium": "Alaska-auto-medium",
}
"""Folder of each flight page in the package's folder ``flight``."""
UNSOLVED = {"hover-shape": "the page never ends an episode and gives no reward"}
"""Pages without an oracle, because nothing solves them."""
SETTINGS = {"simon-says": "BLINK_START = 1500; BLINK_END = 1100"}
"""JavaScript run before a page's episode. Buttons that light up for a quarter of a second would be
dark again at every look, which waits for what is due soon; they are lit for longer than that."""

# What more than one page has in common.
_NEAR = "a colour near the wanted one counts"
_HIDDEN = "instances differ in what is hidden until it is found"
_DRAWN = "instances differ in where things lie and how they are drawn, not in what is written"
DRAWN = frozenset(
    (
        *("ascending-numbers", "bisect-angle", "chase-circle", "circle-center"),
        *("click-button-sequence", "click-test", "click-test-2", "click-test-transfer"),
        *("count-sides", "drag-box", "draw-circle", "find-midpoint", "focus-text", "hover-shape"),
        *("moving-items", "right-angle", "tic-tac-toe", "use-colorwheel-2", "visual-addition"),
    )
)
"""Pages whose goal and text are always the same."""
CAVEATS: dict[str, dict[Check, str]] = {
    "chase-circle": {
        "mutated": "a tenth of the time may be spent outside the circle",
        "deterministic": (
            "that the circle leaves a mouse which stands still is noticed when it is drawn, in real"
            " time: what an agent earns that does not follow it is chance"
        ),
    },
    "click-pie-nodelay": {
        "oracle": (
            "the slice that the page selects at the start is taken out of the document and put back"
            " at every move of the mouse over it, so that no click on it ever ends"
        )
    },
    "click-widget": {"mutated": "any widget of the named kind will do"},
    "drag-circle": {"mutated": "any drag in the named direction will do"},
    "drag-single-shape": {"mutated": "any drag in the named direction will do"},
    "drag-items": {"mutated": "only how high an item is dropped counts"},
    "drag-sort-numbers": {"mutated": "only how high a number is dropped counts"},
    "email-inbox-forward-nl-turk": {
        "oracle": (
            "the page means five of its 146 sentences the other way round: whose email is to be"
            " forwarded is the one whom it is to be forwarded to"
        )
    },
    "find-greatest": {
        "mutated": "only the card that is turned up last counts, whichever were looked at before",
        "goals": _HIDDEN,
    },
    "form-sequence-2": {"mutated": "the page takes any of its radio buttons"},
    "form-sequence-3": {"mutated": "the list opens at its field as well as at its arrow"},
    "generate-number": {"mutated": "one more or one less may fit as well: numbers are random"},
    "guess-number": {
        "mutated": "a wrong guess may be followed by the right one",
        "goals": _HIDDEN,
    },
    "hot-cold": {"goals": _HIDDEN},
    "login-user-popup": {"mutated": "the pop-up empties a field, which is then filled anew"},
    "resize-textarea": {"mutated": "dragging further the same way is as right"},
    "scroll-text-2": {
        "mutated": "any key in the text brings its caret into view, which stands at the top"
    },
    "simon-says": {"goals": "instances differ in what lights up after the first look"},
    "stock-market": {
        "oracle": (
            "the price changes five times between two looks, and may be low enough only unseen: who"
            " buys at the first low price seen wins about 97 % of the games"
        )
    },
    "terminal": {"mutated": "listing the files first is prudent, not needed"},
    "text-editor": {
        "mutated": "any marking that takes in the text and any shade of the colour will do"
    },
    "tic-tac-toe": {
        "oracle": (
            "the page moves at random 55 times of 100 and well otherwise: the best play wins 97 %"
            " of the games that it begins and 73 % of the others, 85 % in all"
        ),
        "mutated": "more than one way of playing wins",
    },
    "use-autocomplete": {"mutated": "any beginning that brings the suggestion up will do"},
    "use-autocomplete-nodelay": {"mutated": "any beginning that brings the suggestion up will do"},
    "use-colorwheel": {"mutated": _NEAR},
    "use-colorwheel-2": {"mutated": _NEAR},
}
"""Checks that a page cannot pass in full, with the reason."""

HORIZON = 10
LONGER = {
    "book-flight": 20,
    "book-flight-nodelay": 20,
    "chase-circle": 30,
    "choose-date": 20,
    "choose-date-nodelay": 20,
    "click-checkboxes-large": 20,
    "drag-cube": 30,
    "draw-circle": 20,
    "flight-aa": 20,
    "flight-alaska": 30,
    "flight-alaska-auto": 30,
    "flight-alaska-auto-medium": 30,
    "hot-cold": 20,
    "moving-items": 20,
    "number-checkboxes": 20,
    "simon-says": 20,
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
        "find-greatest",
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
        "chase-circle",
        "choose-date",
        "choose-date-nodelay",
        "click-checkboxes-large",
        "drag-cube",
        "draw-circle",
        "hot-cold",
        "moving-items",
        "number-checkboxes",
        "simon-says",
        "stock-market",
        *FLIGHT.split(),
    }
)
"""Pages whose oracle takes seven actions or more on average."""
FRESH_PAGE = frozenset(
    {
        *TIMING.split(),
        *FLIGHT.split(),
        "book-flight",
        "book-flight-nodelay",
        "click-pie",
        "click-pie-nodelay",
        "drag-cube",
        "drag-items",
        "drag-items-grid",
        "drag-sort-numbers",
        "focus-text-2",
        "form-sequence",
        "scroll-text",
        "scroll-text-2",
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
    caveats: Mapping[Check, str] = field(default_factory=dict)


def pages() -> list[Page]:
    """All pages, sorted by name."""
    sides: tuple[tuple[Side, str], ...] = (
        ("train", TRAIN),
        ("test", TEST),
        ("", TIMING),
        ("", FLIGHT),
    )
    found = [
        _page(name, group[0], side)
        for side, text in sides
        for group in map(str.split, text.strip().splitlines())
        for name in group
    ]
    return sorted(found, key=lambda page: page.name)


def _page(name: str, group: str, side: Side) -> Page:
    difficulty: Difficulty = "hard" if name in HARD else "medium" if name in MEDIUM else "easy"
    caveats = dict(CAVEATS.get(name, {}))
    if name in DRAWN:
        caveats["goals"] = _DRAWN
    if name in UNSOLVED:
        caveats["oracle"] = UNSOLVED[name]
    return Page(
        name,
        group,
        side,
        difficulty,
        LONGER.get(name, HORIZON),
        reuse_page=name not in FRESH_PAGE,
        caveats=MappingProxyType(caveats),
    )
