#!/usr/bin/env bash
# Guess: unload_lora_weights() gives the pipeline back as it was before load_lora_weights(): with the same weights, the same picture.
# Really: PEFT has frozen every weight of the UNet, and unloading leaves them frozen. torch's matmul asks whether a weight wants a
# gradient before it chooses its kernel, under inference_mode too: if so, a batch of strided rows (what Transformer2DModel hands a linear
# proj_in, in v2 and SDXL) is folded and multiplied at once by mm; if not, it goes to bmm. So a picture from before a LoRA and one from
# after it are computed in two ways, and their bits may differ: by the processor, the sizes and the precision. requires_grad_(False)
# on the networks before the first picture makes both the same.
# With diffusers 0.42.1, peft 0.21.2, torch 2.13.0. Seen 2026-11-28 (calls of mm and bmm in one call of the UNet):
#   before the LoRA: 28 mm, 0 bmm, 208 weights want a gradient; after it: 24 mm, 4 bmm, 0; thawed: 28 mm, 0 bmm, 208
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check \
    torch==2.13.0 numpy==2.4.6 diffusers==0.42.1 transformers==5.23.0 peft==0.21.2
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore TRANSFORMERS_VERBOSITY=error DIFFUSERS_VERBOSITY=error KINETO_LOG_LEVEL=99
"$venv/bin/python" - <<'PY'
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel

torch.manual_seed(0)
net = UNet2DConditionModel(
    sample_size=16, block_out_channels=(32, 64), layers_per_block=1, norm_num_groups=4, cross_attention_dim=8,
    attention_head_dim=8, use_linear_projection=True, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
    up_block_types=("UpBlock2D", "CrossAttnUpBlock2D")).eval()
pipe = StableDiffusionPipeline(
    vae=None, text_encoder=None, tokenizer=None, unet=net, scheduler=DDIMScheduler(), safety_checker=None, feature_extractor=None)
x, words = torch.randn(2, 4, 16, 16), torch.randn(2, 5, 8)
weights = {name: weight.clone() for name, weight in net.state_dict().items()}


def look(when):
    with torch.inference_mode(), torch.profiler.profile() as profile:
        out = net(x, 10, words).sample
    calls = {each.key: each.count for each in profile.key_averages()}
    wanting = sum(weight.requires_grad for weight in net.parameters())
    mm, bmm = calls.get("aten::mm", 0), calls.get("aten::bmm", 0)
    print(f"{when}: {mm} mm, {bmm} bmm, {wanting} weights want a gradient")
    return out, (mm, bmm, wanting > 0)


first, before = look("before the LoRA")
layer = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
pipe.load_lora_weights({f"{layer}.lora_A.weight": torch.randn(2, 32), f"{layer}.lora_B.weight": torch.randn(32, 2)})
felt = not torch.equal(first, look("with the LoRA")[0])
pipe.unload_lora_weights()
then, after = look("after it is gone")
now = net.state_dict()
same = now.keys() == weights.keys() and all(torch.equal(now[name], weights[name]) for name in weights)
print(f"weights the same: {same}; output the same: {torch.equal(first, then)}, off by {(first - then).abs().max().item():.1e}")
net.requires_grad_(True)
assert felt and same and before[1:] == (0, True) and after[1] > 0 and not after[2] and look("thawed")[1] == before, "this has changed"
PY
