"""Answers of people to single pictures, counted as if each were a picture of a frame."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pandas as pd

from ..store.opinions import ANSWERS
from .frame import distinct_values

TRUTH = {"yes": True, "no": False}
MOST_ASKED = 20  # questions, and raters, by which answers are narrowed


def join_answers(answers: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """Gives each answer what the frame says of its picture, and `yes`, as `Judge(...).value` does.

    Parameters
    ----------
    answers : DataFrame
        `Store(...).answers()` or `Judge(...).value`: columns `key` and `answer`.
    frame : DataFrame
        The pictures by their `key`.

    Returns
    -------
    DataFrame
        The answers, then the frame's columns, of which `path` and what else both have is the
        frame's; `yes` is True, False, or missing for other answers.
    """
    names = [name for name in frame.columns if name not in ANSWERS]
    told = frame.drop_duplicates("key").set_index("key")[names].reindex(answers["key"])
    out = answers.reset_index(drop=True)
    out = out.assign(**{name: told[name].array for name in names})
    return out.assign(yes=out["answer"].map(TRUTH).astype("boolean"))


def list_readings(
    answers: pd.DataFrame, name: str, frame: pd.DataFrame
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Lists what may have been counted of a table of answers, as (Python, table).

    That is the table or what `join_answers` makes of it, whole, or without repeats, or of one
    question or rater. The Python calls the answers `name` and the frame `results`.
    """
    if not {"key", "answer"} <= {*answers.columns}:
        return
    terms = [[""] + ["repeat == 0"] * ("repeat" in answers)]
    for column in ("question", "rater"):
        found = [value for value in distinct_values(answers, column) if value is not None]
        several = 1 < len(found) <= MOST_ASKED
        terms.append(["", *(f"{column} == {value!r}" for value in found if several)])
    joined = f"join_answers({name}, results)", join_answers(answers, frame)
    for (code, table), chosen in itertools.product(
        [(name, answers), joined], itertools.product(*terms)
    ):
        query = " and ".join(filter(None, chosen))
        yield (f"{code}.query({query!r})", table.query(query)) if query else (code, table)
