"""What may stand in place of a model's own parts: VAEs, LoRAs and learned words, in their files.

Facts about the published VAEs are from their model cards; no published file was at hand.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..recipe.parts import read_embeddings, read_loras
from .catalogue import find_row
from .checkpoint import VAE, describe_other, list_vae, read_head, require_suffix
from .configuration import Layout, read_json
from .heads import PICKLES, read_shapes, remember_file
from .locate import (
    REPOSITORY,
    VAE_WEIGHTS,
    VARIABLE,
    find_weights,
    is_vae,
    locate_model,
    locate_vae,
    open_repository,
    tell_revision,
)
from .loras import OF_SECOND, is_refused, name_layer, require_whole, sort_names
from .model import Model
from .pickles import read_pickle
from .rows import MODELS

SUFFIXES = (".safetensors", *PICKLES)
NEAR = 0.01  # of a factor; some round it
VAE_KINDS = {  # and what the config.json of each states of its latent space, with the defaults
    "AutoencoderKL": {"scaling_factor": 0.18215, "shift_factor": 0.0},
    "AutoencoderTiny": {"scaling_factor": 1.0, "shift_factor": 0.0},
}
VAE_FACTS: tuple[tuple[str, Any, Callable[[Any], Any]], ...] = (  # that are the model's own, too
    ("latent_channels", 4, int),
    ("in_channels", 3, int),
    ("out_channels", 3, int),
    ("block_out_channels", [0] * 4, len),
)
OF_ENCODERS = {"clip_l": "text_encoder", "clip_g": "text_encoder_2"}  # in SDXL's files of words
OF_SDXL = re.compile(r"xl(?=$|[^a-z]|vae)")

# VAEs


@dataclass(frozen=True, kw_only=True)
class PublishedVae:
    """A row of facts: `hub` has it in diffusers' layout, `file_hub` as the single file `file`."""

    title: str
    hub: str
    file: str
    file_hub: str
    licence: str = "MIT"
    source: str = "the authors' model card; Stability AI's own repositories"
    gigabytes: float = 0.33

    def locate(self, name: str) -> Path:
        """Finds its folder or file on this machine, or says where to get it."""
        if place := locate_vae(name, (self.hub, self.file_hub), self.file):
            return place
        raise FileNotFoundError(
            f"vae={name!r} ({self.title}) is not on this machine, and sdlab downloads nothing. To"
            f" get it, about {self.gigabytes:g} GB, licence {self.licence}: `hf download {self.hub}"
            f" config.json {VAE_WEIGHTS[0]}` or `hf download {self.file_hub} {self.file}`; then it"
            f" is found in the cache. If you have it, give its path as vae=, or put it, named"
            f" {name!r} or as on the hub, into the folder that the environment variable {VARIABLE}"
            " names"
        )


VAES: dict[str, PublishedVae] = {
    "sd-vae-ft-mse": PublishedVae(
        title=(
            "the better decoder of October 2022, smooth: ft-EMA, then 280,000 steps with more"
            " weight on the squared error"
        ),
        hub="stabilityai/sd-vae-ft-mse",
        file="vae-ft-mse-840000-ema-pruned.safetensors",
        file_hub="stabilityai/sd-vae-ft-mse-original",
    ),
    "sd-vae-ft-ema": PublishedVae(
        title=(
            "the better decoder of October 2022, sharp: the original, then 313,198 steps with the"
            " same loss"
        ),
        hub="stabilityai/sd-vae-ft-ema",
        file="vae-ft-ema-560000-ema-pruned.safetensors",
        file_hub="stabilityai/sd-vae-ft-ema-original",
    ),
}


@dataclass(frozen=True)
class Vae:
    """Where a VAE is: a folder, or a single file that another model's config.json describes."""

    path: Path
    config: Path

    @property
    def kind(self) -> str:
        """The class of diffusers that reads it."""
        return tell_vae_kind(read_json(self.config)) if self.path.is_dir() else "AutoencoderKL"

    @property
    def files(self) -> dict[str, Path]:
        """All that makes its pictures, by names that do not tell the place."""
        if self.path.is_file():
            return {"vae": self.path}
        weights = {file.name: file for file in find_weights(self.path)}
        return {"config.json": self.config, **weights}


def find_own_vae(model: Model) -> Vae:
    """Finds a model's own VAE, in its folder or file."""
    place = model.place
    return Vae(place if place.is_file() else place / "vae", model.configuration / "vae/config.json")


def find_vae(text: str, own: Path) -> Vae:
    """Finds the VAE of that name, or in that place.

    Parameters
    ----------
    own : Path
        The folder of configurations of the model that it is to work with.

    Raises
    ------
    FileNotFoundError, ValueError
        It is not here, is none, or does not fit the model.
    """
    if text in MODELS:
        vae = find_own_vae(find_row(text, runs=False))
    else:
        place = VAES[text].locate(text) if text in VAES else find_vae_place(text)
        vae = open_vae(text, place, own)
    wanted, found = read_json(own / "vae/config.json"), read_json(vae.config)
    (check_vae_file if vae.path.is_file() else check_vae_folder)(text, vae.path, found, wanted)
    return vae


def find_vae_place(text: str) -> Path:
    """Finds the folder or file of a VAE, or of a model, by its path or repository on the hub."""
    place = open_repository(Path(text).expanduser(), has_vae)
    if place.exists() or not REPOSITORY.fullmatch(text):
        return place
    files = [row.file for row in VAES.values() if text == row.file_hub]
    return locate_vae(text, (text,), *files or [""]) or locate_model(text, (text,)) or place


def has_vae(folder: Path) -> bool:
    """Tells whether a folder is that of a VAE, or of a model with one."""
    return is_vae(folder) or is_vae(folder / "vae")


def open_vae(text: str, place: Path, own: Path) -> Vae:
    """Tells a VAE's folder, its weights in one, a model's folder and a single file apart."""
    if place.name in VAE_WEIGHTS and (place.parent / "config.json").is_file():
        place = place.parent
    folder = place / "vae" if (place / "vae/config.json").is_file() else place
    if place.is_file():
        return Vae(place.absolute(), own / "vae/config.json")
    if is_vae(folder):
        return Vae(folder.absolute(), folder.absolute() / "config.json")
    raise FileNotFoundError(
        f"vae={text!r}: {folder} holds no VAE in diffusers' layout, which is a config.json and"
        " a diffusion_pytorch_model.safetensors"
        if place.is_dir()
        else f"vae={text!r} is not here; it is a name in sdlab.models.parts.VAES"
        f" ({', '.join(VAES)}) or in MODELS, a folder, a single file, or a repository in the"
        " hub's cache, owner/name"
    )


def check_vae_folder(text: str, path: Path, found: dict, wanted: dict) -> None:
    """Refuses a VAE of another latent space than the model's, as far as its config.json tells."""
    kind = tell_vae_kind(found)
    if kind not in VAE_KINDS:
        raise ValueError(
            f"vae={text!r} is a {kind}; sdlab reads {' and '.join(VAE_KINDS)}, give one of those"
        )
    for fact, default, size in VAE_FACTS:
        a, b = found.get(fact, default), wanted.get(fact, default)
        if size(a) != size(b):
            raise ValueError(
                f"vae={text!r} does not fit the model: its {fact} is {a}, the model's is {b}"
            )
    for fact, default in VAE_KINDS[kind].items():
        same = kind == tell_vae_kind(wanted)
        a, b = (float(each.get(fact, default) or 0) for each in (found, wanted if same else {}))
        if not math.isclose(a, b, rel_tol=NEAR) and (same or kind == "AutoencoderTiny"):
            raise ValueError(
                f"vae={text!r} is of another latent space: its {fact} is {a:g}, where {b:g} is"
                " needed (a scaling_factor of 0.18215 is of v1 and v2, 0.13025 of SDXL, 0.08333 of"
                " the x4 upscaler), so it would decode to wrong colours. Take a VAE that was made"
                f" for this model, or, if it was and {path / 'config.json'} is wrong, correct that"
            )


def tell_vae_kind(config: dict) -> str:
    """Tells the class of diffusers that a VAE's config.json states."""
    return config.get("_class_name", "AutoencoderKL")


def describe_doubt(vae: Vae, xl: bool) -> str | None:
    """Describes why a VAE may be of another latent space than SDXL's, or than v1's and v2's.

    That is where nothing but its name tells, and it tells otherwise.
    """
    config = read_json(vae.config)
    told = vae.path.is_dir() and "scaling_factor" in config
    if told and tell_vae_kind(config) == "AutoencoderKL":
        return None  # and `check_vae_folder` has compared it
    where = (tell_revision(vae.path) or ("",))[0] or "/".join(vae.path.parts[-2:])
    names = (where, str(config.get("_name_or_path", "")) if vae.path.is_dir() else "")
    said = next((name for name in names if OF_SDXL.search(name.lower())), None)
    if xl and not said:
        return (
            f"neither its name, {where!r}, nor anything else says that it is SDXL's, whose latent"
            " space is another than that of v1 and v2: if it is of those, colours are wrong"
        )
    if xl:
        return None
    return said and (
        f"its name, {said!r}, sounds like SDXL's, and nothing else tells. SDXL has another latent"
        " space: if it is of that, colours are wrong, and a VAE for v1 and v2 is to be taken"
    )


def check_vae_file(text: str, path: Path, config: dict, wanted: dict) -> None:
    """Refuses the same in a single file, by the shapes in its head."""
    try:
        require_suffix(path, SUFFIXES)
        head = read_head(path)
    except ValueError as error:
        raise ValueError(f"vae={text!r}: {error}") from None
    found = list_vae(head)
    levels = len(set(re.findall(r"(?:^| )decoder\.up(?:_blocks)?\.(\d+)\.", " ".join(found))))
    shape = found.get("decoder.conv_in.weight")
    if shape is None or not levels:
        raise ValueError(
            f"vae={text!r}: {path} is {describe_other(head)}, and holds no VAE with the names of"
            f" the original release, such as {VAE}decoder.up.0.block.0.conv1.weight, or diffusers'"
        )
    widths = config["block_out_channels"]
    expected = (widths[-1], config.get("latent_channels", 4), 3, 3)
    if shape != expected or levels != len(widths):
        raise ValueError(
            f"vae={text!r} does not fit the model: its decoder.conv_in.weight is {shape}, with"
            f" {levels} levels; that of the model's own is {expected}, with {len(widths)}"
        )


# LoRAs and textual inversions


def find_file(field: str, text: str) -> Path:
    """Finds the file of that path, or says what to give."""
    place = Path(text).expanduser().absolute()
    if place.is_dir():
        inside = sorted(each.name for each in place.iterdir() if each.suffix in SUFFIXES)
        raise ValueError(
            f"{field}: {text} is a folder; give one of the files in it"
            f" ({', '.join(inside) or 'none':.200})"
        )
    if not place.is_file():
        raise FileNotFoundError(
            f"{field}: there is no file {text}; give the path of a file on this machine"
        )
    if place.suffix.lower() not in SUFFIXES:
        raise ValueError(
            f"{field}: {text} is of no kind that sdlab reads; those end in {', '.join(SUFFIXES)}"
        )
    return place


def find_lora(text: str, layout: Layout) -> Path:
    """Finds a LoRA's file, and refuses what is none, or made for another kind of model.

    `read_effects`, before a run, also compares its layers with those of the model.
    """
    file = find_file("lora", text)
    check_lora(file, layout)
    return file


@remember_file
def check_lora(path: Path, layout: Layout) -> None:
    """Refuses what is no LoRA for a model, by names and shapes alone."""
    found = read_shapes(path)
    if not any(name_layer(name) or "lora" in name or is_refused(name) for name in found):
        what = describe_other(found) if found else "without tensors by name, as hypernetworks are"
        raise ValueError(f"lora: {path} is {what}, and no LoRA that sdlab reads")
    layers = sort_names(path, found)
    if not layout.is_xl and any(layer.startswith(OF_SECOND) for layer in layers):
        raise ValueError(
            f"lora: {path} is made for SDXL, which has two text encoders, and this model has one"
        )
    for layer, matrices in layers.items():
        shape = found.get(matrices.get("down", ""))
        width = tell_input_width(f"{layer}_", layout)
        if shape and width not in (None, shape[1]):
            own = f"this model's has {width}" if width > 0 else "this model has no such layer"
            raise ValueError(
                f"lora: {path} was made for another model: the input of {layer} has {shape[1]}"
                f" values, where {own} (texts of v1 are 768 wide, of v2 1024, of SDXL 2048)"
            )
    require_whole(path, layers)


def tell_input_width(name: str, layout: Layout) -> int | None:
    """Tells how wide a layer's input is, as far as known; -1 if the model has no such layer."""
    if "encoder_layers" in name:
        part = "text_encoder_2" if name.startswith(OF_SECOND) else "text_encoder"
        encoder = next((each for each in layout.encoders if each.name == part), None)
        layer = re.search(r"_layers_(\d+)_", name)
        if encoder is None or (layer and int(layer[1]) >= encoder.layers):
            return -1
        return encoder.width if re.search(r"_[qkv]_proj_", name) else None
    if re.search(r"_attn2_to_[kv]_", name):
        return layout.text_width
    first = re.match(r"down_blocks_0_attentions_0_.*_attn1_to_q_", name)
    return layout.channels if first else None


def find_embedding(text: str, layout: Layout) -> tuple[Path, str]:
    """Finds a textual inversion's file and token, if the model can take its vectors."""
    file = find_file("textual_inversion", text)
    return file, check_embedding(file, layout)


@remember_file
def check_embedding(path: Path, layout: Layout) -> str:
    """Reads a textual inversion's token, having refused vectors that the model cannot take."""
    token, vectors = read_embedding(path)
    if len(vectors) > 1 and not layout.is_xl:
        raise ValueError(
            f"textual_inversion: {path} was made for SDXL, which has two text encoders"
        )
    for encoder in layout.encoders:
        found = vectors.get(encoder.name)
        if found is None or found.shape[1] != encoder.width:
            said = "are for one text encoder" if found is None else f"have {found.shape[1]} values"
            raise ValueError(
                f"textual_inversion: {path} was made for another model: its vectors {said}, this"
                f" model's words have {' and '.join(str(each.width) for each in layout.encoders)}"
                " (768 is v1, 1024 is v2, 768 and 1280 in clip_l and clip_g is SDXL)"
            )
        if len(found) > layout.max_tokens - 2:
            raise ValueError(
                f"textual_inversion: {path} takes {len(found)} tokens; a prompt has"
                f" {layout.max_tokens - 2}"
            )
    return token


@remember_file
def read_embedding(path: Path) -> tuple[str, dict[str, Any]]:
    """Reads a textual inversion.

    Returns
    -------
    token : str
        The one that the file states, or the file's name without its ending.
    vectors : dict
        {text encoder: tensor (n, width) in float32}; those of SDXL have two, of one length.
    """
    import torch
    from safetensors.torch import load_file

    safe = path.suffix.lower() == ".safetensors"
    if safe:
        read_shapes(path)  # says what is wrong with the file
    found = load_file(path) if safe else read_pickle(path)
    if isinstance(found, dict) and {*found} == {*OF_ENCODERS}:
        token, named = path.stem, {encoder: found[name] for name, encoder in OF_ENCODERS.items()}
    else:
        token, vectors = split_embedding(path, found)
        named = {"text_encoder": vectors}
    if not all(torch.is_tensor(each) and each.ndim in (1, 2) for each in named.values()):
        raise ValueError(f"textual_inversion: {path} holds no vectors by name")
    named = {name: torch.atleast_2d(each.detach().float()) for name, each in named.items()}
    if len({len(each) for each in named.values()}) > 1:
        raise ValueError(
            f"textual_inversion: {path} has another number of vectors for each text encoder"
        )
    return token, named


def split_embedding(path: Path, found: Any) -> tuple[str, Any]:
    """Tells token and vectors, of diffusers' {token: vectors}, A1111's form, or bare vectors."""
    import torch

    if torch.is_tensor(found):
        return path.stem, found
    contents = found if isinstance(found, dict) else {}
    if isinstance(params := contents.get("string_to_param"), dict) and len(params) == 1:
        ((key, vectors),) = params.items()
        name = str(contents.get("name") or "").strip() or (path.stem if key == "*" else str(key))
        return name, vectors
    if params:
        raise ValueError(
            f"textual_inversion: {path} holds {len(params)} words ({', '.join(map(str, params))});"
            " sdlab reads files of one"
        )
    if len(contents) != 1:
        tensors = {str(name): each for name, each in contents.items() if torch.is_tensor(each)}
        what = describe_other({name: tuple(each.shape) for name, each in tensors.items()})
        raise ValueError(f"textual_inversion: {path} is {what}, not one token with its vectors")
    ((name, vectors),) = contents.items()
    return path.stem if name == "emb_params" else str(name), vectors


# As A1111 names them


@remember_file
def hash_file(path: Path, tensors_alone: bool) -> str:
    """Computes 12 digits of SHA-256 over a file, or over a .safetensors file without its head."""
    with path.open("rb") as file:
        if tensors_alone and path.suffix.lower() == ".safetensors":
            file.seek(int.from_bytes(file.read(8), "little") + 8)  # so its notes do not count
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def hash_parts(request: Mapping[str, Any]) -> dict[str, str]:
    """Writes "Lora hashes" and "TI hashes" as A1111 does: "ink: 0123456789ab, ...".

    Files that are not there are left out.
    """
    out = {}
    for name, parts in (
        ("Lora hashes", read_loras(request.get("lora"))),
        ("TI hashes", read_embeddings(request.get("textual_inversion"))),
    ):
        files = [Path(each.path).expanduser().absolute() for each in parts]
        lora = name == "Lora hashes"
        if said := [f"{file.stem}: {hash_file(file, lora)}" for file in files if file.is_file()]:
            out[name] = ", ".join(said)
    return out
