"""Before anything runs: requests are resolved and checked, and the rest put into a cheap order."""

from __future__ import annotations

import dataclasses
import functools
import html
import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike
from typing import Any

from ..errors import FieldError, blame_field, caller_level
from ..models.calls import MAPPED
from ..models.fit import require_weights_fit
from ..models.resolve import (
    Native,
    key_of_latents,
    list_former_weights,
    native,
    resolve,
    swap_parts,
    tell_native_size,
)
from ..models.tasks import choose_task, count_calls
from ..pictures import PICTURES, require_picture
from ..progress import duration
from ..recipe.collector import pause_collector
from ..recipe.prompts import fill_rows, list_tokens, parse_weights, write_tokens
from ..recipe.request import (
    PROMPTS,
    SHARED,
    Recipe,
    Request,
    key_of,
    list_inputs,
    read_all_but_seed,
)
from ..store.store import Store, open_store
from .batch_size import share_cells
from .notes import collect_finished, collect_notes, describe_strange_words, learn_words

SWAPPED = ("vae", "lora", "textual_inversion")
COMMON = tuple(name for name in MAPPED if name not in PROMPTS)  # to a call of diffusers'
EMPTY = (
    "the plan is empty: there is no request in it, so nothing is rendered. Perhaps none was left of"
    " those that were picked, or a generator of requests had been read before"
)


@dataclass(frozen=True)
class Plan:
    """Checked requests, and what is to be done for them.

    Parameters
    ----------
    cells : list of Recipe
        All, in the order given.
    groups : list of lists of Recipe
        Those to render, grouped by what a batch must share.
    alike : dict
        {key: cells of the plan, finished or not, that can share a batch with it}
    natives : dict
        {name: model}
    notes : dict
        {field: what is to be said about it before a run}
    """

    cells: list[Recipe]
    groups: list[list[Recipe]]
    alike: dict[str, int]
    natives: dict[str, Native]
    notes: dict[str, str]

    @property
    def todo(self) -> int:
        """Cells that are to be rendered."""
        return sum(map(len, self.groups))


def list_requests(requests: Request | Iterable[Request]) -> list[Request]:
    """Lists the requests, or says what was found instead of one."""
    found = [requests] if isinstance(requests, Request) else list(requests)
    for i, request in enumerate(found):
        if not isinstance(request, Request):
            raise TypeError(
                f"item {i} is {request!r:.80}, not a Request; make requests with sweep(...) or"
                " Request(...)"
            )
    return found


def plan(requests: list[Request], store: Store) -> Plan:
    """Resolves and checks the requests, finds what the store lacks, and warns of what looks wrong.

    Raises
    ------
    FieldError
        With the name of the field, and where one request is to blame its place in the list.
    """
    if not requests:  # the rest of a plan may be: no error
        warnings.warn(EMPTY, stacklevel=caller_level())
    with pause_collector():
        natives: dict[str, Native] = {}
        for name in dict.fromkeys(request.model for request in requests):
            with blame_field("model"):
                natives[name] = native(name)
        store.inputs.lend(list_inputs(requests))
        cells, finished = recognise(resolve_all(requests, natives), natives, store)
        different = {cell.key: cell for cell in cells}
        todo = list_unlike(cell for key, cell in different.items() if key not in finished)
        check_prompts(todo, natives)
        check_pictures(todo)
        check_weights(todo, natives)
        notes = collect_notes(todo, natives)
        for text in notes.values():
            warnings.warn(text, stacklevel=caller_level())
        strange = describe_strange_words(list_unlike(different.values()))
        for field, text in strange.items():  # an experiment as a rule: no warning
            notes[field] = f"{notes[field]}; {text}" if field in notes else text
        groups = group_cells(different.values(), natives)
        alike = {cell.key: len(group) for group in groups for cell in group}
        left = [[cell for cell in group if cell.key not in finished] for group in groups]
        return Plan(cells, [group for group in left if group], alike, natives, notes)


def list_unlike(cells: Iterable[Recipe]) -> list[Recipe]:
    """Lists, of those that differ in their seeds alone, the first: most checks see no more."""
    unlike: dict[tuple, Recipe] = {}
    for cell in cells:
        unlike.setdefault(read_all_but_seed(cell), cell)
    return list(unlike.values())


def resolve_all(requests: list[Request], natives: dict[str, Native]) -> list[Recipe]:
    """Resolves the requests in order; of those that differ in their seeds alone, the first."""
    firsts: dict[tuple, Recipe] = {}
    cells = []
    for i, request in enumerate(requests):
        first = firsts.get(rest := read_all_but_seed(request))
        try:
            if first is None:
                firsts[rest] = first = resolve(request, natives[request.model])
        except FieldError as error:
            raise error.prefixed(f"request {i} of {len(requests)}: ") from None
        except ValueError as error:
            raise ValueError(f"request {i} of {len(requests)}: {error}") from None
        cells.append(first.reseed(request))
    return cells


def recognise(
    cells: list[Recipe], natives: dict[str, Native], store: Store
) -> tuple[list[Recipe], set[str]]:
    """Finds what the store has, of earlier versions, too, which gave models other fingerprints.

    Returns
    -------
    cells : list of Recipe
        The same, those that an earlier version finished with the fingerprint that it gave.
    finished : set of str
        Their keys, as far as they are finished.
    """
    finished = store.find_finished([cell.key for cell in cells])
    missing = [cell for cell in cells if cell.key not in finished]
    stored = store.index.weights() - {cell.weights for cell in missing}
    if not stored or not missing:
        return cells, finished  # and large files that earlier versions counted are not read

    @functools.cache
    def list_former(model: str, **parts: Any) -> list[str]:
        found = list_former_weights(swap_parts(natives[model], Request(**parts)))
        return [weights for weights in found if weights in stored]

    former = {  # {key that it would have: (cell, fingerprint)}
        key_of(cell.to_dict() | {"weights": weights}): (cell, weights)
        for cell in missing
        for weights in list_former(cell.model, **{part: getattr(cell, part) for part in SWAPPED})
    }
    met = store.find_finished(former)
    known = {
        cell.key: dataclasses.replace(cell, weights=weights)
        for key, (cell, weights) in former.items()
        if key in met
    }
    return [known.get(cell.key, cell) for cell in cells], finished | met


def group_cells(cells: Iterable[Recipe], natives: dict[str, Native]) -> list[list[Recipe]]:
    """Groups cells that can share batches, the dearest change outermost.

    That is model, LoRA and tokens, VAE, size, and then the others.
    """
    length = functools.cache(
        lambda model, words, *read: count_chunks(learn_words(natives[model], words), *read)
    )

    def shared(r: Recipe) -> tuple:
        texts = length(r.model, r.textual_inversion, r.prompt_syntax, r.prompt, r.negative_prompt)
        layout = natives[r.model].layout
        task = choose_task(r, layout.tasks).name
        common = (*(getattr(r, n) for n in COMMON), not r.negative_prompt) if layout.call else ()
        once = (getattr(r, n) for n in SHARED)  # some are above too, where they order the groups
        parts = natives[r.model].weights, (r.lora, r.textual_inversion), (r.vae, r.weights)
        return (*parts, (r.height, r.width, r.tiling), (task, texts, *once, *common))

    groups: dict[tuple, list[Recipe]] = {}
    known: dict[tuple, tuple] = {}
    for cell in cells:
        if (rest := read_all_but_seed(cell)) not in known:
            known[rest] = shared(cell)
        groups.setdefault(known[rest], []).append(cell)
    first = {
        name[:n]: i for i, name in reversed([*enumerate(groups)]) for n in range(1, 6)
    }  # when each part was first met
    return [
        groups[name]
        for name in sorted(groups, key=lambda name: [first[name[:n]] for n in range(1, 6)])
    ]


def count_chunks(own: Native, syntax: str | None, *prompts: str) -> int:
    """Counts the texts of 75 tokens that the longest prompt takes; one without "chunks"."""
    if "chunks" not in (syntax or ""):
        return 1
    return max(len(fill_rows(open_tokenizer(own), prompt, syntax)) for prompt in prompts)


def open_tokenizer(own: Native) -> Any:
    """Opens the model's tokenizer, which takes importing torch."""
    from ..models import pipeline

    return pipeline.open_tokenizer(own)


def check_prompts(cells: list[Recipe], natives: dict[str, Native]) -> None:
    """Refuses prompts that cannot be read, or that the text encoder would cut."""
    texts = {
        (c.model, c.textual_inversion or "", name, text, c.prompt_syntax or "")
        for c in cells
        if not natives[c.model].layout.call  # which tells what it cuts
        for name in PROMPTS
        if (text := getattr(c, name))
    }
    for model, words, name, text, syntax in sorted(texts):
        own = learn_words(natives[model], words or None)
        try:
            plain = (
                "".join(piece for piece, _ in parse_weights(text)) if "weights" in syntax else text
            )
        except ValueError as error:
            raise FieldError(f"{name}={text!r:.200}: {error}", name) from None
        if "chunks" not in syntax:
            require_short(own, (model, name, text, syntax), plain)


def require_short(own: Native, given: tuple[str, str, str, str], plain: str) -> None:
    """Refuses a text of more tokens than the model reads; `plain` is the text without weights."""
    (model, name, text, syntax), most = given, own.layout.max_tokens
    if 2 * len(plain.encode()) < most - 2 and not own.swaps.embeddings:
        return  # a token is at least one byte of the lower-cased text: this cannot be too long
    tokens = [token for token, _ in list_tokens(open_tokenizer(own), text, syntax)]
    if len(tokens) > most - 2:
        lost = write_tokens(open_tokenizer(own), tokens[most - 2 :])
        raise FieldError(
            f"{name} has {len(tokens) + 2} tokens (with the two that mark its ends), {model!r}"
            f" takes {most}; the end would be lost: {lost!r:.80}. Shorten {text!r:.200}, or have it"
            f" read in parts of {most - 2} tokens with"
            f" prompt_syntax={f'{syntax}+chunks'.lstrip('+')!r}",
            name,
        )


def check_pictures(cells: list[Recipe]) -> None:
    """Refuses input pictures that nobody has."""
    for field, name in dict.fromkeys((f, getattr(c, f)) for c in cells for f in PICTURES):
        try:
            _ = name and require_picture(name)
        except ValueError as error:
            raise FieldError(f"{field}: {error}", field) from None


def check_weights(cells: list[Recipe], natives: dict[str, Native]) -> None:
    """Refuses models, and VAEs in the place of theirs, whose weights do not fit their networks."""
    for model, vae in dict.fromkeys((cell.model, cell.vae) for cell in cells):
        with blame_field("model"):
            require_weights_fit(natives[model])
        with blame_field("vae"):
            require_weights_fit(swap_parts(natives[model], Request(vae=vae)))


@dataclass(frozen=True)
class Preview:
    """What a run would do; its `repr` says so to people, with the notes.

    Parameters
    ----------
    cells, finished, todo : int
        Requests given; different cells that are finished; different cells to render.
    seconds : float or None
        About how long, None if nothing is known about a model's speed here.
    models : tuple of str
        In the order in which they would be loaded.
    notes : dict
        {field: what is to be said about it}; `run` warns of it.
    """

    cells: int
    finished: int
    todo: int
    seconds: float | None
    models: tuple[str, ...]
    notes: dict[str, str]

    @property
    def sentence(self) -> str:
        """How many pictures there are, how many finished, and about how long the rest takes."""
        count = f"{self.cells:,} picture{'s' * (self.cells != 1)}"
        if not self.cells:
            return "no pictures: the plan is empty, so there is nothing to render"
        if not self.todo:
            return f"{count}, all finished: nothing to render"
        time = (
            "how long will be known after the first step"
            if self.seconds is None
            else f"about {duration(self.seconds)}"
        )
        return (
            f"{count}: {self.finished} finished, {self.todo} to render on"
            f" {', '.join(self.models)}, {time}"
        )

    def __repr__(self) -> str:
        return "\n".join([self.sentence, *(f"{name}: {text}" for name, text in self.notes.items())])

    def _repr_html_(self) -> str:
        return "<br>".join(map(html.escape, repr(self).splitlines()))


def preview(requests: Request | Iterable[Request], store: Store | str | PathLike[str]) -> Preview:
    """Tells what `run(requests, store)` would do: how many cells and finished ones, and how long.

    The requests are checked as `run` checks them. The time follows from finished cells of the same
    model and size in the store, or else from the figures in `MODELS`; loading a model is not in it.
    """
    store = open_store(store)
    found = plan(list_requests(requests), store)
    times = [
        estimate_seconds(cells, found, store, share) for cells, share in weigh_cells(found, store)
    ]
    models = dict.fromkeys(group[0].model for group in found.groups)
    different = len({cell.key for cell in found.cells})
    return Preview(
        len(found.cells),
        different - found.todo,
        found.todo,
        None if None in times else sum(filter(None, times)),
        tuple(models),
        collect_finished(found.cells, found.natives) | found.notes,
    )


def weigh_cells(found: Plan, store: Store) -> list[tuple[list[Recipe], float]]:
    """Weighs the cells to render by the share of their time: about a step, if only decoded."""
    if not any(cell.vae or cell.watermark for cell in found.cells):
        return [(group, 1.0) for group in found.groups]
    names = {
        cell.key: key_of_latents(cell, found.natives[cell.model]) or cell.key
        for cell in found.cells
    }
    todo = {cell.key for group in found.groups for cell in group}
    met = {names[cell.key] for cell in found.cells if cell.key not in todo} | store.find_finished(
        names.values()
    )
    out = []
    for group in found.groups:
        firsts = {
            name: cell for cell in reversed(group) if (name := names[cell.key]) not in met
        }.values()
        again = [cell for cell in group if cell not in firsts]
        met |= {names[cell.key] for cell in group}
        out += [(list(firsts), 1.0), (again, 1 / group[0].num_inference_steps)]
    return [(cells, share) for cells, share in out if cells]


def estimate_seconds(
    group: list[Recipe], found: Plan, store: Store, share: float = 1.0
) -> float | None:
    """Estimates how long a group takes, from what the store recorded or the model's own figure."""
    from ..models.machine import dtype_for, lanes_here
    from ..models.pipeline import device_here

    r, own = group[0], found.natives[group[0].model]
    like = dict(num_inference_steps=r.num_inference_steps, height=r.height, width=r.width)
    one = store.seconds(weights=r.weights, **like)
    one = (
        store.seconds(weights=own.weights, **like) if one is None else one
    )  # with its own parts it takes about as long
    if one is None and own.model.seconds_per_step is not None:
        larger = r.height * r.width / (math.prod(tell_native_size(own)) or r.height * r.width)
        one = own.model.seconds_per_step * r.num_inference_steps * larger
    calls = count_calls(r.scheduler, r.strength, r.num_inference_steps)
    one = None if one is None else one * share * calls / r.num_inference_steps
    if one is None or own.layout.call:
        return one and one * len(group)
    device, channels = device_here(), own.layout.channels
    lanes, threads = lanes_here(device, channels, dtype_for(device, own.layout))
    small = r.height // own.layout.factor, r.width // own.layout.factor
    lanes, _, cells = share_cells(channels, lanes, threads, plan=found.alike[r.key], size=small)
    at_once = lanes * cells
    return one * at_once * -(-len(group) // at_once)  # a batch costs the same full or not
