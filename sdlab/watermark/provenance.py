"""Reads all that a file says of its origin, beside the pixels and in their lowest bits."""

from __future__ import annotations

import itertools
import mmap
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .credentials import (
    BOX,
    ELSEWHERE,
    IN_SVG,
    Credential,
    list_claims,
    read_anchors,
    read_credentials,
)
from .kinds import NoPixels, find_mime, open_kind
from .labels import LONGEST, Claim, decode_xmp, find_cloud, read_exif, read_texts, read_xmp
from .opening import load_quietly, open_picture
from .stealth import HEAD, read_stealth, tell_place

MOST_PACKETS = 20  # of XMP in one file
EXIF = re.compile(rb"Exif(?:\0\0|.{4})(?=II\*\0|MM\0\*)", re.DOTALL)
# what a file of several pictures has; only one of them is looked at
FRAMES = {
    "GIF": "frames",
    "PNG": "frames",
    "WEBP": "frames",
    "AVIF": "frames",
    "TIFF": "pages",
    "MPO": "pictures",
    "HEIF": "pictures",
}
PACKED = re.compile(rb"brob(?:Exif|xml |jumb)")  # boxes of JPEG XL


@dataclass(frozen=True)
class Provenance:
    """What a file says of its own origin.

    Every claim is a claim and no proof: anyone can write, change or remove it without touching the
    pixels. Credentials are signed, and then too the signature shows that the file is as it was
    signed, not that what it says is true; a certificate that no trust list knows can be made by
    anyone. A file that says nothing may still come from a model.

    Parameters
    ----------
    claims : tuple of Claim
        What the file says, that which stands in credentials first.
    credentials : tuple of Credential
        What is signed; it may be told that they are kept elsewhere.
    gaps : tuple of str
        What of the file was not read.
    has_file : bool
        Whether there was a file, and not only pixels.
    """

    claims: tuple[Claim, ...] = ()
    credentials: tuple[Credential, ...] = ()
    gaps: tuple[str, ...] = ()
    has_file: bool = True


def read_provenance(
    what: str | os.PathLike[str] | Image.Image | np.ndarray, *, trust_anchors: Any = None
) -> Provenance:
    """Read all that a picture's file says of its origin.

    Of HEIC, JPEG XL and SVG the metadata is read even where the pixels cannot be.

    Parameters
    ----------
    what : path, PIL image or uint8 array
        Pixels alone can say something too, in their lowest bits.
    trust_anchors : path or text, optional
        A PEM file of certificates whose signers are trusted.

    Raises
    ------
    OSError, ValueError, TypeError
        If it cannot be opened, as in `read_pixels`. Damaged pixels and damaged metadata are no
        errors here.
    """
    anchors = read_anchors(trust_anchors)
    if isinstance(what, np.ndarray):
        colours = what.dtype == np.uint8 and what.ndim == 3 and what.shape[2] in (3, 4)
        hidden = read_stealth(what) if colours else None
        return Provenance((hidden,) if hidden else (), has_file=False)
    try:
        with open_picture(what) as image:
            return gather_provenance(image, anchors)
    except NoPixels as error:
        return gather_provenance(error, anchors)


def gather_provenance(image: Image.Image | NoPixels, anchors: str | None = None) -> Provenance:
    """Gather what an open picture says, or a file whose pixels cannot be read."""
    name = image.path if isinstance(image, NoPixels) else getattr(image, "filename", "")
    path = Path(name) if isinstance(name, (str, os.PathLike)) and os.path.isfile(name) else None
    raw = scan_bytes(path) if path and path.stat().st_size else RawFile()
    claims, texts = [], list(raw.xmp)
    exif, hidden = Image.Exif(), None
    if isinstance(image, Image.Image):
        # Pillow raises whatever it runs into; what stands before the damage still counts
        with suppress(Exception):
            load_quietly(image)  # a PNG's texts may follow the pixels
            hidden = find_stealth(image)
        claims, texts = list(read_texts(image.info)), [*decode_xmp(image.info), *texts]
        with suppress(Exception):  # a PNG's own would first decode the pixels, perhaps damaged
            exif = Image.Image.getexif(image)
    elif raw.exif:
        with suppress(Exception):
            exif.load(raw.exif)
    claims += read_exif(exif)
    claims += itertools.chain.from_iterable(map(read_xmp, texts))
    credentials = list(read_signed(path, find_mime(image), raw, texts, anchors))
    signed = itertools.chain.from_iterable(map(list_claims, credentials))
    gaps = ("metadata that is packed (brob)",) * (raw.packed and image.format == "JXL")
    gaps += tell_frames(image, path) if path and isinstance(image, Image.Image) else ()
    claims += [hidden] if hidden else []
    return Provenance(drop_repeats([*signed, *claims]), tuple(credentials), gaps, bool(path))


def tell_frames(image: Image.Image, path: Path) -> tuple[str, ...]:
    """Tell which frame is looked at, where a file has several.

    Pillow goes through a GIF and a TIFF to count them. That would rewind the picture, and drop what
    its owner has drawn on it; so they are counted in the file opened anew.
    """
    frames = 1
    with suppress(Exception):
        if image.format in ("GIF", "TIFF"):
            with open_kind(path) as again:
                frames = getattr(again, "n_frames", 1)
        elif image.format in FRAMES:
            frames = getattr(image, "n_frames", 1)
    if frames < 2:
        return ()
    what = FRAMES[image.format or ""]
    return (f"marks in any of its {frames} {what} but number {image.tell() + 1}",)


def read_signed(
    path: Path | None, kind: str, raw: RawFile, texts: list[str], anchors: str | None
) -> Iterable[Credential]:
    """Read the credentials in a file, and where else some are kept."""
    if path and raw.signed:
        yield read_credentials(path, kind, anchors)
    if address := find_cloud(texts):
        yield Credential(ELSEWHERE, notes=(address,))


def find_stealth(image: Image.Image) -> Claim | None:
    """Find what a text in the lowest bits says."""
    pixels = find_hidden(image)
    return None if pixels is None else read_stealth(pixels)


def find_hidden(image: Image.Image) -> np.ndarray | None:
    """Find pixels that hide a text; most pictures are told from their first columns."""
    if image.mode not in ("RGB", "RGBA"):
        return None
    columns = min(image.width, -(-HEAD * 8 // image.height))
    begins = np.asarray(image.crop((0, 0, columns, image.height)))
    return np.asarray(image) if tell_place(begins) else None


def drop_repeats(claims: list[Claim]) -> tuple[Claim, ...]:
    """Keep the first claim of each kind, program and origin; programs write several texts."""
    first: dict[tuple[str, str, str], Claim] = {}
    for claim in claims:
        first.setdefault((claim.kind, claim.program, claim.origin), claim)
    return tuple(first.values())


@dataclass
class RawFile:
    """What the bytes of a file show, whatever its format."""

    xmp: tuple[str, ...] = ()
    exif: bytes = b""
    signed: bool = False
    packed: bool = False


def scan_bytes(path: Path) -> RawFile:
    """Search a file's bytes for XMP, EXIF and credentials; faster than decoding, in any format."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        exif = EXIF.search(data)
        return RawFile(
            tuple(find_packets(data)),
            data[exif.end() : exif.end() + LONGEST] if exif else b"",
            data.find(BOX) >= 0 or data.find(IN_SVG) >= 0,
            PACKED.search(data) is not None,
        )


def find_packets(data: mmap.mmap) -> Iterable[str]:
    """Find the packets of XMP."""
    at = data.find(b"<rdf:RDF")
    for _ in range(MOST_PACKETS):
        if at < 0:
            return
        end = data.find(b"</rdf:RDF>", at, at + LONGEST)
        yield data[at : end if end >= 0 else at + LONGEST].decode("utf-8", "replace")
        at = data.find(b"<rdf:RDF", at + 1)
