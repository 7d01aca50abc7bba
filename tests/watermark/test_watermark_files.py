"""Pictures from any file, or the reason why there are none."""

import os
import struct
import threading
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from sdlab.watermark import opening
from sdlab.watermark.opening import read_pixels

MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "I", "I;16", "F")
SAVED_AS = {  # format: (suffix, modes that it keeps, how to save without loss)
    "PNG": (".png", ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"), {}),
    "TIFF": (".tif", ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I", "I;16", "F"), {}),
    "WEBP": (".webp", ("RGB", "RGBA"), {"lossless": True, "exact": True}),
    "BMP": (".bmp", ("1", "L", "P", "RGB"), {}),
    "GIF": (".gif", ("L", "P"), {}),
    "JPEG": (".jpg", ("L", "RGB", "CMYK"), {}),
    "TGA": (".tga", ("L", "P", "RGB", "RGBA"), {}),
    "JPEG2000": (".jp2", ("L", "RGB", "RGBA"), {}),
    "PPM": (".ppm", ("1", "L", "RGB"), {}),
    "AVIF": (".avif", ("RGB", "RGBA"), {}),
}


def noise(seed=0, height=24, width=33):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(width, height, depth, colour, rows, *more):
    """A PNG by hand, for what Pillow cannot write."""
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows))
        + b"".join(more)
        + chunk(b"IEND", b"")
    )


# Pixels


@pytest.mark.parametrize("seed", range(40))
def test_a_random_file_of_any_format_and_mode_is_read_as_pillow_converts_it(tmp_path, seed):
    draw = np.random.default_rng(seed)
    kind = list(SAVED_AS)[seed % len(SAVED_AS)]
    suffix, modes, how = SAVED_AS[kind]
    mode = str(draw.choice(modes))
    image = (
        Image.fromarray(noise(seed, *draw.integers(1, 60, 2)))
        .convert("L" if mode == "I;16" else mode)
        .convert(mode)
    )
    image.save(tmp_path / f"a{suffix}", kind, **how)
    with Image.open(tmp_path / f"a{suffix}") as same:
        grey = np.asarray(same) // 256 if same.mode == "I;16" else np.asarray(same.convert("L"))
        expected = (
            np.asarray(same.convert("RGB"))
            if same.mode not in ("I", "F", "I;16")
            else np.dstack([grey] * 3)
        )
    np.testing.assert_array_equal(read_pixels(tmp_path / f"a{suffix}"), expected)


def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path):
    deep = noise().astype(np.uint16) * 257
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in deep)
    (tmp_path / "rgb.png").write_bytes(png_of(33, 24, 16, 2, rows))
    Image.fromarray(deep[:, :, 0]).save(tmp_path / "grey.png")
    Image.fromarray(deep[:, :, 0].astype(np.int32)).save(tmp_path / "grey.tif")
    np.testing.assert_array_equal(read_pixels(tmp_path / "rgb.png"), noise())
    for name in ("grey.png", "grey.tif"):
        np.testing.assert_array_equal(
            read_pixels(tmp_path / name), np.dstack([noise()[:, :, 0]] * 3)
        )


@pytest.mark.parametrize(
    "greatest, range_", [(1.0, 1.0), (255.0, 255.0), (40000.0, 65536.0), (1e9, 1e9)]
)
def test_a_grey_picture_of_floats_fills_the_range_that_its_maximum_shows(greatest, range_):
    values = np.linspace(-1, greatest, 64, dtype=np.float32).reshape(8, 8)
    values[0, :2] = np.nan, -np.inf
    seen = read_pixels(Image.fromarray(values))[:, :, 1].astype(int)
    expected = (
        np.clip(np.nan_to_num(values, neginf=0), 0, None)
        / range_
        * (256 if range_ == 65536 else 255)
    )
    assert abs(seen - expected).max() <= 1


def test_alpha_is_dropped_and_not_blended(tmp_path):
    Image.fromarray(np.dstack([noise(), np.zeros((24, 33), np.uint8)])).save(tmp_path / "clear.png")
    np.testing.assert_array_equal(read_pixels(tmp_path / "clear.png"), noise())


def test_transparent_palette_colours_keep_their_colour(tmp_path):
    image = Image.fromarray(noise()).quantize(16)
    image.save(tmp_path / "a.png", transparency=bytes(range(16)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(
            read_pixels(tmp_path / "a.png"), np.asarray(image.convert("RGB"))
        )


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_the_orientation_is_not_applied(tmp_path, suffix, orientation):
    image = Image.fromarray(noise())
    image.save(tmp_path / f"plain{suffix}")
    image.save(
        tmp_path / f"turned{suffix}",
        exif=b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0" + bytes([orientation]) + bytes(7),
    )
    with Image.open(tmp_path / f"turned{suffix}") as turned:
        assert (
            orientation == 1
            or np.asarray(ImageOps.exif_transpose(turned)).tobytes() != np.asarray(image).tobytes()
        )
    np.testing.assert_array_equal(
        read_pixels(tmp_path / f"turned{suffix}"), read_pixels(tmp_path / f"plain{suffix}")
    )


@pytest.mark.parametrize(
    "suffix, how", [(".gif", {}), (".webp", {"lossless": True}), (".png", {}), (".tif", {})]
)
def test_the_first_frame_of_an_animation_is_read(tmp_path, suffix, how):
    frames = [Image.fromarray(noise(seed)).quantize(64).convert("RGB") for seed in (1, 2)]
    frames[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=frames[1:], **how)
    np.testing.assert_array_equal(read_pixels(tmp_path / f"a{suffix}"), np.asarray(frames[0]))


@pytest.mark.parametrize("mode", MODES)
def test_a_pil_image_of_any_mode_is_read_in_strips_as_it_is_whole(monkeypatch, mode):
    image = (
        Image.new("PA", (33, 24))
        if mode == "PA"
        else Image.fromarray(noise()).convert("L").convert(mode)
    )
    whole = read_pixels(image)
    monkeypatch.setattr(opening, "STRIP", 100)
    np.testing.assert_array_equal(read_pixels(image), whole)
    assert whole.shape == (24, 33, 3) and whole.dtype == np.uint8


def test_an_array_is_taken_as_it_is():
    image = noise()
    assert np.shares_memory(read_pixels(image), image)
    np.testing.assert_array_equal(read_pixels(np.dstack([image, image[:, :, 0]])), image)
    np.testing.assert_array_equal(read_pixels(image[:, :, 0]), np.dstack([image[:, :, 0]] * 3))


# What cannot be read


@pytest.mark.parametrize(
    "array, error, says",
    [
        (np.zeros((8, 8, 3)), TypeError, r"array \* 255"),
        (np.zeros((8, 8, 3), np.uint16), TypeError, "array >> 8"),
        (np.zeros((8, 8, 3), bool), TypeError, "bool"),
        (np.zeros((3, 8, 8), np.uint8), ValueError, "transpose"),
        (np.zeros((2, 8, 8, 3), np.uint8), ValueError, "batch"),
        (np.zeros(8, np.uint8), ValueError, r"\(8,\)"),
        (np.zeros((0, 8, 3), np.uint8), ValueError, "8 x 0 pixels"),
        (np.array(None), TypeError, "object"),
        (b"\x89PNG", TypeError, "BytesIO"),
        (None, TypeError, "NoneType"),
        ([[1]], TypeError, "list"),
        (7, TypeError, "int"),
    ],
)
def test_what_is_no_picture_says_what_would_be(array, error, says):
    with pytest.raises(error, match=says):
        read_pixels(array)


@pytest.mark.parametrize(
    "name, error, says",
    [
        ("missing.png", FileNotFoundError, "no such file"),
        (".", IsADirectoryError, "folder"),
        ("empty.png", OSError, "empty"),
        ("text.png", OSError, "not a picture"),
        ("cut.png", OSError, "cut off"),
        ("cut.jpg", OSError, "cut off"),
        ("cut.webp", OSError, "cannot be read|cut off"),
        ("cut.avif", OSError, "not a picture|cut off"),
        ("head.png", OSError, "the file is damaged, cut off"),
        ("pipe", OSError, "pipe"),
        ("vast.png", ValueError, "120 megapixels"),
        ("vaster.png", ValueError, "decompression bomb"),
        ("nul\0.png", OSError, "null"),
        ("drawing.eps", OSError, "not a picture"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path, name, error, says):
    for kind in ("png", "jpg", "webp", "avif"):
        Image.fromarray(noise(0, 99, 99)).save(tmp_path / f"whole.{kind}")
        data = (tmp_path / f"whole.{kind}").read_bytes()
        (tmp_path / f"cut.{kind}").write_bytes(data[: len(data) // 2])
    (tmp_path / "head.png").write_bytes((tmp_path / "whole.png").read_bytes()[:20])
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("this is no picture " * 99)
    (tmp_path / "drawing.eps").write_text(
        "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"
    )
    (tmp_path / "vast.png").write_bytes(png_of(10_000, 12_000, 1, 0, b""))
    (tmp_path / "vaster.png").write_bytes(png_of(100_000, 100_000, 1, 0, b""))
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
    with pytest.raises(error, match=says) as raised:
        read_pixels(tmp_path / name)
    assert repr(str(tmp_path / name))[1:-1] in repr(str(raised.value)).replace("\\\\", "\\")


def test_a_picture_of_one_pixel_is_a_picture(tmp_path):
    Image.new("RGB", (1, 1), "red").save(tmp_path / "a.gif")
    assert read_pixels(tmp_path / "a.gif").tolist() == [[[255, 0, 0]]]


def test_pillows_warnings_stay_inside_even_when_threads_overlap():
    before, first, second = list(warnings.filters), threading.Event(), threading.Event()

    def overlapping():
        with opening.silence_warnings():
            first.set()
            second.wait(60)

    thread = threading.Thread(target=overlapping)
    with opening.silence_warnings():
        thread.start()
        first.wait(60)
        warnings.warn("unheard", stacklevel=1)
    second.set()
    thread.join()
    assert warnings.filters == before
