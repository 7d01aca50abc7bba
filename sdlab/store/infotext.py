"""The text in which A1111 and others write a picture's recipe: written, and read."""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections.abc import Mapping
from typing import Any

from ..pictures import HASH
from ..recipe.request import SPECS
from ..recipe.schedulers import SAMPLING, read_a1111, write_a1111
from ..recipe.spec import Spec

NAME = r"\w[-\w /]+:\s*"
VALUES = {mark: rf'"(?:[^"\\]|\\.)+"|[^{mark}]*' for mark in ",|"}  # SD.Next wrote bars in 2023
PAIRS = {mark: re.compile(rf"({NAME})({value})([{mark}]|$)") for mark, value in VALUES.items()}
NAMED = re.compile(rf"\s*({NAME})")
ENDS = {mark: re.compile(rf"\s*(?:[{mark}]|\n(?={NAME})|$)") for mark in ",|"}  # of a value
NEGATIVE = re.compile("^Negative prompt: ?", re.MULTILINE)
BEHIND = re.compile(r"\n(?=(?:Negative )?[Tt]emplate:)")  # of sd-dynamic-prompts
NAME_ALONE = re.compile(NAME.removesuffix(r":\s*"))
QUOTES = frozenset('"[{')  # behind which a mark ends no value
AHEAD = re.compile(r"\n(Version: [^,\n]+, Pipeline: [^,\n]+,)$")  # of SD.Next in 2023
AMBIGUOUS = re.compile(r'[,:\n\r]|^[\s"]|\s$|^$')
SECOND_PASS = ("Hires upscale", "Hires resize")  # with these, A1111's strength is another pass's
ORDER = (  # A1111's; what it has no name for follows
    *("Steps", "Sampler", "Schedule type", "CFG scale", "Seed", "Size", "Model hash", "Model"),
    *("VAE", "Denoising strength", "Noise level", "Clip skip", "Lora hashes", "TI hashes", "RNG"),
    *("Eta DDIM", "Noise Schedule", "Diffusers scheduler"),
)
FIELD_OF = {name: field for field, spec in SPECS.items() for name in spec.a1111}
GPU_NOISE = "noise made on the GPU"  # as `not_translated` of other programs' pictures has it
READ = {*FIELD_OF, *SAMPLING, "Size"}


def write_infotext(
    request: Mapping[str, Any],
    version: str,
    hashes: Mapping[str, str] | None = None,
    inherited: str | None = None,
) -> str:
    """Writes the recipe as A1111 does, for other tools to read.

    A1111's form cannot hold everything: a line of the prompt that begins with "Negative prompt:"
    reads as the negative prompt. The record of `read_record` is exact.

    Parameters
    ----------
    request : mapping
        The fields of a resolved request, or a row of `read_pictures`.
    version : str
        Of sdlab.
    hashes : mapping, optional
        As `hashes_of_parts` gives them; only while a picture is made it is sure that the files are
        still the same.
    inherited : str, optional
        The scheduler's options that came with the checkpoint, as a picture's facts have them.
    """
    lines = [request.get("prompt", "")]
    if request.get("negative_prompt"):
        lines.append(f"Negative prompt: {request['negative_prompt']}")
    said = list_parameters(request, version, hashes or {}, inherited).items()
    pairs = [f"{name}: {quote_value(value)}" for name, value in said if value is not None]
    return "\n".join([*lines, ", ".join(pairs)])


def list_parameters(
    request: Mapping[str, Any],
    version: str,
    hashes: Mapping[str, str],
    inherited: str | None = None,
) -> dict[str, Any]:
    """Lists A1111's names and values in A1111's order; None where there is nothing to say."""
    said = {
        spec.a1111[0]: write_value(spec, request.get(name))
        for name, spec in SPECS.items()
        if spec.a1111
    }
    said |= {**write_a1111(request.get("scheduler"), inherited), **hashes, "RNG": "CPU"}
    if GPU_NOISE in (request.get("not_translated") or ""):
        said["RNG"] = None  # to A1111 that says so
    if "height" in request and "width" in request:
        said["Size"] = f"{request['width']}x{request['height']}"
    others = [name for name, spec in SPECS.items() if spec.in_weights and name != "model"]
    if request.get("weights") and not any(map(request.get, others)):  # else those of all together
        said["Model hash"] = request["weights"][:10]  # A1111's have 10 digits
    ordered = dict.fromkeys((*ORDER, *said))
    return {name: said.get(name) for name in ordered} | {"Version": f"sdlab {version}".strip()}


def write_value(spec: Spec, value: Any) -> Any:
    """Writes a field's value as A1111 does; None if it says nothing."""
    if value is None or value == spec.neutral:
        return None
    if spec.kind == "real":
        return repr(value).removesuffix(".0")
    return value + spec.a1111_offset if spec.kind == "whole" else value


def quote_value(value: Any) -> str:
    """Writes the value as it is, or as JSON's string where it would be read as something else."""
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if AMBIGUOUS.search(text) else text


def read_infotext(text: str) -> dict[str, Any]:
    """Reads the fields that A1111's text states in diffusers' words, the rest under its names.

    Whatever is not stated is missing; to A1111 a missing "RNG" means noise made on the GPU. Nothing
    is refused: a number that cannot be read stays text under A1111's name, and text without
    parameters is a prompt. What extensions write behind the parameters is kept under its names.
    """
    prompts, pairs = split_infotext(text)
    prompt, *negatives = NEGATIVE.split(prompts)
    if negatives:
        prompt = prompt.removesuffix("\n")
    fields: dict[str, Any] = {"prompt": prompt, "negative_prompt": "".join(negatives)}
    twice = any(name in SECOND_PASS for name, _ in pairs)
    for name, value in pairs:
        if name not in READ or (twice and name == "Denoising strength"):
            fields[name] = value
        elif name not in SAMPLING:
            fields |= read_pair(name, value)
    return fields | read_a1111({name: value for name, value in pairs if name in SAMPLING})


@functools.lru_cache(1)  # who wrote a text is asked first, then what it says
def split_infotext(text: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Splits A1111's text into its prompts, and the pairs of its parameters.

    These begin in the last line with three pairs, or the last one of those that begin with "Steps".
    With other lines behind it, it needs a name that sdlab reads, as prompts have pairs as well.
    """
    if text.count("\r\n") == text.count("\n"):
        text = text.replace("\r\n", "\n")  # as Windows writes it
    lines = text.rstrip().split("\n")
    marks = {
        n: mark
        for n, line in enumerate(lines)
        if line.count(":") > 2  # else there are not three pairs
        for mark in "|,"
        if line.count(mark) > 1
        if holds_pairs(line, mark, line is lines[-1])
    }
    if not marks:
        return "\n".join(lines), ()
    start = max(marks, key=lambda n: (lines[n].startswith("Steps:"), n))
    ahead, block = "\n".join(lines[:start]), "\n".join(lines[start:])
    block, *behind = BEHIND.split(block)
    pairs = split_pairs(block, marks[start])
    if found := AHEAD.search(ahead):
        ahead, pairs = ahead[: found.start()], [*split_pairs(found[1], ","), *pairs]
    said = (line.partition(":") for line in behind)
    return ahead, (*pairs, *((name, value.strip()) for name, _, value in said))


def holds_pairs(line: str, mark: str, is_last: bool) -> bool:
    """Tells whether a line has three pairs; one with others behind it, one that sdlab reads too."""
    pairs = PAIRS[mark].finditer(line)
    names = [pair[1].rstrip(": ") for pair in itertools.islice(pairs, 3 if is_last else None)]
    return len(names) >= 3 and (is_last or not READ.isdisjoint(names))


def split_plain(block: str) -> list[tuple[str, str]] | None:
    """Splits parameters that are all "name: value", without quotes, brackets and lines; else None.

    Nearly all are, and that is ten times as fast.
    """
    pairs = []
    for piece in () if "\n" in block else block.split(", "):
        name, colon, value = piece.partition(": ")
        value = value.strip()
        if not colon or value[:1] in QUOTES or "," in value or not is_name(name):
            return None
        pairs.append((name, value))
    return pairs or None


@functools.lru_cache(10_000)
def is_name(text: str) -> bool:
    """Tells whether a parameter can be called that."""
    return NAME_ALONE.fullmatch(text) is not None and text == text.rstrip()


def split_pairs(block: str, mark: str) -> list[tuple[str, str]]:
    """Splits parameters at the marks that stand in no quotes and brackets, and at named lines.

    A piece without a name goes on with the value before it, unless that is one that sdlab reads;
    then it is a name that is its own value, as A1111 has it.
    """
    if mark == "," and (plain := split_plain(block)) is not None:
        return plain
    pairs: list[tuple[str, str]] = []
    end, place, begin = ENDS[mark], 0, 0
    while place < len(block):
        name = NAMED.match(block, place)
        start = name.end() if name else place
        stop = find_end(block, start, end)
        if name:
            begin = start
            pairs.append((name[1].rstrip(": \n"), unquote_value(block[start : stop.start()])))
        elif piece := block[place : stop.start()].strip():
            if not pairs or pairs[-1][0] in READ:
                pairs.append((piece, piece))
            else:
                pairs[-1] = pairs[-1][0], unquote_value(block[begin : stop.start()])
        place = max(stop.end(), place + 1)
    return pairs


def find_end(block: str, start: int, end: re.Pattern[str]) -> re.Match[str]:
    """Finds where the value that starts there ends, behind its quotes or brackets if it has any."""
    if block[start : start + 1] in QUOTES:
        try:
            _, behind = json.JSONDecoder(strict=False).raw_decode(block, start)
            if found := end.match(block, behind):
                return found
        except ValueError:
            pass
    found = end.search(block, start)
    assert found  # "$" is in every text
    return found


def unquote_value(value: str) -> str:
    """Reads JSON's string; what another tool has quoted otherwise stays as it is."""
    if value.startswith('"'):
        try:
            return str(json.loads(value, strict=False))
        except ValueError:
            pass
    return value.strip()


def read_pair(name: str, value: str) -> dict[str, Any]:
    """Reads one of A1111's pairs in diffusers' words, or keeps it where there is no word for it."""
    if name == "Size" and (match := re.fullmatch(r"(\d+)x(\d+)", value)):
        return {"width": int(match[1]), "height": int(match[2])}
    if name not in FIELD_OF:
        return {name: value}
    spec = SPECS[FIELD_OF[name]]
    try:
        if spec.kind == "whole":
            return {FIELD_OF[name]: max(int(value) - spec.a1111_offset, 0)}
        found = float(value) if spec.kind == "real" else value
    except ValueError:
        return {name: value}
    if spec.kind == "picture" and not HASH.fullmatch(value):
        return {name: value}
    return {FIELD_OF[name]: found}
