"""What the page may know of the pairs, place after place: pictures, labels and the vote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from PIL import Image

from ...recipe.request import FIELDS, PROMPTS
from ...results.frame import column_values, describe_measures, format_value, is_neutral
from ...results.pairs import Pairing, draw_difference
from ..pictures import (
    SEEN,
    UNSEEN,
    can_look,
    describe_seen,
    level_sizes,
    look_at,
    open_pictures,
    strip_recipe,
)
from .votes import Ballot


class Places:
    """What may be known at each place of a ballot; while a pair is hidden, not who is who.

    Parameters
    ----------
    pairing : Pairing
    rows : DataFrame
        One row a pair.
    names : (str, str)
        Of the left and the right side.
    ballot : Ballot
    deal : int
        Counts how often the pairs were laid out: what is told is of this time.
    """

    def __init__(
        self, pairing: Pairing, rows: pd.DataFrame, names: Sequence[str], ballot: Ballot, deal: int
    ) -> None:
        self.pairing, self.rows, self.names = pairing, rows, list(names)
        self.ballot, self.deal = ballot, deal

    def describe(self, place: int) -> dict[str, Any]:
        """Tells what may be said of a place: of a hidden one nothing of whose picture is whose."""
        n, vote = self.ballot.order[place], self.ballot.vote_at(place)
        hidden = self.ballot.hides(place)  # labels, such as who was shown it, may tell a side
        names = ["", ""] if hidden else self.names[::-1] if self.ballot.swapped[n] else self.names
        apart = (*self.pairing.varying, *(PROMPTS if hidden else ()))  # which labels stood for
        row, given = self.rows.iloc[[n]], self.ballot.vote_on(n)
        shown = {
            name: column_values(row, name)[0]
            for name in row.columns
            if not name.startswith(("left_", "right_")) and (name in FIELDS or not hidden)
        }
        facts = [
            [name, format_value(value)]
            for name, value in shown.items()
            if value is not None and not is_neutral(name, value)
        ]
        return {
            "kind": "pair",
            "deal": self.deal,
            "n": place,
            "names": names,
            "vote": vote,
            "stays": bool(given and given[1] and not hidden),
            "said": self._describe_vote(place, names),
            "shared": [fact for fact in facts if fact[0] in apart],
            "more": [fact for fact in facts if fact[0] not in apart],
        }

    def _describe_vote(self, place: int, names: list[str]) -> str:
        vote, given = self.ballot.vote_at(place), self.ballot.vote_on(self.ballot.order[place])
        if given is None:
            return ""
        name = dict(zip(("left", "right"), names)).get(vote)
        stays = given[1] and not self.ballot.hides(place)
        return (
            f"voted{' blind' if stays else ''}: {vote}{f' ({name})' if name else ''}"
            f"{'; it stays, as you know the names' if stays else ''}"
        )

    def open(self, place: int) -> tuple[dict[str, Any], list[bytes]]:
        """Opens both pictures, and tells what may be said of them."""
        hidden = self.ballot.hides(place)
        images, problems = open_pictures(self._paths(place))
        lacking = [UNSEEN + f": {why}" * (not hidden) if why else "" for why in problems]
        if hidden:
            images = level_sizes(images)
        buffers = [b"" if image is None else strip_recipe(image) for image in images]
        looks = can_look(self.pairing.source)
        more = {"lacking": lacking, "seen": None if looks else self.list_seen(place)}
        return {**self.describe(place), **more}, buffers

    def look(self, place: int) -> list[str]:
        """Looks at both pictures, which are in no order but that of their sides there."""
        measured = self.list_seen(place)
        found = [look_at(path) for path in self._paths(place)]
        return [", ".join(filter(None, both)) for both in zip(found, measured)]

    def list_seen(self, place: int) -> list[str]:
        """Lists what is measured of both; while it is hidden only what does not tell a side."""
        n = self.ballot.order[place]
        rows = self.pairing.source.iloc[list(self.pairing.pairs[n])]
        seen = describe_seen(rows)
        if not self.ballot.hides(place):
            more = describe_measures(rows.drop(columns=[*SEEN], errors="ignore"))
            seen = [", ".join(filter(None, both)) for both in zip(seen, more)]
        return seen[::-1] if self.ballot.swapped[n] else seen

    def subtract(self, place: int, gain: float) -> tuple[dict[str, Any], list[bytes]]:
        """Draws where the two pictures differ, so many times as strongly, and says how much."""
        import numpy as np

        one, other = self._paths(place)
        try:
            with Image.open(one) as left, Image.open(other) as right:
                shown = draw_difference(left, right, gain)
                change = np.abs(np.asarray(draw_difference(left, right, 1), np.int16) - 128)
        except OSError:
            raise ValueError(
                "one of the two pictures cannot be read, so there is no difference"
            ) from None
        said = (
            f"mean change {change.mean():.1f} of 255"
            if change.any()
            else "the two pictures are the same in every pixel"
        )
        return {"kind": "difference", "deal": self.deal, "n": place, "gain": gain, "said": said}, [
            strip_recipe(shown)
        ]

    def _paths(self, place: int) -> tuple[str, str]:
        """The files on the left and on the right, as seen at a place."""
        n = self.ballot.order[place]
        paths = self.rows["left_path"].iloc[n], self.rows["right_path"].iloc[n]
        return paths[::-1] if self.ballot.swapped[n] else paths
