"""Logits in parts: the same numbers and gradients, and no more memory than the formula says."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

from webdojo.training import token_logprobs as module
from webdojo.training.token_logprobs import token_logprobs

# One thread: more only wait for one another on matrices of this size.
torch.set_num_threads(1)

SCRIPT = """
import json, random
from pathlib import Path

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from webdojo.training.config_files import parse_config
from webdojo.training.learner import Learner
from webdojo.training.memory_estimate import estimate_memory
from webdojo.training.model_shape import ModelShape
from webdojo.training.rollouts.trajectory import Group, Trajectory, Turn

torch.set_num_threads(1)
VOCABULARY, CONTEXT, RESPONSE, GROUP = {vocabulary}, {context}, 64, 8
model = Qwen2ForCausalLM(
    Qwen2Config(
        vocab_size=VOCABULARY, hidden_size=32, intermediate_size=32, num_hidden_layers={layers},
        num_attention_heads=2, num_key_value_heads=2, tie_word_embeddings=True,
        max_position_embeddings=4096,
    )
)
total = sum(p.numel() for p in model.parameters())
shape = ModelShape({layers}, 32, 32, 2, 2, 16, VOCABULARY, total)
config = parse_config(
    {{
        "policy": {{"context_tokens": CONTEXT, "max_response_tokens": RESPONSE}},
        "learner": {{"micro_batch_tokens": {tokens}, "sequence_tokens": {sequence}}},
        "rollout": {{"group_size": GROUP}},
    }},
    "test",
)
learner = Learner(model, config.learner.whole())
rng = random.Random(0)


def draw(length):
    return tuple(rng.randrange(VOCABULARY) for _ in range(length))


def group(number, prompt, response):
    page = draw(prompt)
    turns = [
        Turn(page, draw(response), (-10.0,) * response, (0,) * response, "") for _ in range(GROUP)
    ]
    members = [
        Trajectory(f"{{number}}-{{m}}", "t", 0, number, m, (turn,), float(m % 2), "success")
        for m, turn in enumerate(turns)
    ]
    return Group(number, "t", 0, tuple(members))


def kilobytes(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])


# Gradients and the optimiser's means are there from the first step on.
learner.update([group(0, 20, 2)], version=0)
groups = [group(number, CONTEXT - RESPONSE, RESPONSE) for number in range({groups})]
Path("/proc/self/clear_refs").write_text("5")
before = kilobytes("VmRSS")
learner.update(groups, version=0)
peak = 1024 * (kilobytes("VmHWM") - before)
memory = estimate_memory(config, shape)
print(json.dumps([peak, memory.activations + memory.gradients]))
"""


def of_head(parts: int) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Log-probabilities, entropies and gradients, where logits are computed in so many parts."""
    torch.manual_seed(0)
    head = nn.Linear(6, 11, bias=False)
    hidden = torch.randn(12, 6, requires_grad=True)
    predictors = torch.tensor([7, 3, 3, 11, 0, 1, 2, 4, 5, 6, 8, 9, 10, 7])
    targets = torch.arange(14) % 10
    assert -(-12 // max(1, module.LOGITS_AT_ONCE // 11)) == parts
    logprobs, entropies = token_logprobs(
        head,
        hidden,
        predictors,
        targets,
        temperature=0.7,
        banned_token_ids=(10,),
        entropy_gradient=True,
    )
    weights = torch.linspace(-9, 9, 14)
    loss = (logprobs * weights).sum() + (entropies * weights.flip(0)).sum()
    return logprobs, entropies, list(torch.autograd.grad(loss, [head.weight, hidden]))


@pytest.mark.parametrize(("at_once", "parts"), [(1, 12), (33, 4), (60, 3)])
def test_parts_give_what_the_whole_gives(
    monkeypatch: pytest.MonkeyPatch, at_once: int, parts: int
) -> None:
    logprobs, entropies, gradients = of_head(1)
    monkeypatch.setattr(module, "LOGITS_AT_ONCE", at_once)
    found, found_entropies, found_gradients = of_head(parts)
    torch.testing.assert_close(found, logprobs, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(found_entropies, entropies, atol=1e-6, rtol=1e-6)
    for ours, theirs in zip(found_gradients, gradients, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def measured(**settings: int) -> tuple[int, int]:
    """Bytes that an update takes at its peak, and those of the formula."""
    code = SCRIPT.format(**{"layers": 1, **settings})
    # What is freed is given back at once: glibc would keep blocks of up to 32 MB for later.
    env = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "131072"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    peak, formula = json.loads(done.stdout.splitlines()[-1])
    return peak, formula


@pytest.mark.slow
@pytest.mark.parametrize("tokens", [2048, 8192])
def test_an_update_takes_what_the_formula_says(tokens: int) -> None:
    """Below and above the logits that are computed at once: of 8192 tokens they would be twice."""
    peak, formula = measured(
        vocabulary=32_000, context=512, tokens=tokens, sequence=1024, groups=tokens // 512
    )
    assert 0.75 * formula < peak < 1.15 * formula


@pytest.mark.slow
@pytest.mark.parametrize("groups", [1, 40])
def test_an_update_of_many_micro_batches_takes_the_memory_of_one(groups: int) -> None:
    """A group fills a micro-batch: 40 masks at once would be 260 MB, one a layer 100 MB."""
    peak, formula = measured(
        layers=4, vocabulary=1000, context=2048, tokens=2560, sequence=2560, groups=groups
    )
    # Of a row Python itself has its tokens, marks, keys and places: 8 bytes each.
    rows = groups * 8 * 4 * 8 * 2048
    assert peak < 1.15 * formula + rows
