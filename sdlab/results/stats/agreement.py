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
from .claims import note_call
from .rates import count_effective, share_interval
from .reading import read_sample, require_numbers, split_frame
from .resampling import expand_tail

RESAMPLES = 999
RELIABLE, TENTATIVE = 0.8, 0.667  # Krippendorff's customary limits of alpha
COMMON = 0.9  # share of one answer from which on kappa and alpha are low whatever happens
Ratings = dict[Any, str | None]  # of one rater: {picture or pair: answer, None for cannot tell}
NAMELESS = "without a name"
WORDS = {True: "yes", False: "no"}


@note_call
def agreement(
    answers: pd.DataFrame,
    frame: pd.DataFrame | None = None,
    *,
    by: str = "model",
    order: Sequence[Any] | None = None,
    scorer: str | None = None,
    prompt: str | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Compute how far raters agree: with one another, with themselves, and with a scorer.

    Raw agreement stands beside what is left of it beyond chance. If all answers are the same, there
    is nothing beyond chance to be seen: kappa and alpha are missing then, and `note` says so.
    "Cannot tell" is no answer, but is counted. Where it is known of which prompt each picture is,
    and prompts repeat, they are the sample, as in `rate`: raters err alike on pictures that are
    alike. Votes on pairs count by what was compared, whichever stood left: with `frame`, or by the
    columns `left_model` and `right_model`, say, that `Judge(...).value` has; else as each pair
    stood when it was first voted on, on which kappa and alpha hang, and `note` says so.

    Parameters
    ----------
    answers : DataFrame
        `Judge(...).value`, `Store(...).answers()` or `.votes()`: columns `rater`, `answer` or
        `vote`, `key` or `left` and `right`; `question` and `repeat` if there are any. The last of
        several answers counts.
    frame : DataFrame, optional
        The pictures by their `key`: tells their prompts, what was compared, and the scores, as in
        `ranking`.
    by : str
        The column of `frame` that was compared in pairs.
    order : sequence, optional
        The answers from the lowest to the highest. Then alpha is the ordinal one, for which near
        answers are half agreed; kappa stays that of equal or not.
    scorer : str, optional
        A column of `answers`, or of `frame`, with what a scorer found in each picture. Yes and no
        stand for True and False. Of a pair it says which is better: "left", "right" or "tie" as the
        row has them, or by numbers in `left_SCORER` and `right_SCORER`, as `frame` gives them: the
        higher is better, and equal ones are a tie.
    prompt : str, optional
        The column, of `answers` or `frame`, whose values are the sample: if left out, "wording",
        else "prompt", which `Judge(...).value` has once its round has ended; without either, each
        picture is by itself.
    confidence : float
        Of the intervals.

    Returns
    -------
    DataFrame
        A row for each comparison: `question`; `kind`, which is "all raters", "two raters", "again"
        (a rater's answers and those to the same pictures shown again) or "scorer"; `of`, who they
        are; `share` of pairs of answers that are equal, with its Wilson interval `low` and `high`
        over the `n` pictures of `prompts` prompts (missing where none is told); `cannot_tell`,
        pictures left out for that; `kappa` (Cohen's, of two); `alpha` (Krippendorff's) with its
        bootstrap interval over the prompts, `alpha_low` and `alpha_high`; and `note`, in words.

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
    >>> agreement(Store("runs/mine").votes(), results, by="model")
    """
    if frame is not None:
        answers = answers.assign(**tell_pictures(answers, frame, by, scorer, prompt))
    column = "vote" if "vote" in answers else "answer"
    needed = ["rater", column, *list_sides(answers)]
    needed += [] if not scorer or f"left_{scorer}" in answers else [scorer]
    rows = []
    for own, part in split_frame(answers, [*{"question"} & {*answers}], *needed):
        samples = read_samples(part, prompt, scorer)
        for kind, of, columns in list_comparisons(part, column, scorer):
            told = compare(columns, samples, order, confidence)
            told["note"] += note_sides(part, scorer)
            rows.append(own | {"kind": kind, "of": of} | told)
    if not rows:
        raise ValueError(
            "there is nothing to compare: one rater, no picture shown twice, and no scorer; let"
            " somebody else answer too, or give scorer='a column'"
        )
    return pd.DataFrame(rows).astype({"prompts": "Int64"})


# What the answers are about


def tell_pictures(
    answers: pd.DataFrame, frame: pd.DataFrame, by: str, scorer: str | None, prompt: str | None
) -> dict[str, list[Any]]:
    """Gives columns with what a frame says of the pictures that the answers are about."""
    sides = list_sides(answers)
    next(split_frame(frame, (), "key", *([by] if "left" in sides else [])))
    texts = read_sample(frame, prompt)
    told = {} if texts is None else {prompt or "prompt": texts}
    rows = {key: i for i, key in enumerate(column_values(frame, "key"))}
    if not {*rows} & {key for side in sides for key in column_values(answers, side)}:
        raise ValueError("no answer is about a picture of this frame; give the one that was judged")
    own = [name for name in (by, scorer) if name in frame.columns]
    values = {name: column_values(frame, name) for name in own if name}
    at = {side: [rows.get(key) for key in column_values(answers, side)] for side in sides}
    pick = lambda known, places: [None if i is None else known[i] for i in places]
    any_of = [next((i for i in places if i is not None), None) for places in zip(*at.values())]
    found = {name: pick(column.tolist(), any_of) for name, column in told.items()}
    for side, places in at.items():
        prefix = "" if side == "key" else f"{side}_"
        found |= {f"{prefix}{name}": pick(known, places) for name, known in values.items()}
    if "left" in sides and not find_compared(answers, scorer):
        compared = zip(found[f"left_{by}"], found[f"right_{by}"])
        if all(None in both or both[0] == both[1] for both in compared):
            raise ValueError(
                f"no vote is on two pictures with another {by}; give as by= the column that was"
                " compared"
            )
    return found


def list_sides(answers: pd.DataFrame) -> list[str]:
    """Lists the columns that say what answers are about: `Store.answers()` has all, often empty."""
    pairs = "left" in answers and ("key" not in answers or answers["left"].notna().any())
    single = "key" in answers and (not pairs or answers["key"].notna().any())
    return ["key"] * bool(single or not pairs) + ["left", "right"] * bool(pairs)


def read_subjects(answers: pd.DataFrame, scorer: str | None) -> list[tuple[Any, bool]]:
    """Reads what each answer is about, and whether a pair stands the other way round there.

    A pair is the same whichever picture stands left. Its sides are those of what was compared, the
    value that comes first in all rows on the left; where that is not told, as they first stood.
    """
    names = ("key", "left", "right")
    keys, lefts, rights = (column_values(answers, name) for name in names)
    compared = find_compared(answers, scorer)
    sides = zip(*(column_values(answers, f"{side}_{compared}") for side in names[1:]))
    rank: dict[Any, int] = {}
    first: dict[frozenset[str], tuple[str, str]] = {}
    found: list[tuple[Any, bool]] = []
    for key, left, right, values in zip(keys, lefts, rights, sides):
        own = left, right
        if None not in values and values[0] != values[1]:
            order = [rank.setdefault(value, len(rank)) for value in values]
            own = own if order[0] < order[1] else own[::-1]
        own = first.setdefault(frozenset(own), own)
        found.append((own, own[0] != left) if key is None else (key, False))
    return found


def find_compared(answers: pd.DataFrame, scorer: str | None) -> str | None:
    """Finds what was compared: the X of columns left_X and right_X."""
    names = [str(name).removeprefix("left_") for name in answers if str(name).startswith("left_")]
    odd = ("key", "path", scorer)
    return next((n for n in names if n not in odd and f"right_{n}" in answers), None)


def note_sides(answers: pd.DataFrame, scorer: str | None) -> str:
    """Says what votes on pairs are counted by if it is not told what was compared."""
    if "left" not in list_sides(answers) or find_compared(answers, scorer):
        return ""
    return "; what was compared is not told (frame=): left and right are as a pair first stood"


# Who is compared with whom


def list_comparisons(
    answers: pd.DataFrame, column: str, scorer: str | None
) -> list[tuple[str, str, list[Ratings]]]:
    """Lists (kind, who they are, the answers of each)."""
    subjects = read_subjects(answers, scorer)
    first, again = read_ratings(answers, column, subjects)
    found = []
    if len(first) > 2:
        found.append(("all raters", " · ".join(first), list(first.values())))
    for one, other in combinations(first, 2):
        found.append(("two raters", f"{one} · {other}", [first[one], first[other]]))
    found += [("again", name, [first[name], again[name]]) for name in first if name in again]
    if scorer:
        scores = read_scorer(answers, scorer, subjects, first)
        found += [("scorer", f"{name} · {scorer}", [first[name], scores]) for name in first]
    return found


def read_ratings(
    answers: pd.DataFrame, column: str, subjects: list[tuple[Any, bool]]
) -> tuple[dict[str, Ratings], dict[str, Ratings]]:
    """Reads {rater: first answers} and {rater: answers to what was shown again}."""
    first: dict[str, Ratings] = {}
    again: dict[str, Ratings] = {}
    columns = (column_values(answers, name) for name in ("rater", "repeat", column))
    for (about, turned), rater, repeat, said in zip(subjects, *columns):
        word = None if said is None else put_in_words(said)
        word = mirror_vote(word) if turned else word
        whose = first if not repeat else again
        name = NAMELESS if rater == "" else format_value(rater)
        whose.setdefault(name, {})[about] = word
    return first, again


def read_samples(answers: pd.DataFrame, prompt: str | None, scorer: str | None) -> dict[Any, Any]:
    """Reads {picture or pair: its prompt}, where that is told."""
    texts = read_sample(answers, prompt)
    if texts is None:
        return {}
    subjects = read_subjects(answers, scorer)
    return {one: text for (one, _), text in zip(subjects, texts) if not pd.isna(text)}


def read_scorer(
    answers: pd.DataFrame, scorer: str, subjects: list[tuple[Any, bool]], first: dict[str, Ratings]
) -> Ratings:
    """Reads what the scorer says of each picture, or which of a pair it finds better."""
    sides, values = [f"left_{scorer}", f"right_{scorer}"], column_values(answers, scorer)
    if sides[0] in answers:
        both = zip(values, prefer_higher(answers, sides))
        values = [own if better is None else better for own, better in both]
    words = [None if value is None else put_in_words(value) for value in values]
    told = zip(subjects, words)
    found = {about: mirror_vote(word) if turned else word for (about, turned), word in told}
    given = {word for ratings in first.values() for word in ratings.values() if word is not None}
    if given and not given & set(found.values()):
        odd = sorted({word for word in found.values() if word is not None})[:3]
        raise ValueError(
            f"scorer={scorer!r} has {', '.join(odd) or 'no value'}, and no answer is such: they are"
            f" {', '.join(sorted(given))}; make a column of answers first, such as"
            f" answers.assign(found=answers[{scorer!r}] > 0.5)"
        )
    return found


def prefer_higher(answers: pd.DataFrame, sides: Sequence[str]) -> list[str | None]:
    """Says which side of each pair has the higher score: left, right or tie."""
    next(split_frame(answers, (), *sides))
    for side in sides:
        require_numbers(answers, side)
    both = zip(*(column_values(answers, side) for side in sides))
    words = {0: "tie", -1: "left", 1: "right"}
    return [None if None in (a, b) else words[(b > a) - (b < a)] for a, b in both]


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
    prompts = len({*clusters}) if samples else None
    out |= {"n": len(units), "prompts": prompts, "cannot_tell": len(asked) - len(units)}
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
        out["kappa"] = compute_kappa(units, share)
    noun = "pair" if all(isinstance(about, tuple) for about in told) else "picture"
    words = Counter(word for words in units for word in words)
    return out | {"note": write_note(out, words, noun)}


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


def compute_kappa(units: list[list[str]], same: float) -> float:
    """Computes Cohen's kappa of pairs of answers; nan if both always give one and the same."""
    one, other = (Counter(side) for side in zip(*units))
    chance = sum(one[word] * other[word] for word in one) / len(units) ** 2
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


def write_note(row: dict[str, Any], times: Counter[str], noun: str) -> str:
    """Says in words what can be told; `noun` is what was judged."""
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
    few = count_noun(row["n"], noun)
    if row["prompts"] and row["prompts"] < row["n"]:
        few += f" of {count_noun(row['prompts'], 'prompt')}"
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
