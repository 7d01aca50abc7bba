"""What a file of weights holds, from its head: the names and shapes of its tensors."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .pickles import read_tensors

PICKLES = (".bin", ".ckpt", ".pt", ".pth")
Shapes = dict[str, tuple[int, ...]]


def remember_file(read: Callable[..., Any]) -> Callable[..., Any]:
    """Lets a reader, called with a path first, read a file once, and again after it has changed."""

    @functools.lru_cache(64)
    def read_once(size: int, changed: int, path: Path, *more: Any) -> Any:
        return read(path, *more)

    @functools.wraps(read)
    def read_now(path: Path, *more: Any) -> Any:
        found = path.stat()
        return read_once(found.st_size, found.st_mtime_ns, path, *more)

    return read_now


@remember_file
def read_shapes(path: Path) -> Shapes:
    """Reads the shape of every tensor in a .safetensors file or a pickle, and no weights.

    Raises
    ------
    ValueError
        It is neither, not complete, a pointer of git-lfs, or a pickle that wants to run something.
    """
    from safetensors import SafetensorError, safe_open

    with path.open("rb") as file:
        if file.read(20).startswith(b"version https://git"):
            raise ValueError(
                f"{path} is not the model but the small pointer that git leaves in place of a large"
                " file; `git lfs pull` fetches it"
            )
    if path.suffix.lower() in PICKLES:
        return {name: tuple(tensor.shape) for name, tensor in read_tensors(path).items()}
    try:
        with safe_open(path, "np") as head:  # "pt" would load torch
            names = head.keys()
            return {name: tuple(head.get_slice(name).get_shape()) for name in names}
    except SafetensorError as error:
        raise ValueError(
            f"{path} is not readable as safetensors: is it complete? It has"
            f" {path.stat().st_size:,} bytes ({error}); fetch it again"
        ) from None


@remember_file
def read_number_format(path: Path) -> str:
    """Reads the number format of most tensors in a .safetensors file, such as "F16"."""
    from safetensors import safe_open

    with safe_open(path, "np") as head:
        names = head.keys()
        found = Counter(head.get_slice(name).get_dtype() for name in names)
    return found.most_common(1)[0][0] if found else ""
