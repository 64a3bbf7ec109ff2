"""Generated pages: outlines with goals on them, and the answer to each.

A page is a handful of blocks (buttons, links in text, forms, lists, tables, dialogs …) in the form
that ``webdojo.envs.outline`` gives to real pages. A goal names some of it; a solution is the
sequence of answers, and the page changes with each as a real one would. No page of MiniWoB++ is
here, but its goals are said in everyday English, and some are said here in the same words: buttons,
links and tabs to click, a text to enter and submit, the n-th text box, an icon in a row. Sections
that expand, dialogs with several buttons, and searching behind tabs are not here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

from webdojo.agents.layouts import outline as layout
from webdojo.training.nano import words

FIELDS = (
    "Username", "Password", "Email", "First name", "Last name", "City", "Phone", "Title", "Subject",
    "Color", "Country", "Company", "Age", "Year", "Street", "Zip code", "Comment", "Search",
    "Message", "Price", "Author", "Language", "Director", "Genre", "Verify password", "Date",
    "Time", "Quantity", "Department", "Status",
)  # fmt: skip
SUBMITS = (
    "Submit",
    "Submit",
    "Submit",
    "OK",
    "Go",
    "Search",
    "Login",
    "Log in",
    "Save",
    "Send",
    "Done",
    "Continue",
    "Apply",
    "Next",
)
ICONS = (
    "trash",
    "star",
    "reply",
    "forward",
    "edit",
    "share",
    "like",
    "more",
    "delete",
    "copy",
    "pin",
    "mute",
)
CLOSES = ("Close", "Close", "x", "×", "Dismiss")
ORDINALS = ("1st", "2nd", "3rd", "4th", "5th", "6th")
ORDINAL_WORDS = ("first", "second", "third", "fourth", "fifth", "sixth")


@dataclass
class Element:
    """One line of an outline."""

    kind: str
    text: str
    hint: str = ""
    bid: int = 0
    """0 for plain text."""
    checked: bool = False
    secret: bool = False
    """A password field: shows dots."""
    owner: Element | None = None
    """The select that an option belongs to."""

    def line(self) -> str:
        """The line as ``to_outline`` writes it."""
        if not self.bid and self.owner is None:
            return f'{self.kind}"{self.text}"'
        bid = self.owner.bid if self.owner is not None else self.bid
        hint = f"#{self.hint}" if self.hint else ""
        return f'{self.kind}"{self.text}"{hint}{"+" if self.checked else ""}[{bid}]'


@dataclass(frozen=True)
class Move:
    """One step of a solution: what to do with which element."""

    element: Element
    verb: str
    value: str = ""


@dataclass(frozen=True)
class Goal:
    """Something to be done on a page, and how."""

    text: str
    moves: tuple[Move, ...]


@dataclass
class Page:
    """Elements in document order, and the goals that they allow."""

    size: float = 1.0
    """0 for the smallest pages, 1 for the full range."""
    elements: list[Element] = field(default_factory=list)
    goals: list[Callable[[Random], Goal]] = field(default_factory=list)

    def count(self, rng: Random, fewest: int, most: int) -> int:
        """A number of like elements, fewer on small pages."""
        return rng.randint(fewest, fewest + round((most - fewest) * self.size))

    def outline(self) -> str:
        """The page as an outline."""
        return "".join(element.line() for element in self.elements)


@dataclass(frozen=True)
class Example:
    """A training row in text: what the policy is shown, and what it should answer."""

    prompt: str
    response: str


def examples(
    rng: Random, goals_per_page: int = 5, noise: float = 0.0, size: float = 1.0
) -> list[Example]:
    """Rows of one generated page: several goals, and one later step of each solution that has more.

    With probability ``noise`` an answer is about a random element instead: a policy trained on such
    rows keeps exploring.
    """
    page = make_page(rng, size)
    rows: list[Example] = []
    start = page.outline()
    for _ in range(goals_per_page):
        goal = rng.choice(page.goals)(rng)
        rows.append(_row(page, start, goal, [], goal.moves[0], rng, noise))
        if len(goal.moves) > 1:
            rows.append(_later_row(page, goal, rng, noise))
    return rows


def copying(rng: Random, size: float = 1.0) -> Example:
    """A page, then all of its lines in another order: nothing but quoting."""
    page = make_page(rng, size)
    lines = [element.line() for element in page.elements]
    return Example(page.outline() + "\n", "\n".join(rng.sample(lines, len(lines))) + layout.END)


def solution(rng: Random) -> list[Example]:
    """Every step of the solution of one goal on one page."""
    page = make_page(rng)
    goal = rng.choice(page.goals)(rng)
    rows: list[Example] = []
    history: list[str] = []
    for move in goal.moves:
        rows.append(_row(page, page.outline(), goal, history, move, rng, 0.0))
        history.append(_answer(move))
        _apply(page, move)
    return rows


def _row(
    page: Page, shown: str, goal: Goal, history: list[str], move: Move, rng: Random, noise: float
) -> Example:
    if noise and rng.random() < noise:
        move = _random_move(page, goal, rng)
    prompt = layout.render(goal.text, shown, history)
    return Example(prompt, _answer(move) + layout.END)


def _later_row(page: Page, goal: Goal, rng: Random, noise: float) -> Example:
    kept = [(element, replace(element)) for element in page.elements]
    step = rng.randrange(1, len(goal.moves))
    history = []
    for move in goal.moves[:step]:
        history.append(_answer(move))
        _apply(page, move)
    row = _row(page, page.outline(), goal, history, goal.moves[step], rng, noise)
    for element, before in kept:
        element.text, element.checked = before.text, before.checked
    return row


def _answer(move: Move) -> str:
    verb = f'fill"{move.value}"' if move.verb == "fill" else move.verb
    return f"{move.element.line()}@{verb}"


def _apply(page: Page, move: Move) -> None:
    element = move.element
    if move.verb == "fill":
        element.text = "•" * len(move.value) if element.secret else move.value
    elif move.verb == "select" and element.owner is not None:
        element.owner.text = element.text
    elif element.kind == "checkbox":
        element.checked = not element.checked
    elif element.kind == "radio":
        for other in page.elements:
            if other.kind == "radio":
                other.checked = False
        element.checked = True


def _random_move(page: Page, goal: Goal, rng: Random) -> Move:
    element = rng.choice([e for e in page.elements if e.bid or e.owner is not None])
    if element.kind == "textbox":
        values = [move.value for move in goal.moves if move.value]
        return Move(element, "fill", rng.choice(values)) if values else Move(element, "click")
    return Move(element, "select" if element.kind == "option" else "click")


def make_page(rng: Random, size: float = 1.0) -> Page:
    """A page of one to three blocks with some filler between them; of one if it is small."""
    page = Page(size)
    blocks = rng.choices(
        [buttons, links, radios, checkboxes, choices, form, table, rows, dialog, ordinals, tabs],
        [5, 4, 3, 5, 4, 12, 3, 3, 2, 2, 2],
        k=1 if rng.random() > size else rng.choices((1, 2, 3), (5, 4, 1))[0],
    )
    for block in blocks:
        if rng.random() < 0.25 * size:
            filler(page, rng)
        block(page, rng)
    if rng.random() < 0.2 * size:
        filler(page, rng)
    _number(page, rng)
    return page


def filler(page: Page, rng: Random) -> None:
    """Text that no goal speaks of."""
    page.elements += [Element("text", words.sentence(rng)) for _ in range(rng.randint(1, 3))]


def buttons(page: Page, rng: Random) -> None:
    """Buttons told apart by their text."""
    kind = rng.choices(("button", "item", "link"), (6, 2, 1))[0]
    made = [
        _actionable(kind, text)
        for text in _texts(rng, page.count(rng, 1, 6), rng.choice((words.text, words.phrase)))
    ]
    for element in made:
        if rng.random() < 0.15:
            filler(page, rng)
        page.elements.append(element)
    word = "button" if kind == "button" else rng.choice(("item", "element", "entry"))
    page.goals.append(lambda r: _click_goal(r.choice(made), word, r))
    if len(made) == 1 and kind == "button":
        page.goals.append(
            lambda r: Goal(
                r.choice(("Click the button.", "Press the button.", "Click on the button.")),
                (Move(made[0], "click"),),
            )
        )


def links(page: Page, rng: Random) -> None:
    """Links within running text."""
    kind = rng.choice(("link", "item"))
    made = []
    for text in _texts(
        rng, page.count(rng, 2, 6), words.word if rng.random() < 0.6 else words.text
    ):
        if rng.random() < 0.5 * page.size:
            page.elements.append(Element("text", words.sentence(rng)))
        element = _actionable(kind, text + (rng.choice(".,") if rng.random() < 0.1 else ""))
        page.elements.append(element)
        made.append(element)
    page.goals.append(lambda r: _click_goal(r.choice(made), "link", r))


def tabs(page: Page, rng: Random) -> None:
    """A row of tabs."""
    kind = rng.choice(("tab", "link"))
    if rng.random() < 0.5:
        stem = rng.choice(("Tab", "Section", "Page", "Step", "Part"))
        texts = [
            f"{stem} #{i}" if rng.random() < 0.5 else f"{stem} {i}"
            for i in range(1, page.count(rng, 3, 7))
        ]
    else:
        texts = _texts(rng, page.count(rng, 2, 5), words.phrase)
    made = [_actionable(kind, text) for text in texts]
    page.elements += made
    page.goals.append(lambda r: _click_goal(r.choice(made), "tab", r))


def radios(page: Page, rng: Random) -> None:
    """One choice among several, then a button."""
    made = [
        Element("radio", text, bid=1) for text in _texts(rng, page.count(rng, 2, 6), words.text)
    ]
    page.elements += made
    submit = _submit(page, rng)

    def goal(r: Random) -> Goal:
        chosen = r.choice(made)
        text = r.choice((
            f"Select {_said(chosen.text, r)} and {_press(submit, r)}.",
            f"Choose {_said(chosen.text, r)}, then {_press(submit, r)}.",
            f"Pick the option {_said(chosen.text, r)} and {_press(submit, r)}.",
        ))  # fmt: skip
        return Goal(text, (Move(chosen, "click"), Move(submit, "click")))

    page.goals.append(goal)


def checkboxes(page: Page, rng: Random) -> None:
    """Some of several boxes, then a button."""
    made = [
        Element("checkbox", text, bid=1) for text in _texts(rng, page.count(rng, 2, 7), words.text)
    ]
    page.elements += made
    submit = _submit(page, rng)

    def goal(r: Random) -> Goal:
        chosen = [e for e in made if r.random() < r.choice((0.2, 0.5, 0.9))]
        ordered = chosen if r.random() < 0.5 else r.sample(chosen, len(chosen))
        listed = _list([_said(e.text, r) for e in ordered], r) if ordered else "nothing"
        verb = r.choice(("Select", "Check", "Tick", "Mark"))
        text = f"{verb} {listed} and {_press(submit, r)}."
        return Goal(text, (*(Move(e, "click") for e in ordered), Move(submit, "click")))

    page.goals.append(goal)
    page.goals.append(goal)


def choices(page: Page, rng: Random) -> None:
    """An option of a list, then a button."""
    texts = _texts(rng, page.count(rng, 2, 9), rng.choice((words.name, words.text, words.phrase)))
    select = Element(
        "select",
        rng.choice((texts[0], "")),
        rng.choice(("", "options", "dropdown", words.word(rng))),
        bid=1,
    )
    options = [Element("option", text, owner=select) for text in texts]
    page.elements += [select, *options]
    submit = _submit(page, rng)

    def goal(r: Random) -> Goal:
        chosen = r.choice(options)
        where = r.choice(
            (
                "from the list",
                "from the dropdown",
                "in the list",
                "from the menu",
                "from the scroll list",
            )
        )
        text = r.choice((
            f"Select {_said(chosen.text, r)} {where} and {_press(submit, r)}.",
            f"Choose {_said(chosen.text, r)} {where}, then {_press(submit, r)}.",
        ))  # fmt: skip
        return Goal(text, (Move(chosen, "select"), Move(submit, "click")))

    page.goals.append(goal)


def form(page: Page, rng: Random) -> None:
    """One to four text fields, then a button."""
    count = min(page.count(rng, 2, 4), rng.choices((1, 2, 3, 4), (5, 5, 3, 1))[0])
    names = rng.sample(FIELDS, count)
    made: list[tuple[str, Element]] = []
    style = rng.random()
    for i, label in enumerate(names):
        hint = (
            label.lower().replace(" ", "-")
            if rng.random() < 0.7
            else rng.choice(("", f"input-{i + 1}", "tt", words.word(rng)))
        )
        labelled = style < 0.75 or count > 1
        if labelled and rng.random() < 0.9:
            page.elements.append(Element("text", label if rng.random() < 0.8 else label + ":"))
        else:
            hint = label if count > 1 or rng.random() < 0.3 else hint
        box = Element("textbox", "", hint, bid=1, secret="assword" in label)
        page.elements.append(box)
        made.append((label, box))
    submit = _submit(page, rng)

    def goal(r: Random) -> Goal:
        values = [_value(label, r) for label, _ in made]
        moves = [Move(box, "fill", value) for (_, box), value in zip(made, values, strict=True)]
        order = list(range(len(made)))
        if r.random() < 0.3:
            r.shuffle(order)
        if len(made) == 1:
            label = made[0][0].lower()
            where = r.choice(
                (
                    "the text field",
                    "the textbox",
                    "the text input",
                    "the field",
                    f"the {label} field",
                    "the input",
                )
            )
            text = r.choice((
                f"{_enter(r)} {_said(values[0], r)} into {where} and {_press(submit, r)}.",
                f"{_enter(r)} {_said(values[0], r)} as the {label} and {_press(submit, r)}.",
                f"Use the textbox to enter {_said(values[0], r)} and {_press(submit, r)}.",
            ))  # fmt: skip
        else:
            parts = [f"the {made[i][0].lower()} {_said(values[i], r)}" for i in order]
            tail = r.choice((" into the text fields", " into the form", ""))
            text = f"{_enter(r)} {_list(parts, r)}{tail} and {_press(submit, r)}."
        if r.random() < 0.25 and len(made) > 1:
            parts = [_setting(made[i][0], values[i], r) for i in order]
            text = _list(parts, r).capitalize() if r.random() < 0.5 else _list(parts, r)
            text = f"{text[0].upper()}{text[1:]}, then {_press(submit, r)}."
        return Goal(text, (*(moves[i] for i in order), Move(submit, "click")))

    page.goals.append(goal)
    page.goals.append(goal)
    if rng.random() < 0.3:
        label, box = made[0][0].lower(), made[0][1]
        said = (
            f"Focus into the {label} field.",
            f"Click on the {label} field.",
            f"Focus the {label} textbox.",
        )
        page.goals.append(lambda r: Goal(r.choice(said), (Move(box, "click"),)))


def table(page: Page, rng: Random) -> None:
    """Pairs of key and value; one value is to be typed into a field."""
    keys = rng.sample(FIELDS, page.count(rng, 2, 6))
    pairs = [(key, _value(key, rng)) for key in keys]
    for key, value in pairs:
        page.elements += [Element("text", key), Element("text", value)]
    box = Element("textbox", "", rng.choice(("tt", "", "answer", "value")), bid=1)
    page.elements.append(box)
    submit = _submit(page, rng)

    def goal(r: Random) -> Goal:
        key, value = r.choice(pairs)
        text = r.choice((
            f"Enter the value of {_said(key, r)} into the text field and {_press(submit, r)}.",
            f"Type the {_said(key, r)} of the table into the textbox and {_press(submit, r)}.",
        ))  # fmt: skip
        return Goal(text, (Move(box, "fill", value), Move(submit, "click")))

    page.goals.append(goal)


def rows(page: Page, rng: Random) -> None:
    """Rows of a list, each with its own icons."""
    icons = rng.sample(ICONS, page.count(rng, 1, 3))
    found: list[tuple[str, list[Element]]] = []
    for who in _texts(rng, page.count(rng, 2, 4), words.name):
        page.elements.append(Element("text", who))
        if rng.random() < 0.5:
            page.elements.append(Element("text", words.sentence(rng)))
        made = [_actionable("item", "", icon) for icon in icons]
        page.elements += made
        found.append((who, made))

    def goal(r: Random) -> Goal:
        who, made = r.choice(found)
        target = r.choice(made)
        text = r.choice((
            f"Find the entry by {_said(who, r)} and click the {target.hint} icon.",
            f"For {_said(who, r)}, click on the \"{target.hint}\" button.",
            f"Click the {target.hint} icon of {_said(who, r)}.",
        ))  # fmt: skip
        return Goal(text, (Move(target, "click"),))

    page.goals.append(goal)


def dialog(page: Page, rng: Random) -> None:
    """A box with a title, some text, and a way to close it."""
    close = _actionable("button", rng.choice(CLOSES))
    page.elements.append(close)
    page.elements.append(Element("text", words.sentence(rng)))
    said = (
        "Close the dialog.",
        "Close the box.",
        "Dismiss the message.",
        "Close the window with the x.",
    )
    page.goals.append(lambda r: Goal(r.choice(said), (Move(close, "click"),)))


def ordinals(page: Page, rng: Random) -> None:
    """Like elements told apart by their place."""
    kind, word = rng.choice(
        (
            ("textbox", "textbox"),
            ("checkbox", "checkbox"),
            ("button", "button"),
            ("link", "link"),
            ("radio", "radio button"),
        )
    )
    count = page.count(rng, 2, 5)
    plain = kind in ("textbox", "checkbox", "radio")
    made = [
        _actionable(
            kind,
            "" if kind == "textbox" else words.text(rng),
            f"{words.word(rng)}{i}" if plain and rng.random() < 0.5 else "",
        )
        for i in range(count)
    ]
    page.elements += made

    def goal(r: Random) -> Goal:
        place = r.randrange(count)
        which = r.choice((ORDINALS, ORDINAL_WORDS))[place]
        verb = r.choice(("Click", "Click on", "Focus into" if kind == "textbox" else "Click"))
        return Goal(f"{verb} the {which} {word}.", (Move(made[place], "click"),))

    page.goals.append(goal)


def _actionable(kind: str, text: str, hint: str = "") -> Element:
    return Element(kind, text, hint, bid=1)


def _number(page: Page, rng: Random) -> None:
    """Number what can be acted on in document order, with gaps as real pages have them."""
    bid = 0
    gap = rng.choice((0.0, 0.0, 0.1, 0.4))
    if rng.random() < 0.1:
        bid = rng.randint(1, 40)
    for element in page.elements:
        if element.bid:
            bid += 1 + (rng.random() < gap)
            element.bid = bid


def _texts(rng: Random, count: int, draw: Callable[[Random], str]) -> list[str]:
    """Different texts, some of them nearly alike."""
    found: list[str] = []
    while len(found) < count:
        text = words.variant(rng, rng.choice(found)) if found and rng.random() < 0.15 else draw(rng)
        text = " ".join(text.replace('"', "").split())
        if text and text not in found:
            found.append(text)
    return found


def _submit(page: Page, rng: Random) -> Element:
    element = _actionable(
        "button" if rng.random() < 0.93 else "item",
        rng.choice(SUBMITS) if rng.random() < 0.85 else words.phrase(rng, 2),
    )
    page.elements.append(element)
    if rng.random() < 0.1:
        page.elements.append(
            _actionable("button", rng.choice(("Cancel", "Reset", "Back", words.phrase(rng, 2))))
        )
    return element


def _press(submit: Element, rng: Random) -> str:
    verb = rng.choice(("press", "click", "hit", "click on", "press"))
    text = submit.text if rng.random() < 0.6 else submit.text.lower()
    return f"{verb} {_said(text, rng) if rng.random() < 0.4 else text}"


def _click_goal(element: Element, word: str, rng: Random) -> Goal:
    text = element.text if rng.random() < 0.93 else element.text.lower()
    said = _said(text, rng)
    sentence = rng.choice((
        f"Click on the {said} {word}.",
        f"Click on the {word} {said}.",
        f"Click {said}.",
        f"Click {word} {said}.",
        f"Click the {word} labeled {said}.",
        f"Press the {said} {word}.",
        f"Switch to {said}." if word == "tab" else f"Find and click on {said}.",
        f"Select {said}.",
        f"Find and click on the {word} named {said}.",
    ))  # fmt: skip
    return Goal(sentence, (Move(element, "click"),))


def _said(text: str, rng: Random) -> str:
    return f'"{text}"' if rng.random() < 0.6 else text


def _setting(label: str, value: str, rng: Random) -> str:
    verb, link = rng.choice(("set", "fill")), rng.choice(("to", "with", "as"))
    return f"{verb} {label} {link} {_said(value, rng)}"


def _enter(rng: Random) -> str:
    return rng.choice(("Enter", "Enter", "Type", "Fill in", "Put", "Write"))


def _list(parts: list[str], rng: Random) -> str:
    if len(parts) == 1:
        return parts[0]
    if rng.random() < 0.3:
        return ", ".join(parts)
    return ", ".join(parts[:-1]) + " and " + parts[-1]


def _value(label: str, rng: Random) -> str:
    kind = label.lower()
    if "password" in kind:
        return words.code(rng)
    if kind in ("age", "year", "quantity", "price", "phone", "zip code", "date", "time"):
        return words.number(rng)
    if kind in ("username", "first name", "last name", "author", "director", "city"):
        return words.name(rng) if rng.random() < 0.6 else words.word(rng)
    return words.text(rng).replace('"', "")
