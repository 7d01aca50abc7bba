"""What a form can be filled in from: a sweep, a request, a row, the recipe in a picture's file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import FieldError
from ...models.resolve import choose_weights, native, resolve, swap_parts
from ...pictures import input_names
from ...recipe.request import FIELDS, PROMPTS, SPECS, Request
from ...recipe.sweep import Sweep, sweep
from ...results.code import escape_prompt, read_requests, require_recipes
from ...results.elsewhere import restore_claims
from ...results.frame import column_values, find_foreign
from ...store.readers.row import read_row
from ...store.store import Store
from .field_text import hear_warnings

if TYPE_CHECKING:
    import pandas as pd

FROM = "Filled in from"
TOLD = (*FIELDS, "source", "not_translated", "error")
HELP = (
    "SweepForm begins with what sweep(...) returns, with one Request, a row of results"
    " (results.iloc[3]), the path of a picture that carries its recipe, or with nothing"
)


def read_given(given: Any) -> tuple[Sweep, str]:
    """Reads what a form is filled in from, and what is to be said of it, "" if nothing is.

    Raises
    ------
    TypeError
        It is something else.
    ValueError
        It has labels, replaces several texts, was made for other weights than are here, or is a
        picture without a recipe.
    """
    if isinstance(given, (str, os.PathLike)):
        if not (place := Path(given).expanduser()).is_file():
            raise FileNotFoundError(f"{HELP}; there is no file {os.fspath(given)!r:.120}")
        return read_file(place)
    if hasattr(given, "iloc"):
        return read_frame(given.to_frame().T if given.ndim == 1 else given)
    return read_plan(given), ""


def read_plan(given: Any) -> Sweep:
    """Reads a sweep, one request, or None."""
    plan = spread(Request() if given is None else given)
    if plan.base.labels:
        raise ValueError(
            f"a form cannot hold what this sweep is labelled with ({', '.join(plan.base.labels)}),"
            " as a probe's is; run it as it is: run(plan, store), and look at it with SeedGrid"
        )
    if len(plan.replace) > 1:
        raise ValueError(
            f"a form replaces one text, and this sweep {len(plan.replace)}; write the others as"
            " choices in braces"
        )
    parts = [name for name, spec in SPECS.items() if spec.in_weights]
    bound = {tuple(getattr(r, name) for name in parts): r for r in plan if r.weights}
    for request in bound.values():
        resolve(request)  # refuses other weights than are here, which a form cannot name
    return plan


def spread(given: Any) -> Sweep:
    """Makes a sweep of one request, whose braces are plain characters."""
    if isinstance(given, Request):
        prompts = {name: escape_prompt(name, getattr(given, name)) for name in PROMPTS}
        given = sweep(given.but(**prompts, labels={}))
    if not isinstance(given, Sweep):
        raise TypeError(
            f"{HELP}; not with a {type(given).__name__}; give it sweep(Request(...),"
            " seed=range(4)), say"
        )
    return given


def read_frame(frame: pd.DataFrame) -> tuple[Sweep, str]:
    """Reads the recipe of a frame's only row."""
    if len(frame) != 1:
        raise ValueError(f"a form is filled in from one row, not {len(frame)}: results.iloc[3]")
    if any(find_foreign(frame)):
        return read_claims({name: column_values(frame, name)[0] for name in TOLD}, "the row")
    require_recipes(frame)
    with hear_warnings() as said:
        plan, more = loosen(read_requests(frame)[0])
    return plan, "; ".join(filter(None, [*said, more]))


def read_file(file: Path) -> tuple[Sweep, str]:
    """Reads the recipe in a picture's file, whichever program wrote it."""
    row = read_row(str(file))
    lend_neighbours(row, file)
    return read_claims(row, file.name)


def read_claims(row: Mapping[str, Any], name: str) -> tuple[Sweep, str]:
    """Reads what the file of that name says, in a row of its own."""
    with hear_warnings() as heard:
        request, said = restore_claims(row, name)
        plan, more = loosen(request)
    return plan, "; ".join(filter(None, [f"{FROM} {name}", *said, *heard, more]))


def loosen(request: Request) -> tuple[Sweep, str]:
    """Frees a recipe from the weights it was made with, and says if others are here."""
    said = ""
    with suppress(FieldError):  # what is missing, the form says at its field
        own = swap_parts(native(request.model), request)
        try:
            choose_weights(request, own)
        except FieldError:
            said = f"it was made with other weights of {request.model} than are here"
    return read_plan(request.but(weights=None)), said


def lend_neighbours(row: Mapping[str, Any], place: Path) -> None:
    """Makes known the input pictures of the store in which the file lies."""
    if place.absolute().parent.parent.name == "images":
        Store(place.absolute().parents[2]).inputs.lend(input_names(row))
