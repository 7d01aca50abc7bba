"""The garbage collector, which waits while much is made of which nothing can go."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def pause_collector() -> Iterator[None]:
    """Has the garbage collector wait: around imports, and around lists of many requests or rows.

    It would walk, again and again, the same hundred thousands of objects, of which next to none
    can go: a fifth of the time until the first picture, half of that of a large sweep. Not for what
    computes: a model's tensors that nothing needs are to go at once.
    """
    waits = gc.isenabled()  # or whoever stopped it wants it so
    gc.disable()
    try:
        yield
    finally:
        if waits:
            gc.enable()
