"""A request is a value; its key is that of the resolved recipe."""

import dataclasses
import re

import numpy as np
import pytest
import torch

from sdlab import Request
from sdlab.errors import FieldError
from sdlab.models.resolve import resolve
from sdlab.recipe.request import key_of


def test_two_spellings_of_one_recipe_have_one_key(random_v1):
    spelled = Request(
        model=str(random_v1),
        prompt="a cat",
        guidance_scale=7.5,
        num_inference_steps=50,
        height=64,
        width=64,
        scheduler="pndm",
        eta=-0.0,
    )
    assert resolve(Request(model=str(random_v1), prompt="a cat")).key == resolve(spelled).key
    assert (
        resolve(Request(model=str(random_v1), guidance_scale=4)).key
        == resolve(Request(model=str(random_v1), guidance_scale=4.0)).key
    )


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "a dog"},
        {"negative_prompt": "fog"},
        {"seed": 1},
        {"guidance_scale": 7.0},
        {"num_inference_steps": 4},
        {"scheduler": "DDIM"},
        {"height": 32},
        {"width": 32},
        {"clip_skip": 1},
        {"scheduler": "DDIM", "eta": 0.5},
    ],
)
def test_every_field_counts_in_the_key(random_v1, change):
    base = Request(model=str(random_v1), prompt="a cat")
    assert resolve(base.but(**change)).key != resolve(base).key


def test_a_model_counts_by_its_weights_and_not_by_its_name(random_v1, monkeypatch):
    from sdlab import MODELS, Model

    monkeypatch.setitem(MODELS, "mine", Model(path=random_v1))
    assert resolve(Request(model="mine")).key == resolve(Request(model=str(random_v1))).key


def test_labels_are_no_part_of_the_recipe(random_v1):
    plain, labelled = (
        Request(model=str(random_v1)),
        Request(model=str(random_v1), labels={"x": "1"}),
    )
    assert plain == labelled and resolve(plain).key == resolve(labelled).key
    assert resolve(labelled).labels == {"x": "1"}


def test_but_changes_a_copy_and_knows_its_fields():
    request = Request(prompt="a cat")
    assert request.but(seed=3) == Request(prompt="a cat", seed=3) and request.seed == 0
    with pytest.raises(TypeError, match="unknown field 'steps'.*num_inference_steps"):
        request.but(steps=3)
    with pytest.raises(TypeError, match="'cfg_scale'; did you mean 'guidance_scale'"):
        Request(prompt="a cat", cfg_scale=3)
    for name in ("seed", "cfg"):
        with pytest.raises(dataclasses.FrozenInstanceError, match=rf"but\({name}=...\)"):
            setattr(request, name, 1)


def test_numpy_numbers_become_plain_ones():
    request = Request(seed=np.int64(3), guidance_scale=np.float32(4))
    assert (type(request.seed), type(request.guidance_scale)) == (int, float)


def test_a_request_is_rebuilt_from_its_fields():
    request = Request(prompt="a cat", seed=7, guidance_scale=3.5)
    assert Request(**request.to_dict()) == request


@pytest.mark.parametrize(
    "field, value, says",
    [
        ("seed", -1, "draw them"),
        ("seed", -1, "seed=4294967295 begins with the same noise"),
        ("seed", 2**32, "outside 0 to 4294967295; torch keeps 32 bits of a seed, so seed=0 begins"),
        ("seed", 2**63 + 5, "seed=5 begins"),
        ("seed", 1.5, "whole number"),
        ("seed", True, "whole number"),
        ("num_inference_steps", 0, "1 to 1000"),
        ("guidance_scale", -1, "outside"),
        ("guidance_scale", float("nan"), "outside"),
        ("guidance_scale", "7", "not a number"),
        ("height", 65, "multiple of 8"),
        ("eta", 2, "0.0 to 1.0"),
        ("prompt", 3, "text"),
        ("prompt", "\ud800", "surrogate"),
        ("clip_skip", -1, "outside"),
        ("labels", ["x"], "mapping"),
        ("labels", None, "mapping"),
        ("seed", None, "whole number"),
    ],
)
def test_an_impossible_value_is_refused_by_name(field, value, says):
    with pytest.raises((TypeError, ValueError), match=f"(?s){field}.*{says}"):
        Request(**{field: value})


@pytest.mark.parametrize("seed", [-1, 2**32, 5 + 2**40])
def test_the_seed_that_is_named_instead_begins_with_the_same_noise(seed):
    with pytest.raises(FieldError, match=r"seed=\d+ begins") as refused:
        Request(seed=seed)
    same = int(re.search(r"seed=(\d+) begins", str(refused.value))[1])
    assert Request(seed=same).seed == same != seed
    assert torch.equal(*(torch.randn(99, generator=make_generator(each)) for each in (seed, same)))


def make_generator(seed):
    return torch.Generator("cpu").manual_seed(seed)


@pytest.mark.parametrize(
    "change, says",
    [
        ({"scheduler": "Eula"}, "did you mean 'EulerDiscreteScheduler'|these run"),
        ({"scheduler": "Euler", "eta": 0.5}, "DDIMScheduler"),
        ({"clip_skip": 3}, "3 layers"),
        ({"model": "tiny-v11"}, "did you mean 'tiny-v1'"),
        ({"weights": "0" * 32}, "weights"),
    ],
)
def test_resolve_refuses_what_the_model_cannot_do(random_v1, change, says):
    with pytest.raises(ValueError, match=says):
        resolve(Request(**{"model": str(random_v1), **change}))


def test_a_single_file_and_a_hub_name_are_told_what_to_do(tmp_path):
    (tmp_path / "v1.safetensors").write_bytes(b"")
    with pytest.raises(ValueError, match="v1.safetensors.*not readable"):
        resolve(Request(model=str(tmp_path / "v1.safetensors")))
    with pytest.raises(ValueError, match="nothing is downloaded"):
        resolve(Request(model="somebody/stable-diffusion-v1-5"))


def test_other_weights_give_another_key(random_v1, tmp_path):
    import shutil

    copy = shutil.copytree(random_v1, tmp_path / "copy")
    before = resolve(Request(model=str(copy))).key
    assert before == resolve(Request(model=str(random_v1))).key
    weights = copy / "unet/diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert resolve(Request(model=str(copy))).key != before


# Options of a call of diffusers'


def test_options_have_one_spelling_however_they_are_given():
    given = {"true_cfg_scale": np.float32(0.3), "max_sequence_length": np.int64(256), "sigmas": [1]}
    request = Request(options=given)
    assert request.options == "max_sequence_length=256, sigmas=[1], true_cfg_scale=0.3"
    assert request == Request(options=" true_cfg_scale = .3, sigmas=[1],max_sequence_length=256")
    assert Request(**request.to_dict()) == request


def test_a_whole_number_among_options_is_one_recipe_however_it_is_written():
    same = [{"a": 4, "b": [1, 2]}, {"a": 4.0, "b": [1.0, 2]}, {"a": np.float32(4), "b": [1, 2.0]}]
    made = {Request(options=given) for given in (*same, "b=[1, 2.0], a=4.")}
    assert len(made) == 1 and made.pop().options == "a=4, b=[1, 2]"
    assert Request(options={"a": 4.5}).options == "a=4.5"
    assert Request(options={"a": True}) != Request(options={"a": 1})
    assert Request(options={"a": 1e300}).options == "a=1e+300"


def test_no_options_are_the_same_recipe_as_empty_ones():
    fields = Request().to_dict()
    assert key_of(fields) == key_of(fields | {"options": Request(options={}).options})
    assert key_of(fields) != key_of(fields | {"options": Request(options={"a": 1}).options})


@pytest.mark.parametrize(
    "options",
    [
        "256",
        "a=b",
        "a=2**8",
        "a=1)(b=2",
        "a=1, a=2",
        {"class": 1},
        "**a",
        {"a b": 1},
        {"a": object()},
        {"a": float("nan")},
        3,
    ],
)
def test_options_that_cannot_be_kept_are_refused(options):
    with pytest.raises(FieldError) as caught:
        Request(options=options)
    assert caught.value.field == "options"


@pytest.mark.parametrize("wrong", ["64", "1 2 3", {1024, 768}, (1, -2), "a, b"])
def test_what_is_no_pair_is_no_size(wrong):
    with pytest.raises(FieldError, match="is not two whole numbers"):
        Request(original_size=wrong)


@pytest.mark.parametrize("text", ["3:2", "1920000:1080000", "1234.567:1000", "1.50:1"])
def test_proportions_are_read_as_they_are_written(text):
    written = Request(aspect=text).aspect
    assert Request(aspect=written).aspect == written
    one, other = (float(side) for side in text.split(":"))
    assert [float(side) for side in written.split(":")] == [one, other]
