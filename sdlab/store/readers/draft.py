"""A row in the making: fields in our words, and what has none."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from math import isfinite
from typing import Any

from ...recipe.parts import Lora, join_items
from ...recipe.request import OPTIONAL, SPECS
from ...recipe.schedulers import read_a1111
from ...recipe.spec import SEEDS
from ..png import replace_unprintable

LONGEST = 100  # characters of a value that has no counterpart
MOST_LEFT = 40  # of them in a row
WEIGHTS = re.compile(r".\.(?:safetensors|ckpt|pt|pth|bin|sft|gguf)$", re.IGNORECASE | re.DOTALL)
PIECES = re.compile(r"\w+|[^\w\s]")  # each is a token or more
BRACKETS = re.compile(r"[()\[\]]")
NEUTRAL = {  # what a recipe that does not say it means
    name: spec.neutral
    for name, spec in SPECS.items()
    if name not in OPTIONAL and spec.neutral is not None
}
KINDS = {name: spec.kind for name, spec in SPECS.items()}


class Draft:
    """What a reader has found so far.

    Attributes
    ----------
    source : str
        Who wrote the file.
    fields : dict
        The columns that are known.
    left : dict
        What has no counterpart here, in order, as its keys.
    loras : list of Lora
    hosted : bool
        A service made the picture, which does not say all: what it leaves out is not known.
    """

    def __init__(self, source: str = "") -> None:
        self.source = source
        self.fields: dict[str, Any] = {}
        self.left: dict[str, None] = {}
        self.loras: list[Lora] = []
        self.hosted = False

    def put(self, name: str, value: Any, theirs: str = "") -> None:
        """Keeps a field's value, which `theirs` was called; what does not fit is left over."""
        fitting = fit_field(name, value)
        if fitting is not None:
            self.fields[name] = fitting
        elif value not in (None, ""):
            self.leave(theirs or name, value)

    def put_fields(self, said: Mapping[str, Any], names: Mapping[str, str]) -> None:
        """Keeps what was said under a program's own names, which are given with ours."""
        for theirs, ours in names.items():
            self.put(ours, said.get(theirs), theirs)

    def leave(self, name: str, value: Any = None) -> None:
        """Keeps what has no counterpart."""
        if len(self.left) < MOST_LEFT:
            said = name if value is None else f"{name}: {shorten(value)}"
            self.left[replace_unprintable(said)] = None

    def leave_all(self, said: Mapping[str, Any], *but: str) -> None:
        """Keeps all of what was said that says something, except for some names."""
        for name, value in said.items():
            if name not in but and is_said(value):
                self.leave(str(name)[:LONGEST], value)

    def put_seed(self, value: Any, theirs: str = "seed") -> None:
        """Keeps a seed; of one that is too large the low 32 bits, as torch does."""
        seed = fit_whole(value)
        if seed is None or seed < 0:
            if value not in (None, "", -1, "-1"):
                self.leave(theirs, value)
            return
        if seed >= SEEDS:
            self.leave(theirs, f"{seed}, of which torch keeps the low 32 bits")
        self.fields["seed"] = seed % SEEDS

    def put_distilled(self, value: Any, theirs: str) -> None:
        """Keeps the guidance that FLUX has learned to take as a number, as diffusers calls it."""
        if value is None:
            return
        if self.fields.get("guidance_scale", 1.0) == 1.0:
            self.put("guidance_scale", value, theirs)
        else:
            self.leave(theirs, value)

    def put_size(self, text: Any, theirs: str) -> None:
        """Keeps "512x768", (512, 768) and the like: width, then height."""
        sides = re.fullmatch(r"\D{0,2}(\d{1,6})\D{1,3}(\d{1,6})\D{0,2}", str(text).strip()[:40])
        if sides:
            self.fields |= {"width": int(sides[1]), "height": int(sides[2])}
        elif is_said(text):
            self.leave(theirs, text)

    def put_sampler(self, sampler: Any, schedule: Any = None) -> None:
        """Keeps a scheduler that A1111, k-diffusion or diffusers knows by these names."""
        if not isinstance(sampler, str) or not sampler.strip():
            return
        said = {"Sampler": sampler.strip()}
        said |= {"Schedule type": str(schedule)} if is_said(schedule) else {}
        for name, value in read_a1111(said).items():
            self.fields.update({name: value}) if name in SPECS else self.leave(name, value)

    def put_model(self, value: Any, theirs: str = "model") -> None:
        """Keeps a checkpoint's name, as A1111 has it: without folders and ending."""
        self.put("model", name_weights(value), theirs)

    def put_vae(self, value: Any, theirs: str = "vae") -> None:
        """Keeps a VAE's name, unless it says that there is none but the model's."""
        if str(value).lower() not in (
            "none",
            "automatic",
            "default",
            "default (model)",
            "baked vae",
        ):
            self.put("vae", name_weights(value), theirs)

    def put_lora(self, name: Any, scale: Any = 1.0) -> None:
        """Keeps one more LoRA, which acts after those before."""
        number = fit_real(1.0 if scale is None else scale)
        named = name_weights(name)
        if not named or named.lower() == "none":
            return
        if number is None or any(each.path == named for each in self.loras):
            self.leave("LoRA", f"{named} {scale}")
        else:
            self.loras.append(Lora(named, number))

    def finish(self, width: int, height: int) -> None:
        """Adds what follows: LoRAs as one field, the size in pixels, and what is left out."""
        if self.loras:
            self.fields["lora"] = replace_unprintable(join_items(self.loras))
        known = NEUTRAL if "prompt" in self.fields and not self.hosted else {}
        self.fields = row = {**known, "width": width, "height": height, **self.fields}
        if row["width"] != width or row["height"] != height:
            self.leave("size", f"the picture is {width}x{height}")

    def read_syntax(self) -> None:
        """Finds the prompt syntax of programs that read brackets as weights and long prompts."""
        prompt, negative = self.fields.get("prompt") or "", self.fields.get("negative_prompt") or ""
        weighs = BRACKETS.search(prompt) or BRACKETS.search(negative)
        parts = ["weights"] if weighs else []
        if any(len(text) > 75 and len(PIECES.findall(text)) > 75 for text in (prompt, negative)):
            parts.append("chunks")  # shorter texts have not as many pieces
        if parts:
            self.fields["prompt_syntax"] = "+".join(parts)


def is_said(value: Any) -> bool:
    """Tells whether a value says something: a program's "nothing" does not."""
    if isinstance(value, (list, tuple, dict)):
        return bool(value)
    return value is not None and value is not False and str(value).strip() not in ("", "None")


def shorten(value: Any) -> str:
    """Writes a value on one line, shortened."""
    text = value if isinstance(value, str) else repr(value)
    text = " ".join(text[: 4 * LONGEST].split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def fit_field(name: str, value: Any) -> Any:
    """Brings a value into the type of a field's column; None if that cannot be."""
    kind = KINDS[name]
    if kind == "whole":
        whole = value if type(value) is int else fit_whole(value)
        return whole if whole is not None and -(2**63) <= whole < 2**63 else None
    if kind == "real":
        return value if type(value) is float and isfinite(value) else fit_real(value)
    return replace_unprintable(value) if isinstance(value, str) else None


def fit_real(value: Any) -> float | None:
    """Reads a finite number, also one that is written as text."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if isfinite(number) else None


def fit_whole(value: Any) -> int | None:
    """Reads a whole number of at most 64 bits, also one that is written as text."""
    if type(value) is int and 0 <= value < SEEDS:  # nearly all
        return value
    if isinstance(value, str) and re.fullmatch(r"\s*[-+]?\d{1,20}\s*", value):
        value = int(value)
    number = fit_real(value)
    if number is None or not number.is_integer():
        return None
    whole = value if isinstance(value, int) else int(number)
    return whole if -(2**63) <= whole < 2**64 else None


def name_weights(value: Any) -> str | None:
    """Names a file of weights without its folders and its ending; None if it is no text."""
    if not isinstance(value, str):
        return None
    name = value.strip().replace("\\", "/").rpartition("/")[2]
    return name[: -len(found[0]) + 1] if (found := WEIGHTS.search(name)) else name


def load_json(text: str) -> Any:
    """Reads JSON, with NaN as programs write it.

    Raises
    ------
    ValueError
        It is none, nested without end, has a number of thousands of digits, or a name twice.
    """
    try:
        return DECODER.decode(text)
    except RecursionError:
        raise ValueError("JSON that is nested too deeply") from None


def make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Makes an object of its pairs; if a name stands twice, nobody knows which value acted."""
    if len(made := dict(pairs)) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"JSON in which {twice[:LONGEST]!r} stands twice")
    return made


DECODER = json.JSONDecoder(object_pairs_hook=make_object)


def is_object(text: str) -> bool:
    """Tells a JSON object, also one with a name twice, from a prompt that begins with "{a|b}"."""
    try:
        return text.lstrip().startswith("{") and isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def load_object(text: str) -> dict[str, Any]:
    """Reads a JSON object, as `load_json` does."""
    found = load_json(text)
    if not isinstance(found, dict):
        raise ValueError(f"JSON that is a {type(found).__name__}, and no object")
    return found
