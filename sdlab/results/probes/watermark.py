"""Which watermark each picture carries."""

from __future__ import annotations

import warnings

import pandas as pd


def watermark(frame: pd.DataFrame, progress: bool = True) -> pd.DataFrame:
    """Which watermark each picture carries, as `detect_watermark` says without a search, at a rate of 1e-6.

    It looks for the known payloads and for all texts that the frame's requests asked for, in every
    picture alike.

    Returns
    -------
    DataFrame
        `watermark_found`: the payload's name, missing if none is detected. `watermark_log10_p` and
        `watermark_agreement`: of the most likely payload, missing where there is nothing to look
        at: no picture, an unreadable one, or one of less than 65,536 pixels. `watermark_official`:
        what the official decoder reads without an error in one bit.
    """
    from ...watermark.scanning import scan

    found = scan(list(frame["path"]), payloads_in(frame), progress=progress).set_axis(frame.index)
    small, unread = found["small"].fillna(False), found["error"].notna() & frame["path"].notna()
    if small.any():
        warnings.warn(
            f"{small.sum()} of {len(found)} pictures have less than 65,536 pixels (256x256): they"
            " are too small for a watermark, and not measured",
            stacklevel=3,
        )
    if unread.any():
        path, error = frame["path"][unread].iloc[0], found["error"][unread].iloc[0]
        warnings.warn(
            f"{unread.sum()} of {len(found)} pictures could not be read; the first: {path}:"
            f" {error}",
            stacklevel=3,
        )
    names = {
        "payload": "found",
        "log10_p": "log10_p",
        "agreement": "agreement",
        "official": "official",
    }
    return found[list(names)].rename(
        columns={name: f"watermark_{word}" for name, word in names.items()}
    )


def payloads_in(frame: pd.DataFrame) -> list[str]:
    """The known payloads, and the frame's own; a single letter is too short to be told from noise."""
    from ...watermark.payloads import PAYLOADS

    asked = frame["watermark"].dropna().unique() if "watermark" in frame.columns else []
    return list(dict.fromkeys([*PAYLOADS, *(text for text in asked if len(text.encode()) > 1)]))
