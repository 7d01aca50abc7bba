#!/usr/bin/env bash
# Guess: DeepCache, once enabled on a StableDiffusionImg2ImgPipeline, renders each picture by itself: a row of strengths is what the same
# strengths are one by one.
# Really: which calls compute the deep layers is counted from the timestep at which the first picture after enable() began, and what they
# gave is kept. A picture of another strength begins elsewhere; if that is no multiple of the interval away, its first calls are given
# the deep layers of the last step of the picture before it, of another photograph, prompt and seed. So a picture depends on what was
# rendered before it, and cannot be rendered again alone. enable() anew for each picture mends it.
# With DeepCache 0.1.1, diffusers 0.42.1, transformers 5.23.0, torch 2.13.0. Seen 2026-11-28 (interval 3, 20 steps; behind a picture at
# 0.5): as by itself at 0.5, 0.65 and 0.8; at 0.6 and 1.0 not, and another behind each photograph
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check \
    torch==2.13.0 numpy==2.4.6 diffusers==0.42.1 transformers==5.23.0
"$venv/bin/python" -m pip install -q --disable-pip-version-check --no-deps DeepCache==0.1.1
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore TRANSFORMERS_VERBOSITY=error DIFFUSERS_VERBOSITY=error
"$venv/bin/python" - <<'PY'
import torch
from DeepCache import DeepCacheSDHelper
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionImg2ImgPipeline, UNet2DConditionModel

torch.manual_seed(0)
net = UNet2DConditionModel(
    sample_size=16, block_out_channels=(32, 64), layers_per_block=1, norm_num_groups=4, cross_attention_dim=8, attention_head_dim=8,
    down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D")).eval()
pipe = StableDiffusionImg2ImgPipeline(
    vae=AutoencoderKL(block_out_channels=(8,), norm_num_groups=4, latent_channels=4), text_encoder=None, tokenizer=None, unet=net,
    scheduler=DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"), safety_checker=None,
    feature_extractor=None)
pipe.set_progress_bar_config(disable=True)
text, photos = torch.randn(1, 5, 8), torch.rand(3, 1, 3, 16, 16)
helper = DeepCacheSDHelper(pipe=pipe)
helper.set_params(cache_interval=3, cache_branch_id=0)


def render(strength, photo=photos[0]):
    return pipe(
        prompt_embeds=text, guidance_scale=1.0, image=photo, strength=strength, num_inference_steps=20,
        generator=torch.Generator().manual_seed(0), output_type="latent").images


def after(before, strength):
    """A picture by itself (before None), or behind another photograph at strength 0.5."""
    helper.enable()
    if before is not None:
        render(0.5, photos[before])
    out = render(strength)
    helper.disable()
    return out


found = {}
for strength in (0.5, 0.6, 0.65, 0.8, 1.0):
    alone, one, two = (after(before, strength) for before in (None, 1, 2))
    found[strength] = torch.equal(alone, one), torch.equal(one, two)
    print(f"strength {strength}: as by itself: {found[strength][0]}; the same behind either photograph: {found[strength][1]}")
assert all(each == (strength in (0.5, 0.65, 0.8),) * 2 for strength, each in found.items()), "this has changed"
PY
