#!/usr/bin/env bash
# Guess: the scale of a call (cross_attention_kwargs={"scale": …}) is that call's own: what set_adapters(name, 0.5) has set holds in the
# next. And unfuse_lora() takes back what fuse_lora(lora_scale=…) did.
# Really: a scale is multiplied in before a call and divided out after it; nought cannot be divided out, so that behind a call at scale 0
# every active LoRA is set to 1, whatever set_adapters had said. A row of pictures at scales 1, 0.5, 0, 1 then has two pictures
# for 1, and of two LoRAs that were mixed by halves both are whole from then on. And unfuse_lora() leaves the weights of set_adapters
# multiplied by lora_scale: a LoRA that was fused once by half is heard half from then on, one fused at 0 never.
# With diffusers 0.42.1, peft 0.21.2, torch 2.13.0. Seen 2026-11-28, set_adapters 0.5, and the strength found behind the call:
#   behind scale 1: 0.5, behind 0.3: 0.5, behind 0: 1.0; fused at 0.5 and unfused: 0.25; fused at 0 and unfused: 0.0
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check \
    torch==2.13.0 numpy==2.4.6 diffusers==0.42.1 transformers==5.23.0 peft==0.21.2
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore TRANSFORMERS_VERBOSITY=error DIFFUSERS_VERBOSITY=error
"$venv/bin/python" - <<'PY'
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel

torch.manual_seed(0)
net = UNet2DConditionModel(
    sample_size=16, block_out_channels=(32, 64), layers_per_block=1, norm_num_groups=4, cross_attention_dim=8,
    attention_head_dim=8, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
    up_block_types=("UpBlock2D", "CrossAttnUpBlock2D")).eval()
pipe = StableDiffusionPipeline(
    vae=None, text_encoder=None, tokenizer=None, unet=net, scheduler=DDIMScheduler(), safety_checker=None, feature_extractor=None)
x, words = torch.randn(1, 4, 16, 16), torch.randn(1, 5, 8)
layer = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_v"
pipe.load_lora_weights(
    {f"{layer}.lora_A.weight": torch.randn(2, 32), f"{layer}.lora_B.weight": torch.randn(32, 2)}, adapter_name="lora")


def call(scale=None):
    with torch.no_grad():
        return net(x, 10, words, cross_attention_kwargs=None if scale is None else {"scale": scale}).sample


known = {}
for strength in (0.0, 0.25, 0.5, 1.0):
    pipe.set_adapters("lora", strength)
    known[strength] = call()


def found():
    """With which strength of set_adapters the network gives what it gives now."""
    now = call()
    strength = min(known, key=lambda each: (known[each] - now).abs().max())
    assert torch.allclose(known[strength], now, atol=1e-4)
    return strength


seen = {}
for scale in (1.0, 0.3, 0.0):
    pipe.set_adapters("lora", 0.5)
    call(scale)
    seen[f"call at scale {scale}"] = found()
for scale in (1.0, 0.5, 0.0):
    pipe.set_adapters("lora", 0.5)
    pipe.fuse_lora(lora_scale=scale)
    pipe.unfuse_lora()
    seen[f"fused at {scale} and unfused"] = found()
for what, strength in seen.items():
    print(f"set_adapters 0.5, {what}: then {strength}")
assert list(seen.values()) == [0.5, 0.5, 1.0, 0.5, 0.25, 0.0], "this has changed"
PY
