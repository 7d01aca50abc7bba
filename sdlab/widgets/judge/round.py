"""A round of one rater: which pictures are shown in which order, and what was answered."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ...results.frame import column_values
from ...store.opinions import Opinions
from ...store.store import Store

About = str | tuple[str, str]  # the key of a picture, or of those that stand left and right


@dataclass(frozen=True)
class Trial:
    """A picture or a pair as it is shown; `repeat` is 1 when it is shown again."""

    about: About
    repeat: int = 0


def plan_trials(
    pictures: Sequence[About], *, seed: int, rater: str, repeats: float, alone: bool = False
) -> list[Trial]:
    """Plans a round: all pictures in an order, and on sides, that chance decides; some twice.

    Between the two times lie half of the pictures or more. Every other repeated pair, the first
    among them, changes its sides. All raters of the same pictures have one order, whatever the
    frame's, and the same ones twice; the sides are each rater's own. `alone`: the order is the
    rater's own, too, as it was in rounds begun earlier.
    """
    own = random.Random(f"{seed} {rater}")  # the same on every machine
    chance = own if alone else random.Random(f"{seed}")
    order = sorted(map(sort_sides, pictures))
    chance.shuffle(order)
    order = [swap_sides(about) if own.random() < 0.5 else about for about in order]
    n, gap = len(order), max(1, len(order) // 2)
    count = min(n - gap, max(1, round(repeats * n))) if repeats else 0
    places = [(float(i), Trial(about)) for i, about in enumerate(order)]
    for k, i in enumerate(chance.sample(range(n - gap), count)):
        again = order[i] if k % 2 else swap_sides(order[i])
        places.append((chance.uniform(i + gap, n), Trial(again, 1)))
    return [trial for _, trial in sorted(places, key=lambda one: one[0])]


def sort_sides(about: About) -> About:
    """Names a pair whichever picture stands left."""
    return about if isinstance(about, str) else (min(about), max(about))


def swap_sides(about: About) -> About:
    """Lets the pictures of a pair change places."""
    return about if isinstance(about, str) else about[::-1]


class Round:
    """The trials of one rater, of which the first without an answer is shown.

    Parameters
    ----------
    keeper : Store or Opinions
        Where answers are kept, each before the next picture is shown.

    Attributes
    ----------
    is_followed : bool
        Whether what was answered when it began are its first trials, as they stand.
    """

    def __init__(
        self, keeper: Store | Opinions, trials: list[Trial], *, question: str, rater: str
    ) -> None:
        self.keeper, self.trials = keeper, trials
        self.who: dict[str, Any] = {"question": question, "rater": rater}
        self._lock = threading.Lock()
        places = {(sort_sides(trial.about), trial.repeat): i for i, trial in enumerate(trials)}
        self._places = places
        pictures = {sort_sides(trial.about) for trial in trials}
        own = self._list_answered(keeper.answers())
        given = [(about, repeat) for about, repeat in own if sort_sides(about) in pictures]
        found = [places.get((sort_sides(about), repeat)) for about, repeat in given]
        self._answered = [place for place in found if place is not None]  # in order of time
        first = {(trial.about, trial.repeat) for trial in trials[: len(given)]}
        self.is_followed = set(given) == first

    def _list_answered(self, answers: pd.DataFrame) -> list[tuple[About, int]]:
        own = select_answers(answers, **self.who)
        return list(zip(list_subjects(own), own["repeat"].tolist()))

    @property
    def done(self) -> int:
        """How many trials have an answer."""
        return len(self._answered)

    @property
    def place(self) -> int:
        """The first trial without an answer; the number of trials if all have one."""
        return next((i for i in range(len(self.trials)) if i not in self._answered), self.done)

    def list_unnamed(self) -> pd.DataFrame:
        """Lists what somebody without a name answered, where the rater has no answer yet."""
        said = select_answers(self.keeper.answers(), self.who["question"], "")
        if not self.who["rater"]:
            return said.iloc[:0]
        asked = zip(map(sort_sides, list_subjects(said)), said["repeat"].tolist())
        places = [self._places.get(each) for each in asked]
        return said[[i is not None and i not in self._answered for i in places]]

    def take_unnamed(self) -> None:
        """Gives the rater what somebody without a name answered: kept first, then taken there."""
        with self._lock:
            rows = self.list_unnamed()
            given = (column_values(rows, name) for name in ("answer", "seconds", "repeat"))
            for about, answer, seconds, repeat in zip(list_subjects(rows), *given):
                asked = {"question": self.who["question"], "repeat": int(repeat)}
                self.keeper.answer(about, answer, seconds=seconds, blind=True, **self.who | asked)
                self.keeper.take_back(about, **asked)
                self._answered.append(self._places[sort_sides(about), repeat])

    def put(self, place: int, answer: str | None, seconds: float | None) -> None:
        """Keeps an answer, unless it is about another trial: a message may come twice or late."""
        with self._lock:
            if place == self.place < len(self.trials):
                trial = self.trials[place]
                how = {"seconds": seconds, "blind": True, "repeat": trial.repeat}
                self.keeper.answer(trial.about, answer, **self.who | how)
                self._answered.append(place)

    def undo(self, place: int) -> None:
        """Takes the last answer back, if `place` is what is shown."""
        with self._lock:
            if place == self.place and self._answered:
                trial = self.trials[self._answered[-1]]
                self.keeper.take_back(trial.about, **self.who, repeat=trial.repeat)
                self._answered.pop()


def begin_round(
    keeper: Store | Opinions,
    pictures: Sequence[About],
    *,
    question: str,
    rater: str,
    seed: int,
    repeats: float,
) -> Round:
    """Begins a rater's round, or goes on with it: one begun in an order of their own, in that."""
    plans = [
        plan_trials(pictures, seed=seed, rater=rater, repeats=repeats, alone=alone)
        for alone in (False, True)
    ]
    rounds = [Round(keeper, trials, question=question, rater=rater) for trials in plans]
    return next((one for one in rounds if one.is_followed), rounds[0])


def select_answers(answers: pd.DataFrame, question: str, rater: str | None = None) -> pd.DataFrame:
    """Selects the blind answers to a question, of one rater or of all."""
    own = (answers["question"] == question) & answers["blind"].fillna(False)
    return answers[own if rater is None else own & (answers["rater"] == rater)]


def list_subjects(answers: pd.DataFrame) -> list[About]:
    """Lists what each answer is about."""
    sides = (column_values(answers, name) for name in ("key", "left", "right"))
    return [(left, right) if key is None else key for key, left, right in zip(*sides)]
