"""A real CLIPTokenizer: a word of the world, or an everyday one, is one token, others are bytes."""

import itertools
import json
from collections import Counter
from pathlib import Path

from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTokenizer

from sdlab.tiny.scenes import BACKGROUNDS, SCENES
from sdlab.tiny.signs import WORDS as WRITTEN
from sdlab.tiny.sprites import COLORS, SHAPES
from sdlab.tiny.world import V1, World, pluralise
from training.signs import FRAME, SignWorld
from training.words import EVERYDAY_WORDS

MAX_LENGTH = 77
END = "<|endoftext|>"


def list_words(world: World | SignWorld = V1) -> list[str]:
    """List every word that is merged to one token, sorted; the first world's emoji always are."""
    if isinstance(world, SignWorld):
        return [] if world.is_spelt else sorted({*FRAME, *WRITTEN})
    found = {*EVERYDAY_WORDS, *COLORS, *BACKGROUNDS}
    found |= {form for name in {*V1.names, *world.names} for form in (name, pluralise(name))}
    found |= {form for shape in SHAPES for form in (shape, shape + "s")}
    found |= {
        word
        for scene in {*V1.scenes, *world.scenes}
        for phrase in SCENES[scene]
        for word in phrase.split()
    }
    return sorted(
        word for word in found if word.isalpha()
    )  # "don't" and "red-haired" are several tokens, as in CLIP


def merge_pair(pieces: list[str], pair: tuple[str, str]) -> list[str]:
    """The pieces of a word after joining each occurrence of `pair`."""
    out, i = [], 0
    while i < len(pieces):
        joined = tuple(pieces[i : i + 2]) == pair
        out.append("".join(pair) if joined else pieces[i])
        i += 2 if joined else 1
    return out


def find_merges(vocabulary_words: list[str]) -> list[tuple[str, str]]:
    """Merges, most frequent pair first, until each word is one piece."""
    split = {word: [*word[:-1], word[-1] + "</w>"] for word in vocabulary_words}
    merges = []
    while counts := Counter(
        pair for pieces in split.values() for pair in itertools.pairwise(pieces)
    ):
        pair = max(counts, key=lambda p: (counts[p], -len(p[0] + p[1]), p))
        merges.append(pair)
        split = {word: merge_pair(pieces, pair) for word, pieces in split.items()}
    return merges


def make_vocabulary(merges: list[tuple[str, str]]) -> dict[str, int]:
    letters = sorted(ByteLevel.alphabet())
    tokens = [
        *letters,
        *(c + "</w>" for c in letters),
        *(a + b for a, b in merges),
        "<|startoftext|>",
        END,
    ]
    return {token: i for i, token in enumerate(dict.fromkeys(tokens))}


def make_special(text: str) -> dict:
    return dict(
        content=text,
        lstrip=False,
        normalized=True,
        rstrip=False,
        single_word=False,
        __type="AddedToken",
    )


def save_tokenizer(folder: Path, world: World | SignWorld = V1, pad: str = END) -> CLIPTokenizer:
    """Write vocab.json, merges.txt and tokenizer_config.json, and return what loads from them.

    Merges that make words of captions would join letters of other words too. Where words are to
    fall into letters, those of captions are therefore added beside the merges.
    """
    folder.mkdir(parents=True, exist_ok=True)
    merges = find_merges(list_words(world))
    vocabulary = make_vocabulary(merges)
    config = dict(
        add_prefix_space=False,
        bos_token=make_special("<|startoftext|>"),
        eos_token=make_special(END),
        unk_token=make_special(END),
        pad_token=pad,
        do_lower_case=True,
        errors="replace",
        model_max_length=MAX_LENGTH,
        tokenizer_class="CLIPTokenizer",
    )
    if isinstance(world, SignWorld) and world.is_spelt:
        config["added_tokens_decoder"] = {
            str(len(vocabulary) + i): dict(content=word, single_word=True, normalized=True)
            for i, word in enumerate(FRAME)
        }
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1))
    return CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)
