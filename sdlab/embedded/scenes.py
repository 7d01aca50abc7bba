"""The backgrounds of the little world: ten plain colours and seven painted scenes, 64x64 RGB.

What is random in a scene (clouds, stars, bubbles) stands on a grid of 4 pixels, the size of one latent cell: a small
autoencoder then sees each of them in one position only, and spends its few parameters on the objects.
"""
import random
from collections.abc import Callable

import numpy as np

SIZE, GRID = 64, 4  # pixels of a picture's side, pixels of a latent cell
BACKGROUNDS = {
    "white": (250, 250, 250), "black": (22, 22, 26), "gray": (150, 152, 156), "red": (205, 62, 62),
    "orange": (240, 160, 80), "yellow": (248, 226, 110), "green": (110, 190, 110), "blue": (95, 150, 230),
    "purple": (160, 110, 205), "pink": (248, 180, 205),
}
SCENES = {  # scene: the phrases that may name it in a caption
    "sky": ("in the sky",), "grass": ("on the grass", "in a meadow"), "night": ("at night",), "beach": ("on the beach",),
    "sunset": ("at sunset",), "snow": ("in the snow",), "sea": ("under the sea", "under water"),
}
_Y, _X = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32) / (SIZE - 1)
Color = tuple[float, ...]


def jittered(rng: random.Random, color: Color, amount: float = 6) -> Color:
    """The colour, each channel moved by up to `amount`."""
    return tuple(c + rng.uniform(-amount, amount) for c in color)


def gradient(rng: random.Random, *stops: tuple[float, Color]) -> np.ndarray:
    """A vertical gradient through (height, colour) stops, each colour jittered."""
    heights, colors = [height for height, _ in stops], [jittered(rng, color) for _, color in stops]
    column = [np.interp(_Y[:, 0], heights, [color[c] for color in colors]) for c in range(3)]
    return np.repeat(np.stack(column, -1)[:, None], SIZE, axis=1).astype(np.float32)  # (64, 64, 3)


def cell(rng: random.Random) -> float:
    """A random coordinate on the grid, 0..1."""
    return rng.randrange(1, SIZE // GRID) * GRID / SIZE


def sky(rng: random.Random) -> np.ndarray:
    picture = gradient(rng, (0, (80, 160, 235)), (1, (190, 225, 250)))
    for _ in range(rng.randint(2, 3)):  # clouds
        distance = ((_X - cell(rng)) / .2) ** 2 + ((_Y - cell(rng)) / .08) ** 2
        picture += (np.clip(1.2 - distance, 0, 1) * .8)[..., None] * (255 - picture)
    return picture


def grass(rng: random.Random) -> np.ndarray:
    horizon = rng.choice((.5, .5625, .625))
    return gradient(rng, (0, (120, 190, 245)), (horizon - .01, (200, 230, 250)), (horizon + .01, (110, 190, 80)),
                    (1, (50, 130, 45)))


def night(rng: random.Random) -> np.ndarray:
    picture = gradient(rng, (0, (10, 12, 40)), (1, (45, 45, 100)))
    for _ in range(12):  # stars of 2x2 pixels
        y, x = (rng.randrange(SIZE // GRID) * GRID + 1 for _ in range(2))
        picture[y:y + 2, x:x + 2] += .8 * (np.array([255, 250, 210]) - picture[y:y + 2, x:x + 2])
    return picture


def beach(rng: random.Random) -> np.ndarray:
    horizon = rng.choice((.5, .5625, .625))
    return gradient(rng, (0, (130, 205, 245)), (.36, (200, 235, 250)), (.38, (40, 140, 200)),
                    (horizon - .03, (80, 190, 215)), (horizon, (240, 225, 170)), (1, (225, 200, 130)))


def sunset(rng: random.Random) -> np.ndarray:
    return gradient(rng, (0, (90, 50, 130)), (.5, (235, 100, 90)), (.8, (255, 180, 80)), (.82, (110, 50, 80)),
                    (1, (60, 30, 60)))


def snow(rng: random.Random) -> np.ndarray:
    horizon = rng.choice((.5, .5625, .625))
    return gradient(rng, (0, (150, 180, 215)), (horizon - .02, (205, 220, 240)), (horizon + .02, (240, 245, 252)),
                    (1, (250, 250, 255)))


def sea(rng: random.Random) -> np.ndarray:
    picture = gradient(rng, (0, (60, 160, 215)), (1, (10, 50, 120)))
    for _ in range(6):  # bubbles
        distance = np.sqrt((_X - cell(rng)) ** 2 + (_Y - cell(rng)) ** 2)
        picture += (np.clip(1 - np.abs(distance - .035) / .016, 0, 1) * .6)[..., None] * (230 - picture)
    return picture


PAINTERS: dict[str, Callable[[random.Random], np.ndarray]] = {
    "sky": sky, "grass": grass, "night": night, "beach": beach, "sunset": sunset, "snow": snow, "sea": sea}


def plain(rng: random.Random, name: str) -> np.ndarray:
    picture = np.zeros((SIZE, SIZE, 3), np.float32) + np.array(jittered(rng, BACKGROUNDS[name]), np.float32)
    return picture + (rng.uniform(-8, 8) * (_Y - .5))[..., None]


def background(rng: random.Random, name: str) -> np.ndarray:
    """A random picture of the named background or scene, (64, 64, 3) uint8."""
    picture = PAINTERS[name](rng) if name in PAINTERS else plain(rng, name)
    return picture.clip(0, 255).astype(np.uint8)
