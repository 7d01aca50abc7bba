"""Requests as the texts of a form's fields: the way back from a sweep to what one would have typed."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

from ...models.resolve import native, resolve
from ...pictures import PICTURES
from ...recipe.axes import CHOICE_NAME, read_numbers
from ...recipe.request import FIELDS, OPTIONAL, PROMPTS, SPECS, Request
from ...recipe.sweep import sweep
from ...results.code import axes_of, escaped, shared_and_varying
from ...results.frame import enumeration, text_of
from .plan import ABSENT, LINED, NAMES, NATIVE, ORDER, WORDS, line_written

TRIES = 500  # places in prompts at which choices are tried, for each prompt
Text = tuple[str, str, tuple]  # prompt, negative prompt, labels


def texts_of(requests: Sequence[Request]) -> tuple[dict[str, Any], list[str], str]:
    """(the texts whose sweep has the same requests, the order of its axes, what could not be kept or "").

    Raises
    ------
    ValueError
        The requests are no full sweep; the message says which combination is missing, or what to
        do.
    """
    requests = without_natives(requests)
    shared, varying = shared_and_varying(requests)
    if "weights" in (*shared, *varying):
        raise ValueError(
            "a form names no weights; give it [request.but(weights=None) for request in ...] to use"
            " what is there"
        )
    axes = {
        name: list(dict.fromkeys(getattr(request, name) for request in requests))
        for name in axes_of(requests, varying)
    }
    others = {name: found for name, found in axes.items() if name not in PROMPTS}
    found = [(r.prompt, r.negative_prompt, tuple(r.labels.items())) for r in requests]
    require_full(requests, found, others)
    prompts, lost = prompt_texts(list(dict.fromkeys(found)))
    values = {
        name: others.get(name, [getattr(requests[0], name)])
        for name in FIELDS
        if name not in (*PROMPTS, "weights")
    }
    texts = {name: list_text(name, found) for name, found in values.items()}
    texts |= prompts
    axes = [
        name for name in axes if name not in PROMPTS or "\n" in texts[name]
    ]  # choices come last, wherever prompts stand
    slots = iter(axes)
    return texts, [next(slots) if name in axes else name for name in ORDER], lost


def without_natives(requests: Sequence[Request]) -> list[Request]:
    """The requests without what their models and pictures decide: the weights that are there, native values and sizes."""
    names = following(requests)
    if not names:
        return list(requests)
    owns = {model: native(model) for model in dict.fromkeys(request.model for request in requests)}
    opened = [request.but(**dict.fromkeys(names)) for request in requests]
    for request, without in zip(requests, opened):
        own = resolve(without, owns[request.model])
        for name in names:
            if getattr(request, name) not in (None, getattr(own, name)):
                raise ValueError(
                    f"{name}={getattr(request, name)!r} belongs to {request.model!r} alone, and by"
                    f" itself that model has {getattr(own, name)!r}; a form varies {name} for all"
                    " alike: make one for each"
                )
    return opened


def following(requests: Sequence[Request]) -> list[str]:
    """The optional fields that differ, but only as the models, the parts in them and the input pictures do; and weights."""
    varying = shared_and_varying(list(requests))[1]
    deciding = [
        name for name in (*(n for n in FIELDS if SPECS[n].in_weights), *PICTURES) if name in varying
    ]
    decided = [tuple(getattr(request, name) for name in deciding) for request in requests]
    names = [
        name
        for name in varying
        if name in OPTIONAL
        and name not in deciding
        and len({*zip(decided, (getattr(request, name) for request in requests))})
        == len({*decided})
    ]
    return ["weights"] * any(request.weights for request in requests) + names


def require_full(
    requests: Sequence[Request], texts: Sequence[Text], others: dict[str, list[Any]]
) -> None:
    """ValueError that names the first missing combination of prompts and other values, if any is missing."""
    there = set(
        zip(texts, (tuple(getattr(request, name) for name in others) for request in requests))
    )
    distinct = list(dict.fromkeys(texts))
    size = len(distinct) * math.prod(map(len, others.values()))
    if size == len(there):
        return
    combinations = itertools.product(distinct, itertools.product(*others.values()))
    text, values = next(item for item in combinations if item not in there)
    parts = [f"{name} {text_of(value)}" for name, value in zip(others, values)]
    parts = [f"prompt {text[0]!r:.80}"] * (len(distinct) > 1) + parts
    raise ValueError(
        f"these {len(there):,} requests are no full sweep, which would have {size:,}:"
        f" {enumeration(parts)} is missing; add what is missing, or make a form of a part that is"
        " complete"
    )


# Values


def list_text(name: str, values: list[Any]) -> Any:
    """The text of a field that stands for these values; what a request has anyway is left out."""
    if name in NAMES:
        return () if values == [None] else tuple(values)
    if name in WORDS:
        return (
            ""
            if values == [None]
            else comma_separated([ABSENT[name] if value is None else value for value in values])
        )
    if name in LINED:
        return (
            ""
            if values == [None]
            else "\n".join(
                ABSENT[name] if value is None else line_written(value) for value in values
            )
        )
    if values == [None] or (name in ("eta", "clip_skip") and values == [0]):
        return ""
    if None not in values:
        return number_text(name, values)
    at = values.index(None)  # distinct values have one
    parts = [
        number_text(name, values[:at]),
        ABSENT.get(name, NATIVE),
        number_text(name, values[at + 1 :]),
    ]
    return ", ".join(filter(None, parts))


def number_text(name: str, values: list[Any]) -> str:
    """A range if the values are one, else all of them: "0-7", "1-7 (+3)", "1, 3, 7.5"."""
    each = [text_of(value) for value in values]
    if len(values) > 2 and values[1] != values[0]:
        step = f"{values[1] - values[0]:+.10g}"
        for text in (f"{each[0]}-{each[-1]}", f"{each[0]}-{each[-1]} ({step})"):
            if spans(name, text, values):
                return text
    return ", ".join(each)


def spans(name: str, text: str, values: list[Any]) -> bool:
    try:
        return read_numbers(text, whole=SPECS[name].kind == "whole", name=name) == values
    except ValueError:
        return False


def comma_separated(items: Sequence[str]) -> str:
    """The text that `words` takes apart into these items; quotes where one has a comma, a quote or blanks at its ends."""
    return ", ".join(
        '"' + item.replace('"', '""') + '"' if re.search(r'^\s|\s$|[,"\r\n]|^$', item) else item
        for item in items
    )


# Prompts


def prompt_texts(found: list[Text]) -> tuple[dict[str, str], str]:
    """(the texts of prompt, negative_prompt and replace, what could not be kept)"""
    searched = [
        name for name, value in found[0][2] if name == value and name in found[0][0] + found[0][1]
    ]
    for search in [*searched, None]:
        base, replace = unreplaced(found, search) if search else (found, "")
        if (lines := templates(base)) and (texts := written(*lines, replace, found)):
            return texts, ""
    plain = [(prompt, negative, ()) for prompt, negative, _ in found]
    lines = [[escaped("prompt", text[side]) for text in plain] for side in (0, 1)]
    if texts := written(*lines, "", list(dict.fromkeys(plain))):
        names = enumeration(
            dict.fromkeys(repr(name) for _, _, labels in found for name, _ in labels)
        )
        return (
            texts,
            (
                f"the names of the choices, {names}, are not kept: no text with braces makes these"
                " prompts"
            ),
        )
    raise ValueError(
        "these prompts and negative prompts are no full sweep: some prompts come with other"
        " negative prompts than the rest; make a form for each of them"
    )


def unreplaced(found: list[Text], search: str) -> tuple[list[Text], str]:
    """(the texts before something was replaced in them, the field's text that replaces it)"""
    texts = dict.fromkeys(dict(labels).get(search) for _, _, labels in found)
    base = [
        (prompt, negative, tuple(label for label in labels if label[0] != search))
        for prompt, negative, labels in found
        if dict(labels).get(search) == search
    ]
    return base, comma_separated([search, *(text or "" for text in texts if text != search)])


def written(
    prompts: Sequence[str], negatives: Sequence[str], replace: str, found: list[Text]
) -> dict[str, str] | None:
    """The fields' texts with these lines, if their sweep has exactly the texts that were found."""
    prompts, negatives = list(dict.fromkeys(prompts)), list(dict.fromkeys(negatives))
    if made(prompts, negatives, replace) != {(p, n, frozenset(labels)) for p, n, labels in found}:
        return None
    texts = {
        name: "\n".join(map(line_written, lines)) if lines != [""] else ""
        for name, lines in (("prompt", prompts), ("negative_prompt", negatives))
    }
    return texts | {"replace": replace}


def made(
    prompts: list[str], negatives: list[str], replace: str = ""
) -> set[tuple[str, str, frozenset]]:
    """The texts that a sweep of these lines has; none if it is impossible."""
    try:
        cells = sweep(
            Request(),
            prompt=prompts,
            negative_prompt=negatives,
            **({"replace": replace} if replace else {}),
        )
    except ValueError:
        return set()
    return {(cell.prompt, cell.negative_prompt, frozenset(cell.labels.items())) for cell in cells}


def templates(found: list[Text]) -> tuple[list[str], list[str]] | None:
    """Prompts and negative prompts with choices in braces whose readings are these texts, labels included."""
    left = {(prompt, negative, frozenset(labels)): labels for prompt, negative, labels in found}
    prompts, negatives = [], []
    while left:
        (prompt, negative, _), labels = next(iter(left.items()))
        offers = [(offered(name, found), value) for name, value in labels]
        for lines in itertools.islice(with_choices([[prompt], [negative]], offers), TRIES):
            if (cells := made([lines[0]], [lines[1]])) and cells <= left.keys():
                break
        else:
            return None
        prompts.append(lines[0])
        negatives.append(lines[1])
        left = {text: labels for text, labels in left.items() if text not in cells}
    return prompts, negatives


def offered(name: str, found: list[Text]) -> list[str]:
    """What may have stood in braces, if a choice has that name."""
    name = re.sub(r" \d+$", "", name) if " " in name else name
    values = dict.fromkeys(
        value for _, _, labels in found for label, value in labels if label == name
    )
    named = (
        "{" + f"{name}=" + "|".join(re.sub(r"[{|}]", r"\\\g<0>", value) for value in values) + "}"
    )
    return ["{" + name + "}"] * ("|" in name) + [named] * bool(CHOICE_NAME.fullmatch(f"{name}="))


def with_choices(
    sides: list[list[str]], offers: list[tuple[list[str], str]]
) -> Iterator[tuple[str, str]]:
    """Prompt and negative prompt with each choice put in the place of its value, wherever it may stand, or left out.

    A side is a list of pieces: plain text, choice, plain text, choice, ... plain text.
    """
    if not offers:
        yield tuple(
            "".join(piece if k % 2 else escaped("prompt", piece) for k, piece in enumerate(side))
            for side in sides
        )
        return
    (inside, value), *rest = offers
    for choice in inside:
        for s, side in enumerate(sides):
            for k, piece in list(enumerate(side))[::2]:
                for match in places(value, piece):
                    cut = [*side[:k], piece[: match[0]], choice, piece[match[1] :], *side[k + 1 :]]
                    yield from with_choices([*sides[:s], cut, *sides[s + 1 :]], rest)
    yield from with_choices(sides, rest)  # inside another choice


def places(value: str, piece: str) -> Iterator[tuple[int, int]]:
    """Where the value stands in a piece of text, with and without the blanks around it: labels have lost theirs."""
    for text in (value, f"{value} ", f" {value}", f" {value} "):
        yield from (match.span() for match in re.finditer(re.escape(text), piece))
