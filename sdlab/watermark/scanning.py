"""Whole folders: one row a file, whatever the file is, read by processes that end with this one."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..progress import Progress, display, duration
from .credentials import read_anchors
from .detector import detect_watermark, name_payloads, require_search
from .folders import list_files
from .inspection import Inspection
from .kinds import NoPixels
from .opening import convert_image, open_picture, shorten_error
from .processes import ask_processes, count_processes
from .provenance import Provenance, gather_provenance

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
    "file_says": "string",
    "signed": "string",
    "hidden": "string",
    "not_looked_for": "string",
    "error": "string",
}
MOST_REASONS = 5  # why files were passed over, in a sentence


def scan(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str] | None],
    payloads: Any = "everyday",
    *,
    search: str = "none",
    false_positive_rate: float = 1e-6,
    trust_anchors: Any = None,
    processes: int | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Detect marks and read the metadata of many files, one row a file in the order of the paths.

    Parameters
    ----------
    paths : path or iterable of paths
        A folder is searched with all below it, except what is hidden, for the usual picture
        suffixes; text with `*` or `?` is a pattern (`**` for folders below); else one file, or the
        files named. Of an animation the first frame is looked at, which `not_looked_for` says.
    payloads, search, false_positive_rate, trust_anchors
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
        `payload` and `geometry`, how the picture was changed, are missing unless something is
        detected; `log10_p` and `agreement` are those of the most likely payload all the same.
        `official` names the payloads that the official decoder reads without an error. `small` says
        that no mark is written at this size; without a search nothing is tested then. `file_says`,
        `signed`, `hidden` and `not_looked_for` are the four parts of the answer that
        `detect_watermark` prints, the first two missing where there is nothing; `error` is why a
        file could not be read. `frame.attrs["passed_over"]` maps what a folder holds beside its
        pictures to why it was passed over.

    Warns
    -----
    UserWarning
        If there is no picture in the folder, but something else.

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

    require_search(search, false_positive_rate)
    asked = {
        "payloads": name_payloads(payloads),
        "search": search,
        "false_positive_rate": false_positive_rate,
        "trust_anchors": read_anchors(trust_anchors),
    }
    passed_over: dict[str, str] = {}
    files = list_files(paths, passed_over)
    count = count_processes(len(files), search, processes)
    reading = ScanProgress(len(files), count_reasons(passed_over))
    if passed_over and not files:
        warnings.warn(f"no picture to read, {reading.passed_over}", stacklevel=2)
    show = display(reading) if progress and files else lambda: None
    found = collect_rows(read_rows(files, asked, count), reading, show)
    frame = pd.DataFrame(
        {
            name: pd.Series([row[name] for row in found], dtype=dtype)
            for name, dtype in COLUMNS.items()
        }
    )
    frame.attrs["passed_over"] = passed_over
    return frame


def count_reasons(passed_over: Mapping[str, str]) -> str:
    """Say in words how much was passed over, and why."""
    reasons = Counter(passed_over.values())
    why = "; ".join(f"{count} {reason}" for reason, count in reasons.most_common(MOST_REASONS))
    more = "; ..." * (len(reasons) > MOST_REASONS)
    return f"{len(passed_over)} passed over ({why}{more})" if passed_over else ""


# The rows


def collect_rows(
    reader: Generator[dict[str, Any]], reading: ScanProgress, show: Callable[[], None]
) -> list[dict[str, Any]]:
    """Read all rows, and show how far that is."""
    found: list[dict[str, Any]] = []
    try:
        with closing(reader) as rows:
            for row in rows:
                found.append(row)
                reading.add(row)
                show()
        reading.state = "done"
    finally:
        reading.state = "stopped" if reading.state == "running" else reading.state
        show()
    return found


def read_rows(
    files: Iterable[str | None], asked: Mapping[str, Any], processes: int = 1
) -> Generator[dict[str, Any]]:
    """Read a row for each file, in order; closing the iterator ends all processes at once."""
    answers = ask_processes(read_row, files, asked, processes)
    with closing(answers):
        for file, row in answers:
            yield row if isinstance(row, dict) else make_empty_row(file) | {"error": row}


def read_row(file: str | None, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Read what is found in one file; whatever goes wrong stands under "error"."""
    row = make_empty_row(file)
    try:
        if file is None:
            raise ValueError("there is no path, so there is no picture")
        row.update(read_file(file, asked))
    except Exception as error:  # a file that cannot be judged is a row and not the end of the scan
        row["error"] = shorten_error(error).removeprefix(f"{Path(file or '')}: ")
    return row


def read_file(file: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Read a file's columns; of one whose pixels cannot be read, what it says all the same."""
    try:
        with open_picture(file) as image:
            row: dict[str, Any] = {
                "width": image.width,
                "height": image.height,
                "format": image.format,
            }
            try:
                rgb = convert_image(image)
            except (OSError, ValueError) as error:
                why = shorten_error(error).removeprefix(f"{Path(file)}: ")
                return row | tell_unread(gather_provenance(image, asked.get("trust_anchors")), why)
            told = gather_provenance(image, asked.get("trust_anchors"))
    except NoPixels as error:
        told = gather_provenance(error, asked.get("trust_anchors"))
        return {"format": error.format} | tell_unread(told, error.why)
    row["height"], row["width"] = rgb.shape[:2]
    return row | judge_pixels(rgb, told, asked)


def tell_unread(provenance: Provenance, why: str) -> dict[str, Any]:
    """Tell what a file says whose pixels cannot be read."""
    inspection = Inspection((), False, (0, 0), "none", 0.0, provenance, why)
    return inspection.answer.columns | {"error": why}


def make_empty_row(file: str | None) -> dict[str, Any]:
    # bytes that are no text are escaped: pandas cannot hold them
    path = file and file.encode("utf-8", "backslashreplace").decode()
    return dict.fromkeys(COLUMNS) | {"path": path}


def judge_pixels(rgb: Any, provenance: Provenance, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Detect marks in the pixels, and tell it as columns."""
    how = {name: value for name, value in asked.items() if name != "trust_anchors"}
    inspection = replace(detect_watermark(rgb, **how), provenance=provenance)
    told, best = inspection.answer.columns, inspection.best
    if best is None:
        return told | {"small": inspection.small}
    official = [finding.payload.name for finding in inspection.findings if finding.official]
    return told | {
        "small": inspection.small,
        "detected": inspection.detected,
        "payload": best.payload.name if best.detected else None,
        "log10_p": float(best.log10_p),
        "agreement": float(best.agreement),
        "geometry": str(best.geometry) if best.detected else None,
        "official": ", ".join(official) or None,
    }


class ScanProgress(Progress):
    """How far a scan is, for the bar."""

    def __init__(self, total: int, passed_over: str = "") -> None:
        super().__init__(total, total, "files")
        self.passed_over = passed_over
        self.marked = self.unreadable = 0
        self.count_step(0, 0, 1)  # it begins at once

    def add(self, row: Mapping[str, Any]) -> None:
        self.count_computed(1)
        self.count_saved()
        self.marked += bool(row["detected"])
        self.unreadable += row["error"] is not None

    def __str__(self) -> str:
        left = self.seconds_left
        parts = (
            f"{self.rendered} of {self.total} files read",
            f"{self.marked} marked" if self.marked else "",
            f"{self.unreadable} unreadable" if self.unreadable else "",
            self.passed_over,
            "" if left is None else f"{duration(left)} left",
        )
        return ", ".join(filter(None, parts)) + " (stopped)" * (self.state == "stopped")
