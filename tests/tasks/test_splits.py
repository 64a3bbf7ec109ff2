"""Splits say what is for training and what is held out, and never let the two meet."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from webdojo.tasks import registry
from webdojo.tasks.errors import UserError
from webdojo.tasks.miniwob.catalogue import pages
from webdojo.tasks.splits import (
    HELD_OUT_SEEDS,
    TRAIN_SEEDS,
    Split,
    get_split,
    leaks,
    load_split,
    require_trainable,
    split_names,
)

GROUPS = {f"miniwob.{page.name}": page.group for page in pages()}


def test_the_published_split_is_whole_and_known() -> None:
    train, test = get_split("miniwob-train"), get_split("miniwob-test")
    assert (len(train.task_ids), len(test.task_ids)) == (62, 63)
    assert set(train.task_ids) | set(test.task_ids) <= set(registry.task_ids("miniwob"))
    assert train.trainable
    assert not test.trainable


def test_no_related_page_is_on_both_sides() -> None:
    assert leaks(get_split("miniwob-train"), get_split("miniwob-test"), GROUPS) == []


def test_built_in_training_and_held_out_splits_share_no_instance() -> None:
    splits = [get_split(name) for name in split_names()]
    for train in (s for s in splits if s.trainable):
        for held_out in (s for s in splits if not s.trainable):
            assert leaks(train, held_out) == []


def test_leaks_are_named() -> None:
    train = Split("a", 1, ("miniwob.click-test", "miniwob.login-user"), range(10, 20))
    alike = Split("b", 1, ("miniwob.login-user",), range(15, 30))
    assert leaks(train, alike) == ["seeds 15 … 19 of miniwob.login-user"]
    other = Split("c", 1, ("miniwob.login-user-popup",), HELD_OUT_SEEDS)
    assert leaks(train, other) == []
    assert "login-user-popup" in leaks(train, other, GROUPS)[0]


def test_training_on_held_out_seeds_is_refused() -> None:
    with pytest.raises(UserError, match="is held out"):
        require_trainable(get_split("miniwob-test"))
    across = Split(
        "a", 1, ("miniwob.click-test",), range(TRAIN_SEEDS.stop - 1, TRAIN_SEEDS.stop + 1)
    )
    with pytest.raises(UserError, match="is held out"):
        require_trainable(across)


def test_the_hash_knows_the_content_and_only_that() -> None:
    one = Split("a", 1, ("x.b", "x.a"), range(5))
    assert one.content_hash == Split("z", 9, ("x.a", "x.b"), range(5)).content_hash
    assert one.content_hash != Split("a", 1, ("x.a",), range(5)).content_hash
    assert one.content_hash != Split("a", 1, ("x.a", "x.b"), range(6)).content_hash
    for changed in (replace(one, new="groups"), replace(one, against=("x",))):
        assert one.content_hash != changed.content_hash


def test_episodes_are_every_task_with_the_same_seeds() -> None:
    split = Split("a", 1, ("x.a", "x.b"), range(100, 110))
    assert list(split.episodes(2, skip=1)) == [
        ("x.a", 101), ("x.a", 102), ("x.b", 101), ("x.b", 102),
    ]  # fmt: skip
    with pytest.raises(UserError, match="has 10 seeds"):
        split.episodes(11)


def test_names_and_versions() -> None:
    assert get_split("miniwob-test@1") is get_split("miniwob-test")
    with pytest.raises(UserError, match="did you mean 'miniwob-test'"):
        get_split("miniwob-tset")
    with pytest.raises(UserError, match="at version 1, not 2"):
        get_split("miniwob-test@2")


MANIFEST = 'name = "mine"\nversion = 1\nseeds = [0, 10]\ntasks = ["x.a"]\n'


def test_a_manifest_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(MANIFEST)
    split = load_split(path)
    assert get_split(str(path)) == split == Split("mine", 1, ("x.a",), range(10))
    path.write_text(MANIFEST + f'sha256 = "{split.content_hash}"\n')
    assert load_split(path) == split


def test_a_manifest_is_named_by_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.toml").write_text(MANIFEST)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"is named by its file: mine\.toml"):
        get_split("mine")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("version = 1\n", ""), "field 'version' is missing"),
        (("seeds = [0, 10]", 'seeds = "all"'), "seeds must be"),
        (("seeds = [0, 10]", "seeds = [10, 0]"), "seeds must be a range"),
        (("seeds = [0, 10]", "seeds = [0, 9_000_000_000]"), "seeds must lie in"),
        (('["x.a"]', "[]"), "has no tasks"),
        (('["x.a"]', '["x.a", "x.a"]'), "twice"),
        (("version", "verzion"), "unknown field 'verzion'"),
        (("tasks", 'sha256 = "0"\ntasks'), "a changed split needs a new version"),
        (("= 1", "="), "not TOML"),
    ],
)
def test_mistakes_in_a_manifest_are_named(
    tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(MANIFEST.replace(*change))
    with pytest.raises(UserError, match=said.replace("(", r"\(")):
        load_split(path)
