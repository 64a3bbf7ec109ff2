"""Observations and steps as JSON, and back: what is read is equal to what was written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from webdojo.envs.core import Step
from webdojo.envs.observation import TEXT_MODES, Observation
from webdojo.envs.serving.protocol import image_name
from webdojo.envs.snapshot import Node
from webdojo.tasks.view import Box


class MalformedError(Exception):
    """What came is no observation."""


def write_observation(
    observation: Observation, modes: tuple[str, ...], image_format: str, *, tree: bool
) -> dict[str, Any]:
    """An observation in BrowserGym's keys, with its image left out and named.

    ``elapsed_time`` is page time in seconds; ``screenshot`` names the image, None if there is none.
    """
    written: dict[str, Any] = {
        "goal": observation.goal,
        "url": observation.url,
        "title": observation.title,
        "open_pages_urls": observation.open_pages_urls,
        "open_pages_titles": observation.open_pages_titles,
        "active_page_index": observation.active_page_index,
        "focused_element_bid": observation.focused_element_bid,
        "last_action": observation.last_action,
        "last_action_error": observation.last_action_error,
        "elapsed_time": observation.page_time_ms / 1000,
        "state_hash": observation.state_hash,
        "page_changed": observation.page_changed,
        "elapsed_steps": observation.elapsed_steps,
        "viewport": observation.viewport,
        "notices": observation.notices,
        "screenshot": None,
        **{mode: getattr(observation, mode) for mode in modes},
    }
    if observation.screenshot:
        written["screenshot"] = image_reference(observation.screenshot, image_format)
    if tree:
        written["boxes"] = observation.boxes
        written["tree"] = msgspec.to_builtins(observation.tree)
    return written


def image_reference(image: bytes, image_format: str) -> dict[str, Any]:
    """What an answer says of an image: its name, its format, its size and where it can be had."""
    name = image_name(image)
    return {"sha256": name, "format": image_format, "bytes": len(image), "path": f"/images/{name}"}


def read_observation(written: Mapping[str, Any], image: bytes) -> Observation:
    """The observation that was written; raises MalformedError."""
    try:
        return Observation(
            goal=written["goal"],
            url=written["url"],
            title=written["title"],
            **{mode: written[mode] for mode in TEXT_MODES if mode in written},
            screenshot=image,
            focused_element_bid=written["focused_element_bid"],
            last_action=written["last_action"],
            last_action_error=written["last_action_error"],
            state_hash=written["state_hash"],
            page_changed=written["page_changed"],
            elapsed_steps=written["elapsed_steps"],
            notices=tuple(written["notices"]),
            open_pages_urls=tuple(written["open_pages_urls"]),
            open_pages_titles=tuple(written["open_pages_titles"]),
            active_page_index=written["active_page_index"],
            page_time_ms=round(written["elapsed_time"] * 1000),
            viewport=(written["viewport"][0], written["viewport"][1]),
            boxes={bid: _box(box) for bid, box in written.get("boxes", {}).items()},
            tree=msgspec.convert(written.get("tree"), Node | None),
        )
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise MalformedError(f"no observation: {type(error).__name__}: {error}") from error


def write_step(step: Step) -> dict[str, Any]:
    """What there is to tell of a step besides its observation and its reward."""
    return {
        "terminated": step.terminated,
        "truncated": step.truncated,
        "message": step.message,
        "blocked": step.blocked,
        "undecided": step.undecided,
        "unsettled": step.unsettled,
        "refused": step.refused,
        "downloads": tuple(map(str, step.downloads)),
    }


def read_step(answer: Mapping[str, Any], observation: Observation) -> Step:
    """The step that an answer tells of; raises MalformedError."""
    try:
        told = answer["metadata"]
        return Step(
            observation,
            float(answer["reward"]),
            bool(told["terminated"]),
            bool(told["truncated"]),
            str(told["message"]),
            bool(told["blocked"]),
            str(told["unsettled"]),
            tuple(map(str, told["refused"])),
            tuple(map(Path, told["downloads"])),
            bool(told["undecided"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise MalformedError(f"no step: {type(error).__name__}: {error}") from error


def _box(written: list[int]) -> Box:
    x, y, width, height = written
    return x, y, width, height
