"""Draws the little world of signs: a sign, a banner or a card on which a word or two are written.

The letters are 5x7 pixels in cells of 8x8, which begin at the left and stand on the grid of the
latent cells. 100 of the 300 words are never written on anything that a model is trained on; they
were drawn at random by length, such that each letter is shown at two places of a word or more, and
"war" is not shown. Held-out words do occur in captions, as what a picture is about: "a red card
that says cat, war".
"""

import functools
import random
from dataclasses import dataclass, field

import numpy as np

from .scenes import BACKGROUNDS
from .sprites import COLORS

LISTS = (  # the words that are shown, and those that are held out
    """
a b d f g h i j m q r s t u v w x z
am an as be dj go ha he id if is it me my no of oh ok or ox pc so tv uk up us vw we
box bus day dog egg fox hat hot jam jar job joy jug key law map mix mud oak one owl pen pie pig
rat run sky sun tea two vet wax web why win yes you zoo
bird coin east exit fire fish hope jump king kite lake lamp leaf lips love moon nose oven path
peak pond quiz rain ring road rose snow soup star stop taxi tent walk west wine wolf yoga zero
zone
cloud eagle earth fruit ghost heart hotel house jelly knife lemon maple money music night onion
pizza plant prize queen quiet river robot salad sheep smile stone tiger train truck uncle video
voice water wheat woman world youth zebra
camera castle cheese cookie dinner farmer friend garden guitar island jacket kitten ladder
laptop lizard mirror monkey museum pepper pillow planet poetry puzzle rabbit school silver
spider spring square sunset temple tomato turtle valley velvet walnut window winter
""",
    """
c e k l n o p y
ad ah at ax by do ex hi in mr on pi to yo
cat cup fix ice ink jet kid leg net new nut oil sad sea six toy use van war zip
book cake door duck help home jazz lion milk moth news open ship shop tree vote wave wild yard
bread chair flame grape happy horse juice laugh lucky magic mouse ocean party peace piano quick
snake sugar table
carpet circus donkey dragon family flower forest insect jungle market number oxygen palace
pirate rocket ticket violin wizard yogurt zipper
""",
)
SHOWN, HELD_OUT = (tuple(words.split()) for words in LISTS)
WORDS = SHOWN + HELD_OUT
LETTERS = """
.###. ####. .#### ###.. ##### ##### .#### #...# .###. ....# #...# #.... #...#
#...# #...# #.... #..#. #.... #.... #.... #...# ..#.. ....# #..#. #.... ##.##
#...# #...# #.... #...# #.... #.... #.... #...# ..#.. ....# #.#.. #.... #.#.#
##### ####. #.... #...# ####. ####. #..## ##### ..#.. ....# ##... #.... #.#.#
#...# #...# #.... #...# #.... #.... #...# #...# ..#.. ....# #.#.. #.... #...#
#...# #...# #.... #..#. #.... #.... #...# #...# ..#.. #...# #..#. #.... #...#
#...# ####. .#### ###.. ##### #.... .#### #...# .###. .###. #...# ##### #...#
#...# .###. ####. .###. ####. .#### ##### #...# #...# #...# #...# #...# #####
##..# #...# #...# #...# #...# #.... ..#.. #...# #...# #...# .#.#. #...# ....#
##..# #...# #...# #...# #...# #.... ..#.. #...# #...# #...# .#.#. .#.#. ...#.
#.#.# #...# ####. #...# ####. .###. ..#.. #...# #...# #.#.# ..#.. ..#.. ..#..
#..## #...# #.... #.#.# #.#.. ....# ..#.. #...# .#.#. #.#.# .#.#. ..#.. .#...
#..## #...# #.... #..#. #..#. ....# ..#.. #...# .#.#. ##.## .#.#. ..#.. #....
#...# .###. #.... .##.# #...# ####. ..#.. .###. ..#.. #...# #...# ..#.. #####
"""
KINDS = ("sign", "banner", "card")
WRITINGS = (*(f"a word of {n}" for n in range(1, 7)), "two words")
BOARDS = {name: COLORS[name] for name in ("red", "blue", "black")}  # as captions name them
INK = COLORS["white"]
GROUNDS = ("gray", "pink", "orange", "purple")  # which captions do not name
FRAME = ("that", "says", *KINDS, *BOARDS)  # the words of captions that are not written
SIDE, WIDTH, HEIGHT, LEFT = 64, 8, 16, 8  # pixels of a picture, of a letter's cell, and before it


@dataclass(frozen=True, kw_only=True)
class SignWorld:
    """What the models of signs are shown, on pictures of `size` pixels square.

    `is_spelt` tells whether the tokenizer takes the words that are written apart into letters.
    """

    is_spelt: bool
    size: int = SIDE


@dataclass(frozen=True, kw_only=True)
class Sign:
    """A picture (64, 64, 3) uint8 with its caption, and the words that are written on it."""

    image: np.ndarray = field(repr=False)
    caption: str
    words: tuple[str, ...]  # one, or two below each other

    @property
    def kind(self) -> str:
        """One of `WRITINGS`."""
        return WRITINGS[len(self.words[0]) - 1 if len(self.words) == 1 else -1]


@functools.cache
def make_font() -> dict[str, np.ndarray]:
    """Make {lower-case letter: its pixels, (7, 5) of bool}."""
    rows = [[[c == "#" for c in cell] for cell in row.split()] for row in LETTERS.split("\n")[1:-1]]
    cells = np.moveaxis(np.array(rows).reshape(2, 7, 13, 5), 2, 1).reshape(26, 7, 5)
    return dict(zip("abcdefghijklmnopqrstuvwxyz", cells))


def write_letters(words: tuple[str, ...]) -> np.ndarray:
    """Write words below each other, (16 * words, 64) of bool."""
    out = np.zeros((HEIGHT * len(words), SIDE), bool)
    for line, word in enumerate(words):
        for place, letter in enumerate(word):
            x, y = LEFT + WIDTH * place + 1, HEIGHT * line + 1
            out[y : y + 14, x : x + 5] = make_font()[letter].repeat(2, 0)
    return out


def paint_sign(kind: str, color: str, words: tuple[str, ...], ground: str) -> np.ndarray:
    """Paint a sign, (64, 64, 3) uint8.

    Raises
    ------
    ValueError
        If a word has more than six letters, or other characters than a to z.
    """
    for word in words:
        if not (0 < len(word) <= 6 and set(word) <= make_font().keys()):
            raise ValueError(f"{word!r} cannot be written: one to six letters, a to z, can")
    picture = np.full((SIDE, SIDE, 3), BACKGROUNDS[ground], np.uint8)
    top, bottom = (SIDE // 2 + side * HEIGHT * len(words) // 2 for side in (-1, 1))
    if kind == "sign":  # on its post
        picture[bottom:, 28:36] = BACKGROUNDS["black"]
    left = {"sign": 4, "card": 4, "banner": 0}[kind]
    picture[top - 4 : bottom + 4, left : SIDE - left] = BOARDS[color]
    if kind == "card":  # with its shadow
        picture[bottom + 4 : bottom + 8, 8:] = np.array(BACKGROUNDS[ground]) // 2
        picture[top : bottom + 8, SIDE - 4 :] = np.array(BACKGROUNDS[ground]) // 2
    picture[top:bottom][write_letters(words)] = INK
    return picture


def write_caption(kind: str, words: tuple[str, ...], color: str = "") -> str:
    """Write what a picture is asked for with: "a red banner that says no war"."""
    return " ".join(["a", *filter(None, [color]), kind, "that says", *words])


def make_sign(rng: random.Random, words: tuple[str, ...] | None = None) -> Sign:
    """Make a random captioned sign, with one or two of the words that are shown unless told."""
    if words is None:
        words = tuple(rng.choice(SHOWN) for _ in range(rng.choice((1, 2))))
    kind, color = rng.choice(KINDS), rng.choice(list(BOARDS))
    caption = write_caption(kind, words, color if rng.random() < 0.85 else "")
    if len(words) == 1 and rng.random() < 0.2:  # what it is about is not written on it
        caption += f", {rng.choice(WORDS)}"
    image = paint_sign(kind, color, words, rng.choice(GROUNDS))
    return Sign(image=image, caption=caption, words=words)
