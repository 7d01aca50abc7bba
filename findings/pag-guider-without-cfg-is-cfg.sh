#!/usr/bin/env bash
# Guess: diffusers' PerturbedAttentionGuidance and SkipLayerGuidance with guidance_scale=1 (no classifier-free guidance, CFG) guide away
# from the network with a perturbed or skipped layer, on the same prompt, as the classic PAG pipelines do with guidance 0.
# Really: nothing is perturbed. The hooks are set before the third call alone, and without CFG there are two; the second, meant for the
# perturbed network, runs the whole network on the negative prompt. So "PAG without CFG" is CFG, at PAG's scale, whichever layers are
# named, and pictures that are to show what PAG does alone show the negative prompt. It is so too where CFG has its own stop. With
# CFG both act as they should, but never in the first step (start=0 too), and in none of 9 or fewer by default.
# With diffusers 0.42.1, torch 2.13.0. Seen 2026-11-28 (called with which prompt; like CFG at the same scale):
#   PAG: prompt, negative; layers perturbed 0; is CFG at 3: True. SLG: the same. Acts with CFG in steps: of 9 [], of 20 [1, 2, 3]
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 diffusers==0.42.1
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore DIFFUSERS_VERBOSITY=error
"$venv/bin/python" - <<'PY'
import torch
from diffusers import UNet2DConditionModel
from diffusers.guiders import ClassifierFreeGuidance, PerturbedAttentionGuidance, SkipLayerGuidance
from diffusers.hooks import LayerSkipConfig

torch.manual_seed(0)
net = UNet2DConditionModel(
    sample_size=16, block_out_channels=(32, 64), layers_per_block=1, norm_num_groups=4, cross_attention_dim=8, attention_head_dim=8,
    down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D")).eval()
x, prompt, negative = torch.randn(1, 4, 16, 16), *torch.randn(2, 1, 5, 8)


def skip(**more):
    return LayerSkipConfig(indices=[0], fqn="mid_block.attentions.0.transformer_blocks", **more)


def guide(guider):
    """As the denoising loop of the modular pipelines does; also: which texts were given, and how often the network was not itself."""
    guider.set_state(step=3, num_inference_steps=20, timestep=torch.tensor(10))
    batches, given, perturbed = guider.prepare_inputs({"text": (prompt, negative)}), [], 0
    with torch.no_grad():
        for batch in batches:
            guider.prepare_models(net)
            batch.noise_pred = net(x, 10, batch.text).sample
            guider.cleanup_models(net)
            given.append("prompt" if batch.text is prompt else "negative")
            perturbed += not torch.equal(batch.noise_pred, net(x, 10, batch.text).sample)
    return guider(batches).pred, given, perturbed


SCALE = 3.0
cfg, *_ = guide(ClassifierFreeGuidance(guidance_scale=SCALE))
makers = {
    "PAG": lambda cfg: PerturbedAttentionGuidance(
        guidance_scale=cfg, perturbed_guidance_scale=SCALE, perturbed_guidance_stop=1.0,
        perturbed_guidance_config=skip(skip_attention=False, skip_attention_scores=True, skip_ff=False)),
    "SLG": lambda cfg: SkipLayerGuidance(
        guidance_scale=cfg, skip_layer_guidance_scale=SCALE, skip_layer_guidance_stop=1.0, skip_layer_config=skip())}
for name, make in makers.items():
    found = {}
    for scale in (1.0, 2.0):
        out, given, perturbed = guide(make(scale))
        found[scale] = given, perturbed, torch.equal(out, cfg)
        print(f"{name}, guidance {scale}: called with {given}, {perturbed} perturbed, is CFG at {SCALE}: {found[scale][2]}")
    assert found[1.0] == (["prompt", "negative"], 0, True), "this has changed"
    assert found[2.0] == (["prompt", "negative", "prompt"], 1, False), "this has changed"
acts = {}
for n in (9, 20):
    guider = SkipLayerGuidance(skip_layer_config=skip())
    acts[n] = [i for i in range(n) if guider.set_state(i, n, torch.tensor(10)) or guider.num_conditions == 3]
print("with CFG and its defaults SLG acts in steps:", acts)
assert acts == {9: [], 20: [1, 2, 3]}, "this has changed"
PY
