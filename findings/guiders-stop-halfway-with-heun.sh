#!/usr/bin/env bash
# Guess: a guider of diffusers' modular pipelines with stop=1, the default, guides every step, with every scheduler: the picture is that
# of the classic pipeline with the same seed.
# Really: the guider is told how many steps were asked for and counts the calls, and Heun and both KDPM2 make 2 n - 1 calls for n steps.
# From call n on it takes the run to be over and leaves the guidance out, without a word: the half of the way in which the details
# come about is not guided, from a picture too. PNDM, with one call more than asked for, is not guided in its last. So "Heun against
# Euler" compares guidance with half of it. Without guidance both pipelines give the same.
# With diffusers 0.42.1, transformers 5.23.0, torch 2.13.0. Seen 2026-11-28 (10 steps):
#   Euler, DPM-Solver++: 10 of 10 guided, the classic picture; Heun, KDPM2, KDPM2 ancestral: 10 of 19, another; PNDM: 10 of 11,
#   nearly the same
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 diffusers==0.42.1 transformers==5.23.0
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore TRANSFORMERS_VERBOSITY=error DIFFUSERS_VERBOSITY=error
"$venv/bin/python" - 2> >(grep -v it/s >&2) <<'PY'
import diffusers
import torch
from diffusers.guiders import ClassifierFreeGuidance
from diffusers.modular_pipelines import StableDiffusionXLAutoBlocks

torch.manual_seed(0)
net = diffusers.UNet2DConditionModel(
    sample_size=16, block_out_channels=(32, 64), layers_per_block=1, norm_num_groups=4, cross_attention_dim=16, attention_head_dim=8,
    down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    addition_embed_type="text_time", addition_time_embed_dim=8, projection_class_embeddings_input_dim=64).eval()
vae = diffusers.AutoencoderKL(block_out_channels=(8,), norm_num_groups=4, latent_channels=4)
texts = ("prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds", "negative_pooled_prompt_embeds")
text = dict(zip(texts, (*torch.randn(2, 1, 5, 16), *torch.randn(2, 1, 16))))
calls = []
net.register_forward_pre_hook(lambda module, given: calls.append(float(given[1])))
blocks = StableDiffusionXLAutoBlocks()
blocks.sub_blocks.pop("text_encoder")


def render(kind, guidance, modular):
    scheduler = getattr(diffusers, f"{kind}Scheduler")(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", **({"skip_prk_steps": True} if kind == "PNDM" else {}))
    more = dict(text, num_inference_steps=10, height=16, width=16, output_type="latent", generator=torch.Generator().manual_seed(0))
    calls.clear()
    if modular:
        pipe = blocks.init_pipeline()
        pipe.update_components(unet=net, vae=vae, scheduler=scheduler, guider=ClassifierFreeGuidance(guidance_scale=guidance))
        pipe.set_progress_bar_config(disable=True)
        picture = pipe(output="images", **more)
    else:
        pipe = diffusers.StableDiffusionXLPipeline(
            vae=vae, text_encoder=None, text_encoder_2=None, tokenizer=None, tokenizer_2=None, unet=net, scheduler=scheduler,
            add_watermarker=False)
        pipe.set_progress_bar_config(disable=True)
        picture = pipe(guidance_scale=guidance, **more).images
    return picture, len(scheduler.timesteps)


found = {}
for kind in ("EulerDiscrete", "DPMSolverMultistep", "HeunDiscrete", "KDPM2Discrete", "KDPM2AncestralDiscrete", "PNDM"):
    plain, steps = render(kind, 1.0, modular=True)
    assert torch.allclose(plain, render(kind, 1.0, modular=False)[0], atol=1e-3)
    guided, _ = render(kind, 5.0, modular=True)
    times = len(calls) - steps  # a guided step is two calls
    wanted, _ = render(kind, 5.0, modular=False)
    same = torch.allclose(guided, wanted, atol=1e-3)
    print(f"{kind}: {times} of {steps} steps guided; the classic pipeline's picture: {same}")
    found[kind] = times, steps
    assert same == (kind in ("EulerDiscrete", "DPMSolverMultistep", "PNDM"))
assert found["EulerDiscrete"] == found["DPMSolverMultistep"] == (10, 10), "this has changed"
assert all(found[kind] == (10, 19) for kind in found if "Heun" in kind or "KDPM2" in kind), "this has changed"
assert found["PNDM"] == (10, 11), "this has changed"
PY
