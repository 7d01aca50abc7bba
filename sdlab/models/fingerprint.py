"""The fingerprint of weights: 32 digits of their content, wherever they lie."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from .catalogue import Model
from .checkpoint import MERGES, has_packed_tokenizer
from .configuration import read_json

CACHE = (
    Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sdlab" / "fingerprints.json"
)
LARGE = 100_000_000  # bytes; fingerprints of more are remembered between sessions


def fingerprint_model(model: Model) -> str:
    """Computes 32 hexadecimal digits over the weights, configurations and tokenizer files.

    A single file counts with its configuration. The same weights as a folder and as a file have
    different fingerprints, so they make different recipes: which bits of a large file are whose is
    known only after it has been converted.
    """
    config = model.configuration
    files = {file.relative_to(config).as_posix(): file for file in list_files(config)}
    if model.place.is_file():
        files = {
            name: file
            for name, file in files.items()
            if file.suffix in {".json", ".txt"} or name.startswith("depth_estimator/")
        }  # which no single file has
        files["checkpoint"] = model.place
        if has_packed_tokenizer(config):
            files["merges"] = MERGES
    return fingerprint_files(files)


def list_files(folder: Path) -> list[Path]:
    """Lists the files that make the pictures: those of the parts that model_index.json names."""
    return sorted(
        file
        for name, value in read_json(folder / "model_index.json").items()
        if isinstance(value, list) and value[0] is not None
        for file in (folder / name).rglob("*")
        if file.suffix in {".safetensors", ".bin", ".json", ".txt"}
    )


def fingerprint_files(files: dict[str, Path]) -> str:
    """Computes 32 hexadecimal digits over the content of files, and the names given to them."""
    stats = ((name, str(file), file.stat()) for name, file in files.items())
    return _hash(tuple((name, path, stat.st_size, stat.st_mtime_ns) for name, path, stat in stats))


@functools.lru_cache(64)
def _hash(files: tuple[tuple[str, str, int, int], ...]) -> str:
    """Hashes files given as (name, path, size, time of the last change)."""
    if not files:
        raise FileNotFoundError(
            "the model's folder holds no weights; is it complete, and in diffusers' layout?"
        )
    large = sum(size for _, _, size, _ in files) > LARGE
    signature = hashlib.sha256(repr(files).encode()).hexdigest()
    known = read_cache(CACHE) if large else {}
    if signature not in known:
        total = hashlib.sha256()
        for name, path, size, _ in files:
            total.update(f"{name} {size}\n".encode())
            with open(path, "rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
        known[signature] = total.hexdigest()[:32]
        if large:
            write_cache(CACHE, known)
    return known[signature]


def read_cache(file: Path) -> dict[str, Any]:
    """Reads what earlier sessions have kept in a file."""
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_cache(file: Path, known: dict[str, Any]) -> None:
    """Keeps something for the next session; where that cannot be, it is computed again."""
    partial = file.with_suffix(f".{os.getpid()}")
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(known))
        partial.replace(file)
