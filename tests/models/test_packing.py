"""Weights are laid out once for a processor's kernels, and nothing of a picture changes."""

import dataclasses
import gc
import threading
import weakref

import numpy as np
import pytest
import torch
from conftest import write_pipeline
from PIL import Image
from swaps import write_peft_lora
from torch import nn
from torch.nn import functional as F

import sdlab.models.pipeline
from sdlab import Request, resolve, run, sweep
from sdlab.models import packing
from sdlab.models.packing import Packed
from sdlab.models.resolve import native
from sdlab.render import batches, budget
from sdlab.render.budget import packing_pays

pytestmark = pytest.mark.skipif(
    not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="no kernels for bfloat16 here"
)
WIDE = 128, 128, 128, 128


@pytest.fixture(autouse=True)
def nothing_is_known(monkeypatch):
    monkeypatch.setattr(packing, "_same", {})
    yield
    sdlab.models.pipeline.unload()


@pytest.fixture
def packed(monkeypatch):
    """All that was packed, by runs of the test, however short they are."""
    made = []

    class Watched(Packed):
        def __init__(self):
            super().__init__()
            made.append(self)

    monkeypatch.setattr(batches, "Packed", Watched)
    monkeypatch.setattr(budget, "PACKED", 0)
    return made


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wide") / "model"
    write_pipeline(folder, channels=WIDE)
    return folder


def make_network():
    torch.manual_seed(0)
    layers = (
        nn.Conv2d(128, 128, 3, padding=1),
        nn.Conv2d(128, 256, 3, stride=2, padding=1, bias=False),
        nn.Conv2d(256, 256, 1),
        nn.Flatten(2),  # what follows is given an order in which its bits may differ
        nn.Linear(64, 1024),
        nn.Linear(1024, 64, bias=False),
    )
    network = nn.Sequential(*layers).bfloat16().requires_grad_(False)
    return network.to(memory_format=torch.channels_last)


def draw(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(1)).bfloat16()


def calls_of(monkeypatch):
    """Counts the weights that are laid out."""
    laid_out, real = [], packing.pack

    def pack(given, weight, how):
        laid_out.append(tuple(weight.shape))
        return real(given, weight, how)

    monkeypatch.setattr(packing, "pack", pack)
    return laid_out


def test_a_network_gives_the_same_bits_and_each_weight_is_laid_out_once(monkeypatch):
    network, given, laid_out = make_network(), draw(2, 128, 16, 16), calls_of(monkeypatch)
    given, own = given.contiguous(memory_format=torch.channels_last), Packed()
    with torch.inference_mode():
        plain = network(given)
        for _ in range(3):
            with own.use():
                assert torch.equal(network(given), plain)
        assert torch.equal(network(given), plain)
    assert len(laid_out) == len(packing._same) == 5 and sum(packing._same.values()) >= 3


def test_packed_weights_are_what_computes_from_the_second_call_on(monkeypatch):
    network, given, own = make_network()[0], draw(2, 128, 16, 16), Packed()
    given = given.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode(), own.use():
        before = network(given)
        network.weight.mul_(2)  # which a run never does
        assert torch.equal(network(given), before)


def test_a_kind_of_layer_whose_bits_differ_stays_as_it_was(monkeypatch):
    layer, given = make_network()[4], draw(2, 256, 64)
    real = packing.LAYERS[torch._C._nn.linear]
    monkeypatch.setitem(packing.LAYERS, torch._C._nn.linear, lambda *args: real(*args) * 1.01)
    with torch.inference_mode():
        plain = layer(given)
        with Packed().use():
            assert all(torch.equal(layer(given), plain) for _ in range(2))
    assert [*packing._same.values()] == [False]


def test_a_processor_without_such_kernels_computes_as_torch_does(monkeypatch):
    def refuse(*args):
        raise RuntimeError("no such kernel")

    network, given = make_network(), draw(2, 128, 16, 16)
    monkeypatch.setattr(packing, "pack", refuse)
    with torch.inference_mode():
        plain = network(given)
        with Packed().use():
            assert all(torch.equal(network(given), plain) for _ in range(2))
    assert packing._same and not any(packing._same.values())


@pytest.mark.parametrize(
    "call",
    [
        lambda x, w: F.conv2d(x.float(), w.float(), None, 1, 1),
        lambda x, w: F.conv2d(x, w, None, 1, 1),
        lambda x, w: F.conv2d(x, w, padding=1),
        lambda x, w: F.conv2d(x, w, None, (1, 1), "same", (1, 1), 1),
        lambda x, w: F.conv2d(x[0], w, None, (1, 1), (1, 1), (1, 1), 1),
        lambda x, w: F.conv2d(x.repeat(1, 1, 2, 2), w, None, (1, 1), (1, 1), (1, 1), 1),
        lambda x, w: F.conv2d(x[:, :16], w[:16, :16], None, (1, 1), (1, 1), (1, 1), 1),
        lambda x, w: F.linear(x[0, :, 0], w[:16, :16, 0, 0].repeat(1, 1)),
    ],
    ids=[
        "float32",
        "numbers",
        "keyword",
        "same",
        "unbatched",
        "many-pixels",
        "small",
        "small-linear",
    ],
)
def test_what_cannot_gain_or_is_called_otherwise_is_left_alone(call, monkeypatch):
    laid_out, x, w = calls_of(monkeypatch), draw(4, 128, 16, 16), draw(128, 128, 3, 3)
    with torch.inference_mode():
        plain = call(x, w)
        with Packed().use():
            assert torch.equal(call(x, w), plain)
    assert not laid_out


def test_lanes_share_what_one_of_them_laid_out(monkeypatch):
    network, given, laid_out, own = (
        make_network(),
        draw(2, 128, 16, 16),
        calls_of(monkeypatch),
        Packed(),
    )
    found = []

    def lane():
        torch.set_num_threads(1)
        with torch.inference_mode(), own.use():
            found.append(network(given))

    lanes = [threading.Thread(target=lane) for _ in range(4)]
    for each in lanes:
        each.start()
    for each in lanes:
        each.join()
    assert len(laid_out) == 5
    assert len(found) == 4 and all(torch.equal(each, found[0]) for each in found)


def test_a_lane_that_tries_a_kind_while_another_finds_that_it_differs_keeps_torchs_bits(
    monkeypatch,
):
    layer, given = make_network()[4], draw(2, 256, 64)
    real = packing.LAYERS[torch._C._nn.linear]

    def meanwhile(*args):
        found = real(*args) * 1.01
        with torch.inference_mode(), Packed().use():
            monkeypatch.setitem(packing.LAYERS, torch._C._nn.linear, lambda *args: found)
            other = threading.Thread(target=lambda: Packed().compute(*asked))
            other.start()
            other.join()
        return found

    asked = torch._C._nn.linear, given, layer.weight, layer.bias
    monkeypatch.setitem(packing.LAYERS, torch._C._nn.linear, meanwhile)
    with torch.inference_mode():
        plain = layer(given)
        assert torch.equal(Packed().compute(*asked), plain)
    assert [*packing._same.values()] == [False]


def test_another_thread_computes_as_it_did(monkeypatch):
    laid_out, layer, given = calls_of(monkeypatch), make_network()[4], draw(2, 256, 64)
    with Packed().use():
        other = threading.Thread(target=lambda: layer(given))
        other.start()
        other.join()
    assert not laid_out


# ---- in a run


def render(folder, store, **how):
    cell = Request(
        model=str(folder), prompt="a cat", num_inference_steps=2, height=64, width=64, **how
    )
    return run(sweep(cell, seed=range(3)), store, device="cpu", dtype="bfloat16", progress=False)


def same(one, other):
    pixels = [[np.asarray(Image.open(path)) for path in frame["path"]] for frame in (one, other)]
    return np.array_equal(*pixels) and [*one["guidance_norm"]] == [*other["guidance_norm"]]


@pytest.mark.parametrize("changes", [{}, {"tiling": "both"}, {"lora": "lora.safetensors"}])
def test_pictures_are_the_same_bit_for_bit(wide, changes, tmp_path, packed, monkeypatch):
    if "lora" in changes:
        changes = {"lora": str(write_peft_lora(tmp_path / changes["lora"], wide))}
    with monkeypatch.context() as told:
        told.setattr(budget, "PACKED", 1000)
        plain = render(wide, tmp_path / "plain", **changes)
    assert not packed
    assert same(render(wide, tmp_path / "packed", **changes), plain)
    assert len(packed) == 1 and len(packed[0]._kept) > 20 and sum(packing._same.values()) > 5


def test_nothing_is_held_when_the_run_is_over(wide, tmp_path, packed):
    render(wide, tmp_path / "store")
    weight = weakref.ref(next(iter(packed[0]._kept.values()))[0])
    held = weakref.ref(packed.pop())
    assert held() is None  # at once, not when somebody looks for circles
    sdlab.models.pipeline.unload()
    gc.collect()
    assert weight() is None


@pytest.mark.parametrize("memory", ["low", "64GB"])
def test_who_limits_memory_gets_no_second_copy(wide, tmp_path, packed, memory):
    cell = Request(model=str(wide), prompt="a cat", num_inference_steps=1, height=64, width=64)
    run([cell], tmp_path / "store", dtype="bfloat16", memory=memory, progress=False)
    assert not packed


def test_it_takes_a_long_plan_a_wide_unet_half_precision_and_memory_to_spare(wide, monkeypatch):
    own = native(str(wide))
    loaded = sdlab.models.pipeline.load(own, "cpu", "bfloat16")
    cell = resolve(Request(model=str(wide), prompt="", num_inference_steps=20, height=64, width=64))

    def pays(plan=4, cells=2, **changes):
        return packing_pays(dataclasses.replace(loaded, **changes), own, cell, plan, cells)

    assert pays()
    assert not pays(plan=3) and pays(plan=3, cells=1)
    for changes in (
        {"dtype": "float32"},
        {"device": "cuda"},
        {"memory": "low"},
        {"compiled": True},
    ):
        assert not pays(**changes)
    unet = 2 * sum(each.numel() for each in loaded.pipe.unet.parameters())
    monkeypatch.setattr(budget, "find_free", lambda: 2 * unet)
    assert not pays()
    monkeypatch.setattr(budget, "find_free", lambda: 3 * unet + 100e6)
    assert pays()
    monkeypatch.setattr(budget, "NARROW", 129)
    assert not pays()
