"""Requests for other programs, each read back: ComfyUI's graph, diffusers' script, A1111's text."""

import json

import numpy as np
import pytest
from foreign import save_png
from PIL import Image

from sdlab import Request, read_pictures, resolve, run
from sdlab.errors import FieldError
from sdlab.models.resolve import native
from sdlab.recipe.prompts import parse_weights
from sdlab.recipe.schedulers import OPTIONS, normalize_scheduler, parse_scheduler
from sdlab.results.scripts import COMFY_SAMPLERS, write_comfyui_graph, write_diffusers_script
from sdlab.store.infotext import write_infotext

BASE = Request(
    prompt="a red circle", negative_prompt="blue", seed=4, num_inference_steps=6, guidance_scale=3.5
)
READ = (
    "prompt",
    "negative_prompt",
    "model",
    "seed",
    "guidance_scale",
    "num_inference_steps",
    "height",
    "width",
    "clip_skip",
    "guidance_rescale",
    "vae",
    "lora",
)


def read_back(tmp_path, **texts):
    frame = read_pictures([save_png(tmp_path / "a.png", (64, 64), **texts)], progress=False)
    return frame.iloc[0]


def require_same(row, recipe, names=READ):
    stated = native("tiny-v1").layout.scheduler
    assert normalize_scheduler(row["scheduler"], stated) == recipe.scheduler
    for name in names:
        value = getattr(recipe, name)
        assert row[name] == value if value is not None else row.isna()[name], name


def names_of(recipe):
    return recipe.but(vae="folder/ft.safetensors", lora="a.safetensors@0.5, b.pt@-1")


@pytest.mark.parametrize("sampler", COMFY_SAMPLERS)
@pytest.mark.parametrize("schedule", ["", " Karras"])
def test_comfyuis_graph_says_what_its_reader_reads(tmp_path, monkeypatch, sampler, schedule):
    if schedule:  # tiny-v1 states a spacing that ComfyUI has as a schedule of its own
        monkeypatch.setattr("sdlab.results.scripts.write_inherited", lambda *given: "")
    if sampler == "DPM++ SDE" or (
        schedule and "use_karras_sigmas" not in OPTIONS[parse_scheduler(sampler)[0]]
    ):
        pytest.skip("there is no such scheduler here")
    recipe = resolve(BASE.but(scheduler=sampler + schedule))
    row = read_back(tmp_path, prompt=write_comfyui_graph(recipe))
    require_same(row, recipe)
    allowed = {None, "noise within the steps, made as by ComfyUI"}
    assert (None if row.isna()["not_translated"] else row["not_translated"]) in allowed


def test_comfyuis_graph_has_the_parts_and_what_is_done_to_the_model(tmp_path, monkeypatch):
    monkeypatch.setattr("sdlab.results.scripts.resolve", lambda request: request)
    recipe = resolve(BASE.but(clip_skip=1, guidance_rescale=0.7, scheduler="Euler a"))
    row = read_back(tmp_path, prompt=write_comfyui_graph(names_of(recipe)))
    assert row["vae"] == "ft" and row["lora"] == "a@0.5, b@-1.0"
    require_same(row, recipe, [name for name in READ if name not in ("vae", "lora")])


@pytest.mark.parametrize(
    ("prompt", "syntax"),
    [
        ("a (red) circle [x] \\ y", None),
        ("a (red:1.5) circle [blue] \\(plain\\)", "weights"),
        ("((red)) circle", "weights"),
    ],
)
def test_brackets_mean_in_comfyui_what_they_mean_here(tmp_path, prompt, syntax):
    graph = write_comfyui_graph(BASE.but(prompt=prompt, prompt_syntax=syntax, scheduler="Euler"))
    text = graph["6"]["inputs"]["text"]
    wanted = parse_weights(prompt) if syntax else [(prompt, 1.0)]
    unescaped = text.replace("[", "\\[").replace("]", "\\]")  # which are plain characters there
    found = parse_weights(unescaped)
    assert [piece for piece, _ in found] == [piece for piece, _ in wanted]
    assert [weight for _, weight in found] == pytest.approx(
        [weight for _, weight in wanted], rel=1e-5
    )


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"scheduler": "PNDM"}, "scheduler"),
        ({"scheduler": "TCD"}, "scheduler"),
        (
            {"scheduler": "DDIM(timestep_spacing='trailing', rescale_betas_zero_snr=True)"},
            "scheduler",
        ),
        ({"scheduler": "DDIM", "eta": 0.5}, "eta"),
        ({"scheduler": "Euler", "watermark": "sd-v1", "height": 256, "width": 256}, "watermark"),
        ({"scheduler": "Euler", "image": Image.new("RGB", (64, 64))}, "image"),
    ],
)
def test_what_comfyui_would_compute_otherwise_is_refused_by_name(changes, field):
    with pytest.raises(FieldError) as error:
        write_comfyui_graph(BASE.but(**changes))
    assert error.value.field == field


def test_a1111s_text_is_read_back_too(tmp_path):
    recipe = resolve(BASE.but(scheduler="DPM++ 2M Karras", clip_skip=1))
    row = read_back(tmp_path, parameters=write_infotext(recipe.to_dict(), "0.1.0"))
    require_same(row, recipe)
    assert row["source"] == "sdlab" and row.isna()["not_translated"]


# diffusers


@pytest.mark.parametrize("scheduler", ["PNDM", "DPM++ 2M Karras"])
def test_diffusers_script_makes_the_picture_that_run_makes(tmp_path, monkeypatch, scheduler):
    request = BASE.but(scheduler=scheduler, guidance_rescale=0.3)
    script = write_diffusers_script(request)
    monkeypatch.chdir(tmp_path)
    exec(compile(script, "script.py", "exec"), {})
    frame = run([request], tmp_path / "store", dtype="float32", progress=False)
    ours, theirs = (np.asarray(Image.open(path), int) for path in (frame["path"][0], "picture.png"))
    assert abs(ours - theirs).max() <= 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"guidance_scale": 0.5}, "guidance_scale"),
        ({"clip_skip": 1}, "clip_skip"),
        ({"prompt_syntax": "weights"}, "prompt_syntax"),
        ({"model": "tiny-x4", "image": Image.new("RGB", (64, 64))}, "image"),
    ],
)
def test_what_diffusers_would_compute_otherwise_is_refused_by_name(changes, field):
    with pytest.raises(FieldError) as error:
        write_diffusers_script(BASE.but(**changes))
    assert error.value.field == field


def test_a_graph_is_json():
    assert json.loads(json.dumps(write_comfyui_graph(BASE.but(scheduler="Euler"))))
