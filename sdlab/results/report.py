"""A frame and its figures as one HTML file that needs nothing else, and says how to make it again."""

from __future__ import annotations

import datetime
import html
import io
import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from ..pictures import data_uri
from ..recipe.request import FIELDS
from ..store.columns import COLUMNS, MACHINE
from ..store.files import write_whole
from .code import program, recipes, require_recipes, store_near
from .frame import (
    counted,
    distinct,
    file_problem,
    hide_home,
    in_short,
    label_columns,
    labelled_rows,
    ranges,
    summary,
    text_of,
    tuples,
    values,
    varying,
    weights_of_models,
)
from .report_inputs import inputs_section
from .sheet import UNREADABLE

MOST_CELLS, MOST_VALUES = 200, 100  # rows of a table, texts of a column
THUMBNAIL, MOST_SIDE, FIGURE_PIXELS = 128, 2048, 12e6
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
STYLE = Path(__file__).with_name("report.css")


def write_report(
    path: str | os.PathLike, title: str, frame: pd.DataFrame, *figures: Any, text: str | None = None
) -> Path:
    """One self-contained HTML file: figures, recipe, cells, failures, machine, and the code that makes it again.

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
        Matplotlib figures, Pillow images, DataFrames and paragraphs of text, in order. A pair
        `(figure, "caption")` says what to see in one.
    text : str, optional
        An introduction; blank lines part its paragraphs.

    Returns
    -------
    Path
        Where the report is.

    Examples
    --------
    >>> write_report("reports/cat.html", "Guidance", results, (image_grid(results, col="seed"), "Seeds hardly matter."))
    """
    path = Path(path).expanduser()
    if path.is_dir():
        raise IsADirectoryError(
            f"{path} is a folder; give the name of a file in it, such as {path / 'report.html'}"
        )
    check(title, frame)
    page = page_of(title, frame, figures, text or "", path.name)
    write_whole(path, page.encode("utf-8", "xmlcharrefreplace"))
    return path


def check(title: str, frame: pd.DataFrame) -> None:
    """Raise unless there is a title and a frame with whole recipes."""
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
    require_recipes(frame)


def page_of(
    title: str, frame: pd.DataFrame, figures: Iterable[Any], text: str, filename: str
) -> str:
    now = datetime.datetime.now().astimezone()
    sections = {
        "Figures": figures_section(figures),
        "Recipe": recipe_section(frame),
        "Input pictures": inputs_section(frame),
        "Cells": cells_section(in_short(frame)),
        "Failures": failures_section(in_short(frame)),
        "Versions and machine": machine_section(frame),
        "Make it again": again_section(frame, title, filename),
    }
    body = "".join(
        f"<section><h2>{name}</h2>\n{content}</section>\n"
        for name, content in sections.items()
        if content
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{esc(title)}</title>\n<style>\n{STYLE.read_text(encoding='utf-8')}</style>\n</head>\n<body>\n"
        f"<header>\n<h1>{esc(title)}</h1>\n"
        f'<p class="date"><time datetime="{now.isoformat(timespec="seconds")}">{now.day}'
        f" {now:%B %Y, %H:%M %Z}</time></p>\n"
        f'<p class="summary">{esc(summary(frame))}</p>\n{paragraphs(text)}</header>\n<main>\n{body}</main>\n'
        f"<footer>Written by sdlab from {counted(len(frame), 'row')} of"
        " results.</footer>\n</body>\n</html>\n"
    )


# Pieces of HTML


def esc(value: Any) -> str:
    return html.escape(str(value))


def paragraphs(text: str) -> str:
    return "".join(
        f"<p>{esc(part.strip())}</p>\n" for part in re.split(r"\n\s*\n", text) if part.strip()
    )


def note_if_cut(frame: pd.DataFrame, rows: str = "rows", more: str = "") -> str:
    """What stands by a table that shows only the first rows."""
    return (
        f'<p class="note">The first {MOST_CELLS} of {len(frame):,} {rows}.{more}</p>\n'
        if len(frame) > MOST_CELLS
        else ""
    )


def td(content: str, kind: str = "") -> str:
    """A table's cell of ready HTML; its kind is a class in report.css."""
    return f'<td class="{kind}">{content}</td>' if kind else f"<td>{content}</td>"


def value_td(name: str, value: Any) -> str:
    """A column's value as a table's cell: paths without folders, measured numbers rounded."""
    if value is None:
        return td("—")
    if name in ("path", "error"):
        return td(esc(Path(value).name if name == "path" else hide_home(value)), name)
    measured = isinstance(value, float) and name not in FIELDS
    text = f"{value:.2f}" if name == "seconds" else f"{value:.4g}" if measured else text_of(value)
    return td(
        esc(text),
        "number" if isinstance(value, (int, float)) else "short" if len(text) < 25 else "text",
    )


def table(head: list[str], rows: list[list[str]], kind: str = "", caption: str = "") -> str:
    """A table of ready HTML; a row is its name and then its cells, each in its own <td>."""
    numbers = [
        any(cell.startswith('<td class="number"') for cell in column) for column in zip(*rows)
    ]
    top = "".join(
        f'<th scope="col"{" class=number" * number}>{name}</th>'
        for name, number in zip(head, numbers)
    )
    body = "".join(
        f'<tr><th scope="row">{name}</th>{"".join(cells)}</tr>\n' for name, *cells in rows
    )
    return (
        f'<div class="scroll" role="region" aria-label="{caption or "table"}" tabindex="0"><table'
        f' class="{kind}">'
        f"{f'<caption>{caption}</caption>' if caption else ''}{f'<thead><tr>{top}</tr></thead>' if head else ''}"
        f"<tbody>\n{body}</tbody></table></div>\n"
    )


# Figures


def figures_section(figures: Iterable[Any]) -> str:
    """Whatever was given, in order; pictures are numbered."""
    parts, number = [], 0
    for given in figures:
        thing, caption = given if isinstance(given, tuple) and len(given) == 2 else (given, "")
        if isinstance(thing, str):
            parts.append(paragraphs(thing) + paragraphs(caption))
        elif isinstance(thing, pd.DataFrame):
            parts.append(data_table(thing, esc(caption)))
        elif isinstance(thing, (Figure, Image.Image)):
            number += 1
            parts.append(numbered_picture(thing, str(caption), number))
        else:
            raise TypeError(
                f"cannot put {type(thing).__name__} into a report; it takes matplotlib figures,"
                " Pillow images, DataFrames and text, each on its own (*figures for a list), or"
                " pairs with a caption"
            )
    return "".join(parts)


def numbered_picture(thing: Figure | Image.Image, caption: str, number: int) -> str:
    if isinstance(thing, Figure):
        image, scale, words = drawn(thing)
    else:
        image, scale, words = thing.copy(), 1.0, f"Image of {thing.width} x {thing.height} pixels"
        image.thumbnail((MOST_SIDE, MOST_SIDE))
    image = image if image.mode in ("RGB", "RGBA", "L", "P", "1") else image.convert("RGB")
    return (
        f'<figure><img src="{data_uri(image, "PNG", optimize=True)}"'
        f' width="{image.width / scale:.0f}" '
        f'height="{image.height / scale:.0f}"'
        f' alt="{esc(f"{caption}. {words}" if caption else words)}">'
        f"<figcaption><b>Figure {number}.</b>"
        f" {esc(caption or words.partition('. ')[0])}</figcaption></figure>\n"
    )


def drawn(figure: Figure) -> tuple[Image.Image, float, str]:
    """(a figure's picture at 200 dpi or what is sensible, its pixels per screen pixel, what it shows)"""
    width, height = figure.get_size_inches()
    dpi = min(200.0, math.sqrt(FIGURE_PIXELS / (width * height)))
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=dpi, bbox_inches="tight")
    parts = [figure.get_suptitle()] + [
        part
        for axes in figure.axes
        for part in (
            axes.get_title(),
            axes.get_xlabel() and f"x: {axes.get_xlabel()}",
            axes.get_ylabel() and f"y: {axes.get_ylabel()}",
        )
    ]
    words = figure.get_label() or ". ".join(part for part in parts if part) or "Figure"
    return Image.open(out), dpi / 100, str(words)


def data_table(frame: pd.DataFrame, caption: str) -> str:
    """The first rows of any frame."""
    names = [str(name) for name in frame.columns]
    rows = [
        [esc(label), *map(value_td, names, found)]
        for label, found in labelled_rows(frame.head(MOST_CELLS))
    ]
    return table(
        [esc(frame.index.name or ""), *map(esc, names)], rows, caption=caption
    ) + note_if_cut(frame)


# The frame, section by section


def recipe_section(frame: pd.DataFrame) -> str:
    """What is constant and what varies, with every seed."""
    found = {name: distinct(frame, name) for name in (*label_columns(frame), *FIELDS)}
    if len(found["weights"]) > 1:
        del found["weights"]
        found |= {
            f"weights of {text_of(model)}": every
            for model, every in weights_of_models(frame).items()
        }
    constant = [
        [esc(name), td(esc(text_of(first)))]
        for name, (first, *more) in found.items()
        if not more and first is not None
    ]
    axes = [
        [esc(name), td(f"{len(every):,}", "number"), values_td(every)]
        for name, every in found.items()
        if len(every) > 1
    ]
    return (
        (table([], constant, "facts", "Held constant") if constant else "")
        + (table(["column", "count", "values"], axes, "facts", "Varies") if axes else "")
        + f"<h3>All seeds</h3>\n<p>{ranges(found['seed'])}</p>\n"
    )


def values_td(found: list[Any]) -> str:
    """Numbers as ranges, texts on a line each."""
    if not any(isinstance(value, str) for value in found):
        return td(ranges(found))
    lines = [esc(text_of(value)) for value in found[:MOST_VALUES]]
    if len(found) > MOST_VALUES:
        lines.append(f"and {len(found) - MOST_VALUES:,} more, in the list of recipes below")
    return td("".join(f"<span>{line}</span>" for line in lines), "lines")


def cells_section(frame: pd.DataFrame) -> str:
    """A row for each of the first cells, with a small picture."""
    names = varying(frame)
    probes = [
        name
        for name in frame.columns
        if name not in (*COLUMNS, *label_columns(frame))
        or (name in COLUMNS and COLUMNS[name].role == "opinion" and any(values(frame, name)))
    ]
    columns = [*names, *probes, *(["seconds"] if "seconds" in frame.columns else [])]
    rows = [
        [
            str(n),
            thumbnail(path, ", ".join(f"{name} {text_of(v)}" for name, v in zip(names, found))),
            *map(value_td, columns, found),
            value_td("path", path) if path or not error else value_td("error", error),
        ]
        for n, (*found, path, error) in enumerate(
            tuples(frame.head(MOST_CELLS), [*columns, "path", "error"]), 1
        )
    ]
    note = note_if_cut(
        frame,
        "cells",
        " The list at the end has all recipes; the store has all pictures, under these names.",
    )
    return note + table(["", "picture", *map(esc, columns), "file or error"], rows, "cells")


def thumbnail(path: str | None, words: str) -> str:
    """A table's cell with the picture, at most 128 pixels wide and high; small pictures keep every pixel."""
    if path is None:
        return td("no picture", "note")
    try:
        with Image.open(path) as image:
            small = max(image.size) <= THUMBNAIL
            image = image.convert("RGB")
    except UNREADABLE as problem:
        return td(file_problem(problem), "note")
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    source = (
        data_uri(image, "WEBP", lossless=True) if small else data_uri(image, "WEBP", quality=80)
    )
    return td(f'<img{" class=small" * small} src="{source}" alt="{esc(words or "picture")}">')


def failures_section(frame: pd.DataFrame) -> str:
    failed = frame[
        [p is None and e is not None for p, e in zip(values(frame, "path"), values(frame, "error"))]
    ]
    if failed.empty:
        return "<p>None.</p>\n"
    names = [*varying(frame), "error"]
    rows = [
        [str(n), *map(value_td, names, found)]
        for n, found in enumerate(tuples(failed.head(MOST_CELLS), names), 1)
    ]
    return table(["", *map(esc, names)], rows) + note_if_cut(failed)


def machine_section(frame: pd.DataFrame) -> str:
    """Versions and machine; where they vary, how many images each made."""
    made = frame[[path is not None for path in values(frame, "path")]]
    rows = []
    for name in MACHINE:
        found = Counter(v for v in values(made, name) if v is not None).most_common()
        texts = [
            text_of(v) + (f" ({counted(n, 'image')})" if len(found) > 1 else "") for v, n in found
        ]
        if texts:
            rows.append(
                [
                    name.removesuffix("_version").replace("_", " "),
                    td(esc(hide_home(", ".join(texts)))),
                ]
            )
    times = sorted(str(v) for v in values(made, "created") if v is not None)
    if times:
        rows.append(["rendered", td(esc(" to ".join(dict.fromkeys([times[0], times[-1]]))))])
    return table([], rows, "facts") if rows else "<p>Nothing was recorded.</p>\n"


def again_section(frame: pd.DataFrame, title: str, filename: str) -> str:
    listing = json.dumps(recipes(frame), separators=(",", ":"))
    where = (
        "Run from the same working folder, it finds"
        if store_near(frame)
        else "Give Store the folder of"
    )
    return (
        f"<p>This makes the same requests and runs them. {where} the finished pictures: they are"
        " not made again.</p>\n"
        f'<pre id="code" tabindex="0"><code>{esc(program(frame, title, filename))}</code></pre>\n'
        f"<details><summary>All {counted(len(frame), 'recipe')} as JSON</summary>\n"
        "<p>Each row is <code>Request(**shared, **dict(zip(varying, row)))</code>.</p>\n"
        f'<pre id="recipes" tabindex="0">{esc(listing)}</pre></details>\n'
    )
