"""Another VAE or another mark needs no new denoising: latents are kept within a run, and in the pictures."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from conftest import write_pipeline

import sdlab.render.renderer
from sdlab import Request, Store, resolve, run, sweep
from sdlab.render.latents import pack_latents, read_latents, unpack_latents


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return str(write_pipeline(tmp_path_factory.mktemp("other") / "other", seed=1))


@pytest.fixture
def cells(random_v1, other):
    return sweep(
        Request(model=str(random_v1), prompt="the cat", num_inference_steps=2),
        vae=[None, other],
        seed=range(3),
    )


@pytest.fixture
def denoised(monkeypatch):
    """The seeds of each call of `denoise`."""
    calls, denoise = [], sdlab.render.renderer.denoise
    monkeypatch.setattr(
        sdlab.render.renderer,
        "denoise",
        lambda *given, seeds, **more: calls.append(seeds) or denoise(*given, seeds=seeds, **more),
    )
    return calls


def rendered(cells, folder, **options):
    return run(
        cells,
        folder,
        **{"dtype": "float32", "batch_size": 2, "progress": False, "on_error": "raise", **options},
    )


def redecoded(frame, folder):
    return [Store(folder).record(key)["facts"].get("redecoded") for key in frame["key"]]


@pytest.fixture(scope="module")
def separately(random_v1, other, tmp_path_factory):
    """The pixels of the same cells, each VAE by itself, all denoised."""
    cells = sweep(
        Request(model=str(random_v1), prompt="the cat", num_inference_steps=2),
        vae=[None, other],
        seed=range(3),
    )
    top = tmp_path_factory.mktemp("separately")
    return [*rendered(cells[:3], top / "a")["pixels"], *rendered(cells[3:], top / "b")["pixels"]]


def test_within_a_run_each_noise_is_denoised_once(cells, denoised, separately, tmp_path):
    frame = rendered(cells, tmp_path, keep_latents=False)
    assert (
        sum(len(set(seeds)) for seeds in denoised) == 3 and frame["pixels"].tolist() == separately
    )
    assert redecoded(frame, tmp_path) == [None] * 3 + frame["key"].tolist()[:3]
    assert [read_latents(path) for path in frame["path"]] == [None] * 6


@pytest.mark.parametrize("first", [slice(0, 3), slice(3, 6)], ids=["plain first", "other first"])
def test_a_later_run_takes_the_latents_from_the_store(cells, denoised, separately, tmp_path, first):
    rendered(cells[first], tmp_path)
    del denoised[:]
    frame = rendered(cells, tmp_path)
    assert not denoised and frame["pixels"].tolist() == separately


def test_a_later_run_of_the_other_vae_alone_finds_the_plain_picture(
    cells, denoised, separately, tmp_path
):
    rendered(cells[1:3], tmp_path)
    del denoised[:]
    frame = rendered(cells[3:], tmp_path)
    assert denoised == [[0, 0]] and frame["pixels"].tolist() == separately[3:]
    assert len(Store(tmp_path).check()) == 0


def test_one_cell_of_a_larger_sweep_is_decoded_from_its_latents(
    cells, denoised, separately, tmp_path
):
    usual = {"batch_size": None}
    rendered(cells[1:3], tmp_path)
    rendered(cells[0], tmp_path, batch_size=1)
    del denoised[:]
    frame = rendered(cells[4], tmp_path, **usual)
    assert not denoised and redecoded(frame, tmp_path) == [resolve(cells[1]).key]
    assert frame["batch_size"][0] == 2 and frame["pixels"][0] == separately[4]
    frame = rendered(cells[3:], tmp_path, **usual)
    assert not denoised and frame["batch_size"].tolist() == [1, 2, 2]


@pytest.mark.parametrize("options", [{"batch_size": 3}, {"dtype": "bfloat16"}])
def test_latents_made_in_another_way_are_not_taken(cells, denoised, tmp_path, options):
    rendered(cells[:3], tmp_path)
    del denoised[:]
    frame = rendered(cells[3:], tmp_path, **options)
    assert denoised and redecoded(frame, tmp_path) == [None] * 3


def test_a_picture_carries_the_very_latents_unless_that_is_not_wanted(cells, tmp_path):
    from sdlab.models.pipeline import load
    from sdlab.models.resolve import native
    from sdlab.render.renderer import Renderer

    frame = rendered(cells[0], tmp_path / "kept")
    plain = rendered(cells[0], tmp_path / "not", keep_latents=False)
    request = Request(**Store(tmp_path / "kept").record(frame["key"][0])["request"])
    own = (
        Renderer(load(native(request.model), "cpu", "float32"), 2)
        .draw_pictures([request])[0]
        .latents
    )
    assert (
        np.allclose(read_latents(frame["path"][0]), own, atol=1e-5)
        and read_latents(plain["path"][0]) is None
    )
    assert plain["pixels"][0] == frame["pixels"][0]


def test_cells_that_differ_in_their_mark_are_denoised_once(random_v1, denoised, tmp_path):
    base = Request(
        model=str(random_v1), prompt="the cat", num_inference_steps=1, height=256, width=256
    )
    marks = sweep(base, watermark=[None, "sd-v1", "sd-v2"])
    frame = rendered(marks, tmp_path, batch_size=1)
    apart = rendered(marks[1], tmp_path / "apart", batch_size=1)
    assert (
        len(denoised) == 2
        and frame["pixels"][1] == apart["pixels"][0]
        and frame["pixels"].nunique() == 3
    )


@pytest.mark.parametrize("shape", [(4, 8, 8), (4, 64, 96), (1, 1, 1)])
def test_packed_latents_come_back_bit_by_bit(shape):
    latents = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    latents.flat[0] = -0.0
    assert (
        unpack_latents(pack_latents(latents)).tobytes() == latents.tobytes()
        and unpack_latents(pack_latents(latents)).shape == shape
    )


def test_a_picture_whose_latents_are_damaged_is_denoised_again(
    cells, denoised, separately, tmp_path
):
    plain = rendered(cells[0], tmp_path)
    path = Path(plain["path"][0])
    data = path.read_bytes()
    at = data.index(b"sdLA") + 30
    path.write_bytes(data[:at] + bytes(16) + data[at + 16 :])
    del denoised[:]
    frame = rendered(cells[3], tmp_path)
    assert (
        len(denoised) == 1
        and frame["pixels"][0] == separately[3]
        and redecoded(frame, tmp_path) == [None]
    )


def test_pictures_made_from_pictures_share_no_latents(cells, random_v1):
    from sdlab.models.resolve import key_of_latents, native, resolve

    own = native(str(random_v1))
    plain, other = (resolve(cell) for cell in (cells[0], cells[3]))
    assert (
        key_of_latents(plain, own)
        == key_of_latents(other, own)
        == resolve(plain).key
        != resolve(other).key
    )
    assert key_of_latents(dataclasses.replace(plain, image="0" * 32), own) is None
