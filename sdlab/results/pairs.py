"""Rows of a frame that agree in all but one column: the two pictures of a fair comparison, and what makes it less fair."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ..models.catalogue import MODELS, Model
from ..models.heads import read_shapes
from ..models.locate import PARTS, part_weights
from ..models.resolve import find
from ..recipe.request import FIELDS, PROMPTS, SPECS
from ..store.columns import CHOSEN, UNTELLING
from .frame import (
    brief,
    counted,
    distinct,
    hide_home,
    label_columns,
    text_of,
    tuples,
    values,
    varying,
)

if TYPE_CHECKING:
    from PIL.Image import Image

UNKNOWN = "unknown"
ALWAYS_TOLD = (
    "text encoder",
    "training data",
)  # what two models are, even where it is the same words


@dataclass(frozen=True, eq=False, repr=False)
class Pairing:
    """Pairs of pictures that differ in one column.

    Attributes
    ----------
    by : str
        The column.
    left, right : Any
        Its two values that are compared.
    values : tuple
        All that it has, in order of first appearance.
    pairs : tuple of (int, int)
        Where the left and the right row of each pair stand in the frame, counted from 0.
    follow : dict of str to (Any, Any)
        The fields, dtype and batch size that change with the column and with nothing else: left
        value, right value.
    alone : tuple of int
        Where rows of the two values stand that have a picture but no partner.
    varying : tuple of str
        The columns that set the pairs apart.
    source : DataFrame
        What was paired.
    """

    by: str
    left: Any
    right: Any
    values: tuple[Any, ...]
    pairs: tuple[tuple[int, int], ...]
    follow: dict[str, tuple[Any, Any]]
    alone: tuple[int, ...]
    varying: tuple[str, ...]
    source: pd.DataFrame = field(repr=False)

    def __len__(self) -> int:
        return len(self.pairs)

    def __repr__(self) -> str:
        without = f", {counted(len(self.alone), 'picture')} without a partner" if self.alone else ""
        return (
            f"{counted(len(self), 'pair')} by {self.by}: {text_of(self.left)} and"
            f" {text_of(self.right)}{without}"
        )

    @property
    def frame(self) -> pd.DataFrame:
        """One row a pair: the fields and labels that it shares, those that vary first, and the key and path of each side."""
        left, right = (self.source.iloc[list(side)] for side in zip(*self.pairs))
        stated = [
            name
            for name in dict.fromkeys((*self.varying, *FIELDS, *label_columns(left)))
            if name in left.columns
            and name != self.by
            and values(left, name) == values(right, name)
        ]
        named = {
            f"{side}_{name}": rows[name].array
            for name in ("key", "path")
            if name in left.columns
            for side, rows in (("left", left), ("right", right))
        }
        return left[stated].reset_index(drop=True).assign(**named)


def pair(frame: pd.DataFrame, by: str, left: Any = None, right: Any = None) -> Pairing:
    """Pair the rows that agree in all else: in every field of the recipe but those that follow `by`.

    A field follows if each value of `by` has one value of it in the whole frame, as a model has its
    weights and often its native size, scheduler and guidance. Prompt and seed never do. If `by`
    names a choice in the prompts, the choices tell the prompts apart, else the prompts themselves
    do. Rows without a picture, and those without a value where `by` is no field, are left aside.

    Parameters
    ----------
    frame : DataFrame
        One row an image, as `run` returns it.
    by : str
        Any column: a field, a choice in the prompts, a fact such as "dtype".
    left, right : Any
        The two values; the first that appear if left out.

    Raises
    ------
    TypeError, ValueError
        If there is no such column or value, nothing to compare, no pair, or one recipe several
        times.

    Examples
    --------
    >>> pair(results, "model", "tiny-v1", "tiny-v2").frame
    """
    require_columns(frame, by)
    found = [value for value in distinct(frame, by) if value is not None or by in FIELDS]
    left, right = sides(found, by, left, right)
    known = set(found)
    shown = [
        i
        for i, (path, value) in enumerate(tuples(frame, ["path", by]))
        if path is not None and value in known
    ]
    rows = frame.iloc[shown]
    follow = following(rows, by, left, right)
    same = compared(rows, by, follow)
    ones, others = (places(frame, shown, by, value, same) for value in (left, right))
    pairs = tuple((i, others[place]) for place, i in ones.items() if place in others)
    if not pairs:
        raise ValueError(no_pair(rows, by, left, right, same))
    alone = {*ones.values(), *others.values()}.difference(*pairs)
    apart = tuple(varying(frame.iloc[[i for i, _ in pairs]]))
    return Pairing(by, left, right, tuple(found), pairs, follow, tuple(sorted(alone)), apart, frame)


def require_columns(frame: pd.DataFrame, by: str) -> None:
    """Raise unless this is a frame of pictures with such a column."""
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(f"pair takes the frame of run(), not {type(frame).__name__}")
    columns = [str(name) for name in frame.columns]
    if by not in frame.columns:
        near = difflib.get_close_matches(str(by), columns, 1, 0.5)
        raise ValueError(
            f"by={by!r} is no column of the frame{f'; did you mean {near[0]!r}?' if near else ';'} "
            f"it has {', '.join(columns)}"
        )
    if "path" not in frame.columns:
        raise ValueError(
            f"the frame has no column 'path' that leads to pictures; it has {', '.join(columns)}"
        )


def sides(found: list[Any], by: str, left: Any, right: Any) -> tuple[Any, Any]:
    """The two values to compare, both of which the column has."""
    if len(found) < 2:
        raise ValueError(
            f"{by} has {f'one value only, {text_of(found[0])}' if found else 'no value'}: there is"
            f" nothing to compare; run the same requests with another {by}, or pair by another"
            " column"
        )
    for name, given in (("left", left), ("right", right)):
        if given is not None and given not in found:
            near = difflib.get_close_matches(str(given), map(str, found), 1, 0.5)
            raise ValueError(
                f"{name}={given!r} is no value of"
                f" {by}{f'; did you mean {near[0]!r}?' if near else ';'} it has {brief(found)}"
            )
    if left is None:
        left = next(value for value in found if right is None or value != right)
    if right is None:
        right = next(value for value in found if value != left)
    if left == right:
        raise ValueError(f"left and right are both {left!r}; {by} has {brief(found)}")
    return (
        found[found.index(left)],
        found[found.index(right)],
    )  # a NumPy number as the plain one that it equals


# Which rows belong together


def following(rows: pd.DataFrame, by: str, left: Any, right: Any) -> dict[str, tuple[Any, Any]]:
    """{what changes with `by` and with nothing else: (its value left, its value right)}"""
    found = {}
    for name in (*FIELDS, *CHOSEN):
        both = set(tuples(rows, [by, name]))
        value_of = dict(both)
        if (
            name != by
            and not (name in SPECS and SPECS[name].independent)
            and len(both) == len(value_of)
            and value_of.get(left) != value_of.get(right)
        ):
            found[name] = value_of.get(left), value_of.get(right)
    return found


def compared(rows: pd.DataFrame, by: str, follow: dict[str, Any]) -> list[str]:
    """The columns in which the two rows of a pair agree."""
    same, labels = (
        [name for name in FIELDS if name != by and name not in follow],
        label_columns(rows),
    )
    if by not in labels:
        return same
    others = [name for name in labels if name != by]
    explained = len(set(tuples(rows, labels))) == len(set(tuples(rows, [*labels, *PROMPTS])))
    return others + [name for name in same if not explained or name not in PROMPTS]


def places(
    frame: pd.DataFrame, shown: list[int], by: str, value: Any, same: list[str]
) -> dict[tuple, int]:
    """{what a row of this value shares with its partner: where it stands}"""
    found: dict[tuple, int] = {}
    for i, own, place in zip(shown, values(frame.iloc[shown], by), tuples(frame.iloc[shown], same)):
        if own == value and place in found:
            raise ValueError(repeated(frame.iloc[[found[place], i]], by, value))
        if own == value:
            found[place] = i
    return found


def repeated(rows: pd.DataFrame, by: str, value: Any) -> str:
    """Why two rows cannot both be shown: which of them would be the evidence?"""
    differ = ", ".join(
        str(name)
        for name in rows.columns
        if name not in UNTELLING and len(distinct(rows, name)) > 1
    )
    if "key" not in rows.columns or len(distinct(rows, "key")) > 1:
        return (
            f"two images with {by}={value!r} agree in all that is"
            f" compared{differ and f' and differ in {differ}'}; narrow the frame to one of them"
        )
    key = "'key'" if by in (*FIELDS, *label_columns(rows)) else f"['key', {by!r}]"
    return (
        f"two images with {by}={value!r} are one recipe, several times in the frame"
        f"{differ and f'; they differ in {differ}'}; frame.drop_duplicates({key}) keeps one of each"
    )


def no_pair(rows: pd.DataFrame, by: str, left: Any, right: Any, same: list[str]) -> str:
    """Why no two rows belong together."""
    ones, others = (rows[[own == value for own in values(rows, by)]] for value in (left, right))
    for value, found in ((left, ones), (right, others)):
        if found.empty:
            return (
                f"no row with {by}={value!r} has a picture; its errors are in"
                " frame.query('path.isna()')"
            )
    both = {name: (distinct(ones, name), distinct(others, name)) for name in same}
    never = [
        f"{name} ({brief(a)} against {brief(b)})"
        for name, (a, b) in both.items()
        if not set(a) & set(b)
    ]
    some = [name for name, (a, b) in both.items() if len({*a, *b}) > 1]
    return (
        f"no picture with {by}={left!r} has a partner with {by}={right!r}: "
        + (
            f"always different: {', '.join(never)}"
            if never
            else f"no two agree in all of {', '.join(some)}"
        )
        + "; run the same requests with both, or pair by another column"
    )


# What is not held constant


def not_constant(pairing: Pairing) -> list[tuple[str, str, str]]:
    """[(what, left, right)] in plain words: what changes between the two sides beside the column itself.

    Of two models it is what their rows in `sdlab.MODELS` and their folders say now; a model that is
    not there any more is "unknown". Text encoder and training data are named even if they are the
    same, unless neither is known.
    """
    rows = {name: (text_of(one), text_of(other)) for name, (one, other) in pairing.follow.items()}
    if {"height", "width"} <= rows.keys():
        rows["size"] = tuple(f"{w}x{h}" for w, h in zip(rows.pop("width"), rows.pop("height")))
    if pairing.by == "model":
        left, right = facts_of(pairing.left), facts_of(pairing.right)
        told = {
            what: (left.get(what, UNKNOWN), right.get(what, UNKNOWN)) for what in {**left, **right}
        }
        rows.pop("weights", None)  # no two models have the same
        if rows.get("size") == told.get("native size"):
            rows.pop("size", None)
        rows = told | rows
    return [
        (what, one, other)
        for what, (one, other) in rows.items()
        if one != other or (what in ALWAYS_TOLD and one != UNKNOWN)
    ]


def facts_of(name: str) -> dict[str, str]:
    """What a model's row and folder say, in the words of a table; {} if there is no such model."""
    try:
        model = find(name)
    except (OSError, TypeError, ValueError):
        model = MODELS.get(name)  # its row tells something even where its weights are not
    if not isinstance(model, Model):
        return {}
    known = {
        "title": model.title or hide_home(name),
        "text encoder": model.text_encoder or UNKNOWN,
        "training data": model.trained_on or UNKNOWN,
    }
    if model.native_size and model.prediction_type:
        known |= {
            "native size": f"{model.native_size}x{model.native_size}",
            "prediction type": model.prediction_type,
        }
    try:
        stated, size = model.layout, parameters(model.place)
    except (
        OSError,
        KeyError,
        TypeError,
        ValueError,
    ):  # the weights are not here, or no longer a model's
        return known
    text = model.text_encoder or f"{stated.text_layers} layers of width {stated.text_width}"
    return known | {
        "text encoder": text,
        "native size": f"{stated.width}x{stated.height}",
        "parameters": size,
        "prediction type": stated.prediction_type,
    }


def parameters(folder: Path) -> str:
    """How many numbers text encoder, UNet and VAE have, from the heads of their files."""
    parts = (part_weights(folder / part) for part in PARTS)
    files = [folder] if folder.is_file() else [file for files in parts for file in files]
    total = sum(math.prod(shape) for file in files for shape in read_shapes(file).values())
    if not total:
        return UNKNOWN
    return f"{total / 1e6:,.0f} million" if total >= 1e8 else f"{total / 1e6:.1f} million"


# The difference itself


def difference(left: Image, right: Image, gain: float = 4.0) -> Image:
    """The picture of what changes from left to right: 128 + gain * (right - left) in each channel, clipped, RGB.

    Middle grey is no change. If the pictures differ in size, the larger is first brought to the
    smaller's; one of other proportions is stretched.

    Raises
    ------
    TypeError, ValueError
        If `gain` is no finite number above 0.
    """
    import numpy as np
    from PIL import Image

    if isinstance(gain, bool) or not isinstance(gain, Real):
        raise TypeError(f"gain={gain!r} is no number; 4 shows a change of 32 as the strongest")
    if not 0 < gain < math.inf:
        raise ValueError(
            f"gain={gain!r} is not above 0 and finite; 4 shows a change of 32 as the strongest"
        )
    size = min(left.size, right.size, key=math.prod)
    one, other = (
        np.asarray(image.convert("RGB").resize(size, Image.Resampling.LANCZOS), np.float32)
        for image in (left, right)
    )
    return Image.fromarray(np.clip(np.round(128 + gain * (other - one)), 0, 255).astype(np.uint8))
