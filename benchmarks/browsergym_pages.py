"""What BrowserGym makes of pages: run by benchmarks/prune.py in BrowserGym's own environment.

    .venv-browsergym/bin/python benchmarks/browsergym_pages.py CHROMIUM < pages.jsonl

Reads a page a line, ``{"name", "url", "viewport", "start", "seed", "actionable", "targets"}``, and
writes a line of figures for each. Extraction is what an observation of BrowserGym's costs: marking,
DOM snapshot, accessibility trees, extra properties, cleaning up; without its delay of 500 ms.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
import time
from typing import Any

import playwright.sync_api
from browsergym.core.observation import (  # type: ignore[import-not-found]
    _post_extract,
    _pre_extract,
    extract_dom_extra_properties,
    extract_dom_snapshot,
    extract_focused_element_bid,
    extract_merged_axtree,
)
from browsergym.utils.obs import (  # type: ignore[import-not-found]
    flatten_axtree_to_str,
    flatten_dom_to_str,
    prune_html,
)

AXTREE_FORMS: dict[str, dict[str, Any]] = {
    "axtree": {},
    "axtree_properties": {"with_visible": True, "with_clickable": True},
    "axtree_visible": {"filter_visible_only": True},
    "axtree_with_bid": {"filter_with_bid_only": True},
}


def look(page: playwright.sync_api.Page) -> tuple[Any, Any, Any]:
    """One extraction: DOM snapshot, accessibility tree, extra properties."""
    _pre_extract(page, tags_to_mark="standard_html", lenient=False)
    dom = extract_dom_snapshot(page)
    axtree = extract_merged_axtree(page)
    extract_focused_element_bid(page)
    extra = extract_dom_extra_properties(dom, scale_factor=1.0)
    _post_extract(page)
    return dom, axtree, extra


def measure(page: playwright.sync_api.Page, asked: dict[str, Any]) -> dict[str, Any]:
    """Figures of one page; ``share``s are of the elements that ``asked["actionable"]`` finds."""
    page.set_viewport_size({"width": asked["viewport"][0], "height": asked["viewport"][1]})
    page.goto(asked["url"], wait_until="load")
    if asked["start"]:
        page.evaluate(asked["start"], asked["seed"])
    page.wait_for_timeout(300)
    raw = len(page.evaluate("document.documentElement.outerHTML").encode())
    times = []
    for _ in range(asked.get("times", 1)):
        begun = time.perf_counter()
        dom, axtree, extra = look(page)
        times.append(time.perf_counter() - begun)
    begun = time.perf_counter()
    texts = {"html": prune_html(flatten_dom_to_str(dom))}
    html_s = time.perf_counter() - begun
    texts["html_visible"] = prune_html(
        flatten_dom_to_str(dom, extra_properties=extra, filter_visible_only=True)
    )
    for name, options in AXTREE_FORMS.items():
        texts[name] = flatten_axtree_to_str(axtree, extra_properties=extra, **options)
    bids: list[str | None] = page.evaluate(
        f"(({asked['actionable']})()).map(e => e.getAttribute('bid'))"
    )
    aimed: list[str | None] = [
        page.evaluate(
            "([path]) => { let e = document.documentElement;"
            " for (const i of path) e = e?.children[i]; return e?.getAttribute('bid') ?? null }",
            [path],
        )
        for path in asked.get("targets", ())
    ]
    known = {name: set(re.findall(r'bid="(\w+)"|\[(\w+)\] ', text)) for name, text in texts.items()}
    kept = {name: {one or two for one, two in found} for name, found in known.items()}
    return {
        "name": asked["name"],
        "raw": raw,
        "bytes": {name: len(text.encode()) for name, text in texts.items()},
        "extract_ms": round(1e3 * statistics.median(times), 1),
        "html_ms": round(1e3 * html_s, 1),
        "actionable": len(bids),
        "kept": {name: sum(bid in found for bid in bids) for name, found in kept.items()},
        "targets": len(aimed),
        "targets_kept": {name: sum(b in found for b in aimed) for name, found in kept.items()},
    }


def main(executable: str) -> None:
    """Measure every page asked for."""
    with playwright.sync_api.sync_playwright() as driver:
        driver.selectors.set_test_id_attribute("bid")
        browser = driver.chromium.launch(executable_path=executable, chromium_sandbox=False)
        for line in sys.stdin:
            asked = json.loads(line)
            page = browser.new_page()
            try:
                found = measure(page, asked)
            except Exception as error:  # noqa: BLE001 - reported, and counted by the caller
                found = {"name": asked["name"], "error": f"{type(error).__name__}: {error}"[:300]}
            print(json.dumps(found), flush=True)
            page.close()
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1])
