"""Raters, and how far they agree, as a widget says it."""

from __future__ import annotations

import pandas as pd

from ..results.stats.agreement import NAMELESS
from ..results.stats.charts import name_interval


def describe_agreement(row: dict, same: str, what: str = "") -> list[str]:
    """Says how far raters agree, such as in `same` "the same vote"; statistics in a second line.

    Parameters
    ----------
    row : dict
        Of what `agreement` gives.
    same : str
        What they agree in.
    what : str
        Of which the share is, such as "pair".
    """
    again = row["kind"] == "again"
    who = f"{row['of']}{', to pictures shown again' * again}"
    if not row["n"]:
        return [f"{who}: {row['note']}."]
    numbers = [f"{name_interval(0.95)} {row['low']:.0%} to {row['high']:.0%}"]
    if not again and not pd.isna(row["alpha"]):
        numbers.append(f"Krippendorff's alpha {row['alpha']:.2f}")
    if not again:
        numbers.append(row["note"])
    many = f" {what}{'' if row['n'] == 1 else 's'}" if what else ""
    return [f"{who}: {same} in {format_share(row)}{many}.", f"In numbers: {'; '.join(numbers)}."]


def format_share(row: dict) -> str:
    """Writes a share with what it is of: "3 of 4", of several raters at once "54% of 12"."""
    alike = row["share"]
    share = f"{alike:.0%}" if row["kind"] == "all raters" else f"{alike * row['n']:.0f}"
    return f"{share} of {row['n']}"


def require_name(rater: str, what: str) -> None:
    """Raises unless there is a name that what was given without one can be given to."""
    if not rater:
        raise ValueError(f"there is no name to give these {what}: set `rater` first")


def name_rater(rater: str) -> str:
    """Names a rater, also one who gave no name."""
    return rater or NAMELESS
