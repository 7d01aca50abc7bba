"""The jobs of forms: which cell of a notebook began them, and how far they are, for people."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import ipywidgets

from ...progress import Event
from ...render.job import Job
from ...store.store import Store
from ..panel import read_request
from ..told import ToldLine

ANEW = "Run goes on from there, and begins those anew that were at work"
PAUSE = 0.25  # seconds between two changes of the line beside Run
# {cell of a notebook: the last job of its form, and what was filled in}
_last_jobs: dict[str, tuple[Job, dict[str, Any]]] = {}


def name_cell() -> str:
    """Names the cell that runs now, as JupyterLab does; "" elsewhere."""
    return str(read_request().get("metadata", {}).get("cellId", "") or "")


def note_job(cell: str, job: Job, kept: dict[str, Any]) -> None:
    """Takes note that a form of that cell began a job of what was filled in."""
    if cell:
        _last_jobs[cell] = job, kept


def find_own_job(cell: str, store: Store) -> tuple[Job | None, dict[str, Any]]:
    """Finds the running job of an earlier form of that cell, and what was filled in there.

    A job into another store is stopped.
    """
    job, kept = _last_jobs.get(cell, (None, {}))
    if job is None or job.state != "running":
        return None, {}
    if job.store.root != store.root:
        job.stop()  # no page shows it any more
        return None, {}
    return job, kept


def describe_end(job: Job, same: bool) -> str:
    """Says how a job ended, unless the plan beside says all: it is the `same`, and finished."""
    if job.state == "done" and same and not job.progress.failed:
        return ""
    if not same:
        return f"{job.progress}; what is filled in now is another plan"
    return f"{job.progress}{f'; {ANEW}' if job.state == 'stopped' else ''}"


class RunBar(ipywidgets.Box):
    """Run and Stop, how far the job is, and a button that stops the job that it waits for."""

    def __init__(self, *others: ipywidgets.Widget) -> None:
        self.run = ipywidgets.Button(
            description="Run",
            button_style="primary",
            tooltip="Renders what is not finished yet (Ctrl+Enter)",
        )
        self.stop = ipywidgets.Button(
            description="Stop", disabled=True, tooltip=f"Ends within one step; {ANEW}"
        )
        self.line, self.other = (
            ToldLine(),
            ipywidgets.Button(
                description="Stop the other job", tooltip="What it has finished is kept"
            ),
        )
        self.other.layout.display = "none"
        self.other.on_click(lambda _: self._stop_other())
        self._job: Job | None = None
        super().__init__([self.run, self.stop, self.line, self.other, *others])
        self.add_class("sdl-run")
        self.line.add_class("sdl-run-line")

    def watch(self, job: Job, show: Callable[[str], None]) -> None:
        """Shows how far the job is, by what `show` does with a text, until it has ended."""
        self._job, last = job, 0.0

        def hear(event: Event) -> None:
            nonlocal last
            if job is not self._job:
                return
            waits = event.kind == "waiting"
            self.other.layout.display = None if waits else "none"
            if waits or time.monotonic() - last > PAUSE:
                last = time.monotonic()
                show(str(job.progress))

        show(str(job.progress))
        job.watch(hear)

    def end(self) -> None:
        """Offers nothing more of the job that has ended."""
        self._job = None
        self.other.layout.display = "none"

    def _stop_other(self) -> None:
        if self._job and (other := self._job.waits_for):
            other.stop()
            self.other.layout.display = "none"
