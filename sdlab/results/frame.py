"""What the columns and values of a frame are called in figures and reports, and what its rows have in common."""

from __future__ import annotations

import os
import re
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..pictures import HASH, PICTURES
from ..progress import duration
from ..recipe.request import FIELDS, PROMPTS, SPECS
from ..store.columns import CHOSEN

# Reading columns


def to_plain(value: Any) -> Any:
    """A hashable Python value; every kind of missing is None."""
    if type(value) in (str, int, bool):  # most are, and the rest takes ten times as long
        return value
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return None
    value = value.item() if isinstance(value, np.generic) else value
    return value if isinstance(value, Hashable) else str(value)


def column_values(frame: pd.DataFrame, name: str) -> list[Any]:
    """One column as plain values; all None if there is no such column."""
    return (
        [to_plain(v) for v in frame[name].tolist()]
        if name in frame.columns
        else [None] * len(frame)
    )


def is_neutral(name: str, value: Any) -> bool:
    """Tells a field's value that has no effect; labels have none such."""
    return name in SPECS and value == SPECS[name].neutral


def distinct_values(frame: pd.DataFrame, name: str) -> list[Any]:
    """One column's values, each once, in order of first appearance."""
    return list(dict.fromkeys(column_values(frame, name)))


def row_tuples(frame: pd.DataFrame, names: Sequence[str]) -> list[tuple]:
    """Each row's values of some columns."""
    return (
        list(zip(*(column_values(frame, name) for name in names))) if names else [()] * len(frame)
    )


def label_rows(frame: pd.DataFrame) -> Iterator[tuple[str, list[Any]]]:
    """(what the index calls a row, its values) of each row; rows that have no name are numbered from 1."""
    if isinstance(frame.index, pd.RangeIndex):
        frame = frame.set_axis(range(1, len(frame) + 1))
    for index, *found in frame.itertuples(name=None):
        yield (
            format_label(map(to_plain, index if isinstance(index, tuple) else (index,))),
            [to_plain(v) for v in found],
        )


# Putting values into words


def format_value(value: Any) -> str:
    """A value as people write it: 4, 7.5, — for none, and "" for the empty prompt."""
    if value is None:
        return "—"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value) if str(value).strip() else f'"{value}"'


def format_label(found: Iterable[Any]) -> str:
    """Several values as one label: "a cat · 7.5"."""
    return " · ".join(map(format_value, found))


def shorten_hashes(found: Iterable[Any]) -> dict[Any, str]:
    """{hash of an input picture: its beginning, "01234567…"}, of as many digits as tell these apart."""
    names = {value for value in found if isinstance(value, str) and HASH.fullmatch(value)}
    digits = next(n for n in range(8, 33) if len({name[:n] for name in names}) == len(names))
    return {name: f"{name[:digits]}…" for name in names}


def shorten_pictures(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with the beginnings of its input pictures' hashes, for people."""
    columns = {name: column_values(frame, name) for name in PICTURES if name in frame.columns}
    said = shorten_hashes(value for column in columns.values() for value in column)
    if not said:
        return frame
    return frame.assign(
        **{
            name: pd.Series([said.get(value, value) for value in column], frame.index, "object")
            for name, column in columns.items()
        }
    )


def hide_home(text: Any) -> str:
    """The text with ~ for the home folder: figures and reports travel."""
    home = os.path.expanduser("~")
    return re.sub(rf"{re.escape(home)}(?![\w.-])", "~", str(text)) if len(home) > 1 else str(text)


def format_ranges(found: list[Any]) -> str:
    """Values with runs of whole numbers drawn together: "0–3, 7, 42"."""
    runs: list[list[Any]] = []
    for value in found:
        if (
            runs
            and isinstance(value, int)
            and isinstance(runs[-1][-1], int)
            and value == runs[-1][-1] + 1
        ):
            runs[-1].append(value)
        else:
            runs.append([value])
    return ", ".join(
        f"{run[0]}–{run[-1]}" if len(run) > 2 else ", ".join(map(format_value, run)) for run in runs
    )


def join_words(parts: Iterable[str]) -> str:
    """a, b and c"""
    *before, last = parts
    return f"{', '.join(before)} and {last}" if before else last


def count_noun(n: int, noun: str) -> str:
    """1 image, 2,000 images"""
    return f"{n:,} {noun}{'s' * (n != 1)}"


def describe_file_problem(problem: Exception) -> str:
    return "file missing" if isinstance(problem, FileNotFoundError) else "file unreadable"


# What rows have in common, and what sets them apart


def find_label_columns(frame: pd.DataFrame) -> list[str]:
    """The columns that name choices in prompts: they stand between the recipe and the path."""
    names = list(frame.columns)
    before = names[: names.index("path")] if "path" in names else []
    return [name for name in before if name not in (*FIELDS, "key", "error")]


def find_model_weights(frame: pd.DataFrame) -> dict[Any, list[Any]]:
    """Each model's weights: more than one if it was trained anew, or its name was given to another.

    Those with other parts in place of the model's own (a VAE, LoRAs) are compared with their like
    alone.
    """
    found: dict[tuple, list[Any]] = {}
    for *named, weights in dict.fromkeys(
        row_tuples(frame, ["model", "vae", "lora", "textual_inversion", "weights"])
    ):
        found.setdefault(tuple(named), []).append(weights)
    plain_first = sorted(found, key=lambda named: named[1:] != (None, None, None))
    return {
        named[0]: max((found[each] for each in plain_first if each[0] == named[0]), key=len)
        for named in found
    }


def has_retrained_model(frame: pd.DataFrame) -> bool:
    """Whether a model's name does not tell its weights."""
    return any(len(found) > 1 for found in find_model_weights(frame).values())


def find_varying(frame: pd.DataFrame) -> list[str]:
    """The columns that set these rows apart: fields, or in a prompt's stead the choices that made it."""
    told = () if has_retrained_model(frame) else ("weights",)  # by the model
    fields = [name for name in FIELDS if name not in told and len(distinct_values(frame, name)) > 1]
    labels = [name for name in find_label_columns(frame) if len(distinct_values(frame, name)) > 1]
    if labels and len(set(row_tuples(frame, labels))) == len(
        set(row_tuples(frame, [*labels, *PROMPTS]))
    ):
        return labels + [name for name in fields if name not in PROMPTS]
    return fields


def describe_constant(frame: pd.DataFrame, axes: Sequence[str]) -> str:
    """What all rows share, and what varies without being an axis: "prompt: a cat · seed: 3 · also varies: eta"."""
    frame, labels = shorten_pictures(frame), find_label_columns(frame)
    explained = [
        *PROMPTS * bool(set(axes) & set(labels)),
        *labels * bool(set(axes) & set(PROMPTS)),
    ]  # by one another
    names = dict.fromkeys(("prompt", "model", *FIELDS, *labels))
    found = {
        name: distinct_values(frame, name)
        for name in names
        if name not in axes and (name != "weights" or has_retrained_model(frame))
    }
    shared = [
        f"{name}: {format_value(first)}"
        for name, (first, *more) in found.items()
        if not more and first is not None and not is_neutral(name, first)
    ]
    others = [
        name for name, every in found.items() if axes and len(every) > 1 and name not in explained
    ]
    return " · ".join([*shared, f"also varies: {', '.join(others)}"] if others else shared)


def summarize(frame: pd.DataFrame) -> str:
    """How much there is, what varies, what failed, in a few sentences."""
    paths, errors = column_values(frame, "path"), column_values(frame, "error")
    failed = sum(p is None and e is not None for p, e in zip(paths, errors))
    absent = sum(p is None and e is None for p, e in zip(paths, errors))
    axes = {name: distinct_values(frame, name) for name in find_varying(frame) if name != "model"}
    made = frame[[path is not None for path in paths]]
    axes |= {
        name: known
        for name in CHOSEN
        if len(known := [v for v in distinct_values(made, name) if v is not None]) > 1
    }
    varied = [f"{name} ({summarize_values(found)})" for name, found in axes.items()]
    seconds = sum(s or 0 for s in column_values(frame, "seconds"))
    devices = join_words(
        [format_value(d) for d in distinct_values(frame, "device") if d] or ["an unnamed device"]
    )
    parts = [
        (
            f"{count_noun(len(frame) - failed - absent, 'image')} by"
            f" {join_words(map(format_value, distinct_values(frame, 'model')))}."
        ),
        axes
        and f"{join_words(varied)} var{'y' if len(axes) > 1 else 'ies'}; the rest of the recipe is constant.",
        failed and f"{count_noun(failed, 'cell')} failed.",
        absent and f"{count_noun(absent, 'cell')} {'was' if absent == 1 else 'were'} not rendered.",
        seconds and f"Rendering took {duration(seconds)} on {devices}.",
    ]
    return " ".join(part for part in parts if part)


def summarize_values(found: list[Any]) -> str:
    """The values, or how many there are if they are too many for a sentence."""
    text = format_ranges(found)
    return text if len(text) <= 60 else f"{len(found)} values"
