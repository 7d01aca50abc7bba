"""How often something is true, and how exactly a number of pictures tells that."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd
import scipy

from ..frame import column_values, count_noun, distinct_values, join_words
from ..probes import choose_columns, find_guessing, lacks_opposites
from .claims import note_call, note_sample
from .reading import is_binary, read_hits, require_confidence, require_frame, split_frame

ALIKE = 0.5  # the intraclass correlation that is held for true before any is seen
HABIT = "alone this may be a habit: look at it with its opposite"
WEIGHT = 12  # of that, as the variance (n times share times rest) of what outweighs it


def share_interval(hits: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Compute the Wilson interval of a share, such as 8 hits of 10.

    Parameters
    ----------
    hits : float
        0 to `n`.
    n : float
        Trials, above 0; a part of a trial where an effective number is meant.
    confidence : float
        Above 0 and below 1.

    Returns
    -------
    (float, float)
        Lower and upper end, 0 to 1.

    Raises
    ------
    ValueError
        If there are no trials, or more hits than trials.

    References
    ----------
    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22
    (1927).
    """
    require_confidence(confidence)
    if not 0 <= hits <= n or not n:
        raise ValueError(f"{hits} hits of {n} trials: there are 1 trial or more, and 0 to n hits")
    z = float(scipy.stats.norm.ppf((1 + confidence) / 2))
    share, square = hits / n, z * z / n
    middle = (share + square / 2) / (1 + square)
    half = z * math.sqrt(share * (1 - share) / n + square / n / 4) / (1 + square)
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return (0.0 if hits == 0 else low), (1.0 if hits == n else high)


@note_call
def rate(
    frame: pd.DataFrame,
    column: str | None = None,
    *,
    by: str | Sequence[str] = (),
    prompt: str | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Compute how often a column is true, with n and an interval that knows of repeated prompts.

    Where a prompt has several pictures, the interval is Wilson's of as many independent pictures as
    the spread between the prompts allows: at least one a prompt, at most all. Until enough right
    and wrong ones are seen to tell, pictures of a prompt count as up to half alike, and a further
    success never lowers the interval. Of n pictures of m > 1 prompts, with share p::

        b = sum(size**2) / n  # over prompts
        v = m / (m - 1) * sum((hits - p * size)**2) / n**2  # over prompts
        rho = (v n / (p (1 - p)) - 1) / (b - 1), from 0 to 1; 0 if p is 0 or 1
        r = max(rho, (12 * 0.5 + n p (1 - p) rho) / (12 + n p (1 - p)))
        k = n / (1 + (b - 1) r), from m to n

    and the interval is `share_interval(p * k, k)`. Of one prompt k is n.

    Of answers, as `Judge(...).value` has them, a picture that several raters were asked about
    counts once, as the share of its raters who said yes: more raters are no more pictures.

    Parameters
    ----------
    frame : DataFrame
        One row a picture, or an answer with its `rater`.
    column : str, optional
        The column of the frame's probe if left out. True and False, or 1 and 0; rows where it is
        missing are counted apart.
    by : str or list of str
        One row of the result for each of their values, in order of first appearance.
    prompt : str, optional
        The column whose values are the sample: if left out, "wording", which the arms of a probe
        share, else "prompt"; if the frame has neither, each row is by itself.
    confidence : float
        Of the interval.

    Returns
    -------
    DataFrame
        The columns of `by`, then `share`, `low`, `high` (0 to 1), `hits`, `n`, `prompts`,
        `missing`. Where it is known what share guessing gives, that stands in `guessing`, and
        `verdict` says how the interval lies to it; else it says where arms of a probe that are
        counted together have intervals apart. Of several raters it says how many answers of how
        many of them these are, and `hits` may have a fraction.

    Raises
    ------
    TypeError, ValueError
        If there is no such column, or it is not yes or no.

    References
    ----------
    L. Kish, "Survey Sampling" (1965), section 8.2: the design effect; the variance is that of a
    ratio over clusters.

    Examples
    --------
    >>> rate(measure(run(probe("tiny-counting"), "store")), by="model")
    >>> rate(measure(results, "objects"), "objects_right", by="model")
    """
    require_frame(frame)
    [column] = choose_columns(frame, column)
    rows = []
    for own, part in split_frame(frame, by, column):
        hits, clusters, missing = read_hits(part, column, prompt)
        n, total = len(hits), hits.sum()
        share = low = high = math.nan
        if n:
            share = hits.mean()
            effective = count_effective(hits, clusters)
            low, high = share_interval(share * effective, effective, confidence)
        rows.append(
            own
            | {"share": share, "low": low, "high": high}
            | {"hits": int(total) if is_binary(hits) else float(total), "n": n}
            | {"prompts": len(np.unique(clusters)), "missing": missing}
            | (weigh_guessing(part, column, low, high) or note_arms(part, column, by))
        )
        if raters := note_raters(part, column, n + missing):
            rows[-1]["verdict"] = "; ".join(filter(None, (rows[-1].get("verdict"), raters)))
    out = pd.DataFrame(rows)
    out.attrs |= note_sample(by, column)
    return out


def note_raters(frame: pd.DataFrame, column: str, pictures: int) -> str:
    """Says so where several raters answered about these pictures, which count once each."""
    if pictures == len(frame):
        return ""
    known = frame[frame[column].notna()]
    who = count_noun(len(set(column_values(known, "rater"))), "rater")
    return f"{count_noun(len(known), 'answer')} of {who}; each picture counts once"


def weigh_guessing(
    frame: pd.DataFrame, column: str, low: float, high: float, k: int = 1
) -> dict[str, Any]:
    """Says how the interval of k tries lies to what guessing gives; {} where that is not known."""
    guessing = find_guessing(frame, column)
    if guessing is None or math.isnan(low):
        return {"verdict": HABIT} if lacks_opposites(frame, column) else {}
    arms = distinct_values(frame, "arm") if "arm" in frame.columns else []
    over = f", over {join_words(map(str, arms))}" if len(arms) > 1 else ""
    most = 1 - (1 - guessing) ** k  # if each try is guessed anew; of a habit it is `guessing`
    tries = f" by the best of {k}" if k > 1 else ""
    said = place_interval(low, high, guessing, most)
    return {"guessing": most, "verdict": f"{said} guessing ({most:.0%}{tries}){over}"}


def place_interval(low: float, high: float, guessing: float, most: float | None = None) -> str:
    """Says how an interval lies to what guessing gives, or to the least and the most of that."""
    if low > (guessing if most is None else most):
        return "above"
    return "below" if high < guessing else "not told apart from"


def note_arms(frame: pd.DataFrame, column: str, by: str | Sequence[str]) -> dict[str, str]:
    """Says so where arms of a probe that are counted together have shares far apart; else {}."""
    if "arm" not in frame.columns or "arm" in ([by] if isinstance(by, str) else by):
        return {}
    if frame.loc[frame[column].notna(), "arm"].nunique() < 2:
        return {}
    alone = frame.drop(columns="probe", errors="ignore")  # whether it has that column is told
    arms = rate(alone, column, by="arm").dropna(subset="share")
    least, most = (end(arms.to_dict("records"), key=itemgetter("share")) for end in (min, max))
    far = most["share"] - least["share"]  # more than Newcombe's half interval of a difference
    if far <= math.hypot(most["share"] - most["low"], least["high"] - least["share"]):
        return {}
    ends = f"{least['share']:.0%} ({least['arm']}) to {most['share']:.0%} ({most['arm']})"
    return {"verdict": f"its arms differ, {ends}: see them by 'arm'"}


def count_effective(hits: np.ndarray, clusters: np.ndarray) -> float:
    """Counts as how many independent pictures these tell: at least one a prompt, at most all."""
    n, share = len(hits), hits.mean()
    sizes, sums = np.bincount(clusters), np.bincount(clusters, hits)
    prompts = len(sizes)
    if prompts in (1, n):
        return n
    variance = prompts / (prompts - 1) * ((sums - share * sizes) ** 2).sum() / n**2
    return shrink_sample(n, prompts, share, variance, (sizes**2).sum() / n)


def shrink_sample(n: int, prompts: int, share: float, variance: float, size: float) -> float:
    """Shrinks n pictures to as many independent ones: at least one a prompt, at most all.

    The pictures of a prompt (`size` of them) count as alike as they are seen to be, and at least as
    half alike until enough successes and failures are seen to tell. So one failure less never makes
    a share look worse, as it does where only the spread between prompts is looked at: where all are
    right there is none.
    """
    single = share * (1 - share) / n  # the variance, if all were independent
    seen = n * n * single
    alike = np.clip((variance / single - 1) / (size - 1), 0, 1) if single else 0.0
    alike = max(alike, (WEIGHT * ALIKE + seen * alike) / (WEIGHT + seen))
    return float(np.clip(n / (1 + (size - 1) * alike), prompts, n))
