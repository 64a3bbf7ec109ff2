"""Every page of the published split is there, with an oracle, and on one side only."""

from __future__ import annotations

import re

from webdojo.tasks import registry
from webdojo.tasks.miniwob.catalogue import CAVEATS, FLIGHT_FOLDERS, UNSOLVED, pages
from webdojo.tasks.miniwob.oracles import ORACLES
from webdojo.tasks.miniwob.task import MiniWobTask, html_folder


def test_the_published_split_has_62_and_63_pages() -> None:
    sides = [page.side for page in pages()]
    assert (sides.count("train"), sides.count("test")) == (62, 63)


def test_every_page_of_the_package_has_a_task() -> None:
    there = {path.stem for path in (html_folder() / "miniwob").glob("*.html")}
    flights = {path.parent.name for path in (html_folder() / "flight").glob("*/wrapper.html")}
    assert set(FLIGHT_FOLDERS.values()) == flights
    names = [page.name for page in pages()]
    assert sorted(names) == sorted(there | set(FLIGHT_FOLDERS))
    assert registry.task_ids("miniwob") == tuple(sorted(f"miniwob.{name}" for name in names))


def test_a_similarity_group_is_on_one_side() -> None:
    sides: dict[str, set[str]] = {}
    for page in pages():
        sides.setdefault(page.group, set()).add(page.side)
    assert {len(found) for found in sides.values()} == {1}


def test_variants_that_the_published_groups_part_are_known() -> None:
    """``-nodelay`` is always with its page; three families are parted by the published groups."""
    known = {page.name: page for page in pages()}
    families: dict[str, set[str]] = {}
    for name in known:
        base = re.sub(r"(-nodelay|-transfer|-grid|-\d)+$", "", name)
        families.setdefault(base, set()).add(name)
    parted = {
        base: sorted(names)
        for base, names in families.items()
        if len({known[name].side for name in names}) > 1
    }
    assert parted == {
        "click-test": ["click-test", "click-test-2", "click-test-transfer"],
        "drag-items": ["drag-items", "drag-items-grid"],
        "form-sequence": ["form-sequence", "form-sequence-2", "form-sequence-3"],
    }
    hasty = [page for name, page in known.items() if name.endswith("-nodelay")]
    assert hasty
    assert all(page.group == known[page.name.removesuffix("-nodelay")].group for page in hasty)


def test_every_page_has_an_oracle_or_a_reason_and_every_oracle_a_page() -> None:
    assert set(ORACLES) | set(UNSOLVED) == {page.name for page in pages()}
    assert not set(ORACLES) & set(UNSOLVED)


def test_reasons_are_given_for_pages_that_are_there() -> None:
    assert set(CAVEATS) | set(UNSOLVED) <= {page.name for page in pages()}


def test_a_task_tells_its_group_and_side() -> None:
    task = registry.get("miniwob.login-user-popup")
    assert isinstance(task, MiniWobTask)
    assert (task.group, task.side) == ("login-user", "train")
    assert task.allowed_origins[0].startswith("file:///")
    assert task.url.startswith(task.allowed_origins[0])
