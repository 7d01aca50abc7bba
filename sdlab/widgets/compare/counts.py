"""What all raters voted on the pairs of a comparison, counted."""

from __future__ import annotations

from collections import Counter

import pandas as pd

from ...results.frame import column_values, join_words
from ...results.stats.agreement import agreement
from ..raters import format_share, name_rater


def count_raters(table: pd.DataFrame, total: int) -> list[str]:
    """Says how far each rater is: "ann: 12 of 80"."""
    count = Counter(column_values(table, "rater"))
    return [f"{name_rater(rater)}: {n} of {total}" for rater, n in count.items()]


def describe_agreement(table: pd.DataFrame) -> list[str]:
    """Says how far the raters of these pairs agree; nothing where there is one only."""
    if table["rater"].nunique() < 2:
        return []
    told = [name for name in ("rater", "vote", "wording", "prompt") if name in table]
    about = table[told].assign(left=[f"{n} l" for n in table["pair"]])
    about["right"] = [f"{n} r" for n in table["pair"]]  # in terms of the pair's own sides
    about = about.assign(left_side="left", right_side="right")
    lines = []
    for row in agreement(about).to_dict("records"):
        alpha = "" if pd.isna(row["alpha"]) else f" Krippendorff's alpha {row['alpha']:.2f};"
        lines.append(f"{row['of']}: the same vote in {format_share(row)}.{alpha} {row['note']}.")
    return lines


def describe_count(table: pd.DataFrame, row: dict) -> list[str]:
    """Says in a line what the votes of all raters come to, and in another which may change."""
    lines, unended = [f"All raters: {row['verdict']}."], table[table["may_change"]]
    if len(unended):
        who = join_words(map(name_rater, dict.fromkeys(column_values(unended, "rater"))))
        why = f"{who} has not yet asked who is who"
        lines.append(f"{len(unended):,} of these votes may change: {why}.")
    return lines
