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


def jitter(rng: random.Random, color: Color) -> Color:
    """Move each channel of a colour by up to 6 levels."""
    return tuple(c + rng.uniform(-6, 6) for c in color)


@functools.cache
def make_coordinates(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Compute height and breadth of each pixel in 0..1, each (size, size)."""
    return tuple(np.mgrid[0:size, 0:size].astype(np.float32) / (size - 1))


def paint_gradient(rng: random.Random, size: int, *stops: tuple[float, Color]) -> np.ndarray:
    """Paint a vertical gradient through (height, colour) stops, each colour jittered."""
    heights, colors = [height for height, _ in stops], [jitter(rng, color) for _, color in stops]
    column = [
        np.interp(make_coordinates(size)[0][:, 0], heights, [color[c] for color in colors])
        for c in range(3)
    ]
    return np.repeat(np.stack(column, -1)[:, None], size, axis=1).astype(
        np.float32
    )  # (size, size, 3)


def pick_cell(rng: random.Random, size: int) -> float:
    """Pick a random coordinate on the grid, 0..1."""
    return rng.randrange(1, size // GRID) * GRID / size


def paint_sky(rng: random.Random, size: int) -> np.ndarray:
    y, x = make_coordinates(size)
    picture = paint_gradient(rng, size, (0, (80, 160, 235)), (1, (190, 225, 250)))
    for _ in range(rng.randint(2, 3)):  # clouds
        distance = ((x - pick_cell(rng, size)) / 0.2) ** 2 + (
            (y - pick_cell(rng, size)) / 0.08
        ) ** 2
        picture += (np.clip(1.2 - distance, 0, 1) * 0.8)[..., None] * (255 - picture)
    return picture


def paint_grass(rng: random.Random, size: int, horizon: float) -> np.ndarray:
    return paint_gradient(
        rng,
        size,
        (0, (120, 190, 245)),
        (horizon - 0.01, (200, 230, 250)),
        (horizon + 0.01, (110, 190, 80)),
        (1, (50, 130, 45)),
    )


def paint_night(rng: random.Random, size: int) -> np.ndarray:
    picture = paint_gradient(rng, size, (0, (10, 12, 40)), (1, (45, 45, 100)))
    for _ in range(12):  # stars of 2x2 pixels
        y, x = (rng.randrange(size // GRID) * GRID + 1 for _ in range(2))
        picture[y : y + 2, x : x + 2] += 0.8 * (
            np.array([255, 250, 210]) - picture[y : y + 2, x : x + 2]
        )
    return picture


def paint_beach(rng: random.Random, size: int, horizon: float) -> np.ndarray:
    return paint_gradient(
        rng,
        size,
        (0, (130, 205, 245)),
        (0.36, (200, 235, 250)),
        (0.38, (40, 140, 200)),
        (horizon - 0.03, (80, 190, 215)),
        (horizon, (240, 225, 170)),
        (1, (225, 200, 130)),
    )


def paint_sunset(rng: random.Random, size: int) -> np.ndarray:
    return paint_gradient(
        rng,
        size,
        (0, (90, 50, 130)),
        (0.5, (235, 100, 90)),
        (0.8, (255, 180, 80)),
        (0.82, (110, 50, 80)),
        (1, (60, 30, 60)),
    )


def paint_snow(rng: random.Random, size: int, horizon: float) -> np.ndarray:
    return paint_gradient(
        rng,
        size,
        (0, (150, 180, 215)),
        (horizon - 0.02, (205, 220, 240)),
        (horizon + 0.02, (240, 245, 252)),
        (1, (250, 250, 255)),
    )


def paint_sea(rng: random.Random, size: int) -> np.ndarray:
    y, x = make_coordinates(size)
    picture = paint_gradient(rng, size, (0, (60, 160, 215)), (1, (10, 50, 120)))
    for _ in range(6):  # bubbles
        distance = np.sqrt((x - pick_cell(rng, size)) ** 2 + (y - pick_cell(rng, size)) ** 2)
        picture += (np.clip(1 - np.abs(distance - 0.035) / 0.016, 0, 1) * 0.6)[..., None] * (
            230 - picture
        )
    return picture


def paint_desert(rng: random.Random, size: int, horizon: float) -> np.ndarray:
    return paint_gradient(
        rng,
        size,
        (0, (110, 180, 230)),
        (horizon - 0.01, (235, 225, 200)),
        (horizon + 0.01, (235, 170, 95)),
        (1, (190, 115, 55)),
    )


def paint_forest(rng: random.Random, size: int) -> np.ndarray:
    picture = paint_gradient(
        rng, size, (0, (20, 60, 35)), (0.7, (60, 115, 60)), (0.72, (75, 65, 35)), (1, (50, 45, 25))
    )
    y, x = make_coordinates(size)
    for _ in range(5):  # trunks
        trunk = np.clip(1.2 - np.abs(x - pick_cell(rng, size)) / 0.03, 0, 1) * (y < 0.75)
        picture += (trunk * 0.7)[..., None] * (np.array([70, 45, 25]) - picture)
    return picture


PAINTERS: dict[str, Callable[..., np.ndarray]] = {
    "sky": paint_sky,
    "grass": paint_grass,
    "night": paint_night,
    "beach": paint_beach,
    "sunset": paint_sunset,
    "snow": paint_snow,
    "sea": paint_sea,
    "desert": paint_desert,
    "forest": paint_forest,
}


def paint_plain(rng: random.Random, name: str, size: int) -> np.ndarray:
    picture = np.zeros((size, size, 3), np.float32) + np.array(
        jitter(rng, BACKGROUNDS[name]), np.float32
    )
    return picture + (rng.uniform(-8, 8) * (make_coordinates(size)[0] - 0.5))[..., None]


def paint_background(rng: random.Random, name: str, size: int = SIZE) -> np.ndarray:
    """Paint a random picture of the named background or scene, (size, size, 3) uint8."""
    return paint_with_depth(rng, name, size)[0]


def paint_with_depth(
    rng: random.Random, name: str, size: int = SIZE
) -> tuple[np.ndarray, np.ndarray]:
    """Paint it, and tell how near each of its points is, (size, size) float32 in 0..1.

    The ground rises to the horizon.
    """
    horizon = rng.choice(HORIZONS[name]) if name in HORIZONS else None
    if name not in PAINTERS:
        picture = paint_plain(rng, name, size)
    else:
        picture = (
            PAINTERS[name](rng, size) if horizon is None else PAINTERS[name](rng, size, horizon)
        )
    height = make_coordinates(size)[0]
    depth = (
        np.zeros_like(height)
        if horizon is None
        else FLOOR * np.clip((height - horizon) / (1 - horizon), 0, 1)
    )
    return picture.clip(0, 255).astype(np.uint8), depth
