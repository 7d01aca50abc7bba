"""`verify` tells one cause of another picture from the others; each test makes one happen."""

import gc
import json
import re
import shutil
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import write_pipeline
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from safetensors.torch import load_file, save_file

from sdlab import MODELS, Model, Request, Store, read_pictures, run, sweep, verify, write_report
from sdlab.__main__ import main
from sdlab.pictures import data_uri, hash_pixels
from sdlab.results.scripts import write_comfyui_graph
from sdlab.results.verify.verdicts import Verdict
from sdlab.results.verify.verification import Verification

SMALL = dict(
    prompt="the cat", num_inference_steps=2, scheduler="DDIMScheduler(timestep_spacing='trailing')"
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model of random weights that a test may change."""
    return write_pipeline(tmp_path_factory.mktemp("verify") / "model", channels=(8, 16, 16, 16))


@pytest.fixture(scope="module")
def results(model, tmp_path_factory):
    """Four cells in batches of two."""
    plan = sweep(Request(model=str(model), **SMALL), seed=range(4))
    folder = tmp_path_factory.mktemp("store") / "runs"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two steps leave noise
        return run(plan, folder, batch_size=2, dtype="float32", progress=False)


def say(what, **more):
    return verify(what, progress=False, **more)


def only(found):
    (verdict,) = set(found.frame["verdict"])
    return verdict


def copy_store(results, folder):
    """A copy of the store, and its frame."""
    shutil.copytree(Store(results["path"][0].split("/images/")[0]).root, folder)
    return Store(folder).frame(list(results["key"]))


def test_what_is_rendered_again_alike_is_identical_in_number_format_and_batch_size(results):
    found = say(results)
    assert repr(found) == "4 of 4 identical." and found.exit_code == 0
    assert list(found.frame["name"]) == list(results["key"])
    assert found.frame["differs"].eq("").all() and found.frame["largest"].eq(0).all()


def test_nothing_that_was_handed_on_is_changed(results, tmp_path):
    copy_store(results, tmp_path / "runs")
    before = {p: p.read_bytes() for p in tmp_path.rglob("*.png")}
    assert say(tmp_path / "runs").exit_code == 0
    assert {p: p.read_bytes() for p in tmp_path.rglob("*.png")} == before


def test_a_sample_says_that_it_is_one_and_is_the_same_for_one_seed(results):
    found = say(results, n=2, seed=7)
    assert repr(found) == "2 of 2 identical. A sample of 2 of 4, drawn by chance (seed 7)."
    assert list(found.frame["name"]) == list(say(results, n=2, seed=7).frame["name"])
    assert repr(say(results, n=9)) == "4 of 4 identical."
    with pytest.raises(ValueError, match="n=0: use a whole number from 1"):
        say(results, n=0)


def test_a_changed_weight_cannot_be_rendered_and_is_told_from_a_model_that_is_gone(
    model, results, tmp_path
):
    other = shutil.copytree(model, tmp_path / "model")
    frame = results.assign(model=str(other))
    assert only(say(frame[:1])) == "identical"
    file = next((other / "unet").glob("*.safetensors"))
    weights = load_file(file)
    weights["conv_in.bias"][0] += 1e-3
    save_file(weights, file, {"format": "pt"})
    found = say(frame[:1])
    assert only(found) == "cannot be rendered here" and found.exit_code == 3
    assert list(found.frame["cause"]) == ["weights"] and "was made for" in repr(found)
    shutil.rmtree(other)
    gone = say(frame[:1]).frame
    assert list(gone["cause"]) == ["model"] and "unknown model" in gone["why"][0]


def change_pixels(results, folder, levels, **recorded):
    """A frame of the first cell, whose file has one pixel changed by so many levels."""
    pixels = np.array(Image.open(results["path"][0]).convert("RGB"))
    pixels[0, 0] = np.where(pixels[0, 0] > 127, pixels[0, 0] - levels, pixels[0, 0] + levels)
    image = Image.fromarray(pixels)
    image.save(folder / f"{levels}.png")
    recorded = {name: hash_pixels(image) if name == "pixels" else v for name, v in recorded.items()}
    return results[:1].assign(path=str(folder / f"{levels}.png"), **recorded)


def test_another_version_of_a_library_is_named_whether_or_not_a_bit_differs(results, tmp_path):
    told = f"torch {torch.__version__} instead of 1.0.0"
    assert repr(say(results.assign(torch_version="1.0.0"))) == f"4 of 4 identical, with {told}."
    older = dict(torch_version="1.0.0", pixels=True)
    near = say(change_pixels(results, tmp_path, 2, **older))
    assert only(near) == "within tolerance" and near.exit_code == 0
    assert repr(near) == f"1 of 1 within tolerance, at most 2 of 255 levels apart: {told}."
    far = say(change_pixels(results, tmp_path, 40, **older))
    assert only(far) == "different" and told in repr(far) and far.exit_code == 1


def test_where_nothing_that_was_recorded_differs_not_one_bit_may(results, tmp_path):
    found = say(change_pixels(results, tmp_path, 1, pixels=True))
    assert only(found) == "different" and list(found.frame["cause"]) == ["unknown"]
    assert "although nothing that was recorded differs" in repr(found)
    assert found.frame["allowed_largest"].isna().all()


def test_another_batch_size_and_another_number_format_are_told_apart(results):
    batch, form = say(results, batch_size=1), say(results[:1], dtype="float16")
    assert batch.frame["differs"].eq("batch size").all()
    assert "batch size 1 instead of 2" in repr(batch) and batch.exit_code == 0
    assert form.frame["differs"].eq("dtype").all() and form.frame["allowed_largest"].eq(5).all()
    assert form.frame["largest"].gt(0).all() and "dtype float16 instead of float32" in repr(form)


def test_a_picture_that_was_edited_by_hand_is_found_by_its_recorded_hash(results, tmp_path):
    found = say(change_pixels(results, tmp_path, 1))
    assert only(found) == "different" and list(found.frame["cause"]) == ["file"]
    assert "changed after it was saved; rendered again, what was recorded comes out" in repr(found)
    torn = tmp_path / "torn.png"
    torn.write_bytes(b"no picture")
    found = say(results[:1].assign(path=str(torn)))
    assert only(found) == "different" and "the file cannot be read" in repr(found)


def test_the_schedulers_options_that_came_with_the_checkpoint_are_compared(results):
    found = say(results[:1].assign(inherited="beta_start=0.5"))
    assert list(found.frame["differs"]) == ["scheduler options"]


def test_a_device_that_is_not_here_is_replaced_and_named(results):
    found = say(results[:1].assign(device="cuda"))
    assert only(found) == "identical" and "device cpu instead of cuda" in repr(found)
    with pytest.raises(ValueError, match="device='mps' is not here"):
        say(results[:1], device="mps")


def test_files_and_folders_are_verified_by_what_they_carry(results, tmp_path):
    store = Store(results["path"][0].split("/images/")[0])
    assert only(say(store)) == only(say([results["path"][0]])) == "identical"
    assert only(say(results[["path"]])) == "identical"
    copy_store(results, tmp_path / "runs")
    odd = tmp_path / f"runs/images/00/{'0' * 32}.png"
    odd.parent.mkdir(exist_ok=True)
    Image.new("RGB", (64, 64)).save(odd)
    found = say(tmp_path / "runs").frame.iloc[-1]
    assert found["verdict"] == "cannot be rendered here" and "no recipe" in found["why"]
    assert odd.exists()
    (tmp_path / "runs/index.sqlite").unlink()
    assert list(say(tmp_path / "runs").frame["verdict"].value_counts()) == [4, 1] and odd.exists()


def test_of_another_programs_picture_it_is_named_what_is_missing(results, tmp_path):
    info = PngInfo()
    info.add_text(
        "parameters",
        "the cat\nNegative prompt: dog\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5,"
        " Size: 64x64, Model hash: 0123456789, Model: dream, Hires upscaler: Latent",
    )
    Image.new("RGB", (64, 64)).save(tmp_path / "a1111.png", pnginfo=info)
    Image.new("RGB", (64, 64)).save(tmp_path / "bare.png")
    found = say([tmp_path / "a1111.png", tmp_path / "bare.png", tmp_path / "gone.png"])
    assert only(found) == "cannot be rendered here" and found.exit_code == 3
    first, second, third = found.frame["why"]
    assert first.startswith(
        "the model 'dream' is not on this machine. Besides, the program's noise begins on a"
        " graphics card, and sdlab's on the processor"
    )
    assert second == "it carries no recipe" and third == "the file is not there"


def test_a_picture_with_a_graph_of_comfyui_is_rendered_again(tmp_path):
    """ComfyUI's noise begins on the processor, as here, so its picture can come out again."""
    scheduler = "Euler SGM Uniform"
    request = Request(prompt="a red cat", seed=5, num_inference_steps=2, scheduler=scheduler)
    own = run(request, tmp_path / "own", progress=False)
    graph = write_comfyui_graph(request)
    for name, changes in (("same", {}), ("other", {"seed": 6}), ("odd", {"sampler_name": "new"})):
        sampler = next(n for n in graph.values() if n["class_type"] == "KSampler")
        sampler["inputs"] |= changes
        info = PngInfo()
        info.add_text("prompt", json.dumps(graph))
        with Image.open(own["path"][0]) as image:
            image.convert("RGB").save(tmp_path / f"{name}.png", pnginfo=info)
    same, other, odd = (  # each alone, as the first was made: a batch may have other bits
        say(tmp_path / f"{name}.png").frame.iloc[0] for name in ("same", "other", "odd")
    )
    assert same["verdict"] == "identical" and other["verdict"] == "different"
    assert odd["verdict"] == "cannot be rendered here" and "no scheduler" in odd["why"]
    assert "weights are not told but by name" in other["why"]


def test_a_copy_of_ones_own_picture_is_rendered_from_its_text(
    results, model, tmp_path, monkeypatch
):
    """Of a model's folder the text tells the name, which has to be known here."""
    monkeypatch.setitem(MODELS, "model", Model.from_path(model))
    with Image.open(results["path"][0]) as image:
        info = PngInfo()
        info.add_text("parameters", image.info["parameters"])
        image.convert("RGB").save(tmp_path / "copy.png", pnginfo=info)
    found = say(tmp_path / "copy.png")
    assert found.frame["largest"].fillna(999)[0] <= 32, found.frame["why"][0]
    assert "weights are not told" in repr(found)


def test_its_figure_shows_the_farthest_first(results, tmp_path):
    far = change_pixels(results, tmp_path, 40)
    both = pd.concat([results[1:2], far], ignore_index=True)
    figure = say(both).draw()
    labels = " ".join(text.get_text() for text in figure.axes[0].texts)
    assert labels.index(results["key"][0][:12]) < labels.index(results["key"][1][:12])
    with pytest.raises(ValueError, match="nothing could be rendered again"):
        say(results[:1].assign(model="gone")).draw()


def test_what_cannot_be_verified_is_refused_with_what_can(tmp_path):
    for wrong, error in ((3, TypeError), (tmp_path / "gone", FileNotFoundError), ([], ValueError)):
        with pytest.raises(error, match="verify takes a frame of run"):
            say(wrong)


def test_one_command_says_how_it_went_by_its_exit_code(results, tmp_path, capsys):
    table = tmp_path / "table.csv"
    place = results["path"][0]
    assert main(["verify", place, "--table", str(table)]) == 0
    assert "1 of 1 identical." in capsys.readouterr().out
    assert list(pd.read_csv(table)["verdict"]) == ["identical"]
    Image.new("RGB", (64, 64)).save(tmp_path / "bare.png")
    figure = tmp_path / "figure.png"
    assert main(["verify", str(tmp_path / "bare.png"), "--figure", str(figure)]) == 3
    assert "no figure was written" in capsys.readouterr().err and not figure.exists()
    assert (
        main(["verify", str(tmp_path / "gone")]) == 2 and "is not there" in capsys.readouterr().err
    )


def test_a_report_says_what_verify_answered_and_is_verified_by_itself(results, tmp_path):
    found = say(results, n=2)
    path = write_report(tmp_path / "r.html", "Cats", results, verified=found)
    page = path.read_text("utf-8")
    assert "2 of 2 identical. A sample of 2 of 4" in page and "sdlab verify r.html" in page
    again = say(path)
    assert repr(again) == "4 of 4 identical." and again.frame["largest"].eq(0).all()
    bare = re.sub(r'src="data:image/webp[^"]+"', "", page)  # as where only the hash is recorded
    (tmp_path / "bare.html").write_text(bare, encoding="utf-8")
    told = say(tmp_path / "bare.html")
    assert only(told) == "identical" and told.frame["largest"].isna().all()
    (tmp_path / "no.html").write_text("<p>hello</p>")
    with pytest.raises(ValueError, match="is no report of sdlab"):
        say(tmp_path / "no.html")


def read_others(folder):
    """A frame of two pictures of another program."""
    info = PngInfo()
    info.add_text(
        "parameters", "the cat\nSteps: 2, Sampler: DDIM, Seed: 5, Size: 64x64, Model: dream"
    )
    (folder / "others").mkdir()
    for n in range(2):
        Image.fromarray(np.full((64, 64, 3), 90 * n, np.uint8)).save(
            folder / f"others/{n}.png", pnginfo=info
        )
    return read_pictures(folder / "others")


def test_a_report_of_pictures_from_elsewhere_too_compares_each_with_its_own(results, tmp_path):
    others = read_others(tmp_path)
    mixed = pd.concat([others[:1], results[:2], others[1:], results[2:]], ignore_index=True)
    found = say(write_report(tmp_path / "mixed.html", "Mixed", mixed))
    assert repr(found) == "4 of 4 identical." and found.frame["largest"].eq(0).all()
    assert list(found.frame["name"]) == [f"mixed.html, row {n}" for n in (2, 3, 5, 6)]


def test_a_frame_of_pictures_from_elsewhere_is_read_by_their_files(tmp_path, results):
    others = read_others(tmp_path)
    found, by_file = say(others), say(tmp_path / "others")
    assert only(found) == "cannot be rendered here" and "the model 'dream'" in repr(found)
    pd.testing.assert_frame_equal(found.frame, by_file.frame)
    mixed = say(pd.concat([others, results], ignore_index=True)).frame["verdict"]
    assert list(mixed) == ["cannot be rendered here"] * 2 + ["identical"] * 4


@pytest.mark.parametrize("name", ["inherited", "lora_layers"])
def test_rounding_excuses_no_other_settings(results, tmp_path, name):
    found = say(change_pixels(results, tmp_path, 1, pixels=True, **{name: "beta_start=0.5"}))
    assert only(found) == "different" and found.frame["allowed_largest"].isna().all()


def test_how_far_is_said_of_those_alone_of_which_it_is_known(results, tmp_path):
    near = change_pixels(results, tmp_path, 40, pixels=True)
    image = Image.new("RGB", (32, 48))
    image.save(tmp_path / "small.png")
    other = results[1:2].assign(path=str(tmp_path / "small.png"), pixels=hash_pixels(image))
    found = say(pd.concat([near, other], ignore_index=True))
    assert "at most 40 of 255 levels apart in the 1 where that is known" in repr(found)
    assert "the picture is 32x48, and 64x64 is rendered" in found.frame["why"][1]


def test_rows_without_a_picture_are_counted(results, tmp_path):
    lost = results.assign(path=results["path"].where(results.index != 1))
    assert repr(say(lost)) == "3 of 3 identical. 1 row without a picture left out."
    page = write_report(
        tmp_path / "r.html", "Lost", lost.assign(pixels=lost["pixels"].where(lost["path"].notna()))
    )
    assert repr(say(page)) == "3 of 3 identical. 1 row without a picture left out."


def test_what_verify_answered_of_other_cells_is_refused(results, tmp_path):
    found = say(results[:2])
    assert write_report(tmp_path / "a.html", "A", results[:3], verified=found).exists()
    with pytest.raises(ValueError, match="verified is of other cells than the frame: 1 picture"):
        write_report(tmp_path / "b.html", "B", results[1:], verified=found)
    with pytest.raises(TypeError, match="verified is str"):
        write_report(tmp_path / "b.html", "B", results, verified="all identical")
    assert not (tmp_path / "b.html").exists()
    by_page = say(tmp_path / "a.html")
    assert write_report(tmp_path / "c.html", "C", results, verified=by_page).exists()


def test_its_folder_goes_when_it_does_and_nobody_is_warned(results):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = say(results[:1])
        folder = Path(found._folder.name)
        assert folder.is_dir()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.unraisablehook", lambda hook: pytest.fail(str(hook.exc_value)))
            del found
            gc.collect()
    assert not folder.exists()


def test_of_many_that_came_out_otherwise_it_is_said_how_many_are_not_shown(results, tmp_path):
    verdict = Verdict(name="a", verdict="different", why="so", differs={})
    many = Verification([verdict] * 60, 60)
    page = write_report(tmp_path / "r.html", "Many", results, verified=many).read_text("utf-8")
    assert "The first 50 of 60." in page


@pytest.fixture(scope="module")
def large(results, tmp_path_factory):
    """The report of a picture that is in it in small only: its page, and its reader."""
    folder = tmp_path_factory.mktemp("large")
    request = Request(model=results["model"][0], height=192, width=192, **SMALL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = run([request], folder / "runs", dtype="float32", progress=False)
    return folder, write_report(folder / "r.html", "Large", made).read_text("utf-8")


def swap_small(large, name, picture):
    """Verifies the report with another small picture."""
    folder, page = large
    uri = data_uri(picture) if isinstance(picture, bytes) else data_uri(picture, "WEBP", quality=85)
    assert page.count("data:image/webp") == 1
    place = folder / f"{name}.html"
    place.write_text(re.sub(r"data:image/webp[^\"]+", uri, page), encoding="utf-8")
    return say(place)


def test_an_untouched_picture_of_which_a_report_has_a_small_copy_is_identical(large):
    found = say(large[0] / "r.html")
    assert repr(found) == "1 of 1 identical." and found.frame["largest"].eq(0).all()
    assert Image.open(found._again[0].path).size == (192, 192)


@pytest.mark.parametrize("size", [(128, 128), (64, 64), (128, 96), (192, 192)])
def test_a_swapped_small_picture_of_a_report_is_found(large, size):
    found = swap_small(large, f"{size}", Image.new("RGB", size))
    assert only(found) == "different" and list(found.frame["cause"]) == ["file"]


def test_of_a_swapped_small_picture_it_is_said_that_the_recorded_one_comes_out(large):
    found = swap_small(large, "black", Image.new("RGB", (128, 128)))
    assert "the report's small picture shows something else; rendered again, what was recorded" in (
        repr(found)
    )
    torn = swap_small(large, "torn", b"no picture")
    assert only(torn) == "different" and "the file cannot be read" in repr(torn)


def test_the_command_reports_on_a_store(results, tmp_path, capsys):
    root = results["path"][0].split("/images/")[0]
    assert main(["report", root, "--to", str(tmp_path / "own.html"), "--title", "Own"]) == 0
    assert "<h1>Own</h1>" in (tmp_path / "own.html").read_text("utf-8")
    assert main(["report", root, "--to", str(tmp_path / "0.html"), "--verify", "0"]) == 2
    assert "n=0: use a whole number" in capsys.readouterr().err
    assert main(["report", str(tmp_path)]) == 2 and "is no store" in capsys.readouterr().err
