"""Whatever a user can get wrong: one sentence, status 2, and no run folder left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_run import COIN_TASK, coin_run, finish, start, updates_of, wait_until, webdojo

from webdojo.cli.boundary import USER_ERROR
from webdojo.tasks import registry
from webdojo.tasks.errors import UserError
from webdojo.training.config_files import load_config
from webdojo.training.evaluate_agent import evaluate_agent
from webdojo.training.run import resume, train


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return coin_run(tmp_path)


@pytest.fixture(autouse=True)
def forget_coins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    registry.forget(["test.coin"])


def refusal(config: Path, *settings: str) -> str:
    return _sentence(lambda: train(load_config(str(config), settings)))


def _sentence(act: Callable[[], object]) -> str:
    with pytest.raises(UserError) as caught:
        act()
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert not Path("runs").exists()
    return sentence


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ('tasks.reinforced=["miniwob.click-buton"]', "did you mean miniwob.click-button"),
        ('tasks.reinforced=["nowhere.at-all"]', "there is no suite 'nowhere'"),
        ("tasks.reinforced=[]", "tasks.reinforced is empty"),
        ('tasks.unseen=["test"]', "test.coin is both trained on and listed as unseen"),
        ("policy.checkpoint=nowhere", "no policy 'nowhere'"),
        ("policy.checkpoint=runs/gone/checkpoints/final", "no policy 'runs/gone"),
        ("policy.context_tokens=4096", "set it to 1024 at most"),
        ("policy.layout=chat", "no chat template"),
        ('learner.lora={targets=["q_prj"]}', "names 'q_prj', and"),
    ],
)
def test_a_run_that_cannot_be_is_refused(config: Path, setting: str, sentence: str) -> None:
    assert sentence in refusal(config, setting)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("def f(:\n", "coin.py, line 1: "),
        ("x = 1\nnone.here\n", "coin.py, line 2: NameError: name 'none' is not defined"),
        ("import sys\nsys.exit(0)\n", "coin.py, line 2: SystemExit: 0"),
        ("x = 1\n", "coin.py: no task in it"),
        (COIN_TASK.replace('"test.coin"', '"Coin"'), 'id must be "suite.name"'),
        (
            COIN_TASK.replace(
                "    async def setup", "    def other(self): ...\n\n    async def begin"
            ),
            "setup missing",
        ),
    ],
)
def test_a_broken_task_file_is_refused(config: Path, source: str, sentence: str) -> None:
    config.with_name("coin.py").write_text(source)
    assert sentence in refusal(config)


def test_a_missing_task_file_is_refused(config: Path) -> None:
    config.with_name("coin.py").unlink()
    assert "coin.py: no such file" in refusal(config)


def test_a_demonstrated_task_without_an_oracle_is_refused(config: Path) -> None:
    config.with_name("coin.py").write_text(COIN_TASK.partition("    def oracle")[0])
    assert "tasks.demonstrated names test.coin, which has no oracle" in refusal(config)


def test_a_cut_checkpoint_is_refused(config: Path) -> None:
    weights = config.with_name("policy") / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert "the weights of" in refusal(config)


def test_adapters_on_a_layer_that_is_in_files_alone_are_refused(config: Path) -> None:
    weights = config.with_name("policy") / "model.safetensors"
    named = load_file(weights) | {"model.strange.weight": torch.zeros(2, 2)}
    save_file(named, weights, metadata={"format": "pt"})
    said = refusal(config, 'learner.lora={targets=["strange"]}')
    assert said.startswith("configuration 'coin': learner.lora.targets names 'strange', and ")


def test_no_browser_is_a_sentence(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBDOJO_CHROMIUM", "/nowhere/chromium")
    assert "WEBDOJO_CHROMIUM=/nowhere/chromium: no such file" in refusal(config)
    monkeypatch.delenv("WEBDOJO_CHROMIUM")
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("HOME", "/nowhere")
    monkeypatch.delenv("PLAYWRIGHT_BROWSERS_PATH", raising=False)
    assert "no Chromium found" in refusal(config)


def test_a_browser_that_does_not_start_is_a_sentence(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEBDOJO_CHROMIUM", "/bin/true")
    assert "Chromium at /bin/true does not start" in refusal(config)


def test_a_full_disk_is_refused_at_once(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, 2**20))
    assert "1 MiB of free disk space" in refusal(config)


@pytest.mark.parametrize(
    ("agent", "split", "sentence"),
    [
        ("orcale", "unseen_seeds", "no agent 'orcale': did you mean 'oracle'?"),
        ("nobody", "unseen_seeds", "no agent 'nobody'"),
        ("oracle", "unseen_seed", "no split 'unseen_seed': did you mean 'unseen_seeds'?"),
        ("oracle", "nowhere.toml", "nowhere.toml: no such file"),
        ("random", "unseen_seeds", "evaluation.episodes_per_task is 0: say with --episodes"),
    ],
)
def test_an_evaluation_that_cannot_be_is_refused(
    config: Path, agent: str, split: str, sentence: str
) -> None:
    assert sentence in _sentence(lambda: evaluate_agent(agent, split, config=str(config)))


def test_an_unknown_mode_and_a_task_without_oracle_are_refused(config: Path) -> None:
    assert "unknown mode 'gredy'" in _sentence(
        lambda: evaluate_agent("oracle", "unseen_seeds", config=str(config), mode="gredy")
    )
    config.with_name("coin.py").write_text(COIN_TASK.partition("    def oracle")[0])
    assert "no oracle" in _sentence(
        lambda: evaluate_agent("oracle", "unseen_seeds", config=str(config), episodes=9, quiet=True)
    )


def test_only_runs_are_resumed(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        assert f"{folder} is not the folder of a run" in _sentence(lambda f=folder: resume(f))


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "quikstart"],
        ["train", "coin.toml", "--set", "rollout.stalenes=0"],
        ["train"],
        ["train", "--resume", "nowhere"],
        ["train", "coin.toml", "--resume", "nowhere"],
        ["eval", "--agent", "orcale", "--split", "unseen_seeds"],
    ],
)
def test_the_command_says_one_sentence_and_exits_with_2(config: Path, arguments: list[str]) -> None:
    status, output, errors = webdojo(config.parent, *arguments)
    assert (status, output) == (USER_ERROR, "")
    assert errors.startswith("webdojo: ")
    assert errors.count("\n") == 1
    assert not Path("runs").exists()


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_a_disk_that_fills_up_in_the_middle_stops_the_run_and_resume_goes_on(
    config: Path, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=201m", "tmpfs", str(runs)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        ballast = runs / "ballast"
        process = start(tmp_path, "train", "coin.toml", "--set", "reinforce.updates=400")
        wait_until(lambda: updates_of(runs / "coin"), process)
        with ballast.open("wb") as file:
            try:
                while True:
                    file.write(bytes(2**16))
                    file.flush()
            except OSError:
                pass
        status, output, errors = finish(process)
        assert status == USER_ERROR, output + errors
        assert "the disk is full" in errors
        assert "go on with: webdojo train --resume runs/coin" in errors
        assert "Traceback" not in output + errors
        ballast.unlink()
        text = (runs / "coin" / "config.toml").read_text()
        reached = max(updates_of(runs / "coin"))
        changed = text.replace("updates = 400", f"updates = {reached + 1}")
        (runs / "coin" / "config.toml").write_text(changed)
        status, output, errors = webdojo(tmp_path, "train", "--resume", "runs/coin")
        assert (status, errors) == (0, "")
    finally:
        subprocess.run(["umount", str(runs)], check=False)
