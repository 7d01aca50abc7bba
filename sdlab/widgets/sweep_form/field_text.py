"""What the text in one field of a form stands for, and how values are written there: both ways."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import re
import threading
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from ...recipe.axes import count_readings, read_numbers, split_words
from ...recipe.request import OPTIONAL, SPECS
from ...recipe.spec import Spec
from ...recipe.sweep import Sweep, read_axis
from ...results.frame import count_noun, format_value, join_words

AXES = tuple(  # the fields that a form varies, the dear ones first
    sorted((name for name, spec in SPECS.items() if spec.hint), key=lambda name: SPECS[name].pace)
)
DECIMAL_COMMA = re.compile(r"\d,\d")
MOST_TOLD = 5  # values
quiet = threading.RLock()  # the filters of warnings are the process's: one thread sets them at once


def is_list(spec: Spec) -> bool:
    """Tells whether the field offers a list to choose from; the others hold text."""
    return spec.kind == "names" and spec.rows > 1


@contextlib.contextmanager
def hear_warnings() -> Iterator[list[str]]:
    """Keeps warnings from the page, and lists what they say when it is over; one thread at once."""
    said: list[str] = []
    with quiet, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield said
    said += [str(warning.message) for warning in caught]


def hear_weights(prompts: Iterable[str]) -> AbstractContextManager[list[str]]:
    """Keeps from the page that weights in braces are ignored, if there are any."""
    weighted = any("::" in prompt for prompt in prompts)
    return hear_warnings() if weighted else contextlib.nullcontext([])


# From a text


@functools.lru_cache(64)  # a field that has not changed is not read again
def read_field(name: str, text: Any, stamps: tuple = ()) -> tuple[list[Any], Any, str]:
    """Reads a field's text.

    Parameters
    ----------
    name : str
        A field of a request.
    text : str, or tuple of str
        As the control has it.
    stamps : tuple
        When the files were changed that the text names: then it is read anew.

    Returns
    -------
    values : list
        Empty where the text says nothing.
    written : list or str
        How the code writes them: as typed, or a list; of pictures the paths that were typed.
    note : str
        What one should know, though nothing is wrong.

    Raises
    ------
    ValueError, TypeError, OSError, csv.Error
        The text stands for nothing that the field can hold.
    """
    spec = SPECS[name]
    if spec.kind == "prompt":
        values = read_axis(name, list(map(read_line, split_lines(text))) or [""])
        with hear_weights(values) as said:
            for value in values:
                count_readings(value)
        return values, values, "; ".join(said)
    if is_list(spec):
        if not text and name not in OPTIONAL:
            raise ValueError(f"choose at least one {name}")
        values = read_axis(name, list(text)) if text else []
        return values, values, ""
    if not (items := read_items(name, text.strip())):
        return [], None, ""
    if spec.kind == "picture":
        named = {value: item for item in items for value in read_axis(name, [item])}
        return list(named), list(named.values()), ""
    values = read_axis(name, items)
    listed = spec.takes_line or None in items  # which no one text says
    return values, values if listed else text.strip(), describe_comma(spec, text, values)


def read_items(name: str, text: str) -> list[Any]:
    """Takes a text apart at its commas or lines; one item among others may say that it is None."""
    spec = SPECS[name]
    nothing, whole = spec.nothing if name in OPTIONAL else None, spec.kind == "whole"
    if spec.is_number and (nothing is None or nothing not in text.lower()):
        return read_numbers(text, whole=whole, name=name)
    items = map(read_line, split_lines(text)) if spec.takes_line else split_words(text)
    found = [
        [None]
        if item.lower() == nothing
        else read_numbers(item, whole=whole, name=name)
        if spec.is_number
        else [item]
        for item in items
    ]
    return list(itertools.chain.from_iterable(found))


def describe_comma(spec: Spec, text: str, values: Sequence[Any]) -> str:
    """Says what was read where a comma may have been meant as a decimal one; "" elsewhere."""
    if spec.kind != "real" or not DECIMAL_COMMA.search(text):
        return ""
    shown = [format_value(value) for value in values[:MOST_TOLD]]
    more = [f"{len(values) - MOST_TOLD} more"] if len(values) > MOST_TOLD else []
    return (
        f"read as {count_noun(len(values), 'value')}, {join_words(shown + more)}: a comma parts"
        " values, and seven and a half is written 7.5"
    )


def stamp_files(text: str) -> tuple[int | None, ...]:
    """Notes when the files were changed that a text names, those that are there."""
    files = [Path(item).expanduser() for item in split_words(text.strip())]
    return tuple(file.stat().st_mtime_ns if file.is_file() else None for file in files)


def split_lines(text: str) -> list[str]:
    """Splits a text into its lines, without the blank ones."""
    return [line for line in re.split(r"\r?\n|\r", text) if line.strip()]


def read_line(line: str) -> str:
    """Reads a prompt in a line: without blanks around it, or in double quotes if it needs them."""
    line = line.strip()
    if len(line) > 1 and line[0] == line[-1] == '"':
        with contextlib.suppress(ValueError):
            if needs_quotes(inside := json.loads(line)):
                return inside
    return line


def needs_quotes(prompt: str) -> bool:
    """Tells a prompt that no line holds as it is: empty, blanks at its ends, line breaks."""
    return (
        not prompt
        or prompt != prompt.strip()
        or bool(re.search(r"[\r\n]", prompt))
        or read_line(prompt) != prompt
    )


# To a text


def write_texts(plan: Sweep) -> dict[str, Any]:
    """Writes a sweep as the texts of a form's fields, "replace" among them."""
    texts = {
        name: write_values(name, plan.axes.get(name, [getattr(plan.base, name)])) for name in AXES
    }
    return texts | {"replace": write_words(itertools.chain(*plan.replace.values()))}


def write_values(name: str, values: Sequence[Any]) -> Any:
    """Writes the text of a field that `read_field` reads as these values."""
    spec = SPECS[name]
    if is_list(spec):
        return () if values == [None] else tuple(values)
    usual = (None, "") if name in OPTIONAL else (None, "", spec.neutral)
    if len(values) == 1 and values[0] in usual:
        return ""
    if spec.is_number:
        runs = itertools.groupby(values, key=lambda value: value is None)
        return ", ".join(
            spec.nothing if absent else write_numbers(name, list(run)) for absent, run in runs
        )
    items = [spec.nothing if value is None else value for value in values]
    if spec.takes_line:
        return "\n".join(map(write_line, items))
    return write_words(items)


def write_numbers(name: str, values: list[Any]) -> str:
    """Writes a range if the values are one, else all of them: "0-7", "1-7 (+3)", "1, 3, 7.5"."""
    each = list(map(format_value, values))
    if len(values) > 2:
        span = f"{each[0]}-{each[-1]}"
        for text in (span, f"{span} ({values[1] - values[0]:+.10g})"):
            with contextlib.suppress(ValueError):
                if read_numbers(text, whole=SPECS[name].kind == "whole") == values:
                    return text
    return ", ".join(each)


def write_words(items: Iterable[str]) -> str:
    """Writes the text that `split_words` takes apart into these items, in quotes where need be."""
    return ", ".join(
        '"' + item.replace('"', '""') + '"' if re.search(r'^\s|\s$|[,"\r\n]|^$', item) else item
        for item in items
    )


def write_line(prompt: str) -> str:
    """Writes the line that `read_line` reads as this prompt."""
    return json.dumps(prompt, ensure_ascii=False) if needs_quotes(prompt) else prompt


def order_axes(plan: Sweep) -> list[str]:
    """Orders the fields so that those that a sweep varies keep their order."""
    slots = (name for name in plan.axes if name in AXES)
    return [next(slots) if name in plan.axes else name for name in AXES]
