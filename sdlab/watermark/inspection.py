"""What was found out about one picture: figures to compute with, a table, and words."""

from __future__ import annotations

import html
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..errors import shorten_text
from .answer import HIDDEN, Answer, Part, write_answer
from .dwtdct import MIN_AREA
from .payloads import Payload
from .places import Geometry
from .provenance import Provenance
from .reading import Reading

if TYPE_CHECKING:
    import pandas as pd

A_HIT = (
    "A hit is a claim, not a proof: the payloads are public, and anyone can embed them. Some people"
    " put one on their own photographs, so that collectors of training data pass over them."
)
A_MISS = "A miss proves nothing: marks are optional, and strong changes wipe them out."
IN_BRACKETS = re.compile(r" \([^)]*\)")
BY_CALL = "search='all'"  # how a call asks for what widgets have a button for
TOO_SMALL = (
    "Not tested: no mark is written into so few pixels ({0}, less than {1:,}). If this is part of a"
    f" marked picture, or one made smaller, a search may tell: {BY_CALL}."
)
FEW_PIXELS = (
    "No mark was found, and with so few pixels ({}x{}) that is what to expect, marked or not."
)
ADDED = "Anyone can add such a mark."
NEXT_TO_NONE = -9  # log10 of a chance
PIXELS_ALONE = Provenance(has_file=False)
WHO_MARKED = "who put the mark there: anyone can add it, even to a photograph"
WHO_WROTE = "who put that text there, and what it means: anyone can hide one, even in a photograph"
WHETHER_MARKED = "whether {} put the mark there: anyone can add it, even to a photograph"
EXPLAINED = "The recipe in the file explains that mark: by it, {} has put {} there."
UNSEARCHED = f"marks that a crop or another size hides ({BY_CALL} looks for these alone)"
UNMARKED = (
    "whether there was a hidden mark (none was found): many programs write none, and strong changes"
    " wipe them out"
)
SEARCHES = {
    "none": "as it is",
    "crop": "as it is and as if it had been cropped",
    "size": "as it is and as if it had been resized",
    "all": "as it is and as if it had been cropped, resized, turned, mirrored or inverted",
}


@dataclass(frozen=True, eq=False)
class Official:
    """What the official decoder reads, which always reads something; true if it is the payload.

    Attributes
    ----------
    bits : bool array (n_bits,)
    text : str or None
        The same as text, for payloads that are text; unprintable bytes are escaped.
    exact : bool
        Whether that is the payload.
    """

    bits: np.ndarray = field(repr=False)
    text: str | None
    exact: bool

    def __bool__(self) -> bool:
        return self.exact


@dataclass(frozen=True, eq=False)
class Finding:
    """The verdict on one payload.

    Attributes
    ----------
    payload : Payload
    log10_p : float
        Of the chance that a picture without this mark agrees with it as well, corrected for all
        places that were tried, not for the number of payloads. NaN if the picture is too small to
        be tested.
    detected : bool
        Whether that is below the payload's share of the false-positive rate, and by another 100 for
        a place that a search found. What a likelier mark explains is not.
    agreement : float
        Share of the payload's bits that the scores read right, about 0.5 by chance.
    geometry : Geometry
        Where the payload fits best.
    official : Official or None
        What the official decoder reads from the picture as it is.
    tests : int
        Places that were tried.
    like : Payload or None
        The known payload that was looked for, where another text much like it was read.
    was_read : bool
        Whether nobody looked for this payload, and it was read as a text.
    """

    payload: Payload
    log10_p: float
    detected: bool
    agreement: float
    geometry: Geometry
    official: Official | None
    tests: int
    like: Payload | None = None
    was_read: bool = False

    @property
    def p(self) -> float:
        return 10**self.log10_p

    @property
    def tested(self) -> bool:
        return not math.isnan(self.log10_p)


@dataclass(frozen=True, eq=False, repr=False)
class Inspection:
    """What `detect_watermark` found out about one picture.

    Attributes
    ----------
    findings : tuple of Finding
        One a payload, in the order of the payloads; last a text that was read and is none of them.
    small : bool
        Whether the picture has less than 65,536 pixels, the least that the programs mark.
    size : (width, height)
    search : str
    false_positive_rate : float
    provenance : Provenance
        What the file says of its own origin.
    unread : str
        Why the pixels could not be read; "" if they were.
    reading : Reading or None
        The best guess at a text that nobody knows, if one was looked for.
    when : str
        Date and time of the look, as ISO 8601 writes them, where a widget has noted them.
    """

    findings: tuple[Finding, ...]
    small: bool
    size: tuple[int, int]
    search: str
    false_positive_rate: float
    provenance: Provenance = PIXELS_ALONE
    unread: str = ""
    reading: Reading | None = None
    when: str = ""

    @property
    def detected(self) -> bool:
        return any(finding.detected for finding in self.findings)

    def __bool__(self) -> bool:
        """Whether a mark is detected."""
        return self.detected

    @property
    def best(self) -> Finding | None:
        """The detected finding with the least p, or else that with the least; None if untested."""
        tested = [finding for finding in self.findings if finding.tested]
        return min(
            tested, key=lambda finding: (not finding.detected, finding.log10_p), default=None
        )

    @property
    def answer(self) -> Answer:
        """Where the picture comes from, as far as can be told, in four parts."""
        searched = self.detected or self.search != "none" or bool(self.unread)
        gaps = () if searched else (UNSEARCHED,)
        return write_answer(self.provenance, write_hidden(self), gaps)

    @property
    def words(self) -> str:
        """What is known of the picture, in a line, and what is not, in another."""
        return f"{self.answer.known}\n{self.answer.unknown}"

    @property
    def frame(self) -> pd.DataFrame:
        """One row a payload."""
        import pandas as pd

        columns = {
            "payload": [f.payload.name for f in self.findings],
            "detected": [f.detected if f.tested else pd.NA for f in self.findings],
            "log10_p": [f.log10_p for f in self.findings],
            "agreement": [f.agreement for f in self.findings],
            "geometry": [str(f.geometry) if f.detected else None for f in self.findings],
            "official": [None if f.official is None else f.official.text for f in self.findings],
            "exact": [bool(f.official) for f in self.findings],
            "tests": [f.tests for f in self.findings],
        }
        return pd.DataFrame(columns).astype({"detected": "boolean"})

    def _cells(self) -> list[tuple[str, ...]]:
        """Format the rows of the table, the head first."""
        head = ("payload", "found", "p", "bits right", "geometry", "official decoder")
        rows: list[tuple[str, ...]] = [head]
        for f in self.findings:
            official = "" if f.official is None else "exact" if f.official else "wrong"
            right = "" if math.isnan(f.agreement) else f"{f.agreement:.0%}"
            found = "" if not f.tested else "yes" if f.detected else "no"
            p = format_probability(f.log10_p) if f.tested else "not tested"
            geometry = str(f.geometry) if f.detected else ""
            rows.append((shorten_name(f.payload.name), found, p, right, geometry, official))
        return rows

    def __repr__(self) -> str:
        rows = self._cells()
        widths = [max(map(len, column)) for column in zip(*rows)]
        table = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
            for row in rows
        ]
        return "\n".join([repr(self.answer), "", *table]).rstrip()

    def _repr_html_(self) -> str:
        head, *rows = ([html.escape(cell) for cell in row] for row in self._cells())
        lines = [
            "<tr>" + "".join(f"<th style='text-align:left'>{cell}</th>" for cell in head) + "</tr>"
        ]
        for finding, (name, *row) in zip(self.findings, rows):
            weight = " style='font-weight:bold'" if finding.detected else ""
            cells = "".join(f"<td style='text-align:left'>{cell}</td>" for cell in row)
            lines.append(f"<tr{weight}><td>{name}</td>{cells}</tr>")
        return f"{self.answer._repr_html_()}<table>{''.join(lines)}</table>"


def shorten_name(name: str) -> str:
    """Shorten a payload's name to one line of a table."""
    return shorten_text(" ".join(name.split()), 40)


def format_probability(log10_p: float) -> str:
    """Format a probability: 0.03, or 1e-12 for the small ones that no float holds."""
    return f"{10**log10_p:.2g}" if log10_p > -3 else f"1e{math.ceil(log10_p)}"


# What is hidden in the pixels, in words


def write_hidden(inspection: Inspection) -> Part:
    """Say what is hidden in the pixels, by whom, and how sure that is."""
    hits = [finding for finding in inspection.findings if finding.detected]
    makers = [name_maker(hit, inspection.provenance) for hit in hits]
    texts = [
        f"A text stands in the {claim.kind}: the recipe of {claim.program or 'a generator'}."
        for claim in inspection.provenance.claims
        if claim.kind.startswith("lowest")
    ]
    quoted = [c.detail for c in inspection.provenance.claims if c.kind.startswith("lowest")]
    marks = "; ".join(map(describe_mark, hits))
    brief, caveat = "", ""
    if hits:
        unknown = all(hit.like or hit.was_read for hit in hits)
        left = WHO_WROTE if unknown else WHO_MARKED
        told = [*texts, f"Hidden in the pixels: {marks}."]
        briefly = "; ".join(map(name_mark, hits))
        if all(makers):
            left = WHETHER_MARKED.format(makers[0])
            names = " and ".join(shorten_name(hit.payload.name) for hit in hits)
            told.append(EXPLAINED.format(makers[0], names))
            briefly = f"the mark {names}, put there by {makers[0]}, as the recipe in the file says"
        brief = " ".join([*texts, f"Hidden in the pixels: {briefly}.", ADDED])
        details = (*quoted, *map(describe_hit, hits), A_HIT)
    elif inspection.unread:
        told, left = (
            [*texts, f"Not tested for a mark: {inspection.unread}."],
            "whether it is marked",
        )
        details = tuple(quoted)
    elif inspection.best is None:
        small = TOO_SMALL.format(f"{inspection.size[0]}x{inspection.size[1]}", MIN_AREA)
        told, left, details = [*texts, small], "whether it is marked", tuple(quoted)
    else:
        told, left = [*texts, "No mark found."], "; ".join([*[WHO_WROTE] * bool(texts), UNMARKED])
        details = (*quoted, describe_miss(inspection), A_MISS)
        caveat = FEW_PIXELS.format(*inspection.size) * inspection.small
    known = bool(hits or texts)
    return Part(HIDDEN, " ".join(told), known, left, details, brief=brief, caveat=caveat)


def name_maker(finding: Finding, provenance: Provenance) -> str:
    """Name the program whose recipe in the file says that it hid this mark; "" if none does."""
    known = (finding.payload.name, finding.payload.text)
    return next((c.program for c in provenance.claims if c.mark and c.mark in known), "")


def describe_mark(finding: Finding) -> str:
    """Name a mark, who writes it, and the chance that it is none."""
    also = ", and which people put on their own pictures, too, with {}, to keep them from training"
    protects = finding.payload.protects
    never = "not" if finding.log10_p < NEXT_TO_NONE else "hardly"
    sure = (
        f"{never} there by accident, the chance is {say_chance(finding.log10_p)}; that does not"
        " show what made the picture"
    )
    who = name_mark(finding, whole=True)
    return f"{who}{also.format(protects) * bool(protects)} ({sure})"


def name_mark(finding: Finding, whole: bool = False) -> str:
    """Name a mark and who writes it, of which what stands in brackets is part of the whole."""
    payload = finding.payload
    name = f"the mark {shorten_name(payload.name)}"
    if finding.like is not None:
        name = f"a text like that of {shorten_name(finding.like.name)}, {payload.name!r}"
    elif finding.was_read:
        name = f"the text {shorten_name(payload.text or payload.name)!r}"
    writer = payload.written_by if whole else IN_BRACKETS.sub("", payload.written_by)
    who = f", which is written by {writer}" if writer else ""
    if (finding.like or finding.was_read) and not who:
        who = ", whose writer is not known"
    return f"{name}{who}"


def say_chance(log10_p: float) -> str:
    """Say a chance: "1 in 20", or "1 in 10^12" of the small ones."""
    digits = -math.ceil(log10_p)
    return f"1 in 10^{digits}" if digits > 6 else f"1 in {int(10**-log10_p):,}"


def describe_hit(finding: Finding) -> str:
    """Say how sure it is that a mark is there."""
    plain, payload = str(finding.geometry) == "as is", finding.payload
    where = "" if plain else f" It was found as {describe_geometry(finding.geometry)}."
    if finding.was_read or finding.like:
        where += " Single letters may be misread."
    elif payload.text and finding.agreement < 1:
        where += (
            f" A mark is there, and {finding.agreement:.0%} of its bits are those of this text:"
            " cutting and saving anew cost some, and a text that differs in few letters reads"
            " alike."
        )
    return (
        f"The chance that an unmarked picture agrees with {shorten_name(payload.name)} as"
        f" well is {format_probability(finding.log10_p)}"
        f"{', which is next to none' * (finding.log10_p < NEXT_TO_NONE)}.{where}"
    )


def describe_geometry(geometry: Geometry) -> str:
    """Say what happened to the picture since it was marked, as far as the mark tells."""
    swapped = "a picture with red and blue swapped, or marked by a program that swaps them"
    if geometry.swapped_by:
        swapped = f"written in the channel order of {geometry.swapped_by}"
    words = ["a mirrored picture"] * geometry.mirrored + [swapped] * geometry.swapped
    words += ["a negative"] * geometry.inverted
    if geometry.turned:
        words.append(f"a picture turned by {geometry.turned} degrees to the left")
    if geometry.page:
        words.append(describe_page(*geometry.page[:2], geometry.cut))
    elif geometry.cut:
        cut = describe_cut(*geometry.cut)
        words.append(f"part of a larger picture{cut}, by the likeliest of several readings")
    if geometry.size:
        words.append(f"a picture resized from {geometry.size[0]}x{geometry.size[1]}")
    return " and ".join(words) or "it is"


def describe_page(left: int, top: int, cut: tuple[int, int] | None) -> str:
    """Say where the picture begins on a page or in a frame, and what else may have been done."""
    if left or top:
        where = f"about {left} {'pixel' if left == 1 else 'pixels'} from the left and {top} from"
        where += " the top"
    else:
        where = "at the upper left corner"
    other = f" (or, less likely, as part of a larger one{describe_cut(*cut)})" if cut else ""
    return (
        f"a picture that stands inside this one, as on a page or in a frame, and begins {where}"
        f"{other}"
    )


def describe_cut(left: int, top: int) -> str:
    """Say how many pixels were cut off."""
    cut = [
        f"{pixels} {side}"
        for pixels, side in ((left, "at the left"), (top, "at the top"))
        if pixels
    ]
    if not cut:
        return ", cut at the right or at the bottom"
    number, rest = " and ".join(cut).split(" ", 1)
    return f": about {number} {'pixel was' if number == '1' else 'pixels were'} cut off {rest}"


def describe_miss(inspection: Inspection) -> str:
    """Say how it was looked at without finding a mark."""
    few = " With so few pixels that is what to expect, marked or not." if inspection.small else ""
    return f"It was looked at {SEARCHES[inspection.search]}.{few}{describe_reading(inspection)}"


def describe_reading(inspection: Inspection) -> str:
    """Say whether a text could be read that nobody looks for."""
    reading = inspection.reading
    if reading is None:
        return ""
    if reading.convincing:
        text, chance = shorten_name(reading.text), format_probability(reading.log10_p)
        return f" It seems to spell {text!r} (p {chance}), which is not certain enough."
    return " Nor could any other text be read, one that is not in the list."
