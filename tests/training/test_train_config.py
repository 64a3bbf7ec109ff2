"""The configuration: presets hold, wrong keys and values are named, and all is kept."""

from __future__ import annotations

import tomllib
from itertools import permutations
from pathlib import Path

import pytest
from config_refusals import refusal

from webdojo.tasks.errors import UserError
from webdojo.training.config_files import (
    config_to_toml,
    load_config,
    parse_config,
    presets,
    quickstart_on,
)
from webdojo.training.named_tasks import with_whole_suites
from webdojo.training.objectives.config import (
    ConstantK,
    ConstantLength,
    DecoupledCorrection,
    ObjectiveConfig,
    PpoSurrogate,
)
from webdojo.training.run_folder import RunFolder


@pytest.mark.parametrize("name", presets())
def test_every_preset_holds_and_names_tasks_that_are_there(name: str) -> None:
    config = with_whole_suites(load_config(name))
    assert config.tasks.reinforced
    assert config.undemonstrated
    assert set(config.undemonstrated).isdisjoint(config.tasks.demonstrated)


def test_a_configuration_is_written_and_read_back_the_same(tmp_path: Path) -> None:
    settings = ["seed=7", 'tasks.files=["a.py"]', "policy.layout=chat", "rollout.temperature=0.5"]
    config = load_config("quickstart", settings)
    path = tmp_path / "config.toml"
    path.write_text(config_to_toml(config))
    assert load_config(str(path)) == config
    assert (config.seed, config.policy.layout, config.rollout.temperature) == (7, "chat", 0.5)


def test_a_name_that_is_near_a_preset_is_told() -> None:
    assert refusal("quikstart").endswith("or a preset; did you mean 'quickstart'?")
    assert refusal("nothing-like-it").endswith("qwen3-vl-2b-1gpu, qwen3-vl-8b-8gpu")
    assert "nowhere.toml" in refusal("nowhere.toml")


def test_a_file_that_is_near_a_name_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text("")
    for given in ("mine", "mine.tml", "./mine", "mine.toml.txt"):
        assert "did you mean 'mine.toml'" in refusal(given)
    assert "did you mean 'quickstart'" in refusal("quikstart")
    Path("sub").mkdir()
    Path("sub/other.toml").write_text("")
    assert "did you mean 'sub/other.toml'" in refusal("sub/other")


def test_what_is_no_configuration_is_told_where_it_goes(tmp_path: Path) -> None:
    for name, text in (
        ("mine.py", "x = 1\n"),
        ("mine.toml", '[[tasks]]\nid = "a.b"\n'),
        ("mine.jsonl", '{"id": "a.b"}\n'),
    ):
        path = tmp_path / name
        path.write_text(text)
        assert f"give it as --tasks {path}" in refusal(path)
    folder = RunFolder.create(load_config("quickstart"), tmp_path).path
    assert f"webdojo train --resume {folder}" in refusal(folder)


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("rolout.staleness=0", "unknown key 'rolout'; the nearest is 'rollout'"),
        ("rollout.stalenes=0", "'rollout.stalenes'; the nearest is 'rollout.staleness'"),
        (
            "objective.surrogate.clip_hgh=1",
            "objective.surrogate is 'ppo' (from objective preset asyncwebrl); the nearest is",
        ),
        ("learner.learning_rate=1", "unknown key 'learner.learning_rate'"),
        (
            "rollout.staleness=many",
            '--set: rollout.staleness takes a whole number, 0 or more, such as 2; given: "many"',
        ),
        (
            "rollout.staleness=-1",
            "rollout.staleness takes a whole number, 0 or more, such as 2; given: -1",
        ),
        (
            "rollout=3",
            "rollout is a section, whose keys take values, such as rollout.slots=16; given: 3",
        ),
        ("name=3.x=4", "name"),
        ("name=../out", "name takes letters, digits, dots, dashes and underscores"),
        ("name.x=1", "name is a value, not a section"),
        ("rollout.staleness", "write key=value"),
        ("=3", "write key=value"),
        ("objective.preset=none", "there is no objective preset 'none'"),
        ("policy.layout=xml", "policy.layout takes outline, chat, chat-progress,"),
        ("policy.max_response_tokens=1024", "no room for a prompt in context_tokens=1024"),
        ('tasks.reinforced="miniwob.click-button"', "tasks.reinforced"),
        (
            "seed=100000000000000000000",
            "seed takes a whole number from 0 to 2^63 − 1, such as 0; given: 1000",
        ),
        ("rollout.temperature=1e-50", "rollout.temperature takes a number from 0.01 to 100"),
        ("rollout.slots=1000000000", "rollout.slots takes a whole number from 1 to 100,000"),
        (
            "reinforce.learner_threads=100000000000",
            "reinforce.learner_threads takes a whole number from 1 to",
        ),
        (
            "rollout.engine_threads=1000000",
            "rollout.engine_threads takes a whole number from 1 to 1,024",
        ),
        (
            "name=" + 61 * "a",
            "name takes letters, digits, dots, dashes and underscores, at most 60",
        ),
        ("learner.lr=1e300", "learner.lr takes a number above 0 and at most 10"),
        ("warm_start.lr=11.0", "warm_start.lr takes a number above 0 and at most 10"),
        ("learner.epochs=1000000000000", "learner.epochs takes a whole number from 1 to 1,000"),
        ("warm_start.epochs=1001", "warm_start.epochs takes a whole number from 1 to 1,000"),
        ("rollout.deadline_s=1e-9", "rollout.deadline_s takes a number from 1 to 604,800"),
        (
            "warm_start.episodes_per_task=100000000000",
            "warm_start.episodes_per_task takes a whole number from 0 to 1,000,000",
        ),
        (
            "evaluation.episodes_per_task=1000001",
            "evaluation.episodes_per_task takes a whole number from 0 to 1,000,000",
        ),
        (  # as many seeds are left as are played at most
            "evaluation.seed_offset=999999990",
            "evaluation.seed_offset takes a whole number from 0 to 999,000,000",
        ),
        ("reinforce.updates=1000000000", "reinforce.updates takes a whole number from 0 to"),
        ("learner.temperature=0.5", "unknown key 'learner.temperature'; the nearest is"),
        ("learner.banned_token_ids=[3]", "unknown key 'learner.banned_token_ids'"),
        ("learner.seed=5", "unknown key 'learner.seed'"),
        ("learner.lora={targets=[]}", "learner.lora.targets takes a list of one or more texts"),
        ('tasks.unseen=["miniwob.login-user"]', "both trained on and listed as unseen"),
    ],
)
def test_a_wrong_setting_is_named(setting: str, sentence: str) -> None:
    assert sentence in refusal("quickstart", setting)


def test_a_learning_rate_that_would_be_zero_is_refused_and_fits_by_itself() -> None:
    cosine = 'learner={schedule="cosine"}'
    config = load_config("quickstart", [cosine, "reinforce.updates=9"])
    assert (config.learner.total_steps, config.reinforce.updates) == (None, 9)
    short = 'learner={schedule="cosine", total_steps=5}'
    with pytest.raises(UserError, match=r"0 after step 5: reinforce\.updates=9, and learner\.tot"):
        load_config("quickstart", [short, "reinforce.updates=9"])
    load_config("quickstart", [short, "reinforce.updates=9", "learner.final_lr_ratio=0.1"])
    late = 'learner={schedule="cosine", warmup_steps=9}'
    with pytest.raises(UserError, match=r"reinforce\.updates=9 leaves nothing after learner\.wa"):
        load_config("quickstart", [late, "reinforce.updates=9"])


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[rollout\n")
    assert f"{path} is not valid TOML" in refusal(path)
    path.write_bytes(b"\xff\xfe")
    assert f"{path} is not valid TOML" in refusal(path)
    path.write_text("[rollout]\nslots = 0\n")
    assert f"{path}: rollout.slots" in refusal(path)


def test_task_files_are_found_beside_the_file_that_names_them(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[tasks]\nfiles = ["a.py", "/elsewhere/b.py"]\n')
    config = load_config(str(path), (), [Path("c.py")])
    expected = (tmp_path / "a.py", Path("/elsewhere/b.py"), Path.cwd() / "c.py")
    assert config.tasks.files == expected
    assert config.name == "mine"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("mine", "mine"),
        ("my run", "my-run"),
        ("über uns (2)", "ber-uns--2"),
        ("-_.v1.2", "v1.2"),
        ("(€)", "mine"),
        (200 * "a", 60 * "a"),
    ],
)
def test_a_run_takes_the_name_of_its_file_as_far_as_it_can(
    tmp_path: Path, file: str, name: str
) -> None:
    path = tmp_path / f"{file}.toml"
    path.write_text("")
    assert load_config(str(path)).name == name


def test_the_longest_name_makes_a_folder(tmp_path: Path) -> None:
    config = load_config("quickstart", ["name=a" + 59 * "\N{CJK UNIFIED IDEOGRAPH-20000}"])
    assert len(RunFolder.create(config, tmp_path).path.name.encode()) == 1 + 59 * 4
    assert RunFolder.create(config, tmp_path).path.name.endswith("-2")


def test_a_checkpoint_is_found_beside_the_file_that_names_it_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here / "policy", there / "policy", here / "mine", there / "webdojo-nano"):
        folder.mkdir(parents=True)
    monkeypatch.chdir(here)
    path = there / "mine.toml"

    def found(name: str, *settings: str) -> str:
        path.write_text(f'[policy]\ncheckpoint = "{name}"\n')
        return load_config(str(path), settings).policy.checkpoint

    assert found("policy") == str(there / "policy")
    assert found("./policy") == str(there / "policy")
    assert found("policy", "policy.checkpoint=policy") == str(here / "policy")
    assert found("mine") == str(here / "mine")
    assert found("Qwen/Qwen2.5-0.5B-Instruct") == "Qwen/Qwen2.5-0.5B-Instruct"
    assert found("webdojo-nano") == "webdojo-nano"


def test_asyncwebrl_has_the_figures_of_the_paper() -> None:
    config = load_config("asyncwebrl")
    assert (config.policy.max_response_tokens, config.policy.context_tokens) == (4096, 16384)
    rollout, learner = config.rollout, config.learner
    assert (rollout.group_size, rollout.groups_per_batch) == (8, 16)
    assert (rollout.staleness, rollout.temperature) == (2, 1.0)
    assert (learner.lr, learner.schedule, learner.max_grad_norm) == (5e-6, "cosine", 1.0)
    assert (learner.epochs, learner.minibatches) == (3, 2)
    assert learner.total_steps == config.reinforce.updates
    assert config.objective == ObjectiveConfig.from_preset("asyncwebrl")
    surrogate, correction = config.objective.surrogate, config.objective.correction
    assert surrogate == PpoSurrogate(clip_low=0.2, clip_high=0.2, dual_clip=3.0)
    assert correction == DecoupledCorrection(cap=5.0)
    assert config.objective.normalizer == ConstantK(k=10)
    assert not config.objective.needs_reference


def test_a_deterministic_run_must_be_synchronous() -> None:
    sentence = refusal("quickstart", "rollout.deterministic=true")
    assert 'needs staleness = 0 and collection = "submission"' in sentence
    assert "rollout.deterministic = true, from --set" in sentence
    assert "rollout.staleness = 2, from preset quickstart" in sentence
    assert 'rollout.collection = "completion", the default' in sentence
    settings = ["rollout.staleness=0", "rollout.collection=submission"]
    config = load_config("quickstart", [*settings, "rollout.deterministic=true"])
    assert config.rollout.deterministic


def test_an_unknown_logger_and_a_wrong_adapter_setting_are_named() -> None:
    assert 'loggers takes a list of trackio or wandb, such as ["wandb"]' in refusal(
        "quickstart", 'loggers=["tensorbord"]'
    )
    sentence = refusal("quickstart", "learner.lora.rnk=8")
    assert "'learner.lora.rnk'; the nearest is 'learner.lora.rank'" in sentence


OWN = """
from webdojo.tasks import Outcome, Task


class Shown(Task):
    id = "{0}.shown"

    async def setup(self, page, seed):
        return "Go."

    async def evaluate(self, page, answer):
        return Outcome(1.0, done=True)

    def oracle(self, view):
        yield "noop()"


class Hidden(Shown):
    id = "{0}.hidden"
    oracle = Task.oracle
"""


def test_tasks_alone_take_the_quick_starts_settings(tmp_path: Path) -> None:
    file = tmp_path / "_my tasks.py"
    file.write_text(OWN.format("quick-own"))
    config = quickstart_on([file], ["reinforce.updates=3"])
    usual = load_config("quickstart")
    assert config.name == "my-tasks"
    assert config.tasks.files == (file,)
    assert config.tasks.reinforced == ("quick-own.shown", "quick-own.hidden")
    assert config.tasks.demonstrated == (*usual.tasks.demonstrated, "quick-own.shown")
    assert config.reinforce == usual.reinforce.model_copy(update={"updates": 3})


def test_another_objective_keeps_nothing_of_the_file_s() -> None:
    chosen = load_config("asyncwebrl", ["objective.preset=multi_step_grpo"])
    assert chosen.objective == ObjectiveConfig.from_preset("multi_step_grpo")
    changed = load_config(
        "quickstart", ["objective.surrogate.clip_high=0.3", "objective.preset=dr_grpo"]
    )
    assert changed.objective.normalizer == ConstantLength(max_tokens=48)
    assert changed.objective.surrogate.clip_high == 0.3


@pytest.mark.parametrize(
    "named",
    ["objective=asyncwebrl", 'objective={preset="asyncwebrl"}', "objective.preset=asyncwebrl"],
)
def test_the_file_s_own_objective_named_again_keeps_none_of_its_changes(named: str) -> None:
    assert load_config("quickstart").objective.surrogate == PpoSurrogate(
        clip_high=0.28, dual_clip=3.0
    )
    assert load_config("quickstart", [named]).objective == ObjectiveConfig.from_preset("asyncwebrl")


@pytest.mark.parametrize("key", ["objective.surrogate", "objective.surrogate.name"])
def test_the_file_s_own_kind_named_again_keeps_none_of_its_changes(key: str) -> None:
    assert load_config("quickstart", [f"{key}=ppo"]).objective.surrogate == PpoSurrogate()


@pytest.mark.parametrize("whole", ["objective=dapo", 'objective={preset="dapo"}'])
@pytest.mark.parametrize("kind", ["objective.surrogate=gspo", 'objective.surrogate={name="gspo"}'])
def test_presets_come_before_kinds_and_kinds_before_keys(whole: str, kind: str) -> None:
    key = "objective.surrogate.clip_high=0.5"
    expected = ObjectiveConfig.model_validate(
        {"preset": "dapo", "surrogate": {"name": "gspo", "clip_high": 0.5}}
    )
    for settings in permutations([whole, kind, key]):
        assert load_config("quickstart", settings).objective == expected


@pytest.mark.parametrize(
    ("setting", "takes"),
    [
        ("learner.lr=true", "a number above 0"),
        ("seed=true", "a whole number"),
        ("rollout.slots=16.0", "a whole number"),
        ('rollout.slots="16"', "a whole number"),
        ("learner.betas=[true, 0.9]", "a list of 2, each a number"),
        ("objective.surrogate.dual_clip=true", "a number above 1 or inf"),
        ("reinforce.keep_best=off", "true or false"),
        ('reinforce.keep_best="true"', "true or false"),
        ("objective.kl.importance_weighted=1", "true or false"),
    ],
)
def test_a_value_of_another_type_is_refused(setting: str, takes: str) -> None:
    assert f"--set: {setting.partition('=')[0]} takes {takes}" in refusal("quickstart", setting)


def test_whole_numbers_and_infinity_are_numbers() -> None:
    whole = ["learner.lr=1", "learner.betas=[0, 0.9]", "objective.surrogate.dual_clip=inf"]
    config = load_config("quickstart", whole)
    assert (config.learner.lr, config.learner.betas) == (1.0, (0.0, 0.9))
    assert config.objective.surrogate == PpoSurrogate(clip_high=0.28)
    assert parse_config(tomllib.loads(config_to_toml(config)), "test") == config


def test_a_constant_length_is_the_longest_response_of_the_run(tmp_path: Path) -> None:
    taken = load_config("quickstart", ["objective.preset=dr_grpo", "policy.max_response_tokens=64"])
    assert taken.objective.normalizer == ConstantLength(max_tokens=64)
    given = load_config(
        "quickstart", ['objective.normalizer={name="constant_length", max_tokens=9}']
    )
    assert given.objective.normalizer == ConstantLength(max_tokens=9)
    path = tmp_path / "config.toml"
    path.write_text(config_to_toml(taken))
    assert load_config(str(path)) == taken
