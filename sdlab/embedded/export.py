"""Puts the trained parts together as one diffusers folder in half precision."""
import json
import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from .card import TRAINING, training_section, update_section
from .train_denoiser import NOISE

TOKENIZER_FILES = ("vocab.json", "merges.txt", "tokenizer_config.json")


def assembled(parts: Path) -> StableDiffusionPipeline:
    """The trained parts as a pipeline with a DDIM scheduler that knows the noise schedule and the prediction type."""
    scheduler = DDIMScheduler(**NOISE, clip_sample=False, set_alpha_to_one=False, steps_offset=1,
                              timestep_spacing="trailing", prediction_type="v_prediction")
    return StableDiffusionPipeline(
        vae=AutoencoderKL.from_pretrained(parts / "vae"), unet=UNet2DConditionModel.from_pretrained(parts / "unet"),
        text_encoder=CLIPTextModel.from_pretrained(parts / "text_encoder"),
        tokenizer=CLIPTokenizer.from_pretrained(parts / "tokenizer"), scheduler=scheduler,
        safety_checker=None, feature_extractor=None, requires_safety_checker=False)


def export(parts: Path, target: Path) -> float:
    """Write the model to `target` in float16 safetensors; returns its size in MB.

    The tokenizer travels as vocab.json and merges.txt, the form that every version of transformers reads. What the
    training stages noted about themselves goes into training.json and, if the folder has a card with the marks for it,
    into the card.
    """
    assembled(parts).to(torch.float16).save_pretrained(target)
    text = target / "text_encoder/config.json"  # transformers loads in the dtype stated there, diffusers in float32:
    text.write_text(text.read_text().replace('"dtype": "float16"', '"dtype": "float32"'))  # a plain call must get one
    for config in target.glob("*/config.json"):  # where the parts lay while they were trained is nobody's business
        stated = {name: value for name, value in json.loads(config.read_text()).items() if name != "_name_or_path"}
        config.write_text(json.dumps(stated, indent=2) + "\n")
    shutil.rmtree(target / "tokenizer")
    (target / "tokenizer").mkdir()
    for name in TOKENIZER_FILES:
        shutil.copy(parts / "tokenizer" / name, target / "tokenizer" / name)
    names = [name for name in ("autoencoder", "denoiser", "decoder") if (parts.parent / f"{name}.json").exists()]
    record = {name: json.loads((parts.parent / f"{name}.json").read_text()) for name in names}
    (target / "training.json").write_text(json.dumps(record, indent=1) + "\n")
    update_section(target / "README.md", TRAINING, training_section(record))
    return sum(path.stat().st_size for path in target.rglob("*") if path.is_file()) / 1e6
