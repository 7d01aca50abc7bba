#!/usr/bin/env bash
# Guess: the invisible watermark that diffusers puts into SDXL's pictures where invisible-watermark is installed changes colours by a few
# levels, spread over the picture, and leaves detail where it is.
# Really: it gives the wavelet's details back in swapped places, horizontal ones as vertical and the other way round. So what is fine in
# blue and yellow is turned by a quarter: rows one pixel high come out as columns, coloured edges get teeth. That, not the mark, is nearly all
# of the change, and where the coloured dots come from that people report: with the details in their places the mark costs a fifteenth. So
# measures and eyes that compare SDXL with other models, or two VAEs, compare that too; add_watermarker=False for all mends it.
# With diffusers 0.42.1, invisible-watermark 0.2.0, opencv-python 5.0.0.93, torch 2.13.0. Seen 2026-11-29 (mean step of blue from row to row
# and from column to column: before, marked, and marked with the details in their places; in brackets by how many levels of 255 it changed):
#   rows: 100 0, 12 89 (17.9), 100 1 (0.5); columns: 0 100, 89 12 (17.9), 1 100 (0.5); soft colours: 14 14, 24 24 (4.6), 15 15 (0.3)
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 diffusers==0.42.1 invisible-watermark==0.2.0 opencv-python==5.0.0.93
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore DIFFUSERS_VERBOSITY=error
"$venv/bin/python" - <<'PY'
import cv2
import numpy as np
import pywt
import torch
from diffusers.pipelines.stable_diffusion_xl.watermark import StableDiffusionXLWatermarker

marker, back = StableDiffusionXLWatermarker(), pywt.idwt2


def in_their_places(parts, wavelet):
    low, (one, other, diagonal) = parts
    return back((low, (other, one, diagonal)), wavelet)


def mark(picture):
    given = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 127.5 - 1
    marked = ((marker.apply_watermark(given)[0] + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    return steps(marked), float(np.abs(marked.astype(int) - picture).mean())


def steps(picture):
    """The mean step of blue from one row to the next, and from one column to the next."""
    blue = picture[:, :, 2].astype(float)
    return [round(float(np.abs(np.diff(blue, axis=axis)).mean())) for axis in (0, 1)]


rows = np.full((256, 256, 3), 128, np.uint8)
rows[::2, :, 2], rows[1::2, :, 2] = 78, 178
noise = cv2.GaussianBlur(np.random.default_rng(0).normal(size=(256, 256, 3)), (0, 0), 1.5)
soft = (128 + noise / noise.std() * 40).clip(0, 255).astype(np.uint8)  # stands for a photograph
found = {}
for name, picture in (("rows", rows), ("columns", np.ascontiguousarray(rows.transpose(1, 0, 2))), ("soft", soft)):
    pywt.idwt2 = back
    as_it_is = mark(picture)
    pywt.idwt2 = in_their_places
    found[name] = as_it_is, mark(picture)
    (was, by), (is_, less) = found[name]
    print(f"{name}: steps of blue {steps(picture)}; marked {was} ({by:.1f} levels); details in their places {is_} ({less:.1f} levels)")
assert all(less < 1 for _, (_, less) in found.values()) and found["rows"][1][0][0] > 80
assert found["rows"][0][0][1] > 80 and found["columns"][0][0][0] > 80 and found["soft"][0][1] > 3, "this has changed"
PY
