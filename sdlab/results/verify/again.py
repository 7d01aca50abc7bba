"""Cells are rendered again, each as it was recorded, as far as this machine can."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import FieldError
from ...models.resolve import resolve
from ...recipe.request import Request
from ...render.job import run
from ...render.options import Options
from ...render.plan import plan
from ...store.columns import IF_TRUE
from ...store.store import Store
from ..code import restore_request
from ..frame import column_values
from .cases import FACTS, Case

ASKED = ("batch_size", "device", "dtype", "memory")  # of what was recorded, what `run` takes


@dataclass(frozen=True)
class Again:
    """What came of rendering a case again: a picture with its facts, or why there is none."""

    path: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    refused: str = ""
    cause: str = ""  # in a word, such as "weights"


def render_again(
    cases: list[Case], folder: Path, given: Mapping[str, Any], progress: bool
) -> list[Again]:
    """Renders all cases into a store of their own.

    Parameters
    ----------
    cases : list of Case
    folder : Path
        A new one, for the pictures.
    given : mapping
        Options of `run` that are to count in place of those that were recorded.
    """
    found: dict[int, Again] = {}
    groups: dict[tuple, dict[int, Request]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they were said when the pictures were made
        for i, case in enumerate(cases):
            request = make_request(case, folder)
            if isinstance(request, Again):
                found[i] = request
            else:
                options = choose_options(case.facts, given)
                groups.setdefault(tuple(options.items()), {})[i] = request
        for number, (how, requests) in enumerate(groups.items()):
            store = Store(folder / str(number))  # one recipe may have been made in several ways
            more: dict[str, Any] = {**dict(how), "keep_latents": False, "progress": progress}
            made = run(requests.values(), store, **more)
            found |= zip(requests, read_made(made))
    return [found[i] for i in range(len(cases))]


def make_request(case: Case, folder: Path) -> Request | Again:
    """Makes the case's request, checked as before a run; or says why it cannot be rendered."""
    if case.lacks:
        return Again(refused=case.lacks, cause="recipe")
    try:
        request = restore_request(case.fields)
        plan([request], Store(folder / "checked"))
    except FieldError as error:
        return Again(refused=str(error), cause=name_cause(error, case))
    except (OSError, TypeError, ValueError) as error:
        return Again(refused=str(error), cause="recipe")
    return request


def name_cause(error: FieldError, case: Case) -> str:
    """Names what is to blame: weights where the model is here, and is another one."""
    if error.field != "model" or "weights" not in case.fields:
        return error.field
    try:
        resolve(restore_request({**case.fields, "weights": None}))
    except (OSError, TypeError, ValueError):
        return "model"
    return "weights"


def choose_options(facts: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Chooses the options of `run`: as recorded, where this machine can, if not given otherwise."""
    recorded = {name: facts[name] for name in ASKED if name in facts}
    options = {**recorded, **{name: value for name, value in given.items() if value is not None}}
    try:
        Options(**options)
    except ValueError:
        if "device" in given and given["device"] is not None:
            raise
        options.pop("device", None)
    return options


def read_made(made: Any) -> Iterator[Again]:
    """Reads a frame of `run`, row by row."""
    columns = {name: column_values(made, name) for name in (*FACTS, "path", "error")}
    for values in zip(*columns.values()):
        row = {name: value for name, value in zip(columns, values) if value is not None}
        path, error = row.pop("path", None), row.pop("error", "it was not rendered")
        yield Again(path, row) if path else Again(refused=error, cause="rendering")


def list_changes(case: Case, again: Again) -> dict[str, tuple[Any, Any]]:
    """Lists {what may change bits: (as recorded, here)} of what was recorded and differs.

    Where the machine was recorded, that nothing is said of `IF_TRUE` says that it was not so.
    """
    unsaid = dict.fromkeys(IF_TRUE, False) if "dtype" in case.facts else {}
    then, here = {**unsaid, **case.facts}, {**unsaid, **again.facts}
    return {
        name: (then[name], here.get(name))
        for name in FACTS
        if name in then and then[name] != here.get(name)
    }
