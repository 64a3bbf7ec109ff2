"""Pages where text is marked, scrolled, styled or resized."""

from __future__ import annotations

from webdojo.tasks.calls import call, click, fill, mouse_click, mouse_drag, press, scroll
from webdojo.tasks.miniwob.oracles.looking import box, colour_gap, middle, rgb, seen, words
from webdojo.tasks.miniwob.oracles.oracle import solves
from webdojo.tasks.miniwob.oracles.reading import button, match, ordinal, quoted
from webdojo.tasks.task import Oracle
from webdojo.tasks.view import OracleError, PageView, text_of

# The colours of the editor's palette that stand for each name, strongest first.
PALETTE = {
    "red": (230, 0, 0),
    "orange": (255, 153, 0),
    "yellow": (255, 255, 0),
    "green": (0, 138, 0),
    "blue": (0, 102, 204),
    "purple": (153, 51, 255),
}


@solves("highlight-text")
def mark_text(view: PageView) -> Oracle:
    """Drag the mouse over the paragraph, then submit."""
    view = yield _mark_words(view, seen(view, id="randomText")[0])
    yield click(button(view))


@solves("highlight-text-2")
def mark_numbered_text(view: PageView) -> Oracle:
    """Drag the mouse over the paragraph with the goal's number, then submit."""
    view = yield _mark_words(view, seen(view, "p")[ordinal(view.goal) - 1])
    yield click(button(view))


def _mark_words(view: PageView, paragraph: object, only: str = "") -> str:
    from bs4 import Tag

    assert isinstance(paragraph, Tag)
    chosen = [word for word in words(paragraph) if not only or text_of(word) == only]
    if not chosen:
        raise OracleError(f"the paragraph has no word {only!r}")
    if only:
        chosen = chosen[:1]
    x, y, _, height = box(chosen[0])
    to_x, to_y, width, to_height = box(chosen[-1])
    return mouse_drag(x, y + height / 2, to_x + width, to_y + to_height / 2)


@solves("text-editor")
def style_text(view: PageView) -> Oracle:
    """Mark the text, then press the button or choose the colour, then submit."""
    wanted, kind, style = match(r"(?:text|make|give) (\S+)(?: the)? (style|color) (\w+)", view.goal)
    only = "" if wanted == "everything" else wanted
    view = yield _mark_words(view, seen(view, class_="ql-editor")[0].find("p"), only)
    if kind == "color":
        view = yield click(view.bid("span", class_="ql-picker-label"))
        best = min(
            (
                tag
                for tag in seen(view, "span", class_="ql-picker-item")
                if "background" in tag.attrs
            ),
            key=lambda tag: colour_gap(rgb(tag["background"]), PALETTE[style]),
        )
        view = yield mouse_click(*middle(best))
    else:
        name = {"italics": "italic", "underlined": "underline"}.get(style, style)
        view = yield click(view.bid("button", class_=f"ql-{name}"))
    yield click(button(view))


@solves("resize-textarea")
def resize(view: PageView) -> Oracle:
    """Drag the handle at the lower right corner, then submit."""
    dimension, change = match(r"the (width|height) is (larger|smaller)", view.goal)
    x, y, width, height = box(seen(view, "textarea")[0])
    step = 14 if change == "larger" else -14
    corner = x + width - 4, y + height - 4
    to_x = corner[0] + (step if dimension == "width" else 0)
    to_y = corner[1] + (step if dimension == "height" else 0)
    view = yield mouse_drag(*corner, to_x, to_y)
    yield click(button(view))


@solves("scroll-text-2")
def scroll_to_end(view: PageView) -> Oracle:
    """Put the caret at one end of the text, which scrolls there, then submit."""
    key = "Control+End" if "bottom" in view.goal else "Control+Home"
    view = yield press(view.bid("textarea"), key)
    yield click(button(view))


@solves("sign-agreement")
def sign(view: PageView) -> Oracle:
    """Scroll the agreement to its end, enter the name, press the wanted button."""
    if "Click the cancel button" not in view.goal:
        name, label = quoted(view.goal)
        view = yield call("mouse_move", *middle(seen(view, "textarea")[0]))
        view = yield scroll(0, 5000)
        view = yield fill(view.bid("input"), name)
    else:
        label = "Cancel"
    yield click(button(view, label))
