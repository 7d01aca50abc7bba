"""The fields of a form: read as they change, with what models and the store say of them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import ipywidgets
import traitlets

from ...models.catalogue import available
from ...recipe.request import Request
from ...recipe.schedulers import SCHEDULERS
from ...recipe.sweep import Sweep
from ...render.job import load_early
from ...results.frame import count_noun, join_words
from ...store.store import Store
from ...tiny.world import WORLDS
from ..panel import Kept, is_unattended, render_message
from ..told import ToldLine
from .code import write_code
from .field_text import order_axes, write_texts
from .fields import (
    FOLDS,
    SHOWN,
    Field,
    Fold,
    PictureField,
    SeedField,
    make_box,
    make_side,
    offer_names,
    read_names,
)
from .jobs import RunBar
from .kept import keep_texts, list_texts
from .outlook import Outlook, look_ahead, merge_notes, name_latest
from .page import FormPage
from .reading import Reading, is_varied, join_errors, join_notes, read_texts
from .tools import Pieces, ToolBar
from .uploads import choose_upload_size

ahead = ThreadPoolExecutor(1, "sdlab form")  # looks up what is finished, one after the other
Names = str | Sequence[str] | None


class FormFields(Kept, ipywidgets.VBox):
    """Fields, and all that is said of what is filled in: errors, what Run would do, the code.

    Parameters
    ----------
    store : Store
    folder : str
        The store, as the code names it.
    begins : Sweep
        What the fields hold at first.
    script : FormPage
    tools : ToolBar
    row, col, models : str or list of str, optional
        As in `SweepForm`.
    """

    errors = traitlets.Dict()
    status = traitlets.Unicode()
    code = traitlets.Unicode()
    running = traitlets.Bool(False)

    def __init__(
        self,
        store: Store,
        folder: str,
        begins: Sweep,
        script: FormPage,
        tools: ToolBar,
        *,
        row: Names,
        col: Names,
        models: Names,
    ) -> None:
        self.store, self._folder = store, folder
        self._trouble, self._found, self._filling = "", Outlook(), False
        self._said = ""  # where what is filled in is from
        self._seen = False  # whether somebody looks on
        self._latest = ""  # the field that was varied last
        self._ended = ""  # how the last job ended
        self._lock, self._settled = threading.RLock(), threading.Event()
        self._script, self._tools, self.uid = script, tools, script.uid
        self._fields = self._make_fields(begins, models)
        self.fields = {name: field.control for name, field in self._fields.items()}
        super().__init__()
        self._build(row, col)

    def _make_fields(self, begins: Sweep, models: Names) -> dict[str, Field]:
        """Makes the fields, filled in with the sweep that the form begins with."""
        self._order, texts = order_axes(begins), write_texts(begins)
        choices = {"model": [*available(None), *read_names("models", models)]}
        choices["scheduler"] = list(SCHEDULERS)
        kinds = {name: PictureField for name, spec in SHOWN.items() if spec.kind == "picture"}
        kinds["seed"] = SeedField
        return {
            name: kinds.get(name, Field)(name, texts[name], self.uid, choices.get(name, ()))
            for name in SHOWN
        }

    def _build(self, row: Names, col: Names) -> None:
        """Makes the parts around the fields, and listens to all."""
        self._row, self._col = make_side("rows", row), make_side("columns", col)
        self._wanted = {side: side.value for side in (self._row, self._col)}  # chosen last
        self._bar = RunBar(self._row, self._col)
        self._run, self._stop, self._line = self._bar.run, self._bar.stop, self._bar.line
        self._pieces = Pieces()
        self._folds = [
            Fold(title, [self._fields[name] for name in names], self.uid)
            for title, names in FOLDS.items()
            if title
        ]
        self._note, self._problem = ToldLine(), ipywidgets.HTML()
        self._unfold()
        self.children = [
            self._tools,
            make_box([self._fields[name] for name in FOLDS[""]], "sdl-fields"),
            *self._folds,
            self._pieces,
            self._bar,
            self._note,
            self._problem,
            self._script,
        ]
        self.add_class("sdl-form")
        self._listen()

    def _listen(self) -> None:
        for control in self.fields.values():
            control.observe(self._read, "value")
        for button in (*(fold.button for fold in self._folds), self._pieces.button):
            button.observe(self._unfold, "value")

    @property
    def value(self) -> Sweep:
        """The sweep; ValueError that says what is wrong at which field."""
        return self._reading.to_sweep()

    def _texts(self) -> dict[str, Any]:
        pictures = {n: each for n, each in self._fields.items() if isinstance(each, PictureField)}
        texts = {name: control.value for name, control in self.fields.items()}
        size = choose_upload_size(texts, pictures["image"].list_shapes())
        for each in pictures.values():  # alike, so that a mask still lies on its picture
            each.size = size
        return {name: field.text for name, field in self._fields.items()}

    def _type_into(self, name: str, text: Any) -> None:
        """Fills in what the page says that a field holds, where Python does not know it yet."""
        if (
            name in self.fields
            and isinstance(text, str)
            and isinstance(self.fields[name].value, str)
        ):
            self.fields[name].value = text

    def _read(self, change: Any = None) -> None:
        """Reads the fields, and has looked up what the store says; the latest question wins."""
        with self._lock:
            if self._filling:  # this thread does, as another one is waited for
                return
            if change:
                self._trouble = self._said = self._ended = ""
            self._asked = asked = object()
            self._settled.clear()
            self._found = Outlook()
            self._reading = reading = read_texts(self._texts(), self._order)
            if change and is_varied(reading, change["owner"].description):
                self._latest = change["owner"].description
            self._tools.offer(reading.values.get("model", ()) or [Request().model])
            self._write_code()
            cells = count_noun(reading.cells, "picture")
            self._show(f"{cells} …" if not reading.errors else "", reading.errors)
            if reading.errors:
                self._settled.set()
            else:
                ahead.submit(self._look_ahead, asked, reading)
        if change:
            self._keep()
        self.refresh_soon()

    def _keep(self) -> None:
        ahead.submit(keep_texts, self.store, list_texts(self._fields.values()))

    # What models and the store say

    def _look_ahead(self, asked: object, reading: Reading) -> None:
        if asked is not self._asked:
            return
        found = look_ahead(reading, self.store)
        self._load_early(reading, found)  # first, so that Run is quick once the form says more
        with self._lock:
            if asked is not self._asked:
                return
            news, self._found = found != self._found, found
            if not found.errors:
                self._offer_names(found.names, found.columns)
            self._show(found.status, found.errors)
            self._write_code()
            self._settled.set()
        if news:
            self.refresh_soon()
        self._pieces.show(None if found.errors else reading.to_sweep())

    def _look_again(self) -> None:
        """Has the store asked once more: another cell or notebook may have rendered something."""
        with self._lock:
            if self._settled.is_set() and not self.running and not self.errors:
                self._settled.clear()
                ahead.submit(self._look_ahead, self._asked, self._reading)

    def _prepare(self) -> None:
        """Loads a model for somebody who sees the form, if that was not done with the outlook."""
        self._seen = not is_unattended()
        ahead.submit(lambda: self._load_early(self._reading, self._found))

    def _load_early(self, reading: Reading, found: Outlook) -> None:
        """Loads an embedded model if there is something to render; others are large."""
        models = reading.values.get("model", [Request().model])
        if self._seen and found.todo and models[0] in WORLDS:
            with suppress(Exception):  # the job says it
                load_early(models[0])

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until `status` and `errors` are about what is filled in; False if it takes longer.

        Parameters
        ----------
        timeout : float, optional
            In seconds.
        """
        return self._settled.wait(timeout)

    # What is said of it

    def _show(self, status: str, errors: dict[str, str]) -> None:
        """Shows the status, the errors at their fields, and whether Run can be pressed."""
        self.errors, self.status = errors, status
        notes = merge_notes(self._reading.notes, self._found.notes)
        for name, field in self._fields.items():
            field.say(errors.get(name, ""), notes.get(name, ""))
            if isinstance(field, PictureField):
                field.show(self._reading.values.get(name, ()))
        for fold in self._folds:
            fold.show(errors)
        wrong = [name for name in self._fields if name in errors]
        if wrong:
            status = f"Run waits for {join_words(wrong)}: see what is said there."
        place = f"sdl-{self.uid}"
        if wrong or not self.running:  # of a job its own line tells
            told = render_message(self._ended, "ended", f"{place}-ended")
            kind = "pending" if status.endswith("…") else "status"
            self._line.value = told + render_message(status, kind, f"{place}-status")
        self._say_beside(notes.get("", ""))
        trouble = errors.get("", self._trouble)
        self._problem.value = render_message(trouble, "error", f"{place}-problem")
        self._problem.layout.display = "" if trouble else "none"
        self._script.errors = {name: f"{place}-{name}" for name in wrong}
        self._show_buttons()

    def _say(self, text: str) -> None:
        """Says where what is filled in is from."""
        self._said = text
        self._say_beside("")

    def _say_beside(self, note: str) -> None:
        text = join_notes(self._said, note)
        self._note.value = render_message(text, "note", f"sdl-{self.uid}-note")

    def _show_buttons(self) -> None:
        self._run.disabled = self.running or bool(self.errors)
        self._stop.disabled = not self.running
        reason = "a job is running" if self.running else join_errors(self.errors)
        self._run.tooltip = (
            f"Not now: {reason}"
            if self._run.disabled
            else "Renders what is not finished yet (Ctrl+Enter)"
        )

    def _unfold(self, change: Any = None) -> None:
        for fold in self._folds:
            fold.show(self.errors)
        folds = {fold.title: fold.button.value for fold in self._folds}
        self._script.folds = folds | {self._pieces.title: self._pieces.button.value}
        if change and change["owner"] is self._pieces.button:
            self._pieces.show(None)
            self._look_again()

    def _offer_names(self, names: Sequence[str], columns: frozenset[str] | None) -> None:
        """Offers what varies as rows and columns; what does not is given up until it does again.

        A grid has one place for a value that is alone, and would show only one picture there.
        """
        self._filling = True  # the grid of another sweep keeps its own rows and columns
        try:
            gone = {
                side.description: offer_names(side, names, columns, wanted)
                for side, wanted in self._wanted.items()
            }
        finally:
            self._filling = False
        for side, name in gone.items():
            if name:
                text = f"{side}: {name} does not vary now, so automatic"
                self._said = join_notes(self._said, text)

    def _sides(self) -> dict[str, Any]:
        """Says what names the grid's rows and columns, if it is not left to the grid."""
        row, col = self._row.value or None, self._col.value or None
        latest = name_latest(self._latest, self._found.names)
        if not row and not col and latest and "seed" in self._found.names:
            row, col = latest, "seed"
        return {"row": row, "col": col}

    def _write_code(self) -> None:
        self.code = self._script.code = write_code(
            self._reading, self._folder, **self._sides(), repeated=self._found.repeated
        )
