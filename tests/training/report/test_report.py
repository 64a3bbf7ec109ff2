"""The report stands alone, says what the run's files say, and runs nothing that pages wrote."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup
from playwright.async_api import Page
from synthetic_run import REINFORCED, write_episodes, write_synthetic_run

from webdojo.envs.browser import BrowserOptions, Chromium
from webdojo.tasks.errors import UserError
from webdojo.training.report import view, write_report
from webdojo.training.report.headline import results, split_meaning
from webdojo.training.report.run_data import Episode, read_run
from webdojo.training.report.timing import other_mode

EVIL = [
    "<script>window.pwned = 1</script>",
    "<img src=x onerror='window.pwned = 1'>",
    '"><svg onload="window.pwned = 1">',
    "</style></title></pre><script>window.pwned = 1</script>",
    "' onmouseover='window.pwned = 1",
    "javascript:window.pwned = 1",
    "a\u202egnp.exe \x00\x1b[2J \ud800 ]]> --> {{1}}",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_synthetic_run(tmp_path_factory.mktemp("runs") / "quickstart")


@asynccontextmanager
async def shown(path: Path) -> AsyncIterator[tuple[Page, list[str], list[str]]]:
    """The page in Chromium, what it asked the network for, and what its console said."""
    async with Chromium(BrowserOptions()) as chromium:
        context = await chromium.new_context((1100, 900))
        page = await context.new_page()
        asked: list[str] = []
        said: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        await page.goto(path.as_uri())
        yield page, [url for url in asked if not url.startswith("data:")], said


async def test_it_is_one_file_that_asks_for_nothing(run: Path) -> None:
    path = write_report(run, films=False)
    assert path == run / "report.html"
    assert not (run / "report.html.partial").exists()
    async with shown(path) as (page, asked, said):
        assert asked == [path.as_uri()]
        assert said == []
        assert await page.locator("script").count() == 0
        assert await page.locator("svg[role=img]").count() > 20


async def test_the_headline_is_the_summary(run: Path) -> None:
    summary = json.loads((run / "summary.json").read_text())
    async with shown(write_report(run, films=False)) as (page, _, _):
        tiles = await page.locator(".tile").all_inner_texts()
        lead = await page.locator(".lead").inner_text()
        rows = await page.locator(".dots .row").all_inner_texts()
    assert [tile.split(" greedy")[0] for tile in tiles] == [
        "Undemonstrated tasks",
        "Unseen seeds",
        "Unseen tasks",
    ]
    for tile, split in zip(tiles, ("undemonstrated", "unseen_seeds", "unseen_tasks"), strict=True):
        told = [int(n) for n in re.findall(r"(\d+)\s%", tile)]
        entry = summary["splits"][split]
        expected = [100 * entry[when]["greedy"]["success"] for when in ("before", "after")]
        assert told == pytest.approx(expected, abs=0.51)
    assert "12 tasks, then reinforcement on 9 tasks in a real browser, 3 of them never" in lead
    assert "13 min 32 s" in lead
    assert len([row for row in rows if "→" in row]) == 6


def test_few_instances_are_not_called_unseen(run: Path) -> None:
    data = read_run(run)
    summary = {**data.summary, "few_instances": {REINFORCED[0]: 6}}
    few = replace(data, summary=summary)
    assert "few instances" not in split_meaning(data, "unseen_seeds")
    told = split_meaning(few, "unseen_seeds")
    assert told.endswith("; 1 of the tasks have few instances, which may all have been trained on")
    assert told in results(few)
    assert "few instances" not in split_meaning(few, "unseen_tasks")


async def test_every_task_stands_in_the_table_once(run: Path) -> None:
    async with shown(write_report(run, films=False)) as (page, _, _):
        named = await page.locator(".task-table tbody th").all_inner_texts()
    assert sorted(named) == sorted(
        {*REINFORCED, *json.loads((run / "summary.json").read_text())["tasks"]["unseen_tasks"]}
    )


def test_the_table_tells_goals_and_ways_apart(tmp_path: Path) -> None:
    run = write_synthetic_run(tmp_path / "run")
    task = "miniwob.click-dialog"
    played = [
        ("Close it.", ("click('1')",), True),
        ("Close it.", ("click('1')",), True),
        ("Press OK.", ("click('1')",), True),
        ("Press OK.", ("click('2')",), False),
    ]
    write_episodes(
        run,
        "after-greedy",
        [
            Episode("unseen_tasks", task, 10**9 + n, solved, "", goal, actions, ("",))
            for n, (goal, actions, solved) in enumerate(played)
        ],
    )
    write_report(run, films=False)
    page = BeautifulSoup((run / "report.html").read_text(), "lxml")
    rows = page.select(".task-table tbody tr")
    (row,) = (row for row in rows if row.select_one("code").get_text() == task)
    assert [cell.get_text() for cell in row.find_all("td")][-2:] == ["2", "1"]


async def test_the_dots_lie_where_the_numbers_say(run: Path) -> None:
    rate = json.loads((run / "summary.json").read_text())["splits"]["undemonstrated"]
    async with shown(write_report(run, films=False)) as (page, _, _):
        track = page.locator(".dots .row svg").first
        across = await track.bounding_box()
        dot = await track.locator("circle.after").bounding_box()
        bar = await track.locator("line.after").bounding_box()
    assert across and dot and bar
    middle = (dot["x"] + dot["width"] / 2 - across["x"]) / across["width"]
    assert middle == pytest.approx(rate["after"]["greedy"]["success"], abs=0.004)
    assert (bar["x"] - across["x"]) / across["width"] == pytest.approx(
        rate["after"]["greedy"]["low"], abs=0.01
    )


async def test_no_screen_has_to_scroll_sideways(run: Path) -> None:
    async with shown(write_report(run, films=False)) as (page, _, _):
        for width in (320, 390, 768, 1400):
            await page.set_viewport_size({"width": width, "height": 900})
            assert await page.evaluate("document.documentElement.scrollWidth") <= width


async def test_a_figure_nobody_knew_is_shown_too(run: Path) -> None:
    async with shown(write_report(run, films=False)) as (page, _, _):
        summaries = await page.locator("summary").all_inner_texts()
        assert any("Everything else" in text and "(2)" in text for text in summaries)
        assert "env/step_ms" in await page.locator("h4").all_text_contents()


async def test_hostile_text_is_shown_and_never_run(tmp_path: Path) -> None:
    folder = write_synthetic_run(tmp_path / "<img src=x onerror=pwned=1>")
    summary = json.loads((folder / "summary.json").read_text())
    task = summary["tasks"]["unseen_seeds"].pop("miniwob.click-link")
    summary["tasks"]["unseen_seeds"][EVIL[0]] = task
    summary["splits"][EVIL[2]] = summary["splits"]["unseen_tasks"]
    summary["policy"] = {"name": EVIL[1], EVIL[2]: EVIL[3]}
    summary["phases"][EVIL[3]] = 12.0
    summary["throughput"]["mode"] = EVIL[4]
    summary["preset"] = EVIL[0]
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "config.toml").write_text(f"note = '''{EVIL[3]}'''\n")
    with (folder / "metrics.jsonl").open("a") as file:
        for step in range(3):
            figures = dict.fromkeys(EVIL, 0.5) | {f"reward/evil.{EVIL[2]}": 0.5}
            file.write(json.dumps({"phase": "reinforce", "step": step, **figures}) + "\n")
    evil = Episode("undemonstrated", EVIL[1], 3, False, EVIL[0], EVIL[6], tuple(EVIL), tuple(EVIL))
    write_episodes(folder, "after-greedy", [evil, replace(evil, success=True, seed=4)])
    path = write_report(folder)
    # Without its content policy the page is all the more bound to hold nothing that runs.
    bare = re.sub(r"<meta http-equiv[^>]*>", "", path.read_text(encoding="utf-8"))
    assert "http-equiv" not in bare
    (folder / "bare.html").write_text(bare, encoding="utf-8")
    for shown_path in (path, folder / "bare.html"):
        async with shown(shown_path) as (page, asked, said):
            assert await page.evaluate("window.pwned") is None
            assert asked == [shown_path.as_uri()]
            assert said == []
            assert await page.locator("script, iframe, object, embed, a, img").count() == 0
            handlers = """[...document.querySelectorAll("*")].flatMap(e => [...e.attributes])
                .filter(a => a.name.startsWith("on")).length"""
            assert await page.evaluate(handlers) == 0
            text = await page.locator("body").inner_text()
            assert "<script>window.pwned = 1</script>" in text
            assert "\u202e" not in text
            assert "\x1b" not in text


def test_a_run_that_has_not_finished_has_a_report(tmp_path: Path) -> None:
    folder = write_synthetic_run(tmp_path / "half")
    (folder / "summary.json").unlink()
    text = write_report(folder, films=False).read_text(encoding="utf-8")
    assert "The run has not finished" in text
    assert "Mixed groups" in text
    assert "What it learned" not in text


@pytest.mark.parametrize(
    "summary", ["[]", "{", "null", '{"splits": 3, "tasks": [], "phases": "x"}']
)
def test_a_malformed_summary_costs_its_part_only(tmp_path: Path, summary: str) -> None:
    folder = write_synthetic_run(tmp_path / "odd")
    (folder / "summary.json").write_text(summary)
    assert "How it learned" in write_report(folder, films=False).read_text(encoding="utf-8")


@pytest.mark.parametrize("value", [None, "x", [], {"success": "0.5"}, {"success": 1e999}])
def test_a_malformed_rate_is_left_out(tmp_path: Path, value: Any) -> None:
    folder = write_synthetic_run(tmp_path / "odd")
    summary = json.loads((folder / "summary.json").read_text())
    summary["splits"]["unseen_seeds"]["after"]["greedy"] = value
    (folder / "summary.json").write_text(json.dumps(summary))
    assert "Unseen seeds" in write_report(folder, films=False).read_text(encoding="utf-8")


def test_a_folder_without_a_run_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no run: neither summary\.json nor metrics\.jsonl"):
        view(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_metrics_are_read_past_broken_lines_and_steps_done_again(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "metrics.jsonl").write_text(
        '{"phase": "reinforce", "step": 1, "loss": 3.0}\n'
        '{"phase": "reinforce", "step": 2, "loss": 9.0, "kl": null}\n'
        "not json\n[1]\n"
        '{"phase": "reinforce", "step": 2, "loss": 2.0}\n'
        '{"phase": "reinforce", "step": 2, "entropy": 0.5, "note": "text", "flag": true}\n'
        '{"phase": "reinforce", "step": 3, "lo'
    )
    run = read_run(folder)
    assert run.curve("reinforce", "loss") == ((1, 3.0), (2, 2.0))
    assert run.curve("reinforce", "entropy") == ((2, 0.5),)
    assert set(run.curves["reinforce"]) == {"loss", "entropy"}


def test_both_modes_are_compared_when_both_were_run(tmp_path: Path) -> None:
    run = write_synthetic_run(tmp_path / "quickstart")
    alone = write_report(run, films=False).read_text(encoding="utf-8")
    assert "rollout.staleness=0" in alone
    sync = write_synthetic_run(tmp_path / "quickstart-sync", mode="sync", seed=1)
    write_synthetic_run(tmp_path / "quickstart-2", seed=2)
    found = other_mode(read_run(run))
    assert found is not None
    assert found.name == "quickstart-sync"
    # 518 / 241 episodes a minute, and 2614 / 1180 tokens a second, whichever run is reported.
    for folder in (run, sync):
        both = write_report(folder, films=False).read_text(encoding="utf-8")
        assert "2.15 times the episodes a minute (518 against 241)" in both
        assert "2.22 times the tokens a second" in both


def test_a_run_of_another_preset_is_not_compared(tmp_path: Path) -> None:
    run = write_synthetic_run(tmp_path / "quickstart")
    sync = write_synthetic_run(tmp_path / "other", mode="sync")
    summary = json.loads((sync / "summary.json").read_text())
    (sync / "summary.json").write_text(json.dumps({**summary, "preset": "wide"}))
    assert other_mode(read_run(run)) is None
