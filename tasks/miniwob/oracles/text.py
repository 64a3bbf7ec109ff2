"""Pages solved by typing."""

from __future__ import annotations

import re

from webdojo.tasks.calls import click, fill
from webdojo.tasks.miniwob.oracles.oracle import solves
from webdojo.tasks.miniwob.oracles.reading import bid_of, button, match, ordinal, quoted
from webdojo.tasks.task import Oracle
from webdojo.tasks.view import OracleError, PageView, text_of


@solves("enter-text", "enter-text-dynamic")
def quoted_text(view: PageView) -> Oracle:
    """Type the quoted text and submit."""
    view = yield fill(view.bid("input"), quoted(view.goal)[0])
    yield click(button(view))


@solves("enter-text-2")
def cased_text(view: PageView) -> Oracle:
    """Type the quoted text in the wanted case and submit."""
    text = quoted(view.goal)[0]
    view = yield fill(
        view.bid("input"), text.lower() if "lower case" in view.goal else text.upper()
    )
    yield click(button(view))


@solves("enter-password")
def password_twice(view: PageView) -> Oracle:
    """Type the password into both fields and submit."""
    password = quoted(view.goal)[0]
    view = yield fill(view.bid("input", id="password"), password)
    view = yield fill(view.bid("input", id="verify"), password)
    yield click(button(view))


@solves("enter-date")
def date(view: PageView) -> Oracle:
    """Enter a date and submit; a date field takes year-month-day."""
    month, day, year = match(r"(\d\d)/(\d\d)/(\d{4})", view.goal)
    field = view.find("input")
    text = f"{year}-{month}-{day}" if field.get("type") == "date" else f"{month}/{day}/{year}"
    view = yield fill(bid_of(field), text)
    yield click(button(view))


@solves("enter-time")
def time(view: PageView) -> Oracle:
    """Enter a time and submit; a time field takes 24 hours."""
    hour, minute, half = match(r"(\d+):(\d\d) ([AP]M)", view.goal)
    field = view.find("input")
    full = int(hour) % 12 + (12 if half == "PM" else 0)
    text = f"{full:02}:{minute}" if field.get("type") == "time" else f"{hour}:{minute} {half}"
    view = yield fill(bid_of(field), text)
    yield click(button(view))


@solves("login-user", "login-user-popup")
def log_in(view: PageView) -> Oracle:
    """Log in, dismissing a pop-up whenever it stands in the way."""
    username, password = quoted(view.goal)
    for name, text in (("username", username), ("password", password)):
        shown = "•" * len(text) if name == "password" else text
        while view.find("input", id=name).get("value", "") != shown:
            popup = _popup_exit(view)
            view = yield click(popup) if popup else fill(view.bid("input", id=name), text)
    while True:
        popup = _popup_exit(view)
        view = yield click(popup or view.bid("button", id="subbtn"))


def _popup_exit(view: PageView) -> str | None:
    found = view.all(id="popup-cancel")
    return bid_of(found[0]) if found else None


@solves("text-transform")
def distorted_text(view: PageView) -> Oracle:
    """Copy the distorted text above the field and submit."""
    field = view.find("input")
    above = field.find_previous("div")
    assert above is not None
    view = yield fill(bid_of(field), text_of(above))
    yield click(button(view))


@solves("simple-arithmetic")
def arithmetic(view: PageView) -> Oracle:
    """Work out two numbers joined by plus, minus or times."""
    left, sign, right = match(r"(-?\d+) ([-+x]) (-?\d+) =", _page_text(view))
    a, b = int(left), int(right)
    view = yield fill(view.bid("input"), str({"+": a + b, "-": a - b, "x": a * b}[sign]))
    yield click(button(view))


@solves("simple-algebra")
def algebra(view: PageView) -> Oracle:
    """Solve a + x = b and its variants for x."""
    left, sign, right, total = match(r"(x|-?\d+) ([-+]) (x|-?\d+) = (-?\d+)", _page_text(view))
    result = int(total)
    if left == "x":
        answer = result - int(right) if sign == "+" else result + int(right)
    else:
        answer = result - int(left) if sign == "+" else int(left) - result
    view = yield fill(view.bid("input"), str(answer))
    yield click(button(view))


@solves("read-table")
def table_value(view: PageView) -> Oracle:
    """Copy one value of a table."""
    label = match(r"Enter the value of (.+) into", view.goal)[0]
    view = yield fill(view.bid("input"), _table(view)[label])
    yield click(button(view))


@solves("read-table-2")
def table_values(view: PageView) -> Oracle:
    """Copy the value of each labelled field."""
    values = _table(view)
    for field in view.all("input"):
        label = field.find_previous("label")
        assert label is not None
        view = yield fill(bid_of(field), values[text_of(label).rstrip(":")])
    yield click(button(view))


@solves("find-word")
def word_of_paragraph(view: PageView) -> Oracle:
    """Type the word with the goal's number, without punctuation."""
    paragraph = view.soup.find("p")
    assert paragraph is not None
    word = text_of(paragraph).split()[ordinal(view.goal) - 1]
    view = yield fill(view.bid("input"), re.sub(r"[^\w]", "", word))
    yield click(button(view))


@solves("scroll-text")
def last_word(view: PageView) -> Oracle:
    """Type the last word of the text area."""
    word = text_of(view.find("textarea")).split()[-1]
    view = yield fill(view.bid("input"), re.sub(r"[^\w]", "", word))
    yield click(button(view))


@solves("copy-paste")
def copy_text(view: PageView) -> Oracle:
    """Copy the text area into the field."""
    view = yield fill(view.bid("input"), view.find("textarea").get_text())
    yield click(button(view))


@solves("copy-paste-2")
def copy_numbered_text(view: PageView) -> Oracle:
    """Copy the text area with the goal's number into the field."""
    source = view.all("textarea")[ordinal(view.goal) - 1]
    view = yield fill(view.bid("input"), source.get_text())
    yield click(button(view))


@solves("multi-layouts", "multi-orderings")
def movie_search(view: PageView) -> Oracle:
    """Fill a search form whose layout varies."""
    genre, director, year = match(
        r"Search for (.+) movies directed by (.+) from year (\d+)", view.goal
    )
    values = {"genre": genre, "director": director, "year": year}
    for place, name in enumerate(_field_names(view)):
        view = yield fill(bid_of(view.all("input")[place]), values[name])
    yield click(_search_button(view))


def _field_names(view: PageView) -> list[str]:
    """Names of the text boxes in order, whether labels stand before or after them."""
    found: list[str] = []
    for text in view.soup.find_all(string=True):
        words = set(str(text).lower().strip(" \n:").split())
        if len(words) <= 2:
            names = {"date": "year", "genre": "genre", "director": "director", "year": "year"}
            found.extend(names[word] for word in words & names.keys())
    if len(found) != 3:
        raise OracleError(f"the form's labels are {found}")
    return found


def _search_button(view: PageView) -> str:
    for tag in reversed(view.all()):
        if text_of(tag).lower() in ("search", "submit", "go!"):
            return bid_of(tag)
    return bid_of(view.all()[-1])


def _table(view: PageView) -> dict[str, str]:
    rows = [[text_of(cell) for cell in row.find_all("td")] for row in view.soup.find_all("tr")]
    return {row[0]: row[1] for row in rows if len(row) == 2}


def _page_text(view: PageView) -> str:
    return text_of(view.soup)
