"""What is written in the pictures, read by RapidOCR (the extra `sdlab[ocr]`)."""

from __future__ import annotations

import functools
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageOps

from ..frame import column_values
from .reading import score_pictures

ENGINES: dict[str, dict[str, Any]] = {  # the first one that is installed, and its options
    "rapidocr_onnxruntime": {},
    "rapidocr": {"params": {"Global.log_level": "error"}},
}
QUOTED = re.compile(r'"([^"]+)"|“([^”]+)”')
LEAST_SCORE = 0.6  # of a reading, to count as writing at all
PADDING = 64  # pixels
Line = tuple[str, float]  # what was read, and the engine's score, 0 to 1
Reader = Callable[[np.ndarray], list[Line]]
DTYPES = {"lettering_readings": "string", "lettering_any": "boolean", "lettering_engine": "string"}


def score_lettering(
    frame: pd.DataFrame, *, again: bool = False, progress: bool = False
) -> pd.DataFrame:
    """Reads what is written in each picture, and compares it with the words in the prompt's quotes.

    Each picture is read in four views (as it is, doubled, on a grey border, in grey), and the best
    one counts: a single one misses legible words, and no view was seen to read a misspelt word as
    the right one. Rates are lower bounds all the same, and the reader has limits of its own, which
    are not the model's: a lone letter is often not read, letters far apart or of little contrast
    neither; "N0 WAR" passes for "NO WAR", words upside down or at a slant for upright ones, and
    mirrored ones come out as other words. Read a rendered word of the same size first.

    Returns
    -------
    DataFrame
        `lettering_asked`: the words in double quotes in the prompt, missing without such.
        `lettering_read`: the lines of the best view, apart by " / "; `lettering_readings`: those of
        every view with their scores, as JSON. `lettering_exact`: whether these are the words asked
        for, all of them and no others, in any order, without regard to case, spaces and
        punctuation. `lettering_likeness`: 1 - edit distance / length of the longer one, of the best
        view, 0 to 1 (1 - NED). `lettering_any`: whether anything is read at all with a score of 0.6
        or more. `lettering_engine`: what read it, with its version, which changes figures greatly.

    Raises
    ------
    ImportError
        Without the extra.

    References
    ----------
    Y. Tuo et al., "AnyText", arXiv 2311.03054: word accuracy and NED.
    """
    read, engine = open_reader()

    def read_views(image: Image.Image) -> dict[str, Any]:
        readings = [read(view) for view in make_views(image)]
        lines = [line for view in readings for line in view]
        return {
            "lettering_readings": json.dumps(readings, ensure_ascii=False),
            "lettering_any": any(score >= LEAST_SCORE for _, score in lines),
            "lettering_engine": engine,
        }

    scores = score_pictures(
        frame, "lettering", read_views, DTYPES, again=again, progress=progress, reader=engine
    )
    asked = [find_asked(prompt or "") for prompt in column_values(frame, "prompt")]
    texts = column_values(scores, "lettering_readings")
    best = [choose_view(text and json.loads(text), words) for text, words in zip(texts, asked)]
    names = {"lettering_read": "string", "lettering_exact": "boolean"}
    names["lettering_likeness"] = "Float64"
    judged = pd.DataFrame(best, frame.index, columns=list(names), dtype=object).astype(names)
    scores = scores.assign(**judged)
    scores["lettering_asked"] = pd.array([" ".join(words) or None for words in asked], "string")
    return scores


@functools.cache
def open_reader() -> tuple[Reader, str]:
    """Opens the engine that is installed; and says which one, with its version."""
    problems = []
    for name, options in ENGINES.items():
        try:
            engine = import_module(name).RapidOCR(**options)
        except ImportError as error:
            problems.append(str(error))
            continue
        return functools.partial(read_lines, engine), f"{name} {version(name)}"
    raise ImportError(
        "reading what is written in pictures needs RapidOCR, which cannot be imported; install the"
        f" extra: pip install 'sdlab[ocr]' ({'; '.join(problems)})"
    )


def read_lines(engine: Any, pixels: np.ndarray) -> list[Line]:
    """Reads the lines of one view by either generation of RapidOCR."""
    found = engine(pixels)
    if isinstance(found, tuple):  # the first one: [[box, text, score], ...] or None, and times
        return [(str(text), float(score)) for _, text, score in found[0] or ()]
    return [(str(t), float(s)) for t, s in zip(found.txts or (), found.scores or ())]


def make_views(image: Image.Image) -> list[np.ndarray]:
    """Makes the four views of an RGB picture, (H, W, 3) uint8, blue first as OpenCV has it."""
    views = (
        image,
        image.resize((2 * image.width, 2 * image.height), Image.Resampling.LANCZOS),
        ImageOps.expand(image, PADDING, (128, 128, 128)),
        ImageOps.grayscale(image).convert("RGB"),
    )
    return [np.asarray(view)[..., ::-1].copy() for view in views]


def find_asked(prompt: str) -> list[str]:
    """Finds the words in a prompt's double quotes."""
    return [word for found in QUOTED.findall(prompt) for word in "".join(found).split()]


def choose_view(
    readings: list[list[Line]] | None, asked: Sequence[str]
) -> tuple[str | None, bool | None, float | None]:
    """Chooses the view nearest to what is asked, else the one of most letters: (read, exact, near).

    The second and third are None if nothing is asked for.
    """
    if readings is None:
        return None, None, None
    views = [[text for text, _ in view] for view in readings]
    if not (words := list(filter(None, map(strip_text, asked)))):
        return " / ".join(max(views, key=lambda view: len("".join(view)))), None, None
    judged = [(*judge_view(view, words), " / ".join(view)) for view in views]
    exact, likeness, text = max(judged, key=lambda row: row[:2])
    return text, exact, likeness


def judge_view(lines: Iterable[str], words: list[str]) -> tuple[bool, float]:
    """Tells whether the lines are the words, and how like them they are."""
    parts = list(filter(None, map(strip_text, lines)))
    exact = is_spelt(parts, words)
    return exact, 1.0 if exact else compare_texts("".join(parts), "".join(words))


def strip_text(text: str) -> str:
    """Leaves the letters and digits of a text, without case."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "".join(character for character in plain if character.isalnum())


def is_spelt(lines: Sequence[str], words: Sequence[str]) -> bool:
    """Tells whether the lines, each a row of words without spaces, use up just these words."""
    if not lines:
        return not words
    first, *rest = lines
    for word in set(words):
        if first.startswith(word):
            others = list(words)
            others.remove(word)
            if is_spelt([first[len(word) :], *rest] if first != word else rest, others):
                return True
    return False


def compare_texts(one: str, other: str) -> float:
    """Computes 1 - edit distance / length of the longer one, 0 to 1."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return 1 - row[-1] / max(len(one), len(other), 1)
