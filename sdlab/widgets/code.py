"""A widget on a frame, as the Python that makes it again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pandas as pd

from ..results.code import write_results_code
from ..store.store import Store


def shorten_path(path: str) -> str:
    """Shortens a path to how it is seen from the current folder, if it lies below that."""
    whole, here = Path(os.path.abspath(path)), Path.cwd()
    return whole.relative_to(here).as_posix() if whole.is_relative_to(here) else path


def name_folder(store: Store | str | os.PathLike) -> str:
    """Names the store's folder as it was given, or as it is seen from the current folder."""
    return shorten_path(str(store.root)) if isinstance(store, Store) else os.fspath(store)


def write_widget(
    widget: str, frame: pd.DataFrame, root: Path | None, *given: Any, **named: Any
) -> str:
    """Writes Python that runs the frame's requests and shows the widget of that name again.

    Without a store, at `root`, the frame is the reader's own.
    """
    words = [*map(repr, given), *(f"{name}={value!r}" for name, value in named.items())]
    call = f"{widget}({', '.join(['results', *words])})\n"
    line = f"from sdlab.widgets import {widget}\n"
    if root is None:
        return f"{line}\n# results: the frame of these pictures\n{call}"
    first, rest = write_results_code(frame, root=root).split("\n", 1)
    return f"{first}\n{line}{rest}{call}"
