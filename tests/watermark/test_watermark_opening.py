"""Kinds that Pillow does not open itself, with their extras and without; and libtiff, which is quiet."""

import struct
import sys

import numpy as np
import pytest
from PIL import Image
from test_watermark_files import noise, png_of

from sdlab import detect_watermark
from sdlab.watermark import embed_watermark, kinds
from sdlab.watermark.kinds import NoPixels
from sdlab.watermark.opening import read_pixels
from sdlab.watermark.provenance import read_provenance

LABEL = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description Iptc4xmpExt:DigitalSourceType='
    '"http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"/></rdf:RDF></x:xmpmeta>'
)
MAKER = b"II*\0\x08\0\0\0\1\0\x0f\1\2\0\x06\0\0\0\x1a\0\0\0\0\0\0\0Nokia\0"  # EXIF with a Make


def box(kind, data):
    return struct.pack(">I", len(data) + 8) + kind + data


def bytes_of_kind(name, xmp="", exif=b""):
    """A file of that kind with metadata, and without pixels that could be decoded."""
    text = xmp.encode()
    if name.endswith("svg"):
        return b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg">' + text + b"</svg>"
    if name.endswith("heic"):
        head = box(b"ftyp", b"heic\0\0\0\0mif1heic")
        return head + box(b"mdat", b"\0\0\0\6Exif\0\0" * bool(exif) + exif + text)
    boxes = box(b"ftyp", b"jxl \0\0\0\0jxl ") + (box(b"Exif", bytes(4) + exif) if exif else b"")
    return kinds.JXL_BOX + boxes + box(b"xml ", text) + box(b"jxlc", b"\xff\x0a\x41\x40")


def hide_extras(monkeypatch):
    for package in ("pillow_heif", "imagecodecs"):
        monkeypatch.setitem(sys.modules, package, None)


@pytest.mark.parametrize("name", ["a.heic", "a.jxl", "a.svg"])
def test_metadata_is_read_without_pixels(tmp_path, monkeypatch, name):
    hide_extras(monkeypatch)
    (tmp_path / name).write_bytes(bytes_of_kind(name, LABEL, MAKER))
    claims = read_provenance(tmp_path / name).claims
    assert ("XMP", "made by an AI model") in {(claim.kind, claim.origin) for claim in claims}
    if not name.endswith("svg"):
        assert ("EXIF", "Nokia") in {(claim.kind, claim.program) for claim in claims}
    with pytest.raises(NoPixels, match=name):
        read_pixels(tmp_path / name)


def test_packed_metadata_of_jpeg_xl_is_told_as_a_gap(tmp_path, monkeypatch):
    hide_extras(monkeypatch)
    (tmp_path / "a.jxl").write_bytes(bytes_of_kind("a.jxl") + box(b"brob", b"xml \x8b\2"))
    assert "metadata that is packed" in detect_watermark(tmp_path / "a.jxl").answer.unknown


@pytest.mark.parametrize(
    "head", [b"\xff" * 40, b"\0\0\0\x1cftypavif\0\0\0\0mif1avif", b"RIFF" + bytes(40)]
)
def test_another_file_is_not_taken_for_one_of_these_kinds_nor_read_for_long(tmp_path, head):
    (tmp_path / "a.png").write_bytes(head + bytes(5000))
    with pytest.raises(OSError, match="not a picture|cannot be read"):
        read_pixels(tmp_path / "a.png")


# With the extras


def test_the_pixels_of_heic_are_read_with_its_extra(tmp_path):
    pytest.importorskip("pillow_heif").register_heif_opener()
    pixels = noise(0, 64, 96)
    Image.fromarray(pixels).save(tmp_path / "a.heic", quality=-1, chroma=444, matrix_coefficients=0)
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.heic"), pixels)


@pytest.mark.parametrize("container", [False, True])
@pytest.mark.parametrize("depth", ["grey", "RGB", "RGBA", "16 bits"])
def test_the_pixels_of_jpeg_xl_are_read_with_its_extra(tmp_path, depth, container):
    codecs = pytest.importorskip("imagecodecs")
    pixels = noise(0, 70, 33)
    stored = {
        "grey": pixels[:, :, 0].copy(),
        "RGB": pixels,
        "RGBA": np.dstack([pixels, pixels[:, :, :1]]),
        "16 bits": pixels.astype(np.uint16) * 257,
    }[depth]
    data = codecs.jpegxl_encode(stored, lossless=True, usecontainer=container)
    (tmp_path / "a.jxl").write_bytes(data)
    expected = np.dstack([pixels[:, :, 0]] * 3) if depth == "grey" else pixels
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.jxl"), expected)


def test_a_mark_is_found_in_jpeg_xl(tmp_path):
    codecs = pytest.importorskip("imagecodecs")
    marked = embed_watermark(
        np.kron(noise(1, 32, 32) // 2 + 64, np.ones((8, 8, 1), np.uint8)), "sd-v1"
    )
    (tmp_path / "a.jxl").write_bytes(codecs.jpegxl_encode(marked, lossless=True))
    assert detect_watermark(tmp_path / "a.jxl").detected


@pytest.mark.parametrize(
    "size", [(8, 8), (1000, 1), (513, 257), (256, 512), (1080, 1920), (64, 256)]
)
def test_the_size_of_jpeg_xl_is_known_before_it_is_decoded(size):
    codecs = pytest.importorskip("imagecodecs")
    data = codecs.jpegxl_encode(np.zeros((*size, 3), np.uint8), lossless=True)
    assert kinds.read_jxl_size(data) == size[::-1]


def test_a_vast_or_damaged_jpeg_xl_is_refused_by_name(tmp_path):
    pytest.importorskip("imagecodecs")
    vast = (0 | 3 << 1 | 2**29 << 3 | 1 << 33).to_bytes(12, "little")  # a square of 2**29 + 1
    (tmp_path / "vast.jxl").write_bytes(b"\xff\x0a" + vast)
    with pytest.raises(ValueError, match=r"vast\.jxl: 536870913 x"):
        read_pixels(tmp_path / "vast.jxl")
    (tmp_path / "cut.jxl").write_bytes(b"\xff\x0a\x41\x40")
    with pytest.raises(OSError, match=r"cut\.jxl: the file is damaged, cut off"):
        read_pixels(tmp_path / "cut.jxl")


# libtiff


def test_a_damaged_tiff_prints_nothing(tmp_path, capfd):
    Image.fromarray(noise(0, 200, 200)).save(tmp_path / "a.tif", compression="tiff_lzw")
    data = bytearray((tmp_path / "a.tif").read_bytes())
    data[1000:60_000:7] = bytes(len(range(1000, 60_000, 7)))
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(OSError, match="damaged"):
        read_pixels(tmp_path / "a.tif")
    read_provenance(tmp_path / "a.tif")
    assert capfd.readouterr().err == ""
    with Image.open(tmp_path / "a.tif") as image, pytest.raises(OSError):
        image.load()
    assert capfd.readouterr().err != ""  # as Pillow alone would have it, and prints again


def test_a_small_png_is_still_read(tmp_path):
    (tmp_path / "a.png").write_bytes(png_of(1, 1, 8, 0, b"\0\7"))
    assert read_pixels(tmp_path / "a.png").tolist() == [[[7, 7, 7]]]
