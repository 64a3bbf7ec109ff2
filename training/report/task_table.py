"""The table by task."""

from __future__ import annotations

from webdojo.training.report.figures import percent, signed
from webdojo.training.report.headline import ordered_splits, split_meaning, split_title
from webdojo.training.report.intervals_chart import in_words, track
from webdojo.training.report.markup import Child, Markup, element, table
from webdojo.training.report.run_data import Change, Episode, RunData

VARIETY = (
    "Goals: how many different ones these episodes have. Ways: how many different sequences of"
    " actions solved them, greedy, after training. Where one way solves all, nothing need be read."
)


def task_table(run: RunData) -> Markup:
    """Success by task, one table a group of tasks; a task stands in the first group that has it."""
    groups: list[Markup] = []
    episodes = run.episodes("after", "greedy")
    told: set[str] = set()
    for split in ordered_splits(run):
        tasks = [task for task in run.tasks(split) if task not in told]
        told.update(tasks)
        if tasks:
            tasks.sort(key=lambda task: (-_gain(run.task_change(split, task, "greedy")), task))
            groups.append(_group(run, split, tasks, episodes))
    if not groups:
        return Markup()
    note = element("p", VARIETY, class_="note")
    return element("section", element("h2", "By task"), groups, note)


def _group(run: RunData, split: str, tasks: list[str], episodes: tuple[Episode, ...]) -> Markup:
    demonstrated = set(run.names("demonstrated"))
    rows: list[list[Child]] = []
    for task in tasks:
        greedy = run.task_change(split, task, "greedy")
        sampled = run.task_change(split, task, "sampled")
        # Undemonstrated tasks stand here only if they have no split of their own.
        mark = split == "unseen_seeds" and task not in demonstrated
        suite, dot, rest = task.partition(".")
        name = element("code", suite, dot, element("wbr"), rest, " *" if mark else None)
        rows.append(
            [
                name,
                element("div", track(greedy, f"{task}, greedy", height=24, radius=4)),
                _cell(greedy),
                _cell(sampled),
                str((greedy.after or greedy.before or {"episodes": "—"})["episodes"]),
                *_variety([e for e in episodes if (e.split, e.task_id) == (split, task)]),
            ]
        )
    title = "Demonstrated tasks, unseen seeds" if split == "unseen_seeds" else split_title(split)
    meaning = split_meaning(run, split) if split != "unseen_seeds" else ""
    starred = any(split == "unseen_seeds" and task not in demonstrated for task in tasks)
    return element(
        "div",
        element("h3", title),
        element("p", meaning, class_="note") if meaning else None,
        table(["task", "greedy, 0–100 %", "greedy", "sampled", "episodes", "goals", "ways"], rows),
        element("p", "* never demonstrated", class_="note") if starred else None,
        class_="task-table",
    )


def _variety(episodes: list[Episode]) -> tuple[str, str]:
    """Different goals, and different ways in which they were reached."""
    if not episodes:
        return "—", "—"
    ways = {episode.actions for episode in episodes if episode.success}
    return str(len({episode.goal for episode in episodes})), str(len(ways))


def _cell(change: Change) -> Markup:
    before, after = change.before, change.after
    return element(
        "span",
        element("span", percent(before["success"]) if before else "—", class_="from"),
        " → ",
        element("b", percent(after["success"]) if after else "—"),
        element("span", f" {signed(100 * _gain(change))}", class_="soft")
        if before and after
        else None,
        class_="figure",
        title=in_words(change),
    )


def _gain(change: Change) -> float:
    if change.before is None or change.after is None:
        return 0.0
    return change.after["success"] - change.before["success"]
