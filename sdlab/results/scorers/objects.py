"""What stands in the pictures of the little worlds, and whether it is what the prompt names."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import Any

import pandas as pd
from PIL import Image

from ...tiny.matcher import find_background, find_objects
from ...tiny.sprites import COLORED_SHAPES
from ...tiny.world import BOTH, COUNTS, IRREGULAR_PLURALS
from ..frame import column_values
from .reading import score_pictures

DTYPES = {
    "objects_found": "string",
    "objects_count": "Int64",
    "objects_x": "Float64",
    "objects_y": "Float64",
    "objects_background": "string",
}


def score_objects(frame: pd.DataFrame) -> pd.DataFrame:
    """Finds what the embedded models can draw in each picture, and compares it with the prompt.

    A matcher that knows the sprites of the little worlds reads the pictures, some 50 ms each. In
    pictures of other models it finds nothing, or what is not there.

    Returns
    -------
    DataFrame
        `objects_found`: names such as "red circle, cat", the most convincing first, "" if there are
        none; `objects_count` of them; `objects_x` and `objects_y`: the centre of the first, in
        pixels of a picture brought to 64x64. `objects_background`: the plain colour or the scene.
        `objects_asked`: what the prompt names, such as "cat, red circle" or "two dogs", missing if
        it names nothing of the little worlds. `objects_right`: whether all of that was found, of
        "two dogs" just two; missing without a picture or a name.
    """
    scores = score_pictures(frame, score_one, DTYPES)
    asked = [find_asked(prompt or "") for prompt in column_values(frame, "prompt")]
    found = column_values(scores, "objects_found")
    scores["objects_asked"] = pd.array([", ".join(ask) or None for ask in asked], "string")
    scores["objects_right"] = pd.array(
        [
            is_right(ask, text) if ask and text is not None else None
            for ask, text in zip(asked, found)
        ],
        "boolean",
    )
    return scores


def score_one(image: Image.Image) -> dict[str, Any]:
    """Reads one picture."""
    found = find_objects(image, BOTH)
    first = {"objects_x": found[0].x, "objects_y": found[0].y} if found else {}
    return {
        "objects_found": ", ".join(each.name for each in found),
        "objects_count": len(found),
        "objects_background": find_background(image, BOTH),
        **first,
    }


def find_asked(prompt: str) -> dict[str, tuple[str, int | None]]:
    """Finds {what the prompt names: (the object, how many if it says so)}."""
    names = singular_names()
    matches = name_pattern().finditer(" ".join(prompt.lower().split()))
    numbers = {word: n for n, word in COUNTS.items()}
    return {match[0]: (names[match["name"]], numbers.get(match["number"])) for match in matches}


def is_right(asked: dict[str, tuple[str, int | None]], found: str) -> bool:
    """Tells whether all that is asked for was found."""
    drawn = found.split(", ")
    return all(
        name in drawn if number is None else drawn.count(name) == number
        for name, number in asked.values()
    )


@functools.cache
def singular_names() -> dict[str, str]:
    """Gives {singular or plural of an object: its name}."""
    names = (*BOTH.names, *COLORED_SHAPES)
    return {IRREGULAR_PLURALS.get(name, f"{name}s"): name for name in names} | {
        name: name for name in names
    }


@functools.cache
def name_pattern() -> re.Pattern[str]:
    """Compiles what finds the objects' names in a prompt, with the number before them."""
    return re.compile(
        rf"\b(?:(?P<number>{any_of(COUNTS.values())}) )?(?P<name>{any_of(singular_names())})\b"
    )


def any_of(words: Iterable[str]) -> str:
    """Joins words to an alternative, longer ones first."""
    return "|".join(sorted(words, key=len, reverse=True))
