"""Draws the captioned signs, banners and cards that the models of signs are trained on."""

import random
from dataclasses import dataclass, field

import numpy as np

from sdlab.tiny.scenes import BACKGROUNDS
from sdlab.tiny.signs import (
    BOARDS,
    HEIGHT,
    INK,
    KINDS,
    SHOWN,
    SIDE,
    WORDS,
    make_font,
    write_caption,
    write_letters,
)

WRITINGS = (*(f"a word of {n}" for n in range(1, 7)), "two words")
GROUNDS = ("gray", "pink", "orange", "purple")  # which captions do not name
FRAME = ("that", "says", *KINDS, *BOARDS)  # the words of captions that are not written


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
