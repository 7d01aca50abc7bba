"""What sdlab raises for people to read, as a tree; a hint at a name, a long text cut.

ValueError
└── FieldError              a field of a request holds what it cannot hold; `.field` is its name
    ├── FieldTypeError      also a TypeError
    └── FieldFileError      also a FileNotFoundError
RuntimeError
└── GenerationError         a cell failed; `.request` is its recipe

A warning is about the line outside of sdlab that asked, which `caller_level` finds.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .recipe.request import Request


class FieldError(ValueError):
    """A field that holds what it cannot hold; `.field` is its name, and a form says it there."""

    field: str

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field

    def __reduce__(self) -> tuple:
        return type(self), (str(self), self.field)

    def prefixed(self, text: str) -> FieldError:
        """The same error with a text before its message."""
        return type(self)(f"{text}{self}", self.field)


class FieldTypeError(FieldError, TypeError):
    """A field that holds something of the wrong kind."""


class FieldFileError(FieldError, FileNotFoundError):
    """A field that names a file, model or picture that is not here."""

    def __str__(self) -> str:
        return str(self.args[0])


class GenerationError(RuntimeError):
    """A cell that failed; `.request` is its recipe."""

    def __init__(self, message: str, request: Request) -> None:
        super().__init__(message)
        self.request = request


@contextmanager
def blame_field(field: str) -> Iterator[None]:
    """Turns what is raised about a value into an error of that field; one of a field passes."""
    try:
        yield
    except FieldError:
        raise
    except FileNotFoundError as error:
        raise FieldFileError(str(error), field) from error.__cause__
    except TypeError as error:
        raise FieldTypeError(str(error), field) from error.__cause__
    except ValueError as error:
        raise FieldError(str(error), field) from error.__cause__


def suggest(name: object, known: Iterable[object], cutoff: float = 0.6) -> str:
    """Makes "; did you mean 'seed'?" of the nearest known name, or ";" if none is near."""
    near = difflib.get_close_matches(str(name), list(map(str, known)), 3, cutoff)
    # of those that are about as near, one with the same letters: two were exchanged
    near.sort(key=lambda one: sorted(one.lower()) != sorted(str(name).lower()))
    return f"; did you mean {near[0]!r}?" if near else ";"


def shorten_text(text: str, most: int) -> str:
    """Cuts a text at so many characters, of which "…" is then the last."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def caller_level() -> int:
    """Counts the stacklevel at which the function that asks warns the line outside of sdlab."""
    level, frame = 1, sys._getframe(1)
    while (
        frame.f_back
        and frame.f_globals.get("__name__", "").partition(".")[0] == __package__.partition(".")[0]
    ):
        level, frame = level + 1, frame.f_back
    return level
