"""The layout of instruction-tuned models: their own chat template, pruned HTML, one action call."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from webdojo.envs import vocabulary  # noqa: F401  # fills the action registry
from webdojo.envs.actions import ACTIONS, call
from webdojo.envs.observation import Observation

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MAX_HISTORY = 8
CUT = "\n… the rest of the page is cut …"
_CALL = re.compile(r"[a-z_]+\(.*\)\s*$", re.DOTALL)


@lru_cache(maxsize=1)
def system_prompt() -> str:
    """What the model is told once; the text lies in ``chat.md``."""
    actions = "\n".join(f"- {spec.describe()} Example: {spec.example}" for spec in ACTIONS.values())
    return (Path(__file__).parent / "chat.md").read_text(encoding="utf-8").format(actions=actions)


class ChatLayout:
    """System prompt, then one user message with goal, page and history."""

    name = "chat"
    modes: tuple[str, ...] = ("pruned_html",)

    def problem_with(self, tokenizer: PreTrainedTokenizerBase) -> str:
        """It must bring a chat template."""
        if not tokenizer.chat_template:
            return "has no chat template, which the chat layout needs: use a model that has one"
        return ""

    def prompt_ids(
        self,
        tokenizer: PreTrainedTokenizerBase,
        observation: Observation,
        history: Sequence[str],
        max_tokens: int,
    ) -> list[int]:
        """The chat template applied; a page too long for ``max_tokens`` is cut and says so."""
        page = observation.pruned_html
        while True:
            messages = [
                {"role": "system", "content": system_prompt()},
                {"role": "user", "content": _user_message(observation, page, history)},
            ]
            text = str(
                tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
            )
            ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
            if len(ids) <= max_tokens or not page:
                return ids
            keep = int(len(page) * max_tokens / len(ids) * 0.9)
            page = page[: keep - len(CUT)] + CUT if keep > 2 * len(CUT) else ""

    def action(self, response: str) -> str:
        """The last line that reads as a call."""
        lines = [line.strip().strip("`") for line in response.strip().splitlines()]
        return next((line for line in reversed(lines) if _CALL.fullmatch(line)), "")

    def response(self, action: str, observation: Observation) -> str:
        """The call itself; the tokenizer's end token is added when it is encoded."""
        return action

    def distraction(self, observation: Observation, rng: Random) -> str:
        """A click on any element that can be acted on."""
        found = observation.view().all()
        if not found:
            raise ValueError("the page has nothing to act on")
        return call("click", str(rng.choice(found)["bid"]))

    def remember(self, response: str, error: str) -> str:
        """The action taken and what was wrong with it."""
        action = self.action(response) or "(no action)"
        return f"{action} → {error}" if error else action


def _user_message(observation: Observation, page: str, history: Sequence[str]) -> str:
    parts = [f"Goal: {observation.goal}", f"URL: {observation.url}", f"Page:\n{page}"]
    if history:
        parts.append("Actions so far:\n" + "\n".join(history[-MAX_HISTORY:]))
    if observation.last_action:
        changed = "changed" if observation.page_changed else "not changed"
        parts.append(f"The page has {changed} since the last action.")
    if observation.last_action_error:
        parts.append(f"The last action failed: {observation.last_action_error}")
    return "\n\n".join(parts)
