"""What screenshots cost a run: bytes through queues, files kept, and memory over many episodes.

    python benchmarks/vision_memory.py --episodes 2000

Prompts, engine, pool and screenshot store are the real ones, with a random policy of Qwen3-VL's
architecture in two layers. Scripted are the pages (drawn boxes of 332 × 214 pixels in place of a
browser's), the rewards (good and bad in turn), and the learner: it computes the pixels of every
image of its batch and frees them, as an update does, but takes no step.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import pickle
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import torch

from webdojo.agents.agent import PolicyAgent
from webdojo.agents.checkpoint import Checkpoint, find_checkpoint
from webdojo.agents.engines.engine import Sampling
from webdojo.agents.engines.transformers_engine import TransformersEngine
from webdojo.agents.layouts.layout import Vision
from webdojo.agents.pictures import Pictures
from webdojo.agents.tiny_vision import drawn_screenshot, write_tiny_vision
from webdojo.envs.observation import Observation
from webdojo.training.rollouts.episode import EpisodeRequest
from webdojo.training.rollouts.held_pictures import HeldPictures, references
from webdojo.training.rollouts.pool import RolloutPool
from webdojo.training.rollouts.trajectory import Group, Trajectory, Turn
from webdojo.training.turn_rows import TurnRows

SIZE = (332, 214)
STEPS, GROUP, GROUPS = 3, 4, 4
CONTEXT, RESPONSE = 4096, 4
PAGE = '<button bid="1">Yes</button><button bid="2">No</button>'
LOOKS = 40


class EndlessTasks:
    """One task, a new seed each time."""

    def __init__(self) -> None:
        self.drawn = 0

    def draw(self) -> tuple[str, int]:
        """The next instance."""
        self.drawn += 1
        return "bench.page", self.drawn

    def record(self, task_id: str, success: float) -> None:
        """Nothing is learned from how it went."""

    def state_dict(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Nothing."""


class Run:
    """Rollouts and what stands for their learner."""

    def __init__(self, folder: Path) -> None:
        write_tiny_vision(folder / "policy")
        self.found: Checkpoint = find_checkpoint(str(folder / "policy"), vision=Vision(images=3))
        self.tokenizer = self.found.tokenizer()
        pictures = self.found.pictures(folder / "screenshots")
        seen_by_learner = self.found.pictures(folder / "screenshots")
        assert pictures is not None
        assert seen_by_learner is not None
        self.pictures: Pictures = pictures
        self.learner: Pictures = seen_by_learner
        model = self.found.model()
        self.weights = {name: value.clone() for name, value in model.state_dict().items()}
        self.rows = TurnRows.of(model.config, self.learner)
        self.engine = TransformersEngine(model, pictures=pictures, context_tokens=CONTEXT)
        self.held = HeldPictures(pictures)
        self.sent = self.pixels = self.encoded = self.trajectories = self.most_files = 0
        self.missing = 0.0

    async def episode(self, request: EpisodeRequest) -> Trajectory:
        """Look at some pages and answer to each."""
        sampling = Sampling(1.0, RESPONSE, request.seed)
        agent = PolicyAgent(
            self.engine, self.tokenizer, self.found.layout, sampling, CONTEXT, self.pictures
        )
        turns = []
        try:
            for step in range(STEPS):
                number = 1000 * request.seed + (10 * request.member + step if step else 0)
                seen = Observation(
                    goal=f"Answer {request.seed}.", url="about:blank", title="", pruned_html=PAGE,
                    screenshot=drawn_screenshot(number, SIZE), elapsed_steps=step, viewport=SIZE,
                )  # fmt: skip
                did = await agent.act(seen)
                turns.append(
                    Turn(did.prompt_ids, did.token_ids, did.logprobs, did.versions, did.action,
                         images=did.images)
                )  # fmt: skip
            played = Trajectory(
                request.episode_id, request.task_id, request.seed, request.group_id,
                request.member, tuple(turns), float(request.member % 2), "success",
            )  # fmt: skip
            self.held.finished(played)
            return played
        finally:
            self.pictures.release(agent.held)

    def learn(self, groups: list[Group]) -> None:
        """Find, compute and free the images of a batch that came through a queue."""
        message = pickle.dumps(groups)
        groups, counts = self.rows.whole(pickle.loads(message))  # our own bytes
        self.sent += len(message)
        self.missing += counts["images_missing"]
        for group in groups:
            for trajectory in group.trajectories:
                self.trajectories += 1
                for reference in references(trajectory):
                    (picture,) = self.learner.find([reference])
                    self.learner.pixels(picture)
                    self.encoded += (self.learner.store.folder / reference).stat().st_size
                    self.pixels += 3 * SIZE[0] * SIZE[1]
        self.rows.free()

    async def go(self, episodes: int) -> dict[str, Any]:
        """Play until so many episodes were learned from; gives the figures."""
        sizes: list[float] = []
        pool = RolloutPool(
            self.episode, EndlessTasks(), slots=16, groups_per_batch=GROUPS, group_size=GROUP,
            on_event=self.held.happened,
        )  # fmt: skip
        async with pool:
            batches = -(-episodes // (GROUP * GROUPS))
            for version in range(batches):
                self.learn(await pool.next_batch(version))
                if version % 10 == 0:
                    self.held.checkpoint()
                # The same weights under a new version: what was seen is forgotten and seen anew.
                await self.engine.update_weights(self.weights, version + 1)
                self.held.published()
                pool.set_version(version + 1)
                files = sum(1 for _ in self.pictures.store.folder.iterdir())
                self.most_files = max(self.most_files, files)
                if version % max(1, batches // LOOKS) == 0:
                    sizes.append(psutil.Process().memory_info().rss / (1 << 20))
                    print(f"{self.trajectories:6} episodes {sizes[-1]:8.1f} MiB, {files} files",
                          flush=True)  # fmt: skip
        await self.engine.close()
        settled = sizes[len(sizes) // 5 :]
        half = len(settled) // 2
        early, late = sum(settled[:half]) / half, sum(settled[half:]) / (len(settled) - half)
        each = self.trajectories
        return {
            "episodes": each,
            "screenshots_a_trajectory": STEPS,
            "queue_bytes_a_trajectory": round(self.sent / each),
            "pixel_bytes_a_trajectory": round(self.pixels / each),
            "jpeg_bytes_a_trajectory": round(self.encoded / each),
            "queue_to_pixels": f"1/{self.pixels / self.sent:.0f}",
            "images_missing": self.missing,
            "images_held_at_most": self.most_files,
            "mib_early": round(early, 1),
            "mib_late": round(late, 1),
            "growth_percent": round(100 * (late / early - 1), 2),
        }


def main() -> None:
    """Read the command line and print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--episodes", type=int, default=2000)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(asyncio.run(Run(Path(folder)).go(given.episodes))))


if __name__ == "__main__":
    main()
