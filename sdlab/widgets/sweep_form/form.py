"""`SweepForm`: fill in what to vary, see how much that is, run it, and watch the grid fill."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import ipywidgets
import traitlets

from ...models.catalogue import available
from ...pictures import PICTURES
from ...recipe.request import Request
from ...render.job import Job
from ...render.plan import listed
from ...results.frame import enumeration
from ...store.store import Store
from ..panel import Kept, workers
from ..seed_grid.grid import SeedGrid
from .fields import (
    FOLDED,
    FOLDS,
    HINTS,
    Field,
    Fold,
    PictureField,
    box,
    named,
    offer,
    opened,
    require_sides,
    said,
    settings_table,
    side,
)
from .outlook import Look, lend, looked_up, once, place_of
from .page import FormPage
from .reading import ORDER, Reading, folder_of, heard, read
from .texts import texts_of

if TYPE_CHECKING:
    import pandas as pd

START = {name: "" for name in HINTS} | {"model": (Request().model,), "scheduler": (), "seed": "0"}
ahead = ThreadPoolExecutor(
    1, "sdlab form"
)  # looks up what is finished, one question after the other
Names = str | Sequence[str] | None


class SweepForm(Kept, ipywidgets.VBox):
    """A form that makes a sweep and runs it; what it makes is in `.value`, and the Python for that in `.code`.

    Parameters
    ----------
    requests : Request or iterable of Request, optional
        A full sweep, or one request, to begin with.
    store : Store or path
        Where the pictures go.
    row, col : str or list of str, optional
        What names the rows and columns of the grid, as for `SeedGrid`.
    models : str or list of str, optional
        Names or folders of models to offer besides those in `MODELS` and in the requests.

    Attributes
    ----------
    fields : dict
        {name: ipywidget}; `form.fields["seed"].value = "0-7"` fills one in.
    errors : dict
        {field: what is wrong}; "" stands for what is wrong with no single field. Can be observed,
        as `status`, `code` and `running` can.
    status : str
        How many cells there are, how many of them finished, and about how long the rest takes.
    job, grid : Job, SeedGrid
        Those of the last run; None before the first.

    Raises
    ------
    ValueError
        The requests are no full sweep; the message says what is missing. Rows or columns that no
        sweep varies.
    TypeError
        A store, models, rows or columns that are none.

    Examples
    --------
    >>> form = SweepForm(sweep(Request(prompt="a {red|blue} circle"), seed=range(4)), "runs/circle")
    """

    errors = traitlets.Dict()
    status = traitlets.Unicode()
    code = traitlets.Unicode()
    running = traitlets.Bool(False)

    def __init__(
        self,
        requests: Request | Iterable[Request] | None = None,
        store: Store | str = "runs/sweep",
        *,
        row: Names = None,
        col: Names = None,
        models: Names = None,
    ) -> None:
        found = [] if requests is None else listed(requests)
        if requests is not None and not found:
            raise ValueError("no requests: give a sweep, one Request, or nothing for an empty form")
        self.store = opened(store)
        lend(self.store, found)
        texts, self._order, lost = texts_of(found) if found else (START, list(ORDER), "")
        require_sides(
            [] if lost else list(dict.fromkeys(name for each in found for name in each.labels)),
            row=row,
            col=col,
        )
        self._notes, self._trouble, self._found = {"prompt": lost} if lost else {}, "", Look()
        self._folder = folder_of(store)
        self.job: Job | None = None
        self.grid: SeedGrid | None = None
        self._lock, self._starting, self._settled = (
            threading.RLock(),
            threading.Lock(),
            threading.Event(),
        )
        self._script = FormPage(self._look_again)
        self.uid = self._script.uid
        offered = dict.fromkeys([*available(None), *named("models", models), *texts["model"]])
        self._fields = {
            name: (PictureField if name in PICTURES else Field)(
                name, texts[name], list(offered), self.uid
            )
            for name in HINTS
        }
        self.fields = {name: field.control for name, field in self._fields.items()}
        super().__init__()
        self._build(row, col)
        self._changed()

    def _build(self, row: Names, col: Names) -> None:
        """Makes the parts around the fields, and listens to all."""
        self._row, self._col = side("rows", row), side("columns", col)
        self._run = ipywidgets.Button(
            description="Run", button_style="primary", tooltip="Renders what is not finished yet"
        )
        self._stop = ipywidgets.Button(
            description="Stop",
            disabled=True,
            tooltip="Ends within one step; Run goes on from there",
        )
        self._folds = [
            Fold(title, [self._fields[name] for name in names], self.uid)
            for title, names in FOLDS.items()
        ]
        self._line, self._problem = ipywidgets.HTML(), ipywidgets.HTML()
        self._place = ipywidgets.VBox()
        self._unfold()
        self.children = [
            box([self._fields[name] for name in HINTS if name not in FOLDED], "sdl-fields"),
            *self._folds,
            box([self._run, self._stop, self._row, self._col], "sdl-run"),
            self._line,
            self._problem,
            self._script,
            self._place,
        ]
        self.add_class("sdl-form")
        for control in self.fields.values():
            control.observe(self._changed, "value")
        for choice in (self._row, self._col):
            choice.observe(self._write_code, "value")
        for fold in self._folds:
            fold.button.observe(self._unfold, "value")
        self._run.on_click(self._run_clicked)
        self._stop.on_click(lambda _: self.stop())

    def __repr__(self) -> str:
        return (
            "<SweepForm:"
            f" {self._reading.wrong() or (self.job.progress if self.running else self.status)}>"
        )

    @property
    def value(self) -> list[Request]:
        """The requests of the sweep; ValueError that says what is wrong at which field."""
        return self._reading.requests()

    @property
    def results(self) -> pd.DataFrame:
        """The frame of the last job, after waiting for its end."""
        if self.job is None:
            raise ValueError("nothing has run yet: form.run() starts what the form describes")
        return self.job.result()

    def shown_anew(self) -> None:
        self._script.shown_anew()

    def static(self) -> str:
        return settings_table(self._texts(), "" if self.grid else self.status) + (
            self.grid.static() if self.grid else ""
        )

    # What is filled in

    def _texts(self) -> dict[str, Any]:
        return {name: field.text for name, field in self._fields.items()}

    def _changed(self, change: Any = None) -> None:
        """Reads the fields, and has looked up what the store says of the cells; the latest question wins."""
        if change:
            self._notes, self._trouble = {}, ""
        with self._lock:
            self._asked = asked = object()
            self._settled.clear()
            self._found, self._reading = Look(), (reading := read(self._texts(), self._order))
            self._write_code()
            cells = f"{reading.cells:,} cell{'s' * (reading.cells != 1)}"
            self._show(f"{cells} …" if not reading.errors else "", reading.errors)
            if reading.errors:
                self._settled.set()
            else:
                ahead.submit(self._look_ahead, asked, reading)
        self.refresh_soon()

    def _look_ahead(self, asked: object, reading: Reading) -> None:
        if asked is not self._asked:
            return
        look = looked_up(reading, self.store)
        with self._lock:
            if asked is not self._asked:
                return
            news, self._found = look != self._found, look
            self._show(look.status, look.errors)
            for choice in (self._row, self._col):
                offer(choice, look.names)
            self._write_code()
            self._settled.set()
        if news:
            self.refresh_soon()

    def _look_again(self) -> None:
        """Has the store asked once more: another cell, or another notebook, may have rendered what was missing."""
        with self._lock:
            if self._settled.is_set() and not self.running and not self.errors:
                self._settled.clear()
                ahead.submit(self._look_ahead, self._asked, self._reading)

    def settled(self, timeout: float | None = None) -> bool:
        """Waits until `status` and `errors` are about what is filled in; False if that takes longer than `timeout` seconds."""
        return self._settled.wait(timeout)

    def _show(self, status: str, errors: dict[str, str]) -> None:
        """Shows the status, the errors at their fields, and whether Run can be pressed."""
        self.errors, self.status = errors, status
        notes = self._notes | self._found.notes | self._reading.notes
        for name, field in self._fields.items():
            field.say(errors.get(name, ""), notes.get(name, ""))
            if name in PICTURES:
                field.show(self._reading.values.get(name, ()))
        for fold in self._folds:
            fold.show(errors)
        wrong = [name for name in self._fields if name in errors]
        reason = f"Run waits for {enumeration(wrong)}: see what is said there." if wrong else ""
        if self.running:  # what is finished changes by the second, and the grid says it
            status = "A job is running: how far it is stands above its pictures."
        self._line.value = said(reason or status, "status", f"sdl-{self.uid}-status")
        self._line.value += said(notes.get("", ""), "note", f"sdl-{self.uid}-note")
        self._problem.value = said(
            errors.get("", self._trouble), "error", f"sdl-{self.uid}-problem"
        )
        self._problem.layout.display = "" if self._problem.value else "none"
        self._script.errors = {name: f"sdl-{self.uid}-{name}" for name in wrong}
        self._show_buttons()

    def _show_buttons(self) -> None:
        self._run.disabled, self._stop.disabled = (
            self.running or bool(self.errors),
            not self.running,
        )
        reason = "a job is running" if self.running else self._reading.wrong()
        self._run.tooltip = (
            f"Not now: {reason}" if self._run.disabled else "Renders what is not finished yet"
        )

    def _write_code(self, _: Any = None) -> None:
        self.code = self._script.code = self._reading.code(
            self._folder, self._row.value, self._col.value, self._found.repeated
        )

    def _unfold(self, _: Any = None) -> None:
        for fold in self._folds:
            fold.show()
        self._script.folds = {fold.title: fold.button.value for fold in self._folds}

    # Running it

    def run(self) -> Job:
        """Starts a job for what is not finished yet, each recipe once, and shows it in a new grid.

        Raises
        ------
        ValueError
            A field has an error, the models cannot take the requests, or a job of this form is
            running.
        """
        if self.running or not self._starting.acquire(blocking=False):
            raise ValueError("a job of this form is running; form.stop() ends it within a step")
        try:
            with heard():  # the form's notes say of what it warns
                job = Job(once(self.value), self.store, progress=False)
            grid = self._grid_of(job)
        finally:
            self._starting.release()
        grid.observe(lambda _: self.refresh_soon(), ["where", "only_starred", "starred", "ratings"])
        job.watch(lambda event: self._ended(job) if event.kind == "ended" else None)
        return job

    def _grid_of(self, job: Job) -> SeedGrid:
        """Puts the job's grid in the place of the last one."""
        try:
            grid = SeedGrid(job, row=self._row.value or None, col=self._col.value or None)
        except ValueError:
            job.stop()
            raise
        with self._lock:
            self.job, self.grid, self.running, self._trouble = job, grid, True, ""
            self._place.children = [grid]
            self._show(self.status, self.errors)
        return grid

    def stop(self) -> None:
        """Ends the running job within one step; what is finished is kept, and `run()` goes on from there."""
        if self.job:
            self.job.stop()

    def _run_clicked(self, _: Any) -> None:
        self._run.disabled = True
        workers.submit(self._try_to_run)  # checking many cells takes longer than a callback may

    def _try_to_run(self) -> None:
        try:
            self.run()
        except Exception as error:  # a traceback would land in some cell
            self._tell(error)

    def _tell(self, error: BaseException) -> None:
        place, text = place_of(f"{error}" or type(error).__name__)
        with self._lock:
            self._trouble = "" if place else text
            self._show(self.status, self.errors | ({place: text} if place else {}))

    def _ended(self, job: Job) -> None:
        with self._lock:
            self.running = False
            self._show_buttons()
        self._changed()
        if job.exception is not None:
            self._tell(job.exception)
        self.refresh()
