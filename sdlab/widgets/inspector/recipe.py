"""The recipe that a picture's file states, as sdlab or A1111's program wrote it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import Image

from ...recipe.request import FIELDS, Request
from ...results.code import restore_request, write_arguments
from ...results.frame import format_value, is_neutral
from ...store.infotext import read_infotext, write_infotext
from ...store.png import read_record
from .pictures import Picture


def read_recipe(picture: Picture) -> dict[str, Any]:
    """Reads the fields of the recipe in the picture's file; {} if it states none.

    Those of another program's that a request does not have keep that program's names.
    """
    if picture.path is not None:
        with suppress(OSError, ValueError):
            if record := read_record(picture.path):
                return dict(record["request"])
    text = read_parameters(picture.source)
    return read_infotext(text) if text else {}


def read_parameters(source: Any) -> str:
    """Reads A1111's text from a file's "parameters"; "" if there is none."""
    with suppress(OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        if isinstance(source, (str, os.PathLike)):
            with Image.open(source) as image:
                return str(image.info.get("parameters", ""))
        return str(getattr(source, "info", {}).get("parameters", ""))
    return ""


def list_facts(recipe: dict[str, Any]) -> list[list[str]]:
    """Lists what a recipe says, in words: name and value."""
    return [
        [name, format_value(value)]
        for name, value in recipe.items()
        if value is not None and not is_neutral(name, value)
    ]


def make_request(recipe: dict[str, Any]) -> Request:
    """Makes the request of a recipe.

    Raises
    ------
    ValueError, TypeError
        It states what a request cannot have.
    """
    return restore_request({name: value for name, value in recipe.items() if name in FIELDS})


def find_recipe(picture: Picture) -> Path | Request:
    """Finds what a form can begin with: the picture's file, else the recipe that it states."""
    return Path(picture.path) if picture.path is not None else make_request(read_recipe(picture))


def write_request(recipe: dict[str, Any]) -> str:
    """Writes Python that opens the recipe in a form."""
    stated = make_request(recipe).to_dict()
    known = {name: value for name, value in stated.items() if not is_neutral(name, value)}
    return (
        "from sdlab import Request\nfrom sdlab.widgets import SweepForm\n\n"
        f"SweepForm(Request({write_arguments(known)}))\n"
    )


def describe_recipe(picture: Picture) -> dict[str, Any]:
    """Gives what the page shows of the recipe: facts, the text to copy, and Python."""
    recipe = read_recipe(picture)
    told: dict[str, Any] = {"recipe": list_facts(recipe), "infotext": "", "request": ""}
    if recipe:
        try:
            told |= {"infotext": write_infotext(recipe, ""), "request": write_request(recipe)}
        except (ValueError, TypeError) as error:
            told["why"] = f"No request can be made of it: {error}"
    return told
