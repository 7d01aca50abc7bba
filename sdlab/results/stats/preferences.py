"""Which of two sides people preferred, in votes on their pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd

from ...store.opinions import VOTES, mirror_vote, sort_pair
from ..frame import column_values, count_noun, format_value, hide_home, row_tuples, shorten_hashes
from ..pairs import Pairing, list_compared, pair
from .charts import COMPARED, name_interval
from .claims import note_call, note_sample
from .paired import count_least, name_unit
from .rankings import select_last
from .reading import split_frame
from .signs import signs


@note_call
def preference(
    votes: pd.DataFrame,
    frame: pd.DataFrame,
    *,
    by: str = "model",
    left: Any = None,
    right: Any = None,
    each: str | Sequence[str] = (),
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Count which of two sides was preferred in all raters' votes on their pairs.

    It is what `Compare(...).counts()` gives, of the votes as a table. In the sign test each prompt
    counts once, as in `paired`, for the side that most votes on its pairs prefer.

    Parameters
    ----------
    votes : DataFrame
        `Store(...).votes()`: columns `left`, `right`, `vote`, `rater`; of a rater's votes on two
        pictures the last counts. Those on other pairs are left out.
    frame : DataFrame
        The pictures that were compared, by their `key`, as `Compare` was given them.
    by : str
        The column that was compared.
    left, right : Any
        Two of its values; the first that appear if left out.
    each : str or list of str
        Columns that the two pictures of a pair share, such as "prompt" or a label, or "rater": a
        row for each of their values.
    confidence : float
        Of the intervals.

    Returns
    -------
    DataFrame
        The columns of `each`; `left` and `right`, what is compared; `n` votes, of which
        `left_wins`, `right_wins`, `ties`, `both_bad`; of the votes for a side the `share` for the
        right one with its interval `low` and `high`, as `rate` has it, and `p` of the exact sign
        test, in which each of `over` counts once; `may_change`, how many of the votes are blind
        ones whose rater has not asked for the names yet; and `verdict`, in words, which says so
        where votes on so few prompts could show nothing. `ranking` takes ties for half a win, and
        its interval is another for that.

    Raises
    ------
    TypeError, ValueError
        If columns are missing, nothing is to be compared, or there is no vote on these pairs.

    Examples
    --------
    >>> preference(Store("runs/mine").votes(), results, by="model", each="prompt")
    """
    pairing = pair(frame, by, left, right)
    table = list_votes(list_pairs(pairing), votes)
    if table.empty:
        raise ValueError("there is no vote on these pairs yet")
    out = count_votes(table, each, name_voted(pairing), confidence)
    out.attrs[COMPARED] = {"by": by, "left": pairing.left, "right": pairing.right}
    out.attrs |= note_sample(each)
    return out


def list_pairs(pairing: Pairing) -> pd.DataFrame:
    """Lists the pairs, by number: `unit` numbers what the sample is of, which `over` names."""
    over, units = number_units(pairing)
    return pairing.frame.assign(pair=range(len(pairing)), unit=units, over=over)


def list_votes(rows: pd.DataFrame, votes: pd.DataFrame) -> pd.DataFrame:
    """Lists the votes on pairs: a row for each rater, `vote` in terms of the pair's own sides."""
    next(split_frame(votes, (), "left", "right", "vote"))
    votes = select_last(votes, keyed=True)
    votes = votes[votes["vote"].notna()].reset_index(drop=True)
    at = dict[Any, tuple[int, Any]]()
    for kind in ("path", "key"):  # by which pictures in no store, and those in one, are known
        both = zip(*(column_values(rows, f"{side}_{kind}") for side in ("left", "right")))
        at |= {sort_pair(*ids): (n, ids) for n, ids in enumerate(both) if None not in ids}
    cast = list(zip(*(column_values(votes, name) for name in ("left", "right", "vote"))))
    known = [k for k, (*ids, _) in enumerate(cast) if sort_pair(*ids) in at]
    told = [(ids, vote, *at[sort_pair(*ids)]) for *ids, vote in (cast[k] for k in known)]
    places = [n for *_, n, _ in told]
    said = [vote if (*ids,) == own else mirror_vote(vote) for ids, vote, _, own in told]
    marks = votes.iloc[known]
    return (
        rows.iloc[places]
        .reset_index(drop=True)
        .assign(
            may_change=[value is True for value in column_values(marks, "may_change")],
            vote=pd.array(said, "string"),
            blind=pd.array(column_values(marks, "blind"), "boolean"),
            rater=pd.array([rater or "" for rater in column_values(marks, "rater")], "string"),
        )
    )


def number_units(pairing: Pairing) -> tuple[str, list[int]]:
    """Numbers what the sample is of, as in `paired`, of each pair, and names it."""
    shown = pairing.source.iloc[[i for both in pairing.pairs for i in both]]
    same = list_compared(shown, pairing.by, pairing.follow)
    over, units = name_unit(shown, [name for name in same if name in shown.columns])
    if over == "seed":
        return "pair", [*range(len(pairing))]
    ones = pairing.source.iloc[[left for left, _ in pairing.pairs]]
    return over, pd.factorize(pd.Series(row_tuples(ones, units), dtype=object))[0].tolist()


def count_votes(
    table: pd.DataFrame, each: str | Sequence[str], names: Sequence[str], confidence: float
) -> pd.DataFrame:
    """Counts the votes of `list_votes` for each value of `each`, as `preference` says."""
    right = table["vote"].map({"right": True, "left": False}).astype("boolean")
    rows = []
    for own, part in split_frame(table.assign(right_better=right), each, "vote"):
        several = part["unit"].nunique() > 1
        sample, column = (part["over"].iloc[0], "unit") if several else ("pair", "pair")
        tested = signs(part, "right_better", prompt=column, confidence=confidence).iloc[0]
        times = Counter(column_values(part, "vote"))
        kinds = zip(("left_wins", "right_wins", "ties", "both_bad"), VOTES)
        counted = {"n": len(part)} | {kind: times[vote] for kind, vote in kinds}
        told = {name: float(tested[name]) for name in ("share", "low", "high", "p")}
        over = sample if tested["prompts"] > 1 else "vote"
        row = {"left": names[0], "right": names[1], **counted, **told, "over": over}
        row["may_change"] = int(part["may_change"].sum())
        few = describe_few(part, 1 - confidence)
        rows.append(own | row | {"verdict": write_preference(row, 1 - confidence, few)})
    return pd.DataFrame(rows)


def describe_few(table: pd.DataFrame, level: float) -> str:
    """Says so where votes on so few prompts, or pairs, cannot show anything; else "".

    Where a single one has votes for a side, each vote counts.
    """
    several = table["unit"].nunique() > 1
    sample, column = (table["over"].iloc[0], "unit") if several else ("pair", "pair")
    decided = table[table["vote"].isin(VOTES[:2])] if "vote" in table else table
    n = table[column].nunique()
    if decided[column].nunique() < 2:
        n, sample = len(table), "vote"
    least = count_least(level)
    if n >= least:
        return ""
    way = "all votes one way" if sample != "vote" else "all of them one way"
    return (
        f"with {count_noun(n, sample)} even {way} could not show more than luck;"
        f" {count_noun(least, sample)} could"
    )


def write_preference(row: dict, level: float, few: str = "") -> str:
    """Writes which side was preferred in how many votes, and whether chance alone may do so.

    It is the side with more votes, or none; `few` is what `describe_few` says.
    """
    decided = row["left_wins"] + row["right_wins"]
    if not decided:
        return f"{count_noun(row['n'], 'vote')}, none of them for a side"
    ends, side = [row[name] for name in ("share", "low", "high")], "right"
    if row["left_wins"] > row["right_wins"]:  # it is named who was preferred more often
        ends, side = [1 - ends[0], 1 - ends[2], 1 - ends[1]], "left"
    share, low, high = (f"{end:.0%}" for end in ends)
    chance = "" if row["p"] < level else ", which chance alone may do"
    chance += f": {few}" if chance and few else ""
    who = f"{row[side]} was preferred in"
    if row["left_wins"] == row["right_wins"]:
        who = "both were preferred equally often, each in"
    return (
        f"{who} {row[f'{side}_wins']} of {decided} decided votes:"
        f" {share} ({name_interval(1 - level)} {low} to {high}); sign test over"
        f" {row['over']}s: p = {row['p']:.3g}{chance}"
    )


def name_voted(pairing: Pairing) -> list[str]:
    """Names the two sides of votes: "tiny-v1", or "guidance_scale 4"."""
    short, both = shorten_hashes(pairing.values), (pairing.left, pairing.right)
    return [
        hide_home(short.get(value, value))
        if isinstance(value, str) and value.strip()
        else f"{pairing.by} {format_value(value)}"
        for value in both
    ]
