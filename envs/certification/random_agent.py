"""An agent that knows the vocabulary and nothing else."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from bs4 import Tag

from webdojo.tasks.calls import click, fill, say, select_option
from webdojo.tasks.view import text_of

if TYPE_CHECKING:
    from webdojo.tasks.view import PageView

SAYS = 0.1
"""How often it tells the user something instead of touching the page."""
TYPED = frozenset(
    {"text", "password", "search", "email", "number", "date", "time", "tel", "url", "textarea"}
)


def random_action(view: PageView, chance: Random) -> str:
    """Touch a random element in a way that suits it: text fields get words of the goal."""
    elements = view.all()
    words = [word.strip("\"'.,:;!?()") for word in view.goal.split()]
    words = [word for word in words if word] or ["yes"]
    if not elements or chance.random() < SAYS:
        return say(chance.choice(words))
    element = chance.choice(elements)
    bid = str(element["bid"])
    kind = str(element.get("type", "text")) if element.name == "input" else element.name
    if kind in TYPED:
        return fill(bid, chance.choice(words))
    if element.name == "select":
        options = [text_of(tag) for tag in element.find_all("option") if isinstance(tag, Tag)]
        return select_option(bid, chance.choice(options or words))
    return click(bid)
