"""A grid is evidence: every cell says what it is, pixels stay pixels, nothing is cut or mixed."""

import base64
import io
import subprocess
import sys
import warnings
from itertools import pairwise

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from sdlab.recipe.request import FIELDS, Request
from sdlab.recipe.sweep import sweep
from sdlab.results.frame import describe_measures
from sdlab.results.grid import image_grid
from sdlab.results.pairs import pair
from sdlab.results.sheet import OTHER_FONTS, GridFigure, name_font, wrap_text

LONG = (
    "a hamster with a paintbrush in front of an easel, oil painting by a follower of Vermeer, warm evening light, "
    "highly detailed, costs $5 and 50 %"
)


def results(folder, cells, size=(16, 16)):
    """A frame as run() makes it, with pictures of noise."""
    rows = []
    for i, cell in enumerate(cells):
        noise = np.random.default_rng(i).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        path = folder / f"{size[0]}-{i}.png"
        Image.fromarray(noise).save(path)
        rows.append(
            {
                "key": f"{size[0]}-{i}",
                **{f: getattr(cell, f) for f in FIELDS},
                **cell.labels,
                "path": str(path),
                "error": None,
                "seconds": 1.0,
                "device": "cpu",
            }
        )
    return pd.DataFrame(rows).convert_dtypes()


def plan(**axes):
    return sweep(Request(prompt="a cat", guidance_scale=4, scheduler="DDIMScheduler"), **axes)


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def drawn(figure, dpi=100):
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=dpi)
    return np.asarray(Image.open(out).convert("RGB"))


def boxes(figure):
    """(name, left, top, right, bottom) of every text and picture."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    out = [(text.get_text(), text.get_window_extent(renderer)) for text in figure.axes[0].texts]
    out += [("picture", image.get_window_extent(renderer)) for image in figure.axes[0].images]
    return [(name, box.x0, box.y0, box.x1, box.y1) for name, box in out]


@pytest.mark.parametrize("dpi", [100, 200])
def test_small_pictures_are_enlarged_by_a_whole_number_and_not_blurred(tmp_path, dpi):
    frame = results(tmp_path, plan(seed=range(2)))
    figure = image_grid(frame, col="seed")
    left, right, bottom, top = figure.axes[0].images[1].get_extent()
    scale = dpi // 100
    shown = drawn(figure, dpi)[
        round(top) * scale : round(bottom) * scale, round(left) * scale : round(right) * scale
    ]
    source = np.asarray(Image.open(frame.path[1]))
    times = shown.shape[0] // 16
    assert times >= 4 and shown.shape[0] == 16 * times
    np.testing.assert_array_equal(
        shown[2:-2, 2:-2], source.repeat(times, 0).repeat(times, 1)[2:-2, 2:-2]
    )


@pytest.mark.parametrize(
    "row, col",
    [
        ("prompt", "seed"),
        ("seed", "prompt"),
        (["scheduler", "prompt"], "seed"),
        ("seed", ["prompt", "scheduler"]),
        (None, None),
    ],
)
def test_labels_neither_overlap_nor_leave_the_figure(tmp_path, row, col):
    frame = results(
        tmp_path,
        plan(
            prompt=[LONG, "a cat", "x" * 90],
            scheduler=["DPMSolverMultistepScheduler", "DDIMScheduler"],
            seed=[1234, 2**32 - 1],
        ),
    )
    if "scheduler" not in str((row, col)) and row:
        frame = frame[frame.scheduler == "DDIMScheduler"]
    figure = image_grid(frame, row, col, title=f"{LONG}. {LONG}", max_cols=12)
    drawn(figure)
    width, height = figure.get_size_inches() * 100
    placed = boxes(figure)
    for i, (name, x0, y0, x1, y1) in enumerate(placed):
        assert x0 > -1 and x1 < width + 1 and y0 > -1 and y1 < height + 1, name
        for other, a0, b0, a1, b1 in placed[:i]:
            assert min(x1, a1) - max(x0, a0) < 1 or min(y1, b1) - max(y0, b0) < 2, (name, other)


def test_thirty_columns_of_four_digit_seeds_do_not_touch(tmp_path):
    figure = image_grid(results(tmp_path, plan(seed=range(1000, 1030))), col="seed", max_cols=30)
    drawn(figure)
    seeds = sorted((x0, x1) for name, x0, _, x1, _ in boxes(figure) if name.isdigit())
    assert len(seeds) == 30 and all(after[0] - before[1] > 4 for before, after in pairwise(seeds))


def test_labels_are_whole_numbers_ascend_and_texts_stand_as_they_came(tmp_path):
    frame = results(tmp_path, plan(prompt=[LONG, "a cat", ""], guidance_scale=[7.5, 4, 1]))
    figure = image_grid(frame, "prompt", "guidance_scale")
    said = " ".join(texts(figure))
    assert LONG in said.replace("_ ", "_")
    assert "1 4 7.5" in said and said.index(LONG) < said.index("a cat") < said.index("none")


def test_an_empty_negative_prompt_is_called_none_wherever_it_names_something(tmp_path):
    choice = Request(prompt="a cat", negative_prompt="{|a blue background}")
    frame, name = results(tmp_path, sweep(choice, seed=range(2))), "none|a blue background"
    for side in (name, "negative_prompt"):
        said = texts(image_grid(frame, side, "seed"))
        assert {"none", "a blue background"} <= set(said) and '""' not in " ".join(said)
        assert f"{pair(frame, side)!r}".startswith(f"2 pairs by {side}: none and a blue background")


def test_a_sparse_frame_says_how_many_places_are_empty(tmp_path):
    frame = results(tmp_path, plan(prompt=["a", "b"], guidance_scale=[1, 4, 7]))
    figure = image_grid(frame.iloc[:4], "prompt", "guidance_scale")
    assert "2 of 6 places are empty (·): the frame has no such cell" in texts(figure)
    assert "2 of 6 places are empty" in figure.get_label()
    assert not any("empty" in text for text in texts(image_grid(frame.iloc[::3], "prompt")))


def test_the_words_for_the_figure_tell_what_was_measured_in_each_cell(tmp_path):
    frame = results(tmp_path, plan(prompt=["a", "b"], guidance_scale=[1, 4]))
    frame["objects_right"] = pd.array([True, False, True, None], "boolean")
    words = image_grid(frame, "prompt", "guidance_scale").get_label()
    assert "a, 4: objects_right False" in words and "a, 1: objects_right True" in words
    metadata = image_grid(frame, "prompt", "guidance_scale")._repr_png_()[1]
    assert metadata["alt"] == words  # exported pages take it from there


def test_what_answers_is_told_first_and_coordinates_are_not(tmp_path):
    frame = results(tmp_path, plan(prompt=["a", "b"]))
    scores = {"objects_x": 24.0, "objects_places": "24 32", "objects_count": 1}
    frame = frame.assign(**scores, objects_found="a red circle", objects_relation=True)
    frame["objects_right"] = pd.array([True, False], "boolean")
    assert describe_measures(frame.convert_dtypes())[1] == (
        "objects_right False, objects_relation True, objects_found a red circle, objects_count 1"
    )


def test_where_all_that_was_measured_is_long_the_words_say_what_was_found_in_each(tmp_path):
    frame = results(tmp_path, plan(prompt="a pizza and no cat", seed=range(6)))
    more = {f"pixels_{name}": 0.25 for name in ("sharpness", "contrast", "saturation")}
    frame = frame.assign(objects_found="pizza, cat", objects_count=2, **more)
    frame["objects_right"] = pd.array([False] * 6, "boolean")
    words = image_grid(frame).get_label()
    assert "a program found in each: 0: objects_right False, objects_found pizza, cat; 1: " in words
    assert words.count("pizza, cat") == 6 and "pixels" not in words


def test_the_words_for_a_large_figure_stay_short(tmp_path):
    frame = results(tmp_path, plan(prompt=[f"{LONG} {n}" for n in range(12)], seed=range(4)))
    words = image_grid(frame.assign(objects_right=True), "prompt", "seed").get_label()
    assert "prompt (12 rows) by seed (4 columns)" in words and f"{LONG} 11" in words
    assert "told in the frame: objects_right" in words and len(words) < 900


def test_a_missing_value_is_a_dash_and_letters_without_a_font_are_escaped(tmp_path):
    frame = results(tmp_path, plan(prompt=["a \U0010fffd cat", "a\tdog"]))
    frame["clip_skip"] = pd.array([pd.NA, 2], dtype="Int64")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = image_grid(frame, "prompt", "clip_skip")
        drawn(figure)
    assert "—" in texts(figure) and any("\\U0010fffd" in text for text in texts(figure))


def test_one_warning_names_the_fonts_that_would_show_all_letters(tmp_path, monkeypatch):
    monkeypatch.setattr("sdlab.results.sheet.list_glyphs", lambda: frozenset(map(chr, range(256))))
    wrap_text.cache_clear()
    prompts = [
        "\u732b \u72ac",
        "\uace0\uc591\uc774",
        "\u092c\u093f\u0932\u094d\u0932\u0940",
        "\U0001f408\ufe0f",
        "\u16a0",
    ]
    frame = results(tmp_path, plan(prompt=[*prompts, "a cat"]))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        image_grid(frame, "prompt")
    (warning,) = said
    fonts = "Noto Sans CJK JP and Noto Sans Devanagari and Noto Emoji and Unifont"
    assert f"Install {fonts} (" in str(warning.message)
    assert "\\u732b" in str(warning.message) and "\ufe0f" not in str(warning.message)
    wrap_text.cache_clear()


def test_a_font_that_is_named_is_looked_for():
    letters = "\u732b\u3042\ud55c\u092c\u0e01\U0001f408\u16a0"
    assert {name_font(letter) for letter in letters} <= set(OTHER_FONTS)


def test_a_dollar_is_a_dollar(tmp_path):
    figure = image_grid(
        results(tmp_path, plan(prompt=r"$\frac{1$ cat".replace("{", r"\{"))), "prompt"
    )
    drawn(figure)
    assert r"$\frac{1$ cat" in texts(figure)


def test_a_white_picture_has_an_edge(tmp_path):
    frame = results(tmp_path, plan(seed=0))
    Image.new("RGB", (16, 16), "white").save(frame.path[0])
    figure = image_grid(frame, title="")
    left, right, bottom, top = map(round, figure.axes[0].images[0].get_extent())
    page = drawn(figure).min(axis=2)
    middle = (top + bottom) // 2
    assert (page[middle, left + 2 : right - 2] == 255).all()
    assert (
        page[middle, left - 2 : left + 1].min() < 200
        and page[middle, right - 1 : right + 2].min() < 200
    )


def test_cells_without_a_picture_say_why(tmp_path):
    frame = results(tmp_path, plan(seed=range(3), guidance_scale=[1, 4])).drop(index=5)
    frame.loc[0, "path"], frame.loc[0, "error"] = pd.NA, "ValueError: 91 tokens"
    frame.loc[1, "path"] = pd.NA
    with open(frame.path[2], "r+b") as file:
        file.truncate(300)
    (tmp_path / "16-3.png").unlink()
    figure = image_grid(frame, "seed", "guidance_scale")
    assert len(figure.axes[0].images) == 1
    assert {"ValueError: 91 tokens", "not rendered", "file unreadable", "file missing", "·"} <= set(
        texts(figure)
    )
    assert "1 failed" in figure.get_label()


def test_several_images_in_a_cell_are_refused_with_what_sets_them_apart(tmp_path):
    frame = results(tmp_path, plan(seed=range(6), guidance_scale=[1, 4]))
    with pytest.raises(
        ValueError,
        match=r"6 images share row 'a cat' and col '1': they differ in seed; add it to row or col",
    ):
        image_grid(frame, "prompt", "guidance_scale")
    twice = pd.concat([frame, frame])
    with pytest.raises(ValueError, match=r"one recipe, several times.*drop_duplicates"):
        image_grid(twice, "seed", "guidance_scale")
    twice["device"], twice["pixels"] = (
        ["cpu"] * 12 + ["cuda"] * 12,
        [f"{i:032x}" for i in range(24)],
    )
    with pytest.raises(ValueError, match="differ in device; add it"):
        image_grid(twice, "seed", "guidance_scale")


@pytest.mark.parametrize(
    "kind, wrong, words",
    [
        (
            ValueError,
            dict(row="guidance"),
            "row='guidance' is no column.*did you mean 'guidance_scale'",
        ),
        (ValueError, dict(page=2), "page=2.*pages 1 to 1"),
        (ValueError, dict(max_cols=0), "max_cols=0: use a whole number, at least 1"),
        (ValueError, dict(max_rows="9"), "max_rows='9': use a whole number"),
        (
            ValueError,
            dict(cell_size=0),
            "cell_size=0: use a whole number, at least 1, or leave it out",
        ),
        (ValueError, dict(cell_size=-5), "cell_size=-5: use a whole number"),
        (ValueError, dict(cell_size="9"), "cell_size='9': use a whole number"),
        (ValueError, dict(row="seed", cell_size=40000), "too large to draw"),
    ],
)
def test_wrong_arguments_are_explained(tmp_path, kind, wrong, words):
    with pytest.raises(kind, match=words):
        image_grid(results(tmp_path, plan(seed=0)), **wrong)


def test_frames_with_nothing_to_show_are_refused(tmp_path):
    frame = results(tmp_path, plan(seed=0))
    with pytest.raises(ValueError, match="no rows"):
        image_grid(frame[:0])
    with pytest.raises(ValueError, match="no column 'path'"):
        image_grid(frame.drop(columns="path"))
    with pytest.raises(TypeError, match="takes the frame of run"):
        image_grid([1, 2])


def test_pages_show_every_cell_once_and_say_which_they_are(tmp_path):
    frame = results(tmp_path, plan(seed=range(7), guidance_scale=[1, 2, 3]))
    pages = [
        image_grid(frame, "seed", "guidance_scale", max_rows=3, max_cols=2, page=p)
        for p in range(1, 7)
    ]
    assert pages[0].pages == 6 and sum(len(page.axes[0].images) for page in pages) == 21
    assert "page 2 of 6: rows 1–3 of 7, columns 3–3 of 3" in texts(pages[1])
    assert {"6", "3"} < set(texts(pages[5])) and "5" not in texts(pages[5])


def test_two_thousand_cells_open_only_the_pictures_of_one_page(tmp_path, monkeypatch):
    frame = results(tmp_path, plan(seed=0))
    many = pd.concat([frame] * 2000, ignore_index=True).assign(seed=range(2000))
    opened, really = [], Image.open
    monkeypatch.setattr(
        Image, "open", lambda path, *more: opened.append(path) or really(path, *more)
    )
    figure = image_grid(many)
    assert len(opened) <= 2 * 72 and figure.pages == 28
    assert max(figure.get_size_inches() * 100) < 2500


def test_large_pictures_are_reduced_to_what_is_seen(tmp_path):
    figure = image_grid(
        results(tmp_path, plan(seed=range(3)), size=(700, 700)), col="seed", cell_size=100
    )
    assert {image.get_array().shape for image in figure.axes[0].images} == {(200, 200, 3)}


def test_pictures_of_different_sizes_keep_their_aspect_and_are_equally_long(tmp_path):
    frame = pd.concat(
        [
            results(tmp_path, plan(width=32, height=16), (32, 16)),
            results(tmp_path, plan(width=16, height=16)),
        ]
    )
    (b, a), sides = image_grid(frame, "width").axes[0].images, []  # 16 stands above 32
    for left, right, bottom, top in (a.get_extent(), b.get_extent()):
        sides.append((right - left, bottom - top))
    assert sides[0][0] == 2 * sides[0][1] and sides[1][0] == sides[1][1] == sides[0][0]


@pytest.mark.parametrize("small", [72, 48])
def test_small_pictures_stand_as_large_as_the_others_and_sharp_if_that_is_a_whole_number(
    tmp_path, small
):
    frame = pd.concat(
        [results(tmp_path, plan(width=w, height=w, seed=w), (w, w)) for w in (small, 96)]
    )
    sizes = set()
    figure = image_grid(frame, col="width")
    for image in figure.axes[0].images:
        left, right, bottom, top = image.get_extent()
        sizes |= {right - left, bottom - top}
    (side,) = sizes
    assert side % 96 == 0  # the larger ones decide
    pixels = sorted(image.get_array().shape[0] for image in figure.axes[0].images)
    assert pixels == ([48, 96] if small == 48 else [96, 2 * side])


def test_without_a_title_the_figure_says_what_is_constant_and_what_varies_along(tmp_path):
    frame = results(tmp_path, plan(seed=range(2)))
    constant = "prompt: a cat · model: tiny-v1 · guidance_scale: 4 · scheduler: DDIMScheduler"
    assert texts(image_grid(frame, col="seed"))[0] == constant
    frame["eta"] = [0.0, 1.0]
    assert "also varies: eta" in " ".join(texts(image_grid(frame, col="seed")))
    assert not any("a cat" in text for text in texts(image_grid(frame, col="seed", title="")))


def test_an_input_picture_is_named_by_the_beginning_of_its_hash(tmp_path):
    frame = results(tmp_path, plan(image="0123456789abcdef" * 2, seed=range(2)))
    assert "image: 01234567…" in " ".join(
        texts(image_grid(frame, col="seed"))
    )  # the line may be broken there


def test_weights_of_one_model_are_told_apart_and_those_of_several_go_without_saying(tmp_path):
    frame = results(tmp_path, plan(seed=range(2)))
    frame["weights"] = ["f00d", "beef"]
    assert "also varies: weights" in " ".join(texts(image_grid(frame, col="seed")))
    assert {"weights f00d", "weights beef"} <= set("\n".join(texts(image_grid(frame))).split("\n"))
    frame["model"] = ["tiny-v1", "tiny-v2"]
    assert not any(
        "weights" in text
        for text in [*texts(image_grid(frame)), *texts(image_grid(frame, col="seed"))]
    )


def test_a_list_is_captioned_with_what_sets_its_cells_apart(tmp_path):
    frame = results(tmp_path, plan(prompt="a {colour=red|blue} circle", seed=[7, 8]))
    said = texts(image_grid(frame))
    assert (
        said.count("colour red") == 2
        and said.count("seed 8") == 2
        and not any("a red circle" in text for text in said)
    )


def test_a_notebook_shows_the_figure_once_and_without_pyplot(tmp_path, monkeypatch):
    formatters = pytest.importorskip("IPython.core.formatters")
    figure = image_grid(results(tmp_path, plan(seed=range(2))), col="seed")
    formatter, shown = formatters.DisplayFormatter(), []
    show = lambda data, metadata=None, **_: shown.append((data, metadata))
    monkeypatch.setattr("IPython.display.display", show)
    assert formatter.format(figure) == ({}, {})
    (words, _), (data, facts) = shown  # JupyterLab has no words for a picture of its own
    assert f'alt="{figure.get_label()}"' in words.data
    data["image/png"] = base64.b64decode(data["image/png"])
    width, height = Image.open(io.BytesIO(data["image/png"])).size
    assert set(data) == {"text/plain", "image/png"} and isinstance(figure, GridFigure)
    assert facts["image/png"] == {
        "width": width // 2,
        "height": height // 2,
        "alt": figure.get_label(),
    }  # sharp on screens of 200 dpi
    check = "import sdlab.results.grid, sys; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check]).returncode == 0


def test_the_users_matplotlib_settings_do_not_change_the_figure(tmp_path):
    frame = results(tmp_path, plan(seed=range(2)))
    before = drawn(image_grid(frame, col="seed"))
    with matplotlib.rc_context(
        {
            "text.usetex": True,
            "font.size": 30,
            "text.color": "red",
            "axes.grid": True,
            "figure.constrained_layout.use": True,
            "image.interpolation": "bicubic",
            "image.origin": "lower",
        }
    ):
        after = drawn(image_grid(frame, col="seed"))
    np.testing.assert_array_equal(before, after)


def test_a_label_has_no_more_digits_than_its_number_is_worth(tmp_path):
    frame = results(tmp_path, plan(seed=range(2))).assign(share=[0.1 + 0.2, 1e-20 / 3])
    assert texts(image_grid(frame, col="share"))[2:5] == ["share", "3.33333333333e-21", "0.3"]
