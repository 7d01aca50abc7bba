"""The pairs of a comparison in their order, and what was voted on them, openly or blind."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd

from ...results.frame import count_noun
from ...store.opinions import VOTES, MemoryOpinions, Opinions, mirror_vote, sort_pair
from ...store.store import Store
from ..raters import name_rater

Ids = tuple[str, str]


class Votes:
    """A rater's last word on any two pictures, and which pairs they know the names of.

    Parameters
    ----------
    keeper : Store or MemoryOpinions
        Pictures are known by their keys in a store, else by whatever names them.
    rater : str
        Whose votes these are.
    seen : dict, optional
        Which raters have seen the names of a pair openly on this page, which notes it there.
    """

    def __init__(
        self,
        keeper: Store | MemoryOpinions,
        rater: str = "",
        seen: dict[Ids, dict[str, None]] | None = None,
    ) -> None:
        self.keeper, self.rater = keeper, rater
        self.seen = {} if seen is None else seen
        self.opinions = keeper.opinions if isinstance(keeper, Store) else keeper
        self.read()

    def read(self) -> None:
        """Takes note of what is kept by now."""
        self.look_again()
        # whether blind: {pair, keys sorted: the vote in that order}, the last at the end
        self._said: dict[bool, dict[Ids, str]] = {False: {}, True: {}}
        votes = self.opinions.votes(history=True)
        votes = votes[votes["rater"] == self.rater]
        blind = votes["blind"].fillna(False).astype(bool)
        for left, right, vote, unseen in zip(votes["left"], votes["right"], votes["vote"], blind):
            self._note((left, right), vote if isinstance(vote, str) else None, unseen)

    def look_again(self) -> None:
        """Takes note of names that were shown elsewhere, such as by another widget."""
        self.known = self.opinions.list_knowing()
        self.revealed = {pair for pair, raters in self.known.items() if self.rater in raters}

    def list_shown(self, ids: Ids) -> list[str]:
        """Lists the raters to whom the names of a pair were shown, in this store or on this page.

        Whoever gives another name may be one of them.
        """
        pair = sort_pair(*ids)
        return list(dict.fromkeys([*self.known.get(pair, ()), *self.seen.get(pair, ())]))

    def put(self, ids: Ids, vote: str | None, blind: bool) -> None:
        """Keeps a vote, or takes it back (None); not twice: a message may come twice."""
        if vote not in (*VOTES, None):
            raise ValueError(
                f"vote={vote!r}: use {', '.join(map(repr, VOTES[:-1]))} or {VOTES[-1]!r}"
            )
        if self._find(ids, blind) != vote:
            shown = blind and vote is not None and bool(self.list_shown(ids))
            how: dict[str, Any] = {"blind": blind, "sealed": blind, "names_shown": shown}
            self.keeper.vote(*ids, vote, **how, rater=self.rater)
            self._note(ids, vote, blind)

    def reveal(self, pairs: Sequence[Ids]) -> None:
        """Writes down that the rater learns who is who; their blind votes stay as they are."""
        if pairs:
            self.keeper.reveal(pairs, rater=self.rater)
            self.revealed |= {sort_pair(*ids) for ids in pairs}

    def list_unnamed(self, pairs: Sequence[Ids]) -> list[dict[Any, Any]]:
        """Lists what somebody without a name voted on these pairs, where the rater has no vote."""
        if not self.rater:
            return []
        mine = {sort_pair(*ids) for ids in pairs if self.of(ids) is None}
        votes = self.opinions.votes()
        rows = votes[votes["rater"] == ""].to_dict("records")
        return [row for row in rows if sort_pair(row["left"], row["right"]) in mine]

    def take_unnamed(self, pairs: Sequence[Ids]) -> None:
        """Gives the rater what somebody without a name voted: kept first, then taken there.

        Who had asked for the names as somebody without one knows them under the name, too.
        """
        for row in self.list_unnamed(pairs):
            ids, blind = (row["left"], row["right"]), row["blind"] is True
            how: dict[str, Any] = {"blind": blind, "sealed": blind}
            how["names_shown"] = row["names_shown"] is True
            if "" in self.known.get(sort_pair(*ids), ()):
                self.keeper.reveal([ids], rater=self.rater)
            self.keeper.vote(*ids, row["vote"], rater=self.rater, **how)
            self.keeper.vote(*ids, None)
        self.read()

    def of(self, ids: Ids, only_blind: bool = False) -> tuple[str, bool] | None:
        """(vote, whether it was blind) on these two, or None; a blind one outweighs an open one."""
        for blind in (True,) if only_blind else (True, False):
            if (vote := self._find(ids, blind)) is not None:
                return vote, blind
        return None

    def list_blind(self) -> list[Ids]:
        """Lists the pairs with a blind vote, the last one voted on at the end."""
        return list(self._said[True])

    def _find(self, ids: Ids, blind: bool) -> str | None:
        vote = self._said[blind].get(sort_pair(*ids))
        return vote if ids == sort_pair(*ids) else mirror_vote(vote)

    def _note(self, ids: Ids, vote: str | None, blind: bool) -> None:
        pair = sort_pair(*ids)
        for way in (True, False) if vote is None and not blind else (blind,):  # as it is kept
            self._said[way].pop(pair, None)
        if vote is not None:
            self._said[blind][pair] = vote if ids == pair else mirror_vote(vote)


def select_votes(opinions: Opinions, pairs: Sequence[Ids]) -> pd.DataFrame:
    """Selects the votes of all raters on these pairs."""
    votes, known = opinions.votes(), {sort_pair(*ids) for ids in pairs}
    own = [sort_pair(*ids) in known for ids in zip(votes["left"], votes["right"])]
    return votes.loc[own].reset_index(drop=True)


class Ballot:
    """The pairs place after place: if blind, in an order and on sides that chance decides.

    A pair is a number in the order of the frame, and its vote is in terms of its own left and
    right; a place is a number in the order shown, and what is seen there may stand the other way
    round. All raters of the same pairs have them in one order, whatever the frame's, so that the
    first twenty are the same twenty for each; the sides are each rater's own.

    Parameters
    ----------
    ids : sequence of (str, str)
        What the votes know the left and the right picture of each pair by.
    """

    def __init__(self, ids: Sequence[Ids], votes: Votes, blind: bool, seed: int) -> None:
        self.ids, self.votes, self.blind = list(ids), votes, blind
        self.order, self.swapped = list(range(len(ids))), [False] * len(ids)
        self._lock = threading.Lock()
        self._former: dict[int, list[str | None]] = {}  # {pair: its votes before this one}
        if blind:
            self.order.sort(key=lambda n: sort_pair(*self.ids[n]))
            random.Random(f"{seed}").shuffle(self.order)
            chance = random.Random(f"{seed} {votes.rater}")
            self.swapped = [
                chance.random() < 0.5 for _ in ids
            ]  # no equal shares: the last sides could be foretold from them

    def __len__(self) -> int:
        return len(self.ids)

    def is_hidden(self, n: int) -> bool:
        """Whether it must not be known whose pictures those of a pair are."""
        return self.blind and sort_pair(*self.ids[n]) not in self.votes.revealed

    def hides(self, place: int) -> bool:
        """Whether it must not be known whose pictures are shown at a place."""
        return self.is_hidden(self.order[place])

    @property
    def under_way(self) -> bool:
        """Whether a blind vote is: of some pair it must not be known who is who."""
        return any(map(self.is_hidden, range(len(self))))

    def list_shown(self) -> list[str]:
        """Lists to whom the names of pairs that are hidden here were shown before."""
        hidden = [ids for n, ids in enumerate(self.ids) if self.is_hidden(n)]
        return list(dict.fromkeys(name for ids in hidden for name in self.votes.list_shown(ids)))

    def vote_on(self, n: int) -> tuple[str, bool] | None:
        """(vote, whether it was blind) on a pair; only a blind one while it is hidden."""
        return self.votes.of(self.ids[n], self.is_hidden(n))

    def vote_at(self, place: int) -> str:
        """The vote at a place, as it is seen there; "" if there is none."""
        n = self.order[place]
        vote, _ = self.vote_on(n) or ("", False)
        return mirror_vote(vote) if self.swapped[n] else vote

    def cast(self, place: int, vote: str) -> None:
        """Votes at a place, as seen there. No open vote takes the place of a blind one."""
        n = self.order[place]
        with self._lock:
            self.votes.look_again()
            hidden = self.is_hidden(n)
            if hidden or not self.votes.of(self.ids[n], only_blind=True):
                own, before = mirror_vote(vote) if self.swapped[n] else vote, self.vote_on(n)
                former = before[0] if before else None
                self.votes.put(self.ids[n], own, blind=hidden)
                if own != former:  # a message may come twice
                    self._former.setdefault(n, []).append(former)

    def undo(self, place: int) -> int:
        """Takes back the vote at a place, else the last one; gives the place it was at.

        What was voted there before it in this sitting counts again. The last one is taken back
        while the names are hidden; an open vote only at its own place.
        """
        with self._lock:
            self.votes.look_again()
            n = self.order[place]
            if self.vote_on(n) is None and self.is_hidden(n):
                mine = {sort_pair(*ids): k for k, ids in enumerate(self.ids) if self.is_hidden(k)}
                n = next((mine[pair] for pair in self.votes.list_blind()[::-1] if pair in mine), n)
            said = self.vote_on(n)
            if said and said[1] == self.is_hidden(n):  # a blind vote stays once names are known
                former = self._former.get(n)
                self.votes.put(self.ids[n], former.pop() if former else None, blind=said[1])
            return self.order.index(n)

    def reveal(self) -> None:
        """Ends the blind vote, also before its last pair: that is written down."""
        with self._lock:
            self.votes.reveal([self.ids[n] for n in range(len(self)) if self.is_hidden(n)])

    def take_unnamed(self) -> None:
        """Makes the votes that were given without a name those of the rater."""
        with self._lock:
            self.votes.take_unnamed(self.ids)

    def look(self) -> None:
        """Shows the names openly: a blind vote of the rater on these pairs has ended with that."""
        with self._lock:
            self.votes.read()
            for ids in self.ids:
                self.votes.seen.setdefault(sort_pair(*ids), {})[self.votes.rater] = None
            known, blind = self.votes.revealed, {sort_pair(*ids) for ids in self.votes.list_blind()}
            pairs = [ids for ids in self.ids if sort_pair(*ids) not in known]
            if any(sort_pair(*ids) in blind for ids in pairs):
                self.votes.reveal(pairs)

    def first_open(self) -> int:
        """The first place without a vote, else the first."""
        return next((place for place in range(len(self)) if not self.vote_at(place)), 0)

    def tally(self, left: str, right: str) -> str:
        """How often the rater preferred each, in words; "" before the first vote."""
        said = [said for said in map(self.vote_on, range(len(self))) if said]
        count, blind = Counter(vote for vote, _ in said), sum(blind for _, blind in said)
        if not said:
            return ""
        parts = ", ".join(
            f"{name}: {count[vote]}" for name, vote in zip((left, right, "tie", "both bad"), VOTES)
        )
        mixed = f" {blind} of them blind." if 0 < blind < len(said) else ""
        return (
            f"{name_rater(self.votes.rater)}: {count_noun(len(said), 'vote')} on"
            f" {count_noun(len(self), 'pair')} – {parts}.{mixed}"
        )
