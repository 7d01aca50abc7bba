"""How many cells share a batch: a call of the UNet."""

from __future__ import annotations

TOGETHER = 4096  # latent pixels in a UNet's call; more are hardly faster, and leave lanes idle
MOST = 8  # cells


def count_together(height: int, width: int, threads: int) -> int:
    """Counts the cells of so many latent pixels that share a call; one, if threads share its work.

    It follows from the size alone: the last bits of a picture depend on it.
    """
    return 1 if threads > 1 else max(1, min(MOST, TOGETHER // (height * width)))
