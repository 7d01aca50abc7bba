"""What was found out about one picture: figures to compute with, a table, and words."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from .dwtdct import MIN_AREA
from .payloads import Payload
from .provenance import Mark
from .search import Geometry

if TYPE_CHECKING:
    import pandas as pd

A_HIT = "A hit is a claim, not a proof: the payloads are public, and anyone can embed them."
A_MISS = "A miss proves nothing: marks are optional, and strong changes wipe them out."
TOO_SMALL = (
    "Not tested: no mark is written into so few pixels ({0}, less than {1:,}). If this is part of a"
    " marked picture, or one made smaller, a search may tell: search='all'."
)


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
        Whether that is below the false-positive rate, divided by the number of payloads, and by
        another 100 for a place that a search found.
    agreement : float
        Share of the payload's bits that the scores read right, about 0.5 by chance.
    geometry : Geometry
        Where the payload fits best.
    official : Official or None
        What the official decoder reads from the picture as it is.
    tests : int
        Places that were tried.
    """

    payload: Payload
    log10_p: float
    detected: bool
    agreement: float
    geometry: Geometry
    official: Official | None
    tests: int

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
        One a payload, in the order of the payloads.
    small : bool
        Whether the picture has less than 65,536 pixels, the least that the programs mark.
    size : (width, height)
    search : str
    false_positive_rate : float
    provenance : tuple of Mark
        What the file's metadata claims about its origin.
    """

    findings: tuple[Finding, ...]
    small: bool
    size: tuple[int, int]
    search: str
    false_positive_rate: float
    provenance: tuple[Mark, ...] = ()

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
    def words(self) -> str:
        """The verdict in a sentence or three."""
        width, height = self.size
        if self.small and self.search == "none":
            return TOO_SMALL.format(f"{width}x{height}", MIN_AREA)
        hits = [finding for finding in self.findings if finding.detected]
        found = "; ".join(
            f"{shorten_name(f.payload.name)} ({f.geometry}), p {format_probability(f.log10_p)}"
            for f in hits
        )
        if not hits:
            few = f" With {width}x{height} pixels that is what to expect, marked or not."
            return f"No mark found.{few * self.small} {A_MISS}"
        return (
            f"Marked: {found}. {A_HIT} Chance of a false alarm: {self.false_positive_rate:g} a"
            " picture."
        )

    @property
    def frame(self) -> pd.DataFrame:
        """One row a payload."""
        import pandas as pd

        columns = {
            "payload": [f.payload.name for f in self.findings],
            "detected": [f.detected if f.tested else pd.NA for f in self.findings],
            "log10_p": [f.log10_p for f in self.findings],
            "agreement": [f.agreement for f in self.findings],
            "geometry": [str(f.geometry) if f.tested else None for f in self.findings],
            "official": [None if f.official is None else f.official.text for f in self.findings],
            "exact": [bool(f.official) for f in self.findings],
            "tests": [f.tests for f in self.findings],
        }
        return pd.DataFrame(columns).astype({"detected": "boolean"})

    def _tell_origin(self) -> str:
        return f"The file says: {'; '.join(map(str, self.provenance))}" if self.provenance else ""

    def _cells(self) -> list[tuple[str, ...]]:
        """Format the rows of the table, the head first."""
        head = ("payload", "found", "p", "bits right", "geometry", "official decoder")
        rows: list[tuple[str, ...]] = [head]
        for f in self.findings:
            official = "" if f.official is None else "exact" if f.official else "wrong"
            right = "" if math.isnan(f.agreement) else f"{f.agreement:.0%}"
            found = "" if not f.tested else "yes" if f.detected else "no"
            p = format_probability(f.log10_p) if f.tested else "not tested"
            geometry = str(f.geometry) if f.tested else ""
            rows.append((shorten_name(f.payload.name), found, p, right, geometry, official))
        return rows

    def __repr__(self) -> str:
        rows = self._cells()
        widths = [max(map(len, column)) for column in zip(*rows)]
        table = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
            for row in rows
        ]
        return "\n".join([self.words, "", *table, f"\n{self._tell_origin()}"]).rstrip()

    def _repr_html_(self) -> str:
        head, *rows = ([html.escape(cell) for cell in row] for row in self._cells())
        lines = [
            "<tr>" + "".join(f"<th style='text-align:left'>{cell}</th>" for cell in head) + "</tr>"
        ]
        for finding, (name, *row) in zip(self.findings, rows):
            weight = " style='font-weight:bold'" if finding.detected else ""
            cells = "".join(f"<td style='text-align:left'>{cell}</td>" for cell in row)
            lines.append(f"<tr{weight}><td>{name}</td>{cells}</tr>")
        origin = f"<p>{html.escape(self._tell_origin())}</p>" if self.provenance else ""
        return f"<p>{html.escape(self.words)}</p><table>{''.join(lines)}</table>{origin}"


def shorten_name(name: str) -> str:
    """Shorten a payload's name to one line of a table."""
    name = " ".join(name.split())
    return name if len(name) <= 40 else f"{name[:39]}…"


def format_probability(log10_p: float) -> str:
    """Format a probability: 0.03, or 1e-12 for the small ones that no float holds."""
    return f"{10**log10_p:.2g}" if log10_p > -3 else f"1e{math.ceil(log10_p)}"
