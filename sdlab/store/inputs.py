"""Input pictures: a request names them by their content, this process knows what they look like, and a store keeps them."""

from __future__ import annotations

import functools
import hashlib
import io
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .files import write_whole

if TYPE_CHECKING:
    from PIL.Image import Image

PICTURES = ("image", "mask_image", "depth_map")  # the fields of a request, in this order
HASH = re.compile("[0-9a-f]{32}")
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]+://|data:", re.IGNORECASE)
DEEP = ("I", "F")  # Pillow's modes of more than 8 bits begin so
GIVE = (
    "give the path of a picture, a PIL image, a NumPy array of uint8 (height, width, 3) or (height,"
    " width), or the 32 hexadecimal digits that name a picture's content"
)
_known: dict[str, bytes | Path] = {}  # {content: a PNG}, of all pictures that this process has met


def pixels(image: Image) -> str:
    """32 hexadecimal digits over the size and the raw bytes: equal for identical pictures of one mode."""
    return hashlib.sha256(f"{image.width}x{image.height} ".encode() + image.tobytes()).hexdigest()[
        :32
    ]


def content(name: str, given: Any) -> str:
    """The hash of an input picture, which is remembered, so that the hash alone stands for it from now on.

    An `image` counts as RGB, composited on white where it is transparent; a mask and a depth map as
    8-bit grey, composited on black. The orientation that a camera noted (EXIF) is applied.

    Parameters
    ----------
    name : {"image", "mask_image", "depth_map"}
        The field.
    given : str, path, PIL image or array
        A text of 32 hexadecimal digits is a hash, any other the path of a file.

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        No such file, something else than a picture, one of several frames, or one that cannot be
        read.
    """
    if isinstance(given, str) and HASH.fullmatch(given):
        return given
    image = plain(name, opened(name, given))
    found = pixels(image)
    if not isinstance(
        _known.get(found), bytes
    ):  # a file that a store has lent may be gone or changed since
        _known[found] = png(image)
    return found


def opened(name: str, given: Any) -> Image:
    """The picture in memory, upright, whatever it was given as."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    said = f"{name}={str(given)!r:.120}"
    try:
        if isinstance(given, (str, os.PathLike)):
            given = Image.open(place_of(said, given))
        image = given if isinstance(given, Image.Image) else of_array(name, given)
        if (
            getattr(image, "n_frames", 1) > 1 and image.format != "MPO"
        ):  # a telephone's photo with a second view
            raise ValueError(
                f"{said} has {image.n_frames} frames; choose one: picture.seek(0), then"
                f" {name}=picture.copy()"
            )
        return ImageOps.exif_transpose(image)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{said}: there is no such file, seen from {os.getcwd()}; {GIVE}"
        ) from None
    except AssertionError:  # Pillow's own, bare
        raise ValueError(
            f"{said}: this picture's file is closed; give its path, or picture.copy() of an"
            " open one"
        ) from None
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError) as error:
        raise ValueError(
            f"{said} cannot be read as a picture ({error}); save it as PNG or JPEG and give that"
        ) from None


def place_of(said: str, given: str | os.PathLike[str]) -> Path:
    """The path of what may be a picture; an error for what is none, which begins with `said`."""
    if not str(given).strip():
        raise ValueError(f"{said} names no file; None is for no picture")
    if ELSEWHERE.match(str(given)):
        raise ValueError(
            f"{said} is an address, and sdlab downloads nothing; save the picture and give its path"
        )
    if (place := Path(given).expanduser()).is_dir():
        raise ValueError(f"{said} is a folder; give the path of a picture in it")
    return place


def of_array(name: str, given: Any) -> Image:
    """A NumPy array of whole numbers 0..255, or of True and False, as a picture."""
    import numpy as np
    from PIL import Image

    if not isinstance(given, np.ndarray):
        raise TypeError(f"{name}={given!r:.80} is a {type(given).__name__}; {GIVE}")
    right = given.ndim == 2 or (given.ndim == 3 and given.shape[2] in (3, 4))
    if given.dtype not in (np.uint8, bool) or not right or not given.size:
        eight = (
            "(array // 256).astype('uint8')"
            if given.dtype == np.uint16
            else ("(255 * array).round().astype('uint8') of numbers from 0 to 1")
        )
        raise TypeError(
            f"{name} is an array of {given.dtype} {given.shape}; give uint8 (height, width, 3) or"
            f" (height, width), such as {eight}"
        )
    return Image.fromarray(given.astype(np.uint8) * 255 if given.dtype == bool else given)


def plain(name: str, image: Image) -> Image:
    """The picture as it counts: RGB, or grey for masks and depth maps."""
    from PIL import Image

    if image.mode[0] in DEEP:
        image = spread(name, image)
    if (
        image.mode in ("LA", "PA", "La", "RGBa")
        or "transparency" in image.info
        or image.mode == "RGBA"
    ):
        image = image.convert("RGBA")
        image = Image.alpha_composite(
            Image.new("RGBA", image.size, "white" if name == "image" else "black"), image
        )
    return image.convert("RGB" if name == "image" else "L")


def spread(name: str, image: Image) -> Image:
    """A depth map of many bits as 0..255, least to greatest: only its proportions reach the network. Others are refused."""
    import numpy as np
    from PIL import Image

    if name != "depth_map":
        raise ValueError(
            f"{name} has more than 8 bits a pixel (Pillow's mode {image.mode!r}); make it a picture"
            " of 8 bits, such as (numpy.asarray(picture) // 256).astype('uint8') of numbers up to"
            " 65,535"
        )
    depth = np.asarray(image, np.float64)
    least, most = depth.min(), depth.max()
    if not np.isfinite(most - least):
        raise ValueError("depth_map holds what is no number (NaN or infinite)")
    return Image.fromarray(((depth - least) * 255 / ((most - least) or 1)).round().astype(np.uint8))


def png(image: Image) -> bytes:
    """The picture alone, as a PNG."""
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def known(name: str) -> bool:
    """Whether this process can show the picture with that hash."""
    place = _known.get(name)
    return isinstance(place, bytes) or (place is not None and place.exists())


def require_known(name: str) -> None:
    """Refuses the hash of a picture that this process has not met."""
    if not known(name):
        raise ValueError(
            f"no input picture {name} is known here; give the picture itself again, or run with the"
            " store that has it"
        )


def picture(name: str) -> Image:
    """The picture with that hash, RGB or grey; ValueError if this process has not met it, or its file has changed."""
    from PIL import Image

    require_known(name)
    place = _known[name]
    with Image.open(io.BytesIO(place) if isinstance(place, bytes) else place) as image:
        image.load()
    if pixels(image) != name:
        raise ValueError(
            f"{place} is not the picture that it was; delete it, and give the picture itself again"
        )
    return image


def size(name: str) -> tuple[int, int]:
    """(width, height) of the picture with that hash."""
    require_known(name)
    return _size(name)


@functools.lru_cache(4096)
def _size(name: str) -> tuple[int, int]:
    from PIL import Image

    place = _known[name]
    with Image.open(io.BytesIO(place) if isinstance(place, bytes) else place) as image:
        return image.size


def named(recipe: Mapping[str, Any]) -> list[str]:
    """The hashes of a recipe's input pictures."""
    return [recipe[name] for name in PICTURES if recipe.get(name)]


class InputFolder:
    """The input pictures of a store, each in a file named by its content.

    Parameters
    ----------
    folder : Path
        Made when the first picture is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.png"

    def keep(self, names: Iterable[str]) -> None:
        """Writes those that are not there and that this process knows."""
        for name in set(names):
            if known(name) and not self.path(name).exists():
                place = _known[name]
                write_whole(
                    self.path(name), place if isinstance(place, bytes) else place.read_bytes()
                )

    def lend(self, names: Iterable[str]) -> None:
        """Tells this process where those are that are here and that it does not know."""
        for name in set(names):
            if not known(name) and self.path(name).exists():
                _known[name] = self.path(name)

    def picture(self, name: str) -> Image:
        """The picture with that hash; FileNotFoundError if it is not here."""
        from PIL import Image

        with Image.open(self.path(name)) as image:
            image.load()
        return image

    def problems(self) -> Iterator[tuple[str, str, str]]:
        """(hash, path, what is wrong) of the files that are not what their names say."""
        for path in sorted(self.folder.glob("*.png")):
            if HASH.fullmatch(path.stem):
                try:
                    if pixels(self.picture(path.stem)) != path.stem:
                        yield (
                            path.stem,
                            str(path),
                            "this input picture is not the one that was kept",
                        )
                except (OSError, ValueError, SyntaxError) as error:
                    yield path.stem, str(path), f"this input picture cannot be read: {error}"
