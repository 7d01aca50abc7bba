"""A comparison is fair or says why not: pairs agree in all else, and what they do not agree in is named."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sdlab.models.model import Model
from sdlab.models.rows import MODELS
from sdlab.recipe.request import FIELDS, Request
from sdlab.recipe.sweep import sweep
from sdlab.results.pairs import draw_difference, list_differences, pair

V2 = {
    "model": "v2",
    "weights": "b" * 32,
    "scheduler": "PNDMScheduler",
    "height": 96,
    "width": 96,
    "guidance_scale": 7.5,
}


def results(cells):
    """A frame as run() makes it."""
    rows = [
        {
            "key": f"key {i}",
            **{name: getattr(cell, name) for name in FIELDS},
            **cell.labels,
            "path": f"images/{i}.png",
            "error": None,
            "seconds": i / 7,
            "dtype": "bfloat16",
            "batch_size": 8,
        }
        for i, cell in enumerate(cells)
    ]
    return pd.DataFrame(rows).convert_dtypes()


def plan(prompt="a cat", **axes):
    base = Request(
        prompt=prompt,
        weights="a" * 32,
        scheduler="DDIMScheduler",
        height=64,
        width=64,
        guidance_scale=4,
    )
    return sweep(base, **axes)


def two_models(cells):
    return results([*cells, *(cell.but(**V2) for cell in cells)])


def test_pairs_are_those_of_a_merge_on_all_other_columns():
    frame = results(plan("a {red|blue} circle", guidance_scale=[1, 4], seed=range(3))).sample(
        frac=1, random_state=0
    )
    found = pair(frame, "guidance_scale", 1, 4)
    sides = (frame[frame.guidance_scale == scale] for scale in (1, 4))
    merged = pd.merge(*sides, on=["prompt", "seed"], suffixes=("_left", "_right"))
    assert set(zip(found.frame.left_key, found.frame.right_key)) == set(
        zip(merged.key_left, merged.key_right)
    )
    assert len(found) == len(merged) == 6 and found.alone == ()


def test_what_follows_a_model_is_named_and_does_not_part_the_pairs():
    found = pair(two_models(plan(seed=range(3))), "model")
    assert (found.left, found.right, found.varying) == ("tiny-v1", "v2", ("seed",))
    assert found.pairs == ((0, 3), (1, 4), (2, 5))
    assert found.follow == {
        name: (getattr(plan()[0], name), value) for name, value in V2.items() if name != "model"
    }


def test_a_field_that_does_not_only_follow_has_to_agree():
    frame = results([*plan(guidance_scale=[4, 7.5]), plan()[0].but(**V2)])
    found = pair(frame, "model")
    assert found.pairs == ((1, 2),) and found.alone == (0,) and "guidance_scale" not in found.follow


def test_a_field_follows_only_if_it_does_so_in_the_whole_frame():
    frame = two_models(plan())
    third = frame.iloc[[0, 1]].assign(model="v3")  # with either scheduler
    assert len(pair(frame, "model")) == 1
    with pytest.raises(
        ValueError, match=r"always different: .*scheduler \(DDIMScheduler against PNDMScheduler\)"
    ):
        pair(pd.concat([frame, third]), "model")


@pytest.mark.parametrize("field", [{"prompt": "a dog"}, {"seed": 7}])
def test_neither_prompt_nor_seed_ever_follow(field):
    frame = results([plan()[0], plan()[0].but(model="v2", **field)])
    with pytest.raises(
        ValueError, match=f"no picture .* always different: {next(iter(field))} \\("
    ):
        pair(frame, "model")


def test_a_choice_in_the_prompts_pairs_prompts():
    found = pair(results(plan("a {red|blue} {circle|star}", seed=range(2))), "red|blue")
    shown = found.frame
    assert list(shown.columns[:2]) == ["circle|star", "seed"] == list(found.varying)
    assert len(found) == 4 and "prompt" not in shown and "red|blue" not in shown


def test_other_choices_are_held_when_one_is_compared():
    cells = [cell for cell in plan("a {red|blue} {circle|star}") if "red circle" not in cell.prompt]
    found = pair(results(cells), "red|blue")
    prompts = [cell.prompt for cell in cells]
    left, right = sorted(prompts[i] for i in found.pairs[0])
    assert (left, right) == ("a blue star", "a red star") and [prompts[i] for i in found.alone] == [
        "a blue circle"
    ]


def test_labels_do_not_part_equal_prompts():
    (labelled,) = plan("a {red} circle")
    frame = results([labelled, plan("a red circle")[0].but(guidance_scale=9)])
    assert pair(frame, "guidance_scale").pairs == ((0, 1),)


def test_more_than_two_values_are_named_and_two_are_chosen():
    frame = results(plan(scheduler=["DDIM", "PNDM", "EulerDiscrete"], seed=range(2)))
    assert pair(frame, "scheduler").right == "PNDM"
    found = pair(frame, "scheduler", right="DDIM", left="EulerDiscrete")
    assert found.values == ("DDIM", "PNDM", "EulerDiscrete") and found.pairs == ((4, 0), (5, 1))
    assert pair(frame, "scheduler", "PNDM").right == "DDIM"


def test_no_mark_is_a_value_too():
    found = pair(results(plan(watermark=[None, "sd-v1"])), "watermark")
    assert (found.left, found.right, len(found)) == (None, "sd-v1", 1)


def test_facts_such_as_the_dtype_can_be_compared():
    frame = results(plan(seed=range(2)))
    found = pair(pd.concat([frame, frame.assign(dtype="float32", batch_size=1)]), "dtype")
    assert found.pairs == ((0, 2), (1, 3)) and found.follow == {"batch_size": (8, 1)}
    assert list_differences(found) == [("batch_size", "8", "1")]
    assert found.differences.values.tolist() == [["batch_size", "8", "1"]]


def test_rows_without_a_picture_are_left_aside():
    frame = two_models(plan(seed=range(3)))
    frame.loc[[1, 5], "path"] = pd.NA
    found = pair(frame, "model")
    assert found.pairs == ((0, 3),) and found.alone == (2, 4)


def test_the_frame_of_pairs_has_what_is_shared_and_both_pictures():
    frame = two_models(plan(seed=range(2)))
    shown = pair(frame, "model").frame
    assert (
        shown.seed.tolist() == [0, 1]
        and shown.columns[0] == "seed"
        and not {"model", "height"} & set(shown.columns)
    )
    assert (
        shown.left_path.tolist() == frame.path[:2].tolist()
        and shown.right_key.tolist() == frame.key[2:].tolist()
    )
    json.loads(shown.to_json(orient="records"))


def test_one_recipe_twice_is_refused_with_what_to_do():
    frame = results(plan(seed=range(2)))
    twice = pd.concat([frame, frame.assign(dtype="float32")])
    with pytest.raises(
        ValueError,
        match=r"seed=0 are one recipe, .* differ in dtype; frame\.drop_duplicates\('key'\)",
    ):
        pair(twice, "seed")
    assert len(pair(twice.drop_duplicates("key"), "seed")) == 1


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            dict(by="guidance"),
            "by='guidance' is no column of the frame; did you mean 'guidance_scale'?",
        ),
        (dict(by="eta"), "eta has one value only, 0: there is nothing to compare"),
        (dict(by="model", right="v3"), "right='v3' is no value of model; did you mean 'v2'?"),
        (dict(by="seed", left=5), "left=5 is no value of seed; it has 0–3"),
        (dict(by="seed", left=1, right=1), "left and right are both 1; seed has 0–3"),
    ],
)
def test_what_cannot_be_compared_is_explained(ask, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        pair(two_models(plan(seed=range(4))), **ask)


def test_a_model_whose_pictures_all_failed_is_named():
    frame = two_models(plan())
    with pytest.raises(ValueError, match="no row with model='v2' has a picture"):
        pair(frame.assign(path=frame.path.mask(frame.model == "v2")), "model")


# What is not held constant


def test_two_models_are_told_apart_in_words(monkeypatch, random_v1):
    monkeypatch.setitem(
        MODELS, "v2", Model(path=random_v1, title="a random model", trained_on="nothing")
    )
    told = {
        what: (left, right)
        for what, left, right in list_differences(pair(two_models(plan(seed=range(2))), "model"))
    }
    assert told["title"] == (MODELS["tiny-v1"].title, "a random model")
    assert told["text encoder"] == (MODELS["tiny-v1"].text_encoder, "3 layers of width 32")
    assert told["training data"] == (MODELS["tiny-v1"].trained_on, "nothing")
    assert told["prediction type"] == ("v_prediction", "epsilon")
    assert told["scheduler"] == ("DDIMScheduler", "PNDMScheduler") and told["guidance_scale"] == (
        "4",
        "7.5",
    )
    assert told["size"] == ("64x64", "96x96")
    assert "native size" not in told and "weights" not in told  # both are 64x64


def test_a_model_that_is_gone_is_unknown_and_breaks_nothing(monkeypatch, tmp_path):
    told = dict(
        (what, right) for what, _, right in list_differences(pair(two_models(plan()), "model"))
    )
    assert told["title"] == told["native size"] == told["text encoder"] == "unknown"
    monkeypatch.setitem(
        MODELS, "v2", Model(path=tmp_path / "gone", title="it was here", text_encoder="CLIP")
    )
    told = dict(
        (what, right) for what, _, right in list_differences(pair(two_models(plan()), "model"))
    )
    assert (told["title"], told["text encoder"], told["native size"]) == (
        "it was here",
        "CLIP",
        "unknown",
    )


def test_text_encoder_and_training_data_are_named_even_if_they_are_the_same(monkeypatch):
    monkeypatch.setitem(MODELS, "v2", MODELS["tiny-v1"])
    frame = results([plan()[0], plan()[0].but(model="v2")])
    same = MODELS["tiny-v1"].text_encoder, MODELS["tiny-v1"].trained_on
    assert list_differences(pair(frame, "model")) == [
        ("text encoder", same[0], same[0]),
        ("training data", same[1], same[1]),
    ]


def test_parameters_are_counted_as_torch_counts_them(monkeypatch, random_v1):
    from diffusers import StableDiffusionPipeline

    monkeypatch.setitem(MODELS, "v2", Model(path=random_v1))
    told = {what: right for what, _, right in list_differences(pair(two_models(plan()), "model"))}
    pipeline = StableDiffusionPipeline.from_pretrained(random_v1, safety_checker=None)
    count = sum(
        p.numel()
        for part in (pipeline.unet, pipeline.vae, pipeline.text_encoder)
        for p in part.parameters()
    )
    assert told["parameters"] == f"{count / 1e6:.1f} million"


# The difference


def noise(seed, width=20, height=12):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("gain", [1, 4.0])
def test_difference_is_grey_plus_what_changed(gain):
    left, right = noise(0), noise(1)
    expected = np.clip(128 + gain * (right.astype(int) - left), 0, 255)
    assert (
        np.asarray(draw_difference(Image.fromarray(left), Image.fromarray(right), gain)) == expected
    ).all()


def test_difference_of_two_sizes_has_the_smaller():
    large = Image.fromarray(noise(0, 64, 32))
    small = large.resize((32, 24), Image.Resampling.LANCZOS)
    for pictures in ((large, small), (small, large.convert("RGBA"))):
        assert (np.asarray(draw_difference(*pictures)) == 128).all()
        assert draw_difference(*pictures).size == (32, 24)


@pytest.mark.parametrize("gain", [0, -1, float("nan"), float("inf"), True, "4"])
def test_a_gain_that_is_no_positive_number_is_refused(gain):
    with pytest.raises((TypeError, ValueError), match=r"gain=.*; 4 shows"):
        draw_difference(Image.fromarray(noise(0)), Image.fromarray(noise(1)), gain)


def test_numbers_that_differ_in_their_last_bits_alone_are_one_value():
    frame = results(plan(guidance_scale=[0.3, 4], seed=range(2)))
    frame.loc[0, "guidance_scale"] = 0.1 + 0.2  # as an older version has stored it
    found = pair(frame, "guidance_scale", 0.1 + 0.2, np.float32(4))
    assert (found.left, len(found), found.values) == (0.3, 2, (0.3, 4.0))
