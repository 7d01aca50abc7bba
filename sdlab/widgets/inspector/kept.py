"""What tests have found, kept in a file beside the dropped pictures, for the next time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ...watermark.inspection import Finding, Inspection, Official
from ...watermark.payloads import Payload, Way
from ...watermark.places import Geometry
from ...watermark.provenance import read_provenance
from ...watermark.reading import Reading

FRESH = "provenance"  # the file itself tells it, and may be read better next time


class KeptSearches:
    """What tests have found and comparisons shown, a line each of a file; the last word counts.

    Parameters
    ----------
    folder : Path
        Of the dropped pictures. FOLDER.jsonl is written beside it, where it has a place.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder.with_name(f"{folder.name}.jsonl")
        self._read: tuple[Any, dict[str, Any]] = None, {}  # (the file's stamp, what it says)

    def recall(self, name: tuple | None, path: str, asked: Mapping[str, Any]) -> Inspection | None:
        """Gives what a test of that content has found, with what its file says now."""
        if name is None or (told := self._lines().get(hash_name(name))) is None:
            return None
        try:
            told = told | {FRESH: read_provenance(path, trust_anchors=asked["trust_anchors"])}
            return unpack_inspection(told, asked["payloads"])
        except (TypeError, ValueError, KeyError, OSError):  # of another version: it is tested anew
            return None

    def keep(self, name: tuple | None, found: Inspection) -> None:
        """Writes what a test has found, if there is a place for it."""
        if name is not None and not found.unread:
            self._write(hash_name(name), pack_value(found))

    def recall_beside(self, name: tuple | None) -> tuple[str, bool]:
        """Gives what was seen when a file of that content was set beside another, "" if nothing.

        And whether its own recipe gave the very same pixels.
        """
        told = {} if name is None else self._lines().get(f"beside {name[0]}")
        if not isinstance(told, dict):  # nothing, or of another version
            return "", False
        return str(told.get("seen", "")), bool(told.get("repeated"))

    def keep_beside(self, name: tuple | None, seen: str, repeated: bool) -> None:
        """Writes what was seen, whatever the version, for no detector has part in it."""
        if name is not None:
            self._write(f"beside {name[0]}", {"seen": seen, "repeated": repeated})

    def _write(self, name: str, found: Any) -> None:
        """Adds a line, if there is a place for it: what is found is shown all the same."""
        if not self.file.parent.is_dir():
            return
        known = self._lines()
        with suppress(OSError), self.file.open("ab") as file:
            line = json.dumps({"picture": name, "found": found}).encode()
            before = file.tell()
            file.write(b"\n" * bool(before) + line)
            file.flush()
            stamp = self._read[0]
            if before == (stamp[1] if stamp else 0):  # nobody else wrote: it need not be read anew
                self._read = read_stamp(self.file), known | {name: json.loads(line)["found"]}

    def _lines(self) -> dict[str, Any]:
        """Reads what is kept, anew only if the file has changed; one that is torn is left out."""
        try:
            stamp = read_stamp(self.file)
            if stamp != self._read[0]:
                found: dict[str, Any] = {}
                for line in self.file.read_bytes().split(b"\n"):
                    with suppress(ValueError, TypeError, KeyError):
                        said = json.loads(line)
                        found[said["picture"]] = said["found"]
                self._read = stamp, found
        except OSError:
            return {}
        return self._read[1]


def read_stamp(file: Path) -> tuple[int, int, int]:
    """Reads what changes when a file does."""
    now = file.stat()
    return now.st_ino, now.st_size, now.st_mtime_ns


def hash_name(name: tuple) -> str:
    """Names in short what was looked for in which file, and by which detector: sdlab's version."""
    return hashlib.sha256(repr((version("sdlab"), *name)).encode()).hexdigest()


def pack_value(value: Any) -> Any:
    """Packs what was found as JSON can have it: bits as text, all but what the file itself says."""
    if isinstance(value, np.ndarray):
        return "".join(str(int(bit)) for bit in value)
    if isinstance(value, tuple):
        return [pack_value(each) for each in value]
    if is_dataclass(value):
        names = [field.name for field in fields(value) if field.name != FRESH]
        return {name: pack_value(getattr(value, name)) for name in names}
    return value.item() if isinstance(value, np.generic) else value


def unpack_inspection(told: Mapping[str, Any], payloads: Mapping[str, Payload]) -> Inspection:
    """Makes the inspection that was packed; payloads that are known are the very same."""
    findings = tuple(unpack_finding(each, payloads) for each in told["findings"])
    reading = told["reading"]
    if reading is not None:
        bits, way = unpack_bits(reading["bits"]), Way(*reading["way"])
        reading = Reading(**{**reading, "bits": bits, "way": way})
    size = tuple(told["size"])
    return Inspection(**{**told, "findings": findings, "size": size, "reading": reading})


def unpack_finding(told: Mapping[str, Any], payloads: Mapping[str, Payload]) -> Finding:
    """Makes the verdict on one payload that was packed."""
    places: dict[str, Any] = told["geometry"]
    if told["detected"] and places["cut"] and "page" not in places:
        raise KeyError("page")  # kept before pages were told from cuts: it is tested anew
    geometry: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in places.items()
    }
    official = told["official"]
    if official is not None:
        official = Official(**{**official, "bits": unpack_bits(official["bits"])})
    like = None if told["like"] is None else unpack_payload(told["like"], payloads)
    payload, place = unpack_payload(told["payload"], payloads), Geometry(**geometry)
    both = {"payload": payload, "geometry": place, "official": official, "like": like}
    return Finding(**{**told, **both})


def unpack_payload(told: Mapping[str, Any], payloads: Mapping[str, Payload]) -> Payload:
    """Gives the payload that was looked for, or makes the one that was read."""
    bits, known = unpack_bits(told["bits"]), payloads.get(told["name"])
    if known is not None and np.array_equal(known.bits, bits):
        return known
    return Payload(**{**told, "bits": bits.astype(np.uint8)})


def unpack_bits(text: str) -> np.ndarray:
    """Reads bits that were written as text."""
    return np.array([bit == "1" for bit in text], bool)
