"""How much memory a model takes: the estimate against files and measurements, and what follows from it before a run."""

import dataclasses
import re
from pathlib import Path

import pytest

import sdlab.models.pipeline
import sdlab.render.budget
from sdlab import Request, run, sweep
from sdlab.models.resolve import native
from sdlab.render.budget import free, needed, rooms_of_groups, sizes


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
    own = sizes(native(cat.model).model)
    monkeypatch.setattr(sdlab.render.budget, "lanes_here", lambda device, narrow: (2, 1))
    lanes = 2 if memory == "auto" else 1
    room = sum(needed(own, 64, 64, dtype="float32", cells=cells, lanes=lanes, memory=memory)) + more
    monkeypatch.setattr(sdlab.render.budget, "free", lambda device="cpu": room)
    monkeypatch.setattr(sdlab.render.budget, "stated_free", lambda name: 0)


# ---- the estimate


def test_the_weights_are_counted_from_the_files_alone(random_v1):
    own = sizes(native(str(random_v1)).model)
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
    before = sizes(native(str(folder)).model)
    weights.unlink()
    sdlab.render.budget._sizes.cache_clear()
    assert sizes(native(str(folder)).model) == before == sizes(native(str(random_v1)).model)


@pytest.mark.parametrize(
    "change, factor", [({"height": 128}, 2), ({"lanes": 2}, 2), ({"dtype": "float16"}, 0.5)]
)
def test_activations_grow_with_the_picture_the_lanes_and_the_format(cat, change, factor):
    own = dataclasses.replace(sizes(native(cat.model).model), largest=0)
    usual = dict(height=64, width=64, dtype="float32", cells=1, lanes=1, memory="auto")
    assert needed(own, **usual | change)[1] == pytest.approx(
        needed(own, **usual)[1] * factor, rel=0.1
    )


def test_every_level_takes_less_than_the_one_before(cat):
    own = sizes(native(cat.model).model)
    taken = [
        sum(needed(own, 768, 768, dtype="float32", cells=1, lanes=1, memory=memory))
        for memory in sdlab.models.memory.LEVELS
    ]
    assert taken == sorted(taken, reverse=True) and len(set(taken)) == 3


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
    own = sizes(native(large).model)
    run(
        cell.but(seed=1), tmp_path / "first", dtype="float32", batch_size=1, progress=False
    )  # imports are no model
    sdlab.models.pipeline.unload()
    alone = peak(
        lambda: run(cell, tmp_path / "alone", dtype="float32", batch_size=1, progress=False)
    )
    sdlab.models.pipeline.unload()
    both = peak(
        lambda: run(
            sweep(cell, model=[other, large, other]),
            tmp_path / "both",
            dtype="float32",
            batch_size=1,
            progress=False,
        )
    )
    estimate = sum(needed(own, 64, 64, dtype="float32", cells=1, lanes=1, memory="auto"))
    assert own.weights * 4 > 1e8 and both < 1.15 * alone
    assert 0.7 < alone / estimate < 1.3


# ---- before anything is read


def test_what_would_not_fit_begins_lower(cat, tmp_path, monkeypatch):
    room_for(monkeypatch, cat, "auto", cells=2)
    frame = run(sweep(cat, seed=range(4)), tmp_path, dtype="float32")
    assert set(frame["batch_size"]) == {2} and re.fullmatch(
        r"batch 8 -> 2 to fit \d+ MB of memory", frame["rerun"][0]
    )


def test_a_machine_that_holds_one_network_at_a_time_gets_the_lowest_level(
    cat, tmp_path, monkeypatch
):
    room_for(monkeypatch, cat, "lowest", cells=1)
    frame = run(sweep(cat, seed=range(2)), tmp_path, dtype="float32")
    assert (
        set(frame["memory"]) == {"lowest"}
        and "memory auto -> lowest, batch 8 -> 1 to fit" in frame["rerun"][0]
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
    room_for(monkeypatch, cat, "auto", cells=8, more=-4 * sizes(native(cat.model).model).weights)
    assert run(cat.but(seed=1), tmp_path, dtype="float32")["rerun"].isna().all()


# ---- what is free


def test_something_is_free_here():
    room = free()
    assert room is None or 1e7 < room < 1e14


def test_the_limit_of_a_container_counts(tmp_path, monkeypatch):
    for name, text in [
        ("memory.max", "2000000"),
        ("memory.current", "1500000"),
        ("memory.stat", "anon 1\ninactive_file 400000\n"),
    ]:
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(
        sdlab.render.budget,
        "GROUPS",
        {str(tmp_path): ("memory.max", "memory.current", "inactive_file")},
    )
    assert rooms_of_groups() == [900000] and free() == 900000
    (tmp_path / "memory.max").write_text("max\n")
    assert rooms_of_groups() == []
