"""Reading goals and pages the way several oracles need it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bs4 import Tag

from webdojo.tasks.view import OracleError, PageView, text_of


def quoted(goal: str) -> list[str]:
    """Texts in double quotes, in order."""
    return re.findall(r'"(.*?)"', goal)


def match(pattern: str, goal: str) -> tuple[str, ...]:
    """The groups of a pattern that the goal must hold; OracleError if it does not."""
    found = re.search(pattern, goal)
    if found is None:
        raise OracleError(f"the goal {goal!r} does not read like {pattern!r}")
    return found.groups()


def ordinal(goal: str) -> int:
    """The first of ``1st``, ``2nd``, ``3rd``… in the goal, as a number from 1."""
    return int(match(r"\b(\d+)(?:st|nd|rd|th)\b", goal)[0])


def bid_of(tag: Tag) -> str:
    """The id by which an action names the element."""
    return str(tag["bid"])


def button(view: PageView, *labels: str) -> str:
    """The id of the button with one of these texts, ignoring case; by default Submit."""
    wanted = {label.lower() for label in labels or ("Submit",)}
    for tag in view.all("button"):
        if text_of(tag).lower() in wanted:
            return bid_of(tag)
    raise OracleError(f"no button {' or '.join(sorted(wanted))!r} for goal {view.goal!r}")


def own_text(tag: Tag) -> str:
    """Text directly inside an element, spaces collapsed."""
    return " ".join("".join(tag.find_all(string=True, recursive=False)).split())


def with_class(tags: Iterable[Tag], name: str) -> list[Tag]:
    """Those elements that carry a class, which pruning may have cut short."""
    return [tag for tag in tags if any(c == name for c in tag.get_attribute_list("class") if c)]


def is_on(tag: Tag) -> bool:
    """Whether a checkbox, radio button or option is chosen."""
    return tag.has_attr("checked") or tag.has_attr("selected")
