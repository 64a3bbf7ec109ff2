"""The same tensors through TRL's trainer and through ours give the same losses and gradients."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from random_batches import table
from safetensors.torch import load_file, save_file

from webdojo.training.objectives.advantages import estimate
from webdojo.training.objectives.config import DrGrpoAdvantage, GrpoAdvantage, ObjectiveConfig
from webdojo.training.objectives.objective import prepare, surrogate

OWN_ENVIRONMENT = Path(__file__).parents[3] / ".venv-trl/bin/python"
TRL_PYTHON = (
    sys.executable
    if importlib.util.find_spec("trl")
    else str(OWN_ENVIRONMENT)
    if OWN_ENVIRONMENT.exists()
    else None
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        TRL_PYTHON is None,
        reason="TRL is not installed: run scripts/setup-trl.sh, which makes .venv-trl",
    ),
]

LENGTHS = [3, 7, 1, 5, 2, 7, 4, 6]
# Exact in float32, in which TRL keeps rewards.
REWARDS = [1.0, 0.0, 0.25, 0.0, 1.0, 1.0, 0.0, 0.5]
GRPO = {"name": "grpo", "deviation": "sample", "epsilon": 1e-4}


def case(name, theirs, *, beta=0.0, parts=1, **ours):
    """One objective as GRPOConfig's and as ObjectiveConfig's."""
    weighted = theirs.get("use_bias_correction_kl", True)
    penalty = {"coefficient": beta, "importance_weighted": weighted}
    config = {"advantage": GRPO, "correction": "none", "kl": penalty, **ours}
    return {"name": name, "config": theirs, "beta": beta, "parts": parts}, config


CLIPS = {"epsilon": 0.2, "epsilon_high": 0.28}
PPO = {"name": "ppo", "clip_low": 0.2, "clip_high": 0.28}
CASES = [
    case("grpo", {"loss_type": "grpo", **CLIPS}, surrogate=PPO, normalizer="sequence_mean"),
    case(
        "grpo_kl",
        {"loss_type": "grpo", **CLIPS},
        beta=0.1,
        surrogate=PPO,
        normalizer="sequence_mean",
    ),
    case(
        "grpo_plain_kl",
        {"loss_type": "grpo", "use_bias_correction_kl": False, **CLIPS},
        beta=0.1,
        surrogate=PPO,
        normalizer="sequence_mean",
    ),
    case(
        "grpo_dual_clip",
        {"loss_type": "grpo", "delta": 1.5, **CLIPS},
        surrogate={**PPO, "dual_clip": 1.5},
        normalizer="sequence_mean",
    ),
    case(
        "grpo_micro_batches",
        {"loss_type": "grpo", **CLIPS},
        parts=2,
        surrogate=PPO,
        normalizer="sequence_mean",
    ),
    # TRL's constant is max_completion_length, 4 in trl_losses.py.
    case(
        "dr_grpo",
        {"loss_type": "dr_grpo", "scale_rewards": "none", **CLIPS},
        surrogate=PPO,
        normalizer={"name": "constant_length", "max_tokens": 4},
    ),
    case("dapo", {"loss_type": "dapo", **CLIPS}, surrogate=PPO, normalizer="token_mean"),
    case(
        "dapo_kl_micro_batches",
        {"loss_type": "dapo", **CLIPS},
        beta=0.1,
        parts=4,
        surrogate=PPO,
        normalizer="token_mean",
    ),
    case(
        "dapo_entropy",
        {"loss_type": "dapo", "entropy_coef": 0.05, **CLIPS},
        surrogate=PPO,
        normalizer="token_mean",
        entropy_coefficient=0.05,
    ),
    # The local batch is the whole one here, so that bnpo is a token mean too.
    case("bnpo", {"loss_type": "bnpo", **CLIPS}, surrogate=PPO, normalizer="token_mean"),
    case(
        "cispo",
        {"loss_type": "cispo", "epsilon_high": 1.5},
        surrogate={"name": "cispo", "ratio_high": 1.5},
        normalizer="token_mean",
    ),
    case(
        "gspo",
        {
            "loss_type": "grpo",
            "importance_sampling_level": "sequence",
            "epsilon": 0.05,
            "epsilon_high": 0.08,
        },
        surrogate={"name": "gspo", "clip_low": 0.05, "clip_high": 0.08},
        normalizer="sequence_mean",
    ),
]


def the_batch():
    return table(
        [
            [(r, [n]) for r, n in zip(REWARDS[i:j], LENGTHS[i:j], strict=True)]
            for i, j in ((0, 4), (4, 8))
        ]
    )


def the_tensors() -> dict[str, torch.Tensor]:
    """Padded [rows, tokens] tensors in float64, some of it far off policy."""
    generator = torch.Generator().manual_seed(0)
    shape = (len(LENGTHS), max(LENGTHS))

    def noise(scale):
        return scale * torch.randn(shape, generator=generator, dtype=torch.float64)

    logprobs = -noise(1).abs()
    return {
        "logprobs": logprobs,
        "old": logprobs + noise(0.4),
        "reference": logprobs + noise(0.4),
        "entropies": noise(1).abs(),
        "mask": (torch.arange(shape[1]) < torch.tensor(LENGTHS)[:, None]).long(),
        "advantages": estimate(the_batch(), GrpoAdvantage.model_validate(GRPO)),
        "rewards": torch.tensor(REWARDS, dtype=torch.float64),
    }


@pytest.fixture(scope="module")
def theirs(tmp_path_factory) -> dict[str, torch.Tensor]:
    folder = tmp_path_factory.mktemp("trl")
    save_file(the_tensors(), folder / "tensors.safetensors")
    (folder / "cases.json").write_text(json.dumps([case for case, _ in CASES]))
    script = Path(__file__).with_name("trl_losses.py")
    # From another folder, so that nothing of ours is importable there.
    done = subprocess.run(
        [TRL_PYTHON, script, folder], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return load_file(folder / "results.safetensors")


@pytest.mark.parametrize(("case", "ours"), CASES, ids=[case["name"] for case, _ in CASES])
def test_losses_and_gradients_agree(theirs, case, ours):
    tensors, batch = the_tensors(), the_batch()
    config = ObjectiveConfig.model_validate(ours)
    mask = tensors["mask"].bool()
    logprobs = tensors["logprobs"].requires_grad_()
    entropies = tensors["entropies"].requires_grad_()
    weights, advantages = prepare(batch, config)
    loss, statistics = surrogate(
        logprobs[mask],
        config,
        proximal=tensors["old"][mask],
        behaviour=tensors["old"][mask],
        advantages=advantages,
        weights=weights,
        token_rows=mask.nonzero()[:, 0],
        reference=tensors["reference"][mask],
        entropies=entropies[mask],
    )
    assert statistics.rates()["clip_rate"] > 0
    gradients = torch.autograd.grad(loss + 0 * entropies.sum(), (logprobs, entropies))
    name = case["name"]
    for found, expected in [
        (loss.detach(), theirs[f"{name}/loss"]),
        (gradients[0], theirs[f"{name}/gradient"]),
        (gradients[1], theirs[f"{name}/entropy_gradient"]),
    ]:
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=0, check_dtype=False)


@pytest.mark.parametrize(
    ("scale", "config"),
    [("group", GrpoAdvantage.model_validate(GRPO)), ("none", DrGrpoAdvantage())],
    ids=["group", "none"],
)
def test_advantages_agree(theirs, scale, config):
    torch.testing.assert_close(
        estimate(the_batch(), config),
        theirs[f"advantages/{scale}"],
        atol=1e-6,
        rtol=0,
        check_dtype=False,
    )
