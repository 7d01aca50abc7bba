"""The cells of a grid: recipes, which never change, and pictures, which land one by one."""

from __future__ import annotations

import itertools
import mimetypes
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ...models.catalogue import find_by_file
from ...models.resolve import find
from ...pictures import HASH
from ...recipe.request import FIELDS, SPECS, Request, list_inputs
from ...results.code import REQUIRED, find_keeper, read_requests, restore_request, write_arguments
from ...results.frame import (
    column_values,
    find_foreign,
    find_varying,
    format_brief,
    format_value,
    hide_home,
    is_counter,
    is_neutral,
    join_words,
    row_tuples,
    shorten_pictures,
    to_plain,
)
from ...results.origins import name_foreign
from ...store.columns import COLUMNS
from ...store.infotext import write_infotext
from ...store.opinions import MARKS, RATINGS, check_opinion
from ...store.png import read_record
from ...store.store import Store
from ..arrivals import INSPECTED
from ..pictures import make_thumbnail

if TYPE_CHECKING:
    from ..inspector.kept import KeptSearches

HIDDEN = tuple(  # columns that the zoom does not list
    name for name, column in COLUMNS.items() if column.role in ("identity", "opinion")
)
SHORT = sorted(  # what a tip tells, the prompts first
    (name for name, spec in SPECS.items() if spec.hint and not spec.fold),
    key=lambda name: SPECS[name].kind != "prompt",
)
ORIGIN = "where from"  # what “Where from?” says of a found picture
LONGEST_NAME = 40  # letters of a prompt
HINT = "show the frame of run(requests, store)"
WAITING, THERE, FAILED, ABSENT = ".+x?"

openers = ThreadPoolExecutor(2, "sdlab thumbnails")


class Cells:
    """The rows of a frame, numbered from 0, and after them the variations that were asked for.

    Parameters
    ----------
    frame : DataFrame
        One row an image, as `run` returns it.
    now : callable, optional
        Gives the frame as it is now, for what is not in the first one yet.
    store : Store, optional
        Where the pictures are; found from their paths if it is not given.
    """

    def __init__(
        self,
        frame: pd.DataFrame,
        now: Callable[[], pd.DataFrame] | None = None,
        store: Store | None = None,
    ) -> None:
        self.frame, self._now, self._short = frame, now or (lambda: frame), shorten_pictures(frame)
        self.keys = column_values(frame, "key")
        self.names: list[str | None] = self.keys
        self._roots = set[Path]()
        if store is None:
            self._roots, self.names = find_keeper(frame)
        self.store = Store(*self._roots) if len(self._roots) == 1 else store
        self._noted = read_marks(frame)
        self.paths: list[Any] = column_values(frame, "path")
        self.errors: list[Any] = [
            error and hide_home(error) for error in column_values(frame, "error")
        ]
        self._kept: KeptSearches | None = None
        self.variations: list[Request] = []
        self.numbers: dict[Any, list[int]] = {}
        for i, key in enumerate(self.keys):
            self.numbers.setdefault(key, []).append(i)
        self.varying = find_varying(frame)
        names = dict.fromkeys((*self.varying, *SHORT))  # first what sets cells apart
        self._told = [name for name in names if name in frame]
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.keys)

    def states(self, running: bool) -> str:
        """Tells each cell by a letter: + there, x failed, . waiting or ? not rendered."""
        missing = WAITING if running else ABSENT
        return "".join(
            THERE if path is not None else FAILED if error is not None else missing
            for path, error in zip(self.paths[: len(self)], self.errors)
        )

    def require(self, i: int, most: int | None = None) -> int:
        """Gives the number of a cell, or an error that says which there are."""
        count = len(self.paths) if most is None else most
        if not 0 <= int(i) < count:
            raise IndexError(f"there is no picture {i}: they are numbered from 0 to {count - 1}")
        return int(i)

    def require_store(self, lack: str) -> Store:
        """Gives the one store of the pictures, or an error that says what there is not."""
        if self.store is not None:
            return self.store
        raise ValueError(
            f"these pictures are in {len(self._roots) or 'no'} store{'s' * bool(self._roots)}, so"
            f" there is {lack}; {HINT}"
        )

    def require_name(self, i: int) -> str:
        """Gives the name by which the store knows a row's picture."""
        name, store = self.names[self.require(i, len(self))], self.store
        if name is None or store is None:
            store = self.require_store("no place to keep stars and ratings")
            raise ValueError(
                f"row {i} has a picture that the store {store.root.name!r} does not keep, so a star"
                f" would belong to nothing; read_pictures(files, store={store.root.name!r}) keeps"
                " what was found elsewhere"
            )
        return name

    def list_marks(self) -> dict[int, dict[str, Any]]:
        """Lists {row: what was said of it}: by the store, or by the frame where none keeps it."""
        told = {} if self.store is None else self.store.opinions.marks()
        found = {
            i: self._noted.get(i) if self.store is None or name is None else told.get(name)
            for i, name in enumerate(self.names)
        }
        return {i: said for i, said in found.items() if said}

    def update(self) -> None:
        """Goes by the frame as it is now, with all that the job has found out."""
        self.frame = self._now()
        for i, (path, error) in enumerate(row_tuples(self.frame, ["path", "error"])):
            self.paths[i] = self.paths[i] if path is None else path
            self.errors[i] = self.errors[i] if error is None else hide_home(error)

    def note_picture(self, key: str) -> list[int]:
        """Takes note that the picture of that key is stored; gives the numbers of its cells."""
        for i in self.numbers.get(key, ()):
            self.paths[i] = str(self.store.path(key)) if self.store else None
        return self.numbers.get(key, [])

    def note_error(self, key: str, error: str) -> list[int]:
        """Takes note that the cell of that key failed; gives the numbers of its cells."""
        for i in self.numbers.get(key, ()):
            self.errors[i] = hide_home(error)
        return self.numbers.get(key, [])

    def add(self, requests: Sequence[Request]) -> int:
        """Makes room for variations, and gives the number of the first."""
        with self._lock:
            first = len(self.paths)
            self.variations += requests
            self.errors += [None] * len(requests)
            self.paths += [None] * len(requests)  # last: it says how many cells there are
            return first

    def find_request(self, i: int) -> Request:
        """Gives the recipe of a cell, or an error that says what is not known of it."""
        i = self.require(i)
        if i >= len(self):
            return self.variations[i - len(self)]
        row = self.frame.iloc[[i]]
        lacking = [name for name in REQUIRED if column_values(row, name)[0] is None]
        if not lacking:
            return read_requests(row)[0]
        with suppress(
            OSError, ValueError, TypeError
        ):  # the picture may say what the frame does not
            if record := read_record(self.paths[i]):
                return restore_request(record["request"])
        (file,) = name_foreign(row)
        hint = "its file says no more" if file else HINT
        lacking = [name for name in lacking if not file or SPECS[name].neutral is None]
        lack = f"{file or f'row {i}'} has no {join_words(lacking)}"
        raise ValueError(f"{lack}, so its recipe is not known; {hint}{describe_hidden(row)}")

    def lend_request(self, i: int) -> Request:
        """Gives the recipe of a cell, whose input pictures other stores can have from now on."""
        request = self.find_request(i)
        if i < len(self) and any(find_foreign(self.frame.iloc[[i]])):  # it names the model's file
            request = request.but(model=find_by_file(request.model))
        if self.store is not None:
            self.store.inputs.lend(list_inputs([request]))
        return request

    def describe(self, i: int) -> str:
        """Tells the recipe in short, a line for each field that says something."""
        if i >= len(self):
            return f"seed: {self.find_request(i).seed}"
        found = {name: to_plain(self._short[name].iloc[i]) for name in self._told}
        return "\n".join(
            f"{name}: {format_value(value)}"
            for name, value in found.items()
            if value is not None and not is_neutral(name, value)
        )

    def show_pictures(self, cells: Sequence[int], px: int) -> tuple[dict[str, Any], list[bytes]]:
        """Makes the message that shows these cells, and its buffers, the thumbnails there are."""
        told, buffers, px = [], [], max(32, min(px, 512))
        paths = [self.paths[self.require(i)] for i in cells]
        list(openers.map(cache_thumbnail, filter(None, paths), itertools.repeat(px)))
        for i in cells:
            cell: dict[str, Any] = {"i": i, "tip": self.describe(i), "picture": False}
            try:
                if self.paths[i] is not None:
                    buffers.append(make_thumbnail(self.paths[i], px))
                    cell["picture"] = True
                elif self.errors[i] is not None:
                    cell["error"] = format_value(self.errors[i])
            except OSError as error:
                cell["error"] = self.describe_problem(i, error)
            told.append(cell)
        return {"kind": "cells", "cells": told}, buffers

    def show_file(self, i: int) -> tuple[dict[str, Any], list[bytes]]:
        """Makes the message with a cell's own file, its recipe, and what is known about it.

        `lacks` says why there is no recipe, or no place for more pictures, or no model that makes
        them; "" if there is.
        """
        path, error, buffers, recipe = self.paths[self.require(i)], self.errors[i], [], {}
        lacks = {"recipe": "", "place": ""}
        try:
            recipe = self.find_request(i).to_dict()
            self.require_store("no place for more")
            require_model(recipe["model"])
        except (ValueError, TypeError) as lack:
            lacks["place" if recipe else "recipe"] = str(lack)
        if path is not None:
            try:
                buffers, error = [Path(path).read_bytes()], None
            except OSError as problem:
                error = self.describe_problem(i, problem)
        shown = {"error": error} if error is not None else {}
        shown |= self.recall_origin(i)
        shown |= self.leave_unsaid(i, recipe) | (self.list_measures(i) if i < len(self) else {})
        return (
            {
                "kind": "full",
                "cell": i,
                "name": name_file(Path(str(path)), recipe),
                "mime": mimetypes.guess_type(str(path))[0] or "image/png",
                "facts": [[name, format_value(value)] for name, value in shown.items()],
                "recipe": "",
                "code": "",
                "lacks": lacks,
                **(write_recipe(recipe, shown.get("inherited")) if recipe else {}),
            },
            buffers,
        )

    def leave_unsaid(self, i: int, recipe: dict[str, Any]) -> dict[str, Any]:
        """Leaves out of a found picture's recipe what means nothing: its file need not say it."""
        if i >= len(self) or not find_foreign(self.frame.iloc[[i]])[0]:
            return recipe
        return {name: value for name, value in recipe.items() if not is_neutral(name, value)}

    def recall_origin(self, i: int) -> dict[str, str]:
        """Recalls what “Where from?” of a workbench has found out about a found picture."""
        if i >= len(self) or self.store is None or self.paths[i] is None:
            return {}
        kept = self.store.root / f"{INSPECTED}.jsonl"
        if not kept.is_file() or not find_foreign(self.frame.iloc[[i]])[0]:
            return {}
        from ..inspector.earlier import recall_origin  # and the detector with it
        from ..inspector.kept import KeptSearches

        self._kept = self._kept or KeptSearches(kept.with_suffix(""))
        told = recall_origin(self.paths[i], self._kept)
        return {ORIGIN: told} if told else {}

    def describe_problem(self, i: int, problem: OSError) -> str:
        """Says why a cell's picture cannot be shown, and what brings back one that is gone."""
        path = Path(str(self.paths[i]))
        if not isinstance(problem, FileNotFoundError):
            return f"the picture cannot be read: {hide_home(problem)}"
        if self.store is not None and path.resolve().is_relative_to(self.store.root.resolve()):
            return f"the file {path.name} is gone: running the sweep again makes it"
        return f"the file {path.name} is gone from where it was found"

    def list_measures(self, i: int) -> dict[str, str]:
        """Tells what the columns beside the recipe say of a row, as people write it."""
        row = self._now().iloc[i]
        names = [n for n in row.index if n not in (*FIELDS, *HIDDEN) and not is_counter(n)]
        found = {name: to_plain(row[name]) for name in names}
        return {name: format_brief(value) for name, value in found.items() if value is not None}


def describe_hidden(row: pd.DataFrame) -> str:
    """Says which mark was found in a row's picture; "" if the frame knows of none."""
    mark = column_values(row, "watermark_found")[0]
    return f". The mark {mark} was found in its pixels" if mark else ""


def require_model(name: str) -> None:
    """Raises unless the model of a recipe can be found here, to render more with it."""
    try:
        find(name)
    except (ValueError, OSError):
        raise ValueError(
            f"the model {name} is not here, so other seeds cannot be rendered at once; “open in a"
            " form” lets you take another model"
        ) from None


def write_recipe(recipe: Mapping[str, Any], inherited: Any) -> dict[str, str]:
    """Writes a recipe as A1111 does, and as Python."""
    return {
        "recipe": write_infotext(recipe, "", inherited=inherited),
        "code": f"Request({write_arguments(recipe)})",
    }


def name_file(path: Path, recipe: Mapping[str, Any]) -> str:
    """Names the file that somebody saves: in words where the store names it by its key."""
    if not recipe or not HASH.fullmatch(path.stem):
        return path.name
    words = re.sub(r"\W+", "-", recipe.get("prompt", "")).strip("-")[:LONGEST_NAME]
    told = [words, f"seed-{recipe['seed']}" if "seed" in recipe else "", path.stem[:8]]
    return "-".join(filter(None, told)) + path.suffix


def read_marks(frame: pd.DataFrame) -> dict[int, dict[str, Any]]:
    """Reads {row: what was said of it} from a frame's own columns."""
    found: dict[int, dict[str, Any]] = {}
    for name in MARKS:
        for i, value in enumerate(column_values(frame, name)):
            if value and (tidy := fit_mark(name, value)) is not None:
                found.setdefault(i, {})[name] = tidy
    return found


def fit_mark(name: str, value: Any) -> Any:
    """Gives a mark as a store has it, of what a column says; None of what is no mark."""
    if name == "tags":
        return [tag for part in str(value).split(",") if (tag := part.strip())]
    value = int(value) if name == "rating" and value in RATINGS else value
    with suppress(ValueError):
        return check_opinion({"key": "", name: value})[name]
    return None


def cache_thumbnail(path: str, px: int) -> None:
    """Puts a thumbnail into the cache; whoever fetches it hears of an error."""
    with suppress(OSError):
        make_thumbnail(path, px)
