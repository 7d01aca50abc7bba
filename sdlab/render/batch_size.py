"""How many cells share a batch: a call of the UNet.

On a processor that follows from the size of the pictures and from the plan. A graphics card is
idle with so few: there a cell's time is measured in batches of growing size, once for each card,
version of torch, UNet and size, and kept like the times of `sdlab.models.machine`. A plan of fewer
cells than its lanes take at once has a smaller power of two, finished cells counted: what is left
of a plan is rendered as the whole was, and a cell alone is not computed eight times.
"""

from __future__ import annotations

from collections.abc import Callable

from ..models.machine import NARROW, choose_way, describe_device, recall, recall_kept, share_out

TOGETHER = 4096  # latent pixels in a UNet's call; more are hardly faster, and leave lanes idle
MOST = 8  # cells
TOGETHER_NARROW, MOST_NARROW = 8192, 32  # the same of a narrow UNet, whose plan can fill them
CALL = 1024  # latent pixels of it that take as long as what each call takes whatever its size
MOST_ON_CARD = 64  # cells
DECODED, DECODED_ON_CARD = 512 * 512, 4 * 512 * 512  # pixels in one call of the VAE
PAYS = 1.04  # times as long as in the best batch is what a cell may take in a smaller one


def count_together(height: int, width: int, threads: int) -> int:
    """Counts the cells of latents (h, w) that share a call; one, if threads share its work."""
    return 1 if threads > 1 else max(1, min(MOST, TOGETHER // (height * width)))


def share_cells(
    channels: int, lanes: int, threads: int, *, plan: int, size: tuple[int, int]
) -> tuple[int, int, int]:
    """Shares a plan of so many like cells, of latents (h, w), out on a processor.

    Returns
    -------
    three int
        Lanes, the threads of each, and the cells of a batch; the last bits of a picture depend on
        the latter two.
    """
    if threads == 1 and channels < NARROW:
        cells = count_narrow(*size, lanes, plan)
    else:
        cells = fit_plan(count_together(*size, threads), -(-plan // lanes))
    # with two cells or more in a batch, most lanes have one, and none gets threads of others
    lanes, threads = share_out(channels, lanes, threads, -(-plan // cells))
    return lanes, threads, cells


def count_narrow(height: int, width: int, lanes: int, plan: int) -> int:
    """Counts the cells of latents (h, w) in a call of a narrow UNet that end such a plan soonest.

    A batch costs the same full or not: of 40 cells, 8 at a time take two lanes less than 32.
    """
    area = height * width
    most = max(1, min(MOST_NARROW, TOGETHER_NARROW // area))
    sizes = [1 << n for n in range(most.bit_length())]
    return min(sizes, key=lambda cells: -(-plan // (lanes * cells)) * (cells * area + CALL))


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
