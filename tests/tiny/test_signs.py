"""The world of signs, and what reads them."""

import random
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sdlab import measure
from sdlab.results.scorers.signs import find_said
from sdlab.tiny.lettering import read_sign
from sdlab.tiny.signs import BOARDS, HELD_OUT, INK, KINDS, SHOWN, SIDE, WORDS
from training.signs import FRAME, GROUNDS, make_sign, paint_sign


def paint(*words, kind="card", color="red"):
    return paint_sign(kind, color, words, "gray")


def test_a_third_of_300_words_is_held_out_of_every_length_and_war_among_them():
    assert Counter(map(len, WORDS)) == {1: 26, 2: 42, 3: 58, 4: 58, 5: 58, 6: 58}
    assert Counter(map(len, HELD_OUT)) == {1: 8, 2: 14, 3: 20, 4: 19, 5: 19, 6: 20}
    assert len(set(WORDS)) == 300 and not {*FRAME} & {*WORDS}
    assert "war" in HELD_OUT and "no" in SHOWN


def test_every_letter_is_shown_at_two_places_of_a_word_or_more():
    places = {(letter, place) for word in SHOWN for place, letter in enumerate(word)}
    counts = Counter(letter for letter, _ in places)
    assert len(counts) == 26 and min(counts.values()) >= 2


def test_training_writes_shown_words_only_and_names_the_others_as_what_it_is_about():
    rng = random.Random(1)
    signs = [make_sign(rng) for _ in range(400)]
    assert {word for sign in signs for word in sign.words} <= {*SHOWN}
    about = {sign.caption.partition(", ")[2] for sign in signs} - {""}
    assert about & {*HELD_OUT} and about & {*SHOWN}
    assert {len(sign.words) for sign in signs} == {1, 2}
    assert all(find_said(sign.caption) == " ".join(sign.words) for sign in signs)


def test_the_reader_reads_every_word_that_is_painted():
    rng = random.Random(2)
    signs = [make_sign(rng, (word,)) for word in WORDS]
    signs += [make_sign(rng, tuple(rng.sample(WORDS, 2))) for _ in range(700)]
    assert [sign.words for sign in signs if read_sign(sign.image) != sign.words] == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("color", BOARDS)
def test_the_reader_knows_kinds_colours_and_sizes_and_bears_noise(kind, color):
    picture = paint("quiz", "by", kind=kind, color=color)
    noise = np.random.default_rng(0).normal(0, 20, picture.shape)
    noisy = Image.fromarray((picture + noise).clip(0, 255).astype(np.uint8))
    assert read_sign(noisy) == read_sign(noisy.resize((256, 256))) == ("quiz", "by")


def test_every_letter_is_told_from_every_other():
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    for n in range(0, 26, 5):
        part = (alphabet + "abcd")[n : n + 5]
        assert read_sign(paint(part)) == (part,)
        changed = part[:2] + alphabet[(n + 9) % 26] + part[3:]
        assert read_sign(paint(changed)) == (changed,) != (part,)


def test_a_mark_that_is_no_letter_is_not_taken_for_one():
    picture = paint("war")
    picture[25:39, 17:22] = picture[25:39, 17:22].transpose(1, 0, 2).reshape(14, 5, 3)
    assert read_sign(picture) == ("w?r",)
    blot = paint("war")
    blot[24:40, 8:16] = 248
    assert read_sign(blot) == ("?ar",)


@pytest.mark.parametrize("ground", GROUNDS)
def test_on_an_empty_board_and_on_a_plain_picture_nothing_is_read(ground):
    board = paint_sign("sign", "blue", ("i",), ground)
    board[24:40, 8:16] = BOARDS["blue"]
    assert read_sign(board) == ()
    assert read_sign(np.full((64, 64, 3), 90, np.uint8)) == ()


def test_a_picture_of_the_letters_own_colour_says_nothing():
    assert read_sign(np.full((SIDE, SIDE, 3), INK, np.uint8)) == ()


@pytest.mark.parametrize(
    "prompt, asked",
    [
        ("a sign that says war on a table", None),
        ("a sign that says harbour", None),
        ("a sign that says no war", "no war"),
    ],
)
def test_what_no_sign_has_room_for_is_not_asked(prompt, asked):
    assert find_said(prompt) == asked


@pytest.mark.parametrize("word", ["harbour", "", "naïve", "No", "a1"])
def test_what_the_font_cannot_write_is_refused(word):
    with pytest.raises(ValueError, match="one to six letters"):
        paint(word)


def test_the_scorer_compares_what_is_read_with_what_the_prompt_says(tmp_path):
    painted = {"no war": ("no", "war"), "cat": ("car",), "sun": ()}
    prompts = {
        "no war": "A RED banner that says  No War",
        "cat": "a card that says cat, dog",
        "sun": "a sign",
    }
    for name, words in painted.items():
        Image.fromarray(paint(*words)).save(tmp_path / f"{name}.png")
    frame = pd.DataFrame(
        {
            "path": [str(tmp_path / f"{name}.png") for name in painted] + [None],
            "prompt": [*prompts.values(), "a card that says hi"],
        }
    )
    scores = measure(frame, "signs", progress=False)
    assert scores["signs_read"].fillna("-").tolist() == ["no war", "car", "", "-"]
    assert scores["signs_asked"].fillna("-").tolist() == ["no war", "cat", "-", "hi"]
    assert scores["signs_right"].tolist() == [True, False, pd.NA, pd.NA]
    assert scores["signs_likeness"].tolist()[:2] == [1, pytest.approx(2 / 3)]
    assert scores["signs_clear"].tolist() == [True, True, pd.NA, pd.NA]
