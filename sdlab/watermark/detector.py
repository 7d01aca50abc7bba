"""Whether a picture carries a known watermark, how sure that is, and what an unknown one may be."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Any

import numpy as np

from . import search as places
from .credentials import read_anchors
from .dwtdct import MIN_AREA, count_votes, decide_bits, read_blocks, require_area, split_bands
from .inspection import Finding, Inspection, Official
from .kinds import NoPixels
from .opening import convert_image, open_picture, read_pixels
from .payloads import ARITHMETICS, PAYLOADS, Payload, find_payload, pack_bits, require_known
from .provenance import Provenance, gather_provenance, read_provenance
from .scores import make_planes, score_blocks
from .search import AS_IS, Geometry, Place, Progress
from .statistics import (
    FLOOR,
    LEAST_GAIN,
    NOTHING,
    compute_spectra,
    find_points,
    read_bits,
    require_testable,
)

MIRRORED, SWAPPED = Geometry(mirrored=True), Geometry(swapped=True)
SHARES = {  # of the error, for each way to look; a search looks at the picture as it is, too
    "none": {"as is": 1.0},
    "crop": {"as is": 0.5, "cut": 0.5},
    "size": {"as is": 0.5, "size": 0.5},
    "all": {"as is": 0.5, "mirrored": 0.05, "swapped": 0.05, "size": 0.2, "cut": 0.2},
}
LENGTHS = range(16, 401, 8)  # bits; whole bytes
# BIC; unmarked pictures with vertical edges or patterns go below, but do not spell a text
CONVINCING = -1000
EASY = 32, 127  # printable ASCII
STRICTER = 100  # a searched hit must be so many times less likely by chance


def detect_watermark(
    image: Any,
    payloads: Any = PAYLOADS,
    *,
    search: str = "none",
    false_positive_rate: float = 1e-6,
    trust_anchors: Any = None,
    progress: Progress | None = None,
) -> Inspection:
    """Tell where a picture comes from: what it says, what is signed, and what is hidden in it.

    Printed, the answer has two lines that sum it up and four short parts. In the pixels it tests
    for invisible `dwtDct` watermarks whose payload is known.

    Parameters
    ----------
    image : path, PIL image or uint8 array (H, W, 3)
        RGB.
    payloads : names, texts, bytes or Payloads, one or several, or a mapping {name: payload}
        All known ones by default.
    search : {"none", "crop", "size", "all"}
        "none" takes the picture as it is. "crop" also looks wherever it may have been cut out of a
        larger one, "size" at the sizes it may have been resized from, "all" does both and also
        looks at it mirrored and with red and blue swapped (diffusers wrote SDXL's mark so before
        2024-02). A picture that was both cut and resized is not found. One that was turned or
        pasted into a larger one may be, "as if cut".
    false_positive_rate : float
        Chance that a picture without a mark is called marked, above 0 and at most 0.1. All payloads
        share it; for a place that a search found it is 100 times less.
    trust_anchors : path or text, optional
        A PEM file of the certificates whose signatures (C2PA) are to be trusted. Without it every
        signature is checked against the file, and no signer against anything.
    progress : callable, optional
        Called with what is searched ("cut" or "size") and the share of it that is done.

    Raises
    ------
    TypeError, ValueError, OSError
        For arguments that are not allowed, and for an image that cannot be read. Of HEIC and
        JPEG XL without their extras, and of SVG, the file's own account is told all the same.

    Examples
    --------
    >>> detect_watermark("picture.png").detected
    False
    """
    known = name_payloads(payloads)
    require_search(search, false_positive_rate)
    if progress is not None and not callable(progress):
        raise TypeError(
            f"progress={progress!r} is no function; it is called with what is searched and the"
            " share that is done"
        )
    for payload in known.values():
        require_testable(payload)
    anchors = read_anchors(trust_anchors)
    try:
        pixels, provenance = read_picture(image, anchors)
    except NoPixels as error:
        untested = tuple(_judge_payload(payload, None, None, 0.0) for payload in known.values())
        told = gather_provenance(error, anchors)
        return Inspection(
            untested, False, (0, 0), search, float(false_positive_rate), told, error.why
        )
    height, width = pixels.shape[:2]
    small = height * width < MIN_AREA
    found = {} if small and search == "none" else _find_places(pixels, known, search, progress)
    official = {} if small else read_official(pixels, known)
    limit = math.log10(false_positive_rate / len(known))
    findings = tuple(
        _judge_payload(p, found.get(name), official.get(name), limit) for name, p in known.items()
    )
    return Inspection(
        findings, small, (width, height), search, float(false_positive_rate), provenance
    )


def read_picture(image: Any, anchors: str | None = None) -> tuple[np.ndarray, Provenance]:
    """Read the pixels, and what the file says; damaged pixels are an error."""
    if isinstance(image, np.ndarray):
        return read_pixels(image), read_provenance(image)
    with open_picture(image) as picture:  # in this order: metadata may follow the pixels
        return convert_image(picture), gather_provenance(picture, anchors)


def require_search(search: str, false_positive_rate: float) -> None:
    """Refuse a search or a false-positive rate that is not possible."""
    require_known("search", search, SHARES)
    if isinstance(false_positive_rate, bool) or not isinstance(false_positive_rate, Real):
        raise TypeError(
            f"false_positive_rate={false_positive_rate!r} is no number; 1e-6 is one in a million"
            " pictures"
        )
    if not 0 < false_positive_rate <= 0.1:
        raise ValueError(
            f"false_positive_rate={false_positive_rate!r} is not above 0 and at most 0.1; "
            "1e-6 is one in a million pictures"
        )


def name_payloads(payloads: Any) -> dict[str, Payload]:
    """List the payloads by the names under which they are reported."""
    if isinstance(payloads, Mapping):
        under = {str(name): find_payload(what) for name, what in payloads.items()}
        given = [p if p.name == name else replace(p, name=name) for name, p in under.items()]
    else:
        one = isinstance(payloads, (str, bytes, bytearray, Payload))
        several = not one and isinstance(payloads, Iterable)
        given = [find_payload(what) for what in (payloads if several else [payloads])]
    known = {payload.name: payload for payload in given}
    if twice := [p.name for p in given if known[p.name].bits.tobytes() != p.bits.tobytes()]:
        raise ValueError(
            f"two different payloads are named {twice[0]!r}; a mapping gives them names of"
            " their own"
        )
    if not known:
        raise ValueError(
            f"there are no payloads to test for; give names ({', '.join(PAYLOADS)}), texts or bytes"
        )
    return known


def _find_places(
    pixels: np.ndarray, payloads: dict[str, Payload], search: str, progress: Progress | None
) -> dict[str, Place]:
    """Find the best place of every payload, its p corrected for all that were tried."""
    ways = {
        "as is": lambda: places.place_as_is(pixels, payloads),
        "mirrored": lambda: places.place_as_is(pixels, payloads, MIRRORED),
        "swapped": lambda: places.place_as_is(pixels, payloads, SWAPPED),
        "cut": lambda: places.place_cut(pixels, payloads, progress),
        "size": lambda: places.place_resized(pixels, payloads, progress),
    }
    found: dict[str, list[Place]] = {name: [] for name in payloads}
    for way, share in SHARES[search].items():
        for name, place in ways[way]().items():
            found[name].append(place.with_share(share))
    return {name: _choose_place(tried) for name, tried in found.items() if tried}


def _choose_place(tried: list[Place]) -> Place:  # the first whose p is the least or nearly so
    least = min(place.log10_p for place in tried)
    place = next(place for place in tried if place.log10_p <= places.NEARLY * least)
    return replace(place, tests=sum(place.tests for place in tried))


def _judge_payload(
    payload: Payload, place: Place | None, official: Official | None, limit: float
) -> Finding:
    """Compare a payload's p with the limit, which is stricter for a place that was searched."""
    place = place or Place(math.nan, AS_IS, math.nan, 0)
    limit -= 0 if place.geometry == AS_IS else math.log10(STRICTER)
    found = place.log10_p < limit
    where = place.agreement, place.geometry, official, place.tests
    return Finding(payload, place.log10_p, found, *where)


def read_official(pixels: np.ndarray, payloads: dict[str, Payload]) -> dict[str, Official]:
    """Read what the official decoder reads for each payload: always in uint8, and in parts."""
    blocks = np.concatenate([read_blocks(band, "uint8") for band in split_bands(pixels)])
    return {
        name: _make_official(decide_bits(count_votes(blocks, len(p))), p)
        for name, p in payloads.items()
    }


def _make_official(bits: np.ndarray, payload: Payload) -> Official:
    text = pack_bits(bits).decode("ascii", "backslashreplace") if payload.text is not None else None
    return Official(bits, text, bool((bits == payload.bits).all()))


# A payload that nobody told us


@dataclass(frozen=True, eq=False)
class Reading:
    """What an unknown payload may be: a clue, not a test.

    Attributes
    ----------
    bits : bool array (n_bits,)
        Repeats are left out: SDV2SDV2 is SDV2.
    text : str
        The bytes of the bits as ASCII, unprintable ones escaped.
    bic : float
        The Bayesian information criterion of "a payload of this length" less that of "no payload".
    convincing : bool
        Whether that is far below 0 and the bytes are printable text of at least three letters.
        Pictures with edges and patterns can do the first, but hardly the second. A mark of bits
        that spell nothing, like SDXL's, is not convincing either.
    """

    bits: np.ndarray = field(repr=False)
    text: str
    bic: float
    convincing: bool

    def __repr__(self) -> str:
        if self.convincing:
            return (
                f"The payload reads {self.text!r}, {len(self.bits)} bits (BIC {self.bic:.0f}). A"
                " clue, not a test."
            )
        return (
            f"Nothing convincing; the best guess is {len(self.bits)} bits,"
            f" {''.join(str(int(bit)) for bit in self.bits)} (BIC {self.bic:.0f})."
        )


def read_unknown(image: Any, lengths: Iterable[int] = LENGTHS) -> Reading:
    """Guess the payload of a picture that was neither cut nor resized.

    For every length it compares "each bit has its own mean score" with "no mark" and takes the
    length with the least BIC.

    Parameters
    ----------
    image : path, PIL image or uint8 array (H, W, 3)
        RGB; at least 65,536 pixels.
    lengths : ints
        In bits, 8 to 1000. Whole bytes are searched by default, since most payloads are texts.

    Raises
    ------
    TypeError, ValueError, OSError
        For an image that cannot be read or is too small, and for impossible lengths.
    """
    pixels = require_area(read_pixels(image))
    width = pixels.shape[1]
    lengths = [lengths] if isinstance(lengths, int) else list(lengths)
    if not lengths or any(int(n) != n or not 8 <= n <= 1000 for n in lengths):
        raise ValueError(f"lengths={lengths!r:.60} are not whole numbers from 8 to 1000")
    top, band = places.take_middle_rows(pixels)
    grids = [np.asarray(score_blocks(make_planes(band, a), a), float) for a in ARITHMETICS]
    bic, n_bits, i = min(
        (compute_bic(grid, n), n, i)
        for i, grid in enumerate(grids)
        for n in sorted({int(n) for n in lengths})
    )
    bits = drop_repeats(read_bits(grids[i], n_bits, width // 8, -(width // 8) * (top // 8)))
    raw = pack_bits(bits)
    printable = len(bits) % 8 == 0 and all(EASY[0] <= byte < EASY[1] for byte in raw)
    printable &= len(set(raw)) >= 3  # stripes spell single letters, and repeat them
    return Reading(
        bits, raw.decode("ascii", "backslashreplace"), bic, bic < CONVINCING and printable
    )


def compute_bic(grid: np.ndarray, n_bits: int) -> float:
    """Compute the BIC of a payload of n_bits bits less that of none; both with white noise."""
    power = float((grid**2).mean())
    if power < NOTHING or grid.size < 2 * n_bits:
        return math.inf
    points = find_points(n_bits, (grid.shape[1] % n_bits,), False)
    gain = points.gain[0]
    counts = points.weight * (gain > LEAST_GAIN) / (gain**2 + FLOOR)
    explained = (
        counts * np.abs(compute_spectra(grid, n_bits, (grid.shape[1] % n_bits,))[0]) ** 2
    ).sum() / (power * grid.size)
    return grid.size * math.log(max(1 - explained, 1e-6)) + n_bits * math.log(grid.size)


def drop_repeats(bits: np.ndarray) -> np.ndarray:
    """Find the shortest piece of at least 8 bits that the bits repeat."""
    pieces = (bits[:n] for n in range(8, len(bits) + 1) if len(bits) % n == 0)
    return next((piece for piece in pieces if (bits.reshape(-1, len(piece)) == piece).all()), bits)
