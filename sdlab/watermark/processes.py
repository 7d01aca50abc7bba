"""Processes that answer questions about files beside this one, and end with it."""

from __future__ import annotations

import itertools
import os
import pickle
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

# files that one process reads sooner than others start; a search is slow, and starts them for 4
FEW = {"none": 32}
START = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer);"
    " from sdlab.watermark.processes import serve_rows; serve_rows()"
)
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
AHEAD = 4  # files under way for each process, so that a slow one holds up no other


def ask_processes(
    read: Callable[[Any, Any], Any], questions: Iterable[Any], asked: Any, processes: int = 1
) -> Generator[tuple[Any, Any]]:
    """Give (question, read(question, asked)), in order; closing the iterator ends all processes.

    In place of an answer stands the error, as text, of a process that died over the question.
    """
    if processes == 1:
        yield from ((question, read(question, asked)) for question in questions)
        return
    workers = [Worker(asked, read) for _ in range(processes)]
    own, unused, questions = threading.local(), iter(workers), iter(questions)

    def ask(question: Any) -> tuple[Any, Any]:
        return question, own.worker.ask(question)

    # its threads, of which each has a process, only wait
    pool = ThreadPoolExecutor(processes, initializer=lambda: setattr(own, "worker", next(unused)))
    try:
        under_way = deque(
            pool.submit(ask, question)
            for question in itertools.islice(questions, processes * AHEAD)
        )
        while under_way:
            answer = under_way.popleft().result()
            under_way.extend(pool.submit(ask, each) for each in itertools.islice(questions, 1))
            yield answer
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.stop()
        pool.shutdown(wait=True)


def count_processes(files: int, search: str, asked: int | None) -> int:
    """Decide how many processes read so many files."""
    if asked is not None:
        if not isinstance(asked, int) or isinstance(asked, bool) or asked < 1:
            raise ValueError(
                f"processes={asked!r}: use a whole number, at least 1, or leave it out"
            )
        return min(asked, max(files, 1))
    if files <= FEW.get(search, 4):
        return 1
    mine = hasattr(os, "sched_getaffinity")  # cores that this process may use
    return min(len(os.sched_getaffinity(0)) if mine else os.cpu_count() or 1, files)


class Worker:
    """A Python process that turns questions into answers: paths into rows.

    It is no child of `multiprocessing`, which would run the caller's script again; it starts when
    it is first asked, does not hear Ctrl-C, and ends when its input does, even if this process is
    killed.

    Parameters
    ----------
    asked : picklable
        What `read` is given beside the question.
    read : callable
        (question, asked) to an answer; a function of a module, which the process imports.
    """

    def __init__(self, asked: Any, read: Callable[[Any, Any], Any]) -> None:
        self.asked, self.read = asked, read
        self.process: subprocess.Popen[bytes] | None = None
        self.stopped, self.lock = False, threading.Lock()

    def ask(self, question: Any) -> Any:
        """Return the answer, or the error, as text, of a process that died over the question."""
        process = self.process or self.start()
        try:
            return self.exchange(process, question)
        except (EOFError, OSError, pickle.UnpicklingError):
            self.process = None
            return (
                f"the process that read this file died (exit status {kill_process(process)});"
                " it may need too much memory"
            )

    def start(self) -> subprocess.Popen[bytes]:
        """Start a fresh process that has imported what it needs."""
        with self.lock:
            if self.stopped:
                raise RuntimeError("the scan is over")
            self.process = subprocess.Popen(
                [sys.executable, "-c", START],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | ONE_THREAD,
                start_new_session=True,
            )
        try:
            self.exchange(self.process, sys.path, self.read, self.asked)
        except (EOFError, OSError) as error:
            raise RuntimeError(
                "a process for the scan could not start; use processes=1, which shows why"
            ) from error
        return self.process

    @staticmethod
    def exchange(process: subprocess.Popen[bytes], *questions: Any) -> Any:
        """Send what the process waits for, and return its one answer."""
        assert process.stdin and process.stdout  # as pipes
        process.stdin.write(b"".join(map(pickle.dumps, questions)))
        process.stdin.flush()
        return pickle.load(process.stdout)

    def stop(self) -> None:
        """End the process at once, and start no other."""
        with self.lock:
            self.stopped, process = True, self.process
        if process:
            kill_process(process)


def kill_process(process: subprocess.Popen[bytes]) -> int:
    """Kill the process if it still runs, and return its exit status."""
    process.kill()
    status = process.wait()
    for pipe in filter(None, (process.stdin, process.stdout)):
        with suppress(OSError):  # what was not yet written to a dead process
            pipe.close()
    return status


def serve_rows() -> None:
    """Do what the process does: answer questions, until there are no more."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints does not disturb the answers
    read, asked = pickle.load(sys.stdin.buffer), pickle.load(sys.stdin.buffer)
    answer: Any = "ready"
    with suppress(EOFError):
        while True:
            pickle.dump(answer, answers)
            answers.flush()
            answer = read(pickle.load(sys.stdin.buffer), asked)
