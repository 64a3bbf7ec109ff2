"""Every page of the published split is there, with an oracle, and on one side only."""

from __future__ import annotations

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
