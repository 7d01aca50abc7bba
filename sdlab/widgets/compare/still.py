"""What stays of a comparison without a kernel: an HTML table of its pairs, and the Python that makes it again."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from ...results.code import write_results_code
from ...results.frame import column_values, format_value, shorten_pictures
from ...results.pairs import Pairing
from ..pictures import STATIC, img, thumbnail
from .votes import Ballot

MOST = 100  # pairs
CELL = (
    "text-align:left;vertical-align:top;padding:2px 8px 2px 0;max-width:16em;overflow-wrap:anywhere"
)


def compare_code(frame: pd.DataFrame, root: Path | None, **given: Any) -> str:
    """Python that makes the frame's requests, runs them and compares again; without a store the frame is the reader's own."""
    call = f"Compare(results, {', '.join(f'{name}={value!r}' for name, value in given.items())})\n"
    if root is None:
        return (
            f"from sdlab.widgets import Compare\n\n# results: the frame of these pictures\n{call}"
        )
    first, rest = write_results_code(frame, root=root).split("\n", 1)
    return f"{first}\nfrom sdlab.widgets import Compare\n{rest}{call}"


def compare_table(
    pairing: Pairing,
    rows: pd.DataFrame,
    ballot: Ballot,
    names: Sequence[str],
    unlike: Sequence[Sequence[str]],
    note: str,
) -> str:
    """The first pairs, their votes, and what is not held constant; while a blind vote is under way nothing tells who is who."""
    secret, rows = ballot.under_way, shorten_pictures(rows)
    places = range(len(ballot)) if secret else [ballot.order.index(n) for n in range(len(ballot))]
    heads = ("left", "right") if secret else names
    head = "".join(
        f'<th scope="col" style="{CELL}">{escape(text)}</th>' for text in ("pair", *heads, "vote")
    )
    body = "".join(
        pair_row(pairing, rows, ballot, place, heads, secret) for place in list(places)[:MOST]
    )
    more = f" {len(ballot) - MOST:,} more pairs are not shown here." if len(ballot) > MOST else ""
    return f"<table><tr>{head}</tr>{body}</table>{unlike_table(unlike, names)}<p>{escape(note)}{more}</p>"


def pair_row(
    pairing: Pairing,
    rows: pd.DataFrame,
    ballot: Ballot,
    place: int,
    heads: Sequence[str],
    secret: bool,
) -> str:
    n = ballot.order[place]
    paths = rows["left_path"].iloc[n], rows["right_path"].iloc[n]
    vote = ballot.seen(place) if secret else (ballot.given(n) or ("",))[0]
    told = label_of_pair(pairing, rows, n)
    pictures = [
        picture(path, f"{head}, {told}", secret)
        for path, head in zip(paths[::-1] if secret and ballot.swapped[n] else paths, heads)
    ]
    said = dict(zip(("left", "right"), heads)).get(vote, vote)
    cells = "".join(f'<td style="{CELL}">{cell}</td>' for cell in (*pictures, escape(said) or "—"))
    return f'<tr><th scope="row" style="{CELL}">{escape(told)}</th>{cells}</tr>'


def picture(path: str, alt: str, secret: bool) -> str:
    try:
        return img(thumbnail(path, STATIC, exact=False), alt)
    except (OSError, ValueError) as error:
        return escape("the picture cannot be read" + ("" if secret else f": {error}"))


def unlike_table(unlike: Sequence[Sequence[str]], names: Sequence[str]) -> str:
    if not unlike:
        return ""
    head = "".join(
        f'<th scope="col" style="{CELL}">{escape(text)}</th>'
        for text in ("not held constant", *names)
    )
    body = "".join(
        f'<tr><th scope="row" style="{CELL}">{escape(what)}</th>'
        + "".join(f'<td style="{CELL}">{escape(text)}</td>' for text in both)
        + "</tr>"
        for what, *both in unlike
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def label_of_pair(pairing: Pairing, rows: pd.DataFrame, n: int) -> str:
    """What sets a pair apart from the others, in a line."""
    names = [name for name in pairing.varying if name in rows.columns]
    told = [
        (
            format_value(rows[name].iloc[n])
            if name == "prompt"
            else f"{name} {format_value(column_values(rows.iloc[[n]], name)[0])}"
        )
        for name in names
    ]
    return " · ".join(told) or f"pair {n + 1}"
