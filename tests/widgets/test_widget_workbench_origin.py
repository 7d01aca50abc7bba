"""The workbench and found pictures: where they come from, and beside what was made here."""

# ruff: noqa: F811  # fixtures of other files go by their names

import re
import shutil
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from test_widget_workbench import bench, click, find_button, root, said, until, write  # noqa: F401

from sdlab import Request, Store, read_pictures, run
from sdlab.watermark import embed_watermark
from sdlab.widgets import Workbench
from sdlab.widgets.inspector import work
from sdlab.widgets.inspector.answer import write_answer, write_page
from sdlab.widgets.workbench.beside import render_beside

A1111 = "a cat\nSteps: 1, Sampler: Euler, CFG scale: 1, Seed: 0, Size: 64x64, Model: sd-v1-5"


def test_a_found_picture_is_compared_with_the_one_that_its_recipe_made_here(bench):
    bench.chosen, tab = "Where from?", bench.tabs["Where from?"]
    button = find_button(tab, "Compare with one made here")
    click(button)
    assert "Drop a picture" in said(tab)
    (found,) = [p for p in bench.value["path"][:1]]
    shutil.copy(found, "found.png")
    pixels = np.asarray(Image.open(found).convert("RGB")).copy()
    pixels[0, 0, 0] ^= 8
    changed = Image.fromarray(pixels)
    changed.save("changed.png", pnginfo=copy_texts(found))
    changed.crop((0, 0, 32, 32)).save("cut.png", pnginfo=copy_texts(found))
    Image.new("RGB", (300, 300)).save("bare.png")
    tab.widget.add(["found.png", "changed.png", "cut.png", "bare.png"])
    tab.widget.wait()
    told = []
    for tab.widget.chosen in range(3):
        click(button)
        told.append(re.sub("<[^>]+>", " ", tab._place.children[0].value))
    assert "identical to the found one" in told[0]
    assert "by at most 8 of 255" in told[1] and "the found one is 32x32" in told[2]
    assert "The one made here differs from the found one hardly, as" in told[1]
    tab.widget.chosen = 3
    click(button)
    assert "states no recipe" in said(tab) and list(tab._place.children) == [tab.widget]
    bench.store = bench.tabs["Where from?"]._store = Store("another")
    tab.widget.chosen = 0
    click(button)
    assert "press “Open it in the form” below" in said(tab)
    tab.widget.chosen = 1
    assert said(tab) == "" and list(tab._place.children) == [tab.widget]


def test_what_a_comparison_showed_is_kept_for_its_picture_whichever_is_chosen_by_then(
    bench, monkeypatch
):
    bench.chosen, tab = "Where from?", bench.tabs["Where from?"]
    shutil.copy(bench.value["path"].iloc[0], "found.png")
    Image.new("RGB", (300, 300)).save("other.png")
    tab.widget.add(["found.png", "other.png"])
    tab.widget.wait()

    def choose_meanwhile(*given):
        tab.widget.chosen = 1
        return render_beside(*given)

    monkeypatch.setattr("sdlab.widgets.workbench.origin_tab.render_beside", choose_meanwhile)
    kept = []
    monkeypatch.setattr(
        tab.widget._work.kept, "keep_beside", lambda name, seen, repeated: kept.append(seen)
    )
    click(find_button(tab, "Compare with one made here"))
    assert kept == [tab.widget._pictures[0].beside] and "identical" in kept[0]


def copy_texts(path):
    info = PngInfo()
    for name, text in Image.open(path).text.items():
        info.add_text(name, text)
    return info


def test_testing_the_tabs_pictures_leaves_the_found_ones_and_what_is_known_of_them(bench):
    bench.chosen, tab = "Where from?", bench.tabs["Where from?"]
    shutil.copy(bench.value["path"].iloc[0], "found.png")
    Image.new("RGB", (300, 300)).save("other.png")
    tab.widget.add(["found.png", "other.png"])
    tab.widget.wait()
    known = tab.widget.inspections[:2]
    click(find_button(tab, "Compare with one made here"))
    click(find_button(tab, "Test these pictures"))
    inspector, count = tab.widget, len(bench.value) + 2
    assert inspector.names[:2] == ["found.png", "other.png"] and len(inspector.names) == count
    assert inspector.inspections[:2] == known and len(tab._place.children) == 2
    click(find_button(tab, "Test these pictures"))
    value = inspector.value
    assert len(value) == count and value["key"].tolist()[2:] == bench.value["key"].tolist()
    assert value["detected"].notna().any() and value["path"][0] == "found.png"


def test_of_more_pictures_than_can_be_tested_the_rest_is_counted(bench, monkeypatch):
    monkeypatch.setattr("sdlab.widgets.workbench.origin_tab.MOST", 5)
    bench.chosen, tab = "Where from?", bench.tabs["Where from?"]
    tab.widget.add(bench.value["path"].iloc[0])
    click(find_button(tab, "Test these pictures"))
    more = len(bench.value) - 5
    assert len(tab.widget.names) == 5 and f"{more} of {more + 5} pictures" in said(tab)


def test_files_that_were_dropped_before_are_offered_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "mine/inspected"
    folder.mkdir(parents=True)
    for name in ("one.png", "two.png"):
        Image.new("RGB", (300, 300)).save(folder / name)
    bench = Workbench(tmp_path / "mine")
    bench.chosen, tab = "Where from?", bench.tabs["Where from?"]
    assert tab.widget.names == [] and tab._earlier.layout.display == ""
    tab.widget.add(folder / "two.png")
    assert tab._earlier.description == "Show 1 picture of before"
    click(tab._earlier)
    tab.widget.wait()
    assert tab.widget.names == ["two.png", "one.png"] and tab._earlier.layout.display == "none"


def test_the_tabs_can_be_about_what_was_found_beside_what_was_made(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(root, "mine")
    bench = Workbench("mine")
    own = bench.value["path"].tolist()
    Image.new("RGB", (64, 64), "red").save("hosted.png")
    read_pictures("hosted.png", "mine", model="dall-e-2", prompt="a cat", progress=False)
    inspected = tmp_path / "mine/inspected"
    inspected.mkdir()
    shutil.copy("hosted.png", inspected)
    shutil.copy(own[0], inspected / "ours.png")
    (inspected / "no picture.png").write_bytes(b"no picture")
    assert len(bench.value) == len(own)
    bench.pictures = "with those found"
    found = bench.value[len(own) :]
    assert bench.value["path"][: len(own)].tolist() == own and len(found) == 1
    assert found[["model", "prompt", "source"]].values.tolist() == [
        ["dall-e-2", "a cat", "told beside the file"]
    ]
    Image.new("RGB", (64, 64), "blue").save(inspected / "blue.png")
    assert len(bench.value) == len(own) + 2 and "dall-e-2" in set(bench.value["model"].dropna())
    bench.chosen = "Grid"
    assert len(bench.tabs["Grid"].widget.in_view()) == len(own) + 2  # no slider hides any
    bench.chosen = "Compare"
    values = [value for _, value in bench.tabs["Compare"].left.options]
    assert bench.tabs["Compare"].by.value == "model" and "dall-e-2" in values
    bench.chosen = "Where from?"
    click(find_button(bench.tabs["Where from?"], "Test these pictures"))
    assert len(bench.tabs["Where from?"].widget.names) == len(own) + 2


def test_a_found_file_stays_with_its_marks_when_its_picture_is_made_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    request = Request(prompt="a hamster", num_inference_steps=1)
    theirs = run(request, Store(tmp_path / "other"), progress=False)
    bench, inspected = Workbench("mine"), tmp_path / "mine/inspected"
    inspected.mkdir(parents=True)
    shutil.copy(theirs["path"][0], inspected / "hamster.png")
    bench.pictures, bench.chosen = "with those found", "Grid"
    said = {"starred": True, "tags": ["hamsters"], "note": "found on a forum"}
    bench.store.opinions.rate(Path(bench.value["path"][0]).stem, **said)
    own = run(request, Store("mine"), progress=False)
    shutil.copy(own["path"][0], inspected / "a copy of ours.png")
    for shown in (bench, Workbench("mine")):
        shown.pictures = "with those found"
        assert shown.value["starred"].tolist() == [False, True]
        assert shown.value["note"].tolist()[1] == "found on a forum"
        assert shown.value["found_as"].dropna().tolist() == ["hamster.png"]
    tab = bench.tabs["Grid"]
    click(find_button(tab, "Look again"))
    assert tab.widget.starred == [1] and "not made here: 1 of 2" in tab.widget.shared
    report = bench.tabs["Report"]
    bench.chosen = "Report"
    write(report, "Both")
    names: dict = {}
    exec(bench.code, names)
    assert [*names["results"]["starred"]] == [False, True]
    assert len(set(names["results"]["path"])) == 2


def test_words_follow_what_each_of_two_pictures_is_and_how_far_they_are_apart(tmp_path):
    bench = Workbench(tmp_path / "mine")
    bench.chosen, tab = "Where from?", bench.tabs["Where from?"]
    inspected = tmp_path / "mine/inspected"
    inspected.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(60, 190, (8, 8, 3)).astype(np.uint8)
    first = Image.fromarray(pixels).resize((64, 64))
    for name, image in {
        "first.png": first,
        "again.jpg": first,
        "other.png": Image.new("RGB", (64, 64), "red"),
        "large.png": first.resize((128, 64)),
    }.items():
        image.save(inspected / name)
    own = run(Request(prompt="a cat", num_inference_steps=1), bench.store, progress=False)
    bench.pictures = "with those found"
    tab.widget.add([inspected / "first.png", own["path"][0]])
    tab.widget.wait()
    told = {}
    for words, value in tab.beside.options:
        if value[0] == "picture":
            tab.beside.value = value
            click(find_button(tab, "Compare with one made here"))
            told[words.split(" (")[0]] = re.sub("<[^>]+>", " ", tab._place.children[0].value)
    assert "made here: " in told.pop("the picture")
    assert not any("made here" in text for text in told.values())
    assert "The other one is identical to the chosen one" in told["found: first.png"]
    assert "differs from the chosen one a little, as saving it anew" in told["found: again.jpg"]
    assert "widely, as two different pictures do" in told["found: other.png"]
    assert "the chosen one is 64x64, the other one 128x64" in told["found: large.png"]
    tab.widget.chosen = 1
    tab.beside.value = next(v for words, v in tab.beside.options if "first" in words)
    click(find_button(tab, "Compare with one made here"))
    text = re.sub("<[^>]+>", " ", tab._place.children[0].value)
    assert "The found one differs from the one made here" in text and "found: first.png" in text


def test_a_found_picture_is_set_beside_what_another_model_made_or_any_picture(tmp_path):
    bench = Workbench(tmp_path / "mine")
    bench.chosen, tab = "Where from?", bench.tabs["Where from?"]
    button, info = find_button(tab, "Compare with one made here"), PngInfo()
    click(button)
    assert "Drop a picture" in said(tab)
    info.add_text("parameters", A1111)
    Image.new("RGB", (64, 64), "red").save(tmp_path / "found.png", pnginfo=info)
    tab.widget.add(tmp_path / "found.png")
    assert said(tab) == ""
    tab.widget.wait()
    own = tab.widget.request.but(model="tiny-v1", weights=None)
    run([own, own.but(seed=3)], bench.store, progress=False)
    click(button)
    first = tab._said.value.partition("<details")[0]  # the rest is shown on demand
    assert "not on this machine" in first and "Choose in “beside” with which model that" in first
    tab.beside.value = ("model", "tiny-v1")
    click(button)
    shown = tab._place.children[0].value
    assert said(tab) == "" and "made here: its recipe with tiny-v1" in shown
    assert "names the model sd-v1-5, and the one here was made with tiny-v1: so this" in shown
    assert "Other weights" not in shown
    (other,) = [v for words, v in tab.beside.options if words.startswith("seed 3")]
    tab.beside.value = other
    click(button)
    (path,) = bench.value.query("seed == 3")["path"]
    assert "seed 3" in tab._place.children[0].value and other[1] == path


def test_what_was_seen_beside_another_picture_is_passed_on_with_the_answer(bench, tmp_path):
    bench.chosen, tab = "Where from?", bench.tabs["Where from?"]
    shutil.copy(bench.value["path"].iloc[0], "found.png")
    tab.widget.add("found.png")
    tab.widget.wait()
    click(find_button(tab, "Compare with one made here"))
    assert tab.widget.compared == 1
    told = write_answer(tab.widget.picture, "-")
    for text in (told["text"], " ".join(told["sentences"])):
        assert "identical to the found one, in every pixel" in text
        assert "Not known: who wrote that note: it is easily" in text
        assert "whether that note is true" not in text
    assert "whether that note is true" not in tab.widget.value["words"].iloc[0]
    assert "identical to the found one" in write_page(tab.widget.picture, "-").decode()
    assert "whether that note is true" not in tab.widget.static()
    tab.beside.value = ("picture", bench.value["path"].iloc[-1])  # which tells nothing of the note
    click(find_button(tab, "Compare with one made here"))
    assert "whether that note is true" in write_answer(tab.widget.picture, "-")["text"]
    tab.beside.value = ("recipe", "")
    click(find_button(tab, "Compare with one made here"))
    bench.chosen = "Report"
    write(bench.tabs["Report"], "Found")
    assert "identical to the found one" in (tmp_path / "reports/cats.html").read_text("utf-8")


def test_where_pictures_were_found_alone_it_is_named_what_shows_them(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bench = Workbench("mine")
    bench.pictures, bench.chosen = "those found alone", "Grid"
    assert said(bench.tabs["Grid"]) == (
        "No picture was found yet: drop some on the tab “Where from?”."
    )
    inspected = tmp_path / "mine/inspected"
    inspected.mkdir(parents=True)
    for name in ("red", "blue"):
        Image.new("RGB", (64, 64), name).save(inspected / f"{name}.png")
    bench.pictures = "the whole store"
    told = "But 2 pictures were found: choose “with those found” in “pictures” above."
    for title in ("Grid", "Report"):
        bench.chosen = title
        assert told in said(bench.tabs[title]) and bench.tabs[title].widget is None
    write(bench.tabs["Report"], "Found")
    assert told in said(bench.tabs["Report"])
    bench.pictures = "with those found"
    assert len(bench.value) == 2
    shutil.copytree(root / "images", "mine/images")
    other = Workbench("mine")
    other.pictures, other.chosen = "those found alone", "Grid"
    assert len(other.store) >= 8 and other.value["found_as"].tolist() == ["blue.png", "red.png"]
    assert len(other.tabs["Grid"].widget.in_view()) == 2
    other.chosen = "Report"
    write(other.tabs["Report"], "Found")
    assert "about 2 pictures, with what “Grid” shows" in said(other.tabs["Report"])
    names: dict = {}
    exec(other.code, names)
    assert sorted(names["results"]["found_as"]) == ["blue.png", "red.png"]


def test_what_was_not_made_yet_is_made_and_compared_without_choosing_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bench, info = Workbench("mine"), PngInfo()
    info.add_text("parameters", A1111)
    Path("mine/inspected").mkdir(parents=True)
    Image.new("RGB", (64, 64), "red").save("mine/inspected/found.png", pnginfo=info)
    bench.pictures, bench.chosen = "with those found", "Where from?"
    tab, form = bench.tabs["Where from?"], bench.tabs["Sweep"].form
    click(tab._earlier)
    tab.widget.wait()
    assert "its recipe with tiny-v1" in [words for words, _ in tab.beside.options]
    tab.beside.value = ("model", "tiny-v1")
    button = find_button(tab, "Compare with one made here")
    click(button)
    assert said(tab) == (
        "⚠ Error: No picture was made here by the recipe in that file with tiny-v1: press “Open it"
        " in the form” below, “Run” there, and then “Compare with one made here” once more."
    )
    click(tab._place.children[0])
    assert bench.chosen == "Sweep" and form.fields["model"].value == ("tiny-v1",)
    assert form.wait(60) and not form.errors
    form.run().wait()
    until(lambda: not form.running)
    assert bench.pictures == bench._scope.value == "with those found"
    bench.chosen = "Where from?"
    assert tab.beside.value == ("model", "tiny-v1")
    for pictures in ("the last run", "those found alone"):
        bench.pictures = pictures
        click(button)
        assert said(tab) == "" and "made here: its recipe with" in tab._place.children[0].value
    tab.beside.value = kept = dict(tab.beside.options)["found: found.png"]
    bench.pictures = "the last run"
    assert tab.beside.value == kept and tab.beside.label == "found: found.png"


def test_the_zoom_of_a_found_picture_tells_what_was_found_about_it(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(root, "mine")
    inspected = tmp_path / "mine/inspected"
    inspected.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    embed_watermark(Image.fromarray(noise), "sd-v1").save(inspected / "marked.png")
    Image.new("RGB", (300, 300), "teal").save(inspected / "plain.png")
    bench = Workbench("mine")
    bench.chosen, tab = "Where from?", bench.tabs["Where from?"]
    click(tab._earlier)
    tab.widget.wait()
    monkeypatch.setattr(work, "searched", work.Searched())  # as a new kernel has it
    again = Workbench("mine")
    again.pictures, again.chosen = "with those found", "Grid"
    grid, told = again.tabs["Grid"].widget, {}
    for i, name in enumerate(again.value["found_as"].fillna("made here")):
        content, _ = grid._cells.show_file(i)
        told[name] = dict(content["facts"]).get("where from")
    assert told["made here"] is None
    assert told["marked.png"].startswith("marked. ") and "sd-v1" in told["marked.png"]
    assert told["plain.png"].startswith("no mark found (not searched). Nothing was found")


def test_what_a_comparison_has_shown_is_known_again_in_the_next_workbench(
    root, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(root / "images", "mine/images")
    Path("mine/inspected").mkdir()
    bench = Workbench("mine")
    shutil.copy(bench.value["path"].iloc[0], "mine/inspected/found.png")
    Image.new("RGB", (300, 300)).save("mine/inspected/other.png")
    for again in (False, True):
        bench = Workbench("mine")
        bench.chosen, tab = "Where from?", bench.tabs["Where from?"]
        click(tab._earlier)
        tab.widget.wait()
        if not again:
            assert tab.widget.picture.beside == "" and tab.widget.names[0] == "found.png"
            click(find_button(tab, "Compare with one made here"))
    told = tab.widget.picture.beside
    assert "is identical to the found one, in every pixel" in told
    assert tab.widget.picture.repeated and "note is true" not in tab.widget.picture.answer.unknown
    assert [told in write_answer(p, "-")["sentences"] for p in tab.widget._pictures] == [
        True,
        False,
    ]
    bench.chosen = "Report"
    write(bench.tabs["Report"], "Again")
    assert "identical to the found one" in Path("reports/mine.html").read_text("utf-8")
