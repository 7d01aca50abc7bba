"""The tab of a question: what is asked now or was before, and about which pictures."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import ipywidgets

from ...errors import shorten_text
from ...results.frame import column_values, count_noun, join_words, select_made
from ...store.opinions import VOTES
from ...store.store import Store
from ..judge.begun import Begun, list_rounds
from ..judge.judge import Judge
from ..judge.round import list_subjects, sort_sides
from .choices import Choices
from .column_tab import ColumnTab, list_sides
from .tab import SHORT, Read, make_button

if TYPE_CHECKING:
    import pandas as pd

AS_CHOSEN, ASKED = ("the pictures chosen above", ""), "the pictures it was asked about"


OTHER = "“{}” is asked below: “{}” asks the question that is filled in."


class JudgeTab(ColumnTab):
    """A question about pictures, answered by eye."""

    title, renews = "Judge", "Begin"
    besides = (("single pictures", ""),)

    def __init__(self, read: Read, store: Store, choices: Choices) -> None:
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
            field.observe(self._tell_other_question, "value")
        button = make_button(self.renews, self._judge, self, "Begins the round, or goes on with it")
        fields = self.earlier, self.question, self.answers, self.about
        super().__init__(self._read_about, choices, *fields, button)
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

    def _tell_other_question(self, _: Any = None) -> None:
        """Says which button asks what is filled in while something else is asked below."""
        asked, shown = self.question.value.strip(), self.widget and self.widget.question.strip()
        other = asked and shown and asked != shown
        self.say(OTHER.format(shorten_text(shown, 60), self.renews) if other else "")

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


def name_round(begun: Begun) -> str:
    """Names a round that was begun: "the round of 28 November of 7 pictures"."""
    noun = "picture" if isinstance(begun.pictures[0], str) else "pair"
    return f"the round of {begun.when} of {count_noun(len(begun.pictures), noun)}"


def tell_answers(raters: list[str]) -> str:
    """Says how many answers there are, given who gave each."""
    counts = [f"{name or 'somebody'} {n:,}" for name, n in Counter(raters).items()]
    return f"{count_noun(len(raters), 'answer')} ({join_words(counts)})"
