"""The tab that hands results on: a report, with the pictures of other tabs as they are now."""

from __future__ import annotations

import functools
import itertools
import json
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets
import traitlets

from ...results.frame import column_values, count_noun, find_foreign, join_words
from ...results.report import write_report
from ...results.verify import Verification, verify
from ...store.files import write_whole
from ...store.opinions import VERDICTS
from ...store.store import Store
from ..panel import is_voila, render_message, workers
from ..told import ToldLine
from .found import Found
from .tab import SHORT, Read, Tab, make_button

if TYPE_CHECKING:
    import pandas as pd

FOLDER = "reports"
KEPT = "report.json"  # in the store's folder
VOILA = "voila/files/"  # where it serves the files beside a notebook


class ReportTab(Tab):
    """A title, what to say, what goes in, and where the report then is.

    Parameters
    ----------
    read : callable
        Gives the frame of the pictures.
    store : Store
        Whose name the file has; title and text are kept in its folder, for the next time.
    found : Found
        The pictures that were not made here.
    others : sequence of Tab
        Whose widgets can go in.
    """

    title = "Report"

    def __init__(self, read: Read, store: Store, found: Found, others: Sequence[Tab]) -> None:
        self._others, self._found, self._stem = others, found, store.root.name
        self._store = store
        self._kept, self._keeping = store.root / KEPT, threading.Lock()
        self._written: dict[str, Path] = {}  # by title
        self._make_fields()
        self.parts = {
            tab.title: ipywidgets.Checkbox(description=tab.title, value=True, indent=False)
            for tab in others
        }
        self._writing = False
        self._write = make_button("Write the report", self._start, self, "An HTML file of its own")
        self._code = ipywidgets.ToggleButton(
            description="Code", tooltip="Python that writes the report, as it is now"
        )
        self._code.observe(self._show_code, "value")
        for field in (self.heading, self.text, self.claim):
            field.layout.width = "auto"
        words = ipywidgets.VBox([self.heading, self.text, self.claim], layout={"width": "100%"})
        chosen = [*self.parts.values(), self.own, self.starred, self.again]
        shown = ipywidgets.HBox(chosen, layout={"width": "100%", "flex_flow": "row wrap"})
        self._lacking = ToldLine()
        self._lacking.layout.width = "100%"
        super().__init__(read, words, shown, self._lacking, self._write, self._code)
        self._recall()
        for field in (self.heading, self.text, self.claim):
            field.observe(lambda _: workers.submit(self._keep), "value")
        for choice in (*self.parts.values(), self.own, self.starred):
            choice.observe(self._choose_anew, "value")

    def _make_fields(self) -> None:
        self.heading = ipywidgets.Text(
            description="title",
            placeholder="What was found out",
            continuous_update=False,
            style=SHORT,
        )
        self.text = ipywidgets.Textarea(
            description="text",
            placeholder="An introduction; blank lines part paragraphs",
            rows=4,
            continuous_update=False,
            style=SHORT,
        )
        self.claim = ipywidgets.Text(
            description="claim",
            placeholder="What the votes of “Compare” speak for, in a sentence",
            continuous_update=False,
            style=SHORT,
        )
        self.again = ipywidgets.BoundedIntText(
            description="render again",
            tooltip="How many pictures are rendered again, to verify that they come out alike",
            max=1_000_000,
            style=SHORT,
        )
        self.starred = ipywidgets.Checkbox(
            description="only starred pictures", value=False, indent=False
        )
        self.own = ipywidgets.Checkbox(
            description="also what the parts show",
            value=False,
            indent=False,
            tooltip="The pictures chosen above and those that the parts ticked here are about",
        )

    def _recall(self) -> None:
        """Fills in title, text and claim as last time in this store."""
        with suppress(OSError, ValueError, KeyError, TypeError, traitlets.TraitError):
            kept = json.loads(self._kept.read_text(encoding="utf-8"))
            self.heading.value, self.text.value = kept["title"], kept["text"]
            self.claim.value = kept.get("claim", "")

    def _keep(self) -> None:
        """Keeps title, text and claim as they are now, if the store can be written to."""
        with self._keeping, suppress(OSError):
            said = {"title": self.heading, "text": self.text, "claim": self.claim}
            kept = {name: field.value for name, field in said.items()}
            write_whole(self._kept, json.dumps(kept, ensure_ascii=False, indent=1).encode())

    @property
    def is_stale(self) -> bool:
        return False

    def read(self) -> pd.DataFrame:
        """Reads the frame of the pictures that the report is about."""
        frame = self._read_every()
        if not self.starred.value:
            return frame
        if (chosen := frame[frame["starred"].fillna(False)]).empty:
            raise ValueError("No picture is starred: a star in the tab “Grid” chooses one.")
        return chosen

    def _read_every(self) -> pd.DataFrame:
        """Reads the pictures chosen above, and what the parts show if that is to be in it."""
        frame = super().read()
        shown = set().union(*(tab.list_own() for tab in self._list_parts())) - set(frame["path"])
        if not self.own.value or not shown:
            return frame
        every = self._found.join(self._store.frame())
        return every[every["path"].isin(shown | set(frame["path"]))].reset_index(drop=True)

    def _list_parts(self) -> list[Tab]:
        """Lists the tabs whose widgets go in."""
        return [tab for tab in self._others if tab.has_figure and self.parts[tab.title].value]

    def _describe_parts(self, every: pd.DataFrame) -> str:
        """Says how many of the report's pictures each part is about; "" if all are about all."""
        counts = {tab.title: len(tab.list_own()) for tab in self._list_parts()}
        told = [f"{title} about {n:,}" for title, n in counts.items() if 0 < n < len(every)]
        of = count_noun(len(every), "picture")
        return f"Of these {of}, {join_words(told)}." if told and self.own.value else ""

    def write_text(self) -> str:
        """Writes what stands first: that stars chose, what all are marked as, the text itself."""
        every = self._read_every()
        said = [describe_choice(every)] if self.starred.value else [self._describe_parts(every)]
        said += [count_marks(every), self.text.value.strip()]
        return "\n\n".join(filter(None, said))

    @property
    def path(self) -> Path:
        """Where the report goes: one of the same title is replaced, no other one."""
        names = (f"{self._stem}{f'-{n}' * (n > 1)}.html" for n in itertools.count(1))
        free = next(p for name in names if not (p := Path(FOLDER) / name).exists())
        return self._written.get(self.heading.value, free)

    @property
    def code(self) -> str:
        """Python that writes the same report; what other tabs show goes in by their own Python."""
        said = self.write_text()
        text = f", text={said!r}" if said else ""
        n = self.again.value
        names = ("verify", "write_report") if n else ("write_report",)
        verified = f", verified=verify(results, {n})" if n else ""
        shown = [tab.title for tab in self._list_parts()]
        note = f"# without what {join_words(shown)} shows: see the Python there\n" if shown else ""
        frame = self.read()
        stars = 'results = results[results["starred"]]\n'  # those read from a folder are all
        note = stars * (self.starred.value and any(find_foreign(frame))) + note
        return (
            f"{self._found.write_code(frame, *names)}{note}"
            f"write_report({str(self.path)!r}, {self.heading.value!r}, results{text}{verified})\n"
        )

    def come_up(self) -> None:
        with self._turn:  # what a click says meanwhile comes after
            said = self._said.value
            super().come_up()
            if self._writing or "<a " in said:  # what is being written, or was
                self._said.value = said
            elif not self._said.value:
                self.try_to(self._tell_count)
            self._offer_parts()

    def _choose_anew(self, _: Any) -> None:
        self.forget_error()
        self.come_up()

    def _offer_parts(self) -> None:
        """Offers what the other tabs show by now, and tells what they do not."""
        self._code.value = False
        for tab in self._others:
            self.parts[tab.title].layout.display = "" if tab.has_figure else "none"
        votes = any(tab.has_votes for tab in self._others)
        self.claim.layout.display = "" if votes else "none"
        self.try_to(self._tell_lacking)

    def _tell_lacking(self) -> None:
        """Tells, where its box would be, by which click a part comes that is not there yet."""
        ways = [f"“{tab.title}” ({way})" for tab in self._others if (way := tab.comes_by)]
        told = f"Not among the parts yet: {join_words(ways)}." if ways else ""
        self._lacking.value = render_message(told, "note", "sdl-tab-Report-lacking")

    def _tell_count(self) -> None:
        frame = self.read()
        count, parts = count_noun(len(frame), "picture"), self._describe_parts(frame)
        told = f"{parts and ' '}{parts}{self._tell_left_out()}"
        self.say(f"The report will be about {count}.{told}")

    def _tell_left_out(self) -> str:
        """Tells what people said and is not in it: what no tab shows, and votes under way."""
        ways = [f"{tab.title} (“{tab.renews}” there)" for tab in self._others if tab.is_unshown]
        unshown = f"Not in it is what people said in {join_words(ways)}." if ways else ""
        said = [unshown, *(tab.under_way for tab in self._others)]
        return "".join(f" {each}" for each in said if each)

    def _show_code(self, change: Any) -> None:
        self._place.children = []
        if change["new"]:
            self.try_to(self._tell_code)

    def _tell_code(self) -> None:
        look = "overflow:auto;user-select:text;line-height:1.35"
        code = f'<pre tabindex="0" aria-label="Python" style="{look}">{escape(self.code)}</pre>'
        self._place.children = [ipywidgets.HTML(code)]

    def _start(self) -> None:
        """Checks what is cheap to check, and writes on another thread: verifying takes time."""
        if self._writing:  # the button stays enabled: a disabled one would lose the focus
            return
        if not self.heading.value.strip():
            raise ValueError("A report needs a title: say what was found out.")
        frame = self.read()
        chosen, own = self._list_parts(), self.own.value
        figures = [(tab.make_figure(frame, own=own), tab.caption or tab.title) for tab in chosen]
        if stale := [tab.title for tab, (figure, _) in zip(chosen, figures) if figure is None]:
            ways = [f"“{tab.renews}” in {tab.title}" for tab in self._others if tab.title in stale]
            tick = f"tick “{self.own.description}”"
            way = (
                "Leave" if self.starred.value else f"Press {join_words(ways)}, or {tick}, or leave"
            )
            raise ValueError(
                f"{join_words(stale)}: other pictures are shown there than the report would be"
                f" about. {way} them out here."
            )
        claims = [c for tab in chosen for c in tab.make_claims(self.claim.value.strip())]
        text, n = self.write_text() or None, min(self.again.value, len(frame))
        parts = describe_parts(frame, [tab.title for tab in chosen])
        work = functools.partial(
            self._make, self.path, self.heading.value, frame, figures, claims, text, n, parts
        )
        self._writing = True
        self.say("Writing…", "progress")
        workers.submit(self._finish, work)

    def _finish(self, work: Callable[[], Callable[[], None]]) -> None:
        """Makes it, which takes long, without keeping anybody waiting, and says how that ended."""
        try:
            tell = work()
        except Exception as error:
            tell = functools.partial(self.say_error, error)
        with self._turn:
            self.try_to(tell)  # which asks the other tabs, and the store
            self._writing = False

    def _make(
        self,
        path: Path,
        title: str,
        frame: Any,
        figures: Sequence[Any],
        claims: Sequence[Any],
        text: str | None,
        n: int,
        parts: str,
    ) -> Callable[[], None]:
        found = verify(frame, n) if n else None
        write_report(path, title, frame, *figures, text=text, claims=claims, verified=found)
        self._written[title] = path
        return functools.partial(self._tell, path, title, found, parts)

    def _tell(self, path: Path, title: str, found: Verification | None, parts: str) -> None:
        other = (
            f" Its title is “{title}”, as when it was begun." if title != self.heading.value else ""
        )
        said = escape(f"{other} {parts}" + (f" {found}" if found else "") + self._tell_left_out())
        href, name = escape(f"{VOILA * is_voila()}{path.as_posix()}"), escape(str(path))
        self._said.value = (
            '<div class="sdl-told" role="status">The report is at'
            f' <a href="{href}" target="_blank" style="text-decoration:underline">{name}</a>.{said}'
            "</div>"
        )


def describe_parts(frame: pd.DataFrame, titles: Sequence[str]) -> str:
    """Says what is in a report: how many pictures it is about, and what shows them."""
    about = f"It is about {count_noun(len(frame), 'picture')}, "
    if not titles:
        return f"{about}without what any other tab shows."
    return f"{about}with what {join_words([f'“{title}”' for title in titles])} shows."


def describe_choice(frame: pd.DataFrame) -> str:
    """Says that stars chose some of these pictures."""
    of = count_noun(len(frame), "picture")
    starred = frame["starred"].fillna(False).sum()
    return f"{starred:,} of {of}, chosen by stars; the others are not shown."


def count_marks(frame: pd.DataFrame) -> str:
    """Counts what these pictures are marked as; "" if none is."""
    said = column_values(frame, "verdict")
    counts = [(said.count(verdict), verdict) for verdict in VERDICTS]
    told = [f"{n:,} {verdict}" for n, verdict in counts if n]
    if not told:
        return ""
    none = [f"{n:,} without a verdict"] if (n := said.count(None)) else []
    return f"Marked, of all {len(frame):,}: {join_words([*told, *none])}."
