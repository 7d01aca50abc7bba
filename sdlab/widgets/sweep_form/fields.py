"""The fields of a form: plain ipywidgets, each under its label, with room for a message."""

from __future__ import annotations

import csv
import functools
import io
import itertools
import os
import re
import secrets
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import ipywidgets
from PIL import Image

from ...pictures import data_uri, is_known, name_picture, read_picture, require_picture
from ...recipe.axes import split_words
from ...recipe.request import FIELDS, OPTIONAL, SPECS
from ...recipe.spec import SEEDS, Spec
from ...results.html import render_table
from ..panel import render_message
from .field_text import is_list, read_items, write_words
from .uploads import fit_upload

BEFORE = {  # kind: how its text is written, before what the field's own hint says
    "whole": "Numbers and ranges: 1, 3-5 or 1-10 (+2) or 0-1 [5]. ",
    "real": "Numbers and ranges: 1, 3-5 or 1-10 (+2) or 0-1 [5]. ",
    "picture": 'Paths of pictures, apart by commas; "none" among them is without. ',
}
AFTER = {
    "parts": " They act together; other lines are other pictures, and none is a picture without."
}
REPLACE = Spec(  # the one field that a request has not
    kind="names",
    placeholder="hamster, cat, dog",
    hint="Searches the first text in the prompts, and puts each of the others in its place.",
)
SHOWN: dict[str, Spec] = dict(  # in their order: by folds, and in each the prompts first
    sorted(
        [("replace", REPLACE), *((name, spec) for name, spec in SPECS.items() if spec.hint)],
        key=lambda item: (item[1].fold, item[1].kind != "prompt"),
    )
)
HINTS = {
    name: BEFORE.get(spec.kind, "") + spec.hint + AFTER.get(spec.kind, "")
    for name, spec in SHOWN.items()
}
FOLDS = {  # title: the fields behind it; "" are always shown
    title: [name for name, _ in group]
    for title, group in itertools.groupby(SHOWN.items(), key=lambda item: item[1].fold)
}
SIDE = 64  # pixels, of what is shown of a picture
MOST = 8  # pictures that are shown
MOST_DRAWN = 64  # seeds
CONTENT = re.compile(r"\b([0-9a-f]{8})[0-9a-f]{24}\b")
FRESH = -1  # as a seed: draw one
TABLE = (
    "text-align:left;vertical-align:top;padding:2px 10px 2px 0;white-space:pre-wrap;"
    "overflow-wrap:anywhere"
)


def make_control(name: str, text: Any, choices: Iterable[str]) -> ipywidgets.DOMWidget:
    """Makes the widget in which a field is filled in."""
    spec = SHOWN[name]
    common = {"description": name, "tooltip": HINTS[name], "value": text}
    if is_list(spec):
        known = list(dict.fromkeys([*choices, *filter(None, text)]))
        options = [(spec.nothing, None), *zip(known, known)] if name in OPTIONAL else known
        return ipywidgets.SelectMultiple(options=options, rows=spec.rows, **common)
    common |= {"placeholder": spec.placeholder, "continuous_update": False}
    if spec.rows > 1:
        return ipywidgets.Textarea(rows=spec.rows, **common)
    return ipywidgets.Text(**common)


class Field(ipywidgets.VBox):
    """A control and the message under it; `choices` are what it offers, if it is a list."""

    def __init__(self, name: str, text: Any, uid: str, choices: Iterable[str] = ()) -> None:
        self.name, self._place = name, f"sdl-{uid}-{name}"
        self.control, self._message = make_control(name, text, choices), ipywidgets.HTML()
        super().__init__([self.control, *self._make_tools(), self._message])
        self.add_class("sdl-field")
        self.add_class(f"sdl-field-{name}")
        self.say()

    def _make_tools(self) -> list[ipywidgets.Widget]:
        """Makes what stands between the control and its message."""
        return []

    @property
    def text(self) -> Any:
        """What is filled in: text, or of a list a tuple; of a picture's name its content."""
        return self.control.value

    @property
    def summary(self) -> str:
        """What is filled in as people see it, in one line."""
        text = self.control.value
        parts = text.splitlines() if isinstance(text, str) else [each or "native" for each in text]
        return " · ".join(parts)

    def fill(self, text: Any) -> None:
        """Fills in a text, which a list then offers."""
        if is_list(SHOWN[self.name]):
            known = [value for _, value in list_offers(self.control)]
            new = [(each, each) for each in text if each not in known]
            self.control.options = [*list_offers(self.control), *new]
        self.control.value = text

    @property
    def message(self) -> str:
        """What stands under the control, as HTML."""
        return self._message.value

    def say(self, error: str = "", note: str = "") -> None:
        """Shows what is wrong, or what one should know; nothing if there is nothing."""
        self._message.value = render_message(error, "error", self._place) or render_message(
            note, "note", self._place
        )
        self._message.layout.display = "" if self._message.value else "none"


def list_offers(control: Any) -> list[tuple[str, Any]]:
    """Lists what a control offers, as (label, value)."""
    return [each if isinstance(each, tuple) else (each, each) for each in control.options]


class SeedField(Field):
    """A field for seeds, which draws them: -1 is a drawn one, and stands there as its number."""

    def _make_tools(self) -> list[ipywidgets.Widget]:
        self.dice = ipywidgets.Button(
            description="⚄ draw", tooltip="Draws other seeds, as many as there are"
        )
        self.dice.on_click(lambda _: self.draw())
        self.control.observe(self._draw_wanted, "value")
        tools = ipywidgets.HBox([self.dice])
        tools.add_class("sdl-given")
        return [tools]

    def draw(self) -> None:
        """Puts drawn seeds in the place of those that are there."""
        try:
            count = len(read_items(self.name, self.text.strip()))
        except ValueError:
            count = 1
        self.control.value = ", ".join(str(draw_seed()) for _ in range(clip(count, 1, MOST_DRAWN)))

    def _draw_wanted(self, _: Any) -> None:
        items = [item.strip() for item in self.text.split(",")]
        if str(FRESH) in items:
            drawn = (str(draw_seed()) if item == str(FRESH) else item for item in items)
            self.control.value = ", ".join(drawn)


def draw_seed() -> int:
    """Draws a seed by chance, which nothing in Python sets."""
    return secrets.randbelow(SEEDS)


def clip(value: int, least: int, most: int) -> int:
    return max(least, min(value, most))


class PictureField(Field):
    """A field for paths of pictures or names of their contents; an upload takes their place.

    What was uploaded is called by its file's name, and so that it is taken for no path. With a
    `size` (width, height) it is brought to that, which the field says.
    """

    def __init__(self, name: str, text: Any, uid: str, choices: Iterable[str] = ()) -> None:
        self._trouble, self.uploads = "", dict[str, str]()  # {what it is called: its content}
        self.size: tuple[int, int] | None = None
        self._fitted = dict[tuple[str, tuple[int, int]], str]()
        super().__init__(name, text, uid, choices)

    def _make_tools(self) -> list[ipywidgets.Widget]:
        self.upload = ipywidgets.FileUpload(
            accept="image/*",
            multiple=True,
            description=f"Upload {self.name}",
            tooltip="Takes pictures of this computer instead of those named above",
        )
        self._pictures = ipywidgets.HTML()
        self.upload.observe(self._take, "value")
        self.control.observe(self._forget, "value")
        tools = ipywidgets.HBox([self.upload, self._pictures])
        tools.add_class("sdl-given")
        return [tools]

    @property
    def text(self) -> str:
        if not self.list_uploads():
            return self.control.value
        return write_words(self._bring(item) for item in split_words(self.control.value))

    def list_uploads(self) -> list[str]:
        """Lists the uploads that are filled in, as they are called."""
        try:
            return [item for item in split_words(self.control.value) if item in self.uploads]
        except csv.Error:  # whoever reads it says so
            return []

    def list_shapes(self) -> list[tuple[int, int]]:
        """Lists the (width, height) of these uploads."""
        names = [self.uploads[item] for item in self.list_uploads()]
        return [require_picture(name).size for name in names if is_known(name)]

    def _bring(self, item: str) -> str:
        """Gives the content of an upload, brought to the size; what is none stays."""
        if item not in self.uploads or not self.size:
            return self.uploads.get(item, item)
        wanted = self.uploads[item], self.size
        if wanted not in self._fitted:  # kept, for a name leads to its picture while that is
            self._fitted[wanted] = fit_upload(self.name, *wanted)
        return self._fitted[wanted]

    def _describe_fit(self) -> str:
        """Says to what size uploads are brought, and how one has another."""
        changed = [item for item in self.list_uploads() if self._bring(item) != self.uploads[item]]
        if not changed or not self.size:
            return ""
        old = require_picture(self.uploads[changed[0]]).size
        cut = "cut about its middle and " * (old[0] * self.size[1] != old[1] * self.size[0])
        more = f" (and {len(changed) - 1} more like this)" if len(changed) > 1 else ""
        return (
            f"{changed[0]}: of {old[0]}x{old[1]} pixels, is {cut}brought to"
            f" {self.size[0]}x{self.size[1]}, which the model has learned; state height and width"
            f" for another size{more}"
        )

    def fill(self, text: Any) -> None:
        """Fills in a text, in which what was uploaded keeps its file's name."""
        called = {name: file for file, name in self.uploads.items()}
        try:
            items = split_words(text)
        except csv.Error:
            items = []
        known = not called.keys().isdisjoint(items)
        super().fill(write_words(called.get(item, item) for item in items) if known else text)

    def show(self, names: Iterable[str | None]) -> None:
        """Shows the pictures of these contents, as far as this process knows them."""
        found = [name for name in names if name and is_known(name)]
        more = f"and {len(found) - MOST} more" if len(found) > MOST else ""
        self._pictures.value = "".join(map(render_preview, found[:MOST])) + more

    def say(self, error: str = "", note: str = "") -> None:
        super().say(error or self._trouble, "; ".join(filter(None, [self._describe_fit(), note])))

    def _forget(self, _: Any) -> None:
        self._trouble = ""

    def _take(self, change: Any) -> None:
        if change["new"]:
            self.take([(file["name"], bytes(file["content"])) for file in change["new"]])
            self.upload.value = ()  # so that the same file can be taken again

    def take(self, files: Sequence[tuple[str, bytes]]) -> None:
        """Puts files, each a name and its content, in the place of what the field names."""
        try:
            names = [(file, name_upload(self.name, file, data)) for file, data in files]
        except (ValueError, TypeError) as error:
            self._trouble = f"{error}"
            self.say()
            return
        self._forget(None)
        self.say()
        self.control.value = write_words([self._call(file, name) for file, name in names])

    def _call(self, file: str, name: str) -> str:
        """Finds what an uploaded file is to be called."""
        for n in itertools.count(1):
            called = f"{file} (uploaded{f' {n}' if n > 1 else ''})"
            if self.uploads.setdefault(called, name) == name:
                return called
        raise AssertionError  # counting does not end


class Fold(ipywidgets.VBox):
    """Fields behind a button; while it hides them, a line says what they hold."""

    def __init__(self, title: str, fields: Sequence[Field], uid: str) -> None:
        self.title, self.fields, self._place = title, fields, f"sdl-{uid}-{title.replace(' ', '-')}"
        self._forced = False  # by an error
        self.button = ipywidgets.ToggleButton(
            description=title,
            tooltip=", ".join(field.name for field in fields),
            value=any(field.text for field in fields),
        )
        self.line, self.inside = ipywidgets.HTML(), make_box(fields, "sdl-fields")
        super().__init__([self.button, self.line, self.inside])
        self.show()

    def show(self, errors: Iterable[str] = ()) -> None:
        """Shows what the button says, and the fields while one of them has an error."""
        wrong = any(field.name in errors for field in self.fields)
        held = "; ".join(f"{field.name} {field.summary}" for field in self.fields if field.text)
        if wrong and not self.button.value:
            self.button.value = self._forced = True
        elif self._forced and not wrong and not held:  # the model that asked for them is gone
            self.button.value = self._forced = False
        self.inside.layout.display = None if self.button.value else "none"
        hidden = "Also set: " + CONTENT.sub(r"\1…", held) if held and not self.button.value else ""
        self.line.value = render_message(hidden, "note", self._place)
        self.line.layout.display = "" if self.line.value else "none"


def name_upload(name: str, file: str, data: bytes) -> str:
    """Names an uploaded picture by its content; ValueError that names the file, if it is none."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            return name_picture(name, image)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{file!r:.120}: {error}") from None
    except Exception:  # Pillow's are of many kinds, and speak of the bytes in memory
        raise ValueError(f"{file!r:.120} cannot be read as a picture; take a PNG or JPEG") from None


@functools.lru_cache(256)
def render_preview(name: str) -> str:
    """Renders the picture of this content as a small HTML image."""
    try:
        image = read_picture(name)
    except (ValueError, OSError) as error:
        return escape(f"{error}")
    alternative = f"{name[:8]}…, {image.width}x{image.height}"
    image.thumbnail((SIDE, SIDE))
    source = data_uri(image, "PNG")
    return f'<img src="{source}" alt="{alternative}" title="{alternative}">'


def render_settings(fields: Iterable[Field], note: str) -> str:
    """Renders what is filled in as an HTML table, for the static picture."""
    values = ((field, field.control.value) for field in fields if field.text)
    rows = [(f.name, value if isinstance(value, str) else f.summary) for f, value in values]
    return f"{render_table((), rows, style=TABLE)}<p>{escape(note)}</p>"


def make_side(name: str, given: Any) -> ipywidgets.Dropdown:
    """Makes the choice of what names the grid's rows or columns; "" is automatic."""
    side = ipywidgets.Dropdown(
        description=name, tooltip=f"What names the grid's {name}.", options=[("automatic", "")]
    )
    if given:
        label = given if isinstance(given, str) else " · ".join(given)
        side.options = [*side.options, (label, given)]
        side.value = given
    return side


def offer_names(
    side: ipywidgets.Dropdown, names: Sequence[str], columns: frozenset[str] | None, wanted: Any
) -> str:
    """Offers what varies, and chooses what is `wanted` if it does; else it is automatic.

    Parameters
    ----------
    side : Dropdown
    names : sequence of str
        What varies.
    columns : frozenset of str, optional
        All that there is; None if that is not known, and then what is wanted stays.
    wanted : str or list of str
        What was chosen last; "" for automatic. It is chosen again when it varies again.

    Returns
    -------
    str
        The name that was given up; "" if none was.
    """
    given = [wanted] if isinstance(wanted, str) else list(wanted)
    tells = columns is None or (columns.issuperset(given) and not set(names).isdisjoint(given))
    chosen, before, label = wanted if wanted and tells else "", side.value, " · ".join(given)
    options = [("automatic", ""), *zip(names, names)]
    if chosen and chosen not in names:
        options.append((label, chosen))
    if list_offers(side) != options:
        side.options = options
    side.value = chosen
    return label if before and not chosen else ""


def make_box(children: Sequence[ipywidgets.Widget], name: str) -> ipywidgets.Box:
    """Puts widgets beside each other, laid out by the style of that name."""
    box = ipywidgets.Box(list(children))
    box.add_class(name)
    return box


# What a form is given


def read_names(argument: str, given: Any) -> list[str]:
    """Lists what was given: one name, several or None."""
    found = [] if given is None else [given] if isinstance(given, (str, os.PathLike)) else given
    if not isinstance(found, (list, tuple)) or not all(
        isinstance(each, (str, os.PathLike)) for each in found
    ):
        raise TypeError(f"{argument}={given!r:.80}: give a name, or a list of names")
    return [os.fspath(each) for each in found]


def require_sides(labels: Sequence[str], **sides: Any) -> None:
    """Refuses rows or columns that no sweep varies; `labels` are the choices in its prompts."""
    there = ", ".join(labels)
    for argument, given in sides.items():
        for name in read_names(argument, given):
            if name not in FIELDS and name not in labels:
                among = f"these prompts ({there})" if labels else "the prompts given"
                raise ValueError(
                    f"{argument}={name!r} is neither a choice in {among} nor a field:"
                    f" {', '.join(FIELDS)}"
                )
