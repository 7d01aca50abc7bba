"""What of a picture the autoencoder alone keeps: no model can draw better than its own decoder."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from sdlab.results.changes import pass_through_vae
from sdlab.tiny.world import WORLDS
from sdlab.watermark.opening import read_pixels
from training.samples import make_sample

BEFORE, AFTER = "as drawn", "autoencoded"


def draw_renders(folder: str | os.PathLike[str], model: str, count: int = 64) -> pd.DataFrame:
    """Draw true pictures of an embedded model's world, as it was trained on, with their captions.

    Parameters
    ----------
    folder : path
        Where the pictures are written.
    model : {"tiny-v1", "tiny-v2", "tiny-depth", "tiny-x4"}
    count : int

    Returns
    -------
    DataFrame
        `prompt`, `path` and `kind` ("one", "pair" or "count" of things).
    """
    if model not in WORLDS:
        raise ValueError(
            f"model={model!r} has no world to draw; those that do: {', '.join(WORLDS)}"
        )
    samples = [make_sample(random.Random(n), world=WORLDS[model]) for n in range(count)]
    frame = write_pictures(
        folder, ((sample.caption, Image.fromarray(sample.image)) for sample in samples)
    )
    return frame.assign(kind=[sample.kind for sample in samples])


def draw_signs(
    folder: str | os.PathLike[str],
    words: Sequence[str],
    heights: Sequence[int] = (12, 24, 48, 96),
    side: int = 512,
) -> pd.DataFrame:
    """Draw each word in black on white, in letters of each height, as the scorer "lettering" asks.

    Parameters
    ----------
    folder : path
        Where the pictures are written.
    words : sequence of str
    heights : sequence of int
        Of the font, in pixels.
    side : int
        Of the pictures, in pixels.

    Returns
    -------
    DataFrame
        `prompt`, `path` and `letter_height`.
    """
    drawn = []
    for word in words:
        for height in heights:
            image = Image.new("RGB", (side, side), "white")
            font = ImageFont.load_default(height)
            place = (side / 2, side / 2)
            ImageDraw.Draw(image).text(place, word, fill="black", font=font, anchor="mm")
            drawn.append((f'a sign that says "{word}"', image))
    return write_pictures(folder, drawn).assign(letter_height=[*heights] * len(words))


def write_pictures(
    folder: str | os.PathLike[str], drawn: Iterable[tuple[str, Image.Image]]
) -> pd.DataFrame:
    """Write pictures with their prompts as numbered PNG files."""
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    rows = []
    for n, (prompt, image) in enumerate(drawn):
        image.save(path := place / f"{n:04d}.png")
        rows.append({"prompt": prompt, "path": str(path)})
    return pd.DataFrame(rows, columns=["prompt", "path"])


def autoencode_frame(
    frame: pd.DataFrame, folder: str | os.PathLike[str], *, model: str
) -> pd.DataFrame:
    """Pass a frame's pictures through a model's VAE, and put them below those that they were.

    No noise is added and nothing is denoised: what a scorer no longer finds is lost to the latents,
    whatever the UNet does. Score both arms: the scorer has errors of its own.

    Parameters
    ----------
    frame : DataFrame
        `prompt` and `path`, as `draw_renders`, `draw_signs` or `run` give them.
    folder : path
        Where the pictures are written.
    model : str
        A name in `MODELS`, or a model's folder.

    Returns
    -------
    DataFrame
        Twice the rows, with `arm` ("as drawn", "autoencoded"), `model`, and `wording`, the prompt.

    Examples
    --------
    >>> both = autoencode_frame(draw_renders("drawn", "tiny-v1"), "decoded", model="tiny-v1")
    >>> stats.rate(measure(both, "objects"), "objects_right", by="arm")
    """
    known = frame[frame["path"].notna()].reset_index(drop=True)
    decoded = (
        Image.fromarray(pass_through_vae(read_pixels(path), model)) for path in known["path"]
    )
    after = write_pictures(folder, zip(known["prompt"], decoded))
    both = [known.assign(arm=BEFORE), known.assign(arm=AFTER, path=after["path"])]
    out = pd.concat(both, ignore_index=True)
    return out.assign(model=model, wording=out["prompt"])
