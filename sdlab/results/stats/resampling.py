"""The bootstrap over prompts."""

from __future__ import annotations

import math

import numpy as np
import scipy

RESAMPLES = 9_999


def bootstrap_mean(values: np.ndarray, confidence: float, extra: float = 0) -> tuple[float, float]:
    """Computes the expanded percentile interval of a mean; `extra` adds a value for either side."""
    values = np.r_[values, extra, -extra] if extra else values
    n = len(values)
    if n < 2:
        return math.nan, math.nan
    tail = expand_tail(n, confidence)
    draws = values[np.random.default_rng(0).integers(n, size=(RESAMPLES, n))].mean(axis=1)
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)


def expand_tail(n: int, confidence: float) -> float:
    """Computes which share of the resamples of n lies beyond either end of their interval."""
    reach = scipy.stats.t.ppf((1 + confidence) / 2, n - 1)
    return float(scipy.stats.norm.cdf(-math.sqrt(n / (n - 1)) * reach))
