"""Circles of wins: a beats b, b beats c, c beats a, which no order of strengths can tell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy


def describe_circles(
    names: Sequence[str],
    pairs: np.ndarray,
    n: np.ndarray,
    wins: np.ndarray,
    inflation: float,
    level: float,
) -> dict[int, list[str]]:
    """Says how many threes win in a circle, and whether one order can tell the votes all the same.

    Who won more than half of a pair's votes beats the other.

    Parameters
    ----------
    names : sequence of str
        Of what was voted on.
    pairs : ndarray
        (pairs, 2): places in `names`.
    n, wins : ndarray
        (pairs,): the votes on each, and how many are for its first; a tie is half of one.
    inflation : float
        By how much votes on one prompt vary together, 1 or more.
    level : float
        Up to which chance it is said that no order tells the votes.

    Returns
    -------
    dict of int to list of str
        {place: what is said}: at the first that is in a circle all of it, and at the others, if no
        order tells the votes, that they are in one.

    References
    ----------
    M. G. Kendall and B. Babington Smith, "On the method of paired comparisons", Biometrika 31
    (1940): circular triads and the coefficient of consistence.
    """
    beats = np.zeros((len(names), len(names)), int)
    for (one, other), margin in zip(pairs, 2 * wins - n):
        beats[one, other], beats[other, one] = margin > 0, margin < 0
    closed = beats @ beats * beats.T  # [i, k]: ways from i by a third to k, which beats i
    circular, met = int(closed.sum()) // 3, beats + beats.T
    if not circular:
        return {}
    i, k = np.argwhere(closed)[0].tolist()
    three = [names[place] for place in (i, np.flatnonzero(beats[i] & beats[:, k])[0], k)]
    example = ", ".join(f"{a} beats {b}" for a, b in zip(three, [*three[1:], three[0]]))
    told = f"wins go in a circle ({example}), {circular:,} of {count_threes(met):,} threes"
    if met.sum() == len(names) * (len(names) - 1):
        told += f", Kendall's consistence {measure_consistence(circular, len(names)):.2f}"
    if compute_misfit(pairs, n, wins, len(names), inflation) > level:
        return {i: [f"{told}, as chance alone may do"]}
    others = {own: ["in a circle, too"] for own in np.flatnonzero(closed.any(axis=1)).tolist()}
    return others | {i: [f"{told}: one order does not tell these votes"]}


def count_threes(met: np.ndarray) -> int:
    """Counts the threes in which each pair has a winner, from which pairs (items, items) have."""
    return int(np.trace(met @ met @ met)) // 6


def measure_consistence(circular: int, items: int) -> float:
    """Measures Kendall's coefficient: 1 without a circle, 0 with as many as there can be."""
    return 1 - 24 * circular / (items**3 - items * (1 if items % 2 else 4))


def compute_misfit(
    pairs: np.ndarray, n: np.ndarray, wins: np.ndarray, items: int, inflation: float
) -> float:
    """Computes how likely votes are so far from all strengths, if there are such.

    It is the test of minimum logit chi-square, with half a vote for either side of each pair: what
    is left of the pairs' log-odds where strengths have told all that they can.

    References
    ----------
    J. Berkson, JASA 39 (1944) and 50 (1955). R. Beaver, "Weighted least-squares analysis of several
    univariate Bradley-Terry models", JASA 72 (1977).
    """
    won, lost = wins + 0.5, n - wins + 0.5
    weight = 1 / np.sqrt(1 / won + 1 / lost)
    design = (np.eye(items)[pairs[:, 0]] - np.eye(items)[pairs[:, 1]]) * weight[:, None]
    odds = np.log(won / lost) * weight
    rest = odds - design @ np.linalg.lstsq(design, odds, rcond=None)[0]
    freedom = len(pairs) - items + 1  # of pairs that connect all
    return float(scipy.stats.chi2.sf(rest @ rest / inflation, freedom))
