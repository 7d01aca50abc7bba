"""The same noise with and without the prompt, and the vector between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...render.trace import Moment, Trace
from .attention import paint_heat
from .strip import SIDE, draw_rows

if TYPE_CHECKING:  # matplotlib comes when something is drawn
    from ..sheet import GridFigure

SCALES = (0, 1, 7.5)
COLUMNS = 6  # moments in a figure


def draw_guidance(trace: Trace, scales: Sequence[float] = SCALES) -> GridFigure:
    """Draws what the model believes at some steps with each guidance, from the same noise.

    The last row is the vector between 0 and 1: how much each place would change.
    """
    moments = choose_moments(trace.moments)
    rows = [[trace.sketch(guide(moment, scale)) for moment in moments] for scale in scales]
    rows.append(
        [paint_heat(moment.direction).resize((SIDE, SIDE), resample=0) for moment in moments]
    )
    captions = [[f"step {moment.last + 1}" for moment in moments] for _ in scales]
    captions.append([f"{moment.direction.mean():.2f}" for moment in moments])
    labels = [f"guidance {scale:g}" for scale in scales] + ["the vector"]
    title = (
        "u + w (c - u): the same noise, read without the prompt (0), with it (1), and beyond\n"
        "(sketches, which are blurred: none of these is decoded by the VAE)"
    )
    return draw_rows(rows, captions, labels=labels, title=title)


def guide(moment: Moment, scale: float) -> np.ndarray:
    """Computes the clean latents (C, h, w) that a moment implies with this guidance.

    The formula holds for them as for predictions, of which they are a linear function.
    """
    return moment.without + np.float32(scale) * (moment.with_text - moment.without)


def choose_moments(moments: Sequence[Moment]) -> list[Moment]:
    """Chooses some moments, the first and the last among them."""
    places = np.linspace(0, len(moments) - 1, min(COLUMNS, len(moments))).round()
    return [moments[int(place)] for place in places]
