"""The answers of a class: a file for each pupil, read together, and counted."""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from ...results.frame import count_noun
from ...results.sheet import DPI, INK, LABEL, QUIET, GridFigure, make_font, wrap_text

COLUMNS = ["group", "pupil", "question", "answer", "time"]
ONE = ["group", "pupil", "question"]  # has one answer
WIDTH, MARGIN = 600, 12  # pixels of a figure
ACROSS = WIDTH - 2 * MARGIN
NOBODY = "somebody"  # the file of those who give no name


def keep_answer(
    folder: str | os.PathLike[str], pupil: str, question: str, answer: str, *, group: str = ""
) -> None:
    """Adds an answer to the pupil's file, which is another one in each group."""
    names = (re.sub(r"[^\w-]+", "-", name).strip("-").lower() for name in (group, pupil))
    of_group, own = names
    name = f"{of_group}-{own or NOBODY}" if of_group else own or NOBODY
    time = datetime.now(UTC).isoformat(timespec="seconds")
    row = {"pupil": pupil.strip(), "question": question, "answer": answer, "time": time}
    row |= {"group": group} if group else {}
    path = Path(folder) / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")


def read_answers(folder: str | os.PathLike[str]) -> pd.DataFrame:
    """Reads all files of a folder as one frame; of a pupil's answers to a question the first.

    Two pupils of one name in two groups are two; an answer that tells no group has the group "".
    Warns of lines that cannot be read, and of pupils who seem to have one name.
    """
    paths = sorted(Path(folder).glob("*.jsonl"))
    read = [{**row, "file": path.name} for path in paths for row in read_file(path)]
    rows = pd.DataFrame(read, columns=[*COLUMNS, "file"], dtype="string")
    rows = rows.sort_values("time", kind="stable").drop_duplicates(COLUMNS)
    again = rows.duplicated(ONE, keep=False)
    for (_, pupil), own in rows[again].groupby(["group", "pupil"]):
        if own["file"].nunique() > 1:
            warnings.warn(
                f"{' and '.join(sorted(own['file'].unique()))} have other answers of one"
                f" {pupil!r} to the same question; the earlier counts. If they are two pupils, let"
                " one of them take another name",
                stacklevel=3,
            )
    return rows[COLUMNS].drop_duplicates(ONE, ignore_index=True)


def read_file(path: Path) -> Iterator[dict[str, str]]:
    """Reads the answers of a file; what is no answer, such as half a line, is passed over."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line) if line.strip() else None
            if row is not None:
                row = {"group": "", **row}
                yield {name: str(row[name]) for name in COLUMNS}
        except (ValueError, KeyError, TypeError):
            warnings.warn(
                f"line {number} of {path.name} is no answer, and is passed over; copy the file"
                " again if it was cut off",
                stacklevel=4,
            )


def count_answers(answers: Sequence[str], value: pd.DataFrame) -> list[int]:
    """Counts how many gave each answer."""
    return [int((value["answer"] == answer).sum()) for answer in answers]


def draw_answers(
    question: str, answers: Sequence[str], value: pd.DataFrame, right: str, *, group: str = ""
) -> GridFigure:
    """Draws a bar for each answer; that of the right one is dark, and says so."""
    counts = count_answers(answers, value)
    told = f"{group}: {count_all(counts)}" if group else count_all(counts)
    lines = [line for text in (question, told) for line in wrap_text(text, LABEL, ACROSS)]
    above = 20 * len(lines)  # pixels
    height = 50 + above + 32 * len(answers)
    figure = GridFigure(figsize=(WIDTH / DPI, height / DPI), dpi=DPI)
    axes = figure.add_subplot()
    axes.barh(
        [f"{each} (right)" if each == right else each for each in answers],
        counts,
        color=[INK if each == right else QUIET for each in answers],
        height=0.6,
    )
    for place, count in enumerate(counts):
        axes.text(count, place, f" {count}", va="center", color=INK)
    axes.invert_yaxis()
    axes.set_xlim(0, max([*counts, 1]) * 1.15)
    axes.xaxis.set_visible(False)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    for number, line in enumerate(lines):
        x, y = MARGIN / WIDTH, 1 - (MARGIN / 2 + 20 * number) / height
        text = figure.text(x, y, line, va="top", color=INK, parse_math=False)
        text.set_fontproperties(make_font(LABEL))
    figure.tight_layout(rect=(0, 0, 1, 1 - above / height))
    figure.set_label(tell_answers(question, answers, counts, right, told))
    return figure


def count_all(counts: Sequence[int]) -> str:
    """Says in words how many have answered."""
    return count_noun(sum(counts), "answer") if sum(counts) else "nobody has answered yet"


def tell_answers(
    question: str, answers: Sequence[str], counts: Sequence[int], right: str, told: str
) -> str:
    """Tells in words what the figure of them shows; `told` is how many have answered."""
    each = (
        f"{answer}{' (right)' if answer == right else ''}: {count}"
        for answer, count in zip(answers, counts)
    )
    return f"{question} {'; '.join(each)}; {told}"
