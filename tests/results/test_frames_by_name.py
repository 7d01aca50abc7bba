"""What names a picture is known by its column's name: pandas may move, number and lose the rest."""

import io

import pandas as pd
import pytest

from sdlab.recipe.request import FIELDS, Request
from sdlab.recipe.sweep import sweep
from sdlab.results.code import write_results_code
from sdlab.results.frame import find_label_columns, find_varying
from sdlab.results.grid import image_grid
from sdlab.results.pairs import pair
from sdlab.results.report import write_report
from sdlab.store.columns import LABELS

ROWS = range(4)


@pytest.fixture(scope="module")
def results():
    """A frame as run() makes it, of pictures that are not there."""
    cells = sweep(Request(prompt="a {colour=red|blue} cat", weights="a" * 32), seed=range(2))
    rows = [
        {
            "key": f"{i:032x}",
            **{name: getattr(cell, name) for name in FIELDS},
            **cell.labels,
            "path": f"s/images/00/{i:032x}.png",
            "error": None,
            "created": f"2026-01-0{9 - i}",
        }
        for i, cell in enumerate(cells)
    ]
    frame = pd.DataFrame(rows).convert_dtypes()
    frame.attrs[LABELS] = ["colour"]
    return frame


def read_csv(frame, times=1):
    for _ in range(times):
        frame = pd.read_csv(io.StringIO(frame.to_csv()))
    return frame


def insert(frame, place, **columns):
    for name, values in columns.items():
        frame = frame.copy()
        frame.insert(
            place if isinstance(place, int) else frame.columns.get_loc(place), name, values
        )
    return frame


NOTES = pd.DataFrame({"key": [f"{i:032x}" for i in ROWS], "who": list("xxyy")})
TREATMENTS = {
    "sorted, rows numbered anew": lambda f: f.sort_values("created").reset_index(),
    "numbered twice": lambda f: f.reset_index().reset_index(),
    "through a file": read_csv,
    "through two files": lambda f: read_csv(f, 2),
    "through JSON": lambda f: pd.read_json(io.StringIO(f.to_json(orient="records"))),
    "a column in front": lambda f: insert(f, 0, n=ROWS),
    "numbers before the path": lambda f: insert(f, "path", score=[0.1, 0.2, 0.3, 0.4]),
    "text before the path": lambda f: read_csv(insert(f, "path", verdict=list("wxyz"))),
    "merged": lambda f: f.merge(NOTES, on="key"),
    "merged into others": lambda f: NOTES.merge(f, on="key"),
    "merged with itself": lambda f: f.reset_index().merge(
        f[["key"]].reset_index(), on="key", suffixes=("_x", "_y")
    ),
    "the path in front": lambda f: f.set_index("path").reset_index(),
    "the label in front": lambda f: f.set_index("colour").reset_index(),
    "in the order of the alphabet": lambda f: f[sorted(f.columns)],
    "two frames together": lambda f: pd.concat({"a": f[:2], "b": f[2:]}).reset_index(),
}


@pytest.mark.parametrize("treat", TREATMENTS.values(), ids=TREATMENTS)
def test_what_names_the_pictures_is_the_same_wherever_its_column_stands(results, treat, tmp_path):
    frame = treat(results)
    assert find_label_columns(frame) == ["colour"]
    assert find_varying(frame) == ["colour", "seed"]
    assert [cell.left_key for cell in pair(frame, "colour", "red").frame.itertuples()] == [
        row.key for row in frame.itertuples() if row.colour == "red"
    ]
    shown = [text.get_text() for text in image_grid(frame).axes[0].texts]
    first = frame.iloc[0]
    assert [f"colour {first.colour}", f"seed {first.seed}"] == [
        text for text in shown if text.startswith(("colour ", "seed "))
    ][:2]
    again = frame.sort_values("key")
    assert write_results_code(again) == write_results_code(results)
    page = write_report(tmp_path / "r.html", "t", frame).read_text()
    heads = [part.split("<")[0] for part in page.split('<th scope="col">')]
    assert "colour" in heads
    assert not {"index", "level_0", "Unnamed: 0", "Unnamed: 0.1", "index_x"} & set(heads)


def test_a_column_of_ones_own_is_chosen_by_its_name(results):
    figure = image_grid(results.merge(NOTES, on="key"), row=["who", "colour"])
    assert "x · red" in [text.get_text() for text in figure.axes[0].texts]
    numbered = results.reset_index()
    assert "index" in [t.get_text() for t in image_grid(numbered, col="index").axes[0].texts]


def test_numbers_of_rows_do_not_tell_two_of_one_recipe_apart(results):
    twice = pd.concat([results, results]).reset_index(drop=True).reset_index()
    with pytest.raises(ValueError, match="one recipe, several times"):
        image_grid(twice, col=["colour", "seed"])
    with pytest.raises(ValueError, match="one recipe, several times in the frame; frame.drop"):
        pair(twice, "colour")


def test_numbers_that_were_chosen_in_prompts_are_labels_after_a_file_too(results):
    prompts = [f"{n} cats" for n in (1, 2, 1, 2)]
    frame = results.drop(columns="colour").assign(prompt=prompts)
    frame = read_csv(insert(frame, "path", n=[prompt[0] for prompt in prompts]))
    assert frame["n"].dtype == "int64" and find_label_columns(frame) == ["n"]


def test_a_label_of_ones_own_words_is_known_by_name(results):
    frame = results.assign(colour=["rot", "blau", "rot", "blau"])
    assert find_varying(frame) == ["colour", "seed"]
    assert find_varying(read_csv(frame)) == ["prompt", "seed"]  # nothing tells it from a measure


def test_a_frame_with_a_seed_of_an_older_version_is_read_shown_and_written_as_code(results):
    frame = results.assign(seed=[5 + 2**40, 5 + 2**40, 1, 1])
    assert "1099511627781" in [t.get_text() for t in image_grid(frame).axes[0].texts]
    with pytest.warns(UserWarning, match="seed 1099511627781 is of an older version; seed=5 "):
        assert "seed=[5, 1]" in write_results_code(frame)
