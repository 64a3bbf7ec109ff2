"""Pages where things are dragged."""

from __future__ import annotations

import re
from collections.abc import Callable

from bs4 import Tag

from webdojo.tasks.calls import call, click, mouse_drag
from webdojo.tasks.miniwob.oracles.looking import COLOURS, Point, box, middle, rgb, seen
from webdojo.tasks.miniwob.oracles.oracle import solves
from webdojo.tasks.miniwob.oracles.reading import button, match
from webdojo.tasks.task import Oracle
from webdojo.tasks.view import OracleError, PageView, text_of

DIRECTIONS: dict[str, Point] = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
SHAPES = {"circles": "circle", "rectangles": "rect", "triangles": "polygon"}


@solves("drag-circle", "drag-single-shape")
def drag_in_direction(view: PageView) -> Oracle:
    """Drag the only shape a little in the wanted direction."""
    dx, dy = DIRECTIONS[match(r"Drag the \w+ (\w+) then", view.goal)[0]]
    x, y = middle(next(tag for tag in seen(view, *SHAPES.values()) if tag.find_parent("svg")))
    view = yield mouse_drag(x, y, x + 14 * dx, y + 14 * dy)
    yield click(button(view))


@solves("drag-box")
def drag_box(view: PageView) -> Oracle:
    """Drag the small box to the middle of the large one."""
    small, large = seen(view, id="draggableSmall")[0], seen(view, id="draggableLarge")[0]
    view = yield mouse_drag(*middle(small), *middle(large))
    yield click(button(view))


@solves("drag-items")
def drag_item(view: PageView) -> Oracle:
    """Drag one entry of a list to another place."""
    name, where = match(r"Drag (\S+) (.+)\.", view.goal)
    names = _entries(view)
    old = names.index(name)
    number = re.search(r"(\d+)", where)
    if number:
        new = int(number[1]) - 1
    elif "top" in where or "bottom" in where:
        new = 0 if "top" in where else len(names) - 1
    else:
        new = old + (1 if "down" in where else -1)
    yield _move(view, old, new)


@solves("drag-items-grid")
def drag_item_in_grid(view: PageView) -> Oracle:
    """Drag one entry of a three by three grid to another place."""
    name, where = match(r"Drag (\S+) (.+)\.", view.goal)
    old = _entries(view).index(name)
    if "by one" in where:
        dx, dy = DIRECTIONS[where.split()[0]]
        new = old + int(dx) + 3 * int(dy)
    else:
        row = 0 if "top" in where else 2 if "bottom" in where else 1
        column = 0 if "left" in where else 2 if "right" in where else 1
        new = 3 * row + column
    items = _items(view)
    (x, y), (to_x, to_y) = middle(items[old]), middle(items[new])
    # Straight there, as entries passed on the way would change places too; the last bit of the way
    # decides whether the entry comes before or after the one whose place it takes.
    onward = 6 if new > old else -6
    view = yield call("mouse_down", x, y)
    view = yield call("mouse_move", to_x - onward, to_y)
    view = yield call("mouse_move", to_x + onward, to_y)
    yield call("mouse_up", to_x + onward, to_y)


@solves("drag-sort-numbers")
def sort_numbers(view: PageView) -> Oracle:
    """Drag the lowest number that is out of place to its place, until all are sorted."""
    while (numbers := [int(text) for text in _entries(view)]) != sorted(numbers):
        for place, number in enumerate(sorted(numbers)):
            if numbers[place] != number:
                view = yield _move(view, numbers.index(number, place), place)
                break
    yield click(button(view))


def _items(view: PageView) -> list[Tag]:
    return seen(view, "li")


def _entries(view: PageView) -> list[str]:
    return [text_of(tag) for tag in _items(view)]


def _move(view: PageView, old: int, new: int) -> str:
    """Drag an entry a little beyond the middle of the one whose place it takes."""
    items = _items(view)
    x, y = middle(items[old])
    return mouse_drag(x, y, x, middle(items[new])[1] + (6 if new > old else -6))


@solves("drag-shapes")
def drag_shapes(view: PageView) -> Oracle:
    """Drag shapes of one kind into the box, and others that lie in it out of it."""
    kind = SHAPES[match(r"Drag all (\w+) into", view.goal)[0]]
    container = seen(view, id="shape-container")[0]
    yield from _sort(view, lambda tag: container if tag.name == kind else None, [container])


@solves("drag-shapes-2")
def sort_shapes(view: PageView) -> Oracle:
    """Drag what the goal names into the left box and the rest into the right one."""
    wanted = match(r"Drag all (.+) into the left", view.goal)[0]
    boxes = sorted(seen(view, id="shape-container"), key=lambda tag: box(tag)[0])

    def home(tag: Tag) -> Tag:
        if wanted in SHAPES:
            named = tag.name == SHAPES[wanted]
        else:
            named = rgb(tag["fill"]) == COLOURS[wanted.split()[0]]
        return boxes[0] if named else boxes[1]

    yield from _sort(view, home, boxes)


def _sort(view: PageView, home: Callable[[Tag], Tag | None], boxes: list[Tag]) -> Oracle:
    """Drag one misplaced shape after another, then submit. Without a home it belongs in no box."""
    drawing = box(seen(view, "svg")[0])
    while True:
        shapes = [tag for tag in seen(view, *SHAPES.values()) if tag.get("id") != "shape-container"]
        wrong = [tag for tag in shapes if not _at_home(tag, home(tag), boxes)]
        if not wrong:
            break
        target = home(wrong[-1])
        place = middle(target) if target is not None else _free(drawing, boxes)
        view = yield mouse_drag(*middle(wrong[-1]), *place)
    yield click(button(view))


def _at_home(tag: Tag, target: Tag | None, boxes: list[Tag]) -> bool:
    if target is None:
        return not any(_inside(tag, other) for other in boxes)
    return _inside(tag, target)


def _inside(tag: Tag, container: Tag) -> bool:
    """Whether the upper left corner of a shape lies in a box, with a pixel to spare."""
    x, y, _, _ = box(tag)
    left, top, width, height = box(container)
    return left + 1 < x < left + width - 1 and top + 1 < y < top + height - 1


def _free(drawing: tuple[float, float, float, float], boxes: list[Tag]) -> Point:
    """A place in the drawing that is in no box."""
    left, top, width, height = drawing
    for x in (left + 14, left + width - 14):
        for y in (top + 14, top + height - 14):
            if not any(_covers(other, x, y) for other in boxes):
                return x, y
    raise OracleError("the boxes leave no room")


def _covers(container: Tag, x: float, y: float) -> bool:
    left, top, width, height = box(container)
    return left - 12 < x < left + width + 12 and top - 12 < y < top + height + 12
