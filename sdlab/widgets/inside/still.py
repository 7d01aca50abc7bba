"""What stays of a look inside without a kernel: the picture, some steps, and where words act."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup, escape
from PIL import Image

from ...pictures import webp_bytes
from ...results.html import render_table
from ...results.inside import Insight
from ...results.inside.attention import lay_over
from ..pictures import STATIC, render_image

STEPS = 6
WORDS = 24
CELL = "text-align:center;vertical-align:top;padding:2px 6px 2px 0"
FOUND = Markup("{}<br>{}")


def render_sides(insights: Sequence[Insight], seen: Sequence[Sequence[str]]) -> str:
    """Renders a table for each cell; `seen` says what stands in its pictures, [] if none does."""
    return "".join(
        render_steps(each, own) + (render_words(each) if each.attention.maps else "")
        for each, own in zip(insights, seen)
    )


def render_steps(insight: Insight, seen: Sequence[str]) -> str:
    """Renders some steps in a row."""
    strip, moments = insight.strip, insight.trace.moments
    places = np.linspace(0, len(strip) - 1, min(STEPS, len(strip))).round().astype(int)
    row = [
        render_cell(strip.pictures[n], f"step {moments[n].last + 1}", seen[n] if seen else "")
        for n in places
    ]
    row.append(render_cell(insight.picture, "the picture", seen[-1] if seen else ""))
    caption = f"{insight.cell.prompt} · seed {insight.cell.seed}"
    return render_table([], [["believed at", *row]], caption=caption, style=CELL)


def render_words(insight: Insight) -> str:
    """Renders where each word acts, over the picture."""
    attention = insight.attention
    row = [
        render_cell(lay_over(insight.picture, attention.find_map(n + 1)), word, "where it acts")
        for n, word in enumerate(attention.words[:WORDS])
    ]
    return render_table([], [["word", *row]], style=CELL)


def render_cell(image: Image.Image, text: str, about: str) -> Markup:
    """Renders a small picture with a text below; `about` is said of it to those who do not see."""
    alt = f"{text}: {about}" if about else text
    small = render_image(webp_bytes(image.convert("RGB"), STATIC), alt)
    return FOUND.format(small, escape(text))
