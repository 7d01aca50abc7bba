"""What a picture may go through on its way: uint8 RGB (H, W, 3) to uint8 RGB (H', W', 3)."""

from __future__ import annotations

import io
from typing import Any

import numpy as np


def untouched(image: np.ndarray) -> np.ndarray:
    return image


def saved(image: np.ndarray, quality: float, form: str = "JPEG", **options: Any) -> np.ndarray:
    """Written by Pillow in a lossy format, and read again."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image).save(file, form, quality=int(quality), **options)
    return np.asarray(Image.open(file).convert("RGB"))


def jpeg(image: np.ndarray, quality: float) -> np.ndarray:
    """Colour at half the resolution (4:2:0), as nearly every program saves."""
    return saved(image, quality, subsampling="4:2:0")


def jpeg_444(image: np.ndarray, quality: float) -> np.ndarray:
    return saved(image, quality, subsampling="4:4:4")


def webp(image: np.ndarray, quality: float) -> np.ndarray:
    return saved(image, quality, "WEBP")


def resized(image: np.ndarray, factor: float) -> np.ndarray:
    """By Lanczos' filter, both sides rounded to whole pixels."""
    from PIL import Image

    height, width = image.shape[:2]
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))


def cropped(image: np.ndarray, pixels: float) -> np.ndarray:
    """Without so many pixels at each of its four sides."""
    n = int(pixels)
    return image[n : -n or None, n : -n or None]


def cropped_share(image: np.ndarray, percent: float) -> np.ndarray:
    """The middle of the picture; so many percent of the height and of the width are cut off, half at each end."""
    (top, height), (left, width) = (
        (round(n * percent / 200), round(n * (1 - percent / 100))) for n in image.shape[:2]
    )
    return image[top : top + height, left : left + width]


def blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    """By Pillow's GaussianBlur, which approximates a Gaussian of that standard deviation by repeated box filters."""
    from PIL import Image, ImageFilter

    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(sigma)))


def noisy(image: np.ndarray, sd: float, seed: int) -> np.ndarray:
    """With independent normal noise of that standard deviation in every channel."""
    return levels(image + np.random.default_rng(seed).normal(0, sd, image.shape))


def brightened(image: np.ndarray, factor: float) -> np.ndarray:
    return levels(image * factor)


def contrasted(image: np.ndarray, factor: float) -> np.ndarray:
    """Stretched about its mean brightness."""
    grey = image.mean()
    return levels(grey + (image - grey) * factor)


def mirrored(image: np.ndarray) -> np.ndarray:
    return image[:, ::-1]


def levels(image: np.ndarray) -> np.ndarray:
    return np.clip(np.round(image), 0, 255).astype(np.uint8)


def cropped_and_saved(image: np.ndarray, quality: float) -> np.ndarray:
    """Without 10 pixels at each side, and a JPEG."""
    return jpeg(cropped(image, 10), quality)


def screenshot(image: np.ndarray) -> np.ndarray:
    """Shown smaller on a screen, and saved as a JPEG."""
    return jpeg(resized(image, 0.9), 90)


# Through a model


def through_vae(image: np.ndarray, model: str) -> np.ndarray:
    """Into the latents of the model's VAE (their mean) and out again."""
    import torch

    vae, large = pipeline(model).vae, padded(image)
    with torch.inference_mode():
        x = (
            torch.from_numpy(large / 127.5 - 1).permute(2, 0, 1)[None].to(vae.device, vae.dtype)
        )  # (1, 3, H, W)
        y = vae.decode(vae.encode(x).latent_dist.mode(), return_dict=False)[0]
    return levels((y[0].permute(1, 2, 0).cpu().numpy() + 1) * 127.5)[
        : image.shape[0], : image.shape[1]
    ]


def img2img(image: np.ndarray, strength: float, seed: int, model: str) -> np.ndarray:
    """Through diffusers' img2img pipeline with an empty prompt, the model's own scheduler and number of steps."""
    import torch
    from PIL import Image

    from ..models.resolve import find

    pipe, steps = pipeline(model), find(model).num_inference_steps
    made = pipe(
        "",
        image=Image.fromarray(padded(image)),
        strength=strength,
        num_inference_steps=steps,
        guidance_scale=1.0,
        generator=torch.Generator().manual_seed(seed),
        output_type="np",
    ).images[0]
    return levels(made * 255)[: image.shape[0], : image.shape[1]]


def pipeline(model: str) -> Any:
    """The model as diffusers' img2img pipeline, in float32, so that no coarser numbers add to what it does."""
    from ..models.pipeline import load, silence_libraries
    from ..models.resolve import native

    with silence_libraries():
        from diffusers import StableDiffusionImg2ImgPipeline

        parts = load(native(model), dtype="float32").pipe.components
        pipe = StableDiffusionImg2ImgPipeline(
            **parts, requires_safety_checker=parts["safety_checker"] is not None
        )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def padded(image: np.ndarray, side: int = 64) -> np.ndarray:
    """The picture with its last row and column repeated, up to sides that any UNet takes."""
    height, width = image.shape[:2]
    return np.pad(image, ((0, -height % side), (0, -width % side), (0, 0)), "edge")
