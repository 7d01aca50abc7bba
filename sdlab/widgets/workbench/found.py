"""Found pictures beside those of the store: what was dropped here, or read into the store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pandas as pd

from ...results.code import write_results_code
from ...results.frame import name_sources, select_made, select_own
from ...store.columns import FOUND_AS
from ...store.readers.folder import read_pictures
from ...store.store import Store
from ...watermark.folders import list_files
from ..code import shorten_path


class Found:
    """The pictures that were found, read again only when there are others.

    Parameters
    ----------
    store : Store
        `read_pictures` has kept copies in its folder `elsewhere`.
    dropped : Path
        The folder of what was dropped on the workbench. The store keeps copies of these, too, so
        that marks on them have a place.
    """

    def __init__(self, store: Store, dropped: Path) -> None:
        self._store, self._dropped = store, dropped
        self._read: tuple[list, pd.DataFrame] | None = None

    @property
    def folder(self) -> Path:
        """The folder of the copies."""
        return self._store.root / "elsewhere"

    def join(self, own: pd.DataFrame) -> pd.DataFrame:
        """Joins the found pictures to those that were made here.

        A copy of a file of the store is not found. Another file stays beside the same picture made
        here, with what was said of it.
        """
        if (found := self._read_when_changed()).empty:
            return own
        names = [Path(path).stem for path in found["path"]]
        marks = self._store.opinions.columns(pd.array(names, "string"))
        # a key is of what the store has made; that of another store is a claim, as the rest is
        found = found.assign(key=pd.array([None] * len(found), "string"), **marks)
        return pd.concat([name_sources(own), found], ignore_index=True)

    def write_code(self, frame: pd.DataFrame, *names: str) -> str:
        """Writes Python that binds `results` to such a frame; the names are imported, too."""
        own = select_own(frame)
        if len(own) == len(frame):
            return write_results_code(frame, *names)
        names = (*names, "read_pictures")
        imports = f"from sdlab import {', '.join(sorted(names))}\n\n"
        made = imports if own.empty else write_results_code(own, *names)
        root = shorten_path(str(self._store.root))
        read = f"read_pictures({shorten_path(str(self.folder))!r}, {root!r})"
        if own.empty:
            return f"{made}results = {read}\n"
        return f"import pandas as pd\n{made}results = pd.concat([results, {read}])\n"

    def __len__(self) -> int:
        return len(self._read_when_changed())

    def _read_when_changed(self) -> pd.DataFrame:
        if self._read is None or self._read[0] != sorted(self._list_states()):
            found = self._read_all()
            self._read = sorted(self._list_states()), found
        return self._read[1]

    def _list_states(self) -> Iterator[tuple]:
        """Lists the files, with what changes when one does."""
        for folder in (self.folder, self._dropped):
            files = map(Path, filter(None, list_files(folder))) if folder.is_dir() else ()
            for file in (*files, folder / "pictures.csv", folder.with_suffix(".csv")):
                if file.is_file():
                    yield str(file), (stat := file.stat()).st_mtime_ns, stat.st_size

    def _read_all(self) -> pd.DataFrame:
        """Keeps copies of what was dropped, and reads all copies."""
        with suppress(OSError):  # a store that takes nothing more still shows what it has
            if self._dropped.is_dir():
                read_pictures(self._dropped, self._store, progress=False)
        if not self.folder.is_dir():
            return pd.DataFrame()
        found = select_made(read_pictures(self.folder, self._store, progress=False))
        return found.sort_values(FOUND_AS) if FOUND_AS in found.columns else found
