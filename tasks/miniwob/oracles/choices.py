"""Pages with checkboxes, radio buttons and lists."""

from __future__ import annotations

from webdojo.tasks.calls import click, fill, select_option
from webdojo.tasks.miniwob.oracles.oracle import solves
from webdojo.tasks.miniwob.oracles.reading import bid_of, button, match
from webdojo.tasks.task import Oracle
from webdojo.tasks.view import OracleError, PageView, text_of

# How the page draws each digit: seven rows of four boxes.
DIGITS = {
    "0": ".##. #..# #..# #..# #..# #..# .##.",
    "1": "..#. .##. ..#. ..#. ..#. ..#. ..#.",
    "2": ".##. #..# #..# ..#. .#.. #... ####",
    "3": ".##. #..# ...# .##. ...# #..# .##.",
    "4": "#... #.#. #.#. #### ..#. ..#. ..#.",
    "5": "#### #... #... ###. ...# #..# .##.",
    "6": ".##. #..# #... ###. #..# #..# .##.",
    "7": "#### #..# ...# ..#. ..#. .#.. .#..",
    "8": ".##. #..# #..# .##. #..# #..# .##.",
    "9": ".##. #..# #..# .### ...# #..# .##.",
}


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
    radio, number, box = match(
        r'(\d+)\w\w radio button and enter the number "(-?\d+)" into the (\d+)', view.goal
    )
    view = yield click(bid_of(view.all("input", type="radio")[int(radio) - 1]))
    view = yield fill(bid_of(view.all("input", type="text")[int(box) - 1]), number)
    yield click(button(view))


@solves("number-checkboxes")
def drawn_number(view: PageView) -> Oracle:
    """Draw a digit with checkboxes, four to a row, seven rows."""
    drawing = DIGITS[match(r'"(\d)"', view.goal)[0]].replace(" ", "")
    boxes = view.all("input", type="checkbox")
    for place, cell in enumerate(drawing):
        if cell == "#":
            view = yield click(bid_of(boxes[place]))
    yield click(button(view))


def _labelled(view: PageView, label: str) -> str:
    for tag in view.soup.find_all("label"):
        control = tag.find("input")
        if control is not None and text_of(tag) == label:
            return bid_of(control)
    raise OracleError(f"no box labelled {label!r} for goal {view.goal!r}")


# Words that mean about the same, as the page groups them.
SIMILAR = [
    set(line.split())
    for line in """
    big large huge enormous gigantic
    small tiny little mini petite
    red scarlet crimson vermillion
    happy cheerful joyful gleeful delighted
    sad unhappy sorrowful miserable tragic
    angry mad furious irritated
    evil wicked immoral sinful corrupt depraved
    wrong incorrect mistaken erroneous
    real genuine actual
    strange odd peculiar unusual weird
    stop cease halt end finish
    scared terrified panicked fearful frightened afraid
    quiet calm peaceful serene mild
    old aged archaic
    love like adore favor
    kill murder assassinate
    keep retain preserve sustain maintain
    hide conceal camouflage
    hate despise loathe detest dislike
    funny humorous amusing comical laughable
    fat fleshy plump chubby
    stupid dumb dull unwise
    delicious savory delectable appetizing
    cut slice carve chop
    brave courageous fearless
    begin start initiate launch
    answer reply response
    television televisions TV TVs
    house home houses homes
    fire flame fires flames
    pig pork swine
    rabbit rabbits bunny bunnies
    car cars automobile automobiles vehicle vehicles
    water
    """.strip().splitlines()
]


@solves("click-checkboxes-soft")
def similar_words(view: PageView) -> Oracle:
    """Check every box whose word means about the same as a word of the goal."""
    wanted = match(r"similar to (.+) and click Submit", view.goal)[0].split(", ")
    meant = set().union(*(group for group in SIMILAR if group & set(wanted)))
    for tag in view.soup.find_all("label"):
        control = tag.find("input")
        if control is not None and text_of(tag) in meant:
            view = yield click(bid_of(control))
    yield click(button(view))
