#!/usr/bin/env bash
# Guess: IPAdapterScaleCutoffCallback, one of diffusers' own callbacks, switches the IP-Adapter off behind some step of each picture: a row of
# pictures with it has the adapter in the first part of each.
# Really: it sets the scale to 0 and nothing sets it back. The first picture is as it should be; all that follow, with the callback or
# without, are rendered without the adapter from their first step, as if there were no picture to go by, and no word is said. So of
# a row of seeds or cut-offs all but the first say nothing, and their likeness is no finding. set_ip_adapter_scale before each picture
# mends it. The guidance's callbacks do not have this: their scale is a call's own.
# With diffusers 0.42.1, transformers 5.23.0, torch 2.13.0. Seen 2026-11-29 (how much of what the adapter does is in the picture: cut off behind
# a tenth of the steps, three times the same call, and then without the callback):
#   0.95, 0, 0; 0; with the scale set anew before the call 0.95
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 diffusers==0.42.1 transformers==5.23.0
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore TRANSFORMERS_VERBOSITY=error DIFFUSERS_VERBOSITY=error
"$venv/bin/python" - <<'PY'
import diffusers
import torch
from diffusers.callbacks import IPAdapterScaleCutoffCallback

torch.manual_seed(0)
net = diffusers.UNet2DConditionModel(
    sample_size=8, block_out_channels=(8,), layers_per_block=1, norm_num_groups=4, cross_attention_dim=8, attention_head_dim=4,
    down_block_types=("CrossAttnDownBlock2D",), up_block_types=("CrossAttnUpBlock2D",), mid_block_type=None)
vae = diffusers.AutoencoderKL(
    block_out_channels=(8,) * 4, norm_num_groups=4, latent_channels=4, down_block_types=("DownEncoderBlock2D",) * 4,
    up_block_types=("UpDecoderBlock2D",) * 4)
pipe = diffusers.StableDiffusionPipeline(
    vae=vae, text_encoder=None, tokenizer=None, unet=net, scheduler=diffusers.DDIMScheduler(), safety_checker=None,
    feature_extractor=None, requires_safety_checker=False)
pipe.set_progress_bar_config(disable=True)
layers = sum("attn2" in name for name in net.attn_processors)
adapter = {
    "image_proj": {
        "proj.weight": torch.randn(4 * 8, 16) / 4, "proj.bias": torch.zeros(4 * 8), "norm.weight": torch.ones(8),
        "norm.bias": torch.zeros(8)},
    "ip_adapter": {f"{2 * n + 1}.to_{part}_ip.weight": torch.randn(8, 8) for n in range(layers) for part in "kv"}}
net._load_ip_adapter_weights([adapter], low_cpu_mem_usage=False)
image = torch.cat([torch.zeros(1, 1, 16), torch.randn(1, 1, 16)])  # the embeddings of no picture and of one, as CFG wants them
text = {"prompt_embeds": torch.randn(1, 5, 8), "negative_prompt_embeds": torch.randn(1, 5, 8)}


def picture(**more):
    return pipe(
        num_inference_steps=10, guidance_scale=5.0, ip_adapter_image_embeds=[image], height=64, width=64, output_type="latent",
        generator=torch.Generator().manual_seed(0), **text, **more).images


pipe.set_ip_adapter_scale(0.0)
without = picture()
pipe.set_ip_adapter_scale(1.0)
whole = (picture() - without).norm()
cut = {"callback_on_step_end": IPAdapterScaleCutoffCallback(cutoff_step_ratio=0.1)}
found = [((picture(**more) - without).norm() / whole).item() for more in (cut, cut, cut, {})]
pipe.set_ip_adapter_scale(1.0)
mended = ((picture(**cut) - without).norm() / whole).item()
print("cut off behind a tenth, three times:", *(f"{each:.2f}" for each in found[:3]), f"then without the callback: {found[3]:.2f};",
      f"with the scale set anew before: {mended:.2f}")
assert 0.1 < found[0] < 0.999 and mended == found[0]
assert found[1:] == [0, 0, 0], "this has changed"
PY
