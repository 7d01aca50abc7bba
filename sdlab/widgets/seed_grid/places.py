"""Where each row of a frame stands in a grid: its row, its column, its setting of sliders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from ...results.frame import find_varying, order_values, row_tuples, shorten_pictures
from ...results.grid import find_columns, refuse_shared_places
from ...results.origins import label_sides
from ..pictures import write_captions

Names = str | Sequence[str] | None


@dataclass(frozen=True)
class Axis:
    """Columns of the frame, and the values that they take together, as `order_values` has them."""

    names: list[str]
    found: list[tuple] = field(repr=False)
    labels: list[str] = field(repr=False)

    @property
    def title(self) -> str:
        return " · ".join(self.names)


@dataclass(frozen=True)
class Places:
    """A grid with one picture at a time in each place; `at[i]` is where row i of the frame stands.

    A place is a number: that of the sliders' setting times rows times columns, plus that of the row
    times columns, plus that of the column. Without rows and columns the pictures stand one after
    the other, each under its caption.
    """

    row: Axis
    col: Axis
    sliders: list[Axis]
    at: list[int] = field(repr=False)
    captions: list[str] = field(repr=False)

    @property
    def in_order(self) -> bool:
        return not (self.row.names or self.col.names)

    @property
    def a_page(self) -> int:
        """Places for one setting of the sliders."""
        return len(self.row.found) * len(self.col.found)

    @property
    def names(self) -> list[str]:
        """All columns that the grid shows."""
        return [name for axis in (*self.sliders, self.row, self.col) for name in axis.names]

    def describe_sliders(self, where: Sequence[int]) -> str:
        """Says which value each slider shows, and that it has others."""
        return " · ".join(
            f"{axis.title}: {axis.labels[n]}"
            f" (one of {len(axis.found)} values, the others are not shown)"
            for axis, n in zip(self.sliders, where)
        )

    def settings(self) -> list[tuple[int, ...]]:
        """Lists the setting of the sliders of each row."""
        a_page = self.a_page if self.sliders else len(self.at) + 1
        pages = [place // a_page for place in self.at]
        known = {page: self._read_setting(page) for page in set(pages)}
        return [known[page] for page in pages]

    def _read_setting(self, page: int) -> tuple[int, ...]:
        out = []
        for axis in reversed(self.sliders):
            page, index = divmod(page, len(axis.found))
            out.append(index)
        return tuple(reversed(out))

    def to_json(self) -> dict[str, Any]:
        """Gives all this as JSON for the page."""
        rows, cols = ([], []) if self.in_order else (self.row.labels, self.col.labels)
        return {
            "at": self.at,
            "rows": rows,
            "cols": cols,
            "row_name": self.row.title,
            "col_name": self.col.title,
            "sliders": [{"name": axis.title, "labels": axis.labels} for axis in self.sliders],
        }


def arrange_places(frame: pd.DataFrame, row: Names, col: Names) -> Places:
    """Arranges the rows of a frame in a grid.

    Parameters
    ----------
    frame : DataFrame
    row, col : str or list of str, optional
        Columns of the frame. With None for both, the seeds stand across, and what else varies first
        stands down; with no names for both, the pictures stand in order.

    Raises
    ------
    ValueError
        Unknown columns, or rows that differ in nothing.
    """
    rows, cols = find_columns(frame, row, "row"), find_columns(frame, col, "col")
    frame = shorten_pictures(frame)
    differing = find_varying(frame)
    if row is None and col is None and "seed" in differing and len(differing) > 1:
        rows, cols = [name for name in differing if name != "seed"][:1], ["seed"]
    if not rows and not cols:
        return Places(
            Axis([], [()], [""]),
            Axis([], [()], [""]),
            [],
            list(range(len(frame))),
            write_captions(frame, differing or ["prompt"]),
        )
    rest = choose_sliders(frame, rows + cols, differing)
    refuse_shared_places(
        frame,
        list(zip(row_tuples(frame, rows), row_tuples(frame, [*cols, *rest]))),
        rows,
        [*cols, *rest],
    )
    sides = [(names, order_values(frame, names)) for names in (cols, rows, *([n] for n in rest))]
    col_axis, row_axis, *sliders = map(Axis, *zip(*sides), label_sides(frame, *sides))
    axes = [*sliders, row_axis, col_axis]
    at = [0] * len(frame)
    for axis in axes:
        number = {value: n for n, value in enumerate(axis.found)}
        at = [
            place * len(axis.found) + number[value]
            for place, value in zip(at, row_tuples(frame, axis.names))
        ]
    return Places(
        row_axis, col_axis, sliders, at, write_captions(frame, [*rest, *rows, *cols] or ["prompt"])
    )


def choose_sliders(frame: pd.DataFrame, axes: list[str], differing: Sequence[str]) -> list[str]:
    """Chooses the fewest further columns that tell apart what shares a row and a column."""
    chosen = list(axes)
    count = len(set(row_tuples(frame, chosen)))
    for name in differing:
        more = 0 if name in axes else len(set(row_tuples(frame, [*chosen, name])))
        if more > count:
            chosen, count = [*chosen, name], more
    return chosen[len(axes) :]
