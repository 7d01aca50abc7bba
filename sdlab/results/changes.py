"""Changes a picture may go through on its way: uint8 RGB (H, W, 3) to uint8 RGB (H', W', 3)."""

from __future__ import annotations

import functools
import io
from typing import Any

import numpy as np
from PIL import Image, ImageFilter


def keep(image: np.ndarray) -> np.ndarray:
    return image


def save_lossy(image: np.ndarray, quality: float, form: str = "JPEG", **options: Any) -> np.ndarray:
    """Save in a lossy format with Pillow, and read it again."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, form, quality=int(quality), **options)
    return np.asarray(Image.open(file).convert("RGB"))


def save_jpeg(image: np.ndarray, quality: float) -> np.ndarray:
    """Save as JPEG with colour at half the resolution (4:2:0), as nearly every program does."""
    return save_lossy(image, quality, subsampling="4:2:0")


save_jpeg_444 = functools.partial(save_lossy, subsampling="4:4:4")
save_webp = functools.partial(save_lossy, form="WEBP")
save_avif = functools.partial(save_lossy, form="AVIF")


def save_gif(image: np.ndarray, colours: float) -> np.ndarray:
    """Reduce to a palette of its own, dithered, as a frame of a GIF is."""
    palette = Image.fromarray(image).quantize(int(colours))
    dithered = Image.fromarray(image).quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    return np.asarray(dithered.convert("RGB"))


def resize(image: np.ndarray, factor: float, filtered: str = "LANCZOS") -> np.ndarray:
    """Resize by one of Pillow's filters, both sides rounded to whole pixels."""
    height, width = image.shape[:2]
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling[filtered]))


def crop(image: np.ndarray, pixels: float) -> np.ndarray:
    """Cut off so many pixels at each of the four sides."""
    n = int(pixels)
    return image[n : -n or None, n : -n or None]


def crop_share(image: np.ndarray, percent: float) -> np.ndarray:
    """Cut off so many percent of the height and of the width, half at each end."""
    (top, height), (left, width) = (
        (round(n * percent / 200), round(n * (1 - percent / 100))) for n in image.shape[:2]
    )
    return image[top : top + height, left : left + width]


def blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Blur by Pillow's GaussianBlur of that standard deviation, repeated box filters."""
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(sigma)))


def add_noise(image: np.ndarray, sd: float, seed: int) -> np.ndarray:
    """Add independent normal noise of that standard deviation to every channel."""
    return round_levels(image + np.random.default_rng(seed).normal(0, sd, image.shape))


def brighten(image: np.ndarray, factor: float) -> np.ndarray:
    return round_levels(image * factor)


def stretch_contrast(image: np.ndarray, factor: float) -> np.ndarray:
    """Stretch the picture about its mean brightness."""
    grey = image.mean()
    return round_levels(grey + (image - grey) * factor)


def mirror(image: np.ndarray) -> np.ndarray:
    return image[:, ::-1]


def round_levels(image: np.ndarray) -> np.ndarray:
    return np.clip(np.round(image), 0, 255).astype(np.uint8)


def crop_and_save(image: np.ndarray, quality: float) -> np.ndarray:
    """Cut off 10 pixels at each side, and save as JPEG."""
    return save_jpeg(crop(image, 10), quality)


def take_screenshot(image: np.ndarray) -> np.ndarray:
    """Show the picture on a screen that enlarges by a quarter, and save that as PNG."""
    return resize(image, 1.25, "BILINEAR")


def send_by_messenger(image: np.ndarray) -> np.ndarray:
    """Bring the longer side to 1080 pixels, and save as JPEG 75, as messengers do."""
    return save_jpeg(resize(image, 1080 / max(image.shape[:2]), "BICUBIC"), 75)


def pass_on(image: np.ndarray) -> np.ndarray:
    """Cut off 10 pixels at each side, enlarge by a tenth, save as JPEG 90: found, posted again."""
    return save_jpeg(resize(crop(image, 10), 1.1), 90)


def make_thumbnail(image: np.ndarray) -> np.ndarray:
    """Reduce to two thirds, and save as JPEG 85."""
    return save_jpeg(resize(image, 0.66), 85)


def save_twice(image: np.ndarray, quality: float) -> np.ndarray:
    """Save as JPEG, cut off 3 pixels at the left and at the top, and save once more.

    The blocks of the second JPEG lie across those of the first, and of the mark.
    """
    return save_jpeg(save_jpeg(image, quality)[3:, 3:], quality)


def paste_into_page(image: np.ndarray) -> np.ndarray:
    """Show the picture on a white page of 1280x720 pixels, or larger where it needs more."""
    height, width = image.shape[:2]
    page = np.full((max(720, height + 106), max(1280, width + 202), 3), 255, np.uint8)
    page[53 : 53 + height, 101 : 101 + width] = image
    return page


def turn(image: np.ndarray, degrees: float) -> np.ndarray:
    """Turn to the left by a quarter, a half or three quarters."""
    return np.ascontiguousarray(np.rot90(image, int(degrees) // 90))


def invert(image: np.ndarray) -> np.ndarray:
    return 255 - image


# Through a model


def pass_through_vae(image: np.ndarray, model: str) -> np.ndarray:
    """Encode into the latents of the model's VAE (their mean), and decode again."""
    import torch

    pipe = open_img2img(model)
    vae, large = pipe.vae, pad_sides(image, pipe.vae_scale_factor)
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion_img2img import (
        retrieve_latents,  # once a model is loaded: importing it is not silent
    )

    with torch.inference_mode():
        x = (
            torch.from_numpy(large / 127.5 - 1).permute(2, 0, 1)[None].to(vae.device, vae.dtype)
        )  # (1, 3, H, W)
        latents = retrieve_latents(vae.encode(x), sample_mode="argmax")
        y = vae.decode(latents, return_dict=False)[0]
    return round_levels((y[0].permute(1, 2, 0).cpu().numpy() + 1) * 127.5)[
        : image.shape[0], : image.shape[1]
    ]


def run_img2img(image: np.ndarray, strength: float, seed: int, model: str) -> np.ndarray:
    """Redraw by diffusers' img2img pipeline: no prompt, the model's own scheduler and steps."""
    import torch

    from ..models.resolve import resolve
    from ..recipe.request import Request

    pipe, steps = open_img2img(model), resolve(Request(model=model)).num_inference_steps
    made = pipe(
        "",
        image=Image.fromarray(pad_sides(image)),
        strength=strength,
        num_inference_steps=steps,
        guidance_scale=1.0,
        generator=torch.Generator().manual_seed(seed),
        output_type="np",
    ).images[0]
    return round_levels(made * 255)[: image.shape[0], : image.shape[1]]


def open_img2img(model: str) -> Any:
    """Open the model as diffusers' img2img pipeline in float32, so that no rounding adds."""
    from ..models.pipeline import load
    from ..models.quiet import silence_libraries
    from ..models.resolve import native

    with silence_libraries():
        from diffusers import StableDiffusionImg2ImgPipeline

        own = native(model)
        if own.layout.call:
            raise ValueError(f"model {model!r} is a {own.layout.pipeline}; give one of v1 or v2")
        parts = load(own, dtype="float32").pipe.components
        pipe: Any = StableDiffusionImg2ImgPipeline(
            **parts, requires_safety_checker=parts["safety_checker"] is not None
        )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def pad_sides(image: np.ndarray, side: int = 64) -> np.ndarray:
    """Repeat the last row and column, up to sides that any UNet takes."""
    height, width = image.shape[:2]
    return np.pad(image, ((0, -height % side), (0, -width % side), (0, 0)), "edge")
