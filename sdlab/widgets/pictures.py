"""Pictures as a page or a notebook shows them: small WebP files made from those of the frame."""

from __future__ import annotations

import functools
import io
import os
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup
from PIL import Image

from ..pictures import SMALL_SIDE, data_uri, png_bytes, put_on_white, webp_bytes
from ..results.frame import column_values, distinct_values, format_value, hide_home, row_tuples
from ..results.origins import name_foreign
from ..results.scorers.objects import CLEAR_GAP, name_surely, read_places, score_one
from ..store.columns import FOUND_AS
from ..store.png import read_thumbnail
from ..tiny.scenes import SIZE
from ..tiny.world import WORLDS

THUMBNAIL = 256  # pixels on the longest side
STATIC = 96  # pixels, in the notebook's own picture
CELL = (  # of a table there
    "text-align:left;vertical-align:top;padding:2px 8px 2px 0;max-width:16em;overflow-wrap:anywhere"
)
UNSEEN = "the picture cannot be read"
SEEN = {  # what a scorer saw in a picture, and that it saw nothing
    "objects_found": ("a program found {}", "a program found nothing that it knows"),
    "objects_background": ("background {}", ""),
    "signs_read": ("a sign that says {}", "no sign that can be read"),
    "lettering_read": ("letters that say {}", "no letters that can be read"),
}
DETAILS = ("objects_places", "objects_fits", "objects_background_gap")  # of what it saw
ROWS, COLUMNS = ("upper", "middle", "lower"), ("left", "centre", "right")


def make_thumbnail(path: str, px: int = THUMBNAIL, exact: bool = True) -> bytes:
    """Makes a WebP of the picture at that path, at most `px` pixels wide and high.

    The latest ones are kept in memory.

    Raises
    ------
    OSError
        There is no such file (then a FileNotFoundError), or no picture in it; the message says why.
    """
    try:
        return _make_thumbnail(os.fspath(path), os.stat(path).st_mtime_ns, px, exact)
    except FileNotFoundError as error:
        raise FileNotFoundError(hide_home(error)) from error
    except Exception as error:  # Pillow's are of many kinds, SyntaxError among them
        raise OSError(hide_home(error)) from error


@functools.lru_cache(8192)
def _make_thumbnail(path: str, changed: int, px: int, exact: bool) -> bytes:
    kept = read_thumbnail(path) if px <= SMALL_SIDE else None
    if kept and exact:
        return kept
    with Image.open(io.BytesIO(kept) if kept else path) as image:
        return webp_bytes(put_on_white(image), px, exact=exact)


def strip_recipe(image: Image.Image) -> bytes:
    """Makes a PNG of nothing but the pixels: a file of the store tells its recipe."""
    image = image.convert("RGB")
    image.info = {}
    return png_bytes(image)


def open_pictures(paths: Sequence[str]) -> tuple[list[Image.Image | None], list[str]]:
    """Opens pictures: of one that cannot be read None, and why, in words that may tell its path."""
    images: list[Image.Image | None] = []
    problems = []
    for path in paths:
        try:
            with Image.open(path) as image:
                images.append(put_on_white(image))
            problems.append("")
        except (OSError, ValueError) as error:
            images.append(None)
            problems.append(str(error) or type(error).__name__)
    return images, problems


def level_sizes(images: Sequence[Image.Image | None]) -> list[Image.Image | None]:
    """Brings both pictures to one longest side, that of the smaller one, by one filter."""
    known = [image for image in images if image is not None]
    longest = min((max(image.size) for image in known), default=0)
    return [image and shrink_to(image, longest) for image in images]


def shrink_to(image: Image.Image, longest: int) -> Image.Image:
    """Shrinks a picture to that longest side; one that has it is left as it is."""
    share = longest / max(image.size)
    width, height = (max(1, round(side * share)) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def render_image(data: bytes, alt: str, px: int = STATIC) -> Markup:
    """Renders a WebP as an HTML picture that holds its own data, `px` pixels wide or less."""
    text = '<img alt="{}" style="max-width:{}px;max-height:{}px" src="{}">'
    return Markup(text).format(alt, px, px, data_uri(data))


def render_side(path: str, alt: str) -> str:
    """Renders a picture, or says why there is none."""
    try:
        return render_image(make_thumbnail(path, STATIC, exact=False), alt)
    except (OSError, ValueError) as error:
        return f"the picture cannot be read: {error}"


def render_level(paths: Sequence[str], alts: Sequence[str]) -> list[str]:
    """Renders pictures at one size, without a word of theirs: a size would tell whose they are."""
    images, _ = open_pictures(paths)
    return [
        render_image(webp_bytes(image, STATIC), alt) if image else UNSEEN
        for image, alt in zip(level_sizes(images), alts)
    ]


def describe_seen(frame: pd.DataFrame, *, blind: bool = True) -> list[str]:
    """Says of each row what scorers saw in the picture, for those who do not see it.

    Nothing that tells what made it, such as a mark, and no verdict on it; and if `blind`, only what
    is known of all rows, as what is said of one of a blind pair would tell a side.
    """
    known = [name for name in (*SEEN, *DETAILS) if name in frame.columns]
    names = [name for name in known if not blind or frame[name].notna().all()]
    return [write_seen(dict(zip(names, row))) for row in row_tuples(frame, names)]


def write_seen(row: Mapping[str, Any]) -> str:
    """Writes what a program found in a picture: "a program found cat, background green".

    Of several things it says where each is, in the manner of "a program found cat (upper left), dog
    (lower centre)"; what it is not sure of is "perhaps dog", or "something unclear".
    """
    names = row.get("objects_found") or ""
    sure = name_surely(names, row.get("objects_fits"))
    found = read_places(names, row.get("objects_places") or "")
    if len(found) > 1:
        sure = [f"{name} ({say_place(*at)})" for name, (_, at) in zip(sure, found)]
    if names:
        row = {**row, "objects_found": ", ".join(sure)}
    if row.get("objects_background") and (row.get("objects_background_gap") or 0) >= CLEAR_GAP:
        row = {**row, "objects_background": f"perhaps {row['objects_background']}"}
    said = [
        told.format(row[name]) if row[name] else nothing
        for name, (told, nothing) in SEEN.items()
        if row.get(name) is not None
    ]
    return ", ".join(filter(None, said))


def say_place(x: float, y: float) -> str:
    """Says in which ninth of a picture a place is, such as "upper left"; in pixels of 64x64."""
    row, column = (min(max(int(3 * at / SIZE), 0), 2) for at in (y, x))
    return f"{ROWS[row]} {COLUMNS[column]}"


def can_look(frame: pd.DataFrame) -> bool:
    """Tells whether nothing was measured that can be told, and `look_at` can see it.

    That is so if all pictures are of the embedded models' little worlds: of a blind pair, what is
    said of one picture alone would tell whose it is.
    """
    models = set(distinct_values(frame, "model"))
    return bool(models) and models <= WORLDS.keys() and SEEN.keys().isdisjoint(frame.columns)


def look_at(path: str) -> str:
    """Says what a matcher finds in a picture of the little worlds; "" if it cannot be read.

    It takes some 25 ms a picture, and a second for the first; the latest ones are kept in memory.
    """
    try:
        return _look_at(os.fspath(path), os.stat(path).st_mtime_ns)
    except Exception:  # Pillow's are of many kinds; the page says it in the picture's place
        return ""


@functools.lru_cache(8192)
def _look_at(path: str, changed: int) -> str:
    with Image.open(path) as image:
        return describe_image(image)


def describe_image(image: Image.Image) -> str:
    """Says what a matcher finds in a picture of the little worlds."""
    return write_seen(score_one(image.convert("RGB")))


def write_captions(frame: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Says in a line what these columns say of each row: "a cat · guidance_scale 4 · seed 0".

    Of a picture from elsewhere it says the file's name first, and then only what is known.
    """
    say = functools.lru_cache(None, typed=True)(say_value)  # most values come again
    found, files = list[str](), name_foreign(frame)
    if not any(files):
        said = [[say(name, value) for value in column_values(frame, name)] for name in names]
        return list(map(" · ".join, zip(*said))) if said else files
    for file, row in zip(files, row_tuples(frame, names)):
        known = ((n, v) for n, v in zip(names, row) if not file or not (v is None or n == FOUND_AS))
        found.append(" · ".join([file] * bool(file) + [say(name, value) for name, value in known]))
    return found


def say_value(name: str, value: Any) -> str:
    """Says one value of a column: a prompt speaks for itself."""
    return format_value(value) if name == "prompt" else f"{name} {format_value(value)}"
