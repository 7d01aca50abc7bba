"""Columns of a frame as numbers, prompt by prompt."""

from __future__ import annotations

import functools
import math
import numbers
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ...recipe.request import FIELDS
from ...store.columns import COLUMNS, ELSEWHERE
from ..frame import column_values, count_noun, row_tuples
from ..meanings import explain_column


def split_frame(
    frame: pd.DataFrame, by: str | Sequence[str], *columns: str
) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """Yields ({column of `by`: its value}, the rows that have it), in order of first appearance."""
    require_frame(frame)
    names = [by] if isinstance(by, str) else list(by)
    for name in (*names, *columns):
        if name not in frame.columns:
            raise ValueError(explain_column(name, frame.columns))
        if [*frame.columns].count(name) > 1:
            raise ValueError(
                f"the frame has several columns {name!r}; keep one, as"
                " frame.loc[:, ~frame.columns.duplicated()] does"
            )
    if not names:
        yield {}, frame
        return
    for values, part in frame.groupby(names, sort=False, dropna=False):
        yield dict(zip(names, values)), part


def require_frame(frame: Any) -> None:
    """Raises unless this is a frame."""
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(f"statistics take a frame, such as run() gives, not {type(frame).__name__}")


def require_confidence(confidence: float) -> None:
    """Raises unless this is a share that intervals can have."""
    if not isinstance(confidence, numbers.Real) or not 0 < confidence < 1:
        raise ValueError(
            f"confidence={confidence!r:.40}: give a share between 0 and 1, such as 0.95"
        )


def require_numbers(frame: pd.DataFrame, column: str) -> None:
    """Raises unless a column has yes and no, or finite numbers."""
    odd = next((v for v in frame[column].dropna().tolist() if not is_number(v)), None)
    if odd is not None:
        kind = "the text " if isinstance(odd, str) else ""
        raise ValueError(
            f"{column} has {kind}{odd!r:.40}: statistics need True and False, or numbers; make a"
            f" column of that, such as frame.assign(good=frame[{column!r}] == {odd!r:.40})"
        )


def is_number(value: Any) -> bool:
    """Tells whether statistics can count with this: yes, no, or a finite number."""
    real = isinstance(value, (bool, np.bool_, numbers.Real)) and not isinstance(
        value, np.timedelta64
    )
    return real and math.isfinite(value)


def require_single(frame: pd.DataFrame, column: str) -> None:
    """Raises if a picture has several values, and nothing beside them that was done with it.

    Where its file lies, and on what it was rendered, makes no other picture of it.
    """
    known = frame[frame[column].notna() & frame["key"].notna()] if "key" in frame.columns else None
    if known is None or not (again := known["key"].duplicated(keep=False)).any():
        return
    told = [name for name in frame.columns if name not in (*COLUMNS, *ELSEWHERE, column)]
    rows = row_tuples(known[again], ["key", *told])
    if twice := len(rows) - len(set(rows)):
        raise ValueError(
            f"{count_noun(twice, 'row')} of the frame stand there again, and would count again;"
            " frame.drop_duplicates('key') keeps one of each, and by= counts apart what differs"
        )


def read_hits(
    frame: pd.DataFrame, column: str, prompt: str | None
) -> tuple[np.ndarray, np.ndarray, int]:
    """Reads (0.0 or 1.0 of each row that has a value, the number of its prompt, how many lack).

    A picture about which several raters were asked counts once, with its share over those who said
    something, each with their own share.
    """
    require_numbers(frame, column)
    require_single(frame, column)
    require_binary(frame[column].dropna().to_numpy(float), column)
    pictures = merge_raters(frame, column)
    known = pictures[pictures[column].notna()]
    texts = read_sample(known, prompt)
    texts = pd.Series(range(len(known))) if texts is None else texts
    clusters = pd.factorize(texts, use_na_sentinel=False)[0]
    return known[column].to_numpy(float), clusters, len(pictures) - len(known)


def merge_raters(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """Keeps one row of each picture, or pair, that several raters were asked about one thing.

    It has their share of yes. A frame of one rater, or of none, stays as it is.
    """
    if "rater" not in frame.columns or len(set(column_values(frame, "rater"))) < 2:
        return frame
    asked = column_values(frame, "question") if "question" in frame.columns else [None] * len(frame)
    shown = [(*each, about) for each, about in zip(name_shown(frame), asked)]
    units = pd.factorize(pd.Series(shown, dtype=object))[0]
    if units.max() + 1 == len(frame):
        return frame
    own = pd.DataFrame({"unit": units, "rater": column_values(frame, "rater")})
    own["said"] = frame[column].to_numpy(float, na_value=math.nan)
    each = own.groupby(["unit", "rater"], dropna=False)["said"].mean()
    first = frame.iloc[np.unique(units, return_index=True)[1]]
    return first.assign(**{column: each.groupby("unit").mean().to_numpy()})


def name_shown(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    """Names what each row is about: its picture, its two pictures in any order, else itself."""
    names = [name for name in ("key", "left", "right") if name in frame.columns]
    rows = row_tuples(frame, names) if names else [()] * len(frame)
    known = [sorted(str(value) for value in row if value is not None) for row in rows]
    return [tuple(row) if row else (n,) for n, row in enumerate(known)]


def require_binary(values: np.ndarray, column: str) -> None:
    """Raises unless all values are yes or no."""
    if not is_binary(values):
        odd = next(value for value in values if value not in (0, 1))
        raise ValueError(
            f"{column} has {odd:g}: a share needs yes or no; make a column of that, such as"
            f" frame.assign(good=frame[{column!r}] >= {odd:g})"
        )


def is_binary(values: np.ndarray) -> bool:
    """Tells whether there is nothing but 0 and 1."""
    return bool(np.isin(values, (0, 1)).all())


def read_tries(
    frame: pd.DataFrame, column: str, prompt: str | None
) -> tuple[list[np.ndarray], np.ndarray]:
    """Reads (the values of each request's pictures, the number of the prompt that it is of).

    Pictures of one request differ in the seed alone. Rows without a value are left out.
    """
    require_numbers(frame, column)
    require_single(frame, column)
    known = frame[frame[column].notna()]
    texts = read_sample(known, prompt)
    if texts is None:
        return [known[column].to_numpy(float)], np.zeros(1, int)
    values, clusters = known[column].to_numpy(float), pd.factorize(texts, use_na_sentinel=False)[0]
    asked = [name for name in (*FIELDS, "arm") if name != "seed" and name in known.columns]
    requests = pd.factorize(pd.Series([*zip(clusters, row_tuples(known, asked))], dtype=object))[0]
    first = np.unique(requests, return_index=True)[1]
    return [values[requests == own] for own in range(len(first))], clusters[first]


def read_sample(frame: pd.DataFrame, prompt: str | None) -> pd.Series | None:
    """Reads what the sample is of: the wording that arms of a probe share, else the prompt.

    A negative prompt makes no other one of it: it is a setting, as `guidance_scale` is.
    """
    names = [prompt] if prompt else ["wording", "prompt"]
    known = [frame[name].astype(object) for name in names if name in frame.columns]
    return functools.reduce(pd.Series.combine_first, known) if known else None
