#!/usr/bin/env bash
# Guess: two words at weight 0 in Compel, as in "a (cat)0 and a (dog)0", are both gone, as one word at 0 is.
# Really: Compel renders the prompt once without each such word, all the other words being there, and takes the mean. So in all of the text's
# embeddings but the words' own places (the other words, the end mark and the padding, 71 of 77 here) of two words each is half there, of
# three two thirds; at .5 each of two is there by two thirds, where one alone is there by half. The more is weighed down, the more of
# it is heard, and a row of weights for one word says other things beside a second one. Words that stand side by side count as one and
# are both gone.
# With compel 2.5.1, diffusers 0.42.1, transformers 5.23.0, torch 2.13.0. Seen 2026-11-29 (how much of one, two and three words at 0 is left
# elsewhere in the text, by what they all do; and is that of two the mean of the texts that lack one each):
#   0.00, 0.57, 0.69; True
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 diffusers==0.42.1 transformers==5.23.0 compel==2.5.1
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore TRANSFORMERS_VERBOSITY=error DIFFUSERS_VERBOSITY=error
"$venv/bin/python" - <<'PY'
import torch
from compel import Compel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

torch.manual_seed(0)
letters = "abcdefghijklmnopqrstuvwxyz"
marks = ["<|startoftext|>", "<|endoftext|>"]
ids = {sign: number for number, sign in enumerate([*letters, *(letter + "</w>" for letter in letters), *marks])}
tokenizer = CLIPTokenizer(vocab=dict(ids), merges=[], model_max_length=77)
encoder = CLIPTextModel(CLIPTextConfig(
    vocab_size=len(ids), hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2, bos_token_id=len(ids) - 2,
    eos_token_id=len(ids) - 1, pad_token_id=len(ids) - 1)).eval()
compel = Compel(tokenizer=tokenizer, text_encoder=encoder)
PLACES = {"cat": [2, 3, 4], "dog": [9, 10, 11], "sun": [15, 16, 17]}  # where their letters stand behind the start mark
elsewhere = [place for place in range(77) if not any(place in places for places in PLACES.values())]


def weighted(**weights):
    text = "a cat and a dog by a sun house"
    for word, weight in weights.items():
        text = text.replace(word, f"({word}){weight}")
    with torch.no_grad():
        return compel(text)[0, elsewhere]


def without(*words):
    """The text as the encoder gives it with those words masked."""
    given = tokenizer("a cat and a dog by a sun house", padding="max_length", return_tensors="pt")
    mask = torch.ones_like(given.input_ids)
    for word in words:
        mask[0, PLACES[word]] = 0
    with torch.no_grad():
        return encoder(given.input_ids, attention_mask=mask).last_hidden_state[0, elsewhere]


left = {}
for words in (("cat",), ("cat", "dog"), ("cat", "dog", "sun")):
    gone = without(*words)
    left[words] = ((weighted(**dict.fromkeys(words, 0)) - gone).norm() / (without() - gone).norm()).item()
    print(*words, f"at 0: {left[words]:.2f} of what they do is left")
two = weighted(cat=0, dog=0)
mean = (two - (without("cat") + without("dog")) / 2).abs().max().item() < 1e-4
half = (weighted(cat=0.5, dog=0.5) - (without() + without("cat") + without("dog")) / 3).abs().max().item() < 1e-4
print(f"two at 0 are the mean of the texts that lack one: {mean}; two at .5 the mean of these and the whole: {half}")
assert left["cat",] < 1e-3
assert mean and half and 0.2 < left["cat", "dog"] < left["cat", "dog", "sun"], "this has changed"
PY
