"""Each episode has a clipboard of its own, though Chromium has one for all."""

from __future__ import annotations

import pytest

from webdojo.tasks.calls import call

pytestmark = pytest.mark.asyncio(loop_scope="session")

FIELDS = "<input aria-label=From value=text><input aria-label=To>"
FROM = "document.querySelector('[aria-label=From]').value"
TO = "document.querySelector('[aria-label=To]').value"


async def copy(page, name: str = "From", keys: str = "Control+c") -> None:
    await page.look(call("press", page.bid(name), "Control+a"))
    await page.look(call("keyboard_press", keys))


async def test_what_is_copied_is_pasted_in_the_same_episode_alone(open_page) -> None:
    one, other = await open_page(FIELDS), await open_page(FIELDS)
    await copy(one)
    await other.look(call("press", other.bid("To"), "Control+v"))
    assert await other.js(TO) == ""
    await one.look(call("press", one.bid("To"), "Control+v"))
    assert await one.js(TO) == "text"
    await other.js(FROM + " = 'other'")
    await copy(other)
    await one.look(call("press", one.bid("To"), "Control+v"))
    assert await one.js(TO) == "texttext"


@pytest.mark.parametrize("goes_again", [True, False])
async def test_nothing_that_was_copied_outlives_its_episode(open_page, goes_again) -> None:
    page = await open_page(FIELDS)
    page.task.reuse_page = True
    first = page.env.page
    await copy(page)
    if not goes_again:

        async def stay(_, seed):
            return "Do what the page says."

        page.task.setup = stay
        page.env._reuse.cut_short = False  # as where the page has ended the episode itself
    await page.env.reset(page.task, 1)
    assert page.env.page is first
    await page.look(call("press", page.bid("To"), "Control+v"))
    assert await page.js(TO) == ""


async def test_what_is_copied_goes_from_page_to_page(open_page, site) -> None:
    site.pages["/next"] = FIELDS + f"<iframe src={site.other_origin()}/frame></iframe>"
    site.pages["/frame"] = "<textarea aria-label=Inner></textarea>"
    page = await open_page(FIELDS, allowed=(site.other_origin(),))
    await copy(page)
    await page.look(call("goto", site.origin + "/next"))
    await page.look(call("press", page.bid("To"), "Control+v"))
    assert await page.js(TO) == "text"
    seen = await page.look(call("press", page.bid("Inner"), "Control+v"))
    assert 'textbox"text"#Inner' in seen.outline
    await page.look("new_tab()")
    await page.look(call("goto", site.origin + "/"))
    await page.look(call("press", page.bid("To"), "Shift+Insert"))
    assert await page.js(TO) == "text"


async def test_keys_that_are_held_copy_and_paste_too(open_page) -> None:
    page = await open_page(FIELDS)
    await page.look(call("focus", page.bid("From")))
    for action in ("keyboard_down('Control')", "keyboard_press('a')", "keyboard_press('x')"):
        await page.look(action)
    await page.look("keyboard_up('Control')")
    assert await page.js(FROM) == ""
    await page.look(call("focus", page.bid("To")))
    for action in ("keyboard_down('Control')", "keyboard_down('v')", "keyboard_up('v')"):
        await page.look(action)
    assert await page.js(TO) == "text"


@pytest.mark.parametrize(
    ("source", "keys"),
    [
        ("<textarea aria-label=From>text</textarea>", "Control+Insert"),
        ("<input type=email aria-label=From value=text>", "Control+c"),
        ("<div contenteditable aria-label=From role=textbox><b>te</b>xt</div>", "Control+x"),
        ("<div id=h></div><script>h.attachShadow({mode: 'open'}).innerHTML ="
         " '<input aria-label=From value=text>'</script>", "Control+x"),
        ("<p>te<b>xt</b></p><input type=checkbox aria-label=From>", "Control+c"),
    ],
)  # fmt: skip
async def test_text_is_copied_from_wherever_it_is(open_page, source, keys) -> None:
    page = await open_page(source + "<input aria-label=To style='user-select: none'>")
    await copy(page, keys=keys)
    await page.look(call("press", page.bid("To"), "Control+v"))
    assert (await page.js(TO)).strip() == "text"


async def test_a_button_may_copy(open_page) -> None:
    page = await open_page(
        """<p id=p>text</p><button>Copy</button><input aria-label=To><script>
        document.querySelector('button').onclick = () => {
          getSelection().selectAllChildren(p);
          document.execCommand('copy');
        }</script>"""
    )
    await page.look(call("click", page.bid("Copy")))
    await page.look(call("press", page.bid("To"), "Control+v"))
    assert await page.js(TO) == "text"


async def test_a_page_may_deal_with_its_clipboard_itself(open_page) -> None:
    page = await open_page(
        FIELDS
        + """<p id=p></p><script>
        const [from, to] = document.querySelectorAll('input');
        from.oncopy = (e) => {
          e.clipboardData.setData('text/plain', 'other');
          e.clipboardData.setData('text/html', '<b>other</b>');
          e.preventDefault(); e.stopPropagation();
        };
        to.addEventListener('paste', (e) => {
          p.textContent = e.clipboardData.getData('text/html') + e.clipboardData.types;
          e.preventDefault(); e.stopImmediatePropagation();
        });</script>"""
    )
    await copy(page)
    await page.look(call("press", page.bid("To"), "Control+v"))
    assert await page.js("p.textContent") == "<b>other</b>text/plain,text/html"
    assert await page.js(TO) == ""
    await page.look(call("press", page.bid("From"), "Control+v"))
    assert await page.js(FROM) == "other"


async def test_a_password_is_not_copied(open_page) -> None:
    page = await open_page("<input type=password aria-label=From value=text><input aria-label=To>")
    await copy(page)
    await page.look(call("press", page.bid("To"), "Control+v"))
    assert await page.js(TO) == ""
