"""Pictures whose edges fit together, and sizes by proportions."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

import sdlab.models.pipeline
from sdlab import FieldError, Request, estimate, resolve, run, sweep
from sdlab.models.pipeline import load
from sdlab.models.resolve import native, swap_parts
from sdlab.recipe.sizes import fit_aspect
from sdlab.render.renderer import Renderer

CAT = Request(prompt="a cat", seed=4, num_inference_steps=4)
AXIS = {"x": -1, "y": -2}
FACTOR, ROLLED = 4, 6  # pixels to one of tiny-v1's latents; latents, a multiple of the UNet's two


@pytest.fixture(scope="module", autouse=True)
def unloaded():
    yield
    sdlab.models.pipeline.unload()


def draw(request, roll=(), memory="auto"):
    """The pixels (H, W, 3) of a cell whose noise is rolled along these axes."""
    cell = resolve(request)
    renderer = Renderer(load(swap_parts(native(cell.model), cell), "cpu", "float32", memory), 1)

    def blend(cond, uncond, begin):
        def begin_rolled(scheduler, generators, steps):
            start = begin(scheduler, generators, steps)
            latents = start.latents
            for axis in roll:
                latents = latents.roll(ROLLED, AXIS[axis])
            return dataclasses.replace(start, latents=latents)

        return cond, uncond, begin_rolled

    (picture,) = renderer.draw_pictures([cell], blend=blend)
    return np.asarray(picture.image, int)


def roll(pixels, axes):
    for axis in axes:
        pixels = np.roll(pixels, FACTOR * ROLLED, AXIS[axis] + 2)
    return pixels


@pytest.mark.parametrize("tiling", ["x", "y", "both"])
def test_rolled_noise_makes_the_rolled_picture_along_the_edges_that_fit(tiling):
    axes, request = {"both": "xy"}.get(tiling, tiling), CAT.but(tiling=tiling)
    assert np.abs(draw(request, axes) - roll(draw(request), axes)).max() <= 1
    for other in set("xy") - set(axes):
        assert np.abs(draw(request, other) - roll(draw(request), other)).max() > 20


def test_the_next_cell_has_its_own_bits_again_and_so_has_another_vae():
    plain, other = draw(CAT), CAT.but(vae="tiny-v2")
    swapped, tiled = draw(other), other.but(tiling="x")
    assert np.abs(draw(tiled, "x") - roll(draw(tiled), "x")).max() <= 1
    assert np.array_equal(draw(other), swapped)
    assert np.abs(draw(CAT.but(tiling="both")) - plain).max() > 20
    assert np.array_equal(draw(CAT), plain)
    layer = load(native("tiny-v1"), "cpu", "float32").pipe.vae.decoder.conv_in
    assert "_conv_forward" not in vars(layer)


def test_the_encoder_of_an_input_picture_sees_around_its_edges():
    cell = resolve(CAT.but(tiling="both"))
    vae = load(swap_parts(native(cell.model), cell), "cpu", "float32").pipe.vae
    pixels = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.inference_mode():
        mean, rolled = (
            vae.encode(each).latent_dist.mode() for each in (pixels, pixels.roll((8, 24), (2, 3)))
        )
    assert torch.allclose(mean.roll((2, 6), (2, 3)), rolled, atol=1e-4)


def test_cells_of_other_edges_are_other_groups_and_the_column_tells(tmp_path):
    plan = sweep(CAT, tiling=[None, "x", "both"], seed=[1, 2])
    frame = run(plan, tmp_path, progress=False, on_error="raise", dtype="float32")
    assert frame["tiling"].fillna("none").tolist() == ["none"] * 2 + ["x"] * 2 + ["both"] * 2
    assert frame["pixels"].nunique() == 6
    with Image.open(frame["path"][4]) as image:
        assert "Tiling: both" in image.info["parameters"]
    how = {"dtype": "float32", "batch_size": frame["batch_size"][4]}
    again = run(CAT.but(tiling="both", seed=1), tmp_path / "again", progress=False, **how)
    assert again["pixels"][0] == frame["pixels"][4]


def test_a_seamless_picture_is_not_decoded_in_tiles():
    request = CAT.but(tiling="both", model="tiny-x4", image=Image.new("RGB", (64, 64), "red"))
    cell = resolve(request)
    own = swap_parts(native(cell.model), cell)
    assert not load(own, "cpu", "float32", "low").pipe.vae.use_tiling
    plain = dataclasses.replace(own, swaps=dataclasses.replace(own.swaps, tiling=None))
    assert load(plain, "cpu", "float32", "low").pipe.vae.use_tiling


# ---- sizes by proportions


def test_proportions_become_height_and_width_at_the_native_area():
    for aspect, native_size in (("3:2", 64), ("16:9", 64), ("2:3", 512), ("21:9", 1024)):
        wide, tall = (float(side) for side in aspect.split(":"))
        height, width = fit_aspect(aspect, (native_size, native_size))
        assert height % 8 == width % 8 == 0
        assert abs(width - native_size * (wide / tall) ** 0.5) <= 4
        assert abs(height - native_size * (tall / wide) ** 0.5) <= 4
    cell = resolve(CAT.but(aspect="3:2"))
    assert (cell.height, cell.width, cell.aspect) == (56, 80, None)
    assert cell.key == resolve(CAT.but(height=56, width=80)).key
    assert resolve(CAT.but(aspect="2:1", width=128)).height == 64
    assert resolve(cell).key == cell.key and cell.but(width=64).width == 64


def test_proportions_beside_both_sides_are_refused():
    with pytest.raises(FieldError, match="height=64 and width=64 say it already") as caught:
        resolve(CAT.but(aspect="3:2", height=64, width=64))
    assert caught.value.field == "aspect"
    picture = Image.new("RGB", (16, 16))
    with pytest.raises(FieldError, match="follows from that of the input") as caught:
        resolve(CAT.but(model="tiny-x4", image=picture, aspect="3:2"))
    assert caught.value.field == "aspect"


def test_proportions_are_an_axis_and_count_in_an_estimate():
    plan = sweep(CAT, aspect=["1:1", "3:2", "2:3"])
    assert [(r.height, r.width) for r in map(resolve, plan)] == [(64, 64), (56, 80), (80, 56)]
    frame = estimate(CAT.but(model="sdxl-1-0", aspect="3:2"), free=1e12).frame
    assert (frame["height"][0], frame["width"][0]) == (840, 1256)
