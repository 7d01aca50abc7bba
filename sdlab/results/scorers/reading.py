"""Scores of pictures one by one: each once, and with the reason where there is none."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from ...errors import caller_level
from ...progress import watch_items
from ..frame import ERROR, OF, column_values

Score = Callable[[Image.Image], Mapping[str, Any]]


def score_pictures(
    frame: pd.DataFrame,
    name: str,
    score: Score,
    dtypes: dict[str, str],
    *,
    again: bool = False,
    progress: bool = False,
    reader: str = "",
) -> pd.DataFrame:
    """Scores every picture of a frame by itself, but for those whose scores the frame has.

    Parameters
    ----------
    frame : DataFrame
        With a column `path`.
    name : str
        The scorer's, with which its columns begin.
    score : callable
        Of an RGB picture; gives {column: value}.
    dtypes : dict of str to str
        The columns, and their nullable dtypes.
    again : bool
        Score those pictures, too, whose scores the frame has.
    progress : bool
        Show a bar.
    reader : str
        What reads the pictures, with its version, if that can change.

    Returns
    -------
    DataFrame
        With the frame's index and two further columns. `<name>_of`: eight hexadecimal digits of the
        picture's file and of `reader`, by which scores are known again. `<name>_error`: why a
        picture has missing values; a warning says of how many that is.
    """
    marks = mark_pictures(frame, reader)
    columns = dtypes | {name + OF: "string", name + ERROR: "string"}
    kept = [not again and own for own in find_kept(frame, name, dtypes, marks)]
    paths = column_values(frame, "path")
    rows: list[Mapping[str, Any]] = [{}] * len(frame)
    todo = [place for place, path in enumerate(paths) if path is not None and not kept[place]]
    for place in watch_items(todo, progress and bool(todo)):
        try:
            rows[place] = {**score(open_rgb(paths[place])), name + OF: marks[place]}
        except Exception as problem:  # of one picture; the others have their scores
            rows[place] = {name + ERROR: f"{type(problem).__name__}: {problem}"}
    scores = pd.DataFrame(rows, frame.index, columns=list(columns), dtype=object).astype(columns)
    warn_of_problems(scores[name + ERROR], paths)
    return keep_scores(scores, frame, kept)


def open_rgb(path: str) -> Image.Image:
    """Opens a picture as RGB."""
    with Image.open(path) as image:
        return image.convert("RGB")


def mark_pictures(frame: pd.DataFrame, reader: str) -> list[str | None]:
    """Makes eight hexadecimal digits of each picture's file; None where there is none to read."""
    return [mark_picture(path, reader) for path in column_values(frame, "path")]


def mark_picture(path: str | None, reader: str) -> str | None:
    """Makes eight hexadecimal digits of a file and of what reads it."""
    try:
        return path and f"{zlib.crc32(Path(path).read_bytes(), zlib.crc32(reader.encode())):08x}"
    except OSError:
        return None


def find_kept(
    frame: pd.DataFrame, name: str, columns: Iterable[str], marks: list[str | None]
) -> list[bool]:
    """Finds the rows whose scores are those of their pictures as they are now."""
    if not {*columns, name + OF} <= set(frame.columns):
        return [False] * len(frame)
    known = column_values(frame, name + OF)
    return [mark is not None and own == mark for own, mark in zip(known, marks)]


def keep_scores(scores: pd.DataFrame, frame: pd.DataFrame, kept: list[bool]) -> pd.DataFrame:
    """Puts the frame's own scores into the rows that keep them."""
    both = {}
    for name in scores.columns.intersection(frame.columns) if any(kept) else ():
        own = frame[name].astype(scores[name].dtype).array
        both[name] = scores[name].array.copy()
        both[name][kept] = own[kept]
    return scores.assign(**both)


def warn_of_problems(errors: pd.Series, paths: list[Any]) -> None:
    """Warns whoever called `measure` how many pictures have no scores, and why."""
    problems = [(path, error) for path, error in zip(paths, errors) if not pd.isna(error)]
    if problems:
        path, error = problems[0]
        warnings.warn(
            f"{len(problems)} of {len(errors)} pictures could not be measured; the first: {path}:"
            f" {error}",
            stacklevel=caller_level(),
        )
