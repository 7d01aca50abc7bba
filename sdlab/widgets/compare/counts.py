"""What all raters voted on the pairs of a comparison, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from ...results.frame import column_values, count_noun, join_words
from ...results.pairs import Pairing
from ...results.stats.agreement import agreement
from ...results.stats.preferences import count_votes, describe_few
from ...store.opinions import OTHER
from ..raters import describe_agreement, name_rater

CONFIDENCE = 0.95


def count_raters(table: pd.DataFrame, total: int) -> list[str]:
    """Says how far each rater is: "ann: 12 of 80"."""
    count = Counter(column_values(table, "rater"))
    return [f"{name_rater(rater)}: {n} of {total}" for rater, n in count.items()]


def describe_pairs(pairing: Pairing, listed: pd.DataFrame) -> list[str]:
    """Says before the vote how many pairs there are, and that so few can show nothing, if so."""
    alone = count_noun(len(pairing.alone), "picture") + " without a partner"
    few = describe_few(listed, 1 - CONFIDENCE) if len(listed) > 1 else ""
    return [count_noun(len(pairing), "pair"), alone if pairing.alone else "", few]


def name_votes(table: pd.DataFrame, names: Sequence[str], own: str) -> dict[int, str]:
    """Names the votes on each pair, and whose they are unless all are those of the rater `own`."""
    named, said = {*table["rater"]} != {own}, dict[int, list[str]]()
    for n, rater, vote in zip(*(column_values(table, name) for name in ("pair", "rater", "vote"))):
        told = dict(zip(OTHER, names)).get(vote, vote)
        said.setdefault(n, []).append(f"{name_rater(rater)}: {told}" if named else told)
    return {n: "; ".join(told) for n, told in said.items()}


def describe_alike(table: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Says how far the raters of these pairs agree; nothing where there is one only.

    What stood left and right is called by its name: "right" is no verdict.
    """
    if table["rater"].nunique() < 2:
        return []
    told = [name for name in ("rater", "vote", "wording", "prompt") if name in table]
    about = table[told].assign(left=[f"{n} l" for n in table["pair"]])
    about["right"] = [f"{n} r" for n in table["pair"]]  # in terms of the pair's own sides
    about = about.assign(left_side="left", right_side="right")
    about["vote"] = [dict(zip(OTHER, names)).get(vote, vote) for vote in table["vote"]]
    return describe_agreement(agreement(about).to_dict("records"), "the same vote", "pair")


def describe_shown(raters: Sequence[str]) -> str:
    """Says to whom the names were shown before a blind vote; "" if to nobody."""
    if not raters:
        return ""
    who = join_words(map(name_rater, raters))
    return f"who is who was shown here before (rater: {who}), which is kept with each vote"


def tell_winner(row: dict, few: str = "") -> str:
    """Tells without statistics who was preferred; "" where no vote is for a side.

    What `describe_few` says is told where it is so.
    """
    wins = [(row[side], row[f"{side}_wins"]) for side in ("left", "right")]
    (winner, most), (_, fewest) = sorted(wins, key=lambda each: -each[1])
    if not most:
        return ""
    if most == fewest:
        return f"All votes together: both were preferred equally often, {most} times each."
    luck = "more than luck alone would easily bring"
    told = luck if row["p"] < 1 - CONFIDENCE else "not more than luck alone may bring"
    often = f"{most} times of {most + fewest}"
    told += f": {few}" if few and row["p"] >= 1 - CONFIDENCE else ""
    return f"All votes together: {winner} was preferred more often, {often}. That is {told}."


def is_contradicted(table: pd.DataFrame) -> bool:
    """Whether most votes are for one side, and most of what the sign test counts for the other."""
    sides = table["vote"].map({"right": 1, "left": -1}).fillna(0)
    units = sides.groupby(table["unit"]).sum().map(lambda balance: (balance > 0) - (balance < 0))
    return bool(sides.sum() * units.sum() < 0)


def describe_count(table: pd.DataFrame, row: dict) -> list[str]:
    """Says what the votes of all raters come to, plainly, then in numbers; and which may change.

    Nothing plain can be said where many votes on few prompts outvote those on the others.
    """
    few = describe_few(table, 1 - CONFIDENCE)
    told = "" if is_contradicted(table) else tell_winner(row, few)
    said_once = f": {few}" if few and few in told else ""
    numbers = f"{row['verdict'].removesuffix(said_once)}."
    lines = [told, f"In numbers: {numbers}"] if told else [f"All votes together: {numbers}"]
    if raters := list_waiting(table):
        count = table["may_change"].sum()
        lines.append(f"{count:,} of these votes may change: {say_waiting(raters)}.")
    return lines


def tell_all(table: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Tells what all raters have said on these pairs, and how far they agree."""
    row = count_votes(table, (), names, CONFIDENCE).iloc[0].to_dict()
    return [*describe_count(table, row), *describe_alike(table, names)]


def list_waiting(table: pd.DataFrame) -> list[str]:
    """Lists the raters who voted blind and have not asked who is who."""
    return list(dict.fromkeys(column_values(table[table["may_change"]], "rater")))


def say_waiting(raters: Sequence[str]) -> str:
    who = join_words(map(name_rater, raters))
    return f"{who} {'has' if len(raters) == 1 else 'have'} not yet asked who is who"


def describe_waiting(table: pd.DataFrame, rater: str) -> str:
    """Says which raters but this one have not asked who is who, as each has to; "" if none."""
    others = [name for name in list_waiting(table) if name != rater]
    return f"{say_waiting(others)}: each rater asks under their own name." if others else ""
