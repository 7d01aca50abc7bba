"""How far the pictures of a probe's arms are from the first arm's, same seed and all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ...recipe.request import FIELDS, PROMPTS
from ..frame import column_values, find_label_columns, row_tuples
from .reading import open_rgb

ARM = "arm"
DTYPES = {"distance_same": "boolean", "distance_levels": "Float64", "distance_error": "string"}


def score_distance(frame: pd.DataFrame) -> pd.DataFrame:
    """Compares each picture with that of the first arm of its wording, all else being equal.

    What the words change is thereby told apart from what the seed does. It needs the columns
    `wording` and `arm` that `probe` gives the frame of a probe with arms.

    Returns
    -------
    DataFrame
        `distance_same`: whether all pixels are equal. `distance_levels`: the mean difference of
        their values, 0 to 255. Missing on the first arm itself, and where it has no picture.
        `distance_error`: why two pictures could not be compared.

    Raises
    ------
    ValueError
        If the frame has no such columns.
    """
    labels = find_label_columns(frame)
    if missing := [name for name in (ARM, "wording") if name not in labels]:
        raise ValueError(
            f"the frame has no column {missing[0]!r}, so there is nothing to compare with; it comes"
            " from run(probe(name)) of a probe with arms, such as 'tiny-capitals'"
        )
    same = [name for name in (*FIELDS, *labels) if name not in (*PROMPTS, ARM)]
    paths, arms = column_values(frame, "path"), column_values(frame, ARM)
    first: dict[tuple, tuple[Any, Any]] = {}
    rows = []
    for group, arm, path in zip(row_tuples(frame, same), arms, paths):
        own, origin = first.setdefault(group, (arm, path))
        known = arm != own and None not in (arm, path, origin)
        rows.append(compare_files(origin, path) if known else {})
    return pd.DataFrame(rows, frame.index, columns=list(DTYPES), dtype=object).astype(DTYPES)


def compare_files(one: str, other: str) -> dict[str, Any]:
    """Compares two pictures."""
    try:
        left, right = (np.asarray(open_rgb(path), float) for path in (one, other))
        if left.shape != right.shape:
            raise ValueError(f"they have other sizes: {left.shape[:2]} and {right.shape[:2]}")
    except Exception as problem:
        return {"distance_error": f"{type(problem).__name__}: {problem}"}
    levels = float(np.abs(right - left).mean())
    return {"distance_same": levels == 0, "distance_levels": levels}
