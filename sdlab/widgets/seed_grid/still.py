"""A grid's static picture: HTML that shows without a kernel, on code hosts, and in exports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from markupsafe import Markup, escape

from ...results.html import render_table
from ..pictures import STATIC, make_thumbnail, render_image
from .cells import Cells
from .places import Places

MOST = 400  # pictures
GLYPHS = {"right": "✓", "wrong": "✗", "cannot tell": "?"}
CELL = "text-align:left;vertical-align:top;padding:2px;max-width:16em;overflow-wrap:anywhere"
FIGURE = Markup(
    '<figure style="display:inline-block;vertical-align:top;margin:2px;width:{}px;'
    'overflow-wrap:anywhere">{}<figcaption style="font-size:80%">{}</figcaption></figure>'
)


def render_grid(
    cells: Cells,
    places: Places,
    shown: Sequence[int],
    *,
    where: Sequence[int] | None,
    marks: Mapping[int, Mapping[str, Any]],
    seen: Mapping[int, str],
    note: str,
    running: bool = False,
) -> str:
    """Renders the rows of the frame that are shown, as far as there is room.

    Parameters
    ----------
    cells : Cells
    places : Places
    shown : sequence of int
        Rows of the frame.
    where : sequence of int, optional
        The setting of the sliders for which each stands in its place. None: one after the other,
        as where there are no places.
    marks : mapping
        {row: what was said of it}.
    seen : mapping
        {row: what a program found in its picture}, for who does not see it.
    note : str
        What stands below.
    running : bool
        Whether pictures are still to come.
    """

    missing = "not yet finished then" if running else "not rendered"

    def draw(i: int) -> Markup:
        said = describe_marks(marks.get(i, {}))
        words = ", ".join(filter(None, (places.captions[i], seen.get(i))))
        shown = escape(render_cell(cells, i, words, missing))
        return shown + Markup("<br>") * bool(said) + said

    kept = list(shown)[:MOST]
    with ThreadPoolExecutor(4) as threads:  # Pillow lets several at once open their files
        pictures = dict(zip(kept, threads.map(draw, kept)))
    if where is None or places.in_order:
        figures = (FIGURE.format(STATIC, pic, places.captions[i]) for i, pic in pictures.items())
        body = Markup("<div>{}</div>").format(Markup("").join(figures))
    else:
        body = render_cross(pictures, places, where)
    more = f" {len(shown) - MOST:,} more are not shown here." if len(shown) > MOST else ""
    return str(body + Markup("<p>{}{}</p>").format(note, more))


def describe_marks(said: Mapping[str, Any]) -> str:
    """Writes what was said of a picture: "★ 4/5 ✗ wrong #hands – six fingers"."""
    verdict = said.get("verdict", "")
    parts = [
        "★" if said.get("starred") else "",
        f"{said['rating']}/5" if said.get("rating") else "",
        f"{GLYPHS[verdict]} {verdict}" if verdict else "",
        *(f"#{tag}" for tag in said.get("tags", ())),
        f"– {said['note']}" if said.get("note") else "",
    ]
    return " ".join(part for part in parts if part)


def render_cell(cells: Cells, i: int, words: str, missing: str) -> str:
    """Renders a cell's picture with words for it, or says why there is none."""
    if cells.paths[i] is None:
        return missing if cells.errors[i] is None else f"failed: {cells.errors[i]}"
    try:
        return render_image(make_thumbnail(cells.paths[i], STATIC, exact=False), words)
    except OSError as error:
        return cells.describe_problem(i, error)


def render_cross(pictures: Mapping[int, str], places: Places, where: Sequence[int]) -> Markup:
    """Renders the pictures of one setting of the sliders as a table."""
    width = len(places.col.found)
    at = {divmod(places.at[i] % places.a_page, width): html for i, html in pictures.items()}
    rows, cols = sorted({row for row, _ in at}), sorted({col for _, col in at})
    axes = ((places.row, "↓"), (places.col, "→"))
    corner = " ".join(f"{axis.title} {arrow}" for axis, arrow in axes if axis.title)
    return render_table(
        [corner, *(places.col.labels[c] for c in cols)],
        [[places.row.labels[r], *(at.get((r, c), "") for c in cols)] for r in rows],
        caption=places.describe_sliders(where),
        style=CELL,
    )
