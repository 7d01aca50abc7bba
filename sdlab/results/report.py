"""A frame and its figures as one HTML file that needs nothing else, and can be made again."""

from __future__ import annotations

import datetime
import io
import itertools
import json
import math
import os
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pandas as pd
from markupsafe import Markup
from PIL import Image

from ..pictures import SMALL_SIDE, data_uri, png_bytes, read_picture, webp_bytes
from ..recipe.request import FIELDS
from ..store.columns import MACHINE
from ..store.files import write_whole
from ..store.inputs import InputFolder
from ..watermark.inspection import Inspection
from .argument import (
    count_sample,
    describe_against,
    draw_claim,
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
from .code import (
    find_store_root,
    list_recipes,
    name_store_near,
    require_recipes,
    write_results_code,
)
from .family import find_parents
from .frame import (
    UNREADABLE,
    column_values,
    count_noun,
    describe_file_problem,
    distinct_values,
    find_foreign,
    find_inputs,
    find_label_columns,
    find_model_weights,
    find_varying,
    format_ranges,
    format_value,
    hide_home,
    is_measured,
    label_rows,
    list_plainly,
    row_tuples,
    select_made,
    select_own,
    shorten_pictures,
    summarize,
)
from .gallery import write_gallery
from .html import TEMPLATES, Row, Table, TableCell
from .origins import list_origins
from .stats.claims import Claim
from .verify import Verification

MOST_CELLS, MOST_VALUES = 200, 100  # rows of a table, texts of a column
MOST_SIDE, FIGURE_PIXELS = 2048, 12e6
INPUT_BYTES, MOST_INPUTS = 4_000_000, 100  # of all whole input pictures together; named at all
INPUT_THUMBNAIL = 256
CSV_BYTES = 5_000_000

if TYPE_CHECKING:  # matplotlib comes when something is drawn
    from matplotlib.figure import Figure

    from .sheet import GridFigure


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
        Each with its verdict in words, figure, table, what was not held constant, the pairs that go
        the other way, and who judged.
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
    rows = frame if claim.frame is None else claim.frame
    (pairing, untold), figure = find_pairing(claim, rows), draw_claim(claim)
    against = find_against(claim, pairing) if pairing else None
    pairs = [
        (
            what,
            [(side, show_picture(path, f"{side}, {value}"), value) for side, path, value in both],
        )
        for what, both in (list_against(pairing, against) if pairing and against else ())
    ]
    return {
        "text": claim.text,
        "verdicts": claim.verdicts,
        "figure": figure and describe_picture(figure, ""),
        "table": show_frame(
            name_sides(claim.evidence).drop(columns="verdict", errors="ignore"), "Evidence"
        ),
        "sample": count_sample(claim, rows, against),
        "unlike": show_unlike(pairing) if pairing else None,
        "against": describe_against(against) if against else untold,
        "pairs": pairs,
        "judged": claim.judged,
    }


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
        recipe=show_recipe(frame),
        seeds=format_ranges(distinct_values(frame, "seed")),
        inputs_note=note_rest(len(inputs), MOST_INPUTS),
        cells=show_cells(short),
        print_cells=print_cells,
        **describe_csv(frame, filename),
        failures=show_failures(short),
        machine=show_machine(frame),
        near=name_store_near(frame),
        **describe_making(title, frame, filename),
        rows_count=count_noun(len(frame), "row"),
    )


def describe_csv(frame: pd.DataFrame, filename: str) -> dict[str, str]:
    """Tells where the whole frame lies in the page, and as which file it is saved."""
    return {"csv": write_csv(frame), "csv_name": f"{Path(filename).stem}.csv"}


def describe_making(title: str, frame: pd.DataFrame, filename: str) -> dict[str, str]:
    """Tells how the pictures that were made here are made again; nothing where there are none."""
    own, other = select_own(frame), f"runs/{Path(filename).stem}"
    if own.empty:
        return {"code": "", "recipes": "", "recipes_count": count_noun(0, "recipe")}
    recipes = list_recipes(own)
    if len(own) < len(frame):  # the table has rows of other programs, too
        numbers = [n for n, foreign in enumerate(find_foreign(frame), 1) if not foreign]
        recipes["numbers"] = numbers
    made = write_results_code(own, "write_report", other=other)
    return {
        "code": f"{made}write_report({filename!r}, {title!r}, results)\n",
        "recipes": json.dumps(recipes, separators=(",", ":")),
        "recipes_count": count_noun(len(own), "recipe"),
    }


def note_rest(n: int, most: int, noun: str = "") -> str:
    """Says that these are the first of so many, "" if they are all."""
    return f"The first {most} of {n:,}{noun and f' {noun}'}." if n > most else ""


def format_cell(name: str, value: Any) -> TableCell:
    """Writes a value into a table's cell: paths without folders, measured numbers rounded."""
    if value is None:
        return TableCell("—")
    if name in ("path", "error"):
        return TableCell(Path(value).name if name == "path" else hide_home(value), name)
    measured = isinstance(value, float) and name not in FIELDS
    text = (
        f"{value:.2f}" if name == "seconds" else f"{value:.4g}" if measured else format_value(value)
    )
    number = isinstance(value, (int, float))
    return TableCell(text, "number" if number else "short" if len(text) < 25 else "text")


# Figures


def describe_figures(figures: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    """Yields (kind, what the template shows) of all that was given; pictures are numbered."""
    from matplotlib.figure import Figure

    number, pairs = 0, [split_caption(given) for given in figures]
    turned = {name_whole(thing) for thing, _ in pairs if getattr(thing, "page", 1) > 1}
    for thing, caption in itertools.chain(*(turn_pages(*pair, turned) for pair in pairs)):
        if isinstance(thing, str):
            yield "text", f"{thing}\n\n{caption}"
        elif isinstance(thing, pd.DataFrame):
            yield "table", show_frame(thing, str(caption))
        elif isinstance(thing, Inspection):
            yield "text", "\n\n".join([str(caption), *thing.answer.paragraphs])
        elif callable(still := getattr(thing, "static", None)):  # a widget's, which escapes itself
            yield "still", {"html": Markup(still()), "caption": str(caption)}
        elif isinstance(thing, (Figure, Image.Image)):
            number += 1
            yield "figure", describe_picture(thing, str(caption)) | {"number": number}
        else:
            raise TypeError(
                f"cannot put {type(thing).__name__} into a report; it takes matplotlib figures,"
                " Pillow images, DataFrames, text, answers of detect_watermark and widgets, each on"
                " its own (*figures for a list), or pairs with a caption"
            )


def split_caption(given: Any) -> tuple[Any, Any]:
    """Splits what is shown from its caption, "" if it has none."""
    return given if isinstance(given, tuple) and len(given) == 2 else (given, "")


def name_whole(page: GridFigure) -> tuple:
    """Names the whole grid of which a figure is a page, by what it was drawn from."""
    frame, row, col = page.turn.args
    return id(frame), *row, "", *col, page.pages


def turn_pages(thing: Any, caption: Any, turned: set[tuple]) -> Iterator[tuple[Any, Any]]:
    """Yields what was given, and with a grid's first page the others, if it is not in `turned`."""
    yield thing, caption
    if getattr(thing, "pages", 1) > 1 and thing.page == 1 and name_whole(thing) not in turned:
        for page in range(2, thing.pages + 1):
            yield thing.turn(page=page), caption


def describe_picture(thing: Figure | Image.Image, caption: str) -> dict[str, Any]:
    """Tells what the template shows of a picture: its address, size on the screen, and words."""
    from matplotlib.figure import Figure

    if isinstance(thing, Figure):
        image, scale, words = draw_figure(thing)
    else:
        image, scale, words = thing.copy(), 1.0, f"Image of {thing.width} x {thing.height} pixels"
        image.thumbnail((MOST_SIDE, MOST_SIDE))
    image = image if image.mode in ("RGB", "RGBA", "L", "P", "1") else image.convert("RGB")
    return {
        "source": data_uri(image, "PNG", optimize=True),
        "width": round(image.width / scale),
        "height": round(image.height / scale),
        "alt": f"{caption}. {words}" if caption else words,
        "caption": caption or words.partition(". ")[0],
    }


def draw_figure(figure: Figure) -> tuple[Image.Image, float, str]:
    """Draws (its picture at 200 dpi or what is sensible, pixels per screen pixel, its words)."""
    width, height = figure.get_size_inches()
    dpi = min(200.0, math.sqrt(FIGURE_PIXELS / (width * height)))
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=dpi, bbox_inches="tight")
    parts = [figure.get_suptitle()]
    for axes in figure.axes:
        x, y = axes.get_xlabel(), axes.get_ylabel()
        parts += [axes.get_title(), x and f"x: {x}", y and f"y: {y}"]
    words = figure.get_label() or ". ".join(part for part in parts if part) or "Figure"
    return Image.open(out), dpi / 100, str(words)


def show_frame(frame: pd.DataFrame, caption: str) -> Table:
    """Shows the first rows of any frame."""
    names = [str(name) for name in frame.columns]
    fitted = {"strength": "log-odds"} if "chance" in names else {}  # else it is a field
    kinds = [fitted.get(name, name) for name in names]
    rows: list[Row] = [
        [label, *map(format_cell, kinds, found)]
        for label, found in label_rows(frame.head(MOST_CELLS))
    ]
    head = [str(frame.index.name or ""), *names]
    note = note_rest(len(frame), MOST_CELLS, "rows")
    return Table(rows=rows, head=head, caption=caption, note=note)


# The frame, section by section


def show_recipe(frame: pd.DataFrame) -> list[Table]:
    """Shows what is constant, and what varies."""
    found = {name: distinct_values(frame, name) for name in (*find_label_columns(frame), *FIELDS)}
    if len(found["weights"]) > 1:
        del found["weights"]
        found |= {
            f"weights of {format_value(model)}": every
            for model, every in find_model_weights(frame).items()
        }
    constant = [
        [name, format_value(first)]
        for name, (first, *more) in found.items()
        if not more and first is not None
    ]
    axes: list[Row] = [
        [name, TableCell(f"{len(every):,}", "number"), format_values(every)]
        for name, every in found.items()
        if len(every) > 1
    ]
    head = ["column", "count", "values"]
    return [
        Table(rows=constant, kind="facts", caption="Held constant"),
        Table(rows=axes, kind="facts", caption="Varies", head=head),
    ]


def format_values(found: list[Any]) -> TableCell:
    """Writes numbers as ranges, texts on a line each."""
    if not any(isinstance(value, str) for value in found):
        return TableCell(format_ranges(found))
    lines = [format_value(value) for value in found[:MOST_VALUES]]
    if len(found) > MOST_VALUES:
        lines.append(f"and {len(found) - MOST_VALUES:,} more, in the list of recipes below")
    return TableCell(lines=lines, kind="lines")


def show_elsewhere(frame: pd.DataFrame) -> Table:
    """Shows who made the pictures that were not made here, and what cannot be compared."""
    rows: dict[tuple, list[tuple[str, ...]]] = {}
    for model, origin in zip(column_values(frame, "model"), list_origins(frame)):
        if origin:
            rows.setdefault((model, origin.source), []).append(origin.gaps)
    shown: list[Row] = []
    for (model, source), every in rows.items():
        parts = Counter(part for left in every for part in left)
        lines = [f"{part} ({n} of {len(every)})" for part, n in parts.most_common(MOST_VALUES)]
        cell = TableCell(lines=lines or ["nothing that is said"], kind="lines")
        count = TableCell(f"{len(every):,}", "number")
        shown.append([format_value(model), format_value(source), count, cell])
    return Table(rows=shown, head=["model", "source", "images", "not comparable"])


def show_family(frame: pd.DataFrame) -> Table:
    """Shows which picture was made from which, both in small."""
    paths, strengths = column_values(frame, "path"), column_values(frame, "strength")
    prompts = column_values(frame, "prompt")
    born = [
        (child, parent) for child, parent in enumerate(find_parents(frame)) if parent is not None
    ]
    rows: list[Row] = [
        [
            show_picture(paths[parent], f"picture {parent + 1}"),
            show_picture(paths[child], f"picture {child + 1}"),
            format_cell("strength", strengths[child]),
            format_cell("prompt", prompts[child]),
        ]
        for child, parent in born[:MOST_CELLS]
    ]
    head = ["made from", "picture", "strength", "prompt"]
    return Table(rows=rows, head=head, kind="cells", note=note_rest(len(born), MOST_CELLS, "rows"))


def describe_inputs(frame: pd.DataFrame, inputs: dict[str, list[str]]) -> list[dict[str, Any]]:
    """Tells what the template shows of each input: whole while there is room, then in small."""
    if root := find_store_root(frame):
        folder = InputFolder(root / "inputs")  # lends as long as it is there
        folder.lend(inputs)
    room, entries = INPUT_BYTES, []
    for name in list(inputs)[:MOST_INPUTS]:
        fields = " and ".join(inputs[name])
        entry = {"name": name, "fields": fields, "alt": f"{fields} {name:.8}…"}
        entries.append(entry | describe_input(name, room))
        room -= entries[-1]["taken"]
    return entries


def describe_input(name: str, room: int) -> dict[str, Any]:
    """Tells of one input, and the bytes that it takes if it is whole; or why there is none."""
    try:
        image = read_picture(name)
    except (ValueError, *UNREADABLE) as problem:  # said without the writer's own folders
        lost = "not at hand when the report was written"
        return {
            "problem": describe_file_problem(problem) if isinstance(problem, OSError) else lost,
            "taken": 0,
        }
    data, size = png_bytes(image), f"{image.width}x{image.height}"
    if not (whole := len(data) <= room):
        image.thumbnail((INPUT_THUMBNAIL, INPUT_THUMBNAIL))
    return {
        "problem": "",
        "source": data_uri(data, "PNG") if whole else data_uri(image, quality=80),
        "width": image.width,
        "height": image.height,
        "size": size,
        "whole": whole,
        "taken": len(data) if whole else 0,
    }


def show_cells(frame: pd.DataFrame) -> Table:
    """Shows the first cells, each with a small picture."""
    names = find_varying(frame)
    measured = [name for name in frame.columns if is_measured(frame, name)]
    columns = [*names, *measured, *(["seconds"] if "seconds" in frame.columns else [])]
    rows: list[Row] = []
    for n, row in enumerate(row_tuples(frame.head(MOST_CELLS), [*columns, "path", "error"]), 1):
        *found, path, error = row
        words = ", ".join(f"{name} {format_value(value)}" for name, value in zip(names, found))
        last = format_cell("path", path) if path or not error else format_cell("error", error)
        rows.append([str(n), show_picture(path, words), *map(format_cell, columns, found), last])
    note = note_rest(len(frame), MOST_CELLS, "cells")
    more = " The list at the end has all recipes; the store has all pictures, under these names."
    head = ["", "picture", *columns, "file or error"]
    return Table(rows=rows, head=head, kind="cells", note=note and note + more)


def write_csv(frame: pd.DataFrame) -> str:
    """Writes the whole frame as the address of a CSV file, "" if that is very large."""
    data = list_plainly(frame).to_csv(index=False).encode("utf-8-sig")  # for spreadsheets
    large = len(data) > CSV_BYTES
    return "" if large else f"data:text/csv;charset=utf-8;base64,{b64encode(data).decode()}"


def show_picture(path: str | None, words: str) -> TableCell:
    """Shows the picture, at most 128 pixels wide and high; small pictures keep every pixel."""
    if path is None:
        return TableCell("no picture", "note")
    try:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
    except UNREADABLE as problem:
        return TableCell(describe_file_problem(problem), "note")
    source = data_uri(webp_bytes(image, SMALL_SIDE))
    return TableCell(words or "picture", picture=source, small=max(image.size) <= SMALL_SIDE)


def show_failures(frame: pd.DataFrame) -> Table:
    """Shows the first of the cells that failed, each with its error."""
    failed = frame[frame["path"].isna() & frame["error"].notna()]
    names = [*find_varying(frame), "error"]
    rows: list[Row] = [
        [str(n), *map(format_cell, names, found)]
        for n, found in enumerate(row_tuples(failed.head(MOST_CELLS), names), 1)
    ]
    note = note_rest(len(failed), MOST_CELLS, "rows")
    return Table(rows=rows, head=["", *names], note=note)


def show_machine(frame: pd.DataFrame) -> Table:
    """Shows versions and machine; where they vary, how many images each made."""
    made = select_made(frame)
    rows = []
    for name in MACHINE:
        found = Counter(v for v in column_values(made, name) if v is not None).most_common()
        texts = [
            format_value(v) + (f" ({count_noun(n, 'image')})" if len(found) > 1 else "")
            for v, n in found
        ]
        if texts:
            what = name.removesuffix("_version").replace("_", " ")
            rows.append([what, hide_home(", ".join(texts))])
    times = sorted(str(v) for v in column_values(made, "created") if v is not None)
    if times:
        rows.append(["rendered", " to ".join(dict.fromkeys([times[0], times[-1]]))])
    return Table(rows=rows, kind="facts")
