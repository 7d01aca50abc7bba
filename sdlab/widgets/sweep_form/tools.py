"""What a form has beside its fields: ways to fill it in, and how models read its prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import ipywidgets

from ...results.html import render_table
from .beginnings import list_beginnings
from .field_text import write_line
from .fields import TABLE
from .words import list_pieces

AS_LAST, ANEW, BACK = "As last time", "Begin anew", "As before"


class ToolBar(ipywidgets.Box):
    """Ways to fill a form in: prompts to begin with, a picture's recipe, what was there last time.

    Parameters
    ----------
    choose : callable
        Is told of a prompt that was chosen.
    swap : callable
        Is told of "As last time", "Begin anew" or "As before", whichever was pressed.
    """

    def __init__(self, choose: Callable[[str], None], swap: Callable[[str], None]) -> None:
        self.beginnings = ipywidgets.Dropdown(
            description="begin with",
            options=[("a prompt …", "")],
            tooltip="Prompts that ask what a model can do; one takes the place of what is there",
        )
        self.file = ipywidgets.Button(  # the page sends the file, as it sends one that is dropped
            description="Fill in from a picture…",
            tooltip="Reads the recipe in a picture's file, of many programs; or drop it here",
        )
        self.file.add_class("sdl-open")
        self.swap = ipywidgets.Button(description=AS_LAST)
        self.swap.layout.display = "none"
        self._choose = choose
        self.beginnings.observe(self._chosen, "value")
        self.swap.on_click(lambda _: swap(self.swap.description))
        super().__init__([self.beginnings, self.file, self.swap])
        self.add_class("sdl-tools")

    def offer(self, models: Iterable[str]) -> None:
        """Offers prompts of the world that these models know."""
        options = [("a prompt …", ""), *list_beginnings(models)]
        if list(self.beginnings.options) != options:
            self.beginnings.options = options
            self.beginnings.value = ""

    def list_lines(self) -> list[str]:
        """Lists the lines that the prompts offered would be."""
        return [write_line(prompt) for _, prompt in self.beginnings.options]

    def offer_swap(self, what: str) -> None:
        """Offers "As last time", "Begin anew" or "As before"; "" offers none of them."""
        self.swap.description = what or AS_LAST
        self.swap.layout.display = None if what else "none"

    def _chosen(self, change: Any) -> None:
        if change["new"]:
            self._choose(change["new"])
            self.beginnings.value = ""


class Pieces(ipywidgets.VBox):
    """How models take the prompts apart, behind a button."""

    def __init__(self) -> None:
        self.title = "Prompts as the model reads them"
        self.button = ipywidgets.ToggleButton(
            description=self.title, tooltip="The pieces that the model's tokenizer makes of words"
        )
        self.inside = ipywidgets.HTML()
        super().__init__([self.button, self.inside])
        self.show(None)

    def show(self, requests: Iterable[Any] | None) -> None:
        """Shows the pieces of these requests' prompts, if it is open; None clears them."""
        shown = self.button.value and requests is not None
        self.inside.layout.display = None if shown else "none"
        if shown:
            self.inside.value = render_table(
                ("model", "prompt", "pieces: a bar parts those of one word", "number"),
                list_pieces(requests or ()),
                style=TABLE,
            )
