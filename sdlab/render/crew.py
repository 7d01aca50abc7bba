"""The workers of a Dask cluster: how they are reached, and who of them can render a plan.

Dask notices who is gone, and pauses whose memory is full. What is decided here is who can render,
and who is silent or paused for so long that nothing can be expected of it any more.
"""

from __future__ import annotations

import math
import threading
import time
import uuid
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from queue import Queue
from typing import Any

from ..errors import caller_level
from ..recipe.request import Recipe
from .options import Options

QUIET = 300.0  # seconds without a step in which a worker is never given up
SLACK = 10  # times as long as the longest task so far may a worker be silent
LOADING = 3600.0  # seconds for a first step, and for any where no task has ended yet
AWAY = 30.0  # seconds between two looks after which nobody can have been heard
ALONE = 30.0  # seconds without any worker after which that is told aloud
GROUP = 8  # cores of a worker on this machine
OWN = "sdlab-"  # how the names of clusters begin that are made here, for one run
# How often Dask looks at itself, on the cores that render: a hundred times a second at what each
# thread is doing takes 5 % of an embedded model, ticks and counters more than half of the caller
CALM = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "500ms",  # 20 ms, in each of scheduler, nannies and workers
    "distributed.admin.system-monitor.interval": "5s",  # 500 ms
}
MISSING = (
    "a cluster needs the package distributed: pip install 'sdlab[cluster]', here and where the"
    " workers are"
)


def require_cluster(cluster: Any, options: Options) -> None:
    """Refuses what is no cluster, before anything runs."""
    try:
        from distributed import Client
    except ImportError as error:
        raise ImportError(MISSING) from error
    if isinstance(options.device, (list, tuple)) and cluster not in (None, "local"):
        raise ValueError(
            f"device={options.device!r} asks for a worker for each on this machine; leave out"
            " cluster, or give one device"
        )
    if not isinstance(cluster, (str, Client, type(None))):
        raise TypeError(
            f"cluster={cluster!r:.80}: give a dask.distributed.Client, a scheduler's address such"
            " as 'tcp://10.0.0.5:8786', or 'local'"
        )
    if isinstance(cluster, Client) and (cluster.asynchronous or cluster.status != "running"):
        kind = "asynchronous" if cluster.asynchronous else cluster.status
        raise ValueError(f"cluster: this client is {kind}; give Client(address), connected")


@contextmanager
def open_client(cluster: Any, devices: list[str]) -> Iterator[Any]:
    """Connects to a cluster, or makes one on this machine for as long as the context lasts."""
    from distributed import Client

    if isinstance(cluster, Client):
        yield cluster
    elif cluster is None or cluster == "local":
        with (
            start_local(list_devices(*devices)) as own,
            Client(own, set_as_default=False) as client,
        ):
            yield client
    else:
        try:
            client = Client(cluster, set_as_default=False)
        except (OSError, ValueError) as error:
            raise ConnectionError(
                f"cluster={cluster!r}: no scheduler answers there ({error}); start it, or give"
                " 'local'"
            ) from error
        with client:
            yield client


def list_devices(*asked: str) -> list[str]:
    """Lists the devices of this machine's workers: each card, or a group of cores each.

    Asked for may be a kind ("cuda": each card), one of them ("cuda:1"), or one for each worker.
    """
    import torch

    cards = [f"cuda:{n}" for n in range(torch.cuda.device_count())]
    groups = ["cpu"] * max(1, torch.get_num_threads() // GROUP)
    kinds = {(): cards or groups, ("cuda",): cards, ("cpu",): groups}
    return kinds.get(asked) or list(asked)


def start_local(devices: list[str]) -> Any:
    """Starts a worker process for each device; those without a card share the cores."""
    import dask
    import torch
    from distributed import Nanny, Scheduler, SpecCluster

    from .worker import DEVICE

    cores = max(1, torch.get_num_threads() // len(devices))
    # what a process may hold is for sdlab to decide: `memory`
    options = {"nthreads": cores, "memory_limit": 0, "host": "127.0.0.1", "silence_logs": 40}
    options["config"] = CALM
    workers = {
        n: {"cls": Nanny, "options": {**options, "env": {DEVICE: device}}}
        for n, device in enumerate(devices)
    }
    scheduler = {"host": "127.0.0.1", "port": 0, "dashboard_address": "127.0.0.1:0"}
    with dask.config.set(CALM):  # for the scheduler and the nannies, which are in this process
        return SpecCluster(
            workers=workers,
            scheduler={"cls": Scheduler, "options": scheduler},
            name=f"{OWN}{uuid.uuid4().hex[:12]}",
            silence_logs=40,
            shutdown_on_close=True,
        )


@dataclass
class Flight:
    """A task under way."""

    name: str
    address: str  # of the worker that it was made for
    allowed: frozenset[str]  # addresses
    cells: list[Recipe]
    future: Any = None
    worker: str = ""  # address of the one that computes it
    begun: float = 0.0  # when that one had it begin
    heard: float = 0.0  # when it last told of a step
    stepped: bool = False


@dataclass
class Crew:
    """Who of a cluster's workers can render a plan, who cannot, and why.

    Parameters
    ----------
    client : distributed.Client
    needs : Needs
    news : Queue
        Takes ("checked", address) once a check of a worker has ended.
    """

    client: Any
    needs: Any
    news: Queue
    fit: dict[str, Any] = field(default_factory=dict)  # {address: Fitness}
    unfit: dict[str, str] = field(default_factory=dict)  # {address: why}
    met: bool = False  # whether there was a worker that can; it may come back
    asked: dict[str, Any] = field(default_factory=dict)  # {address: future of a check}
    paused: dict[str, float] = field(default_factory=dict)  # {address: since when}
    warned: set[str] = field(default_factory=set)  # addresses of who was paused
    alone: float | None = None  # since when nobody is there; infinite once that was told
    looked: float = 0.0
    away: bool = False  # whether nobody can have been heard before the last look
    longest: float = 0.0  # seconds of a task
    loaded: set[tuple[str, str]] = field(default_factory=set)  # (address, weights) of tasks done

    def find_workers(self) -> set[str]:
        """Finds who is there; who came is checked before anything is computed."""
        from .worker import check_worker

        now = time.monotonic()
        self.away, self.looked = now - self.looked > AWAY, now  # it was this process that slept
        before = {*self.fit, *self.unfit, *self.asked}
        # a client that has just lost its scheduler knows of none, and nobody is gone for that
        said = self.client.scheduler_info(n_workers=-1).get("workers")
        there = before if said is None else set(said)
        for known in (self.fit, self.unfit, self.asked):
            for address in known.keys() - there:
                del known[address]
        for address in there - before:
            future = self.client.submit(check_worker, self.needs, workers=[address], pure=False)
            future.add_done_callback(lambda done, who=address: self.news.put(("checked", who)))
            self.asked[address] = future
        self._note_paused(said or {})
        self._note_absence(there)
        return there

    def _note_absence(self, there: set[str]) -> None:
        """Warns where nobody is there for long; a queue may still start workers, so it waits.

        Raises where there is none, as for workers of this machine that nobody starts again.
        """
        if there or self.away:
            self.alone = None
        elif self.alone is None:
            self.alone = self.looked
        elif self.looked - self.alone > ALONE:
            self.alone = math.inf
            own = getattr(self.client, "cluster", None)
            if self.met and own is not None and str(own.name).startswith(OWN):
                raise RuntimeError(
                    "all workers on this machine have ended, and could not be started again. What"
                    " is finished is in the store: run again, perhaps with memory='low'"
                )
            address = self.client.scheduler.address
            warnings.warn(
                f"the cluster has had no worker for {ALONE:.0f} s; the run goes on as soon as one"
                f" comes. Start one (dask worker {address}, where sdlab is installed), look at the"
                " queue that should start them, or stop the run: what is finished is in the store",
                stacklevel=caller_level(),
            )

    def _note_paused(self, workers: dict[str, Any]) -> None:
        """Takes note of whom Dask has paused, as its memory is full, and warns once of each."""
        full = {
            address: describe_memory(said)
            for address, said in workers.items()
            if said["status"] == "paused" and address not in self.unfit
        }
        since = {} if self.away else self.paused
        self.paused = {address: since.get(address, self.looked) for address in full}
        if new := {address: why for address, why in full.items() if address not in self.warned}:
            self.warned |= new.keys()
            said = f"a worker is paused: {join_reasons(new)}"
            warnings.warn(said, stacklevel=caller_level())

    def list_ready(self) -> list[str]:
        """Lists those that can render the plan and that Dask gives tasks."""
        return [address for address in self.fit if address not in self.paused]

    def may_wait_at_paused(self, flight: Flight) -> bool:
        """Tells whether a task that has not begun may be where it will not begin."""
        waits = not flight.worker and flight.future.status == "pending"
        return waits and not flight.allowed.isdisjoint(self.paused)

    def require_room(self, flights: Iterable[Flight]) -> None:
        """Raises where all are paused, and have been so for long after the last step of any."""
        if not self.paused or {*self.fit, *self.asked} - self.paused.keys():
            return
        last = max([*self.paused.values(), *(flight.heard for flight in flights)])
        if self.looked - last > QUIET:
            raise RuntimeError(
                "all workers are paused, as their memory is full, and nothing was computed for"
                f" {self.looked - last:.0f} s. What is finished is in the store: give the workers"
                " more memory (memory_limit) or restart them, and run again, perhaps with"
                " memory='low'"
            )

    def note_check(self, address: str) -> bool:
        """Takes note of what came of checking a worker; returns whether it is still there."""
        future = self.asked.pop(address, None)
        if future is None or future.status not in ("finished", "error"):
            return False  # it is gone
        try:
            fitness = future.result()
            misfit = fitness.misfit
        except Exception as error:
            misfit = f"sdlab cannot be run there ({type(error).__name__}: {error})"
        if misfit:
            self.leave_out(address, misfit)
            text = f"a worker is left out: {join_reasons({address: misfit})}"
            warnings.warn(text, stacklevel=caller_level())
        else:
            self.fit[address], self.met = fitness, True
        return True

    def leave_out(self, address: str, why: str) -> None:
        """Has a worker be sent nothing any more."""
        self.fit.pop(address, None)
        self.unfit[address] = why

    def note_task(self, flight: Flight) -> None:
        """Takes note of how long a task took, that has just ended."""
        if flight.begun:
            self.longest = max(self.longest, time.monotonic() - flight.begun)
            self.loaded.add((flight.worker, flight.cells[0].weights))

    def give_up_hung(self, flights: list[Flight]) -> Iterator[Flight]:
        """Gives up workers that are silent in the midst of a task, much longer than one takes.

        Yields the tasks at which they hang.
        """
        for flight in flights:
            flight.heard = self.looked if self.away else flight.heard
            loaded = flight.stepped or (flight.worker, flight.cells[0].weights) in self.loaded
            limit = max(QUIET, SLACK * self.longest) if loaded and self.longest else LOADING
            at_work = flight.worker in self.fit and flight.future.status == "pending"
            if at_work and self.looked - flight.heard > limit:
                self._give_up(flight.worker, self.looked - flight.heard)
                yield flight

    def _give_up(self, address: str, silent: float) -> None:
        """Leaves out a hung worker, and has its nanny restart it."""
        why = f"it has told of no step for {silent:.0f} s; its tasks are done elsewhere"
        warnings.warn(f"a worker hangs: {join_reasons({address: why})}", stacklevel=caller_level())
        self.leave_out(address, why)
        threading.Thread(target=self._restart, args=(address,), daemon=True).start()

    def _restart(self, address: str) -> None:
        with suppress(Exception):  # one without a nanny stays left out
            self.client.restart_workers([address], raise_for_error=False)

    def describe(self) -> str:
        """Says how many there are; raises if none can render the plan, nor ever could."""
        if self.unfit and not (self.fit or self.asked or self.met):
            raise RuntimeError(
                f"no worker can render this plan: {join_reasons(self.unfit)}. Nothing was computed"
            )
        count = f"{len(self.fit)} worker{'s' * (len(self.fit) != 1)}"
        if self.alone is not None:
            count = f"no worker is there {'any more' if self.met else 'yet'}"
        unfit = f", {len(self.unfit)} that cannot" if self.unfit else ""
        paused = f", {len(self.paused)} paused: memory full" if self.paused else ""
        link = self.client.dashboard_link
        return f"{count}{unfit}{paused}{f', {link}' if link else ''}"


def describe_memory(said: dict[str, Any]) -> str:
    """Says how full a worker's memory is, by what the scheduler says of that worker."""
    held, most = said["metrics"].get("memory", 0) / 1e9, (said["memory_limit"] or 0) / 1e9
    full = f"{held:.1f} of {most:.1f} GB are taken" if most else "its memory is full"
    return f"{full}, and Dask gives it nothing until there is room"


def join_reasons(unfit: dict[str, str]) -> str:
    """Says of each worker why it cannot."""
    return "; ".join(f"{address}: {why}" for address, why in unfit.items())
