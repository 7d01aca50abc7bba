"""NovelAI: the text `Comment`, in the file or in its lowest bits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .draft import Draft, is_said, load_object

NAME = "NovelAI"
FIELDS = {
    "width": "width",
    "height": "height",
    "steps": "num_inference_steps",
    "scale": "guidance_scale",
    "cfg_rescale": "guidance_rescale",
}
WITHOUT_EFFECT = (
    *("prompt", "uc", "seed", "sampler", "noise_schedule", "signed_hash", "n_samples", "version"),
    *("extra_noise_seed", "v4_prompt", "v4_negative_prompt", "legacy", "hide_debug"),
    *("add_original_image", "params_version", "stream", "image_format", "quality_toggle"),
)
GENERATED = "PromptGenerateRequest"  # others begin with a picture
NEUTRAL = {  # what has no effect
    "uncond_scale": (0, 1),
    "controlnet_strength": (1,),
    "inpaintImg2ImgStrength": (1,),
    "noise": (0, 0.2),
    "request_type": (GENERATED,),
}
SCHEDULES = {"native": "Uniform", "karras": "Karras", "exponential": "Exponential"}
HASH = re.compile(r"\s[0-9A-F]{8}$")  # behind the model's name
STRESSED = re.compile(r"[{}\[\]]|\d::")


def recognizes(named: Mapping[str, str]) -> bool:
    """Tells NovelAI's comment."""
    comment = named.get("Comment", "")
    novel = named.get("Software", "").startswith(NAME) or '"signed_hash"' in comment
    return novel and comment.lstrip().startswith("{")


def read(named: Mapping[str, str], draft: Draft) -> None:
    """Reads the comment; the prompt of old files stands beside it."""
    draft.source, draft.hosted = NAME, True
    said = load_object(named["Comment"])
    draft.put("prompt", said.get("prompt") or named.get("Description"))
    draft.put("negative_prompt", said.get("uc"))
    draft.put_fields(said, FIELDS)
    put_strength(said, draft)
    draft.put_seed(said.get("seed"))
    schedule = said.get("noise_schedule")
    draft.put_sampler(said.get("sampler"), SCHEDULES.get(str(schedule), schedule))
    draft.put("model", HASH.sub("", named.get("Source", "").strip()) or None)
    draft.leave("noise of NovelAI's own machines")
    for name in ("v4_prompt", "v4_negative_prompt"):
        draft.leave_all({f"{name} of characters": list_characters(said.get(name))})
    if any(STRESSED.search(draft.fields.get(name) or "") for name in ("prompt", "negative_prompt")):
        draft.leave("weights in the prompt, as NovelAI writes them")
    others = {name: value for name, value in said.items() if value not in NEUTRAL.get(name, ())}
    draft.leave_all(others, *FIELDS, *WITHOUT_EFFECT, "strength")


def put_strength(said: Mapping[str, Any], draft: Draft) -> None:
    """Keeps the strength where it acts: old files have one even if no picture was given."""
    kind = said.get("request_type")
    if kind is None and is_said(said.get("strength")):
        draft.leave("strength", f"{said['strength']}, if it began with a picture")
    elif kind != GENERATED:
        draft.put("strength", said.get("strength"))


def list_characters(prompt: Any) -> list[str]:
    """Lists what a prompt of version 4 says of single characters."""
    caption = prompt.get("caption") if isinstance(prompt, dict) else None
    found = caption.get("char_captions") if isinstance(caption, dict) else None
    captions = found if isinstance(found, list) else []
    texts = [each.get("char_caption") for each in captions if isinstance(each, dict)]
    return [text for text in texts if isinstance(text, str) and text]
