"""What can be verified: frames, stores, reports and pictures, each read with its recipe."""

from __future__ import annotations

import base64
import binascii
import io
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from ...models.catalogue import find_by_file
from ...models.resolve import find
from ...pictures import PICTURES, Picture, hash_pixels, png_bytes
from ...recipe.request import FIELDS
from ...store.columns import DECIDING_BITS
from ...store.inputs import InputFolder
from ...store.png import SIGNATURE, read_record
from ...store.readers.row import read_row
from ...store.store import Store
from ...watermark.scanning import list_files
from ..code import HOW, find_store_root
from ..frame import (
    UNREADABLE,
    column_values,
    find_foreign,
    find_inputs,
    join_words,
    require_paths,
    select_own,
    to_plain,
)

FACTS = (*DECIDING_BITS, *HOW)  # what a picture's bits may depend on beside its recipe
NOISE = (
    "the program's noise begins on a graphics card, and sdlab's on the processor, so"
    " no seed gives the same"
)
GIVE = (
    "verify takes a frame of run(), a Store or its folder, a report's HTML file, or pictures: a"
    " file, a folder, or a list of them"
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A picture that was handed on, and what is said of how it was made.

    Parameters
    ----------
    name : str
        Its key, or its file's name.
    fields : mapping
        Of its request.
    facts : mapping
        What was recorded: `FACTS`, and "pixels".
    picture : path, bytes or None
        The file; None where it was not handed on.
    reduced : bool
        Whether that is a report's small picture of it.
    lacks : str
        Why it cannot be rendered; "" if nothing is known to be missing.
    note : str
        What is to be said beside the verdict.
    """

    name: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    picture: str | os.PathLike[str] | bytes | None = None
    reduced: bool = False
    lacks: str = ""
    note: str = ""

    def open(self) -> Image.Image | None:
        """Reads the picture, RGB; None if it is not at hand or cannot be read."""
        if self.picture is None:
            return None
        source = io.BytesIO(self.picture) if isinstance(self.picture, bytes) else self.picture
        try:
            with Image.open(source) as image:
                return image.convert("RGB")
        except UNREADABLE:
            return None


@dataclass(frozen=True)
class Given:
    """The pictures that are to be verified, and how many rows had none.

    `lent` keeps their input pictures known.
    """

    cases: list[Case]
    lent: Any = None
    without: int = 0


def read_given(what: Any) -> Given:
    """Reads what `verify` was given.

    Raises
    ------
    TypeError, ValueError, FileNotFoundError
        It is nothing of that kind, or holds no picture.
    """
    if isinstance(what, Store):
        return read_store(what)
    if isinstance(what, pd.DataFrame):
        given = read_frame(what)
    elif isinstance(what, (str, os.PathLike)):
        given = read_place(Path(what).expanduser())
    elif isinstance(what, Sequence):
        given = read_files([Path(each).expanduser() for each in what])
    else:
        raise TypeError(f"{type(what).__name__} cannot be verified; {GIVE}")
    if not given.cases:
        raise ValueError(f"there is no picture to verify; {GIVE}")
    return given


def read_place(place: Path) -> Given:
    """Reads a store's folder, a folder of pictures, a report or a picture."""
    if not place.exists():
        raise FileNotFoundError(f"{place} is not there; {GIVE}")
    if place.is_dir():
        if (place / "index.sqlite").exists() or any(place.glob("images/??/*.png*")):
            return read_store(StoreAsItIs(place))
        return read_files([Path(file) for file in list_files(place) if file])
    if place.suffix.lower() in (".html", ".htm"):
        return read_report(place)
    return read_files([place])


# sdlab's own


def read_frame(frame: pd.DataFrame) -> Given:
    """Reads the rows that have a picture; by its file what has no whole recipe of ours."""
    require_paths(frame)
    paths = column_values(frame, "path")
    if any(name not in frame.columns for name in FIELDS):
        files = read_files([Path(path) for path in paths if path is not None])
        return replace(files, without=paths.count(None))
    root, cases = find_store_root(select_own(frame)), []
    columns = {name: column_values(frame, name) for name in (*FIELDS, *FACTS, "pixels", "key")}
    for i, (path, foreign) in enumerate(zip(paths, find_foreign(frame))):
        row = {name: column[i] for name, column in columns.items() if column[i] is not None}
        if path is not None and foreign:  # what its row does not state is no default
            cases.append(read_file(Path(path)))
        elif path is not None:
            cases.append(make_case(row, path, row.get("key") or Path(path).name))
    lent = lend_inputs(root, find_inputs(frame)) if root else None
    return Given(cases, lent, paths.count(None))


def make_case(row: Mapping[str, Any], picture: Any, name: str, **more: Any) -> Case:
    """Makes a case of what a row states."""
    fields = {name: row[name] for name in FIELDS if row.get(name) is not None}
    facts = {name: row[name] for name in (*FACTS, "pixels") if row.get(name) is not None}
    return Case(name=str(name), fields=fields, facts=facts, picture=picture, **more)


def lend_inputs(root: Path, names: Iterable[str]) -> InputFolder:
    """Makes a store's input pictures known."""
    folder = InputFolder(root / "inputs")
    folder.lend(names)
    return folder


class StoreAsItIs(Store):
    """A store in which nothing is moved aside or entered: what is not in its index stays so."""

    def _refill(self) -> None:
        """Leaves all files where they are."""


def read_store(store: Store) -> Given:
    """Reads all of a store: what its index tells, and the other files by what they carry."""
    frame = store.frame()
    given = read_frame(frame)
    known = {*column_values(frame, "key")}
    others = read_files([p for p in sorted(store.images.glob("??/*.png")) if p.stem not in known])
    broken = [
        Case(name=path.name, picture=path, lacks="it was moved aside, as it could not be read")
        for path in sorted(store.images.glob("??/*.png.broken"))
    ]
    if not (cases := [*given.cases, *others.cases, *broken]):
        raise ValueError(f"{store!r} has no picture to verify")
    return Given(cases, (given.lent, others.lent), given.without)


def read_files(paths: Sequence[Path]) -> Given:
    """Reads pictures by what their files say."""
    cases = [read_file(path) for path in paths]
    roots = {path.absolute().parents[2] for path in paths if len(path.absolute().parents) > 2}
    names = {str(case.fields[f]) for case in cases for f in PICTURES if f in case.fields}
    return Given(cases, [lend_inputs(root, names) for root in roots if names])


def read_file(path: Path) -> Case:
    """Reads a picture of sdlab by its record, another by A1111's text."""
    try:
        with path.open("rb") as file:
            is_png = file.read(8) == SIGNATURE
        record = read_record(path) if is_png else None
    except FileNotFoundError:
        return Case(name=path.name, lacks="the file is not there")
    except ValueError as error:
        return Case(name=path.name, picture=path, lacks=str(error))
    if record:
        return make_case({**record["facts"], **record["request"]}, path, record["key"])
    return read_foreign(path)


# Pictures of other programs


def read_foreign(path: Path) -> Case:
    """Reads what another program says of its picture, and names what is missing."""
    row = {name: to_plain(value) for name, value in read_row(str(path)).items()}
    if row.get("error"):
        return Case(name=path.name, lacks=f"it cannot be read as a picture: {row['error']}")
    if not row.get("source"):
        return Case(name=path.name, picture=path, lacks="it carries no recipe")
    fields: dict[str, Any] = {n: row[n] for n in FIELDS if row.get(n) is not None}
    if "model" in fields:
        fields["model"] = find_by_file(str(fields["model"]))
    unread = str(row.get("not_translated") or "")
    notes = [
        "its weights are not told but by name",
        unread and f"not read of its recipe: {unread}",
        path.suffix.lower() != ".png" and "the file's format may keep no exact pixels",
    ]
    note = "; ".join(each for each in notes if each)
    return Case(
        name=path.name, fields=fields, picture=path, lacks=name_missing(fields, unread), note=note
    )


def name_missing(fields: Mapping[str, Any], unread: str) -> str:
    """Names what is missing to render another program's picture; "" if nothing is known to be."""
    needed = ("seed", "num_inference_steps", "guidance_scale", "scheduler", "height", "width")
    missing = [f"no {name}" for name in (*needed, "model") if name not in fields]
    reasons = [join_words(missing)] if missing else []
    try:
        find(str(fields["model"])) if "model" in fields else None
    except (OSError, TypeError, ValueError):
        reasons.append(f"the model {fields['model']!r} is not on this machine")
    if "noise made" in unread:
        reasons.append(NOISE)
    return ". Besides, ".join(reasons)


# Reports


class ReportReader(HTMLParser):
    """Reads a report's list of recipes, the small picture of each row, and all other pictures."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.recipes, self.others = "", list[bytes]()
        self.pictures: dict[int, bytes] = {}  # by the number of the row, from 1
        self.place, self.number = "", 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "pre" and given.get("id") == "recipes":
            self.place = "recipes"
        elif tag == "table":
            self.place = "cells" if given.get("class") == "cells" else ""
        elif tag == "tr" and self.place == "cells":
            self.number = 0
        elif tag == "img" and (data := read_data_uri(given.get("src") or "")):
            if self.place == "cells":
                self.pictures[self.number] = data
            else:
                self.others.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("pre", "table"):
            self.place = ""

    def handle_data(self, data: str) -> None:
        if self.place == "recipes":
            self.recipes += data
        elif self.place == "cells" and not self.number and data.strip().isdigit():
            self.number = int(data)


def read_data_uri(text: str) -> bytes:
    """Reads a data address; b"" of any other."""
    match = re.match(r"data:image/[a-z+]+;base64,", text)
    try:
        return base64.b64decode(text[match.end() :], validate=True) if match else b""
    except binascii.Error:
        return b""


def read_report(path: Path) -> Given:
    """Reads a report: its recipes, what was recorded, its small pictures and its inputs."""
    page = ReportReader(path.read_text(encoding="utf-8", errors="replace"))
    try:
        found = json.loads(page.recipes)
        rows = [found["shared"] | dict(zip(found["varying"], row)) for row in found["rows"]]
        told = found.get("facts") or {"shared": {}, "varying": [], "rows": [[]] * len(rows)}
        facts = [told["shared"] | dict(zip(told["varying"], row)) for row in told["rows"]]
        rows = [{**fact, **row} for fact, row in zip(facts, rows, strict=True)]
        numbers = found.get("numbers") or range(1, len(rows) + 1)  # in the table of all cells
        numbered = list(zip(numbers, rows, strict=True))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} holds no list of recipes, so it is no report of sdlab") from error
    cases = []
    for number, row in numbered:
        picture = page.pictures.get(number)
        if picture is None and row.get("pixels") is None:
            continue  # it failed, or stands behind the last that is shown
        whole = picture is not None and is_whole(picture, row)
        name = f"{path.name}, row {number}"
        cases.append(make_case(row, picture, name, reduced=bool(picture) and not whole))
    inputs = [name_input(data) for data in page.others]
    return Given(cases, inputs, len(rows) - len(cases))


def is_whole(data: bytes, row: Mapping[str, Any]) -> bool:
    """Tells whether a report's picture has every pixel: it is as large as its recipe says.

    Larger ones are reduced, and only those that were small enough are kept without loss.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.size == (row.get("width"), row.get("height"))
    except UNREADABLE:
        return True  # it is no small copy of anything


def name_input(data: bytes) -> Picture | None:
    """Makes an input picture known under the name of its content."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            return Picture(hash_pixels(image), png_bytes(image))
    except UNREADABLE:
        return None
