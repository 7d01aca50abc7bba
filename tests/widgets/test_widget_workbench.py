"""Workbench: the widgets as tabs over one store; what each shows, what it refuses, and its Python."""

import re
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import traitlets
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sdlab import Request, Store, read_pictures, run, sweep
from sdlab.recipe.request import Recipe
from sdlab.widgets import Compare, Judge, SeedGrid, SweepForm, WatermarkInspector, Workbench
from sdlab.widgets.forms import find_form
from sdlab.widgets.inspector.answer import write_answer, write_page
from sdlab.widgets.sweep_form.form_fields import ahead
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
    assert not any("raised in repr" in repr(tab) for tab in bench.tabs.values())


def test_a_question_is_put_and_a_missing_one_is_asked_for(bench):
    bench.chosen, judge = "Judge", bench.tabs["Judge"]
    click(find_button(judge, "Begin"))
    assert judge.widget is None and "say what is asked" in said(judge)
    judge.question.value = "How many ears?"
    assert said(judge) == ""
    judge.answers.value = "0"
    click(find_button(judge, "Begin"))
    assert judge.widget is None and "two to nine" in said(judge)
    judge.answers.value = "0, 1,2,"
    assert said(judge) == ""
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


def test_a_tab_of_older_pictures_names_its_own_button(bench, monkeypatch):
    bench.chosen, compare = "Compare", bench.tabs["Compare"]
    click(find_button(compare, "Show the pairs"))
    monkeypatch.setattr(type(compare), "is_stale", True)
    compare.come_up()
    assert "“Show the pairs” shows them" in said(compare)


@pytest.mark.parametrize("begun", [False, True])
def test_a_click_on_the_button_may_come_before_that_on_the_tab(tmp_path, begun):
    base = Request(prompt="a cat", num_inference_steps=1, scheduler="EulerDiscreteScheduler")
    run(sweep(base, guidance_scale=[1.0, 4.0]), tmp_path, progress=False)
    compare = Workbench(tmp_path).tabs["Compare"]
    if begun:  # another thread is at it
        compare.read()
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


def test_the_report_says_what_the_votes_show_once_who_is_who_may_be_told(
    root, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(root, tmp_path / "mine")
    bench = Workbench(tmp_path / "mine")
    bench.chosen, tab, report = "Report", bench.tabs["Compare"], bench.tabs["Report"]
    assert re.fullmatch("The report will be about [89] pictures.", said(report))
    bench.chosen = "Compare"
    click(find_button(tab, "Show the pairs"))
    pressed = {"kind": "vote", "id": "1", "deal": tab.widget.deal, "n": 0, "vote": "tie"}
    tab.widget._handle_custom_msg(pressed, [])
    assert Store(tmp_path / "mine").votes()["vote"].tolist() == ["tie"]
    bench.chosen = "Report"
    assert tab.widget.votes.empty and report.claim.layout.display == "none"
    write(report, "Blind")
    assert "Which is preferred" not in (tmp_path / "reports/mine.html").read_text("utf-8")
    tab.widget.reveal()
    bench.chosen = "Compare"
    bench.chosen = "Report"
    assert report.claim.layout.display == ""
    write(report, "Seen")
    assert "The report is at" in said(report)
    page = (tmp_path / "reports/mine-2.html").read_text("utf-8")
    assert "Which is preferred: tiny-v1 or tiny-v2" in page and "1 vote, none of them" in page
    report.claim.value = "Nobody has a favourite"
    write(report, "Seen")
    assert "Nobody has a favourite" in (tmp_path / "reports/mine-2.html").read_text("utf-8")
    kept = tmp_path / "mine/report.json"
    while "favourite" not in kept.read_text():
        time.sleep(0.02)
    assert Workbench(tmp_path / "mine").tabs["Report"].claim.value == report.claim.value


def test_what_goes_against_the_votes_of_several_raters_is_found_and_made_again(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    base = Request(prompt="a cat", weights="a" * 32, scheduler="DDIMScheduler", height=64, width=64)
    base = base.but(num_inference_steps=8)
    plan = sweep(base, prompt=["a dog", "a house"], guidance_scale=[1.0, 7.0], seed=range(3))
    for i, cell in enumerate(plan):
        picture = Image.new("RGB", (64, 64), (i, 100 + i, 200))
        Store("mine").save(Recipe(**cell.to_dict()), picture, {})
    bench = Workbench("mine")
    bench.chosen, tab, report = "Compare", bench.tabs["Compare"], bench.tabs["Report"]
    tab.blind.value, tab.by.value = False, "guidance_scale"
    click(find_button(tab, "Show the pairs"))
    for rater, votes in (("", "l"), ("Ann", "lrllrr"), ("Cem", "lrrllr")):
        tab.widget.rater = rater
        for n, vote in enumerate(votes):
            tab.widget.vote(n, {"l": "left", "r": "right"}[vote])
    (claim,) = tab.make_claims("")
    assert claim.evidence[["left_wins", "right_wins"]].values.tolist() == [[7, 6]]
    pd.testing.assert_frame_equal(claim.votes, Store("mine").votes())
    report.claim.value = "Seven is liked"
    bench.chosen = "Report"
    write(report, "Votes")
    page = Path("reports/mine.html").read_text("utf-8")
    assert "2 of 6 comparisons go the other way than “guidance_scale 1 preferred”" in page
    assert "cannot be told" not in page and "left out" not in page
    assert "Claim(\n        &#39;Seven is liked&#39;,\n        stats.preference(votes, res" in page


def test_a_report_has_the_votes_that_have_ended_whoever_s_name_is_in_the_field(
    root, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(root, tmp_path / "mine")
    bench = Workbench(tmp_path / "mine")
    bench.chosen, tab, report = "Compare", bench.tabs["Compare"], bench.tabs["Report"]
    for n, rater in enumerate(("Ann", "Cem", "Dora L.")):
        click(find_button(tab, "Show the pairs"))
        tab.widget.rater = rater
        pressed = {"kind": "vote", "id": f"{n}", "deal": tab.widget.deal, "n": 0, "vote": "tie"}
        tab.widget._handle_custom_msg(pressed, [])
        if rater == "Ann":
            bench.chosen = "Report"
            assert "of the rater Ann is under way" in said(report)
            assert "none has ended" in said(report) and report.claim.layout.display == "none"
            bench.chosen = "Compare"
        if rater != "Dora L.":
            tab.widget.reveal()
    click(find_button(tab, "Show the pairs"))  # the field is empty, as it is at first
    assert tab.widget.secret and tab.widget.votes.empty
    bench.chosen = "Report"
    assert report.claim.layout.display == ""
    assert "of the rater without a name is under way" in said(report)
    report.claim.value = "Nobody has a favourite"
    write(report, "Ended")
    page = (tmp_path / "reports/mine.html").read_text("utf-8")
    assert "Nobody has a favourite" in page and "2 votes, none of them" in page
    assert "Judged by Ann (1 answer) and Cem (1 answer)" in page and "Dora L." not in page
    assert "A blind vote is under way, of the rater without a name." in page
    assert "left out" not in page and "those that have ended are in it" in said(report)
    tab.widget.rater = "Dora L."
    tab.widget.reveal()
    bench.chosen = "Compare"
    click(find_button(tab, "Show the pairs"))
    bench.chosen = "Report"
    write(report, "All")
    assert tab.widget.secret and "under way" not in said(report)
    page = (tmp_path / "reports/mine-2.html").read_text("utf-8")
    assert "Dora L.: tie" in page and "A blind vote is under way" not in page


def test_pictures_of_several_questions_stand_in_order_where_a_grid_would_be_mostly_empty(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    base = Request(prompt="a cat", num_inference_steps=1, scheduler="EulerDiscreteScheduler")
    odd = [base.but(guidance_scale=4.0, seed=5, prompt="a dog"), base.but(seed=9, prompt="a hat")]
    run(sweep(base, seed=[0, 1]) + odd, tmp_path / "odd", progress=False)
    bench = Workbench(tmp_path / "odd")
    bench.chosen = "Grid"
    grid = bench.tabs["Grid"].widget
    assert (grid.row, grid.col, len(grid.in_view())) == ([], [], 4)
    assert SeedGrid(bench.value).filled < 0.5 < SeedGrid(bench.value.iloc[:2]).filled


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


def list_titles(page):
    return re.findall("<h3>(.*?)</h3>", page)


def test_a_picture_of_each_tab_stays_in_the_notebook_under_its_title(bench, monkeypatch):
    assert "model" in bench.static() and "<img" not in bench.static()
    assert list_titles(bench.static()) == ["Sweep"]
    bench.chosen = "Grid"
    assert "<img" in bench.static() and "dataframe" not in bench.static()
    grid = bench.tabs["Grid"].widget.static()
    bench.chosen = "Compare"
    click(find_button(bench.tabs["Compare"], "Show the pairs"))
    bench.chosen = "Where from?"  # which has no picture yet
    assert list_titles(bench.static()) == ["Sweep", "Grid", "Compare"]
    assert grid in bench.static()
    pairs = bench.static().partition("<h3>Compare</h3>")[2]
    assert "A blind vote is under way" in pairs and "tiny-v" not in pairs
    monkeypatch.setattr("sdlab.widgets.workbench.workbench.STILL_BYTES", 3000)
    page = bench.static()
    assert list_titles(page) == ["Sweep", "Grid", "Compare"] and grid not in page
    assert "so that the notebook does not become too large" in page
    bench.chosen = "Grid"
    assert grid in bench.static()  # in front it has room in any case


def test_what_has_not_changed_behind_another_tab_is_not_rendered_again(bench, monkeypatch):
    bench.chosen = "Grid"
    grid = bench.tabs["Grid"].widget
    rendered, render = [], type(grid).static
    note = lambda widget: rendered.append(widget) or render(widget)
    monkeypatch.setattr(type(grid), "static", note)
    bench.chosen = "Compare"
    assert [bench.static() for _ in range(3)] and len(rendered) == 1
    grid.refresh_soon()  # as it does when something has changed
    assert bench.static() and len(rendered) == 2
    bench.chosen = "Grid"
    bench.chosen = "Judge"  # whoever was there may have done what no tab is told of
    assert bench.static() and len(rendered) == 3


def test_a_recipe_that_is_opened_in_a_form_is_seen_in_the_first_tab(bench):
    bench.chosen = "Grid"
    form, seen = bench.tabs["Sweep"].form, []
    form._script.observe(lambda _: seen.append(bench.chosen), "fillings")
    find_form()(Request(prompt="an owl", seed=7))
    assert seen[-1] == "Sweep"  # the page brings it into view once it can be seen
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
    assert "The report is at" in said(report)


def test_a_report_is_of_the_starred_pictures_alone_if_that_is_asked_for(
    bench, tmp_path, monkeypatch
):
    bench.chosen, report = "Report", bench.tabs["Report"]
    report.starred.value = True
    write(report, "Chosen")
    assert "No picture is starred" in said(report) and not (tmp_path / "reports").exists()
    bench.store.rate(bench.value["key"].iloc[0], starred=True)
    write(report, "Chosen")
    assert "The report is at" in said(report)
    assert "Written by sdlab from 1 row" in (tmp_path / "reports/cats.html").read_text("utf-8")
    bench.chosen = "Compare"
    click(find_button(bench.tabs["Compare"], "Show the pairs"))
    bench.chosen = "Report"
    write(report, "Pairs")
    bench.store.rate(bench.value["key"].iloc[0], starred=False)
    assert "Compare: other pictures are shown there" in said(report)
    assert "Press “" not in said(report)
    report.starred.value = False
    monkeypatch.setattr(bench.tabs["Compare"], "make_figure", lambda frame, own: None)
    write(report, "Named")
    assert "Press “Show the pairs” in Compare, or tick “also what the parts show”" in said(report)


def test_a_report_of_the_starred_pictures_shows_each_of_them_and_no_other(bench, tmp_path):
    keys = bench.value["key"][[0, 3]].tolist()
    bench.chosen = "Grid"
    bench.chosen, origin = "Where from?", bench.tabs["Where from?"]
    Image.new("RGB", (300, 300)).save("found.png")
    origin.widget.add("found.png")
    click(find_button(origin, "Test these pictures"))
    origin.widget.wait()
    for n, key in enumerate(bench.value["key"][:3]):
        bench.store.rate(key, verdict="right" if n else "wrong")
    bench.store.rate(bench.value["key"][2], verdict="wrong")
    for key in keys:
        bench.store.rate(key, starred=True)
    bench.chosen, report = "Report", bench.tabs["Report"]
    report.starred.value = True
    write(report, "Chosen")
    for key in keys:
        bench.store.rate(key, starred=False)
    for key in bench.value["key"]:
        bench.store.rate(key, verdict=None)
    assert "The report is at reports/cats.html" in said(report)
    page = (tmp_path / "reports/cats.html").read_text("utf-8")
    assert "found.png" in page and "3 pictures: " in page
    first = page.partition("<h1>")[2][:600]
    count = len(bench.value)
    assert f"2 of {count} pictures, chosen by stars; the others are not shown." in first
    assert f"Marked, of all {count}: 1 right, 2 wrong and {count - 3} without a verdict." in first
    assert len(re.findall(r"Not looked for, so", page)) == 3
    grid = page.split('<div class="scroll still"')[1]
    assert 'aria-label="Grid"' in grid and grid.count("<img") == 2


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
    monkeypatch.setattr("sdlab.widgets.workbench.tabs.MOST", 5)
    bench.chosen, tab = "Where from?", bench.tabs["Where from?"]
    tab.widget.add(bench.value["path"].iloc[0])
    click(find_button(tab, "Test these pictures"))
    more = len(bench.value) - 5
    assert len(tab.widget.names) == 5 and f"{more} of {more + 5} pictures" in said(tab)


def test_title_and_text_of_a_report_are_there_again_in_the_next_workbench_of_the_store(tmp_path):
    report = Workbench(tmp_path / "mine").tabs["Report"]
    report.heading.value = "Circles"
    report.text.value = "Two of them.\n\nBoth are red."
    kept = tmp_path / "mine/report.json"
    while not kept.exists() or "Both are red" not in kept.read_text():
        time.sleep(0.02)
    other = Workbench(tmp_path / "mine").tabs["Report"]
    assert other.heading.value == "Circles" and other.text.value == report.text.value
    assert Workbench(tmp_path / "yours").tabs["Report"].heading.value == ""
    kept.write_text("[3")
    assert Workbench(tmp_path / "mine").tabs["Report"].heading.value == ""


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


def test_the_report_of_found_pictures_has_python_that_reads_them_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (64, 64), "red").save("hosted.png")
    read_pictures("hosted.png", "mine", model="dall-e-2", prompt="a cat", progress=False)
    bench = Workbench("mine")
    bench.pictures, bench.chosen = "with those found", "Report"
    write(bench.tabs["Report"], "Found")
    assert "The report is at" in said(bench.tabs["Report"])
    names: dict = {}
    exec(bench.code, names)
    assert names["results"]["prompt"].tolist() == ["a cat"]
    (path,) = names["results"]["path"]
    assert Path(path).resolve() == Path(bench.value["path"].iloc[0]).resolve()


def test_pictures_of_which_nothing_is_known_are_marked_and_reported(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(root, "mine")
    other = tmp_path / "other"
    run(Request(prompt="a dog", num_inference_steps=1), Store(other), progress=False)
    bench, inspected = Workbench("mine"), tmp_path / "mine/inspected"
    inspected.mkdir()
    Image.new("RGB", (64, 64), "red").save(inspected / "bare.png")
    shutil.copy(Store(other).frame()["path"][0], inspected / "dog.png")
    n = len(bench.value)
    bench.pictures, bench.chosen = "with those found", "Grid"
    grid = bench.tabs["Grid"].widget
    assert f"not made here: 2 of {n + 2}" in grid.shared
    assert grid.captions[n] == "bare.png · height 64 · width 64"
    assert grid.captions[n + 1].startswith("dog.png · model tiny-v1 · a dog · ")
    grid._on_rate({"cell": n, "starred": True, "id": "1"}, [])
    assert grid.starred == [n] and bench.value["starred"].tolist() == [False] * n + [True, False]
    assert len(Store("mine").opinions.marks()) == 1
    bench.chosen, report = "Report", bench.tabs["Report"]
    write(report, "All")
    page = Path("reports/mine.html").read_text("utf-8")
    assert "The file of 1 picture says nothing of its making: bare.png." in page
    report.starred.value = True
    write(report, "Stars")
    assert "The report is at" in said(report)
    names: dict = {}
    report.starred.value = False
    exec(bench.code, names)
    assert names["results"]["starred"].sum() == 1 and len(names["results"]) == n + 2
    assert set(names["results"]["found_as"].dropna()) == {"bare.png", "dog.png"}


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


def test_the_next_workbench_of_a_store_knows_its_last_run_and_what_was_asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    base = Request(prompt="a cat", num_inference_steps=1)
    store = Store(tmp_path / "mine")
    frame = run(sweep(base, guidance_scale=[1.0, 4.0]), store, progress=False)
    bench = Workbench("mine")
    assert "the last run" not in bench._scope.options and bench.tabs["Judge"].earlier.value == ""
    with pytest.raises(traitlets.TraitError, match="no run of this store is known"):
        bench.pictures = "the last run"
    form = bench.tabs["Sweep"].form
    form.load(base.but(prompt="a dog"))
    assert form.wait(60) and not form.errors
    form.run().wait()
    keys = bench.value["key"].tolist()
    until(lambda: (tmp_path / "mine/workbench-run.json").exists())
    assert bench.pictures == bench._scope.value == "the last run" and len(keys) == 1
    for answer, key in zip(("2", "10"), frame["key"]):
        store.answer(key, answer, question="How many ears?", rater="Ann", blind=True)
    store.vote(*frame["key"], "left", rater="Ann")
    again = Workbench("mine")
    again.pictures = "the last run"
    assert again.value["key"].tolist() == keys
    assert repr(again) == "<Workbench('mine'): 3 pictures, Sweep>"
    again.pictures, again.chosen = "the whole store", "Report"
    left_out = (
        "Not in it is what people said in Compare (“Show the pairs” there) and Judge (“Begin”"
    )
    assert left_out in said(again.tabs["Report"])
    write(again.tabs["Report"], "Without")
    assert "The report is at" in said(again.tabs["Report"])
    assert left_out in said(again.tabs["Report"])
    again.chosen, judge = "Judge", again.tabs["Judge"]
    judge.earlier.value = "How many ears?"
    assert (judge.question.value, judge.answers.value) == ("How many ears?", "2, 10")
    click(find_button(judge, "Begin"))
    judge.widget.rater = "Ann"
    assert judge.widget.done == 2
    again.chosen = "Report"
    assert "and Judge" not in again.tabs["Report"]._tell_left_out()


def run_in(bench, plan):
    form = bench.tabs["Sweep"].form
    form.load(plan)
    assert form.wait(60) and not form.errors
    form.run().wait()
    until(lambda: not form.running)


def test_earlier_runs_can_be_chosen_also_by_the_next_workbench(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bench, base = Workbench("mine"), Request(prompt="a cat", num_inference_steps=1)
    for prompt in ("a cat", "a dog", "a fox", "a dog"):
        run_in(bench, base.but(prompt=prompt))
        assert bench.pictures == bench._scope.value == "the last run"
    until(lambda: "a fox" in (tmp_path / "mine/workbench-run.json").read_text("utf-8"))
    for each in (bench, Workbench("mine")):
        *first, fox, cat = each._scope.options
        assert first[:2] == ["the whole store", "the last run"]
        assert first[2:] == ["with those found", "those found alone"]
        assert fox.endswith(": 1 picture of a fox") and cat.endswith(": 1 picture of a cat")
        each.pictures = cat
        assert list(each.value["prompt"]) == ["a cat"] and each._scope.value == cat
    with pytest.raises(traitlets.TraitError, match="use one of 'the whole store', 'the last run'"):
        bench.pictures = "yesterday's"


def test_the_grid_shows_a_run_that_was_made_here_when_it_is_chosen(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bench, base = Workbench("mine"), Request(prompt="a cat", num_inference_steps=1)
    run_in(bench, base)
    bench.chosen, grid = "Grid", bench.tabs["Grid"]
    bench.chosen = "Sweep"
    run_in(bench, sweep(base.but(prompt="a dog"), seed=range(2)))
    bench.chosen = "Grid"
    assert list(grid._shown["prompt"]) == ["a dog"] * 2
    assert said(grid) == "Shown is the last run now: 2 pictures."
    run_in(bench, base.but(prompt="a fox"))  # while the grid is in front
    until(lambda: "Look again" in said(grid))
    assert list(grid._shown["prompt"]) == ["a dog"] * 2
    bench.pictures = "the whole store"  # which is no run
    bench.chosen = "Sweep"
    bench.chosen = "Grid"
    assert len(grid._shown) == 2 and "Look again" in said(grid)


def test_a_question_comes_back_with_the_pictures_that_it_was_asked_about(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    base, store = Request(prompt="a cat", num_inference_steps=1), Store(tmp_path / "mine")
    frame = run(sweep(base, seed=range(4)), store, progress=False)
    pair = run(sweep(base, seed=9, guidance_scale=[1.0, 4.0]), store, progress=False)["key"]
    for rater, n in (("Ann", 4), ("Cem", 3)):
        for key in frame["key"][:n]:
            store.answer(key, "yes", question="Is it a cat?", rater=rater, blind=True)
    store.answer(tuple(pair), "left", question="Which is larger?", blind=True)
    bench = Workbench("mine")
    run_in(bench, base.but(prompt="a dog"))
    bench.chosen, judge = "Judge", bench.tabs["Judge"]
    assert judge.about.layout.display == "none"
    judge.earlier.value = "Is it a cat?"
    assert judge.about.label == "the pictures it was asked about: 7 answers (Ann 4 and Cem 3)"
    click(find_button(judge, "Begin"))
    judge.widget.rater = "Ann"
    assert set(judge._shown["key"]) == set(frame["key"]) and judge.widget.done == 4
    judge.about.value = ""
    click(find_button(judge, "Begin"))
    assert list(judge._shown["prompt"]) == ["a dog"]
    judge.earlier.value = "Which is larger?"
    assert "somebody 1" in judge.about.label
    assert (judge.by.value, judge.left.value, judge.right.value) == ("guidance_scale", 1.0, 4.0)
    click(find_button(judge, "Begin"))
    assert judge.widget.done == 1 and not judge.is_stale


@pytest.mark.parametrize("by", ["", "guidance_scale"])
def test_a_round_is_gone_on_with_as_a_whole_the_next_day(tmp_path, monkeypatch, by):
    monkeypatch.chdir(tmp_path)
    base, store = Request(prompt="a cat", num_inference_steps=1), Store(tmp_path / "mine")
    run(sweep(base, seed=range(4), guidance_scale=[1.0, 4.0]), store, progress=False)
    first = Workbench("mine")
    first.chosen, judge = "Judge", first.tabs["Judge"]
    judge.question.value, judge.answers.value = "How many ears?", "0,1,2"
    judge.by.value = by
    click(find_button(judge, "Begin"))
    judge.widget.rater = "Ann"
    for answer in "10":
        judge.widget.say(answer)
    trials = judge.widget._round.trials
    run(base.but(prompt="a dog"), store, progress=False)
    again = Workbench("mine")
    again.chosen, judge = "Judge", again.tabs["Judge"]
    judge.earlier.value = "How many ears?"
    noun = "4 pairs" if by else "8 pictures"
    assert re.fullmatch(rf"the round of \d+ \w+ of {noun}: 2 answers \(Ann 2\)", judge.about.label)
    assert (judge.answers.value, judge.by.value) == ("0, 1, 2", by)
    click(find_button(judge, "Begin"))
    judge.widget.rater = "Ann"
    assert judge.widget._round.trials == trials and judge.widget.done == 2
    judge.widget.say(2)
    again.chosen = "Grid"
    again.chosen = "Judge"
    assert judge.about.label.endswith(f"{noun}: 3 answers (Ann 3)") and not judge.is_stale
    assert len(judge.about.options) == 2
    file = tmp_path / "mine/judge-rounds.jsonl"
    assert file.read_text("utf-8").count("\n") == 1
    with open(file, "a") as more:
        more.write(
            '{"question": "How many ears?", "pictures": ["../x"], "answers": [], "when": ""}\n[1'
        )
    judge._offer_about()
    assert len(judge.about.options) == 2


def test_a_report_takes_parts_about_several_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    base = Request(prompt="a cat", num_inference_steps=1)
    bench = Workbench("mine")
    run_in(bench, sweep(base, guidance_scale=[1.0, 4.0]))
    bench.chosen = "Compare"
    click(find_button(bench.tabs["Compare"], "Show the pairs"))
    run_in(bench, sweep(base.but(prompt="a dog"), seed=range(3)))
    bench.chosen, judge = "Judge", bench.tabs["Judge"]
    judge.question.value = "Is it a dog?"
    click(find_button(judge, "Begin"))
    bench.chosen, report = "Report", bench.tabs["Report"]
    write(report, "Both")
    assert "Compare: other pictures" in said(report)
    assert "or tick “also what the parts show”, or leave" in said(report)
    report.own.value = True
    told = "Of these 5 pictures, Compare about 2 and Judge about 3."
    assert said(report) == f"The report will be about 5 pictures. {told}"
    write(report, "Both")
    assert "The report is at" in said(report)
    page = (tmp_path / "reports/mine.html").read_text("utf-8")
    assert "Written by sdlab from 5 rows" in page and told in page
    report.parts["Compare"].value = False
    assert len(report.read()) == 3


def until(holds):
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


A1111 = "a cat\nSteps: 1, Sampler: Euler, CFG scale: 1, Seed: 0, Size: 64x64, Model: sd-v1-5"


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


def test_a_report_tells_which_parts_are_not_there_yet_and_what_is_in_it(
    root, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(root, "mine")
    Path("mine/inspected").mkdir()
    for name in ("one.png", "two.png"):
        Image.new("RGB", (300, 300)).save(f"mine/inspected/{name}")
    bench = Workbench("mine")
    bench.chosen, report = "Report", bench.tabs["Report"]
    lacking = lambda: re.sub("<[^>]+>", "", report._lacking.value)
    assert lacking() == (
        "Not among the parts yet: “Grid” (choose that tab once) and “Where from?” (choose that tab,"
        " and press “Show 2 pictures of before” there)."
    )
    write(report, "Bare")
    about = f"It is about {len(bench.value)} pictures, "
    assert f"{about}without what any other tab shows." in said(report)
    bench.chosen = "Grid"
    bench.chosen = "Where from?"
    click(bench.tabs["Where from?"]._earlier)
    bench.tabs["Where from?"].widget.wait()
    bench.chosen = "Report"
    assert lacking() == "" and report.parts["Where from?"].layout.display == ""
    write(report, "Whole")
    assert f"{about}with what “Grid” and “Where from?” shows." in said(report)


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
