"""What pictures, reports and estimates tell of a VAE, LoRAs and textual inversions in place of a model's own parts."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import write_pipeline
from PIL import Image
from safetensors.torch import load_file, save_file
from swaps import write_embeddings, write_peft_lora

import sdlab.render.renderer
from sdlab import MODELS, Model, Request, Store, preview, run, sweep
from sdlab.models.parts import hash_parts
from sdlab.models.pickles import shorten_advice
from sdlab.models.resolve import resolve
from sdlab.results.code import write_models_comment
from sdlab.store.infotext import read_infotext
from sdlab.store.png import embed_record

BLUE = Image.new("RGB", (64, 64), "blue")


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return str(write_pipeline(tmp_path_factory.mktemp("other") / "other", seed=1))


@pytest.fixture
def base(random_v1):
    return Request(model=str(random_v1), prompt="the cat", num_inference_steps=2)


def said(request):
    """A1111's text in the finished picture, read again."""
    import io

    request = resolve(request)
    return read_infotext(
        Image.open(
            io.BytesIO(embed_record(request, BLUE, {}, hashes=hash_parts(request.to_dict())))
        ).info["parameters"]
    )


# A1111's text


def test_the_text_for_other_tools_names_the_parts_and_returns_them(
    base, random_v1, other, tmp_path
):
    lora, toy = (
        write_peft_lora(tmp_path / "ink, b.safetensors", random_v1),
        write_embeddings(tmp_path / "ti")[0],
    )
    request = base.but(
        vae=other, lora=f'"{lora}@0.5"', textual_inversion=f"<x>={toy}", prompt="the <x> cat"
    )
    text = said(request)
    data = lora.read_bytes()
    tensors = data[8 + int.from_bytes(data[:8], "little") :]
    assert text["Lora hashes"] == f"ink, b: {hashlib.sha256(tensors).hexdigest()[:12]}"
    assert text["TI hashes"] == f"toy: {hashlib.sha256(toy.read_bytes()).hexdigest()[:12]}"
    assert {name: text[name] for name in ("vae", "lora", "textual_inversion")} == {
        "vae": other,
        "lora": request.lora,
        "textual_inversion": request.textual_inversion,
    }


def test_a_model_hash_is_that_of_the_models_own_weights_or_none(base, other):
    assert said(base)["Model hash"] == resolve(base).weights[:10]
    assert "Model hash" not in said(base.but(vae=other)) and "Lora hashes" not in said(base)


# The model's own VAE


def test_a_models_own_vae_is_no_other_part(base, random_v1, other, tmp_path):
    copy = shutil.copytree(random_v1 / "vae", tmp_path / "copy")
    own = resolve(base)
    for vae in (str(random_v1), str(random_v1 / "vae"), str(copy)):
        found = resolve(base.but(vae=vae))
        assert (found.weights, found.key) == (own.weights, own.key)
    assert resolve(base.but(vae=other)).key != own.key
    assert resolve(Request(vae="tiny-v1")).key == resolve(Request()).key


def test_files_that_are_no_vae_are_refused_as_such(base, tmp_path):
    save_file(
        {
            "x": load_file(next((Path(base.model) / "vae").glob("*.safetensors")))[
                "encoder.conv_in.weight"
            ]
        },
        tmp_path / "x.safetensors",
    )
    (tmp_path / "torn.safetensors").write_bytes(b"nonsense")
    (tmp_path / "a.png").write_bytes(b"nonsense")
    for name in ("x.safetensors", "torn.safetensors", "a.png"):
        with pytest.raises(ValueError, match=f"vae='.*{name}'"):
            resolve(base.but(vae=str(tmp_path / name)))


def test_torchs_advice_is_cut_between_words():
    advice = "Weights only load failed. " * 20
    assert len(shorten_advice(advice)) <= 150 and shorten_advice(advice).endswith(
        (". …", "failed …", "load …", "only …", "Weights …")
    )
    assert shorten_advice("short") == "short"


# Reports


def test_code_leaves_alone_what_every_session_knows(base, monkeypatch, tmp_path):
    frame = Store(tmp_path).frame([]).reindex(range(4))
    frame["model"], frame["weights"] = (
        ["tiny-depth", "tiny-x4", "sd-v1-5", base.model],
        ["a", "b", "c", "d"],
    )
    assert write_models_comment(frame) == ""
    monkeypatch.setitem(MODELS, "sd-v1-5", Model(path=base.model))
    monkeypatch.setitem(MODELS, "tiny-x4", Model(path=base.model))
    assert write_models_comment(frame).count("is a name of its author") == 2


# Estimates


def finished(store, cell, seconds, **facts):
    cell = resolve(cell)
    store.save(cell, BLUE, {"seconds": seconds, **facts})
    return cell


def test_pictures_that_were_decoded_alone_do_not_count_as_quick_ones(base, other, tmp_path):
    store = Store(tmp_path)
    own, swapped = (
        finished(store, base, 4.0),
        finished(store, base.but(vae=other), 0.5, redecoded="0" * 32),
    )
    like = dict(num_inference_steps=2, height=own.height, width=own.width)
    assert (
        store.seconds(weights=own.weights, **like) == 4
        and store.seconds(weights=swapped.weights, **like) is None
    )
    store.rebuild()
    assert (
        store.seconds(weights=swapped.weights, **like) is None and "redecoded" not in store.frame()
    )
    new = preview(base.but(vae=other, seed=9), store).seconds
    assert new == preview(base.but(seed=9), store).seconds is not None


def test_a_vae_axis_costs_little_more_than_one_vae_unless_a_vae_reads_a_picture(
    base, other, tmp_path
):
    store, base = Store(tmp_path), base.but(num_inference_steps=20)
    finished(store, base, 4.0)
    alone, both = (
        preview(sweep(base, seed=range(1, 9), vae=vaes), store).seconds
        for vaes in ([None], [None, other])
    )
    assert both == pytest.approx(alone * (1 + 1 / 20))  # a decode is counted as a step
    drawn = base.but(image=np.zeros((64, 64, 3), np.uint8), strength=1)
    alone, both = (
        preview(sweep(drawn, seed=range(1, 9), vae=vaes), store).seconds
        for vaes in ([None], [None, other])
    )
    assert both == 2 * alone


def test_another_vae_of_a_finished_picture_costs_a_decode(base, other, tmp_path):
    store, base = Store(tmp_path), base.but(num_inference_steps=20)
    finished(store, base, 4.0)
    new, again = (preview(base.but(vae=other, seed=seed), store).seconds for seed in (1, 0))
    assert again == pytest.approx(new / 20)


def test_cells_of_the_x4_upscaler_that_differ_in_their_mark_are_denoised_once(
    tmp_path, monkeypatch
):
    calls, denoise = [], sdlab.render.renderer.denoise
    monkeypatch.setattr(
        sdlab.render.renderer,
        "denoise",
        lambda *given, **more: calls.append(1) or denoise(*given, **more),
    )
    cells = sweep(
        Request(model="tiny-x4", image=BLUE, num_inference_steps=1), watermark=[None, "sd-v1"]
    )
    options = dict(batch_size=1, progress=False, on_error="raise", dtype="float32")
    frame = run(cells, tmp_path / "both", **options)
    assert len(calls) == 1 and frame["pixels"].nunique() == 2
    assert run(cells[1], tmp_path / "alone", **options)["pixels"][0] == frame["pixels"][1]
