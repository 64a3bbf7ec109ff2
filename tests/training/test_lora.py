"""Adapters, checkpointed gradients and half precision: what they change and what they must not."""

from __future__ import annotations

import copy

import pytest
import torch
from test_learner import CONFIG, collect_into, groups_drawn_by, tiny_model
from torch import nn

from webdojo.agents.checkpoint import find_checkpoint
from webdojo.tasks.errors import UserError
from webdojo.training.learner import Learner
from webdojo.training.learner_config import LoraConfig
from webdojo.training.lora import check_targets
from webdojo.training.packing import Row

# One thread: more only wait for one another on matrices of this size.
torch.set_num_threads(1)
WITH_ADAPTERS = CONFIG.model_copy(update={"lora": LoraConfig(rank=4, alpha=8), "lr": 1e-2})
ROWS = [Row.of(range(20), [i, i + 1]) for i in range(6)]


def test_a_fresh_adapter_changes_nothing_and_training_it_leaves_the_weights_alone() -> None:
    before = tiny_model().state_dict()
    model = tiny_model()
    plain = Learner(tiny_model(), CONFIG).supervised_loss(ROWS)
    learner = Learner(model, WITH_ADAPTERS)
    assert learner.supervised_loss(ROWS) == pytest.approx(plain, abs=1e-6)
    assert learner.weights().keys() == before.keys()
    for name, value in learner.weights().items():
        assert torch.equal(value, before[name]), name
    learner.update(groups_drawn_by(tiny_model()), version=0)
    moved = {name for name, value in learner.weights().items() if (value != before[name]).any()}
    assert moved
    assert all("proj" in name for name in moved)
    for name, value in model.state_dict().items():
        if "lora" not in name:
            assert torch.equal(value, before[name.replace(".base_layer", "")]), name


def test_merged_weights_are_the_policy_that_was_trained() -> None:
    learner = Learner(tiny_model(), WITH_ADAPTERS)
    for _ in range(5):
        learner.supervised_step(ROWS)
    merged = tiny_model(seed=4)
    merged.load_state_dict(learner.weights())
    found = Learner(merged, CONFIG).supervised_loss(ROWS)
    assert found == pytest.approx(learner.supervised_loss(ROWS), abs=1e-5)


def test_a_checkpoint_holds_the_adapters_alone_and_goes_on_bit_for_bit() -> None:
    groups = groups_drawn_by(tiny_model())
    learner = Learner(tiny_model(), WITH_ADAPTERS)
    learner.update(groups, version=0)
    state = copy.deepcopy(learner.state_dict())
    assert all("lora_" in name for name in state["weights"])
    learner.update(groups, version=1)
    other = Learner(tiny_model(), WITH_ADAPTERS)
    other.load_state_dict(state)
    other.update(groups, version=1)
    for name, value in learner.weights().items():
        assert torch.equal(value, other.weights()[name]), name
    with pytest.raises(ValueError, match="the adapters differ in"):
        Learner(tiny_model(), WITH_ADAPTERS).load_state_dict({**state, "weights": {}})
    narrow = CONFIG.model_copy(update={"lora": LoraConfig(rank=2, alpha=8)})
    with pytest.raises(ValueError, match=r"with the learner\.lora that they were trained with"):
        Learner(tiny_model(), narrow).load_state_dict(state)


def test_adapters_go_on_with_the_scale_that_they_were_trained_with() -> None:
    state = Learner(tiny_model(), WITH_ADAPTERS).state_dict()
    stronger = WITH_ADAPTERS.model_copy(update={"lora": LoraConfig(rank=4, alpha=16)})
    learner = Learner(tiny_model(), stronger)
    learner.supervised_step(ROWS)
    before = learner.weights()
    with pytest.raises(ValueError, match=r"alpha is 16, and the adapters were trained with 8"):
        learner.load_state_dict(state)
    assert learner.step == 1
    assert all(torch.equal(value, before[name]) for name, value in learner.weights().items())


def gradients_of(model: nn.Module, **settings: object) -> dict[str, torch.Tensor]:
    totals = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    for name, parameter in model.named_parameters():
        parameter.register_hook(collect_into(totals[name]))
    Learner(model, CONFIG.model_copy(update=settings)).update(
        groups_drawn_by(tiny_model()), version=0
    )
    return totals


def test_checkpointed_gradients_are_the_same_and_layers_are_run_again() -> None:
    plain = gradients_of(tiny_model())
    model = tiny_model()
    passes: list[int] = []
    model.model.layers[0].mlp.register_forward_pre_hook(lambda *_: passes.append(1))
    checkpointed = gradients_of(model, gradient_checkpointing=True)
    plain_passes: list[int] = []
    again = tiny_model()
    again.model.layers[0].mlp.register_forward_pre_hook(lambda *_: plain_passes.append(1))
    gradients_of(again)
    assert len(passes) == 2 * len(plain_passes) > 0
    for name, gradient in plain.items():
        torch.testing.assert_close(checkpointed[name], gradient, atol=1e-6, rtol=1e-5)


def test_half_precision_learns_and_keeps_what_is_trained_whole() -> None:
    half = {"precision": "bfloat16"}
    for config in (CONFIG, WITH_ADAPTERS):
        model = tiny_model()
        learner = Learner(model, config.model_copy(update=half))
        start = learner.supervised_loss(ROWS)
        for _ in range(20):
            learner.supervised_step(ROWS)
        assert learner.supervised_loss(ROWS) < start - 0.3
        trained = {p.dtype for p in model.parameters() if p.requires_grad}
        frozen = {p.dtype for p in model.parameters() if not p.requires_grad}
        assert trained == {torch.float32}
        assert frozen <= {torch.bfloat16}


def test_a_target_that_no_layer_is_named_is_refused_with_those_there_are() -> None:
    shipped = find_checkpoint("webdojo-nano").path
    check_targets(LoraConfig(), shipped, "mine.toml")
    check_targets(LoraConfig(targets=("q_proj", "mlp.down_proj")), shipped, "mine.toml")
    with pytest.raises(UserError, match=r"^mine\.toml: .*names 'nonsense'.* it has down_proj, "):
        check_targets(LoraConfig(targets=("q_proj", "nonsense")), shipped, "mine.toml")
    # A name that peft would pass over: it stands deeper than any layer does.
    with pytest.raises(UserError, match="no linear layer of that name"):
        check_targets(LoraConfig(targets=("base.model.layers.0.mlp.up_proj",)), shipped, "")
