"""The workbench's tab “Report”: what goes in, what it says of it, and what it leaves out."""

# ruff: noqa: F811  # fixtures of other files go by their names

import re
import shutil
import threading
import time
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from test_widget_workbench import bench, click, find_button, root, run_in, said, write  # noqa: F401

from sdlab import Request, Store, read_pictures, run, sweep, write_report
from sdlab.recipe.request import Recipe
from sdlab.widgets import Workbench


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


def test_a_report_replaces_none_but_its_own(bench, tmp_path):
    bench.chosen, report = "Report", bench.tabs["Report"]
    for title in ("One", "Two", "One"):
        write(report, title)
    pages = {p.name: p.read_text("utf-8") for p in (tmp_path / "reports").glob("*.html")}
    assert sorted(pages) == ["cats-2.html", "cats.html"]
    assert "<h1>One</h1>" in pages["cats.html"] and "<h1>Two</h1>" in pages["cats-2.html"]


@pytest.mark.parametrize("begun", [False, True])
def test_what_is_wrong_stays_said_whenever_the_click_on_the_tab_is_handled(
    bench, monkeypatch, begun
):
    report = bench.tabs["Report"]
    clicking = threading.Thread(target=report._write.click)
    if begun:  # the click comes while the tab is brought up
        tell = report._tell_count
        trying = lambda work: (
            clicking.start() or clicking.join(0.5) if work == tell else None,
            type(report).try_to(report, work),
        )
        monkeypatch.setattr(report, "try_to", trying)
    else:
        clicking.start()
        clicking.join()
    bench.chosen = "Report"
    clicking.join()
    assert "A report needs a title" in said(report)
    monkeypatch.undo()
    bench.chosen, bench.chosen = "Grid", "Report"
    assert said(report).startswith("The report will be about 8 pictures")


def test_nobody_waits_for_a_report_that_is_being_written(bench, monkeypatch):
    report, written, here = bench.tabs["Report"], threading.Event(), threading.Event()

    def write_slowly(*given, **named):
        here.set()
        assert written.wait(60)
        return write_report(*given, **named)

    monkeypatch.setattr("sdlab.widgets.workbench.report_tab.write_report", write_slowly)
    report.heading.value = "One"
    click(report._write)
    assert here.wait(60)
    choosing = threading.Thread(target=setattr, args=(bench, "chosen", "Report"))
    choosing.start()
    choosing.join(60)
    assert not choosing.is_alive() and said(report) == "Writing…"
    click(report._write)  # is nothing now
    report.heading.value = "Two"
    written.set()
    while report._writing:
        time.sleep(0.02)
    assert said(report).startswith("The report is at") and list(report._written) == ["One"]
    assert "Its title is “One”, as when it was begun." in said(report)


def test_what_cannot_be_told_of_a_report_does_not_end_the_writing_of_others(bench, monkeypatch):
    bench.chosen, report = "Report", bench.tabs["Report"]
    with monkeypatch.context() as patched:
        patched.setattr(report, "_tell_left_out", lambda: 1 / 0)
        write(report, "One")
        assert "division by zero" in said(report)
    write(report, "Two")
    assert said(report).startswith("The report is at")


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
