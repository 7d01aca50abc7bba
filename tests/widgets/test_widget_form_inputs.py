"""`SweepForm` keeps every field of a request: input pictures and the parts in place of a model's own, typed, uploaded and run."""

import io
import re
import warnings
from datetime import datetime
from weakref import WeakValueDictionary

import numpy as np
import pytest
from PIL import Image
from test_widget_form import executed, filled

from sdlab import Request, Store, sweep
from sdlab.pictures import fit_picture, name_picture, read_picture
from sdlab.recipe.request import FIELDS
from sdlab.widgets import SweepForm
from sdlab.widgets.sweep_form.outlook import Outlook
from sdlab.widgets.sweep_form.uploads import choose_upload_size

HALVES = Image.fromarray(np.repeat([[20, 230]], 64, 0).repeat(32, 1).astype("uint8"))
WIDE = HALVES.resize((96, 64))
TWO = {  # two values of each field
    "model": ["tiny-v1", "tiny-depth"],
    "prompt": ["a cat", "dog, none"],
    "negative_prompt": ["", "blurry"],
    "seed": [3, 5],
    "guidance_scale": [None, 2.5],
    "num_inference_steps": [2, 4],
    "scheduler": ["DDIMScheduler", None],
    "height": [64, None],
    "width": [None, 128],
    "eta": [0.0, 0.5],
    "clip_skip": [1, 0],
    "guidance_rescale": [0.5, None],
    "aspect": ["3:2", None],
    "tiling": [None, "both"],
    "original_size": ["(768, 1024)", None],
    "crops_coords_top_left": [None, "(0, 256)"],
    "target_size": ["(64, 64)", "(96, 64)"],
    "aesthetic_score": [6.5, None],
    "negative_aesthetic_score": [None, 2.0],
    "prompt_syntax": ["weights", None],
    "strength": [0.5, None],
    "noise_level": [None, 30],
    "image_guidance_scale": [1.5, None],
    "vae": ["tiny, v2", None],
    "lora": ['a.safetensors@0.5, "b, c.safetensors"', None],
    "textual_inversion": ["<ink>=ink.pt, b.pt", "c.pt"],
    "watermark": ["sd-v1", None],
    "options": ["max_sequence_length=256, true_cfg_scale=4.0", None],
    "image": [HALVES, None],
    "mask_image": [None, HALVES],
    "depth_map": [HALVES, WIDE],
}


def show(form, name, data):
    """What the page does when a file is chosen."""
    form._fields[name].upload.value = (
        {
            "name": "file.png",
            "type": "",
            "size": len(data),
            "content": memoryview(data),
            "last_modified": datetime.now(),
        },
    )


def png(image):
    image.save(file := io.BytesIO(), "PNG")
    return file.getvalue()


# Every field


@pytest.mark.parametrize(
    "name", [name for name in FIELDS if name != "weights"]
)  # the form takes those that are there
def test_a_form_keeps_every_field_and_so_does_its_code(name, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "sdlab.widgets.sweep_form.form_fields.look_ahead", lambda *_: Outlook()
    )  # there are no such files
    value = next(value for value in TWO[name] if value is not None)
    for plan in (Request(**{name: value}), sweep(Request(prompt="x"), **{name: TWO[name]})):
        form, cells = SweepForm(plan, tmp_path), [plan] if isinstance(plan, Request) else plan
        assert form.value == cells
        assert executed(form.code, monkeypatch)[0] == cells


def test_what_is_folded_away_is_said(tmp_path):
    form = SweepForm(Request(image=HALVES, strength=0.5), tmp_path)
    pictures, more = form._folds
    assert (
        pictures.inside.layout.display is None
        and more.inside.layout.display == "none"
        and not pictures.line.value
    )
    pictures.button.value = False
    assert (
        f"Also set: image {name_picture('image', HALVES)[:8]}…; strength 0.5<"
        in pictures.line.value
    )
    assert list(form._script.folds.items())[:2] == [
        ("Input pictures", False),
        ("More settings", False),
    ]


# Pictures


def test_a_path_is_a_picture_until_the_file_changes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    HALVES.save("a, b.png")
    form = filled(SweepForm(store="store"), image='"a, b.png", none')
    assert [cell.image for cell in form.value] == [
        name_picture("image", HALVES),
        None,
    ] and form.errors == {}
    assert 'image=["a, b.png", None]' in form.code and "#" not in form.code
    WIDE.save("a, b.png")
    filled(form, seed="1")
    assert form.value[0].image == name_picture("image", WIDE)


def test_an_uploaded_picture_stands_in_its_field_and_is_shown(tmp_path):
    form = SweepForm(store=tmp_path)
    show(form, "image", png(HALVES))
    show(form, "mask_image", png(HALVES))
    filled(form)
    assert form.value == [Request(image=HALVES, mask_image=HALVES)] and form.errors == {}
    assert form.fields["image"].value == "file.png (uploaded)"
    assert form._fields["image"].upload.value == ()
    assert (
        "64x64" in form._fields["image"]._pictures.value
        and "<img" in form._fields["mask_image"]._pictures.value
    )
    assert name_picture("image", HALVES) in form.code  # which a file of that name is not


def test_an_upload_far_from_the_learned_size_is_brought_to_it_and_the_field_says_so(
    tmp_path, monkeypatch
):
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (900, 1200, 3), "uint8"))
    mask = Image.new("L", (1200, 900)).point(lambda _: 255)
    form = filled(SweepForm(store=tmp_path), num_inference_steps="2")
    show(form, "image", png(photo))
    show(form, "mask_image", png(mask))
    filled(form)
    small = fit_picture(photo, (64, 64))
    assert form.value == [
        Request(image=small, mask_image=mask.resize((64, 64)), num_inference_steps=2)
    ]
    told = form._fields["image"].message
    assert "of 1200x900 pixels, is cut about its middle and brought to 64x64" in told
    assert "64x64" in form._fields["image"]._pictures.value and form.errors == {}
    assert not form._fields["height"].message and executed(form.code, monkeypatch)[0] == form.value
    form.run()
    assert form.results["width"].tolist() == [64] and form.results["error"].isna().all()
    filled(form, height="96", width="128", mask_image="")  # whoever states a size has chosen
    assert form.value[0].image == name_picture("image", photo)
    assert "cut about" not in form._fields["image"].message


@pytest.mark.parametrize(
    "model, shape, size",
    [
        ("tiny-v1", (96, 64), None),
        ("tiny-v1", (24, 24), (64, 64)),
        ("tiny-depth", (1200, 900), (64, 64)),
        ("tiny-x4", (1200, 900), None),
        ("no such model", (1200, 900), None),
    ],
)
def test_uploads_are_brought_to_what_a_model_has_learned(model, shape, size):
    texts = {"model": (model,), "height": "", "width": "", "aspect": ""}
    assert choose_upload_size(texts, [shape]) == size
    assert choose_upload_size(texts | {"aspect": "3:2"}, [shape]) is None
    assert choose_upload_size(texts, []) is None


def test_an_upload_keeps_its_name_where_a_recipe_fills_the_form_in(tmp_path):
    form = SweepForm(store=tmp_path)
    show(form, "image", png(HALVES))
    filled(form)
    for given, called in ((HALVES, "file.png (uploaded)"), (WIDE, name_picture("image", WIDE))):
        form.load(Request(image=given, strength=0.5))
        assert form.fields["image"].value == called
        assert filled(form).value[0].image == name_picture("image", given)


def test_uploads_of_one_name_are_told_apart_and_a_path_of_that_name_is_a_file(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    WIDE.save("file.png")
    form = SweepForm(store=tmp_path)
    show(form, "image", png(HALVES))
    show(form, "image", png(WIDE))
    assert form.fields["image"].value == "file.png (uploaded 2)"
    filled(form, image="file.png (uploaded), file.png")
    assert [cell.image for cell in form.value] == [
        name_picture("image", picture) for picture in (HALVES, WIDE)
    ]


def test_an_upload_that_is_no_picture_is_refused_at_its_field_and_changes_nothing(tmp_path):
    form = filled(SweepForm(Request(image=HALVES), tmp_path))
    for data in (b"hello", png(HALVES)[:-40]):
        show(form, "image", data)
        assert (
            "&#x27;file.png&#x27; cannot be read as a picture; take"
            in form._fields["image"].message
        )
    assert form.value == [Request(image=HALVES)]
    filled(form, image="")
    assert not form._fields["image"].message


def test_the_store_lends_the_pictures_that_a_sweep_names(tmp_path, monkeypatch):
    cells = sweep(Request(), image=[HALVES, WIDE])
    Store(tmp_path).inputs.keep([cell.image for cell in cells])
    names = [str(cell.image) for cell in cells]
    monkeypatch.setattr("sdlab.pictures._known", WeakValueDictionary())
    form = filled(SweepForm(sweep(Request(), image=names), tmp_path))
    assert [cell.image for cell in form.value] == names and form.errors == {}
    assert read_picture(names[1]).size == (96, 64)
    assert re.search(r"# image: named by content, which Store\(.*\) keeps", form.code)


def test_a_form_runs_image_to_image(tmp_path):
    form = filled(
        SweepForm(
            sweep(Request(image=HALVES, strength=0.5, num_inference_steps=2), seed=range(2)),
            tmp_path,
        )
    )
    form.run()
    assert (
        form.results["task"].tolist() == ["img2img"] * 2
        and form.results["strength"].tolist() == [0.5] * 2
    )
    assert form.results["image"].eq(name_picture("image", HALVES)).all()


# Errors and notes


@pytest.mark.parametrize(
    "given, name, says",
    [
        ({"strength": 0.5}, "strength", "goes with image on"),
        ({"mask_image": HALVES}, "mask_image", "goes with"),
        ({"model": "tiny-x4"}, "image", "needs image"),
        ({"model": "tiny-depth"}, "image", "needs image"),
        ({"image": HALVES, "noise_level": 3}, "noise_level", "has no meaning"),
        ({"lora": "no.safetensors"}, "lora", "there is no file"),
        ({"textual_inversion": "no.pt"}, "textual_inversion", "there is no file"),
        ({"vae": "nothing"}, "vae", "is not here"),
        ({"vae": "sd-v1-4"}, "vae", "not on this machine"),
        ({"image": "0" * 32}, "image", "no input picture"),
        ({"image": HALVES, "strength": 0.01}, "strength", "less than one step"),
        ({"model": "tiny-x4", "image": HALVES, "height": 64}, "height", "makes 256x256"),
    ],
)
def test_what_does_not_go_together_is_told_at_the_field_and_unfolds_it(given, name, says, tmp_path):
    form = filled(SweepForm(Request(**given), tmp_path))
    assert list(form.errors) == [name] and says in form._fields[name].message
    assert all(fold.button.value for fold in form._folds if form._fields[name] in fold.fields)


@pytest.mark.parametrize(
    "name, text, says",
    [
        ("image", "nothing.png", "no such file"),
        ("mask_image", __file__, "cannot be read as a picture"),
        ("image", "x" * 300, "too long"),
        ("strength", "0.5, 2", "outside 0.0 to 1.0"),
        ("noise_level", "1.5", "whole number"),
        ("lora", "a.pt@99", "a scale is"),
        ("textual_inversion", "a.pt, a.pt", "twice"),
        ("depth_map", "a\nb", "new-line"),
    ],
)
def test_what_cannot_be_read_is_told_at_the_field(name, text, says, tmp_path):
    form = filled(SweepForm(store=tmp_path), **{name: text})
    assert list(form.errors) == [name] and says in form.errors[name]


def test_warnings_of_the_check_are_notes_in_the_form_and_nowhere_else(tmp_path):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        form = filled(
            SweepForm(Request(image=WIDE, height=64, width=64, num_inference_steps=2), tmp_path)
        )
        assert "stretched to 64x64" in form._fields["image"].message and form.errors == {}
        filled(form, image="", height="16", width="16")
        assert "has learned pictures of 64x64" in form._fields["height"].message
        form.run()
        form.results
    assert caught == []


def test_native_values_of_models_that_need_a_picture_are_counted_once(tmp_path):
    form = filled(
        SweepForm(
            sweep(Request(model="tiny-x4", image=HALVES), noise_level=[None, 20, 50]), tmp_path
        )
    )
    assert "native is 20: counted once" in form._fields[
        "noise_level"
    ].message and form.status.startswith("2 pictures")
