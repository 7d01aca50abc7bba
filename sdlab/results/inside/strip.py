"""Pictures one after the other, each with what it is: as a figure, or as an animation."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps

if TYPE_CHECKING:  # matplotlib comes when something is drawn
    from ..sheet import GridFigure

SIDE = 112  # screen pixels of a cell
LINE = 19  # and of a line of text
NEAREST = Image.Resampling.NEAREST
FORMATS = (".gif", ".webp", ".mp4")


@dataclass(frozen=True, eq=False)
class Strip:
    """Pictures of one size in their order, each with a caption.

    Attributes
    ----------
    pictures : list of PIL images
    captions : list of str
    title : str
    """

    pictures: list[Image.Image]
    captions: list[str]
    title: str = ""

    def __len__(self) -> int:
        return len(self.pictures)

    def draw(self, columns: int = 8) -> GridFigure:
        """Draws the pictures in rows of so many."""
        starts = range(0, len(self.pictures), columns)
        rows = [self.pictures[start : start + columns] for start in starts]
        captions = [self.captions[start : start + columns] for start in starts]
        return draw_rows(rows, captions, title=self.title)

    def _repr_png_(self) -> Any:
        return self.draw()._repr_png_()

    def _ipython_display_(self) -> None:
        self.draw()._ipython_display_()  # with its words

    def save(self, path: str | os.PathLike[str], *, seconds: float = 0.25, side: int = 256) -> Path:
        """Saves the pictures as an animation that begins again at its end, or as a video.

        Parameters
        ----------
        path : str or path
            Its ending decides: `.gif`, `.webp`, or `.mp4`, for which `imageio-ffmpeg` is needed.
        seconds : float
            For each picture.
        side : int
            Smaller pictures are enlarged to about this many pixels, by a whole number.

        Raises
        ------
        ValueError
            Another ending.
        ModuleNotFoundError
            An MP4 without `imageio-ffmpeg`.
        OSError
            Nothing can be written there.
        """
        path = Path(path)
        if (kind := path.suffix.lower()) not in FORMATS:
            raise ValueError(f"path={os.fspath(path)!r}: it ends with {' or '.join(FORMATS)}")
        write_frames = write_video if kind == ".mp4" else write_animation
        times = max(1, side // max(self.pictures[0].size))
        frames = [ImageOps.scale(p.convert("RGB"), times, NEAREST) for p in self.pictures]
        path.parent.mkdir(parents=True, exist_ok=True)
        write_frames(path, frames, seconds)
        return path


def write_animation(path: Path, frames: Sequence[Image.Image], seconds: float) -> None:
    """Writes a GIF, of 256 colours a frame, or a WebP without loss."""
    more: dict[str, Any] = {"lossless": True} if path.suffix.lower() == ".webp" else {}
    milliseconds = round(1000 * seconds)
    frames[0].save(
        path, save_all=True, append_images=frames[1:], duration=milliseconds, loop=0, **more
    )


def write_video(path: Path, frames: Sequence[Image.Image], seconds: float) -> None:
    """Writes an MP4 by ffmpeg, which comes with `imageio-ffmpeg`."""
    try:
        ffmpeg = importlib.import_module("imageio_ffmpeg")
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            f"{path.name!r}: an MP4 takes the package imageio-ffmpeg (pip install imageio-ffmpeg);"
            " .gif and .webp do without"
        ) from None
    partial = path.with_name(f"{path.stem}.partial.mp4")
    partial.unlink(missing_ok=True)
    options = {"fps": 1 / seconds, "macro_block_size": 2, "ffmpeg_log_level": "error"}
    writer = ffmpeg.write_frames(str(partial), frames[0].size, **options)
    try:
        writer.send(None)
        for frame in frames:
            writer.send(np.asarray(frame).tobytes())
    finally:
        writer.close()
    if not partial.is_file() or not partial.stat().st_size:  # of which the package says nothing
        raise OSError(f"{os.fspath(path)!r}: ffmpeg wrote no video; what it says is printed above")
    partial.replace(path)


def draw_rows(
    rows: Sequence[Sequence[Image.Image]],
    captions: Sequence[Sequence[str]],
    *,
    labels: Sequence[str] = (),
    title: str = "",
) -> GridFigure:
    """Draws rows of pictures with captions below, and a label before each row."""
    from ..sheet import DPI, INK, QUIET, GridFigure

    columns, left = max(map(len, rows)), 124 if any(labels) else 8
    room = 12 + LINE * max(text.count("\n") + 1 for row in captions for text in row)
    above = 16 + LINE * len(title.splitlines()) if title else 6
    width, height = left + columns * (SIDE + 8), above + len(rows) * (SIDE + room)
    width = max([width, *(10 * len(line) for line in title.splitlines())])
    figure = GridFigure((width / DPI, height / DPI), DPI, facecolor="white")
    figure.text(8 / width, 1 - 8 / height, title, va="top", color=INK, fontsize=11)
    for i, row in enumerate(rows):
        top = above + i * (SIDE + room)
        for j, picture in enumerate(row):
            x, y = left + j * (SIDE + 8), top + SIDE
            place = x / width, 1 - y / height, SIDE / width, SIDE / height
            axes = figure.add_axes(place)
            axes.imshow(np.asarray(picture.convert("RGB")), interpolation="nearest")
            axes.set_axis_off()
            text = (x + SIDE / 2) / width, 1 - (y + 3) / height
            figure.text(*text, captions[i][j], ha="center", va="top", color=QUIET, fontsize=11)
        if any(labels):
            middle = 8 / width, 1 - (top + SIDE / 2) / height
            figure.text(*middle, labels[i], va="center", color=INK, fontsize=11)
    figure.set_label(tell_rows(captions, labels, title))
    return figure


def tell_rows(captions: Sequence[Sequence[str]], labels: Sequence[str], title: str) -> str:
    """Tells what the rows of a figure show, for who does not see them: captions, in their order."""
    rows = [", ".join(" ".join(text.split()) for text in row if text.strip()) for row in captions]
    told = [f"{label}: {row}" for label, row in zip(labels, rows)] if any(labels) else rows
    return ". ".join(" ".join(part.split()) for part in (title, *told) if part)
