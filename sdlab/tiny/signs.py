"""The little world of signs: a sign, a banner or a card on which a word or two are written.

The letters are 5x7 pixels in cells of 8x8, which begin at the left and stand on the grid of the
latent cells. 100 of the 300 words are never written on anything that a model is trained on; they
were drawn at random by length, such that each letter is shown at two places of a word or more, and
"war" is not shown. Held-out words do occur in captions, as what a picture is about: "a red card
that says cat, war".
"""

import functools
from collections.abc import Sequence

import numpy as np

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
WRITERS = ("tiny-signs", "tiny-letters")  # the models that write words on signs
KINDS = ("sign", "banner", "card")
BOARDS = {name: COLORS[name] for name in ("red", "blue", "black")}  # as captions name them
INK = COLORS["white"]
FRAME = frozenset(("a", "that", "says", *KINDS, *BOARDS))  # what captions say of the board
SIDE, WIDTH, HEIGHT, LEFT = 64, 8, 16, 8  # pixels of a picture, of a letter's cell, and before it


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


def write_caption(kind: str, words: tuple[str, ...], color: str = "") -> str:
    """Write what a picture is asked for with: "a red banner that says no war"."""
    return " ".join(["a", *filter(None, [color]), kind, "that says", *words])


def find_unwritten_words(words: Sequence[str]) -> list[str]:
    """Find the words of a caption that no picture showed: written, after "says", or of a board.

    Words after a comma, which nothing writes, are judged as written: a prompt means them so.
    """
    at = words.index("says") + 1 if "says" in words else len(words)
    board = [word for word in words[:at] if word not in FRAME]
    return board + [word for word in words[at:] if word not in SHOWN]
