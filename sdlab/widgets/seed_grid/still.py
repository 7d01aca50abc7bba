"""A grid's static picture: an HTML table that shows without a kernel, on code hosts, and in exported notebooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from html import escape

from ..pictures import STATIC, make_thumbnail, render_image
from .cells import Cells
from .places import Places

MOST = 400  # pictures
CELL = "text-align:left;vertical-align:top;padding:2px"


def render_grid(
    cells: Cells,
    places: Places,
    shown: Sequence[int],
    where: Sequence[int] | None,
    starred: set[int],
    ratings: Mapping[int, int],
    note: str,
) -> str:
    """The rows of the frame that are shown, as far as there is room: in their places for that setting of the sliders, or,
    where it is None or there are no places, one after the other.
    """

    def drawn(i: int) -> str:
        marks = "★ " * (i in starred) + (f"{ratings[i]}/5" if i in ratings else "")
        return render_cell(cells, i, places.captions[i]) + (marks and f"<br>{marks}")

    kept = list(shown)[:MOST]
    left_out = (
        f" {len(shown) - len(kept):,} more are not shown here." if len(shown) > len(kept) else ""
    )
    piled = where is None or places.in_order
    with ThreadPoolExecutor(4) as threads:  # Pillow lets several at once open their files
        pictures = dict(zip(kept, threads.map(drawn, kept)))
    body = render_pile(pictures, places) if piled else render_cross(pictures, places, where)
    return f"{body}<p>{escape(note)}{left_out}</p>"


def render_cell(cells: Cells, i: int, caption: str) -> str:
    if cells.paths[i] is None:
        return "not rendered" if cells.errors[i] is None else escape(f"failed: {cells.errors[i]}")
    try:
        return render_image(make_thumbnail(cells.paths[i], STATIC, exact=False), caption)
    except OSError as error:
        return escape(f"the picture cannot be read: {error}")


def render_cross(pictures: Mapping[int, str], places: Places, where: Sequence[int]) -> str:
    at = {
        divmod(places.at[i] % places.a_page, len(places.col.found)): picture
        for i, picture in pictures.items()
    }
    rows, cols = sorted({row for row, _ in at}), sorted({col for _, col in at})
    corner = escape(
        " ".join(
            f"{axis.title} {arrow}"
            for axis, arrow in ((places.row, "↓"), (places.col, "→"))
            if axis.names
        )
    )
    head = "".join(
        f'<th scope="col" style="{CELL}">{escape(places.col.labels[c])}</th>' for c in cols
    )
    lines = [
        '<tr><th scope="row"'
        f' style="{CELL};max-width:16em;overflow-wrap:anywhere">{escape(places.row.labels[r])}</th>'
        + "".join(f'<td style="{CELL}">{at.get((r, c), "")}</td>' for c in cols)
        + "</tr>"
        for r in rows
    ]
    caption = escape(
        " · ".join(
            f"{axis.title}: {axis.labels[n]} (one of {len(axis.found)} values, the others are not"
            " shown)"
            for axis, n in zip(places.sliders, where)
        )
    )
    return f"<table><caption>{caption}</caption><tr><th>{corner}</th>{head}</tr>{''.join(lines)}</table>"


def render_pile(pictures: Mapping[int, str], places: Places) -> str:
    style = f"display:inline-block;vertical-align:top;margin:2px;width:{STATIC}px;overflow-wrap:anywhere"
    return (
        "<div>"
        + "".join(
            f'<figure style="{style}">{picture}<figcaption'
            f' style="font-size:80%">{escape(places.captions[i])}</figcaption></figure>'
            for i, picture in pictures.items()
        )
        + "</div>"
    )
