"""Processes that read files for a scan; they end with this one, and one's death is told."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

START = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); from sdlab.watermark.scanning"
    " import read_row; from sdlab.watermark.workers import serve; serve(read_row)"
)
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)


class Worker:
    """A Python process that turns paths into rows.

    It is no child of `multiprocessing`, which would run the caller's script again; it starts when
    it is first asked, does not hear Ctrl-C, and ends when its input does, even if this process is
    killed.

    Parameters
    ----------
    asked : mapping
        What `read_row` is given beside the path.
    """

    def __init__(self, asked: Mapping[str, Any]) -> None:
        self.asked = dict(asked)
        self.process: subprocess.Popen[bytes] | None = None
        self.stopped, self.lock = False, threading.Lock()

    def ask(self, file: str | None) -> dict[str, Any] | str:
        """Return the file's row, or the error of a process that died over it."""
        process = self.process or self.start()
        try:
            return self.exchange(process, file)
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
            self.exchange(self.process, sys.path, self.asked)
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
            self.stopped = True
            process = self.process
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


def serve(answer_to: Callable[[str | None, Mapping[str, Any]], Any]) -> None:
    """Do what the process does: read a path, answer it with a row, until there are no more."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints does not disturb the answers
    asked, answer = pickle.load(sys.stdin.buffer), "ready"
    with suppress(EOFError):
        while True:
            pickle.dump(answer, answers)
            answers.flush()
            answer = answer_to(pickle.load(sys.stdin.buffer), asked)
