"""A report's claims as the Python that makes them again, if their evidence would be the same."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from ..errors import shorten_text
from . import stats
from .answers import list_readings
from .carried import Stored, Votes, lacks_votes, read_stored
from .code import write_axis
from .frame import column_values, hide_home
from .stats.claims import CALL, SAMPLE, Claim

UNCARRIED = "the raters' votes are not in this file"
GIVE_VOTES = "give them as Claim(..., votes=Store(...).votes())"
GIVE_COUNTED = "report a frame that has it, or give the answers as Claim(..., votes=judge.value)"
STORE_ONLY = (
    "The votes that this is counted of are not in this file: the code below makes this claim again"
    " only where the pictures' store has them. Claim(..., votes=) puts them here."
)
MOST_TOLD = 200  # characters of an error


@dataclass(frozen=True)
class Written:
    """A claim as Python: its arguments behind the text, or why it is left out.

    Attributes
    ----------
    stored : Stored, optional
        What of the store the code counts, as the report has it not.
    is_large : bool
        Whether its votes are too many to be in the report.
    """

    claim: Claim
    code: str = ""
    left_out: str = ""
    stored: Stored | None = None
    is_large: bool = False

    @property
    def line(self) -> str:
        """Its lines in the list of claims: a comment, if it is left out."""
        text = self.claim.text
        if self.left_out:
            why = "as its evidence cannot be written as code"
            return f"    # left out: {text!r}, {why}: {self.left_out}\n"
        if self.stored:
            made = f"stats.Claim({text!r}, {self.code})"
            return f"    *([{made}] if len({self.stored.name}) else []),\n"
        note = "    # its votes are too many to be in this file\n" * self.is_large
        return f"{note}    stats.Claim(\n        {text!r},\n        {self.code},\n    ),\n"

    @property
    def lost(self) -> str:
        """What to tell if the report's code does not make it again, or not everywhere; else ""."""
        if self.left_out:
            return f"The code below does not make this claim again: {self.left_out}."
        return STORE_ONLY if self.stored else ""


def list_written(
    claims: Sequence[Claim], own: pd.DataFrame, votes: Sequence[Votes]
) -> list[Written]:
    """Lists each claim as Python, if that is the same; else why not."""
    stored = read_stored(claims, own)
    return [write_claim(claim, own, votes, stored) for claim in claims]


def write_claims(written: Sequence[Written], folder: str) -> str:
    """Writes Python that binds `claims`, with a comment for what it cannot say.

    Parameters
    ----------
    written
        As `list_written` gives them.
    folder : str
        Of the store, as the code names it.
    """
    if not written:
        return ""
    counted = dict.fromkeys(each.stored.kind for each in written if each.stored)
    tables = "".join(write_stored(kind, written, folder) for kind in counted)
    note = "# what people said is in the store, not in this file: Claim(..., votes=) puts it here"
    before = f"\nimport warnings\n\n{note}\n{tables}" if tables else ""
    return f"{before}\nclaims = [\n{''.join(each.line for each in written)}]\n"


def write_stored(kind: str, written: Sequence[Written], folder: str) -> str:
    """Writes Python that reads a table of the store, and warns of what is left out without it."""
    own = [(each.claim, each.stored) for each in written if each.stored]
    texts = ", ".join(repr(claim.text) for claim, stored in own if stored.kind == kind)
    said = f"{folder} has no {kind} here, so these claims are not made: {texts}"
    name = next(stored.name for _, stored in own if stored.kind == kind)
    read = f"{name} = Store({folder!r}).{kind}()\n"
    return f"{read}if not len({name}):\n    warnings.warn({said!r}, stacklevel=1)\n"


def write_claim(
    claim: Claim, own: pd.DataFrame, votes: Sequence[Votes], stored: Sequence[Stored] = ()
) -> Written:
    """Writes one claim, if its evidence would be the same."""
    said = next((each for each in votes if each.source is claim.votes), None)
    rows = find_rows(claim.frame, own)
    if rows is None:
        return Written(claim, left_out="it is of other rows than the report's")
    unsaid, call = lacks_votes(claim) and bool(stored), ""
    tried: Sequence[Votes | Stored | None] = stored if unsaid else [said]
    for each in tried:
        call, same = write_evidence(claim.evidence, own.iloc[rows], write_rows(rows, own), each)
        if same:
            more = f", frame={write_rows(rows, own)}" if len(rows) < len(own) else ""
            more += f", votes={said.name}" if said and said.csv else ""
            many = bool(said and not said.csv)
            counted = each if isinstance(each, Stored) else None
            return Written(claim, call + more, stored=counted, is_large=many)
    if said and (judged := write_judged(claim, own, said)):
        return Written(claim, judged)
    if unsaid:
        call = f"{UNCARRIED}, and those of the store give another one by now; {GIVE_VOTES}"
    return Written(claim, left_out=call)


def write_judged(claim: Claim, own: pd.DataFrame, said: Votes) -> str:
    """Writes evidence that counts answers as pictures, as `rate(judge.value, "yes")`; else ""."""
    called, table = claim.evidence.attrs.get(CALL), said.carried
    if not called or called["tables"] != ["frame"] or table is None:
        return ""
    for code, rows in list_readings(table, said.name, own):
        call, same = write_evidence(claim.evidence, rows, code, None)
        if same:
            keys = None if claim.frame is None else column_values(claim.frame, "key")
            frame = f", frame={code}" if keys == column_values(rows, "key") else ""
            return f"{call}{frame}, votes={said.name}"
    return ""


def find_rows(frame: pd.DataFrame | None, own: pd.DataFrame) -> list[int] | None:
    """Finds which rows of the report's these are, by their keys; None if there are others."""
    if frame is None:
        return list(range(len(own)))
    if "key" not in frame.columns:
        return None
    place = {key: n for n, key in enumerate(column_values(own, "key"))}
    found = [place.get(key, -1) for key in column_values(frame, "key")]
    return None if -1 in found or not found else found


def write_rows(rows: Sequence[int], own: pd.DataFrame) -> str:
    """Writes which rows of `results` these are."""
    return "results" if rows == list(range(len(own))) else f"results.iloc[{write_axis([*rows])}]"


def write_evidence(
    evidence: pd.DataFrame, frame: pd.DataFrame, results: str, votes: Votes | Stored | None
) -> tuple[str, bool]:
    """Writes the call that gives this evidence, which is tried; or why not, and False."""
    called = evidence.attrs.get(CALL)
    if not called:
        return "no function of sdlab.stats gave it as it is", False
    given = {"votes": votes and votes.carried, "answers": votes and votes.carried, "frame": frame}
    tables = {name: given[name] for name in called["tables"]}
    if any(table is None for table in tables.values()):
        return f"{UNCARRIED}; {GIVE_VOTES}", False
    columns = evidence.attrs.get(SAMPLE, {}).get("columns", [])
    if lacking := [repr(name) for name in columns if name not in frame.columns]:
        return f"the report's frame has no column {', '.join(lacking)}; {GIVE_COUNTED}", False
    said = {name: results if name == "frame" else votes and votes.name for name in tables}
    arguments = [f"{name}={value!r}" for name, value in called["given"].items()]
    shown = [*(str(said[name]) for name in tables), *arguments]
    call = f"stats.{called['name']}({', '.join(shown)})"
    try:
        ast.parse(call, mode="eval")
        found = getattr(stats, called["name"])(**tables, **called["given"])
        rows = evidence.index.tolist()
        pd.testing.assert_frame_equal(found.loc[rows], evidence, check_dtype=False)
    except AssertionError:
        return f"{call} gives another one, as it was made of other rows, or changed", False
    except (SyntaxError, TypeError, ValueError, KeyError) as error:
        told = shorten_text(" ".join(hide_home(error).split()), MOST_TOLD)
        return f"{call} does not give it: {told}", False
    return call + (f".loc[{rows!r}]" if rows != found.index.tolist() else ""), True
