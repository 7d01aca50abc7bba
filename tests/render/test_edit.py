"""Editing by instruction: a picture, and "fix his nose"."""

import warnings
from unittest import mock

import numpy as np
import pytest
from PIL import Image
from pipelines import write_edit

import sdlab.models.pipeline
from sdlab import Request, Store, resolve, run, sweep
from sdlab.errors import FieldError
from sdlab.models.pipeline import load
from sdlab.models.resolve import native
from sdlab.models.sizes import read_sizes
from sdlab.render.renderer import Renderer
from sdlab.store.infotext import read_infotext, write_infotext
from sdlab.widgets import SweepForm


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    yield str(write_edit(tmp_path_factory.mktemp("edit") / "pix2pix"))
    sdlab.models.pipeline.unload()


def photo(seed=0):
    """Smooth random colours."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((64, 64), Image.Resampling.BICUBIC)


def asked(model, **fields):
    base = dict(prompt="a dog", seed=3, guidance_scale=4, num_inference_steps=4, image=photo())
    return resolve(Request(model=model, **base | fields))


def render(*cells, size=1):
    renderer = Renderer(load(native(cells[0].model), "cpu", "float32"), size)
    with mock.patch("sdlab.render.renderer.finish_picture", lambda levels, watermark: levels / 255):
        return [picture.image for picture in renderer.draw_pictures(cells)]


def stock(cell, image):
    """What diffusers' own pipeline makes of the same parts."""
    import torch
    from diffusers import StableDiffusionInstructPix2PixPipeline

    loaded = load(native(cell.model), "cpu", "float32")
    pipe = StableDiffusionInstructPix2PixPipeline(
        **loaded.pipe.components, requires_safety_checker=False
    )
    pipe.scheduler = loaded.scheduler(cell.scheduler)
    pipe.set_progress_bar_config(disable=True)
    fields = ("negative_prompt", "guidance_scale", "image_guidance_scale", "num_inference_steps")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pipe(
            cell.prompt,
            image=image,
            generator=torch.Generator().manual_seed(cell.seed),
            output_type="np",
            **{name: getattr(cell, name) for name in fields},
        ).images[0]


@pytest.mark.parametrize("scheduler", ["PNDM", "DDIM", "Euler a", "DPM++ 2M"])
@pytest.mark.parametrize("scale", [1.0, 1.5, 3.0])
def test_an_edit_equals_diffusers(model, scheduler, scale):
    cell = asked(model, scheduler=scheduler, image_guidance_scale=scale, negative_prompt="the cat")
    expected = stock(cell, photo())
    assert expected.std() > 0.005 and np.abs(render(cell)[0] - expected).max() < 1e-5


def test_both_guidances_and_the_picture_matter_and_a_cell_keeps_its_bits(model):
    cells = [
        asked(model),
        asked(model, image_guidance_scale=4),
        asked(model, guidance_scale=7),
        asked(model, image=photo(1)),
    ]
    together = render(*cells, size=4)
    assert all(np.abs(one - together[0]).max() > 1e-3 for one in together[1:])
    assert np.array_equal(render(*cells[::-1], size=4)[-1], together[0])


def test_an_edit_is_an_axis_a_column_a_form_and_a_text(model, tmp_path):
    base = Request(model=model, prompt="a dog", image=photo(), num_inference_steps=2)
    plan = sweep(base, image_guidance_scale="1-2 (+0.5)")
    results = run(plan, Store(tmp_path), progress=False, on_error="raise")
    assert results["image_guidance_scale"].tolist() == [1, 1.5, 2]
    assert set(results["task"]) == {"edit"} and resolve(base).image_guidance_scale == 1.5
    form = SweepForm(plan, tmp_path)
    assert form.fields["image_guidance_scale"].value == "1-2 (+0.5)" and form.value == plan
    text = write_infotext(resolve(plan[0]).to_dict(), "1")
    assert "Image CFG scale: 1," in text
    assert read_infotext(text)["image_guidance_scale"] == 1.0


def test_what_an_edit_needs_and_what_others_refuse_is_said_at_the_field(model, random_v1):
    with pytest.raises(FieldError, match="needs image=") as caught:
        resolve(Request(model=model, prompt="a dog"))
    assert caught.value.field == "image"
    with pytest.raises(FieldError, match="goes with a model that follows instructions") as caught:
        resolve(Request(model=str(random_v1), image_guidance_scale=2))
    assert caught.value.field == "image_guidance_scale"


def test_three_predictions_count_in_the_estimate_of_memory(model, random_v1):
    assert read_sizes(native(model).model).predictions == 3
    assert read_sizes(native(str(random_v1)).model).predictions == 2
