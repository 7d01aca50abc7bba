"""The tab of found pictures: where they come from, and one of them beside what was made here."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import ipywidgets

from ...results.frame import count_noun
from ...store.store import Store
from ...watermark.folders import list_files
from ..forms import find_form
from ..inspector.inspector import MOST, WatermarkInspector
from .beside import BY_RECIPE, COMPARE, FILL, NotMade, find_beside, offer_beside, render_beside
from .tab import SHORT, Read, Tab, make_button

if TYPE_CHECKING:
    import pandas as pd


class OriginTab(Tab):
    """Where pictures come from: dropped files, or those of the store."""

    title = "Where from?"
    caption = "Where these pictures come from, as far as their files and their pixels tell"
    needs_pictures = False

    def __init__(self, read: Read, store: Store, folder: str) -> None:
        self._store, self._folder = store, folder
        self._tested: set[str] = set()  # the paths of pictures of the store
        button = make_button(
            "Test these pictures", self._test, self, f"At most {MOST:,} of the store; or drop files"
        )
        remade = make_button(
            COMPARE,
            self._set_beside,
            self,
            "The chosen picture beside what was made here, as “beside” says",
        )
        self.beside = ipywidgets.Dropdown(
            description="beside", style=SHORT, layout={"max_width": "30em"}
        )
        self._earlier = make_button(
            "", self._show_earlier, self, f"Files that were dropped here before, kept in {folder}"
        )
        self._lacks: Any = None  # the recipe that nothing was made of
        self._fill = make_button(
            FILL, lambda: find_form()(self._lacks), self, "Fills the form in with that recipe"
        )
        for each in (button, remade, self._earlier, self._fill):
            each.layout.width = "auto"
        self.beside.observe(lambda _: self.forget_error(), "value")
        super().__init__(read, button, self._earlier, remade, self.beside)

    def come_up(self) -> None:
        super().come_up()
        self.try_to(self._offer_beside)

    def say(self, text: str, kind: str = "note") -> None:
        super().say(text, kind)
        if kind != "error" and self._fill in self._place.children:  # it belongs to that error
            self._place.children = [self.widget]

    def _offer_beside(self) -> None:
        """Offers what is here now, and keeps what is chosen if it can."""
        before, words = self.beside.value, self.beside.label
        options = offer_beside(self._read(), self._store)
        if before is not None and before not in [value for _, value in options]:
            options.append((words, before))
        if options != list(self.beside.options):
            self.beside.options = options  # which chooses the first of them
            self.beside.value = before or (BY_RECIPE, "")

    @property
    def is_stale(self) -> bool:
        return False

    @property
    def has_figure(self) -> bool:
        return self.widget is not None and bool(self.widget.names)

    @property
    def comes_by(self) -> str:
        if self.has_figure or not (files := self._list_earlier()):
            return ""
        return f"choose that tab, and press “{name_earlier(files)}” there"

    def list_own(self) -> set[str]:
        return set()

    def make_figure(self, frame: pd.DataFrame, *, own: bool = False) -> Any:
        """Makes the answers on the found pictures, and on those of the store that are in it."""
        left_out = self._tested - set(frame["path"])
        cells = [i for i, path in enumerate(self.widget.paths) if path not in left_out]
        return SimpleNamespace(static=lambda: self.widget.render(cells)) if cells else None

    def _begin(self) -> None:
        self.show(WatermarkInspector(folder=self._folder))
        self.widget.observe(lambda _: self._offer_earlier(), "names")
        self.widget.observe(lambda _: self.renew(), "notes")  # as verdicts come
        self.widget.observe(lambda _: self.forget_error(), ["names", "chosen"])
        self._offer_earlier()

    def _list_earlier(self) -> list[str]:
        """Lists the files that were dropped before and are not shown."""
        folder = Path(self._folder).expanduser()
        known = set() if self.widget is None else set(self.widget.paths)
        files = list_files(folder) if folder.is_dir() else ()
        return [file for file in files if file and file not in known]

    def _offer_earlier(self) -> None:
        files = self._list_earlier()
        self._earlier.description = name_earlier(files)
        self._earlier.layout.display = "" if files else "none"

    def _show_earlier(self) -> None:
        files, room = self._list_earlier(), MOST - len(self.widget.paths)
        self.widget.add(files[:room])

    def _set_beside(self) -> None:
        """Shows the chosen picture beside one that was made here, above the inspector."""
        if not self.has_figure:
            raise ValueError("Drop a picture below first, and choose it.")
        self._offer_beside()
        self._place.children = [self.widget]
        picture = self.widget.picture
        own = self.beside.value[0] == BY_RECIPE
        try:
            path = find_beside(picture, self._store, self.beside.value)
        except NotMade as error:
            self._lacks = error.given
            self._place.children = [self._fill, self.widget]
            raise
        shown = render_beside(picture, path, self.beside.label, own)
        self.say("")
        self._place.children = [ipywidgets.HTML(shown), self.widget]
        self.widget.keep_beside(picture)  # another one may be chosen by now
        self.renew()

    def _test(self) -> None:
        """Adds the pictures of the tabs to those that are there."""
        frame = self.read()
        if self.widget is None:  # the button's click came before that on the tab
            self._begin()
        known = set(self.widget.paths)
        new = frame[[path not in known for path in frame["path"]]]
        room = MOST - len(known)
        self.say("")
        self.widget.add(new[:room])
        self._tested |= set(new["path"][:room])
        if len(new) > room:
            self.say(f"{len(new) - room:,} of {count_noun(len(frame), 'picture')} are not tested.")
        self.renew()


def name_earlier(files: list[str]) -> str:
    """Names the button that shows files that were dropped before."""
    return f"Show {count_noun(len(files), 'picture')} of before"
