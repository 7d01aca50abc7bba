"""Measurements of finished pictures as further columns of a frame."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any

import pandas as pd

from ...errors import suggest
from ...store.columns import COLUMNS
from ..frame import require_paths
from ..probes import list_asked
from ..probes.table import NO_SCORER
from .distance import score_distance
from .diversity import score_diversity
from .lettering import score_lettering
from .listing import Scorers
from .objects import score_objects
from .pixels import score_pixels
from .signs import score_signs
from .tokens import score_tokens
from .watermark import score_watermark


def measure(
    frame: pd.DataFrame, *names: str, again: bool = False, progress: bool = True
) -> pd.DataFrame:
    """Copies the frame, with the columns of some scorers after its own.

    Parameters
    ----------
    frame : DataFrame
        As `run` or `Store.frame` gives it; rows without a `path` (cells that failed) get missing
        values.
    *names : str
        Scorers in `SCORERS`, which shows what their columns mean; those of the frame's probes if
        none is named. Your own is any function
        of a frame that returns a DataFrame, a Series or a mapping from names to values, one for
        each row: `SCORERS["redness"] = redness`.
    again : bool
        Score those pictures, too, whose scores the frame has. Otherwise they are kept as long as
        the picture's file is what it was. A scorer of your own is always called; it is told if it
        has a parameter of that name.
    progress : bool
        Show a bar, where a scorer has one.

    Returns
    -------
    DataFrame
        Columns that were there under the same names are replaced: measuring again is no mistake.
        What looks at pictures one by one has a column `<scorer>_error`, which says why a picture
        has missing values, and `<scorer>_of`, by which scores are known again.

    Examples
    --------
    >>> measure(run(probe("tiny-counting"), "store"))  # by the probe's own scorer
    >>> measure(results, "watermark")[["path", "watermark_found", "watermark_log10_p"]]
    """
    names = find_scorers(frame, names)
    require_scorers(frame, names)
    for name in names:
        if SCORERS[name].__module__.startswith(__name__):
            SCORERS[name](frame[:0])  # says what it lacks before another one has worked for hours
    out = frame
    for name in names:
        scorer = SCORERS[name]
        taken = signature(scorer).parameters
        options = {n: v for n, v in (("again", again), ("progress", progress)) if n in taken}
        out = out.assign(**make_columns(name, scorer(frame, **options), frame))  # a copy
    return out


SCORERS = Scorers(
    {
        "watermark": score_watermark,
        "objects": score_objects,
        "pixels": score_pixels,
        "diversity": score_diversity,
        "distance": score_distance,
        "lettering": score_lettering,
        "signs": score_signs,
        "tokens": score_tokens,
    }
)


def find_scorers(frame: Any, names: tuple[Any, ...]) -> tuple[Any, ...]:
    """Finds those that are named, else the scorers of a frame's probes; raises if none is."""
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(
            f"measure takes the frame of run() or of Store(...).frame(), not {type(frame).__name__}"
        )
    asked = [] if names else list_asked(frame)
    names = names or tuple(dict.fromkeys(row.scorer for row in asked if row.scorer != NO_SCORER))
    if not names:
        people = next((f"{row.name!r} is for people ({row.rule}); " for row in asked), "")
        raise TypeError(
            f"measure what? {people}name at least one scorer: measure(frame,"
            f" {next(iter(SCORERS))!r});"
            f" SCORERS has {', '.join(SCORERS)}"
        )
    return names


def require_scorers(frame: pd.DataFrame, names: tuple[Any, ...]) -> None:
    """Raises unless there are pictures to measure, and scorers that exist."""
    for name in names:
        if not isinstance(name, str):
            raise TypeError(
                f"{name!r:.60} is no scorer's name; give each as text: measure(frame,"
                f" {next(iter(SCORERS))!r})"
            )
        if name not in SCORERS:
            raise ValueError(
                f"unknown scorer {name!r}{suggest(name, SCORERS)} SCORERS has {', '.join(SCORERS)},"
                " and takes your own: SCORERS['mine'] = function"
            )
    require_paths(frame)


def make_columns(scorer: str, result: Any, frame: pd.DataFrame) -> dict[str, pd.Series]:
    """Makes columns with the frame's index of what a scorer returned; a Series has its name."""
    result = {scorer: result} if isinstance(result, pd.Series) else result
    if not isinstance(result, (pd.DataFrame, Mapping)):
        raise TypeError(
            f"scorer {scorer!r} returns a {type(result).__name__}; it should be a DataFrame, a"
            " Series or a mapping from names to values, one for each row of the frame"
        )
    for name in result:
        if name in COLUMNS:
            raise ValueError(
                f"scorer {scorer!r} would overwrite the column {name!r} of the recipe; call its own"
                " something else"
            )
    return {str(name): fit_column(scorer, values, frame) for name, values in result.items()}


def fit_column(scorer: str, values: Any, frame: pd.DataFrame) -> pd.Series:
    """Makes one column, or raises if it does not fit the frame."""
    if isinstance(values, (str, Mapping)) or not hasattr(values, "__len__"):
        raise TypeError(
            f"scorer {scorer!r} returns {values!r:.60} as a column; it should be a list, an array"
            " or a Series"
        )
    if len(values) != len(frame):
        raise ValueError(
            f"scorer {scorer!r} returns {len(values)} values, but the frame has {len(frame)} rows"
        )
    if not isinstance(values, pd.Series):
        return pd.Series(values, index=frame.index)
    if not values.index.equals(frame.index):
        raise ValueError(
            f"scorer {scorer!r} returns values with another index than the frame's; give its own:"
            " index=frame.index"
        )
    return values
