"""The text syntax of axes: number ranges, lists of words, and choices inside prompts.

The ranges are those of A1111's X/Y/Z plot (documented behaviour, written anew), with three quirks
mended: an end that the step meets is included ("10-1 (-3)" gives 10 7 4 1), a step never overshoots
it ("0-1 (+0.3)" ends at 0.9), and a range without a step may fall ("5-1"). ".5-1" and "1e-3-1" are
ranges too. A step needs its sign, as there.
"""

from __future__ import annotations

import csv
import functools
import itertools
import math
import re
import warnings
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TypeVar

T = TypeVar("T")
NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
RANGE = re.compile(rf"({NUMBER})\s*-\s*({NUMBER})\s*(?:\(\s*([-+].*?)\s*\)|\[\s*(\d+)\s*\])?")
RANGE_HELP = 'ranges are written "1-5", "1-10 (+2)", "10-1 (-3)" or "0-1 [5]"'
MAX_VALUES = 1_000_000
MAX_COUNTED = 10_000  # texts of a prompt; of more it is not counted which are alike
MANY = re.compile(r"(\d*)(-?)(\d*)\$\$")  # how many of the choices: 2$$ or 1-2$$
CHOICE_NAME = re.compile(r"\s*(\w[\w ]*?)\s*=")
WEIGHT = re.compile(r"\s*\d*\.?\d+::")
EMPTY = "none"  # what an empty text is called
HIDDEN = {"{": "\ue000", "|": "\ue001", "}": "\ue002"}  # private, while a text is taken apart
PLAIN = str.maketrans({hidden: mark for mark, hidden in HIDDEN.items()})


def split_words(text: str) -> list[str]:
    """Splits at commas: quotes keep one ('cat, "dog, big"'), blanks around items go."""
    rows = list(csv.reader([text], skipinitialspace=True))
    return [item.strip() for item in rows[0]] if rows else []


def read_numbers(text: str, *, whole: bool, name: str = "axis") -> list[int] | list[float]:
    """Reads the numbers of a comma-separated list of numbers and ranges, in order.

    Raises
    ------
    ValueError
        It begins with `name`, and says how ranges are written.
    """
    found: list[Decimal] = []
    for item in split_words(text):
        if re.fullmatch(NUMBER, item):
            found.append(Decimal(item))
        elif match := RANGE.fullmatch(item):
            ends = [Decimal(end) for end in match.groups()[:2]]
            if wrong := [end for end in ends if whole and end != int(end)]:
                raise ValueError(f"{name}: {wrong[0]} in {item!r} is not a whole number")
            found += list_range(*match.groups(), whole=whole, item=item, name=name)
        else:
            sign = " (a step needs its sign: (+1))" if re.search(r"\(\s*\d", item) else ""
            parts = re.split(r"[\s;]+", item)
            if len(parts) > 1 and all(re.fullmatch(NUMBER, part) for part in parts):
                sign = f": commas part numbers, as in “{', '.join(parts)}”"
            raise ValueError(
                f"{name}: {item!r} is neither a number nor a range{sign}; {RANGE_HELP}"
            )
    if wrong := [value for value in found if whole and value != int(value)]:
        raise ValueError(f"{name}: {wrong[0]} is not a whole number")
    return list(map(int, found)) if whole else list(map(float, found))


def list_range(
    first: str, last: str, step: str | None, count: str | None, *, whole: bool, item: str, name: str
) -> list[Decimal]:
    """Lists the values of one range, both ends included."""
    start, end = Decimal(first), Decimal(last)
    if count is not None:
        n = int(count)
        if not 1 <= n <= MAX_VALUES:
            raise ValueError(f"{name}: {item!r} asks for {n} values; ask for 1 to {MAX_VALUES:,}")
        values = [start + (end - start) * i / max(n - 1, 1) for i in range(n)]
        return [Decimal(math.trunc(v)) for v in values] if whole else values
    if step is not None and not re.fullmatch(NUMBER, step):
        raise ValueError(f"{name}: {step!r} in {item!r} is not a step; {RANGE_HELP}")
    by = Decimal(step) if step is not None else Decimal(1 if end >= start else -1)
    if by == 0 or (end - start) * by < 0:
        raise ValueError(
            f"{name}: {item!r} never arrives at {end} in steps of {by}; turn the ends or the sign"
            " around"
        )
    if (end - start) / by >= MAX_VALUES:
        raise ValueError(f"{name}: {item!r} has more than {MAX_VALUES:,} values")
    return [start + by * i for i in range(int((end - start) / by) + 1)]


@functools.lru_cache(1024)
def read_choices(prompt: str) -> tuple[tuple[str, dict[str, str]], ...]:
    """Reads every meaning of a prompt with `{a|b}` in it.

    `{colour=red|blue}` names a choice; without a name, what stands in the braces is the name, with
    "none" for an empty choice: `{|very}` is "none|very". Choices nest. `{2$$a|b|c}` takes two at a
    time, in the written order, joined by a comma; `{1-2$$ and $$a|b|c}` one or two, joined by " and
    ". Weights (`{0.5::a|3::b}`) have no meaning where all choices are taken: they are read and
    ignored. A choice that is given twice, or a text that comes about in two ways, counts once.

    Returns
    -------
    tuple
        ((text, {name of the choice: what was chosen}), ...)
    """
    require_few(prompt)
    texts = keep_first(expand_text(hide_escapes(prompt)))
    return tuple(
        (restore_escapes(text), {restore_escapes(k): restore_escapes(v) for k, v in labels.items()})
        for text, labels in texts.items()
    )


def keep_first(found: Iterable[tuple[str, T]]) -> dict[str, T]:
    """Keeps what comes first under each name."""
    out: dict[str, T] = {}
    for name, value in found:
        out.setdefault(name, value)
    return out


def hide_escapes(text: str) -> str:
    """Puts private characters in the place of escaped braces and bars."""
    return re.sub(r"\\([{|}])", lambda found: HIDDEN[found[1]], text)


def restore_escapes(text: str) -> str:
    """Puts plain braces and bars in the place of the private characters."""
    return text.translate(PLAIN)


def split_pieces(text: str, separator: str | None = None) -> list[str]:
    """Cuts the text at `separator` outside braces; with None, at the outer braces.

    In the latter case every second piece stood in braces, and the first and the last did not.
    """
    pieces, depth = [""], 0
    for character in text:
        before, depth = depth, depth + (character == "{") - (character == "}")
        outside = min(before, depth) == 0
        if outside and (character == separator if separator else before != depth):
            pieces.append("")
        else:
            pieces[-1] += character
        if depth < 0:
            break
    if depth:
        raise ValueError(
            f"{restore_escapes(text)!r} has a brace without its partner; a plain brace is written"
            " \\{ or \\}"
        )
    return pieces


def parse_braces(inside: str) -> tuple[str, str, range, list[str]]:
    """Reads what stands in braces: (name, separator, how many at a time, choices)."""
    body, separator, many = inside, ", ", range(1, 2)
    name = "|".join(each if each.strip() else EMPTY for each in split_pieces(inside, "|"))
    if named := CHOICE_NAME.match(body):
        name, body = named[1], body[named.end() :]
    if match := MANY.match(body):
        body = body[match.end() :]
        if "$$" in body:
            separator, body = body.split("$$", 1)
    options = split_pieces(body, "|")
    if any(WEIGHT.match(option) for option in options):
        warnings.warn(
            f"{{{restore_escapes(inside)}}}: the weights are ignored, every choice is taken once",
            stacklevel=2,
        )
        options = [WEIGHT.sub("", option, count=1) for option in options]
    options = list(keep_first((option.strip(), option) for option in options).values())
    if match:
        low, dash, high = match.groups()
        first = int(low or 0) if low or dash else 1
        last = (int(high) if high else len(options)) if dash else first
        if not 0 <= first <= last <= len(options):
            raise ValueError(
                f"{{{restore_escapes(inside)}}}: cannot take {match[0][:-2]} of {len(options)}"
                " different choices"
            )
        many = range(first, last + 1)
    return name, separator, many, options


def count_readings(prompt: str) -> int:
    """Counts the texts that a prompt stands for; ValueError if they are too many."""
    most = require_few(prompt)
    return most if most > MAX_COUNTED else len(read_choices(prompt))


def require_few(prompt: str) -> int:
    """Counts the texts of a prompt, alike or not; ValueError if they are too many."""
    if (count := count_texts(hide_escapes(prompt))) > MAX_VALUES:
        raise ValueError(f"{prompt!r} has {count:,} readings, more than {MAX_VALUES:,}")
    return count


def count_texts(text: str) -> int:
    """Counts the readings of an escaped text without writing them out."""
    total = 1
    for inside in split_pieces(text)[1::2]:
        _, _, many, options = parse_braces(inside)
        counts = [count_texts(option) for option in options]
        ways = [1] + [0] * len(counts)  # ways[k]: texts that take k of the options so far
        for count in counts:
            ways = [1] + [ways[k] + ways[k - 1] * count for k in range(1, len(ways))]
        total *= sum(ways[k] for k in many)
    return total


def expand_text(text: str) -> list[tuple[str, dict[str, str]]]:
    """Lists (text, labels) of every reading of an escaped text."""
    parts = split_pieces(text)
    out: list[tuple[str, dict[str, str]]] = [(parts[0], {})]
    for inside, plain in zip(parts[1::2], parts[2::2]):
        name, separator, many, options = parse_braces(inside)
        picks = [
            (separator.join(text for text, _ in pick), [own for _, own in pick])
            for n in many
            for chosen in itertools.combinations(options, n)
            for pick in itertools.product(*map(expand_text, chosen))
        ]
        out = [
            (before + value + plain, number_labels(labels, {name: value}, *inner))
            for before, labels in out
            for value, inner in picks
        ]
    return out


def number_labels(labels: Mapping[str, str], *more: Mapping[str, str]) -> dict[str, str]:
    """Adds more labels; one whose name is taken gets a number."""
    out = dict(labels)
    for name, chosen in (item for new in more for item in new.items()):
        label, n = name, 2
        while label in out:
            label, n = f"{name} {n}", n + 1
        out[label] = chosen.strip()
    return out
