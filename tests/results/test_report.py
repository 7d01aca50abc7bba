"""A report is one file that needs nothing, hides nothing, and says how to make it again."""

import base64
import io
import json
import os
import pickle
import re
import warnings
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from sdlab import detect_watermark, run
from sdlab.recipe.request import FIELDS, Request
from sdlab.recipe.sweep import sweep
from sdlab.results.grid import image_grid
from sdlab.results.report import write_report
from sdlab.results.scorers import measure
from sdlab.widgets import SeedGrid

NASTY = "a cat </script><img src=x onerror=\"alert('1')\"> & {braces} \\| \\{ $5"
FACTS = {
    "seconds": 1.5,
    "device": "cpu",
    "dtype": "float32",
    "torch_version": "2.9.1",
    "machine": "Linux x86_64, 2 cores",
    "created": "2026-11-21T22:00:00+00:00",
}


def results(folder, cells, size=(16, 16)):
    """A frame as run() makes it, all cells with one picture of noise."""
    path = folder / "private" / "picture.png"
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    ).save(path)
    return pd.DataFrame(
        [
            {
                "key": f"{i:032x}",
                **{f: getattr(cell, f) for f in FIELDS},
                **cell.labels,
                "path": str(path),
                "error": None,
                **FACTS,
            }
            for i, cell in enumerate(cells)
        ]
    ).convert_dtypes()


def plan(**axes):
    base = Request(
        prompt="a cat",
        guidance_scale=4,
        num_inference_steps=20,
        scheduler="DDIMScheduler",
        height=64,
        width=64,
        weights="f00d",
    )
    return sweep(base, **axes)


class Page(HTMLParser):
    """What a browser would find: tags with their attributes, and the text."""

    def __init__(self, path):
        super().__init__()
        self.source = Path(path).read_text(encoding="utf-8")
        self.tags, self.text = [], ""
        self.feed(self.source)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def every(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    def pre(self, name):
        found = Page.__new__(Page)
        HTMLParser.__init__(found)
        found.tags, found.text = [], ""
        found.feed(re.search(rf'<pre id="{name}".*?</pre>', self.source, re.S)[0])
        return found.text


def ids(page):
    return {attributes.get("id") for _, attributes in page.tags}


def report(tmp_path, frame, *figures, **more):
    return Page(write_report(tmp_path / "out" / "report.html", "Cats", frame, *figures, **more))


def remade(page):
    """The requests that the report's code makes."""
    code, _, rest = page.pre("code").partition("results = run(plan, Store(")
    assert rest.startswith("'runs/report'))\nwrite_report('report-again.html', 'Cats', results)")
    names = {"Request": Request, "sweep": sweep}
    exec(code.replace("from sdlab import Request, Store, run, sweep, write_report", ""), names)
    return names["plan"]


def figure():
    out = Figure((4, 2))
    out.add_subplot().set(title="Sharpness", xlabel="guidance_scale")
    return out


def test_the_file_loads_nothing_and_runs_nothing(tmp_path):
    page = report(tmp_path, results(tmp_path, plan(seed=range(3))), figure())
    assert not {"script", "link", "iframe", "object", "base"} & {tag for tag, _ in page.tags}
    links = [link["href"] for link in page.every("a")]
    assert [link.split(",")[0] for link in links if link[0] != "#"] == [
        "data:text/csv;charset=utf-8;base64"
    ]
    assert all(link[1:] in ids(page) for link in links if link[0] == "#")
    assert (
        all(image["src"].startswith("data:image/") for image in page.every("img"))
        and len(page.every("img")) == 4
    )
    assert not re.search(r"https?://|@import|url\(", page.source)
    assert {
        "http-equiv": "Content-Security-Policy",
        "content": "default-src 'none'; img-src data:; style-src 'unsafe-inline'",
    } in page.every("meta")


def test_markup_in_prompts_labels_errors_and_captions_stays_text(tmp_path):
    frame = results(
        tmp_path,
        [
            cell.but(prompt=NASTY + p, labels={NASTY: NASTY + p})
            for p in "ab"
            for cell in plan(seed=0)
        ],
    )
    frame.loc[1, "path"], frame.loc[1, "error"] = pd.NA, NASTY
    table = pd.DataFrame({NASTY: [NASTY]}, index=pd.Index([NASTY], name=NASTY))
    page = report(tmp_path, frame, (figure(), NASTY), (table, NASTY), NASTY, text=NASTY)
    assert not page.every("script") and all(
        not name.startswith("on") for _, attributes in page.tags for name in attributes
    )
    assert len(page.every("img")) == 2 and page.text.count(NASTY) >= 12
    assert NASTY in [region["aria-label"] for region in page.every("div")]


def test_it_can_be_read_without_seeing_it(tmp_path):
    frame = results(tmp_path, plan(seed=range(2), guidance_scale=[1, 7.5]))
    page = report(
        tmp_path,
        frame,
        image_grid(frame, "seed", "guidance_scale"),
        figure(),
        Image.new("RGB", (8, 8)),
        frame,
    )
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1 and all(b <= a + 1 for a, b in pairwise(levels))
    assert (
        page.every("html") == [{"lang": "en"}]
        and len(page.every("main")) == len(page.every("header")) == 1
    )
    assert all(image["alt"] for image in page.every("img")) and all(
        th["scope"] in ("row", "col") for th in page.every("th")
    )
    assert "columns: guidance_scale: 1; 7.5" in page.every("img")[0]["alt"]
    assert page.every("img")[1]["alt"] == "Sharpness. x: guidance_scale"
    assert page.every("img")[3]["alt"] == "seed 0, guidance_scale 1"


MODELS = {
    "tiny-v1": dict(weights="f00d", height=64, width=64),
    "tiny-v2": dict(weights="beef", height=96, width=96),
}
PLANS = {
    "product": (plan(prompt=["a cat", "a dog"], seed=range(4), guidance_scale=[1, 7.5]), True),
    "the last field slowest": (
        plan(clip_skip=[0, 1], model=["tiny-v1", "tiny-v2"], seed=[3, 1]),
        True,
    ),
    "one": (plan(seed=7), True),
    "native values of models": (
        [c.but(**MODELS[c.model]) for c in plan(seed=range(3), model=list(MODELS))],
        True,
    ),
    "syntax in prompts": (
        [
            c.but(prompt=NASTY + p, negative_prompt="{x|y} \\} \\\\{")
            for p in "ab|"
            for c in plan(seed=range(2))
        ],
        True,
    ),
    "none": (plan(eta=[0, 0.5], scheduler=[None, "DDIMScheduler"]), True),
    "not a product": (plan(seed=range(3), eta=[0, 1])[:-1], False),
    "shuffled": (plan(seed=range(3), eta=[0, 1])[::-1][1:] + plan(seed=2, eta=1), False),
    "one field, no order": (plan(seed=[1, 2]) + plan(seed=[1, 3]), False),
    "one recipe three times": (list(plan(seed=1)) * 3, False),
    "private characters": ([c.but(prompt="\ue000 x") for c in plan(seed=range(2))], False),
}


@pytest.mark.parametrize("cells, swept", PLANS.values(), ids=PLANS.keys())
def test_its_code_makes_the_same_requests_in_the_same_order(tmp_path, cells, swept):
    frame = results(tmp_path, cells)
    page = report(tmp_path, frame)
    recipes = [
        {f: v for f, v in row.items() if not pd.isna(v)}
        for row in frame[list(FIELDS)].to_dict("records")
    ]
    assert [cell.to_dict() for cell in remade(page)] == recipes
    assert ("sweep(base" in page.pre("code")) == swept
    if frame.weights.nunique() == 1:
        assert "weights='f00d'" in page.pre("code")


def test_its_code_gives_labels_back(tmp_path):
    cells = plan(prompt="a {colour=red|blue} circle", seed=range(2))
    assert [cell.labels for cell in remade(report(tmp_path, results(tmp_path, cells)))] == [
        cell.labels for cell in cells
    ]


def test_the_list_of_recipes_is_complete_where_the_table_of_cells_is_not(tmp_path):
    cells = plan(seed=range(130), eta=[0, 1])
    page = report(tmp_path, results(tmp_path, cells))
    listing = json.loads(page.pre("recipes"))
    assert [
        Request(**listing["shared"], **dict(zip(listing["varying"], row)))
        for row in listing["rows"]
    ] == cells
    assert len(page.every("img")) == 200 and "first 200 of 260 cells" in page.text
    assert "0–129" in page.text


def test_it_counts_what_was_made_what_failed_and_what_is_missing(tmp_path):
    frame = results(tmp_path, plan(seed=[0, 1, 2, 7, 42], guidance_scale=[1, 7.5]))
    frame.loc[[0, 3], "path"] = pd.NA
    frame.loc[3, "error"] = "ValueError: 91 tokens"
    frame["torch_version"] = ["2.9.1"] * 7 + ["2.8.0"] * 3
    page = report(tmp_path, frame)
    assert (
        "8 images by tiny-v1. seed (0–2, 7, 42) and guidance_scale (1, 7.5) vary; the rest of the recipe is constant."
        in page.text
    )
    assert (
        "1 cell failed. 1 cell was not rendered." in page.text
        and page.text.count("ValueError: 91 tokens") == 2
    )
    assert "2.9.1 (5 images), 2.8.0 (3 images)" in page.text and "f00d" in page.text


def test_what_is_recorded_only_where_it_is_so_is_counted_where_it_is_not(tmp_path):
    frame = results(tmp_path, plan(seed=range(4)))
    frame["dtype"], frame["winograd"], frame["compiled"] = ["float32"] * 3 + [None], None, None
    assert "False (" not in report(tmp_path, frame).text
    frame.loc[0, "winograd"] = True
    told = report(tmp_path, frame).text
    assert "False (2 images), True (1 image)" in told and "compiled" not in told


def test_a_grid_of_several_pages_stands_there_whole(tmp_path):
    frame = results(tmp_path, plan(seed=range(16)))
    first = image_grid(frame, "seed")
    assert first.pages == 2
    figures = lambda *given: [
        image["alt"].partition(": ")[0]
        for image in report(tmp_path, frame, *given).every("img")
        if "Grid of" in image["alt"]
    ]
    whole = ["All. Grid of 12 pictures", "All. Grid of 4 pictures"]
    assert figures((first, "All")) == whole
    second = image_grid(frame, "seed", page=2)
    assert figures((first, "All"), (second, "All")) == whole
    assert figures((second, "All")) == whole[1:]
    other = image_grid(frame.copy(), "seed")
    assert figures((first, "All"), (second, "All"), (other, "All")) == whole * 2


def test_it_does_not_call_constant_what_is_not(tmp_path):
    frame = results(tmp_path, plan(seed=range(4)))
    frame["weights"], frame["dtype"] = ["f00d", "f00d", "beef", "beef"], ["float32", "bfloat16"] * 2
    frame["batch_size"] = pd.array([4, 4, 8, pd.NA], dtype="Int64")
    page = report(tmp_path, frame)
    said = (
        "seed (0–3) and weights (f00d, beef) vary; the rest of the recipe is constant. Beside the recipe,"
        " the machine's dtype (float32, bfloat16) and batch_size (4, 8) were not the same."
    )
    constant, _, varies = page.text.partition("Held constant")[2].partition("Varies")
    assert said in page.text and "f00d" not in constant and "weights of tiny-v12f00dbeef" in varies
    of_models = results(
        tmp_path, [c.but(**MODELS[c.model]) for c in plan(model=list(MODELS), seed=range(2))]
    )
    before, _, rest = report(tmp_path, of_models).text.partition("vary; the rest")
    constant, _, varies = rest.partition("All seeds")[0].partition("Varies")
    assert (
        "f00d" in constant
        and "beef" in constant
        and "weights" not in varies
        and "weights" not in before
    )


def test_its_code_says_which_models_a_fresh_session_does_not_know(tmp_path):
    (tmp_path / "model_index.json").write_text("{}")
    frame = results(tmp_path, plan(model=["tiny-v1", str(tmp_path), "mine", "it's"]))
    frame.loc[3, "weights"] = "beef"
    code = report(tmp_path, frame).pre("code")
    assert [line for line in code.split("\n") if line.startswith("#")] == [
        "# 'mine' is a name of its author for the weights f00d: MODELS['mine'] = Model(path='...')",
        "# \"it's\" is a name of its author for the weights beef: MODELS[\"it's\"] = Model(path='...')",
    ]
    assert code.startswith("from sdlab import MODELS, Model, Request,") and code.index(
        "# 'mine'"
    ) < code.index("plan =")
    assert not re.search("#|MODELS", report(tmp_path, frame[:2]).pre("code"))
    frame = frame[:2].assign(model="mine", weights=["f00d", "beef"])
    assert "for the weights f00d and beef, one at a time: MODELS['mine']" in report(
        tmp_path, frame
    ).pre("code")


@pytest.mark.parametrize(
    "sizes, said", [([8, 8], ", batch_size=8"), ([8, 4], ""), ([8, None], ""), ([None, None], "")]
)
def test_its_code_keeps_the_batch_size_that_all_pictures_share(tmp_path, sizes, said):
    frame = results(tmp_path, plan(seed=range(3)))
    frame.loc[2, "path"] = pd.NA  # a cell that failed has no batch size
    frame["batch_size"] = pd.array([*sizes, None], dtype="Int64")
    assert f"results = run(plan, Store('runs/report'){said})\n" in report(tmp_path, frame).pre(
        "code"
    )


def stored(frame, *roots):
    return frame.assign(
        path=[
            f"{roots[i % len(roots)]}/images/{key[:2]}/{key}.png" for i, key in enumerate(frame.key)
        ]
    )


def test_its_code_names_the_store_of_the_pictures_and_no_private_folder(tmp_path, monkeypatch):
    (tmp_path / "alice" / "work").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "alice" / "work")
    monkeypatch.setenv("HOME", str(tmp_path / "alice"))
    frame, here, home = (
        results(tmp_path, plan(seed=range(2))),
        Path.cwd(),
        Path.cwd().parent,
    )  # its files need not be there
    said = {
        "Store('data/cats')": [here / "data" / "cats"],
        "Store('.')": [here],
        "Store('runs/cats')": [home / "cats"],
        "Store('runs/report')": [here / "a", here / "b"],
        "Store('runs/report'))": [home],
    }
    for code, roots in said.items():
        page = report(tmp_path, stored(frame, *roots))
        assert code in page.pre("code") and "alice" not in page.source
        finds = len(roots) == 1 and roots[0].is_relative_to(here)
        assert (
            "folder, it finds the finished" in page.text,
            "Give Store the folder of" in page.text,
        ) == (finds, not finds)
    monkeypatch.chdir(
        tmp_path
    )  # seen from above the home folder, the path would tell the user's name
    assert "Store('runs/cats')" in report(tmp_path, stored(frame, home / "cats")).pre("code")


def test_folders_stay_private(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/alice")
    frame = results(tmp_path, plan(seed=range(2)))
    frame.loc[0, "path"], frame.loc[0, "error"] = pd.NA, "OSError: /home/alice/models/x is no model"
    frame["machine"] = "built in /home/alice"
    page = report(tmp_path, frame, frame[["seed", "path"]])
    assert str(tmp_path) not in page.source and "alice" not in page.source
    assert "picture.png" in page.text and "OSError: ~/models/x" in page.text
    assert "alice" not in " ".join(
        text.get_text() for text in image_grid(frame, "seed").axes[0].texts
    )


def test_large_pictures_come_in_small_and_missing_ones_are_named(tmp_path):
    frame = results(tmp_path, plan(seed=range(2)), (512, 256))
    frame.loc[1, "path"] = str(tmp_path / "gone.png")
    page = report(tmp_path, frame)
    (thumbnail,) = (base64.b64decode(image["src"].partition(",")[2]) for image in page.every("img"))
    assert Image.open(io.BytesIO(thumbnail)).size == (128, 64) and "file missing" in page.text


def test_small_thumbnails_keep_every_pixel(tmp_path):
    frame = results(tmp_path, plan(seed=0))
    source = report(tmp_path, frame).every("img")[0]["src"]
    shown = Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))).convert("RGB")
    np.testing.assert_array_equal(shown, np.asarray(Image.open(frame.path[0])))


def test_the_cells_show_scores_and_not_what_only_names_them(tmp_path):
    page = report(tmp_path, measure(results(tmp_path, plan(seed=0)), "pixels", progress=False))
    assert "pixels_sharpness" in page.text
    assert "pixels_of" not in page.text and "pixels_error" not in page.text


def test_a_table_whose_columns_have_no_name_is_a_table_too(tmp_path):
    pivot = pd.DataFrame([[1.5, 2.5]], columns=pd.Index(["cat", pd.NA], dtype="string"))
    page = write_report(
        tmp_path / "r.html", "A table", results(tmp_path, plan()), pivot
    ).read_text()
    assert '<td class="number">2.5</td>' in page


def test_figures_images_tables_and_text_come_in_order_with_captions(tmp_path):
    frame = results(tmp_path, plan(seed=0))
    things = [
        "First words.",
        (figure(), "Look here."),
        pd.DataFrame({"score": [0.123456]}),
        Image.new("L", (8, 8)),
    ]
    text = report(tmp_path, frame, *things, text="Why.\n\nHow.").text
    parts = (
        "Why.",
        "How.",
        "First words.",
        "Figure 1. Look here.",
        "0.1235",
        "Figure 2. Image of 8 x 8",
    )
    order = [text.index(part) for part in parts]
    assert order == sorted(order)


def test_an_answer_about_a_picture_comes_in_whole(tmp_path):
    found = detect_watermark(Image.new("RGB", (64, 64), "teal"))
    text = report(tmp_path, results(tmp_path, plan(seed=0)), (found, "Of a teal square.")).text
    assert all(part in text for part in ("Of a teal square.", *found.answer.paragraphs))


def test_a_widget_comes_in_as_its_still_picture(tmp_path):
    frame = results(tmp_path, plan(seed=range(3)))
    grid = SeedGrid(frame)
    path = write_report(tmp_path / "r.html", "t", frame, (grid, "Three seeds"))
    page = path.read_text()
    assert page.count("data:image/webp") == 6 and "Three seeds" in page and "<script" not in page


def test_the_frame_can_be_saved_from_the_report_as_csv(tmp_path):
    frame = results(tmp_path, plan(seed=range(3)))
    page = write_report(tmp_path / "r.html", "t", frame).read_text()
    (data,) = re.findall(
        r'download="r.csv" href="data:text/csv;charset=utf-8;base64,([^"]+)"', page
    )
    table = pd.read_csv(io.BytesIO(base64.b64decode(data)))
    assert table["seed"].tolist() == [0, 1, 2] and table["path"].tolist() == ["picture.png"] * 3


def test_numbers_are_told_in_their_order_whenever_they_were_rendered(tmp_path):
    frame = results(tmp_path, plan(seed=[3190, 3, 5, 4, 1], guidance_scale=[7.5, 1]))
    said = re.sub(
        r"\s+",
        " ",
        re.sub("<[^>]*>", " ", write_report(tmp_path / "r.html", "t", frame).read_text()),
    )
    assert said.count("1, 3–5, 3190") == 3 and "1, 7.5" in said and "7.5, 1 " not in said


def test_the_table_of_pictures_need_not_be_printed(tmp_path):
    frame = results(tmp_path, plan(seed=range(3)))
    pages = [
        write_report(tmp_path / "r.html", "t", frame, print_cells=both).read_text()
        for both in (True, False)
    ]
    assert [page.count('<section id="cells" class="screen"><h2>Cells') for page in pages] == [0, 1]
    assert "details:not([open]), .screen { display: none; }" in pages[0]


def test_a_notebook_shows_where_the_report_is_as_a_link(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write_report("reports/a cat.html", "t", results(tmp_path, plan()))
    assert path == Path("reports/a cat.html") and isinstance(path, Path)
    assert '<a href="reports/a%20cat.html"' in path._repr_html_()
    assert type(pickle.loads(pickle.dumps(path))) is type(Path("a"))
    elsewhere = write_report(tmp_path.parent / "elsewhere.html", "t", results(tmp_path, plan()))
    assert "<a" not in elsewhere._repr_html_() and "elsewhere.html" in elsewhere._repr_html_()


def test_what_cannot_go_in_is_refused_with_what_can(tmp_path):
    frame = results(tmp_path, plan(seed=0))
    with pytest.raises(
        TypeError, match="cannot put list into a report; it takes matplotlib figures"
    ):
        report(tmp_path, frame, [figure()])
    with pytest.raises(TypeError, match="figures come after it"):
        report(tmp_path, figure())
    with pytest.raises(ValueError, match="lacks seed, weights: a report states the whole recipe"):
        report(tmp_path, frame.drop(columns=["seed", "weights"]))
    with pytest.raises(ValueError, match="no rows"):
        report(tmp_path, frame[:0])
    with pytest.raises(IsADirectoryError, match="give the name of a file"):
        write_report(tmp_path, "Cats", frame)
    with pytest.raises(TypeError, match="title=' ': a report needs a title"):
        write_report(tmp_path / "x.html", " ", frame)
    with pytest.raises(TypeError, match="needs a title, as text before the frame") as caught:
        write_report(tmp_path / "x.html", pd.concat([frame] * 50), figure())
    assert len(str(caught.value)) < 150 and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["model", "prompt", "seed", "eta", "clip_skip"])
def test_a_row_without_a_part_of_its_recipe_is_refused_and_does_not_get_the_default(tmp_path, name):
    frame = results(tmp_path, plan(seed=range(4)))
    frame.loc[[1, 2], name] = pd.NA
    with pytest.raises(
        ValueError,
        match=rf"row 1 of the frame and 1 more has no {name}: .* frame.dropna\(subset=\['{name}'\]\)",
    ):
        report(tmp_path, frame)
    assert "seed" in report(tmp_path, frame.dropna(subset=[name])).text


def test_a_failed_write_leaves_the_old_report_and_nothing_else(tmp_path, monkeypatch):
    frame = results(tmp_path, plan(seed=0))
    report(tmp_path, frame, text="old")

    def broken(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(OSError, match="disk full"):
        report(tmp_path, frame, text="new")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["report.html"]
    assert "<p>old</p>" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("scheduler, spoilt", [("PNDM", True), ("DDIM", False)])
def test_a_report_says_which_schedule_spoils_its_pictures(tmp_path, scheduler, spoilt):
    cells = Request(prompt="a cat", scheduler=scheduler, num_inference_steps=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frame = run(cells, tmp_path / "store", progress=False)
        page = report(tmp_path, frame)
        gone = report(tmp_path, frame.assign(model="not-here", weights="f00d"))
    recipe = page.text.partition("All seeds")[0]
    assert ("hands the UNet 0.87 times the noise" in recipe) == spoilt
    assert ("What schedulers spoil" in recipe) == spoilt
    assert "hands the UNet" not in gone.text
