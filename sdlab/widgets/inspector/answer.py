"""What an inspector says of a picture, in words, then in figures: as JSON and as HTML."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from ...results.html import render_table
from ...watermark.inspection import (
    A_HIT,
    A_MISS,
    Finding,
    Inspection,
    format_probability,
    shorten_name,
)
from ...watermark.payloads import Payload
from ...watermark.search import AS_IS, Geometry
from ..pictures import render_image
from .pictures import AT_WORK, THUMBNAIL, UNREADABLE, VERDICTS, WAITING, Picture, shrink_picture

STILL = 200  # pictures in the notebook's own picture
EXPECTED = "sd-v1"
SEARCHES = {
    "none": "as it is",
    "crop": "as it is and as if it had been cropped",
    "size": "as it is and as if it had been resized",
    "all": "as it is and as if it had been cropped, resized or mirrored",
}
TITLES = ("name", "picture", "verdict", "p", "found as", "official decoder")
CELL = (
    "text-align:left;vertical-align:top;padding:2px 8px 2px 0;white-space:normal;max-width:20em;"
    "overflow-wrap:anywhere"
)
HEADINGS = ("payload", "found", "p", "bits right", "found as", "official decoder")


# As JSON


def write_answer(picture: Picture, letter: str) -> dict[str, Any]:
    """Writes all words of one picture's answer, as the page wants them."""
    inspection = picture.inspection
    told: dict[str, Any] = {
        "kind": "told",
        "name": picture.name,
        "headline": write_headline(picture, letter),
        "sentences": write_sentences(picture),
        "marks": [],
        "rows": [],
        "best": None,
    }
    if inspection is None:
        return told
    width, height = inspection.size
    return told | {
        "headings": HEADINGS,
        "best": choose_payload(inspection),
        "rows": [
            [*list_figures(finding), finding.detected]
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


def choose_payload(inspection: Inspection) -> str | None:
    """Chooses the payload whose maps are shown at first: the one found, the best known, or any."""
    names = [finding.payload.name for finding in inspection.findings]
    if inspection.detected and inspection.best is not None:
        return inspection.best.payload.name
    return EXPECTED if EXPECTED in names else next(iter(names), None)


def write_headline(picture: Picture, letter: str) -> str:
    """Says the verdict in a sentence."""
    if picture.inspection is None:
        return {
            UNREADABLE: "This picture cannot be read.",
            AT_WORK: "This picture is being tested.",
        }.get(letter, f"This picture is {VERDICTS[letter][1]}.")
    if letter in (WAITING, AT_WORK):
        return f"This picture is {VERDICTS[letter][1]} again."
    hits = [finding.payload for finding in picture.inspection.findings if finding.detected]
    if hits:
        return f"Marked: {'; '.join(describe_mark(payload) for payload in hits)}."
    if picture.inspection.best is None:
        return "Too small to be tested as it is."
    return "No mark found."


def write_sentences(picture: Picture) -> list[str]:
    """Says what the verdict means to somebody who asks where a picture comes from."""
    inspection = picture.inspection
    if inspection is None:
        return [picture.error] if picture.error else []
    hits = [finding for finding in inspection.findings if finding.detected]
    said = [describe_hit(finding) for finding in hits] or describe_miss(inspection)
    programs = list(
        dict.fromkeys(mark.program for mark in inspection.provenance if mark.program != "unknown")
    )
    if programs:
        said.append(f"The file itself names {', '.join(programs)}; see below what it says.")
    return [*said, A_HIT if hits else A_MISS]


def describe_mark(payload: Payload) -> str:
    """Names a mark and who writes it."""
    return (
        f"{shorten_name(payload.name)}, the mark of {payload.written_by}"
        if payload.written_by
        else shorten_name(payload.name)
    )


def describe_hit(finding: Finding) -> str:
    """Says how sure it is that a mark is there."""
    where = (
        ""
        if finding.geometry == AS_IS
        else f" It was found as {describe_geometry(finding.geometry)}."
    )
    return (
        f"The chance that an unmarked picture agrees with {shorten_name(finding.payload.name)} as"
        f" well is {format_probability(finding.log10_p)}"
        f"{', which is next to none' * (finding.log10_p < -9)}.{where}"
    )


def describe_geometry(geometry: Geometry) -> str:
    """Says what happened to the picture since it was marked, as far as the mark tells."""
    words = ["a mirrored picture"] * geometry.mirrored + [
        "a picture with red and blue swapped"
    ] * geometry.swapped
    if geometry.cut:
        words.append(f"part of a larger picture{describe_cut(*geometry.cut)}")
    if geometry.size:
        words.append(f"a picture resized from {geometry.size[0]}x{geometry.size[1]}")
    return " and ".join(words) or "it is"


def describe_cut(left: int, top: int) -> str:
    """Says how many pixels were cut off."""
    cut = [
        f"{pixels} {side}"
        for pixels, side in ((left, "at the left"), (top, "at the top"))
        if pixels
    ]
    if not cut:
        return ", cut at the right or at the bottom"
    number, rest = " and ".join(cut).split(" ", 1)
    return f": about {number} {'pixel was' if number == '1' else 'pixels were'} cut off {rest}"


def describe_miss(inspection: Inspection) -> list[str]:
    """Says what it means that no mark was found."""
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


def list_figures(finding: Finding) -> list[str]:
    """Lists one payload's figures, in the order of `HEADINGS`."""
    right = "" if math.isnan(finding.agreement) else f"{finding.agreement:.0%}"
    return [
        shorten_name(finding.payload.name),
        "yes" if finding.detected else "no",
        format_probability(finding.log10_p),
        right,
        describe_geometry(finding.geometry) if finding.detected else "",
        describe_official(finding),
    ]


def describe_official(finding: Finding) -> str:
    """Says what the official decoder makes of it."""
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


def render_verdicts(pictures: Sequence[Picture], letters: Sequence[str], note: str) -> str:
    """Renders a table of the pictures and their verdicts, which shows without a kernel."""
    rows = []
    for picture, letter in list(zip(pictures, letters))[:STILL]:
        glyph, words = VERDICTS[letter]
        ready = letter not in (WAITING, AT_WORK)  # hundreds would take seconds to make now
        verdict = f"{glyph} {words}{describe_verdict(picture)}"
        shown = render_small(picture) if ready else ""
        rows.append([picture.name, shown, verdict, *figures(picture)])
    table = render_table(TITLES, rows, style=CELL) if rows else Markup("")
    more = f" {len(pictures) - STILL:,} more are not shown here." if len(pictures) > STILL else ""
    below = note or "No picture was inspected yet."
    return str(table + Markup("<p>{}{}</p><p>{} {}</p>").format(below, more, A_HIT, A_MISS))


def describe_verdict(picture: Picture) -> str:
    """Adds to the verdict why a picture cannot be read, or which marks it has."""
    if picture.error:
        return f": {picture.error}"
    hits = (
        [finding for finding in picture.inspection.findings if finding.detected]
        if picture.inspection is not None
        else []
    )
    return f": {', '.join(shorten_name(finding.payload.name) for finding in hits)}" if hits else ""


def figures(picture: Picture) -> list[str]:
    """Picks p, what it was found as, and the official answer, for the best payload."""
    best = picture.inspection.best if picture.inspection is not None else None
    return [list_figures(best)[i] for i in (2, 4, 5)] if best is not None else ["", "", ""]


def render_small(picture: Picture) -> str:
    """Renders the picture in small, "" if it cannot be read."""
    try:
        has = picture.source is not None
        return render_image(shrink_picture(picture), picture.name, THUMBNAIL) if has else ""
    except (OSError, ValueError, TypeError):
        return ""
