"""The pictures, or pairs, of a frame that are judged, and what it says of each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

from ...errors import suggest
from ...results.code import find_store_root
from ...results.frame import column_values, find_varying, format_value, select_made
from ...results.pairs import pair
from ...results.stats.reading import split_frame
from ...store.columns import COLUMNS
from ..pictures import can_look, describe_seen, look_at, write_captions
from .round import About, list_subjects, sort_sides

TOLD = re.compile(r"\{([^{}]+)\}")  # what a question tells of each picture
ASKED = ("question", "answer", "rater", "seconds", "blind", "repeat", "time")


class Pictures:
    """What is judged, by the keys of the pictures, or by their paths if they are in no store.

    Parameters
    ----------
    frame : DataFrame
        As `Judge` takes it.
    by : str, optional
        Pairs the pictures.
    left, right : optional
        Two values of `by`.

    Attributes
    ----------
    root : Path or None
        The folder of their store.
    looks : bool
        Whether what stands in a picture is not in the frame, and is to be looked for.
    subjects : list
        What is judged: keys, or pairs of keys, in the order of the frame.
    """

    def __init__(self, frame: pd.DataFrame, by: str | None, left: Any, right: Any) -> None:
        if by is None and (left is not None or right is not None):
            raise ValueError("left and right are values of a column: give by='model', say, too")
        next(split_frame(frame, (), "path"))
        made = select_made(frame)
        if made.empty:
            raise ValueError("no row of the frame has a picture, so there is nothing to judge")
        self.frame, self.pairing = frame, None if by is None else pair(frame, by, left, right)
        self.root = find_store_root(frame) if "key" in frame.columns else None
        kind = "key" if self.root else "path"
        rows = made.assign(key=made[kind]).drop_duplicates("key")
        self._paths = dict(zip(column_values(rows, "key"), column_values(rows, "path")))
        self.looks = can_look(made)
        self._made = rows.set_index("key")
        self.subjects: list[About] = list(self._paths)
        names = find_varying(rows)
        if self.pairing is not None:
            rows = self.pairing.frame
            sides = (column_values(rows, f"{side}_{kind}") for side in ("left", "right"))
            self.subjects = list(zip(*sides))
            names = [name for name in self.pairing.varying if name in rows.columns]
        self._rows = rows
        self._captions = write_captions(rows, names)
        self._at = {sort_sides(about): i for i, about in enumerate(self.subjects)}

    def list_sides(self) -> list[str]:
        """Lists what the pictures of one subject are called, once the round has ended."""
        pairing = self.pairing
        if pairing is None:
            return ["picture"]
        return [f"{pairing.by} {format_value(side)}" for side in (pairing.left, pairing.right)]

    def paths_of(self, about: About) -> list[str]:
        """Lists the file of a picture, or those of a pair as it stands."""
        return [self._paths[key] for key in ([about] if isinstance(about, str) else about)]

    def caption_of(self, about: About) -> str:
        """Says in a line what sets it apart from the others."""
        i = self._at[sort_sides(about)]
        return self._captions[i] or f"number {i + 1}"

    def write_question(self, question: str, about: About) -> str:
        """Fills in what a question such as 'Is it "{prompt}"?' tells of the picture.

        Raises
        ------
        ValueError
            A name in braces is no column, or one in which the pictures of a pair differ.
        """
        row = self._rows.iloc[[self._at[sort_sides(about)]]]

        def fill(found: re.Match[str]) -> str:
            if (name := found[1]) not in self._list_told(ASKED):
                known = self._list_told(ASKED)
                raise ValueError(
                    f"question={question!r}: {name!r} is nothing that can be told of one"
                    f" picture{suggest(name, known, 0.5)} there is {', '.join(known)}"
                )
            return format_value(column_values(row, name)[0])

        return TOLD.sub(fill, question)

    def list_seen(self, about: About) -> list[str]:
        """Lists for a picture, or both of a pair, what a scorer saw in it, or sees now."""
        if self.looks:
            return [look_at(path) for path in self.paths_of(about)]
        return describe_seen(self._made.loc[[about] if isinstance(about, str) else [*about]])

    def describe(self, answers: pd.DataFrame, *, tell: bool) -> pd.DataFrame:
        """Gives the answers that are about these, with what the frame says of them if `tell`."""
        at = [self._at.get(sort_sides(about)) for about in list_subjects(answers)]
        names = ["key"] if self.pairing is None else ["left", "right"]
        known = answers.loc[[i is not None for i in at], [*names, *ASKED]].reset_index(drop=True)
        if not tell:
            return known
        rows = self._rows.iloc[[i for i in at if i is not None]].reset_index(drop=True)
        told = {name: rows[name] for name in self._list_told([*names, *ASKED])}
        return known.assign(**told, **self._tell_sides(known))

    def _list_told(self, taken: Sequence[str]) -> list[str]:
        """Lists the columns that are told: recipe, labels, measurements, and the path."""
        return [
            name
            for name in self._rows.columns
            if name not in taken
            and (name not in COLUMNS or COLUMNS[name].role == "recipe" or name == "path")
            and (self.pairing is None or not name.startswith(("left_", "right_")))
        ]

    def _tell_sides(self, answers: pd.DataFrame) -> dict[str, Any]:
        """Tells of pairs whose picture stood where, and whose was preferred."""
        pairing = self.pairing
        if pairing is None:
            return {}
        firsts = {about[0] for about in self.subjects}
        left = [pairing.left if key in firsts else pairing.right for key in answers["left"]]
        right = [pairing.right if key in firsts else pairing.left for key in answers["left"]]
        sides = zip(answers["answer"], left, right)
        preferred = [{"left": a, "right": b}.get(said) for said, a, b in sides]
        return {
            f"left_{pairing.by}": left,
            f"right_{pairing.by}": right,
            "preferred": pd.Series(preferred, answers.index, "object"),
        }
