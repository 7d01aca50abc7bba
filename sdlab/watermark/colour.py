"""Colour as OpenCV converts it, in the last bit: uint8 in 14-bit fixed point, float32 with fused multiply-add.

float32 follows an x86 processor with AVX2, that is most since 2013; OpenCV itself differs in the
last bit on others. Channels are given as blue, green, red. U and V are centred at 128 in uint8 and
at 0.5 in float32, whatever its range.
"""

from __future__ import annotations

import numpy as np

LANES = (
    8  # OpenCV's float32 vector; the columns beyond a multiple of it are summed in another order
)
MIDPOINT, BELOW = (
    1 << 28,
    (1 << 29) - 1,
)  # of a float64's mantissa, the part that float32 cannot hold


def compute_u(blue: np.ndarray, green: np.ndarray, red: np.ndarray) -> np.ndarray:
    """The U plane, float32 (H, W): all that decoding needs."""
    return _compute_chroma(blue, compute_luma(blue, green, red), 8061, 0.492)


def convert_to_yuv(
    blue: np.ndarray, green: np.ndarray, red: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Y, U and V, float32 planes (H, W); whole numbers if the channels are uint8."""
    y = compute_luma(blue, green, red)
    return y, _compute_chroma(blue, y, 8061, 0.492), _compute_chroma(red, y, 14369, 0.877)


def compute_luma(blue: np.ndarray, green: np.ndarray, red: np.ndarray) -> np.ndarray:
    """The Y plane, float32 (H, W)."""
    if (
        blue.dtype == np.uint8
    ):  # whole numbers below 2**24 are exact in float32, and faster than in int32
        total = blue * np.float32(1868)
        total += green * np.float32(9617)
        total += red * np.float32(4899)
        return _shift(total)
    y, end = np.empty_like(blue), blue.shape[1] // LANES * LANES
    y[:, :end] = _weigh(blue[:, :end], 0.114, green[:, :end], 0.587, red[:, :end], 0.299)
    y[:, end:] = _weigh(red[:, end:], 0.299, blue[:, end:], 0.114, green[:, end:], 0.587)
    return y


def convert_to_bgr(
    y: np.ndarray, u: np.ndarray, v: np.ndarray, arithmetic: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Blue, green and red from Y, U and V, in `arithmetic`."""
    if arithmetic == "uint8":
        y, u, v = y.astype(np.int32), u.astype(np.int32) - 128, v.astype(np.int32) - 128
        blue = y + ((33292 * u + 8192) >> 14)
        green = y + ((-6472 * u - 9519 * v + 8192) >> 14)
        red = y + ((18678 * v + 8192) >> 14)
        return tuple(np.clip(c, 0, 255).astype(np.uint8) for c in (blue, green, red))
    u, v = u - np.float32(0.5), v - np.float32(0.5)
    return (
        multiply_add(u, 2.032, y),
        multiply_add(v, -0.581, multiply_add(u, -0.395, y)),
        multiply_add(v, 1.140, y),
    )


def _shift(total: np.ndarray) -> np.ndarray:
    """(total + 8192) >> 14, in place in float32."""
    total += np.float32(8192)
    total *= np.float32(2**-14)
    return np.floor(total, out=total)


def _compute_chroma(channel: np.ndarray, y: np.ndarray, fixed: int, factor: float) -> np.ndarray:
    if channel.dtype != np.uint8:
        return multiply_add(channel - y, factor, np.float32(0.5))
    total = channel - y
    total *= np.float32(fixed)
    total += np.float32(128 << 14)
    return np.clip(_shift(total), 0, 255, out=total)


def _weigh(
    a: np.ndarray, ka: float, b: np.ndarray, kb: float, c: np.ndarray, kc: float
) -> np.ndarray:
    return multiply_add(a, ka, multiply_add(b, kb, c * np.float32(kc)))


def multiply_add(a: np.ndarray, factor: float, c: np.ndarray | np.float32) -> np.ndarray:
    """a * factor + c in float32, rounded once, as a processor's fused multiply-add rounds it."""
    product = np.multiply(a, np.float32(factor), dtype=np.float64)  # exact: 24 + 24 bits
    total = (
        product + c
    )  # rounded to 53 bits; to round again is wrong only where this fell on a midpoint of float32
    ties = np.nonzero((total.view(np.int64) & BELOW) == MIDPOINT)
    if ties[0].size:
        total[ties] = _move_off_midpoint(
            product[ties], np.broadcast_to(c, total.shape)[ties].astype(np.float64), total[ties]
        )
    return total.astype(np.float32)


def _move_off_midpoint(product: np.ndarray, c: np.ndarray, total: np.ndarray) -> np.ndarray:
    """`total` moved off the midpoint, to the side on which the exact sum lies."""
    part = total - product
    lost = (product - (total - part)) + (c - part)  # what the sum lost in rounding, exactly
    return np.where(lost == 0, total, np.nextafter(total, np.copysign(np.inf, lost)))
