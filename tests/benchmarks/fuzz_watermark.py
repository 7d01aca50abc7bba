"""Feeds damaged, mutated and random files to the reader, the metadata and the scan, and counts what is no clean answer.

    python tests/benchmarks/fuzz_watermark.py 20000 [first number]

A file is made from its number alone: `python fuzz_watermark.py 1 NUMBER` repeats it. A clean answer is pixels or marks, an
OSError or ValueError that begins with the file's name, and for the scan always a row; warnings are none. Exits with 1 if
there is any other answer.
"""

import faulthandler
import io
import resource
import struct
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from sdlab.watermark import opening
from sdlab.watermark.payloads import PAYLOADS
from sdlab.watermark.provenance import Provenance, read_provenance
from sdlab.watermark.scanning import COLUMNS, read_row

ASKED = {"payloads": {"sd-v1": PAYLOADS["sd-v1"]}, "search": "none", "false_positive_rate": 1e-6}
KINDS = {  # format: modes that it keeps
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "TIFF": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I", "I;16", "F"),
    "JPEG": ("L", "RGB", "CMYK"),
    "WEBP": ("RGB", "RGBA"),
    "GIF": ("L", "P", "1"),
    "BMP": ("1", "L", "P", "RGB"),
    "AVIF": ("RGB", "RGBA"),
    "JPEG2000": ("L", "RGB", "RGBA"),
    "PPM": ("1", "L", "RGB"),
    "TGA": ("L", "P", "RGB", "RGBA"),
    "ICO": ("RGBA",),
    "PCX": ("1", "L", "P", "RGB"),
    "SGI": ("L", "RGB", "RGBA"),
    "QOI": ("RGB", "RGBA"),
}
SUFFIXES = (".png", ".jpg", ".webp", ".tif", ".gif", ".avif", ".bmp", ".jp2", ".ppm", ".txt", "")
TEXT = "a cat\nSteps: 9, Sampler: Euler, Seed: 1, Size: 8x8, Model: m"
XMP = b'<x:xmpmeta><a x:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"/></x:xmpmeta>'
NUMBERS = (
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\0\0\xff\xff",
    b"\xff\xff\0\0",
    b"\0\x01\0\0",
    b"\1\0\0\0",
)
HEADS = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff\xe0",
    b"RIFF\xff\xff\0\0WEBPVP8X",
    b"II*\0\x08\0\0\0",
    b"MM\0*",
    b"GIF89a",
    b"BM",
    b"P6 9 9 ",
    b"\0\0\0\x20ftypavif",
    b"\xff\x4f\xff\x51",
    b"qoif",
    b"%!PS-Adobe-3.0 EPSF-3.0",
    b"<svg>",
    b"\0\0\1\0",
)


def picture(draw):
    side = 256 if draw.random() < 0.05 else 48
    height, width = draw.integers(max(1, side // 2 if side == 48 else 256), side + 1, 2)
    return Image.fromarray(draw.integers(0, 256, (height, width, 3), np.uint8))


def valid(draw):
    """The bytes of a whole file of a random format and mode, with metadata, animated now and then."""
    kind = str(draw.choice(list(KINDS)))
    mode = str(draw.choice(KINDS[kind]))
    image = picture(draw).convert("L" if mode == "I;16" else mode).convert(mode)
    exif, info = Image.Exif(), PngImagePlugin.PngInfo()
    exif.update({0x0131: "Tool", 0x010F: "workflow:{}", 0x0112: int(draw.integers(1, 9))})
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + TEXT.encode("utf-16-be")
    info.add_text("parameters", TEXT, zip=bool(draw.integers(2)))
    info.add(b"tEXt", b"Software\0NovelAI", after_idat=True)
    info.add_itxt("XML:com.adobe.xmp", XMP.decode())
    info.add(
        b"caBX",
        b"\0\0\0\x26jumb\0\0\0\x1e" + b"jumdc2pa\0\x11\0\x10\x80\0\0\xaa\x008\x9bq\x03c2pa\0",
    )
    how = {
        "PNG": {"pnginfo": info},
        "JPEG": {"xmp": XMP, "progressive": bool(draw.integers(2))},
        "WEBP": {"xmp": XMP},
        "AVIF": {"speed": 10},
    }
    how = how.get(kind, {}) | (
        {"exif": exif.tobytes()} if kind in ("PNG", "JPEG", "WEBP", "AVIF", "TIFF") else {}
    )
    if kind in ("PNG", "GIF", "WEBP", "TIFF") and mode in ("RGB", "P") and draw.random() < 0.2:
        how |= {"save_all": True, "append_images": [image.rotate(180)]}
    if kind == "TIFF" and draw.random() < 0.5:
        how = {
            "compression": str(draw.choice(["tiff_lzw", "tiff_adobe_deflate", "packbits"])),
            "tiffinfo": {700: XMP, 305: "Tool"},
        }
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


def mutated(draw, data):
    """The file with one to four accidents."""
    data = bytearray(data)
    for _ in range(draw.integers(1, 5)):
        early = len(data) if draw.random() < 0.5 else min(len(data), 200)  # headers matter most
        at, length = int(draw.integers(0, max(early, 1))), int(draw.integers(1, 40))
        accident = draw.integers(7)
        if accident == 0:
            del data[at:]
        elif accident == 1:
            del data[at : at + length]
        elif accident == 2:
            data[at:at] = draw.bytes(length)
        elif accident == 3:
            data[at : at + length] = draw.bytes(length)
        elif accident == 4 and data:
            data[min(at, len(data) - 1)] ^= 1 << int(draw.integers(8))
        elif accident == 5:
            data[at : at + 4] = NUMBERS[draw.integers(len(NUMBERS))]
        else:
            data[at:at] = data[at // 2 : at // 2 + 4 * length]
    return bytes(data)


def mended(data):
    """A PNG with right checksums, so that the damage is not refused at once."""
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        return data
    parts, at = [data[:8]], 8
    while at + 12 <= len(data):
        length = struct.unpack(">I", data[at : at + 4])[0]
        body = data[at + 4 : at + 8 + length]
        parts.append(data[at : at + 4] + body + struct.pack(">I", zlib.crc32(body)))
        at += 12 + length
    return b"".join([*parts, data[at:]])


def made(number):
    """(kind of file, its bytes)"""
    draw = np.random.default_rng(number)
    chance = draw.random()
    if chance < 0.05:
        return "random", draw.bytes(int(draw.integers(0, 3000)))
    if chance < 0.10:
        return "a head and random bytes", HEADS[draw.integers(len(HEADS))] + draw.bytes(
            int(draw.integers(0, 3000))
        )
    data = valid(draw)
    if chance < 0.15:
        return "whole", data
    if chance < 0.30:
        return "cut off", data[: int(draw.integers(0, len(data)))]
    if chance < 0.35:
        other = valid(draw)
        return "two in one", data[: int(draw.integers(0, len(data)))] + other[
            int(draw.integers(0, len(other))) :
        ]
    data = mutated(draw, data)
    return "mutated", mended(data) if draw.random() < 0.7 else data


def array_of(number):
    """An array of a random kind and shape."""
    draw = np.random.default_rng(number)
    shape = tuple(draw.integers(0, 9, draw.integers(0, 5)))
    if draw.random() < 0.3:
        shape = (*shape[:2], int(draw.integers(1, 6)))
    return np.zeros(
        shape, str(draw.choice(["u1", "u1", "u1", "u2", "i4", "f4", "f8", "?", "c8", "O", "U3"]))
    )


def answers(path, number):
    """What each part answers: a word for a clean answer, or else it raises."""
    pixels = None
    for part in (read_provenance, opening.read_pixels):
        try:
            result = part(path)
            if part is read_provenance:
                assert isinstance(result, Provenance), result
            else:
                pixels = result
                assert (
                    pixels.dtype == np.uint8
                    and pixels.ndim == 3
                    and pixels.shape[2] == 3
                    and pixels.size
                ), pixels
            yield f"{part.__name__}: answer"
        except (OSError, ValueError) as error:
            assert str(error).startswith(str(path)), error
            yield f"{part.__name__}: {type(error).__name__}"
    row = read_row(str(path), ASKED)
    assert list(row) == list(COLUMNS) and (row["error"] is None) == (
        row["detected"] is not None or bool(row["small"])
    ) == (pixels is not None), row
    str(row).encode("utf-8", "strict")
    yield (
        "row: error"
        if row["error"]
        else "row: "
        + ("detected" if row["detected"] else "small" if row["small"] else "nothing detected")
    )
    try:
        opening.read_pixels(array_of(number))
        yield "array: answer"
    except (TypeError, ValueError) as error:
        yield f"array: {type(error).__name__}"


def main(count, first=0):
    faulthandler.enable()
    warnings.simplefilter("error")
    counts, unclean, slowest, begun = Counter(), [], (0.0, 0), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(first, first + count):
            kind, data = made(number)
            path = Path(folder, f"{number}{SUFFIXES[number % len(SUFFIXES)]}")
            path.write_bytes(data)
            print(f"\r{number}", end="", file=sys.stderr)
            start = time.monotonic()
            try:
                counts.update([f"file: {kind}", *answers(path, number)])
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                unclean.append(number)
                print(f"\n{number} ({kind}): {''.join(traceback.format_exception(error))}")
            slowest = max(slowest, (time.monotonic() - start, number))
            path.unlink()
    for name, n in sorted(counts.items()):
        print(f"{n:8} {name}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{count} files (numbers {first} to {first + count - 1}) in {time.monotonic() - begun:.0f} s; slowest {slowest[0]:.1f} s (number "
        f"{slowest[1]}); peak memory {peak:.0f} MB; answers that are not clean: {len(unclean)} {unclean[:20] or ''}"
    )
    return bool(unclean)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:] or ["2000"])))
