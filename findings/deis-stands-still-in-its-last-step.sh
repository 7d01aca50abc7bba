#!/usr/bin/env bash
# Guess: with use_flow_sigmas, with which models of flow matching are sampled, each multistep scheduler ends without noise where the
# network is always right; and with Karras' sigmas each call of the network counts.
# Really: DEISMultistepScheduler and SASolverScheduler repeat their last sigma where the others have zero. So the last step has no length:
# with a flow shift of 3, a quarter of the picture of 10 steps is noise, a tenth of that of 28. For v1 and v2 the last sigma is small,
# so no noise is seen, but of "DEIS Karras" (exponential and beta sigmas too) the last call of the network changes nothing: 10 steps
# are 9. DPMSolverMultistepScheduler had this until it got final_sigmas_type.
# With diffusers 0.42.1, torch 2.13.0. Seen 2026-11-28 (noise left of 10 and 28 steps with flow sigmas; the most that the last step of
# 10 changes with Karras'):
#   DPMSolverMultistep 0.00 0.00; 0.12. UniPCMultistep 0.00 0.00; 0.12. DEISMultistep 0.25 0.10; 0. SASolver 0.25 0.10; 7e-7
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 diffusers==0.42.1
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore DIFFUSERS_VERBOSITY=error
"$venv/bin/python" - <<'PY'
import diffusers
import torch


def sample(kind, n, flow):
    """The picture, what is left of noise in it, and by how much the last step has changed it."""
    more = {"use_flow_sigmas": True, "flow_shift": 3.0} if flow else {"use_karras_sigmas": True}
    scheduler = getattr(diffusers, f"{kind}Scheduler")(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
        prediction_type="flow_prediction" if flow else "epsilon", **more)
    scheduler.set_timesteps(n)
    torch.manual_seed(0)
    clean, x = torch.randn(2, 1, 4, 64, 64)
    generator = torch.Generator().manual_seed(0)
    random = {"generator": generator} if kind == "SASolver" else {}
    for sigma, t in zip(scheduler.sigmas, scheduler.timesteps):
        if flow:  # x = (1 - sigma) * clean + sigma * noise
            says = (x - clean) / sigma
        else:  # (clean + sigma * noise) / (1 + sigma ** 2) ** .5
            says = ((1 + sigma**2) ** 0.5 * x - clean) / sigma
        before, x = x, scheduler.step(says, t, x, **random).prev_sample
    share = ((x * clean).mean() / (clean * clean).mean()).item()
    return (x - share * clean).std().item(), (x - before).abs().max().item()


seen = {}
for kind in ("DPMSolverMultistep", "UniPCMultistep", "DEISMultistep", "SASolver"):
    left = [sample(kind, n, flow=True)[0] for n in (10, 28)]
    seen[kind] = left, sample(kind, 10, flow=False)[1]
    print(f"{kind}: noise left {left[0]:.2f} of 10 steps, {left[1]:.2f} of 28; last Karras step: {seen[kind][1]:.1e}")
for kind in ("DPMSolverMultistep", "UniPCMultistep"):
    assert max(seen[kind][0]) < 0.01 < seen[kind][1]
for kind in ("DEISMultistep", "SASolver"):
    assert abs(seen[kind][0][0] - 0.25) < 0.02 and abs(seen[kind][0][1] - 0.1) < 0.02, "this has changed"
assert seen["DEISMultistep"][1] < 1e-6, "this has changed"
PY
