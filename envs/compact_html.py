"""The page as compact HTML: what can be read and acted on, in few bytes.

    <h1>Sign in</h1>
    <label>Name <input bid=1 value=bob></label>
    <button bid=2 disabled>Go</button>

One line a block of the page. End tags and quotes that HTML lets one leave out are left out;
wrappers, lists of one link an item and tables of one column leave only their lines. Any HTML
parser reads it back (``BeautifulSoup(text, "lxml")``); ``bid`` is the id to act on.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

from webdojo.envs.compact_attributes import (
    FLAGS,
    cut,
    escaped,
    is_named,
    quoted,
    telling_class,
    told_attributes,
    words_inside,
)
from webdojo.envs.compact_folds import Folds, measure
from webdojo.envs.compact_tags import (
    INLINE_TAGS,
    NO_CONTENT,
    NO_END,
    OUTSTANDING_ROLES,
    STRUCTURE_TAGS,
)
from webdojo.envs.shown_tree import is_picture
from webdojo.envs.snapshot import Node

_LINE_ENDS = re.compile(r" *\n[ \n]*")
_SPACES = re.compile(r"  +")


def to_html(
    tree: Node | None,
    *,
    shows: Callable[[Node], bool] | None = None,
    max_rows: int | None = None,
) -> str:
    """The tree as compact HTML.

    Elements for which ``shows`` is false, and what comes after the first ``max_rows`` of many
    elements of the same kind in a row, are folded: a line says so.
    """
    if tree is None:
        return ""
    writer = _Writer(shows, max_rows)
    writer.element(tree)
    return writer.text(tree)


class _Writer:
    """Writes one tree; ``out`` holds pieces of text, joined and tidied at the end."""

    __slots__ = (
        *("acts", "folded_at", "folds", "inside", "loose", "max_rows", "opened", "out"),
        *("wordless", "words"),
    )

    def __init__(self, shows: Callable[[Node], bool] | None, max_rows: int | None) -> None:
        self.out: list[str] = []
        self.max_rows = max_rows
        self.words = 0
        """Texts written, and what stands for texts."""
        self.loose = 0
        """Those of them that lie in no actionable element."""
        self.acts = 0
        """Actionable elements written."""
        self.inside = 0
        """In how many actionable elements the writer is."""
        self.opened = 0
        """Length of ``out`` just after the last opening tag."""
        self.wordless: list[tuple[int, Node]] = []
        self.folds = Folds(shows)
        self.folded_at = (-1, -1)
        """``words`` and ``acts`` where the last fold is."""

    def text(self, tree: Node) -> str:
        """All of it, which is ``tree``."""
        if self.wordless:
            counts = Counter(
                name for node in tree.walk() for name in node.attributes.get("class", "").split()
            )
            for place, node in self.wordless:
                words, told = words_inside(node), telling_class(node, counts)
                if words or told:
                    said = f"title={quoted(words)}" if words else f"class={quoted(told)}"
                    self.out[place] = f"{self.out[place][:-1]} {said}>"
        for place, line in self.folds.lines():
            self.out[place] = f"\n{line}\n"
        return _SPACES.sub(" ", _LINE_ENDS.sub("\n", "".join(self.out))).strip()

    def element(self, node: Node) -> None:
        """Write one element, if there is anything in it."""
        if not self.folds.shown(node):
            self.fold(node)
        elif node.actionable:
            self.actionable(node)
        elif node.attributes.get("role") == "img" and is_picture(node):
            self.say(f"<img alt={quoted(node.attributes['aria-label'].strip())}>")
        elif node.tag in _WRITERS:
            _WRITERS[node.tag](self, node)
        elif node.tag in INLINE_TAGS:
            self.children(node.children)
        elif node.attributes.get("role") in OUTSTANDING_ROLES:
            self.wrapped(node, f" role={node.attributes['role']}")
        else:
            self.block(node)

    def children(self, children: Sequence[Node | str]) -> None:
        """Write what an element holds."""
        if self.max_rows is not None:
            self.folds.hide_rest(children, self.max_rows)
        for child in children:
            if not isinstance(child, str):
                self.element(child)
            elif child == " ":
                self.out.append(" ")
            else:
                self.say(escaped(child))

    def say(self, text: str) -> None:
        """Write words."""
        self.words += 1
        if not self.inside:
            self.loose += 1
        self.out.append(text)

    def new_line(self) -> None:
        """End the line, unless it holds but an opening tag."""
        if len(self.out) != self.opened:
            self.out.append("\n")

    def open(self, tag: str) -> int:
        """Write an opening tag; returns its place."""
        self.out.append(tag)
        self.opened = len(self.out)
        return self.opened - 1

    def end_line(self) -> None:
        """Take back line ends, so that a tag closes on the line on which its content ends."""
        while len(self.out) > self.opened and self.out[-1] in _BLANK:
            self.out.pop()

    def strip(self, place: int) -> bool:
        """Take the space away with which the piece at ``place`` begins; whether there was one."""
        if place < len(self.out) and self.out[place].startswith(" "):
            self.out[place] = self.out[place].lstrip()
            return True
        return False

    def block(self, node: Node) -> None:
        """An element that leaves nothing but lines of its own."""
        self.new_line()
        self.children(node.children)
        self.new_line()

    def wrapped(self, node: Node, attributes: str = "") -> None:
        """An element kept for what it tells; nothing if it is empty."""
        before = self.words + self.acts
        if node.tag not in INLINE_TAGS:
            self.new_line()
        place = self.open(f"<{node.tag}{attributes}>")
        self.children(node.children)
        if self.words + self.acts == before:
            del self.out[place:]
            return
        self.end_line()
        if node.tag not in INLINE_TAGS:
            self.strip(place + 1)
            self.out[-1] = self.out[-1].rstrip()
            self.out.append(f"</{node.tag}>\n")
        else:
            self.out.append(f"</{node.tag}>")

    def structure(self, node: Node) -> None:
        """A tag that tells something of its content."""
        if self.inside:
            self.block(node)
            return
        name = node.attributes.get("aria-label", "")
        self.wrapped(node, f" aria-label={quoted(name)}" if name else "")

    def label(self, node: Node) -> None:
        """A label tells which control it names, or holds it."""
        control = node.attributes.get("for", "")
        if control:
            self.wrapped(node, f" for={quoted(cut(control))}")
        elif any(inner.actionable for inner in node.walk()):
            self.wrapped(node)
        else:
            self.children(node.children)

    def image(self, node: Node) -> None:
        """An image that means something."""
        words = node.attributes.get("alt", "").strip()
        if words and node.visible:
            self.say(f"<img alt={quoted(words)}>")

    def gauge(self, node: Node) -> None:
        """How far something has come, or what is measured."""
        given = "".join(
            f" {name}={quoted(str(node.state[name]))}"
            for name in ("value", "max")
            if node.state.get(name)
        )
        if given:
            self.say(f"<{node.tag}{given}></{node.tag}>")

    def items(self, node: Node) -> None:
        """A list; just its lines where no item holds text besides what can be acted on."""
        self.new_line()
        place = self.open(f"<{node.tag}>")
        before = self.words + self.acts
        loose = self.loose
        self.children(node.children)
        if self.words + self.acts == before:
            del self.out[place:]
            return
        marks = [i for i in range(place, len(self.out)) if self.out[i] in _ITEM]
        if self.loose > loose and marks:
            self.end_line()
            self.out.append(f"</{node.tag}>")
        else:
            for i in (place, *marks):
                self.out[i] = "\n"
        self.out.append("\n")

    def item(self, node: Node) -> None:
        """A list's item."""
        self.new_line()
        place = self.open("<li>")
        before = self.words + self.acts
        self.children(node.children)
        self.strip(place + 1)
        if self.words + self.acts == before:
            del self.out[place:]
        else:
            self.new_line()

    def table(self, node: Node) -> None:
        """A table; just its lines if it has one column."""
        self.new_line()
        place = self.open("<table>")
        before = self.words + self.acts
        self.children(node.children)
        if self.words + self.acts == before:
            del self.out[place:]
            return
        self.end_line()
        rows = [i for i in range(place, len(self.out)) if self.out[i] == "<tr>"]
        cells = [i for i in range(place, len(self.out)) if self.out[i] in _CELL]
        if len(cells) <= len(rows):
            for i in (place, *rows, *cells):
                self.out[i] = "\n"
        else:
            self.out.append("</table>")
        self.out.append("\n")

    def row(self, node: Node) -> None:
        """A table's row: all its cells on one line, empty ones too."""
        self.out.append("\n")
        place = self.open("<tr>")
        before = self.words + self.acts
        self.children(node.children)
        if self.words + self.acts == before:
            del self.out[place:]
        self.end_line()

    def cell(self, node: Node) -> None:
        """A table's cell."""
        self.end_line()
        place = self.open(f"<{node.tag}>")
        self.children(node.children)
        self.strip(place + 1)

    def actionable(self, node: Node) -> None:
        """An element that can be acted on, with all that tells it from others."""
        tag = node.tag
        self.acts += 1
        if tag in _CELLS:
            self.end_line()
        elif tag not in INLINE_TAGS:
            self.new_line()
        before = self.words
        place = self.open("")
        self.inside += 1
        if tag == "select":
            self.options(node)
        elif tag == "textarea":
            self.out.append(escaped(str(node.state.get("value", ""))).replace("\n", "&#10;"))
        elif tag not in NO_CONTENT:
            self.children(node.children)
            self.end_line()
        self.inside -= 1
        spoken = self.words > before
        opening = f"<{tag}{told_attributes(node, spoken)}>"
        self.out[place] = f" {opening}" if self.strip(place + 1) else opening
        if not spoken and not is_named(node) and not node.state.get("value"):
            self.wordless.append((place, node))
        if tag not in NO_CONTENT and tag not in NO_END:
            last = self.out[-1]
            if last.endswith(" "):
                self.out[-1] = last.rstrip()
                self.out.append(f"</{tag}> ")
            else:
                self.out.append(f"</{tag}>")
        self.opened = -1
        if tag not in INLINE_TAGS and tag not in _CELLS:
            self.out.append("\n")

    def options(self, node: Node) -> None:
        """The options of a select; the chosen ones are marked."""
        options = [inner for inner in node.walk() if inner.tag == "option"]
        many = len(options) if self.max_rows is None else 2 * self.max_rows
        groups = {
            id(inner): group.attributes["label"]
            for group in node.walk()
            if group.tag == "optgroup" and group.attributes.get("label")
            for inner in group.walk()
        }
        told = ""
        for option in options[:many]:
            group = groups.get(id(option), "")
            if group != told:
                self.out.append(f"<optgroup label={quoted(group)}>" if group else "</optgroup>")
                told = group
            marks = "".join(f" {flag}" for flag in FLAGS if option.state.get(flag) is True)
            self.say(f"<option{marks}>{escaped(option.text())}")
        if len(options) > many:
            self.say(f"<option disabled>… {len(options) - many} more options")

    def fold(self, node: Node) -> None:
        """Leave an element out; one line says so for all that are left out here."""
        characters, elements = measure(node)
        if not characters and not elements:
            return
        if self.folded_at != (self.words, self.acts):
            self.say("")
            self.folds.begin(len(self.out) - 1, node)
            self.folded_at = (self.words, self.acts)
        self.folds.add(characters, elements)


_BLANK = frozenset(("\n", " "))
_ITEM = frozenset(("<li>",))
_CELL = frozenset(("<td>", "<th>"))
_CELLS = frozenset(("td", "th"))
_WRITERS: dict[str, Callable[[_Writer, Node], None]] = {
    **dict.fromkeys(STRUCTURE_TAGS, _Writer.structure),
    **{"ul": _Writer.items, "ol": _Writer.items, "li": _Writer.item},
    **{"table": _Writer.table, "tr": _Writer.row, "td": _Writer.cell, "th": _Writer.cell},
    **{"label": _Writer.label, "img": _Writer.image},
    **dict.fromkeys(("progress", "meter"), _Writer.gauge),
}
