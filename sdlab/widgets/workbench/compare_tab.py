"""The tab of pairs: which are shown, and which votes on them a report may tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets

from ...results.frame import format_value
from ...store.store import Store
from ..compare.compare import Compare
from ..raters import name_rater
from .choices import Choices
from .column_tab import ColumnTab
from .tab import Read, make_button

if TYPE_CHECKING:
    import pandas as pd


class CompareTab(ColumnTab):
    """Pairs that differ in one column, to look at and to vote on."""

    title, renews = "Compare", "Show the pairs"

    def __init__(self, read: Read, store: Store, choices: Choices) -> None:
        self._store = store
        blind = choices.recall(self.title, blind=bool).get("blind", True)
        self.blind = ipywidgets.Checkbox(description="blind", value=blind, indent=False)
        button = make_button(self.renews, self._show_pairs, self, "Of all pictures there are now")
        super().__init__(read, choices, self.blind, button)
        self.blind.observe(self._note_choice, "value")

    def _list_chosen(self) -> dict[str, Any]:
        return super()._list_chosen() | {"blind": self.blind.value}

    def _show_pairs(self) -> None:
        sides = self._sides()
        self._offer_columns()
        self.show(Compare(self.read(), **sides, blind=self.blind.value))

    @property
    def is_unshown(self) -> bool:
        return self.widget is None and not self._store.votes().empty

    @property
    def has_votes(self) -> bool:
        return self.widget is not None and not self._list_told().empty

    def _list_told(self) -> pd.DataFrame:
        """Lists the votes a report may tell: while one is under way, those of who has ended."""
        return self.widget.ended if self.widget.secret else self.widget.votes

    @property
    def under_way(self) -> str:
        if self.widget is None or not self.widget.secret or self.widget.has_ended:
            return ""
        if not self.has_votes and not any(self.widget.voted):  # nobody has begun
            return ""
        who = f"The blind vote of the rater {name_rater(self.widget.rater)} is under way"
        rest = "those that have ended are in it" if self.has_votes else "none has ended"
        return f"{who}: of the votes in “{self.title}” {rest}."

    def make_claims(self, text: str) -> list[Any]:
        from ...results.stats.claims import Claim  # and statistics with it

        if not self.has_votes:
            return []
        secret, votes = self.widget.secret, self._list_told()
        counts = self.widget.count_ended() if secret else self.widget.counts()
        sides = " or ".join(format_value(counts[side].iloc[0]) for side in ("left", "right"))
        return [Claim(text or f"Which is preferred: {sides}", counts, votes=votes)]
