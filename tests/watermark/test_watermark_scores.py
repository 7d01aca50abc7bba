"""The block scores: the right sign wherever a mark is, finite everywhere, and nothing heavy imported."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from sdlab.watermark import scores
from sdlab.watermark.dwtdct import compute_u, embed_watermark
from sdlab.watermark.payloads import Payload

BOTH = pytest.mark.parametrize("arithmetic", ["uint8", "float32"])


def textured(seed: int = 0, side: int = 512) -> np.ndarray:
    """A picture whose power falls with the square of the frequency, in colours that go together, as in photographs."""
    random = np.random.default_rng(seed)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side))) + 1 / side
    fields = [
        np.fft.ifft2(np.fft.fft2(random.standard_normal((side, side))) / frequency).real
        for _ in range(3)
    ]
    light, *colours = (field / field.std() for field in fields)
    channels = [
        128 + 45 * light + 15 * colours[0],
        118 + 45 * light,
        108 + 40 * light + 15 * colours[1],
    ]
    return np.clip(np.stack(channels, -1) + random.normal(0, 2, (side, side, 3)), 0, 255).astype(
        np.uint8
    )


def marked(arithmetic: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A marked picture, and the sign (64, 64) that the score of each block should have."""
    bits = np.random.default_rng(seed + 1).integers(2, size=4096)
    return embed_watermark(textured(seed), Payload("random", bits, arithmetic)), 2 * bits.reshape(
        64, 64
    ) - 1


def through_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def z_score(image: np.ndarray, arithmetic: str, expected: np.ndarray) -> float:
    """How many standard deviations more often than by chance the signs agree."""
    grid = scores.score_blocks(scores.make_planes(image, arithmetic), arithmetic)
    return float(np.sign(grid * expected).sum() / np.sqrt(grid.size))


@BOTH
def test_scores_of_an_untouched_mark_have_the_sign_of_its_bits(arithmetic):
    image, expected = marked(arithmetic)
    assert z_score(image, arithmetic, expected) > 40


@BOTH
def test_scores_after_jpeg_still_have_the_sign_of_the_bits(arithmetic):
    image, expected = marked(arithmetic)
    assert z_score(through_jpeg(image, 90), arithmetic, expected) > 6


@BOTH
def test_scores_of_a_picture_without_a_mark_say_nothing(arithmetic):
    _, expected = marked(arithmetic)
    assert abs(z_score(textured(), arithmetic, expected)) < 5


@BOTH
def test_u_alone_is_enough_for_an_untouched_mark(arithmetic):
    image, expected = marked(arithmetic)
    grid = scores.score_blocks(scores.make_planes(image, arithmetic)[1], arithmetic)
    assert (np.sign(grid) == expected).mean() > 0.8


def test_y_and_v_help_after_jpeg():
    image, expected = marked("uint8")
    planes = scores.make_planes(through_jpeg(image, 80), "uint8")
    alone, together = (
        np.corrcoef(scores.score_blocks(p, "uint8").ravel(), expected.ravel())[0, 1]
        for p in (planes[1], planes)
    )
    assert together > alone


@BOTH
def test_u_is_the_plane_that_carries_the_mark(arithmetic):
    image = textured(3, 256)
    exact = compute_u(*(image[..., channel].astype(arithmetic) for channel in (2, 1, 0)))
    np.testing.assert_allclose(scores.make_planes(image, arithmetic)[1], exact, atol=1e-4)


def test_swapped_channels_are_read_in_their_own_order():
    image = textured(4, 256)
    np.testing.assert_array_equal(
        scores.make_planes(image, "uint8", "RGB"), scores.make_planes(image[..., ::-1], "uint8")
    )


@BOTH
@pytest.mark.parametrize("kind", ["black", "white", "noise", "flat", "stripes"])
def test_scores_are_finite_and_bounded_on_any_picture(kind, arithmetic):
    random = np.random.default_rng(0)
    image = {
        "black": np.zeros((80, 96, 3)),
        "white": np.full((80, 96, 3), 255),
        "flat": np.full((80, 96, 3), (90, 10, 200)),
        "noise": random.integers(256, size=(80, 96, 3)),
        "stripes": np.indices((80, 96, 3))[1] % 8 // 4 * 255,
    }[kind]
    grid = scores.score_blocks(scores.make_planes(image.astype(np.uint8), arithmetic), arithmetic)
    assert (
        grid.dtype == np.float32
        and np.isfinite(grid).all()
        and np.abs(grid).max() <= 2.1 * scores.BOUND
    )


@pytest.mark.parametrize("shape", [(1, 1), (7, 300), (8, 8), (17, 33), (65, 71), (136, 8)])
def test_there_is_one_score_for_each_whole_block(shape):
    planes = np.full((3, *shape), 100, np.float32)
    expected = (shape[0] // 8, shape[1] // 8)
    assert (
        scores.score_blocks(planes, "uint8").shape
        == scores.score_blocks(planes[1], "uint8").shape
        == expected
    )


def test_planes_cut_to_another_origin_are_read_there():
    image, expected = marked("uint8")
    planes = scores.make_planes(np.pad(image, ((3, 0), (5, 0), (0, 0)), "reflect"), "uint8")
    aligned = scores.score_blocks(planes[..., 3:, 5:], "uint8")
    assert (
        (np.sign(aligned) == expected).mean()
        > 0.8
        > 0.6
        > (np.sign(scores.score_blocks(planes, "uint8")) == expected).mean()
    )


def test_the_residual_of_u_is_nothing_where_y_and_v_explain_it():
    y, v = np.random.default_rng(0).normal(0, 30, (2, 64, 64)).astype(np.float32)
    left = scores.subtract_prediction(np.stack([y, 0.5 * y - 0.3 * v, v]))
    assert np.abs(left).max() < 0.5


def test_box_means_are_those_of_a_plain_loop():
    grid = np.random.default_rng(0).normal(size=(9, 12)).astype(np.float32)
    for size, mean in ((3, scores.average_box(grid, 3)), (9, scores.average_9x9(grid[None])[0])):
        padded = np.pad(grid, size // 2, "symmetric")
        expected = np.lib.stride_tricks.sliding_window_view(padded, (size, size)).mean((2, 3))
        np.testing.assert_allclose(mean, expected, atol=1e-5)


def test_the_two_largest_are_those_of_a_sort():
    value = np.random.default_rng(0).integers(9, size=(15, 40)).astype(np.float32)
    np.testing.assert_array_equal(scores.find_two_largest(value), np.sort(value, 0)[:-3:-1])


def test_the_weights_say_how_they_were_made_and_are_small():
    with np.load(scores.WEIGHTS, allow_pickle=False) as file:
        assert "seed" in str(file["made"])
    assert scores.WEIGHTS.stat().st_size < 100_000


def test_scoring_does_not_load_torch():
    code = "import sys, numpy; from sdlab.watermark import scores; scores.score_blocks(numpy.zeros((64, 64), 'float32'), 'uint8')"
    subprocess.run([sys.executable, "-c", code + "; assert 'torch' not in sys.modules"], check=True)
