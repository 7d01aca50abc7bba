#!/usr/bin/env bash
# Guess: a CLIP text encoder pools at the end mark, wherever other tokens stand. SDXL's second encoder does, with words that
# textual inversion has added.
# Really: where the configuration states eos_token_id 2, as those published for Stable Diffusion and SDXL do, the place of the
# highest id is taken for the end. That is the end mark (49407) until a word is added behind it (49408): then the text is pooled
# at the word, and what follows it is not in the pooled embedding, which SDXL's UNet is told.
# With transformers 5.23.0, torch 2.13.0. Seen 2026-11-28: eos_token_id 49407: pooled at place 4 (the mark); 2: at place 2 (the word)
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 transformers==5.23.0
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore
"$venv/bin/python" - <<'PY'
import torch
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

START, END, WORD = 49406, 49407, 49408
text = torch.tensor([[START, 320, WORD, 2368, END, END, END, END]])  # "a <word> cat"
places = {}
for stated in (END, 2):
    torch.manual_seed(0)
    config = CLIPTextConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, projection_dim=16,
        max_position_embeddings=8, bos_token_id=START, eos_token_id=stated)
    model = CLIPTextModelWithProjection(config).eval()
    model.resize_token_embeddings(WORD + 1)
    with torch.no_grad():
        out = model(text)
        each = model.text_projection(out.last_hidden_state[0])
    places[stated] = int((each - out.text_embeds[0]).abs().sum(1).argmin())
    print(f"eos_token_id {stated}: pooled at place {places[stated]}, token {int(text[0, places[stated]])}")
assert places == {END: 4, 2: 2}, "this has changed"
PY
