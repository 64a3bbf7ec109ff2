"""Amounts of money: the sum and the currency, however both are written."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import ClassVar

from pydantic import Field, field_validator

from webdojo.tasks.evaluators.evaluator import Match
from webdojo.tasks.evaluators.normalise import shown, undecided, visible
from webdojo.tasks.evaluators.numbers import MAGNITUDE, TOKEN, bounded, signed

_CODES = (
    *("AUD", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "IDR", "ILS"),
    *("INR", "JPY", "KRW", "MXN", "NOK", "NZD", "PHP", "PLN", "SEK", "SGD", "THB", "TRY", "TWD"),
    *("USD", "VND", "ZAR"),
)
_SYMBOLS = {
    "US$": "USD",
    "AU$": "AUD",
    "A$": "AUD",
    "CA$": "CAD",
    "C$": "CAD",
    "HK$": "HKD",
    "NZ$": "NZD",
    "S$": "SGD",
    "R$": "BRL",
    "$": "USD",
    "€": "EUR",
    "£": "GBP",
    "¥": "JPY",
    "₹": "INR",
    "₩": "KRW",
    "₪": "ILS",
    "₺": "TRY",
    "₫": "VND",
    "฿": "THB",
    "dollars": "USD",
    "dollar": "USD",
    "euros": "EUR",
    "euro": "EUR",
    "pounds": "GBP",
    "pound": "GBP",
    "yen": "JPY",
    "rupees": "INR",
}
_NAMED = re.compile(
    r"(?<![A-Za-z])(?:"
    + "|".join([*map(re.escape, sorted(_SYMBOLS, key=len, reverse=True)), *_CODES])
    + r")(?![A-Za-z])",
    re.IGNORECASE,
)
_GROUPED = re.compile(r"[-+]?\d{1,3}(?:([,.' ])\d{3})(?:\1\d{3})*")

_PARTS = re.compile(r"\b(?:cents?|pence|penn(?:y|ies))\b|¢", re.IGNORECASE)


class Currency(Match):
    """A sum of one currency, the only one in the text.

    ``$1,234.50``, ``USD 1234.5`` and ``1.234,50 €`` are read as meant: of two kinds of separators
    the later one is the decimal point, and a single one is unless three digits follow it. A text
    that names no currency matches unless ``named``.
    Example: ``Currency(value=12.5, currency="EUR")``.
    """

    kind: ClassVar[str] = "currency"
    value: Decimal = Field(allow_inf_nan=False)
    currency: str = "USD"
    named: bool = False

    @field_validator("currency")
    @classmethod
    def _known(cls, code: str) -> str:
        if code not in _CODES:
            raise ValueError(f"{code!r} is not one of {', '.join(_CODES)}")
        return code

    def mismatch(self, found: object) -> str:
        """No sum, several, another one, or another currency."""
        text = signed(visible(str(found)))
        return undecided(found) or bounded(text) or self._difference(text)

    def _difference(self, text: str) -> str:
        if MAGNITUDE.search(text):
            return f"{shown(text)} counts in larger units; write the amount out"
        if _PARTS.search(text):
            return f"{shown(text)} counts in parts of a unit; write the amount out"
        named = {_currency(word) for word in _NAMED.findall(text)}
        if named - {self.currency} or (self.named and not named):
            return f"{shown(text)} is not in {self.currency}"
        tokens = TOKEN.findall(_NAMED.sub(" $ ", text))
        if len(tokens) != 1:
            return f"{shown(text)} holds {len(tokens) or 'no'} amount{'s' * (len(tokens) != 1)}"
        sign = "-" if re.search(r"-\s*(?:[^\w\s-]|[A-Z]{1,3})?\s*\$?\s*\d", text) else ""
        amount = _amount(sign + tokens[0].lstrip("+-"))
        if amount is None:
            return f"{tokens[0]!r} is no amount"
        return "" if amount == self.value else f"{amount} is not {self.value}"


def _currency(word: str) -> str:
    symbol = _SYMBOLS.get(word.upper()) or _SYMBOLS.get(word.lower())
    return symbol or word.upper()


def _amount(token: str) -> Decimal | None:
    last = max(token.rfind(","), token.rfind("."))
    whole, cents = token, ""
    if last >= 0:
        kinds = {c for c in token if c in ",."}
        digits = len(token) - last - 1
        if len(kinds) == 2 or (token.count(token[last]) == 1 and digits != 3):
            whole, cents = token[:last], token[last + 1 :]
    if not re.fullmatch(r"[-+]?\d+", whole):
        grouped = _GROUPED.fullmatch(whole)
        if not grouped:
            return None
        whole = whole.replace(grouped.group(1), "")
    if cents and not cents.isdigit():
        return None
    return Decimal(f"{whole}.{cents or 0}")
