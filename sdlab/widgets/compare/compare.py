"""`Compare`: pairs of pictures that differ in one thing, to look at and to vote on."""

from __future__ import annotations

from typing import Any

import pandas as pd
import traitlets
from PIL import Image

from ...render.job import Job
from ...results.code import find_store_root
from ...results.frame import (
    column_values,
    count_noun,
    format_value,
    hide_home,
    is_neutral,
    shorten_hashes,
)
from ...results.pairs import Pairing, draw_difference, list_differences, pair
from ...store.store import Store
from ..code import write_widget
from ..panel import Panel, source
from ..pictures import strip_recipe
from .still import render_pairs
from .votes import Ballot, Votes

MODES = ("swipe", "side by side", "blink", "difference")


class Compare(Panel):
    """Pairs of pictures that agree in all but one column, to look at in four ways and to vote on.

    In blind mode the order of the pairs is shuffled, chance decides who stands on which side, and
    the page does not learn whose picture is whose before the vote. Votes are kept in the store, by
    the pictures' keys, and found again there; those on pictures in no store last as long as the
    widget.

    Parameters
    ----------
    results : DataFrame or Job
        What `run` returned, or any frame with `by` and `path`. A job is waited for.
    by : str
        The column whose values are compared; `sdlab.results.pairs.pair` says which rows belong
        together.
    left, right : optional
        The two values; the first that appear if left out.
    blind : bool
        Whether to begin in blind mode, side by side.
    seed : int
        Decides the blind order and sides: the same seed, the same order.
    gain : float
        How much the difference picture exaggerates, 1 to 32.
    rater : str
        Who votes. Each rater sees and changes their own votes; "" is somebody without a name.

    Attributes
    ----------
    mode : {"swipe", "side by side", "blink", "difference"}
        `blind`, `gain` and `at`, the place of the pair shown, can be set and observed, too.

    Raises
    ------
    TypeError, ValueError
        No such column or value, nothing to compare, no pair, one recipe several times.

    Examples
    --------
    >>> Compare(results, by="model", blind=True)
    """

    _esm = source(
        "page.js",
        "compare/stage.js",
        "compare/ways.js",
        "compare/pairs.js",
        "compare/bars.js",
        "compare/side.js",
        "compare/keys.js",
        "compare/compare.js",
    )
    _css = source("page.css", "compare/compare.css")
    by = traitlets.Unicode().tag(sync=True)
    choices = traitlets.List(traitlets.Unicode(), help="All values of `by`, in words.").tag(
        sync=True
    )
    chosen = traitlets.List(traitlets.Int(), help="Which of them are left and right.").tag(
        sync=True
    )
    blind = traitlets.Bool(False).tag(sync=True)
    mode = traitlets.Enum(MODES, "swipe").tag(sync=True)
    gain = traitlets.Float(4.0, min=1.0, max=32.0).tag(sync=True)
    at = traitlets.Int(0).tag(sync=True)
    deal = traitlets.Int(0, help="Counts how often the pairs were laid out anew.").tag(sync=True)
    voted = traitlets.List(traitlets.Unicode(), help="The vote at each place, as seen there.").tag(
        sync=True
    )
    unlike: Any = traitlets.List(
        help="What is not held constant; [] while a blind vote is under way."
    ).tag(sync=True)
    tally = traitlets.Unicode().tag(sync=True)
    note = traitlets.Unicode().tag(sync=True)
    code = traitlets.Unicode(help="Python that makes the rows again and compares them.").tag(
        sync=True
    )
    seed = traitlets.Int(0)

    def __init__(
        self,
        results: pd.DataFrame | Job,
        by: str = "model",
        *,
        left: Any = None,
        right: Any = None,
        blind: bool = False,
        seed: int = 0,
        gain: float = 4.0,
        rater: str = "",
    ) -> None:
        if not isinstance(by, str):
            raise TypeError(
                f"by={by!r} is not the name of one column; by='seed' compares two seeds"
            )
        frame = results.result() if isinstance(results, Job) else results
        self._take(pair(frame, by, left, right))
        self._root = find_store_root(frame) if "key" in frame.columns else None
        self._votes = Votes(Store(self._root) if self._root else None, rater)
        super().__init__(
            by=by, blind=blind, seed=seed, gain=gain, mode="side by side" if blind else "swipe"
        )
        self._chose = False
        self._deal()
        self.observe(self._redeal, "blind")
        self.observe(self._note_mode, "mode")
        self.observe(lambda _: self._write_code(), "gain")

    def __repr__(self) -> str:
        return f"<Compare {self._pairing!r}>"

    @property
    def value(self) -> pd.DataFrame:
        """One row a pair: what it shares, key and path of each side, the last vote on it."""
        said = [self._votes.of(ids) or (None, None) for ids in self._ballot.ids]
        return self._rows.assign(
            vote=pd.array([vote for vote, _ in said], "string"),
            blind=pd.array([blind for _, blind in said], "boolean"),
        )

    def choose(self, left: Any, right: Any) -> None:
        """Compares two other values of `by`."""
        self._take(pair(self._pairing.source, self.by, left, right))
        self._deal()

    def vote(self, n: int, vote: str) -> None:
        """Votes openly on row `n` of `.value`: "left", "right", "tie" or "both bad"."""
        self._votes.put(self._ballot.ids[n], vote, blind=False)
        self._count()

    # The pairs, laid out

    def _take(self, pairing: Pairing) -> None:
        self._pairing, self._rows, self._short = (
            pairing,
            pairing.frame,
            shorten_hashes(pairing.values),
        )
        self._names = [self._name(pairing.left), self._name(pairing.right)]

    def _name(self, value: Any) -> str:
        known = isinstance(value, str) and value.strip()
        return (
            hide_home(self._short.get(value, value))
            if known
            else f"{self._pairing.by} {format_value(value)}"
        )

    def _deal(self, at: int | None = None) -> None:
        """Lays the pairs out anew: others, in another order, or on other sides."""
        self._votes.read()
        kind = "key" if self._root else "path"
        ids = list(
            zip(
                column_values(self._rows, f"left_{kind}"),
                column_values(self._rows, f"right_{kind}"),
            )
        )
        self._ballot = Ballot(ids, self._votes, self.blind, self.seed)
        pairing = self._pairing
        alone = (
            f" · {count_noun(len(pairing.alone), 'picture')} without a partner"
            if pairing.alone
            else ""
        )
        with self.hold_sync():
            self.choices = [
                hide_home(self._short.get(value, format_value(value))) for value in pairing.values
            ]
            self.chosen = [pairing.values.index(pairing.left), pairing.values.index(pairing.right)]
            self.note = count_noun(len(ids), "pair") + alone
            self._count()
            self.at = (self._ballot.first_open() if self.blind else 0) if at is None else at
            self.deal += 1
        self._write_code()

    def _count(self) -> None:
        """Tells the page what is voted, and what need not be hidden any more."""
        with self.hold_sync():
            self.voted = [self._ballot.vote_at(place) for place in range(len(self._ballot))]
            self.unlike = (
                []
                if self._ballot.under_way
                else [list(row) for row in list_differences(self._pairing)]
            )
            self.tally = "" if self._ballot.under_way else self._ballot.tally(*self._names)
        self.refresh_soon()

    def _write_code(self) -> None:
        given = {"by": self.by, "left": self._pairing.left, "right": self._pairing.right}
        given |= {"blind": True, "seed": self.seed} if self.blind else {}
        given |= {"gain": self.gain} if self.gain != 4 else {}
        given |= {"rater": self._votes.rater} if self._votes.rater else {}
        self.code = write_widget("Compare", self._pairing.source, self._root, **given)
        self.refresh_soon()

    def _redeal(self, _: Any) -> None:
        """Shows the first pair without a vote if it becomes blind, else the same one as before."""
        if self.blind and not self._chose:
            self.mode, self._chose = "side by side", False  # a vote is on two whole pictures
        self._deal(None if self.blind else self._ballot.order[self.at])

    def _note_mode(self, _: Any) -> None:
        self._chose = True

    @traitlets.validate("at")
    def _within(self, proposal: Any) -> int:
        return min(max(proposal["value"], 0), max(len(self._rows) - 1, 0))

    def static(self) -> str:
        """Renders the pairs and their votes."""
        note = (
            f"{self.note}. {'A blind vote is under way.' if self._ballot.under_way else self.tally}"
        )
        return render_pairs(
            self._pairing,
            self._rows,
            self._ballot,
            names=self._names,
            unlike=self.unlike,
            note=note,
        )

    # What the page asks

    def _on_pair(self, question: dict, buffers: list) -> None:
        self._answer_about(question, self._open_pair)

    def _on_difference(self, question: dict, buffers: list) -> None:
        self._answer_about(question, lambda place: self._subtract(place, float(question["gain"])))

    def _answer_about(self, question: dict, work: Any) -> None:
        """Answers a question about a place, later, unless the pairs were laid out anew since."""
        place, ballot = int(question["n"]), self._ballot
        if question["deal"] != self.deal or not 0 <= place < len(ballot):
            return self.answer(question, {"kind": "outdated"})
        self.answer_later(question, lambda: work(place))

    def _on_vote(self, question: dict, buffers: list) -> None:
        place = int(question["n"])
        if question["deal"] != self.deal:
            return self.answer(question, {"kind": "outdated"})
        self._ballot.cast(place, question["vote"])
        self._count()
        self.answer(question, self._describe(place))

    def _on_choose(self, question: dict, buffers: list) -> None:
        try:
            self.choose(*(self._pairing.values[int(question[side])] for side in ("left", "right")))
        finally:
            self.send_state(["chosen"])  # the page shows what it hopes for: this is what is
        self.answer(question, {"kind": "chosen"})

    def _on_tally(self, question: dict, buffers: list) -> None:
        self.answer(
            question, {"kind": "tally", "text": self._ballot.tally(*self._names) or "No votes yet."}
        )

    # What it may know

    def _describe(self, place: int) -> dict[str, Any]:
        """Tells what may be said of a place: of a hidden one nothing of whose picture is whose."""
        n, vote = self._ballot.order[place], self._ballot.vote_at(place)
        names = (
            ["", ""]
            if self._ballot.hides(place)
            else self._names[::-1]
            if self._ballot.swapped[n]
            else self._names
        )
        row = self._rows.iloc[[n]]
        shown = {
            name: column_values(row, name)[0]
            for name in row.columns
            if not name.startswith(("left_", "right_"))
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
            "said": self._describe_vote(place, names),
            "shared": [fact for fact in facts if fact[0] in self._pairing.varying],
            "more": [fact for fact in facts if fact[0] not in self._pairing.varying],
        }

    def _describe_vote(self, place: int, names: list[str]) -> str:
        vote, given = self._ballot.vote_at(place), self._ballot.vote_on(self._ballot.order[place])
        if given is None:
            return ""
        name = dict(zip(("left", "right"), names)).get(vote)
        was_blind = ", blind" if given[1] and not self.blind else ""
        return f"voted: {vote}{f' ({name})' if name else ''}{was_blind}"

    def _open_pair(self, place: int) -> tuple[dict[str, Any], list[bytes]]:
        buffers, lacking = [], []
        for path in self._paths(place):
            try:
                with Image.open(path) as image:
                    buffers.append(strip_recipe(image))
                lacking.append("")
            except (OSError, ValueError) as error:  # its words may tell the path
                buffers.append(b"")
                lacking.append(
                    "the picture cannot be read"
                    + ("" if self._ballot.hides(place) else f": {error}")
                )
        return {**self._describe(place), "lacking": lacking}, buffers

    def _subtract(self, place: int, gain: float) -> tuple[dict[str, Any], list[bytes]]:
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
        n = self._ballot.order[place]
        paths = self._rows["left_path"].iloc[n], self._rows["right_path"].iloc[n]
        return paths[::-1] if self._ballot.swapped[n] else paths
