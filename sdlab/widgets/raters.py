"""Raters, and how far they agree, as a widget says it."""

from __future__ import annotations


def format_share(row: dict) -> str:
    """Writes a share with what it rests on: "3 of 4 (30 to 95 %, with 95 % confidence)"."""
    if not row["n"]:
        return "0 of 0"
    share, low, high = (f"{100 * row[name]:.0f}" for name in ("share", "low", "high"))
    count = f"{share} % of" if row["kind"] == "all raters" else f"{row['share'] * row['n']:.0f} of"
    return f"{count} {row['n']} ({low} to {high} %, with 95 % confidence)"


def name_rater(rater: str) -> str:
    """Names a rater, also one who gave no name."""
    return "without a name" if rater in ("", '""') else rater
