"""Puts other parts into a loaded pipeline, and its own back, without reading the UNet again.

LoRAs are never fused with the weights, because taking them out again would leave rounding behind;
what is changed in place (the words of the text encoder, the VAE, the tokenizer) is kept and put
back as it was. So a cell without such parts has the same bits before and after.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .checkpoint import build_vae, convert_vae, fill_network, read_originals
from .locate import name_tokenizer, tell_variant
from .loras import Layer, find_encoders, list_layers, load_lora, read_lora
from .memory import is_out_of_memory
from .parts import Vae, read_embedding
from .resolve import OWN, Swaps
from .tiling import set_tiling


@dataclass
class OwnParts:
    """What a pipeline came with, and what stands in its place now."""

    vae: Any
    tokenizers: Mapping[str, Any]  # {text encoder: its own}
    words: Mapping[str, Any]  # {text encoder: its embeddings of tokens}
    layers: Mapping[str, Layer]  # that LoRAs can change
    swaps: Swaps | None = OWN

    @classmethod
    def of(cls, pipe: Any) -> OwnParts:
        """Keeps the parts of a pipeline in which nothing was exchanged yet."""
        encoders = find_encoders(pipe)
        tokenizers = {name: getattr(pipe, name_tokenizer(name)) for name in encoders}
        words = {name: each.get_input_embeddings() for name, each in encoders.items()}
        return cls(pipe.vae, tokenizers, words, list_layers({"unet": pipe.unet} | encoders))


def exchange_parts(pipe: Any, own: OwnParts, swaps: Swaps) -> None:
    """Puts parts into a pipeline, and back what they do not replace.

    A pipeline that they do not fit stays its own. LoRAs whose scales alone differ are not read
    again.

    Raises
    ------
    ValueError
        Some part does not fit the model after all.
    """
    try:
        change_parts(pipe, own, swaps)
    except BaseException:
        own.swaps = None  # it is not known how far it came
        change_parts(pipe, own, OWN)
        raise


def change_parts(pipe: Any, own: OwnParts, swaps: Swaps) -> None:
    """Changes the parts that are in the pipeline to these."""
    before, own.swaps = own.swaps, swaps
    encoders = find_encoders(pipe)
    if before is None or before.tiling:
        set_tiling((pipe.unet, pipe.vae), None)
    if before is None or swaps.vae != before.vae:
        pipe.vae = read_vae(swaps.vae[0], own.vae) if swaps.vae else own.vae
    if before is None or swaps.embeddings != before.embeddings:
        for name, encoder in encoders.items():
            words = own.words[name]
            more = add_words(own.tokenizers[name], swaps, words.num_embeddings)
            setattr(pipe, name_tokenizer(name), more)
            encoder.set_input_embeddings(add_vectors(words, swaps, name))
    if before is None or [part[2] for part in swaps.loras] != [part[2] for part in before.loras]:
        if any(hasattr(part, "peft_config") for part in (pipe.unet, *encoders.values())):
            pipe.unload_lora_weights()
        for file, _, name in swaps.loras:
            add_lora(pipe, own.layers, file, name)
    if swaps.loras:
        pipe.set_adapters([part[2] for part in swaps.loras], [part[1] for part in swaps.loras])
    if swaps.tiling:
        set_tiling((pipe.unet, pipe.vae), swaps.tiling)


# VAE


def read_vae(vae: Vae, own: Any) -> Any:
    """Reads a VAE onto the device and into the number format of the model's own."""
    import diffusers
    import torch

    if vae.path.is_dir():
        made = getattr(diffusers, vae.kind).from_pretrained(
            vae.path, variant=tell_variant(vae.path), dtype=own.dtype, local_files_only=True
        )
    else:
        made = build_vae(vae.config)
        fill_network(made, convert_vae(made, read_originals(vae.path)), own.dtype)
    kernel = next(each for each in own.parameters() if each.ndim == 4)
    channels_last = kernel.is_contiguous(memory_format=torch.channels_last)
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    return made.eval().to(own.device, memory_format=memory_format)


# Textual inversion


def add_words(tokenizer: Any, swaps: Swaps, known: int) -> Any:
    """Makes a tokenizer that carries the words of textual inversions, as `learned_words`.

    They are {word: numbers of its vectors}, which follow the `known` rows of the text encoder.
    `recipe.prompts` finds them, as whole words alone; the tokenizer itself would in others too.
    """
    if not swaps.embeddings:
        return tokenizer
    more, vocabulary = copy.copy(tokenizer), {*tokenizer.get_vocab()}
    more.learned_words = {}
    for file, token, _ in swaps.embeddings:
        if f"{token.lower()}</w>" in vocabulary or token in tokenizer.get_added_vocab():
            raise ValueError(
                f"textual_inversion: {file} stands for {token!r}, but the model knows {token!r}"
                f" already; say another token for it: 'my-{token}={file}'"
            )
        vectors = next(iter(read_embedding(file)[1].values()))
        numbers = range(known, known := known + len(vectors))
        more.learned_words[token] = [*numbers]
    return more


def add_vectors(words: Any, swaps: Swaps, encoder: str) -> Any:
    """Makes a text encoder's embeddings of all tokens, those of textual inversions at the end."""
    import torch

    if not swaps.embeddings:
        return words
    own = words.weight.detach()
    added = [read_embedding(file)[1][encoder] for file, *_ in swaps.embeddings]
    return torch.nn.Embedding.from_pretrained(torch.cat([own, *(each.to(own) for each in added)]))


# LoRA


def add_lora(pipe: Any, layers: Mapping[str, Layer], file: Path, name: str) -> None:
    """Adds a LoRA to UNet and text encoders, under that name and at scale 1."""
    try:
        pairs = read_lora(file, layers)
        with warnings.catch_warnings(action="ignore"):  # peft's, of a second LoRA
            load_lora(pipe, pairs, name)
    except Exception as error:  # diffusers and peft have many ways to say so
        if is_out_of_memory(error):  # which is no fault of the file
            raise
        raise ValueError(
            f"lora: {file} does not fit the model ({type(error).__name__}: {error!s:.300})"
        ) from None
    networks = pipe.unet, *find_encoders(pipe).values()
    parts = [part for network in networks for part in network.modules()]
    changed = [part for part in parts if name in getattr(part, "lora_A", ())]
    if len(changed) != len(pairs):
        raise ValueError(
            f"lora: {file} changes {len(pairs)} layers of this model, and diffusers changed"
            f" {len(changed)}"
        )
