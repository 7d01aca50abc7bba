"""Any picture: opened safely, brought to one form, named by its content, and made small.

A name is a text of 32 hexadecimal digits. It leads to its picture as long as some request, or a
store that has the picture, is in memory.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import io
import os
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from numpy import ndarray
    from PIL.Image import Image
    from PIL.ImageCms import ImageCmsProfile, ImageCmsTransform

PICTURES = ("image", "mask_image", "depth_map")  # the fields of a request, in this order
HASH = re.compile("[0-9a-f]{32}")
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]+://|data:", re.IGNORECASE)
SMALL_SIDE = 128  # pixels; a picture up to this size is shown exactly
DEEP = ("I", "F")  # Pillow's modes of more than 8 bits begin so
CLEAR = ("LA", "PA", "La", "RGBa", "RGBA")  # Pillow's modes with transparency
SRGB_GAMMA = 0.45455  # as PNG files state it
MIDDLE_TONES = 0.05  # more of a picture than the soft edges of a mask are
SAME_COLOURS = 2  # levels of 255 by which makers' sRGB profiles differ from one another, at most
GIVE = (
    "give the path of a picture, a PIL image, a NumPy array of uint8 (height, width, 3) or (height,"
    " width), or the 32 hexadecimal digits that name a picture's content"
)


class Picture(str):
    """The name of an input picture, which knows the picture: a PNG in memory, or a store's file.

    Attributes
    ----------
    source : bytes or Path
    original : (str, bytes or Path), optional
        The ending of a file's name, and the file as it was before its colours were converted.
    """

    source: bytes | Path
    original: tuple[str, bytes | Path] | None = None

    def __new__(cls, name: str, source: bytes | Path) -> Picture:
        self = super().__new__(cls, name)
        self.source = source
        return _known.setdefault(name, self)

    def __reduce__(self) -> tuple:
        return Picture, (str(self), self.source)

    def open(self) -> Image:
        """Opens the picture; its pixels are not read yet."""
        from PIL import Image

        return Image.open(
            io.BytesIO(self.source) if isinstance(self.source, bytes) else self.source
        )

    @functools.cached_property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        with self.open() as image:
            return image.size


_known: WeakValueDictionary[str, Picture] = WeakValueDictionary()


def hash_pixels(image: Image) -> str:
    """Computes 32 hexadecimal digits, which are equal for identical pictures of one mode."""
    content = f"{image.width}x{image.height} ".encode() + image.tobytes()
    return hashlib.sha256(content).hexdigest()[:32]


def name_picture(field: str, given: Any) -> str:
    """Names an input picture by its content, so that the name alone stands for it from now on.

    An `image` counts as RGB, composited on white where it is transparent; a mask and a depth map as
    8-bit grey, composited on black. The orientation that a camera noted (EXIF) is applied, and
    colours with a profile of their own (ICC) are converted to sRGB, as a viewer shows them; a
    profile that cannot be read is left out, with a warning.

    Parameters
    ----------
    field : {"image", "mask_image", "depth_map"}
    given : str, path, PIL image or array
        A text of 32 hexadecimal digits is a name, any other the path of a file.

    Returns
    -------
    str
        32 hexadecimal digits; a `Picture` wherever the picture is known.

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        No such file, something else than a picture, one of several frames, or one that cannot be
        read.
    """
    if isinstance(given, str) and HASH.fullmatch(given):
        return _known.get(given, given)
    as_given = open_input(field, given)
    in_srgb = convert_colours(field, as_given)
    image = flatten_picture(field, in_srgb)
    name, data = hash_pixels(image), png_bytes(image)
    picture = Picture(name, data)
    if not isinstance(picture.source, bytes):  # a file that a store has lent may be gone or changed
        picture.source = data
    if in_srgb is not as_given:
        picture.original = picture.original or read_original(given, as_given)
    return picture


def fit_picture(given: Any, size: tuple[int, int], field: str = "image") -> Image:
    """Brings a picture of any size to another: what has not its shape is cut about the middle.

    Parameters
    ----------
    given : str, path, PIL image or array
        As for a field of a request, and read like that: what is transparent becomes white.
    size : (int, int)
        Width and height in pixels.
    field : {"image", "mask_image", "depth_map"}
        In the last two, what is transparent becomes black.
    """
    from PIL import ImageOps
    from PIL.Image import Resampling

    image = flatten_picture(field, convert_colours(field, open_input(field, given)))
    return ImageOps.fit(image, size, Resampling.LANCZOS)


def open_input(name: str, given: Any) -> Image:
    """Opens a picture upright, whatever it was given as."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    said = f"{name}={str(given)!r:.120}"
    try:
        if isinstance(given, (str, os.PathLike)):
            given = Image.open(require_place(said, given))
        image = given if isinstance(given, Image.Image) else read_array(name, given)
        frames = getattr(image, "n_frames", 1)
        if frames > 1 and image.format != "MPO":  # a telephone's photo with a second view
            raise ValueError(
                f"{said} has {frames} frames; choose one: picture.seek(0), then"
                f" {name}=picture.copy()"
            )
        return ImageOps.exif_transpose(image)
    except FileNotFoundError:
        text = f"{said}: there is no such file, seen from {os.getcwd()}; {GIVE}"
        raise FileNotFoundError(text) from None
    except AssertionError:  # Pillow's own, bare
        raise ValueError(
            f"{said}: this picture's file is closed; give its path, or picture.copy() of an"
            " open one"
        ) from None
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError) as error:
        raise ValueError(
            f"{said} cannot be read as a picture ({error}); save it as PNG or JPEG and give that"
        ) from None


def require_place(said: str, given: str | os.PathLike[str]) -> Path:
    """Gives the path of what may be a picture; else an error that begins with `said`."""
    if not str(given).strip():
        raise ValueError(f"{said} names no file; None is for no picture")
    if ELSEWHERE.match(str(given)):
        raise ValueError(
            f"{said} is an address, and sdlab downloads nothing; save the picture and give its path"
        )
    if (place := Path(given).expanduser()).is_dir():
        raise ValueError(f"{said} is a folder; give the path of a picture in it")
    return place


def read_array(name: str, given: Any) -> Image:
    """Makes a picture of a NumPy array of whole numbers 0..255, or of True and False."""
    import numpy as np
    from PIL import Image

    if not isinstance(given, np.ndarray):
        raise TypeError(f"{name}={given!r:.80} is a {type(given).__name__}; {GIVE}")
    right = given.ndim == 2 or (given.ndim == 3 and given.shape[2] in (3, 4))
    if given.dtype not in (np.uint8, bool) or not right or not given.size:
        raise TypeError(
            f"{name} is an array of {given.dtype} {given.shape}; give uint8 (height, width, 3) or"
            f" (height, width), such as {say_eight_bits(given, 'array')}"
        )
    return Image.fromarray(given.astype(np.uint8) * 255 if given.dtype == bool else given)


def say_eight_bits(array: ndarray, called: str) -> str:
    """Writes Python that brings an array to levels of 0..255, by the range of its numbers."""
    most = array.max() if array.size and array.dtype.kind in "iuf" else 1
    if most <= 1:
        return f"(255 * {called}).round().astype('uint8') of numbers from 0 to 1"
    if most <= 255:
        return f"{called}.astype('uint8') of numbers from 0 to 255"
    return f"({called} // 256).astype('uint8') of numbers from 0 to 65,535"


def flatten_picture(name: str, image: Image) -> Image:
    """Makes the picture as it counts: RGB, or grey for masks and depth maps."""
    if image.mode[0] in DEEP:
        image = spread_levels(name, image)
    if name == "mask_image" and has_transparency(image):
        warn_of_erased_photo(image)
    ground = "white" if name == "image" else "black"
    return lay_on(image, ground).convert("RGB" if name == "image" else "L")


def warn_of_erased_photo(image: Image) -> None:
    """Warns of a mask in which a photo is partly erased: its own colours would be the mask."""
    import numpy as np

    pixels = np.asarray(image.convert("RGBA").convert("LA"))
    grey, seen = pixels[..., 0], pixels[..., 1] > 127
    if not seen.all() and (abs(grey[seen] - 127.5) < 64).mean() > MIDDLE_TONES:
        warnings.warn(
            "mask_image is a picture of many tones that is partly transparent: what is transparent"
            " counts as black, which is kept, and of the rest what is light is painted anew. Where"
            " the transparent part is to be painted anew, give"
            " picture.getchannel('A').point(lambda a: 255 - a)",
            stacklevel=2,
        )


def has_transparency(image: Image) -> bool:
    """Tells whether some of the picture may be transparent."""
    return image.mode in CLEAR or "transparency" in image.info


def lay_on(image: Image, ground: str) -> Image:
    """Lays a picture on a ground of one colour, which shows where it is transparent."""
    from PIL import Image

    if not has_transparency(image):
        return image
    return Image.alpha_composite(Image.new("RGBA", image.size, ground), image.convert("RGBA"))


def put_on_white(image: Image) -> Image:
    """Gives the picture in RGB as a white page shows it: what is transparent becomes white."""
    return lay_on(image, "white").convert("RGB")


def convert_colours(name: str, image: Image) -> Image:
    """Converts a picture whose profile shows other colours than sRGB; others are given back."""
    from PIL import ImageCms

    profile = image.info.get("icc_profile")
    gamma = image.info.get("gamma", SRGB_GAMMA)  # of a PNG
    if not profile and "srgb" not in image.info and abs(gamma - SRGB_GAMMA) > 0.02:
        warnings.warn(
            f"{name}: this PNG states a gamma of {gamma:g}, by which viewers make it lighter or"
            f" darker; its numbers are taken for sRGB ({SRGB_GAMMA:g}). Convert it to sRGB in an"
            " image editor, or save it without a gamma",
            stacklevel=2,
        )
    if not profile or image.mode[0] in DEEP or image.mode == "LAB":
        return image
    try:
        return apply_profile(image, ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        warnings.warn(
            f"{name}: the colour profile in this picture cannot be used ({error}); its numbers are"
            " taken for sRGB, which may not be the colours that a viewer shows. Convert it to sRGB"
            " in an image editor, or save it without a profile",
            stacklevel=2,
        )
        return image


def apply_profile(image: Image, profile: ImageCmsProfile) -> Image:
    """Converts the colours to sRGB, as Pillow and browsers do; the picture itself if they are.

    Raises
    ------
    PIL.ImageCms.PyCMSError, ValueError
        The profile is not one of such pictures.
    """
    from PIL import ImageCms

    space = profile.profile.xcolor_space.strip()
    mode = {"GRAY": "L"}.get(space, space)
    clear = has_transparency(image)
    plain = image.convert("RGBA") if clear else image
    own = "CMYK" if image.mode == "CMYK" else "RGB"
    if mode not in (own, "L") or (mode == "L" and image.mode[0] not in "L1"):
        raise ValueError(f"it is one of {space} pictures, and this is {image.mode}")
    transform = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), mode, "RGB")
    if mode == "RGB" and count_changed_levels(transform) <= SAME_COLOURS:
        return image
    shown = transform.apply(plain.convert(mode))
    if clear:
        shown.putalpha(plain.getchannel("A"))
    return shown


def count_changed_levels(transform: ImageCmsTransform) -> int:
    """Counts by how many levels of 255 a transform of RGB moves any of 4,096 colours, at most."""
    import numpy as np
    from PIL import Image

    levels = np.arange(0, 256, 17, dtype=np.uint8)
    chart = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(64, 64, 3)
    shown = transform.apply(Image.fromarray(chart))
    return int(np.abs(np.asarray(shown, np.int16) - chart).max())


def read_original(given: Any, image: Image) -> tuple[str, bytes]:
    """Reads (ending, content) of a picture's own file, or makes a TIFF of a picture in memory."""
    if isinstance(given, (str, os.PathLike)):
        place = Path(given).expanduser()
        return place.suffix, place.read_bytes()
    profile = image.info["icc_profile"]
    return ".tiff", encode_picture(image, "TIFF", compression="tiff_deflate", icc_profile=profile)


def spread_levels(name: str, image: Image) -> Image:
    """Makes a depth map of many bits one of 0..255, least to greatest; other pictures are refused.

    Nothing but its proportions reaches the network.
    """
    import numpy as np
    from PIL import Image

    if name != "depth_map":
        raise ValueError(
            f"{name} has more than 8 bits a pixel (Pillow's mode {image.mode!r}); give 8 bits, such"
            f" as {say_eight_bits(np.asarray(image), 'numpy.asarray(picture)')}"
        )
    depth = np.asarray(image, np.float64)
    least, most = depth.min(), depth.max()
    if not np.isfinite(most - least):
        raise ValueError("depth_map holds what is no number (NaN or infinite)")
    return Image.fromarray(((depth - least) * 255 / ((most - least) or 1)).round().astype(np.uint8))


def encode_picture(image: Image, kind: str, **options: Any) -> bytes:
    """Writes the picture as a file of Pillow's format `kind`, with Pillow's options."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png_bytes(image: Image) -> bytes:
    """Writes the picture alone as a PNG."""
    return encode_picture(image, "PNG", compress_level=1)


def webp_bytes(image: Image, px: int, *, exact: bool = True) -> bytes:
    """Writes the picture as a WebP of a few kilobytes, made smaller if it is larger than `px`.

    Parameters
    ----------
    image : PIL.Image.Image
        RGB.
    px : int
        The most pixels in width and height.
    exact : bool
        A picture of at most 128 pixels that fits keeps every pixel.
    """
    from PIL import WebPImagePlugin  # noqa: F401 -- or Pillow imports all formats that it knows
    from PIL.Image import Resampling

    exact = exact and max(image.size) <= min(px, SMALL_SIDE)
    if max(image.size) > px:
        image = image.copy()
        image.thumbnail((px, px), Resampling.LANCZOS, reducing_gap=2.0)
    return encode_picture(image, "WEBP", lossless=exact, quality=50 if exact else 85, method=2)


def data_uri(picture: Image | bytes, kind: str = "WEBP", **options: Any) -> str:
    """Writes a picture, or the bytes of its file, as an address by which a page holds it itself."""
    data = picture if isinstance(picture, bytes) else encode_picture(picture, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(data).decode()}"


def is_known(name: str) -> bool:
    """Tells whether the picture of that name can be shown."""
    found = _known.get(name)
    return found is not None and (isinstance(found.source, bytes) or found.source.exists())


def require_picture(name: str) -> Picture:
    """Gives the picture of that name, or refuses one that nobody has."""
    if not is_known(name):
        raise ValueError(
            f"no input picture {name} is known here; give the picture itself again, or run with the"
            " store that has it"
        )
    return _known[name]


def read_picture(name: str) -> Image:
    """Reads the picture of that name, RGB or grey.

    Raises
    ------
    ValueError
        Nobody has it, or its file has changed.
    """
    known = require_picture(name)
    with known.open() as image:
        image.load()
    if hash_pixels(image) != name:
        raise ValueError(
            f"{os.fsdecode(known.source)} is not the picture that it was; delete it, and give the"
            " picture itself again"
        )
    return image


def input_names(recipe: Mapping[str, Any]) -> list[str]:
    """Lists the names of a recipe's input pictures."""
    return [recipe[name] for name in PICTURES if recipe.get(name)]
