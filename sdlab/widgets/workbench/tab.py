"""A tab of a workbench: one of the other widgets, with what is chosen and said above it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets

from ..panel import Kept, render_message
from ..told import ToldLine

if TYPE_CHECKING:
    import pandas as pd

SHORT = {"description_width": "initial"}
EMPTY = (
    "There is no picture yet: the tab “Sweep” makes some, and “pictures” above chooses between the"
    " last run and the whole store."
)
Read = Callable[[], "pd.DataFrame"]


class Tab(ipywidgets.VBox):
    """A row of controls, what it says, and a widget.

    Parameters
    ----------
    read : callable
        Gives the frame of the pictures that the tab is about.
    controls : sequence of ipywidget
    """

    title = ""
    caption = ""  # in a report; its title if it has none of its own
    needs_pictures = True
    renews = "Look again"  # the button that shows what there is now
    behind = False  # whether a run here has made what is not shown
    _wrong = False  # whether it says an error

    def __init__(self, read: Read, *controls: ipywidgets.Widget) -> None:
        self._read = read
        self._turn = threading.RLock()  # a click may be handled while that before it still is
        self.widget: Any = None
        self.changed: Callable[[], None] = lambda: None  # has the notebook's picture drawn anew
        self.explain_empty: Callable[[], str] = lambda: EMPTY
        self._still, self._changes = "", 0  # what `static` gave, and how often it has changed
        self._shown: pd.DataFrame | None = None
        self._said, self._place = ToldLine(), ipywidgets.VBox()
        row = ipywidgets.HBox(list(controls), layout={"flex_flow": "row wrap"})
        super().__init__([row, self._said, self._place])
        self.say("")

    @property
    def code(self) -> str:
        """Python that shows the same; a comment before there is anything."""
        if self.widget is None:
            return "# nothing is shown yet"
        self.widget.require_code()  # not while a blind vote is under way
        return self.widget.code

    @property
    def has_figure(self) -> bool:
        """Whether what it shows can stand in a report."""
        return self.widget is not None

    @property
    def is_stale(self) -> bool:
        """Whether there are other pictures than those that are shown."""
        return self._shown is not None and set(self._read()["path"]) != set(self._shown["path"])

    def shows_more(self, frame: pd.DataFrame) -> bool:
        """Whether it shows pictures of the store that are not among these."""
        return self._shown is not None and not set(self._shown["path"]) <= set(frame["path"])

    def list_own(self) -> set[str]:
        """Lists the paths of the pictures that it shows."""
        return set() if self._shown is None or not self.has_figure else set(self._shown["path"])

    def make_figure(self, frame: pd.DataFrame, *, own: bool = False) -> Any:
        """Makes what stands in a report about these pictures; None if it shows other ones.

        `own`: the report has the pictures that are shown here, whatever others there are by now.
        """
        stale = self.is_stale and not own
        return None if stale or self.shows_more(frame) else self.widget

    @property
    def has_votes(self) -> bool:
        """Whether there are votes, and who is who may be told."""
        return False

    @property
    def under_way(self) -> str:
        """Says whose vote has not ended, and so is not in a report; "" if nobody's."""
        return ""

    @property
    def is_unshown(self) -> bool:
        """Whether the store has what people said here before, and nothing of it is shown."""
        return False

    @property
    def comes_by(self) -> str:
        """Says by which click there is something to show, for a report; "" if there is already."""
        return ""

    def make_claims(self, text: str) -> list[Any]:
        """Makes what a report says of the votes, under that text."""
        return []

    def come_up(self) -> None:
        """Shows what there is, when the tab is chosen: what is shown already, stays."""
        with self._turn:
            if not self._wrong:  # else a click here was handled before the one on the tab
                self.say("")
            self.try_to(self._look_up)

    def _look_up(self) -> None:
        if self.needs_pictures and self._read().empty:
            self.say(self.explain_empty())
        elif self.widget is None:
            self._begin()
        else:
            self._tell_news()

    def tell_news(self) -> None:
        """Says that there are other pictures than those shown, while somebody looks at these."""
        with self._turn:
            self.try_to(self._tell_news)

    def _tell_news(self) -> None:
        if self.widget is not None and self.is_stale:
            self.say(f"There are other pictures by now: “{self.renews}” shows them.")

    def _begin(self) -> None:
        """Shows what can be shown without being asked."""

    def show(self, widget: Kept) -> None:
        """Puts a widget in the place of the last one."""
        self.widget, self._place.children = widget, [widget]
        widget.refresh_soon = self.renew  # type: ignore[method-assign]
        self.say("")
        self.renew()

    def renew(self) -> None:
        """Has the picture of it in the notebook drawn anew."""
        self.forget_still()
        self.changed()

    def forget_still(self) -> None:
        """Has it rendered anew when the notebook's picture is drawn the next time."""
        self._still, self._changes = "", self._changes + 1

    def static(self, *, anew: bool = True) -> str:
        """Renders what it shows; what has not changed since only if that is asked for `anew`."""
        if anew or not self._still:
            before, still = self._changes, self.widget.static() if self.has_figure else ""
            if before == self._changes:  # else it changed meanwhile, on another thread
                self._still = still
            return still
        return self._still

    def read(self) -> pd.DataFrame:
        """Reads the pictures' frame, which the next widget is about."""
        self._shown = self._read()
        if self._shown.empty:
            raise ValueError(self.explain_empty())
        return self._shown

    def forget_error(self) -> None:
        """Says no longer what went wrong, as something else is chosen since."""
        if self._wrong:
            self.say("")

    def say(self, text: str, kind: str = "note") -> None:
        self._wrong = kind == "error"
        self._said.value = render_message(text, kind, f"sdl-tab-{self.title}")

    def say_error(self, error: Exception) -> None:
        self.say(str(error) or type(error).__name__, "error")

    def try_to(self, work: Callable[[], Any]) -> None:
        """Does it; what goes wrong is said in the tab, as a traceback would land nowhere."""
        with self._turn:
            try:
                work()
            except Exception as error:
                self.say_error(error)


def make_button(
    description: str, work: Callable[[], Any], tab: Tab, tooltip: str
) -> ipywidgets.Button:
    """Makes a button that does it, and has the tab say what goes wrong."""
    button = ipywidgets.Button(description=description, tooltip=tooltip)
    button.on_click(lambda _: tab.try_to(work))
    return button
