#!/usr/bin/env bash
# Guess: two photographs with two prompts and num_images_per_prompt=2, in a pipeline from picture to picture, give two pictures of the first
# photograph with the first prompt, then two of the second with the second, as text_to_image and ControlNet alone order theirs.
# Really: the prompts are repeated as a, a, b, b and the photographs as A, B, A, B. So the second picture of the first prompt is made from the
# second photograph, and the third, of the second prompt, from the first: half of all are crossed, and who files them by prompt files
# them under the wrong photograph. With ControlNet from a picture the control image goes with the prompt and the photograph does not. It
# is so in v1, SDXL, inpainting and InstructPix2Pix alike; each photograph named once for each picture, with its prompt, mends it.
# With diffusers 0.42.1, transformers 5.23.0, torch 2.13.0. Seen 2026-11-29 (prompts a and b, photographs A and B, control images 1 and 2,
# two pictures each; what the network is given):
#   one picture each: aA bB. Two: v1, SDXL, inpainting, InstructPix2Pix: aA aB bA bB; ControlNet: aA1 aB1 bA2 bB2; named each: aA aA bB bB
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 diffusers==0.42.1 transformers==5.23.0
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore TRANSFORMERS_VERBOSITY=error DIFFUSERS_VERBOSITY=error
"$venv/bin/python" - <<'PY'
import diffusers
import torch

torch.manual_seed(0)
TEXT = torch.arange(2.0).view(2, 1, 1).expand(2, 5, 8)  # two prompts that the network can tell apart
PHOTOS = torch.tensor([-9.0, 9.0]).view(2, 1, 1, 1).expand(2, 4, 8, 8)  # two photographs, as latents
CONTROL = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 64, 64)
SHAPE = {
    "sample_size": 8, "block_out_channels": (8,), "layers_per_block": 1, "norm_num_groups": 4, "cross_attention_dim": 8,
    "attention_head_dim": 4, "down_block_types": ("CrossAttnDownBlock2D",), "up_block_types": ("CrossAttnUpBlock2D",),
    "mid_block_type": None}
SIZES = {"addition_embed_type": "text_time", "addition_time_embed_dim": 4, "projection_class_embeddings_input_dim": 32}
MASK = {"mask_image": torch.ones(2, 1, 64, 64), "masked_image_latents": PHOTOS, "height": 64, "width": 64}


def given(kind, more, call, text=TEXT, photos=PHOTOS, each=2):
    """What the network is given in its first call: prompt, photograph and control image of each picture."""
    net, seen = diffusers.UNet2DConditionModel(**SHAPE, **more), []

    def note(sample, t, encoder_hidden_states=None, **rest):
        photo = sample[:, -4:].mean((1, 2, 3)) > 0
        seen.append(["ab"[int(a[0, 0])] + "AB"[int(b)] for a, b in zip(encoder_hidden_states, photo)])
        return (torch.zeros_like(sample[:, :4]),)

    net.forward = note
    parts = {
        "vae": diffusers.AutoencoderKL(block_out_channels=(8,) * 4, norm_num_groups=4, latent_channels=4,
                                       down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4),
        "unet": net, "scheduler": diffusers.EulerDiscreteScheduler(), "text_encoder": None, "tokenizer": None}
    if "XL" in kind:
        parts.update(text_encoder_2=None, tokenizer_2=None, add_watermarker=False)
        call = {**call, "pooled_prompt_embeds": text[:, 0]}
    else:
        parts.update(safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    if "ControlNet" in kind:
        control = diffusers.ControlNetModel(
            block_out_channels=(8,), layers_per_block=1, norm_num_groups=4, cross_attention_dim=8, attention_head_dim=4,
            down_block_types=("CrossAttnDownBlock2D",), conditioning_embedding_out_channels=(8, 8, 8, 8))

        def see(sample, t, encoder_hidden_states=None, controlnet_cond=None, **rest):
            seen.append(["12"[int(each.mean() > 0)] for each in controlnet_cond])
            return [torch.zeros(())], torch.zeros(())

        control.forward = see
        parts["controlnet"] = control
    pipe = getattr(diffusers, kind)(**parts)
    pipe.set_progress_bar_config(disable=True)
    pipe(
        prompt_embeds=text, image=photos, num_images_per_prompt=each, num_inference_steps=10, guidance_scale=1.0,
        generator=torch.Generator().manual_seed(0), output_type="latent", **call)
    if "ControlNet" in kind:
        return " ".join(a + b for a, b in zip(seen[1], seen[0]))
    return " ".join(seen[0])


kinds = {
    "StableDiffusionImg2ImgPipeline": ({}, {"strength": 0.2}),
    "StableDiffusionXLImg2ImgPipeline": (SIZES, {"strength": 0.2}),
    "StableDiffusionInpaintPipeline": ({}, {"strength": 0.2, **MASK}),
    "StableDiffusionInstructPix2PixPipeline": ({"in_channels": 8}, {"image_guidance_scale": 1.0}),
    "StableDiffusionControlNetImg2ImgPipeline": ({}, {"strength": 0.2, "control_image": CONTROL}),
}
for kind, (more, call) in kinds.items():
    two = given(kind, more, call)
    print(f"{kind}: {two}")
    assert two == ("aA1 aB1 bA2 bB2" if "ControlNet" in kind else "aA aB bA bB"), "this has changed"
kind, (more, call) = next(iter(kinds.items()))
one = given(kind, more, call, each=1)
named = given(kind, more, call, text=TEXT.repeat_interleave(2, 0), photos=PHOTOS.repeat_interleave(2, 0), each=1)
print(f"one picture each: {one}; each photograph named for each picture: {named}")
assert one == "aA bB" and named == "aA aA bB bB", "this has changed"
PY
