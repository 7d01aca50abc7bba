"""What an inspector says of a picture: the answer first, in plain words, then the figures; as JSON, as HTML, and as code."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from ...recipe.request import FIELDS
from ...results.code import results_code
from ...results.frame import values
from ...watermark.geometry import AS_IS, Geometry
from ...watermark.inspection import (
    A_HIT,
    A_MISS,
    Finding,
    Inspection,
    format_probability,
    shorten_name,
)
from ...watermark.payloads import PAYLOADS, Payload, find_payload, pack_bits
from ..pictures import img
from .pictures import AT_WORK, THUMBNAIL, UNREADABLE, VERDICTS, WAITING, Picture, thumbnail

STILL = 200  # pictures in the notebook's own picture
EXPECTED = "sd-v1"
SEARCHES = {
    "none": "as it is",
    "crop": "as it is and as if it had been cropped",
    "size": "as it is and as if it had been resized",
    "all": "as it is and as if it had been cropped, resized or mirrored",
}
HEADINGS = ("payload", "found", "p", "bits right", "found as", "official decoder")


# As JSON


def answer(picture: Picture, letter: str) -> dict[str, Any]:
    """All words of one picture's answer."""
    inspection = picture.inspection
    told: dict[str, Any] = {
        "kind": "told",
        "name": picture.name,
        "headline": headline(picture, letter),
        "sentences": sentences(picture),
        "marks": [],
        "rows": [],
        "best": None,
    }
    if inspection is None:
        return told
    width, height = inspection.size
    return told | {
        "headings": HEADINGS,
        "best": mapped_first(inspection),
        "rows": [
            [*row_of(finding), finding.detected]
            for finding in inspection.findings
            if finding.tested
        ],
        "about": (
            f"{width}x{height} pixels, looked at {SEARCHES[inspection.search]}. Of unmarked"
            f" pictures at most one in {1 / inspection.false_positive_rate:,.0f} is called marked."
        ),
        "marks": [
            [mark.program, mark.kind, mark.trust, mark.detail] for mark in inspection.provenance
        ],
        "has_file": picture.path is not None,
    }


def mapped_first(inspection: Inspection) -> str | None:
    """The payload whose maps are shown at first: the one found, or the one that most people look for, or the first."""
    names = [finding.payload.name for finding in inspection.findings]
    if inspection.detected:
        return inspection.best.payload.name
    return EXPECTED if EXPECTED in names else next(iter(names), None)


def headline(picture: Picture, letter: str) -> str:
    if picture.inspection is None:
        return {
            UNREADABLE: "This picture cannot be read.",
            AT_WORK: "This picture is being tested.",
        }.get(letter, f"This picture is {VERDICTS[letter][1]}.")
    if letter in (WAITING, AT_WORK):
        return f"This picture is {VERDICTS[letter][1]} again."
    hits = [finding.payload for finding in picture.inspection.findings if finding.detected]
    if hits:
        return f"Marked: {'; '.join(mark_in_words(payload) for payload in hits)}."
    if picture.inspection.best is None:
        return "Too small to be tested as it is."
    return "No mark found."


def sentences(picture: Picture) -> list[str]:
    """What the verdict means, for somebody who asks where a picture comes from."""
    inspection = picture.inspection
    if inspection is None:
        return [picture.error] if picture.error else []
    hits = [finding for finding in inspection.findings if finding.detected]
    said = [hit_in_words(finding) for finding in hits] or miss_in_words(inspection)
    programs = list(
        dict.fromkeys(mark.program for mark in inspection.provenance if mark.program != "unknown")
    )
    if programs:
        said.append(f"The file itself names {', '.join(programs)}; see below what it says.")
    return [*said, A_HIT if hits else A_MISS]


def mark_in_words(payload: Payload) -> str:
    return (
        f"{shorten_name(payload.name)}, the mark of {payload.written_by}"
        if payload.written_by
        else shorten_name(payload.name)
    )


def hit_in_words(finding: Finding) -> str:
    where = "" if finding.geometry == AS_IS else f" It was found as {in_words(finding.geometry)}."
    return (
        f"The chance that an unmarked picture agrees with {shorten_name(finding.payload.name)} as well is "
        f"{format_probability(finding.log10_p)}{', which is next to none' * (finding.log10_p < -9)}.{where}"
    )


def in_words(geometry: Geometry) -> str:
    """What happened to the picture since it was marked, as far as the mark tells."""
    words = ["a mirrored picture"] * geometry.mirrored + [
        "a picture with red and blue swapped"
    ] * geometry.swapped
    if geometry.cut:
        words.append(f"part of a larger picture{cut_in_words(*geometry.cut)}")
    if geometry.size:
        words.append(f"a picture resized from {geometry.size[0]}x{geometry.size[1]}")
    return " and ".join(words) or "it is"


def cut_in_words(left: int, top: int) -> str:
    cut = [
        f"{pixels} {side}"
        for pixels, side in ((left, "at the left"), (top, "at the top"))
        if pixels
    ]
    if not cut:
        return ", cut at the right or at the bottom"
    number, rest = " and ".join(cut).split(" ", 1)
    return f": about {number} {'pixel was' if number == '1' else 'pixels were'} cut off {rest}"


def miss_in_words(inspection: Inspection) -> list[str]:
    width, height = inspection.size
    if inspection.best is None:
        return [
            f"No program writes a mark into so few pixels ({width}x{height}). If this was cut out"
            " of a marked picture, or made smaller, a search may tell."
        ]
    if inspection.search == "none":
        return [
            "It was looked at as it is. Cropping or resizing hides a mark from that; a search can"
            " still find it."
        ]
    few = " With so few pixels that is what to expect, marked or not." if inspection.small else ""
    return [f"It was looked at {SEARCHES[inspection.search]}.{few}"]


def row_of(finding: Finding) -> list[str]:
    """One payload's line of the table, in the order of `HEADINGS`."""
    right = "" if math.isnan(finding.agreement) else f"{finding.agreement:.0%}"
    return [
        shorten_name(finding.payload.name),
        "yes" if finding.detected else "no",
        format_probability(finding.log10_p),
        right,
        in_words(finding.geometry) if finding.detected else "",
        official_in_words(finding),
    ]


def official_in_words(finding: Finding) -> str:
    official = finding.official
    if official is None:
        return ""
    wrong = int((official.bits != finding.payload.bits).sum())
    return (
        "reads it exactly"
        if official.exact
        else f"gets {wrong} of {len(finding.payload)} bits wrong"
    )


# As HTML


def still(pictures: Sequence[Picture], letters: Sequence[str], note: str) -> str:
    """A table of the pictures that shows without a kernel."""
    cell = (
        ' style="text-align:left;vertical-align:top;padding:2px 8px 2px'
        ' 0;white-space:normal;max-width:20em;overflow-wrap:anywhere"'
    )
    titles = ("picture", "name", "verdict", "p", "found as", "official decoder")
    head = "".join(f'<th scope="col"{cell}>{title}</th>' for title in titles)
    lines = []
    for picture, letter in list(zip(pictures, letters))[:STILL]:
        glyph, words = VERDICTS[letter]
        texts = [picture.name, f"{glyph} {words}{verdict_detail(picture)}", *figures(picture)]
        told = "".join(f"<td{cell}>{escape(text)}</td>" for text in texts)
        shown = (
            still_picture(picture) if letter not in (WAITING, AT_WORK) else ""
        )  # hundreds would take seconds to make now
        lines.append(f"<tr><td{cell}>{shown}</td>{told}</tr>")
    more = f" {len(pictures) - STILL:,} more are not shown here." if len(pictures) > STILL else ""
    table = (
        f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
        if lines
        else ""
    )
    return (
        f"{table}<p>{escape(note or 'No picture was inspected yet.')}{more}</p><p>{escape(A_HIT)}"
        f" {escape(A_MISS)}</p>"
    )


def verdict_detail(picture: Picture) -> str:
    if picture.error:
        return f": {picture.error}"
    hits = (
        [finding for finding in picture.inspection.findings if finding.detected]
        if picture.inspection is not None
        else []
    )
    return f": {', '.join(shorten_name(finding.payload.name) for finding in hits)}" if hits else ""


def figures(picture: Picture) -> list[str]:
    """p, what it was found as, and the official decoder's answer, for the best payload."""
    best = picture.inspection.best if picture.inspection is not None else None
    return [row_of(best)[i] for i in (2, 4, 5)] if best is not None else ["", "", ""]


def still_picture(picture: Picture) -> str:
    try:
        return (
            img(thumbnail(picture), picture.name, THUMBNAIL) if picture.source is not None else ""
        )
    except (OSError, ValueError, TypeError):
        return ""


# As code


def code_of(
    pictures: Sequence[Picture],
    chosen: int,
    payloads: Mapping[str, Payload],
    rate: float,
    search: str,
    frame: pd.DataFrame | None,
) -> str:
    """Python that gives the chosen picture's answer, then those of all."""
    if not pictures:
        return "# no picture was given yet"
    asked, imported = (
        payloads_code(payloads) + (f", false_positive_rate={rate!r}" if rate != 1e-6 else ""),
        "",
    )
    if "Payload(" in asked:
        imported = "from sdlab.watermark import Payload\n"
    parts = []
    if 0 <= chosen < len(pictures) and pictures[chosen].source is not None:
        picture = pictures[chosen]
        parts.append(
            f"detect_watermark({source_code(picture, chosen)}{asked}{search_code(searched(picture, search))})\n"
        )
    if len(pictures) > 1:
        parts += all_code(pictures, asked, search, frame)
    names = "from sdlab import detect_watermark\n" + (
        "from sdlab.watermark import scan\n" if "scan(" in "".join(parts) else ""
    )
    return names + imported + "\n" + "\n".join(parts)


def all_code(
    pictures: Sequence[Picture], asked: str, search: str, frame: pd.DataFrame | None
) -> list[str]:
    """A call of `scan` for the files of each search, and what loops over the pictures that are no files."""
    searches = dict.fromkeys(
        searched(picture, search) for picture in pictures if picture.source is not None
    )
    if (
        frame is not None
        and len(frame) == len(pictures)
        and len(searches) == 1
        and is_of_run(frame)
    ):
        return [f'{results_code(frame)}scan(results["path"]{asked}{search_code(*searches)})\n']
    parts = []
    for how in searches:
        paths = [
            shown_path(p.path)
            for p in pictures
            if p.path is not None and searched(p, search) == how
        ]
        if paths:
            listed = "".join(f"    {path!r},\n" for path in paths)
            parts.append(f"scan([\n{listed}]{asked}{search_code(how)})\n")
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
    return {"key", *FIELDS} <= set(frame.columns) and None not in values(frame, "prompt")


def searched(picture: Picture, default: str) -> str:
    return picture.wanted or (
        picture.inspection.search if picture.inspection is not None else default
    )


def search_code(search: str) -> str:
    return "" if search == "none" else f", search={search!r}"


def source_code(picture: Picture, number: int) -> str:
    return repr(shown_path(picture.path)) if picture.path is not None else f"images[{number}]"


def shown_path(path: str) -> str:
    """The path as seen from the current folder if it lies below that."""
    whole, here = Path(os.path.abspath(path)), Path.cwd()
    return whole.relative_to(here).as_posix() if whole.is_relative_to(here) else path


def payloads_code(payloads: Mapping[str, Payload]) -> str:
    """ ", [...]" with the payloads, "" if they are all the known ones."""
    if list(payloads) == list(PAYLOADS) and all(
        same(payloads[name], PAYLOADS[name]) for name in payloads
    ):
        return ""
    texts = [payload_code(payload) for payload in payloads.values()]
    return f", {texts[0]}" if len(texts) == 1 else f", [{', '.join(texts)}]"


def payload_code(payload: Payload) -> str:
    if payload.name in PAYLOADS and same(payload, PAYLOADS[payload.name]):
        return repr(payload.name)
    for spelled in (payload.text, pack_bits(payload.bits)):
        try:
            if spelled and same(payload, find_payload(spelled)):
                return repr(spelled)
        except ValueError:  # a text that looks like a known name
            continue
    return f"Payload({payload.name!r}, {payload.bits.tolist()}, {payload.arithmetic!r})"


def same(one: Payload, other: Payload) -> bool:
    return one.arithmetic == other.arithmetic and one.bits.tobytes() == other.bits.tobytes()
