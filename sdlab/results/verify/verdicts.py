"""What is to be said of a picture and the same recipe rendered again."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from ...errors import shorten_text
from ...pictures import SMALL_SIDE, hash_pixels, webp_bytes
from ..code import HOW
from ..frame import count_noun, format_value, hide_home
from .again import Again, list_changes
from .cases import Case

IDENTICAL, WITHIN = "identical", "within tolerance"
DIFFERENT, CANNOT = "different", "cannot be rendered here"
VERDICTS = (IDENTICAL, WITHIN, DIFFERENT, CANNOT)
MOST_REASONS, MOST_TEXT = 3, 200  # in a sentence


@dataclass(frozen=True)
class Distance:
    """How far two pictures are apart, in levels of 255.

    Parameters
    ----------
    largest, mean : float
        Over all pixels and channels.
    share : float
        0 to 1, of the numbers that differ at all.
    """

    largest: float
    mean: float
    share: float = 0.0

    def is_within(self, other: Distance) -> bool:
        """Tells whether it is no larger, neither at its worst nor on average."""
        return self.largest <= other.largest and self.mean <= other.mean


# The farthest that was seen between pictures of one recipe, by the less exact of two formats: other
# batch sizes on an NVIDIA H100 (tiny-v1, 3 to 32 cells a format; bfloat16: 32 levels), that card
# against a processor in float32 (64 cells; on average .25), and each format against the others on a
# processor (tiny-v1, 20 steps, 16 cells; on average 1.24 for bfloat16). Large networks were not
# measured.
ROUNDING = {
    "float32": Distance(5, 0.25),
    "float16": Distance(5, 0.25),
    "bfloat16": Distance(32, 1.5),
}
# How far apart the small pictures of one picture may be, as WebP by other versions of its encoder.
ENCODING = Distance(32, 1.5)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is said of one case: a row of the frame.

    Parameters
    ----------
    name, verdict, why : str
    differs : mapping
        {what may change bits: (as recorded, here)}
    cause : str
        In a word, why it is not the same or cannot be rendered; "" if it is the same.
    distance : Distance, optional
        Between the picture as handed on and the one rendered again.
    allowed : Distance, optional
        What rounding is known to do where such things differ; None where nothing does.
    """

    name: str
    verdict: str
    why: str
    differs: Mapping[str, tuple[Any, Any]]
    cause: str = ""
    distance: Distance | None = None
    allowed: Distance | None = None


def judge_case(case: Case, again: Again) -> Verdict:
    """Says how a case came out."""
    if again.path is None:
        why, cause = hide_home(again.refused), again.cause
        return Verdict(name=case.name, verdict=CANNOT, why=why, differs={}, cause=cause)
    with Image.open(again.path) as opened:
        made = opened.convert("RGB")
    image, differs = case.open(), list_changes(case, again)
    recorded, allowed = case.facts.get("pixels"), find_tolerance(case, again, differs)
    distance = measure_distance(image, made, case.reduced) if image else None
    say = partial(Verdict, name=case.name, differs=differs, distance=distance, allowed=allowed)
    is_same = recorded == hash_pixels(made) if recorded else distance == Distance(0, 0)
    problem = find_problem(case, image)
    if not problem and case.reduced and is_same and not shows_same(distance):
        problem = "the report's small picture shows something else"
    if problem:
        then = "what was recorded comes out" if is_same else "other than recorded comes out"
        why = f"{problem}; rendered again, {then}"
        return say(verdict=DIFFERENT, why=why, cause="file")
    told = "; ".join(filter(None, (write_changes(differs), case.note)))
    if is_same and not (case.reduced and not recorded):
        return say(verdict=IDENTICAL, why=told)
    if distance is None:
        told = "; ".join(filter(None, (explain_no_distance(image, made), told)))
    within = distance is not None and allowed is not None and distance.is_within(allowed)
    return say(
        verdict=WITHIN if within else DIFFERENT,
        why=told or "although nothing that was recorded differs",
        cause=", ".join(map(name_fact, differs)) or "unknown",
    )


def explain_no_distance(image: Image.Image | None, made: Image.Image) -> str:
    """Says why it is not told how far two pictures are apart."""
    if image is None:
        return "how far cannot be told without the picture"
    return f"the picture is {write_size(image)}, and {write_size(made)} is rendered"


def write_size(image: Image.Image) -> str:
    """Writes width and height: "64x64"."""
    return f"{image.width}x{image.height}"


def find_problem(case: Case, image: Image.Image | None) -> str:
    """Finds what is wrong with the file itself; "" if it is what was saved, or nobody knows."""
    if image is None:
        return "the file cannot be read" if case.picture is not None else ""
    recorded = case.facts.get("pixels")
    edited = not case.reduced and recorded not in (None, hash_pixels(image))
    return "the file was changed after it was saved" if edited else ""


def shows_same(distance: Distance | None) -> bool:
    """Tells whether a report's small picture is of a picture, whoever encoded it."""
    return distance is not None and distance.is_within(ENCODING)


def find_tolerance(
    case: Case, again: Again, differs: Mapping[str, tuple[Any, Any]]
) -> Distance | None:
    """Finds what rounding may do: None, nothing, where all that may change bits is the same.

    Nor does it excuse other settings: they make another picture, as another recipe does.
    """
    if HOW.keys() & differs.keys() or (not differs and case.facts and not case.reduced):
        return None
    formats = {str(facts.get("dtype")) for facts in (case.facts, again.facts)}
    return ROUNDING["bfloat16" if "bfloat16" in formats else "float32"]


def measure_distance(image: Image.Image, made: Image.Image, reduced: bool) -> Distance | None:
    """Measures how far two pictures are apart; None if they are not of one size."""
    if reduced:  # as the report's was
        made = Image.open(io.BytesIO(webp_bytes(made, SMALL_SIDE))).convert("RGB")
    if image.size != made.size:
        return None
    apart = np.abs(np.asarray(image, np.int16) - np.asarray(made, np.int16))
    return Distance(float(apart.max()), float(apart.mean()), float((apart > 0).mean()))


# In words


def name_fact(name: str) -> str:
    """Names what was recorded as people do: "torch", "batch size"."""
    return HOW.get(name) or name.removesuffix("_version").replace("_", " ")


def write_changes(differs: Mapping[str, tuple[Any, Any]]) -> str:
    """Writes what is not as it was recorded: "torch 2.13.1 instead of 2.12.0"."""
    return ", ".join(
        f"{name_fact(name)} {format_value(here)} instead of {format_value(then)}"
        for name, (then, here) in differs.items()
    )


def write_sentence(verdicts: Sequence[Verdict], total: int, seed: int, without: int = 0) -> str:
    """Says in a few sentences how many came out how, and why."""
    n = len(verdicts)
    of_kind = [[v for v in verdicts if v.verdict == kind] for kind in VERDICTS]
    counts = [f"{len(every):,} {write_kind(every)}" for every in of_kind if every]
    number, _, rest = "; ".join(counts).partition(" ")
    drawn = f" A sample of {n:,} of {total:,}, drawn by chance (seed {seed})." if n < total else ""
    left = f" {count_noun(without, 'row')} without a picture left out." if without else ""
    return f"{number} of {n:,} {rest}.{drawn}{left}"


def write_kind(every: Sequence[Verdict]) -> str:
    """Writes one verdict with how far it reaches and its reasons, the most frequent first."""
    kind = every[0].verdict
    reasons = Counter(each.why for each in every if each.why)
    told = [
        f"{shorten_text(why, MOST_TEXT)}{f' ({n:,})' if n < len(every) else ''}"
        for why, n in reasons.most_common(MOST_REASONS)
    ]
    if (more := len(reasons) - MOST_REASONS) > 0:
        told.append(f"{count_noun(more, 'other reason')}")
    known = [each.distance.largest for each in every if each.distance]
    of = "" if len(known) == len(every) else f" in the {len(known):,} where that is known"
    far = f", at most {max(known, default=0):g} of 255 levels apart{of}"
    reach = far if known and kind != IDENTICAL else ""
    joint = ", with " if kind == IDENTICAL else ": "
    return f"{kind}{reach}{joint if told else ''}{'; '.join(told)}"
