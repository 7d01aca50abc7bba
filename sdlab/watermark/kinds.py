"""Opens a file by what it begins with: kinds that Pillow knows, HEIC, JPEG XL, and drawings."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

# decoded: 400 MB in Pillow, twice that from WebP and JPEG 2000, and 300 MB as an array
MAX_PIXELS = 100_000_000
FORMATS = (
    "PNG",
    "JPEG",
    "WEBP",
    "AVIF",
    "TIFF",
    "GIF",
    "BMP",
    "DIB",
    "JPEG2000",
    "PPM",
    "TGA",
    "ICO",
    "PCX",
    "SGI",
    "QOI",
)  # all that need no other program: EPS is left out, as it would start Ghostscript
HEIC, AVIF = {b"heic", b"heix", b"hevc", b"mif1"}, {b"avif", b"avis"}  # brands
HEAD = 4096  # bytes that tell the kind of a file
SVG = re.compile(rb"\s*(?:\xef\xbb\xbf\s*)?<(?:\?xml|!--|!DOCTYPE svg|svg\b)")
JXL = re.compile(rb"(?:\A|jxl(?:c|p.{4}))\xff\x0a", re.DOTALL)  # before the size, in any container
JXL_BOX = b"\0\0\0\x0cJXL \r\n\x87\n"
JXL_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
JXL_BITS = 9, 13, 18, 30  # of a side that is no small multiple of 8
MIMES = {"HEIF": "image/heic", "JXL": "image/jxl", "SVG": "image/svg+xml", "MPO": "image/jpeg"}


class NoPixels(OSError):
    """Raised for a file whose kind is known but whose pixels cannot be read here.

    Attributes
    ----------
    path : Path
    format : str
        "HEIF", "JXL" or "SVG".
    why : str
    """

    def __init__(self, path: Path, format: str, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path, self.format, self.why = path, format, why


def open_kind(path: Path) -> Image.Image:
    """Open a file by what it begins with: Pillow does not know all kinds itself."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    if head.startswith((b"\xff\x0a", JXL_BOX)):
        return open_jxl(path)
    brands = {head[at : at + 4] for at in range(8, min(int.from_bytes(head[:4], "big"), HEAD), 4)}
    if head[4:8] == b"ftyp" and brands & HEIC and not brands & AVIF:
        return open_heic(path)
    if SVG.match(head) and b"<svg" in head:
        raise NoPixels(path, "SVG", "an SVG is a drawing and has no pixels of its own")
    return Image.open(path, formats=FORMATS)


def open_heic(path: Path) -> Image.Image:
    """Open a HEIC file with the package of the extra."""
    try:
        import pillow_heif
    except ImportError:
        why = "HEIC: install sdlab[heic] to read its pixels"
        raise NoPixels(path, "HEIF", why) from None
    pillow_heif.register_heif_opener()
    return Image.open(path, formats=("HEIF",))


def open_jxl(path: Path) -> Image.Image:
    """Open a JPEG XL file with the package of the extra, whose size is looked at first."""
    try:
        import imagecodecs
    except ImportError:
        why = "JPEG XL: install sdlab[jxl] to read its pixels"
        raise NoPixels(path, "JXL", why) from None
    data = path.read_bytes()
    width, height = read_jxl_size(data)
    if width * height > MAX_PIXELS:
        most = f"at most {MAX_PIXELS / 1e6:g} megapixels are read"
        raise Image.DecompressionBombError(f"{width} x {height} pixels are too many, {most}")
    pixels = imagecodecs.jpegxl_decode(data, index=0)
    if pixels.dtype != np.uint8:
        whole = pixels.astype(np.float64) * (1 / 256 if pixels.dtype.kind == "u" else 255)
        pixels = np.clip(np.nan_to_num(whole), 0, 255).astype(np.uint8)
    image = Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] < 3 else pixels)
    image.format, image.filename = "JXL", str(path)  # type: ignore[attr-defined]
    return image


def read_jxl_size(data: bytes) -> tuple[int, int]:
    """Read (width, height) from a JPEG XL codestream, whose bits begin with the lowest."""
    if not (start := JXL.search(data)):
        raise UnidentifiedImageError("there is no picture in this JPEG XL file")
    bits = int.from_bytes(data[start.end() : start.end() + 12], "little")

    def take(count: int) -> int:
        nonlocal bits
        value, bits = bits & ((1 << count) - 1), bits >> count
        return value

    small = take(1)
    height = 8 * take(5) + 8 if small else take(JXL_BITS[take(2)]) + 1
    if ratio := take(3):
        over, under = JXL_RATIOS[ratio]
        return height * over // under, height
    return (8 * take(5) + 8 if small else take(JXL_BITS[take(2)]) + 1), height


def find_mime(image: Image.Image | NoPixels) -> str:
    """Find the MIME type of what was opened."""
    return MIMES.get(image.format or "") or Image.MIME.get(image.format or "", "")
