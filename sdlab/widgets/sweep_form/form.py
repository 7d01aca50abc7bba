"""`SweepForm`: fill in what to vary, see how much that is, run it, and watch the grid fill."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import ipywidgets
import traitlets

from ...models.catalogue import available
from ...recipe.request import Request
from ...recipe.schedulers import SCHEDULERS
from ...recipe.sweep import Sweep
from ...render.job import Job
from ...results.frame import join_words
from ...store.store import Store
from ..panel import Kept, workers
from ..seed_grid.grid import SeedGrid
from .code import name_folder, write_code
from .field_text import AXES, hear_warnings, read_plan, write_texts
from .fields import (
    FOLDS,
    SHOWN,
    Field,
    Fold,
    PictureField,
    make_box,
    make_side,
    offer_names,
    open_store,
    read_names,
    render_message,
    render_settings,
    require_sides,
)
from .outlook import Outlook, drop_equal_recipes, lend_pictures, look_ahead, place_error
from .page import FormPage
from .reading import Reading, join_errors, read_texts

if TYPE_CHECKING:
    import pandas as pd

ahead = ThreadPoolExecutor(1, "sdlab form")  # looks up what is finished, one after the other
Names = str | Sequence[str] | None


class SweepForm(Kept, ipywidgets.VBox):
    """A form that makes a sweep and runs it; the sweep is `.value`, and the Python for it `.code`.

    Parameters
    ----------
    plan : Sweep or Request, optional
        What to begin with: what `sweep` returned, or one request, whose labels are not kept.
    store : Store or path
        Where the pictures go.
    row, col : str or list of str, optional
        What names the rows and columns of the grid, as for `SeedGrid`.
    models : str or list of str, optional
        Names or folders of models to offer besides those in `MODELS` and in the plan.

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
        Rows or columns that no sweep varies; weights that are not here; several texts to replace.
    TypeError
        A plan, store, models, rows or columns that are none.

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
        plan: Sweep | Request | None = None,
        store: Store | str = "runs/sweep",
        *,
        row: Names = None,
        col: Names = None,
        models: Names = None,
    ) -> None:
        self.store, self._folder = open_store(store), name_folder(store)
        if isinstance(plan, (Sweep, Request)):
            lend_pictures(self.store, [plan] if isinstance(plan, Request) else plan)
        plan = read_plan(plan)
        require_sides(list(dict.fromkeys(n for r in plan for n in r.labels)), row=row, col=col)
        slots = (name for name in plan.axes if name in AXES)  # they keep their order
        self._order = [next(slots) if name in plan.axes else name for name in AXES]
        self._trouble, self._found = "", Outlook()
        self.job: Job | None = None
        self.grid: SeedGrid | None = None
        self._lock, self._starting = threading.RLock(), threading.Lock()
        self._settled = threading.Event()
        self._script = FormPage(self._look_again)
        self.uid = self._script.uid
        choices = {"model": [*available(None), *read_names("models", models)]}
        choices["scheduler"] = list(SCHEDULERS)
        texts = write_texts(plan)
        self._fields = {
            name: (PictureField if spec.kind == "picture" else Field)(
                name, texts[name], self.uid, choices.get(name, ())
            )
            for name, spec in SHOWN.items()
        }
        self.fields = {name: field.control for name, field in self._fields.items()}
        super().__init__()
        self._build(row, col)
        self._read()

    def _build(self, row: Names, col: Names) -> None:
        """Makes the parts around the fields, and listens to all."""
        self._row, self._col = make_side("rows", row), make_side("columns", col)
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
            if title
        ]
        self._line, self._problem = ipywidgets.HTML(), ipywidgets.HTML()
        self._place = ipywidgets.VBox()
        self._unfold()
        self.children = [
            make_box([self._fields[name] for name in FOLDS[""]], "sdl-fields"),
            *self._folds,
            make_box([self._run, self._stop, self._row, self._col], "sdl-run"),
            self._line,
            self._problem,
            self._script,
            self._place,
        ]
        self.add_class("sdl-form")
        for control in self.fields.values():
            control.observe(self._read, "value")
        for choice in (self._row, self._col):
            choice.observe(self._write_code, "value")
        for fold in self._folds:
            fold.button.observe(self._unfold, "value")
        self._run.on_click(self._run_clicked)
        self._stop.on_click(lambda _: self.stop())

    def __repr__(self) -> str:
        said = self.job.progress if self.job and self.running else self.status
        return f"<SweepForm: {join_errors(self.errors) or said}>"

    @property
    def value(self) -> Sweep:
        """The sweep; ValueError that says what is wrong at which field."""
        return self._reading.to_sweep()

    @property
    def results(self) -> pd.DataFrame:
        """The frame of the last job, after waiting for its end."""
        if self.job is None:
            raise ValueError("nothing has run yet: form.run() starts what the form describes")
        return self.job.result()

    def forget_page(self) -> None:
        self._script.forget_page()

    def static(self) -> str:
        """Renders the settings, and the grid of the last run."""
        settings = render_settings(self._texts(), "" if self.grid else self.status)
        return settings + (self.grid.static() if self.grid else "")

    # What is filled in

    def _texts(self) -> dict[str, Any]:
        return {name: field.text for name, field in self._fields.items()}

    def _read(self, change: Any = None) -> None:
        """Reads the fields, and has looked up what the store says; the latest question wins."""
        if change:
            self._trouble = ""
        with self._lock:
            self._asked = asked = object()
            self._settled.clear()
            self._found = Outlook()
            self._reading = reading = read_texts(self._texts(), self._order)
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
        found = look_ahead(reading, self.store)
        with self._lock:
            if asked is not self._asked:
                return
            news, self._found = found != self._found, found
            self._show(found.status, found.errors)
            for side in (self._row, self._col):
                offer_names(side, found.names)
            self._write_code()
            self._settled.set()
        if news:
            self.refresh_soon()

    def _look_again(self) -> None:
        """Has the store asked once more: another cell or notebook may have rendered something."""
        with self._lock:
            if self._settled.is_set() and not self.running and not self.errors:
                self._settled.clear()
                ahead.submit(self._look_ahead, self._asked, self._reading)

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until `status` and `errors` are about what is filled in; False if it takes longer.

        Parameters
        ----------
        timeout : float, optional
            In seconds.
        """
        return self._settled.wait(timeout)

    def _show(self, status: str, errors: dict[str, str]) -> None:
        """Shows the status, the errors at their fields, and whether Run can be pressed."""
        self.errors, self.status = errors, status
        notes = self._found.notes | self._reading.notes
        for name, field in self._fields.items():
            field.say(errors.get(name, ""), notes.get(name, ""))
            if isinstance(field, PictureField):
                field.show(self._reading.values.get(name, ()))
        for fold in self._folds:
            fold.show(errors)
        wrong = [name for name in self._fields if name in errors]
        if wrong:
            status = f"Run waits for {join_words(wrong)}: see what is said there."
        elif self.running:  # what is finished changes by the second, and the grid says it
            status = "A job is running: how far it is stands above its pictures."
        place = f"sdl-{self.uid}"
        self._line.value = render_message(status, "status", f"{place}-status")
        self._line.value += render_message(notes.get("", ""), "note", f"{place}-note")
        trouble = errors.get("", self._trouble)
        self._problem.value = render_message(trouble, "error", f"{place}-problem")
        self._problem.layout.display = "" if trouble else "none"
        self._script.errors = {name: f"{place}-{name}" for name in wrong}
        self._show_buttons()

    def _show_buttons(self) -> None:
        self._run.disabled = self.running or bool(self.errors)
        self._stop.disabled = not self.running
        reason = "a job is running" if self.running else join_errors(self.errors)
        self._run.tooltip = (
            f"Not now: {reason}" if self._run.disabled else "Renders what is not finished yet"
        )

    def _write_code(self, _: Any = None) -> None:
        self.code = self._script.code = write_code(
            self._reading,
            self._folder,
            row=self._row.value,
            col=self._col.value,
            repeated=self._found.repeated,
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
            with hear_warnings():  # the form's notes say of what it warns
                job = Job(drop_equal_recipes(self.value), self.store, progress=False)
            grid = self._grid_of(job)
        finally:
            self._starting.release()
        grid.observe(lambda _: self.refresh_soon(), ["where", "only_starred", "starred", "ratings"])
        job.watch(lambda event: self._end(job) if event.kind == "ended" else None)
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
        """Ends the running job within one step; `run()` goes on from what is finished."""
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
        errors = place_error(error)
        with self._lock:
            self._trouble = errors.pop("", "")
            self._show(self.status, self.errors | errors)

    def _end(self, job: Job) -> None:
        with self._lock:
            self.running = False
            self._show_buttons()
        self._read()
        if job.exception is not None:
            self._tell(job.exception)
        self.refresh()
