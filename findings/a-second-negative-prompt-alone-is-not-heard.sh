#!/usr/bin/env bash
# Guess: negative_prompt_2 of SDXL's pipelines is sent to the second text encoder, whatever is sent to the first; and no negative prompt is the
# empty one, as it is in v1, in A1111 and in what such programs write beside a picture.
# Really: where negative_prompt is not given, both encoders' embeddings are noughts, and negative_prompt_2 is not read, without a word.
# And an empty text is encoded, which is far from noughts: negative_prompt="" and none at all are two pictures of one seed, though the option
# that does it is called force_zeros_for_empty_prompt. So a row of second negative prompts is one picture again and again, and who writes
# "" for "none", or repeats a picture from such a record, gets another one.
# With diffusers 0.42.1, transformers 5.23.0, torch 2.13.0. Seen 2026-11-29 (what negative_prompt and negative_prompt_2 give):
#   None, None: noughts; None, "blurry": noughts; "", None: not noughts; "", "blurry": another again
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 diffusers==0.42.1 transformers==5.23.0
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore TRANSFORMERS_VERBOSITY=error DIFFUSERS_VERBOSITY=error
"$venv/bin/python" - <<'PY'
import diffusers
import torch
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

torch.manual_seed(0)
letters = "abcdefghijklmnopqrstuvwxyz"
marks = ["<|startoftext|>", "<|endoftext|>"]
ids = {sign: number for number, sign in enumerate([*letters, *(letter + "</w>" for letter in letters), *marks])}
config = CLIPTextConfig(
    vocab_size=len(ids), hidden_size=8, intermediate_size=8, num_hidden_layers=2, num_attention_heads=2, projection_dim=8,
    bos_token_id=len(ids) - 2, eos_token_id=len(ids) - 1, pad_token_id=len(ids) - 1)
words = [CLIPTokenizer(vocab=dict(ids), merges=[], model_max_length=77) for _ in range(2)]
pipe = diffusers.StableDiffusionXLPipeline(
    vae=None, unet=None, text_encoder=CLIPTextModel(config), text_encoder_2=CLIPTextModelWithProjection(config), tokenizer=words[0],
    tokenizer_2=words[1], scheduler=diffusers.DDIMScheduler(), add_watermarker=False)


def negative(one, two):
    with torch.no_grad():
        _, states, _, pooled = pipe.encode_prompt(
            "a cat", device="cpu", do_classifier_free_guidance=True, negative_prompt=one, negative_prompt_2=two)
    return torch.cat([states.flatten(), pooled.flatten()])


found = {}
for one, two in ((None, None), (None, "blurry"), ("", None), ("", "blurry")):
    found[one, two] = negative(one, two)
    print(f"negative_prompt={one!r}, negative_prompt_2={two!r}: size {found[one, two].norm():.1f}")
assert not torch.equal(found["", None], found["", "blurry"]) and found["", None].norm() > 1
assert not found[None, None].any() and not found[None, "blurry"].any(), "this has changed"
PY
