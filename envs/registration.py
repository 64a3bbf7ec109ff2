"""Registration with Gymnasium: every task as ``webdojo/<task id>-v0``."""

from __future__ import annotations

from webdojo.tasks import registry
from webdojo.tasks.files import loaded_files

NAMESPACE = "webdojo"
ENTRY_POINT = "webdojo.envs.gym_env:WebDojoEnv"


def env_id(task_id: str) -> str:
    """The Gymnasium id of a task."""
    return f"{NAMESPACE}/{task_id}-v0"


def register_all() -> None:
    """Register every known task; Gymnasium calls it when it is imported.

    Tasks that are registered later, such as those of a user's file, follow as they come.
    """
    for task_id in registry.task_ids():
        register_task(task_id)


def register_task(task_id: str) -> None:
    """Register one task; again is fine."""
    import gymnasium
    from gymnasium.envs.registration import registry as known

    if env_id(task_id) in known:
        return
    files = tuple(map(str, loaded_files()))
    gymnasium.register(
        id=env_id(task_id),
        entry_point=ENTRY_POINT,
        kwargs={"task_id": task_id, **({"tasks_files": files} if files else {})},
    )
