"""Evaluators of evaluators: all of them, any of them."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from webdojo.tasks.evaluators.evaluator import AnyEvaluator, Evaluator, Evidence, Verdict


class AllOf(Evaluator):
    """Every one must pass. They are asked in order up to the first that does not."""

    kind: ClassVar[str] = "all_of"
    evaluators: tuple[AnyEvaluator, ...] = Field(min_length=1)

    @property
    def reads_answer(self) -> bool:
        """If one of them does."""
        return any(each.reads_answer for each in self.evaluators)

    @property
    def patience_s(self) -> float:
        """All of them together."""
        return sum(each.patience_s for each in self.evaluators)

    async def judge(self, evidence: Evidence) -> Verdict:
        """Ask one after another: put the one that costs most last."""
        for each in self.evaluators:
            verdict = await each.judge(evidence)
            if not verdict.passed:
                return verdict
        return Verdict(True)


class AnyOf(Evaluator):
    """One must pass. They are asked in order up to the first that does."""

    kind: ClassVar[str] = "any_of"
    evaluators: tuple[AnyEvaluator, ...] = Field(min_length=1)

    @property
    def reads_answer(self) -> bool:
        """If one of them does."""
        return any(each.reads_answer for each in self.evaluators)

    @property
    def patience_s(self) -> float:
        """All of them together."""
        return sum(each.patience_s for each in self.evaluators)

    async def judge(self, evidence: Evidence) -> Verdict:
        """Ask one after another."""
        reasons, undecided = [], False
        for each in self.evaluators:
            verdict = await each.judge(evidence)
            if verdict.passed:
                return verdict
            reasons.append(verdict.reason)
            undecided = undecided or verdict.undecided
        return Verdict(False, "; ".join(reasons), undecided)
