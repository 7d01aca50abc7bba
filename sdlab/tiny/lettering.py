"""Reads what is written on a picture of the world of signs, by laying its font on the picture.

The board tells by its height whether one or two lines are to be read. In each cell the letter wins,
or the blank, whose pixels are nearest to the difference from the board, along the way from the
board's colour to white.
"""

import functools

import numpy as np
from PIL import Image

from .signs import HEIGHT, INK, LEFT, SIDE, WIDTH, make_font, write_letters

PLACES = 6  # letters in a line
MOST_ERROR = 0.35  # of a letter's own pixels, squared; what no letter explains so well is a "?"
LEAST_CONTRAST = 60  # levels, summed over the channels, between two colours that are not one
UNCLEAR = "?"


def read_sign(image: Image.Image | np.ndarray) -> tuple[str, ...]:
    """Read the lines of a sign, in lower case; a mark that is no letter is "?", nothing is ().

    Less than a millisecond. It knows the world's own font, upright and at its own place, and
    nothing else.
    """
    pixels = read_pixels(image)
    board = np.median(pixels[SIDE // 2 - 6 : SIDE // 2 + 6, LEFT:].reshape(-1, 3), 0)
    if np.abs(np.array(INK) - board).sum() < LEAST_CONTRAST:
        return ()
    lines = count_lines(pixels, board)
    top = (SIDE - HEIGHT * lines) // 2
    block = pixels[top : top + HEIGHT * lines, LEFT : LEFT + WIDTH * PLACES]
    cells = cut_cells(measure_ink(block, board), lines)
    words = ("".join(map(read_letter, line)).strip() for line in cells)
    return tuple(word for word in words if word)


def read_pixels(image: Image.Image | np.ndarray) -> np.ndarray:
    """Read a picture as (64, 64, 3) float32 of 0 to 255, brought to 64x64 first."""
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    image = image.convert("RGB")
    if image.size != (SIDE, SIDE):
        image = image.resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(image, np.float32)


def count_lines(pixels: np.ndarray, board: np.ndarray) -> int:
    """Count the lines that the board has room for: two if it reaches beyond a single one."""
    rims = pixels[[13, 14, 49, 50], 6 : SIDE - 6].reshape(-1, 3)
    return 2 if np.abs(np.median(rims, 0) - board).sum() < LEAST_CONTRAST else 1


def measure_ink(block: np.ndarray, board: np.ndarray) -> np.ndarray:
    """Compute how far each pixel is on the way from the board's colour (0) to white (1)."""
    way = np.array(INK, np.float32) - board
    return (block - board) @ way / (way @ way)


def cut_cells(ink: np.ndarray, lines: int) -> np.ndarray:
    """Cut (16 * lines, 48) into cells, (lines, 6, 16, 8)."""
    return ink.reshape(lines, HEIGHT, PLACES, WIDTH).transpose(0, 2, 1, 3)


@functools.cache
def make_templates() -> tuple[str, np.ndarray]:
    """Make the letters, and their cells' ink (27, 16, 8); the last one is the blank."""
    letters = "".join(make_font())
    cells = [write_letters((letter,))[:, LEFT : LEFT + WIDTH] for letter in letters]
    return letters + " ", np.stack([*cells, np.zeros_like(cells[0])]).astype(np.float32)


def read_letter(cell: np.ndarray) -> str:
    """Read one cell's ink, (16, 8): a letter, a blank, or "?"."""
    letters, templates = make_templates()
    errors = ((cell - templates) ** 2).sum((1, 2))
    best = int(errors.argmin())
    least = errors[best] / max(templates[best].sum(), templates.sum((1, 2))[:-1].mean())
    return letters[best] if least < MOST_ERROR else UNCLEAR
