"""All texts of a form together: the sweep that they describe, or what is wrong at which field."""

from __future__ import annotations

import csv
import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...errors import blame_field
from ...models.resolve import resolve
from ...recipe.axes import count_readings
from ...recipe.request import PROMPTS, SPECS, Request
from ...recipe.sweep import MAX_CELLS, Sweep, read_replacements, sweep
from .field_text import AXES, hear_weights, read_field, stamp_files
from .fields import Field

WEIGHTED = re.compile(r"\([^()]*:\s*\d*\.?\d+\s*\)")


@dataclass(frozen=True)
class Reading:
    """The fields of a form, understood as far as they can be.

    Parameters
    ----------
    values : dict
        {field of a request: its values}, for the fields that say something.
    written : dict
        {field: its values as the code writes them}.
    replace : str
        As typed.
    errors : dict
        {field: what is wrong there}; "" stands for what is wrong with no single field.
    notes : dict
        {field: what one should know, though nothing is wrong}.
    cells : int
        How many requests this makes; 0 if there are errors.
    """

    values: dict[str, list[Any]]
    written: dict[str, Any]
    replace: str = ""
    errors: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    cells: int = 0

    def to_sweep(self) -> Sweep:
        """Makes the sweep; ValueError if a field has an error."""
        if self.errors:
            raise ValueError(join_errors(self.errors))
        base = Request(**{name: found[0] for name, found in self.values.items() if len(found) == 1})
        axes: dict[str, Any] = {n: found for n, found in self.values.items() if len(found) > 1}
        lines = itertools.chain(*(self.values.get(name, ()) for name in PROMPTS), [self.replace])
        with hear_weights(lines):  # the notes say it
            return sweep(base, **axes, replace=self.replace or None)


def list_settings(reading: Reading, fields: Iterable[Field]) -> list[str]:
    """Lists the settings, as "height 512", that are not what the models have of themselves."""
    models, found = reading.values.get("model", [Request().model]), []
    for each in fields:
        values, name = reading.values.get(each.name), each.name
        if not values or name in ("model", "prompt", "seed"):
            continue
        if any(values != [tell_own(model, name)] for model in models):
            found.append(f"{name} {each.summary}")
    return found


def tell_own(model: str, name: str) -> Any:
    """Tells what a model has in a field that nobody fills in; None if that is not known."""
    try:
        return getattr(resolve(Request(model=model)), name)
    except (ValueError, TypeError, OSError):  # the form says it at the model
        return None


def join_errors(errors: Mapping[str, str]) -> str:
    """Joins all errors to one line, each with the name of its field."""
    return "; ".join(text if name in text else f"{name}: {text}" for name, text in errors.items())


def read_texts(texts: Mapping[str, Any], order: Sequence[str] = AXES) -> Reading:
    """Reads the texts of a form's fields, as axes in that order; what is wrong is in `.errors`."""
    values, written, errors, notes = {}, {}, {}, {}
    for name in order:
        try:
            stamps = stamp_files(texts[name]) if SPECS[name].kind == "picture" else ()
            found, code, note = read_field(name, texts[name], stamps)
        except (ValueError, TypeError, OSError, csv.Error) as error:
            errors[name] = str(error)
            continue
        if found and not says_nothing(name, found):
            values[name], written[name] = found, code
        if note:
            notes[name] = note
    notes |= describe_idle_brackets(values, notes)
    replace, cells = texts["replace"].strip(), 0
    if not errors:
        try:
            cells = count_cells(values, replace)
        except ValueError as error:
            errors[getattr(error, "field", "")] = str(error)
    return Reading(values, written, replace, errors, notes, cells)


def describe_idle_brackets(
    values: Mapping[str, list[Any]], notes: Mapping[str, str]
) -> dict[str, str]:
    """Says at each prompt that "(red:1.3)" is read as it stands, where no syntax is chosen."""
    if None not in values.get("prompt_syntax", [None]):
        return {}
    found = {
        name: match[0]
        for name in PROMPTS
        if (match := WEIGHTED.search(" ".join(values.get(name, []))))
    }
    return {
        name: join_notes(
            notes.get(name, ""),
            f"{text} is read as plain characters; prompt_syntax weights makes it a weight",
        )
        for name, text in found.items()
    }


def join_notes(*texts: str) -> str:
    """Joins what is to be said at one field."""
    return "; ".join(filter(None, texts))


def says_nothing(name: str, found: list[Any]) -> bool:
    """Tells what a request has anyway, and nobody would write down; a number is worth writing."""
    return found == [None] or (not SPECS[name].is_number and found == [getattr(Request(), name)])


def count_cells(values: Mapping[str, list[Any]], replace: str) -> int:
    """Counts the requests that these values make, without making them."""
    others = math.prod(len(found) for name, found in values.items() if name not in PROMPTS)
    lines = [values.get(name, [""]) for name in PROMPTS]
    with blame_field("replace"), hear_weights([*itertools.chain(*lines), replace]):
        searches = read_replacements(replace or None)
        swaps = [(old, new) for old, texts in searches.items() for new in texts] or [("", "")]
        texts = sum(
            math.prod(sum(count_readings(line.replace(*swap)) for line in each) for each in lines)
            for swap in swaps
        )
    if (cells := others * texts) > MAX_CELLS:
        raise ValueError(
            f"{cells:,} pictures are more than {MAX_CELLS:,}; take fewer values, or several sweeps"
        )
    return cells


def is_varied(reading: Reading, name: str) -> bool:
    """Tells whether a field has several values, of which a grid could have its rows."""
    if name == "replace":
        return bool(reading.replace)
    values = reading.values.get(name, [])
    choices = name in PROMPTS and any(count_readings(value) > 1 for value in values)
    return name != "seed" and (len(values) > 1 or choices)
