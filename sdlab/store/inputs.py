"""The input pictures of a store, each in a file named by its content."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..pictures import HASH, Picture, hash_pixels, is_known, require_picture
from .files import write_whole

if TYPE_CHECKING:
    from PIL.Image import Image


class InputFolder:
    """A folder of input pictures, which shows them to whoever knows their names.

    Beside NAME.png, the picture as it counts, lies NAME.original.jpg or the like where its colours
    were converted.

    Parameters
    ----------
    folder : Path
        Made when the first picture is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lent: dict[str, Picture] = {}

    def path(self, name: str) -> Path:
        """Says where the picture of that name is, or would be."""
        return self.folder / f"{name}.png"

    def keep(self, names: Iterable[str]) -> None:
        """Writes those that are not there and that somebody has."""
        for name in filter(is_known, set(names)):
            picture = require_picture(name)
            ending, original = picture.original or ("", None)
            beside = self.folder / f"{name}.original{ending}"
            for path, content in ((self.path(name), picture.source), (beside, original)):
                if isinstance(content, Path):
                    content = content.read_bytes() if content.exists() else None
                if content is not None and not path.exists():
                    write_whole(path, content)

    def lend(self, names: Iterable[str]) -> None:
        """Makes known those that are here and nobody else has, as long as this folder is used."""
        for name in set(names):
            if not is_known(name) and self.path(name).exists():
                self._lent[name] = Picture(name, self.path(name))
                self._lent[name].source = self.path(name)  # of one whose file is gone
                for file in self.folder.glob(f"{name}.original*"):
                    self._lent[name].original = file.suffix, file

    def read(self, name: str) -> Image:
        """Reads the picture of that name; FileNotFoundError if it is not here."""
        from PIL import Image

        with Image.open(self.path(name)) as image:
            image.load()
        return image

    def find_problems(self) -> Iterator[tuple[str, str, str]]:
        """Yields (name, path, what is wrong) of the files that are not what their names say."""
        for path in sorted(self.folder.glob("*.png")):
            if HASH.fullmatch(path.stem) and (problem := self._find_problem(path.stem)):
                yield path.stem, str(path), problem

    def _find_problem(self, name: str) -> str | None:
        try:
            same = hash_pixels(self.read(name)) == name
        except (OSError, ValueError, SyntaxError) as error:
            return f"this input picture cannot be read: {error}"
        return None if same else "this input picture is not the one that was kept"
