"""Engine and learner together: they mean the same distribution, and learning reaches the engine."""

import asyncio

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from webdojo.agents.engines.engine import Sampling
from webdojo.agents.engines.transformers_engine import TransformersEngine
from webdojo.training.learner import Learner
from webdojo.training.learner_config import LearnerConfig
from webdojo.training.rollouts.trajectory import Group, Trajectory, Turn

# One thread: more only wait for one another on matrices of this size.
torch.set_num_threads(1)

VOCABULARY = 24
EOS, BANNED = 1, 2
PROMPTS = [(5, 6, 7), (8, 9), (10, 11, 12, 13)]


def tiny_model():
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
    )
    return Qwen2ForCausalLM(config)


async def draw_groups(engine, temperature, round_number):
    """Eight responses to each prompt; reward is the share of even tokens before the end."""

    async def trajectory(g, m):
        seed = 1000 * round_number + 8 * g + m
        found = await engine.generate(PROMPTS[g], Sampling(temperature, max_tokens=6, seed=seed))
        body = [token for token in found.token_ids if token != EOS]
        reward = sum(token % 2 == 0 for token in body) / len(body) if body else 0.0
        turn = Turn(PROMPTS[g], found.token_ids, found.logprobs, found.versions, "")
        return Trajectory(f"{seed}", "even", 0, g, m, (turn,), reward, "success")

    groups = []
    for g in range(len(PROMPTS)):
        members = await asyncio.gather(*(trajectory(g, m) for m in range(8)))
        groups.append(Group(g, "even", 0, tuple(members)))
    return groups


async def test_a_policy_drawn_by_the_engine_and_trained_by_the_learner_improves():
    temperature = 0.8
    engine = TransformersEngine(tiny_model(), eos_token_ids=[EOS], banned_token_ids=[BANNED])
    config = LearnerConfig(lr=3e-3, temperature=temperature, banned_token_ids=(BANNED,))
    learner = Learner(tiny_model(), config)
    means = []
    for version in range(25):
        groups = await draw_groups(engine, temperature, version)
        rewards = [x.reward for group in groups for x in group.trajectories]
        means.append(sum(rewards) / len(rewards))
        metrics = learner.update(groups, version)
        # Temperature and banned tokens are the same on both sides, so nothing but rounding differs.
        assert metrics["logprob_mismatch_max"] < 1e-4
        assert metrics["staleness_max"] == 0
        await engine.update_weights(learner.weights(), version + 1)
    await engine.close()
    assert sum(means[-3:]) / 3 > sum(means[:3]) / 3 + 0.2
