"""Learning curves: how reinforcement went, update by update."""

from __future__ import annotations

from webdojo.training.report.chart_list import LEARNING, OTHER_NAMES, PACE, STABILITY, Wanted
from webdojo.training.report.line_chart import SMOOTH_FROM, Line, LineChart, line_chart
from webdojo.training.report.markup import Markup, details, element, join
from webdojo.training.report.run_data import Curve, RunData

REINFORCE = "reinforce"
MAX_OTHERS = 36


def learning(run: RunData) -> Markup:
    """Reward overall and by task, signal, entropy, and the length of episodes."""
    charts = [_chart(run, wanted) for wanted in LEARNING]
    warm_start = line_chart(
        LineChart(
            "Warm start: loss",
            "Supervised training on demonstrations.",
            [Line("loss", run.curve("warm_start", "loss"))],
            x_label="step",
        )
    )
    charts.append(warm_start)
    if not any(charts):
        return Markup()
    smoothed = any(len(c) >= SMOOTH_FROM for c in run.curves.get(REINFORCE, {}).values())
    return element(
        "section",
        element("h2", "How it learned"),
        element(
            "p",
            "Faint lines are the values as measured, strong ones their running mean; the number"
            " beside a title is where the strong line ends.",
            class_="note",
        )
        if smoothed
        else None,
        element("div", charts, class_="grid-2"),
        _by_task(run),
    )


def stability(run: RunData) -> Markup:
    """Whether the optimisation was sound, and every further figure that was recorded."""
    charts = [_chart(run, wanted) for wanted in STABILITY]
    others = _others(run)
    if not any(charts) and not others:
        return Markup()
    return element(
        "section",
        element("h2", "Whether the updates were sound"),
        element("div", charts, class_="grid-2"),
        others or None,
    )


def pace(run: RunData) -> Markup:
    """How fast reinforcement went, update by update."""
    charts = [_chart(run, wanted) for wanted in PACE]
    return element("div", charts, class_="grid-2") if any(charts) else Markup()


def _chart(run: RunData, wanted: Wanted) -> Markup:
    colours = (3, 5) if wanted.good_and_bad else (1, 2, 4)
    lines = [
        Line(label, _figures(run).get(figure, ()), colour, smoothed=label != "highest")
        for (figure, label), colour in zip(wanted.figures.items(), colours, strict=False)
    ]
    return line_chart(
        LineChart(
            wanted.title, wanted.note, lines, shares=wanted.shares, from_zero=wanted.from_zero
        )
    )


def _figures(run: RunData) -> dict[str, Curve]:
    """The figures of reinforcement under their usual names."""
    recorded = run.curves.get(REINFORCE, {})
    return {OTHER_NAMES.get(figure, figure): curve for figure, curve in recorded.items()}


def _by_task(run: RunData) -> Markup:
    demonstrated = set(run.names("demonstrated"))
    figures = run.curves.get(REINFORCE, {})
    tasks = [f.removeprefix("reward/") for f in figures if f.startswith("reward/") and "." in f]
    tasks.sort(key=lambda task: (task in demonstrated, task))
    if not tasks:
        return Markup()
    charts = [
        line_chart(
            LineChart(
                task,
                "" if task in demonstrated or not demonstrated else "never demonstrated",
                [Line("reward", figures[f"reward/{task}"], 1 if task in demonstrated else 2)],
                shares=True,
                small=True,
            )
        )
        for task in tasks
    ]
    return join(element("h3", "Reward by task"), element("div", charts, class_="grid-3"))


def _others(run: RunData) -> Markup:
    """Figures that no other chart shows, so that nothing recorded is hidden."""
    known = {figure for wanted in (*LEARNING, *PACE, *STABILITY) for figure in wanted.figures}
    figures = _figures(run)
    rest = [
        f for f in sorted(figures) if f not in known and not (f.startswith("reward/") and "." in f)
    ]
    charts = [
        line_chart(LineChart(figure, "", [Line(figure, figures[figure], 6)], small=True))
        for figure in rest[:MAX_OTHERS]
    ]
    if not charts:
        return Markup()
    return details(
        f"Everything else that was recorded ({len(rest)})", element("div", charts, class_="grid-3")
    )
