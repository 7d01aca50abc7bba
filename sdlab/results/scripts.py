"""A request for other programs: as a graph for ComfyUI, and as a script for diffusers.

Both say the whole request or are not written: what the other program would compute otherwise is
refused by name. A1111's text is in each picture (`sdlab.store.infotext`).
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from ..errors import FieldError
from ..models.calls import MAPPED
from ..models.model import Model
from ..models.resolve import Native, native, resolve
from ..models.rows import MODELS
from ..models.tasks import SIZES
from ..recipe.parts import read_loras
from ..recipe.prompts import parse_weights
from ..recipe.request import FIELDS, SPECS, Recipe, Request
from ..recipe.schedulers import INHERITED, parse_scheduler, write_a1111, write_inherited
from ..recipe.sizes import read_pair
from ..store.readers.comfyui import SCHEDULES

COMFY_SAMPLERS = {  # A1111's names: ComfyUI's, of samplers that compute alike
    "Euler": "euler",
    "Euler a": "euler_ancestral",
    "Heun": "heun",
    "DPM2": "dpm_2",
    "DPM2 a": "dpm_2_ancestral",
    "LMS": "lms",
    "DPM++ 2M": "dpmpp_2m",
    "DPM++ 2M SDE": "dpmpp_2m_sde",
    "DPM++ 3M SDE": "dpmpp_3m_sde",
    "DPM++ SDE": "dpmpp_sde",
    "DDIM": "ddim",
    "DDPM": "ddpm",
    "DEIS": "deis",
    "UniPC": "uni_pc_bh2",
    "LCM": "lcm",
}
COMFY_SCHEDULES = {theirs: ours for ours, theirs in SCHEDULES.items()}
SAID: tuple[str, ...] = (
    "prompt",
    "negative_prompt",
    "model",
    "seed",
    "guidance_scale",
    "num_inference_steps",
)
SAID += ("scheduler", "height", "width", "weights")  # by both
BY_COMFY = (*SAID, "clip_skip", "guidance_rescale", "prompt_syntax", "vae", "lora")
BY_SCRIPT = (*SAID, "eta", "guidance_rescale", *SIZES)
ESCAPED = str.maketrans({"\\": "\\\\", "(": "\\(", ")": "\\)"})


def write_comfyui_graph(request: Request) -> dict[str, Any]:
    """Writes a request as ComfyUI's graph, which its API takes: {"prompt": this}.

    Checkpoint, VAE and LoRAs go by their names here, which have to be files there. ComfyUI draws
    the same noise from the seed, and computes the rest its own way: it makes a similar picture.

    Raises
    ------
    FieldError
        There is a field that such a graph cannot say.

    Examples
    --------
    >>> json.dump({"prompt": write_comfyui_graph(Request(prompt="a cat"))}, file)  # doctest: +SKIP
    """
    recipe = require_sayable(request, BY_COMFY, "ComfyUI's graph")
    layout = native(recipe.model).layout
    if layout.call or layout.is_xl:  # SDXL's plain nodes tell other sizes than diffusers
        pipeline = layout.pipeline
        text = f"model={recipe.model!r} is a {pipeline}; a graph is written for v1 and v2 alone"
        raise FieldError(text, "model")
    graph = {
        "4": make_node("CheckpointLoaderSimple", ckpt_name=recipe.model),
        "5": make_node("EmptyLatentImage", width=recipe.width, height=recipe.height, batch_size=1),
    }
    model, clip, vae = ["4", 0], ["4", 1], ["4", 2]
    for n, lora in enumerate(read_loras(recipe.lora), 10):
        inputs = {"strength_model": lora.scale, "strength_clip": lora.scale}
        graph[f"{n}"] = make_node(
            "LoraLoader", lora_name=lora.path, **inputs, model=model, clip=clip
        )
        model, clip = [f"{n}", 0], [f"{n}", 1]
    if recipe.clip_skip:
        graph["90"] = make_node(
            "CLIPSetLastLayer", stop_at_clip_layer=-recipe.clip_skip - 1, clip=clip
        )
        clip = ["90", 0]
    if recipe.guidance_rescale:
        graph["91"] = make_node("RescaleCFG", multiplier=recipe.guidance_rescale, model=model)
        model = ["91", 0]
    if recipe.vae:
        graph["92"], vae = make_node("VAELoader", vae_name=recipe.vae), ["92", 0]
    texts = (write_comfy_prompt(recipe, name) for name in ("prompt", "negative_prompt"))
    graph["6"], graph["7"] = (make_node("CLIPTextEncode", text=text, clip=clip) for text in texts)
    graph["3"] = make_node("KSampler", **list_sampling(recipe), model=model)
    graph["8"] = make_node("VAEDecode", samples=["3", 0], vae=vae)
    graph["9"] = make_node("SaveImage", filename_prefix="sdlab", images=["8", 0])
    return graph


def make_node(kind: str, **inputs: Any) -> dict[str, Any]:
    """Makes a node of a graph; a list is a link to another."""
    return {"class_type": kind, "inputs": inputs}


def list_sampling(recipe: Recipe) -> dict[str, Any]:
    """Lists what ComfyUI's sampler is told of a recipe, or refuses its scheduler."""
    stated = native(recipe.model).layout.scheduler
    said = write_a1111(recipe.scheduler, write_inherited(recipe.scheduler, stated))
    sampler, schedule = said.pop("Sampler"), said.pop("Schedule type", "Uniform")
    if said or sampler not in COMFY_SAMPLERS or schedule not in COMFY_SCHEDULES:
        raise FieldError(
            f"scheduler={recipe.scheduler!r} has no like in ComfyUI; these have:"
            f" {', '.join(COMFY_SAMPLERS)}, with the schedules {', '.join(COMFY_SCHEDULES)}",
            "scheduler",
        )
    return {
        "seed": recipe.seed,
        "steps": recipe.num_inference_steps,
        "cfg": recipe.guidance_scale,
        "sampler_name": COMFY_SAMPLERS[sampler],
        "scheduler": COMFY_SCHEDULES[schedule],
        "denoise": 1.0,
        "positive": ["6", 0],
        "negative": ["7", 0],
        "latent_image": ["5", 0],
    }


def write_comfy_prompt(recipe: Recipe, name: str) -> str:
    """Writes a prompt in ComfyUI's syntax, where round brackets alone are weights."""
    text = getattr(recipe, name)
    weighted = "weights" in (recipe.prompt_syntax or "")
    pieces = parse_weights(text) if weighted else [(text, 1.0)]
    escaped = [(piece.translate(ESCAPED), weight) for piece, weight in pieces]
    return "".join(piece if weight == 1 else f"({piece}:{weight:g})" for piece, weight in escaped)


def require_sayable(request: Request, said: Collection[str], where: str) -> Recipe:
    """Resolves a request, and refuses it if it has a field beside those that can be said."""
    recipe = request if isinstance(request, Recipe) else resolve(request)
    for name in FIELDS:
        value = getattr(recipe, name)
        if name not in said and value not in (None, SPECS[name].neutral):
            raise FieldError(f"{where} cannot say {name}={value!r:.80}; leave it out", name)
    return recipe


# diffusers


def write_diffusers_script(request: Request) -> str:
    """Writes a request as a script that makes the same picture with diffusers alone.

    Equal but for rounding: it computes one picture at a time, in float32, on the processor.

    Raises
    ------
    FieldError
        There is a field that diffusers' own call cannot say, or computes otherwise.
    """
    recipe = resolve(request)
    own = native(recipe.model)
    if own.layout.call:
        return write_call_script(recipe, own)
    require_sayable(recipe, BY_SCRIPT, "diffusers' own call")
    if own.model.task != "txt2img":
        raise FieldError(f"model={recipe.model!r} does not begin with a text alone", "model")
    if recipe.guidance_scale < 1:
        text = f"guidance_scale={recipe.guidance_scale}: below 1 diffusers acts as if it were 1"
        raise FieldError(text, "guidance_scale")
    kind, options = parse_scheduler(recipe.scheduler)
    options |= {"skip_prk_steps": True} if kind == "PNDMScheduler" else {}
    stated = {name: value for name, value in own.layout.scheduler.items() if name in INHERITED}
    fields: dict[str, Any] = {
        name: getattr(recipe, name)
        for name in BY_SCRIPT
        if name not in ("model", "seed", "scheduler", "weights")
    }
    fields |= {name: read_pair(fields[name]) for name in SIZES if fields[name]}
    fields["negative_prompt"] = recipe.negative_prompt or None  # SDXL's zeros; the same elsewhere
    pipeline = own.layout.tasks[0].pipeline
    arguments = "".join(
        f"    {name}={value!r},\n" for name, value in fields.items() if value is not None
    )
    return (
        f"import torch\nfrom diffusers import {pipeline}, {kind}\n\n"
        f"# the weights {recipe.weights}\n"
        f"pipe = {pipeline}.{write_loading(recipe.model, own)}\n"
        f"pipe.scheduler = {kind}.from_config(\n    {stated!r},{write_options(options)}\n)\n"
        f"image = pipe(\n{arguments}"
        f'    generator=torch.Generator("cpu").manual_seed({recipe.seed}),\n).images[0]\n'
        'image.save("picture.png")\n'
    )


def write_call_script(recipe: Recipe, own: Native) -> str:
    """Writes the script of a model that runs in a pipeline of diffusers' own: its very call."""
    from ..render.stock import list_arguments

    require_sayable(recipe, (*MAPPED, *SAID, "options"), "diffusers' own call")
    call: Any = own.layout.call
    if recipe.scheduler != resolve(Request(model=recipe.model)).scheduler:
        text = f"scheduler={recipe.scheduler!r}: a script is written with the checkpoint's own"
        raise FieldError(text, "scheduler")
    given = list_arguments([recipe], call)
    arguments = "".join(
        f"    {name}={value!r},\n"
        for name, value in given.items()
        if name not in ("generator", "output_type")
    )
    row = MODELS.get(recipe.model)
    place = row.hub if isinstance(row, Model) and row.hub else str(own.model.place)
    no_mark = ", add_watermarker=False" * call.pipeline.startswith("StableDiffusionXL")
    return (
        f"import torch\nfrom diffusers import {call.pipeline}\n\n"
        f"# the weights {recipe.weights}\n"
        f"pipe = {call.pipeline}.from_pretrained({place!r}, dtype=torch.float32{no_mark})\n"
        f"image = pipe(\n{arguments}"
        f'    generator=torch.Generator("cpu").manual_seed({recipe.seed}),\n).images[0]\n'
        'image.save("picture.png")\n'
    )


def write_options(options: dict[str, Any]) -> str:
    """Writes a scheduler's options as further arguments."""
    return "".join(f"\n    {name}={value!r}," for name, value in options.items())


def write_loading(name: str, own: Native) -> str:
    """Writes how the weights are loaded: from the hub if they have a place there."""
    row, place = MODELS.get(name), Path(own.model.place)
    without = "add_watermarker=False" if own.layout.is_xl else "safety_checker=None"
    if isinstance(row, Model) and row.hub:
        return f"from_pretrained({row.hub!r}, {without})"
    way = "from_single_file" if place.is_file() else "from_pretrained"
    return f"{way}({str(place)!r}, {without})"
