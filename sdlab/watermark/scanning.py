"""Whole folders: one row a file, whatever the file is, read by processes that end with this one."""

from __future__ import annotations

import glob
import itertools
import os
import pickle
import subprocess
import sys
import threading
import warnings
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..progress import Progress, display, duration
from .credentials import read_anchors
from .detector import detect_watermark, name_payloads, require_search
from .inspection import Inspection
from .kinds import NoPixels
from .opening import convert_image, open_picture, shorten_error
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
    ".heic",
    ".heif",
    ".hif",
    ".jxl",
    ".svg",
)
# files that one process reads sooner than others start; a search is slow, and starts them for 4
FEW = {"none": 32}
START = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); from sdlab.watermark.scanning"
    " import serve_rows; serve_rows()"
)
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
MOST_REASONS = 5  # why files were passed over, in a sentence
AHEAD = 4  # files under way for each process, so that a slow one holds up no other


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
        files named.
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
        `payload` is missing unless something is detected; `log10_p`, `agreement` and `geometry` are
        those of the most likely payload all the same. `official` names the payloads that the
        official decoder reads without an error. `small` says that no mark is written at this size;
        without a search nothing is tested then. `file_says`, `signed`, `hidden` and
        `not_looked_for` are the four parts of the answer that `detect_watermark` prints, the first
        two missing where there is nothing; `error` is why a file could not be read.
        `frame.attrs["passed_over"]` maps what a folder holds beside its pictures to why it was
        passed over.

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


# Which files


def list_files(paths: Any, passed_over: dict[str, str] | None = None) -> Sequence[str | None]:
    """List the files that `paths` names, those of a folder in the order of their names.

    What a folder holds beside is put into `passed_over`, with the reason.
    """
    if isinstance(paths, (str, os.PathLike)):
        name = os.fspath(os.path.expanduser(paths))
        if os.path.isdir(name):
            return list(walk_pictures(Path(name), {} if passed_over is None else passed_over))
        if os.path.exists(name):
            return [name]
        matching = glob.iglob(name, recursive=True) if glob.has_magic(name) else ()
        if found := sorted(file for file in matching if not os.path.isdir(file)):
            return found
        raise FileNotFoundError(
            f"{name}: there is no such folder or file; name a folder, a pattern such as"
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


def walk_pictures(folder: Path, passed_over: dict[str, str]) -> Iterator[str]:
    """List the pictures in a folder and below, not hidden ones, nor behind links to folders."""
    for place, folders, names in os.walk(folder):
        for name in sorted(folders):
            path = os.path.join(place, name)
            if name.startswith(".") or os.path.islink(path):
                passed_over[path] = "hidden" if name.startswith(".") else "a link to a folder"
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path, suffix = os.path.join(place, name), os.path.splitext(name)[1].lower()
            if name.startswith("."):
                passed_over[path] = "hidden"
            elif suffix in SUFFIXES:
                yield path
            else:
                passed_over[path] = f"no picture by its name, {suffix or 'without a suffix'}"


def count_reasons(passed_over: Mapping[str, str]) -> str:
    """Say in words how much was passed over, and why."""
    reasons = Counter(passed_over.values())
    why = "; ".join(f"{count} {reason}" for reason, count in reasons.most_common(MOST_REASONS))
    more = "; ..." * (len(reasons) > MOST_REASONS)
    return f"{len(passed_over)} passed over ({why}{more})" if passed_over else ""


# Their rows


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


def ask_processes(
    read: Callable[[Any, Any], Any], questions: Iterable[Any], asked: Any, processes: int = 1
) -> Generator[tuple[Any, Any]]:
    """Give (question, read(question, asked)), in order; closing the iterator ends all processes.

    In place of an answer stands the error, as text, of a process that died over the question.
    """
    if processes == 1:
        yield from ((question, read(question, asked)) for question in questions)
        return
    workers = [Worker(asked, read) for _ in range(processes)]
    own, unused, questions = threading.local(), iter(workers), iter(questions)

    def ask(question: Any) -> tuple[Any, Any]:
        return question, own.worker.ask(question)

    # its threads, of which each has a process, only wait
    pool = ThreadPoolExecutor(processes, initializer=lambda: setattr(own, "worker", next(unused)))
    try:
        under_way = deque(
            pool.submit(ask, question)
            for question in itertools.islice(questions, processes * AHEAD)
        )
        while under_way:
            answer = under_way.popleft().result()
            under_way.extend(pool.submit(ask, each) for each in itertools.islice(questions, 1))
            yield answer
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.stop()
        pool.shutdown(wait=True)


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
    mine = hasattr(os, "sched_getaffinity")  # cores that this process may use
    return min(len(os.sched_getaffinity(0)) if mine else os.cpu_count() or 1, files)


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


# The other processes


class Worker:
    """A Python process that turns questions into answers: paths into rows.

    It is no child of `multiprocessing`, which would run the caller's script again; it starts when
    it is first asked, does not hear Ctrl-C, and ends when its input does, even if this process is
    killed.

    Parameters
    ----------
    asked : picklable
        What `read` is given beside the question.
    read : callable
        (question, asked) to an answer; a function of a module, which the process imports.
    """

    def __init__(self, asked: Any, read: Callable[[Any, Any], Any] = read_row) -> None:
        self.asked, self.read = asked, read
        self.process: subprocess.Popen[bytes] | None = None
        self.stopped, self.lock = False, threading.Lock()

    def ask(self, question: Any) -> Any:
        """Return the answer, or the error, as text, of a process that died over the question."""
        process = self.process or self.start()
        try:
            return self.exchange(process, question)
        except (EOFError, OSError, pickle.UnpicklingError):
            self.process = None
            return (
                f"the process that read this file died (exit status {kill_process(process)});"
                " it may need too much memory"
            )

    def start(self) -> subprocess.Popen[bytes]:
        """Start a fresh process that has imported what it needs."""
        with self.lock:
            if self.stopped:
                raise RuntimeError("the scan is over")
            self.process = subprocess.Popen(
                [sys.executable, "-c", START],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | ONE_THREAD,
                start_new_session=True,
            )
        try:
            self.exchange(self.process, sys.path, self.read, self.asked)
        except (EOFError, OSError) as error:
            raise RuntimeError(
                "a process for the scan could not start; use processes=1, which shows why"
            ) from error
        return self.process

    @staticmethod
    def exchange(process: subprocess.Popen[bytes], *questions: Any) -> Any:
        """Send what the process waits for, and return its one answer."""
        assert process.stdin and process.stdout  # as pipes
        process.stdin.write(b"".join(map(pickle.dumps, questions)))
        process.stdin.flush()
        return pickle.load(process.stdout)

    def stop(self) -> None:
        """End the process at once, and start no other."""
        with self.lock:
            self.stopped, process = True, self.process
        if process:
            kill_process(process)


def kill_process(process: subprocess.Popen[bytes]) -> int:
    """Kill the process if it still runs, and return its exit status."""
    process.kill()
    status = process.wait()
    for pipe in filter(None, (process.stdin, process.stdout)):
        with suppress(OSError):  # what was not yet written to a dead process
            pipe.close()
    return status


def serve_rows() -> None:
    """Do what the process does: answer questions, until there are no more."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints does not disturb the answers
    read, asked = pickle.load(sys.stdin.buffer), pickle.load(sys.stdin.buffer)
    answer: Any = "ready"
    with suppress(EOFError):
        while True:
            pickle.dump(answer, answers)
            answers.flush()
            answer = read(pickle.load(sys.stdin.buffer), asked)
