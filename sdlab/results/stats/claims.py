"""A claim with its evidence, for a report that argues."""

from __future__ import annotations

import functools
import inspect
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pandas as pd

from ..frame import column_values, count_noun, distinct_values, join_words
from .charts import CONFIDENCE, label_row, name_compared, name_interval, write_hits
from .reading import require_confidence
from .shown import Evidence

CALL = "sdlab call"  # in the `attrs` of every statistic: what was called, and with what
LEFT_OUT = "without a value left out"
SAMPLE = "sdlab sample"  # in the `attrs` of statistics of a frame: its columns, and what groups it
VOTES = "Store(...).answers(), Store(...).votes() or Judge(...).value"
Statistic = TypeVar("Statistic", bound=Callable[..., pd.DataFrame])


@dataclass(frozen=True, eq=False)
class Claim:
    """Something that is claimed of pictures, and what speaks for it.

    Parameters
    ----------
    text : str
        The claim in a sentence, such as "v2 spells better".
    evidence : DataFrame
        What `paired`, `rate`, `yield_curve`, `preference`, `Compare(...).counts()`, `ranking` or
        `agreement` gave, or some of its rows; or a table of your own with a column `verdict` in
        words, or of one row.
    frame : DataFrame, optional
        The rows that the evidence is of; those of the report if left out.
    votes : DataFrame, optional
        What people said: `Store(...).answers()`, `Store(...).votes()` or `Judge(...).value`. The
        report says who judged, and how blind, and has these votes for its code; without them that
        reads the store's, where it has some.

    Raises
    ------
    TypeError, ValueError
        There is no text, no evidence with a row, evidence that is pictures or says nothing, or
        nobody in `votes`.
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
        if self.votes is not None and "rater" not in self.votes.columns:
            raise ValueError(f"votes has no column 'rater', so nobody judged; give {VOTES}")
        if self.evidence.empty:
            raise ValueError("evidence has no row, so nothing speaks for the claim or against it")
        require_finding(self.evidence)

    @property
    def verdicts(self) -> list[str]:
        """What the evidence says, a sentence a row; of a curve its end."""
        interval = name_interval(self.evidence.attrs.get(CONFIDENCE))
        rows, sides = select_ends(self.evidence.to_dict("records")), name_compared(self.evidence)
        return [sentence for row in rows if (sentence := write_row(row, interval, sides))]

    @property
    def judged(self) -> str:
        """Who judged, and how blind; "" where nobody did."""
        return "" if self.votes is None else describe_judges(self.votes)


def require_finding(evidence: pd.DataFrame) -> None:
    """Raises unless this is what a statistic gave, or a table that says something by itself."""
    if CALL in evidence.attrs:
        return
    give = "give what a statistic gave, such as stats.paired(results, 'objects_right')"
    if {"key", "path"} <= {*evidence.columns}:
        raise ValueError(
            f"evidence is {count_noun(len(evidence), 'picture')}, which say nothing by themselves;"
            f" {give}, and the pictures as frame="
        )
    rows = evidence.to_dict("records")
    if len(rows) > 1 and not all(write_finding(row, "", ("", "")) for row in rows):
        raise ValueError(
            f"evidence has {len(rows):,} rows that are no finding of sdlab.stats; {give}, a single"
            " row, or rows with a `verdict` in words"
        )


def note_call(function: Statistic) -> Statistic:
    """Lets a statistic note in its `attrs` how it was called, of its tables the names alone.

    Its `confidence` is checked and noted, too. What it gives is shown with whole sentences.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> pd.DataFrame:
        confidence = options.get("confidence", 0.95)
        require_confidence(confidence)
        found = function(*args, **options)
        bound = signature.bind(*args, **options).arguments
        tables = [name for name, value in bound.items() if isinstance(value, pd.DataFrame)]
        given = {n: getattr(v, "tolist", lambda v=v: v)() for n, v in bound.items()
                 if n not in tables and (v is not None or n == "better")}  # fmt: skip
        noted = {CALL: {"name": function.__name__, "tables": tables, "given": given}}
        out = Evidence(found)
        out.attrs |= found.attrs | noted | {CONFIDENCE: confidence}
        return out

    return call  # type: ignore[return-value]


def note_sample(by: str | Sequence[str], *columns: str) -> dict[str, Any]:
    """Notes of what columns, and of which groups, a statistic is: for its `attrs`."""
    return {SAMPLE: {"columns": [*columns], "by": [by] if isinstance(by, str) else [*by]}}


def select_ends(rows: list[dict[Any, Any]]) -> list[dict[Any, Any]]:
    """Selects of each `yield_curve` the largest k; of other evidence all rows."""
    if not all({"k", "best"} <= row.keys() for row in rows):
        return rows
    ends: dict[str, dict[Any, Any]] = {}
    for row in sorted(rows, key=lambda row: row["k"]):
        ends[label_row(row)] = row
    return list(ends.values())


def write_row(row: dict[Any, Any], interval: str, sides: tuple[str, str]) -> str:
    """Writes what a row of evidence says, after what it was grouped by."""
    label, said = label_row(row), write_finding(row, interval, sides)
    return f"{label}: {said}" if label and said else said


def write_finding(row: dict[Any, Any], interval: str, sides: tuple[str, str]) -> str:
    """Writes what was found, of two `sides` maybe; "" of what no statistic gives."""
    if {"share", "n"} <= row.keys() and not row["n"]:
        return "no picture was judged"
    if {"share", "hits", "n"} <= row.keys():
        ends = f"{interval} {row['low']:.0%} to {row['high']:.0%}"
        told = f"{row['share']:.0%}, {write_hits(row)}{note_missing(row)} ({ends})"
    elif {"best", "k", "n"} <= row.keys():
        known = not math.isnan(row["low"])
        ends = f" ({interval} {row['low']:.3g} to {row['high']:.3g})" if known else ""
        over = f"{count_noun(row['n'], 'picture')} of {count_noun(row['prompts'], 'prompt')}"
        told = f"the best of {row['k']:,} is worth {row['best']:.3g}{ends}, over {over}"
        told += note_missing(row)
    elif {"chance", "chance_low", "chance_high"} <= row.keys():
        return write_strength(row, interval)
    elif "verdict" in row:
        return f"{row['verdict']}{write_difference(row, interval, sides)}"
    else:
        return write_agreement(row, interval) if {"share", "alpha", "n"} <= row.keys() else ""
    return told if pd.isna(row.get("verdict")) else f"{told}: {row['verdict']}"


def note_missing(row: dict[Any, Any]) -> str:
    """Says how many pictures had no value; "" if all had one."""
    return f", {row['missing']:,} {LEFT_OUT}" if row.get("missing") else ""


def write_difference(row: dict[Any, Any], interval: str, sides: tuple[str, str]) -> str:
    """Writes what a verdict rests on, in brackets; "" where it does not tell."""
    if {"ties", "both_bad"} <= row.keys():
        return f" ({row['ties'] + row['both_bad']:,} of {row['n']:,} votes for neither side)"
    n = [f"n = {row['n']:,}"] if "n" in row else []
    if not {"difference", "low", "high", "p_holm"} <= row.keys():
        return f" ({n[0]})" if n else ""
    ends = f"{interval} {row['low']:+.2g} to {row['high']:+.2g}"
    p = "p < .001" if row["p_holm"] < 0.001 else f"p {row['p_holm']:.2g}".replace("0.", ".")
    found = [*n, f"{sides[1]} less {sides[0]} {row['difference']:+.2g}", ends, p]
    return f" ({', '.join(found)})"


def write_strength(row: dict[Any, Any], interval: str) -> str:
    """Writes where one stands in a ranking, and by how many votes."""
    votes = int(row["wins"] + row["losses"] + row["ties"])
    if row["ties"] == votes:
        return f"no vote of {votes:,} has a winner"
    ends = f"{interval} {row['chance_low']:.0%} to {row['chance_high']:.0%}"
    if math.isnan(row["chance_low"]):
        ends = (
            f"strength {row['strength']:+.1f}, {interval} {row['low']:+.1f} to {row['high']:+.1f}"
        )
    chance = f"wins against another with chance {row['chance']:.0%}"
    ties = f", of which {count_noun(int(row['ties']), 'tie')} are half a win for either"
    told = f"{chance} ({ends}; {count_noun(votes, 'vote')}{ties * bool(row['ties'])})"
    return f"{told}: {row['verdict']}" if row.get("verdict") else told


def write_agreement(row: dict[Any, Any], interval: str) -> str:
    """Writes how far raters agree, with what is left of it beyond chance."""
    ends = f"{interval} {row['low']:.0%} to {row['high']:.0%}"
    alpha = "" if math.isnan(row["alpha"]) else f"alpha {row['alpha']:.2f}"
    told = f"{row['share']:.0%} alike over {count_noun(row['n'], 'picture')} ({ends})"
    return "; ".join(filter(None, (told, alpha, row.get("note"))))


def describe_judges(votes: pd.DataFrame) -> str:
    """Says who judged how often, and whether they knew whose picture it was."""
    raters = Counter(rater or "somebody" for rater in column_values(votes, "rater"))
    if not raters:
        return "Nobody has judged."
    who = join_words(f"{name} ({count_noun(n, 'answer')})" for name, n in raters.most_common())
    blind = [value for value in column_values(votes, "blind") if value is not None]
    hidden, unsaid = sum(map(bool, blind)), len(votes) - len(blind)
    many = "all" if hidden == len(votes) else f"{hidden:,} of {len(votes):,}"
    how = f"{many} without knowing whose picture it was" if blind else ""
    of = f"of {unsaid:,} " if blind else ""
    lacks = f"{of}whether blind was not recorded" if unsaid else ""
    how = "; ".join(filter(None, (how, lacks)))
    asked = [f"“{text}”" for text in distinct_values(votes, "question") if text]
    about = f", asked {join_words(asked)}" if asked else ""
    return f"Judged by {who}{about}; {how}."
