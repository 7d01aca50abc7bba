"""SeedGrid without a browser: what stands where, what the page is told, and what the notebook keeps."""

import io
import re
import sys
import threading
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import traitlets
from conftest import draw_scene
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from scipy.stats import binomtest
from test_widget_panel import Line, Page, idle, shown  # noqa: F401

import sdlab.widgets.seed_grid.grid
from sdlab import Job, Request, Store, read_pictures, run, stats, sweep, write_report
from sdlab.models.resolve import resolve
from sdlab.progress import Event, Listeners, Progress
from sdlab.recipe.request import FIELDS
from sdlab.render.plan import plan
from sdlab.results.sheet import Sheet
from sdlab.results.stats.signs import signs
from sdlab.widgets import SeedGrid
from sdlab.widgets.seed_grid import looks, news, variations
from sdlab.widgets.seed_grid.cells import Cells
from sdlab.widgets.seed_grid.places import arrange_places

CAT = Request(
    prompt="a cat",
    guidance_scale=4,
    num_inference_steps=20,
    scheduler="DDIMScheduler",
    height=64,
    width=64,
    weights="f00d",
)
NASTY = "a <script>alert('1')</script> & \"cat\" </td></table><img src=x onerror=alert(2)>"


def picture(n=0, size=(64, 64)):
    return Image.fromarray(
        np.random.default_rng(n).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    )


def frame_of(cells, folder):
    """A frame as run() makes it, all cells with one picture of noise, in no store."""
    picture().save(folder / "noise.png")
    rows = [
        {
            "key": f"{i:032x}",
            **{name: getattr(cell, name) for name in FIELDS},
            **cell.labels,
            "path": str(folder / "noise.png"),
            "error": None,
            "seconds": 1.23456,
            "device": "cpu",
        }
        for i, cell in enumerate(cells)
    ]
    return pd.DataFrame(rows).convert_dtypes()


def stored(requests, folder):
    """The frame of requests whose pictures, of noise, are in a store."""
    store = Store(folder)
    for n, request in enumerate(map(resolve, requests)):
        store.save(request, picture(n), {"batch_size": 4, "seconds": 0.5})
    return run(requests, store, progress=False)


class Played(Job):
    """A job of which the test says what lands when, on threads of its choice."""

    def __init__(self, requests, store, progress=True):
        self.store = store if isinstance(store, Store) else Store(store)
        self.exception, self._errors, self._listeners = None, {}, Listeners()
        self._plan = plan(list(requests), self.store)
        self.progress = Progress(len(self._plan.cells), self._plan.todo)
        self._stop, self._ended = threading.Event(), threading.Event()

    def land(self, *numbers):
        for n in numbers:
            cell = self._plan.cells[n]
            self.store.save(cell, picture(n), {"batch_size": 4})
            self.progress.count_saved()
            self._listeners.tell(Event("landed", cell.key))

    def fail(self, n, error):
        self._errors[self.keys[n]] = error
        self.progress.count_failed()
        self._listeners.tell(Event("failed", self.keys[n], error=error))

    def sketch(self, n):
        self._listeners.tell(Event("sketch", self.keys[n], image=picture(n, (32, 32))))

    def end(self, state="done", exception=None):
        self.progress.state, self.exception = state, exception
        self._listeners.end()
        self._ended.set()


@pytest.fixture(autouse=True)
def no_clock(monkeypatch):
    """The page is told of a job's news when the test says `tell()`, or the job ends."""
    monkeypatch.setattr(news, "PAUSE", 1e6)


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """The frame of 2 prompts, 3 guidance scales and 2 seeds in a store, made once."""
    folder = tmp_path_factory.mktemp("seen")
    return stored(
        sweep(Request(prompt="a {red|blue} cat"), guidance_scale=[1, 3, 7.5], seed=range(2)),
        folder / "store",
    )


@pytest.fixture
def results(tmp_path):
    return stored(
        sweep(Request(prompt="a {red|blue} cat"), guidance_scale=[1, 3, 7.5], seed=range(2)),
        tmp_path / "store",
    )


def test_an_opinion_that_comes_after_a_later_one_does_not_take_its_place(results):
    grid, line = SeedGrid(results), {"kind": "rate", "cell": 0, "page": "x"}
    for turn, rating in ((2, 4), (1, 3)):
        grid._hear(None, {**line, "id": f"x{turn}", "turn": turn, "rating": rating}, [])
    grid._hear(None, {**line, "id": "x0", "turn": 0, "verdict": "wrong"}, [])
    assert grid.ratings == [[0, 4]] and grid.verdicts == [[0, "wrong"]]
    grid._hear(None, {**line, "id": "x3", "turn": 3, "rating": 1}, [])
    grid._hear(None, {**line, "page": "y", "id": "y0", "turn": 0, "rating": 2}, [])
    assert grid.ratings == [[0, 2]]  # each page counts by itself


def test_the_page_shows_what_is_in_view_when_two_threads_change_it(results, meanwhile):
    grid = SeedGrid(results)
    rate = {"kind": "rate", "id": "a", "cell": 0, "verdict": "wrong"}
    other = meanwhile(grid, "in_view", grid._hear, None, rate, [])
    grid.filters = {"verdict": "none"}
    other.join()
    assert grid.shown == grid.in_view() == list(range(1, len(results)))


def test_the_picture_in_the_notebook_is_the_newest_when_two_threads_draw_it(results, meanwhile):
    grid, drawn = SeedGrid(results), []

    class Still:
        def update(self, picture_, **named):
            drawn.append("six fingers" in picture_.data)

    grid._shown = [(Still(), Still())]

    def change():
        grid.rate(0, starred=True, note="six fingers")
        grid.refresh()

    other = meanwhile(grid, "_render", change)
    grid.refresh()
    other.join()
    grid._waiting.cancel()
    assert drawn == [False, True]


# ---- places


def placed(places, setting, r, c):
    """The number of the row of the frame that stands there, or None."""
    page = 0
    for axis, n in zip(places.sliders, setting):
        page = page * len(axis.found) + n
    place = page * places.a_page + r * len(places.col.found) + c
    return places.at.index(place) if place in places.at else None


@pytest.mark.parametrize(
    "row, col, sliders",
    [
        ("prompt", "seed", ["guidance_scale"]),
        ("seed", "guidance_scale", ["prompt"]),
        ("seed", None, ["prompt", "guidance_scale"]),
        (["prompt", "seed"], "guidance_scale", []),
        (None, "seed", ["prompt", "guidance_scale"]),
    ],
)
@pytest.mark.parametrize("keep", [1.0, 0.6])
def test_each_row_stands_where_pandas_pivots_it(tmp_path, row, col, sliders, keep):
    cells = sweep(CAT, prompt=["a cat", "a dog"], guidance_scale=[7.5, 1, 3], seed=[5, 2])
    frame = frame_of(cells, tmp_path).sample(frac=keep, random_state=1)
    places = arrange_places(frame, row, col)
    assert [axis.names for axis in places.sliders] == [[name] for name in sliders]
    table = frame.assign(number=range(len(frame)), one=0).pivot(
        index=[*sliders, *([row] if isinstance(row, str) else row or ["one"])],
        columns=col or "one",
        values="number",
    )
    for setting in np.ndindex(*(len(axis.found) for axis in places.sliders)):
        for r, down in enumerate(places.row.found):
            for c, across in enumerate(places.col.found):
                index = (
                    *(axis.found[n][0] for axis, n in zip(places.sliders, setting)),
                    *(down or (0,)),
                )
                known = index in table.index if len(index) > 1 else index[0] in table.index
                number = (
                    table.loc[index if len(index) > 1 else index[0], (across or (0,))[0]]
                    if known
                    else np.nan
                )
                assert placed(places, setting, r, c) == (None if pd.isna(number) else number)


def test_the_setting_of_each_row_is_its_values_on_the_sliders(tmp_path):
    frame = frame_of(
        sweep(
            CAT,
            prompt=["a cat", "a dog"],
            guidance_scale=[7.5, 1, 3],
            num_inference_steps=[5, 9],
            seed=[5, 2],
        ),
        tmp_path,
    )
    places = arrange_places(frame, "prompt", "seed")
    values = {axis.names[0]: axis.found for axis in places.sliders}
    found = [
        tuple(values[name][n][0] for name, n in zip(values, setting))
        for setting in places.settings()
    ]
    assert found == list(frame[list(values)].itertuples(index=False, name=None))
    assert {name: [v for (v,) in given] for name, given in values.items()} == {
        name: sorted(frame[name].unique()) for name in values
    }


def test_what_is_named_first_changes_slowest_numbers_ascend_and_texts_stand_as_they_came(tmp_path):
    cells = sweep(CAT, seed=[5, 2], guidance_scale=[10, 7.5], prompt=["a dog", "a cat"])
    places = arrange_places(frame_of(cells, tmp_path), ["prompt", "guidance_scale"], "seed")
    assert places.row.labels == ["a dog · 7.5", "a dog · 10", "a cat · 7.5", "a cat · 10"]
    assert places.col.labels == ["2", "5"]


def test_with_neither_seeds_stand_across_and_what_else_varies_first_stands_down(tmp_path):
    places = arrange_places(
        frame_of(sweep(CAT, guidance_scale=[1, 3], eta=[0, 1], seed=range(3)), tmp_path), None, None
    )
    assert (places.row.title, places.col.title, [axis.title for axis in places.sliders]) == (
        "guidance_scale",
        "seed",
        ["eta"],
    )
    assert places.row.labels == ["1", "3"] and places.col.labels == ["0", "1", "2"]


@pytest.mark.parametrize(
    "axis, captions",
    [
        (dict(seed=[3, 4]), ["seed 3", "seed 4"]),
        (dict(prompt=["a cat", "a dog"]), ["a cat", "a dog"]),
        (dict(prompt=["a {red|blue} cat"]), ["red|blue red", "red|blue blue"]),
        (dict(seed=[3]), ["a cat"]),
    ],
)
def test_where_no_grid_is_named_pictures_stand_in_order_under_what_sets_them_apart(
    tmp_path, axis, captions
):
    places = arrange_places(frame_of(sweep(CAT, **axis), tmp_path), None, None)
    assert (
        places.in_order and places.at == list(range(len(captions))) and places.captions == captions
    )
    assert places.to_json()["rows"] == places.to_json()["cols"] == []


def test_two_that_vary_together_are_rows_and_columns_and_what_is_no_sweep_stands_in_order(tmp_path):
    frame = frame_of(sweep(CAT, prompt=["a", "b"], guidance_scale=[1, 3, 9]), tmp_path)
    places = arrange_places(frame, None, None)
    assert (places.row.labels, places.col.labels) == (["a", "b"], ["1", "3", "9"])
    assert arrange_places(frame.iloc[:-1], None, None).in_order
    assert arrange_places(frame, [], []).in_order and arrange_places(frame, [], None).in_order


def test_seeds_stand_across_where_rows_alone_are_named(tmp_path):
    cells = sweep(CAT, prompt=["a", "b"], guidance_scale=[0, 3, 9], seed=range(2))
    frame = frame_of(cells, tmp_path)
    places = arrange_places(frame, "prompt", None)
    assert places.col.labels == ["0", "1"] and [s.title for s in places.sliders] == [
        "guidance_scale"
    ]
    assert arrange_places(frame, "prompt", []).col.names == []


def test_the_sliders_first_stand_where_most_pictures_are_and_not_at_guidance_0(tmp_path):
    cells = sweep(CAT, prompt=["a", "b"], guidance_scale=[0, 3, 9], eta=[0, 1], seed=range(2))
    frame = frame_of(cells, tmp_path)
    grid = SeedGrid(frame, row="prompt", col="seed")
    assert grid.places["sliders"][0]["name"] == "guidance_scale" and grid.where == [1, 0]
    most = frame.assign(path=frame["path"].where(frame["guidance_scale"] == 9))
    grid = SeedGrid(most.drop(index=frame.index[frame["eta"] == 0][0]), row="prompt", col="seed")
    assert grid.value["guidance_scale"].unique().tolist() == [9.0] and len(grid.value) == 4
    grid.row, grid.col = ["seed"], ["prompt"]
    assert grid.value["path"].notna().all()


def test_what_is_chosen_or_sorted_is_of_all_settings_of_the_sliders(results):
    grid = SeedGrid(results, row="prompt", col="seed")
    last = len(results) - 1
    grid.rate(last, starred=True, verdict="wrong")
    assert last not in grid.in_view()
    grid.only_starred = True
    assert grid.in_view() == grid.shown == [last]
    grid.only_starred, grid.filters = False, {"verdict": "wrong"}
    assert grid.in_view() == [last]
    grid.filters, grid.sort = {}, "-guidance_scale"
    assert len(grid.in_view()) == len(results)
    grid.sort = ""
    assert len(grid.in_view()) == 4 and grid.shown is None


def test_what_another_column_tells_already_gets_no_slider(tmp_path):
    pairs = [
        CAT.but(prompt=prompt, negative_prompt=f"no {prompt}", seed=seed)
        for prompt in ("a cat", "a dog")
        for seed in (0, 1)
    ]
    frame = frame_of(pairs, tmp_path)
    assert [axis.names for axis in arrange_places(frame, "seed", None).sliders] == [["prompt"]]
    assert (
        not arrange_places(frame, "prompt", "seed").sliders
        and not arrange_places(frame, "seed", "negative_prompt").sliders
    )


def test_choices_in_a_prompt_name_the_rows(tmp_path):
    frame = frame_of(sweep(CAT.but(prompt="a {red|blue} {cat|dog}"), seed=range(2)), tmp_path)
    places = arrange_places(frame, ["red|blue", "cat|dog"], "seed")
    assert (
        places.row.labels == ["red · cat", "red · dog", "blue · cat", "blue · dog"]
        and not places.sliders
    )
    assert arrange_places(frame, None, None).row.title == "red|blue" and arrange_places(
        frame, None, None
    ).sliders[0].names == ["cat|dog"]


def test_what_cannot_be_placed_is_refused(tmp_path):
    frame = frame_of(sweep(CAT, seed=range(2)), tmp_path)
    twice = pd.concat([frame, frame])
    with pytest.raises(
        ValueError,
        match="2 images share col '0': they are one recipe, several times in the frame; frame.drop_dup",
    ):
        SeedGrid(twice, col="seed")
    with pytest.raises(
        ValueError, match="row='sed' is no column of the frame; did you mean 'seed'"
    ):
        SeedGrid(frame, row="sed")
    with pytest.raises(ValueError, match="has no rows"):
        SeedGrid(frame.query("seed > 5"))
    with pytest.raises(TypeError, match="SeedGrid takes the frame of run.., or a Job, not list"):
        SeedGrid([1, 2])
    for wrong in (dict(colour="red"), dict(rows="seed")):
        with pytest.raises(TypeError, match=next(iter(wrong))):
            SeedGrid(frame, **wrong)
    with pytest.raises(traitlets.TraitError, match="cell_px"):
        SeedGrid(frame, cell_px=1000)


# ---- cells


def test_the_states_say_of_each_cell_what_has_become_of_it(tmp_path):
    frame = frame_of(sweep(CAT, seed=range(3)), tmp_path)
    frame.loc[1, "path"], frame.loc[1, "error"], frame.loc[2, "path"] = None, "no memory", None
    assert (Cells(frame).states(True), Cells(frame).states(False)) == ("+x.", "+x?")
    assert SeedGrid(frame).states == "+x?"


def test_a_tip_is_the_recipe_in_short_with_what_sets_the_cell_apart_first(tmp_path):
    cells = Cells(frame_of(sweep(CAT, seed=[3, 4], eta=[0, 0.5]), tmp_path))
    assert cells.describe(1).split("\n") == [
        "seed: 3",
        "eta: 0.5",
        "prompt: a cat",
        "model: tiny-v1",
        "guidance_scale: 4",
        "num_inference_steps: 20",
        "scheduler: DDIMScheduler",
        "height: 64",
        "width: 64",
    ]
    assert "eta" not in cells.describe(0)


@pytest.mark.parametrize("px, size", [(256, 256), (64, 64), (1, 32), (5000, 300)])
def test_the_pictures_of_cells_are_small_webps_in_the_order_asked_for(tmp_path, px, size):
    frame = frame_of(sweep(CAT, seed=range(3)), tmp_path)
    for n, colour in enumerate([(255, 0, 0), (0, 255, 0), (0, 0, 255)]):
        frame.loc[n, "path"] = str(tmp_path / f"{n}.png")
        Image.new("RGB", (300, 300), colour).save(frame.loc[n, "path"])
    content, buffers = Cells(frame).show_pictures([2, 0], px)
    images = [Image.open(io.BytesIO(data)) for data in buffers]
    assert [cell["i"] for cell in content["cells"]] == [2, 0] and {
        image.format for image in images
    } == {"WEBP"}
    assert {image.size for image in images} == {(size, size)} and [
        np.argmax(image.getpixel((9, 9))) for image in images
    ] == [2, 0]


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n broken"),
        lambda path: path.write_bytes(path.read_bytes()[:3000]),
        lambda path: path.write_bytes(b""),
    ],
)
def test_a_file_that_vanished_or_broke_is_an_error_of_that_cell_alone(tmp_path, monkeypatch, harm):
    monkeypatch.setenv("HOME", str(tmp_path))
    frame = frame_of(sweep(CAT, seed=range(3)), tmp_path)
    frame.loc[1, "path"] = str(tmp_path / "other.png")
    picture(1).save(tmp_path / "other.png")
    harm(tmp_path / "other.png")
    grid = SeedGrid(frame)
    content, buffers = grid._cells.show_pictures([0, 1, 2], 64)
    assert [cell["picture"] for cell in content["cells"]] == [True, False, True] and len(
        buffers
    ) == 2
    gone = not (tmp_path / "other.png").exists()
    said = "the file other.png is gone" if gone else "the picture cannot be read: "
    assert content["cells"][1]["error"].startswith(said) and str(tmp_path) not in str(content)
    assert (
        len(Page(grid.static()).every("img")) == 2
        and said in grid.static()
        and str(tmp_path) not in grid.static()
    )


def test_the_whole_of_a_cell_is_its_own_file_with_the_exact_recipe(seen):
    answer, buffers = Line(SeedGrid(seen)).ask("full", cell=5)
    assert answer["name"] == f"a-blue-cat-seed-0-{seen['key'].iloc[5][:8]}.png"
    row, facts = seen.iloc[5], dict(answer["facts"])
    assert buffers == [Path(row["path"]).read_bytes()] and answer["mime"] == "image/png"
    assert (facts["prompt"], facts["guidance_scale"], facts["seed"]) == (
        "a blue cat",
        "3",
        "0",
    ) and not {"key", "path", "pixels"} & facts.keys()
    assert resolve(eval(answer["code"], {"Request": Request})).key == row["key"] and answer[
        "recipe"
    ].startswith("a blue cat\n")


def test_an_empty_choice_is_called_none_in_the_grid(tmp_path):
    plan = sweep(CAT.but(negative_prompt="{|a blue background}"), seed=range(2))
    for side in ("none|a blue background", "negative_prompt"):
        grid = SeedGrid(frame_of(plan, tmp_path), row=side, col="seed")
        assert grid.places["rows"] == ["none", "a blue background"]
        assert grid.captions[0] == f"{side} none · seed 0"


def test_a_found_picture_without_a_recipe_is_told_as_such(results, tmp_path):
    picture().save(tmp_path / "drawing.png")
    frame = read_pictures(tmp_path / "drawing.png", progress=False)
    grid = SeedGrid(frame)
    told = Line(grid).ask("full", cell=0)[0]
    assert (told["recipe"], told["code"]) == ("", "")
    assert re.search(
        "^drawing.png has no .*prompt.*so its recipe is not known; its file says no",
        told["lacks"]["recipe"],
    )
    assert "eta" not in told["lacks"]["recipe"] and "mark" not in told["lacks"]["recipe"]
    marked = frame.assign(watermark_found="sd-v1")
    told = Line(SeedGrid(marked)).ask("full", cell=0)[0]
    assert told["lacks"]["recipe"].endswith(". The mark sd-v1 was found in its pixels")
    assert ["watermark_found", "sd-v1"] in told["facts"]
    loose = results.assign(path=str(tmp_path / "drawing.png"))
    told = Line(SeedGrid(loose)).ask("full", cell=0)[0]
    assert told["recipe"] and not told["lacks"]["recipe"] and "no store" in told["lacks"]["place"]
    told = Line(SeedGrid(results)).ask("full", cell=0)[0]
    assert told["lacks"] == {"recipe": "", "place": ""}
    gone = Line(SeedGrid(results.assign(model="v1-5-pruned-emaonly"))).ask("full", cell=0)[0]
    assert gone["recipe"] and not gone["lacks"]["recipe"]
    assert "the model v1-5-pruned-emaonly is not here" in gone["lacks"]["place"]
    assert "“open in a form” lets you take another model" in gone["lacks"]["place"]


def test_of_a_found_picture_only_what_its_file_says_is_told(results, tmp_path):
    info = PngInfo()
    info.add_text(
        "parameters", "a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 42, Model: x"
    )
    picture().save(tmp_path / "found.png", pnginfo=info)
    found = SeedGrid(read_pictures(tmp_path / "found.png", progress=False))
    facts = dict(Line(found).ask("full", cell=0)[0]["facts"])
    assert facts["seed"] == "42" and facts["model"] == "x"
    assert not {"eta", "clip_skip", "negative_prompt"} & set(facts)
    own = dict(Line(SeedGrid(results)).ask("full", cell=0)[0]["facts"])
    assert (own["eta"], own["clip_skip"]) == ("0", "0")  # these were so


def test_a_found_picture_opens_in_a_form_under_the_name_that_its_model_has_here(tmp_path):
    info = PngInfo()
    info.add_text(
        "parameters",
        "a cat\nSteps: 1, Sampler: Euler, CFG scale: 1, Seed: 0, Size: 64x64,"
        " Model: v1-5-pruned-emaonly",
    )
    picture().save(tmp_path / "found.png", pnginfo=info)
    frame = read_pictures(tmp_path / "found.png", progress=False)
    request = SeedGrid(frame)._cells.lend_request(0)
    assert frame["model"][0] == "v1-5-pruned-emaonly" and request.model == "sd-v1-5"


def test_recipes_are_told_exactly_and_measurements_as_far_as_they_are_worth(tmp_path):
    frame = frame_of([CAT.but(guidance_scale=7.123456), CAT], tmp_path).assign(
        bytes=[12345.678, 3.0]
    )
    facts = dict(SeedGrid(frame)._cells.show_file(0)[0]["facts"])
    assert (facts["guidance_scale"], facts["seconds"], facts["bytes"]) == (
        "7.123456",
        "1.235",
        "12346",
    )


def test_a_recipe_to_copy_says_what_the_scheduler_inherited(seen):
    frame = seen.assign(inherited="timestep_spacing='trailing'")
    copied = [SeedGrid(each)._cells.show_file(0)[0]["recipe"] for each in (frame, seen)]
    assert ["Schedule type: SGM Uniform" in text for text in copied] == [True, False]


def test_a_cell_without_its_file_still_tells_its_recipe(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    frame = frame_of(sweep(CAT, seed=range(2)), tmp_path)
    frame.loc[0, "path"], frame.loc[0, "error"] = None, "no memory"
    (tmp_path / "noise.png").unlink()
    for i, says in [(0, "no memory"), (1, "the file noise.png is gone")]:
        answer, buffers = Line(SeedGrid(frame)).ask("full", cell=i)
        assert buffers == [] and answer["facts"][0][0] == "error" and says in answer["facts"][0][1]
        assert ["seed", str(i)] in answer["facts"] and str(tmp_path) not in str(answer)


def test_a_picture_deleted_from_the_store_is_said_to_be_made_by_another_run(results):
    path = Path(results["path"][1])
    path.unlink()
    grid = SeedGrid(results)
    said = f"the file {path.name} is gone: running the sweep again makes it"
    assert dict(Line(grid).ask("full", cell=1)[0]["facts"])["error"] == said
    assert grid._cells.show_pictures([1], 64)[0]["cells"][0]["error"] == said
    assert said in grid.static()


# ---- what the page asks


def test_the_page_gets_the_cells_that_it_wants_however_often_it_asks(seen):
    line = Line(SeedGrid(seen))
    first, again = line.ask("want", cells=[3, 1], px=64), line.ask("want", cells=[3, 1], px=64)
    assert (
        [cell["i"] for cell in first[0]["cells"]] == [3, 1]
        and first[1] == again[1]
        and len(first[1]) == 2
    )
    assert "seed: 1" in first[0]["cells"][0]["tip"]


@pytest.mark.parametrize(
    "kind, content, says",
    [
        ("want", {}, "KeyError: 'cells'"),
        ("want", {"cells": [0]}, "KeyError: 'px'"),
        (
            "want",
            {"cells": [99], "px": 64},
            "there is no picture 99: they are numbered from 0 to 11",
        ),
        ("want", {"cells": [-1], "px": 64}, "no picture -1"),
        ("want", {"cells": 3, "px": 64}, "not iterable"),
        ("want", {"cells": ["a"], "px": 64}, "invalid literal"),
        ("full", {}, "KeyError"),
        ("full", {"cell": 99}, "no picture 99"),
        ("full", {"cell": None}, "NoneType"),
        ("rate", {"cell": 12, "starred": True}, "no picture 12"),
        ("rate", {"cell": 0}, "rate needs an opinion"),
        ("rate", {"cell": 0, "rating": 6}, "use a whole number from 1 to 5"),
        ("rate", {"cell": -1, "starred": True}, "no picture -1"),
        ("vary", {}, "KeyError"),
        ("vary", {"cell": 99}, "no picture 99"),
        ("paint", {"cell": 0}, "does not know"),
    ],
)
def test_questions_without_sense_are_answered_with_an_error(seen, kind, content, says):
    grid = SeedGrid(seen)
    assert says in Line(grid).error(kind, **content) and grid.starred == grid.ratings == []


def test_stars_and_ratings_go_into_the_store_and_are_found_again(results):
    line = Line(SeedGrid(results))
    for _ in range(2):  # the page may ask twice
        assert line.ask("rate", cell=3, starred=True)[0]["kind"] == "rated"
        line.ask("rate", cell=5, rating=4)
    line.ask("rate", cell=6, starred=True, rating=1), line.ask("rate", cell=6, starred=False)
    again = SeedGrid(results)
    assert again.starred == [3] and again.ratings == [[5, 4], [6, 1]]
    assert again._cells.store.frame(results["key"])["starred"].tolist() == [
        n == 3 for n in range(12)
    ]


def test_what_a_busy_page_asks_again_is_written_down_once_and_what_failed_fails_again(results):
    grid = SeedGrid(results)
    store, heard = grid._cells.store, []
    for _ in range(4):
        grid._hear(grid, {"kind": "rate", "id": 7, "cell": 3, "starred": True}, [])
    lines = (store.root / "opinions.jsonl").read_text().splitlines()
    assert len(lines) == 1 and grid.starred == [3]
    grid.answer = lambda question, content: heard.append(content["kind"])
    for _ in range(2):
        grid._hear(grid, {"kind": "rate", "id": 8, "cell": 99, "starred": True}, [])
    assert heard == ["error", "error"]


def test_marks_that_come_on_several_threads_are_all_told(results):
    grid = SeedGrid(results)
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda i: grid.rate(i, starred=True), range(12)))
    assert sorted(grid.starred) == list(range(12))


def test_an_opinion_that_cannot_be_kept_is_refused_with_the_reason(tmp_path):
    grid = SeedGrid(frame_of(sweep(CAT, seed=range(2)), tmp_path))
    assert "these pictures are in no store, so there is no place to keep stars" in Line(grid).error(
        "rate", cell=0, starred=True
    )
    assert grid.starred == []
    line = Line(grid)
    line.ask("vary", cell=0)
    assert "in no store, so there is no place for more" in line.heard[-1][0]["text"]


def test_the_same_picture_twice_in_a_frame_has_one_opinion(results):
    grid = SeedGrid(pd.concat([results.iloc[:2], results.iloc[:1]]))
    grid.rate(2, rating=5)
    assert grid.ratings == [[0, 5], [2, 5]]


def test_stopping_is_passed_on_and_harmless_without_a_job(seen, tmp_path):
    assert Line(SeedGrid(seen)).ask("stop")[0]["kind"] == "stopping"
    job = Played(sweep(Request(prompt="a cat"), seed=range(2)), tmp_path)
    Line(SeedGrid(job)).ask("stop")
    assert job._stop.is_set()


# ---- what is in view


def test_value_follows_the_sliders_and_the_stars_as_a_query_does(results):
    grid = SeedGrid(results, row="prompt", col="seed")
    grid.set_state({"where": [2]})
    assert list(grid.value["key"]) == list(results.query("guidance_scale == 7.5")["key"])
    last = grid.in_view()[-1]
    grid.rate(last, starred=True, rating=2), grid.rate(0, starred=True)
    assert grid.value["starred"].sum() == 1 and grid.value["rating"].dropna().tolist() == [2]
    grid.set_state({"only_starred": True})
    assert list(grid.value["key"]) == [results["key"][0], results["key"][last]]
    grid.set_state({"filters": {"rating": 3}})
    assert (
        grid.value.empty
        and grid.code == "# no picture is in view"
        and not Page(grid.static()).every("img")
    )


def test_what_the_page_sets_can_be_observed(seen):
    grid, heard = SeedGrid(seen, row="prompt", col="seed"), []
    grid.observe(
        lambda change: heard.append((change.name, change.new)),
        ["focused", "opened", "where", "only_starred"],
    )
    grid.set_state({"focused": 4, "opened": 4, "where": [1], "only_starred": True})
    assert sorted(heard) == [("focused", 4), ("only_starred", True), ("opened", 4), ("where", [1])]


@pytest.mark.parametrize("where", [[3], [-1], [], [0, 0]])
def test_sliders_cannot_be_set_to_what_they_do_not_have(seen, where):
    grid = SeedGrid(seen, row="prompt", col="seed")
    with pytest.raises(
        traitlets.TraitError,
        match=re.escape(
            f"where={where}: give each slider the number of its value; they have [3] values"
        ),
    ):
        grid.where = where
    assert grid.where == [0] and len(grid.value) == 4


def ran(grid, monkeypatch, folder):
    """The frame that the grid's code makes, with the pictures that are there."""
    monkeypatch.chdir(folder)
    names = {}
    exec(grid.code, names)
    return names["results"]


@pytest.mark.parametrize(
    "requests, axes, view",
    [
        (sweep(Request(prompt="a cat"), seed=range(3)), {}, {}),
        (
            sweep(Request(prompt="a {red|blue} cat"), guidance_scale=[1, 3], seed=range(2)),
            {},
            {"where": [1]},
        ),
        (
            sweep(Request(prompt="a {red|blue} cat"), guidance_scale=[1, 3], seed=range(2)),
            dict(row="guidance_scale", col=[]),
            {"where": [1, 1]},
        ),
        (sweep(Request(prompt="a {red|blue} cat"), seed=range(3)), {}, {"only_starred": True}),
        (
            [Request(prompt=NASTY, seed=7), Request(prompt="{braces}", eta=0.5, scheduler="DDIM")],
            {},
            {},
        ),
        (
            sweep(Request(prompt="a cat"), model=["tiny-v1", "FOLDER"], seed=range(2)),
            dict(row="model", col="seed"),
            {},
        ),
    ],
)
def test_the_code_makes_exactly_the_rows_in_view(
    tmp_path, random_v1, monkeypatch, requests, axes, view
):
    requests = [
        request.but(model=request.model.replace("FOLDER", str(random_v1))) for request in requests
    ]
    grid = SeedGrid(stored(requests, tmp_path / "here" / "runs"), **axes)
    grid.rate(0, starred=True), grid.rate(len(requests) - 1, starred=True)
    grid.set_state(view)
    again = ran(grid, monkeypatch, tmp_path / "here")
    assert (
        list(again["key"]) == list(grid.value["key"]) and again["path"].notna().all() and len(again)
    )
    assert "batch_size=4" in grid.code and ("row=" in grid.code) == (
        not grid.only_starred and bool(grid._places.row.names)
    )


def test_the_page_hears_that_the_code_has_changed_and_asks_for_it(results):
    grid, sent = SeedGrid(results, row="prompt", col="seed"), []
    grid.send = lambda content, buffers=None: sent.append(content)
    before, changes = grid.code, []
    grid.observe(lambda change: changes.append(change.new), "recoded")
    grid.set_state({"where": [1]})
    grid._handle_custom_msg({"kind": "code", "id": "q"}, [])
    idle()
    assert (
        len(changes) == 1
        and sent == [{"kind": "code", "text": grid.code, "re": "q"}]
        and grid.code != before
    )


def test_the_code_of_rows_that_are_no_requests_says_so(tmp_path):
    frame = frame_of(sweep(CAT, seed=range(2)), tmp_path).assign(height=13)
    assert SeedGrid(frame).code.startswith(
        "# these rows are no requests: height=13 is not a multiple of 8"
    )


def test_building_a_grid_writes_nothing_and_starts_nothing(seen, tmp_path, monkeypatch):
    monkeypatch.setattr(
        variations,
        "Job",
        type("Refused", (Job,), {"__init__": lambda *args, **more: pytest.fail("a job")}),
    )
    monkeypatch.chdir(tmp_path)
    store = Path(seen["path"][0]).parents[2]
    before = sorted(store.rglob("*"))
    grid = SeedGrid(seen)
    grid.code, grid.value, grid.static()
    assert sorted(store.rglob("*")) == before and not list(tmp_path.iterdir())


# ---- the picture that stays


def test_rows_and_columns_are_live_and_the_code_says_what_is_seen(results):
    grid = SeedGrid(results)
    line = Line(grid)
    assert (grid.row, grid.col) == (["red|blue"], ["seed"]) and grid.axes[0] == "red|blue"
    grid.where = [2]
    line.ask(
        "arrange", side="col", columns=["red|blue"]
    )  # which names the rows: they change places
    assert (grid.row, grid.col) == (["seed"], ["red|blue"])
    line.ask("arrange", side="row", columns=["guidance_scale"])
    assert (grid.places["row_name"], grid.places["col_name"]) == ("guidance_scale", "red|blue")
    assert grid.where == [0] and grid.places["rows"] == ["1", "3", "7.5"]
    assert "row='guidance_scale', col='red|blue'" in grid.code
    grid.col = "seed"
    assert grid.col == ["seed"] and len(grid.value) == 6 and "<th" in grid.static()
    grid.row = grid.col = []
    assert grid.places["rows"] == [] and len(grid.value) == 12
    answer = line.ask("arrange", side="row", columns=["sede"])[0]
    assert answer["kind"] == "error" and "did you mean 'seed'" in answer["text"] and grid.row == []


def test_what_stands_in_a_picture_is_told_where_nothing_was_measured(results):
    draw_scene("cat").save(results["path"].iloc[0])
    grid = SeedGrid(results)
    assert grid.looks and grid.measured == []
    answer = Line(grid).ask("seen", cell=0)[0]
    assert answer["seen"] == ["a program found cat, background green"]
    assert not SeedGrid(results.assign(objects_found="cat")).looks  # it is told already
    assert not SeedGrid(results.assign(model="another")).looks
    assert "there is no picture 12" in Line(grid).error("seen", cell=12)


def test_rows_in_view_are_those_that_pandas_would_query(results):
    measured = results.assign(score=[n % 5 / 4 for n in range(12)])
    grid = SeedGrid(measured, row=["red|blue", "guidance_scale"], col="seed")
    for i, verdict in ((3, "right"), (4, "wrong"), (7, "right")):
        grid.rate(i, verdict=verdict, tags=["Hands"], note="six" if i == 7 else "")
    frame = grid.value
    for filters, query in (
        ({"verdict": "right"}, "verdict == 'right'"),
        ({"verdict": "none"}, "verdict.isna()"),
        ({"text": "BLUE"}, "prompt.str.contains('blue')"),
        ({"text": "hands six"}, "note == 'six'"),
        ({"column": "score", "least": 0.5}, "score >= .5"),
        (
            {"column": "score", "least": 0.2, "most": 0.8, "verdict": "none"},
            "score >= .2 and score <= .8 and verdict.isna()",
        ),
    ):
        grid.filters = filters
        assert grid.value.index.tolist() == frame.query(query).index.tolist() == grid.shown, filters
    grid.filters = {}
    grid.sort = "-score"
    assert grid.value["score"].is_monotonic_decreasing and len(grid.shown) == 12
    grid.sort, grid.hidden = "", [0, 5]
    assert grid.shown is None and grid.value.index.tolist() == [1, 2, 3, 4, *range(6, 12)]


@pytest.mark.parametrize(
    "given, said",
    [
        ({"filters": {"verdikt": "right"}}, "'verdikt' is no filter; did you mean 'verdict'"),
        ({"filters": {"verdict": "good"}}, "is none of"),
        ({"filters": {"column": "prompt"}}, "column='prompt' is none of"),
        ({"sort": "scroe"}, "is no column of the frame"),
        ({"row": "sede"}, "did you mean 'seed'"),
    ],
)
def test_what_cannot_be_viewed_is_refused_and_changes_nothing(seen, given, said):
    grid = SeedGrid(seen)
    ((name, value),) = given.items()
    before = getattr(grid, name)
    with pytest.raises(ValueError, match=said):
        setattr(grid, name, value)
    assert getattr(grid, name) == before and len(grid.value) == 4


def test_counts_are_those_of_stats_rate_with_the_sign_test(results):
    grid = SeedGrid(results, row=["red|blue", "guidance_scale"], col="seed")
    with pytest.raises(ValueError, match="no verdict"):
        grid.counts()
    said = ["right"] * 5 + ["wrong", "cannot tell"]
    for i, verdict in enumerate(said):
        grid.rate(i, verdict=verdict)
    found = grid.counts("red|blue")
    right = grid.value["verdict"].map({"right": True, "wrong": False}).astype("boolean")
    known = stats.rate(results.assign(right=right), "right", by="red|blue")
    pd.testing.assert_frame_equal(found[list(known)], known)
    assert found["cannot_tell"].sum() == 1
    assert grid.counts()[["hits", "n", "missing"]].values.tolist() == [[5, 6, 6]]
    prompts = pd.DataFrame({"prompt": [*"aaabbc"], "right": [1, 1, 0, 1, 1, 0]})
    tested = signs(prompts, "right").iloc[0]  # a and b speak for it, c against
    assert (tested["over"], tested["p"]) == ("prompt", binomtest(2, 3).pvalue)


@pytest.mark.parametrize("kind", ["png", "html", "csv", "zip"])
def test_what_is_in_view_is_saved_as_one_file(results, tmp_path, kind):
    grid = SeedGrid(results, row=["red|blue", "guidance_scale"], col="seed", title="Cats")
    grid.filters = {"text": "blue"}
    data = grid.save(tmp_path / f"grid.{kind}").read_bytes()
    if kind == "png":
        assert min(Image.open(io.BytesIO(data)).size) > 300
    elif kind == "html":
        assert data.startswith(b"<!DOCTYPE html>") and data.count(b"<img") == 6
    elif kind == "csv":
        table = pd.read_csv(io.BytesIO(data))
        assert table["key"].tolist() == grid.value["key"].tolist()
        assert str(tmp_path) not in data.decode()
    else:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for path in grid.value["path"]:  # the very files, with their recipes
                assert archive.read(Path(path).name) == Path(path).read_bytes()
    line = Line(grid)
    told, buffers = line.ask("export", what=kind)
    assert told["name"] == f"Cats.{kind}" and len(buffers) == 1
    assert told["said"] == f"saved 6 of 12 {'rows' if kind == 'csv' else 'pictures'}"
    assert line.ask("export", what="exe")[0]["kind"] == "error"


def test_it_is_said_how_many_a_file_holds_where_sliders_hide_others(results, tmp_path):
    grid = SeedGrid(results, row="red|blue", col="seed")
    line = Line(grid)
    told, buffers = line.ask("export", what="csv")
    assert len(pd.read_csv(io.BytesIO(buffers[0]))) == 4 and told["said"] == "saved 4 of 12 rows"
    assert line.ask("export", what="zip", rows=[0, 5])[0]["said"] == "saved 2 of 12 pictures"
    chosen = grid.save(tmp_path / "two.html", rows=[0, 5]).read_text()
    assert chosen.count("<img") == 2
    some = results.assign(path=[*results["path"][:-1], None])
    grid = SeedGrid(some, row=[], col=[])
    for what in ("html", "png"):
        assert Line(grid).ask("export", what=what)[0]["said"] == "saved 11 of 12 pictures"


def sheet_of(monkeypatch, grid, rows=None, all_of=""):
    """Everything that is written on the grid's PNG."""
    drawn = []
    draw = Sheet.draw
    monkeypatch.setattr(Sheet, "draw", lambda *given: drawn.append(draw(*given)) or drawn[-1])
    grid._export("png", rows, all_of)
    return " ".join(" ".join(text.get_text() for text in drawn[-1].axes[0].texts).split())


def test_the_png_tells_the_settings_the_model_and_the_marks(results, monkeypatch):
    grid = SeedGrid(results, row="red|blue", col="seed")
    grid.rate(1, verdict="wrong", starred=True, tags=["hands"])
    for where in ([0], [1]):
        grid.where = where
        text = sheet_of(monkeypatch, grid)
        value = results["guidance_scale"].drop_duplicates().iloc[where[0]]
        assert f"guidance_scale: {value:g} (one of 3 values" in text and "model: tiny-v1" in text
        assert text.count("guidance_scale") == 1
        assert ("★ ✗ wrong #hands" in text) == (1 in grid.in_view())
    grid.where, grid.filters = list(grid._settings[1]), {"verdict": "wrong"}
    text = sheet_of(monkeypatch, grid)
    assert "1 of 12 pictures" in text and "✗ wrong" in text
    assert "2 of 12 pictures" in sheet_of(monkeypatch, grid, [3, 4])


def test_a_png_has_all_settings_of_a_slider_one_below_the_other(results, monkeypatch, tmp_path):
    grid = SeedGrid(results, row="red|blue", col="seed")
    text = sheet_of(monkeypatch, grid, all_of="guidance_scale")
    for setting in ("1", "3", "7.5"):
        assert f"{setting} · red" in text and f"{setting} · blue" in text
    assert "guidance_scale · red|blue" in text and "one of 3 values" not in text
    told, (png,) = Line(grid).ask("export", what="png", all_of="guidance_scale")
    assert told["said"] == "saved 12 of 12 pictures" and told["name"] == "pictures.png"
    assert Image.open(io.BytesIO(png)).height > 2 * Image.open(grid.save(tmp_path / "a.png")).height
    grid.hidden = [0]
    told, _ = Line(grid).ask("export", what="png", all_of="guidance_scale")
    assert told["said"] == "saved 11 of 12 pictures"
    two = SeedGrid(results.drop(columns="red|blue"), row=["seed"], col=[])
    other = two.places["sliders"][1]["name"]
    assert f"{other}: " in sheet_of(monkeypatch, two, all_of=two.places["sliders"][0]["name"])
    with pytest.raises(ValueError, match=r"'eta': no slider has that name; there is guidance_s"):
        grid.save(tmp_path / "b.png", all_of="eta")
    with pytest.raises(ValueError, match=r"a \.png of the whole grid"):
        grid.save(tmp_path / "b.html", all_of="guidance_scale")
    grid.sort = "seed"
    assert "while no rows are chosen" in Line(grid).error(
        "export", what="png", all_of="guidance_scale"
    )


@pytest.mark.parametrize("sides", [dict(row="red|blue", col="seed"), dict(row=[], col=[])])
def test_page_and_png_say_what_is_asked_for_where_labels_stand_for_prompts(
    results, tmp_path, monkeypatch, sides
):
    grid, asked = SeedGrid(results, **sides), "a {red|blue} cat"
    page = Page(grid.save(tmp_path / "grid.html").read_text())
    assert page.said("h1") == [asked] and f"prompt: {asked} · model: tiny-v1 · " in page.text
    assert f"prompt: {asked} · model: tiny-v1 · " in sheet_of(monkeypatch, grid)
    assert f"prompt: {asked} · " in grid.shared
    grid.filters = {"text": "blue"}
    page = Page(grid.save(tmp_path / "grid.html").read_text())
    assert page.said("h1") == ["a blue cat"] and "prompt: a blue cat · " in page.text


def test_a_page_is_named_by_its_title_or_its_prompts_and_not_by_all_of_many(results, tmp_path):
    named = lambda grid: Page(grid.save(tmp_path / "grid.html").read_text()).said("h1")
    assert named(SeedGrid(results, title="Cats")) == ["Cats"]
    many = results.assign(prompt=[f"a picture of the number {n}" for n in range(12)])
    grid = SeedGrid(many.drop(columns="red|blue"), row="seed", col="prompt")
    (heading,) = named(grid)
    assert heading.startswith("a picture of the number 0; a picture") and len(heading) == 120
    assert "prompts:" not in grid.static()  # the columns tell them
    assert named(SeedGrid(results.assign(prompt=None), row=[], col=[])) == ["pictures"]


def test_a_column_without_a_bound_chooses_nothing_and_yes_and_no_are_bounds(results):
    answers = pd.array([True, False, None] * 4, "boolean")
    grid = SeedGrid(results.assign(objects_right=answers, score=[0.5] * 12))
    assert grid.answers == ["objects_right"] and "score" in grid.numbers
    grid.filters = {"column": "objects_right"}
    assert grid.shown is None and grid.in_view() == SeedGrid(results).in_view()
    for bound, value in ((1, True), (0, False)):
        grid.filters = {"column": "objects_right", "least": bound, "most": bound}
        assert grid.value["objects_right"].tolist() == [value] * len(grid.value)
        assert grid.shown == grid.in_view() != []


def test_words_are_searched_in_names_of_models_too_and_all_must_be_there(results):
    frame = results.assign(model=["tiny-v1"] * 5 + ["tiny-v2"] * 7)
    grid = SeedGrid(frame, row=[], col=[])
    blue, second = frame["prompt"].str.contains("blue"), frame["model"] == "tiny-v2"
    for text, expected in {"tiny-v2": second, "BLUE tiny-v2": blue & second}.items():
        grid.filters = {"text": text}
        assert grid.value["key"].tolist() == frame.loc[expected, "key"].tolist() != []
    grid.filters = {"text": "tiny-v1 tiny-v2"}
    assert grid.value.empty


def test_a_cell_is_named_by_what_was_measured_in_it(results):
    grid = SeedGrid(results.assign(objects_right=pd.array([True, False] * 6, "boolean")))
    assert grid.measured[:2] == ["objects_right True", "objects_right False"]
    assert SeedGrid(results).measured == []


def test_the_static_table_names_every_row_and_column_and_describes_every_picture(seen):
    grid = SeedGrid(seen, row="prompt", col="seed")
    page = Page(grid.static())
    assert page.said("th") == ["prompt ↓ seed →", "0", "1", "a red cat", "a blue cat"]
    assert [th.get("scope") for th in page.every("th")] == [*["col"] * 3, "row", "row"]
    assert [picture["alt"] for picture in page.every("img")] == [
        f"guidance_scale 1 · a {colour} cat · seed {seed}"
        for colour in ("red", "blue")
        for seed in (0, 1)
    ]
    assert page.said("caption") == ["guidance_scale: 1 (one of 3 values, the others are not shown)"]


def alts_of(html):
    return [picture["alt"] for picture in Page(html).every("img")]


def test_the_still_says_what_was_measured_in_each_picture_and_of_which_it_is_not_sure(seen):
    fits = ["0.99", "0.89"] + ["0.99"] * 9 + [None]
    found = dict(objects_found=["cat"] * 11 + [None], objects_background="green")
    alts = alts_of(SeedGrid(seen.assign(**found, objects_fits=fits), row=[], col=[]).static())
    assert alts[0].endswith("guidance_scale 1, a program found cat, background green")
    assert alts[1].endswith("guidance_scale 1, a program found perhaps cat, background green")
    assert alts[11].endswith("guidance_scale 7.5, background green")


def test_a_program_looks_for_pages_that_leave_the_notebook_and_not_in_many_pictures(
    results, tmp_path, monkeypatch
):
    draw_scene("cat").save(results["path"].iloc[3])
    grid, said = SeedGrid(results, row=[], col=[]), "1, a program found cat, background green"
    told = lambda html: sum("a program found" in alt for alt in alts_of(html))
    assert told(grid.static()) == 0  # it is drawn while somebody waits for it
    Line(grid).ask("seen", cell=3)
    assert told(grid.static()) == 1 and alts_of(grid.static())[3].endswith(said)
    for most, count in ((10, 1), (11, 12)):  # as one is known
        monkeypatch.setattr(looks, "MOST_LOOKED", most)
        assert told(grid.render_for_page()) == count
    monkeypatch.setattr(looks, "MOST_LOOKED", 12)
    for write in (SeedGrid.save, lambda each, path: write_report(path, "t", results, each)):
        page = write(SeedGrid(results, row=[], col=[]), tmp_path / "page.html").read_text()
        assert any(alt.endswith(said) for alt in alts_of(page))
    waited = SeedGrid(results, row=[], col=[])
    waited.settle()
    assert told(waited.static()) == 12
    assert told(SeedGrid(results.assign(model="another")).render_for_page()) == 0


def test_the_static_table_of_rows_alone_has_no_arrow_to_nowhere(seen):
    assert Page(SeedGrid(seen, row="prompt", col=[]).static()).said("th")[:2] == [
        "prompt ↓",
        "a red cat",
    ]


def test_the_static_picture_shows_stars_ratings_and_only_what_is_in_view(results):
    grid = SeedGrid(results, row="prompt", col="seed")
    grid.rate(0, starred=True, rating=4), grid.rate(11, starred=True)
    assert Page(grid.static()).text.count("★") == 1 and "★ 4/5" in Page(grid.static()).text
    grid.set_state({"where": [2], "only_starred": True})
    page = Page(grid.static())
    assert (
        page.said("figcaption") == [grid.captions[0], grid.captions[11]]
        and len(page.every("img")) == 2
        and not page.every("table")
    )


def test_prompts_cannot_leave_their_place_in_the_html(tmp_path):
    frame = frame_of(sweep(CAT, prompt=[NASTY, "a dog"], seed=range(2)), tmp_path)
    frame.loc[3, "path"], frame.loc[3, "error"] = None, NASTY
    for axes in (dict(row="prompt", col="seed"), dict(row="seed", col="prompt"), {}):
        page = Page(SeedGrid(frame, **axes).static())
        assert (
            not page.every("script")
            and len(page.every("img")) == 3
            and NASTY in page.said("th")
            and NASTY in page.text
        )
        assert all(
            set(picture) == {"alt", "style", "src"} and picture["src"].startswith("data:image/webp")
            for picture in page.every("img")
        )
        assert (
            any(NASTY in picture["alt"] for picture in page.every("img"))
            and f"failed: {NASTY}" in page.text
        )


def test_sixty_four_real_pictures_take_less_than_120_kb(tmp_path):
    """Real ones are not noise: shapes on a plain ground with a little grain."""
    frame = frame_of(sweep(CAT, prompt=[f"a cat {n}" for n in range(8)], seed=range(8)), tmp_path)
    for n in range(64):
        grain, (y, x) = np.random.default_rng(n).normal(0, 3, (64, 64, 3)), np.ogrid[:64, :64]
        disc = ((x - 20 - n % 24) ** 2 + (y - 32) ** 2 < 200)[..., None]
        Image.fromarray(
            np.clip(np.where(disc, (200, 60, 40), (90, 130, 200)) + grain, 0, 255).astype("u1")
        ).save(tmp_path / f"{n}.png")
        frame.loc[n, "path"] = str(tmp_path / f"{n}.png")
    html = SeedGrid(frame).static()
    assert len(Page(html).every("img")) == 64 and len(html) < 120_000


def test_no_more_than_400_pictures_stay_and_the_rest_is_counted(tmp_path):
    frame = frame_of(sweep(CAT, seed=range(1234)), tmp_path)
    for axes in ({}, dict(row="seed")):
        page = Page(SeedGrid(frame, **axes).static())
        assert len(page.every("img")) == 400 and "834 more are not shown here" in page.text


# ---- thousands of cells


@pytest.fixture(scope="module")
def thousands(tmp_path_factory):
    cells = sweep(
        CAT,
        prompt=[f"a cat in front of house number {n}" for n in range(10)],
        guidance_scale=[3, 7.5],
        seed=range(100),
    )
    return frame_of(cells, tmp_path_factory.mktemp("many"))


def count_calls(work):
    """How many functions, those in C as well, are called on this thread."""
    count = 0

    def note(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def test_twice_the_cells_are_twice_the_work_and_a_slider_touches_each_row_once(thousands):
    grids = []
    SeedGrid(thousands[:200])  # what is made once
    build, slide, show = [], [], []
    for seeds in (30, 60):
        frame = thousands[thousands["seed"] < seeds]
        build.append(count_calls(lambda frame=frame: grids.append(SeedGrid(frame))))
        grid = grids[-1]
        slide.append(count_calls(lambda grid=grid: grid.set_state({"where": [1]})) / len(frame))
        show.append(count_calls(lambda grid=grid: grid._cells.show_pictures(range(20), 256)))
        assert grid.shown is None and len(grid.value) == len(frame) // 2
    assert build[1] < 2.2 * build[0] and build[1] < 1000 * len(frame)
    assert slide[1] < slide[0] < 2  # the rest is the same for all
    assert show[1] < 1.1 * show[0]


def test_the_code_of_thousands_of_cells_is_made_when_it_is_asked_for(thousands, monkeypatch):
    made = []
    write = sdlab.widgets.seed_grid.grid.write_grid_code
    monkeypatch.setattr(
        sdlab.widgets.seed_grid.grid,
        "write_grid_code",
        lambda *given: made.append(given) or write(*given),
    )
    grid = SeedGrid(thousands)
    grid.where = [1]
    assert not made
    assert "seed=range(100)" in grid.code and len(made) == 1


def test_thousands_of_cells_take_little_memory(thousands):
    SeedGrid(thousands).code
    tracemalloc.start()
    grid = SeedGrid(thousands)
    grid.code
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(grid.states) == 2000 and taken < 1000 * 2000  # bytes


# ---- pictures from elsewhere beside our own


@pytest.fixture
def mixed(tmp_path):
    """A frame of our pictures, found ones that their store keeps, and one that it does not."""
    own = stored(sweep(Request(prompt="a cat"), seed=range(2)), tmp_path / "mine")
    (tmp_path / "found").mkdir()
    for n in range(3):
        picture(100 + n).save(tmp_path / "found" / f"{n}.png")
    told = dict(model="dall-e-2", prompt="a cat", progress=False)
    kept = read_pictures(tmp_path / "found", tmp_path / "mine", **told)
    loose = read_pictures(tmp_path / "found" / "0.png", **told | {"model": "other"})
    return pd.concat([own, kept, loose])


def test_a_mixed_frame_shows_and_takes_marks_of_all_that_one_store_keeps(mixed, tmp_path):
    store = Store(tmp_path / "mine")
    store.rate(mixed["key"].iloc[1], starred=True, rating=5, tags=["hands", "ears"])
    grid = SeedGrid(mixed, row=[], col=[])
    assert grid.starred == [1] and grid.ratings == [[1, 5]]
    grid.rate(0, verdict="wrong"), grid.rate(3, note="of a service")
    again = SeedGrid(mixed, row=[], col=[])
    assert again.verdicts == [[0, "wrong"]] and again.notes == [[3, "of a service"]]
    told = read_pictures(tmp_path / "found", tmp_path / "mine", progress=False)
    assert told["note"].dropna().to_dict() == {1: "of a service"}
    assert store.frame(mixed["key"].iloc[:1])["verdict"].tolist() == ["wrong"]
    with pytest.raises(
        ValueError, match="row 5 .*'mine' does not keep.*read_pictures.*store='mine'"
    ):
        grid.rate(5, starred=True)


def test_the_marks_of_a_frame_are_shown_where_no_store_keeps_its_pictures(tmp_path):
    frame = frame_of(sweep(CAT, seed=range(3)), tmp_path)
    frame = frame.assign(
        starred=[True, False, None], rating=[5.0, None, 9.0], tags=["a, b", "", None]
    )
    grid = SeedGrid(frame)
    assert grid.starred == [0] and grid.ratings == [[0, 5]] and grid.tags == [[0, ["a", "b"]]]
    assert grid.value["starred"].tolist() == [True, False, False]


def test_pictures_of_two_stores_show_their_marks_and_say_why_they_take_none(tmp_path):
    one = stored([Request(prompt="a cat")], tmp_path / "one")
    two = stored([Request(prompt="a dog")], tmp_path / "two")
    Store(tmp_path / "two").rate(two["key"][0], starred=True)
    grid = SeedGrid(pd.concat([one, Store(tmp_path / "two").frame()]))
    assert grid.starred == [1]
    with pytest.raises(ValueError, match="in 2 stores, so there is no place to keep stars"):
        grid.rate(0, starred=True)


def test_the_code_of_a_mixed_frame_makes_our_own_and_counts_the_others(mixed):
    code = SeedGrid(mixed, row=[], col=[]).code
    assert code.startswith("# 4 pictures of 6 not made here") and "dall-e-2" not in code
    assert "seed=[0, 1]" in code and "Store('runs/mine')" in code
    others = SeedGrid(mixed.iloc[2:], row=[], col=[]).code
    assert others.startswith("# 4 pictures of 4 not made here") and "run(" not in others


def test_found_pictures_that_nothing_tells_apart_are_numbered_in_one_place(mixed):
    grid = SeedGrid(mixed, row="prompt", col=["model", "seed"])
    assert grid.places["rows"] == ["a cat"] and grid.places["sliders"] == []
    heads = [head.split(" · not made here")[0] for head in grid.places["cols"]]
    assert [head for head in heads if "dall-e-2" in head] == [
        f"dall-e-2 · — · {n}" for n in (1, 2, 3)
    ]
    assert [head for head in heads if "dall-e-2" not in head] == [
        "tiny-v1 · 0",
        "tiny-v1 · 1",
        "other · —",
    ]
    assert grid.places["col_name"] == "model · seed · no." and grid.col == ["model", "seed"]
    assert "no. 2" in grid.captions[3] and "no." not in grid.captions[0]
    grid.row, grid.col = ["model"], []  # and where the page names other sides
    assert grid.places["col_name"] == "no." or grid.places["sliders"]
    assert Line(grid).ask("export", what="png")[1][0].startswith(b"\x89PNG")


def test_one_recipe_several_times_is_still_refused_beside_numbered_ones(mixed):
    with pytest.raises(ValueError, match="one recipe, several times in the frame"):
        SeedGrid(pd.concat([mixed, mixed.iloc[:1]]), row="prompt", col=["model", "seed"])
