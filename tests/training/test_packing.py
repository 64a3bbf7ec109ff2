"""Packed rows must give what each row gives alone: log-probabilities, entropies and gradients."""

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from webdojo.training.packed_batch import (
    PackedBatch,
    response_logprobs,
    response_logprobs_and_entropies,
)
from webdojo.training.packing import Row, pack

# One thread: more only wait for one another on matrices of this size.
torch.set_num_threads(1)

SHAPE = {
    "vocab_size": 53,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.2,
}


def tiny_model(family="qwen2", attention="sdpa"):
    torch.manual_seed(0)
    if family == "qwen2":
        config = Qwen2Config(**SHAPE, attn_implementation=attention)
        return Qwen2ForCausalLM(config).eval()
    return LlamaForCausalLM(LlamaConfig(**SHAPE, attn_implementation=attention)).eval()


MODELS = {
    ("qwen2", "sdpa"): tiny_model(),
    ("qwen2", "eager"): tiny_model(attention="eager"),
    ("llama", "sdpa"): tiny_model("llama"),
}


def alone(model, row: Row, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities and entropies of a row's trained tokens, by an ordinary forward."""
    ids = torch.tensor([row.token_ids])
    logprobs = torch.log_softmax(model(input_ids=ids).logits[0].float() / temperature, -1)
    places = torch.tensor([t for t, trained in enumerate(row.trained) if trained])
    chosen = logprobs[places - 1, ids[0, places]]
    return chosen, -(logprobs.exp() * logprobs).sum(-1)[places - 1]


def by_row(batches: list[PackedBatch], values: list[torch.Tensor]) -> dict[int, torch.Tensor]:
    """Group flat values by the row they belong to."""
    found: dict[int, torch.Tensor] = {}
    for batch, flat in zip(batches, values, strict=True):
        for row in batch.rows:
            assert row not in found
            found[row] = flat[batch.token_rows == row]
    return found


def family_rows(seed: int, groups=3, members=4, prompt=30, response=6) -> list[Row]:
    """Groups whose members share a prompt, shuffled."""
    rng = random.Random(seed)

    def draw(length):
        return tuple(rng.randrange(SHAPE["vocab_size"]) for _ in range(length))

    rows = []
    for _ in range(groups):
        shared = draw(prompt)
        rows += [Row.of(shared, draw(rng.randint(1, response))) for _ in range(members)]
    rng.shuffle(rows)
    return rows


@st.composite
def random_tries(draw):
    """Rows that branch off one another at random depths, with random tokens trained on."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    rows: list[Row] = []
    for _ in range(draw(st.integers(1, 12))):
        stem = ()
        if rows and rng.random() < 0.8:
            parent = rng.choice(rows).token_ids
            stem = parent[: rng.randint(0, len(parent))]
        # Two letters only, so that accidental common beginnings are frequent.
        ids = (*stem, *(rng.randrange(2) for _ in range(rng.randint(1, 20))))
        rows.append(Row(ids, (False, *(rng.random() < 0.4 for _ in ids[1:]))))
    return rows


@pytest.mark.parametrize("key", MODELS, ids="-".join)
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_packed_equals_row_by_row(key, temperature):
    model = MODELS[key]
    rows = family_rows(1)
    batches = pack(rows, max_tokens=100, sequence_tokens=45, min_shared=16)
    assert len(batches) > 1
    with torch.no_grad():
        results = [response_logprobs_and_entropies(model, b, temperature) for b in batches]
        logprobs = by_row(batches, [r[0] for r in results])
        entropies = by_row(batches, [r[1] for r in results])
        for i, row in enumerate(rows):
            expected, expected_entropy = alone(model, row, temperature)
            torch.testing.assert_close(logprobs[i], expected, atol=1e-5, rtol=0)
            torch.testing.assert_close(entropies[i], expected_entropy, atol=1e-5, rtol=0)


@settings(max_examples=40, deadline=None)
@given(
    rows=random_tries(),
    min_shared=st.integers(1, 20),
    sequence_tokens=st.sampled_from([8, 40, 120]),
    max_tokens=st.sampled_from([1, 30, 250, 400]),
)
def test_random_tries_equal_row_by_row(rows, min_shared, sequence_tokens, max_tokens):
    model = MODELS["qwen2", "sdpa"]
    batches = pack(
        rows, max_tokens=max_tokens, sequence_tokens=sequence_tokens, min_shared=min_shared
    )
    with torch.no_grad():
        found = by_row(batches, [response_logprobs(model, b) for b in batches])
        assert set(found) == {i for i, row in enumerate(rows) if any(row.trained)}
        for i, values in found.items():
            torch.testing.assert_close(values, alone(model, rows[i], 1.0)[0], atol=1e-5, rtol=0)
    marked = [zip(row.token_ids, row.trained, strict=True) for row in rows]
    tokens = [token for row in marked for token, trained in row if trained]
    longest = max((len(row.input_ids) for row in rows), default=0)
    for batch in batches:
        assert batch.input_ids.numel() <= max(max_tokens, longest)
        assert [tokens[i] for i in batch.token_indices] == batch.targets.tolist()
    places = [i for batch in batches for i in batch.token_indices.tolist()]
    assert sorted(places) == list(range(len(tokens)))


@pytest.mark.parametrize("family", ["qwen2", "llama"])
def test_gradients_equal_row_by_row(family):
    model = MODELS[family, "sdpa"]
    rows = family_rows(2)
    weights = torch.linspace(-1, 1, len(rows))

    def gradients(loss):
        return torch.autograd.grad(loss, list(model.parameters()))

    batches = pack(rows, max_tokens=300, sequence_tokens=80, min_shared=16)
    packed = sum((response_logprobs(model, b) * weights[b.token_rows]).sum() for b in batches)
    unpacked = sum(
        (alone(model, row, 1.0)[0] * w).sum() for row, w in zip(rows, weights, strict=True)
    )
    for ours, theirs in zip(gradients(packed), gradients(unpacked), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_the_entropy_has_its_own_gradient_only_if_asked_for():
    model = MODELS["qwen2", "sdpa"]
    (batch,) = pack([Row.of([1, 2, 3], [4, 5])], max_tokens=100)
    assert not response_logprobs_and_entropies(model, batch)[1].requires_grad
    _, entropies = response_logprobs_and_entropies(model, batch, entropy_gradient=True)
    weight = model.lm_head.weight
    (ours,) = torch.autograd.grad(entropies.sum(), weight)
    (theirs,) = torch.autograd.grad(alone(model, Row.of([1, 2, 3], [4, 5]), 1.0)[1].sum(), weight)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


def test_a_shared_prompt_is_stored_once():
    rows = [Row.of(range(40), [i] * 5) for i in range(8)]
    (batch,) = pack(rows, max_tokens=512, min_shared=16)
    assert batch.input_ids.shape == (1, 40 + 8 * 4)
    assert batch.row_tokens == 8 * 44
    assert batch.tokens == 8 * 5
    # The last token of a response predicts nothing, so it is not read. The eight first tokens
    # have one predictor: the last token of the prompt.
    assert batch.predictors.unique().numel() == 1 + 8 * 4


def test_identical_rows_cost_one():
    (batch,) = pack([Row.of(range(20), [1, 2])] * 3, max_tokens=100, min_shared=16)
    assert batch.input_ids.shape == (1, 21)
    assert batch.token_rows.tolist() == [0, 0, 1, 1, 2, 2]


def test_a_beginning_below_the_threshold_is_not_shared():
    rows = [Row.of(range(10), [1, 1]), Row.of(range(10), [2, 2])]
    assert pack(rows, max_tokens=100, min_shared=11)[0].input_ids.numel() == 22
    assert pack(rows, max_tokens=100, min_shared=10)[0].input_ids.numel() == 12


def test_long_prompts_are_shared_beyond_the_usual_sequence():
    rows = [Row.of([i % 50 for i in range(100)], [i] * 5) for i in range(8)]
    (batch,) = pack(rows, max_tokens=1000, sequence_tokens=40)
    assert batch.input_ids.shape == (1, 100 + 8 * 4)


def test_a_branch_does_not_see_its_siblings():
    rows = [Row.of(range(20), [5, 5, 5]), Row.of(range(20), [6, 6, 6])]
    (batch,) = pack(rows, max_tokens=100, min_shared=16)
    mask = batch.attention_mask[0, 0]
    assert not mask[22:24, 20:22].any()
    assert mask[23, :20].all()
    assert batch.position_ids[0, 20:].tolist() == [20, 21, 20, 21]


def test_padding_stays_small_for_mixed_lengths():
    rng = random.Random(0)
    rows = [
        Row.of([rng.randrange(50) for _ in range(rng.randint(20, 300))], [1]) for _ in range(100)
    ]
    batches = pack(rows, max_tokens=2048)
    padded = sum(b.input_ids.numel() for b in batches)
    assert padded <= 1.2 * sum(b.row_tokens for b in batches)


def test_banned_tokens_have_no_probability():
    model = MODELS["qwen2", "sdpa"]
    (batch,) = pack([Row.of([1, 2, 3], [4])], max_tokens=100)
    ids = torch.tensor([[1, 2, 3]])
    with torch.no_grad():
        logits = model(input_ids=ids).logits[0, -1].float()
        logits[[7, 9]] = -torch.inf
        expected = torch.log_softmax(logits, -1)[4]
        logprobs, entropies = response_logprobs_and_entropies(model, batch, banned_token_ids=[7, 9])
    torch.testing.assert_close(logprobs[0], expected)
    assert entropies.isfinite().all()


def test_rows_without_trained_tokens_are_left_out():
    assert pack([Row.of([1, 2], [])], max_tokens=10) == []
    assert pack([], max_tokens=10) == []


def test_a_row_above_the_limit_is_read_by_itself():
    rows = [Row.of([1, 2], [3]), *(Row.of(range(i, i + 10), [1, 2, 3]) for i in (10, 30))]
    batches = pack(rows, max_tokens=1)
    assert sorted(i for batch in batches for i in batch.rows) == [0, 1, 2]
    assert max(batch.input_ids.numel() for batch in batches) == 12
    model = MODELS["qwen2", "sdpa"]
    with torch.no_grad():
        found = by_row(batches, [response_logprobs(model, b) for b in batches])
        for i, row in enumerate(rows):
            torch.testing.assert_close(found[i], alone(model, row, 1.0)[0], atol=1e-5, rtol=0)


def test_bad_rows_are_refused_with_the_way_out():
    with pytest.raises(ValueError, match="one mark a token"):
        Row((1, 2), (False,))
    with pytest.raises(ValueError, match="at least one prompt token"):
        Row.of([], [1])


def test_a_sliding_window_shorter_than_the_sequence_is_refused():
    config = Qwen2Config(**SHAPE, use_sliding_window=True, sliding_window=16, max_window_layers=0)
    (batch,) = pack([Row.of(range(20), [1])], max_tokens=100)
    with pytest.raises(ValueError, match="slides over 16 tokens"):
        response_logprobs(Qwen2ForCausalLM(config), batch)
