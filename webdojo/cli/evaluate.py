"""``webdojo eval``: an agent on a split."""

from __future__ import annotations

from typing import Annotated

import typer

from webdojo.cli.own_tasks import TaskFiles

EXAMPLE = (
    "Example: webdojo eval --agent runs/quickstart/checkpoints/final --split undemonstrated\n\n"
    "Or: webdojo eval --agent oracle --split miniwob-test --episodes 5"
)


def evaluate(
    agent: Annotated[
        str,
        typer.Option(
            "--agent",
            help="A checkpoint folder, a policy's name, oracle, random, or openai:MODEL@URL.",
        ),
    ],
    split: Annotated[
        str,
        typer.Option(
            "--split",
            help="A split of the run or preset, a published one, or a manifest (FILE.toml).",
        ),
    ],
    config: Annotated[
        str | None,
        typer.Option(
            "--config",
            help="Preset or TOML file that defines the split; by default the agent's own run.",
        ),
    ] = None,
    episodes: Annotated[
        int | None, typer.Option("--episodes", min=1, help="Seeds of each task.")
    ] = None,
    mode: Annotated[
        str, typer.Option("--mode", help="greedy, sampled or both.", metavar="MODE")
    ] = "both",
    deterministic: Annotated[
        bool,
        typer.Option(
            "--deterministic",
            help="One episode at a time, so that every figure repeats to the last bit.",
        ),
    ] = False,
    tasks: TaskFiles = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure an agent on held-out episodes, with 95 % intervals."""
    from webdojo.training.evaluate_agent import evaluate_agent, show

    found = evaluate_agent(
        agent,
        split,
        config=config,
        episodes=episodes,
        mode=mode,
        deterministic=deterministic,
        task_files=tasks or (),
        quiet=as_json,
    )
    show(found, as_json=as_json)
