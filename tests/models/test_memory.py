"""Small machines: what `memory=` changes, what happens when memory runs out, and what is recorded of it."""

import threading
import weakref

import numpy as np
import pytest
import torch
from PIL import Image

import sdlab.models.pipeline
import sdlab.render.budget
from sdlab import Job, Request, Store, run, sweep
from sdlab.models.memory import LEVELS, Footing, is_out_of_memory, split_rows, visit
from sdlab.models.resolve import native


@pytest.fixture
def cat(random_v1):
    return Request(model=str(random_v1), prompt="a cat", num_inference_steps=2)


@pytest.fixture(scope="module", autouse=True)
def two_lanes():
    """Pipelines are read anew, and for two lanes on any machine."""
    sdlab.models.pipeline.unload()
    with pytest.MonkeyPatch.context() as patch:
        for room in (sdlab.models.pipeline, sdlab.render.budget):
            patch.setattr(room, "lanes_here", lambda *how: (2, 1))
        yield
    sdlab.models.pipeline.unload()


@pytest.fixture
def anew():
    """Pipelines are read anew in this test, and in the next."""
    sdlab.models.pipeline.unload()
    yield
    sdlab.models.pipeline.unload()


def faulty(monkeypatch, refuses, error=None):
    """Every UNet raises for the inputs that `refuses(sample)`; returns the numbers of rows that were refused."""
    from diffusers import UNet2DConditionModel

    forward, refused = UNet2DConditionModel.forward, []
    error = error or torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    def failing(self, sample, *args, **kwargs):
        if refuses(sample):
            refused.append(len(sample))
            raise error
        return forward(self, sample, *args, **kwargs)

    monkeypatch.setattr(UNet2DConditionModel, "forward", failing)
    return refused


def pixels(frame):
    return [np.asarray(Image.open(path)).astype(int) for path in frame["path"]]


# ---- the levels


@pytest.mark.parametrize("memory", ["low", "lower", "lowest"])
def test_a_cell_looks_the_same_on_every_level(cat, tmp_path, memory):
    cells = sweep(cat, guidance_scale=[1, 7.5], seed=range(2))
    usual = run(cells, tmp_path / "auto", dtype="float32")
    frame = run(cells, tmp_path / memory, dtype="float32", memory=memory)
    assert (
        list(frame["memory"]) == [memory] * 4
        and set(usual["memory"]) == {"auto"}
        and frame["rerun"].isna().all()
    )
    assert (
        max(np.abs(a - b).max() for a, b in zip(pixels(usual), pixels(frame))) <= 1
    )  # a rounding step of 255
    assert set(frame["batch_size"]) == {1}


def test_an_unknown_level_is_refused(cat, tmp_path):
    with pytest.raises(
        ValueError, match="memory='tiny': use 'auto', 'low', 'lower' or 'lowest', or"
    ):
        run(cat, tmp_path, memory="tiny")


def test_prompt_and_negative_prompt_can_be_computed_one_after_the_other(random_v1):
    unet = sdlab.models.pipeline.load(native(str(random_v1)), "cpu", "float32").pipe.unet
    sample, text = torch.randn(4, 4, 8, 8), torch.randn(4, 77, 32)
    with torch.inference_mode():
        whole = unet(sample, 10, encoder_hidden_states=text, return_dict=False)[0]
        rows = split_rows(unet.forward)(sample, 10, encoder_hidden_states=text, return_dict=False)[
            0
        ]
    assert torch.allclose(rows, whole, atol=1e-5) and torch.equal(
        rows[2:3], unet(sample[2:3], 10, encoder_hidden_states=text[2:3], return_dict=False)[0]
    )


def test_larger_pictures_are_decoded_in_tiles_that_fit_together(cat, tmp_path, monkeypatch, anew):
    monkeypatch.setitem(LEVELS, "low", LEVELS["low"].__class__(side_by_side=False, tile=64))
    seen, decoder = (
        [],
        sdlab.models.pipeline.load(native(cat.model), None, None, "low").pipe.vae.decoder,
    )
    decoder.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].shape[-1]))
    with pytest.warns(UserWarning, match="64x64"):
        (tiled,) = pixels(run(cat.but(height=128, width=128), tmp_path, memory="low"))
    assert (
        tiled.shape == (128, 128, 3) and max(seen) == 8
    )  # latent pixels; 16 would be the whole picture


def test_without_a_text_encoder_all_prompts_are_drawn(cat, tmp_path):
    cells = sweep(
        cat, prompt=["a cat", "the dog"], negative_prompt=["", "a dog"], num_inference_steps=[1, 2]
    )
    job = Job(cells, tmp_path, memory="lowest")
    assert (
        job.result()["path"].notna().all() and not sdlab.models.pipeline._loaded
    )  # a pipeline without one is of no use to others


def test_layers_that_visit_a_device_compute_the_same(random_v1, anew):
    """The device here is the processor itself: it is the plumbing that is tried."""
    from sdlab.render.renderer import decode

    pipe = sdlab.models.pipeline.load(native(str(random_v1)), "cpu", "float32").pipe
    sample, text = torch.randn(2, 4, 8, 8), torch.randn(2, 77, 32)

    def answers():
        with torch.inference_mode():
            ids = torch.arange(77)[None]
            return (
                pipe.unet(sample, 10, encoder_hidden_states=text, return_dict=False)[0],
                pipe.text_encoder(ids)[0],
                decode(pipe.vae, sample, 1),
                pipe.vae.encode(torch.ones(1, 3, 64, 64)).latent_dist.mode(),
            )

    before = answers()
    for part in (pipe.unet, pipe.text_encoder, pipe.vae):
        visit(part, "cpu")
    assert pipe.unet.device.type == "cpu" and all(map(torch.equal, before, answers()))


# ---- when memory runs out


def test_half_a_batch_is_tried_and_the_group_stays_with_it(cat, tmp_path, monkeypatch):
    straight = run(sweep(cat, seed=range(16)), tmp_path / "straight", batch_size=2)
    refused = faulty(monkeypatch, lambda sample: len(sample) > 4)
    frame = run(sweep(cat, seed=range(16)), tmp_path / "store", batch_size=8)
    assert set(frame["batch_size"]) == {2} and set(frame["memory"]) == {"auto"}
    assert set(frame["rerun"]) == {"batch 8 -> 2 after out of memory"} and list(
        frame["pixels"]
    ) == list(straight["pixels"])
    assert len(refused) <= 4 and set(refused) == {
        16,
        8,
    }  # at most one for each lane, on each footing


def test_the_lowest_level_is_reached_and_recorded(cat, tmp_path, monkeypatch):
    refused = faulty(monkeypatch, lambda sample: len(sample) > 1)
    frame = run(sweep(cat, seed=range(3)), tmp_path, batch_size=2)
    assert set(frame["memory"]) == {"lowest"} and set(refused) == {4, 2}
    assert set(frame["rerun"]) == {"memory auto -> lowest, batch 2 -> 1 after out of memory"}


def test_a_cell_that_fits_nowhere_says_what_would_fit_and_the_others_go_on(
    cat, tmp_path, monkeypatch
):
    faulty(monkeypatch, lambda sample: sample.shape[-1] > 8)
    cells = [cat.but(seed=seed, width=width) for width in (96, 64) for seed in range(2)]
    frame = run(cells, tmp_path, batch_size=2)
    assert list(frame["error"].notna()) == [True] * 2 + [False] * 2
    assert frame["error"][0].startswith("MemoryError: no memory for 64x96 with model")
    for says in (
        f"in {frame['dtype'][2]} on cpu",
        "of it for the weights",
        "GB are free",
        "What would fit: height=64, width=64",
        "CUDA out of memory",
    ):
        assert says in frame["error"][0]


def test_the_next_group_starts_afresh(cat, tmp_path, monkeypatch):
    faulty(monkeypatch, lambda sample: sample.shape[-1] > 8 and len(sample) > 2)
    frame = run(
        [cat.but(seed=seed, width=width) for width in (72, 64) for seed in range(4)],
        tmp_path,
        batch_size=4,
    )
    assert (
        list(frame["batch_size"]) == [1] * 4 + [4] * 4
        and list(frame["rerun"].isna()) == [False] * 4 + [True] * 4
    )


def test_memory_that_ran_out_once_costs_half_a_batch_and_no_cell(cat, tmp_path, monkeypatch):
    once = iter([True])
    faulty(
        monkeypatch,
        lambda sample: next(once, False),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    )
    frame = run(sweep(cat, seed=range(8)), tmp_path, batch_size=4)
    assert frame["path"].notna().all() and {2} <= set(frame["batch_size"]) <= {
        2,
        4,
    }  # another lane may be done with its own
    assert set(frame["rerun"].dropna()) == {"batch 4 -> 2 after out of memory"}


def test_what_was_finished_before_is_kept(cat, tmp_path, monkeypatch):
    calls = []
    faulty(
        monkeypatch, lambda sample: calls.append(1) or len(calls) > 9
    )  # PNDM makes 3 calls for 2 steps
    frame = run(sweep(cat, seed=range(8)), tmp_path, batch_size=2)
    kept = frame["path"].notna()
    assert (
        2 <= kept.sum() <= 6
        and (kept == frame["error"].isna()).all()
        and len(Store(tmp_path)) == kept.sum()
    )


def test_a_job_can_be_stopped_while_it_steps_down(cat, tmp_path, monkeypatch):
    stepped, go_on = threading.Event(), threading.Event()
    faulty(monkeypatch, lambda sample: stepped.set() or go_on.wait(60))
    job = Job(sweep(cat, seed=range(8)), tmp_path, batch_size=4)
    assert stepped.wait(60)
    job.stop()
    go_on.set()
    frame = job.result()
    assert job.state == "stopped" and frame["path"].isna().all() and frame["error"].isna().all()


def test_a_model_too_large_to_be_read_is_tried_on_lower_levels(cat, tmp_path, monkeypatch, anew):
    settle, tried = sdlab.models.pipeline.settle, []

    def settling(pipe, device, memory):
        tried.append(memory)
        if memory != "lowest":
            raise torch.OutOfMemoryError("CUDA out of memory")
        settle(pipe, device, memory)

    monkeypatch.setattr(sdlab.models.pipeline, "settle", settling)
    assert run(cat, tmp_path)["memory"][0] == "lowest" and tried == list(LEVELS)


def test_a_system_that_is_out_of_memory_is_recognised():
    """The allocator is asked for more than the process may have."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (1 << 36, limits[1]))
    try:
        with pytest.raises(RuntimeError) as caught:
            torch.empty(1 << 40, dtype=torch.uint8)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    assert is_out_of_memory(caught.value)


@pytest.mark.parametrize(
    "error, is_it",
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (MemoryError(), True),
        (RuntimeError("MPS backend out of memory"), True),
        (
            RuntimeError(
                "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: not enough memory: you tried to"
            ),
            True,
        ),
        (OSError(12, "Cannot allocate memory"), True),
        (RuntimeError("mat1 and mat2 must have the same dtype"), False),
        (KeyboardInterrupt("out of memory"), False),
    ],
)
def test_other_errors_are_not_taken_for_it(error, is_it):
    assert is_out_of_memory(error) == is_it


def test_a_footing_goes_down_step_by_step_and_ends():
    footing, seen, size = Footing(), [], 8
    while footing := footing.lower(size):
        size = footing.batch_size
        seen.append((footing.memory, size))
    assert seen == [("auto", 4), ("auto", 2), ("auto", 1), ("low", 1), ("lower", 1), ("lowest", 1)]


# ---- half precision


@pytest.mark.parametrize("native, warned", [("bfloat16", 1), ("float32", 1), ("float16", 0)])
def test_a_processor_that_would_imitate_float16_is_warned_of(
    tmp_path, monkeypatch, recwarn, native, warned
):
    monkeypatch.setattr(sdlab.models.machine, "dtype_here", lambda device: native)
    run([], tmp_path, dtype="float16", device="cpu")
    found = [str(each.message) for each in recwarn if "float16" in str(each.message)]
    assert len(found) == warned and all(
        f"its fastest is dtype={native!r}" in text for text in found
    )


@pytest.mark.parametrize("spoiled, problem", [(float("nan"), "not a number"), (-9.0, "black")])
def test_a_decode_that_half_precision_spoils_is_done_again_in_float32(
    cat, tmp_path, monkeypatch, anew, spoiled, problem
):
    read, steps = sdlab.models.pipeline.read, []

    def reading(model, device, dtype):
        loaded = read(model, device, dtype)
        loaded.pipe.unet.register_forward_hook(lambda *_: steps.append(1))
        loaded.pipe.vae.decoder.register_forward_hook(
            lambda module, inputs, output: (
                output if output.dtype == torch.float32 else torch.full_like(output, spoiled)
            )
        )
        return loaded

    monkeypatch.setattr(sdlab.models.pipeline, "read", reading)
    frame = run(sweep(cat, seed=range(2)), tmp_path, dtype="bfloat16", batch_size=2)
    assert set(frame["rerun"]) == {f"{problem} in bfloat16, decoded again in float32"} and set(
        frame["dtype"]
    ) == {"bfloat16"}
    assert len(steps) == 3 and all(
        picture.any() for picture in pixels(frame)
    )  # no step was computed twice


# ---- one model at a time


def test_the_last_model_is_gone_before_the_next_is_read(cat, tmp_path, monkeypatch, anew):
    from conftest import write_pipeline

    read, alive, at_reading = sdlab.models.pipeline.read, [], []

    def reading(model, device, dtype):
        at_reading.append([reference() is not None for reference in alive])
        loaded = read(model, device, dtype)
        alive[:] = [
            weakref.ref(part)
            for part in (loaded.pipe, loaded.pipe.unet, loaded.pipe.vae, loaded.pipe.text_encoder)
        ]
        return loaded

    monkeypatch.setattr(sdlab.models.pipeline, "read", reading)
    other = str(write_pipeline(tmp_path / "other", seed=1))
    for memory in ("auto", "lowest"):
        run(sweep(cat, model=[cat.model, other]), tmp_path / memory, memory=memory)
    assert at_reading == [[]] + [[False] * 4] * 3
