"""What was last filled in for a store, kept in its folder for the next form."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from ...store.files import write_whole
from ...store.store import Store
from .fields import Field, PictureField

FILE = "form.json"


def list_texts(fields: Iterable[Field]) -> dict[str, Any]:
    """Lists what is filled in, ready for JSON: {field: its text}, and what uploads are called."""
    fields = list(fields)
    called = {field.name: field.uploads for field in fields if isinstance(field, PictureField)}
    texts = {field.name: field.control.value for field in fields}
    return {"texts": texts, "called": called}


def keep_texts(store: Store, kept: dict[str, Any]) -> None:
    """Writes what is filled in, with the pictures it names, if the store can be written to."""
    with suppress(OSError):
        store.inputs.keep(name for names in kept["called"].values() for name in names.values())
        data = json.dumps(kept, ensure_ascii=False, indent=1)
        write_whole(store.root / FILE, data.encode())


def recall_texts(store: Store, fields: Iterable[Field]) -> dict[str, Any]:
    """Reads the texts that were last filled in, for fields that are there; {} if none were.

    Their pictures are made known again under the names that they had.
    """
    try:
        return read_kept(json.loads((store.root / FILE).read_text(encoding="utf-8")), store, fields)
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def read_kept(kept: dict[str, Any], store: Store, fields: Iterable[Field]) -> dict[str, Any]:
    """Reads what `list_texts` listed, for fields that are there."""
    texts, called = dict(kept["texts"]), dict(kept["called"])
    found = {}
    for field in fields:
        text = texts.get(field.name)
        text = tuple(text) if isinstance(text, list) else text  # JSON has no other
        if isinstance(field, PictureField) and isinstance(names := called.get(field.name), dict):
            field.uploads |= names
            store.inputs.lend(names.values())
        if isinstance(text, type(field.control.value)):
            found[field.name] = text
    return found
