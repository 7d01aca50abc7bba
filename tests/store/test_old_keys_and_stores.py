"""Recipes and pictures made by sdlab 0.1.0 keep their names: ten keys, and a small store of that version."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sdlab import Request, Store, resolve, run
from sdlab.recipe.request import key_of

FIXTURE = Path(__file__).parents[1] / "fixtures" / "before_rooms"
DOWN, ACROSS = np.mgrid[:64, :64]
DRAWING = np.stack([ACROSS * 4, DOWN * 4, 255 - ACROSS * 4], -1).astype("uint8")
MASK = np.zeros((64, 64), "uint8")
MASK[16:48, 16:48] = 255
TEN = json.loads((FIXTURE / "ten_keys.json").read_text())


def key(request):
    return resolve(request).key


@pytest.mark.parametrize("name", TEN)
def test_ten_recipes_keep_the_keys_that_they_had(name):
    known = Request(image=DRAWING, mask_image=MASK)  # so that their hashes stand for them
    assert known and key(Request(**TEN[name]["request"])) == TEN[name]["key"]


@pytest.fixture
def old_store(tmp_path):
    """A copy of the store, without the index that was made for that version's columns."""
    shutil.copytree(FIXTURE / "store", tmp_path / "store")
    return tmp_path / "store"


def expected_frame():
    stated = json.loads((FIXTURE / "store_frame.json").read_text())
    frame = pd.DataFrame(stated["rows"], columns=list(stated["dtypes"]))
    return frame.astype({name: kind for name, kind in stated["dtypes"].items()})


@pytest.mark.parametrize("index", ["kept", "deleted"])
def test_an_old_store_reads_as_the_same_frame(old_store, index):
    if index == "deleted":
        (old_store / "index.sqlite").unlink()
    store, expected = Store(old_store), expected_frame()
    found = store.frame()
    found["path"] = [Path(path).relative_to(old_store).as_posix() for path in found["path"]]
    pd.testing.assert_frame_equal(found[list(expected.columns)], expected, check_dtype=True)
    assert len(store.votes()) == 1 and store.check().empty


def test_an_old_store_has_nothing_to_render_again(old_store):
    before = {path: path.stat().st_mtime_ns for path in old_store.rglob("*.png")}
    plan = [
        Request(**fields) for fields in json.loads((FIXTURE / "store_requests.json").read_text())
    ]
    results = run(plan, old_store, progress=False)
    assert results["path"].notna().all() and results["error"].isna().all()
    assert {path: path.stat().st_mtime_ns for path in old_store.rglob("*.png")} == before
    assert results["red|blue"].tolist()[:8] == ["red"] * 1 + ["blue"] * 1 + ["red", "blue"] * 3


def test_a_field_that_this_version_does_not_know_counts_in_a_key_as_it_stands():
    known = {"prompt": "a cat", "weights": "w"}
    assert key_of(known | {"future": 1}) != key_of(known) == key_of(known | {"model": "x"})
    assert key_of(known | {"future": 1}) != key_of(known | {"future": 2})
