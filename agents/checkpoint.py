"""Checkpoints: where a policy's weights, tokenizer and layout are found."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from webdojo.agents.layouts.layout import LAYOUTS, Layout, get_layout
from webdojo.tasks.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

SHIPPED = {"webdojo-nano": Path(__file__).parent / "nano"}
"""Policies that come with WebDojo, by name."""

ABOUT = "webdojo.json"
"""File in a checkpoint that names its layout; without it the layout is ``chat``."""


@dataclass(frozen=True)
class Checkpoint:
    """A policy on disk or on a model hub."""

    path: str
    layout: Layout

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Load the tokenizer; raises UserError if it cannot be read."""
        from transformers import AutoTokenizer

        try:
            return AutoTokenizer.from_pretrained(self.path)
        except (OSError, ValueError) as error:
            raise _unreadable(self.path, "tokenizer", error) from error

    def model(self) -> PreTrainedModel:
        """Load the weights in float32; raises UserError if they cannot be read."""
        import torch
        from safetensors import SafetensorError
        from transformers import AutoModelForCausalLM

        try:
            return AutoModelForCausalLM.from_pretrained(
                self.path, attn_implementation="sdpa", dtype=torch.float32
            )
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise _unreadable(self.path, "weights", error) from error

    def write(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path
    ) -> None:
        """Write weights, tokenizer and layout into an existing folder, beside what it holds."""
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        (folder / ABOUT).write_text(json.dumps({"layout": self.layout.name}) + "\n")

    def save(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path
    ) -> None:
        """Write weights, tokenizer and layout into ``folder``, whole or not at all."""
        partial = folder.with_name(folder.name + ".partial")
        if partial.exists():
            _remove(partial)
        partial.mkdir(parents=True)
        self.write(model, tokenizer, partial)
        if folder.exists():
            _remove(folder)
        partial.replace(folder)


def find_checkpoint(name: str, layout: str | None = None) -> Checkpoint:
    """The checkpoint of a shipped name, a folder, or a model hub's ``owner/name``.

    Raises UserError if a folder is named that is not there or holds no model.
    """
    shipped = SHIPPED.get(name)
    folder = shipped if shipped is not None else Path(name)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise UserError(f"{folder} holds no config.json: give the folder of a checkpoint")
        return Checkpoint(str(folder), get_layout(layout or _layout_of(folder)))
    if name.startswith((".", "/", "~", "runs")) or name.count("/") != 1:
        known = ", ".join(SHIPPED)
        raise UserError(
            f"no policy {name!r}: give a checkpoint folder, a hub id such as owner/name, or {known}"
        )
    return Checkpoint(name, get_layout(layout or "chat"))


def _layout_of(folder: Path) -> str:
    about = folder / ABOUT
    if not about.is_file():
        return "chat"
    try:
        found = json.loads(about.read_text(encoding="utf-8"))["layout"]
    except (ValueError, KeyError, TypeError):
        found = None
    if found not in LAYOUTS:
        raise UserError(f"{about} is damaged: it should name a layout, one of {', '.join(LAYOUTS)}")
    return str(found)


def _unreadable(path: str, what: str, error: Exception) -> UserError:
    lines = str(error).strip().splitlines()
    return UserError(
        f"the {what} of {path} cannot be read ({lines[0] if lines else type(error).__name__});"
        " the checkpoint is incomplete or damaged: use another one"
    )


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder)
