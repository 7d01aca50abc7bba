"""Draws the captioned pictures that a model is trained on, and says what they leave out.

A sample has one object, two related ones, or two to four alike. Seven coloured shapes and one
object pair in six are never rendered for training.
"""

import functools
import hashlib
import random
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageFilter

from sdlab.tiny.scenes import BACKGROUNDS, GRID, SCENES, SIZE, paint_with_depth
from sdlab.tiny.sprites import COLORED_SHAPES, draw_sprite
from sdlab.tiny.world import (
    COUNT_SIDE,
    COUNTS,
    OPENINGS,
    PAIR_SIDE,
    RELATIONS,
    SIDES,
    V1,
    World,
    add_article,
    pluralise,
)

KINDS = ("one", "pair", "count")  # one object, two related ones, several alike
HELD_OUT_SHAPES = frozenset(
    {
        "purple star",
        "green heart",
        "orange square",
        "blue triangle",
        "pink diamond",
        "black heart",
        "yellow circle",
    }
)
OBJECT_DEPTH = 0.6, 1.0  # at an object's rim and in its middle, where 0 is far away and 1 is near


@dataclass(frozen=True, kw_only=True)
class PlacedObject:
    """One object of a picture: its name, its top left pixel, and its side in pixels."""

    name: str
    x: int
    y: int
    side: int

    @property
    def centre(self) -> tuple[float, float]:
        return self.x + self.side / 2, self.y + self.side / 2


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A picture (size, size, 3) uint8 with its depth, its caption, and what the caption states.

    The depth is (size, size) in 0..1 with 1 near.
    """

    image: np.ndarray = field(repr=False)
    depth: np.ndarray = field(repr=False)
    caption: str
    kind: str  # one of KINDS
    objects: tuple[PlacedObject, ...]
    relation: str | None = None
    background: str | None = None  # None where the caption does not say it


def is_held_out_pair(a: str, b: str) -> bool:
    """Tell whether two objects are kept from training together: one pair in six, by a hash."""
    return hashlib.md5("|".join(sorted((a, b))).encode()).digest()[0] % 6 == 0


def pick_object(rng: random.Random, train: bool = True, world: World = V1) -> str:
    """Pick an object: 26% are coloured shapes, without the held-out ones when `train`."""
    if rng.random() >= 0.26:
        return rng.choice(world.names)
    while train and (name := rng.choice(COLORED_SHAPES)) in HELD_OUT_SHAPES:
        pass
    return name if train else rng.choice(COLORED_SHAPES)


def pick_on_grid(rng: random.Random, low: int, high: int) -> int:
    """Pick a multiple of the grid from `low` to `high`."""
    return GRID * rng.randint(-(-low // GRID), high // GRID)


# A layout: (kind, objects, caption, relation)
Layout = tuple[str, tuple[PlacedObject, ...], str, str | None]


def find_cell(world: World, position: int) -> int:
    """Find the place on the latent cells' grid next to one that is stated for 64 pixels."""
    return GRID * round(position * world.size / SIZE / GRID)


def lay_out_one(rng: random.Random, train: bool, world: World) -> Layout:
    name, word = pick_object(rng, train, world), rng.choice(("small", "big", "", "", "", ""))
    side, margin = world.scale(SIDES[word]), world.scale({"small": 4, "": 4, "big": 0}[word])
    x, y = (pick_on_grid(rng, margin, world.size - side - margin) for _ in range(2))
    caption = f"a {word} {name}" if word else add_article(name)
    return "one", (PlacedObject(name=name, x=x, y=y, side=side),), caption, None


def write_pair_caption(rng: random.Random, a: str, b: str, relation: str | None) -> str:
    a, b = add_article(a), add_article(b)
    if relation is None:
        return rng.choice((f"{a} and {b}", f"{a} and {b}", f"{a} next to {b}", f"{a} with {b}"))
    return (
        f"{a} to the {relation} {b}"
        if relation in ("left of", "right of") and rng.random() < 0.4
        else f"{a} {relation} {b}"
    )


def lay_out_pair(rng: random.Random, train: bool, world: World) -> Layout:
    while True:
        a, b = pick_object(rng, train, world), pick_object(rng, train, world)
        if a != b and not (train and is_held_out_pair(a, b)):
            break
    relation = rng.choice((*RELATIONS, None, None))
    position = relation or rng.choice(("left of", "right of"))
    near, far = (
        pick_on_grid(rng, world.scale(low), world.scale(low + 4)) for low in (0, 32)
    )  # along the relation
    across = [pick_on_grid(rng, world.scale(12), world.scale(24)) for _ in range(2)]
    first, second = (near, far) if position in ("left of", "above") else (far, near)
    places = [(first, across[0]), (second, across[1])]
    if position in ("above", "below"):
        places = [(x, y) for y, x in places]
    objects = tuple(
        PlacedObject(name=name, x=x, y=y, side=world.scale(PAIR_SIDE))
        for name, (x, y) in zip((a, b), places)
    )
    return "pair", objects, write_pair_caption(rng, a, b, relation), relation


def lay_out_several(rng: random.Random, train: bool, world: World) -> Layout:
    name, count = pick_object(rng, train, world), rng.choice((2, 2, 3, 3, 4))
    three = ((4, 8), (36, 8), (20, 36)) if rng.random() < 0.5 else ((4, 32), (36, 32), (20, 4))
    places = {2: ((4, 20), (36, 20)), 3: three, 4: ((4, 4), (36, 4), (4, 36), (36, 36))}[count]
    objects = tuple(
        PlacedObject(
            name=name,
            x=find_cell(world, x) + pick_on_grid(rng, -4, 0),
            y=find_cell(world, y) + pick_on_grid(rng, -4, 0),
            side=world.scale(COUNT_SIDE),
        )
        for x, y in places
    )
    return "count", objects, f"{COUNTS[count]} {pluralise(name)}", None


def vanishes(name: str, background_name: str) -> bool:
    """Tell whether a coloured shape could not be seen on the background."""
    color = name.split(" ")[0] if " " in name else None
    lost = (color, background_name) in {("white", "snow"), ("black", "night")}
    return color is not None and (lost or color == background_name)


def pick_background(rng: random.Random, names: list[str], world: World) -> str:
    while True:
        found = rng.choice(world.scenes) if rng.random() < 0.3 else rng.choice(list(BACKGROUNDS))
        if not any(vanishes(name, found) for name in names):
            return found


def paint_objects(
    rng: random.Random, objects: tuple[PlacedObject, ...], background_name: str, size: int = SIZE
) -> tuple[np.ndarray, np.ndarray]:
    """Paint objects on their background, (size, size, 3) uint8, with depth (size, size) float32."""
    ground, depth = paint_with_depth(rng, background_name, size)
    picture, depth = Image.fromarray(ground).convert("RGBA"), depth.copy()
    for placed in objects:
        drawn = draw_sprite(placed.name, placed.side)
        picture.alpha_composite(drawn, (placed.x, placed.y))
        body = compute_bulge(placed.name, placed.side)
        part = depth[placed.y : placed.y + placed.side, placed.x : placed.x + placed.side]
        np.maximum(part, body, out=part)
    return np.asarray(picture.convert("RGB")), depth


@functools.cache
def compute_bulge(name: str, side: int) -> np.ndarray:
    """Compute how near an object's points are, (side, side), rounded; 0 beside its silhouette."""
    alpha = draw_sprite(name, side).getchannel("A")
    rim, middle = OBJECT_DEPTH
    rounded = np.asarray(alpha.filter(ImageFilter.GaussianBlur(side / 8)), np.float32) / 255
    return (np.asarray(alpha) > 127) * (
        rim + (middle - rim) * np.clip(2 * rounded - 1, 0, 1)
    ).astype(np.float32)


def write_background(rng: random.Random, name: str) -> str:
    return f"on {add_article(name)} background" if name in BACKGROUNDS else rng.choice(SCENES[name])


def make_sample(rng: random.Random, *, train: bool = True, world: World = V1) -> Sample:
    """Make a random captioned picture; `train` leaves the held-out combinations out."""
    draw = rng.random()
    layout = lay_out_one if draw < 0.40 else lay_out_pair if draw < 0.82 else lay_out_several
    kind, objects, caption, relation = layout(rng, train, world)
    name = pick_background(rng, [placed.name for placed in objects], world)
    said = rng.random() < 0.75
    if said:
        caption += " " + write_background(rng, name)
    if rng.random() < 0.12:
        caption = rng.choice(OPENINGS) + caption
    image, depth = paint_objects(rng, objects, name, world.size)
    return Sample(
        image=image,
        depth=depth,
        caption=caption,
        kind=kind,
        objects=objects,
        relation=relation,
        background=name if said else None,
    )
