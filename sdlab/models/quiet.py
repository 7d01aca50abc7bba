"""The libraries without what they print, which tells nothing of an experiment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from ..recipe.collector import pause_collector


@contextmanager
def silence_libraries() -> Iterator[None]:
    """Silences the libraries' progress bars and notes, which tell nothing of the experiment."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    with pause_collector():
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
