"""What a request says of a picture's geometry as text: its sizes and crops."""

from __future__ import annotations

import re
from typing import Any

MULTIPLE = 8  # pixels, of a picture's sides
PAIR = re.compile(r"\s*[(\[]?\s*(\d+)\s*,\s*(\d+)\s*[)\]]?\s*")


def normalize_pair(value: Any) -> str:
    """Writes the one spelling of two whole numbers, "(768, 1024)"."""
    numbers = PAIR.fullmatch(value) if isinstance(value, str) else None
    pair = numbers.groups() if numbers else value
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
