"""Measures how well a model follows its prompts: ``python -m training.evaluate --model FOLDER``.

500 fixed captions of the model's world, held-out combinations among them, one seed each, read back
by the template matcher. The matcher's own score on true renders of the same captions stands beside:
it is the ceiling. The report is written to `evaluation.json` in the model's folder, and its tables
into the model's README.
"""

import argparse
import json
import random
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sdlab.results.stats import share_interval
from sdlab.tiny import TINY_V1
from sdlab.tiny.matcher import find_background, find_objects, is_placed
from sdlab.tiny.world import OPENINGS, V1, World, add_article
from training.card import FIGURES, update_section, write_comparison, write_figures
from training.recipes import RECIPES
from training.samples import (
    HELD_OUT_SHAPES,
    Sample,
    is_held_out_pair,
    make_sample,
    write_background,
)

QUOTAS = {"emoji": 130, "shape": 50, "shape, held out": 20, "pair": 200, "count": 100}
GUIDANCE = (1.0, 2.0, 4.0, 7.5)
STEPS, FIRST_SEED, BATCH = 20, 1000, 25
NEGATIVE_GUIDANCE = 4.0
Scores = dict[str, float]


def name_group(asked: Sample) -> str:
    """The quota a sample counts towards."""
    name = asked.objects[0].name
    single = (
        "emoji" if " " not in name else "shape, held out" if name in HELD_OUT_SHAPES else "shape"
    )
    return single if asked.kind == "one" else asked.kind


def find_world(folder: Path) -> World:
    """Find the world that the model of that name was shown; the first for any other name."""
    return RECIPES[folder.name].world if folder.name in RECIPES else V1


def draw_samples(
    quotas: dict[str, int] = QUOTAS, *, seed: int = 1, world: World = V1
) -> list[Sample]:
    """Draw the evaluated captions, always the same ones, each stating its background."""
    rng, left, out = random.Random(seed), dict(quotas), []
    while any(left.values()):
        drawn = make_sample(rng, train=False, world=world)
        if (
            left.get(name_group(drawn))
            and drawn.background
            and not drawn.caption.startswith(OPENINGS)
        ):
            left[name_group(drawn)] -= 1
            out.append(drawn)
    return out


# ---- pictures


def open_model(folder: Path = TINY_V1, dtype: str = "bfloat16"):
    """The model as a `StableDiffusionPipeline`, silent and offline."""
    import torch
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(
        folder, dtype=getattr(torch, dtype), local_files_only=True
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to("cuda" if torch.cuda.is_available() else "cpu")


def generate_pictures(
    pipeline,
    prompts: Sequence[str],
    seeds: Sequence[int],
    *,
    guidance_scale: float = 4.0,
    steps: int = STEPS,
    negative_prompts: Sequence[str] | None = None,
) -> np.ndarray:
    """One picture for each prompt and seed, (N, size, size, 3) uint8, made in batches of 25."""
    import torch

    out, size = [], pipeline.unet.config.sample_size * pipeline.vae_scale_factor
    for start in range(0, len(prompts), BATCH):
        part = slice(start, start + BATCH)
        generators = [torch.Generator().manual_seed(seed) for seed in seeds[part]]
        out.append(
            pipeline(
                list(prompts[part]),
                negative_prompt=list(negative_prompts[part]) if negative_prompts else None,
                height=size,
                width=size,
                generator=generators,
                guidance_scale=guidance_scale,
                num_inference_steps=steps,
                output_type="np",
            ).images
        )
    return (np.concatenate(out) * 255).round().astype(np.uint8)


# ---- scores


def score_picture(image: np.ndarray, asked: Sample, world: World = V1) -> Scores:
    """Score what the picture shows of its caption, each 0 or 1, as far as measures apply."""
    found, names = find_objects(image, world), [placed.name for placed in asked.objects]
    seen = [one.name for one in found]
    out = {"background": float(find_background(image, world) == asked.background)}
    if asked.kind == "one":
        hit = float(names[0] in seen)
        out |= (
            {"emoji": hit}
            if name_group(asked) == "emoji"
            else {"shape": hit, name_group(asked): hit}
        )
    elif asked.kind == "count":
        out[f"count {len(names)}"] = out["count"] = float(
            seen.count(names[0]) == len(names) == len(seen)
        )
        out["counted object"] = float(names[0] in seen)
    else:
        out["both"] = float(all(name in seen for name in names))
        out["either"] = float(any(name in seen for name in names))
        if is_held_out_pair(*names):
            out["both, held out"] = out["both"]
        if asked.relation and out["both"]:
            places = {one.name: (one.x, one.y) for one in reversed(found)}
            first, second = (places[name] for name in names)
            out["relation, given both"] = float(is_placed(first, second, asked.relation))
    return out


def round_interval(hits: float, n: int) -> tuple[float, float]:
    """Round the 95% interval of a share to three digits."""
    low, high = share_interval(hits, n)
    return round(low, 3), round(high, 3)


def summarise_scores(rows: Sequence[Scores]) -> dict[str, dict]:
    """Share, number and 95% interval of each measure."""
    values = defaultdict(list)
    for row in rows:
        for measure, value in row.items():
            values[measure].append(value)
    return {
        measure: dict(
            share=round(float(np.mean(each)), 3),
            n=len(each),
            interval=round_interval(sum(each), len(each)),
        )
        for measure, each in sorted(values.items())
    }


def measure_clipping(images: np.ndarray) -> float:
    """The part of all channel values that stand at 0 or 255: saturation."""
    return round(float(((images == 0) | (images == 255)).mean()), 3)


def measure_guidance(
    pipeline, samples: list[Sample], guidance_scale: float, world: World = V1
) -> dict:
    """The figures of one guidance value."""
    start, seeds = time.perf_counter(), range(FIRST_SEED, FIRST_SEED + len(samples))
    images = generate_pictures(
        pipeline, [asked.caption for asked in samples], seeds, guidance_scale=guidance_scale
    )
    seconds = time.perf_counter() - start
    measures = summarise_scores(
        [score_picture(image, asked, world) for image, asked in zip(images, samples)]
    )
    return dict(measures=measures, clipped=measure_clipping(images), seconds=round(seconds, 1))


def measure_negative(
    pipeline,
    samples: list[Sample],
    guidance_scale: float = NEGATIVE_GUIDANCE,
    count: int = 100,
    world: World = V1,
) -> dict:
    """Measure how often a negative prompt removes the background that it names.

    The single emoji among the samples are drawn without a background in their prompts; then again
    with a negative prompt that names the background which the seed had chosen; and once more with
    that background in both prompts.
    """
    names = list(
        dict.fromkeys(asked.objects[0].name for asked in samples if name_group(asked) == "emoji")
    )[:count]
    seeds, plain = (
        range(FIRST_SEED, FIRST_SEED + len(names)),
        [add_article(name) for name in names],
    )
    drawn = generate_pictures(pipeline, plain, seeds, guidance_scale=guidance_scale)
    chosen = [find_background(image, world) for image in drawn]
    phrases = [write_background(random.Random(0), name) for name in chosen]
    out = dict(guidance_scale=guidance_scale, n=len(names))
    for label, prompts in (
        ("left open", plain),
        ("asked for", [f"{a} {b}" for a, b in zip(plain, phrases)]),
    ):
        images = generate_pictures(
            pipeline, prompts, seeds, guidance_scale=guidance_scale, negative_prompts=phrases
        )
        gone = [find_background(image, world) != name for image, name in zip(images, chosen)]
        kept = [
            name in [one.name for one in find_objects(image, world)]
            for image, name in zip(images, names)
        ]
        out[label] = dict(
            removed=round(float(np.mean(gone)), 3), object=round(float(np.mean(kept)), 3)
        )
    return out


def evaluate(folder: Path, guidance: Sequence[float], share: float = 1.0) -> dict:
    """The whole report; `share` < 1 takes a part of the captions."""
    world = find_world(folder)
    samples = draw_samples(
        {kind: max(1, round(share * n)) for kind, n in QUOTAS.items()}, world=world
    )
    pipeline = open_model(folder)
    renders = dict(
        measures=summarise_scores([score_picture(asked.image, asked, world) for asked in samples]),
        clipped=measure_clipping(np.stack([asked.image for asked in samples])),
    )
    report = dict(
        prompts=len(samples),
        steps=STEPS,
        scheduler=type(pipeline.scheduler).__name__,
        dtype=str(pipeline.unet.dtype),
        true_renders=renders,
        guidance={},
    )
    for value in guidance:
        report["guidance"][f"{value:g}"] = measure_guidance(pipeline, samples, value, world)
        print(f"guidance {value:g}: {report['guidance'][f'{value:g}']['seconds']} s", flush=True)
    report["negative"] = measure_negative(
        pipeline, samples, count=max(1, round(100 * share)), world=world
    )
    return report


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, default=TINY_V1, help="a model folder (%(default)s)")
    parser.add_argument("--guidance", type=float, nargs="+", default=GUIDANCE)
    parser.add_argument(
        "--share", type=float, default=1.0, help="the part of the captions to use, for a quick look"
    )
    parser.add_argument("--sheet", type=Path, help="only draw a contact sheet to this file")
    options = parser.parse_args()
    if options.sheet:
        from training.sheet import draw_sheet

        return draw_sheet(open_model(options.model)).save(options.sheet)
    report = evaluate(options.model, options.guidance, options.share)
    print(write_comparison(report))
    if options.share == 1:
        (options.model / "evaluation.json").write_text(json.dumps(report, indent=1) + "\n")
        update_section(options.model / "README.md", FIGURES, write_figures(report))


if __name__ == "__main__":
    main()
