"""What stays of a comparison without a kernel: a table of its pairs, and its Python."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from markupsafe import Markup

from ...recipe.request import FIELDS
from ...results.frame import shorten_pictures
from ...results.html import render_table
from ...results.pairs import Pairing
from ..pictures import CELL, render_level, render_side, write_captions
from ..raters import name_rater
from .votes import Ballot, Votes

MOST = 100  # pairs


def render_pairs(
    pairing: Pairing,
    rows: pd.DataFrame,
    ballot: Ballot,
    *,
    names: Sequence[str],
    unlike: Sequence[Sequence[str]],
    note: str,
    others: Sequence[Votes] = (),
) -> str:
    """Renders the first pairs, their votes, and what is not held constant.

    While a blind vote is under way nothing tells who is who.

    Parameters
    ----------
    pairing : Pairing
    rows : DataFrame
        One row a pair.
    ballot : Ballot
    names : (str, str)
        Of the left and the right side.
    unlike : sequence of (str, str, str)
        What is not held constant, on the left and on the right.
    note : str
        What stands below.
    others : sequence of Votes
        Those of all raters, who are named where there are several; else the ballot's own stand.
    """
    secret, rows = ballot.under_way, shorten_pictures(rows)
    count, heads = len(ballot), ("left", "right") if secret else names
    places = list(range(count)) if secret else [ballot.order.index(n) for n in range(count)]
    pairs = render_table(
        ["pair", *heads, "votes" if len(others) > 1 else "vote"],
        [list_pair(pairing, rows, ballot, place, heads, others) for place in places[:MOST]],
        style=CELL,
    )
    unheld = render_table(["not held constant", *names], unlike, style=CELL) if unlike else ""
    more = f" {count - MOST:,} more pairs are not shown here." if count > MOST else ""
    return str(pairs + unheld + Markup("<p>{}{}</p>").format(note, more))


def list_pair(
    pairing: Pairing,
    rows: pd.DataFrame,
    ballot: Ballot,
    place: int,
    heads: Sequence[str],
    others: Sequence[Votes],
) -> list[str]:
    """Lists what the table has of a pair: its label, two pictures and the votes."""
    n, secret = ballot.order[place], ballot.under_way
    paths = rows["left_path"].iloc[n], rows["right_path"].iloc[n]
    called = dict(zip(("left", "right"), heads))
    own = ballot.vote_at(place) if secret else (ballot.vote_on(n) or ("",))[0]
    votes = [called.get(own, own)]
    if len(others) > 1:
        said = [(each.rater, each.of(ballot.ids[n])) for each in others]
        votes = [f"{name_rater(who)}: {called.get(vote[0], vote[0])}" for who, vote in said if vote]
    label = label_pair(pairing, rows, n, secret)
    if secret and ballot.swapped[n]:
        paths = paths[::-1]
    alts = [f"{head}, {label}" for head in heads]
    pictures = render_level(paths, alts) if secret else list(map(render_side, paths, alts))
    return [label, *pictures, "; ".join(filter(None, votes)) or "—"]


def label_pair(pairing: Pairing, rows: pd.DataFrame, n: int, secret: bool) -> str:
    """Says in a line what sets a pair apart from the others; labels may tell who is who."""
    names = [name for name in pairing.varying if name in rows.columns]
    if secret:
        names = [name for name in FIELDS if name in (*names, "prompt") and name in rows.columns]
    return write_captions(rows.iloc[[n]], names)[0] or f"pair {n + 1}"
