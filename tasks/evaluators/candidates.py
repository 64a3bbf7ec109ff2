"""Whether a value in a text is one of several candidates that are listed: ``red, blue, green``.

Such an answer holds the right value whichever it is. What counts is the form: items of about the
value's length beside it, parted by the same marks as a list is. No rule tells a list of candidates
from a list of particulars ("Ada, mathematician, London"), nor two candidates that a comma parts
from a place in its country ("Paris, France"): the first is a list here, and the second is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from webdojo.tasks.evaluators.normalise import plain, shown

NEIGHBOURS = 10
"""Items on either side of a value that are looked at."""
_HERE = "\ue000"
"""Stands for the value; ``plain`` text holds no character of private use."""
_NUMBERING = re.compile(r"[\r\n]+|(?:^|(?<=\s))(?:\(?(?:\d{1,2}|[A-Za-z])[.)]|[-*•·‣▪●◦])(?=\s)")
_ALSO = r"(?:and|&|\+|plus|as well as)"
_PARTED = re.compile(
    rf"(?P<hard>\s?(?:;|[.!?](?=\s))+)\s?(?:{_ALSO}\s)?"
    rf"|\s?[,|/\\•·]\s?(?P<last>{_ALSO}\s)?|\s-\s|\s(?P<also>{_ALSO})\s"
)
_AROUND = " \"'()[]{}*_`.!?"
_ARTICLE = re.compile(r"(?:(?:the|a|an|also|then)\s)+")
_FILLERS = frozenset(
    {"yes", "ok", "okay", "sure", "well", "so", "indeed", "done", "thanks", "thank you", "please"}
)


def one_of_several(text: str, value: str) -> str:
    """The other candidates, for people, if a text lists the value among such; empty if not.

    A list has three items or more, of which one besides the value is as short as that but for a
    word; or two that "and" joins. Lines and sentences are items where the value is a whole one.
    """
    wanted = plain(value)
    words = plain(_NUMBERING.sub(" ; ", text))
    words = re.sub(rf"(?<!\w){re.escape(wanted)}(?!\w)", _HERE, words)
    partings = list(_PARTED.finditer(words))
    starts = [0, *(parting.end() for parting in partings)]
    ends = [*(parting.start() for parting in partings), len(words)]
    items = [words[start:end] for start, end in zip(starts, ends, strict=True)]
    for place, item in enumerate(items):
        if _HERE not in item:
            continue
        bare = _bare(item)
        begins, closes = bare.startswith(_HERE), bare.endswith(_HERE)
        near = max(0, place - NEIGHBOURS)
        left = [*zip(items[near:place], partings[near:place], strict=True)][::-1]
        far = place + NEIGHBOURS
        right = [*zip(items[place + 1 : far + 1], partings[place:far], strict=True)]
        sides = [_led_to(left) if begins else [], right if closes else []]
        others = [
            found for side in sides for found in _others(side, wanted, alone=begins and closes)
        ]
        short = [other for other, is_short in others if is_short]
        if short and (len(others) > 1 or any(_joined(side, wanted) for side in sides)):
            return shown(", ".join(short).replace(_HERE, wanted), 40)
    return ""


_Item = tuple[str, re.Match[str]]
"""An item, and what parts it from the one nearer to the value."""


def _led_to(items: list[_Item]) -> list[_Item]:
    """Items without what leads to a list before its first: "Colours: red, blue"."""
    return [(item.rpartition(": ")[2], parting) for item, parting in items]


def _others(items: list[_Item], value: str, *, alone: bool) -> Iterator[tuple[str, bool]]:
    """Items of the list that a value may stand in, nearest first, and whether each is short.

    One that is not short is the last: the sentence that the list stands in goes on with it.
    """
    for item, parting in items:
        if parting["hard"] and not alone:
            return
        text = _bare(item)
        if text in ("", _HERE):
            continue
        if text in _FILLERS or (_has_digit(text) and not _has_digit(value)):
            return
        is_short = _length(text, value) <= len(value.split()) + 1
        yield text, is_short
        if not is_short:
            return


def _joined(items: list[_Item], value: str) -> bool:
    """Whether "and" joins the value to an item that is no longer than it."""
    if not items or not (items[0][1]["also"] or items[0][1]["last"]):
        return False
    return 0 < _length(_bare(items[0][0]), value) <= len(value.split())


def _length(item: str, value: str) -> int:
    return len(item.replace(_HERE, value).split())


def _bare(item: str) -> str:
    return _ARTICLE.sub("", f"{item.strip(_AROUND)} ", count=1).strip(_AROUND)


def _has_digit(text: str) -> bool:
    return any(map(str.isdigit, text))
