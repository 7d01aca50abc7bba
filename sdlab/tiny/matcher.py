"""Reads a picture of a little world by templates: which background, and which objects stand where.

A template laid on the background explains some of the picture's difference from that background.
The one that explains most is the first object found; whatever overlaps it is dropped, and the next
one is looked for. All of it happens at 32x32, half the resolution of the first world, so that a
shift by a pixel does not matter.
"""

import functools
import random
from dataclasses import dataclass

import numpy as np
from PIL import Image

from .scenes import BACKGROUNDS, HORIZONS, SIZE, paint_background
from .sprites import COLORED_SHAPES, draw_sprite
from .world import COUNT_SIDE, PAIR_SIDE, SIDES, V1, World

TEMPLATE_SIDES = tuple(sorted({*SIDES.values(), PAIR_SIDE, COUNT_SIDE}))
HALF = SIZE // 2
LEAST_FIT = 0.45  # the part of the difference in its square that an object must explain
# and how much: squared difference in 0..1 units, summed over channels and half-size pixels
LEAST_GAIN = 0.6
DEPTH = 60  # placements of each size that are ranked
OVERLAP = 0.30  # of the smaller square; more, and the weaker of two finds is dropped


@dataclass(frozen=True, kw_only=True)
class FoundObject:
    """An object in a picture: name, centre and side in pixels of 64x64, and how well it fits.

    `fit` is the part (0..1) of the difference in its square that it explains.
    """

    name: str
    x: float
    y: float
    side: int
    fit: float


def halve(pixels: np.ndarray) -> np.ndarray:
    """Average each 2x2 pixels, (..., H, W, C) to (..., H/2, W/2, C)."""
    *front, h, w, c = pixels.shape
    return pixels.reshape(*front, h // 2, 2, w // 2, 2, c).mean((-4, -2))


def read_half_size(image: Image.Image | np.ndarray) -> np.ndarray:
    """Read a picture as (32, 32, 3) float32 in 0..1, brought to 64x64 first.

    Raises
    ------
    ValueError
        If an array is not (H, W, 3) uint8.
    """
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(
                f"got an array {image.shape} of {image.dtype}; give (H, W, 3) of uint8, or a PIL"
                " image"
            )
        image = Image.fromarray(image)
    image = image.convert("RGB")
    if image.size != (SIZE, SIZE):
        image = image.resize((SIZE, SIZE), Image.Resampling.LANCZOS)
    return halve(np.asarray(image, np.float32) / 255)


# ---- backgrounds


@functools.cache
def make_backgrounds(world: World) -> tuple[tuple[str, ...], np.ndarray]:
    """Make names and pictures (N, 32, 32, 3) of all backgrounds, a scene once for each horizon."""
    names, pictures = [], []
    for name in (*BACKGROUNDS, *world.scenes):
        groups: dict[float, list[np.ndarray]] = {}
        for seed in range(60):
            rng = random.Random(seed)
            picture = halve(paint_background(rng, name) / np.float32(255))
            horizon = (
                int(np.abs(np.diff(picture[10:24].mean((1, 2)))).argmax())
                if name in HORIZONS
                else 0
            )
            groups.setdefault(horizon, []).append(picture)
        names += [name] * len(groups)
        pictures += [np.median(group, 0) for group in groups.values()]
    return tuple(names), np.stack(pictures).astype(np.float32)


def fit_background(pixels: np.ndarray, world: World = V1) -> tuple[str, np.ndarray]:
    """Find the background's name, and its picture (32, 32, 3) in the colour that it has here."""
    names, pictures = make_backgrounds(world)
    distances = np.abs(pictures - pixels).sum(-1).reshape(len(names), -1)
    best = int(np.quantile(distances, 0.4, axis=1).argmin())
    near = distances[best] <= np.quantile(distances[best], 0.4)
    offset = np.median((pixels - pictures[best]).reshape(-1, 3)[near], 0)
    return names[best], pictures[best] + offset


def find_background(image: Image.Image | np.ndarray, world: World = V1) -> str:
    """Find the name of the plain colour or scene that most of the picture shows."""
    return weigh_background(image, world)[0]


def weigh_background(image: Image.Image | np.ndarray, world: World = V1) -> tuple[str, float]:
    """Find the background's name, and how far the picture is from it.

    That is the difference, summed over channels in 0..1, that 40% of the pixels stay below.
    """
    pixels = read_half_size(image)
    name, ground = fit_background(pixels, world)
    return name, float(np.quantile(np.abs(pixels - ground).sum(-1), 0.4))


# ---- objects


def list_objects(world: World) -> tuple[str, ...]:
    """List everything that may stand in a picture of the world."""
    return *world.names, *COLORED_SHAPES


@functools.cache
def make_kernels(side: int, world: World) -> tuple[np.ndarray, np.ndarray]:
    """Make what to correlate with a picture's maps, (side/2 * side/2 * 8, objects); and energies.

    With d = picture - background b and a template of colours t and cover a, laying it on explains 2
    d.a(t - b) - a^2 (t - b)^2 of the squared difference; p = a t. The eight maps are d, d.b, b and
    b.b.
    """
    rgba = np.stack(
        [np.asarray(draw_sprite(name, side), np.float32) / 255 for name in list_objects(world)]
    )
    cover = rgba[..., 3:]
    both = halve(np.concatenate([rgba[..., :3] * cover, cover], -1))
    p, a = both[..., :3], both[..., 3:]
    stacked = np.concatenate([2 * p, -2 * a, 2 * a * p, -a * a], -1)  # (objects, side/2, side/2, 8)
    return stacked.reshape(len(rgba), -1).T.copy(), (p**2).sum((1, 2, 3))


def stack_windows(maps: np.ndarray, n: int) -> np.ndarray:
    """Stack all n x n windows of (32, 32, C) maps as rows, (places, n * n * C)."""
    view = np.lib.stride_tricks.sliding_window_view(maps, (n, n), (0, 1))  # (33-n, 33-n, C, n, n)
    return view.transpose(0, 1, 3, 4, 2).reshape((HALF + 1 - n) ** 2, -1)


def weigh_candidates(
    pixels: np.ndarray, ground: np.ndarray, side: int, world: World
) -> tuple[np.ndarray, np.ndarray]:
    """Compute gain and fit of every object at every place, each (places, objects)."""
    d, n = pixels - ground, side // 2
    maps = np.concatenate(
        [d, (d * ground).sum(-1, keepdims=True), ground, (ground**2).sum(-1, keepdims=True)], -1
    )
    weights, energy = make_kernels(side, world)
    gain = stack_windows(maps, n) @ weights - energy
    difference = stack_windows((d**2).sum(-1, keepdims=True), n).sum(-1, keepdims=True)
    return gain, gain / (difference + 1e-3)


def compute_overlap(a: FoundObject, b: FoundObject) -> float:
    """Compute the common part of two squares, as a part of the smaller one."""
    across, down = ((a.side + b.side) / 2 - abs(p - q) for p, q in ((a.x, b.x), (a.y, b.y)))
    shorter = min(a.side, b.side)
    return max(0, min(across, shorter)) * max(0, min(down, shorter)) / shorter**2


def rank_placements(
    pixels: np.ndarray, ground: np.ndarray, world: World
) -> list[tuple[float, FoundObject]]:
    """Rank the most convincing placements of all sizes, best first, as (score, object)."""
    out, names = [], list_objects(world)
    for side in TEMPLATE_SIDES:
        gain, fit = weigh_candidates(pixels, ground, side, world)
        score = np.where((gain > LEAST_GAIN) & (fit > LEAST_FIT), gain * fit**2, 0)
        best = score.max(1)  # one object for each place is enough: the others overlap it
        for place in np.argsort(-best)[:DEPTH]:
            if best[place] > 0:
                row, column = divmod(int(place), HALF + 1 - side // 2)
                k = int(score[place].argmax())
                out.append(
                    (
                        float(best[place]),
                        FoundObject(
                            name=names[k],
                            x=2 * column + side / 2,
                            y=2 * row + side / 2,
                            side=side,
                            fit=round(float(fit[place, k]), 3),
                        ),
                    )
                )
    return sorted(out, key=lambda pair: -pair[0])


def find_objects(image: Image.Image | np.ndarray, world: World = V1) -> list[FoundObject]:
    """Find the emoji and coloured shapes in a picture, the most convincing first.

    About 10 ms a picture. It knows the world's own sprites, upright and in their own sizes, and
    nothing else: a blur that no template explains to 45% is no object.
    """
    pixels = read_half_size(image)
    _, ground = fit_background(pixels, world)
    kept: list[FoundObject] = []
    for _, found in rank_placements(pixels, ground, world):
        if all(compute_overlap(found, other) <= OVERLAP for other in kept):
            kept.append(found)
    return kept


Point = tuple[float, float]


def is_placed(first: Point, second: Point, relation: str) -> bool:
    """Tell whether one centre is "left of", "right of", "above" or "below" another.

    It lies more than 6 of 64 pixels to that side, and no further to another one.
    """
    dx, dy = (there - here for here, there in zip(first, second))
    apart = {"left of": dx, "right of": -dx, "above": dy, "below": -dy}[relation]
    return apart > 6 and apart >= max(abs(dx), abs(dy))
