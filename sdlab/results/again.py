"""A report as the Python that writes it again, and what that reads of the report."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd

from ..store.columns import COLUMNS
from .carried import Votes, parse_csv
from .claim_code import Written, find_rows, write_claims, write_evidence, write_rows
from .code import name_store, write_results_code
from .figures import split_caption
from .frame import count_noun, find_label_columns, is_measured, row_tuples
from .scorers import SCORERS
from .sections import CSV_START
from .stats.claims import Claim


def name_again(path: Path) -> str:
    """Names a file that is not there beside the report: no code replaces what it stands in."""
    suffix = path.suffix or ".html"
    names = (f"{path.stem}-again{f'-{n}' * (n > 1)}{suffix}" for n in itertools.count(1))
    return next(name for name in names if not path.with_name(name).exists())


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
