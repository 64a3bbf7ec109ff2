"""WebGym's rubric (arXiv 2601.02439): an answer is right if a judge finds every part of it so.

1. Of the episode's screenshots those that bear on the task are kept.
2. Grounding: every claim of the answer must be visible in them.
3. Every fact of the rubric is judged by itself.
4. If there is a reference answer, the answer must agree with it.
5. A fact that cannot hold is judged among the others, and must be denied. A judge that affirms it
   says yes to anything, be it because the answer or a page has told it to.

Success only if all hold. No answer, no relevant screenshot, a judge that fails: no success.
Where the judge is away, or has never given a verdict, the episode is undecided.
"""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import Any, ClassVar

from pydantic import Field, field_validator, model_validator

from webdojo.tasks.evaluators.evaluator import Evaluator, Evidence, Verdict
from webdojo.tasks.evaluators.judge import (
    Judge,
    JudgeFailedError,
    JudgeSettings,
    judge_of,
)
from webdojo.tasks.evaluators.judge_questions import Question, quoted
from webdojo.tasks.evaluators.normalise import LONGEST, visible
from webdojo.tasks.evaluators.recording import MOST_SCREENSHOTS

RELEVANT = (
    "You look at one screenshot of a web browser. Decide whether it shows anything that bears on"
    " the task or on one of the facts that are asked for. Key: relevant."
)
GROUNDED = (
    "You check an answer for invention. Find every claim that the answer makes: names, numbers,"
    " prices, dates, conditions. Decide whether each of them is visible in the screenshots. One"
    " claim that cannot be seen makes the whole false, however likely it is. An answer that offers"
    " several alternatives, or says nothing that can be checked, is false. Words that whoever"
    " answers can have typed (in a search box, a field, the address, or a heading, list of searches"
    " or message that repeats them) prove nothing: they do not make a claim visible. Key: grounded."
)
HOLDS = (
    "You check one fact about an answer that was given for a task. Decide whether the screenshots"
    " and the answer together show that the fact holds. Judge this fact alone. If the answer"
    " contradicts it, leaves it open, or lists alternatives instead of deciding, it does not hold."
    " Words that whoever answers can have typed (in a search box, a field, the address, or a"
    " heading, list of searches or message that repeats them) prove nothing. Key: holds."
)
AGREES = (
    "You compare an answer with a reference answer that is known to be right. Decide whether they"
    " say the same: wording and order do not count, a missing, further or different item does."
    " Key: agrees."
)

MOST_FACTS = 100
"""Each is a question to the judge."""


class Rubric(Evaluator):
    """What the agent said is right, as a judge sees it from the screenshots.

    Whoever is judged may speak to the judge, in the answer or on a page. Both reach it as quoted
    data before the question, a reply that is no plain verdict counts as no, and so does a judge
    that affirms a fact made up for it: one that obeys "say yes to everything", in whatever words.
    It is not found out where it obeys an order about some facts alone.

    The judge is the user's own: ``WEBDOJO_JUDGE_URL``, ``WEBDOJO_JUDGE_MODEL``, and so on. A task
    cannot bring one, nor a key or a folder for verdicts: it would judge itself.
    Example: ``Rubric(facts=("The price of the red mug is given",), reference_answer="$12")``.
    """

    kind: ClassVar[str] = "rubric"
    facts: tuple[str, ...] = Field(min_length=1, max_length=MOST_FACTS)
    reference_answer: str = ""
    max_characters: int = Field(2000, gt=0, le=LONGEST)
    """A longer answer is not judged: it is stuffed."""
    max_screenshots: int = Field(8, gt=0, le=MOST_SCREENSHOTS)
    """Of the relevant ones the latest so many are shown to the judge."""
    limit_s: float = Field(300.0, gt=0, le=3600)
    """Real time for the whole verdict."""

    @model_validator(mode="before")
    @classmethod
    def _brings_no_judge(cls, fields: Any) -> Any:
        theirs = {"settings", "judge", *JudgeSettings.model_fields} & set(fields)
        if theirs:
            raise ValueError(
                f"{min(theirs)}: a task does not say who judges it; take it out, and set"
                " WEBDOJO_JUDGE_URL, WEBDOJO_JUDGE_MODEL and so on where WebDojo runs"
            )
        return fields

    @field_validator("facts")
    @classmethod
    def _all_say_something(cls, facts: tuple[str, ...]) -> tuple[str, ...]:
        for place, fact in enumerate(facts):
            if not visible(fact):
                raise ValueError(f"fact {place} says nothing: write a sentence, or take it out")
        return facts

    @field_validator("reference_answer")
    @classmethod
    def _none_or_one(cls, answer: str) -> str:
        if answer and not visible(answer):
            raise ValueError("it says nothing: write the answer, or leave reference_answer out")
        return answer

    @property
    def reads_answer(self) -> bool:
        """It does."""
        return True

    @property
    def needs_screenshots(self) -> bool:
        """It looks at them."""
        return True

    @property
    def patience_s(self) -> float:
        """As ``limit_s``."""
        return self.limit_s

    async def judge(self, evidence: Evidence) -> Verdict:
        """Ask the judge, if there is anything to ask."""
        answer = visible(evidence.answer or "")
        if not answer:
            return Verdict(False, "there is no answer")
        if len(answer) > self.max_characters:
            told = f"the answer has {len(answer)} characters, more than {self.max_characters}"
            return Verdict(False, told)
        if evidence.recorder is None or not evidence.recorder.screenshots:
            return Verdict(False, "there is no screenshot to judge by")
        judge = judge_of(JudgeSettings.from_environment())
        images = tuple(shot.content for shot in evidence.recorder.screenshots)
        try:
            return await self._ask(judge, evidence.goal, answer, images)
        except JudgeFailedError as error:
            # One that gives verdicts and none on this may fail at what it was shown: a failure.
            undecided = error.away or not judge.counters.verdicts
            return Verdict(False, f"the judge failed: {error}", undecided)

    def ready(self) -> None:
        """Raise UserError now if the environment names no judge."""
        JudgeSettings.from_environment()

    async def _ask(
        self, judge: Judge, goal: str, answer: str, images: tuple[bytes, ...]
    ) -> Verdict:
        relevant = await self._relevant(judge, goal, images)
        if not relevant:
            return Verdict(False, "no screenshot shows anything that bears on the task")
        task = (("Task", goal), ("Answer", answer))
        grounded = Question(GROUNDED, task, relevant, ("grounded",))
        if not (await judge.ask(grounded))["grounded"]:
            return Verdict(False, "the answer claims what no screenshot shows")
        if self.reference_answer:
            asks = f"{AGREES}\nThe reference answer: {quoted(self.reference_answer)}"
            if not (await judge.ask(Question(asks, task, (), ("agrees",))))["agrees"]:
                return Verdict(False, "the answer does not agree with the reference answer")
        asked = [
            Question(f"{HOLDS}\nThe fact: {quoted(fact)}", task, relevant)
            for fact in (*self.facts, impossible_fact(goal, answer))
        ]
        *verdicts, blind = await _all(judge, asked)
        if blind["holds"]:
            return Verdict(False, "the judge affirms what cannot be: it says yes to anything")
        missed = [fact for fact, v in zip(self.facts, verdicts, strict=True) if not v["holds"]]
        told = f"{len(missed)} of {len(self.facts)} facts do not hold: {'; '.join(missed)[:300]}"
        return Verdict(not missed, told if missed else "")

    async def _relevant(
        self, judge: Judge, goal: str, images: tuple[bytes, ...]
    ) -> tuple[bytes, ...]:
        asks = f"{RELEVANT}\nThe facts: {' '.join(map(quoted, self.facts))}"
        task = (("Task", goal),)
        verdicts = await _all(
            judge, [Question(asks, task, (image,), ("relevant",)) for image in images]
        )
        kept = [image for image, v in zip(images, verdicts, strict=True) if v["relevant"]]
        return tuple(kept[-self.max_screenshots :])


async def _all(judge: Judge, questions: list[Question]) -> list[dict[str, bool]]:
    """Ask at once; the first failure ends the rest."""
    try:
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(judge.ask(question)) for question in questions]
    except ExceptionGroup as failures:
        without_verdict, others = failures.split(JudgeFailedError)
        if without_verdict is None or others is not None:
            raise
        raise without_verdict.exceptions[0] from None
    return [task.result() for task in asked]


def impossible_fact(goal: str, answer: str) -> str:
    """A fact that no answer bears out: it says a number that comes of the answer's own hash."""
    told = f"{goal}\n{answer}".encode(errors="surrogatepass")
    number = int(sha256(told).hexdigest(), 16) % 90_000_000 + 10_000_000
    return f"The answer says the number {number}."
