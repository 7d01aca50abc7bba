#!/usr/bin/env bash
# Guess: image embeddings of an IP-Adapter that are kept from a run with guidance (prepare_ip_adapter_image_embeds, as the guide advises) say
# the same without guidance (guidance_scale=1, as LCM and Turbo want it), or are refused, as they hold those of no picture too.
# Really: with guidance the two are taken apart; without it they are taken for two pictures, and each attention looks at both: half of what
# the adapter tells is the picture of nothing. Nothing is said, and the adapter seems weak in fast models. It is exactly what two
# pictures give. embeds[1:], the second half alone, is what one picture gives.
# With diffusers 0.42.1, transformers 5.23.0, torch 2.13.0. Seen 2026-11-29 (without guidance, with embeddings kept with it: how far away
# from one picture, by what the adapter does; as of two pictures; the second half alone as of one):
#   0.58 of it away from one picture; True; True
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
net = diffusers.UNet2DConditionModel(
    sample_size=8, block_out_channels=(8,), layers_per_block=1, norm_num_groups=4, cross_attention_dim=8, attention_head_dim=4,
    down_block_types=("CrossAttnDownBlock2D",), up_block_types=("CrossAttnUpBlock2D",), mid_block_type=None)
vae = diffusers.AutoencoderKL(
    block_out_channels=(8,) * 4, norm_num_groups=4, latent_channels=4, down_block_types=("DownEncoderBlock2D",) * 4,
    up_block_types=("UpDecoderBlock2D",) * 4)
pipe = diffusers.StableDiffusionPipeline(
    vae=vae, text_encoder=None, tokenizer=None, unet=net, scheduler=diffusers.DDIMScheduler(), safety_checker=None,
    feature_extractor=None, requires_safety_checker=False)
pipe.set_progress_bar_config(disable=True)
layers = sum("attn2" in name for name in net.attn_processors)
adapter = {
    "image_proj": {
        "proj.weight": torch.randn(4 * 8, 16) / 4, "proj.bias": torch.randn(4 * 8) / 4, "norm.weight": torch.ones(8),
        "norm.bias": torch.zeros(8)},
    "ip_adapter": {f"{2 * n + 1}.to_{part}_ip.weight": torch.randn(8, 8) for n in range(layers) for part in "kv"}}
net._load_ip_adapter_weights([adapter], low_cpu_mem_usage=False)
none, image, text = torch.zeros(1, 1, 16), torch.randn(1, 1, 16), torch.randn(1, 5, 8)
kept = pipe.prepare_ip_adapter_image_embeds(  # with guidance, of an image that is encoded already
    None, [torch.cat([none, image])], "cpu", num_images_per_prompt=1, do_classifier_free_guidance=True)[0]


def picture(embeds, scale=1.0):
    pipe.set_ip_adapter_scale(scale)
    return pipe(
        prompt_embeds=text, num_inference_steps=10, guidance_scale=1.0, ip_adapter_image_embeds=[embeds], height=64, width=64,
        output_type="latent", generator=torch.Generator().manual_seed(0)).images


without, one = picture(image, 0.0), picture(image)
two, wrong, half = picture(torch.cat([none, image], 1)), picture(kept), picture(kept[1:])
off = ((wrong - one).norm() / (one - without).norm()).item()
like_two, like_one = torch.equal(wrong, two), torch.equal(half, one)
print(f"kept with guidance, used without: {off:.2f} of the adapter's effect away from one picture's; as of two pictures: {like_two}; "
      f"second half alone as of one picture: {like_one}")
assert kept.shape[0] == 2 and like_one
assert like_two and off > 0.05, "this has changed"
PY
