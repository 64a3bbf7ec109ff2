"""Whether a tokenizer's files can write a layout, told without loading it; no torch here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TEMPLATES = ("chat_template.jinja", "additional_chat_templates")
"""Where a chat template lies, if not in ``tokenizer_config.json``."""
NO_TEMPLATE = (
    "has no chat template, which the chat layout needs: set policy.layout=outline, or choose a"
    " policy that has one"
)


def no_token(token: str) -> str:
    """That one of the outline layout's own tokens is missing, and what to do."""
    return f"has no token {token}, which the outline layout needs: set policy.layout=chat"


def problem_with_files(folder: Path, layout: str) -> str:
    """Why the tokenizer in ``folder`` cannot write a layout, as "has no …"; or empty.

    Empty too where its files are not there or cannot be read: loading them says so.
    """
    if layout == "outline":
        from webdojo.agents.layouts.outline import ACT, END

        known = _vocabulary(_read(folder / "tokenizer.json"))
        missing = [token for token in (ACT, END) if known and token not in known]
        return no_token(missing[0]) if missing else ""
    said = _read(folder / "tokenizer_config.json")
    if not said or said.get("chat_template") or any((folder / name).exists() for name in TEMPLATES):
        return ""
    return NO_TEMPLATE


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _vocabulary(tokenizer: dict[str, Any]) -> set[str]:
    """Tokens of a ``tokenizer.json`` and those added; empty if they are kept in another way."""
    try:
        own = tokenizer["model"]["vocab"]
        names = own if isinstance(own, dict) else [piece[0] for piece in own]
        return {*names, *(added["content"] for added in tokenizer.get("added_tokens", ()))}
    except (KeyError, TypeError, IndexError):
        return set()
