"""Strengths from votes on pairs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import scipy

from ..frame import column_values, count_noun, distinct_values, format_value
from .charts import CONFIDENCE
from .reading import read_sample, require_confidence, split_frame

WORTH = {"left": 1.0, "right": 0.0, "tie": 0.5, "both bad": 0.5}
PULL = 0.01  # of the ridge
FAR = 15.0  # log-odds from the middle beyond which an end is not told from none
TINY = 1e-12


def ranking(
    votes: pd.DataFrame,
    frame: pd.DataFrame | None = None,
    *,
    by: str = "model",
    prompt: str = "prompt",
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Rank what was voted on by strength, as Bradley and Terry's model has it, with intervals.

    A tie, and "both bad", is half a win for either side. The interval has the strengths that a
    score test does not refuse; of two sides it is Wilson's. One that never lost has no upper end
    (infinite), and a slight pull to the middle keeps its strength finite. Where prompts repeat,
    intervals widen by the design effect.

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
        and `high`, `chance` (to win against the average, 0 to 1), `wins`, `losses`, `ties`.

    Raises
    ------
    TypeError, ValueError
        If columns or keys are missing, or some were never compared with the others.

    References
    ----------
    R. Bradley and M. Terry, "Rank analysis of incomplete block designs", Biometrika 39 (1952).
    """
    require_confidence(confidence)
    left, right, score, clusters, name = read_votes(votes, frame, by, prompt)
    items = list(dict.fromkeys([*left, *right]))
    place = {item: i for i, item in enumerate(items)}
    sides = np.array([[place[a], place[b]] for a, b in zip(left, right)])
    require_connected(items, sides)
    design = write_design(len(items), sides)
    strength = fit_strengths(design, score)
    rest, weight = weigh_votes(design, score, strength)
    z = float(scipy.stats.norm.ppf((1 + confidence) / 2))
    z *= math.sqrt(measure_inflation(design, rest, weight, clusters))
    ends = [find_ends(design, score, own, strength[own], z) for own in range(len(items))]
    low, high = zip(*ends)
    out = pd.DataFrame({name: items, "strength": strength, "low": low, "high": high})
    out["chance"] = scipy.special.expit(strength)
    for told, value in (("wins", 1.0), ("losses", 0.0), ("ties", 0.5)):
        ones, others = sides[score == value, 0], sides[score == 1 - value, 1]
        out[told] = np.bincount(np.r_[ones, others], minlength=len(items))
    out.attrs[CONFIDENCE] = confidence
    return out.sort_values("strength", ascending=False, ignore_index=True)


def read_votes(
    votes: pd.DataFrame, frame: pd.DataFrame | None, by: str, prompt: str
) -> tuple[list[Any], list[Any], np.ndarray, np.ndarray, str]:
    """Reads (what stood left, right, 1 for left to 0 for right, prompt's number, column's name)."""
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


def write_design(items: int, sides: np.ndarray) -> np.ndarray:
    """Writes a row a vote: 1 for what stood left, -1 for what stood right."""
    design = np.zeros((len(sides), items))
    design[np.arange(len(sides)), sides[:, 0]] += 1
    design[np.arange(len(sides)), sides[:, 1]] -= 1
    return design


def weigh_votes(
    design: np.ndarray, score: np.ndarray, strength: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Computes (what each vote has beyond its chance, the variance of it) at these strengths."""
    chance = scipy.special.expit(design @ strength)
    return score - chance, chance * (1 - chance)


def fit_strengths(
    design: np.ndarray, score: np.ndarray, start: np.ndarray | None = None, own: int | None = None
) -> np.ndarray:
    """Fits log-odds with mean 0 by Newton's method; with `own` that one stays where it starts."""
    items = design.shape[1]
    strength = np.zeros(items) if start is None else start.copy()
    free = list_directions(items, own)
    for _ in range(100):
        rest, weight = weigh_votes(design, score, strength)
        slope = free.T @ (design.T @ rest - PULL * strength)
        curve = free.T @ (design.T @ (design * weight[:, None]) + PULL * np.eye(items)) @ free
        step = free @ np.linalg.solve(curve, slope)
        strength += step
        if not step.size or np.abs(step).max() < 1e-10:
            break
    return strength


def list_directions(items: int, own: int | None) -> np.ndarray:
    """Lists, a column each, the ways in which strengths of mean 0 can change, without `own`."""
    fixed = [np.ones(items)] if own is None else [np.ones(items), np.eye(items)[own]]
    return scipy.linalg.null_space(np.array(fixed))


def find_ends(
    design: np.ndarray, score: np.ndarray, own: int, middle: float, z: float
) -> tuple[float, float]:
    """Finds the least and the largest strength of one that its votes do not refuse."""

    def refuse(at: float) -> float:
        return score_strength(design, score, own, at)

    low, high = -math.inf, math.inf
    if refuse(middle - FAR) > z:
        low = scipy.optimize.brentq(lambda at: refuse(at) - z, middle - FAR, middle)
    if refuse(middle + FAR) < -z:
        high = scipy.optimize.brentq(lambda at: refuse(at) + z, middle, middle + FAR)
    return low, high


def score_strength(design: np.ndarray, score: np.ndarray, own: int, at: float) -> float:
    """Computes the standardized score of one at a strength; the others' are those that fit best."""
    items = design.shape[1]
    aside = np.full(items, -1 / (items - 1))
    aside[own] = 1.0
    strength = fit_strengths(design, score, at * aside, own)
    rest, weight = weigh_votes(design, score, strength)
    curve = design.T @ (design * weight[:, None])
    others = list_directions(items, own)
    shared = others.T @ curve @ aside
    within = others.T @ curve @ others + PULL * np.eye(others.shape[1])
    spread = aside @ curve @ aside - shared @ np.linalg.solve(within, shared)
    return float(aside @ design.T @ rest / math.sqrt(max(spread, TINY)))


def measure_inflation(
    design: np.ndarray, rest: np.ndarray, weight: np.ndarray, clusters: np.ndarray
) -> float:
    """Measures by how much the votes on one prompt agree beyond chance, at least 1."""
    prompts = clusters.max() + 1
    if prompts in (1, len(rest)):
        return 1.0
    sums = np.array([design[clusters == c].T @ rest[clusters == c] for c in range(prompts)])
    alone = (design**2 * weight[:, None]).sum()
    return max(1.0, prompts / (prompts - 1) * float((sums**2).sum() / alone)) if alone else 1.0
