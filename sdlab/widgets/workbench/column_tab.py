"""What the tabs have in common that are about one column, and which columns can be chosen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import ipywidgets

from ...results.frame import (
    column_values,
    distinct_values,
    find_label_columns,
    find_varying,
    format_value,
    join_words,
)
from .choices import Choices
from .tab import SHORT, Read, Tab

if TYPE_CHECKING:
    import pandas as pd

GONE_COLUMN = "“{}” was chosen here before, and these pictures do not differ in it."
GONE_VALUES = "Chosen here before, and not among these pictures: {} of {}."
MOST_SIDES = 50  # values of a column that are offered as sides


class ColumnTab(Tab):
    """A tab whose widget is about one column of the pictures, and two of its values.

    Parameters
    ----------
    read : callable
        Gives the frame of the pictures.
    choices : Choices
        Keep the column and the values for the next time.
    controls : sequence of ipywidget
    """

    besides: tuple[tuple[str, str], ...] = ()  # what is offered beside the columns
    _lost = ""  # what was chosen before and is not there, in words
    _offering = False  # whether what changes is not chosen by anybody

    def __init__(self, read: Read, choices: Choices, *controls: ipywidgets.Widget) -> None:
        self._choices = choices
        self.by = ipywidgets.Dropdown(
            description="by", tooltip="What differs between the two", style=SHORT
        )
        self.left = ipywidgets.Dropdown(description="left", style=SHORT)
        self.right = ipywidgets.Dropdown(description="right", style=SHORT)
        self.by.observe(self._offer_values, "value")
        for field in (self.by, self.left, self.right):
            field.observe(self._note_choice, "value")
        super().__init__(read, self.by, self.left, self.right, *controls)

    def _begin(self) -> None:
        self._offer_columns()
        self.say(self._lost)

    @contextmanager
    def _while_offering(self) -> Iterator[None]:
        before, self._offering = self._offering, True
        try:
            yield
        finally:
            self._offering = before

    def _offer_columns(self) -> None:
        """Offers the columns that differ, models first, and keeps what is chosen if it can.

        Where nothing is yet, it is what was chosen in this store before.
        """
        frame, kept = self.read(), self._recall_choice()
        names = list_sides(frame)
        choices = [*self.besides, *zip(names, names)]
        values, before = [value for _, value in choices], self.by.value  # may be chosen meanwhile
        wanted = before if before in values else kept.get("by")
        with self._while_offering():
            self.by.options = choices
            self.by.value = wanted if wanted in values else values[0] if values else None
            self._offer_values()
            self._lost = self._recall_sides(kept, values) if kept else ""
        if not choices:
            raise ValueError("These pictures differ in their seed alone: vary something else too.")

    def _offer_values(self, change: Any = None) -> None:
        with self._turn:  # a click that is handled meanwhile takes the old values or the new ones
            self._offer_values_now()

    def _offer_values_now(self) -> None:
        values = []
        if self._shown is not None and self.by.value:
            values = distinct_values(self._shown, self.by.value)
        found = [value for value in values if value is not None]
        with self._while_offering():
            for side, at in ((self.left, 0), (self.right, 1)):
                before = side.value
                side.options = [(format_value(value), value) for value in found]
                side.layout.display = "" if found else "none"
                if len(found) > at:
                    side.value = before if before in found else found[at]

    def _recall_choice(self) -> dict[str, Any]:
        """Recalls the column and the two values, in words, that were chosen last; {} if none."""
        return self._choices.recall(self.title, by=str, left=str, right=str)

    def _recall_sides(self, kept: Mapping[str, str], columns: Sequence[str]) -> str:
        """Chooses the values that were chosen before, and says what of that is not there."""
        if kept["by"] not in columns:
            return GONE_COLUMN.format(kept["by"]) if kept["by"] else ""
        if self.by.value != kept["by"] or not kept["by"]:
            return ""
        known = dict(self.left.options)
        sides = [kept["left"], kept["right"]]
        if lost := [f"“{side}”" for side in sides if side not in known]:
            return GONE_VALUES.format(join_words(lost), kept["by"])
        self.left.value, self.right.value = (known[side] for side in sides)
        return ""

    def _list_chosen(self) -> dict[str, Any]:
        """Lists what is chosen, ready for JSON: values in words."""
        if self.by.value is None:  # nothing is offered yet
            return self._recall_choice()
        left, right = self.left.label or "", self.right.label or ""
        return {"by": self.by.value, "left": left, "right": right}

    def _note_choice(self, _: Any = None) -> None:
        """Takes note of what somebody chooses, for the next time."""
        if self._offering:
            return
        self._choices.note(self.title, **self._list_chosen())
        if self._lost:
            self._lost = ""
            self.say("")

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
