"""What a program finds in a grid's pictures, for those who do not see them."""

from __future__ import annotations

from collections.abc import Sequence

from ..pictures import can_look, describe_seen, look_at
from .cells import Cells
from .still import MOST

MOST_LOOKED = 100  # pictures in which a program looks for a page: some 25 ms each


class Looks:
    """What was found in pictures so far; where something was measured, that is told.

    Parameters
    ----------
    cells : Cells

    Attributes
    ----------
    can : bool
        Whether a matcher can say what stands in each.
    """

    def __init__(self, cells: Cells) -> None:
        self._cells, self.can = cells, can_look(cells.frame)
        self._seen: dict[int, str] = {}  # row: what a program found in its picture when it looked

    def look(self, rows: Sequence[int]) -> None:
        """Has a program look in the pictures of rows of which nothing was measured, if few."""
        new = [i for i in rows[:MOST] if i not in self._seen and self._cells.paths[i] is not None]
        for i in new if self.can and len(new) <= MOST_LOOKED else ():
            self.look_at(i)

    def look_at(self, i: int) -> str:
        """Says what a program finds in a picture, and keeps that for what stays of the grid."""
        if said := look_at(self._cells.paths[i] or ""):
            self._seen[i] = said
        return said

    def list_seen(self, rows: Sequence[int]) -> dict[int, str]:
        """Lists {row: what a program found in its picture}, as far as it has looked."""
        measured = describe_seen(self._cells.frame.iloc[list(rows)], blind=False)
        return {i: said or self._seen.get(i, "") for i, said in zip(rows, measured)}
