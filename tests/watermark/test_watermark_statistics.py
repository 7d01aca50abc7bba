"""The chance of agreement: Student's law, the points of the spectrum, and what is left of the noise."""

import math

import numpy as np
import pytest

from sdlab.watermark.payloads import PAYLOADS, Payload, find_payload
from sdlab.watermark.places import Blocks
from sdlab.watermark.scores import subtract_local_mean
from sdlab.watermark.statistics import (
    Folds,
    compute_gain,
    compute_log10_tail,
    compute_spectra,
    find_points,
    fold_grids,
    measure_bits,
    require_testable,
    whiten_payload,
)

SHAPES = ((136, True), (224, True), (32, True), (64, True), (48, False), (46, False))


def noise(seed, rows=64, columns=64):
    return subtract_local_mean(
        np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)
    )


def laid_out(bits, rows, columns, stride, phase=0):
    number = stride * np.arange(rows)[:, None] + np.arange(columns) - phase
    return bits[number % len(bits)].astype(np.float32) * 2 - 1


def tails(grids, bits, text, stride):
    """log10 p of every grid for every payload in `bits` (n, n_bits)."""
    folds = fold_grids(grids, bits.shape[1], (stride,), text)
    wanted = whiten_payload(bits, folds.points)[:, 0]
    agreement = np.einsum(
        "gk,pk->gp", folds.spectra[:, 0] * folds.points.weight, wanted.conj()
    ).real
    return Folds(folds.points, folds.spectra, folds.beside, folds.prior).compute_log10_p(
        agreement[:, None]
    )[:, 0]


@pytest.mark.parametrize("freedom", [7, 23, 47.0, 127])
def test_the_tail_is_that_of_a_random_direction(freedom):
    directions = np.random.default_rng(0).normal(size=(100_000, int(freedom) + 1))
    first, rest = directions[:, 0], (directions[:, 1:] ** 2).sum(1)
    p = 10 ** compute_log10_tail(first, rest, np.float64(freedom))
    for level in (0.5, 0.1, 0.01, 0.001):
        assert (p < level).mean() == pytest.approx(level, abs=4 * math.sqrt(level / 100_000))


@pytest.mark.parametrize(
    ("t", "freedom", "p"),
    [(0, 9, 0.5), (1, 1, 0.25), (2, 2, 0.5 - 1 / math.sqrt(6)), (-1, 1, 0.75)],
)
def test_the_tail_equals_the_closed_form(t, freedom, p):
    assert 10 ** float(
        compute_log10_tail(np.float64(t), np.float64(freedom), np.float64(freedom))
    ) == pytest.approx(p, rel=1e-4)


def test_the_tail_equals_the_integral_of_the_density_far_out():
    t, freedom = 30.0, 39
    x = np.geomspace(t, t * 1e6, 2_000_001)
    constant = (
        math.gamma((freedom + 1) / 2) / math.gamma(freedom / 2) / math.sqrt(freedom * math.pi)
    )
    p = np.trapezoid((1 + x**2 / freedom) ** (-(freedom + 1) / 2), x) * constant
    assert compute_log10_tail(
        np.float64(t), np.float64(freedom), np.float64(freedom)
    ) == pytest.approx(math.log10(p), abs=1e-3)


def test_the_tail_is_smooth_and_falls_below_300():
    angles = np.geomspace(1, 1e-6, 400)
    tail = compute_log10_tail(np.cos(angles), np.sin(angles) ** 2, np.float64(127))
    assert (np.diff(tail) < 0).all() and tail[-1] < -600
    assert np.diff(tail[-100:]) == pytest.approx(
        np.diff(tail[-100:]).mean(), abs=1e-3
    )  # a power law


def weigh_evidence(grid, payload, stride=None, phase=0):
    """log10 p of a payload, by default where it lies in a picture that was neither cut nor resized."""
    return Blocks(grid, grid.shape[1] if stride is None else stride, phase).weigh(payload)


def test_a_blank_picture_is_no_evidence():
    assert weigh_evidence(np.zeros((64, 64), np.float32), PAYLOADS["sd-v1"]) == 0
    assert weigh_evidence(noise(0) * np.float32(1e-7), PAYLOADS["sd-v2"]) == 0


def test_the_spectrum_of_a_fold_is_that_of_the_sums_over_each_bits_blocks():
    grid, n_bits, stride = noise(1, 20, 31), 46, 18
    number = (stride * np.arange(20)[:, None] + np.arange(31)) % n_bits
    sums = np.bincount(number.ravel(), grid.ravel(), n_bits) / math.sqrt(grid.size)
    assert compute_spectra(grid.astype(float), n_bits, (3, stride))[1] == pytest.approx(
        np.fft.rfft(sums), abs=1e-9
    )


def test_points_beside_are_the_spectrum_of_the_shifted_wave():
    grid, along = noise(2, 16, 24).astype(float), 0.03
    expected = [
        (
            grid
            * np.exp(
                -2j
                * np.pi
                * ((5 * k / 32) * np.arange(16)[:, None] + (k / 32 + along) * np.arange(24))
            )
        ).sum()
        for k in range(17)
    ]
    assert compute_spectra(grid, 32, (5,), along)[0] == pytest.approx(
        np.array(expected) / math.sqrt(grid.size), abs=1e-9
    )


def test_the_gain_is_what_the_removal_of_the_local_mean_does_to_a_wave():
    rows, columns = np.mgrid[:80, :80]
    wave = np.cos(2 * np.pi * (0.15 * rows + 0.4 * columns))
    inner = subtract_local_mean(wave)[10:-10, 10:-10]
    assert inner == pytest.approx(
        wave[10:-10, 10:-10] * compute_gain(np.float64(0.15), np.float64(0.4)), abs=1e-6
    )


@pytest.mark.parametrize(
    ("n_bits", "text", "freedom"), [(136, True, 128), (224, True, 214), (48, False, 47)]
)
def test_a_text_loses_the_eight_means_of_its_letters_and_other_bits_one(n_bits, text, freedom):
    assert find_points(n_bits, (64,), text).freedom[0] == freedom


def test_the_pattern_of_letters_counts_for_nothing():
    alike, points = np.tile([0, 1, 1, 0, 0, 1, 0, 1], 17), find_points(136, (64,), True)
    text = PAYLOADS["sd-v1"].bits.astype(float)
    assert np.abs(whiten_payload(alike, points)).max() < 1e-3
    assert whiten_payload(text + alike, points) == pytest.approx(
        whiten_payload(text, points), abs=1e-12
    )


@pytest.mark.parametrize("width", [512, 768, 1024])
@pytest.mark.parametrize("name", PAYLOADS)
def test_a_mark_in_noise_is_found_at_its_stride_and_phase_and_read(name, width):
    payload, columns = PAYLOADS[name], width // 8
    grid = subtract_local_mean(
        laid_out(payload.bits, 64, columns, columns, 7) + 2 * noise(3, 64, columns)
    )
    assert weigh_evidence(grid, payload, columns, 7) < -15
    assert weigh_evidence(grid, payload, columns, 8) > -4
    assert ((measure_bits(grid, len(payload), columns, 7) > 0) == payload.bits).mean() > 0.9


def test_bits_that_stand_in_columns_are_no_weaker_evidence():
    payload = PAYLOADS[
        "sd-v2"
    ]  # stride 0 at width 512, where the removal of the mean takes most of some waves
    grid = subtract_local_mean(laid_out(payload.bits, 64, 64, 0) + 0.2 * noise(4))
    assert (
        weigh_evidence(grid, payload) < -40
    )  # Student's law of 32 numbers with the plain cosine ends at -12.7


@pytest.mark.parametrize("columns", [64, 61])
@pytest.mark.parametrize(("n_bits", "text"), SHAPES)
def test_p_is_uniform_in_noise_with_edges_that_run_down_the_picture(n_bits, text, columns):
    rng = np.random.default_rng(n_bits + columns)
    edges = rng.normal(size=(100, 1, columns)) * rng.exponential(0.3, (100, 1, 1))
    grids = np.stack([subtract_local_mean(g) for g in rng.normal(size=(100, 64, columns)) + edges])
    p = 10 ** tails(grids, rng.integers(0, 2, (2000, n_bits)), text, columns % n_bits)
    for level in (0.1, 0.01, 1e-3):
        assert (p < level).mean() < 1.5 * level


def test_a_wallpaper_does_not_make_p_small():
    """Its scores repeat every 32 blocks, as the payload's would, and the points beside are empty."""
    rng = np.random.default_rng(5)
    grids = np.stack(
        [subtract_local_mean(np.tile(rng.normal(size=(32, 32)), (2, 2))) for _ in range(100)]
    )
    p = 10 ** tails(grids, rng.integers(0, 2, (2000, 32)), True, 0)
    assert (p < 1e-3).mean() < 1.3e-3


def test_payloads_that_are_too_short_are_named_and_one_too_long_for_the_picture_is_no_evidence():
    with pytest.raises(ValueError, match="'A': 8 bits are too few"):
        require_testable(find_payload("A"))
    with pytest.raises(ValueError, match="too few"):
        require_testable(Payload("five", [0, 1, 0, 1, 1]))
    assert weigh_evidence(np.ones((10, 10)), PAYLOADS["sd-v1"]) == 0
