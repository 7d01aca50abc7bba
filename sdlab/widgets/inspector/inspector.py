"""`WatermarkInspector`: drop pictures on it, and it says which carry a mark."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import traitlets

from ...progress import wait_in_turns
from ...recipe.request import Request
from ...watermark.detector import require_search
from ...watermark.inspection import Inspection
from ...watermark.statistics import require_testable
from ..arrivals import MOST_BYTES, MOST_FILES, PART, Arrivals
from ..panel import Panel, source
from .answer import describe_note, render_verdicts, write_answer, write_page, write_pages
from .code import write_how, write_inspection
from .kept import KeptSearches
from .pictures import (
    MARKED,
    MOST,
    UNREADABLE,
    UNTESTED,
    VERDICTS,
    Picture,
    draw_view,
    join_rows,
    list_pictures,
    make_frame,
    require_room,
    send_thumbnails,
)
from .recipe import find_recipe, make_request
from .work import Work, count_verdicts, list_asked, say_seconds, searched

PAUSE = 0.15  # seconds between two reports of what was found
BATCH = 100  # thumbnails in an answer, at most
# maps of a large picture take many seconds: what people press does not wait behind them
painters = ThreadPoolExecutor(1, "sdlab maps")


class WatermarkInspector(Panel):
    """A panel for pictures that says which carry a known mark, how sure that is, and where.

    The pictures are tested one after the other in the background, and a search, on demand, also
    finds marks in what was cropped, resized or mirrored. Beside the verdict stand the maps and what
    the file says about itself.

    Parameters
    ----------
    images : frame, path, or list of paths, PIL images and arrays, optional
        A frame of `run`, whose marked pictures are compared with their unmarked twins; a file or a
        folder. More can be dropped on the panel. At most 1,000 pictures.
    payloads : as in `detect_watermark`
    search : {"none", "crop", "size", "all"}
        What every picture is tested for at once; searches take seconds a picture.
    folder : path
        Where dropped files are kept, so that `.code` can name them. What tests find, and what a
        comparison in `Workbench` has shown, is kept beside it, in FOLDER.jsonl, and known again
        when Python has been started anew.
    false_positive_rate, trust_anchors
        As in `detect_watermark`.

    Attributes
    ----------
    chosen : int
        The number of the picture whose answer is shown, from 0; -1 for none.
    state : {"idle", "running"}
    inspections : list of Inspection or None
        The answers so far.
    request : Request
        The recipe that the chosen picture's file states.

    Raises
    ------
    TypeError, ValueError, FileNotFoundError
        For arguments that are not allowed. A picture that cannot be read is a row of the list, and
        no error.

    Examples
    --------
    >>> inspector = WatermarkInspector()                # then drop files on it
    >>> WatermarkInspector(results).value[["path", "payload", "log10_p"]]
    """

    _esm = source(
        "page.js",
        "inspector/files.js",
        "inspector/maps.js",
        "inspector/list.js",
        "inspector/answer.js",
        "inspector/inspector.js",
    )
    _css = source("page.css", "inspector/inspector.css")
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    states = traitlets.Unicode(
        help="Two letters a picture: its verdict, and the search it rests on."
    ).tag(sync=True)
    notes = traitlets.List(traitlets.Unicode(), help="What each file says of its origin.")
    notes.tag(sync=True)
    verdicts = traitlets.Dict(VERDICTS).tag(sync=True)
    payload_names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    folder = traitlets.Unicode().tag(sync=True)
    limits = traitlets.Dict(
        {"part": PART, "bytes": MOST_BYTES, "files": MOST_FILES, "pictures": MOST}
    ).tag(sync=True)
    state = traitlets.Unicode("idle").tag(sync=True)
    status = traitlets.Unicode().tag(sync=True)
    fraction = traitlets.Float(1.0).tag(sync=True)
    chosen = traitlets.Int(-1).tag(sync=True)
    compared = traitlets.Int(0, help="Counts what was set beside others.").tag(sync=True)
    code = traitlets.Unicode(help="Python that gives the same answers.").tag(sync=True)

    def __init__(
        self,
        images: Any = None,
        *,
        payloads: Any = "everyday",
        search: str = "none",
        folder: str | os.PathLike[str] = "runs/inspected",
        false_positive_rate: float = 1e-6,
        trust_anchors: Any = None,
    ) -> None:
        require_search(search, false_positive_rate)
        asked = list_asked(payloads, false_positive_rate, trust_anchors)
        self._payloads, self._search = asked["payloads"], search
        self._rate = asked["false_positive_rate"]
        for payload in self._payloads.values():
            require_testable(payload)
        self._pictures = list_pictures(images)
        self._frame = images if isinstance(images, pd.DataFrame) else None
        self._arrivals = Arrivals(Path(folder).expanduser())
        self._added: dict[str, dict] = {}  # file of the page: its answer
        self._lock, self._told_at, self._finished = threading.RLock(), 0.0, 0
        self._how = write_how(self._rate, trust_anchors)
        kept = KeptSearches(Path(folder).expanduser())
        self._work = Work(self._pictures, asked, self._news, self._ended, kept)
        super().__init__(
            payload_names=list(self._payloads),
            folder=os.fspath(folder),
            chosen=0 if self._pictures else -1,
        )
        self.observe(self._write_code, "chosen")
        self._work.ask(range(len(self._pictures)), search)
        self._tell()
        self._write_code()

    def __repr__(self) -> str:
        return f"<WatermarkInspector of {self._work.status or 'no pictures yet'}>"

    # Without clicking

    @property
    def inspections(self) -> list[Inspection | None]:
        """The answers so far."""
        return [picture.inspection for picture in self._pictures]

    @property
    def paths(self) -> list[str | None]:
        """Where each picture is; None for one that is no file."""
        return [picture.path for picture in self._pictures]

    @property
    def picture(self) -> Picture:
        """The chosen picture, and what is known of it."""
        return self._at(self.chosen)

    @property
    def value(self) -> pd.DataFrame:
        """One row a picture, after waiting: the frame's own columns or `path`, then what was found.

        `payload` and `geometry`, how the picture was changed, are missing unless a mark is
        detected; `log10_p` is that of the most likely one all the same. `official` names what the
        official decoder reads without an error, `error` says why a picture could not be read.
        """
        self.wait()
        with self._lock:
            return make_frame(self._pictures, self._frame)

    @property
    def request(self) -> Request:
        """The recipe in the chosen picture's file, as a request; `SweepForm` takes it.

        Raises
        ------
        ValueError
            No picture is chosen, or its file states no recipe.
        """
        return make_request(self._at(self.chosen))

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until all pictures are tested, at most `timeout` seconds; True if they are."""
        return wait_in_turns(self._work.wait, timeout)

    def settle(self) -> None:
        """Waits for the tests."""
        self.wait()

    def add(self, images: Any) -> None:
        """Adds pictures and tests them; files that are there already are left.

        Parameters
        ----------
        images : frame, path, PIL image, array, or list of these
        """
        listed = list_pictures(images)
        with self._lock:
            known, first = set(self.paths), len(self._pictures)
            fresh = [n for n, p in enumerate(listed) if p.path is None or p.path not in known]
            new = [listed[n] for n in fresh]
            require_room(first + len(new))
            if isinstance(images, pd.DataFrame):
                self._frame = join_rows(self._pictures, self._frame, images.iloc[fresh])
            self._pictures += new
            self._work.ask(range(first, len(self._pictures)), self._search)
        if self.chosen < 0 and new:
            self.chosen = 0
        self._tell()
        self._write_code()

    def inspect(self, cells: Iterable[int] | None = None, search: str = "all") -> None:
        """Tests pictures with another search.

        Parameters
        ----------
        cells : iterable of int, optional
            Their numbers; else all that can be read, are not marked, and were not searched so
            before, those added last first.
        search : {"none", "crop", "size", "all"}
        """
        require_search(search, self._rate)
        numbers = self._list_open(search) if cells is None else [int(i) for i in cells]
        for i in numbers:
            self._at(i)
        self._work.ask(numbers, search, first=cells is not None)
        self._tell()

    def _list_open(self, search: str) -> list[int]:
        """Lists what that search may still find a mark in, the last first."""
        return [
            i
            for i, picture in reversed(list(enumerate(self._pictures)))
            if picture.verdict not in (MARKED, UNREADABLE)
            and (picture.inspection is None or picture.inspection.search != search)
        ]

    def stop(self) -> None:
        """Ends the search at work and leaves untested what waits; `resume` goes on."""
        self._work.stop()
        self._tell()

    def resume(self) -> None:
        """Tests what a stop left untested."""
        self._work.ask(
            [i for i, picture in enumerate(self._pictures) if picture.verdict == UNTESTED],
            self._search,
        )
        self._tell()

    def keep_beside(self, picture: Picture) -> None:
        """Shows what was seen when one of its pictures was set beside another, and keeps it."""
        name = searched.name(picture, self._work.asked)
        self._work.kept.keep_beside(name, picture.beside, picture.repeated)
        self.compared += 1

    # What it looks like without a kernel

    def static(self) -> str:
        """Renders the pictures and their verdicts."""
        return self.render(range(len(self._pictures)))

    def render(self, cells: Iterable[int]) -> str:
        """Renders some of the pictures, by their numbers, and their verdicts."""
        numbers = list(cells)
        shown = [self._pictures[i] for i in numbers]
        whole = self._work.running or len(shown) == len(self._pictures)
        note = self._work.status if whole else count_verdicts(shown)
        return render_verdicts(shown, [self._work.verdict(i) for i in numbers], note)

    def _ipython_display_(self) -> None:
        before = self._finished
        super()._ipython_display_()
        if self._finished != before:  # all was tested while the picture was being drawn
            self.refresh()

    # What happens on the thread at work

    def _news(self) -> None:
        if time.monotonic() - self._told_at > PAUSE:
            self._tell()

    def _ended(self) -> None:
        self._finished += 1
        self._tell()
        self._write_code()
        self.refresh()

    def _tell(self) -> None:
        with self._lock:
            self._told_at = time.monotonic()
            with self.hold_sync():
                self.names = [picture.name for picture in self._pictures]
                self.notes = [describe_note(picture) for picture in self._pictures]
                self.states, self.status, self.fraction = (
                    self._work.states,
                    self._work.status,
                    self._work.fraction,
                )
                self.state = "running" if self._work.is_under_way else "idle"

    def _write_code(self, _: Any = None) -> None:
        with self._lock:
            self.code = write_inspection(
                self._pictures, self.chosen, self._payloads, self._how, self._search, self._frame
            )

    # What the page asks

    def _on_want(self, question: dict, buffers: list) -> None:
        cells = [i for i in map(int, question["cells"]) if 0 <= i < len(self._pictures)][:BATCH]
        self.answer_later(
            question,
            lambda: send_thumbnails(self._pictures, cells, max(32, min(int(question["px"]), 256))),
        )

    def _on_tell(self, question: dict, buffers: list) -> None:
        i = int(question["cell"])
        told = write_answer(self._at(i), self._work.verdict(i))
        size = self._at(i).measure() if self._at(i).source is not None else 0
        pace = {
            how: say_seconds(self._work.pace.guess(how, size)) for how in ("all", "crop", "size")
        }
        self.answer(question, told | {"megapixels": f"{size:.2g}", "pace": pace})

    def _on_open(self, question: dict, buffers: list) -> None:
        picture = self._at(int(question["cell"]))
        self.open_in_form(question, lambda: find_recipe(picture))

    def _on_page(self, question: dict, buffers: list) -> None:
        if question.get("cell") is None:
            pictures = list(self._pictures)
            letters = [self._work.verdict(i) for i in range(len(pictures))]
            told, title = {"kind": "page", "name": "pictures.html"}, count_verdicts(pictures)
            return self.answer_later(
                question, lambda: (told, [write_pages(pictures, letters, title)])
            )
        i = int(question["cell"])
        picture, letter = self._at(i), self._work.verdict(i)
        told = {"kind": "page", "name": f"{Path(picture.name).stem[:80] or 'picture'}.html"}
        self.answer_later(question, lambda: (told, [write_page(picture, letter)]))

    def _on_view(self, question: dict, buffers: list) -> None:
        picture, payload = self._at(int(question["cell"])), self._payloads[question["payload"]]
        self.answer_later(question, lambda: draw_view(picture, question["what"], payload), painters)

    def _at(self, i: int) -> Picture:
        """Gives a picture by its number; ValueError that says which there are."""
        if not 0 <= i < len(self._pictures):
            raise ValueError(
                f"there is no picture {i}; they are numbered from 0 to {len(self._pictures) - 1}"
            )
        return self._pictures[i]

    def _on_inspect(self, question: dict, buffers: list) -> None:
        self.inspect(question.get("cells"), question["search"])
        self.answer(question, {"kind": "asked"})

    def _on_estimate(self, question: dict, buffers: list) -> None:
        """Answers how long a search of all that are not marked may take."""
        require_search(search := question["search"], self._rate)
        guess = self._work.pace.guess

        def tell() -> tuple[dict, None]:
            sizes = [self._pictures[i].measure() for i in self._list_open(search)]
            seconds = sum(guess(search, size) for size in sizes)
            return {"kind": "estimate", "text": f"about {say_seconds(seconds)}"}, None

        self.answer_later(question, tell)

    def _on_stop(self, question: dict, buffers: list) -> None:
        self.stop()
        self.answer(question, {"kind": "stopping"})

    def _on_resume(self, question: dict, buffers: list) -> None:
        self.resume()
        self.answer(question, {"kind": "asked"})

    def _on_part(self, question: dict, buffers: list) -> None:
        """Takes a part of a file; the last is answered by where the picture stands, or why not."""
        file = str(question["file"])
        if file in self._added:  # it comes a second time, and is kept or being kept
            if self._added[file]:
                self.answer(question, self._added[file])
            return
        try:
            require_room(len(self._pictures) + 1)
            arrival = self._arrivals.hear(question, buffers)
        except ValueError as error:
            self.answer(question, {"kind": "refused", "text": f"{error}"})
            return
        if arrival is None:
            self.answer(question, {"kind": "received"})
            return
        self._added[file] = {}
        self.answer_later(question, lambda: (self._keep(file, arrival), None))

    def _keep(self, file: str, arrival: Any) -> dict[str, Any]:
        try:
            path = str(self._arrivals.keep(arrival))
            self.add(path)
            number = next(i for i, picture in enumerate(self._pictures) if picture.path == path)
            self._added[file] = {"kind": "added", "cell": number, "name": os.path.basename(path)}
        except (OSError, ValueError) as error:
            self._added[file] = {"kind": "refused", "text": f"{error}"}
        return self._added[file]
