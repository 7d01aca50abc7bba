"""The forms of this kernel, so that other widgets can open a picture's recipe in one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Open = Callable[[Any], None]  # fills a form in from a request, a row or the path of a picture
_forms: list[Open] = []  # the one that was shown last at the end


def note_form(form: Open) -> None:
    """Takes note that a form is shown now."""
    forget_form(form)
    _forms.append(form)


def forget_form(form: Open) -> None:
    """Takes note that a form is closed."""
    if form in _forms:
        _forms.remove(form)


def find_form() -> Open:
    """Finds the form that was shown last.

    Raises
    ------
    ValueError
        There is none.
    """
    if not _forms:
        raise ValueError(
            "there is no form yet to open the recipe in: run SweepForm() in a cell of its own"
            " (from sdlab.widgets import SweepForm), and press the button again"
        )
    return _forms[-1]
