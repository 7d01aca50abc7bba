"""Which pictures of a grid were not made here, by whom, and what of them cannot be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..errors import shorten_text
from .frame import (
    NUMBER,
    column_values,
    find_foreign,
    format_label,
    join_words,
    name_origins,
    row_tuples,
)

if TYPE_CHECKING:
    import pandas as pd

MUST_AGREE = (  # what two pictures have to share to be compared: unsaid, it may be anything
    *("prompt", "seed", "num_inference_steps", "guidance_scale", "scheduler"),
)
MOST_SAID, LONGEST = 3, 40  # gaps in a label, and characters of one


class Origin(NamedTuple):
    """Who made a picture that was not made here, and what of it cannot be compared."""

    source: str
    gaps: tuple[str, ...]


def list_origins(frame: pd.DataFrame) -> list[Origin | None]:
    """Lists where each picture came from; None for those that were made here."""
    left = column_values(frame, "not_translated")
    rows = zip(find_foreign(frame), name_origins(frame), left, row_tuples(frame, MUST_AGREE))
    return [
        Origin(
            source,
            (
                *(f"{name}: not said" for name, value in zip(MUST_AGREE, known) if value is None),
                *(part for part in (left or "").split("; ") if part),
            ),
        )
        if foreign
        else None
        for foreign, source, left, known in rows
    ]


def label_sides(
    frame: pd.DataFrame, *sides: tuple[Sequence[str], Sequence[tuple]]
) -> list[list[str]]:
    """Labels the sides of a grid, each given as columns and the values that they take.

    One side says of each value which of its pictures were not made here: the first that sets these
    apart from ours, else the first.
    """
    labels = [
        [format_label(own[:-1] if is_alone(names, own) else own) for own in found]
        for names, found in sides
    ]
    origins = list_origins(frame)
    named = [n for n, (names, _) in enumerate(sides) if names]
    if not named or not any(origins):
        return labels
    values = {n: row_tuples(frame, sides[n][0]) for n in named}
    telling = next((n for n in named if sets_apart(values[n], origins)), named[0])
    groups: dict[tuple, list[Origin | None]] = {}
    for value, origin in zip(values[telling], origins):
        groups.setdefault(value, []).append(origin)
    has_source = "source" in sides[telling][0]  # then it stands there already
    said = [describe_origins(groups.get(value, []), has_source) for value in sides[telling][1]]
    labels[telling] = [" · ".join(filter(None, both)) for both in zip(labels[telling], said)]
    return labels


def is_alone(names: Sequence[str], own: tuple) -> bool:
    """Tells whether values of a side have no number, as where nothing else has the same."""
    return len(own) > 1 and names[-1] == NUMBER and own[-1] is None


def sets_apart(values: Sequence[tuple], origins: Sequence[Origin | None]) -> bool:
    """Tells whether no value has pictures from here and from elsewhere."""
    both = {(value, origin is None) for value, origin in zip(values, origins)}
    return len(both) == len(set(values))


def describe_origins(origins: Sequence[Origin | None], has_source: bool) -> str:
    """Says who made pictures that were not made here, and what cannot be compared; "" if none."""
    foreign = [origin for origin in origins if origin]
    if not foreign:
        return ""
    count = f"{len(foreign)} of {len(origins)} " * (len(foreign) < len(origins))
    by = "" if has_source else f" ({join_words(dict.fromkeys(each.source for each in foreign))})"
    gaps = Counter(gap for origin in foreign for gap in origin.gaps).most_common()
    shown = [
        shorten_text(gap, LONGEST) + f" ({n} of {len(foreign)})" * (n < len(foreign))
        for gap, n in gaps[:MOST_SAID]
    ]
    shown += [f"{len(gaps) - MOST_SAID} more"] * (len(gaps) > MOST_SAID)
    told = f"; not comparable: {', '.join(shown)}" if shown else ""
    return f"{count}not made here{by}{told}"
