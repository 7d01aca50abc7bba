"""What a model's tokenizer makes of the prompt."""

from __future__ import annotations

import functools
from typing import Any

import pandas as pd

from ...models.pipeline import open_tokenizer
from ...models.resolve import native
from ...recipe.prompts import list_tokens
from ...render.notes import learn_words
from ..frame import row_tuples

NAMES = ("model", "textual_inversion", "prompt", "prompt_syntax")
DTYPES = {
    "tokens_count": "Int64",
    "tokens_pieces": "string",
    "tokens_cut": "string",
    "tokens_error": "string",
}


def score_tokens(frame: pd.DataFrame) -> pd.DataFrame:
    """Takes each prompt apart as its model's tokenizer does; pictures are not looked at.

    Returns
    -------
    DataFrame
        `tokens_count`: how many there are, with the two that mark the ends; CLIP reads 77.
        `tokens_pieces`: what they stand for, such as "a ele|phn|at": a bar parts what was one word.
        `tokens_cut`: what stands after the 77th and is not read, "" if all is; with
        `prompt_syntax="chunks"` all is. `tokens_error`: why there is nothing, such as a model that
        is not here.
    """
    read = functools.cache(read_prompt)
    rows = [read(*row) for row in row_tuples(frame, NAMES)]
    return pd.DataFrame(rows, frame.index, columns=list(DTYPES), dtype=object).astype(DTYPES)


def read_prompt(model: str, words: str | None, prompt: str, syntax: str | None) -> dict[str, Any]:
    """Takes one prompt apart."""
    try:
        own = learn_words(native(model), words)
        tokenizer = open_tokenizer(own)
        tokens = [token for token, _ in list_tokens(tokenizer, prompt or "", syntax)]
    except Exception as problem:  # of one model; the others' rows have their values
        return {"tokens_error": f"{type(problem).__name__}: {problem}"}
    most = own.layout.max_tokens - 2
    whole = syntax and "chunks" in syntax
    return {
        "tokens_count": len(tokens) + 2,
        "tokens_pieces": show_pieces(tokenizer, tokens),
        "tokens_cut": "" if whole else tokenizer.decode(tokens[most:]),
    }


def show_pieces(tokenizer: Any, tokens: list[int]) -> str:
    """Writes the words, with a bar between the tokens of one."""
    learned = tokenizer.get_added_vocab().values()
    out = ""
    for token in tokens:
        ends = tokenizer.convert_ids_to_tokens(token).endswith("</w>") or token in learned
        out += tokenizer.decode([token]).strip() + (" " if ends else "|")
    return out.strip()
