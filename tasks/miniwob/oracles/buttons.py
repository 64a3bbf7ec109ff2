"""Pages solved by clicking what the goal names."""

from __future__ import annotations

from webdojo.tasks.calls import click, fill, mouse_click
from webdojo.tasks.miniwob.oracles.oracle import solves
from webdojo.tasks.miniwob.oracles.reading import bid_of, button, match, quoted
from webdojo.tasks.task import Oracle
from webdojo.tasks.view import OracleError, PageView, text_of


@solves("click-button", "unicode-test")
def named_button(view: PageView) -> Oracle:
    """Click the button whose text the goal quotes."""
    yield click(view.bid("button", quoted(view.goal)[0]))


@solves("click-button-sequence")
def two_buttons(view: PageView) -> Oracle:
    """Click ONE, then TWO."""
    view = yield click(view.bid("button", "ONE"))
    yield click(view.bid("button", "TWO"))


@solves("click-test")
def only_button(view: PageView) -> Oracle:
    """Click the only button there is."""
    yield click(view.bid("button"))


@solves("click-test-2", "click-test-transfer")
def one_of_two_buttons(view: PageView) -> Oracle:
    """Click the button that the goal names in capitals."""
    yield click(view.bid("button", match(r"button ([A-Z]+)", view.goal)[0]))


@solves("click-link")
def link(view: PageView) -> Oracle:
    """Click the link whose text the goal quotes."""
    yield click(view.bid("span", quoted(view.goal)[0]))


@solves("click-dialog")
def close_dialog(view: PageView) -> Oracle:
    """Close the dialog."""
    yield click(view.bid("button", title="Close"))


@solves("click-dialog-2")
def dialog_button(view: PageView) -> Oracle:
    """Click the named button of the dialog; "x" is its close button."""
    label = quoted(view.goal)[0]
    yield click(view.bid("button", title="Close") if label == "x" else view.bid("button", label))


@solves("click-widget")
def widget(view: PageView) -> Oracle:
    """Click any widget of the named kind."""
    kind = quoted(view.goal)[0]
    for tag in view.all(["input", "textarea", "button"]):
        found = tag.name if tag.name != "input" else str(tag.get("type"))
        if {"input": "text"}.get(found, found) == kind:
            yield click(bid_of(tag))
            return
    raise OracleError(f"no {kind} widget on the page")


@solves("focus-text")
def only_textbox(view: PageView) -> Oracle:
    """Click into the only text box."""
    yield click(view.bid("input"))


@solves("focus-text-2")
def numbered_textbox(view: PageView) -> Oracle:
    """Click into the text box with the goal's number."""
    number = int(match(r"(\d+)(?:st|nd|rd|th)", view.goal)[0])
    yield click(bid_of(view.all("input")[number - 1]))


@solves("find-greatest")
def greatest_card(view: PageView) -> Oracle:
    """Turn one card after another, go back to the one with the greatest number, submit.

    A card turns its face down again as soon as another is turned up.
    """
    cards = [bid_of(tag) for tag in view.all("div")]
    numbers: dict[str, int] = {}
    for bid in cards:
        view = yield click(bid)
        numbers[bid] = int(text_of(view.find("div", bid=bid)))
    greatest = max(cards, key=lambda bid: numbers[bid])
    if greatest != cards[-1]:
        view = yield click(greatest)
    yield click(button(view))


@solves("odd-or-even")
def odd_or_even(view: PageView) -> Oracle:
    """Mark each number, then submit."""
    rows = [
        (int(text_of(tag)), tag)
        for tag in view.soup.find_all("div")
        if text_of(tag).lstrip("-").isdigit()
    ]
    for number, tag in rows:
        odd, even = tag.find_previous("button"), tag.find_next("button")
        assert odd is not None
        assert even is not None
        view = yield click(bid_of(odd if number % 2 else even))
    yield click(button(view))


@solves("buy-ticket")
def ticket(view: PageView) -> Oracle:
    """Buy the ticket with the least or greatest cost or duration."""
    offers = []
    for offer in view.all("button"):
        cost = int(match(r"\$(\d+)", text_of(offer))[0])
        above = offer.find_previous("div")
        assert above is not None
        hours, minutes = match(r"(\d+)h (\d+)m", text_of(above))
        duration = int(hours) * 60 + int(minutes)
        offers.append((duration if "duration" in view.goal else cost, bid_of(offer)))
    most = "longest" in view.goal or "expensive" in view.goal
    yield click(max(offers)[1] if most else min(offers)[1])


@solves("ascending-numbers")
def ascending_numbers(view: PageView) -> Oracle:
    """Click the numbers from the lowest up; after the first, they are hidden where they stood."""
    numbers = sorted((int(text_of(tag)), view.boxes[bid_of(tag)]) for tag in view.all("text"))
    for _, (x, y, width, height) in numbers:
        yield mouse_click(x + width / 2, y + height / 2)


@solves("grid-coordinate")
def grid_coordinate(view: PageView) -> Oracle:
    """Click the point with the goal's coordinates."""
    yield click(view.bid("circle", id=match(r"(\(.*?\))", view.goal)[0]))


@solves("generate-number")
def generate_number(view: PageView) -> Oracle:
    """Generate numbers until one fits, then submit."""
    while not _number_fits(view):
        view = yield click(view.bid("button", "Generate"))
    yield click(button(view))


def _number_fits(view: PageView) -> bool:
    shown = [text_of(tag) for tag in view.soup.find_all("div")]
    numbers = [int(text) for text in shown if text.isdigit()]
    if not numbers:
        return False
    words = view.goal.rstrip(".").split()
    for name, fits in (("odd", numbers[0] % 2 == 1), ("even", numbers[0] % 2 == 0)):
        if name in words:
            return fits
    comparison, limit = match(r"(less|greater) than (\d+)", view.goal)
    return numbers[0] < int(limit) if comparison == "less" else numbers[0] > int(limit)


@solves("phone-book")
def phone_book(view: PageView) -> Oracle:
    """Turn pages until the person is shown, then click the wanted detail."""
    name, detail = match(r"Find (.+) in the contact book and click on their (.+)\.", view.goal)
    while view.soup.find("h2", string=name) is None:
        view = yield click(view.bid("a", ">"))
    label = {"phone number": "Phone:", "email": "Email:", "address": "Address:"}[detail]
    for row in view.soup.find_all("div"):
        if text_of(row).startswith(label):
            target = row.find("a")
            assert target is not None
            yield click(bid_of(target))
            return
    raise OracleError(f"no {detail} on the page")


@solves("guess-number")
def guess_number(view: PageView) -> Oracle:
    """Halve the range with every guess."""
    low, high = 0, 9
    while low <= high:
        guess = (low + high) // 2
        view = yield fill(view.bid("input"), str(guess))
        view = yield click(button(view))
        if "higher" in _feedback(view):
            low = guess + 1
        else:
            high = guess - 1


def _feedback(view: PageView) -> str:
    return text_of(view.soup).replace(view.goal, "").lower()
