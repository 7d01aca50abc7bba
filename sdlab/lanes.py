"""A plan is carried out: batches side by side in lanes, files written meanwhile, spoiled pictures rendered again."""
from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from queue import Queue
from typing import Any

import torch

from .events import Event, Listeners
from .models import Native
from .pipelines import load, machine_facts
from .planning import Cell, Plan
from .progress import Progress
from .render import Cancelled, Clean, OnStep, Picture, Renderer
from .request import Request
from .sketch import Sketches
from .store import Store

MOST_WAITING = 64  # pictures to be written; a slow disk holds the lanes back rather than fill the memory
Rendered = tuple[Cell, Picture, dict[str, Any]]  # with the facts to record


class GenerationError(RuntimeError):
    """A cell failed; `.request` is its recipe."""

    def __init__(self, message: str, request: Request) -> None:
        super().__init__(message)
        self.request = request


@dataclass
class Lanes:
    """What renders the cells of a plan into a store.

    A narrow UNet is rendered in as many lanes as there are cores, each a thread that computes whole batches on one core;
    a wide one, or one on a GPU, in a single lane.

    Parameters
    ----------
    store, progress : Store, Progress
        Filled, and kept up to date.
    show : callable
        Called after each step.
    stop : threading.Event
        Once set, every lane ends before its next step.
    batch_size, device, dtype, on_error
        As for `Job`.
    errors : dict
        {key: message} of the cells that failed.
    listeners : Listeners
        Told of what lands, of what fails, and now and then of what the cells at work look like.
    """

    store: Store
    progress: Progress
    show: Callable[[], None]
    stop: threading.Event
    batch_size: int | None = None
    device: str | None = None
    dtype: str | None = None
    on_error: str = "record"
    errors: dict[str, str] = field(default_factory=dict)
    listeners: Listeners = field(default_factory=Listeners)

    def __post_init__(self) -> None:
        self.sketches = Sketches(self.listeners)

    def render(self, plan: Plan) -> None:
        """All groups of the plan, one after the other; raises `Cancelled` when it is stopped."""
        for group in plan.groups:
            own = plan.natives[group[0].request.model]
            with ThreadPoolExecutor(1, "sdlab writer") as writer:  # files are written while the lanes compute
                spoiled = self._render_cells(group, own, self.dtype, {}, writer)
                if spoiled:
                    self._render_cells([cell for cell in group if cell.key in spoiled], own, "float32", spoiled, writer)

    def _render_cells(self, cells: list[Cell], own: Native, dtype: str | None, reasons: dict[str, str],
                      writer: ThreadPoolExecutor) -> dict[str, str]:
        """Renders and saves; returns {key: reason} of the cells that half precision spoiled."""
        self._heed_stop()
        try:
            renderer = Renderer(load(own, self.device, dtype), self.batch_size)
        except Exception as error:  # a model that cannot be loaded does not end the cells of the others
            for cell in cells:
                self._fail(cell, error)
            return {}
        spoiled: dict[str, str] = {}
        saving: deque[Future] = deque()
        try:
            for cell, picture, facts in self._rendered(renderer, cells):
                if picture.problem and renderer.loaded.dtype != "float32":
                    spoiled[cell.key] = f"{picture.problem} in {renderer.loaded.dtype}"
                    self.progress.computed(-1)
                elif picture.image is None:
                    self._fail(cell, ArithmeticError("the picture is not made of numbers (NaN or infinite), in float32 too"))
                else:
                    saving.append(writer.submit(self._save, cell, picture, {**facts, "rerun": reasons.get(cell.key)}))
                while saving and (saving[0].done() or len(saving) > MOST_WAITING):
                    saving.popleft().result()
        finally:
            for future in saving:
                future.result()
        return spoiled

    def _rendered(self, renderer: Renderer, cells: list[Cell]) -> Iterator[Rendered]:
        """The cells in batches, as the lanes finish them; those that failed are left out."""
        size, lanes, cores = renderer.batch_size(cells[0].request), renderer.loaded.lanes, torch.get_num_threads()
        batches = deque(cells[start:start + size] for start in range(0, len(cells), size))
        done: Queue[list[Rendered] | BaseException | None] = Queue(lanes)  # what nobody fetches holds the lanes back
        for _ in range(lanes):  # daemons: a script that ends need not wait for a whole batch
            threading.Thread(target=self._lane, args=(renderer, batches, done), name="sdlab lane", daemon=True).start()
        error = None
        try:
            while lanes:
                found = done.get()
                if isinstance(found, list):
                    yield from found
                else:  # a lane's end
                    lanes, error = lanes - 1, error or found
                    if error:
                        self.stop.set()  # the other lanes need not finish
        finally:
            if lanes:  # nobody wants the rest
                self.stop.set()
                while lanes:
                    lanes -= not isinstance(done.get(), list)
            torch.set_num_threads(cores)
        if error:
            raise error

    def _lane(self, renderer: Renderer, batches: deque[list[Cell]], done: Queue) -> None:
        """Renders batches until none is left; then, or when one raises, says so with None or the exception."""
        error = None
        try:
            torch.set_num_threads(renderer.loaded.threads)  # of this thread
            while True:
                try:
                    batch = batches.popleft()
                except IndexError:
                    break
                done.put(self._render_batch(renderer, batch))
        except BaseException as raised:
            error = raised
        done.put(error)

    def _render_batch(self, renderer: Renderer, batch: list[Cell]) -> list[Rendered]:
        """One batch on one lane. A batch that fails is taken apart, so that a bad cell fails alone."""
        self._heed_stop()
        begun = time.perf_counter()
        try:
            pictures = renderer.pictures([cell.request for cell in batch], self._stepped(renderer, batch))
        except Cancelled:
            raise
        except Exception as error:
            if len(batch) > 1:
                return [item for cell in batch for item in self._render_batch(renderer, [cell])]
            self._fail(batch[0], error)
            self.progress.computed(1)
            return []
        self.progress.computed(len(batch))
        facts = recorded(renderer, time.perf_counter() - begun, renderer.batch_size(batch[0].request))
        return [(cell, picture, {**facts, "nsfw": picture.nsfw}) for cell, picture in zip(batch, pictures)]

    def _stepped(self, renderer: Renderer, batch: list[Cell]) -> OnStep:
        """What is called before each step of a batch: it counts, and ends the batch if the job is to stop."""
        def on_step(done: int, total: int, clean: Clean | None) -> None:
            self._heed_stop()
            self.progress.step(len(batch), done, total)
            self.show()
            if clean:
                self.sketches.show(renderer.loaded, batch, clean)

        return on_step

    def _heed_stop(self) -> None:
        if self.stop.is_set():
            raise Cancelled

    def _save(self, cell: Cell, picture: Picture, facts: dict[str, Any]) -> None:
        self.store.save(cell.key, cell.request, picture.image, facts)
        self.progress.saved()
        self.listeners.tell(Event("landed", cell.key))

    def _fail(self, cell: Cell, error: Exception) -> None:
        self.errors[cell.key] = message = f"{type(error).__name__}: {error}"
        self.progress.failure()
        self.listeners.tell(Event("failed", cell.key, error=message))
        if self.on_error == "raise":
            raise GenerationError(f"{message}, for {cell.request}", cell.request) from error


def recorded(renderer: Renderer, seconds: float, batch_size: int) -> dict[str, Any]:
    """What is recorded beside the recipe of the cells of a batch that took so long.

    A cell's `seconds` are its share of the machine's time: all batches have one shape, so a batch costs the same full or
    not, and as many run at a time as there are lanes.
    """
    loaded = renderer.loaded
    return {"seconds": seconds / batch_size / loaded.lanes, "batch_size": batch_size, "device": loaded.device,
            "dtype": loaded.dtype, "threads": loaded.threads, "memory_format": loaded.memory_format,
            "created": datetime.now(UTC).isoformat(timespec="milliseconds"), **machine_facts()}
