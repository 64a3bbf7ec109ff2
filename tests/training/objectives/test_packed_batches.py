"""The learner's loop: one batch through a model, packed in several ways, has one loss."""

import random

import pytest
import torch
from random_batches import table
from transformers import Qwen2Config, Qwen2ForCausalLM

from webdojo.training.objectives.config import ObjectiveConfig
from webdojo.training.objectives.objective import prepare, surrogate
from webdojo.training.packed_batch import response_logprobs
from webdojo.training.packing import Row, pack


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=29,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=128,
        initializer_range=0.3,
    )
    return Qwen2ForCausalLM(config).eval()


@pytest.mark.parametrize("name", ["asyncwebrl", "multi_step_grpo", "gspo", "ctpo"])
def test_any_packing_gives_the_same_loss_and_gradient(model, name):
    config = ObjectiveConfig.from_preset(name)
    rng = random.Random(0)
    lengths = [[3, 5, 2], [4, 1, 6, 2], [7], [2, 2]]
    batch = table([[(float(i % 2), counts) for i, counts in enumerate(lengths)]])
    prompts = [[rng.randrange(29) for _ in range(20)] for _ in range(4)]
    rows = [
        Row.of(prompts[turn], [rng.randrange(29) for _ in range(tokens)])
        for counts in lengths
        for turn, tokens in enumerate(counts)
    ]
    weights, advantages = prepare(batch, config)

    alone = pack(rows, max_tokens=64, min_shared=1000, sequence_tokens=1)
    behaviour = torch.empty(batch.token_count)
    with torch.no_grad():
        for packed in alone:
            behaviour[batch.tokens_of(packed.rows)] = response_logprobs(model, packed)
    generator = torch.Generator().manual_seed(1)
    proximal = behaviour + 0.3 * torch.randn(batch.token_count, generator=generator)
    behaviour = proximal + 0.3 * torch.randn(batch.token_count, generator=generator)

    def loss_and_gradient(batches):
        model.zero_grad()
        total = 0.0
        for packed in batches:
            at = batch.tokens_of(packed.rows)
            loss, _ = surrogate(
                response_logprobs(model, packed),
                config,
                proximal=proximal[at],
                behaviour=behaviour[at],
                advantages=advantages[at],
                weights=weights[at],
                token_rows=packed.token_rows,
            )
            loss.backward()
            total += float(loss.detach())
        return total, torch.cat([p.grad.flatten() for p in model.parameters()])

    expected, gradient = loss_and_gradient(alone)
    assert gradient.norm() > 1e-3
    for options in (
        {"max_tokens": 400, "min_shared": 4},
        {"max_tokens": 90, "min_shared": 4},
        {"max_tokens": 400, "min_shared": 1000},
    ):
        batches = pack(rows, **options)
        assert len(batches) < len(alone)
        found, found_gradient = loss_and_gradient(batches)
        # The model computes in float32.
        assert found == pytest.approx(expected, abs=1e-6)
        torch.testing.assert_close(found_gradient, gradient, atol=1e-5, rtol=1e-3)
