"""What stays of a comparison without a kernel: a table of its pairs, and its Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from markupsafe import Markup

from ...recipe.request import FIELDS
from ...results.frame import shorten_pictures
from ...results.html import render_table
from ...results.pairs import Pairing
from ..pictures import CELL, render_level, render_side, write_captions
from .votes import Ballot

MOST = 100  # pairs


def render_pairs(
    pairing: Pairing,
    rows: pd.DataFrame,
    ballot: Ballot,
    *,
    names: Sequence[str],
    unlike: Sequence[Sequence[str]],
    note: str,
    votes: Mapping[int, str],
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
    votes : mapping
        {pair: what all raters voted on it}; while a blind vote is under way the ballot's stand.
    """
    secret, rows = ballot.under_way, shorten_pictures(rows)
    count, heads = len(ballot), ("left", "right") if secret else names
    places = list(range(count)) if secret else [ballot.order.index(n) for n in range(count)]
    pairs = render_table(
        ["pair", *heads, "vote"],
        [list_pair(pairing, rows, ballot, place, heads, votes) for place in places[:MOST]],
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
    votes: Mapping[int, str],
) -> list[str]:
    """Lists what the table has of a pair: its label, two pictures and the votes."""
    n, secret = ballot.order[place], ballot.under_way
    paths = rows["left_path"].iloc[n], rows["right_path"].iloc[n]
    vote = ballot.vote_at(place) if secret else votes.get(n)
    label = label_pair(pairing, rows, n, secret)
    if secret and ballot.swapped[n]:
        paths = paths[::-1]
    alts = [f"{head}, {label}" for head in heads]
    pictures = render_level(paths, alts) if secret else list(map(render_side, paths, alts))
    return [label, *pictures, vote or "—"]


def label_pair(pairing: Pairing, rows: pd.DataFrame, n: int, secret: bool) -> str:
    """Says in a line what sets a pair apart from the others; labels may tell who is who."""
    names = [name for name in pairing.varying if name in rows.columns]
    if secret:
        names = [name for name in FIELDS if name in (*names, "prompt") and name in rows.columns]
    return write_captions(rows.iloc[[n]], names)[0] or f"pair {n + 1}"
