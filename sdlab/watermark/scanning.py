"""Whole folders: one row a file, whatever the file is."""

from __future__ import annotations

import glob
import itertools
import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from ..progress import Progress, display, duration
from .opening import convert_image, open_picture, shorten_error
from .payloads import PAYLOADS
from .provenance import read_marks
from .workers import Worker

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = {  # name: pandas dtype
    "path": "string",
    "width": "Int64",
    "height": "Int64",
    "format": "string",
    "payload": "string",
    "log10_p": "Float64",
    "detected": "boolean",
    "agreement": "Float64",
    "geometry": "string",
    "official": "string",
    "small": "boolean",
    "provenance": "string",
    "error": "string",
}
SUFFIXES = (
    ".png",
    ".apng",
    ".jpg",
    ".jpeg",
    ".jpe",
    ".jfif",
    ".webp",
    ".avif",
    ".avifs",
    ".tif",
    ".tiff",
    ".gif",
    ".bmp",
    ".dib",
    ".jp2",
    ".j2k",
    ".jpx",
    ".pnm",
    ".ppm",
    ".pgm",
    ".pbm",
    ".tga",
    ".ico",
    ".pcx",
    ".sgi",
    ".qoi",
)
# files that one process reads sooner than others start; a search is slow, and starts them for 4
FEW = {"none": 32}
AHEAD = 4  # files under way for each process, so that a slow one holds up no other


def scan(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str] | None],
    payloads: Any = PAYLOADS,
    *,
    search: str = "none",
    false_positive_rate: float = 1e-6,
    processes: int | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Detect marks and read the metadata of many files, one row a file in the order of the paths.

    Parameters
    ----------
    paths : path or iterable of paths
        A folder is searched with all below it, except what is hidden, for the usual picture
        suffixes; text with `*` or `?` is a pattern (`**` for folders below); else one file, or the
        files named.
    payloads, search, false_positive_rate
        As in `detect_watermark`. The rate holds for each file: at 1e-6 a million files without a
        mark give one hit.
    processes : int, optional
        1 or more. If left out, one for every core that may be used, or this one alone for a few
        files.
    progress : bool
        Whether a bar shows what is done and how long the rest will take.

    Returns
    -------
    DataFrame
        `payload` is missing unless something is detected; `log10_p`, `agreement` and `geometry` are
        those of the most likely payload all the same. `official` names the payloads that the
        official decoder reads without an error. `small` says that no mark is written at this size;
        without a search nothing is tested then. `provenance` is what `read_marks` finds, and
        `error` why a file could not be read.

    Raises
    ------
    FileNotFoundError
        If `paths` is one path, and there is nothing. All other trouble with a file is told in its
        row.

    Examples
    --------
    >>> frame = scan("downloads")
    >>> frame[frame["detected"].fillna(False)]
    """
    import pandas as pd

    from .detector import name_payloads, require_search

    require_search(search, false_positive_rate)
    asked = {
        "payloads": name_payloads(payloads),
        "search": search,
        "false_positive_rate": false_positive_rate,
    }
    files = list_files(paths)
    count = count_processes(len(files), search, processes)
    reading = ScanProgress(len(files))
    show = display(reading) if progress and files else lambda: None
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    try:
        with closing(read_rows(files, asked, count)) as rows:
            for row in rows:
                for name, column in columns.items():
                    column.append(row[name])
                reading.add(row)
                show()
        reading.state = "done"
    finally:
        reading.state = "stopped" if reading.state == "running" else reading.state
        show()
    return pd.DataFrame(
        {name: pd.Series(columns[name], dtype=dtype) for name, dtype in COLUMNS.items()}
    )


# Which files


def list_files(paths: Any) -> list[str | None]:
    """List the files that `paths` names, those of a folder in the order of their names."""
    if isinstance(paths, (str, os.PathLike)):
        paths = os.path.expanduser(paths)
        if os.path.isdir(paths):
            return list(walk_pictures(Path(paths)))
        if os.path.exists(paths):
            return [os.fspath(paths)]
        matching = (
            glob.iglob(os.fspath(paths), recursive=True) if glob.has_magic(os.fspath(paths)) else ()
        )
        if found := sorted(name for name in matching if not os.path.isdir(name)):
            return found
        raise FileNotFoundError(
            f"{os.fspath(paths)}: there is no such folder or file; name a folder, a pattern such as"
            " 'pictures/**/*.png', or a list of files"
        )
    if isinstance(paths, bytes) or not isinstance(paths, Iterable):
        raise TypeError(
            f"paths={paths!r:.80} is no path and no list of paths; detect_watermark() takes a"
            " single picture"
        )
    files = list(paths)
    for file in files:
        if not isinstance(file, (str, os.PathLike)) and not is_missing(file):
            raise TypeError(
                f"paths has {file!r:.80} in it, which is no path; detect_watermark() takes a"
                " picture itself"
            )
    return [None if is_missing(file) else os.fspath(file) for file in files]


def is_missing(value: Any) -> bool:
    """Tell None, NaN and pandas' NA, which stand in a frame's `path` where a picture failed."""
    return (
        value is None
        or type(value).__name__ == "NAType"
        or (isinstance(value, float) and value != value)
    )


def walk_pictures(folder: Path) -> Iterator[str]:
    """List the pictures in a folder and below, not hidden ones, nor behind links to folders."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield os.path.join(place, name)


# Their rows


def read_rows(
    files: Iterable[str | None], asked: Mapping[str, Any], processes: int = 1
) -> Generator[dict[str, Any]]:
    """Read a row for each file, in order; closing the iterator ends all processes at once."""
    if processes == 1:
        yield from (read_row(file, asked) for file in files)
        return
    workers = [Worker(asked) for _ in range(processes)]
    idle: SimpleQueue[Worker] = SimpleQueue()
    for worker in workers:
        idle.put(worker)
    pool = ThreadPoolExecutor(processes)  # its threads only wait for the processes
    try:
        yield from read_in_order(pool, idle, iter(files), processes * AHEAD)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.stop()
        pool.shutdown(wait=True)


def read_in_order(
    pool: ThreadPoolExecutor, idle: SimpleQueue[Worker], files: Iterator[str | None], ahead: int
) -> Iterator[dict[str, Any]]:
    """Read the rows in the order of the files, of which only so many are under way."""

    def read(file: str | None) -> dict[str, Any]:
        worker = idle.get()
        try:
            answer = worker.ask(file)
        finally:
            idle.put(worker)
        return answer if isinstance(answer, dict) else make_empty_row(file) | {"error": answer}

    under_way = deque(pool.submit(read, file) for file in itertools.islice(files, ahead))
    while under_way:
        row = under_way.popleft().result()
        under_way.extend(pool.submit(read, file) for file in itertools.islice(files, 1))
        yield row


def read_row(file: str | None, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Read what is found in one file; whatever goes wrong stands under "error"."""
    row = make_empty_row(file)
    try:
        if file is None:
            raise ValueError("there is no path, so there is no picture")
        with open_picture(file) as image:
            row.update(width=image.width, height=image.height, format=image.format)
            try:
                rgb = convert_image(image)
                row["height"], row["width"] = rgb.shape[:2]
            finally:
                row["provenance"] = "; ".join(map(str, read_marks(image))) or None
        row.update(judge_pixels(rgb, asked))
    except Exception as error:  # a file that cannot be judged is a row and not the end of the scan
        row["error"] = shorten_error(error).removeprefix(f"{Path(file or '')}: ")
    return row


def make_empty_row(file: str | None) -> dict[str, Any]:
    """Make a row of the path alone, its bytes that are no text escaped: pandas cannot hold them."""
    path = file and file.encode("utf-8", "backslashreplace").decode()
    return dict.fromkeys(COLUMNS) | {"path": path}


def judge_pixels(rgb: Any, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Detect marks in the pixels, and tell it as columns."""
    from .detector import detect_watermark

    inspection = detect_watermark(rgb, **asked)
    best = inspection.best
    found = {"detected": None if best is None else inspection.detected, "small": inspection.small}
    if best is None:
        return found
    official = [finding.payload.name for finding in inspection.findings if finding.official]
    return found | {
        "payload": best.payload.name if best.detected else None,
        "log10_p": float(best.log10_p),
        "agreement": float(best.agreement),
        "geometry": str(best.geometry),
        "official": ", ".join(official) or None,
    }


def count_processes(files: int, search: str, asked: int | None) -> int:
    """Decide how many processes read so many files."""
    if asked is not None:
        if not isinstance(asked, int) or isinstance(asked, bool) or asked < 1:
            raise ValueError(
                f"processes={asked!r}: use a whole number, at least 1, or leave it out"
            )
        return min(asked, max(files, 1))
    if files <= FEW.get(search, 4):
        return 1
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return min(cores, files)


class ScanProgress(Progress):
    """How far a scan is, for the bar."""

    def __init__(self, total: int) -> None:
        super().__init__(total, total, "files")
        self.marked = self.unreadable = 0
        self.step(0, 0, 1)  # it begins at once

    def add(self, row: Mapping[str, Any]) -> None:
        """Count a file."""
        self.computed(1)
        self.saved()
        self.marked += bool(row["detected"])
        self.unreadable += row["error"] is not None

    def __str__(self) -> str:
        parts = [f"{self.rendered} of {self.total} files read"] * bool(self.rendered)
        parts += [f"{self.marked} marked"] * bool(self.marked)
        parts += [f"{self.unreadable} unreadable"] * bool(self.unreadable)
        left = self.seconds_left
        parts += [] if left is None else [f"{duration(left)} left"]
        text = ", ".join(parts) or f"0 of {self.total} files read"
        return f"{text} (stopped)" if self.state == "stopped" else text
