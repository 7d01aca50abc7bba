"""Filling a form in: from a sweep, a picture's recipe, or what was there before."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...recipe.request import SPECS, Request
from ...recipe.sweep import Sweep
from ...store.readers.row import read_bytes
from ..panel import is_unattended
from .field_text import order_axes, write_line, write_texts
from .fields import PictureField
from .form_fields import FormFields
from .given import FROM, loosen, read_claims, read_given
from .kept import describe_cut_run, list_texts, read_kept, recall_texts
from .outlook import lend_pictures
from .reading import join_notes, list_settings
from .tools import ANEW, AS_LAST, BACK

if TYPE_CHECKING:
    import pandas as pd

RUNS = "This cell's job is running: filled in is what it renders"
UNTAKEN = (
    "Nothing was taken of it: the form is as it was. To change that picture itself, drop it on the"
    f" field “image” (under “{SPECS['image'].fold}”)."
)


class FilledForm(FormFields):
    """Fields that are filled in from elsewhere, which says from where and offers the way back."""

    _before: dict[str, Any]  # what a picture's recipe took the place of

    def load(self, given: Any) -> None:
        """Fills the form in anew, from anything that it can begin with, or a Path of a picture.

        Parameters
        ----------
        given : Sweep, Request, row or path
            As `plan`. What of a picture's recipe sdlab does not know is said in the form.

        Raises
        ------
        ValueError, TypeError, OSError
            As for `plan`; then nothing is changed.
        """
        self._fill(*read_given(given))

    def _begin(self, begins: Sweep, empty: bool, kept: dict[str, Any]) -> None:
        """Fills in what runs, or was there last time, if nothing was given; else offers it.

        `kept` is what runs, if anything does.
        """
        self._before, fields = {}, self._fields.values()
        self._first, last = begins, recall_texts(self.store, fields)
        now = list_texts(fields)["texts"]
        if kept:
            self._fill_texts(read_kept(kept, self.store, fields), RUNS)
            self._tools.offer_swap(AS_LAST if last and empty else ANEW)
        elif last and empty and not is_unattended():
            self._fill_texts(last, "Filled in as last time in this store")
            self._tools.offer_swap(ANEW)
        elif last and not empty and any(now[name] != text for name, text in last.items()):
            self._tools.offer_swap(AS_LAST)
        self._last, self._said = last, join_notes(self._said, describe_cut_run(self.store))
        self._read()

    def _swap(self, what: str) -> None:
        """Changes between what the form began with and what was filled in last time, or goes back.

        What was there before a picture's recipe came is kept, once.
        """
        if what == BACK:
            self._fill_texts(self._before, "Filled in as before")
            self._read()
            self._keep()
            return self._tools.offer_swap("")
        if what == ANEW:
            self._last = list_texts(self._fields.values())["texts"]
            self._fill(self._first, "")
        else:
            self._fill_texts(self._last, "Filled in as last time in this store")
            self._read()
        self._tools.offer_swap(ANEW if what == AS_LAST else AS_LAST)

    def _fill(self, plan: Sweep, said: str) -> None:
        """Fills in a sweep, and says where it is from."""
        lend_pictures(self.store, plan)
        self._order = order_axes(plan)
        self._fill_texts(write_texts(plan), said)
        self._read()
        self._keep()

    def _fill_over(self, plan: Sweep, said: str) -> None:
        """Fills in a picture's recipe, and offers what was there."""
        before = list_texts(self._fields.values())["texts"]
        self._fill(plan, said)
        if before != list_texts(self._fields.values())["texts"]:
            self._before = before
            self._tools.offer_swap(BACK)

    def _fill_texts(self, texts: dict[str, Any], said: str) -> None:
        with self._lock:
            self._filling = True
            try:
                for name, text in texts.items():
                    self._fields[name].fill(text)
            finally:
                self._filling = False
            self._said, self._trouble, self._latest, self._ended = said, "", "", ""

    def _begin_with(self, prompt: str) -> None:
        """Puts a prompt to begin with in the place of what is there, which it offers to bring back.

        What stays of other settings is said.
        """
        before, prompts = list_texts(self._fields.values())["texts"], self.fields["prompt"]
        own = prompts.value.strip() not in {"", *self._tools.list_lines()}
        prompts.value = write_line(prompt)
        if own:
            self._before = before
            self._tools.offer_swap(BACK)
        if kept := list_settings(self._reading, self._fields.values()):
            self._say(f"Kept from before: {'; '.join(kept)}")

    def _files_came(self, name: str, files: list[tuple[str, bytes]]) -> None:
        """Takes files that were dropped on a field, or on the form."""
        field = self._fields.get(name)
        if isinstance(field, PictureField):
            field.take(files)
        else:
            self._open_file(*files[0])

    def _open_file(self, name: str, data: bytes) -> None:
        """Fills the form in from a picture's own recipe; of one without nothing is taken."""
        try:
            self._fill_over(*read_claims(read_bytes(data, name), name))
        except (ValueError, TypeError) as error:
            self._say(f"{error}. {UNTAKEN}")
        self._script.fillings += 1

    def open_recipe(
        self, given: Request | pd.DataFrame | Path, name: str = "the chosen picture"
    ) -> None:
        """Fills the form in with a picture's recipe, and shows it."""
        plan, said = loosen(given) if isinstance(given, Request) else read_given(given)
        told = "" if said.startswith(FROM) else f"{FROM} {name}"
        self._fill_over(plan, join_notes(told, said))
        self.show_filled()

    def show_filled(self) -> None:
        """Brings what is filled in into view, where the form itself is in view."""
        self._script.fillings += 1
