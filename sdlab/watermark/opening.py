"""Reads any picture (a file, a PIL image, an array) as RGB, safely and in bounded memory."""

from __future__ import annotations

import os
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from .kinds import MAX_PIXELS, NoPixels, open_kind

MAX_BYTES = 1_000_000_000  # of a file; several of Pillow's readers take a file into memory whole
STRIP = 4_000_000  # pixels turned into RGB at a time
READABLE = (
    "PNG, JPEG, WebP, AVIF, TIFF, GIF, BMP, JPEG 2000, PPM, TGA, ICO, PCX, SGI or QOI, and with"
    " extras HEIC or JPEG XL"
)
GREYS = ("I", "F")  # how Pillow's modes with more than 8 bits begin: "I", "I;16", "I;16B", "F"
TIFF_ORIENTATION = 274
TURNED_BACK = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_90",
    7: "TRANSVERSE",
    8: "ROTATE_270",
}  # orientation: what undoes Pillow's turning of a TIFF
_LOCK, _SILENCE = threading.Lock(), ExitStack()
_INSIDE: list[int] = []  # the threads that want warnings off


def read_pixels(what: str | os.PathLike[str] | Image.Image | np.ndarray) -> np.ndarray:
    """Read the picture's stored colours as uint8 RGB (H, W, 3).

    A mark lives in the stored values, so nothing is applied to them: alpha is dropped and not
    blended, the EXIF orientation and the colour profile are ignored. More than 8 bits are scaled to
    8, not clipped. Of an animation it is the first frame (of a PIL image, the current one). CMYK,
    YCbCr and palette colours are converted as Pillow does.

    Parameters
    ----------
    what : path, PIL.Image.Image or numpy.ndarray
        An array is uint8 of shape (H, W, 3), (H, W, 4) or (H, W), in RGB order; where it can be, it
        is not copied.

    Raises
    ------
    OSError
        If the file is missing, empty, damaged or not a picture; the message starts with its name.
        Of it `NoPixels` where an extra is missing, or for a drawing.
    ValueError
        If the picture has more than `MAX_PIXELS`, which is found out before it is decoded, or no
        pixels, or if an array has another shape.
    TypeError
        If it is something else, or an array of another dtype.
    """
    if isinstance(what, np.ndarray):
        return convert_array(what)
    with open_picture(what) as image:
        return convert_image(image)


@contextmanager
def open_picture(what: str | os.PathLike[str] | Image.Image) -> Iterator[Image.Image]:
    """Open a file as a PIL image, not yet decoded, with Pillow's warnings off meanwhile.

    A PIL image is passed through and stays open. The errors are those of `read_pixels`.
    """
    with silence_warnings():
        if isinstance(what, Image.Image):
            _refuse_size(_name_picture(what), *what.size)
            yield what
            return
        if not isinstance(what, (str, os.PathLike)) or isinstance(os.fspath(what), bytes):
            raise TypeError(
                f"a picture is a path, a PIL image or a NumPy array, not {type(what).__name__};"
                " bytes become one by PIL.Image.open(io.BytesIO(data)), a tensor by tensor.numpy()"
            )
        with _open_file(Path(what)) as image:
            _refuse_size(_name_picture(image), *image.size)
            yield image


def _open_file(path: Path) -> Image.Image:
    """Open an ordinary file that is neither empty nor huge; a pipe could be read for ever."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: there is no such file") from None
    except ValueError as error:  # a NUL in the name
        raise OSError(f"{str(path)!r}: {error}") from None
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(
            f"{path}: this is a folder, not a picture; scan() reads all pictures of a folder"
        )
    if not stat.S_ISREG(status.st_mode):
        raise OSError(
            f"{path}: this is a device or a pipe, not a picture; copy it into a file first"
        )
    if status.st_size == 0:
        raise OSError(f"{path}: the file is empty; copy or download it again")
    if status.st_size > MAX_BYTES:
        raise ValueError(
            f"{path}: the file has {status.st_size / 1e9:.1f} GB, at most {MAX_BYTES / 1e9:g} are"
            " read; save the picture in a smaller file"
        )
    try:
        return open_kind(path)
    except NoPixels:
        raise
    except UnidentifiedImageError:
        raise OSError(f"{path}: not a picture, or a damaged one; it can be {READABLE}") from None
    except Image.DecompressionBombError as error:
        raise ValueError(f"{path}: {error}; crop it or scale it down first") from None
    except PermissionError:
        raise
    except Exception as error:  # on damaged files Pillow raises whatever its readers run into
        raise OSError(f"{path}: {describe_damage(error)}") from error


def _refuse_size(name: str, width: int, height: int) -> None:
    """Refuse a picture without pixels, or with more than memory is meant to hold."""
    if width < 1 or height < 1:
        raise ValueError(f"{name}: the picture is {width} x {height} pixels, so it has none")
    if width * height > MAX_PIXELS:
        raise ValueError(
            f"{name}: {width} x {height} are {width * height / 1e6:.0f} megapixels, at most "
            f"{MAX_PIXELS / 1e6:g} are read; crop it (scaling it down would hide a mark)"
        )


def convert_image(image: Image.Image) -> np.ndarray:
    """Convert a PIL image to uint8 RGB (H, W, 3), in strips: never in memory three times."""
    name = _name_picture(image)
    image = _load_unturned(image, name)
    width, height = image.size
    rgb = np.empty((height, width, 3), np.uint8)
    scale = _find_scale(image) if image.mode[0] in GREYS else 0.0
    step = max(1, STRIP // width)
    for top in range(0, height, step):
        strip = image.crop((0, top, width, min(top + step, height)))
        try:
            rgb[top : top + step] = (
                _scale_grey(strip, scale) if scale else np.asarray(strip.convert("RGB"))
            )
        except ValueError:
            raise ValueError(
                f"{name}: colours of mode {image.mode!r} do not convert to RGB; save it as an RGB"
                " PNG first"
            ) from None
    return rgb


def _load_unturned(image: Image.Image, name: str) -> Image.Image:
    """Decode the picture as it lies in the file: Pillow turns a TIFF by its orientation."""
    orientation = image.tag_v2.get(TIFF_ORIENTATION) if hasattr(image, "tag_v2") else None
    try:
        load_quietly(image)
    except Exception as error:  # on damaged files Pillow raises whatever its readers run into
        raise OSError(f"{name}: {describe_damage(error)}") from error
    turn = TURNED_BACK.get(orientation) if isinstance(orientation, int) else None
    return image.transpose(Image.Transpose[turn]) if turn else image


def _find_scale(image: Image.Image) -> float:
    """Find the factor of a deep grey picture, of range 0..1, 0..255, 0..65535 or its maximum."""
    if image.mode.startswith("I;16"):
        return 1 / 256
    greatest = float(np.nan_to_num(np.asarray(image), posinf=0.0).max())
    if greatest <= 255:
        return 255.0 if greatest <= 1 and image.mode == "F" else 1.0
    return 1 / 256 if greatest < 65536 else 255 / greatest


def _scale_grey(
    strip: Image.Image, scale: float
) -> np.ndarray:  # (H, W, 1); what is no number is 0
    grey = np.nan_to_num(np.asarray(strip).astype(np.float64) * scale, posinf=255.0)
    return np.clip(grey, 0, 255).astype(np.uint8)[:, :, None]


def convert_array(array: np.ndarray) -> np.ndarray:
    """Convert a uint8 array to RGB (H, W, 3), a view where it can be."""
    if array.dtype != np.uint8:
        hint = {
            "u": "(array >> 8).astype('uint8') for 16 bits",
            "f": "(array * 255).round().astype('uint8') for values of 0 to 1",
        }.get(array.dtype.kind, "array.astype('uint8')")
        raise TypeError(
            f"a picture as an array is of uint8, 0 to 255, not {array.dtype}; use {hint}"
        )
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise ValueError(
            "a picture as an array has the shape (H, W, 3), (H, W, 4) or (H, W), not"
            f" {array.shape}; a batch is given picture by picture, and channels go last:"
            " array.transpose(1, 2, 0)"
        )
    _refuse_size("the array given", array.shape[1], array.shape[0])
    return array[:, :, :3] if array.ndim == 3 else np.repeat(array[:, :, None], 3, axis=2)


def _name_picture(image: Image.Image) -> str:
    return str(getattr(image, "filename", "") or "the picture given")


def describe_damage(error: Exception) -> str:
    """Say what an error of Pillow's readers means, before what they say."""
    return (
        "the file is damaged, cut off or of a rare kind; copy or download it again (its reader"
        f" says: {shorten_error(error)})"
    )


def shorten_error(error: Exception) -> str:
    """Tell the error in one short line."""
    return " ".join((str(error) or type(error).__name__).split())[:200]


def load_quietly(image: Image.Image) -> None:
    """Decode the picture; libtiff would print a line for every damaged strip of a TIFF."""
    with ExitStack() as stack:
        if image.format == "TIFF":
            stack.enter_context(_LOCK)  # the descriptor is the whole process's
            with suppress(OSError):  # there is none in a program without a console
                stack.callback(os.close, before := os.dup(2))
                stack.callback(os.dup2, before, 2)
                with open(os.devnull, "wb") as nothing:
                    os.dup2(nothing.fileno(), 2)
        image.load()


@contextmanager
def silence_warnings() -> Iterator[None]:
    """Show no warnings inside, in all threads; afterwards the filters are as before.

    `warnings.catch_warnings` knows no threads: where they overlap, it alone would leave them off
    for good. So the first one in switches them off, and the last one out on again.
    """
    with _LOCK:
        if not _INSIDE:
            _SILENCE.enter_context(warnings.catch_warnings(action="ignore"))
        _INSIDE.append(threading.get_ident())
    try:
        yield
    finally:
        with _LOCK:
            _INSIDE.pop()
            if not _INSIDE:
                _SILENCE.close()
