"""Certification takes one choice too many, and knows where that is none."""

from __future__ import annotations

import pytest
from press_task import Press

from webdojo.envs.certification import Effort, certify
from webdojo.tasks import Outcome
from webdojo.tasks.calls import call, click
from webdojo.tasks.registry import Entry

EFFORT = Effort(seeds=2, trials=2, random=0, idle=0, twice=0)


class Toppings(Press):
    """Boxes to tick, and a list that takes several."""

    id = "check.toppings"
    strict = ("boxes", "list")
    """Where more than was asked for is wrong."""
    as_list = True
    """Whether the option is given as a list of one."""

    async def setup(self, page, seed):
        names = ["Olives", "Capers", "Onions"]
        self.wanted = names[seed % 3]
        boxes = "".join(
            f"<label><input type=checkbox name={n} value={n}>{n}</label>" for n in names
        )
        options = "".join(f"<option>{name}</option>" for name in names)
        await page.set_content(
            f"<fieldset>{boxes}</fieldset><select multiple>{options}</select>"
            "<button onclick='order()'>Order</button><script>const all = (chosen) =>"
            " [...document.querySelectorAll(chosen)].map((one) => one.value); const order = () =>"
            " window.ordered = {boxes: all('input:checked'), list: all('option:checked')}</script>"
        )
        return f"Order {self.wanted} in the boxes and in the list"

    async def evaluate(self, page, answer):
        ordered = await page.evaluate("window.ordered")
        right = ordered is not None and all(
            chosen == [self.wanted] if name in self.strict else self.wanted in chosen
            for name, chosen in ordered.items()
        )
        return Outcome(float(right), done=ordered is not None)

    def oracle(self, view):
        wanted = view.goal.split()[1]
        view = yield click(view.bid("input", name=wanted))
        view = yield call("select_option", view.bid("select"), [wanted] if self.as_list else wanted)
        yield click(view.bid("button"))


async def test_an_evaluator_that_takes_more_choices_than_were_asked_for_is_found() -> None:
    class AnyBoxes(Toppings):
        id = "check.any-boxes"
        strict = ("list",)

    class AnyOptions(Toppings):
        id = "check.any-options"
        strict = ("boxes",)
        as_list = False

    effort = Effort(seeds=2, trials=2, random=0, idle=0, twice=0)
    entries = [Entry(task, "here") for task in (Toppings, AnyBoxes, AnyOptions)]
    sound, boxes, options = await certify(entries, effort, contexts=2)
    assert (sound.problems, sound.outcomes["chosen"], sound.rewarded) == ((), "00", None)
    assert (boxes.outcomes["chosen"], options.outcomes["chosen"]) == ("10", "01")
    for found, place in ((boxes, 0), (options, 1)):
        assert found.rewarded is not None
        assert found.rewarded.place == place
        assert len(found.rewarded.actions) == 3 + (found is boxes)
        (note,) = found.notes
        assert f"[{found.rewarded.actions[place]}]" in note


class Pizza(Press):
    """One of three to choose, and then an order; judged by what is chosen then."""

    box = "<label><input type=checkbox name={0} value={0}>{0}</label>"
    around = "<fieldset>…</fieldset>"
    chosen = "input:checked"

    async def setup(self, page, seed):
        names = ["Olives", "Capers", "Onions"]
        self.wanted = names[seed % 3 :][:1]
        boxes = "".join(map(self.box.format, names))
        await page.set_content(
            f"{self.around.replace('…', boxes)}<button onclick='ordered = true'>Order</button>"
        )
        return f"Order {self.wanted[0]} and nothing else"

    async def evaluate(self, page, answer):
        find = "(chosen) => [...document.querySelectorAll(chosen)].map((one) => one.value)"
        ordered = await page.evaluate("window.ordered")
        right = ordered and self.right(await page.evaluate(find, self.chosen))
        return Outcome(float(bool(right)), done=bool(ordered))

    def right(self, found):
        return found == self.wanted

    def oracle(self, view):
        view = yield click(view.bid("input", name=view.goal.split()[1]))
        yield click(view.bid("button", "Order"))


class SoldOut(Pizza):
    id = "check.sold-out"
    around = "<fieldset><input type=checkbox disabled>Ham (sold out)…</fieldset>"


class OneOption(Pizza):
    id = "check.one-option"
    box = "<option>{0}</option>"
    around = "<select><option disabled value=''>Choose</option>…</select>"
    chosen = "option:checked"

    def oracle(self, view):
        view = yield call("select_option", view.bid("select"), [view.goal.split()[1]])
        yield click(view.bid("button"))


class OneText(OneOption):
    id = "check.one-text"

    def oracle(self, view):
        view = yield call("select_option", view.bid("select"), view.goal.split()[1])
        yield click(view.bid("button"))


LISTED = """<ul role=listbox>…</ul><script>const all = [...document.querySelectorAll('li')]
const choose = (one) => all.forEach((each) => { if (each === one || ONE) each.ariaSelected =
String(each === one) })</script>"""


class OneListed(Pizza):
    """A list of a page's own, of which one is chosen at a time."""

    id = "check.one-listed"
    box = "<li role=option aria-selected=false onclick='choose(this)'>{0}"
    around = LISTED.replace("ONE", "true")
    chosen = "[aria-selected=true]"

    async def evaluate(self, page, answer):
        ordered = await page.evaluate("window.ordered")
        find = "(chosen) => [...document.querySelectorAll(chosen)].map((one) => one.innerText)"
        found = await page.evaluate(find, self.chosen)
        return Outcome(float(bool(ordered) and self.wanted[0] in found), done=bool(ordered))

    def oracle(self, view):
        view = yield click(view.bid("li", view.goal.split()[1]))
        yield click(view.bid("button"))


class AnyListed(OneListed):
    """Several may be chosen of it, and the evaluator asks for the wanted one alone."""

    id = "check.any-listed"
    around = LISTED.replace("ONE", "false")


class Everything(Pizza):
    id = "check.everything"
    box = "<input type=checkbox class=one value={0}>{0}"
    around = """<fieldset><input type=checkbox id=all onclick="document.querySelectorAll('.one')
        .forEach((one) => { one.checked = this.checked })">All…</fieldset>"""
    chosen = ".one:checked"

    async def setup(self, page, seed):
        await super().setup(page, seed)
        return f"Order all three, order {seed}"

    def right(self, found):
        return len(found) == 3

    def oracle(self, view):
        view = yield click(view.bid("input", id="all"))
        yield click(view.bid("button"))


class EverythingAtOnce(Everything):
    """It ends with the box that ticks all."""

    id = "check.everything-at-once"
    around = Everything.around.replace("this.checked })", "this.checked }); window.ordered = true")


@pytest.mark.slow
async def test_a_choice_that_comes_to_nothing_is_no_wrong_solution() -> None:
    tasks = (SoldOut, OneOption, OneText, OneListed, Everything, EverythingAtOnce)
    for found in await certify([Entry(task, "here") for task in tasks], EFFORT, contexts=2):
        assert (found.problems, found.outcomes["chosen"]) == ((), "00"), found.id


async def test_a_label_that_is_drawn_in_the_place_of_a_box_is_a_choice() -> None:
    class Drawn(Pizza):
        id = "check.drawn"
        around = "<style>input { display: none }</style><fieldset>…</fieldset>"

        def oracle(self, view):
            view = yield click(view.bid("label", view.goal.split()[1]))
            yield click(view.bid("button"))

    class AnyDrawn(Drawn):
        id = "check.any-drawn"

        def right(self, found):
            return self.wanted[0] in found

    entries = [Entry(task, "here") for task in (Drawn, AnyDrawn)]
    sound, unsound = await certify(entries, EFFORT, contexts=2)
    assert (sound.problems, sound.outcomes["chosen"]) == ((), "00")
    assert unsound.outcomes["chosen"] == "11"
    assert unsound.problems


async def test_a_list_of_a_pages_own_that_takes_several_is_tried_too() -> None:
    (found,) = await certify([Entry(AnyListed, "here")], EFFORT)
    assert found.outcomes["chosen"] == "11"
