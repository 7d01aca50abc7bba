"""`read_pictures`: folders of pictures from anywhere as a frame like `run`'s, one row a file."""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import suggest
from ...progress import watch_items
from ...recipe.request import ALIASES, SPECS
from ..columns import COLUMNS, ELSEWHERE, FOUND_AS, fit_column
from ..files import write_whole
from .row import make_error_row, read_files

if TYPE_CHECKING:
    import pandas as pd

    from ..store import Store

BATCH = 64  # files that a process is asked for at a time
FEW = 10_000  # files that one process reads as soon as two, which start and hand over rows
TOLD = "told beside the file"
NOT_OURS = ("key", "pixels", "created", "starred", "rating")  # of no picture that we did not make
KINDS: dict[str, Any] = {name: column.dtype for name, column in (COLUMNS | ELSEWHERE).items()}


def read_pictures(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    store: Store | str | os.PathLike[str] | None = None,
    *,
    processes: int | None = None,
    progress: bool = True,
    **columns: Any,
) -> pd.DataFrame:
    """Reads what the files of pictures say of their making, as a frame like that of `run`.

    A1111 and its forks, ComfyUI, InvokeAI, NovelAI, Fooocus, SwarmUI, Easy Diffusion, Draw Things,
    dgenerate, Midjourney and sdlab are read; in PNG, JPEG, WebP, AVIF and others, in a text file
    of the same name, or in the lowest bits of the pixels. Nothing of a file is run. What a file
    says is a claim: anybody can change it.

    Parameters
    ----------
    paths : path or iterable of paths
        A folder is searched with all below it, except what is hidden; text with `*` or `?` is a
        pattern (`**` for folders below); else one file, or the files named.
    store : Store or path, optional
        Keeps a copy of each picture that is not its own, by content, in its folder `elsewhere`;
        `path` leads there, and stars, ratings, verdicts, tags and notes on it are read, too.
        What is told of them is kept beside, in `elsewhere.csv`, with the names of their files: a
        frame of that folder has them in the column `found_as`.
    processes : int, optional
        1 or more. If left out, as many as there are cores for more than ten thousand files.
    progress : bool
        Whether a bar shows what is done.
    **columns
        Columns of pictures whose files say nothing, such as those of a hosted service:
        `model="dall-e-2"`, `prompt="a cat"`, `colour="red"`; one value, or a list with one a file.
        What is told here counts, whatever a file says. A file "pictures.csv" in the folder, or
        "FOLDER.csv" beside it, tells columns by its column "file", too.

    Returns
    -------
    DataFrame
        `run`'s columns, in our words and units; `height` and `width` are those of the picture
        where its file does not state others. Only pictures of sdlab have a `key`. `source` is who
        wrote the file, `not_translated` what it says that no field of a request can, apart by
        semicolons; with any of that, the same request would make another picture. A file that is
        no picture has no `path`, and its `error`. `frame.attrs["passed_over"]` maps what a folder
        holds beside its pictures to why it was passed over.

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        There is no such folder or file, or a column cannot be told so. All other trouble with a
        file is told in its row.

    Examples
    --------
    >>> frame = read_pictures("downloads")
    >>> frame = read_pictures("dall-e", model="dall-e-2", prompt="a hamster on a blue background")
    """
    import pandas as pd

    from ...watermark.folders import list_files
    from ..store import open_store

    kept = None if store is None else open_store(store)
    passed_over: dict[str, str] = {}
    files = [file for file in list_files(paths, passed_over) if file is not None]
    if passed_over and not files:
        warnings.warn(f"no picture in {os.fspath(paths)}", stacklevel=2)  # type: ignore[arg-type]
    told = read_tables(paths, files, passed_over)
    given = {name: spread_column(name, value, len(files)) for name, value in columns.items()}
    for number, file in enumerate(files if given else ()):
        own = {name: values[number] for name, values in given.items()}
        told[file] = told.get(file, {}) | own
    rows = list(read_rows(files, processes, progress))
    for row, file in zip(rows, files):
        add_told(row, told.get(file, {}))
        if kept is not None and row["path"]:
            row["path"] = keep_picture(kept, row)
    if kept is not None:
        keep_told(
            kept, {r["path"]: tell_name(kept, f, told.get(f, {})) for r, f in zip(rows, files)}
        )
    frame = make_frame(rows, list(dict.fromkeys(name for each in told.values() for name in each)))
    if kept is not None:  # as of now, by their names there
        names = [row["path"] and Path(row["path"]).stem for row in rows]
        frame = frame.assign(**kept.opinions.columns(pd.array(names, "string")))
    frame.attrs["passed_over"] = passed_over
    assert isinstance(frame, pd.DataFrame)
    return frame


# What is told beside the files


def spread_column(name: str, value: Any, count: int) -> list[Any]:
    """Gives each file its value of a column."""
    require_tellable(name)
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        return [value] * count
    values = list(value)
    if len(values) != count:
        raise ValueError(
            f"{name} has {len(values)} values for {count} files; give one, or one a file"
        )
    return values


def require_tellable(name: str) -> None:
    """Refuses a column that is known of the file alone, and a name that is nearly a field's."""
    if name in NOT_OURS or name in ("path", "error"):
        raise ValueError(
            f"{name}= cannot be told: it is known of pictures that were made here, or of the file"
        )
    if name not in KINDS and name in ALIASES:
        raise TypeError(f"{name}={suggest(ALIASES[name], SPECS)} the column is {ALIASES[name]!r}")


def read_tables(
    paths: Any, files: Sequence[str], passed_over: dict[str, str]
) -> dict[str, dict[str, Any]]:
    """Reads {file: what the CSV in or beside the folder tells of it}."""
    if not isinstance(paths, (str, os.PathLike)) or not os.path.isdir(os.path.expanduser(paths)):
        return {}
    folder = Path(os.path.expanduser(paths))
    tables = (folder / "pictures.csv", folder.absolute().with_suffix(".csv"))
    table = next((table for table in tables if table.is_file()), None)
    if not table:
        return {}
    passed_over.pop(str(table), None)
    return read_table(table, folder, files)


def read_table(table: Path, folder: Path, files: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Reads a CSV whose column "file" names pictures as seen from the folder."""
    with table.open(encoding="utf-8-sig", newline="") as lines:
        rows = list(csv.DictReader(lines))
    names = list(rows[0]) if rows else ["file"]
    if "file" not in names or None in names:
        raise ValueError(f"{table}: its first line names no column 'file'; it has {names}")
    for name in names:
        if name != "file":
            require_tellable(name)
    known = {os.path.normpath(file): file for file in files}
    told = {}
    for row in rows:
        place = os.path.normpath(os.path.join(folder, row.pop("file") or ""))
        if place not in known:
            raise ValueError(f"{table} tells of {place}, and there is no such picture")
        told[known[place]] = {name: read_cell(name, value) for name, value in row.items() if value}
    return told


def read_cell(name: str, value: str) -> Any:
    """Reads what a CSV says of a column."""
    kind = SPECS[name].kind if name in SPECS else ""
    if kind not in ("whole", "real"):
        return value
    try:
        return int(value) if kind == "whole" else float(value)
    except ValueError:
        raise ValueError(f"{name}={value!r} in the CSV is no number") from None


def add_told(row: dict[str, Any], told: Mapping[str, Any]) -> None:
    """Puts what is told in place of what the file says."""
    row.update(told)
    if any(name != FOUND_AS for name in told):
        row["source"] = told.get("source") or row["source"] or TOLD


def keep_picture(store: Store, row: Mapping[str, Any]) -> str:
    """Keeps a picture's file in the store, under its content; gives where it is.

    A file that the store has made needs no copy. One that was found stays apart from the same
    picture made here, also later: what was said of it is about that file.
    """
    path = Path(row["path"])
    data = path.read_bytes()
    place = name_copy(store, data, path.suffix)
    if place.exists():
        return str(place)
    if row.get("key") and is_content(store.path(row["key"]), data):
        return str(store.path(row["key"]))
    write_whole(place, data)
    return str(place)


def is_content(path: Path, data: bytes) -> bool:
    """Tells whether a file is there, and has just these bytes."""
    return path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data


def name_copy(store: Store, data: bytes, suffix: str) -> Path:
    """Names the copy of a picture from elsewhere, by its content."""
    name = hashlib.sha256(data).hexdigest()[:32]
    return store.root / "elsewhere" / name[:2] / f"{name}{suffix.lower()}"


def tell_name(store: Store, file: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """Tells the name of a file that is kept under another one; a copy keeps the one it had."""
    is_copy = is_below(file, store.root / "elsewhere")
    return {**({} if is_copy else {FOUND_AS: os.path.basename(file)}), **told}


def keep_told(store: Store, told: Mapping[Any, Mapping[str, Any]]) -> None:
    """Keeps what was told of the copies in a CSV beside their folder, where it is read again."""
    folder = store.root / "elsewhere"
    copies = {path: own for path, own in told.items() if path and own}
    copies = {os.path.relpath(p, folder): v for p, v in copies.items() if is_below(p, folder)}
    if not copies:
        return
    table, rows = folder.with_suffix(".csv"), dict[str, dict[str, Any]]()
    if table.is_file():
        with table.open(encoding="utf-8-sig", newline="") as lines:
            rows = {row["file"]: row for row in csv.DictReader(lines)}
    for file, own in copies.items():
        name = Path(file).as_posix()
        before = rows.get(name, {}) if own.keys() == {FOUND_AS} else {}  # nothing new is told
        rows[name] = {**before, **own, "file": name}
    rows = {file: row for file, row in rows.items() if (folder / file).is_file()}
    names = ["file", *dict.fromkeys(name for row in rows.values() for name in row)]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, dict.fromkeys(names))
    writer.writeheader()
    writer.writerows(rows.values())
    data = text.getvalue().encode()
    if not table.is_file() or table.read_bytes() != data:
        write_whole(table, data)


def is_below(path: str, folder: Path) -> bool:
    """Tells whether a file lies in that folder or below it."""
    return Path(path).absolute().is_relative_to(folder.absolute())


# What the files say


def read_rows(
    files: Sequence[str], processes: int | None, progress: bool
) -> Iterator[dict[str, Any]]:
    """Reads a row for each file, in order; several processes for many."""
    from ...watermark.processes import ask_processes, count_processes

    count = 1 if processes is None and len(files) <= FEW else processes
    batches = [files[n : n + BATCH] for n in range(0, len(files), BATCH)]
    count = count_processes(len(batches), "", count)
    answers = ask_processes(read_batch, batches, None, count)
    with closing(answers):
        shown = watch_items(batches, progress and len(files) > BATCH)
        for _, (batch, rows) in zip(shown, answers):
            yield from rows if isinstance(rows, list) else read_apart(batch)


def read_apart(batch: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Reads files one by one in a process that may die of them."""
    from ...watermark.processes import Worker

    worker = Worker(None, read_batch)
    try:
        for file in batch:
            rows = worker.ask([file])
            yield rows[0] if isinstance(rows, list) else make_error_row(file, rows)
    finally:
        worker.stop()


def read_batch(files: Sequence[str], asked: None = None) -> list[dict[str, Any]]:
    """Reads a row for each of some files."""
    return read_files(files)


# The frame


def make_frame(rows: Sequence[Mapping[str, Any]], others: Sequence[str]) -> pd.DataFrame:
    """Makes the frame of the rows, with `run`'s columns first and others behind the fields."""
    import pandas as pd

    more = [name for name in others if name not in KINDS]
    names = [*itertools.takewhile(lambda name: name != "path", KINDS)]
    names += [*more, *(name for name in KINDS if name not in names)]
    columns, known = {}, set[str]().union(*rows)
    for name in names:
        values = [row.get(name) for row in rows] if name in known else []
        if name not in known:
            none = pd.array([None], dtype=KINDS[name])
            columns[name] = none.repeat(len(rows))
        elif name in KINDS:
            columns[name] = pd.array(fit_column(values, KINDS[name]), dtype=KINDS[name])
        else:
            columns[name] = (
                pd.Series(values, dtype=None if rows else "string").convert_dtypes().array
            )
    return pd.DataFrame(columns, copy=False)
