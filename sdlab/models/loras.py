"""LoRA files, whoever wrote them: which layers they change, and by what.

Trainers name layers and matrices in their own ways. Here all become PEFT's pair of matrices: those
of LyCORIS, which are no pair, the correction itself and a matrix that does nothing. No file as its
trainer published it was at hand; what LyCORIS 4.1.3 and PEFT 0.21 save and compute was compared.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .checkpoint import build_text_encoder
from .configuration import read_json
from .heads import read_shapes, remember_file
from .locate import ENCODERS
from .pickles import read_tensors

CONFIG = "adapter_config.json"  # beside a file in PEFT's own layout, with the scale
REBASED = ("pissa", "olora", "corda", "loftq")  # of PEFT's ways to begin
WRAPPED = "base_model.model."  # begins the names in such a file
TENSOR = re.compile(
    r"(?P<layer>.+?)(?:\.lora_(?P<kohya>down|up|mid)\.weight|\.lora_(?P<peft>[AB])(?:\.\w+)?\.weight"
    r"|(?:_lora|\.lora|\.lora_linear_layer)\.(?P<old>down|up)\.weight"
    r"|\.(?P<lycoris>hada_(?:w[12]_[ab]|t[12])|lokr_(?:w[12](?:_[ab])?|t2))|\.(?P<alpha>alpha))"
)
PLACE = re.compile(
    r"^(?:base_model\.model\.|unet\.|text_encoder(?:_2)?\.|lora_unet_|lora_te[12]?_|lycoris_)*"
    r"(?:text_model[._])?"
)
OURS: tuple[str, ...] = ("lora_unet_", "lora_te_", "lora_te1_", "lora_te2_", "lycoris_")
OURS += ("unet.", "text_encoder.", "text_encoder_2.")
SECOND = re.compile(r"(?:base_model\.model\.)?(?:lora_te2_|text_encoder_2\.)")
OF_SECOND = "text_encoder_2."  # begins our names of layers in SDXL's second text encoder
LAYER = re.compile(
    r"(down_blocks|up_blocks|mid_block|conv_|time_embedding|add_embedding|encoder_layers)"
)
ORIGINAL = {  # names of the original release, which kohya's scripts use for SDXL: diffusers'
    "input_blocks_0_0": "conv_in",
    "out_2": "conv_out",
    "time_embed_0": "time_embedding_linear_1",
    "time_embed_2": "time_embedding_linear_2",
    "label_emb_0_0": "add_embedding_linear_1",
    "label_emb_0_2": "add_embedding_linear_2",
}
BLOCK = re.compile(r"(input|output|middle)_block(?:s_(\d+))?_(\d)_(.+)")
RESNET = {
    "in_layers_2": "conv1",
    "out_layers_3": "conv2",
    "emb_layers_1": "time_emb_proj",
    "skip_connection": "conv_shortcut",
}
ROLES = {"A": "down", "B": "up"}
HELPERS = {"alpha", "mid", "hada_t1", "hada_t2", "lokr_t2"}
WHOLE = (
    {"down", "up"},
    {"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"},
    *(
        {*one, *two}
        for one in (["lokr_w1"], ["lokr_w1_a", "lokr_w1_b"])
        for two in (["lokr_w2"], ["lokr_w2_a", "lokr_w2_b"])
    ),
)
REFUSED = {  # what is in a tensor's name: what the file is
    r"dora_scale|magnitude_vector": "a DoRA, whose magnitudes would be left out",
    r"^(\d+|(unet|text_encoder):\d+:.*)$": (
        "one of cloneofsimo's trainer, which numbers its layers and does not name them"
    ),
    r"\.oft_|\.boft_": "a LyCORIS of the kind OFT, which turns weights instead of adding to them",
    r"\.on_input|ia3_": "an (IA)³, which multiplies what layers put out",
    r"\.glora|\.[ab][12]\.weight$|\.bm[12]\.": "a LyCORIS of the kind GLoRA",
    r"\.diff(_b)?$|\.[wb]_norm$": "a LyCORIS of the kind full, which holds whole weights",
    r"lora_[AB](\.\w+)?\.bias$": "a LoRA that changes biases too",
    r"_custom_diffusion\.": "of Custom Diffusion, which replaces weights of the attention",
    r"vera_lambda|lora_E\b|lora_embedding_": "of a kind of PEFT's that is no plain LoRA",
}


@dataclass(frozen=True)
class Layer:
    """A layer of a model that LoRAs can change."""

    part: str  # "unet", "text_encoder" or "text_encoder_2"
    name: str
    shape: tuple[int, ...]  # of its weight: (outputs, inputs, ...)


@dataclass(frozen=True)
class Effect:
    """What a LoRA's file does to a model, by the names of layers in the file."""

    changed: list[str]
    missing: list[str]  # which the model has not
    idle: list[str]  # which it has, and whose correction is zero
    is_scaled: bool  # False: the file leaves its scale to a file beside it, which is not there

    def __str__(self) -> str:
        acting, given = len(self.changed) - len(self.idle), len(self.changed) + len(self.missing)
        return f"{acting} of {given}"


# Names


def name_layer(tensor: str) -> tuple[str, str] | None:
    """Names layer and matrix of a LoRA's tensor, the layer as in kohya's files; None if neither."""
    if not (found := TENSOR.fullmatch(tensor)):
        return None
    role = found["kohya"] or found["peft"] or found["old"] or found["lycoris"] or found["alpha"]
    layer = PLACE.sub("", found["layer"]).replace(".processor", "").replace(".", "_")
    if layer.startswith("encoder_layers"):  # of texts
        layer = re.sub(r"_to_([qkv]|out)$", r"_\1_proj", layer)
    layer = re.sub(r"_to_out$", "_to_out_0", name_as_diffusers(layer))
    return OF_SECOND * bool(SECOND.match(tensor)) + layer, ROLES.get(role, role)


def name_as_diffusers(layer: str) -> str:
    """Names a UNet's layer as diffusers does, if it has the name of the original release."""
    if not (found := BLOCK.fullmatch(layer)):
        return ORIGINAL.get(layer, layer)
    side, number, kind, rest = found[1], int(found[2] or 0), int(found[3]), found[4]
    if side == "middle":
        place, is_resnet = f"mid_block_{{}}_{kind // 2}", kind != 1
    else:
        block, of_block = divmod(number - (side == "input"), 3)  # two resnets and a change of size
        where = f"{'down' if side == 'input' else 'up'}_blocks_{block}"
        if rest in ("op", "conv"):
            return f"{where}_{'down' if rest == 'op' else 'up'}samplers_0_conv"
        place, is_resnet = f"{where}_{{}}_{of_block}", kind == 0
    name = RESNET.get(rest, rest) if is_resnet else rest
    return f"{place.format('resnets' if is_resnet else 'attentions')}_{name}"


def is_refused(tensor: str) -> str | None:
    """Tells of what kind that sdlab does not read a tensor is; None if of none of them."""
    return next((what for pattern, what in REFUSED.items() if re.search(pattern, tensor)), None)


def sort_names(path: Path, names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Sorts tensors by layers, {layer: {matrix: tensor}}; refuses what is no LoRA that is read."""
    layers: dict[str, dict[str, str]] = {}
    strange = []
    for tensor in names:
        if what := is_refused(tensor):
            raise ValueError(
                f"lora: {path} is {what} ({tensor}); sdlab reads LoRA, LoCon, LoHa and LoKr in the"
                " layouts of kohya's scripts, diffusers and PEFT: have it converted to one of these"
            )
        found = name_layer(tensor)
        if found and (tensor.startswith(OURS) or LAYER.match(found[0])):
            layers.setdefault(found[0], {})[found[1]] = tensor
        else:
            strange.append(tensor)
    if strange or not layers:
        raise ValueError(
            f"lora: {path} is a LoRA for another kind of model; sdlab reads LoRAs of v1, v2 and"
            f" SDXL, whose names begin with {', '.join(OURS)}, and not {', '.join(strange[:2])}"
        )
    return layers


def require_whole(path: Path, layers: Mapping[str, Mapping[str, str]]) -> None:
    """Refuses half of a product of matrices."""
    for layer, matrices in layers.items():
        if {*matrices} - HELPERS not in WHOLE:
            raise ValueError(
                f"lora: {path} is not whole: of {layer} it has {', '.join(matrices)} alone. A LoRA"
                " has lora_down and lora_up, a LyCORIS hada_w1_a to hada_w2_b, or lokr_w1 and"
                " lokr_w2; fetch it again"
            )


def list_layers(networks: Mapping[str, Any]) -> dict[str, Layer]:
    """Lists the layers that LoRAs can change, by our names, of {"unet": network, ...}."""
    import torch

    return {
        OF_SECOND * (part == "text_encoder_2")
        + name.removeprefix("text_model.").replace(".", "_"): Layer(
            part, name, tuple(module.weight.shape)
        )
        for part, network in networks.items()
        for name, module in network.named_modules()
        if isinstance(module, (torch.nn.Linear, torch.nn.Conv2d))
    }


@remember_file
def read_model_layers(unet: Path, encoders: tuple[Path, ...]) -> dict[str, Layer]:
    """Lists the layers of the networks that config.json files describe, without their weights."""
    import torch
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        networks = {each.parent.name: build_text_encoder(each.parent) for each in encoders}
        network = UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(unet))
        return list_layers({"unet": network} | networks)


# Scales


def find_files(path: Path) -> dict[str, Path]:
    """Finds all that decides what a LoRA does: its file, and the one beside it with the scale."""
    beside = path.with_name(CONFIG)
    return {"file": path} | ({CONFIG: beside} if is_wrapped(path) and beside.is_file() else {})


@remember_file
def is_wrapped(path: Path) -> bool:
    """Tells PEFT's own layout, which leaves the scale to a file beside it."""
    return any(name.startswith(WRAPPED) for name in read_shapes(path))


def read_scales(path: Path) -> dict[str, dict[str, Any]]:
    """Reads PEFT's configurations of UNet and text encoder, from beside the file or its notes."""
    files = find_files(path)
    if CONFIG in files:
        stated = read_json(files[CONFIG])
        if str(stated.get("init_lora_weights")).startswith(REBASED):
            raise ValueError(
                f"lora: {path} was trained with init_lora_weights={stated['init_lora_weights']!r},"
                " which changes the model's own weights too, so alone it acts as something else;"
                " save it with PEFT's path_initial_model_for_weight_conversion"
            )
        return {"unet": stated, "text_encoder": stated}
    if path.suffix.lower() != ".safetensors":
        return {}
    from safetensors import safe_open

    with safe_open(path, "np") as head:
        notes = json.loads((head.metadata() or {}).get("lora_adapter_metadata") or "{}")
    scales: dict[str, dict[str, Any]] = {}
    for name, value in notes.items():
        part, _, option = name.partition(".")
        scales.setdefault(part, {})[option] = value
    return scales


def choose_alpha(
    given: Mapping[str, Any], stated: Mapping[str, Any], layer: str, rank: int
) -> float:
    """Chooses the alpha of a layer: its own, the one that PEFT's configuration states, or the rank.

    The correction is multiplied by alpha / rank, or by alpha / sqrt(rank) if "use_rslora" says so.
    """
    if "alpha" in given:
        return float(given["alpha"])
    alpha = stated.get("lora_alpha", stated.get("alpha", rank))
    for pattern, value in (stated.get("alpha_pattern") or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", layer):
            alpha = value
            break
    return alpha * rank**0.5 if stated.get("use_rslora") else alpha


# Corrections


def multiply(one: Any, two: Any, core: Any = None) -> Any:
    """Multiplies two matrices, (outputs, rank) and (rank, inputs), or as Tucker's with a core."""
    import torch

    if core is None:
        return one @ two
    return torch.einsum("ij...,ip,jr->pr...", core, one, two)


def make_pair(
    given: Mapping[str, Any], layer: Layer, stated: Mapping[str, Any]
) -> tuple[Any, Any, float]:
    """Makes the pair of matrices that corrects a layer's weight by up @ down * alpha / rank.

    Returns
    -------
    down : tensor (rank, inputs, ...)
    up : tensor (outputs, rank, ...)
    alpha : float

    Raises
    ------
    RuntimeError
        The shapes do not fit.
    """
    import torch

    outputs, *inputs = layer.shape
    if "down" in given:
        down, up, rank = given["down"], given["up"], len(given["down"])
        if "mid" in given:
            down = torch.einsum("nm...,mj->nj...", given["mid"], down.flatten(1))
        alpha = choose_alpha(given, stated, layer.name, rank)
    else:
        change, own_rank = make_change(given)
        if own_rank is None:  # LyCORIS scales whole factors by 1, PEFT as its configuration states
            given = {}
        rank = own_rank or stated.get("r", 1)
        down = change * (choose_alpha(given, stated, layer.name, rank) / rank)
        up, rank = torch.eye(outputs, dtype=down.dtype, device=down.device), outputs
        alpha = rank
    if (len(down), len(up)) != (rank, outputs):  # which might be reshaped all the same
        raise RuntimeError(f"{tuple(down.shape)} and {tuple(up.shape)}")
    up = up.reshape(outputs, rank, *[1] * (len(inputs) - 1))
    return down.reshape(rank, *inputs), up, alpha


def make_change(given: Mapping[str, Any]) -> tuple[Any, int | None]:
    """Makes the correction of LoHa or LoKr, (outputs, inputs...), and its rank, or None.

    LoHa multiplies two products of matrices element by element, LoKr as Kronecker did.
    """
    import torch

    kind = "hada" if "hada_w1_a" in given else "lokr"
    one, two = (
        given[f"{kind}_w{n}"]
        if f"{kind}_w{n}" in given
        else multiply(given[f"{kind}_w{n}_a"], given[f"{kind}_w{n}_b"], given.get(f"{kind}_t{n}"))
        for n in (1, 2)
    )
    factor = given.get(f"{kind}_w2_b", given.get(f"{kind}_w1_b"))
    change = one * two if kind == "hada" else torch.kron(one, two.flatten(1))
    return change, None if factor is None else len(factor)


def read_lora(path: Path, layers: Mapping[str, Layer]) -> dict[Layer, tuple[Any, Any, float]]:
    """Reads the pairs of matrices of all layers that the model has, and their alphas, float32."""
    tensors, stated = read_weights(path), read_scales(path)
    found = sort_names(path, tensors)
    return {
        (layer := layers[name]): make_pair(
            {role: tensors[tensor].float() for role, tensor in matrices.items()},
            layer,
            stated.get(layer.part, {}),
        )
        for name, matrices in found.items()
        if name in layers
    }


def read_weights(path: Path) -> dict[str, Any]:
    """Reads the tensors of a file, as they are."""
    from safetensors.torch import load_file

    return load_file(path) if path.suffix.lower() == ".safetensors" else read_tensors(path)


@remember_file
def read_effect(path: Path, configs: tuple[Path, ...], content: str) -> Effect:
    """Tells what a LoRA changes in the networks that config.json files describe, UNet first.

    `content` are the fingerprints of all this, so that it is told anew when something else changes.

    Raises
    ------
    ValueError
        It changes none of their layers, or does not fit one.
    """
    layers, tensors = read_model_layers(configs[0], configs[1:]), read_weights(path)
    found, stated = sort_names(path, tensors), read_scales(path)
    changed = [name for name in found if name in layers]
    if not changed:
        raise ValueError(
            f"lora: {path} changes {len(found)} layers, and this model has none of them"
            f" ({next(iter(found))}); it was made for another kind of model"
        )
    idle = []
    for name in changed:
        layer, given = layers[name], {role: tensors[each] for role, each in found[name].items()}
        options = stated.get(layer.part, {})
        require_fit(path, layer, given, options)
        alpha = choose_alpha(given, options, layer.name, 1)
        if not alpha or not all(tensor.any() for tensor in given.values()):
            idle.append(name)
    is_scaled = CONFIG in find_files(path) or not is_wrapped(path)
    return Effect(changed, [name for name in found if name not in layers], idle, is_scaled)


def require_fit(
    path: Path, layer: Layer, given: Mapping[str, Any], stated: Mapping[str, Any]
) -> None:
    """Refuses matrices whose product has not the shape of the layer's weight."""
    sizes = {role: tensor.float().to("meta") for role, tensor in given.items() if role != "alpha"}
    try:
        make_pair(sizes, layer, stated)
    except (RuntimeError, TypeError):
        raise ValueError(
            f"lora: {path} was made for another model: its matrices of {layer.name} are"
            f" {', '.join(str(tuple(each.shape)) for each in sizes.values())}, and the weight of"
            f" this model's layer is {layer.shape}"
        ) from None


def find_encoders(pipe: Any) -> dict[str, Any]:
    """Finds the text encoders of a pipeline: {"text_encoder": network, ...}."""
    found = {name: getattr(pipe, name, None) for name in ENCODERS}
    return {name: encoder for name, encoder in found.items() if encoder is not None}


def load_lora(pipe: Any, pairs: Mapping[Layer, tuple[Any, Any, float]], name: str) -> None:
    """Puts a LoRA into a pipeline under that name, with the scale of every layer as it is."""
    for part in ("unet", *find_encoders(pipe)):
        is_text = part != "unet"
        load = pipe.load_lora_into_text_encoder if is_text else pipe.load_lora_into_unet
        mine = {layer.name: pair for layer, pair in pairs.items() if layer.part == part}
        if mine:
            state = {
                f"{part}.{layer}.lora_{letter}.weight": pair[n]
                for layer, pair in mine.items()
                for n, letter in enumerate("AB")
            }
            options = {f"{part}.{key}": value for key, value in write_options(mine).items()}
            load(
                state,
                None,
                getattr(pipe, part),
                adapter_name=name,
                metadata=options,
                _pipeline=pipe,
                low_cpu_mem_usage=True,
                **{"prefix": part} if is_text else {},
            )


def write_options(pairs: Mapping[str, tuple[Any, Any, float]]) -> dict[str, Any]:
    """Writes PEFT's configuration of these pairs: what most have, and the others by name."""
    ranks = {layer: len(down) for layer, (down, *_) in pairs.items()}
    alphas = {layer: alpha for layer, (*_, alpha) in pairs.items()}
    most, usual = (Counter(each.values()).most_common(1)[0][0] for each in (ranks, alphas))
    return {
        "r": most,
        "lora_alpha": usual,
        "rank_pattern": {f"^{re.escape(n)}": r for n, r in ranks.items() if r != most},
        "alpha_pattern": {f"^{re.escape(n)}": a for n, a in alphas.items() if a != usual},
        "target_modules": [*pairs],
    }
