"""The parts of a pipeline that a request may exchange, as text: VAE, LoRAs, textual inversions."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .axes import NUMBER, split_words
from .spec import round_number

MAX_SCALE = 10.0  # either way; beyond that nothing but noise has been seen
SCALED = re.compile(rf"(.+)@\s*({NUMBER})")
TOKEN = re.compile(r"([^\s/\\=]+)=(.+)")
NETWORK = re.compile(r"<(?:lora|lyco|hypernet):[^>]*>?")


@dataclass(frozen=True)
class Lora:
    """A LoRA's file and how strongly it acts."""

    path: str
    scale: float

    def __str__(self) -> str:
        is_plain = self.scale == 1 and not SCALED.fullmatch(self.path)
        return self.path if is_plain else f"{self.path}@{self.scale!r}"


@dataclass(frozen=True)
class Embedding:
    """A textual inversion's file, and its token in prompts; None is the one in the file."""

    path: str
    token: str | None

    def __str__(self) -> str:
        return f"{self.token}={self.path}" if self.token else self.path


def read_loras(text: str | None) -> tuple[Lora, ...]:
    """Reads the LoRAs of a request, in its order: "a.safetensors@0.5, b.safetensors"."""
    loras = tuple(map(read_lora, split_words(text or "")))
    require_paths("lora", text, loras)
    return loras


def read_lora(item: str) -> Lora:
    """Reads one LoRA, a path with or without a scale."""
    path, scale = match.groups() if (match := SCALED.fullmatch(item)) else (item, "1")
    if not math.fabs(float(scale)) <= MAX_SCALE:
        raise ValueError(f"lora={item!r:.200}: a scale is {-MAX_SCALE:g} to {MAX_SCALE:g}")
    return Lora(path.strip(), round_number(scale))


def read_embeddings(text: str | None) -> tuple[Embedding, ...]:
    """Reads the textual inversions of a request, in its order: "toy.bin, style=photo.pt"."""
    items = split_words(text or "")
    pairs = [match.groups() if (match := TOKEN.fullmatch(item)) else (None, item) for item in items]
    embeddings = tuple(Embedding(path.strip(), token) for token, path in pairs)
    require_paths("textual_inversion", text, embeddings)
    return embeddings


def require_paths(name: str, text: str | None, parts: Sequence[Lora | Embedding]) -> None:
    """Refuses no path at all, an empty one, and one that is given twice."""
    paths = [part.path for part in parts]
    if text is not None and (not paths or not all(paths)):
        raise ValueError(f"{name}={text!r:.200} names no file; None is for none")
    if twice := {path for path in paths if paths.count(path) > 1}:
        raise ValueError(f"{name}={text!r:.200} names {', '.join(sorted(twice))} twice")


def normalize_loras(text: str) -> str:
    """Writes the one spelling of some LoRAs: without scales of 1, a comma between two."""
    return join_items(read_loras(text))


def normalize_embeddings(text: str) -> str:
    """Writes the one spelling of some textual inversions."""
    return join_items(read_embeddings(text))


def normalize_vae(text: str) -> str:
    """Writes the one spelling of a VAE's name or path."""
    if not text.strip():
        raise ValueError("vae='' names none; None is for the model's own")
    return text.strip()


def join_items(items: Iterable[object]) -> str:
    """Writes the items as one text that `split_words` takes apart again."""
    return ", ".join(
        '"' + text.replace('"', '""') + '"' if re.search('[,"\r\n]', text) else text
        for text in map(str, items)
    )


def require_no_network(name: str, prompt: str) -> None:
    """Refuses A1111's "<lora:name:0.8>" in a prompt, which to diffusers is plain text."""
    if found := NETWORK.search(prompt):
        raise ValueError(
            f"{name} holds {found[0]!r:.80}, which is how A1111 asks for an extra network; take it"
            " out of the prompt and say lora='path/of/the.safetensors@0.8'"
        )
