"""The PNG file of a finished picture: its pixels, its recipe, and what else it carries."""

from __future__ import annotations

import io
import json
import os
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

from ..pictures import SMALL_SIDE, encode_picture, webp_bytes
from ..recipe.request import Recipe
from .infotext import write_infotext

if TYPE_CHECKING:
    from PIL.Image import Image

FORMAT = 1
CHUNK = struct.Struct(">I4s")  # how a chunk of a PNG begins: the size of its content, and its kind
SIGNATURE = b"\x89PNG\r\n\x1a\n"
ENDING = b"\0\0\0\0IEND\xaeB`\x82"  # the last 12 bytes of every whole PNG
ITXT_HEADER = b"sdlab\0\0\0\0\0"  # keyword, not compressed, no language, no translated keyword
THUMBNAIL = b"sdTH"  # a private chunk with a WebP; the H lets who changes the pixels drop it
LATENTS = b"sdLA"  # and one with what was decoded: see `latents`
COMPRESS_LEVEL = 1  # 512x512: 37 ms and 515 kB; level 6, Pillow's own choice: 84 ms and 456 kB
SURROGATE = re.compile("[\ud800-\udfff]")


def embed_record(
    recipe: Recipe,
    image: Image,
    facts: Mapping[str, Any],
    *,
    latents: bytes | None = None,
    hashes: Mapping[str, str] | None = None,
) -> bytes:
    """Writes a PNG that carries its recipe, for sdlab and for A1111, before the pixels.

    Parameters
    ----------
    recipe : Recipe
    image : PIL.Image.Image
        RGB.
    facts : mapping
        What JSON can hold; other values enter as text, and those that are None or NaN are left out.
    latents : bytes, optional
        As `latents.packed` gives them.
    hashes : mapping, optional
        A1111's "Lora hashes" and "TI hashes" of the files that acted.

    Raises
    ------
    TypeError
        The request is not resolved, or the image is not RGB.
    """
    from PIL.PngImagePlugin import PngInfo

    require_finished(recipe, image)
    request = recipe.to_dict()
    known = {name: value for name, value in facts.items() if value is not None and value == value}
    record = {"format": FORMAT, "key": recipe.key, "request": request, "facts": known}
    info = PngInfo()
    info.add(b"iTXt", ITXT_HEADER + encode_json(record))
    text = write_infotext(
        request, str(known.get("sdlab_version", "")), hashes, known.get("inherited")
    )
    info.add_text("parameters", replace_unprintable(text))
    if max(image.size) > SMALL_SIDE:  # reading a large PNG takes a grid ten times as long
        info.add(THUMBNAIL, webp_bytes(image, SMALL_SIDE))
    if latents is not None:
        info.add(LATENTS, latents)
    return encode_picture(image, "PNG", pnginfo=info, compress_level=COMPRESS_LEVEL)


def require_finished(recipe: Recipe, image: Image) -> None:
    """Refuses a request that is not resolved, and what is no picture of RGB."""
    if not isinstance(recipe, Recipe):
        raise TypeError(
            f"a finished picture carries a Recipe, not a {type(recipe).__name__}; call"
            " sdlab.resolve(request) first"
        )
    if getattr(image, "mode", None) != "RGB":
        given = (
            f"a picture of mode {image.mode!r}"
            if hasattr(image, "mode")
            else f"a {type(image).__name__}"
        )
        raise TypeError(
            f"a finished picture is a PIL image of mode 'RGB', not {given}; use"
            " image.convert('RGB') or PIL.Image.fromarray(array)"
        )


def read_thumbnail(path: str | os.PathLike[str]) -> bytes | None:
    """Reads the WebP of at most 128 pixels that a larger PNG of sdlab carries; None in others."""
    return read_chunk(path, THUMBNAIL)


def read_chunk(path: str | os.PathLike[str], wanted: bytes) -> bytes | None:
    """Reads the content of a chunk of that kind before a PNG's pixels; None in other files."""
    with open(path, "rb") as file:
        for kind, size in walk_chunks(file) if file.read(8) == SIGNATURE else ():
            if kind in (wanted, b"IDAT"):
                return file.read(size) if kind == wanted else None
    return None


def walk_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yields the kind and size of each chunk, when the file stands at its content."""
    while len(header := file.read(8)) == 8:
        size, kind = CHUNK.unpack(header)
        end = file.tell() + size + 4
        yield kind, size
        file.seek(end)


def encode_json(record: Mapping[str, Any]) -> bytes:
    """Writes JSON in UTF-8; a lone surrogate, which that cannot hold, stays as JSON's escape."""
    text = json.dumps(
        record,
        ensure_ascii=False,
        allow_nan=False,
        separators=(",", ":"),
        default=lambda value: value.item() if hasattr(value, "item") else str(value),
    )
    return text.encode("utf-8", "backslashreplace")


def replace_unprintable(text: str) -> str:
    """Replaces what a PNG's text and a database cannot hold: NUL and lone surrogates."""
    if text.isascii() and "\0" not in text:  # nearly all
        return text
    return SURROGATE.sub("\ufffd", text).replace("\0", "\ufffd")


def read_record(source: str | os.PathLike[str] | bytes) -> dict[str, Any] | None:
    """Reads what sdlab wrote into a PNG: {"format", "key", "request", "facts"}; None in others.

    The pixels are neither read nor decoded, only stepped over.

    Raises
    ------
    ValueError
        If it is not a PNG, if it is torn (cut off before its end), or if its record is damaged.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _read_record(io.BytesIO(source), f"the {len(source)} bytes given")
    with open(source, "rb") as file:
        return _read_record(file, os.fspath(source))


def _read_record(file: BinaryIO, name: str) -> dict[str, Any] | None:
    if file.read(8) != SIGNATURE:
        raise ValueError(f"{name}: not a PNG, or one that is torn within its first 8 bytes")
    record = None
    for kind, size in walk_chunks(file):
        if kind == b"IEND":
            if file.read(size + 4) == ENDING[8:]:
                return record
            break
        if kind == b"iTXt" and len(data := file.read(size + 4)) == size + 4:
            record = parse_record(data, name) if data.startswith(b"sdlab\0") else record
    raise ValueError(f"{name}: this PNG is torn, it stops before its end")


def parse_record(data: bytes, name: str) -> dict[str, Any]:
    """Reads the record in a chunk's content and checksum, or says that it is damaged."""
    try:
        record = json.loads(data[:-4].removeprefix(ITXT_HEADER))
        kinds = [type(record[part]) for part in ("key", "request", "facts")]
        if kinds == [str, dict, dict] and zlib.crc32(b"iTXt" + data[:-4]) == int.from_bytes(
            data[-4:]
        ):
            return record
    except (ValueError, KeyError, TypeError):
        pass
    raise ValueError(f"{name}: the recipe that sdlab wrote into this PNG is damaged")
