"""Writes and reads marks as invisible-watermark 0.2.0 does, pixel for pixel: `dwtDct`, `dwtDctSvd`.

Despite its name there is no DCT in `dwtDct`. One Haar level halves the U plane; in each 4x4 block
of the averages (8x8 pixels) the largest coefficient but the first is moved to residue 9 (bit 0) or
27 (bit 1) of its step of 36. Block n carries bit n % n_bits. `dwtDctSvd` moves the largest singular
value of the block's DCT instead.

`dwtDct`, and `dwtDctSvd` in uint8, are equal in every pixel and every bit. `dwtDctSvd` in float32
is not: there OpenCV leaves the DCT to a library that takes other code on other processors. In 216
runs, from noise to gradients, up to 37 % of the values differed, by 0.0004 at most, and no decoded
bit.

Colour is converted as OpenCV does it, in the last bit: uint8 in 14-bit fixed point, float32 with
fused multiply-add as an x86 processor with AVX2 has it, that is most since 2013. U and V are
centred at 128 in uint8 and at 0.5 in float32, whatever its range.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from .payloads import ARITHMETICS, METHODS, ORDERS, Payload, find_payload, require_known

STEP = 36
BLOCK = 4  # a block is 4x4 averages, 8x8 pixels
MIN_AREA = 256 * 256  # pixels; the programs refuse to mark less
PART = 4_000_000  # pixels that are read together
HAAR = 0.7071067811865476
LANES = 8  # OpenCV's float32 vector; columns beyond a multiple of it are summed in another order
MIDPOINT, BELOW = 1 << 28, (1 << 29) - 1  # of the part of a float64 that float32 cannot hold
# OpenCV's factors of a DCT of length 4: 1 / sqrt(2), of which its pieces are multiples, and angles
COS, SIN, ROOT = 0.92387953251128675613, 0.38268343236508977173, 0.70710678118654752440
SCALE = 2 * 0.353553390593273762200422181052425
OUTER, INNER, MIDDLE = SCALE * COS, SCALE * SIN, SCALE * COS * COS - SCALE * SIN * SIN


def embed_watermark(
    image: Any,
    payload: Payload | str | bytes,
    method: str | None = None,
    *,
    order: str | None = None,
    arithmetic: str | None = None,
) -> Any:
    """Mark a picture invisibly, as the program that writes `payload` would leave it.

    Parameters
    ----------
    image : uint8 or float32 array (H, W, 3) or (H, W, 4), or PIL image
        RGB, float32 in 0..255; at least 65,536 pixels. Alpha passes through. The result is of the
        same kind.
    payload : Payload, str or bytes
        A name in `PAYLOADS`, a text or bytes.
    method : {"dwtDct", "dwtDctSvd"}, optional
        The payload's own by default, as are the next two.
    order : {"BGR", "RGB"}, optional
        The channel order that the program hands to the library. "RGB" reproduces programs that
        forgot to swap, such as diffusers' SDXL before 2024-02 and SD.Next.
    arithmetic : {"uint8", "float32"}, optional
        A float32 picture is always marked in float32, and comes back
        neither clipped nor rounded. A uint8 picture that is marked in float32 is clipped to 0..255,
        then rounded as diffusers saves SDXL, or cut as FLUX.1 is saved (`Payload.cut`).

    Raises
    ------
    TypeError, ValueError
        For a picture or a payload that cannot be used.
    """
    payload = find_payload(payload)
    method, order = method or payload.method, order or payload.order
    require_known("method", method, METHODS)
    pixels = require_area(read_array(image))
    arithmetic = arithmetic or ("float32" if pixels.dtype == np.float32 else payload.arithmetic)
    y, u, v = convert_to_yuv(*split_channels(pixels, arithmetic, order))
    whole = _take_whole(u, arithmetic)
    u[: whole.shape[0], : whole.shape[1]] = _mark_plane(whole, payload.bits, method)
    return _restore_kind(image, pixels, convert_to_bgr(y, u, v, arithmetic), order, payload.cut)


def decode_watermark(
    image: Any,
    n_bits: int,
    method: str = "dwtDct",
    *,
    order: str = "BGR",
    arithmetic: str | None = None,
) -> np.ndarray:
    """Read the bits that the official decoder reads, bool (n_bits,).

    Every picture gives some, marked or not.

    Parameters
    ----------
    image : as in `embed_watermark`
    order : {"BGR", "RGB"}
        The channel order of the program that wrote the mark.
    arithmetic : {"uint8", "float32"}, optional
        The picture's own by default. The official tools read uint8; marks of SDXL and FLUX.1 are
        read better in float32.
    """
    return decide_bits(count_votes(read_blocks(image, arithmetic, order, method), n_bits))


def read_blocks(
    image: Any, arithmetic: str | None = None, order: str = "BGR", method: str = "dwtDct"
) -> np.ndarray:
    """Read the bit that the official decoder sees in each block, bool (n_blocks,), row by row."""
    return read_residues(image, arithmetic, order, method) > STEP / 2


def read_residues(
    image: Any, arithmetic: str | None = None, order: str = "BGR", method: str = "dwtDct"
) -> np.ndarray:
    """Measure what the official decoder looks at in each block, (n_blocks,).

    Its largest number modulo 36; above 18 is read as 1.
    """
    require_known("method", method, METHODS)
    pixels = require_area(read_array(image))
    arithmetic = arithmetic or str(pixels.dtype)
    plane = compute_u(*split_channels(pixels, arithmetic, order))
    blocks = split_blocks(_average(_take_whole(plane, arithmetic)))
    if method == "dwtDct":
        return np.abs(blocks[:, 1:]).max(1) % STEP
    return _decompose(blocks)[1][:, 0] % STEP


def count_votes(block_bits: np.ndarray, n_bits: int) -> np.ndarray:
    """Count the share of ones among the blocks of each bit of the payload, (n_bits,).

    It is NaN for a bit that no block carries.
    """
    if isinstance(n_bits, bool) or not isinstance(n_bits, (int, np.integer)):
        raise TypeError(
            f"n_bits={n_bits!r} is not a whole number; for a known payload take"
            " len(PAYLOADS['sd-v1'])"
        )
    if n_bits < 1:
        raise ValueError(f"n_bits={n_bits}: a payload has at least one bit")
    index = np.arange(len(block_bits)) % n_bits
    ones = np.bincount(index, weights=block_bits, minlength=n_bits)
    with np.errstate(invalid="ignore"):
        return ones / np.bincount(index, minlength=n_bits)


def decide_bits(shares: np.ndarray) -> np.ndarray:
    """Decide as the official decoder does, bool (n_bits,): a bit that no block carries is 0."""
    return shares * 255 > 127


def split_blocks(average: np.ndarray) -> np.ndarray:
    """Split the Haar average into its whole 4x4 blocks, row by row, (n_blocks, 16)."""
    return _tile(average).reshape(-1, BLOCK * BLOCK)


def _tile(average: np.ndarray) -> np.ndarray:  # a view (rows, columns, 4, 4)
    rows, columns = average.shape[0] // BLOCK, average.shape[1] // BLOCK
    whole = average[: rows * BLOCK, : columns * BLOCK]
    return whole.reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2)


def read_array(image: Any) -> np.ndarray:
    """Take the picture as an RGB or RGBA array, or say what is wrong with it."""
    if hasattr(image, "getbands"):  # a PIL image
        if image.mode not in ("RGB", "RGBA"):
            raise ValueError(
                f"a picture in mode {image.mode!r} carries no mark; convert it first:"
                " image.convert('RGB')"
            )
        image = np.asarray(image)
    if not isinstance(image, np.ndarray):
        raise TypeError(f"a picture is an array or a PIL image, not {type(image).__name__}")
    if image.ndim != 3 or image.shape[2] not in (3, 4):
        raise ValueError(
            f"a picture is an array (H, W, 3) or (H, W, 4) in RGB, not of shape {image.shape}; "
            "the mark lives in colour, so a greyscale picture has none"
        )
    if image.dtype not in (np.uint8, np.float32):
        raise TypeError(
            f"a picture is uint8, or float32 in 0..255, not {image.dtype}; convert it:"
            " image.astype('float32')"
        )
    if image.dtype == np.float32:
        least, greatest = image[..., :3].min(initial=0), image[..., :3].max(initial=0)
        if not np.isfinite([least, greatest]).all():
            raise ValueError("this float32 picture holds NaN or infinite values")
        if 0 < greatest <= 1:  # no error: a black picture from a network looks the same
            warnings.warn(
                "a float32 picture is in 0..255, and the largest value of this one is"
                f" {greatest:.3g}; if it is in 0..1, multiply it by 255",
                stacklevel=3,
            )
    return image


def require_area(pixels: np.ndarray) -> np.ndarray:
    """Return the same pixels, or refuse so few that the programs would not mark them."""
    height, width = pixels.shape[:2]
    if height * width < MIN_AREA:
        raise ValueError(
            f"{width}x{height} are {height * width:,} pixels; a mark needs {MIN_AREA:,} (256x256)"
            " or more"
        )
    return pixels


def require_room(payload: Payload | str | bytes, height: int, width: int) -> None:
    """Refuse a mark that a picture of this size cannot carry.

    Parameters
    ----------
    payload : Payload, str or bytes
    height, width : int
        In pixels.

    Raises
    ------
    ValueError
        If it has less than `MIN_AREA` pixels, or fewer blocks of 8x8 than the payload has bits.
    """
    area, n_bits = height * width, len(find_payload(payload))
    if area < MIN_AREA:
        raise ValueError(
            f"watermark={payload!r:.80}: a picture of {width}x{height} is too small for a mark,"
            f" which needs {MIN_AREA:,} pixels; ask for height=256, width=256 or more"
        )
    if n_bits > area // 64:
        raise ValueError(
            f"watermark={payload!r:.80} has {n_bits:,} bits, but a picture of {width}x{height} has"
            f" room for {area // 64:,}; take a shorter text"
        )


def split_bands(pixels: np.ndarray) -> list[np.ndarray]:
    """Split a large picture into rows of whole blocks, so that reading it takes no more memory."""
    rows = pixels.shape[0] // 8
    parts = max(1, min(rows, pixels.shape[0] * pixels.shape[1] // PART))
    return np.split(pixels, [8 * int(edge) for edge in np.linspace(0, rows, parts + 1)[1:-1]])


def split_channels(pixels: np.ndarray, arithmetic: str, order: str) -> list[np.ndarray]:
    """Take what the program takes for blue, green and red, in `arithmetic`."""
    require_known("arithmetic", arithmetic, ARITHMETICS)
    require_known("order", order, ORDERS)
    if arithmetic == "uint8" and pixels.dtype != np.uint8:
        raise ValueError(
            "a float32 picture has no uint8 arithmetic; round or cut it to uint8 first"
        )
    return [np.asarray(pixels[..., channel], arithmetic) for channel in ORDERS[order]]


def _take_whole(plane: np.ndarray, arithmetic: str) -> np.ndarray:  # as the library transforms it
    whole = plane[: len(plane) // 4 * 4, : plane.shape[1] // 4 * 4]
    return whole.astype(np.float64 if arithmetic == "uint8" else np.float32)


def _mark_plane(plane: np.ndarray, bits: np.ndarray, method: str) -> np.ndarray:
    average, horizontal, vertical, diagonal = _split_haar(plane)
    blocks = split_blocks(average)
    move = _move_largest_coefficients if method == "dwtDct" else _move_largest_values
    moved = move(blocks, bits[np.arange(len(blocks)) % len(bits)])
    tiles = _tile(average)
    tiles[...] = moved.reshape(tiles.shape)
    # The library confuses the two details, which transposes every 2x2 cell of U.
    result = _join_haar(average, vertical, horizontal, diagonal)
    return result.astype(np.uint8) if plane.dtype == np.float64 else result  # cut, not rounded


def _move_into_step(size: np.ndarray, bits: np.ndarray) -> np.ndarray:
    return (size // STEP + 0.25 + 0.5 * bits) * STEP


def _move_largest_coefficients(blocks: np.ndarray, bits: np.ndarray) -> np.ndarray:
    blocks, block = blocks.copy(), np.arange(len(blocks))
    largest = np.abs(blocks[:, 1:]).argmax(1) + 1
    value = blocks[block, largest]
    blocks[block, largest] = np.copysign(_move_into_step(np.abs(value), bits), value)
    return blocks


def _average(plane: np.ndarray) -> np.ndarray:  # the first of `_split_haar` alone, and faster
    low = plane.dtype.type(HAAR) * plane
    low = (low[1::2] + low[0::2]) * plane.dtype.type(HAAR)
    return low[:, 1::2] + low[:, 0::2]


def _split_haar(plane: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Compute average, horizontal, vertical and diagonal detail, (H/2, W/2) each.

    Summed in PyWavelets' order.
    """
    scaled = plane.dtype.type(HAAR) * plane
    low, high = scaled[1::2] + scaled[0::2], scaled[0::2] - scaled[1::2]
    low *= plane.dtype.type(HAAR)
    high *= plane.dtype.type(HAAR)
    return (
        low[:, 1::2] + low[:, 0::2],
        high[:, 1::2] + high[:, 0::2],
        low[:, 0::2] - low[:, 1::2],
        high[:, 0::2] - high[:, 1::2],
    )


def _join_haar(
    average: np.ndarray, horizontal: np.ndarray, vertical: np.ndarray, diagonal: np.ndarray
) -> np.ndarray:
    scale = average.dtype.type(HAAR)
    low = _interleave((scale * average).T, (scale * vertical).T).T
    high = _interleave((scale * horizontal).T, (scale * diagonal).T).T
    return _interleave(scale * low, scale * high)


def _interleave(even: np.ndarray, odd: np.ndarray) -> np.ndarray:
    return np.stack([even + odd, even - odd], 1).reshape(2 * len(even), even.shape[1])


def _restore_kind(image: Any, pixels: np.ndarray, marked: Any, order: str, cut: bool) -> Any:
    """Put the marked channels into the kind of picture that was given, alpha and all."""
    result = pixels.copy()
    for channel, plane in zip(ORDERS[order], marked):
        if plane.dtype != pixels.dtype:
            plane = np.clip(plane if cut else np.round(plane), 0, 255)
        result[..., channel] = plane
    if isinstance(image, np.ndarray):
        return result
    from PIL import Image

    restored = Image.fromarray(result)
    restored.info = dict(image.info)
    return restored


# Colour


def compute_u(blue: np.ndarray, green: np.ndarray, red: np.ndarray) -> np.ndarray:
    """Compute the U plane, float32 (H, W): all that decoding needs."""
    return _compute_chroma(blue, compute_luma(blue, green, red), 8061, 0.492)


def convert_to_yuv(
    blue: np.ndarray, green: np.ndarray, red: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute Y, U and V, float32 planes (H, W); whole numbers if the channels are uint8."""
    y = compute_luma(blue, green, red)
    return y, _compute_chroma(blue, y, 8061, 0.492), _compute_chroma(red, y, 14369, 0.877)


def compute_luma(blue: np.ndarray, green: np.ndarray, red: np.ndarray) -> np.ndarray:
    if blue.dtype == np.uint8:
        # whole numbers below 2**24 are exact in float32, and faster than in int32
        return _shift(blue * np.float32(1868) + green * np.float32(9617) + red * np.float32(4899))
    y, end = np.empty_like(blue), blue.shape[1] // LANES * LANES
    for part, weighted in (
        (slice(end), ((blue, 0.114), (green, 0.587), (red, 0.299))),
        (slice(end, None), ((red, 0.299), (blue, 0.114), (green, 0.587))),
    ):
        (a, ka), (b, kb), (c, kc) = ((plane[:, part], factor) for plane, factor in weighted)
        y[:, part] = multiply_add(a, ka, multiply_add(b, kb, c * np.float32(kc)))
    return y


def convert_to_bgr(
    y: np.ndarray, u: np.ndarray, v: np.ndarray, arithmetic: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute blue, green and red from Y, U and V, in `arithmetic`."""
    if arithmetic == "uint8":
        y, u, v = y.astype(np.int32), u.astype(np.int32) - 128, v.astype(np.int32) - 128
        shifts = 33292 * u, -6472 * u - 9519 * v, 18678 * v  # of blue, green and red
        return tuple(np.clip(y + ((x + 8192) >> 14), 0, 255).astype(np.uint8) for x in shifts)
    u, v = u - np.float32(0.5), v - np.float32(0.5)
    return (
        multiply_add(u, 2.032, y),
        multiply_add(v, -0.581, multiply_add(u, -0.395, y)),
        multiply_add(v, 1.140, y),
    )


def _shift(total: np.ndarray) -> np.ndarray:  # (total + 8192) >> 14 in place, in float32
    total += np.float32(8192)
    total *= np.float32(2**-14)
    return np.floor(total, out=total)


def _compute_chroma(channel: np.ndarray, y: np.ndarray, fixed: int, factor: float) -> np.ndarray:
    if channel.dtype != np.uint8:
        return multiply_add(channel - y, factor, np.float32(0.5))
    total = (channel - y) * np.float32(fixed) + np.float32(128 << 14)
    return np.clip(_shift(total), 0, 255, out=total)


def multiply_add(a: np.ndarray, factor: float, c: np.ndarray | np.float32) -> np.ndarray:
    """Compute a * factor + c in float32, rounded once, as a processor's fused multiply-add does."""
    product = np.multiply(a, np.float32(factor), dtype=np.float64)  # exact: 24 + 24 bits
    # rounded to 53 bits; to round again is wrong only where this fell on a midpoint of float32
    total = product + c
    ties = np.nonzero((total.view(np.int64) & BELOW) == MIDPOINT)
    if ties[0].size:  # move it to the side on which the exact sum lies
        near, exact = total[ties], product[ties]
        part = near - exact
        addend = np.broadcast_to(c, total.shape)[ties].astype(np.float64)
        lost = (exact - (near - part)) + (addend - part)  # what the sum lost in rounding, exactly
        total[ties] = np.where(lost == 0, near, np.nextafter(near, np.copysign(np.inf, lost)))
    return total.astype(np.float32)


# The blocks of dwtDctSvd. An orthonormal DCT leaves singular values as they are, but for the last
# bits; it is done all the same, in OpenCV's order of operations, because flat and striped blocks
# stand exactly on the border of a step, where the last bits decide.


def _decompose(blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decompose the DCT of each block (n_blocks, 16) into singular values and vectors."""
    # the vectors even where only values are asked for: LAPACK's other routine rounds differently
    return np.linalg.svd(_transform_both_ways(_transform_cosine, blocks))


def _move_largest_values(blocks: np.ndarray, bits: np.ndarray) -> np.ndarray:
    left, sizes, right = _decompose(blocks)
    sizes[:, 0] = _move_into_step(sizes[:, 0], bits)
    return _transform_both_ways(_invert_cosine, left @ (sizes[:, :, None] * right))


def _transform_both_ways(
    transform: Callable[[np.ndarray], np.ndarray], blocks: np.ndarray
) -> np.ndarray:
    rows = transform(blocks.reshape(-1, 4, 4))
    return transform(rows.swapaxes(1, 2)).swapaxes(1, 2)  # (n_blocks, 4, 4)


def _transform_cosine(x: np.ndarray) -> np.ndarray:  # orthonormal, along the last axis
    x0, x1, x2, x3 = np.moveaxis(x, -1, 0)
    even, odd, outer, inner = x0 + x3, x2 + x1, x0 - x3, x1 - x2
    first, second = (even + odd) * SCALE * ROOT, (even - odd) * MIDDLE
    return np.stack(
        [first, OUTER * outer + INNER * inner, second, INNER * outer - OUTER * inner], -1
    )


def _invert_cosine(y: np.ndarray) -> np.ndarray:
    y0, y1, y2, y3 = np.moveaxis(y, -1, 0)
    first, second = y0 * SCALE * ROOT, y2 * MIDDLE
    outer, inner = OUTER * y1 + INNER * y3, INNER * y1 - OUTER * y3
    ends = first + second, first - second
    return np.stack([ends[0] + outer, ends[1] + inner, ends[1] - inner, ends[0] - outer], -1)
