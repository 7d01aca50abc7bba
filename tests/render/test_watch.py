"""Watching a job: what is told, when, and that nothing depends on who looks."""

import gc
import threading
import time
import weakref

import numpy as np
import pytest
import torch
from PIL import Image

import sdlab.models.pipeline
import sdlab.render.sketch
from sdlab import Job, Request, run, sweep
from sdlab.errors import GenerationError
from sdlab.recipe.schedulers import SCHEDULERS
from sdlab.render.denoise import clean_latents
from sdlab.render.encode import Prompts
from sdlab.render.renderer import Renderer

DRAWN = Request(
    prompt="a hamster on a blue background", num_inference_steps=10
)  # by the embedded model, which has learned to


@pytest.fixture
def cat(random_v1):
    return Request(model=str(random_v1), prompt="a cat", num_inference_steps=2)


@pytest.fixture(autouse=True, scope="module")
def no_pipeline_left():
    yield
    sdlab.models.pipeline.unload()


@pytest.fixture
def every_step(monkeypatch):
    """A sketch after each step, however fast the machine."""
    monkeypatch.setattr(sdlab.render.sketch, "PAUSE", 0.0)
    monkeypatch.setattr(sdlab.render.sketch, "SHARE", 1e9)


class Held:
    """Jobs that render from `go()` on, so that nothing happens before they are watched."""

    def __init__(self):
        self.gate = threading.Event()
        self.go = self.gate.set
        self.go()

    def job(self, *args, **options):
        self.gate.clear()
        return Job(*args, **options)

    def watched(self, *args, **options):
        """A job that has ended, and its events in order."""
        job, events = self.job(*args, **options), []
        job.watch(events.append)
        self.go()
        job.wait()
        return job, events


@pytest.fixture
def held(monkeypatch):
    held, pictures = Held(), Renderer.draw_pictures
    monkeypatch.setattr(
        Renderer, "draw_pictures", lambda self, *given: held.gate.wait() and pictures(self, *given)
    )
    yield held
    held.go()  # a test that failed leaves no job behind


def refusing(monkeypatch, word):
    text = Prompts.encode

    def refuse(self, prompt, *how):
        if word in prompt:
            raise RuntimeError(f"cannot draw a {word}")
        return text(self, prompt, *how)

    monkeypatch.setattr(Prompts, "encode", refuse)


def keys(events, kind):
    return [event.key for event in events if event.kind == kind]


# ---- what is told, and when


def test_each_picture_that_lands_is_told_once(cat, tmp_path, held):
    cells = sweep(cat, seed=range(5))
    run(cells[:1], tmp_path)
    job, events = held.watched([*cells, cells[4]], tmp_path, batch_size=2)
    assert sorted(keys(events, "landed")) == sorted(job.keys[1:5])  # not the one from before


def test_a_picture_is_in_the_store_when_it_is_told(cat, tmp_path, held):
    job, there = held.job(sweep(cat, seed=range(4)), tmp_path, batch_size=2), []
    job.watch(
        lambda event: event.kind == "landed" and there.append(job.store.path(event.key).exists())
    )
    held.go()
    assert job.wait() and there == [True] * 4


def test_a_cell_that_fails_is_told_with_its_message(cat, tmp_path, held, monkeypatch):
    refusing(monkeypatch, "dog")
    job, events = held.watched(sweep(cat, prompt=["a cat", "the dog"]), tmp_path)
    (failed,) = [event for event in events if event.kind == "failed"]
    assert (
        failed.key == job.keys[1]
        and failed.error == "RuntimeError: cannot draw a dog" == job.frame()["error"][1]
    )


def test_the_end_is_told_last_with_the_final_state_and_before_anybody_who_waits_goes_on(
    cat, tmp_path, held
):
    job, seen = held.job(sweep(cat, seed=range(4)), tmp_path), []
    job.watch(
        lambda event: seen.append(
            (event.kind, job.state, job.wait(0) if event.kind == "ended" else None)
        )
    )
    held.go()
    assert job.result()["path"].notna().all()
    assert seen[-1] == ("ended", "done", False) and [kind for kind, *_ in seen].count("ended") == 1


@pytest.mark.parametrize("state", ["stopped", "failed"])
def test_the_end_is_told_however_a_job_ends(cat, tmp_path, held, monkeypatch, state):
    job, events = held.job(sweep(cat, seed=range(4)), tmp_path, on_error="raise"), []
    job.watch(events.append)
    job.stop() if state == "stopped" else refusing(monkeypatch, "cat")
    held.go()
    assert job.wait() and events[-1].kind == "ended" and job.state == state
    assert isinstance(job.exception, GenerationError) == (state == "failed")


def test_a_job_that_has_ended_says_so_at_once(cat, tmp_path):
    job, events = Job(cat, tmp_path), []
    job.wait()
    leave = job.watch(events.append)
    assert [event.kind for event in events] == ["ended"] and events[0].key is None
    leave()


def test_what_a_listener_raises_loses_nothing(cat, tmp_path, held, every_step):
    job, events = held.job(sweep(cat, seed=range(5)), tmp_path, batch_size=2), []
    job.watch(lambda event: 1 / 0)
    job.watch(events.append)
    held.go()
    assert (
        job.result()["path"].notna().all()
        and len(keys(events, "landed")) == 5
        and events[-1].kind == "ended"
    )


def test_who_has_left_is_told_nothing_more(cat, tmp_path, held):
    job, events, others = held.job(sweep(cat, seed=range(8)), tmp_path, batch_size=1), [], []
    leave = job.watch(lambda event: (events.append(event), leave()))
    job.watch(others.append)
    held.go()
    job.wait()
    leave()  # again: no harm
    assert len(events) == 1 < len(others)


# ---- what can be asked meanwhile


def test_the_frame_of_a_running_job_has_what_landed_so_far(cat, tmp_path, held):
    run(cat, tmp_path)
    job = held.job([cat.but(seed=1), cat], tmp_path)
    assert list(job.frame()["path"].notna()) == [False, True] and job.state == "running"
    held.go()
    assert job.result().equals(job.frame()) and job.frame()["path"].notna().all()


def test_the_frame_of_a_job_that_failed_can_be_read(cat, tmp_path, monkeypatch):
    refusing(monkeypatch, "dog")
    job = Job(cat.but(prompt="dog"), tmp_path, on_error="raise")
    assert (
        job.wait()
        and job.state == "failed"
        and job.frame()["error"][0].endswith("cannot draw a dog")
    )


def test_requests_and_keys_are_those_of_the_rows(cat, tmp_path):
    job = Job([cat.but(seed=1), cat, cat.but(seed=1)], tmp_path)
    assert job.keys == [request.key for request in job.requests] == list(job.result()["key"])
    assert [request.seed for request in job.requests] == [1, 0, 1] and all(
        request.weights for request in job.requests
    )


# ---- sketches


def test_watching_changes_no_bit(cat, tmp_path, held, every_step):
    cells = [*sweep(cat.but(num_inference_steps=4), seed=range(3)), *sweep(DRAWN, seed=range(3))]
    alone = run(cells, tmp_path / "alone")
    job, events = held.watched(cells, tmp_path / "watched")
    assert set(keys(events, "sketch")) == set(job.keys)
    assert list(job.result()["pixels"]) == list(alone["pixels"])


def test_sketches_come_near_the_final_picture(tmp_path, held, every_step):
    job, events = held.watched(sweep(DRAWN, seed=range(3)), tmp_path)
    for key in job.keys:
        final = np.asarray(job.store.image(key), float)
        far = [
            np.abs(np.asarray(event.image) - final).mean()
            for event in events
            if (event.kind, event.key) == ("sketch", key)
        ]
        assert (
            len(far) == 9 and far[-1] < 20 and far[-1] < far[0] / 2
        )  # of 255; nothing is sketched before the first step


@pytest.mark.parametrize("height, width, expected", [(32, 64, (64, 32)), (96, 384, (128, 32))])
def test_a_sketch_is_a_small_picture_of_the_same_shape(
    cat, tmp_path, held, every_step, height, width, expected
):
    _, events = held.watched(
        cat.but(height=height, width=width, num_inference_steps=3), tmp_path, batch_size=1
    )
    images = [event.image for event in events if event.kind == "sketch"]
    assert images and {(image.mode, image.size) for image in images} == {("RGB", expected)}


def test_nobody_watching_costs_no_sketch(cat, tmp_path, every_step, monkeypatch):
    monkeypatch.setattr(sdlab.render.sketch, "draw_sketch", lambda *args: pytest.fail("sketched"))
    monkeypatch.setattr(sdlab.render.sketch, "find_colours", lambda vae: pytest.fail("fit_colours"))
    assert run(cat, tmp_path)["path"].notna().all()


def test_sketches_keep_their_pace_and_a_slow_listener_slows_them(monkeypatch):
    from types import SimpleNamespace

    now, drawn, loaded = [0.0], [], SimpleNamespace(pipe=SimpleNamespace(vae=None), lanes=2)
    monkeypatch.setattr(sdlab.render.sketch.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(sdlab.render.sketch, "find_colours", lambda vae: None)
    sketches = sdlab.render.sketch.Sketches([True])
    for cost, pause in [(0.0, 0.25), (0.06, 1.0)]:  # seconds; 0.06 of 1 s in two lanes is 3 %
        monkeypatch.setattr(
            sketches,
            "_draw",
            lambda *args, cost=cost: (drawn.append(now[0]), now.append(now.pop() + cost)),
        )
        del drawn[:]
        now[0] = begun = now[0] + 10
        for i in range(200):
            now[0] = max(now[0], begun + i / 100)
            sketches.show(loaded, [], lambda: None)
        assert np.allclose(np.diff(drawn), pause, atol=0.02)


def test_a_sketch_that_cannot_be_drawn_loses_nothing(cat, tmp_path, held, every_step, monkeypatch):
    monkeypatch.setattr(sdlab.render.sketch, "fit_colours", lambda vae: 1 / 0)
    sdlab.models.pipeline.unload()
    _, events = held.watched(sweep(cat, seed=range(2)), tmp_path)
    assert len(keys(events, "landed")) == 2 and not keys(events, "sketch")


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
def test_the_clean_latents_are_ddims_own(kind):
    from diffusers import DDIMScheduler

    ddim = DDIMScheduler(prediction_type=kind, clip_sample=False, beta_schedule="scaled_linear")
    ddim.set_timesteps(20)
    x, predicted = torch.randn(2, 2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    for t in ddim.timesteps:
        own = ddim.step(predicted, t, x).pred_original_sample
        assert torch.allclose(
            clean_latents(ddim, ddim.scale_model_input(x, t), predicted, t), own, atol=1e-5
        )


@pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")
@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_a_perfect_prediction_gives_the_clean_latents_in_every_scheduler(scheduler, kind):
    import diffusers

    own = getattr(diffusers, scheduler)(
        prediction_type=kind, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"
    )
    own.set_timesteps(10)
    clean, noise = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    t = own.timesteps[4]
    a = own.alphas_cumprod[int(t)]
    predicted = noise if kind == "epsilon" else a.sqrt() * noise - (1 - a).sqrt() * clean
    scaled = own.scale_model_input(own.add_noise(clean, noise, t[None]), t)
    assert torch.allclose(clean_latents(own, scaled, predicted, t), clean, atol=1e-3)


def test_noise_and_nothing_else_still_gives_numbers():
    from diffusers import DDIMScheduler

    whole = DDIMScheduler(prediction_type="epsilon", rescale_betas_zero_snr=True)
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    assert (
        whole.alphas_cumprod[999] == 0
        and torch.isfinite(clean_latents(whole, x, x, torch.tensor(999))).all()
    )


def test_the_map_to_colours_belongs_to_the_vae_and_is_forgotten_with_it(
    cat, tmp_path, held, every_step, monkeypatch
):
    sdlab.models.pipeline.unload()
    fits, fitted = [], sdlab.render.sketch.fit_colours
    monkeypatch.setattr(
        sdlab.render.sketch,
        "fit_colours",
        lambda vae: (fits.append(weakref.ref(vae)), fitted(vae))[1],
    )
    for name in "ab":
        held.watched(cat, tmp_path / name)
    (vae,) = fits
    assert vae() in sdlab.render.sketch._maps
    sdlab.models.pipeline.unload()
    for _ in range(100):  # the thread that rendered may hold its model for a moment
        gc.collect()
        if vae() is None:
            break
        time.sleep(0.1)
    assert vae() is None, [type(one).__name__ for one in gc.get_referrers(vae())]


def test_plain_colours_are_sketched_in_their_own_colour():
    from sdlab.models.resolve import native

    vae = sdlab.models.pipeline.load(native("tiny-v1"), "cpu", "float32").pipe.vae
    for colour in [(200, 40, 40), (40, 160, 60), (90, 130, 200)]:
        picture = torch.tensor(colour).view(1, 3, 1, 1).expand(1, 3, 64, 64) / 127.5 - 1
        with torch.inference_mode():
            latents = vae.encode(picture).latent_dist.mode()[0] * vae.config.scaling_factor
        image = sdlab.render.sketch.draw_sketch(
            latents, sdlab.render.sketch.find_colours(vae), 64, 64
        )
        assert (
            isinstance(image, Image.Image)
            and np.abs(np.asarray(image).mean((0, 1)) - colour).max() < 12
        )
