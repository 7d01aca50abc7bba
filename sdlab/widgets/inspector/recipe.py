"""The recipe that a picture's file states, whichever program wrote it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...recipe.request import FIELDS, Request
from ...results.code import write_arguments
from ...results.elsewhere import restore_claims, states_recipe
from ...results.frame import format_value, is_neutral
from ...store.infotext import write_infotext
from ...store.readers.row import read_image, read_row
from .pictures import Picture

OTHERS = {"source": "written by", "not_translated": "without counterpart here"}


def read_recipe(picture: Picture) -> dict[str, Any]:
    """Reads what the picture's file says of its making, as a row; {} if it says nothing."""
    if picture.path is not None:
        row = read_row(picture.path)
    else:
        row = read_image(picture.source) if picture.source is not None else {}
    return row if states_recipe(row) or row.get("not_translated") else {}


def list_facts(row: dict[str, Any]) -> list[list[str]]:
    """Lists what a file says of its making, in words: name and value."""
    facts = [
        [name, format_value(row[name])]
        for name in FIELDS
        if row.get(name) is not None and not is_neutral(name, row[name])
    ]
    return facts + [[words, row[name]] for name, words in OTHERS.items() if row.get(name)]


def find_recipe(picture: Picture) -> Path | Request:
    """Finds what a form can begin with: the picture's file, else the recipe that it states."""
    return Path(picture.path) if picture.path is not None else make_request(picture)


def make_request(picture: Picture) -> Request:
    """Makes the request of what a picture's file states.

    Raises
    ------
    ValueError
        It states no recipe, or what no request can have.
    """
    row = read_recipe(picture)
    if not row:
        raise ValueError(f"the file of {picture.name} states no recipe")
    return restore_claims(row, picture.name)[0]


def write_request(request: Request) -> str:
    """Writes Python that opens the recipe in a form."""
    stated = request.to_dict()
    known = {name: value for name, value in stated.items() if not is_neutral(name, value)}
    return (
        "from sdlab import Request\nfrom sdlab.widgets import SweepForm\n\n"
        f"SweepForm(Request({write_arguments(known)}))\n"
    )


def describe_recipe(row: dict[str, Any], name: str) -> dict[str, Any]:
    """Gives what the page shows of a recipe: facts, the text to copy, and Python."""
    told: dict[str, Any] = {"recipe": list_facts(row), "infotext": "", "request": ""}
    if row:
        try:
            request, _ = restore_claims(row, name)
            told |= {"infotext": write_infotext(row, ""), "request": write_request(request)}
        except (ValueError, TypeError) as error:
            told["why"] = f"No request can be made of it: {error}"
    return told
