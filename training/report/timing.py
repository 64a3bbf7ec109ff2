"""Where the time went, and how asynchronous and synchronous training compare."""

from __future__ import annotations

from webdojo.tasks.errors import UserError
from webdojo.training.report.bar_chart import Part, bar_chart
from webdojo.training.report.curves import pace
from webdojo.training.report.figures import duration, number, percent
from webdojo.training.report.markup import Child, Markup, element, join, table
from webdojo.training.report.run_data import RunData, mapping, numeric, read_run

PHASES = {
    "record": "recording demonstrations",
    "warm_start": "warm start",
    "evaluate_before": "evaluation before",
    "reinforce": "reinforcement",
    "evaluate_after": "evaluation after",
    "report": "report",
}
COLOURS = {
    "record": "s6",
    "warm_start": "s2",
    "evaluate_before": "s4",
    "reinforce": "s1",
    "evaluate_after": "s5",
    "report": "s3",
}
COMPARED = {
    "episodes_per_min": "episodes a minute",
    "tokens_per_s": "tokens a second",
    "updates": "updates",
    "staleness": "staleness allowed",
    "idle_share_rollout": "rollout idle",
    "idle_share_learner": "learner idle",
}


def timing(run: RunData) -> Markup:
    """Phases, idle time inside reinforcement, and the comparison of modes."""
    parts = [
        Part(PHASES.get(phase, phase), seconds, duration(seconds), COLOURS.get(phase, "s6"))
        for phase, value in mapping(run.summary, "phases").items()
        if (seconds := numeric(value)) is not None and seconds > 0
    ]
    content = [bar_chart("Phases of the run", parts), _idle(run), pace(run), _throughput(run)]
    if not any(content):
        return Markup()
    return element("section", element("h2", "Where the time went"), content)


def other_mode(run: RunData) -> RunData | None:
    """The newest run beside this one of the same preset in the other mode, if there is one."""
    throughput = mapping(run.summary, "throughput")
    mode, preset = throughput.get("mode"), run.summary.get("preset")
    if mode not in ("async", "sync") or not preset:
        return None
    found: list[tuple[float, RunData]] = []
    for path in run.folder.resolve().parent.glob("*/summary.json"):
        try:
            beside = read_run(path.parent)
            written = path.stat().st_mtime
        except (OSError, UserError):
            continue
        other = mapping(beside.summary, "throughput").get("mode")
        if beside.summary.get("preset") == preset and other in ("async", "sync") and other != mode:
            found.append((written, beside))
    return max(found, key=lambda pair: pair[0])[1] if found else None


def _idle(run: RunData) -> Markup:
    """How much of reinforcement each half spent waiting for the other."""
    throughput = mapping(run.summary, "throughput")
    bars: list[Markup] = []
    for side, colour in (("rollout", "s1"), ("learner", "s2")):
        idle = numeric(throughput.get(f"idle_share_{side}"))
        if idle is None:
            continue
        idle = min(1.0, max(0.0, idle))
        bars.append(
            bar_chart(
                f"Inside reinforcement: {side}",
                [
                    Part("at work", 1 - idle, "", colour),
                    Part("idle", idle, "", "idle"),
                ],
            )
        )
    return element("div", bars, class_="grid-2") if bars else Markup()


def _throughput(run: RunData) -> Markup:
    throughput = mapping(run.summary, "throughput")
    if not throughput:
        return Markup()
    other = other_mode(run)
    runs = [run] if other is None else [run, other]
    headings: list[Child] = ["", *(_mode(each) for each in runs)]
    rows: list[list[Child]] = []
    for key, label in COMPARED.items():
        values = [numeric(mapping(each.summary, "throughput").get(key)) for each in runs]
        if any(value is not None for value in values):
            share = key.startswith("idle_share")
            rows.append([label, *(_written(value, share) for value in values)])
    success = [each.change("undemonstrated", "greedy").after for each in runs]
    if any(success):
        rows.append(
            [
                "undemonstrated tasks, greedy, after",
                *(percent(rate["success"]) if rate else "—" for rate in success),
            ]
        )
    rows.append(["run", *(element("code", each.name) for each in runs)])
    return join(
        element("h3", "Throughput of reinforcement"), _ratio(run, other), table(headings, rows)
    )


def _ratio(run: RunData, other: RunData | None) -> Markup:
    """The sentence that compares both modes, or says how to have them compared."""
    mode = mapping(run.summary, "throughput").get("mode")
    if other is None:
        missing = "rollout.staleness=0" if mode == "async" else "rollout.staleness=2"
        preset = run.summary.get("preset") or "PRESET"
        return element(
            "p",
            "No run of the same preset in the other mode lies beside this one; ",
            element("code", f"webdojo train {preset} --set {missing}"),
            " makes one to compare with.",
            class_="note",
        )
    first, second = (run, other) if mode == "async" else (other, run)
    told: list[str] = []
    for key, label in (
        ("episodes_per_min", "episodes a minute"),
        ("tokens_per_s", "tokens a second"),
    ):
        fast = numeric(mapping(first.summary, "throughput").get(key))
        slow = numeric(mapping(second.summary, "throughput").get(key))
        if fast and slow:
            told.append(
                f"{fast / slow:.2f} times the {label} ({number(fast)} against {number(slow)})"
            )
    if not told:
        return Markup()
    return element("p", f"Asynchronous training made {' and '.join(told)} of synchronous training.")


def _mode(run: RunData) -> str:
    mode = str(mapping(run.summary, "throughput").get("mode", ""))
    return {"async": "asynchronous", "sync": "synchronous"}.get(mode, mode or "this run")


def _written(value: float | None, share: bool) -> str:
    if value is None:
        return "—"
    return percent(value) if share else number(value)
