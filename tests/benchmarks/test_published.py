"""Raw figures are kept whole with their command, and pages say what they say."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))  # a folder of scripts

import published

ROOT = Path(__file__).parents[2]


def test_figures_are_kept_with_the_command_that_gives_them_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "RESULTS", tmp_path / "results")
    given = ["/anywhere/some.py", "--seeds", "3", "--publish", "--name=a b", "--json"]
    monkeypatch.setattr(sys, "argv", given)
    figures = {"rows": [[1, 2.5], [3, -1e-9]], "names": ["[a, b]", "c"], "none": None}
    path = published.publish("some", figures)
    assert path == tmp_path / "results" / "some.json"
    found = json.loads(path.read_text())
    assert found.pop("command") == "python benchmarks/some.py --seeds 3 '--name=a b'"
    assert found.pop("machine") == published.machine()
    assert found == figures
    assert "[1, 2.5]" in path.read_text()
    assert [file.name for file in path.parent.iterdir()] == ["some.json"]


def test_the_page_of_the_pool_says_what_was_measured() -> None:
    found = json.loads((published.RESULTS / "pool.json").read_text())
    page = (ROOT / "docs" / "pool.md").read_text()
    for run in found["runs"]:
        idle = f"{run['idle_share']:.1%}".replace("%", " %") if run["idle_share"] else "0 %"
        row = (
            f"| {run['slots']:,} | {run['staleness_bound']} | {run['speedup_barrier']:.2f} × |"
            f" {run['speedup_cut']:.2f} × | {100 * run['share_of_bound']:.1f} % | {idle} |"
            f" {run['staleness_mean']:.1f}, {run['staleness_max']} |"
        )
        assert row in page
    assert f"the pool {100 * found['cpu']['share_of_core']:.1f} % of a core" in page
    for name, row in (
        ("share_possible", "share possible"),
        ("share_possible_throughout", "with groups begun throughout a version"),
    ):
        shares = " | ".join(f"{100 * share:.1f} %" for share in found[name].values())
        assert f"| {row} | {shares} |" in page


def test_the_page_of_engines_says_what_the_traces_show() -> None:
    found = json.loads((published.RESULTS / "refresh.json").read_text())
    page = " ".join((ROOT / "docs" / "engines.md").read_text().split())
    drawn = found["traces"][found["drawn"]]
    assert (
        f"took {drawn['copy_ms']:.1f} ms, the usual pause between two tokens"
        f" {drawn['pause_ms_median']:.1f} ms, and the one over the refresh"
        f" {drawn['pause_ms_over_the_refresh']:.1f} ms at most, which is"
        f" {drawn['waited_ms']:.1f} ms more"
    ) in page
    waited = [trace["waited_ms"] for trace in found["traces"]]
    assert f"in five traces it was {min(waited):.2f} to {max(waited):.2f} ms more" in page
    picture = (ROOT / "docs" / "pictures" / "refresh.svg").read_text()
    assert f"new weights: {drawn['refresh_ms']:.1f} ms" in picture
    strokes = sum(len(times) for times in drawn["token_ms"])
    assert picture.count('width="2" ') == strokes
