"""Packing: training rows that begin alike share that beginning in one forward pass.

Rows of one group begin with the same prompt, and supervised rows of one page begin with that
page. Rows are merged into a tree of tokens: a shared beginning is stored once, every branch sees
its own ancestors only (a 4-D attention mask), and positions count along the branch. The hidden
state of each token is then exactly that of the unpacked row, so log-probabilities and gradients
are too, at a fraction of the tokens. Images are told apart by content, so a shared beginning may
hold some; what a micro-batch shows more than once is looked at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from webdojo.agents.engines.image_prompt import ImagePrompt, picture_keys
from webdojo.agents.engines.prefix_store import common_length
from webdojo.training.packed_batch import PackedBatch


@dataclass(frozen=True, slots=True)
class Row:
    """One training row: ``token_ids`` [tokens] and which of them are ``trained`` on [tokens]."""

    token_ids: tuple[int, ...]
    trained: tuple[bool, ...]
    images: ImagePrompt | None = None
    """The images among the tokens, if there are any."""

    def __post_init__(self) -> None:
        if len(self.token_ids) != len(self.trained):
            raise ValueError(
                f"a row has {len(self.token_ids)} token ids but {len(self.trained)} trained marks; "
                "give one mark a token"
            )
        if self.trained and self.trained[0]:
            raise ValueError(
                "the first token of a row is marked as trained, but nothing before it predicts it; "
                "put at least one prompt token in front"
            )

    @classmethod
    def of(
        cls,
        prompt_ids: Sequence[int],
        response_ids: Sequence[int],
        images: ImagePrompt | None = None,
    ) -> Row:
        """Make a row of a prompt, not trained on, and its response, trained on.

        ``images`` are those of the prompt.
        """
        return cls(
            (*prompt_ids, *response_ids),
            (False,) * len(prompt_ids) + (True,) * len(response_ids),
            images,
        )

    @property
    def input_ids(self) -> tuple[int, ...]:
        """The tokens a model must read: all that come before the last trained one."""
        last = max((t for t, trained in enumerate(self.trained) if trained), default=0)
        return self.token_ids[:last]

    @property
    def input_keys(self) -> tuple[int, ...]:
        """The same with images told apart: equal for inputs that mean the same."""
        ids = self.input_ids
        if self.images is None:
            return ids
        return (*self.images.keys, *ids[len(self.images.keys) :])[: len(ids)]


@dataclass(frozen=True, slots=True)
class Layout:
    """Which rows a packed batch holds and where they lie; its tensors are made by ``batch``.

    A dense mask takes as many bytes as its batch's length squared, so of the many batches of a
    step only the one that is computed need be there.
    """

    _rows: Sequence[Row]
    _first_tokens: Sequence[int]
    """Trained tokens before each row."""
    _bins: Sequence[Sequence[_Tree]]
    """The sequences, each of some trees one behind another."""

    @property
    def length(self) -> int:
        """Tokens of a sequence, padding included."""
        return max(sum(tree.length for tree in trees) for trees in self._bins)

    @property
    def input_tokens(self) -> int:
        """Tokens of the batch, padding included."""
        return len(self._bins) * self.length

    @property
    def tokens(self) -> int:
        """Number of trained tokens."""
        every = (i for trees in self._bins for tree in trees for i in tree.rows)
        return sum(sum(self._rows[i].trained) for i in every)

    def batch(self) -> PackedBatch:
        """The batch itself, made anew with each call."""
        return _assemble(self._rows, self._first_tokens, self._bins, self.length)


def lay_out(
    rows: Sequence[Row],
    *,
    max_tokens: int,
    sequence_tokens: int = 384,
    min_shared: int = 64,
    max_padding: float = 0.2,
) -> list[Layout]:
    """Lay out ``rows`` in batches of as few tokens as sharing allows.

    ``max_tokens``, or the longest row where that is more, bounds batch · length of each result,
    padding included. A packed sequence has at most ``sequence_tokens``, or twice its longest row
    where that is more: attention is dense, so its cost grows with the square of this. A common
    beginning is shared from ``min_shared`` tokens on. A sequence opens a batch row only if it
    fills all but ``max_padding`` of the batch's length; shorter ones go into the gaps that are
    left, or into a batch of shorter sequences.

    Rows without a trained token are left out. The result depends on nothing but the arguments.
    """
    inputs = {i: row.input_keys for i, row in enumerate(rows) if any(row.trained)}
    max_tokens = max(max_tokens, *map(len, inputs.values()), 1)
    trees = _grow(inputs, sequence_tokens, max_tokens, min_shared)
    trees.sort(key=lambda tree: -tree.length)
    counts = (sum(row.trained) for row in rows)
    first_tokens = list(accumulate(counts, initial=0))
    layouts = []
    while trees:
        bins, trees = _fill(trees, max_tokens, max_padding)
        layouts.append(Layout(rows, first_tokens, bins))
    return layouts


def pack(
    rows: Sequence[Row],
    *,
    max_tokens: int,
    sequence_tokens: int = 384,
    min_shared: int = 64,
    max_padding: float = 0.2,
) -> list[PackedBatch]:
    """The batches of ``lay_out``, all at once."""
    layouts = lay_out(
        rows,
        max_tokens=max_tokens,
        sequence_tokens=sequence_tokens,
        min_shared=min_shared,
        max_padding=max_padding,
    )
    return [layout.batch() for layout in layouts]


@dataclass(slots=True)
class _Tree:
    """Rows merged into one sequence.

    Of each row the first ``shared`` tokens are those of the row before it; what it adds stands
    behind everything that the rows before it have added.
    """

    rows: list[int]
    shared: list[int]
    length: int = 0

    def paths(self, rows: Sequence[Row]) -> Iterator[tuple[int, list[int], tuple[int, ...]]]:
        """Of each row its number, where in the sequence its tokens lie, and the keys it adds."""
        path: list[int] = []
        end = 0
        for i, shared in zip(self.rows, self.shared, strict=True):
            branch = rows[i].input_keys[shared:]
            path = [*path[:shared], *range(end, end + len(branch))]
            end += len(branch)
            yield i, path, branch


def _grow(
    inputs: dict[int, tuple[int, ...]], sequence_tokens: int, max_tokens: int, min_shared: int
) -> list[_Tree]:
    """Merge rows that begin alike, as long as a tree stays within its limit."""
    trees: list[_Tree] = []
    # In sorted order a row's longest common beginning with any earlier row is with the last one.
    order = sorted(inputs, key=inputs.__getitem__)
    for previous, current in pairwise([None, *order]):
        assert current is not None
        shared = 0 if previous is None else common_length(inputs[previous], inputs[current])
        length = len(inputs[current])
        # Short rows fill a sequence; of long ones that begin alike, a second one always fits.
        limit = min(max(sequence_tokens, 2 * length), max_tokens)
        if shared < max(min_shared, 1) or trees[-1].length + length - shared > limit:
            trees.append(_Tree([], []))
            shared = 0
        tree = trees[-1]
        tree.rows.append(current)
        tree.shared.append(shared)
        tree.length += length - shared
    return trees


def _fill(
    trees: list[_Tree], max_tokens: int, max_padding: float
) -> tuple[list[list[_Tree]], list[_Tree]]:
    """Place trees (longest first) in bins of the longest one's length; return also what is left."""
    length = trees[0].length
    bins: list[list[_Tree]] = []
    room: list[int] = []
    left: list[_Tree] = []
    for tree in trees:
        gap = next((i for i, space in enumerate(room) if space >= tree.length), None)
        if gap is not None:
            bins[gap].append(tree)
            room[gap] -= tree.length
        elif tree.length >= (1 - max_padding) * length and (len(bins) + 1) * length <= max_tokens:
            bins.append([tree])
            room.append(length - tree.length)
        else:
            left.append(tree)
    return bins, left


def _assemble(
    rows: Sequence[Row], first_tokens: Sequence[int], bins: Sequence[Sequence[_Tree]], length: int
) -> PackedBatch:
    """Write the bins into tensors; ``first_tokens`` counts trained tokens before each row."""
    input_ids = torch.zeros(len(bins), length, dtype=torch.long)
    position_ids = torch.zeros(len(bins), length, dtype=torch.long)
    seen = _Images(rows, [i for trees in bins for tree in trees for i in tree.rows])
    if seen.pictures:
        position_ids = position_ids.repeat(3, 1, 1)
    mask = torch.zeros(len(bins), length, length, dtype=torch.bool)
    # Padding sees itself: a query that sees nothing gives NaN.
    mask.diagonal(dim1=1, dim2=2).fill_(True)
    indices: list[int] = []
    predictors: list[int] = []
    targets: list[int] = []
    token_rows: list[int] = []
    token_indices: list[int] = []
    row_tokens = 0
    for b, trees in enumerate(bins):
        start = 0
        for tree in trees:
            offset = b * length + start
            for i, path, branch in tree.paths(rows):
                row = rows[i]
                place = [start + p for p in path]
                _write(place, branch, row.images, input_ids[b], position_ids[..., b, :], mask[b])
                seen.note([offset + p for p in path[len(path) - len(branch) :]], branch)
                indices.append(i)
                trained = [t for t, is_trained in enumerate(row.trained) if is_trained]
                predictors += [offset + path[t - 1] for t in trained]
                targets += [row.token_ids[t] for t in trained]
                token_rows += [i] * len(trained)
                token_indices += range(first_tokens[i], first_tokens[i] + len(trained))
                row_tokens += len(path)
            start += tree.length
    return PackedBatch(
        input_ids=input_ids,
        position_ids=position_ids,
        attention_mask=mask[:, None],
        rows=tuple(indices),
        predictors=torch.tensor(predictors),
        targets=torch.tensor(targets),
        token_rows=torch.tensor(token_rows),
        token_indices=torch.tensor(token_indices),
        row_tokens=row_tokens,
        pictures=tuple(seen.pictures),
        image_places=torch.tensor(seen.places, dtype=torch.long),
        image_sources=torch.tensor(seen.sources, dtype=torch.long),
    )


class _Images:
    """The different images of some rows, and where parts of them stand in a packed batch."""

    def __init__(self, rows: Sequence[Row], chosen: Sequence[int]) -> None:
        found = [rows[i].images for i in chosen]
        spans = (span for images in found if images is not None for span in images.spans)
        self.pictures = {picture: None for _, picture in spans}
        self.places: list[int] = []
        self.sources: list[int] = []
        self._source: dict[int, int] = {}
        for picture in self.pictures:
            for key in picture_keys(picture):
                self._source[key] = len(self._source)

    def note(self, places: Sequence[int], keys: Sequence[int]) -> None:
        """Note which of the ``keys`` at ``places`` of the flattened batch are images."""
        if self.pictures:
            for place, key in zip(places, keys, strict=True):
                if key < 0:
                    self.places.append(place)
                    self.sources.append(self._source[key])


def _write(
    path: Sequence[int],
    branch: Sequence[int],
    images: ImagePrompt | None,
    input_ids: Tensor,
    position_ids: Tensor,
    mask: Tensor,
) -> None:
    """Write what a row adds, the last of its ``path``, into the tensors of one sequence.

    ``images`` are those of the row, ``position_ids`` [length], or [3, length] with images.
    """
    if not branch:
        return
    depth = len(path) - len(branch)
    span = slice(path[depth], path[-1] + 1)
    # What stands for an image is overwritten by what the model sees of it.
    input_ids[span] = torch.tensor([max(key, 0) for key in branch])
    if images is None:
        position_ids[..., span] = torch.arange(depth, len(path))
    else:
        position_ids[..., span] = images.positions_from(depth, len(branch))
    if depth:
        mask[span] |= mask[path[depth - 1]]
    mask[span, span] = torch.ones(len(branch), len(branch), dtype=torch.bool).tril()
