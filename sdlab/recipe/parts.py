"""The parts of a pipeline that a request may exchange, as text: a VAE, LoRAs with scales, textual inversions with tokens."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from .axes import split_words

MAX_SCALE = 10.0  # either way; beyond that nothing but noise has been seen
SCALED = re.compile(r"(.+)@\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)")
TOKEN = re.compile(r"([^\s/\\=]+)=(.+)")
NETWORK = re.compile(r"<(?:lora|lyco|hypernet):[^>]*>?")


@dataclass(frozen=True)
class Lora:
    """A LoRA's file and how strongly it acts."""

    path: str
    scale: float

    def __str__(self) -> str:
        return (
            f"{self.path}@{self.scale!r}"
            if self.scale != 1 or SCALED.fullmatch(self.path)
            else self.path
        )


@dataclass(frozen=True)
class Embedding:
    """A textual inversion's file, and the token that stands for it in prompts; None is the token that the file states."""

    path: str
    token: str | None

    def __str__(self) -> str:
        return f"{self.token}={self.path}" if self.token else self.path


def read_loras(text: str | None) -> tuple[Lora, ...]:
    """The LoRAs of a request, in its order: "a.safetensors@0.5, b.safetensors"."""
    found = [read_lora(item) for item in split_words(text or "")]
    require_paths("lora", text, [each.path for each in found])
    return tuple(found)


def read_lora(item: str) -> Lora:
    path, scale = match.groups() if (match := SCALED.fullmatch(item)) else (item, "1")
    if not math.fabs(float(scale)) <= MAX_SCALE:
        raise ValueError(f"lora={item!r:.200}: a scale is {-MAX_SCALE:g} to {MAX_SCALE:g}")
    return Lora(path.strip(), float(scale) + 0)


def read_embeddings(text: str | None) -> tuple[Embedding, ...]:
    """The textual inversions of a request, in its order: "cat-toy.safetensors, style=photo.pt"."""
    pairs = [
        match.groups() if (match := TOKEN.fullmatch(item)) else (None, item)
        for item in split_words(text or "")
    ]
    require_paths("textual_inversion", text, [path for _, path in pairs])
    return tuple(Embedding(path.strip(), token) for token, path in pairs)


def require_paths(name: str, text: str | None, paths: list[str]) -> None:
    """Refuses no path at all, an empty one, and one that is given twice."""
    if text is not None and (not paths or not all(paths)):
        raise ValueError(f"{name}={text!r:.200} names no file; None is for none")
    if twice := {path for path in paths if paths.count(path) > 1}:
        raise ValueError(f"{name}={text!r:.200} names {', '.join(sorted(twice))} twice")


def normalize_loras(text: str) -> str:
    """The one spelling of some LoRAs: a scale is left out if it is 1, and a comma stands between two."""
    return join_items(read_loras(text))


def normalize_embeddings(text: str) -> str:
    """The one spelling of some textual inversions."""
    return join_items(read_embeddings(text))


def normalize_vae(text: str) -> str:
    """The one spelling of a VAE's name or path."""
    if not text.strip():
        raise ValueError("vae='' names none; None is for the model's own")
    return text.strip()


def join_items(items: Iterable[object]) -> str:
    """The items as one text, those with a comma in quotation marks."""
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow([str(item) for item in items])
    return ", ".join(split_quoted(out.getvalue()))


def split_quoted(row: str) -> list[str]:
    """A row of comma-separated items, cut at the commas that stand outside quotation marks."""
    return re.findall(r'"(?:[^"]|"")*"|[^,]+', row)


def require_no_network(name: str, prompt: str) -> None:
    """Refuses A1111's "<lora:name:0.8>" in a prompt, which to diffusers is plain text and would act as such."""
    if found := NETWORK.search(prompt):
        raise ValueError(
            f"{name} holds {found[0]!r:.80}, which is how A1111 asks for an extra network; take it"
            " out of the prompt and say lora='path/of/the.safetensors@0.8'"
        )
