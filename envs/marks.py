"""Set-of-marks screenshots: every element that can be acted on framed, and numbered with its bid.

The frames are those of the page as it was looked at for the text, so that a number means the same
element in both.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

from webdojo.envs.screenshots import ScreenshotSpec
from webdojo.tasks.view import Box

if TYPE_CHECKING:
    from PIL.Image import Image

COLOURS = ("#d81b60", "#1565c0", "#2e7d32", "#6a1b9a", "#bf360c", "#00695c")
"""Dark enough for white numbers on them; neighbours differ."""
FONT_PX = 10
COVERING = 0.9
"""An element that takes more of the picture than this is not framed: it is the picture."""


def draw_marks(png: bytes, boxes: Mapping[str, Box], spec: ScreenshotSpec) -> bytes:
    """The picture with frames and numbers, in the format that ``spec`` asks for.

    ``boxes`` gives x, y, width and height in pixels of the picture for each bid.
    """
    from PIL import Image, ImageDraw, ImageFont

    with Image.open(io.BytesIO(png)) as opened:
        image = opened.convert("RGB")
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=FONT_PX)
    for place, (bid, box) in enumerate(boxes.items()):
        frame = _inside(box, image.size)
        if frame is None:
            continue
        colour = COLOURS[place % len(COLOURS)]
        draw.rectangle(frame, outline=colour)
        left, top, right, bottom = draw.textbbox((0, 0), bid, font=font)
        width, height = right - left + 2, bottom - top + 2
        # Above the frame where there is room, so that the number hides none of what it numbers.
        x = min(frame[0], image.width - width)
        y = frame[1] - height if frame[1] >= height else frame[1]
        draw.rectangle((x, y, x + width, y + height), fill=colour)
        draw.text((x + 1 - left, y + 1 - top), bid, fill="white", font=font)
    return _encoded(image, spec)


def _inside(box: Box, size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """Left, top, right and bottom of what is in the picture; None if too little or too much is."""
    x, y, width, height = box
    left, top = max(0, x), max(0, y)
    right, bottom = min(size[0], x + width) - 1, min(size[1], y + height) - 1
    if right <= left or bottom <= top:
        return None
    if (right - left) * (bottom - top) > COVERING * size[0] * size[1]:
        return None
    return left, top, right, bottom


def _encoded(image: Image, spec: ScreenshotSpec) -> bytes:
    out = io.BytesIO()
    options = {} if spec.image_format == "png" else {"quality": spec.quality}
    image.save(out, spec.image_format.upper(), **options)
    return out.getvalue()
