"""Screenshots on their way to a model: kept once, counted in tokens, made into pixels once."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from webdojo.envs.screenshots import ScreenshotStore

CACHE_BYTES = 1 << 30
"""Pixel tensors that are kept, by default."""
KEPT_GRIDS = 10_000
"""Images whose size in patches is remembered, and that they can be decoded."""


class MissingPictureError(LookupError):
    """A screenshot that is referred to is not in the store, or is damaged."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A screenshot as a model takes it: its reference, and how many patches and tokens it makes."""

    reference: str
    grid: tuple[int, int, int]
    """Patches in time, down and across."""
    tokens: int


class Pictures:
    """The screenshots of a store as one model's processor sees them.

    An image is kept once however often it is shown, under the hash of its content; whoever puts or
    holds one releases it again, and with the last release its file goes. Pixels are computed once
    an image and kept, least recently used out first, up to ``cache_bytes``. To be used from any
    thread.

    ``processor`` is an image processor of Qwen-VL's kind, on PIL.
    """

    def __init__(
        self, store: ScreenshotStore, processor: Any, *, cache_bytes: int = CACHE_BYTES
    ) -> None:
        self.store = store
        self._processor = processor
        self._lock = threading.RLock()
        # Guarded by _lock.
        self._held: Counter[str] = Counter()
        self._known: OrderedDict[str, Picture] = OrderedDict()
        self._decoded: OrderedDict[str, None] = OrderedDict()
        self._pixels: OrderedDict[str, Tensor] = OrderedDict()
        self._loaded: dict[str, bytes] = {}
        self._room = cache_bytes
        self._cached_bytes = 0
        self.computed = 0
        """Pixel tensors computed so far."""

    # The store -----------------------------------------------------------------------------------

    def keep(self, image: bytes) -> Picture:
        """Put an encoded image into the store, and hold it; MissingPictureError if it is none."""
        # What another thread lets go of meanwhile must not be what was just found there.
        with self._lock:
            reference = self.store.put(image)
            picture = self._known.get(reference) or self._learn(reference, image)
            self._held[reference] += 1
            return picture

    def hold(self, references: Iterable[str]) -> None:
        """Hold images that are in the store, once for each time they are named."""
        with self._lock:
            self._held.update(references)

    def release(self, references: Iterable[str]) -> None:
        """Let go of images; what nobody holds any more is deleted."""
        with self._lock:
            for reference in references:
                self._held[reference] -= 1
                if self._held[reference] <= 0:
                    del self._held[reference]
                    self._known.pop(reference, None)
                    self._decoded.pop(reference, None)
                    self._drop(reference)
                    (self.store.folder / reference).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Delete what is in the store and held by nobody, as a run that was killed leaves it."""
        with self._lock:
            for path in self.store.folder.iterdir():
                if path.name not in self._held:
                    path.unlink(missing_ok=True)

    @property
    def held(self) -> int:
        """Images held now."""
        return len(self._held)

    @property
    def cached_bytes(self) -> int:
        """Size of the pixel tensors kept now."""
        return self._cached_bytes

    # For a model ---------------------------------------------------------------------------------

    def find(self, references: Sequence[str]) -> tuple[Picture, ...]:
        """Images by reference; MissingPictureError names the first that is not there."""
        return tuple(self._find(reference) for reference in references)

    def load(self, references: Iterable[str]) -> set[str]:
        """Read images into memory, encoded, in place of those loaded before.

        Until ``forget`` they are found there whatever becomes of their files. Gives those of the
        references that are not in the store, damaged, or no image. An image is decoded the first
        time that it is loaded, and its file read each time.
        """
        with self._lock:
            self._loaded = {}
        loaded: dict[str, bytes] = {}
        missing = set()
        for reference in set(references):
            try:
                loaded[reference] = self._check(reference)
            except MissingPictureError:
                missing.add(reference)
        with self._lock:
            self._loaded = loaded
        return missing

    def pixels(self, picture: Picture) -> Tensor:
        """What the vision tower reads of an image, float32 [patches, values].

        It is resized here, so that every engine and the learner read the same pixels whatever
        their processors would resize with. Raises MissingPictureError.
        """
        with self._lock:
            found = self._pixels.get(picture.reference)
            if found is not None:
                self._pixels.move_to_end(picture.reference)
                return found
        pixels: Tensor = self._processor(
            [self.resized(picture)], do_resize=False, return_tensors="pt"
        )["pixel_values"]
        with self._lock:
            self.computed += 1
            if picture.reference not in self._pixels:
                self._pixels[picture.reference] = pixels
                self._cached_bytes += pixels.nbytes
            while self._cached_bytes > self._room and len(self._pixels) > 1:
                self._drop(next(iter(self._pixels)))
        return pixels

    def resized(self, picture: Picture) -> Any:
        """The PIL image in the size that the model takes; raises MissingPictureError."""
        from PIL import Image

        _, down, across = picture.grid
        patch = int(self._processor.patch_size)
        image = self._decode(picture.reference, self._read(picture.reference))
        return image.resize((across * patch, down * patch), Image.Resampling.BICUBIC)

    def forget(self) -> None:
        """Free all pixel tensors, and the images that were loaded."""
        with self._lock:
            self._loaded = {}
            self._pixels.clear()
            self._cached_bytes = 0

    # ---------------------------------------------------------------------------------------------

    def _find(self, reference: str) -> Picture:
        with self._lock:
            known = self._known.get(reference)
        if known is not None:
            return known
        image = self._read(reference)
        with self._lock:
            return self._learn(reference, image)

    def _check(self, reference: str) -> bytes:
        """The encoded image; raises MissingPictureError if it cannot be had as it was put."""
        image = self._read(reference)
        with self._lock:
            if reference not in self._known:
                self._learn(reference, image)
            decoded = reference in self._decoded
        if not decoded:
            self._decode(reference, image)
        return image

    def _read(self, reference: str) -> bytes:
        with self._lock:
            image = self._loaded.get(reference)
        if image is not None:
            return image
        with suppress(ValueError, OSError):  # no reference at all, or unreadable
            image = self.store.get(reference)
        if image is None:
            raise MissingPictureError(
                f"screenshot {reference!r} is not in {self.store.folder}; an episode that refers to"
                " it cannot be read any more"
            )
        if not sha256(image).hexdigest().startswith(reference):
            raise MissingPictureError(
                f"screenshot {reference!r} in {self.store.folder} is damaged: its content is not"
                " what its name says; an episode that refers to it cannot be read any more"
            )
        return image

    def _decode(self, reference: str, image: bytes) -> Any:
        from PIL import Image

        with _is_an_image(reference), Image.open(BytesIO(image)) as opened:
            decoded = opened.convert("RGB")
        with self._lock:
            self._decoded[reference] = None
            while len(self._decoded) > KEPT_GRIDS:
                self._decoded.popitem(last=False)
        return decoded

    def _learn(self, reference: str, image: bytes) -> Picture:
        """Find out how many patches an image makes, from its size alone."""
        from PIL import Image
        from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

        patch, merge = int(self._processor.patch_size), int(self._processor.merge_size)
        size = self._processor.size
        with _is_an_image(reference):
            with Image.open(BytesIO(image)) as opened:
                width, height = opened.size
            down, across = smart_resize(
                height, width, patch * merge, int(size["shortest_edge"]), int(size["longest_edge"])
            )
        grid = (1, down // patch, across // patch)
        picture = Picture(reference, grid, grid[1] * grid[2] // merge**2)
        self._known[reference] = picture
        while len(self._known) > KEPT_GRIDS:
            self._known.popitem(last=False)
        return picture

    def _drop(self, reference: str) -> None:
        gone = self._pixels.pop(reference, None)
        if gone is not None:
            self._cached_bytes -= gone.nbytes


@contextmanager
def _is_an_image(reference: str) -> Iterator[None]:
    """Say as MissingPictureError what PIL raises for images that are broken, strange or huge."""
    from PIL import Image

    try:
        yield
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise MissingPictureError(f"screenshot {reference!r} is no image: {error}") from None
