#!/usr/bin/env bash
# Guess: SDXL's base with denoising_end=0.8 and then its refiner with denoising_start=0.8 take between them the steps of one run, with
# every scheduler, and the refiner is handed the noise that its timestep says.
# Really: not with Heun, KDPM2 and other schedulers of order 2, which name each timestep twice. The base stops where the first half of a
# step has taken it to the next timestep; the refiner counts an even rest, takes that for a cut in the middle of a step, which it is
# not, and begins one call early: it takes a step again that is taken already, on latents with a fifth less noise than it is
# told, and takes detail for noise. So "Heun with the refiner" says little of Heun. Euler and DPM-Solver++ hand over exactly. The guide
# to SDXL says that this works well for all schedulers.
# With diffusers 0.42.1, transformers 5.23.0, torch 2.13.0. Seen 2026-11-28 (20 steps: calls of base and refiner, those of one run, and
# the noise handed over / what the timestep says):
#   Euler, DPM-Solver++: 16 + 4, 20, 1.00; Heun: 31 + 9, 39, 0.80; KDPM2: 31 + 9, 39, 0.89
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 diffusers==0.42.1 transformers==5.23.0
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore TRANSFORMERS_VERBOSITY=error DIFFUSERS_VERBOSITY=error
"$venv/bin/python" - <<'PY'
import diffusers
import torch

torch.manual_seed(0)
clean = torch.randn(1, 4, 64, 64)
net = diffusers.UNet2DConditionModel(
    sample_size=64, block_out_channels=(8,), layers_per_block=1, norm_num_groups=4, cross_attention_dim=8, attention_head_dim=4,
    down_block_types=("CrossAttnDownBlock2D",), up_block_types=("CrossAttnUpBlock2D",), mid_block_type=None,
    addition_embed_type="text_time", addition_time_embed_dim=4, projection_class_embeddings_input_dim=32)
vae = diffusers.AutoencoderKL(block_out_channels=(8,), norm_num_groups=4, latent_channels=4)
text = {"prompt_embeds": torch.randn(1, 5, 8), "pooled_prompt_embeds": torch.randn(1, 8), "guidance_scale": 1.0}
levels = []


def always_right(sample, t, **more):
    """A network that knows the clean picture; it notes how much noise it is given, by what the timestep says."""
    log_sigmas = ((1 - scheduler.alphas_cumprod) / scheduler.alphas_cumprod).sqrt().log()
    low, part = int(t), float(t) % 1
    sigma = ((1 - part) * log_sigmas[low] + part * log_sigmas[min(low + 1, 999)]).exp()
    noise = (sample * (1 + sigma**2) ** 0.5 - clean) / sigma
    levels.append(noise.std().item())
    return (noise,)


net.forward = always_right


def run(kind, **more):
    pipe = kind(
        vae=vae, text_encoder=None, text_encoder_2=None, tokenizer=None, tokenizer_2=None, unet=net, scheduler=scheduler,
        add_watermarker=False)
    pipe.set_progress_bar_config(disable=True)
    levels.clear()
    out = pipe(num_inference_steps=20, generator=torch.Generator().manual_seed(1), output_type="latent", **text, **more).images
    return out, list(levels)


found = {}
for name in ("EulerDiscrete", "DPMSolverMultistep", "HeunDiscrete", "KDPM2Discrete"):
    kind = getattr(diffusers, f"{name}Scheduler")
    scheduler = kind(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", timestep_spacing="leading", steps_offset=1)  # as SDXL's
    size = {"height": 64, "width": 64}
    _, once = run(diffusers.StableDiffusionXLPipeline, **size)
    half, base = run(diffusers.StableDiffusionXLPipeline, denoising_end=0.8, **size)
    _, refiner = run(diffusers.StableDiffusionXLImg2ImgPipeline, image=half, denoising_start=0.8)
    found[name] = len(base) + len(refiner) - len(once), refiner[0] / once[0]
    print(f"{name}: {len(base)} + {len(refiner)} calls, one run {len(once)}; noise handed over {found[name][1]:.2f} of what is told")
    assert all(abs(level / once[0] - 1) < 0.02 for level in (*once, *base))
for name, (more, level) in found.items():
    early = name.startswith(("Heun", "KDPM2"))
    assert more == early and (level < 0.95 if early else abs(level - 1) < 0.01), "this has changed"
PY
