"""What stays of a round without a kernel: how far it is, and at its end the answers."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from markupsafe import Markup

from ...results.frame import (
    column_values,
    count_noun,
    distinct_values,
    find_varying,
    format_value,
    hide_home,
    shorten_pictures,
    sort_values,
)
from ...results.html import render_table
from ...results.stats.agreement import agreement
from ...results.stats.charts import name_interval
from ...results.stats.rates import rate
from ..pictures import CELL, render_side
from ..raters import describe_agreement, name_rater
from .pictures import Pictures
from .round import list_subjects, sort_sides

MOST = 100  # pictures or pairs
MOST_VALUES = 12  # of a column by which answers are counted
CANNOT_TELL = "cannot tell"
YES = "yes"  # the column that says so, True or False
BY_COLUMN = "first answers{}, by what the pictures differ in"
UNDER_WAY = "A blind round is under way: the answers are shown when it has ended."


def write_verdict(value: pd.DataFrame, rater: str) -> list[str]:
    """Says in sentences what came out of a rater's round, and how far raters agree."""
    own = value[value["rater"] == rater]
    if own.empty:
        return ["No answers yet."]
    first, noun = own[own["repeat"] == 0], "pair" if "preferred" in value else "picture"
    line = f"Of {count_noun(len(first), noun)} – {sum_answers(first)}."
    if again := len(own) - len(first):
        repeats, answers = count_noun(again, "repeat"), count_noun(len(own), "answer")
        line += f" With {repeats}, {answers} – {sum_answers(own)}."
    seconds = own["seconds"].median()
    pace = "" if pd.isna(seconds) else f" Half of the answers took {seconds:.1f} seconds or less."
    several = value["rater"].nunique() > 1 or (value["repeat"] > 0).any()
    rows = agreement(value).to_dict("records") if several else []
    return [line + pace, *describe_agreement(rows, "the same answer", noun)]


def sum_answers(value: pd.DataFrame) -> str:
    """Says how often each answer was given: "yes: 3, no: 2"."""
    return ", ".join(f"{word}: {n}" for word, n in word_answers(value).value_counts().items())


def count_answers(value: pd.DataFrame, rater: str, answers: Sequence[str]) -> list[list[str]]:
    """Counts a rater's first answers by each column in which the pictures differ.

    Returns
    -------
    list of list of str
        A table, its head first, which begins with a caption: how often each answer was given, and
        of yes and no the share of yes with its interval. [] for pairs, whose sentence says who was
        preferred, and where no column is shared by several pictures.
    """
    own = value[(value["rater"] == rater) & (value["repeat"] == 0)]
    words, unsure = word_answers(own), own["answer"].isna().any()
    kinds = [*answers, *[CANNOT_TELL] * bool(unsure)]
    asks_yes = YES in own
    rows = []
    for name in [] if "preferred" in own else find_varying(own):
        values = distinct_values(own, name)
        if name == "seed" or len(values) > min(MOST_VALUES, len(own) - 1):
            continue
        shown = shorten_pictures(own)
        places = column_values(shown, name)
        for value in sort_values(shown, name):
            part = shown[[place == value for place in places]]
            counts = words[part.index].value_counts()
            share = [format_part(rate(part, YES).iloc[0])] if asks_yes else []
            title = f"{name} {hide_home(format_value(value))}"
            rows.append([title, *(str(counts.get(kind, 0)) for kind in kinds), *share])
    head = [BY_COLUMN.format(rater and f" of {rater}"), *kinds, *["share of yes"] * asks_yes]
    return [head, *rows] if rows else []


def format_part(row: pd.Series) -> str:
    """Writes the share of a row of `rate`, and its interval."""
    if not row["n"]:
        return "—"
    return f"{row['share']:.0%} ({name_interval(0.95)} {row['low']:.0%} to {row['high']:.0%})"


def word_answers(value: pd.DataFrame) -> pd.Series:
    """Puts answers into words: of a pair whose picture was preferred, not on which side it was."""
    words = value["answer"].fillna(CANNOT_TELL)
    if "preferred" not in value:
        return words
    return value["preferred"].map(format_value).where(value["preferred"].notna(), words)


def render_round(
    pictures: Pictures,
    value: pd.DataFrame,
    *,
    question: str,
    note: str,
    verdict: Sequence[str],
    shares: Sequence[Sequence[str]] = (),
    unblinded: bool,
) -> str:
    """Renders a round: at its end all pictures, with the answers of each rater.

    Parameters
    ----------
    pictures : Pictures
    value : DataFrame
        Of the widget.
    question, note : str
        What was asked, and how far the rater is.
    verdict : sequence of str
        What came out.
    shares : sequence
        As `count_answers` gives them.
    unblinded : bool
        Whether the round has ended; else nothing is told of any picture.
    """
    lines = [note, *verdict] if unblinded else [note, UNDER_WAY]
    out = Markup("<p><b>{}</b></p>").format(question)
    out += Markup().join(Markup("<p>{}</p>").format(line) for line in lines)
    if unblinded and shares:
        (caption, *head), *rows = shares
        out += render_table(["", *head], rows, caption=caption, style=CELL)
    return str(out + render_answers(pictures, value)) if unblinded else str(out)


def render_answers(pictures: Pictures, value: pd.DataFrame) -> Markup:
    """Renders a table of the first pictures, and what each rater first answered."""
    first = value[value["repeat"] == 0]
    raters = list(dict.fromkeys(first["rater"]))
    about = map(sort_sides, list_subjects(first))
    said = dict(zip(zip(about, first["rater"]), word_answers(first)))
    heads = pictures.list_sides()
    rows = []
    for subject in pictures.subjects[:MOST]:
        caption, paths = pictures.caption_of(subject), pictures.paths_of(subject)
        shown = [render_side(path, f"{head}, {caption}") for path, head in zip(paths, heads)]
        answers = [said.get((sort_sides(subject), rater), "—") for rater in raters]
        rows.append([caption, *shown, *answers])
    head = ["", *heads, *map(name_rater, raters)]
    more = len(pictures.subjects) - MOST
    left_out = Markup("<p>{} more are not shown here.</p>").format(f"{more:,}")
    return render_table(head, rows, style=CELL) + (left_out if more > 0 else "")
