"""Registration with Gymnasium: every task as ``webdojo/<task id>-v0``.

Importing ``webdojo.envs`` is enough, before or after Gymnasium; so is naming it in the id:
``gymnasium.make("webdojo.envs:webdojo/miniwob.click-button-v0")``.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

NAMESPACE = "webdojo"
ENTRY_POINT = "webdojo.envs.gym_env:WebDojoEnv"
WHERE_IDS_LIVE = "gymnasium.envs"


def env_id(task_id: str) -> str:
    """The Gymnasium id of a task."""
    return f"{NAMESPACE}/{task_id}-v0"


def register_all() -> None:
    """Register every known task; those that are registered later follow as they come."""
    from webdojo.tasks import registry

    for task_id in registry.task_ids():
        register_task(task_id)
    if register_task not in registry.listeners:
        registry.listeners.append(register_task)


def register_task(task_id: str) -> None:
    """Register one task; again is fine."""
    from gymnasium.envs.registration import register
    from gymnasium.envs.registration import registry as known

    from webdojo.tasks.files import loaded_files

    if env_id(task_id) in known:
        return
    files = list(loaded_files())
    register(
        id=env_id(task_id),
        entry_point=ENTRY_POINT,
        kwargs={"task_id": task_id, **({"tasks_files": files} if files else {})},
        # Gymnasium's checker lets no episode be played once a first reset has failed.
        disable_env_checker=True,
    )


def register_when_loaded() -> None:
    """Register every task as soon as Gymnasium is there; it costs nothing where it never is."""
    if WHERE_IDS_LIVE in sys.modules:
        register_all()
    elif not any(isinstance(finder, _Watcher) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Watcher())


class _Watcher(MetaPathFinder, Loader):
    """Sees Gymnasium being imported, once."""

    def __init__(self) -> None:
        self._real: Loader

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != WHERE_IDS_LIVE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        self._real, spec.loader = spec.loader, self
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._real.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._real.exec_module(module)
        register_all()
