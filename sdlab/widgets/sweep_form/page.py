"""The part of a form that is JavaScript."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import traitlets

from ..arrivals import Arrivals
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
    starts = traitlets.Int(0, help="Counts the jobs: their first pictures are to be seen.").tag(
        sync=True
    )
    fillings = traitlets.Int(0, help="Counts how often it was filled in from elsewhere.").tag(
        sync=True
    )
    refusals = traitlets.Int(0, help="Counts how often there was an error in the way.").tag(
        sync=True
    )

    def __init__(
        self,
        show: Callable[[], None],
        look: Callable[[], None],
        type_into: Callable[[str, Any], None],
        run: Callable[[], None],
        take: Callable[[str, list[tuple[str, bytes]]], None],
    ) -> None:
        super().__init__()
        self._show, self._look, self._type_into = show, look, type_into
        self._run, self._take = run, take
        self._arrivals = Arrivals("")  # which puts parts together, and keeps no file

    def _on_run(self, question: dict[str, Any], buffers: list) -> None:
        self.answer(question, {"kind": "running"})
        if not self.is_repeat(question):
            self._type_into(str(question.get("field", "")), question.get("text"))
            self._run()

    def _on_typed(self, question: dict[str, Any], buffers: list) -> None:
        """Fills in what fields hold whose own messages may come after the click that follows."""
        self.answer(question, {"kind": "heard"})
        if not self.is_repeat(question):
            for name, text in question.get("texts", []):
                self._type_into(str(name), text)

    def _on_part(self, question: dict[str, Any], buffers: list) -> None:
        """Takes a part of a file that was dropped; with the last one the form takes the file."""
        if self.is_repeat(question):
            return self.answer(question, {"kind": "received"})
        arrival = self._arrivals.hear(question, buffers)
        self.answer(question, {"kind": "received"})
        if arrival is not None:
            self._take(str(question.get("field", "")), [(arrival.name, bytes(arrival.data))])

    def forget_page(self) -> None:
        super().forget_page()
        self._show()

    def _on_look(self, question: dict[str, Any], buffers: list) -> None:
        """Somebody is about to press Run: what the form says is to be of now."""
        self._look()
        self.answer(question, {"kind": "looking"})
