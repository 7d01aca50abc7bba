"""A page of cells, laid out and drawn: text is measured first, so that all has its room."""

from __future__ import annotations

import functools
import io
import math
import os
import re
import unicodedata
import warnings
from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib import get_cachedir
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, fontManager, get_font
from matplotlib.patches import Rectangle
from PIL import Image

from .frame import UNREADABLE, describe_file_problem

UNSEEN = Markup(  # one transparent pixel
    '<img width="1" height="1" style="display:block" alt="{}" src="data:image/gif;base64,'
    'R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7">'
)
# Lengths are pixels of a screen at 100 dpi; a figure saved or shown at 200 dpi has twice as many.
DPI, MARGIN, GAP = 100, 14, 8
WIDTH, HEIGHT, LEAST_WIDTH = 980, 1200, 400  # what a page aims at, and the room that a title needs
LEAST_CELL, MOST_CELL, REASON_CELL = 64, 256, 96  # REASON_CELL: room to say why there is no picture
LABEL_WIDTHS = (150, 210, 270, 340)  # for row labels
CAPTION_HEIGHT = 90  # for what stands above or below a picture
TITLE, LABEL, SMALL, LINE = 15, 13, 11, 1.32  # text sizes, and the distance of lines in sizes
MOST_PIXELS, MOST_LENGTH = 25e6, 30_000  # larger figures are refused
SHARP_PIXELS = 2.5e6  # larger ones are not shown at 200 dpi
INK, QUIET, EDGE, VOID, HATCH = "#1f2328", "#656d76", "#afb8c1", "#f3f4f6", "#d8dee4"
OTHER_FONTS = (
    *("Noto Sans", "Noto Sans CJK JP", "Noto Sans CJK SC"),
    *("Hiragino Sans", "Microsoft YaHei", "Arial Unicode MS"),
    *(f"Noto Sans {script}" for script in ("Bengali", "Devanagari", "Ethiopic", "Gujarati")),
    *(f"Noto Sans {script}" for script in ("Gurmukhi", "Kannada", "Khmer", "Malayalam", "Myanmar")),
    *(f"Noto Sans {script}" for script in ("Sinhala", "Tamil", "Telugu", "Thai", "Tibetan")),
    *("Noto Emoji", "Noto Sans Math", "Noto Sans Symbols", "Noto Sans Symbols 2", "Unifont"),
)
EAST_ASIAN = {  # how Unicode's names of their letters begin
    *("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "IDEOGRAPHIC", "KANGXI"),
    *("FULLWIDTH", "HALFWIDTH"),
}


@dataclass(frozen=True)
class SheetCell:
    """A picture, or the error that kept it from being made, or neither if nobody tried."""

    path: str | None
    error: str | None
    caption: str = ""
    told: str = ""  # what was measured in it, for who does not see it
    answer: str = ""  # of that what was found, and whether it is right


@dataclass(frozen=True)
class Grid:
    """Cells in rows of one length, None where the frame has no image; labels may be left out."""

    cells: list[list[SheetCell | None]]
    row_labels: list[str] = field(default_factory=list)
    col_labels: list[str] = field(default_factory=list)
    row_name: str = ""
    col_name: str = ""


class GridFigure(Figure):
    """A matplotlib figure that shows itself in a notebook, without pyplot and its global list."""

    page = pages = 1  # which part of the grid this is, and how many there are
    turn: functools.partial[GridFigure]  # draws another `page` of the same grid
    drawn: tuple[Any, str]  # of a figure of statistics: what it shows, and its title

    def _repr_png_(self) -> tuple[bytes, dict[str, Any]]:
        width, height = (round(side) for side in self.get_size_inches() * DPI)
        sharp = 2 if width * height <= SHARP_PIXELS else 1
        out = io.BytesIO()
        self.savefig(out, format="png", dpi=DPI * sharp)
        words = {"alt": str(self.get_label())} if self.get_label() else {}
        return out.getvalue(), {"width": width, "height": height, **words}

    def _ipython_display_(self) -> None:
        """Shows a dot with the picture's words, then the picture: JupyterLab gives a PNG no `alt`.

        HTML with an `alt`, beside the PNG in one output, would make notebooks twice as large; and
        nbconvert would write it into Markdown, where it now makes a file of the PNG.
        """
        from IPython.display import HTML, display

        png, metadata = self._repr_png_()
        data = {"image/png": b64encode(png).decode(), "text/plain": repr(self)}
        if "alt" in metadata:  # first, so that nobody meets a picture without a name before
            display(HTML(UNSEEN.format(metadata["alt"])))
        display(data, metadata={"image/png": metadata}, raw=True)

    def get_tightbbox(self, *given: Any, **options: Any) -> Any:
        return self.bbox_inches  # "tight" would shift the pictures by parts of a pixel


class Sheet:
    """A page while it is laid out and drawn."""

    shown: dict[SheetCell, tuple[int, int]]  # (width, height) of each picture on the page
    box: int  # the width of the widest picture, and the size of a cell that has none
    pitch: int  # the width of a column: its pictures and texts fit in

    def __init__(self, grid: Grid, cell_size: int | None) -> None:
        self.grid, self.cells = grid, [cell for line in grid.cells for cell in line if cell]
        self.choose_scale(cell_size)
        self.choose_pitch()
        self.left = MARGIN + (math.ceil(self.label_width) + 2 * GAP if grid.row_labels else 0)
        self.middles = [  # of columns
            self.left + self.pitch / 2 + j * (self.pitch + GAP) for j in range(len(grid.cells[0]))
        ]
        self.width = max(self.middles[-1] + self.pitch / 2 + MARGIN, LEAST_WIDTH)

    def choose_scale(self, cell_size: int | None) -> None:
        """Chooses the widest pictures beside which the row labels find room."""
        texts = [escape_text(text) for text in (*self.grid.row_labels, self.grid.row_name)]
        on_one_line = max(measure_width(text, LABEL) for text in texts)
        sizes = {cell: size for cell in self.cells if cell.path and (size := read_size(cell.path))}
        high = max(HEIGHT // len(self.grid.cells), 2 * LEAST_CELL)
        for room in LABEL_WIDTHS:
            self.label_width = min(on_one_line, room)
            wide = (WIDTH - self.label_width) // len(self.grid.cells[0]) - GAP
            cell = cell_size or int(min(max(min(wide, high), LEAST_CELL), MOST_CELL))
            self.shown = choose_sizes(sizes, cell)
            empty = [min(cell, REASON_CELL)] * any(c not in self.shown for c in self.cells)
            self.box = max([w for w, _ in self.shown.values()] + empty, default=cell)
            if measure_height(self.grid.row_labels, LABEL, self.label_width) <= self.box:
                break

    def choose_pitch(self) -> None:
        """Chooses columns as narrow as pictures and words allow, wider if texts become tall."""
        texts = self.grid.col_labels + [cell.caption for cell in self.cells]
        words = [word for text in texts for word in split_word(escape_text(text))]
        longest = max((measure_width(word.rstrip(), LABEL) for word in words), default=0)
        least = max(self.box, min(longest, 150))
        for room in (least, min(1.5 * least, 240), max(240, least)):
            self.pitch = math.ceil(room)
            if measure_height(texts, LABEL, room) <= CAPTION_HEIGHT:
                break

    def draw(self, title: str, subtitle: str, note: str) -> GridFigure:
        """Draws the cells under a title and two smaller lines, each left out if it is empty."""
        grid = self.grid
        labels = *grid.row_labels, *grid.col_labels, grid.row_name, grid.col_name
        captions = [text for cell in self.cells for text in (cell.caption, cell.error or "")]
        warn_of_missing_fonts([title, subtitle, note, *labels, *captions])
        self.figure = GridFigure((self.width / DPI, 1), DPI, facecolor="white")
        self.figure.set_layout_engine("none")
        self.axes = self.figure.add_axes((0, 0, 1, 1), xlim=(0, self.width))
        self.axes.set_axis_off()
        y = self.draw_labels(self.draw_title(title, subtitle, note))
        heights = [self.find_row_height(i) for i in range(len(self.grid.cells))]
        self.set_height(y + sum(heights) + (len(heights) - 1) * GAP + MARGIN)
        for i, height in enumerate(heights):
            self.draw_row(i, y)
            y += height + GAP
        return self.figure

    def set_height(self, height: float) -> None:
        """Sets the page's height, once it is known."""
        if self.width * height > MOST_PIXELS or max(self.width, height) > MOST_LENGTH:
            raise ValueError(
                f"a page of {self.width:.0f} x {height:.0f} pixels is too large to draw; take a"
                " smaller cell_size, max_rows or max_cols"
            )
        self.figure.set_size_inches(self.width / DPI, height / DPI)
        self.axes.set_ylim(height, 0)  # downwards

    def draw_title(self, title: str, subtitle: str, note: str) -> float:
        """Draws what stands above the grid, and returns where the labels may begin."""
        y: float = MARGIN
        for text, size, color in (
            (title, TITLE, INK),
            (subtitle, SMALL, QUIET),
            (note, SMALL, QUIET),
        ):
            if text:
                lines = wrap_text(text, size, self.width - 2 * MARGIN)
                y = self.write(MARGIN, y, lines, size=size, color=color) + 4
        return y + 6 if title or subtitle or note else y

    def draw_labels(self, y: float) -> int:
        """Draws the columns' labels, all ending at one height, and the names of both axes.

        Returns where the pictures begin.
        """
        if self.grid.col_name:
            names = wrap_text(self.grid.col_name, SMALL, self.width - self.left - MARGIN)
            y = self.write(self.left, y, names, size=SMALL, color=QUIET) + 3
        names = wrap_text(self.grid.row_name, SMALL, self.label_width) if self.grid.row_name else ()
        own = len(names) * SMALL * LINE
        height = max(measure_height(self.grid.col_labels, LABEL, self.pitch), own)
        self.write(MARGIN, y + height - own, names, size=SMALL, color=QUIET)
        for middle, text in zip(self.middles, self.grid.col_labels):
            lines = wrap_text(text, LABEL, self.pitch)
            self.write(middle, y + height - len(lines) * LABEL * LINE, lines, align="center")
        return math.ceil(y + height + 5 if height else y)

    def find_picture_height(self, i: int) -> int:
        """Finds the height of the tallest picture in a row."""
        sizes = (self.shown.get(cell, (0, self.box)) for cell in self.grid.cells[i] if cell)
        return max((height for _, height in sizes), default=self.box)

    def find_row_height(self, i: int) -> int:
        """Finds the height of a row with its captions, or of its label if that is taller."""
        captions = [cell.caption for cell in self.grid.cells[i] if cell]
        below = measure_height(captions, LABEL, self.pitch)
        beside = measure_height(self.grid.row_labels[i : i + 1], LABEL, self.label_width)
        return math.ceil(max(self.find_picture_height(i) + (below + 10 if below else 0), beside))

    def draw_row(self, i: int, y: float) -> None:
        """Draws a row's label, and its cells with their captions; a dot stands for no cell."""
        height = self.find_picture_height(i)
        for text in self.grid.row_labels[i : i + 1]:
            lines = wrap_text(text, LABEL, self.label_width)
            self.write(MARGIN, y + max(0, (height - len(lines) * LABEL * LINE) / 2), lines)
        for middle, cell in zip(self.middles, self.grid.cells[i]):
            if cell:
                bottom = self.draw_cell(cell, middle, y, height)
                caption = wrap_text(cell.caption, LABEL, self.pitch)
                self.write(middle, bottom + 4, caption, align="center")
            elif self.grid.row_labels or self.grid.col_labels:
                self.write(middle, y + height / 2 - 16, ["·"], size=24, color=QUIET, align="center")

    def draw_cell(self, cell: SheetCell, middle: float, top: float, height: int) -> float:
        """Draws the picture, or why there is none in a hatched box; returns where it ends."""
        w, h = self.shown.get(cell, (self.box, height))
        x, y = round(middle - w / 2), round(top if cell.caption else top + (height - h) / 2)
        pixels, reason = read_pixels(cell, w, h)
        if pixels is None:
            self.axes.add_patch(Rectangle((x, y), w, h, fc=VOID, ec=HATCH, hatch="///", lw=0))
            self.draw_reason(reason, x + w / 2, y, w, h)
        else:
            self.axes.imshow(
                pixels,
                extent=(x, x + w, y + h, y),
                aspect="auto",
                origin="upper",
                interpolation="antialiased" if w % pixels.shape[1] else "nearest",
            )
        self.axes.add_patch(
            Rectangle((x - 0.5, y - 0.5), w + 1, h + 1, fill=False, ec=EDGE, lw=72 / DPI)
        )
        return y + h

    def draw_reason(self, reason: str, middle: float, y: float, w: float, h: float) -> None:
        """Draws why there is no picture, as much of it as the box holds."""
        lines, most = wrap_text(reason, SMALL, w - 14), max(1, int((h - 8) / (SMALL * LINE)))
        if len(lines) > most:  # the whole text stands in the frame
            lines = (*lines[: most - 1], lines[most - 1][:-1] + "…")
        tall, wide = len(lines) * SMALL * LINE, max(measure_width(line, SMALL) for line in lines)
        top = y + (h - tall) / 2
        self.axes.add_patch(
            Rectangle((middle - wide / 2 - 4, top - 2), wide + 8, tall + 4, fc=VOID, lw=0)
        )
        self.write(middle, top, lines, size=SMALL, align="center")

    def write(
        self,
        x: float,
        y: float,
        lines: Iterable[str],
        *,
        size: float = LABEL,
        color: str = INK,
        align: str = "left",
    ) -> float:
        """Writes lines from y downwards, as they are: a $ is a dollar. Returns where they end."""
        for line in lines:
            self.axes.text(
                x,
                y + size * LINE / 2,
                line,
                color=color,
                ha=align,
                va="center_baseline",
                fontproperties=make_font(size),
                parse_math=False,
                usetex=False,
            )
            y += size * LINE
        return y


# Pictures


def read_size(path: str) -> tuple[int, int] | None:
    """Reads (width, height) from a file's head; None if there is no picture to read."""
    try:
        with Image.open(path) as image:
            return image.size
    except UNREADABLE:
        return None


def choose_sizes(
    sizes: dict[SheetCell, tuple[int, int]], cell_size: int
) -> dict[SheetCell, tuple[int, int]]:
    """Chooses the sizes on the page: the longest sides are alike, as the largest picture decides.

    That one is enlarged by a whole number, or reduced.
    """
    longest = max((max(size) for size in sizes.values()), default=1)
    side = longest * (cell_size // longest) if longest <= cell_size else cell_size
    return {
        cell: (max(1, round(w * side / max(w, h))), max(1, round(h * side / max(w, h))))
        for cell, (w, h) in sizes.items()
    }


def read_pixels(cell: SheetCell, width: int, height: int) -> tuple[np.ndarray | None, str]:
    """Reads (pixels, "") or (None, why there are none).

    More than twice as many pixels as are shown are reduced to that; fewer are enlarged to that,
    unless each fills a whole number.
    """
    if not cell.path:
        return None, cell.error or "not rendered"
    try:
        with Image.open(cell.path) as file:
            clear = "A" in file.getbands() or "transparency" in file.info
            image = file.convert("RGBA" if clear else "RGB")
    except UNREADABLE as problem:
        return None, describe_file_problem(problem)
    enlarged_by_part = image.width < width and (width % image.width or height % image.height)
    if image.width > 2 * width or enlarged_by_part:
        image = image.resize((2 * width, 2 * height), Image.Resampling.LANCZOS)
    return np.asarray(image), ""  # (H, W, 3 or 4)


# Text, measured as it will be drawn

FAMILIES = ["DejaVu Sans", *(name for name in OTHER_FONTS if name in fontManager.get_font_names())]
RENDERER = RendererAgg(8, 8, DPI)  # it only measures


def measure_width(text: str, size: float) -> float:
    """Measures how wide a line is."""
    return RENDERER.get_text_width_height_descent(text, make_font(size), False)[0] * 1.02


def measure_height(texts: Iterable[str], size: float, room: float) -> float:
    """Measures how high the tallest of these texts is, wrapped."""
    return (
        max((len(wrap_text(text, size, room)) for text in texts if text), default=0) * size * LINE
    )


@functools.lru_cache(4096)  # measured for the layout, then again for the drawing
def wrap_text(text: str, size: float, room: float) -> tuple[str, ...]:
    """Breaks a text into lines that fit: between words, else in names, else anywhere."""
    lines = []
    for paragraph in text.splitlines() or [""]:
        line = ""
        for part in split_to_fit(escape_text(paragraph), size, room):
            if line and measure_width(line + part.rstrip(), size) > room:
                lines.append(line.rstrip())
                line = ""
            line += part
        lines.append(line.rstrip())
    return tuple(lines)


def split_to_fit(text: str, size: float, room: float) -> Iterator[str]:
    """Splits a text into words; words that are too long for a line into pieces, these anywhere."""
    for word in re.findall(r"\s*\S+\s*", text):
        for part in [word] if measure_width(word.rstrip(), size) <= room else split_word(word):
            while len(part) > 1 and measure_width(part.rstrip(), size) > room:
                fits = next(
                    n for n in range(1, len(part)) if measure_width(part[: n + 1], size) > room
                )
                yield part[:fits]
                part = part[fits:]
            yield part


def split_word(text: str) -> list[str]:
    """Splits where a line may break if it must: after blanks, _ / - and before an inner capital."""
    return [p for p in re.split(r"(?<=[\s_/\-])(?=[^\s_/\-])|(?<=[a-z])(?=[A-Z])", text) if p]


def escape_text(text: str) -> str:
    """Brings a text onto one line, with \\u escapes for what no font can show."""
    text = text.replace("\n", " ").expandtabs(4)
    return "".join(c if c in list_glyphs() else c.encode("unicode_escape").decode() for c in text)


def warn_of_missing_fonts(texts: Iterable[str]) -> None:
    """Warns once of all letters that no font at hand can show, with the fonts to install."""
    letters = dict.fromkeys(c for c in "".join(texts) if c not in list_glyphs())
    missing = [c for c in letters if unicodedata.category(c)[0] in "LNPS"]
    if not missing:
        return
    fonts = dict.fromkeys(map(name_font, missing))
    more = f" and {len(missing) - 8} more" if len(missing) > 8 else ""
    warnings.warn(
        f"no font here shows {' '.join(missing[:8])}{more}: the figure has codes such as"
        f" {escape_text(missing[0])} instead. Install {' and '.join(fonts)} (Debian and Ubuntu:"
        " fonts-noto-cjk, fonts-noto-core, fonts-unifont; or https://fonts.google.com/noto), delete"
        f" {os.path.join(get_cachedir(), 'fontlist-*.json')}, and restart the kernel",
        stacklevel=2,
    )


def name_font(letter: str) -> str:
    """Names a font that shows the letter, one of those that a figure looks for."""
    script = unicodedata.name(letter, "").partition(" ")[0].partition("-")[0]
    if script in EAST_ASIAN:
        return "Noto Sans CJK JP"
    if f"Noto Sans {script.title()}" in OTHER_FONTS:
        return f"Noto Sans {script.title()}"
    is_emoji = unicodedata.category(letter) == "So" and letter > "\U0001efff"
    return "Noto Emoji" if is_emoji else "Unifont"


@functools.cache
def list_glyphs() -> frozenset[str]:
    """Lists the characters that some font at hand can show."""
    paths = [fontManager.findfont(FontProperties(family=name)) for name in FAMILIES]
    return frozenset(chr(code) for path in paths for code in get_font(path).get_charmap())


def make_font(size: float) -> FontProperties:
    """Makes the font of a text, `size` pixels high."""
    return FontProperties(family=FAMILIES, size=size * 72 / DPI)
