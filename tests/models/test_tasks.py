"""Each task gives the picture that diffusers' own pipeline gives, whatever else is in the batch."""

import os
import re
import warnings
from unittest import mock

import numpy as np
import pytest
from PIL import Image
from pipelines import write_depth, write_inpainting, write_single, write_upscaler

import sdlab.models.pipeline
from sdlab import MODELS, Model, Request
from sdlab.errors import FieldError
from sdlab.models.pipeline import load
from sdlab.models.resolve import native, resolve
from sdlab.models.tasks import TASKS, count_steps, find_tasks
from sdlab.render.renderer import Renderer

SAMPLERS = [
    "DDIM",
    "DDPM",
    "EulerDiscrete",
    "EulerAncestralDiscrete",
    "DPMSolverMultistep",
    "UniPCMultistep",
    "HeunDiscrete",
]


@pytest.fixture(scope="module")
def models(random_v1, tmp_path_factory):
    """Small models, by the channels that their UNets take."""
    top = tmp_path_factory.mktemp("tasks")
    found = {
        4: random_v1,
        9: write_inpainting(top / "inpainting"),
        5: write_depth(top / "depth"),
        7: write_upscaler(top / "x4"),
    }
    yield {channels: str(folder) for channels, folder in found.items()}
    sdlab.models.pipeline.unload()


def photo(seed=0, width=64, height=64):
    """Smooth random colours."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def mask(left=16, width=64, height=64):
    grey = np.zeros((height, width), np.uint8)
    grey[height // 4 : height // 2, left:] = 255
    return Image.fromarray(grey)


def asked(models, channels, **fields):
    base = dict(
        prompt="a cat",
        negative_prompt="dog",
        seed=3,
        guidance_scale=4,
        num_inference_steps=5,
        scheduler="DDIM",
    )
    return resolve(Request(model=models[channels], **base | fields))


def pixels(cells, size):
    """Those of the cells, rendered in one batch of that size, float32."""
    renderer = Renderer(load(native(cells[0].model), "cpu", "float32"), size)
    with mock.patch(
        "sdlab.render.renderer.finish_picture", lambda levels, watermark: levels / 255
    ):  # before they are rounded
        return [picture.image for picture in renderer.draw_pictures(cells)]


def stock(name, request, **given):
    """What diffusers' pipeline of that name makes of the loaded model's parts."""
    import diffusers
    import torch

    loaded, kind = load(native(request.model), "cpu", "float32"), getattr(diffusers, name)
    more = (
        {"requires_safety_checker": False}
        if "safety_checker" in loaded.pipe.components and "Upscale" not in name
        else {}
    )
    pipe = kind(**loaded.pipe.components, **more)
    pipe.scheduler = loaded.scheduler(
        request.scheduler
    )  # only now: the class would change its configuration
    pipe.set_progress_bar_config(disable=True)
    common = {
        field: getattr(request, field)
        for field in ("guidance_scale", "negative_prompt", "num_inference_steps")
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pipe(
            request.prompt,
            generator=torch.Generator().manual_seed(request.seed),
            output_type="np",
            **common,
            **given,
        ).images[0]


def same(made, expected):
    assert made.shape == expected.shape and expected.std() > 0.005
    return np.abs(made - expected).max() < 1e-5


# The same pictures as diffusers


@pytest.mark.parametrize("scheduler", SAMPLERS)
def test_img2img_equals_diffusers(models, scheduler):
    cell = asked(models, 4, image=photo(), strength=0.6, scheduler=scheduler)
    assert same(
        pixels([cell], 1)[0],
        stock("StableDiffusionImg2ImgPipeline", cell, image=photo(), strength=0.6),
    )


@pytest.mark.parametrize("channels", [4, 9])
@pytest.mark.parametrize(
    ("strength", "scheduler"),
    [(0.6, "EulerAncestralDiscrete"), (1.0, "EulerAncestralDiscrete"), (0.6, "DDIM")],
)
def test_inpainting_equals_diffusers(models, channels, strength, scheduler):
    cell = asked(
        models, channels, image=photo(), mask_image=mask(), strength=strength, scheduler=scheduler
    )
    expected = stock(
        "StableDiffusionInpaintPipeline",
        cell,
        image=photo(),
        mask_image=mask(),
        strength=strength,
        height=64,
        width=64,
    )
    assert same(pixels([cell], 1)[0], expected)


@pytest.mark.parametrize("scheduler", ["DDIM", "EulerAncestralDiscrete"])
def test_depth2img_equals_diffusers_with_the_checkpoints_own_estimate(models, scheduler):
    cell = asked(models, 5, image=photo(), strength=0.6, scheduler=scheduler)
    assert same(
        pixels([cell], 1)[0],
        stock("StableDiffusionDepth2ImgPipeline", cell, image=photo(), strength=0.6),
    )


def test_depth2img_equals_diffusers_with_a_given_depth_map(models):
    import torch

    near = photo(7).convert("L")
    cell = asked(models, 5, image=photo(), depth_map=near)
    depth = torch.from_numpy(np.array(near, np.float32))[None]
    made = pixels([cell, cell.but(depth_map=None)], 2)
    assert same(
        made[0], stock("StableDiffusionDepth2ImgPipeline", cell, image=photo(), depth_map=depth)
    )
    assert np.abs(made[0] - made[1]).max() > 1e-3


@pytest.mark.parametrize("scheduler", ["DDIM", "EulerAncestralDiscrete", "DPMSolverMultistep"])
def test_the_upscaler_equals_diffusers(models, scheduler):
    small = photo(width=16, height=24)
    cell = asked(models, 7, image=small, noise_level=50, scheduler=scheduler)
    assert (cell.height, cell.width) == (96, 64)
    assert same(
        pixels([cell], 1)[0],
        stock("StableDiffusionUpscalePipeline", cell, image=small, noise_level=50),
    )


def test_an_input_of_another_size_is_resized_as_diffusers_does(models):
    large = photo(width=150, height=110)
    cell = asked(models, 4, image=large, mask_image=mask(), height=64, width=96)
    expected = stock(
        "StableDiffusionInpaintPipeline",
        cell,
        image=large,
        mask_image=mask(),
        height=64,
        width=96,
        strength=1.0,
    )
    assert same(pixels([cell], 1)[0], expected)
    cell = asked(models, 4, image=photo(width=75, height=70))
    assert same(
        pixels([cell], 1)[0],
        stock("StableDiffusionImg2ImgPipeline", cell, image=photo(width=75, height=70)),
    )


# The same bits in any company


@pytest.mark.parametrize(
    ("channels", "masked"), [(4, False), (4, True), (9, True), (5, False), (7, False)]
)
def test_a_cell_has_the_same_bits_whatever_pictures_are_beside_it(models, channels, masked):
    width = 16 if channels == 7 else 64

    def cell(i):
        more = (
            {"mask_image": mask(8 * i)}
            if masked
            else {"noise_level": 10 * i}
            if channels == 7
            else {}
        )
        return asked(
            models,
            channels,
            image=photo(i, width, width),
            seed=i,
            scheduler="EulerAncestralDiscrete",
            **more,
        )

    together = pixels([cell(i) for i in range(4)], 4)
    others = pixels([cell(9), cell(3), cell(8), cell(1)], 4)
    assert np.array_equal(others[1], together[3]) and np.array_equal(others[3], together[1])
    assert np.array_equal(pixels([cell(2)], 4)[0], together[2])
    assert np.abs(together[0] - together[1]).max() > 1e-3


def test_the_number_of_steps_that_are_computed_follows_from_the_strength(models):
    seen = []
    cell = asked(models, 4, image=photo(), strength=0.5, num_inference_steps=6)
    Renderer(load(native(cell.model), "cpu", "float32"), 1).draw_pictures(
        [cell], lambda done, total, clean: seen.append((done, total))
    )
    assert (
        seen == [(0, 3), (1, 3), (2, 3)]
        and count_steps(0.29, 100) == 28
        and count_steps(None, 7) == 7
    )


def test_outside_the_mask_the_picture_stays_with_4_channels(models):
    own = photo()
    cell = asked(models, 4, image=own, mask_image=Image.new("L", (64, 64), 0))
    other = cell.but(prompt="the dog", guidance_scale=9)
    a, b = pixels([cell, other], 2)
    assert np.array_equal(a, b)  # nothing is painted, so the prompt does not matter


# What is refused, and what is native


def test_native_values_follow_from_the_task(models):
    own = photo(width=43, height=80)
    found = [
        asked(models, 4),
        asked(models, 4, image=own),
        asked(models, 4, image=own, mask_image=own),
        asked(models, 5, image=own),
        asked(models, 7, image=photo(width=18, height=16)),
    ]
    assert [(r.strength, r.noise_level, r.width, r.height) for r in found] == [
        (None, None, 64, 64),
        (0.8, None, 40, 80),
        (1.0, None, 40, 80),
        (0.8, None, 40, 80),
        (None, 20, 64, 64),
    ]
    assert asked(models, 4, image=own, height=64).width == 32  # in proportion 34.4
    assert (
        asked(models, 4, image=own).key
        == asked(models, 4, image=own, strength=0.8, height=80, width=40).key
    )


@pytest.mark.parametrize(
    ("channels", "fields", "said"),
    [
        (4, dict(strength=0.5), "strength=0.5 has no meaning for txt2img .* goes with image="),
        (4, dict(mask_image=mask()), "mask_image=.* goes with image="),
        (4, dict(image=photo(), depth_map=mask()), "depth_map=.* a model guided by depth"),
        (4, dict(image=photo(), noise_level=3), "noise_level=3 has no meaning for img2img"),
        (4, dict(image=photo(), strength=0.1), "less than one step.* at least 0.2"),
        (4, dict(image=photo(width=7)), "width 0, outside 8"),
        (9, dict(), "needs image=, the picture to begin with"),
        (9, dict(image=photo()), "needs mask_image=, white where"),
        (5, dict(), "is for depth2img and needs image="),
        (7, dict(), "is for upscale and needs image="),
        (7, dict(image=photo(), strength=1), "strength=1.0 has no meaning for upscale"),
        (7, dict(image=photo(), noise_level=351), "has learned 0 to 350"),
        (7, dict(image=photo(), height=64), "height=64: the upscaler makes 256x256"),
        (
            4,
            dict(image="0123456789abcdef" * 2),
            "no input picture 0123.* give the picture itself again",
        ),
    ],
)
def test_what_does_not_fit_the_task_is_refused_at_its_field(models, channels, fields, said):
    with pytest.raises(FieldError, match=said) as caught:
        asked(models, channels, **fields)
    assert caught.value.field in {*fields, *re.findall("needs (.+)=", said), "width"}


def test_eight_channels_are_two_tasks_that_the_class_tells_apart():
    assert find_tasks(8) == []
    for name in ("latent_upscale", "edit"):
        assert find_tasks(8, TASKS[name].pipeline) == [TASKS[name]] and TASKS[name].name == name
    assert [row.name for row in find_tasks(4, "any")] == ["txt2img", "img2img", "inpaint"]


def test_a_depth_checkpoint_with_the_class_of_2022_loads(models, tmp_path):
    import shutil

    folder = shutil.copytree(models[5], tmp_path / "old", copy_function=os.link)
    index = folder / "model_index.json"
    text = index.read_text()
    index.unlink()
    index.write_text(text.replace("DPTImageProcessorPil", "DPTFeatureExtractor"))
    cell = asked({5: str(folder)}, 5, image=photo())
    assert np.array_equal(pixels([cell], 1)[0], pixels([asked(models, 5, image=photo())], 1)[0])


@pytest.mark.parametrize(
    ("channels", "write"), [(9, write_inpainting), (5, write_depth), (7, write_upscaler)]
)
def test_a_single_file_with_the_folder_of_its_configuration_makes_the_same_picture(
    tmp_path, monkeypatch, channels, write
):
    folder = write(tmp_path / "folder", layers=2)
    file = write_single(folder, tmp_path / "model.safetensors")
    monkeypatch.setitem(MODELS, "single", Model.from_path(file, config=folder))
    given = {"mask_image": mask()} if channels == 9 else {}
    size = 16 if channels == 7 else 64
    cells = [
        asked({0: name}, 0, image=photo(width=size, height=size), num_inference_steps=2, **given)
        for name in (str(folder), "single")
    ]
    a, b = (pixels([cell], 1)[0] for cell in cells)
    assert same(a, b) and cells[0].weights != cells[1].weights
