"""The two models of signs: their tokens, and what they spell."""

import json

import pytest
from transformers import CLIPTokenizer

from sdlab import measure, probe, run
from sdlab.tiny import TINY_LETTERS, TINY_SIGNS
from sdlab.tiny.signs import WORDS
from training.signs import FRAME


def open_tokenizer(folder):
    return CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)


def test_to_one_model_a_word_is_a_token_and_to_the_other_its_letters():
    words, letters = map(open_tokenizer, (TINY_SIGNS, TINY_LETTERS))
    assert [word for word in (*WORDS, *FRAME) if len(words.tokenize(word)) != 1] == []
    spelt = [word for word in WORDS if letters.tokenize(word) != [*word[:-1], f"{word[-1]}</w>"]]
    assert spelt == [] and [word for word in FRAME if len(letters.tokenize(word)) != 1] == []
    assert letters.tokenize("reds") == ["r", "e", "d", "s</w>"]  # what begins as a caption's word


def test_upper_case_is_the_same_words_to_both():
    for tokenizer in map(open_tokenizer, (TINY_SIGNS, TINY_LETTERS)):
        loud, quiet = (tokenizer(text).input_ids for text in ("A Banner NO WAR", "a banner no war"))
        assert loud == quiet


@pytest.fixture(scope="module")
def spelt(tmp_path_factory):
    """What both models write for a few words of each arm."""
    cells = [cell for cell in probe("tiny-lettering", seed=0) if hash_word(cell.prompt) == 0]
    frame = run(cells, tmp_path_factory.mktemp("store"), progress=False)
    return measure(frame, "signs", progress=False)


def hash_word(prompt):
    return sum(map(ord, prompt)) % 4


def test_letters_carry_over_to_words_never_shown_and_whole_words_do_not(spelt):
    unseen = spelt["arm"].str.startswith("never").rename("unseen")
    near = spelt.groupby(["model", unseen])["signs_likeness"].mean()
    assert near["tiny-letters", True] > near["tiny-signs", True] + 0.2
    assert near["tiny-signs", False] > near["tiny-signs", True] + 0.2


def test_both_are_made_alike_but_for_their_tokens():
    parts = ("unet/config.json", "vae/config.json", "scheduler/scheduler_config.json")
    for part in parts:
        assert (TINY_SIGNS / part).read_text() == (TINY_LETTERS / part).read_text()
    vae = "vae/diffusion_pytorch_model.safetensors"
    assert (TINY_SIGNS / vae).read_bytes() == (TINY_LETTERS / vae).read_bytes()
    records = [json.loads((f / "training.json").read_text()) for f in (TINY_SIGNS, TINY_LETTERS)]
    words, letters = (record["denoiser"][-1]["samples"] for record in records)
    assert 0.8 < words / letters < 1.25
