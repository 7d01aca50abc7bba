"""ComfyUI: the recipe is read by walking back through the graph, from the picture on."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..png import replace_unprintable
from .draft import Draft, fit_real, fit_whole, load_object
from .graph import Graph, Link, Node, is_of_pictures, read_prompt, read_workflow

NAME = "ComfyUI"
SCHEDULES = {  # its names: A1111's
    "normal": "Uniform",
    "karras": "Karras",
    "exponential": "Exponential",
    "sgm_uniform": "SGM Uniform",
    "beta": "Beta",
}
SAMPLERS = {"uni_pc": "UniPC(solver_type='bh1')", "uni_pc_bh2": "UniPC"}
RANDOM = re.compile(r"ancestral|sde|ddpm|lcm")  # samplers that draw noise in their steps
PLAIN = re.compile(r"VAE(?:Decode|Encode)\w*|Save\w*|Preview\w*|Empty\w*|LoadImage|\w*Sampler\w*")
FIRST = ("steps", "num_inference_steps")
TEXTS = ("text", "text_g", "text_l", "clip_l", "t5xxl", "prompt")
OF_SIGMAS = ("steps", "scheduler", "denoise", "model")
SIGMAS = {"sigma_max": 14.614642, "sigma_min": 0.0291675, "rho": 7.0}  # its nodes' own, those of SD
ZERO = "ConditioningZeroOut"
SCALES = (("strength_model", "strength_clip"), ("lora_model_strength", "lora_clip_strength"))
STACKED: tuple[
    tuple[str, tuple[str, ...], str], ...
] = (  # names of the LoRAs in stacks, of their scales, and of switches
    ("lora_name_{}", ("model_str_{}", "lora_wt_{}", "model_weight_{}"), "switch_{}"),
    ("lora_0{}", ("strength_0{}",), ""),
)


def recognizes(named: Mapping[str, str]) -> bool:
    """Tells ComfyUI's graphs."""
    return '"class_type"' in named.get("prompt", "") or '"nodes"' in named.get("workflow", "")


def read(named: Mapping[str, str], draft: Draft) -> None:
    """Reads `prompt`, which says what was run, else `workflow`, as the editor showed it."""
    draft.source = NAME
    if '"class_type"' in named.get("prompt", ""):
        graph = read_prompt(load_object(named["prompt"]))
    else:
        graph = read_workflow(load_object(named["workflow"]))
    outputs, sampler = find_sampler(graph, named.get("file", ""), draft)
    if sampler is None:
        return
    put_vae(graph, outputs, draft)
    put_sampling(graph, sampler, draft)
    put_start(graph, sampler, draft)
    texts = put_prompts(graph, sampler, draft)
    put_model(graph, sampler, texts, draft)
    draft.read_syntax()
    if "weights" in draft.fields.get("prompt_syntax", ""):
        draft.leave("weights in the prompt, as ComfyUI computes them")
    draft.leave_all({"made by nodes of unknown meaning": ", ".join(graph.unknown)})


def is_sampler(node: Node) -> bool:
    """Tells a node that denoises latents."""
    return (
        "sampler" in node.kind.lower()
        and not node.inputs.keys().isdisjoint(("seed", "noise_seed", "noise"))
        and not node.inputs.keys().isdisjoint(("latent_image", "latent", "samples"))
    )


def find_sampler(graph: Graph, file: str, draft: Draft) -> tuple[list[Node], Node | None]:
    """Finds (the nodes that may have saved the picture, the sampler that began it)."""
    outputs = find_outputs(graph, file)
    ways = [graph.walk(output) for output in outputs]
    nodes = (node for way in ways or [[*graph.nodes.values()]] for node in way)
    begun = {node.name: node for node in nodes if is_sampler(node) and begins(graph, node)}
    if len(begun) != 1:
        several = f"{len(begun)} samplers, and nothing tells which made this picture"
        draft.leave(several if begun else "a graph in which no sampler is found")
        return [], None
    first = next(iter(begun.values()))
    note_ways(graph, ways, first, draft)
    return [way[0] for way in ways if any(node is first for node in way)], first


def begins(graph: Graph, sampler: Node) -> bool:
    """Tells whether no other sampler comes before this one."""
    return not any(map(is_sampler, graph.walk(sampler)[1:]))


def note_ways(graph: Graph, ways: list[list[Node]], first: Node, draft: Draft) -> None:
    """Says what was done after the first sampler, on each way to what may be this picture."""
    before = {node.name for node in graph.walk(first)}
    found: list[set[str] | None] = []
    for way in ways:
        if not any(node is first for node in way):
            found.append(None)
            draft.leave("an output without the sampler")
            continue
        rest = (node for node in way if node.name not in before)
        done = [node for node in rest if is_sampler(node) or not PLAIN.fullmatch(node.kind)]
        found.append({node.name for node in done})
        for node in done:
            note_step(graph, node, draft)
    if any(names != found[0] for names in found):
        draft.leave(f"{len(ways)} outputs, and nothing tells which saved this picture")


def note_step(graph: Graph, node: Node, draft: Draft) -> None:
    """Says what a node did after the first sampler."""
    if is_sampler(node):
        draft.leave("a further pass", describe_pass(graph, node))
    else:
        draft.leave("then", node.kind)


def find_outputs(graph: Graph, file: str) -> list[Node]:
    """Finds the nodes that may have saved this file: by its name, else all; else previews."""
    for word in ("save", "preview"):
        found = [
            node
            for node in graph.nodes.values()
            if word in node.kind.lower() and any(map(is_of_pictures, node.links))
        ]
        named = [node for node in found if begins_like(node, file)]
        if found:
            return named if len(named) == 1 else found
    return []


def begins_like(node: Node, file: str) -> bool:
    """Tells whether a node gives its files names like this."""
    prefix = node.inputs.get("filename_prefix")
    if not isinstance(prefix, str):
        return False
    begin = os.path.basename(prefix.replace("\\", "/")) + "_"
    return file.startswith(begin) and file[len(begin) : len(begin) + 1].isdecimal()


def describe_pass(graph: Graph, node: Node) -> str:
    """Says in short what a further sampler does."""
    parts = (
        f"{name} {graph.value(node, name)}" for name in ("steps", "denoise") if name in node.inputs
    )
    return " ".join([node.kind, *parts])


# How it is denoised


def put_sampling(graph: Graph, sampler: Node, draft: Draft) -> None:
    """Keeps seed, steps, guidance and sampler, which newer graphs spread over several nodes."""
    noise = graph.node(sampler, "noise") or sampler
    seed = next(
        (graph.value(noise, name) for name in ("noise_seed", "seed") if name in noise.inputs), None
    )
    draft.put_seed(seed)
    guider = graph.node(sampler, "guider") or sampler
    if "cfg" in guider.inputs:
        draft.put("guidance_scale", graph.value(guider, "cfg"), "cfg")
    elif "Basic" in guider.kind:
        draft.put("guidance_scale", 1.0)
    elif guider is not sampler:
        draft.leave("guider", guider.kind)
    sigmas = find_sigmas(graph, sampler, draft)
    draft.put("num_inference_steps", graph.value(sigmas, "steps"), "steps")
    schedule = graph.value(sigmas, "scheduler") or sigmas.kind.removesuffix("Scheduler").lower()
    kind = graph.node(sampler, "sampler")
    name = graph.value(kind, "sampler_name") if kind else graph.value(sampler, "sampler_name")
    if kind and not name:
        draft.leave("sampler", kind.kind)
    if sigmas is not sampler:
        note_sigmas(graph, sigmas, draft)
    given = str(schedule) if sigmas is not sampler or "scheduler" in sampler.inputs else None
    put_comfy_sampler(draft, name, SCHEDULES.get(given or "", given))
    put_share(graph, sampler, sigmas, draft)


def find_sigmas(graph: Graph, sampler: Node, draft: Draft) -> Node:
    """Finds the node that makes the noise levels, and says which change them on their way."""
    found, seen = graph.node(sampler, "sigmas"), set[str]()
    while found and "sigmas" in found.links and found.name not in seen:
        seen.add(found.name)
        given = (f"{name} {value}" for name, value in found.values.items())
        draft.leave("sigmas", " ".join([found.kind, *given]))
        found = graph.node(found, "sigmas")
    return found or sampler


def note_sigmas(graph: Graph, node: Node, draft: Draft) -> None:
    """Says what else forms the noise levels; where they begin and end is the schedule's own."""
    others = {name: graph.value(node, name) for name in node.inputs if name not in OF_SIGMAS}
    draft.leave_all({n: v for n, v in others.items() if v != SIGMAS.get(n)})


def put_share(graph: Graph, sampler: Node, sigmas: Node, draft: Draft) -> None:
    """Keeps how much is denoised: it counts the steps that are computed, and diffusers all."""
    denoise = fit_real(graph.value(sigmas, "denoise"))
    if denoise is not None and denoise != 1:
        draft.put("strength", denoise)
        draft.leave("denoise", f"{denoise:g}, all steps of which are computed")
    steps = fit_whole(graph.value(sampler, "steps"))
    for name, whole in (("start_at_step", 0), ("end_at_step", steps)):
        said = fit_whole(graph.value(sampler, name))
        if said is not None and whole is not None and (said > 0 if not whole else said < whole):
            draft.leave(name, said)
    if graph.value(sampler, "add_noise") in ("disable", False):
        draft.leave("add_noise", "disable")


def put_comfy_sampler(draft: Draft, name: Any, schedule: Any) -> None:
    """Keeps a sampler by ComfyUI's name, which SwarmUI and Fooocus have too."""
    if not isinstance(name, str):
        return
    plain = name.removesuffix("_gpu")
    draft.put_sampler(SAMPLERS.get(plain, plain), schedule)
    if plain != name or RANDOM.search(name):
        draft.leave("noise within the steps, made as by ComfyUI")


# Where it starts


def put_start(graph: Graph, sampler: Node, draft: Draft) -> None:
    """Keeps the size of an empty latent, or says which picture it began with."""
    name = next((n for n in ("latent_image", "latent", "samples") if n in sampler.inputs), "")
    for node in graph.walk(sampler):
        if node is sampler:
            continue
        prefix = "empty_latent_" if "empty_latent_width" in node.inputs else ""
        if f"{prefix}width" in node.inputs and (
            "batch_size" in node.inputs or "Empty" in node.kind
        ):
            put_empty(graph, node, prefix, draft)
            return
        if "image" in node.inputs and "Load" in node.kind:
            draft.leave("begins with the picture", node.inputs["image"])
            return
        if not PLAIN.fullmatch(node.kind):
            draft.leave("before", node.kind)
    draft.leave("begins with", f"{name} of unknown origin")


def put_empty(graph: Graph, node: Node, prefix: str, draft: Draft) -> None:
    """Keeps the size of an empty latent; of a batch the seed does not tell which picture it is."""
    for name in ("width", "height"):
        draft.put(name, graph.value(node, prefix + name))
    size = fit_whole(graph.value(node, "batch_size")) or 1
    if size > 1:
        draft.leave("batch_size", f"{size}, in which the seed is that of the batch")


# What it is to show


def put_prompts(graph: Graph, sampler: Node, draft: Draft) -> Node | None:
    """Keeps the prompts; gives the node that encoded the first, for its text encoder."""
    guider = graph.node(sampler, "guider") or sampler
    first: Node | None = None
    sides = (("positive", "prompt"), ("negative", "negative_prompt"))
    for side, ours in sides:
        link = guider.inputs.get(side)
        if side == "positive" and link is None:
            link = guider.inputs.get("conditioning", sampler.inputs.get("sdxl_tuple"))
        elif side == "negative" and link is None:
            link = sampler.inputs.get("sdxl_tuple")
        texts: list[str] = []
        for node, found in list_texts(graph, link, side, draft):
            first = first or (node if side == "positive" else None)
            texts += [text for text in found if text not in texts]
        if texts:
            draft.fields[ours] = replace_unprintable(", ".join(texts))
        if len(texts) > 1:
            draft.leave(ours, f"{len(texts)} texts that are encoded apart")
    return first


def list_texts(
    graph: Graph, link: Any, side: str, draft: Draft
) -> Iterator[tuple[Node, list[str]]]:
    """Lists the nodes that encode texts for one side, with these texts."""
    seen, waiting = set[str](), [link]
    while waiting:
        found = graph.follow(waiting.pop(0))
        if not found or found[0].name in seen:
            continue
        node = found[0]
        seen.add(node.name)
        own = node.inputs.get(side)
        names = [name for name in TEXTS if name in node.inputs] if "clip" in node.inputs else ()
        if isinstance(own, str) or (own is not None and "ckpt_name" in node.inputs):
            yield node, keep_texts([graph.value(node, side)])
        elif names:
            yield node, keep_texts([graph.value(node, name) for name in names])
            draft.put_distilled(graph.value(node, "guidance"), "guidance")
            if any(map(is_of_pictures, node.links)):  # a model that edits reads pictures, too
                draft.leave("conditioning", f"a picture in {node.kind}")
        else:
            waiting += step_back(node, side)
            note_conditioning(graph, node, draft)


def keep_texts(found: list[Any]) -> list[str]:
    """Keeps what is text, each once."""
    return list(dict.fromkeys(text for text in found if isinstance(text, str)))


def step_back(node: Node, side: str) -> list[Link]:
    """Lists the links by which a node was given its conditioning."""
    if isinstance(node.inputs.get(side), Link):
        return [node.inputs[side]]
    if node.kind == ZERO:
        return []
    return [link for name, link in node.links.items() if name.startswith("conditioning")]


def note_conditioning(graph: Graph, node: Node, draft: Draft) -> None:
    """Says what is done to an encoded prompt."""
    if node.kind != "FluxGuidance":
        draft.leave("conditioning", node.kind)
    draft.put_distilled(graph.value(node, "guidance"), "guidance")


# By which weights


def put_model(graph: Graph, sampler: Node, encoder: Node | None, draft: Draft) -> None:
    """Keeps the checkpoint, and what is put into it on the way to the sampler."""
    guider = graph.node(sampler, "guider") or sampler
    link = guider.inputs.get("model", sampler.inputs.get("model", sampler.inputs.get("sdxl_tuple")))
    found, seen, stacks = graph.follow(link), set[str](), list[list[tuple[Any, Any]]]()
    while found and found[0].name not in seen:
        node = found[0]
        seen.add(node.name)
        name = next(
            (n for n in ("ckpt_name", "unet_name", "base_ckpt_name") if n in node.inputs), ""
        )
        stacks.append(list_loras(graph, node, draft))
        if name:
            put_loader(graph, node, name, draft)
            break
        note_patch(graph, node, bool(stacks[-1]), draft)
        found = graph.follow(node.inputs.get("model"))
    if "model" not in draft.fields:
        draft.leave("model", "not found in the graph")
    for lora in (each for stack in reversed(stacks) for each in stack):
        draft.put_lora(*lora)
    put_clip_skip(graph, encoder, draft)


def put_loader(graph: Graph, node: Node, name: str, draft: Draft) -> None:
    """Keeps what a loader says: the checkpoint, and in an efficient one much else."""
    draft.put_model(graph.value(node, name), name)
    if (number := graph.value(node, "weight_dtype")) != "default":
        draft.leave_all({"weight_dtype": number})
    if "vae" not in draft.fields:
        draft.put_vae(graph.value(node, "vae_name"))
    skip = fit_whole(graph.value(node, "clip_skip"))
    if skip is not None:
        draft.put("clip_skip", max(abs(skip) - 1, 0))


def note_patch(graph: Graph, node: Node, is_lora: bool, draft: Draft) -> None:
    """Says what else changes the model; a rescaled guidance is a field of ours."""
    if node.kind == "RescaleCFG":
        draft.put("guidance_rescale", graph.value(node, "multiplier"))
    elif not is_lora:
        draft.leave("model", node.kind)


def list_loras(graph: Graph, node: Node, draft: Draft) -> list[tuple[Any, Any]]:
    """Lists the LoRAs that a node puts into the model, in the order in which they act."""
    found: list[tuple[Any, Any]] = []
    stack = graph.node(node, "lora_stack")
    seen = {node.name}
    while stack and stack.name not in seen:
        seen.add(stack.name)
        found = [*list_own_loras(graph, stack, draft), *found]
        stack = graph.node(stack, "lora_stack")
    return [*found, *list_own_loras(graph, node, draft)]


def list_own_loras(graph: Graph, node: Node, draft: Draft) -> list[tuple[Any, Any]]:
    """Lists the LoRAs that a node names itself, alone, numbered, or as objects."""
    found: list[tuple[Any, Any]] = []
    if not any("lora" in name for name in node.inputs):
        return found
    if "lora_name" in node.inputs:
        both = next((pair for pair in SCALES if pair[0] in node.inputs), SCALES[0])
        model, clip = (graph.value(node, name) for name in both)
        found.append((graph.value(node, "lora_name"), model))
        if clip not in (None, model) and found[0][0] != "None":
            draft.leave("LoRA", f"{found[0][0]} acts on the text encoder by {clip}")
    count = fit_whole(graph.value(node, "lora_count"))
    for name, scales, switch in STACKED:
        for n in range(1, min(50 if count is None else count, 50) + 1):
            if name.format(n) in node.inputs and node.inputs.get(switch.format(n)) != "Off":
                given = (graph.value(node, scale.format(n)) for scale in order_scales(node, scales))
                found.append((graph.value(node, name.format(n)), next(given, 1.0)))
    for value in node.inputs.values():  # of rgthree
        if isinstance(value, dict) and "lora" in value and value.get("on", True):
            found.append((value["lora"], value.get("strength", 1.0)))
    return found


def order_scales(node: Node, scales: tuple[str, ...]) -> Iterator[str]:
    """Lists the names of the scales that a stack goes by; a simple one has one for both."""
    simple = node.inputs.get("input_mode") != "advanced"
    first = [s for s in scales if s.startswith("lora_wt")] if simple else []
    names = [*first, *(scale for scale in scales if scale not in first)]
    yield from (name for name in names if any(name.format(n) in node.inputs for n in range(1, 51)))


def put_clip_skip(graph: Graph, encoder: Node | None, draft: Draft) -> None:
    """Keeps how many layers of the text encoder are left out."""
    found, seen = graph.follow(encoder.inputs.get("clip")) if encoder else None, set[str]()
    while found and found[0].name not in seen:
        node = found[0]
        seen.add(node.name)
        if "stop_at_clip_layer" in node.inputs:
            last = fit_whole(graph.value(node, "stop_at_clip_layer"))
            if last is not None:
                draft.put("clip_skip", max(-last - 1, 0))
            return
        found = graph.follow(node.inputs.get("clip"))


def put_vae(graph: Graph, outputs: list[Node], draft: Draft) -> None:
    """Keeps the VAE that decoded the picture, if it is not the checkpoint's."""
    names = [find_vae(graph, output) for output in outputs]
    if names and all(name == names[0] for name in names):
        draft.put_vae(names[0])
    elif names:
        draft.leave("vae", "of several nothing tells which decoded this picture")


def find_vae(graph: Graph, output: Node) -> Any:
    """Finds the name of the VAE behind an output; None if it is the checkpoint's."""
    for node in graph.walk(output):
        if is_sampler(node) and "optional_vae" not in node.inputs:
            return None
        found = graph.node(node, "vae") or graph.node(node, "optional_vae")
        if found:
            return graph.value(found, "vae_name") if "vae_name" in found.inputs else None
    return None
