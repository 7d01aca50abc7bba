"""Which words matter: the prompt without each of them, and how far the picture moves."""

from __future__ import annotations

import pandas as pd

from ...recipe.request import Recipe, Request
from .tokens import leave_out, list_pieces

WHOLE = "nothing"


def list_ablations(cell: Recipe) -> list[Request]:
    """Lists the cell, and then it without each of its words, with what is left out as a label.

    Signs that are no words stay. The labels are those that the scorer "distance" reads.
    """
    pieces = list_pieces(cell)
    own = pieces[(pieces["text"] == "prompt") & pieces["read"]].drop_duplicates("number")
    labels = {"wording": cell.prompt, "arm": WHOLE}
    out = [cell.but(labels=labels)]
    counts: dict[str, int] = {}
    for number, word in zip(own["number"], own["word"]):
        counts[word] = counts.get(word, 0) + 1
        if any(letter.isalnum() for letter in word):
            name = word if counts[word] == 1 else f"{word} ({counts[word]})"
            shorter = leave_out(cell, int(number))
            out.append(cell.but(prompt=shorter, labels=labels | {"arm": name}))
    return out


def rank_words(frame: pd.DataFrame) -> pd.DataFrame:
    """Puts the words in the order of how far the picture moves without them, the cell first."""
    named = frame.rename(columns={"arm": "left_out"})
    order = named["distance_levels"].fillna(float("inf"))  # the cell itself
    return named.loc[order.sort_values(ascending=False, kind="stable").index].reset_index(drop=True)
