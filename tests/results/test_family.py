"""Variations of a picture, starting points, and who was made from whom."""

import pandas as pd
import pytest
from foreign import save_png

from sdlab import Request, read_pictures, run, sweep, write_report
from sdlab.results.family import made_from, variations
from sdlab.store.store import Store


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    """A picture, two variations of it, and one of those."""
    store = Store(tmp_path_factory.mktemp("store"))
    first = run([Request(prompt="a red {x}", seed=5, num_inference_steps=2)], store, progress=False)
    second = run(variations(first.iloc[0], 2, strength=0.5), store, progress=False)
    run(variations(second.iloc[1], 1, strength=0.5, prompt="a blue circle"), store, progress=False)
    return store.frame().sort_values("seed", ignore_index=True)  # two cores finish in any order


def test_variations_begin_with_the_picture_and_have_other_seeds(family):
    assert family["seed"].tolist() == [5, 6, 7, 8]
    assert family["prompt"].tolist() == ["a red {x}"] * 3 + ["a blue circle"]
    assert family["strength"].tolist()[1:] == [0.5] * 3 and family["error"].isna().all()


def test_the_family_tree_names_each_pictures_origin(family):
    keys = family["key"].tolist()
    told = made_from(family)
    assert told.isna().tolist() == [True, False, False, False]
    assert told.tolist()[1:] == [keys[0], keys[0], keys[2]]
    assert made_from(family.iloc[[3, 2]]).tolist()[0] == keys[2]
    assert made_from(family.iloc[[1]]).isna().all()


def test_a_report_shows_who_was_made_from_whom(family, tmp_path):
    page = write_report(tmp_path / "a.html", "Family", family).read_text()
    section = page[page.index("<h2>Made from one another") : page.index("<h2>Failures")]
    assert section.count("<img") == 6
    assert (
        "Made from one another"
        not in write_report(tmp_path / "b.html", "One", family.iloc[:1]).read_text()
    )


def test_pictures_from_elsewhere_are_starting_points_and_found_again(tmp_path):
    files = [save_png(tmp_path / f"{n}.png", (64, 64 + 8 * n)) for n in range(2)]
    foreign = read_pictures(files, progress=False, prompt="a cat")
    with pytest.raises(ValueError, match="no model"):
        variations(foreign.iloc[0])
    cells = variations(foreign.iloc[0], 3, model="tiny-v1")
    assert [cell.seed for cell in cells] == [1, 2, 3] and {cell.prompt for cell in cells} == {
        "a cat"
    }
    starts = sweep(Request(prompt="a dog", strength=0.6), image=foreign["path"])
    assert len({cell.image for cell in starts}) == 2
    rows = pd.DataFrame([cell.to_dict() for cell in starts])
    both = pd.concat([foreign[["path", "prompt"]], rows], ignore_index=True)
    assert made_from(both).tolist()[2:] == [str(file) for file in files]


@pytest.mark.parametrize(
    ("row", "error", "match"),
    [(7, TypeError, "frame.iloc"), (pd.Series({"prompt": "a"}), ValueError, "no picture")],
)
def test_what_is_no_picture_has_no_variations(row, error, match):
    with pytest.raises(error, match=match):
        variations(row)
