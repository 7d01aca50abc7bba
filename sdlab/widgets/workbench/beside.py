"""A found picture beside the one that its recipe makes here, and how far they are apart."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup
from PIL import Image

from ...errors import FieldError
from ...models.resolve import resolve
from ...pictures import webp_bytes
from ...results.frame import column_values, distinct_values, find_varying, select_own
from ...results.pairs import draw_difference
from ...results.verify.verdicts import measure_distance, write_size
from ...watermark.opening import read_pixels
from ..inspector.pictures import Picture
from ..inspector.recipe import make_request
from ..pictures import render_image, write_captions

if TYPE_CHECKING:
    import pandas as pd

SIDE = 256  # pixels
GAIN = 4.0
NOT_MADE = (
    "None of the pictures chosen above was made by the recipe in that file{}: press “open in a"
    " form” there, and then Run. {}"
)
OR_ELSE = "Or choose in “beside” with which model, or which picture."
BY_RECIPE, WITH_MODEL, PICTURE = "recipe", "model", "picture"  # what it is set beside
MOST = 500  # pictures that are offered
APART = (
    "The picture made here is not the found one: they differ by at most {0.largest:g} of 255"
    " levels, on average by {0.mean:.2g}, in {0.share:.0%} of all numbers. Saving it anew can do"
    " that, and so can other weights, another program or another machine."
)


def offer_beside(frame: pd.DataFrame) -> list[tuple[str, tuple[str, str]]]:
    """Offers what a found picture can be set beside: (words, (kind, model or path))."""
    own = select_own(frame)
    models = [str(m) for m in distinct_values(own, "model") if m is not None]
    last = own[-MOST:][::-1]
    names = write_captions(last, find_varying(own)) if len(own) else []
    pictures = [
        (f"{caption or 'the picture'} ({Path(path).stem[:8]})", (PICTURE, path))
        for caption, path in zip(names, column_values(last, "path"))
    ]
    with_model = [(f"its recipe with {m}", (WITH_MODEL, m)) for m in models]
    return [("its own recipe", (BY_RECIPE, "")), *with_model, *pictures]


def find_beside(picture: Picture, frame: pd.DataFrame, chosen: tuple[str, str]) -> str:
    """Finds the file of the picture here that another one is set beside.

    Raises
    ------
    ValueError
        Its file states no recipe, or none was made of that.
    """
    kind, name = chosen
    if kind == PICTURE:
        return name
    request = make_request(picture).but(weights=None)  # as a form runs it
    try:
        key = resolve(request.but(model=name) if kind == WITH_MODEL else request).key
    except FieldError as error:
        raise ValueError(f"{error}. {OR_ELSE}") from error
    made = dict(zip(column_values(frame, "key"), column_values(frame, "path")))
    if not made.get(key):
        raise ValueError(NOT_MADE.format(f" with {name}" if kind == WITH_MODEL else "", OR_ELSE))
    return made[key]


def render_beside(picture: Picture, path: str, words: str) -> str:
    """Renders both, what differs, and that in words, as HTML; the words stay with the picture."""
    found, made = (Image.fromarray(read_pixels(source)) for source in (picture.source, path))
    here = f"made here: {words}"
    told = {f"found: {picture.name}": found, here: made}
    if found.size == made.size:
        told[f"what differs, {GAIN:g} times"] = draw_difference(found, made, gain=GAIN)
    figures = Markup().join(
        Markup('<figure style="margin:0 8px 8px 0">{}<figcaption>{}</figcaption></figure>').format(
            Markup(render_image(webp_bytes(image, SIDE), name, SIDE)), name
        )
        for name, image in told.items()
    )
    said = describe_apart(found, made)
    picture.beside = f"Set beside one made here ({words}; {Path(path).name}): {said}"
    return Markup('<p role="status">{}</p><div style="display:flex">{}</div>').format(said, figures)


def describe_apart(found: Image.Image, made: Image.Image) -> str:
    """Says how far the picture made here is from the found one."""
    distance = measure_distance(found, made, reduced=False)
    if distance is None:
        sizes = f"the found one is {write_size(found)}, the one made here {write_size(made)}"
        return f"The picture made here is not the found one: {sizes}."
    if not distance.largest:
        return "The picture made here is identical to the found one, in every pixel."
    return APART.format(distance)
