"""The checkpoints that sdlab knows by name: which are here, and where to get the others."""

from __future__ import annotations

import dataclasses
import shlex
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .locate import VARIABLE, describe_unfinished, locate_model
from .model import Model
from .rows import MODELS

if TYPE_CHECKING:
    import pandas as pd

PARTS = (  # of a repository; no duplicates
    *("*.json", "*.txt", "*/model.safetensors", "*/diffusion_pytorch_model.safetensors"),
)
MORE_PATTERNS = (  # of one with larger networks and other tokenizers
    *("*.model", "*.jinja", "*/model-*.safetensors", "*/diffusion_pytorch_model-*.safetensors"),
)
JOIN = """import diffusers
prior = diffusers.KandinskyV22PriorPipeline.from_pretrained({1!r})
decoder = diffusers.KandinskyV22Pipeline.from_pretrained({2!r})
parts = decoder.components | {{f"prior_{{n}}": part for n, part in prior.components.items()}}
diffusers.KandinskyV22CombinedPipeline(**parts).save_pretrained({0!r})
"""


def available(task: str | None = "txt2img") -> list[str]:
    """Lists the models on this machine that are made for a task; None is any task."""
    return [
        name
        for name, model in MODELS.items()
        if isinstance(model, Model)
        and task in (None, model.task)
        and not model.unsupported
        and model.locate(name)
    ]


def find_row(name: str, *, runs: bool = True) -> Model:
    """Finds the row of that name, with the path where it is on this machine.

    Raises
    ------
    FileNotFoundError
        It is not here; the text says where to get it.
    TypeError, ValueError
        It is no row, or, if `runs` asks for that, cannot be run.
    """
    row = require_row(name)
    if row.path is not None:
        return row
    if runs and row.unsupported:
        raise ValueError(f"model {name!r} ({row.title}) cannot be run: {row.unsupported}")
    place = row.locate(name)
    if place is None:
        raise FileNotFoundError(explain_absence(name, row))
    return dataclasses.replace(row, path=place)


def find_by_file(name: str) -> str:
    """Finds the name in `MODELS` of a checkpoint that goes by its file's name; else as it is."""
    rows = ((known, row) for known, row in MODELS.items() if isinstance(row, Model))
    files = {Path(row.file).stem: known for known, row in rows if row.file}
    return name if name in MODELS else files.get(name, name)


def find_downloaded(hub: str) -> Model | None:
    """Finds a repository on the hub, "owner/name", on this machine, as its row if it has one.

    Raises
    ------
    FileNotFoundError, ValueError
        It is a row's, and not here, or cannot be run.
    """
    rows = [name for name, row in MODELS.items() if isinstance(row, Model) and hub in row.hubs]
    row = find_row(rows[0]) if rows else Model()
    place = locate_model(hub, (hub,), row.file)
    return dataclasses.replace(row, path=place) if place else row if rows else None


def require_row(name: str) -> Model:
    """Refuses what somebody put into `MODELS` that is no row of it."""
    row: Any = MODELS[name]
    if not isinstance(row, Model):
        raise TypeError(f"MODELS[{name!r}] is {row!r:.80}; it should be a Model(path=...)")
    return row


def models_table() -> pd.DataFrame:
    """Shows `MODELS` as a frame, one row a model: what is here, and where to download the others.

    Returns
    -------
    DataFrame
        Indexed by name. `here` and `path` tell what is on this machine, `gigabytes` and `where`
        what is to be downloaded, `unsupported` why a model cannot be run.
    """
    import pandas as pd

    frame = pd.DataFrame([describe_row(name, require_row(name)) for name in MODELS])
    return frame.astype({"native_size": "Int64", "gigabytes": "Float64"}).set_index("name")


def describe_row(name: str, model: Model) -> dict[str, Any]:
    """Makes a model's line of the table; what its row leaves open, its own files say."""
    place, layout = model.locate(name), None
    with suppress(OSError, KeyError, TypeError, ValueError):  # not here, or not readable
        layout = model.layout if place and model.path else None
    copy = " (unofficial copy)" if model.unofficial and model.hub else ""
    nowhere = None if place or model.path else "no copy is known"
    return {
        "name": name,
        "title": model.title,
        "here": place is not None,
        "path": str(place) if place else None,
        "task": model.task,
        "licence": model.licence,
        "native_size": model.native_size or (layout and layout.height),
        "prediction_type": model.prediction_type or (layout and layout.prediction_type),
        "text_encoder": model.text_encoder,
        "watermark": model.watermark,
        "gigabytes": model.gigabytes,
        "where": f"{model.hub or model.file_hub}{copy}" or " and ".join(model.halves) or nowhere,
        "unsupported": model.unsupported,
    }


AT_HAND = "To try something alike at once, take tiny-v1, which comes with sdlab."


def explain_absence(name: str, model: Model) -> str:
    """Says where to get a checkpoint that is not on this machine, and where to put it."""
    size = f", about {model.gigabytes:g} GB" if model.gigabytes else ""
    source = " (a copy by somebody else than its authors)" if model.unofficial else ""
    single = [f"`hf download {model.file_hub} {model.file}`"] if model.file_hub else []
    patterns = PARTS if model.packed else (*PARTS, *MORE_PATTERNS)
    parts = " ".join(f"--include {shlex.quote(pattern)}" for pattern in patterns)
    hubs = filter(None, (model.hub, *model.halves))
    commands = [*single, *(f"`hf download {hub} {parts}`" for hub in hubs)]
    then = "Then it is found in the cache. "
    if model.halves:
        then = f"Then put both together, once:\n{JOIN.format(name, *model.halves)}\n"
    way = (
        f"To get it{source}{size}, licence {model.licence or 'stated there'}:"
        f" {(' and ' if model.halves else ' or ').join(commands)}. {then}"
        if commands
        else f"It was at {', '.join(model.was)}, and no copy is known (licence"
        f" {model.licence}{size}). "
    )
    return (
        f"model {name!r} ({model.title}) is not on this machine, and sdlab downloads nothing."
        f" {AT_HAND}\n{describe_unfinished(name, model.hubs)}{way}If you have it, as a folder in"
        f" diffusers' layout{f' or as {model.file}' if model.file else ''}: say MODELS[{name!r}] ="
        f" Model.from_path('...'), or put it, named {name!r} or as on the hub, into the folder"
        f" that the environment variable {VARIABLE} names"
    )
