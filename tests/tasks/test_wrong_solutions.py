"""Certification finds tasks that reward what is no solution."""

from __future__ import annotations

from press_task import Press, checked

from webdojo.envs.certification import Effort, certify
from webdojo.envs.certification.certify import FIRST_SEED
from webdojo.tasks import Outcome
from webdojo.tasks.calls import call, click, fill
from webdojo.tasks.evaluators import Dom, EvaluatedTask
from webdojo.tasks.registry import Entry


async def test_a_reward_for_nothing_is_found_however_small() -> None:
    class Generous(Press):
        rewards = (0.1, 0.0)

    assert (await checked(Generous)).problems == (
        "doing nothing is rewarded on 100%",
        "50% of the wrong solutions are rewarded",
    )


async def test_a_page_that_begins_as_it_should_end_is_found_on_every_instance() -> None:
    class Begun(Press):
        async def setup(self, page, seed):
            goal = await super().setup(page, seed)
            if seed == FIRST_SEED + 2:
                await page.evaluate("n => { window.pressed = n }", self.wanted)
            return goal

    found = await checked(Begun, Effort(seeds=3, trials=0, random=0, idle=1, twice=0))
    assert found.outcomes["noop"] == "001"
    assert "doing nothing is rewarded on 33%" in found.problems


async def test_a_task_that_takes_any_answer_is_not_certified() -> None:
    class Told(Press):
        id = "check.told"

        async def evaluate(self, page, answer):
            return Outcome(float(bool(answer)), done=answer is not None)

        def oracle(self, view):
            yield call("send_msg_to_user", view.goal)

    found = await checked(Told, Effort(seeds=2, trials=1, random=1, idle=2))
    assert found.oracle_success == 1.0
    assert found.noop_success == 0.5
    assert found.problems


async def test_an_evaluator_that_takes_any_key_is_found() -> None:
    class AnyKey(Press):
        async def setup(self, page, seed):
            await page.set_content("<input onkeydown='window.pressed = event.key'>")
            return f"Press {['Enter', 'Escape'][seed % 2]}"

        async def evaluate(self, page, answer):
            pressed = await page.evaluate("window.pressed")
            return Outcome(float(bool(pressed)), done=bool(pressed))

        def oracle(self, view):
            yield call("press", view.bid("input"), view.goal.split()[1])

    found = await checked(AnyKey, Effort(seeds=2, trials=2, random=0, idle=0, twice=0))
    assert found.outcomes["changed"] == "11"
    assert found.problems == ("50% of the wrong solutions are rewarded",)


async def test_an_evaluator_that_takes_anything_is_found() -> None:
    class Blind(Press):
        rewards = (0.0, 1.0)

    found = await checked(Blind)
    assert found.mutated_success == 0.5
    assert found.shortened_success == 0.0
    assert found.problems == ("50% of the wrong solutions are rewarded",)


async def test_a_wrong_solution_must_earn_nothing_at_all() -> None:
    class Nearly(Press):
        rewards = (0.0, 0.99)

    found = await checked(Nearly, Effort(seeds=2, trials=2, random=0, idle=0, twice=0))
    assert found.problems == ("50% of the wrong solutions are rewarded",)
    assert found.outcomes["changed"] == "11"


async def test_typed_values_are_changed() -> None:
    class Type(Press):
        async def evaluate(self, page, answer):
            typed = await page.evaluate("document.querySelector('input')?.value")
            return Outcome(float(bool(typed)), done=bool(typed))

        def oracle(self, view):
            yield fill(view.bid("input"), view.goal[-1])

    assert (await checked(Type)).mutated_success == 0.5


async def test_an_answer_that_nobody_reads_is_not_made_wrong() -> None:
    class Done(EvaluatedTask):
        id = "check.done"
        at_answer = True

        async def start(self, page, seed):
            await page.set_content(f"<button onclick='this.id = 1'>{seed}</button>")
            self.checks = Dom(selector='[id="1"]')
            return f"Press {seed}, and say when you are done."

        def oracle(self, view):
            yield click(view.bid("button"))
            yield call("send_msg_to_user", "Done.")

    found = await checked(Done, Effort(seeds=2, trials=2, random=0, idle=1, twice=0))
    assert found.problems == ()
    assert (found.outcomes["shortened"], found.outcomes["stuffed"]) == ("00", "")


class Say(Press):
    """Say the number on the page."""

    async def setup(self, page, seed):
        self.wanted = str(seed % 90 + 10)
        await page.set_content(f"<h1>{self.wanted}</h1><p>It costs 7 dollars and 8 cents.</p>")
        return "Say the number on the page."

    async def evaluate(self, page, answer):
        return Outcome(float(self.right(answer or "")), done=answer is not None)

    def right(self, answer):
        return answer == self.wanted

    def oracle(self, view):
        yield call("send_msg_to_user", view.soup.h1.get_text())


async def test_an_answer_that_lists_candidates_must_earn_nothing() -> None:
    class Holds(Say):
        id = "check.holds"

        def right(self, answer):
            return self.wanted in answer

    class Lists(Say):
        id = "check.lists"

        def right(self, answer):
            return len(answer) < 60 and self.wanted in answer.split(", ")

    class Chooses(Say):
        id = "check.chooses"

        def right(self, answer):
            return "Say" not in answer and self.wanted in answer.split(" or ")

    class Strings(Say):
        id = "check.strings"

        def right(self, answer):
            plain = len(answer) < 30 and "," not in answer and " or " not in answer
            return plain and self.wanted in answer.split()

    effort = Effort(seeds=2, trials=1, random=0, idle=0, twice=0)
    entries = [Entry(task, "here") for task in (Holds, Lists, Chooses, Strings, Say)]
    *stuffed, honest = await certify(entries, effort, contexts=2)
    for found in stuffed:
        assert found.outcomes["stuffed"] == "1"
        assert found.problems == ("33% of the wrong solutions are rewarded",)
    assert (honest.problems, honest.outcomes["stuffed"]) == ((), "0")
