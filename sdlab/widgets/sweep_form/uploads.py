"""To what size uploaded pictures are brought, where theirs is far from what a model has learned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...models.resolve import Native, find, tell_native_size
from ...models.tasks import choose_task
from ...pictures import fit_picture, name_picture, read_picture
from ...recipe.request import Request
from ...render.notes import expect_at

STATED = ("height", "width", "aspect")  # whoever states one of these has chosen
SOME = "0" * 32  # stands for any picture


def choose_upload_size(
    texts: Mapping[str, Any], shapes: Iterable[tuple[int, int]]
) -> tuple[int, int] | None:
    """Chooses the (width, height) to which a form's uploads are brought; None: they stay.

    Parameters
    ----------
    texts : mapping
        {field: its text}, of the model and of what states a size.
    shapes : iterable of (int, int)
        The (width, height) of the uploaded images.
    """
    shapes = list(shapes)
    if not shapes or any(texts[name].strip() for name in STATED):
        return None
    found = {tell_size(model) for model in texts["model"] or [Request().model]}
    size = found.pop() if len(found) == 1 else None
    return size if size and any(expect_at(shape, size) for shape in shapes) else None


def tell_size(name: str) -> tuple[int, int] | None:
    """Tells the (width, height) that a model has learned; None if it has none for a picture."""
    try:
        model = find(name)
        own = Native(model, model.layout, "")  # whatever its weights are
    except (ValueError, TypeError, OSError):  # the form says it at the model
        return None
    task = choose_task(Request(image=SOME), own.layout.tasks)
    height, width = tell_native_size(own)
    return None if task.enlarges or "image" not in task.needs or not height else (width, height)


def fit_upload(field: str, name: str, size: tuple[int, int]) -> str:
    """Names the picture that the one of this name becomes at a size; itself if nobody has it."""
    try:
        return name_picture(field, fit_picture(read_picture(name), size, field))
    except (ValueError, OSError):  # the form says it at the field
        return name
