"""The page that holds every part of the report."""

from __future__ import annotations

from collections.abc import Sequence

from webdojo import __version__
from webdojo.training.report import curves, headline, task_table, timing
from webdojo.training.report.films import Film
from webdojo.training.report.markup import Markup, element, join
from webdojo.training.report.run_data import RunData
from webdojo.training.report.strips import strips
from webdojo.training.report.style import STYLE

POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none';"
    " form-action 'none'"
)
"""Even if hostile text got past the escaping, nothing may run and nothing may be fetched."""


def page(run: RunData, films: Sequence[Film], film_note: str = "") -> str:
    """The whole document."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", f"{run.name} · WebDojo"),
        element("style", Markup(STYLE)),
    )
    body = element(
        "body",
        headline.header(run),
        element(
            "main",
            headline.results(run),
            strips(films, film_note),
            task_table.task_table(run),
            curves.learning(run),
            timing.timing(run),
            curves.stability(run),
            headline.settings(run),
        ),
        element(
            "footer",
            element(
                "p",
                f"Written by WebDojo {__version__}. Every number comes from summary.json,"
                " metrics.jsonl and evaluation/ beside this file; ",
                element("code", "webdojo view"),
                " writes it anew.",
            ),
        ),
    )
    return join(Markup("<!doctype html>\n"), element("html", head, body, lang="en"), "\n")
