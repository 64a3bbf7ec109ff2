"""The learner beside TRL's GRPOTrainer: trained tokens a second on the same model and rows.

    python benchmarks/learner.py [--run RUN | --distinct] [--updates 5] [--threads 1] [--json]
    python benchmarks/learner.py [--distinct] --publish   # into benchmarks/results too

Both take whole updates on one batch: forward, backward and an optimiser step, with GRPO's loss
(one token ratio a token, mean over each row, no KL), float32, on the CPU. Nothing is generated in
the time that is measured. TRL runs in .venv-trl (scripts/setup-trl.sh) with several micro-batch
sizes, of which the fastest counts; its rows come group by group, so that equal prompts lie in one
micro-batch. TRL comes first, size by size, and then ours; each one's fastest update counts.

Rows are those of a run's recorded rollouts, or made up: groups of 8 responses to one prompt, or
with --distinct to prompts that share nothing.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from published import publish

from webdojo.agents.checkpoint import find_checkpoint
from webdojo.training.learner import Learner
from webdojo.training.learner_config import LearnerConfig
from webdojo.training.objectives.config import ObjectiveConfig
from webdojo.training.records import read_trajectories
from webdojo.training.rollouts.trajectory import Group, Trajectory, Turn

HERE = Path(__file__).parent
TRL = HERE.parent / ".venv-trl" / "bin" / "python"
MICRO_BATCH_ROWS = (4, 8, 16, 32)
GROUP = 8


def made_up(groups: int, vocabulary: int, distinct: bool, seed: int = 0) -> list[Group]:
    """Groups of one-turn episodes: prompts of 150–600 tokens, responses of 8–48.

    All members of a group answer one prompt, or with ``distinct`` each its own.
    """
    chance = random.Random(seed)

    def draw(least: int, most: int) -> tuple[int, ...]:
        return tuple(chance.randrange(vocabulary) for _ in range(chance.randint(least, most)))

    found = []
    for g in range(groups):
        prompt = draw(150, 600)
        members = []
        for m in range(GROUP):
            prompt = draw(150, 600) if distinct else prompt
            response = draw(8, 48)
            row = Turn(prompt, response, (-1.0,) * len(response), (0,) * len(response), "noop()")
            members.append(Trajectory(f"{g}-{m}", "t", 0, g, m, (row,), float(m % 2), "success"))
        found.append(Group(g, "t", 0, tuple(members)))
    return found


def recorded(run: Path, groups: int) -> list[Group]:
    """The first whole groups of a run whose rewards differ."""
    members: dict[int, list[Trajectory]] = defaultdict(list)
    found = []
    for trajectory in read_trajectories(run / "trajectories" / "rollouts.jsonl"):
        mine = members[trajectory.group_id]
        mine.append(trajectory)
        group = Group(trajectory.group_id, trajectory.task_id, trajectory.seed, tuple(mine))
        if len(mine) == GROUP and group.mixed:
            found.append(group)
        if len(found) == groups:
            return found
    raise SystemExit(f"{run} holds {len(found)} groups of {GROUP} whose rewards differ")


def rows_of(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """Rows as the other side takes them, with GRPO's advantages."""
    rows = []
    for group in groups:
        rewards = torch.tensor([t.reward for t in group.trajectories], dtype=torch.float64)
        advantages = (rewards - rewards.mean()) / (rewards.std() + 1e-4)
        for trajectory, advantage in zip(group.trajectories, advantages.tolist(), strict=True):
            rows += [
                {"prompt": turn.prompt_ids, "response": turn.response_ids, "advantage": advantage}
                for turn in trajectory.turns
                if turn.response_ids
            ]
    return rows


def measure_ours(model: str, groups: Sequence[Group], updates: int) -> tuple[list[float], float]:
    """Tokens a second of each update, and the share of tokens that packing saved."""
    learner = Learner(
        find_checkpoint(model).model(),
        LearnerConfig(lr=1e-6),
        ObjectiveConfig.from_preset("grpo"),
    )
    seen = [learner.update(groups, version=0) for _ in range(1 + updates)][1:]
    return [each["tokens_per_s"] for each in seen], seen[0]["shared_token_rate"]


def measure_trl(model: str, rows: list[dict[str, Any]], size: int, options: Any) -> Any:
    """TRL's tokens a second of each update, ``size`` rows a micro-batch, and its versions."""
    with tempfile.TemporaryDirectory() as folder:
        job = {
            "model": find_checkpoint(model).path, "rows": rows, "micro_batch_rows": size,
            "updates": options.updates, "threads": options.threads,
        }  # fmt: skip
        path = Path(folder) / "job.json"
        path.write_text(json.dumps(job))
        done = subprocess.run(
            [str(TRL), str(HERE / "learner_trl.py"), str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise SystemExit(f"TRL failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure both and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="webdojo-nano", help="a shipped policy or a folder")
    parser.add_argument("--run", type=Path, help="take the rows of this run's rollouts")
    parser.add_argument(
        "--distinct", action="store_true", help="make up rows no two of which share a prompt"
    )
    parser.add_argument("--groups", type=int, default=5)
    parser.add_argument("--updates", type=int, default=5, help="measured, after one to warm up")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rows-per-micro-batch", type=int, nargs="+", default=MICRO_BATCH_ROWS)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--publish",
        action="store_true",
        help="write each update's figures into benchmarks/results/learner.json too, with --distinct"
        " learner-distinct.json",
    )
    options = parser.parse_args()
    if options.publish and options.run:
        parser.error("--publish is for rows that anyone can make up: take --run out")
    if not TRL.exists():
        sys.exit("TRL is not here: run scripts/setup-trl.sh, which makes .venv-trl")
    torch.set_num_threads(options.threads)
    vocabulary = find_checkpoint(options.model).model().config.vocab_size
    groups = (
        recorded(options.run, options.groups)
        if options.run
        else made_up(options.groups, vocabulary, options.distinct)
    )
    rows = rows_of(groups)
    trl = {
        size: measure_trl(options.model, rows, size, options)
        for size in options.rows_per_micro_batch
    }
    ours, shared = measure_ours(options.model, groups, options.updates)
    fastest = {size: max(each["tokens_per_s"]) for size, each in trl.items()}
    found = {
        "model": options.model,
        "rows": len(rows),
        "trained_tokens": sum(len(row["response"]) for row in rows),
        "read_tokens": sum(len(row["prompt"]) + len(row["response"]) for row in rows),
        "threads": options.threads,
        "webdojo_tokens_per_s": round(max(ours), 1),
        "shared_token_rate": round(shared, 3),
        "trl_tokens_per_s": {str(size): round(rate, 1) for size, rate in fastest.items()},
        "speedup": round(max(ours) / max(fastest.values()), 2),
    }
    if options.publish:
        by_update = {"webdojo": ours} | {f"trl {n}": trl[n]["tokens_per_s"] for n in trl}
        path = publish(
            "learner-distinct" if options.distinct else "learner",
            {
                **found,
                "versions_of_trls_side": next(iter(trl.values()))["versions"],
                "transformers": version("transformers"),
                "tokens_per_s_by_update": by_update,
            },
        )
        print(f"published: {path}", file=sys.stderr)
    if options.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
