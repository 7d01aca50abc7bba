"""A cell watched: the same bits, maps that agree with diffusers' own, and memory that does not grow."""

import numpy as np
import pytest
import torch
from PIL import Image
from pipelines import (
    V_PREDICTION,
    write_depth,
    write_edit,
    write_inpainting,
    write_upscaler,
    write_xl,
)

import sdlab.render.trace
from sdlab import Request, Store, resolve, run
from sdlab.models.pipeline import load
from sdlab.models.resolve import native
from sdlab.render.trace import (
    MOMENTS,
    SIDE,
    Watcher,
    find_layer_size,
    merge_tokens,
    open_renderer,
    trace_cell,
)
from sdlab.store.columns import CHOSEN

GROUPS = [0, 1, 2, *[3] * 74]  # the beginning, two words, the end
BLUE = Image.new("RGB", (64, 64), (40, 90, 200))


def watch(request, folder, **options):
    """(the cell's own pixels, its trace)"""
    frame = run(request, folder, progress=False, on_error="raise", **options)
    facts = {name: frame[name][0] for name in ("device", "threads", *CHOSEN)}
    with Image.open(frame["path"][0]) as image:
        return np.asarray(image.convert("RGB")), trace_cell(resolve(request), GROUPS, facts)


@pytest.fixture(scope="module")
def folders(tmp_path_factory, random_v1):
    """{layout: folder}, each of a small model with random weights."""
    place = tmp_path_factory.mktemp("layouts")
    v2 = dict(text_width=64, use_linear_projection=True, upcast_attention=True)
    return {
        "v1": random_v1,
        "v2": write_v2(place / "v2", **v2),
        "inpainting": write_inpainting(place / "inpainting"),
        "edit": write_edit(place / "edit"),
        "upscaler": write_upscaler(place / "upscaler"),
        "depth": write_depth(place / "depth"),
        "sdxl": write_xl(place / "sdxl"),
        "refiner": write_xl(place / "refiner", refiner=True),
    }


def write_v2(folder, **more):
    from conftest import NOISE
    from diffusers import DDIMScheduler, StableDiffusionPipeline
    from pipelines import parts

    StableDiffusionPipeline(
        *parts(folder, 4, **more),
        scheduler=DDIMScheduler(**V_PREDICTION, **NOISE),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    return folder


PICTURES = {
    "inpainting": {"image": BLUE, "mask_image": Image.new("L", (64, 64), 255)},
    "edit": {"image": BLUE},
    "upscaler": {"image": BLUE.resize((16, 16))},
    "depth": {"image": BLUE},
    "refiner": {"image": BLUE, "strength": 1},
    "tiny-depth": {"image": BLUE},
    "tiny-x4": {"image": BLUE.resize((16, 16))},
}


@pytest.mark.parametrize("model", ["tiny-v1", "tiny-v2", "tiny-depth", "tiny-x4"])
def test_watching_leaves_the_bits_of_every_embedded_model(model, tmp_path):
    request = Request(model=model, prompt="a cat", num_inference_steps=3, **PICTURES.get(model, {}))
    pixels, trace = watch(request, tmp_path)
    assert np.array_equal(pixels, np.asarray(trace.picture.image))
    assert trace.maps and len(trace.steps) == len(trace.moments)


LAYOUTS = ["v1", "v2", "inpainting", "edit", "upscaler", "depth", "sdxl", "refiner"]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("scheduler", ["PNDMScheduler", "HeunDiscreteScheduler"])
def test_watching_leaves_the_bits_of_every_layout(layout, scheduler, folders, tmp_path):
    request = Request(
        model=str(folders[layout]),
        prompt="the cat",
        negative_prompt="dog",
        num_inference_steps=2,
        scheduler=scheduler,
        **PICTURES.get(layout, {}),
    )
    pixels, trace = watch(request, tmp_path)
    assert np.array_equal(pixels, np.asarray(trace.picture.image))
    for size, maps in trace.maps.items():
        assert maps.shape == (len(trace.moments), 4, *size)
        assert np.allclose(maps.sum(1), 1, atol=1e-5)


@pytest.mark.parametrize("memory", ["low", "lowest"])
def test_watching_leaves_the_bits_where_memory_is_saved_and_sees_the_same(
    memory, folders, tmp_path
):
    request = Request(model=str(folders["v1"]), prompt="the cat", num_inference_steps=2)
    pixels, trace = watch(request, tmp_path / memory, memory=memory)
    assert np.array_equal(pixels, np.asarray(trace.picture.image))
    _, plain = watch(request, tmp_path / "auto")
    for size, maps in plain.maps.items():
        assert np.allclose(maps, trace.maps[size], atol=1e-4)


class Recorder:
    """diffusers' plain processor, which tells its attention to the prompt of the first cell."""

    def __init__(self, seen, row):
        self.seen, self.row = seen, row

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, **kwargs):
        from diffusers.models.attention_processor import AttnProcessor

        if encoder_hidden_states is not None:
            q, k = attn.to_q(hidden_states), attn.to_k(encoder_hidden_states)
            scores = attn.get_attention_scores(*map(attn.head_to_batch_dim, (q, k)))
            of_row = scores.view(-1, attn.heads, *scores.shape[1:])[self.row].mean(0)
            self.seen.setdefault(len(of_row), []).append(of_row.float())
        return AttnProcessor()(attn, hidden_states, encoder_hidden_states, **kwargs)


@pytest.mark.parametrize("layout", ["v1", "v2", "upscaler", "sdxl", "refiner"])
def test_maps_are_those_of_diffusers_own_attention(layout, folders, tmp_path):
    from sdlab.models.pipeline import load

    model, more = str(folders[layout]), PICTURES.get(layout, {})
    request = Request(model=model, prompt="the cat", num_inference_steps=1, seed=3, **more)
    request = request.but(scheduler="DDIMScheduler")
    options = dict(batch_size=2, dtype="float32")
    _, trace = watch(request, tmp_path, **options)
    unet, seen = load(native(model), dtype="float32").pipe.unet, {}
    before = unet.attn_processors
    unet.set_attn_processor(Recorder(seen, row=2))  # two rows without the prompt, two with it
    try:
        run(request, tmp_path / "again", progress=False, on_error="raise", **options)
    finally:
        unet.set_attn_processor(before)
    assert {h * w for h, w in trace.maps} == set(seen)
    for (height, width), maps in trace.maps.items():
        mean = np.mean(seen[height * width], 0)  # (places, tokens)
        wanted = [mean[:, 0], mean[:, 1], mean[:, 2], mean[:, 3:].sum(1)]
        assert np.allclose(maps[0], np.stack(wanted).reshape(4, height, width), atol=1e-5)


def test_what_is_kept_does_not_grow_with_the_steps(folders, tmp_path, monkeypatch):
    monkeypatch.setattr(sdlab.render.trace, "MOMENTS", few := 6)

    def count_bytes(steps):
        request = Request(model=str(folders["v1"]), prompt="the cat", num_inference_steps=steps)
        _, trace = watch(request.but(scheduler="DDIMScheduler"), tmp_path, batch_size=1)
        assert len(trace.steps) == steps and len(trace.moments) == few
        assert [m.first for m in trace.moments] == [0, *[m.last + 1 for m in trace.moments[:-1]]]
        of_moments = [v for m in trace.moments for v in vars(m).values() if hasattr(v, "nbytes")]
        return sum(each.nbytes for each in [*trace.maps.values(), *of_moments])

    assert count_bytes(few) == count_bytes(4 * few + 1)


def test_a_moment_of_several_steps_has_the_mean_of_their_maps():
    watcher = Watcher([0, 1], row=0, size=(2, 2))
    for step in range(2 * MOMENTS):
        watcher.begin_step(step, 2 * MOMENTS)
        first = torch.full((4, 1), step / 100)
        watcher._add_map(torch.cat([first, 1 - first], dim=1))
    maps = watcher.find_maps()[2, 2]
    assert maps.shape == (MOMENTS, 2, 2, 2)
    assert np.allclose(maps[:, 0, 0, 0], [(4 * n + 1) / 200 for n in range(MOMENTS)])


def test_a_large_layers_map_is_averaged_down():
    watcher = Watcher([0, 1], row=0, size=(64, 96))
    watcher.begin_step(0, 1)
    first = torch.rand(64 * 96, 1)
    watcher._add_map(torch.cat([first, 1 - first], dim=1))
    ((size, maps),) = watcher.find_maps().items()
    assert size == (64, 96) and max(maps.shape[2:]) == SIDE
    blocks = first.view(64, 96).numpy()[:63].mean()
    assert maps[0, 0].mean() == pytest.approx(blocks, abs=0.01) and np.allclose(maps.sum(1), 1)


def test_sizes_of_layers_follow_from_the_latents():
    assert find_layer_size((64, 96), 16 * 24) == (16, 24)
    assert find_layer_size((9, 13), 5 * 7) == (5, 7)
    with pytest.raises(ValueError, match="no halving"):
        find_layer_size((64, 64), 1000)


def test_tokens_behind_the_last_known_one_count_as_the_last_group():
    weights = torch.tensor([[0.1, 0.2, 0.3, 0.4]])
    assert torch.allclose(merge_tokens(weights, [0, 1, 2]), torch.tensor([[0.1, 0.2, 0.7]]))


def test_guidance_of_a_moment_is_the_formula_and_noise_with_picture_the_latents(folders, tmp_path):
    for layout in ("v1", "v2"):
        request = Request(model=str(folders[layout]), prompt="the cat", guidance_scale=5.0)
        request = request.but(num_inference_steps=3, scheduler="DDIMScheduler")
        _, trace = watch(request, tmp_path, dtype="float32")
        for moment, step in zip(trace.moments, trace.steps):
            guided = moment.without + 5 * (moment.with_text - moment.without)
            assert np.allclose(guided, moment.guided, rtol=1e-3, atol=1e-3)
            a = 1 - moment.noise**2
            eps = [
                (moment.noisy - a**0.5 * clean) / moment.noise
                for clean in (moment.without, moment.with_text)
            ]
            lengths = [float(np.sqrt(np.mean(each**2))) for each in (*eps, eps[1] - eps[0])]
            told = [step[name] for name in ("without", "with_prompt", "direction")]
            assert np.allclose(told, lengths, rtol=1e-2, atol=1e-4)


def test_what_runs_in_diffusers_own_pipeline_is_refused(tmp_path):
    from pipelines import write_latent_upscaler

    model = str(write_latent_upscaler(tmp_path / "x2"))
    request = Request(model=model, image=BLUE, prompt="the cat")
    with pytest.raises(ValueError, match="cannot be watched"):
        trace_cell(resolve(request), GROUPS, {})


def test_the_store_is_not_touched_by_watching(folders, tmp_path):
    request = Request(model=str(folders["v1"]), prompt="the cat", num_inference_steps=2)
    watch(request, tmp_path)
    assert len(Store(tmp_path)) == 1


# How it is computed


def test_a_unet_that_was_left_compiled_is_watched_layer_by_layer(random_v1, tmp_path, monkeypatch):
    cat = Request(model=str(random_v1), prompt="the cat", num_inference_steps=2)
    own, plain = watch(cat, tmp_path, batch_size=1)
    unet = load(native(cat.model)).pipe.unet
    monkeypatch.setattr(unet, "_compiled_call_impl", lambda *args, **how: pytest.fail("called"))
    _, trace = watch(cat, tmp_path, batch_size=1)
    assert trace.maps.keys() == plain.maps.keys() and len(plain.maps) > 0
    assert np.array_equal(np.asarray(trace.picture.image), own)


@pytest.mark.parametrize(("recorded", "threads"), [(2, 2), (3, None), (None, None)])
def test_as_many_threads_share_a_call_as_were_recorded_if_there_are_so_many(
    recorded, threads, random_v1, monkeypatch
):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    cell = resolve(Request(model=str(random_v1), prompt="the cat"))
    before = torch.get_num_threads()
    with open_renderer(cell, {"threads": recorded}) as renderer:
        wanted = threads or load(native(cell.model)).threads
        assert torch.get_num_threads() == renderer.loaded.threads == wanted
    assert torch.get_num_threads() == before
