#!/usr/bin/env bash
# Guess: in which order numbers lie while a picture is decoded (contiguous, or channels last) follows from the weights, and is the same for
# a batch of two as for one picture.
# Really: the attention in the middle of AutoencoderKL hands on a transposed view. With one picture torch does not take its strides for
# channels last, as that of the batch does not fit, and goes on contiguous; with two or more it does, and everything behind, nearly the
# whole decoder, is computed in the other order, by other kernels: what was built for contiguous numbers (compiled, exported, hand-written)
# meets others as soon as there is a second picture. The first of two pictures is another in its last bits than alone, on one thread too.
# With diffusers 0.42.1 and torch 2.13.0. Seen 2026-11-29, inputs of the decoder's convolutions that are contiguous, of all:
#   one picture 35 of 35, two 3 of 35; the first of two is up to 3e-05 away from the one alone
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check torch==2.13.0 diffusers==0.42.1 transformers==5.23.0 numpy==2.4.6
OMP_NUM_THREADS=1 "$venv/bin/python" - 2>/dev/null <<'PY'
import torch
from diffusers import AutoencoderKL

torch.manual_seed(0)
levels = 4
vae = AutoencoderKL(
    down_block_types=["DownEncoderBlock2D"] * levels,
    up_block_types=["UpDecoderBlock2D"] * levels,
    block_out_channels=(32, 64, 128, 128),
    layers_per_block=2,
).eval()
seen = []
for layer in vae.decoder.modules():
    if isinstance(layer, torch.nn.Conv2d):
        layer.register_forward_pre_hook(lambda layer, given: seen.append(given[0].is_contiguous()))


def decode(latents):
    seen.clear()
    with torch.inference_mode():
        return vae.decode(latents).sample, sum(seen), len(seen)


latents = torch.randn(1, 4, 24, 24)
one, contiguous, layers = decode(latents)
two, left, _ = decode(latents.repeat(2, 1, 1, 1))
apart = (one[0] - two[0]).abs().max().item()
print(f"one picture {contiguous} of {layers}, two {left} of {layers}; the first of two is up to {apart:.0e} away from the one alone")
raise SystemExit(0 if contiguous == layers and left < layers / 4 and apart else "this has changed")
PY
