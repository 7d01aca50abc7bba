#!/usr/bin/env bash
# Guess: LoRAs that are kept in memory as dictionaries can be swapped by load_lora_weights(…, hotswap=True) there and back: first, second,
# first gives the pictures of the first again. And set_adapters' weight holds for what is swapped in.
# Really: the network takes the tensors of the first dictionary themselves for its weights, and the swap writes the second LoRA into
# them. So the first dictionary holds the second LoRA from then on, and whoever swaps back sees the second again, and takes the two
# for alike. A dictionary that is swapped in is only read: with three, the first alone is lost. A copy of each tensor, or reading the file
# again, mends it. And a swap sets the weight to 1, whatever set_adapters had said.
# With diffusers 0.42.1, peft 0.21.2, torch 2.13.0. Seen 2026-11-28 (LoRAs swapped, and whose picture it is):
#   a, b, a: a, b, b; a, b, c, b, a, c: a, b, c, b, b, c; copies of a, b, a: a, b, a; a at 0.5, then b: a at 0.5, b at 1
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check \
    torch==2.13.0 numpy==2.4.6 diffusers==0.42.1 transformers==5.23.0 peft==0.21.2 accelerate==1.15.0
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore TRANSFORMERS_VERBOSITY=error DIFFUSERS_VERBOSITY=error
"$venv/bin/python" - <<'PY'
import copy

import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel

torch.manual_seed(0)
bare = UNet2DConditionModel(
    sample_size=16, block_out_channels=(32, 64), layers_per_block=1, norm_num_groups=4, cross_attention_dim=8, attention_head_dim=8,
    down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D")).eval()
sample, words = torch.randn(1, 4, 16, 16), torch.randn(1, 5, 8)


def make():
    lora = {}
    for name, layer in bare.named_modules():
        if name.endswith(("to_q", "to_k", "to_v")):
            lora[f"unet.{name}.lora_A.weight"] = torch.randn(4, layer.in_features)
            lora[f"unet.{name}.lora_B.weight"] = torch.randn(layer.out_features, 4)
    return lora


@torch.no_grad()
def see(pipe):
    return pipe.unet(sample, 500, words).sample


def open_pipe(lora, weight=1.0):
    pipe = StableDiffusionPipeline(
        vae=None, text_encoder=None, tokenizer=None, unet=copy.deepcopy(bare), scheduler=DDIMScheduler(), safety_checker=None,
        feature_extractor=None)
    pipe.load_lora_weights(lora, adapter_name="it")
    pipe.set_adapters("it", weight)
    return pipe


loras = {name: make() for name in "abc"}
right = {name: see(open_pipe(copy.deepcopy(lora))) for name, lora in loras.items()}
right |= {f"{name} at 0.5": see(open_pipe(copy.deepcopy(lora), 0.5)) for name, lora in loras.items()}


def follow(order, keep, weight=1.0):
    kept = copy.deepcopy(loras)
    seen, pipe = [], open_pipe(keep(kept[order[0]]), weight)
    for i, name in enumerate(order):
        if i:
            pipe.load_lora_weights(keep(kept[name]), adapter_name="it", hotswap=True)
        seen += [whose for whose, picture in right.items() if torch.allclose(see(pipe), picture, atol=1e-5)]
    print(f"{', '.join(order)}: {', '.join(seen)}")
    return seen


assert follow("aba", dict) == ["a", "b", "b"], "this has changed"
assert follow("abcbac", dict) == ["a", "b", "c", "b", "b", "c"], "this has changed"
assert follow("aba", copy.deepcopy) == ["a", "b", "a"], "this has changed"
assert follow("ab", copy.deepcopy, weight=0.5) == ["a at 0.5", "b"], "this has changed"
PY
