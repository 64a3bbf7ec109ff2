"""Frames that are drawn larger, smaller or turned: what is in them lies where it is drawn."""

import pytest

from webdojo.tasks.calls import call

pytestmark = pytest.mark.asyncio(loop_scope="session")

WORDS = ("Keep", "Archive", "Delete", "Share")
ROWS = """<!doctype html><body style='margin:0'><p id=o style='height:20px'>-</p>
<style>button { display: block; width: 120px; height: 30px }</style>""" + "".join(
    f"<button onclick=\"o.textContent = 'did {word}'\">{word}</button>" for word in WORDS
)
DRAWN = {
    "scaled down": ("", "transform:scale(.5);transform-origin:0 0"),
    "scaled up": ("", "transform:scale(1.4);transform-origin:-10px 0"),
    "scaled apart": ("scale:1.2 .7;transform-origin:0 0", "border:9px solid;padding:5px"),
    "zoomed out": ("", "zoom:.6;border:9px solid;padding:5px"),
    "zoomed in": ("zoom:2", "zoom:.8"),
    "both": ("zoom:1.3", "border:9px solid;padding:5px;transform:scale(.8) translateZ(0)"),
}


def framed(src: str, around: str = "", style: str = "") -> str:
    frame = f"<iframe src='{src}' style='border:0;width:200px;height:180px;{style}'></iframe>"
    return f"<body style='margin:0'><div style='{around}'>{frame}</div>"


@pytest.mark.parametrize(("around", "style"), DRAWN.values(), ids=DRAWN)
@pytest.mark.parametrize("near", [True, False], ids=["same origin", "another origin"])
async def test_clicks_meet_what_they_name_and_boxes_lie_around_it(
    open_page, site, near, around, style
) -> None:
    other = site.origin if near else site.other_origin()
    site.pages["/rows"] = ROWS
    page = await open_page(framed(other + "/rows", around, style), allowed=(other,))
    seen = await page.look(call("click", page.bid("Share")))
    assert (seen.last_action_error, "did Share" in seen.outline) == ("", True)
    x, y, width, height = seen.boxes[page.bid("Delete")]
    for corner in ((x + 2, y + 2), (x + width - 3, y + height - 3)):
        await page.look(call("click", page.bid("Keep")))
        assert "did Delete" in (await page.look(call("mouse_click", *corner))).outline


async def test_frames_within_frames_are_drawn_as_all_of_them_are(open_page, site) -> None:
    other = site.other_origin()
    site.pages["/rows"] = ROWS
    site.pages["/inner"] = framed(site.origin + "/rows", "zoom:.9", "scale:.8")
    site.pages["/outer"] = framed("/inner", "", "zoom:1.5")
    page = await open_page(framed(other + "/outer", "", "scale:1.2"), allowed=(other,))
    seen = await page.look(call("click", page.bid("Share")))
    assert (seen.last_action_error, "did Share" in seen.outline) == ("", True)
    x, y, width, height = seen.boxes[page.bid("Keep")]
    at_its_middle = call("mouse_click", x + width // 2, y + height // 2)
    assert "did Keep" in (await page.look(at_its_middle)).outline


async def test_the_parts_of_an_image_are_as_large_as_it_is_drawn(open_page) -> None:
    page = await open_page(
        """<style>body { margin: 0 } img { width: 100px; height: 60px; padding: 10px;
        transform: scale(2); transform-origin: 0 0 }</style><img usemap=#m alt=Map
        src="data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'/>">
        <map name=m><area coords=50,30,100,60 href="javascript:void o.append('right')" alt=Right>
        </map><p id=o>"""
    )
    assert list(page.first.boxes.values()) == [(120, 80, 100, 60)]
    assert "right" in (await page.look(call("click", "1"))).outline


@pytest.mark.parametrize("turn", ["rotate:9deg", "transform:skewX(9deg)", "transform:scaleX(-1)"])
@pytest.mark.parametrize("near", [True, False], ids=["same origin", "another origin"])
async def test_in_a_turned_frame_nothing_is_clicked_and_that_is_told(
    open_page, site, near, turn
) -> None:
    other = site.origin if near else site.other_origin()
    site.pages["/rows"] = ROWS
    page = await open_page(framed(other + "/rows", turn), allowed=(other,))
    share = page.bid("Share")
    seen = await page.look(call("click", share))
    assert "which is drawn turned: where in it a click would go" in seen.last_action_error
    assert "did" not in seen.outline
    seen = await page.look(call("press", share, "Enter"))
    assert (seen.last_action_error, "did Share" in seen.outline) == ("", True)


async def test_a_frame_is_turned_with_the_slot_that_shows_it(open_page, site) -> None:
    site.pages["/rows"] = ROWS
    page = await open_page(
        f"""<form><input name=assignedSlot><div id=host>{framed("/rows")}</div></form>
        <script>host.attachShadow({{mode: "open"}}).innerHTML =
          "<div style='scale:.5' id=way><slot></slot></div>"</script>"""
    )
    seen = await page.look(call("click", page.bid("Share")))
    assert (seen.last_action_error, "did Share" in seen.outline) == ("", True)
    await page.js("host.shadowRoot.querySelector('#way').style.rotate = '5deg'")
    seen = await page.look(call("click", page.bid("Keep")))
    assert "which is drawn turned" in seen.last_action_error
