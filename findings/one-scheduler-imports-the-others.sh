#!/usr/bin/env bash
# Guess: DDIMScheduler.from_config imports nothing that DDIMScheduler() does not.
# Really: to tell which of the settings are meant for compatible schedulers, it imports each of these: 14 modules in place
# of 1, and with SciPy installed all of scipy.stats, for their beta sigmas that nobody asked for. Loading any pipeline
# goes this way: about .5 s of processor of each cold start.
# With diffusers 0.42.1, torch 2.13.0, scipy 1.17.1. Seen 2026-11-28: made directly: 1 module of schedulers, SciPy not
# imported; from_config: 14 modules, 490 of SciPy, scipy.stats among them
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check \
    torch==2.13.0 numpy==2.4.6 diffusers==0.42.1 scipy==1.17.1
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore DIFFUSERS_VERBOSITY=error
"$venv/bin/python" - <<'PY'
import sys

from diffusers import DDIMScheduler


def imported():
    schedulers = [m for m in sys.modules if m.startswith("diffusers.schedulers.scheduling_") and "utils" not in m]
    return len(schedulers), sum(m.split(".")[0] == "scipy" for m in sys.modules), "scipy.stats" in sys.modules


DDIMScheduler()
before = imported()
DDIMScheduler.from_config({"num_train_timesteps": 1000})
after = imported()
for how, (schedulers, scipy, stats) in {"made directly": before, "from_config": after}.items():
    print(f"{how}: {schedulers} modules of schedulers, {scipy} of SciPy, scipy.stats: {stats}")
assert before == (1, 0, False) and after[0] > 10 and after[2], "this has changed"
PY
