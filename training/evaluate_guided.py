"""Measures tiny-depth or tiny-x4: ``python -m training.evaluate_guided --model FOLDER``.

tiny-depth redraws true renders, once with their own captions and once with another object's name,
and two questions are asked: is the object that the prompt names recognised, and does it fill the
silhouette that was given? tiny-v1 without a picture stands beside it. tiny-x4 enlarges true renders
of 64x64, and the result is compared with the true render of 256x256, beside what interpolation
makes of it.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

import numpy as np
from PIL import Image

from sdlab.tiny import TINY_DEPTH, TINY_V1, TINY_X4
from sdlab.tiny.matcher import find_objects
from sdlab.tiny.world import add_article
from training.card import FIGURES, update_section
from training.evaluate import (
    BATCH,
    FIRST_SEED,
    STEPS,
    generate_pictures,
    open_model,
    round_interval,
)
from training.recipes import RECIPES
from training.samples import Sample, make_sample, write_background

COUNT = 100
GUIDANCE, STRENGTH = 4.0, 1.0
NOISE_LEVELS = (0, 20, 100)
NEAR = 0.55  # of the way from far to near: what stands before the ground


def open_guided(folder: Path):
    """The pipeline of the folder's own kind in float32, silent and offline."""
    from diffusers import DiffusionPipeline

    pipeline = DiffusionPipeline.from_pretrained(folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def draw_singles(count: int, seed: int) -> list[Sample]:
    """Renders of one object of ordinary or large size on a stated background."""
    rng, out = random.Random(seed), []
    while len(out) < count:
        drawn = make_sample(rng, train=False)
        if drawn.kind == "one" and drawn.background and drawn.objects[0].side >= 40:
            out.append(drawn)
    return out


# ---- depth


def find_silhouettes(pipeline, images: np.ndarray) -> np.ndarray:
    """What the model's own estimator takes for near, (B, 64, 64) bool."""
    import torch

    pixels = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).float() / 127.5 - 1
    with torch.no_grad():
        return (pipeline.depth_estimator(pixels).predicted_depth > NEAR).numpy()


def measure_common_part(a: np.ndarray, b: np.ndarray) -> float:
    """The mean intersection of two stacks of silhouettes as a part of their union."""
    union = (a | b).sum((1, 2))
    return round(float(((a & b).sum((1, 2)) / np.maximum(union, 1)).mean()), 3)


def redraw(pipeline, images: np.ndarray, prompts: list[str]) -> np.ndarray:
    import torch

    out = []
    for start in range(0, len(prompts), BATCH):
        part = slice(start, start + BATCH)
        seeds = range(FIRST_SEED, FIRST_SEED + len(prompts))[part]
        out.append(
            pipeline(
                prompts[part],
                image=[Image.fromarray(image) for image in images[part]],
                strength=STRENGTH,
                guidance_scale=GUIDANCE,
                num_inference_steps=STEPS,
                output_type="np",
                generator=[torch.Generator().manual_seed(seed) for seed in seeds],
            ).images
        )
    return (np.concatenate(out) * 255).round().astype(np.uint8)


def measure_depth(folder: Path) -> dict:
    """Shares of recognised objects, and common parts of silhouettes."""
    pipeline, plain, given = open_guided(folder), open_model(TINY_V1), draw_singles(COUNT, seed=21)
    images = np.stack([one.image for one in given])
    true = np.stack([one.depth > NEAR for one in given])
    own = [one.caption for one in given]
    others = [one.objects[0].name for one in draw_singles(COUNT, seed=22)]
    swapped = [
        f"{add_article(name)} {write_background(random.Random(0), one.background)}"
        for name, one in zip(others, given)
    ]
    report = dict(n=COUNT, estimator=measure_common_part(find_silhouettes(pipeline, images), true))
    for label, prompts, names in (
        ("own", own, [one.objects[0].name for one in given]),
        ("another", swapped, others),
    ):
        guided = redraw(pipeline, images, prompts)
        free = generate_pictures(
            plain, prompts, range(FIRST_SEED, FIRST_SEED + COUNT), guidance_scale=GUIDANCE
        )
        for kind, drawn in (("guided", guided), ("free", free)):
            hits = sum(
                name in {found.name for found in find_objects(image)}
                for name, image in zip(names, drawn)
            )
            report[f"{label}, {kind}"] = dict(
                recognised=hits / COUNT,
                interval=round_interval(hits, COUNT),
                common=measure_common_part(find_silhouettes(pipeline, drawn), true),
            )
    return report


def write_depth(report: dict) -> str:
    lines = [
        "| prompt | model | object recognised | common part of the silhouettes |",
        "|---|---|---|---|",
    ]
    for label, words in (("own", "the render's own caption"), ("another", "another object's name")):
        for kind, model in (("guided", "tiny-depth"), ("free", "tiny-v1, without a picture")):
            row = report[f"{label}, {kind}"]
            low, high = row["interval"]
            lines.append(
                f"| {words} | {model} | {row['recognised']:.2f} ({low:.2f}–{high:.2f}) |"
                f" {row['common']:.2f} |"
            )
    return (
        "\n".join(lines)
        + f"\n\n{report['n']} true renders of one object, `strength` 1, guidance {GUIDANCE:g},"
        f" {STEPS} steps. The common part is intersection by union; the estimator's own"
        f" silhouettes of the renders have {report['estimator']:.2f} in common with the true"
        " ones."
    )


# ---- enlargement


def measure_psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Mean peak signal-to-noise ratio of (B, H, W, 3) uint8 pictures."""
    errors = ((a.astype(np.float32) - b) ** 2).mean((1, 2, 3))
    return round(float((10 * np.log10(255**2 / np.maximum(errors, 1e-6))).mean()), 2)


def enlarge(
    pipeline, images: list[Image.Image], prompts: list[str], noise_level: int
) -> np.ndarray:
    import torch

    out = [
        pipeline(
            prompt,
            image=image,
            noise_level=noise_level,
            guidance_scale=1.0,
            num_inference_steps=STEPS,
            output_type="np",
            generator=torch.Generator().manual_seed(FIRST_SEED + k),
        ).images[0]
        for k, (image, prompt) in enumerate(zip(images, prompts))
    ]
    return (np.stack(out) * 255).round().astype(np.uint8)


def measure_enlargement(folder: Path, count: int = 40) -> dict:
    """Measure decibels against true large renders: several noise levels, two interpolations."""
    pipeline, rng = open_guided(folder), random.Random(31)
    given = [make_sample(rng, train=False, world=RECIPES["tiny-x4"].world) for _ in range(count)]
    true = np.stack([one.image for one in given])
    small = [Image.fromarray(image).resize((64, 64), Image.Resampling.BOX) for image in true]
    ways = {"bicubic": Image.Resampling.BICUBIC, "lanczos": Image.Resampling.LANCZOS}
    report = dict(
        n=count,
        interpolation={
            name: measure_psnr(
                np.stack([np.asarray(image.resize((256, 256), way)) for image in small]), true
            )
            for name, way in ways.items()
        },
    )
    prompts = [one.caption for one in given]
    report["model"] = {
        str(level): measure_psnr(enlarge(pipeline, small, prompts, level), true)
        for level in NOISE_LEVELS
    }
    return report


def write_enlargement(report: dict) -> str:
    lines = ["| way | PSNR against the true render |", "|---|---|"]
    lines += [
        f"| {name} interpolation | {value:.2f} dB |"
        for name, value in report["interpolation"].items()
    ]
    lines += [
        f"| tiny-x4, `noise_level` {level} | {value:.2f} dB |"
        for level, value in report["model"].items()
    ]
    return (
        "\n".join(lines)
        + f"\n\n{report['n']} true renders of 256x256, averaged to 64x64, guidance 1, {STEPS}"
        " steps."
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--model",
        type=Path,
        default=TINY_DEPTH,
        help=f"{TINY_DEPTH.name} or {TINY_X4.name} (%(default)s)",
    )
    folder = parser.parse_args().model
    enlarges = (
        json.loads((folder / "model_index.json").read_text())["_class_name"]
        == "StableDiffusionUpscalePipeline"
    )
    report = measure_enlargement(folder) if enlarges else measure_depth(folder)
    section = (write_enlargement if enlarges else write_depth)(report)
    print(section)
    (folder / "evaluation.json").write_text(json.dumps(report, indent=1) + "\n")
    update_section(folder / "README.md", FIGURES, section)


if __name__ == "__main__":
    main()
