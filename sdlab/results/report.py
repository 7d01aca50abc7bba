"""A frame and its figures as one HTML file that needs nothing else, and can be made again."""

from __future__ import annotations

import datetime
import json
import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
from markupsafe import Markup

from ..recipe.request import FIELDS
from ..store.files import write_whole
from .again import write_again
from .argument import (
    count_sample,
    describe_against,
    describe_columns,
    draw_claim,
    explain_untold,
    find_against,
    find_pairing,
    list_against,
    list_papers,
    name_sides,
    read_prose,
    require_claims,
    show_licences,
    show_unlike,
    show_verification,
)
from .carried import list_votes
from .claim_code import list_written
from .code import list_recipes, name_store_near, require_recipes
from .figures import describe_figures, describe_picture
from .frame import (
    column_values,
    count_noun,
    find_foreign,
    find_inputs,
    format_ranges,
    hide_home,
    list_plainly,
    select_own,
    shorten_pictures,
    sort_values,
)
from .gallery import write_gallery
from .html import TEMPLATES, TableCell
from .rated import describe_otherwise, find_rated, is_rate, list_otherwise, show_unlike_pictures
from .sections import (
    MOST_CELLS,
    MOST_INPUTS,
    describe_inputs,
    describe_schedules,
    encode_csv,
    note_rest,
    show_cells,
    show_elsewhere,
    show_failures,
    show_family,
    show_frame,
    show_machine,
    show_picture,
    show_recipe,
    summarize,
)
from .stats.claims import Claim
from .verify import Verification


def write_report(
    path: str | os.PathLike[str],
    title: str,
    frame: pd.DataFrame,
    *figures: Any,
    text: str | None = None,
    print_cells: bool = True,
    claims: Sequence[Claim] = (),
    notebook: str | os.PathLike[str] | None = None,
    verified: Verification | None = None,
    gallery: bool = True,
) -> Path:
    """Writes one self-contained HTML file: claims, figures, recipe, cells, machine, and its code.

    Parameters
    ----------
    path : path
        Replaced in one step if it exists; missing folders are made.
    title : str
    frame : DataFrame
        As `run` returns it. Narrow its rows, not its columns: a report states the whole recipe.
        Frames with different labels should be reported apart (`pandas.concat` makes measurements of
        the second's), or run as one list.
    *figures
        Matplotlib figures, Pillow images, DataFrames, paragraphs of text, answers of
        `detect_watermark` and widgets (the picture that stays of them in a notebook), in order. A
        pair `(figure, "caption")` says what to see in one. The first page of an `image_grid` brings
        the others with it, unless one of them is given, too.
    text : str, optional
        An introduction; blank lines part its paragraphs.
    print_cells : bool
        Whether the table of all pictures is printed, too; on the screen it is there in any case,
        with a link that saves the frame as CSV.
    claims : sequence of Claim
        Each with its verdict in words, figure, table, what was not held constant, the pairs, or of
        a rate the pictures, that go against the finding (whatever the claim's own words say), and
        who judged. The votes go along
        as a table, with a CSV file, from which the code in the report makes the claims again; of
        those that it cannot, a warning and the page say why.
    notebook : path, optional
        A notebook whose prose goes in, without its code.
    verified : Verification, optional
        What `verify` answered last, of rows of this frame.
    gallery : bool
        Whether a frame of more than 200 rows gets a gallery of all beside the report, in the folder
        NAME-gallery.

    Returns
    -------
    Path
        Where the report is; a notebook shows it as a link.

    Raises
    ------
    TypeError, ValueError, IsADirectoryError
        No title, no frame with whole recipes, something that cannot be shown, `verified` of other
        cells, or a folder as path.

    Examples
    --------
    >>> grid = image_grid(results, col="seed")
    >>> write_report("reports/cat.html", "Guidance", results, (grid, "Seeds hardly matter."))
    """
    path = Path(path).expanduser()
    if path.is_dir():
        raise IsADirectoryError(
            f"{path} is a folder; give the name of a file in it, such as {path / 'report.html'}"
        )
    require_reportable(title, frame)
    require_claims(claims)
    require_verified(verified, frame)
    beside = f"{path.stem}-gallery" if gallery and len(frame) > MOST_CELLS else ""
    argument = describe_argument(frame, claims, notebook, verified)
    given: dict[str, Any] = {"text": text, "notebook": notebook, "verified": verified}
    given |= {} if print_cells else {"print_cells": False}
    given |= {} if gallery else {"gallery": False}
    argument |= describe_making(path, title, frame, figures, claims, **given)
    warn_of_lost(claims, argument["lost"])
    page = render_page(title, frame, figures, text or "", path.name, print_cells, beside, argument)
    if beside:
        write_gallery(path.with_name(beside), frame, title=title, text=text or "")
    write_whole(path, page.encode("utf-8", "xmlcharrefreplace"))
    return LinkedPath(path)


def require_verified(verified: Verification | None, frame: pd.DataFrame) -> None:
    """Raises if what was rendered again is not of this frame: it would speak for other cells."""
    if verified is None:
        return
    if not isinstance(verified, Verification):
        raise TypeError(
            f"verified is {type(verified).__name__}; give what verify(frame) answered, or None"
        )
    if strangers := verified.list_strangers(frame):
        raise ValueError(
            f"verified is of other cells than the frame: {count_noun(len(strangers), 'picture')},"
            f" such as {strangers[0]}; give verify(frame) of the same frame"
        )


def warn_of_lost(claims: Sequence[Claim], lost: Sequence[str]) -> None:
    """Warns of claims that the report's code does not make again, or not everywhere."""
    for claim, told in zip(claims, lost):
        if told:
            warnings.warn(f"claim {claim.text!r:.60}: {told}", stacklevel=3)


class LinkedPath(type(Path())):  # type: ignore[misc]  # a class of the platform's
    """A path that a notebook shows as a link."""

    def _repr_html_(self) -> str:
        near = self.resolve()
        here = near.is_relative_to(Path.cwd())  # a page of the notebook cannot reach elsewhere
        shown = near.relative_to(Path.cwd()).as_posix() if here else hide_home(self)
        link = '<a href="{0}" target="_blank" rel="noopener">{1}</a>' if here else "{1}"
        return str(Markup(link).format(quote(shown), shown))

    def __reduce__(self) -> tuple:
        return Path, (str(self),)


def require_reportable(title: str, frame: pd.DataFrame) -> None:
    """Raises unless there is a title and a frame with whole recipes."""
    if not isinstance(title, str) or not title.strip():
        given = " ".join(repr(title).split())  # of a frame, the beginning will do
        raise TypeError(f"title={given:.60}: a report needs a title, as text before the frame")
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(
            f"the third argument is the frame of run(), not {type(frame).__name__}; figures come"
            " after it"
        )
    missing = [name for name in (*FIELDS, "path", "error") if name not in frame.columns]
    if missing:
        raise ValueError(
            f"the frame lacks {', '.join(missing)}: a report states the whole recipe, so narrow the"
            " rows of run()'s frame, not its columns"
        )
    if frame.empty:
        raise ValueError(
            "the frame has no rows, so there is nothing to report; does a query leave nothing over?"
        )
    require_recipes(select_own(frame))


def describe_argument(
    frame: pd.DataFrame,
    claims: Sequence[Claim],
    notebook: str | os.PathLike[str] | None,
    verified: Verification | None,
) -> dict[str, Any]:
    """Tells what the template shows of claims, prose, sources and what `verify` answered."""
    return {
        "claims": [describe_claim(claim, frame) for claim in claims],
        "prose": [] if notebook is None else read_prose(notebook),
        "licences": show_licences(frame),
        "papers": list_papers(frame, claims),
        "verified": "" if verified is None else str(verified),
        "odd": None if verified is None else show_verification(verified),
    }


def describe_claim(claim: Claim, frame: pd.DataFrame) -> dict[str, Any]:
    """Tells what the template shows of a claim."""
    rows = frame if claim.frame is None else place_pictures(claim.frame, frame)
    figure = draw_claim(claim)
    counter = describe_rated if is_rate(claim) else describe_paired
    return {
        "text": claim.text,
        "verdicts": claim.verdicts,
        "figure": figure and describe_picture(figure, ""),
        "table": show_frame(
            name_sides(claim.evidence).drop(columns="verdict", errors="ignore"), "Evidence"
        ),
        "measured": describe_columns(claim.evidence),
        "judged": claim.judged,
        **counter(claim, rows),
    }


def place_pictures(rows: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """Gives rows, such as a table of answers has, the paths that the report's frame knows."""
    if "key" not in rows.columns or "key" not in frame.columns:
        return rows
    known = dict(zip(column_values(frame, "key"), column_values(frame, "path")))
    own = zip(column_values(rows, "key"), column_values(rows, "path"))
    paths = [known.get(key) or path if key else path for key, path in own]
    return rows.assign(path=pd.array(paths, "string"))


def describe_paired(claim: Claim, rows: pd.DataFrame) -> dict[str, Any]:
    """Tells which pairs go against a claim, and what else differs between their sides."""
    pairing, untold = find_pairing(claim, rows)
    against = find_against(claim, pairing) if pairing else None
    if pairing and against and not against.looked:
        untold = explain_untold(claim, pairing)
    return {
        "sample": count_sample(claim, rows, against),
        "unlike": show_unlike(pairing) if pairing else None,
        "against": describe_against(against) if against and against.looked else untold,
        "pairs": show_sides(list_against(pairing, against) if pairing and against else ()),
    }


def describe_rated(claim: Claim, rows: pd.DataFrame) -> dict[str, Any]:
    """Tells which pictures came out otherwise than a rate says, and what else differs in them."""
    rated, untold = find_rated(claim, rows)
    return {
        "sample": count_sample(claim, rows, None),
        "unlike": show_unlike_pictures(rated) if rated else None,
        "against": describe_otherwise(rated) if rated else untold,
        "pairs": show_sides(list_otherwise(rated) if rated else ()),
    }


def show_sides(
    found: Iterable[tuple[str, list[tuple[str, Any, str]]]],
) -> list[tuple[str, list[tuple[TableCell, str]]]]:
    """Shows pictures side by side, or alone, each with its words."""
    shown = []
    for what, sides in found:
        told = [(path, f"{side}: {value}" if side else value) for side, path, value in sides]
        shown.append((what, [(show_picture(path, words), words) for path, words in told]))
    return shown


def render_page(
    title: str,
    frame: pd.DataFrame,
    figures: Iterable[Any],
    text: str,
    filename: str,
    print_cells: bool,
    beside: str,
    argument: dict[str, Any],
) -> str:
    """Renders the whole page, every section in its order."""
    short, inputs = shorten_pictures(frame), find_inputs(frame)
    has = dict(
        argument,
        figures=list(describe_figures(figures)),
        inputs=describe_inputs(frame, inputs),
        family=show_family(frame),
        elsewhere=show_elsewhere(frame),
    )
    return TEMPLATES.get_template("report.html.j2").render(
        **has,
        title=title,
        now=datetime.datetime.now().astimezone(),
        summary=summarize(frame),
        text=text,
        contents=[],  # which the sections fill in
        beside=beside,
        filename=filename,
        recipe=show_recipe(frame, print_cells=print_cells),
        schedules=describe_schedules(frame),
        seeds=format_ranges(sort_values(frame, "seed")),
        seeds_vary=frame["seed"].nunique() > 1,  # then the recipe's table has them, too
        inputs_note=note_rest(len(inputs), MOST_INPUTS),
        cells=show_cells(short),
        print_cells=print_cells,
        failures=show_failures(short),
        machine=show_machine(frame),
        near=name_store_near(frame),
        rows_count=count_noun(len(frame), "row"),
    )


def describe_making(
    path: Path,
    title: str,
    frame: pd.DataFrame,
    figures: Sequence[Any],
    claims: Sequence[Claim],
    **given: Any,
) -> dict[str, Any]:
    """Tells what the page has as CSV, and how what was made here is made again, if any was."""
    own, votes = select_own(frame), list_votes(claims, path.stem)
    shown = [(each, show_frame(each.shown, each.file), each.csv) for each in votes]
    csv, csv_name = encode_csv(list_plainly(frame)), f"{path.stem}.csv"
    found = {"votes": shown, "code": "", "recipes": "", "lost": [""] * len(claims)}
    found |= {"csv": csv, "csv_name": csv_name}
    if own.empty:
        return found | {"recipes_count": count_noun(0, "recipe")}
    recipes = list_recipes(own)
    if len(own) < len(frame):  # the table has rows of other programs, too
        numbers = [n for n, foreign in enumerate(find_foreign(frame), 1) if not foreign]
        recipes["numbers"] = numbers
    written = list_written(claims, own, votes)
    given |= {"claims": claims, "votes": votes, "written": written}
    code = write_again(path, title, own, figures, table=csv_name if csv else "", **given)
    return found | {
        "lost": [each.lost for each in written],
        "code": code,
        "recipes": json.dumps(recipes, separators=(",", ":")),
        "recipes_count": count_noun(len(own), "recipe"),
    }
