"""What the best of k pictures is worth."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import scipy

from ..frame import format_value
from ..probes import choose_columns
from .claims import note_call, note_sample
from .rates import share_interval, shrink_sample, weigh_guessing
from .reading import is_binary, read_tries, require_frame, split_frame
from .resampling import bootstrap_mean


@note_call
def yield_curve(
    frame: pd.DataFrame,
    column: str | None = None,
    *,
    by: str | Sequence[str] = (),
    k: int | None = None,
    prompt: str | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Compute what the best of k pictures is worth: the chance that one is usable, or its score.

    Of a column that is yes or no: the chance that at least one of k pictures of a request is a yes,
    estimated without bias for each and averaged over them. Of numbers: the expected highest of k. A
    curator who shows the best of a hundred stands at k = 100. Tries are pictures that differ in
    the seed alone; each request counts once, however many pictures it has.

    Parameters
    ----------
    frame : DataFrame
        One row a picture, several for each request.
    column : str, optional
        The column of the frame's probe if left out. Yes or no, or a number of which more is better.
    by : str or list of str
        A curve for each of their values.
    k : int, optional
        The largest; as many as the request with the fewest pictures has if left out.
    prompt : str, optional
        The column whose values are the sample, as in `rate`: if left out, "wording", which the arms
        of a probe share, else "prompt". A frame without either is one request.
    confidence : float
        Of the band.

    Returns
    -------
    DataFrame
        The columns of `by`, then `k`, `best`, `low`, `high`, `prompts`, `n`, and `missing`,
        pictures without a value, for which the curve may end early. A single request's
        band is Clopper and Pearson's for a column that is yes or no, and missing for numbers, as
        that of prompts that are all alike. Where it is known what share guessing gives, `guessing`
        is the most that k tries make of it, each guessed anew, and `verdict` says how the band lies
        to it: a model that always draws alike gets no more by trying, and is not below guessing
        unless it is below the share of a single try.

    Raises
    ------
    TypeError, ValueError
        If there is no such column, or a request has fewer than k pictures.

    References
    ----------
    M. Chen et al., "Evaluating large language models trained on code", arXiv 2107.03374 (2021),
    equation 1: pass@k.
    """
    require_frame(frame)
    if k is not None and (not isinstance(k, numbers.Integral) or isinstance(k, bool) or k < 1):
        raise ValueError(f"k={k!r:.40}: give how many tries at most, 1 or more, or leave it out")
    [column] = choose_columns(frame, column)
    rows = []
    for own, part in split_frame(frame, by, column):
        scores, clusters = read_tries(part, column, prompt)
        if not scores or not scores[0].size:
            of = "".join(f", of {name} {format_value(value)}" for name, value in own.items())
            raise ValueError(
                f"{column}: no row has a value{of}; measure the pictures first, or leave them out"
            )
        if (k or 1) > (fewest := min(map(len, scores))):
            raise ValueError(
                f"k={k} of {column}: the request with the fewest pictures has {fewest}; use 1 to"
                f" {fewest}, or render more seeds"
            )
        missing = {"missing": int(part[column].isna().sum())}
        for size in range(1, (k or fewest) + 1):
            told = estimate_best(scores, clusters, size, confidence) | missing
            told |= weigh_guessing(part, column, told["low"], told["high"], size)
            rows.append(own | {"k": size} | told)
    out = pd.DataFrame(rows)
    out.attrs |= note_sample(by, column)
    return out


def estimate_best(
    scores: list[np.ndarray], clusters: np.ndarray, k: int, confidence: float
) -> dict[str, Any]:
    """Estimates the best of k over requests, with its band over prompts."""
    n, prompts = sum(map(len, scores)), len(np.unique(clusters))
    each = np.array([expect_best(one, k) for one in scores])
    best = each.mean()
    own = clusters if prompts > 1 else np.arange(len(each))  # of one prompt its requests
    if is_binary(np.concatenate(scores)):
        low, high = bound_chance(scores, each, own, k, confidence)
    elif np.ptp(each) > 0:
        low, high = bootstrap_mean(np.bincount(own, each) / np.bincount(own), confidence)
    else:
        low = high = math.nan  # prompts that are alike show no spread, which is not none
    low, high = min(low, best), max(high, best)  # which is without bias, and may lie at an end
    return {"best": best, "low": low, "high": high, "prompts": prompts, "n": n}


def bound_chance(
    scores: list[np.ndarray], each: np.ndarray, clusters: np.ndarray, k: int, confidence: float
) -> tuple[float, float]:
    """Computes the band of the chance of a yes, from that of each request, (requests,)."""
    pictures = np.array([*map(len, scores)])
    n, best, sizes = int(pictures.sum()), each.mean(), np.bincount(clusters, pictures)
    if len(scores) == 1:
        ends = scipy.stats.binomtest(int(scores[0].sum()), n).proportion_ci(confidence, "exact")
        return 1 - (1 - ends.low) ** k, 1 - (1 - ends.high) ** k
    effective, prompts = float(n), len(sizes)
    if prompts < n:
        sums = np.bincount(clusters, each - best)
        variance = prompts / (prompts - 1) * (sums**2).sum() / len(each) ** 2
        effective = shrink_sample(n, prompts, best, variance, (sizes**2).sum() / n)
    return share_interval(min(best, 1.0) * effective, effective, confidence)


def expect_best(scores: np.ndarray, k: int) -> float:
    """Expects the highest of k that are drawn from these without putting back."""
    n, comb = len(scores), scipy.special.comb
    below = comb(np.arange(n), k - 1) / comb(n, k)  # of the i-th smallest: that it is the highest
    return float(np.sort(scores) @ below)
