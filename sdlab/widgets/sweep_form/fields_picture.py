"""The field of an input picture: its path is typed, or the picture is uploaded, and a small one is shown."""

from __future__ import annotations

import functools
import io
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import ipywidgets

from ...pictures import data_uri, is_known, name_picture, read_picture
from .fields import Field

SIDE = 64  # pixels, of what is shown of a picture
SHOWN = 8  # pictures


class PictureField(Field):
    """A field for paths of pictures, or for the names of their contents; what is uploaded takes their place."""

    def __init__(self, name: str, text: Any, models: Sequence[str], uid: str) -> None:
        self._trouble = ""
        super().__init__(name, text, models, uid)
        self.upload = ipywidgets.FileUpload(
            accept="image/*",
            multiple=True,
            description=f"Upload {name}",
            tooltip="Takes pictures of this computer instead of those named above",
        )
        self._pictures = ipywidgets.HTML()
        self.children = [
            self.control,
            ipywidgets.HBox([self.upload, self._pictures]),
            self._message,
        ]
        self.children[1].add_class("sdl-given")
        self.upload.observe(self._take, "value")
        self.control.observe(self._forget, "value")

    def show(self, names: Iterable[str | None]) -> None:
        """Shows the pictures of these contents, as far as this process knows them."""
        found = [name for name in names if name and is_known(name)]
        more = f"and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        self._pictures.value = "".join(map(preview_of, found[:SHOWN])) + more

    def say(self, error: str = "", note: str = "") -> None:
        super().say(error or self._trouble, note)

    def _forget(self, _: Any) -> None:
        self._trouble = ""

    def _take(self, change: Any) -> None:
        if not change["new"]:
            return
        try:
            names = [
                uploaded(self.name, file["name"], bytes(file["content"])) for file in change["new"]
            ]
        except (ValueError, TypeError) as error:
            self._trouble = f"{error}"
            self.say()
        else:
            self._forget(None)
            self.say()
            self.control.value = ", ".join(names)
        self.upload.value = ()  # so that the same file can be taken again


def uploaded(name: str, file: str, data: bytes) -> str:
    """The hash of an uploaded picture; ValueError that names the file, if it is none."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            return name_picture(name, image)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{file!r:.120}: {error}") from None
    except Exception:  # Pillow's are of many kinds, and speak of the bytes in memory
        raise ValueError(f"{file!r:.120} cannot be read as a picture; take a PNG or JPEG") from None


@functools.lru_cache(256)
def preview_of(name: str) -> str:
    """The picture of this content as a small HTML image."""
    try:
        image = read_picture(name)
    except (ValueError, OSError) as error:
        return escape(f"{error}")
    alternative = f"{name[:8]}…, {image.width}x{image.height}"
    image.thumbnail((SIDE, SIDE))
    return f'<img src="{data_uri(image, "PNG")}" alt="{alternative}" title="{alternative}">'
