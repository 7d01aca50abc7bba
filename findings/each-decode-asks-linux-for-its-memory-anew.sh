#!/usr/bin/env bash
# Guess: on a processor the second picture of the same size is decoded in the memory of the first: torch, or the C library, keeps what a
# layer gave back. And what else there is to gain by the way that memory is had, torch does by itself.
# Really: torch keeps nothing on a processor, and glibc gives blocks of more than 32 MiB back at once, which are a VAE's layers from
# about 384x384 on. So each decode touches, page by page of 4 kB, several times the memory that it ever holds: the system clears it,
# while the program waits. torch has a switch for large pages, which few know of: the environment variable THP_MEM_ALLOC_ENABLE=1, read
# before the first tensor is made. It helps where /sys/kernel/mm/transparent_hugepage/enabled says [madvise]; at v1's size in bfloat16, a
# picture on each of two cores, a decode took 0.75 and a UNet's call 0.82 times as long with it.
# With torch 2.13.0, diffusers 0.42.1, glibc 2.36. Seen 2026-11-29, page faults of 4 kB in the third decode, of 512x512:
#   without the switch 1048658 (4194 MB), with it 44552
set -euo pipefail
grep -qs '\[madvise\]' /sys/kernel/mm/transparent_hugepage/enabled || { echo "this system does not ask for advice: nothing to see"; exit 0; }
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 diffusers==0.42.1 transformers==5.23.0
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore DIFFUSERS_VERBOSITY=error
decode() {
    "$venv/bin/python" - <<'PY'
import resource

import torch
from diffusers import AutoencoderKL

vae = AutoencoderKL(block_out_channels=(64, 128), layers_per_block=1, norm_num_groups=8,
                    mid_block_add_attention=False, down_block_types=["DownEncoderBlock2D"] * 2, up_block_types=["UpDecoderBlock2D"] * 2).eval()
latents = torch.zeros(1, 4, 256, 256)
with torch.inference_mode():
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        vae.decode(latents)
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults)
PY
}
without=$(unset THP_MEM_ALLOC_ENABLE && decode)
with=$(THP_MEM_ALLOC_ENABLE=1 decode)
echo "without the switch $without ($((without * 4 / 1000)) MB), with it $with"
[ "$without" -gt 200000 ] && [ "$with" -lt $((without / 5)) ] || { echo "this has changed"; exit 1; }
