"""The fields of a form: plain ipywidgets, each under its label, with room for a message that says what is wrong."""

from __future__ import annotations

import base64
import functools
import io
import os
import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import ipywidgets

from ...pictures import is_known, name_picture, read_picture
from ...recipe.request import FIELDS, PROMPTS
from ...recipe.schedulers import SCHEDULERS
from ...store.store import Store
from .reading import LINED, NAMES

RANGES = "Numbers and ranges: 1, 3-5 or 1-10 (+2) or 0-1 [5]. "
PATHS = 'Paths of pictures, apart by commas; "none" among them is without. '
BESIDE = "They act together; other lines are other cells, and none is a cell without."
HINTS = {  # field: (what an empty one shows, how it is filled in)
    "prompt": (
        "a {red|blue} circle left of a cat",
        (
            "One prompt a line. {red|blue} stands for each choice in turn; "
            '{colour=red|blue} names it. A line "" is the empty prompt.'
        ),
    ),
    "negative_prompt": (
        "none",
        'One a line, each with each prompt. Empty, or a line "": the empty prompt.',
    ),
    "replace": (
        "hamster, cat, dog",
        "Searches the first text in the prompts, and puts each of the others in its place.",
    ),
    "seed": ("0", RANGES + "Empty: 0."),
    "guidance_scale": ("native", RANGES + "Empty: the model's native value."),
    "model": ("", "One or several, with Ctrl or Shift."),
    "scheduler": ("", "One or several, with Ctrl or Shift. None chosen: the model's native one."),
    "num_inference_steps": ("native", RANGES + "Empty: the model's native value."),
    "height": ("native", RANGES + "In pixels, multiples of 8. Empty: the model's native value."),
    "width": ("native", RANGES + "In pixels, multiples of 8. Empty: the model's native value."),
    "image": (
        "cat.png",
        PATHS + "The picture to begin with: for changing it, inpainting, depth and upscaling.",
    ),
    "mask_image": (
        "mask.png",
        PATHS + "For inpainting: white where the image is to be painted anew.",
    ),
    "depth_map": (
        "estimated",
        PATHS
        + "For models guided by depth: light where it is near. Empty: the model estimates it.",
    ),
    "strength": (
        "native",
        RANGES + "0 to 1: how much of the image may change. Empty: 0.8, and 1 for inpainting.",
    ),
    "noise_level": (
        "native",
        RANGES + "How much noise an upscaler puts into the image first. Empty: 20.",
    ),
    "vae": (
        "native",
        'Names or folders of other VAEs, apart by commas; "native" among them is the model\'s own.',
    ),
    "lora": (
        "ink.safetensors@0.8",
        "In each line one or several LoRA files with scales, apart by commas. " + BESIDE,
    ),
    "textual_inversion": (
        "<ink>=ink.pt",
        "In each line one or several files of learned words, apart by commas. " + BESIDE,
    ),
    "eta": ("0", "0 to 1, the noise that DDIM adds in each step."),
    "clip_skip": ("0", "How many of the text encoder's last layers to leave out."),
    "guidance_rescale": ("none", RANGES + "0 to 1: how much of the guided contrast to take back."),
    "prompt_syntax": (
        "none",
        (
            "weights: (word:1.2) in prompts counts more; chunks: prompts may be longer than 75"
            ' tokens; or weights+chunks. "none" among them: as diffusers reads them.'
        ),
    ),
    "watermark": (
        "none",
        'Names of invisible marks, such as sd-v1; "none" among them is a picture without.',
    ),
}
FOLDS = {  # what the fields are called that are folded away
    "Input pictures": ("image", "mask_image", "depth_map", "strength", "noise_level"),
    "More settings": (
        "vae",
        "lora",
        "textual_inversion",
        "eta",
        "clip_skip",
        "guidance_rescale",
        "prompt_syntax",
        "watermark",
    ),
}
FOLDED = tuple(name for names in FOLDS.values() for name in names)
LINES = {
    "prompt": 4,
    "negative_prompt": 4,
    "model": 4,
    "scheduler": 4,
    "lora": 2,
    "textual_inversion": 2,
}
SIDE = 64  # pixels, of what is shown of a picture
SHOWN = 8  # pictures
CONTENT = re.compile(r"\b([0-9a-f]{8})[0-9a-f]{24}\b")


def control(name: str, text: Any, models: Sequence[str]) -> ipywidgets.DOMWidget:
    """The widget in which a field is filled in."""
    placeholder, hint = HINTS[name]
    common = {"description": name, "tooltip": hint}
    if name == "model":
        return ipywidgets.SelectMultiple(
            options=models, value=text, rows=min(LINES[name], max(2, len(models))), **common
        )
    if name == "scheduler":
        known = [*SCHEDULERS, *(other for other in text if other and other not in SCHEDULERS)]
        return ipywidgets.SelectMultiple(
            options=[("native", None), *((each, each) for each in known)],
            value=text,
            rows=LINES[name],
            **common,
        )
    kind = ipywidgets.Textarea if name in (*PROMPTS, *LINED) else ipywidgets.Text
    lines = {"rows": LINES[name]} if kind is ipywidgets.Textarea else {}
    return kind(value=text, placeholder=placeholder, continuous_update=False, **lines, **common)


class Field(ipywidgets.VBox):
    """A control and the message under it."""

    def __init__(self, name: str, text: Any, models: Sequence[str], uid: str) -> None:
        self.name, self._place = name, f"sdl-{uid}-{name}"
        self.control, self._message = control(name, text, models), ipywidgets.HTML()
        super().__init__([self.control, self._message])
        self.add_class("sdl-field")
        self.add_class(f"sdl-field-{name}")
        self.say()

    @property
    def text(self) -> Any:
        return self.control.value

    @property
    def message(self) -> str:
        """What stands under the control, as HTML."""
        return self._message.value

    def say(self, error: str = "", note: str = "") -> None:
        """Shows what is wrong, or what one should know; nothing if there is nothing."""
        self._message.value = said(error, "error", self._place) or said(note, "note", self._place)
        self._message.layout.display = "" if self._message.value else "none"


class PictureField(Field):
    """A field for paths of pictures, or for the names of their contents; what is uploaded takes their place."""

    def __init__(self, name: str, text: Any, models: Sequence[str], uid: str) -> None:
        self._trouble = ""
        super().__init__(name, text, models, uid)
        self.upload = ipywidgets.FileUpload(
            accept="image/*",
            multiple=True,
            description=f"Upload {name}",
            tooltip="Takes pictures of this computer instead of those named above",
        )
        self._pictures = ipywidgets.HTML()
        self.children = [
            self.control,
            ipywidgets.HBox([self.upload, self._pictures]),
            self._message,
        ]
        self.children[1].add_class("sdl-given")
        self.upload.observe(self._take, "value")
        self.control.observe(self._forget, "value")

    def show(self, names: Iterable[str | None]) -> None:
        """Shows the pictures of these contents, as far as this process knows them."""
        found = [name for name in names if name and is_known(name)]
        more = f"and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        self._pictures.value = "".join(map(preview_of, found[:SHOWN])) + more

    def say(self, error: str = "", note: str = "") -> None:
        super().say(error or self._trouble, note)

    def _forget(self, _: Any) -> None:
        self._trouble = ""

    def _take(self, change: Any) -> None:
        if not change["new"]:
            return
        try:
            names = [
                uploaded(self.name, file["name"], bytes(file["content"])) for file in change["new"]
            ]
        except (ValueError, TypeError) as error:
            self._trouble = f"{error}"
            self.say()
        else:
            self._forget(None)
            self.say()
            self.control.value = ", ".join(names)
        self.upload.value = ()  # so that the same file can be taken again


class Fold(ipywidgets.VBox):
    """Fields behind a button that shows and hides them; while they are hidden, a line says what they hold."""

    def __init__(self, title: str, fields: Sequence[Field], uid: str) -> None:
        self.title, self.fields, self._place = title, fields, f"sdl-{uid}-{title.replace(' ', '-')}"
        self.button = ipywidgets.ToggleButton(
            description=title,
            tooltip=", ".join(field.name for field in fields),
            value=any(field.text for field in fields),
        )
        self.line, self.inside = ipywidgets.HTML(), box(fields, "sdl-fields")
        super().__init__([self.button, self.line, self.inside])
        self.show()

    def show(self, errors: Sequence[str] = ()) -> None:
        """Shows what the button says, and the fields anyway if one of them has an error."""
        if any(field.name in errors for field in self.fields):
            self.button.value = True
        held = "; ".join(
            f"{field.name} {' · '.join(field.text.splitlines())}"
            for field in self.fields
            if field.text
        )
        self.inside.layout.display = None if self.button.value else "none"
        hidden = "Also set: " + CONTENT.sub(r"\1…", held) if held and not self.button.value else ""
        self.line.value = said(hidden, "note", self._place)
        self.line.layout.display = "" if self.line.value else "none"


def uploaded(name: str, file: str, data: bytes) -> str:
    """The hash of an uploaded picture; ValueError that names the file, if it is none."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            return name_picture(name, image)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{file!r:.120}: {error}") from None
    except Exception:  # Pillow's are of many kinds, and speak of the bytes in memory
        raise ValueError(f"{file!r:.120} cannot be read as a picture; take a PNG or JPEG") from None


@functools.lru_cache(256)
def preview_of(name: str) -> str:
    """The picture of this content as a small HTML image."""
    try:
        image = read_picture(name)
    except (ValueError, OSError) as error:
        return escape(f"{error}")
    alternative, file = f"{name[:8]}…, {image.width}x{image.height}", io.BytesIO()
    image.thumbnail((SIDE, SIDE))
    image.save(file, "PNG")
    data = base64.b64encode(file.getvalue()).decode()
    return f'<img src="data:image/png;base64,{data}" alt="{alternative}" title="{alternative}">'


def said(text: str, kind: str, place: str) -> str:
    """A message as HTML, "" for no text; an error begins with a sign and a word, not with colour alone."""
    if not text:
        return ""
    role, sign = ("alert", "⚠ <b>Error:</b> ") if kind == "error" else ("status", "")
    return (
        f'<div class="sdl-told sdl-told-{kind}" id="{escape(place)}"'
        f' role="{role}">{sign}{escape(text)}</div>'
    )


def side(name: str, given: Any) -> ipywidgets.Dropdown:
    """The choice of what names the rows or the columns of the grid; "" is automatic."""
    box = ipywidgets.Dropdown(
        description=name, tooltip=f"What names the grid's {name}.", options=[("automatic", "")]
    )
    if given:
        box.options = [
            *box.options,
            (given if isinstance(given, str) else " · ".join(given), given),
        ]
        box.value = given
    return box


def offer(box: ipywidgets.Dropdown, names: Sequence[str]) -> None:
    """Offers these names, and keeps what is chosen, if only for its error to be seen."""
    chosen, label = box.value, box.label
    options = [("automatic", ""), *((name, name) for name in names)]
    if chosen and chosen not in names:
        options.append((label, chosen))
    if list(box.options) != options:
        box.options = options
        box.value = chosen


def settings_table(texts: dict[str, Any], note: str) -> str:
    """What is filled in as an HTML table, for the static picture."""
    cell = (
        'style="text-align:left;vertical-align:top;padding:2px 10px 2px'
        ' 0;white-space:pre-wrap;overflow-wrap:anywhere"'
    )
    said = {
        name: ", ".join(each or "native" for each in text) if name in NAMES else text
        for name, text in texts.items()
    }
    rows = "".join(
        f'<tr><th scope="row" {cell}>{escape(name)}</th><td {cell}>{escape(text)}</td></tr>'
        for name, text in said.items()
        if text
    )
    return f"<table>{rows}</table><p>{escape(note)}</p>"


def box(children: Sequence[ipywidgets.Widget], name: str) -> ipywidgets.Box:
    """Widgets beside each other, laid out by the style of that name."""
    out = ipywidgets.Box(list(children))
    out.add_class(name)
    return out


# What a form is given


def opened(store: Store | str | os.PathLike) -> Store:
    """The store, or an error that says what was given instead of one."""
    if not isinstance(store, (Store, str, os.PathLike)):
        raise TypeError(
            f'store={store!r:.80}: give a Store, or the path of its folder, such as "runs/circle"'
        )
    return store if isinstance(store, Store) else Store(store)


def named(argument: str, given: Any) -> list[str]:
    """One name, several or None as a list."""
    found = [] if given is None else [given] if isinstance(given, (str, os.PathLike)) else given
    if not isinstance(found, (list, tuple)) or not all(
        isinstance(each, (str, os.PathLike)) for each in found
    ):
        raise TypeError(f"{argument}={given!r:.80}: give a name, or a list of names")
    return [os.fspath(each) for each in found]


def require_sides(labels: Sequence[str], **sides: Any) -> None:
    """ValueError for rows or columns that no sweep varies; `labels` are the choices in its prompts."""
    for argument, given in sides.items():
        if unknown := [
            name for name in named(argument, given) if name not in FIELDS and name not in labels
        ]:
            choices = (
                f"a choice in these prompts ({', '.join(labels)})"
                if labels
                else "a choice in the prompts given"
            )
            raise ValueError(
                f"{argument}={unknown[0]!r} is neither {choices} nor a field: {', '.join(FIELDS)}"
            )
