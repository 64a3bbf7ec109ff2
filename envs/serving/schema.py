"""JSON schemas of what a server answers, for ``GET /schema``."""

from __future__ import annotations

from typing import Any

from webdojo.envs.observation import TEXT_MODES

_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}
_TEXTS = {"type": "array", "items": _TEXT}
_SIZE = {"type": "array", "items": _COUNT, "minItems": 2, "maxItems": 2}

IMAGE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "An image by name. GET its path, or ask for images as frames.",
    "properties": {
        "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "format": {"enum": ["png", "jpeg", "webp"]},
        "bytes": _COUNT,
        "path": _TEXT,
    },
    "required": ["sha256", "format", "bytes", "path"],
}
OBSERVATION_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "goal": _TEXT,
        "url": _TEXT,
        "title": _TEXT,
        "open_pages_urls": _TEXTS,
        "open_pages_titles": _TEXTS,
        "active_page_index": _COUNT,
        "focused_element_bid": _TEXT,
        "last_action": _TEXT,
        "last_action_error": _TEXT,
        "elapsed_time": {"type": "number", "minimum": 0, "description": "Page time in seconds."},
        "state_hash": {"type": "string", "description": "Equal where URL and page content are."},
        "page_changed": {"type": "boolean"},
        "elapsed_steps": _COUNT,
        "viewport": _SIZE,
        "notices": _TEXTS,
        "screenshot": {"anyOf": [IMAGE_SCHEMA, {"type": "null"}]},
        **dict.fromkeys(TEXT_MODES, _TEXT),
        "boxes": {
            "type": "object",
            "description": "With `tree`: x, y, width, height of each bid in CSS pixels.",
            "additionalProperties": {"type": "array", "items": {"type": "integer"}},
        },
        "tree": {
            "description": "With `tree`: [tag, bid, visible, actionable, attributes, state, box,"
            " children, label], children being texts or such lists.",
            "type": ["array", "null"],
        },
    },
    "required": ["goal", "url", "last_action", "last_action_error", "elapsed_time", "screenshot"],
}
STATE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "episode_id": {"type": ["string", "null"]},
        "step_count": _COUNT,
        "session_id": _TEXT,
        "task": _TEXT,
        "seed": _COUNT,
        "goal": _TEXT,
        "horizon": _COUNT,
        "reward": {"type": "number"},
        "terminated": {"type": "boolean"},
        "truncated": {"type": "boolean"},
    },
    "required": ["episode_id", "step_count", "session_id"],
}
