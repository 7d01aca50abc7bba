"""What models and the store say of a form's requests: what is finished, what is wrong, and which are one recipe."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from ...models.resolve import native, resolve
from ...pictures import input_names
from ...recipe.request import FIELDS, OPTIONAL, PROMPTS, Request
from ...render.plan import preview
from ...results.frame import enumeration, text_of
from ...store.store import Store
from .reading import Reading, heard

LOOKED_AT = (
    50_000  # cells; beyond, finding the finished ones takes too long to do it after every change
)

PLACE = re.compile(
    r"unknown (\w+) |the weights of (model) |model .* is for \w+ and needs (\w+)=|(\w+)(?:=|: |"
    r" has )"
)


@dataclass(frozen=True)
class Look:
    """What was found.

    Parameters
    ----------
    status : str
        How many cells there are, finished and to render.
    errors, notes : dict
        {field: what is wrong, or what one should know}.
    names : list of str
        The fields and choices of which there are several.
    repeated : bool
        Whether some of the requests are one recipe.
    """

    status: str = ""
    errors: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    repeated: bool = False


def looked_up(reading: Reading, store: Store) -> Look:
    """Asks the models and the store; nothing raises, what is wrong is in `.errors`."""
    if reading.cells > LOOKED_AT:
        return Look(
            f"{reading.cells:,} cells; with so many, Run finds out which are finished",
            names=[name for name, found in reading.values.items() if len(found) > 1],
        )
    place = "model"
    try:
        for model in reading.values.get("model", ()):
            native(model)
        place = ""
        requests = reading.requests()
        lend(store, requests)
        different = once(requests)
        repeats = notes_on_repeats(reading, requests, len(requests) - len(different))
        with heard() as warned:
            status = repr(preview(different, store))
        return Look(
            status,
            {},
            notes_on_warnings(warned) | repeats,
            names_that_vary(different),
            bool(repeats),
        )
    except Exception as error:  # whatever it is, it belongs to the form, not to some cell's output
        found, text = place_of(f"{error}")
        place = place or "vae" * (
            " is not on this machine" in text
        )  # the models are: this one was to lend its VAE
        return Look(errors={found or place: text})


def lend(store: Store, requests: Sequence[Request]) -> None:
    """Has this process know the requests' input pictures that the store keeps."""
    store.inputs.lend({name for request in requests for name in input_names(vars(request))})


def once(requests: Sequence[Request]) -> list[Request]:
    """The requests without those that are the recipe of an earlier one, as a native value written out is."""
    natives = {
        model: native(model) for model in dict.fromkeys(request.model for request in requests)
    }
    found: dict[Request, Request] = {}
    try:
        for request in requests:
            found.setdefault(resolve(request, natives[request.model]), request)
    except (ValueError, OSError):
        return list(requests)  # `preview` and `Job` say which of them is wrong
    return list(found.values())


def notes_on_warnings(warned: Sequence[str]) -> dict[str, str]:
    """{field, or "" for none: what checking the requests has warned of}"""
    notes: dict[str, str] = {}
    for text in dict.fromkeys(warned):
        place = place_of(text)[0]
        notes[place] = f"{notes[place]}; {text}" if place in notes else text
    return notes


def notes_on_repeats(reading: Reading, requests: Sequence[Request], count: int) -> dict[str, str]:
    """{field: which of its values is counted once}, if so many of the requests repeat others."""
    if not count:
        return {}
    several, notes = len(reading.values.get("model", ())) > 1, {}
    for name, found in reading.values.items():
        open_ = {
            request.model: request
            for request in requests
            if name in OPTIONAL and getattr(request, name) is None
        }
        owns = {model: getattr(resolve(request), name) for model, request in open_.items()}
        if said := [
            f"{text_of(value)}{f' with {model}' if several else ''}"
            for model, value in owns.items()
            if value is not None and value in found
        ]:
            notes[name] = f"native is {enumeration(said)}: counted once"
    s = "s" * (count != 1)
    return notes or {
        next((name for name in PROMPTS if name in reading.values), "prompt"): (
            f"{count:,} cell{s} repeat{'' if s else 's'} the recipe of others: each recipe is"
            " counted once"
        )
    }


def names_that_vary(requests: Sequence[Request]) -> list[str]:
    """Fields and choices of which there are several: what can name the rows and columns of a grid."""
    labels = dict.fromkeys(name for request in requests for name in request.labels)
    return [
        name for name in labels if len({request.labels.get(name) for request in requests}) > 1
    ] + [name for name in FIELDS if len({getattr(request, name) for request in requests}) > 1]


def place_of(error: str) -> tuple[str, str]:
    """(the field of which an error of `preview` or `Job` speaks, or ""; the error without the request's number)"""
    text = re.sub(r"^request \d+ of \d+: ", "", error)
    if re.match(r"no input picture |the input picture |the upscaler would ", text):
        return "image", text
    if re.match(r"'[^']+' has learned pictures of ", text):
        return "height", text
    if match := PLACE.match(text):
        name = next(filter(None, match.groups()))
        return (name if name in FIELDS else ""), text
    return "", text
