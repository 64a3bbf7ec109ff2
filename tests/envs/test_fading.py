"""A fade that is over leaves no trace in pictures, whether or not it was drawn on the way."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")

BOX = (
    "<div id=box style='position:absolute; z-index:1; left:28.6875px; top:73px; width:120px;"
    " height:90px; border:1px solid #aaa; border-radius:5px; background:#fff'>July</div>"
)


@pytest.mark.parametrize("transition", ["", "opacity 1s"])
async def test_what_was_faded_looks_as_if_it_never_was(
    open_page: Callable[..., object], transition: str
) -> None:
    opened = await open_page(BOX)
    before = await opened.env.picture()
    await opened.js(f"box.style.transition = '{transition}'; box.offsetTop; box.style.opacity = .5")
    await opened.env.page.looking.snapshot()
    assert await opened.env.picture() != before
    await opened.js("box.style.opacity = ''; 1")
    await opened.env.picture()
    await opened.look()
    assert await opened.env.picture() == before
    assert await opened.js("box.getAnimations().length") == 0


async def test_what_spins_in_a_frame_stands_still_too(open_page: Callable[..., object]) -> None:
    inside = (
        "<style>@keyframes fade { from { opacity: 1 } to { opacity: .2 } }"
        " p { background: red; animation: fade 1s linear infinite }</style><p>spins"
    )
    opened = await open_page(f'<iframe srcdoc="{inside}"></iframe>')
    pictures = set()
    for _ in range(4):
        await opened.look("noop(130)")
        pictures.add(await opened.env.picture())
    assert len(pictures) == 1


async def test_what_was_faded_in_a_frame_looks_as_if_it_never_was(
    open_page: Callable[..., object],
) -> None:
    opened = await open_page(f'<iframe width=300 height=300 srcdoc="{BOX}"></iframe>')
    style = "document.querySelector('iframe').contentDocument.querySelector('#box').style"
    before = await opened.env.picture()
    await opened.js(f"{style}.opacity = .5")
    await opened.env.page.looking.snapshot()
    assert await opened.env.picture() != before
    await opened.js(f"{style}.opacity = ''; 1")
    await opened.env.picture()
    await opened.look()
    assert await opened.env.picture() == before
