"""Convolutions take fewer multiplications where that is faster, and it is recorded."""

import math
import threading

import numpy as np
import pytest
import torch
from conftest import write_pipeline
from PIL import Image
from torch import nn
from torch.nn import functional as F

import sdlab.models.pipeline
from sdlab import Request, estimate, run, sweep, verify
from sdlab.models import machine, nnpack, products, winograd
from sdlab.models.machine import winograd_here
from sdlab.models.nnpack import is_there, list_bands, measure_bands
from sdlab.models.winograd import Winograd
from sdlab.render.trace import open_renderer
from sdlab.results.inside import inside

pytestmark = pytest.mark.skipif(not is_there(), reason="torch has no NNPACK here")


def draw(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)))


def make_layer(channels=32, padding=1, outputs=48, **how):
    torch.manual_seed(0)
    return nn.Conv2d(channels, outputs, 3, padding=padding, **how).requires_grad_(False)


def compute(layer, given):
    with torch.inference_mode(), Winograd():
        return layer(given)


def far(one, other):
    return ((one - other).norm() / other.norm()).item()


def note_shapes(monkeypatch, owner, name):
    """The shapes that a function is given from here on."""
    given, real = [], getattr(owner, name)

    def convolve(rows, *how):
        given.append(tuple(rows.shape))
        return real(rows, *how)

    monkeypatch.setattr(owner, name, convolve)
    return given


@pytest.fixture
def calls(monkeypatch):
    """The shapes that NNPACK was given."""
    return note_shapes(monkeypatch, torch, "_nnpack_spatial_convolution")


@pytest.fixture
def multiplied(monkeypatch):
    """The shapes that were convolved by products of matrices."""
    return note_shapes(monkeypatch, products, "convolve")


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("padding", [0, 1, (0, 1)])
@pytest.mark.parametrize("bias", [True, False])
def test_it_is_the_convolution_to_a_few_millionths(padding, bias, calls):
    layer, given = make_layer(padding=padding, bias=bias), draw(2, 32, 61, 50)
    found, right = compute(layer, given), layer(given)
    assert found.shape == right.shape and found.is_contiguous() and calls
    assert 0 < far(found, right) < 2e-5


def test_a_row_has_its_bits_whatever_stands_beside_it():
    layer, given = make_layer(), draw(3, 32, 48, 64)
    rows = [compute(layer, row[None]) for row in given]
    assert torch.equal(compute(layer, given), torch.cat(rows))


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("height", [64, 47 * 6, 47 * 6 + 1])
def test_bands_and_threads_change_no_bit(padding, height, calls, threads, monkeypatch):
    threads(1)
    layer, given = make_layer(padding=padding), draw(1, 32, height, 64)
    whole = compute(layer, given)
    assert len(calls) == 1
    threads(3)
    monkeypatch.setattr(nnpack, "LEAST_PLACES", 64)
    assert torch.equal(compute(layer, given), whole) and len(calls) == 1 + 3
    threads(1)
    monkeypatch.setattr(nnpack, "ROOM", 1 << 20)
    assert torch.equal(compute(layer, given), whole) and len(calls) >= 1 + 3 + 2


@pytest.mark.parametrize("height, width", [(48, 48), (64, 64), (509, 512), (512, 512), (4096, 64)])
@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("threads", [1, 2, 5, 16])
def test_bands_cover_all_lines_once_and_none_is_too_small_or_too_large(
    height, width, rows, threads
):
    weight = torch.empty(128, 256, 3, 3)
    step = measure_bands(height, width, weight, rows, threads)
    bands = list(list_bands(rows, height, step))
    lines = [(row, line) for row, top, bottom in bands for line in range(top, bottom)]
    assert lines == [(row, line) for row in range(rows) for line in range(height)]
    assert step % 6 == 0 and step * width >= min(nnpack.LEAST_PLACES, height * width)
    least = math.ceil(nnpack.LEAST_PLACES / width / 6) * 6
    taken = step // 6 * math.ceil(width / 6) * 384 * nnpack.POINTS
    assert step == least or taken * threads <= nnpack.ROOM
    if rows * height * width >= 4 * threads * nnpack.LEAST_PLACES:
        assert len(bands) >= threads  # none of them idles


@pytest.mark.parametrize(
    "call",
    [
        lambda x, w: F.conv2d(x[:, :, ::2, ::2], w, None, (1, 1), (1, 1), (1, 1), 1),
        lambda x, w: F.conv2d(x, w, None, (2, 2), (1, 1), (1, 1), 1),
        lambda x, w: F.conv2d(x, w, None, (1, 1), (1, 1), (2, 2), 1),
        lambda x, w: F.conv2d(x, w, None, (1, 1), (2, 2), (1, 1), 1),
        lambda x, w: F.conv2d(x, w[:, : len(w) // 2], None, (1, 1), (1, 1), (1, 1), 2),
        lambda x, w: F.conv2d(x, w[:, :, :1, :1], None, (1, 1), (0, 0), (1, 1), 1),
        lambda x, w: F.conv2d(x, w[:4], None, (1, 1), (1, 1), (1, 1), 1),
        lambda x, w: F.conv2d(x, w, None, 1, 1),
        lambda x, w: F.conv2d(x, w, padding=1),
        lambda x, w: F.conv2d(x, w),
        lambda x, w: F.conv2d(x, w, None, (1, 1), "same", (1, 1), 1),
        lambda x, w: F.conv2d(x[0], w, None, (1, 1), (1, 1), (1, 1), 1),
        lambda x, w: F.conv2d(x.double(), w.double(), None, (1, 1), (1, 1), (1, 1), 1),
        lambda x, w: F.conv2d(
            x, w.contiguous(memory_format=torch.channels_last), None, (1, 1), (1, 1), (1, 1), 1
        ),
        lambda x, w: F.conv_transpose2d(x, w),
        lambda x, w: F.conv2d(x, w, None, (1, 1), (0,), (1, 1), 1),
    ],
)
@pytest.mark.parametrize("channels, side", [(32, 64), (320, 24)])
def test_what_cannot_gain_or_is_called_otherwise_is_torchs_own(
    call, channels, side, calls, multiplied
):
    x, w = draw(2, channels, side, side), draw(channels, channels, 3, 3)
    with torch.inference_mode():
        plain = call(x, w)
        with Winograd():
            assert torch.equal(call(x, w), plain)
    assert not calls and not multiplied


@pytest.mark.parametrize("channels, side", [(32, 64), (320, 16)])
@pytest.mark.parametrize("name", ["weight", "bias"])
def test_what_is_trained_keeps_its_gradients(channels, side, name, calls, multiplied):
    layer, given = make_layer(channels, outputs=320), draw(1, channels, side, side)
    trained = getattr(layer, name).requires_grad_(True)
    with Winograd():
        layer(given).sum().backward()
    assert trained.grad.abs().sum() > 0 and not calls and not multiplied
    with torch.no_grad(), Winograd():
        assert not layer(given).requires_grad
    assert calls or multiplied


def test_another_thread_computes_as_it_did(calls):
    layer, given = make_layer(), draw(1, 32, 64, 64)
    with Winograd():
        other = threading.Thread(target=lambda: layer(given))
        other.start()
        other.join()
    assert not calls


def test_the_order_in_memory_changes_no_bit():
    layer, given = make_layer(), draw(2, 32, 48, 64)
    found = compute(layer, given.contiguous(memory_format=torch.channels_last))
    assert torch.equal(found, compute(layer, given)) and found.is_contiguous()


def test_what_went_wrong_on_a_helper_is_raised(threads, monkeypatch):
    def fail(*how):
        raise RuntimeError("no memory for a transform")

    threads(2)
    monkeypatch.setattr(torch, "_nnpack_spatial_convolution", fail)
    with pytest.raises(RuntimeError, match="no memory for a transform"):
        compute(make_layer(), draw(1, 32, 64, 64))
    assert not [each for each in threading.enumerate() if "winograd" in each.name]


# ---- of few places


@pytest.mark.parametrize("side", [16, 19, 40])
@pytest.mark.parametrize("padding", [0, 1, (0, 1)])
@pytest.mark.parametrize("bias", [True, False])
def test_few_places_are_convolved_to_a_few_millionths(side, padding, bias, calls, multiplied):
    layer = make_layer(320, padding, outputs=330, bias=bias)
    given = draw(2, 320, side, side + 3)
    found, right = compute(layer, given), layer(given)
    assert found.shape == right.shape and found.is_contiguous()
    assert multiplied == [(2, 320, side, side + 3)] and not calls
    exact = layer.double()(given.double())
    assert far(found, right) > 0 and far(found, exact) < 5e-6


@pytest.mark.parametrize("channels", [640, 1280])
@pytest.mark.parametrize("side", [16, 21, 32])
def test_a_row_of_few_places_has_its_bits_whatever_stands_beside_it(channels, side, threads):
    layer, given = make_layer(channels, outputs=640), draw(3, channels, side, side)
    for many in (1, 2):
        threads(many)
        found, others = compute(layer, given), [2 * given[0], given[1], -given[2]]
        assert torch.equal(compute(layer, torch.stack(others))[1], found[1])
        assert far(compute(layer, given[1:2])[0], found[1]) < 2e-6


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.contiguous(memory_format=torch.channels_last),
        lambda x: torch.cat([x, x], 3)[:, :, :, :20],
        lambda x: x[:1].expand(2, -1, -1, -1),
    ],
    ids=["channels last", "cut", "repeated"],
)
def test_the_order_in_memory_of_few_places_changes_no_bit(change):
    layer, given = make_layer(320, outputs=320), change(draw(2, 320, 18, 20))
    assert not given.is_contiguous()
    found = compute(layer, given)
    assert torch.equal(found, compute(layer, given.contiguous())) and found.is_contiguous()


@pytest.mark.parametrize(
    "shape, outputs", [((1, 320, 15, 16), 320), ((1, 319, 16, 16), 320), ((1, 320, 16, 16), 319)]
)
def test_what_has_too_few_places_or_channels_is_torchs_own(shape, outputs, multiplied):
    given = draw(*shape)
    layer = make_layer(shape[1], outputs=outputs)
    assert torch.equal(compute(layer, given), layer(given)) and not multiplied


def test_in_half_precision_of_torchs_choice_convolutions_are_torchs_own(calls, multiplied):
    """Products in bfloat16 would lose most of their digits to the factors of the transforms."""
    layer, given = make_layer(320, outputs=320), draw(1, 320, 16, 16)
    with torch.autocast("cpu"):
        assert torch.equal(compute(layer, given), layer(given))
    assert not calls and not multiplied


@pytest.mark.parametrize("size", [(2, 200), (2000, 1)])
def test_what_is_smaller_than_a_kernel_is_refused_as_by_torch(size):
    with pytest.raises(RuntimeError, match="[Kk]ernel size"):
        compute(make_layer(320, 0, outputs=320), draw(1, 320, *size))


def test_squares_say_with_a_matrix_what_a_convolution_is():
    """Each table against the sum that it stands for, in one direction, in exact numbers."""
    for side, (squares, kernels, places) in products.MATRICES.items():
        a, b, c = (np.array(each) for each in (squares, kernels, places))
        line, kernel = np.arange(1, side + 3) ** 2, np.array([2, -3, 7])
        right = [line[i : i + 3] @ kernel for i in range(side)]
        assert np.allclose(c @ ((a @ line) * (b @ kernel)), right, rtol=1e-12)


# ---- whether it is chosen


@pytest.fixture
def times(tmp_path, monkeypatch):
    """What a convolution takes either way; also what was timed."""
    told = {"direct": 0.2, "winograd": 0.1, "timed": []}

    def time_convolutions(channels, way):
        told["timed"].append(channels)
        return told[way]

    monkeypatch.setattr(machine, "TIMES", tmp_path / "cache" / "speed.json")
    monkeypatch.setattr(machine, "time_convolutions", time_convolutions)
    winograd_here.cache_clear()
    yield told
    winograd_here.cache_clear()


def test_it_is_chosen_where_a_convolution_is_faster_and_that_is_kept(times):
    assert winograd_here("cpu", 320, "float32") and times["timed"]
    winograd_here.cache_clear()
    times |= {"winograd": 9.0, "timed": []}  # a busy moment changes nothing
    assert winograd_here("cpu", 320, "float32") and not times["timed"]
    assert not winograd_here("cpu", 256, "float32") and times["timed"]


def test_the_memory_format_is_that_which_it_takes_where_it_is_chosen(times, monkeypatch):
    last = {"float32 contiguous_format": 0.2, "float32 channels_last": 0.1}
    monkeypatch.setattr(machine, "recall_times", lambda *how: last)
    for seconds, order in ((0.1, "contiguous_format"), (0.3, "channels_last")):
        times["winograd"] = seconds
        machine.memory_format_here.cache_clear(), winograd_here.cache_clear()
        machine.TIMES.unlink(missing_ok=True)
        assert machine.memory_format_here("cpu", 320, "float32") == order
    machine.memory_format_here.cache_clear()


def test_it_is_not_chosen_where_it_is_about_as_fast(times):
    times["winograd"] = 0.18
    assert not winograd_here("cpu", 320, "float32")


@pytest.mark.parametrize(
    "how", [("cuda", 320, "float32"), ("cpu", 320, "bfloat16"), ("cpu", 64, "float32")]
)
def test_nothing_is_measured_where_it_cannot_be_chosen(how, times):
    assert not winograd_here(*how) and not times["timed"]


def test_nothing_is_measured_where_torch_has_none(times, monkeypatch):
    with monkeypatch.context() as here:
        here.setattr(torch.backends.nnpack, "is_available", lambda: False)
        is_there.cache_clear()
        assert not winograd_here("cpu", 320, "float32")
    is_there.cache_clear()
    assert is_there() and not times["timed"]


def test_both_ways_are_timed_as_they_are_computed(calls, threads, multiplied):
    threads(2)
    direct = machine.time_convolutions(80, "direct")
    assert not calls and not multiplied and direct > 0
    assert machine.time_convolutions(80, "winograd") > 0
    assert calls == [(1, 80, 64, 64)] and multiplied == [(1, 320, 16, 16)]
    assert torch.get_num_threads() == 2


# ---- in a run


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wide") / "model"
    write_pipeline(folder, channels=(128, 128, 128, 128))
    return folder


@pytest.fixture
def fast(monkeypatch):
    """A machine on which it is chosen, and convolutions of the smallest pictures gain either way."""
    chosen = {"winograd": True}
    for module in (sdlab.models.pipeline, sdlab.render.budget):
        monkeypatch.setattr(module, "winograd_here", lambda *how: chosen["winograd"])
    monkeypatch.setattr(nnpack, "LEAST_PLACES", 32 * 32)
    monkeypatch.setattr(products, "LEAST_PLACES", 4)
    monkeypatch.setattr(winograd, "MANY_CHANNELS", 128)
    sdlab.models.pipeline.unload()
    yield chosen
    sdlab.models.pipeline.unload()


def make_cells(folder, **how):
    cell = Request(
        model=str(folder), prompt="a cat", num_inference_steps=2, height=64, width=64, **how
    )
    return sweep(cell, seed=range(3))


def read(frame):
    return [np.asarray(Image.open(path)).astype(int) for path in frame["path"]]


HOW = dict(device="cpu", dtype="float32", progress=False)


def test_pictures_are_the_same_to_a_level_and_say_how_they_were_made(
    wide, fast, tmp_path, calls, multiplied
):
    cells = make_cells(wide)
    found = run(cells, tmp_path / "fast", **HOW)
    assert calls and {shape[2:] for shape in multiplied} >= {(8, 8), (4, 4)}
    assert found["winograd"].tolist() == [True] * 3
    again = run(cells, tmp_path / "again", batch_size=1, **HOW)
    fast["winograd"] = False
    sdlab.models.pipeline.unload()
    del calls[:], multiplied[:]
    plain = run(cells, tmp_path / "plain", **HOW)
    assert not calls and not multiplied and plain["winograd"].isna().all()
    for one, same, other in zip(read(found), read(again), read(plain)):
        assert np.abs(one - other).max() <= 1 and np.abs(one - same).max() <= 1
    assert sorted(plain["key"]) == sorted(found["key"])


def test_latents_that_were_made_otherwise_are_not_taken(wide, fast, tmp_path):
    other = write_pipeline(tmp_path / "other", seed=5, channels=(128, 128, 128, 128))
    third = write_pipeline(tmp_path / "third", seed=6, channels=(128, 128, 128, 128))
    cells = make_cells(wide, scheduler="Euler")
    run(cells, tmp_path / "store", **HOW)
    shared = run([cell.but(vae=str(other)) for cell in cells], tmp_path / "store", **HOW)
    assert shared["unet_calls"].isna().all() and shared["winograd"].all()
    fast["winograd"] = False
    sdlab.models.pipeline.unload()
    anew = run([cell.but(vae=str(third)) for cell in cells], tmp_path / "store", **HOW)
    assert anew["unet_calls"].notna().all() and anew["winograd"].isna().all()


def test_a_cell_that_is_looked_into_is_computed_as_recorded(wide, fast, tmp_path):
    (cell, *_), how = make_cells(wide, scheduler="Euler"), {"dtype": "float32", "device": "cpu"}
    seen = inside(cell, tmp_path / "fast", **how)
    ends = [np.asarray(each).astype(int) for each in (seen.trace.ends[1], seen.trace.picture.image)]
    assert np.abs(ends[0] - ends[1]).max() <= 1  # several threads decode two rows otherwise
    assert seen.trace.winograd and seen.note == "the same picture, to the bit"
    fast["winograd"] = False
    sdlab.models.pipeline.unload()
    run(cell, tmp_path / "plain", **HOW)
    fast["winograd"] = True
    sdlab.models.pipeline.unload()
    plain = inside(cell, tmp_path / "plain", **how)
    assert not plain.trace.winograd and plain.note == "the same picture, to the bit"
    with open_renderer(plain.cell, {}) as renderer:
        assert renderer.loaded.winograd


@pytest.mark.parametrize("then", [True, False])
def test_a_picture_that_was_convolved_otherwise_is_not_another_one(wide, fast, tmp_path, then):
    """As of a store from before, which says nothing about it."""
    fast["winograd"] = then
    made = run(make_cells(wide), tmp_path, **HOW)
    fast["winograd"] = not then
    sdlab.models.pipeline.unload()
    found = verify(made, progress=False).frame
    assert set(found["verdict"]) <= {"identical", "within tolerance"}
    assert set(found["why"]) == {f"winograd {not then} instead of {then}"}


def test_an_estimate_says_on_which_levels_it_is_used(wide, fast):
    frame = estimate(make_cells(wide), device="cpu", dtype="float32", free=8e9).frame
    said = dict(zip(frame["memory"], frame["winograd"].fillna(False)))
    assert said["auto"] and not said["lowest"]


@pytest.mark.parametrize("memory", ["low", "lowest"])
def test_it_is_not_used_where_memory_is_scarce(wide, fast, tmp_path, calls, memory, multiplied):
    found = run(make_cells(wide)[:1], tmp_path, memory=memory, **HOW)
    assert found["winograd"].isna().all() and not calls and not multiplied
