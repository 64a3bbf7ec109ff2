"""Names of tasks stand for what they say, and nothing held out is trained on."""

from __future__ import annotations

from pathlib import Path

import pytest

from webdojo.tasks.errors import UserError
from webdojo.tasks.splits import get_split
from webdojo.training.config import TrainConfig
from webdojo.training.config_files import config_to_toml, load_config, parse_config
from webdojo.training.named_tasks import with_whole_suites


def test_a_suite_stands_for_its_tasks_and_may_not_hold_what_is_trained_on() -> None:
    config = parse_config({"tasks": {"reinforced": ["miniwob"]}}, "test")
    assert "miniwob.click-button" in with_whole_suites(config).tasks.reinforced
    leaky = {"tasks": {"reinforced": ["miniwob.click-button"], "unseen": ["miniwob"]}}
    with pytest.raises(UserError, match=r"miniwob\.click-button is both"):
        with_whole_suites(parse_config(leaky, "test"))
    with pytest.raises(UserError, match="did you mean"):
        with_whole_suites(parse_config({"tasks": {"reinforced": ["miniwob.click-buton"]}}, "test"))


def test_a_split_stands_for_its_tasks_and_a_held_out_one_is_not_trained_on() -> None:
    config = parse_config({"tasks": {"reinforced": ["miniwob-train"]}}, "test")
    assert with_whole_suites(config).tasks.reinforced == get_split("miniwob-train").task_ids
    held_out = parse_config({"tasks": {"reinforced": ["miniwob-test"]}}, "test")
    with pytest.raises(UserError, match="held out"):
        with_whole_suites(held_out)
    unseen = {"reinforced": ["miniwob-train"], "unseen": ["miniwob-test"]}
    assert with_whole_suites(parse_config({"tasks": unseen}, "test")).tasks.unseen


def refused(**tasks: object) -> str:
    with pytest.raises(UserError) as caught:
        with_whole_suites(parse_config({"tasks": tasks}, "test"))
    return str(caught.value)


def manifest(path: Path, task: str, *, new: str = "groups") -> str:
    path.write_text(
        f'name = "mine"\nversion = 1\nseeds = [1_000_000_000, 1_000_000_100]\nnew = "{new}"\n'
        f'tasks = ["{task}"]\n'
    )
    return str(path)


@pytest.mark.parametrize("part", ["demonstrated", "reinforced"])
@pytest.mark.parametrize(
    ("trained", "holder", "held", "shared"),
    [
        ("miniwob", "held_out", "miniwob-test", "task 'miniwob.ascending-numbers'"),
        ("miniwob", "unseen", "miniwob-test", "task 'miniwob.ascending-numbers'"),
        ("miniwob.click-button", "held_out", "miniwob-test", "task 'miniwob.click-button'"),
        (
            "miniwob.enter-time",
            "unseen",
            "miniwob.enter-date",
            "similarity group 'enter-date' (miniwob.enter-date)",
        ),
        ("miniwob.drag-box", "unseen", "miniwob-hard", ""),
        ("miniwob.use-slider", "held_out", "miniwob.use-slider-2", "similarity group 'use-slider'"),
        ("miniwob.enter-text", "unseen", "browsergym-miniwob.enter-text", "instances of miniwob."),
    ],
)
def test_what_a_split_in_force_holds_out_is_not_trained_on(
    tmp_path: Path, part: str, trained: str, holder: str, held: str, shared: str
) -> None:
    split = held if "." not in held else manifest(tmp_path / "mine.toml", held)
    tasks = {part: [trained], holder: [split]}
    if not shared:
        assert getattr(with_whole_suites(parse_config({"tasks": tasks}, "test")).tasks, part)
        return
    said = refused(**tasks)
    name = "mine" if "." in held else held
    assert f"tasks.{part}: miniwob." in said
    assert f"may not be trained on, since split {name!r} under tasks.{holder} holds it back" in said
    assert shared in said
    assert said.endswith("take one of the two out")


def test_tasks_named_one_by_one_are_held_out_with_the_pages_they_share() -> None:
    said = refused(reinforced=["miniwob.click-test"], unseen=["browsergym-miniwob.click-test"])
    assert "miniwob.click-test may not be trained on, since tasks.unseen holds it back" in said
    kin = {"reinforced": ["miniwob.enter-date"], "unseen": ["miniwob.enter-time"]}
    assert with_whole_suites(parse_config({"tasks": kin}, "test")).tasks.unseen


def test_a_suite_that_is_for_measuring_is_not_trained_on() -> None:
    said = refused(reinforced=["browsergym-miniwob.click-test"])
    assert "tasks.reinforced: browsergym-miniwob.click-test is for measuring" in said
    assert said.endswith("train on miniwob.click-test")
    measured = {"reinforced": ["miniwob.click-link"], "unseen": ["browsergym-miniwob.click-test"]}
    assert with_whole_suites(parse_config({"tasks": measured}, "test")).tasks.unseen


def test_only_held_out_splits_are_held_out(tmp_path: Path) -> None:
    assert "'miniwob-train' is for training" in refused(held_out=["miniwob-train"])
    assert "name splits, or manifests" in refused(held_out=["miniwob.click-test"])
    path = manifest(tmp_path / "mine.toml", "miniwob.no-such")
    assert f"split {path!r}: tasks: no task 'miniwob.no-such'" in refused(unseen=[path])
    missing = str(tmp_path / "none.toml")
    assert f"tasks.reinforced: {missing}: no such file" in refused(reinforced=[missing])
    held = manifest(tmp_path / "held.toml", "miniwob.click-test")
    assert "split 'mine' is held out" in refused(reinforced=[held])


def test_a_name_is_looked_for_among_splits_and_told_with_its_file() -> None:
    config = parse_config({"tasks": {"held_out": ["miniwob-tset"]}}, "test")
    said = (
        r"^mine\.toml: tasks\.held_out: no suite or split 'miniwob-tset': did you mean 'miniwob-t"
    )
    with pytest.raises(UserError, match=said):
        with_whole_suites(config, "mine.toml")


def test_a_manifest_of_ones_own_stands_beside_the_file_that_names_it(tmp_path: Path) -> None:
    manifest(tmp_path / "held.toml", "miniwob.click-link")
    (tmp_path / "train.toml").write_text(
        'name = "shown"\nversion = 1\nseeds = [0, 1000]\ntasks = ["miniwob.focus-text"]\n'
    )
    path = tmp_path / "run.toml"
    path.write_text('[tasks]\nreinforced = ["train.toml"]\nunseen = ["held.toml"]\n')
    config = load_config(str(path))
    assert config.tasks.unseen == (str(tmp_path / "held.toml"),)
    whole = with_whole_suites(config)
    assert whole.tasks.reinforced == ("miniwob.focus-text",)
    assert whole.tasks.seeds == (0, 1000)
    assert with_whole_suites(whole).tasks.seeds == (0, 1000)
    assert whole.tasks.unseen == ("miniwob.click-link",)
    path.write_text('[tasks]\nreinforced = ["train.toml"]\nheld_out = ["held.toml"]\n')
    config = load_config(str(path), ['tasks.demonstrated=["miniwob.click-link"]'])
    with pytest.raises(UserError, match=r"tasks\.demonstrated: miniwob\.click-link may not be"):
        with_whole_suites(config)
    again = tmp_path / "again" / "config.toml"
    again.parent.mkdir()
    again.write_text(config_to_toml(config))
    assert load_config(str(again)).tasks == config.tasks


def test_all_training_draws_on_the_same_seeds(tmp_path: Path) -> None:
    for name, end in (("few", 100), ("more", 200)):
        (tmp_path / f"{name}.toml").write_text(
            f'name = "{name}"\nversion = 1\nseeds = [50, {end}]\ntasks = ["miniwob.focus-text"]\n'
        )
    path = tmp_path / "run.toml"

    def whole(tasks: str, *settings: str) -> TrainConfig:
        path.write_text(f"[tasks]\n{tasks}\n")
        return with_whole_suites(load_config(str(path), settings))

    both = 'demonstrated = ["miniwob.click-test"]\nreinforced = ["few.toml"]'
    few = whole(both, "warm_start.episodes_per_task=50")
    assert few.tasks.seeds == (50, 100)
    for wrong, said in (
        (["tasks.seeds=[50, 99]"], r"tasks\.seeds has the seeds 50 … 98, split 'few' has 50 … 99"),
        (["tasks.seeds=[7, 7]"], r"tasks\.seeds: give \[first, end\]"),
        (["tasks.seeds=[0, 2000000000]"], r"tasks\.seeds: give \[first, end\]"),
        (["warm_start.episodes_per_task=51"], "is 51, and there are 50 seeds to train on"),
        (
            [f'tasks.demonstrated=["{tmp_path}/more.toml"]'],
            "split 'more' has the seeds 50 … 199, split 'few'",
        ),
    ):
        with pytest.raises(UserError, match=said):
            whole(both, *wrong)


def test_other_seeds_of_what_is_trained_on_are_no_unseen_tasks(tmp_path: Path) -> None:
    held = manifest(tmp_path / "held.toml", "miniwob.login-user", new="seeds")
    said = refused(reinforced=["miniwob.login-user"], unseen=[held])
    assert "tasks.unseen: split 'mine' holds other seeds of what is trained on" in said
    assert "name it under tasks.held_out" in said
    apart = {"reinforced": ["miniwob.login-user"], "held_out": [held]}
    with_whole_suites(parse_config({"tasks": apart}, "test"))
    apart = {"reinforced": ["miniwob.click-test"], "unseen": [held]}
    with_whole_suites(parse_config({"tasks": apart}, "test"))


def test_a_manifest_without_its_ending_is_told_how_to_be_named() -> None:
    assert "no suite or split 'shops': " in (said := refused(reinforced=["shops"]))
    assert said.endswith("; a manifest of your own is named by its file, which ends in .toml")
