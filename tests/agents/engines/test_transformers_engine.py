"""The embedded engine, on a tiny random Qwen2: what it draws, when weights change, how it ends."""

import asyncio
import random

import pytest
import torch
from safetensors.torch import save_file
from transformers import Qwen2Config, Qwen2ForCausalLM

from webdojo.agents.engines.engine import ContextOverflowError, EngineDeadError, Sampling
from webdojo.agents.engines.transformers_engine import TransformersEngine

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


@pytest.mark.parametrize("temperature", [1.0, 0.6])
async def test_logprobs_are_those_of_a_fresh_forward(engine, temperature):
    texts = prompts(20, seed=1)
    found = await asyncio.gather(
        *(
            engine.generate(p, Sampling(temperature, max_tokens=25, seed=i))
            for i, p in enumerate(texts)
        )
    )
    for prompt, completion in zip(texts, found, strict=True):
        expected = teacher_forced(tiny_model(), prompt, completion.token_ids, temperature)
        torch.testing.assert_close(torch.tensor(completion.logprobs), expected, atol=1e-4, rtol=0)
        assert completion.versions == (0,) * len(completion.token_ids)


async def test_a_seed_gives_the_same_tokens_alone_and_in_a_changing_batch(engine):
    prompt, sampling = prompts(1, seed=2)[0], Sampling(max_tokens=60, seed=11)
    alone = await engine.generate(prompt, sampling)
    assert len(alone.token_ids) > 20

    async def late(i, text):
        await until_drawn(engine, 2 * i)
        return await engine.generate(text, Sampling(max_tokens=10 + i, seed=i))

    others = [late(i, text) for i, text in enumerate(prompts(15, seed=3))]
    crowded, *_ = await asyncio.gather(engine.generate(prompt, sampling), *others)
    assert crowded.token_ids == alone.token_ids
    other_seed = await engine.generate(prompt, Sampling(max_tokens=60, seed=12))
    assert other_seed.token_ids != alone.token_ids


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


async def test_weights_swapped_mid_response(engine):
    prompt, sampling = prompts(1, seed=6)[0], Sampling(max_tokens=300, seed=1)
    old, new = tiny_model(), tiny_model(seed=9)
    # Neither model may end the response, as the test is about its middle.
    for model in (old, new):
        model.generation_config.eos_token_id = None
    engine = TransformersEngine(old, threads=1)
    running = asyncio.create_task(engine.generate(prompt, sampling))
    await until_drawn(engine, 20)
    await engine.update_weights(new.state_dict(), version=7)
    completion = await running
    assert engine.version == 7
    assert list(completion.versions) == sorted(completion.versions)
    first_new = completion.versions.index(7)
    assert completion.versions[0] == 0

    # The prompt and the tokens before the swap keep the keys and values of the old weights.
    from transformers import DynamicCache

    cache = DynamicCache()
    ids = torch.tensor([[*prompt, *completion.token_ids]])
    split = len(prompt) + first_new - 1
    with torch.no_grad():
        before = tiny_model()(input_ids=ids[:, :split], past_key_values=cache).logits[0]
        after = new(input_ids=ids[:, split:-1], past_key_values=cache).logits[0]
    logits = torch.cat([before, after])[len(prompt) - 1 :]
    expected = torch.log_softmax(logits, -1).gather(-1, ids[0, len(prompt) :, None])[:, 0]
    torch.testing.assert_close(torch.tensor(completion.logprobs), expected, atol=1e-4, rtol=0)

    fresh = await engine.generate(prompt, Sampling(max_tokens=20, seed=3))
    expected = teacher_forced(new, prompt, fresh.token_ids, 1.0)
    torch.testing.assert_close(torch.tensor(fresh.logprobs), expected, atol=1e-4, rtol=0)
    assert set(fresh.versions) == {7}
    await engine.close()


@pytest.mark.parametrize("as_folder", [True, False])
async def test_weights_from_a_file_with_tied_head(tmp_path, as_folder):
    engine = TransformersEngine(tiny_model(tie=True))
    new = tiny_model(seed=4, tie=True)
    weights = new.state_dict()
    del weights["lm_head.weight"]
    save_file(weights, tmp_path / "model.safetensors")
    await engine.update_weights(tmp_path if as_folder else tmp_path / "model.safetensors", 1)
    prompt = prompts(1)[0]
    completion = await engine.generate(prompt, Sampling(max_tokens=10))
    expected = teacher_forced(new, prompt, completion.token_ids, 1.0)
    torch.testing.assert_close(torch.tensor(completion.logprobs), expected, atol=1e-4, rtol=0)
    await engine.close()


async def test_a_checkpoint_folder_is_served_as_saved(tmp_path):
    model = tiny_model()
    model.save_pretrained(tmp_path)
    engine = TransformersEngine.from_pretrained(tmp_path, version=3)
    completion = await engine.generate([5, 6], Sampling(max_tokens=20, seed=1))
    expected = teacher_forced(model, (5, 6), completion.token_ids, 1.0)
    torch.testing.assert_close(torch.tensor(completion.logprobs), expected, atol=1e-4, rtol=0)
    assert set(completion.versions) == {3}
    await engine.close()


async def test_weights_that_do_not_fit_are_refused_and_the_old_ones_serve_on(engine, tmp_path):
    prompt = prompts(1)[0]
    before = await engine.generate(prompt, Sampling(max_tokens=10))
    good = tiny_model(seed=1).state_dict()
    with pytest.raises(ValueError, match=r"unknown to the model \(other\)"):
        await engine.update_weights({**good, "other": torch.zeros(1)}, 1)
    with pytest.raises(ValueError, match=r"missing \(model.norm.weight\)"):
        await engine.update_weights({k: v for k, v in good.items() if k != "model.norm.weight"}, 1)
    with pytest.raises(ValueError, match=r"model.norm.weight has shape \(5,\)"):
        await engine.update_weights({**good, "model.norm.weight": torch.zeros(5)}, 1)
    with pytest.raises(FileNotFoundError, match="no safetensors"):
        await engine.update_weights(tmp_path, 1)
    (tmp_path / "model.safetensors").write_bytes(b"not at all")
    with pytest.raises(ValueError, match="is damaged"):
        await engine.update_weights(tmp_path, 1)
    assert engine.version == 0
    again = await engine.generate(prompt, Sampling(max_tokens=10))
    assert again.token_ids == before.token_ids


async def test_nan_weights_fail_requests_and_sound_ones_heal(engine):
    broken = {k: torch.full_like(v, torch.nan) for k, v in tiny_model().state_dict().items()}
    await engine.update_weights(broken, 1)
    with pytest.raises(FloatingPointError, match="policy version 1"):
        await engine.generate([5, 6], Sampling())
    await engine.update_weights(tiny_model().state_dict(), 2)
    assert (await engine.generate([5, 6], Sampling(max_tokens=3))).versions[0] == 2


async def test_cancelling_frees_the_slot_and_disturbs_nobody():
    model = tiny_model()
    model.generation_config.eos_token_id = None
    engine = TransformersEngine(model, slots=2)
    texts = prompts(3, seed=8)
    whole = await engine.generate(texts[1], Sampling(max_tokens=300, seed=1))
    endless = asyncio.create_task(engine.generate(texts[0], Sampling(max_tokens=350)))
    beside = asyncio.create_task(engine.generate(texts[1], Sampling(max_tokens=300, seed=1)))
    await until_drawn(engine, 10)
    waiting = asyncio.create_task(engine.generate(texts[2], Sampling(max_tokens=5)))
    endless.cancel()
    with pytest.raises(asyncio.CancelledError):
        await endless
    # With both slots taken this one could start only in the place that was freed.
    assert len((await waiting).token_ids) == 5
    assert not beside.done()
    assert (await beside).token_ids == whole.token_ids
    await engine.close()


async def test_a_call_cancelled_in_the_queue_is_never_computed():
    engine = TransformersEngine(tiny_model(), slots=1, eos_token_ids=())
    first = asyncio.create_task(engine.generate([5, 6], Sampling(max_tokens=60)))
    await until_drawn(engine, 1)
    queued = asyncio.create_task(engine.generate([7] * 30, Sampling()))
    await asyncio.sleep(0)
    queued.cancel()
    await first
    await engine.generate([8], Sampling(max_tokens=1))
    assert engine.counters.prefill_tokens == 2 + 1
    await engine.close()


async def test_context_limits(engine):
    with pytest.raises(ContextOverflowError, match=r"400 tokens.*context of 400"):
        await engine.generate([5] * 400, Sampling())
    cut = await engine.generate([5] * 399, Sampling(max_tokens=10))
    assert len(cut.token_ids) == 1
    silent = TransformersEngine(tiny_model(), eos_token_ids=())
    cut = await silent.generate([5] * 380, Sampling(max_tokens=50))
    assert (len(cut.token_ids), cut.finished) == (20, False)
    # The cache grew past its first allocation (256 tokens) while this ran.
    long = await silent.generate([5] * 200, Sampling(max_tokens=150, seed=1))
    expected = teacher_forced(tiny_model(), [5] * 200, long.token_ids, 1.0)
    torch.testing.assert_close(torch.tensor(long.logprobs), expected, atol=1e-4, rtol=0)
    await silent.close()


@pytest.mark.parametrize(
    ("prompt", "sampling", "message"),
    [
        ([], Sampling(), "prompt is empty"),
        ([5, VOCABULARY], Sampling(), "token 61, but the vocabulary has 61"),
        ([-1], Sampling(), "token -1"),
        ([5], Sampling(max_tokens=0), "max_tokens is 0"),
        ([5], Sampling(temperature=-1), "temperature is -1"),
        ([5], Sampling(temperature=float("nan")), "temperature is nan"),
    ],
)
async def test_bad_requests_are_refused_and_harm_nobody(engine, prompt, sampling, message):
    with pytest.raises(ValueError, match=message):
        await engine.generate(prompt, sampling)
    assert (await engine.generate([5], Sampling(max_tokens=2))).token_ids


async def test_banned_tokens_are_never_drawn():
    banned = range(10, VOCABULARY)
    engine = TransformersEngine(tiny_model(), banned_token_ids=banned)
    prompt = prompts(1)[0]
    completion = await engine.generate(prompt, Sampling(max_tokens=60, seed=2))
    assert max(completion.token_ids) < 10
    ids = torch.tensor([[*prompt, *completion.token_ids]])
    with torch.no_grad():
        logits = tiny_model()(input_ids=ids).logits[0, len(prompt) - 1 : -1, :10]
    expected = torch.log_softmax(logits, -1).gather(-1, ids[0, len(prompt) :, None])[:, 0]
    torch.testing.assert_close(torch.tensor(completion.logprobs), expected, atol=1e-4, rtol=0)
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


async def test_a_failing_decode_thread_fails_every_call_and_the_engine_says_so():
    model = tiny_model()
    engine = TransformersEngine(model, slots=2, eos_token_ids=())
    calls = [
        asyncio.create_task(engine.generate([5, i + 4], Sampling(max_tokens=390))) for i in range(4)
    ]
    await until_drawn(engine, 4)
    # Taking a layer's weights away makes the next forward pass fail inside torch.
    model.model.layers[1].mlp.up_proj.weight = None
    for call in calls:
        with pytest.raises(EngineDeadError, match=r"thread failed with .*start a new engine"):
            await call
    with pytest.raises(EngineDeadError, match="decode thread failed"):
        await engine.generate([5], Sampling())
    with pytest.raises(EngineDeadError, match="decode thread failed"):
        await engine.update_weights({}, 1)
    await engine.close()


async def test_closing_cancels_what_runs_and_what_waits():
    engine = TransformersEngine(tiny_model(), slots=1, eos_token_ids=())
    calls = [asyncio.create_task(engine.generate([5], Sampling(max_tokens=390))) for _ in range(3)]
    await until_drawn(engine, 2)
    await engine.close()
    await engine.close()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(r) for r in results] == [asyncio.CancelledError] * 3
    with pytest.raises(EngineDeadError, match="closed"):
        await engine.generate([5], Sampling())
