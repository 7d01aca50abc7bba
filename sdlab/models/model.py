"""A `Model`: one row of facts about a checkpoint, and where it is on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .configuration import Layout, find_configuration, read_layout
from .locate import locate_model


@dataclass(frozen=True, kw_only=True)
class Model:
    """A row of facts about a checkpoint.

    Parameters
    ----------
    path : str or Path, optional
        A folder in diffusers' layout (of v1, v2 and SDXL: txt2img, inpainting, guided by depth,
        upscalers; any other pipeline of diffusers that makes a picture of a text), or a single
        .safetensors or .ckpt file of v1, v2 or SDXL. Without it sdlab looks for what `hub`, `was`
        and `file` name, on this machine.
    config : str or Path, optional
        For a single file: a folder with the model_index.json, configurations and tokenizer that
        belong to it, if they are not those of v1, v2-base, v2-768, of inpainting, of SDXL or its
        refiner, which come with sdlab. A single file guided by depth, or of an upscaler, needs it;
        a depth estimator is read from there, too.
    title, licence, source : str
        For people.
    text_encoder, trained_on : str
        For comparisons: what reads the prompt, and which pictures the model has learned from, in a
        short phrase each; "" if that is not known.
    watermark : str, optional
        The payload that its official script wrote into every picture, a name in
        `sdlab.watermark.PAYLOADS`; None if there is none, or none is known.
    guidance_scale, num_inference_steps : float, int, optional
        The native values, which a request that leaves them open gets; without them, those of
        diffusers' call (7.5 and 50 for v1 and v2).
    seconds_per_step : float, optional
        A picture's share of one denoising step on two CPU cores, for the first estimate of all.
    task : str
        What the model is made for: "txt2img", "inpaint", "depth2img", "upscale",
        "latent_upscale", "edit" or "refine".
    native_size : int, optional
        Height and width in pixels; for an upscaler those of the picture that goes in.
    prediction_type : str
        "epsilon" or "v_prediction"; "" if that is not known. It decides how a single file of v2 is
        read.
    hub : str
        The repository on the Hugging Face hub that has it in diffusers' layout, "owner/name"; "" if
        none is known.
    unofficial : bool
        That repository is a copy by somebody else than the authors.
    file, file_hub : str
        What the authors' single file is called, and a repository that has it; "" if there is none,
        or none is known.
    was : tuple of str
        Repositories that have the same weights, or had them.
    halves : tuple of str
        Repositories of Kandinsky's prior and decoder, which have to be put together.
    packed : str
        The folder of `sdlab.models.configs` that has the configuration of its networks; "" if none.
    gigabytes : float, optional
        About what is to be downloaded.
    unsupported : str
        Why this version of sdlab cannot run it; "" if it can.
    """

    path: str | Path | None = None
    config: str | Path | None = None
    title: str = ""
    text_encoder: str = ""
    trained_on: str = ""
    guidance_scale: float | None = None
    num_inference_steps: int | None = None
    licence: str = ""
    source: str = ""
    watermark: str | None = None
    seconds_per_step: float | None = None
    task: str = "txt2img"
    native_size: int | None = None
    prediction_type: str = ""
    hub: str = ""
    unofficial: bool = False
    file: str = ""
    file_hub: str = ""
    was: tuple[str, ...] = ()
    halves: tuple[str, ...] = ()
    packed: str = ""
    gigabytes: float | None = None
    unsupported: str = ""

    @classmethod
    def from_path(cls, path: str | Path, **facts: Any) -> Model:
        """Makes the row of a diffusers folder, or of a .safetensors or .ckpt file.

        Parameters
        ----------
        **facts
            The other fields of the row.

        Raises
        ------
        FileNotFoundError, ValueError
            At once, if it is not there, not whole, or not of a kind that sdlab runs. Nothing of a
            pickle is run.
        """
        model = cls(path=Path(path).expanduser(), **facts)
        found = model.layout.prediction_type
        if model.prediction_type not in ("", found):
            raise ValueError(
                f"prediction_type={model.prediction_type!r}, but scheduler_config.json of {path}"
                f" says {found!r}"
            )
        return model

    @property
    def place(self) -> Path:
        """Its folder or file. `sdlab.models.resolve.find` gives a model that has one."""
        if self.path is None:
            raise ValueError(f"{self.title or 'this model'} has no path; Model.from_path gives one")
        return Path(self.path).expanduser().absolute()  # in the hub's cache, links name the kind

    @property
    def configuration(self) -> Path:
        """The folder of JSON files that belongs to it."""
        return find_configuration(self.place, self.config, self.prediction_type)

    @property
    def layout(self) -> Layout:
        """What its files say; an error says what is missing or cannot be run."""
        return read_layout(self.place, self.configuration)

    @property
    def hubs(self) -> tuple[str, ...]:
        """All repositories that have it or had it."""
        return tuple(dict.fromkeys(filter(None, (self.hub, self.file_hub, *self.was))))

    def locate(self, name: str) -> Path | None:
        """Finds the model on this machine; None if it is not here. `name` is the row's."""
        if self.path is None:
            return locate_model(name, self.hubs, self.file)
        path = Path(self.path).expanduser()
        return path if path.exists() else None
