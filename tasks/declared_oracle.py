"""Oracles written as a list of calls, such as ``click("css=#buy")``."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import Any

from bs4 import Tag

from webdojo.tasks.calls import call
from webdojo.tasks.task import Oracle
from webdojo.tasks.view import OracleError, PageView

_NAMED = re.compile(r"(css|text|label)=(.+)", re.DOTALL)


def check_call(text: str) -> None:
    """Raise ValueError unless this is a call with plain values; it is read, never run."""
    _parse(text)


def play_calls(texts: Sequence[str], view: PageView) -> Oracle:
    """Make the calls one after another, each element found on the page as it then is."""
    for text in texts:
        name, arguments = _parse(text)
        view = yield call(name, *(_element(argument, view) for argument in arguments))


def _parse(text: str) -> tuple[str, list[Any]]:
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name) or tree.keywords:
            raise ValueError
        return tree.func.id, [ast.literal_eval(argument) for argument in tree.args]
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        raise ValueError(
            f'{text!r} is no call with plain values, such as click("css=#buy") or'
            ' fill("label=Name", "Ada")'
        ) from None


def _element(argument: Any, view: PageView) -> Any:
    """What a call names as an element, as the element's id on the page."""
    named = _NAMED.fullmatch(argument) if isinstance(argument, str) else None
    if named is None:
        return argument
    how, what = named.groups()
    if how == "css":
        found = [tag for tag in view.soup.select(what) if tag.has_attr("bid")]
    elif how == "text":
        found = view.all(text=what)
    else:
        labels = [label for label in view.soup.find_all("label") if _caption(label) == what]
        inside = [label.find(True, attrs={"bid": True}) for label in labels]
        outside = [view.soup.find(id=label["for"]) for label in labels if label.has_attr("for")]
        found = [t for t in (*inside, *outside) if isinstance(t, Tag) and t.has_attr("bid")]
        found += view.all(aria_label=what)
    if not found:
        raise OracleError(f"no element {argument!r} that can be acted on, for goal {view.goal!r}")
    return str(found[0]["bid"])


def _caption(label: Tag) -> str:
    """The text of a label without that of the control inside it."""
    controls = ("select", "textarea", "button")
    texts = (part for part in label.find_all(string=True) if not part.find_parent(controls))
    return " ".join("".join(texts).split())
