"""What all widgets share: the static picture that stays in the notebook, and a page to talk to.

A page asks, in messages `{kind, id, ...}`, and Python answers with `re`, the question's id;
whatever gets lost on the way is asked for again by the page (page.js says how). Pictures travel as
the buffers of messages, never as traits.
"""

from __future__ import annotations

import functools
import os
import re
import threading
import uuid
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from html import escape
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import anywidget
import traitlets

from ..recipe.request import FIELDS
from .forms import Open, find_form

Asked = ParamSpec("Asked")
Answer = TypeVar("Answer")
HERE = Path(__file__).parent
ELEMENTS = HERE.parent / "results" / "elements.js"  # which page.js builds on
WITHOUT_KERNEL = (
    ".jp-OutputArea-child:not(:has(.sdl-root)):has(+ .jp-OutputArea-child .{}) {{display: none}}"
)
QUIET = 2.0  # seconds without a change, after which the picture in the notebook is drawn anew
STATED = re.compile(rf"\b({'|'.join(FIELDS)})=(?=([^\s,;:.)]|\.\d)?)")  # as Python writes it
ROLES = {"error": "alert", "progress": "timer", "pending": "timer"}  # no timer is read aloud
workers = ThreadPoolExecutor(2, "sdlab widgets")  # they open and encode pictures
lookers = ThreadPoolExecutor(1, "sdlab looking")  # in pictures, which no picture waits for


def source(*names: str) -> str:
    """Reads files beside this one as one text: a module for the page, or its style."""
    paths = [ELEMENTS] * ("page.js" in names) + [HERE / name for name in names]
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


def render_message(text: str, kind: str, place: str) -> str:
    """Renders an error, note, status or progress; an error has a sign and a word, not colour alone.

    What is `pending` is a status that another one follows at once. What Python calls `seed=5` is
    there "seed 5".
    """
    if not text:
        return ""
    text = STATED.sub(lambda found: found[1] + " " * bool(found[2]), text)
    first, _, more = text.partition("\n")  # what an error begins with is told, the rest on demand
    rest = f"<details><summary>more</summary>{escape(more)}</details>" if more else ""
    role = ROLES.get(kind, "status")
    sign = "⚠ <b>Error:</b> " if kind == "error" else ""
    return (
        f'<div class="sdl-told sdl-told-{kind}" id="{escape(place)}"'
        f' role="{role}">{sign}{escape(first)}{rest}</div>'
    )


class Kept:
    """A widget of which a picture stays in the saved notebook, without a kernel or widget state.

    The widget and its picture are two outputs of one cell; the page hides the second while the
    first is alive, and the second hides what a page without a kernel writes in place of the first.
    A subclass has a trait `uid` that its page knows, says in `static()` what the picture is, and in
    `settle()` how to wait for it where nobody looks on. After the page was reloaded, JupyterLab no
    longer connects the two: then the picture changes only when the cell is run again.
    """

    uid: Any
    _repr_mimebundle_: Callable[..., Any]

    def settle(self) -> None:
        """Waits until the picture is worth keeping."""

    def forget_page(self) -> None:
        """Does what there is to do when a cell shows the widget, for the first time or again."""

    def require_code(self) -> None:
        """Raises while the code would tell what must not be known yet."""

    def static(self) -> str:
        """Renders the widget's present state as HTML that needs neither a kernel nor a script."""
        raise NotImplementedError

    def render_for_page(self) -> str:
        """Renders it for a page that leaves the notebook, such as a report: it may take longer."""
        return self.static()

    def _ipython_display_(self) -> None:
        from IPython.display import HTML, display

        if is_unattended():
            self.settle()
        data = self._repr_mimebundle_() or {}
        data, metadata = data if isinstance(data, tuple) else (data, {})
        live = display({**data, "text/html": ""}, metadata=metadata, raw=True, display_id=True)
        still = display(HTML(self._picture()), display_id=True)
        self.__dict__.setdefault("_shown", []).append((live, still))
        self.forget_page()

    def _picture(self) -> str:
        name = f"sdl-static-{self.uid}"
        return (
            f'<div class="{name}"><style>{WITHOUT_KERNEL.format(name)}</style>{self.static()}</div>'
        )

    def refresh(self) -> None:
        """Draws the picture in the notebook anew, wherever this widget is shown."""
        from IPython.display import HTML

        with self.__dict__.setdefault("_drawing", threading.RLock()):  # the last one is the newest
            shown = self.__dict__.get("_shown", ())
            picture = HTML(self._picture()) if shown else None
            for _, still in shown:
                still.update(picture)

    def refresh_soon(self) -> None:
        """Draws it anew when nothing has changed for a while."""
        if not self.__dict__.get("_shown"):
            return
        if waiting := self.__dict__.get("_waiting"):
            waiting.cancel()
        self._waiting = start_timer(QUIET, self.refresh)

    def freeze(self) -> None:
        """Leaves only the static picture in the notebook: it shows everywhere, but is silent."""
        self.refresh()
        for live, _ in self.__dict__.pop("_shown", ()):
            live.update({"text/html": ""}, raw=True)


def start_timer(seconds: float, work: Callable[[], Any]) -> threading.Timer:
    """Does it so much later, on a thread of its own, unless the timer is cancelled."""
    timer = threading.Timer(seconds, work)
    timer.daemon = True
    timer.start()
    return timer


def is_unattended() -> bool:
    """Tells whether a program such as papermill runs the cell, and ends the kernel at the end."""
    asked = read_request().get("content", {})
    return not asked.get("allow_stdin", True) and not is_voila()


def read_request() -> dict[str, Any]:
    """Reads the message that asks for the cell that runs now, as Jupyter has it; {} elsewhere."""
    from IPython import get_ipython

    return getattr(getattr(get_ipython(), "kernel", None), "get_parent", dict)()


def is_voila() -> bool:
    """Tells whether Voila shows the widgets: people look on, and there are no cells."""
    return os.environ.get("SERVER_SOFTWARE", "").startswith("voila")


def in_turn(method: Callable[Concatenate[Any, Asked], Answer]) -> Callable[..., Answer]:
    """Has a panel's method wait while another thread is in one: a page is heard on several.

    A rater's name may still be heard on one thread when a vote after it comes on another.
    """

    @functools.wraps(method)
    def wait(self: Any, *args: Asked.args, **kwargs: Asked.kwargs) -> Answer:
        with self._turn:
            return method(self, *args, **kwargs)

    return wait


class Panel(Kept, anywidget.AnyWidget):
    """A widget with a page, whose questions of each kind `_on_KIND(question, buffers)` answers."""

    uid = traitlets.Unicode().tag(sync=True)
    own_form: Open | None = None  # of a form's own panel, what fills that form in

    def __init__(self, **traits: Any) -> None:
        self._page: str | None = None
        self._turn = threading.RLock()  # see in_turn
        self._acted: deque[Any] = deque(maxlen=1000)  # ids of questions
        self._under_way: set[Any] = set()  # ids of those that a worker will answer
        super().__init__(uid=uuid.uuid4().hex[:12], **traits)
        self.on_msg(self._hear)

    @property
    def code(self) -> str:
        """Python that does the same; a trait of those whose page always has it."""
        raise NotImplementedError

    def _hear(self, _: Any, question: Any, buffers: list) -> None:
        """Answers a question; this may run on any thread, so it is kept short."""
        question = question if isinstance(question, dict) else {}
        answer: Callable = getattr(self, f"_on_{question.get('kind')}", self._on_unknown)
        try:
            answer(question, buffers)
        except Exception as error:  # a traceback would land in some cell: the page says it
            self.answer(question, describe_error(error))

    def is_repeat(self, question: dict[str, Any]) -> bool:
        """Tells whether this question came before: a page asks again until it hears an answer."""
        repeat = self.was_done(question)
        self.note_done(question)
        return repeat

    def was_done(self, question: dict[str, Any]) -> bool:
        """Tells whether what this question asks for was done before."""
        return question.get("id") in self._acted

    def note_done(self, question: dict[str, Any]) -> None:
        """Takes note that what this question asks for is done."""
        self._acted.append(question.get("id"))

    def answer(
        self, question: dict[str, Any], content: dict[str, Any], buffers: list[bytes] | None = None
    ) -> None:
        """Sends an answer that ends the question; safe from any thread."""
        self.send({**content, "re": question.get("id")}, buffers=buffers)

    def answer_later(
        self,
        question: dict[str, Any],
        work: Callable[[], tuple[dict[str, Any], list[bytes] | None]],
        pool: ThreadPoolExecutor | None = None,
    ) -> None:
        """Answers with what `work` returns, from a worker thread; a question that waits, once."""
        if (asked := question.get("id")) in self._under_way:
            return
        self._under_way.add(asked)

        def run() -> None:
            try:
                content, buffers = work()
            except Exception as error:
                content, buffers = describe_error(error), None
            self._under_way.discard(asked)
            self.answer(question, content, buffers)

        (pool or workers).submit(run)

    def answer_seen(self, question: dict[str, Any], look: Callable[[], list[str]]) -> None:
        """Answers what stands in pictures, for those who do not see them."""
        self.answer_later(question, lambda: ({"kind": "seen", "seen": look()}, None), lookers)

    def open_in_form(self, question: dict[str, Any], find: Callable[[], Any]) -> None:
        """Opens what `find` gives, such as a recipe, in the panel's own form or the last shown."""
        form = self.own_form or find_form()
        self.answer(question, {"kind": "opening"})  # first: finding weights may take a while
        if not self.is_repeat(question):
            workers.submit(self.show_errors, lambda: form(find()))

    def show_errors(self, work: Callable[[], Any]) -> None:
        """Does it; an error is shown on the page."""
        try:
            work()
        except Exception as error:
            self.send(describe_error(error))

    def forget_page(self) -> None:
        self._page = None  # the next page that asks is the one that shows the cell's outputs

    def _on_ping(self, question: dict[str, Any], buffers: list) -> None:
        page = question.get("page", self._page)
        self._page = self._page or page
        self.answer(question, {"kind": "pong", "reloaded": page != self._page})

    def _on_code(self, question: dict[str, Any], buffers: list) -> None:
        self.require_code()
        self.answer_later(question, lambda: ({"kind": "code", "text": self.code}, None))

    def _on_unknown(self, question: dict[str, Any], buffers: list) -> None:
        raise ValueError(
            f"the page asks for {question.get('kind')!r}, which {type(self).__name__} does not"
            " know; is the page older than this version of sdlab? Reload it"
        )


def describe_error(error: BaseException) -> dict[str, Any]:
    """Makes the message about an error: its text, and its class unless it speaks to people."""
    spoken = isinstance(error, (ValueError, TypeError, OSError, IndexError)) and str(error)
    return {"kind": "error", "text": spoken or f"{type(error).__name__}: {error}"}
