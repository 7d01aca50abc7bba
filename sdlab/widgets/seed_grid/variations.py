"""The recipes of a grid's cells with other seeds, rendered into the same store."""

from __future__ import annotations

import threading
from typing import Any

from ...progress import Event
from ...recipe.spec import SEEDS
from ...recipe.sweep import sweep
from ...render.job import Job
from ...results.frame import column_values
from ..panel import Panel, describe_error
from .cells import Cells


class Variations:
    """What was rendered with other seeds, and is shown with the cell whose recipe it is.

    Parameters
    ----------
    panel : Panel
        Whose page is told of the pictures as they land.
    cells : Cells
    """

    def __init__(self, panel: Panel, cells: Cells) -> None:
        self._panel, self._cells = panel, cells
        self._varying = threading.Lock()
        self._varied: dict[int, tuple[Job, int]] = {}  # cell: (its job, its first variation)

    def vary(self, cell: int, seed: Any = None) -> Job:
        """Renders the recipe of a row with other seeds, as `SeedGrid.vary` has it."""
        request, store = (
            self._cells.find_request(cell),
            self._cells.require_store("no place for more"),
        )
        following = [(request.seed + n) % SEEDS for n in range(1, 9)]
        seeds = following if seed is None else seed
        bare = request.but(prompt="", negative_prompt="")  # the braces in prompts are plain
        others = sweep(bare, seed=seeds)
        job = Job([request.but(seed=other.seed) for other in others], store, progress=False)
        first = self._cells.add(job.requests)
        if seed is None:
            self._varied[cell] = job, first
        self._show(cell, job, first)
        return job

    def vary_once(self, cell: int) -> None:
        """Varies a cell unless that was done: a page asks again after a long wait or a reload."""
        with self._varying:
            job, first = self._varied.get(cell, (None, 0))
            if job is not None and job.state in ("running", "done"):
                self._show(cell, job, first)
            else:
                self.vary(cell)

    def _show(self, cell: int, job: Job, first: int) -> None:
        """Sends the page the places for a job's cells, and its pictures as they land."""

        def heard(event: Event) -> None:
            if event.kind in ("landed", "failed"):
                self._send(numbers[str(event.key)], str(event.key), event.error)
            elif event.kind == "ended" and job.exception is not None:
                self._panel.send(describe_error(job.exception))

        numbers = {key: first + n for n, key in enumerate(job.keys)}
        places = [{"i": first + n, "seed": request.seed} for n, request in enumerate(job.requests)]
        self._panel.send({"kind": "varied", "of": cell, "cells": places})
        job.watch(heard)  # first, so that nothing lands unseen
        frame = job.frame()
        for key, path, error in zip(
            job.keys, column_values(frame, "path"), column_values(frame, "error")
        ):
            if path is not None or error is not None:
                self._send(numbers[key], key, error)

    def _send(self, i: int, key: str, error: str | None) -> None:
        if error is None:
            self._cells.paths[i] = str(self._cells.require_store("no picture").path(key))
        else:
            self._cells.errors[i] = error
        content, buffers = self._cells.show_pictures([i], 256)
        self._panel.send(content, buffers=buffers)
