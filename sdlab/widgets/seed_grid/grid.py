"""`SeedGrid`: the pictures of a frame or a running job in a labelled grid."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pandas as pd
import traitlets

from ...pictures import webp_bytes
from ...progress import Event
from ...recipe.spec import SEEDS
from ...recipe.sweep import sweep
from ...render.job import Job
from ...results.code import write_grid_code
from ...results.frame import column_values, describe_constant
from ...results.grid import require_pictures
from ..panel import Panel, describe_error, source, start_timer, workers
from ..pictures import THUMBNAIL
from .cells import Cells
from .places import Places, arrange_places
from .still import render_grid

PAUSE = 0.15  # seconds between two messages about a job
BATCH = 50  # pictures in a message


class SeedGrid(Panel):
    """The pictures of a frame, or of a job while it runs, in a labelled grid.

    Cells appear as they land, with a sketch of those at work. Hover or focus tells the recipe;
    click or Enter opens the picture with its whole recipe, and buttons that copy it, or render it
    with other seeds. Stars and ratings are kept in the store.

    Parameters
    ----------
    results : DataFrame or Job
        What `run` returned, or a `Job`.
    row, col : str or list of str, optional
        The columns that name the grid's rows and columns. What else varies gets a slider each. With
        neither, seeds stand across, and the first other column that varies stands down; where only
        one thing varies, the pictures stand in order.
    title : str
        What screen readers call the grid.
    cell_px : int
        The size of a cell, 32 to 512 screen pixels.

    Attributes
    ----------
    state : {"still", "running", "done", "stopped", "failed"}
        The job's; "still" for a frame.
    where : list of int
        The sliders' settings. `only_starred` and `focused` (a row's number) can be set and
        observed, too, `opened` observed.

    Raises
    ------
    ValueError, TypeError
        Unknown columns, rows that differ in nothing, an empty frame.

    Examples
    --------
    >>> SeedGrid(results, row="prompt", col="seed")
    """

    _esm = source(
        "page.js",
        "seed_grid/layout.js",
        "seed_grid/cell.js",
        "seed_grid/opinions.js",
        "seed_grid/pictures.js",
        "seed_grid/sight.js",
        "seed_grid/bar.js",
        "seed_grid/keys.js",
        "seed_grid/zoom.js",
        "seed_grid/grid.js",
    )
    _css = source("page.css", "seed_grid/grid.css")
    title = traitlets.Unicode().tag(sync=True)
    places = traitlets.Dict().tag(sync=True)
    captions: Any = traitlets.List().tag(sync=True)
    shared = traitlets.Unicode().tag(sync=True)
    cell_px = traitlets.Int(128, min=32, max=512).tag(sync=True)
    states = traitlets.Unicode().tag(sync=True)
    state = traitlets.Unicode("still").tag(sync=True)
    status = traitlets.Unicode().tag(sync=True)
    fraction = traitlets.Float(0.0).tag(sync=True)
    where = traitlets.List(traitlets.Int()).tag(sync=True)
    only_starred = traitlets.Bool(False).tag(sync=True)
    starred = traitlets.List(traitlets.Int()).tag(sync=True)
    ratings: Any = traitlets.List().tag(sync=True)  # [row, 1 to 5]
    focused = traitlets.Int(0).tag(sync=True)
    opened = traitlets.Int(-1).tag(sync=True)
    recoded = traitlets.Int(
        0, help="Counts the changes of `code`, which the page asks for when it shows it."
    ).tag(sync=True)

    def __init__(
        self,
        results: pd.DataFrame | Job,
        *,
        row: str | Sequence[str] | None = None,
        col: str | Sequence[str] | None = None,
        title: str = "pictures",
        cell_px: int = 128,
    ) -> None:
        if not isinstance(results, (pd.DataFrame, Job)):
            kind = type(results).__name__
            raise TypeError(f"SeedGrid takes the frame of run(), or a Job, not {kind}")
        self.job: Job | None = results if isinstance(results, Job) else None
        frame: pd.DataFrame = results.frame() if isinstance(results, Job) else results
        require_pictures(frame)
        self._places: Places = arrange_places(frame, row, col)
        self._settings = self._places.settings()
        job = (self.job.frame, self.job.store) if self.job else (None, None)
        self._cells = Cells(frame, *job)
        self._news: dict[int, Any] = {}  # row: a sketch, or None where there is something final
        self._lock, self._speaking, self._telling = threading.RLock(), threading.Lock(), False
        self._view: Any = None
        self._code, self._varying = (-1, ""), threading.Lock()
        self._varied: dict[int, tuple[Job, int]] = {}  # cell: (its job, its first variation)
        super().__init__(
            title=title,
            cell_px=cell_px,
            captions=self._places.captions,
            places=self._places.to_json(),
            shared=describe_constant(frame, self._places.names),
            where=[0] * len(self._places.sliders),
            states=self._cells.states(self.job is not None),
        )
        self._read_opinions()
        self._note_view()
        self.observe(self._note_view, ["where", "only_starred", "starred", "ratings"])
        if self.job:
            self.job.watch(self._hear_job)  # first, so that nothing lands unseen
            self._cells.update()
            self._tell()

    def __repr__(self) -> str:
        return f"<SeedGrid of {len(self._cells)} cells{f', {self.job}' if self.job else ''}>"

    @property
    def value(self) -> pd.DataFrame:
        """The rows in view, of the sliders' setting or starred, with their stars and ratings."""
        frame = self.job.frame() if self.job else self._cells.frame
        stars, rated, rows = set(self.starred), dict(self.ratings), range(len(frame))
        return frame.assign(
            starred=pd.array([i in stars for i in rows], "boolean"),
            rating=pd.array([rated.get(i) for i in rows], "Int64"),
        ).iloc[self.in_view()]

    def in_view(self) -> list[int]:
        """Lists the numbers of the rows in view."""
        setting, stars = tuple(self.where), set(self.starred)
        return [
            i
            for i, found in enumerate(self._settings)
            if found == setting and (not self.only_starred or i in stars)
        ]

    @traitlets.validate("where")
    def _require_setting(self, proposal: Any) -> list[int]:
        where, counts = proposal["value"], [len(axis.found) for axis in self._places.sliders]
        if len(where) != len(counts) or not all(0 <= n < count for n, count in zip(where, counts)):
            raise traitlets.TraitError(
                f"where={where}: give each slider the number of its value; they have {counts}"
                " values"
            )
        return where

    def _note_view(self, _: Any = None) -> None:
        view = self.in_view(), self.only_starred
        if view != self._view:
            self._view = view
            self.recoded += 1
        self.refresh_soon()

    @property
    def code(self) -> str:
        """Python that makes the rows in view again and draws them."""
        if self._code[0] != self.recoded:  # made when asked for: 10,000 rows take a second
            self._code = self.recoded, self._code_of(*self._view)
        return self._code[1]

    def _on_code(self, question: dict, buffers: list) -> None:
        self.answer_later(question, lambda: ({"kind": "code", "code": self.code}, None))

    def _code_of(self, rows: list[int], in_order: bool) -> str:
        if not rows:
            return "# no picture is in view"
        row, col = ([], []) if in_order else (self._places.row.names, self._places.col.names)
        root = None if self._cells.store is None else self._cells.store.root
        try:
            return write_grid_code(self._cells.frame.iloc[rows], row, col, root)
        except ValueError as error:
            return f"# these rows are no requests: {error}"

    def settle(self) -> None:
        """Waits for the job."""
        if self.job:
            self.job.wait()

    def static(self) -> str:
        """Renders the pictures in view."""
        return render_grid(
            self._cells,
            self._places,
            self.in_view(),
            where=None if self.only_starred else self.where,
            starred=set(self.starred),
            ratings=dict(self.ratings),
            note=self.status or self.shared,
        )

    # What the page asks

    def _on_want(self, question: dict, buffers: list) -> None:
        cells, px = (
            [self._cells.require(i) for i in question["cells"]][: 4 * BATCH],
            int(question["px"]),
        )
        self.answer_later(question, lambda: self._cells.show_pictures(cells, px))

    def _on_full(self, question: dict, buffers: list) -> None:
        self.answer_later(question, lambda: self._cells.show_file(int(question["cell"])))

    def _on_rate(self, question: dict, buffers: list) -> None:
        self.rate(
            int(question["cell"]),
            **{name: question[name] for name in ("starred", "rating") if name in question},
        )
        self.answer(question, {"kind": "rated"})

    def _on_vary(self, question: dict, buffers: list) -> None:
        cell = self._cells.require(question["cell"])
        self.answer(question, {"kind": "varying"})  # first: loading a model takes its time
        workers.submit(self.show_errors, lambda: self._vary_once(cell))

    def _on_stop(self, question: dict, buffers: list) -> None:
        if self.job:
            self.job.stop()
        self.answer(question, {"kind": "stopping"})

    # Stars and ratings

    def rate(self, cell: int, **opinion: Any) -> None:
        """Stars or rates a row of the frame in the store.

        Parameters
        ----------
        cell : int
            The row, counted from 0.
        starred : bool, optional
        rating : int or None, optional
            1 to 5.
        """
        key, store = (
            self._cells.require_key(cell),
            self._require_store("no place to keep stars and ratings"),
        )
        store.rate(key, **opinion)
        self._read_opinions()

    def _read_opinions(self) -> None:
        said = {} if self._cells.store is None else self._cells.store.opinions.ratings()
        found = [(i, *said[key]) for i, key in enumerate(self._cells.keys) if key in said]
        self.starred = [i for i, starred, _ in found if starred]
        self.ratings = [[i, rating] for i, _, rating in found if rating]

    def _require_store(self, lack: str) -> Any:
        if self._cells.store is None:
            raise ValueError(
                f"these pictures are in no store, so there is {lack}; show the frame of"
                " run(requests, store)"
            )
        return self._cells.store

    # Other seeds

    def vary(self, cell: int, seed: Any = None) -> Job:
        """Renders the recipe of a row with other seeds, the next 8 by default, into the same store.

        Parameters
        ----------
        cell : int
            The row, counted from 0.
        seed : values or text, optional
            As for `sweep`.
        """
        request, store = self._cells.find_request(cell), self._require_store("no place for more")
        following = [(request.seed + n) % SEEDS for n in range(1, 9)]
        seeds = following if seed is None else seed
        bare = request.but(prompt="", negative_prompt="")  # the braces in prompts are plain
        others = sweep(bare, seed=seeds)
        job = Job([request.but(seed=other.seed) for other in others], store, progress=False)
        first = self._cells.add(job.requests)
        if seed is None:
            self._varied[cell] = job, first
        self._show_variations(cell, job, first)
        return job

    def _vary_once(self, cell: int) -> None:
        """Varies a cell unless that was done: a page asks again after a long wait or a reload."""
        with self._varying:
            job, first = self._varied.get(cell, (None, 0))
            if job is not None and job.state in ("running", "done"):
                self._show_variations(cell, job, first)
            else:
                self.vary(cell)

    def _show_variations(self, cell: int, job: Job, first: int) -> None:
        """Sends the page the places for a job's cells, and its pictures as they land."""

        def heard(event: Event) -> None:
            if event.kind in ("landed", "failed"):
                self._send_variation(numbers[str(event.key)], str(event.key), event.error)
            elif event.kind == "ended" and job.exception is not None:
                self.send(describe_error(job.exception))

        numbers = {key: first + n for n, key in enumerate(job.keys)}
        places = [{"i": first + n, "seed": request.seed} for n, request in enumerate(job.requests)]
        self.send({"kind": "varied", "of": cell, "cells": places})
        job.watch(heard)  # first, so that nothing lands unseen
        frame = job.frame()
        for key, path, error in zip(
            job.keys, column_values(frame, "path"), column_values(frame, "error")
        ):
            if path is not None or error is not None:
                self._send_variation(numbers[key], key, error)

    def _send_variation(self, i: int, key: str, error: str | None) -> None:
        if error is None:
            self._cells.paths[i] = str(self._require_store("no picture").path(key))
        else:
            self._cells.errors[i] = error
        content, buffers = self._cells.show_pictures([i], 256)
        self.send(content, buffers=buffers)

    # The job

    def _hear_job(self, event: Event) -> None:
        """Takes note of an event, on a thread of the job; the page is told of several at once."""
        key = str(event.key)
        with self._lock:
            if event.kind == "landed":
                cells = self._cells.note_picture(key)
            elif event.kind == "failed":
                cells = self._cells.note_error(key, str(event.error))
            else:
                cells = self._cells.numbers.get(key, [])
            self._news |= dict.fromkeys(cells, event.image)
            if not self._telling and event.kind != "ended":
                self._telling = True
                start_timer(PAUSE, self._tell)
        if event.kind == "ended":
            self._tell()
            self._cells.update()
            self.recoded += 1  # only now is it known in what batches the cells were rendered
            self.refresh()

    def _tell(self) -> None:
        """Tells the page what landed since the last time, and shows sketches of what is at work."""
        assert self.job is not None
        with self._speaking:  # in turn: nothing is left to be said when the last has spoken
            self._tell_news(self.job)

    def _tell_news(self, job: Job) -> None:
        with self._lock:
            self._telling = False
            news, self._news = self._news, {}
            self.state = job.state
            self.states = self._cells.states(self.state == "running")
            self.status, self.fraction = str(job.progress), job.progress.fraction
        final = [i for i, sketch in news.items() if sketch is None]
        for start in range(0, len(final), BATCH):
            content, buffers = self._cells.show_pictures(final[start : start + BATCH], 256)
            self.send(content, buffers=buffers)
        sketches = {
            i: webp_bytes(sketch, THUMBNAIL) for i, sketch in news.items() if sketch is not None
        }
        if sketches:
            self.send(
                {"kind": "sketches", "cells": list(sketches)}, buffers=list(sketches.values())
            )
