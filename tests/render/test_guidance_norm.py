"""How long the direction is that a prompt adds: recorded with each picture, of which no bit is another for it."""

import numpy as np
import pandas as pd
import pytest
import torch

import sdlab.render.renderer
from sdlab import Request, run, sweep


@pytest.fixture(scope="module")
def cells(random_v1):
    base = Request(model=str(random_v1), scheduler="DDIM", num_inference_steps=3, guidance_scale=4)
    return sweep(base, prompt=["the cat", "a dog in the cat"], seed=[1, 2])


def rendered(cells, folder, **options):
    how = {"dtype": "float32", "progress": False, "on_error": "raise"}
    return run(cells, folder, **how, **options)


@pytest.fixture(scope="module")
def frame(cells, tmp_path_factory):
    return rendered(cells, tmp_path_factory.mktemp("norms"), batch_size=3)


def test_the_norm_is_that_of_diffusers_own_predictions(cells, frame, random_v1):
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(random_v1, safety_checker=None)
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
    pipe.set_progress_bar_config(disable=True)
    seen = []
    pipe.unet.register_forward_hook(lambda unet, given, made: seen.append(made[0].numpy()))
    for cell, norm in zip(cells, frame["guidance_norm"]):
        del seen[:]
        generator = torch.Generator().manual_seed(cell.seed)
        how = dict(num_inference_steps=3, guidance_scale=4.0, output_type="latent")
        pipe(cell.prompt, generator=generator, **how)
        lengths = [np.sqrt(np.sum((text - none) ** 2)) for none, text in seen]
        assert len(lengths) == 3 and norm == pytest.approx(np.mean(lengths), rel=1e-3)
    assert frame["guidance_norm"].nunique() == 4


def test_no_bit_of_a_picture_depends_on_it(cells, frame, tmp_path, monkeypatch):
    denoise = sdlab.render.renderer.denoise

    def without(*given, watch, **more):
        return denoise(*given, **more)

    monkeypatch.setattr(sdlab.render.renderer, "denoise", without)
    again = rendered(cells, tmp_path, batch_size=3)
    assert again["pixels"].tolist() == frame["pixels"].tolist()
    assert again["key"].tolist() == frame["key"].tolist()
    assert again["guidance_norm"].isna().all()


def test_a_prompt_that_is_the_negative_prompt_adds_nothing(random_v1, tmp_path):
    base = Request(model=str(random_v1), prompt="the cat", num_inference_steps=1)
    frame = rendered(sweep(base, negative_prompt=["the cat", "a dog"]), tmp_path)
    assert frame["guidance_norm"][0] == 0 < frame["guidance_norm"][1]


def test_it_is_missing_where_nothing_was_denoised(random_v1, tmp_path):
    """A cell with another mark takes the latents of its neighbour."""
    base = Request(model=str(random_v1), num_inference_steps=1, height=256, width=256)
    frame = rendered(sweep(base, watermark=[None, "sd-v1"]), tmp_path, batch_size=1)
    assert frame["guidance_norm"].isna().tolist() == [False, True]
    assert frame["guidance_norm"].dtype == pd.Float64Dtype()


def test_what_is_no_number_is_not_recorded():
    norms = [torch.tensor([3.0, 1.0]), torch.tensor([4.0, float("nan")])]
    assert sdlab.render.renderer.average_norms(norms, 2) == [3.5, None]
    assert sdlab.render.renderer.average_norms([], 2) == [None, None]
