"""What a worker of a Dask cluster does: it checks that it can, and renders a task in whole batches.

A task is cells of one group. It is computed by the same `Lanes` as without a cluster, so that the
bits are the same; only the pictures go elsewhere than into a store: back to whoever asked, as the
bytes of their files, or, where the store's folder is shared, into that folder.
"""

from __future__ import annotations

import ctypes
import dataclasses
import functools
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from distributed import Event as Signal
from distributed import get_client, get_worker
from PIL import Image

from ..models.machine import dtype_for, lanes_here
from ..models.memory import has_own_memory
from ..models.pipeline import device_here, machine_facts
from ..models.resolve import choose_weights, native, swap_parts
from ..pictures import Picture, webp_bytes
from ..progress import Event, Listeners, Progress
from ..recipe.request import Recipe, Request
from ..store.files import write_whole
from ..store.store import PICTURE, Store, pack_picture
from .batches import Lanes
from .denoise import Cancelled
from .latents import Made
from .options import Options, rendering, require_compiler, require_device
from .plan import SWAPPED, Plan

DEVICE = "SDLAB_DEVICE"  # of a worker's process, where a machine has several
VERSIONS = ("sdlab", "torch", "diffusers", "transformers")
PARTS = ("model", *SWAPPED, "weights")
MALLOC = (-3, 32 << 20), (-1, 64 << 20)  # glibc's M_MMAP_THRESHOLD and M_TRIM_THRESHOLD, in bytes
PACE = 0.5  # seconds between two words of how far a task is


@dataclass(frozen=True)
class Needs:
    """What a plan needs of a worker's machine.

    Parameters
    ----------
    job : str
        Its name, which no other has.
    versions : tuple of (str, str)
        {package: version}
    parts : tuple of tuples
        The models with the parts in place of theirs: values of `PARTS`.
    device : str or None
        Such as "cuda"; None is the worker's own choice.
    dtype : str or None
    compile : bool
        Whether it has to be able to.
    beacon : str or None
        A file that a worker sees if it shares the store's folder; None where it need not.
    """

    job: str
    versions: tuple[tuple[str, str], ...]
    parts: tuple[tuple[Any, ...], ...]
    device: str | None
    dtype: str | None
    compile: bool
    beacon: str | None


@dataclass(frozen=True)
class Fitness:
    """What came of checking a worker.

    Parameters
    ----------
    misfit : str
        Why it cannot render the plan; "" if it can.
    on_card : bool
    lanes : dict
        {model: (batches at a time, threads of each)}
    """

    misfit: str
    on_card: bool = False
    lanes: Mapping[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """Cells of one group, and all that it takes to render them.

    Parameters
    ----------
    name : str
    needs : Needs
    cells : list of dict
        The fields of their recipes.
    alike : dict
        {key: cells of the plan that can share a batch with it; on a processor no more than it is
        given at a time}
    options : Options
    inputs : dict
        {name: PNG} of input pictures.
    made : dict
        Latents that are known, as `Latents` takes them.
    root : str or None
        The images' folder, if the worker writes pictures itself.
    watched : bool
        Whether anybody wants sketches.
    """

    name: str
    needs: Needs
    cells: list[dict[str, Any]]
    alike: dict[str, int]
    options: Options
    inputs: dict[str, bytes]
    made: dict[str, Made]
    root: str | None
    watched: bool


@dataclass(frozen=True)
class Outcome:
    """What became of a task: {key: a picture's file, None if written}, {key: error}."""

    pictures: dict[str, bytes | None] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    misfit: str = ""
    batch_size: int = 0


class Outbox(Store):
    """Stands in the place of a store: what is saved goes back, or into the images' folder."""

    def __init__(self, root: str | None) -> None:
        self.images, self.writes = Path(root or "nowhere"), root is not None
        self.root = self.images.parent
        self.pictures: dict[str, bytes | None] = {}
        self.batch_size = 0

    def find_finished(self, keys: Iterable[str]) -> set[str]:
        """Finds what a worker that died in this task has written into the shared folder.

        Whoever sent the task knows the rest.
        """
        written = {row[0] for row in self._read(keys)} if self.writes else set()
        self.pictures.update(dict.fromkeys(written))
        return written

    def save(
        self,
        recipe: Recipe,
        image: Image.Image,
        facts: Mapping[str, Any],
        *,
        latents: bytes | None = None,
        hashes: Mapping[str, str] | None = None,
    ) -> Path:
        """Packs a finished picture, and writes it if the folder is shared."""
        data = pack_picture(recipe, image, facts, latents=latents, hashes=hashes)
        path = self.path(recipe.key)
        if self.writes:
            with self._advise(*PICTURE):
                write_whole(path, data)
        self.batch_size = max(self.batch_size, facts["batch_size"])
        self.pictures[recipe.key] = None if self.writes else data
        return path


# Whether it can


def list_versions() -> tuple[tuple[str, str], ...]:
    """Lists the versions that count, without what says for which processor torch was built."""
    facts = machine_facts()
    return tuple((name, facts[f"{name}_version"].partition("+")[0]) for name in VERSIONS)


def check_worker(needs: Needs) -> Fitness:
    """Checks this worker, and finds out how many cells it computes at a time."""
    if misfit := describe_misfit(needs):
        return Fitness(misfit)
    device, lanes = choose_device(needs), {}
    use_cores()
    for model in {parts[0] for parts in needs.parts}:
        layout = native(str(model)).layout
        dtype = needs.dtype or dtype_for(device, layout)  # as it is loaded
        lanes[str(model)] = lanes_here(device, layout.channels, dtype)
    return Fitness("", has_own_memory(device), lanes)


@functools.lru_cache(16)
def describe_misfit(needs: Needs) -> str:
    """Says what this machine lacks, or has otherwise; "" if nothing."""
    both = zip(needs.versions, list_versions())
    other = [f"{name} {own} instead of {wanted}" for (name, wanted), (_, own) in both]
    other = [said for said in other if said.split()[1] != said.split()[-1]]
    if other:
        return f"it has {', '.join(other)}; install the same versions there"
    try:
        require_device(choose_device(needs))
        if needs.compile:
            require_compiler(choose_device(needs))
        for parts in needs.parts:
            request = Request(**dict(zip(PARTS, parts)))
            choose_weights(request, swap_parts(native(request.model), request))
    except Exception as error:  # whatever it is, it would end each task
        return str(error)
    if needs.beacon is not None and not os.path.exists(needs.beacon):
        return (
            f"it does not see the store's folder {os.path.dirname(needs.beacon)}; share it under"
            " that path, or leave out shared=True"
        )
    return ""


def choose_device(needs: Needs) -> str:
    """Chooses the device: that of the run, that of this process, or the fastest here."""
    own = os.environ.get(DEVICE)
    if own and needs.device in (None, own, own.partition(":")[0]):
        return own  # "cuda" is any card, and this process has its own
    return needs.device or device_here()


def use_cores() -> None:
    """Has torch use as many processor cores as Dask was told that this worker has, and memory well.

    Dask has its workers give back memory from 64 kB on; torch asks for it anew in each layer, which
    made a UNet on a processor take 1.7 times as long. Here it is kept, as the C library does.
    """
    threads = get_worker().state.nthreads
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
    if "MALLOC_TRIM_THRESHOLD_" in os.environ:
        with suppress(AttributeError, OSError, TypeError):  # another system's library
            for option, size in MALLOC:
                ctypes.CDLL(None).mallopt(option, size)


# What it does


def render_task(task: Task) -> Outcome:
    """Renders the cells of a task, one task at a time in a process."""
    if misfit := describe_misfit(task.needs):  # it came later, or stood in for another
        return Outcome(misfit=misfit)
    stop, outbox, errors = threading.Event(), Outbox(task.root), dict[str, str]()
    with hear_stop(task.needs.job, stop), rendering:
        if not stop.is_set():
            use_cores()
            render_cells(task, outbox, errors, stop)
    return Outcome(outbox.pictures, errors, batch_size=outbox.batch_size)


def render_cells(task: Task, outbox: Outbox, errors: dict[str, str], stop: threading.Event) -> None:
    """Renders cells into an outbox, as far as nobody stops it."""
    lent = [Picture(name, data) for name, data in task.inputs.items()]  # known as long as it lasts
    cells = [Recipe(**fields) for fields in task.cells]
    natives = {name: native(name) for name in dict.fromkeys(cell.model for cell in cells)}
    progress, listeners = Progress(len(cells), len(cells)), Listeners()
    if task.watched:
        listeners.add(functools.partial(tell_sketch, task, get_worker()))
    device = choose_device(task.needs)
    lanes = Lanes(
        outbox,
        progress,
        tell_progress(task, progress),
        stop,
        options=dataclasses.replace(task.options, device=device),
        errors=errors,
        listeners=listeners,
    )
    with suppress(Cancelled):
        lanes.render(Plan(cells, [cells], task.alike, natives, {}), task.made)
    del lent


@contextmanager
def hear_stop(job: str, stop: threading.Event) -> Iterator[None]:
    """Sets `stop` once the job's signal is given, as long as this context lasts."""
    signal, over = Signal(job, client=get_client()), threading.Event()

    def listen() -> None:
        with suppress(Exception):  # a scheduler that is gone ends the worker, too
            while not over.is_set():
                if signal.wait("1s"):
                    stop.set()
                    return

    if signal.is_set():
        stop.set()
    else:
        threading.Thread(target=listen, name="sdlab stop", daemon=True).start()
    try:
        yield
    finally:
        over.set()


def tell_progress(task: Task, progress: Progress) -> Callable[[], None]:
    """Makes what tells now and then how many cells' worth of steps is done."""
    worker, last = get_worker(), 0.0

    def tell() -> None:
        nonlocal last
        if (now := time.monotonic()) - last > PACE:
            last = now
            said = {"task": task.name, "worker": worker.address}
            done = progress.fraction * len(task.cells)
            worker.log_event(task.needs.job, {**said, "done": done})

    tell()  # that it begins
    return tell


def tell_sketch(task: Task, worker: Any, event: Event) -> None:
    """Tells what a cell at work looks like."""
    if event.kind == "sketch" and event.image is not None:
        said = {"key": event.key, "image": webp_bytes(event.image, max(event.image.size))}
        worker.log_event(task.needs.job, said)
