"""Which pictures the last runs of a workbench were about, kept in the store for the next Python."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import datetime

from ...errors import shorten_text
from ...pictures import HASH
from ...render.job import Job
from ...results.frame import count_noun
from ...store.files import write_whole
from ...store.store import Store

FILE = "workbench-run.json"
MOST = 10  # runs before the last


class LastRun:
    """The keys of the last run, none if nothing is known of one, and of those before it.

    Parameters
    ----------
    store : Store
        Its folder has them.

    Attributes
    ----------
    keys : list of str
    name : str
        When the last run was, and of what.
    earlier : dict
        {name: keys} of the runs before the last, the latest first.
    """

    def __init__(self, store: Store) -> None:
        self._file = store.root / FILE
        self.keys: list[str] = []
        self.name = ""
        self.earlier: dict[str, list[str]] = {}
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            kept = json.loads(self._file.read_text(encoding="utf-8"))
            self.keys, self.name = select_keys(kept["keys"]), str(kept.get("name", ""))
            earlier = kept.get("earlier", {}).items()
            self.earlier = {name: select_keys(keys) for name, keys in earlier}

    def note(self, job: Job) -> None:
        """Takes note of a run; one of the same pictures takes the place of that."""
        keys = list(dict.fromkeys(job.keys))
        before = ({self.name: self.keys} if self.name else {}) | self.earlier
        others = [(n, had) for n, had in before.items() if set(had) != set(keys)]
        self.keys, self.earlier = keys, dict(others[:MOST])
        name = name_run(job)
        same = sum(n == name or n.startswith(f"{name} #") for n in self.earlier)
        self.name = f"{name} #{same + 1}" if same else name

    def keep(self) -> None:
        """Keeps that if the store can be written to."""
        kept = {"keys": self.keys, "name": self.name, "earlier": self.earlier}
        with suppress(OSError):
            write_whole(self._file, json.dumps(kept, ensure_ascii=False).encode())


def select_keys(keys: list[str]) -> list[str]:
    """Selects what can be keys."""
    return [key for key in keys if HASH.fullmatch(key)]


def name_run(job: Job) -> str:
    """Names a run that begins now: "28 November, 17:31: 12 pictures of a red cat"."""
    now = datetime.now().astimezone()
    count, prompt = count_noun(len(job.requests), "picture"), job.requests[0].prompt
    return f"{now.day} {now:%B, %H:%M}: {count} of {shorten_text(prompt or 'no prompt', 40)}"
