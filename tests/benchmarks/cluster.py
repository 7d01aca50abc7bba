"""Times two workers of this machine against one: `python tests/benchmarks/cluster.py [--cells 256] [--rounds 2]`.

The embedded model, a core a worker, alternating, after a first run that loads it. Told are seconds by the clock (on idle
cores two workers should halve them), processor time of workers and of the caller for each cell (which tells on a busy
machine, too, what spreading costs; with the scheduler, which is in the caller's process), and what travels.
"""

from __future__ import annotations

import argparse
import os
import pickle
import tempfile
import time
from pathlib import Path
from typing import Any

from distributed import Client, LocalCluster

from sdlab import Request, run, sweep
from sdlab.render import cluster


def read_processor_time() -> float:
    return time.process_time()


def count_processor(client: Client) -> float:
    return sum(client.run(read_processor_time).values())


def weigh(sent: list[int], back: list[int]) -> None:
    """Notes how many bytes each task is, and each picture that comes back."""
    send, hear = Client.submit, cluster.Workers._hear_written

    def submit(self: Client, function: Any, *given: Any, **how: Any) -> Any:
        if function.__name__ == "render_task":
            sent.append(len(pickle.dumps(given)))
        return send(self, function, *given, **how)

    def hear_written(self: Any, flight: Any, outcome: Any, error: Any) -> None:
        back.extend(map(len, outcome.pictures.values()))
        hear(self, flight, outcome, error)

    Client.submit, cluster.Workers._hear_written = submit, hear_written  # type: ignore


def measure(client: Client, cells: Any, place: Path) -> tuple[float, float, float]:
    begun, used, own = time.perf_counter(), count_processor(client), time.process_time()
    run(cells, place, cluster=client, progress=False)
    clock = time.perf_counter() - begun
    return clock, count_processor(client) - used, time.process_time() - own


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cells", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    cells = sweep(Request(prompt="a {red|blue} circle"), seed=range(given.cells // 2))
    sent: list[int] = []
    back: list[int] = []
    weigh(sent, back)
    how: dict[str, Any] = dict(
        threads_per_worker=1, memory_limit=0, dashboard_address="127.0.0.1:0"
    )
    with tempfile.TemporaryDirectory() as folder:
        clusters = {n: LocalCluster(n_workers=n, silence_logs=40, **how) for n in (1, 2)}
        clients = {n: Client(own, set_as_default=False) for n, own in clusters.items()}
        for n, client in clients.items():
            run(cells[: 16 * n], Path(folder) / f"first-{n}", cluster=client, progress=False)
        for round_ in range(given.rounds):
            for n, client in clients.items():
                clock, used, own = measure(client, cells, Path(folder) / f"{n}-{round_}")
                print(
                    f"{n} worker{'s' * (n > 1)}: {clock:6.1f} s, {len(cells) / clock:5.2f} cells a second; processor"
                    f" time for a cell {1000 * used / len(cells):.1f} ms of workers and"
                    f" {1000 * own / len(cells):.1f} ms of the caller; load {os.getloadavg()[0]:.1f}",
                    flush=True,
                )
        print(
            f"a task is {sum(sent) / len(sent) / 1000:.1f} kB on its way there, a picture"
            f" {sum(back) / len(back) / 1000:.1f} kB on its way back"
        )
        for n, client in clients.items():
            client.close()
            clusters[n].close()


if __name__ == "__main__":
    main()
