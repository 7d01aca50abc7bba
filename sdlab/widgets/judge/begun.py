"""What each round was of, kept in the store for whoever goes on with it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ...pictures import HASH
from .round import About, sort_sides

FILE = "judge-rounds.jsonl"


@dataclass(frozen=True)
class Begun:
    """A round that was begun: its pictures, or pairs whichever stands left, and the answers."""

    question: str
    answers: tuple[str, ...]
    pictures: tuple[About, ...]
    when: str = field(default="", compare=False)

    @property
    def keys(self) -> list[str]:
        """The keys of its pictures, one by one."""
        parts = ((one,) if isinstance(one, str) else one for one in self.pictures)
        return [key for part in parts for key in part]


def note_round(root: Path, question: str, answers: Sequence[str], pictures: list[About]) -> None:
    """Takes note of a round that is not known yet, if the store can be written to."""
    begun = Begun(question, tuple(answers), tuple(sorted(map(sort_sides, pictures))))
    if begun in list_rounds(root, question):
        return
    now = datetime.now().astimezone()
    line = json.dumps({**vars(begun), "when": f"{now.day} {now:%B}"})
    with suppress(OSError), open(root / FILE, "ab", buffering=0) as file:
        file.write(f"{line}\n".encode())


def list_rounds(root: Path, question: str) -> list[Begun]:
    """Lists the rounds of a question, the last begun first; what cannot be read is none."""
    found: list[Begun] = []
    with suppress(OSError, UnicodeDecodeError):
        for line in (root / FILE).read_text("utf-8").splitlines():
            with suppress(ValueError, TypeError, KeyError):
                found.insert(0, read_round(json.loads(line)))
    return [begun for begun in found if begun.question == question]


def read_round(said: dict) -> Begun:
    """Reads a line of the file; a ValueError or its like says that it is none."""
    subjects = [one if isinstance(one, str) else tuple(one) for one in said["pictures"]]
    begun = Begun(said["question"], tuple(said["answers"]), tuple(subjects), str(said["when"]))
    if not begun.keys or not all(HASH.fullmatch(key) for key in begun.keys):
        raise ValueError("a round is of pictures, which are named by their keys")
    return begun
