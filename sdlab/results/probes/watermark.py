"""Which watermark each picture carries."""

from __future__ import annotations

import warnings

import pandas as pd

from ..frame import distinct_values
from .reading import warn_of_unreadable


def score_watermark(frame: pd.DataFrame, progress: bool = True) -> pd.DataFrame:
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

    found = scan(list(frame["path"]), list_payloads(frame), progress=progress).set_axis(frame.index)
    small, unread = found["small"].fillna(False), found["error"].notna() & frame["path"].notna()
    if small.any():
        warnings.warn(
            f"{small.sum()} of {len(found)} pictures have less than 65,536 pixels (256x256): they"
            " are too small for a watermark, and not measured",
            stacklevel=3,
        )
    if unread.any():
        problems = frame["path"][unread] + ": " + found["error"][unread]
        warn_of_unreadable(list(problems), len(found), stacklevel=4)
    names = ["payload", "log10_p", "agreement", "official"]
    return found[names].rename(columns={"payload": "found"}).add_prefix("watermark_")


def list_payloads(frame: pd.DataFrame) -> list[str]:
    """Lists the everyday payloads and the frame's own, without single letters: noise has those."""
    from ...watermark.payloads import EVERYDAY

    asked = [text for text in distinct_values(frame, "watermark") if text is not None]
    return list(dict.fromkeys([*EVERYDAY, *(text for text in asked if len(text.encode()) > 1)]))
