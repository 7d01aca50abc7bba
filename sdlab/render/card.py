"""What a graphics card gets of a plan: as many cells at once as pay and have room, and a compiler.

Written from figures of one H100, and tried with a clock and a memory that are told.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from ..models.free import find_free
from ..models.machine import finish_calls, recall_kept
from ..models.memory import has_own_memory, is_out_of_memory, release
from ..models.pipeline import Loaded
from ..models.resolve import Native
from ..models.sizes import Sizes, read_own_sizes
from ..models.tasks import count_calls
from ..recipe.request import Recipe
from .batch_size import DECODED_ON_CARD, count_paying, describe_batches, fit_plan
from .budget import BYTES, count_resident, estimate_bytes

TOKENS = 77  # of a text
COMPILING = 60.0  # seconds that it takes, about
SAVED = 0.15  # of the time of a call, at least, by compiling


def choose_batch(
    loaded: Loaded, own: Native, request: Recipe, plan: int, limit: int | None = None
) -> int:
    """Chooses the cells of a batch for a plan of so many like cells, with a limit in bytes."""
    if not loaded.choose_task(request).start:
        return 1

    def time_batch(cells: int) -> float | None:
        return time_call(loaded.compile(False), request, cells)  # an earlier run may have left it

    cells = fit_plan(count_paying(name_times(loaded, request), time_batch), plan)
    room, sizes = find_free(loaded.device), read_own_sizes(own)
    if limit:
        weights = count_resident(sizes, loaded.memory, loaded.device) * BYTES[loaded.dtype]
        room = min(room, limit - weights)
    while cells > 1 and room < estimate_activations(loaded, sizes, request, cells):
        cells //= 2
    return cells


def estimate_activations(loaded: Loaded, sizes: Sizes, request: Recipe, cells: int) -> int:
    """Estimates the bytes that a batch of so many cells takes beside the weights."""
    return estimate_bytes(
        sizes,
        request.height,
        request.width,
        dtype=loaded.dtype,
        cells=cells,
        lanes=1,
        memory=loaded.memory,
        decoded=DECODED_ON_CARD,
    )[1]


def name_times(loaded: Loaded, request: Recipe) -> str:
    """Names the times that are kept of batches on this card."""
    unet = loaded.pipe.unet
    own = [each for name, each in unet.named_parameters() if "lora_" not in name]
    return describe_batches(
        loaded.device,
        unet.config.block_out_channels[0],
        parameters=sum(each.numel() for each in own),
        rows=loaded.choose_task(request).predictions,
        dtype=loaded.dtype,
        order=loaded.memory_format,
        size=loaded.find_latent_size(request),
    )


def compiling_pays(loaded: Loaded, request: Recipe, cells: int) -> bool:
    """Tells whether compiling is quicker for so many cells, by the times that were measured."""
    if loaded.memory != "auto" or not has_own_memory(loaded.device):
        return False  # on a processor it saved nothing, where it was tried
    times = recall_kept(name_times(loaded, request)).values()
    calls = count_calls(request.scheduler, request.strength, request.num_inference_steps)
    return bool(times) and min(times) * calls * cells * SAVED > COMPILING


def try_call(loaded: Loaded, request: Recipe, cells: int) -> Exception | None:
    """Calls the UNet once for so many cells, which compiles it; returns what is raised."""
    try:
        if time_call(loaded, request, cells) is None:
            return MemoryError("no memory to compile the UNet")
    except Exception as error:
        return error
    return None


def fill_added(
    pipe: Any, fill: Callable[..., torch.Tensor], rows: int
) -> dict[str, torch.Tensor] | None:
    """Fills what SDXL's UNet reads beside the words, for so many rows; None for others."""
    config = pipe.unet.config
    if config.addition_embed_type != "text_time":
        return None
    told = 5 if getattr(pipe.config, "requires_aesthetics_score", False) else 6
    width = config.projection_class_embeddings_input_dim - told * config.addition_time_embed_dim
    ids = fill((rows, told), dtype=torch.float32)
    return {"text_embeds": fill((rows, width)), "time_ids": ids}


@torch.inference_mode()
def time_call(loaded: Loaded, request: Recipe, cells: int) -> float | None:
    """Times a call of the UNet for so many cells like a request; None without room for it."""
    unet, scheduler = loaded.pipe.unet, loaded.scheduler(request.scheduler)
    scheduler.set_timesteps(request.num_inference_steps)
    step = scheduler.timesteps[0].to(loaded.device)  # of the type that the loop gives
    rows = loaded.choose_task(request).predictions * cells
    fill = partial(torch.zeros, dtype=unet.dtype, device=loaded.device)
    sample = fill((rows, unet.config.in_channels, *loaded.find_latent_size(request)))
    text = fill((rows, TOKENS, unet.config.cross_attention_dim))
    labelled = unet.config.num_class_embeds is not None
    labels = torch.zeros(rows, dtype=torch.long, device=loaded.device) if labelled else None
    more = {"class_labels": labels, "added_cond_kwargs": fill_added(loaded.pipe, fill, rows)}
    seconds = []
    try:
        for _ in range(2):  # the first takes longer
            finish_calls(loaded.device)
            begun = time.perf_counter()
            unet(sample, step, encoder_hidden_states=text, return_dict=False, **more)
            finish_calls(loaded.device)
            seconds.append(time.perf_counter() - begun)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    if len(seconds) < 2:
        release()
        return None
    return min(seconds)
