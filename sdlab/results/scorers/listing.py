"""The table of scorers, which shows what their columns mean."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from ..html import render_table
from ..meanings import MEANINGS


class Scorers(dict[str, Callable[..., pd.DataFrame | pd.Series | Mapping[str, Any]]]):
    """{name: scorer}, which shows itself as a table of what each column means."""

    def list_columns(self) -> list[tuple[str, str, str]]:
        """Lists (scorer, column, what it means); of one that is yours what its help begins with."""
        found = []
        for name, scorer in self.items():
            told = [(name, column, text) for column, text in MEANINGS.items()
                    if column.startswith(f"{name}_")]  # fmt: skip
            is_own = not getattr(scorer, "__module__", "").startswith("sdlab.")
            first, *_ = (inspect.getdoc(scorer) or "a scorer of your own").split("\n")
            found += [(name, "", first)] if is_own or not told else told
        return found

    def _repr_html_(self) -> str:
        head = ["scorer", "column", "what it means"]
        return render_table(head, self.list_columns(), style="text-align:left;vertical-align:top")

    def __repr__(self) -> str:
        rows = self.list_columns()
        return "\n".join(f"{column or name}: {meaning}" for name, column, meaning in rows)
