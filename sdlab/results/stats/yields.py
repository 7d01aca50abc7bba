"""What the best of k pictures is worth."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import scipy

from ..probes import choose_columns
from .charts import CONFIDENCE
from .claims import note_call, note_sample
from .rates import share_interval, shrink_sample
from .reading import is_binary, read_scores, require_confidence, require_frame, split_frame
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

    Of a column that is yes or no: the chance that at least one of k pictures of a prompt is a yes,
    estimated without bias for each prompt and averaged over prompts. Of numbers: the expected
    highest of k. A curator who shows the best of a hundred stands at k = 100.

    Parameters
    ----------
    frame : DataFrame
        One row a picture, several for each prompt.
    column : str, optional
        The column of the frame's probe if left out. Yes or no, or a number of which more is better.
    by : str or list of str
        A curve for each of their values.
    k : int, optional
        The largest; as many as the prompt with the fewest pictures has if left out.
    prompt : str, optional
        The column whose values are the sample, "prompt" if left out: tries are pictures of one
        request, and the arms of a probe are several. A frame without it is one prompt.
    confidence : float
        Of the band.

    Returns
    -------
    DataFrame
        The columns of `by`, then `k`, `best`, `low`, `high`, `prompts`, `n`. A single prompt's band
        is Clopper and Pearson's for a column that is yes or no, and missing for numbers, as
        that of prompts that are all alike.

    Raises
    ------
    TypeError, ValueError
        If there is no such column, or a prompt has fewer than k pictures.

    References
    ----------
    M. Chen et al., "Evaluating large language models trained on code", arXiv 2107.03374 (2021),
    equation 1: pass@k.
    """
    require_frame(frame)
    require_confidence(confidence)
    [column] = choose_columns(frame, column)
    prompt = prompt or ("prompt" if "prompt" in frame.columns else None)
    rows = []
    for own, part in split_frame(frame, by, column):
        scores = read_scores(part, column, prompt)
        fewest = min(map(len, scores), default=0)
        if not fewest or (k or 1) > fewest or (k or 1) < 1:
            raise ValueError(
                f"k={k} of {column}: the prompt with the fewest pictures has {fewest}; use 1 to"
                f" {max(fewest, 1)}, or render more seeds"
            )
        for size in range(1, (k or fewest) + 1):
            rows.append(own | {"k": size} | estimate_best(scores, size, confidence))
    out = pd.DataFrame(rows)
    out.attrs.update(note_sample(by, column), **{CONFIDENCE: confidence})
    return out


def estimate_best(scores: list[np.ndarray], k: int, confidence: float) -> dict[str, float]:
    """Estimates the best of k over prompts, with its band."""
    n, prompts = sum(map(len, scores)), len(scores)
    binary = is_binary(np.concatenate(scores))
    each = np.array([expect_best(one, k) for one in scores])
    best = each.mean()
    if binary and prompts == 1:
        hits = scipy.stats.binomtest(int(scores[0].sum()), n).proportion_ci(confidence, "exact")
        low, high = (1 - (1 - end) ** k for end in hits)
    elif binary:
        sizes = np.array([len(one) for one in scores])
        size = (sizes**2).sum() / n
        effective = float(n)
        if prompts < n:
            effective = shrink_sample(n, prompts, best, each.var(ddof=1) / prompts, size)
        low, high = share_interval(min(best, 1.0) * effective, effective, confidence)
    elif np.ptp(each) > 0:
        low, high = bootstrap_mean(each, confidence)
    else:
        low = high = math.nan  # prompts that are alike show no spread, which is not none
    low, high = min(low, best), max(high, best)  # which is without bias, and may lie at an end
    return {"best": best, "low": low, "high": high, "prompts": prompts, "n": n}


def expect_best(scores: np.ndarray, k: int) -> float:
    """Expects the highest of k that are drawn from these without putting back."""
    n, comb = len(scores), scipy.special.comb
    below = comb(np.arange(n), k - 1) / comb(n, k)  # of the i-th smallest: that it is the highest
    return float(np.sort(scores) @ below)
