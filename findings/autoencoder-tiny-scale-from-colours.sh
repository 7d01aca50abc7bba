#!/usr/bin/env bash
# Guess: AutoencoderTiny.spatial_scale_factor follows the number of its levels, as AutoencoderKL's does: 2 ** (levels - 1).
# Really: it is 2 ** out_channels, that is 8 for any that gives RGB. TAESD has four levels, so it is right by accident; with
# three levels (factor 4) enable_tiling() cuts tiles by the wrong factor.
# With diffusers 0.42.1, torch 2.13.0. Seen 2026-11-27: 3 levels: latents 16x16 of 64x64 pixels (factor 4), told 8;
# 4 levels: 8x8 (factor 8), told 8
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 diffusers==0.42.1
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore DIFFUSERS_VERBOSITY=error
"$venv/bin/python" - <<'PY'
import torch
from diffusers import AutoencoderTiny

for levels in (3, 4):
    vae = AutoencoderTiny(
        encoder_block_out_channels=(16,) * levels, decoder_block_out_channels=(16,) * levels,
        num_encoder_blocks=(1,) * levels, num_decoder_blocks=(1,) * levels)
    side = vae.encode(torch.zeros(1, 3, 64, 64)).latents.shape[-1]
    print(f"{levels} levels: latents {side}x{side} of 64x64 pixels (factor {64 // side}), told {vae.spatial_scale_factor}")
    assert 64 // side == 2 ** (levels - 1) and vae.spatial_scale_factor == 8, "this has changed"
PY
