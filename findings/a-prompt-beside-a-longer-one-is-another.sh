#!/usr/bin/env bash
# Guess: CogView4 makes of each prompt of a list what it makes of that prompt alone, with the same seed.
# Really: the list is padded to its longest prompt, and neither the text encoder nor the transformer is told what is padding. The padding
# stands before the text, so that each word of a shorter prompt is read behind it, and the picture looks at all of it. So of a list
# only the prompts of the longest kind (by sixteens of tokens, as one prompt is padded too) are what they are alone; the picture of a
# short one hangs on how long its neighbour is. A table of prompts rendered in batches so compares neighbours; one prompt a call mends it.
# With diffusers 0.42.1, transformers 5.23.0, torch 2.13.0. Seen 2026-11-29 (a small CogView4 of random weights, prompts of 9 tokens, 12 and 40;
# is the first prompt's picture as alone beside 12, beside 40; is the picture of 40 as alone; how far off it is beside 40):
#   True, False, True; 2 %
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 diffusers==0.42.1 transformers==5.23.0
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore TRANSFORMERS_VERBOSITY=error DIFFUSERS_VERBOSITY=error
"$venv/bin/python" - <<'PY'
import diffusers
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GlmConfig, GlmModel, PreTrainedTokenizerFast

torch.manual_seed(0)
signs = ["<pad>", "<unk>", *"abcdefghijklmnopqrstuvwxyz "]
letters = Tokenizer(models.WordLevel({sign: number for number, sign in enumerate(signs)}, unk_token="<unk>"))
letters.pre_tokenizer = pre_tokenizers.Split("", "isolated")
tokenizer = PreTrainedTokenizerFast(tokenizer_object=letters, pad_token="<pad>", unk_token="<unk>", padding_side="left")
encoder = GlmModel(GlmConfig(
    vocab_size=len(signs), hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2,
    head_dim=8, pad_token_id=0)).eval()
net = diffusers.CogView4Transformer2DModel(
    patch_size=2, in_channels=4, num_layers=2, attention_head_dim=8, num_attention_heads=2, out_channels=4, text_embed_dim=16,
    time_embed_dim=8, condition_dim=4, rope_axes_dim=(16, 16), sample_size=8).eval()
vae = diffusers.AutoencoderKL(
    block_out_channels=(8,) * 4, norm_num_groups=4, latent_channels=4, down_block_types=("DownEncoderBlock2D",) * 4,
    up_block_types=("UpDecoderBlock2D",) * 4)
pipe = diffusers.CogView4Pipeline(
    tokenizer=tokenizer, text_encoder=encoder, vae=vae, transformer=net, scheduler=diffusers.FlowMatchEulerDiscreteScheduler())
pipe.set_progress_bar_config(disable=True)


def pictures(*prompts):
    return pipe(
        list(prompts), guidance_scale=1.0, height=128, width=128, num_inference_steps=4, output_type="latent",
        generator=[torch.Generator().manual_seed(len(prompt)) for prompt in prompts]).images


short, other, long = "a red cat", "a blue horse", "a green dragon in a very old tall castle"
alone, (beside, _), (apart, last) = pictures(short)[0], pictures(short, other), pictures(short, long)
off = [((one - two).norm() / two.norm()).item() for one, two in ((beside, alone), (apart, alone), (last, pictures(long)[0]))]
print(f"{len(short)} tokens beside {len(other)}: {off[0]:.1e} off; beside {len(long)}: {off[1]:.1e}; {len(long)} beside {len(short)}: {off[2]:.1e}")
assert off[0] < 1e-4 and off[2] < 1e-4
assert off[1] > 1e-3, "this has changed"
PY
