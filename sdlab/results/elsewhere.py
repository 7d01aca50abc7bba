"""Pictures that were not made here: which of them can be made again, and why others cannot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from ..errors import FieldError
from ..models.catalogue import find_by_file
from ..models.resolve import Native, native, resolve
from ..recipe.parts import Lora, join_items, read_loras
from ..recipe.request import FIELDS, Request
from ..render.plan import check_pictures, check_prompts
from ..watermark.labels import find_writer
from .code import restore_request
from .frame import count_noun, row_tuples, to_plain
from .origins import SEEN

NEEDED = {  # what no model decides: why a row without it cannot be rendered
    "prompt": "it says no prompt",
    "model": "it says no model",
    "seed": "it says no seed, so its noise is unknown",
}
NO_PICTURE = "it begins with a picture that the file does not hold; give it in the column 'image'"
# Of SDXL, A1111 leaves out no more layers than natively unless told to, and Forge counts from
# the one that SDXL reads: both write 2 for that.
FROM_ITS_LAYER = tuple(map(find_writer, ("Steps: 20, ", "Version: f2.0")))
EMPTY: Mapping[str, str] = {}


class Renderable(list[Request]):
    """The requests of a frame's rows that can be rendered here, in order.

    Attributes
    ----------
    rows : list
        Which row of the frame each is of, by its index.
    reasons : dict
        {row: why it cannot be rendered here}, for the others.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[Hashable] = []
        self.reasons: dict[Hashable, str] = {}

    def __repr__(self) -> str:
        lost = Counter(self.reasons.values()).most_common(5)
        why = "".join(f"\n{count_noun(count, 'row')}: {reason}" for reason, count in lost)
        return f"{count_noun(len(self), 'request')} of {len(self) + len(self.reasons):,} rows{why}"


def requests(frame: pd.DataFrame, places: Mapping[str, str] = EMPTY) -> Renderable:
    """Makes requests of the rows that can be rendered here, and says why of the others.

    A row that has something in `not_translated` makes another picture than its file's: its
    nearest here. `frame[frame["not_translated"].isna()]` leaves such rows out.

    Parameters
    ----------
    frame : DataFrame
        As `read_pictures` returns it, or `run`.
    places : mapping, optional
        {name of a checkpoint, VAE or LoRA in the frame: its name or path here}. Checkpoints that
        `MODELS` knows are found by their authors' file names.

    Returns
    -------
    Renderable
        A list for `run`, with `rows` and `reasons`.

    Examples
    --------
    >>> found = requests(read_pictures("downloads"), {"dreamshaper_8": "/models/ds8.safetensors"})
    >>> found.reasons  # doctest: +SKIP
    >>> run(found, "runs/again")  # doctest: +SKIP
    """
    found, natives = Renderable(), dict[str, Native | FieldError]()
    told = row_tuples(frame, ["error", "source", *FIELDS])
    for index, (error, source, *row) in zip(frame.index, told):
        fields = {name: value for name, value in zip(FIELDS, row) if value is not None}
        try:
            request = make_request(fields, error, places)
            own = find_native(request, natives)
            request = count_layers(request, own, source)
            recipe = resolve(request, own)  # `run` would refuse the rest before it loads a model
            check_prompts([recipe], {recipe.model: own})
            check_pictures([recipe])
        except ValueError as problem:
            found.reasons[to_plain(index)] = str(problem)
        else:
            found.append(request)
            found.rows.append(to_plain(index))
    return found


def make_request(fields: dict[str, Any], error: str | None, places: Mapping[str, str]) -> Request:
    """Makes a row's request, or raises ValueError with the reason why there is none."""
    if error:
        raise ValueError(error)
    for name, reason in NEEDED.items():
        if name not in fields:
            raise ValueError(reason)
    if "strength" in fields and "image" not in fields:
        raise ValueError(NO_PICTURE)
    fields["model"] = places.get(fields["model"]) or find_by_file(fields["model"])
    if "vae" in fields:
        fields["vae"] = places.get(fields["vae"], fields["vae"])
    if "lora" in fields:
        loras = read_loras(fields["lora"])
        fields["lora"] = join_items(
            Lora(places.get(each.path, each.path), each.scale) for each in loras
        )
    return restore_request(fields)


def count_layers(request: Request, own: Native, source: str | None) -> Request:
    """Counts the layers that are left out of SDXL's text encoders as sdlab does."""
    counts = own.layout.is_xl and source in FROM_ITS_LAYER and request.clip_skip
    return request.but(clip_skip=request.clip_skip - 1) if counts else request


def restore_claims(row: Mapping[str, Any], file: str) -> tuple[Request, list[str]]:
    """Makes a request of what a file says, and lists in words what it lacks and cannot hold.

    Unlike those of `requests`, it need not be one that can be rendered here.

    Parameters
    ----------
    row : mapping
        Of a frame of `read_pictures`, or as its readers give it.
    file : str
        What people call it.

    Raises
    ------
    ValueError
        It says nothing that a request has, or of it there is an error.
    """
    require_claims(row, file)
    fields = {name: row[name] for name in FIELDS if row.get(name) is not None}
    if "model" in fields:
        fields["model"] = find_by_file(fields["model"])
    said = [f"written by {row['source']}"] * bool(row.get("source"))
    if row["not_translated"]:
        said.append(
            f"without counterpart here: {row['not_translated']}. So another picture results"
        )
    said += [reason for name, reason in NEEDED.items() if name not in fields]
    said += [NO_PICTURE] * ("strength" in fields and "image" not in fields)
    request = restore_fitting(fields, said)
    try:
        return count_layers(request, native(request.model), row["source"]), said
    except FieldError:  # it is not here
        unsure = request.clip_skip and row["source"] in FROM_ITS_LAYER
        return request, said + ["of SDXL clip_skip would be one less"] * bool(unsure)


def require_claims(row: Mapping[str, Any], file: str) -> None:
    """Refuses a file that cannot be read, and one that says nothing that a request has."""
    if row.get("error"):
        raise ValueError(row["error"])
    if not states_recipe(row):
        said = ": ".join(row[name] for name in ("source", "not_translated") if row.get(name))
        raise ValueError(
            f"{file!r:.120} carries no recipe that sdlab reads{f' ({said})' * bool(said)}; many"
            " programs and websites remove it"
        )


def states_recipe(row: Mapping[str, Any]) -> bool:
    """Tells whether a file says more of its making than anybody sees."""
    return any(row.get(name) is not None for name in FIELDS if name not in SEEN)


def restore_fitting(fields: dict[str, Any], said: list[str]) -> Request:
    """Makes a request of the fields that it can hold, and says which it cannot."""
    while True:
        try:
            return restore_request(fields)
        except FieldError as error:
            if error.field not in fields:
                raise
            said.append(f"not taken: {error}")
            del fields[error.field]


def find_native(request: Request, natives: dict[str, Native | FieldError]) -> Native:
    """Finds the request's model, or raises why it cannot be run; both are kept in `natives`."""
    if request.model not in natives:
        try:
            natives[request.model] = native(request.model)
        except FieldError as error:
            natives[request.model] = error
    own = natives[request.model]
    if isinstance(own, FieldError):
        raise own
    return own
