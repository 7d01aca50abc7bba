#!/usr/bin/env bash
# Guess: a sharded diffusers folder whose index names a tensor that its shard does not hold is reported by
# output_loading_info as a missing key, or fails to load.
# Really: the index is believed. All four lists are empty, nothing is logged, and the tensor is whatever the network began with: on
# the meta device by default (an error far away, at the first use), uninitialised memory with low_cpu_mem_usage=False.
# A network in one file reports the same tensor as missing.
# With diffusers 0.42.1, torch 2.13.0. Seen 2026-11-27:
#   one file: ['conv_in.weight']; shards: [] and device meta; shards, low_cpu_mem_usage=False: [] and not the weights saved
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check \
    torch==2.13.0 numpy==2.4.6 diffusers==0.42.1 transformers==5.23.0 accelerate
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore TRANSFORMERS_VERBOSITY=error DIFFUSERS_VERBOSITY=error
"$venv/bin/python" - <<'PY'
import json
import tempfile
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file

NAME, ONE = "conv_in.weight", "diffusion_pytorch_model.safetensors"
net = UNet2DConditionModel(
    sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, cross_attention_dim=8,
    attention_head_dim=4, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
    up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"))


def save_without(folder, file):
    weights = load_file(folder / file)
    del weights[NAME]
    save_file(weights, folder / file, {"format": "pt"})


with tempfile.TemporaryDirectory() as place:
    whole, shards = Path(place, "whole"), Path(place, "shards")
    net.save_pretrained(whole)
    net.save_pretrained(shards, max_shard_size="40KB")
    save_without(whole, ONE)
    save_without(shards, json.loads((shards / f"{ONE}.index.json").read_text())["weight_map"][NAME])

    def load(folder, **more):
        found, info = UNet2DConditionModel.from_pretrained(folder, output_loading_info=True, **more)
        return found.conv_in.weight, info

    _, info = load(whole, low_cpu_mem_usage=False)
    print("one file:", sorted(info["missing_keys"]))
    assert NAME in info["missing_keys"]
    weight, info = load(shards)
    print("shards:", info["missing_keys"], weight.device)
    assert not any(info.values()) and weight.is_meta, "this has changed"
    weight, info = load(shards, low_cpu_mem_usage=False)
    print("shards, low_cpu_mem_usage=False:", info["missing_keys"], "as saved:", torch.equal(weight, net.conv_in.weight))
    assert not any(info.values()) and not torch.equal(weight, net.conv_in.weight), "this has changed"
PY
