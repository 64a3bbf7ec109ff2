"""What an oracle sees: the goal and the observed page, nothing an agent could not know."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from bs4 import BeautifulSoup, Tag

Box = tuple[int, int, int, int]

SHOWN = 12
"""Elements named when the one looked for is not there."""


class OracleError(Exception):
    """The oracle looked for something that the observed page does not hold."""


@dataclass(frozen=True)
class PageView:
    """The goal, the observed page as HTML, and where its elements are.

    Every element of ``html`` that can be acted on carries a ``bid`` attribute. ``boxes`` gives
    x, y, width, height in CSS pixels of the viewport for each bid. ``layout`` is the page as seen
    by eye, for pages that need looking: HTML of everything visible, each element with ``box`` and
    how it is painted, each word a ``<w>``; empty unless it was asked for.
    """

    goal: str
    html: str
    url: str = ""
    boxes: Mapping[str, Box] = field(default_factory=dict)
    layout: str = ""

    @cached_property
    def soup(self) -> BeautifulSoup:
        """The page as a beautifulsoup4 tree."""
        return BeautifulSoup(self.html, "lxml")

    @cached_property
    def scene(self) -> BeautifulSoup:
        """The layout as a beautifulsoup4 tree; OracleError if there is none."""
        if not self.layout:
            raise OracleError("this page needs looking, and the view has no layout")
        return BeautifulSoup(self.layout, "lxml")

    def all(
        self, tag: str | list[str] | None = None, /, text: str | None = None, **attrs: str
    ) -> list[Tag]:
        """Actionable elements by HTML tag, exact text (spaces collapsed) and attributes.

        A field's label is no part of it: find an ``input`` by its ``name``, ``id`` or place.
        """
        wanted = {("class" if k == "class_" else k.replace("_", "-")): v for k, v in attrs.items()}
        found = self.soup.find_all(tag or True, attrs={"bid": True, **wanted})
        tags = [one for one in found if isinstance(one, Tag)]
        return [one for one in tags if text is None or text_of(one) == text]

    def find(
        self, tag: str | list[str] | None = None, /, text: str | None = None, **attrs: str
    ) -> Tag:
        """The first such element; OracleError if there is none."""
        found = self.all(tag, text, **attrs)
        if not found:
            wanted = "".join(f" {key.rstrip('_')}={value!r}" for key, value in attrs.items())
            said = "" if text is None else f" with text {text!r}"
            raise OracleError(
                f"no <{tag or '*'}{wanted}>{said} for goal {self.goal!r};"
                f" the page has {self.told()}"
            )
        return found[0]

    def bid(
        self, tag: str | list[str] | None = None, /, text: str | None = None, **attrs: str
    ) -> str:
        """The id of the first such element: ``view.bid("input", name="user")``."""
        return str(self.find(tag, text, **attrs)["bid"])

    def told(self) -> str:
        """The first elements that can be acted on, for people."""
        tags = self.all()
        more = f" and {len(tags) - SHOWN} more" if len(tags) > SHOWN else ""
        return ", ".join(map(self._told, tags[:SHOWN])) + more or "nothing to act on"

    def _told(self, tag: Tag) -> str:
        told = f"<{tag.name}{_marks(tag)}> {text_of(tag)!r}".removesuffix(" ''")
        label = tag.find_parent("label")
        if label is None and tag.has_attr("id"):
            label = self.soup.find("label", attrs={"for": tag["id"]})
        caption = caption_of(label) if isinstance(label, Tag) else ""
        return f"{told} labelled {caption!r}" if caption else told


def _marks(tag: Tag) -> str:
    """The attributes that tell an element from others like it."""
    names = ("id", "name", "aria-label", "placeholder")
    return "".join(f" {name}={tag[name]!r}" for name in names if tag.get(name))


def text_of(tag: Tag) -> str:
    """All text inside an element, spaces collapsed."""
    return re.sub(r"\s+", " ", tag.get_text()).strip()


def caption_of(label: Tag) -> str:
    """The text of a label without that of the control inside it."""
    controls = ("select", "textarea", "button")
    texts = (part for part in label.find_all(string=True) if not part.find_parent(controls))
    return " ".join("".join(texts).split())
