"""Finished latents, kept in their pictures: another VAE or mark needs no new denoising."""

from __future__ import annotations

import os
import struct
import threading
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..models.resolve import key_of_latents, reads_input
from ..recipe.request import Recipe
from ..store.columns import DECIDING_BITS
from ..store.png import LATENTS, read_chunk, read_record
from ..store.store import Store
from .plan import Plan
from .renderer import Picture

SHAPE = struct.Struct(">3H")
Made = tuple[str, dict[str, Any], np.ndarray]  # whose, facts of the picture, (C, h, w)
NOTHING: Mapping[str, Made] = {}


def pack_latents(latents: np.ndarray) -> bytes:
    """Packs latents (C, h, w) as the content of a chunk.

    That is the shape, then all first bytes, all second ones... of float32, compressed. A
    picture of 512x512 grows by 11 %, one of 64x64 by half.
    """
    planes = np.ascontiguousarray(latents, "<f4").view(np.uint8).reshape(-1, 4).T
    return SHAPE.pack(*latents.shape) + zlib.compress(planes.tobytes())


def unpack_latents(data: bytes) -> np.ndarray:
    """Unpacks latents (C, h, w), float32, from the content of a chunk."""
    shape, planes = SHAPE.unpack_from(data), zlib.decompress(data[SHAPE.size :])
    return np.frombuffer(planes, np.uint8).reshape(4, -1).T.copy().view("<f4").reshape(shape)


def read_latents(path: str | os.PathLike[str]) -> np.ndarray | None:
    """Reads the latents (C, h, w), float32, that a picture carries; None without whole ones."""
    try:
        data = read_chunk(path, LATENTS)
        return None if data is None else unpack_latents(data)
    except (OSError, ValueError, struct.error, zlib.error):
        return None


class Latents:
    """The latents that are there already: in the store, or made earlier in the same run.

    Looked for in the store are the picture of the same recipe with the model's own VAE and no mark,
    and those of the plan. With `kept`, new pictures carry their latents. `made` are known from
    elsewhere: {name: (key of the picture whose they are, its facts, latents)}.
    """

    def __init__(
        self, plan: Plan, store: Store, *, kept: bool = True, made: Mapping[str, Made] = NOTHING
    ) -> None:
        self.store, self.kept, self.natives = store, kept, plan.natives
        cells = {cell.key: cell for cell in plan.cells}
        self.names: dict[str, str] = {}  # {cell: what its latents are called}
        self.sharing: dict[str, list[str]] = {}  # {name: cells that have such latents, or would}
        marked = any(cell.vae or cell.watermark for cell in cells.values())
        if marked or made:  # else no two can share
            for key, cell in cells.items():
                if name := key_of_latents(cell, plan.natives[cell.model]):
                    self.names[key] = name
                    self.sharing.setdefault(name, [name]).append(key)
        self.waiting = Counter(
            self.names.get(cell.key, "") for group in plan.groups for cell in group
        )
        self.made: dict[str, Made] = dict(made)
        self.chosen: dict[str, str] = {}  # {cell: whose latents it takes}
        self._lock = threading.Lock()

    def order_groups(self, groups: Iterable[list[Recipe]]) -> Iterator[list[Recipe]]:
        """Orders the cells of each group: those apart that share the latents of an earlier one.

        Apart are also those whose latents are there in batches of one size and of another.
        """
        for group in groups:
            firsts = self.find_firsts(group)
            for early in (True, False):
                parts: dict[int | None, list[Recipe]] = {}
                for cell in group:
                    if (cell.key in firsts) == early:
                        parts.setdefault(self.recall_size(cell), []).append(cell)
                yield from parts.values()

    def find_firsts(self, cells: Sequence[Recipe]) -> set[str]:
        """Finds the keys of those cells that share no latents with an earlier one."""
        return set({self.names.get(cell.key, cell.key): cell.key for cell in cells[::-1]}.values())

    def recall_size(self, cell: Recipe, **how: Any) -> int | None:
        """Recalls how many cells shared a batch when latents were made that the cell may take.

        `how` says what is computed with; latents that were made otherwise are not taken.
        """
        sizes = (
            facts.get("batch_size")
            for _, facts in self._list_sources(cell)
            if all(facts.get(name) == value for name, value in how.items())
        )
        return next(sizes, None)

    def choose(
        self, cells: Sequence[Recipe], facts: dict[str, Any]
    ) -> tuple[list[Recipe], list[Recipe]]:
        """Chooses (cells whose latents are there, as these facts make them; cells to denoise)."""
        self.chosen = {
            cell.key: whose for cell in cells if (whose := self._find_source(cell, facts))
        }
        return [cell for cell in cells if cell.key in self.chosen], [
            cell for cell in cells if cell.key not in self.chosen
        ]

    def find_stored(self, cells: Sequence[Recipe]) -> dict[str, Made]:
        """Finds latents of these cells in the store, whatever made them."""
        found: dict[str, Made] = {}
        for name in {self.names[cell.key] for cell in cells if cell.key in self.names}:
            for key in self.sharing[name]:
                path = self.store.path(key)
                if path.exists() and (latents := read_latents(path)) is not None:
                    found[name] = key, self.store.record(key)["facts"], latents
                    break
        return found

    def read_batch(self, batch: Sequence[Recipe]) -> list[np.ndarray] | None:
        """Reads the latents of a batch, if all of them are there."""
        found = [latents for cell in batch if (latents := self._read(cell)) is not None]
        return found if len(found) == len(batch) else None

    def keep(self, cell: Recipe, picture: Picture, facts: dict[str, Any]) -> bytes | None:
        """Keeps a finished cell's latents for those that share them; returns what its file carries.

        That is nothing for a cell whose latents are in another's file, or would not help (a VAE
        read its input picture), and for a picture that the safety checker refused.
        """
        name, new = self.names.get(cell.key, ""), facts.get("redecoded") is None
        with self._lock:  # several threads save pictures
            self.waiting[name] -= 1
            if name and self.waiting[name] > 0 and new:
                self.made[name] = cell.key, facts, picture.latents
            elif self.waiting[name] <= 0:
                self.made.pop(name, None)
        read = reads_input(cell, self.natives[cell.model])
        useful = self.kept and new and not read and not picture.nsfw
        return pack_latents(picture.latents) if useful else None

    def _find_source(self, cell: Recipe, facts: dict[str, Any]) -> str | None:
        """Finds the key of a picture, of this run or the store, with just the cell's latents."""
        for key, found in self._list_sources(cell):
            if all(found.get(name) == facts.get(name) for name in DECIDING_BITS):
                return key
        return None

    def _list_sources(self, cell: Recipe) -> Iterator[tuple[str, dict[str, Any]]]:
        """Lists pictures with such latents, of this run first, then of the store: (key, facts)."""
        name = self.names.get(cell.key)
        if name is None:
            return
        if name in self.made:
            yield self.made[name][:2]
        for key in self.sharing[name]:
            if key != cell.key and (facts := self._read_facts(key)) is not None:
                yield key, facts

    def _read_facts(self, key: str) -> dict[str, Any] | None:
        """Reads the facts of a stored picture that carries its latents."""
        path = self.store.path(key)
        try:
            record = read_record(path) if path.exists() else None
        except (OSError, ValueError):
            return None
        return record["facts"] if record and read_chunk(path, LATENTS) is not None else None

    def _read(self, cell: Recipe) -> np.ndarray | None:
        whose, made = self.chosen.get(cell.key), self.made.get(self.names.get(cell.key, ""))
        if made and made[0] == whose:
            return made[2]
        return read_latents(self.store.path(whose)) if whose else None
