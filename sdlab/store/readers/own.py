"""Pictures of sdlab itself, in a store or not."""

from __future__ import annotations

from collections.abc import Mapping

from ...recipe.request import SPECS, key_of
from .draft import Draft, load_object

NAME = "sdlab"


def recognizes(named: Mapping[str, str]) -> bool:
    """Tells a picture that carries its record."""
    return NAME in named


def read(named: Mapping[str, str], draft: Draft) -> None:
    """Reads the record: the only row with a key, if that is the key of its recipe."""
    draft.source = NAME
    record = load_object(named[NAME])
    request, facts = record.get("request"), record.get("facts")
    if not isinstance(request, dict) or not isinstance(facts, dict):
        raise ValueError("the recipe that sdlab wrote is damaged")
    draft.fields |= facts | request
    draft.leave_all(request, *SPECS)  # of a newer version
    if record.get("key") == key_of(request):
        draft.fields["key"] = record["key"]
    else:
        draft.leave("key", "not that of this recipe")
