"""Measurements as columns of a frame."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sdlab.results.scorers import SCORERS, measure
from sdlab.watermark import detect_watermark, embed_watermark


def picture(seed=0, side=256):
    rows, columns = np.mgrid[:side, :side]
    waves = [np.sin(rows / (8 + n)) * np.cos(columns / (12 - n)) for n in range(3)]
    return (
        (np.stack(waves, -1) * 70 + 128 + np.random.default_rng(seed).normal(0, 3, (side, side, 3)))
        .clip(0, 255)
        .astype("u1")
    )


@pytest.fixture
def frame(tmp_path):
    """Rows as `run` gives them: unmarked, marked by SD v1 and by SDXL, and a cell that failed."""
    for n, mark in enumerate([None, "sd-v1", "sdxl"]):
        Image.fromarray(picture(n) if mark is None else embed_watermark(picture(n), mark)).save(
            tmp_path / f"{n}.png"
        )
    return pd.DataFrame(
        {
            "seed": pd.array([0, 1, 2, 3], "Int64"),
            "watermark": pd.array([None, "sd-v1", "sdxl", "sd-v1"], "string"),
            "path": pd.array([*(str(tmp_path / f"{n}.png") for n in range(3)), None], "string"),
            "error": pd.array([None, None, None, "RuntimeError: no"], "string"),
        },
        index=[7, 5, 5, 1],
    )


def test_watermark_says_what_detect_watermark_says(frame):
    out = measure(frame, "watermark", progress=False)
    inspections = [detect_watermark(path) for path in frame["path"][:3]]
    assert out["watermark_found"].tolist()[1:3] == ["sd-v1", "sdxl"] and out[
        "watermark_found"
    ].isna().tolist() == [True, False, False, True]
    assert out["watermark_log10_p"].tolist()[:3] == [i.best.log10_p for i in inspections]
    assert out["watermark_agreement"].tolist()[:3] == [i.best.agreement for i in inspections]
    exact = [
        ", ".join(f.payload.name for f in i.findings if f.official) or pd.NA for i in inspections
    ]
    assert out["watermark_official"][:3].equals(pd.Series(exact, frame.index[:3], "string"))


def test_a_text_of_ones_own_is_looked_for_in_every_picture(frame, tmp_path):
    frame["watermark"] = pd.array(["x", "me, 2026", None, "sd-v1"], "string")
    for n in (0, 1, 2):
        Image.fromarray(embed_watermark(picture(n), "me, 2026") if n else picture(n)).save(
            tmp_path / f"{n}.png"
        )
    assert (
        measure(frame, "watermark", progress=False)["watermark_found"].tolist()[1:3]
        == ["me, 2026"] * 2
    )


def test_the_frame_is_copied_and_keeps_its_columns_and_index(frame):
    before = frame.copy()
    out = measure(frame, "watermark", progress=False)
    assert frame.equals(before) and out[frame.columns].equals(before)
    assert list(out.columns[len(frame.columns) :]) == [
        "watermark_found",
        "watermark_log10_p",
        "watermark_agreement",
        "watermark_official",
        "watermark_of",
        "watermark_error",
    ]


def test_a_failed_cell_has_missing_values_and_no_warning(frame, recwarn):
    out = measure(frame, "watermark", progress=False)
    assert out.iloc[3].filter(like="watermark_").isna().all() and not recwarn


def test_a_picture_too_small_for_a_mark_is_missing_and_said_once(frame, tmp_path):
    for n in (0, 1):
        Image.fromarray(picture(n, 64)).save(tmp_path / f"{n}.png")
    with pytest.warns(UserWarning, match="2 of 4 pictures have less than 65,536 pixels") as caught:
        out = measure(frame, "watermark", progress=False)
    assert (
        out["watermark_log10_p"].isna().tolist() == [True, True, False, True] and len(caught) == 1
    )
    assert caught[0].filename == __file__


def test_a_lost_file_is_missing_and_said(frame, tmp_path):
    (tmp_path / "1.png").unlink()
    with pytest.warns(
        UserWarning, match=r"1 of 4 pictures could not be measured; the first: .*1\.png"
    ):
        out = measure(frame, "watermark", progress=False)
    assert out["watermark_log10_p"].isna().tolist() == [False, True, False, True]


def test_measuring_again_replaces_the_columns(frame):
    once = measure(frame, "watermark", progress=False)
    assert measure(once, "watermark", progress=False).equals(once)


def test_a_mark_is_looked_for_again_if_the_file_or_the_list_of_marks_is_another(
    frame, tmp_path, monkeypatch
):
    from sdlab.watermark import scanning

    looked, scan = [], scanning.scan
    monkeypatch.setattr(
        scanning,
        "scan",
        lambda paths, *a, **k: looked.extend([paths] * bool(paths)) or scan(paths, *a, **k),
    )
    once = measure(frame, "watermark", progress=False)
    measure(once, "watermark", progress=False)
    assert looked == [[*frame["path"][:3], None], [None] * 4]
    Image.fromarray(picture(7)).save(tmp_path / "1.png")
    out = measure(once, "watermark", progress=False)
    assert looked[2] == [None, frame["path"].iloc[1], None, None]
    assert out["watermark_found"].isna().tolist() == [True, True, False, True]
    measure(out.assign(watermark="me, 2026"), "watermark", progress=False)
    assert looked[3] == looked[0]


def test_a_frame_without_rows_gets_the_columns_too(frame):
    assert "watermark_found" in measure(frame[:0], "watermark", progress=False)


def redness(frame):
    return [
        np.nan if pd.isna(path) else np.asarray(Image.open(path))[..., 0].mean()
        for path in frame["path"]
    ]


@pytest.mark.parametrize(
    "shape",
    [
        lambda values, frame: pd.Series(values, frame.index),
        lambda values, frame: pd.Series(values, frame.index, name="seed"),
        lambda values, frame: {"redness": values},
        lambda values, frame: {"redness": np.array(values)},
        lambda values, frame: pd.DataFrame({"redness": values}, frame.index),
    ],
)
def test_any_function_of_a_frame_is_a_scorer(frame, monkeypatch, shape):
    monkeypatch.setitem(SCORERS, "redness", lambda frame: shape(redness(frame), frame))
    out = measure(frame, "redness")
    assert out["redness"].tolist()[:3] == redness(frame)[:3]
    assert out["seed"].equals(frame["seed"])


def test_a_later_scorer_comes_after_an_earlier_one_and_progress_is_passed_on(frame, monkeypatch):
    asked = []
    monkeypatch.setitem(
        SCORERS,
        "one",
        lambda frame, progress, again: asked.append((progress, again)) or {"a": frame["seed"] * 2},
    )
    monkeypatch.setitem(SCORERS, "two", lambda frame: {"b": range(4)})
    out = measure(frame, "two", "one", progress=False)
    assert (
        list(out.columns[-2:]) == ["b", "a"]
        and out["a"].tolist() == [0, 2, 4, 6]
        and asked == [(False, False)]
    )


@pytest.mark.parametrize(
    "result, says",
    [
        ([1, 2, 3], "returns a list; it should be a DataFrame"),
        ({"a": [1, 2]}, "2 values, but the frame has 4 rows"),
        ({"a": 1}, "returns 1 as a column"),
        ({"a": "text"}, "'text' as a column"),
        ({"a": pd.Series(range(4))}, "another index.*frame.index"),
        (pd.DataFrame({"a": range(4)}), "another index"),
        (pd.Series([1]), "1 values"),
        ({"seed": range(4)}, "overwrite the column 'seed'"),
        ({"path": range(4)}, "overwrite the column 'path'"),
    ],
)
def test_a_scorer_that_does_not_fit_is_named(frame, monkeypatch, result, says):
    monkeypatch.setitem(SCORERS, "mine", lambda frame: result)
    with pytest.raises((TypeError, ValueError), match=f"scorer 'mine' .*{says}"):
        measure(frame, "mine")


@pytest.mark.parametrize(
    "names, says",
    [
        (("watermarks",), "unknown scorer 'watermarks'; did you mean 'watermark'.*SCORERS"),
        ((), "at least one scorer"),
        ((["watermark"],), "no scorer's name; give each as text"),
    ],
)
def test_a_scorer_that_does_not_exist_is_refused_with_the_list(frame, names, says):
    with pytest.raises((TypeError, ValueError), match=says):
        measure(frame, *names)


def test_something_else_than_a_frame_of_pictures_is_refused(frame):
    with pytest.raises(TypeError, match="frame of run"):
        measure("watermark", "watermark")
    with pytest.raises(ValueError, match="no column 'path'.*it has seed"):
        measure(frame[["seed"]], "watermark")


def test_the_scorers_show_what_their_columns_mean(frame, monkeypatch):
    told = repr(SCORERS)
    assert "objects_right: whether these things are there" in told and "objects_relation" in told
    assert "function" not in told and "<td" in SCORERS._repr_html_()
    names = [name for name in SCORERS if name not in ("distance", "lettering")]
    made = measure(frame, *names, progress=False)
    own = {c for c in made if c.startswith(tuple(f"{n}_" for n in names)) and c not in frame}
    own = {name for name in own if not name.endswith(("_error", "_of"))}
    assert own == {column for name, column, _ in SCORERS.list_columns() if name in names}
    monkeypatch.setitem(SCORERS, "redness", redness)
    monkeypatch.setitem(SCORERS, "bare", lambda frame: {})
    assert "\nbare: a scorer of your own" in repr(SCORERS)
    assert f"\nredness: {redness.__doc__ or 'a scorer of your own'}" in repr(SCORERS)
