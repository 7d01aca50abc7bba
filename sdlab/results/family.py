"""Pick and go on: variations of a picture, and which picture was made from which."""

from __future__ import annotations

from typing import Any

import pandas as pd
from PIL import Image

from ..pictures import hash_pixels
from ..recipe.request import FIELDS, PROMPTS
from ..recipe.spec import SEEDS
from ..recipe.sweep import Sweep, sweep
from .code import escape_prompt, restore_request
from .frame import UNREADABLE, column_values, to_plain

LEFT_OUT = ("image", "mask_image", "depth_map", "strength", "weights", "watermark")  # of its recipe


def variations(row: pd.Series, n: int = 8, strength: float = 0.6, **changes: Any) -> Sweep:
    """Makes requests that go on from a picture: its recipe, from its pixels, with other seeds.

    Several pictures as starting points of one prompt are
    `sweep(Request(prompt=..., strength=0.6), image=frame["path"])`.

    Parameters
    ----------
    row : Series
        Of a frame: `frame.iloc[0]`, or `grid.value.iloc[0]` of those that are starred. Its picture
        may be from elsewhere, if it has a prompt and a model, or they are among `changes`.
    n : int
        How many; their seeds follow the picture's own.
    strength : float
        0 to 1: how much may change.
    **changes
        Other fields, such as `prompt` or `model`.

    Returns
    -------
    Sweep

    Raises
    ------
    TypeError, ValueError
        The row has no picture, prompt or model, or a value is out of range.

    Examples
    --------
    >>> best = store.frame().query("starred").iloc[0]  # doctest: +SKIP
    >>> run(variations(best, 6, strength=0.5), store)  # doctest: +SKIP
    """
    if not isinstance(row, pd.Series):
        raise TypeError(
            f"variations() takes a row, such as frame.iloc[0], not {type(row).__name__}"
        )
    said = {name: to_plain(row.get(name)) for name in (*FIELDS, "path")}
    path = said.pop("path")
    if path is None:
        raise ValueError("this row has no picture to go on from")
    kept = {name: said[name] for name in FIELDS if name not in LEFT_OUT and said[name] is not None}
    fields = kept | changes
    if missing := [name for name in ("prompt", "model") if name not in fields]:
        raise ValueError(
            f"this row has no {missing[0]}; give one: variations(row, {missing[0]}=...)"
        )
    base = restore_request(fields).but(image=path, strength=strength)
    plain = {name: escape_prompt(name, getattr(base, name)) for name in PROMPTS}
    return sweep(base.but(**plain), seed=[(base.seed + k) % SEEDS for k in range(1, n + 1)])


def find_parents(frame: pd.DataFrame) -> list[int | None]:
    """Finds where the picture stands that each row was made from, counted from 0; None if nowhere.

    Pictures are known by their content: the `image` of a row is the `pixels` of another. Those
    without `pixels`, from elsewhere, are decoded.
    """
    wanted = {image for image in column_values(frame, "image") if image is not None}
    if not wanted:
        return [None] * len(frame)
    places: dict[str, int] = {}
    both = zip(column_values(frame, "pixels"), column_values(frame, "path"))
    for number, (pixels, path) in enumerate(both):
        name = pixels or (read_name(path) if path else None)
        if name is not None and name in wanted:
            places.setdefault(name, number)
    return [places.get(image) for image in column_values(frame, "image")]


def read_name(path: str) -> str | None:
    """Reads the name that a picture has as an input; None if it cannot be read."""
    try:
        with Image.open(path) as image:
            return hash_pixels(image.convert("RGB"))
    except UNREADABLE:
        return None


def made_from(frame: pd.DataFrame) -> pd.Series:
    """Names the picture that each row was made from: by its key, else by its path.

    Returns
    -------
    Series
        Missing where a row began with noise, or with a picture that the frame does not have.
        `frame.assign(made_from=made_from(frame))` is the family tree.
    """
    names = [
        key or path for key, path in zip(column_values(frame, "key"), column_values(frame, "path"))
    ]
    found = [None if place is None else names[place] for place in find_parents(frame)]
    return pd.Series(found, frame.index, "string", name="made_from")
