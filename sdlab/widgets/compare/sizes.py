"""Pictures of unlike sizes in a blind vote: a size would tell whose picture it is."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from PIL import Image

from ...results.frame import UNREADABLE

Sizes = tuple[tuple[int, int], tuple[int, int]]  # (width, height) of both


def read_sizes(paths: Sequence[str]) -> Sizes | None:
    """Reads the sizes of both pictures from the heads of their files; None if one has none."""
    found = []
    for path in paths:
        try:
            with Image.open(path) as image:
                found.append(image.size)
        except UNREADABLE:
            return None
    return found[0], found[1]


def describe_sizes(rows: pd.DataFrame) -> str:
    """Says beforehand in how many pairs the sizes differ, and what of that can be seen."""
    sizes_of_all = [read_sizes(paths) for paths in zip(rows["left_path"], rows["right_path"])]
    found = [both for both in sizes_of_all if both]
    unlike = [both for both in found if both[0] != both[1]]
    if not unlike:
        return ""
    sizes = " against ".join(f"{width}×{height}" for width, height in sorted(unlike[0]))
    shapes = any(a * d != b * c for (a, b), (c, d) in unlike)
    told = "; their shapes differ, too, which cannot be hidden and may tell who is who"
    return (
        f"in {len(unlike)} of {len(found)} pairs the two sizes differ ({sizes}): while the vote is"
        f" blind, both are shown at the smaller one{told if shapes else ''}"
    )
