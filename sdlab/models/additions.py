"""LoRAs and textual inversions: what their files hold, and whether that was made for a model."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..recipe.parts import read_embeddings, read_loras
from .checkpoint import what_else
from .heads import PICKLES, Shapes, read_shapes, remember_file
from .layout import Layout
from .pickles import contents_of

SUFFIXES = (".safetensors", *PICKLES)
DOWN = re.compile(r"(lora_A|[._]down)\.weight$|lora_down\.weight$")
OURS = ("unet.", "text_encoder.", "lora_unet_", "lora_te_", "lora_te1_")
REFUSED = (  # what diffusers would leave out, or cannot read for these models
    (
        re.compile(r"lora_te2_|text_encoder_2\.|label_emb"),
        "made for SDXL, which has two text encoders",
    ),
    (re.compile(r"dora_scale|magnitude_vector"), "a DoRA, whose magnitudes diffusers leaves out"),
    (
        re.compile(r"\.hada_|\.lokr_|\.lora_mid|\.oft_|\.glora"),
        "a LyCORIS of a kind that diffusers does not read",
    ),
)


def file_at(field: str, path: str) -> Path:
    """The file of that path, or an error that says what to give."""
    place = Path(path).expanduser().resolve()
    if place.is_dir():
        inside = (
            ", ".join(sorted(each.name for each in place.iterdir() if each.suffix in SUFFIXES))
            or "none"
        )
        raise ValueError(
            f"{field}: {path} is a folder; give one of the files in it ({inside:.200})"
        )
    if not place.is_file():
        raise FileNotFoundError(
            f"{field}: there is no file {path}; give the path of a file on this machine"
        )
    if place.suffix.lower() not in SUFFIXES:
        raise ValueError(
            f"{field}: {path} is of no kind that sdlab reads; those end in {', '.join(SUFFIXES)}"
        )
    return place


# As A1111 names them


@remember_file
def digits_of_lora(path: Path) -> str:
    """12 digits of SHA-256 over the tensors alone of a .safetensors, so that notes in its head do not count; else the file."""
    with path.open("rb") as file:
        if path.suffix.lower() == ".safetensors":
            file.seek(int.from_bytes(file.read(8), "little") + 8)
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


@remember_file
def digits_of_words(path: Path) -> str:
    """12 digits of SHA-256 over the whole file of a textual inversion."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def hash_parts(request: Mapping[str, Any]) -> dict[str, str]:
    """Writes "Lora hashes" and "TI hashes" as A1111 does, "ink: 0123456789ab, ..."; absent files are left out."""
    out = {}
    for name, parts, digits in (
        ("Lora hashes", read_loras(request.get("lora")), digits_of_lora),
        ("TI hashes", read_embeddings(request.get("textual_inversion")), digits_of_words),
    ):
        files = [Path(each.path).expanduser().resolve() for each in parts]
        if found := [f"{file.stem}: {digits(file)}" for file in files if file.is_file()]:
            out[name] = ", ".join(found)
    return out


# LoRAs


def downs(path: Path) -> Shapes:
    """The shapes (rank, width of the layer's input, ...) of the first of the two matrices of each layer."""
    return {name: shape for name, shape in read_shapes(path).items() if DOWN.search(name)}


def require_lora(text: str, layout: Layout) -> Path:
    """Finds a LoRA's file, and refuses what is none, or made for another kind of model."""
    file = file_at("lora", text)
    check_lora(file, layout)
    return file


@remember_file
def check_lora(path: Path, layout: Layout) -> None:
    """Refuses what is no LoRA for a model, by names and shapes alone."""
    found = read_shapes(path)
    for pattern, what in REFUSED:
        if name := next(filter(pattern.search, found), None):
            raise ValueError(f"lora: {path} is {what} ({name})")
    strange = [name for name in found if not name.startswith(OURS)]
    if not downs(path) or strange:
        what = "a LoRA for another kind of model" if downs(path) else what_else(found)
        raise ValueError(
            f"lora: {path} is {what}; sdlab reads LoRAs of v1 and v2, whose names begin with"
            f" {', '.join(OURS)}, and not {', '.join(strange[:2]) or 'those here'}"
        )
    for name, shape in downs(path).items():
        if (width := input_width(re.sub(r"[._]+", "_", name), layout)) not in (None, shape[1]):
            raise ValueError(
                f"lora: {path} was made for another model: the input of {name} has {shape[1]}"
                f" values, where this model's has {width} (texts of v1 are 768 wide, of v2 1024, of"
                " SDXL 2048)"
            )


def input_width(name: str, layout: Layout) -> int | None:
    """How wide the input of a layer is, as far as the model's configuration tells; -1 for a layer that it has not."""
    if name.startswith(("text_encoder", "lora_te")):
        layer = re.search(r"_layers_(\d+)_", name)
        if layer and int(layer[1]) >= layout.text_layers:
            return -1
        return layout.text_width if re.search(r"_[qkv]_proj_|_to_[qkv]_", name) else None
    if re.search(r"_attn2_(processor_)?to_[kv]_", name):
        return layout.text_width
    return (
        layout.channels
        if re.search(r"_down_blocks_0_attentions_0_.*_attn1_(processor_)?to_q_", name)
        else None
    )


# Textual inversions


@remember_file
def embedding_in(path: Path) -> tuple[str, Any]:
    """(the token that the file states, or the file's name without its ending; the vectors (n, width), float32)"""
    import torch
    from safetensors.torch import load_file

    safe = path.suffix.lower() == ".safetensors"
    if safe:
        read_shapes(path)  # says what is wrong with the file
    found = load_file(path) if safe else contents_of(path)
    token, vectors = stated(path, found)
    if not torch.is_tensor(vectors) or vectors.ndim not in (1, 2):
        raise ValueError(f"textual_inversion: {path} holds no vectors by name")
    return token, torch.atleast_2d(vectors.detach().float())


def stated(path: Path, found: Any) -> tuple[str, Any]:
    """Token and vectors in one of the three forms: diffusers' {token: vectors}, A1111's, or bare vectors."""
    import torch

    if torch.is_tensor(found):
        return path.stem, found
    if isinstance(found, dict) and isinstance(found.get("string_to_param"), dict):
        return str(found.get("name") or path.stem), found["string_to_param"].get("*")
    if isinstance(found, dict) and {"clip_l", "clip_g"} & set(found):
        raise ValueError(
            f"textual_inversion: {path} was made for SDXL, which has two text encoders"
        )
    if not isinstance(found, dict) or len(found) != 1:
        named = found.items() if isinstance(found, dict) else ()
        what = what_else(
            {str(name): tuple(each.shape) for name, each in named if torch.is_tensor(each)}
        )
        raise ValueError(f"textual_inversion: {path} is {what}, not one token with its vectors")
    ((name, vectors),) = found.items()
    return path.stem if name == "emb_params" else str(name), vectors


def require_embedding(text: str, layout: Layout) -> tuple[Path, str]:
    """Finds a textual inversion's file and token, and refuses vectors that the model cannot take."""
    file = file_at("textual_inversion", text)
    return file, check_embedding(file, layout)


@remember_file
def check_embedding(path: Path, layout: Layout) -> str:
    """Reads a textual inversion's token, having refused vectors that the model cannot take."""
    token, vectors = embedding_in(path)
    if vectors.shape[1] != layout.text_width:
        raise ValueError(
            f"textual_inversion: {path} was made for another model: its vectors have"
            f" {vectors.shape[1]} values, this model's words have {layout.text_width} (768 is v1,"
            " 1024 is v2)"
        )
    if len(vectors) > layout.max_tokens - 2:
        raise ValueError(
            f"textual_inversion: {path} takes {len(vectors)} tokens; a prompt has"
            f" {layout.max_tokens - 2}"
        )
    return token
