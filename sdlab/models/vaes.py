"""VAEs that can stand in place of a model's own: the published ones by name, those of other models, folders and files.

Facts about the published ones are from their model cards; no published file was at hand.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .catalogue import MODELS, Model, how_to_get, require_model
from .checkpoint import VAE, require_suffix
from .heads import read_shapes
from .layout import read_json
from .locate import VAE_WEIGHTS, VARIABLE, is_vae, locate_vae, vae_weights


@dataclass(frozen=True, kw_only=True)
class Decoder:
    """A row of facts about a published VAE; `hub` has it in diffusers' layout, `file_hub` as the single file `file`."""

    title: str
    hub: str
    file: str
    file_hub: str
    licence: str
    source: str
    gigabytes: float = 0.33

    def located(self, name: str) -> Path | None:
        """Its folder or file on this machine, or None; `name` is the row's."""
        return locate_vae(name, (self.hub, self.file_hub), self.file)


IMPROVED = dict(licence="MIT", source="the authors' model card; Stability AI's own repositories")
VAES: dict[str, Decoder] = {
    "sd-vae-ft-mse": Decoder(
        title=(
            "the better decoder of October 2022, smooth: ft-EMA, then 280,000 steps with more"
            " weight on the squared error"
        ),
        hub="stabilityai/sd-vae-ft-mse",
        file="vae-ft-mse-840000-ema-pruned.safetensors",
        file_hub="stabilityai/sd-vae-ft-mse-original",
        **IMPROVED,
    ),
    "sd-vae-ft-ema": Decoder(
        title=(
            "the better decoder of October 2022, sharp: the original, then 313,198 steps with the"
            " same loss"
        ),
        hub="stabilityai/sd-vae-ft-ema",
        file="vae-ft-ema-560000-ema-pruned.safetensors",
        file_hub="stabilityai/sd-vae-ft-ema-original",
        **IMPROVED,
    ),
}


@dataclass(frozen=True)
class Vae:
    """Where a VAE is: a folder with its config.json, or a single file that another model's config.json describes."""

    path: Path
    config: Path

    @property
    def files(self) -> list[tuple[str, Path]]:
        """(a name that does not tell the place, the file) of all that makes its pictures."""
        if self.path.is_file():
            return [("vae", self.path)]
        return [
            ("config.json", self.config),
            *((file.name, file) for file in vae_weights(self.path)),
        ]


def own_vae(model: Model) -> Vae:
    """A model's own VAE, in its folder or file."""
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
        require_model(text, model := MODELS[text])
        if (place := model.located(text)) is None:
            raise FileNotFoundError(how_to_get(text, model))
        vae = own_vae(dataclasses.replace(model, path=place))
    elif text in VAES and (place := VAES[text].located(text)) is None:
        raise FileNotFoundError(absent(text, VAES[text]))
    else:
        vae = vae_at(text, place if text in VAES else Path(text).expanduser(), own)
    require_fit(text, vae, own / "vae/config.json")
    return vae


def vae_at(text: str, place: Path, own: Path) -> Vae:
    """The VAE in a folder, in a model's folder, or in a file."""
    place = (
        place.parent
        if place.name in VAE_WEIGHTS and (place.parent / "config.json").is_file()
        else place
    )
    folder = place / "vae" if (place / "vae/config.json").is_file() else place
    if place.is_file():
        return Vae(place.resolve(), own / "vae/config.json")
    if is_vae(folder):
        return Vae(folder.resolve(), folder.resolve() / "config.json")
    if place.is_dir():
        raise FileNotFoundError(
            f"vae={text!r}: {folder} holds no VAE in diffusers' layout, which is a config.json and"
            " a diffusion_pytorch_model.safetensors"
        )
    raise FileNotFoundError(
        f"vae={text!r} is not here; it is a name in sdlab.models.vaes.VAES ({', '.join(VAES)}) or"
        " in MODELS, a folder, or a single file"
    )


def require_fit(text: str, vae: Vae, own: Path) -> None:
    """Refuses a VAE whose latents are of another size than those of the model."""
    mine, wanted = (read_json(config) for config in (vae.config, own))
    if vae.path.is_file():
        return require_file_fits(text, vae.path, mine)
    for fact, value in (("latent_channels", 4), ("block_out_channels", (0,) * 4)):
        a, b = mine.get(fact, value), wanted.get(fact, value)
        if (a != b) if fact == "latent_channels" else len(a) != len(b):
            raise ValueError(
                f"vae={text!r} does not fit the model: its {fact} is {a}, the model's is {b}"
            )


def require_file_fits(text: str, path: Path, config: dict[str, Any]) -> None:
    """The same for a single file, by the shapes in its head."""
    try:
        require_suffix(path)
        found = {name.removeprefix(VAE): shape for name, shape in read_shapes(path).items()}
    except ValueError as error:
        raise ValueError(f"vae={text!r}: {error}") from None
    levels = {
        int(number[1]) for name in found if (number := re.match(r"decoder\.up\.(\d+)\.", name))
    }
    if "decoder.conv_in.weight" not in found or not levels:
        raise ValueError(
            f"vae={text!r}: {path} holds no VAE with the names of the original release, such as "
            f"{VAE}decoder.up.0.block.0.conv1.weight"
        )
    widths, shape = config["block_out_channels"], found["decoder.conv_in.weight"]
    wanted = (widths[-1], config.get("latent_channels", 4), 3, 3)
    if shape != wanted or len(levels) != len(widths):
        raise ValueError(
            f"vae={text!r} does not fit the model: its decoder.conv_in.weight is {shape}, with"
            f" {len(levels)} levels; that of the model's own is {wanted}, with {len(widths)}"
        )


def absent(name: str, row: Decoder) -> str:
    """The message for a VAE that is not on this machine."""
    return (
        f"vae={name!r} ({row.title}) is not on this machine, and sdlab downloads nothing. To get"
        f" it, about {row.gigabytes:g} GB, licence {row.licence}: `hf download {row.hub}"
        f" config.json {VAE_WEIGHTS[0]}` or `hf download {row.file_hub} {row.file}`; then it is found"
        f" in the cache. If you have it, give its path as vae=, or put it, named {name!r} or as on"
        f" the hub, into the folder that the environment variable {VARIABLE} names"
    )
