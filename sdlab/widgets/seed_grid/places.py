"""Where each row of a frame stands in a grid: its row, its column, its setting of sliders."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from ...recipe.request import SPECS
from ...results.frame import (
    NUMBER,
    column_values,
    distinct_values,
    find_varying,
    join_words,
    name_sources,
    order_values,
    row_tuples,
    shorten_pictures,
)
from ...results.grid import find_columns, leave_out_sizes, number_alike, refuse_shared_places
from ...results.origins import label_sides
from ..pictures import write_captions

Names = str | Sequence[str] | None


@dataclass(frozen=True)
class Axis:
    """Columns of the frame, and the values that they take together, as `order_values` has them.

    Behind the others may stand a number that the frame has not, as `number_alike` gives it.
    """

    names: list[str]
    found: list[tuple] = field(repr=False)
    labels: list[str] = field(repr=False)

    @property
    def title(self) -> str:
        numbered = bool(self.found) and len(self.found[0]) > len(self.names)
        return " · ".join([*self.names, *[NUMBER] * numbered])


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
    def filled(self) -> float:
        """The share of the places, at all settings of the sliders, for which there is a row."""
        every = self.a_page * math.prod(len(axis.found) for axis in self.sliders)
        return 1.0 if self.in_order else len(self.at) / every

    @property
    def names(self) -> list[str]:
        """All columns that the grid shows."""
        return [name for axis in (*self.sliders, self.row, self.col) for name in axis.names]

    def describe_sides(self) -> str:
        """Says what names rows and columns, and what has a slider, of which one value is shown."""
        names = (("rows", self.row.title), ("columns", self.col.title))
        sides = join_words([f"{side} by {name}" for side, name in names if name] or ["order"])
        titles = [axis.title for axis in self.sliders]
        return sides + (f", one {join_words(titles)} at a time by sliders" if titles else "")

    def describe_sliders(self, where: Sequence[int], but: str = "") -> str:
        """Says which value each slider shows, and that it has others; nothing of the one `but`."""
        return " · ".join(
            f"{axis.title}: {axis.labels[n]}"
            f" (one of {len(axis.found)} values, the others are not shown)"
            for axis, n in zip(self.sliders, where)
            if axis.title != but
        )

    def find_slider(self, title: str) -> int:
        """Finds the number of a slider by its name, or raises with those there are."""
        titles = [axis.title for axis in self.sliders]
        if title not in titles:
            known = join_words(titles) or "no slider"
            raise ValueError(f"all_of={title!r}: no slider has that name; there is {known}")
        return titles.index(title)

    def list_settings(
        self, title: str, where: Sequence[int], every: Sequence[tuple[int, ...]]
    ) -> list[int]:
        """Lists the rows at all settings of one slider, where the others stay as they are.

        `every` is what `settings` gives.
        """
        free = self.find_slider(title)
        return [
            i
            for i, found in enumerate(every)
            if all(k == free or n == where[k] for k, n in enumerate(found))
        ]

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

    def find_fullest(self, paths: Sequence[Any]) -> list[int]:
        """Finds the setting of the sliders that shows the most pictures.

        Of equals it is the first in which no field is off, as guidance 0 ignores the prompt.
        """
        every = self.settings()
        there = Counter(setting for setting, path in zip(every, paths) if path is not None)
        counts = there or Counter(every)

        def rank(setting: tuple[int, ...]) -> tuple[int, int, tuple[int, ...]]:
            shown = [axis.found[n] for axis, n in zip(self.sliders, setting)]
            off = sum(is_off(axis.names, value) for axis, value in zip(self.sliders, shown))
            return -counts[setting], off, setting

        fullest = min(counts, key=rank)
        return list(fullest)

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


def is_off(names: Sequence[str], found: tuple) -> bool:
    """Tells whether a field is 0 where that is not the usual case, as it is for eta."""
    (name,), (value,) = names, found
    return name in SPECS and name != "seed" and value == 0 and SPECS[name].neutral != 0


def arrange_places(frame: pd.DataFrame, row: Names, col: Names) -> Places:
    """Arranges the rows of a frame in a grid.

    Parameters
    ----------
    frame : DataFrame
    row, col : str or list of str, optional
        Columns of the frame. With None for `col`, seeds stand across where they vary, and with None
        for both what else varies first stands down, as `choose_sides` has it; with no names for
        both, the pictures stand in order.

    Raises
    ------
    ValueError
        Unknown columns, or rows that differ in nothing, but for pictures from elsewhere: these are
        numbered.
    """
    rows, cols = find_columns(frame, row, "row"), find_columns(frame, col, "col")
    frame = shorten_pictures(name_sources(frame))
    differing = find_varying(frame)
    if col is None:
        rows, cols = choose_sides(frame, rows, row is None, differing)
    if not rows and not cols:
        return Places(
            Axis([], [()], [""]),
            Axis([], [()], [""]),
            [],
            list(range(len(frame))),
            write_captions(frame, differing or ["prompt"]),
        )
    rest = choose_sliders(frame, rows + cols, leave_out_sizes(frame, differing))
    frame, numbered = number_alike(frame, rows, cols, rest)
    places = zip(row_tuples(frame, rows), row_tuples(frame, [*numbered, *rest]))
    refuse_shared_places(frame, list(places), rows, [*numbered, *rest])
    sides = [numbered, rows, *([name] for name in rest)]
    values = [order_values(frame, side) for side in sides]
    labels = label_sides(frame, *zip(sides, values))
    names = [cols, rows, *([name] for name in rest)]
    col_axis, row_axis, *sliders = map(Axis, names, values, labels)
    at = [0] * len(frame)
    for side, axis in (*zip(sides[2:], sliders), (rows, row_axis), (numbered, col_axis)):
        number = {value: n for n, value in enumerate(axis.found)}
        at = [
            place * len(axis.found) + number[value]
            for place, value in zip(at, row_tuples(frame, side))
        ]
    captions = write_captions(frame, [*rest, *rows, *cols] or ["prompt"])
    numbers = column_values(frame, NUMBER)  # None where nothing else is alike
    told = [f"{text} · {NUMBER} {n}" if n else text for text, n in zip(captions, numbers)]
    return Places(row_axis, col_axis, sliders, at, told)


def choose_sides(
    frame: pd.DataFrame, rows: list[str], anything: bool, differing: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Chooses what names the columns, and the rows if these may be anything: (rows, columns).

    Seeds stand across; else the two that vary first, if each of one is there with each of the
    other.
    """
    others = [name for name in differing if name not in (*rows, "seed")]
    if "seed" in differing and "seed" not in rows and (rows or others):
        return (others[:1] if anything else rows), ["seed"]
    counts = [len(distinct_values(frame, name)) for name in others[:2]]
    are_crossed = len(set(row_tuples(frame, others[:2]))) == math.prod(counts)
    are_apart = len(set(row_tuples(frame, differing))) == len(frame)
    if anything and len(others) > 1 and are_crossed and are_apart:
        return others[:1], others[1:2]
    return rows, []


def choose_sliders(frame: pd.DataFrame, axes: list[str], differing: Sequence[str]) -> list[str]:
    """Chooses the fewest further columns that tell apart what shares a row and a column."""
    chosen = list(axes)
    count = len(set(row_tuples(frame, chosen)))
    for name in differing:
        more = 0 if name in axes else len(set(row_tuples(frame, [*chosen, name])))
        if more > count:
            chosen, count = [*chosen, name], more
    return chosen[len(axes) :]
