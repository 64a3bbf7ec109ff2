"""The embedded engine, on a tiny random Qwen2: what it draws, when weights change, how it ends."""

import asyncio
import random
import threading

import pytest
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from webdojo.agents.engines import kept_copies
from webdojo.agents.engines.adapters import Adapters, write_adapters
from webdojo.agents.engines.engine import Sampling
from webdojo.agents.engines.kept_copies import copied
from webdojo.agents.engines.transformers_engine import TransformersEngine
from webdojo.agents.engines.weights import checksum

# One thread: more only wait for one another on matrices of this size.
torch.set_num_threads(1)

VOCABULARY = 61
EOS = 3


def tiny_model(seed=0, attention="sdpa", tie=False):
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=400,
        initializer_range=0.3,
        tie_word_embeddings=tie,
        attn_implementation=attention,
    )
    model = Qwen2ForCausalLM(config).eval()
    model.generation_config.eos_token_id = EOS
    return model


def prompts(count, seed=0, shortest=2, longest=40):
    rng = random.Random(seed)
    return [
        tuple(rng.randrange(4, VOCABULARY) for _ in range(rng.randint(shortest, longest)))
        for _ in range(count)
    ]


def teacher_forced(model, prompt, response, temperature):
    """Log-probabilities of a response by one ordinary forward pass."""
    ids = torch.tensor([[*prompt, *response]])
    with torch.no_grad():
        logits = model(input_ids=ids).logits[0, len(prompt) - 1 : -1].float()
    logprobs = torch.log_softmax(logits / temperature, -1)
    return logprobs.gather(-1, torch.tensor(response)[:, None])[:, 0]


@pytest.fixture
async def engine():
    engine = TransformersEngine(tiny_model(), slots=16, threads=1)
    yield engine
    await engine.close()


async def until_drawn(engine, tokens):
    """Wait until the engine has drawn so many more tokens."""
    goal = engine.counters.drawn_tokens + tokens
    while engine.counters.drawn_tokens < goal:  # noqa: ASYNC110
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
async def test_greedy_equals_generate(attention):
    model = tiny_model(attention=attention)
    engine = TransformersEngine(tiny_model(attention=attention), slots=8)
    texts = prompts(12)
    found = await asyncio.gather(
        *(engine.generate(p, Sampling(temperature=0, max_tokens=30)) for p in texts)
    )
    await engine.close()
    for prompt, completion in zip(texts, found, strict=True):
        expected = model.generate(
            torch.tensor([prompt]), max_new_tokens=30, do_sample=False, pad_token_id=0
        )[0, len(prompt) :].tolist()
        assert list(completion.token_ids) == expected
        assert completion.finished == (expected[-1] == EOS)
        assert completion.logprobs == (0.0,) * len(expected)


async def test_draws_follow_the_distribution(engine):
    prompt = prompts(1, seed=4)[0]
    count = 4000
    found = await asyncio.gather(
        *(engine.generate(prompt, Sampling(max_tokens=1, seed=s)) for s in range(count))
    )
    with torch.no_grad():
        logits = tiny_model()(input_ids=torch.tensor([prompt])).logits[0, -1]
    expected = torch.softmax(logits, -1) * count
    seen = torch.bincount(
        torch.tensor([c.token_ids[0] for c in found]), minlength=VOCABULARY
    ).float()
    often = expected >= 5
    chi2 = ((seen - expected)[often] ** 2 / expected[often]).sum()
    # The seeds are fixed, so this is one sure outcome; its mean would be about often.sum().
    assert chi2 < often.sum() + 4 * (2 * often.sum()) ** 0.5


async def test_equal_prompts_share_one_prefill(engine):
    prompt = prompts(1, seed=5, shortest=30)[0]
    await asyncio.gather(
        *(engine.generate(prompt, Sampling(max_tokens=40, seed=s)) for s in range(8))
    )
    counters = engine.counters
    assert counters.prefill_tokens + counters.shared_prompt_tokens == 8 * len(prompt)
    assert counters.prefill_tokens == len(prompt)


async def test_a_prompt_that_begins_like_another_is_computed_from_where_it_differs(engine):
    """Eight episodes of four turns, whose prompts keep the page and grow at the end."""
    model, page = tiny_model(), prompts(1, seed=5, shortest=40)[0]

    async def episode(member):
        history, turns = (), []
        for turn in range(4):
            prompt = (*page, *history, 4 + turn)
            sampling = Sampling(max_tokens=12, seed=10 * member + turn)
            completion = await engine.generate(prompt, sampling)
            turns.append((prompt, completion))
            history += completion.token_ids
        return turns

    episodes = await asyncio.gather(*(episode(m) for m in range(8)))
    total = 0
    for prompt, completion in (turn for turns in episodes for turn in turns):
        expected = teacher_forced(model, prompt, completion.token_ids, 1.0)
        torch.testing.assert_close(torch.tensor(completion.logprobs), expected, atol=1e-4, rtol=0)
        total += len(prompt)
    counters = engine.counters
    assert counters.prefill_tokens + counters.shared_prompt_tokens == total
    # The page once, and for each later turn at most what was added since the last.
    assert counters.prefill_tokens <= len(page) + 1 + 8 * 3 * 14


async def test_keys_and_values_of_old_weights_are_not_shared_with_new_requests(engine):
    prompt, new = prompts(1, seed=5, shortest=40)[0], tiny_model(seed=2)
    await engine.generate(prompt, Sampling(max_tokens=5))
    running = asyncio.create_task(engine.generate(prompt, Sampling(max_tokens=300, seed=3)))
    await until_drawn(engine, 3)
    await engine.update_weights(new.state_dict(), 0)  # The same number: it is not relied upon.
    completion = await engine.generate(prompt, Sampling(max_tokens=10, seed=4))
    expected = teacher_forced(new, prompt, completion.token_ids, 1.0)
    torch.testing.assert_close(torch.tensor(completion.logprobs), expected, atol=1e-4, rtol=0)
    await running


async def test_a_checkpoint_folder_is_served_as_saved(tmp_path):
    model = tiny_model()
    model.save_pretrained(tmp_path)
    engine = TransformersEngine.from_pretrained(tmp_path, version=3)
    completion = await engine.generate([5, 6], Sampling(max_tokens=20, seed=1))
    expected = teacher_forced(model, (5, 6), completion.token_ids, 1.0)
    torch.testing.assert_close(torch.tensor(completion.logprobs), expected, atol=1e-4, rtol=0)
    assert set(completion.versions) == {3}
    await engine.close()


def _waits(for_it, drawn):
    """A constraint that lets anything come, but no second token before something has happened."""
    assert not drawn or for_it.wait(60)


async def test_a_call_cancelled_in_the_queue_is_never_computed():
    engine = TransformersEngine(tiny_model(), slots=1, eos_token_ids=())
    is_over = threading.Event()
    first = asyncio.create_task(
        engine.generate([5, 6], Sampling(max_tokens=2), lambda drawn: _waits(is_over, drawn))
    )
    await until_drawn(engine, 1)
    queued = asyncio.create_task(engine.generate([7] * 30, Sampling()))
    await asyncio.sleep(0)
    queued.cancel()
    with pytest.raises(asyncio.CancelledError):
        await queued
    is_over.set()
    await first
    await engine.generate([8], Sampling(max_tokens=1))
    assert engine.counters.prefill_tokens == 2 + 1
    await engine.close()


@pytest.mark.parametrize("temperature", [0.0, 1.0])
async def test_a_constraint_decides_what_may_come_next(engine, temperature):
    """Only the two sequences 10 20 30 and 10 21 can be drawn."""
    follow = {(): [10], (10,): [20, 21], (10, 20): [30]}
    seen = set()
    for seed in range(12):
        completion = await engine.generate(
            [5, 6],
            Sampling(temperature, max_tokens=5, seed=seed),
            constraint=lambda drawn: follow.get(tuple(drawn), [EOS]),
        )
        assert completion.finished
        seen.add(completion.token_ids[:-1])
        assert completion.logprobs[0] == pytest.approx(0, abs=1e-6)
    assert seen == {(10, 20, 30), (10, 21)} if temperature else len(seen) == 1


async def test_a_constraint_that_fails_costs_its_own_request(engine):
    def broken(drawn):
        raise KeyError("no rule")

    good = asyncio.create_task(engine.generate([5], Sampling(max_tokens=40)))
    with pytest.raises(KeyError, match="no rule"):
        await engine.generate([5], Sampling(), constraint=broken)
    with pytest.raises(ValueError, match="allows no token"):
        await engine.generate([5], Sampling(), constraint=lambda drawn: [])
    assert (await good).token_ids


async def test_many_requests_at_once_each_get_their_own_answer(engine):
    texts = prompts(200, seed=12)
    found = await asyncio.gather(
        *(engine.generate(p, Sampling(max_tokens=1 + i % 9, seed=i)) for i, p in enumerate(texts))
    )
    model = tiny_model()
    for i, (prompt, completion) in enumerate(zip(texts, found, strict=True)):
        assert len(completion.token_ids) <= 1 + i % 9
        assert completion.finished == (completion.token_ids[-1] == EOS)
        expected = teacher_forced(model, prompt, completion.token_ids, 1.0)
        torch.testing.assert_close(torch.tensor(completion.logprobs), expected, atol=1e-4, rtol=0)


async def test_the_event_loop_stays_free_while_the_engine_decodes(engine):
    running = asyncio.create_task(engine.generate([5], Sampling(max_tokens=300, seed=5)))
    turns = 0
    while not running.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > len(running.result().token_ids)


async def test_the_cache_grows_past_its_first_allocation():
    engine = TransformersEngine(tiny_model(), eos_token_ids=())
    long = await engine.generate([5] * 200, Sampling(max_tokens=150, seed=1))
    expected = teacher_forced(tiny_model(), [5] * 200, long.token_ids, 1.0)
    torch.testing.assert_close(torch.tensor(long.logprobs), expected, atol=1e-4, rtol=0)
    await engine.close()


async def test_a_refresh_of_adapters_does_not_copy_their_checkpoint_again(
    engine, tmp_path, monkeypatch
):
    calls = []

    def counted(files, until):
        calls.append(copied(files, until))
        return calls[-1]

    monkeypatch.setattr(kept_copies, "copied", counted)
    tiny_model(seed=1).save_pretrained(tmp_path / "base")
    for version in (1, 2, 3):
        norm = {"model.norm.weight": torch.full((32,), float(version))}
        file = tmp_path / f"{version}.safetensors"
        write_adapters(Adapters(tmp_path / "base", torch.float32, 1.0, norm), file)
        await engine.update_weights(file, version)
        expected = tiny_model(seed=1)
        expected.load_state_dict(norm, strict=False)
        assert await engine.checksum() == checksum(expected.parameters())
    assert len(calls) == 1
    assert calls[0][0].exists()
    await engine.close()
    assert not calls[0][0].exists()
