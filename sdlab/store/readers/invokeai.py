"""InvokeAI in its three generations: `Dream`, `sd-metadata`, `invokeai_metadata`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ..infotext import GPU_NOISE
from .draft import Draft, is_said, load_object

NAME = "InvokeAI"
TEXTS = ("invokeai_metadata", "sd-metadata", "Dream")
ONLY_GRAPHS = ("invokeai_graph", "invokeai_workflow")
FIELDS = {  # of the third generation: ours
    "positive_prompt": "prompt",
    "negative_prompt": "negative_prompt",
    "width": "width",
    "height": "height",
    "cfg_scale": "guidance_scale",
    "cfg_rescale_multiplier": "guidance_rescale",
    "steps": "num_inference_steps",
    "clip_skip": "clip_skip",
    "strength": "strength",
}
OLD_FIELDS = {
    "width": "width",
    "height": "height",
    "cfg_scale": "guidance_scale",
    "steps": "num_inference_steps",
    "strength": "strength",
}
OPTIONS = {"s": "num_inference_steps", "C": "guidance_scale", "W": "width", "H": "height"}
OPTIONS |= {"f": "strength"}
OPTION = re.compile(r"-([A-Za-z])(.*)", re.DOTALL)
WITHOUT_EFFECT = (
    *("app_version", "created_by", "image_name", "postprocessing", "rand_device", "seed", "model"),
    *("scheduler", "loras", "vae", "generation_mode", "hash", "canvas_v2_metadata", "guidance"),
)
NEGATIVE = re.compile(r"\[([^\[\]]*)\]")
COMPEL = re.compile(r"[\w)][+-]{1,}(?=[\s,.)]|$)|\)\d*\.?\d+|\)\.(?:and|blend|swap)\(")


def recognizes(named: Mapping[str, str]) -> bool:
    """Tells InvokeAI's texts."""
    return any(name in named for name in (*TEXTS, *ONLY_GRAPHS))


def read(named: Mapping[str, str], draft: Draft) -> None:
    """Reads the newest text that is there; a graph alone does not say what it was given."""
    draft.source = NAME
    if "invokeai_metadata" in named:
        read_metadata(load_object(named["invokeai_metadata"]), draft)
    elif "sd-metadata" in named:
        read_old(load_object(named["sd-metadata"]), draft)
    elif "Dream" in named:
        read_dream(named["Dream"], draft)
    else:
        draft.leave("a graph without the metadata of its picture")
    note_compel(draft)


def note_compel(draft: Draft) -> None:
    """Says that a prompt has weights as the package compel writes them: x++, (x)1.2."""
    prompts = (draft.fields.get(name) or "" for name in ("prompt", "negative_prompt"))
    if any(map(COMPEL.search, prompts)):
        draft.leave("weights in the prompt, as compel writes them")


def read_metadata(said: Mapping[str, Any], draft: Draft) -> None:
    """Reads the metadata of versions 3 and later."""
    draft.put_fields(said, FIELDS)
    draft.put_distilled(said.get("guidance"), "guidance")
    draft.put_seed(said.get("seed"))
    put_scheduler(draft, said.get("scheduler"))
    draft.put_model(find_name(said.get("model")))
    draft.put_vae(find_name(said.get("vae")))
    loras = said.get("loras")
    for each in loras if isinstance(loras, list) else ():
        if isinstance(each, dict):
            draft.put_lora(find_name(each.get("lora", each.get("model"))), each.get("weight"))
    if said.get("rand_device", "cpu") != "cpu":
        draft.leave(GPU_NOISE)
    mode = str(said.get("generation_mode", "txt2img"))
    draft.leave_all({"generation_mode": None if mode.endswith("txt2img") else mode})
    draft.leave_all({"layers of the canvas": list_layers(said.get("canvas_v2_metadata"))})
    draft.leave_all(said, *FIELDS, *WITHOUT_EFFECT)


def list_layers(canvas: Any) -> str:
    """Lists the kinds of layers that may have acted, which version 5 calls "txt2img" as well."""
    kinds = canvas.items() if isinstance(canvas, dict) else ()
    return ", ".join(
        kind for kind, layers in kinds if isinstance(layers, list) and any(map(may_act, layers))
    )


def may_act(layer: Any) -> bool:
    """Tells a layer that is switched on and holds something; each canvas has an empty one."""
    return (
        isinstance(layer, dict)
        and layer.get("isEnabled") is not False
        and any(map(layer.get, ("objects", "positivePrompt", "negativePrompt", "referenceImages")))
    )


def find_name(model: Any) -> Any:
    """Finds a model's name, as version 3 or a later one writes it."""
    if isinstance(model, dict):
        return model.get("name", model.get("model_name"))
    return model


def put_scheduler(draft: Draft, name: Any) -> None:
    """Keeps a scheduler: "_k" behind a name is Karras."""
    if isinstance(name, str):
        short = name.removesuffix("_k")
        draft.put_sampler(short.replace("kdpm_2", "dpm2"), "Karras" if short != name else "Uniform")


def read_old(said: Mapping[str, Any], draft: Draft) -> None:
    """Reads the metadata of version 2."""
    image = said.get("image")
    if not isinstance(image, dict):
        raise ValueError("the metadata has no image")
    prompt = image.get("prompt")
    parts = prompt if isinstance(prompt, list) else [prompt]
    texts = [part.get("prompt") if isinstance(part, dict) else part for part in parts]
    put_prompt(draft, " ".join(text for text in texts if isinstance(text, str)))
    if len(texts) > 1:
        draft.leave("prompt", f"{len(texts)} prompts with weights of their own")
    draft.put_fields(image, OLD_FIELDS)
    draft.put_seed(image.get("seed"))
    draft.put_sampler(image.get("sampler"))
    draft.put_model(said.get("model_weights"))
    kind = image.get("type", "txt2img")
    draft.leave_all({"type": None if kind == "txt2img" else kind})
    others = {name: value for name, value in image.items() if is_said(value) and value != 0}
    draft.leave_all(others, *OLD_FIELDS, "prompt", "seed", "sampler", "type", "orig_hash")


def put_prompt(draft: Draft, text: str) -> None:
    """Keeps the prompts of versions 1 and 2, where the negative one stands in brackets."""
    draft.put("prompt", NEGATIVE.sub("", text).strip())
    draft.put("negative_prompt", " ".join(NEGATIVE.findall(text)).strip())


def read_dream(text: str, draft: Draft) -> None:
    """Reads the command of version 1: "a cat" -s 50 -S 123 -W512 -H512 -C7.5 -A k_lms."""
    words = split_command(text)
    put_prompt(draft, words[0] if words else "")
    place = 1
    while place < len(words):
        option = OPTION.fullmatch(words[place])
        place += 1
        if not option:
            draft.leave(words[place - 1])
            continue
        letter, value = option[1], option[2]
        if not value and place < len(words) and not OPTION.fullmatch(words[place]):
            value, place = words[place], place + 1
        put_option(draft, letter, value)


def split_command(text: str) -> list[str]:
    """Splits a command at its blanks; a quote without its partner is a plain character."""
    with suppress(ValueError):
        return shlex.split(text)
    return text.split()


def put_option(draft: Draft, letter: str, value: str) -> None:
    """Keeps an option of the command."""
    if letter == "S":
        draft.put_seed(value, "-S")
    elif letter == "A":
        draft.put_sampler(value)
    elif letter in OPTIONS:
        draft.put(OPTIONS[letter], value, f"-{letter}")
    else:
        draft.leave(f"-{letter}", value or None)
