#!/usr/bin/env bash
# Guess: two prompts of different length in one call, with num_images_per_prompt=2, give the pictures that each prompt gives alone: the mask
# that tells words from padding goes with its prompt.
# Really: in Sana, Lumina 2, AuraFlow, PRX, Kandinsky 3 and Qwen-Image the text is repeated as a, a, b, b and its mask as a, b, a, b. So of four
# pictures two are wrong: the second of the long prompt hears only as many words as the short one has, and the first of the short one
# hears padding behind its words. Nothing is said, and each looks like an unlucky seed. PixArt has it right. One prompt a call, or
# each prompt named once for each picture, mends it.
# With diffusers 0.42.1, transformers 5.23.0, torch 2.13.0. Seen 2026-11-29 (prompts a and b, masks A and B; pictures that a small Sana
# makes as of each prompt alone):
#   PixArt aA aA bB bB; the others aA aB bA bB; Sana's pictures: True, False, False, True
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 diffusers==0.42.1 transformers==5.23.0
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore TRANSFORMERS_VERBOSITY=error DIFFUSERS_VERBOSITY=error
"$venv/bin/python" - <<'PY'
import inspect
from types import SimpleNamespace

import diffusers
import torch

torch.manual_seed(0)
LENGTHS = 6, 2
masks = torch.tensor([[1] * length + [0] * (6 - length) for length in LENGTHS])
CLASSES = (
    "SanaPipeline", "SanaSprintPipeline", "Lumina2Pipeline", "AuraFlowPipeline", "PRXPipeline", "Kandinsky3Pipeline", "QwenImagePipeline",
    "PixArtAlphaPipeline")


def pairs(name):
    """Which text is beside which mask in what encode_prompt gives, of two prompts with two pictures each."""
    part = SimpleNamespace(dtype=torch.float32)
    pipe = SimpleNamespace(
        text_encoder=part, transformer=part, unet=part, tokenizer=None, tokenizer_max_length=6, system_prompt="", _execution_device="cpu")
    text = torch.arange(2.0).view(2, 1, 1).repeat(1, 6, 8)
    encode = getattr(diffusers, name).encode_prompt
    given = {"prompt": None if name != "Lumina2Pipeline" else ["", ""], "prompt_embeds": text, "num_images_per_prompt": 2}
    takes = inspect.signature(encode).parameters
    given.update({each: masks for each in ("prompt_attention_mask", "attention_mask", "prompt_embeds_mask") if each in takes})
    if "do_classifier_free_guidance" in takes:
        given["do_classifier_free_guidance"] = False
    told = [each for each in encode(pipe, **given) if each is not None]
    texts = next(each for each in told if each.ndim == 3)
    beside = next(each for each in told if each.ndim == 2)
    return " ".join("ab"[int(one[0, 0])] + "AB"[int(two.sum() < 6)] for one, two in zip(texts, beside, strict=True))


for name in CLASSES:
    found = pairs(name)
    print(f"{name}: {found}")
    assert found == ("aA aA bB bB" if name.startswith("PixArt") else "aA aB bA bB"), "this has changed"
net = diffusers.SanaTransformer2DModel(
    in_channels=4, out_channels=4, num_layers=1, num_attention_heads=2, attention_head_dim=8, num_cross_attention_heads=2,
    cross_attention_head_dim=8, cross_attention_dim=16, caption_channels=8, sample_size=8).eval()
pipe = diffusers.SanaPipeline(
    tokenizer=None, text_encoder=None, vae=None, transformer=net, scheduler=diffusers.FlowMatchEulerDiscreteScheduler())
pipe.set_progress_bar_config(disable=True)
text = torch.randn(2, 6, 8)


def pictures(which):
    seeds = [2 * number + each for number in which for each in range(2)]
    return pipe(
        prompt_embeds=text[which], prompt_attention_mask=masks[which], num_images_per_prompt=2, guidance_scale=1.0, height=256, width=256,
        num_inference_steps=4, use_resolution_binning=False, output_type="latent",
        generator=[torch.Generator().manual_seed(seed) for seed in seeds]).images


together, alone = pictures([0, 1]), torch.cat([pictures([0]), pictures([1])])
same = [bool((a - b).norm() < 1e-3 * b.norm()) for a, b in zip(together, alone)]
print("Sana's pictures as of each prompt alone:", same)
assert same == [True, False, False, True], "this has changed"
PY
