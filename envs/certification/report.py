"""What a certification found out about a task, and whether that is good enough."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal

from webdojo.tasks.success import is_success
from webdojo.tasks.task import Check, Task

if TYPE_CHECKING:
    from webdojo.envs.certification.certify import Findings, Rewarded

ORACLE_BAR = 0.99
"""Share of instances that an oracle must solve."""
WAYS_OUT: Mapping[str, str] = {
    "goals": (
        "; let the seed choose what differs, or say why there is one instance:"
        ' caveats = { goals = "…" } in a TOML file, caveats = {"goals": "…"} in a class'
    )
}
"""What to do about a check that was not passed, where its text does not tell."""
REFUSE_OR_SAY = (
    '; let the evaluator refuse it, or, where it is right too, say why: caveats = {"mutated": "…"}'
    ' in a class, caveats = { mutated = "…" } in a TOML file'
)
SHOWN = 3
"""Steps that a note names."""
LONGEST_TOLD = 500
"""Characters of a solution in a note."""
FIELDS = (
    *("id", "oracle_success", "noop_success", "random_success", "mutated_success"),
    *("deterministic", "oracle_targets_kept", "steps", "seconds"),
)
"""What ``to_json`` gives, in this order."""


@dataclass(frozen=True, slots=True)
class TaskReport:
    """Figures of one task. None: could not be measured, because the oracle never got so far."""

    id: str
    oracle_success: float | None
    """Share of instances whose oracle earned the full reward."""
    noop_success: float | None
    """Share of instances that reward doing nothing, however little."""
    random_success: float | None
    """Share of instances that a random agent solved. It is told, not judged."""
    mutated_success: float | None
    """Share of wrong solutions that earned anything, however little."""
    deterministic: bool | None
    """Whether the same actions, done twice, showed the same to the last byte and pixel, and
    another process gave the same instances."""
    oracle_targets_kept: float | None
    """Share of the elements that oracles acted on which the pruned page shows."""
    steps: float | None
    """Mean actions of a solution."""
    seconds: float | None
    """Mean wall-clock time of a solution."""
    goals: int
    """Different goals among the instances."""
    instances: int
    """Different first looks among them: goal and readable text."""
    looks: int
    """Instances looked at."""
    outcomes: Mapping[str, str]
    """Of each way of playing what came of each instance, in the order of their seeds: ``1``
    for the full reward or, of what must earn nothing, for any, ``0`` not, ``-`` not played; of
    ``same``, ``1`` where two runs were identical."""
    seeds: int
    """Instances that the oracle played."""
    shortened_success: float | None
    """``mutated_success`` of solutions without their last step alone."""
    rewarded: Rewarded | None
    """The first wrong solution that was rewarded."""
    needless: Rewarded | None
    """The first solution that was rewarded although a step was changed that may be of no matter."""
    untried: tuple[int, ...]
    """Steps of the first solution that may matter and were changed in no wrong one, from 0."""
    solution: tuple[str, ...]
    """The first solution that wrong ones were made of."""
    elsewhere: str
    """How another process's instances differ; empty if nowhere, or if none was asked."""
    fault: str
    """What is wrong with the task's own code."""
    lost: str
    """Why an instance could not be played to its end."""
    troubles: tuple[str, ...]
    """Why oracles failed, each once."""
    caveats: tuple[tuple[Check, str], ...]
    """Checks that the task says it cannot pass in full, with its reasons."""

    @property
    def shortfalls(self) -> dict[Check | Literal["noop"], str]:
        """Checks that were not passed, with what was found, caveats or not.

        Nothing excuses ``noop``: a task that pays for doing nothing teaches nothing.
        """
        found: dict[Check | Literal["noop"], str] = {}
        if self.oracle_success is None:
            found["oracle"] = "what an oracle solves could not be measured"
        elif self.oracle_success < ORACLE_BAR:
            why = f" ({self.troubles[0]})" if self.troubles else ""
            found["oracle"] = f"the oracle solves {_share(self.oracle_success)}{why}"
        if self.noop_success:
            found["noop"] = f"doing nothing is rewarded on {_share(self.noop_success)}"
        if self.mutated_success:
            found["mutated"] = f"{_share(self.mutated_success)} of the wrong solutions are rewarded"
        if self.deterministic is False:
            runs = ["two runs of the same actions differ"] * ("0" in self.outcomes["same"])
            found["deterministic"] = "; ".join([*runs, *filter(None, [self.elsewhere])])
        if self.oracle_targets_kept is not None and self.oracle_targets_kept < 1:
            found["targets"] = (
                f"pruning keeps {_share(self.oracle_targets_kept)} of the oracle's targets"
            )
        if self.looks == 1:
            found["goals"] = "whether seeds differ was not checked: that takes --seeds 2 or more"
        elif self.looks and self.instances == 1:
            found["goals"] = "every seed gives the same goal and the same text to read"
        return found

    @property
    def problems(self) -> tuple[str, ...]:
        """Why the task is not certified; empty if it is."""
        if self.fault:
            return (self.fault,)
        if self.lost:
            return (f"could not be measured: {self.lost}",)
        excused = {check for check, _ in self.caveats}
        return tuple(
            text + WAYS_OUT.get(check, "")
            for check, text in self.shortfalls.items()
            if check == "noop" or check not in excused
        )

    @property
    def excuses(self) -> tuple[str, ...]:
        """Checks not passed that the task gives a reason for, with it."""
        excused = dict(self.caveats)
        return tuple(
            f"{text}: {excused[check]}"
            for check, text in self.shortfalls.items()
            if check != "noop" and check in excused and not self.fault and not self.lost
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What is worth knowing of a task and no reason against it."""
        found = []
        if self.rewarded is not None:
            way_out = "" if any(check == "mutated" for check, _ in self.caveats) else REFUSE_OR_SAY
            found.append(
                f"the first wrong solution that is rewarded: {_wrong(self.rewarded)}{way_out}"
            )
        if self.needless is not None:
            found.append(
                "a solution with one click or key changed, which is asked for or not, is rewarded:"
                f" {_wrong(self.needless)}"
            )
        if self.untried:
            steps = [f"{place + 1} {self.solution[place]}" for place in self.untried]
            more = [f"{len(steps) - SHOWN} more"] if len(steps) > SHOWN else []
            found.append(
                f"of the {len(self.solution)} steps of a solution these were never changed, and may"
                f" not be asked for: {', '.join(steps[:SHOWN] + more)}"
            )
        if self.random_success == 1:
            found.append("a random agent solves every episode: success says little of an agent")
        if self.outcomes.get("shortened") and not self.outcomes.get("changed"):
            found.append(
                "no wrong solution could be made by changing a value: what its evaluator takes was"
                " tried without the last step alone"
            )
        if not self.fault and not self.lost:
            found.extend(
                f"the caveat {check!r} excused nothing: {reason}"
                for check, reason in self.caveats
                if check not in self.shortfalls
            )
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        """The figures as JSON values, and the first wrong solution that was rewarded if one was.

        It stands under ``rewarded``: ``{"seed", "actions", "reward"}``.
        """
        values = asdict(self)
        figures = {name: values[name] for name in FIELDS}
        if self.rewarded is not None:
            names = ("seed", "actions", "reward")
            figures["rewarded"] = {name: values["rewarded"][name] for name in names}
        return figures


def report(task: Task, findings: Sequence[Findings], elsewhere: str = "") -> TaskReport:
    """Sum up what was found on the instances of one task, and ``elsewhere`` on the same."""
    played = [one for one in findings if one.oracle is not None]
    runs = [one.oracle for one in played if one.oracle is not None]
    solved = [run for run in runs if is_success(run.reward)]
    shortened = [one.shortened for one in findings if one.shortened is not None]
    changed = [one.changed for one in findings if one.changed is not None]
    chosen = [one.chosen for one in findings if one.chosen is not None]
    stuffed = [one.stuffed for one in findings if one.stuffed is not None]
    idle = [one.idle for one in findings if one.idle is not None]
    wild = [one.random for one in findings if one.random is not None]
    kept = [one for found in played for one in found.kept]
    looks = [one.instance for one in findings if one.instance is not None]
    ordered = sorted(findings, key=lambda one: one.seed)
    tried = {place for one in findings for place in one.tried}
    first = next((one for one in ordered if one.tried), None)
    same = [one.deterministic for one in findings if one.deterministic is not None]
    return TaskReport(
        id=task.id,
        oracle_success=_mean(is_success(run.reward) for run in runs),
        noop_success=_mean(reward > 0 for reward in idle),
        random_success=_mean(is_success(reward) for reward in wild),
        mutated_success=_mean(reward > 0 for reward in (*shortened, *changed, *chosen, *stuffed)),
        deterministic=False if elsewhere else all(same) if same else None,
        oracle_targets_kept=_mean(kept),
        steps=_mean(run.steps for run in solved),
        seconds=_mean(one.seconds for one in played),
        goals=len({goal for goal, _ in looks}),
        instances=len(set(looks)),
        looks=len(looks),
        outcomes={
            "oracle": _outcomes(
                is_success(one.oracle.reward) if one.oracle else None for one in ordered
            ),
            "noop": _outcomes(_earned(one.idle) for one in ordered),
            "random": _outcomes(_solved(one.random) for one in ordered),
            "shortened": _outcomes(_earned(one.shortened) for one in ordered),
            "changed": _outcomes(_earned(one.changed) for one in ordered),
            "chosen": _outcomes(_earned(one.chosen) for one in ordered),
            "stuffed": _outcomes(_earned(one.stuffed) for one in ordered),
            "same": _outcomes(one.deterministic for one in ordered),
        },
        seeds=len(played),
        shortened_success=_mean(reward > 0 for reward in shortened),
        rewarded=next((wrong for one in ordered for wrong in one.wrong), None),
        needless=next((wrong for one in ordered for wrong in one.needless), None),
        untried=tuple(place for place in first.matter if place not in tried) if first else (),
        solution=first.oracle.actions if first and first.oracle else (),
        elsewhere=elsewhere,
        fault=next((one.fault for one in findings if one.fault), ""),
        lost=next((one.lost for one in findings if one.lost), ""),
        troubles=tuple(dict.fromkeys(run.trouble for run in runs if not is_success(run.reward))),
        caveats=tuple(task.caveats.items()),
    )


def _wrong(rewarded: Rewarded) -> str:
    """A rewarded solution for people."""
    actions = "; ".join(
        f"[{text}]" if place == rewarded.place else text
        for place, text in enumerate(rewarded.actions)
    )
    told = actions if len(actions) <= LONGEST_TOLD else f"{actions[:LONGEST_TOLD]} …"
    return f"seed {rewarded.seed}, reward {rewarded.reward:g}, step {rewarded.place + 1}: {told}"


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return round(fmean(found), 4) if found else None


def _solved(reward: float | None) -> bool | None:
    return None if reward is None else is_success(reward)


def _earned(reward: float | None) -> bool | None:
    return None if reward is None else reward > 0


def _outcomes(found: Iterable[bool | None]) -> str:
    return "".join("-" if one is None else "01"[one] for one in found).rstrip("-")


def _share(value: float) -> str:
    return f"{value:.0%}"
