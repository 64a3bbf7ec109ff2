"""Pages that take several kinds of steps: ordering, a terminal, a game."""

from __future__ import annotations

from webdojo.tasks.calls import click, keyboard_press, keyboard_type
from webdojo.tasks.miniwob.oracles.oracle import solves
from webdojo.tasks.miniwob.oracles.reading import bid_of, match
from webdojo.tasks.task import Oracle
from webdojo.tasks.view import OracleError, PageView, text_of


@solves("order-food")
def order_food(view: PageView) -> Oracle:
    """Add dishes by name or by kind, then order."""
    named = view.goal.partition("each item: ")[2]
    if named:
        dishes = {name.strip() for name in named.split(",")}
        chosen = [bid for bid, name, _ in _menu(view) if name in dishes]
    else:
        amount, kind = match(r"Order (\d+) items that are (.+)", view.goal)
        fitting = [bid for bid, _, kinds in _menu(view) if kind in kinds]
        chosen = fitting[:1] * int(amount)
    for bid in chosen:
        view = yield click(bid)
    yield click(view.bid("button", "Order!"))


def _menu(view: PageView) -> list[tuple[str, str, set[str]]]:
    """Each dish: the id of its plus sign, its name, its kinds."""
    found: list[tuple[str, str, set[str]]] = []
    name, kinds = "", set[str]()
    for tag in view.soup.find_all(["div", "img", "span"]):
        if tag.name == "div" and tag.find(["div", "img", "span"]) is None:
            name, kinds = text_of(tag), set()
        elif tag.name == "img":
            kinds.add(str(tag["alt"]))
        elif text_of(tag) == "+":
            found.append((bid_of(tag), name, kinds))
    return found


@solves("terminal")
def delete_file(view: PageView) -> Oracle:
    """List the files, then remove one with the wanted extension."""
    view = yield click(view.bid("input", id="terminal-target"))
    view = yield keyboard_type("ls")
    view = yield keyboard_press("Enter")
    lines = [text_of(tag) for tag in view.soup.find_all("div")]
    files = lines[lines.index("user$ls") + 1].split()
    if "no file extension" in view.goal:
        fitting = [name for name in files if "." not in name]
    else:
        extension = match(r"extension (\.\S+)", view.goal)[0]
        fitting = [name for name in files if name.endswith(extension)]
    if not fitting:
        raise OracleError(f"no fitting file among {files}")
    view = yield keyboard_type(f"rm {fitting[0]}")
    yield keyboard_press("Enter")


LINES = ((0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6))
GUESSED = 0.55
"""How often the page moves at random; otherwise it wins or blocks where it can."""


@solves("tic-tac-toe")
def tic_tac_toe(view: PageView) -> Oracle:
    """Play the move that wins most often against an opponent who guesses about half the time."""
    while True:
        board = "".join(_mark(view, place) for place in range(9))
        free = [place for place in range(9) if board[place] == " "]
        best = max(free, key=lambda place: _chance(_put(board, place, "x"), "o", {}))
        view = yield click(view.bid("span", id=f"ttt-{best}"))


def _mark(view: PageView, place: int) -> str:
    tag = view.find("span", id=f"ttt-{place}")
    marks = {"mark-x": "x", "mark-o": "o"}
    return next((marks[c] for c in tag.get_attribute_list("class") if c in marks), " ")


def _put(board: str, place: int, mark: str) -> str:
    return board[:place] + mark + board[place + 1 :]


def _chance(board: str, turn: str, known: dict[tuple[str, str], float]) -> float:
    """How likely x wins from here."""
    if (board, turn) in known:
        return known[board, turn]
    won = next((board[a] for a, b, c in LINES if board[a] == board[b] == board[c] != " "), "")
    free = [place for place in range(9) if board[place] == " "]
    if won or not free:
        return float(won == "x")
    after = {p: _chance(_put(board, p, turn), "x" if turn == "o" else "o", known) for p in free}
    if turn == "x":
        value = max(after.values())
    else:
        mean = sum(after.values()) / len(after)
        forced = _completing(board, "o") or _completing(board, "x")
        meant = sum(after[p] for p in forced) / len(forced) if forced else mean
        value = GUESSED * mean + (1 - GUESSED) * meant
    known[board, turn] = value
    return value


def _completing(board: str, mark: str) -> list[int]:
    """Free places that would complete a line of a mark."""
    return sorted(
        {
            place
            for line in LINES
            for place in line
            if board[place] == " " and sum(board[p] == mark for p in line) == 2
        }
    )
