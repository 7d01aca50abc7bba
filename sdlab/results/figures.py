"""Figures, pictures, texts and widgets, as the template of a report shows them."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd
from markupsafe import Markup
from PIL import Image

from ..pictures import data_uri
from ..watermark.inspection import Inspection
from .sections import show_frame

if TYPE_CHECKING:  # matplotlib comes when something is drawn
    from matplotlib.figure import Figure

    from .sheet import GridFigure


MOST_SIDE, FIGURE_PIXELS = 2048, 12e6


def describe_figures(figures: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    """Yields (kind, what the template shows) of all that was given; pictures are numbered."""
    from matplotlib.figure import Figure

    number, pairs = 0, [split_caption(given) for given in figures]
    turned = {name_whole(thing) for thing, _ in pairs if getattr(thing, "page", 1) > 1}
    for thing, caption in itertools.chain(*(turn_pages(*pair, turned) for pair in pairs)):
        if isinstance(thing, str):
            yield "text", f"{thing}\n\n{caption}"
        elif isinstance(thing, pd.DataFrame):
            yield "table", show_frame(thing, str(caption))
        elif isinstance(thing, Inspection):
            yield "text", "\n\n".join([str(caption), *thing.answer.paragraphs])
        elif callable(
            still := getattr(thing, "render_for_page", None) or getattr(thing, "static", None)
        ):  # a widget's, or of a thing that looks like one: it escapes itself
            yield "still", {"html": Markup(still()), "caption": str(caption)}
        elif isinstance(thing, (Figure, Image.Image)):
            number += 1
            yield "figure", describe_picture(thing, str(caption)) | {"number": number}
        else:
            raise TypeError(
                f"cannot put {type(thing).__name__} into a report; it takes matplotlib figures,"
                " Pillow images, DataFrames, text, answers of detect_watermark and widgets, each on"
                " its own (*figures for a list), or pairs with a caption"
            )


def split_caption(given: Any) -> tuple[Any, Any]:
    """Splits what is shown from its caption, "" if it has none."""
    return given if isinstance(given, tuple) and len(given) == 2 else (given, "")


def name_whole(page: GridFigure) -> tuple:
    """Names the whole grid of which a figure is a page, by what it was drawn from."""
    frame, row, col = page.turn.args
    return id(frame), *row, "", *col, page.pages


def turn_pages(thing: Any, caption: Any, turned: set[tuple]) -> Iterator[tuple[Any, Any]]:
    """Yields what was given, and with a grid's first page the others, if it is not in `turned`."""
    yield thing, caption
    if getattr(thing, "pages", 1) > 1 and thing.page == 1 and name_whole(thing) not in turned:
        for page in range(2, thing.pages + 1):
            yield thing.turn(page=page), caption


def describe_picture(thing: Figure | Image.Image, caption: str) -> dict[str, Any]:
    """Tells what the template shows of a picture: its address, size on the screen, and words."""
    from matplotlib.figure import Figure

    if isinstance(thing, Figure):
        image, scale, words = draw_figure(thing)
    else:
        image, scale, words = thing.copy(), 1.0, f"Image of {thing.width} x {thing.height} pixels"
        image.thumbnail((MOST_SIDE, MOST_SIDE))
    image = image if image.mode in ("RGB", "RGBA", "L", "P", "1") else image.convert("RGB")
    return {
        "source": data_uri(image, "PNG", optimize=True),
        "width": round(image.width / scale),
        "height": round(image.height / scale),
        "alt": f"{caption}. {words}" if caption else words,
        "caption": caption or words.partition(". ")[0],
    }


def draw_figure(figure: Figure) -> tuple[Image.Image, float, str]:
    """Draws (its picture at 200 dpi or what is sensible, pixels per screen pixel, its words)."""
    width, height = figure.get_size_inches()
    dpi = min(200.0, math.sqrt(FIGURE_PIXELS / (width * height)))
    out = io.BytesIO()
    cut = None if hasattr(figure, "turn") else "tight"  # a grid has its own margins
    figure.savefig(out, format="png", dpi=dpi, bbox_inches=cut, pil_kwargs={"compress_level": 1})
    parts = [figure.get_suptitle()]
    for axes in figure.axes:
        x, y = axes.get_xlabel(), axes.get_ylabel()
        parts += [axes.get_title(), x and f"x: {x}", y and f"y: {y}"]
    words = figure.get_label() or ". ".join(part for part in parts if part) or "Figure"
    return Image.open(out), dpi / 100, str(words)
