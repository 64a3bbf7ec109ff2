import asyncio
import io

import pytest
from PIL import Image, ImageChops

from webdojo.envs.marks import draw_marks
from webdojo.envs.screenshots import ScreenshotSpec, ScreenshotStore


def test_the_same_bytes_are_kept_once(tmp_path) -> None:
    store = ScreenshotStore(tmp_path / "shots")
    one, two = store.put(b"image"), store.put(b"image")
    assert one == two
    assert store.put(b"other") != one
    assert store.bytes_written == 10
    assert sorted(path.name for path in store.folder.iterdir()) == sorted(
        [one, store.put(b"other")]
    )
    assert store.get(one) == b"image"
    assert ScreenshotStore(store.folder).get(one) == b"image"


@pytest.mark.parametrize("damaged", [b"", b"ima", b"other"])
def test_a_damaged_file_is_written_anew_by_whoever_has_the_image(tmp_path, damaged: bytes) -> None:
    store = ScreenshotStore(tmp_path)
    reference = store.put(b"image")
    (tmp_path / reference).write_bytes(damaged)
    assert store.put(b"image") == reference
    assert store.get(reference) == b"image"
    assert store.bytes_written == 10
    assert [path.name for path in tmp_path.iterdir()] == [reference]


def test_a_missing_image_is_none_and_a_path_is_no_reference(tmp_path) -> None:
    store = ScreenshotStore(tmp_path)
    assert store.get("0" * 32) is None
    for wrong in ("../secret", "a/b", "", "a.partial"):
        with pytest.raises(ValueError, match="is not a screenshot reference"):
            store.get(wrong)


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(
    ("image_format", "kind"), [("jpeg", "JPEG"), ("webp", "WEBP"), ("png", "PNG")]
)
async def test_a_screenshot_has_the_viewport_s_size(open_page, image_format, kind) -> None:
    page = await open_page("<p>text", screenshot=ScreenshotSpec(image_format))
    with Image.open(io.BytesIO(page.first.screenshot)) as image:
        assert (image.format, image.size) == (kind, (500, 400))


@pytest.mark.asyncio(loop_scope="session")
async def test_a_page_that_did_not_change_says_so(open_page) -> None:
    page = await open_page(
        "<p id=p>text</p><button onclick=\"p.style.color = 'red'\">Red</button>",
        screenshot=ScreenshotSpec("png"),
    )
    bid = page.bid("Red")
    await page.look(f'hover("{bid}")')
    assert not (await page.look("noop(1)")).page_changed
    await page.look(f'focus("{bid}")')
    assert (await page.look(f'click("{bid}")')).page_changed
    assert not (await page.look(f'click("{bid}")')).page_changed


@pytest.mark.asyncio(loop_scope="session")
async def test_a_page_that_stands_still_is_not_drawn_again(open_page) -> None:
    page = await open_page(
        """<p id=p>text</p><button onclick="p.style.color = 'red'">Red</button>
        <button onclick="document.styleSheets[0].insertRule('p { color: blue }')">Blue</button>
        <style>p { margin: 9px }</style><input aria-label=Name>""",
        screenshot=ScreenshotSpec("png"),
    )

    async def drawn_anew(action: str) -> bool:
        before = page.env.observation.screenshot
        observation = await page.look(action)
        full = await page.env.page.looking.screenshot("png", 80)
        assert observation.screenshot == full, action
        return observation.screenshot is not before

    assert not await drawn_anew("noop(1)")
    assert not await drawn_anew('click("99")')
    assert await drawn_anew(f'click("{page.bid("Red")}")')
    assert await drawn_anew(f'click("{page.bid("Blue")}")')
    assert await drawn_anew(f'fill("{page.bid("Name")}", "bob")')
    await page.js("document.querySelector('input').value = 'set by script'")
    assert await drawn_anew("noop(1)")
    assert not await drawn_anew("noop(1)")
    await page.js("p.textContent = 'other'")
    assert await drawn_anew("noop(1)")


@pytest.mark.asyncio(loop_scope="session")
async def test_what_scrolls_inside_the_page_is_drawn_again(open_page) -> None:
    page = await open_page(
        """<div id=box style="height: 90px; overflow: auto"><p>one<p>two<p>three<p>four</div>""",
        screenshot=ScreenshotSpec("png"),
    )
    await page.js("box.scrollTo(0, 40)")
    assert (await page.look("noop(1)")).screenshot != page.first.screenshot


CLOSED = {
    "attached": """<div id=d></div><script>
        const tree = d.attachShadow({ mode: "closed" });
        tree.innerHTML = "<canvas width=50 height=50></canvas>";""",
    "written": """<x-tree><template shadowrootmode=closed><canvas width=50 height=50></canvas>
        </template></x-tree><script>
        let tree;
        customElements.define("x-tree", class extends HTMLElement {
          constructor() { super(); tree = this.attachInternals().shadowRoot }
        });""",
}


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("way", CLOSED)
async def test_a_page_with_a_closed_shadow_tree_is_always_drawn_again(open_page, way) -> None:
    page = await open_page(
        f"""{CLOSED[way]}
        const draw = () => tree.firstChild.getContext("2d").fillRect(0, 0, 20, 20);
        </script>""",
        screenshot=ScreenshotSpec("png"),
    )
    await page.js("draw()")
    assert (await page.look("noop(1)")).screenshot != page.first.screenshot


@pytest.mark.asyncio(loop_scope="session")
async def test_an_image_of_a_style_is_drawn_when_it_comes_late(open_page, site) -> None:
    site.pages["/stall.svg"] = (
        "<svg xmlns='http://www.w3.org/2000/svg' width='50' height='50'>"
        "<rect width='50' height='50' fill='red'/></svg>"
    )
    site.headers["/stall.svg"] = {"Content-Type": "image/svg+xml"}
    page = await open_page(
        "<div id=d style='width: 50px; height: 50px'></div>", screenshot=ScreenshotSpec("png")
    )
    await page.js("d.style.backgroundImage = 'url(/stall.svg)'")
    before = (await page.look("noop(1)")).screenshot
    site.stalling.set()
    for _ in range(200):  # it comes in real time
        if before != await page.env.page.looking.screenshot("png", 100):
            break
        await asyncio.sleep(0.05)
    assert (await page.look("noop(1)")).screenshot != before


@pytest.mark.asyncio(loop_scope="session")
async def test_a_page_with_a_canvas_is_always_drawn_again(open_page) -> None:
    page = await open_page(
        "<canvas id=c width=50 height=50></canvas>", screenshot=ScreenshotSpec("png")
    )
    await page.js("c.getContext('2d').fillRect(0, 0, 20, 20)")
    observation = await page.look("noop(1)")
    assert observation.screenshot != page.first.screenshot


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("image_format", ["jpeg", "webp", "png"])
async def test_marks_frame_what_can_be_acted_on(open_page, image_format) -> None:
    html = (
        "<button style='position:absolute;left:100px;top:100px;width:80px;height:40px'>B</button>"
    )
    plain = await open_page(html, screenshot=ScreenshotSpec("png"))
    marked = await open_page(html, screenshot=ScreenshotSpec(image_format, 95, marks=True))
    with (
        Image.open(io.BytesIO(plain.first.screenshot)) as before,
        Image.open(io.BytesIO(marked.first.screenshot)) as after,
    ):
        assert after.size == (500, 400)
        assert after.format == image_format.upper()
        box = (
            ImageChops.difference(before.convert("RGB"), after.convert("RGB"))
            .point(lambda value: 255 if value > 60 else 0)
            .getbbox()
        )
    assert box is not None
    assert (box[0], box[2], box[3]) == (100, 180, 140)
    assert 80 < box[1] < 100  # the number stands above


def test_marks_stay_in_the_picture() -> None:
    out = io.BytesIO()
    Image.new("RGB", (60, 40), "white").save(out, "PNG")
    boxes = {
        "1": (-30, -30, 40, 40),
        "2": (50, 30, 100, 100),
        "3": (0, 0, 60, 40),
        "4": (90, 0, 9, 9),
    }
    with Image.open(io.BytesIO(draw_marks(out.getvalue(), boxes, ScreenshotSpec("png")))) as image:
        assert image.size == (60, 40)
        colours = {colour for _, colour in image.getcolors()}
    assert (0xD8, 0x1B, 0x60) in colours
    assert (0x15, 0x65, 0xC0) in colours
    assert (0x2E, 0x7D, 0x32) not in colours
    assert (0x6A, 0x1B, 0x9A) not in colours


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(
    "html",
    [
        "<input type=checkbox id=c><script>go = () => { c.indeterminate = true }</script>",
        "<style>p{background:red}</style><p>x<script>go = () => {"
        " document.styleSheets[0].cssRules[0].style.background = 'blue' }</script>",
        "<style>p{background:red}</style><p>x<script>go = () => {"
        " document.styleSheets[0].disabled = true }</script>",
        "<p id=p>x<script>go = () => p.animate([{background: 'red'}, {background: 'blue'}],"
        " {duration: 300, fill: 'forwards'})</script>",
        "<style>:invalid{background:red}</style><input id=c><script>go = () =>"
        " c.setCustomValidity('no')</script>",
        "<style>::highlight(k){background:red}</style><p id=p>text<script>go = () => {"
        " const all = new Range(); all.selectNodeContents(p);"
        " CSS.highlights.set('k', new Highlight(all)) }</script>",
    ],
    ids=["undecided", "rule", "sheet", "animated", "invalid", "highlight"],
)
async def test_a_change_that_no_event_tells_is_drawn(open_page, html: str) -> None:
    page = await open_page(html, screenshot=ScreenshotSpec("png"))
    before = (await page.look("noop(50)")).screenshot
    assert (await page.look("noop(50)")).screenshot is before
    await page.env.page.evaluate("setTimeout(() => go(), 20); 0")
    after = (await page.look("noop(200)")).screenshot
    assert after != before
    assert after == await page.env.page.looking.screenshot("png", 80)
