#!/usr/bin/env bash
# Guess: open_clip, behind whose tokenizer the text encoders of Stable Diffusion 2 and SDXL were trained, and transformers' CLIPTokenizer
# with the same vocabulary make the same tokens of a prompt.
# Really: open_clip, as OpenAI's CLIP, mends each text first (ftfy, html.unescape): curly quotes become straight ones, wide letters and
# ligatures plain ones, &amp; an &. CLIPTokenizer does not; transformers 4 had a slow one that did so where ftfy was installed, 5 has none.
# So "a dog’s bone", as telephones and word processors write it, reaches the encoder as tokens that it was next to never trained on:
# three for ’s in place of one, and three of the 77 for each wide letter. One prompt typed in two programs then gives two
# pictures of one seed. Dashes, accents and emoji are alike.
# With transformers 5.23.0, open_clip_torch 3.3.0, ftfy 6.3.1. Seen 2026-11-28 (tokens of open_clip, of CLIPTokenizer):
#   a dog's bone 4 4, a cat — a dog 5 5, naïve café 4 4, a ❤️ heart 3 3, all alike; a dog’s bone 4 6, a sign “open” 5 7, ｗｉｄｅ 1 12,
#   ﬁre 1 4, salt &amp; pepper 3 5
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check \
    torch==2.13.0 numpy==2.4.6 transformers==5.23.0 ftfy==6.3.1 regex==2026.11.19
"$venv/bin/python" -m pip install -q --disable-pip-version-check --no-deps open_clip_torch==3.3.0
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore TRANSFORMERS_VERBOSITY=error
"$venv/bin/python" - <<'PY'
import importlib.util
from importlib.metadata import distribution

from transformers import CLIPTokenizer

place = distribution("open_clip_torch").locate_file("open_clip/tokenizer.py")  # by itself, without torchvision
spec = importlib.util.spec_from_file_location("open_clip_tokenizer", place)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
theirs = module.SimpleTokenizer()
marks = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}
merges = sorted(theirs.bpe_ranks, key=theirs.bpe_ranks.get)
ours = CLIPTokenizer(vocab={marks.get(word, word): i for word, i in theirs.encoder.items()}, merges=merges)
found = {}
for text in (
    "a dog's bone", "a cat - a dog", "a cat — a dog", "naïve café", "a ❤️ heart", "a dog’s bone", "a sign “open”", "ｗｉｄｅ", "ﬁre",
    "salt &amp; pepper"):
    a, b = theirs.encode(text), ours(text, add_special_tokens=False).input_ids
    found[text] = a == b
    print(f"{text}: {'alike' if a == b else 'not alike'}, {len(a)} {len(b)}")
assert list(found.values()) == [True] * 5 + [False] * 5, "this has changed"
PY
