"""Rows of a frame that agree in all but one column, and what makes comparing them less fair."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ..errors import suggest
from ..models.heads import read_shapes
from ..models.locate import find_weights, list_networks
from ..models.model import Model
from ..models.resolve import find
from ..models.rows import MODELS
from ..recipe.request import FIELDS, PROMPTS, SPECS
from ..store.columns import CHOSEN
from .frame import (
    column_values,
    count_noun,
    distinct_values,
    find_differing,
    find_foreign,
    find_label_columns,
    find_varying,
    format_value,
    hide_home,
    labels_explain_prompts,
    require_paths,
    row_tuples,
    summarize_values,
    to_plain,
)
from .meanings import explain_column

if TYPE_CHECKING:
    from PIL.Image import Image

UNKNOWN = "unknown"
ALWAYS_TOLD = ("text encoder", "training data")  # of two models, even if the words are the same


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
        alone = count_noun(len(self.alone), "picture")
        return (
            f"{count_noun(len(self), 'pair')} by {self.by}: {format_value(self.left)} and"
            f" {format_value(self.right)}{f', {alone} without a partner' if self.alone else ''}"
        )

    @property
    def frame(self) -> pd.DataFrame:
        """One row a pair: the fields and labels that it shares, and each side's key and path.

        What varies comes first.
        """
        left, right = (self.source.iloc[list(side)] for side in zip(*self.pairs))
        shared = [
            name
            for name in dict.fromkeys((*self.varying, *FIELDS, *find_label_columns(left)))
            if name in left.columns
            and name != self.by
            and column_values(left, name) == column_values(right, name)
        ]
        own = {
            f"{side}_{name}": rows[name].array
            for name in ("key", "path")
            if name in left.columns
            for side, rows in (("left", left), ("right", right))
        }
        return left[shared].reset_index(drop=True).assign(**own)

    @property
    def differences(self) -> pd.DataFrame:
        """What changes between the two sides beside the column itself, in plain words."""
        names = ["what", format_value(self.left), format_value(self.right)]
        return pd.DataFrame(list_differences(self), columns=names)


def pair(frame: pd.DataFrame, by: str, left: Any = None, right: Any = None) -> Pairing:
    """Pairs the rows that agree in all else: in every field but those that follow `by`.

    A field follows if each value of `by` has one value of it in the whole frame, as a model has its
    weights and often its native size, scheduler and guidance. Prompt and seed never do. If `by`
    names a choice in the prompts, the choices tell the prompts apart, else the prompts themselves
    do. Rows without a picture, and those without a value where `by` is no field, are left aside.
    Where pictures from elsewhere never state a field, such as those of a hosted service a seed, it
    is not compared: those of one prompt are paired in their order, and `differences` says so.

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
    found = [value for value in distinct_values(frame, by) if value is not None or by in FIELDS]
    left, right = choose_sides(found, by, left, right)
    known, both = set(found), enumerate(row_tuples(frame, ["path", by]))
    shown = [i for i, (path, value) in both if path is not None and value in known]
    rows = frame.iloc[shown]
    follow = find_following(rows, by, left, right)
    unstated = find_unstated(rows, by, left, right, follow)
    follow |= unstated
    same = list_compared(rows, by, follow)
    ones, others = (
        find_places(frame, shown, by, value, same, numbered=bool(unstated))
        for value in (left, right)
    )
    pairs = tuple((i, others[place]) for place, i in ones.items() if place in others)
    if not pairs:
        raise ValueError(explain_no_pair(rows, by, left, right, same))
    alone = {*ones.values(), *others.values()}.difference(*pairs)
    apart = tuple(find_varying(frame.iloc[[i for i, _ in pairs]]))
    return Pairing(by, left, right, tuple(found), pairs, follow, tuple(sorted(alone)), apart, frame)


def require_columns(frame: pd.DataFrame, by: str) -> None:
    """Raises unless this is a frame of pictures with such a column."""
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(f"pair takes the frame of run(), not {type(frame).__name__}")
    if by not in frame.columns:
        raise ValueError(f"by={explain_column(by, frame.columns)}")
    require_paths(frame)


def choose_sides(found: list[Any], by: str, left: Any, right: Any) -> tuple[Any, Any]:
    """Chooses the two values to compare, both of which the column has."""
    if len(found) < 2:
        only = f"one value only, {format_value(found[0])}" if found else "no value"
        raise ValueError(
            f"{by} has {only}: there is nothing to compare; run the same requests with another"
            f" {by}, or pair by another column"
        )
    every = summarize_values(found)
    left, right = to_plain(left), to_plain(right)
    for name, given in (("left", left), ("right", right)):
        if given is not None and given not in found:
            hint = suggest(given, found, 0.5)
            raise ValueError(f"{name}={given!r} is no value of {by}{hint} it has {every}")
    if left is None:
        left = next(value for value in found if right is None or value != right)
    if right is None:
        right = next(value for value in found if value != left)
    if left == right:
        raise ValueError(f"left and right are both {left!r}; {by} has {every}")
    # a NumPy number becomes the plain one that it equals
    return found[found.index(left)], found[found.index(right)]


# Which rows belong together


def find_following(
    rows: pd.DataFrame, by: str, left: Any, right: Any
) -> dict[str, tuple[Any, Any]]:
    """Finds {what changes with `by` and with nothing else: (its value left, its value right)}."""
    found = {}
    for name in (*FIELDS, *CHOSEN):
        if name == by or (name in SPECS and SPECS[name].independent):
            continue
        both = set(row_tuples(rows, [by, name]))
        value_of = dict(both)
        one, other = value_of.get(left), value_of.get(right)
        if len(both) == len(value_of) and one != other:
            found[name] = one, other
    return found


def find_unstated(
    rows: pd.DataFrame, by: str, left: Any, right: Any, follow: dict[str, Any]
) -> dict[str, tuple[Any, Any]]:
    """Finds what one side never states, as a hosted service no seed: (left, right), in words."""
    found: dict[str, tuple[Any, Any]] = {}
    both = list(zip(column_values(rows, by), find_foreign(rows)))
    if not any(foreign for value, foreign in both if value in (left, right)):
        return {}
    for name in FIELDS:
        if name == by or name in follow or name == "prompt":
            continue
        values = column_values(rows, name)
        sides = [
            list(dict.fromkeys(v for v, (own, _) in zip(values, both) if own == side))
            for side in (left, right)
        ]
        if sides[0] != sides[1] and [None] in sides:
            one, other = (None if s == [None] else summarize_values(s) for s in sides)
            found[name] = one, other
    return found


def list_compared(rows: pd.DataFrame, by: str, follow: dict[str, Any]) -> list[str]:
    """Lists the columns in which the two rows of a pair agree."""
    same = [name for name in FIELDS if name != by and name not in follow]
    labels = find_label_columns(rows)
    if by not in labels:
        return same
    others = [name for name in labels if name != by]
    explained = labels_explain_prompts(rows, labels)
    return others + [name for name in same if not explained or name not in PROMPTS]


def find_places(
    frame: pd.DataFrame,
    shown: list[int],
    by: str,
    value: Any,
    same: list[str],
    *,
    numbered: bool = False,
) -> dict[tuple, int]:
    """Finds {what a row of this value shares with its partner: where it stands}.

    Numbered, the rows that share all of it are partners in their order.
    """
    found: dict[tuple, int] = {}
    rows, repeats = frame.iloc[shown], Counter[tuple]()
    for i, own, place in zip(shown, column_values(rows, by), row_tuples(rows, same)):
        if numbered and own == value:
            repeats[place] += 1
            place = (*place, repeats[place])
        if own == value and found.setdefault(place, i) != i:
            raise ValueError(explain_repeat(frame.iloc[[found[place], i]], by, value))
    return found


def explain_repeat(rows: pd.DataFrame, by: str, value: Any) -> str:
    """Says why two rows cannot both be shown: which of them would be the evidence?"""
    differ = ", ".join(map(str, find_differing(rows)))
    if len(distinct_values(rows, "key")) > 1 or "key" not in rows.columns:
        return (
            f"two images with {by}={value!r} agree in all that is"
            f" compared{differ and f' and differ in {differ}'}; narrow the frame to one of them"
        )
    key = "'key'" if by in (*FIELDS, *find_label_columns(rows)) else f"['key', {by!r}]"
    return (
        f"two images with {by}={value!r} are one recipe, several times in the frame"
        f"{differ and f'; they differ in {differ}'}; frame.drop_duplicates({key}) keeps one of each"
    )


def explain_no_pair(rows: pd.DataFrame, by: str, left: Any, right: Any, same: list[str]) -> str:
    """Says why no two rows belong together."""
    own = column_values(rows, by)
    ones, others = (rows[[value == side for value in own]] for side in (left, right))
    for value, found in ((left, ones), (right, others)):
        if found.empty:
            return (
                f"no row with {by}={value!r} has a picture; its errors are in"
                " frame.query('path.isna()')"
            )
    both = {name: (distinct_values(ones, name), distinct_values(others, name)) for name in same}
    never = [
        f"{name} ({summarize_values(a)} against {summarize_values(b)})"
        for name, (a, b) in both.items()
        if not set(a) & set(b)
    ]
    some = [name for name, (a, b) in both.items() if len({*a, *b}) > 1]
    always, all_of = f"always different: {', '.join(never)}", ", ".join(some)
    return (
        f"no picture with {by}={left!r} has a partner with {by}={right!r}:"
        f" {always if never else f'no two agree in all of {all_of}'}"
        "; run the same requests with both, or pair by another column"
    )


# What is not held constant


def list_differences(pairing: Pairing) -> list[tuple[str, str, str]]:
    """Lists what changes between the two sides beside the column itself: (what, left, right).

    Of two models it is what their rows in `sdlab.MODELS` and their folders say now; a model that is
    not there any more is "unknown". Text encoder and training data are named even if they are the
    same, unless neither is known.

    Returns
    -------
    list of (str, str, str)
        In plain words, to be shown as a table.
    """
    rows = {name: list(map(format_value, both)) for name, both in pairing.follow.items()}
    if {"height", "width"} <= rows.keys():
        rows["size"] = [f"{w}x{h}" for w, h in zip(rows.pop("width"), rows.pop("height"))]
    if pairing.by == "model":
        left, right = describe_model(pairing.left), describe_model(pairing.right)
        told = {what: [left.get(what, UNKNOWN), right.get(what, UNKNOWN)] for what in left | right}
        rows.pop("weights", None)  # no two models have the same
        if rows.get("size") == told.get("native size"):
            rows.pop("size", None)
        rows = told | rows
    return [
        (what, one, other)
        for what, (one, other) in rows.items()
        if one != other or (what in ALWAYS_TOLD and one != UNKNOWN)
    ]


def describe_model(name: str) -> dict[str, str]:
    """Says what a model's row and folder tell, as a table does; {} if there is no such model."""
    try:
        model: Model | None = find(name)
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
    encoders = (
        f"{each.layers} layers of width {each.width}" for each in stated.encoders if each.width
    )
    text = model.text_encoder or " and ".join(encoders) or UNKNOWN
    return known | {
        "text encoder": text,
        "native size": f"{stated.width}x{stated.height}",
        "parameters": size,
        "prediction type": stated.prediction_type,
    }


def parameters(folder: Path) -> str:
    """How many numbers text encoder, UNet and VAE have, from the heads of their files."""
    parts = (find_weights(folder / part) for part in list_networks(folder))
    files = [folder] if folder.is_file() else [file for files in parts for file in files]
    total = sum(math.prod(shape) for file in files for shape in read_shapes(file).values())
    if not total:
        return UNKNOWN
    return f"{total / 1e6:,.0f} million" if total >= 1e8 else f"{total / 1e6:.1f} million"


# The difference itself


def draw_difference(left: Image, right: Image, gain: float = 4.0) -> Image:
    """Draws what changes from left to right: 128 + gain * (right - left) in each channel, clipped.

    Middle grey is no change. If the pictures differ in size, the larger is first brought to the
    smaller's; one of other proportions is stretched.

    Parameters
    ----------
    left, right : Image
        Of any mode.
    gain : float
        Above 0; 4 shows a change of 32 levels as the strongest.

    Returns
    -------
    Image
        RGB.

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
