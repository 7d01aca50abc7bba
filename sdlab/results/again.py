"""A report as the Python that writes it again: what was measured, its claims and its votes."""

from __future__ import annotations

import ast
import itertools
import os
from base64 import b64decode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import shorten_text
from ..store.columns import COLUMNS
from ..store.store import Store
from . import stats
from .answers import list_readings
from .code import find_store_root, name_store, write_axis, write_results_code
from .figures import split_caption
from .frame import column_values, count_noun, find_label_columns, hide_home, is_measured, row_tuples
from .scorers import SCORERS
from .sections import CSV_START, encode_csv
from .stats.claims import CALL, SAMPLE, Claim

SAID = ("votes", "answers")  # how statistics name a table of what people said; a store's, too
TEXTS = ("key", "vote", "answer", "rater", "question", "prompt", "wording")
UNCARRIED = "the raters' votes are not in this file"
GIVE_VOTES = "give them as Claim(..., votes=Store(...).votes())"
GIVE_COUNTED = "report a frame that has it, or give the answers as Claim(..., votes=judge.value)"
STORE_ONLY = (
    "The votes that this is counted of are not in this file: the code below makes this claim again"
    " only where the pictures' store has them. Claim(..., votes=) puts them here."
)
MOST_TOLD = 200  # characters of an error
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


def name_again(path: Path) -> str:
    """Names a file that is not there beside the report: no code replaces what it stands in."""
    suffix = path.suffix or ".html"
    names = (f"{path.stem}-again{f'-{n}' * (n > 1)}{suffix}" for n in itertools.count(1))
    return next(name for name in names if not path.with_name(name).exists())


def list_votes(claims: Iterable[Claim], stem: str) -> list[Votes]:
    """Lists what people said for these claims, each table once."""
    every = {id(claim.votes): claim.votes for claim in claims if claim.votes is not None}
    ends = ("" if n == 1 else str(n) for n in itertools.count(1))
    return [
        Votes(f"votes{n}", f"{stem}-votes{n}.csv", each) for n, each in zip(ends, every.values())
    ]


def write_again(
    path: Path,
    title: str,
    own: pd.DataFrame,
    figures: Sequence[Any] = (),
    *,
    table: str = "",
    claims: Sequence[Claim] = (),
    votes: Sequence[Votes] = (),
    written: Sequence[Written] = (),
    **given: Any,
) -> str:
    """Writes Python that makes the pictures, measures them and writes the report again.

    Parameters
    ----------
    path : Path
        Of the report, which the code does not touch.
    title, own, figures
        As `write_report` takes them; of the frame the rows that were made here.
    table : str
        The name of the frame's CSV file in the report; "" if it is not there.
    claims, votes
        The votes as `list_votes` gives them.
    written
        The claims as `list_written` gives them.
    **given
        What else `write_report` was given; "notebook" and "verified" stay comments.
    """
    scorers, added = find_scorers(own), find_added(own)
    folder = f"runs/{path.stem}"
    argued = write_claims(written, name_store(own) or folder)
    drawn = [code for each in figures if (code := write_figure(each, own, claims, votes))]
    names = ["write_report", *["image_grid"] * any("image_grid(" in code for code in drawn)]
    names += [*["measure"] * bool(scorers), *["stats"] * ("stats." in "".join([argued, *drawn]))]
    made = write_results_code(own, *names, other=folder)
    imports, _, rest = made.partition("\n")
    tables = [(each.name, each.file) for each in votes if each.csv]
    tables += [("table", table)] if added and table else []
    read = write_reading(path.name, tables, joined="join_answers(" in argued)
    return "".join(
        (
            f"{imports}\n{read}{rest}",
            f"results = measure(results, {', '.join(map(repr, scorers))})\n" if scorers else "",
            write_added(added, bool(table)),
            argued,
            write_end(
                name_again(path), title, drawn, given, bool(argued), len(figures) - len(drawn)
            ),
        )
    )


def find_scorers(frame: pd.DataFrame) -> list[str]:
    """Finds the scorers that everybody has, and whose columns the frame has."""
    return [
        name
        for name, scorer in SCORERS.items()
        if scorer.__module__.startswith("sdlab.")
        and any(is_of_scorer(column, name) for column in frame.columns)
    ]


def is_of_scorer(column: str, scorer: str) -> bool:
    """Tells whether a scorer makes this column."""
    return column not in COLUMNS and f"{column}_".startswith(f"{scorer}_")


def find_added(frame: pd.DataFrame) -> list[str]:
    """Finds the columns that neither `run` nor such a scorer makes, and what people said."""
    scorers, labels = find_scorers(frame), find_label_columns(frame)
    return [
        name
        for name in frame.columns
        if not any(is_of_scorer(name, scorer) for scorer in scorers)
        and name not in labels
        and (is_measured(frame, name) if name in COLUMNS else frame[name].notna().any())
    ]


def write_reading(report: str, tables: Sequence[tuple[str, str]], *, joined: bool = False) -> str:
    """Writes Python that reads the tables that the report carries; `joined` with the frame."""
    if not tables:
        return ""
    lines = "".join(f"{name} = read_table(report, {file!r})\n" for name, file in tables)
    more = "from sdlab.results.answers import join_answers\n"
    return (
        f"from sdlab.results.again import read_table\n{more * joined}\n"
        f"report = {report!r}  # the path of the report that has this code\n{lines}"
    )


def write_added(names: Sequence[str], carried: bool) -> str:
    """Writes Python that adds to `results` what no code makes of the pictures."""
    if not names:
        return ""
    if not carried:
        lost = ", ".join(map(repr, names))
        return f"# not in this file, as its table is too large: the columns {lost}\n"
    return (
        "# what people said or the report's author added, picture by picture\n"
        f"added = table.drop_duplicates('key').set_index('key')[{list(names)!r}]\n"
        "results = results.assign(**{name: results['key'].map(added[name]) for name in added})\n"
    )


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


def write_figure(
    given: Any, own: pd.DataFrame, claims: Sequence[Claim] = (), votes: Sequence[Votes] = ()
) -> str:
    """Writes a text, a grid of the report's pictures or a `stats.plot`; "" for other figures."""
    thing, caption = split_caption(given)
    if isinstance(thing, str):
        return repr(given)
    if hasattr(thing, "drawn"):
        result, title = thing.drawn
        call = write_plot(result, title, own, claims, votes)
        return f"({call}, {caption!r})" if call and caption else call
    if not (turn := getattr(thing, "turn", None)):
        return ""
    frame, row, col = turn.args
    rows, sides = find_rows(frame, own), [*row, *col]
    if rows is None or not {*sides} <= {*own.columns}:
        return ""
    if row_tuples(frame, sides) != row_tuples(own.iloc[rows], sides):
        return ""
    options = {
        "row": row,
        "col": col,
        **turn.keywords,
        "page": thing.page if thing.page > 1 else None,
    }
    known = {name: value for name, value in options.items() if value not in (None, [])}
    told = "".join(f", {name}={value!r}" for name, value in known.items())
    call = f"image_grid({write_rows(rows, own)}{told})"
    return f"({call}, {caption!r})" if caption else call


def write_plot(
    result: pd.DataFrame,
    title: str,
    own: pd.DataFrame,
    claims: Sequence[Claim],
    votes: Sequence[Votes],
) -> str:
    """Writes the call that draws a statistic of the report's rows; "" if it would be another."""
    claimed = next((claim for claim in claims if claim.evidence is result), None)
    rows = find_rows(claimed.frame if claimed else None, own)
    if rows is None:
        return ""
    for said in (*votes, None):
        call, same = write_evidence(result, own.iloc[rows], write_rows(rows, own), said)
        if same:
            return f"stats.plot({call}{f', title={title!r}' if title else ''})"
    return ""


def write_end(
    file: str, title: str, drawn: Sequence[str], given: Mapping[str, Any], argued: bool, lost: int
) -> str:
    """Writes the call that writes the report, and as comments what was given from elsewhere."""
    comments = [f"{count_noun(lost, 'figure')}: give what draws them after results"] * bool(lost)
    if given.get("notebook") is not None:
        comments.append(f"the notebook's prose: notebook={Path(given['notebook']).name!r}")
    if given.get("verified") is not None:
        comments.append("what was rendered again: verified=verify(results)")
    own = {n: v for n, v in given.items() if n not in ("notebook", "verified") and v is not None}
    options = ["claims=claims"] * argued + [f"{n}={v!r}" for n, v in own.items()]
    before = "".join(f"# not in this code is {comment}\n" for comment in comments)
    arguments = [repr(file), repr(title), "results", *drawn, *options]
    return f"{before}write_report({', '.join(arguments)})\n"


# Tables that a report carries


def read_table(path: str | os.PathLike[str], file: str) -> pd.DataFrame:
    """Reads one of the tables that a report offers as CSV files.

    Parameters
    ----------
    path : path
        The report, an HTML file.
    file : str
        The name under which it offers the table, such as "report-votes.csv".

    Raises
    ------
    ValueError
        It offers no such table.
    """
    found = TableLinks()
    found.feed(Path(path).expanduser().read_text("utf-8"))
    if file not in found.links:
        known = ", ".join(map(repr, found.links)) or "none"
        raise ValueError(f"file={file!r}: {path} carries no such table; it has {known}")
    return parse_csv(found.links[file])


class TableLinks(HTMLParser):
    """The tables that a page offers, {name of the file: its address}."""

    def __init__(self) -> None:
        super().__init__()
        self.links: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes a link that saves a table."""
        given = dict(attrs)
        name, address = given.get("download"), given.get("href") or ""
        if tag == "a" and name and address.startswith(CSV_START):
            self.links[name] = address


def parse_csv(address: str) -> pd.DataFrame:
    """Makes a table of the address that `encode_csv` gives; keys and answers stay texts."""
    data = b64decode(address.removeprefix(CSV_START))
    options: dict[str, Any] = {"encoding": "utf-8-sig", "keep_default_na": False, "na_values": [""]}
    head = pd.read_csv(BytesIO(data), nrows=0, **options)
    texts = [*TEXTS, *SIDES] if {*SIDES} <= {*head.columns} else TEXTS
    dtypes = dict.fromkeys(texts, "string")
    table = pd.read_csv(BytesIO(data), dtype=dtypes, **options).convert_dtypes()
    return table.assign(rater=table["rater"].fillna("")) if "rater" in table else table
