"""What a model makes of a prompt: the pieces it reads."""

from __future__ import annotations

from collections.abc import Iterable

from ...recipe.request import Request
from ...results.frame import count_noun
from ...results.scorers.tokens import read_prompt

MOST = 8  # prompts that are taken apart


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
