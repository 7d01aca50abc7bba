"""Files that are there wholly or not at all, whatever is killed or switched off meanwhile."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import threading
import time
from pathlib import Path

PARTIAL = re.compile(r"\.[^.]+\.(?P<machine>.*)\.(?P<pid>\d+)\.\d+\.part")
HOUR = 3600.0


def write_whole(path: Path, data: bytes) -> None:
    """Writes under a temporary name and renames, so that nobody ever meets half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(
        f".{path.stem}.{platform.node()}.{os.getpid()}.{threading.get_ident()}.part"
    )
    try:
        with open(partial, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise
    flush_names(path.parent)


def flush_names(folder: Path) -> None:
    """Brings the names in a folder to the disk, where the system knows how."""
    with contextlib.suppress(OSError, AttributeError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def is_leftover(path: Path) -> bool:
    """Tells a temporary file whose writer has ended, or has not touched it for an hour."""
    match = PARTIAL.fullmatch(path.name)
    if not match:
        return False
    try:
        if time.time() - path.stat().st_mtime > HOUR:
            return True
    except OSError:
        return False  # gone already
    return has_ended(match["machine"], int(match["pid"]))


def has_ended(machine: str, pid: int) -> bool:
    """Tells whether a process is known to have ended: of another machine nobody knows."""
    try:
        if os.name == "posix" and machine == platform.node():
            os.kill(pid, 0)  # signal 0 only asks
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        pass  # another user's
    return False


def ends_with(path: str, end: bytes, size: int) -> bool:
    """Tells whether the file is there and has just that many bytes, these last."""
    try:
        file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))  # twice as fast as `open`
    except FileNotFoundError:
        return False
    try:
        os.lseek(file, max(size - len(end), 0), os.SEEK_SET)
        return os.read(file, len(end) + 1) == end
    finally:
        os.close(file)
