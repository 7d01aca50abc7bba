"""Probes: questions to image models as data, each of which becomes a sweep."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence
from typing import Any

import pandas as pd

from ...errors import FieldError
from ...models.rows import MODELS
from ...recipe.request import FIELDS, Request
from ...recipe.sweep import Sweep, sweep
from ..frame import distinct_values, join_words
from .little import LITTLE_PROBES
from .real import REAL_PROBES
from .table import NO_SCORER, Finding, Probe, Probes, name_world

__all__ = [
    "PROBES",
    "Finding",
    "Probe",
    "choose_columns",
    "find_guessing",
    "lacks_opposites",
    "list_asked",
    "probe",
]

PROBES = Probes({row.name: row for row in (*LITTLE_PROBES, *REAL_PROBES)})


def probe(name: str, **axes: Any) -> Sweep:
    """Makes the sweep that puts a probe's question: all its wordings and arms, with its seeds.

    Parameters
    ----------
    name : str
        In `PROBES`, which a notebook shows as a table.
    **axes
        As those of `sweep`, in place of the probe's own or beside them: `model=[...]`,
        `seed=range(8)`, `guidance_scale=9`.

    Returns
    -------
    Sweep
        Its requests have labels, which are columns in the frame of `run`: `probe`, the name, and
        where there are arms `arm` and `wording`, the prompt that they have in common.

    Raises
    ------
    TypeError, ValueError
        If there is no such probe or field, or an arm of the probe says what the field is.

    Examples
    --------
    >>> results = measure(run(probe("tiny-relations", seed=range(2)), "store"))
    >>> stats.rate(results, by=["model", "arm"])
    """
    row = find_probe(name)
    values = {"model": row.models, **row.axes, "seed": range(row.seeds)} | axes
    base = Request(labels={"probe": row.name})
    if row.arms:
        out = combine_arms(row, base, values)
    else:
        out = sweep(base, **{"model": row.models, "prompt": row.prompts} | values)
    warn_of_strangers(row, out)
    return out


def find_probe(name: str) -> Probe:
    """Finds a probe, or says which is meant."""
    if not isinstance(name, str) or name not in PROBES:
        raise ValueError(PROBES.explain_absence(name))
    return PROBES[name]


def combine_arms(row: Probe, base: Request, values: dict[str, Any]) -> Sweep:
    """Combines the values with each wording in each arm."""
    told = {"prompt", *itertools.chain(*row.arms.values())}
    for name in told & values.keys():
        raise FieldError(
            f"{name}: the arms of probe {row.name!r} ({', '.join(row.arms)}) say what it is; leave"
            " it out, or make a sweep of your own",
            name,
        )
    parts = [sweep(request, **values) for request in row.list_requests()]
    cells = [cell for part in parts for cell in part]
    arms = {
        name: list(dict.fromkeys(getattr(cell, name) for cell in cells))
        for name in FIELDS
        if name in told
    }
    return Sweep(cells, base, arms | parts[0].axes, parts[0].replace)


def warn_of_strangers(row: Probe, cells: Sweep) -> None:
    """Warns of models from another world than the probe's words."""
    models = {cell.model for cell in cells} & MODELS.keys()
    world = name_world(row.models[0])
    strangers = sorted(name for name in models if name_world(name) != world)
    if strangers:
        warnings.warn(
            f"probe {row.name!r} is about {world}, and {', '.join(strangers)} knows another one:"
            " its answers say little",
            stacklevel=3,
        )


def list_asked(frame: pd.DataFrame) -> list[Probe]:
    """Lists the probes whose pictures a frame has, by its column `probe`."""
    names = distinct_values(frame, "probe") if "probe" in frame.columns else []
    return [PROBES[name] for name in names if isinstance(name, str) and name in PROBES]


def find_guessing(frame: pd.DataFrame, column: str) -> float | None:
    """Finds the share of a column that guessing gives, where that is known of the frame's probe.

    It is that of arms that are each other's opposites together: a model that always places things
    alike has one right and the other wrong.
    """
    asked = list_asked(frame)
    if len(asked) != 1 or asked[0].column != column or frame["probe"].ne(asked[0].name).any():
        return None
    return None if lacks_opposites(frame, column) else asked[0].guessing


def lacks_opposites(frame: pd.DataFrame, column: str) -> bool:
    """Tells whether arms are there whose opposites, which a habit decides with them, are not."""
    asked = list_asked(frame)
    if len(asked) != 1 or asked[0].column != column or asked[0].guessing is None:
        return False
    arms = set(distinct_values(frame, "arm")) if asked[0].arms else set()
    groups = asked[0].opposites or (tuple(asked[0].arms),)
    return not all(arms.issuperset(group) or arms.isdisjoint(group) for group in groups)


def choose_columns(frame: pd.DataFrame, column: str | Sequence[str] | None) -> list[str]:
    """Chooses the columns that answer: those given, else the one of the frame's probe.

    Warns where the scorer of a probe gave another column than those, which answers another
    question; raises where none is given, and the frame is not of one question that a column
    answers.
    """
    asked = list_asked(frame)
    if column is None:
        if frame.empty:
            raise ValueError("the frame has no rows; does a query leave nothing over?")
        return [choose_column(asked, frame)]
    columns = [column] if isinstance(column, str) else list(column)
    for row in asked:
        odd = [name for name in columns if str(name).startswith(f"{row.scorer}_")]
        if odd and row.column not in columns:
            warnings.warn(
                f"probe {row.name!r} is scored by {row.column!r} ({row.question});"
                f" {join_words(map(repr, odd))} does not tell that. Leave the column out to have"
                " the probe's own",
                stacklevel=3,
            )
    return columns


def choose_column(asked: Sequence[Probe], frame: pd.DataFrame) -> str:
    """Chooses the column that answers all of these probes, or raises."""
    known = list(dict.fromkeys(row.column for row in asked))
    if len(known) == 1 and known[0]:
        if known[0] not in frame.columns:
            raise ValueError(
                f"the frame has no column {known[0]!r}, which answers probe {asked[0].name!r}:"
                " measure the pictures first, measure(frame)"
            )
        return known[0]
    people = [row for row in asked if row.scorer == NO_SCORER]
    told = "the frame has no column 'probe' that tells a probe of PROBES"
    if people:
        told = f"no column answers probe {people[0].name!r}: people judge it ({people[0].rule})"
    elif asked:
        each = join_words(f"{row.name!r} {row.column!r}" for row in asked)
        told = f"the probes of the frame have different ones: {each}; take one probe's rows"
    raise ValueError(f"column=None: {told}; or name a column of the frame")
