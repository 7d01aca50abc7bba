#!/usr/bin/env bash
# Guess: NNPACK, which torch carries and whose flag is on (torch.backends.nnpack), is a thing of telephones: oneDNN convolves faster on any
# other processor, and if torch asked NNPACK there, it would be where that pays.
# Really: in float32 on a processor with AVX2 alone it makes a 3x3 convolution of one picture in a third to a half of oneDNN's time, by
# Winograd's algorithm, with 64x64 places and more; at 32x32 it gains little, at 16x16 it loses (a v1 picture of 512x512 is decoded in about half of the CPU's time). Torch never asks
# it where oneDNN is there, and without oneDNN only for 16 pictures or more in a call; but there NNPACK takes another way, about twice as
# slow as the same pictures one by one (two at once: five times). Its results are up to some 4e-06 of their size away, and a picture's bits do not depend on its batch.
# With torch 2.13.0. Seen 2026-11-29, one thread, 320 channels, 64x64, milliseconds a picture:
#   oneDNN 130.2, NNPACK one by one 46.8 (5e-06 away), 16 at once 96.6, torch without oneDNN 77.8
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6
OMP_NUM_THREADS=1 "$venv/bin/python" - <<'PY'
import time

import torch
from torch.nn.functional import conv2d

pictures = 16
x, weight, bias = torch.randn(pictures, 320, 64, 64), torch.randn(320, 320, 3, 3) / 54, torch.zeros(320)


def milliseconds(work):
    work()
    times = []
    for _ in range(2):
        begun = time.thread_time()
        made = work()
        times.append(time.thread_time() - begun)
    return 1000 * min(times) / pictures, made


def by_nnpack(part):
    return torch._nnpack_spatial_convolution(part, weight, bias, [1, 1])


def without_onednn():
    with torch.backends.mkldnn.flags(enabled=False):
        return conv2d(x, weight, bias, padding=1)


assert torch.backends.nnpack.is_available()
with torch.inference_mode():
    onednn, right = milliseconds(lambda: torch.cat([conv2d(row[None], weight, bias, padding=1) for row in x]))
    single, one = milliseconds(lambda: torch.cat([by_nnpack(row[None]) for row in x]))
    together, batch = milliseconds(lambda: by_nnpack(x))
    asked, made = milliseconds(without_onednn)
far = ((one - right).norm() / right.norm()).item()
print(f"oneDNN {onednn:.1f}, NNPACK one by one {single:.1f} ({far:.0e} away), 16 at once {together:.1f}, torch without oneDNN {asked:.1f}")
alike = torch.equal(made, batch)
raise SystemExit(0 if together > 1.5 * single and asked > 1.5 * single and alike else "this has changed")
PY
