"""The learner on a tiny random Qwen2: what an update changes, and what must not change it."""

import copy
import gc
import random
import weakref
from dataclasses import replace

import pytest
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from webdojo.tasks.errors import UserError
from webdojo.training.learner import Learner
from webdojo.training.learner_config import LearnerConfig
from webdojo.training.objectives.config import ObjectiveConfig
from webdojo.training.packed_batch import response_logprobs
from webdojo.training.packing import Row, pack
from webdojo.training.rollouts.trajectory import Group, Trajectory, Turn

# One thread: more only wait for one another on matrices of this size.
torch.set_num_threads(1)

VOCABULARY = 41
CONFIG = LearnerConfig(
    lr=1e-3, micro_batch_tokens=200, sequence_tokens=120, min_shared_tokens=8, max_grad_norm=100
)


def tiny_model(seed=0):
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        initializer_range=0.1,
    )
    return Qwen2ForCausalLM(config)


def logprobs_of(model, turns):
    """Log-probabilities of each turn's response tokens, computed row by row."""
    found = []
    with torch.no_grad():
        for prompt, response in turns:
            ids = torch.tensor([[*prompt, *response]])
            logprobs = torch.log_softmax(model(input_ids=ids).logits[0].float(), -1)
            chosen = logprobs[len(prompt) - 1 : -1].gather(-1, torch.tensor(response)[:, None])
            found.append(chosen[:, 0])
    return found


def groups_drawn_by(model, *, seed=0, count=4, members=4, turns=3, version=0):
    """Groups with mixed rewards, with log-probabilities as ``model`` has them."""
    rng = random.Random(seed)

    def draw(shortest, longest):
        return tuple(rng.randrange(VOCABULARY) for _ in range(rng.randint(shortest, longest)))

    groups = []
    for g in range(count):
        page = draw(20, 30)
        trajectories = []
        for m in range(members):
            texts = [((*page, *draw(t, 2 * t)), draw(1, 6)) for t in range(rng.randint(1, turns))]
            rows = tuple(
                Turn(prompt, response, tuple(lp.tolist()), (version,) * len(response), "noop()")
                for (prompt, response), lp in zip(texts, logprobs_of(model, texts), strict=True)
            )
            trajectories.append(Trajectory(f"{g}-{m}", "t", 0, g, m, rows, float(m % 2), "success"))
        groups.append(Group(g, "t", 0, tuple(trajectories)))
    return groups


def texts_of(groups, reward):
    """Prompts and responses of the trajectories with this reward."""
    chosen = [x for group in groups for x in group.trajectories if x.reward == reward]
    return [(turn.prompt_ids, turn.response_ids) for x in chosen for turn in x.turns]


@pytest.mark.parametrize("epochs, minibatches", [(1, 1), (3, 2)])
@pytest.mark.parametrize("preset", ["asyncwebrl", "multi_step_grpo", "grpo", "gspo", "ctpo"])
def test_an_update_favours_what_did_better(preset, epochs, minibatches):
    model = tiny_model()
    groups = groups_drawn_by(model)
    config = CONFIG.model_copy(update={"epochs": epochs, "minibatches": minibatches})
    good, bad = texts_of(groups, 1.0), texts_of(groups, 0.0)

    def margin():
        return float(
            torch.cat(logprobs_of(model, good)).mean() - torch.cat(logprobs_of(model, bad)).mean()
        )

    before = margin()
    metrics = Learner(model, config, ObjectiveConfig.from_preset(preset)).update(groups, version=0)
    assert margin() > before + 0.01
    assert metrics["optimizer_steps"] == epochs * minibatches
    assert metrics["skipped_steps"] == 0


def collect_into(total):
    """A hook that adds up gradients; it returns nothing, or it would replace them."""

    def collect(gradient):
        total.add_(gradient)

    return collect


def test_micro_batches_do_not_change_the_gradient():
    results = []
    for tokens, sequence, shared in [
        (1, 40, 8),
        (100, 40, 8),
        (150, 150, 1000),
        (100_000, 100_000, 8),
    ]:
        model = tiny_model()
        gradients = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
        passes = []
        for name, parameter in model.named_parameters():
            parameter.register_hook(collect_into(gradients[name]))
        model.model.norm.weight.register_hook(lambda _, passes=passes: passes.append(1))
        sizes = ("micro_batch_tokens", "sequence_tokens", "min_shared_tokens")
        update = dict(zip(sizes, (tokens, sequence, shared), strict=True))
        groups = groups_drawn_by(model)
        metrics = Learner(model, CONFIG.model_copy(update=update)).update(groups, version=0)
        results.append((gradients, metrics, len(passes)))
    assert len({passes for *_, passes in results}) == 4
    for gradients, metrics, _ in results[1:]:
        for name, gradient in gradients.items():
            torch.testing.assert_close(gradient, results[0][0][name], atol=1e-6, rtol=1e-3)
        for name in ("loss", "grad_norm", "entropy", "clip_rate", "effective_sample_size"):
            assert metrics[name] == pytest.approx(results[0][1][name], rel=1e-4, abs=1e-6)


def test_the_gradient_is_the_one_computed_by_hand():
    """Constant-k GRPO at ratio 1: −1/(M·G·k) Σ A ∇logπ, with one plain pass a row."""
    model = tiny_model()
    groups = groups_drawn_by(model, count=2)
    twin = copy.deepcopy(model)
    loss = torch.zeros(())
    for group in groups:
        rewards = torch.tensor([x.reward for x in group.trajectories])
        advantages = (rewards - rewards.mean()) / (rewards.std(correction=0) + 1e-6)
        for trajectory, advantage in zip(group.trajectories, advantages, strict=True):
            for turn in trajectory.turns:
                ids = torch.tensor([[*turn.prompt_ids, *turn.response_ids]])
                logprobs = torch.log_softmax(twin(input_ids=ids).logits[0], -1)
                chosen = logprobs[len(turn.prompt_ids) - 1 : -1].gather(
                    -1, torch.tensor(turn.response_ids)[:, None]
                )
                loss = loss - advantage * chosen.sum() / (len(groups) * len(rewards) * 10)
    loss.backward()
    expected = torch.cat([p.grad.flatten() for p in twin.parameters()]).norm()
    metrics = Learner(model, CONFIG).update(groups, version=0)
    assert metrics["grad_norm"] == pytest.approx(float(expected), rel=1e-4)


def test_the_proximal_pass_gives_what_a_single_step_takes_for_granted():
    """Two epochs take their ratios from a pass before them; one epoch needs no such pass."""
    groups = groups_drawn_by(tiny_model(seed=5))  # drawn by other weights: w is not 1
    one, two = tiny_model(), tiny_model()
    single = Learner(one, CONFIG).update(groups, version=0)
    # lr so small that the second epoch sees the same policy: its ratio is 1 again.
    slow = CONFIG.model_copy(update={"epochs": 2, "lr": 1e-12})
    double = Learner(two, slow).update(groups, version=0)
    for name in ("loss", "grad_norm", "dropped_token_rate", "effective_sample_size"):
        assert double[name] == pytest.approx(single[name], rel=1e-4)
    assert double["mean_ratio"] == pytest.approx(1, abs=1e-5)


def test_a_resumed_learner_takes_the_same_next_step_bit_for_bit(tmp_path):
    config = CONFIG.model_copy(
        update={"minibatches": 2, "epochs": 2, "schedule": "cosine", "total_steps": 9}
    )
    model = tiny_model()
    learner = Learner(model, config)
    groups = [groups_drawn_by(model, seed=s) for s in range(3)]
    learner.update(groups[0], version=0)
    learner.supervised_step([Row.of([1, 2, 3], [4, 5])])
    torch.save(learner.state_dict(), tmp_path / "state.pt")
    straight = learner.update(groups[1], version=1)

    other = Learner(tiny_model(seed=3), config)
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    resumed = other.update(groups[1], version=1)
    for name, value in learner.weights().items():
        assert torch.equal(value, other.weights()[name]), name
    timing = {"seconds", "tokens_per_s"}
    assert {k: v for k, v in straight.items() if k not in timing} == {
        k: v for k, v in resumed.items() if k not in timing
    }
    assert other.step == learner.step == 3


def test_a_step_that_is_not_finite_is_skipped_and_counted():
    model = tiny_model()
    groups = groups_drawn_by(model)
    learner = Learner(model, CONFIG)
    before = learner.state_dict()
    # An overflow in one weight's gradient, as mixed precision or a broken batch gives.
    hook = model.model.norm.weight.register_hook(lambda grad: grad * torch.inf)
    metrics = learner.update(groups, version=0)
    hook.remove()
    assert (metrics["skipped_steps"], metrics["optimizer_steps"]) == (1, 0)
    assert learner.skipped_steps == 1
    assert "loss" not in metrics
    for name, value in learner.weights().items():
        assert torch.equal(value, before["weights"][name])
    assert learner.state_dict()["optimizer"]["state"] == before["optimizer"]["state"] == {}
    metrics = learner.update(groups, version=0)
    assert metrics["optimizer_steps"] == 1
    assert all(torch.isfinite(v).all() for v in learner.weights().values())


def test_metrics_tell_engine_mismatch_and_staleness():
    model = tiny_model()
    learner = Learner(model, CONFIG)
    groups = [
        *groups_drawn_by(model, seed=1, count=2, version=5),
        *groups_drawn_by(tiny_model(seed=9), seed=2, count=2, version=3),
    ]
    metrics = learner.update(groups, version=5)
    turns = [turn for group in groups for x in group.trajectories for turn in x.turns]
    gaps = [5 - v for turn in turns for v in turn.versions]
    assert metrics["staleness_max"] == 2
    assert metrics["staleness_mean"] == pytest.approx(sum(gaps) / len(gaps))
    # Only tokens of version 5 are compared, and they agree up to rounding.
    assert metrics["logprob_mismatch_max"] < 1e-4
    assert metrics["effective_sample_size"] < 0.99
    assert metrics["tokens"] == len(gaps)
    assert 0 < metrics["shared_token_rate"] < 1
    assert metrics["entropy"] > 0


def test_a_response_that_older_weights_began_says_nothing_of_the_mismatch():
    model = tiny_model()
    (group,) = groups_drawn_by(model, count=1, version=5)
    begun = group.trajectories[0]
    longest = max(begun.turns, key=lambda turn: len(turn.versions))
    assert len(longest.versions) > 1
    # Over the keys and values of older weights even the newest draw otherwise.
    older = replace(
        longest,
        versions=(4, *longest.versions[1:]),
        logprobs=tuple(logprob - 0.5 for logprob in longest.logprobs),
    )
    turns = tuple(older if turn is longest else turn for turn in begun.turns)
    members = (replace(begun, turns=turns), *group.trajectories[1:])
    metrics = Learner(model, CONFIG).update([replace(group, trajectories=members)], version=5)
    assert metrics["logprob_mismatch_max"] < 1e-4


def test_weights_are_a_copy_that_training_does_not_change():
    model = tiny_model()
    learner = Learner(model, CONFIG)
    weights = learner.weights()
    assert set(weights) == set(model.state_dict())
    kept = {name: value.clone() for name, value in weights.items()}
    learner.update(groups_drawn_by(model), version=0)
    assert all(torch.equal(weights[name], value) for name, value in kept.items())
    assert not torch.equal(learner.weights()["model.norm.weight"], kept["model.norm.weight"])


def test_mini_batches_hold_whole_groups_and_every_row_once():
    model = tiny_model()
    groups = groups_drawn_by(model, count=5)
    from webdojo.training.objectives.batch import Batch

    batch = Batch.of(groups)
    learner = Learner(model, CONFIG.model_copy(update={"minibatches": 2}))
    first, second = list(learner._deal(batch)), list(learner._deal(batch))
    for parts in (first, second):
        assert sorted(row for part in parts for row in part) == list(range(batch.row_count))
        owners = [{int(batch.groups[batch.trajectories[row]]) for row in part} for part in parts]
        assert not owners[0] & owners[1]
    many = Learner(model, CONFIG.model_copy(update={"minibatches": 16}))
    assert len(list(many._deal(batch))) == 16


def test_supervised_steps_lower_the_loss_on_their_rows():
    model = tiny_model()
    rows = [Row.of(range(20), [i, i + 1, i + 2]) for i in range(8)]
    learner = Learner(model, CONFIG)
    start = learner.supervised_loss(rows)
    packed = pack(rows, max_tokens=10_000)
    with torch.no_grad():
        by_hand = -torch.cat([response_logprobs(model, p) for p in packed]).mean()
    assert start == pytest.approx(float(by_hand), abs=1e-5)
    first = learner.supervised_step(rows)
    assert first["loss"] == pytest.approx(start, abs=1e-5)
    for _ in range(20):
        learner.supervised_step(rows)
    assert learner.supervised_loss(rows) < start - 0.5
    assert learner.step == 21


def test_a_kl_penalty_pulls_towards_the_reference():
    groups = groups_drawn_by(tiny_model())
    moved = {}
    for coefficient in (1e-6, 100.0):
        model, reference = tiny_model(), tiny_model()
        objective = ObjectiveConfig(kl={"coefficient": coefficient})
        config = CONFIG.model_copy(update={"epochs": 6})
        metrics = Learner(model, config, objective, reference=reference).update(groups, version=0)
        assert metrics["kl_reference"] >= 0
        texts = texts_of(groups, 1.0)
        change = torch.cat(logprobs_of(model, texts)) - torch.cat(logprobs_of(reference, texts))
        moved[coefficient] = float(change.abs().mean())
    assert moved[100.0] < moved[1e-6] / 2


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_policy_that_is_its_reference_is_no_distance_from_it(precision):
    groups = groups_drawn_by(tiny_model())
    config = CONFIG.model_copy(update={"precision": precision})
    objective = ObjectiveConfig(kl={"coefficient": 0.1})
    learner = Learner(tiny_model(), config, objective, reference=tiny_model())
    assert learner.update(groups, version=0)["kl_reference"] == 0
    assert learner.update(groups, version=1)["kl_reference"] > 0


def test_dropout_of_a_checkpoint_is_taken_out():
    model = tiny_model()
    groups = groups_drawn_by(model.eval())
    model.config.attention_dropout = 0.5
    for layer in model.model.layers:
        layer.self_attn.attention_dropout = 0.5
    model.model.norm = torch.nn.Sequential(model.model.norm, torch.nn.Dropout(0.5))
    # lr so small that the second epoch sees the same policy: its ratio is 1, without any noise.
    config = CONFIG.model_copy(update={"epochs": 2, "lr": 1e-12})
    metrics = Learner(model, config).update(groups, version=0)
    assert metrics["logprob_mismatch_max"] < 1e-4
    assert metrics["mean_ratio"] == pytest.approx(1, abs=1e-5)
    assert model.config.attention_dropout == 0


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_learner_that_is_dropped_leaves_nothing_in_memory(precision):
    model = tiny_model()
    groups = groups_drawn_by(model)
    learner = Learner(model, CONFIG.model_copy(update={"precision": precision}))
    learner.update(groups, version=0)
    left = weakref.ref(model)
    gc.disable()
    try:
        del model, learner
        assert left() is None
    finally:
        gc.enable()


def test_an_entropy_bonus_raises_entropy():
    entropies = []
    for coefficient in (0.0, 10.0):
        model = tiny_model()
        groups = groups_drawn_by(model)
        objective = ObjectiveConfig(entropy_coefficient=coefficient)
        learner = Learner(model, CONFIG, objective)
        for _ in range(5):
            learner.update(groups, version=0)
        entropies.append(learner.update(groups, version=0)["entropy"])
    assert entropies[1] > entropies[0]


def test_bad_inputs_are_refused_with_the_way_out():
    model = tiny_model()
    learner = Learner(model, CONFIG)
    empty = Trajectory("e", "t", 0, 0, 0, (Turn((1,), (), (), (), ""),), 1.0, "failure")
    with pytest.raises(ValueError, match="no trained token"):
        learner.update([Group(0, "t", 0, (empty,))], version=0)
    with pytest.raises(ValueError, match="no token of the rows is trained"):
        learner.supervised_step([Row((1, 2), (False, False))])
    with pytest.raises(ValueError, match="needs a reference policy"):
        Learner(model, CONFIG, ObjectiveConfig(kl={"coefficient": 0.1}))
    with pytest.raises(ValueError, match="bfloat16, where small updates vanish"):
        Learner(tiny_model().bfloat16(), CONFIG)
    state = learner.state_dict()
    state["weights"] = {**state["weights"], "strange": torch.zeros(1)}
    with pytest.raises(ValueError, match="unknown to the model"):
        learner.load_state_dict(state)


class NoRoomAbove:
    """Stands in for a GPU's memory: a pass over more than ``tokens`` tokens fails."""

    def __init__(self, model, tokens):
        self.tokens = tokens
        self.refused = 0
        model.model.layers[-1].register_forward_pre_hook(self.check, with_kwargs=True)

    def check(self, module, args, kwargs):
        hidden = args[0] if args else kwargs["hidden_states"]
        if hidden.shape[0] * hidden.shape[1] > self.tokens:
            self.refused += 1
            raise torch.OutOfMemoryError("no room (a test's stand-in for a GPU's memory)")


def test_a_batch_for_which_memory_runs_out_is_done_in_smaller_parts_with_the_same_result():
    plain, tight = tiny_model(), tiny_model()
    groups = groups_drawn_by(plain)
    whole = Learner(plain, CONFIG)
    expected = whole.update(groups, version=0)
    room = NoRoomAbove(tight, 60)
    learner = Learner(tight, CONFIG)
    found = learner.update(groups, version=0)
    assert expected["out_of_memory"] == 0
    assert found["out_of_memory"] == room.refused > 0
    for name in ("loss", "grad_norm", "entropy", "clip_rate", "effective_sample_size"):
        assert found[name] == pytest.approx(expected[name], rel=1e-4, abs=1e-6)
    # Later batches begin with what has fitted, after a resume too.
    refused = room.refused
    assert learner.update(groups, version=1)["out_of_memory"] == 0
    resumed = Learner(tight, CONFIG)
    resumed.load_state_dict(learner.state_dict())
    assert resumed.update(groups, version=2)["out_of_memory"] == 0
    assert room.refused == refused


def test_memory_that_runs_out_at_the_optimisers_step_is_a_sentence():
    model = tiny_model()
    groups = groups_drawn_by(model)
    learner = Learner(model, CONFIG)

    def refuse(*_):
        raise torch.OutOfMemoryError("no room (a test's stand-in for a GPU's memory)")

    learner._stepper.optimizer.optimizer.register_step_pre_hook(refuse)
    with pytest.raises(UserError, match="as the optimiser took its step"):
        learner.update(groups, version=0)


def test_a_row_that_fits_in_no_memory_is_a_sentence_and_changes_nothing():
    model = tiny_model()
    groups = groups_drawn_by(model)
    NoRoomAbove(model, 5)
    learner = Learner(model, CONFIG)
    before = learner.weights()
    with pytest.raises(UserError, match=r"memory ran out on a single row of \d+ tokens"):
        learner.update(groups, version=0)
    assert learner.step == 0
    assert all(torch.equal(value, before[name]) for name, value in learner.weights().items())
    assert all(parameter.grad is None for parameter in model.parameters())
