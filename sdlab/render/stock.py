"""Cells of models without a loop of sdlab's: diffusers' own call makes the pictures.

Each cell has a generator of its own on the CPU. By default a call makes one picture, which so
depends on nothing else: many classes pad the prompts of a batch to the longest, and then a cell's
last bits follow from its neighbours. Where a batch is asked for, they are recorded.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch

from ..models.calls import MAPPED, PROMPT, Call
from ..models.pipeline import Loaded
from ..recipe.request import SPECS, Recipe
from ..recipe.schedulers import normalize_scheduler
from .denoise import OnStep
from .renderer import Picture, finish_picture

LOGGER = "diffusers"
UNTOLD = re.compile(r"<[^>]* at 0x[0-9a-f]+>")


class StockRenderer:
    """Pictures from the call of a loaded pipeline; it is used as `renderer.Renderer` is.

    Parameters
    ----------
    loaded : Loaded
        A pipeline with a `call`.
    batch_size : int, optional
        Pictures in a call; one by default.
    """

    def __init__(self, loaded: Loaded, batch_size: int | None = None) -> None:
        assert loaded.call is not None
        self.loaded, self.call, self._given = loaded, loaded.call, batch_size or 1

    def batch_size(self, request: Recipe) -> int:
        """Counts the cells that share a call."""
        return self._given

    def drop_text_encoder(self, requests: Sequence[Recipe]) -> bool:
        """Takes nothing out of the pipeline, as its call encodes the prompts."""
        return False

    def draw_pictures(
        self,
        requests: Sequence[Recipe],
        on_step: OnStep = lambda done, total, clean: None,
        latents: Sequence[np.ndarray] | None = None,
    ) -> list[Picture]:
        """Renders at most `batch_size` cells of a group (see `plan.group_cells`).

        A short batch is filled up with copies of its last cell. Nothing can begin with latents.
        """
        cells = [requests[min(i, len(requests) - 1)] for i in range(self._given)]
        first, pipe = cells[0], self.loaded.pipe
        with (
            exchange_scheduler(self.loaded, first.scheduler),
            hear_steps(pipe, self.call, first, on_step) as callbacks,
            hear_warnings() as said,
            torch.inference_mode(),
        ):
            made = pipe(**list_arguments(cells, self.call), **callbacks)
        told = "; ".join(dict.fromkeys(said)) or None
        if told:
            warnings.warn(f"{first.model}: diffusers says: {told}", RuntimeWarning, stacklevel=2)
        alone = len(cells) == 1
        facts = {"warned": told, "neighbours": None if alone else ", ".join(c.key for c in cells)}
        flags = getattr(made, "nsfw_content_detected", None) or [None] * len(cells)
        pixels = read_pixels(made, first)
        return [look_at(*each, facts) for each in zip(requests, pixels, flags)]


def list_arguments(cells: Sequence[Recipe], call: Call) -> dict[str, Any]:
    """Lists the arguments of a call: of one cell as values, of several as lists where they differ.

    What a request leaves neutral is left to the call, which may tell "" from nothing.
    """
    first, several = cells[0], len(cells) > 1
    found = {
        name: value
        for name in MAPPED
        if name in call.takes and (value := getattr(first, name)) not in (None, SPECS[name].neutral)
    }
    found |= call.read_options(first.options)
    generators = [torch.Generator("cpu").manual_seed(cell.seed) for cell in cells]
    for name in [*filter(PROMPT.fullmatch, found)] if several else ():
        found[name] = [getattr(cell, name, found[name]) for cell in cells]
    return found | {"generator": generators if several else generators[0], "output_type": "np"}


@contextmanager
def exchange_scheduler(loaded: Loaded, name: str) -> Iterator[None]:
    """Puts the scheduler of that name into the pipeline, unless it is the checkpoint's own."""
    own = getattr(loaded.pipe, "scheduler", None)
    stated = {**getattr(own, "config", {}), "_class_name": type(own).__name__}
    others = loaded.call and loaded.call.takes_scheduler(stated)
    if not others or name == normalize_scheduler(None, stated):
        yield
        return
    loaded.pipe.scheduler = loaded.scheduler(name)
    try:
        yield
    finally:
        loaded.pipe.scheduler = own


@contextmanager
def hear_steps(
    pipe: Any, call: Call, cell: Recipe, on_step: OnStep
) -> Iterator[dict[str, Callable[..., Any]]]:
    """Has `on_step` called before each call of a network, with the steps done if they are told.

    What it raises ends the pipeline's call: within a step, whatever the class. Steps are told by
    classes that take a callback; gives that as their argument.
    """
    steps = cell.num_inference_steps
    done = 0

    def before(*_: Any) -> None:
        on_step(done, steps, None)

    def after(i: int) -> None:
        nonlocal done
        done = min(i + 1, steps - 1)
        before()

    def end_step(pipe: Any, i: int, t: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        after(i)
        return tensors

    ways: dict[str, Callable[..., Any]] = {
        "callback_on_step_end": end_step,
        "callback": lambda i, t, latents: after(i),
    }
    with ExitStack() as hooks:
        for part in pipe.components.values():
            if isinstance(part, torch.nn.Module):
                hooks.callback(part.register_forward_pre_hook(before).remove)
        yield dict([(n, way) for n, way in ways.items() if n in call.takes][:1])


@contextmanager
def hear_warnings() -> Iterator[list[str]]:
    """Gathers what diffusers logs meanwhile as a warning, such as that it cuts a prompt short."""
    said: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(" ".join(UNTOLD.sub("an object", record.getMessage()).split()))

    logger, ear = logging.getLogger(LOGGER), Ear(logging.WARNING)
    before = logger.handlers[:]
    logger.handlers[:] = [ear]
    try:
        yield said
    finally:
        logger.handlers[:] = before


def read_pixels(made: Any, cell: Recipe) -> np.ndarray:
    """Reads the pictures (B, H, W, 3), 0 to 1, of what a call returned.

    Raises
    ------
    ValueError
        They are no pictures, or have another size than was asked for.
    """
    if not hasattr(made, "images"):
        raise ValueError(f"the pipeline made a {type(made).__name__}, and no pictures")
    pixels = np.stack([np.asarray(each) for each in made.images])
    if pixels.dtype == np.uint8:
        pixels = pixels / np.float32(255)
    if pixels.shape[1:] != (cell.height, cell.width, 3):
        size = "x".join(map(str, pixels.shape[1:]))
        raise ValueError(
            f"the pipeline made a picture of {size} where {cell.height}x{cell.width}x3 was asked"
            " for (height, width, colours); ask for sides that it can make"
        )
    return pixels.astype(np.float32)


def look_at(cell: Recipe, pixels: np.ndarray, nsfw: Any, facts: dict[str, Any]) -> Picture:
    """Looks at a picture (H, W, 3), as `Renderer` does at its own."""
    refused = None if nsfw is None else bool(nsfw)
    if not np.isfinite(pixels).all():
        return Picture(None, None, "not a number", facts=facts)
    levels = pixels * np.float32(255)
    lit = levels.round().any() or refused
    image = finish_picture(levels, cell.watermark)
    return Picture(image, refused, None if lit else "black", facts=facts)
