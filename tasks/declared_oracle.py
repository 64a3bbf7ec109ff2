"""Oracles written as a list of calls, such as ``click("css=#buy")``."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import soupsieve
from bs4 import Tag

from webdojo.tasks.calls import VERBS
from webdojo.tasks.evaluators.normalise import plain, shown
from webdojo.tasks.task import Oracle
from webdojo.tasks.view import OracleError, PageView, caption_of, text_of

WAYS = ("css", "text", "label")
"""Ways to name an element: ``css=SELECTOR``, ``text=ITS TEXT``, ``label=ITS LABEL``."""
_NAMED = re.compile(r"(\w+)=(.+)", re.DOTALL)
_BIDS = frozenset({"bid", "from_bid", "to_bid"})
"""Parameters of verbs that name an element."""


def check_call(text: str) -> None:
    """Raise ValueError unless this is a call of a verb there is; it is read, never run."""
    name, arguments = _parse(text)
    if name not in VERBS:
        near = get_close_matches(name, VERBS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(VERBS)}"
        raise ValueError(f"{text!r}: there is no action {name!r}; {hint}")
    signature = inspect.signature(VERBS[name])
    try:
        bound = signature.bind(*arguments).arguments
    except TypeError as error:
        takes = ", ".join(signature.parameters)
        raise ValueError(f"{text!r}: {error}; write {name}({takes})") from None
    for parameter in _BIDS & bound.keys():
        try:
            _check_element(bound[parameter])
        except ValueError as error:
            raise ValueError(f"{text!r}: {error}") from None


def play_calls(
    texts: Sequence[str], view: PageView, untold: Sequence[Mapping[str, Any]] = ()
) -> Oracle:
    """Make the calls one after another, each element found on the page as it then is.

    ``untold`` gives for each call the fields in it that the goal does not say, with their values:
    a page must have said them by then, in its text or on its controls, or OracleError is raised.
    """
    seen = ""
    for place, text in enumerate(texts):
        seen += f"\n{_said_by(view)}" if untold else ""
        for field, value in (untold[place] if untold else {}).items():
            if not _says(seen, str(value)):
                raise OracleError(
                    f"oracle.{place} uses {{{field}}}, which no agent can know: neither the goal"
                    f" nor any page seen by then says {shown(str(value))}; write {{{field}}} in the"
                    " goal, or let a page show it (what must be worked out takes a task in Python)"
                )
        name, arguments = _parse(text)
        bound = inspect.signature(VERBS[name]).bind(*arguments).arguments
        found = {key: _element(x, view) if key in _BIDS else x for key, x in bound.items()}
        view = yield VERBS[name](**found)


_SPOKEN = ("value", "placeholder", "alt", "title", "aria-label")
"""Attributes that agents read as they do text."""


def _said_by(view: PageView) -> str:
    """What a page says, in text and on its controls."""
    tags = (tag for tag in view.soup.find_all(True) if isinstance(tag, Tag))
    spoken = [str(tag[name]) for tag in tags for name in _SPOKEN if tag.has_attr(name)]
    return plain("\n".join([view.soup.get_text(" "), *spoken]))


def _says(text: str, value: str) -> bool:
    wanted = plain(value)
    return bool(wanted and re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", text))


def _parse(text: str) -> tuple[str, list[Any]]:
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name) or tree.keywords:
            raise ValueError
        return tree.func.id, [ast.literal_eval(argument) for argument in tree.args]
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        raise ValueError(
            f'{shown(text)} is no call with plain values, such as click("css=#buy") or'
            ' fill("label=Name", "Ada")'
        ) from None


def _check_element(named: Any) -> None:
    if isinstance(named, str) and named.isdigit():
        return  # an element's id on the page, as agents write it
    match = _NAMED.fullmatch(named) if isinstance(named, str) else None
    if match is None:
        raise ValueError(f"{named!r} names no element; write css=…, text=… or label=…")
    how, what = match.groups()
    if how not in WAYS:
        near = get_close_matches(how, WAYS, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}={what}?" if near else "write css=…, text=… or label=…"
        raise ValueError(f"there is no {how}=; {hint}")
    if how == "css":
        try:
            soupsieve.compile(what)
        except (soupsieve.SelectorSyntaxError, ValueError, RecursionError) as error:
            told = " ".join(str(error).split())[:200]
            raise ValueError(f"{shown(what)} is no CSS selector: {told}") from None


def _element(named: str, view: PageView) -> str:
    """The id on the page of what a call names as an element."""
    if named.isdigit():
        return named
    how, _, what = named.partition("=")
    if how == "css":
        found = [tag for tag in view.soup.select(what) if tag.has_attr("bid")]
    elif how == "text":
        found = view.all(text=what)
    else:
        labels = [label for label in view.soup.find_all("label") if caption_of(label) == what]
        inside = [label.find(True, attrs={"bid": True}) for label in labels]
        outside = [view.soup.find(id=label["for"]) for label in labels if label.has_attr("for")]
        found = [t for t in (*inside, *outside) if isinstance(t, Tag) and t.has_attr("bid")]
        found += view.all(aria_label=what)
    if not found:
        near = get_close_matches(what, map(text_of, view.all()), n=1) if how == "text" else ()
        hint = f"did you mean text={near[0]}?" if near else f"the page has {view.told()}"
        raise OracleError(
            f"no element {named!r} that can be acted on, for goal {view.goal!r}; {hint}"
        )
    return str(found[0]["bid"])
