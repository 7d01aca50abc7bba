"""`run(requests, store)`, and the background `Job` under it."""

from __future__ import annotations

import atexit
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from os import PathLike
from typing import TYPE_CHECKING, Any

from ..models.resolve import native
from ..progress import Event, Listener, Listeners, Progress, display, wait_in_turns
from ..recipe.collector import pause_collector
from ..recipe.request import FIELDS, Recipe, Request, list_inputs, read_fields
from ..store.columns import LABELS
from ..store.store import Store, open_store
from .options import Options, rendering
from .plan import Plan, list_requests, plan

if TYPE_CHECKING:
    import pandas

_running: dict[Job, None] = {}  # those that have not ended; the first one begun comes first
_hearers: list[weakref.WeakMethod[Callable[[Job], None]]] = []  # of the ends of all jobs
PAUSE = 0.5  # seconds after which a job that waits tells again how far the other one is


def run(
    requests: Request | Iterable[Request],
    store: Store | str | PathLike[str],
    *,
    batch_size: int | None = None,
    device: str | Sequence[str] | None = None,
    dtype: str | None = None,
    memory: str = "auto",
    compile: str | bool = "auto",
    keep_latents: bool = True,
    on_error: str = "record",
    progress: bool = True,
    cluster: Any = None,
    shared: bool = False,
) -> pandas.DataFrame:
    """Renders what the store does not have yet, and returns a frame of all cells, a row a request.

    The rows are in the order given. Every picture is saved as soon as its batch is done. An
    interrupt (the stop button, Ctrl-C) ends the run within one step and keeps what is finished; run
    again to go on.

    Parameters
    ----------
    requests : Request or iterable of Request
        Checked at once; a mistake raises here, before anything runs. Of none, such as the empty
        rest of a plan, a warning says so, and the frame has no rows.
    store : Store or path
        Finished cells in it are not rendered again; cells that failed are.
    batch_size : int, optional
        Cells in one call of the UNet. It is part of what decides a picture's last bits, and is
        recorded: the same recorded batch size and threads, the same bits. On a processor it follows
        by default from the size of the pictures, and is 1 where several threads share the work of
        one call (wide networks on many cores, or in plans too small for all lanes): there a larger
        one can change the last bits with the place. On a graphics card it is what pays: a cell's
        time is measured in batches of growing size, once for each card, width and size, and kept.
        A plan of fewer cells than are computed at once, finished ones counted, has a smaller power
        of two. To render one cell of a sweep to the bit again, give the size that is recorded. A
        model that runs in a pipeline of diffusers' own draws one picture in a call; of more,
        `neighbours` records who shared it, and more than last bits may hang on them: some pad a
        prompt to the longest of its call, and the network reads the padding (CogView4, diffusers
        0.42).
    device, dtype : str, optional
        By default the fastest here: "cuda" and "float16", or "cpu" and the number format in which
        it computes blocks of the model's width in the least time. That is measured once, in about a
        second, and kept in the user's cache folder for each processor and version of torch; so are
        the memory format, the way to convolve (recorded as `winograd`) and the split of the cores
        into lanes and threads, see `sdlab.estimate`.
        Another one changes a picture's last bits and not its key, and is recorded as `dtype`: state
        it where pictures of several machines are compared. A picture that half precision spoils
        (black, or not made of numbers) is decoded again in float32, and if that does not help,
        rendered again in float32.
    memory : {"auto", "low", "lower", "lowest"} or such as "4GB"
        How much to take. "auto" is the fastest, and lowers itself for the rest of a group of like
        cells where memory runs out, or would by estimate: first half the batch, as often as needed,
        then the next level. "low": one cell at a time with all processor threads, larger pictures
        than 512x512 decoded in tiles; a graphics card keeps the UNet alone. "lower": tiles of
        256x256, the text encoder let go once the prompts are encoded; a graphics card keeps a few
        layers at a time, the next one fetched meanwhile. "lowest": prompt and negative prompt one
        after the other, too. "4GB": as "auto", within so much by estimate. What was used is
        recorded in the columns `memory`, `batch_size` and `rerun`; `sdlab.models.memory` says what
        each measure saves and costs.
    compile : {"auto", True, False}
        Whether the UNet is compiled, which takes about a minute and saves a fifth or so of its
        time on a graphics card. "auto": there, where the plan is long enough by the times that were
        measured for its batch; the progress line says so. It changes the last bits and is recorded
        as `compiled`. On a processor it takes a C++ compiler and hardly pays. Pipelines of
        diffusers' own are not compiled.
    keep_latents : bool
        Whether each picture's file carries its latents (11 % more at 512x512, half as much again at
        64x64), from which a later run with another `vae` or `watermark` makes its picture without
        denoising. Within one run that is done in any case.
    on_error : {"record", "raise"}
        A failed cell becomes a row with its `error`, or ends the job with a `GenerationError`.
    progress : bool
        Show a bar with the time left.
    cluster : dask.distributed.Client, str or "local", optional
        Where to render: the workers of a Dask cluster, given as a client or its scheduler's
        address, or processes on this machine, one for each graphics card or group of cores. It
        takes `sdlab[cluster]`, there too. Pictures come back as bytes and are written here. A
        worker that lacks the weights, found by name and checked by their content, or has other
        versions, is left out before it computes, with a warning that names it; one that dies costs
        its batch, which another does. The bits are those of one machine where device, format and
        batch size are the same. With `device=["cuda:0", "cuda:1"]` each card has a worker. In a
        script, workers of this machine need `if __name__ == "__main__":`.
    shared : bool
        Whether the cluster's workers see the store's folder, under the same path, and write
        pictures there themselves.

    Returns
    -------
    pandas.DataFrame
        Columns: the resolved request, its `labels`, `path`, `error` (empty for a finished cell),
        and recorded facts.

    Raises
    ------
    ValueError, TypeError
        Before anything runs: an unknown model, a value that a model cannot take, a prompt over the
        token limit.
    GenerationError
        With `on_error="raise"`: the first cell that failed.
    OSError
        The store cannot be written to (full disk, read-only). What is finished stays finished.
    ConnectionError, RuntimeError
        The cluster's scheduler is not there or gone, or none of its workers can render the plan.
    """
    job = Job(
        requests,
        store,
        batch_size=batch_size,
        device=device,
        dtype=dtype,
        memory=memory,
        compile=compile,
        keep_latents=keep_latents,
        on_error=on_error,
        progress=progress,
        cluster=cluster,
        shared=shared,
    )
    try:
        job.wait()
    except KeyboardInterrupt:
        job.stop().wait()
        raise KeyboardInterrupt(f"{job.progress}; run again to go on from there") from None
    return job.result()


class Job:
    """`run` in a background thread: the notebook stays usable while it renders.

    The parameters are those of `run`. What cannot be is refused at once; then rendering begins, or
    waits for the job that renders: there is one at a time. `Job.list_running()` lists them all.
    Interrupting the kernel (the stop button ■) stops them all, also where no cell runs.
    """

    def __init__(
        self,
        requests: Request | Iterable[Request],
        store: Store | str | PathLike[str],
        *,
        batch_size: int | None = None,
        device: str | Sequence[str] | None = None,
        dtype: str | None = None,
        memory: str = "auto",
        compile: str | bool = "auto",
        keep_latents: bool = True,
        on_error: str = "record",
        progress: bool = True,
        cluster: Any = None,
        shared: bool = False,
    ) -> None:
        self._is_spread = cluster is not None or isinstance(device, (list, tuple))
        self.options = Options(
            batch_size=batch_size,
            device=device,
            dtype=dtype,
            memory=memory,
            compile=compile,
            keep_latents=keep_latents,
            on_error=on_error,
            elsewhere=cluster is not None,
        )
        self._choose_place(cluster, shared)
        self.store = open_store(store)
        self.exception: BaseException | None = None
        self._plan: Plan = plan(list_requests(requests), self.store)
        self._keep_inputs()
        self._errors, self._listeners, self._holds = dict[str, str](), Listeners(), False
        self.progress = Progress(total=len({c.key for c in self._plan.cells}), todo=self._plan.todo)
        self._show = display(self.progress) if progress and self._plan.todo else lambda: None
        self._stop, self._ended = threading.Event(), threading.Event()
        hear_interrupts()
        _running[self] = None
        threading.Thread(target=self._work, name="sdlab job", daemon=True).start()
        atexit.register(_stop_at_exit, weakref.ref(self))

    def _choose_place(self, cluster: Any, shared: bool) -> None:
        """Takes note of where to render; what is no cluster is refused."""
        self.cluster, self.shared = cluster, shared
        if self._is_spread:
            from .crew import require_cluster

            require_cluster(self.cluster, self.options)
        elif self.shared:
            raise ValueError(
                "shared=True says that a cluster's workers see the folder: give cluster"
            )

    def _keep_inputs(self) -> None:
        """Keeps the input pictures before anything is rendered; a lost folder comes back."""
        if self._plan.todo:
            self.store.prepare(self._plan.cells)
        else:
            with suppress(OSError):  # a store that cannot be written can be read
                self.store.inputs.keep(list_inputs(self._plan.cells))

    def __repr__(self) -> str:
        return f"<Job {self.state}: {self.progress}; store {self.store.root.name!r}>"

    @property
    def state(self) -> str:
        """Either "running", or how it ended: "done", "stopped" or "failed"."""
        return self.progress.state

    @staticmethod
    def list_running() -> list[Job]:
        """Lists the jobs of this Python that have not ended: the one that renders comes first."""
        return sorted(list(_running), key=lambda job: job.waits_for is not None)

    @property
    def waits_for(self) -> Job | None:
        """The job that has to end before this one begins; None if there is none."""
        if self._holds or self._is_spread or self._ended.is_set() or not self._plan.todo:
            return None
        return next((job for job in list(_running) if job._holds), None)

    @property
    def requests(self) -> list[Recipe]:
        """The resolved requests, in the order given: one for each row of the frame."""
        return list(self._plan.cells)

    @property
    def keys(self) -> list[str]:
        """The keys of the requests, in the same order; a cell asked for twice is there twice."""
        return [cell.key for cell in self._plan.cells]

    def watch(self, listener: Listener) -> Callable[[], None]:
        """Calls `listener(event)` for each event from now on, until what is returned is called.

        The last event is "ended", when `state` has its final value and before `wait()` and
        `result()` return; a job that has ended tells it at once. To miss nothing, watch first and
        read `frame()` then: what lands in between is in both.

        Parameters
        ----------
        listener : callable
            Gets an `Event`, from the job's own threads, perhaps from two at once: it must be quick,
            and must not wait for the job. What it raises is ignored. As long as anybody watches,
            cells at work are sketched up to 4 times a second, less often if a listener is slow.
        """
        return self._listeners.add(listener)

    def frame(self) -> pandas.DataFrame:
        """Makes the frame of all cells as it is now; those not reached have no path, no error."""
        return _make_frame(self._plan.cells, self.store, self._errors)

    def stop(self) -> Job:
        """Ends the job within one denoising step; what is finished is kept."""
        self._stop.set()
        return self

    def wait(self, timeout: float | None = None) -> bool:
        """Waits for the end, at most `timeout` seconds; True if the job has ended."""
        return wait_in_turns(self._ended.wait, timeout)

    def result(self) -> pandas.DataFrame:
        """Makes the frame of all cells, after waiting for the end; raises what made the job fail.

        A stopped job gives the cells that it did not reach without `path` and without `error`.
        """
        self.wait()
        if self.exception is not None:
            raise self.exception
        return self.frame()

    def _work(self) -> None:
        state = "done"
        try:
            if self._plan.todo:
                state = self._render() if self._take_turn() else "stopped"
        except BaseException as error:  # result() raises it again
            self.exception, state = error, "failed"
        finally:
            if self._holds:
                self._holds = False
                rendering.release()
            _running.pop(self, None)
            self.progress.state = state
            self._show()
            try:
                self._listeners.end()
            finally:
                self._ended.set()
                _tell_end(self)

    def _take_turn(self) -> bool:
        """Waits until no other job renders, and tells for whom; False if it was stopped first."""
        told = 0.0
        if self._is_spread:  # workers load models, in processes of their own
            return not self._stop.is_set()
        while not self._stop.is_set():
            if rendering.acquire(timeout=0.1):
                self._holds, self.progress.waits = True, ""
                return not self._stop.is_set()
            if (other := self.waits_for) and time.monotonic() - told > PAUSE:
                told = time.monotonic()
                name = other.store.root.name
                self.progress.waits = f"waits for the job in {name!r} ({other.progress})"
                self._show()
                self._listeners.tell(Event("waiting"))
        return False

    def _render(self) -> str:
        """Renders what is to be rendered; returns how that ended."""
        from .denoise import Cancelled

        asked = self.options, self._errors, self._listeners
        errand = self.store, self.progress, self._show, self._stop, *asked
        try:
            if self._is_spread:
                self._render_elsewhere(*errand)
            else:
                with pause_collector():
                    from .batches import Lanes

                Lanes(*errand).render(self._plan)
        except Cancelled:
            return "stopped"
        return "done"

    def _render_elsewhere(self, *errand: Any) -> None:
        from .cluster import Workers
        from .crew import open_client

        self.progress.note = "the cluster"
        self._show()
        with open_client(self.cluster, self.options.devices) as client:
            Workers(*errand, client=client, shared=self.shared).render(self._plan)


@pause_collector()
def _make_frame(cells: list[Recipe], store: Store, errors: dict[str, str]) -> pandas.DataFrame:
    """Makes the store's rows of these cells, with their own fields and labels, and errors."""
    import pandas

    out = store.frame([cell.key for cell in cells])
    for name, values in zip(FIELDS, zip(*map(read_fields, cells)), strict=bool(cells)):
        out[name] = pandas.Series(values, dtype=out[name].dtype)
    out["error"] = pandas.Series([errors.get(cell.key) for cell in cells], dtype="string")
    labels = dict.fromkeys(label for cell in cells for label in cell.labels)
    names = [label if label not in out else f"{label} (choice)" for label in labels]
    for place, (label, name) in enumerate(zip(labels, names), 1 + len(FIELDS)):
        column = pandas.Series([cell.labels.get(label) for cell in cells], dtype="string")
        out.insert(place, name, column)
    out.attrs[LABELS] = names
    return out


def load_early(model: str) -> None:
    """Loads a model, and what draws its sketches, while no job renders and none is in memory."""
    if not rendering.acquire(blocking=False):
        return
    try:
        from ..models import pipeline
        from . import batches  # noqa: F401 -- with which a job begins
        from .sketch import find_colours

        if not pipeline.is_any_loaded():
            find_colours(pipeline.load(native(model)).pipe.vae)
    finally:
        rendering.release()


def hear_ends(listener: Callable[[Job], None]) -> None:
    """Calls a method with each job of this Python that ends, as long as its object lives.

    It must be quick; what it raises is ignored.
    """
    _hearers[:] = [each for each in _hearers if each() is not None]
    _hearers.append(weakref.WeakMethod(listener))


def _tell_end(job: Job) -> None:
    for reference in list(_hearers):
        if listener := reference():
            with suppress(Exception):
                listener(job)


# An interrupt


def hear_interrupts() -> None:
    """Has an interrupt of the kernel stop every job: from now on, and only in a notebook.

    While a cell runs, an interrupt raises KeyboardInterrupt there; between cells ipykernel ignores
    it, and says in `saved_sigint_handler` what a handler is put back when a cell has ended.
    """
    if "ipykernel" not in sys.modules or threading.current_thread() is not threading.main_thread():
        return
    from IPython import get_ipython

    shell = get_ipython()
    kernel: Any = getattr(shell, "kernel", None)
    if getattr(kernel, "saved_sigint_handler", None) is signal.SIG_IGN:
        kernel.saved_sigint_handler = _stop_all
    if shell is not None and _stop_if_interrupted not in shell.events.callbacks["post_run_cell"]:
        shell.events.register("post_run_cell", _stop_if_interrupted)


def _stop_all(*_: Any) -> None:
    for job in list(_running):
        job.stop()


def _stop_if_interrupted(result: Any) -> None:
    """Stops the jobs after a cell that an interrupt ended, whatever was raised because of it."""
    error = result.error_in_exec or result.error_before_exec  # the latter between two statements
    known: set[int] = set()
    while error is not None and id(error) not in known:
        if isinstance(error, KeyboardInterrupt):
            return _stop_all()
        known.add(id(error))
        error = error.__cause__ or error.__context__


def _stop_at_exit(reference: weakref.ref) -> None:
    """Stops a job at the end of Python, which would tear it down in the middle of a step."""
    if (job := reference()) is not None:
        job.stop().wait()
