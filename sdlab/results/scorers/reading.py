"""Scores of pictures one by one: where there is no picture to read, the scores are missing."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
from PIL import Image

from ..frame import UNREADABLE, column_values


def score_pictures(
    frame: pd.DataFrame, score: Callable[[Image.Image], Mapping[str, Any]], dtypes: dict[str, str]
) -> pd.DataFrame:
    """Scores every picture of a frame by itself.

    Parameters
    ----------
    frame : DataFrame
        With a column `path`.
    score : callable
        Of an RGB picture; gives {column: value}.
    dtypes : dict of str to str
        The columns, and their nullable dtypes.

    Returns
    -------
    DataFrame
        With the frame's index; missing values where there is no picture, or none that can be read,
        of which a warning says how many there are.
    """
    rows: list[Mapping[str, Any]] = []
    problems = []
    for path in column_values(frame, "path"):
        try:
            rows.append(score(open_rgb(path)) if path is not None else {})
        except UNREADABLE as problem:
            rows.append({})
            problems.append(f"{path}: {problem}")
    if problems:
        warn_of_unreadable(problems, len(frame), stacklevel=5)
    scores = pd.DataFrame(rows, frame.index, columns=list(dtypes), dtype=object)
    return scores.astype(dtypes)


def open_rgb(path: str) -> Image.Image:
    """Opens a picture as RGB."""
    with Image.open(path) as image:
        return image.convert("RGB")


def warn_of_unreadable(problems: list[str], n: int, stacklevel: int) -> None:
    """Warns whoever called `measure` how many of `n` pictures could not be read."""
    warnings.warn(
        f"{len(problems)} of {n} pictures could not be read; the first: {problems[0]}",
        stacklevel=stacklevel,
    )
