"""What stays of a comparison without a kernel: an HTML table of its pairs, and the Python that makes it again."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from ...results.code import results_code
from ...results.frame import in_short, text_of, values
from ...results.pairs import Pairing
from ..pictures import STATIC, make_thumbnail, render_image
from .votes import Ballot

MOST = 100  # pairs
CELL = (
    "text-align:left;vertical-align:top;padding:2px 8px 2px 0;max-width:16em;overflow-wrap:anywhere"
)


def write_comparison(frame: pd.DataFrame, root: Path | None, **given: Any) -> str:
    """Python that makes the frame's requests, runs them and compares again; without a store the frame is the reader's own."""
    call = f"Compare(results, {', '.join(f'{name}={value!r}' for name, value in given.items())})\n"
    if root is None:
        return (
            f"from sdlab.widgets import Compare\n\n# results: the frame of these pictures\n{call}"
        )
    first, rest = results_code(frame, root=root).split("\n", 1)
    return f"{first}\nfrom sdlab.widgets import Compare\n{rest}{call}"


def render_pairs(
    pairing: Pairing,
    rows: pd.DataFrame,
    ballot: Ballot,
    names: Sequence[str],
    unlike: Sequence[Sequence[str]],
    note: str,
) -> str:
    """The first pairs, their votes, and what is not held constant; while a blind vote is under way nothing tells who is who."""
    secret, rows = ballot.under_way, in_short(rows)
    places = range(len(ballot)) if secret else [ballot.order.index(n) for n in range(len(ballot))]
    heads = ("left", "right") if secret else names
    head = "".join(
        f'<th scope="col" style="{CELL}">{escape(text)}</th>' for text in ("pair", *heads, "vote")
    )
    body = "".join(
        list_pair(pairing, rows, ballot, place, heads, secret) for place in list(places)[:MOST]
    )
    more = f" {len(ballot) - MOST:,} more pairs are not shown here." if len(ballot) > MOST else ""
    return f"<table><tr>{head}</tr>{body}</table>{render_unlike(unlike, names)}<p>{escape(note)}{more}</p>"


def list_pair(
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
    told = label_pair(pairing, rows, n)
    pictures = [
        render_side(path, f"{head}, {told}", secret)
        for path, head in zip(paths[::-1] if secret and ballot.swapped[n] else paths, heads)
    ]
    said = dict(zip(("left", "right"), heads)).get(vote, vote)
    cells = "".join(f'<td style="{CELL}">{cell}</td>' for cell in (*pictures, escape(said) or "—"))
    return f'<tr><th scope="row" style="{CELL}">{escape(told)}</th>{cells}</tr>'


def render_side(path: str, alt: str, secret: bool) -> str:
    try:
        return render_image(make_thumbnail(path, STATIC, exact=False), alt)
    except (OSError, ValueError) as error:
        return escape("the picture cannot be read" + ("" if secret else f": {error}"))


def render_unlike(unlike: Sequence[Sequence[str]], names: Sequence[str]) -> str:
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


def label_pair(pairing: Pairing, rows: pd.DataFrame, n: int) -> str:
    """What sets a pair apart from the others, in a line."""
    names = [name for name in pairing.varying if name in rows.columns]
    told = [
        (
            text_of(rows[name].iloc[n])
            if name == "prompt"
            else f"{name} {text_of(values(rows.iloc[[n]], name)[0])}"
        )
        for name in names
    ]
    return " · ".join(told) or f"pair {n + 1}"
