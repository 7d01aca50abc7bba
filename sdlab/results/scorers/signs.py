"""What is written on the pictures of the models of signs, and whether the prompt says so."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd
from PIL import Image

from ...tiny.lettering import PLACES, UNCLEAR, read_sign
from ..frame import column_values
from .lettering import compare_texts
from .reading import score_pictures

SAID = re.compile(r"\bsays ([a-z ]+)")  # up to a comma, after which captions go on


def score_signs(
    frame: pd.DataFrame, *, again: bool = False, progress: bool = False
) -> pd.DataFrame:
    """Reads what the models of signs write, and compares it with what the prompt says.

    A reader that knows the one font of their world lays its letters on the picture.
    It reads every sign rightly that is painted as the models were shown it, with any of the 300
    words (1,000 of 1,000 in `tests/tiny/test_signs.py`): what it does not read, they did not write.
    In pictures of other models it finds nothing, or what is not there.

    Returns
    -------
    DataFrame
        `signs_read`: the words, in lower case; a mark that is no letter of the font is "?".
        `signs_asked`: the one or two words after "says" in the prompt, missing without such, and
        where more stands there than a sign holds ("says war on a table"). `signs_right`:
        whether the two are the same. `signs_likeness`: 1 - edit distance / length of the longer
        one, 0 to 1 (1 - NED). `signs_clear`: whether all that is written are letters; missing if
        nothing is.
    """
    dtypes = {"signs_read": "string", "signs_clear": "boolean"}
    scores = score_pictures(frame, "signs", read_one, dtypes, again=again, progress=progress)
    asked = [find_said(prompt or "") for prompt in column_values(frame, "prompt")]
    pairs = list(zip(asked, column_values(scores, "signs_read")))
    right = [None if None in pair else pair[0] == pair[1] for pair in pairs]
    near = [None if None in pair else compare_texts(*map(str, pair)) for pair in pairs]
    scores["signs_asked"] = pd.array(asked, "string")
    scores["signs_right"] = pd.array(right, "boolean")
    scores["signs_likeness"] = pd.array(near, "Float64")
    return scores


def read_one(image: Image.Image) -> dict[str, Any]:
    """Reads one picture."""
    text = " ".join(read_sign(image))
    return {"signs_read": text, "signs_clear": UNCLEAR not in text if text else None}


def find_said(prompt: str) -> str | None:
    """Finds the words that a prompt says are written: "no war" in "a banner that says no war"."""
    found = SAID.search(" ".join(prompt.lower().split()))
    words = found[1].split() if found else []
    fits = 1 <= len(words) <= 2 and all(len(word) <= PLACES for word in words)
    return " ".join(words) if fits else None
