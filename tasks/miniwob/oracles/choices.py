"""Pages with checkboxes, radio buttons and lists."""

from __future__ import annotations

from webdojo.tasks.calls import click, select_option
from webdojo.tasks.miniwob.oracles.oracle import solves
from webdojo.tasks.miniwob.oracles.reading import bid_of, button, match, ordinal
from webdojo.tasks.task import Oracle
from webdojo.tasks.view import OracleError, PageView, text_of


@solves("click-option")
def radio_button(view: PageView) -> Oracle:
    """Choose one radio button and submit."""
    wanted = match(r"Select (.+) and click Submit", view.goal)[0]
    view = yield click(_labelled(view, wanted))
    yield click(button(view))


@solves("click-checkboxes", "click-checkboxes-transfer", "click-checkboxes-large")
def checkboxes(view: PageView) -> Oracle:
    """Check every named box and submit."""
    wanted = match(r"Select (.+) and click Submit", view.goal)[0]
    for name in wanted.split(", ") if wanted != "nothing" else []:
        view = yield click(_labelled(view, name))
    yield click(button(view))


@solves("choose-list")
def drop_down(view: PageView) -> Oracle:
    """Choose from a drop-down list and submit."""
    wanted = match(r"Select (.+) from the list", view.goal)[0]
    view = yield select_option(view.bid("select"), wanted)
    yield click(button(view))


@solves("click-scroll-list")
def scroll_list(view: PageView) -> Oracle:
    """Choose one or several entries of a list and submit."""
    wanted = match(r"Select (.+) from the scroll list", view.goal)[0]
    view = yield select_option(view.bid("select"), wanted.split(", "))
    yield click(button(view))


@solves("form-sequence-2")
def radio_then_text(view: PageView) -> Oracle:
    """Check a numbered radio button, fill a numbered text box, submit."""
    from webdojo.tasks.calls import fill

    radio, number, box = match(
        r'(\d+)\w\w radio button and enter the number "(-?\d+)" into the (\d+)', view.goal
    )
    view = yield click(bid_of(view.all("input", type="radio")[int(radio) - 1]))
    view = yield fill(bid_of(view.all("input", type="text")[int(box) - 1]), number)
    yield click(button(view))


@solves("form-sequence-3")
def drop_down_then_button(view: PageView) -> Oracle:
    """Choose from a styled drop-down list, then click the named button."""
    wanted, label = match(r'Choose (.+) from the dropdown, .* labeled "(.+)"', view.goal)
    view = yield select_option(view.bid("select"), wanted)
    yield click(view.bid("button", label))


@solves("number-checkboxes")
def drawn_number(view: PageView) -> Oracle:
    """Draw a digit with checkboxes, four to a row, seven rows."""
    digit = int(match(r'"(\d)"', view.goal)[0])
    boxes = view.all("input", type="checkbox")
    for place, cell in enumerate("".join(DIGITS[digit])):
        if cell == "#":
            view = yield click(bid_of(boxes[place]))
    yield click(button(view))


def _labelled(view: PageView, label: str) -> str:
    for tag in view.soup.find_all("label"):
        control = tag.find("input")
        if control is not None and text_of(tag) == label:
            return bid_of(control)
    raise OracleError(f"no box labelled {label!r} for goal {view.goal!r}")


DIGITS: list[list[str]] = []
_ = ordinal
