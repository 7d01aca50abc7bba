"""The two tabs with a grid: that of the form's last run, and that of all chosen pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...results.frame import count_noun, find_foreign, find_varying, join_words
from ...store.store import Store
from ..seed_grid.grid import SeedGrid
from ..seed_grid.view import find_axes
from ..sweep_form.form import SweepForm
from .choices import Choices
from .tab import Read, Tab, make_button

if TYPE_CHECKING:
    import pandas as pd

LOST = "The rows and columns that were chosen before {}. So these stand as usual."
SPARSE = 0.5  # share of a grid's places: with fewer pictures, they stand in order


class SweepTab(Tab):
    """The form that makes pictures, and the grid of its last run."""

    title = "Sweep"
    needs_pictures = False

    def __init__(self, store: Store | str) -> None:
        self.form = SweepForm(store=store)
        super().__init__(lambda: self.form.store.frame())
        self.show(self.form)

    @property
    def is_stale(self) -> bool:
        return False  # its grid is about its own run


class GridTab(Tab):
    """The pictures in a grid."""

    title = "Grid"

    def __init__(self, read: Read, choices: Choices) -> None:
        self._choices, self._lost = choices, ""
        super().__init__(read, make_button(self.renews, self._look, self, "Shows all there is now"))

    @property
    def comes_by(self) -> str:
        none = self.widget is not None or self._read().empty
        return "" if none else "choose that tab once"

    def _begin(self) -> None:
        self._look()

    def _look_up(self) -> None:
        """Shows what a run here has made, as one looks for it there; of others it only tells."""
        if not (self.widget and self.behind and self.is_stale) or self._read().empty:
            return super()._look_up()
        self._look()
        told = f"Shown is the last run now: {count_noun(len(self.list_own()), 'picture')}."
        self.say(f"{told} {self._lost}".strip())

    def _look(self) -> None:
        frame, self.behind = self.read(), False
        # found pictures state few fields: sliders would show them without any of our own
        found = any(find_foreign(frame))
        kept = f"{self.title} with those found" if found else self.title
        grid, self._lost = self._arrange(frame, kept, in_order=found)
        sides = ["row", "col"]
        grid.observe(lambda _: self._choices.note(kept, row=grid.row, col=grid.col), sides)
        self.show(grid)
        self.say(self._lost)

    def _arrange(self, frame: pd.DataFrame, kept: str, in_order: bool) -> tuple[SeedGrid, str]:
        """Makes a grid with the rows and columns that were chosen last, or says why they are not.

        Without any they are as usual, or the pictures stand in order.
        """
        chosen, lost = self._choices.recall(kept, row=list, col=list), ""
        if chosen:
            axes = find_axes(frame, find_varying(frame))
            gone = [str(name) for name in chosen["row"] + chosen["col"] if name not in axes]
            if not gone:
                try:
                    return SeedGrid(frame, **chosen), ""
                except ValueError as error:
                    lost = LOST.format(f"cannot be now: {error}")
            lost = lost or LOST.format(f"need pictures that differ in {join_words(gone)}")
        grid = None if in_order else SeedGrid(frame)
        if grid is None or grid.filled < SPARSE:
            grid = SeedGrid(frame, row=[], col=[])
        return grid, lost

    def make_figure(self, frame: pd.DataFrame, *, own: bool = False) -> Any:
        """Makes the grid of these pictures, in order if it shows more: no slider hides any."""
        shown = set() if self._shown is None else set(self._shown["path"])
        if set(frame["path"]) < shown:
            return SeedGrid(frame, row=[], col=[])
        return super().make_figure(frame, own=own)
