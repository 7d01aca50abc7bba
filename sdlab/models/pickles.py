"""Checkpoints that are pickles, read without running what they contain."""

from __future__ import annotations

import pickle
import re
import textwrap
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Inert:
    """Stands in a pickle for a class of its trainer: it takes everything and does nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass


class Parameters(dict):
    """Stands in a pickle for torch's ParameterDict, and keeps its tensors by name."""

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.update(state["_parameters"])


@contextmanager
def admit_harmless() -> Iterator[None]:
    """Lets `torch.load(weights_only=True)` meet what published checkpoints hold beside tensors.

    These are, in those of Stable Diffusion v1, NumPy numbers, and Lightning's ModelCheckpoint as a
    key of its notes, and in textual inversions of 2022 torch's ParameterDict; for these two,
    classes stand in that do no more than hold what they are given.
    """
    import numpy as np
    import torch

    scalar: Any = np.float64().__reduce__()[0]  # what pickles call to make such a number
    with torch.serialization.safe_globals(
        [
            (Inert, "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint"),
            (Parameters, "torch.nn.modules.container.ParameterDict"),
            (scalar, "numpy.core.multiarray.scalar"),  # as before NumPy 2
            scalar,
            np.dtype,
            *(type(np.dtype(kind)) for kind in ("f8", "f4", "i8")),
        ]
    ):
        yield


def read_tensors(path: Path) -> dict[str, Any]:
    """Reads the tensors of a pickled checkpoint, by name; raises as `read_pickle` does.

    They are left in the file until they are used. Those of a list are named by their numbers.
    """
    import torch

    found = read_pickle(path)
    while isinstance(found, Mapping) and "state_dict" in found:
        found = found["state_dict"]
    if isinstance(found, list):
        found = dict(enumerate(found))
    if not isinstance(found, Mapping):
        raise ValueError(f"{path} holds a {type(found).__name__} and no tensors by name")
    return {str(name): tensor for name, tensor in found.items() if torch.is_tensor(tensor)}


def read_pickle(path: Path) -> Any:
    """Reads whatever a pickled checkpoint holds, and runs nothing of it.

    Raises
    ------
    ValueError
        It wants to call something else than the above, which is named and was not called; or it is
        damaged.
    """
    import torch

    try:
        with admit_harmless():
            return torch.load(
                str(path), map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
            )
    except pickle.UnpicklingError as error:
        raise ValueError(explain_refusal(path, str(error))) from None
    except Exception as error:  # torch has many ways to say that a file ends too early
        raise ValueError(
            f"{path} is not readable as a checkpoint: is it complete?"
            f" ({shorten_advice(str(error))})"
        ) from None


def shorten_advice(error: str) -> str:
    """Shortens torch's long advice to its beginning, in whole words."""
    return textwrap.shorten(error, 150, placeholder=" …")


def explain_refusal(path: Path, error: str) -> str:
    """Says why a pickle that wants more than tensors is refused."""
    wanted = list_unknown_names(path) or re.findall(r"GLOBAL (\S+)", error)
    if not wanted:
        return (
            f"{path} is not readable as a checkpoint: is it complete, and one of PyTorch's?"
            f" ({shorten_advice(error)})"
        )
    return (
        f"{path} is a pickle that asks for {', '.join(sorted(set(wanted)))}, which could run any"
        " code; nothing of it was run. Take the model as .safetensors, from a source you trust"
    )


def list_unknown_names(path: Path) -> list[str]:
    """Lists the names that a pickle in PyTorch's zip format asks for and does not get."""
    import torch

    if not zipfile.is_zipfile(path):
        return []
    try:
        with admit_harmless():
            return torch.serialization.get_unsafe_globals_in_checkpoint(str(path))
    except Exception:  # whatever a hostile or damaged file does to the reader: the refusal stands
        return []
