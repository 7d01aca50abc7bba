"""Before anything runs: requests are resolved and checked, finished cells found, and the rest put into a cheap order."""
from __future__ import annotations

import functools
import html
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .models import Native, native, resolve
from .progress import duration
from .prompts import rows_of, tokens_of, weighted
from .request import Request, key_of
from .store import Store


@dataclass(frozen=True)
class Cell:
    """A resolved request and its key."""

    key: str
    request: Request


@dataclass(frozen=True)
class Plan:
    """Checked requests: all cells in the order given, and those to render, grouped by what a batch must share."""

    cells: list[Cell]
    groups: list[list[Cell]]
    natives: dict[str, Native]

    @property
    def todo(self) -> int:
        """How many cells are to be rendered."""
        return sum(map(len, self.groups))


def listed(requests: Request | Iterable[Request]) -> list[Request]:
    """The requests as a list, or an error that says what was found instead of one."""
    found = [requests] if isinstance(requests, Request) else list(requests)
    for i, request in enumerate(found):
        if not isinstance(request, Request):
            raise TypeError(f"item {i} is {request!r:.80}, not a Request; make requests with sweep(...) or Request(...)")
    return found


def plan(requests: list[Request], store: Store) -> Plan:
    """Resolves and checks the requests, and finds what the store lacks.

    Raises
    ------
    ValueError
        With the name of the field and the request's place in the list.
    """
    natives = {name: native(name) for name in dict.fromkeys(request.model for request in requests)}
    cells = []
    for i, request in enumerate(requests):
        try:
            resolved = resolve(request, natives[request.model])
        except ValueError as error:
            raise ValueError(f"request {i} of {len(requests)}: {error}") from None
        cells.append(Cell(key_of(resolved.to_dict()), resolved))
    finished = store.finished([cell.key for cell in cells])
    todo = list({cell.key: cell for cell in cells if cell.key not in finished}.values())
    check_prompts(todo, natives)
    return Plan(cells, grouped(todo, natives), natives)


def grouped(cells: list[Cell], natives: dict[str, Native]) -> list[list[Cell]]:
    """Groups that can share batches, the dearest change outermost: model, size, scheduler, steps and length of the texts."""
    length = functools.cache(lambda model, *read: chunks(natives[model], *read))  # seeds are many, prompts few

    def shared(cell: Cell) -> tuple:
        r = cell.request
        texts = length(r.model, r.prompt_syntax, r.prompt, r.negative_prompt)
        return r.weights, (r.height, r.width), (r.scheduler, r.num_inference_steps, r.eta, texts)

    models, sizes, groups = {}, {}, {}
    for cell in cells:
        model, size, _ = name = shared(cell)
        models.setdefault(model, len(models))
        sizes.setdefault((model, size), len(sizes))
        groups.setdefault(name, []).append(cell)
    return [groups[name] for name in sorted(groups, key=lambda name: (models[name[0]], sizes[name[:2]]))]


def chunks(own: Native, syntax: str | None, *prompts: str) -> int:
    """How many texts of 75 tokens the longest of the prompts takes; one, unless chunks are asked for."""
    if "chunks" not in (syntax or ""):
        return 1
    return max(len(rows_of(reader(own), prompt, syntax)) for prompt in prompts)


def reader(own: Native) -> Any:
    """The model's tokenizer."""
    from .pipelines import tokenizer

    return tokenizer(Path(own.model.path).resolve(), own.weights)


def check_prompts(cells: list[Cell], natives: dict[str, Native]) -> None:
    """Refuses prompts that cannot be read, or that the text encoder would cut, and says what would be lost."""
    texts = {(c.request.model, name, text, c.request.prompt_syntax or "") for c in cells
             for name in ("prompt", "negative_prompt") if (text := getattr(c.request, name))}
    for model, name, text, syntax in sorted(texts):
        try:
            plain = "".join(piece for piece, _ in weighted(text)) if "weights" in syntax else text
        except ValueError as error:
            raise ValueError(f"{name}={text!r:.200}: {error}") from None
        if "chunks" not in syntax:
            require_short(natives[model], (model, name, text, syntax), plain)


def require_short(own: Native, given: tuple[str, str, str, str], plain: str) -> None:
    """Refuses a text of more tokens than the model reads at once; `plain` is the text without its weights."""
    (model, name, text, syntax), most = given, own.layout.max_tokens
    if 2 * len(plain.encode()) < most - 2:
        return  # a token is at least one byte of the lower-cased text: this cannot be too long
    tokens = [token for token, _ in tokens_of(reader(own), text, syntax)]
    if len(tokens) > most - 2:
        lost = reader(own).decode(tokens[most - 2:])
        raise ValueError(f"{name} has {len(tokens) + 2} tokens (with the two that mark its ends), {model!r} takes {most}; "
                         f"the end would be lost: {lost!r:.80}. Shorten {text!r:.200}, or have it read in parts of {most - 2} "
                         f"tokens with prompt_syntax={f'{syntax}+chunks'.lstrip('+')!r}")


@dataclass(frozen=True)
class Preview:
    """What a run would do; its `repr` is a sentence for people.

    Parameters
    ----------
    cells, finished, todo : int
        Requests given; different cells that are finished; different cells to render.
    seconds : float or None
        About how long, None if nothing is known about a model's speed here.
    models : tuple of str
        In the order in which they would be loaded.
    """

    cells: int
    finished: int
    todo: int
    seconds: float | None
    models: tuple[str, ...]

    @property
    def _counted(self) -> str:
        return f"{self.cells:,} cell{'s' * (self.cells != 1)}"

    def __repr__(self) -> str:
        if not self.todo:
            return f"{self._counted}, all finished: nothing to render"
        time = "how long will be known after the first step" if self.seconds is None else f"about {duration(self.seconds)}"
        return (f"{self._counted}: {self.finished} finished, {self.todo} to render on {', '.join(self.models)}, {time}")

    def _repr_html_(self) -> str:
        return html.escape(repr(self))


def preview(requests: Request | Iterable[Request], store: Store | str) -> Preview:
    """What `run(requests, store)` would do: how many cells, how many of them finished, about how long the rest takes.

    The requests are checked as `run` checks them. The time follows from finished cells of the same model and size in
    the store, or else from the figures in `MODELS`; loading a model is not in it.
    """
    store = store if isinstance(store, Store) else Store(store)
    found = plan(listed(requests), store)
    times = [seconds(group, found, store) for group in found.groups]
    models = dict.fromkeys(group[0].request.model for group in found.groups)
    different = len({cell.key for cell in found.cells})
    return Preview(len(found.cells), different - found.todo, found.todo, None if None in times else sum(times), tuple(models))


def seconds(group: list[Cell], found: Plan, store: Store) -> float | None:
    """About how long a group takes, from what the store recorded or from the model's own figure."""
    from .pipelines import NARROW, cells_together, device_here, lanes_here

    r, own = group[0].request, found.natives[group[0].request.model]
    one = store.seconds(weights=r.weights, num_inference_steps=r.num_inference_steps, height=r.height, width=r.width)
    if one is None and own.model.seconds_per_step is not None:
        larger = r.height * r.width / (own.layout.height * own.layout.width)
        one = own.model.seconds_per_step * r.num_inference_steps * larger
    lanes, threads = lanes_here(device_here(), own.layout.channels < NARROW)
    at_once = lanes * cells_together(r.height // own.layout.factor, r.width // own.layout.factor, threads)
    return None if one is None else one * at_once * -(-len(group) // at_once)  # a batch costs the same full or not
