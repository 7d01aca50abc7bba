"""The number format is the one that this machine computes fastest: measured once, and kept."""

import json

import pytest
import torch

import sdlab.models.pipeline
from sdlab.models import machine
from sdlab.models.machine import FORMATS, choose_format, dtype_here, measure_formats
from sdlab.models.resolve import native

AMX = {"float32": 0.091, "bfloat16": 0.0105, "float16": 0.176}  # one thread, 320 channels


@pytest.fixture
def timed(tmp_path, monkeypatch):
    """A machine with AMX that remembers nothing yet; the list of what is timed on it."""
    seen = []

    def time_layers(channels, dtype):
        seen.append((channels, dtype))
        return AMX[dtype]

    monkeypatch.setattr(machine, "TIMES", tmp_path / "cache" / "number_formats.json")
    monkeypatch.setattr(machine, "time_layers", time_layers)
    dtype_here.cache_clear()
    yield seen
    dtype_here.cache_clear()


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
    assert choose_format(times) == format


def test_a_measurement_is_kept_for_the_next_session(timed, monkeypatch):
    assert dtype_here("cpu", 320) == "bfloat16" and {c for c, _ in timed} == {320}
    del timed[:]
    dtype_here.cache_clear()  # as in another session
    assert dtype_here("cpu", 320) == "bfloat16" and not timed
    assert dtype_here("cpu", 64) == "bfloat16" and {c for c, _ in timed} == {64}
    del timed[:]
    dtype_here.cache_clear()
    monkeypatch.setattr(torch, "__version__", "99")
    assert dtype_here("cpu", 320) == "bfloat16" and timed
    kept = json.loads(machine.TIMES.read_text())
    assert len(kept) == 3 and all(times == AMX for times in kept.values())


@pytest.mark.parametrize("text", ["{", "[]", '{"NAME": 3}', '{"NAME": {"float32": 1.0}}'])
def test_a_spoiled_file_is_measured_again(timed, text):
    machine.TIMES.parent.mkdir()
    machine.TIMES.write_text(text.replace("NAME", machine.describe_case(320)))
    assert dtype_here("cpu") == "bfloat16" and timed


def test_a_folder_that_cannot_be_written_does_not_matter(timed):
    machine.TIMES.parent.write_text("a file")
    assert dtype_here("cpu") == "bfloat16"


def test_a_card_is_not_measured(timed):
    assert (dtype_here("cuda"), dtype_here("cuda:1"), timed) == ("float16", "float16", [])


def test_a_hopeless_format_is_timed_twice_at_most(timed, monkeypatch):
    monkeypatch.setitem(AMX, "float16", 9.0)
    dtype_here("cpu")
    assert [[dtype for _, dtype in timed].count(name) for name in FORMATS] == [4, 2, 4]


def test_a_real_measurement_leaves_threads_and_random_numbers_alone():
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    times = measure_formats(8)
    assert set(times) == set(FORMATS) and min(times.values()) > 0
    assert torch.get_num_threads() == threads and torch.equal(torch.get_rng_state(), state)


def test_the_width_is_the_models_own_and_a_stated_format_is_not_measured(random_v1, monkeypatch):
    asked = []
    monkeypatch.setattr(
        sdlab.models.pipeline, "dtype_here", lambda *given: asked.append(given) or "float32"
    )
    own = native(str(random_v1))
    assert sdlab.models.pipeline.load(own, "cpu", "bfloat16").dtype == "bfloat16" and not asked
    assert sdlab.models.pipeline.load(own, "cpu").dtype == "float32" and asked == [("cpu", 32)]
