"""Further arguments of a call as text, written as in Python: "max_sequence_length=256"."""

from __future__ import annotations

import ast
import keyword
from collections.abc import Mapping
from typing import Any

from .spec import round_number

EXACT = 2**53  # up to there a float is a whole number as it stands
PLAIN = (bool, int, str, type(None))


def read_keywords(text: str) -> dict[str, Any]:
    """Reads arguments as they stand between the brackets of a call; nothing is run.

    Raises
    ------
    SyntaxError, ValueError
        It is no list of names and plain values.
    """
    call = ast.parse(f"_({text})", mode="eval").body
    if not isinstance(call, ast.Call) or call.args or not all(each.arg for each in call.keywords):
        raise SyntaxError("no list of names and values")
    if not isinstance(call.func, ast.Name) or len({k.arg for k in call.keywords}) < len(
        call.keywords
    ):
        raise SyntaxError("several lists, or a name several times")
    return {each.arg or "": ast.literal_eval(each.value) for each in call.keywords}


def write_keywords(values: Mapping[str, Any]) -> str:
    """Writes arguments, in the order of the alphabet."""
    return ", ".join(f"{name}={values[name]!r}" for name in sorted(values))


def is_name(name: Any) -> bool:
    """Tells whether an argument can be called that."""
    return isinstance(name, str) and name.isidentifier() and not keyword.iskeyword(name)


def spell_options(values: Mapping[str, Any]) -> str:
    """Writes a request's options, given as a mapping, in their one spelling."""
    if wrong := [name for name in values if not is_name(name)]:
        raise ValueError(f"options: {wrong[0]!r} is not the name of an argument")
    return write_keywords({name: tidy_value(name, value) for name, value in values.items()})


def normalize_options(text: str) -> str:
    """Gives a request's options, given as text, their one spelling."""
    try:
        values = read_keywords(text)
    except (SyntaxError, ValueError):
        raise ValueError(
            f"options={text!r:.200} are not names with values; they are given as a mapping,"
            " {'max_sequence_length': 256}, or written as in Python,"
            " 'max_sequence_length=256, true_cfg_scale=4', each name once and texts in quotes"
        ) from None
    return spell_options(values)


def tidy_value(name: str, value: Any) -> Any:
    """Gives a value the form that its text is read back to, or refuses what has none.

    4 and 4.0 are one recipe: a call is given the one that its signature names.
    """
    plain = value.item() if hasattr(value, "item") and not value.shape else value  # of NumPy
    if isinstance(plain, float) and abs(plain) < float("inf"):
        number = round_number(value)
        return int(number) if number.is_integer() and abs(number) < EXACT else number
    if isinstance(value, (list, tuple)):
        return type(value)(tidy_value(name, each) for each in value)
    if isinstance(value, Mapping):
        return {str(key): tidy_value(name, value[key]) for key in sorted(value, key=str)}
    if isinstance(plain, PLAIN):
        return plain
    raise ValueError(
        f"options: {name}={value!r:.80} is no number, text, True, False or None, nor a list, tuple"
        " or mapping of such; nothing else can be kept with a picture"
    )
