"""Whether a value in a text is one of several candidates that are listed: ``red, blue, green``.

Such an answer holds the right value whichever it is. What counts is the form: items of about the
value's length beside it, parted by the same marks as a list is. No rule tells a list of candidates
from a list of particulars ("Ada, mathematician, London"), nor two candidates that a comma parts
from a place in its country ("Paris, France"): the first is a list here, and the second is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from webdojo.tasks.evaluators.normalise import plain, shown

WINDOW = 300
"""Characters on either side of a value in which its neighbours are looked for."""
_NUMBERING = re.compile(r"[\r\n]+|(?:^|(?<=\s))(?:\(?(?:\d{1,2}|[A-Za-z])[.)]|[-*•·‣▪●◦])(?=\s)")
_ALSO = r"(?:and|&|\+|plus|as well as)"
_PARTED = re.compile(
    rf"(?P<hard>\s?(?:;|[.!?](?=\s))+)\s?(?:{_ALSO}\s)?"
    rf"|\s?[,|/\\•·]\s?(?P<last>{_ALSO}\s)?|\s-\s|\s(?P<also>{_ALSO})\s"
)
_AROUND = " \"'()[]{}*_`"
_ARTICLE = re.compile(r"(?:(?:the|a|an|also|then)\s)+")
_FILLERS = frozenset(
    {"yes", "ok", "okay", "sure", "well", "so", "indeed", "done", "thanks", "thank you", "please"}
)


def one_of_several(text: str, value: str) -> str:
    """The other candidates, for people, if a text lists the value among such; empty if not.

    A list has three items or more, of which one besides the value is as short as that but for a
    word; or two that "and" joins. Lines and sentences are items where the value is a whole one.
    """
    words, wanted = plain(_NUMBERING.sub(" ; ", text)), plain(value)
    for found in re.finditer(rf"(?<!\w){re.escape(wanted)}(?!\w)", words):
        before = words[max(0, found.start() - WINDOW) : found.start()]
        after = words[found.end() : found.end() + WINDOW]
        others = [*_others(_backwards(before), wanted, alone=_begins(after))]
        others += _others(_onwards(after), wanted, alone=_ends(before))
        short = [item for item, is_short in others if is_short]
        if short and (len(others) > 1 or _joined(before, after, wanted)):
            return shown(", ".join(short), 40)
    return ""


_Item = tuple[str, re.Match[str]]
"""An item, and what parts it from the one nearer to the value."""


def _onwards(after: str) -> Iterator[_Item]:
    text = after.lstrip("\"')]}*_`")
    parting = _PARTED.match(text)
    while parting is not None:
        following = _PARTED.search(text, parting.end())
        yield text[parting.end() : following.start() if following else None], parting
        parting = following


def _backwards(before: str) -> Iterator[_Item]:
    partings = list(_PARTED.finditer(before))
    if not partings or not _ends(before):
        return
    starts = [0, *(parting.end() for parting in partings)]
    for place in reversed(range(len(partings))):
        item = before[starts[place] : partings[place].start()]
        # What leads to a list stands before its first item: "Colours: red, blue".
        yield item.rpartition(": ")[2], partings[place]


def _begins(after: str) -> bool:
    """Whether what follows a value parts it from the next, or is nothing."""
    text = after.lstrip(_AROUND)
    return not text.strip(".!?") or _PARTED.match(after.lstrip("\"')]}*_`")) is not None


def _ends(before: str) -> bool:
    """Whether what precedes a value parts it from the last, or is nothing but an article."""
    text = before.rstrip("\"'([{*_`")
    partings = list(_PARTED.finditer(text))
    return not _bare(text[partings[-1].end() :] if partings else text)


def _others(items: Iterable[_Item], value: str, *, alone: bool) -> Iterator[tuple[str, bool]]:
    """Items of the list that a value may stand in, nearest first, and whether each is short.

    One that is not short is the last: the sentence that the list stands in goes on with it.
    """
    for item, parting in items:
        if parting["hard"] and not alone:
            return
        text = _bare(item)
        if not text or text == value:
            continue
        if text in _FILLERS or (_has_digit(text) and not _has_digit(value)):
            return
        is_short = len(text.split()) <= len(value.split()) + 1
        yield text, is_short
        if not is_short:
            return


def _joined(before: str, after: str, value: str) -> bool:
    """Whether "and" joins the value to an item that is no longer than it."""
    nearest = [next(iter(_onwards(after)), None), next(iter(_backwards(before)), None)]
    return any(
        near is not None
        and (near[1]["also"] or near[1]["last"])
        and 0 < len(_bare(near[0]).split()) <= len(value.split())
        for near in nearest
    )


def _bare(item: str) -> str:
    return _ARTICLE.sub("", f"{item.strip(_AROUND)} ", count=1).strip(_AROUND + ".!?")


def _has_digit(text: str) -> bool:
    return any(map(str.isdigit, text))
