"""`SweepForm`: fill in what to vary, see how much that is, run it, and watch the grid fill."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets
import traitlets

from ...models.catalogue import available
from ...recipe.axes import count_readings
from ...recipe.request import FIELDS, PROMPTS, SPECS, Request
from ...recipe.schedulers import SCHEDULERS
from ...recipe.sweep import Sweep
from ...render.job import Job, hear_ends, hear_interrupts, load_early
from ...results.frame import count_noun, join_words
from ...store.readers.row import read_bytes
from ...store.store import Store, open_store
from ...tiny.world import WORLDS
from ..code import name_folder
from ..forms import forget_form, note_form
from ..panel import Kept, is_unattended, render_message, workers
from ..seed_grid.grid import SeedGrid
from ..told import ToldLine
from .code import write_code
from .field_text import AXES, hear_warnings, write_line, write_texts
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
    render_settings,
    require_sides,
)
from .given import FROM, loosen, read_claims, read_given
from .jobs import RunBar, describe_end, find_own_job, name_cell, note_job
from .kept import (
    describe_cut_run,
    forget_run,
    keep_texts,
    list_texts,
    note_run,
    read_kept,
    recall_texts,
)
from .outlook import (
    Outlook,
    drop_equal_recipes,
    lend_pictures,
    list_columns,
    list_varying,
    look_ahead,
    merge_notes,
    place_error,
)
from .page import FormPage
from .reading import Reading, join_errors, join_notes, list_settings, read_texts
from .tools import ANEW, AS_LAST, BACK, Pieces, ToolBar
from .uploads import choose_upload_size

if TYPE_CHECKING:
    import pandas as pd

ahead = ThreadPoolExecutor(1, "sdlab form")  # looks up what is finished, one after the other
Names = str | Sequence[str] | None
SHORT = 60  # letters of a caption on a button
RUNS = "This cell's job is running: filled in is what it renders"
RAN = "Filled in is what this cell's job rendered"
UNTAKEN = (
    "Nothing was taken of it: the form is as it was. To change that picture itself, drop it on the"
    f" field “image” (under “{SPECS['image'].fold}”)."
)


class SweepForm(Kept, ipywidgets.VBox):
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

    errors = traitlets.Dict()
    status = traitlets.Unicode()
    code = traitlets.Unicode()
    running = traitlets.Bool(False)

    def __init__(
        self,
        plan: Sweep | Request | pd.Series | pd.DataFrame | str | os.PathLike[str] | None = None,
        store: Store | str = "runs/sweep",
        *,
        row: Names = None,
        col: Names = None,
        models: Names = None,
    ) -> None:
        self.store, self._folder = open_store(store), name_folder(store)
        if isinstance(plan, (Sweep, Request)):
            lend_pictures(self.store, [plan] if isinstance(plan, Request) else plan)
        begins, self._said = read_given(plan)
        require_sides(list(dict.fromkeys(n for r in begins for n in r.labels)), row=row, col=col)
        self._trouble, self._found, self._filling = "", Outlook(), False
        self._before: dict[str, Any] = {}  # what a picture's recipe took the place of
        self._seen = False  # whether somebody looks on
        self._latest = ""  # the field that was varied last
        self._ended = ""  # how the last job ended
        self._kept: dict[str, Any] = {}  # what was filled in when it began
        self.job: Job | None = None
        self.grid: SeedGrid | None = None
        self._lock, self._starting = threading.RLock(), threading.Lock()
        self._settled = threading.Event()
        self._script = FormPage(
            self._prepare, self._look_again, self._type_into, self._run_asked, self._files_came
        )
        self.uid = self._script.uid
        self._fields = self._make_fields(begins, models)
        self.fields = {name: field.control for name, field in self._fields.items()}
        self._cell = name_cell()
        hear_interrupts()
        hear_ends(self._other_ended)
        super().__init__()
        self._build(row, col)
        job, self._kept = find_own_job(self._cell, self.store)
        self._begin(begins, plan is None)
        note_form(self.open_recipe)
        if job:
            self._follow(job)

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
        self._tools = ToolBar(self._begin_with, self._swap)
        self._vary = ipywidgets.Button(
            tooltip="Fills the form in with the recipe of the picture that was chosen last below",
            layout={"width": "auto", "max_width": "100%"},
        )
        self._pieces = Pieces()
        self._folds = [
            Fold(title, [self._fields[name] for name in names], self.uid)
            for title, names in FOLDS.items()
            if title
        ]
        self._note, self._problem = ToldLine(), ipywidgets.HTML()
        self._place = ipywidgets.VBox()
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
            self._place,
        ]
        self.add_class("sdl-form")
        self._listen()

    def _listen(self) -> None:
        for control in self.fields.values():
            control.observe(self._read, "value")
        for choice in (self._row, self._col):
            choice.observe(self._arrange, "value")
        for button in (*(fold.button for fold in self._folds), self._pieces.button):
            button.observe(self._unfold, "value")
        self._run.on_click(self._run_clicked)
        self._stop.on_click(lambda _: self.stop())
        self._vary.on_click(self._vary_clicked)

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

    # Filling it in

    def load(self, given: Any) -> None:
        """Fills the form in anew, from anything that it can begin with, or a Path of a picture.

        Parameters
        ----------
        given : Sweep, Request, row or path
            As `plan`. What of a picture's recipe sdlab does not know is said in the form.

        Raises
        ------
        ValueError, TypeError, OSError
            As for `plan`; then nothing is changed.
        """
        self._fill(*read_given(given))

    def _begin(self, begins: Sweep, empty: bool) -> None:
        """Fills in what runs, or was there last time, if nothing was given; else offers it."""
        fields = self._fields.values()
        self._first, last = begins, recall_texts(self.store, fields)
        now = list_texts(fields)["texts"]
        if self._kept:
            self._fill_texts(read_kept(self._kept, self.store, fields), RUNS)
            self._tools.offer_swap(AS_LAST if last and empty else ANEW)
        elif last and empty and not is_unattended():
            self._fill_texts(last, "Filled in as last time in this store")
            self._tools.offer_swap(ANEW)
        elif last and not empty and any(now[name] != text for name, text in last.items()):
            self._tools.offer_swap(AS_LAST)
        self._last, self._said = last, join_notes(self._said, describe_cut_run(self.store))
        self._read()

    def _swap(self, what: str) -> None:
        """Changes between what the form began with and what was filled in last time, or goes back.

        What was there before a picture's recipe came is kept, once.
        """
        if what == BACK:
            self._fill_texts(self._before, "Filled in as before")
            self._read()
            self._keep()
            return self._tools.offer_swap("")
        if what == ANEW:
            self._last = list_texts(self._fields.values())["texts"]
            self._fill(self._first, "")
        else:
            self._fill_texts(self._last, "Filled in as last time in this store")
            self._read()
        self._tools.offer_swap(ANEW if what == AS_LAST else AS_LAST)

    def _fill(self, plan: Sweep, said: str) -> None:
        """Fills in a sweep, and says where it is from."""
        lend_pictures(self.store, plan)
        self._order = order_axes(plan)
        self._fill_texts(write_texts(plan), said)
        self._read()
        self._keep()

    def _fill_over(self, plan: Sweep, said: str) -> None:
        """Fills in a picture's recipe, and offers what was there."""
        before = list_texts(self._fields.values())["texts"]
        self._fill(plan, said)
        if before != list_texts(self._fields.values())["texts"]:
            self._before = before
            self._tools.offer_swap(BACK)

    def _fill_texts(self, texts: dict[str, Any], said: str) -> None:
        with self._lock:
            self._filling = True
            try:
                for name, text in texts.items():
                    self._fields[name].fill(text)
            finally:
                self._filling = False
            self._said, self._trouble, self._latest, self._ended = said, "", "", ""

    def _keep(self) -> None:
        ahead.submit(keep_texts, self.store, list_texts(self._fields.values()))

    def _begin_with(self, prompt: str) -> None:
        """Puts a prompt to begin with in the place of what is there, which it offers to bring back.

        What stays of other settings is said.
        """
        before, prompts = list_texts(self._fields.values())["texts"], self.fields["prompt"]
        own = prompts.value.strip() not in {"", *self._tools.list_lines()}
        prompts.value = write_line(prompt)
        if own:
            self._before = before
            self._tools.offer_swap(BACK)
        if kept := list_settings(self._reading, self._fields.values()):
            self._say(f"Kept from before: {'; '.join(kept)}")

    def _files_came(self, name: str, files: list[tuple[str, bytes]]) -> None:
        """Takes files that were dropped on a field, or on the form."""
        field = self._fields.get(name)
        if isinstance(field, PictureField):
            field.take(files)
        else:
            self._open_file(*files[0])

    def _open_file(self, name: str, data: bytes) -> None:
        """Fills the form in from a picture's own recipe; of one without nothing is taken."""
        try:
            self._fill_over(*read_claims(read_bytes(data, name), name))
        except (ValueError, TypeError) as error:
            self._say(f"{error}. {UNTAKEN}")
        self._script.fillings += 1

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

    def open_recipe(
        self, given: Request | pd.DataFrame | Path, name: str = "the chosen picture"
    ) -> None:
        """Fills the form in with a picture's recipe, and shows it."""
        plan, said = loosen(given) if isinstance(given, Request) else read_given(given)
        told = "" if said.startswith(FROM) else f"{FROM} {name}"
        self._fill_over(plan, join_notes(told, said))
        self.show_filled()

    def show_filled(self) -> None:
        """Brings what is filled in into view, where the form itself is in view."""
        self._script.fillings += 1

    # What is filled in

    def _texts(self) -> dict[str, Any]:
        pictures = {n: each for n, each in self._fields.items() if isinstance(each, PictureField)}
        texts = {name: control.value for name, control in self.fields.items()}
        size = choose_upload_size(texts, pictures["image"].list_shapes())
        for each in pictures.values():  # alike, so that a mask still lies on its picture
            each.size = size
        return {name: field.text for name, field in self._fields.items()}

    def _read(self, change: Any = None) -> None:
        """Reads the fields, and has looked up what the store says; the latest question wins."""
        if self._filling:
            return
        if change:
            self._trouble = self._said = self._ended = ""
        with self._lock:
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

    def _look_again(self) -> None:
        """Has the store asked once more: another cell or notebook may have rendered something."""
        with self._lock:
            if self._settled.is_set() and not self.running and not self.errors:
                self._settled.clear()
                ahead.submit(self._look_ahead, self._asked, self._reading)

    def _other_ended(self, job: Job) -> None:
        """Has the store asked once more when another cell's job has rendered into it."""
        if job is not self.job and job.store.root == self.store.root:
            ahead.submit(self._look_again)  # behind what is being looked up

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

    def _arrange(self, _: Any) -> None:
        """Shows the last job's pictures under the rows and columns that were chosen."""
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

    def _unfold(self, change: Any = None) -> None:
        for fold in self._folds:
            fold.show(self.errors)
        folds = {fold.title: fold.button.value for fold in self._folds}
        self._script.folds = folds | {self._pieces.title: self._pieces.button.value}
        if change and change["owner"] is self._pieces.button:
            self._pieces.show(None)
            self._look_again()

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
            self._grid_of(job)
        except ValueError:
            job.stop()
            forget_run(self.store)
            raise
        with self._lock:
            self.job, self.running, self._trouble, self._ended = job, True, "", ""
            self._show(self.status, self.errors)
        self._script.starts += 1
        self._bar.watch(job, self._show_progress)
        job.watch(lambda event: self._end(job) if event.kind == "ended" else None)

    def _show_progress(self, text: str) -> None:
        self._line.value = render_message(text, "progress", f"sdl-{self.uid}-status")

    def _grid_of(self, job: Job) -> None:
        """Puts the job's grid in the place of the last one."""
        grid = SeedGrid(job, **self._sides())
        grid.own_form = self.open_recipe
        grid.observe(lambda _: self.refresh_soon(), ["where", "only_starred", "starred", "ratings"])
        grid.observe(self._name_chosen, ["focused", "captions"])
        with self._lock:
            self.grid = grid
            self._name_chosen()
            self._place.children = [self._vary, grid]
        self.refresh_soon()

    def stop(self) -> None:
        """Ends the running job within one step; `run()` goes on from what is finished."""
        if self.job:
            self.job.stop()
        if self.running:
            forget_run(self.store)

    def _run_clicked(self, _: Any) -> None:
        self._run.disabled = True
        workers.submit(self._try_to, self.run)  # many cells take longer than a callback may

    def _type_into(self, name: str, text: Any) -> None:
        """Fills in what the page says that a field holds, where Python does not know it yet."""
        if (
            name in self.fields
            and isinstance(text, str)
            and isinstance(self.fields[name].value, str)
        ):
            self.fields[name].value = text

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


def is_varied(reading: Reading, name: str) -> bool:
    """Tells whether a field has several values, of which a grid could have its rows."""
    if name == "replace":
        return bool(reading.replace)
    values = reading.values.get(name, [])
    choices = name in PROMPTS and any(count_readings(value) > 1 for value in values)
    return name != "seed" and (len(values) > 1 or choices)


def name_latest(field: str, names: Sequence[str]) -> str:
    """Names the column by which a field is varied, its prompts' choices first; "" if none is."""
    choices = [name for name in names if name not in FIELDS]
    if field in (*PROMPTS, "replace") and choices:
        return choices[0]
    return field if field in names else ""


def order_axes(plan: Sweep) -> list[str]:
    """Orders the fields so that those that a sweep varies keep their order."""
    slots = (name for name in plan.axes if name in AXES)
    return [next(slots) if name in plan.axes else name for name in AXES]
