"""`Store(root)`: a folder with one file a picture, which carries its own recipe; it reads as a DataFrame."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import tempfile
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import EllipsisType
from typing import TYPE_CHECKING, Any

from ..pictures import hash_pixels, input_names
from ..recipe.request import Recipe, Request, key_of
from .columns import COLUMNS
from .files import ends_with, is_leftover, write_whole
from .index import Index, pack_record, unpack_rows
from .inputs import InputFolder
from .opinions import Opinions
from .png import ENDING, embed_record, read_record

if TYPE_CHECKING:
    import pandas as pd
    from PIL.Image import Image

ROOM = 100_000  # bytes that must be free for a run to begin
KEY = re.compile("[0-9a-f]{32}")
PICTURE = (
    "another picture",
    " or give another folder, and run again: what is finished stays finished",
)
OPINION = "another opinion", " and say it again: earlier ones are kept"
ADVICE = {
    errno.ENOSPC: "free space there",
    errno.EDQUOT: "free space there",
    errno.EROFS: "make it writable",
    errno.EACCES: "make it writable",
    errno.EPERM: "make it writable",
}


class Store:
    """A folder of finished pictures, each in a file named by its recipe's key, and of what people said of them.

    Several processes and threads may use one store at once. Nothing is written before the first
    `save` or opinion.

    Parameters
    ----------
    root : str or path
        A folder: a store's, an empty one, or one to be made.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(os.path.abspath(os.path.expanduser(root)))
        self.images = self.root / "images"
        require_layout(self.root, self.images)
        self.index = Index(self.root / "index.sqlite", self._refill)
        self.opinions = Opinions(self.root)
        self.inputs = InputFolder(self.root / "inputs")
        len(self)  # opens the index, so that what is wrong shows here

    def __repr__(self) -> str:
        return f"Store({str(self.root)!r}, {len(self)} pictures)"

    def __len__(self) -> int:
        return len(self.index)

    def __reduce__(self) -> tuple:
        return Store, (str(self.root),)

    def path(self, key: str) -> Path:
        """Where the picture of that key is, or would be."""
        return Path(self._file(key))

    def _file(self, key: str) -> str:
        if not isinstance(key, str) or not KEY.fullmatch(key):
            raise ValueError(
                f"{key!r} is no key; a key is 32 hexadecimal digits, such as request.key"
            )
        return f"{self.images}{os.sep}{key[:2]}{os.sep}{key}.png"

    def save(
        self,
        recipe: Recipe,
        image: Image,
        facts: Mapping[str, Any],
        *,
        latents: bytes | None = None,
        hashes: Mapping[str, str] | None = None,
    ) -> Path:
        """Writes a finished picture, wholly or not at all.

        Parameters
        ----------
        recipe : Recipe
            Its key names the picture.
        image : PIL.Image.Image
            RGB.
        facts : mapping
            Those that are columns enter the frame, others stay in the record. "pixels" is added,
            and "created" (ISO 8601, UTC) unless given.
        latents : bytes, optional
            What another VAE can decode, as `latents.packed` gives it; the picture carries it.
        hashes : mapping, optional
            A1111's "Lora hashes" and "TI hashes" of the files that acted.

        Raises
        ------
        TypeError
            The request is not resolved, or the image is not RGB.
        OSError
            The disk is full or the folder cannot be written. What is finished stays finished.
        """
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        facts = {"created": now, **facts, "pixels": hash_pixels(image)}
        data = embed_record(recipe, image, facts, latents=latents, hashes=hashes)
        path = self.path(recipe.key)
        with self._advising(*PICTURE):
            self.inputs.keep(input_names(vars(recipe)))
            write_whole(path, data)
        self.index.put([pack_record(read_record(data), len(data))])
        return path

    def prepare(self, requests: Iterable[Request] = ()) -> None:
        """Makes the folder, keeps the requests' input pictures and tries to write: a long run fails before it begins."""
        with self._advising(*PICTURE):
            self.inputs.keep(name for request in requests for name in input_names(vars(request)))
            self.images.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.images) as trial:
                trial.write(bytes(ROOM))
                trial.flush()

    def rate(
        self, key: str, *, starred: bool | None = None, rating: int | EllipsisType | None = ...
    ) -> None:
        """Stars a picture, rates it from 1 to 5, or both; what is not given stays as it was, and rating=None takes it back.

        The picture need not be there (yet). The opinion goes into the text file `opinions.jsonl`,
        not into the picture or the index, and outlives both. Raises OSError where that file cannot
        be written.
        """
        self._file(key)
        with self._advising(*OPINION):
            self.opinions.rate(key, starred=starred, rating=rating)

    def vote(self, left: str, right: str, vote: str, *, blind: bool = False) -> None:
        """Keeps which of two pictures, given by their keys, was preferred: "left", "right", "tie" or "both bad".

        `blind` says that the voter did not know which was which. Raises as `rate` does.
        """
        self._file(left), self._file(right)
        with self._advising(*OPINION):
            self.opinions.vote(left, right, vote, blind=blind)

    def votes(self) -> pd.DataFrame:
        """All votes in the order in which they were cast: `time left right vote blind`."""
        return self.opinions.votes()

    @contextlib.contextmanager
    def _advising(self, what: str, then: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            todo = ADVICE.get(error.errno, "see to that") + then
            raise OSError(
                error.errno, f"the store {self.root} cannot take {what} ({error.strerror}); {todo}"
            ) from error

    def image(self, key: str) -> Image:
        """The picture in memory, RGB."""
        from PIL import Image

        with self._named(key) as path, Image.open(path) as image:
            return image.convert("RGB")

    def input(self, name: str) -> Image:
        """The input picture with that hash (the frame's columns `image`, `mask_image` and `depth_map`), RGB or grey."""
        try:
            return self.inputs.read(name)
        except FileNotFoundError:
            raise FileNotFoundError(
                errno.ENOENT,
                f"no input picture {name!r:.80} in {self!r}; it keeps those of its own cells",
            ) from None

    def record(self, key: str) -> dict[str, Any]:
        """What the picture says about itself: {"format", "key", "request", "facts"}, every given fact included."""
        with self._named(key) as path:
            return read_record(path)

    @contextlib.contextmanager
    def _named(self, key: str) -> Iterator[Path]:
        try:
            yield self.path(key)
        except FileNotFoundError:
            raise FileNotFoundError(
                errno.ENOENT, f"no picture {key} in {self!r}; run its request first"
            ) from None

    def frame(self, keys: Iterable[str] | None = None) -> pd.DataFrame:
        """One row a picture: key, recipe, path, error (missing here: failures are not stored), facts, star and rating.

        The last two, `starred` (False where nothing was said) and `rating` (1 to 5), are as of now:
        a frame in memory keeps its old ones until it is read again.

        Parameters
        ----------
        keys : iterable of str, optional
            Rows for these, in this order, with only key and opinions where there is no picture.
            Else all, in order of creation.
        """
        import pandas as pd

        rows = self.index.rows(None if keys is None else list(keys))
        columns = unpack_rows(rows)
        columns["path"] = pd.array([row[1] and self._file(row[0]) for row in rows], "string")
        columns["error"] = pd.array([None] * len(rows), "string")
        columns |= self.opinions.columns(columns["key"])
        return pd.DataFrame({name: columns[name] for name in COLUMNS}, copy=False)

    def seconds(
        self, *, weights: str, num_inference_steps: int, height: int, width: int
    ) -> float | None:
        """The mean time of the latest pictures of this model, size and number of steps; None if nothing is like them."""
        return self.index.seconds(
            weights=weights, num_inference_steps=num_inference_steps, height=height, width=width
        )

    def find_finished(self, keys: Iterable[str]) -> set[str]:
        """Those of the keys whose pictures are there and whole; a torn one is moved aside, with a warning."""
        keys = list(dict.fromkeys(keys))
        sizes = self.index.sizes(keys)
        whole = {key for key, size in sizes.items() if ends_with(self._file(key), ENDING, size)}
        doubtful = [
            key for key in keys if key not in whole
        ]  # new to the index, or not as it says: the picture decides
        return whole | self._enter(doubtful, sizes)

    def rebuild(self) -> int:
        """Makes the index anew from the pictures; how many were read. Those that cannot be read are moved aside."""
        known = self.index.keys()
        return len(self._enter(self._names() | known, known))

    def _refill(self) -> None:
        known = self.index.keys()
        self._enter(self._names() ^ known, known)

    def _enter(self, keys: Collection[str], known: Collection[str]) -> set[str]:
        """Reads these pictures into the index, and drops what it knows of those that are none; the keys of the former."""
        rows = list(self._read(keys))
        found = {row[0] for row in rows}
        self.index.put(rows)
        self.index.drop(key for key in keys if key in known and key not in found)
        return found

    def _read(self, keys: Iterable[str]) -> Iterator[tuple]:
        """The rows of those that are there; what cannot be read is moved aside."""
        for key in keys:
            path = self._file(key)
            try:
                record = read_record(path)
                if (record or {}).get("key") != key:
                    raise ValueError(
                        f"{path}: this PNG holds"
                        f" {'the recipe of another key' if record else 'no recipe'}"
                    )
                yield pack_record(record, os.path.getsize(path))
            except FileNotFoundError:
                continue
            except OSError as error:
                warnings.warn(f"{error}; it counts as unfinished", stacklevel=2)
            except ValueError as error:
                set_aside(path, error)

    def _names(self) -> set[str]:
        """The keys of all pictures, by their files' names; what dead writers left behind is removed."""
        keys = set()
        for folder in os.listdir(self.images) if self.images.is_dir() else ():
            with contextlib.suppress(NotADirectoryError):
                for name in os.listdir(self.images / folder):
                    if (
                        name.endswith(".png")
                        and name.startswith(folder)
                        and KEY.fullmatch(name[:-4])
                    ):
                        keys.add(name[:-4])
                    elif is_leftover(self.images / folder / name):
                        with contextlib.suppress(OSError):
                            os.unlink(self.images / folder / name)
        return keys

    def check(self) -> pd.DataFrame:
        """Decodes every picture, inputs too, and compares it with its record; rows `key path problem`, none if all is well."""
        import pandas as pd

        problems = [(key, self._file(key), self._problem(key)) for key in sorted(self._names())] + [
            *self.inputs.problems()
        ]
        return pd.DataFrame(
            [p for p in problems if p[2]], columns=["key", "path", "problem"], dtype="string"
        )

    def _problem(self, key: str) -> str | None:
        try:
            record, image = self.record(key), self.image(key)
            own = record and key_of(record["request"])
        except (
            OSError,
            ValueError,
            SyntaxError,
        ) as error:  # Pillow's word for broken PNGs is SyntaxError
            return f"cannot be read: {error}"
        if own != key:
            return f"its recipe is that of {own}" if own else "carries no recipe"
        if missing := [
            name for name in input_names(record["request"]) if not self.inputs.path(name).exists()
        ]:
            return f"its input picture {missing[0]} is missing"
        return (
            None
            if record["facts"].get("pixels") == hash_pixels(image)
            else "its pixels are not those that were saved"
        )


def require_layout(root: Path, images: Path) -> None:
    for folder in (root, images):
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError(
                f"{folder} is a file; a store is a folder, such as Store('runs/hamster')"
            )
    names = [name for name in os.listdir(images) if name[0] != "."] if images.is_dir() else []
    if names and not any(re.fullmatch("[0-9a-f]{2}", name) for name in names):
        raise ValueError(
            f"{images} holds {names[0]!r}, so {root} is no store; give a store's folder, or a"
            " new one"
        )
    if root.name == "images" and (root.parent / "index.sqlite").exists():
        raise ValueError(
            f"{root} is the inside of a store; did you mean Store({str(root.parent)!r})?"
        )


def set_aside(path: str, error: ValueError) -> None:
    try:
        os.replace(path, f"{path}.broken")
    except OSError:
        warnings.warn(f"{error}; it counts as unfinished", stacklevel=2)
    else:
        warnings.warn(
            f"{error}; moved to {os.path.basename(path)}.broken, so the cell counts as unfinished",
            stacklevel=2,
        )
