"""The report of a run: one HTML file that needs nothing else.

path = write_report(Path("runs/quickstart"))
"""

from __future__ import annotations

from pathlib import Path

from webdojo.training.report.films import choose, make_films
from webdojo.training.report.page import page
from webdojo.training.report.run_data import read_run

REPORT_FILE = "report.html"


def write_report(run_folder: Path, *, films: bool = True) -> Path:
    """Write ``report.html`` into a run's folder from what the run left there; its path.

    With ``films`` a few evaluated episodes are played again in Chromium; where that cannot be done
    the report says why. Raises UserError if the folder holds no run.
    """
    run = read_run(run_folder)
    scenes = choose(run)
    made = make_films(run, scenes) if films and scenes else []
    note = "" if scenes else "No evaluated episode was kept, so there is none to show."
    text = page(run, made, note if films else "")
    path = run_folder / REPORT_FILE
    partial = path.with_suffix(".html.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
    return path


def view(run_folder: Path, *, films: bool = True, open_browser: bool = False) -> Path:
    """Write a run's report anew and, if asked, show it in the desktop's browser; its path."""
    path = write_report(run_folder, films=films).resolve()
    if open_browser:
        import webbrowser

        webbrowser.open(path.as_uri())
    return path
