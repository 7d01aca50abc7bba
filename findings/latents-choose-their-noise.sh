#!/usr/bin/env bash
# Guess: after manual_seed, torch.randn_like(latents) is torch.randn(latents.shape), whether the latents come from the VAE at once, as in
# training scripts, or from a file where they were kept.
# Really: the attention in AutoencoderKL's encoder hands on a turned view, and the convolution behind it keeps that layout, so that the
# latents lie channels last though VAE and picture do not. randn_like lays its result out likewise, and fills what is not contiguous
# by another routine: not the same numbers in another order, but others. So training on kept latents, or with a VAE without that
# attention, sees other noise with the same seed; and noise made by hand like the latents is not what a pipeline adds (by shape).
# With diffusers 0.42.1, torch 2.13.0 (CPU). Seen 2026-11-28: straight from the VAE: strides (1024, 1, 64, 4), noise of randn: False, the
#   same numbers: False; from a file: strides (1024, 256, 16, 1), noise of randn: True; VAE without attention: True
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check \
    torch==2.13.0 numpy==2.4.6 diffusers==0.42.1 safetensors==0.8.0
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore DIFFUSERS_VERBOSITY=error
"$venv/bin/python" - <<'PY'
import torch
from diffusers import AutoencoderKL
from safetensors.torch import load, save

picture = torch.rand(2, 3, 32, 32) * 2 - 1


def encode(attention):
    torch.manual_seed(0)
    vae = AutoencoderKL(
        block_out_channels=(32, 32), down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        layers_per_block=1, norm_num_groups=8, latent_channels=4, mid_block_add_attention=attention).eval()
    with torch.no_grad():
        return vae.encode(picture).latent_dist.mode() * 0.18215


straight = encode(attention=True)
seen = {}
for what, latents in {
    "straight from the VAE": straight,
    "from a file": load(save({"latents": straight.contiguous()}))["latents"],
    "VAE without attention": encode(attention=False),
}.items():
    torch.manual_seed(1)
    plain = torch.randn(latents.shape)
    torch.manual_seed(1)
    noise = torch.randn_like(latents)
    numbers = torch.equal(noise.flatten().sort().values, plain.flatten().sort().values)
    seen[what] = torch.equal(noise, plain), numbers
    print(f"{what}: strides {latents.stride()}, noise of randn: {seen[what][0]}, the same numbers: {numbers}")
assert list(seen.values()) == [(False, False), (True, True), (True, True)], "this has changed"
PY
