"""Which rows of a grid are in view: what was said of them, their words, and measured columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ...errors import suggest
from ...pictures import PICTURES
from ...recipe.request import PROMPTS, SPECS
from ...results.frame import (
    ERROR,
    column_values,
    distinct_values,
    find_differing,
    find_label_columns,
    is_measured,
)
from ...store.columns import COLUMNS
from ...store.opinions import MARKS, RATINGS, VERDICTS

NO_VERDICT = "none"
UNSAID = ("weights", *PICTURES)  # fields of hashes, for which nobody searches
NONE: dict[str, Any] = {  # what shows all rows
    "verdict": "",  # one of VERDICTS, or NO_VERDICT
    "rating": 0,  # at least
    "text": "",  # all of its words in prompts, labels, names of models, tags and notes
    "column": "",  # of numbers, or yes and no
    "least": None,
    "most": None,
}
MOST_AXIS = 60  # values of a column that may name rows or columns


def read_filters(given: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    """Reads filters; what is not given shows all.

    Raises
    ------
    ValueError
        An unknown filter or column, or a value that it cannot have.
    """
    allowed = {
        "verdict": ("", NO_VERDICT, *VERDICTS),
        "rating": (0, *RATINGS),
        "column": ("", *columns),
    }
    for name, value in given.items():
        if name not in NONE:
            raise ValueError(
                f"{name!r} is no filter{suggest(name, NONE)} there is {', '.join(NONE)}"
            )
        if name in allowed and value not in allowed[name]:
            known = ", ".join(map(repr, allowed[name]))
            raise ValueError(f"filters: {name}={value!r:.60} is none of {known}")
        kinds = str if name == "text" else (int, float, type(None))
        if name in ("text", "least", "most") and not isinstance(value, kinds):
            raise ValueError(
                f"filters: {name}={value!r:.60} is no {'text' if name == 'text' else 'number'}"
            )
    return {**NONE, **given}


def is_bounded(filters: Mapping[str, Any]) -> bool:
    """Tells whether filters choose by a column: one without a bound does not."""
    return bool(filters["column"]) and (filters["least"], filters["most"]) != (None, None)


def is_choosing(filters: Mapping[str, Any]) -> bool:
    """Tells whether filters choose at all."""
    others = filters["verdict"] or filters["rating"] or filters["text"].strip()
    return bool(others) or is_bounded(filters)


def list_words(frame: pd.DataFrame) -> list[str]:
    """Lists what a search for text looks at, for each row: prompts, labels, and names as models'.

    Names are what a field has that is neither a number nor a picture.
    """
    fields = [n for n, spec in SPECS.items() if n not in UNSAID and not spec.is_number]
    found = dict.fromkeys((*PROMPTS, *fields, *find_label_columns(frame), "source"))
    names = [name for name in found if name in frame.columns]
    rows = zip(*(column_values(frame, name) for name in names)) if names else [()] * len(frame)
    return [" ".join(str(value) for value in row if value is not None).lower() for row in rows]


def find_numbers(frame: pd.DataFrame, varying: Sequence[str]) -> list[str]:
    """Finds the columns of numbers, or yes and no, by which rows can be chosen."""
    names = [*varying, *(name for name in frame.columns if is_measured(frame, name))]
    names += [name for name in ("seconds",) if name in frame.columns]
    numeric = (pd.api.types.is_numeric_dtype, pd.api.types.is_bool_dtype)
    return [
        name
        for name in dict.fromkeys(names)
        if name not in MARKS and any(is_kind(frame[name]) for is_kind in numeric)
    ]


def find_answers(frame: pd.DataFrame, numbers: Sequence[str]) -> list[str]:
    """Finds those of the columns of `find_numbers` that say yes or no."""
    return [name for name in numbers if pd.api.types.is_bool_dtype(frame[name])]


def find_axes(frame: pd.DataFrame, varying: Sequence[str]) -> list[str]:
    """Finds the columns that may name rows or columns of the grid."""
    found = [
        name
        for name in dict.fromkeys((*varying, *find_differing(frame, varying)))
        if (name not in COLUMNS or COLUMNS[name].role == "recipe" or name == "dtype")
        and not name.endswith(ERROR)
        and 1 < len(distinct_values(frame, name)) <= MOST_AXIS
    ]
    return found


def arrange_rows(
    rows: Sequence[int],
    frame: pd.DataFrame,
    filters: Mapping[str, Any],
    sort: str,
    marks: Mapping[int, Mapping[str, Any]],
) -> list[int]:
    """Lists the rows that pass all filters, sorted by a column, with "-" before it falling."""
    found, name = list(rows), sort.removeprefix("-")
    if is_choosing(filters):
        numbers = column_values(frame, filters["column"]) if is_bounded(filters) else None
        words = list_words(frame) if filters["text"] else [""] * len(frame)
        found = choose_rows(found, filters, marks, words, numbers)
    if name:
        of_marks = [marks.get(i, {}).get(name) for i in range(len(frame))]
        values = of_marks if name in MARKS else column_values(frame, name)
        found = sort_rows(found, values, sort.startswith("-"))
    return found


def choose_rows(
    rows: Sequence[int],
    filters: Mapping[str, Any],
    marks: Mapping[int, Mapping[str, Any]],
    words: Sequence[str],
    numbers: Sequence[Any] | None,
) -> list[int]:
    """Chooses the rows that pass all filters.

    Parameters
    ----------
    rows : sequence of int
    filters : mapping
        As `read_filters` gives them.
    marks : mapping
        {row: what was said of it}.
    words : sequence of str
        Of each row, as `list_words` gives them.
    numbers : sequence, optional
        The values of the column that is filtered by.
    """

    def passes(i: int) -> bool:
        said = marks.get(i, {})
        verdict, text = filters["verdict"], filters["text"].strip().lower()
        own = f"{words[i]} {' '.join(said.get('tags', ()))} {said.get('note', '')}".lower()
        return (
            (not verdict or said.get("verdict", NO_VERDICT) == verdict)
            and said.get("rating", 0) >= filters["rating"]
            and all(word in own for word in text.split())
            and (numbers is None or is_between(numbers[i], filters["least"], filters["most"]))
        )

    return [i for i in rows if passes(i)]


def is_between(value: Any, least: float | None, most: float | None) -> bool:
    """Tells whether a value is there and in a range, of which either end may be open."""
    return (
        value is not None and (least is None or value >= least) and (most is None or value <= most)
    )


def sort_rows(rows: Sequence[int], values: Sequence[Any], falling: bool) -> list[int]:
    """Sorts rows by their values; those without one stand last."""
    known = [i for i in rows if values[i] is not None]
    mixed = len({isinstance(values[i], str) for i in known}) > 1
    known.sort(key=lambda i: str(values[i]) if mixed else values[i], reverse=falling)
    return known + [i for i in rows if values[i] is None]
