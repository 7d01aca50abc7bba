"""HTML by templates, which escape whatever they are given."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class TableCell:
    """A cell of a table: text, or lines of it, or a picture that the text describes."""

    text: str = ""
    kind: str = ""  # a class in the style sheet; "number" stands at the right
    lines: Sequence[str] = ()
    paper: str = ""  # what stands on paper in place of the lines, if anything does
    picture: str = ""  # its address
    small: bool = False  # to be enlarged without blurring


Row = Sequence[TableCell | str]
MOST_ACROSS = 7  # columns that a sheet of A4 holds


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table whose rows begin with their names; what is no `Markup` in it is escaped."""

    rows: Sequence[Row]
    head: Sequence[str] = ()
    caption: str = ""
    kind: str = ""  # a class in the style sheet
    style: str = ""  # of each cell, where there is no style sheet
    note: str = ""  # what stands by it, such as how much is not shown

    @property
    def classes(self) -> str:
        """Classes in the style sheet: on paper a "wide" one is a block of named values a row."""
        return f"{self.kind}{' wide' * self.is_wide}".strip()

    @property
    def is_wide(self) -> bool:
        """Whether it has more columns than a sheet of paper."""
        return len(self.head) > MOST_ACROSS and not self.style

    @property
    def numeric(self) -> list[bool]:
        """Whether a column holds numbers, for each column."""
        kinds = [[getattr(cell, "kind", "") for cell in row] for row in self.rows]
        return ["number" in column for column in zip(*kinds)] or [False] * len(self.head)


def render_table(
    head: Sequence[str], rows: Sequence[Row], *, caption: str = "", style: str = ""
) -> Markup:
    """Renders a table that can stand anywhere: scopes on its headings, and every text escaped.

    Parameters
    ----------
    head : sequence of str
        The columns' names, that of the rows' names first; empty for a table without a head.
    rows : sequence of sequences
        Of each row its name, then its cells. A text that is `Markup` counts as ready HTML.
    caption : str
    style : str
        CSS of each cell, for pages that have no style sheet; a row's name is no letter wide.
    """
    table = Table(rows=rows, head=head, caption=caption, style=style)
    return TEMPLATES.get_template("table.html.j2").module.table(table)  # type: ignore[attr-defined]


def split_paragraphs(text: str) -> list[str]:
    """Splits a text at its blank lines."""
    return [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]


TEMPLATES.filters["paragraphs"] = split_paragraphs
