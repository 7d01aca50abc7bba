"""Puts the trained parts together as one diffusers folder in half precision."""

import json
import shutil
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DDPMScheduler,
    DiffusionPipeline,
    StableDiffusionDepth2ImgPipeline,
    StableDiffusionPipeline,
    StableDiffusionUpscalePipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextModel, CLIPTokenizer, DPTForDepthEstimation, DPTImageProcessorPil

from training.card import TRAINING, update_section, write_training
from training.encoded import LOW_RES_NOISE, MAX_NOISE_LEVEL
from training.recipes import Recipe
from training.train_denoiser import NOISE

TOKENIZER_FILES = ("vocab.json", "merges.txt", "tokenizer_config.json")


def assemble(parts: Path, recipe: Recipe) -> DiffusionPipeline:
    """Put the parts together with a DDIM scheduler that knows schedule and prediction type."""
    scheduler = DDIMScheduler(
        **NOISE,
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        timestep_spacing="trailing",
        prediction_type="v_prediction",
    )
    shared = dict(
        vae=AutoencoderKL.from_pretrained(parts / "vae"),
        unet=UNet2DConditionModel.from_pretrained(parts / "unet"),
        text_encoder=CLIPTextModel.from_pretrained(parts / "text_encoder"),
        tokenizer=CLIPTokenizer.from_pretrained(parts / "tokenizer"),
        scheduler=scheduler,
    )
    if recipe.extra == "depth":
        return StableDiffusionDepth2ImgPipeline(
            **shared,
            depth_estimator=DPTForDepthEstimation.from_pretrained(parts / "depth_estimator"),
            feature_extractor=DPTImageProcessorPil.from_pretrained(parts / "feature_extractor"),
        )
    if recipe.extra == "small":
        return StableDiffusionUpscalePipeline(
            **shared,
            low_res_scheduler=DDPMScheduler(**LOW_RES_NOISE),
            max_noise_level=MAX_NOISE_LEVEL,
        )
    return StableDiffusionPipeline(
        **shared, safety_checker=None, feature_extractor=None, requires_safety_checker=False
    )


def export(parts: Path, target: Path, recipe: Recipe) -> float:
    """Write the model to `target` in float16 safetensors; returns its size in MB.

    The tokenizer travels as vocab.json and merges.txt, the form that every version of transformers
    reads. What the training stages noted about themselves goes into training.json and, if the
    folder has a card with the marks for it, into the card.
    """
    assemble(parts, recipe).to(torch.float16).save_pretrained(target)
    for part in (
        "text_encoder",
        "depth_estimator",
    ):  # transformers loads in the dtype stated there, diffusers in float32:
        stated = target / part / "config.json"  # a plain call must get one
        if stated.exists():
            stated.write_text(
                stated.read_text().replace('"dtype": "float16"', '"dtype": "float32"')
            )
    for config in target.glob(
        "*/config.json"
    ):  # where the parts lay while they were trained is nobody's business
        stated = {
            name: value
            for name, value in json.loads(config.read_text()).items()
            if name != "_name_or_path"
        }
        config.write_text(json.dumps(stated, indent=2) + "\n")
    shutil.rmtree(target / "tokenizer")
    (target / "tokenizer").mkdir()
    for name in TOKENIZER_FILES:
        shutil.copy(parts / "tokenizer" / name, target / "tokenizer" / name)
    notes = {name: parts.parent / f"{name}.json" for name in recipe.stages}
    record = {name: json.loads(note.read_text()) for name, note in notes.items() if note.exists()}
    (target / "training.json").write_text(json.dumps(record, indent=1) + "\n")
    update_section(target / "README.md", TRAINING, write_training(record))
    return sum(path.stat().st_size for path in target.rglob("*") if path.is_file()) / 1e6
