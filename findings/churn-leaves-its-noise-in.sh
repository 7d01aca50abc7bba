#!/usr/bin/env bash
# Guess: step(…, s_churn=…), the "churn" of Karras et al. (noise is added before a step, which then goes down from the higher level), ends at
# the clean picture where the network is always right, with each scheduler that takes it.
# Really: step() is handed what the network said of the latents before the noise came, and takes it for what it says of them after. So no
# call removes what was added: it goes on to the next level as it is, and piles up. With Euler and a churn of 4 in 20 steps the last call is
# given 5.4 times the noise that it is told, with the paper's form at its most 9 times. EDMEuler and flow matching's Heun are so too. So a
# row of churns shows grain, and "churn does not help" is then no finding. The samplers of k-diffusion ask the network after adding.
# With diffusers 0.42.1, torch 2.13.0. Seen 2026-11-29 (20 steps, churn 0, 4 and 20: noise given to the last call / what it is told,
# and noise left in the picture):
#   Euler 1.0, 5.4, 8.8; 0, 0.037, 0.110. EDMEuler 1.0, 2.3, 3.5; 0, 0.002, 0.003. FlowMatchHeun 1.0, 61, 175; 0, 0.004, 0.009
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 diffusers==0.42.1
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore DIFFUSERS_VERBOSITY=error
"$venv/bin/python" - <<'PY'
import diffusers
import torch

torch.manual_seed(0)
clean = torch.randn(1, 4, 64, 64)
OPTIONS = {
    "EulerDiscrete": {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}, "EDMEuler": {},
    "FlowMatchHeunDiscrete": {"shift": 3.0}}


def end(name, churn):
    """The noise in the last call, by what it is told, and the noise left at the end, with a network that knows the clean picture."""
    scheduler = getattr(diffusers, f"{name}Scheduler")(**OPTIONS[name])
    scheduler.set_timesteps(20)
    flow = name.startswith("Flow")
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(clean.shape, generator=generator) * (1 if flow else scheduler.init_noise_sigma)
    for number, t in enumerate(scheduler.timesteps):
        sigma = scheduler.sigmas[number]
        noise = (x - (1 - sigma) * clean) / sigma if flow else (x - clean) / sigma
        if flow:
            said = noise - clean
        elif name.startswith("EDM"):  # its network is asked for the picture, weighed as EDM does with data of deviation .5
            scheduler.scale_model_input(x, t)
            said = (clean - 0.25 / (sigma**2 + 0.25) * x) * (sigma**2 + 0.25) ** 0.5 / (0.5 * sigma)
        else:
            scheduler.scale_model_input(x, t)
            said = noise
        x = scheduler.step(said, t, x, s_churn=churn, generator=generator).prev_sample
    return noise.std().item(), (x - clean).std().item()


for name in OPTIONS:
    found = [end(name, churn) for churn in (0.0, 4.0, 20.0)]
    print(f"{name}, churn 0, 4, 20:", *(f"{given:.1f} times the noise, left {left:.3f};" for given, left in found))
    assert abs(found[0][0] - 1) < 0.01 and found[0][1] < 1e-3
    assert all(given > 2 and left > 1e-3 for given, left in found[1:]), "this has changed"
PY
