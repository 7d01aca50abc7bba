"""A frame of results as the Python that makes its requests again."""

from __future__ import annotations

import math
import os
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ..models.model import Model
from ..models.rows import MODELS
from ..pictures import HASH
from ..recipe.request import FIELDS, OPTIONAL, PROMPTS, SPECS, Request
from ..recipe.spec import SEEDS
from ..recipe.sweep import sweep
from ..store.columns import DECIDING_BITS
from .frame import (
    column_values,
    count_noun,
    distinct_values,
    find_inputs,
    find_label_columns,
    find_model_weights,
    format_value,
    hide_home,
    row_tuples,
    select_made,
    select_own,
    to_plain,
)

MOST_INPUTS = 20  # named in a comment
HOW = {"inherited": "scheduler options", "lora_layers": "layers on which LoRAs act"}  # facts
REQUIRED = tuple(  # no model decides these, and a missing one is not the default
    name for name, spec in SPECS.items() if name not in OPTIONAL and not spec.assumed
)


def write_grid_code(
    frame: pd.DataFrame, row: Sequence[str], col: Sequence[str], root: Path | None = None
) -> str:
    """Writes Python that makes the frame's requests, runs them and draws the grid again.

    Pictures that were not made here are left out, and that is said.
    """
    own = select_own(frame)
    if len(own) < len(frame):
        left = f"{count_noun(len(frame) - len(own), 'picture')} of {len(frame):,}"
        note = f"# {left} not made here: read_pictures reads such files, nothing makes them again\n"
        return note + ("" if own.empty else write_grid_code(own, row, col, root))
    axes = "".join(
        f", {side}={(names[0] if len(names) == 1 else list(names))!r}"
        for side, names in (("row", row), ("col", col))
        if names
    )
    return f"{write_results_code(frame, 'image_grid', root=root)}image_grid(results{axes})\n"


def write_results_code(
    frame: pd.DataFrame, *names: str, root: Path | None = None, other: str = "runs/again"
) -> str:
    """Writes Python that binds `results` to the frame of the same requests.

    Parameters
    ----------
    frame : DataFrame
        As `run` returns it.
    *names : str
        What else is imported from `sdlab`.
    root : Path, optional
        The folder of the store; found from the pictures' paths if left out.
    other : str
        The store's folder in the code, if there is no telling.
    """
    models, size = write_models_comment(frame), find_batch_size(frame)
    plan = models + write_plan(read_requests(frame)) + write_labels(frame)
    needed = ["Request", "Store", "run", "sweep", *names, *["MODELS", "Model"] * bool(models)]
    folder = name_store(frame, root) or other
    return (
        f"from sdlab import {', '.join(sorted(needed))}\n\n"
        f"{write_inputs_comment(frame, folder)}{plan}\n"
        f"results = run(plan, Store({folder!r}){f', batch_size={size}' if size else ''})\n"
    )


def list_recipes(frame: pd.DataFrame) -> dict[str, Any]:
    """Lists all requests for JSON: a row is `Request(**shared, **dict(zip(varying, row)))`.

    "facts" has what was recorded of each row, in the same form.
    """
    requests = read_requests(frame)
    shared, names = split_fields(requests)
    rows = [[getattr(request, name) for name in names] for request in requests]
    facts = list_facts(frame)
    return {"shared": shared, "varying": names, "rows": rows, "facts": facts}


def list_facts(frame: pd.DataFrame) -> dict[str, Any]:
    """Lists what else a picture's bits depend on, and their hash, as `list_recipes` does."""
    columns = {name: column_values(frame, name) for name in ("pixels", *DECIDING_BITS, *HOW)}
    for name, column in columns.items():
        shown = {v: hide_home(v) for v in set(column) if isinstance(v, str)}
        columns[name] = [shown.get(value, value) for value in column]
    known = {name: column for name, column in columns.items() if any(v is not None for v in column)}
    shared = {name: column[0] for name, column in known.items() if len(set(column)) == 1}
    varying = {name: column for name, column in known.items() if name not in shared}
    rows = list(map(list, zip(*varying.values()))) if varying else [[] for _ in range(len(frame))]
    return {"shared": shared, "varying": list(varying), "rows": rows}


def read_requests(frame: pd.DataFrame) -> list[Request]:
    """Makes requests of the frame's rows, without labels; None leaves a field to the model."""
    others = [name for name in FIELDS if name != "seed"]
    firsts: dict[tuple, Request] = {}  # rows are many, and most differ in their seeds alone
    requests = []
    for seed, rest in zip(column_values(frame, "seed"), row_tuples(frame, others)):
        if rest in firsts and type(seed) is int and 0 <= seed < SEEDS:
            requests.append(firsts[rest].but(seed=seed))
        else:
            both = zip(("seed", *others), (seed, *rest))
            requests.append(restore_request({n: v for n, v in both if v is not None}))
            firsts[rest] = requests[-1]
    return requests


def restore_request(fields: Mapping[str, Any]) -> Request:
    """Makes a request of what a row or a picture states, of an older version's seed too."""
    given = {name: undo_float(name, value) for name, value in fields.items()}
    seed = given.get("seed", 0)
    if not 0 <= seed < SEEDS:
        given["seed"] = int(seed % SEEDS)
        warnings.warn(
            f"seed {seed} is of an older version; seed={given['seed']} stands for it, which begins"
            " with the same noise (DPMSolverSDEScheduler goes on with other noise)",
            stacklevel=2,
        )
    return Request(**given)


def undo_float(name: str, value: Any) -> Any:
    """Makes a whole number again of what pandas may have made a float of."""
    whole = SPECS[name].kind == "whole" and isinstance(value, float) and value.is_integer()
    return int(value) if whole else value


def require_recipes(frame: pd.DataFrame) -> None:
    """Raises if a row lacks what nothing else tells: Request would put its default there."""
    for name in REQUIRED:
        rows = [row for row, value in zip(frame.index, column_values(frame, name)) if value is None]
        if rows:
            more = f" and {len(rows) - 1:,} more" if len(rows) > 1 else ""
            raise ValueError(
                f"row {to_plain(rows[0])!r} of the frame{more} has no {name}: a report states the"
                " whole recipe; fill it in, or leave such rows out with"
                f" frame.dropna(subset=[{name!r}])"
            )


def split_fields(requests: list[Request]) -> tuple[dict[str, Any], list[str]]:
    """Splits the fields into (those that all requests state alike, names of those that vary)."""
    found = {name: {getattr(request, name) for request in requests} for name in FIELDS}
    shared = {name: getattr(requests[0], name) for name in FIELDS if len(found[name]) == 1}
    stated = {name: value for name, value in shared.items() if value is not None}
    return stated, [name for name in FIELDS if len(found[name]) > 1]


# Where the pictures came from


def write_models_comment(frame: pd.DataFrame) -> str:
    """Writes a comment for each model whose name tells no weights in a fresh session."""
    lines = []
    for name, found in find_model_weights(frame).items():
        if not is_found_everywhere(name) or len(found) > 1:
            weights = " and ".join(map(format_value, found)) + ", one at a time" * (len(found) > 1)
            lines.append(
                f"# {name!r} is a name of its author for the weights {weights}: "
                f"MODELS[{name!r}] = Model(path='...')\n"
            )
    return "".join(lines)


def is_found_everywhere(name: str) -> bool:
    """Tells whether a fresh session finds the model by its name.

    It comes with sdlab, or sdlab looks for it, or it is a path.
    """
    model, place = MODELS.get(name), Path(name).expanduser()
    if isinstance(model, Model):
        return model.path is None or Path(model.path).is_relative_to(Path(__file__).parents[1])
    return place.is_file() or (place / "model_index.json").is_file()


def write_inputs_comment(frame: pd.DataFrame, folder: str) -> str:
    """Writes a comment that says where the input pictures are: requests have their hashes only."""
    given = [(field, name) for name, fields in find_inputs(frame).items() for field in fields]
    if not given:
        return ""
    lines = [f"# Request({field}='...')  # the path of {name}\n" for field, name in given]
    more = f"# and {len(lines) - MOST_INPUTS:,} more\n" if len(lines) > MOST_INPUTS else ""
    return (
        f"# The requests name their input pictures by content; Store({folder!r}) keeps these"
        f" pictures, such as\n# Store({folder!r}).input({given[0][1]!r}). Without that"
        " store save the pictures, a report shows them,\n# and give their paths first: the same"
        f" content has the same name.\n{''.join(lines[:MOST_INPUTS])}{more}\n"
    )


def find_batch_size(frame: pd.DataFrame) -> int | None:
    """Finds the one batch size of all pictures; the last bits of a picture depend on it."""
    found = set(column_values(select_made(frame), "batch_size"))
    return int(*found) if len(found) == 1 and found != {None} else None


def name_store(frame: pd.DataFrame, root: Path | None = None) -> str | None:
    """Names the store's folder for Python that opens it; None if there is no telling.

    If it is not below the current one, it is the last part alone: the others are private.
    """
    root = root or find_store_root(frame)
    last = f"runs/{root.name}" if root and root.name and root != Path.home() else None
    return name_store_near(frame, root) or last


def name_store_near(frame: pd.DataFrame, root: Path | None = None) -> str | None:
    """Names the store's folder as seen from the current one; None if it is not below that."""
    root, here = root or find_store_root(frame), Path.cwd()
    if not root or not root.is_relative_to(here) or here in Path.home().parents:
        return None  # from above the home folder, the path would tell the user
    return root.relative_to(here).as_posix()


def find_keeper(frame: pd.DataFrame) -> tuple[set[Path], list[str | None]]:
    """Finds (the stores that keep some of the pictures, each row's name there), None where nowhere.

    A picture that was made here is kept at ROOT/images/ab/KEY.png, and a found one, whose name is
    that of its content, at ROOT/elsewhere/ab/NAME.jpg or the like. A cell without a picture goes by
    its key.
    """
    homes: dict[str, tuple[Path | None, str]] = {}  # {folder: (the store's, how names begin)}
    folders, names = set[str](), list[str | None]()
    for path, key in zip(column_values(frame, "path"), column_values(frame, "key")):
        if not path:
            names.append(key)
            continue
        folder, _, file = path.rpartition(os.sep)
        if folder not in homes:
            homes[folder] = find_home(folder)
        home, begin = homes[folder]
        stem = file.rpartition(".")[0]
        if home and stem.startswith(begin) and HASH.fullmatch(stem):
            folders.add(folder)
            names.append(stem)
        else:
            names.append(None)
    return {home for home, _ in map(homes.__getitem__, folders) if home}, names


def find_home(folder: str) -> tuple[Path | None, str]:
    """Finds (the store whose pictures a folder holds, how their names begin there)."""
    place = Path(os.path.abspath(folder))
    is_store = place.parent.name in ("images", "elsewhere") and len(place.parents) > 1
    return (place.parents[1] if is_store else None), place.name


def find_store_root(frame: pd.DataFrame) -> Path | None:
    """Finds the folder of the store that holds all pictures, each at ROOT/images/ab/KEY.png."""
    known = [path for path in distinct_values(frame, "path") if path is not None]
    both = [os.path.split(path) for path in known]
    folders = {each: Path(os.path.abspath(each)) for each in {folder for folder, _ in both}}
    stored = all(path.parent.name == "images" for path in folders.values())
    stored = stored and all(name.startswith(folders[folder].name) for folder, name in both)
    roots = {path.parents[1] for path in folders.values()} if stored else set()
    return roots.pop() if len(roots) == 1 else None


# The list of requests


def write_plan(requests: list[Request]) -> str:
    """Writes Python that binds `plan` to these requests: a sweep if they are one, else a list."""
    shared, names = split_fields(requests)
    base = {name: escape_prompt(name, value) for name, value in shared.items()}
    of_model = find_model_facts(requests, names)
    follow = {name for facts in of_model.values() for name in facts}
    axes = find_axes(requests, [name for name in names if name not in follow])
    size = math.prod(map(len, axes.values()))
    if size == len(requests):  # else the sweep could be far larger than the list
        cells = sweep(Request(**base), **axes)
        if [cell.but(**of_model.get(cell.model, {})) for cell in cells] == requests:
            return write_sweep(base, axes, of_model)
    return write_list(requests)


def find_model_facts(requests: list[Request], names: list[str]) -> dict[str, dict[str, Any]]:
    """Finds {model: the fields in which it alone decides, such as its weights}; {} if none."""
    models = {request.model for request in requests}
    follow = [
        name
        for name in names
        if name != "model" and len({(r.model, getattr(r, name)) for r in requests}) == len(models)
    ]
    if len(models) == 1 or not follow:
        return {}
    return {r.model: {name: getattr(r, name) for name in follow} for r in requests}


def find_axes(requests: list[Request], names: list[str]) -> dict[str, list[Any]]:
    """Finds the axes of the sweep that these requests might be; what changes first is last."""
    columns = {name: [getattr(request, name) for request in requests] for name in names}
    first_change = {
        name: next(i for i, value in enumerate(found) if value != found[0])
        for name, found in columns.items()
    }
    return {
        name: [escape_prompt(name, value) for value in dict.fromkeys(columns[name])]
        for name in sorted(names, key=lambda name: first_change[name], reverse=True)
    }


def write_sweep(
    base: Mapping[str, Any], axes: Mapping[str, list[Any]], of_model: Mapping[str, dict[str, Any]]
) -> str:
    """Writes a sweep, and after it what each model has of its own."""
    given = "".join(f", {name}={write_axis(found)}" for name, found in axes.items())
    code = f"base = Request({write_arguments(base)})\n\nplan = sweep(base{given})\n"
    if of_model:
        rows = "".join(f"    {model!r}: {facts!r},\n" for model, facts in of_model.items())
        code += (
            f"\nof_model = {{\n{rows}}}\nplan = [cell.but(**of_model[cell.model]) for cell in"
            " plan]\n"
        )
    return code


def write_list(requests: list[Request]) -> str:
    """Writes a list of requests, a row for what sets each apart."""
    shared, names = split_fields(requests)
    rows = "".join(f"    {tuple(getattr(r, name) for name in names)!r},\n" for r in requests)
    given = "".join(f", {name}={name}" for name in names)
    targets = ", ".join(names) + "," * (len(names) == 1) or "_"
    return (
        f"shared = dict({write_arguments(shared)})\n\n"
        f"plan = [Request(**shared{given}) for {targets} in [\n{rows}]]\n"
    )


def write_labels(frame: pd.DataFrame) -> str:
    """Writes Python that gives the requests of `plan` their labels, if the prompt tells them."""
    names = find_label_columns(frame)
    pairs = list(zip(column_values(frame, "prompt"), row_tuples(frame, names)))
    labels_of = dict(pairs)
    if not names or any(labels_of[prompt] != found for prompt, found in pairs):
        return ""
    given = {
        prompt: {n: v for n, v in zip(names, found) if v is not None}
        for prompt, found in labels_of.items()
    }
    rows = "".join(f"    {prompt!r}: {labels!r},\n" for prompt, labels in given.items())
    return (
        f"\nlabels = {{\n{rows}}}\nplan = [cell.but(labels=labels[cell.prompt]) for cell in plan]\n"
    )


def escape_prompt(name: str, value: Any) -> Any:
    """Escapes braces, which offer choices, in a prompt; a bar matters only after a backslash."""
    return re.sub(r"[{}]|(?<=\\)\|", r"\\\g<0>", value) if name in PROMPTS else value


def write_arguments(fields: Mapping[str, Any]) -> str:
    """Writes keyword arguments, a line each."""
    return "".join(f"\n    {name}={value!r}," for name, value in fields.items()) + "\n"


def write_axis(found: list[Any]) -> str:
    """Writes range(4) for [0, 1, 2, 3]; long texts on lines of their own."""
    whole = len(found) > 2 and all(isinstance(value, int) for value in found)
    if whole and found == list(range(found[0], found[-1] + 1)):
        return f"range({found[0]}, {found[-1] + 1})" if found[0] else f"range({found[-1] + 1})"
    text = repr(found)
    return text if len(text) < 80 else "[" + "".join(f"\n    {v!r}," for v in found) + "\n]"
