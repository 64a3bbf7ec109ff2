"""The plan of a run: its arithmetic by hand, and that it needs neither torch nor a network."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from webdojo.agents.checkpoint import find_checkpoint
from webdojo.agents.engines.memory import OWN_GPU
from webdojo.agents.tiny_vision import tiny_model, write_tiny_vision
from webdojo.envs.browser import Chromium
from webdojo.envs.pool import EnvPool
from webdojo.envs.spec import EnvSpec
from webdojo.tasks import registry
from webdojo.tasks.errors import UserError
from webdojo.training.config_files import load_config, parse_config
from webdojo.training.disk_estimate import estimate_disk
from webdojo.training.machine import Machine
from webdojo.training.memory_estimate import estimate_memory, estimate_processes
from webdojo.training.model_shape import KNOWN, ModelShape, find_layers, find_shape
from webdojo.training.named_tasks import with_whole_suites
from webdojo.training.plan import plan
from webdojo.training.records import TrajectoryLog
from webdojo.training.rollouts.trajectory import Trajectory, Turn
from webdojo.training.vision_shape import VisionShape

TINY = ModelShape(
    layers=2, hidden=8, intermediate=16, heads=2, kv_heads=1, head_size=4, vocabulary=10,
    parameters=1000,
)  # fmt: skip
BASE = {
    "tasks": {"reinforced": ["miniwob.click-button"]},
    "policy": {"context_tokens": 100, "max_response_tokens": 10},
    "learner": {"micro_batch_tokens": 200, "sequence_tokens": 100},
    "rollout": {"slots": 8},
}


def memory_of(**learner: object) -> dict[str, int]:
    data = {**BASE, "learner": {**BASE["learner"], **learner}}
    memory = estimate_memory(parse_config(data, "test"), TINY)
    return {name: getattr(memory, name) for name in memory.__slots__}


def test_memory_by_hand() -> None:
    memory = memory_of()
    assert (memory["weights"], memory["gradients"], memory["optimiser"]) == (4000, 4000, 8000)
    # A layer: 200 tokens × 4 bytes × (8·8 + 4·16 + 2·(8 + 2·4)); of 200 tokens
    # 8·10/(8·10 + 90) are trained on, whose logits are 941 numbers, five times.
    assert memory["activations"] == 2 * 200 * 4 * 160 + 5 * 4 * 941 + 200 * 100 * 5
    assert memory["reference"] == 0
    assert memory["engine_weights"] == 4000
    assert memory["kv_cache"] == 2 * 2 * 4 * 4 * 100 * (8 + 32)


def test_disk_by_hand() -> None:
    data = {
        **BASE,
        "tasks": {"reinforced": ["miniwob.click-button"], "demonstrated": ["miniwob.click-button"]},
        "warm_start": {"episodes_per_task": 3},
        "rollout": {"group_size": 4, "groups_per_batch": 2},
        "reinforce": {"updates": 5, "keep_last": 1},
    }
    horizon = registry.get("miniwob.click-button").horizon
    disk = estimate_disk(parse_config(data, "test"), TINY)
    # Ids of 2 digits and a comma, and 28 bytes more for what was drawn.
    assert disk.trajectories == (3 + 5 * 2 * 4) * horizon * (100 * 3 + 10 * 28)
    assert (disk.checkpoints, disk.policies) == (2 * 12 * 1000, 3 * 4 * 1000)
    adapters = parse_config({**data, "learner": {"lora": {"rank": 2}}}, "test")
    assert estimate_disk(adapters, TINY).checkpoints == 2 * 12 * 2 * TINY.adapter_width
    alone = parse_config({**data, "reinforce": {"updates": 0}}, "test")
    assert (estimate_disk(alone, TINY).checkpoints, estimate_disk(alone, TINY).policies) == (
        0,
        8000,
    )


def test_a_log_of_full_episodes_is_about_as_long_as_the_plan_says(tmp_path: Path) -> None:
    tokens = tuple(range(151_000, 151_090)), tuple(range(10))
    logprobs = tuple(-(0.1**n) / 3 for n in range(1, 11))
    turn = Turn(*tokens, logprobs, (12,) * 10, "click('12')", state_hash="a" * 16)
    data = {
        **BASE,
        "rollout": {"group_size": 2, "groups_per_batch": 1},
        "reinforce": {"updates": 1},
    }
    horizon = registry.get("miniwob.click-button").horizon
    log = TrajectoryLog(tmp_path / "log.jsonl")
    for n in range(2):
        log.append(Trajectory(f"{n}", "t", 1, 0, n, (turn,) * horizon, 1.0, "success"))
    log.close()
    found = (tmp_path / "log.jsonl").stat().st_size
    most = estimate_disk(parse_config(data, "test"), None).trajectories
    assert 0.5 * most < found < 1.5 * most


def test_the_plan_tells_what_is_written_and_notes_a_disk_that_has_less_room() -> None:
    config = with_whole_suites(load_config("quickstart"))
    told = plan(config, Machine(2**40, disk=2**40))
    assert any(
        re.match(r"disk, by formula: trajectories .* \+ checkpoints .*; 200 MiB must be free", line)
        for line in told
    )
    assert not any("the run writes up to" in line for line in told)
    assert any("the run writes up to" in line for line in plan(config, Machine(2**40, disk=2**20)))


def test_a_large_vocabulary_takes_no_more_than_the_logits_at_once() -> None:
    few, many = (
        estimate_memory(parse_config(BASE, "test"), replace(TINY, vocabulary=vocabulary))
        for vocabulary in (10, 10_000_000)
    )
    assert many.activations - few.activations == 5 * 4 * (2**26 - 941)


def test_adapters_half_precision_and_checkpointing_save_what_they_should() -> None:
    # q: 8+8, k and v: 8+4 each, o: 8+8, three of 8+16, in two layers.
    assert TINY.adapter_width == 2 * (16 + 12 + 12 + 16 + 3 * 24)
    memory = memory_of(lora={"rank": 2}, precision="bfloat16", gradient_checkpointing=True)
    trained = 2 * TINY.adapter_width
    assert memory["weights"] == 2 * 1000 + 4 * trained
    assert (memory["gradients"], memory["optimiser"]) == (4 * trained, 8 * trained)
    assert memory["activations"] == 2 * 200 * 2 * 8 + 200 * 2 * 160 + 5 * 4 * 941 + 200 * 100 * 3
    assert memory_of(precision="bfloat16")["weights"] == 6 * 1000


def test_screenshots_take_memory_by_hand() -> None:
    seen = VisionShape(layers=3, hidden=4, intermediate=8, deep=1, output=8, patch=2, merge=2)
    data = {**BASE, "policy": {**BASE["policy"], "layout": "chat", "screenshots": {"images": 2}}}
    shape = replace(TINY, vision=seen)
    memory = estimate_memory(parse_config(data, "test"), shape)
    # 4 · 200/2 patches of 3 layers × 4 bytes × (8·4 + 4·8) and 24 numbers; 100 tokens' features.
    assert memory.images == 400 * (3 * 4 * 64 + 4 * 24) + 100 * 2 * 4 * 8 * 2
    assert (
        memory.learner - memory.images == estimate_memory(parse_config(BASE, "test"), shape).learner
    )
    # click-button's 332 × 214 pixels are too few: at least 65,536.
    tokens = seen.tokens(332, 214)
    assert memory.engine_images == 32_768 * 4 * 8 * 2 + 4 * tokens * (4 * 64 + 4 * 24)
    assert seen.adapter_width == 3 * (6 * 4 + 2 * 12) + 2 * (3 * 16 + 8)


def test_a_vision_tower_is_counted_to_the_last_weight() -> None:
    model = tiny_model()
    shape = VisionShape.of_config(model.config.to_dict())
    assert shape is not None
    assert shape.parameters == sum(p.numel() for p in model.model.visual.parameters())
    for known in (KNOWN["Qwen/Qwen3-VL-2B-Instruct"], KNOWN["Qwen/Qwen3-VL-8B-Instruct"]):
        assert known.vision is not None
        config = {
            "text_config": {
                "num_hidden_layers": known.layers,
                "hidden_size": known.hidden,
                "intermediate_size": known.intermediate,
                "num_attention_heads": known.heads,
                "num_key_value_heads": known.kv_heads,
                "head_dim": known.head_size,
                "vocab_size": known.vocabulary,
                "tie_word_embeddings": known.hidden == 2048,
            }
        }
        text = ModelShape.of_config(config).parameters
        norms = known.layers * 2 * known.head_size  # of queries and keys
        assert text + norms + known.vision.parameters == known.parameters


@pytest.mark.parametrize(
    "size", [(332, 214), (160, 210), (1280, 720), (560, 667), (40, 400), (9000, 4000)]
)
def test_a_screenshot_takes_the_tokens_that_its_processor_makes(size: tuple[int, int]) -> None:
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

    down, across = smart_resize(size[1], size[0], 32, 65_536, 16_777_216)
    shape = KNOWN["Qwen/Qwen3-VL-2B-Instruct"].vision
    assert shape is not None
    assert shape.tokens(*size) == down * across // 32**2


def test_screenshots_need_a_policy_that_sees() -> None:
    config = with_whole_suites(load_config("cpu-text", ["policy.screenshots.images=2"]))
    with pytest.raises(UserError, match="takes text only"):
        plan(config)


def test_a_shipped_policy_is_measured_from_its_files() -> None:
    shape, download = find_shape("webdojo-nano")
    assert shape is not None
    assert download == 0
    model = find_checkpoint("webdojo-nano").model()
    assert shape.parameters == sum(p.numel() for p in model.parameters())
    config = model.config.to_dict()
    assert ModelShape.of_config(config).parameters == pytest.approx(shape.parameters, rel=0.01)


def test_a_model_that_is_not_here_is_known_by_name_or_not_at_all(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    name = "Qwen/Qwen2.5-0.5B-Instruct"
    assert find_shape(name) == (KNOWN[name], 2 * KNOWN[name].parameters)
    assert find_shape("nobody/nothing") == (None, 0)
    # Found in the cache it is read there, and nothing is to be downloaded.
    snapshot = tmp_path / "models--nobody--nothing" / "snapshots" / "0"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text(
        '{"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 10,'
        ' "num_key_value_heads": 1, "intermediate_size": 16, "tie_word_embeddings": true}'
    )
    shape, download = find_shape("nobody/nothing")
    assert download == 0
    assert shape is not None
    # A block: 8·(2·8 + 2·4) + 3·8·16 + 2·8; the last norm 8; the table 10·8.
    assert shape.parameters == 2 * (192 + 384 + 16) + 8 + 80


def test_vllm_needs_room_for_one_sequence_and_takes_a_share_of_its_gpu() -> None:
    data = {**BASE, "policy": {**BASE["policy"], "engine": "vllm"}}
    memory = estimate_memory(parse_config(data, "test"), TINY)
    assert memory.kv_cache == 2 * 2 * 4 * 4 * 100
    text = "\n".join(plan(with_whole_suites(load_config("quickstart", ["policy.engine=vllm"]))))
    assert "engine at least" in text
    assert "vLLM takes 40% of a GPU that the learner is on too, 90% of one of its own" in text


def test_memory_by_process_by_hand() -> None:
    gib, mib = 2**30, 2**20
    config = parse_config(BASE, "test")
    memory = replace(estimate_memory(config, TINY), weights=gib, gradients=gib, kv_cache=gib)
    each = estimate_processes(config, memory)
    assert each.learner == 400 * mib + memory.learner
    assert (each.rollouts, each.vllm) == (400 * mib + memory.engine, 0)
    # Eight slots and one task; the file of new weights and the one that takes its place.
    assert (each.browser, each.passing) == (8 * 50 * mib, 2 * gib)
    assert each.together == 1200 * mib + memory.learner + memory.engine + 2 * gib
    settings = {"engine": "vllm", "weight_transfer": "nccl"}
    data = {**BASE, "policy": {**BASE["policy"], **settings}}
    other = estimate_processes(parse_config(data, "test"), memory)
    assert (other.rollouts, other.vllm) == (400 * mib, 400 * mib + memory.engine)
    assert (other.learner, other.passing) == (each.learner, 0)
    several = [f"miniwob.click-{name}" for name in ("button", "link", "tab", "dialog", "option")]
    wide = parse_config({**BASE, "tasks": {"reinforced": several}}, "test")
    idle = EnvPool(Chromium(), EnvSpec(), 8)._kept
    assert estimate_processes(wide, memory).pages == 8 + idle == 16


def test_layers_are_found_in_files_and_known_of_models_that_are_not_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def linear(model: Any) -> set[str]:
        shared = model.get_input_embeddings().weight
        layers = {n: m for n, m in model.named_modules() if isinstance(m, nn.Linear)}
        return {name for name, layer in layers.items() if layer.weight is not shared}

    def from_block(names: Iterable[str]) -> set[str]:
        heads = r"^model\.(language_model\.|visual\.)?"
        return {re.sub(heads, "", name) for name in names}

    assert find_layers("webdojo-nano") == linear(find_checkpoint("webdojo-nano").model())
    write_tiny_vision(tmp_path / "seeing")
    tiny = str(tmp_path / "seeing")
    seeing = linear(find_checkpoint(tiny).model())
    assert find_layers(tiny) == seeing
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    shape, _ = find_shape(tiny)
    assert shape is not None
    monkeypatch.setitem(KNOWN, "known/seeing", shape)
    assert find_layers("known/seeing") == from_block(seeing)
    shape, _ = find_shape("webdojo-nano")
    assert shape is not None
    monkeypatch.setitem(KNOWN, "known/text", shape)
    assert find_layers("known/text") == from_block(find_layers("webdojo-nano"))
    assert find_layers("nobody/nothing") == frozenset()


def test_the_recipe_of_the_paper_fits_eight_gpus() -> None:
    config = with_whole_suites(load_config("asyncwebrl"))
    memory = estimate_memory(config, KNOWN[config.policy.checkpoint])
    gpu = 80 * 2**30
    cut = memory.weights + memory.gradients + memory.optimiser
    assert config.learner.sharded
    assert memory.learner - cut + cut / 7 < gpu
    # Beside the engine's weights there is room for two groups at full length.
    assert (config.policy.engine, config.policy.layout) == ("vllm", "chat-memory")
    room = OWN_GPU * gpu - memory.engine_weights - memory.engine_images
    assert room > memory.kv_cache * 2 * config.rollout.group_size


@pytest.mark.parametrize("name", ["qwen3-vl-2b-1gpu", "qwen3-vl-8b-8gpu"])
def test_presets_fit_the_gpus_that_they_are_for(name: str) -> None:
    config = with_whole_suites(load_config(name))
    memory = estimate_memory(config, KNOWN[config.policy.checkpoint])
    gpu = 80 * 2**30
    together = memory.learner + memory.engine
    assert memory.images > 0
    assert memory.engine_images > 0
    assert (together if "1gpu" in name else max(memory.learner, memory.engine)) < gpu


def test_no_more_steps_are_planned_than_an_update_has_episodes_to_deal() -> None:
    config = load_config("quickstart", ["learner.minibatches=99", "reinforce.max_minutes=2880"])
    text = "\n".join(plan(with_whole_suites(config)))
    assert "1 epoch × 40 mini-batches = 40 optimiser steps" in text
    assert "within 2,880 min" in text


def test_one_of_a_kind_is_told_as_one() -> None:
    ones = ["warm_start.epochs", "warm_start.episodes_per_task", "learner.minibatches",
            "rollout.groups_per_batch", "rollout.slots", "rollout.staleness", "reinforce.updates",
            "evaluation.episodes_per_task"]  # fmt: skip
    tasks = ["tasks.demonstrated=['miniwob.click-test']", "tasks.reinforced=['miniwob.click-test']",
             "tasks.unseen=[]", "tasks.held_out=[]"]  # fmt: skip
    config = load_config("quickstart", [*tasks, *(f"{key}=1" for key in ones)])
    text = "\n".join(plan(with_whole_suites(config)))
    assert re.findall(r"(?<![,.\d])1 [\w-]+s\b", text) == []
    assert "1 demonstration of 1 task, 1 epoch of" in text
    assert "1 mini-batch = 1 optimiser step\n" in text
    assert "tokens at most 1 version old" in text
    assert "1 task × 1 held-out seed from" in text


def test_the_plan_tells_batches_splits_and_downloads() -> None:
    text = "\n".join(plan(with_whole_suites(load_config("asyncwebrl"))))
    assert "16 groups × 8 = 128 episodes" in text
    assert "3 epochs × 2 mini-batches = 6 optimiser steps" in text
    assert "200 updates = 25,600 episodes" in text
    assert "unseen_tasks, 63 tasks × 5 held-out seeds" in text
    assert "Qwen/Qwen3-VL-8B-Instruct" in text
    assert "GiB are cut among the learner's processes" in text
    assert "by process: learner 173 GiB, rollouts 400 MiB, vLLM 19 GiB, browser 12 GiB" in text


def test_the_plan_tells_of_unseen_tasks_of_a_trained_kind() -> None:
    kin = "unseen tasks of a similarity group that is trained on: miniwob.enter-text-dynamic"
    assert kin in "\n".join(plan(with_whole_suites(load_config("quickstart"))))
    assert "similarity group" not in "\n".join(plan(with_whole_suites(load_config("asyncwebrl"))))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"policy": {"checkpoint": "/nope"}}, "no policy '/nope'"),
        ({"tasks": {"reinforced": ["my-suite.press"]}}, "no task 'my-suite.press'"),
        ({"tasks": {"reinforced": []}}, r"tasks\.reinforced is empty"),
        (
            {"tasks": {"demonstrated": ["miniwob.hover-shape"], "reinforced": ["miniwob"]}},
            r"demonstrated names miniwob\.hover-shape, which has no oracle",
        ),
        (
            {"policy": {"context_tokens": 100_000}},
            "context_tokens is 100000, but webdojo-nano was made for 1024; set it to 1024 at most",
        ),
    ],
)
def test_what_cannot_be_is_refused(settings: dict[str, object], sentence: str) -> None:
    some: dict[str, object] = {"name": "mine", "tasks": {"reinforced": ["miniwob.click-button"]}}
    with pytest.raises(UserError, match=sentence):
        plan(parse_config(some | settings, "test"))


def test_a_dry_run_works_without_torch_leaves_nothing_and_is_a_configuration(
    tmp_path: Path,
) -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'transformers', 'accelerate', 'peft'):\n"
        "    sys.modules[name] = None\n"
        "from webdojo.cli import main\n"
        "sys.argv[1:] = ['train', 'quickstart', '--set', 'seed=5', '--dry-run']\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("# warm start: ")
    assert "# to be downloaded: nothing" in done.stdout
    assert "# note: torch, transformers, accelerate, peft not installed here: `pip" in done.stdout
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine.toml").write_text(done.stdout)
    assert load_config(str(tmp_path / "mine.toml")) == load_config("quickstart", ["seed=5"])


def refusal(*settings: str) -> str:
    with pytest.raises(UserError) as caught:
        plan(with_whole_suites(load_config("quickstart", settings)))
    return str(caught.value)


def test_a_policy_that_cannot_write_its_layout_is_refused_as_the_run_refuses_it(
    tmp_path: Path,
) -> None:
    told = refusal("policy.layout=chat")
    assert told.startswith("the tokenizer of webdojo-nano has no chat template")
    assert "policy.layout=outline" in told
    with pytest.raises(UserError) as caught:
        find_checkpoint("webdojo-nano", "chat").tokenizer()
    assert str(caught.value).partition(" has ")[2] == told.partition(" has ")[2]

    seeing = tmp_path / "seeing"
    write_tiny_vision(seeing)
    there = f"policy.checkpoint={seeing}"
    plan(with_whole_suites(load_config("quickstart", [there, "policy.layout=chat"])))
    told = refusal(there, "policy.layout=outline")
    assert "has no token" in told and "policy.layout=chat" in told
    with pytest.raises(UserError) as caught:
        find_checkpoint(str(seeing), "outline").tokenizer()
    assert str(caught.value) == told

    (seeing / "chat_template.jinja").unlink()
    assert "has no chat template" in refusal(there, "policy.layout=chat")
    said = seeing / "tokenizer_config.json"
    said.write_text(json.dumps(json.loads(said.read_text()) | {"chat_template": "{{ messages }}"}))
    plan(with_whole_suites(load_config("quickstart", [there, "policy.layout=chat"])))
