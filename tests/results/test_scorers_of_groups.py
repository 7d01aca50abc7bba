"""Scorers of several pictures together, of the prompt alone, and of what an engine reads."""

import json
import sys
import types

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import entropy

from sdlab import Request, measure
from sdlab.results.scorers import diversity, lettering
from sdlab.results.scorers.lettering import compare_texts, open_reader

NOISE = np.random.default_rng(0).integers(0, 256, (40, 64, 64, 3), np.uint8)


@pytest.fixture
def frame_of(tmp_path):
    def make(pictures, **columns):
        """A frame of pictures, with the columns given between recipe and path as `run` has labels."""
        paths = []
        for n, picture in enumerate(pictures):
            paths.append(None if picture is None else str(tmp_path / f"{n}.png"))
            if picture is not None:
                Image.fromarray(np.asarray(picture, np.uint8)).save(paths[-1])
        fields = Request(prompt="a cat").to_dict() | {"seed": range(len(paths))}
        return pd.DataFrame(fields | columns | {"path": paths}).convert_dtypes()

    return make


def flat(level, side=64):
    return np.full((side, side, 3), level)


def vendi(pictures):
    return diversity.count_different(
        [diversity.describe_picture(Image.fromarray(np.asarray(p, "u1"))) for p in pictures]
    )


# diversity


def test_alike_pictures_count_as_one_and_noise_as_nearly_as_many_as_there_are(frame_of):
    alike = measure(frame_of([NOISE[0]] * 5), "diversity")
    noise = measure(frame_of(NOISE), "diversity")
    assert alike["diversity_vendi"].tolist() == pytest.approx([1] * 5)
    assert (noise["diversity_vendi"] > 35).all() and (noise["diversity_n"] == 40).all()


def test_the_score_is_the_exponential_of_the_entropy_of_the_kernels_eigenvalues():
    features = [diversity.describe_picture(Image.fromarray(p)) for p in NOISE[:6]]
    kernel = np.array([[(a * b).sum() / 2 for a in features] for b in features])
    assert np.diag(kernel) == pytest.approx(1)
    assert vendi(NOISE[:6]) == pytest.approx(np.exp(entropy(np.linalg.eigvalsh(kernel / 6))))


def test_two_kinds_of_pictures_count_as_two_at_most():
    assert vendi([flat(0)] * 3 + [NOISE[0]] * 3) == pytest.approx(2, abs=0.05)
    ramp = np.repeat(np.arange(64)[None, :, None] * 4, 64, 0).repeat(3, 2)
    assert 1.05 < vendi([ramp, ramp[:, ::-1]]) <= 2.001  # a mirrored picture is another one


def test_diversity_is_of_the_seeds_of_one_recipe(frame_of):
    pictures = [NOISE[0], NOISE[0], NOISE[1], NOISE[2], NOISE[3], None]
    prompts = ["a", "a", "b", "b", "c", "c"]
    out = measure(frame_of(pictures, prompt=prompts, seed=[0, 1] * 3), "diversity")
    assert out["diversity_vendi"].tolist()[:2] == pytest.approx([1, 1])
    assert out["diversity_vendi"].iloc[2] > 1.8
    assert out["diversity_vendi"].isna().tolist() == [False] * 4 + [True] * 2
    arms = measure(frame_of(pictures[:4], prompt="a", arm=["x", "x", "y", "y"]), "diversity")
    assert arms["diversity_n"].tolist() == [2] * 4


def test_what_cannot_be_read_has_no_diversity_and_its_group_is_smaller(frame_of):
    frame = frame_of(NOISE[:3])
    with open(frame["path"].iloc[1], "wb") as file:
        file.write(b"no picture")
    with pytest.warns(UserWarning, match="1 of 3 pictures"):
        out = measure(frame, "diversity")
    assert out["diversity_n"].tolist() == [2, pd.NA, 2]
    assert out["diversity_error"].notna().tolist() == [False, True, False]


# distance


def test_each_arm_is_compared_with_the_first_one_of_its_wording_and_seed(frame_of):
    pictures = [flat(10), flat(10), flat(14), flat(90), None, flat(1), flat(2), None]
    frame = frame_of(
        pictures,
        seed=[0, 0, 0, 1, 1, 2, 3, 3],
        wording="a cat",
        arm=["lower", "upper", "title", "lower", "upper", "lower", "upper", "title"],
    )
    out = measure(frame, "distance")
    same = [pd.NA, True, False, pd.NA, pd.NA, pd.NA, pd.NA, pd.NA]
    assert out["distance_same"].tolist() == same
    assert out["distance_levels"].tolist()[1:3] == [0, 4]


def test_without_arms_there_is_nothing_to_compare_with(frame_of):
    with pytest.raises(ValueError, match="no column 'arm'.*tiny-capitals"):
        measure(frame_of([flat(1)]), "distance")


def test_pictures_of_other_sizes_are_not_compared_and_it_is_said(frame_of):
    frame = frame_of([flat(1), flat(1, 32)], seed=0, wording="w", arm=["a", "b"])
    out = measure(frame, "distance")
    assert out["distance_same"].isna().all()
    assert "other sizes" in out["distance_error"].iloc[1]


# tokens


def test_tokens_are_counted_with_their_ends_and_words_are_parted_where_the_tokenizer_parts_them(
    frame_of,
):
    frame = frame_of([None] * 3, prompt=["a cat", "a CAT elephnatz", "cat " * 90])
    out = measure(frame, "tokens")
    assert out["tokens_count"].tolist()[::2] == [4, 92]
    assert out["tokens_pieces"].iloc[0] == "a cat"
    first, second, third = out["tokens_pieces"].iloc[1].split()
    assert (
        (first, second) == ("a", "cat") and third.replace("|", "") == "elephnatz" and "|" in third
    )
    assert out["tokens_cut"].tolist() == ["", "", " ".join(["cat"] * 15)]
    chunks = measure(frame.assign(prompt_syntax="chunks"), "tokens")
    assert chunks["tokens_cut"].tolist() == ["", "", ""]


def test_a_model_that_is_not_here_has_no_tokens_and_the_reason(frame_of):
    frame = frame_of([None] * 2, model=["tiny-v1", "no-such-model"])
    out = measure(frame, "tokens")
    assert out["tokens_count"].isna().tolist() == [False, True]
    assert "no-such-model" in out["tokens_error"].iloc[1]


# lettering


@pytest.fixture
def engine(monkeypatch):
    """An engine that reads, in every view, the lines that the picture's first pixel stands for."""
    texts = {}

    class RapidOCR:
        def __call__(self, pixels):
            found = texts.get(int(pixels[pixels.shape[0] // 2, pixels.shape[1] // 2, 0]), {})
            lines = found.get(pixels.shape[0], found.get(0, []))
            return [[None, text, score] for text, score in lines] or None, [0.1]

    module = types.SimpleNamespace(RapidOCR=RapidOCR)
    monkeypatch.setitem(sys.modules, "rapidocr_onnxruntime", module)
    monkeypatch.setattr(lettering, "version", lambda name: "1.4.4")
    open_reader.cache_clear()
    yield texts
    open_reader.cache_clear()


@pytest.mark.parametrize(
    "asked, lines, exact, likeness",
    [
        ("NO WAR", ["no war"], True, 1),
        ("NO WAR", ["NOWAR"], True, 1),
        ("NO WAR", ["WAR", "NO"], True, 1),
        ("NO WAR", ["War!", "No"], True, 1),
        ("STOP", ["STOPP"], False, 0.8),
        ("STOP", ["STOP", "STOP"], False, 0.5),
        ("NO WAR", ["NO", "NO", "WAR"], False, 5 / 7),
        ("STOP", [], False, 0),
        ("a aa", ["aaa"], True, 1),
    ],
)
def test_all_words_and_no_others_make_a_picture_right(
    frame_of, engine, asked, lines, exact, likeness
):
    engine[7] = {0: [(line, 0.9) for line in lines]}
    out = measure(frame_of([flat(7)], prompt=f'a sign saying "{asked}"'), "lettering").iloc[0]
    assert (out["lettering_asked"], out["lettering_exact"]) == (asked, exact)
    assert out["lettering_likeness"] == pytest.approx(likeness)
    assert out["lettering_any"] == bool(lines)
    assert out["lettering_engine"] == "rapidocr_onnxruntime 1.4.4"


def test_the_best_of_four_views_counts_and_all_are_kept(frame_of, engine):
    engine[7] = {0: [("STO P", 0.5)], 64: [("ST0P", 0.5)], 128: [("STOP", 0.55)]}
    out = measure(frame_of([flat(7)], prompt='"stop"'), "lettering").iloc[0]
    assert out["lettering_exact"] and out["lettering_read"] == "STOP"
    readings = [[text for text, _ in view] for view in json.loads(out["lettering_readings"])]
    assert readings == [["ST0P"], ["STOP"], ["STO P"], ["ST0P"]]
    assert not out["lettering_any"]  # nothing with a score of 0.6


def test_a_prompt_without_quotes_asks_for_no_words(frame_of, engine):
    engine[7] = {0: [("SALE", 0.9)]}
    out = measure(frame_of([flat(7)], prompt="a shop"), "lettering").iloc[0]
    assert out["lettering_any"] and out["lettering_read"] == "SALE"
    assert out[["lettering_asked", "lettering_exact", "lettering_likeness"]].isna().all()


def test_both_generations_of_the_engine_are_understood():
    new = types.SimpleNamespace(txts=("NO", "WAR"), scores=(0.9, 0.8))
    none = types.SimpleNamespace(txts=None, scores=None)
    for answer, lines in (
        (([[[], "NO", 0.9], [[], "WAR", 0.8]], []), [("NO", 0.9), ("WAR", 0.8)]),
        ((None, None), []),
        (new, [("NO", 0.9), ("WAR", 0.8)]),
        (none, []),
    ):
        assert lettering.read_lines(lambda pixels, answer=answer: answer, None) == lines


def test_without_the_extra_it_says_what_to_install_before_any_picture_is_read(
    frame_of, monkeypatch
):
    for name in lettering.ENGINES:
        monkeypatch.setitem(sys.modules, name, None)
    open_reader.cache_clear()
    with pytest.raises(ImportError, match=r"pip install 'sdlab\[ocr\]'"):
        measure(frame_of([flat(7)]), "lettering")


@pytest.mark.parametrize(
    "one, other, likeness",
    [
        ("stop", "stop", 1),
        ("stop", "stp", 0.75),
        ("", "ab", 0),
        ("ab", "ba", 0),
        ("kitten", "sitting", 4 / 7),
    ],
)
def test_likeness_is_one_less_the_edit_distance_over_the_longer_length(one, other, likeness):
    assert compare_texts(one, other) == compare_texts(other, one) == pytest.approx(likeness)
