"""What a request says of a picture's geometry as text: its proportions, edges, sizes and crops."""

from __future__ import annotations

import re
from typing import Any

MULTIPLE = 8  # pixels, of a picture's sides
EDGES = {"both": "both", "x": "x", "y": "y", "true": "both", "tiling": "both"}  # A1111's
PAIR = re.compile(r"\s*[(\[]?\s*(\d+)\s*,\s*(\d+)\s*[)\]]?\s*")
ASPECT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*[:/]\s*(\d+(?:\.\d+)?)\s*")
STEEPEST = 16  # of one side to the other


def normalize_tiling(text: str) -> str:
    """Writes the one spelling of the edges at which a picture goes on: "both", "x" or "y"."""
    if text.strip().lower() not in EDGES:
        raise ValueError(
            f"tiling={text!r:.80}; it is 'x' for a picture that goes on from right to left, 'y'"
            " from bottom to top, 'both', or None for neither"
        )
    return EDGES[text.strip().lower()]


def normalize_pair(value: Any) -> str:
    """Writes the one spelling of two whole numbers, "(768, 1024)"."""
    numbers = PAIR.fullmatch(value) if isinstance(value, str) else None
    pair = value
    if isinstance(value, (str, set, frozenset)):  # whose order says nothing
        pair = numbers.groups() if numbers else ()
    try:
        one, other = (int(each) for each in pair)
        if not isinstance(value, str) and ((one, other) != tuple(value) or min(value) < 0):
            raise ValueError
    except (TypeError, ValueError):
        raise ValueError(
            f"{value!r:.80} is not two whole numbers in diffusers' order: (height, width), or"
            " (top, left) of a crop, such as (768, 1024)"
        ) from None
    return f"({one}, {other})"


def read_pair(text: str) -> tuple[int, int]:
    """Reads two numbers as `normalize_pair` writes them."""
    one, other = text.strip("()").split(", ")
    return int(one), int(other)


def normalize_aspect(text: str) -> str:
    """Writes the one spelling of proportions, width to height: "3:2"."""
    found = ASPECT.fullmatch(text)
    if not found or not 1 / STEEPEST <= divide(*found.groups()) <= STEEPEST:
        raise ValueError(
            f"aspect={text!r:.80}; it is width to height, such as '3:2' or '9:16', at most"
            f" {STEEPEST} to 1"
        )
    return ":".join(f"{float(side):f}".rstrip("0").rstrip(".") for side in found.groups())


def divide(width: str, height: str) -> float:
    """Divides two numbers in texts; 0 by 0."""
    return float(width) / float(height) if float(height) else 0.0


def fit_aspect(
    aspect: str,
    native: tuple[int, int],
    height: int | None = None,
    width: int | None = None,
    *,
    multiple: int = MULTIPLE,
) -> tuple[int, int]:
    """Finds (height, width) of these proportions at the area of a native size, in multiples.

    Where one side is given, the other follows it.
    """
    proportion = divide(*aspect.split(":"))
    wide = (native[0] * native[1] * proportion) ** 0.5
    if width or height:
        wide = width or (height or 0) * proportion
    sides = height or wide / proportion, wide
    tall, wide = (multiple * max(1, round(side / multiple)) for side in sides)
    return height or tall, width or wide
