"""`SeedGrid`: a frame's pictures, or a running job's, as a labelled grid to look at, zoom into, star and rate."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pandas as pd
import traitlets

from ...pictures import webp_bytes
from ...progress import Event
from ...recipe.sweep import sweep
from ...render.job import Job
from ...results.code import grid_code
from ...results.frame import held_constant, values
from ...results.grid import check
from ..panel import Panel, after, source, told, workers
from ..pictures import THUMBNAIL
from .cells import Cells
from .places import Places, places_of
from .still import grid_table

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
    captions = traitlets.List().tag(sync=True)
    shared = traitlets.Unicode().tag(sync=True)
    cell_px = traitlets.Int(128, min=32, max=512).tag(sync=True)
    states = traitlets.Unicode().tag(sync=True)
    state = traitlets.Unicode("still").tag(sync=True)
    status = traitlets.Unicode().tag(sync=True)
    fraction = traitlets.Float(0.0).tag(sync=True)
    where = traitlets.List(traitlets.Int()).tag(sync=True)
    only_starred = traitlets.Bool(False).tag(sync=True)
    starred = traitlets.List(traitlets.Int()).tag(sync=True)
    ratings = traitlets.List().tag(sync=True)  # [row, 1 to 5]
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
            raise TypeError(
                f"SeedGrid takes the frame of run(), or a Job, not {type(results).__name__}"
            )
        self.job = results if isinstance(results, Job) else None
        frame = self.job.frame() if self.job else results
        check(frame)
        self._places: Places = places_of(frame, row, col)
        self._settings = self._places.settings()
        self._cells = Cells(frame, self.job and self.job.frame, self.job and self.job.store)
        self._news: dict[int, Any] = {}  # row: a sketch, or None where there is something final
        self._lock, self._speaking, self._telling = threading.RLock(), threading.Lock(), False
        self._view, self._code = None, (-1, "")
        self._varying, self._varied = (
            threading.Lock(),
            {},
        )  # cell: (its job, the number of its first variation)
        super().__init__(
            title=title,
            cell_px=cell_px,
            captions=self._places.captions,
            places=self._places.described(),
            shared=held_constant(frame, self._places.names),
            where=[0] * len(self._places.sliders),
            states=self._cells.states(self.job is not None),
        )
        self._read_opinions()
        self._view_changed()
        self.observe(self._view_changed, ["where", "only_starred", "starred", "ratings"])
        if self.job:
            self.job.watch(self._heard)  # first, so that nothing lands unseen
            self._cells.settle()
            self._tell()

    def __repr__(self) -> str:
        return f"<SeedGrid of {len(self._cells)} cells{f', {self.job}' if self.job else ''}>"

    @property
    def value(self) -> pd.DataFrame:
        """The rows in view: those of the sliders' setting, or the starred ones, with the stars and ratings of now."""
        frame = self.job.frame() if self.job else self._cells.frame
        stars, rated, rows = set(self.starred), dict(self.ratings), range(len(frame))
        return frame.assign(
            starred=pd.array([i in stars for i in rows], "boolean"),
            rating=pd.array([rated.get(i) for i in rows], "Int64"),
        ).iloc[self.in_view()]

    def in_view(self) -> list[int]:
        """The numbers of the rows in view."""
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

    def _view_changed(self, _: Any = None) -> None:
        view = self.in_view(), self.only_starred
        if view != self._view:
            self._view = view
            self.recoded += 1
        self.refresh_soon()

    @property
    def code(self) -> str:
        """Python that makes the rows in view again and draws them."""
        if (
            self._code[0] != self.recoded
        ):  # made when somebody asks: it takes a second for 10,000 rows
            self._code = self.recoded, self._code_of(*self._view)
        return self._code[1]

    def _on_code(self, question: dict, buffers: list) -> None:
        self.later(question, lambda: ({"kind": "code", "code": self.code}, None))

    def _code_of(self, rows: list[int], in_order: bool) -> str:
        if not rows:
            return "# no picture is in view"
        row, col = ([], []) if in_order else (self._places.row.names, self._places.col.names)
        root = None if self._cells.store is None else self._cells.store.root
        try:
            return grid_code(self._cells.frame.iloc[rows], row, col, root)
        except ValueError as error:
            return f"# these rows are no requests: {error}"

    def settle(self) -> None:
        if self.job:
            self.job.wait()

    def static(self) -> str:
        return grid_table(
            self._cells,
            self._places,
            self.in_view(),
            None if self.only_starred else self.where,
            set(self.starred),
            dict(self.ratings),
            self.status or self.shared,
        )

    # What the page asks

    def _on_want(self, question: dict, buffers: list) -> None:
        cells, px = (
            [self._cells.require(i) for i in question["cells"]][: 4 * BATCH],
            int(question["px"]),
        )
        self.later(question, lambda: self._cells.pictures(cells, px))

    def _on_full(self, question: dict, buffers: list) -> None:
        self.later(question, lambda: self._cells.whole(int(question["cell"])))

    def _on_rate(self, question: dict, buffers: list) -> None:
        self.rate(
            int(question["cell"]),
            **{name: question[name] for name in ("starred", "rating") if name in question},
        )
        self.answer(question, {"kind": "rated"})

    def _on_vary(self, question: dict, buffers: list) -> None:
        cell = self._cells.require(question["cell"])
        self.answer(question, {"kind": "varying"})  # first: loading a model takes its time
        workers.submit(self.guarded, lambda: self._vary_once(cell))

    def _on_stop(self, question: dict, buffers: list) -> None:
        if self.job:
            self.job.stop()
        self.answer(question, {"kind": "stopping"})

    # Stars and ratings

    def rate(self, cell: int, **opinion: Any) -> None:
        """Stars (`starred=True`) or rates (`rating=1` to 5, or None) a row of the frame, counted from 0, in the store."""
        key, store = (
            self._cells.key(cell),
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
        request, store = self._cells.request(cell), self._require_store("no place for more")
        seeds = range(request.seed + 1, request.seed + 9) if seed is None else seed
        others = sweep(
            request.but(prompt="", negative_prompt=""), seed=seeds
        )  # without the prompts: their braces are plain
        job = Job([request.but(seed=other.seed) for other in others], store, progress=False)
        first = self._cells.add(job.requests)
        if seed is None:
            self._varied[cell] = job, first
        self._show_variations(cell, job, first)
        return job

    def _vary_once(self, cell: int) -> None:
        """The page asks again if it has waited long, and anew after a reload: then it is told again, and nothing rendered."""
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
                self._send_variation(numbers[event.key], event.key, event.error)
            elif event.kind == "ended" and job.exception is not None:
                self.send(told(job.exception))

        numbers = {key: first + n for n, key in enumerate(job.keys)}
        places = [{"i": first + n, "seed": request.seed} for n, request in enumerate(job.requests)]
        self.send({"kind": "varied", "of": cell, "cells": places})
        job.watch(heard)  # first, so that nothing lands unseen
        frame = job.frame()
        for key, path, error in zip(job.keys, values(frame, "path"), values(frame, "error")):
            if path is not None or error is not None:
                self._send_variation(numbers[key], key, error)

    def _send_variation(self, i: int, key: str, error: str | None) -> None:
        if error is None:
            self._cells.paths[i] = str(self._cells.store.path(key))
        else:
            self._cells.errors[i] = error
        content, buffers = self._cells.pictures([i], 256)
        self.send(content, buffers=buffers)

    # The job

    def _heard(self, event: Event) -> None:
        """Takes note of an event, on one of the job's threads; the page is told a little later, of several at once."""
        with self._lock:
            cells = (
                self._cells.landed(event.key)
                if event.kind == "landed"
                else (
                    self._cells.failed(event.key, event.error)
                    if event.kind == "failed"
                    else self._cells.numbers.get(event.key, [])
                )
            )
            self._news |= dict.fromkeys(cells, event.image)
            if not self._telling and event.kind != "ended":
                self._telling = True
                after(PAUSE, self._tell)
        if event.kind == "ended":
            self._tell()
            self._cells.settle()
            self.recoded += 1  # only now is it known in what batches the cells were rendered
            self.refresh()

    def _tell(self) -> None:
        """Tells the page what landed since the last time, and shows it sketches of what is at work."""
        with (
            self._speaking
        ):  # one after the other, so that nothing is still to be said when the last has spoken
            self._tell_news()

    def _tell_news(self) -> None:
        with self._lock:
            self._telling = False
            news, self._news = self._news, {}
            self.state = self.job.state
            self.states = self._cells.states(self.state == "running")
            self.status, self.fraction = str(self.job.progress), self.job.progress.fraction
        final = [i for i, sketch in news.items() if sketch is None]
        for start in range(0, len(final), BATCH):
            content, buffers = self._cells.pictures(final[start : start + BATCH], 256)
            self.send(content, buffers=buffers)
        sketches = {
            i: webp_bytes(sketch, THUMBNAIL) for i, sketch in news.items() if sketch is not None
        }
        if sketches:
            self.send(
                {"kind": "sketches", "cells": list(sketches)}, buffers=list(sketches.values())
            )
