#!/usr/bin/env bash
# Guess: negative_original_size, negative_crops_coords_top_left and negative_target_size of SDXL's pipelines each tell the network something of
# the negative prompt; those that are left out are as documented: (1024, 1024), (0, 0), (1024, 1024).
# Really: from text, and with ControlNet, none of them is heard unless both sizes are given: the size alone, or the crop alone, which are what
# one would vary, change nothing, without a word. From a picture and in inpainting each size is heard alone, but the crop never: the
# positive prompt's is taken in its place. And what is left out is as the positive prompt has it, not what is documented. So "negative
# crop makes no difference" is no finding, and one call means three things in three pipelines of one model.
# With diffusers 0.42.1, transformers 5.23.0, torch 2.13.0. Seen 2026-11-29 (is it heard: original size alone, target size alone, crop alone,
# crop beside both sizes):
#   from text no, no, no, yes; from a picture yes, yes, no, no; inpainting yes, yes, no, no
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 diffusers==0.42.1 transformers==5.23.0
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore TRANSFORMERS_VERBOSITY=error DIFFUSERS_VERBOSITY=error
"$venv/bin/python" - <<'PY'
import diffusers
import torch

net = diffusers.UNet2DConditionModel(
    sample_size=8, block_out_channels=(8,), layers_per_block=1, norm_num_groups=4, cross_attention_dim=8, attention_head_dim=4,
    down_block_types=("CrossAttnDownBlock2D",), up_block_types=("CrossAttnUpBlock2D",), mid_block_type=None,
    addition_embed_type="text_time", addition_time_embed_dim=4, projection_class_embeddings_input_dim=32)
vae = diffusers.AutoencoderKL(
    block_out_channels=(8,) * 4, norm_num_groups=4, latent_channels=4, down_block_types=("DownEncoderBlock2D",) * 4,
    up_block_types=("UpDecoderBlock2D",) * 4)
told = []


def note(sample, t, added_cond_kwargs=None, **rest):
    told.append([int(each) for each in added_cond_kwargs["time_ids"][0]])  # the negative prompt's come first
    return (torch.zeros_like(sample),)


net.forward = note
text = {
    "prompt_embeds": torch.randn(1, 5, 8), "pooled_prompt_embeds": torch.randn(1, 8), "negative_prompt_embeds": torch.randn(1, 5, 8),
    "negative_pooled_prompt_embeds": torch.randn(1, 8)}
photo = torch.zeros(1, 3, 64, 64)
PIPELINES = {
    "StableDiffusionXLPipeline": {"height": 64, "width": 64},
    "StableDiffusionXLImg2ImgPipeline": {"image": photo, "strength": 0.5},
    "StableDiffusionXLInpaintPipeline": {
        "image": photo, "mask_image": torch.ones(1, 1, 64, 64), "strength": 0.5, "height": 64, "width": 64},
}
SIZES = {"negative_original_size": (512, 256), "negative_target_size": (768, 384)}
CROP = {"negative_crops_coords_top_left": (48, 16)}
expected = {"StableDiffusionXLPipeline": [False, False, False, True]}
for name, call in PIPELINES.items():
    pipe = getattr(diffusers, name)(
        vae=vae, text_encoder=None, text_encoder_2=None, tokenizer=None, tokenizer_2=None, unet=net,
        scheduler=diffusers.EulerDiscreteScheduler(), add_watermarker=False)
    pipe.set_progress_bar_config(disable=True)

    def negative(**sizes):
        told.clear()
        pipe(num_inference_steps=2, guidance_scale=5.0, output_type="latent", **text, **call, **sizes)
        return told[0]

    plain, both = negative(), negative(**SIZES)
    alone = [{key: size} for key, size in SIZES.items()] + [CROP]
    heard = [negative(**each) != plain for each in alone] + [negative(**SIZES, **CROP) != both]
    print(f"{name}: original size, target size, crop alone, crop beside both: {heard}; left out: {plain}; both sizes and crop: "
          f"{negative(**SIZES, **CROP)}")
    assert heard == expected.get(name, [True, True, False, False]), "this has changed"
PY
