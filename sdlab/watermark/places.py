"""What happened to a picture since it was marked, and where the blocks of a mark lie in it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from .payloads import Payload
from .statistics import Folds, fold_grids, is_text, measure_bits, weigh_folds


@dataclass(frozen=True)
class Geometry:
    """What happened to a picture after it was marked.

    Attributes
    ----------
    mirrored, swapped : bool
        Left and right; red and blue.
    swapped_by : str
        Who writes the mark with red and blue swapped; then that was done before, and not since.
    cut : (left, top), optional
        Pixels that were cut off there, by the likeliest explanation: within a few pixels, and
        others may fit as well.
    row : int, optional
        Width of the picture before it was cut, in pixels.
    page : (left, top, width), optional
        Where the marked picture begins in this one and how wide it is, if it is likelier to stand
        whole on a larger page than to be cut: a mark's place is known only up to its period.
    size : (width, height), optional
        Before it was resized, and after it was cut.
    turned : {0, 90, 180, 270}
        Degrees, to the left.
    inverted : bool
        Whether it is a negative.
    """

    mirrored: bool = False
    swapped: bool = False
    swapped_by: str = ""
    cut: tuple[int, int] | None = None
    row: int | None = None
    size: tuple[int, int] | None = None
    turned: int = 0
    inverted: bool = False
    page: tuple[int, int, int] | None = None

    def __str__(self) -> str:
        order = f"in the channel order of {self.swapped_by}"
        words = ["mirrored"] * self.mirrored + ["inverted"] * self.inverted
        words += [f"turned by {self.turned} degrees"] if self.turned else []
        words += [order if self.swapped_by else "red and blue swapped"] * self.swapped
        row = f" from rows of {self.row}" if self.row else ""
        cut = [f"as if cut by {self.cut[0]}, {self.cut[1]}{row}"] if self.cut else []
        if self.page:
            left, top, width = self.page
            cut = [f"{width} wide at {left}, {top} of a page", *(f"or {each}" for each in cut)]
        words += cut
        words += [f"resized from {self.size[0]}x{self.size[1]}"] if self.size else []
        return ", ".join(words) or "as is"

    def undo_moves(self, image: np.ndarray) -> np.ndarray:
        """Turn and mirror a picture (H, W, 3) back, and invert it once more."""
        image = np.rot90(image, -self.turned // 90) if self.turned else image
        image = image[:, ::-1] if self.mirrored else image
        return 255 - image if self.inverted else image

    @property
    def is_plain(self) -> bool:
        """Whether nothing happened to the picture."""
        plain = replace(self, swapped=False, swapped_by="") == AS_IS
        return plain and (bool(self.swapped_by) or not self.swapped)


AS_IS = Geometry()


@dataclass(frozen=True, eq=False)
class Blocks:
    """The scores of a picture's blocks, and which bit each of them carries.

    Attributes
    ----------
    scores : array (rows, columns)
    stride, phase : int
        Block (row, column) carries bit (stride * row + column - phase) mod n_bits.
    """

    scores: np.ndarray
    stride: int
    phase: int
    _kept: dict[tuple[int, bool], Folds] = field(default_factory=dict)
    _read: dict[int, np.ndarray] = field(default_factory=dict)

    def weigh(self, payload: Payload) -> float:
        """Compute log10 p of a payload; 0 if it has more bits than there are blocks."""
        n_bits, text = len(payload), is_text(payload)
        if self.scores.size < n_bits:
            return 0.0
        if (n_bits, text) not in self._kept:
            grid = np.asarray(self.scores, float)
            self._kept[n_bits, text] = fold_grids(grid, n_bits, (self.stride % n_bits,), text)
        return weigh_folds(self._kept[n_bits, text], payload, self.phase)

    def read(self, n_bits: int) -> np.ndarray:
        """Read the bits, bool (n_bits,)."""
        if n_bits not in self._read:
            self._read[n_bits] = self.measure(n_bits) > 0
        return self._read[n_bits]

    def measure(self, n_bits: int) -> np.ndarray:
        """Measure how clearly each bit is 1, or 0 where that is negative, (n_bits,)."""
        return measure_bits(self.scores, n_bits, self.stride, self.phase)

    def without(self, other: Blocks, n_bits: int) -> Blocks:
        """Take off what a mark of n_bits bits, placed as in `other`, explains of the scores."""
        rows, columns = np.indices(self.scores.shape)
        index = (other.stride * rows + columns - other.phase) % n_bits
        total = np.bincount(index.ravel(), self.scores.ravel(), n_bits)
        mean = total / np.maximum(np.bincount(index.ravel(), minlength=n_bits), 1)
        return Blocks(self.scores - mean[index], self.stride, self.phase)

    def halve(self) -> tuple[Blocks, Blocks]:
        """Split them into the upper and the lower half."""
        half = len(self.scores) // 2
        lower = Blocks(self.scores[half:], self.stride, self.phase - self.stride * half)
        return Blocks(self.scores[:half], self.stride, self.phase), lower


@dataclass(frozen=True)
class Place:
    """The best place of one payload in one search.

    Attributes
    ----------
    log10_p : float
        At most 0; `with_share` divides it by a share of the error.
    geometry : Geometry
    agreement : float
        Share of the payload's bits that the scores read right there; NaN if it has more bits than
        there are blocks.
    tests : int
        Places that were tried.
    blocks : Blocks or None
        What the payload is read from there.
    """

    log10_p: float
    geometry: Geometry
    agreement: float
    tests: int = 1
    blocks: Blocks | None = field(default=None, repr=False)

    def with_share(self, share: float) -> Place:
        return replace(self, log10_p=min(0.0, self.log10_p - math.log10(share)))
