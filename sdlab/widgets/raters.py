"""Raters, and how far they agree, as a widget says it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from ..results.frame import count_noun
from ..results.stats.agreement import NAMELESS
from ..results.stats.charts import name_interval

LEAST = 5  # pictures or pairs that two have in common: of fewer there are no statistics


def describe_agreement(rows: Sequence[dict], same: str, noun: str) -> list[str]:
    """Says how far raters agree, plainly; statistics are lines of their own, and none of few.

    Where there are more than two raters, those two who have few in common are counted alone.

    Parameters
    ----------
    rows : sequence of dict
        What `agreement` gives: all raters, each two, and each with themself.
    same : str
        What they agree in, such as "the same vote".
    noun : str
        What was judged: "picture" or "pair".
    """
    several = any(row["kind"] == "all raters" for row in rows)
    summed = ["again", *["two raters"] * several]
    lines: list[str] = []
    few: dict[str, list[dict]] = {kind: [] for kind in summed}
    for row in rows:
        if row["n"] < LEAST and row["kind"] in summed:
            few[row["kind"]].append(row)
        else:
            lines += [tell_share(row, same, noun), *write_numbers(row)]
    if several and (n := len(few["two raters"])):
        what = f"{'pairs of pictures' if noun == 'pair' else 'pictures'} in common"
        have = "has" if n == 1 else "have"
        lines.append(f"{count_noun(n, 'pair')} of raters {have} fewer than {LEAST} {what}.")
    again = [row for row in few["again"] if row["n"]]
    return [*lines, *([tell_again(again, same, noun)] if again else [])]


def tell_share(row: dict, same: str, noun: str) -> str:
    """Says how far raters agree: all of them, two, or one with themself."""
    if row["kind"] == "again":
        return tell_again([row], same, noun)
    together = row["kind"] == "all raters"
    who = "All raters together" if together else row["of"].replace(" · ", " and ")
    if not row["n"]:
        return f"{who}: {row['note']}."
    many = count_noun(row["n"], noun)
    if together:
        often = f"{row['share']:.0%} of the time"
        return f"{who}: any two of them gave {same} {often}, on {many}."
    return f"{who}: {same} in {row['share'] * row['n']:.0f} of {many}."


def tell_again(rows: Sequence[dict], same: str, noun: str) -> str:
    """Says how far each rater agrees with themself."""
    each = (f"{row['of']} in {row['share'] * row['n']:.0f} of {row['n']}" for row in rows)
    return f"{same.capitalize()} to {noun}s shown again: {', '.join(each)}."


def write_numbers(row: dict) -> list[str]:
    """Writes the statistics as a line; of few there is none."""
    if row["n"] < LEAST:
        return []
    again = row["kind"] == "again"
    numbers = [f"{name_interval(0.95)} {row['low']:.0%} to {row['high']:.0%}"]
    if not again and not pd.isna(row["alpha"]):
        numbers.append(f"Krippendorff's alpha {row['alpha']:.2f}")
    if not again:
        numbers.append(row["note"])
    return [f"In numbers: {'; '.join(numbers)}."]


def is_by(question: dict, rater: str) -> bool:
    """Whether a page asks for that rater: it knows of another one's name before Python does."""
    return question.get("rater", rater).strip() == rater.strip()


def require_name(rater: str, what: str) -> None:
    """Raises unless there is a name that what was given without one can be given to."""
    if not rater:
        raise ValueError(f"there is no name to give these {what}: set `rater` first")


def name_rater(rater: str) -> str:
    """Names a rater, also one who gave no name."""
    return rater or NAMELESS
