"""What a report shows of a frame: its summary, tables and pictures, section by section."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from ..errors import FieldError
from ..models.resolve import Native, native, resolve
from ..pictures import SMALL_SIDE, data_uri, png_bytes, put_on_white, read_picture, webp_bytes
from ..progress import duration
from ..recipe.request import FIELDS, PROMPTS, Recipe
from ..render.notes import collect_finished
from ..store.columns import CHOSEN, IF_TRUE, MACHINE
from ..store.inputs import InputFolder
from .code import find_store_root, read_requests
from .family import find_parents
from .frame import (
    UNREADABLE,
    column_values,
    count_noun,
    describe_file_problem,
    distinct_values,
    find_label_columns,
    find_model_weights,
    find_varying,
    format_ranges,
    format_value,
    hide_home,
    is_measured,
    join_words,
    label_rows,
    row_tuples,
    select_made,
    select_own,
    sort_values,
    summarize_values,
)
from .html import Row, Table, TableCell
from .origins import describe_foreign, describe_silent, list_origins, list_unknown

MOST_CELLS, MOST_VALUES = 200, 100  # rows of a table, texts of a column
FEW_VALUES = 5  # texts that are printed twice
ON_PAPER = "each is printed with its pictures under “Cells”"
INPUT_BYTES, MOST_INPUTS = 4_000_000, 100  # of all whole input pictures together; named at all
INPUT_THUMBNAIL = 256
CSV_BYTES, CSV_START = 5_000_000, "data:text/csv;charset=utf-8;base64,"


def note_rest(n: int, most: int, noun: str = "") -> str:
    """Says that these are the first of so many, "" if they are all."""
    return f"The first {most} of {n:,}{noun and f' {noun}'}." if n > most else ""


def summarize(frame: pd.DataFrame) -> str:
    """Says how much there is, what varies and what failed, in a few sentences."""
    lost = frame["path"].isna()
    failed, absent = (sum(lost & rows) for rows in (frame["error"].notna(), frame["error"].isna()))
    axes = {name: sort_values(frame, name) for name in find_varying(frame) if name != "model"}
    made = select_made(select_own(frame))  # what others say of their machine is a claim
    facts = {name: [v for v in distinct_values(made, name) if v is not None] for name in CHOSEN}
    varied = name_values(axes)
    unlike = name_values({name: found for name, found in facts.items() if len(found) > 1})
    devices = [format_value(device) for device in distinct_values(made, "device") if device]
    where = join_words(devices or ["an unnamed device"])
    seconds = sum(taken or 0 for taken in column_values(made, "seconds"))
    vary = "vary" if len(axes) > 1 else "varies"
    parts = [
        describe_count(frame),
        axes and f"{join_words(varied)} {vary}; the rest of the recipe is constant.",
        unlike and f"Beside the recipe, the machine's {join_words(unlike)} were not the same.",
        failed and f"{count_noun(failed, 'cell')} failed.",
        absent and f"{count_noun(absent, 'cell')} {'was' if absent == 1 else 'were'} not rendered.",
        seconds and f"Rendering took {duration(seconds)} on {where}.",
        describe_foreign(frame),
    ]
    return " ".join(part for part in parts if part)


def describe_count(frame: pd.DataFrame) -> str:
    """Says how many pictures there are, and which models made those that were made here."""
    own = select_own(frame)
    models = [format_value(model) for model in distinct_values(own, "model") if model is not None]
    by = f" by {join_words(models)}" if models else ""
    count, here = len(select_made(frame)), len(select_made(own))
    if len(own) == len(frame) or not here:
        return f"{count_noun(count, 'image')}{by}."
    were = "was" if here == 1 else "were"
    return f"{count_noun(count, 'image')}, of which {here:,} {were} made here{by}."


def name_values(columns: dict[str, list[Any]]) -> list[str]:
    """Names columns with their values: "seed (0–3)"."""
    return [f"{name} ({summarize_values(found)})" for name, found in columns.items()]


def format_cell(name: str, value: Any) -> TableCell:
    """Writes a value into a table's cell: paths without folders, measured numbers rounded."""
    if value is None:
        return TableCell("—", "nothing")
    if name in ("path", "error"):
        return TableCell(Path(value).name if name == "path" else hide_home(value), name)
    measured = isinstance(value, float) and name not in FIELDS
    text = (
        f"{value:.2f}" if name == "seconds" else f"{value:.4g}" if measured else format_value(value)
    )
    number = isinstance(value, (int, float))
    return TableCell(text, "number" if number else "short" if len(text) < 25 else "text")


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


def show_recipe(frame: pd.DataFrame, *, print_cells: bool) -> list[Table]:
    """Shows what is constant, and what varies; on paper no text that the cells say there."""
    printed = find_varying(frame) if print_cells and len(frame) <= MOST_CELLS else []
    found = {name: sort_values(frame, name) for name in (*find_label_columns(frame), *FIELDS)}
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
        [name, TableCell(f"{len(every):,}", "number"), format_values(every, name in printed)]
        for name, every in found.items()
        if len(every) > 1
    ]
    head = ["column", "count", "values"]
    return [
        Table(rows=constant, kind="facts", caption="Held constant"),
        Table(rows=axes, kind="facts", caption="Varies", head=head),
    ]


def describe_schedules(frame: pd.DataFrame) -> list[str]:
    """Describes what schedulers spoil in pictures of the rows, as `preview` does before a run.

    Of models that are not here any more nothing can be said.
    """
    own = select_own(frame)
    alike = [name for name in FIELDS if name in own and name not in ("seed", *PROMPTS)]
    cells: list[Recipe] = []
    natives: dict[str, Native] = {}
    for request in read_requests(own.drop_duplicates(alike)):
        with suppress(FieldError):
            if request.model not in natives:
                natives[request.model] = native(request.model)
            cells.append(resolve(request, natives[request.model]))
    return list(collect_finished(cells, natives).values())


def format_values(found: list[Any], printed: bool) -> TableCell:
    """Writes numbers as ranges, and texts on a line each: on paper not many that are `printed`."""
    if not any(isinstance(value, str) for value in found):
        return TableCell(format_ranges(found))
    lines = [format_value(value) for value in found[:MOST_VALUES]]
    if len(found) > MOST_VALUES:
        lines.append(f"and {len(found) - MOST_VALUES:,} more, in the list of recipes below")
    paper = ON_PAPER if printed and len(found) > FEW_VALUES else ""
    return TableCell(lines=lines, kind="lines", paper=paper)


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
    unknown = list_unknown(frame)
    names = join_words(unknown[:MOST_VALUES]) if unknown else ""
    more = f" and {len(unknown) - MOST_VALUES:,} more" if len(unknown) > MOST_VALUES else ""
    head = ["model", "source", "images", "not comparable"]
    return Table(rows=shown, head=head, note=describe_silent(unknown, f"{names}{more}"))


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


def encode_csv(frame: pd.DataFrame) -> str:
    """Writes any frame as the address of a CSV file, "" if that is very large."""
    data = frame.to_csv(index=False).encode("utf-8-sig")  # for spreadsheets
    return "" if len(data) > CSV_BYTES else f"{CSV_START}{b64encode(data).decode()}"


def show_picture(path: str | None, words: str) -> TableCell:
    """Shows the picture, at most 128 pixels wide and high; small pictures keep every pixel."""
    if path is None:
        return TableCell("no picture", "note")
    try:
        with Image.open(path) as opened:
            image = put_on_white(opened)
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
    """Shows versions and machine of our own; where they vary, how many images each made."""
    made = select_made(select_own(frame))
    rows, known = [], [v is not None for v in column_values(made, "dtype")]
    for name in MACHINE:
        values = column_values(made, name)
        if name in IF_TRUE and any(values):  # else nothing is said of any
            values = [value or (False if told else None) for value, told in zip(values, known)]
        found = Counter(v for v in values if v is not None).most_common()
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
