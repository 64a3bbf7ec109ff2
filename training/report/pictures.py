"""Pictures of a film: cut to what its pages use, and packed small."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

from PIL import Image, ImageChops

SMALLEST = 0.2
"""Share of the width or height below which nothing is cut: there is too little to be sure of."""
NOISE = 12
"""Difference of a channel, of 255, that is not seen as content."""
QUALITY = 90


def pack(pictures: Sequence[bytes]) -> tuple[list[bytes], tuple[int, int]]:
    """Pictures of one size, all cut alike at the right and at the bottom, as WebP; their size.

    What is cut is of one colour in all of them. Places keep their coordinates.
    """
    images = [Image.open(BytesIO(picture)).convert("RGB") for picture in pictures]
    if not images:
        return [], (0, 0)
    width, height = images[0].size
    ends = [_content(image) for image in images if image.size == (width, height)]
    right = _end(max(x for x, _ in ends), width)
    bottom = _end(max(y for _, y in ends), height)
    return [_webp(image.crop((0, 0, right, bottom))) for image in images], (right, bottom)


def _content(image: Image.Image) -> tuple[int, int]:
    """Where what differs from the picture's lower right corner ends: right, bottom."""
    corner = image.getpixel((image.width - 1, image.height - 1))
    assert isinstance(corner, tuple)
    plain = Image.new("RGB", image.size, tuple(map(int, corner)))
    bands = ImageChops.difference(image, plain).split()
    strongest = ImageChops.lighter(ImageChops.lighter(bands[0], bands[1]), bands[2])
    box = strongest.point([0 if level <= NOISE else 255 for level in range(256)]).getbbox()
    return (box[2], box[3]) if box else (image.width, image.height)


def _end(content: int, whole: int) -> int:
    return whole if content < SMALLEST * whole else content


def _webp(image: Image.Image) -> bytes:
    out = BytesIO()
    image.save(out, "WEBP", quality=QUALITY, method=4)
    return out.getvalue()
