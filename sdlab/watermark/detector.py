"""Whether a picture carries a known watermark, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from numbers import Real
from typing import Any

import numpy as np

from . import search as places
from .credentials import read_anchors
from .dwtdct import MIN_AREA, count_votes, decide_bits, read_blocks, split_bands
from .inspection import Finding, Inspection, Official
from .kinds import NoPixels
from .opening import convert_image, open_picture, read_pixels
from .payloads import PAYLOADS, Payload, find_payload, pack_bits, require_known
from .provenance import Provenance, gather_provenance, read_provenance
from .search import AS_IS, Geometry, Place, Progress
from .statistics import require_testable

MIRRORED, SWAPPED = Geometry(mirrored=True), Geometry(swapped=True)
SHARES = {  # of the error, for each way to look; a search looks at the picture as it is, too
    "none": {"as is": 1.0},
    "crop": {"as is": 0.5, "cut": 0.5},
    "size": {"as is": 0.5, "size": 0.5},
    "all": {"as is": 0.5, "mirrored": 0.05, "swapped": 0.05, "size": 0.2, "cut": 0.2},
}
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
