"""Which pictures the last run of a workbench was about, kept in the store for the next Python."""

from __future__ import annotations

import json
from contextlib import suppress

from ...pictures import HASH
from ...render.job import Job
from ...results.frame import column_values
from ...store.files import write_whole
from ...store.store import Store

FILE = "workbench-run.json"


class LastRun:
    """The keys of the last run; none if nothing is known of one.

    Parameters
    ----------
    store : Store
        Its folder has them.
    """

    def __init__(self, store: Store) -> None:
        self._file = store.root / FILE
        self.keys: list[str] = []
        with suppress(OSError, ValueError, TypeError):
            keys = json.loads(self._file.read_text(encoding="utf-8"))["keys"]
            self.keys = [key for key in keys if HASH.fullmatch(key)]

    def note(self, job: Job) -> None:
        """Takes note of a run, and keeps that if the store can be written to."""
        self.keys = [key for key in column_values(job.frame(), "key") if key is not None]
        with suppress(OSError):
            write_whole(self._file, json.dumps({"keys": self.keys}).encode())
