"""Two sides over the same prompts: the difference, and what can be told of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import scipy

from ...recipe.request import FIELDS, PROMPTS, SPECS
from ..frame import (
    column_values,
    count_noun,
    distinct_values,
    find_label_columns,
    format_value,
    row_tuples,
)
from ..pairs import choose_sides, find_following, list_compared
from ..probes import choose_columns, find_guessing, lacks_opposites, list_asked
from .charts import COMPARED, name_side
from .claims import LEFT_OUT, note_call, note_sample
from .rates import HABIT, note_arms, place_interval, rate
from .reading import is_binary, require_frame, require_numbers, require_single, split_frame
from .resampling import RESAMPLES, bootstrap_mean

BOTH = {"below": "both are below", "not told apart from": "neither is told apart from"}
POWER = 0.8  # of the number of prompts that a verdict names


@note_call
def paired(
    frame: pd.DataFrame,
    column: str | Sequence[str] | None = None,
    *,
    by: str = "model",
    left: Any = None,
    right: Any = None,
    each: str | None = None,
    better: str | None = "probe",
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Compare two values of `by` over the prompts that both have, and say what can be told.

    Each prompt counts once: with its share, or its mean over seeds, and over settings and negative
    prompts where it has several, as more of them are no more prompts. One picture a prompt and
    side, of a column that is yes or no, is tested by McNemar's exact test, all else by Wilcoxon's
    signed-rank test against sign changes (all of them, or 9,999). If there is one prompt only, or
    none, its seeds are the sample, and the answer is about that prompt. If it is negative prompts
    that stand for many, `frame.assign(wording=frame["negative_prompt"])` makes them the sample,
    here as in `rate`. The interval of the difference is the bootstrap's over prompts, expanded for
    small samples; of a column that is yes or no, two more prompts that speak for either side keep
    it from vanishing: by 1 where each has one picture, by 1 / sqrt(m) where it has m, of which a
    habit may make all alike.

    Parameters
    ----------
    frame : DataFrame
        One row a picture.
    column : str or list of str, optional
        The column of the frame's probe if left out; with `each="probe"` of each its own.
        Yes or no, or a number.
    by : str
        The column whose values are compared.
    left, right : Any
        Two of its values; the first that appear if left out.
    each : str, optional
        A column such as "probe", for whose values the comparison is made one by one.
    better : {"probe", "higher", "lower"} or None
        Which end of the column is the better one; None if neither is. "probe" is what the column's
        own probe says of it, and "higher" of other columns.
    confidence : float
        Of the interval; 1 - confidence is the level of the verdict.

    Returns
    -------
    DataFrame
        A row for each column and value of `each`: means `left` and `right`, `difference` (right
        less left) with `low` and `high`, `n` and what it counts (`over`: "prompt", or "wording",
        which the arms of a probe share, or "seed" of one prompt), `left_wins`,
        `right_wins`, `ties`, `test`, `p`, `p_holm` (Holm's over all rows), `needed` (how many
        prompts would show a difference as large as this one, four times of five: at .05 never below
        6, as fewer cannot show anything; missing if none was seen) and `verdict`. Where the test
        and the interval of the difference do not agree, the verdict names no better side.

    Raises
    ------
    TypeError, ValueError
        If there is no such column or value, no prompt that both sides have, or another field that
        differs between the sides.

    References
    ----------
    Q. McNemar, Psychometrika 12 (1947). S. Holm, Scandinavian Journal of Statistics 6 (1979).
    T. Hesterberg, "What teachers should know about the bootstrap", The American Statistician 69
    (2015), section 5: the expanded percentile interval. D. Bonett and R. Price, Journal of
    Educational and Behavioral Statistics 37 (2012): the two added pairs.

    Examples
    --------
    >>> paired(measure(run(probe("tiny-counting"), "store")), each="arm")
    >>> paired(measure(results, "objects"), "objects_right", by="model")
    """
    require_frame(frame)
    require_question(by, each, better)
    asked = choose_columns(frame, column) if column is not None or each is None else None
    next(split_frame(frame, (), by))
    arms = [value for value in distinct_values(frame, by) if value is not None or by in FIELDS]
    sides = choose_sides(arms, by, left, right)
    names = {side: name_side(by, side) for side in sides}
    found, said, columns = [], [], asked or []
    for own, part in split_frame(frame, each or (), *(asked or ())):
        for name in asked or choose_columns(part, column):
            next(split_frame(part, (), name))
            columns = list(dict.fromkeys([*columns, name]))
            if part[name].notna().any():  # not every probe has every score
                row, note = compare_arms(part, name, by, names, confidence)
                found.append(own | {"column": name} | row)
                note = weigh_sides(part, name, by, names, confidence) + note
                said.append((choose_better(part, name, better), note))
    if not found:
        raise ValueError(f"{', '.join(columns)}: no row has a value; measure the pictures first")
    out = pd.DataFrame(found).astype({"needed": "Int64"})
    out["p_holm"] = adjust_holm(out["p"].to_numpy())
    told = 1 - confidence, len(out), len(arms) > 2
    out["verdict"] = [
        write_verdict(row, [*names.values()], end, *told) + note
        for row, (end, note) in zip(out.to_dict("records"), said)
    ]
    out.attrs[COMPARED] = {"by": by, "left": sides[0], "right": sides[1]}
    out.attrs |= note_sample(each or (), *columns)
    return out


def require_question(by: str, each: str | None, better: str | None) -> None:
    """Raises unless there is something to compare in each part, and an end to call better."""
    if better not in ("probe", "higher", "lower", None):
        raise ValueError(f"better={better!r}: use 'probe', 'higher', 'lower' or None")
    if by == each:
        raise ValueError(f"by and each are both {by!r}: what is compared differs in each part")


def choose_better(frame: pd.DataFrame, column: str, better: str | None) -> str | None:
    """Chooses the end of a column to call better: that of its own probe, if that is asked for."""
    if lacks_opposites(frame, column):
        return None  # a habit is no merit
    if better != "probe":
        return better
    known = {asked.better for asked in list_asked(frame) if asked.column == column}
    return known.pop() if len(known) == 1 else None if known else "higher"


def compare_arms(
    frame: pd.DataFrame, column: str, by: str, names: dict[Any, str], confidence: float
) -> tuple[dict[str, Any], str]:
    """Compares the two sides, {value: name}, of one column, with a note on what was counted."""
    arms, missing = select_arms(frame, column, by, names)
    sides = (*names,)
    over, units = choose_unit(pd.concat(arms), by, sides)
    means, counts = zip(*(summarize_arm(arm, column, units) for arm in arms))
    shared = means[0].index.intersection(means[1].index, sort=False)
    if shared.empty:
        raise ValueError(
            f"{column}: no {over} has pictures of both {by}={sides[0]!r} and {sides[1]!r}; run the"
            " same requests with both"
        )
    left, right = (mean[shared].to_numpy() for mean in means)
    binary = is_binary(pd.concat(arms)[column].to_numpy(float))
    repeats = min(count[shared].min() for count in counts)
    single = binary and max(count[shared].max() for count in counts) == 1
    change = right - left
    change[np.isclose(change, 0, atol=1e-12)] = 0  # means of the same values, rounded otherwise
    low, high = bootstrap_mean(change, confidence, repeats**-0.5 if binary else 0)
    row = {
        **{"left": left.mean(), "right": right.mean(), "difference": change.mean()},
        **{"low": low, "high": high, "n": len(shared), "over": over},
        **{"left_wins": int((change < 0).sum()), "right_wins": int((change > 0).sum())},
        "ties": int((change == 0).sum()),
        "test": "McNemar" if single else "Wilcoxon",
        "p": compare_signs(change) if single else compare_ranks(change),
        "needed": count_needed(change, 1 - confidence),
    }
    alone = len(means[0].index.symmetric_difference(means[1].index))
    note = f"; {count_noun(alone, over)} of one side alone left out" * bool(alone)
    note += f"; {count_noun(missing, 'picture')} {LEFT_OUT}" * bool(missing)
    whole = [arm[column].astype(float).mean() for arm in arms]
    return row, note + note_shares(row, whole, [*names.values()]) * binary


def select_arms(
    frame: pd.DataFrame, column: str, by: str, names: dict[Any, str]
) -> tuple[list[pd.DataFrame], int]:
    """Selects the rows of each side that have a value, and counts those that have none."""
    require_numbers(frame, column)
    own = column_values(frame, by)
    arms = [frame[np.array([value == side for value in own], bool)] for side in names]
    known = [arm[arm[column].notna()] for arm in arms]
    for arm, name in zip(known, names.values()):
        require_single(arm, column)
        if arm.empty:
            raise ValueError(
                f"{column}: {name} has no value; measure or judge its pictures first, or compare it"
                " with others by left= and right="
            )
    return known, sum(map(len, arms)) - sum(map(len, known))


def note_shares(row: dict[str, Any], whole: Sequence[float], names: Sequence[str]) -> str:
    """Says what the shares of all pictures are, as `rate` counts them, where they differ."""
    found = [f"{share:.0%}" for share in whole]
    if found == [f"{row[side]:.0%}" for side in ("left", "right")]:
        return ""
    each = " and ".join(f"{name} {share}" for name, share in zip(names, found))
    return f"; each {row['over']} counts once: over all pictures it is {each}"


def weigh_sides(
    frame: pd.DataFrame, column: str, by: str, sides: dict[Any, str], confidence: float
) -> str:
    """Says how the sides, of {value: name}, lie to what guessing gives; "" if both are above."""
    if find_guessing(frame, column) is None:
        return (
            f"; {HABIT}" if lacks_opposites(frame, column) else tell_arms(frame, column, by, sides)
        )
    rates = rate(frame, column, by=by, confidence=confidence)
    if "guessing" not in rates or rates["guessing"].isna().any():  # not all arms, of some side
        return ""
    ends = zip(column_values(rates, by), rates["low"], rates["high"], rates["guessing"])
    lies = {value: place_interval(*interval) for value, *interval in ends}
    known, guessing = {lies[side] for side in sides}, f"guessing ({rates['guessing'].max():.0%})"
    if known == {"above"}:
        return ""
    if len(known) == 1:
        return f"; {BOTH[known.pop()]} {guessing}"
    return "; " + ", ".join(f"{name} is {lies[side]} {guessing}" for side, name in sides.items())


def tell_arms(frame: pd.DataFrame, column: str, by: str, sides: dict[Any, str]) -> str:
    """Says of which sides the arms of a probe are far apart, of yes and no."""
    if not is_binary(frame[column].dropna().to_numpy(float)):
        return ""
    own = column_values(frame, by)
    notes = {
        name: note_arms(frame[[value == side for value in own]], column, by)
        for side, name in sides.items()
    }
    return "".join(f"; {name}: {note['verdict']}" for name, note in notes.items() if note)


def choose_unit(rows: pd.DataFrame, by: str, sides: tuple[Any, Any]) -> tuple[str, list[str]]:
    """Chooses what the sample is of: ("prompt", "wording" or "seed", its columns)."""
    follow = find_following(rows, by, *sides)
    same = [name for name in list_compared(rows, by, follow) if name in rows.columns]
    labels = find_label_columns(rows)
    own = column_values(rows, by)
    said = PROMPTS if by in labels else ()  # a choice in a prompt changes that
    for name in same:
        if name in SPECS and not SPECS[name].independent and name not in said:
            of = [set(column_values(rows[[v == side for v in own]], name)) for side in sides]
            if of[0] != of[1]:
                one, other = (", ".join(sorted(map(format_value, found))) for found in of)
                raise ValueError(
                    f"{name} differs between the sides as well: {one} against {other}; narrow the"
                    " frame to what both have"
                )
    return name_unit(rows, same)


def name_unit(rows: pd.DataFrame, same: Sequence[str]) -> tuple[str, list[str]]:
    """Names what the sample is of, and its columns, of rows whose pairs are alike in `same`."""
    labels = find_label_columns(rows)
    units = [n for n in same if n == "prompt" or (n in labels and hangs_on_prompt(rows, n))]
    if "wording" in rows.columns and rows["wording"].notna().all():  # which a probe's arms share
        units = ["probe", "wording"] if "probe" in rows.columns else ["wording"]
    if units and (n := len(rows[units].drop_duplicates())) > 1:
        shared = "wording" in units and len(set(column_values(rows, "prompt"))) != n
        return "wording" if shared else "prompt", units
    return "seed", [name for name in ("seed",) if name in rows.columns] or units


def hangs_on_prompt(rows: pd.DataFrame, label: str) -> bool:
    """Tells whether each prompt has one value of a label; those of negative prompts it may mix."""
    both = {own for own in row_tuples(rows, ["prompt", label]) if own[0] is not None}
    return len(both) == len({prompt for prompt, _ in both})


def summarize_arm(rows: pd.DataFrame, column: str, units: list[str]) -> tuple[pd.Series, pd.Series]:
    """Computes the mean of each prompt, and how many pictures it has."""
    values = rows.assign(**{column: rows[column].astype(float)})
    groups = values.groupby(units, sort=False, dropna=False)[column]
    return groups.mean(), groups.size()


def compare_signs(change: np.ndarray) -> float:
    """Computes McNemar's exact test: a fair coin among the pairs that differ."""
    wins, losses = int((change > 0).sum()), int((change < 0).sum())
    return float(scipy.stats.binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0


def compare_ranks(change: np.ndarray) -> float:
    """Computes Wilcoxon's signed-rank test by changing signs; ties and zeros are no matter."""
    change = change[~np.isclose(change, 0, atol=1e-12)]
    if len(change) < 2:  # SciPy resamples two or more; of one, either sign is as likely
        return 1.0
    method = scipy.stats.PermutationMethod(n_resamples=RESAMPLES, rng=np.random.default_rng(0))
    return float(scipy.stats.wilcoxon(change.round(12), method=method).pvalue)


def count_needed(change: np.ndarray, level: float) -> float | None:
    """Counts the prompts that would show a mean change like this one, four times of five."""
    mean, spread = abs(change.mean()), change.std(ddof=1) if len(change) > 1 else 0
    differing = np.count_nonzero(~np.isclose(change, 0, atol=1e-12))
    if math.isclose(mean, 0, abs_tol=1e-12) or differing == 1 < len(change):
        return None  # a single one tells nothing of the spread
    z = scipy.stats.norm.ppf(1 - level / 2) + scipy.stats.norm.ppf(POWER)
    return max(count_least(level), math.ceil((z * spread / mean) ** 2))


def count_least(level: float) -> int:
    """Counts the prompts that show something if all go one way: with fewer no test can."""
    return math.ceil(math.log2(2 / level) - 1e-9)


def adjust_holm(p: np.ndarray) -> np.ndarray:
    """Computes Holm's step-down p-values."""
    order = np.argsort(p)
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    out = np.empty(len(p))
    out[order] = np.minimum(steps, 1)
    return out


def write_verdict(
    row: dict[Any, Any], names: list[str], better: str | None, level: float, tests: int, among: bool
) -> str:
    """Says what can be told, in words."""
    about = " for this prompt" if row["over"] == "seed" else ""
    split = row["left_wins"] and row["right_wins"]
    n, p = count_noun(row["n"], row["over"]), f"{row['p']:.2f}".removeprefix("0")
    if row["p_holm"] <= level and row["low"] < 0 < row["high"]:
        if split:
            return f"they differ, but not by their means: look at single {row['over']}s{about}"
        return f"all that differ go one way, but {n} cannot tell by how much{about}"
    if row["p_holm"] <= level:
        up = (row["difference"] > 0) == (better != "lower")
        than = f" than {names[not up]}" * among  # where there are more that were not compared
        return f"{names[up]} {'better' if better else 'higher'}{than}{about}"
    differing = row["left_wins"] + row["right_wins"]
    if differing == 1 < row["n"]:
        return f"1 of {n} differs: too few to tell{about}"
    if pd.isna(row["needed"]):
        return f"no difference seen in {n}{about}"
    if row["p"] <= level:
        return f"no difference told: p {p} is not enough among {tests} comparisons{about}"
    if row["n"] in (row["left_wins"], row["right_wins"]):
        least = f"too few to tell; at least {count_least(level)} would be needed"
        return f"{'all ' * (row['n'] > 1)}{n} went one way (p {p}): {least}{about}"
    needed = max(row["needed"], row["n"] + 1)
    needed = round(needed, 1 - math.floor(math.log10(needed))) if needed >= 100 else needed
    more = count_noun(needed, row["over"])
    return f"no difference that {n} could show; about {more} would{about}"
