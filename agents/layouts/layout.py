"""What a prompt layout is: from an observation to prompt tokens, from a response to an action."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Protocol

from webdojo.agents.pictures import Picture
from webdojo.envs.observation import Observation
from webdojo.tasks.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

HISTORY = 8
"""Earlier steps that chat prompts tell of unless told otherwise."""
MOST_HISTORY = 1000
"""More than any episode has steps: a slip of the pen."""
THOUGHT, THOUGHT_END = "<think>", "</think>"
LAYOUTS = ("outline", "chat", "chat-progress", "chat-memory", "chat-compressive")


@dataclass(frozen=True, slots=True)
class Vision:
    """What prompts show of how pages look."""

    images: int = 1
    """Screenshots of the last so many steps, the present page's among them; of steps in a row
    whose pages look the same only the last is shown."""
    marks: bool = False
    """Whether elements that can be acted on are framed and numbered (set of marks)."""
    text: bool = True
    """Whether the page's HTML is there too."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A screenshot, and the step that was decided on it, counted from 1."""

    step: int
    picture: Picture


@dataclass(frozen=True, slots=True)
class Prompt:
    """What an engine is given: tokens, and references of the images that are among them."""

    token_ids: list[int]
    images: tuple[str, ...] = ()
    thinks: bool = False
    """Whether it ends within a thought: templates of models that always think begin one."""


class Layout(Protocol):
    """Turns observations into prompts and responses into actions."""

    name: str
    modes: tuple[str, ...]
    """Observation modes that it reads."""
    vision: Vision | None
    """What it shows of how pages look; None for text alone."""
    history: int
    """Earlier steps that a prompt tells of."""
    prompt_files: tuple[str, ...]
    """Names of the prompts that it is written from, as files that may be replaced."""

    def problem_with(self, tokenizer: PreTrainedTokenizerBase) -> str:
        """Why a tokenizer cannot write this layout and what to do, as "has no …"; or empty."""
        ...

    def prompt(
        self,
        tokenizer: PreTrainedTokenizerBase,
        observation: Observation,
        history: Sequence[str],
        max_tokens: int,
        shots: Sequence[Shot] = (),
    ) -> Prompt:
        """Prompt tokens, at most ``max_tokens``: the page is cut to fit.

        ``history`` holds the earlier responses of the episode as ``remember`` gave them, and
        ``shots`` its screenshots, the present page's last; the oldest go where room is short.
        """
        ...

    def action(self, response: str) -> str:
        """The action call in a decoded response; empty if there is none."""
        ...

    def response(self, action: str, observation: Observation) -> str:
        """The text of a response that stands for ``action`` on this page, for demonstrations.

        Raises ValueError if the layout cannot say it.
        """
        ...

    def distraction(self, observation: Observation, rng: Random) -> str:
        """A well-formed response about a random element of the page."""
        ...

    def remember(self, response: str, error: str, changed: bool = True) -> str:
        """What later prompts are told of this response, its error, and whether the page changed."""
        ...


def get_layout(name: str, vision: Vision | None = None, history: int | None = None) -> Layout:
    """The layout of that name; ``history`` is how many earlier steps its prompts tell of.

    Raises UserError if there is none, or it shows no screenshots or another history.
    """
    from webdojo.agents.layouts.chat import ChatLayout
    from webdojo.agents.layouts.outline import OutlineLayout

    if name not in LAYOUTS:
        raise UserError(f"unknown prompt layout {name!r}: choose one of {', '.join(LAYOUTS)}")
    if name != "outline":
        return ChatLayout(name, HISTORY if history is None else history, vision)
    if vision is not None:
        raise UserError(
            "the outline layout shows no screenshots: set policy.layout=chat, or take"
            " policy.screenshots out"
        )
    found = OutlineLayout()
    if history not in (None, found.history):
        raise UserError(
            f"the outline layout tells of the last {found.history} steps: set policy.layout=chat,"
            " or take policy.history out"
        )
    return found
