"""What models and the store say of a form's requests: what is finished, what is wrong, and which are one recipe."""
from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..captions import PROMPTS, enumeration, text_of
from ..models import native, resolve
from ..planning import preview
from ..request import FIELDS, OPTIONAL, Request
from ..store import Store
from .form_plan import Reading

LOOKED_AT = 50_000  # cells; beyond, finding the finished ones takes too long to do it after every change


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
        return Look(f"{reading.cells:,} cells; with so many, Run finds out which are finished",
                    names=[name for name, found in reading.values.items() if len(found) > 1])
    place = "model"
    try:
        for model in reading.values.get("model", ()):
            native(model)
        place = ""
        requests = reading.requests()
        different = once(requests)
        notes = notes_on_repeats(reading, len(requests) - len(different))
        return Look(repr(preview(different, store)), {}, notes, names_that_vary(different), bool(notes))
    except Exception as error:  # whatever it is, it belongs to the form, not to some cell's output
        found, text = place_of(f"{error}")
        return Look(errors={found or place: text})


def once(requests: Sequence[Request]) -> list[Request]:
    """The requests without those that are the recipe of an earlier one, as a native value written out is."""
    natives = {model: native(model) for model in dict.fromkeys(request.model for request in requests)}
    found: dict[Request, Request] = {}
    try:
        for request in requests:
            found.setdefault(resolve(request, natives[request.model]), request)
    except ValueError:
        return list(requests)  # `preview` and `Job` say which of them is wrong
    return list(found.values())


def notes_on_repeats(reading: Reading, count: int) -> dict[str, str]:
    """{field: which of its values is counted once}, if so many of the requests repeat others."""
    if not count:
        return {}
    owns = [resolve(Request(model=model)) for model in reading.values.get("model", [Request().model])]
    notes = {}
    for name, found in reading.values.items():
        same = {own.model: getattr(own, name) for own in owns if getattr(own, name) in found} if name in OPTIONAL else {}
        if None in found and any(value is not None for value in same.values()):
            said = [f"{text_of(value)}{f' with {model}' if len(owns) > 1 else ''}" for model, value in same.items()]
            notes[name] = f"native is {enumeration(said)}: counted once"
    s = "s" * (count != 1)
    return notes or {next((name for name in PROMPTS if name in reading.values), "prompt"):
                     f"{count:,} cell{s} repeat{'' if s else 's'} the recipe of others: each recipe is counted once"}


def names_that_vary(requests: Sequence[Request]) -> list[str]:
    """Fields and choices of which there are several: what can name the rows and columns of a grid."""
    labels = dict.fromkeys(name for request in requests for name in request.labels)
    return ([name for name in labels if len({request.labels.get(name) for request in requests}) > 1]
            + [name for name in FIELDS if len({getattr(request, name) for request in requests}) > 1])


def place_of(error: str) -> tuple[str, str]:
    """(the field of which an error of `preview` or `Job` speaks, or ""; the error without the request's number)"""
    text = re.sub(r"^request \d+ of \d+: ", "", error)
    if match := re.match(r"unknown (\w+) |the weights of (model) |(\w+)(?:=| has )", text):
        name = next(filter(None, match.groups()))
        return (name if name in FIELDS else ""), text
    return "", text
