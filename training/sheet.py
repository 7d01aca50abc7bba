"""A contact sheet of a model: one row a prompt, one column a seed."""

import textwrap
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

PROMPTS = (
    "a hamster and a paintbrush on a blue background",
    "a robot left of a tree",
    "two birds on a white background",
    "a red circle left of a blue square on a white background",
    "a cat at night",
    "a big dog on the grass",
    "a woman on the beach",
    "a rocket in the sky",
    "three mushrooms on the grass",
    "a purple star on a yellow background",
    "a fish under water",
    "a house above a green heart",
    "a city at sunset",
    "a small pizza on a gray background",
)
CELL, GAP, LABEL, HEADER = 96, 4, 230, 16


def draw_page(images: np.ndarray, prompts: Sequence[str], seeds: Sequence[int]) -> Image.Image:
    """Images (len(prompts) * len(seeds), size, size, 3), prompt by prompt, as one page."""
    step = CELL + GAP
    page = Image.new("RGB", (LABEL + len(seeds) * step, HEADER + len(prompts) * step), "white")
    pen = ImageDraw.Draw(page)
    for column, seed in enumerate(seeds):
        pen.text((LABEL + column * step + 4, 2), f"seed {seed}", fill="black")
    for k, image in enumerate(images):
        row, column = divmod(k, len(seeds))
        tile = Image.fromarray(image).resize((CELL, CELL), Image.Resampling.BICUBIC)
        page.paste(tile, (LABEL + column * step, HEADER + row * step))
    for row, prompt in enumerate(prompts):
        pen.text((4, HEADER + row * step + 20), textwrap.fill(prompt, 34), fill="black")
    return page


def draw_sheet(
    pipeline,
    prompts: Sequence[str] = PROMPTS,
    seeds: Sequence[int] = range(6),
    *,
    guidance_scale: float = 4.0,
) -> Image.Image:
    """Pictures of all prompts and seeds, made now."""
    from training.evaluate import generate_pictures

    asked = [prompt for prompt in prompts for _ in seeds]
    images = generate_pictures(
        pipeline, asked, list(seeds) * len(prompts), guidance_scale=guidance_scale
    )
    return draw_page(images, prompts, seeds)
