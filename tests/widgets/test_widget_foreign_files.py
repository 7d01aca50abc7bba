"""Files of other programs, dropped on a `SweepForm` and in a `WatermarkInspector`: both ask one reader."""

import json

import numpy as np
import pytest
from foreign import (
    INFOTEXT,
    change,
    draw_picture,
    graph_of,
    hide_text,
    make_recipe,
    save_comment,
    save_png,
)
from PIL import Image
from test_widget_inspector import listening

from sdlab.results.elsewhere import restore_claims
from sdlab.store.png import embed_record
from sdlab.store.readers.folder import read_pictures
from sdlab.store.readers.row import read_bytes, read_image, read_row
from sdlab.widgets import SweepForm, WatermarkInspector

COMFY = change(graph_of(), "3", denoise=0.5, sampler_name="ddim")
INVOKE = {
    "generation_mode": "txt2img",
    "positive_prompt": "an owl",
    "seed": 7,
    "steps": 30,
    "cfg_scale": 7.5,
    "model": {"name": "owlish", "base": "sd-1"},
}
NOVEL = {"prompt": "rain", "steps": 28, "scale": 5.0, "seed": 9, "sampler": "k_euler", "uc": "fog"}
OWN = make_recipe(model="tiny-v1", weights="0" * 64)
PROMPTS = {
    "comfy.png": "a glass bottle",
    "invoke.png": "an owl",
    "novel.png": "rain",
    "a1111.jpg": "a cat on a mat",
    "own.png": "a cat",
}
MODELS = {  # how each is called here
    "comfy.png": "sd-v1-5",
    "invoke.png": "owlish",
    "a1111.jpg": "sd-v1-5",
    "own.png": "tiny-v1",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A file of each of five programs."""
    folder = tmp_path_factory.mktemp("downloads")
    save_png(folder / "comfy.png", prompt=COMFY)
    save_png(folder / "invoke.png", invokeai_metadata=INVOKE)
    save_png(folder / "novel.png", Software="NovelAI", Comment=json.dumps(NOVEL))
    save_comment(folder / "a1111.jpg", b"UNICODE\0" + INFOTEXT.encode("utf-16-be"))
    (folder / "own.png").write_bytes(embed_record(OWN, draw_picture(), {"device": "cpu"}))
    return folder


@pytest.fixture(scope="module")
def form(tmp_path_factory):
    return SweepForm(store=tmp_path_factory.mktemp("store"))


@pytest.mark.parametrize("name", PROMPTS)
def test_a_file_fills_the_form_in_with_what_read_pictures_says(folder, form, name):
    row = read_pictures([folder / name], progress=False).iloc[0]
    for fill in (
        lambda: form._files_came("", [(name, (folder / name).read_bytes())]),
        lambda: form.load(folder / name),
        lambda: form.load(row),
    ):
        form.load(None)
        fill()
        (request,) = form.value
        assert (request.prompt, request.seed) == (PROMPTS[name], row["seed"])
        assert request.num_inference_steps == row["num_inference_steps"]
        assert name not in MODELS or form.fields["model"].value == (MODELS[name],)
        assert (form.fields["image"].value or "none") == "none"


@pytest.mark.parametrize("name", PROMPTS)
def test_the_form_says_who_wrote_the_file_and_what_it_cannot_take(folder, form, name):
    row = read_row(str(folder / name))
    form._files_came("", [(name, (folder / name).read_bytes())])
    said = form._said
    assert f"Filled in from {name}; written by {row['source']}" in said
    assert (row["not_translated"] or "") in said
    for words in ("without counterpart here", "So another picture results"):
        assert (words in said) == bool(row["not_translated"])


def test_what_a_file_does_not_say_or_hold_is_not_passed_over(folder, form, tmp_path):
    form.load(folder / "novel.png")
    assert "it says no model" in form._said
    form.load(folder / "comfy.png")
    assert "begins with a picture that the file does not hold" in form._said
    save_png(tmp_path / "bare.png", prompt={"1": {"class_type": "LoadImage", "inputs": {}}})
    with pytest.raises(ValueError, match=r"carries no recipe .*ComfyUI: a graph in which no samp"):
        form.load(tmp_path / "bare.png")


def test_a_checkpoint_that_is_not_here_is_said_at_its_field(folder, tmp_path):
    form = SweepForm(folder / "invoke.png", tmp_path)
    assert form.wait(120) and list(form.errors) == ["model"] and "owlish" in form.errors["model"]


def test_a_field_that_no_request_can_hold_is_left_out_and_said(folder):
    row = read_row(str(folder / "comfy.png")) | {"num_inference_steps": -4}
    request, said = restore_claims(row, "a.png")
    assert request.num_inference_steps is None and request.prompt == "a glass bottle"
    assert any(text.startswith("not taken: num_inference_steps=-4") for text in said)


def test_a_record_of_a_newer_version_says_what_it_holds_besides(tmp_path):
    data = embed_record(OWN, draw_picture(), {})
    (tmp_path / "a.png").write_bytes(data.replace(b'"guidance_scale"', b'"guidance_newer"'))
    assert "guidance_newer: 3.0" in read_row(str(tmp_path / "a.png"))["not_translated"]


@pytest.mark.parametrize("name", PROMPTS)
def test_bytes_say_what_their_file_says_without_a_path(folder, name):
    wanted = read_row(str(folder / name)) | {"path": None}
    assert read_bytes((folder / name).read_bytes(), name) == wanted
    with Image.open(folder / name) as image:
        assert read_image(image) == wanted


def test_bytes_that_are_no_picture_are_called_by_their_own_name():
    row = read_bytes(b"no picture", "../a.png")
    assert row["path"] is None and row["error"].startswith("../a.png: ")


def test_the_inspector_tells_the_same_in_facts_and_in_a_request(folder):
    inspector = WatermarkInspector([folder / name for name in PROMPTS])
    ask = listening(inspector)
    inspector.wait()
    for n, (name, prompt) in enumerate(PROMPTS.items()):
        told, row = ask("tell", cell=n)[0], read_row(str(folder / name))
        facts = dict(told["recipe"])
        assert facts["prompt"] == prompt and facts["written by"] == row["source"]
        assert facts.get("without counterpart here") == row["not_translated"]
        assert f"written by: {row['source']}" in told["text"] and told["request"]
        noise = "on the GPU" not in (row["not_translated"] or "")
        assert ("RNG: CPU" in told["infotext"]) == noise  # to A1111 nothing means the GPU
        inspector.chosen = n
        request = inspector.request
        assert (request.prompt, request.seed) == (prompt, row["seed"])


def test_a_picture_in_memory_tells_what_its_file_says(folder):
    with Image.open(folder / "invoke.png") as image:
        inspector = WatermarkInspector([image])
        told = listening(inspector)("tell", cell=0)[0]
    assert dict(told["recipe"])["written by"] == "InvokeAI"


def test_a_text_in_the_lowest_bits_is_read_of_pictures_in_memory_too(tmp_path):
    path = hide_text(tmp_path / "a.png", INFOTEXT)
    assert read_bytes(path.read_bytes(), "a.png")["prompt"] == "a cat on a mat"
    with Image.open(path) as image:
        pictures = [image, image.copy(), Image.fromarray(np.asarray(image)), np.asarray(image)]
        assert [read_image(each)["seed"] for each in pictures] == [5] * 4
        assert read_image(image.convert("L"))["not_translated"] is None
        inspector = WatermarkInspector(pictures)
        ask = listening(inspector)
        for n in range(4):
            assert dict(ask("tell", cell=n)[0]["recipe"])["prompt"] == "a cat on a mat"


def test_a_closed_picture_is_no_error():
    image = draw_picture()
    image.close()
    assert read_image(image)["error"] is None
