"""Which watermark each picture carries."""

from __future__ import annotations

import warnings

import pandas as pd

from ...errors import caller_level
from ..frame import column_values, distinct_values
from .reading import ERROR, OF, find_kept, keep_scores, mark_pictures, warn_of_problems

COLUMNS = ("payload", "log10_p", "agreement", "official")
NAMES = tuple(f"watermark_{name}" for name in ("found", *COLUMNS[1:]))


def score_watermark(
    frame: pd.DataFrame, *, again: bool = False, progress: bool = True
) -> pd.DataFrame:
    """Finds the watermark of each picture as `detect_watermark` does without a search, at 1e-6.

    It looks for the everyday payloads and for all texts that the frame's requests asked for, in
    every picture alike.

    Returns
    -------
    DataFrame
        `watermark_found`: the payload's name, missing if none is detected. `watermark_log10_p` and
        `watermark_agreement`: of the most likely payload, missing where there is nothing to look
        at: no picture, an unreadable one, or one of less than 65,536 pixels. `watermark_official`:
        what the official decoder reads without an error in one bit.
    """
    from ...watermark.scanning import scan

    payloads = list_payloads(frame)
    marks = mark_pictures(frame, "\n".join(payloads))
    kept = [not again and own for own in find_kept(frame, "watermark", NAMES, marks)]
    paths = [None if own else path for own, path in zip(kept, column_values(frame, "path"))]
    found = scan(paths, payloads, progress=progress and any(paths)).set_axis(frame.index)
    small = found["small"].fillna(False)
    if small.any():
        warnings.warn(
            f"{small.sum()} of {len(found)} pictures have less than 65,536 pixels (256x256): they"
            " are too small for a watermark, and not measured",
            stacklevel=caller_level(),
        )
    problems = found["error"].mask(found["path"].isna())
    warn_of_problems(problems, paths)
    scores = found[list(COLUMNS)].set_axis(list(NAMES), axis=1)
    read = pd.Series(marks, frame.index, "string").mask(found["path"].isna() | problems.notna())
    more = {f"watermark{OF}": read, f"watermark{ERROR}": problems.astype("string")}
    return keep_scores(scores.assign(**more), frame, kept)


def list_payloads(frame: pd.DataFrame) -> list[str]:
    """Lists the everyday payloads and the frame's own, without single letters: noise has those."""
    from ...watermark.payloads import EVERYDAY

    asked = [text for text in distinct_values(frame, "watermark") if text is not None]
    return list(dict.fromkeys([*EVERYDAY, *(text for text in asked if len(text.encode()) > 1)]))
