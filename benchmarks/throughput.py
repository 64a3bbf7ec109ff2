"""Throughput of the engines, and what a refresh of the weights costs: ``--json`` for programs.

    python benchmarks/throughput.py --kinds text vision --engines transformers vllm
    python benchmarks/throughput.py --publish                # into benchmarks/results too

Episodes ask for a response again and again with prompts that share their beginning; responses have
a fixed length. With ``vision`` each prompt shows two screenshots of 332 × 214 pixels, those of this
step and of the one before; all episodes begin on the same page. Weights are random: what is drawn
does not matter for the time that it takes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import torch
from published import machine, publish
from safetensors.torch import save_model
from transformers import PreTrainedModel, Qwen2Config, Qwen2ForCausalLM

from webdojo.agents.checkpoint import find_checkpoint
from webdojo.agents.engines.engine import Sampling
from webdojo.agents.engines.folders import WEIGHTS, process_folder
from webdojo.agents.engines.transformers_engine import TransformersEngine
from webdojo.agents.engines.vllm_engine import VllmEngine
from webdojo.agents.pictures import Picture, Pictures
from webdojo.agents.tiny_vision import drawn_screenshot, tiny_model, write_tiny_vision
from webdojo.envs.screenshots import ScreenshotStore

VOCABULARY = 775
"""Of both models."""
SIZE = (332, 214)
START, END, PLACEHOLDER = 3, 4, 5
FIRST_WORD = 16
AnyEngine = TransformersEngine | VllmEngine


def main() -> None:
    """Measure each engine and print what was found."""
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    found: dict[str, Any] = {
        "machine": machine(),
        "threads": arguments.threads,
        "prompt_tokens": arguments.prompt,
        "shared_tokens": arguments.shared,
        "response_tokens": arguments.response,
        "kinds": {},
    }
    for kind in arguments.kinds:
        found["kinds"][kind] = {}
        for name in arguments.engines:
            # Files of weights lie in it as a learner publishes them.
            with process_folder(WEIGHTS) as folder:
                bench = Bench(kind, Path(folder), arguments)
                found["kinds"][kind][name] = asyncio.run(bench.measure(name))
    print(json.dumps(found) if arguments.json else shown(found))
    if arguments.publish:
        print(f"published: {publish('throughput', found)}", file=sys.stderr)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", nargs="+", default=["text", "vision"])
    parser.add_argument("--engines", nargs="+", default=["transformers", "vllm"])
    parser.add_argument("--concurrency", nargs="+", type=int, default=[1, 16, 64])
    parser.add_argument("--turns", type=int, default=4, help="responses that an episode asks for")
    parser.add_argument("--prompt", type=int, default=384, help="tokens of its text")
    parser.add_argument("--shared", type=int, default=256, help="of these, equal in all")
    parser.add_argument("--response", type=int, default=32)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--layers", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--publish", action="store_true", help="write benchmarks/results/throughput.json too"
    )
    return parser.parse_args()


@dataclass
class Bench:
    """One kind of prompts, and the model that takes them."""

    kind: str
    folder: Path
    arguments: argparse.Namespace
    pictures: Pictures | None = None
    shown: dict[int, Picture] = field(default_factory=dict)

    def model(self, seed: int = 0) -> PreTrainedModel:
        """A policy with random weights."""
        given = self.arguments
        shape = {
            "hidden_size": given.hidden,
            "intermediate_size": 5 * given.hidden // 2,
            "num_hidden_layers": given.layers,
            "num_attention_heads": given.hidden // 32,
            "num_key_value_heads": given.hidden // 32,
            "max_position_embeddings": 2048,
        }
        if self.kind == "vision":
            return tiny_model(seed, **shape)
        torch.manual_seed(seed)
        return Qwen2ForCausalLM(
            Qwen2Config(vocab_size=VOCABULARY, tie_word_embeddings=True, **shape)
        )

    async def measure(self, name: str) -> dict[str, Any]:
        """Rates at each concurrency, and the cost of a refresh."""
        arguments = self.arguments
        checkpoint = self.folder / "policy"
        options: dict[str, Any] = {
            "slots": max(arguments.concurrency),
            "threads": arguments.threads,
            "eos_token_ids": (),
        }
        if self.kind == "vision":
            write_tiny_vision(checkpoint)
            store = ScreenshotStore(self.folder / "screenshots")
            self.pictures = Pictures(store, find_checkpoint(str(checkpoint)).image_processor())
            options |= {"pictures": self.pictures, "images": 2}
        self.model().save_pretrained(checkpoint)
        began = time.perf_counter()
        engine: AnyEngine = (
            VllmEngine(checkpoint, **options)
            if name == "vllm"
            else TransformersEngine.from_pretrained(checkpoint, **options)
        )
        await engine.generate([FIRST_WORD] * 16, Sampling(max_tokens=4))
        found: dict[str, Any] = {"start_s": time.perf_counter() - began, "concurrent": {}}
        for count in arguments.concurrency:
            before = engine.counters
            began = time.perf_counter()
            await asyncio.gather(*(self.episode(engine, count, n) for n in range(count)))
            seconds = time.perf_counter() - began
            responses = count * arguments.turns
            after = engine.counters
            read = after.prefill_tokens - before.prefill_tokens
            shared = after.shared_prompt_tokens - before.shared_prompt_tokens
            found["concurrent"][count] = {
                "responses_per_s": responses / seconds,
                "tokens_per_s": responses * arguments.response / seconds,
                "shared_prompt_rate": shared / (read + shared),
            }
        found["refresh"] = await self.refresh(engine)
        await engine.close()
        return found

    async def episode(self, engine: AnyEngine, count: int, number: int) -> None:
        """Turns of one episode, one after the other."""
        given = self.arguments
        words = range(FIRST_WORD, VOCABULARY)
        shared = random.Random(count).choices(words, k=given.shared)
        rng = random.Random(f"{count}/{number}")
        for turn in range(given.turns):
            # The first page is every episode's; later ones are their own.
            pages = [
                self.screenshot(100_000 * count + (1000 * number + t if t else 0))
                for t in range(max(0, turn - 1), turn + 1)
            ]
            images = [page for page in pages if page is not None]
            ids = list(shared)
            for picture in images:
                ids += [START, *[PLACEHOLDER] * picture.tokens, END]
            ids += rng.choices(words, k=given.prompt - given.shared)
            sampling = Sampling(1.0, given.response, number * 100 + turn)
            await engine.generate(ids, sampling, images=[each.reference for each in images])

    def screenshot(self, seed: int) -> Picture | None:
        """A page of that number; None for text."""
        if self.pictures is None:
            return None
        if seed not in self.shown:
            self.shown[seed] = self.pictures.keep(drawn_screenshot(seed, SIZE))
        return self.shown[seed]

    async def refresh(self, engine: AnyEngine) -> dict[str, float]:
        """What updates cost, in seconds: medians of five under up to sixteen running responses.

        Weights come from a file, as in a run. ``copy_s`` is how long nothing is drawn because they
        are put in place, as the engine itself measures it, ``longest_stall_s`` the longest pause
        between two steps. ``decode_step_s`` is the usual pause of forty steps before the update,
        ``longest_step_s`` the longest, and ``beyond_s`` what of the stall is neither the copy nor
        that: the bar is that nothing is. Pauses are seen through the engine's counters, which is
        exact to a millisecond.
        """
        count = min(16, max(self.arguments.concurrency))
        running = []
        for n in range(count):
            ids, page = [FIRST_WORD + n] * 64, self.screenshot(n)
            if page is not None:
                ids += [START, *[PLACEHOLDER] * page.tokens, END]
            shown = [page.reference] if page is not None else []
            asked = engine.generate(ids, Sampling(1.0, 1800, n), images=shown)
            running.append(asyncio.create_task(asked))
        pauses: list[tuple[float, float]] = []

        async def watch() -> None:
            last, steps = time.perf_counter(), engine.counters.decode_steps
            while True:
                await asyncio.sleep(0.0005)
                now, seen = time.perf_counter(), engine.counters.decode_steps
                if seen != steps:
                    pauses.append((now, (now - last) / (seen - steps)))
                    last, steps = now, seen

        watching = asyncio.create_task(watch())
        files = [self.weights(seed) for seed in range(1, 6)]
        goal = engine.counters.decode_steps + 20
        while engine.counters.decode_steps < goal:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        found: dict[str, list[float]] = defaultdict(list)
        for version, file in enumerate(files, 1):
            calm = len(pauses)
            while len(pauses) < calm + 40:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            steps = [pause for _, pause in pauses[calm:]]
            began, swapped = time.perf_counter(), engine.counters.swap_s
            await engine.update_weights(file, version)
            found["refresh_s"].append(time.perf_counter() - began)
            after = len(pauses)
            while len(pauses) < after + 5:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            copy = engine.counters.swap_s - swapped
            stall = max(pause for when, pause in pauses if when >= began)
            for name, seconds in (
                ("copy_s", copy),
                ("decode_step_s", median(steps)),
                ("longest_step_s", max(steps)),
                ("longest_stall_s", stall),
                ("beyond_s", stall - copy - max(steps)),
            ):
                found[name].append(seconds)
        watching.cancel()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        return {name: median(values) for name, values in found.items()}

    def weights(self, seed: int) -> Path:
        """Other weights of the same policy, in a file."""
        file = self.folder / f"{seed}.safetensors"
        save_model(self.model(seed), str(file))
        return file


def shown(found: dict[str, Any]) -> str:
    """The figures as a table."""
    lines = [f"{'':7}{'engine':14}{'episodes':>9}{'responses/s':>13}{'tokens/s':>10}{'shared':>8}"]
    for kind, engines in found["kinds"].items():
        for name, figures in engines.items():
            for count, rate in figures["concurrent"].items():
                lines.append(
                    f"{kind:7}{name:14}{count:>9}{rate['responses_per_s']:>13.1f}"
                    f"{rate['tokens_per_s']:>10.0f}{rate['shared_prompt_rate']:>8.0%}"
                )
            cost = figures["refresh"]
            lines.append(
                f"{kind:7}{name:14} refresh {1000 * cost['refresh_s']:.1f} ms; longest stall"
                f" {1000 * cost['longest_stall_s']:.1f} ms, copy {1000 * cost['copy_s']:.1f},"
                f" decode step {1000 * cost['decode_step_s']:.1f},"
                f" {1000 * cost['longest_step_s']:.1f} at most;"
                f" beyond both {1000 * cost['beyond_s']:.1f}"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
