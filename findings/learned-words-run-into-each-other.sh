#!/usr/bin/env bash
# Guess: textual inversions that are loaded under names of their own are words of their own; and one prompt with one seed is one picture,
# in each new Python process.
# Really: diffusers puts the further vectors of a word into the prompt by replacing its name wherever it stands, in other names too, word by
# word in the order of a Python set, which changes from process to process. So of "bad-artist-anime, bad-artist", of several vectors
# each, the text encoder is given one thing in one process and another in the next, and "bad-artist-anime" in neither: "bad-artist" stands
# there, and -anime as plain text. PYTHONHASHSEED holds it; names like <bad-artist> keep apart. And _1, _2 behind a name are how diffusers
# names further vectors itself: where "style" and "style_1" are loaded, two words of one vector, a prompt with "style" says both.
# With diffusers 0.42.1, transformers 5.23.0, torch 2.13.0. Seen 2026-11-28 (what the text encoder is given, in 2 processes):
#   bad-artist-anime, bad-artist: bad-artist bad-artist_1 - a n i m e , bad-artist bad-artist_1, in the other process
#   bad-artist bad-artist_1 - a n i m e bad-artist bad-artist_1 - a n i m e _ 1 , bad-artist bad-artist_1; with <>: as they are, in both;
#   style: style; where style_1 is loaded too: style style_1
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check \
    torch==2.13.0 numpy==2.4.6 diffusers==0.42.1 transformers==5.23.0 accelerate==1.15.0
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore TRANSFORMERS_VERBOSITY=error DIFFUSERS_VERBOSITY=error
hear=$(cat <<'PY'
import json

import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

letters = "abcdefghijklmnopqrstuvwxyz0123456789_,-<>"
marks = ["<|startoftext|>", "<|endoftext|>"]
ids = {sign: i for i, sign in enumerate([*letters, *(letter + "</w>" for letter in letters), *marks])}
config = CLIPTextConfig(
    vocab_size=len(ids), hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, bos_token_id=len(ids) - 2,
    eos_token_id=len(ids) - 1, pad_token_id=len(ids) - 1)


def hear(prompt, **words):
    """Tells the tokens of which the text encoder is given the vectors, where words of so many vectors are loaded."""
    encoder = CLIPTextModel(config)
    tokenizer = CLIPTokenizer(vocab=dict(ids), merges=[], model_max_length=77)
    pipe = StableDiffusionPipeline(
        vae=None, text_encoder=encoder, tokenizer=tokenizer, unet=None, scheduler=DDIMScheduler(), safety_checker=None,
        feature_extractor=None)
    for word, vectors in words.items():
        pipe.load_textual_inversion({word: torch.randn(vectors, 8)}, token=word)
    given = []
    encoder.get_input_embeddings().register_forward_pre_hook(lambda _, inputs: given.extend(inputs[0][0].tolist()))
    pipe.encode_prompt(prompt, "cpu", 1, False)
    return " ".join(tokenizer.convert_ids_to_tokens(i).removesuffix("</w>") for i in given if i < len(ids) - 2 or i >= len(ids))


artists, marked = {"bad-artist": 2, "bad-artist-anime": 2}, {"<bad-artist>": 2, "<bad-artist-anime>": 2}
print(json.dumps([
    hear("bad-artist-anime, bad-artist", **artists), hear("<bad-artist-anime>, <bad-artist>", **marked), hear("style", style=1),
    hear("style", style=1, style_1=1)]))
PY
)
heard=$(for seed in 1 2; do PYTHONHASHSEED=$seed "$venv/bin/python" -c "$hear"; done)
"$venv/bin/python" - "$heard" <<'PY'
import json
import sys
from collections import Counter

heard = [Counter(each) for each in zip(*map(json.loads, sys.argv[1].splitlines()), strict=True)]
for counts in heard:
    print("; ".join(f"{text} ({n} of 2)" for text, n in counts.items()))
assert [len(counts) for counts in heard] == [2, 1, 1, 1] and not any("anime" in text for text in heard[0]), "this has changed"
assert list(heard[1]) == ["<bad-artist-anime> <bad-artist-anime>_1 , <bad-artist> <bad-artist>_1"], "this has changed"
assert list(heard[2]) == ["style"] and list(heard[3]) == ["style style_1"], "this has changed"
PY
