"""Whether a picture carries a known watermark, and how sure that is."""

from __future__ import annotations

import functools
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
from .payloads import (
    EVERYDAY,
    OTHER_ORDER,
    PAYLOADS,
    SETS,
    Payload,
    Way,
    encode_text,
    find_payload,
    find_writer,
    pack_bits,
    require_known,
)
from .places import AS_IS, Blocks, Geometry, Place
from .provenance import Provenance, gather_provenance, read_provenance
from .reading import WAYS, Reading, read_likeness, read_scored
from .search import Progress, ignore_progress
from .statistics import require_testable

SHARES = {  # of the error, for each way to look; a search looks at the picture as it is, too
    "none": {"as is": 1.0},
    "crop": {"as is": 0.5, "cut": 0.5},
    "size": {"as is": 0.5, "size": 0.5},
    "all": {
        "as is": 0.5,
        "mirrored": 0.05,
        "swapped": 0.05,
        "turned by 90": 0.02,
        "turned by 180": 0.02,
        "turned by 270": 0.02,
        "inverted": 0.02,
        "size": 0.14,
        "both": 0.04,
        "cut": 0.14,
    },
}
MOVES = {
    "mirrored": Geometry(mirrored=True),
    "swapped": Geometry(swapped=True),
    "inverted": Geometry(inverted=True),
    **{f"turned by {degrees}": Geometry(turned=degrees) for degrees in (90, 180, 270)},
}
STRICTER = 100  # a searched hit must be so many times less likely by chance
UNKNOWN = 2.0  # weight of all texts that nobody knows, beside `Payload.weight`


def detect_watermark(
    image: Any,
    payloads: Any = "everyday",
    *,
    search: str = "none",
    false_positive_rate: float = 1e-6,
    trust_anchors: Any = None,
    progress: Progress | None = None,
) -> Inspection:
    """Tell where a picture comes from: what it says, what is signed, and what is hidden in it.

    Printed, the answer has two lines that sum it up and four short parts. In the pixels it tests
    for invisible watermarks (`dwtDct`, `dwtDctSvd`) whose payload is known, each in the arithmetic
    and the order of channels of its program. If it finds none it tries to read a text that nobody
    knows, as `read_unknown` does.

    Parameters
    ----------
    image : path, PIL image or uint8 array (H, W, 3)
        RGB. Of a file with several frames or pages the first is looked at (of a PIL image, the
        current one), which the answer says.
    payloads : names, texts, bytes or Payloads, one or several, or a mapping {name: payload}
        "everyday" are those of `PAYLOADS` that are met most, "all" are all of them. Unknown texts
        are read with either, and not where other payloads are named.
    search : {"none", "crop", "size", "all"}
        "none" takes the picture as it is. "crop" also looks wherever it may have been cut out of a
        larger one, "size" at the sizes it may have been resized from. "all" does both, looks at it
        mirrored, turned by quarters, inverted and with red and blue swapped, and for the common
        payloads as if it had been cut and then resized by a usual factor. (SDXL's mark is looked
        for in both orders always: diffusers swapped them before 2024-02.) One that was pasted into
        a larger picture may be found, "of a page".
    false_positive_rate : float
        Chance that a picture without a mark is called marked, above 0 and at most 0.1. All payloads
        share it, by how common they are (`Payload.weight`); for a place that a search found it is
        100 times less.
    trust_anchors : path or text, optional
        A PEM file of the certificates whose signatures (C2PA) are to be trusted. Without it every
        signature is checked against the file, and no signer against anything.
    progress : callable, optional
        Called with how it is looked at ("as is", "cut", "size", "both" and other keys of `SHARES`)
        and the share of that which is done, about each half second; what it raises ends the search.

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
    progress = progress or ignore_progress
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
    findings, reading = _judge_pixels(pixels, known, search, false_positive_rate, progress)
    rate = float(false_positive_rate)
    return Inspection(findings, small, (width, height), search, rate, provenance, reading=reading)


def _judge_pixels(
    pixels: np.ndarray, known: dict[str, Payload], search: str, rate: float, progress: Progress
) -> tuple[tuple[Finding, ...], Reading | None]:
    """Judge every payload, and read what nobody knows if none of the everyday ones is found."""
    notice = functools.partial(progress, "as is", 0.0)
    notice()
    pixels = places.separate_channels(pixels)
    small = pixels.shape[0] * pixels.shape[1] < MIN_AREA
    reads = not small and EVERYDAY.keys() <= known.keys()
    scored = (
        {}
        if small and search == "none"
        else places.score_as_is(pixels, places.list_all_ways(known), notice=notice)
    )
    official = {} if small else read_official(pixels, known)
    found = _find_places(pixels, scored, known, search, progress) if scored else {}
    total = sum(payload.weight for payload in known.values()) + UNKNOWN * reads
    findings = {
        name: _judge_payload(
            p, found.get(name), official.get(name), math.log10(rate * p.weight / total)
        )
        for name, p in known.items()
    }
    findings = settle_likenesses(findings, found)
    if not reads or any(finding.detected for finding in findings.values()):
        return tuple(findings.values()), None
    missing = places.score_as_is(pixels, [way for way in WAYS if way not in scored])
    reading = read_scored({way: (scored | missing)[way] for way in WAYS})
    if reading.convincing and reading.log10_p < math.log10(rate * UNKNOWN / total):
        payload = name_reading(reading)
        findings[payload.name] = _judge_reading(reading, payload, pixels)
    return tuple(findings.values()), reading


def settle_likenesses(findings: dict[str, Finding], found: dict[str, Place]) -> dict[str, Finding]:
    """Keep what no likelier mark explains, and name it by what is read where that is another text.

    A mark looks like others of its length, like shorter ones that fit into it, and like texts that
    begin alike.
    """
    settled, kept = dict(findings), list[str]()
    for name in sorted(findings, key=lambda name: findings[name].log10_p):
        finding = findings[name]
        if not finding.detected:
            continue
        if any(_explains(findings[other], found[other], finding, found[name]) for other in kept):
            settled[name] = replace(finding, detected=False)
            continue
        kept.append(name)
        if text := read_likeness(finding.payload, found[name].blocks):
            payload = replace(_make_own(text, finding.payload.way), weight=finding.payload.weight)
            bits = finding.official and _make_official(finding.official.bits, payload)
            settled[name] = replace(
                finding, payload=payload, official=bits, agreement=1.0, like=finding.payload
            )
    return settled


def _explains(likelier: Finding, there: Place, finding: Finding, place: Place) -> bool:
    """Tell whether most of the evidence for a mark is gone with what a likelier one explains."""
    lengths = len(likelier.payload), len(finding.payload)
    if max(lengths) % min(lengths) == 0:
        return True
    here, other = place.blocks, there.blocks
    if here is None or other is None or here.scores.shape != other.scores.shape:
        return False
    return here.without(other, lengths[0]).weigh(finding.payload) > finding.log10_p / 2


def name_reading(reading: Reading) -> Payload:
    """Make the payload of a text that was read, the known one if its program writes it so."""
    same = (p for p in PAYLOADS.values() if p.text == reading.text)
    known = [p for p in same if p.method == reading.way.method]
    return known[0] if known else _make_own(reading.text, reading.way)


def _make_own(text: str, way: Way) -> Payload:
    return Payload(
        text, encode_text(text), text=text, written_by=find_writer(text, way), **way._asdict()
    )


def _judge_reading(reading: Reading, payload: Payload, pixels: np.ndarray) -> Finding:
    official = read_official(pixels, {payload.name: payload})[payload.name]
    swapped = Geometry(swapped=reading.way.order != payload.order)
    return Finding(
        payload, reading.log10_p, True, 1.0, swapped, official, reading.tests, was_read=True
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
    if isinstance(payloads, str) and payloads in SETS:
        return dict(SETS[payloads])
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
    pixels: np.ndarray,
    scored: dict[Way, Blocks],
    payloads: dict[str, Payload],
    search: str,
    progress: Progress,
) -> dict[str, Place]:
    """Find the best place of every payload, its p corrected for all that were tried."""

    def place_changed(move: str) -> dict[str, Place]:
        geometry, notice = MOVES[move], functools.partial(progress, move, 0.0)
        left = {  # what the picture as it is was not tested for
            name: payload
            for name, payload in payloads.items()
            if not geometry.swapped
            or payload.way._replace(order=OTHER_ORDER[payload.order]) not in payload.ways
        }
        ways = [way for p in left.values() for way, *_ in places.list_ways(p, geometry)]
        again = places.score_as_is(pixels, ways, geometry, notice)
        return places.place_as_is(again, left, geometry)

    searches = {
        "cut": places.place_cut,
        "size": places.place_resized,
        "both": places.place_cut_resized,
    }
    found: dict[str, list[Place]] = {name: [] for name in payloads}
    for way, share in SHARES[search].items():
        if way == "as is":
            placed = places.place_as_is(scored, payloads)
        elif way in MOVES:
            placed = place_changed(way)
        else:
            placed = searches[way](pixels, payloads, progress)
        for name, place in placed.items():
            found[name].append(place.with_share(share))
        progress(way, 1.0)
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
    limit -= 0 if place.geometry.is_plain else math.log10(STRICTER)
    found = place.log10_p < limit
    where = place.agreement, place.geometry, official, place.tests
    return Finding(payload, place.log10_p, found, *where)


def read_official(pixels: np.ndarray, payloads: dict[str, Payload]) -> dict[str, Official]:
    """Read what the official decoder reads for each payload: always in uint8, and in parts."""
    ways = {payload.way[1:] for payload in payloads.values()}
    blocks = {
        way: np.concatenate([read_blocks(band, "uint8", *way) for band in split_bands(pixels)])
        for way in ways
    }
    return {
        name: _make_official(decide_bits(count_votes(blocks[p.way[1:]], len(p))), p)
        for name, p in payloads.items()
    }


def _make_official(bits: np.ndarray, payload: Payload) -> Official:
    text = pack_bits(bits).decode("ascii", "backslashreplace") if payload.text is not None else None
    return Official(bits, text, bool((bits == payload.bits).all()))
