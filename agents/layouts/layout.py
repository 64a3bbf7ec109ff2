"""What a prompt layout is: from an observation to prompt tokens, from a response to an action."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, Protocol

from webdojo.envs.observation import Observation
from webdojo.tasks.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

LAYOUTS = ("outline", "chat", "chat-progress", "chat-memory", "chat-compressive")


class Layout(Protocol):
    """Turns observations into prompts and responses into actions."""

    name: str
    modes: tuple[str, ...]
    """Observation modes that it reads."""

    def problem_with(self, tokenizer: PreTrainedTokenizerBase) -> str:
        """Why a tokenizer cannot write this layout and what to do, as "has no …"; or empty."""
        ...

    def prompt_ids(
        self,
        tokenizer: PreTrainedTokenizerBase,
        observation: Observation,
        history: Sequence[str],
        max_tokens: int,
    ) -> list[int]:
        """Prompt tokens, at most ``max_tokens``: the page is cut to fit.

        ``history`` holds the earlier responses of the episode as ``remember`` gave them.
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


def get_layout(name: str) -> Layout:
    """The layout of that name; raises UserError if there is none."""
    from webdojo.agents.layouts.chat import ChatLayout
    from webdojo.agents.layouts.outline import OutlineLayout

    if name not in LAYOUTS:
        raise UserError(f"unknown prompt layout {name!r}: choose one of {', '.join(LAYOUTS)}")
    return OutlineLayout() if name == "outline" else ChatLayout(name)
