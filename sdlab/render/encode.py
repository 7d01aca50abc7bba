"""Prompts as tensors: by one text encoder, or SDXL's two, one row at a time, the latest ones kept.

On a graphics card, which takes as long for one row as for many, rows are encoded in calls of one
constant size: a row's bits depend on that size, not on its neighbours.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..models.locate import name_tokenizer
from ..models.loras import find_encoders
from ..models.tasks import is_xl
from ..recipe.prompts import fill_rows
from ..recipe.request import Recipe

KEPT = 256  # encoded prompts; one of the real size takes 0.1 MB in half precision, of SDXL 0.3
ZEROS = "force_zeros_for_empty_prompt"
ROWS = 16  # in a call of the text encoder on a card


@dataclass(frozen=True)
class Text:
    """What a UNet reads of a prompt, or of several.

    Parameters
    ----------
    words : tensor (B, tokens, width)
    pooled : tensor (B, width), optional
        Of the text as a whole, which SDXL reads, too.
    """

    words: torch.Tensor
    pooled: torch.Tensor | None = None

    @classmethod
    def join(cls, texts: Sequence[Text]) -> Text:
        """Joins the texts of several cells."""
        pooled = [each.pooled for each in texts if each.pooled is not None]
        return cls(torch.cat([each.words for each in texts]), torch.cat(pooled) if pooled else None)

    def mix(self, other: Text, mix: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Text:
        """Mixes each row with the other text's."""
        pooled = None
        if self.pooled is not None and other.pooled is not None:
            pooled = mix(self.pooled, other.pooled)
        return Text(mix(self.words, other.words), pooled)


@dataclass(frozen=True)
class Encoder:
    """A text encoder with its tokenizer.

    Parameters
    ----------
    name : str
        Of the pipeline's part.
    early : bool
        SDXL's: read is the last layer but one, without the norm behind the last.
    """

    name: str
    tokenizer: Any
    network: Any
    early: bool = False


Rows = dict[tuple[str, tuple[int, ...], int], Text]  # {(encoder, token numbers, clip_skip): text}


def list_encoders(pipe: Any) -> list[Encoder]:
    """Lists the text encoders of a pipeline, in the order in which the UNet reads them."""
    early = is_xl(type(pipe).__name__)
    return [
        Encoder(name, getattr(pipe, name_tokenizer(name)), network, early)
        for name, network in find_encoders(pipe).items()
    ]


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
        self._rows = {}
        for encoder in list_encoders(self.pipe):
            self._rows |= encode_rows(encoder, [*new, *empty])
        for how in (*new, *empty):
            self.encode(*how)

    def encode_both(self, cell: Recipe) -> tuple[Text, Text]:
        """Encodes prompt and negative prompt, the shorter filled up with empty texts.

        Where the model asks for that, as SDXL does, no negative prompt is all zeros.
        """
        how = cell.clip_skip, cell.prompt_syntax
        cond, uncond = (self.encode(text, *how) for text in (cell.prompt, cell.negative_prompt))
        length = max(text.words.shape[1] for text in (cond, uncond))
        if {cond.words.shape[1], uncond.words.shape[1]} != {length}:
            empty = self.encode("", cell.clip_skip)
            cond, uncond = (fill_up(text, empty, length) for text in (cond, uncond))
        if not cell.negative_prompt and getattr(self.pipe.config, ZEROS, False):
            uncond = cond.mix(cond, lambda own, _: torch.zeros_like(own))
        return cond, uncond

    def encode(self, prompt: str, clip_skip: int, syntax: str | None = None) -> Text:
        """Encodes a prompt as `encode_prompt` does, by all encoders side by side."""
        how = prompt, clip_skip, syntax

        def encode() -> Text:
            encoders = list_encoders(self.pipe)
            texts = [encode_prompt(encoder, *how, self._rows) for encoder in encoders]
            words = torch.cat([text.words for text in texts], dim=-1)
            return Text(words, texts[-1].pooled)

        return self._latest.get(how, encode)


@torch.inference_mode()
def encode_prompt(
    encoder: Encoder,
    prompt: str,
    clip_skip: int = 0,
    syntax: str | None = None,
    rows: Rows | None = None,
) -> Text:
    """Encodes one prompt, row by row, so that its bits depend on nothing else.

    A token of weight w becomes empty + w (token - empty), where `empty` stands at the same place of
    the encoded empty prompt: 0 takes its meaning away, and the end marks and padding keep theirs.
    ComfyUI weighs so (its sd1_clip.py); A1111 multiplies the token itself, and then the whole text
    so that its mean is what it was. The text as a whole is that of the first row, without weights,
    as ComfyUI's. `rows` are those that are encoded already.
    """
    encoded, pooled = [], []
    for row in fill_rows(encoder.tokenizer, prompt, syntax):
        tokens, weights = zip(*row)
        text = (rows or {}).get((encoder.name, tokens, clip_skip))
        if text is None:
            ids = torch.tensor([tokens], device=encoder.network.device)
            text = encode_row(encoder, ids, clip_skip)
        words = text.words  # (1, tokens, width)
        if any(weight != 1 for weight in weights):
            weight = torch.tensor([weights], device=words.device)[..., None]
            empty = encode_prompt(encoder, "", clip_skip, None, rows).words.float()
            weighed = (empty + weight * (words.float() - empty)).to(words.dtype)
            words = torch.where(weight == 1, words, weighed)
        encoded.append(words)
        pooled.append(text.pooled)
    return Text(torch.cat(encoded, dim=1), pooled[0])


@torch.inference_mode()
def encode_rows(encoder: Encoder, texts: Sequence[tuple[str, int, str | None]]) -> Rows:
    """Encodes all rows of (prompt, clip_skip, syntax), in calls of one size, which is filled up."""
    wanted: dict[int, dict[tuple[int, ...], None]] = {}
    for text, clip_skip, syntax in texts:
        for row in fill_rows(encoder.tokenizer, text, syntax):
            wanted.setdefault(clip_skip, {})[tuple(token for token, _ in row)] = None
    rows: Rows = {}
    for clip_skip, each in wanted.items():
        for start in range(0, len(each), ROWS):
            part = list(each)[start : start + ROWS]
            full = [*part, *part[-1:] * (ROWS - len(part))]
            ids = torch.tensor(full, device=encoder.network.device)  # (ROWS, tokens)
            encoded = encode_row(encoder, ids, clip_skip)
            pooled = [None] * ROWS if encoded.pooled is None else encoded.pooled.split(1)
            texts_of_part = map(Text, encoded.words.split(1), pooled)
            rows |= {(encoder.name, row, clip_skip): t for row, t in zip(part, texts_of_part)}
    return rows


def fill_up(text: Text, empty: Text, length: int) -> Text:
    """Puts empty texts behind an encoded one, up to `length` tokens, a multiple of theirs."""
    count = (length - text.words.shape[1]) // empty.words.shape[1]
    return Text(torch.cat([text.words] + [empty.words] * count, dim=1), text.pooled)


def encode_row(encoder: Encoder, ids: torch.Tensor, clip_skip: int) -> Text:
    """Encodes token numbers (B, tokens): the last layer's states, or those of one before it."""
    network = encoder.network
    if encoder.early:
        found = network(ids, output_hidden_states=True)
        pooled = pool_states(encoder, ids, found.last_hidden_state)
        return Text(found.hidden_states[-(clip_skip + 2)], pooled)
    if not clip_skip:
        return Text(network(ids)[0])
    hidden = network(ids, output_hidden_states=True).hidden_states[-(clip_skip + 1)]
    return Text(getattr(network, "text_model", network).final_layer_norm(hidden))


def pool_states(encoder: Encoder, ids: torch.Tensor, states: torch.Tensor) -> torch.Tensor | None:
    """Projects the states at the first mark of the end, (B, width); None without a projection.

    As transformers does it, but for learned words: of models that state 2 for the mark, as SDXL's
    do, it takes the highest number for it, which with such a word is the word's.
    """
    if not hasattr(encoder.network, "text_projection"):
        return None
    at = (ids == encoder.tokenizer.eos_token_id).int().argmax(1)
    rows = torch.arange(len(ids), device=ids.device)
    return encoder.network.text_projection(states[rows, at])
