"""Easy Diffusion: a text for each setting, in the file or beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .draft import Draft
from .invokeai import note_compel

NAME = "Easy Diffusion"
LABELS = {  # what a text beside the picture calls them
    "Prompt": "prompt",
    "Negative Prompt": "negative_prompt",
    "Seed": "seed",
    "Stable Diffusion model": "use_stable_diffusion_model",
    "Clip Skip": "clip_skip",
    "VAE model": "use_vae_model",
    "Sampler": "sampler_name",
    "Width": "width",
    "Height": "height",
    "Steps": "num_inference_steps",
    "Guidance Scale": "guidance_scale",
    "Prompt Strength": "prompt_strength",
    "LoRA model": "use_lora_model",
    "LoRA Strength": "lora_alpha",
    "Hypernetwork model": "use_hypernetwork_model",
    "Hypernetwork Strength": "hypernetwork_strength",
    "Embedding models": "use_embeddings_model",
    "ControlNet model": "use_controlnet_model",
    "ControlNet Filter": "control_filter_to_apply",
    "Seamless Tiling": "tiling",
    "Use Face Correction": "use_face_correction",
    "Use Upscaling": "use_upscale",
    "Upscale By": "upscale_amount",
}
MARK, MARK_LABEL = "use_stable_diffusion_model", "Stable Diffusion model"
FIELDS = {
    **{name: name for name in ("prompt", "negative_prompt", "width", "height")},
    **{name: name for name in ("num_inference_steps", "guidance_scale")},
    "prompt_strength": "strength",
}
NO_LORA = ("None", "none", "", "[]", "null")
WITHOUT_EFFECT = (MARK, "seed", "use_vae_model", "sampler_name", "use_lora_model", "lora_alpha")
OTHERS = tuple(name for name in LABELS.values() if name not in (*FIELDS, *WITHOUT_EFFECT))
EDGES = {"x": "x", "y": "y", "xy": "both"}  # that fit together
SAMPLERS = {"euler_a": "Euler a", "dpm2_a": "DPM2 a", "plms": "PLMS", "dpmpp_2s_a": "DPM++ 2S a"}


def recognizes(named: Mapping[str, str]) -> bool:
    """Tells the setting that no other program has."""
    return MARK in named or MARK_LABEL in named


def read(named: Mapping[str, str], draft: Draft) -> None:
    """Reads the settings; what other programs put beside them is left aside."""
    draft.source = NAME
    said: dict[str, Any] = {LABELS.get(name, name): value for name, value in named.items()}
    draft.put_fields(said, FIELDS)
    draft.put_seed(said.get("seed"))
    draft.put_model(said.get(MARK), MARK)
    draft.put_vae(said.get("use_vae_model"))
    sampler = str(said.get("sampler_name") or "")
    draft.put_sampler(SAMPLERS.get(sampler, sampler))
    draft.put("tiling", EDGES.get(str(said.get("tiling")).lower()), "tiling")
    skips = str(said.get("clip_skip", "")).lower()
    if skips in ("true", "1"):  # one layer, or none
        draft.put("clip_skip", 1)
    scales = split_list(said.get("lora_alpha"))
    for name, scale in zip(split_list(said.get("use_lora_model")), [*scales, *["1"] * 99]):
        draft.put_lora(name, scale)
    others = {name: said.get(name) for name in OTHERS if name not in ("clip_skip", *draft.fields)}
    draft.leave_all(
        {n: v for n, v in others.items() if str(v).lower() not in ("false", "none", "")}
    )
    note_compel(draft)


def split_list(value: Any) -> list[str]:
    """Splits what is one name, or several in brackets."""
    text = str(value or "").strip()
    parts = (part.strip(" '\"") for part in text.strip("[]").split(","))
    return [part for part in parts if part not in NO_LORA]


def split_lines(text: str) -> dict[str, str]:
    """Splits the text beside a picture: "Prompt: a cat", a line each; {} if it is another text."""
    pairs = (line.partition(": ") for line in text.splitlines())
    found = {name: value for name, _, value in pairs if name in LABELS}
    return found if MARK_LABEL in found else {}
