"""Checkpoints: where a policy's weights, tokenizer and layout are found."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from webdojo.agents.architecture import load_model, sees
from webdojo.agents.layouts.layout import LAYOUTS, MOST_HISTORY, Layout, Vision, get_layout
from webdojo.tasks.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from webdojo.agents.pictures import Pictures

SHIPPED = {"webdojo-nano": Path(__file__).parent / "nano"}
"""Policies that come with WebDojo, by name."""

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")
_PROCESSOR_FILES = (
    *("preprocessor_config.json", "video_preprocessor_config.json", "processor_config.json"),
    "chat_template.json",
)
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")

ABOUT = "webdojo.json"
"""File in a checkpoint that names its layout, the history that its prompts tell of, and the
screenshots that they show if they show any; without it the layout is ``chat``."""


@dataclass(frozen=True)
class Checkpoint:
    """A policy on disk or on a model hub."""

    path: str
    layout: Layout

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Load the tokenizer.

        Raises UserError if it cannot be read, or does not know what the layout is written in.
        """
        from transformers import AutoTokenizer, PreTrainedTokenizerFast

        folder = Path(self.path)
        if folder.is_dir() and not any((folder / name).is_file() for name in _TOKENIZER_FILES):
            # transformers would make up an empty one.
            raise _unreadable(self.path, "tokenizer", OSError("none of its files is there"))
        # For a tokenizer of its own AutoTokenizer takes the class that is usual for the model's
        # architecture, which splits text in another way.
        own = _tokenizer_class(self.path) in ("TokenizersBackend", "PreTrainedTokenizerFast")
        kind = PreTrainedTokenizerFast if own else AutoTokenizer
        try:
            with _silence():
                tokenizer = kind.from_pretrained(self.path)
        except Exception as error:  # transformers lets through whatever its parsers raise
            raise _unreadable(self.path, "tokenizer", error) from error
        problem = self.layout.problem_with(tokenizer)
        if problem:
            raise UserError(f"the tokenizer of {self.path} {problem}")
        return tokenizer

    def model(self) -> PreTrainedModel:
        """Load the weights in float32; raises UserError if any cannot be read or is missing."""
        import torch

        try:
            with _silence():
                loaded: Any = load_model(self.path, dtype=torch.float32, output_loading_info=True)
        except Exception as error:  # transformers lets through whatever its parsers raise
            raise _unreadable(self.path, "weights", error) from error
        model: PreTrainedModel = loaded[0]
        missing = sorted(loaded[1]["missing_keys"])
        if missing:  # transformers has drawn them at random
            raise _unreadable(self.path, "weights", ValueError(f"{missing[0]} is missing"))
        return model

    def image_processor(self) -> Any:
        """Load what makes pixels of images; UserError if it is not there, or of another kind."""
        from transformers import AutoImageProcessor

        try:
            with _silence():
                loader: Any = AutoImageProcessor
                found = loader.from_pretrained(self.path, backend="pil")
        except Exception as error:  # transformers lets through whatever its parsers raise
            raise _unreadable(self.path, "image processor", error) from error
        if not all(hasattr(found, name) for name in ("patch_size", "merge_size")):
            raise UserError(
                f"{self.path} makes pixels with {type(found).__name__}; screenshots need a model of"
                " Qwen-VL's kind, such as Qwen/Qwen3-VL-2B-Instruct"
            )
        return found

    def pictures(self, folder: Path) -> Pictures | None:
        """The screenshots in ``folder`` as the model sees them; None if its prompts show none."""
        if self.layout.vision is None:
            return None
        from webdojo.agents.pictures import Pictures
        from webdojo.envs.screenshots import ScreenshotStore

        return Pictures(ScreenshotStore(folder), self.image_processor())

    def check(self, context_tokens: int) -> None:
        """Raise UserError if the checkpoint cannot be served with prompts of that length.

        Reads everything but the weights themselves, of which only the headers are read.
        """
        from safetensors import SafetensorError, safe_open
        from transformers import AutoConfig

        from webdojo.agents.engines.weights import INDEX, WHOLE, weight_files

        try:
            with _silence():
                config = AutoConfig.from_pretrained(self.path)
        except Exception as error:  # transformers lets through whatever its parsers raise
            raise _unreadable(self.path, "configuration", error) from error
        positions = getattr(config.get_text_config(), "max_position_embeddings", None)
        if positions is not None and context_tokens > positions:
            raise UserError(
                f"policy.context_tokens is {context_tokens}, but {self.path} was made for"
                f" {positions}; set it to {positions} at most"
            )
        self.tokenizer()
        if self.layout.vision is not None:
            if not sees(config):
                raise UserError(
                    f"{self.path} takes text only: take policy.screenshots out, or choose a policy"
                    " that sees, such as Qwen/Qwen3-VL-2B-Instruct"
                )
            self.image_processor()
        folder = Path(self.path)
        if not folder.is_dir():
            return
        if not any((folder / name).is_file() for name in (WHOLE, INDEX)) and any(
            folder.glob("pytorch_model*.bin")
        ):
            return  # which transformers takes where there are no others
        try:
            for file in weight_files(folder):
                with safe_open(file, "pt"):
                    pass
        except (OSError, ValueError, SafetensorError) as error:
            raise _unreadable(self.path, "weights", error) from error

    def write(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path
    ) -> None:
        """Write weights, tokenizer and layout into an existing folder, beside what it holds."""
        with _silence():
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
            for file in self._processor_files():
                if file.parent.resolve() != folder.resolve():
                    shutil.copyfile(file, folder / file.name)
        about: dict[str, Any] = {"layout": self.layout.name}
        if self.layout.name != "outline":
            about["history"] = self.layout.history
        if self.layout.vision is not None:
            about["screenshots"] = asdict(self.layout.vision)
        (folder / ABOUT).write_text(json.dumps(about) + "\n")

    def _processor_files(self) -> Iterator[Path]:
        """Where the files lie that say how images are read; none for a text model."""
        from transformers.utils.hub import cached_file

        for name in _PROCESSOR_FILES:
            found = cached_file(
                self.path, name, _raise_exceptions_for_missing_entries=False, local_files_only=True
            )
            if found is not None:
                yield Path(found)

    def save(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path
    ) -> None:
        """Write weights, tokenizer and layout into ``folder``, whole or not at all."""
        partial = folder.with_name(folder.name + ".partial")
        if partial.exists():
            shutil.rmtree(partial)
        partial.mkdir(parents=True)
        self.write(model, tokenizer, partial)
        if folder.exists():
            shutil.rmtree(folder)
        partial.replace(folder)


def find_checkpoint(
    name: str,
    layout: str | None = None,
    vision: Vision | None = None,
    history: int | None = None,
) -> Checkpoint:
    """The checkpoint of a shipped name, a folder, or a model hub's ``owner/name``.

    ``layout``, ``vision`` and ``history`` say what its prompts are like, where it does not say so
    itself or is to do otherwise. Raises UserError if a folder is named that is not there or holds
    no model.
    """
    shipped = SHIPPED.get(name)
    folder = shipped if shipped is not None else Path(name)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise UserError(f"{folder} holds no config.json: give {_checkpoint_in(folder)}")
        own = _layout_of(folder)
        chosen = layout or own.name
        if history is None and chosen != "outline":
            history = own.history
        return Checkpoint(str(folder), get_layout(chosen, vision or own.vision, history))
    if not _HUB_ID.fullmatch(name) or name.startswith("runs/"):
        # A bare name is meant for one of ours, whatever lies in the folder that one is in.
        place = folder.parent if folder.parent.name else None
        beside = sorted(file.parent.name for file in place.glob("*/config.json")) if place else []
        raise UserError(
            f"no policy {name!r}: in {place} there are {', '.join(beside)}"
            if beside
            else f"no policy {name!r}: give a checkpoint folder, a hub id such as owner/name, or"
            f" {', '.join(SHIPPED)}"
        )
    return Checkpoint(name, get_layout(layout or "chat", vision, history))


def _checkpoint_in(folder: Path) -> str:
    """What to give in place of a folder that is no checkpoint: the last of the run that it is."""
    found = [file.parent for file in folder.glob("checkpoints/*/config.json")]
    return str(max(found, key=lambda f: f.stat().st_mtime)) if found else "a checkpoint's folder"


def _tokenizer_class(path: str) -> str:
    try:
        text = (Path(path) / "tokenizer_config.json").read_text(encoding="utf-8")
        return str(json.loads(text).get("tokenizer_class", ""))
    except (OSError, ValueError, AttributeError):
        return ""  # not a folder, or unreadable: loading it will say so


class _Own(NamedTuple):
    """What a checkpoint says of its prompts."""

    name: str
    vision: Vision | None = None
    history: int | None = None


def _layout_of(folder: Path) -> _Own:
    about = folder / ABOUT
    if not about.is_file():
        return _Own("chat")
    vision = None
    history = None
    try:
        said = json.loads(about.read_text(encoding="utf-8"))
        found = said["layout"]
        if "screenshots" in said:
            vision = Vision(**said["screenshots"])
        history = said.get("history")
        if "history" in said and not (type(history) is int and 0 <= history <= MOST_HISTORY):
            found = None
    except (ValueError, KeyError, TypeError, AttributeError):
        found = None
    if found not in LAYOUTS:
        raise UserError(
            f"{about} is damaged: it should name a layout, one of {', '.join(LAYOUTS)}, and with it"
            f" at most screenshots, and a history of 0 to {MOST_HISTORY} steps"
        )
    return _Own(str(found), vision, history)


@contextmanager
def _silence() -> Iterator[None]:
    """Keep the progress bars of transformers out of our own output."""
    from transformers.utils import logging

    bars: Any = logging
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            bars.enable_progress_bar()


def _unreadable(path: str, what: str, error: Exception) -> UserError:
    lines = str(error).strip().splitlines()
    reason = lines[0].rstrip(".") if lines else type(error).__name__
    if not Path(path).is_dir():
        return UserError(
            f"there is no folder {path!r}, and the model hub did not give one of that name"
            f" ({reason}); give the folder of a checkpoint"
        )
    return UserError(
        f"the {what} of {path} cannot be read ({reason}); the checkpoint is incomplete or damaged:"
        " use another one"
    )
