"""Strengths from votes on pairs."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy

from ..frame import column_values, count_noun, distinct_values, format_value, join_words
from .circles import describe_circles
from .claims import note_call
from .paired import adjust_holm, compare_signs, count_least
from .rates import ALIKE, WEIGHT
from .reading import read_sample, split_frame

WORTH = {"left": 1.0, "right": 0.0, "tie": 0.5, "both bad": 0.5}
NAMED = 3  # others at most that a verdict names


@note_call
def ranking(
    votes: pd.DataFrame,
    frame: pd.DataFrame | None = None,
    *,
    by: str = "model",
    prompt: str = "prompt",
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Rank what was voted on by strength, as Bradley and Terry's model has it, with intervals.

    A tie, and "both bad", is half a win for either side. Firth's penalty, about half a vote for
    either side, keeps one that never lost finite. The interval is that of the penalized likelihood;
    where prompts repeat, as where several raters vote on the same pairs, it widens by the design
    effect. `Compare(...).counts()` leaves ties out, and has Wilson's interval as `rate` does: the
    two answer about the same, and differ by that.

    Parameters
    ----------
    votes : DataFrame
        Columns `left`, `right` and `vote` or `answer` ("left", "right", "tie", "both bad"), as
        `Store(...).votes()` and `Judge(..., by=...).value` give them. Repeats do not count, and
        with a frame a `rater` has one vote on two pictures, the last.
    frame : DataFrame, optional
        If given, `left` and `right` are keys of its rows, and what is ranked is their `by`.
    by : str
        The column of `frame` that is ranked.
    prompt : str
        The column of `frame` whose values are the sample; if some are missing, each pair of
        pictures is. Without a frame it is what the votes themselves tell, as those of a judge
        whose round has ended do; if they do not, each vote is by itself.
    confidence : float
        Of the intervals.

    Returns
    -------
    DataFrame
        By strength, which may put one that was hardly compared at the top: `by` (or "item"),
        `strength` (log-odds against the average) with `low` and `high`; `chance` to win against
        another of them (the mean over all others, 0 to 1), with `chance_low` and `chance_high`
        where there are two; `wins`, `losses`, `ties`; and `verdict`, in words: whom each is told
        apart from (by likelihood ratios, Holm's over all pairs), which were compared so rarely that
        they cannot be placed, and whether wins go in a circle, which no order tells.

    Raises
    ------
    TypeError, ValueError
        If columns or keys are missing, or some were never compared with the others.

    References
    ----------
    R. Bradley and M. Terry, "Rank analysis of incomplete block designs", Biometrika 39 (1952).
    D. Firth, "Bias reduction of maximum likelihood estimates", Biometrika 80 (1993). G. Heinze and
    M. Schemper, Statistics in Medicine 21 (2002): intervals where sides are separated. M. G.
    Kendall and B. Babington Smith, Biometrika 31 (1940): circles of three, and consistence.
    """
    left, right, score, clusters, name = read_votes(votes, frame, by, prompt)
    items = list(dict.fromkeys([*left, *right]))
    place = {item: i for i, item in enumerate(items)}
    sides = np.array([[place[a], place[b]] for a, b in zip(left, right)])
    require_connected(items, sides)
    pooled = pool_votes(sides, score, len(items))
    strength = pooled.fit()
    z = float(scipy.stats.norm.ppf((1 + confidence) / 2))
    inflation = measure_inflation(sides, score, strength, clusters)
    ends = [pooled.find_ends(own, strength, z * z * inflation) for own in range(len(items))]
    out = pd.DataFrame({name: items, "strength": strength})
    out["low"], out["high"] = ([end[own] for own, end in enumerate(side)] for side in zip(*ends))
    out["chance"] = [average_chance(strength, own) for own in range(len(items))]
    for told, side in zip(("chance_low", "chance_high"), zip(*ends)):
        known = [average_chance(end, own) for own, end in enumerate(side)]
        out[told] = known if len(items) == 2 else math.nan  # of more it hangs on all strengths
    for told, value in (("wins", 1.0), ("losses", 0.0), ("ties", 0.5)):
        ones, others = sides[score == value, 0], sides[score == 1 - value, 1]
        out[told] = np.bincount(np.r_[ones, others], minlength=len(items))
    apart = pooled.tell_apart(strength, inflation, 1 - confidence)
    if len(items) == 2:  # then the exact test that votes on two sides have elsewhere
        signs = (2 * score - 1) * (1 - 2 * sides[:, 0])  # 1 for one of them, -1 for the other
        signs = signs if clusters.max() == 0 else np.bincount(clusters, signs)
        apart &= compare_signs(signs) <= 1 - confidence
    out["verdict"] = write_verdicts(items, pooled, strength, apart, inflation, 1 - confidence)
    return out.sort_values("strength", ascending=False, ignore_index=True)


def read_votes(
    votes: pd.DataFrame, frame: pd.DataFrame | None, by: str, prompt: str
) -> tuple[list[Any], list[Any], np.ndarray, np.ndarray, str]:
    """Reads (what stood left, right, 1 for left to 0 for right, prompt's number, column's name)."""
    known, said = select_counted(votes, keyed=frame is not None)
    score = np.array([WORTH[vote] for vote in known[said]])
    left, right = (column_values(known, side) for side in ("left", "right"))
    if frame is None:
        return left, right, score, number_prompts(read_sample(known, None), len(known)), "item"
    next(split_frame(frame, (), "key", by))
    items = dict(zip(column_values(frame, "key"), column_values(frame, by)))
    texts = dict(zip(column_values(frame, "key"), column_values(frame, prompt)))
    both = [(items.get(one), items.get(other)) for one, other in zip(left, right)]
    here = [i for i, (one, other) in enumerate(both) if None not in both[i] and one != other]
    if not here:
        raise ValueError(
            f"none of {count_noun(len(known), 'vote')} is on two rows of this frame with another"
            f" {by}; give the frame that was voted on, and as by= the column that was compared"
        )
    told = pd.Series([texts[left[i]] for i in here], dtype=object)
    if told.isna().any():  # raters of one pair are not independent of each other, either
        told = pd.Series([frozenset((left[i], right[i])) for i in here], dtype=object)
    ones, others = zip(*(both[i] for i in here))
    return [*ones], [*others], score[here], pd.factorize(told)[0], by


def select_counted(votes: pd.DataFrame, *, keyed: bool) -> tuple[pd.DataFrame, str]:
    """Selects the votes that count, and the column in which they are; raises if there are none."""
    if votes.empty:
        raise ValueError("there are no votes yet, so nothing can be ranked")
    said = "answer" if "answer" in votes and "vote" not in votes else "vote"
    next(split_frame(votes, (), "left", "right", said))
    first = votes[votes["repeat"] == 0] if "repeat" in votes else votes
    known = select_last(first, keyed=keyed)
    known = known[known[said].notna()]
    seen = zip(column_values(known, "left"), column_values(known, "right"))
    known = known[np.array([None not in two and two[0] != two[1] for two in seen], bool)]
    odd = [vote for vote in distinct_values(known, said) if vote not in WORTH]
    if known.empty or odd:
        told = f"vote={odd[0]!r}" if odd else "there is no vote on two that differ"
        raise ValueError(f"{told}: votes are {', '.join(map(repr, WORTH))}")
    return known, said


def select_last(votes: pd.DataFrame, *, keyed: bool) -> pd.DataFrame:
    """Selects of each rater the last vote on each two pictures, to each question, as they count.

    Unless sides are `keyed` they may be items, on which one votes often, if at different times.
    """
    if not {"rater", *["time"] * (not keyed)} <= {*votes.columns}:
        return votes
    pairs = map(frozenset, zip(column_values(votes, "left"), column_values(votes, "right")))
    names = ("rater", "question", *["time"] * (not keyed))
    whose = zip(pairs, *(column_values(votes, name) for name in names))
    return votes[~pd.Series([*whose], dtype=object).duplicated(keep="last").to_numpy()]


def number_prompts(texts: pd.Series | None, votes: int) -> np.ndarray:
    """Numbers the prompt of each vote; each vote is by itself where some prompt is not told."""
    if texts is None or texts.isna().any():
        return np.arange(votes)
    return pd.factorize(texts)[0]


def require_connected(items: list[Any], sides: np.ndarray) -> None:
    """Raises unless each item was compared with all others, if only by way of some."""
    links = scipy.sparse.coo_array((np.ones(len(sides)), sides.T), shape=(len(items),) * 2)
    parts, part_of = scipy.sparse.csgraph.connected_components(links, directed=False)
    if parts > 1 or len(items) < 2:
        groups = [
            ", ".join(format_value(item) for item, own in zip(items, part_of) if own == part)
            for part in range(parts)
        ]
        raise ValueError(
            f"these were never compared with one another: {'; '.join(groups)}; vote on pairs"
            " between them first"
        )


@dataclass(frozen=True)
class Votes:
    """How often each pair of items was compared, and how often the first won.

    Parameters
    ----------
    design : ndarray
        (pairs, items): 1 for the first, -1 for the second.
    n, wins : ndarray
        (pairs,).
    """

    design: np.ndarray
    n: np.ndarray
    wins: np.ndarray

    @functools.cached_property
    def basis(self) -> np.ndarray:
        """What each way in which strengths can change does to each pair's odds."""
        return self.design @ list_directions(self.design.shape[1])

    def weigh(self, strength: np.ndarray) -> tuple[float, np.ndarray]:
        """Computes the penalized log-likelihood of strengths, and its slope (items,)."""
        odds = self.design @ strength
        chance = scipy.special.expit(odds)
        weight = self.n * chance * scipy.special.expit(-odds)
        span, size = np.linalg.qr(self.basis * np.sqrt(weight)[:, None])
        likely = self.wins @ scipy.special.log_expit(odds)
        likely += (self.n - self.wins) @ scipy.special.log_expit(-odds)
        rest = self.wins - self.n * chance + (span**2).sum(axis=1) * (0.5 - chance)
        return likely + np.log(np.abs(np.diag(size))).sum(), self.design.T @ rest

    def fit(
        self, fixed: np.ndarray | None = None, at: float = 0.0, near: np.ndarray | None = None
    ) -> np.ndarray:
        """Fits strengths of mean 0, of which `fixed` (items,), a weighted sum, is held `at`.

        The search begins `near` some, which are of mean 0, too.
        """
        items = self.design.shape[1]
        start, free = np.zeros(items), list_directions(items, fixed)
        if fixed is not None:
            away = fixed - fixed.mean()
            start = at * away / (away @ fixed)
        if not free.size:
            return start

        def turn(step: np.ndarray) -> tuple[float, np.ndarray]:
            likely, slope = self.weigh(start + free @ step)
            return -likely, -free.T @ slope

        begun = np.zeros(free.shape[1]) if near is None else free.T @ (near - start)
        return start + free @ scipy.optimize.minimize(turn, begun, jac=True, method="BFGS").x

    def find_ends(self, own: int, best: np.ndarray, limit: float) -> tuple[np.ndarray, np.ndarray]:
        """Finds the strengths of all at the least and the largest of one that votes allow."""
        most, alone = self.weigh(best)[0], np.eye(len(best))[own]

        @functools.cache
        def exceed(at: float) -> float:  # of the root, which is nearly a straight line
            less = most - self.weigh(self.fit(alone, at, best))[0]
            return math.sqrt(max(2 * less, 0)) - math.sqrt(limit)

        def find_end(side: int) -> np.ndarray:
            far = 1.0
            while exceed(best[own] + side * far) < 0:
                far *= 2
            at = scipy.optimize.brentq(exceed, best[own], best[own] + side * far, xtol=1e-6)
            return self.fit(alone, at)

        return find_end(-1), find_end(1)

    @functools.cached_property
    def pairs(self) -> np.ndarray:
        """The places of the items of each pair, (pairs, 2)."""
        return np.c_[self.design.argmax(1), self.design.argmin(1)]

    def count(self) -> np.ndarray:
        """Counts the votes on each item."""
        return np.bincount(self.pairs.ravel(), np.repeat(self.n, 2)).astype(int)

    def tell_apart(self, best: np.ndarray, inflation: float, level: float) -> np.ndarray:
        """Tells (items, items) which strengths are not one, by likelihood ratios and Holm's p.

        Those with fewer votes than any test takes are told apart from none.
        """
        one, other = np.triu_indices(len(best), 1)
        often = self.count() >= count_least(level)
        one, other = (side[often[one] & often[other]] for side in (one, other))
        most, gaps = self.weigh(best)[0], np.eye(len(best))[one] - np.eye(len(best))[other]
        ratios = [2 * (most - self.weigh(self.fit(gap, near=best))[0]) / inflation for gap in gaps]
        told = np.zeros((len(best), len(best)), bool)
        told[one, other] = adjust_holm(scipy.stats.chi2.sf(ratios, 1)) <= level
        return told | told.T


def pool_votes(sides: np.ndarray, score: np.ndarray, items: int) -> Votes:
    """Pools the votes of each pair of items."""
    first = sides.min(1)
    pairs, of = np.unique(np.c_[first, sides.max(1)], axis=0, return_inverse=True)
    wins = np.bincount(of.ravel(), np.where(sides[:, 0] == first, score, 1 - score))
    return Votes(
        np.eye(items)[pairs[:, 0]] - np.eye(items)[pairs[:, 1]], np.bincount(of.ravel()), wins
    )


def list_directions(items: int, fixed: np.ndarray | None = None) -> np.ndarray:
    """Lists, a column each, the ways in which strengths of mean 0 can change, but not `fixed`."""
    held = [np.ones(items)] if fixed is None else [np.ones(items), fixed]
    return scipy.linalg.null_space(np.array(held))


def write_verdicts(
    items: list[Any],
    pooled: Votes,
    strength: np.ndarray,
    told: np.ndarray,
    inflation: float,
    level: float,
) -> list[str]:
    """Says of each item which others it is told apart from, and what stands in the way of that."""
    names = [format_value(item) for item in items]
    circles = describe_circles(names, pooled.pairs, pooled.n, pooled.wins, inflation, level)
    out = []
    for own, n in enumerate(pooled.count()):
        said = list_standing(names, own, strength, told[own])
        if n < count_least(level):
            said = [f"compared {'once' if n == 1 else f'{n} times'}, too rarely to be told apart"]
        out.append("; ".join([*said, *circles.get(own, ())]))
    return out


def list_standing(names: list[str], own: int, strength: np.ndarray, told: np.ndarray) -> list[str]:
    """Lists whom an item is above, whom it is not told apart from, and whom it is below."""
    order = [i for i in np.argsort(-strength, kind="stable") if i != own]
    kinds = {
        "above": [i for i in order if told[i] and strength[i] < strength[own]],
        "not told apart from": [i for i in order if not told[i]],
        "below": [i for i in order if told[i] and strength[i] > strength[own]],
    }
    return [f"{kind} {name_others(names, found)}" for kind, found in kinds.items() if found]


def name_others(names: list[str], found: list[int]) -> str:
    """Names some of the others, or says how many of them they are."""
    if len(found) <= NAMED:
        return join_words(names[i] for i in found)
    return "all others" if len(found) == len(names) - 1 else f"{len(found)} others"


def average_chance(strength: np.ndarray, own: int) -> float:
    """Averages the chance of one to win, over all others."""
    return float(scipy.special.expit(strength[own] - np.delete(strength, own)).mean())


def measure_inflation(
    sides: np.ndarray, score: np.ndarray, strength: np.ndarray, clusters: np.ndarray
) -> float:
    """Measures by how much the votes on one prompt agree beyond chance, at least 1.

    Votes on one pair of items and prompt count as half alike until enough of either kind are seen
    to tell, as pictures of a prompt do in `rate`: where all votes go one way nothing is seen.
    """
    prompts = clusters.max() + 1
    if prompts in (1, len(score)):
        return 1.0
    design = np.eye(len(strength))[sides[:, 0]] - np.eye(len(strength))[sides[:, 1]]
    chance = scipy.special.expit(design @ strength)
    sums = np.zeros((prompts, len(strength)))
    np.add.at(sums, clusters, design * (score - chance)[:, None])
    spread = chance * (1 - chance)
    seen = float((sums**2).sum() / (design**2 * spread[:, None]).sum()) * prompts / (prompts - 1)
    times = np.unique(np.c_[clusters, np.sort(sides)], axis=0, return_counts=True)[1]
    more = (times**2).sum() / len(score) - 1  # votes beside each that are on the same
    alike = min(max(seen - 1, 0) / more, 1) if more else 0.0
    alike = (WEIGHT * ALIKE + spread.sum() * alike) / (WEIGHT + spread.sum())
    return max(seen, 1 + more * alike)
