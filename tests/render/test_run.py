"""Running: what is rendered, when, in which bits, and what is left when something goes wrong."""

import ctypes
import inspect
import os
import re
import signal
import threading
import time
import warnings

import numpy as np
import pytest
import torch
from conftest import write_pipeline
from PIL import Image

import sdlab.models.pipeline
import sdlab.render.renderer
from sdlab import Job, Request, Store, preview, run, sweep
from sdlab.errors import FieldError, GenerationError
from sdlab.models import machine
from sdlab.render.batch_size import share_cells
from sdlab.render.encode import Prompts
from sdlab.render.renderer import Renderer
from sdlab.results.frame import find_label_columns


@pytest.fixture
def cat(random_v1):
    return Request(model=str(random_v1), prompt="a cat", num_inference_steps=2)


@pytest.fixture
def anew():
    """Pipelines are read anew in this test, and in the next."""
    sdlab.models.pipeline.unload()
    yield
    sdlab.models.pipeline.unload()


@pytest.fixture
def calls(monkeypatch, anew):
    """The shapes of the UNet's inputs, one for each call."""
    shapes, read = [], sdlab.models.pipeline.read

    def counting(*args):
        loaded = read(*args)
        loaded.pipe.unet.register_forward_pre_hook(
            lambda module, inputs: shapes.append(tuple(inputs[0].shape))
        )
        return loaded

    monkeypatch.setattr(sdlab.models.pipeline, "read", counting)
    return shapes


@pytest.fixture(scope="module", autouse=True)
def last_pipeline():
    yield
    sdlab.models.pipeline.unload()


def hooked(monkeypatch, part, hook):
    """Every pipeline that is loaded from now on has `hook(dtype, output)` behind one of its parts."""
    read = sdlab.models.pipeline.read

    def reading(model, device, dtype):
        loaded = read(model, device, dtype)
        getattr(loaded.pipe, part).register_forward_hook(
            lambda module, inputs, output: hook(dtype, output)
        )
        return loaded

    monkeypatch.setattr(sdlab.models.pipeline, "read", reading)


def pixels(frame):
    return [np.asarray(Image.open(path)) for path in frame["path"]]


# ---- the same pictures as diffusers, and the same bits whatever is beside a cell


@pytest.mark.parametrize(
    "scheduler",
    ["PNDM", "DDIM", "EulerAncestralDiscrete", "DPMSolverMultistep", "HeunDiscrete", "LCM"],
)
def test_a_batch_of_different_cells_equals_diffusers_one_by_one(
    cat, tmp_path, monkeypatch, scheduler
):
    cells = [
        cat.but(
            scheduler=scheduler,
            num_inference_steps=5,
            seed=s,
            guidance_scale=g,
            prompt=p,
            negative_prompt=n,
        )
        for s, g, p, n in [(0, 7.5, "a cat", ""), (1, 1.0, "the dog", "a cat"), (2, 3.0, "", "dog")]
    ]
    frame = run(cells, tmp_path, dtype="float32")
    (loaded,) = sdlab.models.pipeline._loaded.values()
    loaded.pipe.set_progress_bar_config(disable=True)
    for picture, cell in zip(pixels(frame), cells):
        fresh = loaded.scheduler(f"{scheduler}Scheduler")
        monkeypatch.setattr(loaded.pipe, "scheduler", fresh)
        expected = loaded.pipe(
            cell.prompt,
            negative_prompt=cell.negative_prompt,
            guidance_scale=cell.guidance_scale,
            num_inference_steps=5,
            generator=torch.Generator().manual_seed(cell.seed),
            output_type="np",
        )
        assert np.abs(picture / 255 - expected.images[0]).max() < 1.5 / 255


def test_guidance_0_ignores_the_prompt_and_1_the_negative_prompt(cat, tmp_path):
    cells = [
        cat.but(guidance_scale=g, prompt=p, negative_prompt=n)
        for g, p, n in [(0, "a cat", ""), (0, "dog", ""), (1, "dog", ""), (1, "dog", "cat")]
    ]
    a, b, c, d = run(cells, tmp_path)["pixels"]
    assert a == b and c == d and b != c


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_cell_has_the_same_bits_whatever_its_neighbours(cat, tmp_path, dtype):
    cells = sweep(cat, prompt=["a cat", "the dog"], guidance_scale=[1, 3, 7.5], seed=range(4))
    together = run(cells, tmp_path / "together", dtype=dtype, batch_size=8)
    alone = run(cells[13], tmp_path / "alone", dtype=dtype, batch_size=8)
    backwards = run(cells[::-1], tmp_path / "backwards", dtype=dtype, batch_size=8)
    assert alone["pixels"][0] == together["pixels"][13]
    assert list(backwards["pixels"][::-1]) == list(together["pixels"])


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    return str(write_pipeline(tmp_path_factory.mktemp("models") / "wide", channels=(128, 128)))


@pytest.fixture
def cores(monkeypatch, anew, request):
    """The lanes and their threads are the usual ones of a machine with so many cores."""
    known, threads = machine.recall_times, torch.get_num_threads()
    monkeypatch.setattr(torch, "get_num_threads", lambda: request.param)
    monkeypatch.setattr(
        machine,
        "recall_times",
        lambda question, *more: (
            dict.fromkeys(more[-1], 1.0) if "threads" in question else known(question, *more)
        ),
    )
    machine.lanes_here.cache_clear()
    yield request.param
    machine.lanes_here.cache_clear()
    torch.set_num_threads(threads)  # a run has set what it was told


@pytest.mark.parametrize(
    "cores, dtype",
    [(2, "float32"), (3, "bfloat16"), (12, "float32"), (12, "bfloat16")],
    indirect=["cores"],
)
def test_the_place_in_a_batch_does_not_matter_to_a_wide_network_on_any_number_of_cores(
    wide, tmp_path, dtype, cores
):
    """Several threads split the rows of a batch by its size, and then a row's bits depend on where it stands."""
    base = Request(model=wide, scheduler="DDIM", num_inference_steps=1, height=128, width=128)
    cells = sweep(base, seed=range(7))
    forward = run(cells, tmp_path / "forward", dtype=dtype)
    turned = run(cells[3:] + cells[:3], tmp_path / "turned", dtype=dtype)["pixels"]
    assert set(forward["threads"]) == {{2: 1, 3: 1, 12: 3}[cores]}
    assert [*turned[4:], *turned[:4]] == list(forward["pixels"])


@pytest.fixture
def two_lanes(monkeypatch, anew):
    """Pipelines are read anew, and for two lanes on any machine."""
    monkeypatch.setattr(sdlab.models.pipeline, "lanes_here", lambda *how: (2, 1))


@pytest.mark.parametrize("cells, size", [(1, 1), (2, 1), (3, 2), (6, 4), (9, 8), (17, 16)])
def test_few_cells_fill_the_lanes_and_not_a_batch(cat, tmp_path, calls, two_lanes, cells, size):
    frame = run(sweep(cat.but(num_inference_steps=1), seed=range(cells)), tmp_path)
    assert set(frame["batch_size"]) == {size} and set(calls) == {(2 * size, 4, 8, 8)}
    assert len(calls) == -(-cells // size)


@pytest.mark.parametrize(
    "cells, size, cores, batch",
    [
        (64, (16, 16), (2, 1), 32),
        (256, (16, 16), (2, 1), 32),
        (40, (16, 16), (2, 1), 8),  # two of 32, filled up, would take longer than three of 8
        (64, (32, 32), (2, 1), 8),
        (64, (64, 64), (2, 1), 2),
        (64, (16, 16), (8, 1), 8),
        (64, (16, 16), (1, 2), 1),  # threads share a cell
    ],
)
def test_a_narrow_network_s_batches_are_those_that_end_the_plan_soonest(cells, size, cores, batch):
    assert share_cells(64, *cores, plan=cells, size=size) == (*cores, batch)
    assert share_cells(320, 1, 1, plan=cells, size=size)[2] <= 8  # a wide one's are not larger


def test_what_is_left_of_a_small_plan_has_the_bits_of_the_whole(cat, tmp_path, two_lanes):
    plan = sweep(cat, seed=range(6))
    whole = run(plan, tmp_path / "whole")
    begun = run(plan[:1], tmp_path / "parts", batch_size=4)
    ended = run(plan, tmp_path / "parts")
    assert set(ended["batch_size"]) == {4} and list(ended["pixels"]) == list(whole["pixels"])
    assert begun["created"][0] == ended["created"][0]
    alone = run(plan[0], tmp_path / "alone", batch_size=whole["batch_size"][0])  # a NumPy number
    assert alone["pixels"][0] == whole["pixels"][0]
    assert set(run(plan[0], tmp_path / "usual")["batch_size"]) == {1}


def test_every_call_of_the_unet_has_one_shape(cat, tmp_path, calls):
    run(sweep(cat, guidance_scale=[1, 4], seed=range(5)), tmp_path, batch_size=4)
    assert (
        set(calls) == {(8, 4, 8, 8)} and len(calls) == 3 * 3
    )  # 10 cells in 3 batches; PNDM makes 3 calls for 2 steps


def test_clip_skip_leaves_out_the_last_layers(cat, tmp_path):
    a, b = run([cat, cat.but(clip_skip=1)], tmp_path)["pixels"]
    assert a != b


def test_eta_adds_noise_from_the_cells_own_seed(cat, tmp_path):
    ddim = cat.but(scheduler="DDIM", num_inference_steps=3)
    first = run([ddim, ddim.but(eta=1.0)], tmp_path / "a")["pixels"]
    assert first[0] != first[1]
    assert list(run([ddim.but(eta=1.0)], tmp_path / "b")["pixels"]) == [first[1]]


def test_height_and_width_are_pixels(cat, tmp_path):
    (picture,) = pixels(run(cat.but(height=32, width=96), tmp_path))
    assert picture.shape == (32, 96, 3)


# ---- what is rendered, and in which order


def test_finished_cells_are_not_run_again(cat, tmp_path, calls):
    first = run(sweep(cat, seed=range(3)), tmp_path)
    del calls[:]
    assert run(sweep(cat, seed=range(3)), tmp_path).equals(first) and not calls


def test_a_cell_asked_for_twice_is_rendered_once_and_has_two_rows(cat, tmp_path):
    frame = run([cat, cat.but(seed=1), cat], tmp_path)
    assert list(frame["seed"]) == [0, 1, 0] and len(Store(tmp_path)) == 2


def test_what_is_dear_to_change_changes_least(cat, random_v1, tmp_path, monkeypatch):
    other = str(write_pipeline(tmp_path / "other", seed=1))
    order, pictures = [], Renderer.draw_pictures
    monkeypatch.setattr(
        Renderer,
        "draw_pictures",
        lambda self, requests, *more: (
            order.append((requests[0].model == other, requests[0].num_inference_steps)),
            pictures(self, requests, *more),
        )[1],
    )
    run(
        sweep(cat, num_inference_steps=[2, 3], model=[str(random_v1), other], seed=range(2)),
        tmp_path / "store",
    )
    assert order == [(False, 2), (False, 3), (True, 2), (True, 3)]


def test_labels_become_columns(cat, tmp_path):
    frame = run(sweep(cat, prompt="a {animal=cat|dog}"), tmp_path)
    assert list(frame["animal"]) == ["cat", "dog"]
    assert find_label_columns(frame[sorted(frame.columns)]) == ["animal"]  # known by name


def test_a_sweep_can_be_looked_at_before_it_runs(cat, tmp_path, calls):
    cells = sweep(cat, seed=range(4))
    run(cells[:1], tmp_path)
    del calls[:]
    before = preview(cells, tmp_path)
    assert (
        (before.cells, before.finished, before.todo) == (4, 1, 3)
        and before.seconds > 0
        and not calls
    )
    assert "4 pictures: 1 finished, 3 to render" in repr(before)


def test_the_time_of_a_larger_picture_follows_from_the_native_one(tmp_path):
    native, larger = (
        preview(sweep(Request(height=side, width=side), seed=range(64)), tmp_path)
        for side in (64, 128)
    )
    assert larger.seconds > 3 * native.seconds


def test_no_requests_give_an_empty_frame_with_all_columns(tmp_path):
    with pytest.warns(UserWarning, match="the plan is empty: .* a generator") as caught:
        frame = run([], tmp_path)
    assert len(frame) == 0 and {"prompt", "path", "error", "seconds"} <= set(frame)
    assert [each.filename for each in caught if each.category is UserWarning] == [__file__]
    with pytest.warns(UserWarning, match="the plan is empty"):
        assert "no pictures: the plan is empty" in repr(preview([], tmp_path))


# ---- refused before anything runs


@pytest.mark.parametrize(
    "change, field, says",
    [
        ({"prompt": "cat " * 76}, "prompt", "prompt has 78 tokens.*the end would be lost.*'cat"),
        ({"negative_prompt": "dog " * 90}, "negative_prompt", "negative_prompt has 92"),
        ({"prompt": "(cat", "prompt_syntax": "weights"}, "prompt", "has no partner"),
        ({"model": "nothing"}, "model", "unknown model 'nothing'"),
        ({"scheduler": "x"}, "scheduler", "request 1 of 2: unknown scheduler"),
        ({"weights": "0"}, "model", "request 1 of 2: the weights"),
        (
            {"scheduler": "LCM", "num_inference_steps": 60},
            "num_inference_steps",
            "LCMScheduler takes at most 50",
        ),
        ({"image": "0" * 32, "height": 64, "width": 64}, "image", "no input picture 0"),
    ],
)
def test_a_mistake_anywhere_in_the_list_is_said_before_anything_runs(
    cat, tmp_path, calls, change, field, says
):
    with pytest.raises(FieldError, match=f"(?s){says}") as caught:
        run([cat, cat.but(**change)], tmp_path / "store")
    assert caught.value.field == field
    assert not calls and not (tmp_path / "store").exists()


def test_what_is_said_before_a_run_knows_its_field(cat, tmp_path):
    cat = cat.but(scheduler="Euler SGM Uniform")  # which takes two steps well
    cells = [cat.but(height=side, width=side) for side in (256, 264, 64)]
    with pytest.warns(UserWarning, match="256x256 expect .*and 1 more like this") as caught:
        before = preview([*cells, cells[0].but(seed=1)], tmp_path)
    assert before.notes == {"height": str(caught[0].message)} and len(caught) == 1
    assert "(and 1 more like this: height=264, width=264)" in before.notes["height"]
    assert preview(cat, tmp_path).notes == {}


def test_what_is_said_of_a_scheduler_stays_when_its_pictures_are_finished(cat, tmp_path):
    cells = [cat.but(scheduler="PNDM", num_inference_steps=steps) for steps in (2, 3)]
    with pytest.warns(UserWarning, match="hands the UNet"):
        before = preview(cells, tmp_path)
    with pytest.warns(UserWarning, match="hands the UNet"):
        run(cells, tmp_path, progress=False)
    after = preview(cells, tmp_path)
    assert after.todo == 0 and after.notes == before.notes
    assert "more like this: num_inference_steps=3)" in after.notes["num_inference_steps"]


def test_words_that_an_embedded_model_was_never_shown_are_said_before_a_run(tmp_path):
    base = Request(prompt="a red Cat", num_inference_steps=2, scheduler="Euler SGM Uniform")
    cells = [
        base,
        base.but(prompt="an astronaut, riding", negative_prompt="blurry"),
        base.but(prompt="riding (hard:1.2)", prompt_syntax="weights", seed=3),
    ]
    with warnings.catch_warnings(action="error"):
        notes = preview(cells, tmp_path).notes
    words = "tiny-v1 was never shown: astronaut, riding, hard"
    assert notes == {"prompt": words, "negative_prompt": "tiny-v1 was never shown: blurry"}
    assert repr(preview(cells, tmp_path)).splitlines()[1:] == [
        f"prompt: {words}",
        "negative_prompt: tiny-v1 was never shown: blurry",
    ]
    assert preview(base, tmp_path).notes == {}
    many = base.but(prompt=" ".join(2 * f"z{letter}" for letter in "abcdefghij"))
    assert re.search("shown: zaza, zbzb, .* and 2 more$", preview(many, tmp_path).notes["prompt"])


@pytest.mark.parametrize("model", ["tiny-signs", "tiny-letters"])
@pytest.mark.parametrize(
    ("prompt", "unseen"),
    [
        ("a red banner that says NO WAR", "war"),
        ("a black card that says no owl", ""),
        ("a green sign that says red, war", "green, red, war"),
        ("a dog", "dog"),
    ],
)
def test_words_that_a_model_of_signs_never_saw_written_are_said(tmp_path, model, prompt, unseen):
    request = Request(model=model, prompt=prompt, num_inference_steps=20)
    told = {"prompt": f"{model} was never shown: {unseen}"} if unseen else {}
    assert preview(request, tmp_path).notes == told


def test_75_tokens_and_the_two_marks_are_not_too_long(cat, tmp_path):
    assert run(cat.but(prompt="cat " * 75), tmp_path)["error"].isna().all()


def test_a_device_that_is_not_here_is_refused(cat, tmp_path, calls):
    with pytest.raises(ValueError, match="device='gpu' is not here; use 'cpu'"):
        run(cat, tmp_path, device="gpu")
    assert not calls


@pytest.mark.parametrize(
    "options",
    [
        {"on_error": "ignore"},
        {"batch_size": 0},
        {"batch_size": 2.0},
        {"batch_size": True},
        {"dtype": "half"},
    ],
)
def test_options_are_checked_too(cat, tmp_path, options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}=.*use"):
        run(cat, tmp_path, **options)


def test_the_options_of_run_are_written_out_and_those_of_a_job():
    asked = inspect.signature(run).parameters
    assert asked == inspect.signature(Job).parameters
    assert all(each.kind != inspect.Parameter.VAR_KEYWORD for each in asked.values())


def test_something_else_than_requests_is_refused(tmp_path):
    with pytest.raises(TypeError, match="item 1 is 'a dog', not a Request"):
        run([Request(), "a dog"], tmp_path)


# ---- failures


def failing(monkeypatch, word):
    text = Prompts.encode

    def refuse(self, prompt, *how):
        if word in prompt:
            raise RuntimeError(f"cannot draw a {word}")
        return text(self, prompt, *how)

    monkeypatch.setattr(Prompts, "encode", refuse)


def test_a_failed_cell_is_a_row_and_takes_nobody_with_it(cat, tmp_path, monkeypatch):
    cells = sweep(cat, prompt=["a cat", "the dog", "a bird"], seed=range(2))
    with monkeypatch.context() as patch:
        failing(patch, "dog")
        frame = run(cells, tmp_path)
    assert (
        list(frame["error"].notna())
        == list(frame["path"].isna())
        == [False, False, True, True, False, False]
    )
    assert frame["error"][2] == "RuntimeError: cannot draw a dog"
    assert (
        run(cells, tmp_path)["path"].notna().all()
    )  # failures are never stored: running again retries them


def test_on_error_raise_ends_the_run_with_the_recipe(cat, tmp_path, monkeypatch):
    failing(monkeypatch, "dog")
    with pytest.raises(GenerationError, match="cannot draw a dog") as caught:
        run(sweep(cat, prompt=["a cat", "the dog"]), tmp_path, on_error="raise")
    assert caught.value.request.prompt == "the dog"


def test_a_models_folder_that_is_not_all_there_is_refused_at_once(cat, random_v1, tmp_path):
    import shutil

    for part, says in [
        ("unet", "holds no weights"),
        ("tokenizer", "tokenizer is missing"),
        ("scheduler", "scheduler_config.json is missing"),
    ]:
        folder = shutil.copytree(random_v1, tmp_path / part)
        shutil.rmtree(folder / part)
        if part == "unet":
            (folder / part).mkdir()
            shutil.copy(random_v1 / "unet/config.json", folder / part)
            (folder / part / "diffusion_pytorch_model.safetensors").write_text(
                "version https://git-lfs.github.com/spec/v1"
            )
        with pytest.raises(FileNotFoundError, match=says):
            run(cat.but(model=str(folder)), tmp_path / "store")


def test_an_edited_configuration_is_read_again(cat, random_v1, tmp_path):
    import shutil

    from sdlab.models.resolve import resolve

    folder = shutil.copytree(random_v1, tmp_path / "model")
    config = folder / "scheduler/scheduler_config.json"
    before = resolve(cat.but(model=str(folder)))
    config.write_text(config.read_text().replace("PNDMScheduler", "DDIMScheduler"))
    after = resolve(cat.but(model=str(folder)))
    assert (before.scheduler, after.scheduler) == (
        "PNDMScheduler",
        "DDIMScheduler",
    ) and before.weights != after.weights


def test_a_model_that_cannot_be_loaded_fails_alone(cat, random_v1, tmp_path, monkeypatch, anew):
    from sdlab.models import pipeline

    def open_others(model, dtype):
        if model.place == random_v1:
            raise OSError("the disk is gone")
        return open_pipeline(model, dtype)

    open_pipeline = pipeline.open_pipeline
    monkeypatch.setattr(pipeline, "open_pipeline", open_others)
    frame = run([cat, cat.but(model="tiny-v1")], tmp_path / "store")
    assert list(frame["error"].isna()) == [False, True] and "the disk is gone" in frame["error"][0]


def test_what_half_precision_spoils_is_rendered_in_float32(cat, tmp_path, monkeypatch, anew):
    hooked(
        monkeypatch,
        "unet",
        lambda dtype, output: (output[0] * (1 if dtype == "float32" else float("nan")),),
    )
    frame = run(sweep(cat, seed=range(3)), tmp_path / "half", dtype="bfloat16", batch_size=2)
    assert (
        list(frame["dtype"]) == ["float32"] * 3
        and list(frame["rerun"]) == ["not a number in bfloat16"] * 3
    )
    straight = run(sweep(cat, seed=range(3)), tmp_path / "full", dtype="float32", batch_size=2)
    assert list(frame["pixels"]) == list(straight["pixels"]) and straight["rerun"].isna().all()


def test_a_picture_that_is_black_in_float32_too_is_kept_and_says_so(cat, tmp_path, monkeypatch):
    import torch

    monkeypatch.setattr(
        sdlab.render.renderer,
        "decode",
        lambda vae, latents, rows: torch.zeros(len(latents), 3, 64, 64),
    )
    frame = run(cat, tmp_path, dtype="bfloat16")
    assert (
        frame["rerun"][0] == "black in bfloat16"
        and frame["dtype"][0] == "float32"
        and not pixels(frame)[0].any()
    )


def test_numbers_that_are_none_in_float32_too_are_a_failure(cat, tmp_path, monkeypatch, anew):
    hooked(monkeypatch, "unet", lambda dtype, output: (output[0] * float("nan"),))
    frame = run(cat, tmp_path)
    assert "not made of numbers" in frame["error"][0] and len(Store(tmp_path)) == 0


def test_a_safety_checker_stays_on_and_its_verdict_is_recorded(cat, tmp_path, monkeypatch):
    monkeypatch.setattr(Renderer, "_ask_checker", lambda self, pixels: bool(pixels.mean() >= 0))
    frame = run(cat, tmp_path)
    assert bool(frame["nsfw"][0]) and not pixels(frame)[0].any() and frame["rerun"].isna()[0]


def test_a_full_disk_ends_the_run_and_keeps_what_is_finished(cat, tmp_path, monkeypatch):
    save, saved = Store.save, []

    def full(self, *args, **more):
        if len(saved) == 3:
            raise OSError(28, "No space left on device")
        saved.append(save(self, *args, **more))

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(Store, "save", full)
        run(sweep(cat, seed=range(8)), tmp_path, batch_size=2)
    assert len(Store(tmp_path)) == 3
    assert run(sweep(cat, seed=range(8)), tmp_path, batch_size=2)["path"].notna().all()


def test_a_store_that_cannot_be_written_is_said_before_anything_runs(
    cat, tmp_path, calls, monkeypatch
):
    import errno
    import tempfile

    def refuse(dir):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(
        OSError, match="cannot take another picture.*make it writable or give another folder"
    ):
        run(cat, tmp_path)
    assert not calls


def test_a_bar_that_cannot_be_drawn_loses_nothing(cat, tmp_path, monkeypatch):
    import sdlab.progress

    def broken(progress):
        return lambda: (_ for _ in ()).throw(BrokenPipeError())

    monkeypatch.setattr(sdlab.progress, "in_terminal", broken)
    assert run(cat, tmp_path)["path"].notna().all()


# ---- stopping


def started(job):
    """Waits until the job has made its first step."""
    while job.progress.seconds_left is None:
        assert not job.wait(0.01), job
    return job


def test_stop_ends_a_job_within_one_step(cat, tmp_path, calls):
    job = started(
        Job(sweep(cat.but(num_inference_steps=999), seed=range(8)), tmp_path, batch_size=2)
    )
    job.stop()
    at = len(calls)
    assert (
        job.wait(60) and job.state == "stopped" and len(calls) <= at + torch.get_num_threads()
    )  # one for each lane


def test_a_stopped_job_keeps_what_is_finished_and_the_next_run_goes_on(cat, tmp_path, calls):
    cells = sweep(cat, seed=range(400))
    job = Job(cells, tmp_path, batch_size=2)
    while not job.progress.rendered:
        assert not job.wait(0.01)
    frame = job.stop().result()
    finished = int(frame["path"].notna().sum())
    assert 0 < finished < 400 and frame["error"].isna().all() and "stopped" in repr(job)
    there = frame["path"].notna().tolist()  # not the first ones: the lanes run side by side
    few = [c for c, done in zip(cells, there) if done] + [
        c for c, done in zip(cells, there) if not done
    ][:2]
    del calls[:]
    assert run(few, tmp_path, batch_size=2)["path"].notna().all() and len(calls) == 3


def test_the_notebook_is_free_while_a_job_runs_and_result_waits(cat, tmp_path):
    job = Job(sweep(cat.but(num_inference_steps=20), seed=range(4)), tmp_path)
    assert job.wait(0) is False and job.state == "running"
    assert job.result()["path"].notna().all() and job.state == "done" and job.wait(0)


def test_two_jobs_take_turns(cat, random_v1, tmp_path):
    jobs = [Job(sweep(cat, seed=range(n, n + 6)), tmp_path, batch_size=2) for n in (0, 6)]
    assert all(job.result()["path"].notna().all() for job in jobs) and len(Store(tmp_path)) == 12


def test_an_exception_in_the_thread_comes_out_of_result(cat, tmp_path, monkeypatch):
    monkeypatch.setattr(
        Store,
        "save",
        lambda *args, **more: (_ for _ in ()).throw(OSError(28, "No space left on device")),
    )
    job = Job(cat, tmp_path)
    job.wait()
    assert job.state == "failed"
    with pytest.raises(OSError, match="No space"):
        job.result()


def run_many(model, root, errors):
    with open(errors, "w") as file:
        os.dup2(file.fileno(), 2)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    cat = Request(model=model, prompt="a cat", num_inference_steps=2)
    run(sweep(cat, seed=range(3000)), root, batch_size=2)


def test_ctrl_c_ends_a_script_and_keeps_what_is_finished(random_v1, tmp_path, forks):
    errors = tmp_path / "errors"
    given = str(random_v1), tmp_path / "store", errors
    process = forks.Process(target=run_many, args=given, daemon=True)
    process.start()
    images = tmp_path / "store" / "images"
    while not list(images.glob("*/*.png")):
        assert process.is_alive()
        threading.Event().wait(0.05)
    os.kill(process.pid, signal.SIGINT)
    process.join(120)
    assert process.exitcode == 1 and "run again to go on" in errors.read_text()
    frame = Store(tmp_path / "store").frame()
    assert 0 < len(frame) < 3000 and all(Image.open(path).load() for path in frame["path"])


def test_memory_does_not_grow_with_the_number_of_cells(cat, tmp_path):
    """Pictures, noise and encoded prompts of finished cells are let go; 16 bytes a cell would be seen."""
    import gc

    import torch

    def tensors():
        gc.collect()
        return sum(torch.is_tensor(thing) for thing in gc.get_objects())

    run(sweep(cat, seed=range(4)), tmp_path, batch_size=2)
    before = tensors()
    run(sweep(cat, seed=range(24)), tmp_path, batch_size=2)
    assert tensors() <= before + 8


def run_a_script(model, root, errors):
    with open(errors, "w") as file:
        os.dup2(file.fileno(), 2)
    job = Job(sweep(Request(model=model, num_inference_steps=900), seed=range(8)), root)
    while job.progress.seconds_left is None:
        time.sleep(0.01)
    ctypes.pythonapi.Py_Exit(0)  # a fork's own end calls nobody


def test_a_script_that_ends_while_a_job_runs_ends_the_job(random_v1, tmp_path, forks):
    errors = tmp_path / "errors"
    given = str(random_v1), tmp_path / "store", errors
    process = forks.Process(target=run_a_script, args=given, daemon=True)
    process.start()
    process.join(120)
    assert process.exitcode == 0 and errors.read_text() == ""
