"""Whether raters agree: with one another, with themselves, and with an automatic scorer."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from ...store.opinions import mirror_vote
from ..frame import column_values, count_noun, format_value
from .charts import CONFIDENCE
from .rates import count_effective, share_interval
from .reading import read_sample, require_confidence, split_frame
from .resampling import expand_tail

RESAMPLES = 999
RELIABLE, TENTATIVE = 0.8, 0.667  # Krippendorff's customary limits of alpha
COMMON = 0.9  # share of one answer from which on kappa and alpha are low whatever happens
Ratings = dict[Any, str | None]  # of one rater: {picture or pair: answer, None for cannot tell}
WORDS = {True: "yes", False: "no"}


def agreement(
    answers: pd.DataFrame,
    *,
    order: Sequence[Any] | None = None,
    scorer: str | None = None,
    prompt: str | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Compute how far raters agree: with one another, with themselves, and with a scorer.

    Raw agreement stands beside what is left of it beyond chance. If all answers are the same, there
    is nothing beyond chance to be seen: kappa and alpha are missing then, and `note` says so.
    "Cannot tell" is no answer, but is counted. Where `answers` says of which prompt each picture
    is, and prompts repeat, they are the sample, as in `rate`: raters err alike on pictures that are
    alike.

    Parameters
    ----------
    answers : DataFrame
        `Judge(...).value`, `Store(...).answers()` or `.votes()`: columns `rater`, `answer` or
        `vote`, `key` or `left` and `right`; `question` and `repeat` if there are any. The last of
        several answers counts.
    order : sequence, optional
        The answers from the lowest to the highest. Then alpha is the ordinal one, for which near
        answers are half agreed; kappa stays that of equal or not.
    scorer : str, optional
        A column of `answers` with what a scorer found in each picture. Yes and no stand for True
        and False.
    prompt : str, optional
        The column of `answers` whose values are the sample: if left out, "wording", else "prompt",
        which `Judge(...).value` has once its round has ended; without either, each picture is by
        itself.
    confidence : float
        Of the intervals.

    Returns
    -------
    DataFrame
        A row for each comparison: `question`; `kind`, which is "all raters", "two raters", "again"
        (a rater's answers and those to the same pictures shown again) or "scorer"; `of`, who they
        are; `share` of pairs of answers that are equal, with its Wilson interval `low` and `high`
        over the `n` pictures of `prompts` prompts; `cannot_tell`, pictures left out for that;
        `kappa` (Cohen's, of two); `alpha` (Krippendorff's) with its bootstrap interval over the
        prompts, `alpha_low` and `alpha_high`; and `note`, in words.

    Raises
    ------
    TypeError, ValueError
        If columns are missing, an answer is not in `order`, or the scorer gives no such answers.

    References
    ----------
    J. Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological
    Measurement 20 (1960). K. Krippendorff, "Computing Krippendorff's alpha-reliability" (2011); the
    limits of .8 and .667 are those of his "Content Analysis" (2004), section 11.4.

    Examples
    --------
    >>> agreement(judge.value, scorer="objects_count")
    """
    require_confidence(confidence)
    column = "vote" if "vote" in answers else "answer"
    needed = ["rater", column, *(("left", "right") if "left" in answers else ("key",))]
    needed += [scorer] if scorer else []
    rows = []
    for own, part in split_frame(answers, [*{"question"} & {*answers}], *needed):
        samples = read_samples(part, prompt)
        for kind, of, columns in list_comparisons(part, column, scorer):
            told = compare(columns, samples, order, confidence)
            rows.append(own | {"kind": kind, "of": of} | told)
    if not rows:
        raise ValueError(
            "there is nothing to compare: one rater, no picture shown twice, and no scorer; let"
            " somebody else answer too, or give scorer='a column'"
        )
    out = pd.DataFrame(rows)
    out.attrs[CONFIDENCE] = confidence
    return out


# Who is compared with whom


def list_comparisons(
    answers: pd.DataFrame, column: str, scorer: str | None
) -> list[tuple[str, str, list[Ratings]]]:
    """Lists (kind, who they are, the answers of each)."""
    first, again = read_ratings(answers, column)
    found = []
    if len(first) > 2:
        found.append(("all raters", " · ".join(first), list(first.values())))
    for one, other in combinations(first, 2):
        found.append(("two raters", f"{one} · {other}", [first[one], first[other]]))
    found += [("again", name, [first[name], again[name]]) for name in first if name in again]
    if scorer:
        scores = read_scorer(answers, scorer, first)
        found += [("scorer", f"{name} · {scorer}", [first[name], scores]) for name in first]
    return found


def read_ratings(
    answers: pd.DataFrame, column: str
) -> tuple[dict[str, Ratings], dict[str, Ratings]]:
    """Reads {rater: first answers} and {rater: answers to what was shown again}."""
    first: dict[str, Ratings] = {}
    again: dict[str, Ratings] = {}
    names = ("key", "left", "right", "rater", "repeat", column)
    for key, left, right, rater, repeat, said in zip(*(column_values(answers, n) for n in names)):
        word = None if said is None else put_in_words(said)
        about = key
        if key is None:  # a pair is the same whichever picture stands left
            about = tuple(sorted((left, right)))
            word = word if about[0] == left else mirror_vote(word)
        whose = first if not repeat else again
        whose.setdefault(format_value(rater), {})[about] = word
    return first, again


def read_samples(answers: pd.DataFrame, prompt: str | None) -> dict[Any, Any]:
    """Reads {picture or pair: its prompt}, where that is told."""
    texts = read_sample(answers, prompt)
    if texts is None:
        return {}
    sides = zip(*(column_values(answers, name) for name in ("key", "left", "right")))
    about = [tuple(sorted((left, right))) if key is None else key for key, left, right in sides]
    return {one: text for one, text in zip(about, texts) if not pd.isna(text)}


def read_scorer(answers: pd.DataFrame, scorer: str, first: dict[str, Ratings]) -> Ratings:
    """Reads what the scorer says of each picture, as answers."""
    if column_values(answers, "key") == [None] * len(answers):
        raise ValueError(f"scorer={scorer!r}: a scorer judges single pictures, and these are pairs")
    scores = zip(column_values(answers, "key"), column_values(answers, scorer))
    found = {key: None if value is None else put_in_words(value) for key, value in scores}
    given = {word for ratings in first.values() for word in ratings.values() if word is not None}
    if given and not given & set(found.values()):
        odd = sorted({word for word in found.values() if word is not None})[:3]
        raise ValueError(
            f"scorer={scorer!r} has {', '.join(odd) or 'no value'}, and no answer is such: they are"
            f" {', '.join(sorted(given))}; make a column of answers first, such as"
            f" answers.assign(found=answers[{scorer!r}] > 0.5)"
        )
    return found


def put_in_words(value: Any) -> str:
    """Writes an answer or a score so that equal ones are equal: 5, 5.0 and "5"; True and "yes"."""
    return WORDS[value] if isinstance(value, bool) else format_value(value)


# One comparison


def compare(
    columns: list[Ratings], samples: dict[Any, Any], order: Sequence[Any] | None, confidence: float
) -> dict[str, Any]:
    """Compares the answers of two or more on the pictures that two of them have answered."""
    times = Counter(about for column in columns for about in column)
    asked = [about for about, n in times.items() if n > 1]
    told = {about: [w for column in columns if (w := column.get(about))] for about in asked}
    told = {about: words for about, words in told.items() if len(words) > 1}
    units, clusters = list(told.values()), number_clusters(told, samples)
    out: dict[str, Any] = dict.fromkeys(("share", "low", "high"), math.nan)
    out |= {"n": len(units), "prompts": len({*clusters}), "cannot_tell": len(asked) - len(units)}
    out |= dict.fromkeys(("kappa", "alpha", "alpha_low", "alpha_high"), math.nan)
    if not units:
        return out | {"note": "no picture that two of them have answered"}
    categories = sort_categories(units, order)
    counts = np.array([[words.count(word) for word in categories] for words in units])
    size = counts.sum(axis=1)
    agreed = (counts * (counts - 1)).sum(axis=1) / (size * (size - 1))
    share, effective = float(agreed.mean()), count_effective(agreed, clusters)
    low, high = share_interval(share * effective, effective, confidence)
    out |= {"share": share, "low": low, "high": high}
    out |= estimate_alpha(counts, clusters, low, order is not None, confidence)
    if len(columns) == 2:
        out["kappa"] = compute_kappa(units)
    return out | {"note": write_note(out, Counter(word for words in units for word in words))}


def number_clusters(subjects: Iterable[Any], samples: dict[Any, Any]) -> np.ndarray:
    """Numbers the prompts of pictures or pairs; what tells none is a prompt by itself."""
    numbers: dict[tuple[bool, Any], int] = {}
    named = ((True, samples[one]) if one in samples else (False, one) for one in subjects)
    return np.array([numbers.setdefault(name, len(numbers)) for name in named], int)


def sort_categories(units: list[list[str]], order: Sequence[Any] | None) -> list[str]:
    """Lists the answers that occur, in `order` if that is given; raises if one is not in it."""
    found = list(dict.fromkeys(word for words in units for word in words))
    if order is None:
        return found
    known = [put_in_words(value) for value in order]
    odd = [word for word in found if word not in known]
    if odd or len({*known}) < len(known):
        told = f"there is also the answer {odd[0]!r}" if odd else "an answer stands there twice"
        raise ValueError(f"order={known}: {told}; give all answers once, the lowest first")
    return sorted(found, key=known.index)


def compute_kappa(units: list[list[str]]) -> float:
    """Computes Cohen's kappa of pairs of answers; nan if both always give one and the same."""
    n = len(units)
    one, other = (Counter(side) for side in zip(*units))
    chance = sum(one[word] * other[word] for word in one) / n**2
    same = sum(a == b for a, b in units) / n
    return (same - chance) / (1 - chance) if chance < 1 else math.nan


def compute_alpha(coincidences: np.ndarray, ordinal: bool) -> np.ndarray:
    """Computes Krippendorff's alpha of each matrix of coincidences; nan if all is one answer.

    Parameters
    ----------
    coincidences : array
        (..., c, c), answers in their order: how often two answers fell together in one unit, each
        unit's pairs weighted by 1 / (answers - 1).
    ordinal : bool
        Whether near answers are half agreed.
    """
    n = coincidences.sum(axis=-1)
    middle = np.cumsum(n, axis=-1) - n / 2  # the mean rank of each answer
    gap = np.abs(middle[..., None, :] - middle[..., :, None])
    distance = gap**2 if ordinal else 1 - np.eye(n.shape[-1])
    total = n.sum(axis=-1)
    seen = (coincidences * distance).sum(axis=(-1, -2))
    chance = (n[..., None, :] * n[..., :, None] * distance).sum(axis=(-1, -2)) / (total - 1)
    with np.errstate(invalid="ignore"):
        return 1 - seen / chance


def estimate_alpha(
    counts: np.ndarray, clusters: np.ndarray, low: float, ordinal: bool, confidence: float
) -> dict[str, float]:
    """Estimates alpha and its interval from each unit's number of each answer.

    The interval is the bootstrap's over prompts (over units, if there is but one), expanded as that
    of a mean is; a resample of one answer only may be anything. Where all agree, it has nothing to
    resample: then its lower end is what alpha were if the share of agreement were `low`, with
    disagreements of mean size.
    """
    units, kinds = counts.shape
    if kinds == 1:
        return {}
    each = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(kinds)
    each /= counts.sum(axis=1)[:, None, None] - 1
    alpha = float(compute_alpha(each.sum(axis=0), ordinal))
    if np.isclose(alpha, 1) or units == 1:
        n = counts.sum(axis=0)
        chance = 1 - (n * (n - 1)).sum() / (n.sum() * (n.sum() - 1))
        return {"alpha": alpha, "alpha_low": 1 - (1 - low) / chance, "alpha_high": 1.0}
    sums = each.reshape(units, -1)
    if (prompts := clusters.max() + 1) > 1:
        sums = np.array([sums[clusters == prompt].sum(axis=0) for prompt in range(prompts)])
    n = len(sums)
    draws = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), RESAMPLES)
    drawn = (draws @ sums).reshape(RESAMPLES, kinds, kinds)
    alphas, tail = compute_alpha(drawn, ordinal), expand_tail(n, confidence)
    ends = np.nan_to_num(alphas, nan=0.0), np.nan_to_num(alphas, nan=1.0)
    return {
        "alpha": alpha,
        "alpha_low": float(np.quantile(ends[0], tail)),
        "alpha_high": float(np.quantile(ends[1], 1 - tail)),
    }


def write_note(row: dict[str, Any], times: Counter[str]) -> str:
    """Says in words what can be told."""
    (word, most), total = times.most_common(1)[0], times.total()
    if most == total:
        return (
            f"every answer is {word!r}: kappa and alpha do not exist, as nothing shows that another"
            " answer would be given where it is due"
        )
    if most >= COMMON * total and row["alpha"] < TENTATIVE:
        return (
            f"{most} of {total} answers are {word!r}: kappa and alpha are low then, however often"
            " they agree; tell the share beside them"
        )
    few = count_noun(row["n"], "picture")
    few += f" of {count_noun(row['prompts'], 'prompt')}" * (row["prompts"] < row["n"])
    if row["alpha_low"] >= RELIABLE:
        return f"reliable: alpha is above {RELIABLE}"
    if row["alpha_high"] < TENTATIVE:
        return f"not reliable: alpha is below {TENTATIVE}"
    if row["alpha_low"] >= TENTATIVE:
        return f"enough for tentative conclusions: alpha is above {TENTATIVE}"
    return (
        f"{few} cannot tell whether this is reliable: alpha is somewhere from"
        f" {row['alpha_low']:.2f} to {row['alpha_high']:.2f}"
    )
