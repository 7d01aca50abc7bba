"""What a graphics card gets: larger batches, several writers, no waiting. No card is needed: its clock and memory are told.

`meta`, torch's device without values, stands for one in the loop: whoever asks it for a number, which would have the
program wait for a card, gets an error.
"""

import copy
import dataclasses
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import NOISE
from PIL import Image
from pipelines import write_edit
from swaps import write_peft_lora
from torch.utils._python_dispatch import TorchDispatchMode

import sdlab.models.pipeline
from sdlab import Job, Request, estimate, resolve, run, sweep
from sdlab.models import machine, memory
from sdlab.models.checkpoint import CONFIGS
from sdlab.models.sizes import count_networks, read_sizes, sum_sizes
from sdlab.recipe.schedulers import SCHEDULERS
from sdlab.render import batch_size, batches, budget, card, renderer
from sdlab.render.batch_size import count_paying, fit_plan
from sdlab.render.denoise import denoise
from sdlab.render.encode import ROWS, Prompts
from sdlab.render.start import Outside, from_noise, start_from

STEADY = (
    0.006  # seconds of a cell where the card is busy; it is idle below .035 a call, as an H100 is
)
SHORT = NOISE | {"num_train_timesteps": 100}  # some schedulers are made in all of them
NOISY = {  # noise drawn on the CPU comes up in each step, and of UniPC a few small numbers
    *("DDPMScheduler", "EulerAncestralDiscreteScheduler", "KDPM2AncestralDiscreteScheduler"),
    *("LCMScheduler", "SASolverScheduler", "UniPCMultistepScheduler"),
}


@pytest.fixture(autouse=True)
def nothing_is_loaded_or_kept(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "TIMES", tmp_path / "speed.json")
    sdlab.models.pipeline.unload()
    yield
    sdlab.models.pipeline.unload()


@pytest.fixture
def busy_card(monkeypatch):
    """The processor plays a card with memory of its own: its clock and what is free are told, what it computes is real."""
    told = SimpleNamespace(timed=[], free=80e9, compiled=[])

    def time_call(loaded, request, cells):
        told.timed.append(cells)
        told.compiled.append(loaded.compiled or loaded.pipe.unet._compiled_call_impl is not None)
        return max(0.035, STEADY * cells)

    for room in (memory, batches, budget, card, renderer):
        monkeypatch.setattr(room, "has_own_memory", lambda device: True)
    monkeypatch.setattr(card, "time_call", time_call)
    monkeypatch.setattr(card, "find_free", lambda device: told.free)
    monkeypatch.setattr(budget, "find_free", lambda device="cpu": told.free)
    return told


@pytest.fixture
def cat(random_v1):
    return Request(
        model=str(random_v1), prompt="a cat", num_inference_steps=2, scheduler="EulerDiscrete"
    )


# ---- the loop does not wait


class Copies(TorchDispatchMode):
    """Counts what is copied from the processor's memory to the device."""

    count = 0

    def __torch_dispatch__(self, call, types, args=(), kwargs=None):
        out = call(*args, **kwargs or {})
        if isinstance(out, torch.Tensor) and out.is_meta:
            copied = call.overloadpacket.__name__ in ("to", "_to_copy", "copy_")
            self.count += copied and any(isinstance(x, torch.Tensor) and x.is_cpu for x in args)
        return out


@pytest.fixture(scope="module")
def far_unet():
    """A small one: on this device torch is slow."""
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        return UNet2DConditionModel(
            block_out_channels=(8,),
            norm_num_groups=4,
            layers_per_block=1,
            down_block_types=["CrossAttnDownBlock2D"],
            mid_block_type=None,
            up_block_types=["UpBlock2D"],
            cross_attention_dim=8,
            attention_head_dim=4,
        )


@pytest.fixture(scope="module")
def short_unet(far_unet):
    """The same without its blocks, which compute the same in every step: what reads timesteps is left."""
    short = copy.deepcopy(far_unet)
    short.down_blocks, short.up_blocks = torch.nn.ModuleList(), torch.nn.ModuleList()
    return short


def denoise_there(unet, name, steps, begin):
    """Two cells on a device that answers nothing: a question is an error."""
    text = torch.zeros(2, 77, 8, device="meta")
    return denoise(
        unet,
        sdlab.models.pipeline.make_scheduler(name, SHORT),
        text,
        text,
        seeds=[1, 2],
        guidance_scale=[1, 7.5],
        num_inference_steps=steps,
        begin=begin,
    )


def count_copies(unet, name, steps):
    """How often a run of so many steps copies from the processor's memory."""
    with Copies() as copies:
        denoise_there(unet, name, steps, from_noise((4, 8, 8), "meta"))
    return copies.count


@pytest.mark.parametrize("name", SCHEDULERS)
def test_no_step_reads_from_the_card_or_sends_it_what_could_be_there(short_unet, name):
    few, many = (count_copies(short_unet, name, steps) for steps in (4, 8))
    assert few >= 2 and (many > few) == (name in NOISY)


def test_nor_does_a_whole_network_whatever_the_number_of_steps(far_unet):
    assert (
        2
        <= count_copies(far_unet, "DDIMScheduler", 2)
        == count_copies(far_unet, "DDIMScheduler", 4)
    )


@pytest.mark.parametrize("name", SCHEDULERS)
def test_nor_does_a_step_from_a_picture_or_inside_a_mask(short_unet, name):
    known, noise = (torch.zeros(2, 4, 8, 8, device="meta") for _ in range(2))
    mask = torch.zeros(2, 1, 8, 8, device="meta")

    def begin(scheduler, generators, steps):
        start = start_from(known, noise, scheduler, 0.6, steps)
        return dataclasses.replace(start, outside=Outside(known, noise, mask))

    assert denoise_there(short_unet, name, 5, begin).is_meta  # it would raise


# ---- as many cells as pay


def test_the_smallest_batch_in_which_a_cell_is_quickest_is_found_once_and_kept():
    timed = []

    def time_call(cells):
        timed.append(cells)
        return max(0.035, STEADY * cells)

    assert count_paying("a card", time_call) == 8 and timed == [1, 2, 4, 8, 16]
    assert count_paying("a card", lambda cells: pytest.fail("timed again")) == 8
    assert batch_size.recall_paying("a card") == 8 and batch_size.recall_paying("another") is None
    assert count_paying("small", lambda cells: None if cells > 2 else 1.0) == 2
    assert count_paying("no room at all", lambda cells: None) == 1
    assert count_paying("slow", lambda cells: 1.0 * cells) == 1


def test_times_that_ended_with_the_memory_are_not_kept():
    assert count_paying("full", lambda cells: None) == 1 and not machine.recall_kept("full")
    assert count_paying("full", lambda cells: None if cells > 2 else 1.0) == 2
    assert batch_size.recall_paying("full") is None
    assert count_paying("full", lambda cells: 1.0) == batch_size.recall_paying("full") == 64


def test_times_are_named_by_the_unet_and_by_the_rows_of_a_cell(cat, random_v1, tmp_path):
    own = write_edit(tmp_path / "edit")
    lora = write_peft_lora(tmp_path / "lora.safetensors", random_v1)
    picture = Image.new("RGB", (64, 64))
    edit = Request(model=str(own), prompt="a cat", image=picture)
    names = []
    for request in (cat, cat.but(lora=str(lora)), cat.but(image=picture), edit):
        cell = resolve(request)
        native = sdlab.models.resolve.native(cell.model)
        swapped = sdlab.models.resolve.swap_parts(native, cell)
        loaded = sdlab.models.pipeline.load(swapped, "cpu", "float32")
        names.append(card.name_times(loaded, cell))
        sizes = read_sizes(native.model)
        assert f"{sizes.unet} parameters" in names[-1] and f"{sizes.predictions} x (" in names[-1]
    assert len(set(names[:3])) == 1 and "cells of 2 x (8, 8)" in names[0]
    assert "cells of 3 x (8, 8)" in names[3]


@pytest.mark.parametrize("plan, cells", [(1, 1), (2, 2), (3, 4), (5, 8), (16, 16), (1000, 16)])
def test_a_smaller_plan_has_a_smaller_power_of_two(plan, cells):
    assert fit_plan(16, plan) == cells


def test_a_card_computes_what_pays_and_a_plan_that_goes_on_the_same_bits(busy_card, cat, tmp_path):
    plan = sweep(cat, seed=range(11))
    whole = run(plan, tmp_path / "whole", dtype="float32")
    assert set(whole["batch_size"]) == {8} and busy_card.timed == [1, 2, 4, 8, 16]
    few = run(plan[:3], tmp_path / "few", dtype="float32")
    assert set(few["batch_size"]) == {4} and len(busy_card.timed) == 5
    run(plan[:10], tmp_path / "again", dtype="float32")
    rest = run(plan, tmp_path / "again", dtype="float32")  # one is left, of a plan of eleven
    assert set(rest["batch_size"]) == {8} and list(rest["pixels"]) == list(whole["pixels"])
    said = estimate(plan, dtype="float32").frame
    assert said[said["memory"] == "auto"]["batch_size"].tolist() == [8]


def test_free_memory_bounds_the_batch(busy_card, cat, tmp_path):
    sizes = read_sizes(sdlab.models.resolve.native(cat.model).model)
    loaded = SimpleNamespace(dtype="float32", memory="auto")
    busy_card.free = card.estimate_activations(loaded, sizes, cat.but(height=64, width=64), 2)
    assert set(run(sweep(cat, seed=range(9)), tmp_path, dtype="float32")["batch_size"]) == {2}


def test_a_call_is_timed_with_what_the_network_takes_and_no_room_is_no_time(cat, monkeypatch):
    loaded = sdlab.models.pipeline.load(sdlab.models.resolve.native(cat.model), "cpu", "float32")
    seen = []
    loaded.pipe.unet.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape))
    assert card.time_call(loaded, resolve(cat), 3) > 0 and set(seen) == {(6, 4, 8, 8)}

    def refuse(*given, **named):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(loaded.pipe.unet, "forward", refuse)
    assert card.time_call(loaded, resolve(cat), 3) is None


def test_a_card_decodes_four_pictures_of_512_at_a_time(monkeypatch):
    def rows(device):
        loaded = SimpleNamespace(pipe=SimpleNamespace(vae=None), device=device)
        monkeypatch.setattr(renderer, "Conditions", lambda *_: None)
        monkeypatch.setattr(renderer, "Prompts", lambda *_: None)
        return renderer.Renderer(loaded)._count_decoded(Request(height=512, width=512), 16)

    assert (rows("cpu"), rows("cuda")) == (1, 4)


# ---- prompts, and files


def test_prompts_are_encoded_in_calls_of_one_size_and_have_the_same_bits_in_each(cat):
    pipe = sdlab.models.pipeline.load(sdlab.models.resolve.native(cat.model), "cpu", "float32").pipe
    calls = []
    hook = pipe.text_encoder.register_forward_pre_hook(
        lambda _, args: calls.append(tuple(args[0].shape))
    )
    long = cat.but(
        prompt="a (cat:1.3) " * 40, prompt_syntax="weights+chunks", negative_prompt="dog"
    )
    cells = [cat.but(prompt=f"the cat {i}") for i in range(20)] + [long, cat.but(clip_skip=1)]
    together, alone = Prompts(pipe), Prompts(pipe)
    together.encode_together(cells)
    assert calls == [(ROWS, 77)] * 3  # 20 prompts, chunks, "dog" and "" in two, clip_skip in one
    for cell in cells[::-1]:
        del calls[:]
        alone.encode_together([cell])
        assert set(calls) <= {(ROWS, 77)}
        for ours, theirs in zip(alone.encode_both(cell), together.encode_both(cell)):
            assert torch.equal(ours.words, theirs.words)
    del calls[:]
    one_by_one = Prompts(pipe)
    for cell in cells:
        for ours, theirs in zip(one_by_one.encode_both(cell), together.encode_both(cell)):
            assert torch.allclose(ours.words, theirs.words, atol=1e-5)
    assert {rows for rows, _ in calls} == {1}
    hook.remove()


def test_a_prompt_has_the_same_bits_however_many_came_before(cat, monkeypatch):
    monkeypatch.setattr("sdlab.render.encode.KEPT", 8)
    pipe = sdlab.models.pipeline.load(sdlab.models.resolve.native(cat.model), "cpu", "float32").pipe
    calls = []
    hook = pipe.text_encoder.register_forward_pre_hook(lambda _, args: calls.append(len(args[0])))
    long = cat.but(prompt="a cat " * 60, prompt_syntax="chunks", negative_prompt="dog")
    prompts = Prompts(pipe)
    for size in (3, 7, 3):  # the last of which are more than eight texts
        cells = [cat.but(prompt=f"the cat {i}", negative_prompt="dog") for i in range(3 * size)]
        for start in range(0, len(cells), size):
            batch = [*cells[start : start + size], long]
            prompts.encode_together(batch)
            for cell in batch:
                prompts.encode_both(cell)
    hook.remove()
    assert set(calls) == {ROWS}


def test_several_threads_write_and_every_cell_lands_once(busy_card, cat, tmp_path, monkeypatch):
    save, at_once, most = batches.Store.save, [0], [0]
    lock, four = threading.Lock(), threading.Barrier(4)

    def slow(self, *args, **named):
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        four.wait(60)  # no file is written before four are under way
        try:
            return save(self, *args, **named)
        finally:
            with lock:
                at_once[0] -= 1

    monkeypatch.setattr(batches.os, "cpu_count", lambda: 4)
    monkeypatch.setattr(batches.Store, "save", slow)
    frame = run(sweep(cat, seed=range(8)), tmp_path, dtype="float32")
    assert most[0] == 4 and frame["path"].notna().all() and frame["key"].is_unique
    for path in frame["path"]:
        assert np.asarray(Image.open(path)).shape == (64, 64, 3)


# ---- little memory


@pytest.fixture
def v1(monkeypatch):
    """The sizes of Stable Diffusion v1 on a card in float16, where nothing is measured."""
    monkeypatch.setattr(budget, "memory_format_here", lambda *how: "contiguous_format")
    monkeypatch.setattr(budget, "describe_batches", lambda *how, **more: "a card")
    config = CONFIGS / sdlab.MODELS["sd-v1-4"].packed
    return sum_sizes(count_networks(config), config)


@pytest.mark.parametrize(
    "gigabytes, level",
    [
        (8, "auto"),
        (3, "auto"),
        (2.5, "low"),
        (2, "lower"),
        (1, "lower"),
        (0.5, "lower"),
        (0.1, "lowest"),
    ],
)
def test_a_card_of_so_many_gigabytes_begins_on_the_fastest_level_that_fits(v1, gigabytes, level):
    begun, size = budget.begin_footing(f"{gigabytes}GB"), (512, 512)
    footing, weights, more = budget.descend(
        v1, size, "cuda", "float16", begun, memory.read_limit(f"{gigabytes}GB"), 1
    )
    assert footing.memory == level and (weights + more <= gigabytes * 1e9) == (gigabytes > 0.1)
    if level != "auto":
        assert str(footing).startswith(f"memory auto -> {level} to fit ")


def test_a_stated_number_of_gigabytes_bounds_batch_and_level(busy_card, cat, tmp_path):
    sizes = read_sizes(sdlab.models.resolve.native(cat.model).model)
    loaded = SimpleNamespace(dtype="float32", memory="auto")
    more = card.estimate_activations(loaded, sizes, cat.but(height=64, width=64), 4)
    busy_card.timed.append("kept")
    card.count_paying("kept", lambda cells: 1.0)
    enough = f"{(4 * sizes.weights + more) / 1e9:.6f}"[:-1] + "9GB"
    frame = run(sweep(cat, seed=range(9)), tmp_path / "4", dtype="float32", memory=enough)
    assert set(frame["memory"]) == {"auto"} and set(frame["batch_size"]) == {4}
    frame = run([cat], tmp_path / "little", dtype="float32", memory="0.001GB")
    assert set(frame["memory"]) == {"lowest"} and "-> lowest" in frame["rerun"][0]
    with pytest.raises(ValueError, match="memory='4 gigabytes': use 'auto', .*as '4GB'"):
        run([cat], tmp_path, memory="4 gigabytes")


def test_a_unet_is_fetched_ahead_and_what_computes_in_part_is_not(monkeypatch):
    import diffusers.hooks

    seen = {}
    monkeypatch.setattr(
        diffusers.hooks,
        "apply_group_offloading",
        lambda part, **how: seen.update({part: (how["use_stream"], how["onload_device"].type)}),
    )
    parts = {name: torch.nn.Identity() for name in ("unet", "vae", "text_encoder")}
    memory.settle(SimpleNamespace(components={**parts, "tokenizer": "words"}), "cuda:0", "lower")
    found = {name: seen.pop(part) for name, part in parts.items()}
    assert found == {
        "unet": (True, "cuda"),
        "vae": (False, "cuda"),
        "text_encoder": (False, "cuda"),
    }
    assert not seen


def test_every_layer_of_a_unet_computes_in_each_call_so_that_fetching_ahead_holds(cat):
    """diffusers fetches in the order of the first call, and a layer that was not in it would be missing later."""
    own = sdlab.models.resolve.native(cat.model)
    pipe = sdlab.models.pipeline.load(own, "cpu", "float32").pipe
    sample, text = torch.zeros(2, 4, 8, 8), torch.zeros(2, 77, 32)

    def find_idle(part, call):
        leaves = [m for m in part.modules() if not list(m.children()) and list(m.parameters())]
        called = set()
        hooks = [leaf.register_forward_hook(lambda leaf, *_: called.add(leaf)) for leaf in leaves]
        with torch.inference_mode():
            call()
        for hook in hooks:
            hook.remove()
        return len(leaves) - len(called)

    assert find_idle(pipe.unet, lambda: pipe.unet(sample, 1, encoder_hidden_states=text)) == 0
    assert find_idle(pipe.vae, lambda: pipe.vae.decode(sample)) > 0


# ---- compiling


def test_a_long_plan_is_compiled_on_a_card_and_a_short_one_is_not(busy_card, cat):
    loaded = sdlab.models.pipeline.load(sdlab.models.resolve.native(cat.model), "cpu", "float32")
    long = resolve(cat.but(num_inference_steps=20))
    assert not card.compiling_pays(loaded, long, 10**6)  # nothing is known yet
    card.count_paying(card.name_times(loaded, long), lambda cells: max(0.035, STEADY * cells))
    assert card.compiling_pays(loaded, long, 4000) and not card.compiling_pays(loaded, long, 400)
    assert not card.compiling_pays(dataclasses.replace(loaded, memory="low"), long, 10**6)


@pytest.fixture
def compiler(monkeypatch):
    """Compiles nothing, and tells of which calls it was asked."""
    told = SimpleNamespace(calls=[], error=None)

    def compile(self, **how):
        def call(*args, **kwargs):
            told.calls.append(len(args[0]))
            if told.error:
                raise told.error
            return self._call_impl(*args, **kwargs)

        self._compiled_call_impl = call

    monkeypatch.setattr(torch.nn.Module, "compile", compile)
    return told


def test_what_is_compiled_is_recorded_and_what_is_not_computes_as_before(
    compiler, cat, tmp_path, monkeypatch
):
    monkeypatch.setattr(batches, "compiling_pays", lambda loaded, cell, cells: cells > 2)
    how = dict(dtype="float32", batch_size=2)
    told = []
    show = lambda progress: lambda: told.append(str(progress))
    monkeypatch.setattr("sdlab.render.job.display", show)
    job = Job(sweep(cat, seed=range(4)), tmp_path / "long", **how)
    frame = job.result()
    assert frame["compiled"].all() and set(compiler.calls) == {4}
    assert any("loading (compiling the UNet)" in text for text in told)
    assert any("(the UNet is compiled)" in text for text in told) and job.progress.note == ""
    assert len(compiler.calls) == 2 + 2 * 2  # tried, then computed
    del compiler.calls[:]
    short = run(sweep(cat, seed=range(2)), tmp_path / "short", **how)
    plain = run(sweep(cat, seed=range(4)), tmp_path / "plain", compile=False, **how)
    assert short["compiled"].isna().all() and plain["compiled"].isna().all() and not compiler.calls
    assert list(plain["pixels"]) == list(frame["pixels"])


def test_what_is_left_of_a_plan_is_compiled_as_the_whole_would_be(
    compiler, cat, tmp_path, monkeypatch
):
    monkeypatch.setattr(batches, "compiling_pays", lambda loaded, cell, cells: cells > 2)
    plan, how = sweep(cat, seed=range(4)), dict(dtype="float32", batch_size=2)
    assert run(plan[:2], tmp_path, **how)["compiled"].isna().all()
    frame = run(plan[1:], tmp_path, **how)
    assert frame["compiled"].notna().tolist() == [False, True, True]


def test_batches_are_timed_as_an_uncompiled_unet_computes_them(compiler, busy_card, cat):
    own = sdlab.models.resolve.native(cat.model)
    loaded = sdlab.models.pipeline.load(own, "cpu", "float32").compile(True)
    assert card.choose_batch(loaded, own, resolve(cat.but(height=64, width=64)), 16) == 8
    assert busy_card.compiled == [False] * 5


def test_a_compiler_that_fails_costs_no_cell_unless_it_was_asked_for(
    compiler, cat, tmp_path, monkeypatch
):
    compiler.error = RuntimeError("no ptxas")
    monkeypatch.setattr(batches, "compiling_pays", lambda *how: True)
    frame = run([cat], tmp_path, dtype="float32")
    assert frame["error"].isna().all() and frame["compiled"].isna().all()
    frame = run([cat.but(seed=1)], tmp_path, dtype="float32", compile=True)
    assert frame["error"][0] == "RuntimeError: no ptxas"


def test_what_torch_would_quietly_leave_as_it_is_fails_instead(monkeypatch, cat):
    """From its ninth shape on, torch computes a network uncompiled, and `compiled` would be wrong."""
    compile = torch.nn.Module.compile
    monkeypatch.setattr(
        torch.nn.Module, "compile", lambda self, **how: compile(self, backend="eager", **how)
    )
    loaded = sdlab.models.pipeline.load(sdlab.models.resolve.native(cat.model), "cpu", "float32")
    pipe = SimpleNamespace(unet=torch.nn.Identity())
    unet = dataclasses.replace(loaded, pipe=pipe).compile(True).pipe.unet
    torch.compiler.reset()
    with (
        torch._dynamo.config.patch(recompile_limit=1),
        pytest.raises(RuntimeError, match="fullgraph"),
    ):
        for size in (1, 2):
            unet(torch.zeros(size))


def test_compiling_for_a_processor_needs_a_compiler(cat, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(ValueError, match=r"compile=True: .*C\+\+ compiler, and none is here"):
        run([cat], tmp_path, device="cpu", compile=True)
    with pytest.raises(ValueError, match="compile='yes': use 'auto', True or False"):
        run([cat], tmp_path, compile="yes")
    for other in (1, 0, 1.0):
        with pytest.raises(ValueError, match=f"compile={other}: use 'auto', True or False"):
            run([cat], tmp_path, compile=other)
