"""Pages where what is wanted must first be brought to sight: tabs, menus, trees, result pages."""

from __future__ import annotations

from bs4 import Tag

from webdojo.tasks.calls import click, fill, hover, mouse_click
from webdojo.tasks.miniwob.oracles.looking import middle, seen
from webdojo.tasks.miniwob.oracles.oracle import solves
from webdojo.tasks.miniwob.oracles.reading import bid_of, button, match, ordinal, quoted
from webdojo.tasks.task import Oracle
from webdojo.tasks.view import OracleError, PageView, text_of


@solves("click-tab")
def tab(view: PageView) -> Oracle:
    """Click the named tab."""
    yield click(view.bid("a", match(r"(Tab #\d)", view.goal)[0]))


@solves("click-tab-2", "click-tab-2-easy", "click-tab-2-medium", "click-tab-2-hard")
def link_in_tab(view: PageView) -> Oracle:
    """Open one tab after another until the link shows."""
    wanted = quoted(view.goal)[0]
    unseen = [bid_of(tag) for tag in view.all("a")]
    shown = [
        bid_of(link)
        for tag in view.all("li", role="tab")
        if tag.has_attr("selected") and (link := tag.find("a"))
    ]
    unseen = [bid for bid in unseen if bid not in shown]
    while not view.all("span", wanted):
        if not unseen:
            raise OracleError(f"no tab holds the link {wanted!r}")
        view = yield click(unseen.pop(0))
    yield click(view.bid("span", wanted))


@solves("click-collapsible", "click-collapsible-nodelay")
def submit_in_section(view: PageView) -> Oracle:
    """Expand the section, then submit."""
    view = yield click(view.bid("h3"))
    yield click(button(view))


@solves("click-collapsible-2", "click-collapsible-2-nodelay")
def link_in_section(view: PageView) -> Oracle:
    """Expand one section after another until the link shows."""
    wanted = quoted(view.goal)[0]
    unseen = [bid_of(tag) for tag in view.all("h3")]
    while not view.all("span", wanted):
        if not unseen:
            raise OracleError(f"no section holds the link {wanted!r}")
        view = yield click(unseen.pop(0))
    yield click(view.bid("span", wanted))


@solves("click-menu")
def nested_menu(view: PageView) -> Oracle:
    """Hover along the path and click its last item."""
    *path, last = match(r"Select (.+)", view.goal)[0].split(">")
    for name in path:
        view = yield hover(view.bid("div", name, role="menuitem"))
    yield click(view.bid("div", last, role="menuitem"))


@solves("click-menu-2")
def labelled_menu(view: PageView) -> Oracle:
    """Open the menu, look into the sub-menu if need be, click the item with the label or icon."""
    found = quoted(view.goal)
    view = yield click(view.bid("button", "Menu"))
    named = found[1] if len(found) == 2 and found[1].startswith("ui-icon-") else ""
    if len(found) == 2 and not named:
        if not view.all("div", found[1], role="menuitem"):
            view = yield hover(view.bid("div", "Playback", role="menuitem"))
        yield click(view.bid("div", found[1], role="menuitem"))
        return
    if (icon := _icon(view, named)) is None:
        view = yield hover(view.bid("div", "Playback", role="menuitem"))
        icon = _icon(view, named)
    if icon is None:
        raise OracleError("no item has the icon of the goal")
    yield mouse_click(*middle(icon))


def _icon(view: PageView, named: str) -> Tag | None:
    """The icon in the menu of that name, or else the one that looks like the one in the goal."""
    icons = [tag for tag in seen(view, "span") if "ui-icon" in tag.get_attribute_list("class")]
    if named:
        alike = [tag for tag in icons if named in tag.get_attribute_list("class")]
    else:
        wanted = next(tag for tag in icons if tag.find_parent(id="query"))
        same = wanted["image-at"]
        alike = [tag for tag in icons if tag is not wanted and tag["image-at"] == same]
    return alike[0] if alike else None


@solves("click-pie", "click-pie-nodelay")
def pie_menu(view: PageView) -> Oracle:
    """Spread the menu, then click the slice with the label before it stands still.

    While it spreads, the page leaves the slice under the mouse where it is. Once it stands, it
    takes the first slice out of the document whenever the mouse comes over it.
    """
    label = quoted(view.goal)[0]
    view = yield click(view.bid("text", "+"))
    yield click(view.bid("text", label))


@solves("navigate-tree")
def tree(view: PageView) -> Oracle:
    """Open folders until the wanted name shows, then click it."""
    wanted = quoted(view.goal)[0]
    opened: set[str] = set()
    while not (found := _named(view, wanted)):
        marks = [tag for tag in view.all("div") if "expandable" in str(tag.get("class"))]
        folder = next((tag for tag in marks if bid_of(tag) not in opened), None)
        name = folder.find_next("span") if folder is not None else None
        if folder is None or not isinstance(name, Tag):
            raise OracleError(f"{wanted!r} is nowhere in the tree")
        opened.add(bid_of(folder))
        view = yield click(bid_of(name))
    yield click(found)


def _named(view: PageView, name: str) -> str:
    return next((bid_of(tag) for tag in view.all(["span", "li"]) if text_of(tag) == name), "")


@solves("search-engine")
def search_result(view: PageView) -> Oracle:
    """Search, turn to the page of the wanted result, click it."""
    wanted = ordinal(view.goal) - 1
    view = yield fill(view.bid("input"), quoted(view.goal)[0])
    view = yield click(view.bid("button", "Search"))
    per_page = len(_results(view))
    if wanted >= per_page:
        view = yield click(view.bid("a", str(wanted // per_page + 1)))
    yield click(bid_of(_results(view)[wanted % per_page]))


def _results(view: PageView) -> list[Tag]:
    return [tag for tag in view.all("a") if tag.find_parent("ul") is None]


@solves("use-autocomplete", "use-autocomplete-nodelay")
def suggestion(view: PageView) -> Oracle:
    """Type the beginning, click the suggestion that ends as wanted, submit."""
    start, *rest = quoted(view.goal)
    end = rest[0] if rest else ""
    view = yield fill(view.bid("input"), start)
    for tag in view.all("li"):
        if text_of(tag).startswith(start) and text_of(tag).endswith(end):
            view = yield click(bid_of(tag))
            break
    else:
        raise OracleError(f"no suggestion from {start!r} to {end!r}")
    yield click(button(view))


@solves("form-sequence-3")
def drop_down_then_button(view: PageView) -> Oracle:
    """Open a styled drop-down list, choose from it, then click the named button."""
    wanted, label = match(r'Choose (.+) from the dropdown, .* labeled "(.+)"', view.goal)
    view = yield click(view.bid("div", class_="selectric"))
    view = yield click(view.bid("li", wanted))
    yield click(view.bid("button", label))
