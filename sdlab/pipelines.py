"""A model's folder becomes a diffusers pipeline on this machine: device, number format, one loaded at a time."""
from __future__ import annotations

import functools
import os
import platform
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .models import Model, Native

NARROW = 128  # channels; threads that share the small kernels of a narrower UNet mostly wait for each other
_loaded: dict[tuple, Loaded] = {}  # at most one


@dataclass(frozen=True)
class Loaded:
    """A pipeline in memory, and how it computes: `lanes` batches at a time, each on `threads` processor threads."""

    pipe: Any
    device: str
    dtype: str
    memory_format: str
    lanes: int
    threads: int

    def scheduler(self, name: str) -> Any:
        """A new scheduler of that class, from the checkpoint's own configuration (prediction type, betas)."""
        import diffusers

        extra = {"skip_prk_steps": True} if name == "PNDMScheduler" else {}
        return getattr(diffusers, name).from_config(self.pipe.scheduler.config, **extra)


def device_here() -> str:
    """The fastest device that torch finds."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def dtype_here(device: str) -> str:
    """The fastest number format that the device computes natively, float16 first: it is closest to float32."""
    import torch

    if device != "cpu":
        return "float16"
    has = torch.cpu.get_capabilities()
    if has.get("avx512_fp16") or has.get("amx_fp16"):
        return "float16"
    return "bfloat16" if has.get("avx512_bf16") or has.get("amx_bf16") else "float32"


def load(own: Native, device: str | None = None, dtype: str | None = None) -> Loaded:
    """The model's text-to-image pipeline; the one loaded before is forgotten, unless it is the same."""
    device = device or device_here()
    dtype = dtype or dtype_here(device)
    name = (own.weights, device, dtype)
    if name not in _loaded:
        _loaded.clear()  # before the next one is read: two of them may not fit
        _loaded[name] = read(own.model, device, dtype)
    return _loaded[name]


def unload() -> None:
    """Forgets the loaded pipeline, so that its memory is free."""
    _loaded.clear()


def read(model: Model, device: str, dtype: str) -> Loaded:
    """The pipeline from the model's folder; nothing is downloaded."""
    import torch

    with quiet():
        from diffusers import StableDiffusionPipeline

        pipe = StableDiffusionPipeline.from_pretrained(
            Path(model.path), dtype=getattr(torch, dtype), local_files_only=True)
    narrow = pipe.unet.config.block_out_channels[0] < NARROW
    contiguous = device == "cpu" and (narrow or dtype == "float32")  # channels_last would be slower there
    memory_format = "contiguous_format" if contiguous else "channels_last"
    for part in (pipe.unet, pipe.vae):
        part.to(memory_format=getattr(torch, memory_format))
    cores = torch.get_num_threads()
    lanes, threads = (cores, 1) if device == "cpu" and narrow else (1, cores)
    return Loaded(pipe.to(device), device, dtype, memory_format, lanes, threads)


@contextmanager
def quiet():
    """Loading without the libraries' progress bars and notes, which say nothing about the experiment."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    import diffusers.utils.logging
    import transformers.utils.logging

    sides = diffusers.utils.logging, transformers.utils.logging
    before = [side.get_verbosity() for side in sides]
    for side in sides:
        side.set_verbosity_error()
        side.disable_progress_bar()
    try:
        yield
    finally:
        for side, level in zip(sides, before):
            side.set_verbosity(level)
            side.enable_progress_bar()


@functools.lru_cache(8)
def tokenizer(folder: Path) -> Any:
    """The model's tokenizer alone, which is quick to read."""
    with quiet():
        from transformers import CLIPTokenizer

        return CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)


def machine_facts() -> dict[str, Any]:
    """What can change the bits of a picture besides its recipe: versions and processor."""
    import diffusers
    import torch
    import transformers

    from . import __version__

    system = f"{platform.system()} {platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"
    return {"sdlab_version": __version__, "torch_version": str(torch.__version__),
            "diffusers_version": diffusers.__version__, "transformers_version": transformers.__version__,
            "python_version": platform.python_version(), "machine": system}
