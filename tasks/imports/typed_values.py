"""Comparing values by the types that WebArena-Verified's schemas name.

A schema is JSON: ``{"type": "array", "items": {…}}``, ``{"type": "object", "properties": {…}}``,
or a type or ``format`` of one value. Tolerances are those of its own evaluator: distances and
durations come from maps that are never twice the same. What is not of the type never fits.
"""

from __future__ import annotations

import base64
import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import date
from difflib import SequenceMatcher
from math import isclose
from typing import Any

from webdojo.tasks.evaluators.currencies import MEANS
from webdojo.tasks.evaluators.dates import MONTHS, read_day
from webdojo.tasks.evaluators.lists import left_over
from webdojo.tasks.evaluators.normalise import LONGEST, plain, visible
from webdojo.tasks.imports.patterns import LONGEST_MATCHED, is_pattern, matches

Schema = Mapping[str, Any]
CENTS = 0.1
"""Difference of two sums of money that does not count."""
METRES, SHARE_OF_DISTANCE = 10.0, 0.02
SECONDS, SHARE_OF_DURATION = 180.0, 0.1
"""The larger of the two, the share being one of the larger value, does not count."""
DEGREES = 1e-6
ALIKE = 0.8
"""How alike the names of one place are."""
LONGEST_FILE = 150_000
"""Characters of base64 beyond which a file is not looked into."""
_LENGTHS = {
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), 1.0),
    **dict.fromkeys(("k", "km", "kilometer", "kilometers", "kilometre", "kilometres"), 1000.0),
    **dict.fromkeys(("mi", "mile", "miles"), 1609.344),
    **dict.fromkeys(("ft", "foot", "feet"), 0.3048),
    **dict.fromkeys(("yd", "yard", "yards"), 0.9144),
    **dict.fromkeys(("cm", "centimeter", "centimeters", "centimetre", "centimetres"), 0.01),
    **dict.fromkeys(("in", "inch", "inches"), 0.0254),
}
_TIMES = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
    **dict.fromkeys(("w", "week", "weeks"), 604800.0),
}
_MEASURE = re.compile(r"(?<!\d)(\d+(?:\.\d+)?)\s*([a-z]+)")
_CLOCK = re.compile(r"(?:(\d{1,6}):)?(\d{1,6}):(\d{2})( hours?)?")
_TRUE = frozenset({"true", "yes", "y", "1", "t", "on"})
_FALSE = frozenset({"false", "no", "n", "0", "f", "off"})
_NOTHING = frozenset({"", "n/a", "na", "nan", "null", "none"})


def fits(wanted: Any, found: Any, schema: Schema | None, *, ordered: bool = False) -> bool:
    """Whether a found value is the wanted one; a list in the place of a value gives alternatives.

    Without a schema text is compared as a reader sees it and numbers by value. Raises
    SlowPatternError for a regular expression that is not decided in time.
    """
    kind = type_of(schema)
    if kind == "array" and isinstance(wanted, list | tuple):
        found = _from_json(found)
        items = list(found) if isinstance(found, list | tuple) else [found]
        return same_items(wanted, items, (schema or {}).get("items"), ordered=ordered)
    if isinstance(wanted, list | tuple) and kind != "coordinates":
        return any(fits(one, found, schema, ordered=ordered) for one in wanted)
    if isinstance(wanted, Mapping) and kind != "coordinates":
        return _same_object(wanted, _from_json(found), (schema or {}).get("properties") or {})
    if is_pattern(wanted):
        return _matches(wanted, found, kind)
    if wanted is None or wanted == "":
        return found is None or (isinstance(found, str) and plain(found) in _NOTHING)
    return _same(wanted, found, kind)


def same_items(wanted: Any, found: list[Any], schema: Schema | None, *, ordered: bool) -> bool:
    """Whether each item is there once and nothing else is."""
    if len(wanted) != len(found):
        return False
    if ordered:
        pairs = zip(wanted, found, strict=True)
        return all(fits(one, other, schema, ordered=True) for one, other in pairs)
    left = left_over(
        len(wanted), len(found), lambda item, place: fits(wanted[item], found[place], schema)
    )
    return left is None


def type_of(schema: Schema | None) -> str:
    """The type that a schema names; empty if there is none."""
    if not schema:
        return ""
    return str(schema.get("format") or schema.get("type") or "")


def unknown_type(schema: Any) -> str:
    """The first type of a schema that is not known here; empty if all are."""
    if not isinstance(schema, Mapping):
        return ""
    kind = type_of(schema)
    if kind and kind not in TYPES:
        return kind
    inner = [schema.get("items"), *(schema.get("properties") or {}).values()]
    return next(filter(None, map(unknown_type, inner)), "")


def _same_object(wanted: Mapping[str, Any], found: Any, properties: Mapping[str, Any]) -> bool:
    if not isinstance(found, Mapping):
        return False
    extra = set() if properties else found.keys() - wanted.keys()
    names = {*wanted, *properties}
    return not extra and all(
        fits(wanted.get(name), found.get(name), properties.get(name)) for name in names
    )


def _matches(pattern: str, found: Any, kind: str) -> bool:
    text = _decoded(found) if kind == "base64" else found
    if not isinstance(text, str | int | float) or len(str(text)) > LONGEST_MATCHED:
        return False
    return matches(pattern, str(text)) or matches(pattern, visible(str(text)))


def _same(wanted: Any, found: Any, kind: str) -> bool:
    compare = READERS.get(kind)
    if compare is None:
        return _same_plain(wanted, found)
    read, equal = compare
    one, other = read(wanted), read(found)
    return one is not None and other is not None and equal(one, other)


def _same_plain(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, bool) or isinstance(found, bool) or found is None:
        return wanted is found or str(wanted).lower() == str(found).lower()
    one, other = _number(wanted), _number(found)
    if one is not None and other is not None:
        return one == other
    return bool(plain(str(wanted))) and plain(str(wanted)) == plain(str(found))


def _from_json(value: Any) -> Any:
    if isinstance(value, str) and len(value) <= LONGEST and value[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


_WHOLE = r"(?:\d{1,3}(?:,\d{3})+|\d{1,3}(?: \d{3})+|\d{1,2}(?:,\d{2})+,\d{3}|\d*)"
"""Digits, in thousands or in lakhs or not parted at all."""
_NUMBER = re.compile(rf"[+-]?(?=\.?\d){_WHOLE}(?:\.\d*)?(?:[eE][+-]?\d+)?", re.ASCII)
_MONEY = re.compile(r"(-?)\s*([^\d\s.,-]*)\s*(-?[\d.,]*\d)\s*([^\d\s]*?)\.?", re.ASCII)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    text = str(value).strip()
    return float(re.sub("[, ]", "", text)) if _NUMBER.fullmatch(text) else None


def _money(value: Any) -> float | None:
    text = str(value) if isinstance(value, int | float | str) else ""
    found = _MONEY.fullmatch(text.strip())
    if found is None or not (_is_currency(found[2]) and _is_currency(found[4])):
        return None
    digits = found[3]
    if digits.rfind(",") > digits.rfind(".") and re.search(r",\d{1,2}$", digits):
        digits = digits.translate(str.maketrans(",.", ".,"))
    number = _number(digits)
    return None if number is None else -number if found[1] else number


def _is_currency(mark: str) -> bool:
    """Whether what stands beside a sum names a currency, or nothing: ``12k`` does not."""
    word = "".join(c for c in mark if unicodedata.category(c) != "Sc")
    return not word or any(
        form in MEANS for form in (word.upper(), word.casefold(), mark.casefold())
    )


def _measure(value: Any, units: Mapping[str, float]) -> float | None:
    """A sum of numbers with units, such as ``1h 20min``; None if anything else is there."""
    text = plain(value) if _is_text(value) else ""
    text = re.sub(r"\band\b|,", " ", re.sub(r"(?<=\d),(?=\d{3})", "", text))
    parts = _MEASURE.findall(text)
    rest = _MEASURE.sub("", text).strip()
    if not parts or rest or any(unit not in units for _, unit in parts):
        return None
    return sum(float(number) * units[unit] for number, unit in parts)


def _metres(value: Any) -> float | None:
    return _measure(value, _LENGTHS)


def _seconds(value: Any) -> float | None:
    clock = _CLOCK.fullmatch(value) if _is_text(value) else None
    if clock is None:
        return _measure(value, _TIMES)
    hours, minutes, seconds = int(clock[1] or 0), int(clock[2]), int(clock[3])
    if clock[4] and not clock[1]:
        hours, minutes, seconds = minutes, seconds, 0
    return hours * 3600.0 + minutes * 60 + seconds


def _truth(value: Any) -> bool | None:
    if isinstance(value, bool | int | float):
        return bool(value) if value in (0, 1) else None
    word = plain(value) if isinstance(value, str) else ""
    return True if word in _TRUE else False if word in _FALSE else None


def _day(value: Any) -> date | None:
    return read_day(value) if _is_text(value) else None


def _month(value: Any) -> int | None:
    word = plain(str(value)) if isinstance(value, int | str) else ""
    number = int(word) if re.fullmatch(r"\d{1,2}", word) else MONTHS.get(word, 0)
    return number if 1 <= number <= 12 else None


def _listed(value: Any) -> list[str] | None:
    parts = str(value).split(",") if isinstance(value, int | str) else []
    return sorted(filter(None, map(plain, parts))) or None


def _json(value: Any) -> str | None:
    try:
        return json.dumps(json.loads(value), sort_keys=True) if _is_text(value) else None
    except (ValueError, RecursionError):
        return None


def _markdown(value: Any) -> str | None:
    """Markdown with one mark for lists, and without blank lines and space at line ends."""
    if not _is_text(value):
        return None
    lines = [line.rstrip() for line in value.replace("\r", "\n").split("\n")]
    lines = [re.sub(r"^(\s*)[*+]\s+", r"\1- ", re.sub(r"^\s*(#+)\s+", r"\1 ", x)) for x in lines]
    return re.sub(r"\n\s*\n+", "\n", "\n".join(re.sub(r"^\s+-", "  -", x) for x in lines)).strip()


def _decoded(value: Any) -> str | None:
    """The text that base64 holds, its lines ended by a line feed."""
    try:
        if not isinstance(value, str) or len(value) > LONGEST_FILE:
            return None
        text = base64.b64decode(value.strip(), validate=True).decode()
    except ValueError:  # no base64, or no text in it
        return None
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def _place(value: Any) -> str | None:
    words = re.sub(r"[^\w\s]", " ", plain(value)).split() if _is_text(value) else []
    return " ".join(sorted(words)) or None


def _point(value: Any) -> tuple[float, float] | None:
    if isinstance(value, Mapping):
        value = [
            next((value[n] for n in value if str(n).lower().startswith(start)), None)
            for start in ("lat", ("lon", "lng"))
        ]
    if isinstance(value, str):
        value = value.split(",")
    pair = [_number(v) for v in value] if isinstance(value, list | tuple) else []
    return (pair[0], pair[1]) if len(pair) == 2 and None not in pair else None  # type: ignore[return-value]


def _address(value: Any) -> tuple[Any, ...] | None:
    """An address in one form: query in any order; of a repository without host and port."""
    from webdojo.tasks.evaluators.urls import address_key

    if not _is_text(value):
        return None
    text = value.strip()
    remote = re.fullmatch(r"(?:ssh://)?(\w+)@([^:/]+)(?::\d+)?[:/](.+)", text, re.IGNORECASE)
    if remote:
        return (remote[1].lower(), remote[3].lower().strip("/").removesuffix(".git"))
    return address_key(text)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST


def _near(least: float, share: float) -> Callable[[float, float], bool]:
    return lambda one, other: isclose(one, other, rel_tol=share, abs_tol=least)


def _equal(one: Any, other: Any) -> bool:
    return bool(one == other)


def _alike(one: str, other: str) -> bool:
    return SequenceMatcher(None, one, other, autojunk=False).ratio() >= ALIKE


READERS: dict[str, tuple[Callable[[Any], Any], Callable[[Any, Any], bool]]] = {
    "number": (_number, _equal),
    "integer": (_number, _equal),
    "boolean": (_truth, _equal),
    "currency": (_money, _near(CENTS + 1e-9, 0.0)),
    "date": (_day, _equal),
    "month": (_month, _equal),
    "duration": (_seconds, _near(SECONDS, SHARE_OF_DURATION)),
    "distance": (_metres, _near(METRES, SHARE_OF_DISTANCE)),
    "coordinates": (
        _point,
        lambda a, b: all(map(_near(DEGREES, 0.0), a, b)),
    ),
    "location-name": (_place, _alike),
    "string_list": (_listed, _equal),
    "json": (_json, _equal),
    "markdown": (_markdown, _equal),
    "base64": (_decoded, _equal),
    "url": (_address, _equal),
}
"""How a value of each type is read, None if it is not of it, and when two such are the same."""
TYPES = (*READERS, "array", "object", "null", "string")
"""Every type that a schema may name."""
