"""The exact watermark against the library that the programs use, pixel for pixel and bit for bit."""

import os
import pickle
import sys
import warnings

import numpy as np
import pytest
from PIL import Image

from sdlab.watermark import PAYLOADS, Payload, decode_watermark, embed_watermark
from sdlab.watermark.dwtdct import (
    compute_u,
    convert_to_yuv,
    count_votes,
    multiply_add,
    read_blocks,
    read_residues,
    require_room,
    split_blocks,
)
from sdlab.watermark.payloads import encode_text, find_payload, pack_bits

SIZES = [(256, 256), (300, 411), (512, 768), (257, 263), (64, 1024), (259, 262)]
LENGTHS = [1, 8, 32, 46, 48, 136, 224, 5000]  # 5000 are more than the blocks of most
PICTURES = ["noise", "saturated", "gradient", "patches", "black", "white", "clouds"]


def oracle():
    """invisible-watermark itself; where the tests must be complete, its absence is an error."""
    if "CI" in os.environ or "SDLAB_CI" in os.environ:
        import imwatermark

        return imwatermark
    return pytest.importorskip(
        "imwatermark", reason="the oracle is missing: pip install -e '.[dev]'", exc_type=ImportError
    )


@pytest.fixture(scope="module")
def library():
    return oracle()


def picture(kind, height, width):
    """A uint8 RGB picture made of numbers alone."""
    rng = np.random.default_rng(height * width)
    if kind in ("black", "white"):
        return np.full((height, width, 3), 255 * (kind == "white"), np.uint8)
    if kind in ("noise", "saturated"):
        return rng.choice(
            256 if kind == "noise" else np.array([0, 255]), (height, width, 3)
        ).astype(np.uint8)
    if kind == "patches":  # flat blocks, whose values stand on the borders of the steps
        return (
            rng.integers(0, 256, (height // 16 + 1, width // 16 + 1, 3), np.uint8)
            .repeat(16, 0)
            .repeat(16, 1)[:height, :width]
        )
    if kind == "gradient":
        return (
            np.linspace(0, 255, width)[:, None]
            * np.linspace(0.2, 1, height)[:, None, None]
            * [1, 0.7, 0.3]
        ).astype(np.uint8)
    frequency = (
        np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)) + 1 / height
    )  # amplitude 1/f, as in photographs
    clouds = np.fft.ifft2(np.fft.fft2(rng.normal(size=(3, height, width))) / frequency).real
    return np.clip(128 + 50 * clouds / clouds.std(), 0, 255).astype(np.uint8).transpose(1, 2, 0)


def handed_over(image, order):
    """What a program hands to the library."""
    return image[..., ::-1].copy() if order == "BGR" else image.copy()


def their_mark(library, image, bits, method="dwtDct", order="BGR"):
    encoder = library.WatermarkEncoder()
    encoder.set_watermark("bits", [int(bit) for bit in bits])
    return handed_over(encoder.encode(handed_over(image, order), method), order)


def their_bits(library, image, n_bits, method="dwtDct", order="BGR"):
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # the mean of no blocks, where there are more bits than blocks
        return library.WatermarkDecoder("bits", n_bits).decode(handed_over(image, order), method)


def cases(methods, arithmetics):
    """Every size, picture and arithmetic; lengths and orders take turns."""
    for method in methods:
        for i, (size, kind, arithmetic) in enumerate(
            (s, k, a) for s in SIZES for k in PICTURES for a in arithmetics
        ):
            yield pytest.param(
                method,
                size,
                kind,
                arithmetic,
                LENGTHS[i % 7 if i % 5 else 7],
                ("BGR", "RGB")[i % 3 == 0],
            )


@pytest.mark.parametrize(
    "method, size, kind, arithmetic, n_bits, order",
    [*cases(["dwtDct"], ["uint8", "float32"]), *cases(["dwtDctSvd"], ["uint8"])],
)
def test_marks_and_bits_are_the_librarys_own(
    library, method, size, kind, arithmetic, n_bits, order
):
    image = picture(kind, *size).astype(arithmetic)
    if arithmetic == "float32":  # what a network gives, not whole numbers
        image = np.clip(
            image + np.random.default_rng(1).uniform(-0.5, 1.5, image.shape), 0, 255
        ).astype(np.float32)
    payload = Payload("mine", np.random.default_rng(n_bits).integers(0, 2, n_bits), arithmetic)
    marked = embed_watermark(image, payload, method, order=order)
    np.testing.assert_array_equal(
        marked, their_mark(library, image, payload.bits, method, order), strict=True
    )
    for given in (image, marked):
        expected = their_bits(library, given, n_bits, method, order)
        np.testing.assert_array_equal(
            decode_watermark(given, n_bits, method, order=order), expected, strict=True
        )


@pytest.mark.parametrize("kind", PICTURES)
def test_svd_in_float32_differs_by_rounding_alone(library, kind):
    image, payload = picture(kind, 257, 263).astype(np.float32), PAYLOADS["sdxl"]
    marked = embed_watermark(image, payload, "dwtDctSvd")
    assert np.abs(marked - their_mark(library, image, payload.bits, "dwtDctSvd")).max() < 1e-3
    assert (
        decode_watermark(marked, 48, "dwtDctSvd") == their_bits(library, marked, 48, "dwtDctSvd")
    ).all()


def test_a_file_is_read_in_float32_as_the_library_reads_it_after_a_cast(library):
    image = picture("clouds", 300, 411)
    read = decode_watermark(image, 48, arithmetic="float32")
    assert (read == their_bits(library, image.astype(np.float32), 48)).all()


@pytest.mark.parametrize("name", PAYLOADS)
def test_every_known_payload_is_embedded_as_its_program_does(library, name):
    image, payload = picture("clouds", 256, 264), PAYLOADS[name]
    swap = slice(None, None, -1 if payload.order == "RGB" else 1)  # before and after
    expected = their_mark(library, image[..., swap].astype(payload.arithmetic), payload.bits)
    expected = expected[..., swap]
    if payload.arithmetic == "float32":
        expected = np.clip(
            np.floor(expected) if name == "flux-1" else np.round(expected), 0, 255
        ).astype(np.uint8)
    np.testing.assert_array_equal(embed_watermark(image, name), expected, strict=True)


@pytest.mark.parametrize(
    "inside, environment", [(True, {"SDLAB_CI": "1"}), (True, {"CI": "true"}), (False, {})]
)
def test_a_missing_oracle_is_an_error_in_ci_and_a_skip_elsewhere(monkeypatch, inside, environment):
    for name in ("CI", "SDLAB_CI"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(sys.modules, "imwatermark", None)
    with pytest.raises(ImportError if inside else pytest.skip.Exception):
        oracle()


def test_fused_multiply_add_rounds_once():
    """Sums that lie beside a midpoint of float32, by less than float64 can tell."""
    rng, half = np.random.default_rng(0), 2.0**-24
    c = np.ldexp(1 + rng.integers(0, 2**23, 4000) * 2 * half, rng.integers(-60, 60, 4000))
    a = np.ldexp(
        (1 - 2 * half) * half * rng.choice([-1, 1], 4000), np.frexp(c)[1] - 1
    )  # times the factor: half a step, not quite
    factor, a, c = np.float32(1 + 2 * half), a.astype(np.float32), c.astype(np.float32)
    np.testing.assert_array_equal(multiply_add(a, factor, c), c)
    twice = (a.astype(float) * float(factor) + c).astype(np.float32)
    assert 0.3 < (twice != c).mean() < 0.7


@pytest.mark.slow
def test_every_colour_there_is_becomes_opencvs_y_u_and_v(library):
    import cv2

    number = np.arange(2**24, dtype=np.uint32).reshape(4096, 4096)
    colours = np.stack([number & 255, number >> 8 & 255, number >> 16], -1).astype(np.uint8)
    for dtype in (np.uint8, np.float32):
        expected = cv2.cvtColor(colours.astype(dtype), cv2.COLOR_BGR2YUV)
        for channel, plane in enumerate(convert_to_yuv(*np.moveaxis(colours.astype(dtype), -1, 0))):
            assert (plane == expected[..., channel]).all(), (dtype, channel)


def test_block_bits_voted_for_several_lengths_are_the_decoded_bits():
    image = picture("noise", 256, 264)
    bits = read_blocks(image)
    assert bits.shape == (32 * 33,) and bits.dtype == bool
    for n_bits in (46, 136, 224):
        assert (
            decode_watermark(image, n_bits)
            == [bits[j::n_bits].mean() * 255 > 127 for j in range(n_bits)]
        ).all()
    assert np.isnan(count_votes(bits, 2000)[-1]) and not decode_watermark(image, 2000)[-1]


def test_a_block_is_read_by_its_largest_average():
    image = picture("clouds", 256, 264)
    cells = compute_u(*np.moveaxis(image[..., ::-1], -1, 0)).reshape(128, 2, 132, 2).sum((1, 3)) / 2
    blocks = split_blocks(cells)
    np.testing.assert_array_equal(blocks[34], cells[4:8, 4:8].ravel())
    inside = (
        np.abs(blocks[:, 1:]).max(1) % 18 != 0
    )  # on the border of a step, the last bits of a float decide
    assert ((np.abs(blocks[:, 1:]).max(1) % 36 > 18) == read_blocks(image))[inside].all()
    np.testing.assert_array_equal(read_residues(image) > 18, read_blocks(image))


def test_known_payloads_are_what_the_programs_write():
    assert {name: len(payload) for name, payload in PAYLOADS.items()} == {
        "sd-v1": 136,
        "sd-v1-inpainting": 224,
        "sd-v2": 32,
        "invokeai": 64,
        "sdxl": 48,
        "flux-1": 46,
        "Paint-by-Example": 128,
        "StableDiffusion": 120,
        "Cremage": 56,
        "HumanSD": 56,
        "sdxl-text": 32,
        "test": 32,
        "synthica": 88,
        "SynthicaV1": 80,
        "Scrollrack": 80,
        "WebtoonToday": 96,
        "Gpt4Art": 56,
        "stable_diffusion_gui": 160,
        "ESD_ANON": 64,
        "qingquan": 64,
    }
    assert pack_bits(PAYLOADS["sdxl"].bits) == bytes.fromhex("B3EC907BB19E")
    assert (
        "".join(map(str, PAYLOADS["flux-1"].bits))
        == "1010101111111010000111100111001111010100101110"
    )
    assert (
        pack_bits(PAYLOADS["sd-v1"].bits) == b"StableDiffusionV1"
        and PAYLOADS["sd-v1"].arithmetic == "uint8"
    )
    assert PAYLOADS["sdxl"].arithmetic == PAYLOADS["flux-1"].arithmetic == "float32"
    assert all(payload.name == name and payload.source for name, payload in PAYLOADS.items())


def test_a_payload_is_meant_by_name_text_bytes_or_itself():
    known = PAYLOADS["sd-v2"]
    assert find_payload("sd-v2") is find_payload("SDV2") is find_payload(known) is known
    assert (
        find_payload("my studio é").text == "my studio é"
        and pack_bits(find_payload("é").bits) == "é".encode()
    )
    assert (find_payload(b"\x80\x01").bits == [1, *[0] * 14, 1]).all() and find_payload(
        b"\xff"
    ).text is None
    assert len(encode_text("abc")) == 24 and not known.bits.flags.writeable
    assert (pickle.loads(pickle.dumps(known)).bits == known.bits).all()


@pytest.mark.parametrize(
    "what, error, says",
    [
        ("SDXL", ValueError, "did you mean the known 'sdxl'.*b'SDXL'"),
        ("sd_v1", ValueError, "'sd-v1'"),
        ("", ValueError, "empty"),
        (b"", ValueError, "empty"),
        (48, TypeError, "sd-v1.*not int"),
        ([1, 0], TypeError, "Payload, not list"),
    ],
)
def test_what_is_no_payload_says_what_would_be(what, error, says):
    with pytest.raises(error, match=says):
        find_payload(what)


@pytest.mark.parametrize(
    "bits, arithmetic, says",
    [
        ([], "uint8", "at least one"),
        ([0, 2], "uint8", "0 and 1"),
        ([[0, 1]], "uint8", "0 and 1"),
        ([1], "int8", "uint8, float32"),
    ],
)
def test_a_payload_of_ones_own_is_checked(bits, arithmetic, says):
    with pytest.raises(ValueError, match=says):
        Payload("mine", bits, arithmetic)


@pytest.mark.parametrize(
    "image, error, says",
    [
        (
            np.zeros((255, 256, 3), np.uint8),
            ValueError,
            r"256x255 are 65,280 pixels; a mark needs 65,536 \(256x256\)",
        ),
        (np.zeros((256, 256), np.uint8), ValueError, "greyscale"),
        (np.zeros((256, 256, 1), np.uint8), ValueError, "greyscale"),
        (np.zeros((256, 256, 3)), TypeError, "uint8, or float32 in 0..255, not float64"),
        (np.full((256, 256, 3), np.nan, np.float32), ValueError, "NaN"),
        (Image.new("L", (256, 256)), ValueError, r"'L'.*convert\('RGB'\)"),
        ("picture.png", TypeError, "an array or a PIL image, not str"),
    ],
)
def test_a_picture_that_cannot_be_marked_says_why(image, error, says):
    for use in (lambda: embed_watermark(image, "sd-v1"), lambda: decode_watermark(image, 136)):
        with pytest.raises(error, match=says):
            use()


def test_a_float32_picture_that_may_be_in_0_to_1_brings_a_warning():
    with pytest.warns(UserWarning, match="is 0.5; if it is in 0..1, multiply it by 255") as caught:
        decode_watermark(np.full((256, 256, 3), 0.5, np.float32), 8)
    assert len(caught) == 1


@pytest.mark.parametrize(
    "given, error, says",
    [
        ({"order": "GBR"}, ValueError, "order='GBR' is not one of BGR, RGB"),
        ({"n_bits": 0}, ValueError, "at least one bit"),
        ({"method": "rivaGan"}, ValueError, "method='rivaGan' is not one of dwtDct, dwtDctSvd"),
        ({"n_bits": 8.0}, TypeError, "whole"),
        (
            {"arithmetic": "float64"},
            ValueError,
            "arithmetic='float64' is not one of uint8, float32",
        ),
    ],
)
def test_a_wrong_choice_names_the_right_ones(given, error, says):
    with pytest.raises(error, match=says):
        decode_watermark(picture("black", 256, 256), **{"n_bits": 8} | given)


def test_a_float32_picture_is_marked_in_float32_whatever_the_payload():
    image = picture("clouds", 256, 256).astype(np.float32)
    assert embed_watermark(image, "sd-v1").dtype == np.float32
    with pytest.raises(ValueError, match="round or cut it to uint8 first"):
        embed_watermark(image, "sd-v1", arithmetic="uint8")


def test_alpha_and_the_given_picture_stay_as_they_are():
    alpha = np.random.default_rng(0).integers(0, 256, (256, 256, 1), np.uint8)
    colours = picture("clouds", 256, 256)
    image = np.concatenate([colours, alpha], -1)
    before = image.copy()
    for payload in ("sd-v1", "sdxl"):
        marked = embed_watermark(image, payload)
        np.testing.assert_array_equal(marked[..., :3], embed_watermark(colours, payload))
        np.testing.assert_array_equal(marked[..., 3:], alpha)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_pil_image_comes_back_as_one(mode):
    image = Image.fromarray(picture("clouds", 256, 300)).convert(mode)
    image.info["parameters"] = "a red circle"
    marked = embed_watermark(image, "my studio")
    assert marked.mode == mode and marked.size == (300, 256) and marked.info == image.info
    np.testing.assert_array_equal(
        np.asarray(marked), embed_watermark(np.asarray(image), "my studio")
    )
    assert (decode_watermark(marked, 72) == decode_watermark(np.asarray(marked), 72)).all()


def test_the_order_that_wrote_the_mark_reads_it_and_the_other_does_not():
    marked = embed_watermark(picture("clouds", 512, 512), "SDNX", "dwtDctSvd", order="RGB")
    right = decode_watermark(marked, 32, "dwtDctSvd", order="RGB")
    assert (
        pack_bits(right) == b"SDNX"
        and pack_bits(decode_watermark(marked, 32, "dwtDctSvd")) != b"SDNX"
    )


@pytest.mark.parametrize(
    "payload, height, width, says",
    [
        ("sd-v1", 248, 256, "watermark='sd-v1': .*256x248 is too small.*height=256, width=256"),
        ("a" * 200, 256, 256, "has 1,600 bits, but a picture of 256x256 has room for 1,024"),
    ],
)
def test_a_size_that_cannot_carry_a_mark_is_refused(payload, height, width, says):
    with pytest.raises(ValueError, match=says):
        require_room(payload, height, width)


def test_a_size_that_can_carry_a_mark_is_taken():
    require_room(b"a" * 128, 256, 256)
