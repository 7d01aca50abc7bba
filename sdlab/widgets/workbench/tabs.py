"""The tabs of a workbench: each shows one of the other widgets, with its Python below it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import ipywidgets

from ...errors import shorten_text
from ...results.frame import (
    column_values,
    count_noun,
    distinct_values,
    find_foreign,
    find_label_columns,
    find_varying,
    format_value,
    join_words,
    select_made,
)
from ...store.opinions import VOTES
from ...store.store import Store
from ...watermark.folders import list_files
from ..compare.compare import Compare
from ..forms import find_form
from ..inspector.inspector import MOST, WatermarkInspector
from ..judge.begun import Begun, list_rounds
from ..judge.judge import Judge
from ..judge.round import list_subjects, sort_sides
from ..panel import Kept, render_message
from ..raters import name_rater
from ..seed_grid.grid import SeedGrid
from ..sweep_form.form import SweepForm
from ..told import ToldLine
from .beside import BY_RECIPE, COMPARE, FILL, NotMade, find_beside, offer_beside, render_beside

if TYPE_CHECKING:
    import pandas as pd

SHORT = {"description_width": "initial"}
SPARSE = 0.5  # share of a grid's places: with fewer pictures, they stand in order
AS_CHOSEN, ASKED = ("the pictures chosen above", ""), "the pictures it was asked about"
MOST_SIDES = 50  # values of a column that are offered as sides
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

    def _forget_error(self) -> None:
        """Says no longer what went wrong, as something else is chosen since."""
        if self._wrong:
            self.say("")

    def say(self, text: str, kind: str = "note") -> None:
        self._wrong = kind == "error"
        self._said.value = render_message(text, kind, f"sdl-tab-{self.title}")

    def try_to(self, work: Callable[[], Any]) -> None:
        """Does it; what goes wrong is said in the tab, as a traceback would land nowhere."""
        with self._turn:
            try:
                work()
            except Exception as error:
                self.say(str(error) or type(error).__name__, "error")


class SweepTab(Tab):
    """The form that makes pictures, and the grid of its last run."""

    title = "Sweep"
    needs_pictures = False

    def __init__(self, store: Store | str) -> None:
        self.form = SweepForm(store=store)
        super().__init__(lambda: self.form.store.frame())
        self.show(self.form)

    @property
    def is_stale(self) -> bool:
        return False  # its grid is about its own run


class GridTab(Tab):
    """The pictures in a grid."""

    title = "Grid"

    def __init__(self, read: Read) -> None:
        super().__init__(read, make_button(self.renews, self._look, self, "Shows all there is now"))

    @property
    def comes_by(self) -> str:
        none = self.widget is not None or self._read().empty
        return "" if none else "choose that tab once"

    def _begin(self) -> None:
        self._look()

    def _look_up(self) -> None:
        """Shows what a run here has made, as one looks for it there; of others it only tells."""
        if not (self.widget and self.behind and self.is_stale) or self._read().empty:
            return super()._look_up()
        self._look()
        self.say(f"Shown is the last run now: {count_noun(len(self.list_own()), 'picture')}.")

    def _look(self) -> None:
        frame, self.behind = self.read(), False
        # found pictures state few fields: sliders would show them without any of our own
        grid = None if any(find_foreign(frame)) else SeedGrid(frame)
        if grid is None or grid.filled < SPARSE:
            grid = SeedGrid(frame, row=[], col=[])
        self.show(grid)

    def make_figure(self, frame: pd.DataFrame, *, own: bool = False) -> Any:
        """Makes the grid of these pictures, in order if it shows more: no slider hides any."""
        shown = set() if self._shown is None else set(self._shown["path"])
        if set(frame["path"]) < shown:
            return SeedGrid(frame, row=[], col=[])
        return super().make_figure(frame, own=own)


class ColumnTab(Tab):
    """A tab whose widget is about one column of the pictures, and two of its values."""

    besides: tuple[tuple[str, str], ...] = ()  # what is offered beside the columns

    def __init__(self, read: Read, *controls: ipywidgets.Widget) -> None:
        self.by = ipywidgets.Dropdown(
            description="by", tooltip="What differs between the two", style=SHORT
        )
        self.left = ipywidgets.Dropdown(description="left", style=SHORT)
        self.right = ipywidgets.Dropdown(description="right", style=SHORT)
        self.by.observe(self._offer_values, "value")
        super().__init__(read, self.by, self.left, self.right, *controls)

    def _begin(self) -> None:
        self._offer_columns()

    def _offer_columns(self) -> None:
        """Offers the columns that differ, models first, and keeps what is chosen if it can."""
        frame, before = self.read(), self.by.value
        names = list_sides(frame)
        choices = [*self.besides, *zip(names, names)]
        self.by.options = choices
        self.by.value = before if before in names else choices[0][1] if choices else None
        self._offer_values()
        if not choices:
            raise ValueError("These pictures differ in their seed alone: vary something else too.")

    def _offer_values(self, change: Any = None) -> None:
        values = []
        if self._shown is not None and self.by.value:
            values = distinct_values(self._shown, self.by.value)
        found = [value for value in values if value is not None]
        for side, at in ((self.left, 0), (self.right, 1)):
            before = side.value
            side.options = [(format_value(value), value) for value in found]
            side.layout.display = "" if found else "none"
            if len(found) > at:
                side.value = before if before in found else found[at]

    def _sides(self) -> dict[str, Any]:
        """The chosen column and values, as `Compare` and `Judge` take them."""
        if self.by.value is None:  # the button's click came before that on the tab was dealt with
            self._offer_columns()
        if not self.by.value:
            return {}
        return {"by": self.by.value, "left": self.left.value, "right": self.right.value}


class CompareTab(ColumnTab):
    """Pairs that differ in one column, to look at and to vote on."""

    title, renews = "Compare", "Show the pairs"

    def __init__(self, read: Read, store: Store) -> None:
        self._store = store
        self.blind = ipywidgets.Checkbox(description="blind", value=True, indent=False)
        button = make_button(self.renews, self._show_pairs, self, "Of all pictures there are now")
        super().__init__(read, self.blind, button)

    def _show_pairs(self) -> None:
        sides = self._sides()
        self._offer_columns()
        self.show(Compare(self.read(), **sides, blind=self.blind.value))

    @property
    def is_unshown(self) -> bool:
        return self.widget is None and not self._store.votes().empty

    @property
    def has_votes(self) -> bool:
        return self.widget is not None and not self._list_told().empty

    def _list_told(self) -> pd.DataFrame:
        """Lists the votes a report may tell: while one is under way, those of who has ended."""
        return self.widget.ended if self.widget.secret else self.widget.votes

    @property
    def under_way(self) -> str:
        if self.widget is None or not self.widget.secret or self.widget.has_ended:
            return ""
        if not self.has_votes and not any(self.widget.voted):  # nobody has begun
            return ""
        who = f"The blind vote of the rater {name_rater(self.widget.rater)} is under way"
        rest = "those that have ended are in it" if self.has_votes else "none has ended"
        return f"{who}: of the votes in “{self.title}” {rest}."

    def make_claims(self, text: str) -> list[Any]:
        from ...results.stats.claims import Claim  # and statistics with it

        if not self.has_votes:
            return []
        secret, votes = self.widget.secret, self._list_told()
        counts = self.widget.count_ended() if secret else self.widget.counts()
        sides = " or ".join(format_value(counts[side].iloc[0]) for side in ("left", "right"))
        return [Claim(text or f"Which is preferred: {sides}", counts, votes=votes)]


class JudgeTab(ColumnTab):
    """A question about pictures, answered by eye."""

    title, renews = "Judge", "Begin"
    besides = (("single pictures", ""),)

    def __init__(self, read: Read, store: Store) -> None:
        self._store, self._read_chosen = store, read
        self.earlier = ipywidgets.Dropdown(
            options=[("–", "")],
            description="asked before",
            tooltip="Fills in question, answers and the pictures of its last round",
            style=SHORT,
        )
        self.earlier.observe(self._fill_in, "value")
        self.question = ipywidgets.Text(
            description="question",
            placeholder="How many fingers?",
            continuous_update=False,
            style=SHORT,
        )
        self.answers = ipywidgets.Text(
            description="answers",
            style=SHORT,
            placeholder="yes, no",
            tooltip="Up to nine, apart by commas; yes and no if it is empty",
        )
        self.about = ipywidgets.Dropdown(
            options=[AS_CHOSEN],
            description="about",
            tooltip="Which pictures the round is of",
            style=SHORT,
            layout={"max_width": "30em"},
        )
        self.question.observe(self._offer_about, "value")
        for field in (self.question, self.answers):
            field.observe(lambda _: self._forget_error(), "value")
        button = make_button(self.renews, self._judge, self, "Begins the round, or goes on with it")
        fields = self.earlier, self.question, self.answers, self.about
        super().__init__(self._read_about, *fields, button)
        self._offer_earlier()
        self._offer_about()

    @property
    def is_unshown(self) -> bool:
        return self.widget is None and not self._store.answers().empty

    def come_up(self) -> None:
        super().come_up()
        self._offer_earlier()
        self._offer_about()

    def _select_said(self) -> pd.DataFrame:
        """Selects what was answered to the question that is filled in."""
        said = self._store.answers()
        return said[said["question"] == self.question.value]

    def _read_about(self) -> pd.DataFrame:
        """Reads the pictures chosen above, or those that the question was asked about."""
        about = self.about.value
        if not about:
            return self._read_chosen()
        said = self._select_said()
        keys = [key for name in ("key", "left", "right") for key in column_values(said, name)]
        keys = about.keys if isinstance(about, Begun) else keys
        return select_made(self._store.frame(dict.fromkeys(filter(None, keys))))

    def _offer_about(self, _: Any = None) -> None:
        """Offers the rounds of the question, and says who answered; the last begun comes first."""
        said = self._select_said()
        choices: list[tuple[str, Any]] = [AS_CHOSEN]
        raters, asked = column_values(said, "rater"), [*map(sort_sides, list_subjects(said))]
        rest = set(asked)
        for begun in list_rounds(self._store.root, self.question.value):
            pictures = set(begun.pictures)
            own = [who for who, about in zip(raters, asked) if about in pictures]
            if own:
                choices.append((f"{name_round(begun)}: {tell_answers(own)}", begun))
                rest -= pictures
        if rest:  # of rounds that nobody took note of
            choices.append((f"{ASKED}: {tell_answers(raters)}", ASKED))
        before, values = self.about.value, [value for _, value in choices]
        first = values[1] if before and raters else ""
        self.about.options = choices
        self.about.value = before if before in values else first
        self.about.layout.display = "" if raters else "none"

    def _offer_earlier(self) -> None:
        """Offers the questions that were asked about pictures of this store, the last first."""
        said = self._store.answers()
        asked = list(dict.fromkeys(column_values(said, "question")[::-1]))
        names = [(shorten_text(question, 60), question) for question in asked]
        if names != list(self.earlier.options[1:]):
            self.earlier.options = [("–", ""), *names]
        self.earlier.layout.display = "" if asked else "none"

    def _fill_in(self, change: Any) -> None:
        """Fills in an earlier question, its pictures, and its answers unless they go without."""
        if not (question := change["new"]):
            return
        said = self._store.answers().query("question == @question")
        paired = column_values(said, "left")[0] is not None
        self.question.value = question
        self._offer_about()
        self.about.value = self.about.options[1][1]
        self.answers.value = ", ".join(self._recall_answers(said, paired))
        self.try_to(lambda: self._choose_sides(said if paired else None))

    def _recall_answers(self, said: pd.DataFrame, paired: bool) -> list[str]:
        """Recalls the answers of the round, or those that were given; [] if they are the usual."""
        usual, about = VOTES if paired else ("yes", "no"), self.about.value
        if isinstance(about, Begun):
            return [] if about.answers == usual else [*about.answers]
        given = set(filter(None, column_values(said, "answer")))
        return [] if given <= set(usual) else sorted(given, key=lambda word: (len(word), word))

    def _choose_sides(self, said: pd.DataFrame | None) -> None:
        """Chooses the column and the values in which the pairs differ that were asked about."""
        self._offer_columns()
        self.by.value = ""
        if said is None:
            return
        about = self.about.value
        pairs: Any = about.pictures if isinstance(about, Begun) else list_subjects(said)
        frame = self.read()
        keys, names = column_values(frame, "key"), list_sides(frame)
        self.by.value = names[0] if names else ""
        for name in names:
            values = dict(zip(keys, column_values(frame, name)))
            sides = [{values.get(left), values.get(right)} for left, right in pairs]
            if all(side == sides[0] and len(side) == 2 for side in sides):
                self.by.value = name
                found = [value for _, value in self.left.options if value in sides[0]]
                self.left.value, self.right.value = found
                return

    def _judge(self) -> None:
        sides = self._sides()
        self._offer_columns()
        answers = [answer.strip() for answer in self.answers.value.split(",") if answer.strip()]
        judge = Judge(self.read(), self.question.value, answers=answers or None, **sides)
        judge.goes_to_picture = True
        self.show(judge)


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
        self.beside.observe(lambda _: self._forget_error(), "value")
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
        self.widget.observe(lambda _: self._forget_error(), ["names", "chosen"])
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
        self.widget.keep_beside()
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


def list_sides(frame: pd.DataFrame) -> list[str]:
    """Lists the columns whose values can be compared, models first.

    What each model has a value of its own of, as its size, does not count beside the model.
    """
    models = column_values(frame, "model")
    several = len(set(models)) > 1
    names = []
    for name in dict.fromkeys((*find_varying(frame), *find_label_columns(frame))):
        values = column_values(frame, name)
        few = 1 < len(set(values)) <= MOST_SIDES and name != "seed"
        follows = several and len(set(zip(models, values))) == len(set(models))
        if few and (name == "model" or not follows):
            names.append(name)
    return sorted(names, key=lambda name: name != "model")


def name_round(begun: Begun) -> str:
    """Names a round that was begun: "the round of 28 November of 7 pictures"."""
    noun = "picture" if isinstance(begun.pictures[0], str) else "pair"
    return f"the round of {begun.when} of {count_noun(len(begun.pictures), noun)}"


def tell_answers(raters: list[str]) -> str:
    """Says how many answers there are, given who gave each."""
    counts = [f"{name or 'somebody'} {n:,}" for name, n in Counter(raters).items()]
    return f"{count_noun(len(raters), 'answer')} ({join_words(counts)})"


def make_button(
    description: str, work: Callable[[], Any], tab: Tab, tooltip: str
) -> ipywidgets.Button:
    """Makes a button that does it, and has the tab say what goes wrong."""
    button = ipywidgets.Button(description=description, tooltip=tooltip)
    button.on_click(lambda _: tab.try_to(work))
    return button
