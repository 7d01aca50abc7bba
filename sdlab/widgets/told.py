"""A line of what is said beside a widget, which screen readers hear."""

from __future__ import annotations

import anywidget
import traitlets

from .panel import source


class ToldLine(anywidget.AnyWidget):
    """Shows what `render_message` makes; a status that changes is read aloud.

    Attributes
    ----------
    value : str
        HTML; "" for nothing.
    """

    _esm = source("told.js")
    value = traitlets.Unicode().tag(sync=True)

    def __init__(self, value: str = "") -> None:
        super().__init__(value=value)
        self.layout.margin = "0"
