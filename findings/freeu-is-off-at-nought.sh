#!/usr/bin/env bash
# Guess: enable_freeu(s1, s2, b1, b2) with s1=0 takes the lowest frequencies of the skipped features away, the end of a row of s1. And
# b1 acts where its authors' code lets it act, on features of the full number of channels (1280 in v1), b2 where there are half as many.
# Really: a nought for any of the four switches all of FreeU off, without a word: a row of s1 from 0.9 to 0 ends at the picture without FreeU,
# and not at the strongest one. And diffusers goes by the block's number, the authors' code by channels: in v1 and v2, whose two lowest blocks
# both have 1280, b2 and s2 act on the second of these, where theirs has b1 and s1, and the block of 640 is left alone. So values
# published for v1 are others here. In SDXL both ways nearly agree.
# With diffusers 0.42.1, torch 2.13.0. Seen 2026-11-29 (a small UNet with v1's blocks, channels divided by 40; how far from the output
# without FreeU with b1=1.5 and s1 = 0.9, 0.1, 0.001 and 0; the blocks on which b1 and b2 act):
#   0.010, 0.016, 0.017, 0; b1 on block 0, 32 channels; b2 on block 1, 32 channels; of blocks with 32, 32, 16, 8
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
net = diffusers.UNet2DConditionModel(
    sample_size=32, block_out_channels=(8, 16, 32, 32), layers_per_block=2, norm_num_groups=4, cross_attention_dim=8,
    attention_head_dim=4).eval()
x, text = torch.randn(1, 4, 32, 32), torch.randn(1, 5, 8)
ONES = {"s1": 1.0, "s2": 1.0, "b1": 1.0, "b2": 1.0}


def out():
    """What the network says, and what the first residual layer of each block on the way up is given."""
    given, hooks = [], []
    for block in net.up_blocks:
        hooks.append(block.resnets[0].register_forward_pre_hook(lambda layer, inputs: given.append(inputs[0])))
    with torch.no_grad():
        result = net(x, 500, encoder_hidden_states=text).sample
    for hook in hooks:
        hook.remove()
    return result, given


plain, _ = out()
far = {}
for s1 in (0.9, 0.1, 0.001, 0.0):
    net.enable_freeu(**{**ONES, "s1": s1, "b1": 1.5})
    far[s1] = ((out()[0] - plain).norm() / plain.norm()).item()
    print(f"b1=1.5, s1={s1}: {far[s1]:.3f} from the output without FreeU")
net.enable_freeu(**ONES)
_, same = out()
acts, channels = {}, net.config.block_out_channels[::-1]
for name in ("b1", "b2"):
    acts[name] = []
    for number, block in enumerate(net.up_blocks):  # each by itself, as what one does is felt in those behind it
        setattr(block, name, 1.5)
        if not torch.equal(out()[1][number], same[number]):
            acts[name].append((number, channels[number]))
        setattr(block, name, 1.0)
    print(f"{name} acts on (block, channels) {acts[name]}, of blocks with {channels}")
assert far[0.001] > 0.01 and far[0.0] == 0, "this has changed"
assert acts == {"b1": [(0, 32)], "b2": [(1, 32)]}, "this has changed"
PY
