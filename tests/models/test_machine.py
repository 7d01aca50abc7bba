"""A model is computed in the way that this machine computes fastest: measured once, and kept."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import sdlab
import sdlab.models.pipeline
import sdlab.render.budget
from sdlab import Request, estimate, run
from sdlab.models import machine
from sdlab.models.machine import (
    HOPELESS,
    choose_way,
    dtype_here,
    lanes_here,
    list_splits,
    measure_blocks,
    memory_format_here,
    share_out,
)
from sdlab.models.resolve import native

AMX = {"float32": 0.091, "float16": 0.176, "bfloat16": 0.0105}  # one thread, 320 channels
QUESTIONS = dtype_here, memory_format_here, lanes_here


def forget():
    """As in another session."""
    for question in QUESTIONS:
        question.cache_clear()


class Clock:
    """A machine whose every time is told: by default one with AMX, a third slower with channels last."""

    def __init__(self):
        self.seconds, self.timed = dict(AMX), []

    def time_way(self, device, channels, way):
        self.timed.append((device, channels, way))
        if way in self.seconds:
            return self.seconds[way]
        dtype, order, *_ = way.split()
        return self.seconds[dtype] * (1.33 if order == "channels_last" else 1.0)


@pytest.fixture
def clock(tmp_path, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(machine, "TIMES", tmp_path / "cache" / "speed.json")
    monkeypatch.setattr(machine, "time_way", clock.time_way)
    monkeypatch.setattr(machine, "winograd_here", lambda *how: False)  # it has tests of its own
    forget()
    yield clock
    forget()


@pytest.mark.parametrize(
    "times, format",
    [
        (AMX, "bfloat16"),  # though the processor says that it has float16
        ({"float32": 0.01, "float16": 0.5, "bfloat16": 0.3}, "float32"),  # imitates both
        ({"float32": 0.1, "float16": 0.042, "bfloat16": 0.04}, "float16"),  # the more exact half
        ({"float32": 0.1, "float16": 0.04, "bfloat16": 0.042}, "float16"),
        ({"float32": 0.1, "float16": 0.5, "bfloat16": 0.095}, "float32"),  # not worth it
    ],
)
def test_the_most_exact_of_the_fast_formats_is_taken(times, format):
    assert choose_way(times) == format


def test_a_measurement_is_kept_for_the_next_session(clock, monkeypatch):
    assert dtype_here("cpu", 320) == "bfloat16" and {c for _, c, _ in clock.timed} == {320}
    del clock.timed[:]
    forget()
    clock.seconds = dict.fromkeys(AMX, 9.0)  # a busy moment changes nothing
    assert dtype_here("cpu", 320) == "bfloat16" and not clock.timed
    assert dtype_here("cpu", 64) == "float32" and {c for _, c, _ in clock.timed} == {64}
    del clock.timed[:]
    forget()
    monkeypatch.setattr(torch, "__version__", "99")
    assert dtype_here("cpu", 320) == "float32" and clock.timed
    assert len(json.loads(machine.TIMES.read_text())) == 3


def test_the_faster_memory_format_is_taken_and_one_as_fast_stays_the_usual(clock):
    assert memory_format_here("cpu", 320, "float32") == "contiguous_format"
    assert memory_format_here("cpu", 320, "bfloat16") == "contiguous_format"  # by a third
    clock.seconds |= {"bfloat16 contiguous_format": 0.0105, "bfloat16 channels_last": 0.0115}
    forget(), machine.TIMES.unlink()
    assert memory_format_here("cpu", 320, "bfloat16") == "channels_last"  # which the VAE likes


def test_the_memory_format_of_a_card_is_measured_there_and_its_number_format_is_not(clock):
    assert (dtype_here("cuda"), dtype_here("cuda:1"), clock.timed) == ("float16", "float16", [])
    assert lanes_here("meta", 320, "float16") == (1, 1) and not clock.timed
    clock.seconds["float16 channels_last"] = 0.1  # of contiguous .176
    assert memory_format_here("meta", 320, "float16") == "channels_last"
    assert {device for device, _, _ in clock.timed} == {"meta"}


@pytest.mark.parametrize(
    "cores, seconds, chosen",
    [
        (2, {}, (2, 1)),  # as fast either way
        (2, {"bfloat16 contiguous_format 1 lanes of 2": 0.009}, (1, 2)),
        (16, {}, (4, 4)),
        (16, {"bfloat16 contiguous_format 8 lanes of 2": 0.008}, (8, 2)),
        (1, {"bfloat16 contiguous_format 1 lanes of 1": 9.0}, (1, 1)),
    ],
)
def test_cores_are_split_as_usual_unless_another_way_is_faster(
    clock, monkeypatch, cores, seconds, chosen
):
    monkeypatch.setattr(torch, "get_num_threads", lambda: cores)
    clock.seconds |= seconds
    assert lanes_here("cpu", 320, "bfloat16") == chosen
    assert lanes_here("cpu", 64, "bfloat16") == (cores, 1)  # threads would wait for each other
    assert all(lanes * threads <= cores for lanes, threads in list_splits(cores))


NAME = "{case}, 320 channels, number format"
WAYS = ["float32 contiguous_format", "float16 channels_last", "bfloat16 channels_last"]


@pytest.mark.parametrize(
    "kept", ["{", "[]", {NAME: 3}, {NAME: {WAYS[0]: 1.0}}, {NAME: dict.fromkeys(WAYS, -1.0)}]
)
def test_a_spoiled_file_is_measured_again(clock, kept):
    machine.TIMES.parent.mkdir()
    text = kept if isinstance(kept, str) else json.dumps(kept)
    machine.TIMES.write_text(text.replace("{case}", machine.describe_device("cpu")))
    assert dtype_here("cpu") == "bfloat16" and clock.timed
    forget(), clock.timed.clear()
    assert dtype_here("cpu") == "bfloat16" and not clock.timed


def test_a_folder_that_cannot_be_written_does_not_matter(clock):
    machine.TIMES.parent.write_text("a file")
    assert dtype_here("cpu") == "bfloat16"


def test_a_measurement_that_is_cut_off_leaves_nothing(clock, monkeypatch):
    def interrupt(*how):
        if len(clock.timed) == 4:
            raise KeyboardInterrupt
        return clock.time_way(*how)

    monkeypatch.setattr(machine, "time_way", interrupt)
    with pytest.raises(KeyboardInterrupt):
        dtype_here("cpu")
    assert not machine.TIMES.exists() and not machine.TIMES.parent.exists()
    monkeypatch.setattr(machine, "time_way", clock.time_way)
    assert dtype_here("cpu") == "bfloat16"


def test_of_two_measurements_at_once_the_first_to_end_counts(clock, monkeypatch):
    def measure_while_another_process_does(*how):
        monkeypatch.setattr(machine, "time_way", clock.time_way)
        assert dtype_here.__wrapped__("cpu") == "bfloat16"  # the other's
        clock.seconds = dict.fromkeys(AMX, 1.0)
        return clock.time_way(*how)

    monkeypatch.setattr(machine, "time_way", measure_while_another_process_does)
    assert dtype_here("cpu") == "bfloat16"


def test_a_hopeless_format_is_timed_once(clock):
    clock.seconds["float16"] = HOPELESS
    dtype_here("cpu")
    counts = [[w for _, _, w in clock.timed].count(way) for way in WAYS]
    assert counts == [1, 1, 3]  # beside bfloat16 of AMX, so is float32


def test_a_real_measurement_leaves_threads_and_random_numbers_alone():
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    ways = ["float32 channels_last", "bfloat16 contiguous_format 2 lanes of 1"]
    times = measure_blocks("cpu", 12, ways)
    assert list(times) == ways and min(times.values()) > 0
    assert torch.get_num_threads() == threads and torch.equal(torch.get_rng_state(), state)


def test_the_width_is_the_models_own_and_a_stated_format_is_not_measured(random_v1, monkeypatch):
    asked = []
    monkeypatch.setattr(machine, "dtype_here", lambda *given: asked.append(given) or "float32")
    own = native(str(random_v1))
    assert sdlab.models.pipeline.load(own, "cpu", "bfloat16").dtype == "bfloat16" and not asked
    assert sdlab.models.pipeline.load(own, "cpu").dtype == "float32" and asked == [("cpu", 32)]


def test_what_was_chosen_is_in_the_estimate_and_recorded_with_the_picture(
    clock, random_v1, tmp_path
):
    clock.seconds["bfloat16 channels_last"] = 0.005
    sdlab.models.pipeline.unload()
    cell = Request(model=str(random_v1), num_inference_steps=1)
    said, frame = estimate(cell), run(cell, tmp_path)
    sdlab.models.pipeline.unload()
    for of in (said.frame, frame):
        assert (of["dtype"][0], of["memory_format"][0]) == ("bfloat16", "channels_last")
        assert of["threads"][0] == 1
    assert said.frame["lanes"][0] == torch.get_num_threads()
    assert re.search(r"memory_format.*lanes.*threads", repr(said))


@pytest.mark.parametrize(
    "lanes, threads, batches, shared", [(2, 1, 1, (1, 2)), (4, 4, 2, (2, 8)), (4, 4, 3, (3, 5))]
)
def test_lanes_without_a_batch_give_their_threads_to_the_others(lanes, threads, batches, shared):
    assert share_out(320, lanes, threads, batches) == shared
    assert share_out(320, lanes, threads, lanes) == (lanes, threads)
    assert share_out(64, lanes, threads, batches) == (lanes, threads)  # they would only wait


def test_one_wide_picture_uses_all_cores_and_says_so(tmp_path, monkeypatch):
    from conftest import write_pipeline

    model = str(write_pipeline(tmp_path / "wide", channels=(128, 128)))
    for room in (sdlab.models.pipeline, sdlab.render.budget):
        monkeypatch.setattr(room, "lanes_here", lambda *how: (2, 1))
    sdlab.models.pipeline.unload()
    cell = Request(model=model, num_inference_steps=1, height=256, width=256)
    one, two = [cell], [cell.but(seed=1), cell.but(seed=2)]
    for plan, lanes, threads in ((one, 1, 2), (two, 2, 1)):
        frame = run(plan, tmp_path / f"{lanes}", dtype="bfloat16")
        said = estimate(plan, dtype="bfloat16").frame.iloc[0]
        assert set(frame["threads"]) == {threads} and set(frame["batch_size"]) == {1}
        assert (said["lanes"], said["threads"]) == (lanes, threads)
    sdlab.models.pipeline.unload()


# ---- memory from Linux


@pytest.mark.parametrize(
    "setting, before, after",
    [
        ("always [madvise] never", None, "1"),
        ("always [madvise] never", "0", "0"),
        ("[always] madvise never", None, None),
        ("always madvise [never]", None, None),
        (None, None, None),
    ],
)
def test_huge_pages_are_asked_for_where_only_who_asks_gets_them(
    setting, before, after, tmp_path, monkeypatch
):
    name, place = "THP_MEM_ALLOC_ENABLE", tmp_path / "enabled"
    monkeypatch.setenv(name, before or "")
    if before is None:
        monkeypatch.delenv(name)
    if setting is not None:
        place.write_text(setting + "\n")
    sdlab.ask_for_huge_pages(str(place))
    assert os.environ.get(name) == after


HUGE = """
import re, torch
import sdlab
made = torch.ones(2**24)
place, inside = made.data_ptr(), False
for line in open("/proc/self/smaps"):
    if found := re.match("([0-9a-f]+)-([0-9a-f]+) ", line):
        inside = int(found[1], 16) <= place < int(found[2], 16)
    elif inside and line.startswith("VmFlags:"):
        print("hg" in line.split())
"""


@pytest.mark.skipif(
    not (PAGES := Path("/sys/kernel/mm/transparent_hugepage/enabled")).exists()
    or "[madvise]" not in PAGES.read_text(),
    reason="this system gives huge pages to all, or to none",
)
def test_torch_asks_for_them_once_sdlab_is_imported_before_the_first_tensor():
    def said(**more):
        kept = {name: each for name, each in os.environ.items() if name != "THP_MEM_ALLOC_ENABLE"}
        command = [sys.executable, "-c", HUGE]
        return subprocess.check_output(command, text=True, env=kept | more).split()

    assert said() == ["True"]
    assert said(THP_MEM_ALLOC_ENABLE="0") == ["False"]
