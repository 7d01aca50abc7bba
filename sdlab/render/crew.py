"""The workers of a Dask cluster: how they are reached, and who of them can render a plan.

Dask notices who is gone. What is decided here is who can render, and who is silent for so long that
nothing can be expected of it any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..recipe.request import Recipe
from .options import Options

GROUP = 8  # cores of a worker on this machine
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
    import torch
    from distributed import Nanny, Scheduler, SpecCluster

    from .worker import DEVICE

    cores = max(1, torch.get_num_threads() // len(devices))
    # what a process may hold is for sdlab to decide: `memory`
    options = {"nthreads": cores, "memory_limit": 0, "host": "127.0.0.1", "silence_logs": 40}
    workers = {
        n: {"cls": Nanny, "options": {**options, "env": {DEVICE: device}}}
        for n, device in enumerate(devices)
    }
    scheduler = {"host": "127.0.0.1", "port": 0, "dashboard_address": "127.0.0.1:0"}
    return SpecCluster(
        workers=workers,
        scheduler={"cls": Scheduler, "options": scheduler},
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


def join_reasons(unfit: dict[str, str]) -> str:
    """Says of each worker why it cannot."""
    return "; ".join(f"{address}: {why}" for address, why in unfit.items())
