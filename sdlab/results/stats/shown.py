"""What a statistic gives: a frame that a notebook shows with whole sentences."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup

from ..frame import format_value
from .charts import label_row

SENTENCES = ("verdict", "note")  # columns of words, longer than pandas shows
MOST_SHOWN = 60  # rows, as pandas shows them
STYLE = "text-align:left;max-width:60em"


class Evidence(pd.DataFrame):
    """A frame like any other, whose sentences stand whole under it where it is shown."""

    @property
    def _constructor(self) -> type[Evidence]:
        return Evidence

    def _repr_html_(self) -> str | None:
        """Shows the numbers as a table, and under it each row's sentence, with whose it is."""
        told = [name for name in SENTENCES if name in self.columns]
        short = len(self) <= MOST_SHOWN and self.columns.is_unique
        plain = pd.DataFrame(self).drop(columns=told) if short else pd.DataFrame(self)
        with pd.option_context("display.max_colwidth", None):
            table: str | None = plain._repr_html_()  # type: ignore[operator]
        if table is None or not short:
            return table
        rows = zip(plain.to_dict("records"), self.index)
        whose = [label_row(row) or format_value(index) for row, index in rows]
        lines = [
            Markup("<div><b>{}, {}:</b> {}</div>").format(name, row, text)
            for name in told
            for row, text in zip(whose, self[name])
            if isinstance(text, str) and text
        ]
        return f'{table}<div style="{STYLE}">{"".join(lines)}</div>'

    def __repr__(self) -> str:
        with pd.option_context("display.max_colwidth", None):
            return super().__repr__()
