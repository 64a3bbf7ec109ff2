"""The verbs themselves: BrowserGym's names, done by direct input without waiting.

Importing this module fills the registry in ``webdojo.envs.actions``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from webdojo.envs.actions import ActionError, action, closing_action
from webdojo.envs.clock import FRAME_MS
from webdojo.envs.input import Button
from webdojo.envs.page import DrivenPage
from webdojo.envs.tabs import MAX_TABS

OPEN_TIMEOUT_S = 5.0
"""Real time in which an address must answer."""
MAX_TYPED = 500
LIFT_PX = 6
"""By how much something is dragged before what it is dragged to is scrolled to."""
SWITCH_MS = 250
"""Page time in which a page has done what was asked: a box changed, text been taken, a file asked
for."""


@action("noop()")
async def noop(page: DrivenPage, wait_ms: float = 1000.0) -> None:
    """Do nothing for a while."""
    if not 0 <= wait_ms <= 10_000:
        raise ActionError("noop: wait_ms must be between 0 and 10000")
    await page.clock.run(max(1, int(wait_ms)))


@action('click("12")')
async def click(page: DrivenPage, bid: str, button: Button = "left") -> None:
    """Click an element."""
    x, y = await _point(page, bid)
    await _click_at(page, x, y, button, 1)


@action('dblclick("12")')
async def dblclick(page: DrivenPage, bid: str, button: Button = "left") -> None:
    """Double-click an element."""
    x, y = await _point(page, bid)
    await _click_at(page, x, y, button, 1)
    await _click_at(page, x, y, button, 2)


@action('hover("12")')
async def hover(page: DrivenPage, bid: str) -> None:
    """Move the mouse over an element."""
    x, y = await _point(page, bid, hovers=True)
    await page.input.move(x, y)


@action('fill("7", "some text")')
async def fill(page: DrivenPage, bid: str, value: str) -> None:
    """Replace what a text field holds."""
    found = await _ask(page, "prepareFill", bid, value)
    if not found["insert"]:
        return
    if found["value"]:
        await page.input.insert_text(found["value"])
    else:
        await page.page.keyboard.press("Delete")
    kept = await page.ask_again("filled", bid)
    if "error" in kept:
        await page.clock.run(SWITCH_MS)  # an editor may take it a moment later
        kept = await page.ask_again("filled", bid)
    if "error" in kept:
        raise ActionError(kept["error"])


@action('clear("7")')
async def clear(page: DrivenPage, bid: str) -> None:
    """Empty a text field."""
    await fill(page, bid, "")


@action('select_option("9", "blue")')
async def select_option(page: DrivenPage, bid: str, options: str | list[str]) -> None:
    """Choose one or several options of a select by label or value."""
    await _ask(page, "selectOption", bid, [options] if isinstance(options, str) else options)


@action('upload_file("4", "/folder/of/the/task/picture.png")')
async def upload_file(page: DrivenPage, bid: str, file: str | list[str]) -> None:
    """Give files to a file input or to what asks for them; a downloaded one goes by its name."""
    names = [file] if isinstance(file, str) else file
    given = {path.name: path for path in page.tabs.downloads.files}
    paths = [given.get(name, Path(name)) for name in names]
    for path in paths:
        if path in given.values():
            continue
        if not path.is_absolute() or not page.tabs.origins.allows(path.as_uri()):
            raise ActionError(f"upload_file: {path} is not a file of this task")
        if not path.is_file():
            raise ActionError(f"upload_file: there is no file {path}")
    files = [str(path) for path in paths]
    found = await _ask(page, "fileInput", bid, len(files))
    if found["isFile"]:
        await page.set_files(bid, files)
        return
    asked = await page.choosers.opened_by(click(page, bid), lambda: page.clock.run(SWITCH_MS))
    if asked is None:
        raise ActionError(
            f"{found['name']} is not a file input, and asked for no file when clicked"
        )
    if len(files) > 1 and not asked.several:
        raise ActionError(f"{found['name']} asks for one file")
    if not await page.choosers.answer(asked, files):
        raise ActionError(f"{found['name']} asked for a file and did not wait for it")


@action('check("5")')
async def check(page: DrivenPage, bid: str) -> None:
    """Make sure that a checkbox or radio button is checked."""
    await _set_checked(page, bid, wanted=True)


@action('uncheck("5")')
async def uncheck(page: DrivenPage, bid: str) -> None:
    """Make sure that a checkbox is not checked."""
    await _set_checked(page, bid, wanted=False)


@action('focus("7")')
async def focus(page: DrivenPage, bid: str) -> None:
    """Focus an element."""
    await _ask(page, "focus", bid)


@action('press("7", "Enter")')
async def press(page: DrivenPage, bid: str, key_comb: str) -> None:
    """Focus an element and press a key or combination such as Control+a."""
    await _ask(page, "focus", bid)
    await keyboard_press(page, key_comb)


@action('drag_and_drop("3", "8")')
async def drag_and_drop(page: DrivenPage, from_bid: str, to_bid: str) -> None:
    """Drag one element onto another."""
    await _point(page, to_bid)  # told before anything is pressed
    start = await _point(page, from_bid)
    end = await page.point(to_bid, scrolls=False)
    await page.input.down(*start, "left")
    if "error" in end:
        # Not both are in view at once.
        width, height = page.size
        lifted = (min(start[0] + LIFT_PX, width - 1), min(start[1] + LIFT_PX, height - 1))
        await page.input.move(*lifted)
        end = await page.point(to_bid)
    if "error" in end:
        await page.input.up(*start, "left")
        raise ActionError(end["error"])
    await _drag_on(page, start, (end["x"], end["y"]))


@action("scroll(0, 200)")
async def scroll(page: DrivenPage, delta_x: float, delta_y: float) -> None:
    """Turn the mouse wheel where the mouse last was, by pixels right and down."""
    width, height = page.size
    x, y = page.input.at or (width / 2, height / 2)
    await page.turn_wheel(x, y, delta_x, delta_y)


@action('goto("http://localhost:8000/")')
async def goto(page: DrivenPage, url: str) -> None:
    """Open an address."""
    try:
        scheme = urlsplit(url).scheme
    except ValueError:  # an unfinished IPv6 address, say
        scheme = ""
    if scheme not in ("http", "https", "file"):
        raise ActionError(f"goto: {url!r} is not an absolute http, https or file address")
    if not page.tabs.origins.allows(url):
        raise ActionError(
            f"goto: {url} is outside this task, which may reach {page.tabs.origins or 'nothing'}"
        )
    await _navigate(page, url)


@action("go_back()")
async def go_back(page: DrivenPage) -> None:
    """Go to the previous page of the history."""
    if not await page.go(-1):
        raise ActionError("go_back: there is no page before this one")


@action("go_forward()")
async def go_forward(page: DrivenPage) -> None:
    """Go to the next page of the history."""
    if not await page.go(1):
        raise ActionError("go_forward: there is no page after this one")


@action("new_tab()")
async def new_tab(page: DrivenPage) -> None:
    """Open a blank tab and show it."""
    if len(page.tabs.pages) >= MAX_TABS:
        raise ActionError(f"new_tab: {MAX_TABS} tabs are open; close one first")
    await page.tabs.new()


@action("tab_close()")
async def tab_close(page: DrivenPage) -> None:
    """Close the tab shown."""
    if len(page.tabs.pages) == 1:
        raise ActionError("tab_close: it is the only tab")
    await page.tabs.close_active()


@action("tab_focus(0)")
async def tab_focus(page: DrivenPage, index: int) -> None:
    """Show another tab; the first is 0."""
    if not 0 <= index < len(page.tabs.pages):
        raise ActionError(f"tab_focus: there are {len(page.tabs.pages)} tabs, the first is 0")
    await page.tabs.show(index)


@action("mouse_move(100, 50)")
async def mouse_move(page: DrivenPage, x: float, y: float) -> None:
    """Move the mouse to a point of the viewport."""
    _inside(page, x, y)
    await page.input.move(x, y)


@action("mouse_click(100, 50)")
async def mouse_click(page: DrivenPage, x: float, y: float, button: Button = "left") -> None:
    """Click at a point of the viewport."""
    _inside(page, x, y)
    await _click_at(page, x, y, button, 1)


@action("mouse_dblclick(100, 50)")
async def mouse_dblclick(page: DrivenPage, x: float, y: float, button: Button = "left") -> None:
    """Double-click at a point of the viewport."""
    _inside(page, x, y)
    await _click_at(page, x, y, button, 1)
    await _click_at(page, x, y, button, 2)


@action("mouse_down(100, 50)")
async def mouse_down(page: DrivenPage, x: float, y: float, button: Button = "left") -> None:
    """Press a mouse button at a point of the viewport."""
    _inside(page, x, y)
    await page.input.down(x, y, button)


@action("mouse_up(100, 50)")
async def mouse_up(page: DrivenPage, x: float, y: float, button: Button = "left") -> None:
    """Release a mouse button at a point of the viewport."""
    _inside(page, x, y)
    if button not in page.input.pressed:
        down = f"; down is {', '.join(page.input.pressed)}" if page.input.pressed else ""
        raise ActionError(f"mouse_up: the {button} mouse button is not down{down}")
    await page.input.up(x, y, button)


@action("mouse_drag_and_drop(10, 10, 80, 10)")
async def mouse_drag_and_drop(
    page: DrivenPage, from_x: float, from_y: float, to_x: float, to_y: float
) -> None:
    """Drag from one point of the viewport to another."""
    _inside(page, from_x, from_y)
    _inside(page, to_x, to_y)
    await page.input.down(from_x, from_y, "left")
    await _drag_on(page, (from_x, from_y), (to_x, to_y))


@action('keyboard_press("Enter")')
async def keyboard_press(page: DrivenPage, key: str) -> None:
    """Press a key or combination such as Control+a where the focus is."""
    await page.tabs.clipboard.offer(page.worlds)
    await _known(page.tabs.keyboard.press(page.page, key), key)


@action('keyboard_type("some text")')
async def keyboard_type(page: DrivenPage, text: str) -> None:
    """Type text key by key where the focus is."""
    if len(text) > MAX_TYPED:
        raise ActionError(
            f"keyboard_type: at most {MAX_TYPED} keys; keyboard_insert_text takes more"
        )
    await page.tabs.clipboard.offer(page.worlds)
    await page.tabs.keyboard.type(page.page, text)


@action('keyboard_down("Shift")')
async def keyboard_down(page: DrivenPage, key: str) -> None:
    """Press a key and hold it."""
    await page.tabs.clipboard.offer(page.worlds)
    await _known(page.tabs.keyboard.down(page.page, key), key)


@action('keyboard_up("Shift")')
async def keyboard_up(page: DrivenPage, key: str) -> None:
    """Let go of a key."""
    keyboard = page.tabs.keyboard
    if not await keyboard.up(key):
        down = f"; down is {', '.join(keyboard.held)}" if keyboard.held else ""
        raise ActionError(f"keyboard_up: {key} is not down{down}")


@action('keyboard_insert_text("some text")')
async def keyboard_insert_text(page: DrivenPage, text: str) -> None:
    """Insert text at once where the focus is."""
    await page.input.insert_text(text)


@closing_action('send_msg_to_user("42")')
def send_msg_to_user(text: str) -> None:
    """Tell the user the answer."""


@closing_action('report_infeasible("there is no such product")')
def report_infeasible(reason: str) -> None:
    """Tell the user that the task cannot be done, and stop."""


async def _ask(page: DrivenPage, method: str, bid: str, *arguments: Any) -> dict[str, Any]:
    answer = await page.ask(method, bid, *arguments)
    if answer.get("error"):
        raise ActionError(answer["error"])
    return answer


async def _set_checked(page: DrivenPage, bid: str, *, wanted: bool) -> None:
    if (await _ask(page, "isChecked", bid, wanted))["checked"] is wanted:
        return
    await click(page, bid)
    for wait_ms in (0, SWITCH_MS):
        if wait_ms:
            await page.clock.run(wait_ms)
        found = await page.ask_again("isChecked", bid, wanted)
        if found.get("checked", wanted) is wanted:  # what is gone was heard
            return
    state = "unchecked" if wanted else "checked"
    raise ActionError(f"element {bid} was clicked and did not change: it is still {state}")


async def _point(
    page: DrivenPage, bid: str, *, hovers: bool = False, scrolls: bool = True
) -> tuple[float, float]:
    found = await page.point(bid, hovers=hovers, scrolls=scrolls)
    if "error" in found:
        raise ActionError(found["error"])
    return found["x"], found["y"]


async def _click_at(page: DrivenPage, x: float, y: float, button: Button, count: int) -> None:
    # Hovering may change what lies under the pointer: the page shows that first.
    await page.input.move(x, y)
    await page.clock.run(FRAME_MS)
    # The protocol keeps their order; waiting for each in turn would only add a round trip.
    await asyncio.gather(
        page.input.press(x, y, button, count),
        page.input.release(x, y, button, count),
    )


async def _drag_on(page: DrivenPage, start: tuple[float, float], end: tuple[float, float]) -> None:
    for step in (0.1, 0.5, 0.9, 1.0):
        x = start[0] + (end[0] - start[0]) * step
        y = start[1] + (end[1] - start[1]) * step
        await page.input.move(x, y)
    await page.input.up(*end, "left")


async def _known(pressing: Awaitable[None], key: str) -> None:
    from playwright.async_api import Error

    try:
        await pressing
    except Error as error:
        if "nknown key" not in error.message:
            raise
        raise ActionError(
            f"there is no key {key!r}; known are Enter, Tab, a, Control+a …"
        ) from None


async def _navigate(page: DrivenPage, url: str) -> None:
    from playwright.async_api import Error

    try:
        async with asyncio.timeout(OPEN_TIMEOUT_S):
            await page.goto(url)
    except TimeoutError:
        await page.stop_loading()
        raise ActionError(
            f"goto: {url} did not open: no answer within {OPEN_TIMEOUT_S:g} s"
        ) from None
    except Error as error:
        if page.page.is_closed():
            raise
        if "Download is starting" not in error.message:  # told of as a file
            first = error.message.splitlines()[0].removeprefix("Page.goto: ")
            raise ActionError(f"goto: {url} did not open: {first}") from error


def _inside(page: DrivenPage, x: float, y: float) -> None:
    width, height = page.size
    if not (0 <= x < width and 0 <= y < height):
        raise ActionError(f"({x:g}, {y:g}) is outside the viewport of {width} by {height} pixels")
