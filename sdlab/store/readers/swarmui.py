"""SwarmUI: `sui_image_params`, as a text of the file or in EXIF."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .a1111 import take_networks
from .comfyui import SCHEDULES, put_comfy_sampler
from .draft import Draft, load_object

NAME = "SwarmUI"
FIELDS = {
    "prompt": "prompt",
    "negativeprompt": "negative_prompt",
    "width": "width",
    "height": "height",
    "steps": "num_inference_steps",
    "cfgscale": "guidance_scale",
    "initimagecreativity": "strength",
}
TAG = re.compile(r"<[a-zA-Z/][^<>]*>")  # "<segment:face,0.6>"; it stays in the prompt
WITHOUT_EFFECT = (
    *("seed", "model", "vae", "loras", "loraweights", "sampler", "scheduler", "comfyuisampler"),
    *("comfyuischeduler", "clipstopatlayer", "swarm_version", "date", "generation_time", "images"),
    *(
        "aspectratio",
        "nopreviews",
        "wildcardseed",
        "imageformat",
        "original_prompt",
        "personalnote",
    ),
    *("used_wildcards", "automaticvae", "donotsave", "outpathformat", "batchsize", "presets"),
    *("loratencweights", "used_embeddings", "variationseed", "fluxguidancescale"),
)


def recognizes(named: Mapping[str, str]) -> bool:
    """Tells SwarmUI's parameters."""
    return '"sui_image_params"' in named.get("parameters", "")


def read(named: Mapping[str, str], draft: Draft) -> None:
    """Reads the parameters; SwarmUI runs ComfyUI, so the names are that one's."""
    draft.source = NAME
    said = load_object(named["parameters"]).get("sui_image_params")
    if not isinstance(said, dict):
        raise ValueError("the parameters are no object")
    if "sidelength" in said and said.get("aspectratio") != "Custom":  # then it decides the size
        said = {name: value for name, value in said.items() if name not in ("width", "height")}
    draft.put_fields(said, FIELDS)
    draft.put_distilled(said.get("fluxguidancescale"), "fluxguidancescale")
    draft.put_seed(said.get("seed"))
    draft.put_model(said.get("model"))
    draft.put_vae(said.get("vae"))
    sampler = said.get("sampler", said.get("comfyuisampler"))
    schedule = said.get("scheduler", said.get("comfyuischeduler"))
    put_comfy_sampler(draft, sampler, SCHEDULES.get(str(schedule), schedule))
    if isinstance(skip := said.get("clipstopatlayer"), int):
        draft.put("clip_skip", max(-skip - 1, 0))
    for name, scale in pair_loras(said):
        draft.put_lora(name, scale)
    take_networks(draft)
    for name in ("prompt", "negative_prompt"):
        for tag in TAG.findall(draft.fields.get(name) or ""):
            draft.leave(f"in {name}", tag)
    draft.leave_all(said, *FIELDS, *WITHOUT_EFFECT)
    if said.get("loratencweights") not in (None, said.get("loraweights")):
        draft.leave("loratencweights", said["loratencweights"])
    if said.get("variationseedstrength"):
        draft.leave("variationseed", said.get("variationseed"))
    draft.read_syntax()


def pair_loras(said: Mapping[str, Any]) -> list[tuple[Any, Any]]:
    """Pairs the LoRAs with their weights, which stand in another list."""
    loras, weights = (
        each.split(",") if isinstance(each, str) else each if isinstance(each, list) else []
        for each in (said.get("loras"), said.get("loraweights"))
    )
    return list(zip(loras, [*weights, *[1.0] * len(loras)]))
