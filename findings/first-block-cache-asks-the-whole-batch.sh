#!/usr/bin/env bash
# Guess: FirstBlockCacheConfig, with which a transformer skips its further blocks where the first says nearly what it said before, is as
# exact for a picture in a batch as for that picture alone; without the cache both are the same to rounding.
# Really: one mean over all pictures of the batch decides for all of them, and pictures with large numbers weigh the most. What would be
# computed in each step alone is so skipped because of its neighbours, and the other way round: here four pictures take 20, 20, 7 and 3
# steps each by itself, and 5 together. So a seed names no picture, num_images_per_prompt changes pictures, and what a threshold costs or
# saves hangs on what is rendered beside: measured one by one it tells nothing of batches. One picture at a time mends it.
# With diffusers 0.42.1, transformers 5.23.0, torch 2.13.0. Seen 2026-11-29 (a small Flux of random weights, 20 steps, thresholds 0, 0.1, 0.2;
# steps computed of each picture alone, of the four together, and how far the pictures of the two differ at most):
#   0: 20 20 20 20, 20, 0; 0.1: 20 20 20 10, 17, 0.9 %; 0.2: 20 20 7 3, 5, 1.7 %
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
net = diffusers.FluxTransformer2DModel(
    in_channels=16, num_layers=2, num_single_layers=2, attention_head_dim=16, num_attention_heads=2, joint_attention_dim=32,
    pooled_projection_dim=32, axes_dims_rope=(4, 4, 8), guidance_embeds=False).eval()
vae = diffusers.AutoencoderKL(
    block_out_channels=(8,) * 4, norm_num_groups=4, latent_channels=4, down_block_types=("DownEncoderBlock2D",) * 4,
    up_block_types=("UpDecoderBlock2D",) * 4)
pipe = diffusers.FluxPipeline(
    scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0), vae=vae, text_encoder=None, tokenizer=None, text_encoder_2=None,
    tokenizer_2=None, transformer=net)
pipe.set_progress_bar_config(disable=True)
size = torch.tensor([0.2, 1.0, 3.0, 9.0])  # four prompts that say more and more
text, pooled = torch.randn(4, 6, 32) * size.view(4, 1, 1), torch.randn(4, 32) * size.view(4, 1)
calls = []
net.single_transformer_blocks[-1].attn.register_forward_pre_hook(lambda *inputs: calls.append(None))


def pictures(which):
    calls.clear()
    generators = [torch.Generator().manual_seed(seed) for seed in which]
    out = pipe(
        prompt_embeds=text[which], pooled_prompt_embeds=pooled[which], height=128, width=128, num_inference_steps=20,
        output_type="latent", generator=generators).images
    return out, len(calls)


found = {}
for threshold in (0.0, 0.1, 0.2):
    if threshold:
        net.enable_cache(diffusers.FirstBlockCacheConfig(threshold=threshold))
    together, steps = pictures([0, 1, 2, 3])
    alone = [pictures([which]) for which in range(4)]
    if threshold:
        net.disable_cache()
    apart = max(((a - b[0]).norm() / b.norm()).item() for a, (b, _) in zip(together, alone))
    found[threshold] = [each for _, each in alone], steps, apart
    print(f"threshold {threshold}: steps alone {found[threshold][0]}, together {steps}; differ by {apart:.1e} at most")
assert found[0.0][:2] == ([20] * 4, 20) and found[0.0][2] < 1e-5
assert all(min(alone) < steps < max(alone) and apart > 1e-3 for alone, steps, apart in (found[0.1], found[0.2])), "this has changed"
PY
