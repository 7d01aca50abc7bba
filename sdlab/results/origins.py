"""Which pictures were not made here, by whom, and what of them cannot be compared."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..errors import shorten_text
from ..pictures import HASH
from ..recipe.request import FIELDS
from ..store.columns import FOUND_AS
from .frame import (
    NUMBER,
    column_values,
    count_noun,
    find_foreign,
    format_label,
    join_words,
    row_tuples,
)

if TYPE_CHECKING:
    import pandas as pd

UNKNOWN = "of unknown origin"
SEEN = ("width", "height")  # fields that anybody sees in a picture
MUST_AGREE = (  # what two pictures have to share to be compared: unsaid, it may be anything
    *("prompt", "seed", "num_inference_steps", "guidance_scale", "scheduler"),
)
MOST_SAID, LONGEST = 3, 40  # gaps in a label, and characters of one


class Origin(NamedTuple):
    """Who made a picture that was not made here, and what of it cannot be compared."""

    source: str
    gaps: tuple[str, ...]


def name_origins(frame: pd.DataFrame) -> list[str]:
    """Names who wrote each file, and says so where nothing tells it."""
    return [source or UNKNOWN for source in column_values(frame, "source")]


def list_unknown(frame: pd.DataFrame) -> list[str]:
    """Lists the names of the files from elsewhere that say nothing of their making."""
    told = ["source", *(name for name in FIELDS if name not in SEEN)]
    both = zip(name_foreign(frame), row_tuples(frame, told))
    return [name for name, known in both if name and set(known) == {None}]


def name_foreign(frame: pd.DataFrame) -> list[str]:
    """Names the files of pictures from elsewhere as people know them; "" for those made here."""
    if not any(find_foreign(frame)):
        return [""] * len(frame)
    rows = zip(find_foreign(frame), row_tuples(frame, [FOUND_AS, "path"]))
    return [
        str(name or name_copied(path or "")) if foreign else "" for foreign, (name, path) in rows
    ]


def name_copied(path: str) -> str:
    """Names a file, in short if that is the hash of its content."""
    stem, dot, suffix = os.path.basename(path).rpartition(".")
    return f"{stem[:8]}….{suffix}" if HASH.fullmatch(stem) else f"{stem}{dot}{suffix}"


def list_origins(frame: pd.DataFrame) -> list[Origin | None]:
    """Lists where each picture came from; None for those that were made here."""
    if not any(find_foreign(frame)):
        return [None] * len(frame)
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


def describe_foreign(frame: pd.DataFrame) -> str:
    """Says how many pictures were made elsewhere, and by what; "" if there are none."""
    sources = [
        source for source, foreign in zip(name_origins(frame), find_foreign(frame)) if foreign
    ]
    if not sources:
        return ""
    counts = Counter(sources).items()
    said = join_words(f"{count} {source}" for source, count in counts)
    were = "was" if len(sources) == 1 else "were"
    unknown = list_unknown(frame)
    claims = "what is said of their making is a claim. "
    told = claims * (len(unknown) < len(sources)) + describe_silent(unknown)
    return (
        f"{count_noun(len(sources), 'image')} {were} not made here ({said})"
        f"{':' if len(unknown) < len(sources) else '.'} {told.strip()}"
    )


def describe_silent(unknown: Sequence[str], named: str = "") -> str:
    """Says how many files tell nothing of their making, and may name them; "" if all do.

    That is all: a mark may be hidden in their pixels.
    """
    if not unknown:
        return ""
    of = f"of {count_noun(len(unknown), 'picture')}"
    files, say = ("file", "says") if len(unknown) == 1 else ("files", "say")
    return f"The {files} {of} {say} nothing of {'its' if say == 'says' else 'their'} making" + (
        f": {named}." if named else "."
    )
