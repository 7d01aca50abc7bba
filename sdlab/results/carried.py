"""What people said, as a report carries it in tables, or as its pictures' store has it."""

from __future__ import annotations

import itertools
import os
from base64 import b64decode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import pandas as pd

from ..store.store import Store
from .code import find_store_root
from .frame import column_values
from .sections import CSV_START, encode_csv
from .stats.claims import CALL, Claim

SAID = ("votes", "answers")  # how statistics name a table of what people said; a store's, too
TEXTS = ("key", "vote", "answer", "rater", "question", "prompt", "wording")
SIDES = ("left", "right")  # keys, where a table has both


@dataclass(frozen=True)
class Votes:
    """What people said, as a report carries it: under a name in its code, and as a file's."""

    name: str
    file: str
    source: pd.DataFrame

    @property
    def csv(self) -> str:
        """The address of the CSV file; "" if that is very large."""
        return encode_csv(self.shown)

    @property
    def shown(self) -> pd.DataFrame:
        """The votes as they are sent elsewhere: files by their names alone."""
        paths = [name for name in self.source.columns if str(name).endswith("path")]
        every = {name: column_values(self.source, name) for name in paths}
        return self.source.assign(
            **{name: [v and os.path.basename(v) for v in found] for name, found in every.items()}
        )

    @property
    def carried(self) -> pd.DataFrame | None:
        """What `read_table` gives of it; None if it is too large to be carried."""
        return parse_csv(self.csv) if self.csv else None


@dataclass(frozen=True)
class Stored:
    """What people said of the report's pictures, as their store keeps it: a report has none of it.

    Who wrote the report may have left it out so that nobody's name is in there.
    """

    kind: str
    carried: pd.DataFrame

    @property
    def name(self) -> str:
        """Its name in the code."""
        return f"store_{self.kind}"


def read_stored(claims: Sequence[Claim], own: pd.DataFrame) -> list[Stored]:
    """Reads what the pictures' store keeps, where a claim is of that and the report has it not."""
    root = find_store_root(own) if any(map(lacks_votes, claims)) else None
    if root is None:
        return []
    store = Store(root)
    return [Stored(kind, table) for kind in SAID if len(table := getattr(store, kind)())]


def lacks_votes(claim: Claim) -> bool:
    """Tells whether the evidence is of what people said, and the claim comes without."""
    called = claim.evidence.attrs.get(CALL)
    return claim.votes is None and bool(called and {*SAID} & {*called["tables"]})


def list_votes(claims: Iterable[Claim], stem: str) -> list[Votes]:
    """Lists what people said for these claims, each table once."""
    every = {id(claim.votes): claim.votes for claim in claims if claim.votes is not None}
    ends = ("" if n == 1 else str(n) for n in itertools.count(1))
    return [
        Votes(f"votes{n}", f"{stem}-votes{n}.csv", each) for n, each in zip(ends, every.values())
    ]


def parse_csv(address: str) -> pd.DataFrame:
    """Makes a table of the address that `encode_csv` gives; keys and answers stay texts."""
    data = b64decode(address.removeprefix(CSV_START))
    options: dict[str, Any] = {"encoding": "utf-8-sig", "keep_default_na": False, "na_values": [""]}
    head = pd.read_csv(BytesIO(data), nrows=0, **options)
    texts = [*TEXTS, *SIDES] if {*SIDES} <= {*head.columns} else TEXTS
    dtypes = dict.fromkeys(texts, "string")
    table = pd.read_csv(BytesIO(data), dtype=dtypes, **options).convert_dtypes()
    return table.assign(rater=table["rater"].fillna("")) if "rater" in table else table
