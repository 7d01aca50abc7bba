"""The texts in a picture's file, wherever programs put them; the pixels are left alone if possible.

The texts of a PNG are found without Pillow, which would make a decoder first: folders are large.
"""

from __future__ import annotations

import io
import os
import re
import struct
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

from ..png import ENDING, SIGNATURE, walk_chunks

if TYPE_CHECKING:
    from PIL import Image

MOST = 4_000_000  # bytes of a text that are read; graphs of ComfyUI have up to some 500,000
MOST_TEXTS = 1_000  # of one file
HEAD = 8_192  # bytes that are read at once, in which the texts of most files end
TORN = "this PNG is torn, it stops before its end"
EXIF_NAMED = re.compile(r"(prompt|workflow):\s*(?=\{)", re.IGNORECASE)  # as ComfyUI writes
READING = os.O_RDONLY | getattr(os, "O_BINARY", 0)
SIDECARS = (".txt", ".json")
HIDING = ("PNG", "WEBP", "TIFF", "BMP")  # formats that may keep the lowest bits


@dataclass
class Texts:
    """What a file says, before anybody knows in whose words.

    Parameters
    ----------
    path : str
    width, height : int
    format : str
        Pillow's name.
    named : dict of str to str
        The texts by their names; "UserComment", "ImageDescription" and "XMP" among them.
    gaps : list of str
        What is there and was not read, and why.
    rest : int
        Where the pixels of a PNG begin, behind which there may be more; 0 if nothing is left.
    image : PIL.Image.Image, optional
        Of a picture in memory, which has no path.
    """

    path: str
    width: int = 0
    height: int = 0
    format: str = "PNG"
    named: dict[str, str] = field(default_factory=dict)
    gaps: list[str] = field(default_factory=list)
    rest: int = 0
    image: Image.Image | None = None

    def add(self, name: str, text: str) -> None:
        """Keeps a text, or says that it is too long."""
        if len(text) > MOST:
            self.gaps.append(f"{name}: a text of more than {MOST / 1e6:g} MB")
        elif text.strip("\0 \r\n\t"):
            self.named[name] = text.strip("\0")


def read_file_texts(path: str) -> Texts:
    """Reads the texts in a file.

    Raises
    ------
    OSError, ValueError
        It is missing, no picture, or torn.
    """
    number = os.open(path, READING)  # faster than `open`
    try:
        if (head := os.read(number, HEAD)).startswith(SIGNATURE):
            return read_png_texts(number, head, path)
    finally:
        os.close(number)
    from ...watermark.opening import open_picture

    with open_picture(path) as image:
        return read_image_texts(image, path)


def read_image_texts(image: Image.Image, path: str = "") -> Texts:
    """Reads the texts that Pillow found; a picture in memory has no path."""
    from ...watermark.labels import decode_text

    texts = Texts(path, *image.size, image.format or "", image=None if path else image)
    is_png = texts.format == "PNG"
    for name, value in image.info.items():
        if isinstance(value, (str, bytes)) and (name in WORDS or (is_png and type(name) is str)):
            texts.add(name, decode_tag(value) if is_png else decode_text(value))
    add_xmp(texts, image.info)
    with suppress(Exception):  # Pillow raises whatever it runs into; the rest still counts
        add_exif(texts, image.getexif())
    return texts


WORDS = ("comment", "parameters", "prompt", "workflow", "Description")  # of formats but PNG


def read_png_texts(number: int, head: bytes, path: str) -> Texts:
    """Reads the texts before the pixels of a PNG, and notes where to go on behind them."""
    texts = Texts(path)
    with suppress(ValueError, struct.error):
        walk_texts(texts, io.BytesIO(head))
    if not texts.rest:  # the pixels begin behind the head, if they do
        texts = Texts(path)
        with open(path, "rb") as whole:
            walk_texts(texts, whole)
    if texts.rest:
        os.lseek(number, -len(ENDING), os.SEEK_END)
        if os.read(number, len(ENDING)) != ENDING:  # torn, or there is more behind
            read_rest(texts)
    return texts


def walk_texts(texts: Texts, file: BinaryIO) -> None:
    """Reads texts up to the pixels, or from there on up to the end."""
    begin, texts.rest, seen = texts.rest, 0, 0
    file.seek(begin or len(SIGNATURE))
    for kind, size in walk_chunks(file):
        if kind == b"IHDR":
            texts.width, texts.height = struct.unpack(">II", file.read(8))
        elif kind == b"IDAT" and not begin:
            texts.rest = file.tell() - 8
            return
        elif kind in READ and (seen := seen + 1) <= MOST_TEXTS:
            if size > MOST:
                texts.gaps.append(f"a text of {size / 1e6:.1f} MB")
            else:
                READ[kind](texts, file.read(size))
        elif kind == b"IEND":
            return
    raise ValueError(TORN)


def read_rest(texts: Texts) -> None:
    """Reads what stands behind the pixels of a PNG, which are stepped over."""
    if texts.rest:
        with open(texts.path, "rb") as file:
            walk_texts(texts, file)


def add_plain(texts: Texts, data: bytes) -> None:
    """Keeps a tEXt, Latin-1 by the standard; many programs write UTF-8 all the same."""
    name, _, text = data.partition(b"\0")
    texts.add(decode_name(name), decode_bytes(text))


def add_packed(texts: Texts, data: bytes) -> None:
    """Keeps a zTXt."""
    name, _, rest = data.partition(b"\0")
    texts.add(decode_name(name), decode_bytes(unpack_bytes(rest[1:])))


def add_international(texts: Texts, data: bytes) -> None:
    """Keeps an iTXt, packed or not; one without its ends is left out."""
    name, _, rest = data.partition(b"\0")
    parts = rest[2:].split(b"\0", 2)
    if len(parts) == 3:
        text = unpack_bytes(parts[2]) if rest[:1] == b"\1" else parts[2]
        key = decode_name(name)
        texts.add("XMP" if key == "XML:com.adobe.xmp" else key, text.decode("utf-8", "replace"))


def add_exif_bytes(texts: Texts, data: bytes) -> None:
    """Keeps what a PNG's EXIF says."""
    from PIL import Image

    exif = Image.Exif()
    with suppress(Exception):  # as above
        exif.load(data)
        add_exif(texts, exif)


READ = {
    b"tEXt": add_plain,
    b"zTXt": add_packed,
    b"iTXt": add_international,
    b"eXIf": add_exif_bytes,
    b"comf": add_plain,  # ComfyUI's, in animations
}


def decode_name(name: bytes) -> str:
    """Decodes a text's name, which cannot be longer than 79 characters."""
    return name[:79].decode("latin-1")


def decode_bytes(text: bytes) -> str:
    """Decodes UTF-8, else Latin-1."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def unpack_bytes(data: bytes) -> bytes:
    """Unpacks a text, at most one byte more than is read; nothing of what is damaged."""
    with suppress(zlib.error):
        return zlib.decompressobj().decompress(data, MOST + 1)
    return b""


def add_exif(texts: Texts, exif: Image.Exif) -> None:
    """Keeps the texts in EXIF: comments, the program, and what ComfyUI writes into other tags."""
    from ...watermark import labels

    tags = {**exif, **exif.get_ifd(labels.EXIF_IFD)}
    if comment := labels.decode_comment(tags.get(labels.USER_COMMENT, "")):
        texts.add("UserComment", comment)
    names = {labels.DESCRIPTION: "ImageDescription", labels.SOFTWARE: "Software"}
    for tag in (*range(0x0110, 0x0100, -1), labels.SOFTWARE):
        value = tags.get(tag)
        text = decode_tag(value) if isinstance(value, (str, bytes)) else ""
        if named := EXIF_NAMED.match(text):
            texts.add(named[1].lower(), text[named.end() :])
        elif tag in names and text:
            texts.add(names[tag], text)


def decode_tag(value: str | bytes) -> str:
    """Decodes a tag's text: Pillow takes for Latin-1 what programs write in UTF-8."""
    if isinstance(value, bytes):
        return decode_bytes(value)
    with suppress(UnicodeError):
        return value.encode("latin-1").decode()
    return value


def add_xmp(texts: Texts, info: dict[Any, Any]) -> None:
    """Keeps the XMP that Pillow hands out."""
    from ...watermark.labels import decode_xmp

    for text in decode_xmp(info):
        texts.add("XMP", text)


def add_sidecar(texts: Texts) -> None:
    """Keeps the text of a file of the same name beside the picture."""
    if not texts.path:
        return
    stem = os.path.splitext(texts.path)[0]
    for suffix in SIDECARS:
        with suppress(OSError), open(stem + suffix, "rb") as file:
            texts.add(f"beside{suffix}", decode_bytes(file.read(MOST + 1)).lstrip("\ufeff"))


def add_hidden(texts: Texts) -> None:
    """Keeps the text in the lowest bits of a picture whose format may keep them; it is decoded."""
    if texts.image is None and texts.format not in HIDING:
        return
    from ...watermark.opening import load_quietly, open_picture
    from ...watermark.provenance import find_hidden
    from ...watermark.stealth import read_hidden

    picture = texts.path if texts.image is None else texts.image
    with suppress(OSError, ValueError, SyntaxError), open_picture(picture) as image:
        load_quietly(image)
        pixels = find_hidden(image)
        if pixels is not None and (found := read_hidden(pixels)):
            texts.add("hidden", found[1])
