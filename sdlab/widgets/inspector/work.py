"""Pictures tested one after the other in a thread, which can be stopped within a search."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from ...progress import duration
from ...results.frame import count_noun
from ...watermark.credentials import read_anchors
from ...watermark.detector import SHARES, detect_watermark, name_payloads
from ...watermark.inspection import Inspection
from ...watermark.opening import shorten_error
from .kept import KeptSearches
from .pictures import AT_WORK, VERDICTS, Picture

# about what each way to look takes, where others take 1
WEIGHTS = {"cut": 10, "size": 4, "both": 4}
# seconds: of any picture, and more for each megapixel
USUAL = {"none": (0.2, 0.15), "crop": (2.0, 0.5), "size": (2.0, 1.0), "all": (7.0, 1.5)}
TICK = 0.5  # seconds between two looks at the clock


def list_asked(
    payloads: Any = "everyday", rate: float = 1e-6, trust_anchors: Any = None
) -> dict[str, Any]:
    """Lists the arguments of `detect_watermark` but for the search, as files are known by them."""
    return {
        "payloads": name_payloads(payloads),
        "false_positive_rate": float(rate),
        "trust_anchors": read_anchors(trust_anchors),
    }


class Pace:
    """How long tests take on this machine: as the latest one of its kind, by pixels."""

    def __init__(self) -> None:
        self._rate = dict.fromkeys(USUAL, 1.0)  # times the usual seconds

    def guess(self, search: str, megapixels: float) -> float:
        """Guesses the seconds that a test takes."""
        least, each = USUAL[search]
        return self._rate[search] * (least + each * megapixels)

    def note(self, search: str, megapixels: float, seconds: float) -> None:
        """Takes note of how long one took; the other kinds are slower or faster alike."""
        times = seconds / (self.guess(search, megapixels) / self._rate[search])
        likely = min(max(times, 0.3), 10.0)  # of a single quick test little can be told
        self._rate = dict.fromkeys(self._rate, likely) | {search: times}


def say_seconds(seconds: float) -> str:
    """Says a guess in whole seconds."""
    return f"{max(1, round(seconds))} s" if seconds < 60 else duration(seconds)


class Searched:
    """What searches found while Python runs, by the files' content; the latest are kept."""

    def __init__(self, most: int = 500) -> None:
        self._most, self._found = most, dict[tuple, Inspection]()

    def name(self, picture: Picture, asked: Mapping[str, Any]) -> tuple | None:
        """Names a file by its content and by what is looked for; None if it cannot be read."""
        if picture.path is None:
            return None
        try:
            with open(picture.path, "rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return None
        return content, *(repr(value) for value in asked.values())

    def recall(self, name: tuple | None) -> Inspection | None:
        return None if name is None else self._found.get(name)

    def keep(self, name: tuple | None, found: Inspection) -> None:
        """Keeps a search: one that found a mark is not replaced by one that did not."""
        if name is None:
            return
        before = self._found.get(name)
        if before is not None and before.detected and not found.detected:
            return
        self._found.pop(name, None)
        self._found[name] = found
        while len(self._found) > self._most:
            del self._found[next(iter(self._found))]


searched = Searched()


class Stopped(Exception):
    """Raised inside a search to end it."""


class Work:
    """Pictures that are to be tested, and the thread that does it until nothing is left.

    Parameters
    ----------
    pictures : list of Picture
        May grow.
    asked : mapping
        The arguments of `detect_watermark` but for the search.
    news, ended : callable
        Called on the thread: after each picture and each step of a search, and when all is done.
    kept : KeptSearches
        What searches found before Python was started.
    """

    def __init__(
        self,
        pictures: Sequence[Picture],
        asked: Mapping[str, Any],
        news: Callable[[], Any],
        ended: Callable[[], Any],
        kept: KeptSearches,
    ) -> None:
        self.kept = kept
        self.pictures, self.asked, self.news, self.ended = pictures, asked, news, ended
        self.at_work: int | None = None
        self.done, self.total, self.within = 0, 0, 0.0
        self.stopped: str | None = None  # the name of what was at work then, "" for nothing
        self._idle, self._lock, self._queue = threading.Event(), threading.RLock(), deque[int]()
        self._stopping = False
        self.pace, self._began, self._expected = Pace(), 0.0, 0.0
        self._idle.set()

    @property
    def running(self) -> bool:
        return not self._idle.is_set()

    @property
    def is_under_way(self) -> bool:
        """Whether a picture is being tested or waits; it is `running` until the end is told."""
        with self._lock:
            return self.at_work is not None or bool(self._queue)

    def ask(self, numbers: Iterable[int], search: str, first: bool = False) -> None:
        """Tests these pictures, unless that is done; `first` puts them before those that wait."""
        with self._lock:
            new = [i for i in numbers if self._lacks(self.pictures[i], search)]
            for i in new:
                self.pictures[i].wanted = search
            fresh = [i for i in new if i not in self._queue]
            self._queue.extendleft(reversed(fresh)) if first else self._queue.extend(fresh)
            self.stopped = None if fresh else self.stopped
            if fresh and self._idle.is_set():
                self.done, self.total = 0, 0
                self._idle.clear()
                threading.Thread(target=self._run, name="sdlab inspector", daemon=True).start()
                threading.Thread(target=self._tick, name="sdlab clock", daemon=True).start()
            self.total += len(fresh)

    def _lacks(self, picture: Picture, search: str) -> bool:
        known = picture.wanted or (
            picture.inspection.search if picture.inspection is not None else None
        )
        return picture.source is not None and known != search

    def stop(self) -> None:
        """Ends the search at work, and leaves untested what waits."""
        with self._lock:
            for i in self._queue:
                self.pictures[i].wanted = None
            if self.running and self.stopped is None:
                self.stopped = "" if self.at_work is None else self.pictures[self.at_work].name
            self._stopping = self.at_work is not None
            self.total -= len(self._queue)
            self._queue.clear()

    def wait(self, timeout: float | None = None) -> bool:
        return self._idle.wait(timeout)

    def _run(self) -> None:
        try:
            while True:
                while (i := self._next()) is not None:
                    self.news()
                    self._test(i)
                self.ended()
                with self._lock:
                    if not self._queue:  # in one step with `ask`, which starts a thread if idle
                        self._idle.set()
                        return
        except BaseException:  # else `wait` would wait for ever
            self._idle.set()
            raise

    def _tick(self) -> None:
        """Tells of the time that passes within a test."""
        while not self._idle.wait(TICK):
            self.news()

    def _next(self) -> int | None:
        with self._lock:
            self._stopping, self.within = False, 0.0
            self.at_work = self._queue.popleft() if self._queue else None
            return self.at_work

    def _test(self, i: int) -> None:
        picture, search = self.pictures[i], self.pictures[i].wanted or "none"
        size = picture.measure()
        self._expected, self._began = self.pace.guess(search, size), time.monotonic()

        def progress(part: str, share: float) -> None:
            if self._stopping:
                raise Stopped
            self.within = measure_share(search, part, share)
            self.news()

        try:
            picture.inspection, anew = self._look(picture, search, progress)
            picture.error = None
            if picture.inspection.best is not None and anew:  # one too small takes no time
                self.pace.note(search, size, time.monotonic() - self._began)
        except Stopped:
            pass
        except Exception as error:  # it says so, and the others are still tested
            picture.error = shorten_error(error).removeprefix(f"{picture.path}: ")
        with self._lock:
            self.at_work, self.within = None, 0.0
            self.done += 1
            if picture.wanted == search:
                picture.wanted = None

    def _look(
        self, picture: Picture, search: str, progress: Callable[[str, float], None]
    ) -> tuple[Inspection, bool]:
        """Tests a picture, or gives what was found in the same content before; and whether anew."""
        name = searched.name(picture, self.asked)
        if not picture.beside:
            picture.beside, picture.repeated = self.kept.recall_beside(name)
        known = searched.recall(name)
        if known is None:
            known = self.kept.recall(name, str(picture.path), self.asked)
        if search == "none" and known is not None:
            return known, False
        found = detect_watermark(picture.source, search=search, progress=progress, **self.asked)
        found = replace(found, when=datetime.now().astimezone().isoformat(timespec="seconds"))
        if search != "none":
            searched.keep(name, found)
        if found.detected or known is None or not known.detected:
            self.kept.keep(name, found)
        return found, True

    # How it stands

    @property
    def share(self) -> float:
        """0 to 1, of the test at work: by its own steps, or by the time that it may take."""
        if self.at_work is None or not self._expected:
            return 0.0
        by_time = (time.monotonic() - self._began) / self._expected
        return max(self.within, min(by_time, 0.95) if self.within < 0.05 else 0.0)

    @property
    def left(self) -> float:
        """Seconds that the test at work may still take."""
        passed = time.monotonic() - self._began
        whole = passed / self.within if self.within > 0.1 else max(self._expected, passed)
        return whole - passed

    @property
    def fraction(self) -> float:
        """0 to 1, of what was asked for since it was last idle."""
        return (self.done + self.share) / self.total if self.total else 1.0

    def verdict(self, i: int) -> str:
        return AT_WORK if i == self.at_work else self.pictures[i].verdict

    @property
    def states(self) -> str:
        """Two letters a picture: its verdict, and the search that it rests on, - for none."""
        return "".join(
            self.verdict(i) + (p.inspection.search[0] if p.inspection is not None else "-")
            for i, p in enumerate(self.pictures)
        )

    @property
    def status(self) -> str:
        """How far it is, or what was found, in words."""
        at_work = self.at_work
        if at_work is not None and self._stopping:
            return f"stopping: {self.pictures[at_work].name} stays as it was before …"
        if at_work is not None:
            picture = self.pictures[at_work]
            doing = "searching" if picture.wanted not in (None, "none") else "testing"
            left = f", about {say_seconds(self.left)} left" if self.left > 2 else ""
            share = f" ({self.share:.0%}{left})" if self.share else ""
            return (
                f"{self.done} of {count_noun(self.total, 'picture')} tested; {doing}"
                f" {picture.name}{share}"
            )
        if self.stopped is None:
            return count_verdicts(self.pictures)
        what = f"the search of {self.stopped}" if self.stopped else "what waited"
        return f"{count_verdicts(self.pictures)}; you stopped {what}"


def measure_share(search: str, part: str, share: float) -> float:
    """Measures how much of a search is done, 0 to 1, where `share` of this part is."""
    weights = {name: WEIGHTS.get(name, 1) for name in SHARES[search]}
    before = list(weights.values())[: list(weights).index(part)]
    return (sum(before) + share * weights[part]) / sum(weights.values())


def count_verdicts(pictures: Sequence[Picture]) -> str:
    """Counts the verdicts: "3 pictures: 2 marked, 1 no mark found"."""
    if not pictures:
        return ""
    verdicts = [picture.verdict for picture in pictures]
    found = [
        f"{verdicts.count(letter)} {words}"
        for letter, (_, words) in VERDICTS.items()
        if letter in verdicts
    ]
    return f"{count_noun(len(pictures), 'picture')}: {', '.join(found)}"
