"""The layouts of instruction-tuned models: their own chat template, pruned HTML, one action call.

What they are told lies in ``agents/prompts/``, one file a style. ``WEBDOJO_PROMPTS`` names a folder
whose files of the same names are taken instead. Styles differ in what a response holds besides its
action:

    chat               whatever it likes
    chat-progress      the subtasks and their states, shown again each turn
    chat-memory        that, and facts that are added to its notes
    chat-compressive   that, and all of its notes, which replace the last ones
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from webdojo.envs import vocabulary  # noqa: F401  # fills the action registry
from webdojo.envs.actions import ACTIONS
from webdojo.envs.observation import Observation
from webdojo.envs.pruning import prune_html
from webdojo.tasks.calls import call
from webdojo.tasks.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

STYLES = {
    "chat": "vanilla",
    "chat-progress": "progress",
    "chat-memory": "memory",
    "chat-compressive": "compressive",
}
"""Layouts and their files in ``agents/prompts/``."""
PROMPTS = "WEBDOJO_PROMPTS"
WINDOW = 8
"""Earlier steps that a prompt tells of."""
MAX_NOTES = 40
"""Notes that are kept; the oldest are dropped."""
MAX_CHARACTERS = 400
"""Of a note, or a subtask and its state; longer ones are cut."""
CUT = "\n… the rest of the page is cut …"

_CALL = re.compile(r"[a-z_]+\(.*\)\s*$", re.DOTALL)
_PART = re.compile(r"^\W*(memory|progress|intention|action)\W*:\s*", re.IGNORECASE | re.MULTILINE)


@lru_cache(maxsize=8)
def system_prompt(layout: str = "chat") -> str:
    """What the model is told once; UserError if its file has gone or is malformed."""
    own = Path(__file__).parents[1] / "prompts"
    name = f"{STYLES[layout]}.md"
    replaced = Path(os.environ.get(PROMPTS, own)) / name
    path = replaced if replaced.is_file() else own / name
    actions = "\n".join(f"- {spec.describe()} Example: {spec.example}" for spec in ACTIONS.values())
    try:
        return path.read_text(encoding="utf-8").format(actions=actions)
    except (OSError, ValueError, LookupError) as error:
        raise UserError(
            f"{path} cannot be read as a prompt ({error}): write {{actions}} where the actions are"
            " to stand, and double every other brace"
        ) from None


@dataclass(frozen=True, slots=True)
class Said:
    """What a response holds."""

    action: str
    """The call; empty if there is none."""
    memory: tuple[str, ...] = ()
    progress: str = ""


class ChatLayout:
    """System prompt, then one user message with goal, page, notes and the last steps."""

    modes: tuple[str, ...] = ("pruned_html",)

    def __init__(self, name: str = "chat", window: int = WINDOW) -> None:
        self.name = name
        self._window = window

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
        """The chat template applied; of a page over ``max_tokens`` the viewport comes first.

        What is left out of it is said.
        """
        page = observation.pruned_html
        while True:
            messages = self.messages(observation, page, history)
            text = str(
                tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
            )
            ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
            if len(ids) <= max_tokens or not page:
                return ids
            room = int(len(page) * max_tokens / len(ids) * 0.9)
            page = self.shortened(observation, page, room)

    def messages(
        self, observation: Observation, page: str, history: Sequence[str]
    ) -> list[dict[str, Any]]:
        """The conversation as chat templates and endpoints take it, about ``page``."""
        return [
            {"role": "system", "content": system_prompt(self.name)},
            {"role": "user", "content": self._user_message(observation, page, history)},
        ]

    def shortened(self, observation: Observation, page: str, characters: int) -> str:
        """``page`` in at most so many characters: pruned again from what was seen of it.

        Where only its text is known it is cut, and says so.
        """
        if len(page) <= characters:
            return page
        if characters <= 2 * len(CUT):
            return ""
        if observation.tree is None:
            return page[: characters - len(CUT)] + CUT
        return prune_html(
            observation.tree, max_characters=characters, viewport=observation.viewport
        )

    def action(self, response: str) -> str:
        """The last line that reads as a call."""
        return read(response).action

    def response(self, action: str, observation: Observation) -> str:
        """The call itself; the tokenizer's end token is added when it is encoded."""
        return action

    def distraction(self, observation: Observation, rng: Random) -> str:
        """A click of any element that can be acted on."""
        found = observation.view().all()
        if not found:
            raise ValueError("the page has nothing to act on")
        return call("click", str(rng.choice(found)["bid"]))

    def remember(self, response: str, error: str, changed: bool = True) -> str:
        """A step as JSON: the action, its outcome, and the notes of the styles that take them."""
        said = read(response)
        outcome = error or ("changed" if changed else "nothing changed")
        step: dict[str, Any] = {"action": said.action or "(no action)", "outcome": outcome}
        if self.name != "chat":
            step["progress"] = said.progress
        if self.name in ("chat-memory", "chat-compressive"):
            step["memory"] = said.memory
        return json.dumps(step, ensure_ascii=False)

    def _user_message(self, observation: Observation, page: str, history: Sequence[str]) -> str:
        parts = [f"Goal: {observation.goal}", f"URL: {observation.url}", f"Page:\n{page}"]
        steps = [json.loads(step) for step in history]
        if self.name == "chat-memory":
            notes = list(dict.fromkeys(note for step in steps for note in step["memory"]))
            parts.append(_list("Your notes", notes[-MAX_NOTES:]))
        elif self.name == "chat-compressive" and steps:
            # A response that lost its form does not cost the notes.
            kept: list[str] = next((s["memory"] for s in reversed(steps) if s["memory"]), [])
            parts.append(_list("Your notes", kept[-MAX_NOTES:]))
        if progress := next((s["progress"] for s in reversed(steps) if s.get("progress")), ""):
            parts.append(f"Your progress: {progress}")
        shown = list(enumerate(steps, 1))[-self._window :] if self._window else []
        if shown:
            told = [f"Step {i}: {step['action']} → {step['outcome']}" for i, step in shown]
            parts.append("Actions so far:\n" + "\n".join(told))
        if observation.last_action:
            changed = "changed" if observation.page_changed else "not changed"
            parts.append(f"The page has {changed} since the last action.")
        if observation.last_action_error:
            parts.append(f"The last action failed: {observation.last_action_error}")
        return "\n\n".join(part for part in parts if part)


def read(response: str) -> Said:
    """What a response holds, whatever its form: parts are found by their names.

    Memory and progress that are no JSON are taken as the text that they are.
    """
    lines = [line.strip().strip("`") for line in response.strip().splitlines()]
    action = next((line for line in reversed(lines) if _CALL.fullmatch(line)), "")
    if not action and lines:
        # A call behind its label, as in "Action: click("3")".
        labelled = _PART.sub("", lines[-1]).strip("` ")
        action = labelled if _CALL.fullmatch(labelled) else ""
    parts = {}
    found = list(_PART.finditer(response))
    for place, match in enumerate(found):
        end = found[place + 1].start() if place + 1 < len(found) else len(response)
        parts[match[1].lower()] = response[match.end() : end].strip().strip("`").strip()
    return Said(action, _notes(parts.get("memory", "")), _progress(parts.get("progress", "")))


def _notes(text: str) -> tuple[str, ...]:
    value = _json(text, "[{")
    if isinstance(value, dict):
        value = [f"{key}: {item}" for key, item in value.items()]
    if not isinstance(value, list):
        value = [text]
    told = [item if isinstance(item, str) else json.dumps(item) for item in value]
    return tuple(" ".join(item.split())[:MAX_CHARACTERS] for item in told if item.strip())


def _progress(text: str) -> str:
    value = _json(text, "{[")
    if value is None:
        return " ".join(text.split())[:MAX_CHARACTERS]
    return json.dumps(value, ensure_ascii=False)[: 4 * MAX_CHARACTERS]


def _json(text: str, openings: str) -> Any:
    """The first JSON value that begins with one of ``openings``; None if there is none."""
    start = min((at for at in map(text.find, openings) if at >= 0), default=-1)
    if start < 0:
        return None
    try:
        return json.JSONDecoder().raw_decode(text[start:])[0]
    except ValueError:
        return None


def _list(title: str, items: Sequence[str]) -> str:
    return f"{title}:\n" + "\n".join(f"- {item}" for item in items) if items else ""
