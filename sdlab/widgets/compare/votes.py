"""The pairs of a comparison in their order, and what was voted on them, openly or blind."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Sequence

from ...results.frame import count_noun
from ...store.opinions import VOTES, mirror_vote
from ...store.store import Store

Ids = tuple[str, str]


class Votes:
    """A rater's last word on any two pictures: in the store, else as long as this object lives.

    Parameters
    ----------
    store : Store, optional
        Pictures are known by their keys if there is one, else by whatever names them.
    rater : str
        Whose votes these are.
    """

    def __init__(self, store: Store | None, rater: str = "") -> None:
        self.store, self.rater = store, rater
        # the last word, and the last blind one
        self._said: dict[bool, dict[Ids, tuple[str, bool]]] = {False: {}, True: {}}
        self.read()

    def read(self) -> None:
        """Takes note of what the store has by now."""
        if self.store is not None:
            votes = self.store.votes()
            votes = votes[votes["rater"] == self.rater]
            for left, right, vote, blind in zip(
                votes["left"], votes["right"], votes["vote"], votes["blind"].fillna(False)
            ):
                self._note((left, right), vote, bool(blind))

    def put(self, ids: Ids, vote: str, blind: bool) -> None:
        """Keeps a vote, unless it says nothing new: a message may come twice."""
        if vote not in VOTES:
            raise ValueError(
                f"vote={vote!r}: use {', '.join(map(repr, VOTES[:-1]))} or {VOTES[-1]!r}"
            )
        if self.of(ids, blind) != (vote, blind):
            if self.store is not None:
                self.store.vote(*ids, vote, blind=blind, rater=self.rater)
            self._note(ids, vote, blind)

    def of(self, ids: Ids, blind: bool = False) -> tuple[str, bool] | None:
        """(vote, whether it was blind) on these two, or None; only blind votes count if `blind`."""
        return self._said[blind].get(ids)

    def _note(self, ids: Ids, vote: str, blind: bool) -> None:
        for said in (self._said[False], self._said[True]) if blind else (self._said[False],):
            said[ids[::-1]] = mirror_vote(vote), blind
            said[ids] = vote, blind


class Ballot:
    """The pairs place after place: if blind, in an order and on sides that chance decides.

    A pair is a number in the order of the frame, and its vote is in terms of its own left and
    right; a place is a number in the order shown, and what is seen there may stand the other way
    round.

    Parameters
    ----------
    ids : sequence of (str, str)
        What the votes know the left and the right picture of each pair by.
    """

    def __init__(self, ids: Sequence[Ids], votes: Votes, blind: bool, seed: int) -> None:
        self.ids, self.votes, self.blind = list(ids), votes, blind
        self.order, self.swapped = list(range(len(ids))), [False] * len(ids)
        self._lock = threading.Lock()
        if blind:
            chance = random.Random(seed)
            chance.shuffle(self.order)
            self.swapped = [
                chance.random() < 0.5 for _ in ids
            ]  # no equal shares: the last sides could be foretold from them

    def __len__(self) -> int:
        return len(self.ids)

    def vote_on(self, n: int) -> tuple[str, bool] | None:
        """(vote, whether it was blind) on a pair; among the blind only blind votes count."""
        return self.votes.of(self.ids[n], self.blind)

    def vote_at(self, place: int) -> str:
        """The vote at a place, as it is seen there; "" if there is none."""
        n = self.order[place]
        vote, _ = self.vote_on(n) or ("", False)
        return mirror_vote(vote) if self.swapped[n] else vote

    def cast(self, place: int, vote: str) -> None:
        """Votes at a place, as seen there; a blind vote stays: its voter has seen the names."""
        n = self.order[place]
        with self._lock:
            if not (self.blind and self.vote_on(n)):
                self.votes.put(
                    self.ids[n], mirror_vote(vote) if self.swapped[n] else vote, self.blind
                )

    def hides(self, place: int) -> bool:
        """Whether it must not be known whose pictures are shown at a place."""
        return self.blind and not self.vote_at(place)

    @property
    def under_way(self) -> bool:
        """Whether a blind vote is: some pair is still to be voted on."""
        return any(map(self.hides, range(len(self))))

    def first_open(self) -> int:
        """The first place without a vote, else the first."""
        return next((place for place in range(len(self)) if not self.vote_at(place)), 0)

    def tally(self, left: str, right: str) -> str:
        """How often each was preferred, in words; "" before the first vote."""
        count = Counter(said[0] for said in map(self.vote_on, range(len(self))) if said)
        voted = sum(count.values())
        if not voted:
            return ""
        parts = ", ".join(
            f"{name}: {count[vote]}" for name, vote in zip((left, right, "tie", "both bad"), VOTES)
        )
        return f"{count_noun(voted, 'vote')} on {count_noun(len(self), 'pair')} – {parts}."
