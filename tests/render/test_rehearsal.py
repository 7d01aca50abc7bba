"""Each call of the UNet is handed the noise that its timestep says, or that is said before a run."""

import copy
import dataclasses
import functools
import importlib.util
import json
import logging
import re
import warnings
from types import SimpleNamespace

import diffusers
import numpy as np
import pytest
import torch

from sdlab import Request, preview, run
from sdlab.errors import FieldError
from sdlab.models.pipeline import make_scheduler
from sdlab.models.tasks import TASKS, count_calls, count_steps
from sdlab.recipe.schedulers import NEEDS, OPTIONS, SIGMAS, SPACED, normalize_scheduler
from sdlab.render import rehearsal
from sdlab.render.denoise import denoise
from sdlab.render.rehearsal import Oracle, describe_schedule, rehearse
from sdlab.render.start import Outside, cut_timesteps, draw_noise, from_noise, start_from

V1 = dict(  # as Stable Diffusion 1 ships it
    _class_name="PNDMScheduler",
    beta_start=0.00085,
    beta_end=0.012,
    beta_schedule="scaled_linear",
    num_train_timesteps=1000,
    set_alpha_to_one=False,
    clip_sample=False,
    steps_offset=1,
)
V2 = dict(V1, prediction_type="v_prediction")
SIZE = 1, 4, 32, 32
STEPS = (*range(1, 12), 15, 18, 19, 20, 21, 25, 30, 31, 32, 33, 37, 40, 45, 49, 50)
STARTS = [("noise", None), ("picture", 0.5), ("mask", 0.5), ("picture", 0.3), ("picture", 0.8)]
STARTS += [("mask", 1.0), ("picture", 1.0), ("mask", 0.9)]


def here(kind):
    return kind not in NEEDS or importlib.util.find_spec(NEEDS[kind]) is not None


def variants(kind):
    """All spellings of a class with a schedule of sigmas and a spacing."""
    spacings = ("leading", "linspace", "trailing") if SPACED in OPTIONS[kind] else (None,)
    for sigma in (None, *(option for option in SIGMAS if option in OPTIONS[kind])):
        for spacing in spacings:
            options = {sigma: True} if sigma else {}
            options |= {SPACED: spacing} if spacing else {}
            inside = ", ".join(f"{name}={value!r}" for name, value in options.items())
            yield normalize_scheduler(f"{kind}({inside})", V1)


ALL = [name for kind in OPTIONS if here(kind) for name in variants(kind)]
ALL += [normalize_scheduler(name, V1) for name in ("DPM++ 2M SDE Karras", "DPM++ 3M SDE")]


def table(names, per_name, seed):
    """A covering sample: so many (name, stated, start, strength, steps) a name, few of slow classes."""
    draw = np.random.default_rng(seed)
    for at, name in enumerate(names):
        slow = name.startswith(("KDPM2", "LMS", "DPMSolverSDE"))  # to make, or to step
        for n in range(max(1, per_name // 4) if slow else per_name):
            kind, strength = STARTS[(at + n) % len(STARTS)]
            steps = int(draw.choice(STEPS if n % 2 else STEPS[:8]))
            if count_steps(strength, steps):
                yield name, (V1, V2)[int(draw.integers(2))], kind, strength, steps


def noise_at(scheduler, t):
    """The standard deviation of the noise at t, between timesteps as diffusers' `_sigma_to_t`."""
    kept = scheduler.alphas_cumprod.double().numpy()
    logs = np.log((1 - kept) / kept) / 2
    return 1 / np.sqrt(1 + np.exp(-2 * np.interp(t, np.arange(len(logs)), logs)))


DEAR = [
    diffusers.HeunDiscreteScheduler,
    diffusers.KDPM2DiscreteScheduler,
    diffusers.KDPM2AncestralDiscreteScheduler,
]


@functools.cache
def make_once(name, stated):
    with pytest.MonkeyPatch.context() as patch:
        for kind in DEAR:  # they begin with the steps of the training, 1000
            known = kind.set_timesteps
            patch.setattr(kind, "set_timesteps", lambda self, *_, known=known: known(self, 2))
        return make_scheduler(name, json.loads(stated))


def make_another(name, stated):
    """A scheduler whose steps are not set yet: with some, making one takes as long as many steps."""
    return copy.copy(make_once(name, json.dumps(stated)))


def levels(name, stated, kind, strength, steps):
    """(timestep, noise handed over, noise stated) of each call of our loop, measured here anew."""
    scheduler, draw = make_another(name, stated), torch.Generator().manual_seed(4)
    clean, found = torch.randn(SIZE, generator=draw), []

    def unet(given, t, **_):
        noise = noise_at(scheduler, float(t))
        epsilon = (given[:1] - (1 - noise**2) ** 0.5 * clean) / noise
        found.append((float(t), float(epsilon.std()) * noise, noise))
        velocity = (1 - noise**2) ** 0.5 * epsilon - noise * clean
        v = stated.get("prediction_type") == "v_prediction"
        return ((velocity if v else epsilon).repeat(2, 1, 1, 1),)

    def begin(scheduler, generators, steps):
        if kind == "noise":
            return from_noise(SIZE[1:], "cpu")(scheduler, generators, steps)
        noise = draw_noise(SIZE[1:], generators)
        start = start_from(clean, noise, scheduler, strength, steps, whole=kind == "mask")
        if kind == "picture":
            return start
        half = torch.zeros(1, 1, *SIZE[2:])
        half[..., : SIZE[-1] // 2] = 1
        return dataclasses.replace(start, outside=Outside(clean, noise, half))

    unet.device, unet.dtype = torch.device("cpu"), torch.float32
    none = torch.zeros(1, 1, 1)
    made = denoise(
        *(unet, scheduler, none, none),
        seeds=[2],
        guidance_scale=[1.0],
        num_inference_steps=steps,
        begin=begin,
    )
    return found, float((made - clean).std()), scheduler


def is_right(found, left, scheduler):
    """Within 5 %, or within what one timestep makes: schedules round timesteps; 2 % are the draw's."""
    for t, handed, stated in found:
        around = [noise_at(scheduler, t + step) for step in (-1, 1)]
        least = min(0.95 * stated, around[0] if t >= 1 else 0)
        if not 0.98 * least <= handed <= 1.02 * max(1.05 * stated, around[1]):
            return False
    return left < 0.12


def said_before(name, stated, kind, strength, steps):
    """What a run would say of such a cell; the text of the refusal, too."""
    task = {"noise": "txt2img", "picture": "img2img", "mask": "inpaint"}[kind]
    given = {need: "a" for need in TASKS[task].needs}
    given = {need: given.get(need) for need in ("image", "mask_image")}
    cell = SimpleNamespace(
        scheduler=name, num_inference_steps=steps, strength=strength, model="x", **given
    )
    tasks = [TASKS[each] for each in ("txt2img", "img2img", "inpaint")]
    layout = SimpleNamespace(tasks=tasks, channels_in=4, scheduler=stated)
    try:
        return describe_schedule(cell, layout)
    except FieldError as error:
        assert error.field == "num_inference_steps" and "; use " in str(error)
        return str(error)


def require_right_or_said(cases):
    """Asserts for each case that its levels are right, or that it is said; counts both."""
    right = said = 0
    for case in cases:
        text = said_before(*case)
        if text is None:
            found, *rest = levels(*case)
            assert is_right(found, *rest), case
            name, _, _, strength, steps = case
            assert len(found) == count_calls(name, strength, steps), case
            right += 1
        else:
            assert "num_inference_steps=" in text
            said += 1
    return right, said


@pytest.fixture
def made_once(monkeypatch):
    monkeypatch.setattr(rehearsal, "make_scheduler", make_another)


@pytest.mark.usefixtures("made_once")
@pytest.mark.filterwarnings("ignore:Should have")
def test_each_call_is_handed_the_noise_that_its_timestep_says_or_it_is_said():
    right, said = require_right_or_said(table(ALL, 2, seed=0))
    assert right > 4 * said > 0


@pytest.mark.slow
@pytest.mark.usefixtures("made_once")
@pytest.mark.filterwarnings("ignore:Should have")  # torchsde's, of the last bits of a time
@pytest.mark.parametrize("seed", range(4))
def test_the_same_for_many_more(seed):
    right, said = require_right_or_said(table(ALL, 20, seed=seed + 1))
    assert right > 4 * said > 0


# ---- where sdlab differs from diffusers' own call


@pytest.mark.parametrize(
    "name", ["DPM++ 2M Beta", "DPM++ 2S Beta", "DEIS Beta", "UniPC Beta", "SASolver Beta"]
)
def test_schedules_that_begin_with_a_timestep_twice_run(name):
    name = normalize_scheduler(name, V1)
    scheduler = make_scheduler(name, V1)
    scheduler.set_timesteps(32)
    assert scheduler.timesteps[0] == scheduler.timesteps[1]
    assert rehearse(name, 32, "noise", None, json.dumps(V1)).right


@pytest.mark.parametrize("steps, strength", [(4, 0.5), (10, 0.5), (10, 0.9), (2, 0.5), (20, 0.25)])
def test_pndm_takes_its_first_step_twice_wherever_it_begins(steps, strength):
    scheduler = diffusers.PNDMScheduler.from_config(V1, skip_prk_steps=True)
    scheduler.set_timesteps(steps)
    taken = cut_timesteps(scheduler, strength, steps).tolist()
    ddim = diffusers.DDIMScheduler.from_config(V1)
    ddim.set_timesteps(steps)
    left = ddim.timesteps.tolist()[steps - count_steps(strength, steps) :]
    assert taken == left[:2] + left[1:]


@pytest.mark.parametrize("name", ["PNDMScheduler", "LMSDiscreteScheduler"])
@pytest.mark.parametrize("kind", ["picture", "mask"])
def test_the_last_call_from_a_picture_has_the_level_that_it_says(name, kind):
    for steps in (4, 5, 10):
        found = rehearse(name, steps, kind, 0.5, json.dumps(V1))
        assert found.right and abs(found.calls[-1].ratio - 1) < 0.05


@pytest.mark.parametrize("name", ["KDPM2DiscreteScheduler", "DPMSolverSDEScheduler"])
def test_the_known_part_comes_back_as_noisy_as_the_rest_between_two_steps(name):
    if not here(name):
        pytest.skip("needs a package that is not installed")
    assert rehearse(name, 10, "mask", 0.5, json.dumps(V1)).right


@pytest.mark.parametrize("steps", [6, 7])
def test_diffusers_says_nothing_of_a_choice_that_nobody_made(steps, caplog):
    scheduler = make_scheduler("DPMSolverSinglestepScheduler", V1)
    logger = logging.getLogger("diffusers")
    logger.addHandler(caplog.handler)
    try:
        scheduler.set_timesteps(steps)
    finally:
        logger.removeHandler(caplog.handler)
    assert scheduler.config.lower_order_final and not caplog.records


# ---- what is said, and where


@pytest.mark.parametrize(
    "steps, name, says",
    [
        (1000, "DDIM", "timestep 1000 is beyond the last, 999; use .*trailing"),
        (1000, "PLMS", "timestep 1000 is beyond the last, 999; use .*trailing"),
        (1, "DEIS Karras", "returns the noise with which it began; use"),
        (1, "SASolver Exponential", "returns the noise with which it began; use"),
        (
            1,
            "Euler",
            "times the noise that its timestep 0 says, in call 1 of 1; right is .*trailing",
        ),
        (1, "DDIM", "timestep 1 says, in call 1 of 1, and leaves noise of .*right is .*trailing"),
        (
            30,
            "DDIM(rescale_betas_zero_snr=True, timestep_spacing='trailing')",
            "not made of numbers",
        ),
        (20, "DPM++ 2M(algorithm_type='dpmsolver')", "`sigma_min` instead; use"),
    ],
)
def test_what_a_schedule_cannot_do_is_said_with_what_can(steps, name, says):
    text = said_before(normalize_scheduler(name, V1), V1, "noise", None, steps)
    assert text is not None and re.search(says, text)


def test_the_oracle_refuses_a_prediction_that_no_network_of_v1_or_v2_makes():
    text = said_before("EulerDiscreteScheduler", dict(V1, prediction_type="flow"), "noise", None, 5)
    assert "'flow'" in text


def test_the_oracles_noise_is_that_of_the_schedule():
    scheduler = make_scheduler("EulerDiscreteScheduler", V1)
    oracle = Oracle(scheduler, torch.zeros(SIZE))
    for t in (0, 17, 999):
        assert np.isclose(oracle.find_noise(t) ** 2, 1 - scheduler.alphas_cumprod[t], rtol=1e-5)
    assert oracle.find_noise(17) < oracle.find_noise(17.5) < oracle.find_noise(18)


def test_a_run_and_its_preview_say_it_at_the_field(random_v1, tmp_path):
    cell = Request(model=str(random_v1), prompt="a cat", num_inference_steps=1)
    with pytest.warns(UserWarning, match="hands the UNet 34 times the noise"):
        assert list(preview(cell, tmp_path).notes) == ["num_inference_steps"]
    with pytest.raises(FieldError, match="timestep 1000 is beyond") as caught:
        run(cell.but(num_inference_steps=1000), tmp_path)
    assert caught.value.field == "num_inference_steps"


def test_a_strength_that_rounding_makes_a_step_shorter_is_said(random_v1, tmp_path):
    image = np.zeros((64, 64, 3), np.uint8)
    cell = Request(model=str(random_v1), image=image, num_inference_steps=50, strength=0.58)
    with pytest.warns(UserWarning, match="computed as 28 steps, not 29.*0.581 is 29"):
        notes = preview(cell, tmp_path).notes
    assert list(notes) == ["strength"]
    assert preview(cell.but(strength=0.581), tmp_path).notes == {}
    assert preview(cell.but(strength=0.57), tmp_path).notes == {}


# ---- calls


@pytest.mark.parametrize("name, calls", [("PLMS", 6), ("Heun", 9), ("DPM2", 9), ("DDIM", 5)])
def test_a_frame_and_an_estimate_count_the_calls_of_the_unet(random_v1, tmp_path, name, calls):
    image = np.zeros((64, 64, 3), np.uint8)
    cell = Request(model=str(random_v1), image=image, strength=0.5, scheduler=name)
    cell = cell.but(num_inference_steps=10, seed=1)
    row = run(cell, tmp_path).iloc[0]
    assert row.unet_calls == calls  # as many as diffusers' own img2img makes
    least = preview(cell.but(seed=2), tmp_path).seconds
    assert preview(cell.but(seed=2, strength=1.0), tmp_path).seconds == pytest.approx(
        least * count_calls(row.scheduler, 1.0, 10) / calls
    )


def test_eta_of_tcd_adds_noise_from_the_cells_own_seed(random_v1, tmp_path):
    cell = Request(model=str(random_v1), prompt="a cat", scheduler="TCD", num_inference_steps=4)
    rows = run([cell, cell.but(eta=0.3), cell.but(eta=0.3, seed=1)], tmp_path)
    assert rows["error"].isna().all() and rows["pixels"].nunique() == 3
    with pytest.raises(FieldError, match="for DDIMScheduler and TCDScheduler only"):
        run(cell.but(eta=0.3, scheduler="Euler"), tmp_path)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (
            "DPM++ 3M SDE Karras",
            "third order the wrong way.*sde-dpmsolver\\+\\+', use_karras_sigmas=True",
        ),
        ("DPM++ 2M SDE Karras", None),
        ("DEIS Karras", "changes nothing: 7 steps are 6"),
        ("SASolver Exponential", "changes nothing"),
        ("UniPC Karras", None),
        ("DEIS", None),
        ("Heun Karras", None),
        ("DDIM", None),
        ("PLMS", "hardly better than DDIM .*; use scheduler='DPMSolverMultistepScheduler'"),
        ("LMS", None),
    ],
)
def test_what_a_schedulers_own_steps_do_amiss_is_said(name, says, tmp_path):
    cell = Request(model="tiny-v1", scheduler=name, num_inference_steps=7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = preview(cell, tmp_path).notes.get("scheduler")
    assert found is None if says is None else re.search(says, found)


def test_the_last_call_of_deis_with_karras_sigmas_changes_nothing_as_is_said():
    scheduler = make_scheduler(normalize_scheduler("DEIS Karras"), {})
    scheduler.set_timesteps(7)
    draw, x = torch.Generator().manual_seed(0), torch.zeros(SIZE)
    for t in scheduler.timesteps:
        before, x = x, scheduler.step(torch.randn(SIZE, generator=draw), t, x).prev_sample
    assert torch.allclose(x, before, atol=1e-6) and x.std() > 0.1


EULER, DPM = "EulerDiscreteScheduler", "DPMSolverMultistepScheduler"


@pytest.mark.parametrize(
    "options, told",
    [
        ("use_karras_sigmas=True", "14.6 to 0.34 with Euler"),  # tiny-v1's spacing is trailing
        ("use_karras_sigmas=True, timestep_spacing='leading'", "8.39 to 0.041 with Euler"),
        ("use_exponential_sigmas=True", "14.6 to 0.34 with Euler"),
        ("use_karras_sigmas=True, timestep_spacing='linspace'", None),
        ("timestep_spacing='leading'", None),  # who has no Karras expects no one schedule
    ],
)
def test_a_kind_of_sigmas_that_is_two_schedules_is_told(tmp_path, options, told):
    base = Request(prompt="a red circle", num_inference_steps=10, seed=1)
    plan = [base.but(scheduler=f"{kind}({options})") for kind in (EULER, DPM)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        said = preview(plan, tmp_path).notes.get("scheduler", "")
        assert preview([plan[0], plan[0].but(num_inference_steps=11)], tmp_path).notes == {}
    assert ("unlike levels of noise" in said) is bool(told) and (told or "") in said
    assert not told or said.count(" to 0.029 with DPM") == 1  # DPM-Solver++ keeps to training


def test_schedulers_whose_sigmas_are_alike_are_told_together(tmp_path):
    base = Request(prompt="a red circle", num_inference_steps=10, seed=1)
    names = [f"{k}(use_karras_sigmas=True)" for k in (EULER, DPM, "HeunDiscreteScheduler")]
    with pytest.warns(UserWarning, match="unlike levels of noise"):
        said = preview([base.but(scheduler=name) for name in names], tmp_path).notes["scheduler"]
    assert f"14.6 to 0.34 with {names[0]} and {names[2]}; 14.6 to 0.029 with {names[1]}. " in said
