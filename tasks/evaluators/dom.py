"""The page: what elements it holds, what they say, and whether they can be seen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import soupsieve
from bs4 import BeautifulSoup, Comment, Tag
from bs4.element import NavigableString, PageElement
from pydantic import Field, field_validator, model_validator

from webdojo.tasks.characters import whole
from webdojo.tasks.evaluators.evaluator import Evaluator, Evidence, TextMatch, Verdict
from webdojo.tasks.evaluators.normalise import shown
from webdojo.tasks.sight import SIGHT

if TYPE_CHECKING:
    from playwright.async_api import Page

HIDDEN = "data-webdojo-hidden"
"""On elements that cannot be seen."""
UNREAD = "data-webdojo-unread"
"""On elements whose own text cannot be read, such as text of no size."""
APART = "data-webdojo-apart"
"""On elements that the page shows apart from others: how, before or after what they hold."""
SHADOW = "webdojo-shadow-root"
"""The last child of an element with an open shadow root: what that holds."""
_LIVE_HTML = (
    (Path(__file__).parent / "dom.js")
    .read_text(encoding="utf-8")
    .replace("__SIGHT__", SIGHT)
    .replace("__HIDDEN__", HIDDEN)
    .replace("__UNREAD__", UNREAD)
    .replace("__APART__", APART)
    .replace("__SHADOW__", SHADOW)
)
_STATUS = "performance.getEntriesByType('navigation')[0]?.responseStatus ?? 0"


async def live_soup(page: Page, *, typed: bool = False) -> BeautifulSoup:
    """The page as it stands, forms as they are filled in; what cannot be seen is marked.

    With ``typed`` every field has its ``value``; else what a password field holds is left out.
    """
    return BeautifulSoup(whole(await page.evaluate(_LIVE_HTML, typed)), "lxml")


LONGEST_SELECTOR = 2000


class Dom(Evaluator):
    """Elements that a CSS selector finds in the first tab.

    At least one must be there and match, or exactly ``count``, all of which must; ``absent``
    demands that none is, on a page that a server or a file has given: on one that was answered
    with an error, or is none (``about:blank``, what the browser shows of its own), nothing has been
    removed. ``text`` is matched against an element's text, or against
    ``attribute``; ``value``, ``checked`` and ``selected`` are as they stand now. A password is its
    field's ``value`` too, and stands in no verdict. What people
    cannot see (``tasks/sight.js`` has the rule) does not count unless ``hidden``; a checkbox that
    its label is drawn for does, and what a ``noscript`` or ``template`` holds never counts.

    Text reads as it is shown: blocks, list items and cells of a table are lines, boxes that stand
    beside one another have a blank between them, and what touches (``<b>1</b><b>2</b>``) is one
    word. What an open shadow root holds is found as if it stood in an element at the end of what
    has it; a closed one is not looked into.
    Example: ``Dom(selector="#thanks", text="Thank you!")``.
    """

    kind: ClassVar[str] = "dom"
    selector: str = Field(min_length=1, max_length=LONGEST_SELECTOR)
    text: TextMatch | None = None
    attribute: str | None = Field(None, min_length=1)
    count: int | None = Field(None, ge=1)
    absent: bool = False
    hidden: bool = False

    @field_validator("selector")
    @classmethod
    def _is_one(cls, selector: str) -> str:
        try:
            soupsieve.compile(selector)
        except (soupsieve.SelectorSyntaxError, ValueError) as error:
            told = " ".join(str(error).split())[:200]
            raise ValueError(f"{shown(selector)} is no CSS selector: {told}") from None
        return selector

    @model_validator(mode="after")
    def _not_both(self) -> Dom:
        if self.absent and self.count is not None:
            raise ValueError("absent and count are both given; absent means none")
        return self

    async def judge(self, evidence: Evidence) -> Verdict:
        """Read the page once and look."""
        soup = await live_soup(evidence.page, typed=self.attribute == "value")
        found = [tag for tag in soup.select(self.selector) if self.hidden or _seen(tag)]
        reasons = [self._mismatch(tag) for tag in found]
        fit = sum(not reason for reason in reasons)
        if self.absent:
            told = f"{self.selector!r} is there" if fit else await _no_page(evidence.page, soup)
            return Verdict(not told, told)
        if self.count is not None:
            if len(found) != self.count:
                return Verdict(False, f"{self.selector!r}: {len(found)} elements, not {self.count}")
            wrong = next(filter(None, reasons), "")
            return Verdict(not wrong, wrong and f"{self.selector!r}: {wrong}")
        if fit:
            return Verdict(True)
        return Verdict(False, f"{self.selector!r}: {reasons[0] if reasons else 'not on the page'}")

    def _mismatch(self, tag: Tag) -> str:
        if self.text is not None and self.attribute is None:
            reason = self.text.mismatch(_text(tag, self.hidden))
            hint = '; what was typed into it is its attribute = "value"'
            return reason + hint * bool(reason and tag.name == "input")
        if self.attribute is None:
            return ""
        value = tag.get(self.attribute)
        if value is None:
            return f"it has no attribute {self.attribute!r}"
        text = " ".join(value) if isinstance(value, list) else value
        reason = "" if self.text is None else self.text.mismatch(text)
        secret = self.attribute == "value" and str(tag.get("type")).lower() == "password"
        return "another password was typed into it" if reason and secret else reason


async def _no_page(page: Page, soup: BeautifulSoup) -> str:
    """Why what is not there says nothing; empty if it does."""
    scheme = page.url.partition(":")[0]
    # A task may have written its page into about:blank itself.
    if scheme.startswith("chrome") or (scheme == "about" and not (soup.body and soup.body.find())):
        return f"there is no page: {shown(page.url)}"
    status = await page.evaluate(_STATUS)
    return f"the page was answered with status {status}" if status >= 400 else ""


def _seen(tag: Tag) -> bool:
    if tag.has_attr(HIDDEN):
        return False
    return not tag.has_attr(UNREAD) or bool(_text(tag, hidden=False).strip())


_BLANK, _LINE = 1, 2


def _text(tag: Tag, hidden: bool) -> str:
    """Text of an element, parted as the page shows it, without what is hidden in it."""
    strings = (
        tag.strings
        if hidden
        else (
            part
            for part in tag.find_all(string=True)
            if _is_read(part.parent) and not isinstance(part, Comment)
        )
    )
    kept = {id(string) for string in strings}
    said: list[str] = []
    apart = 0
    for part in _parts(tag, hidden):
        if isinstance(part, int):
            apart = max(apart, part)
        elif id(part) not in kept or (apart == _LINE and part == " "):
            continue
        elif not part.strip():
            said.append(part)
        else:
            said[-1:] = _joined(said[-1], part, apart) if said else (part,)
            apart = 0
    return "".join(said)


def _parts(tag: Tag, hidden: bool) -> Iterator[NavigableString | int]:
    """Texts of an element, and ``_BLANK`` or ``_LINE`` where the page shows them apart."""
    left: list[PageElement | int] = [*reversed(tag.contents)]
    while left:
        part = left.pop()
        if isinstance(part, Tag):
            how = str(part.get(APART, "")).split()
            line = "line" in how or (hidden and "hidden-line" in how)
            before, after = (
                _LINE if line or f"line-{side}" in how else _BLANK * (f"blank-{side}" in how)
                for side in ("before", "after")
            )
            left += [after, *reversed(part.contents)]
            yield before
        elif isinstance(part, NavigableString | int):
            yield part


def _joined(one: str, other: str, apart: int) -> tuple[str, str, str]:
    if apart == _LINE:
        one, other = one.removesuffix(" "), other.removeprefix(" ")
        return one, "" if one.endswith("\n") or other.startswith("\n") else "\n", other
    blank = apart == _BLANK and not one[-1:].isspace() and not other[:1].isspace()
    return one, " " * blank, other


def _is_read(tag: Tag | None) -> bool:
    return tag is not None and not tag.has_attr(HIDDEN) and not tag.has_attr(UNREAD)
