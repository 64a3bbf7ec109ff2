"""What environment server and client say to each other: JSON, with images beside it.

Messages have OpenEnv's shapes: a request is ``{"type": …, "data": …}`` on the WebSocket, or a body
of HTTP; an answer holds ``observation``, ``reward``, ``done`` and ``metadata``. Nothing here knows
of sockets, and nothing received is more than data: what is read is checked, field by field.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from webdojo.envs.action_sets import action_set
from webdojo.envs.screenshots import ScreenshotSpec
from webdojo.envs.spec import FEWEST, EnvSpec

MAX_REQUEST = 1 << 20
"""Bytes of the longest request that is read."""
MAX_ACTION = 160_000
"""Characters of an action that fit in a request however they are escaped."""

Code = Literal[
    "INVALID_JSON",
    "UNKNOWN_TYPE",
    "VALIDATION_ERROR",
    "SESSION_ERROR",
    "CAPACITY_REACHED",
    "EXECUTION_ERROR",
]
"""OpenEnv's names for what can go wrong."""

Mode = Literal["pruned_html", "pruned_html_diff", "outline", "axtree_txt", "html"]
Read = TypeVar("Read", bound=BaseModel)


class RequestError(Exception):
    """A request that cannot be answered, as the client is told of it.

    ``kind`` names the exception that an environment of one's own would have raised.
    """

    def __init__(self, code: Code, message: str, kind: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.kind = kind


class EpisodeRequest(BaseModel):
    """What a reset may ask for; nothing else may stand in it."""

    model_config = ConfigDict(extra="forbid")

    task: str | None = Field(None, max_length=200, description="Task id; the server's own default.")
    seed: int | None = Field(None, ge=0, lt=2**63, description="Which instance; drawn if left out.")
    episode_id: str | None = Field(None, max_length=255, description="A name for `state` to tell.")
    modes: tuple[Mode, ...] = Field(("pruned_html",), max_length=5)
    screenshot: bool = True
    image_format: Literal["png", "jpeg", "webp"] = "png"
    quality: int = Field(80, ge=1, le=100)
    marks: bool = False
    actions: tuple[Annotated[str, Field(max_length=40)], ...] | None = Field(None, max_length=100)
    coordinates: Literal["pixels", "thousandths"] = "pixels"
    max_characters: int | None = Field(None, ge=FEWEST)
    settle_ms: int = Field(500, ge=0, le=60_000)
    settle_cap_ms: int = Field(2000, ge=0, le=60_000)
    step_timeout_s: float = Field(15.0, gt=0, allow_inf_nan=False)
    tree: bool = Field(False, description="Whether observations hold the page's tree and boxes.")
    images: Literal["links", "frames"] = Field(
        "links", description="`frames`: on the WebSocket, a new image follows its observation."
    )

    def spec(self) -> EnvSpec:
        """The same for an environment; raises UserError for an unknown verb."""
        picture = ScreenshotSpec(self.image_format, self.quality, self.marks)
        return EnvSpec(
            modes=self.modes,
            screenshot=picture if self.screenshot else None,
            actions=None if self.actions is None else action_set(self.actions),
            coordinates=self.coordinates,
            max_characters=self.max_characters,
            settle_ms=self.settle_ms,
            settle_cap_ms=self.settle_cap_ms,
            step_timeout_s=self.step_timeout_s,
        )


class ActionRequest(BaseModel):
    """One action: ``{"action": "noop()"}``."""

    model_config = ConfigDict(extra="forbid")

    action: str = Field(max_length=MAX_REQUEST)
    metadata: dict[str, Any] = Field(default_factory=dict, description="Not looked at.")


def asked_of(spec: EnvSpec) -> dict[str, Any]:
    """The fields of a reset that ask for what ``spec`` says."""
    picture = spec.screenshot or ScreenshotSpec("png")
    return {
        "modes": list(spec.modes),
        "screenshot": spec.screenshot is not None,
        "image_format": picture.image_format,
        "quality": picture.quality,
        "marks": picture.marks,
        "actions": None if spec.actions is None else sorted(spec.actions),
        "coordinates": spec.coordinates,
        "max_characters": spec.max_characters,
        "settle_ms": spec.settle_ms,
        "settle_cap_ms": spec.settle_cap_ms,
        "step_timeout_s": spec.step_timeout_s,
    }


def read_episode(data: Any) -> EpisodeRequest:
    """What a reset asks for; raises RequestError."""
    return _read(EpisodeRequest, {} if data is None else data)


def read_action(data: Any) -> str:
    """The action in a step's data; raises RequestError.

    A bare string will do, and so will ``action_str``, which is what OpenEnv's BrowserGym calls it.
    """
    if isinstance(data, str):
        data = {"action": data}
    if isinstance(data, dict) and "action_str" in data:
        data = {("action" if key == "action_str" else key): data[key] for key in data}
    return _read(ActionRequest, data).action


def image_name(image: bytes) -> str:
    """What an image is asked for by: SHA-256 of its bytes in hexadecimal digits."""
    return hashlib.sha256(image).hexdigest()


def error_data(error: RequestError) -> dict[str, str]:
    """An error as it travels."""
    return {"message": str(error), "code": error.code, "error": error.kind}


def _read(model: type[Read], data: Any) -> Read:
    try:
        return model.model_validate(data)
    except ValidationError as invalid:
        first = invalid.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"])) or "the message"
        known = ", ".join(model.model_fields)
        hint = f"; known: {known}" if first["type"] == "extra_forbidden" else ""
        shown = repr(first.get("input"))[:80]
        raise RequestError(
            "VALIDATION_ERROR", f"{place}: {first['msg']}{hint}; got {shown}", "UserError"
        ) from None
