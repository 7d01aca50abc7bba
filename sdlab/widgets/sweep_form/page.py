"""The part of a form that is JavaScript."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import traitlets

from ..panel import Panel, source
from .fields import HINTS


class FormPage(Panel):
    """The code, what screen readers hear of the fields, and the line that misses Python."""

    _esm = source("page.js", "sweep_form/form.js")
    _css = source("page.css", "sweep_form/form.css")
    code = traitlets.Unicode().tag(sync=True)
    errors = traitlets.Dict().tag(sync=True)
    folds = traitlets.Dict().tag(sync=True)  # {title of a fold: whether its fields are shown}
    hints = traitlets.Dict(HINTS).tag(sync=True)

    def __init__(self, look: Callable[[], None]) -> None:
        super().__init__()
        self._look = look

    def _on_look(self, question: dict[str, Any], buffers: list) -> None:
        """Somebody is about to press Run: what the form says is to be of now."""
        self._look()
        self.answer(question, {"kind": "looking"})
