"""The layouts of instruction-tuned models: their own chat template, pruned HTML, one action call.

What they are told lies in ``agents/prompts/``, one file a style. Styles differ in what a response
holds besides its action:

    chat               whatever it likes
    chat-progress      the subtasks and their states, shown again each turn
    chat-memory        that, and facts that are added to its notes
    chat-compressive   that, and all of its notes, which replace the last ones
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import zip_longest
from random import Random
from typing import TYPE_CHECKING, Any

from webdojo.agents.layouts.layout import HISTORY, THOUGHT, Prompt, Shot, Vision
from webdojo.agents.layouts.prompt_files import STYLES, read_prompt
from webdojo.agents.layouts.response import read
from webdojo.agents.layouts.tokenizer_files import NO_TEMPLATE
from webdojo.envs import vocabulary  # noqa: F401  # fills the action registry
from webdojo.envs.actions import ACTIONS, COORDINATES, parse_action
from webdojo.envs.observation import Observation
from webdojo.envs.pruning import prune_html
from webdojo.tasks.calls import call
from webdojo.tasks.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

NOTING = ("chat-memory", "chat-compressive")
"""Layouts whose responses hold notes."""
MAX_NOTES = 40
"""Notes that are kept; the oldest are dropped."""
PLACEHOLDER = "<|image_pad|>"
"""What chat templates of Qwen-VL's kind write for an image."""
CUT = "\n… the rest of the page is cut …"


@lru_cache(maxsize=8)
def system_prompt(layout: str = "chat", vision: Vision | None = None) -> str:
    """What the model is told once; UserError if its file has gone or is malformed."""
    counted = "pixels" if vision is None else "thousandths"
    actions = "\n".join(
        f"- {spec.describe(counted)} Example: {spec.example}" for spec in ACTIONS.values()
    )
    style, *shown = prompt_files(layout, vision)
    page = " ".join(read_prompt(name, {}).strip() for name in shown)
    return read_prompt(style, {"actions": actions, "page": page}, required=["actions"])


def prompt_files(layout: str, vision: Vision | None) -> tuple[str, ...]:
    """Names of the prompts that a layout is written from: its style's, and how pages are shown."""
    shown = {
        "see-text": vision is None or vision.text,
        "see-screenshots": vision is not None,
        "see-marks": vision is not None and vision.marks,
    }
    return (STYLES[layout], *(name for name, is_shown in shown.items() if is_shown))


class ChatLayout:
    """System prompt, then one user message with goal, page, notes and the last ``history`` steps.

    Raises UserError if the system prompt cannot be read.
    """

    modes: tuple[str, ...] = ("pruned_html",)

    def __init__(
        self, name: str = "chat", history: int = HISTORY, vision: Vision | None = None
    ) -> None:
        self.name = name
        self.vision = vision
        self.history = history
        self.prompt_files = prompt_files(name, vision)
        system_prompt(name, vision)  # a prompt that cannot be read is told of before a run begins

    def problem_with(self, tokenizer: PreTrainedTokenizerBase) -> str:
        """It must bring a chat template, and one that takes what is said."""
        if not tokenizer.chat_template:
            return NO_TEMPLATE
        try:
            _rendered(tokenizer, "system", "user")
        except Exception as error:  # noqa: BLE001  # templates are programs
            told = " ".join(str(error).split())[:200] or type(error).__name__
            return f"has a chat template that cannot be filled in: {told}"
        return ""

    def prompt(
        self,
        tokenizer: PreTrainedTokenizerBase,
        observation: Observation,
        history: Sequence[str],
        max_tokens: int,
        shots: Sequence[Shot] = (),
    ) -> Prompt:
        """The chat template applied, with the last screenshots before the text.

        Of a page too long for ``max_tokens`` the viewport comes first, and what is left out of it
        is said. Screenshots take half of the room at most, and less where the rest needs it even
        without the page; the present page's is always there. Earlier steps go next, oldest first,
        and then notes.
        """
        shown = self.window_of(shots)
        while len(shown) > 1 and 2 * _image_tokens(shown) > max_tokens:
            del shown[0]
        told = min(self.history, len(history))
        notes = MAX_NOTES if self.name in NOTING else 0
        while True:
            ids, thinks = self._fitting(
                tokenizer, observation, history, max_tokens, shown, told, notes
            )
            if len(ids) <= max_tokens or (len(shown) < 2 and not told and not notes):
                return Prompt(ids, tuple(shot.picture.reference for shot in shown), thinks)
            if len(shown) > 1:
                del shown[0]
            elif told:
                told //= 2
            else:
                notes //= 2

    def _fitting(
        self,
        tokenizer: PreTrainedTokenizerBase,
        observation: Observation,
        history: Sequence[str],
        max_tokens: int,
        shown: Sequence[Shot],
        told: int,
        notes: int,
    ) -> tuple[list[int], bool]:
        """Prompt tokens with as much of the page as there is room for, and ``Prompt.thinks``."""
        images = _image_tokens(shown)
        page = observation.pruned_html if self.vision is None or self.vision.text else ""
        while True:
            messages = self.messages(observation, page, history, shown, told, notes)
            ids, thinks = _encode(tokenizer, messages, shown)
            if len(ids) <= max_tokens or not page:
                return ids, thinks
            share = max(0, max_tokens - images) / (len(ids) - images)
            page = self.shortened(observation, page, int(len(page) * share * 0.9))

    def messages(
        self,
        observation: Observation,
        page: str,
        history: Sequence[str],
        shots: Sequence[Shot] = (),
        told: int | None = None,
        notes: int = MAX_NOTES,
    ) -> list[dict[str, Any]]:
        """The conversation as chat templates and endpoints take it, about ``page``.

        It tells of the last ``told`` steps, or of as many as the layout does, and of the last
        ``notes``.

        With screenshots the user's message is a list of parts, of which images say nothing else.
        """
        steps = self.history if told is None else told
        text = self._user_message(observation, page, history, steps, notes)
        content: str | list[dict[str, str]] = text
        if shots:
            content = []
            for shot in shots[:-1]:
                content += [_text(f"Before step {shot.step}:\n"), {"type": "image"}, _text("\n")]
            content += [_text("Now:\n"), {"type": "image"}, _text(f"\n\n{text}")]
        return [
            {"role": "system", "content": system_prompt(self.name, self.vision)},
            {"role": "user", "content": content},
        ]

    def window_of(self, shots: Sequence[Shot]) -> list[Shot]:
        """The screenshots of the last steps; of those in a row that look the same the last."""
        if self.vision is None:
            return []
        last = list(shots)[-self.vision.images :]
        return [
            shot
            for shot, later in zip_longest(last, last[1:])
            if later is None or later.picture.reference != shot.picture.reference
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
        """The last call that is said."""
        return read(response).action

    def response(self, action: str, observation: Observation) -> str:
        """The call itself; the tokenizer's end token is added when it is encoded.

        Places in the viewport, given in pixels, are said as the screenshots count them.
        """
        return action if self.vision is None else _in_thousandths(action, observation.viewport)

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
        if self.name in NOTING:
            # A response that lost its form does not cost the notes.
            is_lost = self.name == "chat-compressive" and said.breaks_off
            step["memory"] = None if is_lost else said.memory
        return json.dumps(step, ensure_ascii=False)

    def _user_message(
        self, observation: Observation, page: str, history: Sequence[str], told: int, notes: int
    ) -> str:
        parts = [f"Goal: {observation.goal}", f"URL: {observation.url}"]
        if self.vision is None or self.vision.text:
            parts.append(f"Page:\n{page}")
        steps = [json.loads(step) for step in history]
        kept: list[str] = []
        if self.name == "chat-memory":
            kept = list(dict.fromkeys(note for step in steps for note in step["memory"] or ()))
        elif self.name == "chat-compressive":
            written = (s["memory"] for s in reversed(steps) if s["memory"] is not None)
            kept = next(written, [])
        parts.append(_list("Your notes", kept[-notes:] if notes else []))
        if progress := next((s["progress"] for s in reversed(steps) if s.get("progress")), ""):
            parts.append(f"Your progress: {progress}")
        if last := list(enumerate(steps, 1))[-told:] if told else []:
            lines = [f"Step {i}: {step['action']} → {step['outcome']}" for i, step in last]
            parts.append("Actions so far:\n" + "\n".join(lines))
        if observation.last_action:
            changed = "changed" if observation.page_changed else "not changed"
            parts.append(f"The page has {changed} since the last action.")
        if observation.last_action_error:
            parts.append(f"The last action failed: {observation.last_action_error}")
        return "\n\n".join(part for part in parts if part)


def _text(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def _image_tokens(shots: Sequence[Shot]) -> int:
    return sum(shot.picture.tokens for shot in shots)


def _encode(
    tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, Any]], shots: Sequence[Shot]
) -> tuple[list[int], bool]:
    """The chat template applied, as many placeholder tokens to an image as it takes.

    With it, whether it ends within a thought.
    """
    system, user = messages
    content = user["content"]
    if isinstance(content, str):
        content = _harmless(tokenizer, content)
    else:
        content = [
            part | {"text": _harmless(tokenizer, part["text"])} if "text" in part else part
            for part in content
        ]
    text = _rendered(tokenizer, system["content"], content)
    thinks = text.rstrip().endswith(THOUGHT)
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
    if not shots:
        return ids, thinks
    placeholder = tokenizer.get_vocab().get(PLACEHOLDER, -1)
    if ids.count(placeholder) != len(shots):
        raise UserError(
            f"the chat template shows {ids.count(placeholder)} of {len(shots)} images as"
            f" {PLACEHOLDER}; screenshots need a model of Qwen-VL's kind"
        )
    left = iter(shots)
    unfolded = [
        each
        for token in ids
        for each in ([token] * next(left).picture.tokens if token == placeholder else [token])
    ]
    return unfolded, thinks


def _rendered(
    tokenizer: PreTrainedTokenizerBase, system: str, content: str | list[dict[str, str]]
) -> str:
    """A conversation by the chat template; one that takes no system prompt has the user say it."""
    from jinja2 import TemplateError

    def render(*messages: dict[str, Any]) -> str:
        return str(
            tokenizer.apply_chat_template(
                list(messages), add_generation_prompt=True, tokenize=False
            )
        )

    with suppress(TemplateError):  # it may refuse one, or leave it out
        text = render({"role": "system", "content": system}, {"role": "user", "content": content})
        if system.strip() in text:
            return text
    first = f"{system}\n\n"
    whole = first + content if isinstance(content, str) else [_text(first), *content]
    return render({"role": "user", "content": whole})


def _harmless(tokenizer: PreTrainedTokenizerBase, text: str) -> str:
    """Text in which no token of the template can be spelled: a page must not speak for others."""
    for token in tokenizer.added_tokens_decoder.values():
        if token.special and (spelled := str(token.content)) in text:
            text = text.replace(spelled, f"{spelled[:1]} {spelled[1:]}")
    return text


def _in_thousandths(action: str, viewport: tuple[int, int]) -> str:
    parsed = parse_action(action)
    size = dict(zip("xy", viewport, strict=True))
    arguments = {
        name: round(1000 * value / size[name[-1]]) if name in COORDINATES else value
        for name, value in parsed.arguments.items()
    }
    if arguments == parsed.arguments:
        return action
    return call(parsed.name, *arguments.values())


def _list(title: str, items: Sequence[str]) -> str:
    return f"{title}:\n" + "\n".join(f"- {item}" for item in items) if items else ""
