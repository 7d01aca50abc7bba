#!/usr/bin/env bash
# Guess: EMAModel(decay=0.9999) keeps that share of the average in each step, as use_ema_warmup=False, the default, says; and decays of
# 0.999 and 0.9999 give two averages.
# Really: without "warmup" the decay is (1 + n) / (10 + n) as long as that is less: 0.9911 at step 1,000, 0.9982 at 5,000, 0.999 from step
# 8,990 and 0.9999 from step 89,990 on. So a fine-tuning of 5,000 steps averages over the last tenth of its steps whatever was asked for,
# and 0.999, 0.9999 and 1.0 give the same weights, bit by bit: "the decay does not matter" is then no finding. use_ema_warmup=True is
# another curve, lower still from step 1,000 or so on. min_decay=0.9999 is what makes it constant.
# With diffusers 0.42.1, torch 2.13.0. Seen 2026-11-28 (a weight that grows by 1 a step; how far the average is behind at step 5,000, and
# the last decay):
#   0.999, 0.9999 and 1.0: 500, 0.9982, all the same; 0.9999 with warmup: 280, 0.9966; with min_decay=0.9999: 3,934, 0.9999
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 diffusers==0.42.1
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore DIFFUSERS_VERBOSITY=error
"$venv/bin/python" - <<'PY'
import torch
from diffusers.training_utils import EMAModel


def train(decay, **options):
    weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    average = EMAModel([weight], decay=decay, **options)
    for _ in range(5000):
        weight.data += 1
        average.step([weight])
    return (weight - average.shadow_params[0]).item(), average.cur_decay_value


found = {decay: train(decay) for decay in (0.99, 0.999, 0.9999, 1.0)}
found |= {"0.9999, warmup": train(0.9999, use_ema_warmup=True), "0.9999, min_decay": train(0.9999, min_decay=0.9999)}
for what, (behind, last) in found.items():
    print(f"decay {what}: {behind:,.0f} steps behind, last decay {last:.4f}")
assert found[0.999] == found[0.9999] == found[1.0] and 499 < found[1.0][0] < 501 and found[0.99][0] < 110, "this has changed"
assert found["0.9999, warmup"][0] < found[0.9999][0] and found["0.9999, min_decay"][0] > 3900, "this has changed"
PY
