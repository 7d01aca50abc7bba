"""What a model makes of the words of a prompt: those it never saw, and the pieces it reads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ...models.resolve import Native, native
from ...recipe.prompts import split_at_words
from ...recipe.request import Request
from ...render.notes import learn_words
from ...results.frame import count_noun
from ...results.scorers.tokens import read_prompt
from ...tiny.world import WORLDS, list_shown_words

WORD = re.compile(r"[^\W\d_]+")
MOST = 8  # prompts that are taken apart, and words that are named


def describe_strange_words(requests: Iterable[Request], names: Sequence[str]) -> dict[str, str]:
    """Says at each prompt which of its words an embedded model was never shown."""
    notes: dict[str, dict[str, dict[str, None]]] = {}
    for model, words, *prompts in dict.fromkeys(
        (r.model, r.textual_inversion, *(getattr(r, name) for name in names)) for r in requests
    ):
        if model in WORLDS:
            for name, prompt in zip(names, prompts):
                found = notes.setdefault(name, {}).setdefault(model, {})
                found |= dict.fromkeys(find_strange_words(model, prompt, words))
    told = {
        name: "; ".join(describe_words(model, list(found)) for model, found in of.items() if found)
        for name, of in notes.items()
    }
    return {name: text for name, text in told.items() if text}


def describe_words(model: str, words: Sequence[str]) -> str:
    """Names the words that a model was never shown."""
    more = f" and {len(words) - MOST} more" if len(words) > MOST else ""
    return f"{model} was never shown: {', '.join(words[:MOST])}{more}"


def find_strange_words(model: str, prompt: str, learned: str | None) -> list[str]:
    """Finds the words of which the captions of an embedded model's pictures told nothing."""
    known = list_shown_words(WORLDS[model])
    texts = (plain for plain, _ in split_at_words(prompt, name_learned(native(model), learned)))
    return [word for text in texts for word in WORD.findall(text.lower()) if word not in known]


def name_learned(own: Native, learned: str | None) -> list[str]:
    """Names the words that textual inversions bring."""
    return [word for _, word, _ in learn_words(own, learned).swaps.embeddings] if learned else []


def list_pieces(requests: Iterable[Request]) -> list[tuple[str, str, str, str]]:
    """Lists how models read prompts: (model, prompt, its pieces, what is said of their number)."""
    asked = dict.fromkeys(
        (r.model, r.textual_inversion, r.prompt, r.prompt_syntax) for r in requests
    )
    return [(key[0], key[2], *tell_pieces(*key)) for key in list(asked)[:MOST]]


def tell_pieces(
    model: str, learned: str | None, prompt: str, syntax: str | None
) -> tuple[str, str]:
    """Tells a prompt's pieces, a bar between those of one word, and how many there are."""
    found = read_prompt(model, learned, prompt, syntax)
    if "tokens_error" in found:
        return "", str(found["tokens_error"])
    cut = f"; not read: {found['tokens_cut']}" if found["tokens_cut"] else ""
    return str(found["tokens_pieces"]), f"{count_noun(found['tokens_count'], 'token')}{cut}"
