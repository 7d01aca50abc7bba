"""What the tabs have in common that are about one column, and which columns can be chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets

from ...results.frame import (
    column_values,
    distinct_values,
    find_label_columns,
    find_varying,
    format_value,
)
from .tab import SHORT, Read, Tab

if TYPE_CHECKING:
    import pandas as pd

MOST_SIDES = 50  # values of a column that are offered as sides


class ColumnTab(Tab):
    """A tab whose widget is about one column of the pictures, and two of its values."""

    besides: tuple[tuple[str, str], ...] = ()  # what is offered beside the columns

    def __init__(self, read: Read, *controls: ipywidgets.Widget) -> None:
        self.by = ipywidgets.Dropdown(
            description="by", tooltip="What differs between the two", style=SHORT
        )
        self.left = ipywidgets.Dropdown(description="left", style=SHORT)
        self.right = ipywidgets.Dropdown(description="right", style=SHORT)
        self.by.observe(self._offer_values, "value")
        super().__init__(read, self.by, self.left, self.right, *controls)

    def _begin(self) -> None:
        self._offer_columns()

    def _offer_columns(self) -> None:
        """Offers the columns that differ, models first, and keeps what is chosen if it can."""
        frame, before = self.read(), self.by.value
        names = list_sides(frame)
        choices = [*self.besides, *zip(names, names)]
        self.by.options = choices
        self.by.value = before if before in names else choices[0][1] if choices else None
        self._offer_values()
        if not choices:
            raise ValueError("These pictures differ in their seed alone: vary something else too.")

    def _offer_values(self, change: Any = None) -> None:
        values = []
        if self._shown is not None and self.by.value:
            values = distinct_values(self._shown, self.by.value)
        found = [value for value in values if value is not None]
        for side, at in ((self.left, 0), (self.right, 1)):
            before = side.value
            side.options = [(format_value(value), value) for value in found]
            side.layout.display = "" if found else "none"
            if len(found) > at:
                side.value = before if before in found else found[at]

    def _sides(self) -> dict[str, Any]:
        """The chosen column and values, as `Compare` and `Judge` take them."""
        if self.by.value is None:  # the button's click came before that on the tab was dealt with
            self._offer_columns()
        if not self.by.value:
            return {}
        return {"by": self.by.value, "left": self.left.value, "right": self.right.value}


def list_sides(frame: pd.DataFrame) -> list[str]:
    """Lists the columns whose values can be compared, models first.

    What each model has a value of its own of, as its size, does not count beside the model.
    """
    models = column_values(frame, "model")
    several = len(set(models)) > 1
    names = []
    for name in dict.fromkeys((*find_varying(frame), *find_label_columns(frame))):
        values = column_values(frame, name)
        few = 1 < len(set(values)) <= MOST_SIDES and name != "seed"
        follows = several and len(set(zip(models, values))) == len(set(models))
        if few and (name == "model" or not follows):
            names.append(name)
    return sorted(names, key=lambda name: name != "model")
