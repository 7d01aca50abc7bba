"""A found picture beside one made here, or another found one, and how far they are apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from ...errors import FieldError
from ...models.catalogue import available, find_by_file
from ...models.resolve import resolve
from ...pictures import HASH, webp_bytes
from ...recipe.request import Request
from ...results.apart import are_identical, describe_apart
from ...results.frame import column_values, distinct_values, find_varying, select_made, select_own
from ...results.origins import name_foreign
from ...results.pairs import draw_difference
from ...store.store import Store
from ..inspector.pictures import Picture, read_seen
from ..inspector.recipe import find_recipe, make_request, read_recipe
from ..pictures import render_image, write_captions

if TYPE_CHECKING:
    import pandas as pd

SIDE = 256  # pixels
GAIN = 4.0
FILL = "Open it in the form"  # the button that stands there then
NOT_MADE = (
    "No picture was made here by the recipe in that file{}: press “{}” below, “Run” there, and"
    " then “{}” once more."
)
COMPARE = "Compare with one made here"
OR_ELSE = "Choose in “beside” with which model that is here, or which picture."
BY_RECIPE, WITH_MODEL, PICTURE = "recipe", "model", "picture"  # what it is set beside
MOST = 500  # pictures that are offered


class NotMade(ValueError):
    """Says that nothing was made of a recipe yet; `given` is what a form makes it from."""

    def __init__(self, given: Path | Request, model: str) -> None:
        super().__init__(NOT_MADE.format(f" with {model}" if model else "", FILL, COMPARE))
        self.given = given


def offer_beside(frame: pd.DataFrame, store: Store) -> list[tuple[str, tuple[str, str]]]:
    """Offers what a found picture can be set beside: (words, (kind, model or path)).

    These are the models that the store has pictures of, or that are here; and the frame's pictures.
    """
    own = select_own(frame)
    made = [str(m) for m in distinct_values(store.frame(), "model") if m is not None]
    models = dict.fromkeys([*made, *available()])
    last = own[-MOST:][::-1]
    names = write_captions(last, find_varying(own)) if len(own) else []
    pictures = [
        (f"{caption or 'the picture'} ({Path(path).stem[:8]})", (PICTURE, path))
        for caption, path in zip(names, column_values(last, "path"))
    ]
    with_model = [(f"its recipe with {m}", (WITH_MODEL, m)) for m in models]
    others = [
        (f"found: {name}", (PICTURE, path))
        for name, path in zip(name_foreign(frame), column_values(frame, "path"))
        if name
    ]
    return [("its own recipe", (BY_RECIPE, "")), *with_model, *pictures, *others[-MOST:]]


def find_beside(picture: Picture, store: Store, chosen: tuple[str, str]) -> str:
    """Finds the file of the picture here that another one is set beside.

    Raises
    ------
    NotMade
        None was made of its recipe.
    ValueError
        Its file states no recipe, or one of a model that is not here.
    """
    kind, name = chosen
    if kind == PICTURE:
        return name
    request = make_request(picture).but(weights=None)  # as a form runs it
    model = name if kind == WITH_MODEL else ""
    request = request.but(model=model) if model else request
    try:
        key = resolve(request).key
    except FieldError as error:
        first, *more = f"{error}".split("\n")  # what follows is shown on demand
        raise ValueError("\n".join([f"{first.rstrip('.')}. {OR_ELSE}", *more])) from error
    if not (made := column_values(select_made(store.frame([key])), "path")):
        raise NotMade(request if model else find_recipe(picture), model)
    return made[0]


def is_made(path: str | None) -> bool:
    """Tells whether a store has made that picture: it keeps it in its folder `images`."""
    if path is None:
        return False
    place = Path(path)
    return bool(HASH.fullmatch(place.stem)) and place.parent.parent.name == "images"


def render_beside(picture: Picture, path: str, words: str, own: bool = False) -> str:
    """Renders both, what differs, and that in words, as HTML; the words stay with the picture.

    `own` tells that the other one was made by the picture's own recipe.
    """
    one, other = (read_seen(each) for each in (picture, Picture(path, path)))
    made = [is_made(picture.path), is_made(path)]
    said = ["made here" if own else "found" for own in made]
    words = words.removeprefix("found: ")
    told = {f"{said[0]}: {picture.name}": one, f"{said[1]}: {words}": other}
    if one.size == other.size:
        told[f"what differs, {GAIN:g} times"] = draw_difference(one, other, gain=GAIN)
    figures = Markup().join(
        Markup('<figure style="margin:0 8px 8px 0">{}<figcaption>{}</figcaption></figure>').format(
            Markup(render_image(webp_bytes(image, SIDE), name, SIDE)), name
        )
        for name, image in told.items()
    )
    apart = describe_apart(one, other, made, find_models(picture, path, made))
    picture.repeated = own and made == [False, True] and are_identical(one, other)
    picture.beside = f"Set beside one {said[1]} ({words}; {Path(path).name}): {apart}"
    return Markup('<p role="status">{}</p><div style="display:flex">{}</div>').format(
        apart, figures
    )


def find_models(picture: Picture, path: str, made: Sequence[bool]) -> tuple[str, ...]:
    """Finds the two models where a found file names another than made the picture here; else ()."""
    told = [read_recipe(each).get("model") for each in (picture, Picture(path, path))]
    known = [find_by_file(str(model)) for model in told]
    if made[0] == made[1] or None in told or known[0] == known[1]:
        return ()
    return tuple(map(str, told[::-1] if made[0] else told))
