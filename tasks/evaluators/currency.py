"""Amounts of money: the sum and the currency, however both are written."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from difflib import get_close_matches
from typing import ClassVar

from pydantic import Field, field_validator

from webdojo.tasks.evaluators.claims import claims_no_quantity, rough
from webdojo.tasks.evaluators.currencies import CODES, MEANS
from webdojo.tasks.evaluators.evaluator import Match
from webdojo.tasks.evaluators.normalise import shown, unreadable, visible
from webdojo.tasks.evaluators.numbers import MAGNITUDE, SHARE, TOKEN, signed

_AMBIGUOUS = frozenset({"won"})
"""Writings that are other words too, and count right after the amount alone."""
_WORDS = sorted(MEANS.keys() - {*CODES} - _AMBIGUOUS, key=len, reverse=True)
_ENGLISH = frozenset(("all", "bob", "cup", "gel", "mad", "pen", "top", "try"))
"""Codes that are words, and count in capitals alone; the others also in lower case at an amount."""
_LOW = f"(?i:{'|'.join(code for code in CODES if code.lower() not in _ENGLISH)})"
_MARK = re.compile(
    rf"(?<![^\W\d_])(?:(?P<code>{'|'.join(CODES)})"
    rf"|(?P<low>{_LOW}(?=\s?[-+]?\s?\d)|(?<=\d){_LOW}|(?<=\d\s){_LOW})"
    rf"|(?P<word>(?i:{'|'.join(map(re.escape, _WORDS))})))(?![^\W\d_])"
)
_SHARED = r"(?:dollars?|pounds?|francs?|rupees?|krona|kronor|krone|kroner|pesos?|liras?)"
_ELSEWHERE = (
    r"(?:canadian|australian|aussie|new zealand|kiwi|hong kong|singapore(?:an)?|taiwan(?:ese)?"
    r"|jamaican|bahamian|barbadian|bermudian|belize|namibian|liberian|fijian|guyanese|zimbabwean"
    r"|trinidad(?:ian)?|egyptian|lebanese|syrian|sudanese|pakistani|nepalese|sri lankan|mauritian"
    r"|canada|australia|singapore|jamaica|cdn|aus|nz|hk)"
)
_SIGNED_CODE = re.compile(rf"(?<!\w)(?:{'|'.join(CODES)})(?=[$€£¥₹₩]\s?[-+.\d])")
"""``USD$``, which is no sign of its own."""
_OF_ELSEWHERE = re.compile(
    r"(?<![^\W\d_])(?<![^\W\d_]\.)(?!(?:in|of|us|u\.s\.|american|british|swiss|indian)\s)"
    rf"[^\W\d_][\w.]{{0,40}}\s+{_SHARED}\b|(?:\d|\b{_SHARED})[\s(,]*(?:in )?{_ELSEWHERE}\b",
    re.IGNORECASE,
)
"""Such as Canadian dollars, which are no dollars."""
_OF_MILLIONS = re.compile(r"(?<=\d)\s?(?:mm?|t)\b(?![-&'])", re.IGNORECASE)
"""Beside money no lengths."""
_IN_BRACKETS = re.compile(r"(?:^|:)[^\w(:]*\([$\s]*[\d.,]+[$\s]*\)[\s$.]*$")
"""``($5.00)``, which is a debt to whoever keeps books."""
_COSTS = (
    r"(?:(?:extra|additional|further|added|hidden|sales|the|all|any)\s+)*(?:tax(?:es)?|vat|shipping"
    r"|delivery|postage|fees?|charges?|costs?|discounts?|coupons?|rebates?|tips?|surcharges?)\b"
)
_ASIDE = re.compile(rf"\b(?:before|after)\s+{_COSTS}", re.IGNORECASE)
_FREE = re.compile(rf"\b(?:with|at)\s+no\s+{_COSTS}(?:\s+{_COSTS})?", re.IGNORECASE)
"""What follows a sum and leaves it as it is."""
_UNIT = re.compile(r"\d\s*(?:\.\s*)?([^\W\d_]+)")
_NO_UNIT = frozenset(
    (
        *("a", "altogether", "an", "and", "apiece", "as", "at", "because", "but", "by", "each"),
        *("every", "excl", "excluding", "for", "if", "in", "incl", "included", "including"),
        *("inclusive", "is", "net", "on", "only", "overall", "per", "plus", "since", "so", "that"),
        *("the", "then", "there", "this", "to", "today", "total", "was", "when", "where", "which"),
        *("with", "without"),
    )
)
"""Words that may follow an amount whose currency is not named."""
_GROUPED = re.compile(r"[-+]?\d{1,3}(?:([,.' ])\d{3})(?:\1\d{3})*")
_IN_LAKHS = re.compile(r"[-+]?\d{1,2}(?:(,)\d{2})+,\d{3}")
_OF_LAKHS = frozenset(("INR", "PKR", "NPR", "BDT", "LKR"))
"""Currencies whose sums may be parted as in 1,23,456."""
_PARTS = re.compile(r"\b(?:cents?|pence|penn(?:y|ies))\b|¢", re.IGNORECASE)


class Currency(Match):
    """A sum of one currency, the only one in the text.

    ``$1,234.50``, ``USD 1234.5`` and ``1.234,50 €`` are read as meant: of two kinds of separators
    the later one is the decimal point, and a single one is unless three digits follow it (and so
    is a point, where ``value`` has three decimals). A text
    that names no currency matches unless ``named``, or unless a unit follows that is none: ``12``
    may be dollars, ``12 apples`` are not. What does not claim one sum does not match: a denial, a
    bound (``from $12``), a choice, a question, ``about $12``. See ``claims`` for what such rules
    cannot see. Example: ``Currency(value=12.5, currency="EUR")``.
    """

    kind: ClassVar[str] = "currency"
    value: Decimal = Field(allow_inf_nan=False)
    currency: str = "USD"
    named: bool = False

    @field_validator("currency")
    @classmethod
    def _known(cls, code: str) -> str:
        if code not in CODES:
            near = get_close_matches(code.upper(), CODES, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else "such as USD"
            raise ValueError(f"{code!r} is no code of ISO 4217; {hint}")
        return code

    def mismatch(self, found: object) -> str:
        """No sum, several, another one, or another currency."""
        if reason := unreadable(found):
            return reason
        text = _SIGNED_CODE.sub(r"\g<0> ", signed(visible(str(found))))
        return self._other_currency(text) or self._other_amount(text)

    def _other_currency(self, text: str) -> str:
        marks = list(_MARK.finditer(text))
        strange = _OF_ELSEWHERE.search(text) or next(
            (mark for mark in marks if self.currency not in _meaning(mark)), None
        )
        symbol = next((c for c in _MARK.sub("", text) if unicodedata.category(c) == "Sc"), "")
        unit = _UNIT.search(text) if not marks else None
        word = unit.group(1).casefold() if unit else ""
        own = self.currency in MEANS.get(word, ())
        if unit and not own and word not in _NO_UNIT and not _ASIDE.match(text, unit.start(1)):
            symbol = word
        if strange or symbol or (self.named and not marks and not own):
            said = strange.group() if strange else symbol or "no currency"
            return f"{shown(text)} is not in {self.currency}: it says {said}"
        return ""

    def _other_amount(self, text: str) -> str:
        units = (MAGNITUDE, SHARE, _PARTS, _OF_MILLIONS)
        if unit := next(filter(None, (kind.search(text) for kind in units)), None):
            return (
                f"{shown(text)} counts in {unit.group().strip()!r}; write the amount out in whole"
                " units"
            )
        bare = _MARK.sub(" $ ", text)
        if _IN_BRACKETS.search(bare):
            return f"{shown(text)} stands in brackets, which may make it negative"
        tokens = TOKEN.findall(bare)
        if len(tokens) != 1:
            return f"{shown(text)} holds {len(tokens) or 'no'} amount{'s' * (len(tokens) != 1)}"
        before, _, after = bare.partition(tokens[0])
        if reason := claims_no_quantity(before, _FREE.sub("", after)) or rough(before, after):
            return f"{shown(text)}: {reason}"
        sign = "-" if re.search(r"-\s*(?:[^\w\s-]|[A-Z]{1,3})?\s*\$?\s*[.,]?\d", bare) else ""
        amount = self._amount(sign + tokens[0].lstrip("+-"))
        if amount is None:
            return f"{shown(tokens[0])} is no amount"
        return "" if amount == self.value else f"{amount} is not {self.value}"

    def _amount(self, token: str) -> Decimal | None:
        whole, cents = self._parted(token)
        if not re.fullmatch(r"[-+]?\d+", whole):
            lakhs = _IN_LAKHS.fullmatch(whole) if self.currency in _OF_LAKHS else None
            grouped = lakhs or _GROUPED.fullmatch(whole)
            if not grouped:
                return None
            whole = whole.replace(grouped.group(1), "")
        return Decimal(f"{whole}.{cents or 0}") if not cents or cents.isdigit() else None

    def _parted(self, token: str) -> tuple[str, str]:
        """What stands before the decimal point, and after it."""
        last = max(token.rfind(","), token.rfind("."))
        if last < 0:
            return token, ""
        whole, cents = token[:last], token[last + 1 :]
        if whole in ("", "-"):
            return f"{whole}0", cents
        of_thousandths = token[last] == "." and _decimals(self.value) >= 3
        single = token.count(token[last]) == 1 and (len(cents) != 3 or of_thousandths)
        return (whole, cents) if len({*token} & {*",."}) == 2 or single else (token, "")


def _decimals(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


def _meaning(mark: re.Match[str]) -> set[str]:
    """The currencies that one writing can stand for."""
    code = mark["code"] or (mark["low"] or "").upper()
    return MEANS[code or mark["word"].casefold()]
