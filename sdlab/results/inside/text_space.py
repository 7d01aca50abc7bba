"""A model's text space: which words of its vocabulary lie next to a prompt, by its own encoder."""

from __future__ import annotations

import weakref
from typing import Any

import pandas as pd
import torch

from ...models.pipeline import Loaded
from ...recipe.prompts import fill_rows
from ...recipe.request import Recipe
from ...render.encode import Encoder, Latest, encode_row, list_encoders
from ...render.trace import open_renderer
from .tokens import END

ROWS = 256  # words in one call of the text encoder
KEPT = 2  # vocabularies of an encoder, 150 MB each: with LoRAs and without
_words = weakref.WeakKeyDictionary[Any, Latest]()


@torch.inference_mode()
def find_nearest(cell: Recipe, text: str, count: int) -> pd.DataFrame:
    """Finds the words of the vocabulary whose encoding has the largest cosine with the text's.

    Of SDXL's two encoders it is the first.

    What is compared is the encoder's state at the first mark of the end, from which CLIP was
    taught. Single words alone are looked at, each as a prompt of its own: a vocabulary of 49,408
    tokens takes minutes on a CPU, once for each model in memory, and for LoRAs and their scales.

    Returns
    -------
    DataFrame
        `word`, `token`, `cosine`, the nearest first.
    """
    with open_renderer(cell, {}) as renderer:
        encoder = list_encoders(renderer.loaded.pipe)[0]
        tokenizer = encoder.tokenizer
        tokens, states = recall_vocabulary(renderer.loaded, encoder, cell.clip_skip)
        row = [token for token, _ in fill_rows(tokenizer, text, None)[0]]
        own = encode_ends(encoder, torch.tensor([row]), cell.clip_skip)
    cosines = torch.nn.functional.cosine_similarity(states, own)
    found = cosines.topk(min(count, len(tokens)))
    numbers = [tokens[i] for i in found.indices]
    words = [tokenizer.convert_ids_to_tokens(n).removesuffix(END) for n in numbers]
    return pd.DataFrame({"word": words, "token": numbers, "cosine": found.values.numpy()})


def recall_vocabulary(
    loaded: Loaded, encoder: Encoder, clip_skip: int
) -> tuple[list[int], torch.Tensor]:
    """Recalls the encoded vocabulary, or encodes it: LoRAs change an encoder that stays itself."""
    swaps = loaded.own.swaps
    loras = tuple(part[1:] for part in swaps.loras) if swaps else None  # (scale, fingerprint)
    kept = _words.setdefault(encoder.network, Latest(KEPT))
    return kept.get((clip_skip, loras), lambda: encode_vocabulary(encoder, clip_skip))


def encode_vocabulary(encoder: Encoder, clip_skip: int) -> tuple[list[int], torch.Tensor]:
    """Encodes each whole word of the vocabulary: their numbers, and states (words, width)."""
    tokenizer = encoder.tokenizer
    tokens = [
        number
        for name, number in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
        if name.endswith(END) and any(letter.isalpha() for letter in name.removesuffix(END))
    ]
    ends = tokenizer.bos_token_id, tokenizer.eos_token_id
    # what follows the end is not seen by it, so it need not be there
    rows = torch.tensor([(ends[0], token, ends[1]) for token in tokens])
    states = [encode_ends(encoder, part, clip_skip) for part in rows.split(ROWS)]
    return tokens, torch.cat(states)


def encode_ends(encoder: Encoder, ids: torch.Tensor, clip_skip: int) -> torch.Tensor:
    """Encodes token numbers (rows, tokens) to the states at their first end, float32 on the CPU."""
    states = encode_row(encoder, ids.to(encoder.network.device), clip_skip).words
    at = (ids == encoder.tokenizer.eos_token_id).int().argmax(1)
    return states[torch.arange(len(ids)), at].float().cpu()
