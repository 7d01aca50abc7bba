"""`Store(root)`: a folder with one file a picture, which carries its own recipe."""

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
from typing import TYPE_CHECKING, Any

from ..pictures import HASH, hash_pixels, input_names
from ..recipe.collector import pause_collector
from ..recipe.request import Recipe, Request, key_of, list_inputs
from .columns import COLUMNS
from .files import ends_with, is_leftover, write_whole
from .index import Index, pack_record, unpack_rows
from .inputs import InputFolder
from .layout import require_layout, warn_of_none
from .opinions import Opinions
from .png import ENDING, embed_record, read_record

if TYPE_CHECKING:
    import pandas as pd
    from PIL.Image import Image

NAME = re.compile(r"[0-9a-f]{32}\.png")  # of a picture's file
ROOM = 100_000  # bytes that must be free for a run to begin
PICTURE = (
    "another picture",
    " or give another folder, and run again: what is finished stays finished",
)
OPINION = "another opinion", " and say it again: earlier ones are kept"
ADVICE = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "free space there"),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), "make it writable"),
}


def open_store(store: Any) -> Store:
    """Opens the store, or says what was given instead of one."""
    if not isinstance(store, (Store, str, os.PathLike)):
        raise TypeError(
            f'store={store!r:.80}: give a Store, or the path of its folder, such as "runs/circle"'
        )
    return store if isinstance(store, Store) else Store(store)


class Store:
    """A folder of finished pictures, each in a file named by its recipe's key, and of opinions.

    Several processes and threads may use one store at once. Nothing is written before the first
    `save` or opinion.

    Parameters
    ----------
    root : str or path
        A folder: a store's, an empty one, or one to be made.

    Examples
    --------
    >>> store = Store("runs/hamster")
    >>> frame = store.frame()  # one row a picture
    >>> best = frame.sort_values("rating").iloc[-1]  # doctest: +SKIP
    >>> store.image(best["key"])  # doctest: +SKIP
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
        """Says where the picture of that key is, or would be."""
        return Path(self._file(key))

    def _file(self, key: str) -> str:
        if not isinstance(key, str) or not HASH.fullmatch(key):
            raise ValueError(
                f"{key!r} is no key; a key is 32 hexadecimal digits, such as request.key"
            )
        return self._place(key)

    def _place(self, key: str) -> str:
        """Writes the path of what is known to be a key."""
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
        return self.receive(
            recipe, pack_picture(recipe, image, facts, latents=latents, hashes=hashes)
        )

    def receive(self, recipe: Recipe, data: bytes | None) -> Path:
        """Takes in a finished picture that was packed elsewhere, wholly or not at all.

        Parameters
        ----------
        recipe : Recipe
        data : bytes or None
            What `pack_picture` made; None if that stands in its place already.

        Raises
        ------
        OSError
            As `save` does.
        """
        path = self.path(recipe.key)
        with self._advise(*PICTURE):
            self.inputs.keep(list_inputs([recipe]))
            if data is not None:
                write_whole(path, data)
            if not (rows := list(self._read([recipe.key]))):  # a network's server forgot it
                raise OSError(errno.EIO, "what was written is not there")
        self.index.update(rows)
        return path

    def prepare(self, requests: Iterable[Request] = ()) -> None:
        """Makes the folder, keeps the input pictures and tries to write: before a run, not in it.

        Raises
        ------
        OSError
            As `save` does.
        """
        with self._advise(*PICTURE):
            self.inputs.keep(list_inputs(requests))
            self.images.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.images) as trial:
                trial.write(bytes(ROOM))
                trial.flush()

    def rate(self, key: str, **opinion: Any) -> None:
        """Says something of a picture; what is not given stays as it was.

        The picture need not be there (yet). The opinion goes into the text file `opinions.jsonl`,
        not into the picture or the index, and outlives both.

        Parameters
        ----------
        key : str
        **opinion
            `starred` (True or False), `rating` (1 to 5), `verdict` ("right", "wrong", "cannot
            tell"), `tags` (a list of words) and `note` (text). None takes an earlier one back.

        Raises
        ------
        OSError
            That file cannot be written.
        """
        self._file(key)
        with self._advise(*OPINION):
            self.opinions.rate(key, **opinion)

    def vote(self, left: str, right: str, vote: str | None, **how: Any) -> None:
        """Keeps which of two pictures was preferred.

        Parameters
        ----------
        left, right : str
            Their keys.
        vote : {"left", "right", "tie", "both bad"} or None
            None takes the earlier one back, also a blind one; with `blind` that one alone.
        **how
            `blind`, `rater`, `sealed` and `names_shown` as `Opinions.vote` has them.

        Raises
        ------
        OSError
            As `rate` does.
        """
        self._file(left), self._file(right)
        with self._advise(*OPINION):
            self.opinions.vote(left, right, vote, **how)

    def votes(self, *, history: bool = False) -> pd.DataFrame:
        """Lists the vote of each rater on each pair: `time left right vote blind rater`.

        A blind vote outweighs an open one, else the last counts; `history` lists all that were
        ever cast, and where one was taken back. Where there is no store yet, a warning says so.
        """
        warn_of_none(self.root, "votes")
        return self.opinions.votes(history=history)

    def reveal(self, pairs: Iterable[tuple[str, str]], *, rater: str = "") -> None:
        """Writes down that a rater has learned which picture of these pairs is which."""
        with self._advise(*OPINION):
            self.opinions.reveal(pairs, rater=rater)

    def answer(self, about: str | tuple[str, str], answer: str | None, **asked: Any) -> None:
        """Keeps what somebody answered to a question about a picture, or about a pair.

        Parameters
        ----------
        about : str or (str, str)
            The picture's key, or the keys of those that stood left and right.
        answer : str or None
            None: cannot tell.
        **asked
            `question`; `rater`, `seconds`, `blind` and `repeat` as `Opinions.answer` has them.

        Raises
        ------
        OSError
            As `rate` does.
        """
        self._require_keys(about)
        with self._advise(*OPINION):
            self.opinions.answer(about, answer, **asked)

    def take_back(self, about: str | tuple[str, str], **asked: Any) -> None:
        """Takes back the answer to `question` by `rater` at its `repeat`."""
        self._require_keys(about)
        with self._advise(*OPINION):
            self.opinions.take_back(about, **asked)

    def answers(self) -> pd.DataFrame:
        """Lists the last answer of each rater to each question, as `Opinions.answers` does.

        Where there is no store yet, a warning says so.
        """
        warn_of_none(self.root, "answers")
        return self.opinions.answers()

    def _require_keys(self, about: str | tuple[str, str]) -> None:
        for key in (about,) if isinstance(about, str) else about:
            self._file(key)

    @contextlib.contextmanager
    def _advise(self, what: str, then: str) -> Iterator[None]:
        """Says at an OSError what the store could not take, and what to do."""
        try:
            yield
        except OSError as error:
            todo = ADVICE.get(error.errno or 0, "see to that") + then
            raise OSError(
                error.errno, f"the store {self.root} cannot take {what} ({error.strerror}); {todo}"
            ) from error

    def image(self, key: str) -> Image:
        """Reads a picture into memory, RGB."""
        from PIL import Image

        with self._require_picture(key) as path, Image.open(path) as image:
            return image.convert("RGB")

    def input(self, name: str) -> Image:
        """Reads the input picture of that name, as the frame's columns have it; RGB or grey."""
        try:
            return self.inputs.read(name)
        except FileNotFoundError:
            raise FileNotFoundError(
                errno.ENOENT,
                f"no input picture {name!r:.80} in {self!r}; it keeps those of its own cells",
            ) from None

    def record(self, key: str) -> dict[str, Any]:
        """Reads what a picture says of itself: {"format", "key", "request", "facts"}, all facts."""
        with self._require_picture(key) as path:
            return read_record(path) or {}

    @contextlib.contextmanager
    def _require_picture(self, key: str) -> Iterator[Path]:
        """Gives the path of the picture, and says what to do if it is not there."""
        try:
            yield self.path(key)
        except FileNotFoundError:
            raise FileNotFoundError(
                errno.ENOENT, f"no picture {key} in {self!r}; run its request first"
            ) from None

    def frame(self, keys: Iterable[str] | None = None) -> pd.DataFrame:
        """Reads one row a picture: key, recipe, path, error, facts, and what people said of it.

        Parameters
        ----------
        keys : iterable of str, optional
            Rows for these, in this order, with only key and opinions where there is no picture.
            Else all, in order of creation.

        Returns
        -------
        DataFrame
            In pandas' nullable types. `error` is missing, as failures are not stored. `starred`
            (False where nothing was said), `rating` (1 to 5), `verdict`, `tags` and `note` are as
            of now: a frame in memory keeps its old ones until it is read again.
        """
        with pause_collector():
            return self._make_frame(None if keys is None else list(keys))

    def _make_frame(self, keys: list[str] | None) -> pd.DataFrame:
        import pandas as pd

        rows = self.index.rows(keys)
        try:
            columns = unpack_rows(rows)
        except ValueError as error:
            said = f"{self.index.file} was damaged ({error}); it is made anew from the pictures"
            warnings.warn(said, stacklevel=3)
            self.rebuild()
            rows = self.index.rows(keys)
            columns = unpack_rows(rows)
        columns["path"] = pd.array([row[1] and self._place(row[0]) for row in rows], "string")
        columns["error"] = pd.array([None] * len(rows), "string")
        columns |= self.opinions.columns(columns["key"])
        return pd.DataFrame({name: columns[name] for name in COLUMNS}, copy=False)

    def seconds(
        self, *, weights: str, num_inference_steps: int, height: int, width: int
    ) -> float | None:
        """Computes the mean time of the latest such pictures, with one call of the UNet a step.

        None if nothing is like them.
        """
        return self.index.seconds(
            weights=weights, num_inference_steps=num_inference_steps, height=height, width=width
        )

    def find_finished(self, keys: Iterable[str]) -> set[str]:
        """Finds the keys whose pictures are there and whole; torn ones are moved aside, aloud."""
        keys = list(dict.fromkeys(keys))
        sizes = self.index.sizes(keys)
        whole = {key for key, size in sizes.items() if ends_with(self._place(key), ENDING, size)}
        rest = [key for key in keys if key not in whole]
        if len(rest) >= len(self):  # all names are listed sooner than so many files are looked for
            there = self._list_keys()
            rest = [key for key in rest if key in there or key in sizes]
        return whole | self._enter(rest, sizes)

    def rebuild(self) -> int:
        """Makes the index anew from the pictures; torn ones are moved aside.

        Returns
        -------
        int
            How many pictures there are.
        """
        known = self.index.keys()
        return len(self._enter(self._list_keys() | known, known))

    def _refill(self) -> None:
        """Brings the index up to the pictures that are there, by their names."""
        known = self.index.keys()
        self._enter(self._list_keys() ^ known, known)

    def _enter(self, keys: Collection[str], known: Collection[str]) -> set[str]:
        """Reads those that are there into the index, and drops the known others; the former."""
        rows = list(self._read(keys))
        found = {row[0] for row in rows}
        self.index.update(rows, (key for key in keys if key in known and key not in found))
        return found

    def _read(self, keys: Iterable[str]) -> Iterator[tuple]:
        """Yields the rows of those that are there; what cannot be read is moved aside."""
        for key in keys:
            path = self._file(key)
            try:
                record = read_record(path)
                if record is None or record["key"] != key:
                    what = "the recipe of another key" if record else "no recipe"
                    raise ValueError(f"{path}: this PNG holds {what}")
                yield pack_record(record, os.path.getsize(path))
            except FileNotFoundError:
                continue
            except OSError as error:
                warnings.warn(f"{error}; it counts as unfinished", stacklevel=2)
            except ValueError as error:
                set_aside(path, error)

    def _list_keys(self) -> set[str]:
        """Lists the keys of all pictures by their names, and removes what dead writers left."""
        keys = set[str]()
        for folder in os.listdir(self.images) if self.images.is_dir() else ():
            with contextlib.suppress(NotADirectoryError):
                names = os.listdir(self.images / folder)
                own = [name for name in names if name.startswith(folder) and NAME.fullmatch(name)]
                keys.update(name[:-4] for name in own)
                for name in set(names).difference(own):
                    if is_leftover(self.images / folder / name):
                        with contextlib.suppress(OSError):
                            os.unlink(self.images / folder / name)
        return keys

    def check(self) -> pd.DataFrame:
        """Decodes every picture, inputs too, and compares it with its record.

        Returns
        -------
        DataFrame
            Rows `key path problem`, none if all is well.
        """
        import pandas as pd

        keys = sorted(self._list_keys())
        found = [(key, self._file(key), self._find_problem(key)) for key in keys]
        rows = [row for row in (*found, *self.inputs.find_problems()) if row[2]]
        return pd.DataFrame(rows, columns=["key", "path", "problem"], dtype="string")

    def _find_problem(self, key: str) -> str | None:
        try:
            record, image = self.record(key), self.image(key)
            own = key_of(record["request"]) if record else None
        except (OSError, ValueError, SyntaxError) as error:  # the last is Pillow's word for broken
            return f"cannot be read: {error}"
        if own != key:
            return f"its recipe is that of {own}" if own else "carries no recipe"
        for name in input_names(record["request"]):
            if not self.inputs.path(name).exists():
                return f"its input picture {name} is missing"
        same = record["facts"].get("pixels") == hash_pixels(image)
        return None if same else "its pixels are not those that were saved"


def pack_picture(
    recipe: Recipe,
    image: Image,
    facts: Mapping[str, Any],
    *,
    latents: bytes | None = None,
    hashes: Mapping[str, str] | None = None,
) -> bytes:
    """Packs a finished picture as the file that a store keeps; `Store.save` says of what."""
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    facts = {"created": now, **facts, "pixels": hash_pixels(image)}
    return embed_record(recipe, image, facts, latents=latents, hashes=hashes)


def set_aside(path: str, error: ValueError) -> None:
    """Renames what cannot be read, if that may be done, and says so."""
    then = f"moved to {os.path.basename(path)}.broken, so the cell counts as unfinished"
    try:
        os.replace(path, f"{path}.broken")
    except OSError:
        then = "it counts as unfinished"
    warnings.warn(f"{error}; {then}", stacklevel=2)
