"""What a chat response holds: an action call, notes and progress, whatever its form."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from webdojo.envs import vocabulary  # noqa: F401  # fills the action registry
from webdojo.envs.actions import ACTIONS, ActionError, parse_action
from webdojo.tasks.calls import repr_argument

MAX_RESPONSE = 65_536
"""Last characters of a response that are looked at: 16 for each of 4,096 tokens."""
MAX_TRIED = 100
"""Last calls in a response that are tried."""
MAX_CHARACTERS = 400
"""Of a note, or a subtask and its state; longer ones are cut."""

# No character is read more than a few times: [^\w\n] stays in its line, and what stands between
# brackets is given up at the next one (arguments are strings, numbers and lists of strings).
_LINE = re.compile(r"[a-z_]+\(.*\)\s*$", re.DOTALL)
_CALL = re.compile(
    r"""(?<![\w.])[a-z_]+\((?:[^()"'\\]|"(?:[^"\\\n]|\\.)*+"|'(?:[^'\\\n]|\\.)*+')*+\)"""
)
# Labels may be numbered or bold, and what they name may be fenced.
_PART = re.compile(
    r"^(?:[^\w\n]|_)*+(?:\d+(?:[^\w\n]|_)*+)?"
    r"(memory|progress|intention|action)(?:[^\w\n]|_)*:[*_]*+\s*"
    r"(?:```\w*+\s*)?",
    re.IGNORECASE | re.MULTILINE,
)
_THOUGHT = re.compile(
    r"(?:<|\[(?=/?think]))(/?)(?:think(?:ing)?|thoughts?|reasoning)[>\]]", re.IGNORECASE
)
_FENCE = "` \t\r\n"
_NO_ACTION = ("memory", "progress")
"""Parts that may quote calls."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a response holds."""

    action: str
    """The call; empty if there is none."""
    memory: tuple[str, ...] | None = None
    """Notes; None if the response has no such part, or an empty one."""
    progress: str = ""
    breaks_off: bool = False
    """Whether the notes begin as JSON that never ends."""


def read(response: str) -> Said:
    """What a response holds, whatever its form: parts are found by their names.

    Memory and progress that are no JSON are taken as the text that they are. What is thought of is
    neither done nor noted.
    """
    response = _answer(response)[-MAX_RESPONSE:]
    if whole := _said_as_json(response):
        return whole
    found = list(_PART.finditer(response))
    ends = [match.start() for match in found[1:]] + [len(response)]
    parts = {
        match[1].lower(): response[match.end() : end].strip().strip("`").strip()
        for match, end in zip(found, ends, strict=False)
    }
    memory = parts.get("memory", "")
    return Said(
        _action(_without_notes(response, found, ends), parts.get("action", "")),
        _notes(memory),
        _progress(parts.get("progress", "")),
        memory[:1] in ("[", "{") and memory[-1:] not in ("]", "}") and _json(memory, "[{") is None,
    )


def _said_as_json(response: str) -> Said | None:
    """What the JSON object that ends a response says, if its action can be done.

    None if there is none, or a part of the usual form stands before it.
    """
    text = response.rstrip(_FENCE).removesuffix("</tool_call>").rstrip(_FENCE)
    if not text.endswith("}"):
        return None
    for start in deque((match.start() for match in re.finditer("{", text)), maxlen=MAX_TRIED):
        found = _decoded(text, start)
        if found is None or found[1] < len(text):
            continue
        said = {name.lower(): value for name, value in found[0].items()}
        action = _call_of(said)
        if not action or _PART.search(text, 0, start):
            return None
        return Said(action, _notes(said.get("memory")), _progress(said.get("progress") or ""))
    return None


def _action(said: str, action_part: str) -> str:
    """The last line that is a call; else one within the action part, or within what else is said.

    A line that is written as a call stays as it is even if it is none that can be done: the parser
    tells the agent why.
    """
    lines = [line.strip().strip("`") for line in said.strip().splitlines()]
    line = next((line for line in reversed(lines) if _LINE.fullmatch(line)), "")
    if not line and lines:
        labelled = _PART.sub("", lines[-1]).strip("` ")
        line = labelled if _LINE.fullmatch(labelled) else ""
    if line:
        first = _CALL.match(line)
        return first[0] if first and not _can_be_done(line) and _can_be_done(first[0]) else line
    return _call_within(action_part) or _call_within(said) or _call_in_json(said)


def _call_within(text: str) -> str:
    """The last call in ``text`` that can be done, or the one with which its line begins."""
    found = deque(_CALL.finditer(text), maxlen=MAX_TRIED)
    calls = [match for match in found if _can_be_done(match[0])]
    if not calls:
        return ""
    start = text.rfind("\n", 0, calls[-1].start()) + 1
    for call in calls:
        if call.start() >= start and not re.search("[^\\W\\d]", text[start : call.start()]):
            return call[0]
    return calls[-1][0]


def _call_in_json(text: str) -> str:
    """The last call that is written as JSON, as those of tools are."""
    starts = deque((match.start() for match in re.finditer("{", text)), maxlen=MAX_TRIED)
    for start in reversed(starts):
        found = _decoded(text, start)
        if found is not None and (call := _call_of(found[0])):
            return call
    return ""


def _call_of(said: dict[str, Any]) -> str:
    """The call in an object that holds it, or a verb's name and its arguments; empty if none."""
    verb = said.get("action", said.get("name"))
    if isinstance(verb, dict):
        said, verb = verb, verb.get("action", verb.get("name"))
    if not isinstance(verb, str):
        return ""
    if verb not in ACTIONS:
        return _call_within(verb)
    given = said.get("arguments", said.get("parameters", said))
    if not isinstance(given, dict):
        return ""
    known = [name for name in ACTIONS[verb].signature.parameters if name in given]
    written = ", ".join(f"{name}={repr_argument(given[name])}" for name in known)
    try:
        return str(parse_action(f"{verb}({written})"))
    except ActionError:
        return ""


def _can_be_done(call: str) -> bool:
    if call.partition("(")[0] not in ACTIONS:
        return False
    try:
        parse_action(call)
    except ActionError:
        return False
    return True


def _answer(text: str) -> str:
    """What is said once the thinking is over."""
    begin, end, typed = 0, None, _typed(text)
    for tag in _THOUGHT.finditer(text):
        at = tag.start()
        if at in typed:
            continue
        if tag[1]:
            begin, end = tag.end(), None
        elif end is None and text[at - 1 : at] not in ("'", '"'):  # in quotes it is typed too
            end = at
    return text[begin:end]


def _typed(text: str) -> set[int]:
    """Where a thought's beginning or end is spelled in a call, as what is typed into a field."""
    found: set[int] = set()
    if _THOUGHT.search(text) is None:
        return found
    calls = _CALL.finditer(text, max(0, len(text) - MAX_RESPONSE))
    for call in deque((c for c in calls if _THOUGHT.search(c[0])), maxlen=MAX_TRIED):
        if _can_be_done(call[0]):
            found.update(call.start() + tag.start() for tag in _THOUGHT.finditer(call[0]))
    return found


def _without_notes(response: str, parts: Sequence[re.Match[str]], ends: Sequence[int]) -> str:
    kept, at = [], 0
    for part, end in zip(parts, ends, strict=False):
        if part[1].lower() in _NO_ACTION:
            kept.append(response[at : part.start()])
            at = part.end()
            # What stands below a label is its note if it is in brackets, and may be the action.
            if "\n" not in part[0] or response[at : at + 1] in ("[", "{"):
                at += _length_of_note(response[at:end])
    return "".join((*kept, response[at:]))


def _length_of_note(text: str) -> int:
    """Characters of a note: its line, or all lines of its JSON.

    What is in brackets and no JSON ends where a line does with such a bracket.
    """
    closing = {"[": "]", "{": "}"}.get(text[:1], "\n")
    length = 0
    if closing != "\n" and (found := _decoded(text, 0)) is not None:
        return text.find("\n", found[1]) + 1 or len(text)
    for line in text.splitlines(keepends=True):
        length += len(line)
        if closing == "\n" or line.rstrip().endswith(closing):
            return length
    return text.find("\n") + 1 or len(text)


def _notes(value: Any) -> tuple[str, ...] | None:
    if value is None or value == "":
        return None
    if isinstance(value, str) and (found := _json(value, "[{")) is not None:
        value = found
    if isinstance(value, dict):
        value = [f"{key}: {item}" for key, item in value.items()]
    if not isinstance(value, list):
        value = [value]
    told = [item if isinstance(item, str) else json.dumps(item) for item in value]
    return tuple(" ".join(item.split())[:MAX_CHARACTERS] for item in told if item.strip())


def _progress(value: Any) -> str:
    if isinstance(value, str):
        found = _json(value, "{[")
        if found is None:
            return " ".join(value.split())[:MAX_CHARACTERS]
        value = found
    return json.dumps(value, ensure_ascii=False)[: 4 * MAX_CHARACTERS]


def _json(text: str, openings: Sequence[str]) -> Any:
    """The first JSON value that begins with one of ``openings``; None if there is none."""
    start = min((at for at in map(text.find, openings) if at >= 0), default=-1)
    found = _decoded(text, start) if start >= 0 else None
    return None if found is None else found[0]


def _decoded(text: str, start: int) -> tuple[Any, int] | None:
    """The JSON value that begins there, and where it ends; None if there is none.

    One that could not be written again, being too deep or half of a character, is none.
    """
    try:
        value, end = json.JSONDecoder().raw_decode(text, start)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return value, end
