"""How many cells share a batch: a call of the UNet.

On a processor that follows from the size of the pictures. A graphics card is idle with so few:
there a cell's time is measured in batches of growing size, once for each card, version of torch,
UNet and size, and kept like the times of `sdlab.models.machine`.
"""

from __future__ import annotations

from collections.abc import Callable

from ..models.machine import choose_way, describe_device, recall, recall_kept

TOGETHER = 4096  # latent pixels in a UNet's call; more are hardly faster, and leave lanes idle
MOST = 8  # cells
MOST_ON_CARD = 64  # cells
DECODED, DECODED_ON_CARD = 512 * 512, 4 * 512 * 512  # pixels in one call of the VAE
PAYS = 1.04  # times as long as in the best batch is what a cell may take in a smaller one


def count_together(height: int, width: int, threads: int) -> int:
    """Counts the cells of so many latent pixels that share a call; one, if threads share its work.

    It follows from the size alone: the last bits of a picture depend on it.
    """
    return 1 if threads > 1 else max(1, min(MOST, TOGETHER // (height * width)))


def count_batches(cells: int, height: int, width: int) -> int:
    """Counts the batches that so many cells make on a processor, a thread each."""
    return -(-cells // count_together(height, width, threads=1))


def describe_batches(
    device: str, channels: int, *, parameters: int, rows: int, dtype: str, order: str, size: object
) -> str:
    """Describes what decides how many cells pay on a card; a cell is so many rows of a call."""
    unet = f"{channels} channels, {parameters} parameters, {dtype} {order}"
    return f"{describe_device(device)}, {unet}, cells of {rows} x {size}"


def recall_paying(name: str) -> int | None:
    """Recalls how many cells pay in a batch; None if that was not measured yet."""
    kept = recall_kept(name)
    return int(choose_way(kept, PAYS)) if kept else None


def count_paying(name: str, time_call: Callable[[int], float | None]) -> int:
    """Counts the cells of the smallest batch in which a cell takes about the least time.

    Times that end because memory did are not kept: another time more of it may be free.

    Parameters
    ----------
    time_call : callable
        Gives the seconds of a batch of so many cells, or None if there is no room for it.
    """
    times = recall_kept(name)
    if not times:
        times, whole = measure_batches(time_call)
        times = recall(name, lambda: times) if whole else times
    return int(choose_way(times, PAYS)) if times else 1


def measure_batches(time_call: Callable[[int], float | None]) -> tuple[dict[str, float], bool]:
    """Measures the seconds of a cell in growing batches, and whether there was room for all."""
    times: dict[str, float] = {}
    cells = 1
    while cells <= MOST_ON_CARD:
        if (seconds := time_call(cells)) is None:
            return times, False
        times[str(cells)] = seconds / cells
        if cells > 2 and times[str(cells)] * PAYS > times[str(cells // 2)]:
            break  # larger ones are no faster
        cells *= 2
    return times, True


def fit_plan(cells: int, plan: int) -> int:
    """Gives a smaller power of two where the plan has fewer cells than a batch."""
    return min(cells, 1 << max(0, plan - 1).bit_length())
