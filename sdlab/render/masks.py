"""Masks and depth maps that do nothing, said before a run: what they hold, and what to do."""

from __future__ import annotations

import functools

from ..models.resolve import Native
from ..pictures import read_picture
from ..recipe.request import Recipe

WHITE = 128  # levels of 255; from there on a mask counts as white, as in diffusers
PAINT = (
    "what is white is painted anew. Where that part is transparent (erased in an editor), give"
    " picture.getchannel('A').point(lambda a: 255 - a); of numbers from 0 to 1, (255 *"
    " array).round().astype('uint8'); if black and white are the other way round,"
    " PIL.ImageOps.invert(mask)"
)


def describe_idle_mask(request: Recipe, own: Native) -> tuple[str, str] | None:
    """Describes a mask, (field, text), that leaves nothing of the picture or all; else None."""
    if request.mask_image is None:
        return None
    size = request.width, request.height
    least, most, painted = measure_mask(str(request.mask_image), size, own.layout.factor)
    if 0 < painted < 1:
        return None
    if painted:
        light = (
            f"nowhere darker than {least} of 255"
            if least >= WHITE
            else f"black only in spots of less than the {own.layout.factor} pixels of a latent"
        )
        return "mask_image", f"mask_image is {light}: all of the picture is painted anew; {PAINT}"
    if most >= WHITE:
        dark = f"white only in spots of less than the {own.layout.factor} pixels of a latent"
    else:
        dark = "black everywhere" if most == 0 else f"nowhere lighter than {most} of 255"
    return "mask_image", f"mask_image is {dark}: nothing of the picture is painted anew; {PAINT}"


def describe_flat_depth(request: Recipe, own: Native) -> tuple[str, str] | None:
    """Describes a depth map, (field, text), in which all is equally far; else None."""
    if request.depth_map is None:
        return None
    size = request.width, request.height
    least, most, _ = measure_mask(str(request.depth_map), size, own.layout.factor)
    if least < most:
        return None
    return "depth_map", (
        f"depth_map is {most} of 255 everywhere, so it tells of no depth; give a picture that is"
        " light where it is near, or leave it out to have the depth estimated"
    )


@functools.lru_cache(256)
def measure_mask(name: str, size: tuple[int, int], factor: int) -> tuple[int, int, float]:
    """Measures (darkest level, lightest level, share of the latents that counts as white).

    Parameters
    ----------
    name : str
        Of the picture, 8 bits of grey.
    size : (int, int)
        Width and height to which it is stretched, in pixels.
    factor : int
        Pixels to a latent: of so many the first counts.
    """
    import numpy as np
    from PIL.Image import Resampling

    grey = read_picture(name)
    latents = np.asarray(grey.resize(size, Resampling.LANCZOS))[::factor, ::factor]
    least, most = grey.getextrema()
    return int(least), int(most), float((latents >= WHITE).mean())  # type: ignore[arg-type]
