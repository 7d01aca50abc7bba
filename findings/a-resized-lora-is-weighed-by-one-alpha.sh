#!/usr/bin/env bash
# Guess: a LoRA in kohya's format of which each layer has its own rank and alpha, as resizing and extraction "by need" write them (alpha =
# rank), corrects each layer by alpha / rank in diffusers too.
# Really: of the UNet's attention, to_q to to_out, the alphas are kept under names that no layer has (…processor.to_q_lora.down.weight),
# those of the text encoder under ones such as text_model.encoder.layers.0.self_attn. Without a word such a layer is given the alpha that
# occurs most often, but its own rank: layers of low rank are heard too loud, those of high rank too softly. So a LoRA before
# and after resizing differs by more than the resizing, and from what other programs make of it. The UNet's feed-forward layers and
# convolutions are right, and so are files with one alpha, or with none.
# With diffusers 0.42.1, transformers 5.23.0, peft 0.21.2, torch 2.13.0. Seen 2026-11-28 (ranks of 4, 4, 2 or 8, alpha = rank; how loud
# each layer is, 1 is right):
#   own alphas: attention 0.5 to 2, 15 of 32 right; feed-forward 1, 8 of 8; text encoder 0.5 to 2, 9 of 24; one alpha or none: all 1
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check \
    torch==2.13.0 numpy==2.4.6 diffusers==0.42.1 transformers==5.23.0 peft==0.21.2 accelerate==1.15.0
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore TRANSFORMERS_VERBOSITY=error DIFFUSERS_VERBOSITY=error HF_HUB_DISABLE_PROGRESS_BARS=1
"$venv/bin/python" - <<'PY'
from collections import Counter

import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

torch.manual_seed(0)
net = UNet2DConditionModel(
    sample_size=16, block_out_channels=(32, 64), layers_per_block=1, norm_num_groups=4, cross_attention_dim=16, attention_head_dim=8,
    down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"))
encoder = CLIPTextModel(CLIPTextConfig(hidden_size=16, intermediate_size=32, num_hidden_layers=4, num_attention_heads=2))
pipe = StableDiffusionPipeline(
    vae=None, text_encoder=encoder, tokenizer=None, unet=net, scheduler=DDIMScheduler(), safety_checker=None, feature_extractor=None)
layers = {}  # {(what it is, its name in kohya's files): layer}
for name, layer in net.named_modules():
    if isinstance(layer, torch.nn.Linear) and (".attn" in name or ".ff." in name):
        layers["attention" if ".attn" in name else "feed-forward", "lora_unet_" + name.replace(".", "_")] = name
for name, layer in encoder.named_modules():
    if isinstance(layer, torch.nn.Linear):
        layers["text encoder", "lora_te_text_model_" + name.removeprefix("text_model.").replace(".", "_")] = name


def loudness(alphas):
    """Counts how loud the layers are, by what they are."""
    file, right = {}, {}
    for key, name in layers.items():
        weight = (encoder if key[0] == "text encoder" else net).get_submodule(name).weight
        rank = [4, 4, 2, 8][torch.randint(4, ()).item()]
        down, up = torch.randn(rank, weight.shape[1]), torch.randn(weight.shape[0], rank)
        file |= {key[1] + ".lora_down.weight": down, key[1] + ".lora_up.weight": up}
        alpha = rank
        if alphas:
            alpha = rank if alphas == "own" else alphas
            file[key[1] + ".alpha"] = torch.tensor(float(alpha))
        right[key] = up @ down * (alpha / rank)
    pipe.load_lora_weights(file, adapter_name="it")
    found = {}
    for key, name in layers.items():
        change = (encoder if key[0] == "text encoder" else net).get_submodule(name).get_delta_weight("it")
        found.setdefault(key[0], Counter())[round((change.norm() / right[key].norm()).item(), 2)] += 1
    pipe.unload_lora_weights()
    return {what: dict(sorted(counts.items())) for what, counts in found.items()}


for alphas in (None, 4, "own"):
    found = loudness(alphas)
    print(f"alpha {alphas}:", ", ".join(f"{what} {counts}" for what, counts in found.items()))
    for what, counts in found.items():
        wrong = alphas == "own" and what != "feed-forward"
        assert set(counts) == ({0.5, 1, 2} if wrong else {1}), "this has changed"
PY
