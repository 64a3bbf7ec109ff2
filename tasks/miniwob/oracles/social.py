"""The pages with a list of posts."""

from __future__ import annotations

import re

from bs4 import Tag

from webdojo.tasks.calls import click
from webdojo.tasks.miniwob.oracles.oracle import solves
from webdojo.tasks.miniwob.oracles.reading import bid_of, button, match, with_class
from webdojo.tasks.task import Oracle
from webdojo.tasks.view import OracleError, PageView, text_of

ICONS = {"Reply": "reply", "Retweet": "retweet", "Like": "like", "Share": "share"}


@solves("social-media")
def one_post(view: PageView) -> Oracle:
    """Click a button of the user's post, in the post's menu if it is there."""
    user, action = match(r'user (@\S+), click on the "(.+)" button', view.goal)
    if action in ICONS:
        yield click(bid_of(_icons(view, user, ICONS[action])[0]))
        return
    menu = bid_of(_icons(view, user, "more")[0])
    view = yield click(menu)
    for item in view.all("li"):
        if text_of(item) in (action, f"{action} {user}"):
            yield click(bid_of(item))
            return
    raise OracleError(f"no entry {action!r} in the menu")


@solves("social-media-all", "social-media-some")
def several_posts(view: PageView) -> Oracle:
    """Click a button on all or some of the user's posts, then submit."""
    action, amount, user = match(r'"(.+)" button on (all|\d+) posts? by (@\S+)', view.goal)
    icons = _icons(view, user, ICONS[action])
    for icon in icons if amount == "all" else icons[: int(amount)]:
        view = yield click(bid_of(icon))
    yield click(button(view))


def _icons(view: PageView, user: str, kind: str) -> list[Tag]:
    """The icons of one kind on all posts by a user."""
    found = []
    for icon in with_class(view.all("span"), kind):
        head = icon.find_previous(lambda tag: tag.name == "div" and "@" in text_of(tag))
        shown = text_of(head) if isinstance(head, Tag) else ""
        if re.search(rf"{re.escape(user)}(?:\d+h ago)?$", shown):
            found.append(icon)
    if not found:
        raise OracleError(f"no post by {user}")
    return found
