"""Films show episodes as they went, or say why they cannot."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from synthetic_run import play, write_episodes, write_synthetic_run

from webdojo.envs.browser import Chromium
from webdojo.training.report import write_report
from webdojo.training.report.films import Scene, choose, make_films
from webdojo.training.report.pictures import pack
from webdojo.training.report.run_data import Episode, read_run
from webdojo.training.report.strips import strips

BUTTONS = "miniwob.click-button-sequence"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_synthetic_run(tmp_path / "quickstart")


async def played(*scripts: list[str] | None) -> list[Episode]:
    """The same instance under several scripts; None is the oracle's."""
    async with Chromium() as chromium:
        return [await play(chromium, BUTTONS, 7, "undemonstrated", script) for script in scripts]


@pytest.fixture(scope="module")
def good() -> Episode:
    (episode,) = asyncio.run(played(None))
    assert episode.success
    return episode


async def test_a_film_shows_every_step_with_its_action_target_and_error(
    folder: Path, good: Episode
) -> None:
    (wrong,) = await played(['click("999")', "click(the blue one)", good.actions[-1]])
    assert not wrong.success
    scenes = [Scene("A success", "", good), Scene("A failure", "", wrong)]
    solved, failed = make_films(read_run(folder), scenes)
    for film in (solved, failed):
        assert film.problem == ""
        assert len(film.frames) == len(film.scene.episode.actions) + 1
        for frame in film.frames:
            assert Image.open(BytesIO(frame.image)).size == film.size
    assert [frame.action for frame in solved.frames] == [*good.actions, ""]
    assert all(frame.target for frame in solved.frames[:-1])
    assert len({frame.image for frame in solved.frames}) > 1
    assert [bool(frame.error) for frame in failed.frames] == [True, True, False, False]
    assert failed.frames[0].target is None


async def test_the_report_shows_the_same_instance_before_and_after(
    folder: Path, good: Episode
) -> None:
    write_episodes(folder, "after-greedy", [good])
    write_episodes(folder, "before-greedy", await played([good.actions[-1]] * 2))
    text = write_report(folder).read_text(encoding="utf-8")
    assert text.count("data:image/webp;base64,") == 6
    assert text.count('class="target"') == 4
    assert text.index("Before reinforcement") < text.index("After reinforcement")
    assert "Not as recorded" not in text


async def test_a_replay_that_leaves_the_record_says_where(folder: Path, good: Episode) -> None:
    left = {
        "the goal is now 'Click button ONE": replace(good, goal="Click nothing."),
        "step 1 now says ''; recorded was 'gone'": replace(good, errors=("gone", "")),
        "the episode now succeeds; recorded was the opposite": replace(good, success=False),
        "the episode now ends at step 2; recorded were 3 steps": replace(
            good, actions=(*good.actions, "noop()"), errors=("", "", "")
        ),
        "did you mean miniwob.click-button": replace(good, task_id="miniwob.click-buton"),
    }
    scenes = [Scene("", "", episode) for episode in left.values()]
    films = make_films(read_run(folder), scenes)
    for film, problem in zip(films, left, strict=True):
        assert problem in film.problem
        assert "Not as recorded: " in strips([film])


def test_without_a_browser_the_report_says_so_and_lists_the_actions(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEBDOJO_CHROMIUM", str(tmp_path / "no-such-browser"))
    episode = Episode(
        "undemonstrated", BUTTONS, 7, True, "success", "Click.", ('click("1")',), ("",)
    )
    write_episodes(folder, "after-greedy", [episode])
    text = write_report(folder).read_text(encoding="utf-8")
    assert "no-such-browser: no such file" in text
    assert "click(&quot;1&quot;)" in text


def test_a_task_whose_own_code_fails_costs_its_film_only(folder: Path, tmp_path: Path) -> None:
    tasks = tmp_path / "film_tasks.py"
    tasks.write_text(
        "from webdojo.tasks.task import Outcome, Task\n"
        "class Broken(Task):\n"
        "    id = 'film-tests.broken'\n"
        "    async def setup(self, page, seed):\n"
        "        raise RuntimeError('no shop today')\n"
        "    async def evaluate(self, page, answer):\n"
        "        return Outcome(0.0, True)\n"
    )
    (folder / "config.toml").write_text(f"[tasks]\nfiles = ['{tasks}']\n")
    episode = Episode(
        "undemonstrated", "film-tests.broken", 0, True, "success", "", ("noop()",), ("",)
    )
    (film,) = make_films(read_run(folder), [Scene("", "", episode)])
    assert film.problem == "the task's own code failed: RuntimeError: no shop today"


def test_without_films_no_browser_is_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEBDOJO_CHROMIUM", "no-such-browser")
    episode = Episode("undemonstrated", BUTTONS, 7, True, "success", "Click.", ("noop()",), ("",))
    write_episodes(folder, "after-greedy", [episode])
    assert "no-such-browser" not in write_report(folder, films=False).read_text(encoding="utf-8")


def episode(
    seed: int, success: bool, steps: int, split: str = "undemonstrated", task: str = BUTTONS
) -> Episode:
    ending = "success" if success else "failure"
    return Episode(split, task, seed, success, ending, "", ("noop()",) * steps, ("",) * steps)


def test_the_instructive_episodes_are_chosen(folder: Path) -> None:
    after = [
        episode(1, True, 6, split="unseen_seeds"),
        episode(2, True, 5),
        episode(3, True, 3),
        episode(4, False, 10),
        episode(5, False, 2),
        episode(6, False, 6, split="unseen_tasks"),
    ]
    write_episodes(folder, "after-greedy", after)
    assert [s.episode.seed for s in choose(read_run(folder))] == [2, 5]
    # One that failed before tells more than one that is longer.
    write_episodes(folder, "before-greedy", [episode(3, False, 9), episode(2, True, 5)])
    scenes = choose(read_run(folder))
    assert [(s.episode.seed, s.episode.success) for s in scenes] == [
        (3, False),
        (3, True),
        (5, False),
    ]


def test_without_episodes_there_is_nothing_to_choose(folder: Path) -> None:
    assert choose(read_run(folder)) == []
    assert "No evaluated episode was kept" in write_report(folder).read_text(encoding="utf-8")


def drawn(right: int, bottom: int, size: tuple[int, int] = (200, 100)) -> bytes:
    image = Image.new("RGB", size, (85, 85, 85))
    if right and bottom:
        ImageDraw.Draw(image).rectangle((0, 0, right - 1, bottom - 1), fill=(255, 255, 255))
    out = BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def test_pictures_are_cut_alike_to_what_any_of_them_uses() -> None:
    images, size = pack([drawn(120, 90), drawn(150, 60)])
    assert size == (150, 90)
    assert all(Image.open(BytesIO(image)).size == (150, 90) for image in images)
    assert pack([]) == ([], (0, 0))


def test_a_plain_picture_is_not_cut() -> None:
    assert pack([drawn(0, 0)])[1] == (200, 100)
    assert pack([drawn(10, 100)])[1] == (200, 100)
