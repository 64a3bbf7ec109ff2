"""Wrong solutions made of a right one: a step left out, a value changed, a choice too many."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from bs4 import Tag

from webdojo.envs.actions import Action, parse_action
from webdojo.envs.certification.choices import another_choice, one_more_choice
from webdojo.envs.certification.reading import readable_text
from webdojo.tasks.calls import say
from webdojo.tasks.view import text_of

if TYPE_CHECKING:
    from webdojo.tasks.view import PageView

ANSWERS = {"send_msg_to_user": "text", "report_infeasible": "reason"}
"""Verbs that tell the user something, and the argument that is told."""
TEXTS = {"fill": "value", "keyboard_type": "text", "keyboard_insert_text": "text", **ANSWERS}
"""Verbs that carry a value, and the argument that is it."""
VALUES = (*TEXTS, "select_option", "goto")
"""Verbs by whose value a solution is told from a wrong one first of all."""
KEYS = {"press": "key_comb", "keyboard_press": "key"}
"""Verbs that press a key, and the argument that is it."""
OTHER_KEYS = ("Enter", "Escape", "Tab", "End", "ArrowUp", "b")
"""No two of them do the same, nor does any of the usual combinations with Control."""
TARGETS = {
    **dict.fromkeys(("click", "dblclick", "check", "uncheck", "clear"), "bid"),
    "drag_and_drop": "to_bid",
}
"""Verbs that are about an element, and the argument that names the one that decides."""
HOVERS = {"hover": "bid"}
"""The same, of what is mostly but the way to the element that is clicked next."""
POINTS = {"mouse_click": ("x", "y"), "mouse_drag_and_drop": ("to_x", "to_y")}
"""Verbs that are about a point of the viewport."""
NO_TEXTS = ("radio", "checkbox", "submit", "button", "image", "file")
"""Types of an ``input`` that is not typed into."""
FAR_PX = 40.0
CANDIDATES = 3
"""Texts of the page that a stuffed answer lists beside the right one and a near miss."""
LONGEST_CANDIDATE = 30
LONGEST_STUFFED = 5_000
"""Characters of the page's text in a stuffed answer."""


def without_last(actions: Sequence[str]) -> list[str]:
    """The solution without its last step that does anything; nothing is done instead."""
    acting = [i for i, text in enumerate(actions) if parse_action(text).name != "noop"]
    last = acting[-1] if acting else len(actions) - 1
    return [*actions[:last], "noop()", *actions[last + 1 :]]


def with_changed_value(
    actions: Sequence[str],
    views: Sequence[PageView],
    size: tuple[int, int],
    chance: Random,
    kept: Iterable[str] = (),
) -> list[str] | None:
    """The solution with one value changed: what is typed, chosen, opened or answered.

    Where there is none, the last point goes elsewhere, or else another key is pressed, one click
    goes to another element, another file is uploaded, or the wheel is turned the other way. None
    if nothing can be changed. ``views[i]`` is the page on which ``actions[i]`` was done, ``size``
    its viewport's in CSS pixels. Actions of the verbs in ``kept`` stay as they are.
    """
    parsed = [parse_action(text) for text in actions]
    values, points, keys, targets, hovers, files, turns = (
        [i for i, action in enumerate(parsed) if action.name in verbs and action.name not in kept]
        for verbs in (VALUES, POINTS, KEYS, TARGETS, HOVERS, ("upload_file",), ("scroll",))
    )
    chance.shuffle(values)
    chance.shuffle(keys)
    chance.shuffle(targets)
    # A point is often set anew, and then the last one decides.
    for places in (values, points[::-1], keys, targets, hovers[::-1], files, turns):
        for place in places:
            changed = _changed(parsed[place], views[place], size, chance)
            if changed is not None:
                return [*actions[:place], str(changed), *actions[place + 1 :]]
    return None


def typed_otherwise(
    action: str, right: str, after: PageView, right_after: PageView | None
) -> str | None:
    """Another wrong text for a field that has not taken a wrong one; None if it has.

    A field of a bounded length cuts a letter that is added, and holds what the ``right`` text
    leaves there: then the letter stands in front. ``after`` is the page after the wrong
    ``action``, ``right_after`` that after the right one, unless that ended the episode.
    """
    wrong, meant = parse_action(action), parse_action(right)
    if wrong.name != "fill" or meant.name != "fill":
        return None
    bid, text = wrong.arguments["bid"], meant.arguments["value"]
    held, kept = (
        next((tag.get("value") for tag in view.all(bid=bid)), None) if view else text
        for view in (after, right_after)
    )
    other = str(Action("fill", {"bid": bid, "value": f"x{text}"}))
    return other if held is not None and held == kept and other != action else None


@dataclass(frozen=True, slots=True)
class ChangedStep:
    """A solution with one step changed."""

    actions: list[str]
    place: int
    """Which step, from 0."""
    wrong: bool
    """Whether the solution is wrong for sure: a value or a choice is another. Without that the
    step may be one that was never needed, or have another that does as well."""


def with_changed_step(
    actions: Sequence[str],
    views: Sequence[PageView],
    number: int,
    size: tuple[int, int],
    chance: Random,
    kept: Iterable[str] = (),
) -> ChangedStep | None:
    """The solution with the ``number``-th step changed that can be, starting over after the last.

    First come the steps that choose (a radio button, a checkbox), then those with a value, then
    the other clicks and keys. None if no step can be changed. For the rest see
    ``with_changed_value``.
    """
    parsed = [parse_action(text) for text in actions]
    made: list[ChangedStep] = []

    def change(place: int, other: Action | None, *, wrong: bool) -> None:
        if other is not None:
            whole = [*actions[:place], str(other), *actions[place + 1 :]]
            made.append(ChangedStep(whole, place, wrong))

    for place, action in enumerate(parsed):
        others = _acted_on(parsed[:place] + parsed[place + 1 :])
        later = _acted_on(parsed[place + 1 :])
        change(place, another_choice(views[place], action, others, later), wrong=True)
    chosen = {one.place for one in made}
    for verbs, wrong in ((VALUES, True), ((*TARGETS, *KEYS), False)):
        for place, action in enumerate(parsed):
            if action.name in verbs and action.name not in kept and place not in chosen:
                change(place, _changed(action, views[place], size, chance), wrong=wrong)
    return made[number % len(made)] if made else None


@dataclass(frozen=True, slots=True)
class TooMany:
    """A solution with a choice besides those that it makes."""

    actions: list[str]
    place: int
    """Where it begins to be another, from 0."""
    longer: int
    """Steps that it has more."""


def with_choices_too_many(actions: Sequence[str], views: Sequence[PageView]) -> list[TooMany]:
    """The solution with a choice too many, once for each group of choices."""
    parsed = [parse_action(text) for text in actions]
    acted_on = _acted_on(parsed)
    made: dict[str, TooMany] = {}
    for place, action in enumerate(parsed):
        more = one_more_choice(views[place], action, acted_on)
        if more is not None:
            here = [str(more)] if more.name == "select_option" else [str(more), actions[place]]
            whole = [*actions[:place], *here, *actions[place + 1 :]]
            made.setdefault(str(more.arguments["bid"]), TooMany(whole, place, len(here) - 1))
    return list(made.values())


def steps_that_may_matter(actions: Sequence[str], views: Sequence[PageView]) -> list[int]:
    """Steps of which it is worth telling that no wrong solution was made of them, from 0.

    Waiting, looking about and clicking into the field that is typed into next are none.
    """
    verbs = (*VALUES, *KEYS, *TARGETS, *POINTS, "upload_file")
    found = []
    for place, (text, view) in enumerate(zip(actions, views, strict=False)):
        action = parse_action(text)
        target = next(iter(view.all(bid=str(action.arguments.get("bid", "")))), None)
        focuses = (
            action.name in TARGETS
            and target is not None
            and target.name in ("input", "textarea")
            and str(target.get("type", "text")) not in NO_TEXTS
        )
        if action.name in verbs and not focuses:
            found.append(place)
    return found


def _acted_on(actions: Iterable[Action]) -> Collection[str]:
    names = ("bid", "from_bid", "to_bid")
    return {str(a.arguments[name]) for a in actions for name in names if name in a.arguments}


def with_stuffed_answers(
    actions: Sequence[str], views: Sequence[PageView], chance: Random
) -> list[list[str]]:
    """The solution with answers that hold the right one among many; none if it answers nothing.

    All that can be read on the page and the answer; and the answer in a short list of candidates:
    first of a choice (``A or B or C``), not first where they stand (``B, A, C``) and without marks
    (``B A C``). So who reads the first or the last of them alone is found out.
    """
    places = [i for i, a in enumerate(actions) if parse_action(a).name == "send_msg_to_user"]
    if not places:
        return []
    place = places[-1]
    answer = str(parse_action(actions[place]).arguments["text"])
    text = readable_text(views[place])
    words = (word.strip(".,:;!?()\"'")[:LONGEST_CANDIDATE] for word in text.split())
    others = [word for word in dict.fromkeys(words) if word and word not in answer]
    near, rest = another_text(answer, chance), others[:CANDIDATES]
    stuffed = [f"{text[:LONGEST_STUFFED]} {answer}", " or ".join([answer, near, *rest])]
    stuffed += [parting.join([near, answer, *rest]) for parting in (", ", " ")]
    return [[*actions[:place], say(told), *actions[place + 1 :]] for told in stuffed]


def _changed(
    action: Action, view: PageView, size: tuple[int, int], chance: Random
) -> Action | None:
    arguments: dict[str, Any] = dict(action.arguments)
    if action.name in TEXTS:
        name = TEXTS[action.name]
        arguments[name] = another_text(arguments[name], chance)
    elif action.name == "goto":
        arguments["url"] = _another_address(arguments["url"], chance)
    elif action.name in KEYS:
        name = KEYS[action.name]
        arguments[name] = _another_key(arguments[name], chance)
    elif action.name == "scroll":
        arguments |= {name: 0.0 - arguments[name] for name in ("delta_x", "delta_y")}
    elif action.name == "upload_file":
        other_file = _another_file(arguments["file"])
        if other_file is None:
            return None
        arguments["file"] = other_file
    elif action.name == "select_option":
        other = _another_option(view, arguments["bid"], arguments["options"], chance)
        if other is None:
            return None
        arguments["options"] = other
    elif action.name in {**TARGETS, **HOVERS}:
        name = {**TARGETS, **HOVERS}[action.name]
        bid = _another_element(view, arguments[name], chance)
        if bid is None:
            return None
        arguments[name] = bid
    else:
        x, y = POINTS[action.name]
        arguments[x], arguments[y] = _another_point(view, arguments[x], arguments[y], size)
    return Action(action.name, arguments)


def another_text(text: str, chance: Random) -> str:
    """A text of the same kind that means something else.

    One of its digits counts one down or up; where there is none, a letter is added.
    """
    places = [i for i, letter in enumerate(text) if letter.isascii() and letter.isdigit()]
    if not places:
        return text + "x"
    place = chance.choice(places)
    digit = int(text[place])
    up = digit < 2 or (digit < 9 and chance.random() < 0.5)
    return f"{text[:place]}{digit + 1 if up else digit - 1}{text[place + 1 :]}"


def _another_address(url: str, chance: Random) -> str:
    """An address of the same origin."""
    parts = urlsplit(url)
    rest = urlunsplit(("", "", parts.path or "/", parts.query, parts.fragment))
    return urlunsplit((parts.scheme, parts.netloc, "", "", "")) + another_text(rest, chance)


def _another_key(key: str, chance: Random) -> str:
    """Another key, with the same ones held down meanwhile."""
    held, plus, pressed = key.rpartition("+")
    if len(pressed) == 1 and pressed.isdigit() and not held:
        return another_text(pressed, chance)
    # With Control held a letter is enough: Tab or Enter would leave the page.
    others = ["b", "i"] if held else list(OTHER_KEYS)
    return held + plus + chance.choice([other for other in others if other != pressed])


def _another_file(file: str | list[str]) -> str | None:
    """Another file of its folder; None if it has none, or was downloaded and has no folder."""
    names = [file] if isinstance(file, str) else file
    first = Path(names[0]) if names else Path()
    if not first.is_absolute():
        return None
    found = (str(path) for path in sorted(first.parent.iterdir()) if path.is_file())
    return next((path for path in found if path not in names), None)


def _another_option(
    view: PageView, bid: str, chosen: str | list[str], chance: Random
) -> str | list[str] | None:
    found = view.soup.find("select", bid=bid)
    options = [text_of(tag) for tag in found.find_all("option")] if isinstance(found, Tag) else []
    named = [chosen] if isinstance(chosen, str) else chosen
    others = [text for text in options if text and text not in named]
    if not others:
        return None
    return chance.choice(others) if isinstance(chosen, str) else [chance.choice(others), *named[1:]]


def _another_element(view: PageView, bid: str, chance: Random) -> str | None:
    """One of the same kind if there is one: the same tag and type."""
    here = next(iter(view.all(bid=bid)), None)
    others = [tag for tag in view.all() if tag["bid"] != bid]
    alike = [
        tag
        for tag in others
        if here is not None and (tag.name, tag.get("type")) == (here.name, here.get("type"))
    ]
    chosen = alike or others
    return str(chance.choice(chosen)["bid"]) if chosen else None


def _another_point(
    view: PageView, x: float, y: float, size: tuple[int, int]
) -> tuple[float, float]:
    """A point far away within the smallest thing around that is large enough to have one.

    It is the point opposite of that thing's middle, or one beside a point near the middle.
    """
    boxes = [(0.0, 0.0, float(size[0]), float(size[1]))]
    boxes.extend(_box(tag) for tag in view.scene.find_all(True, attrs={"box": True}))
    around = [b for b in boxes if b[0] <= x < b[0] + b[2] and b[1] <= y < b[1] + b[3]]
    left, top, width, height = min(
        (b for b in around if min(b[2], b[3]) >= 2 * FAR_PX), key=lambda b: b[2] * b[3]
    )
    right, bottom = left + width - 1, top + height - 1
    if abs(left + right - 2 * x) + abs(top + bottom - 2 * y) >= FAR_PX:
        x, y = left + right - x, top + bottom - y
    else:
        x, y = x - FAR_PX, y - FAR_PX
    return (min(max(x, 0.0), size[0] - 1), min(max(y, 0.0), size[1] - 1))


def _box(tag: Tag) -> tuple[float, float, float, float]:
    x, y, width, height = map(float, str(tag["box"]).split())
    return x, y, width, height
