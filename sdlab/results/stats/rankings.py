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


def ranking(
    votes: pd.DataFrame,
    frame: pd.DataFrame | None = None,
    *,
    by: str = "model",
    prompt: str = "prompt",
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Rank what was voted on by strength, as Bradley and Terry's model has it, with intervals.

    A tie, and "both bad", is half a win for either side. A slight pull to the middle keeps one that
    never lost finite; where prompts repeat, intervals widen by the design effect.

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
    strength, spread = fit_strengths(len(items), sides, score, clusters)
    half = float(scipy.stats.norm.ppf((1 + confidence) / 2)) * spread
    out = pd.DataFrame(
        {name: items, "strength": strength, "low": strength - half, "high": strength + half}
    )
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


def fit_strengths(
    items: int, sides: np.ndarray, score: np.ndarray, clusters: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Fits (log-odds with mean 0, their standard errors) by Newton's method."""
    design = np.zeros((len(score), items))
    design[np.arange(len(score)), sides[:, 0]] += 1
    design[np.arange(len(score)), sides[:, 1]] -= 1
    strength = np.zeros(items)
    for _ in range(100):
        chance = scipy.special.expit(design @ strength)
        slope = design.T @ (score - chance) - PULL * strength
        weight = chance * (1 - chance)
        curve = design.T @ (design * weight[:, None]) + PULL * np.eye(items)
        step = np.linalg.solve(curve, slope)
        strength += step
        if np.abs(step).max() < 1e-10:
            break
    inside = np.linalg.inv(curve) - np.full((items, items), 1 / (items * PULL))  # of sum 0
    spread = np.sqrt(np.diag(inside).clip(0))
    return strength - strength.mean(), spread * math.sqrt(
        measure_inflation(design, score - chance, weight, clusters)
    )


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
