"""What the texts in a form's fields say: requests, the Python that makes them, or what is wrong at which field."""

from __future__ import annotations

import contextlib
import csv
import functools
import json
import math
import os
import re
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...pictures import HASH, PICTURES
from ...recipe.axes import WEIGHT, count_readings, read_numbers, split_words
from ...recipe.request import OPTIONAL, PROMPTS, SPECS, Request
from ...recipe.sweep import MAX_CELLS, read_axis, read_replacements, sweep
from ...results.frame import text_of
from ...store.store import Store

NAMES = ("model", "scheduler")  # fields of which some of a list are chosen; the others hold text
NATIVE, NONE = "native", "none"  # how a text says None among other values
ORDER = (
    "model",
    "vae",
    "lora",
    "textual_inversion",
    *PROMPTS,
    *PICTURES,
    "strength",
    "noise_level",
    "scheduler",
    "height",
    "width",
    "num_inference_steps",
    "guidance_scale",
    "guidance_rescale",
    "eta",
    "clip_skip",
    "prompt_syntax",
    "watermark",
    "seed",
)
WORDS = ("prompt_syntax", "watermark", "vae", *PICTURES)  # fields whose text is a list of words
LINED = ("lora", "textual_inversion")  # fields of which each line is a value: commas belong to it
ABSENT = dict.fromkeys((*WORDS, *LINED, "guidance_rescale"), NONE) | {
    "vae": NATIVE
}  # None in a text; NATIVE if not here
WIDTH = 118  # letters; a longer call takes a line for each argument
quiet = (
    threading.RLock()
)  # the filters of warnings are the whole process's: of two threads that set them, one would lose


@dataclass(frozen=True)
class Reading:
    """The fields of a form, understood as far as they can be.

    Parameters
    ----------
    values : dict
        {field of a request: its values}, for the fields that say something.
    given : dict
        {field: its values as the code writes them}: as typed, or a list; of pictures the paths that
        were typed.
    replace : str
        As typed.
    errors : dict
        {field: what is wrong there}; "" stands for what is wrong with no single field.
    notes : dict
        {field: what one should know, though nothing is wrong}.
    cells : int
        How many requests this makes; 0 if there are errors.
    """

    values: dict[str, list[Any]]
    given: dict[str, Any]
    replace: str = ""
    errors: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    cells: int = 0

    def requests(self) -> list[Request]:
        """The sweep; ValueError if a field has an error."""
        if self.errors:
            raise ValueError(self.wrong())
        axes = {name: found for name, found in self.values.items() if len(found) > 1}
        base = Request(**{name: found[0] for name, found in self.values.items() if len(found) == 1})
        lines = [line for name in PROMPTS for line in self.values.get(name, ())]
        with (
            heard() if any("::" in line for line in lines) else contextlib.nullcontext()
        ):  # the notes say it
            return sweep(base, **axes, **({"replace": self.replace} if self.replace else {}))

    def wrong(self) -> str:
        """All errors in one line."""
        return "; ".join(
            text if not name or text.startswith(name) else f"{name}: {text}"
            for name, text in self.errors.items()
        )

    def code(
        self,
        store: str,
        row: str | Sequence[str] | None = None,
        col: str | Sequence[str] | None = None,
        repeated: bool = False,
    ) -> str:
        """Python that makes the requests and runs them; `repeated`: some are one recipe, and a grid has place for one."""
        if self.errors:
            return "".join(f"# to be mended: {line}\n" for line in self.wrong().splitlines())
        base = [
            f"{name}={literal(self.given[name][0] if name in PICTURES else found[0])}"
            for name, found in self.values.items()
            if len(found) == 1
        ]
        axes = [
            f"{name}={literal(self.given[name])}"
            for name, found in self.values.items()
            if len(found) > 1
        ]
        replace = [f"replace={literal(self.replace)}"] if self.replace else []
        sides = [
            f"{side}={literal(names)}" for side, names in (("row", row), ("col", col)) if names
        ]
        results = 'results.drop_duplicates("key")' if repeated else "results"
        return (
            "from sdlab import Request, run, sweep\n"
            + "from sdlab.widgets import SeedGrid\n" * bool(sides)
            + f"\n{self.comment(store)}plan ="
            f" {call('sweep', [call('Request', base), *axes, *replace])}\n"
            + f"results = run(plan, {literal(store)})\n"
            + (f"{call('SeedGrid', [results, *sides])}\n" if sides else "")
        )

    def comment(self, store: str) -> str:
        """What the code says of pictures that it names by content."""
        named = [
            name
            for name in PICTURES
            if any(HASH.fullmatch(item or "") for item in self.given.get(name, ()))
        ]
        return (
            f"# {' and '.join(named)}: named by content, which Store({literal(store)}) keeps once"
            " this has run;\n# elsewhere put the path of the picture in its place\n"
            if named
            else ""
        )


@contextlib.contextmanager
def heard() -> Iterator[list[str]]:
    """Keeps warnings from the page, and lists what they say when it is over; one thread at a time."""
    said: list[str] = []
    with quiet, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield said
    said += [str(warning.message) for warning in caught]


def read(texts: Mapping[str, Any], order: Sequence[str] = ORDER) -> Reading:
    """Reads the texts of a form's fields; nothing raises, what is wrong is in `.errors`."""
    values, given, errors, notes = {}, {}, {}, {}
    for name in order:
        try:
            found, written = understood(
                name, texts[name], changed_at(texts[name]) if name in PICTURES else ()
            )
        except (ValueError, TypeError, OSError, csv.Error) as error:
            errors[name] = str(error).removeprefix(f"{name}: ").removeprefix(f"axis {name} ")
            continue
        if found and not says_nothing(name, found):
            values[name], given[name] = found, written
        if name in PROMPTS and (
            ignored := [
                line for line in found if any(map(WEIGHT.match, re.split(r"[{|]", line)[1:]))
            ]
        ):
            notes[name] = f"the weights in {ignored[0]!r} are ignored: every choice is taken once"
    replace, cells = texts["replace"].strip(), 0
    if replace and not any(name in errors for name in PROMPTS):
        try:
            require_found(replace, values)
        except ValueError as error:
            errors["replace"] = str(error).removeprefix("replace: ")
    if not errors:
        cells, errors = counted(values, replace)
    return Reading(values, given, replace, errors, notes, cells)


@functools.lru_cache(32)  # a field that has not changed is not read again
def understood(name: str, text: Any, changed: tuple = ()) -> tuple[list[Any], Any]:
    """(the values that a field's text stands for, how the code writes them); `changed` tells when its files did"""
    if name in NAMES:
        if name == "model" and not text:
            raise ValueError("choose at least one model")
        found = read_axis(name, list(text)) if text else []
        return found, found
    if name in PROMPTS:
        lines = read_axis(
            name, [line_read(line) for line in re.split(r"\r?\n|\r", text) if line.strip()] or [""]
        )
        for line in lines:
            count_quietly(line)
        return lines, lines
    text = text.strip()
    if not text:
        return [], None
    items = items_of(name, text)
    if name in PICTURES:
        named = {value: item for item in items for value in read_axis(name, [item])}
        return list(named), list(named.values())
    found = read_axis(name, items)
    for value in found if name in ("height", "width") else ():
        Request(**{name: value})  # knows which sizes there are
    return found, text if None not in items else found


def changed_at(text: str) -> tuple:
    """When the files were changed that a text names, those that are there."""
    files = [Path(item).expanduser() for item in split_words(text.strip())]
    return tuple(file.stat().st_mtime_ns if file.is_file() else None for file in files)


def items_of(name: str, text: str) -> list[Any]:
    """The values in a text, apart by commas or lines; "native", or for most words and a rescaling "none", is None."""
    nothing = ABSENT.get(name, NATIVE)
    if name in WORDS or name in LINED:
        items = (
            split_words(text)
            if name in WORDS
            else [line_read(line) for line in text.splitlines() if line.strip()]
        )
        return [None if item.lower() == nothing else item for item in items]
    if name not in OPTIONAL or nothing not in text.lower():
        return read_numbers(text, whole=SPECS[name].kind == "whole", name=name)
    each = [
        [None]
        if item.lower() == nothing
        else read_numbers(item, whole=SPECS[name].kind == "whole", name=name)
        for item in split_words(text)
    ]
    return [value for found in each for value in found]


def says_nothing(name: str, found: list[Any]) -> bool:
    """Whether this is what a request has anyway, and nobody would write down; a seed is worth writing."""
    return found == [None] or (name in ("model", *PROMPTS) and found == [getattr(Request(), name)])


def require_found(replace: str, values: Mapping[str, list[Any]]) -> None:
    """ValueError if nothing is there to replace in one of the prompts."""
    search = next(iter(read_replacements(replace)))
    for prompt in values.get("prompt", [""]):
        for negative in values.get("negative_prompt", [""]):
            if search not in prompt and search not in negative:
                raise ValueError(
                    f"neither the prompt {prompt!r} nor the negative prompt contains {search!r}"
                )


def counted(values: Mapping[str, list[Any]], replace: str) -> tuple[int, dict[str, str]]:
    """(how many requests these make, what is wrong with that)"""
    others = math.prod(len(found) for name, found in values.items() if name not in PROMPTS)
    lines = [values.get(name, [""]) for name in PROMPTS]
    swaps = [
        (search, text)
        for search, found in read_replacements(replace or None).items()
        for text in found
    ] or [("", "")]
    try:
        texts = sum(
            math.prod(sum(count_quietly(line.replace(*swap)) for line in each) for each in lines)
            for swap in swaps
        )
    except ValueError as error:
        return 0, {"replace": str(error)}
    if (cells := others * texts) > MAX_CELLS:
        return 0, {
            "": f"{cells:,} cells are more than {MAX_CELLS:,}; take fewer values, or several sweeps"
        }
    return cells, {}


def count_quietly(prompt: str) -> int:
    """Counts the readings of a prompt; of weights, which are ignored, the notes speak."""
    with heard() if "::" in prompt else contextlib.nullcontext():
        return count_readings(prompt)


# A prompt in a line of its own


def line_read(line: str) -> str:
    """The prompt that a line stands for: the line without blanks around it, or what is in double quotes if it needs them."""
    line = line.strip()
    if len(line) > 1 and line[0] == line[-1] == '"':
        try:
            inside = json.loads(line)
        except ValueError:
            return line
        if needs_quotes(inside):
            return inside
    return line


def needs_quotes(prompt: str) -> bool:
    """Whether a line could not hold the prompt as it is: the empty one, blanks at its ends, line breaks."""
    return (
        not prompt
        or prompt != prompt.strip()
        or bool(re.search(r"[\r\n]", prompt))
        or line_read(prompt) != prompt
    )


def line_written(prompt: str) -> str:
    """The line that `line_read` reads as this prompt."""
    return json.dumps(prompt, ensure_ascii=False) if needs_quotes(prompt) else prompt


# Python as a person writes it


def folder_of(store: Store | str | os.PathLike) -> str:
    """The store's folder as the code writes it: as it was given, or seen from the current folder."""
    if not isinstance(store, Store):
        return os.fspath(store)
    here = Path.cwd()
    return (
        store.root.relative_to(here).as_posix()
        if store.root.is_relative_to(here)
        else str(store.root)
    )


def literal(value: Any) -> str:
    if isinstance(value, str):
        return (
            repr(value) if '"' in value else json.dumps(value, ensure_ascii=False)
        )  # JSON's escapes are Python's, too
    if isinstance(value, (list, tuple)):
        return bracketed("[", [literal(item) for item in value], "]")
    return text_of(value) if isinstance(value, float) else repr(value)


def call(name: str, arguments: Sequence[str]) -> str:
    return bracketed(f"{name}(", arguments, ")")


def bracketed(start: str, items: Sequence[str], end: str) -> str:
    """All in one line if there is room, else an item a line."""
    line = start + ", ".join(items) + end
    if len(line) <= WIDTH and "\n" not in line:
        return line
    within = "".join("    " + item.replace("\n", "\n    ") + ",\n" for item in items)
    return f"{start}\n{within}{end}"
