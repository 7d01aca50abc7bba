"""`Predict`: say first what you expect, then see the pictures, and what the class expected."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterable
from typing import Any
from weakref import WeakSet

import pandas as pd
import traitlets

from ...render.job import Job
from ...results.code import find_store_root
from ...results.frame import find_differing, is_measured
from ...results.sheet import GridFigure
from ...results.stats.agreement import put_in_words
from ..code import write_widget
from ..panel import Panel, source
from ..pictures import can_look, describe_seen, look_at, make_thumbnail, write_captions
from .answers import count_answers, draw_answers, keep_answer, read_answers
from .still import render_prediction

MOST = 24  # pictures
SHOWN: WeakSet[Predict] = WeakSet()


class Predict(Panel):
    """A question about pictures that nobody has seen yet: choose, then reveal.

    An answer is final once the pictures are revealed. Each pupil's answers are a file,
    `FOLDER/GROUP-NAME.jsonl`; put the files of a class into one folder, and `value` is all of them.

    Parameters
    ----------
    results : DataFrame or Job
        What is revealed: what `run` returned, or any frame with `path`. A job is waited for.
    question : str
        Such as 'What does guidance 0 draw?'. Answers belong to it: the same words, the same
        question.
    answers : list
        Two to nine texts or numbers.
    right : optional
        The answer that the pictures give, told when they are revealed.
    pupil : str
        Who answers; the page has a field for it. A name given at one question is that of the others
        with the same folder and group that have none.
    folder : path
        Where the answers are.
    group : str
        Which class is asked, such as "class 7b". Another one begins from nothing, in the same
        folder; `tabulate` compares them.
    captions : list of str, optional
        What is told under each picture, a text a row of `results`; if left out, what the recipes
        differ in.

    Attributes
    ----------
    choice : str
        The pupil's own answer, "" before.
    whose : str
        The pupil whose `choice` it is: for a moment not yet who is named.

    Raises
    ------
    TypeError, ValueError
        No picture, no question, or answers that cannot be told apart.

    Examples
    --------
    >>> guess = Predict(results, "Which word matters most?", ["cat", "red", "a"], right="cat")
    >>> guess.tabulate()
    """

    _esm = source("page.js", "predict/predict.js")
    _css = source("page.css", "predict/predict.css")
    question = traitlets.Unicode().tag(sync=True)
    answers = traitlets.List(traitlets.Unicode()).tag(sync=True)
    right = traitlets.Unicode().tag(sync=True)
    pupil = traitlets.Unicode().tag(sync=True)
    choice = traitlets.Unicode(help="The pupil's own; it reveals the pictures.").tag(sync=True)
    group = traitlets.Unicode(help="Which class is asked.").tag(sync=True)
    whose = traitlets.Unicode(help="Whose choice it is.").tag(sync=True)
    counts: Any = traitlets.List(help="How many gave each answer; [] before.").tag(sync=True)

    def __init__(
        self,
        results: pd.DataFrame | Job,
        question: str,
        answers: Iterable[Any],
        *,
        right: Any = None,
        pupil: str = "",
        folder: str | os.PathLike[str] = "answers",
        group: str = "",
        captions: Iterable[str] | None = None,
    ) -> None:
        frame = results.result() if isinstance(results, Job) else results
        own = None if captions is None else read_captions(captions, frame)
        self.frame = frame[frame["path"].notna()].head(MOST)
        self._captions = own and [*itertools.compress(own, frame["path"].notna())][:MOST]
        words = read_choices(question, answers, right)
        if self.frame.empty:
            raise ValueError("the frame has no picture to be revealed")
        self.folder = os.fspath(folder)
        told = "" if right is None else put_in_words(right).strip()
        super().__init__(question=question, answers=words, group=group.strip())
        named = [pupil.strip(), *(each.pupil for each in self._list_others())]
        self.pupil = next(filter(None, named), "")
        self._right = told
        self._lock = threading.RLock()  # Jupyter may hear of a name and an answer on two threads
        SHOWN.add(self)
        self.observe(lambda _: self._change_pupil(), ["pupil", "group"])
        self._change_pupil()

    def __repr__(self) -> str:
        return f"<Predict {self.question!r}: {self.choice or 'no answer yet'}>"

    @property
    def value(self) -> pd.DataFrame:
        """One row an answer to this question, of all pupils of the group with files in the folder.

        `pupil`, `answer`, `right` (missing where no answer is), `question`, `time`, `group`.
        """
        found = read_answers(self.folder)
        asked = (found["question"] == self.question) & (found["group"] == self.group)
        own = found[asked].reset_index(drop=True)
        own["right"] = self._mark(own["answer"])
        return own[["pupil", "answer", "right", "question", "time", "group"]]

    @property
    def code(self) -> str:
        """Python that makes the pictures again and asks the same question."""
        named: dict[str, Any] = {"right": self._right} if self._right else {}
        named |= {"pupil": self.pupil} if self.pupil else {}
        named |= {"group": self.group} if self.group else {}
        named |= {"captions": self._captions} if self._captions else {}
        root = find_store_root(self.frame) if "key" in self.frame else None
        folder = self.folder
        given = self.question, list(self.answers)
        return write_widget("Predict", self.frame, root, *given, **named, folder=folder)

    def say(self, answer: Any) -> None:
        """Answers, as the button does, and reveals the pictures.

        Raises
        ------
        ValueError
            It is none of the answers, the pupil has no name, or has answered already.
        """
        pupil = self.pupil
        with self._lock:
            self._say(answer, pupil, find_answer(self.value, pupil))

    def _say(self, answer: Any, pupil: str, said: str) -> None:
        """Answers for that pupil, who said that before, whoever is named by now."""
        word = put_in_words(answer).strip()
        if word not in self.answers:
            raise ValueError(f"answer={answer!r}: use {', '.join(map(repr, self.answers))}")
        if not pupil.strip():
            raise ValueError("write who answers into the field `pupil` first: answers go by name")
        if said:
            raise ValueError(f"{pupil} has answered {said!r} already")
        keep_answer(self.folder, pupil, self.question, word, group=self.group)
        self._look_up()

    def tabulate(self, *groups: str) -> pd.DataFrame:
        """Counts how many gave each answer, also those that nobody gave; before any, it is empty.

        Parameters
        ----------
        groups : str
            Whose answers in this folder, such as "class 7b", "class 8a"; if left out, its own.

        Returns
        -------
        DataFrame
            One row a group that has answered and an answer: `question`, `group`, `answer`,
            `pupils` (how many gave it), `right` (missing where no answer is).
        """
        found = read_answers(self.folder)
        found = found[found["question"] == self.question]
        parts = {group: found[found["group"] == group] for group in groups or (self.group,)}
        rows = [
            (self.question, group, answer, n)
            for group, part in parts.items()
            for answer, n in zip(self.answers, count_answers(self.answers, part))
            if len(part)
        ]
        table = pd.DataFrame(rows, columns=["question", "group", "answer", "pupils"])
        kinds = dict.fromkeys(("question", "group", "answer"), "string") | {"pupils": "Int64"}
        return table.astype(kinds).assign(right=self._mark(table["answer"]))

    def draw(self) -> GridFigure:
        """Draws how many of the class gave each answer, and once there is one which is right."""
        value = self.value
        right = self._right if len(value) else ""
        return draw_answers(self.question, self.answers, value, right, group=self.group)

    def static(self) -> str:
        """Renders the question, and once it is answered the pictures and what the class said."""
        captions = self._write_captions()
        return render_prediction(
            self.question,
            list(self.answers),
            answer=self.choice,
            right=self.right,
            counts=list(self.counts),
            group=self.group,
            pictures=list(zip(self.frame["path"], captions)) if self.choice else [],
        )

    def _list_others(self) -> list[Predict]:
        """Lists the questions to the same group whose answers are in the same folder."""
        here = self.folder, self.group
        others = [each for each in list(SHOWN) if each is not self]
        return [each for each in others if (each.folder, each.group) == here]

    def _change_pupil(self) -> None:
        """Finds the answer of who answers now, and names those where nobody is named."""
        self._look_up()
        for each in self._list_others() if self.pupil.strip() else ():
            if not each.pupil:
                each.pupil = self.pupil

    def _look_up(self) -> None:
        """Finds the pupil's answer; what is told before it is the question alone."""
        with self._lock, self.hold_sync():
            value, pupil = self.value, self.pupil
            answer = find_answer(value, pupil)
            self.choice, self.whose = answer, pupil
            self.right = self._right if answer else ""
            self.counts = count_answers(self.answers, value) if answer else []
        self.refresh_soon()

    def _mark(self, answers: pd.Series) -> Any:
        """Marks the right ones; missing where no answer is right."""
        marks = [answer == self._right if self._right else None for answer in answers]
        return pd.array(marks, "boolean")

    def _write_captions(self) -> list[str]:
        if self._captions:
            return self._captions
        differing = [n for n in find_differing(self.frame) if not is_measured(self.frame, n)]
        names = differing if len(self.frame) > 1 else ["prompt"]
        return write_captions(self.frame, names)

    # What the page asks

    def _on_answer(self, question: dict, buffers: list) -> None:
        repeat = self.is_repeat(question)  # not another pupil's answer, nor a second one
        if not repeat:
            pupil = self.pupil = str(question.get("pupil", self.pupil))  # may come later by itself
            with self._lock:
                said = find_answer(self.value, pupil)
                if question["answer"] != said:
                    self._say(question["answer"], pupil, said)
        if repeat and not self.choice:
            return self.answer(question, {"kind": "outdated"})
        self.answer_later(question, self._open_pictures)

    def _on_show(self, question: dict, buffers: list) -> None:
        if not self.choice:
            raise ValueError("the pictures are shown when the question is answered")
        self.answer_later(question, self._open_pictures)

    def require_code(self) -> None:
        if not self.choice:
            raise ValueError("the code tells the pictures: it is shown with them")

    def _on_seen(self, question: dict, buffers: list) -> None:
        if not self.choice:
            raise ValueError("what is in the pictures is told when the question is answered")
        self.answer_seen(question, self._list_seen)

    def _list_seen(self) -> list[str]:
        """Lists what stands in each picture, for those who do not see it."""
        if can_look(self.frame):
            return [look_at(path) for path in self.frame["path"]]
        return [describe_seen(self.frame.iloc[[n]])[0] for n in range(len(self.frame))]

    def _open_pictures(self) -> tuple[dict[str, Any], list[bytes]]:
        pictures = [open_thumbnail(path) for path in self.frame["path"]]
        return {"kind": "pictures", "captions": self._write_captions()}, pictures


def open_thumbnail(path: str) -> bytes:
    """Makes a small picture; b"" for one that cannot be read, which hides no other."""
    try:
        return make_thumbnail(path)
    except OSError:
        return b""


def read_captions(captions: Iterable[str], frame: pd.DataFrame) -> list[str]:
    """Reads a text for each row of the frame.

    Raises
    ------
    TypeError, ValueError
        They are no texts, or more or fewer.
    """
    texts = [captions] if isinstance(captions, str) else list(captions)
    if not all(isinstance(text, str) for text in texts):
        raise TypeError(f"captions={texts!r:.80}: give texts")
    if len(texts) != len(frame):
        raise ValueError(f"{len(texts)} captions for {len(frame)} rows: give one for each row")
    return texts


def find_answer(answers: pd.DataFrame, pupil: str) -> str:
    """Finds what a pupil has answered; "" if nothing."""
    own = answers.loc[answers["pupil"] == pupil.strip(), "answer"]
    return own.iloc[-1] if len(own) else ""


def read_choices(question: str, answers: Iterable[Any], right: Any) -> list[str]:
    """Reads the answers as texts that can be told apart.

    Raises
    ------
    TypeError, ValueError
        They cannot, or the right one is none of them.
    """
    if not isinstance(question, str) or not question.strip():
        raise ValueError(f"question={question!r}: say what is asked, such as 'What comes next?'")
    if isinstance(answers, (str, bytes)) or not isinstance(answers, Iterable):
        raise TypeError(f"answers={answers!r} is no list; give one, such as ['more', 'fewer']")
    words = [put_in_words(answer).strip() for answer in answers]
    if not 2 <= len(words) <= 9 or len(set(words)) < len(words) or "" in words:
        raise ValueError(f"answers={words}: give two to nine that differ, none empty")
    if right is not None and put_in_words(right).strip() not in words:
        raise ValueError(f"right={right!r} is none of the answers {words}")
    return words
