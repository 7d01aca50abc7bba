#!/usr/bin/env bash
# Guess: set_adapters with a weight for each block, {"down": …, "mid": …, "up": …}, weighs all that a LoRA has there, so that with
# three noughts nothing of it is left, as with one.
# Really: the weights are kept by attention, and a layer that is in none is looked up by its place in the list. The residual layers of the
# middle block, and whatever blocks without attention have (the lowest of v1 and v2, the outermost of SDXL), are not found and stay at
# 1. So of a LoRA with convolutions (LoCon, as LyCORIS and kohya train them) "mid": 0 leaves the convolutions of the middle on, and
# pictures that are to show which block does what show those blocks in all of them. With attention alone it is right; no word is said.
# With diffusers 0.42.1, peft 0.21.2, torch 2.13.0. Seen 2026-11-29 (layers of the LoRA that are on at one nought, and at three noughts):
#   v1's blocks: attention 0, 0 of 128; with convolutions 0, 25 of 213. SDXL's: attention 0, 0 of 88; with convolutions 0, 25 of 153
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

ATTENTION = ["to_q", "to_k", "to_v", "to_out.0"]
CONVOLUTIONS = ["conv1", "conv2", "conv_shortcut", "time_emb_proj", "conv"]
NOUGHTS = {"down": 0.0, "mid": 0.0, "up": 0.0}
UNETS = {
    "v1": {"block_out_channels": (8, 16, 16, 16)},
    "SDXL": {
        "block_out_channels": (8, 16, 16), "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D")},
}
torch.manual_seed(0)
x, text = torch.randn(1, 4, 16, 16), torch.randn(1, 5, 8)


def on(shape, layers, weight):
    """The layers of the adapter that are still on, how many there are, and whether the network differs from the one without it."""
    torch.manual_seed(0)
    net = diffusers.UNet2DConditionModel(norm_num_groups=4, cross_attention_dim=8, attention_head_dim=4, **shape)
    with torch.no_grad():
        plain = net(x, 500, encoder_hidden_states=text).sample
        net.add_adapter(peft.LoraConfig(r=4, lora_alpha=4, target_modules=layers, init_lora_weights=False), "style")
        net.set_adapters(["style"], [weight])
        differs = not torch.equal(net(x, 500, encoder_hidden_states=text).sample, plain)
    scales = {name: part.scaling["style"] for name, part in net.named_modules() if hasattr(part, "scaling")}
    return [name for name, scale in scales.items() if scale], len(scales), differs


for name, shape in UNETS.items():
    for what, layers in (("attention", ATTENTION), ("with convolutions", ATTENTION + CONVOLUTIONS)):
        none, _, same = on(shape, layers, 0.0)
        left, number, differs = on(shape, layers, NOUGHTS)
        blocks = sorted({".".join(each.split(".")[:2 if each.startswith("mid") else 3]) for each in left})
        print(f"{name}, {what}: on at 0: {len(none)}, at three noughts: {len(left)} of {number}, {blocks}; differs: {differs}")
        assert not none and not same
        assert bool(left) == differs == (what != "attention"), "this has changed"
PY
