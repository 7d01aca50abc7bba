"""Prompts as tensors: one text encoder, one row at a time, the latest ones kept.

On a graphics card, which takes as long for one row as for many, rows are encoded in calls of one
constant size: a row's bits depend on that size, not on its neighbours.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Hashable, Sequence
from typing import Any

import torch

from ..recipe.prompts import fill_rows
from ..recipe.request import Recipe

KEPT = 256  # encoded prompts; one of the real size takes 0.1 MB
ROWS = 16  # in a call of the text encoder on a card
Rows = dict[tuple[tuple[int, ...], int], torch.Tensor]  # {(token numbers, clip_skip): encoded}


class Latest:
    """What was made last, each under a name; whoever asks for the same meanwhile waits."""

    def __init__(self, most: int) -> None:
        self._most, self._made = most, dict[Hashable, Any]()
        self._lock = threading.Lock()

    def __contains__(self, name: Hashable) -> bool:
        return name in self._made

    def hold(self, names: Collection[Hashable]) -> None:
        """Keeps what is there of these names longest, and has room for all of them at once."""
        with self._lock:
            self._most = max(self._most, len(names))
            for name in names:
                if name in self._made:
                    self._made[name] = self._made.pop(name)

    def get(self, name: Hashable, make: Callable[[], Any]) -> Any:
        """Gives what `make` returns, made once for that name."""
        with self._lock:
            if name not in self._made:
                if len(self._made) >= self._most:
                    del self._made[next(iter(self._made))]
                self._made[name] = make()
            return self._made[name]


class Prompts:
    """A pipeline's prompts as tensors, each text encoded once."""

    def __init__(self, pipe: Any) -> None:
        self.pipe = pipe
        self._latest = Latest(KEPT)
        self._rows: Rows = {}

    def encode_together(self, cells: Sequence[Recipe]) -> None:
        """Encodes the prompts of cells that are not encoded yet, `ROWS` rows at a time.

        All of them are kept until the next call, so that none is encoded a second time, alone.
        """
        all_texts = {
            (text, cell.clip_skip, cell.prompt_syntax): None
            for cell in cells
            for text in (cell.prompt, cell.negative_prompt)
        }
        all_texts |= {("", cell.clip_skip, None): None for cell in cells}  # which others lean on
        self._latest.hold(all_texts)
        new = [how for how in all_texts if how not in self._latest]
        empty = {("", clip_skip, None): None for _, clip_skip, _ in new}
        self._rows = encode_rows(self.pipe.tokenizer, self.pipe.text_encoder, [*new, *empty])
        for how in (*new, *empty):
            self.encode(*how)

    def encode_both(self, cell: Recipe) -> tuple[torch.Tensor, torch.Tensor]:
        """Encodes prompt and negative prompt, the shorter filled up with empty texts.

        Returns
        -------
        two tensors (1, tokens, width)
        """
        how = cell.clip_skip, cell.prompt_syntax
        texts = [self.encode(text, *how) for text in (cell.prompt, cell.negative_prompt)]
        length = max(text.shape[1] for text in texts)
        cond, uncond = (
            text
            if text.shape[1] == length
            else fill_up(text, self.encode("", cell.clip_skip), length)
            for text in texts
        )
        return cond, uncond

    def encode(self, prompt: str, clip_skip: int, syntax: str | None = None) -> torch.Tensor:
        """Encodes a prompt as `encode_prompt` does: (1, tokens, width)."""
        how = prompt, clip_skip, syntax
        return self._latest.get(
            how,
            lambda: encode_prompt(self.pipe.tokenizer, self.pipe.text_encoder, *how, self._rows),
        )


@torch.inference_mode()
def encode_prompt(
    tokenizer: Any,
    text_encoder: Any,
    prompt: str,
    clip_skip: int = 0,
    syntax: str | None = None,
    rows: Rows | None = None,
) -> torch.Tensor:
    """Encodes one prompt, row by row, so that its bits depend on nothing else.

    A token of weight w becomes empty + w (token - empty), where `empty` stands at the same place of
    the encoded empty prompt: 0 takes its meaning away, and the end marks and padding keep theirs.
    ComfyUI weighs so (its sd1_clip.py); A1111 multiplies the token itself, and then the whole text
    so that its mean is what it was. `rows` are those that are encoded already.

    Returns
    -------
    tensor (1, tokens, width)
    """
    encoded = []
    for row in fill_rows(tokenizer, prompt, syntax):
        tokens, weights = zip(*row)
        text = (rows or {}).get((tokens, clip_skip))  # (1, tokens, width)
        if text is None:
            ids = torch.tensor([tokens], device=text_encoder.device)
            text = encode_row(text_encoder, ids, clip_skip)
        if any(weight != 1 for weight in weights):
            weight = torch.tensor([weights], device=text_encoder.device)[..., None]
            empty = encode_prompt(tokenizer, text_encoder, "", clip_skip, None, rows).float()
            weighed = (empty + weight * (text.float() - empty)).to(text.dtype)
            text = torch.where(weight == 1, text, weighed)
        encoded.append(text)
    return torch.cat(encoded, dim=1)


@torch.inference_mode()
def encode_rows(
    tokenizer: Any, text_encoder: Any, texts: Sequence[tuple[str, int, str | None]]
) -> Rows:
    """Encodes all rows of (prompt, clip_skip, syntax), in calls of one size, which is filled up."""
    wanted: dict[int, dict[tuple[int, ...], None]] = {}
    for text, clip_skip, syntax in texts:
        for row in fill_rows(tokenizer, text, syntax):
            wanted.setdefault(clip_skip, {})[tuple(token for token, _ in row)] = None
    rows: Rows = {}
    for clip_skip, each in wanted.items():
        for start in range(0, len(each), ROWS):
            part = list(each)[start : start + ROWS]
            full = [*part, *part[-1:] * (ROWS - len(part))]
            ids = torch.tensor(full, device=text_encoder.device)  # (ROWS, tokens)
            encoded = encode_row(text_encoder, ids, clip_skip).split(1)
            rows |= {(row, clip_skip): text for row, text in zip(part, encoded)}
    return rows


def fill_up(text: torch.Tensor, empty: torch.Tensor, length: int) -> torch.Tensor:
    """Puts empty texts behind an encoded one, up to `length` tokens, a multiple of theirs."""
    return torch.cat([text] + [empty] * ((length - text.shape[1]) // empty.shape[1]), dim=1)


def encode_row(text_encoder: Any, ids: torch.Tensor, clip_skip: int) -> torch.Tensor:
    """Encodes token numbers (B, tokens): the last layer's (B, tokens, width), or one before it."""
    if not clip_skip:
        return text_encoder(ids)[0]
    hidden = text_encoder(ids, output_hidden_states=True).hidden_states[-(clip_skip + 1)]
    return getattr(text_encoder, "text_model", text_encoder).final_layer_norm(hidden)
