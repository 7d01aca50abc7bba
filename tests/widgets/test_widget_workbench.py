"""Workbench: the widgets as tabs over one store; what each shows, what it refuses, and its Python."""

import re
import shutil
import threading
import time
from pathlib import Path

import pandas as pd
import pytest
import traitlets

from sdlab import Request, Store, run, sweep
from sdlab.widgets import Compare, Judge, SeedGrid, SweepForm, WatermarkInspector, Workbench
from sdlab.widgets.forms import find_form
from sdlab.widgets.sweep_form.form_fields import ahead
from sdlab.widgets.workbench import column_tab
from sdlab.widgets.workbench.column_tab import list_sides


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A store with two seeds of two guidance values of two models, of one step each."""
    base = Request(prompt="a cat", num_inference_steps=1, scheduler="EulerDiscreteScheduler")
    plan = sweep(base, model=["tiny-v1", "tiny-v2"], guidance_scale=[1.0, 4.0], seed=[0, 1])
    root = tmp_path_factory.mktemp("bench") / "cats"
    run(plan, Store(root), progress=False)
    return root


@pytest.fixture
def bench(root, tmp_path, tmp_path_factory, monkeypatch):
    """A workbench of a copy of that store, as it keeps there what is chosen."""
    monkeypatch.chdir(tmp_path)
    own = tmp_path_factory.mktemp("own") / root.name
    shutil.copytree(root, own)
    return Workbench(own)


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
    judge.question.value = "How many tails?"  # heard after the click, or not yet asked
    assert said(judge).startswith("“How many ears?” is asked below: “Begin” asks the question")
    judge.question.value = "How many ears?"
    assert said(judge) == ""
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

    monkeypatch.setattr("sdlab.widgets.workbench.column_tab.list_sides", list_slowly)
    other = threading.Thread(target=compare.come_up)
    other.start()
    begun.wait()
    click(find_button(compare, "Show the pairs"))
    clicked.set()
    other.join()
    assert isinstance(compare.widget, Compare) and "one value" not in said(compare)


def test_a_column_that_is_chosen_while_columns_are_looked_up_stays_chosen(bench, meanwhile):
    bench.chosen, compare = "Compare", bench.tabs["Compare"]
    assert compare.by.value == "model"
    choosing = meanwhile(column_tab, "list_sides", setattr, compare.by, "value", "guidance_scale")
    compare.widget = None
    compare.come_up()
    choosing.join()
    assert (compare.by.value, compare.left.value, compare.right.value) == ("guidance_scale", 1, 4)


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


def wait_until_kept(root, *words):
    """Waits for what other threads keep of what is chosen."""
    kept, end = Path(root) / "workbench-choices.json", time.monotonic() + 20
    while not kept.exists() or not all(word in kept.read_text() for word in words):
        assert time.monotonic() < end, words
        time.sleep(0.02)


def choose_all(bench):
    """Chooses something on each tab that is not what is there at first."""
    bench.chosen = "Grid"
    grid = bench.tabs["Grid"].widget
    grid.row, grid.col = ["guidance_scale"], ["model"]
    bench.chosen, compare = "Compare", bench.tabs["Compare"]
    compare.by.value, compare.blind.value = "guidance_scale", False
    compare.left.value, compare.right.value = 4.0, 1.0
    bench.chosen, judge = "Judge", bench.tabs["Judge"]
    judge.by.value = "model"
    judge.left.value, judge.right.value = "tiny-v2", "tiny-v1"


def test_what_is_chosen_on_the_tabs_is_chosen_again_by_the_next_workbench(bench):
    choose_all(bench)
    wait_until_kept(bench.store.root, '"model"', '"tiny-v2"', '"4"', "false")
    click(find_button(bench.tabs["Grid"], "Look again"))
    for each in (bench, Workbench(bench.store.root)):
        each.chosen, grid = "Grid", each.tabs["Grid"]
        assert (grid.widget.row, grid.widget.col) == (["guidance_scale"], ["model"])
        each.chosen, compare = "Compare", each.tabs["Compare"]
        assert (compare.by.value, compare.left.value) == ("guidance_scale", 4.0)
        assert compare.right.value == 1.0 and not compare.blind.value
        each.chosen, judge = "Judge", each.tabs["Judge"]
        sides = (judge.by.value, judge.left.value, judge.right.value)
        assert sides == ("model", "tiny-v2", "tiny-v1")
        assert said(grid) + said(compare) + said(judge) == ""
        click(find_button(compare, "Show the pairs"))
        assert compare.left.value == 4.0 and not compare.widget.blind
    judge.by.value = ""  # single pictures are a choice, too
    wait_until_kept(bench.store.root, '"by": ""')
    again = Workbench(bench.store.root)
    again.chosen = "Judge"
    assert again.tabs["Judge"].by.value == "" and said(again.tabs["Judge"]) == ""


def test_what_was_chosen_and_is_not_there_any_more_is_said_in_words(bench, tmp_path):
    choose_all(bench)
    wait_until_kept(bench.store.root, '"model"', '"tiny-v2"', '"4"', "false")
    base = Request(prompt="a cat", num_inference_steps=1, scheduler="DDIMScheduler")
    run(sweep(base, seed=[0, 1], eta=[0.0, 1.0]), tmp_path / "one", progress=False)
    run(sweep(base, guidance_scale=[1.0, 2.0], seed=[0, 1]), tmp_path / "two", progress=False)
    for name in ("one", "two"):
        shutil.copy(bench.store.root / "workbench-choices.json", tmp_path / name)
    other = Workbench("one")
    other.chosen, grid = "Grid", other.tabs["Grid"]
    assert "chosen before need pictures that differ in guidance_scale and model" in said(grid)
    assert (grid.widget.row, grid.widget.col) == (["eta"], ["seed"])
    other.chosen, compare = "Compare", other.tabs["Compare"]
    assert "“guidance_scale” was chosen here before, and these" in said(compare)
    assert compare.by.value == "eta" and not compare.blind.value
    compare.left.value = 1.0
    assert said(compare) == ""  # somebody chose anew
    other = Workbench("two")
    other.chosen, compare = "Compare", other.tabs["Compare"]
    assert "not among these pictures: “4” of guidance_scale" in said(compare)
    assert (compare.left.value, compare.right.value) == (1.0, 2.0)


@pytest.mark.parametrize("kept", ["[]", "{", '{"Grid": 5, "Compare": {"by": 3}}'])
def test_a_file_of_choices_that_says_nothing_is_as_none(bench, kept):
    (bench.store.root / "workbench-choices.json").write_text(kept)
    again = Workbench(bench.store.root)
    again.chosen = "Grid"
    assert again.tabs["Grid"].widget.col == ["seed"] and said(again.tabs["Grid"]) == ""
    again.chosen, compare = "Compare", again.tabs["Compare"]
    assert compare.by.value == "model" and compare.blind.value and said(compare) == ""


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


def until(holds):
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)
