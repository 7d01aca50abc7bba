"""Scorers of pictures: what is drawn in them, and what their pixels say."""

import random

import numpy as np
import pandas as pd
import pytest
from benchmarks.scorers import draw_samples, find_answers, score_renders
from PIL import Image

from sdlab import measure
from sdlab.results.scorers import objects, pixels
from sdlab.results.scorers.pixels import COLUMNS as PIXELS
from sdlab.tiny.scenes import paint_background
from sdlab.tiny.sprites import draw_sprite
from sdlab.tiny.world import V1


def draw(*placed, ground="blue"):
    """Sprites on a plain ground: (name, x, y, side) each, on 64x64 pixels."""
    picture = Image.fromarray(paint_background(random.Random(0), ground).astype("u1")).convert(
        "RGBA"
    )
    for name, x, y, side in placed:
        picture.alpha_composite(draw_sprite(name, side), (x, y))
    return picture.convert("RGB")


@pytest.fixture
def frame_of(tmp_path):
    def make(*rows):
        """A frame of (prompt, picture) rows; None stands for a cell that failed."""
        paths = [
            None if image is None else str(tmp_path / f"{n}.png")
            for n, (_, image) in enumerate(rows)
        ]
        for path, (_, image) in zip(paths, rows):
            if image is not None:
                image.save(path)
        prompts = [prompt for prompt, _ in rows]
        return pd.DataFrame(
            {"prompt": prompts, "path": paths}, index=range(7, 7 + len(rows))
        ).convert_dtypes()

    return make


CAT, HEART = ("cat", 4, 8, 28), ("red heart", 32, 28, 28)


def test_objects_says_what_was_found_where_and_on_what(frame_of):
    out = measure(frame_of(("a cat", draw(CAT)), ("a cat", draw(ground="yellow"))), "objects")
    assert out["objects_found"].tolist() == ["cat", ""]
    assert out["objects_count"].tolist() == [1, 0]
    assert out["objects_background"].tolist() == ["blue", "yellow"]
    assert (out["objects_x"].iloc[0], out["objects_y"].iloc[0]) == (18, 22)  # 4 + 28/2, 8 + 28/2
    assert out[["objects_x", "objects_y"]].iloc[1].isna().all()


@pytest.mark.parametrize(
    "prompt, asked, right",
    [
        ("a cat", "cat", True),
        ("A  CAT next to a red heart", "cat, red heart", True),
        ("a photo of a dog and a cat on a blue background", "dog, cat", False),
        ("a blue heart", "blue heart", False),
        ("two cats", "two cats", False),
        ("cats", "cats", True),
        ("paintbrushes, a womanly concatenation", "paintbrushes", False),
        ("a mansion of concrete", None, None),
        ("", None, None),
    ],
)
def test_objects_are_right_if_all_that_the_prompt_names_is_there(frame_of, prompt, asked, right):
    out = measure(frame_of((prompt, draw(CAT, HEART))), "objects").iloc[0]
    assert (out["objects_asked"] is pd.NA) if asked is None else out["objects_asked"] == asked
    assert (out["objects_right"] is pd.NA) if right is None else out["objects_right"] == right


def test_a_number_is_kept_to(frame_of):
    pair = draw(("cat", 4, 20, 24), ("cat", 36, 20, 24))
    out = measure(frame_of(*[(f"{n} cats", pair) for n in ("two", "three")]), "objects")
    assert out["objects_found"].tolist() == ["cat, cat"] * 2
    assert out["objects_right"].tolist() == [True, False]


@pytest.mark.parametrize(
    "prompt, asked, right, avoided",
    [
        ("a cat without a dog", "cat, no dog", True, True),
        ("a cat with no red heart", "cat, no red heart", False, False),
        ("no dogs, birds or RED HEARTS", "no dogs, no birds, no red hearts", False, False),
        ("no dogs but a cat", "no dogs, cat", True, True),
        ("no dogs, a cat", "no dogs, cat", True, True),
        ("without a dog, a bird, or a cat", "no dog, no bird, no cat", False, False),
        ("no dogs, no birds, cats", "no dogs, no birds, cats", True, True),
        ("a dog, not a big horse", "dog, no horse", False, True),
        ("a cat or a dog", "cat, dog", False, None),
        ("nothing but a cat", "cat", True, None),
    ],
)
def test_what_a_prompt_rules_out_must_not_be_there(frame_of, prompt, asked, right, avoided):
    out = measure(frame_of((prompt, draw(CAT, HEART))), "objects").iloc[0]
    assert (out["objects_asked"], out["objects_right"]) == (asked, right)
    said = out["objects_avoided"]
    assert said is pd.NA if avoided is None else said == avoided


def test_the_arms_of_a_wording_are_asked_for_the_same_thing(frame_of):
    prompts, picture = ["a cat without a dog", "a cat", "a cat and a dog"], draw(CAT)
    both = draw(CAT, ("dog", 32, 28, 28))
    frame = frame_of(*[(prompt, picture) for prompt in prompts], (prompts[2], both))
    assert measure(frame, "objects")["objects_avoided"].isna().tolist() == [False, *[True] * 3]
    out = measure(frame.assign(wording=prompts[0]), "objects")
    assert out["objects_avoided"].tolist() == [True, True, True, False]
    assert out["objects_right"].tolist() == [True, True, False, True]  # of the prompt itself
    part = frame.assign(wording=[None, prompts[0], "", None])
    assert measure(part, "objects")["objects_avoided"].tolist() == [True, True, pd.NA, pd.NA]


@pytest.mark.parametrize(
    "prompt, holds",
    [
        ("a cat left of a red heart", True),
        ("a red heart to the right of a CAT", True),
        ("a cat right of a red heart", False),
        ("a cat above a red heart", False),
        ("a cat on the grass to the left of a big red heart", True),
        ("a cat left of a dog", None),  # which is not there
        ("a cat and a red heart", None),
        ("a cat left of the picture, and a red heart", None),
        ("a cat without a house left of a red heart", None),
        ("a cat left of no red heart", None),
    ],
)
def test_a_relation_is_judged_if_both_things_were_found(frame_of, prompt, holds):
    picture = draw(("cat", 4, 16, 28), ("red heart", 32, 20, 28))
    said = measure(frame_of((prompt, picture)), "objects")["objects_relation"].iloc[0]
    assert said is pd.NA if holds is None else said == holds


@pytest.mark.parametrize("relation", ["above", "over", "below", "under"])
def test_above_and_below_are_judged_too(frame_of, relation):
    high = draw(("cat", 16, 4, 28), ("red heart", 20, 32, 28))
    said = measure(frame_of((f"a cat {relation} a red heart", high)), "objects")
    assert said["objects_relation"].tolist() == [relation in ("above", "over")]
    assert said["objects_places"].tolist() in (["30 18, 34 46"], ["34 46, 30 18"])


@pytest.mark.parametrize(
    "prompt, drawn",
    [
        ("a cat left of a red heart", True),
        ("a cat left of a red heart on a blue background", True),
        ("a cat and a red heart, Blue Background", True),
        ("a blue background", True),
        ("a cat left of a red heart, not on a white background", True),
        ("a cat left of a red heart on a white background", False),
        ("a cat left of a red heart in the snow", False),
        ("a cat right of a red heart", False),  # both things are right, their places are not
        ("a cat left of a dog", False),  # which is not there, so that no relation is judged
        ("a cat without a red heart", False),
        ("two cats", False),
        ("a painting of a thought", None),
        ("a drawing of a cat and a red heart", True),
        ("a cat next to a red heart", True),
        ("a cat without a dog or a house", True),
        ("a cat, without a blue background", False),
        ("a cat on a grass background", None),  # what is not read is not called drawn
        ("a green cat", None),
        ("a big cat", None),
        ("a cat on top of a red heart", None),
        ("a cat on the left, a red heart on the right", None),
        ("a cat or a dog", False),
        ("a cat, and a red heart!", True),
        ("(a cat:1.3) and a red heart", None),
        ("a cat or a red heart", None),
        ("a dog on a grass background", False),
    ],
)
def test_one_column_says_whether_all_that_the_prompt_names_is_drawn(frame_of, prompt, drawn):
    picture = draw(("cat", 4, 16, 28), ("red heart", 32, 20, 28))
    said = measure(frame_of((prompt, picture)), "objects")["objects_drawn"].iloc[0]
    assert said is pd.NA if drawn is None else said == drawn


@pytest.mark.parametrize(
    "prompt, unread",
    [
        ("a photo of two dogs to the left of a cat on the grass", None),
        ("three pizzas on a grass background", "on grass background"),
        ("a green hamster inside a small house", "green inside small"),
        ("a cat without a house left of a red heart", "left of"),
        ("a cat left of a cat", "left of"),
    ],
)
def test_words_of_which_nothing_is_judged_are_told(frame_of, prompt, unread):
    said = measure(frame_of((prompt, draw(CAT))), "objects")["objects_unread"].iloc[0]
    assert (None if said is pd.NA else said) == unread


def test_what_was_not_rendered_is_not_said_to_be_drawn(frame_of):
    assert measure(frame_of(("a cat", None)), "objects")["objects_drawn"].isna().all()


def test_true_renders_are_read_as_the_benchmark_says(tmp_path):
    answers = find_answers(score_renders(draw_samples(60, V1), tmp_path))
    assert answers["answer"].mean() > 0.9 and answers["answer"].notna().mean() > 0.9
    assert set(answers["kind"]) == {"one", "count", "pair", "relation", "there", "absent"}


def test_a_share_of_right_pictures_takes_one_line(frame_of):
    rows = [("a cat", draw(CAT)), ("a cat", draw(HEART)), ("a cat", None)]
    assert (
        measure(frame_of(*rows), "objects").groupby("prompt")["objects_right"].mean()["a cat"]
        == 0.5
    )


def noise(seed, shape=(40, 30, 3)):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def test_pixels_are_what_numpy_makes_of_the_definitions(frame_of):
    out = measure(frame_of(*[("", Image.fromarray(noise(n))) for n in range(3)]), "pixels")
    for n in range(3):
        r, g, b = np.moveaxis(noise(n).astype(float), -1, 0)
        y = 0.299 * r + 0.587 * g + 0.114 * b
        laplacian = y[:-2, 1:-1] + y[2:, 1:-1] + y[1:-1, :-2] + y[1:-1, 2:] - 4 * y[1:-1, 1:-1]
        rg, yb = r - g, (r + g) / 2 - b
        colourfulness = np.sqrt(rg.var() + yb.var()) + 0.3 * np.sqrt(
            rg.mean() ** 2 + yb.mean() ** 2
        )
        clipped = ((noise(n) == 0) | (noise(n) == 255)).sum() / noise(n).size
        expected = [laplacian.var(), colourfulness, y.mean(), clipped]
        assert out[list(PIXELS)].iloc[n].tolist() == pytest.approx(expected)


def test_a_grey_picture_has_no_colour_and_a_smooth_one_no_edges(frame_of):
    ramp = np.repeat(np.arange(0, 128, 2, np.uint8)[None], 8, axis=0)
    white = Image.new("RGB", (8, 8), "white")
    out = measure(frame_of(("", Image.fromarray(ramp)), ("", white)), "pixels")
    assert out["pixels_colourfulness"].tolist() == pytest.approx([0, 0], abs=1e-9)
    assert out["pixels_sharpness"].tolist() == pytest.approx([0, 0], abs=1e-9)
    assert out["pixels_brightness"].tolist() == pytest.approx([63, 255])
    assert out["pixels_clipped"].tolist() == [1 / 64, 1]


def test_a_picture_without_a_middle_has_no_sharpness(frame_of):
    out = measure(frame_of(("", Image.new("RGB", (2, 2)))), "pixels")
    assert out["pixels_sharpness"].isna().all() and out["pixels_brightness"].tolist() == [0]


@pytest.mark.parametrize("scorer", ["objects", "pixels"])
def test_no_picture_and_a_torn_one_have_missing_scores_and_the_torn_one_is_said(frame_of, scorer):
    frame = frame_of(("a cat", draw(CAT)), ("a cat", draw(CAT)), ("a cat", None))
    with open(frame["path"].iloc[1], "wb") as file:
        file.write(b"no picture")
    with pytest.warns(
        UserWarning, match=r"1 of 3 pictures could not be measured; the first: .*1\.png"
    ) as caught:
        out = measure(frame, scorer).drop(columns="objects_asked", errors="ignore")
    reasons = out.pop(f"{scorer}_error")
    assert reasons.isna().tolist() == [True, False, True]
    assert reasons.iloc[1].startswith("UnidentifiedImageError: cannot identify")
    assert out.filter(regex="^(objects|pixels)_").isna().all(axis=1).tolist() == [False, True, True]
    assert len(caught) == 1 and caught[0].filename == __file__


def test_a_frame_without_rows_or_prompts_can_be_scored(frame_of):
    frame = frame_of(("a cat", draw(CAT)))
    assert {"objects_right", "pixels_clipped"} <= set(measure(frame[:0], "objects", "pixels"))
    assert measure(frame[["path"]], "objects")["objects_right"].isna().all()


@pytest.fixture
def reads(monkeypatch):
    """The pictures that the scorer "pixels" looks at, by their first pixel."""
    seen, score = [], pixels.score_one
    monkeypatch.setattr(
        pixels, "score_one", lambda im: seen.append(im.getpixel((0, 0))) or score(im)
    )
    return seen


def flat(level):
    return Image.new("RGB", (8, 8), (level, 0, 0))


def test_what_has_its_scores_is_not_looked_at_again(frame_of, reads):
    frame = frame_of(("", flat(1)), ("", flat(2)), ("", None))
    once = measure(frame, "pixels", progress=False)
    assert reads == [(1, 0, 0), (2, 0, 0)]
    assert measure(once, "pixels", progress=False).equals(once) and len(reads) == 2
    assert measure(once, "pixels", again=True, progress=False).equals(once) and len(reads) == 4


def test_more_pictures_beside_those_that_have_their_scores_are_measured_alone(frame_of, reads):
    frame = frame_of(*[("", flat(n)) for n in range(3)])
    half = measure(frame[:1], "pixels", progress=False)
    out = measure(pd.concat([half, frame[1:]]), "pixels", progress=False)
    assert reads == [(0, 0, 0), (1, 0, 0), (2, 0, 0)]
    assert out.equals(measure(frame, "pixels", progress=False))


def test_scores_survive_a_table_of_text(frame_of, reads, tmp_path):
    once = measure(frame_of(("", flat(1)), ("", flat(2))), "pixels", progress=False)
    once.to_csv(tmp_path / "scores.csv")
    out = measure(pd.read_csv(tmp_path / "scores.csv", index_col=0), "pixels", progress=False)
    assert len(reads) == 2 and out[list(PIXELS)].equals(once[list(PIXELS)])


def test_scores_of_a_picture_that_has_changed_are_not_kept(frame_of, reads):
    once = measure(frame_of(("", flat(1)), ("", flat(2))), "pixels", progress=False)
    flat(9).save(once["path"].iloc[0])
    turned = once.assign(path=once["path"].tolist()[::-1])
    for frame in (once, turned):
        levels = measure(frame, "pixels", progress=False)["pixels_brightness"] / 0.299
        expected = [9, 2] if frame is once else [2, 9]
        assert levels.tolist() == pytest.approx(expected)


def test_the_prompt_of_a_scored_picture_may_change(frame_of, monkeypatch):
    once = measure(frame_of(("a cat", draw(CAT))), "objects", progress=False)
    monkeypatch.setattr(objects, "score_one", None)
    out = measure(once.assign(prompt="a dog"), "objects", progress=False)
    assert out["objects_right"].tolist() == [False] and out["objects_found"].tolist() == ["cat"]


def test_an_error_in_one_picture_is_a_missing_value_with_its_reason(frame_of, monkeypatch):
    frame, score = frame_of(*[("", flat(n)) for n in range(3)]), pixels.score_one
    monkeypatch.setattr(
        pixels, "score_one", lambda im: score(im) if im.getpixel((0, 0))[0] != 1 else 1 / 0
    )
    with pytest.warns(UserWarning, match="1 of 3 pictures could not be measured"):
        out = measure(frame, "pixels", progress=False)
    assert out["pixels_brightness"].isna().tolist() == [False, True, False]
    assert out["pixels_error"].fillna("").tolist() == [
        "",
        "ZeroDivisionError: division by zero",
        "",
    ]
    monkeypatch.setattr(pixels, "score_one", score)
    mended = measure(out, "pixels", progress=False)
    assert mended["pixels_error"].isna().all() and mended["pixels_brightness"].notna().all()


def test_what_a_scorer_lacks_is_said_before_another_one_works(frame_of, reads):
    with pytest.raises(ValueError, match="no column 'arm'"):
        measure(frame_of(("", flat(1))), "pixels", "distance", progress=False)
    assert reads == []
