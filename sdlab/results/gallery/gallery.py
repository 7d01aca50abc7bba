"""A frame becomes a folder, or one HTML file, that shows its pictures without a server."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup
from PIL import Image

from ...pictures import HASH, SMALL_SIDE, data_uri, put_on_white, webp_bytes
from ...recipe.request import FIELDS
from ...store.columns import COLUMNS
from ...store.files import write_whole
from ...store.png import read_thumbnail
from ..frame import (
    UNREADABLE,
    column_values,
    count_noun,
    describe_file_problem,
    find_label_columns,
    find_varying,
    format_label,
    hide_home,
    is_counter,
    order_values,
    row_tuples,
    shorten_pictures,
)
from ..grid import find_columns, require_pictures
from ..html import TEMPLATES
from ..sections import summarize

HERE = Path(__file__).parent
SCRIPTS = (  # in the order in which they stand in the page
    *("../elements.js", "tools.js", "data.js", "opinions.js", "layout.js", "cell.js", "sight.js"),
    *("zoom.js", "pins.js", "bar.js", "gallery.js"),
)
MARK = '<meta name="generator" content="sdlab gallery">'
UNFINISHED = f"{MARK}<p>This gallery is being written, or was not finished."  # no old captions
KINDS = ("thumbs", "pictures")  # folders of a gallery
LEFT_OUT = ("path", "starred", "rating", "pixels")  # of what is told, or kept elsewhere
ENDING = re.compile(r"\.\w{1,5}")
MOST_WORDS = 4000  # characters of a value


def write_gallery(
    path: str | os.PathLike[str],
    frame: pd.DataFrame,
    *,
    title: str = "Gallery",
    text: str = "",
    row: str | Sequence[str] | None = None,
    col: str | Sequence[str] | None = None,
    whole: bool = True,
) -> Path:
    """Writes a page of all pictures that opens from disk: search, filter, sort, zoom and compare.

    The reader chooses what stands in rows and columns. Stars and notes stay in the reader's
    browser, and are exported as lines that a store's `opinions.jsonl` takes. The page asks for
    nothing from anywhere else.

    Parameters
    ----------
    path : path
        A folder, made if it is not there, or a file that ends with ".html". Both open quickly with
        20,000 pictures; one file holds small pictures only, about 5 kB each.
    frame : DataFrame
        One row a picture, as `run` returns it; other columns are shown, too.
    title, text : str
        What stands above; blank lines part paragraphs.
    row, col : str or list of str, optional
        What stands in rows and columns when the page is opened; several are joined, as in
        `image_grid`.
    whole : bool
        Whether the folder has a copy of each picture's file, with its recipe, besides the small
        ones of at most 128 pixels.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    TypeError, ValueError, FileExistsError
        No frame of pictures, no such column, or a folder that holds something else, or the
        frame's own pictures.
    """
    require_pictures(frame)
    frame, rows = join_columns(frame, find_columns(frame, row, "row"))
    frame, cols = join_columns(frame, find_columns(frame, col, "col"))
    path = Path(path).expanduser()
    alone = path.suffix.lower() in (".html", ".htm")
    if not alone:
        require_own_folder(path)
        require_pictures_elsewhere(path, frame)
    names = name_files(frame)
    data = {
        "columns": list_columns(frame, rows, cols),
        "names": names,
        "keys": [str(key or "") for key in column_values(frame, "key")],
        "axes": [rows, cols],
        "thumbs": "" if alone else "thumbs/",
        "whole": "pictures/" if whole and not alone else "",
        "endings": name_endings(frame, names),
    }
    small = dict(make_thumbnails(frame, names, exact=bool(data["whole"])))
    data["exact"] = "".join("1" if small.get(name) == b"" else "0" for name in names)
    data["lost"] = {name: said for name, said in small.items() if isinstance(said, str)}
    if alone:
        data["uris"] = [data_uri(s) if isinstance(s := small.get(n), bytes) else "" for n in names]
    else:
        path.mkdir(parents=True, exist_ok=True)
        write_whole(path / "index.html", UNFINISHED.encode())
        write_pictures(path, frame, names, small, whole)
    page = path if alone else path / "index.html"
    write_whole(page, render_gallery(title, text, frame, data).encode("utf-8", "replace"))
    return page


def require_own_folder(path: Path) -> None:
    """Raises unless the folder is new, empty, or an earlier gallery."""
    if path.is_file():
        raise FileExistsError(f"{path} is a file; give a folder, or a name that ends with .html")
    if path.is_dir() and any(path.iterdir()):
        page = path / "index.html"
        if not page.is_file() or MARK not in page.read_text("utf-8", "replace")[:5000]:
            raise FileExistsError(
                f"{path} holds something else than a gallery; give a new folder, such as"
                f" {path / 'gallery'}"
            )


def require_pictures_elsewhere(folder: Path, frame: pd.DataFrame) -> None:
    """Raises if the frame's own pictures are those of the folder, which are to be replaced."""
    replaced = [folder.resolve() / kind for kind in KINDS]
    for place in {Path(str(each)).parent for each in column_values(frame, "path") if each}:
        if any(place.resolve().is_relative_to(own) for own in replaced):
            raise FileExistsError(
                f"{folder} holds pictures of this frame, which a new gallery there would delete;"
                f" give a new folder, such as {folder.with_name(f'{folder.name}-2')}"
            )


def name_files(frame: pd.DataFrame) -> list[str]:
    """Names the picture of each row by its key, or its number; "" where there is none.

    A key that has several pictures, as one recipe rendered in two formats, names none of them.
    """
    both = row_tuples(frame, ["path", "key"])
    pictures: dict[Any, set[Any]] = {}
    for path, key in both:
        pictures.setdefault(key, set()).add(path)
    known = {
        key for key, of in pictures.items() if len(of - {None}) == 1 and HASH.fullmatch(str(key))
    }
    return [
        "" if path is None else str(key) if key in known else f"{i:06}"
        for i, (path, key) in enumerate(both, 1)
    ]


def name_endings(frame: pd.DataFrame, names: list[str]) -> dict[str, str]:
    """Names the endings of pictures that are no PNG files, as the page's folder has them."""
    both = zip(names, column_values(frame, "path"))
    found = {name: Path(str(path)).suffix.lower() for name, path in both if name}
    return {
        name: end if ENDING.fullmatch(end) else ".bin"
        for name, end in found.items()
        if end != ".png"
    }


# What the page knows


def join_columns(frame: pd.DataFrame, names: list[str]) -> tuple[pd.DataFrame, str]:
    """Gives the frame with one column for several, in the order of `order_values`, and its name."""
    if len(names) < 2:
        return frame, "".join(names)
    short = shorten_pictures(frame)
    levels = dict.fromkeys(map(format_label, order_values(short, names)))
    labels = [format_label(each) for each in row_tuples(short, names)]
    joined = pd.Categorical(labels, [*levels], ordered=True)
    return frame.assign(**{(title := " · ".join(names)): joined}), title


def list_columns(frame: pd.DataFrame, *sides: str) -> list[dict[str, Any]]:
    """Lists the columns for the page: each value once, and for each row which of them it has."""
    frame = shorten_pictures(frame)
    axes = [*find_varying(frame), *filter(None, sides)]
    names = dict.fromkeys((*axes, *find_label_columns(frame), *FIELDS, *frame.columns))
    return [
        describe_column(frame, name, name in axes and not is_joined(frame[name]))
        for name in names
        if name in frame.columns and name not in LEFT_OUT and not is_counter(name)
    ]


def is_joined(column: pd.Series) -> bool:
    """Tells whether a column's values have an order of their own, as joined ones have."""
    return isinstance(column.dtype, pd.CategoricalDtype) and bool(column.dtype.ordered)


def describe_column(frame: pd.DataFrame, name: str, is_axis: bool) -> dict[str, Any]:
    """Describes a column: its different values, which of them each row has, and what it is."""
    ordered = is_joined(frame[name])
    levels: dict[Any, int] = (
        {level: n for n, level in enumerate(frame[name].cat.categories)} if ordered else {}
    )
    found = [levels.setdefault(value, len(levels)) for value in column_values(frame, name)]
    known = [value for value in levels if value is not None]
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in known)
    return {
        "name": str(name),
        "axis": is_axis,
        "ordered": ordered,
        "number": bool(known) and numbers,
        "recipe": name in FIELDS,
        "fact": name in COLUMNS and name not in FIELDS,
        "levels": [level if level is None else write_level(level) for level in levels],
        "codes": found if len(levels) > 1 else [],
    }


def write_level(value: Any) -> Any:
    """Writes a value that JSON holds, without the home folder, of bounded length."""
    if isinstance(value, (bool, int, float)):
        return value if value == value and abs(value) != float("inf") else str(value)
    return hide_home(value)[:MOST_WORDS]


# Pictures


def make_thumbnails(
    frame: pd.DataFrame, names: list[str], *, exact: bool
) -> Iterator[tuple[str, bytes | str]]:
    """Yields (name, the WebP of a small picture, or why there is none), once for each picture.

    With `exact` it is b"" for pictures that are small themselves: a smaller file is not worth it.
    """
    done = set()
    for name, path in zip(names, column_values(frame, "path")):
        if name and name not in done:
            done.add(name)
            try:
                yield name, make_thumbnail(str(path), exact)
            except UNREADABLE as problem:
                yield name, describe_file_problem(problem)


def make_thumbnail(path: str, exact: bool) -> bytes:
    """Makes the small picture, or takes the one that a file of sdlab carries."""
    if known := read_thumbnail(path):
        return known
    with Image.open(path) as image:
        if exact and max(image.size) <= SMALL_SIDE:
            return b""
        return webp_bytes(put_on_white(image), SMALL_SIDE)


def write_pictures(
    folder: Path, frame: pd.DataFrame, names: list[str], small: dict[str, bytes | str], whole: bool
) -> None:
    """Writes the pictures into the folder, and removes those of an earlier gallery there."""
    for kind in KINDS:
        shutil.rmtree(folder / kind, ignore_errors=True)
    for name in {name[:2] for name in names if name}:
        (folder / "thumbs" / name).mkdir(parents=True, exist_ok=True)
        if whole:
            (folder / "pictures" / name).mkdir(parents=True, exist_ok=True)
    endings = name_endings(frame, names)
    for name, path in dict(zip(names, column_values(frame, "path"))).items():
        if name and isinstance(data := small[name], bytes):
            place = f"{name[:2]}/{name}"
            if data:
                (folder / "thumbs" / f"{place}.webp").write_bytes(data)
            if whole:
                file = f"{place}{endings.get(name, '.png')}"
                shutil.copyfile(str(path), folder / "pictures" / file)


# The page


def render_gallery(title: str, text: str, frame: pd.DataFrame, data: dict[str, Any]) -> str:
    """Renders the page, whose one script is named by its hash: no other can run."""
    script = "".join((HERE / name).read_text("utf-8") for name in SCRIPTS)
    script = f'"use strict";\n{{\n{script}}}\n'
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return TEMPLATES.get_template("gallery/gallery.html.j2").render(
        mark=Markup(MARK),
        title=title,
        text=text,
        summary=summarize(frame) if {"error", "seed"} <= {*frame.columns} else "",
        count=count_noun(len(frame), "picture"),
        style=Markup((HERE / "gallery.css").read_text("utf-8")),
        script=Markup(script),
        digest=digest,
        data=Markup(write_json(data)),
    )


def write_json(data: Any) -> str:
    """Writes JSON that can stand in a page: no "<" can end its script, or begin another."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
