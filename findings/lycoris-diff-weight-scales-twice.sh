#!/usr/bin/env bash
# Guess: LyCORIS' get_diff_weight() gives the correction that its own forward() applies, so it can be the oracle for a
# reader of LoHa and LoKr files.
# Really: of LoHa and LoKr it is multiplied by alpha / rank once more (forward() does so once); of LoCon it is right. Merging
# by it (get_merged_weight) is off by the same factor.
# With lycoris-lora 4.1.3, torch 2.13.0. Seen 2026-11-27, alpha / rank and the ratio of get_diff_weight to forward:
#   LoCon 0.5 and 1.0, LoHa 0.5 and 0.5, LoKr 0.667 and 0.667
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check torch==2.13.0 lycoris-lora==4.1.3
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore
"$venv/bin/python" - <<'PY'
import torch
from lycoris.modules.locon import LoConModule
from lycoris.modules.loha import LohaModule
from lycoris.modules.lokr import LokrModule

torch.manual_seed(0)
x = torch.randn(5, 64)
for name, kind, rank, more in (
    ("LoCon", LoConModule, 4, {}),
    ("LoHa", LohaModule, 4, {}),
    ("LoKr", LokrModule, 3, {"factor": 8}),
):
    layer = torch.nn.Linear(64, 64, bias=False)
    plain = layer(x)
    module = kind("layer", layer, multiplier=1.0, lora_dim=rank, alpha=2, **more)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape) / 3)
        module.apply_to()
        module.eval()
        applied = layer(x) - plain
        told = module.get_diff_weight(1.0)
        told = told[0] if isinstance(told, tuple) else told
        ratio = (x @ told.T / applied).flatten().median().item()
    wanted = 1.0 if name == "LoCon" else 2 / rank
    print(f"{name}: alpha / rank = {2 / rank:.3f}, get_diff_weight / forward = {ratio:.4f}")
    assert abs(ratio - wanted) < 1e-3, "this has changed"
PY
