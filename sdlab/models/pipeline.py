"""Loads a model as a diffusers pipeline on this machine: device, number format, one at a time."""

from __future__ import annotations

import dataclasses
import functools
import logging
import platform
import weakref
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..recipe.collector import pause_collector
from ..recipe.request import Recipe, Request
from ..recipe.schedulers import INHERITED, parse_scheduler
from .calls import Call
from .checkpoint import open_single_file, read_depth_processor, read_tokenizer
from .configuration import read_json
from .exchange import OwnParts, add_words, exchange_parts
from .fit import find_class, require_weights_fit
from .locate import name_tokenizer, tell_variant
from .machine import dtype_for, lanes_here, memory_format_here, read_processor_name, winograd_here
from .memory import LEVELS, has_own_memory, release, settle, split_rows, tile_vae
from .quiet import silence_libraries
from .resolve import Model, Native, Swaps
from .tasks import Task, choose_task, find_tasks

SINGLESTEP = "diffusers.schedulers.scheduling_dpmsolver_singlestep"  # what it logs as
UNSTATED = "_use_default_values"  # diffusers' list of what a configuration left out
_loaded: dict[tuple, Loaded] = {}  # at most one
_read: list[weakref.ref] = []  # UNets that may be in memory still


@dataclass(frozen=True)
class Loaded:
    """A pipeline in memory, and how it computes.

    Parameters
    ----------
    lanes, threads : int
        Batches at a time, and the processor threads of each.
    own : OwnParts
        What it came with, in whose place other parts may stand; nothing of a call's.
    winograd : bool
        Whether convolutions are computed by Winograd's algorithm.
    """

    pipe: Any
    device: str
    dtype: str
    memory_format: str
    lanes: int
    threads: int
    own: OwnParts
    memory: str = "auto"
    compiled: bool = False
    winograd: bool = False
    call: Call | None = None  # of diffusers', where sdlab has no loop of its own

    def choose_task(self, request: Request) -> Task:
        """Chooses what the request asks this model for."""
        if self.call:
            return self.call.task
        channels = self.pipe.unet.config.in_channels
        return choose_task(request, find_tasks(channels, type(self.pipe).__name__))

    def find_latent_size(self, request: Recipe) -> tuple[int, int]:
        """Finds (h, w) of a picture's latents."""
        factor = self.pipe.vae_scale_factor
        return request.height // factor, request.width // factor

    def exchange(self, swaps: Swaps) -> None:
        """Puts parts in place of the model's own, and its own back for the others."""
        if not self.call:
            with silence_libraries():
                exchange_parts(self.pipe, self.own, swaps)

    def settle(self, memory: str) -> Loaded:
        """Puts the pipeline on its device, as sparing as `memory` asks for."""
        settle(self.pipe, self.device, memory)
        if LEVELS[memory].alone and not self.call:
            self.pipe.unet.forward = split_rows(self.pipe.unet.forward)
        if LEVELS[memory].side_by_side:
            return self
        threads = self.lanes * self.threads
        return dataclasses.replace(self, memory=memory, lanes=1, threads=threads, winograd=False)

    def compile(self, wanted: bool) -> Loaded:
        """Has the UNet compiled at its next call, or computed as it is."""
        if self.call:
            return self
        unet = self.pipe.unet
        if not wanted:
            unet._compiled_call_impl = None  # torch has no other way back
        elif unet._compiled_call_impl is None:
            unet.compile(dynamic=False, fullgraph=True)  # or torch quietly leaves parts as they are
        return dataclasses.replace(self, compiled=wanted, winograd=self.winograd and not wanted)

    def use_winograd(self) -> AbstractContextManager:
        """Makes a context: while it lasts, this thread convolves as was chosen (see `Winograd`)."""
        from .winograd import Winograd

        return Winograd() if self.winograd else nullcontext()

    def scheduler(self, name: str) -> Any:
        """Makes a new scheduler of that name and its options (see `make_scheduler`)."""
        return make_scheduler(name, self.pipe.scheduler.config)


def make_scheduler(name: str, stated: Mapping[str, Any]) -> Any:
    """Makes a scheduler of that name and its options; a checkpoint's configuration says the rest.

    Of that configuration, only what is in `INHERITED` counts.
    """
    import diffusers

    kind, options = parse_scheduler(name)
    if kind == "PNDMScheduler":
        options["skip_prk_steps"] = True
    if kind == "DPMSolverSinglestepScheduler":  # it warns of a choice of its own, which is right
        logging.getLogger(SINGLESTEP).setLevel(logging.ERROR)
    kept = {key: value for key, value in stated.items() if key in (*INHERITED, UNSTATED)}
    return getattr(diffusers, kind).from_config(kept, **options)


def device_here() -> str:
    """Chooses the fastest device: an NVIDIA or AMD card ("cuda"), Apple's ("mps"), or "cpu"."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"  # "mps" was never tried


def load(
    own: Native, device: str | None = None, dtype: str | None = None, memory: str = "auto"
) -> Loaded:
    """Loads a model's pipeline with the parts in place of its own, and forgets another model's.

    Parts are exchanged in place: what an earlier call returned has them from then on, too.

    Parameters
    ----------
    device, dtype : str, optional
        Such as "cuda" and "float16"; by default what is fastest here for this model.
    memory : str
        A level, in `sdlab.models.memory.LEVELS`.

    Raises
    ------
    ValueError
        A file is not whole, weights do not fit their network, or a part does not fit the model.
    """
    device = device or device_here()
    dtype = dtype or dtype_for(device, own.layout)
    visiting = bool(LEVELS[memory].visiting) and has_own_memory(device)
    # while layers visit the card, parts are where they cannot be exchanged
    name = (own.weights, device, dtype, memory, *[own.swaps] * visiting)
    if name not in _loaded:
        require_weights_fit(own)
        unload()  # before the next one is read: two of them may not fit
        loaded = read(own.model, device, dtype)
        _read.append(weakref.ref(getattr(loaded.pipe, "unet", loaded.pipe)))
        if visiting:
            loaded.exchange(own.swaps)
        _loaded[name] = loaded.settle(memory)
    if not visiting:
        _loaded[name].exchange(own.swaps)
    whole = own.swaps.tiling is not None  # the edges of its tiles would be seen
    tile_vae(getattr(_loaded[name].pipe, "vae", None), memory, whole)  # whichever VAE it is now
    return _loaded[name]


def is_loaded(own: Native, device: str, dtype: str) -> bool:
    """Tells whether a model is in memory in that number format, whatever its parts."""
    return any(name[:3] == (own.weights, device, dtype) for name in _loaded)


def is_any_loaded() -> bool:
    """Tells whether a pipeline is in memory."""
    return bool(_loaded)


def unload() -> None:
    """Forgets the loaded pipeline, so that its memory is free."""
    _loaded.clear()
    if _read:
        release(cycles=any(unet() is not None for unet in _read))
        _read[:] = [unet for unet in _read if unet() is not None]


def read(model: Model, device: str, dtype: str) -> Loaded:
    """Reads a model's pipeline, still onto the CPU; nothing is downloaded."""
    import torch

    with silence_libraries():
        pipe = open_pipeline(model, getattr(torch, dtype))
    freeze_weights(pipe)
    if call := model.layout.call:
        if hasattr(pipe, "watermark"):
            pipe.watermark = None  # a request says whether there is a mark
        pipe.set_progress_bar_config(disable=True)
        nothing, cores = OwnParts(None, {}, {}, {}), torch.get_num_threads()  # for one call
        return Loaded(pipe, device, dtype, "contiguous_format", 1, cores, nothing, call=call)
    overflows = hasattr(pipe, "low_res_scheduler") or model.layout.is_xl  # says diffusers
    if dtype == "float16" and overflows and pipe.vae.config.force_upcast:
        pipe.vae.float()
    channels = pipe.unet.config.block_out_channels[0]
    memory_format = memory_format_here(device, channels, dtype)
    for part in (pipe.unet, pipe.vae):
        part.to(memory_format=getattr(torch, memory_format))
    lanes, threads = lanes_here(device, channels, dtype)
    own, winograd = OwnParts.of(pipe), winograd_here(device, channels, dtype)
    return Loaded(pipe, device, dtype, memory_format, lanes, threads, own, winograd=winograd)


def freeze_weights(pipe: Any) -> None:
    """Freezes the weights of all networks, as a LoRA's arrival does for good.

    torch takes another kernel for weights that want no gradient, inference or not: a cell after a
    LoRA would have other bits than before it.
    """
    for part in pipe.components.values():
        if hasattr(part, "requires_grad_"):
            part.requires_grad_(False)


def open_pipeline(model: Model, dtype: Any) -> Any:
    """Opens diffusers' pipeline of a model's folder or file, on the CPU."""
    import diffusers

    with pause_collector():
        kind = getattr(diffusers, model.layout.tasks[0].pipeline)
    if model.place.is_file():
        return open_single_file(model.place, model.configuration, dtype)
    index = read_json(model.place / "model_index.json")
    old = "DPTFeatureExtractor" in (index.get("feature_extractor") or ())
    given: dict[str, Any] = {"feature_extractor": None} if old else {}
    for part, named in index.items():
        if variant := isinstance(named, list) and tell_variant(model.place / part):
            given[part] = find_class(*named).from_pretrained(
                model.place / part, variant=variant, dtype=dtype, local_files_only=True
            )
    pipe = kind.from_pretrained(model.place, dtype=dtype, local_files_only=True, **given)
    if old:  # the class that checkpoints of 2022 name for their depth estimator is gone
        pipe.register_modules(feature_extractor=read_depth_processor(model.place))
    return pipe


def open_tokenizer(own: Native) -> Any:
    """Opens a model's tokenizer alone, with the tokens of its textual inversions; that is quick.

    Raises
    ------
    ValueError
        The model runs in a pipeline of diffusers' own, which reads prompts its own way.
    """
    if own.layout.call:
        raise ValueError(
            f"{own.layout.pipeline} reads prompts in its own way, perhaps by several text encoders;"
            " tokens are told of models of v1, v2 and SDXL alone"
        )
    part = name_tokenizer(own.layout.encoders[0].name)  # SDXL's two read the same tokens
    words = Swaps(embeddings=own.swaps.embeddings)
    return _tokenizer(own.model.configuration, part, own.weights, words)


@functools.lru_cache(8)
def _tokenizer(folder: Path, part: str, weights: str, swaps: Swaps) -> Any:
    with silence_libraries():
        own = read_tokenizer(folder, part)
        return add_words(own, swaps, len(own))


def machine_facts() -> dict[str, Any]:
    """Tells what can change a picture's bits besides its recipe: versions and processor."""
    import diffusers
    import torch
    import transformers

    capability = torch.backends.cpu.get_cpu_capability()
    system = f"{platform.system()} {platform.machine()}, {read_processor_name()}, {capability}"
    if torch.cuda.is_available():
        system += f", {torch.cuda.get_device_name()}"
    return {
        "sdlab_version": version("sdlab"),
        "torch_version": str(torch.__version__),
        "diffusers_version": diffusers.__version__,
        "transformers_version": transformers.__version__,
        "python_version": platform.python_version(),
        "machine": system,
    }
