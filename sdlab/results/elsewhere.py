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
from .frame import column_values, count_noun, row_tuples, to_plain

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
    errors, nobody = column_values(frame, "error"), [None] * len(frame)
    sources = column_values(frame, "source") if "source" in frame.columns else nobody
    rows = zip(frame.index, errors, sources, row_tuples(frame, FIELDS))
    for index, error, source, row in rows:
        fields = {name: value for name, value in zip(FIELDS, row) if value is not None}
        try:
            request = make_request(fields, error, places)
            own = find_native(request, natives)
            if own.layout.is_xl and source in FROM_ITS_LAYER and request.clip_skip:
                request = request.but(clip_skip=request.clip_skip - 1)
            require_renderable(request, own)
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


def require_renderable(request: Request, own: Native) -> None:
    """Refuses what `run` would refuse before it loads a model."""
    recipe = resolve(request, own)
    check_prompts([recipe], {recipe.model: own})
    check_pictures([recipe])
