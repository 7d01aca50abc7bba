"""A cell rendered once more under watch: what each step predicts, and where each word acts.

Watching reads what the loop computes and changes none of it: the attention maps are computed beside
the network, from what its layers are given, so that the picture keeps its bits. What is kept does
not grow with the number of steps, but for one row of numbers each: neighbouring steps share one of
`MOMENTS` moments, and a map is a running mean of at most `SIDE` x `SIDE`.

What sdlab renders in a loop of its own can be watched: all layouts, SDXL's and its refiner's among
them, but the x2 upscaler of latents.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from ..models.pipeline import Loaded, load
from ..models.resolve import native, swap_parts
from ..recipe.request import Recipe
from .denoise import Step, clean_latents
from .options import rendering
from .renderer import Picture, Renderer, decode
from .sketch import draw_sketch, find_colours

MOMENTS = 24  # a run of more steps has several in one
SIDE = 32  # of a kept map; those of larger layers are averaged down
Size = tuple[int, int]


@dataclass(frozen=True)
class Moment:
    """What one step, or the last of some neighbouring ones, believed; arrays are float32.

    Parameters
    ----------
    first, last : int
        The steps, from 0.
    noise : float
        The share of noise in what the network was given, 0 to 1: sqrt(1 - a) of arXiv 2010.02502.
    noisy, without, with_text, guided : array (C, h, w)
        What the network was given, and the clean latents that it implies with guidance 0, 1, and
        the cell's own.
    direction : array (h, w)
        How strong the prompt's direction is, at most `SIDE` x `SIDE`: the mean over the moment's
        steps of the length of eps_c - eps_u over channels.
    """

    first: int
    last: int
    noise: float
    noisy: np.ndarray
    without: np.ndarray
    with_text: np.ndarray
    guided: np.ndarray
    direction: np.ndarray


@dataclass(frozen=True)
class Trace:
    """What was seen of a cell.

    Parameters
    ----------
    picture : Picture
    steps : list of dict
        Numbers of each step.
    moments : list of Moment
    maps : dict
        {(height, width) of the layers: array (moments, groups, h, w)}: the share of attention that
        each place pays to each group of tokens, averaged over the heads and layers of that size;
        empty where nothing in the network attends to a text.
    colours : array (C + 1, 3)
        The linear map from latents to colours.
    ends : two pictures
        The first and the last belief, decoded by the VAE.
    threads : int
        Of the processor, which shared each call.
    winograd : bool
        Whether convolutions were computed by Winograd's algorithm.
    memory_format : str
    """

    picture: Picture
    steps: list[dict[str, float]]
    moments: list[Moment]
    maps: dict[Size, np.ndarray]
    colours: np.ndarray
    ends: tuple[Image.Image, Image.Image]
    threads: int
    winograd: bool
    memory_format: str

    def sketch(self, latents: np.ndarray) -> Image.Image:
        """Draws latents (C, h, w) by the linear map, as large as the picture, 128 pixels at most.

        Those of the ends are not decoded here.
        """
        tensors = torch.from_numpy(latents), torch.from_numpy(self.colours)
        return draw_sketch(*tensors, *self.ends[1].size)


class Watcher:
    """What is told of the steps of one cell, the first of its batch, and keeps what they show.

    Parameters
    ----------
    groups : sequence of int
        The group of each token that the network reads, from 0; tokens of one word share theirs, and
        what comes after the last counts as the last group.
    row : int
        Where in a call of the network the cell stands with its prompt.
    size : (int, int)
        Height and width of the latents.
    """

    def __init__(self, groups: Sequence[int], row: int, size: Size) -> None:
        self.groups, self.row, self.size = groups, row, size
        self.steps: list[dict[str, float]] = []
        self.moments: list[Moment] = []
        self.sums: dict[Size, np.ndarray] = {}  # (moments, groups, h, w)
        self.counts: dict[Size, np.ndarray] = {}  # (moments,)
        self._rows: dict[Any, int] = {}  # {layer: rows of this step that it was given}
        self._clean: torch.Tensor | None = None
        self._at = self._total = 0

    def begin_step(self, number: int, total: int, clean: Any = None) -> None:
        """Notes which step is next."""
        self._at, self._total = number, total
        self._rows.clear()

    @contextmanager
    def listen(self, unet: Any) -> Iterator[None]:
        """Has every layer that attends to a text tell what it is given."""
        from diffusers.models.attention_processor import Attention

        layers = [module for module in unet.modules() if isinstance(module, Attention)]
        hooks = [layer.register_forward_pre_hook(self._hear, with_kwargs=True) for layer in layers]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _hear(self, layer: Any, args: tuple, kwargs: dict[str, Any]) -> None:
        """Adds a layer's map of the watched row."""
        hidden = args[0] if args else kwargs["hidden_states"]
        text = args[1] if len(args) > 1 else kwargs.get("encoder_hidden_states")
        if text is None:
            return
        before = self._rows.get(layer, 0)
        self._rows[layer] = before + len(hidden)
        row = self.row - before
        if 0 <= row < len(hidden):
            self._add_map(attend(layer, hidden[row : row + 1], text[row : row + 1]))

    def _add_map(self, weights: torch.Tensor) -> None:
        """Adds attention (places, tokens) to the running mean of its layer's size."""
        own = find_layer_size(self.size, len(weights))
        of_groups = merge_tokens(weights, self.groups).T.reshape(1, -1, *own)
        height, width = (math.ceil(side / max(1, max(own) / SIDE)) for side in own)
        small = torch.nn.functional.adaptive_avg_pool2d(of_groups, (height, width))
        groups = small[0].cpu().numpy()
        if own not in self.sums:
            moments = min(self._total, MOMENTS)
            self.sums[own] = np.zeros((moments, *groups.shape), np.float32)
            self.counts[own] = np.zeros(moments, np.float32)
        moment = find_moment(self._at, self._total)
        self.sums[own][moment] += groups
        self.counts[own][moment] += 1

    def find_maps(self) -> dict[Size, np.ndarray]:
        """Finds the mean maps of each size."""
        return {
            size: total / self.counts[size][:, None, None, None]
            for size, total in self.sums.items()
        }

    def watch(self, step: Step) -> None:
        """Keeps what a step predicted of the watched cell."""
        noisy, begun, without, with_text, guided = (
            each[:1].float()
            for each in (step.scaled, step.begun, step.without, step.with_text, step.guided)
        )
        clean = [
            clean_latents(step.scheduler, noisy, each, step.t)
            for each in (begun, begun + with_text - without, guided)
        ]
        eps = [find_noise(step, noisy, each) for each in (without, with_text)]
        difference = eps[1] - eps[0]
        noise = float(1 - find_signal(step)) ** 0.5
        moved = math.nan if self._clean is None else measure_rms(clean[2] - self._clean)
        self._clean = clean[2]
        self.steps.append(
            {
                "step": step.number + 1,
                "moment": find_moment(step.number, step.total),
                "timestep": float(step.t),
                "noise": noise,
                "moved": moved,
                "without": measure_rms(eps[0]),
                "with_prompt": measure_rms(eps[1]),
                "direction": measure_rms(difference),
                "cosine": float(torch.cosine_similarity(eps[0].flatten(), eps[1].flatten(), dim=0)),
            }
        )
        self._keep_moment(step, noise, difference, [noisy, *clean])

    def _keep_moment(
        self, step: Step, noise: float, difference: torch.Tensor, latents: list[torch.Tensor]
    ) -> None:
        strength = difference.norm(dim=1, keepdim=True)  # (1, 1, h, w)
        height, width = (min(SIDE, side) for side in strength.shape[-2:])
        small = torch.nn.functional.adaptive_avg_pool2d(strength, (height, width))
        direction = small[0, 0].cpu().numpy()
        first, number = step.number, find_moment(step.number, step.total)
        if number < len(self.moments):
            before = self.moments.pop()
            first, steps = before.first, step.number - before.first
            direction = (before.direction * steps + direction) / (steps + 1)
        given, without, with_text, guided = (each[0].cpu().numpy() for each in latents)
        self.moments.append(
            Moment(first, step.number, noise, given, without, with_text, guided, direction)
        )


def find_moment(step: int, total: int) -> int:
    """Finds the moment, from 0, of a step."""
    return step if total <= MOMENTS else step * MOMENTS // total


def find_signal(step: Step) -> torch.Tensor:
    """Finds `a` at a step: the share of the picture in the square, as `clean_latents` takes it."""
    return step.scheduler.alphas_cumprod[round(float(step.t))]


def find_noise(step: Step, noisy: torch.Tensor, predicted: torch.Tensor) -> torch.Tensor:
    """Computes the noise (1, C, h, w) that a prediction implies, whatever it predicts."""
    kind, a = step.scheduler.config.prediction_type, find_signal(step).to(predicted)
    if kind == "epsilon":
        return predicted
    if kind == "v_prediction":  # arXiv 2202.00512
        return a.sqrt() * predicted + (1 - a).sqrt() * noisy
    return (noisy - a.sqrt() * predicted) / (1 - a).clamp(min=1e-4).sqrt()


def measure_rms(values: torch.Tensor) -> float:
    """Measures the root of the mean square."""
    return float(values.square().mean().sqrt())


def attend(layer: Any, hidden: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    """Computes what a layer's places attend to: (places, tokens), each row with the sum 1.

    The mean over the heads, in float32, of softmax(q k / sqrt(d)) as in diffusers' own processors.

    Parameters
    ----------
    layer : diffusers' Attention
    hidden : tensor (1, places, width) or (1, width, h, w)
    text : tensor (1, tokens, width)
    """
    if hidden.ndim == 4:
        hidden = hidden.flatten(2).transpose(1, 2)
    if layer.group_norm is not None:
        hidden = layer.group_norm(hidden.transpose(1, 2)).transpose(1, 2)
    if layer.norm_cross:
        text = layer.norm_encoder_hidden_states(text)
    q, k = (
        each[0].unflatten(-1, (layer.heads, -1)).transpose(0, 1)  # (heads, places or tokens, d)
        for each in (layer.to_q(hidden), layer.to_k(text))
    )
    q = q if layer.norm_q is None else layer.norm_q(q)
    k = k if layer.norm_k is None else layer.norm_k(k)
    return ((q.float() @ k.float().transpose(1, 2)) * layer.scale).softmax(-1).mean(0)


def find_layer_size(latents: Size, places: int) -> Size:
    """Finds height and width of a layer with so many places: each level halves, rounding up."""
    height, width = latents
    while height * width > places:
        height, width = -(-height // 2), -(-width // 2)
    if height * width != places:
        raise ValueError(
            f"a layer attends from {places} places, which no halving of {latents} latents has:"
            " where a word acts cannot be told for this network"
        )
    return height, width


def merge_tokens(weights: torch.Tensor, groups: Sequence[int]) -> torch.Tensor:
    """Adds up attention (places, tokens) to (places, groups)."""
    left = weights.shape[1] - len(groups)
    index = torch.tensor([*groups, *[groups[-1]] * left], device=weights.device)
    out = weights.new_zeros(len(weights), max(groups) + 1)
    return out.index_add_(1, index[: weights.shape[1]], weights)


# A cell rendered again


def trace_cell(cell: Recipe, groups: Sequence[int], facts: Mapping[str, Any]) -> Trace:
    """Renders a cell as its recorded facts say it was, and watches.

    Parameters
    ----------
    cell : Recipe
    groups : sequence of int
        See `Watcher`.
    facts : mapping
        `device`, `dtype`, `memory`, `batch_size`, `threads`, `winograd`; what is missing is as
        `load` has it.

    Raises
    ------
    ValueError
        The cell is made in diffusers' own pipeline, which cannot be watched.
    """
    with open_renderer(cell, facts) as renderer:
        loaded, size = renderer.loaded, renderer.batch_size(cell)
        task = loaded.choose_task(cell)
        if not task.start:
            raise ValueError(
                f"{cell.model!r} is rendered in diffusers' own pipeline, whose steps cannot be"
                " watched; give a cell of another task"
            )
        latents = loaded.find_latent_size(cell)
        watcher = Watcher(groups, (task.predictions - 1) * size, latents)
        with watcher.listen(loaded.pipe.unet):
            (picture,) = renderer.draw_pictures([cell], watcher.begin_step, watch=watcher.watch)
        ends = [decode_alone(loaded, watcher.moments[i].guided) for i in (0, -1)]
        colours = find_colours(loaded.pipe.vae).numpy()
    maps, both = watcher.find_maps(), (ends[0], ends[1])
    how = loaded.threads, loaded.winograd, loaded.memory_format
    return Trace(picture, watcher.steps, watcher.moments, maps, colours, both, *how)


@contextmanager
def open_renderer(cell: Recipe, facts: Mapping[str, Any]) -> Iterator[Renderer]:
    """Opens what renders a cell as a lane of `run` does, while no job renders.

    The UNet is computed layer by layer, for a compiled one has no layers to be watched. Recorded
    threads that are more than this machine has are left out.
    """
    threads = torch.get_num_threads()
    with rendering:
        own = swap_parts(native(cell.model), cell)
        how = facts.get("device"), facts.get("dtype"), facts.get("memory") or "auto"
        loaded = load(own, *how).compile(False)
        if 0 < (wanted := int(facts.get("threads") or 0)) <= (os.cpu_count() or 1):
            loaded = dataclasses.replace(loaded, lanes=1, threads=wanted)
        if "winograd" in facts:
            wanted = bool(facts["winograd"]) and loaded.winograd
            loaded = dataclasses.replace(loaded, winograd=wanted)
        try:
            torch.set_num_threads(loaded.threads)
            yield Renderer(loaded, facts.get("batch_size"))
        finally:
            torch.set_num_threads(threads)


@torch.inference_mode()
def decode_alone(loaded: Loaded, latents: np.ndarray) -> Image.Image:
    """Decodes latents (C, h, w) to a picture, with no mark and no check."""
    batch = torch.from_numpy(latents)[None].to(loaded.device)
    with loaded.use_winograd():
        pixels = decode(loaded.pipe.vae, batch, 1)[0].nan_to_num().permute(1, 2, 0)
    return Image.fromarray((pixels * 255).round().to(torch.uint8).cpu().numpy())
