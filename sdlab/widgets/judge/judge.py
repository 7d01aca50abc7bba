"""`Judge`: a question about pictures, answered by eye, without knowing whose they are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd
import traitlets

from ...render.job import Job
from ...results.stats.agreement import put_in_words
from ...store.opinions import VOTES, MemoryOpinions
from ...store.store import Store
from ..code import write_widget
from ..panel import Panel, in_turn, source
from ..pictures import level_sizes, open_pictures, strip_recipe
from ..raters import is_by, require_name
from .begun import note_round
from .pictures import TOLD, Pictures
from .round import begin_round, select_answers
from .still import CANNOT_TELL, YES, count_answers, render_round, write_verdict

YES_OR_NO = ("yes", "no")
DIGITS = "123456789"
MOST_REPEATS = 0.5


class Judge(Panel):
    """A question about pictures, answered by eye: one at a time, in an order that chance decides.

    The page learns nothing of a picture but its pixels, and for those who do not see them what is
    found there if that was measured: objects, background, letters, and no verdict. Pictures of the
    embedded models are looked at for them if nothing was measured. All are shown
    equally large, those of a pair with as many pixels; but a single picture of another size may be
    known by its pixels. Each answer is kept in the store, by the picture's key, before the next
    picture is shown; a round goes on where its rater stopped. Some pictures are shown twice, which
    tells how far a rater agrees with themself. `unblind` ends the round: then `value` says which
    recipes the answers are about. `sdlab.stats.agreement` tells how far raters agree.

    Parameters
    ----------
    results : DataFrame or Job
        What `run` returned, or any frame with `path`. A job is waited for. Answers on pictures in
        no store, or from several places, last as long as the widget.
    question : str
        As the rater reads it. Answers belong to it: the same words, the same round. A column in
        braces, as in 'Which is closer to "{prompt}"?', is told of each picture; nothing else is.
    answers : list, optional
        Up to nine, in their order; "yes" and "no" if left out, of a pair "left", "right", "tie" and
        "both bad". An answer that is a digit is given by that key, the others by the free keys from
        1. "Cannot tell" is always there.
    by : str, optional
        Shows pairs of pictures that differ in this column; `sdlab.pair` says which rows belong
        together. Who stands left is decided by chance.
    left, right : optional
        Two values of `by`; the first that appear if left out.
    rater : str
        Who answers; the page has a field for it. Each rater has a round, and sides, of their own;
        the order is the same for all. Answers without a name stay somebody's: whoever gives a name
        is asked whether they are theirs, and `take_unnamed` says that they are.
    seed : int
        Decides orders, sides and repeats: the same seed, the same round.
    repeats : float
        The share of pictures that is shown twice, 0 to 0.5.

    Attributes
    ----------
    done, total : int
        How many of the round's pictures are answered, repeats among them.
    unblinded : bool
        Whether the present rater's round has ended.

    Raises
    ------
    TypeError, ValueError
        No picture, no question, answers that cannot be told apart, or what `pair` raises.

    Examples
    --------
    >>> judge = Judge(results, "How many fingers?", answers=range(7), rater="ann")
    >>> sdlab.stats.agreement(judge.value)
    >>> Judge(results, 'Which is closer to "{prompt}"?', by="model")
    """

    _esm = source(
        "page.js", "rater.js", "unnamed.js", "judge/stage.js", "judge/bars.js", "judge/judge.js"
    )
    _css = source("page.css", "judge/judge.css")
    question = traitlets.Unicode().tag(sync=True)
    heading = traitlets.Unicode(help="The question, with … for what it tells of a picture.").tag(
        sync=True
    )
    answers = traitlets.List(traitlets.Unicode()).tag(sync=True)
    digits = traitlets.List(traitlets.Unicode(), help="The key that gives each answer.").tag(
        sync=True
    )
    paired = traitlets.Bool().tag(sync=True)
    rater = traitlets.Unicode().tag(sync=True)
    raters = traitlets.List(traitlets.Unicode(), help="Who has answered so far.").tag(sync=True)
    done = traitlets.Int(0).tag(sync=True)
    total = traitlets.Int(0).tag(sync=True)
    unnamed = traitlets.Int(0, help="Answers without a name that may be the rater's.").tag(
        sync=True
    )
    deal = traitlets.Int(0, help="Counts how often another round was begun.").tag(sync=True)
    goes_to_picture = traitlets.Bool(False, help="Whether a button that began it gives the focus.")
    goes_to_picture.tag(sync=True)
    unblinded = traitlets.Bool(False).tag(sync=True)
    verdict = traitlets.List(traitlets.Unicode(), help="What came out; [] before.").tag(sync=True)
    shares: Any = traitlets.List(help="A table of that by what differs, its head first; [] before.")
    shares.tag(sync=True)

    def __init__(
        self,
        results: pd.DataFrame | Job,
        question: str,
        *,
        answers: Iterable[Any] | None = None,
        by: str | None = None,
        left: Any = None,
        right: Any = None,
        rater: str = "",
        seed: int = 0,
        repeats: float = 0.1,
    ) -> None:
        words = read_answers(answers, VOTES if by is not None else YES_OR_NO)
        require_plan(question, rater, seed, repeats)
        frame = results.result() if isinstance(results, Job) else results
        self._pictures = Pictures(frame, by, left, right)
        self._pictures.write_question(question, self._pictures.subjects[0])
        root = self._pictures.root
        self._keeper = Store(root) if root else MemoryOpinions()
        self._seed, self._repeats = seed, repeats
        self._noted = False  # whether the store knows what the round is of
        self._ended: dict[str, bool] = {}  # whether that of each rater who was here has ended
        super().__init__(
            question=question,
            heading=TOLD.sub("…", question),
            answers=words,
            digits=assign_keys(words),
            paired=by is not None,
            rater=rater.strip(),
        )
        self._deal()
        self.observe(lambda _: self._deal(), "rater")

    def __repr__(self) -> str:
        return f"<Judge {self.question!r}: {self.done} of {self.total} by {self.rater or 'you'}>"

    @property
    def value(self) -> pd.DataFrame:
        """One row an answer, of all raters, in the order they were given.

        `key` (the path of a picture in no store), or `left` and `right` as they stood; `question`,
        `answer` (missing: cannot tell), `rater`, `seconds`, `blind`, `repeat`, `time`. After
        `unblind`, or when the rater's round was complete from the start, also what the frame says
        of the picture; of a pair what both share, each side's `by`, and which of the two was
        `preferred`; and where the answers are yes and no, `yes`: True, False, or missing, for
        `sdlab.stats.rate(judge.value.query("repeat == 0"), "yes", by="model")`.
        """
        rows = select_answers(self._keeper.answers(), self.question)
        value = self._pictures.describe(rows, tell=self.unblinded)
        if not self.unblinded or {*self.answers} != {*YES_OR_NO}:
            return value
        truth = value["answer"].map(dict(zip(YES_OR_NO, (True, False))))
        return value.assign(**{YES: truth.astype("boolean")})

    @property
    def code(self) -> str:
        """Python that makes the rows again and shows the same round."""
        named: dict[str, Any] = {"answers": list(self.answers)}
        pairing = self._pictures.pairing
        if pairing is not None:
            named |= {"by": pairing.by, "left": pairing.left, "right": pairing.right}
        named |= {"rater": self.rater, "seed": self._seed, "repeats": self._repeats}
        frame, root = self._pictures.frame, self._pictures.root
        return write_widget("Judge", frame, root, self.question, **named)

    @in_turn
    def say(self, answer: Any, seconds: float | None = None) -> None:
        """Answers about the picture that is shown, as its button does; None: cannot tell."""
        if self.unblinded or self.done == self.total:
            raise ValueError(f"all {self.total} pictures are answered, or the round was ended")
        self._put(self._round.place, None if answer is None else put_in_words(answer), seconds)

    @in_turn
    def undo(self) -> None:
        """Takes the last answer back, and shows its picture again."""
        if not self.unblinded:
            self._round.undo(self._round.place)
            self._count()

    @in_turn
    def unblind(self) -> None:
        """Ends the rater's round: `value` tells the recipes, and no answer is taken any more."""
        self.unblinded = self._ended[self.rater] = True
        self._count()

    @in_turn
    def take_unnamed(self) -> None:
        """Makes the answers that were given without a name those of `rater`.

        It takes those to pictures that the rater has not answered; others stay as they are.

        Raises
        ------
        ValueError
            There is no name to give them.
        """
        require_name(self.rater, "answers")
        self._round.take_unnamed()
        if self._ended.get("") and self._round.done == self.total:
            self._ended[self.rater] = True  # who answered without a name has seen what came out
        self._deal()

    # The round

    @in_turn
    def _deal(self) -> None:
        """Begins the rater's round, or goes on with it."""
        rater = self.rater.strip()
        self._round = begin_round(
            self._keeper,
            self._pictures.subjects,
            question=self.question,
            rater=rater,
            seed=self._seed,
            repeats=self._repeats,
        )
        with self.hold_sync():
            self.rater, self.total = rater, len(self._round.trials)
            self.unblinded = self._ended.setdefault(rater, self._round.done == self.total)
            self._count()
            self.deal += 1

    @in_turn
    def _put(self, place: int, answer: str | None, seconds: float | None) -> None:
        if answer is not None and answer not in self.answers:
            raise ValueError(
                f"answer={answer!r}: use {', '.join(map(repr, self.answers))}, or None for"
                f" {CANNOT_TELL}"
            )
        if not self._noted and (root := self._pictures.root):
            note_round(root, self.question, self.answers, self._pictures.subjects)
        self._noted = True
        self._round.put(place, answer, seconds)
        self._count()

    @in_turn
    def _count(self) -> None:
        """Tells the page how far the round is, and at its end what came out."""
        value = self.value
        with self.hold_sync():
            self.done = self._round.done
            self.unnamed = len(self._round.list_unnamed())
            self.raters = [name for name in dict.fromkeys(value["rater"]) if name]
            over = self.unblinded
            self.verdict = write_verdict(value, self.rater) if over else []
            self.shares = count_answers(value, self.rater, self.answers) if over else []
        self.refresh_soon()

    def static(self) -> str:
        """Renders the answers; nothing but how many there are while a round is under way."""
        return render_round(
            self._pictures,
            self.value,
            question=self.heading,
            note=f"{self.rater or 'You'}: {self.done} of {self.total} answered.",
            verdict=self.verdict,
            shares=self.shares,
            unblinded=self.unblinded,
        )

    # What the page asks

    def _on_show(self, question: dict, buffers: list) -> None:
        self.answer_later(question, self._open_trial)

    @in_turn
    def _on_seen(self, question: dict, buffers: list) -> None:
        trials, place = self._round.trials, self._round.place
        if not self._is_present(question) or question["n"] != place or place == len(trials):
            return self.answer(question, {"kind": "outdated"})
        self.answer_seen(question, lambda: self._pictures.list_seen(trials[place].about))

    @in_turn
    def _on_answer(self, question: dict, buffers: list) -> None:
        if self._is_present(question):
            self._put(question["n"], question["answer"], question["seconds"])
        self._on_show(question, buffers)

    @in_turn
    def _on_undo(self, question: dict, buffers: list) -> None:
        if self._is_present(question):
            self._round.undo(question["n"])
            self._count()
        self._on_show(question, buffers)

    @in_turn
    def _on_claim(self, question: dict, buffers: list) -> None:
        if self._is_dealt(question) and not self.is_repeat(question):
            self.take_unnamed()
        self._on_show(question, buffers)

    @in_turn
    def _on_finish(self, question: dict, buffers: list) -> None:
        if self._is_present(question) and self.done == self.total:
            self.unblind()
        self._on_show(question, buffers)

    def require_code(self) -> None:
        if not self.unblinded:
            raise ValueError("the code tells the recipes: it is shown when the round has ended")

    def _is_present(self, question: dict) -> bool:
        """Whether the page speaks of what is asked now."""
        return self._is_dealt(question) and not self.unblinded

    def _is_dealt(self, question: dict) -> bool:
        """Whether it speaks of the round that was begun last, and for this rater."""
        return question["deal"] == self.deal and is_by(question, self.rater)

    def _open_trial(self) -> tuple[dict[str, Any], list[bytes]]:
        """Opens the pictures to be judged now, and tells nothing else of them."""
        with self._turn:
            trials, place, deal = self._round.trials, self._round.place, self.deal
        told: dict[str, Any] = {"kind": "trial", "deal": deal, "n": place}
        if place == len(trials):
            return told, []
        about = trials[place].about
        told["question"] = self._pictures.write_question(self.question, about)
        told["seen"] = None if self._pictures.looks else self._pictures.list_seen(about)
        images, _ = open_pictures(self._pictures.paths_of(about))
        level = level_sizes(images)
        return told, [b"" if image is None else strip_recipe(image) for image in level]


def read_answers(answers: Iterable[Any] | None, usual: tuple[str, ...]) -> list[str]:
    """Reads the answers as texts that a rater can tell apart."""
    if isinstance(answers, (str, bytes)) or not isinstance(answers, Iterable | None):
        raise TypeError(f"answers={answers!r} is no list; give one, such as ['yes', 'no']")
    words = [put_in_words(answer).strip() for answer in (usual if answers is None else answers)]
    odd = [word for word in words if not word or word == CANNOT_TELL or words.count(word) > 1]
    if odd or len(words) < 2 or None in assign_keys(words):
        raise ValueError(
            f"answers={words}: give two to nine that differ, none empty; {CANNOT_TELL!r} is there"
            " without being named"
        )
    return words


def assign_keys(words: list[str]) -> list[str | None]:
    """Assigns a digit to each answer: its own if it is one, else the next free one from 1."""
    own = {word for word in words if word in [*DIGITS, "0"]}
    free = iter(digit for digit in DIGITS if digit not in own)
    return [word if word in own else next(free, None) for word in words]


def require_plan(question: str, rater: str, seed: int, repeats: float) -> None:
    """Raises unless these make a round."""
    for name, text in (("question", question), ("rater", rater)):
        if not isinstance(text, str):
            raise TypeError(f"{name}={text!r} is no text")
    if not question.strip():
        raise ValueError("question='': say what is asked, such as 'How many fingers?'")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise TypeError(f"seed={seed!r} is no whole number")
    if not isinstance(repeats, (int, float)) or not 0 <= repeats <= MOST_REPEATS:
        raise ValueError(f"repeats={repeats!r}: give a share from 0 to {MOST_REPEATS}")
