"""ComfyUI's graphs: nodes with inputs, of the text `prompt` or of what the editor saves."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

MOST_NODES = 20_000
MOST_STEPS, DEEPEST = 1_000, 50  # from node to node for all values together, and on one way
LONGEST = 100_000  # characters of a text that nodes join
SEEDS = ("seed", "noise_seed")
CONTROL = ("fixed", "randomize", "increment", "decrement")  # stands behind a seed in the editor
MUTED, BYPASSED = (2,), (4,)  # modes of the editor's nodes
WIDGETS = {  # the names of the values that the editor saves in order, of nodes before 2025
    "KSampler": ("seed", "steps", "cfg", "sampler_name", "scheduler", "denoise"),
    "KSamplerAdvanced": (
        *("add_noise", "noise_seed", "steps", "cfg", "sampler_name", "scheduler"),
        *("start_at_step", "end_at_step", "return_with_leftover_noise"),
    ),
    "KSampler (Efficient)": (
        *("seed", "steps", "cfg", "sampler_name", "scheduler", "denoise"),
        *("preview_method", "vae_decode"),
    ),
    "SamplerCustom": ("add_noise", "noise_seed", "cfg"),
    "RandomNoise": ("noise_seed",),
    "CFGGuider": ("cfg",),
    "KSamplerSelect": ("sampler_name",),
    "BasicScheduler": ("scheduler", "steps", "denoise"),
    "KarrasScheduler": ("steps", "sigma_max", "sigma_min", "rho"),
    "ExponentialScheduler": ("steps", "sigma_max", "sigma_min"),
    "CLIPTextEncode": ("text",),
    "CLIPTextEncodeSDXL": (
        *("width", "height", "crop_w", "crop_h", "target_width", "target_height"),
        *("text_g", "text_l"),
    ),
    "CLIPTextEncodeFlux": ("clip_l", "t5xxl", "guidance"),
    "FluxGuidance": ("guidance",),
    "CLIPSetLastLayer": ("stop_at_clip_layer",),
    "CheckpointLoaderSimple": ("ckpt_name",),
    "CheckpointLoader": ("config_name", "ckpt_name"),
    "UNETLoader": ("unet_name", "weight_dtype"),
    "UnetLoaderGGUF": ("unet_name",),
    "VAELoader": ("vae_name",),
    "LoraLoader": ("lora_name", "strength_model", "strength_clip"),
    "LoraLoaderModelOnly": ("lora_name", "strength_model"),
    "EmptyLatentImage": ("width", "height", "batch_size"),
    "EmptySD3LatentImage": ("width", "height", "batch_size"),
    "RescaleCFG": ("multiplier",),
    "LoadImage": ("image",),
    "SaveImage": ("filename_prefix",),
    "ControlNetLoader": ("control_net_name",),
    "StringConcatenate": ("string_a", "string_b", "delimiter"),
    "Efficient Loader": (
        *("ckpt_name", "vae_name", "clip_skip", "lora_name", "lora_model_strength"),
        *("lora_clip_strength", "positive", "negative", "token_normalization"),
        *("weight_interpretation", "empty_latent_width", "empty_latent_height", "batch_size"),
    ),
}
PASSES = ("Reroute", "Reroute (rgthree)", "ShowText|pysssys", "PreviewAny", "Display Any (rgthree)")
HANDING = {*PASSES, "GetNode"}
PICTURES = re.compile(
    r"(?:optional_)?(?:images?|samples|latents?|latent_image|pixels|source)[_\d]*"
)
DELIMITERS = ("delimiter", "separator", "seperator")
JOINS = re.compile(r"concat|join", re.IGNORECASE)
TEXT = re.compile(r"(?:text|string|str|prompt)[_ ]?(?:[a-h]|\d{1,2})?", re.IGNORECASE)
IGNORED = ("clean_whitespace", "speak_and_recognation", "control_after_generate", "inputcount")
POPULATED = "populated_text"  # of wildcards: what was put in their places


@functools.lru_cache(10_000)
def is_of_pictures(name: str) -> bool:
    """Tells an input that takes pictures or latents."""
    return PICTURES.fullmatch(name) is not None


class Link(NamedTuple):
    """Where an input comes from."""

    node: str
    slot: int


@dataclass
class Node:
    """A node: what it is called, and its inputs, values or links."""

    name: str
    kind: str
    inputs: dict[str, Any] = field(default_factory=dict)
    passes: tuple[Any, tuple[Any, ...]] | None = None  # of a bypassed one: types in and out
    links: dict[str, Link] = field(init=False)  # its inputs that come from other nodes

    def __post_init__(self) -> None:
        self.links = {name: value for name, value in self.inputs.items() if type(value) is Link}

    @cached_property
    def values(self) -> dict[str, Any]:
        """Its own values."""
        return {
            name: value
            for name, value in self.inputs.items()
            if not isinstance(value, Link) and name not in IGNORED
        }


class Graph:
    """The nodes by their names, and ways from one to another that end even in a circle."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self.nodes = {node.name: node for node in nodes}
        self.steps = 0
        self.ways: dict[str, list[Node]] = {}
        self.unknown: dict[str, None] = {}  # kinds that make a value nobody can tell

    def follow(self, link: Any) -> tuple[Node, int] | None:
        """Finds the node that a link leads to, past those that only hand on."""
        near = self.nodes.get(link.node) if isinstance(link, Link) else None
        if near and near.kind not in HANDING and not near.passes:  # nearly all
            return near, link.slot
        seen = set()
        while isinstance(link, Link) and link not in seen and link.node in self.nodes:
            seen.add(link)
            node = self.nodes[link.node]
            if node.passes:
                link = pass_by(node, link.slot)
            elif node.kind in PASSES:
                link = next(iter(node.links.values()), None)
            elif node.kind == "GetNode":
                link = self.find_set(node)
            else:
                return node, link.slot
        return None

    def find_set(self, getter: Node) -> Any:
        """Finds what is put under the name by which a GetNode asks for it."""
        name = list(getter.values.values())
        setters = (node for node in self.nodes.values() if node.kind == "SetNode")
        setter = next(
            (node for node in setters if list(node.values.values())[:1] == name[:1]), None
        )
        return next(iter(setter.links.values()), None) if setter else None

    def walk(self, node: Node) -> list[Node]:
        """Lists the node and all whose pictures or latents it was made of, the nearest first."""
        if node.name not in self.ways:
            seen, way = {node.name}, [node]
            for here in way:
                for name, link in here.links.items():
                    found = self.follow(link) if is_of_pictures(name) else None
                    if found and found[0].name not in seen:
                        seen.add(found[0].name)
                        way.append(found[0])
            self.ways[node.name] = way
        return self.ways[node.name]

    def node(self, node: Node, name: str) -> Node | None:
        """Finds the node behind an input."""
        found = self.follow(node.inputs.get(name))
        return found[0] if found else None

    def value(self, node: Node | None, name: str) -> Any:
        """Finds an input's value, its own or that of a node that holds one."""
        value = node.inputs.get(name) if node else None
        return self.resolve(value, 0) if type(value) is Link else value

    def resolve(self, value: Any, depth: int) -> Any:
        """Finds the value behind a link; None, and the kind is noted, where it cannot be told."""
        if not isinstance(value, Link):
            return value
        found, self.steps = self.follow(value), self.steps + 1
        if not found:
            return None
        node = found[0]
        if depth > DEEPEST or self.steps > MOST_STEPS:
            self.unknown[node.kind] = None
            return None
        if POPULATED in node.inputs:
            return self.resolve(node.inputs[POPULATED], depth + 1)
        if JOINS.search(node.kind):
            joined = self.join(node, depth + 1)
            if joined is not None:
                return joined
        elif len(node.values) == 1 and not node.links:
            return next(iter(node.values.values()))
        self.unknown[node.kind] = None
        return None

    def join(self, node: Node, depth: int) -> str | None:
        """Joins the texts of a node that does nothing else; None if it may do more."""
        texts = [name for name in node.inputs if TEXT.fullmatch(name)]
        marks = [name for name in node.inputs if name in DELIMITERS]
        if not texts or len(marks) > 1 or set(node.values) - {*texts, *marks}:
            return None
        mark = self.resolve(node.inputs[marks[0]], depth) if marks else ""
        found = [self.resolve(node.inputs[name], depth) for name in texts]
        if not all(isinstance(text, str) for text in (mark, *found)):
            return None
        if sum(map(len, found)) > LONGEST:
            return None
        cleaned = str(node.inputs.get("clean_whitespace", "")).lower() == "true"
        parts = [text.strip() for text in found if text.strip()] if cleaned else found
        return mark.replace("\\n", "\n").join(parts)


def pass_by(node: Node, slot: int) -> Any:
    """Finds the input that a bypassed node hands on in place of an output."""
    types, outputs = node.passes or ({}, ())
    wanted = outputs[slot] if slot < len(outputs) else None
    return next((node.links[name] for name, kind in types.items() if kind == wanted), None)


def read_prompt(said: Mapping[str, Any]) -> Graph:
    """Reads the text `prompt`: {name: {"class_type": kind, "inputs": {...}}}."""
    nodes = []
    for name, node in list(said.items())[:MOST_NODES]:
        if not isinstance(node, dict) or not isinstance(node.get("class_type"), str):
            continue
        inputs = node.get("inputs")
        inputs = inputs if isinstance(inputs, dict) else {}
        read = {k: read_link(v, said) if type(v) is list else v for k, v in inputs.items()}
        nodes.append(Node(name, node["class_type"], read))
    return Graph(nodes)


def read_link(value: list[Any], said: Mapping[str, Any]) -> Any:
    """Reads ["4", 0] as a link, if there is such a node."""
    if len(value) == 2 and type(value[1]) is int:
        name = str(value[0])
        if name in said:
            return Link(name, value[1])
    return value


def read_workflow(said: Mapping[str, Any]) -> Graph:
    """Reads what the editor saves: nodes with links by number, and values in order."""
    listed, links = said.get("nodes"), said.get("links")
    found = dict(map(read_edge, links)) if isinstance(links, list) else {}
    nodes = []
    for node in listed[:MOST_NODES] if isinstance(listed, list) else ():
        if isinstance(node, dict) and node.get("mode") not in MUTED:
            nodes.append(read_editor_node(node, found))
    return Graph(nodes)


def read_edge(edge: Any) -> tuple[Any, Link | None]:
    """Reads a link's number and where it begins; the editor has two ways to write it."""
    if isinstance(edge, dict):
        edge = [edge.get(name) for name in ("id", "origin_id", "origin_slot")]
    if isinstance(edge, list) and len(edge) >= 3 and type(edge[0]) is type(edge[2]) is int:
        return edge[0], Link(str(edge[1]), edge[2])
    return None, None


def read_editor_node(node: Mapping[str, Any], found: Mapping[Any, Link | None]) -> Node:
    """Reads a node of the editor."""
    kind, given = str(node.get("type")), node.get("inputs")
    slots = [slot for slot in given if isinstance(slot, dict)] if isinstance(given, list) else []
    values = node.get("widgets_values")
    if isinstance(values, dict):
        inputs = {str(name): value for name, value in values.items()}
    else:
        named = [str(slot.get("name")) for slot in slots if "widget" in slot]
        inputs = name_values(kind, values if isinstance(values, list) else [], named)
    for slot in slots:
        link = slot.get("link")
        if type(link) is int and found.get(link):
            inputs[str(slot.get("name"))] = found[link]
    made = Node(str(node.get("id")), kind, inputs)
    if node.get("mode") in BYPASSED:
        outputs = node.get("outputs")
        outputs = outputs if isinstance(outputs, list) else []
        kinds = tuple(out.get("type") for out in outputs if isinstance(out, dict))
        made.passes = {str(s.get("name")): s.get("type") for s in slots if s.get("link")}, kinds
    return made


def name_values(kind: str, values: list[Any], named: list[str]) -> dict[str, Any]:
    """Names the values of a node; those of an unknown one are one value, or nothing."""
    if kind not in WIDGETS and not named:
        first = kind in ("PrimitiveNode", "GetNode", "SetNode")
        return {"value": values[0]} if values and (first or len(values) == 1) else {}
    names, out = list(WIDGETS.get(kind, named)), dict[str, Any]()
    for value in values:
        if value in CONTROL and out and next(reversed(out)) in SEEDS:
            continue
        if not names:
            break
        out[names.pop(0)] = value
    return out


def list_subgraphs(said: Mapping[str, Any]) -> str:
    """Lists the names of an editor's subgraphs, which stand in `prompt` as plain nodes "12:3"."""
    definitions = said.get("definitions")
    found = definitions.get("subgraphs") if isinstance(definitions, dict) else None
    listed = found if isinstance(found, list) else []
    return ", ".join(str(each.get("name")) for each in listed if isinstance(each, dict))
