"""The x2 upscaler of latents runs in diffusers' own pipeline, a cell at a time, with the comforts of every other task."""

import threading
import warnings
from unittest import mock

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionLatentUpscalePipeline
from PIL import Image
from pipelines import write_latent_upscaler

import sdlab.models.pipeline
from sdlab import MODELS, Job, Model, Request, preview, run
from sdlab.models.pipeline import load
from sdlab.models.resolve import native, resolve
from sdlab.render.denoise import Cancelled
from sdlab.render.renderer import Renderer


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    yield write_latent_upscaler(tmp_path_factory.mktemp("x2") / "model")
    sdlab.models.pipeline.unload()


@pytest.fixture
def cat(folder):
    return Request(
        model=str(folder),
        prompt="a cat",
        negative_prompt="dog",
        seed=3,
        guidance_scale=4,
        num_inference_steps=3,
        image=photo(),
    )


def photo(width=64, height=96, seed=0):
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def renderer(cat, **options):
    return Renderer(load(native(cat.model), "cpu", "float32", **options))


def pixels(cat, **options):
    """Those of the cell, float32."""
    with mock.patch(
        "sdlab.render.renderer.finish_picture", lambda levels, watermark: levels / 255
    ):  # before they are rounded
        return renderer(cat, **options).draw_pictures([resolve(cat)])[0].image


def stock(cat, image):
    """What diffusers' pipeline makes, read from the folder anew."""
    pipe = StableDiffusionLatentUpscalePipeline.from_pretrained(cat.model, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    with warnings.catch_warnings(action="ignore"):
        return pipe(
            cat.prompt,
            image,
            negative_prompt=cat.negative_prompt,
            guidance_scale=cat.guidance_scale,
            output_type="np",
            num_inference_steps=cat.num_inference_steps,
            generator=torch.Generator().manual_seed(cat.seed),
        ).images[0]


# The same pictures as diffusers


@pytest.mark.parametrize("guidance_scale", [4, 1, 0])
def test_a_cell_equals_diffusers(cat, guidance_scale):
    asked = cat.but(guidance_scale=guidance_scale)
    made, expected = pixels(asked), stock(asked, photo())
    assert made.shape == expected.shape == (192, 128, 3) and expected.std() > 0.005
    assert np.abs(made - expected).max() < 1e-5


def test_prompts_seed_picture_and_schedule_matter(cat):
    first = pixels(cat)
    for change in (
        dict(prompt="the dog"),
        dict(negative_prompt=""),
        dict(seed=4),
        dict(image=photo(seed=1)),
        dict(scheduler="Euler Karras"),
    ):
        assert np.abs(pixels(cat.but(**change)) - first).max() > 1e-4, change


def test_cells_at_work_at_the_same_time_do_not_disturb_each_other(cat):
    own, other, told = renderer(cat), resolve(cat.but(seed=9, num_inference_steps=2)), []

    def on_step(done, total, clean):
        told.append(own.draw_pictures([other])[0].image)

    with mock.patch("sdlab.render.renderer.finish_picture", lambda levels, watermark: levels / 255):
        made = own.draw_pictures([resolve(cat)], on_step)[0].image
    assert (
        np.array_equal(made, pixels(cat))
        and len(told) == 3
        and np.array_equal(told[1], pixels(other))
    )


@pytest.mark.parametrize("memory", ["low", "lowest"])
def test_a_sparing_pipeline_makes_the_same_picture(cat, memory):
    assert np.abs(pixels(cat, memory=memory) - pixels(cat)).max() < 1e-5


# In a run


def test_a_run_stores_it_with_its_task(cat, tmp_path):
    cells = [cat.but(seed=seed) for seed in (3, 4)]
    frame = run(cells, tmp_path, progress=False, batch_size=4, memory="lowest", dtype="float32")
    assert frame["error"].isna().all() and list(frame["task"]) == ["latent_upscale"] * 2
    assert list(zip(frame["width"], frame["height"], frame["batch_size"])) == [(128, 192, 1)] * 2
    expected = (stock(cat, photo()) * 255).round()
    assert np.abs(np.array(Image.open(frame["path"][0])) - expected).max() <= 1
    assert Job(cells, tmp_path, progress=False).progress.todo == 0


def test_it_computes_in_half_precision_too(cat, tmp_path):
    frame = run(cat, tmp_path, progress=False, dtype="bfloat16")
    assert list(frame["dtype"]) == ["bfloat16"] and frame["error"].isna().all()
    difference = np.array(Image.open(frame["path"][0])) - stock(cat, photo()) * 255
    assert 0 < np.abs(difference).mean() < 3


def test_every_step_is_told_and_can_be_the_last(cat):
    seen = []

    def on_step(done, total, clean):
        seen.append((done, total))
        if done == 2:
            raise Cancelled

    cell = resolve(cat.but(num_inference_steps=50))
    with pytest.raises(Cancelled):
        renderer(cat).draw_pictures([cell], on_step)
    assert seen == [(0, 50), (1, 50), (2, 50)]
    seen.clear()
    renderer(cat).draw_pictures([resolve(cat.but(num_inference_steps=2))], on_step)
    assert seen == [(0, 2), (1, 2)]


def test_a_job_stops_within_a_step(cat, tmp_path):
    begun, stopped, calls = threading.Event(), threading.Event(), []

    def hold(module, inputs):
        calls.append(begun.set())
        assert stopped.wait(60)

    hook = load(native(cat.model), "cpu", "float32").pipe.unet.register_forward_pre_hook(hold)
    try:
        job = Job(cat, tmp_path, progress=False, device="cpu", dtype="float32")
        assert begun.wait(60)
        job.stop()
        stopped.set()
        assert job.wait(60)
    finally:
        hook.remove()
    assert job.state == "stopped" and len(calls) == 1 and job.frame()["path"].isna().all()


# What is native, and what is refused


def test_no_size_is_unusual(cat, tmp_path):
    with warnings.catch_warnings(action="error"):
        assert preview(cat, tmp_path).todo == 1


def test_native_values_are_those_of_diffusers(cat):
    from inspect import signature

    stated, row = (
        signature(StableDiffusionLatentUpscalePipeline.__call__).parameters,
        MODELS["sd-x2-latent-upscaler"],
    )
    assert not row.unsupported and row.task == "latent_upscale"
    for field in ("guidance_scale", "num_inference_steps"):
        assert getattr(row, field) == stated[field].default
    found = resolve(cat)
    assert (found.scheduler, found.noise_level, found.strength) == (
        "EulerDiscreteScheduler",
        None,
        None,
    )
    assert found.key == resolve(cat.but(height=192, width=128)).key


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (dict(image=None), "is for latent_upscale and needs image="),
        (
            dict(image=photo(32, 64)),
            "width 64; give one of at most 4096 pixels a side, at least 64, and multiples of 32",
        ),
        (dict(image=photo(64, 104)), "height 208; .* multiples of 32: crop or resize it"),
        (dict(height=96), "height=96: the upscaler makes 128x192"),
        (dict(noise_level=20), "noise_level=20 has no meaning .* a x4 upscaler"),
        (dict(strength=0.5), "strength=0.5 has no meaning"),
        (dict(mask_image=photo()), "mask_image=.* has no meaning"),
        (dict(scheduler="DDIM"), "works with EulerDiscreteScheduler alone"),
        (dict(eta=0.5), "eta=0.5 has a meaning for DDIMScheduler and TCDScheduler only"),
        (dict(clip_skip=1), "clip_skip=1: .* is given no clip_skip here; leave it out"),
        (dict(guidance_rescale=0.7), "is given no guidance_rescale"),
        (dict(prompt_syntax="chunks"), "is given no prompt_syntax"),
    ],
)
def test_what_it_cannot_do_is_refused_before_anything_runs(cat, fields, said):
    with pytest.raises(ValueError, match=said):
        resolve(cat.but(**fields))


@pytest.mark.parametrize("field", ["lora", "textual_inversion"])
def test_parts_that_its_pipeline_does_not_take_are_refused(cat, field):
    with (
        mock.patch("sdlab.models.resolve.swap_parts", lambda own, request: own),
        pytest.raises(ValueError, match=f"is given no {field}"),
    ):
        resolve(cat.but(**{field: "some.safetensors"}))


def test_a_single_file_of_it_is_refused(folder, tmp_path):
    (tmp_path / "x2.safetensors").write_bytes(b"")
    with pytest.raises(ValueError, match="reads the x2 upscaler of latents from a folder"):
        Model.from_path(tmp_path / "x2.safetensors", config=folder)
