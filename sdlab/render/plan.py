"""Before anything runs: requests are resolved and checked, finished cells found, and the rest put into a cheap order."""

from __future__ import annotations

import functools
import html
import sys
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..errors import FieldError
from ..models.resolve import Native, key_of_latents, native, resolve, swap_parts
from ..models.tasks import choose_task
from ..pictures import PICTURES, input_names, require_picture
from ..progress import duration
from ..recipe.prompts import fill_rows, list_tokens, parse_weights
from ..recipe.request import Request
from ..store.store import Store

STRETCHED = 0.02  # of a picture's proportions; less is not seen
ROUNDED = 8  # pixels; less is due to sides that are multiples of that


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
            raise TypeError(
                f"item {i} is {request!r:.80}, not a Request; make requests with sweep(...) or"
                " Request(...)"
            )
    return found


def plan(requests: list[Request], store: Store) -> Plan:
    """Resolves and checks the requests, and finds what the store lacks.

    Raises
    ------
    ValueError
        With the name of the field and the request's place in the list.
    """
    natives = {name: native(name) for name in dict.fromkeys(request.model for request in requests)}
    store.inputs.lend({name for request in requests for name in input_names(vars(request))})
    cells = []
    for i, request in enumerate(requests):
        try:
            resolved = resolve(request, natives[request.model])
        except FieldError as error:
            raise error.prefixed(f"request {i} of {len(requests)}: ") from None
        except ValueError as error:
            raise ValueError(f"request {i} of {len(requests)}: {error}") from None
        cells.append(Cell(resolved.key, resolved))
    finished = store.finished([cell.key for cell in cells])
    todo = list({cell.key: cell for cell in cells if cell.key not in finished}.values())
    check_prompts(todo, natives)
    check_pictures(todo, natives)
    return Plan(cells, grouped(todo, natives), natives)


def grouped(cells: list[Cell], natives: dict[str, Native]) -> list[list[Cell]]:
    """Groups that can share batches, the dearest change outermost: model, LoRA and tokens, VAE, size, and the others."""
    length = functools.cache(
        lambda model, words, *read: chunks(knowing(natives[model], words), *read)
    )  # seeds are many

    def shared(cell: Cell) -> tuple:
        r = cell.request
        texts = length(r.model, r.textual_inversion, r.prompt_syntax, r.prompt, r.negative_prompt)
        task = choose_task(r, natives[r.model].layout.tasks).name
        parts = natives[r.model].weights, (r.lora, r.textual_inversion), (r.vae, r.weights)
        return (
            *parts,
            (r.height, r.width),
            (task, r.scheduler, r.num_inference_steps, r.strength, r.eta, texts),
        )

    groups: dict[tuple, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(shared(cell), []).append(cell)
    first = {
        name[:n]: i for i, name in reversed([*enumerate(groups)]) for n in range(1, 6)
    }  # when each part was first met
    return [
        groups[name]
        for name in sorted(groups, key=lambda name: [first[name[:n]] for n in range(1, 6)])
    ]


def knowing(own: Native, words: str | None) -> Native:
    """The model with these textual inversions alone in it, as far as texts are concerned."""
    return swap_parts(own, Request(textual_inversion=words))


def chunks(own: Native, syntax: str | None, *prompts: str) -> int:
    """How many texts of 75 tokens the longest of the prompts takes; one, unless chunks are asked for."""
    if "chunks" not in (syntax or ""):
        return 1
    return max(len(fill_rows(reader(own), prompt, syntax)) for prompt in prompts)


def reader(own: Native) -> Any:
    """The model's tokenizer."""
    from ..models.pipeline import open_tokenizer

    return open_tokenizer(own)


def check_prompts(cells: list[Cell], natives: dict[str, Native]) -> None:
    """Refuses prompts that cannot be read, or that the text encoder would cut, and says what would be lost."""
    texts = {
        (
            c.request.model,
            c.request.textual_inversion or "",
            name,
            text,
            c.request.prompt_syntax or "",
        )
        for c in cells
        for name in ("prompt", "negative_prompt")
        if (text := getattr(c.request, name))
    }
    for model, words, name, text, syntax in sorted(texts):
        own = knowing(natives[model], words or None)
        try:
            plain = (
                "".join(piece for piece, _ in parse_weights(text)) if "weights" in syntax else text
            )
        except ValueError as error:
            raise ValueError(f"{name}={text!r:.200}: {error}") from None
        if "chunks" not in syntax:
            require_short(own, (model, name, text, syntax), plain)


def require_short(own: Native, given: tuple[str, str, str, str], plain: str) -> None:
    """Refuses a text of more tokens than the model reads at once; `plain` is the text without its weights."""
    (model, name, text, syntax), most = given, own.layout.max_tokens
    if 2 * len(plain.encode()) < most - 2 and not own.swaps.embeddings:
        return  # a token is at least one byte of the lower-cased text: this cannot be too long
    tokens = [token for token, _ in list_tokens(reader(own), text, syntax)]
    if len(tokens) > most - 2:
        lost = reader(own).decode(tokens[most - 2 :])
        raise ValueError(
            f"{name} has {len(tokens) + 2} tokens (with the two that mark its ends), {model!r}"
            f" takes {most}; the end would be lost: {lost!r:.80}. Shorten {text!r:.200}, or have it"
            f" read in parts of {most - 2} tokens with"
            f" prompt_syntax={f'{syntax}+chunks'.lstrip('+')!r}"
        )


def check_pictures(cells: list[Cell], natives: dict[str, Native]) -> None:
    """Refuses input pictures that nobody has, and warns of sizes that spoil what comes out."""
    for request in (cell.request for cell in cells):
        for field in PICTURES:
            if name := getattr(request, field):
                try:
                    require_picture(name)
                except ValueError as error:
                    raise ValueError(f"{field}: {error}") from None
    for said in (stretching, unusual, unused):
        found = list(
            dict.fromkeys(
                filter(None, (said(cell.request, natives[cell.request.model]) for cell in cells))
            )
        )
        if found:
            more = f" (and {len(found) - 1} more like this)" if len(found) > 1 else ""
            warnings.warn(found[0] + more, stacklevel=caller())


def stretching(request: Request, own: Native) -> str | None:
    """What is said of an input picture whose proportions change; None if they hardly do."""
    for field in PICTURES:
        if name := getattr(request, field):
            width, height = require_picture(name).size
            change = (width / height) / (request.width / request.height)
            apart = min(
                abs(width * request.height / height - request.width),
                abs(height * request.width / width - request.height),
            )
            if max(change, 1 / change) > 1 + STRETCHED and apart >= ROUNDED:
                return (
                    f"{field} has {width}x{height} pixels and is stretched to"
                    f" {request.width}x{request.height}, which changes its proportions by"
                    f" {max(change, 1 / change) - 1:.0%}; crop it first, or state another height or"
                    " width"
                )
    return None


def unusual(request: Request, own: Native) -> str | None:
    """What is to be expected of a size far from the one that the model has learned; None if it is near."""
    native, share = (
        own.layout,
        request.height * request.width / (own.layout.height * own.layout.width),
    )
    if choose_task(request, native.tasks).enlarges:
        return None
    expected = (
        "things that are there twice, or run on"
        if share > 2
        else (
            "parts of things, and little that is clear"
            if share < 0.5 or 2 * request.height < native.height or 2 * request.width < native.width
            else None
        )
    )
    return expected and (
        f"{request.model!r} has learned pictures of {native.width}x{native.height}; at"
        f" {request.width}x{request.height} expect {expected}"
    )


def unused(request: Request, own: Native) -> str | None:
    """What is said of textual inversions that no prompt asks for, which then do nothing; None if all are used."""
    if request.textual_inversion is None:
        return None
    tokens = [token for _, token, _ in knowing(own, request.textual_inversion).swaps.embeddings]
    idle = [token for token in tokens if token not in request.prompt + request.negative_prompt]
    return (
        f"textual_inversion: {idle[0]!r} is not in the prompts ({request.prompt!r:.80}) and does"
        " nothing"
        if idle
        else None
    )


def caller() -> int:
    """The stacklevel of the line, outside of sdlab, that asked for what the function calling this warns of."""
    level, frame = 1, sys._getframe(1)
    while (
        frame.f_back
        and frame.f_globals["__name__"].partition(".")[0] == __package__.partition(".")[0]
    ):
        level, frame = level + 1, frame.f_back
    return level


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
        time = (
            "how long will be known after the first step"
            if self.seconds is None
            else f"about {duration(self.seconds)}"
        )
        return (
            f"{self._counted}: {self.finished} finished, {self.todo} to render on"
            f" {', '.join(self.models)}, {time}"
        )

    def _repr_html_(self) -> str:
        return html.escape(repr(self))


def preview(requests: Request | Iterable[Request], store: Store | str) -> Preview:
    """What `run(requests, store)` would do: how many cells, how many of them finished, about how long the rest takes.

    The requests are checked as `run` checks them. The time follows from finished cells of the same
    model and size in the store, or else from the figures in `MODELS`; loading a model is not in it.
    """
    store = store if isinstance(store, Store) else Store(store)
    found = plan(listed(requests), store)
    times = [seconds(cells, found, store, share) for cells, share in costs(found, store)]
    models = dict.fromkeys(group[0].request.model for group in found.groups)
    different = len({cell.key for cell in found.cells})
    return Preview(
        len(found.cells),
        different - found.todo,
        found.todo,
        None if None in times else sum(times),
        tuple(models),
    )


def costs(found: Plan, store: Store) -> list[tuple[list[Cell], float]]:
    """The cells to render, and which share of its time each takes: one that is only decoded takes about that of a step."""
    if not any(cell.request.vae or cell.request.watermark for cell in found.cells):
        return [(group, 1.0) for group in found.groups]
    names = {
        cell.key: key_of_latents(cell.request, found.natives[cell.request.model]) or cell.key
        for cell in found.cells
    }
    todo = {cell.key for group in found.groups for cell in group}
    met = {names[cell.key] for cell in found.cells if cell.key not in todo} | store.finished(
        names.values()
    )
    out = []
    for group in found.groups:
        firsts = {
            name: cell for cell in reversed(group) if (name := names[cell.key]) not in met
        }.values()
        again = [cell for cell in group if cell not in firsts]
        met |= {names[cell.key] for cell in group}
        out += [(list(firsts), 1.0), (again, 1 / group[0].request.num_inference_steps)]
    return [(cells, share) for cells, share in out if cells]


def seconds(group: list[Cell], found: Plan, store: Store, share: float = 1.0) -> float | None:
    """About how long a group takes, from what the store recorded or from the model's own figure."""
    from ..models.pipeline import NARROW, cells_together, device_here, lanes_here

    r, own = group[0].request, found.natives[group[0].request.model]
    like = dict(num_inference_steps=r.num_inference_steps, height=r.height, width=r.width)
    one = store.seconds(weights=r.weights, **like)
    one = (
        store.seconds(weights=own.weights, **like) if one is None else one
    )  # with its own parts it takes about as long
    if one is None and own.model.seconds_per_step is not None:
        larger = r.height * r.width / (own.layout.height * own.layout.width)
        one = own.model.seconds_per_step * r.num_inference_steps * larger
    one = None if one is None else one * share * (r.strength or 1)
    lanes, threads = lanes_here(device_here(), own.layout.channels < NARROW)
    at_once = lanes * cells_together(
        r.height // own.layout.factor, r.width // own.layout.factor, threads
    )
    return (
        None if one is None else one * at_once * -(-len(group) // at_once)
    )  # a batch costs the same full or not
