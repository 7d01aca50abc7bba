"""What of a grid can be taken elsewhere: a picture, a page, a table, or the files themselves."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from ...errors import shorten_text
from ...results.frame import column_values, count_noun, list_plainly, shorten_pictures
from ...results.grid import make_crossed_grid, make_flowing_grid, note_gaps
from ...results.shared import describe_constant, describe_prompts
from .places import Places
from .still import MOST, describe_marks

KINDS = {"png": "image/png", "html": "text/html", "csv": "text/csv", "zip": "application/zip"}
MOST_BYTES = 200_000_000  # of files in one archive
UNTITLED = "pictures"
LONGEST_HEADING = 120  # letters
SIZES = (None, 128, 64, 32)  # of cells, until the picture is not too large
PAGE = Markup(
    '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{}</title></head>'
    '<body style="font:14px system-ui,sans-serif">\n<h1>{}</h1>\n{}\n</body></html>\n'
)


@dataclass(frozen=True)
class Part:
    """What of a grid goes into a file.

    Attributes
    ----------
    frame : DataFrame
    rows : sequence of int
        The numbers of its rows in the grid.
    total : int
        How many rows the grid has.
    places : Places
    where : sequence of int, optional
        The setting of the sliders for which each stands in its place; None: in order.
    marks : mapping
        {row: what was said of it}.
    title : str
        "" if the grid has none of its own.
    status : str
        How far the job is, where it has not ended.
    all_of : str
        The slider whose settings stand one below the other in a PNG; "" for none.
    """

    frame: pd.DataFrame
    rows: Sequence[int]
    total: int
    places: Places
    where: Sequence[int] | None
    marks: Mapping[int, Mapping[str, Any]]
    title: str
    status: str
    all_of: str = ""

    @property
    def heading(self) -> str:
        """Names a page of these rows: by the title, or by what their prompts ask for."""
        asked = "" if self.title else describe_prompts(self.frame)
        return self.title or shorten_text(asked, LONGEST_HEADING) or UNTITLED

    def say_count(self, kind: str) -> str:
        """Says how many pictures a file of that kind holds."""
        there = [path is not None for path in column_values(self.frame, "path")]
        count = len(there) if kind == "csv" else sum(there[:MOST] if kind == "html" else there)
        return f"saved {count:,} of {count_noun(self.total, 'row' if kind == 'csv' else 'picture')}"

    def pack(self, kind: str) -> bytes:
        """Makes a file that is no page."""
        if kind == "csv":
            return write_table(self.frame)
        if kind == "zip":
            return pack_files(self.frame)
        if self.frame.empty:
            raise ValueError("no picture is in view, so there is nothing to draw")
        return self._draw()

    def _draw(self) -> bytes:
        """Draws a PNG that says what a reader of the page sees beside the pictures."""
        places, where = self.places, self.where
        row, col = ([], []) if where is None else (places.row.names, places.col.names)
        if self.all_of:
            row = [*places.sliders[places.find_slider(self.all_of)].names, *row]
        here = "" if where is None else places.describe_sliders(where, self.all_of)
        names = [] if where is None else places.names
        few = not here and len(self.rows) != self.total
        left = f"{len(self.rows):,} of {self.total:,} pictures" if few else ""
        return draw_sheet(
            self.frame,
            row,
            col,
            title=self.title,
            shared=describe_constant(self.frame, names),
            told=(here, left, self.status),
            captions=[describe_marks(self.marks.get(i, {})) for i in self.rows],
        )


def draw_sheet(
    frame: pd.DataFrame,
    row: Sequence[str],
    col: Sequence[str],
    *,
    title: str,
    shared: str,
    told: Sequence[str],
    captions: Sequence[str],
) -> bytes:
    """Draws all pictures of a frame as one PNG, in smaller cells where there are many.

    Parameters
    ----------
    frame : DataFrame
    row, col : sequence of str
        With neither the pictures stand in order.
    title : str
    shared : str
        What all pictures share.
    told : sequence of str
        What stands above besides, such as which of several values is shown.
    captions : sequence of str
        What stands below each picture.
    """
    from ...results.sheet import Sheet

    rows, cols, short = list(row), list(col), shorten_pictures(frame)
    grid = (
        make_crossed_grid(short, rows, cols, captions)
        if rows or cols
        else make_flowing_grid(short, len(frame), captions)
    )
    gaps = note_gaps(grid) if rows or cols else ""
    note = " · ".join(filter(None, (*told, gaps)))
    for size in SIZES:
        try:
            return Sheet(grid, size).draw(title, shared, note)._repr_png_()[0]
        except ValueError as error:
            if "too large to draw" not in f"{error}" or size == SIZES[-1]:
                raise
    raise AssertionError  # the last size raises


def write_page(title: str, body: str) -> bytes:
    """Writes a still picture as a page of its own."""
    return str(PAGE.format(title, title, Markup(body))).encode()


def write_table(frame: pd.DataFrame) -> bytes:
    """Writes the rows as CSV, the pictures by the names of their files."""
    return list_plainly(frame).to_csv(index=False).encode("utf-8-sig")


def pack_files(frame: pd.DataFrame) -> bytes:
    """Packs the very files of the pictures, with their recipes, and the table of their rows.

    Raises
    ------
    ValueError
        There is no picture, or they are too many for one archive.
    """
    paths = [Path(path) for path in dict.fromkeys(column_values(frame, "path")) if path]
    size = sum(path.stat().st_size for path in paths)
    if not paths or size > MOST_BYTES:
        much = f"{count_noun(len(paths), 'picture')} of {size / 1e6:,.0f} MB together"
        raise ValueError(
            f"{much} do not go into one archive of at most {MOST_BYTES / 1e6:.0f} MB; choose fewer"
            if paths
            else "none of these rows has a picture"
        )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:  # PNG files are packed already
        for path in paths:
            archive.write(path, path.name)
        archive.writestr("table.csv", write_table(frame))
    return out.getvalue()
