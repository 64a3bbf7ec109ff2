"""Whole runs small enough for a test: their configuration, a task by chance, a policy by chance."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from webdojo.agents.checkpoint import find_checkpoint

POLICY = "webdojo-nano"
WEBDOJO = [sys.executable, "-m", "webdojo"]
PATIENCE_S = 300
"""A hang, not slowness, is what this bounds."""

COIN_TASK = '''
import random

from webdojo.tasks import Outcome, Task


class Coin(Task):
    """Three actions, then it ends well or badly by chance: half of all groups of two are mixed."""

    id = "test.coin"
    horizon = 3
    actions = 0

    async def setup(self, page, seed):
        await page.set_content(f"<p>Coin {seed}</p><button>Heads</button><button>Tails</button>")
        return "Toss a coin."

    async def evaluate(self, page, answer):
        self.actions += 1
        ended = self.actions == 3
        return Outcome(float(ended and random.random() < 0.5), done=ended)

    def oracle(self, view):
        while True:
            view = yield f'click("{view.all("button")[0]["bid"]}")'
'''

COIN_RUN = """
[policy]
checkpoint = "policy"
max_response_tokens = 8

[tasks]
files = ["coin.py"]
demonstrated = ["test.coin"]
reinforced = ["test.coin"]

[warm_start]
episodes_per_task = 6

[rollout]
slots = 4
group_size = 4
groups_per_batch = 1

[reinforce]
updates = 3
checkpoint_every = 1

[evaluation]
episodes_per_task = 0
"""


@dataclass(frozen=True)
class Finished:
    """A run that went well, and what it said."""

    folder: Path
    output: str
    errors: str


def random_policy(folder: Path) -> Path:
    """A checkpoint with the shipped policy's tokenizer, and next to no weights, drawn by chance."""
    shipped = find_checkpoint(POLICY)
    tokenizer = shipped.tokenizer()
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=1024,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    shipped.save(model, tokenizer, folder)
    return folder


def coin_run(folder: Path, *settings: str, name: str = "coin") -> Path:
    """Write task, policy and configuration of a run on coins; gives the configuration."""
    (folder / "coin.py").write_text(COIN_TASK)
    if not (folder / "policy").exists():
        random_policy(folder / "policy")
    config = folder / f"{name}.toml"
    config.write_text(f'name = "{name}"\n' + COIN_RUN)
    return config


def start(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start ``webdojo`` in a session of its own, as a terminal would."""
    return subprocess.Popen(
        [*WEBDOJO, *arguments],
        cwd=folder,
        env={**os.environ, "COLUMNS": "200", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit status, output and errors."""
    output, errors = process.communicate(timeout=2 * PATIENCE_S)
    return process.returncode, output, errors


def webdojo(folder: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """Run ``webdojo`` to its end."""
    return finish(start(folder, *arguments, **environment))


def wait_until(condition: Callable[[], Any], process: subprocess.Popen[str]) -> Any:
    """What ``condition`` gives as soon as it is true."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if found := condition():
            return found
        assert process.poll() is None, finish(process)
        time.sleep(0.02)
    process.kill()
    raise AssertionError(f"nothing came of it: {finish(process)}")


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Every process below it: the rollout process, the browser's driver, the browser."""
    return psutil.Process(process.pid).children(recursive=True)


def lines(path: Path) -> list[dict[str, Any]]:
    """Objects of a file with one a line; a last line that is being written is left out."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def updates_of(run: Path) -> list[int]:
    """Versions in the order in which they were reached."""
    return [row["step"] for row in lines(run / "metrics.jsonl") if row["phase"] == "reinforce"]
