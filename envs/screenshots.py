"""Screenshots: kept once under the hash of their content, carried as references."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class ScreenshotSpec:
    """How a screenshot is taken: the size is the viewport's, one image pixel a CSS pixel."""

    image_format: Literal["jpeg", "webp", "png"] = "jpeg"
    quality: int = 80
    marks: bool = False
    """Whether every element that can be acted on is framed and numbered with its bid."""


class ScreenshotStore:
    """Images in a folder, one file an image, named by the SHA-256 of its bytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.bytes_written = 0

    def put(self, image: bytes) -> str:
        """Keep an image; returns its reference.

        The same bytes are kept once; a file that is damaged is written anew.
        """
        reference = hashlib.sha256(image).hexdigest()[:32]
        path = self._path(reference)
        if not path.is_file() or path.read_bytes() != image:
            partial = path.with_suffix(".partial")
            partial.write_bytes(image)
            partial.replace(path)
            self.bytes_written += len(image)
        return reference

    def get(self, reference: str) -> bytes | None:
        """The image, or None if it is not there."""
        path = self._path(reference)
        return path.read_bytes() if path.is_file() else None

    def _path(self, reference: str) -> Path:
        if not reference.isalnum():
            raise ValueError(f"{reference!r} is not a screenshot reference")
        return self.folder / reference
