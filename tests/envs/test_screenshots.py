import io

import pytest
from PIL import Image

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
