"""A plan is carried out: batches in lanes, files written meanwhile, spoiled cells once more."""

from __future__ import annotations

import dataclasses
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from queue import Queue
from typing import Any

import torch

from ..errors import GenerationError
from ..models.memory import LEVELS, Footing, has_own_memory, is_out_of_memory, read_limit, release
from ..models.packing import Packed
from ..models.parts import hash_parts
from ..models.pipeline import Loaded, device_here, load, machine_facts, unload
from ..models.resolve import Native, read_effects, swap_parts, tell_origin
from ..models.tasks import count_calls
from ..progress import Event, Listeners, Progress
from ..recipe.request import Recipe
from ..recipe.schedulers import write_inherited
from ..store.store import Store
from .batch_size import share_cells
from .budget import begin_footing, choose_footing, describe_shortage, packing_pays
from .card import choose_batch, compiling_pays, try_call
from .denoise import Cancelled, Clean, OnStep
from .latents import NOTHING, Latents, Made
from .options import Options
from .plan import Plan
from .renderer import Picture, Renderer
from .sketch import Sketches
from .stock import StockRenderer

WRITERS = 8  # threads; a card makes more pictures than one thread compresses
MOST_WAITING = 64  # pictures to be written; a slow disk rather holds the lanes back
Rendered = tuple[Recipe, Picture, dict[str, Any]]  # with the facts to record


@dataclass
class Attempt:
    """Cells on one footing: batches not begun yet, and those whose batch ran out of memory."""

    renderer: Renderer | StockRenderer
    own: Native
    footing: Footing
    batches: deque[list[Recipe]]
    unfit: list[Recipe] = field(default_factory=list)

    def take(self) -> list[Recipe] | None:
        """Takes the next batch; None at the end, or once one ran out of memory, as others would."""
        try:
            return None if self.unfit else self.batches.popleft()
        except IndexError:
            return None

    def list_left(self) -> list[Recipe]:
        """Lists what is to be rendered on a lower footing."""
        return self.unfit + [cell for batch in self.batches for cell in batch]


@dataclass
class Errand:
    """What has the cells of a plan rendered into a store, here or elsewhere.

    Parameters
    ----------
    store, progress : Store, Progress
        Filled, and kept up to date.
    show : callable
        Called after each step.
    stop : threading.Event
        Once set, all that is at work ends before its next step.
    options : Options
        What `run` was asked for.
    errors : dict
        {key: message} of the cells that failed.
    listeners : Listeners
        Told of what lands, of what fails, and now and then of what the cells at work look like.
    """

    store: Store
    progress: Progress
    show: Callable[[], None]
    stop: threading.Event
    options: Options = field(default_factory=Options)
    errors: dict[str, str] = field(default_factory=dict)
    listeners: Listeners = field(default_factory=Listeners)

    def fail(self, cell: Recipe, message: str, cause: Exception | None = None) -> None:
        """Takes note of a cell without a picture; raises if that is to end the run."""
        self.errors[cell.key] = message
        self.progress.count_failed()
        self.listeners.tell(Event("failed", cell.key, error=message))
        if self.options.on_error == "raise":
            raise GenerationError(f"{message}, for {cell}", cell) from cause


@dataclass
class Lanes(Errand):
    """What renders the cells of a plan on this machine.

    A narrow UNet is rendered in as many lanes as there are cores, each a thread that computes whole
    batches on one core; a wide one, or one on a GPU, in a single lane.
    """

    def __post_init__(self) -> None:
        self.sketches = Sketches(self.listeners)

    def render(self, plan: Plan, made: Mapping[str, Made] = NOTHING) -> None:
        """Renders all groups of the plan, one after the other; raises `Cancelled` when stopped.

        `made` are latents that are known from elsewhere.
        """
        self.alike = plan.alike
        self.latents = Latents(plan, self.store, kept=self.options.keep_latents, made=made)
        for group in self.latents.order_groups(plan.groups):
            own = swap_parts(plan.natives[group[0].model], group[0])
            on_card = has_own_memory(self.options.main_device or device_here())
            writers = min(WRITERS, os.cpu_count() or 1) if on_card else 1
            with ThreadPoolExecutor(writers, "sdlab writer") as writer:  # while the lanes compute
                self._render_group(group, own, writer)

    def _render_group(self, group: list[Recipe], own: Native, writer: ThreadPoolExecutor) -> None:
        """Renders a group; then, lower what had no room, in float32 what half precision spoiled."""
        footing = begin_footing(self.options.memory, self.options.batch_size)
        waiting: deque[tuple[list[Recipe], str | None, dict[str, str]]] = deque(
            [(group, self.options.dtype, {})]
        )
        while waiting:
            self._heed_stop()
            cells, dtype, reasons = waiting.popleft()
            try:
                footing = choose_footing(
                    own,
                    cells[0],
                    self.options.main_device,
                    dtype,
                    footing,
                    self.options.memory,
                    self.alike[cells[0].key],
                )
            except MemoryError as error:
                for cell in cells:
                    self._fail(cell, error)
                continue
            self.progress.note = str(footing)
            lower, unfit, spoiled = self._render_cells(cells, own, dtype, footing, reasons, writer)
            if unfit and lower:
                release(cycles=lower.memory != footing.memory)
                footing = lower
                waiting.appendleft((unfit, dtype, reasons))
            if spoiled:
                waiting.append(
                    ([cell for cell in cells if cell.key in spoiled], "float32", spoiled)
                )
        self.progress.note = ""

    def _render_cells(
        self,
        cells: list[Recipe],
        own: Native,
        dtype: str | None,
        footing: Footing,
        reasons: dict[str, str],
        writer: ThreadPoolExecutor,
    ) -> tuple[Footing | None, list[Recipe], dict[str, str]]:
        """Renders and saves what it can.

        Returns
        -------
        footing or None, list, dict
            The next footing, the cells for it, and {key: reason} of those that were spoiled.
        """
        try:
            renderer = self._load_renderer(cells, own, dtype, footing)
        except Exception as error:  # a model that cannot be loaded does not end the others' cells
            lower = footing.lower(1) if is_out_of_memory(error) else None
            for cell in cells if lower is None else ():
                self._fail(cell, error)
            return lower, cells, {}
        size = renderer.batch_size(cells[0])
        parts = self.latents.choose(cells, record_facts(renderer, 0.0, size))
        batches = deque(
            part[start : start + size] for part in parts for start in range(0, len(part), size)
        )
        attempt = Attempt(renderer, own, footing, batches)
        spoiled = self._save_all(attempt, reasons, writer)
        return footing.lower(size), attempt.list_left(), spoiled

    def _load_renderer(
        self, cells: list[Recipe], own: Native, dtype: str | None, footing: Footing
    ) -> Renderer | StockRenderer:
        """Loads the model, without its text encoder if that is how memory is saved."""
        device, size = self.options.main_device, footing.batch_size
        loaded = load(own, device, dtype, footing.memory)
        if size is None and not loaded.call:
            loaded, size = self._share_out(loaded, own, cells[0])
        if loaded.call:
            return StockRenderer(loaded, size)
        renderer = self._compile(Renderer(loaded, size), cells)
        plan, size = self.alike[cells[0].key], renderer.batch_size(cells[0])
        if self.options.memory == "auto" and packing_pays(
            renderer.loaded, own, cells[0], plan, size
        ):
            renderer.packed = Packed()
        drop = LEVELS[footing.memory].drop_text and not has_own_memory(renderer.loaded.device)
        if drop and renderer.drop_text_encoder(cells):
            unload()  # the pipeline is of no use to others now
        return renderer

    def _compile(self, renderer: Renderer, cells: list[Recipe]) -> Renderer:
        """Has the UNet compiled if that is asked for, or pays for the whole plan's like cells."""
        loaded, wanted = renderer.loaded, self.options.compile
        size = renderer.batch_size(cells[0])
        if wanted == "auto":
            wanted = compiling_pays(loaded, cells[0], self.alike[cells[0].key])
        renderer.loaded = loaded.compile(bool(wanted and loaded.choose_task(cells[0]).start))
        if renderer.loaded.compiled:
            note, self.progress.note = self.progress.note, "compiling the UNet"
            self.show()
            error = try_call(renderer.loaded, cells[0], size)
            if error and self.options.compile is True:
                raise error
            if error:
                renderer.loaded = loaded.compile(False)
            said = "the UNet cannot be compiled" if error else "the UNet is compiled"
            self.progress.note = ", ".join(filter(None, (note, said)))
        return renderer

    def _share_out(self, loaded: Loaded, own: Native, cell: Recipe) -> tuple[Loaded, int]:
        """Shares the device out for the plan's cells: into lanes, and into batches of what pays.

        Latents that are there already are taken as they were made.
        """
        like = {name: getattr(loaded, name) for name in ("device", "dtype", "memory_format")}
        like["winograd"] = (loaded.winograd and self.options.compile is not True) or None
        plan, made = self.alike[cell.key], self.latents.recall_size(cell, **like)
        if has_own_memory(loaded.device):
            limit = read_limit(self.options.memory)
            return loaded, made or choose_batch(loaded, own, cell, plan, limit)
        lanes, threads, size = share_cells(
            loaded.pipe.unet.config.block_out_channels[0],
            loaded.lanes,
            loaded.threads,
            plan=plan,
            size=loaded.find_latent_size(cell),
        )
        return dataclasses.replace(loaded, lanes=lanes, threads=threads), made or size

    def _save_all(
        self, attempt: Attempt, reasons: dict[str, str], writer: ThreadPoolExecutor
    ) -> dict[str, str]:
        """Has the pictures saved as they come; returns {key: reason} of the spoiled ones."""
        spoiled: dict[str, str] = {}
        saving: deque[Future] = deque()
        try:
            for cell, picture, facts in self._run_lanes(attempt):
                if picture.problem and facts["dtype"] != "float32":
                    spoiled[cell.key] = f"{picture.problem} in {facts['dtype']}"
                    self.progress.count_computed(-1)
                elif picture.image is None:
                    self._fail(
                        cell,
                        ArithmeticError(
                            "the picture is not made of numbers (NaN or infinite), in float32 too"
                        ),
                    )
                else:
                    notes = reasons.get(cell.key), picture.rerun, str(attempt.footing)
                    facts = {**facts, "rerun": "; ".join(filter(None, notes)) or None}
                    saving.append(writer.submit(self._save, cell, picture, facts))
                while saving and (saving[0].done() or len(saving) > MOST_WAITING):
                    saving.popleft().result()
        finally:
            for future in saving:
                future.result()
        return spoiled

    def _run_lanes(self, attempt: Attempt) -> Iterator[Rendered]:
        """Yields the cells as the lanes finish them, but for those that failed or had no room."""
        lanes, cores = attempt.renderer.loaded.lanes, torch.get_num_threads()
        done: Queue[list[Rendered] | BaseException | None]
        done = Queue(lanes)  # what nobody fetches holds the lanes back
        for _ in range(lanes):  # daemons: a script that ends need not wait for a whole batch
            threading.Thread(
                target=self._lane, args=(attempt, done), name="sdlab lane", daemon=True
            ).start()
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

    def _lane(self, attempt: Attempt, done: Queue) -> None:
        """Renders batches until none is left, and puts None, or the exception, at the end."""
        error = None
        try:
            torch.set_num_threads(attempt.renderer.loaded.threads)  # of this thread
            while (batch := attempt.take()) is not None:
                done.put(self._render_batch(attempt, batch))
        except BaseException as raised:
            error = raised
        done.put(error)

    def _render_batch(self, attempt: Attempt, batch: list[Recipe]) -> list[Rendered]:
        """Renders one batch; one that fails is taken apart, so that a bad cell fails alone."""
        self._heed_stop()
        batch = self._leave_out_landed(batch)
        if not batch:
            return []
        renderer, begun = attempt.renderer, time.perf_counter()
        try:
            ready = self.latents.read_batch(batch)
            pictures = renderer.draw_pictures(batch, self._make_on_step(renderer, batch), ready)
        except Cancelled:
            raise
        except Exception as error:
            if len(batch) == 1 or is_out_of_memory(error):
                self._postpone_or_fail(attempt, batch, error)
                return []
        else:
            return self._add_facts(
                attempt, batch, pictures, time.perf_counter() - begun, redecoded=ready is not None
            )
        # out of `except`, which holds tensors
        return [item for cell in batch for item in self._render_batch(attempt, [cell])]

    def _leave_out_landed(self, batch: list[Recipe]) -> list[Recipe]:
        """Leaves out what another process has put into the store since the run began."""
        landed = self.store.find_finished([cell.key for cell in batch])
        for key in landed:
            self.progress.count_computed(1)
            self.progress.count_saved()
            self.listeners.tell(Event("landed", key))
        return [cell for cell in batch if cell.key not in landed]

    def _postpone_or_fail(self, attempt: Attempt, batch: list[Recipe], error: Exception) -> None:
        """Has the batch wait for a lower footing if it lacked memory and there is one, or fail."""
        size = attempt.renderer.batch_size(batch[0])
        if is_out_of_memory(error) and attempt.footing.lower(size):
            self.progress.count_computed(0)
            attempt.unfit.extend(batch)
            return
        if is_out_of_memory(error):
            error = MemoryError(
                describe_shortage(attempt.renderer.loaded, attempt.own, batch[0], error)
            )
        self.progress.count_computed(len(batch))
        for cell in batch:
            self._fail(cell, error)

    def _add_facts(
        self,
        attempt: Attempt,
        batch: list[Recipe],
        pictures: list[Picture],
        seconds: float,
        *,
        redecoded: bool,
    ) -> list[Rendered]:
        self.progress.count_computed(len(batch))
        renderer, own = attempt.renderer, attempt.own
        facts, first = record_facts(renderer, seconds, renderer.batch_size(batch[0])), batch[0]
        facts["lora_layers"] = ", ".join(map(str, read_effects(own).values())) or None
        how = first.scheduler, first.strength, first.num_inference_steps
        return [
            (
                cell,
                picture,
                {
                    **facts,
                    "task": renderer.loaded.choose_task(cell).name,
                    "inherited": write_inherited(first.scheduler, own.layout.scheduler) or None,
                    "unet_calls": None if redecoded or own.layout.call else count_calls(*how),
                    "guidance_norm": picture.guidance_norm,
                    "nsfw": picture.nsfw,
                    "origin": tell_origin(attempt.own),
                    "redecoded": self.latents.chosen[cell.key] if redecoded else None,
                    **picture.facts,
                },
            )
            for cell, picture in zip(batch, pictures)
        ]

    def _make_on_step(self, renderer: Renderer | StockRenderer, batch: list[Recipe]) -> OnStep:
        """Makes what is called before each step of a batch: it counts, and ends a stopped job."""

        def on_step(done: int, total: int, clean: Clean | None) -> None:
            self._heed_stop()
            self.progress.count_step(len(batch), done, total)
            self.show()
            if clean:
                self.sketches.show(renderer.loaded, batch, clean)

        return on_step

    def _heed_stop(self) -> None:
        if self.stop.is_set():
            raise Cancelled

    def _save(self, cell: Recipe, picture: Picture, facts: dict[str, Any]) -> None:
        self.store.save(
            cell,
            picture.image,
            facts,
            latents=self.latents.keep(cell, picture, facts),
            hashes=hash_parts(cell.to_dict()),
        )
        self.progress.count_saved()
        self.listeners.tell(Event("landed", cell.key))

    def _fail(self, cell: Recipe, error: Exception) -> None:
        self.fail(cell, f"{type(error).__name__}: {error}", error)


def record_facts(
    renderer: Renderer | StockRenderer, seconds: float, batch_size: int
) -> dict[str, Any]:
    """Lists what is recorded beside the recipes of a batch that took so many seconds.

    A cell's `seconds` are its share of the machine's time: all batches have one shape, so a batch
    costs the same full or not, and as many run at a time as there are lanes.
    """
    loaded = renderer.loaded
    return {
        "seconds": seconds / batch_size / loaded.lanes,
        "batch_size": batch_size,
        "device": loaded.device,
        "dtype": loaded.dtype,
        "memory": loaded.memory,
        "threads": loaded.threads,
        "memory_format": loaded.memory_format,
        "compiled": loaded.compiled or None,
        "winograd": loaded.winograd or None,
        "created": datetime.now(UTC).isoformat(timespec="milliseconds"),
        **machine_facts(),
    }
