"""The pictures' rows in SQLite: a cache, made anew from the pictures where it is deleted."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
import warnings
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..recipe.request import SPECS
from .columns import COLUMNS, FACTS, fit_value

if TYPE_CHECKING:
    from pandas.api.extensions import ExtensionArray

KINDS: dict[str, Any] = {  # pandas' types
    "key": "string",
    "bytes": "Int64",
    "redecoded": "boolean",
    **{name: COLUMNS[name].dtype for name in (*SPECS, *FACTS)},
}

OWN = (  # what differs from picture to picture, or is asked for in SQL
    *("key", "bytes", "created", "prompt", "seed", "guidance_scale", "num_inference_steps"),
    *("height", "width", "weights", "seconds", "pixels"),
)
SHARED = tuple(name for name in KINDS if name not in OWN)  # one JSON list: a column costs 10 ms

SQL = {"string": "TEXT", "Int64": "INTEGER", "Float64": "REAL"}
SCHEMA = (
    (
        f"CREATE TABLE pictures ({', '.join(f'{name} {SQL[KINDS[name]]}' for name in OWN)}, shared"
        " TEXT, PRIMARY KEY (key))"
    ),
    "CREATE INDEX by_cost ON pictures (weights, height, width, num_inference_steps, created)",
)
VERSION = zlib.crc32(repr((SCHEMA, SHARED)).encode()) >> 1  # of other columns: made anew
APPLICATION = 0x5D1AB
INSERT = f"INSERT OR REPLACE INTO pictures VALUES ({', '.join('?' * len(OWN))}, ?)"
CALLS, STRENGTH = (
    f"json_extract(shared, '$[{SHARED.index(name)}]')" for name in ("unet_calls", "strength")
)  # older pictures do not tell their calls
SHARE = f"coalesce({CALLS} * 1.0 / num_inference_steps, {STRENGTH}, 1)"  # of one call a step
REDECODED = f"json_extract(shared, '$[{SHARED.index('redecoded')}]')"  # those took no denoising
LATEST = (
    f"SELECT avg(seconds / {SHARE} / {{}}) FROM (SELECT * FROM pictures WHERE weights = ?"
    f" AND height = ? AND width = ? AND seconds IS NOT NULL AND NOT {REDECODED}"
    " AND num_inference_steps {} ? ORDER BY created DESC LIMIT 64)"
)
DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_IOERR}


class Index:
    """The rows, in a file that may be missing, damaged or older than the pictures at any time.

    Parameters
    ----------
    file : Path
        Beside the folder `images`. Without that folder, or where it cannot be written, the rows
        stay in memory.
    refill : callable
        Brings a newly opened index up to the pictures.
    """

    def __init__(self, file: Path, refill: Callable[[], Any]) -> None:
        self.file, self.images, self.refill = file, file.with_name("images"), refill
        self.db: Any = None  # the connection, while it serves
        self.stamp: tuple = ()
        self.in_memory, self.failures = True, 0
        self.lock = threading.RLock()

    def __len__(self) -> int:
        return self._ask("SELECT count(*) FROM pictures")[0][0]

    def keys(self) -> set[str]:
        """Lists the keys of all rows."""
        return {key for (key,) in self._ask("SELECT key FROM pictures")}

    def weights(self) -> set[str]:
        """Lists the fingerprints of all rows."""
        return {weights for (weights,) in self._ask("SELECT DISTINCT weights FROM pictures")}

    def sizes(self, keys: Sequence[str]) -> dict[str, int]:
        """Lists those of the keys that are known, with their pictures' sizes in bytes."""
        known = dict(self._select("key, bytes", keys))
        return {key: known[key] for key in keys if key in known}

    def rows(self, keys: Sequence[str] | None = None) -> list[tuple]:
        """Lists all rows in order of creation, or those of the keys: None for the unknown."""
        if keys is None:  # sorted here, as they nearly are, and ORDER BY is slower
            return sorted(self._ask("SELECT * FROM pictures"), key=read_creation)
        known = {row[0]: row for row in self._select("*", keys)}
        return [known.get(key) or (key, *[None] * len(OWN)) for key in keys]

    def _select(self, columns: str, keys: Sequence[str]) -> list[tuple]:
        """Reads the columns of at least those of the keys that are known."""
        if len(keys) > len(self) / 3:  # then all are read sooner than these one by one
            return self._ask(f"SELECT {columns} FROM pictures")
        return self._ask(
            f"SELECT {columns} FROM pictures WHERE key IN (SELECT value FROM json_each(?))",
            json.dumps(keys),
        )

    def seconds(
        self, *, weights: str, num_inference_steps: int, height: int, width: int
    ) -> float | None:
        """Computes the mean time, with one call of the UNet a step, of the last 64 such pictures.

        If there are none, of the last with other numbers of steps, by the step; else None.
        """
        like = weights, height, width, num_inference_steps
        for share, same, steps in ("1", "=", 1), ("num_inference_steps", "<>", num_inference_steps):
            ((mean,),) = self._ask(LATEST.format(share, same), *like)
            if mean is not None:
                return mean * steps
        return None

    def update(self, rows: Iterable[tuple], gone: Iterable[str] = ()) -> None:
        """Writes rows in place of those of the same keys, and forgets those of other keys."""
        if rows := sorted(rows, key=read_creation):
            self._safely(lambda db: db.executemany(INSERT, rows))
        if keys := [(key,) for key in gone]:
            self._safely(lambda db: db.executemany("DELETE FROM pictures WHERE key = ?", keys))

    def _ask(self, sql: str, *values: Any) -> list[tuple]:
        return self._safely(lambda db: db.execute(sql, values).fetchall())

    def _safely(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        """Does `work`, on a new index or one in memory if this one fails."""
        with self.lock:
            while True:
                try:
                    if self.db is None or self.stamp != self._stamp():
                        self._open()
                    with self.db as db:
                        return work(db)
                except sqlite3.DatabaseError as error:
                    if self.db is not None and self.stamp != self._stamp():
                        self.db = None  # no damage: the file was deleted or replaced meanwhile
                    elif self.failures > 1:
                        raise
                    else:
                        self._give_up(error)

    def _stamp(self) -> tuple:
        """Says which file this is: another one if it was replaced or first made, or in a fork."""
        try:
            now = os.stat(self.file)
        except OSError:  # a file that is gone equals nothing
            return os.getpid(), self.images.is_dir() if self.in_memory else object()
        changing = (now.st_mtime_ns, now.st_size) if self.in_memory else ()
        return os.getpid(), now.st_dev, now.st_ino, *changing

    def _open(self) -> None:
        there = self.file.exists()
        writable = self.images.is_dir() and os.access(self.file.parent, os.W_OK)
        self.in_memory = (
            not writable or self.failures > 1 or (there and not os.access(self.file, os.W_OK))
        )
        self.db = open_database(":memory:" if self.in_memory else str(self.file))
        if self.in_memory and there and not self.failures:
            with (
                contextlib.suppress(sqlite3.DatabaseError),
                contextlib.closing(open_database(f"{self.file.as_uri()}?mode=ro")) as file,
            ):
                file.backup(self.db)
        self.stamp = self._stamp()
        try:
            make_tables(self.db, self.file)
        except ValueError:
            self.db = None  # not ours: never to be written, nor to be mended
            raise
        self.refill()

    def _give_up(self, error: sqlite3.DatabaseError) -> None:
        """Discards a damaged file; one that cannot be used for another reason is left alone."""
        damaged = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF in DAMAGE
        self.failures += 1 if damaged else 2
        if self.db is not None:
            self.db.close()
        self.db = None
        said = f"was damaged ({error}); it is made anew from the pictures"
        if self.failures > 1:
            said = f"cannot be used ({error}); this session keeps its index in memory"
        warnings.warn(f"{self.file} {said}", stacklevel=2)
        for end in ("", "-journal") if self.failures == 1 and not self.in_memory else ():
            with contextlib.suppress(OSError):
                os.unlink(f"{self.file}{end}")


def open_database(target: str) -> sqlite3.Connection:
    """Opens a file, by its path or as a `file:` address, or ":memory:"."""
    uri = target.startswith("file:")
    db = sqlite3.connect(target, timeout=30, check_same_thread=False, uri=uri)
    db.execute("PRAGMA synchronous = OFF")  # what a power cut leaves is noticed, and made anew
    return db


def make_tables(db: sqlite3.Connection, file: Path) -> None:
    """Makes this version's tables, empty, unless they are there."""
    version = "PRAGMA user_version"
    if db.execute(version).fetchone()[0] == VERSION:
        return
    db.execute("BEGIN IMMEDIATE")
    with db:
        if db.execute(version).fetchone()[0] == VERSION:  # another process was quicker
            return
        tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables and db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION:
            raise ValueError(f"{file} is another program's database; give the store another folder")
        db.execute("DROP TABLE IF EXISTS pictures")
        for statement in (
            *SCHEMA,
            f"{version} = {VERSION}",
            f"PRAGMA application_id = {APPLICATION}",
        ):
            db.execute(statement)


def pack_record(record: Mapping[str, Any], size: int) -> tuple:
    """Makes a row of a picture's record: the values of `OWN`, and those of `SHARED` as JSON."""
    values = {
        **record["facts"],
        **record["request"],
        "key": record["key"],
        "bytes": size,
        "redecoded": record["facts"].get("redecoded") is not None,
    }
    known = {name: fit_value(values.get(name), kind) for name, kind in KINDS.items()}
    return *[known[name] for name in OWN], json.dumps([known[name] for name in SHARED])


def unpack_rows(rows: Sequence[tuple]) -> dict[str, ExtensionArray]:
    """Makes columns of the rows, in pandas' nullable types."""
    import numpy as np
    import pandas as pd

    *own, shared = zip(*rows) if rows else [()] * (len(OWN) + 1)
    codes, texts = pd.factorize(np.array(shared, dtype=object))  # -1 where there is no picture
    lists = list(zip(*map(json.loads, texts))) or [()] * len(SHARED)
    columns = {
        name: pd.array(values, KINDS[name]) for name, values in zip((*OWN, *SHARED), own + lists)
    }
    return columns | {name: columns[name].take(codes, allow_fill=True) for name in SHARED}


def read_creation(row: tuple) -> tuple[str, str]:
    """Reads when a row's picture was made, and its key, by which rows are sorted."""
    return row[2] or "", row[0]
