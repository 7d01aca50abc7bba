"""Prompts as a text encoder reads them: with weights, "(word:1.2)", and with more than 77 tokens.

Neither is done unless a request asks for it in `prompt_syntax`, because brackets are plain
characters to diffusers, and because a longer text is another input to the UNet. `render.encode`
says what a weight does.
"""

from __future__ import annotations

import functools
import html
import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any

SYNTAXES = ("weights", "chunks")  # alone, or both: "weights+chunks"
STEP = 1.1  # of (word), and of [word] downwards
MAX_WEIGHT = 10.0
FACTOR = r":\s*([-+]?(?:\d+\.?\d*|\.\d+))\s*"
# escaped character | opens | number, closes
MARK = re.compile(rf"\\([()\[\]\\])|([(\[])|(?:{FACTOR})?([)\]])")
ELSEWHERE = (  # what A1111's syntax has besides; read as plain text it would pass unnoticed
    (
        re.compile(r"<(?:lora|lyco|hypernet):"),
        "an extra network; take it out of the prompt and say lora='path'",
    ),
    (re.compile(r"\bAND\b"), "a second prompt; write 'and' for the plain word"),
    (re.compile(r"\bBREAK\b"), "a break between chunks; write 'break' for the plain word"),
    (
        re.compile(r"(?<!\\)\[[^\[\]]*\|[^\[\]]*\]"),
        r"a change between steps; plain brackets are written \[ and \]",
    ),
    (
        re.compile(rf"(?<!\\)\[[^\[\]]*{FACTOR}\]"),
        r"a change between steps; a lower weight is written (word:0.8), plain brackets \[ \]",
    ),
)

ENTITY = r"&(?:[a-zA-Z]{2,8}|#\d{1,7}|#[xX][\da-fA-F]{1,6});"
# what CLIP's own tokenizer mends: quotes, ligatures, characters of another width, and entities
MENDED = re.compile(rf"[\u02bc\u2018-\u201b\u201c-\u201f\ufb00-\ufb06\uff01-\uffdc\u3000]|{ENTITY}")


def normalize_syntax(text: str) -> str:
    """Writes the one spelling of a prompt syntax: "weights", "chunks" or "weights+chunks"."""
    parts = set(re.split(r"[\s+,]+", text.strip().lower()))
    if not parts <= set(SYNTAXES):
        raise ValueError(
            f"prompt_syntax={text!r:.80}; it is 'weights' for (word:1.2), 'chunks' for more than 77"
            " tokens, 'weights+chunks' for both, or None for neither"
        )
    return "+".join(name for name in SYNTAXES if name in parts)


def parse_weights(prompt: str) -> list[tuple[str, float]]:
    r"""Takes the prompt apart into pieces of one weight, without its brackets.

    "a (red:1.2) cat" is "a " 1, "red" 1.2, " cat" 1. A1111's syntax: `(word)` is 1.1, `[word]`
    1/1.1, `(word:1.2)` 1.2; brackets in brackets multiply; `\(`, `\)`, `\[`, `\]` and `\\` are
    plain characters.

    Raises
    ------
    ValueError
        A bracket without its partner, with its place; a weight outside 0 to 10; or what A1111 reads
        and sdlab does not.
    """
    for pattern, meaning in ELSEWHERE:
        if found := pattern.search(prompt):
            raise ValueError(f"{found[0]!r} {describe_place(prompt, found.start())} is {meaning}")
    pieces: list[tuple[str, float]] = []
    opened: list[tuple[int, int]] = []  # (place, first piece within) of each open bracket
    end = 0
    for mark in MARK.finditer(prompt):
        pieces.append((prompt[end : mark.start()] + (mark[1] or ""), 1.0))
        end = mark.end()
        if mark[2]:
            opened.append((mark.start(2), len(pieces)))
        elif mark[4]:
            first = close_bracket(prompt, opened, mark.start(4))
            factor = float(mark[3]) if mark[3] else STEP if mark[4] == ")" else 1 / STEP
            pieces[first:] = [(text, weight * factor) for text, weight in pieces[first:]]
    if opened:
        raise ValueError(describe_lonely(prompt, opened[-1][0]))
    return merge_pieces(prompt, [*pieces, (prompt[end:], 1.0)])


def close_bracket(prompt: str, opened: list[tuple[int, int]], closes: int) -> int:
    """Closes the last open bracket; the first piece within."""
    if not opened:
        raise ValueError(describe_lonely(prompt, closes))
    opens, first = opened.pop()
    if prompt[opens] + prompt[closes] not in ("()", "[]"):
        raise ValueError(
            f"{prompt[opens]!r} {describe_place(prompt, opens)} is closed by {prompt[closes]!r}"
            f" {describe_place(prompt, closes)}"
        )
    return first


def merge_pieces(prompt: str, pieces: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """Joins neighbours of one weight, so that weight 1 everywhere is the plain prompt."""
    out: list[tuple[str, float]] = []
    for text, exact in pieces:
        weight = round(exact, 6)  # ([word]) is 1
        if not 0 <= weight <= MAX_WEIGHT:
            raise ValueError(
                f"{text!r:.80} in {prompt!r:.200} has weight {weight:g}; weights are 0 to"
                f" {MAX_WEIGHT:g}"
            )
        if out and (out[-1][1] == weight or not text):
            out[-1] = out[-1][0] + text, out[-1][1]
        elif text:
            out.append((text, weight))
    return out


def describe_lonely(prompt: str, at: int) -> str:
    """Says that the bracket there has no partner."""
    return (
        f"{prompt[at]!r} {describe_place(prompt, at)} has no partner; a plain bracket is written"
        f" \\{prompt[at]}"
    )


def describe_place(prompt: str, at: int) -> str:
    """Says where that is: the character's number, from 1, and what stands around it."""
    return f"at character {at + 1} of the prompt (…{prompt[max(0, at - 12) : at + 12]}…)"


def list_tokens(tokenizer: Any, prompt: str, syntax: str | None = None) -> list[tuple[int, float]]:
    """Lists the prompt's tokens, without the two that mark its ends, each with its weight."""
    pieces = parse_weights(prompt) if "weights" in (syntax or "") else [(prompt, 1.0)]
    return [(token, weight) for text, weight in pieces for token in read_tokens(tokenizer, text)]


def read_tokens(tokenizer: Any, text: str) -> list[int]:
    """Reads the tokens of a text, each learned word as all of its vectors.

    `tokenizer.learned_words` is {word: numbers of its tokens}, where there are any.
    """
    learned = getattr(tokenizer, "learned_words", {})
    tokens: list[int] = []
    for plain, word in split_at_words(text, learned):
        tokens += tokenizer(plain, add_special_tokens=False, verbose=False)["input_ids"]
        tokens += learned[word] if word else ()
    return tokens


def find_mended(text: str) -> dict[str, str]:
    """Finds what CLIP was trained on in another spelling, {as it stands: as CLIP knows it}.

    The tokenizers of CLIP and open_clip mend a text first, with ftfy and `html.unescape`; that of
    transformers 5 does not (findings/curly-quotes-are-strange-to-clip.sh).
    """
    found = dict.fromkeys(MENDED.findall(text))
    mended = {each: mend_sign(each) for each in found}
    return {each: other for each, other in mended.items() if other != each}


def mend_sign(sign: str) -> str:
    """Writes a character, or an entity, as CLIP's tokenizer mends it."""
    if "\u2018" <= sign <= "\u201b" or sign == "\u02bc":
        return "'"
    if "\u201c" <= sign <= "\u201f":
        return '"'
    return html.unescape(sign) if sign.startswith("&") else unicodedata.normalize("NFKC", sign)


def split_at_words(text: str, words: Iterable[str]) -> Iterator[tuple[str, str | None]]:
    """Yields what stands before each learned word, and the word; at the end the rest, and None.

    Words count in any case, and as whole words alone: "ink" is not in "pink", and it is in "p-ink".
    """
    names, end = tuple(sorted(words, key=len, reverse=True)), 0
    text = unicodedata.normalize("NFC", text) if names else text  # as the tokenizer does
    for found in compile_words(names).finditer(text) if names else ():
        yield text[end : found.start()], names[(found.lastindex or 0) - 1]
        end = found.end()
    yield text[end:], None


@functools.lru_cache(64)
def compile_words(words: tuple[str, ...]) -> re.Pattern[str]:
    """Compiles the pattern that finds learned words, each as a group; the first to fit counts."""
    patterns = []
    for word in words:
        parts = unicodedata.normalize("NFC", word).split()
        begin, end = (r"\b" if re.match(r"\w", edge) else "" for edge in (parts[0], parts[-1][-1]))
        patterns.append(f"({begin}" + r"\s+".join(map(re.escape, parts)) + f"{end})")
    return re.compile("|".join(patterns), re.IGNORECASE)


def write_tokens(tokenizer: Any, tokens: Iterable[int]) -> str:
    """Writes tokens as text again, a learned word where its first vector is."""
    learned = getattr(tokenizer, "learned_words", {})
    names = {n: word * (n == all_[0]) for word, all_ in learned.items() for n in all_}
    runs = itertools.groupby(tokens, names.get)
    return " ".join(tokenizer.decode([*run]) if name is None else name for name, run in runs)


def fill_rows(
    tokenizer: Any, prompt: str, syntax: str | None = None
) -> list[list[tuple[int, float]]]:
    """Lists what the encoder reads, 77 tokens a row, each row with its own ends and padding.

    Parameters
    ----------
    tokenizer : CLIPTokenizer
    prompt : str
    syntax : str, optional
        Without "chunks" there is one row, and the rest is cut.

    Returns
    -------
    list of list of (int, float)
        (token, weight), in rows of `tokenizer.model_max_length`.
    """
    tokens, room = list_tokens(tokenizer, prompt, syntax), tokenizer.model_max_length - 2
    starts = range(0, max(len(tokens), 1), room) if "chunks" in (syntax or "") else [0]
    begin, end = (tokenizer.bos_token_id, 1.0), (tokenizer.eos_token_id, 1.0)
    rows = [[begin, *tokens[start : start + room], end] for start in starts]
    return [row + [(tokenizer.pad_token_id, 1.0)] * (room + 2 - len(row)) for row in rows]
