"""Action subsets by name, and the vocabulary as agents are told of it: prompt text and tools."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterable
from typing import Any

from webdojo.envs import vocabulary  # noqa: F401 - fills the action registry
from webdojo.envs.actions import ACTIONS, ActionSpec
from webdojo.envs.spec import Coordinates
from webdojo.tasks.errors import UserError

SUBSETS: dict[str, tuple[str, ...]] = {
    "chat": ("send_msg_to_user",),
    "infeas": ("report_infeasible",),
    "bid": (
        *("noop", "click", "dblclick", "hover", "fill", "select_option", "check", "uncheck"),
        *("press", "focus", "clear", "drag_and_drop", "scroll", "upload_file"),
    ),
    "coord": (
        *(
            "noop",
            "scroll",
            "mouse_move",
            "mouse_click",
            "mouse_dblclick",
            "mouse_down",
            "mouse_up",
        ),
        *("mouse_drag_and_drop", "keyboard_press", "keyboard_type", "keyboard_insert_text"),
        *("keyboard_down", "keyboard_up"),
    ),
    "nav": ("goto", "go_back", "go_forward"),
    "tab": ("new_tab", "tab_close", "tab_focus"),
}
"""BrowserGym's names for groups of verbs."""

JSON_TYPES = {str: "string", int: "integer", float: "number"}


def action_set(names: Iterable[str]) -> frozenset[str]:
    """The verbs of some subsets, or single verbs, by name; raises UserError for an unknown one."""
    chosen: set[str] = set()
    for name in names:
        if name in SUBSETS:
            chosen.update(SUBSETS[name])
        elif name in ACTIONS:
            chosen.add(name)
        else:
            known = ", ".join([*SUBSETS, *ACTIONS])
            raise UserError(f"no action or action subset {name!r}; known: {known}")
    return frozenset(chosen)


def prompt_text(names: Iterable[str] | None = None, coordinates: Coordinates = "pixels") -> str:
    """What a prompt says of the vocabulary: a line and an example a verb.

    ``coordinates`` is what places count, as ``EnvSpec`` has it.
    """
    return "\n".join(
        f"{spec.describe(coordinates)} Example: {spec.example}" for spec in _specs(names)
    )


def tool_schemas(
    names: Iterable[str] | None = None, coordinates: Coordinates = "pixels"
) -> list[dict[str, Any]]:
    """The vocabulary as tools with JSON schemas, as chat endpoints take them.

    ``coordinates`` is what places count, as ``EnvSpec`` has it.
    """
    return [
        {
            "type": "function",
            "function": {
                "name": spec.name,
                "description": spec.told(coordinates),
                "parameters": _parameters(spec),
            },
        }
        for spec in _specs(names)
    ]


def _specs(names: Iterable[str] | None) -> list[ActionSpec]:
    wanted = action_set(ACTIONS if names is None else names)
    return [spec for name, spec in ACTIONS.items() if name in wanted]


def _parameters(spec: ActionSpec) -> dict[str, Any]:
    parameters = spec.signature.parameters.values()
    return {
        "type": "object",
        "properties": {p.name: _schema(spec.types[p.name]) for p in parameters},
        "required": [p.name for p in parameters if p.default is inspect.Parameter.empty],
        "additionalProperties": False,
    }


def _schema(wanted: Any) -> dict[str, Any]:
    if typing.get_origin(wanted) is typing.Literal:
        return {"type": "string", "enum": list(typing.get_args(wanted))}
    if wanted == str | list[str]:
        text = {"type": "string"}
        return {"anyOf": [text, {"type": "array", "items": text, "minItems": 1}]}
    return {"type": JSON_TYPES[wanted]}
