"""Stars, ratings, votes and answers on pictures: lines of a text file, to be read and merged."""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from .files import flush_names

if TYPE_CHECKING:
    import pandas as pd
    from pandas.api.extensions import ExtensionArray

FILE = "opinions.jsonl"  # in a store's folder
BALLOT: dict[str, Any] = {  # the columns of votes
    **dict.fromkeys(("time", "left", "right", "vote"), "string"),
    "blind": "boolean",
    "rater": "string",
    "may_change": "boolean",
    "names_shown": "boolean",
}
ANSWERS: dict[str, Any] = {  # the columns of answers
    **dict.fromkeys(("time", "key", "left", "right", "question", "answer", "rater"), "string"),
    "seconds": "Float64",
    "blind": "boolean",
    "repeat": "Int64",
}
UNSAID: dict[str, Any] = {"rater": "", "repeat": 0}  # what a line without them means
VOTES = ("left", "right", "tie", "both bad")
OTHER = {"left": "right", "right": "left"}
RATINGS = (1, 2, 3, 4, 5)
VERDICTS = ("right", "wrong", "cannot tell")
MARKS = {  # what is said of one picture, as columns of a frame
    "starred": "boolean",
    "rating": "Int64",
    "verdict": "string",
    "tags": "string",
    "note": "string",
}


class Opinions:
    """What people said of pictures, in the file `opinions.jsonl`; the last word counts.

    Each line is a JSON object. The file, made by the first opinion, is only ever appended to, a
    whole line at a time, so several processes and threads may write to it.

    Parameters
    ----------
    root : Path
        The folder of the file.
    """

    def __init__(self, root: Path) -> None:
        self.file = root / FILE
        self._read: tuple[Any, list[dict]] = None, []  # (the file's stamp, its lines) for threads
        self._warned = 0  # lines

    def rate(self, key: str, **opinion: Any) -> None:
        """Says something of a picture; what is not given stays as it was.

        Parameters
        ----------
        key : str
        **opinion
            `starred` (True or False), `rating` (1 to 5), `verdict` ("right", "wrong", "cannot
            tell"), `tags` (a list of words) and `note` (text). None takes an earlier one back.
        """
        if unknown := [name for name in opinion if name not in MARKS]:
            raise TypeError(f"rate knows no {unknown[0]!r}; it takes {', '.join(MARKS)}")
        said = {name: unwrap_value(value) for name, value in opinion.items()}
        said = {name: value for name, value in said.items() if (name, value) != ("starred", None)}
        if not said:
            raise TypeError(
                "rate needs an opinion: starred=True or False, rating=1 to 5 or None (no rating),"
                f" verdict={VERDICTS[0]!r}, tags=['hands'], note='why'"
            )
        self._append(check_opinion({"key": key, **said}))

    def vote(
        self,
        left: str,
        right: str,
        vote: str | None,
        *,
        blind: bool = False,
        rater: str = "",
        sealed: bool = False,
        names_shown: bool = False,
    ) -> None:
        """Keeps which of two pictures was preferred.

        Parameters
        ----------
        left, right : str
            Their keys.
        vote : {"left", "right", "tie", "both bad"} or None
            None takes the earlier one back, also a blind one; with `blind` that one alone.
        blind : bool
            Whether the voter did not know which was which.
        rater : str
            Whose vote it is; "" for somebody who gave no name.
        sealed : bool
            Whether the voter does not learn it from the vote either, but by `reveal`.
        names_shown : bool
            Whether it had been shown to somebody else before where the vote was given, such as to
            another rater at the same screen: the voter may have seen it.
        """
        said = {"left": left, "right": right, "vote": vote, "blind": unwrap_value(blind)}
        more = {"rater": rater} if rater else {}
        marks = {"sealed": sealed, "names_shown": names_shown}
        self._append(check_opinion(said | more | {name: True for name in marks if marks[name]}))

    def reveal(self, pairs: Iterable[tuple[str, str]], *, rater: str = "") -> None:
        """Writes down that a rater has learned which picture of these pairs is which."""
        said = {"revealed": [list(pair) for pair in pairs], "rater": rater}
        self._append(check_opinion(said))

    def revealed(self, rater: str = "") -> set[tuple[str, str]]:
        """Lists the pairs, keys sorted, of which a rater knows which picture is which.

        Those of `reveal`, and those with a blind vote that was not sealed: the names came with it.
        """
        return {pair for pair, raters in self.list_knowing().items() if rater in raters}

    def list_knowing(self) -> dict[tuple[str, str], list[str]]:
        """Lists the raters who know which picture is which, of each pair that somebody knows."""
        found: dict[tuple[str, str], dict[str, None]] = {}
        for line in self._lines():
            pairs = line.get("revealed", [])
            if "vote" in line and line.get("blind") and not line.get("sealed"):
                pairs = [(line["left"], line["right"])]
            for pair in pairs:
                found.setdefault(sort_pair(*pair), {})[line.get("rater", "")] = None
        return {pair: list(raters) for pair, raters in found.items()}

    def answer(
        self,
        about: str | tuple[str, str],
        answer: str | None,
        *,
        question: str,
        rater: str = "",
        seconds: float | None = None,
        blind: bool = False,
        repeat: int = 0,
    ) -> None:
        """Keeps what somebody answered to a question about a picture, or about a pair.

        Parameters
        ----------
        about : str or (str, str)
            The picture's key, or the keys of those that stood left and right.
        answer : str or None
            None: cannot tell. "left" and "right" are sides of a pair, as it stood.
        question : str
        rater : str
            Whose answer it is; "" for somebody who gave no name.
        seconds : float, optional
            How long it took.
        blind : bool
            Whether the rater did not know whose picture it was.
        repeat : int
            0 when first asked; 1 when shown again, to see whether the answer is the same.
        """
        said = {"answer": answer, "seconds": unwrap_value(seconds), "blind": unwrap_value(blind)}
        self._append(check_opinion({**name_asked(about, question, rater, repeat), **said}))

    def take_back(
        self, about: str | tuple[str, str], *, question: str, rater: str = "", repeat: int = 0
    ) -> None:
        """Takes an answer back, as if it had not been given."""
        asked = name_asked(about, question, rater, repeat)
        self._append(check_opinion({**asked, "undone": True}))

    def marks(self) -> dict[str, dict[str, Any]]:
        """Lists what was said of each key: `starred`, `rating`, `verdict`, `tags`, `note`.

        Only what is said is there: no star, an empty list of tags and "" are nothing.
        """
        said: dict[str, dict[str, Any]] = {}
        for line in self._lines():
            if "key" in line and "question" not in line:
                of = said.setdefault(line["key"], {})
                of |= {name: line[name] for name in MARKS if name in line}
        known = {key: {n: v for n, v in of.items() if v} for key, of in said.items()}
        return {key: of for key, of in known.items() if of}

    def ratings(self) -> dict[str, tuple[bool, int | None]]:
        """Lists (starred, rating or None) of each key that has a star or a rating."""
        return {
            key: (of.get("starred", False), of.get("rating"))
            for key, of in self.marks().items()
            if {"starred", "rating"} & of.keys()
        }

    def votes(self, *, history: bool = False) -> pd.DataFrame:
        """Lists the vote of each rater on each pair, in the order they were given.

        The last one counts, but a blind vote outweighs an open one: its rater did not know which
        picture was which. A pair is the same whichever picture stands left.

        Parameters
        ----------
        history : bool
            All that was ever voted instead, with what was changed or taken back (a missing vote).

        Returns
        -------
        DataFrame
            Columns `time` (ISO 8601, UTC), `left`, `right`, `vote`, `blind`, `rater`,
            `may_change`: whether it is a blind one whose rater has not asked for the names yet,
            and `names_shown`: whether others had been shown the names before, where it was given.
        """
        lines = [line for line in self._lines() if "vote" in line]
        lines = lines if history else select_standing(lines)
        known = self.list_knowing()
        told = [
            {"names_shown": False}
            | said
            | {"may_change": bool(said.get("blind")) and rater not in known.get(pair, [])}
            for said in lines
            for pair, rater in [(sort_pair(said["left"], said["right"]), said.get("rater", ""))]
        ]
        return tabulate_lines(told, BALLOT)

    def answers(self) -> pd.DataFrame:
        """Lists the last answer of each rater to each question, in the order they were given.

        A pair is the same whichever picture stands left, and a repeat is another question.

        Returns
        -------
        DataFrame
            Columns `time` (ISO 8601, UTC), `key` or `left` and `right`, `question`, `answer`
            (missing: cannot tell), `rater`, `seconds`, `blind`, `repeat`.
        """
        last: dict[tuple, dict] = {}
        for line in self._lines():
            if "question" in line:
                asked = (line["question"], *(line.get(name, UNSAID[name]) for name in UNSAID))
                about = line.get("key") or sort_pair(line["left"], line["right"])
                last.pop((about, asked), None)
                if not line.get("undone"):
                    last[about, asked] = line
        return tabulate_lines(list(last.values()), ANSWERS)

    def columns(self, keys: ExtensionArray) -> dict[str, ExtensionArray]:
        """Lists what is said of these keys; stars are False where nothing is, tags one text."""
        found = tabulate_marks(self.marks(), keys)
        return {name: found[name].array for name in MARKS}

    def _append(self, said: dict[str, Any]) -> None:
        line = json.dumps(stamp_time(said)).encode() + b"\n"
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with open(self.file, "a+b", buffering=0) as file:  # each write is one call of the system
            is_new = file.tell() == 0
            data = line if is_new or ends_its_line(file) else b"\n" + line
            while file.write(data) < len(data):  # no space: the next try says so, or finds some,
                data = b"\n" + line  # on a line of its own
            os.fsync(file.fileno())
        if is_new:
            flush_names(self.file.parent)

    def _lines(self) -> list[dict]:
        """Lists all lines that can be read, anew only if the file has changed."""
        try:
            now = os.stat(self.file)
        except FileNotFoundError:
            return []
        stamp = now.st_ino, now.st_size, now.st_mtime_ns
        if stamp != self._read[0]:
            self._read = stamp, self._parse(self.file.read_bytes().split(b"\n"))
        return self._read[1]

    def _parse(self, lines: list[bytes]) -> list[dict]:
        found, unread = [], []
        for number, line in enumerate(lines, 1):
            try:
                found += [check_opinion(json.loads(line))] if line.strip() else []
            except (ValueError, RecursionError):
                unread.append(number)
        if unread and unread[-1] == len(lines):  # there somebody may still be writing
            unread.pop()
        if len(unread) > self._warned:
            self._warned = len(unread)
            others = f" and {len(unread) - 1:,} others" if len(unread) > 1 else ""
            warnings.warn(
                f"{self.file}, line {unread[0]}{others}: no opinion that can be read, so it does"
                " not count; mend or delete it",
                stacklevel=2,
            )
        return found


def check_opinion(said: Any) -> dict[str, Any]:
    """Gives the opinion itself, or an error that says what is allowed."""
    if isinstance(said, dict) and "revealed" in said:
        return check_reveal(said)
    if not isinstance(said, dict) or not {*MARKS, "vote", "question"} & said.keys():
        raise ValueError(
            f"an opinion is a mapping with a key and {', '.join(MARKS)}, with left, right and vote,"
            " or with a question and its answer"
        )
    is_pair = "vote" in said or ("question" in said and "key" not in said)
    for name in ("left", "right") if is_pair else ("key",):
        if not isinstance(said.get(name), str):
            raise ValueError(
                f"{name}={said.get(name)!r:.60} is no key; give text, such as request.key"
            )
    for name in ("starred", "blind", "undone", "sealed", "names_shown"):
        if not isinstance(said.get(name, False), bool):
            raise ValueError(f"{name}={said[name]!r:.60}: use True or False")
    rating = said.get("rating")
    if rating is not None and (type(rating) is not int or rating not in RATINGS):
        raise ValueError(
            f"rating={rating!r:.60}: use a whole number from 1 to 5, or None for no rating"
        )
    if said.get("vote", "tie") not in (*VOTES, None):
        raise ValueError(
            f"vote={said['vote']!r:.60}: use {', '.join(map(repr, VOTES[:-1]))} or {VOTES[-1]!r},"
            " or None to take one back"
        )
    check_words(said)
    check_answer(said)
    return said


def check_words(said: dict[str, Any]) -> None:
    """Raises where a verdict, tags or a note are not what is allowed."""
    if said.get("verdict") not in (*VERDICTS, None):
        known = ", ".join(map(repr, VERDICTS))
        raise ValueError(f"verdict={said['verdict']!r:.60}: use {known}, or None for no verdict")
    tags, note = said.get("tags"), said.get("note")
    words = tags is None or (
        isinstance(tags, list)
        and all(isinstance(tag, str) and tag.strip() and "," not in tag for tag in tags)
    )
    if not words:
        raise ValueError(f"tags={tags!r:.60}: use a list of words without commas")
    if note is not None and not isinstance(note, str):
        raise ValueError(f"note={note!r:.60} is no text")


def check_answer(said: dict[str, Any]) -> None:
    """Raises where what only votes and answers have is not what is allowed."""
    for name in ("question", "rater"):
        if not isinstance(said.get(name, ""), str):
            raise ValueError(f"{name}={said[name]!r:.60} is no text")
    if "question" in said and not said["question"].strip():
        raise ValueError("question='': say what is asked")
    if "question" in said and not said.get("undone"):
        answer = said.get("answer", "")
        if answer is not None and (not isinstance(answer, str) or not answer):
            raise ValueError(f"answer={answer!r:.60}: use text, or None for cannot tell")
    seconds, repeat = said.get("seconds"), said.get("repeat", 0)
    is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if seconds is not None and not (is_number and 0 <= seconds < math.inf):
        raise ValueError(f"seconds={seconds!r:.60}: use a number from 0, or None")
    if type(repeat) is not int or repeat < 0:
        raise ValueError(f"repeat={repeat!r:.60}: use a whole number from 0")


def check_reveal(said: dict[str, Any]) -> dict[str, Any]:
    """Gives what was revealed itself, or an error that says what is allowed."""
    pairs = said["revealed"]
    good = isinstance(pairs, list) and all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(key, str) for key in pair)
        for pair in pairs
    )
    if not good or not isinstance(said.get("rater", ""), str):
        raise ValueError(f"revealed={pairs!r:.60}: use a list of pairs of keys, and a rater's name")
    return said


def sort_pair(left: str, right: str) -> tuple[str, str]:
    """Names a pair whichever picture stands left."""
    return min(left, right), max(left, right)


def select_standing(lines: list[dict]) -> list[dict]:
    """Selects the votes that stand: of each rater on each pair the last blind, else the last.

    A blind vote that is taken back blindly leaves an open one; taken back openly, none is left.
    """
    last: dict[tuple, dict] = {}
    for line in lines:
        about = *sort_pair(line["left"], line["right"]), line.get("rater", "")
        blind, taken = bool(line.get("blind")), line["vote"] is None
        for way in (True, False) if taken and not blind else (blind,):
            last.pop((about, way), None)
        if not taken:
            last[about, blind] = line
    return [line for (about, blind), line in last.items() if blind or (about, True) not in last]


def name_asked(
    about: str | tuple[str, str], question: str, rater: str, repeat: int
) -> dict[str, Any]:
    """Names who was asked what about which pictures, as a line of the file does."""
    pictures = {"key": about} if isinstance(about, str) else dict(zip(OTHER, about))
    return {**pictures, "question": question, "rater": rater, "repeat": unwrap_value(repeat)}


def tabulate_lines(lines: list[dict], columns: dict[str, Any]) -> pd.DataFrame:
    """Makes a frame of lines; what a line lacks is missing."""
    import pandas as pd

    found = {name: [line.get(name, UNSAID.get(name)) for line in lines] for name in columns}
    return pd.DataFrame(found).astype(columns)


class MemoryOpinions(Opinions):
    """Opinions on pictures in no store: they last as long as this object."""

    def __init__(self) -> None:
        self._said: list[dict[str, Any]] = []

    def _append(self, said: dict[str, Any]) -> None:
        self._said.append(stamp_time(said))

    def _lines(self) -> list[dict]:
        return self._said


def tabulate_marks(said: dict[Any, dict[str, Any]], keys: Any) -> pd.DataFrame:
    """Makes a frame of marks, a row for each of the keys; stars are False where nothing is said."""
    import pandas as pd

    told = {
        key: of | {"tags": ", ".join(of["tags"])} if of.get("tags") else of
        for key, of in said.items()
    }
    found = pd.DataFrame.from_dict(told, "index").reindex(columns=[*MARKS])
    found = found.astype(MARKS).reindex(keys)
    return found.assign(starred=found["starred"].fillna(False))


def mirror_vote(vote: Any) -> Any:
    """Gives the same vote, or answer, when the two pictures change places."""
    return OTHER.get(vote, vote)


def stamp_time(said: dict[str, Any]) -> dict[str, Any]:
    """Writes down when it is said: ISO 8601, UTC."""
    return {"time": datetime.now(UTC).isoformat(timespec="microseconds"), **said}


def unwrap_value(value: Any) -> Any:
    """Takes the value out of a NumPy type, such as a frame's cells have."""
    return value.item() if hasattr(value, "item") else value


def ends_its_line(file: BinaryIO) -> bool:
    """Tells whether the last line has an end.

    Else a kill or a full disk has torn it, or somebody else is writing it just now. Then the next
    line begins with an end of line, which in the latter case leaves an empty line for readers to
    skip.
    """
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"
