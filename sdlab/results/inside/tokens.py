"""The pieces of a prompt as the text encoder reads them, and which of them are one word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

from ...models.pipeline import open_tokenizer
from ...models.resolve import native
from ...recipe.prompts import parse_weights, split_at_words
from ...recipe.request import PROMPTS, Recipe, Request
from ...render.notes import learn_words

END = "</w>"
PLAIN = re.compile(r"([()\[\]\\])")
DTYPES = {
    "text": "string",
    "place": "Int64",
    "token": "Int64",
    "piece": "string",
    "written": "string",
    "word": "string",
    "number": "Int64",
    "lowered": "boolean",
    "learned": "boolean",
    "weight": "Float64",
    "read": "boolean",
}


def list_pieces(request: Request | Recipe) -> pd.DataFrame:
    """Lists the pieces of the prompt and of the negative prompt, a row a token; nothing is drawn.

    Returns
    -------
    DataFrame
        `text`: "prompt" or "negative_prompt". `place`: where the text encoder reads it, 0 being the
        mark of the beginning; missing beyond the end. `token`: its number in the vocabulary.
        `piece`: what the vocabulary calls it. `written`: what stands in the prompt. `word`, and its
        `number` from 1: what it is a part of. `lowered`: whether capitals were made small.
        `learned`: whether a textual inversion brought it. `weight`: of `prompt_syntax="weights"`.
        `read`: False for what lies beyond the model's tokens and is never seen.
    """
    own = learn_words(native(request.model), request.textual_inversion)
    tokenizer, most = open_tokenizer(own), own.layout.max_tokens
    syntax = request.prompt_syntax or ""
    rows = []
    for text in PROMPTS:
        pieces = take_apart(tokenizer, split_sections(getattr(request, text), syntax))
        rows += [row | {"text": text} for row in place_pieces(pieces, most - 2, "chunks" in syntax)]
    return pd.DataFrame(rows, columns=list(DTYPES), dtype=object).astype(DTYPES)


def split_sections(prompt: str, syntax: str) -> list[tuple[str, float]]:
    """Splits a prompt into (text, weight)."""
    return parse_weights(prompt) if "weights" in syntax else [(prompt, 1.0)]


def take_apart(tokenizer: Any, sections: Sequence[tuple[str, float]]) -> list[dict[str, Any]]:
    """Takes weighted texts apart into pieces, each with its section and place there."""
    learned, out = getattr(tokenizer, "learned_words", {}), []
    for section, (text, weight) in enumerate(sections):
        start = 0
        for plain, word in split_at_words(text, learned):
            start = text.find(plain, start)
            found = tokenizer(
                plain, add_special_tokens=False, verbose=False, return_offsets_mapping=True
            )
            for token, (a, b) in zip(found["input_ids"], found["offset_mapping"]):
                piece = tokenizer.convert_ids_to_tokens(token)
                out.append(make_piece(piece, token, plain[a:b], (section, start + a, start + b)))
            start += len(plain)
            for token in learned[word] if word else ():
                end = start + len(word or "")
                out.append(make_piece(word or "", token, text[start:end], (section, start, end)))
                out[-1]["learned"] = True
            start += len(word or "")
        for piece in out:
            if piece["span"][0] == section:
                piece["weight"] = weight
    return number_words(out)


def make_piece(piece: str, token: int, written: str, span: tuple[int, int, int]) -> dict[str, Any]:
    """Makes the row of a piece; `span` is its section, and where it stands there."""
    return {
        "token": token,
        "piece": piece,
        "written": written,
        "lowered": written != written.lower(),
        "learned": False,
        "span": span,
    }


def number_words(pieces: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Numbers the words from 1: a piece that ends with `</w>`, or the last vector, ends one."""
    number, begin = 1, 0
    for i, piece in enumerate(pieces):
        following = pieces[i + 1] if i + 1 < len(pieces) else None
        same = following and following["learned"] and following["span"] == piece["span"]
        piece["number"] = number
        if following is None or (
            not same if piece["learned"] else piece["piece"].endswith(END) or following["learned"]
        ):
            own = pieces[begin : i + 1]
            written = own[0]["written"] if piece["learned"] else join_pieces(own)
            for each in own:
                each["word"] = written
            number, begin = number + 1, i + 1
    for piece in pieces:
        piece["piece"] = piece["piece"].removesuffix(END)
    return pieces


def join_pieces(pieces: Sequence[dict[str, Any]]) -> str:
    """Joins what is written of the pieces of a word; a letter of several bytes stands once."""
    spans = dict.fromkeys((piece["span"], piece["written"]) for piece in pieces)
    return "".join(written for _, written in spans)


def place_pieces(pieces: list[dict[str, Any]], room: int, chunks: bool) -> list[dict[str, Any]]:
    """Says where the encoder reads each piece: rows of `room` between their two marks, or one."""
    return [
        piece | {"place": n // room * (room + 2) + n % room + 1 if read else None, "read": read}
        for n, piece in enumerate(pieces)
        for read in [chunks or n < room]
    ]


def name_words(pieces: pd.DataFrame) -> list[str]:
    """Names the words of the prompt that are read, in their order: "a", "cat", "a (2)"."""
    read = pieces[(pieces["text"] == "prompt") & pieces["read"]]
    names: list[str] = []
    for word in read.drop_duplicates("number")["word"]:
        count = sum(name == word or name.startswith(f"{word} (") for name in names)
        names.append(f"{word} ({count + 1})" if count else word)
    return names


def group_tokens(pieces: pd.DataFrame, most: int) -> list[int]:
    """Gives the group of each token of the prompt that is read.

    0 is the mark of the beginning, then the words from 1, and the last group is all that stands
    after them: marks of the end and padding.
    """
    read = pieces[(pieces["text"] == "prompt") & pieces["read"]]
    words = int(read["number"].max()) if len(read) else 0
    rows = max(1, -(-(int(read["place"].max()) + 1 if len(read) else 1) // most))
    groups = [0 if place % most == 0 else words + 1 for place in range(rows * most)]
    for place, number in zip(read["place"], read["number"]):
        groups[place] = number
    return groups


def leave_out(request: Recipe, number: int) -> str:
    """Writes the prompt without its word of that number."""
    own = learn_words(native(request.model), request.textual_inversion)
    sections = split_sections(request.prompt, request.prompt_syntax or "")
    pieces = take_apart(open_tokenizer(own), sections)
    spans = [piece["span"] for piece in pieces if piece["number"] == number]
    for section, start, end in reversed(list(dict.fromkeys(spans))):
        text, weight = sections[section]
        sections[section] = text[:start] + text[end:], weight
    texts = [text for text, _ in sections]
    if "weights" in (request.prompt_syntax or ""):
        texts = [write_weight(text, weight) for text, weight in sections]
    return re.sub(r"\s+", " ", "".join(texts)).strip()


def write_weight(text: str, weight: float) -> str:
    """Writes a text of that weight in A1111's syntax."""
    plain = PLAIN.sub(r"\\\1", text)
    return plain if weight == 1 or not text.strip() else f"({plain}:{weight:g})"
