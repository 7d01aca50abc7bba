"""The store that a widget is given: opened, and named as it was given."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..store.store import Store


def open_store(store: Any) -> Store:
    """Opens the store, or says what was given instead of one."""
    if not isinstance(store, (Store, str, os.PathLike)):
        raise TypeError(
            f'store={store!r:.80}: give a Store, or the path of its folder, such as "runs/circle"'
        )
    return store if isinstance(store, Store) else Store(store)


def name_folder(store: Store | str | os.PathLike) -> str:
    """Names the store's folder as it was given, or as it is seen from the current folder."""
    if not isinstance(store, Store):
        return os.fspath(store)
    here = Path.cwd()
    below = store.root.is_relative_to(here)
    return store.root.relative_to(here).as_posix() if below else str(store.root)
