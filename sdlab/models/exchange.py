"""Puts other parts into a loaded pipeline, and its own back, without reading the UNet again.

LoRAs are never fused with the weights, because taking them out again would leave rounding behind;
what is changed in place (the words of the text encoder, the VAE, the tokenizer) is kept and put
back as it was. So a cell without such parts has the same bits before and after.
"""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .checkpoint import build_vae, convert_vae, fill_network, read_originals
from .locate import tell_variant
from .parts import Vae, read_downs, read_embedding
from .pickles import read_tensors
from .resolve import OWN, Swaps


@dataclass
class OwnParts:
    """What a pipeline came with, and what stands in its place now."""

    vae: Any
    tokenizer: Any
    words: Any  # the text encoder's embeddings of tokens
    swaps: Swaps | None = OWN

    @classmethod
    def of(cls, pipe: Any) -> OwnParts:
        """Keeps the parts of a pipeline in which nothing was exchanged yet."""
        return cls(pipe.vae, pipe.tokenizer, pipe.text_encoder.get_input_embeddings())


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
    if before is None or swaps.vae != before.vae:
        pipe.vae = read_vae(swaps.vae[0], own.vae) if swaps.vae else own.vae
    if before is None or swaps.embeddings != before.embeddings:
        pipe.tokenizer = add_words(own.tokenizer, swaps)
        pipe.text_encoder.set_input_embeddings(add_vectors(own.words, swaps))
    if before is None or [part[2] for part in swaps.loras] != [part[2] for part in before.loras]:
        if any(hasattr(part, "peft_config") for part in (pipe.unet, pipe.text_encoder)):
            pipe.unload_lora_weights()
        for file, _, name in swaps.loras:
            add_lora(pipe, file, name)
    if swaps.loras:
        pipe.set_adapters([part[2] for part in swaps.loras], [part[1] for part in swaps.loras])


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


def add_words(tokenizer: Any, swaps: Swaps) -> Any:
    """Makes a tokenizer that knows the tokens of textual inversions.

    They are "cat-toy", and "cat-toy_1" on for further vectors, as diffusers names them;
    `recipe.prompts` puts the further ones behind the first.
    """
    if not swaps.embeddings:
        return tokenizer
    more = copy.deepcopy(tokenizer)
    for file, token, _ in swaps.embeddings:
        names = [token, *(f"{token}_{i}" for i in range(1, len(read_embedding(file)[1])))]
        if taken := next((name for name in names if name in more.get_vocab()), None):
            raise ValueError(
                f"textual_inversion: {file} stands for {token!r}, but the model knows {taken!r}"
                f" already; say another token for it: 'my-{token}={file}'"
            )
        more.add_tokens(names)
    return more


def add_vectors(words: Any, swaps: Swaps) -> Any:
    """Makes embeddings of all tokens, those of textual inversions behind the model's own."""
    import torch

    if not swaps.embeddings:
        return words
    own = words.weight.detach()
    added = [read_embedding(file)[1].to(own.device, own.dtype) for file, *_ in swaps.embeddings]
    return torch.nn.Embedding.from_pretrained(torch.cat([own, *added]))


# LoRA


def add_lora(pipe: Any, file: Path, name: str) -> None:
    """Adds a LoRA to UNet and text encoder, under that name and at scale 1."""
    safe = file.suffix.lower() == ".safetensors"
    source = (file.parent, {"weight_name": file.name}) if safe else (read_tensors(file), {})
    try:
        with warnings.catch_warnings(action="ignore"):  # peft's, of a second LoRA
            pipe.load_lora_weights(source[0], adapter_name=name, local_files_only=True, **source[1])
    except Exception as error:  # diffusers and peft have many ways to say so
        raise ValueError(
            f"lora: {file} does not fit the model ({type(error).__name__}: {error!s:.300})"
        ) from None
    parts = [*pipe.unet.modules(), *pipe.text_encoder.modules()]
    layers, changed = [p for p in parts if name in getattr(p, "lora_A", ())], len(read_downs(file))
    if len(layers) != changed:
        raise ValueError(
            f"lora: {file} changes {changed} layers, and this model has {len(layers)} of"
            " them; it was made for another kind of model, or trained in a way that diffusers does"
            " not read"
        )
