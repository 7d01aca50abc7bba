"""How far a run is, and what happens in it.

A bar with the time left is shown in a notebook, in a terminal, or not at all; whoever watches a job
is told of its events.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from PIL.Image import Image

TURN = 0.2  # seconds


class Progress:
    """Counts of a run's pictures, and how long the rest will take.

    Parameters
    ----------
    total : int
        Different cells asked for.
    todo : int
        Those that were not finished before.
    unit : str
        What they are called.
    """

    def __init__(self, total: int, todo: int, unit: str = "pictures") -> None:
        self.total, self.todo, self.unit = total, todo, unit
        self.rendered = self.failed = 0  # cells in the store, cells without a picture
        self._computed = 0  # cells
        self._under_way: dict[Any, float] = {}  # {thread: cells' worth of steps done in its batch}
        self._lock = threading.Lock()
        self.state = "running"
        self.note = ""  # what the run does otherwise than it began
        self.waits = ""  # for what, before it begins
        self._begun: float | None = None

    @property
    def finished(self) -> int:
        """Cells in the store: those from before and those rendered now."""
        return self.before + self.rendered

    @property
    def before(self) -> int:
        """Cells in the store that are from before."""
        return self.total - self.todo

    @property
    def fraction(self) -> float:
        """0 to 1, of all that was asked for, as the words count it; what is at work counts, too."""
        return min(1.0, (self.before + self._count_done()) / self.total) if self.total else 1.0

    @property
    def seconds_left(self) -> float | None:
        """From the pace so far; None until the first step is done, and at the end."""
        done = self._count_done()  # what is from before took no time now
        if self._begun is None or not 0 < done < self.todo or self.state != "running":
            return None
        return (time.monotonic() - self._begun) * (self.todo / done - 1)

    def _count_done(self) -> float:
        """Counts the cells' worth of steps that this run has done."""
        return self._computed + sum(list(self._under_way.values()))

    def count_step(self, cells: float, done: int, total: int, whose: object = None) -> None:
        """Counts steps done of `total` for so many cells; loading a model before does not count.

        They are this thread's, or those of a task elsewhere, `whose`.
        """
        with self._lock:
            self._begun = self._begun or time.monotonic()
            self._under_way[whose or threading.get_ident()] = cells * done / total

    def count_computed(self, cells: int, whose: object = None) -> None:
        """Counts cells that were computed; less than 0 are to be computed again."""
        with self._lock:
            self._computed += cells
            self._under_way.pop(whose or threading.get_ident(), None)

    def count_saved(self) -> None:
        """Counts one more cell in the store."""
        with self._lock:
            self.rendered += 1

    def count_failed(self) -> None:
        """Counts one more cell without a picture."""
        with self._lock:
            self.failed += 1

    def __str__(self) -> str:
        text = f"{self.finished} of {self.total} {self.unit} finished"
        if self.before:
            text += f" ({self.before if self.todo else 'all'} before this run)"
        if self.failed:
            text += f", {self.failed} failed"
        if self.state != "running":
            return f"{text} ({self.state})" if self.state != "done" else text
        if self._begun is None:
            doing = self.waits or (f"loading ({self.note})" if self.note else "loading")
            return f"{text}, {doing}"
        left = self.seconds_left
        text += f", {duration(left)} left" if left is not None else ""
        return f"{text} ({self.note})" if self.note else text


def wait_in_turns(wait: Callable[[float], bool], timeout: float | None) -> bool:
    """Waits in short turns, between which an interrupt is heard; True if `wait` says so in time."""
    end = float("inf") if timeout is None else time.monotonic() + timeout
    while not wait(max(0.0, min(TURN, end - time.monotonic()))):
        if time.monotonic() >= end:
            return False
    return True


def duration(seconds: float) -> str:
    """Formats seconds as "0.4 s", "12 s", "3 min 20 s" or "2 h 5 min"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def display(progress: Progress) -> Callable[[], None]:
    """Shows the progress where people look; call what is returned after every change."""
    show = in_notebook(progress) or in_terminal(progress)
    last = 0.0

    def update() -> None:
        nonlocal last
        now = time.monotonic()
        if now - last > 0.1 or progress.state != "running":
            last = now
            with suppress(Exception):  # a terminal that is closed is no reason to lose cells
                show()

    return update


def watch_items(items: list[Any], shown: bool) -> Iterator[Any]:
    """Gives the items one by one, with a bar where people look."""
    progress = Progress(len(items), len(items), "pictures")
    show = display(progress) if shown else lambda: None
    try:
        for item in items:
            progress.count_step(1, 0, 1)
            show()
            yield item
            progress.count_computed(1)
            progress.count_saved()
        progress.state = "done"
    finally:
        progress.state = "stopped" if progress.state == "running" else progress.state
        show()


class Bar:
    """A bar as HTML; its last state stays in a saved notebook, unlike a widget's."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def __repr__(self) -> str:
        return str(self.progress)

    def _repr_html_(self) -> str:
        share = f"{100 * self.progress.fraction:.1f}%"
        colour = {
            "failed": "var(--jp-error-color1, #c62828)",
            "stopped": "var(--jp-warn-color1, #ef6c00)",
        }.get(self.progress.state, "var(--jp-brand-color1, #1976d2)")
        return (
            f'<div role="progressbar" aria-label="share that is done" aria-valuenow="{share[:-1]}"'
            ' aria-valuemin="0" aria-valuemax="100"'
            ' style="width:20em;height:.5em;border-radius:.25em;background:var(--jp-layout-color3,'
            ' #ddd);overflow:hidden"><div'
            f' style="width:{share};height:100%;background:{colour}"></div></div><div'
            f' style="font-size:90%">{self.progress}</div>'
        )


def in_notebook(progress: Progress) -> Callable[[], None] | None:
    """Makes a display of the running cell that is updated in place; None outside a notebook."""
    if "ipykernel" not in sys.modules:
        return None
    from IPython import get_ipython
    from IPython.display import display as show

    if not hasattr(get_ipython(), "kernel"):
        return None
    bar = Bar(progress)
    handle = show(bar, display_id=True)
    return lambda: handle.update(bar)


def in_terminal(progress: Progress) -> Callable[[], None]:
    """Makes a tqdm bar on a terminal; nothing where the output goes into a file."""
    from tqdm import tqdm

    bar = tqdm(
        total=1.0,
        disable=None,
        bar_format="{percentage:3.0f}%|{bar:30}| {desc} [{elapsed}]",
        desc=str(progress),
    )

    def update() -> None:
        bar.n = progress.fraction
        bar.set_description_str(str(progress), refresh=False)
        bar.refresh()
        if progress.state != "running":
            bar.close()

    return update


@dataclass(frozen=True)
class Event:
    """Something that happened in a job.

    Parameters
    ----------
    kind : {"landed", "failed", "sketch", "waiting", "ended"}
        A picture is in the store; a cell has no picture; a cell at work can be looked at; another
        job renders first, and is somewhat further; nothing more will happen.
    key : str, optional
        The cell's; None for "waiting" and "ended".
    image : PIL.Image.Image, optional
        For "sketch": what the cell looks like so far, RGB, at most 128 pixels on its longest side.
    error : str, optional
        For "failed": the message, as in the frame.
    """

    kind: Literal["landed", "failed", "sketch", "waiting", "ended"]
    key: str | None = None
    image: Image | None = None
    error: str | None = None


Listener = Callable[[Event], None]


class Listeners:
    """Those who watch a job; true while there are any."""

    def __init__(self) -> None:
        self._all: dict[object, Listener] = {}
        self._ended = False
        self._lock = threading.Lock()  # never held while a listener is called, which may wait

    def __bool__(self) -> bool:
        return bool(self._all)

    def add(self, listener: Listener) -> Callable[[], None]:
        """Tells the listener of every event from now on, until what is returned is called."""
        place = object()
        with self._lock:
            ended = self._ended
            if not ended:
                self._all[place] = listener
        if ended:
            call(listener, Event("ended"))
        return lambda: self._remove(place)

    def _remove(self, place: object) -> None:
        with self._lock:
            self._all.pop(place, None)

    def tell(self, event: Event) -> None:
        """Calls each listener, in this thread."""
        with self._lock:
            places = list(self._all)
        for place in places:
            if listener := self._all.get(place):  # it may have left meanwhile
                call(listener, event)

    def end(self) -> None:
        """Tells the last event, also whoever listens from now on, and holds nobody any longer."""
        with self._lock:
            self._ended = True
        self.tell(Event("ended"))
        with self._lock:
            self._all.clear()


def call(listener: Listener, event: Event) -> None:
    with suppress(Exception):  # a page that is closed is no reason to lose cells
        listener(event)
