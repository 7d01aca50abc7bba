#!/usr/bin/env bash
# Guess: UniPCMultistepScheduler gives a picture with each of its options, and with solver_type="bh1", which its documentation
# recommends for few steps, a better one.
# Really: "bh1", lower_order_final=False and predict_x0=False each divide or multiply by infinity in the last step, where the last sigma is
# zero, as it is by default since final_sigmas_type came: all steps but the last are sound, and every number of the result is NaN or
# infinite, so that the picture is lost. final_sigmas_type="sigma_min" mends all three. DPMSolverMultistepScheduler mends or refuses
# such pairs.
# With diffusers 0.42.1, torch 2.13.0. Seen 2026-11-28 (share of such numbers after the last step but one, and after the last, of 5, 10
# and 20 steps):
#   defaults 0 0; bh1 0 1; lower_order_final=False 0 1; predict_x0=False 0 1; each with sigma_min 0 0
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 diffusers==0.42.1
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore DIFFUSERS_VERBOSITY=error
"$venv/bin/python" - <<'PY'
import torch
from diffusers import UniPCMultistepScheduler


def shares(n, options):
    scheduler = UniPCMultistepScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", **options)
    scheduler.set_timesteps(n)
    torch.manual_seed(0)
    clean, x = torch.randn(2, 1, 4, 16, 16)
    found = []
    for t in scheduler.timesteps:
        alpha = scheduler.alphas_cumprod[t]
        x = scheduler.step(0.9 * (x - alpha**0.5 * clean) / (1 - alpha) ** 0.5, t, x).prev_sample
        found.append((~x.isfinite()).float().mean().item())
    return found[-2], found[-1]


for options in ({}, {"solver_type": "bh1"}, {"lower_order_final": False}, {"predict_x0": False}):
    ends = {}
    for last in ("zero", "sigma_min"):
        (ends[last],) = {shares(n, {**options, "final_sigmas_type": last}) for n in (5, 10, 20)}
    print(options or "defaults", ends)
    assert ends == {"zero": (0, 1 if options else 0), "sigma_min": (0, 0)}, "this has changed"
PY
