"""What stays of a prediction without a kernel: the question, and what was revealed."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from ...results.html import render_table
from ..pictures import render_side

CELL = "text-align:left;vertical-align:top;padding:2px 8px 2px 0"


def render_prediction(
    question: str,
    answers: Sequence[str],
    *,
    answer: str,
    right: str,
    counts: Sequence[int],
    group: str,
    pictures: Sequence[tuple[str, str]],
) -> str:
    """Renders a question; before it is answered nothing of the pictures."""
    if not answer:
        told = Markup("<p>{} (not answered yet)</p>").format(question)  # a caption would be as
        return told + render_table([], [[each] for each in answers], style=CELL)  # narrow as they
    rows = [
        [each, str(count), "the right answer" if each == right else ""]
        for each, count in zip(answers, counts)
    ]
    head = ["answer", f"of {group or 'the class'}", ""]
    told = render_table(head, rows, caption=f"{question} Answered: {answer}", style=CELL)
    cells = [
        Markup("{}<br>{}").format(render_side(path, caption), caption) for path, caption in pictures
    ]
    lines = [["", *cells[start : start + 6]] for start in range(0, len(cells), 6)]
    return told + render_table([], lines, style=CELL)
