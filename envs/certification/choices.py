"""What can be chosen on a page, and how a choice is made wrong.

A choice is a radio button, a checkbox, a label that is drawn in the place of one, or what a page
says is one (``role``). Another one taken in its place is another solution, whatever else is done,
so it tells of an evaluator that does not look; another link or button may lead to the same end.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from bs4 import Tag

from webdojo.envs.actions import Action
from webdojo.tasks.view import text_of

if TYPE_CHECKING:
    from webdojo.tasks.view import PageView

VERBS = ("click", "check", "uncheck")
ONE_OF = ("radio", "option", "menuitemradio")
"""Kinds of which a group holds one at a time."""
EACH = ("checkbox", "switch", "menuitemcheckbox")
"""Kinds that are on or off, each by itself."""
SEVERAL = (*EACH, "option")
"""Kinds of which a group may hold several."""
GROUPS = ("form", "fieldset", "ul", "ol", "table")
GROUP_ROLES = ("group", "radiogroup", "listbox", "menu", "list")
OPPOSITE = {"check": "uncheck", "uncheck": "check"}
NOTHING = Action("noop", {})
STATES = ("checked", "selected", "value")
"""Attributes of an observed element that tell what is chosen."""


def another_choice(
    view: PageView, action: Action, others: Collection[str], later: Collection[str]
) -> Action | None:
    """Another choice than ``action``'s, on the page where it was done; None if there is none.

    Of a group of radio buttons another one; of checkboxes one that the solution leaves alone, or
    else the same one left as it was. ``others`` are the elements that the rest of the solution
    acts on, ``later`` those of them after this step.
    """
    if action.name not in VERBS:
        return None
    kind, group = _kind_and_group(view, action)
    if not kind:
        return None
    if kind in ONE_OF:
        if any(bid in later for bid in group):
            return None  # what is chosen later decides
        free = group
    else:
        free = [bid for bid in group if bid not in others]
    if free:
        return Action(action.name, {**action.arguments, "bid": free[0]})
    if kind in ONE_OF:
        return None
    opposite = OPPOSITE.get(action.name)
    return Action(opposite, dict(action.arguments)) if opposite else NOTHING


def one_more_choice(view: PageView, action: Action, others: Collection[str]) -> Action | None:
    """A choice of the same group that the solution leaves alone; None if there is none.

    It is made besides ``action``, so it tells of an evaluator that looks only at what is wanted
    and would take all boxes for the right one. Of options in a select another one is chosen too.
    Where one is chosen at a time nothing comes of it (see ``chosen``).
    """
    if action.name == "select_option":
        return _one_more_option(view, action)
    if action.name not in VERBS:
        return None
    kind, group = _kind_and_group(view, action)
    free = [bid for bid in group if bid not in others]
    return Action("click", {"bid": free[0]}) if kind in SEVERAL and free else None


def _one_more_option(view: PageView, action: Action) -> Action | None:
    named = action.arguments["options"]
    found = view.soup.find("select", bid=str(action.arguments["bid"]))
    if not isinstance(found, Tag):
        return None
    named = [named] if isinstance(named, str) else named
    texts = map(text_of, found.find_all("option", disabled=False))
    others = [text for text in texts if text and text not in named]
    if not others:
        return None
    return Action("select_option", {**action.arguments, "options": [*named, others[-1]]})


def chosen(view: PageView) -> list[tuple[object, ...]]:
    """What is chosen and filled in on a page, element by element."""
    found: list[tuple[object, ...]] = []
    for tag in view.soup.find_all(True):
        states = [tag.get(name) for name in STATES]
        if any(state is not None for state in states):
            found.append((tag.get("bid") or text_of(tag), *states))
    return found


def _kind_and_group(view: PageView, action: Action) -> tuple[str, list[str]]:
    """The kind of choice that an action makes, empty if none, and the others of its group."""
    here = next(iter(view.all(bid=str(action.arguments["bid"]))), None)
    control = _control(view, here)
    kind = _kind(control)
    if here is None or control is None or not kind:
        return "", []
    return kind, _group(view, here, control, kind)


def _control(view: PageView, tag: Tag | None) -> Tag | None:
    """What a click on an element sets: of a label its field, or itself if that is not seen."""
    if tag is None or tag.name != "label":
        return tag
    named = view.soup.find(id=str(tag["for"])) if tag.get("for") else tag.find("input")
    return named if isinstance(named, Tag) else tag


def _kind(control: Tag | None) -> str:
    """The kind of choice that a control is; empty if none."""
    if control is None:
        return ""
    kind = str(control.get("type" if control.name in ("input", "label") else "role", ""))
    return kind if kind in (*ONE_OF, *EACH) else ""


def _group(view: PageView, here: Tag, control: Tag, kind: str) -> list[str]:
    """Elements that make other choices of the same group, those like ``here`` first.

    What is turned off makes none.
    """
    found = []
    for tag in view.all():
        other = _control(view, tag)
        if other is None or other is control or _kind(other) != kind or other.has_attr("disabled"):
            continue
        if _name(control) == _name(other) and _place(view, control) is _place(view, other):
            found.append(tag)
    found.sort(key=lambda tag: tag.name != here.name)
    return [str(tag["bid"]) for tag in found]


def _name(control: Tag) -> str:
    """What groups radio buttons; checkboxes are grouped by place, whatever they are called."""
    return str(control.get("name", "")) if control.get("type") == "radio" else ""


def _place(view: PageView, control: Tag) -> Tag | None:
    """The nearest thing around that holds a group; None: the page. A name reaches over its form."""
    names = ("form",) if _name(control) else GROUPS
    for around in control.parents:
        if around.name in names or (
            not _name(control) and str(around.get("role", "")) in GROUP_ROLES
        ):
            return around
    return None
