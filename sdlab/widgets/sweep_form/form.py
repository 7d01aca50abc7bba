"""`SweepForm`: fill in what to vary, see how much that is, run it, and watch the grid fill."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets

from ...recipe.request import Request
from ...recipe.sweep import Sweep
from ...render.job import Job, hear_ends, hear_interrupts
from ...store.store import Store, open_store
from ..code import name_folder
from ..forms import forget_form, note_form
from ..panel import render_message, workers
from ..seed_grid.grid import SeedGrid
from .field_text import hear_warnings
from .fields import render_settings, require_sides
from .form_fields import Names, ahead
from .form_filling import RUNS, FilledForm
from .given import read_given
from .jobs import describe_end, find_own_job, name_cell, note_job
from .kept import forget_run, list_texts, note_run
from .outlook import drop_equal_recipes, lend_pictures, list_columns, list_varying, place_error
from .page import FormPage
from .reading import join_errors
from .tools import ToolBar

if TYPE_CHECKING:
    import pandas as pd

SHORT = 60  # letters of a caption on a button
RAN = "Filled in is what this cell's job rendered"


class SweepForm(FilledForm):
    """A form that makes a sweep and runs it; the sweep is `.value`, and the Python for it `.code`.

    Parameters
    ----------
    plan : Sweep, Request, row or path, optional
        What to begin with: what `sweep` returned, or one request, whose labels are not kept, or a
        row of a frame (`results.iloc[3]`), or the path of a picture that carries its recipe, of
        any program that `read_pictures` knows. Without it the form is filled in as last time in
        this store, and says so; what is filled in is kept in the store's folder, in `form.json`.
    store : Store or path
        Where the pictures go.
    row, col : str or list of str, optional
        What names the rows and columns of the grid, as for `SeedGrid`. With neither, what was
        varied last stands down, where seeds are varied, too.
    models : str or list of str, optional
        Names or folders of models to offer besides those in `MODELS` and in the plan.

    Attributes
    ----------
    fields : dict
        {name: ipywidget}; `form.fields["seed"].value = "0-7"` fills one in. A seed of -1 is drawn,
        and stands there as the number that was drawn.
    errors : dict
        {field: what is wrong}; "" stands for what is wrong with no single field. Can be observed,
        as `status`, `code` and `running` can.
    status : str
        How many pictures there are, how many of them finished, and about how long the rest takes.
    job, grid : Job, SeedGrid
        Those of the last run; None before the first. A form that is made while the job of the same
        cell runs, as when the cell is run again, takes that job over, and is filled in with what
        that job renders.

    Raises
    ------
    ValueError
        Rows or columns that no sweep varies; weights that are not here; several texts to replace; a
        picture without a recipe.
    TypeError
        A plan, store, models, rows or columns that are none.

    Examples
    --------
    >>> form = SweepForm(sweep(Request(prompt="a {red|blue} circle"), seed=range(4)), "runs/circle")
    """

    def __init__(
        self,
        plan: Sweep | Request | pd.Series | pd.DataFrame | str | os.PathLike[str] | None = None,
        store: Store | str = "runs/sweep",
        *,
        row: Names = None,
        col: Names = None,
        models: Names = None,
    ) -> None:
        opened = open_store(store)
        if isinstance(plan, (Sweep, Request)):
            lend_pictures(opened, [plan] if isinstance(plan, Request) else plan)
        begins, said = read_given(plan)
        require_sides(list(dict.fromkeys(n for r in begins for n in r.labels)), row=row, col=col)
        self.job: Job | None = None
        self.grid: SeedGrid | None = None
        self._starting = threading.Lock()
        self._cell = name_cell()
        script = FormPage(
            self._prepare, self._look_again, self._type_into, self._run_asked, self._files_came
        )
        tools = ToolBar(self._begin_with, self._swap)
        names = {"row": row, "col": col, "models": models}
        super().__init__(opened, name_folder(store), begins, script, tools, **names)
        hear_interrupts()
        hear_ends(self._other_ended)
        self._add_place()
        self._said = said
        job, kept = find_own_job(self._cell, self.store)
        self._kept = kept  # what was filled in when it began
        self._begin(begins, plan is None, kept)
        note_form(self.open_recipe)
        if job:
            self._follow(job)

    def _add_place(self) -> None:
        """Makes the place of the last job's pictures, and listens to what is about jobs."""
        self._place = ipywidgets.VBox()
        self._vary = ipywidgets.Button(
            tooltip="Fills the form in with the recipe of the picture that was chosen last below",
            layout={"width": "auto", "max_width": "100%"},
        )
        self.children = [*self.children, self._place]
        for choice in (self._row, self._col):
            choice.observe(self._arrange, "value")
        self._run.on_click(self._run_clicked)
        self._stop.on_click(lambda _: self.stop())
        self._vary.on_click(self._vary_clicked)

    def __repr__(self) -> str:
        said = self.job.progress if self.job and self.running else self.status
        return f"<SweepForm: {join_errors(self.errors) or said}>"

    @property
    def results(self) -> pd.DataFrame:
        """The frame of the last job, after waiting for its end."""
        if self.job is None:
            raise ValueError("nothing has run yet: form.run() starts what the form describes")
        return self.job.result()

    def forget_page(self) -> None:
        note_form(self.open_recipe)
        self._script.forget_page()

    def close(self) -> None:
        """Takes the form away; its job goes on."""
        forget_form(self.open_recipe)
        super().close()

    def static(self) -> str:
        """Renders the settings, and the grid of the last run."""
        settings = render_settings(self._fields.values(), "" if self.grid else self.status)
        return settings + (self.grid.static() if self.grid else "")

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
            self._kept = list_texts(self._fields.values())
            note_job(self._cell, job, self._kept)
            note_run(self.store, job.progress.todo)
            self._follow(job)
        finally:
            self._starting.release()
        return job

    def _follow(self, job: Job) -> None:
        """Shows a job and its pictures until it ends, in rows and columns that vary in it."""
        with self._lock:
            self._offer_names(list_varying(job.requests), list_columns(job.requests))
        try:
            self._grid_of(job, begins=True)
        except ValueError:
            job.stop()
            forget_run(self.store)
            raise
        with self._lock:
            self._trouble = self._ended = ""
        self.running = True  # who hears of it may wait for somebody who waits for the lock
        with self._lock:
            self._show(self.status, self.errors)
        self._script.starts += 1
        self._bar.watch(job, self._show_progress)
        job.watch(lambda event: self._end(job) if event.kind == "ended" else None)

    def _show_progress(self, text: str) -> None:
        self._line.value = render_message(text, "progress", f"sdl-{self.uid}-status")

    def stop(self) -> None:
        """Ends the running job within one step; `run()` goes on from what is finished."""
        if self.job:
            self.job.stop()
        if self.running:
            forget_run(self.store)

    def _run_clicked(self, _: Any) -> None:
        self._run.disabled = True
        workers.submit(self._try_to, self.run)  # many cells take longer than a callback may

    def _run_asked(self) -> None:
        workers.submit(self._run_when_read)

    def _run_when_read(self) -> None:
        self.wait()
        if self.errors:
            self._script.refusals += 1
        elif not self.running:
            self._try_to(self.run)

    def _try_to(self, work: Callable[..., Any], *given: Any) -> None:
        """Does it, and shows an error in the form: a traceback would land in some cell."""
        try:
            work(*given)
        except Exception as error:
            self._tell(error)

    def _tell(self, error: BaseException) -> None:
        errors = place_error(error)
        with self._lock:
            self._trouble = errors.pop("", "")
            self._show(self.status, self.errors | errors)

    def _end(self, job: Job) -> None:
        same = list_texts(self._fields.values()) == self._kept
        with self._lock:
            self.running, self._ended = False, describe_end(job, same)
            self._said = self._said.replace(RUNS, RAN)
            self._show_buttons()
        if job.state != "stopped":  # a Python that ends stops its jobs
            forget_run(self.store)
        self._bar.end()
        self._read()
        if job.exception is not None:
            self._tell(job.exception)
        self.refresh()

    def _other_ended(self, job: Job) -> None:
        """Has the store asked once more when another cell's job has rendered into it."""
        if job is not self.job and job.store.root == self.store.root:
            ahead.submit(self._look_again)  # behind what is being looked up

    # Its pictures

    def _grid_of(self, job: Job, *, begins: bool = False) -> None:
        """Puts a grid of the job, which begins or is the last, in the place of the last grid."""
        wanted = dict(self._wanted)
        grid = SeedGrid(job, **self._sides())
        grid.own_form = self.open_recipe
        grid.observe(lambda _: self.refresh_soon(), ["where", "only_starred", "starred", "ratings"])
        grid.observe(self._name_chosen, ["focused", "captions"])
        with self._lock:
            self.job = job if begins else self.job
            if job is not self.job:
                return  # sides that were chosen for the run before
            self.grid = grid
            self._name_chosen()
            self._place.children = [self._vary, grid]
        if begins and self._wanted != wanted:  # chosen meanwhile, for the run before
            workers.submit(self._try_to_arrange, job, dict(self._wanted))
        self.refresh_soon()

    def _arrange(self, _: Any) -> None:
        """Shows the last job's pictures under the rows and columns that were chosen."""
        with self._lock:  # another thread that fills in is waited for
            if self._filling:
                return
            self._wanted = {side: side.value for side in (self._row, self._col)}
            self._write_code()
        if self.job is not None:
            workers.submit(self._try_to_arrange, self.job, dict(self._wanted))

    def _try_to_arrange(self, job: Job, wanted: dict[Any, str]) -> None:
        try:
            self._grid_of(job)
            with self._lock:
                if self.grid and all(side.value == name for side, name in wanted.items()):
                    self._say(f"The pictures stand below in {self.grid.describe_sides()} now")
        except ValueError as error:
            self._tell(ValueError(f"the pictures below stay as they are: {error}"))

    def _name_chosen(self, change: Any = None) -> None:
        """Says on the button which picture it takes."""
        if grid := self.grid:
            caption = grid.captions[grid.focused]
            short = caption if len(caption) <= SHORT else f"{caption[:SHORT]}…"
            self._vary.description = f"Vary picture {grid.focused + 1}: {short}"

    def _vary_clicked(self, _: Any) -> None:
        if self.job and self.grid:
            workers.submit(self._try_to, self._vary_chosen, self.job, self.grid.focused)

    def _vary_chosen(self, job: Job, i: int) -> None:
        caption = f": {self.grid.captions[i]}" if self.grid else ""
        self.open_recipe(job.frame().iloc[[i]], f"picture {i + 1}{caption}")
