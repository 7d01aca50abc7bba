"""Probes: questions to image models as data, each of which becomes a sweep."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

from ...errors import FieldError, suggest
from ...models.catalogue import MODELS
from ...recipe.request import FIELDS, Request
from ...recipe.sweep import Sweep, sweep
from .little import LITTLE_PROBES
from .real import REAL_PROBES
from .table import Finding, Probe, Probes, name_world

__all__ = ["PROBES", "Finding", "Probe", "probe"]

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
    >>> results = measure(run(probe("tiny-relations", seed=range(2)), "store"), "objects")
    >>> stats.rate(results, PROBES["tiny-relations"].column, by=["model", "arm"])
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
        raise ValueError(
            f"unknown probe {name!r:.60}{suggest(name, PROBES)} PROBES has {', '.join(PROBES)}"
        )
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
