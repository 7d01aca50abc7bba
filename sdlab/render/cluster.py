"""A plan is carried out by the workers of a Dask cluster; `worker` has what each of them does.

Dask schedules, moves and repeats tasks and notices who is gone. What is decided here is what a task
is: cells of one group in whole batches, of the model that the worker to be fed has in memory.
Pictures come back as bytes and are written here, or by the workers where they share the folder.
"""

from __future__ import annotations

import dataclasses
import functools
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO
from queue import Empty, Queue
from typing import Any

from PIL import Image

from ..pictures import png_bytes, read_picture
from ..progress import Event
from ..recipe.request import FIELDS, Recipe, list_inputs
from ..store.store import Store
from .batch_size import MOST_ON_CARD, count_together
from .batches import Errand
from .crew import Crew, Flight
from .denoise import Cancelled
from .latents import Latents
from .options import Options
from .plan import Plan

AHEAD = 2  # tasks of a worker: one that it computes, and one that waits for it there
LOOK = 1.0  # seconds between two looks at who is there
TICK = 0.2  # seconds that a stop is heard late, at most
PATIENCE = 20.0  # seconds for what is at work when a run is stopped
LOSSES = 4  # workers that a batch may cost, by hanging or by ending all whom Dask could give it to
WRITERS = 4  # threads that fetch and write pictures


@dataclass(kw_only=True)
class Workers(Errand):
    """What has the cells of a plan rendered by the workers of a cluster; as `Lanes` does it here.

    Parameters
    ----------
    client : distributed.Client
    shared : bool
        Whether workers write into the store's folder themselves.
    """

    client: Any
    shared: bool

    news: Queue = field(default_factory=Queue)  # (what, *of what), from threads of Dask's and own
    flights: dict[str, Flight] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)  # {address: weights of its last task}
    sizes: dict[tuple[str, str, int, int], int] = field(default_factory=dict)  # of batches on cards
    groups: list[list[Recipe]] = field(default_factory=list)  # what waits
    losses: Counter[str] = field(default_factory=Counter)  # {key of a batch's first cell: workers}

    def render(self, plan: Plan) -> None:
        """Renders all groups of the plan; raises `Cancelled` when stopped."""
        from distributed import Event as Signal

        self.plan, self.latents = plan, Latents(plan, self.store, kept=self.options.keep_latents)
        job = f"sdlab-{uuid.uuid4().hex[:12]}"
        signal = Signal(job, client=self.client)
        self.client.subscribe_topic(job, lambda event: self.news.put(("told", event[1])))
        with lay_beacon(self.store, job, self.shared) as beacon:
            self.needs = describe_needs(plan, job, self.options, beacon)
            self.crew = Crew(self.client, self.needs, self.news)
            try:
                with ThreadPoolExecutor(WRITERS, "sdlab writer") as self.writers:
                    for wave in self._list_waves():
                        self._render_wave(wave, signal)
            finally:
                self._let_go(signal, job)

    def _list_waves(self) -> tuple[list[list[Recipe]], list[list[Recipe]]]:
        """Lists the groups, and behind them those cells that take the latents of others."""
        groups = self.plan.groups
        firsts = self.latents.find_firsts([cell for group in groups for cell in group])
        first = [[cell for cell in group if cell.key in firsts] for group in groups]
        later = [[cell for cell in group if cell.key not in firsts] for group in groups]
        return [group for group in first if group], [group for group in later if group]

    def _render_wave(self, wave: list[list[Recipe]], signal: Any) -> None:
        self.groups = wave
        while self.groups or self.flights:
            if self.stop.is_set():
                self._land(signal)
                raise Cancelled
            self._require_scheduler()
            self._look_around()
            self._send_tasks()
            self._hear(TICK)
        self.progress.note = ""

    def _require_scheduler(self) -> None:
        if self.client.status != "running":
            raise ConnectionError(
                "the cluster's scheduler is gone; the pictures that are finished are in the store"
                f" ({self.progress.finished} of {self.progress.total}). Start it again, or leave"
                " out cluster, and run again"
            )

    # Who is there

    def _look_around(self) -> None:
        """Finds out who came and who is gone, and takes back what nobody will do."""
        if time.monotonic() - self.crew.looked < LOOK:
            return
        there = self.crew.find_workers()
        for address in self.models.keys() - there:
            del self.models[address]
        for flight in list(self.flights.values()):
            lost = not flight.allowed & there  # nobody is left whom Dask could give it to
            if lost and flight.future.status != "finished":
                self._take_back(flight)
                if flight.worker:  # whose end it may have been; Dask counts those of one sending
                    self._count_loss(flight, "at least {} workers ended in this batch")
            elif self.crew.may_wait_at_paused(flight):
                self._take_back(flight)
        self.crew.require_room(self.flights.values())
        for hung in self.crew.give_up_hung(list(self.flights.values())):
            self._take_back_from(hung)
        self._note_workers()

    def _take_back_from(self, hung: Flight) -> None:
        """Has done elsewhere what a hung worker was sent."""
        for flight in list(self.flights.values()):
            lost = flight.worker not in self.crew.fit and hung.worker in flight.allowed
            if lost and flight.future.status == "pending":
                self._take_back(flight)
        self._count_loss(hung, "this batch hung on {} workers (see their logs)")

    def _count_loss(self, flight: Flight, message: str) -> None:
        """Counts that a batch, which waits again, lost its worker; fails it if that is often."""
        first = flight.cells[0].key
        self.losses[first] += 1
        if self.losses[first] == LOSSES:
            self.groups.remove(flight.cells)
            self.progress.count_computed(len(flight.cells))
            advice = "; run again with memory='low' or another batch_size"
            self._fail_cells(flight.cells, message.format(LOSSES) + advice)

    def _note_workers(self) -> None:
        self.progress.note = self.crew.describe()
        self.show()

    # What is sent

    def _send_tasks(self) -> None:
        for address in self.crew.list_ready():
            count = sum(flight.address == address for flight in self.flights.values())
            for _ in range(AHEAD - count):
                if cells := self._choose_cells(address):
                    self._send(address, cells)

    def _choose_cells(self, address: str) -> list[Recipe]:
        """Chooses what to render on a worker: of its model, of one that nobody has, or the first.

        A group's cells go in whole batches, as many as that worker computes at a time.
        """
        if not self.groups:
            return []
        busy, own = set(self.models.values()), self.models.get(address)
        mine = [group for group in self.groups if group[0].weights == own]
        new = [group for group in self.groups if group[0].weights not in busy]
        group = (mine or new or self.groups)[0]
        self.models[address] = group[0].weights
        size = self._count_cells(address, group[0])
        cells = group[:size]
        del group[:size]
        self.groups = [group for group in self.groups if group]
        return cells

    def _count_cells(self, address: str, cell: Recipe) -> int:
        fitness, factor = self.crew.fit[address], self.plan.natives[cell.model].layout.factor
        lanes, threads = fitness.lanes.get(cell.model, (1, 1))
        if self.options.batch_size:
            return self.options.batch_size * lanes
        if fitness.on_card:  # until it has said how many pay there: of any power of two a multiple
            return self.sizes.get((address, *describe_like(cell)), MOST_ON_CARD)
        return lanes * count_together(cell.height // factor, cell.width // factor, threads)

    def _send(self, address: str, cells: list[Recipe]) -> None:
        from .worker import Task, render_task

        name = f"sdlab-{uuid.uuid4().hex[:12]}"
        alike = {cell.key: self.plan.alike[cell.key] for cell in cells}
        if not self.crew.fit[address].on_card:  # larger batches would be filled up with copies
            most = self._count_cells(address, cells[0])
            alike = {key: min(number, most) for key, number in alike.items()}
        task = Task(
            name,
            self.needs,
            [dump_recipe(cell) for cell in cells],
            alike,
            dataclasses.replace(self.options, on_error="record"),
            {name_: pack_input(name_) for name_ in list_inputs(cells)},
            self.latents.find_stored(cells),
            str(self.store.images) if self.shared else None,
            bool(self.listeners),
        )
        ready = self.crew.list_ready()
        flight = Flight(name, address, frozenset(ready), cells)
        self.flights[name] = flight
        flight.future = self.client.submit(render_task, task, key=name, workers=ready, pure=False)
        flight.future.add_done_callback(lambda done: self.news.put(("done", name)))

    def _take_back(self, flight: Flight) -> None:
        """Has the cells of a task wait again."""
        if self.flights.pop(flight.name, None):
            self.progress.count_computed(0, flight.name)
            self.groups.insert(0, flight.cells)
            with suppress(Exception):
                self.client.cancel([flight.future], force=True)

    # What comes back

    def _hear(self, seconds: float) -> None:
        """Takes note of what was heard, after waiting so long for it."""
        with suppress(Empty):
            what, *of = self.news.get(timeout=seconds)
            while True:
                getattr(self, f"_hear_{what}")(*of)
                what, *of = self.news.get_nowait()

    def _hear_checked(self, address: str) -> None:
        if self.crew.note_check(address):
            self._note_workers()

    def _hear_told(self, said: dict[str, Any]) -> None:
        """Hears of steps, or of what a cell at work looks like."""
        if flight := self.flights.get(said.get("task", "")):
            flight.heard = time.monotonic()
            if flight.worker != said["worker"]:  # the first, or who has it after another's death
                flight.worker, flight.begun = said["worker"], flight.heard
            flight.stepped = said["done"] > 0
            self.progress.count_step(said["done"], 1, 1, flight.name)
            self.show()
        elif "image" in said:
            image = Image.open(BytesIO(said["image"])).convert("RGB")
            self.listeners.tell(Event("sketch", said["key"], image))

    def _hear_done(self, name: str) -> None:
        """Hears that a task has ended, on whatever worker, or that it cannot."""
        flight = self.flights.get(name)
        if flight is None:
            return
        if flight.future.status == "finished":
            self.crew.note_task(flight)
            self.writers.submit(self._fetch, flight)
        elif flight.future.status == "error":
            error = flight.future.exception()
            if self.shared and isinstance(error, OSError):  # the folder takes no more pictures
                raise error
            self._fail_all(flight, error)
        else:  # cancelled or lost
            self._require_scheduler()
            self._take_back(flight)

    def _fetch(self, flight: Flight) -> None:
        """Fetches a task's pictures and writes them, on a thread of its own."""
        try:
            outcome = flight.future.result()
            cells = {cell.key: cell for cell in flight.cells}
            for key, data in outcome.pictures.items():
                self.store.receive(cells[key], data)
                self.progress.count_saved()
                self.listeners.tell(Event("landed", key))
            self.news.put(("written", flight, outcome, None))
        except BaseException as error:
            self.news.put(("written", flight, None, error))

    def _hear_written(self, flight: Flight, outcome: Any, error: BaseException | None) -> None:
        if isinstance(error, CancelledError):  # lost with its worker, before it was fetched
            self._require_scheduler()
            self._take_back(flight)
            return
        if error is not None:
            raise error
        if flight.name not in self.flights:  # taken back meanwhile
            return
        if outcome.misfit:
            self.crew.leave_out(flight.address, outcome.misfit)
            self._take_back(flight)
            return
        del self.flights[flight.name]
        first = flight.cells[0]
        self.sizes[(flight.address, *describe_like(first))] = outcome.batch_size or MOST_ON_CARD
        self.progress.count_computed(len(flight.cells), flight.name)
        self.show()
        for cell in flight.cells:
            if message := outcome.errors.get(cell.key):
                self.fail(cell, message)
            elif cell.key not in outcome.pictures and not self.stop.is_set():
                self.fail(cell, "the worker gave back neither a picture nor an error; run again")

    def _fail_all(self, flight: Flight, error: Any) -> None:
        """Fails the cells of a task that cannot be done on any worker."""
        del self.flights[flight.name]
        self.progress.count_computed(len(flight.cells), flight.name)
        message = f"{type(error).__name__}: {error}"
        if type(error).__name__ == "KilledWorker":
            message = (
                f"each of the {error.allowed_failures + 1} workers that rendered this batch died"
                " (is their memory too small?); run again with memory='low' or a smaller"
                " batch_size, and see the workers' logs"
            )
        self._fail_cells(flight.cells, message)

    def _fail_cells(self, cells: list[Recipe], message: str) -> None:
        for cell in cells:
            self.fail(cell, message)

    # The end

    def _land(self, signal: Any) -> None:
        """Stops what is at work, within a step, and keeps what is finished."""
        signal.set()
        end = time.monotonic() + PATIENCE
        self.groups = []
        while self.flights and time.monotonic() < end:
            self._require_scheduler()
            self._hear(TICK)

    def _let_go(self, signal: Any, job: str) -> None:
        """Ends what may still be at work, however the run ended."""
        if self.client.status != "running":
            return
        with suppress(Exception):
            signal.set()
            self.client.cancel([flight.future for flight in self.flights.values()])
            self.client.unsubscribe_topic(job)


@contextmanager
def lay_beacon(store: Store, job: str, shared: bool) -> Iterator[str | None]:
    """Lays a file into the store's folder, by which workers see that they share it."""
    if not shared:
        yield None
        return
    place = store.root / f".{job}"
    place.touch()
    try:
        yield str(place)
    finally:
        place.unlink(missing_ok=True)


def describe_needs(plan: Plan, job: str, options: Options, beacon: str | None) -> Any:
    """Describes what the plan needs of a worker."""
    from .worker import PARTS, Needs, list_versions

    cells = [cell for group in plan.groups for cell in group]
    parts = dict.fromkeys(tuple(getattr(cell, name) for name in PARTS) for cell in cells)
    device = None if isinstance(options.device, (list, tuple)) else options.main_device
    compiles = options.compile is True
    return Needs(job, list_versions(), tuple(parts), device, options.dtype, compiles, beacon)


def dump_recipe(cell: Recipe) -> dict[str, Any]:
    """Lists a recipe's fields, its pictures by their names alone."""
    values = ((name, getattr(cell, name)) for name in FIELDS)
    return {name: str(value) if isinstance(value, str) else value for name, value in values}


def describe_like(cell: Recipe) -> tuple[str, int, int]:
    """Describes what decides how many cells pay in a batch on one card."""
    return cell.weights, cell.height, cell.width


@functools.lru_cache(32)
def pack_input(name: str) -> bytes:
    """Packs an input picture to be sent; many tasks have the same."""
    return png_bytes(read_picture(name))
