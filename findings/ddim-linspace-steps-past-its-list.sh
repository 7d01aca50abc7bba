#!/usr/bin/env bash
# Guess: a DDIMScheduler with timestep_spacing="linspace" goes from each timestep to the next of its list, as Euler does, so that a
# network that is always right ends at the clean picture.
# Really: step() goes to t - num_train_timesteps // n, wherever the list goes on. linspace runs from 999 to 0 in strides of
# 999 / (n - 1), so each step is too short, and the next call is handed more noise than its timestep says: at 10 steps, 4.1
# times as much as is right in the last call, and .12 is left in the picture (.03 otherwise). PNDM has the same line. leading and
# trailing are right.
# With diffusers 0.42.1, torch 2.13.0. Seen 2026-11-27, level of the noise / what the timestep says, in the last of 10 calls:
#   leading 1.01, trailing 1.00, linspace 4.11; left in the picture .030, .029, .120
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 diffusers==0.42.1
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore DIFFUSERS_VERBOSITY=error
"$venv/bin/python" - <<'PY'
import torch
from diffusers import DDIMScheduler

torch.manual_seed(0)
clean, found = torch.randn(1, 4, 64, 64), {}
for spacing in ("leading", "trailing", "linspace"):
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False,
        steps_offset=0 if spacing == "linspace" else 1, timestep_spacing=spacing)
    scheduler.set_timesteps(10)
    sample = torch.randn_like(clean)
    for t in scheduler.timesteps:
        alpha = scheduler.alphas_cumprod[t]
        level = ((sample - alpha**0.5 * clean).std() / (1 - alpha) ** 0.5).item()
        noise = (sample - alpha**0.5 * clean) / (1 - alpha) ** 0.5  # what a perfect network says
        sample = scheduler.step(noise, t, sample).prev_sample
    found[spacing] = level
    print(f"{spacing}: last timestep {int(t)}, level {level:.2f}, left {(sample - clean).std().item():.3f}")
assert abs(found["leading"] - 1) < 0.05 and abs(found["trailing"] - 1) < 0.05 and found["linspace"] > 2, "this has changed"
PY
