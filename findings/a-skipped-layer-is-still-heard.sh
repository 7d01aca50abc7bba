#!/usr/bin/env bash
# Guess: apply_layer_skip with skip_attention=True alone, or skip_ff=True alone, leaves that layer out: its block adds to the features what
# it would with the layer's output at nought. "The outputs of the skipped layers are completely ignored", says dropout=1.0, the default.
# Really: the layer hands on its own input, and the block adds that: the normed features once more, in place of nothing. So the "weak"
# network of SkipLayerGuidance and AutoGuidance, which is to lack an attention or a feed-forward, has something strong and strange
# there, and guidance leads away from that. With both flags the whole block is skipped, as it says; so "attention skipped", "feed-forward
# skipped" and "block skipped" are not three degrees of one thing.
# With diffusers 0.42.1, torch 2.13.0. Seen 2026-11-28 (size of what a block of a new UNet adds: as it is, with the layer at nought,
# with the layer skipped): attention 7.6, 7.1, 32.6; feed-forward 7.6, 6.8, 34.0
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 diffusers==0.42.1
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore DIFFUSERS_VERBOSITY=error
"$venv/bin/python" - <<'PY'
import torch
from diffusers import UNet2DConditionModel
from diffusers.hooks import HookRegistry, LayerSkipConfig, apply_layer_skip

torch.manual_seed(0)
net = UNet2DConditionModel(
    sample_size=16, block_out_channels=(32, 64), layers_per_block=1, norm_num_groups=4, cross_attention_dim=8, attention_head_dim=8,
    down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D")).eval()
block = net.mid_block.attentions[0].transformer_blocks[0]
x, text = torch.randn(1, 16, 64), torch.randn(1, 5, 8)


@torch.no_grad()
def run(layer=None, **flags):
    """What the block adds, with a layer at nought, or with the flags of a LayerSkipConfig."""
    if layer is not None:
        hook = getattr(block, layer).register_forward_hook(lambda module, given, out: torch.zeros_like(out))
    if flags:
        apply_layer_skip(net, LayerSkipConfig(indices=[0], fqn="mid_block.attentions.0.transformer_blocks", **flags))
    out = block(x, encoder_hidden_states=text) - x
    if layer is not None:
        hook.remove()
    if flags:
        HookRegistry.check_if_exists_or_initialize(net).remove_hook("layer_skip_hook", recurse=True)
    return out


whole = run().norm()
for layer, norm, flags in (
    ("attn1", block.norm1, {"skip_attention": True, "skip_ff": False}), ("ff", block.norm3, {"skip_attention": False, "skip_ff": True})):
    nought, skipped = run(layer), run(**flags)
    with torch.no_grad():
        entering = norm(x if layer == "attn1" else x + nought)
    off = ((skipped - nought - entering).norm() / entering.norm()).item()
    print(f"{layer}: the block adds {whole:.1f} as it is, {nought.norm():.1f} with that layer at nought, {skipped.norm():.1f} skipped,",
          f"which is nought and the layer's own input, but for {off:.1%}")
    assert off < 0.05 and skipped.norm() > 3 * whole, "this has changed"
assert not run(skip_attention=True, skip_ff=True).any()
PY
