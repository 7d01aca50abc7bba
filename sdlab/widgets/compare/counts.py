"""What all raters voted on the pairs of a comparison, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from ...results.frame import column_values, count_noun, distinct_values, join_words
from ...results.stats.agreement import agreement
from ...results.stats.charts import CONFIDENCE, name_interval
from ...results.stats.reading import split_frame
from ...results.stats.signs import signs
from ...store.opinions import VOTES, Opinions, mirror_vote, sort_pair
from ..raters import format_share, name_rater
from .votes import Ids


def list_votes(rows: pd.DataFrame, ids: Sequence[Ids], opinions: Opinions) -> pd.DataFrame:
    """Lists the votes on these pairs: a row for each rater, `vote` in terms of the pair's sides.

    `may_change` are blind ones of raters who have not learned who is who yet.

    Parameters
    ----------
    rows : DataFrame
        One row a pair.
    ids : sequence of (str, str)
        What the votes know the sides of each by.
    opinions : Opinions
        Where the votes are kept.
    """
    votes = opinions.votes()
    at = {sort_pair(*pair): n for n, pair in enumerate(ids)}
    both = list(zip(column_values(votes, "left"), column_values(votes, "right")))
    known = [(k, at[sort_pair(*pair)]) for k, pair in enumerate(both) if sort_pair(*pair) in at]
    cast = votes.iloc[[k for k, _ in known]].reset_index(drop=True)
    found = rows.iloc[[n for _, n in known]].reset_index(drop=True)
    own = [
        vote if both[k] == ids[n] else mirror_vote(vote)
        for (k, n), vote in zip(known, column_values(cast, "vote"))
    ]
    known_to = {rater: opinions.revealed(rater) for rater in column_values(cast, "rater")}
    marks = zip(column_values(cast, "blind"), column_values(cast, "rater"), known)
    return found.assign(
        may_change=[
            bool(blind) and sort_pair(*ids[n]) not in known_to[rater]
            for blind, rater, (_, n) in marks
        ],
        vote=pd.array(own, "string"),
        blind=cast["blind"],
        rater=cast["rater"],
        pair=[n for _, n in known],
    )


def count_votes(
    table: pd.DataFrame, by: str | Sequence[str], names: Sequence[str], confidence: float
) -> pd.DataFrame:
    """Counts the votes of `list_votes` for each value of `by`, as `Compare.counts` says."""
    right = table["vote"].map({"right": True, "left": False}).astype("boolean")
    rows = []
    for own, part in split_frame(table.assign(right_better=right), by, "vote"):
        sample = "prompt" if len(distinct_values(part, "prompt")) > 1 else "pair"
        tested = signs(part, "right_better", prompt=sample, confidence=confidence).iloc[0]
        times = Counter(column_values(part, "vote"))
        kinds = zip(("left_wins", "right_wins", "ties", "both_bad"), VOTES)
        counted = {"n": len(part)} | {kind: times[vote] for kind, vote in kinds}
        told = {name: float(tested[name]) for name in ("share", "low", "high", "p")}
        over = sample if tested["prompts"] > 1 else "vote"
        row = {"left": names[0], "right": names[1], **counted, **told, "over": over}
        row["may_change"] = int(part["may_change"].sum())
        rows.append(own | row | {"verdict": write_preference(row, 1 - confidence)})
    out = pd.DataFrame(rows)
    out.attrs[CONFIDENCE] = confidence
    return out


def write_preference(row: dict, level: float) -> str:
    """Writes which side was preferred in how many votes, and whether chance alone may do so."""
    decided = row["left_wins"] + row["right_wins"]
    if not decided:
        return f"{count_noun(row['n'], 'vote')}, none of them for a side"
    share, low, high = (f"{row[name]:.0%}" for name in ("share", "low", "high"))
    chance = "" if row["p"] < level else ", which chance alone may do"
    return (
        f"{row['right']} was preferred in {row['right_wins']} of {decided} decided votes:"
        f" {share} ({name_interval(1 - level)} {low} to {high}); sign test over"
        f" {row['over']}s: p = {row['p']:.3g}{chance}"
    )


def count_raters(table: pd.DataFrame, total: int) -> list[str]:
    """Says how far each rater is: "ann: 12 of 80"."""
    count = Counter(column_values(table, "rater"))
    return [f"{name_rater(rater)}: {n} of {total}" for rater, n in count.items()]


def describe_agreement(table: pd.DataFrame) -> list[str]:
    """Says how far the raters of these pairs agree; nothing where there is one only."""
    if table["rater"].nunique() < 2:
        return []
    told = [name for name in ("rater", "vote", "wording", "prompt") if name in table]
    about = table[told].assign(left=[f"{n} l" for n in table["pair"]])
    about["right"] = [f"{n} r" for n in table["pair"]]  # in terms of the pair's own sides
    about = about.assign(left_side="left", right_side="right")
    lines = []
    for row in agreement(about).to_dict("records"):
        alpha = "" if pd.isna(row["alpha"]) else f" Krippendorff's alpha {row['alpha']:.2f};"
        lines.append(f"{row['of']}: the same vote in {format_share(row)}.{alpha} {row['note']}.")
    return lines


def describe_count(table: pd.DataFrame, row: dict) -> list[str]:
    """Says in a line what the votes of all raters come to, and in another which may change."""
    lines, unended = [f"All raters: {row['verdict']}."], table[table["may_change"]]
    if len(unended):
        who = join_words(map(name_rater, dict.fromkeys(column_values(unended, "rater"))))
        why = f"{who} has not yet asked who is who"
        lines.append(f"{len(unended):,} of these votes may change: {why}.")
    return lines
