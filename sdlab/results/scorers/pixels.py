"""Sharpness, colourfulness, brightness and clipping, from the pixels alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy
from PIL import Image

from .reading import score_pictures

LAPLACIAN = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]])
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as Pillow's mode "L"
COLUMNS = ("pixels_sharpness", "pixels_colourfulness", "pixels_brightness", "pixels_clipped")


def score_pixels(
    frame: pd.DataFrame, *, again: bool = False, progress: bool = False
) -> pd.DataFrame:
    """Measures each picture's sharpness, colourfulness, brightness, and share of clipped values.

    Returns
    -------
    DataFrame
        `pixels_sharpness`: the variance of the Laplacian of the grey picture in levels of 0 to 255,
        borders left out; it grows with noise as well as with edges. `pixels_colourfulness`: 0 for
        grey, about 33 for a moderately and 109 for an extremely colourful photograph.
        `pixels_brightness`: mean grey level, 0 to 255. `pixels_clipped`: the share of colour values
        at the very ends of their range, 0 or 255; 0 to 1.

    References
    ----------
    J. L. Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy: a comparative study",
    ICPR 2000 (LAPV). D. Hasler and S. Suesstrunk, "Measuring colourfulness in natural images", SPIE
    5007 (2003), the metric M3 of section 7.
    """
    dtypes = dict.fromkeys(COLUMNS, "Float64")
    return score_pictures(frame, "pixels", score_one, dtypes, again=again, progress=progress)


def score_one(image: Image.Image) -> dict[str, float]:
    """Measures one picture."""
    levels = np.asarray(image)  # (H, W, 3) uint8
    red, green, blue = np.moveaxis(levels.astype(float), -1, 0)
    grey = levels @ LUMA
    opposed = np.stack([red - green, (red + green) / 2 - blue])
    spread, distance = (np.hypot(*of(axis=(1, 2))) for of in (opposed.std, opposed.mean))
    inner = scipy.ndimage.convolve(grey, LAPLACIAN)[1:-1, 1:-1]
    values = (
        inner.var() if inner.size else None,
        spread + 0.3 * distance,
        grey.mean(),
        np.isin(levels, (0, 255)).mean(),
    )
    return dict(zip(COLUMNS, values))
