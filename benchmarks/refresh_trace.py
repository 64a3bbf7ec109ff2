"""What a refresh does to running responses: a trace of a real engine, drawn as an SVG.

    python benchmarks/refresh_trace.py             # figures of five traces
    python benchmarks/refresh_trace.py --publish   # the picture and the raw traces of the docs too

Eight responses are drawn by the ``transformers`` engine while new weights come. Every stroke is a
token, at the time at which it was drawn, in the colour of the version that drew it. ``waited_ms``
is what an episode waits beyond the copy of the weights and the usual pause between two tokens.
--publish draws the trace in which that is median into docs/pictures/refresh.svg, and writes all of
them to benchmarks/results/refresh.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import torch
from published import publish, write_whole
from transformers import Qwen2Config, Qwen2ForCausalLM

from webdojo.agents.engines.engine import Sampling
from webdojo.agents.engines.transformers_engine import TransformersEngine

RESPONSES, TOKENS, GAP_S = 8, 90, 0.02
WIDTH, ROW, LEFT, TOP = 760, 20, 90, 34
COLOURS = ("#1565c0", "#d81b60")
PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "refresh.svg"


def model(seed: int) -> Qwen2ForCausalLM:
    """A policy with random weights, as large as the shipped one."""
    torch.manual_seed(seed)
    return Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=1024, hidden_size=128, intermediate_size=320, num_hidden_layers=5,
            num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=1024,
            tie_word_embeddings=True,
        )
    )  # fmt: skip


async def trace() -> tuple[list[list[tuple[float, int]]], tuple[float, float], float]:
    """Time (ms) and version of each token of each response, when the refresh was, and its copy."""
    engine = TransformersEngine(model(0), slots=RESPONSES, eos_token_ids=(), threads=1)
    await engine.generate([7] * 64, Sampling(max_tokens=20))
    fresh = model(1).state_dict()
    begun = time.perf_counter()

    async def respond(number: int) -> list[tuple[float, int]]:
        await asyncio.sleep(GAP_S * number)
        drawn_at: list[float] = []

        def note(_: Sequence[int]) -> None:
            drawn_at.append(1000 * (time.perf_counter() - begun))

        prompt = [11 + number] * 128
        drawn = await engine.generate(prompt, Sampling(1.0, TOKENS, number), note)
        return list(zip(drawn_at, drawn.versions, strict=True))

    responses = [asyncio.create_task(respond(number)) for number in range(RESPONSES)]
    goal = engine.counters.drawn_tokens + RESPONSES * TOKENS // 2
    while engine.counters.drawn_tokens < goal:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    asked = 1000 * (time.perf_counter() - begun)
    await engine.update_weights(fresh, 1)
    served = 1000 * (time.perf_counter() - begun)
    found = [await response for response in responses]
    await engine.close()
    return found, (asked, served), 1000 * engine.counters.swap_s


def draw(rows: list[list[tuple[float, int]]], refresh: tuple[float, float]) -> str:
    """The trace as an SVG."""
    end = max(row[-1][0] for row in rows)
    height = TOP + ROW * len(rows) + 40

    def x(ms: float) -> float:
        return LEFT + (WIDTH - LEFT - 10) * ms / end

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
        ' font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<rect x="{x(refresh[0]):.1f}" y="{TOP - 6}" width="{x(refresh[1]) - x(refresh[0]):.1f}"'
        f' height="{ROW * len(rows) + 8}" fill="#ffe082"/>',
        f'<text x="{x(refresh[0]):.1f}" y="{TOP - 12}" text-anchor="middle">new weights:'
        f" {refresh[1] - refresh[0]:.1f} ms</text>",
    ]
    for number, row in enumerate(rows):
        top = TOP + ROW * number
        parts.append(f'<text x="8" y="{top + 12}" fill="#37474f">response {number + 1}</text>')
        parts += [
            f'<rect x="{x(ms):.1f}" y="{top}" width="2" height="{ROW - 6}"'
            f' fill="{COLOURS[version]}"/>'
            for ms, version in row
        ]
    base = TOP + ROW * len(rows) + 16
    parts += [
        f'<text x="{LEFT}" y="{base}" fill="#37474f">0 ms</text>',
        f'<text x="{WIDTH - 10}" y="{base}" text-anchor="end" fill="#37474f">{end:.0f} ms</text>',
    ]
    for version, colour in enumerate(COLOURS):
        left = LEFT + 180 + 170 * version
        parts.append(f'<rect x="{left}" y="{base - 9}" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{left + 16}" y="{base}">drawn by version {version}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def figures(
    rows: list[list[tuple[float, int]]], refresh: tuple[float, float], copy_ms: float
) -> dict[str, Any]:
    """What one trace shows, in ms."""
    pauses = [b[0] - a[0] for row in rows for a, b in pairwise(row)]
    same = [b[0] - a[0] for row in rows for a, b in pairwise(row) if a[1] == b[1]]
    over = [b[0] - a[0] for row in rows for a, b in pairwise(row) if a[1] != b[1]]
    return {
        "refresh_ms": round(refresh[1] - refresh[0], 2),
        "copy_ms": round(copy_ms, 2),
        "pause_ms_median": round(median(pauses), 2),
        "pause_ms_longest_otherwise": round(max(same), 2),
        "pause_ms_over_the_refresh": round(max(over), 2),
        "waited_ms": round(max(over) - copy_ms - median(pauses), 2),
        "responses_with_both_versions": len(over),
    }


def main() -> None:
    """Trace, print what was seen, and draw it if that is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--traces", type=int, default=5)
    parser.add_argument(
        "--publish", action="store_true", help="write the picture and the raw traces of the docs"
    )
    given = parser.parse_args()
    if given.traces < 1:
        parser.error("--traces takes 1 or more")
    torch.set_num_threads(1)
    traces = [asyncio.run(trace()) for _ in range(given.traces)]
    seen = [figures(*each) for each in traces]
    for each in seen:
        print(json.dumps(each))
    if not given.publish:
        return
    drawn = sorted(range(len(seen)), key=lambda n: seen[n]["waited_ms"])[len(seen) // 2]
    rows, refresh, _ = traces[drawn]
    write_whole(PICTURE, draw(rows, refresh))
    raw = [
        {
            **told,
            "asked_ms": round(asked, 2),
            "served_ms": round(served, 2),
            "token_ms": [[round(ms, 2) for ms, _ in row] for row in rows],
            "tokens_of_version_0": [sum(v == 0 for _, v in row) for row in rows],
        }
        for told, (rows, (asked, served), _) in zip(seen, traces, strict=True)
    ]
    print(f"published: {PICTURE}, {publish('refresh', {'drawn': drawn, 'traces': raw})}")


if __name__ == "__main__":
    main()
