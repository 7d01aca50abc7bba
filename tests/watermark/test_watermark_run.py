"""A mark that a request asks for: part of the recipe, embedded last, exactly as the official programs do it."""

import numpy as np
import pytest
from PIL import Image

import sdlab.models.pipeline
from sdlab import Request, Store, preview, run, sweep
from sdlab.models.resolve import resolve
from sdlab.recipe.request import key_of
from sdlab.render.renderer import Renderer, finish_picture
from sdlab.store.infotext import read_infotext, write_infotext
from sdlab.store.png import read_record
from sdlab.watermark import PAYLOADS, Payload, embed_watermark

RESOLVED = Request(
    prompt="a red circle",
    model="tiny-v1",
    seed=5,
    guidance_scale=7.5,
    num_inference_steps=20,
    height=512,
    width=448,
    scheduler="DDIMScheduler",
    weights="0123456789abcdef" * 2,
)


@pytest.fixture(scope="module")
def large(random_v1):
    yield Request(
        model=str(random_v1), prompt="a cat", num_inference_steps=1, height=256, width=256
    )
    sdlab.models.pipeline.unload()


@pytest.fixture(scope="module")
def marked(large, tmp_path_factory):
    """The frame of a picture without a mark, with that of SD v1, of SDXL, and with a text of one's own."""
    cells = sweep(large, watermark=[None, "sd-v1", "sdxl", "me, 2026"])
    return run(cells, tmp_path_factory.mktemp("store"), dtype="float32", progress=False)


def pixels(path):
    return np.asarray(Image.open(path))


def smooth(height=256, width=320):
    """Levels (H, W, 3) in 0..255, float32, as a model would make them."""
    rows, columns = np.mgrid[:height, :width].astype("f4")
    waves = [np.sin(rows / (7 + n) + n) * np.cos(columns / (11 - n)) for n in range(3)]
    return (
        (
            np.stack(waves, -1) * 100
            + 128
            + np.random.default_rng(0).normal(0, 3, (height, width, 3))
        )
        .clip(0, 255)
        .astype("f4")
    )


# ---- the recipe


def test_keys_without_a_mark_are_those_from_before_there_were_marks():
    assert key_of(RESOLVED.to_dict()) == "1d392300f7a7a7dfebdc2e094cacc2ce"
    assert key_of(RESOLVED.but(watermark=None).to_dict()) == "1d392300f7a7a7dfebdc2e094cacc2ce"


def test_a_mark_counts_in_the_key(large):
    keys = {resolve(cell).key for cell in sweep(large, watermark=[None, *PAYLOADS, "my own"])}
    assert len(keys) == 2 + len(PAYLOADS)


def test_a_name_and_the_text_it_stands_for_are_one_recipe(large):
    for payload in PAYLOADS.values():
        if payload.text and payload.text != "SDXL":  # which may be meant for sdxl
            one, other = (resolve(large.but(watermark=m)) for m in (payload.text, payload.name))
            assert one == other and one.key == other.key and one.watermark == payload.name


@pytest.mark.parametrize(
    "value, says",
    [
        ("", "empty"),
        (7, "not text"),
        (b"sd-v1", "not text"),
        ("SD v1", "did you mean.*'sd-v1'"),
        ("\ud800", "surrogate"),
    ],
)
def test_an_impossible_mark_is_refused_by_name_before_anything_runs(large, value, says):
    with pytest.raises((TypeError, ValueError), match=f"watermark=.*{says}") as caught:
        resolve(large.but(watermark=value))
    assert caught.value.field == "watermark"


def test_marks_are_an_axis():
    cells = sweep(Request(), watermark='sd-v1, sd-v1, "a, b"')
    assert [cell.watermark for cell in cells] == ["sd-v1", "a, b"]
    assert [cell.watermark for cell in sweep(Request(), watermark=[None, "sd-v2"])] == [
        None,
        "sd-v2",
    ]


@pytest.mark.parametrize(
    "change, says",
    [
        ({"height": 248}, "256x248 is too small.*65,536.*height=256, width=256"),
        ({"height": None}, "256x64 is too small"),
        ({"watermark": "x" * 129}, "1,032 bits.*room for 1,024.*shorter"),
    ],
)
def test_a_picture_that_cannot_carry_the_mark_is_said_before_anything_runs(
    large, tmp_path, change, says
):
    cells = [large, large.but(**{"watermark": "sd-v1", **change})]
    for plan in (preview, run):
        with pytest.raises(ValueError, match=f"request 1 of 2: watermark='.*{says}"):
            plan(cells, tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_the_least_picture_and_the_longest_text_are_taken(large):
    assert resolve(large.but(watermark="x" * 128)).watermark == "x" * 128
    assert resolve(large.but(height=64, width=1024, watermark="sd-v1")).height == 64


# ---- the picture


def test_run_embeds_the_mark_into_the_picture_without_it(marked):
    plain, v1, _, own = map(pixels, marked["path"])
    assert np.array_equal(v1, embed_watermark(plain, "sd-v1")) and np.array_equal(
        own, embed_watermark(plain, "me, 2026")
    )
    assert not np.array_equal(v1, plain)


def test_levels_are_rounded_without_a_mark():
    assert np.array_equal(np.asarray(finish_picture(smooth(), None)), np.rint(smooth()))


def test_a_uint8_mark_is_what_the_official_script_writes_into_the_finished_picture():
    encoder = pytest.importorskip("imwatermark").WatermarkEncoder()
    encoder.set_watermark("bytes", b"StableDiffusionV1")
    finished = np.rint(smooth()).astype("u1")
    expected = encoder.encode(finished[..., ::-1].copy(), "dwtDct")[
        ..., ::-1
    ]  # as put_watermark() of scripts/txt2img.py
    assert np.array_equal(np.asarray(finish_picture(smooth(), "sd-v1")), expected)


def test_an_sdxl_mark_is_what_diffusers_writes():
    pytest.importorskip("imwatermark")
    import torch
    from diffusers.image_processor import VaeImageProcessor
    from diffusers.pipelines.stable_diffusion_xl.watermark import StableDiffusionXLWatermarker

    image = torch.from_numpy(smooth()).permute(2, 0, 1)[None] / 127.5 - 1
    expected = VaeImageProcessor().postprocess(
        StableDiffusionXLWatermarker().apply_watermark(image), output_type="pil"
    )[0]
    difference = np.asarray(finish_picture(smooth(), "sdxl")).astype(int) - np.asarray(expected)
    assert (
        np.abs(difference).max() <= 1 and (difference != 0).mean() < 1e-3
    )  # their way through -1..1 moves the last bits


def test_a_payload_that_is_cut_is_cut(monkeypatch):
    for cut in (True, False):
        monkeypatch.setitem(PAYLOADS, "mine", Payload("mine", [1, 0] * 8, "float32", cut=cut))
        exact = embed_watermark(smooth(), "mine").clip(0, 255)
        assert np.array_equal(
            np.asarray(finish_picture(smooth(), "mine")), np.floor(exact) if cut else np.rint(exact)
        )


def test_the_mark_is_put_in_last_even_into_what_the_safety_checker_blackened(
    large, tmp_path, monkeypatch
):
    monkeypatch.setattr(Renderer, "_ask_checker", lambda self, pixels: True)
    frame = run(large.but(watermark="sd-v1"), tmp_path, progress=False)
    black = np.zeros((256, 256, 3), "u1")
    assert frame["nsfw"][0] and np.array_equal(
        pixels(frame["path"][0]), embed_watermark(black, "sd-v1")
    )


# ---- the record


def test_the_mark_is_a_column_of_the_frame_and_of_the_store(marked):
    assert (
        marked["watermark"].tolist()[1:] == ["sd-v1", "sdxl", "me, 2026"]
        and marked["watermark"].isna()[0]
    )
    store = Store(marked["path"][0].split("/images/")[0])
    assert store.frame(marked["key"])["watermark"].equals(marked["watermark"])


def test_the_picture_says_which_mark_it_carries(marked):
    requests = [read_record(path)["request"] for path in marked["path"]]
    assert [request.get("watermark") for request in requests] == [None, "sd-v1", "sdxl", "me, 2026"]
    assert "watermark" not in requests[0]
    fields = [read_infotext(Image.open(path).info["parameters"]) for path in marked["path"]]
    assert [field.get("watermark") for field in fields] == [None, "sd-v1", "sdxl", "me, 2026"]


def test_a1111s_text_keeps_any_mark():
    for text in ["a, b: c", 'say "hi"', "two\nlines", " "]:
        assert (
            read_infotext(write_infotext(RESOLVED.but(watermark=text).to_dict(), "1"))["watermark"]
            == text
        )


def test_the_code_of_a_report_makes_the_marks_again(marked):
    from sdlab.results.code import read_requests, write_plan

    scope = {}
    exec("from sdlab import Request, sweep\n" + write_plan(read_requests(marked)), scope)
    assert [cell.watermark for cell in scope["plan"]] == [None, "sd-v1", "sdxl", "me, 2026"]
    assert [resolve(cell).key for cell in scope["plan"]] == list(marked["key"])
    assert "sweep(base, watermark=[None, 'sd-v1', 'sdxl', 'me, 2026'])" in write_plan(
        read_requests(marked)
    )


def test_a_store_of_marked_pictures_is_whole(marked):
    assert Store(marked["path"][0].split("/images/")[0]).check().empty
