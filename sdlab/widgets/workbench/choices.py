"""What was chosen last on the tabs of a workbench, kept in the store for the next Python."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from typing import Any

from ...store.files import write_whole
from ...store.store import Store
from ..panel import workers

FILE = "workbench-choices.json"


class Choices:
    """What was chosen, by the tab's title.

    Parameters
    ----------
    store : Store
        Its folder has it.
    """

    def __init__(self, store: Store) -> None:
        self._file, self._keeping = store.root / FILE, threading.Lock()
        self._kept, self._noted = self._read(), dict[str, Any]()

    def recall(self, title: str, **kinds: type) -> dict[str, Any]:
        """Gives what was chosen there, {} unless each of these is known and of that kind."""
        found = self._kept.get(title)
        if not isinstance(found, dict):
            return {}
        known = all(isinstance(found.get(name), kind) for name, kind in kinds.items())
        return {name: found[name] for name in kinds} if known else {}

    def note(self, title: str, **chosen: Any) -> None:
        """Takes note of what is chosen there now, and keeps it if the store can be written to."""
        if self._kept.get(title) != chosen:
            self._kept[title] = self._noted[title] = chosen
            workers.submit(self._keep)

    def _keep(self) -> None:
        with self._keeping, suppress(OSError):  # another workbench may have chosen on other tabs
            kept = self._read() | self._noted
            write_whole(self._file, json.dumps(kept, ensure_ascii=False, indent=1).encode())

    def _read(self) -> dict[str, Any]:
        with suppress(OSError, ValueError):
            if isinstance(kept := json.loads(self._file.read_text(encoding="utf-8")), dict):
                return kept
        return {}
