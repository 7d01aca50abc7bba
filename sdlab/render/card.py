"""How many cells of a plan a graphics card computes at once: those that pay and have room."""

from __future__ import annotations

import time
from functools import partial

import torch

from ..models.machine import finish_calls
from ..models.memory import is_out_of_memory, release
from ..models.pipeline import Loaded
from ..models.resolve import Native
from ..recipe.request import Recipe
from .batch_size import DECODED_ON_CARD, count_paying, describe_batches, fit_plan
from .budget import BYTES, Sizes, count_resident, estimate_bytes, find_free, read_sizes

TOKENS = 77  # of a text


def choose_batch(
    loaded: Loaded, own: Native, request: Recipe, plan: int, limit: int | None = None
) -> int:
    """Chooses the cells of a batch for a plan of so many like cells, with a limit in bytes."""
    task, factor = loaded.choose_task(request), loaded.pipe.vae_scale_factor
    if not task.start:
        return 1
    size = request.height // factor, request.width // factor
    name = describe_batches(
        loaded.device,
        loaded.pipe.unet.config.block_out_channels[0],
        loaded.dtype,
        loaded.memory_format,
        size,
    )
    cells = fit_plan(count_paying(name, partial(time_call, loaded, task.predictions, size)), plan)
    room, sizes = find_free(loaded.device), read_sizes(own.model)
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


@torch.inference_mode()
def time_call(loaded: Loaded, predictions: int, size: tuple[int, int], cells: int) -> float | None:
    """Times a call of the UNet for so many cells of latents (h, w); None without room for it."""
    unet = loaded.pipe.unet
    rows, fill = predictions * cells, partial(torch.zeros, dtype=unet.dtype, device=loaded.device)
    sample = fill((rows, unet.config.in_channels, *size))
    text = fill((rows, TOKENS, unet.config.cross_attention_dim))
    labelled = unet.config.num_class_embeds is not None
    labels = torch.zeros(rows, dtype=torch.long, device=loaded.device) if labelled else None
    seconds = []
    try:
        for _ in range(2):  # the first takes longer
            finish_calls(loaded.device)
            begun = time.perf_counter()
            unet(sample, 1, encoder_hidden_states=text, class_labels=labels, return_dict=False)
            finish_calls(loaded.device)
            seconds.append(time.perf_counter() - begun)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    if len(seconds) < 2:
        release()
        return None
    return min(seconds)
