"""What models and the store say of a form's sweep: finished cells, errors, and equal recipes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ...errors import blame_field
from ...models.resolve import native, resolve
from ...recipe.request import FIELDS, OPTIONAL, PROMPTS, Request, list_inputs
from ...render.plan import preview
from ...results.frame import format_value, join_words
from ...store.store import Store
from .field_text import AXES, hear_warnings
from .reading import Reading, join_notes

MOST = 50_000  # pictures; beyond, finding the finished ones takes too long after every change


@dataclass(frozen=True)
class Outlook:
    """What was found.

    Parameters
    ----------
    status : str
        How many pictures there are, finished and to render.
    errors, notes : dict
        {field: what is wrong, or what one should know}.
    names : list of str
        The fields and choices of which there are several.
    columns : frozenset of str, optional
        All that a grid of them could be named by; None if that is not known.
    repeated : bool
        Whether some of the requests are one recipe.
    todo : int
        How many pictures are to be rendered, as far as that is known.
    """

    status: str = ""
    errors: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    columns: frozenset[str] | None = None
    repeated: bool = False
    todo: int = 0


def look_ahead(reading: Reading, store: Store) -> Outlook:
    """Asks the models and the store; nothing raises, what is wrong is in `.errors`."""
    if reading.cells > MOST:
        text = f"{reading.cells:,} pictures; with so many, Run finds out which are finished"
        return Outlook(text, names=[n for n, found in reading.values.items() if len(found) > 1])
    try:
        requests = reading.to_sweep()
        lend_pictures(store, requests)
        different = drop_equal_recipes(requests)
        repeats = explain_repeats(reading, requests, len(requests) - len(different))
        with hear_warnings():  # the notes say it
            found = preview(different, store)
        return Outlook(
            found.sentence,
            {},
            merge_notes(found.notes, repeats),
            list_varying(different),
            list_columns(different),
            bool(repeats),
            found.todo,
        )
    except Exception as error:  # whatever it is, it belongs to the form, not to some cell's output
        return Outlook(errors=place_error(error))


def merge_notes(*each: Mapping[str, str]) -> dict[str, str]:
    """Puts all notes of a field together."""
    names = dict.fromkeys(itertools.chain(*each))
    return {name: join_notes(*(notes.get(name, "") for notes in each)) for name in names}


def place_error(error: BaseException) -> dict[str, str]:
    """Puts an error at the form's field that it blames, or at "" if there is none."""
    name = getattr(error, "field", "")
    known = name in AXES or name == "replace"
    return {name if known else "": str(error) or type(error).__name__}


def lend_pictures(store: Store, requests: Iterable[Request]) -> None:
    """Has this process know the requests' input pictures that the store keeps."""
    store.inputs.lend(list_inputs(requests))


def drop_equal_recipes(requests: Iterable[Request]) -> list[Request]:
    """Lists the requests without those that an earlier one says, such as a native value in words.

    Raises
    ------
    FieldError
        One of them cannot be resolved.
    """
    requests = list(requests)
    with blame_field("model"):
        natives = {name: native(name) for name in dict.fromkeys(r.model for r in requests)}
    found: dict[Request, Request] = {}
    for request in requests:
        found.setdefault(resolve(request, natives[request.model]), request)
    return list(found.values())


def explain_repeats(reading: Reading, requests: Sequence[Request], count: int) -> dict[str, str]:
    """Says at each field which of its values is counted once, if so many requests repeat others."""
    if not count:
        return {}
    several, notes = len(reading.values.get("model", ())) > 1, {}
    for name, found in reading.values.items():
        unsaid = {r.model: r for r in requests if name in OPTIONAL and getattr(r, name) is None}
        owns = {model: getattr(resolve(request), name) for model, request in unsaid.items()}
        if said := [
            f"{format_value(value)}{f' with {model}' if several else ''}"
            for model, value in owns.items()
            if value is not None and value in found
        ]:
            notes[name] = f"native is {join_words(said)}: counted once"
    pictures = "1 picture repeats" if count == 1 else f"{count:,} pictures repeat"
    text = f"{pictures} the recipe of others: each recipe is counted once"
    return notes or {next((n for n in PROMPTS if n in reading.values), PROMPTS[0]): text}


def list_columns(requests: Iterable[Request]) -> frozenset[str]:
    """Lists all that a grid of these could be named by."""
    return frozenset(FIELDS).union(*(request.labels for request in requests))


def list_varying(requests: Sequence[Request]) -> list[str]:
    """Lists choices and fields of which there are several: they can name a grid's sides."""
    labels = dict.fromkeys(name for request in requests for name in request.labels)
    return [
        name for name in labels if len({request.labels.get(name) for request in requests}) > 1
    ] + [name for name in FIELDS if len({getattr(request, name) for request in requests}) > 1]


def name_latest(field: str, names: Sequence[str]) -> str:
    """Names the column by which a field is varied, its prompts' choices first; "" if none is."""
    choices = [name for name in names if name not in FIELDS]
    if field in (*PROMPTS, "replace") and choices:
        return choices[0]
    return field if field in names else ""
