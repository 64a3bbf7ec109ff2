"""Values of WebArena-Verified's types: what is the same, and what is not."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from webdojo.tasks.imports.json_paths import value_at
from webdojo.tasks.imports.typed_values import fits, unknown_type


def of(kind: str) -> dict[str, str]:
    return {"type": "string", "format": kind}


def coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


SAME = [
    (of("duration"), "1h 58min", "118 minutes"),
    (of("duration"), "1h 58min", "1:58 hours"),
    (of("duration"), "1h 58min", "01:58:00"),
    (of("duration"), "1h 58min", "1 hour and 58 minutes"),
    (of("duration"), "3min", "6 min"),
    (of("duration"), "10h", "11h"),
    (of("distance"), "1.7km", "1,690 m"),
    (of("distance"), "1.7km", "1.7k"),
    (of("distance"), "290km", "180.2 miles"),
    (of("currency"), 1234.5, "$1,234.50"),
    (of("currency"), "1234.50", "1.234,50 €"),
    (of("currency"), 36.39, 36.4),
    (of("currency"), -5, "-$5.00"),
    (of("currency"), 12, "USD 12"),
    (of("currency"), 12, "USD$12"),
    (of("currency"), 12, "R$ 12.00"),
    (of("currency"), 12.5, "12,50 €"),
    (of("currency"), 0.99, "$.99"),
    (of("currency"), 12, "12 dollars."),
    (of("currency"), 123456, "₹1,23,456"),
    (of("boolean"), True, 1),
    ({"type": "number"}, 1234567, "1 234 567"),
    ({"type": "number"}, 0.5, ".5"),
    ({"type": "number"}, 1200, "1.2e3"),
    ({"type": "array", "items": of("duration")}, ["10 min", "14 min"], ["12 min", "9 min"]),
    ({"type": "array"}, [["a", "b"], "a"], ["a", "b"]),
    ({"type": "array", "items": of("currency")}, [10.0, 10.1, 10.2], [10.1, 10.15, 10.05]),
    (of("date"), "02/1/2023", "2023-02-01"),
    (of("date"), "January 29, 2023", "01/29/2023 00:00"),
    (of("month"), "Feb", "February"),
    (of("month"), "February", 2),
    (of("boolean"), True, "Yes"),
    (of("boolean"), False, "off"),
    (of("string_list"), "5,1842", "1842, 5"),
    (of("json"), '{"a": 1, "b": [2]}', '{"b":[2],"a":1}'),
    (of("markdown"), "# Films\n\n- Tenet\n- Dunkirk", "#  Films\r\n\r\n* Tenet\n+ Dunkirk  \n"),
    (of("base64"), coded("a\nb"), coded("a\r\nb\n")),
    (of("base64"), "^.*MIT License.*$", coded("Copyright\nMIT License\n")),
    (of("base64"), "^.*MIT License.*$", coded("MIT License\n" + "Words. " * 200)),
    (of("base64"), "^.*MIT License.*$", coded("MIT License\n" + "Words. " * 10_000)),
    ({"type": "string"}, "^.*MIT.*License.*$", "The MIT License\n" + "Words. " * 10_000),
    (of("url"), "git@__SSH_HOST__:someone/metaseq.git", "ssh://git@localhost:2222/someone/metaseq"),
    (of("url"), "http://a.test/b?x=1&y=2", "HTTP://A.test:80/b/?y=2&x=1"),
    (of("location-name"), "apple store shadyside", "Shadyside Apple Store"),
    (of("coordinates"), {"latitude": "40.4511693", "longitude": "-79.9334241"},
     {"lat": 40.4511693, "lng": -79.9334241}),
    (of("coordinates"), {"latitude": 40.5, "longitude": -79.5}, "40.5, -79.5"),
    ({"type": "number"}, 2366, "2,366"),
    ({"type": "null"}, None, "N/A"),
    ({"type": "string"}, "", None),
    ({"type": "string"}, "^16(?:\\.0+)?\\s*(?:inch(?:es)?|in)$", "16 Inches"),
    ({"type": "string"}, ["Jan", "January"], "january"),
    ({"type": "array", "items": {"type": "number"}}, [2264, 5], [5, "2264"]),
    ({"type": "array", "items": {"type": "number"}}, [2264], "[2264]"),
    ({"type": "object", "properties": {"n": {"type": "number"}, "m": of("month")}},
     {"n": 1, "m": "May"}, {"n": "1", "m": "may", "said": "besides"}),
]  # fmt: skip
OTHER = [
    (of("duration"), "1h 58min", "118"),
    (of("duration"), "1h 58min", "2h 30min"),
    (of("duration"), "1h 58min", "1h 58min or 3h"),
    (of("duration"), "1h 58min", "0" * 10_000),
    (of("duration"), "1h 58min", "1" * 5_000 + ":58"),
    (of("distance"), "1.7km", "1.7"),
    (of("distance"), "1.7km", "1.8 km"),
    (of("distance"), "1.7km", "1.7km 1.7km"),
    (of("currency"), 1234.5, "1234.7"),
    (of("currency"), 1234.5, "$1,234.50 or $3"),
    (of("currency"), 1, True),
    *((of("currency"), 12, text) for text in ("12k", "12bn", "12 apples", "12%", "apples 12")),
    (of("currency"), 1234, "12,34"),
    (of("currency"), 1200, "1,2,0,0"),
    (of("boolean"), True, 2),
    *(({"type": "number"}, 12, text) for text in ("1 2", "1_2", "1,2", "１２", "٣", "12k")),
    ({"type": "number"}, 1234, "12,34"),
    ({"type": "number"}, 1234567, "1 234,567"),
    ({"type": "array", "items": of("duration")}, ["10 min", "14 min"], ["16 min", "17 min"]),
    ({"type": "array"}, [["a", "b"], "a"], ["b", "b"]),
    (of("date"), "02/1/2023", "1 or 2 February 2023"),
    (of("date"), "02/1/2023", "2023-02-30"),
    (of("month"), "Feb", "13"),
    (of("month"), "Feb", "February or March"),
    (of("boolean"), True, "maybe"),
    (of("string_list"), "5,1842", "5"),
    (of("json"), "{}", "no JSON"),
    (of("json"), "[1]", "[" * 5000),
    (of("markdown"), "# Films", "# films"),
    (of("base64"), coded("a"), "a"),
    (of("base64"), "^.*MIT License.*$", "MIT License"),
    (of("base64"), coded("a"), "é"),
    (of("base64"), coded("a"), "\ud800"),
    ({"type": "string"}, "^.*mug.*$", "mug " * 30_000),
    (of("base64"), "^.*MIT License.*$", coded("MIT License\n" + "x" * 150_000)),
    (of("url"), "http://a.test/b", "http://a.test.evil/b"),
    (of("url"), "git@__SSH_HOST__:someone/metaseq.git", "git@x:someone/other.git"),
    (of("location-name"), "Yale University", "Harvard University"),
    (of("location-name"), "Yale University", ""),
    (of("coordinates"), {"latitude": 40.5, "longitude": -79.5}, "40.5, -79.6"),
    ({"type": "number"}, 1, True),
    ({"type": "null"}, None, "a"),
    ({"type": "string"}, "^a$", "b" * 20_000),
    ({"type": "array", "items": {"type": "number"}}, [1, 2], [1]),
    ({"type": "array", "items": {"type": "number"}}, [1, 2], [1, 2, 2]),
    ({"type": "object", "properties": {"n": {"type": "number"}}}, {"n": 1}, {}),
    ({"type": "object", "properties": {"n": {"type": "number"}}}, {"n": 1}, "n: 1"),
    (None, {"n": 1}, {"n": 1, "m": 2}),
]


@pytest.mark.parametrize(("schema", "wanted", "found"), SAME)
def test_what_is_the_same(schema: dict[str, Any], wanted: Any, found: Any) -> None:
    assert fits(wanted, found, schema)


@pytest.mark.parametrize(("schema", "wanted", "found"), OTHER)
def test_what_is_not(schema: dict[str, Any] | None, wanted: Any, found: Any) -> None:
    assert not fits(wanted, found, schema)


def test_order_counts_where_that_is_said() -> None:
    schema = {"type": "array", "items": {"type": "number"}}
    assert fits([1, 2], [2, 1], schema)
    assert not fits([1, 2], [2, 1], schema, ordered=True)
    assert not fits([[1, 2]], [[2, 1]], {"type": "array", "items": schema}, ordered=True)


def test_a_type_that_is_not_known_is_found_wherever_it_stands() -> None:
    inner = {"type": "array", "items": {"type": "object", "properties": {"p": of("poem")}}}
    assert unknown_type(inner) == "poem"
    assert unknown_type({"type": "array", "items": {"type": "string"}}) == ""


DATA = {
    "note": {"text": "lgtm"},
    "a b": [{"sku": "x", "new": 0}, {"sku": "y", "new": 1}],
    "inside": '[{"attributes": "size: s", "newProduct": 1}]',
    "reply_7[comment]": "good",
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$.note.text", "lgtm"),
        ("$['a b'][1].sku", "y"),
        ("$['a b'][*].sku", ["x", "y"]),
        ("$['a b'][?(@.new == 1)].sku", "y"),
        ("$['a b'][9]", None),
        ("$.inside[?(@.newProduct == 1)].attributes", "size: s"),
        (r"$.^reply_\d+\[comment\]$", "good"),
        ("$.nothing.there", None),
    ],
)
def test_values_by_their_path(path: str, found: Any) -> None:
    assert value_at(DATA, path) == found


def test_a_path_that_is_not_understood_is_refused() -> None:
    with pytest.raises(ValueError, match="no path that is understood"):
        value_at(DATA, "$.a[?(@.b > 1)]")
