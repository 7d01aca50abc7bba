"""The programs whose files are read, and how a text of any place is told to be one of theirs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from . import (
    a1111,
    comfyui,
    dgenerate,
    drawthings,
    easydiffusion,
    fooocus,
    invokeai,
    novelai,
    own,
    swarmui,
)
from .draft import Draft, is_object, load_object
from .texts import Texts, add_hidden, add_sidecar, read_rest

LOOSE = ("UserComment", "ImageDescription", "comment", "hidden", "beside.txt", "beside.json")
ANYONES = {*LOOSE, "XMP"}  # names of texts that any program may write
MIDJOURNEY = re.compile(r"\s(?:--\w|Job ID: )")
JOB = re.compile(r"\bJob ID: [0-9a-f]{8}-[0-9a-f]{4}-")


class Reader(NamedTuple):
    """How a program's files are told, and read."""

    recognizes: Callable[[Mapping[str, str]], bool]
    read: Callable[[Mapping[str, str], Draft], None]


def is_midjourney(named: Mapping[str, str]) -> bool:
    """Tells the description of Midjourney's pictures."""
    return JOB.search(named.get("Description", "")) is not None


def read_midjourney(named: Mapping[str, str], draft: Draft) -> None:
    """Reads the prompt, and the options behind it as what they are."""
    draft.source, draft.hosted = "Midjourney", True
    text = named["Description"]
    begin = found.start() if (found := MIDJOURNEY.search(text)) else len(text)
    draft.put("prompt", text[:begin].strip())
    draft.fields["model"] = "Midjourney"
    draft.leave_all({"options": text[begin:].partition("Job ID:")[0].strip()})


def is_unknown(named: Mapping[str, str]) -> bool:
    """Tells JSON where A1111's text stands otherwise, which is no prompt."""
    return is_object(named.get("parameters", ""))


def read_unknown(named: Mapping[str, str], draft: Draft) -> None:
    """Says that it is there: what its names mean is not known."""
    draft.leave("parameters, JSON of an unknown program", named["parameters"])


READERS = (  # the first that knows its text reads it
    Reader(own.recognizes, own.read),
    Reader(swarmui.recognizes, swarmui.read),
    Reader(fooocus.recognizes, fooocus.read),
    Reader(dgenerate.recognizes, dgenerate.read),
    Reader(a1111.recognizes, a1111.read),
    Reader(invokeai.recognizes, invokeai.read),
    Reader(novelai.recognizes, novelai.read),
    Reader(easydiffusion.recognizes, easydiffusion.read),
    Reader(drawthings.recognizes, drawthings.read),
    Reader(comfyui.recognizes, comfyui.read),
    Reader(is_midjourney, read_midjourney),
    Reader(is_unknown, read_unknown),
)


def find_reader(texts: Texts) -> Reader | None:
    """Finds who can read a file: from its texts, those beside it, and at last its pixels."""
    sort_texts(texts)
    for add in (None, read_rest, add_sidecar, add_hidden):
        if add:
            add(texts)
            sort_texts(texts)
        for reader in READERS:
            if reader.recognizes(texts.named):
                return reader
    return None


def sort_texts(texts: Texts) -> None:
    """Puts the texts that stand under a name of any program under their own program's."""
    if texts.named.keys().isdisjoint(ANYONES):  # in nearly all
        return
    if drawn := drawthings.find_comment(texts.named.pop("XMP", "")):
        texts.named.setdefault(drawthings.TEXT_COMMENT, drawn)
    for place in LOOSE:
        if text := texts.named.pop(place, ""):
            for name, found in tell_text(text).items():
                texts.named.setdefault(name, found)


def tell_text(text: str) -> dict[str, str]:
    """Tells under which names a text of any place stands in a program's own files."""
    begin = text.lstrip()
    if begin.startswith("{"):
        with suppress(ValueError):
            return tell_object(text, load_object(text))
        return {}
    if dgenerate.BEGINS.match(begin):
        return {dgenerate.TEXT: text}
    if lines := easydiffusion.split_lines(text):
        return lines
    return {"parameters": text} if a1111.is_infotext(text) else {}


def tell_object(text: str, said: Mapping[str, Any]) -> dict[str, str]:
    """Tells whose JSON it is."""
    if "sui_image_params" in said or any(mark in said for mark in fooocus.MARKS):
        return {"parameters": text}
    if easydiffusion.MARK in said or easydiffusion.MARK_LABEL in said:
        return {str(name): write_value(value) for name, value in said.items() if value is not None}
    if drawthings.is_own(text):
        return {drawthings.TEXT_COMMENT: text}
    texts = {name: value for name, value in said.items() if isinstance(value, (str, dict))}
    if {"prompt", "workflow"} & texts.keys() or "Comment" in texts:
        return {name: write_value(value) for name, value in texts.items()}
    return {"invokeai_metadata": text} if "generation_mode" in said else {}


def write_value(value: Any) -> str:
    """Writes a value as the text that it would be in a PNG."""
    return value if isinstance(value, str) else json.dumps(value)
