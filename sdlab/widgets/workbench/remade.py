"""A found picture beside the one that its recipe makes here, and how far they are apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup
from PIL import Image

from ...models.resolve import resolve
from ...pictures import webp_bytes
from ...results.frame import column_values
from ...results.pairs import draw_difference
from ...results.verify.verdicts import measure_distance, write_size
from ...watermark.opening import read_pixels
from ..inspector.pictures import Picture
from ..inspector.recipe import make_request
from ..pictures import render_image

if TYPE_CHECKING:
    import pandas as pd

SIDE = 256  # pixels
GAIN = 4.0
NOT_MADE = (
    "None of the pictures chosen above was made by the recipe in that file: press “open in a form”"
    " there, and then Run."
)
APART = (
    "The picture made here is not the found one: they differ by at most {0.largest:g} of 255"
    " levels, on average by {0.mean:.2g}, in {0.share:.0%} of all numbers. Saving it anew can do"
    " that, and so can other weights, another program or another machine."
)


def find_remade(picture: Picture, frame: pd.DataFrame) -> str:
    """Finds the file of the picture here that was made by the recipe in another picture's file.

    Raises
    ------
    ValueError
        That file states no recipe, or none was made.
    """
    key = resolve(make_request(picture).but(weights=None)).key  # as a form runs it
    made = dict(zip(column_values(frame, "key"), column_values(frame, "path")))
    if not made.get(key):
        raise ValueError(NOT_MADE)
    return made[key]


def render_remade(picture: Picture, path: str) -> str:
    """Renders both, what differs, and that in words, as HTML."""
    found, made = (Image.fromarray(read_pixels(source)) for source in (picture.source, path))
    told = {f"found: {picture.name}": found, "made here": made}
    told[f"what differs, {GAIN:g} times"] = draw_difference(found, made, gain=GAIN)
    figures = Markup().join(
        Markup('<figure style="margin:0 8px 8px 0">{}<figcaption>{}</figcaption></figure>').format(
            Markup(render_image(webp_bytes(image, SIDE), name, SIDE)), name
        )
        for name, image in told.items()
    )
    return Markup('<p role="status">{}</p><div style="display:flex">{}</div>').format(
        describe_apart(found, made), figures
    )


def describe_apart(found: Image.Image, made: Image.Image) -> str:
    """Says how far the picture made here is from the found one."""
    distance = measure_distance(found, made, reduced=False)
    if distance is None:
        sizes = f"the found one is {write_size(found)}, the one made here {write_size(made)}"
        return f"The picture made here is not the found one: {sizes}."
    if not distance.largest:
        return "The picture made here is identical to the found one, in every pixel."
    return APART.format(distance)
