"""The layout of small policies: an outline of the page, the goal, what was done; answers quote.

    text"Username"textbox""#username[1]button"Log in"[2]
    Enter the username "bob" and press log in.
    textbox""#username[1]@fill"bob"
    <|act|>button"Log in"[2]@click<|end|>

A response quotes the line of the element it means, then says what to do with it. The quote finds
the element by its text, which small models do far better than naming its number outright.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING

from webdojo.agents.layouts.layout import Prompt, Shot, Vision
from webdojo.agents.layouts.tokenizer_files import no_token
from webdojo.envs import vocabulary  # noqa: F401  # fills the action registry
from webdojo.envs.actions import parse_action
from webdojo.envs.observation import Observation
from webdojo.tasks.calls import call

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ACT = "<|act|>"
END = "<|end|>"
PAD = "<|pad|>"
KINDS = (
    "text", "link", "button", "select", "option", "textbox", "checkbox", "radio", "tab", "item",
    "img", "slider", "file",
)  # fmt: skip
BIDS = 200
"""Bids below this are one token each."""

STRUCTURE = (
    *(f'{kind}"' for kind in KINDS),
    *(f"[{bid}]" for bid in range(BIDS)),
    "@click",
    "@select",
    '@fill"',
    '"#',
    '"+',
    '"',
    "\n",
)
"""Strings that are one token each, and before and after which spaces do not count."""

MAX_HISTORY = 6
MAX_HISTORY_CHARACTERS = 120

_RESPONSE = re.compile(
    r'^(?P<kind>[a-z]+)"(?P<text>[^"]*)"(?:#[^\[\]"]*)?\+?\s*\[(?P<bid>\d{1,6})\]\s*'
    r'@(?P<verb>click|select|fill"(?P<value>[^"]*)")$'
)

_LINE = re.compile(r'^[a-z]+"[^"]*"(?:#[^\[\]"]*)?\+?\[(?P<bid>\d+)\]$')


def render(goal: str, outline: str, history: Sequence[str]) -> str:
    """The prompt's text; ``history`` holds the earlier responses, oldest first."""
    page = outline.replace("\n", "")
    done = "".join(f"{response[:MAX_HISTORY_CHARACTERS]}\n" for response in history[-MAX_HISTORY:])
    return f"{page}\n{goal}\n{done}{ACT}"


def parse(response: str) -> str:
    """The action call that a response stands for; empty if it stands for none."""
    found = _RESPONSE.match(tidy(response))
    if found is None:
        return ""
    bid = found["bid"]
    if found["verb"] == "click":
        return call("click", bid)
    if found["verb"] == "select":
        return call("select_option", bid, found["text"])
    return call("fill", bid, found["value"])


def tidy(response: str) -> str:
    """A decoded response without the spaces that the tokenizer puts after structure."""
    return re.sub(r'(["#\]])\s+', r"\1", response).strip()


def response_for(action_text: str, outline: str) -> str:
    """The response that stands for an action on this page, as a demonstration shows it.

    Raises ValueError if the layout has no words for the action.
    """
    action = parse_action(action_text)
    arguments = action.arguments
    lines = {
        m["bid"]: line
        for line in outline.split("\n")
        if (m := _LINE.match(line)) and not line.startswith("option")
    }
    line = lines.get(str(arguments.get("bid", "")))
    if line is None:
        raise ValueError(f"{action_text} is about no line of the outline")
    bid = arguments["bid"]
    if action.name in ("click", "focus"):
        said, meant = f"{line}@click", call("click", bid)
    elif action.name == "fill":
        said = f'{line}@fill"{arguments["value"]}"'
        meant = call("fill", bid, arguments["value"])
    else:
        option = arguments.get("options")
        said, meant = f'option"{option}"[{bid}]@select', call("select_option", bid, option)
        if action.name != "select_option" or said.removesuffix("@select") not in outline.split(
            "\n"
        ):
            said = ""
    if parse(said) != meant:  # a quote in a value, say, or a space that decoding would lose
        raise ValueError(f"{action_text} cannot be said in this layout")
    return said


class OutlineLayout:
    """The layout as agents use it."""

    name = "outline"
    modes: tuple[str, ...] = ("outline",)
    vision: Vision | None = None
    history = MAX_HISTORY
    prompt_files: tuple[str, ...] = ()

    def problem_with(self, tokenizer: PreTrainedTokenizerBase) -> str:
        """It must know the layout's own tokens."""
        known = tokenizer.get_vocab()
        missing = [token for token in (ACT, END) if token not in known]
        return no_token(missing[0]) if missing else ""

    def prompt(
        self,
        tokenizer: PreTrainedTokenizerBase,
        observation: Observation,
        history: Sequence[str],
        max_tokens: int,
        shots: Sequence[Shot] = (),
    ) -> Prompt:
        """Page, goal and history; a page too long for ``max_tokens`` loses its last lines.

        Screenshots are not shown.
        """
        lines = observation.outline.split("\n")
        while True:
            text = render(observation.goal, "\n".join(lines), history)
            ids: list[int] = tokenizer.encode(text)
            if len(ids) <= max_tokens or not lines:
                return Prompt(ids)
            keep = int(len(lines) * max_tokens / len(ids)) - 1
            lines = lines[: max(0, min(len(lines) - 1, keep))]

    def action(self, response: str) -> str:
        """The action call that the response stands for."""
        return parse(response)

    def response(self, action: str, observation: Observation) -> str:
        """The quoted line, the verb, and the end token."""
        return response_for(action, observation.outline) + END

    def distraction(self, observation: Observation, rng: Random) -> str:
        """A click or selection of any line that can be acted on."""
        lines = [line for line in observation.outline.split("\n") if _LINE.match(line)]
        if not lines:
            raise ValueError("the page has nothing to act on")
        line = rng.choice(lines)
        return f"{line}@{'select' if line.startswith('option') else 'click'}{END}"

    def remember(self, response: str, error: str, changed: bool = True) -> str:
        """The response itself."""
        return tidy(response)
