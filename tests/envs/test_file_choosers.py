"""A page that asks for a file is answered by upload_file, and waits for nobody who does not."""

from pathlib import Path

import pytest

from webdojo.tasks.calls import call

pytestmark = pytest.mark.asyncio(loop_scope="session")

ASKS = """<button>Choose</button><input type=file hidden onchange="got(this)">
<button onclick="late()">Later</button><button onclick="loose()">Loose</button>
<button>Nothing</button><button onclick="pick()">Pick</button><input aria-label=Text><script>
const said = [], field = document.querySelector("input");
const got = (input) => said.push([...input.files].map((file) => file.name).join());
document.querySelector("button").onclick = () => field.click();
const late = () => setTimeout(() => field.click(), 100);
const loose = () => {
  const input = document.createElement("input");
  input.type = "file"; input.multiple = true; input.onchange = () => got(input); input.click() };
const pick = () => showOpenFilePicker().catch((error) => said.push(error.name));
</script>"""


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(name)
    return [str(tmp_path / name) for name in ("a.txt", "b.txt")]


async def test_a_chooser_that_nobody_answers_is_told(open_page) -> None:
    page = await open_page(ASKS)
    for _ in range(2):
        seen = await page.look(call("click", page.bid("Choose")))
        assert seen.notices == (
            "the page asks for a file: upload_file(...) on the same element gives it a file",
        )
    seen = await page.look(call("click", page.bid("Pick")))
    assert seen.notices == ("the page wanted to pick a file of this machine: refused",)
    assert await page.js("said") == ["AbortError"]


async def test_an_upload_to_what_asks_for_files_answers_it(open_page, files) -> None:
    page = await open_page(ASKS, allowed=(Path(files[0]).parent.as_uri() + "/",))
    for name, given, said in (
        ("Choose", files[0], "a.txt"),
        ("Later", files[1], "b.txt"),
        ("Loose", files, "a.txt,b.txt"),
    ):
        seen = await page.look(call("upload_file", page.bid(name), given))
        assert (seen.last_action_error, seen.notices) == ("", ())
        assert (await page.js("said"))[-1] == said
    for name, given, why in (
        ("Choose", files, "asks for one file"),
        ("Nothing", files[0], "is not a file input, and asked for no file when clicked"),
        ("Text", files[0], "is not a file input"),
    ):
        refused = await page.look(call("upload_file", page.bid(name), given))
        assert why in refused.last_action_error
    assert len(await page.js("said")) == 3
