"""The prompts that a run was told by, kept in its folder so that they are known later."""

from __future__ import annotations

from pathlib import Path

from webdojo.agents.layouts.layout import Layout
from webdojo.agents.layouts.prompt_files import PROMPTS, read_prompt_file
from webdojo.training.checkpoints import replacing

FOLDER = "prompts"


def keep_prompts(run: Path, layout: Layout) -> None:
    """Copy the prompt files that a layout is written from into the run's folder.

    What is kept there already stays: it is what the run was begun with.
    """
    if not layout.prompt_files or (run / FOLDER).exists():
        return
    with replacing(run / FOLDER) as partial:
        for name in layout.prompt_files:
            (partial / f"{name}.md").write_bytes(_used(name))


def other_prompts(run: Path, layout: Layout) -> str:
    """What to say where a layout's prompts are others than the run was begun with; or empty."""
    kept = run / FOLDER
    others = [
        path.name
        for name in layout.prompt_files
        if (path := kept / f"{name}.md").is_file() and path.read_bytes() != _used(name)
    ]
    if not others:
        return ""
    return (
        f"{', '.join(others)} {'is' if len(others) == 1 else 'are'} not as {run} was begun with:"
        f" set {PROMPTS}={kept} to have its own prompts"
    )


def _used(name: str) -> bytes:
    return read_prompt_file(name).encode()
