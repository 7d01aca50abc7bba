"""`Workbench`: the other widgets as tabs over one store, for those who write no code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import ipywidgets
import pandas as pd
import traitlets
from markupsafe import Markup

from ...results.frame import count_noun, find_foreign, select_made
from ...store.store import Store, open_store
from ..arrivals import INSPECTED
from ..code import name_folder
from ..forms import forget_form, note_form
from ..panel import Kept, workers
from .choices import Choices
from .compare_tab import CompareTab
from .found import Found
from .grid_tabs import GridTab, SweepTab
from .judge_tab import JudgeTab
from .keys import BenchKeys
from .last_run import LastRun
from .origin_tab import OriginTab
from .report_tab import ReportTab
from .tab import EMPTY, Tab

STILL_BYTES = 4_000_000  # of the pictures of all tabs but that in front
LEFT_OUT = Markup(
    "<p>Not here, so that the notebook does not become too large: whatever tab is in front when the"
    " notebook is saved is there as a whole.</p>"
)
LAST, ALL, FOUND = "the last run", "the whole store", "with those found"
ALONE = "those found alone"
NONE_MADE = (
    "No picture was made here yet: the tab “Sweep” makes some. But {} found: choose “{}” in"
    " “pictures” above."
)
NONE_FOUND = "No picture was found yet: drop some on the tab “Where from?”."


class Workbench(Kept, ipywidgets.VBox):
    """Sweep, grid, compare, judge, where from, report: the widgets as tabs over one store.

    What is chosen on the tabs is kept in the store's folder and chosen again when Python has been
    started anew: rows and columns of the grid, what is compared or judged, title and text of the
    report.

    Parameters
    ----------
    store : Store or path
        Where the pictures are, and go.

    Attributes
    ----------
    tabs : dict
        {title: the tab}; its `widget` is the one that is shown there.
    chosen : str
        The title of the tab in front; can be set and observed.
    pictures : {"the last run", "the whole store", "with those found", "those found alone"}
        What the other tabs are about, else the name of a run. It is the last run once there is one,
        unless those found are chosen; can be set and observed. The last run is known again when
        Python has been started anew, as up to ten runs before it are, whose names say when they
        were and of what. Found are the files that were dropped on "Where from?", and those that
        `read_pictures(..., store)` has kept in the store.
    value : DataFrame
        The pictures that the tabs are about.

    Raises
    ------
    TypeError
        A store that is none.

    Examples
    --------
    >>> Workbench("runs/mine")
    """

    chosen = traitlets.Unicode("Sweep")
    pictures = traitlets.Unicode(ALL)

    def __init__(self, store: Store | str | os.PathLike[str] = "runs/workbench") -> None:
        self.store = open_store(store)
        folder = self._folder = name_folder(store)
        self._sweep = SweepTab(store if isinstance(store, Store) else os.fspath(store))
        self.uid = self._sweep.form.uid  # its page hides the picture below while it is alive
        choices, about = Choices(self.store), (self._frame, self.store)
        people = CompareTab(*about, choices), JudgeTab(*about, choices)
        seen: list[Tab] = [GridTab(self._frame, choices), *people]
        dropped = f"{folder}/{INSPECTED}"
        self._found = Found(self.store, Path(dropped).expanduser())
        origin = OriginTab(self._frame, self.store, dropped)
        report = ReportTab(self._frame, self.store, self._found, [*seen, origin])
        self.tabs: dict[str, Tab] = {tab.title: tab for tab in (self._sweep, *seen, origin, report)}
        self._last = LastRun(self.store)
        self._scope = ipywidgets.Dropdown(
            options=self._list_choices(),
            description="pictures",
            layout={"max_width": "40em", "width": "auto"},
            tooltip="Which pictures the tabs beside “Sweep” are about; found are the files dropped"
            " on “Where from?” and those that read_pictures kept in the store",
        )
        self._front = ipywidgets.Tab(list(self.tabs.values()), titles=list(self.tabs))
        super().__init__([self._scope, self._front, BenchKeys()])
        self.add_class("sdl-workbench")
        self._sweep.form.observe(self._ran, "running")
        self._front.observe(self._turned, "selected_index")
        self._link = ipywidgets.link((self, "pictures"), (self._scope, "value"))
        self.observe(self._come_up, ["chosen", "pictures"])
        for tab in self.tabs.values():
            tab.changed, tab.explain_empty = self.refresh_soon, self._explain_empty
        forget_form(self._sweep.form.open_recipe)
        note_form(self._open)

    def __repr__(self) -> str:
        return f"<Workbench({self._folder!r}): {len(self.store)} pictures, {self.chosen}>"

    @property
    def value(self) -> pd.DataFrame:
        return self._frame()

    @property
    def code(self) -> str:
        """Python that does what the tab in front does."""
        return self.tabs[self.chosen].code

    def forget_page(self) -> None:
        self._sweep.form.forget_page()
        forget_form(self._sweep.form.open_recipe)
        note_form(self._open)

    def close(self) -> None:
        """Takes the workbench away; what runs, goes on."""
        forget_form(self._open)
        super().close()

    def static(self) -> str:
        """Renders what each tab shows, under its title, as far as there is room."""
        room, parts = STILL_BYTES, []
        for title, tab in self.tabs.items():
            in_front = title == self.chosen
            if not tab.has_figure:
                continue
            still = Markup(tab.static(anew=in_front))
            if not in_front and len(still) > room:
                still = LEFT_OUT
            elif not in_front:
                room -= len(still)
            parts.append(Markup("<section><h3>{}</h3>{}</section>").format(title, still))
        return str(Markup("").join(parts))

    def _frame(self) -> pd.DataFrame:
        job = self._sweep.form.job
        if self.pictures == LAST:
            return select_made(job.frame() if job else self.store.frame(self._last.keys))
        if self.pictures in self._last.earlier:
            return select_made(self.store.frame(self._last.earlier[self.pictures]))
        frame = self.store.frame()
        if self.pictures not in (FOUND, ALONE):
            return select_made(frame)
        every = self._found.join(frame)
        return select_made(every[find_foreign(every)] if self.pictures == ALONE else every)

    def _explain_empty(self) -> str:
        """Says why there is no picture, and by which click there are some."""
        if self.pictures == ALONE:
            return NONE_FOUND
        if not (n := len(self._found)):
            return EMPTY
        return NONE_MADE.format(f"{count_noun(n, 'picture')} {'was' if n == 1 else 'were'}", FOUND)

    def _list_choices(self) -> list[str]:
        """Lists what the other tabs can be about."""
        return [ALL, *[LAST] * bool(self._last.keys), FOUND, ALONE, *self._last.earlier]

    def _ran(self, change: Any) -> None:
        """Takes the pictures of a run when it begins, and has the tabs follow when it ends, too."""
        job = self._sweep.form.job
        if change["new"] and job:
            self._last.note(job)
            workers.submit(self._last.keep)
            self._link.unlink()  # other options choose the first of them
            self._scope.options = self._list_choices()
            if self.pictures not in (FOUND, ALONE):
                self.pictures = LAST
            self._link.link()
        for title, tab in self.tabs.items():
            tab.behind = self.pictures == LAST
            if title == self.chosen:
                workers.submit(tab.tell_news)

    def _turned(self, change: Any) -> None:
        self.chosen = list(self.tabs)[change["new"] or 0]

    @traitlets.validate("chosen")
    def _check_chosen(self, proposal: Any) -> str:
        if proposal["value"] not in self.tabs:
            raise traitlets.TraitError(
                f"chosen={proposal['value']!r}: use one of {', '.join(map(repr, self.tabs))}"
            )
        return proposal["value"]

    @traitlets.validate("pictures")
    def _check_pictures(self, proposal: Any) -> str:
        chosen, choices = proposal["value"], self._list_choices()
        if chosen == LAST and not (self._sweep.form.job or self._last.keys):
            raise traitlets.TraitError(
                f"pictures={LAST!r}: no run of this store is known; {ALL!r} has all there is"
            )
        if chosen not in (LAST, *choices):
            raise traitlets.TraitError(
                f"pictures={chosen!r}: use one of {', '.join(map(repr, choices))}"
            )
        return chosen

    def _open(self, given: Any) -> None:
        """Fills the form in with a picture's recipe, for a button of another tab."""
        self._sweep.form.open_recipe(given)
        self.chosen = self._sweep.title
        self._sweep.form.show_filled()  # it was out of view before

    def _come_up(self, change: Any) -> None:
        turned = change["name"] == "chosen"
        self.tabs[change["old"] if turned else self.chosen].forget_error()
        if turned:
            self.tabs[change["old"]].forget_still()
        elif change["new"] != LAST:
            for tab in self.tabs.values():
                tab.behind = False
        self._front.selected_index = list(self.tabs).index(self.chosen)
        self.tabs[self.chosen].come_up()
        self.refresh_soon()
