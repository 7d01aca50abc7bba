"""Where in the picture each word acts: cross-attention, averaged over heads, layers and steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from ...errors import suggest
from ...render.trace import Moment, Size
from .strip import Strip

BEGIN, END = "[beginning]", "[end and padding]"
HEAT = (  # dark to light in one order of brightness, also without colours (matplotlib's "inferno")
    *((0, 0, 4), (40, 11, 84), (101, 21, 110), (159, 42, 99), (212, 72, 66)),
    *((245, 125, 21), (250, 193, 39), (252, 255, 164)),
)


@dataclass(frozen=True, eq=False)
class Attention:
    """Where in the picture each word acts, after arXiv 2210.04885.

    A place's attention is shared out among all that the text encoder gives: the mark of the
    beginning, the words, and the marks of the end with the padding, which carry the sense of the
    whole text and have most of it. These shares add up to 1. The tokens of a word are added up.

    Attributes
    ----------
    words : list of str
        The words of the prompt that are read; a repeated one is "a (2)".
    maps : dict
        {(height, width) of the layers: array (moments, groups, h, w)}, at most 32x32; the groups
        are the beginning, the words, the end.
    """

    words: list[str]
    maps: dict[Size, np.ndarray]
    moments: list[Moment]
    picture: Image.Image

    @property
    def groups(self) -> list[str]:
        """What attention is shared among: the words, and the marks before and after them."""
        return [BEGIN, *self.words, END]

    @property
    def frame(self) -> pd.DataFrame:
        """One row a moment and group.

        `first` and `last` step, `word`, `share` of all attention, `peak`: the share at its
        strongest place over the mean one, and `x`, `y`: the centre of its map in pixels.
        """
        rows = [
            self._describe(n, moment, word)
            for n, moment in enumerate(self.moments)
            for word in self.groups
        ]
        return pd.DataFrame(rows)

    def find_map(
        self, word: str | int, *, step: int | None = None, size: Size | None = None
    ) -> np.ndarray:
        """Finds where a word acts: the share of attention (h, w) that it gets at each place.

        Parameters
        ----------
        word : str or int
            One of `groups`, or its place there.
        step : int, optional
            The moment of this step, from 1; all steps are averaged if left out.
        size : (int, int), optional
            Layers of this height and width; all are averaged if left out, smaller ones enlarged.

        Raises
        ------
        ValueError
            There is no such word, step or size, or nothing in the network attends to a text.
        """
        self._require_maps(size)
        group, moments = self._find_group(word), self._find_moments(step)
        sizes = [size] if size else list(self.maps)
        found = [self.maps[each][moments, group].mean(0) for each in sizes]
        height, width = (max(side) for side in zip(*(each.shape for each in found)))
        return np.mean([enlarge(each, height, width) for each in found], axis=0)

    def draw(
        self,
        words: Sequence[str] | None = None,
        *,
        step: int | None = None,
        size: Size | None = None,
    ) -> Strip:
        """Draws where words act, over the picture; each map from its own least to its greatest."""
        pictures = [self.picture]
        captions = ["the picture"]
        for word in self.words if words is None else words:
            found = self.find_map(word, step=step, size=size)
            pictures.append(lay_over(self.picture, found))
            captions.append(f"{word}\n{found.mean():.3f}")
        when = "all steps" if step is None else f"step {step}"
        title = f"Where each word acts ({when}); below, its share of the attention"
        return Strip(pictures, captions, title)

    def _describe(self, n: int, moment: Moment, word: str) -> dict[str, Any]:
        found = self.find_map(word, step=moment.first + 1)
        weights = found / found.sum()
        rows, columns = ((np.arange(side) + 0.5) / side for side in found.shape)
        return {
            "first": moment.first + 1,
            "last": moment.last + 1,
            "word": word,
            "share": found.mean(),
            "peak": found.max() / found.mean(),
            "x": float(weights.sum(0) @ columns) * self.picture.width,
            "y": float(weights.sum(1) @ rows) * self.picture.height,
        }

    def _require_maps(self, size: Size | None) -> None:
        if not self.maps:
            raise ValueError(
                "nothing in this network attends to a text (it has no cross-attention), so no word"
                " has a place"
            )
        if size is not None and size not in self.maps:
            raise ValueError(f"size={size}: the layers have {', '.join(map(str, self.maps))}")

    def _find_group(self, word: str | int) -> int:
        if isinstance(word, int) and 0 <= word < len(self.groups):
            return word
        if word not in self.groups:
            known = ", ".join(map(repr, self.groups))
            hint = suggest(str(word), self.groups)
            raise ValueError(f"word={word!r} is not in the prompt{hint} there is {known}")
        return self.groups.index(str(word))

    def _find_moments(self, step: int | None) -> Any:
        if step is None:
            return slice(None)
        found = [
            n for n, moment in enumerate(self.moments) if moment.first < step <= moment.last + 1
        ]
        if not found:
            raise ValueError(f"step={step}: there are 1 to {self.moments[-1].last + 1}")
        return found


def enlarge(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Enlarges a map (h, w) by whole blocks where that fits, and else to the nearest."""
    rows, columns = (
        np.arange(side) * own // side for side, own in zip((height, width), values.shape)
    )
    return values[rows][:, columns]


def paint_heat(values: np.ndarray) -> Image.Image:
    """Paints a map (h, w), its least black and its greatest bright yellow."""
    scaled = (values - values.min()) / ((values.max() - values.min()) or 1)
    stops = np.linspace(0, 1, len(HEAT))
    levels = [np.interp(scaled, stops, channel) for channel in zip(*HEAT)]
    return Image.fromarray(np.stack(levels, -1).round().astype(np.uint8))


def lay_over(picture: Image.Image, values: np.ndarray) -> Image.Image:
    """Lays a map over a grey picture."""
    heat = paint_heat(values).resize(picture.size, Image.Resampling.BILINEAR)
    return Image.blend(picture.convert("L").convert("RGB"), heat, 0.6)
