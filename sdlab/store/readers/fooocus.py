"""Fooocus, in its own scheme; in A1111's it is read as that."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .comfyui import SCHEDULES, put_comfy_sampler
from .draft import Draft, is_said, load_object

NAME = "Fooocus"
FIELDS = {"steps": "num_inference_steps", "guidance_scale": "guidance_scale"}
WITHOUT_EFFECT = (
    *("prompt", "negative_prompt", "full_prompt", "full_negative_prompt", "seed", "resolution"),
    *("sampler", "scheduler", "base_model", "base_model_hash", "vae", "loras", "clip_skip"),
    *("metadata_scheme", "version", "created_by", "performance", "refiner_model_hash"),
)
LORA = re.compile(r"(?:lora_combined_|LoRA )\d+")
MARKS = ("base_model", "full_prompt", "metadata_scheme", "Base Model")


def recognizes(named: Mapping[str, str]) -> bool:
    """Tells Fooocus's own scheme."""
    text = named.get("parameters", "").lstrip()
    return text.startswith("{") and any(f'"{mark}"' in text for mark in MARKS)


def read(named: Mapping[str, str], draft: Draft) -> None:
    """Reads the scheme, also of versions 2.0 and 2.1, which wrote what their form shows."""
    draft.source = NAME
    said = {fold_name(name): value for name, value in load_object(named["parameters"]).items()}
    put_prompts(said, draft)
    draft.put_fields(said, FIELDS)
    draft.put_seed(said.get("seed"))
    draft.put_size(said.get("resolution"), "resolution")
    schedule = said.get("scheduler")
    put_comfy_sampler(draft, said.get("sampler"), SCHEDULES.get(str(schedule), schedule))
    draft.put_model(said.get("base_model"), "base_model")
    draft.put_vae(said.get("vae"))
    put_loras(said, draft)
    skip = said.get("clip_skip")
    if isinstance(skip, int):  # SDXL's text encoders leave one layer out natively
        draft.put("clip_skip", max(skip - 2, 0))
    others = {name: value for name, value in said.items() if not LORA.fullmatch(name)}
    draft.leave_all(others, *FIELDS, *WITHOUT_EFFECT)
    draft.read_syntax()


def fold_name(name: str) -> str:
    """Writes a form's label as the name that later versions have."""
    return name if LORA.fullmatch(name) else name.lower().replace(" ", "_")


def put_prompts(said: Mapping[str, Any], draft: Draft) -> None:
    """Keeps what was encoded, which styles and an expansion made of the prompt."""
    for name in ("prompt", "negative_prompt"):
        full = said.get(f"full_{name}")
        if isinstance(full, list) and full and all(isinstance(text, str) for text in full):
            draft.put(name, ", ".join(full))
            if full != [said.get(name)]:
                draft.leave(f"{name} as written", said.get(name) or "none")
        else:
            draft.put(name, said.get(name))


def put_loras(said: Mapping[str, Any], draft: Draft) -> None:
    """Keeps the LoRAs: "name : 0.5", and before it whether it is switched on."""
    for name, value in said.items():
        if LORA.fullmatch(name) and is_said(value):
            *switch, lora, scale = ["", *(part.strip() for part in str(value).split(" : "))]
            if "False" not in switch:
                draft.put_lora(lora, scale)
