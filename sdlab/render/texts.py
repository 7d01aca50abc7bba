"""Prompts as tensors: one text encoder, one row at a time."""

from __future__ import annotations

from typing import Any

import torch

from ..recipe.prompts import fill_rows


@torch.inference_mode()
def encode(
    tokenizer: Any, text_encoder: Any, prompt: str, clip_skip: int = 0, syntax: str | None = None
) -> torch.Tensor:
    """One prompt as a tensor (1, tokens, width), encoded row by row, so that its bits depend on nothing else.

    A token of weight w becomes empty + w (token - empty), where `empty` stands at the same place of
    the encoded empty prompt: 0 takes its meaning away, and the end marks and padding keep theirs.
    ComfyUI weighs so (its sd1_clip.py); A1111 multiplies the token itself, and then the whole text
    so that its mean is what it was.
    """
    encoded = []
    for row in fill_rows(tokenizer, prompt, syntax):
        ids, weights = (
            torch.tensor([values], device=text_encoder.device) for values in zip(*row)
        )  # (1, tokens)
        text = encoded_row(text_encoder, ids, clip_skip)  # (1, tokens, width)
        if (weights != 1).any():
            weight, empty = (
                weights[..., None],
                encode(tokenizer, text_encoder, "", clip_skip).float(),
            )
            text = torch.where(
                weight == 1, text, (empty + weight * (text.float() - empty)).to(text.dtype)
            )
        encoded.append(text)
    return torch.cat(encoded, dim=1)


def lengthened(text: torch.Tensor, empty: torch.Tensor, length: int) -> torch.Tensor:
    """The encoded text with empty texts behind it, so that it has `length` tokens, a multiple of theirs."""
    return torch.cat([text] + [empty] * ((length - text.shape[1]) // empty.shape[1]), dim=1)


def encoded_row(text_encoder: Any, ids: torch.Tensor, clip_skip: int) -> torch.Tensor:
    """Token numbers (1, tokens) as (1, tokens, width), from the last layer or `clip_skip` layers before it."""
    if not clip_skip:
        return text_encoder(ids)[0]
    hidden = text_encoder(ids, output_hidden_states=True).hidden_states[-(clip_skip + 1)]
    return getattr(text_encoder, "text_model", text_encoder).final_layer_norm(hidden)
