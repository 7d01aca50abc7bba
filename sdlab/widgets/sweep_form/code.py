"""What a form describes, as Python that a person would write."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ...pictures import HASH, PICTURES
from ...results.frame import format_value
from .reading import Reading, join_errors

WIDTH = 118  # letters; a longer call takes a line for each argument


def write_code(
    reading: Reading, folder: str, *, row: Any = None, col: Any = None, repeated: bool = False
) -> str:
    """Writes Python that makes the requests, runs them, and shows a grid if its sides are named.

    Parameters
    ----------
    reading : Reading
        With errors in it, the code is a comment that says them.
    folder : str
        The store's.
    row, col : str or list of str, optional
        What names the rows and columns of the grid.
    repeated : bool
        Some requests are one recipe, for which a grid has one place.
    """
    if reading.errors:
        lines = join_errors(reading.errors).splitlines()
        return "".join(f"# to be mended: {line}\n" for line in lines)
    one = [name for name, found in reading.values.items() if len(found) == 1]
    base = {
        name: reading.written[name][0] if name in PICTURES else reading.values[name][0]
        for name in one
    }
    axes = {name: reading.written[name] for name in reading.values if name not in one}
    axes |= {"replace": reading.replace} if reading.replace else {}
    sides = {side: names for side, names in (("row", row), ("col", col)) if names}
    results = 'results.drop_duplicates("key")' if repeated else "results"
    plan = write_call("sweep", [write_call("Request", write_keywords(base)), *write_keywords(axes)])
    return (
        "from sdlab import Request, run, sweep\n"
        + "from sdlab.widgets import SeedGrid\n" * bool(sides)
        + f"\n{explain_hashes(reading, folder)}plan = {plan}\n"
        + f"results = run(plan, {write_literal(folder)})\n"
        + (f"{write_call('SeedGrid', [results, *write_keywords(sides)])}\n" if sides else "")
    )


def explain_hashes(reading: Reading, folder: str) -> str:
    """Writes a comment on pictures that the code names by content; "" if there are none."""
    found = [
        name
        for name in PICTURES
        if any(HASH.fullmatch(item or "") for item in reading.written.get(name, ()))
    ]
    return (
        f"# {' and '.join(found)}: named by content, which Store({write_literal(folder)}) keeps"
        " once this has run;\n# elsewhere put the path of the picture in its place\n"
        if found
        else ""
    )


def write_literal(value: Any) -> str:
    """Writes a value; texts in double quotes where that needs no escapes."""
    if isinstance(value, str):  # JSON's escapes are Python's, too
        return repr(value) if '"' in value else json.dumps(value, ensure_ascii=False)
    if isinstance(value, (list, tuple)):
        return join_items("[", [write_literal(item) for item in value], "]")
    return format_value(value) if isinstance(value, float) else repr(value)


def write_keywords(values: dict[str, Any]) -> list[str]:
    """Writes each as a keyword argument."""
    return [f"{name}={write_literal(value)}" for name, value in values.items()]


def write_call(name: str, arguments: Sequence[str]) -> str:
    """Writes a call of that function."""
    return join_items(f"{name}(", arguments, ")")


def join_items(start: str, items: Sequence[str], end: str) -> str:
    """Writes all in one line if there is room, else an item a line."""
    line = start + ", ".join(items) + end
    if len(line) <= WIDTH and "\n" not in line:
        return line
    within = "".join("    " + item.replace("\n", "\n    ") + ",\n" for item in items)
    return f"{start}\n{within}{end}"
