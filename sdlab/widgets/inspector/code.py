"""What an inspector found, as Python that finds it again."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ...recipe.request import FIELDS
from ...results.code import write_results_code
from ...results.frame import column_values
from ...watermark.payloads import PAYLOADS, SETS, Payload, Way, find_payload, pack_bits
from ..code import shorten_path
from .pictures import Picture


def write_inspection(
    pictures: Sequence[Picture],
    chosen: int,
    payloads: Mapping[str, Payload],
    how: str,
    search: str,
    frame: pd.DataFrame | None,
) -> str:
    """Writes Python that gives the chosen picture's answer, then those of all.

    `how` are the further arguments that all are tested with, each after a comma.
    """
    if not pictures:
        return "# no picture was given yet"
    asked = write_payloads(payloads) + how
    parts = []
    if 0 <= chosen < len(pictures) and pictures[chosen].source is not None:
        picture = pictures[chosen]
        searched = write_search(pick_search(picture, search))
        parts.append(f"detect_watermark({write_source(picture, chosen)}{asked}{searched})\n")
    if len(pictures) > 1:
        parts += list_calls(pictures, asked, search, frame)
    imports = "from sdlab import detect_watermark\n"
    imports += "from sdlab.watermark import scan\n" * ("scan(" in "".join(parts))
    imports += "from sdlab.watermark import Payload\n" * ("Payload(" in asked)
    return imports + "\n" + "\n".join(parts)


def write_how(rate: float, trust_anchors: Any) -> str:
    """Writes the arguments that are not the default, each after a comma."""
    anchors = os.fspath(trust_anchors) if isinstance(trust_anchors, os.PathLike) else trust_anchors
    return (f", false_positive_rate={rate!r}" if rate != 1e-6 else "") + (
        "" if anchors is None else f", trust_anchors={anchors!r}"
    )


def list_calls(
    pictures: Sequence[Picture], asked: str, search: str, frame: pd.DataFrame | None
) -> list[str]:
    """Lists calls: of `scan` for the files of each search, and for pictures that are no files."""
    searches = dict.fromkeys(
        pick_search(picture, search) for picture in pictures if picture.source is not None
    )
    if (
        frame is not None
        and len(frame) == len(pictures)
        and len(searches) == 1
        and is_of_run(frame)
    ):
        return [
            f'{write_results_code(frame)}scan(results["path"]{asked}{write_search(*searches)})\n'
        ]
    parts = []
    for how in searches:
        paths = [
            shorten_path(p.path)
            for p in pictures
            if p.path is not None and pick_search(p, search) == how
        ]
        if paths:
            listed = "".join(f"    {path!r},\n" for path in paths)
            parts.append(f"scan([\n{listed}]{asked}{write_search(how)})\n")
    given = [
        i
        for i, picture in enumerate(pictures)
        if picture.source is not None and picture.path is None
    ]
    if given:
        parts.append(
            f"# images is the list that was given\n[detect_watermark(images[i]{asked}) for i in"
            f" {given}]\n"
        )
    return parts


def is_of_run(frame: pd.DataFrame) -> bool:
    """Tells a frame of `run`, whose recipes are known."""
    return {"key", *FIELDS} <= set(frame.columns) and None not in column_values(frame, "prompt")


def pick_search(picture: Picture, default: str) -> str:
    """Picks the search that a picture's answer rests on, or is to."""
    return picture.wanted or (
        picture.inspection.search if picture.inspection is not None else default
    )


def write_search(search: str) -> str:
    """Writes the search as an argument."""
    return "" if search == "none" else f", search={search!r}"


def write_source(picture: Picture, number: int) -> str:
    """Writes where the picture is."""
    return repr(shorten_path(picture.path)) if picture.path is not None else f"images[{number}]"


def write_payloads(payloads: Mapping[str, Payload]) -> str:
    """Writes ", [...]" with the payloads, or their set; "" if they are the everyday ones."""
    for name, known in SETS.items():
        if list(payloads) == list(known) and all(are_same(payloads[n], known[n]) for n in known):
            return "" if name == "everyday" else f", {name!r}"
    texts = [write_payload(payload) for payload in payloads.values()]
    return f", {texts[0]}" if len(texts) == 1 else f", [{', '.join(texts)}]"


def write_payload(payload: Payload) -> str:
    """Writes a payload by its name, its text, its bytes or its bits."""
    if payload.name in PAYLOADS and are_same(payload, PAYLOADS[payload.name]):
        return repr(payload.name)
    for spelled in (payload.text, pack_bits(payload.bits)):
        try:
            if spelled and are_same(payload, find_payload(spelled)):
                return repr(spelled)
        except ValueError:  # a text that looks like a known name
            continue
    usual = Way(payload.arithmetic)._asdict()
    how = {name: value for name, value in payload.way._asdict().items() if value != usual[name]}
    named = "".join(f", {name}={value!r}" for name, value in how.items())
    return f"Payload({payload.name!r}, {payload.bits.tolist()}, {payload.arithmetic!r}{named})"


def are_same(one: Payload, other: Payload) -> bool:
    """Tells payloads of the same bits, written in the same way."""
    return one.way == other.way and one.bits.tobytes() == other.bits.tobytes()
