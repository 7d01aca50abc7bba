"""What happens in a running job, told to whoever watches it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Event:
    """Something that happened in a job.

    Parameters
    ----------
    kind : {"landed", "failed", "sketch", "ended"}
        A picture is in the store; a cell has no picture; a cell at work can be looked at; nothing
        more will happen.
    key : str, optional
        The cell's; None for "ended".
    image : PIL.Image.Image, optional
        For "sketch": what the cell looks like so far, RGB, at most 128 pixels on its longest side.
    error : str, optional
        For "failed": the message, as in the frame.
    """

    kind: Literal["landed", "failed", "sketch", "ended"]
    key: str | None = None
    image: Image | None = None
    error: str | None = None


Listener = Callable[[Event], None]


class Listeners:
    """Those who watch a job; true while there are any."""

    def __init__(self) -> None:
        self._all: dict[object, Listener] = {}
        self._ended = False
        self._lock = (
            threading.Lock()
        )  # never held while a listener is called: it may wait for locks of its own

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
        """The last event; who listens from now on is told at once, and nobody is held in memory any longer."""
        with self._lock:
            self._ended = True
        self.tell(Event("ended"))
        with self._lock:
            self._all.clear()


def call(listener: Listener, event: Event) -> None:
    with suppress(Exception):  # a page that is closed is no reason to lose cells
        listener(event)
