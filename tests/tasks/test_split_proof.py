"""`prove` finds every way in which a held-out split can share what it holds back."""

from __future__ import annotations

import json
import re
from typing import get_args

import pytest

from webdojo.tasks import Outcome, Task, registry
from webdojo.tasks.errors import UserError
from webdojo.tasks.evaluators import EvaluatedTask
from webdojo.tasks.files import load_tasks_file
from webdojo.tasks.miniwob.catalogue import pages
from webdojo.tasks.sites import Site
from webdojo.tasks.splits import (
    HELD_OUT_SEEDS,
    TRAIN_SEEDS,
    Split,
    get_split,
    load_split,
    prove,
    split_names,
    trained_among,
)
from webdojo.tasks.splits.split import New


class Shop(Task):
    async def setup(self, page, seed):
        return f"Buy at {self.id}."

    async def evaluate(self, page, answer):
        return Outcome(0.0, done=False)


FIELDS = {
    "shops.buy-a": {"group": "buy", "allowed_origins": ("http://a.test/",)},
    "shops.buy-b": {"group": "buy", "allowed_origins": ("http://b.test/",), "difficulty": "hard"},
    "shops.pay-a": {"group": "pay", "allowed_origins": ("http://a.test/",)},
    "shops.pay-c": {"group": "pay", "site": "c", "allowed_origins": ("http://c.test/",)},
    "shops.sell-c": {"site": "c", "difficulty": "medium"},
    "shops.look-a": {"allowed_origins": ("http://www.a.test/",)},
    "shops.named-a": {"site": "WWW.A.test."},
    "shops.both-bc": {"site": "b.test", "other_sites": ("c",)},
    "shops.mirror-a": {"same_pages_as": "shops.buy-a", "page_seeds": range(1_000)},
    "shops.twin-a": {"same_pages_as": "shops.buy-a"},
    "shops.file-d": {"allowed_origins": ("file:///shops/",)},
    "shops.file-e": {"allowed_origins": ("file:///shops/",)},
}


@pytest.fixture(autouse=True)
def shops():
    for task_id, fields in FIELDS.items():
        registry.register(type("Shop", (Shop,), {"id": task_id, **fields}))
    yield
    registry.forget(FIELDS)


def leaks(trained: str, held_out: str, new: New) -> tuple[str, ...]:
    train = Split("train", 1, (f"shops.{trained}",), TRAIN_SEEDS)
    other = Split("test", 1, (f"shops.{held_out}",), HELD_OUT_SEEDS, new, ("train",))
    (proof,) = prove([train, other])
    assert (proof.train, proof.held_out) == ("train", "test")
    return proof.leaks


@pytest.mark.parametrize(
    ("trained", "held_out", "new", "found"),
    [
        ("buy-a", "buy-a", "seeds", ()),
        ("buy-a", "buy-a", "tasks", ("task 'shops.buy-a' (shops.buy-a)",)),
        ("buy-a", "buy-b", "tasks", ()),
        ("buy-a", "buy-b", "groups", ("similarity group 'buy' (shops.buy-b)",)),
        ("buy-a", "pay-a", "groups", ()),
        ("buy-a", "pay-a", "sites", ("site 'a.test' (shops.pay-a)",)),
        ("buy-a", "buy-b", "sites", ("similarity group 'buy' (shops.buy-b)",)),
        ("pay-c", "sell-c", "sites", ("site 'c' (shops.sell-c)",)),
        ("pay-c", "sell-c", "groups", ()),
        ("buy-a", "sell-c", "sites", ()),
        ("buy-a", "look-a", "sites", ("site 'a.test' (shops.look-a)",)),
        ("buy-a", "named-a", "sites", ("site 'a.test' (shops.named-a)",)),
        ("sell-c", "both-bc", "sites", ("site 'c' (shops.both-bc)",)),
        ("both-bc", "sell-c", "sites", ("site 'c' (shops.sell-c)",)),
        ("both-bc", "pay-c", "groups", ()),
        ("buy-a", "both-bc", "sites", ()),
        ("buy-a", "twin-a", "seeds", ()),
        ("buy-a", "twin-a", "tasks", ("task 'shops.buy-a' (shops.twin-a)",)),
        ("file-d", "file-e", "sites", ("site 'file:///shops/' (shops.file-e)",)),
        ("buy-a", "buy-b", "difficulty", ("similarity group 'buy' (shops.buy-b)",)),
        ("pay-a", "sell-c", "difficulty", ()),
        ("buy-a", "pay-a", "difficulty", ("difficulty 'easy' (shops.pay-a)",)),
    ],
)
def test_what_is_held_back_is_not_shared(
    trained: str, held_out: str, new: New, found: tuple[str, ...]
) -> None:
    assert leaks(trained, held_out, new) == found


def test_a_shared_instance_is_a_leak_whatever_is_said_to_be_new() -> None:
    train = Split("train", 1, ("shops.buy-a",), range(10))
    other = Split("test", 1, ("shops.buy-a",), range(5, TRAIN_SEEDS.stop + 1))
    (proof,) = prove([train, other])
    assert proof.leaks == ("seeds 5 … 9 of shops.buy-a",)


class Array:
    """What cannot be compared, such as an array."""

    __hash__ = object.__hash__

    def __eq__(self, other):
        raise ValueError("more than one value")


def test_another_name_is_no_other_task() -> None:
    base = registry.get("shops.sell-c").__class__
    alias = registry.register(type("Alias", (base,), {"id": "shops.alias", "horizon": 3}))
    other = registry.register(type("Other", (base,), {"id": "shops.other", "stock": 2}))
    array = registry.register(type("Third", (base,), {"id": "shops.array", "stock": Array()}))
    try:
        assert leaks("sell-c", "alias", "tasks") == ("task 'shops.sell-c' (shops.alias)",)
        assert leaks("sell-c", "other", "tasks") == leaks("sell-c", "array", "tasks") == ()
    finally:
        registry.forget([alias.id, other.id, array.id])


class Trick:
    """What a class may say before the base whose pages it shows."""

    def oracle(self, view):
        yield "noop()"


class Painted(Task):
    async def setup(self, page, seed):
        return "Paint."


def test_what_judges_and_solves_a_page_makes_it_no_other_page() -> None:
    base = registry.get("shops.buy-a").__class__
    judged = {"evaluate": Shop.evaluate, "site": "new", "reuse_page": True, "group": ""}
    made = {
        "solved": (type("Solved", (base,), {"oracle": Trick.oracle}), True),
        "judged": (type("Judged", (base,), judged), True),
        "mixed": (type("Mixed", (Trick, base), {}), True),
        "started": (type("Started", (base,), {"setup": Painted.setup}), False),
        "painted": (type("Both", (type("P", (), {"setup": Painted.setup}), base), {}), False),
        "after": (type("After", (base, type("L", (Shop,), {"setup": Painted.setup})), {}), False),
    }
    ids = [f"shops.{name}" for name in made]
    try:
        for task_id, (task, _) in zip(ids, made.values(), strict=True):
            registry.register(type("Named", (task,), {"id": task_id}))
        for name, (_, same) in made.items():
            found = leaks(name, "buy-a", "tasks")
            assert found == ((f"task 'shops.{name}' (shops.buy-a)",) if same else ())
        # The group of the task whose pages they are is held back as well.
        assert "similarity group 'buy' (shops.buy-b)" in leaks("judged", "buy-b", "groups")
    finally:
        registry.forget(ids)


class _Pages:
    """What makes pages, and is no task itself."""

    shelf = "mugs"

    async def setup(self, page, seed):
        await page.evaluate("0")
        return f"Buy {self.shelf} {re.match('.', 'a').group()}."


class _Base(_Pages, Task):
    async def evaluate(self, page, answer):
        return Outcome(0.0, done=False, message=self.id)


class _Served(EvaluatedTask):
    serves = Site("served-pages", application=lambda folder: None)

    async def start(self, page, seed):
        return "Buy."


async def _asks_inside(self, page, seed):
    return " ".join(self.id for _ in range(seed))


async def _asks_its_class(self, page, seed):
    return type(self).id


def test_two_tasks_of_one_base_show_one_page_unless_it_asks_which_they_are() -> None:
    named = type("Named", (_Base,), {"setup": Shop.setup})
    inner = type("Inner", (_Base,), {"setup": _asks_inside})
    typed = type("Typed", (_Base,), {"setup": _asks_its_class})
    made = {
        "one": (_Base, {}),
        "two": (_Base, {"evaluate": Shop.evaluate, "site": "new", "group": "other"}),
        "mixed": (type("Mixed", (_Pages, Task), {"evaluate": Shop.evaluate}), {}),
        "given": (Task, {"setup": _Pages.setup, "evaluate": Shop.evaluate, "shelf": "mugs"}),
        "cups": (_Base, {"shelf": "cups"}),
        "inner": (_Base, {"_shelf": "cups"}),
        "begun": (_Base, {"__init__": lambda self: setattr(self, "shelf", "cups")}),
        "named-1": (named, {}),
        "named-2": (named, {}),
        "inner-1": (inner, {}),
        "inner-2": (inner, {}),
        "typed-1": (typed, {}),
        "typed-2": (typed, {}),
        "served-1": (_Served, {}),
        "served-2": (_Served, {"group": "other"}),
    }
    ids = [f"shops.{name}" for name in made]
    try:
        for task_id, (base, fields) in zip(ids, made.values(), strict=True):
            registry.register(type("Made", (base,), {"id": task_id, **fields}))
        served = registry.get("shops.served-2").__class__
        more = {
            "served-3": (served, {"group": ""}),
            "mirror": (Shop, {"same_pages_as": "shops.one"}),
            "kin": (Shop, {"group": "other"}),
        }
        for name, (base, fields) in more.items():
            registry.register(type("More", (base,), {"id": f"shops.{name}", **fields}))
            ids.append(f"shops.{name}")
        for name in ("two", "mixed", "given", "mirror"):
            assert leaks("one", name, "tasks") == (f"task 'shops.one' (shops.{name})",)
        assert leaks("one", "two", "sites") == ("task 'shops.one' (shops.two)",)
        for name in ("served-2", "served-3"):
            assert leaks("served-1", name, "tasks") == (f"task 'shops.served-1' (shops.{name})",)
        # The group of the task that it is another name of is held back as well.
        assert "similarity group 'other' (shops.kin)" in leaks("served-3", "kin", "groups")
        pairs = [(f"{name}-1", f"{name}-2") for name in ("named", "inner", "typed")]
        for train, other in (("one", "cups"), ("one", "inner"), ("one", "begun"), *pairs):
            assert leaks(train, other, "tasks") == ()
    finally:
        registry.forget(ids)


def test_a_training_split_that_nobody_names_is_held_to_what_is_new() -> None:
    named = Split("named", 1, ("shops.pay-c",), TRAIN_SEEDS)
    mine = Split("mine", 1, ("shops.buy-a",), TRAIN_SEEDS)
    held = Split("held", 1, ("shops.buy-b",), HELD_OUT_SEEDS, "groups", ("named",))
    proofs = {proof.train: proof for proof in prove([named, mine, held])}
    assert proofs["named"].leaks == ()
    assert proofs["mine"].leaks == ("similarity group 'buy' (shops.buy-b)",)
    other = Split("other", 1, ("shops.sell-c",), HELD_OUT_SEEDS, "groups", ("mine",))
    (proof,) = (p for p in prove([named, mine, held, other]) if p.train + p.held_out == "mineheld")
    assert (proof.leaks, proof.statement) == ((), "no instance")
    assert proof.unproven == ("similarity group 'buy' (shops.buy-b)",)


ROW = {
    "url": "http://shop.test/", "goal": "Say {n.of}",
    "evaluators": [{"type": "exact", "value": "{n.of}"}],
    "choices": {"n": [{"of": n, "spare": m} for n in "12" for m in (1, 2)], "spare": [1, 2]},
}  # fmt: skip
ROWS = {
    "twins.one": ROW,
    "twins.two": {**ROW, "difficulty": "hard", "group": "say"},
    "twins.other": {**ROW, "goal": "Tell {n.of}", "allowed_origins": ["http://bank.test:80"]},
    "twins.bank": {**ROW, "url": "http://bank.test/", "goal": "Pay {n.of}"},
}


@pytest.mark.parametrize(
    ("trained", "held_out", "new", "found"),
    [
        (
            "one",
            "two",
            "seeds",
            ("instances of twins.one and twins.two: all seeds together give 2",),
        ),
        ("one", "one", "seeds", ("instances of twins.one: all seeds together give 2",)),
        ("one", "other", "tasks", ()),
        ("bank", "other", "sites", ("site 'bank.test' (twins.other)",)),
    ],
)
def test_what_is_read_from_files_is_known_by_what_it_shows(
    tmp_path, trained: str, held_out: str, new: New, found: tuple[str, ...]
) -> None:
    lines = "".join(json.dumps({"id": key, **row}) + "\n" for key, row in ROWS.items())
    (tmp_path / "twins.jsonl").write_text(lines)
    ids = load_tasks_file(tmp_path / "twins.jsonl")
    try:
        train = Split("train", 1, (f"twins.{trained}",), TRAIN_SEEDS)
        held = Split("held", 1, (f"twins.{held_out}",), HELD_OUT_SEEDS, new, ("train",))
        assert prove([train, held])[0].leaks == found
    finally:
        registry.forget(ids)


def test_a_row_of_two_task_sets_is_one_task_with_one_instance(tmp_path) -> None:
    row = {
        "task_name": "Find Y", "website": "https://shop.example", "task_id": "t2",
        "evaluator_reference": [{"description": "d", "facts": ["f"]}],
    }  # fmt: skip
    ids: list[str] = []
    try:
        for name in ("one-set", "two-set"):
            (tmp_path / f"{name}.jsonl").write_text(json.dumps(row) + "\n")
            ids.extend(load_tasks_file(tmp_path / f"{name}.jsonl"))
        train = Split("train", 1, (ids[0],), TRAIN_SEEDS)
        (proof,) = prove([train, Split("held", 1, (ids[1],), HELD_OUT_SEEDS)])
        assert proof.leaks == (f"instances of {ids[0]} and {ids[1]}: all seeds together give 1",)
        held = Split("held", 1, (ids[1],), HELD_OUT_SEEDS, "groups", ("train",))
        assert f"task '{ids[0]}' ({ids[1]})" in prove([train, held])[0].leaks
    finally:
        registry.forget(ids)


def test_pages_of_a_task_that_is_none_are_an_error() -> None:
    lost = registry.register(
        type("Lost", (Shop,), {"id": "shops.lost", "same_pages_as": "shops.no"})
    )
    try:
        with pytest.raises(UserError, match=r"no task 'shops\.no'"):
            leaks("buy-a", "lost", "tasks")
    finally:
        registry.forget([lost.id])


def pages_shared(trained: str, seeds: range, held_out: str) -> tuple[str, ...]:
    train = Split("train", 1, (trained,), seeds)
    (proof,) = prove([train, Split("test", 1, (held_out,), HELD_OUT_SEEDS)])
    return proof.leaks


def test_the_same_page_under_another_task_is_the_same_instance() -> None:
    first = "instances of shops.buy-a and shops.mirror-a: their pages get the seeds 0 … 999"
    assert pages_shared("shops.buy-a", TRAIN_SEEDS, "shops.mirror-a") == (first,)
    assert pages_shared("shops.buy-a", range(1_000, TRAIN_SEEDS.stop), "shops.mirror-a") == ()
    assert pages_shared("shops.mirror-a", TRAIN_SEEDS, "shops.buy-a") == ()
    twice = "instances of shops.mirror-a: their pages get the seeds 0 … 999"
    assert pages_shared("shops.mirror-a", range(5), "shops.mirror-a") == (twice,)
    assert pages_shared("shops.pay-a", TRAIN_SEEDS, "shops.mirror-a") == ()


def test_what_browsergym_plays_is_told_from_what_was_trained_on() -> None:
    own, theirs = "miniwob.click-test", "browsergym-miniwob.click-test"
    assert pages_shared(theirs, TRAIN_SEEDS, theirs)
    assert pages_shared(own, TRAIN_SEEDS, theirs)
    kept_out = range(registry.get(theirs).page_seeds.stop, TRAIN_SEEDS.stop)
    assert pages_shared(own, kept_out, theirs) == ()
    assert pages_shared(own, TRAIN_SEEDS, "browsergym-miniwob.click-test-2") == ()
    groups = Split("test", 1, (theirs,), HELD_OUT_SEEDS, "groups", ("train",))
    (proof,) = prove([Split("train", 1, (own,), kept_out), groups])
    assert any(leak.startswith(f"task {own!r} ({theirs})") for leak in proof.leaks)


def test_no_two_seeds_of_our_own_pages_are_one() -> None:
    tasks = [registry.get(task_id) for task_id in registry.task_ids("miniwob")]
    assert [task.id for task in tasks if task.page_seeds is not None] == []
    assert [task.id for task in tasks if task.same_pages_as] == []


def test_what_was_trained_on_is_found_among_what_is_played() -> None:
    trained = ["shops.buy-a", "shops.pay-c", "gone.task"]
    played = ["shops.mirror-a", "shops.buy-b", "shops.pay-c", "shops.sell-c", "gone.task"]
    assert trained_among(trained, played) == (
        ("shops.mirror-a", "shops.pay-c", "gone.task"),
        ("shops.buy-b",),
    )
    assert trained_among([], played) == ((), ())


def test_our_own_splits_are_proven_to_keep_apart() -> None:
    proofs = prove(map(get_split, split_names()))
    assert [proof for proof in proofs if proof.leaks] == []
    against = {(name, held) for held in split_names() for name in get_split(held).against}
    assert not {(proof.train, proof.held_out) for proof in proofs if proof.unproven} & against
    said = {(p.train, p.held_out): p.statement for p in proofs}
    assert said["miniwob-train", "miniwob-test"] == (
        "no instance, no task, no similarity group; known all the same: click-test, drag-items and"
        " form-sequence have variants on both sides"
    )
    assert said["miniwob-easier", "miniwob-hard"] == (
        "no instance, no task, no similarity group, no difficulty"
    )
    assert said["miniwob-first", "miniwob-variants"] == "no instance, no task"
    assert said["miniwob-flight-alaska", "miniwob-flight-unseen-site"] == (
        "no instance, no task, no similarity group, no site"
    )
    assert {get_split(name).new for name in split_names()} == set(get_args(New))


def test_our_own_splits_follow_the_catalogue() -> None:
    published = [page for page in pages() if page.side]
    hard = {page.group for page in published if page.difficulty == "hard"}
    wanted = {
        "miniwob-train": [p for p in published if p.side == "train"],
        "miniwob-train-unseen-seeds": [p for p in published if p.side == "train"],
        "miniwob-test": [p for p in published if p.side == "test"],
        "miniwob-first": [p for p in published if p.side == "train" and p.name == p.group],
        "miniwob-variants": [p for p in published if p.side == "train" and p.name != p.group],
        "miniwob-easier": [p for p in published if p.group not in hard],
        "miniwob-hard": [p for p in published if p.difficulty == "hard"],
        "miniwob-flight-alaska": [p for p in pages() if p.group == "flight-alaska"],
        "miniwob-flight-unseen-site": [p for p in pages() if p.group == "flight-aa"],
    }
    assert set(wanted) == set(split_names())
    for name, found in wanted.items():
        assert set(get_split(name).task_ids) == {f"miniwob.{page.name}" for page in found}


def test_a_proof_needs_both_sides_and_known_names() -> None:
    train = Split("train", 1, ("shops.buy-a",), TRAIN_SEEDS)
    with pytest.raises(UserError, match="no held-out split among train"):
        prove([train])
    other = Split("test", 1, ("shops.buy-b",), HELD_OUT_SEEDS, "groups", ("trian",))
    with pytest.raises(UserError, match="against names 'trian'"):
        prove([train, other])
    for new in ("seeds", "groups"):
        unknown = Split("test", 1, ("shops.by-b",), HELD_OUT_SEEDS, new)
        with pytest.raises(UserError, match=r"split 'test': tasks: .* did you mean shops\.buy-b"):
            prove([train, unknown])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('new = "pages"', "new must be one of seeds, tasks, groups, sites, difficulty"),
        ('against = "train"', "against must be a list of names of splits"),
        ("known_overlap = 3", "known_overlap must be a text; it is 3"),
    ],
)
def test_mistakes_in_what_is_new_are_named(tmp_path, line: str, said: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'name = "mine"\nversion = 1\nseeds = [0, 9]\ntasks = ["x.a"]\n{line}\n')
    with pytest.raises(UserError, match=said) as raised:
        load_split(path)
    assert str(path) in str(raised.value)
