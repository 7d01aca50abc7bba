"""Files that a page sends in parts, kept in a folder under safe names."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..store.files import write_whole
from ..watermark.kinds import NoPixels
from ..watermark.opening import open_picture

INSPECTED = "inspected"  # the folder of a store for files that were dropped on its workbench
PART = 1_000_000  # bytes in one message, at most: the servers in between have limits
MOST_BYTES = 100_000_000  # of a file
MOST_FILES = 500  # at once
OPEN_AT_ONCE = 4  # files half received; the page sends one after the other
LONGEST_NAME = 100  # characters
UNSAFE = re.compile(r"[^\w.()+ -]")
RESERVED = re.compile(
    r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE
)  # names of devices on Windows
_naming = threading.Lock()


@dataclass
class Arrival:
    """A file of which some parts have come."""

    name: str
    data: bytearray
    starts: set[int] = field(default_factory=set)
    received: int = 0


class Arrivals:
    """Files of which the parts are put together, and the pictures among them kept."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._open: dict[str, Arrival] = {}
        self._lock = threading.Lock()

    def hear(self, question: Mapping[str, Any], buffers: Sequence[Any]) -> Arrival | None:
        """Takes the part that a page sends with its question; gives what `part` does."""
        file, name = str(question["file"]), str(question["name"])
        size, at = int(question["size"]), int(question["at"])
        return self.part(file, name, size, at, bytes(buffers[0]))

    def part(self, file: str, name: str, size: int, at: int, data: bytes) -> Arrival | None:
        """Takes a part that begins `at` so many bytes; gives the arrival once it is whole.

        Raises
        ------
        ValueError
            For a file that is empty or too large, and for a part that does not belong to it.
        """
        if not 0 < size <= MOST_BYTES:
            large = f"it has {size / 1e6:,.0f} MB; at most {MOST_BYTES / 1e6:g} MB are taken"
            raise ValueError(large if size else "it is empty")
        if at < 0 or not data or len(data) > PART or at + len(data) > size:
            raise ValueError(
                f"a part of {len(data):,} bytes at {at:,} does not fit a file of {size:,}"
            )
        with self._lock:
            arrival = self._open.setdefault(file, Arrival(name, bytearray(size)))
            if len(arrival.data) != size:
                raise ValueError(
                    f"it was said to have {len(arrival.data):,} bytes, and now {size:,}"
                )
            if at not in arrival.starts:
                arrival.data[at : at + len(data)] = data
                arrival.starts.add(at)
                arrival.received += len(data)
            whole = arrival.received >= size
            if whole:
                del self._open[file]
            while len(self._open) > OPEN_AT_ONCE:
                del self._open[next(iter(self._open))]
            return arrival if whole else None

    def keep(self, arrival: Arrival) -> Path:
        """Writes it into the folder: the same name and content is one file, others get new names.

        Raises
        ------
        OSError, ValueError
            If it is no picture; then it is not kept.
        """
        with _naming:
            path, new = find_free_path(
                self.folder, make_safe_name(arrival.name), bytes(arrival.data)
            )
            if new:
                write_whole(path, bytes(arrival.data))
        try:
            with open_picture(path):
                return path
        except NoPixels:  # its own account can be read
            return path
        except (OSError, ValueError) as error:
            if new:
                path.unlink(missing_ok=True)
            raise ValueError(f"{error}".removeprefix(f"{path}: ")) from None


def make_safe_name(name: str) -> str:
    """Makes a name of its last part, without what file systems or shells would misunderstand.

    >>> make_safe_name("../../etc/pass wd?.png")
    'pass wd_.png'
    """
    last = UNSAFE.sub("_", re.split(r"[/\\]", name)[-1]).strip(" .-")
    stem, dot, suffix = last.rpartition(".")
    last = (
        f"{stem[: LONGEST_NAME - len(suffix) - 1]}.{suffix}"
        if dot and len(suffix) < 10
        else last[:LONGEST_NAME]
    )
    return f"picture {last}".strip() if not last or RESERVED.match(last) else last


def find_free_path(folder: Path, name: str, data: bytes) -> tuple[Path, bool]:
    """Finds where to keep it, NAME, else NAME-2, NAME-3 ..., and whether that is a new file."""
    path, number = folder / name, 1
    while path.exists() or path.is_symlink():
        if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data:
            return path, False
        number += 1
        path = folder / f"{Path(name).stem}-{number}{Path(name).suffix}"
    return path, True
