"""How a run is done: the options of `run` and `Job`, checked in one place."""

from __future__ import annotations

import os
import shutil
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral

from ..errors import caller_level
from ..models.memory import LEVELS, read_limit

rendering = threading.Lock()  # one pipeline is loaded at a time, so one job renders at a time
DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True, kw_only=True)
class Options:
    """The checked options of a run; `sdlab.run` says what each of them does.

    Raises
    ------
    ValueError
        One of them is something else than it can be, or the device is not here.
    """

    batch_size: int | None = None
    device: str | Sequence[str] | None = None
    dtype: str | None = None
    memory: str = "auto"
    compile: str | bool = "auto"
    keep_latents: bool = True
    on_error: str = "record"
    elsewhere: bool = False  # workers compute, and each checks what it can

    def __post_init__(self) -> None:
        require_choice("on_error", self.on_error, ("record", "raise"))
        size = self.batch_size  # NumPy's, too, as it stands in a frame
        if size is not None and (
            not isinstance(size, Integral) or isinstance(size, bool) or size < 1
        ):
            raise ValueError(f"batch_size={size!r}: use a whole number from 1")
        object.__setattr__(self, "batch_size", None if size is None else int(size))
        require_choice("dtype", self.dtype, (None, *DTYPES))
        if not (isinstance(self.memory, str) and read_limit(self.memory)):
            require_choice("memory", self.memory, tuple(LEVELS), ", or at most so much, as '4GB'")
        if not isinstance(self.compile, bool) and self.compile != "auto":
            raise ValueError(f"compile={self.compile!r}: use 'auto', True or False")
        if self.compile is True and not self.elsewhere:
            require_compiler(self.main_device)
        if not isinstance(self.keep_latents, bool):
            raise ValueError(f"keep_latents={self.keep_latents!r}: use True or False")
        if self.device is not None and not self.devices:
            raise ValueError(f"device={self.device!r}: give at least one, or leave it out")
        for device in self.devices if not self.elsewhere else ():
            require_device(device)
        if self.dtype == "float16" and not self.elsewhere:
            warn_of_float16(self.main_device)

    @property
    def devices(self) -> list[str]:
        """The devices asked for: none, one, or one for each worker on this machine."""
        if isinstance(self.device, (list, tuple)):
            return list(self.device)
        return [] if self.device is None else [self.device]  # type: ignore[list-item]

    @property
    def main_device(self) -> str | None:
        """The only device, or the first."""
        return next(iter(self.devices), None)


def require_choice(name: str, given: object, choices: Sequence[str | None], more: str = "") -> None:
    """Refuses what is none of the choices; None, where it is one, is the default."""
    if not (given is None or isinstance(given, str)) or given not in choices:
        known = ", ".join(repr(choice) for choice in choices if choice is not None)
        raise ValueError(f"{name}={given!r}: use {' or '.join(known.rsplit(', ', 1))}{more}")


def require_device(device: str) -> None:
    """Refuses a device that is not here, before a model is loaded for it."""
    import torch

    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not there.get(str(device).split(":")[0]):
        here = " or ".join(repr(name) for name, found in there.items() if found)
        nothing = "" if here != "'cpu'" else " (torch finds no other device)"
        raise ValueError(f"device={device!r} is not here; use {here}{nothing}, or leave it out")
    kind, _, number = str(device).partition(":")
    count = torch.cuda.device_count()
    if kind == "cuda" and number and not (number.isdecimal() and int(number) < count):
        cards = " or ".join(f"'cuda:{n}'" for n in range(count))
        raise ValueError(f"device={device!r} is not here; use {cards}, or leave it out")


def require_compiler(device: str | None) -> None:
    """Refuses to compile for a processor without a C++ compiler, which torch would miss later."""
    from ..models.pipeline import device_here

    names = [os.environ.get("CXX", ""), "g++", "clang++", "cl"]
    if (device or device_here()) == "cpu" and not any(map(shutil.which, filter(None, names))):
        raise ValueError(
            "compile=True: torch compiles for a processor with a C++ compiler, and none is here"
            f" ({', '.join(filter(None, names))}); install one, or leave compile out"
        )


def warn_of_float16(device: str | None) -> None:
    """Warns of a processor on which float16 is slow; one took 9 times as long as for float32."""
    from ..models.machine import dtype_here
    from ..models.pipeline import device_here

    if (device or device_here()) == "cpu" and (native := dtype_here("cpu")) != "float16":
        warnings.warn(
            "dtype='float16': on this processor another format takes less time; its fastest is"
            f" dtype={native!r}, the default",
            RuntimeWarning,
            stacklevel=caller_level(),
        )
