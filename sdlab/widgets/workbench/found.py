"""Found pictures beside those of the store: what was dropped here, or read into the store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from ...results.code import write_results_code
from ...results.frame import column_values, name_sources, select_own
from ...store.readers.folder import name_copy, read_pictures
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
        The folder of what was dropped on the workbench.
    """

    def __init__(self, store: Store, dropped: Path) -> None:
        self._store, self._dropped = store, dropped
        self._read: tuple[list, pd.DataFrame] | None = None

    @property
    def folders(self) -> list[Path]:
        """Those that are there."""
        return [f for f in (self._store.root / "elsewhere", self._dropped) if f.is_dir()]

    def join(self, own: pd.DataFrame) -> pd.DataFrame:
        """Joins the found pictures to those that were made here; what is in both stands once."""
        now = sorted(self._list_states())
        if self._read is None or self._read[0] != now:
            self._read = now, self._read_all()
        found, keys = self._read[1], set(column_values(own, "key"))
        new = [key is None or key not in keys for key in column_values(found, "key")]
        return name_sources(pd.concat([own, found[new]], ignore_index=True)) if any(new) else own

    def write_code(self, frame: pd.DataFrame, *names: str) -> str:
        """Writes Python that binds `results` to such a frame; the names are imported, too."""
        own = select_own(frame)
        if len(own) == len(frame):
            return write_results_code(frame, *names)
        names = (*names, "read_pictures")
        imports = f"from sdlab import {', '.join(sorted(names))}\n\n"
        made = imports if own.empty else write_results_code(own, *names)
        parts = ["results"] * (not own.empty)
        parts += [f"read_pictures({shorten_path(str(folder))!r})" for folder in self.folders]
        return f"import pandas as pd\n{made}results = pd.concat([{', '.join(parts)}])\n"

    def _list_states(self) -> Iterator[tuple]:
        """Lists the files, with what changes when one does."""
        for folder in self.folders:
            told = (folder / "pictures.csv", folder.with_suffix(".csv"))
            files = (*map(Path, filter(None, list_files(folder))), *told)
            for file in files:
                if file.is_file():
                    yield str(file), (stat := file.stat()).st_mtime_ns, stat.st_size

    def _read_all(self) -> pd.DataFrame:
        frames = [read_pictures(folder, progress=False) for folder in self.folders]
        found = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
        return found[[path is not None for path in self._list_once(found)]]

    def _list_once(self, found: pd.DataFrame) -> Iterator[str | None]:
        """Lists the paths, None for a file that was dropped and is among the copies, too."""
        for path in column_values(found, "path"):
            if path and Path(path).is_relative_to(self._dropped):
                copy = name_copy(self._store, Path(path).read_bytes(), Path(path).suffix)
                yield None if copy.exists() else path
            else:
                yield path
