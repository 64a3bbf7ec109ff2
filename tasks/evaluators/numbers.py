"""Numbers in English writing: ``1,234.5``; one to an answer."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import ClassVar

from pydantic import Field

from webdojo.tasks.evaluators.claims import claims_no_quantity, rough
from webdojo.tasks.evaluators.evaluator import Match
from webdojo.tasks.evaluators.normalise import shown, unreadable, visible

TOKEN = re.compile(r"(?:(?<!\w)[-+])?(?:(?<![\w.,])[.,])?\d(?:[\d,.' ]*\d)?")
"""Anything that is written like a number, however badly."""
_ENGLISH = re.compile(r"[-+]?(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)")
MAGNITUDE = re.compile(
    r"\b(?:tens|hundreds?|thousands?|millions?|billions?|trillions?|doz(?:ens?)?|lakhs?|crores?|grand)\b"
    r"|(?:(?<=\d)|\b)(?:bn|mio|mn|mil|mrd|tn|trn|thou)\b|(?<=\d)[kmbt]\b|(?<=\d )[kb]\b"
    r"|(?-i:(?<=\d)MM\b|(?<=\d )(?:MM?|T)\b(?![-&'])|(?<=\d \()(?:[KMBT]|MM)\))",
    re.IGNORECASE,
)
"""Words that make a number another one; ``5 m`` and ``5 mm`` are lengths."""
SHARE = re.compile(
    r"[%‰‱٪]|\bper ?(?:cent|mille?)\b|\b(?:percentage|basis) points?\b|\bpercentage\b"
    r"|(?:(?<=\d)|(?<=\d )|\b)pct\b|(?:(?<=\d)|(?<=\d ))(?:pp|p\.p\.|ppts?|bps?)(?!\w)",
    re.IGNORECASE,
)
"""Signs and words that make a number a share."""
_NEGATIVE = re.compile(r"\b(?:minus|negative)\s+(?=[\d.,$€£])", re.IGNORECASE)


_HUNDREDTHS = ("%", "percent", "per cent", "percentage", "pct")


def signed(text: str) -> str:
    """The text with ``-`` for a sign in words."""
    return _NEGATIVE.sub("-", text)


class Number(Match):
    """The number, the only one in the text.

    ``"The total is 1,234.50."`` holds 1234.5. What does not claim one number does not match: two of
    them, in words as well (``5 or six``), a denial, a bound (``at least 5``), a question, a
    calculation, a word of magnitude (``5 million``, ``5bn``, ``5 M``), a share (``5%``, ``5 pct``)
    unless ``percent`` says that shares are counted in hundredths, and ``about 5`` where no
    ``tolerance`` is given. Other units are not looked at: ``5 km`` is 5. See ``claims`` for what
    such rules cannot see.
    Example: ``Number(value=42, tolerance=0.5)``.
    """

    kind: ClassVar[str] = "number"
    value: Decimal = Field(allow_inf_nan=False)
    tolerance: Decimal = Field(Decimal(0), ge=0, allow_inf_nan=False)
    percent: bool = False
    """Whether ``42%`` is 42, as ``42`` is; without it ``42%`` is no number at all."""

    def mismatch(self, found: object) -> str:
        """No number, several, or another one."""
        if reason := unreadable(found):
            return reason
        share = SHARE.search(visible(str(found)))
        if share and not (self.percent and share.group().lower() in _HUNDREDTHS):
            return f"{shown(found)} is a share ({share.group()}), not a number"
        number = _only_number(signed(visible(str(found))), roughly=bool(self.tolerance))
        if isinstance(number, str):
            return number
        if abs(number - self.value) <= self.tolerance:
            return ""
        return f"{number} is not {self.value}"


def _only_number(text: str, *, roughly: bool) -> Decimal | str:
    """The one number in a text, or a word on why there is none."""
    # A space may part digits ("1 234") in some countries and items in others: two numbers here.
    tokens = [part for token in TOKEN.findall(text) for part in token.split()]
    if len(tokens) != 1:
        return f"{shown(text)} holds {len(tokens) or 'no'} number{'s' * (len(tokens) != 1)}"
    before, _, after = text.partition(tokens[0])
    reason = claims_no_quantity(before, after) or ("" if roughly else rough(before, after))
    if reason:
        return f"{shown(text)}: {reason}"
    if not _ENGLISH.fullmatch(tokens[0]):
        return f"{shown(tokens[0])} is not written as 1,234.5"
    if MAGNITUDE.search(text):
        return f"{shown(text)} counts in larger units; write the number out"
    return Decimal(tokens[0].replace(",", ""))
