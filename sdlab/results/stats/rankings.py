"""Strengths from votes on pairs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy

from ..frame import column_values, count_noun, distinct_values, format_value
from .charts import CONFIDENCE
from .claims import note_call
from .reading import read_sample, require_confidence, split_frame

WORTH = {"left": 1.0, "right": 0.0, "tie": 0.5, "both bad": 0.5}


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
    where prompts repeat, it widens by the design effect.

    Parameters
    ----------
    votes : DataFrame
        Columns `left`, `right` and `vote` or `answer` ("left", "right", "tie", "both bad"), as
        `Store(...).votes()` and `Judge(..., by=...).value` give them. Repeats do not count.
    frame : DataFrame, optional
        If given, `left` and `right` are keys of its rows, and what is ranked is their `by`.
    by : str
        The column of `frame` that is ranked.
    prompt : str
        The column of `frame` whose values are the sample. Without a frame it is what the votes
        themselves tell, as those of a judge whose round has ended do.
    confidence : float
        Of the intervals.

    Returns
    -------
    DataFrame
        The strongest first: `by` (or "item"), `strength` (log-odds against the average) with `low`
        and `high`; `chance` to win against another of them (the mean over all others, 0 to 1), with
        `chance_low` and `chance_high` where there are two; `wins`, `losses`, `ties`.

    Raises
    ------
    TypeError, ValueError
        If columns or keys are missing, or some were never compared with the others.

    References
    ----------
    R. Bradley and M. Terry, "Rank analysis of incomplete block designs", Biometrika 39 (1952).
    D. Firth, "Bias reduction of maximum likelihood estimates", Biometrika 80 (1993). G. Heinze and
    M. Schemper, Statistics in Medicine 21 (2002): intervals where sides are separated.
    """
    require_confidence(confidence)
    left, right, score, clusters, name = read_votes(votes, frame, by, prompt)
    items = list(dict.fromkeys([*left, *right]))
    place = {item: i for i, item in enumerate(items)}
    sides = np.array([[place[a], place[b]] for a, b in zip(left, right)])
    require_connected(items, sides)
    pooled = pool_votes(sides, score, len(items))
    strength = pooled.fit()
    z = float(scipy.stats.norm.ppf((1 + confidence) / 2))
    limit = z * z * measure_inflation(sides, score, strength, clusters)
    ends = [pooled.find_ends(own, strength, limit) for own in range(len(items))]
    out = pd.DataFrame({name: items, "strength": strength})
    out["low"], out["high"] = ([end[own] for own, end in enumerate(side)] for side in zip(*ends))
    out["chance"] = [average_chance(strength, own) for own in range(len(items))]
    for told, side in zip(("chance_low", "chance_high"), zip(*ends)):
        known = [average_chance(end, own) for own, end in enumerate(side)]
        out[told] = known if len(items) == 2 else math.nan  # of more it hangs on all strengths
    for told, value in (("wins", 1.0), ("losses", 0.0), ("ties", 0.5)):
        ones, others = sides[score == value, 0], sides[score == 1 - value, 1]
        out[told] = np.bincount(np.r_[ones, others], minlength=len(items))
    out.attrs[CONFIDENCE] = confidence
    return out.sort_values("strength", ascending=False, ignore_index=True)


def read_votes(
    votes: pd.DataFrame, frame: pd.DataFrame | None, by: str, prompt: str
) -> tuple[list[Any], list[Any], np.ndarray, np.ndarray, str]:
    """Reads (what stood left, right, 1 for left to 0 for right, prompt's number, column's name)."""
    if votes.empty:
        raise ValueError("there are no votes yet, so nothing can be ranked")
    said = "answer" if "answer" in votes and "vote" not in votes else "vote"
    next(split_frame(votes, (), "left", "right", said))
    known = votes[votes[said].notna() & (votes["repeat"] == 0 if "repeat" in votes else True)]
    odd = [vote for vote in distinct_values(known, said) if vote not in WORTH]
    if known.empty or odd:
        told = f"vote={odd[0]!r}" if odd else "there is no vote"
        raise ValueError(f"{told}: votes are {', '.join(map(repr, WORTH))}")
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
    clusters = number_prompts(pd.Series([texts[left[i]] for i in here], dtype=object), len(here))
    return (
        [items[left[i]] for i in here],
        [items[right[i]] for i in here],
        score[here],
        clusters,
        by,
    )


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

    def weigh(self, strength: np.ndarray) -> tuple[float, np.ndarray]:
        """Computes the penalized log-likelihood of strengths, and its slope (items,)."""
        odds = self.design @ strength
        chance = scipy.special.expit(odds)
        basis = self.design @ list_directions(len(strength))
        weight = self.n * chance * scipy.special.expit(-odds)
        root = basis * np.sqrt(weight)[:, None]
        known = root.T @ root
        likely = self.wins @ scipy.special.log_expit(odds)
        likely += (self.n - self.wins) @ scipy.special.log_expit(-odds)
        own = np.einsum("ij,ji->i", root, np.linalg.pinv(known, hermitian=True) @ root.T)
        rest = self.wins - self.n * chance + own * (0.5 - chance)
        return likely + np.linalg.slogdet(known)[1] / 2, self.design.T @ rest

    def fit(self, own: int | None = None, at: float = 0.0) -> np.ndarray:
        """Fits strengths of mean 0, with that of one, `own`, held where it is said to be."""
        items = self.design.shape[1]
        start, free = np.zeros(items), list_directions(items, own)
        if own is not None:
            start[:] = -at / (items - 1)
            start[own] = at
        if not free.size:
            return start

        def turn(step: np.ndarray) -> tuple[float, np.ndarray]:
            likely, slope = self.weigh(start + free @ step)
            return -likely, -free.T @ slope

        begun = np.zeros(free.shape[1])
        return start + free @ scipy.optimize.minimize(turn, begun, jac=True, method="BFGS").x

    def find_ends(self, own: int, best: np.ndarray, limit: float) -> tuple[np.ndarray, np.ndarray]:
        """Finds the strengths of all at the least and the largest of one that votes allow."""
        most, _ = self.weigh(best)

        def exceed(at: float) -> float:
            return 2 * (most - self.weigh(self.fit(own, at))[0]) - limit

        def find_end(side: int) -> np.ndarray:
            far = 1.0
            while exceed(best[own] + side * far) < 0:
                far *= 2
            at = scipy.optimize.brentq(exceed, best[own], best[own] + side * far, xtol=1e-6)
            return self.fit(own, at)

        return find_end(-1), find_end(1)


def pool_votes(sides: np.ndarray, score: np.ndarray, items: int) -> Votes:
    """Pools the votes of each pair of items."""
    first = sides.min(1)
    pairs, of = np.unique(np.c_[first, sides.max(1)], axis=0, return_inverse=True)
    wins = np.bincount(of.ravel(), np.where(sides[:, 0] == first, score, 1 - score))
    return Votes(
        np.eye(items)[pairs[:, 0]] - np.eye(items)[pairs[:, 1]], np.bincount(of.ravel()), wins
    )


def list_directions(items: int, own: int | None = None) -> np.ndarray:
    """Lists, a column each, the ways in which strengths of mean 0 can change, without `own`."""
    fixed = [np.ones(items)] if own is None else [np.ones(items), np.eye(items)[own]]
    return scipy.linalg.null_space(np.array(fixed))


def average_chance(strength: np.ndarray, own: int) -> float:
    """Averages the chance of one to win, over all others."""
    return float(scipy.special.expit(strength[own] - np.delete(strength, own)).mean())


def measure_inflation(
    sides: np.ndarray, score: np.ndarray, strength: np.ndarray, clusters: np.ndarray
) -> float:
    """Measures by how much the votes on one prompt agree beyond chance, at least 1."""
    prompts = clusters.max() + 1
    if prompts in (1, len(score)):
        return 1.0
    design = np.eye(len(strength))[sides[:, 0]] - np.eye(len(strength))[sides[:, 1]]
    chance = scipy.special.expit(design @ strength)
    sums = np.zeros((prompts, len(strength)))
    np.add.at(sums, clusters, design * (score - chance)[:, None])
    alone = (design**2 * (chance * (1 - chance))[:, None]).sum()
    return max(1.0, prompts / (prompts - 1) * float((sums**2).sum() / alone))
