"""The captioned world: emoji and coloured shapes before plain or painted backgrounds, 64x64 RGB, with English captions.

A sample has one object, two related ones, or two to four alike. Sizes are few and corners stand on the grid of the
latent cells, so that an object's latents look alike wherever it stands: what a model of 3 million parameters can learn
in an hour is thereby larger. Seven coloured shapes and one object pair in six are never rendered for training.
"""
import hashlib
import random
import string
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from .scenes import BACKGROUNDS, GRID, SCENES, SIZE, background
from .sprites import COLORED_SHAPES, COLORS, NAMES, SHAPES, sprite
from .words import EVERYDAY_WORDS

IRREGULAR_PLURALS = {
    "mouse": "mice", "fox": "foxes", "butterfly": "butterflies", "city": "cities", "bus": "buses",
    "paintbrush": "paintbrushes", "woman": "women", "man": "men", "cactus": "cacti", "octopus": "octopuses",
    "strawberry": "strawberries", "fish": "fish",
}
KINDS = ("one", "pair", "count")  # one object, two related ones, several alike
COUNTS = {2: "two", 3: "three", 4: "four"}
OPENINGS = ("a picture of ", "a drawing of ", "an image of ", "a cute picture of ", "a photo of ")
SIDES = {"small": 20, "": 40, "big": 56}  # pixels of a single object
PAIR_SIDE, COUNT_SIDE = 28, 24
RELATIONS = ("left of", "right of", "above", "below")
HELD_OUT_SHAPES = frozenset({"purple star", "green heart", "orange square", "blue triangle", "pink diamond",
                             "black heart", "yellow circle"})
MEANINGFUL = {*NAMES, *COLORS, *SHAPES, *COUNTS.values(), *RELATIONS, "next", "left", "right", "small", "big",
              *(word for phrases in SCENES.values() for phrase in phrases for word in phrase.split())}
STRAY_WORDS = tuple(word for word in EVERYDAY_WORDS if word not in MEANINGFUL)


@dataclass(frozen=True, kw_only=True)
class Placed:
    """One object of a picture: its name, the pixel of its top left corner, and its side in pixels."""

    name: str
    x: int
    y: int
    side: int

    @property
    def centre(self) -> tuple[float, float]:
        return self.x + self.side / 2, self.y + self.side / 2


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A picture (64, 64, 3) uint8, its caption, and what the caption states."""

    image: np.ndarray = field(repr=False)
    caption: str
    kind: str  # one of KINDS
    objects: tuple[Placed, ...]
    relation: str | None = None
    background: str | None = None  # None where the caption does not say it


def plural(name: str) -> str:
    color, _, form = name.rpartition(" ")
    return f"{color} {form}s" if color else IRREGULAR_PLURALS.get(name, name + "s")


def with_article(name: str) -> str:
    return ("an " if name[0] in "aeiou" and name != "unicorn" else "a ") + name


def is_held_out_pair(a: str, b: str) -> bool:
    """Whether the two objects are never rendered together for training: one pair in six, by a hash of the names."""
    return hashlib.md5("|".join(sorted((a, b))).encode()).digest()[0] % 6 == 0


def pick(rng: random.Random, train: bool = True) -> str:
    """A random object: 26% coloured shapes, without the held-out ones when `train`."""
    if rng.random() >= .26:
        return rng.choice(NAMES)
    while train and (name := rng.choice(COLORED_SHAPES)) in HELD_OUT_SHAPES:
        pass
    return name if train else rng.choice(COLORED_SHAPES)


def on_grid(rng: random.Random, low: int, high: int) -> int:
    """A random multiple of the grid from `low` to `high`."""
    return GRID * rng.randint(-(-low // GRID), high // GRID)


# ---- layouts: (kind, objects, caption, relation)

Layout = tuple[str, tuple[Placed, ...], str, str | None]


def one_object(rng: random.Random, train: bool) -> Layout:
    name, word = pick(rng, train), rng.choice(("small", "big", "", "", "", ""))
    side = SIDES[word]
    margin = {"small": 4, "": 4, "big": 0}[word]
    x, y = (on_grid(rng, margin, SIZE - side - margin) for _ in range(2))
    caption = f"a {word} {name}" if word else with_article(name)
    return "one", (Placed(name=name, x=x, y=y, side=side),), caption, None


def pair_caption(rng: random.Random, a: str, b: str, relation: str | None) -> str:
    a, b = with_article(a), with_article(b)
    if relation is None:
        return rng.choice((f"{a} and {b}", f"{a} and {b}", f"{a} next to {b}", f"{a} with {b}"))
    return f"{a} to the {relation} {b}" if relation in ("left of", "right of") and rng.random() < .4 else f"{a} {relation} {b}"


def pair(rng: random.Random, train: bool) -> Layout:
    while True:
        a, b = pick(rng, train), pick(rng, train)
        if a != b and not (train and is_held_out_pair(a, b)):
            break
    relation = rng.choice((*RELATIONS, None, None))
    position = relation or rng.choice(("left of", "right of"))
    near, far = on_grid(rng, 0, 4), on_grid(rng, 32, 36)  # along the relation
    across = [on_grid(rng, 12, 24) for _ in range(2)]
    first, second = (near, far) if position in ("left of", "above") else (far, near)
    places = [(first, across[0]), (second, across[1])]
    if position in ("above", "below"):
        places = [(x, y) for y, x in places]
    objects = tuple(Placed(name=name, x=x, y=y, side=PAIR_SIDE) for name, (x, y) in zip((a, b), places))
    return "pair", objects, pair_caption(rng, a, b, relation), relation


def several(rng: random.Random, train: bool) -> Layout:
    name, count = pick(rng, train), rng.choice((2, 2, 3, 3, 4))
    three = ((4, 8), (36, 8), (20, 36)) if rng.random() < .5 else ((4, 32), (36, 32), (20, 4))
    places = {2: ((4, 20), (36, 20)), 3: three, 4: ((4, 4), (36, 4), (4, 36), (36, 36))}[count]
    objects = tuple(Placed(name=name, x=x + on_grid(rng, -4, 0), y=y + on_grid(rng, -4, 0), side=COUNT_SIDE)
                    for x, y in places)
    return "count", objects, f"{COUNTS[count]} {plural(name)}", None


# ---- pictures

def vanishes(name: str, background_name: str) -> bool:
    """Whether a coloured shape could not be seen on the background."""
    color = name.split(" ")[0] if " " in name else None
    lost = (color, background_name) in {("white", "snow"), ("black", "night")}
    return color is not None and (lost or color == background_name)


def pick_background(rng: random.Random, names: list[str]) -> str:
    while True:
        found = rng.choice(list(SCENES)) if rng.random() < .3 else rng.choice(list(BACKGROUNDS))
        if not any(vanishes(name, found) for name in names):
            return found


def paint(rng: random.Random, objects: tuple[Placed, ...], background_name: str) -> np.ndarray:
    """The objects on their background, (64, 64, 3) uint8."""
    picture = Image.fromarray(background(rng, background_name)).convert("RGBA")
    for placed in objects:
        picture.alpha_composite(sprite(placed.name, placed.side), (placed.x, placed.y))
    return np.asarray(picture.convert("RGB"))


def background_phrase(rng: random.Random, name: str) -> str:
    return f"on {with_article(name)} background" if name in BACKGROUNDS else rng.choice(SCENES[name])


def sample(rng: random.Random, *, train: bool = True) -> Sample:
    """One random captioned picture; `train` leaves the held-out combinations out."""
    draw = rng.random()
    layout = one_object if draw < .40 else pair if draw < .82 else several
    kind, objects, caption, relation = layout(rng, train)
    name = pick_background(rng, [placed.name for placed in objects])
    said = rng.random() < .75
    if said:
        caption += " " + background_phrase(rng, name)
    if rng.random() < .12:
        caption = rng.choice(OPENINGS) + caption
    return Sample(image=paint(rng, objects, name), caption=caption, kind=kind, objects=objects, relation=relation,
                  background=name if said else None)


def with_stray_word(rng: random.Random, caption: str) -> str:
    """The caption with an adjective, a "no" or a made-up word in it: what a model learns to ignore."""
    pieces = caption.split(" ")
    place = rng.randint(0, len(pieces))
    made_up = "".join(rng.choice(string.ascii_lowercase) for _ in range(rng.randint(3, 6)))
    word = rng.choice(STRAY_WORDS) if rng.random() < .7 else made_up
    return " ".join([*pieces[:place], word, *pieces[place:]])


def training_sample(rng: random.Random) -> tuple[np.ndarray, str, str]:
    """A picture (64, 64, 3) uint8, its caption, one in ten with a stray word, and its kind."""
    drawn = sample(rng, train=True)
    caption = with_stray_word(rng, drawn.caption) if rng.random() < .10 else drawn.caption
    return drawn.image, caption, drawn.kind
