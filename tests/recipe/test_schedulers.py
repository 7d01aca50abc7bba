"""Schedulers: every name people use, one canonical spelling, and the pictures of diffusers' own pipeline."""

import importlib.util
import inspect
import json

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

import sdlab.models.pipeline
import sdlab.render.denoise
import sdlab.render.renderer
from sdlab import Request, run, sweep
from sdlab.models.resolve import resolve
from sdlab.recipe.request import key_of
from sdlab.recipe.schedulers import (
    INHERITED,
    NAMES,
    NEEDS,
    OPTIONS,
    SAMPLERS,
    SCHEDULERS,
    SNR,
    VALUES,
    WITH_ETA,
    adds_noise,
    find_default,
    list_values,
    normalize_scheduler,
    parse_scheduler,
    read_a1111,
    write_a1111,
    write_inherited,
    write_scheduler,
)
from sdlab.render.renderer import Renderer
from sdlab.store.infotext import read_infotext, write_infotext

KARRAS, SDE = {"use_karras_sigmas": True}, {"algorithm_type": "sde-dpmsolver++"}
A1111 = {  # A1111's name: (diffusers' class without "Scheduler", options), from both projects' documentation
    "Euler": ("EulerDiscrete", {}),
    "Euler a": ("EulerAncestralDiscrete", {}),
    "Heun": ("HeunDiscrete", {}),
    "LMS": ("LMSDiscrete", {}),
    "PLMS": ("PNDM", {}),
    "DDIM": ("DDIM", {}),
    "UniPC": ("UniPCMultistep", {}),
    "DPM2": ("KDPM2Discrete", {}),
    "DPM2 a": ("KDPM2AncestralDiscrete", {}),
    "DPM2 a Karras": ("KDPM2AncestralDiscrete", KARRAS),
    "DPM++ 2M": ("DPMSolverMultistep", {}),
    "DPM++ 2M Karras": ("DPMSolverMultistep", KARRAS),
    "LMS Karras": ("LMSDiscrete", KARRAS),
    "DPM++ 2M SDE": ("DPMSolverMultistep", SDE),
    "DPM++ 2M SDE Karras": ("DPMSolverMultistep", SDE | KARRAS),
    "DPM++ 2M SDE Exponential": ("DPMSolverMultistep", SDE | {"use_exponential_sigmas": True}),
    "DPM++ 2M SDE Heun": ("DPMSolverMultistep", SDE | {"solver_type": "heun"}),
    "DPM++ 3M SDE Karras": ("DPMSolverMultistep", SDE | KARRAS | {"solver_order": 3}),
    "DPM++ SDE": ("DPMSolverSDE", {}),
    "DPM++ SDE Karras": ("DPMSolverSDE", KARRAS),
    "DPM++ 2S": ("DPMSolverSinglestep", {}),
    "DEIS": ("DEISMultistep", {}),
    "LCM": ("LCM", {}),
    "TCD": ("TCD", {}),
    "Euler Beta": ("EulerDiscrete", {"use_beta_sigmas": True}),
    "Euler SGM Uniform": ("EulerDiscrete", {"timestep_spacing": "trailing"}),
}
ZERO = "DDIM(rescale_betas_zero_snr=True, timestep_spacing='trailing')"
COMBINED = [
    "DDPM",
    "SASolver",
    ZERO,
    "Heun Karras",
    "UniPC Karras",
    "DPM++ 2S(algorithm_type='sde-dpmsolver++')",
    "Euler(rescale_betas_zero_snr=True, timestep_spacing='trailing')",
    "Euler Exponential",
    "SASolver Karras",
]


def here(name):
    kind, _ = parse_scheduler(name)
    return kind not in NEEDS or importlib.util.find_spec(NEEDS[kind]) is not None


@pytest.fixture(scope="module")
def loaded(random_v1):
    """The small model in float32, read once, with its own scheduler at the end of each test."""
    yield sdlab.models.pipeline.load(sdlab.models.resolve.native(str(random_v1)), "cpu", "float32")
    sdlab.models.pipeline.unload()


@pytest.fixture(autouse=True)
def own_scheduler(request):
    """Each test begins with the checkpoint's own scheduler, and computes as a lane does: in one thread."""
    if "loaded" not in request.fixturenames:
        return (yield)
    pipe, cores = request.getfixturevalue("loaded").pipe, torch.get_num_threads()
    own = pipe.scheduler
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(cores)
    pipe.scheduler = own


@pytest.fixture
def latents(monkeypatch):
    """The latents (B, C, h, w) of each batch that is rendered."""
    kept, decode = [], sdlab.render.renderer.decode
    monkeypatch.setattr(
        sdlab.render.renderer, "decode", lambda vae, x, rows: kept.append(x) or decode(vae, x, rows)
    )
    return kept


def stock(pipe, scheduler, request, **more):
    """The latents of diffusers' own call."""
    pipe.scheduler = scheduler
    pipe.set_progress_bar_config(disable=True)
    return pipe(
        request.prompt,
        negative_prompt=request.negative_prompt,
        guidance_scale=request.guidance_scale,
        eta=request.eta,
        num_inference_steps=request.num_inference_steps,
        generator=torch.Generator().manual_seed(request.seed),
        height=request.height,
        width=request.width,
        output_type="latent",
        **more,
    ).images


# ---- names


@pytest.mark.parametrize("name", A1111)
def test_a1111s_names_mean_diffusers_classes_with_options(name):
    kind, options = A1111[name]
    assert parse_scheduler(name) == (f"{kind}Scheduler", options)
    assert (
        parse_scheduler(name.upper())
        == parse_scheduler(name.lower())
        == parse_scheduler(write_scheduler(*parse_scheduler(name)))
        == parse_scheduler(name)
    )


@pytest.mark.parametrize(
    "name, meant",
    [
        ("k_euler_ancestral", "Euler a"),
        ("dpmpp_2m_sde", "DPM++ 2M SDE"),
        ("dpm_2", "DPM2"),
        ("uni_pc", "UniPC"),
        ("k_dpmpp_2m", "DPM++ 2M"),
        ("eulerdiscrete", "Euler"),
        ("PNDMSCHEDULER", "PLMS"),
        ("EulerDiscreteScheduler()", "Euler"),
        (" euler   A ", "Euler a"),
        ("EulerDiscreteScheduler karras", "Euler(use_karras_sigmas=True)"),
        (
            "Euler Karras(timestep_spacing='trailing')",
            "Euler(timestep_spacing='trailing',use_karras_sigmas=True)",
        ),
    ],
)
def test_other_spellings_are_understood_too(name, meant):
    assert normalize_scheduler(name) == normalize_scheduler(meant)


def test_every_spelling_of_a_scheduler_has_one_key(random_v1):
    spelled = [
        "DPM++ 2M Karras",
        "dpmsolvermultistep(use_karras_sigmas = True)",
        "DPMSolverMultistepScheduler Karras",
    ]
    assert (
        len({resolve(Request(model=str(random_v1), scheduler=name)).key for name in spelled}) == 1
    )
    assert (
        resolve(Request(model=str(random_v1), scheduler="DPM++ 2M")).key
        != resolve(Request(model=str(random_v1), scheduler=spelled[0])).key
    )


@pytest.mark.parametrize("kind", OPTIONS)
def test_options_are_those_of_diffusers(kind):
    if not here(kind):
        pytest.skip(f"needs {NEEDS[kind]}")
    assert set(OPTIONS[kind]) <= set(
        inspect.signature(getattr(diffusers, kind).__init__).parameters
    )


OFF = {  # what no scheduler of v1 or v2 is made with here, and PNDM's, which is always True
    *("use_flow_sigmas", "flow_shift", "use_dynamic_shifting", "time_shift_type", "shift_terminal"),
    *("disable_corrector", "solver_p", "tau_func", "skip_prk_steps"),
}


@pytest.mark.parametrize("kind", OPTIONS)
def test_each_parameter_of_diffusers_is_an_option_inherited_or_off(kind):
    if not here(kind):
        pytest.skip(f"needs {NEEDS[kind]}")
    taken = dict(inspect.signature(getattr(diffusers, kind).__init__).parameters)
    rest = set(taken) - {"self", *OPTIONS[kind], *INHERITED, *OFF}
    own = {  # of one class alone; Singlestep's makes no difference where the last sigma is 0
        "DPMSolverMultistepScheduler": {"variance_type"},
        "DPMSolverSinglestepScheduler": {"variance_type", "lower_order_final"},
        "SASolverScheduler": {"variance_type"},
        "DEISMultistepScheduler": {"algorithm_type", "solver_type"},  # it has but one of each
        "DPMSolverSDEScheduler": {"noise_sampler_seed"},
    }
    assert rest == own.get(kind, set())
    for option in OPTIONS[kind]:
        assert find_default(kind, option) == taken[option].default
        assert find_default(kind, option) in list_values(kind, option)


# ---- what a checkpoint states


V1 = dict(
    beta_start=0.00085,
    beta_end=0.012,
    beta_schedule="scaled_linear",
    num_train_timesteps=1000,
    set_alpha_to_one=False,
    clip_sample=False,
    steps_offset=1,
)
KARRAS_SDE = dict(
    V1,
    _class_name="DPMSolverMultistepScheduler",
    use_karras_sigmas=True,
    timestep_spacing="leading",
) | dict(
    algorithm_type="sde-dpmsolver++", solver_order=3, use_lu_lambdas=False, euler_at_final=True
)
MOODS = {  # scheduler_config.json of checkpoints
    "plain": dict(V1, _class_name="PNDMScheduler", skip_prk_steps=True),
    "karras": KARRAS_SDE,
    "exponential": dict(V1, _class_name="EulerDiscreteScheduler", use_exponential_sigmas=True),
    "unipc": dict(V1, _class_name="UniPCMultistepScheduler", solver_type="bh1", solver_order=3)
    | dict(predict_x0=False, use_beta_sigmas=True),
    "zero": dict(V1, _class_name="DDIMScheduler", timestep_spacing="trailing")
    | dict(rescale_betas_zero_snr=True, prediction_type="v_prediction"),
    "saved anew": json.loads(diffusers.DPMSolverMultistepScheduler.from_config(V1).to_json_string())
    | dict(_class_name="DPMSolverMultistepScheduler", final_sigmas_type="sigma_min"),
}


def effect(scheduler):
    """All that a scheduler was made with."""
    names = [*inspect.signature(type(scheduler).__init__).parameters][1:]
    return {name: scheduler.config[name] for name in names}


@pytest.mark.parametrize("mood", MOODS)
def test_a_name_means_the_same_options_whatever_the_checkpoint_states(mood):
    stated, met = MOODS[mood] | {"num_train_timesteps": 100}, {}  # some are made in all of them
    for name in filter(here, (*A1111, *COMBINED)):
        kind, options = parse_scheduler(name)
        canonical = normalize_scheduler(name, stated)
        assert normalize_scheduler(canonical, stated) == canonical
        made = sdlab.models.pipeline.make_scheduler(canonical, stated)
        skip = {"skip_prk_steps": True} if kind == "PNDMScheduler" else {}
        trained = {key: value for key, value in stated.items() if key in INHERITED}
        expected = effect(getattr(diffusers, kind).from_config(trained, **options, **skip))
        assert effect(made) == expected, name
        met.setdefault((kind, repr(expected)), set()).add(canonical)
    assert all(len(names) == 1 for names in met.values())  # one effect, one spelling


@pytest.mark.parametrize("mood", MOODS)
def test_the_checkpoints_own_scheduler_is_diffusers_own_and_is_spelled_out(mood):
    stated = MOODS[mood]
    own = normalize_scheduler(None, stated)
    stock = getattr(diffusers, stated["_class_name"]).from_config(stated)
    assert effect(sdlab.models.pipeline.make_scheduler(own, stated)) == effect(stock)
    assert normalize_scheduler(own, stated) == own
    named = {"karras": "use_karras_sigmas=True", "unipc": "predict_x0=False, solver_order=3"}
    assert named.get(mood, "") in own


def test_spellings_differ_by_checkpoint_only_where_it_states_an_option_otherwise():
    spelled = {mood: normalize_scheduler("Euler", stated) for mood, stated in MOODS.items()}
    assert spelled == dict.fromkeys(MOODS, "EulerDiscreteScheduler") | {
        "karras": "EulerDiscreteScheduler(use_karras_sigmas=False)",
        "exponential": "EulerDiscreteScheduler(use_exponential_sigmas=False)",
        "unipc": "EulerDiscreteScheduler(use_beta_sigmas=False)",
        "saved anew": "EulerDiscreteScheduler(final_sigmas_type='zero')",
    }
    trailing = "Euler(timestep_spacing='trailing', rescale_betas_zero_snr=True)"
    assert normalize_scheduler(trailing, MOODS["zero"]) == "EulerDiscreteScheduler"
    assert normalize_scheduler("DDIM(timestep_spacing='leading')", MOODS["zero"]).endswith(
        "(timestep_spacing='leading')"
    )


@pytest.mark.parametrize(
    "name, says",
    [
        ("Eulr a", "did you mean 'Euler a'"),
        ("DDMI", "did you mean 'DDIM'"),
        ("PMLS", "did you mean 'PLMS'"),
        ("", "these run: DDIM"),
        ("DPM++ 2S a", "the nearest is 'DPM++ 2S'"),
        (
            "DDIM(use_karras_sigmas=True)",
            "takes no use_karras_sigmas here; it takes timestep_spacing",
        ),
        ("Euler(1)", "written as in Python"),
        ("Euler(use_karras_sigmas=1)", "takes True, False"),
        ("Euler(timestep_spacing='even')", "'linspace', 'leading', 'trailing'"),
        ("Euler(**{})", "written as in Python"),
        ("Euler(x=", "unknown scheduler"),
        ("Euler(use_karras_sigmas=exit())", "as in Python"),
        ("Euler Karras(use_exponential_sigmas=True)", "choose one"),
    ],
)
def test_what_is_no_scheduler_is_refused_with_what_is(name, says):
    with pytest.raises(ValueError) as caught:
        normalize_scheduler(name)
    assert says in str(caught.value)


def test_what_needs_a_package_is_refused_without_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        ValueError, match="needs the package torchsde.*or use .*these run: DDIMScheduler"
    ):
        normalize_scheduler("DPM++ SDE")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: "there")
    assert normalize_scheduler("DPM++ SDE") == "DPMSolverSDEScheduler"


@pytest.mark.parametrize("name", ["LMS Karras", "Euler Beta"])
def test_what_needs_scipy_runs_everywhere(name):
    assert normalize_scheduler(name) == write_scheduler(*parse_scheduler(name))


def test_eta_and_step_limits_belong_to_the_class_whatever_its_options(random_v1):
    ddim = Request(model=str(random_v1), scheduler=ZERO, eta=0.5)
    assert (
        resolve(ddim).scheduler
        == "DDIMScheduler(rescale_betas_zero_snr=True, timestep_spacing='trailing')"
    )
    with pytest.raises(ValueError, match="LCMScheduler takes at most 50"):
        resolve(ddim.but(scheduler="LCM SGM Uniform", eta=0, num_inference_steps=60))


def test_an_axis_keeps_the_commas_within_brackets(random_v1):
    cells = sweep(Request(model=str(random_v1)), scheduler=f"Euler a, {ZERO}, DPM++ 2M Karras")
    assert [cell.scheduler for cell in cells] == ["Euler a", ZERO, "DPM++ 2M Karras"]


# ---- A1111's text


@pytest.mark.parametrize(
    "name",
    [*A1111, *COMBINED, "Euler(use_karras_sigmas=False)", "DDIM(timestep_spacing='leading')"],
)
def test_a_scheduler_returns_from_a1111s_text(name):
    canonical = write_scheduler(*parse_scheduler(name))
    fields = read_infotext(
        write_infotext({"scheduler": canonical, "seed": 1, "num_inference_steps": 2}, "1")
    )
    assert fields["scheduler"] == canonical and not {
        "Sampler",
        "Schedule type",
        "Noise Schedule",
    } & set(fields)


@pytest.mark.parametrize(
    "said, meant",
    [
        ("Sampler: DPM++ 2M, Schedule type: Karras", "DPM++ 2M Karras"),
        ("Sampler: DPM++ 2M Karras", "DPM++ 2M Karras"),
        ("Sampler: DPM++ 2M, Schedule type: Automatic", "DPM++ 2M Karras"),
        ("Sampler: Euler a, Schedule type: Automatic", "Euler a"),
        ("Sampler: DPM++ 3M SDE, Schedule type: Automatic", "DPM++ 3M SDE Exponential"),
        ("Sampler: DPM++ 2M", "DPM++ 2M"),
        ("Sampler: DDIM, Noise Schedule: Zero Terminal SNR", "DDIM(rescale_betas_zero_snr=True)"),
    ],
)
def test_a1111s_sampler_and_schedule_type_are_one_scheduler(said, meant):
    assert read_infotext(f"a cat\nSteps: 20, {said}, Seed: 1, CFG scale: 7")[
        "scheduler"
    ] == write_scheduler(*parse_scheduler(meant))


def test_a_schedule_type_without_a_counterpart_is_kept_as_it_is():
    fields = read_infotext("a cat\nSteps: 20, Sampler: Euler, Schedule type: KL Optimal, Seed: 1")
    assert (fields["scheduler"], fields["Schedule type"]) == (
        "EulerDiscreteScheduler",
        "KL Optimal",
    )


@pytest.mark.parametrize(
    "mood, said",
    [
        ("plain", {"Sampler": "Euler"}),
        ("zero", {"Sampler": "Euler", "Schedule type": "SGM Uniform", "Noise Schedule": SNR}),
        ("karras", {"Sampler": "Euler"}),
    ],
)
def test_what_a_scheduler_inherits_is_said_to_other_tools(mood, said):
    canonical = normalize_scheduler("Euler", MOODS[mood])
    inherited = write_inherited(canonical, MOODS[mood])
    written = write_a1111(canonical, inherited)
    assert written.items() >= said.items()
    assert normalize_scheduler(read_a1111(written)["scheduler"], MOODS[mood]) == canonical
    expected = make_euler(MOODS[mood]) == make_euler(MOODS["plain"], read_a1111(written))
    assert expected  # on a plain checkpoint it is the same schedule


def make_euler(stated, said=None):
    name = normalize_scheduler(said["scheduler"] if said else "Euler", stated)
    made = sdlab.models.pipeline.make_scheduler(name, stated)
    made.set_timesteps(7)
    return made.timesteps.tolist(), made.sigmas.tolist()


def test_a_picture_says_what_its_scheduler_inherits(random_v1, tmp_path):
    cell = Request(model=str(random_v1), prompt="a cat", num_inference_steps=5, scheduler="Euler")
    row = run(cell, tmp_path).iloc[0]
    assert (row.scheduler, row.inherited) == (
        "EulerDiscreteScheduler",
        "timestep_spacing='leading'",
    )
    with Image.open(row.path) as image:
        fields = read_infotext(image.info["parameters"])
    assert fields["scheduler"] == f"EulerDiscreteScheduler({row.inherited})"
    assert resolve(cell.but(scheduler=fields["scheduler"])).key == row.key


# ---- the same latents as diffusers


PLAIN = [name for name in (*A1111, *COMBINED) if not parse_scheduler(name)[1]]  # one a class
VARIED = [name for name in (*A1111, *COMBINED) if name not in PLAIN]
OF_ONE_KIND = {parse_scheduler(name)[0] for name in VARIED}
ALONE = [name for name in PLAIN if parse_scheduler(name)[0] not in OF_ONE_KIND]


@pytest.mark.parametrize(
    "name, prediction",
    [
        *((name, "epsilon") for name in PLAIN),
        *((name, "v_prediction") for name in (*VARIED, *ALONE)),  # so each class has both
    ],
)
def test_each_scheduler_equals_diffusers_own_call(loaded, latents, name, prediction):
    if not here(name):
        pytest.skip("needs a package that is not installed")
    kind, options = parse_scheduler(name)
    own = diffusers.PNDMScheduler.from_config(
        loaded.pipe.scheduler.config, prediction_type=prediction
    )
    request = Request(
        prompt="a cat",
        negative_prompt="dog",
        seed=3,
        guidance_scale=4,
        num_inference_steps=4,
        height=64,
        width=64,
        scheduler=normalize_scheduler(name),
    )
    loaded.pipe.scheduler = own
    Renderer(loaded, 1).draw_pictures([request])
    seeded = {"noise_sampler_seed": [3]} if kind == "DPMSolverSDEScheduler" else {}
    skip = {"skip_prk_steps": True} if kind == "PNDMScheduler" else {}
    theirs = stock(
        loaded.pipe,
        getattr(diffusers, kind).from_config(own.config, **options, **seeded, **skip),
        request,
    )
    assert theirs.std() > 0.1 and torch.isfinite(theirs).all()
    assert (latents[0] - theirs).abs().max() < 1e-5 * max(1, theirs.abs().max())


@pytest.mark.parametrize("name", ["Euler a", "DPM++ 2M SDE Karras", "DPM++ SDE"])
def test_noise_of_the_steps_comes_from_the_cells_own_seed(loaded, latents, name):
    if not here(name):
        pytest.skip("needs a package that is not installed")
    cells = [
        Request(
            prompt="a cat",
            seed=seed,
            guidance_scale=4,
            num_inference_steps=4,
            height=64,
            width=64,
            scheduler=normalize_scheduler(name),
        )
        for seed in (3, 5, 3)
    ]
    for order in (cells, cells[1:] + cells[:1]):
        Renderer(loaded, 3).draw_pictures(order)
    assert torch.equal(latents[0][0], latents[0][2]) and not torch.equal(
        latents[0][0], latents[0][1]
    )
    assert torch.equal(latents[0][1], latents[1][0])


def test_the_options_of_a_scheduler_change_the_picture(random_v1, tmp_path):
    cell = Request(model=str(random_v1), prompt="a cat", num_inference_steps=3)
    trailing = "DDIM(timestep_spacing='trailing')"
    frame = run(sweep(cell, scheduler=f"Euler, Euler Karras, DDIM, {trailing}"), tmp_path)
    assert (
        frame["pixels"].nunique() == 4
        and frame["scheduler"][1] == "EulerDiscreteScheduler(use_karras_sigmas=True)"
    )


def test_names_and_values_are_whole():
    assert {kind for kind, _ in NAMES.values()} == set(OPTIONS) == {*SCHEDULERS, *NEEDS}
    assert {name.split(".")[-1] for name in VALUES} <= {
        option for options in OPTIONS.values() for option in options
    }


# ---- guidance_rescale


@pytest.mark.parametrize("amount, guidance_scale", [(0.3, 7.5), (1.0, 1.0)])
def test_guidance_rescale_equals_diffusers_own_call(loaded, latents, amount, guidance_scale):
    request = Request(
        prompt="a cat",
        negative_prompt="dog",
        seed=3,
        guidance_scale=guidance_scale,
        num_inference_steps=6,
        height=64,
        width=64,
        scheduler="DDIMScheduler",
        guidance_rescale=amount,
    )
    Renderer(loaded, 1).draw_pictures([request])
    theirs = stock(loaded.pipe, loaded.scheduler("DDIMScheduler"), request, guidance_rescale=amount)
    assert (latents[0] - theirs).abs().max() < 1e-5 * max(1, theirs.abs().max())


def test_guidance_rescale_is_each_cells_own_and_0_changes_no_bit(loaded, latents):
    base = Request(
        prompt="a cat",
        guidance_scale=7.5,
        num_inference_steps=4,
        height=64,
        width=64,
        scheduler="DDIMScheduler",
    )
    Renderer(loaded, 3).draw_pictures(
        [base.but(guidance_rescale=amount) for amount in (0, 0.7, None)]
    )
    Renderer(loaded, 3).draw_pictures([base] * 3)
    Renderer(loaded, 3).draw_pictures(
        [base.but(guidance_rescale=amount) for amount in (0.7, 0.2, 0)]
    )
    mixed, plain, turned = latents
    assert torch.equal(turned[0], mixed[1]) and torch.equal(turned[2], plain[2])
    assert (
        torch.equal(mixed[0], plain[0])
        and torch.equal(mixed[2], plain[2])
        and not torch.equal(mixed[1], plain[1])
    )


def test_guidance_rescale_gives_the_spread_of_the_prediction_with_the_prompt():
    draw = np.random.default_rng(0)
    guided, text = (draw.normal(0, spread, (2, 4, 8, 8)) for spread in (3, 1))
    out = sdlab.render.denoise.rescale_guided(
        torch.tensor(guided), torch.tensor(text), torch.tensor([1.0, 0.5]).view(2, 1, 1, 1)
    ).numpy()
    assert np.isclose(out[0].std(ddof=1), text[0].std(ddof=1))
    assert np.isclose(out[1].std(ddof=1), (guided[1].std(ddof=1) + text[1].std(ddof=1)) / 2)


def test_recipes_from_before_keep_their_keys(random_v1):
    resolved = resolve(Request(model=str(random_v1), prompt="a cat"))
    before = {
        "prompt",
        "negative_prompt",
        "model",
        "seed",
        "guidance_scale",
        "num_inference_steps",
        "scheduler",
        "height",
        "width",
        "eta",
        "clip_skip",
        "weights",
    }
    assert set(resolved.to_dict()) == before
    assert (
        resolve(resolved.but(guidance_rescale=0)).key
        == resolved.key
        != resolve(resolved.but(guidance_rescale=0.5)).key
    )
    assert key_of(resolved.but(prompt_syntax="chunks").to_dict()) != resolved.key


def test_guidance_rescale_and_prompt_syntax_return_from_infotext():
    fields = read_infotext(
        write_infotext(
            {
                "seed": 1,
                "num_inference_steps": 2,
                "guidance_rescale": 0.7,
                "prompt_syntax": "weights+chunks",
            },
            "1",
        )
    )
    assert (fields["guidance_rescale"], fields["prompt_syntax"]) == (0.7, "weights+chunks")


@pytest.mark.parametrize("eta", [0.0, 0.5])
@pytest.mark.parametrize("name", [*SCHEDULERS, *(n for n in SAMPLERS.values() if "sde" in n)])
def test_what_adds_noise_is_what_another_generator_changes(name, eta):
    kind = name.partition("(")[0]
    if eta and kind not in WITH_ETA:
        return
    ends = []
    for seed in (1, 2):
        made = sdlab.models.pipeline.make_scheduler(name, {})
        made.set_timesteps(6)
        x, generators = torch.ones(1, 4, 4, 4), [torch.Generator().manual_seed(seed)]
        extra = sdlab.render.denoise.list_extra(made, eta, generators, [seed])
        for t in made.timesteps:
            made.scale_model_input(x, t)
            x = made.step(torch.full_like(x, 0.1), t, x, return_dict=False, **extra)[0]
        ends.append(x)
    assert adds_noise(name, eta) == (not torch.equal(*ends))
