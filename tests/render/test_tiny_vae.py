"""AutoencoderTiny (TAESD) as `vae=`, in every task and on every level of memory; VAEs of other latent spaces."""

import json
import shutil
import warnings
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from conftest import write_pipeline
from PIL import Image
from pipelines import write_edit, write_inpainting

import sdlab.models.pipeline
from sdlab import Request, preview, resolve, run
from sdlab.errors import FieldError
from sdlab.models.memory import tile_vae
from sdlab.models.pipeline import load
from sdlab.models.resolve import native, swap_parts
from sdlab.render.renderer import Renderer
from sdlab.render.sketch import fit_colours
from sdlab.render.start import Conditions


def write_taesd(folder, levels=4, **more):
    """As published, but narrow."""
    from diffusers import AutoencoderTiny

    torch.manual_seed(0)
    vae = AutoencoderTiny(
        encoder_block_out_channels=(16,) * levels,
        decoder_block_out_channels=(16,) * levels,
        num_encoder_blocks=(1,) * levels,
        num_decoder_blocks=(1,) * levels,
        **more,
    )
    with torch.no_grad():
        for part in (vae.encoder, vae.decoder):  # else random ones make the same of everything
            list(part.parameters())[-2].mul_(20)
    vae.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """{name: folder}: models of three tasks, and a small VAE."""
    top = tmp_path_factory.mktemp("tiny-vae")
    yield {
        "txt2img": str(write_pipeline(top / "v1")),
        "inpaint": str(write_inpainting(top / "inpaint")),
        "edit": str(write_edit(top / "edit")),
        "taesd": write_taesd(top / "taesd"),
    }
    sdlab.models.pipeline.unload()


def photo(seed=0, side=64):
    noise = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC)


def mask():
    levels = np.zeros((64, 64), np.uint8)
    levels[16:48, 16:48] = 255
    return Image.fromarray(levels)


TASKS = {
    "txt2img": ("txt2img", "StableDiffusionPipeline", {}),
    "img2img": ("txt2img", "StableDiffusionImg2ImgPipeline", {"image": photo(), "strength": 0.6}),
    "outside": (
        "txt2img",
        "StableDiffusionInpaintPipeline",
        {"image": photo(), "mask_image": mask(), "strength": 0.6},
    ),
    "inpaint": (
        "inpaint",
        "StableDiffusionInpaintPipeline",
        {"image": photo(), "mask_image": mask(), "strength": 1.0},
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("task", TASKS)
def test_a_tiny_vae_makes_the_pictures_of_diffusers_with_it(places, task):
    import diffusers

    model, kind, given = TASKS[task]
    fields = dict(num_inference_steps=4, guidance_scale=4.0, **given)
    cell = Request(
        model=places[model], vae=places["taesd"], prompt="a cat", seed=1, scheduler="DDIM", **fields
    )
    own = swap_parts(native(cell.model), cell)
    with mock.patch("sdlab.render.renderer.finish_picture", lambda levels, watermark: levels / 255):
        drawn = Renderer(load(own, "cpu", "float32"), 1).draw_pictures([resolve(cell)])[0].image
    pipe = diffusers.StableDiffusionPipeline.from_pretrained(places[model])
    scheduler = diffusers.DDIMScheduler.from_config(pipe.scheduler.config)
    parts = pipe.components | {"vae": diffusers.AutoencoderTiny.from_pretrained(places["taesd"])}
    pipe = getattr(diffusers, kind)(**parts, requires_safety_checker=False)
    pipe.scheduler = scheduler
    size = {"height": 64, "width": 64} if "mask_image" in given else {}
    expected = pipe(
        "a cat", generator=torch.Generator().manual_seed(1), output_type="np", **fields, **size
    ).images[0]
    assert np.abs(drawn - expected).max() < 1e-5 and expected.std() > 0.02


def test_an_edit_sees_the_latents_unscaled_as_its_own_vae_gives_them(places):
    cell = resolve(
        Request(model=places["edit"], vae=places["taesd"], prompt="a cat", image=photo())
    )
    loaded = load(swap_parts(native(cell.model), cell), "cpu", "float32")
    scheduler = loaded.scheduler(cell.scheduler)
    scheduler.set_timesteps(4)
    start = Conditions(loaded).begin([cell])(scheduler, [torch.Generator().manual_seed(0)], 4)
    with torch.inference_mode():
        pixels = loaded.pipe.image_processor.preprocess(photo(), 64, 64)
        latents = loaded.pipe.vae.encode(pixels).latents  # scaled by 0.18215 already
    assert torch.allclose(start.channels, latents / 0.18215, atol=1e-4)


@pytest.mark.parametrize("levels", [3, 4])
def test_tiles_of_a_tiny_vae_fit_together(tmp_path, levels):
    from diffusers import AutoencoderTiny

    vae = AutoencoderTiny.from_pretrained(write_taesd(tmp_path / "taesd", levels))
    factor = 2 ** (levels - 1)
    pixels = torch.from_numpy(np.array(photo(side=640))).permute(2, 0, 1)[None] / 127.5 - 1
    with torch.inference_mode():
        latents = vae.encode(pixels).latents
        whole = vae.decode(latents).sample
        tile_vae(vae, "lowest")
        assert vae.encode(pixels).latents.shape == latents.shape == (1, 4, *[640 // factor] * 2)
        tiled = vae.decode(latents).sample
    assert tiled.shape == whole.shape and (tiled - whole).abs().mean() < whole.std() / 20


def test_a_tiny_vae_works_on_every_level_of_memory_and_shares_latents(places, tmp_path):
    cell = Request(model=places["txt2img"], prompt="a cat", num_inference_steps=2)
    run(cell, tmp_path / "auto", progress=False)
    for memory in ("auto", "low", "lowest"):
        plan = [cell, cell.but(vae=places["taesd"])]
        frame = run(plan, tmp_path / memory, memory=memory, on_error="raise", progress=False)
        assert frame.pixels.nunique() == 2
    said = Image.open(frame.path[1]).info["parameters"]
    assert "VAE" not in said or "taesd" in said
    assert fit_colours(load(swap_parts(native(cell.model), plan[1])).pipe.vae).shape == (5, 3)


def test_a_model_whose_own_vae_is_a_tiny_one_is_run(places, tmp_path):
    folder = shutil.copytree(places["txt2img"], tmp_path / "model")
    shutil.rmtree(folder / "vae")
    shutil.copytree(places["taesd"], folder / "vae")
    index = json.loads((folder / "model_index.json").read_text())
    index["vae"] = ["diffusers", "AutoencoderTiny"]
    (folder / "model_index.json").write_text(json.dumps(index))
    cells = [
        Request(model=str(folder), prompt="a cat", num_inference_steps=2),
        Request(
            model=places["txt2img"], vae=places["taesd"], prompt="a cat", num_inference_steps=2
        ),
        Request(model=str(folder), vae=places["txt2img"], prompt="a cat", num_inference_steps=2),
        Request(model=places["txt2img"], prompt="a cat", num_inference_steps=2),
    ]
    frame = run(cells, tmp_path / "store", on_error="raise", progress=False)
    assert frame.pixels[0] == frame.pixels[1] != frame.pixels[2] == frame.pixels[3]


# Other latent spaces


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"scaling_factor": 0.13025}, "its scaling_factor is 0.13025, where 0.18215 is needed"),
        ({"shift_factor": 0.1159}, "its shift_factor is 0.1159, where 0 is needed"),
        ({"latent_channels": 16}, "its latent_channels is 16"),
        ({"out_channels": 4}, "its out_channels is 4"),
        ({"_class_name": "VQModel"}, "is a VQModel; sdlab reads AutoencoderKL and AutoencoderTiny"),
    ],
)
def test_a_vae_whose_configuration_says_another_latent_space_is_refused(
    places, tmp_path, changes, said
):
    folder = shutil.copytree(Path(places["txt2img"]) / "vae", tmp_path / "vae")
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    with pytest.raises(FieldError, match=said) as caught:
        resolve(Request(model=places["txt2img"], vae=str(folder)))
    assert caught.value.field == "vae"


def test_a_tiny_vae_that_scales_latents_again_is_refused(places, tmp_path):
    folder = write_taesd(tmp_path / "again", scaling_factor=0.18215)
    with pytest.raises(FieldError, match="its scaling_factor is 0.18215, where 1 is needed"):
        resolve(Request(model=places["txt2img"], vae=folder))


@pytest.mark.parametrize(
    "name, source, warned",
    [
        ("taesdxl", "taesd", True),
        ("models--madebyollin--taesdxl/snapshots/abc", "taesd", True),
        ("taesd-v1", "taesd", False),
        ("sdxl_vae.safetensors", "file", True),
        ("mine.safetensors", "file", False),
        ("sdxl-but-it-says-its-factor", "vae", False),
        ("xl-vae-that-says-none", "silent", True),
    ],
)
def test_a_vae_that_only_its_name_tells_of_is_warned_of(places, tmp_path, name, source, warned):
    own, place = Path(places["txt2img"]) / "vae", tmp_path / name
    place.parent.mkdir(parents=True, exist_ok=True)
    if source == "file":
        shutil.copy(own / "diffusion_pytorch_model.safetensors", place)
    else:
        shutil.copytree(places["taesd"] if source == "taesd" else own, place)
    if source == "silent":
        stated = json.loads((place / "config.json").read_text())
        del stated["scaling_factor"]
        (place / "config.json").write_text(json.dumps(stated))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        cell = Request(model=places["txt2img"], vae=str(place), num_inference_steps=1)
        notes = preview(cell, tmp_path / "store").notes
    assert ("vae" in notes) == warned == any("sounds like SDXL's" in str(w.message) for w in said)
