"""`Compare`: pairs of pictures that differ in one thing, to look at and to vote on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import traitlets

from ...render.job import Job
from ...results.code import find_store_root
from ...results.frame import column_values, format_value, hide_home, shorten_hashes
from ...results.pairs import Pairing, list_differences, pair
from ...results.stats.preferences import list_pairs, list_votes, name_voted, preference
from ...store.opinions import MemoryOpinions
from ...store.store import Store
from ..code import write_widget
from ..panel import Panel, in_turn, source, start_timer
from ..raters import is_by, name_rater, require_name
from .counts import (
    count_raters,
    describe_pairs,
    describe_shown,
    describe_waiting,
    name_votes,
    tell_all,
)
from .places import Places
from .sizes import describe_sizes
from .still import render_pairs
from .votes import Ballot, Votes, select_votes

MODES = ("swipe", "side by side", "blink", "difference")
SHARING = 0.5  # seconds without a vote, after which those of all raters are counted


class Compare(Panel):
    """Pairs of pictures that agree in all but one column, to look at in four ways and to vote on.

    A vote on a pair that had none goes on to the next pair without one; a change stays, and the
    page says how to go on. In blind mode the order of the pairs is shuffled, chance decides who
    stands on which side, and the page learns neither labels nor whose picture is whose before
    `reveal`, which ends the vote and is written down, as is every other way to see the names
    meanwhile: `blind` turned off, or the same pairs shown openly. It is the rater's own: whoever
    has not asked goes on blind, also where others have been shown the names before. The page then
    says so, and their votes are kept with `names_shown`. Both pictures of a pair are shown at one
    size. Until then a vote can be changed and taken back, after it no open vote takes the place of
    a blind one. Votes are kept in the store, by the pictures' keys, and found again there; those on
    pictures in no store last as long as the widget. What is asked is which one is better: for a
    question of your own, such as which shows what the prompt says, there is `Judge(by=...)`.

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
        Decides the blind order, which all raters of the same pairs share, and each rater's sides.
    gain : float
        How much the difference picture exaggerates, 1 to 32.
    rater : str
        Who votes; the page has a field for it. Each rater has votes, and blind sides, of their own;
        "" is somebody without a name: whoever gives one is asked whether those votes are theirs,
        and `take_unnamed` says that they are.

    Attributes
    ----------
    mode : {"swipe", "side by side", "blink", "difference"}
        `blind`, `gain`, `rater` and `at`, the place of the pair shown, can be set and observed.
    secret : bool
        Whether a blind vote is under way.

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
        "rater.js",
        "unnamed.js",
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
    choices = traitlets.List(
        traitlets.Unicode(), help="All values of `by`, in words; [] while `secret`."
    ).tag(sync=True)
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
    tally = traitlets.List(traitlets.Unicode(), help="What came out; [] while `secret`.").tag(
        sync=True
    )
    outcome = traitlets.Unicode(help="The plain line of that, to be read aloud.").tag(sync=True)
    waiting = traitlets.Unicode(help="Which other raters have not asked who is who.").tag(sync=True)
    note = traitlets.Unicode().tag(sync=True)
    secret = traitlets.Bool(False).tag(sync=True)
    rater = traitlets.Unicode().tag(sync=True)
    raters = traitlets.List(traitlets.Unicode(), help="How far each rater is.").tag(sync=True)
    known = traitlets.List(traitlets.Unicode(), help="Who has voted in this store.").tag(sync=True)
    unnamed = traitlets.Int(0, help="Votes without a name that may be the rater's.").tag(sync=True)
    recoded = traitlets.Int(0, help="Counts the changes of `code`.").tag(sync=True)
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
        self._votes = Votes(Store(self._root) if self._root else MemoryOpinions(), rater.strip())
        mode = "side by side" if blind else "swipe"
        super().__init__(by=by, blind=blind, seed=seed, gain=gain, mode=mode, rater=rater.strip())
        self._chose = False
        self._sharing: Any = None  # the timer of the raters' count
        self._deal()
        self.observe(self._redeal, "blind")
        self.observe(self._change_rater, "rater")
        self.observe(self._note_mode, "mode")
        self.observe(lambda _: self._renew_code(), "gain")

    def __repr__(self) -> str:
        return f"<Compare {self._pairing!r}>"

    @property
    def value(self) -> pd.DataFrame:
        """One row a pair: what it shares, key and path of each side, the vote on it.

        That is the vote of `rater` alone; `counts` has those of all raters. It is their blind one,
        else the last open one, and is missing while a blind vote is under way, as it would tell who
        is who.
        """
        said = [
            (None if self._ballot.is_hidden(n) else self._ballot.vote_on(n)) or (None, None)
            for n in range(len(self._ballot))
        ]
        return self._rows.assign(
            vote=pd.array([vote for vote, _ in said], "string"),
            blind=pd.array([blind for _, blind in said], "boolean"),
        )

    @property
    def code(self) -> str:
        """Python that makes the rows again and compares them."""
        given = {"by": self.by, "left": self._pairing.left, "right": self._pairing.right}
        given |= {"blind": True, "seed": self.seed} if self.blind else {}
        given |= {"gain": self.gain} if self.gain != 4 else {}
        given |= {"rater": self.rater} if self.rater else {}
        return write_widget("Compare", self._pairing.source, self._root, **given)

    def counts(self, by: str | Sequence[str] = (), *, confidence: float = 0.95) -> pd.DataFrame:
        """Counts the votes of all raters on these pairs, for each value of `by`.

        `value` has those of the one whose name is in the field: the two differ where several vote.

        Parameters
        ----------
        by : str or list of str
            Columns of `value`, such as "prompt" or a label, or "rater".
        confidence : float
            Of the intervals.

        Returns
        -------
        DataFrame
            What `sdlab.stats.preference` gives of the store's votes, with `by` as `each`: evidence
            for `sdlab.stats.Claim`.

        Raises
        ------
        ValueError
            While a blind vote is under way, or if there is no vote or no such column.
        """
        if self._ballot.under_way:
            raise ValueError(
                "a blind vote is under way, and the counts tell who is who: reveal() ends it"
            )
        pairing, votes = self._pairing, self._votes.opinions.votes()
        given: dict[str, Any] = {"by": self.by, "left": pairing.left, "right": pairing.right}
        given |= {"each": by} if by else {}
        given |= {"confidence": confidence} if confidence != 0.95 else {}
        return preference(votes, pairing.source, **given)

    @property
    def votes(self) -> pd.DataFrame:
        """The votes of all raters on these pairs; none while a blind vote is under way.

        They are rows of `Store.votes()`: what `counts` counts, and what a claim of it rests on.
        """
        votes = select_votes(self._votes.opinions, self._ballot.ids)
        return votes.iloc[: 0 if self._ballot.under_way else None]

    @property
    def has_ended(self) -> bool:
        """Whether the page waits for a blind vote, and all that were begun have ended.

        No name is given, and no vote on these pairs can change any more.
        """
        votes = select_votes(self._votes.opinions, self._ballot.ids)
        settled = len(votes) and not votes["may_change"].any() and "" not in {*votes["rater"]}
        return bool(settled and not self.rater and self._ballot.under_way)

    @property
    def ended(self) -> pd.DataFrame:
        """The votes on these pairs that no rater can change any more, whoever's vote is under way.

        They are open ones, and those of raters who have asked for the names.
        """
        votes = select_votes(self._votes.opinions, self._ballot.ids)
        return votes[~votes["may_change"]].reset_index(drop=True)

    def count_ended(self) -> pd.DataFrame:
        """Counts the votes of `ended` as `counts` does: they are there while others still vote."""
        pairing = self._pairing
        given = {"by": self.by, "left": pairing.left, "right": pairing.right}
        return preference(self.ended, pairing.source, **given)

    @in_turn
    def choose(self, left: Any, right: Any) -> None:
        """Compares two other values of `by`."""
        self._take(pair(self._pairing.source, self.by, left, right))
        self._deal()

    @in_turn
    def vote(self, n: int, vote: str) -> None:
        """Votes openly on row `n` of `.value`: "left", "right", "tie" or "both bad"."""
        if self._votes.of(self._ballot.ids[n], only_blind=True):
            raise ValueError(
                f"{self.rater or 'you'} voted blind on row {n}, and an open vote does not take the"
                " place of that"
            )
        self._votes.put(self._ballot.ids[n], vote, blind=False)
        self._count()

    @in_turn
    def reveal(self) -> None:
        """Ends the rater's blind vote and tells who is who; the store keeps that it was done."""
        if self._ballot.under_way:
            self._ballot.reveal()
            self._deal(self.at)

    @in_turn
    def take_unnamed(self) -> None:
        """Makes the votes that were given without a name those of `rater`.

        It takes those on pairs that the rater has not voted on; others stay as they are.

        Raises
        ------
        ValueError
            There is no name to give them.
        """
        require_name(self.rater, "votes")
        self._ballot.take_unnamed()
        self._deal(self._ballot.first_open())

    # The pairs, laid out

    def _take(self, pairing: Pairing) -> None:
        self._pairing, self._rows, short = pairing, pairing.frame, shorten_hashes(pairing.values)
        self._called = [hide_home(short.get(v, format_value(v))) for v in pairing.values]
        self._names, self._listed = name_voted(pairing), list_pairs(pairing)

    @in_turn
    def _deal(self, at: int | None = None) -> None:
        """Lays the pairs out anew: others, in another order, or on other sides."""
        self._votes.read()
        kind = "key" if self._root else "path"
        sides = (column_values(self._rows, f"{side}_{kind}") for side in ("left", "right"))
        self._ballot = Ballot(list(zip(*sides)), self._votes, self.blind, self.seed)
        self._places = Places(self._pairing, self._rows, self._names, self._ballot, self.deal + 1)
        if not self.blind:
            self._ballot.look()
        pairing, values = self._pairing, self._pairing.values
        self._noted = describe_pairs(pairing, self._listed)
        secret = self._ballot.under_way
        sizes = describe_sizes(self._rows) if secret else ""  # it must not be seen during the vote
        notes = [*self._noted, sizes, describe_shown(self._ballot.list_shown())]
        with self.hold_sync():
            self.choices = [] if secret else self._called
            chosen = (pairing.left, pairing.right)
            self.chosen = [] if secret else [values.index(value) for value in chosen]
            self._count_unnamed()
            self.note = " · ".join(note for note in notes if note)
            self._count()
            self.at = (self._ballot.first_open() if self.blind else 0) if at is None else at
            self.deal += 1
        self._share()
        self._renew_code()

    @in_turn
    def _count(self) -> None:
        """Tells the page what is voted, and what need not be hidden any more."""
        secret = self._ballot.under_way
        with self.hold_sync():
            self.secret = secret
            self.voted = [self._ballot.vote_at(place) for place in range(len(self._ballot))]
            self.unlike = [] if secret else [list(row) for row in list_differences(self._pairing)]
            self.tally = [] if secret else [t for t in [self._ballot.tally(*self._names)] if t]
            self.outcome = self.outcome if self.tally else ""
        self.refresh_soon()
        self._share_soon()

    def _count_unnamed(self) -> None:
        self.unnamed = len(self._votes.list_unnamed(self._ballot.ids))

    @in_turn
    def _count_vote(self) -> None:
        """Counts after a vote, or tells the names if they were shown elsewhere."""
        if self.secret and not self._ballot.under_way:
            self._deal(self.at)
        else:
            self._count()

    def _list_votes(self) -> pd.DataFrame:
        """Lists the votes of all raters on these pairs."""
        return list_votes(self._listed, self._votes.opinions.votes())

    def _share_soon(self) -> None:
        """Counts the votes of all raters when this one has paused: the store is read for it."""
        if self._sharing:
            self._sharing.cancel()
        self._sharing = start_timer(SHARING, self._share)

    def _share(self) -> None:
        """Tells how far each rater is, and at the end what all have said."""
        ballot, votes = self._ballot, self._votes.opinions.votes()
        table = list_votes(self._listed, votes)
        with self._turn:
            if ballot is self._ballot:  # else what is there now has been shared since
                self._tell_shared(votes, table)

    def _tell_shared(self, votes: pd.DataFrame, table: pd.DataFrame) -> None:
        with self.hold_sync():
            self.known = sorted(filter(None, {*votes["rater"]}))
            self.raters = count_raters(table, len(self._ballot))
            self.waiting = describe_waiting(table, self.rater)
            self._count_unnamed()
            own = self._ballot.tally(*self._names)
            if not self._ballot.under_way and own:
                told = tell_all(table, self._names)
                self.outcome = told[0]
                self.tally = [own, *told]
        self.refresh_soon()

    def _renew_code(self) -> None:
        self.recoded += 1
        self.refresh_soon()

    @in_turn
    def _change_rater(self, _: Any) -> None:
        """Goes on with the votes of another rater, blind unless that one has asked for the names.

        The names that are shown to the one end nobody else's vote.
        """
        rater = self.rater.strip()
        self._votes = Votes(self._votes.keeper, rater, self._votes.seen)
        self.rater = rater
        self._deal()

    @in_turn
    def _redeal(self, _: Any) -> None:
        """Shows the first pair without a vote if it becomes blind, else the same one as before.

        Who looks has ended the blind vote, also before the first pair: the names were seen.
        """
        if not self.blind:
            self._ballot.reveal()
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
        secret = f"A blind vote is under way, of the rater {name_rater(self.rater)}."
        said = [secret] if self._ballot.under_way else self.tally
        return self._render(self._ballot, [f"{self.note}.", *said])

    def render_for_page(self) -> str:
        """Renders the pairs and their votes, also of others while nobody has begun to vote here.

        Nobody's blind vote is under way then, and what the live page shows stays blind.
        """
        if not self.has_ended:
            return self.static()
        first, *others = dict.fromkeys(self.ended["rater"])
        votes = Votes(self._votes.keeper, first)
        ballot = Ballot(self._ballot.ids, votes, blind=False, seed=self.seed)
        own = [] if others else [ballot.tally(*self._names)]
        noted = " · ".join(filter(None, self._noted))
        return self._render(ballot, [f"{noted}.", *own, *tell_all(self._list_votes(), self._names)])

    def _render(self, ballot: Ballot, said: Sequence[str]) -> str:
        """Renders the pairs, all votes unless they are secret, and what is said of them."""
        secret = ballot.under_way
        return render_pairs(
            self._pairing,
            self._rows,
            ballot,
            names=self._names,
            unlike=[] if secret else [list(row) for row in list_differences(self._pairing)],
            note=" ".join(said),
            votes={} if secret else name_votes(self._list_votes(), self._names, self.rater),
        )

    # What the page asks

    @in_turn
    def _on_pair(self, question: dict, buffers: list) -> None:
        if not self.blind:
            self._ballot.look()
        self._answer_about(question, self._places.open)

    def _on_seen(self, question: dict, buffers: list) -> None:
        self._answer_about(question, self._places.look, self.answer_seen)

    def _on_difference(self, question: dict, buffers: list) -> None:
        gain, places = float(question["gain"]), self._places
        self._answer_about(question, lambda place: places.subtract(place, gain))

    def _answer_about(self, question: dict, work: Any, answer: Any = None) -> None:
        """Answers a question about a place, later, unless the pairs were laid out anew since."""
        place, ballot = int(question["n"]), self._ballot
        if question["deal"] != self.deal or not 0 <= place < len(ballot):
            return self.answer(question, {"kind": "outdated"})
        (answer or self.answer_later)(question, lambda: work(place))

    def _is_present(self, question: dict) -> bool:
        """Whether the page speaks of the pairs as they are laid out now, and for this rater."""
        return question["deal"] == self.deal and is_by(question, self.rater)

    @in_turn
    def _on_vote(self, question: dict, buffers: list) -> None:
        place = int(question["n"])
        if not self._is_present(question):
            return self.answer(question, {"kind": "outdated"})
        if not self.was_done(question):  # a busy page asks again, after later votes, too
            self._ballot.cast(place, question["vote"])
            self.note_done(question)  # only now: one that failed is to fail again
            self._count_vote()
        self.answer(question, self._places.describe(place))

    @in_turn
    def _on_choose(self, question: dict, buffers: list) -> None:
        try:
            self.choose(*(self._pairing.values[int(question[side])] for side in ("left", "right")))
        finally:
            self.send_state(["chosen"])  # the page shows what it hopes for: this is what is
        self.answer(question, {"kind": "chosen"})

    @in_turn
    def _on_undo(self, question: dict, buffers: list) -> None:
        if not self._is_present(question):
            return self.answer(question, {"kind": "outdated"})
        before, place = self.voted, int(question["n"])
        if not self.is_repeat(question):  # it would take back one more
            place = self._ballot.undo(place)
            self._count_vote()
        self.answer(question, {**self._places.describe(place), "undone": self.voted != before})

    @in_turn
    def _on_claim(self, question: dict, buffers: list) -> None:
        if self._is_present(question) and not self.is_repeat(question):
            self.take_unnamed()
        self.answer(question, {"kind": "claimed"})

    @in_turn
    def _on_reveal(self, question: dict, buffers: list) -> None:
        if self._is_present(question):
            self.reveal()
        self.answer(question, {"kind": "revealed"})

    def require_code(self) -> None:
        if self._ballot.under_way:
            raise ValueError("the code tells who is who: it is shown when the blind vote has ended")
