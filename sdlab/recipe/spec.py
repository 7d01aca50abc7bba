"""What can be known of a request's field: all of it is told once, at the field, in `Request`."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import FieldTypeError, blame_field
from ..pictures import name_picture
from .sizes import normalize_pair

Kind = Literal["whole", "real", "prompt", "parts", "names", "pair", "picture"]
DTYPES = {"whole": "Int64", "real": "Float64"}  # of a frame's column; the others are "string"
SEEDS = 2**32  # of torch's generator on the CPU: of a larger seed it keeps the low 32 bits
DIGITS = 12  # of a number that counts; what computing leaves behind them is noise
FEW_DIGITS = {2: 3, 4: 6}  # that numbers of so many bytes, such as NumPy's float32, hold for sure


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What is known of a field.

    Parameters
    ----------
    kind : str
        What it holds, and how an axis reads text: "whole" and "real" numbers with ranges; a
        "prompt"; "parts", files that act together; "names", apart by commas; a "pair" of whole
        numbers, held as text; a "picture".
    least, greatest : float
        Of a number.
    multiple : int
        A whole number is a multiple of it.
    normal : callable, optional
        Makes one spelling of several, or raises ValueError.
    write : callable, optional
        Makes the text of what is given as a mapping.
    neutral : Any
        The value that has no effect. Of a field that may be None it says no more than None.
    in_weights : bool
        It counts in the key by the content that `weights` names, not by its name.
    assumed : bool
        A frame that lacks it means the default.
    independent : bool
        Nothing else decides it, so two pictures that differ in it are never a pair.
    a1111 : tuple of str
        A1111's names: the first is written, all are read.
    a1111_offset : int
        A1111 counts from there.
    aliases : tuple of str
        What it is called elsewhere.
    placeholder, hint : str
        What an empty field of a form shows, and how it is filled in. Without a hint a form has no
        such field.
    fold : str
        The part of the form that it is folded away in; "" is always shown, and told in short.
    rows : int
        Lines of its field.
    nothing : str
        How a text says None among other values.
    shows : str
        What a picture shows, said where it is missing.
    goes_with : str
        What it goes with, where it has a meaning for some tasks alone; "" is everything.
    pace : int
        How often it should change in a sweep, compared to others: 0 is dear.
    by_row : bool
        Cells of one batch may differ in it, for it is looked up cell by cell.
    """

    kind: Kind
    least: float = 0
    greatest: float = 0
    multiple: int = 1
    normal: Callable[[str], str] | None = None
    write: Callable[[Mapping[str, Any]], str] | None = None
    neutral: Any = None
    in_weights: bool = False
    assumed: bool = False
    independent: bool = False
    a1111: tuple[str, ...] = ()
    a1111_offset: int = 0
    aliases: tuple[str, ...] = ()
    placeholder: str = "native"
    hint: str = ""
    fold: str = ""
    rows: int = 1
    nothing: str = "native"
    shows: str = ""
    goes_with: str = ""
    pace: int = 3
    by_row: bool = False

    @property
    def is_number(self) -> bool:
        """Tells whether it holds numbers."""
        return self.kind in DTYPES

    @property
    def dtype(self) -> str:
        """The type of its column in a frame."""
        return DTYPES.get(self.kind, "string")

    @property
    def takes_line(self) -> bool:
        """Tells whether a text is one value, in a form a line, for it may hold commas."""
        return self.kind in ("prompt", "parts", "pair")


def declare(default: Any, kind: Kind, **known: Any) -> Any:
    """Declares a field of `Request`: its default, None for what a model decides, and its `Spec`."""
    return dataclasses.field(default=default, metadata={"spec": Spec(kind=kind, **known)})


def check_value(name: str, spec: Spec, value: Any) -> Any:
    """Brings a value into the one form in which the field holds it, or raises FieldError."""
    with blame_field(name):
        if spec.kind == "picture":
            return name_picture(name, value)
        if spec.kind == "pair":
            return normalize_pair(value)
        return check_number(name, spec, value) if spec.is_number else check_text(name, spec, value)


def check_text(name: str, spec: Spec, value: Any) -> str:
    """Refuses what is no text that can be written to a file, and makes one spelling of several."""
    if spec.write and isinstance(value, Mapping):
        value = spec.write(value)
    if not isinstance(value, str):
        raise FieldTypeError(f"{name}={value!r} is not text", name)
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError(f"{name}={value!r} holds half a character (a lone surrogate); remove it")
    return spec.normal(value) if spec.normal else value


def round_digits(value: Any) -> float:
    """Rounds to 12 significant digits, fewer of a float32, so that 1.2000000000000002 is 1.2."""
    size = getattr(getattr(value, "dtype", None), "itemsize", 8)
    return float(f"{float(value):.{FEW_DIGITS.get(size, DIGITS)}g}")


def round_number(value: Any) -> float:
    """Rounds a number of a request; 2.2e-16, where numpy.arange(1, -0.1, -0.1) ends, is 0."""
    return round(round_digits(value), DIGITS) + 0  # -0.0 and 0.0 are one value


def check_number(name: str, spec: Spec, value: Any) -> int | float:
    """Refuses what is no number of the field's range."""
    whole = spec.kind == "whole"
    try:
        if isinstance(value, (bool, str)):
            raise TypeError
        number = operator.index(value) if whole else round_number(value)
    except (TypeError, ValueError):
        kind = "a whole number" if whole else "a number"
        raise FieldTypeError(f"{name}={value!r} is not {kind}", name) from None
    if not spec.least <= number <= spec.greatest:  # NaN too
        hint = hint_seed(int(number)) if name == "seed" else ""
        limits = (spec.least, spec.greatest) if whole else (float(spec.least), float(spec.greatest))
        raise ValueError(f"{name}={value!r} is outside {limits[0]} to {limits[1]}{hint}")
    if whole and number % spec.multiple:
        raise ValueError(
            f"{name}={number} is not a multiple of {spec.multiple}, as the model needs"
        )
    return number


def hint_seed(number: int) -> str:
    """Says which seed begins with the same noise, and what may have been meant by -1."""
    drawn = "; for random seeds, draw them and keep them in the notebook" if number == -1 else ""
    same = f"torch keeps 32 bits of a seed, so seed={number % SEEDS} begins with the same noise"
    return f"{drawn}; {same}"
