#!/usr/bin/env bash
# Guess: DeepCache with cache_interval=2 computes the deep layers of the UNet in every second call, with every scheduler.
# Really: it looks for its place in scheduler.timesteps by the timestep's value and takes the first of that value. Heun names each
# twice, so that its places are 0, 1, 1, 3, 3, 5 …: with an even interval none but the first is a multiple of it. The deep layers are
# computed once, on pure noise, and the other 38 calls of 20 steps are given what they made of that. Timed so, Heun gains most of all by
# DeepCache, and its pictures suffer most. An interval of 3 is right; KDPM2 is right with any, as its timesteps all differ.
# With DeepCache 0.1.1, diffusers 0.42.1, transformers 5.23.0, torch 2.13.0. Seen 2026-11-28 (calls in which the deep layers are computed,
# at intervals of 1 to 4): Euler 20 10 7 5 of 20; KDPM2 39 20 13 10 of 39; Heun 39 1 13 1 of 39
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check \
    torch==2.13.0 numpy==2.4.6 diffusers==0.42.1 transformers==5.23.0
"$venv/bin/python" -m pip install -q --disable-pip-version-check --no-deps DeepCache==0.1.1
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore TRANSFORMERS_VERBOSITY=error DIFFUSERS_VERBOSITY=error
"$venv/bin/python" - <<'PY'
import diffusers
import torch
from DeepCache import DeepCacheSDHelper

torch.manual_seed(0)
net = diffusers.UNet2DConditionModel(
    sample_size=16, block_out_channels=(32, 64), layers_per_block=1, norm_num_groups=4, cross_attention_dim=8, attention_head_dim=8,
    down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D")).eval()
computed = []
net.mid_block.resnets[0].register_forward_hook(lambda *given: computed.append(1))
text, found = torch.randn(1, 5, 8), {}
for name in ("EulerDiscrete", "KDPM2Discrete", "HeunDiscrete"):
    scheduler = getattr(diffusers, f"{name}Scheduler")(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    pipe = diffusers.StableDiffusionPipeline(
        vae=None, text_encoder=None, tokenizer=None, unet=net, scheduler=scheduler, safety_checker=None, feature_extractor=None)
    pipe.set_progress_bar_config(disable=True)
    helper, found[name] = DeepCacheSDHelper(pipe=pipe), []
    for interval in (1, 2, 3, 4):
        helper.set_params(cache_interval=interval, cache_branch_id=0)
        helper.enable()
        computed.clear()
        pipe(prompt_embeds=text, guidance_scale=1.0, num_inference_steps=20, height=128, width=128,
             generator=torch.Generator().manual_seed(0), output_type="latent")
        helper.disable()
        found[name].append(len(computed))
    print(f"{name}: deep layers computed in", *found[name], f"of {len(scheduler.timesteps)} calls, at intervals 1 to 4")
assert found["EulerDiscrete"] == [20, 10, 7, 5] and found["KDPM2Discrete"] == [39, 20, 13, 10]
assert found["HeunDiscrete"] == [39, 1, 13, 1], "this has changed"
PY
