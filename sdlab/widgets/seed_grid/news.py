"""What happens in the job of a grid, told to its page: in turn, several at once, and aloud."""

from __future__ import annotations

import threading
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ...pictures import webp_bytes
from ...progress import Event, Progress
from ...render.job import Job
from ...results.frame import count_noun
from ..panel import start_timer
from ..pictures import THUMBNAIL
from .cells import Cells

if TYPE_CHECKING:
    from .grid import SeedGrid

PAUSE = 0.15  # seconds between two messages about a job
LULL = 5.0  # seconds without another announcement, but of the end
BATCH = 50  # pictures in a message


class JobNews:
    """What has happened in a job since its grid's page was told the last time.

    Parameters
    ----------
    grid : SeedGrid
        Whose page is told.
    job : Job
    cells : Cells
    """

    def __init__(self, grid: SeedGrid, job: Job, cells: Cells) -> None:
        self._grid, self._job, self._cells = grid, job, cells
        self._news: dict[int, Any] = {}  # row: a sketch, or None where there is something final
        self._lock, self._speaking, self._telling = threading.RLock(), threading.Lock(), False
        self._next = 0.0  # when the page may be told again
        self._milestone: tuple[str, int] | None = None
        if job.state != "running":
            self._milestone = job.state, 0  # nobody waits for what is over
        self._quiet = 0.0  # until when no quarter is announced

    def begin(self) -> None:
        """Listens to the job, and tells what there is."""
        self._job.watch(self._hear)  # first, so that nothing lands unseen
        self._cells.update()
        self.tell()

    def _hear(self, event: Event) -> None:
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
                start_timer(max(0.0, self._next - time.monotonic()), self.tell)
        if event.kind == "ended":
            self.tell()
            self._cells.update()
            self._grid.recoded += 1  # only now is it known in what batches cells were rendered
            self._grid.refresh()

    def tell(self) -> None:
        """Tells the page what landed since the last time, and shows sketches of what is at work."""
        with self._speaking:  # in turn: nothing is left to be said when the last has spoken
            self._tell_news()

    def _announce(self) -> None:
        """Announces where the job begins, a quarter of it where that takes long, and its end."""
        grid, progress = self._grid, self._job.progress
        running = grid.state == "running"
        share = progress.finished / (progress.total or 1)  # as the words count it
        milestone = grid.state, int(4 * share) if running and self._milestone else 0
        now = time.monotonic()
        if milestone == self._milestone or (running and milestone[1] and now < self._quiet):
            return
        self._milestone, self._quiet = milestone, now + LULL
        grid.announced = describe_milestone(progress, *milestone, grid.describe_sides())

    def _tell_news(self) -> None:
        grid, job = self._grid, self._job
        with self._lock:
            self._telling, self._next = False, time.monotonic() + PAUSE
            news, self._news = self._news, {}
            grid.state = job.state
            grid.states = self._cells.states(grid.state == "running")
            grid.status, grid.fraction = str(job.progress), job.progress.fraction
            self._announce()
        final = [i for i, sketch in news.items() if sketch is None]
        for start in range(0, len(final), BATCH):
            content, buffers = self._cells.show_pictures(final[start : start + BATCH], 256)
            grid.send(content, buffers=buffers)
        sketches = {
            i: webp_bytes(sketch, THUMBNAIL) for i, sketch in news.items() if sketch is not None
        }
        if sketches:
            grid.send(
                {"kind": "sketches", "cells": list(sketches)}, buffers=list(sketches.values())
            )


def describe_milestone(progress: Progress, state: str, quarter: int, sides: str) -> str:
    """Says in a sentence how far a job is, as it is read aloud; at the end where its pictures are.

    Parameters
    ----------
    progress : Progress
    state : str
        The job's.
    quarter : int
        How many quarters are done, while it runs.
    sides : str
        What names rows and columns, and what has a slider.
    """
    if state == "running" and not quarter:
        return f"Begun: {count_noun(progress.todo, 'picture')} to render"
    failed = f", {progress.failed} failed" if progress.failed else ""
    count = f"{progress.finished} of {count_noun(progress.total, 'picture')} finished{failed}"
    if state == "running":
        return f"{('a quarter', 'half', 'three quarters')[min(quarter, 3) - 1]} done: {count}"
    said = {"done": "Finished", "stopped": "Stopped"}.get(state, "Ended by an error")
    lost = ". What was at work is not kept" if state == "stopped" else ""
    return f"{said}: {count}. They stand below in {sides}{lost}"


def describe_unfinished(progress: Progress) -> str:
    """Says how far a job was when its picture was drawn, which may stay behind."""
    now = datetime.now().astimezone()
    return (
        f"{progress.finished} of {count_noun(progress.total, 'picture')} were finished on {now.day}"
        f" {now:%B %Y, %H:%M}, while the job ran. What came later may be missing here: the"
        " store has it, and so has this cell when it is run again"
    )
