"""ComfyUI's graphs: nodes with inputs, of the text `prompt` or of what the editor saves."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple

from .draft import load_json

MOST_NODES = 20_000
MOST_STEPS, DEEPEST = 1_000, 50  # from node to node for all values together, and on one way
LONGEST = 100_000  # characters of a text that nodes join
SEEDS = ("seed", "noise_seed")
CONTROL = ("fixed", "randomize", "increment", "decrement")  # stands behind a seed in the editor
MUTED, BYPASSED = (2,), (4,)  # modes of the editor's nodes
INSIDE, OUTSIDE = "-10", "-20"  # nodes in a subgraph that stand for its inputs and its outputs
HERE = "-1"  # a subgraph itself, among the nodes whose values it shows
EDGE = ("id", "origin_id", "origin_slot", "target_id", "target_slot")
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
    hands: dict[int, Any] | None = None  # of one that stands for a subgraph: its outputs
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
        if (
            near and near.kind not in HANDING and not near.passes and near.hands is None
        ):  # nearly all
            return near, link.slot
        end = self.hand_on(link)
        return (self.nodes[end.node], end.slot) if isinstance(end, Link) else None

    def hand_on(self, link: Any) -> Any:
        """Gives the link to the node that makes something; a plain value if none does, or None."""
        seen = set()
        while isinstance(link, Link):
            if link in seen or link.node not in self.nodes:
                return None
            seen.add(link)
            node = self.nodes[link.node]
            if node.passes:
                link = pass_by(node, link.slot)
            elif node.hands is not None:
                link = node.hands.get(link.slot)
            elif node.kind in PASSES:
                link = next(iter(node.links.values()), node.inputs.get(""))
            elif node.kind == "GetNode":
                link = self.find_set(node)
            else:
                return link
        return link

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
                    if not is_of_pictures(name):
                        continue
                    found = self.follow(link)
                    if found and found[0].name not in seen:
                        seen.add(found[0].name)
                        way.append(found[0])
            self.ways[node.name] = way
        return self.ways[node.name]

    def node(self, node: Node, name: str) -> Node | None:
        """Finds the node behind an input."""
        found = self.follow(node.links[name]) if name in node.links else None
        return found[0] if found else None

    def value(self, node: Node | None, name: str) -> Any:
        """Finds an input's value, its own or that of a node that holds one."""
        value = node.inputs.get(name) if node else None
        return self.resolve(value, 0) if type(value) is Link else value

    def resolve(self, value: Any, depth: int) -> Any:
        """Finds the value behind a link; None, and the kind is noted, where it cannot be told."""
        if not isinstance(value, Link):
            return value
        end, self.steps = self.hand_on(value), self.steps + 1
        if not isinstance(end, Link):  # a subgraph may hand on what its node is given
            return self.note_nothing(value) if end is None else end
        node = self.nodes[end.node]
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

    def note_nothing(self, link: Link) -> None:
        """Notes that a subgraph hands on nothing; other links may lead to nowhere."""
        node = self.nodes.get(link.node)
        if node and node.hands is not None:
            self.unknown["a subgraph that hands on nothing"] = None

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
    for name, node in itertools.islice(said.items(), MOST_NODES):
        if not isinstance(node, dict) or not isinstance(node.get("class_type"), str):
            continue
        inputs = node.get("inputs")
        inputs = inputs if isinstance(inputs, dict) else {}
        for key, value in inputs.items():
            is_pair = type(value) is list and len(value) == 2 and type(value[1]) is int
            if is_pair and (origin := str(value[0])) in said:  # ["4", 0]
                inputs[key] = Link(origin, value[1])
        nodes.append(Node(name, node["class_type"], inputs))
    return Graph(nodes)


def read_workflow(said: Mapping[str, Any]) -> Graph:
    """Reads what the editor saves: nodes with links by number, and values in order.

    What is in a subgraph is read as often as a node stands for it, and named as in `prompt`: "12:3"
    is node 3 within node 12.
    """
    definitions = said.get("definitions")
    found = definitions.get("subgraphs") if isinstance(definitions, dict) else None
    listed = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    graph = Graph(())
    add_nodes(graph, read_part(said), {str(each.get("id")): read_part(each) for each in listed})
    return graph


class Part(NamedTuple):
    """The whole that the editor saves, or a subgraph: links begin and end at its inputs too."""

    name: str
    nodes: list[Any]
    edges: dict[Any, Link]  # by their numbers
    inputs: list[str]
    ends: dict[int, Link]  # what its outputs come from


def read_part(said: Mapping[str, Any]) -> Part:
    """Reads links, which the editor has two ways to write."""
    nodes, links, given = (
        found if isinstance(found := said.get(name), list) else []
        for name in ("nodes", "links", "inputs")
    )
    edges, ends = dict[Any, Link](), dict[int, Link]()
    for edge in links:
        if isinstance(edge, dict):
            edge = [edge.get(name) for name in EDGE]
        if not isinstance(edge, list) or len(edge) < 5 or type(edge[2]) is not int:
            continue
        link = Link(str(edge[1]), edge[2])
        if type(edge[0]) is int:
            edges[edge[0]] = link
        if str(edge[3]) == OUTSIDE and type(edge[4]) is int:
            ends[edge[4]] = link
    names = [str(slot.get("name")) for slot in given if isinstance(slot, dict)]
    return Part(str(said.get("name")), nodes, edges, names, ends)


def add_nodes(
    graph: Graph,
    part: Part,
    known: Mapping[str, Part],
    within: str = "",
    outer: Sequence[Any] = (),
    shown: Mapping[tuple[str, str], Any] = MappingProxyType({}),
) -> None:
    """Adds the nodes of a part to a graph, and those of the subgraphs in it.

    Parameters
    ----------
    graph : Graph
    part : Part
    known : mapping
        The subgraphs that may be in it, by the kind of the nodes that stand for them.
    within : str
        What its nodes' names begin with.
    outer : sequence
        What its inputs are given: links, values, or None.
    shown : mapping
        {(node, name): value}, of values that the node that stands for it shows as its own.
    """
    for said in part.nodes:
        if len(graph.nodes) >= MOST_NODES:
            return
        if not isinstance(said, dict) or said.get("mode") in MUTED:
            continue
        node = read_editor_node(said, lambda n: place_link(part.edges.get(n), within, outer))
        own = {name: v for (whose, name), v in shown.items() if whose == node.name}
        node.inputs |= {name: value for name, value in own.items() if name not in node.links}
        node.name = within + node.name
        graph.nodes[node.name] = node
        if (inner := known.get(node.kind)) and not node.passes:
            enter_subgraph(graph, node, inner, known, read_shown(graph, said, own))


def enter_subgraph(
    graph: Graph,
    node: Node,
    inner: Part,
    known: Mapping[str, Part],
    shown: Mapping[tuple[str, str], Any] | None,
) -> None:
    """Adds what is in the subgraph that a node stands for, which hands on what comes from there."""
    given = [
        node.inputs.get(name) if shown is None else node.links.get(name, shown.get((HERE, name)))
        for name in inner.inputs
    ]
    within = f"{node.name}:"
    others = {kind: each for kind, each in known.items() if kind != node.kind}
    add_nodes(graph, inner, others, within, given, shown or {})
    node.hands = {slot: place_link(link, within, given) for slot, link in inner.ends.items()}


def place_link(link: Link | None, within: str, outer: Sequence[Any]) -> Any:
    """Gives where a link in a subgraph begins, or the value that its input is given."""
    if link is None or link.node != INSIDE:
        return link and Link(within + link.node, link.slot)
    return outer[link.slot] if 0 <= link.slot < len(outer) else None


def read_shown(
    graph: Graph, said: Mapping[str, Any], own: Mapping[str, Any]
) -> dict[tuple[str, str], Any] | None:
    """Reads {(node within, name): value} of what a subgraph's node shows; None if its inputs do.

    What is around it may show some of these in its turn, and has their values: `own`. It is noted
    where nobody can tell which value is whose; then those within count.
    """
    properties, values = said.get("properties"), said.get("widgets_values")
    pairs = properties.get("proxyWidgets") if isinstance(properties, dict) else None
    if isinstance(pairs, str):
        with suppress(ValueError):
            pairs = load_json(pairs)
    if not isinstance(pairs, list) or not pairs:
        return None
    names = [(str(p[0]), str(p[1])) for p in pairs if isinstance(p, list) and len(p) > 1]
    values = values if isinstance(values, list) else []
    shown = dict(zip(names, values)) if len(values) == len(names) else {}
    fitting = [[pair for pair in names if pair[1] == name] for name in own]
    if (values and not shown) or any(len(found) != 1 for found in fitting):
        graph.unknown["a subgraph that shows values of others"] = None
        return shown
    return shown | {found[0]: value for found, value in zip(fitting, own.values())}


def read_editor_node(node: Mapping[str, Any], find: Callable[[int], Any]) -> Node:
    """Reads a node of the editor; `find` gives where a link by number begins."""
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
        if type(link) is int and (origin := find(link)) is not None:
            inputs[str(slot.get("name"))] = origin
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
