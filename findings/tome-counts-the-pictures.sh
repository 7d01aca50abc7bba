#!/usr/bin/env bash
# Guess: ToMe (tomesd) draws which tokens stay, and its README advises to set the seed for every batch: behind torch.manual_seed, and
# with the same generator, a pipeline gives the same picture each time.
# Really: the seed set then is not asked. ToMe copies torch's state once, at the first call after apply_patch, and draws on from its
# copy: the second picture of one seed is another, the third again, and the first hangs on what torch drew before. So no seed names a
# picture, and two prompts or settings on one seed differ by chance too. apply_patch anew for each picture, behind manual_seed, mends
# it. Without guidance nothing is drawn (a batch of odd size), so that guidance 1 is ToMe of another kind.
# With tomesd 0.1.3, diffusers 0.42.1, transformers 5.23.0, torch 2.13.0. Seen 2026-11-28 (three times one seed, torch.manual_seed before
# each; the first with another torch.manual_seed before apply_patch; patched anew for each):
#   guidance 5: all other, another, the same; guidance 1: the same, the same, the same
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check \
    torch==2.13.0 numpy==2.4.6 diffusers==0.42.1 transformers==5.23.0 tomesd==0.1.3
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore TRANSFORMERS_VERBOSITY=error DIFFUSERS_VERBOSITY=error
"$venv/bin/python" - <<'PY'
import tomesd
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel

torch.manual_seed(0)
net = UNet2DConditionModel(
    sample_size=16, block_out_channels=(32, 64), layers_per_block=1, norm_num_groups=4, cross_attention_dim=8, attention_head_dim=8,
    down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D")).eval()
pipe = StableDiffusionPipeline(
    vae=None, text_encoder=None, tokenizer=None, unet=net, safety_checker=None, feature_extractor=None,
    scheduler=DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"))
pipe.set_progress_bar_config(disable=True)
prompt, negative = torch.randn(2, 1, 5, 8)


def render(guidance):
    return pipe(
        prompt_embeds=prompt, negative_prompt_embeds=negative, guidance_scale=guidance, num_inference_steps=5, height=128, width=128,
        generator=torch.Generator().manual_seed(0), output_type="latent").images


def row(guidance, seed=0, anew=False):
    """Three times the same picture, by its settings."""
    pictures = []
    for i in range(3):
        torch.manual_seed(seed)
        if anew or not i:
            tomesd.apply_patch(pipe, ratio=0.5)
        pictures.append(render(guidance))
    tomesd.remove_patch(pipe)
    return pictures


for guidance in (5.0, 1.0):
    assert torch.equal(render(guidance), render(guidance))
    pictures, other, anew = row(guidance), row(guidance, seed=1), row(guidance, anew=True)
    same = [sum(torch.equal(each, pictures[0]) for each in some) for some in (pictures, other[:1], anew)]
    print("guidance {}: as the first of 3: {}; of 1 with another seed of torch: {}; of 3 patched anew: {}".format(guidance, *same))
    assert same == ([1, 0, 3] if guidance > 1 else [3, 1, 3]), "this has changed"
PY
