"""Pages written into a document that is opened anew, by themselves or by set_content."""

import json

import pytest

from webdojo.envs.core import WebEnv
from webdojo.envs.spec import EnvSpec
from webdojo.tasks.calls import call

pytestmark = pytest.mark.asyncio(loop_scope="session")

TELLS = """<p id=p>none</p><button>Aim</button><script>
let keys = 0, moves = 0;
const tell = () => p.textContent = `${keys} keys, ${moves} moves`;
addEventListener("keyup", () => { keys++; tell() });
addEventListener("mousemove", () => { moves++; tell() });
</script>"""
REWRITES = """<button id=r>Rewrite</button><script>r.onclick = () => {
document.write(%s); document.close() }</script>"""


async def heard(env: WebEnv, aim: str) -> list[str]:
    """What the page tells of the mouse that is put over a button, and rests there."""
    actions = (call("hover", aim), "noop(1)", call("press", aim, "a"), "noop(1)")
    return [(await env.step(action)).observation.outline.splitlines()[0] for action in actions]


async def test_they_hear_what_others_hear(open_page, chromium, page_task) -> None:
    plain = await open_page(TELLS)
    expected = await heard(plain.env, plain.bid("Aim"))
    assert expected[-1] == 'text"1 keys, 1 moves"'

    task = page_task("about:blank")

    async def setup(page, seed):
        await page.set_content(TELLS)
        return "Aim."

    task.setup = setup
    async with WebEnv(chromium, EnvSpec(modes=("outline",))) as env:
        await env.reset(task, 1)
        assert await heard(env, "1") == expected


async def test_so_do_those_that_write_themselves(open_page) -> None:
    page = await open_page(REWRITES % json.dumps(TELLS).replace("</", "<\\/"))
    await page.look(call("click", page.bid("Rewrite")))
    moved, *_, last = await heard(page.env, page.bid("Aim"))
    assert moved == 'text"0 keys, 1 moves"'
    assert last == 'text"1 keys, 1 moves"'
