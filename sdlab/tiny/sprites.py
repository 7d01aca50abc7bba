"""Draws single objects: 108 emoji from a shipped atlas, and shapes in ten colours.

The atlas `emoji.webp` holds glyphs of Noto Color Emoji 2.042 (images Apache-2.0, font OFL 1.1:
`LICENSE-NotoColorEmoji.txt`). ``python -m training.atlas NotoColorEmoji.ttf`` made it; nobody needs
the font to use it.
"""

import functools
import math
from pathlib import Path

from PIL import Image, ImageDraw

ATLAS = Path(__file__).with_name("emoji.webp")
CELL, COLUMNS = 96, 12  # pixels of a glyph in the atlas, glyphs in a row
EMOJI = {
    "hamster": "🐹",
    "mouse": "🐁",
    "cat": "🐱",
    "dog": "🐶",
    "rabbit": "🐰",
    "fox": "🦊",
    "bear": "🐻",
    "panda": "🐼",
    "frog": "🐸",
    "pig": "🐷",
    "lion": "🦁",
    "monkey": "🐵",
    "chick": "🐥",
    "penguin": "🐧",
    "owl": "🦉",
    "bird": "🐦",
    "fish": "🐠",
    "whale": "🐳",
    "octopus": "🐙",
    "crab": "🦀",
    "butterfly": "🦋",
    "bee": "🐝",
    "ladybug": "🐞",
    "snail": "🐌",
    "turtle": "🐢",
    "dinosaur": "🦕",
    "elephant": "🐘",
    "unicorn": "🦄",
    "cow": "🐮",
    "dragon": "🐲",
    "tree": "🌳",
    "pine": "🌲",
    "palm": "🌴",
    "cactus": "🌵",
    "sunflower": "🌻",
    "rose": "🌹",
    "tulip": "🌷",
    "mushroom": "🍄",
    "apple": "🍎",
    "banana": "🍌",
    "strawberry": "🍓",
    "lemon": "🍋",
    "watermelon": "🍉",
    "pizza": "🍕",
    "burger": "🍔",
    "cake": "🎂",
    "donut": "🍩",
    "carrot": "🥕",
    "robot": "🤖",
    "house": "🏠",
    "castle": "🏰",
    "city": "🏙",
    "car": "🚗",
    "bus": "🚌",
    "bicycle": "🚲",
    "rocket": "🚀",
    "airplane": "✈",
    "boat": "⛵",
    "paintbrush": "🖌",
    "palette": "🎨",
    "book": "📕",
    "key": "🔑",
    "clock": "⏰",
    "umbrella": "☂",
    "balloon": "🎈",
    "gift": "🎁",
    "guitar": "🎸",
    "football": "⚽",
    "crown": "👑",
    "camera": "📷",
    "computer": "💻",
    "bell": "🔔",
    "sun": "🌞",
    "moon": "🌙",
    "cloud": "☁",
    "rainbow": "🌈",
    "snowman": "⛄",
    "fire": "🔥",
    "woman": "👩",
    "man": "👨",
    "hand": "✋",
    "ghost": "👻",
    "alien": "👽",
    "pumpkin": "🎃",
    "sheep": "🐑",
    "horse": "🐴",
    "giraffe": "🦒",
    "snake": "🐍",
    "shark": "🦈",
    "duck": "🦆",
    "koala": "🐨",
    "tiger": "🐯",
    "parrot": "🦜",
    "hedgehog": "🦔",
    "dolphin": "🐬",
    "pear": "🍐",
    "cherry": "🍒",
    "tomato": "🍅",
    "avocado": "🥑",
    "egg": "🥚",
    "helicopter": "🚁",
    "ship": "🚢",
    "trophy": "🏆",
    "drum": "🥁",
    "violin": "🎻",
    "anchor": "⚓",
    "volcano": "🌋",
    "tent": "⛺",
}
NAMES = tuple(EMOJI)
SHAPES = ("circle", "square", "triangle", "star", "heart", "diamond")
COLORS = {
    "red": (220, 40, 40),
    "orange": (245, 140, 30),
    "yellow": (250, 215, 50),
    "green": (60, 170, 70),
    "blue": (45, 100, 220),
    "purple": (140, 70, 190),
    "pink": (245, 140, 190),
    "brown": (130, 85, 50),
    "black": (25, 25, 28),
    "white": (248, 248, 248),
}
COLORED_SHAPES = tuple(f"{color} {shape}" for color in COLORS for shape in SHAPES)


@functools.cache
def draw_sprite(name: str, side: int = CELL) -> Image.Image:
    """Draw an emoji ("cat") or a coloured shape ("red circle") in RGBA, `side` pixels square.

    Raises
    ------
    ValueError
        If the world has no such object.
    """
    if name in EMOJI:
        picture = cut_glyph(name)
    elif name in COLORED_SHAPES:
        picture = draw_shape(*name.split(" "))
    else:
        raise ValueError(
            f"unknown object {name!r}; the world has {', '.join(NAMES)}, and shapes such as 'red"
            " circle'"
        )
    return picture.resize(
        (side, side),
        Image.Resampling.BOX if side < 24 else Image.Resampling.LANCZOS,
        reducing_gap=2.0,
    )


@functools.cache
def load_atlas() -> Image.Image:
    """Load the whole atlas as one RGBA picture."""
    with Image.open(ATLAS) as picture:
        return picture.convert("RGBA")


def cut_glyph(name: str) -> Image.Image:
    """Cut an emoji's 96x96 RGBA picture out of the atlas."""
    row, column = divmod(NAMES.index(name), COLUMNS)
    left, top = column * CELL, row * CELL
    return load_atlas().crop((left, top, left + CELL, top + CELL))


def compute_star(n: int) -> list[tuple[float, float]]:
    radius = (122 / 256 * n, 52 / 256 * n)
    turns = [i * math.pi / 5 for i in range(10)]
    return [
        (n / 2 + radius[i % 2] * math.sin(t), n / 2 + n / 43 - radius[i % 2] * math.cos(t))
        for i, t in enumerate(turns)
    ]


def compute_heart(n: int) -> list[tuple[float, float]]:
    points, scale = [], 7.4 / 256 * n
    for t in (2 * math.pi * k / 100 for k in range(100)):
        height = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        points.append((n / 2 + scale * 16 * math.sin(t) ** 3, n / 2 - n / 25 - scale * height))
    return points


def draw_shape(color: str, form: str) -> Image.Image:
    """Draw a filled shape at 256x256 RGBA, so that making it smaller smooths its edges."""
    n = 256
    picture = Image.new(
        "RGBA", (n, n), (*COLORS[color], 0)
    )  # its colour under the clear part too: no dark rim
    draw, fill = ImageDraw.Draw(picture), (*COLORS[color], 255)
    if form == "circle":
        draw.ellipse((8, 8, n - 8, n - 8), fill=fill)
    elif form == "square":
        draw.rectangle((20, 20, n - 20, n - 20), fill=fill)
    else:
        points: dict[str, list[tuple[float, float]]] = {
            "triangle": [(n / 2, 14), (n - 8, n - 24), (8, n - 24)],
            "star": compute_star(n),
            "heart": compute_heart(n),
            "diamond": [(n / 2, 4), (n - 40, n / 2), (n / 2, n - 4), (40, n / 2)],
        }
        draw.polygon(points[form], fill=fill)
    return picture
