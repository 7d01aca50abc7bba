#!/usr/bin/env bash
# Guess: what callback_on_step_end returns as "latents" is what the run goes on from, with every scheduler: who hands in another run's latents
# of the same step gets that run's picture, about so with a multistep scheduler, which remembers some steps.
# Really: not with UniPC and SASolver. Their corrector begins the next step again from the latents that they kept themselves, and asks those
# handed in for nothing but what the network says of them once; a callback that edits, mixes or steers latents does nearly nothing. With
# disable_corrector UniPC takes them. Heun, KDPM2 and the singlestep DPM-Solver keep theirs from the first half of a step, so that each second
# callback is lost, or leads away. "The edit has no effect" is then the scheduler's doing. DDIM, Euler and DPM-Solver++ go on from them.
# With diffusers 0.42.1, transformers 5.23.0, torch 2.13.0. Seen 2026-11-29 (share of the other run in the picture, if its latents are handed
# in in call 10 and in call 11; 1 is right):
#   DDIM, Euler 1, 1; DPM-Solver++ 1.01, 1.01; UniPC 0.02, 0.03, without its corrector 1.01, 1.01; SASolver 0.01, 0.01; Heun -0.12, 1;
#   KDPM2 -0.23, 1; singlestep DPM-Solver 0.04, 1
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 diffusers==0.42.1 transformers==5.23.0
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore TRANSFORMERS_VERBOSITY=error DIFFUSERS_VERBOSITY=error
"$venv/bin/python" - <<'PY'
import diffusers
import torch

net = diffusers.UNet2DConditionModel(
    sample_size=8, block_out_channels=(8,), layers_per_block=1, norm_num_groups=4, cross_attention_dim=8, attention_head_dim=4,
    down_block_types=("CrossAttnDownBlock2D",), up_block_types=("CrossAttnUpBlock2D",), mid_block_type=None)
vae = diffusers.AutoencoderKL(
    block_out_channels=(8,) * 4, norm_num_groups=4, latent_channels=4, down_block_types=("DownEncoderBlock2D",) * 4,
    up_block_types=("UpDecoderBlock2D",) * 4)
CONFIG = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1, "clip_sample": False}
ALPHAS = diffusers.DDIMScheduler(**CONFIG).alphas_cumprod


def exact(x, t, **rest):
    """The network that knows the data: normal, of deviation 0.5."""
    low, part = int(t), float(t) % 1
    alpha = ALPHAS[low] + part * (ALPHAS[min(low + 1, 999)] - ALPHAS[low])
    return ((1 - alpha) ** 0.5 * x / (alpha * 0.25 + 1 - alpha),)


net.forward = exact


def run(name, options, seed, call=None, other=None):
    kept = []

    def callback(pipe, number, t, given):
        kept.append(given["latents"])
        return {"latents": other[number]} if number == call else {}

    pipe = diffusers.StableDiffusionPipeline(
        vae=vae, text_encoder=None, tokenizer=None, unet=net, safety_checker=None, feature_extractor=None,
        requires_safety_checker=False, scheduler=getattr(diffusers, f"{name}Scheduler").from_config({**CONFIG, **options}))
    pipe.set_progress_bar_config(disable=True)
    out = pipe(
        prompt_embeds=torch.zeros(1, 5, 8), guidance_scale=1.0, num_inference_steps=20, height=256, width=256, output_type="latent",
        generator=torch.Generator().manual_seed(seed), callback_on_step_end=callback).images
    return out.flatten(), kept


found = {}
for name, options in (
    ("DDIM", {}), ("EulerDiscrete", {}), ("DPMSolverMultistep", {}), ("UniPCMultistep", {}),
    ("UniPCMultistep", {"disable_corrector": list(range(20))}), ("SASolver", {}), ("HeunDiscrete", {}), ("KDPM2Discrete", {}),
    ("DPMSolverSinglestep", {"lower_order_final": True}),
):
    (one, _), (two, kept) = run(name, options, 1), run(name, options, 2)
    both = torch.stack([one, two], 1)
    shares = [torch.linalg.lstsq(both, run(name, options, 1, call, kept)[0][:, None]).solution[1].item() for call in (10, 11)]
    found[name, bool(options)] = shares
    print(name, *options, *(f"{each:.2f}" for each in shares))
assert all(each > 0.9 for name in ("DDIM", "EulerDiscrete", "DPMSolverMultistep") for each in found[name, False])
assert all(each > 0.9 for each in found["UniPCMultistep", True])
assert all(abs(each) < 0.1 for name in ("UniPCMultistep", "SASolver") for each in found[name, False]), "this has changed"
for name in ("HeunDiscrete", "KDPM2Discrete", "DPMSolverSinglestep"):
    lost, taken = found[name, name.startswith("DPM")]
    assert lost < 0.1 and taken > 0.9, "this has changed"
PY
