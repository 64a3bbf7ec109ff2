"""Learning curves: how reinforcement went, update by update."""

from __future__ import annotations

from webdojo.training.report.line_chart import SMOOTH_FROM, Line, LineChart, line_chart
from webdojo.training.report.markup import Markup, details, element, join
from webdojo.training.report.run_data import RunData

REINFORCE = "reinforce"
MAX_OTHERS = 36

Wanted = tuple[str, str, dict[str, str], bool, bool]
"""Title, note, figures with their labels, whether they are shares, whether zero belongs in."""

LEARNING: tuple[Wanted, ...] = (
    (
        "Reward",
        "Mean reward of the groups of one update, mixed or not.",
        {"reward/mean": "mean"},
        True,
        True,
    ),
    (
        "Mixed groups",
        "Groups whose rewards differ. Only these carry a gradient; the others are replaced.",
        {"groups/mixed_share": "share"},
        True,
        True,
    ),
    ("Entropy", "Of the policy's next token, in nats.", {"entropy": "entropy"}, False, True),
    (
        "Steps an episode",
        "",
        {"steps/success": "successes", "steps/failure": "failures"},
        False,
        True,
    ),
    (
        "Response tokens an episode",
        "",
        {"tokens/success": "successes", "tokens/failure": "failures"},
        False,
        True,
    ),
)
STABILITY: tuple[Wanted, ...] = (
    (
        "Staleness",
        "Versions between the oldest token of a group and the learner that consumes it.",
        {"staleness/mean": "mean", "staleness/max": "highest"},
        False,
        True,
    ),
    (
        "Clipped and dropped tokens",
        "Clipped: the ratio left the trust region. Dropped: the importance weight passed its cap.",
        {"clip_rate": "clipped", "dropped_token_rate": "dropped"},
        False,
        True,
    ),
    ("Loss", "", {"loss": "loss"}, False, False),
    ("Gradient norm", "Before clipping.", {"grad_norm": "norm"}, False, True),
    ("KL divergence", "", {"kl": "KL"}, False, True),
    (
        "Log-probability mismatch",
        "Between the engine that drew the tokens and the learner.",
        {"logprob_mismatch": "mismatch"},
        False,
        True,
    ),
    (
        "Effective sample size",
        "Of the importance weights.",
        {"effective_sample_size": "size"},
        False,
        True,
    ),
)


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


def _chart(run: RunData, wanted: Wanted) -> Markup:
    title, note, figures, shares, from_zero = wanted
    colours = (3, 5) if "successes" in figures.values() else (1, 2)
    lines = [
        Line(label, run.curve(REINFORCE, figure), colour, smoothed=label != "highest")
        for (figure, label), colour in zip(figures.items(), colours, strict=False)
    ]
    return line_chart(LineChart(title, note, lines, shares=shares, from_zero=from_zero))


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
    known = {figure for wanted in (*LEARNING, *STABILITY) for figure in wanted[2]}
    figures = run.curves.get(REINFORCE, {})
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
