"""The inbox pages: delete, star, reply to or forward one email."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bs4 import Tag

from webdojo.tasks.calls import click, fill
from webdojo.tasks.miniwob.oracles.oracle import solves
from webdojo.tasks.miniwob.oracles.reading import bid_of, match, with_class
from webdojo.tasks.task import Oracle
from webdojo.tasks.view import OracleError, PageView, text_of


@dataclass(frozen=True)
class Wish:
    """What to do with whose email; ``text`` is the reply or the person to forward it to."""

    verb: str
    sender: str
    text: str = ""


@solves(
    "email-inbox",
    "email-inbox-delete",
    "email-inbox-forward",
    "email-inbox-important",
    "email-inbox-noscroll",
    "email-inbox-reply",
    "email-inbox-star-reply",
)
def inbox(view: PageView) -> Oracle:
    """Find the email and do what the goal says."""
    sender, rest = match(r"Find the email by (.+?) and (.+)", view.goal)
    if rest.startswith("reply"):
        wish = Wish("reply", sender, match(r'text "(.*)"\.$', rest)[0])
    elif rest.startswith("forward"):
        wish = Wish("forward", sender, match(r"email to (.+)\.$", rest)[0])
    else:
        wish = Wish("delete" if "trash" in rest else "star", sender)
    yield from _grant(view, wish)


@solves("email-inbox-forward-nl", "email-inbox-forward-nl-turk", "email-inbox-nl-turk")
def inbox_in_free_words(view: PageView) -> Oracle:
    """The same, with a goal that people wrote in their own words."""
    yield from _grant(view, _understand(view))


def _grant(view: PageView, wish: Wish) -> Oracle:
    if wish.verb in ("delete", "star"):
        icon = "trash" if wish.verb == "delete" else "star"
        yield click(bid_of(with_class(_email(view, wish.sender).find_all("span"), icon)[0]))
        return
    view = yield click(bid_of(_email(view, wish.sender)))
    view = yield click(view.bid("span", wish.verb.capitalize()))
    if wish.verb == "reply":
        view = yield fill(view.bid("textarea", id="reply-text"), wish.text)
        yield click(view.bid("span", id="send-reply"))
    else:
        view = yield fill(view.bid("input"), wish.text)
        yield click(view.bid("span", id="send-forward"))


def _email(view: PageView, sender: str) -> Tag:
    for row in view.all("div"):
        name = row.find("div")
        if name is not None and text_of(name) == sender:
            return row
    raise OracleError(f"no email by {sender!r} in the inbox")


def _senders(view: PageView) -> list[str]:
    names = [row.find("div") for row in view.all("div")]
    return sorted({text_of(name) for name in names if name is not None}, key=len, reverse=True)


def _understand(view: PageView) -> Wish:
    goal = view.goal
    message = re.search(r'"(.*)"', goal)
    if message:
        asked = goal.replace(message[0], "")
        return Wish("reply", _mentioned(view, asked)[0], message[1].strip('" '))
    names = _mentioned(view, goal)
    if len(names) == 1:
        lowered = goal.lower()
        gone = any(word in lowered for word in DELETING) and "that is marked" not in lowered
        return Wish("delete" if gone else "star", names[0])
    sender = _author(goal, names)
    others = [name for name in names if name != sender]
    return Wish("forward", sender, others[0])


DELETING = (
    "delet", "get rid", "remove", "trash", "throw away", "recycling", "don't want",
    "out of my inbox",
)  # fmt: skip

AUTHOR = (
    r"^{} wants (?:his|her)",
    r"\b(?:from|by|By|FROM) {}\b",
    r"\b{} (?:sent|wrote)\b",
    r"\b(?:email|mail|message) (?:of|that) {}\b",
    r"\b{}'?s? (?:\w+ )?(?:e-?mail|message|Email|mail)\b",
)


def _author(goal: str, names: list[str]) -> str:
    for pattern in AUTHOR:
        for name in names:
            if re.search(pattern.format(re.escape(name)), goal):
                return name
    raise OracleError(f"who wrote the email that {goal!r} speaks of?")


def _mentioned(view: PageView, goal: str) -> list[str]:
    """Senders that the goal names, longest name first where one is part of another."""
    found: list[str] = []
    for name in _senders(view):
        pattern = rf"(?<![A-Z]){re.escape(name)}(?=\W|s\b|$)"
        if re.search(pattern, goal):
            found.append(name)
            goal = re.sub(pattern, "\0" * len(name), goal)
    if not found:
        raise OracleError(f"no sender of the inbox is named in {goal!r}")
    return found
