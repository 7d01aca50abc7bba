"""What the rows of a frame share, in a line: their recipe, and what their prompts ask for."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

from ..recipe.request import FIELDS, PROMPTS
from .frame import (
    distinct_values,
    find_foreign,
    find_label_columns,
    find_varying,
    format_value,
    has_retrained_model,
    is_neutral,
    row_tuples,
    shorten_pictures,
)

MOST_PROMPTS, MOST_LETTERS = 5, 300  # in a list of prompts
MOST_CHOICES, MOST_WAYS = 12, 1000  # of a template: shown, and tried
MARKS = re.compile(r"[{|}\\]")  # they would not be plain in a template


def describe_constant(frame: pd.DataFrame, axes: Sequence[str]) -> str:
    """Says what all rows share, what their prompts ask for, and what varies without being an axis.

    Such as "prompt: a {red|blue} cat · seed: 3 · also varies: eta". Without axes, captions tell
    what varies. Prompts that are an axis or a caption are told there.
    """
    frame, labels = shorten_pictures(frame), find_label_columns(frame)
    names = dict.fromkeys(("prompt", "model", *FIELDS, *labels))
    found = {
        name: distinct_values(frame, name)
        for name in names
        if name not in axes and (name != "weights" or has_retrained_model(frame))
    }
    elsewhere = axes or find_varying(frame)
    asked = {
        name: say_prompts(frame, name)
        for name in PROMPTS
        if name not in elsewhere and len(found[name]) > 1
    }
    shared = [
        asked.get(name) or f"{name}: {format_value(first)}"
        for name, (first, *more) in found.items()
        if name in asked or not (more or first is None or is_neutral(name, first))
    ]
    told = [*asked, *labels * bool(set(axes) & set(PROMPTS))]  # the one explains the other
    others = [name for name, every in found.items() if axes and len(every) > 1 and name not in told]
    foreign = sum(find_foreign(frame))
    shared += [f"not made here: {foreign:,} of {len(frame):,}"] * bool(foreign)
    return " · ".join([*shared, f"also varies: {', '.join(others)}"] if others else shared)


def describe_prompts(frame: pd.DataFrame) -> str:
    """Says what the prompts of these rows ask for, in a line; "" if no row has one."""
    prompts = distinct_values(frame, "prompt")
    return (find_template(frame, "prompt") or list_first(prompts)) if any(prompts) else ""


def say_prompts(frame: pd.DataFrame, name: str) -> str:
    """Says the prompts in a column, as one with its choices, else the first of them."""
    if template := find_template(frame, name):
        return f"{name}: {template}"
    return f"{name}s: {list_first(distinct_values(frame, name))}"


def list_first(prompts: Sequence[str | None]) -> str:
    """Lists the first prompts, as many as a line has room for, and counts the others."""
    shown: list[str] = []
    for text in map(format_value, prompts[:MOST_PROMPTS]):
        if shown and len("; ".join([*shown, text])) > MOST_LETTERS:
            break
        shown.append(text)
    more = len(prompts) - len(shown)
    return "; ".join(shown) + (f" and {more:,} more" if more else "")


# A prompt with choices, found again


def find_template(frame: pd.DataFrame, name: str) -> str:
    """Finds what a sweep makes these prompts of: "a {red|blue} cat"; "" if the frame does not say.

    It has the choices that are in the frame, each under the name of its column, unless that is
    what stands in the braces.
    """
    labels = [label for label in find_label_columns(frame) if is_choice(frame, label, name)]
    rows = list(dict.fromkeys(row_tuples(frame, [name, *labels])))
    prompts = [prompt or "" for prompt, *_ in rows]
    if not labels or any(map(MARKS.search, prompts)):
        return ""
    chosen = [[format_value(value) for value in values] for _, *values in rows]
    places = [find_places(text, prompts[0]) for text in chosen[0]]
    for starts in itertools.islice(itertools.product(*places), MOST_WAYS):
        order, pieces = cut_prompt(prompts[0], chosen[0], starts)
        if all(fill_in(pieces, order, own) == text for own, text in zip(chosen, prompts)):
            every = [list(dict.fromkeys(own)) for own in zip(*chosen)]
            return fill_in(pieces, order, list(map(write_choices, labels, every)))
    return ""


def is_choice(frame: pd.DataFrame, label: str, name: str) -> bool:
    """Tells whether a label varies, and each of its values stands in its row's prompt."""
    if len(distinct_values(frame, label)) < 2:
        return False
    both = set(row_tuples(frame, [label, name]))
    return all(value and prompt and format_value(value) in prompt for value, prompt in both)


def find_places(part: str, text: str) -> list[int]:
    """Finds where a part begins in a text, wherever it does."""
    return [n for n in range(len(text)) if text.startswith(part, n)]


def cut_prompt(
    prompt: str, values: Sequence[str], starts: Sequence[int]
) -> tuple[list[int], list[str]]:
    """Cuts values out of a prompt: (their numbers in the prompt's order, what stands around)."""
    order, pieces, end = sorted(range(len(starts)), key=starts.__getitem__), [], 0
    for n in order:
        pieces.append(prompt[end : starts[n]])
        end = starts[n] + len(values[n])
    return order, [*pieces, prompt[end:]]


def fill_in(pieces: Sequence[str], order: Sequence[int], texts: Sequence[str]) -> str:
    """Puts texts between the pieces."""
    filled = zip(pieces, (texts[n] for n in order))
    return "".join(itertools.chain.from_iterable(filled)) + pieces[-1]


def write_choices(name: str, values: Sequence[Any]) -> str:
    """Writes choices as a prompt has them, with their name if they have one of their own."""
    more = len(values) - MOST_CHOICES
    shown = [*values[:MOST_CHOICES], f"… {more:,} more"] if more > 0 else values
    named = "" if "|" in name or name in values else f"{name}="
    return f"{{{named}{'|'.join(shown)}}}"
