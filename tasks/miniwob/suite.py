"""The suite ``miniwob``: one task class a page."""

from __future__ import annotations

from typing import Any

from webdojo.tasks.miniwob.catalogue import FLIGHT_FOLDERS, SETTINGS, UNSOLVED, Page, pages
from webdojo.tasks.miniwob.flight import FlightTask
from webdojo.tasks.miniwob.task import MiniWobTask
from webdojo.tasks.task import Task


def _task_class(page: Page) -> type[Task]:
    name = "".join(part.capitalize() for part in page.name.split("-"))
    fields: dict[str, Any] = {
        "__doc__": f"MiniWoB++ page {page.name}.",
        "__module__": __name__,
        "id": f"miniwob.{page.name}",
        "page_name": page.name,
        "group": page.group,
        "side": page.side,
        "difficulty": page.difficulty,
        "horizon": page.horizon,
        "reuse_page": page.reuse_page,
        "caveats": page.caveats,
    }
    if page.name in FLIGHT_FOLDERS:
        fields["folder"] = FLIGHT_FOLDERS[page.name]
        fields["site"] = page.group
        return type(name, (FlightTask,), fields)
    fields["settings"] = SETTINGS.get(page.name, "")
    if page.name in UNSOLVED:
        fields["oracle"] = Task.oracle
    return type(name, (MiniWobTask,), fields)


TASKS: list[type[Task]] = [_task_class(page) for page in pages()]
"""Every task of the suite, by name."""
