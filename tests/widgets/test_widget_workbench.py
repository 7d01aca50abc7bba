"""Workbench: the widgets as tabs over one store; what each shows, what it refuses, and its Python."""

import re
import shutil
import threading
import time

import numpy as np
import pandas as pd
import pytest
import traitlets
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sdlab import Request, Store, run, sweep
from sdlab.widgets import Compare, Judge, SeedGrid, SweepForm, WatermarkInspector, Workbench
from sdlab.widgets.forms import find_form
from sdlab.widgets.sweep_form.form import ahead
from sdlab.widgets.workbench.tabs import list_sides


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A store with two seeds of two guidance values of two models, of one step each."""
    base = Request(prompt="a cat", num_inference_steps=1, scheduler="EulerDiscreteScheduler")
    plan = sweep(base, model=["tiny-v1", "tiny-v2"], guidance_scale=[1.0, 4.0], seed=[0, 1])
    root = tmp_path_factory.mktemp("bench") / "cats"
    run(plan, Store(root), progress=False)
    return root


@pytest.fixture
def bench(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Workbench(root)


def said(tab):
    return re.sub("<[^>]+>", "", tab._said.value)


def click(button):
    button.click()


def find_button(tab, text):
    (found,) = [w for w in tab.children[0].children if getattr(w, "description", "") == text]
    return found


def test_every_tab_shows_its_widget_over_one_store(bench):
    assert list(bench.tabs) == ["Sweep", "Grid", "Compare", "Judge", "Where from?", "Report"]
    assert isinstance(bench.tabs["Sweep"].widget, SweepForm) and len(bench.value) == 8
    bench.chosen = "Grid"
    assert isinstance(bench.tabs["Grid"].widget, SeedGrid) and "results = run(" in bench.code
    bench.chosen = "Compare"
    compare = bench.tabs["Compare"]
    assert compare.widget is None and bench.code.startswith("#")
    assert list(compare.by.options) == [("model", "model"), ("guidance_scale", "guidance_scale")]
    compare.by.value, compare.left.value = "guidance_scale", 4.0
    compare.right.value = 1.0
    click(find_button(compare, "Show the pairs"))
    assert isinstance(compare.widget, Compare) and compare.widget.blind
    assert (compare.by.value, compare.left.value, compare.right.value) == ("guidance_scale", 4, 1)
    compare.widget.reveal()
    assert "by='guidance_scale', left=4.0, right=1.0" in bench.code
    bench.chosen = "Where from?"
    assert isinstance(bench.tabs["Where from?"].widget, WatermarkInspector)


def test_a_question_is_put_and_a_missing_one_is_asked_for(bench):
    bench.chosen, judge = "Judge", bench.tabs["Judge"]
    click(find_button(judge, "Begin"))
    assert judge.widget is None and "say what is asked" in said(judge)
    judge.question.value, judge.answers.value = "How many ears?", "0, 1,2,"
    click(find_button(judge, "Begin"))
    assert isinstance(judge.widget, Judge) and judge.widget.answers == ["0", "1", "2"]
    assert said(judge) == "" and judge.widget.total >= 8
    judge.by.value = "model"
    judge.answers.value = ""
    click(find_button(judge, "Begin"))
    assert judge.widget.paired


def test_the_code_of_a_blind_vote_is_not_told(bench):
    bench.chosen, compare = "Compare", bench.tabs["Compare"]
    click(find_button(compare, "Show the pairs"))
    with pytest.raises(ValueError, match="when the blind vote has ended"):
        _ = bench.code


def test_a_click_on_the_button_may_come_before_that_on_the_tab(tmp_path):
    base = Request(prompt="a cat", num_inference_steps=1, scheduler="EulerDiscreteScheduler")
    run(sweep(base, guidance_scale=[1.0, 4.0]), tmp_path, progress=False)
    compare = Workbench(tmp_path).tabs["Compare"]
    click(find_button(compare, "Show the pairs"))
    assert isinstance(compare.widget, Compare) and compare.by.value == "guidance_scale"


def test_a_click_waits_for_what_the_click_before_it_began(tmp_path, monkeypatch):
    base = Request(prompt="a cat", num_inference_steps=1, scheduler="EulerDiscreteScheduler")
    run(sweep(base, guidance_scale=[1.0, 4.0]), tmp_path, progress=False)
    compare = Workbench(tmp_path).tabs["Compare"]
    begun, clicked = threading.Event(), threading.Event()

    def list_slowly(frame):
        begun.set()
        clicked.wait(0.5)
        return list_sides(frame)

    monkeypatch.setattr("sdlab.widgets.workbench.tabs.list_sides", list_slowly)
    other = threading.Thread(target=compare.come_up)
    other.start()
    begun.wait()
    click(find_button(compare, "Show the pairs"))
    clicked.set()
    other.join()
    assert isinstance(compare.widget, Compare) and "one value" not in said(compare)


def test_where_there_is_no_picture_every_tab_says_so(tmp_path):
    bench = Workbench(tmp_path / "empty")
    for title in ("Grid", "Compare", "Judge", "Report"):
        bench.chosen = title
        assert "There is no picture yet" in said(bench.tabs[title])
        assert bench.tabs[title].widget is None


def test_a_run_is_what_the_tabs_are_about_until_the_whole_store_is_chosen(bench):
    form = bench.tabs["Sweep"].form
    form.load(Request(prompt="a dog", seed=5, num_inference_steps=1))
    assert form.wait(60) and not form.errors
    form.run().wait()
    assert bench.pictures == "the last run" and list(bench.value["prompt"]) == ["a dog"]
    bench.chosen = "Grid"
    assert len(bench.tabs["Grid"]._shown) == 1
    bench.pictures = "the whole store"
    assert len(bench.value) == 9 and "Look again" in said(bench.tabs["Grid"])
    click(find_button(bench.tabs["Grid"], "Look again"))
    assert len(bench.tabs["Grid"]._shown) == 9 and said(bench.tabs["Grid"]) == ""


def test_the_report_has_the_pictures_of_the_tabs_and_is_verified(bench, tmp_path):
    bench.chosen = "Grid"
    bench.chosen, report = "Report", bench.tabs["Report"]
    click(report._write)
    assert "needs a title" in said(report) and not (tmp_path / "reports").exists()
    report.heading.value, report.text.value, report.again.value = "Cats", "Two cats.", 1
    click(report._write)
    assert not report._write.disabled  # it keeps the focus of whoever has pressed it
    while report._writing:
        time.sleep(0.02)
    assert "The report is at reports/cats.html" in said(report) and "1 of 1 ident" in said(report)
    page = (tmp_path / "reports/cats.html").read_text("utf-8")
    assert "<h1>Cats</h1>" in page and "Two cats." in page and "Grid" in page
    assert "write_report('reports/cats.html', 'Cats', results, text='Two cats.'" in bench.code
    assert "verified=verify(results, 1))" in bench.code
    compile(bench.code, "code", "exec")


def test_columns_that_follow_the_model_are_not_offered_beside_it():
    frame = pd.DataFrame({"model": ["a", "b"] * 2, "height": [64, 96] * 2, "seed": [0, 0, 1, 1]})
    frame = frame.assign(guidance_scale=[1.0, 1.0, 4.0, 4.0])
    assert list_sides(frame) == ["model", "guidance_scale"]
    assert list_sides(frame[frame["model"] == "a"]) == ["guidance_scale"]


def test_a_tab_that_is_not_there_and_a_store_that_is_none_are_refused(bench):
    with pytest.raises(traitlets.TraitError, match="use one of 'Sweep', 'Grid'"):
        bench.chosen = "Charts"
    with pytest.raises(TypeError, match="give a Store, or the path"):
        Workbench(3)


def test_a_picture_of_the_tab_in_front_stays_in_the_notebook(bench):
    assert "model" in bench.static() and "<img" not in bench.static()
    bench.chosen = "Grid"
    assert "<img" in bench.static() and "dataframe" not in bench.static()


def test_a_recipe_that_is_opened_in_a_form_is_seen_in_the_first_tab(bench):
    bench.chosen = "Grid"
    find_form()(Request(prompt="an owl", seed=7))
    form = bench.tabs["Sweep"].form
    assert bench.chosen == "Sweep" and form.fields["prompt"].value == "an owl"
    bench.close()
    other = SweepForm(store=bench.store)
    find_form()(Request(prompt="a frog"))
    assert other.fields["prompt"].value == "a frog"
    assert form.fields["prompt"].value == "an owl"


def write(report, title):
    report.heading.value = title
    click(report._write)
    while report._writing:
        time.sleep(0.02)


def test_a_report_replaces_none_but_its_own(bench, tmp_path):
    bench.chosen, report = "Report", bench.tabs["Report"]
    for title in ("One", "Two", "One"):
        write(report, title)
    pages = {p.name: p.read_text("utf-8") for p in (tmp_path / "reports").glob("*.html")}
    assert sorted(pages) == ["cats-2.html", "cats.html"]
    assert "<h1>One</h1>" in pages["cats.html"] and "<h1>Two</h1>" in pages["cats-2.html"]


def test_a_report_shows_no_pictures_but_those_that_it_is_about(bench):
    bench.chosen = "Grid"
    form, report = bench.tabs["Sweep"].form, bench.tabs["Report"]
    form.load(Request(prompt="an eel", seed=9, num_inference_steps=1))
    assert form.wait(60)
    form.run().wait()
    write(report, "Eels")
    assert "Grid: other pictures are shown there" in said(report)
    report.parts["Grid"].value = False
    write(report, "Eels")
    assert "The report is at" in said(report)
    bench.chosen = "Grid"
    bench.chosen = "Report"
    assert "The report is at" in said(report) and report._said.layout.display == ""


def test_a_report_is_of_the_starred_pictures_alone_if_that_is_asked_for(bench, tmp_path):
    bench.chosen, report = "Report", bench.tabs["Report"]
    report.starred.value = True
    write(report, "Chosen")
    assert "No picture is starred" in said(report) and not (tmp_path / "reports").exists()
    bench.store.rate(bench.value["key"].iloc[0], starred=True)
    write(report, "Chosen")
    assert "The report is at" in said(report)
    assert "Written by sdlab from 1 row" in (tmp_path / "reports/cats.html").read_text("utf-8")
    bench.chosen = "Grid"
    bench.chosen = "Report"
    write(report, "Chosen")
    bench.store.rate(bench.value["key"].iloc[0], starred=False)
    assert "Grid: other pictures are shown there" in said(report)


def test_a_report_tells_all_that_is_known_and_not_of_found_pictures(bench, tmp_path):
    bench.chosen, report = "Where from?", bench.tabs["Report"]
    Image.new("RGB", (300, 300)).save("found.png")
    inspector = bench.tabs["Where from?"].widget
    inspector.add([bench.value["path"].iloc[0], "found.png"])
    inspector.wait()
    bench.chosen = "Report"
    write(report, "Found")
    page = (tmp_path / "reports/cats.html").read_text("utf-8")
    assert "Where these pictures come from" in page and page.count("Not looked for, so") == 2
    assert "SynthID" in page and "the recipe in the file" in page and "prompt: " in page
    assert "bits wrong" not in page and ">p</th>" not in page


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
    tab.widget.chosen = 3
    click(button)
    assert "states no recipe" in said(tab) and list(tab._place.children) == [tab.widget]
    bench.tabs["Where from?"]._read = lambda: bench.value[:0]
    tab.widget.chosen = 0
    click(button)
    assert "press “open in a form”" in said(tab)


def copy_texts(path):
    info = PngInfo()
    for name, text in Image.open(path).text.items():
        info.add_text(name, text)
    return info


def test_the_picture_in_the_notebook_follows_what_a_tab_shows(bench, monkeypatch):
    drawn = []
    ahead.submit(lambda: None).result()  # the form has said all that it has to say
    for tab in bench.tabs.values():
        monkeypatch.setattr(tab, "changed", lambda: drawn.append(1))
    bench.chosen, compare = "Compare", bench.tabs["Compare"]
    click(find_button(compare, "Show the pairs"))
    assert len(drawn) == 1
    compare.widget.refresh_soon()
    bench.tabs["Sweep"].form.refresh_soon()
    assert len(drawn) == 3
