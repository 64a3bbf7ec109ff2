"""A whole in its parts, as one bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from webdojo.training.report.figures import percent
from webdojo.training.report.markup import Markup, element

HEIGHT = 30


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the bar: its size in any unit, and how that is written."""

    label: str
    size: float
    written: str
    colour: str
    """A class of the style: ``s1`` … ``s6``, or ``idle``."""


def bar_chart(title: str, parts: Sequence[Part]) -> Markup:
    """A bar of the full width with a legend; empty markup if there is nothing to divide."""
    whole = sum(part.size for part in parts)
    if whole <= 0:
        return Markup()
    drawn: list[Markup] = []
    at = 0.0
    for part in parts:
        share = part.size / whole
        drawn.append(
            element(
                "rect",
                element("title", f"{part.label}: {part.written}, {percent(share)}"),
                x=f"{100 * at:.3f}%",
                width=f"{100 * share:.3f}%",
                y=0,
                height=HEIGHT,
                class_=f"part {part.colour}",
            )
        )
        at += share
    told = "; ".join(f"{part.label} {part.written}" for part in parts)
    legend = [
        element(
            "li",
            element("i", class_=f"swatch {part.colour}"),
            f"{part.label} ",
            element("b", part.written),
            element("span", f" {percent(part.size / whole)}", class_="soft"),
        )
        for part in parts
    ]
    return element(
        "figure",
        element("figcaption", element("h3", title)),
        element(
            "svg",
            element("title", title),
            element("desc", told),
            drawn,
            height=HEIGHT,
            class_="bar",
            role="img",
        ),
        element("ul", legend, class_="parts"),
        class_="bars",
    )
