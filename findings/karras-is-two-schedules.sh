#!/usr/bin/env bash
# Guess: "Karras" is one list of noise levels, from the most to the least that the model was trained with: with the same configuration
# and steps, each scheduler that has use_karras_sigmas gives the same.
# Really: DPM-Solver++, DEIS, UniPC and SASolver take the two ends of training; Euler, Heun, LMS, KDPM2 and DPMSolverSDE those of the
# timesteps that timestep_spacing has chosen before. With "leading", as published for Stable Diffusion and SDXL, "Euler Karras" so
# begins at 8.4 in 10 steps where "DPM++ Karras" begins at 14.6, on latents of as much less noise; with "trailing" it makes its last step
# from 0.34 where the other does from 0.03, which is the fine detail. The exponential and beta sigmas are so too. So a row of
# "Karras" schedulers compares schedules more than solvers. "linspace", or sigma_min and sigma_max by hand, makes them alike.
# With diffusers 0.42.1, torch 2.13.0, scipy 1.17.1. Seen 2026-11-29 (first level and last one, in 10 steps):
#   leading: Euler and its like 8.39 and 0.041, DPM-Solver++ and its like 14.61 and 0.029; trailing: 14.61 and 0.342, 14.61 and 0.029;
#   linspace: all 14.61 and 0.029
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 diffusers==0.42.1 scipy==1.17.1
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore DIFFUSERS_VERBOSITY=error
"$venv/bin/python" - <<'PY'
import diffusers

TRAINED = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}  # as v1, v2 and SDXL
CHOSEN = ("EulerDiscrete", "HeunDiscrete", "LMSDiscrete", "KDPM2Discrete", "KDPM2AncestralDiscrete")
WHOLE = ("DPMSolverMultistep", "DPMSolverSinglestep", "DEISMultistep", "UniPCMultistep", "SASolver")
found = {}
for spacing in ("leading", "trailing", "linspace"):
    for option in ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"):
        for name in CHOSEN + WHOLE:
            kind = getattr(diffusers, f"{name}Scheduler")
            scheduler = kind.from_config({**TRAINED, "timestep_spacing": spacing, option: True})
            scheduler.set_timesteps(10)
            levels = [float(each) for each in scheduler.sigmas if each > 0]
            found[spacing, option, name] = round(levels[0], 2), round(levels[-1], 3)
        some, others = ({found[spacing, option, name] for name in names} for names in (CHOSEN, WHOLE))
        print(f"{spacing}, {option}: Euler and its like {some}, DPM-Solver++ and its like {others}")
        assert len(others) == 1 and (some == others) == (spacing == "linspace"), "this has changed"
PY
