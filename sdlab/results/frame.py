"""What a frame's columns and values are called in figures and reports, and what sets rows apart."""

from __future__ import annotations

import os
import re
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from ..pictures import HASH, PICTURES
from ..recipe.axes import EMPTY
from ..recipe.request import FIELDS, PROMPTS, SPECS
from ..recipe.spec import round_digits
from ..store.columns import COLUMNS, LABELS, UNTELLING

# What Pillow raises for torn files
UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)

OF, ERROR = "_of", "_error"  # what ends the names of two columns that each scorer has
PLAIN = ("string", "str", "Int64", "int64", "boolean", "bool")  # of plain values, or none
REAL = ("Float64", "float64")
NUMBER = "no."  # the column that numbers found pictures that nothing said of them tells apart
COUNTER = re.compile(r"(index|level_\d+|Unnamed: \d+(\.\d+)?)(_[xy])?")  # pandas' own names

# Reading columns


def to_plain(value: Any) -> Any:
    """Turns a cell of a frame into a hashable Python value; every kind of missing is None.

    Real numbers are rounded to 12 digits, as a request's are.
    """
    if type(value) in (str, int, bool):  # most are, and the rest takes ten times as long
        return value
    if type(value) is float:
        return round_digits(value) if value == value else None
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return None
    if isinstance(value, (float, np.floating)):
        return round_digits(value)
    value = value.item() if isinstance(value, np.generic) else value
    return value if isinstance(value, Hashable) else str(value)


def column_values(frame: pd.DataFrame, name: str) -> list[Any]:
    """Lists one column as plain values; all are None if there is no such column."""
    return list_plain(frame[name]) if name in frame.columns else [None] * len(frame)


def list_plain(column: pd.Series) -> list[Any]:
    """Lists a column as plain values."""
    if (lost := column.isna()).all():
        return [None] * len(column)
    kind = column.dtype.name
    if kind in REAL:  # most are few, and rounding is slow
        places, distinct = pd.factorize(column)
        found = [*map(round_digits, distinct.tolist()), None]  # -1 where there is none
        return [found[place] for place in places.tolist()]
    found = column.tolist()
    if kind not in PLAIN:
        return list(map(to_plain, found))
    return [None if gone else value for value, gone in zip(found, lost)] if lost.any() else found


def is_neutral(name: str, value: Any) -> bool:
    """Tells whether this value of a field has no effect; no label's value is such."""
    return name in SPECS and value == SPECS[name].neutral


def distinct_values(frame: pd.DataFrame, name: str) -> list[Any]:
    """Lists one column's values, each once, in order of first appearance."""
    if name not in frame.columns:
        return [None] * bool(len(frame))
    column = frame[name]
    with suppress(TypeError):  # of what has no hash
        column = column.drop_duplicates()  # a wide frame's rows would take ten times as long
    return list(dict.fromkeys(list_plain(column)))


def row_tuples(frame: pd.DataFrame, names: Sequence[str]) -> list[tuple]:
    """Lists each row's values of some columns."""
    columns = [column_values(frame, name) for name in names]
    return list(zip(*columns)) if names else [()] * len(frame)


def order_values(frame: pd.DataFrame, names: Sequence[str]) -> list[tuple]:
    """Lists the values that some columns take together, as a sweep of them would order them.

    The first column changes slowest. Numbers ascend; texts stand in order of first appearance;
    "none" comes first.
    """
    ranks = [rank_values(distinct_values(frame, name)) for name in names]
    found = dict.fromkeys(row_tuples(frame, names))
    return sorted(found, key=lambda own: [rank[value] for rank, value in zip(ranks, own)])


def sort_values(frame: pd.DataFrame, name: str) -> list[Any]:
    """Lists one column's values, each once, as `order_values` orders them."""
    return [value for (value,) in order_values(frame, [name])]


def rank_values(found: list[Any]) -> dict[Any, int]:
    """Ranks the values of a column: {value: its place}."""
    known = [value for value in found if value is not None]
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in known):
        known = sorted(known)
    return {value: n for n, value in enumerate([None, *known])}


def require_paths(frame: pd.DataFrame) -> None:
    """Raises unless the frame leads to pictures."""
    if "path" not in frame.columns:
        raise ValueError(
            "the frame has no column 'path' that leads to pictures; it has"
            f" {', '.join(map(str, frame.columns))}"
        )


def select_made(frame: pd.DataFrame) -> pd.DataFrame:
    """Selects the rows that have a picture."""
    return frame[[path is not None for path in column_values(frame, "path")]]


def name_sources(frame: pd.DataFrame) -> pd.DataFrame:
    """Gives the frame with "sdlab" as the source of what was made here, if others have one.

    So does `read_pictures` name the source of their files.
    """
    if "source" not in frame.columns or "key" not in frame.columns:
        return frame
    return frame.assign(source=frame["source"].mask(frame["key"].notna(), "sdlab"))


def find_foreign(frame: pd.DataFrame) -> list[bool]:
    """Tells of each row whether its picture was made elsewhere: such a row has no key.

    Its file may say nothing, not even who wrote it; `read_pictures` has a column for that.
    """
    was_read = "source" in frame.columns
    if not was_read or ("key" in frame.columns and frame["key"].notna().all()):
        return [False] * len(frame)
    rows = row_tuples(frame, ["source", "key", "path"])
    return [
        key is None and (source is not None or (was_read and path is not None))
        for source, key, path in rows
    ]


def select_own(frame: pd.DataFrame) -> pd.DataFrame:
    """Selects the rows of pictures that were made here, and of cells that failed here."""
    return frame[[not foreign for foreign in find_foreign(frame)]]


def label_rows(frame: pd.DataFrame) -> Iterator[tuple[str, list[Any]]]:
    """Yields each row's (name, values); rows that have no name are numbered from 1."""
    if isinstance(frame.index, pd.RangeIndex):
        frame = frame.set_axis(range(1, len(frame) + 1))
    for index, *found in frame.itertuples(name=None):
        yield (
            format_label(map(to_plain, index if isinstance(index, tuple) else (index,))),
            [to_plain(v) for v in found],
        )


# Putting values into words


def format_value(value: Any) -> str:
    """Writes a value as people do: 4, 7.5, — for None, and none for an empty text."""
    if value is None:
        return "—"
    if isinstance(value, str) and not value:
        return EMPTY
    if isinstance(value, float):
        whole = value.is_integer() and abs(value) < 1e15
        return str(int(value)) if whole else repr(float(value))  # NumPy's, too, as a number
    return str(value) if str(value).strip() else f'"{value}"'


def format_label(found: Iterable[Any]) -> str:
    """Writes several values as one label: "a cat · 7.5"."""
    return " · ".join(map(format_value, found))


def shorten_hashes(found: Iterable[Any]) -> dict[Any, str]:
    """Shortens the hashes of input pictures to "01234567…", of as many digits as tell these apart.

    Other values are left out of what is returned.
    """
    names = {value for value in found if isinstance(value, str) and HASH.fullmatch(value)}
    digits = next(n for n in range(8, 33) if len({name[:n] for name in names}) == len(names))
    return {name: f"{name[:digits]}…" for name in names}


def shorten_pictures(frame: pd.DataFrame) -> pd.DataFrame:
    """Gives a frame for people, in which the hashes of input pictures are short."""
    names = [name for name in PICTURES if name in frame.columns]
    short = shorten_hashes(value for name in names for value in distinct_values(frame, name))
    if not short:
        return frame
    shown = {
        name: pd.Series(
            [short.get(value, value) for value in column_values(frame, name)], frame.index, "object"
        )
        for name in names
    }
    return frame.assign(**shown)


def hide_home(text: Any) -> str:
    """Writes ~ for the home folder in a text: figures and reports travel."""
    home = os.path.expanduser("~")
    return re.sub(rf"{re.escape(home)}(?![\w.-])", "~", str(text)) if len(home) > 1 else str(text)


def format_ranges(found: list[Any]) -> str:
    """Writes values with runs of whole numbers drawn together: "0–3, 7, 42"."""
    runs: list[list[Any]] = []
    for value in found:
        last = runs[-1][-1] if runs else None
        if isinstance(value, int) and isinstance(last, int) and value == last + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    return ", ".join(
        f"{run[0]}–{run[-1]}" if len(run) > 2 else ", ".join(map(format_value, run)) for run in runs
    )


def join_words(parts: Iterable[str]) -> str:
    """Joins words as in a sentence: "a, b and c"."""
    *before, last = parts
    return f"{', '.join(before)} and {last}" if before else last


def count_noun(n: int, noun: str) -> str:
    """Writes how many there are: "1 image", "2,000 images"."""
    return f"{n:,} {noun}{'s' * (n != 1)}"


def describe_file_problem(problem: Exception) -> str:
    """Says in two words why a picture cannot be shown, without the folder that it was in."""
    return "file missing" if isinstance(problem, FileNotFoundError) else "file unreadable"


# What sets rows apart


def is_counter(name: Any) -> bool:
    """Tells a column in which pandas has kept the numbers of rows, after `reset_index` or a CSV."""
    return COUNTER.fullmatch(str(name)) is not None


OF_PROBES = ("probe", "wording", "arm")  # the labels of every probe's requests


def find_label_columns(frame: pd.DataFrame) -> list[str]:
    """Finds the columns that name choices in prompts.

    `run` notes them in the frame. Where pandas has lost the note, as in a CSV file, they are those
    behind the fields that `probe` gives, or whose values stand in the prompts.
    """
    noted = frame.attrs.get(LABELS, ())
    fields = (i for i, name in enumerate(frame.columns, 1) if name in SPECS)
    behind = list(frame.columns[max(fields, default=0) :])
    known = [i for i, name in enumerate(behind) if name in COLUMNS]
    candidates = [name for name in behind[: min(known, default=0)] if not is_counter(name)]
    return [
        name
        for name in frame.columns
        if name in noted
        or (name in candidates and (name in OF_PROBES or stands_in_prompts(frame, name)))
    ]


def is_measured(frame: pd.DataFrame, name: str) -> bool:
    """Tells whether a column has opinions, or scores with a value."""
    if name in COLUMNS:
        return COLUMNS[name].role == "opinion" and any(distinct_values(frame, name))
    if name.endswith(OF) or is_counter(name) or frame[name].isna().all():
        return False
    return name not in find_label_columns(frame)


ANSWERS = ("_right", "_relation", "_avoided", "_found")
COORDINATES = ("_x", "_y", "_places", "objects_fits", "_background_gap")  # for programs


def rank_told(frame: pd.DataFrame, name: str) -> int:
    """Ranks what was measured by how much it answers: right or wrong, what was found, the rest."""
    ends = [n for n, end in enumerate(ANSWERS) if name.endswith(end)]
    return ends[0] if ends else len(ANSWERS) + (frame[name].dtype.name not in ("boolean", "bool"))


def list_told(frame: pd.DataFrame) -> list[str]:
    """Lists the columns beside the recipe that are told in words: answers first, no coordinates."""
    names = [
        name
        for name in frame.columns
        if is_measured(frame, name) and not name.endswith((ERROR, *COORDINATES))
    ]
    return sorted(names, key=lambda name: rank_told(frame, name))


def describe_answers(frame: pd.DataFrame) -> list[str]:
    """Says in a line what was found in each row's picture, and whether that is right."""
    names = [name for name in list_told(frame) if rank_told(frame, name) < len(ANSWERS)]
    return describe_measures(frame, names)


def describe_measures(frame: pd.DataFrame, names: Sequence[str] | None = None) -> list[str]:
    """Says in a line what each row's columns beside the recipe tell: "objects_right True".

    `names` are the columns, without which it tells all.
    """
    names = list_told(frame) if names is None else names
    if not names:
        return [""] * len(frame)
    return [
        ", ".join(
            f"{name} {format_brief(value)}"
            for name, value in zip(names, row)
            if value is not None and not (name in COLUMNS and not value)
        )
        for row in row_tuples(frame, names)
    ]


def format_brief(value: Any) -> str:
    """Formats a value for people: a measured number with as many digits as it is worth."""
    if not isinstance(value, float) or value.is_integer():
        return format_value(value)
    return f"{value:.4g}" if abs(value) < 10_000 else f"{value:.0f}"


def list_plainly(frame: pd.DataFrame) -> pd.DataFrame:
    """Gives the frame as it can be sent elsewhere: files by their names, no empty columns."""
    paths = [path and os.path.basename(path) for path in column_values(frame, "path")]
    errors = [error and hide_home(error) for error in column_values(frame, "error")]
    return frame.assign(path=paths, error=errors).dropna(axis="columns", how="all")


def stands_in_prompts(frame: pd.DataFrame, name: str) -> bool:
    """Tells whether each value of a column is a part of its row's prompts, or text without any."""
    for value, prompts in zip(column_values(frame, name), row_tuples(frame, PROMPTS)):
        text = value if isinstance(value, str) else format_value(value)
        known = [prompt for prompt in prompts if prompt is not None]
        stands = any(text in prompt for prompt in known) if known else isinstance(value, str)
        if value is not None and not stands:
            return False
    return True


def find_differing(frame: pd.DataFrame, varying: Sequence[str] | None = None) -> list[str]:
    """Finds the columns in which rows differ and that tell something, the recipe's first.

    `varying` are those of `find_varying`, for whoever has them.
    """
    return [
        name
        for name in dict.fromkeys((*(varying or find_varying(frame)), *frame.columns))
        if name not in UNTELLING
        and not (is_counter(name) or name.endswith(OF))
        and len(distinct_values(frame, name)) > 1
    ]


def find_inputs(frame: pd.DataFrame) -> dict[str, list[str]]:
    """Finds {name of an input picture: the fields that have it}."""
    fields: dict[str, list[str]] = {}
    for field in PICTURES:
        for name in distinct_values(frame, field):
            if name is not None:
                fields.setdefault(str(name), []).append(field)
    return fields


def find_model_weights(frame: pd.DataFrame) -> dict[Any, list[Any]]:
    """Finds each model's weights: several if it was trained anew, or its name given to another.

    Those with other parts in place of the model's own (a VAE, LoRAs) are compared with their like
    alone.
    """
    found: dict[tuple, list[Any]] = {}
    parts = ["model", "vae", "lora", "textual_inversion", "weights"]
    for *own, weights in dict.fromkeys(row_tuples(frame, parts)):
        found.setdefault(tuple(own), []).append(weights)
    plain_first = sorted(found, key=lambda own: own[1:] != (None, None, None))
    return {
        model: max((found[own] for own in plain_first if own[0] == model), key=len)
        for model, *_ in found
    }


def has_retrained_model(frame: pd.DataFrame) -> bool:
    """Tells whether a model's name does not say its weights."""
    several = len(distinct_values(frame, "weights")) > 1  # asked first, as it is quick
    return several and any(len(found) > 1 for found in find_model_weights(frame).values())


def find_varying(frame: pd.DataFrame) -> list[str]:
    """Finds the columns that set these rows apart.

    They are fields, or in a prompt's stead the choices that made it.
    """
    told = () if has_retrained_model(frame) else ("weights",)  # by the model
    fields = [name for name in FIELDS if name not in told and len(distinct_values(frame, name)) > 1]
    labels = [name for name in find_label_columns(frame) if len(distinct_values(frame, name)) > 1]
    if labels and labels_explain_prompts(frame, labels):
        return labels + [name for name in fields if name not in PROMPTS]
    return fields


def labels_explain_prompts(frame: pd.DataFrame, labels: Sequence[str]) -> bool:
    """Tells whether rows with the same labels have the same prompts."""
    both = row_tuples(frame, [*labels, *PROMPTS])
    return len(set(row_tuples(frame, labels))) == len(set(both))


def summarize_values(found: list[Any]) -> str:
    """Writes the values, or how many there are if they are too many for a sentence."""
    text = format_ranges(found)
    return text if len(text) <= 60 else f"{len(found)} values"
