#!/usr/bin/env bash
# Guess: the scale of a DoRA (a LoRA with learned magnitudes) goes from the whole adapter at 1 to none of it at 0, as that of a LoRA does.
# Really: the scale is that of its low-rank part. The magnitudes replace the lengths of the weights whatever it is, so that at 0
# the network still has all of those, and in between it has the wrong share: of an adapter trained here to make the network's output
# half as strong again, a third of the change is left at scale 0 and .9 at a half. So a row of scales of a DoRA does not begin at the network
# alone, and beside a LoRA of equal scale it is heard more. disable_lora() and unloading take it off whole. Nothing is said.
# With diffusers 0.42.1, peft 0.21.2, torch 2.13.0. Seen 2026-11-29 (share of the change at scale 1, 0.5 and 0, and disabled):
#   LoRA 1.00 0.48 0.00 0.00; DoRA 1.00 0.90 0.35 0.00
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 diffusers==0.42.1 peft==0.21.2
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore DIFFUSERS_VERBOSITY=error
"$venv/bin/python" - <<'PY'
import diffusers
import peft
import torch

torch.manual_seed(0)
x, text = torch.randn(1, 4, 16, 16), torch.randn(1, 5, 8)


def share(dora):
    """How much of what the trained adapter does is left at each scale."""
    torch.manual_seed(0)
    net = diffusers.UNet2DConditionModel(
        sample_size=16, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, cross_attention_dim=8, attention_head_dim=4,
        down_block_types=("CrossAttnDownBlock2D",) * 2, up_block_types=("CrossAttnUpBlock2D",) * 2)

    def out():
        return net(x, 500, encoder_hidden_states=text).sample

    with torch.no_grad():
        plain = out()
    net.requires_grad_(False)
    layers = ["to_q", "to_k", "to_v", "to_out.0"]
    net.add_adapter(peft.LoraConfig(r=4, lora_alpha=4, target_modules=layers, use_dora=dora), "style")
    trained = [p for name, p in net.named_parameters() if "lora_" in name]
    optimizer = torch.optim.Adam(trained, 1e-2)
    for _ in range(60):
        loss = (out() - 1.5 * plain).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        whole = (out() - plain).norm()
        shares = []
        for scale in (1.0, 0.5, 0.0):
            net.set_adapters(["style"], [scale])
            shares.append(((out() - plain).norm() / whole).item())
        net.disable_adapters()
        return [*shares, ((out() - plain).norm() / whole).item()]


lora, dora = share(False), share(True)
for name, found in (("LoRA", lora), ("DoRA", dora)):
    print(name, *(f"{each:.2f}" for each in found), "of the change at scale 1, 0.5, 0 and disabled")
assert lora[2] < 1e-5 and lora[3] < 1e-5 and dora[3] < 1e-5
assert dora[2] > 0.1, "this has changed"
PY
