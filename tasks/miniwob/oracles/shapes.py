"""Pages with coloured boxes, shapes, letters and digits to be told apart by eye."""

from __future__ import annotations

import base64
import io
import math
import re
from dataclasses import dataclass

import numpy as np
from bs4 import Tag
from PIL import Image

from webdojo.tasks.calls import click, fill, mouse_click
from webdojo.tasks.miniwob.oracles.looking import COLOURS, box, middle, rgb, seen
from webdojo.tasks.miniwob.oracles.oracle import solves
from webdojo.tasks.miniwob.oracles.reading import button, match
from webdojo.tasks.task import Oracle
from webdojo.tasks.view import OracleError, PageView, text_of

NAMES = {"rect": "rectangle", "circle": "circle", "polygon": "triangle"}

# Colours that the boxes of click-color have beyond the shapes' own.
MORE_COLOURS: dict[str, tuple[int, ...]] = {
    "gray": (128, 128, 128),
    "grey": (128, 128, 128),
    "silver": (192, 192, 192),
    "lime": (0, 255, 0),
    "maroon": (128, 0, 0),
    "olive": (128, 128, 0),
    "orange": (255, 165, 0),
    "pink": (255, 192, 203),
    "purple": (128, 0, 128),
    "brown": (165, 42, 42),
    "gold": (255, 215, 0),
    "navy": (0, 0, 128),
    "teal": (0, 128, 128),
    "violet": (238, 130, 238),
}


@dataclass(frozen=True)
class Shape:
    """One thing of a drawing."""

    kind: str
    """shape, letter or digit."""
    text: str
    """Name of the shape, or the character."""
    colour: tuple[int, ...]
    large: bool
    place: tuple[float, float]

    def fits(self, words: list[str]) -> bool:
        """Whether a description such as ``small red letter`` fits."""
        *before, last = words
        for word in before:
            if word in ("large", "small"):
                if self.large != (word == "large"):
                    return False
            elif self.colour != COLOURS[word]:
                return False
        return last in ("item", self.kind, self.text)


@solves("click-shape")
def click_shape(view: PageView) -> Oracle:
    """Click any thing that fits the description."""
    wanted = match(r"Click on an? (.+)", view.goal)[0].split()
    yield mouse_click(*next(shape for shape in _shapes(view) if shape.fits(wanted)).place)


@solves("count-shape")
def count_shapes(view: PageView) -> Oracle:
    """Count the things that fit the description."""
    wanted = match(r"How many (.+)s are there", view.goal)[0].split()
    count = sum(shape.fits(wanted) for shape in _shapes(view))
    yield click(view.bid("button", str(count)))


@solves("identify-shape")
def identify_shape(view: PageView) -> Oracle:
    """Name the only thing drawn."""
    shape = _shapes(view)[0]
    name = {"digit": "number", "letter": "letter"}.get(shape.kind, shape.text)
    yield click(button(view, name))


def _shapes(view: PageView) -> list[Shape]:
    found = []
    for tag in seen(view, "text", *NAMES):
        if tag.find_parent("svg") is None:
            continue
        text = NAMES.get(tag.name) or text_of(tag)
        kind = "shape" if tag.name in NAMES else "digit" if text.isdigit() else "letter"
        size = float(str(tag["font-size"]).rstrip("px")) if kind != "shape" else box(tag)[2]
        found.append(Shape(kind, text, rgb(tag["fill"]), size > 15, middle(tag)))
    return found


@solves("click-color")
def click_colour(view: PageView) -> Oracle:
    """Click the box of the named colour."""
    wanted = (COLOURS | MORE_COLOURS)[match(r"Click on the (\w+) colored", view.goal)[0]]
    yield mouse_click(*middle(_painted(view, wanted)))


def _painted(view: PageView, colour: tuple[int, ...]) -> Tag:
    for tag in seen(view, "div", class_="color"):
        if tag.find_parent(id="query") is None and rgb(tag["background"]) == colour:
            return tag
    raise OracleError(f"no box of colour {colour}")


@solves("click-shades")
def click_shades(view: PageView) -> Oracle:
    """Click every box whose strongest channel is the named colour, then submit."""
    channel = ["red", "green", "blue"].index(match(r"shades of (\w+)", view.goal)[0])
    for tag in seen(view, "span"):
        if "background" not in tag.attrs:
            continue
        colour = rgb(tag["background"])
        if colour.index(max(colour)) == channel:
            view = yield mouse_click(*middle(tag))
    yield click(button(view))


@solves("visual-addition")
def count_blocks(view: PageView) -> Oracle:
    """Count the blocks on both sides."""
    blocks = seen(view, "span", class_="addition-block")
    view = yield fill(view.bid("input"), str(len(blocks)))
    yield click(button(view))


@solves("count-sides")
def count_sides(view: PageView) -> Oracle:
    """Count the corners of the drawn polygon: where its outline is farthest from its centre."""
    picture = str(seen(view, "canvas")[0]["pixels"]).partition(",")[2]
    image = Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGBA")
    rows, columns = np.nonzero(np.asarray(image)[:, :, 3] > 100)
    across = columns - image.width / 2 + 0.5
    down = rows - image.height / 2 + 0.5
    yield click(view.bid("button", str(_corners(across, down))))


def _corners(across: np.ndarray, down: np.ndarray) -> int:
    """The number of sides whose regular polygon of the drawn size fits the outline best."""
    angles = np.arctan2(down, across)
    radii = np.hypot(across, down)
    size = 35.0
    best = (math.inf, 0)
    for sides in range(3, 8):
        wedge = 2 * math.pi / sides
        for turn in np.linspace(0, wedge, 60, endpoint=False):
            inside = (angles - turn) % wedge - wedge / 2
            expected = size * math.cos(wedge / 2) / np.cos(inside)
            best = min(best, (float(np.mean((radii - expected) ** 2)), sides))
    return best[1]


@solves("use-colorwheel", "use-colorwheel-2")
def colour_field(view: PageView) -> Oracle:
    """Write the colour into the field of the colour picker, then submit."""
    written = re.search(r"#([0-9a-f]{6})\b", view.goal)
    named = re.search(r"Select (\w+) with", view.goal)
    if written:
        wanted = tuple(bytes.fromhex(written[1]))
    elif named:
        wanted = (COLOURS | MORE_COLOURS)[named[1]]
    else:
        wanted = rgb(seen(view, "div", class_="cc")[0]["background"])
    view = yield fill(view.bid("input"), "".join(f"{part:02X}" for part in wanted))
    yield click(button(view))
