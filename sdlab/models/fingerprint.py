"""The fingerprint of weights: 32 digits of the content that decides pictures, wherever it lies.

Counted are the files that are read, and of configurations all but the notes of the programs that
wrote them: what else lies in a folder, or which version of a library saved it, changes nothing.
Earlier versions of sdlab counted more, so in their stores models have other fingerprints. Those
are recognised: `list_former` computes them.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from .checkpoint import CONFIGS, MERGES, has_packed_tokenizer
from .configuration import read_json
from .locate import find_weights
from .model import Model
from .tasks import is_xl

CACHE = (
    Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sdlab" / "fingerprints.json"
)
LARGE = 100_000_000  # bytes; the hashes of larger files are remembered between sessions
INDEX = "model_index.json"  # which says of SDXL what becomes of an empty negative prompt
CONFIGURATIONS = ("config.json", "scheduler_config.json", "preprocessor_config.json", INDEX)
TOKENIZERS = (
    *("added_tokens.json", "merges.txt", "special_tokens_map.json"),
    *("tokenizer.json", "tokenizer_config.json", "vocab.json"),
)
OF_CALLS = (  # what a pipeline of diffusers' own reads besides
    *("spiece.model", "tokenizer.model", "sentencepiece.bpe.model"),
    *("processor_config.json", "chat_template.json", "chat_template.jinja", "vocab.txt"),
)
# Every configuration counts as if these had saved it: the models that come with sdlab are so.
SAVED_BY = {"_class_name": ("_diffusers_version", "0.42.1")}
SAVED_BY |= {"model_type": ("transformers_version", "5.23.0")}
Files = dict[str, Path]  # by names that do not tell the place


def fingerprint_model(model: Model) -> str:
    """Computes 32 hexadecimal digits over the weights, configurations and tokenizer files.

    A single file counts with its configuration. The same weights as a folder and as a file have
    different fingerprints, so they make different recipes: which bits of a large file are whose is
    known only after it has been converted.
    """
    more = OF_CALLS if model.layout.call else ()
    return fingerprint_files(gather_files(model, list_read(model.configuration, more)))


def list_former(model: Model) -> list[str]:
    """Lists the fingerprints that earlier versions gave a model, or would have without more files.

    They counted every byte of a configuration, and all files in the folders of parts.
    """
    if model.layout.call:
        return []
    config = model.configuration
    named = [gather_files(model, list_files(config)), gather_files(model, list_read(config))]
    return list(dict.fromkeys(fingerprint_files(files, as_saved=True) for files in named))


def gather_files(model: Model, found: list[Path]) -> Files:
    """Gathers the files that count, of those in the model's folder or beside its single file."""
    config = model.configuration
    files = {file.relative_to(config).as_posix(): file for file in found}
    if model.place.is_file():
        files = {
            name: file
            for name, file in files.items()
            if file.suffix in {".json", ".txt"} or name.startswith("depth_estimator/")
        }  # which no single file has
        files["checkpoint"] = model.place
        if has_packed_tokenizer(config):
            files["merges"] = MERGES
    return files


def list_parts(folder: Path) -> list[Path]:
    """Lists the folders of the parts that model_index.json names."""
    index = read_json(folder / "model_index.json").items()
    return [folder / name for name, each in index if isinstance(each, list) and each[0] is not None]


def list_read(folder: Path, more: tuple[str, ...] = ()) -> list[Path]:
    """Lists the files of a model's folder that are read; `more` are names of others that count."""
    names = (*CONFIGURATIONS, *TOKENIZERS, *more)
    root = more or is_xl(read_json(folder / INDEX).get("_class_name", ""))
    return sorted(
        file
        for part in (*list_parts(folder), *[folder] * bool(root))
        for file in (*(part / name for name in names), *find_weights(part))
        if file.is_file()
    )


def list_files(folder: Path) -> list[Path]:
    """Lists the files of a model's folder that earlier versions counted."""
    return sorted(
        file
        for part in list_parts(folder)
        for file in part.rglob("*")
        if file.suffix in {".safetensors", ".bin", ".json", ".txt"}
    )


def fingerprint_files(files: Files, *, as_saved: bool = False) -> str:
    """Computes 32 hexadecimal digits over the content of files, and the names given to them.

    Parameters
    ----------
    as_saved : bool
        Whether all bytes of configurations count, as in earlier versions.
    """
    if not files:
        raise FileNotFoundError(
            "the model's folder holds no weights; is it complete, and in diffusers' layout?"
        )
    total = hashlib.sha256()
    for name, path in files.items():
        stat = path.stat()
        whole = as_saved or path.name not in CONFIGURATIONS or path.is_relative_to(CONFIGS)
        size, digest = hash_content(str(path), stat.st_size, stat.st_mtime_ns, whole)
        total.update(f"{name} {size}\n".encode())
        total.update(bytes.fromhex(digest))
    return total.hexdigest()[:32]


@functools.lru_cache(1024)
def hash_content(path: str, size: int, changed: int, whole: bool) -> tuple[int, str]:
    """Hashes what counts of a file of that size and time of the last change.

    Returns
    -------
    size : int
        In bytes, of what counts.
    digest : str
        SHA-256, in hexadecimal digits.
    """
    if not whole:
        content = drop_notes(read_json(Path(path)))
        return len(content), hashlib.sha256(content).hexdigest()
    known = read_cache(CACHE) if size > LARGE else {}
    signature = hashlib.sha256(repr((path, size, changed)).encode()).hexdigest()
    if signature not in known:
        with open(path, "rb") as file:
            known[signature] = hashlib.file_digest(file, "sha256").hexdigest()
        if size > LARGE:
            write_cache(CACHE, known)
    return size, known[signature]


def drop_notes(stated: dict) -> bytes:
    """Writes a configuration as the libraries do, without notes of who saved it, when and where."""
    kept = {
        name: value
        for name, value in stated.items()
        if name == "_class_name" or not name.startswith(("_", "transformers_version"))
    }
    kept |= dict(note for kind, note in SAVED_BY.items() if kind in stated)
    return (json.dumps(kept, indent=2, sort_keys=True) + "\n").encode()


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
