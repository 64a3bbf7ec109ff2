"""Whether an English text claims the one value that stands in it, or denies, bounds or asks it.

A text that names a value need not say that it is so: "not 5", "at least 5", "5 or six", "5?". The
rules look for words of closed classes (negations, modals and conditions, conjunctions of choice,
prepositions and comparatives that bound, numerals) and for mathematical signs. They fail closed: an
honest "I guess 5" does not match either. What is said with other words is not seen: "5 is what the
old page said". Where that matters let the goal ask for the value alone and compare it with ``Text``
or ``Exact``, or ask a judge (``Rubric``).
"""

from __future__ import annotations

import re
import unicodedata

_NEGATION = re.compile(
    r"\b(?:not|never|none|neither|nor|nothing|nobody|nowhere|cannot|hardly|scarcely)\b"
    r"|n't\b|\b(?:ai|is|are|was|were|do|does|did|has|have|had|ca|wo|would|could|should|must)nt\b"
    r"|\bno\b(?!\s*[,.])"  # but "No, it is 5" and "No. 5"
    r"|(?:\b(?:is|are|was|were|be) |[(\[,:…-]\W{0,4})(?:wrong|incorrect|false|untrue|mistaken)\b"
    r"|\b(?:wrong|incorrect|false|untrue|mistaken)(?:\s*:|\s+-\s)"
)
_CONDITION = re.compile(
    r"\b(?:might|could|would|should|maybe|perhaps|possibly|probably|presumably|supposedly"
    r"|guess(?:ing)?|suppos(?:e|ing)|assum(?:e|ing)|doubt|unsure|uncertain|wonder"
    r"|if|unless|provided|in case|(?:may|can) (?:be|have|well))\b"
)
_CHOICE = re.compile(
    r"\b(?:or|either|whether|versus|vs)\b"
    r"|\b(?:one|any|some) of(?: (?:the (?:following|these|those)|these|those|them))?\s*:"
)
_CROSSES = "✗✘✕✖❌❎🚫⛔👎"
"""Signs that say that something is not so."""
_BANG = re.compile(r"(?:!|(?:^|[^\w\s)\"'!?.])\s*!\s*)[\"'(*_]*$")
"""A sign of negation before a value: ``!5``, but not ``Wow! 5``."""
_BETWEEN = r"(?:\s+(?:the|a|an|any|of|on|for|about|(?:mon|tues|wednes|thurs|fri|satur|sun)day,?))*"
_FEW = rf"{_BETWEEN}(?:\s+[\w'-]+){{0,2}}"
"""And a word or two of which the value is told apart: "a plain red mug"."""
_EXCLUDED = re.compile(
    rf"(?:\b(?:excluding|instead|unlike|far from|without){_BETWEEN}"
    r"|\b(?:except(?: for)?|instead of|rather than|other than|apart from|besides"
    r"|(?:(?:any|every|no)(?:thing|one|body)|(?:any|every|all|none)(?: of \w+)?"
    r"|(?:any|every|each|no) \w+) but)"
    rf"{_FEW})[\s\"'(:$*]*$"
)
_LIMIT = re.compile(
    r"\b(?:less|more|fewer|greater|other|higher|lower|earlier|later|sooner|larger|smaller) than\b"
    r"|\bat (?:the )?(?:very )?(?:least|most|minimum|maximum|earliest|latest)\b"
    r"|\bup to\b|\b(?:half|quarter|third) of\b"
)
_LIMIT_BEFORE = re.compile(
    r"\b(?:before|after|until|till|since|from|between|beyond|past|prior to|ahead of|within|under"
    r"|over|above|below|exceed(?:s|ed|ing)?|nearly|almost|upwards? of|(?:min|max)(?:imum)?(?: of)?"
    r"|as (?:much|many|little|few|early|late) as|half|twice|thrice|double|triple"
    rf"|week(?:end)? of|month of|eve of){_BETWEEN}[\s\"'(:$*]*$"
)
_LIMIT_AFTER = re.compile(
    r"^\W*(?:minus|less|fewer|times (?:as|more|the|that))\b|^-\W*$"
    r"|^\W*(?:\w+\W+){0,2}?(?:and (?:up|over|above|beyond|counting|later|earlier|before|after"
    r"|a (?:half|quarter|third))\b|upwards?\b|onwards?\b|(?:min|max)imum\b|max\b|ish\b"
    r"|squared\b|cubed\b|doubled\b|halved\b)"
)
_ROUGH = re.compile(
    r"(?:[~≈]|\b(?:about|around|roughly|approximately|approx\.?|circa|some))"
    r"(?:\s+(?:the|a|an))*[\s\"'(:$*]*$"
)
_ROUGH_AFTER = re.compile(r"^\W*(?:\w+\W+){0,2}?(?:approx(?:imately)?|roughly|circa)\b")
_CARDINALS = (
    *("zero", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"),
    *("twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
    *("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"),
    *("halves", "thirds", "quarters", "fourths", "fifths", "sixths", "sevenths", "eighths"),
    *("ninths", "tenths", "elevenths", "twelfths", r"\w{3,6}teenths", r"\w{3,5}tieths"),
    *("(?:hundred|thousand)ths", "(?:[mb]|tr)illionths?", "pairs?", "scores?", "gross"),
)
_NUMERAL = re.compile(
    rf"\b(?:{'|'.join(_CARDINALS)})\b|(?:\b(?:and|to|plus|minus|times)\s|[-,/&]\s*)one\b"
)


def hedged(text: str) -> str:
    """Why a text claims nothing: it denies something, supposes, leaves a choice, or asks."""
    text = text.casefold()
    if denied := _NEGATION.search(text):
        return f"{denied.group()!r} says what it is not"
    if supposed := _CONDITION.search(text):
        return f"{supposed.group()!r} supposes it"
    if choice := _CHOICE.search(text):
        return f"{choice.group()!r} leaves a choice"
    return "it asks" if "?" in text else ""


def excluded(before: str) -> str:
    """Why a value is not the one that is meant, by the words before it; empty if it is."""
    found = _EXCLUDED.search(before.casefold())
    return f"{_said(found)!r} leaves it out" if found else ""


def bounded(before: str, after: str) -> str:
    """Why a quantity between two texts is a bound, or a part of what is meant; empty if not."""
    before, after = before.casefold(), after.casefold()
    found = (
        _LIMIT.search(f"{before}…{after}")
        or _LIMIT_BEFORE.search(before)
        or _LIMIT_AFTER.search(after)
    )
    said = _said(found) if found else _calculation(before, after)
    return f"{said!r} makes it a bound, or another quantity" if said else ""


def rough(before: str, after: str) -> str:
    """Why a quantity is meant roughly, by the words around it; empty if it is not."""
    found = _ROUGH.search(before.casefold()) or _ROUGH_AFTER.search(after.casefold())
    return f"{_said(found)!r} makes it a rough one" if found else ""


def numeral(text: str) -> str:
    """A number in words; empty if there is none. "One" counts only where it is one of several."""
    found = _NUMERAL.search(text.casefold())
    return found.group().strip() if found else ""


def claims_no_quantity(before: str, after: str) -> str:
    """Why a text does not claim the one quantity that stands between two parts; empty if so."""
    loose = hedged(f"{before}…{after}") or excluded(before) or bounded(before, after)
    if not loose and (word := numeral(before) or numeral(after)):
        return f"it also names the number {word!r}"
    return loose


def signed_away(before: str, after: str) -> str:
    """Why a text is not what is meant, by the signs around it: ``¬``, ``!``, ``~~``, ``∨``.

    What adds, equates, or leads to it (``Home > Mugs``) takes nothing back.
    """
    before, after = (re.sub(r"(?<!!)=|\+|(?<= )>(?= )", " ", part) for part in (before, after))
    struck = "~~" if "~~" in before else _calculation(before, after)
    return f"the sign {struck!r} stands beside it" if struck else ""


def _said(found: re.Match[str]) -> str:
    return found.group().strip("\"'(:$* ")


def _calculation(before: str, after: str) -> str:
    """The first mathematical sign beside a quantity; ``=`` before it and ``~`` are none."""
    if _BANG.search(before):
        return "!"
    for c, last in zip(before, "…" + before, strict=False):
        if (c == "=" and last == "!") or (c not in "=~≈" and _calculates(c)):
            return c
    return next(filter(_calculates, after), "/" if re.match(r"\s*/\s*(?![^\W\d_])", after) else "")


def _calculates(c: str) -> bool:
    return c == "^" or c in _CROSSES or unicodedata.category(c) == "Sm"
