"""How many different pictures the seeds of one recipe give."""

from __future__ import annotations

import numpy as np
import pandas as pd
from PIL import Image

from ...recipe.request import FIELDS
from ..frame import column_values, find_label_columns, row_tuples
from .reading import score_pictures

SIDE, CELLS, ANGLES = 64, 8, 8


def score_diversity(frame: pd.DataFrame, *, progress: bool = False) -> pd.DataFrame:
    """Counts how many different pictures each recipe gives over its seeds: the Vendi score.

    It is 1 if all are alike and n if n pictures have nothing in common; between groups of unlike n
    it does not compare. Which differences count is the kernel's choice: two pictures are as alike
    as the mean of two cosines, that of their colours (8x8 patches, less a middle grey) and that of
    their edges (in each of 8x8 patches of the grey picture how much of eight directions there is,
    less the mean of the eight), both at 64x64 pixels. A picture is wholly like itself; another
    place, colour or outline makes one unlike, other things of the same place, colour and outline do
    not. Mirrored pictures are unlike. All flat pictures have the same edges, none.

    Returns
    -------
    DataFrame
        On each row of a recipe: `diversity_vendi`, 1 to `diversity_n`, and `diversity_n`, the
        number of its pictures. Missing where there are fewer than two, or none to read.

    References
    ----------
    D. Friedman and A. B. Dieng, "The Vendi score", TMLR 2023, arXiv 2210.02410.
    """
    features: list[np.ndarray] = []

    def remember(image: Image.Image) -> dict[str, int]:
        features.append(describe_picture(image))
        return {"diversity_place": len(features) - 1}

    places = score_pictures(
        frame, "diversity", remember, {"diversity_place": "Int64"}, again=True, progress=progress
    )
    groups = row_tuples(frame, [n for n in FIELDS if n != "seed"] + find_label_columns(frame))
    rows: dict[tuple, list[int]] = {}
    for group, place in zip(groups, column_values(places, "diversity_place")):
        if place is not None:
            rows.setdefault(group, []).append(place)
    scores = {
        group: (count_different([features[n] for n in found]), len(found))
        for group, found in rows.items()
        if len(found) > 1
    }
    values = [
        scores.get(group, (None, None)) if error is None else (None, None)
        for group, error in zip(groups, column_values(places, "diversity_error"))
    ]
    names = {"diversity_vendi": "Float64", "diversity_n": "Int64"}
    out = pd.DataFrame(values, frame.index, columns=list(names), dtype=object).astype(names)
    return out.assign(diversity_error=places["diversity_error"])


def describe_picture(image: Image.Image) -> np.ndarray:
    """Describes a picture by its colours and its edges: (2, 512), each row of length 1."""
    small = image.resize((SIDE, SIDE), Image.Resampling.BOX)
    levels = np.asarray(small, float) / 127.5 - 1  # (64, 64, 3), a middle grey is 0
    patch = SIDE // CELLS
    colours = levels.reshape(CELLS, patch, CELLS, patch, 3).mean((1, 3))
    down, across = np.gradient(levels.mean(2))
    angle = np.floor(np.arctan2(down, across) % np.pi / np.pi * ANGLES).astype(int) % ANGLES
    strength = np.hypot(down, across)[..., None] * np.eye(ANGLES)[angle]  # (64, 64, 8)
    edges = strength.reshape(CELLS, patch, CELLS, patch, ANGLES).sum((1, 3))
    edges -= edges.mean(-1, keepdims=True)
    return np.stack([to_unit(colours), to_unit(edges)])


def to_unit(values: np.ndarray) -> np.ndarray:
    """Brings a vector to length 1, in 513 numbers; nothing at all is a direction of its own."""
    flat = np.zeros(CELLS * CELLS * ANGLES + 1)
    length = np.linalg.norm(values)
    if length < 1e-9:
        flat[-1] = 1
    else:
        flat[: values.size] = values.ravel() / length
    return flat


def count_different(features: list[np.ndarray]) -> float:
    """Computes the exponential of the entropy of the kernel's eigenvalues."""
    stack = np.stack(features)  # (n, 2, 513)
    kernel = np.einsum("ikd,jkd->ij", stack, stack) / 2
    parts = np.linalg.eigvalsh(kernel / len(features)).clip(0)
    parts = parts[parts > 0]
    return float(np.exp(-(parts * np.log(parts)).sum()))
