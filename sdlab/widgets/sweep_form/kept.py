"""What was last filled in for a store, and begun there, kept in its folder for the next form."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from ...results.frame import count_noun
from ...store.files import has_ended, write_whole
from ...store.store import Store
from .fields import Field, PictureField

FILE, BEGUN = "form.json", "form-run.json"


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


def note_run(store: Store, pictures: int) -> None:
    """Writes down that a run began, until `forget_run`: a page that is opened anew can say so."""
    said = {"machine": platform.node(), "pid": os.getpid(), "pictures": pictures}
    with suppress(OSError):
        write_whole(store.root / BEGUN, json.dumps(said).encode())


def forget_run(store: Store) -> None:
    """Writes down that the run has come to its end, or that somebody has stopped it."""
    with suppress(OSError):
        (store.root / BEGUN).unlink()


def describe_cut_run(store: Store) -> str:
    """Says that a run of another Python has not come to its end; "" if there is none."""
    try:
        said = json.loads((store.root / BEGUN).read_text(encoding="utf-8"))
        machine, pid, pictures = str(said["machine"]), int(said["pid"]), int(said["pictures"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    if (machine, pid) == (platform.node(), os.getpid()):
        return ""
    run = f"of {count_noun(pictures, 'picture')}"
    if has_ended(machine, pid):
        return (
            f"The last run here, {run}, was cut off: its Python has ended, as it does when an app's"
            " page is loaded again. What was finished is kept, and Run goes on from there"
        )
    return (
        f"A run {run} that began here in another page or notebook has not come to its end: it goes"
        " on, or ends with that page. What is finished is kept, and Run goes on from there"
    )
