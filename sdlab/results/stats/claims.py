"""A claim with its evidence, for a report that argues."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ..frame import column_values, count_noun, distinct_values, format_label, join_words
from .charts import NOT_LABELS

COMPARED = "sdlab compared"  # in the `attrs` of what `paired` gives: by, left, right, column names


@dataclass(frozen=True, eq=False)
class Claim:
    """Something that is claimed of pictures, and what speaks for it.

    Parameters
    ----------
    text : str
        The claim in a sentence, such as "v2 spells better".
    evidence : DataFrame
        What `paired`, `rate`, `yield_curve`, `ranking` or `agreement` gave, or some of its rows.
    frame : DataFrame, optional
        The rows that the evidence is of; those of the report if left out.
    votes : DataFrame, optional
        What people said: `Store(...).answers()`, `Store(...).votes()` or `Judge(...).value`. The
        report says who judged, and how blind.

    Raises
    ------
    TypeError, ValueError
        There is no text, or no evidence with a row.
    """

    text: str
    evidence: pd.DataFrame
    frame: pd.DataFrame | None = None
    votes: pd.DataFrame | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or not self.text.strip():
            raise ValueError(f"text={self.text!r:.60}: say what is claimed, in a sentence")
        for name in ("evidence", "frame", "votes"):
            given = getattr(self, name)
            if not isinstance(given, (pd.DataFrame, *[type(None)] * (name != "evidence"))):
                raise TypeError(
                    f"{name} is {type(given).__name__}; it is a frame, such as"
                    " paired(results, 'objects_right') gives"
                )
        if self.evidence.empty:
            raise ValueError("evidence has no row, so nothing speaks for the claim or against it")

    @property
    def verdicts(self) -> list[str]:
        """What the evidence says, a sentence a row."""
        rows = self.evidence.to_dict("records")
        return [sentence for row in rows if (sentence := write_row(row))]

    @property
    def judged(self) -> str:
        """Who judged, and how blind; "" where nobody did."""
        return "" if self.votes is None else describe_judges(self.votes)


def write_row(row: dict[Any, Any]) -> str:
    """Writes what a row of evidence says, after what it was grouped by."""
    label = format_label(v for name, v in row.items() if name not in NOT_LABELS)
    if "verdict" in row:
        n = f" (n = {row['n']:,})" if "n" in row else ""
        said = f"{row['verdict']}{n}"
    elif {"share", "hits", "n"} <= row.keys():
        ends = f"95 % interval {row['low']:.0%} to {row['high']:.0%}"
        said = f"{row['share']:.0%}, {row['hits']:,} of {row['n']:,} ({ends})"
    elif {"strength", "chance"} <= row.keys():
        said = f"wins against the average with chance {row['chance']:.0%}"
    else:
        return ""
    return f"{label}: {said}" if label else said


def describe_judges(votes: pd.DataFrame) -> str:
    """Says who judged how often, and whether they knew whose picture it was."""
    raters = Counter(rater or "somebody" for rater in column_values(votes, "rater"))
    if not raters:
        return "Nobody has judged."
    who = join_words(f"{name} ({count_noun(n, 'answer')})" for name, n in raters.most_common())
    blind = [value for value in column_values(votes, "blind") if value is not None]
    hidden = sum(map(bool, blind))
    how = (
        "all without knowing whose picture it was"
        if blind and hidden == len(votes)
        else f"{hidden:,} of {len(votes):,} without knowing whose picture it was"
    )
    asked = [f"“{text}”" for text in distinct_values(votes, "question") if text]
    about = f", asked {join_words(asked)}" if asked else ""
    return f"Judged by {who}{about}; {how}."
