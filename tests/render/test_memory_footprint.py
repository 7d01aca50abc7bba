"""How much memory a model takes: the estimate against files and measurements, and what follows from it before a run."""

import dataclasses
import re
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

import sdlab.models.pipeline
import sdlab.render.budget
from sdlab import Request, estimate, run, sweep
from sdlab.models.free import find_free, list_group_rooms
from sdlab.models.resolve import native
from sdlab.models.sizes import read_sizes
from sdlab.render.budget import estimate_bytes


@pytest.fixture(autouse=True)
def fresh_pipelines():
    sdlab.models.pipeline.unload()
    yield
    sdlab.models.pipeline.unload()


@pytest.fixture
def cat(random_v1):
    return Request(model=str(random_v1), prompt="a cat", num_inference_steps=1)


def room_for(monkeypatch, cat, memory, cells, more=0):
    """Exactly so much memory is free as a level takes; the sums are those of a machine with two lanes."""
    own = read_sizes(native(cat.model).model)
    monkeypatch.setattr(sdlab.render.budget, "lanes_here", lambda *how: (2, 1))
    lanes = 2 if memory == "auto" else 1
    room = (
        sum(estimate_bytes(own, 64, 64, dtype="float32", cells=cells, lanes=lanes, memory=memory))
        + more
    )
    monkeypatch.setattr(sdlab.render.budget, "find_free", lambda device="cpu": room)
    monkeypatch.setattr(psutil, "swap_memory", lambda: SimpleNamespace(free=0))


# ---- the estimate


def test_the_weights_are_counted_from_the_files_alone(random_v1):
    own = read_sizes(native(str(random_v1)).model)
    pipe = sdlab.models.pipeline.load(native(str(random_v1)), "cpu", "float32").pipe
    counts = {
        name: sum(p.numel() for p in getattr(pipe, name).parameters())
        for name in ("unet", "vae", "text_encoder")
    }
    assert own.weights == pytest.approx(
        sum(counts.values()), rel=1e-3
    ) and own.text == pytest.approx(counts["text_encoder"], rel=1e-2)
    assert (
        own.largest == max(p.numel() for p in pipe.unet.parameters())
        and own.factor == pipe.vae_scale_factor
    )


def test_pickled_weights_and_variants_are_counted_as_what_is_read(random_v1, tmp_path):
    import shutil

    import torch
    from safetensors.torch import load_file

    folder = shutil.copytree(random_v1, tmp_path / "model")
    weights = folder / "unet/diffusion_pytorch_model.safetensors"
    shutil.copy(weights, weights.with_suffix(".fp16.safetensors"))
    torch.save(load_file(weights), weights.with_suffix(".bin"))
    before = read_sizes(native(str(folder)).model)
    weights.unlink()
    sdlab.models.sizes._sizes.cache_clear()
    assert (
        read_sizes(native(str(folder)).model) == before == read_sizes(native(str(random_v1)).model)
    )


@pytest.mark.parametrize(
    "change, factor", [({"height": 128}, 2), ({"lanes": 2}, 2), ({"dtype": "float16"}, 0.5)]
)
def test_activations_grow_with_the_picture_the_lanes_and_the_format(cat, change, factor):
    own = dataclasses.replace(read_sizes(native(cat.model).model), largest=0)
    usual = dict(height=64, width=64, dtype="float32", cells=1, lanes=1, memory="auto")
    assert estimate_bytes(own, **usual | change)[1] == pytest.approx(
        estimate_bytes(own, **usual)[1] * factor, rel=0.1
    )


def test_every_level_takes_less_than_the_one_before(cat):
    own = read_sizes(native(cat.model).model)
    taken = [
        sum(estimate_bytes(own, 768, 768, dtype="float32", cells=1, lanes=1, memory=memory))
        for memory in sdlab.models.memory.LEVELS
    ]
    assert taken == sorted(taken, reverse=True) and len(set(taken)) == 4


def peak(work):
    """Bytes of memory that work() took at most beyond what was taken before."""

    def stated(name):
        return int(re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024

    sdlab.models.memory.release()
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts afresh
    before = stated("VmRSS")
    work()
    return stated("VmHWM") - before


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(),
    reason="the system does not tell the most memory taken",
)
def test_a_sweep_over_two_models_takes_the_memory_of_the_larger_one_as_estimated(tmp_path):
    from conftest import write_pipeline

    large = str(write_pipeline(tmp_path / "large", channels=(128, 384, 512)))
    other = str(write_pipeline(tmp_path / "other", channels=(128, 384, 448), seed=1))
    cell = Request(model=large, num_inference_steps=1, height=64, width=64)
    own = read_sizes(native(large).model)
    run(
        cell.but(seed=1), tmp_path / "first", dtype="float32", batch_size=1, progress=False
    )  # imports are no model

    def take(models, place):
        sdlab.models.pipeline.unload()
        cells = sweep(cell, model=models)
        return peak(lambda: run(cells, place, dtype="float32", batch_size=1, progress=False))

    # twice each, as memory that others have given back may hide a part of it
    alone = max(take([large], tmp_path / name) for name in ("alone", "alone-again"))
    both = min(take([other, large, other], tmp_path / name) for name in ("both", "both-again"))
    estimate = sum(estimate_bytes(own, 64, 64, dtype="float32", cells=1, lanes=1, memory="auto"))
    assert own.weights * 4 > 1e8 and both < 1.15 * alone
    assert 0.7 < alone / estimate < 1.3


# ---- before anything is read


def test_what_would_not_fit_begins_lower(cat, tmp_path, monkeypatch):
    room_for(monkeypatch, cat, "auto", cells=2)
    frame = run(sweep(cat, seed=range(9)), tmp_path, dtype="float32")
    assert set(frame["batch_size"]) == {2} and re.fullmatch(
        r"batch 8 -> 2 to fit \d+ MB of memory", frame["rerun"][0]
    )


def test_a_machine_without_room_for_the_text_encoder_begins_where_it_is_let_go(
    cat, tmp_path, monkeypatch
):
    room_for(monkeypatch, cat, "lower", cells=1)
    frame = run(sweep(cat, seed=range(3)), tmp_path, dtype="float32")
    assert (
        set(frame["memory"]) == {"lower"}
        and "memory auto -> lower, batch 2 -> 1 to fit" in frame["rerun"][0]
    )


def test_what_does_not_fit_at_all_is_warned_of_and_tried(cat, tmp_path, monkeypatch):
    room_for(monkeypatch, cat, "lowest", cells=1, more=-1000)
    with pytest.warns(
        RuntimeWarning,
        match="takes about .* are free. What would fit: .*may be very slow, or be ended",
    ):
        assert run(cat, tmp_path, dtype="float32")["path"].notna().all()


def test_weights_that_do_not_fit_are_not_read_and_other_models_go_on(cat, tmp_path, monkeypatch):
    from conftest import write_pipeline

    large = str(write_pipeline(tmp_path / "large", channels=(32, 64, 64, 256)))
    room_for(monkeypatch, cat, "auto", cells=8)
    read, names = sdlab.models.pipeline.read, []
    monkeypatch.setattr(
        sdlab.models.pipeline,
        "read",
        lambda model, *how: names.append(str(model.path)) or read(model, *how),
    )
    frame = run([cat.but(model=large), cat], tmp_path / "store", dtype="float32")
    assert (
        frame["error"][0].startswith("MemoryError: 64x64 with model")
        and "for the weights" in frame["error"][0]
    )
    assert frame["error"].isna()[1] and names == [cat.model]


def test_a_loaded_model_counts_as_room(cat, tmp_path, monkeypatch):
    run(cat, tmp_path, dtype="float32")
    room_for(
        monkeypatch, cat, "auto", cells=8, more=-4 * read_sizes(native(cat.model).model).weights
    )
    assert run(cat.but(seed=1), tmp_path, dtype="float32")["rerun"].isna().all()


# ---- the estimate of a plan, for people


@pytest.mark.parametrize(
    "memory, cells", [("auto", 2), ("auto", 1), ("low", 1), ("lower", 1), ("lowest", 1)]
)
def test_a_run_begins_where_the_estimate_says(cat, tmp_path, monkeypatch, memory, cells):
    room_for(monkeypatch, cat, memory, cells)
    monkeypatch.setattr(sdlab.models.pipeline, "lanes_here", lambda *how: (2, 1))
    sdlab.models.pipeline.unload()
    said = estimate(sweep(cat, seed=range(4)), dtype="float32").frame
    assert list(said["memory"]) == list(sdlab.models.memory.LEVELS) and said["begins"].sum() == 1
    begins = said[said["begins"]].iloc[0]
    assert begins["fits"] and begins["weights"] + begins["activations"] == begins["free"]
    frame = run(sweep(cat, seed=range(4)), tmp_path, dtype="float32")
    sdlab.models.pipeline.unload()
    assert {(begins["memory"], begins["batch_size"])} == set(
        zip(frame["memory"], frame["batch_size"])
    )
    assert begins["batch_size"] == cells


def test_an_estimate_says_what_if_there_were_less_and_what_would_fit(cat):
    large = cat.but(height=768, width=768)
    own = read_sizes(native(cat.model).model)
    how = dict(dtype="float32", cells=1, lanes=1, memory="lowest")
    room = sum(estimate_bytes(own, 512, 512, **how))
    said = estimate([large, large.but(seed=1), cat], dtype="float32", free=room)
    frame = said.frame.set_index(["height", "memory"])
    assert len(frame) == 8 and (frame["free"] == room).all() and frame.loc[64, "fits"].all()
    assert not frame.loc[768, "fits"].any() and frame.loc[(768, "lowest"), "begins"]
    assert "height=512, width=512" in frame.loc[(768, "lowest"), "advice"]
    assert "768" in repr(said) and f"{room / 1e6:.0f} MB" in repr(said)
    assert said._repr_html_().count("<tr") == 9


def test_a_named_model_that_is_not_here_is_counted_from_its_configuration(monkeypatch):
    def missing(name):
        raise FileNotFoundError(name)

    monkeypatch.setattr(sdlab.render.budget, "native", missing)
    frame = estimate(Request(model="sd-v1-4"), dtype="float32", device="cpu").frame
    published = 859_520_964 + 83_653_863 + 123_060_480  # UNet, VAE, text encoder
    assert frame["weights"][0] == 4 * published and set(frame["height"]) == {512}
    with pytest.raises(FileNotFoundError):
        estimate(Request(model="sd-v2-depth"))


@pytest.mark.parametrize("wrong", [{"dtype": "half"}, {"memory": "tiny"}, {"device": "gpu"}])
def test_an_estimate_takes_the_options_of_a_run(cat, wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}="):
        estimate(cat, **wrong)


# ---- what is free


def test_something_is_free_here():
    assert 1e7 < find_free() < 1e14


def test_the_limit_of_a_container_counts(tmp_path, monkeypatch):
    for name, text in [
        ("memory.max", "2000000"),
        ("memory.current", "1500000"),
        ("memory.stat", "anon 1\ninactive_file 400000\n"),
    ]:
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(
        sdlab.models.free,
        "GROUPS",
        {str(tmp_path): ("memory.max", "memory.current", "inactive_file")},
    )
    assert list_group_rooms() == [900000] and find_free() == 900000
    (tmp_path / "memory.max").write_text("max\n")
    assert list_group_rooms() == []
