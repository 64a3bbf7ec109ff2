"""Certification finds tasks that reward what is no solution."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
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


async def test_a_wrong_solution_that_nobody_judged_is_not_measured() -> None:
    class Unjudged(Press):
        async def evaluate(self, page, answer):
            found = await super().evaluate(page, answer)
            return found if found.reward else replace(found, message="401", undecided=True)

    found = await checked(Unjudged)
    assert found.problems == ("could not be measured: 401; check it where the judge answers",)


async def test_typed_values_are_changed() -> None:
    class Type(Press):
        async def evaluate(self, page, answer):
            typed = await page.evaluate("document.querySelector('input')?.value")
            return Outcome(float(bool(typed)), done=bool(typed))

        def oracle(self, view):
            yield fill(view.bid("input"), view.goal[-1])

    assert (await checked(Type)).mutated_success == 0.5


@pytest.mark.slow
async def test_what_a_field_does_not_take_is_no_wrong_solution() -> None:
    class Code(Press):
        id = "check.code"
        typed = staticmethod(str)

        async def setup(self, page, seed):
            self.wanted = ["SFO", "JFK", "LAX"][seed % 3]
            await page.set_content(
                "<input maxlength=3 oninput='this.value = this.value.toUpperCase()'>"
                "<button onclick='window.sent = 1'>Go</button>"
            )
            return f"Send {self.wanted}"

        async def evaluate(self, page, answer):
            sent = await page.evaluate("window.sent && document.querySelector('input').value")
            return Outcome(float(self.right(sent)), done=sent is not None)

        def right(self, sent):
            return sent == self.wanted

        def oracle(self, view):
            view = yield fill(view.bid("input"), self.typed(view.goal.split()[1]))
            yield click(view.bid("button"))

    class Any(Code):
        id = "check.any-code"

        def right(self, sent):
            return bool(sent)

    class Small(Code):
        id = "check.small-code"
        typed = staticmethod(str.lower)

    sound, small, unsound = [await checked(task) for task in (Code, Small, Any)]
    for found in (sound, small):
        assert (found.problems, found.outcomes["changed"]) == ((), "00")
    assert unsound.outcomes["changed"] == "11"
    assert unsound.rewarded is not None
    assert unsound.rewarded.actions[0].endswith(', "xJFK")')


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


@pytest.mark.slow
async def test_an_answer_that_is_read_in_part_or_need_not_be_exact_is_found() -> None:
    class Later(Say):
        async def setup(self, page, seed):
            self.wanted = str(seed % 4 + 55)
            await page.set_content(f"<p>7 dollars</p><h1>{self.wanted}</h1><p>8 cents</p>")
            return "Say the large number on the page."

    class First(Later):
        id = "check.first"

        def right(self, answer):
            return re.findall(r"\d+", answer)[:1] == [self.wanted]

    class AtLeast(Later):
        id = "check.at-least"

        def right(self, answer):
            return answer.isdigit() and int(answer) >= int(self.wanted)

    class AtMost(Later):
        id = "check.at-most"

        def right(self, answer):
            return answer.isdigit() and 0 < int(answer) <= int(self.wanted)

    effort = Effort(seeds=4, trials=4, random=0, idle=0, twice=0)
    entries = [Entry(task, "here") for task in (First, AtLeast, AtMost)]
    first, *others = await certify(entries, effort, contexts=2)
    assert first.outcomes["stuffed"] == "1111"
    for found in others:
        assert "1" in found.outcomes["changed"]
        assert found.problems


@pytest.mark.slow
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


class Order(EvaluatedTask):
    """A form with a name, a choice of two and a box to tick."""

    id = "check.order"
    asked = ("name", "ship", "gift")
    """What the evaluator looks at."""

    async def start(self, page, seed):
        self.wanted = ["Ada", "Bo", "Cy", "Di"][seed % 4]
        await page.set_content(
            '<form onsubmit="event.preventDefault(); const form = new FormData(this);'
            f" document.querySelector('#done').textContent = {list(self.asked)}"
            ".map((name) => form.get(name)).join(' ')\">"
            "<input name=name><label><input type=radio name=ship value=slow checked>Slow</label>"
            "<label><input type=radio name=ship value=fast>Fast</label>"
            "<label><input type=checkbox name=gift>Gift</label><button>Order</button></form>"
            "<p id=done></p>"
        )
        order = {"name": self.wanted, "ship": "fast", "gift": "on"}
        self.checks = Dom(selector="#done", text=" ".join(order[name] for name in self.asked))
        return f"Order fast, as a gift, as {self.wanted}"

    def oracle(self, view):
        view = yield fill(view.bid("input", name="name"), view.goal.split()[-1])
        view = yield click(view.all("input", name="ship")[1]["bid"])
        view = yield click(view.bid("input", type="checkbox"))
        yield click(view.bid("button"))


async def test_a_choice_that_the_evaluator_ignores_is_found_and_told() -> None:
    class NoGift(Order):
        id = "check.no-gift"
        asked = ("name", "ship")

    class NoSpeed(Order):
        id = "check.no-speed"
        asked = ("name", "gift")

    effort = Effort(seeds=2, trials=2, random=0, idle=0, twice=0)
    entries = [Entry(task, "here") for task in (Order, NoSpeed, NoGift)]
    sound, *unsound = await certify(entries, effort, contexts=2)
    assert (sound.problems, sound.outcomes["chosen"], sound.rewarded) == ((), "00", None)
    assert [found.outcomes["chosen"] for found in unsound] == ["10", "01"]
    for found, place, wrong in zip(unsound, (1, 2), ('click("2")', "noop()"), strict=True):
        assert found.problems == ("17% of the wrong solutions are rewarded",)
        assert found.rewarded is not None
        assert (found.rewarded.reward, found.rewarded.place) == (1.0, place)
        assert found.rewarded.actions[place] == wrong
        told = found.to_json()["rewarded"]
        assert told["seed"] == FIRST_SEED + place - 1
        assert told["actions"] == found.rewarded.actions
        (note,) = found.notes
        assert f"[{wrong}]" in note
        assert str(told["seed"]) in note


@pytest.mark.slow
async def test_a_click_that_may_not_be_needed_is_told_and_no_fault() -> None:
    class Welcomed(Order):
        async def start(self, page, seed):
            goal = await super().start(page, seed)
            links = "<a href='#a'>Hide</a> <a href='#b'>Stay</a>"
            await page.evaluate(
                "html => document.body.insertAdjacentHTML('beforeend', html)", links
            )
            return goal

        def oracle(self, view):
            view = yield click(view.bid("a", "Hide"))
            yield from super().oracle(view)

    found = await checked(Welcomed, Effort(seeds=4, trials=4, random=0, idle=0, twice=0))
    assert found.problems == ()
    assert found.outcomes["chosen"] == "00"
    assert found.needless is not None
    assert found.needless.place == 0
    assert any("one click or key changed" in note for note in found.notes)


async def test_steps_that_nothing_wrong_was_made_of_are_told() -> None:
    class Long(Order):
        horizon = 20

        def oracle(self, view):
            for _ in range(4):
                view = yield click(view.bid("input", name="name"))
                view = yield call("press", view.bid("input", name="name"), "End")
            yield from super().oracle(view)

    found = await checked(Long, Effort(seeds=2, trials=1, random=0, idle=0, twice=0))
    assert found.problems == ()
    (note,) = (note for note in found.notes if "never changed" in note)
    assert "of the 12 steps" in note
    assert 'press("' in note
    assert "click(" not in note
