"""Who is measured on what it was trained on is told so."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from webdojo.tasks import registry
from webdojo.tasks.errors import UserError
from webdojo.tasks.files import load_tasks_file
from webdojo.tasks.splits import HELD_OUT_SEEDS, TRAIN_SEEDS, Split, get_split
from webdojo.training.config_files import load_config, parse_config
from webdojo.training.evaluate_agent import seeds_played, show
from webdojo.training.evaluation import EvaluationResult
from webdojo.training.intervals import rate
from webdojo.training.named_tasks import with_whole_suites
from webdojo.training.plan import plan
from webdojo.training.run_folder import RunFolder
from webdojo.training.trained_on import FEW, in_words, trained_on

CLICK, TEXT, TIME, TEST = (
    f"miniwob.{n}" for n in ("click-link", "enter-text", "enter-time", "click-test")
)
SAME = "browsergym-miniwob.click-link"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Any:
    """Makes the folder of a run's checkpoint."""

    def make(name: str = "final", begins: str = "webdojo-nano", **parts: Any) -> str:
        data = {"name": "mine", "policy": {"checkpoint": begins}, **parts}
        run = RunFolder.create(parse_config(data, "test"), tmp_path / "runs")
        run.checkpoint(name).mkdir(parents=True)
        return str(run.checkpoint(name))

    return make


@pytest.fixture
def mugs(tmp_path: Path) -> Iterator[str]:
    """A task with six instances."""
    file = tmp_path / "mugs.toml"
    file.write_text(
        """
        [[tasks]]
        id = "mugs.order"
        url = "http://localhost:8000/"
        goal = "Order a {mug} mug as {name}."
        choices = { mug = ["red", "blue"], name = ["Ada", "Bo", "Cy"] }
        evaluators = [{ type = "dom", selector = "h1", text = "{mug} {name}" }]
        """
    )
    (task_id,) = load_tasks_file(file)
    yield task_id
    registry.forget([task_id])


COUNTS = EvaluationResult((), {}, {}).counts


def played(*task_ids: str, seeds: range = HELD_OUT_SEEDS) -> Split:
    return Split("played", 1, task_ids, seeds)


TASKS = {"demonstrated": [CLICK], "reinforced": [TEXT]}


def test_tasks_groups_and_seeds_are_told(checkpoint: Any) -> None:
    final = checkpoint(tasks=TASKS)
    found = trained_on(final, played(CLICK, TIME, TEST))
    assert found == {
        "tasks": [CLICK], "groups": [TIME], "seeds": "held out", "few_instances": [],
        "begun_from": "",
    }  # fmt: skip
    assert in_words(found, 3) == (
        f"trained on: 1 of the 3 tasks played ({CLICK}), with other seeds;"
        f" 1 more of a similarity group trained on ({TIME})"
    )
    found = trained_on(final, played(CLICK, TEXT, seeds=TRAIN_SEEDS))
    assert found is not None
    assert (found["tasks"], found["seeds"]) == ([CLICK, TEXT], "training")
    assert "with these seeds perhaps" in in_words(found, 2)
    assert in_words(trained_on(final, played(TEST)), 1) == "trained on: none of the 1 tasks played"


def test_the_same_pages_under_another_name_are_told(checkpoint: Any) -> None:
    found = trained_on(checkpoint(tasks=TASKS), played(SAME))
    assert found == {
        "tasks": [SAME], "groups": [], "seeds": "training", "few_instances": [],
        "begun_from": "",
    }  # fmt: skip


def test_few_instances_are_never_unseen(checkpoint: Any, mugs: str) -> None:
    final = checkpoint(tasks={"reinforced": [mugs, TEXT]})
    found = trained_on(final, played(mugs, TEXT))
    assert found is not None
    assert (found["few_instances"], found["seeds"]) == ([mugs], "training")
    assert in_words(found, 2).endswith(f"; among them 1 {FEW} ({mugs})")
    alone = in_words(trained_on(final, played(mugs)), 1)
    assert alone == f"trained on: 1 of the 1 tasks played ({mugs}), {FEW}"
    fewer_seeds = checkpoint("update-000001", tasks={"reinforced": [mugs], "seeds": [0, 6]})
    assert "with other seeds" in in_words(trained_on(fewer_seeds, played(mugs)), 1)


def test_the_plan_counts_few_instances(mugs: str) -> None:
    data: dict[str, Any] = {"name": "mine", "tasks": {"reinforced": [mugs, TEXT]}}
    (told,) = [line for line in plan(parse_config(data, "test")) if "instance" in line]
    assert told == f"  unseen_seeds of {mugs}: 6 instances in all, every one may be trained on"
    data["tasks"]["seeds"] = [0, 6]
    assert not [line for line in plan(parse_config(data, "test")) if "instance" in line]


def test_it_stands_below_the_rates(checkpoint: Any, capsys: pytest.CaptureFixture[str]) -> None:
    final = checkpoint(tasks=TASKS)
    rates = {task: rate(1, 2) for task in (CLICK, TEST)}
    result = {"all": rate(2, 4), "tasks": rates, **COUNTS}
    found = {"split": "played", "defined_by": "mine", "modes": {"greedy": result}}
    found["seeds"] = seeds_played(played(CLICK), 0, 2)
    seen = {"agent": final, "trained_on": trained_on(final, played(CLICK, TEST))}
    show(found | seen)
    assert capsys.readouterr().out.endswith(
        f"trained on: 1 of the 2 tasks played ({CLICK}), with other seeds\n"
    )
    show(found | {"agent": "oracle", "trained_on": None})
    assert "trained on" not in capsys.readouterr().out


def test_seeds_for_training_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    seeds = seeds_played(played(CLICK, seeds=range(100)), 5, 40)
    assert seeds == {"first": 5, "last": 44, "for": "training"}
    held_out = seeds_played(played(CLICK), 0, 40)
    assert held_out == {"first": 10**9, "last": 10**9 + 39, "for": "held out"}
    result = {"all": rate(1, 2), "tasks": {CLICK: rate(1, 2)}, **COUNTS}
    found = {"agent": "oracle", "split": "mine", "defined_by": "my-train.toml"}
    found |= {"trained_on": None, "modes": {"oracle": result}}
    show(found | {"seeds": seeds})
    told = " ".join(capsys.readouterr().out.split())
    assert told.startswith("mine (my-train.toml), seeds 5 … 44, for training, oracle")
    show(found | {"seeds": held_out})
    assert "seeds" not in capsys.readouterr().out


def test_long_lists_are_cut(checkpoint: Any) -> None:
    split = get_split("miniwob-train")
    found = trained_on(checkpoint(tasks={"reinforced": list(split.task_ids)}), split)
    assert found is not None
    assert len(found["tasks"]) == 62
    assert "62 of the 62 tasks played (miniwob.book-flight, " in in_words(found, 62)
    assert " and 57 more)" in in_words(found, 62)


@pytest.mark.parametrize(
    ("name", "parts", "trained"),
    [
        ("warm-start", {}, [CLICK]),
        ("update-000010", {}, [CLICK, TEXT]),
        ("final", {"warm_start": {"episodes_per_task": 0}}, [TEXT]),
        ("final", {"reinforce": {"updates": 0}}, [CLICK]),
    ],
)
def test_what_a_phase_has_not_done_does_not_count(
    checkpoint: Any, name: str, parts: dict[str, Any], trained: list[str]
) -> None:
    found = trained_on(checkpoint(name, tasks=TASKS, **parts), played(CLICK, TEXT))
    assert found is not None
    assert found["tasks"] == trained


def test_what_the_run_before_was_trained_on_counts_too(checkpoint: Any) -> None:
    first = checkpoint(tasks=TASKS)
    second = checkpoint(begins=first, tasks={"reinforced": [TEST]})
    found = trained_on(second, played(CLICK, TEXT, TEST))
    assert found is not None
    assert found["tasks"] == [CLICK, TEXT, TEST]


def test_a_run_begun_from_a_folder_of_no_run_tells_its_own(checkpoint: Any, tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    final = checkpoint(
        begins=checkpoint(begins=str(base), tasks=TASKS), tasks={"reinforced": [TEST]}
    )
    found = trained_on(final, played(CLICK, TEST, TIME))
    assert found is not None
    assert (found["tasks"], found["groups"]) == ([CLICK, TEST], [TIME])
    assert in_words(found, 3).endswith(f"; what {base} was trained on before is not known")
    leaks = {"tasks": {"reinforced": [TIME], "unseen": [CLICK]}, "policy": {"checkpoint": final}}
    with pytest.raises(UserError, match=rf"policy\.checkpoint: {CLICK} may not be trained on"):
        with_whole_suites(parse_config({"name": "next"} | leaks, "test"))


def test_a_run_before_that_is_gone_is_told(checkpoint: Any) -> None:
    first = checkpoint(tasks=TASKS)
    second = checkpoint(begins=first, tasks={"reinforced": [TEST]})
    shutil.rmtree(first)
    told = in_words(trained_on(second, played(CLICK)), 1)
    assert told.endswith(f"what {first} was trained on before is not known")


def test_a_checkpoint_named_on_the_command_line_is_known_from_elsewhere(
    checkpoint: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = checkpoint(tasks=TASKS)
    monkeypatch.chdir(tmp_path)
    named = f"policy.checkpoint={Path(first).relative_to(tmp_path)}"
    assert load_config("quickstart", [named]).policy.checkpoint == first


def test_all_seeds_of_the_runs_before_count(checkpoint: Any, mugs: str) -> None:
    begins = "webdojo-nano"
    for seeds in ([0, 3], [3, 6], [0, 6], [900, 903]):
        begins = checkpoint(begins=begins, tasks={"reinforced": [mugs], "seeds": seeds})
        found = trained_on(begins, played(mugs))
        assert found is not None
        assert bool(found["few_instances"]) is (seeds == [900, 903])


def test_what_the_policy_has_seen_all_of_is_not_held_out_from_it(
    checkpoint: Any, mugs: str, tmp_path: Path
) -> None:
    manifest = tmp_path / "mugs-held-out.toml"
    manifest.write_text(
        f'name = "held"\nversion = 1\ntasks = ["{mugs}"]\nseeds = [1_000_000_000, 1_000_000_100]\n'
    )
    held = {"reinforced": [TEXT], "seeds": [0, 5], "held_out": [str(manifest)]}
    for seeds, refused in (([0, 6], False), ([0, 7], True)):
        first = checkpoint(tasks={"reinforced": [mugs], "seeds": seeds})
        config = parse_config({"name": "m", "policy": {"checkpoint": first}, "tasks": held}, "test")
        with pytest.raises(UserError, match=r"policy\.checkpoint: ") if refused else nullcontext():
            with_whole_suites(config)


def test_a_policy_of_no_run_is_told_from_an_untrained_one(tmp_path: Path) -> None:
    assert trained_on(str(tmp_path), played(CLICK)) is None
    assert "not known" in in_words(None, 1)
    assert trained_on("webdojo-nano", played(CLICK)) == {
        "tasks": [], "groups": [], "seeds": "held out", "few_instances": [],
        "begun_from": "",
    }  # fmt: skip


def test_what_the_policy_has_learnt_before_is_not_held_out_from_it(checkpoint: Any) -> None:
    first = checkpoint(tasks=TASKS)
    data: dict[str, Any] = {"name": "next", "policy": {"checkpoint": first}}
    fine = data | {"tasks": {"reinforced": [TIME], "unseen": [TEST]}}
    assert with_whole_suites(parse_config(fine, "test")).tasks.unseen == (TEST,)
    leaks = data | {"tasks": {"reinforced": [TIME], "unseen": [CLICK, TEST]}}
    with pytest.raises(UserError, match=rf"policy\.checkpoint: {CLICK} may not be trained on"):
        with_whole_suites(parse_config(leaks, "test"))
