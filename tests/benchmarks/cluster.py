"""Times two workers of this machine against one: `python tests/benchmarks/cluster.py [--cells 256] [--rounds 2]`.

With `--whole 10000` it breaks a run of so many cells on two workers instead: it is stopped twice, a worker is killed in
between, and the report of what came of it is compared, byte for byte, with that of one process. Ends with 1 if they differ.

The embedded model, a core a worker, alternating, after a first run that loads it. Told are seconds by the clock (on idle
cores two workers should halve them), processor time of workers and of the caller for each cell (which tells on a busy
machine, too, what spreading costs; with the scheduler, which is in the caller's process), and what travels.
"""

from __future__ import annotations

import argparse
import os
import pickle
import random
import re
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from chaos import broken, promise, stamp
from distributed import Client, LocalCluster

from sdlab import Job, Request, Store, run, sweep, write_report
from sdlab.render import cluster, crew

MASKED = ("seconds", "created")  # columns; all others, those of the machine too, have to agree
DATE = re.compile(rb'<p class="date">.*?</p>', re.DOTALL)


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


def start_workers(count: int) -> Any:
    """Starts so many workers as `cluster="local"` does, of one core each."""
    torch.set_num_threads(count)  # which they share
    return crew.start_local(["cpu"] * count)


def measure(client: Client, cells: Any, place: Path) -> tuple[float, float, float]:
    begun, used, own = time.perf_counter(), count_processor(client), time.process_time()
    run(cells, place, cluster=client, progress=False)
    clock = time.perf_counter() - begun
    return clock, count_processor(client) - used, time.process_time() - own


def interrupt(cells: Any, root: Path, client: Client) -> pd.DataFrame:
    """Runs with two stops, and with the death of a worker between them and the end."""
    kept: dict[str, tuple[int, int]] = {}
    for part in (1, 2, 3):
        job = Job(cells, root, batch_size=8, cluster=client, progress=False)
        while job.progress.finished < part * len(cells) // 4 and not job.wait(0.02):
            pass
        if part < 3:
            job.stop().wait()
            promise(job.state == "stopped", f"stopped with {job.progress.finished:,} finished")
        else:
            pid = random.choice(list(client.run(os.getpid).values()))
            os.kill(pid, signal.SIGKILL)
            promise(not job.wait(0), f"a worker killed with {job.progress.finished:,} finished")
            frame = job.result()
        before, kept = kept, stamp(root)
        same = all(kept.get(name) == known for name, known in before.items())
        promise(same, f"what was finished before ({len(before):,}) was not made again")
    return frame


def write_masked(frame: pd.DataFrame, root: Path) -> bytes:
    """Writes a report and gives its bytes, without its date and with the masked columns the same.

    There is no gallery: it shows pixels alone, and those are compared by the column `pixels`.
    """
    masked = frame.assign(seconds=1.0, created="2026-01-01T00:00:00.000000+00:00")
    masked = masked.astype({name: frame[name].dtype for name in MASKED})
    masked.attrs = frame.attrs
    path = write_report(root.with_name("report.html"), "Whole", masked, gallery=False)
    return DATE.sub(b"", path.read_bytes())


def compare_whole(count: int, place: Path) -> None:
    """Compares an interrupted run on two workers with one process's, by their reports."""
    base = Request(model="tiny-v1", prompt="a {red|blue} circle", num_inference_steps=1)
    cells = sweep(base.but(scheduler="Euler"), seed=range(count // 2))
    roots = {name: place / name / "store" for name in ("cluster", "alone")}
    begun, clock = time.perf_counter(), {}
    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            memory_limit=0,
            silence_logs=50,
            dashboard_address="127.0.0.1:0",
        ) as own,
        Client(own, set_as_default=False) as client,
    ):
        found = interrupt(cells, roots["cluster"], client)
    clock["cluster"], begun = time.perf_counter() - begun, time.perf_counter()
    expected = run(cells, roots["alone"], batch_size=8, progress=False)
    clock["alone"] = time.perf_counter() - begun
    print("        " + ", ".join(f"{name} {taken:.0f} s" for name, taken in clock.items()))
    whole = found["error"].isna().all() and found["path"].notna().all()
    promise(whole and len(found) == count, f"all {count:,} cells are there, on two workers")
    promise(Store(roots["cluster"]).check().empty, "every picture is whole, and in the index")
    other = [name for name in expected if name not in (*MASKED, "path")]
    other = [name for name in other if not found[name].equals(expected[name])]
    promise(not other, f"the frames are the same but for {MASKED} and path {other or ''}")
    one, two = (
        write_masked(frame, roots[name])
        for name, frame in (("alone", expected), ("cluster", found))
    )
    promise(
        one == two,
        f"the reports are the same byte for byte ({len(one):,}) but for {MASKED} and date",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cells", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--whole", type=int, metavar="CELLS", help="compare a broken run's report")
    given = parser.parse_args()
    if given.whole:
        warnings.simplefilter("ignore")
        with tempfile.TemporaryDirectory() as folder:
            compare_whole(given.whole, Path(folder))
        sys.exit(bool(broken))
    cells = sweep(Request(prompt="a {red|blue} circle"), seed=range(given.cells // 2))
    sent: list[int] = []
    back: list[int] = []
    weigh(sent, back)
    with tempfile.TemporaryDirectory() as folder:
        clusters = {n: start_workers(n) for n in (1, 2)}
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
