#!/usr/bin/env bash
# Guess: a textual inversion of several vectors, loaded under its name, is heard whole in a prompt that names it, with capitals or without.
# Really: the first vector alone is heard if its name has a capital letter, and where the prompt writes one that the name has not. The
# tokenizer lower-cases what it finds and finds the word all the same; the pipeline then looks for "easynegative" where "EasyNegative" is
# kept (or the other way round in the prompt), and does not put the other vectors beside it. Nothing is said, and the picture does
# change a little, so that such an embedding seems weak. Small letters mend it, in load_textual_inversion(token=…) and in the prompt.
# With diffusers 0.42.1, transformers 5.23.0, torch 2.13.0. Seen 2026-11-28 (vectors heard of 8):
#   loaded as "easynegative": "easynegative" 8, "EasyNegative" 1, "Easynegative" 1; loaded as "EasyNegative": 1, 1, 1
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check \
    torch==2.13.0 numpy==2.4.6 diffusers==0.42.1 transformers==5.23.0 accelerate==1.15.0
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore TRANSFORMERS_VERBOSITY=error DIFFUSERS_VERBOSITY=error
"$venv/bin/python" - <<'PY'
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

letters = "abcdefghijklmnopqrstuvwxyz0123456789_,"
marks = ["<|startoftext|>", "<|endoftext|>"]
ids = {sign: i for i, sign in enumerate([*letters, *(letter + "</w>" for letter in letters), *marks])}
config = CLIPTextConfig(
    vocab_size=len(ids), hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, bos_token_id=len(ids) - 2,
    eos_token_id=len(ids) - 1, pad_token_id=len(ids) - 1)


def count(name, prompts, vectors=8):
    """Counts the learned vectors that the text encoder is given of each prompt."""
    encoder = CLIPTextModel(config)
    pipe = StableDiffusionPipeline(
        vae=None, text_encoder=encoder, tokenizer=CLIPTokenizer(vocab=dict(ids), merges=[], model_max_length=77), unet=None,
        scheduler=DDIMScheduler(), safety_checker=None, feature_extractor=None)
    pipe.load_textual_inversion({name: torch.randn(vectors, 8)}, token=name)
    given = []
    encoder.get_input_embeddings().register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    for prompt in prompts:
        pipe.encode_prompt(prompt, "cpu", 1, False)
    return [int((each >= len(ids)).sum()) for each in given]


prompts = ["blurry, easynegative", "blurry, EasyNegative", "blurry, Easynegative"]
for name, right in (("easynegative", [8, 1, 1]), ("EasyNegative", [1, 1, 1])):
    found = count(name, prompts)
    print(f"loaded as {name}:", ", ".join(f"{prompt!r} {n} of 8" for prompt, n in zip(prompts, found, strict=True)))
    assert found == right, "this has changed"
PY
