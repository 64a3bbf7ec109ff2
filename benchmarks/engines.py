"""Throughput of the engines, and what a refresh of the weights costs: ``--json`` for programs.

Episodes ask for a response again and again with prompts that share their beginning; responses have
a fixed length. Weights are random: what is drawn does not matter for the time that it takes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from webdojo.agents.engines.engine import Engine, Sampling
from webdojo.agents.engines.transformers_engine import TransformersEngine
from webdojo.agents.engines.vllm_engine import VllmEngine

VOCABULARY = 1024


def main() -> None:
    """Measure each engine and print what was found."""
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    found: dict[str, Any] = {
        "machine": platform.processor() or platform.machine(),
        "threads": arguments.threads,
        "prompt_tokens": arguments.prompt,
        "shared_tokens": arguments.shared,
        "response_tokens": arguments.response,
        "engines": {},
    }
    with tempfile.TemporaryDirectory() as folder:
        model(arguments.hidden, arguments.layers).save_pretrained(folder)
        for name in arguments.engines:
            found["engines"][name] = asyncio.run(measure(name, Path(folder), arguments))
    print(json.dumps(found) if arguments.json else shown(found))


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engines", nargs="+", default=["transformers", "vllm"])
    parser.add_argument("--concurrency", nargs="+", type=int, default=[1, 16, 64])
    parser.add_argument("--turns", type=int, default=4, help="responses that an episode asks for")
    parser.add_argument("--prompt", type=int, default=384)
    parser.add_argument("--shared", type=int, default=256, help="of a prompt, equal in all")
    parser.add_argument("--response", type=int, default=32)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--layers", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def model(hidden: int, layers: int, seed: int = 0) -> Qwen2ForCausalLM:
    """A policy with random weights."""
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=VOCABULARY, hidden_size=hidden, intermediate_size=5 * hidden // 2,
        num_hidden_layers=layers, num_attention_heads=hidden // 32,
        num_key_value_heads=hidden // 32, max_position_embeddings=1024, tie_word_embeddings=True,
    )  # fmt: skip
    return Qwen2ForCausalLM(config)


async def measure(name: str, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Rates at each concurrency, and the cost of a refresh."""
    options: dict[str, Any] = {
        "slots": max(arguments.concurrency),
        "threads": arguments.threads,
        "eos_token_ids": (),
    }
    began = time.perf_counter()
    engine: TransformersEngine | VllmEngine = (
        VllmEngine(folder, **options)
        if name == "vllm"
        else TransformersEngine.from_pretrained(folder, **options)
    )
    await engine.generate([5] * 16, Sampling(max_tokens=4))
    found: dict[str, Any] = {"start_s": time.perf_counter() - began, "concurrent": {}}
    for count in arguments.concurrency:
        began = time.perf_counter()
        await asyncio.gather(*(episode(engine, n, arguments) for n in range(count)))
        seconds = time.perf_counter() - began
        responses = count * arguments.turns
        found["concurrent"][count] = {
            "responses_per_s": responses / seconds,
            "tokens_per_s": responses * arguments.response / seconds,
        }
    found["refresh"] = await refresh(engine, arguments)
    await engine.close()
    return found


async def episode(engine: Engine, number: int, arguments: argparse.Namespace) -> None:
    """Turns of one episode, one after the other."""
    shared = random.Random(0).choices(range(4, VOCABULARY), k=arguments.shared)
    rng = random.Random(number + 1)
    for turn in range(arguments.turns):
        own = rng.choices(range(4, VOCABULARY), k=arguments.prompt - arguments.shared)
        await engine.generate(shared + own, Sampling(1.0, arguments.response, number * 100 + turn))


async def refresh(
    engine: TransformersEngine | VllmEngine, arguments: argparse.Namespace
) -> dict[str, float]:
    """Seconds that an update takes, and that the longest pause between two steps has, with it.

    Pauses are seen through the engine's counters, which is exact to a millisecond.
    """
    count = min(16, max(arguments.concurrency))
    running = [
        asyncio.create_task(engine.generate([5 + n] * 64, Sampling(1.0, 400, n)))
        for n in range(count)
    ]
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
    weights = model(arguments.hidden, arguments.layers, seed=1).state_dict()
    while engine.counters.decode_steps < 20:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.5)
    before = len(pauses)
    began = time.perf_counter()
    await engine.update_weights(weights, 1)
    took = time.perf_counter() - began
    await asyncio.sleep(0.2)
    watching.cancel()
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    usual = sorted(pause for _, pause in pauses[:before])
    return {
        "refresh_s": took,
        "longest_stall_s": max((pause for _, pause in pauses[before:]), default=took),
        "decode_step_s": usual[len(usual) // 2] if usual else 0.0,
    }


def shown(found: dict[str, Any]) -> str:
    """The figures as a table."""
    lines = [f"{'engine':14}{'episodes':>9}{'responses/s':>13}{'tokens/s':>10}"]
    for name, figures in found["engines"].items():
        for count, rate in figures["concurrent"].items():
            lines.append(
                f"{name:14}{count:>9}{rate['responses_per_s']:>13.1f}{rate['tokens_per_s']:>10.0f}"
            )
        refreshed = figures["refresh"]
        lines.append(
            f"{name:14} refresh {1000 * refreshed['refresh_s']:.0f} ms, longest stall"
            f" {1000 * refreshed['longest_stall_s']:.0f} ms, decode step"
            f" {1000 * refreshed['decode_step_s']:.0f} ms"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
