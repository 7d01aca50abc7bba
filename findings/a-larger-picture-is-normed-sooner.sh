#!/usr/bin/env bash
# Guess: channels last is the quicker order for a UNet on a processor, in bfloat16 at least, as its convolutions are; group norms, which
# move numbers and compute little, take about as long in either order, and longer for a larger picture.
# Really: below 1,024 places (32x32) torch norms channels-last pictures group by group, a few neighbouring channels at a time, and from
# there on row by row. The fewer channels a group has, the dearer the first way is, and dearest in bfloat16: with 64 channels in 32 groups
# a picture of 31x31 takes many times as long as one of 32x32, and some thirty times as long as a contiguous one. In an embedded UNet of 64 and 96 channels
# on latents of 16x16, convolutions take half the time with channels last, group norms 11 times as long, and the whole 1.5 times. Of
# Stable Diffusion's 320 channels a picture of 16x16 takes 8 times as long as a contiguous one.
# With torch 2.13.0. Seen 2026-11-29, milliseconds of the norm of 8 pictures in bfloat16 on one thread, 64 channels in 32 groups:
#   31x31 10.99, 32x32 0.37; contiguous 0.28 and 0.32
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6
OMP_NUM_THREADS=1 "$venv/bin/python" - <<'PY'
import time

import torch
from torch.nn.functional import group_norm


def milliseconds(side, order):
    x = torch.randn(8, 64, side, side, dtype=torch.bfloat16).contiguous(memory_format=order)
    times = []
    for _ in range(20):
        begun = time.perf_counter()
        group_norm(x, 32)
        times.append(time.perf_counter() - begun)
    return 1000 * min(times)


last, first = torch.channels_last, torch.contiguous_format
with torch.inference_mode():
    small, large = milliseconds(31, last), milliseconds(32, last)
    print(f"31x31 {small:.2f}, 32x32 {large:.2f}; contiguous {milliseconds(31, first):.2f} and {milliseconds(32, first):.2f}")
raise SystemExit("this has changed" if small < 4 * large else 0)
PY
