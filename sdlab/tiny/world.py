"""The captioned worlds: emoji and coloured shapes before plain or painted backgrounds.

Sizes are few and corners stand on the grid of the latent cells, so that an object's latents look
alike wherever it stands: what a model of 3 million parameters can learn in an hour is thereby
larger. `training.samples`, in the source tree, draws what a model is shown.

The first model was shown the world `V1` at 64x64 pixels. The second was shown `V2` at 96x96: eight
of the first world's objects, people among them, and one scene were filtered out; 24 objects and two
scenes were added.
"""

import functools
from dataclasses import dataclass

from .scenes import BACKGROUNDS, SCENES, SIZE
from .sprites import COLORS, NAMES, SHAPES

IRREGULAR_PLURALS = {
    "mouse": "mice",
    "fox": "foxes",
    "butterfly": "butterflies",
    "city": "cities",
    "bus": "buses",
    "paintbrush": "paintbrushes",
    "woman": "women",
    "man": "men",
    "cactus": "cacti",
    "octopus": "octopuses",
    "strawberry": "strawberries",
    "fish": "fish",
    "sheep": "sheep",
    "cherry": "cherries",
    "tomato": "tomatoes",
    "trophy": "trophies",
    "volcano": "volcanoes",
}
COUNTS = {2: "two", 3: "three", 4: "four"}
OPENINGS = ("a picture of ", "a drawing of ", "an image of ", "a cute picture of ", "a photo of ")
SIDES = {"small": 20, "": 40, "big": 56}  # pixels of a single object
PAIR_SIDE, COUNT_SIDE = 28, 24
RELATIONS = ("left of", "right of", "above", "below")


@dataclass(frozen=True, kw_only=True)
class World:
    """What a model is shown: named objects and scenes, on pictures of `size` pixels square.

    Lengths in this module are stated for 64 pixels; `scale` brings them to the world's own size.
    """

    size: int
    names: tuple[str, ...]
    scenes: tuple[str, ...]

    def scale(self, length: int) -> int:
        """Bring a length that is stated for 64 pixels to the world's size."""
        return length * self.size // SIZE


FIRST = 84  # of the named objects are the first world's
FILTERED = ("woman", "man", "hand", "ghost", "alien", "dragon", "palette", "guitar", "sunset")
V1 = World(
    size=64, names=NAMES[:FIRST], scenes=("sky", "grass", "night", "beach", "sunset", "snow", "sea")
)
V2 = World(
    size=96,
    names=tuple(name for name in NAMES if name not in FILTERED),
    scenes=tuple(name for name in SCENES if name not in FILTERED),
)
WORLDS = {"tiny-v1": V1, "tiny-v2": V2, "tiny-depth": V1, "tiny-x4": V1}  # that each was shown
BOTH = World(size=64, names=NAMES, scenes=tuple(SCENES))  # to read pictures of either


def pluralise(name: str) -> str:
    color, _, form = name.rpartition(" ")
    return f"{color} {form}s" if color else IRREGULAR_PLURALS.get(name, name + "s")


def add_article(name: str) -> str:
    return ("an " if name[0] in "aeiou" and name != "unicorn" else "a ") + name


@functools.cache
def list_shown_words(world: World) -> frozenset[str]:
    """List the words of which the world's captions tell something that its pictures show."""
    told = (
        *(form for name in world.names for form in (name, pluralise(name))),
        *(form for shape in SHAPES for form in (shape, f"{shape}s")),
        *(phrase for scene in world.scenes for phrase in SCENES[scene]),
        *(*COLORS, *BACKGROUNDS, *COUNTS.values(), *RELATIONS, *OPENINGS, *SIDES),
        "a an and next to the with on background",
    )
    return frozenset(word for text in told for word in text.split())
