"""TRL's GRPOTrainer on given rows.

    .venv-trl/bin/python benchmarks/learner_trl.py JOB.json

JOB holds ``model`` (a folder), ``rows`` of ``prompt`` and ``response`` ids and an ``advantage``,
``micro_batch_rows``, ``updates`` and ``threads``. Prints {"tokens_per_s": [update …], "versions"},
the first update left out.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, TrainerCallback
from trl import GRPOConfig, GRPOTrainer


class GivenRows(GRPOTrainer):  # type: ignore[misc]
    """TRL's trainer, whose completions are handed to it in place of being generated."""

    def _prepare_inputs(self, generation_batch: Any) -> dict[str, torch.Tensor]:
        batch = self.batches[self.taken % len(self.batches)]
        self.taken += 1
        return batch


class Clock(TrainerCallback):  # type: ignore[misc]
    """Notes when each update ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        """Note the time."""
        self.ends.append(time.perf_counter())


def padded(sequences: list[list[int]], *, left: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask [rows, longest]."""
    longest = max(map(len, sequences))
    ids = torch.zeros(len(sequences), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        span = slice(longest - len(sequence), longest) if left else slice(0, len(sequence))
        ids[row, span] = torch.tensor(sequence)
        mask[row, span] = 1
    return ids, mask


def batches_of(rows: list[dict[str, Any]], size: int) -> list[dict[str, torch.Tensor]]:
    """Micro-batches of ``size`` rows as the trainer's loss takes them."""
    found = []
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        prompt_ids, prompt_mask = padded([row["prompt"] for row in part], left=True)
        completion_ids, completion_mask = padded([row["response"] for row in part], left=False)
        found.append(
            {
                "prompt_ids": prompt_ids,
                "prompt_mask": prompt_mask,
                "completion_ids": completion_ids,
                "completion_mask": completion_mask,
                "advantages": torch.tensor([row["advantage"] for row in part]),
                "num_items_in_batch": completion_mask.sum(),
            }
        )
    return found


def main() -> None:
    """Train, and print the pace."""
    job = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(job["threads"])
    batches = batches_of(job["rows"], job["micro_batch_rows"])
    tokenizer = PreTrainedTokenizerFast.from_pretrained(job["model"])
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    clock = Clock()
    trainer = GivenRows(
        model=AutoModelForCausalLM.from_pretrained(job["model"], dtype=torch.float32),
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=GRPOConfig(
            output_dir=tempfile.mkdtemp(),
            per_device_train_batch_size=job["micro_batch_rows"],
            gradient_accumulation_steps=len(batches),
            num_generations=2,
            max_steps=1 + job["updates"],
            learning_rate=1e-6,
            loss_type="grpo",
            beta=0.0,
            gradient_checkpointing=False,
            bf16=False,
            use_cpu=True,
            report_to=[],
            logging_strategy="no",
            save_strategy="no",
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_dict({"prompt": ["a"] * (4 * len(job["rows"]))}),
        processing_class=tokenizer,
        callbacks=[clock],
    )
    trainer.batches, trainer.taken = batches, 0
    trainer.train()
    assert trainer.taken == len(batches) * (1 + job["updates"])
    tokens = sum(len(row["response"]) for row in job["rows"])
    rates = [tokens / (after - before) for before, after in pairwise(clock.ends)]
    versions = {name: version(name) for name in ("trl", "transformers", "torch")}
    print(json.dumps({"tokens_per_s": rates, "versions": versions}))


if __name__ == "__main__":
    main()
