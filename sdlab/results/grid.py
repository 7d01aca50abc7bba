"""A frame of results as one labelled figure: evidence that can be read without its notebook."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import pandas as pd

from .frame import (
    NUMBER,
    column_values,
    describe_answers,
    describe_measures,
    distinct_values,
    find_differing,
    find_foreign,
    find_varying,
    format_label,
    format_value,
    hide_home,
    list_told,
    name_sources,
    order_values,
    require_paths,
    row_tuples,
    select_own,
    shorten_pictures,
)
from .meanings import explain_column
from .origins import label_sides
from .shared import describe_constant

if TYPE_CHECKING:  # matplotlib comes when something is drawn: a widget need not wait for it
    from .sheet import Grid, GridFigure, SheetCell

# Characters of a figure's words for what was measured, for what of it was found, and for the
# labels of a side
MOST_TOLD, MOST_ANSWERS, MOST_LABELS = 300, 600, 1500
SIZES = ("height", "width")
WIDE_CAPTION = 24  # characters; with wider captions, four pictures stand in a row instead of six


def image_grid(
    frame: pd.DataFrame,
    row: str | Sequence[str] | None = None,
    col: str | Sequence[str] | None = None,
    *,
    title: str | None = None,
    cell_size: int | None = None,
    max_rows: int = 12,
    max_cols: int = 16,
    page: int = 1,
) -> GridFigure:
    """Draws the pictures of a frame as one labelled figure, a page at a time.

    Parameters
    ----------
    frame : DataFrame
        One row an image, as `run` returns it; its `path` column leads to the pictures.
    row, col : str or list of str, optional
        The columns whose values name the grid's rows and columns. The values of several columns are
        joined, the first of which changes slowest; numbers ascend, texts stand in order of first
        appearance. With neither, the pictures stand in the frame's order, each under what sets it
        apart.
    title : str, optional
        If left out, a line says what all cells share; "" leaves that out too.
    cell_size : int, optional
        The longest side of a cell, in screen pixels. Small pictures are enlarged by whole numbers,
        never blurred. All stand at one size: where some are smaller than others, their pixels are
        larger, and in between if that is no whole number.
    max_rows, max_cols : int
        What does not fit comes on further pages: the figure says so, and `.pages` counts them.
    page : int
        1 to `.pages`. `[image_grid(frame, "prompt", page=p) for p in range(1, n + 1)]` is all of
        them; `write_report` shows all by itself.

    Returns
    -------
    GridFigure
        A matplotlib figure with `.page` and `.pages`.

    Raises
    ------
    TypeError, ValueError
        If there is no such column or page, or nothing to show, or if two images fall into one cell;
        the message names the columns in which they differ. Pictures from elsewhere that nothing
        tells apart are numbered instead.

    Examples
    --------
    >>> image_grid(results, row="prompt", col="guidance_scale").savefig("guidance.png")
    """
    from .sheet import Sheet

    require_pictures(frame)
    require_whole(
        cell_size=1 if cell_size is None else cell_size, max_rows=max_rows, max_cols=max_cols
    )
    rows, cols = find_columns(frame, row, "row"), find_columns(frame, col, "col")
    options: dict[str, Any] = {
        "title": title,
        "cell_size": cell_size,
        "max_rows": max_rows,
        "max_cols": max_cols,
    }
    turn: functools.partial = functools.partial(image_grid, frame, rows, cols, **options)
    frame = shorten_pictures(frame)
    grid = (
        make_crossed_grid(frame, rows, cols) if rows or cols else make_flowing_grid(frame, max_cols)
    )
    part, note, pages = cut_page(grid, page, max_rows, max_cols)
    note = " · ".join(text for text in (note, note_gaps(grid) if rows or cols else "") if text)
    shared = describe_constant(frame, rows + cols)
    figure = Sheet(part, cell_size).draw(title or "", shared if title is None else "", note)
    figure.page, figure.pages, figure.turn = page, pages, turn
    figure.set_label(describe_grid(part, title or "", shared, note, list_told(frame)))
    return figure


def require_pictures(frame: pd.DataFrame) -> None:
    """Raises unless there are pictures to show."""
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(f"image_grid takes the frame of run(), not {type(frame).__name__}")
    if frame.empty:
        raise ValueError(
            "the frame has no rows, so there is nothing to show; does a query leave nothing over?"
        )
    require_paths(frame)


def require_whole(**given: Any) -> None:
    """Raises unless each is a whole number, at least 1."""
    for name, value in given.items():
        if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
            raise ValueError(
                f"{name}={value!r:.80}: use a whole number, at least 1, or leave it out"
            )


def find_columns(
    frame: pd.DataFrame, given: str | Sequence[str] | None, argument: str
) -> list[str]:
    """Finds the columns that `row` or `col` names, or raises with the near ones."""
    if not isinstance(given, (str, Iterable, type(None))):
        raise TypeError(f"{argument}={given!r}: give a column's name, or a list of them")
    names = [] if given is None else [given] if isinstance(given, str) else list(given)
    for name in names:
        if name not in frame.columns:
            raise ValueError(f"{argument}={explain_column(name, frame.columns)}")
    return names


# Which image stands where


def make_crossed_grid(
    frame: pd.DataFrame, rows: list[str], cols: list[str], below: Sequence[str] | None = None
) -> Grid:
    """Sets every row value against every column value; `below` stands under each image."""
    from .sheet import Grid

    frame, cols = number_alike(name_sources(frame), rows, cols)
    places = list(zip(row_tuples(frame, rows), row_tuples(frame, cols)))
    refuse_shared_places(frame, places, rows, cols)
    cell_at = dict(zip(places, make_cells(frame, below or [""] * len(frame))))
    down, across = order_values(frame, rows), order_values(frame, cols)
    col_labels, row_labels = label_sides(frame, (cols, across), (rows, down))
    return Grid(
        [[cell_at.get((r, c)) for c in across] for r in down],
        row_labels=row_labels if rows else [],
        row_name=" · ".join(rows),
        col_labels=col_labels if cols else [],
        col_name=" · ".join(cols),
    )


def make_flowing_grid(
    frame: pd.DataFrame, max_cols: int, below: Sequence[str] | None = None
) -> Grid:
    """Sets the images in the frame's order, at most six in a row, over what sets each apart.

    Under that stands a line of `below`.
    """
    from .sheet import Grid

    names = find_varying(frame)
    only = names[0] if len(names) == 1 else ""  # then the name stands above the grid, once
    captions = [
        "\n".join(
            format_value(value) if only or name == "prompt" else f"{name} {format_value(value)}"
            for name, value in zip(names, row)
        )
        for row in row_tuples(frame, names)
    ]
    both = zip(captions, below or [""] * len(captions))
    captions = ["\n".join(filter(None, pair)) for pair in both]
    widest = max(len(line) for caption in captions for line in caption.split("\n"))
    most = min(6 if widest <= WIDE_CAPTION else 4, max_cols)
    cells = make_cells(frame, captions)
    across = math.ceil(len(cells) / math.ceil(len(cells) / most))  # rows of one length: 8 is 4 + 4
    cells += [None] * (-len(cells) % across)
    return Grid([cells[i : i + across] for i in range(0, len(cells), across)], col_name=only)


def make_cells(frame: pd.DataFrame, captions: Sequence[str]) -> list[SheetCell | None]:
    """Makes a cell of each row."""
    from .sheet import SheetCell

    return [
        SheetCell(path and str(path), error and hide_home(error), caption, told, answer)
        for path, error, caption, told, answer in zip(
            column_values(frame, "path"),
            column_values(frame, "error"),
            captions,
            describe_measures(frame),
            describe_answers(frame),
        )
    ]


def number_alike(
    frame: pd.DataFrame, rows: list[str], cols: list[str], others: Sequence[str] = ()
) -> tuple[pd.DataFrame, list[str]]:
    """Numbers found pictures that share a place and that nothing tells apart, from 1.

    Gives the frame and `cols` with that column behind the others, where there are such. `others`
    tell places apart, too.
    """
    foreign, places = find_foreign(frame), row_tuples(frame, [*rows, *cols, *others])
    if not any(foreign) or len(set(places)) == len(places):
        return frame, cols
    both = list(zip(places, row_tuples(frame, leave_out_sizes(frame, find_differing(frame)))))
    shared, alike = Counter(places), Counter(itertools.compress(both, foreign))
    turns: dict[tuple, Iterator[int]] = {
        place: itertools.count(1) for place, own in both if alike[place, own] == shared[place]
    }
    numbers = [next(turns.get(place, itertools.repeat(1))) for place in places]
    sides = row_tuples(frame, cols)
    most = {side: n for n, side in sorted(zip(numbers, sides), key=lambda each: each[0])}
    if max(numbers) == 1:
        return frame, cols
    told = [n if most[side] > 1 else None for side, n in zip(sides, numbers)]
    return frame.assign(**{NUMBER: pd.array(told, "Int64")}), [*cols, NUMBER]


def leave_out_sizes(frame: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Leaves out height and width, which every found file has, unless ours differ in them."""
    if not any(find_foreign(frame)):
        return list(names)
    own = select_own(frame)
    return [name for name in names if name not in SIZES or len(distinct_values(own, name)) > 1]


def refuse_shared_places(
    frame: pd.DataFrame, places: list[tuple], rows: list[str], cols: list[str]
) -> None:
    """Raises if several images fall into one cell: which of them would be the evidence?"""
    if len(set(places)) == len(places):
        return
    images: dict[tuple, list[int]] = {}
    for i, place in enumerate(places):
        images.setdefault(place, []).append(i)
    (row, col), shared = max(images.items(), key=lambda item: len(item[1]))
    where = " and ".join(
        [f"row {format_label(row)!r}"] * bool(rows) + [f"col {format_label(col)!r}"] * bool(cols)
    )
    differ = find_differing(frame.iloc[shared])
    if not differ:
        raise ValueError(
            f"{len(shared)} images share {where}: they are one recipe, several times in the frame;"
            " frame.drop_duplicates('key') keeps one of each"
        )
    raise ValueError(
        f"{len(shared)} images share {where}: they differ in {', '.join(differ)}; add"
        f" {'it' if len(differ) == 1 else 'these'} to row or col, or narrow the frame"
    )


def cut_page(grid: Grid, page: int, max_rows: int, max_cols: int) -> tuple[Grid, str, int]:
    """Cuts out (one page of the grid, the note that says which, how many there are).

    They go across first, then down.
    """
    high, wide = len(grid.cells), len(grid.cells[0])
    across = math.ceil(wide / max_cols)
    pages = math.ceil(high / max_rows) * across
    if not 1 <= page <= pages:
        raise ValueError(
            f"page={page}: this grid of {high} rows and {wide} columns has pages 1 to {pages}"
        )
    top, left = (page - 1) // across * max_rows, (page - 1) % across * max_cols
    rows, cols = slice(top, min(top + max_rows, high)), slice(left, min(left + max_cols, wide))
    part = dataclasses.replace(
        grid,
        cells=[line[cols] for line in grid.cells[rows]],
        row_labels=grid.row_labels[rows],
        col_labels=grid.col_labels[cols],
    )
    shown = ", ".join(
        f"{kind} {of.start + 1}–{of.stop} of {n}"
        for kind, of, n in (("rows", rows, high), ("columns", cols, wide))
        if of.stop - of.start < n
    )
    return part, f"page {page} of {pages}: {shown}" if shown else "", pages


def note_gaps(grid: Grid) -> str:
    """Says how many places have no cell, as in a frame that is no whole sweep."""
    places = [cell for line in grid.cells for cell in line]
    gaps = places.count(None)
    return (
        f"{gaps} of {len(places)} places are empty (·): the frame has no such cell" if gaps else ""
    )


def write_told(grid: Grid, columns: Sequence[str]) -> str:
    """Writes what was measured in each cell, under what it is called; "" if nothing was.

    If that is long, it writes what was found alone, and of too many cells it names the columns.
    """
    found, brief = [], []
    rows = grid.row_labels or [""] * len(grid.cells)
    cols = grid.col_labels or [""] * len(grid.cells[0])
    for down, line in zip(rows, grid.cells):
        for across, cell in zip(cols, line):
            if cell and cell.told:
                names = [down, across, cell.caption.replace("\n", ", ")]
                name = ", ".join(filter(None, names))
                found.append(f"{name}: {cell.told}")
                brief.append(f"{name}: {cell.answer}" if cell.answer else "")
    text, answers = "; ".join(found), "; ".join(filter(None, brief))
    if len(text) <= MOST_TOLD:
        return text
    if answers and len(answers) <= MOST_ANSWERS:
        return f"a program found in each: {answers}"
    return f"measured in each, and told in the frame: {', '.join(columns)}"


def write_labels(labels: Sequence[str]) -> str:
    """Writes the labels of rows or columns, of many the first and the last."""
    text = "; ".join(labels)
    return text if len(text) <= MOST_LABELS else f"{labels[0]}; … {labels[-1]}"


def describe_grid(
    grid: Grid, title: str, shared: str, note: str, measured: Sequence[str] = ()
) -> str:
    """Describes the figure in words, which stand for the picture where it is not seen."""
    cells = [cell for line in grid.cells for cell in line if cell]
    failed = sum(cell.path is None and cell.error is not None for cell in cells)
    every = [("rows", grid.row_name, grid.row_labels), ("columns", grid.col_name, grid.col_labels)]
    sides = [side for side in every if side[2]]
    axes = " by ".join(f"{name} ({len(labels)} {kind})" for kind, name, labels in sides)
    parts = [
        title,
        f"Grid of {len(cells)} pictures{axes and f': {axes}'}{note and f' ({note})'}",
        *(f"{kind}: {name}: {write_labels(labels)}" for kind, name, labels in sides),
        failed and f"{failed} failed",
        shared and f"constant: {shared}",
        write_told(grid, measured),
    ]
    return ". ".join(part for part in parts if part)
