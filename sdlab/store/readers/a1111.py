"""A1111, its forks, and the programs that write as it does."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping

from ...recipe.prompts import parse_weights
from ...recipe.request import SPECS
from ...watermark.labels import find_writer
from ..infotext import GPU_NOISE, read_infotext, split_infotext
from .comfyui import SCHEDULES
from .draft import Draft, is_object, load_json

NETWORK = re.compile(r"<(?:lora|lyco):([^:>]+)((?::[^:>]*)*)>")
SPECIAL = re.compile(r"[\[\]()<]|AND|BREAK")  # no other text is anything but plain
HASHES = "Lora hashes"
RESOURCES, NETWORKS = "Civitai resources", ("lora", "lycoris", "locon", "dora")
WITHOUT_EFFECT = {  # what says nothing of how the picture was made, or says it again
    *("Model hash", "VAE hash", "Refiner hash", HASHES, "Lora weights", "Hashes", "Version"),
    *("User", "App", "Created by", "Batch size", "Batch pos", "Parser", "Time taken", "Operations"),
    *("Template", "Negative Template", "Raw prompt", "Raw negative prompt", "Performance", "Date"),
    *("Size-1", "Size-2", "RNG", "Backend", "Pipeline", "Schedule type", "Scheduler", "Init image"),
    *("Lora hash", RESOURCES, "Civitai metadata", "Prompt", "Source Identifier"),
}
HIDDEN = {*SPECS, *WITHOUT_EFFECT, "Sampler"}  # from what has no counterpart
SCHEDULERS = "Scheduler", "Schedule type"  # of Fooocus, and of all others
SAMPLERS = {"PNDM": "PLMS"}  # dgenerate's
TELLING = "Steps", "App", "Version"  # by which a program is told
DISTILLED = "Distilled CFG Scale"  # what FLUX has learned to take as a number
CPU_NOISE = ("ComfyUI", "Fooocus", "sdlab")


def recognizes(named: Mapping[str, str]) -> bool:
    """Tells A1111's text; JSON there is another program's."""
    return "parameters" in named and not is_object(named["parameters"])


def is_infotext(text: str) -> bool:
    """Tells whether a text that may be anything has A1111's parameters."""
    return bool(split_infotext(text)[1])


def read(named: Mapping[str, str], draft: Draft) -> None:
    """Reads A1111's text."""
    read_text(named["parameters"], draft)
    draft.leave_all({"postprocessing": named.get("postprocessing")})


def read_text(text: str, draft: Draft) -> None:
    """Reads A1111's text, and what its prompt asks for besides."""
    draft.source = find_source(text)
    said = read_infotext(text)
    seed = said.pop("seed", said.pop("Seed", None))
    draft.put_seed(seed, "Seed")
    for name, value in said.items():
        if name == "model":
            draft.put_model(value, "Model")
        elif name == "vae":
            draft.put_vae(value, "VAE")
        elif name in SPECS:
            draft.put(name, value)
    if draft.source == "Fooocus" and draft.fields.get("clip_skip"):
        draft.fields["clip_skip"] -= 1  # SDXL's text encoders leave one layer out natively
    read_others(said, draft)
    take_networks(draft)
    if RESOURCES in said:
        take_resources(said[RESOURCES], draft)
    if not draft.loras:  # dgenerate names them there alone, without their scales
        draft.leave_all({HASHES: said.get(HASHES)})
    draft.read_syntax()
    if not draft.source.startswith("sdlab"):
        check_syntax(draft)


def find_source(text: str) -> str:
    """Finds who wrote the text, by its own parameters: a prompt may name any program."""
    told = [f"{name}: {value}, " for name, value in split_infotext(text)[1] if name in TELLING]
    return name_writer("".join(told))


@functools.lru_cache(1_000)  # a folder of pictures has few
def name_writer(told: str) -> str:
    """Names the program of such parameters."""
    return find_writer(told) or ""


def read_others(said: dict[str, str], draft: Draft) -> None:
    """Reads what is not a field of ours: the noise, the sampler's name, and all that is left."""
    noise = said.get("RNG", "GPU")
    if noise != "CPU" and draft.source not in CPU_NOISE and "seed" in draft.fields:
        draft.leave(GPU_NOISE if noise == "GPU" else f"noise made as by {noise}")
    schedule = next((said[name] for name in SCHEDULERS if name in said), "")
    schedule = SCHEDULES.get(schedule, schedule)  # Fooocus and nodes of ComfyUI write that one's
    if "Sampler" in said:
        draft.put_sampler(SAMPLERS.get(said["Sampler"], said["Sampler"]), schedule)
    elif schedule:  # not one of A1111's, beside a sampler of its
        draft.put_sampler(draft.fields.get("scheduler"), schedule)
    if DISTILLED in said and draft.fields.get("guidance_scale") == 1:  # of FLUX in Forge
        draft.put("guidance_scale", said.pop(DISTILLED), DISTILLED)
    draft.leave_all({name: value for name, value in said.items() if name not in HIDDEN})


def take_networks(draft: Draft) -> None:
    """Takes "<lora:name:0.8>" out of the prompt, as A1111 does before the prompt is encoded."""
    prompt = draft.fields.get("prompt", "")
    for name, scales in NETWORK.findall(prompt) if "<" in prompt else ():
        first, *others = scales.split(":")[1:] or ["1"]
        draft.put_lora(name, first)
        if any(other != first for other in others):
            draft.leave("LoRA", f"{name}{scales}")
    if draft.loras:
        draft.fields["prompt"] = NETWORK.sub("", prompt)


def take_resources(text: str, draft: Draft) -> None:
    """Takes checkpoint and LoRAs from Civitai's list, beside which its generator says no others."""
    try:
        listed = load_json(text)
    except ValueError:
        return draft.leave(RESOURCES, text)
    known = {"checkpoint": "model" in draft.fields, **dict.fromkeys(NETWORKS, bool(draft.loras))}
    for each in listed if isinstance(listed, list) else ():
        kind = str(each.get("type")).lower() if isinstance(each, dict) else ""
        if known.get(kind, not kind):
            continue  # said elsewhere, too
        name = each.get("modelName")
        if kind == "checkpoint" and name:
            draft.put("model", name)
        elif kind in NETWORKS and name:
            draft.put_lora(name, each.get("weight"))
        else:
            draft.leave(RESOURCES, f"{kind} {name or each.get('modelVersionId')}")


def check_syntax(draft: Draft) -> None:
    """Says what the prompts ask for that has no counterpart, such as a change between steps."""
    for name in ("prompt", "negative_prompt"):
        text = draft.fields.get(name) or ""
        try:
            if SPECIAL.search(text):
                parse_weights(text)
        except ValueError as error:
            draft.leave(name, str(error).partition("; ")[0])
