"""Raters, and how far they agree, as a widget says it."""

from __future__ import annotations

import pandas as pd

from ..results.stats.agreement import NAMELESS
from ..results.stats.charts import name_interval


def format_share(row: dict) -> str:
    """Writes a share with what it rests on: "3 of 4 (95% interval 30% to 95%)"."""
    if not row["n"]:
        return "0 of 0"
    share, low, high = (f"{row[name]:.0%}" for name in ("share", "low", "high"))
    count = f"{share} of" if row["kind"] == "all raters" else f"{row['share'] * row['n']:.0f} of"
    return f"{count} {row['n']} ({name_interval(0.95)} {low} to {high})"


def name_rater(rater: str) -> str:
    """Names a rater, also one who gave no name."""
    return rater or NAMELESS


def describe_same(row: dict, what: str) -> str:
    """Says in a line of `agreement` how often its raters gave the same vote or answer."""
    alpha = "" if pd.isna(row["alpha"]) else f" Krippendorff's alpha {row['alpha']:.2f};"
    return f"{row['of']}: the same {what} in {format_share(row)}.{alpha} {row['note']}."
