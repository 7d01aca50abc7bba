"""What a form can be filled in from: a sweep, a request, a row, the recipe in a picture's file."""

from __future__ import annotations

import io
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from ...errors import FieldError
from ...models.resolve import choose_weights, native, resolve, swap_parts
from ...pictures import input_names
from ...recipe.request import PROMPTS, SPECS, Request
from ...recipe.spec import check_value
from ...recipe.sweep import Sweep, sweep
from ...results.code import escape_prompt, read_requests, require_recipes, restore_request
from ...store.infotext import read_infotext
from ...store.png import read_record
from ...store.store import Store
from ...watermark.labels import decode_comment
from .field_text import hear_warnings

if TYPE_CHECKING:
    import pandas as pd

FROM = "Filled in from"
EXIF, USER_COMMENT = 0x8769, 0x9286
BRACKETS = re.compile(r"[()\[\]]")
HELP = (
    "SweepForm begins with what sweep(...) returns, with one Request, a row of results"
    " (results.iloc[3]), the path of a picture that carries its recipe, or with nothing"
)


def read_given(given: Any) -> tuple[Sweep, str]:
    """Reads what a form is filled in from, and what is to be said of it, "" if nothing is.

    Raises
    ------
    TypeError
        It is something else.
    ValueError
        It has labels, replaces several texts, was made for other weights than are here, or is a
        picture without a recipe.
    """
    if isinstance(given, (str, os.PathLike)):
        if not (place := Path(given).expanduser()).is_file():
            raise FileNotFoundError(f"{HELP}; there is no file {os.fspath(given)!r:.120}")
        return read_file(place.read_bytes(), place.name, place)
    if hasattr(given, "iloc"):
        return read_row(given.to_frame().T if given.ndim == 1 else given)
    return read_plan(given), ""


def read_plan(given: Any) -> Sweep:
    """Reads a sweep, one request, or None."""
    plan = spread(Request() if given is None else given)
    if plan.base.labels:
        raise ValueError(
            f"a form cannot hold what this sweep is labelled with ({', '.join(plan.base.labels)}),"
            " as a probe's is; run it as it is: run(plan, store), and look at it with SeedGrid"
        )
    if len(plan.replace) > 1:
        raise ValueError(
            f"a form replaces one text, and this sweep {len(plan.replace)}; write the others as"
            " choices in braces"
        )
    parts = [name for name, spec in SPECS.items() if spec.in_weights]
    bound = {tuple(getattr(r, name) for name in parts): r for r in plan if r.weights}
    for request in bound.values():
        resolve(request)  # refuses other weights than are here, which a form cannot name
    return plan


def spread(given: Any) -> Sweep:
    """Makes a sweep of one request, whose braces are plain characters."""
    if isinstance(given, Request):
        prompts = {name: escape_prompt(name, getattr(given, name)) for name in PROMPTS}
        given = sweep(given.but(**prompts, labels={}))
    if not isinstance(given, Sweep):
        raise TypeError(
            f"{HELP}; not with a {type(given).__name__}; give it sweep(Request(...),"
            " seed=range(4)), say"
        )
    return given


def read_row(frame: pd.DataFrame) -> tuple[Sweep, str]:
    """Reads the recipe of a frame's only row."""
    if len(frame) != 1:
        raise ValueError(f"a form is filled in from one row, not {len(frame)}: results.iloc[3]")
    require_recipes(frame)
    with hear_warnings() as said:
        plan, more = loosen(read_requests(frame)[0])
    return plan, "; ".join(filter(None, [*said, more]))


def read_file(data: bytes, name: str, place: Path | None = None) -> tuple[Sweep, str]:
    """Reads the recipe that a picture's file carries: sdlab's own, or A1111's text."""
    with hear_warnings() as said:
        if data.startswith(b"\x89PNG") and (record := read_record(data)):
            request, lost = restore_request(record["request"]), ""
            lend_neighbours(request, place)
        else:
            request, lost = restore_infotext(read_text(data, name))
        plan, more = loosen(request)
    return plan, "; ".join(filter(None, [f"{FROM} {name}", lost, *said, more]))


def read_text(data: bytes, name: str) -> str:
    """Reads the text in which A1111 and others put a recipe into a picture."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            text = image.info.get("parameters")
            text = text or decode_comment(image.getexif().get_ifd(EXIF).get(USER_COMMENT, ""))
    except Exception:  # Pillow's are of many kinds, and speak of the bytes in memory
        raise ValueError(f"{name!r:.120} cannot be read as a picture; take a PNG or JPEG") from None
    if not isinstance(text, str) or not text.strip():
        raise ValueError(
            f"{name!r:.120} carries no recipe that sdlab reads (its own, or A1111's); many programs"
            " and websites remove it"
        )
    return text


def restore_infotext(text: str) -> tuple[Request, str]:
    """Makes a request of A1111's text, and says what of it no request has."""
    taken: dict[str, Any] = {}
    lost: list[str] = []
    for name, value in read_infotext(text).items():
        try:
            taken[name] = check_value(name, SPECS[name], value)
        except (KeyError, ValueError, TypeError):
            lost.append(name)
    if any(BRACKETS.search(taken.get(name, "")) for name in PROMPTS):
        taken.setdefault("prompt_syntax", "weights")  # there brackets always count
    return Request(**taken), f"not taken, as sdlab has no such setting: {', '.join(lost)}" * bool(
        lost
    )


def loosen(request: Request) -> tuple[Sweep, str]:
    """Frees a recipe from the weights it was made with, and says if others are here."""
    said = ""
    with suppress(FieldError):  # what is missing, the form says at its field
        own = swap_parts(native(request.model), request)
        try:
            choose_weights(request, own)
        except FieldError:
            said = f"it was made with other weights of {request.model} than are here"
    return read_plan(request.but(weights=None)), said


def lend_neighbours(request: Request, place: Path | None) -> None:
    """Makes known the input pictures of the store in which the file lies."""
    if place is not None and place.absolute().parent.parent.name == "images":
        Store(place.absolute().parents[2]).inputs.lend(input_names(vars(request)))
