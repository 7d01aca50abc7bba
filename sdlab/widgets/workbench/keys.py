"""The part of a workbench that is JavaScript: plain keys stay in it."""

from __future__ import annotations

import anywidget

from ..panel import source


class BenchKeys(anywidget.AnyWidget):
    """Is not seen, and keeps the keys pressed in the workbench around it from the notebook."""

    _esm = source("page.js", "workbench/keys.js")

    def __init__(self) -> None:
        super().__init__()
        self.layout.margin = "0"
