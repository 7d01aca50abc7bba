"""Paints the backgrounds of the little worlds, ten plain colours and nine scenes, and their depth.

What is random in a scene (clouds, stars, bubbles) stands on a grid of 4 pixels, the size of one
latent cell: a small autoencoder then sees each of them in one position only, and spends its few
parameters on the objects.
"""

import functools
import random
from collections.abc import Callable

import numpy as np

SIZE, GRID = 64, 4  # pixels of the first world's pictures, pixels of a latent cell
BACKGROUNDS = {
    "white": (250, 250, 250),
    "black": (22, 22, 26),
    "gray": (150, 152, 156),
    "red": (205, 62, 62),
    "orange": (240, 160, 80),
    "yellow": (248, 226, 110),
    "green": (110, 190, 110),
    "blue": (95, 150, 230),
    "purple": (160, 110, 205),
    "pink": (248, 180, 205),
}
SCENES = {  # scene: the phrases that may name it in a caption
    "sky": ("in the sky",),
    "grass": ("on the grass", "in a meadow"),
    "night": ("at night",),
    "beach": ("on the beach",),
    "sunset": ("at sunset",),
    "snow": ("in the snow",),
    "sea": ("under the sea", "under water"),
    "desert": ("in the desert",),
    "forest": ("in the forest",),
}
# of the height: one is chosen
HORIZONS = {name: (0.5, 0.5625, 0.625) for name in ("grass", "beach", "snow", "desert")}
FLOOR = 0.5  # depth of the ground at the lower edge, where 0 is far away and 1 is near
Color = tuple[float, ...]
GRADIENTS: dict[str, tuple[tuple[int, float, Color], ...]] = {
    # scene: (1 if it counts from the horizon, height from there or from the top, colour)
    "sky": ((0, 0, (80, 160, 235)), (0, 1, (190, 225, 250))),
    "grass": (
        (0, 0, (120, 190, 245)),
        (1, -0.01, (200, 230, 250)),
        (1, 0.01, (110, 190, 80)),
        (0, 1, (50, 130, 45)),
    ),
    "night": ((0, 0, (10, 12, 40)), (0, 1, (45, 45, 100))),
    "beach": (
        (0, 0, (130, 205, 245)),
        (0, 0.36, (200, 235, 250)),
        (0, 0.38, (40, 140, 200)),
        (1, -0.03, (80, 190, 215)),
        (1, 0, (240, 225, 170)),
        (0, 1, (225, 200, 130)),
    ),
    "sunset": (
        (0, 0, (90, 50, 130)),
        (0, 0.5, (235, 100, 90)),
        (0, 0.8, (255, 180, 80)),
        (0, 0.82, (110, 50, 80)),
        (0, 1, (60, 30, 60)),
    ),
    "snow": (
        (0, 0, (150, 180, 215)),
        (1, -0.02, (205, 220, 240)),
        (1, 0.02, (240, 245, 252)),
        (0, 1, (250, 250, 255)),
    ),
    "sea": ((0, 0, (60, 160, 215)), (0, 1, (10, 50, 120))),
    "desert": (
        (0, 0, (110, 180, 230)),
        (1, -0.01, (235, 225, 200)),
        (1, 0.01, (235, 170, 95)),
        (0, 1, (190, 115, 55)),
    ),
    "forest": (
        (0, 0, (20, 60, 35)),
        (0, 0.7, (60, 115, 60)),
        (0, 0.72, (75, 65, 35)),
        (0, 1, (50, 45, 25)),
    ),
}


def jitter(rng: random.Random, color: Color) -> Color:
    """Move each channel of a colour by up to 6 levels."""
    return tuple(c + rng.uniform(-6, 6) for c in color)


@functools.cache
def make_coordinates(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Compute height and breadth of each pixel in 0..1, each (size, size)."""
    return tuple(np.mgrid[0:size, 0:size].astype(np.float32) / (size - 1))


def paint_gradient(rng: random.Random, size: int, name: str, horizon: float) -> np.ndarray:
    """Paint a scene's colours from top to bottom, each jittered, (size, size, 3) float32."""
    stops = GRADIENTS[name]
    heights = [of_horizon * horizon + beyond for of_horizon, beyond, _ in stops]
    channels = zip(*[jitter(rng, color) for _, _, color in stops])
    rows = make_coordinates(size)[0][:, 0]
    column = np.stack([np.interp(rows, heights, levels) for levels in channels], -1)
    return np.repeat(column[:, None], size, axis=1).astype(np.float32)


def pick_cell(rng: random.Random, size: int) -> float:
    """Pick a random coordinate on the grid, 0..1."""
    return rng.randrange(1, size // GRID) * GRID / size


def add_clouds(rng: random.Random, picture: np.ndarray) -> None:
    y, x = make_coordinates(len(picture))
    for _ in range(rng.randint(2, 3)):
        across = (x - pick_cell(rng, len(picture))) / 0.2
        down = (y - pick_cell(rng, len(picture))) / 0.08
        cover = np.clip(1.2 - (across**2 + down**2), 0, 1) * 0.8
        picture += cover[..., None] * (255 - picture)


def add_stars(rng: random.Random, picture: np.ndarray) -> None:
    for _ in range(12):
        y, x = (rng.randrange(len(picture) // GRID) * GRID + 1 for _ in range(2))
        place = picture[y : y + 2, x : x + 2]
        place += 0.8 * (np.array([255, 250, 210]) - place)


def add_bubbles(rng: random.Random, picture: np.ndarray) -> None:
    y, x = make_coordinates(len(picture))
    for _ in range(6):
        across, down = x - pick_cell(rng, len(picture)), y - pick_cell(rng, len(picture))
        rim = np.abs(np.sqrt(across**2 + down**2) - 0.035) / 0.016
        picture += (np.clip(1 - rim, 0, 1) * 0.6)[..., None] * (230 - picture)


def add_trunks(rng: random.Random, picture: np.ndarray) -> None:
    y, x = make_coordinates(len(picture))
    for _ in range(5):
        trunk = np.clip(1.2 - np.abs(x - pick_cell(rng, len(picture))) / 0.03, 0, 1) * (y < 0.75)
        picture += (trunk * 0.7)[..., None] * (np.array([70, 45, 25]) - picture)


DETAILS: dict[str, Callable[[random.Random, np.ndarray], None]] = {
    "sky": add_clouds,
    "night": add_stars,
    "sea": add_bubbles,
    "forest": add_trunks,
}


def paint_plain(rng: random.Random, name: str, size: int) -> np.ndarray:
    color = np.array(jitter(rng, BACKGROUNDS[name]), np.float32)
    return color + (rng.uniform(-8, 8) * (make_coordinates(size)[0] - 0.5))[..., None]


def paint_background(rng: random.Random, name: str, size: int = SIZE) -> np.ndarray:
    """Paint a random picture of the named background or scene, (size, size, 3) uint8."""
    return paint_with_depth(rng, name, size)[0]


def paint_with_depth(
    rng: random.Random, name: str, size: int = SIZE
) -> tuple[np.ndarray, np.ndarray]:
    """Paint it, and tell how near each of its points is, (size, size) float32 in 0..1.

    The ground rises to the horizon.
    """
    horizon = rng.choice(HORIZONS[name]) if name in HORIZONS else 1.0  # no ground
    if name in BACKGROUNDS:
        picture = paint_plain(rng, name, size)
    else:
        picture = paint_gradient(rng, size, name, horizon)
        if name in DETAILS:
            DETAILS[name](rng, picture)
    below = (make_coordinates(size)[0] - horizon).clip(0)
    depth = FLOOR * below / ((1 - horizon) or 1)
    return picture.clip(0, 255).astype(np.uint8), depth
