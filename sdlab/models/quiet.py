"""The libraries without what they print, which tells nothing of an experiment, and sooner."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def import_sooner() -> Iterator[None]:
    """Has the garbage collector wait while libraries are imported.

    It would walk, again and again, the same hundred thousands of objects, of which next to none
    can go: a fifth of the time until the first picture. Only for imports: a model's tensors that
    nothing needs are to go at once.
    """
    waits = gc.isenabled()  # or whoever stopped it wants it so
    gc.disable()
    try:
        yield
    finally:
        if waits:
            gc.enable()


@contextmanager
def silence_libraries() -> Iterator[None]:
    """Silences the libraries' progress bars and notes, which tell nothing of the experiment."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    with import_sooner():
        import diffusers.utils.logging
        import transformers.utils.logging

    sides = diffusers.utils.logging, transformers.utils.logging
    before = [side.get_verbosity() for side in sides]
    for side in sides:
        side.set_verbosity_error()
        side.disable_progress_bar()
    try:
        yield
    finally:
        for side, level in zip(sides, before):
            side.set_verbosity(level)
            side.enable_progress_bar()
