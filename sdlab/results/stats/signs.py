"""Which of two answers is given more often, over prompts: shares with the exact sign test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from .paired import compare_signs
from .rates import rate
from .reading import read_hits, split_frame


def signs(
    frame: pd.DataFrame,
    column: str,
    *,
    by: str | Sequence[str] = (),
    prompt: str | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Compute how often a column is true, and whether that is more or less than by a fair coin.

    The share and its interval are those of `rate`. In the sign test each prompt counts once, for
    the answer that most of its rows give: rows of one prompt resemble each other. If there is one
    prompt only, its rows are the sample.

    Parameters
    ----------
    frame, column, by, prompt, confidence
        As in `rate`.

    Returns
    -------
    DataFrame
        The columns of `rate`, then `over`, what the test counts ("prompt" or "row"), and its
        two-sided `p`; missing where there is nothing to test.

    References
    ----------
    The exact sign test: W. J. Dixon and A. M. Mood, JASA 41 (1946).
    """
    out = rate(frame, column, by=by, prompt=prompt, confidence=confidence)
    over, chances = [], []
    for _, part in split_frame(frame, by, column):
        hits, clusters, _ = read_hits(part, column, prompt)
        single = len(np.unique(clusters)) == 1
        change = 2 * hits - 1 if single else np.bincount(clusters, 2 * hits - 1)
        over.append("row" if single or len(change) == len(hits) else "prompt")
        chances.append(compare_signs(change) if len(hits) else np.nan)
    return out.assign(over=pd.array(over, "string"), p=chances)
