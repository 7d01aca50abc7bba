"""A prediction comes before its pictures, is final, and is kept in a file for each pupil."""

import itertools
import json
import threading
import warnings
from pathlib import Path

import pandas as pd
import pytest
from conftest import draw_scene
from PIL import Image

from sdlab.recipe.request import Recipe, Request
from sdlab.recipe.sweep import sweep
from sdlab.store.store import Store
from sdlab.widgets import Predict
from sdlab.widgets.predict import predict
from sdlab.widgets.predict.answers import draw_answers

QUESTION, ANSWERS = "What does more guidance do?", ["paler", "stronger", "nothing"]

pytestmark = pytest.mark.usefixtures("at_once")


@pytest.fixture
def frame(tmp_path):
    """Two cells that differ in guidance, in a store."""
    base = Request(prompt="a cat", weights="a" * 32, scheduler="DDIMScheduler", height=64, width=64)
    store = Store(tmp_path / "runs")
    for cell in sweep(base.but(num_inference_steps=8), guidance_scale=[1.0, 7.5]):
        color = (int(cell.guidance_scale), 100, 200)
        store.save(Recipe(**cell.to_dict()), Image.new("RGB", (64, 64), color), {})
    return store.frame()


@pytest.fixture
def ask(frame, tmp_path):
    def ask_(pupil="ann", **more):
        given = dict(right="stronger", folder=tmp_path / "answers") | more
        widget = Predict(frame, QUESTION, ANSWERS, pupil=pupil, **given)
        widget.sent = []
        widget.send = lambda content, buffers=None: widget.sent.append((content, buffers))
        return widget

    return ask_


def hear(widget, kind, **content):
    widget._hear(None, {"kind": kind, "id": "q", **content}, [])
    return widget.sent[-1]


def test_nothing_is_told_before_the_answer(ask):
    widget = ask()
    assert (widget.right, widget.counts, widget.choice) == ("", [], "")
    state = {name: value for name, value in widget.get_state().items() if not name.startswith("_")}
    assert "guidance_scale" not in json.dumps(state, default=str)
    assert hear(widget, "show")[0]["kind"] == hear(widget, "code")[0]["kind"] == "error"
    assert "<img" not in widget.static() and "not answered yet" in widget.static()


def test_an_answer_reveals_the_pictures_and_the_right_one_and_is_final(ask):
    widget = ask()
    content, pictures = hear(widget, "answer", answer="paler")
    assert content["captions"] == ["guidance_scale 1", "guidance_scale 7.5"] and len(pictures) == 2
    assert (widget.choice, widget.right, widget.counts) == ("paler", "stronger", [1, 0, 0])
    with pytest.raises(ValueError, match="answered 'paler' already"):
        widget.say("stronger")
    assert ask().choice == "paler"  # and again in another session
    assert widget.static().count("<img") == 2


def test_an_answer_is_kept_though_its_pupil_s_name_is_being_looked_up(ask, meanwhile):
    widget = ask(pupil="ann")
    hear(widget, "answer", answer="paler", pupil="ann")
    answer = {"kind": "answer", "id": "b", "answer": "paler", "pupil": "bob"}  # as ann did
    answering = meanwhile(predict, "read_answers", widget._hear, None, answer, [])
    widget.pupil = "bob"
    answering.join()
    assert sorted(widget.value["pupil"]) == ["ann", "bob"]
    assert (widget.whose, widget.choice) == ("bob", "paler")


def test_an_answer_is_its_pupil_s_whatever_name_is_heard_meanwhile(ask, meanwhile):
    widget = ask(pupil="")
    naming = meanwhile(predict, "read_answers", setattr, widget, "pupil", "an")
    hear(widget, "answer", answer="paler", pupil="ann")
    naming.join()
    assert widget.value["pupil"].tolist() == ["ann"]


def test_an_answer_that_comes_twice_is_no_error_and_nobody_elses(ask):
    widget = ask()
    for _ in range(2):
        assert hear(widget, "answer", id="1", answer="paler")[0]["kind"] == "pictures"
    assert hear(widget, "answer", id="2", answer="paler")[0]["kind"] == "pictures"  # another view
    assert "already" in hear(widget, "answer", id="3", answer="stronger")[0]["text"]
    widget.pupil = "bob"
    content, pictures = hear(widget, "answer", id="1", answer="paler")
    assert content["kind"] == "outdated" and not pictures and widget.choice == ""
    assert widget.value["pupil"].tolist() == ["ann"]


def test_an_answer_brings_its_pupil_along_whose_name_may_come_by_itself_later(ask):
    widget = ask("")
    assert hear(widget, "answer", answer="paler", pupil="ann")[0]["kind"] == "pictures"
    widget.pupil = "ann"
    assert widget.choice == "paler" and widget.value["pupil"].tolist() == ["ann"]


def test_a_look_for_answers_that_began_before_one_does_not_hide_it(ask, monkeypatch):
    widget, began, said = ask(), threading.Event(), threading.Event()
    known = predict.read_answers

    def read(*given):
        found = known(*given)
        if threading.current_thread() is other:
            began.set()
            said.wait(0.3)  # an answer that need not wait would be given meanwhile
        return found

    monkeypatch.setattr(predict, "read_answers", read)
    other = threading.Thread(target=widget._look_up)
    other.start()
    assert began.wait(60)
    widget.say("paler")
    said.set()
    other.join()
    assert widget.choice == "paler"


def test_a_picture_that_is_gone_hides_no_other(ask, frame):
    widget = ask()
    Path(frame["path"].iloc[0]).unlink()
    content, pictures = hear(widget, "answer", answer="paler")
    assert content["kind"] == "pictures" and [bool(data) for data in pictures] == [False, True]


def test_blanks_around_an_answer_make_no_difference(frame, tmp_path):
    given = dict(right="more ", pupil="ann", folder=tmp_path / "answers")
    widget = Predict(frame, QUESTION, [" more", "fewer"], **given)
    widget.say(" more")
    assert (widget.choice, widget.right, widget.value["right"].tolist()) == ("more", "more", [True])


def test_each_pupil_has_a_file_and_the_folder_is_the_class(ask, tmp_path):
    for pupil, answer in (("Ann", "paler"), ("bob ../x", "stronger"), ("Ann", None)):
        if answer:
            ask(pupil).say(answer)
    assert sorted(path.name for path in (tmp_path / "answers").iterdir()) == [
        *("ann.jsonl", "bob-x.jsonl")
    ]
    value = ask("teacher").value
    assert value[["pupil", "answer"]].values.tolist() == [
        ["Ann", "paler"],
        ["bob ../x", "stronger"],
    ]
    assert value["right"].tolist() == [False, True]
    files = (tmp_path / "answers").glob("*.jsonl")
    merged = pd.concat(pd.read_json(path, lines=True) for path in files)  # the one line
    assert set(merged["answer"]) == {"paler", "stronger"}


def test_an_answer_without_a_name_is_refused_and_nothing_is_kept(ask, tmp_path):
    with pytest.raises(ValueError, match="write who answers"):
        ask(" ").say("paler")
    assert not (tmp_path / "answers").exists() and ask("").choice == ""


def test_a_line_cut_off_costs_no_other_answer(ask, tmp_path):
    ask("ann").say("paler")
    (tmp_path / "answers" / "broken.jsonl").write_text('{"pupil": "bob", "quest')
    with pytest.warns(UserWarning, match="line 1 of broken.jsonl is no answer"):
        assert ask("teacher").value["pupil"].tolist() == ["ann"]


def test_of_two_files_of_one_name_the_earlier_answer_counts_aloud(ask, tmp_path):
    ask("Ann").say("paler")
    own = tmp_path / "answers" / "ann.jsonl"
    row = json.loads(own.read_text()) | {"answer": "nothing", "time": "2020-01-01T00:00:00+00:00"}
    (tmp_path / "answers" / "z.jsonl").write_text(json.dumps(row))
    with pytest.warns(UserWarning, match="ann.jsonl and z.jsonl have other answers of one 'Ann'"):
        assert ask("teacher").value["answer"].tolist() == ["nothing"]
    (tmp_path / "answers" / "z.jsonl").write_text(own.read_text())  # a second copy
    with warnings.catch_warnings(action="error"):
        assert ask("teacher").value["answer"].tolist() == ["paler"]


def test_captions_hold_what_the_recipes_differ_in_and_no_measures(ask, frame):
    frame["objects_places"], frame["objects_of"] = ["44 22", "1 2"], ["20c942db", "30c942db"]
    content, _ = hear(ask(), "answer", answer="paler")
    assert content["captions"] == ["guidance_scale 1", "guidance_scale 7.5"]


def test_what_stands_in_the_pictures_is_told_with_them_and_not_before(ask, frame):
    for n, path in enumerate(frame["path"]):
        draw_scene(["cat", "dog"][n]).save(path)
    widget = ask()
    assert hear(widget, "seen")[0]["kind"] == "error"
    hear(widget, "answer", answer="paler")
    wanted = [f"a program found {name}, background green" for name in ("cat", "dog")]
    assert hear(widget, "seen")[0]["seen"] == wanted
    frame["objects_found"] = ["", "bird"]
    widget = ask()
    assert hear(widget, "seen")[0]["seen"] == [
        "a program found nothing that it knows",
        "a program found bird",
    ]


def test_another_pupil_at_the_same_page_is_asked_anew(ask):
    widget = ask("ann")
    widget.say("paler")
    widget.pupil = "bob"
    assert widget.choice == "" and widget.right == "" and widget.counts == []
    widget.say("stronger")
    assert widget.counts == [1, 1, 0]
    widget.pupil = "ann"
    assert widget.choice == "paler"


def test_a_name_given_at_one_question_is_that_of_the_others_of_the_folder(ask, tmp_path):
    before, other = ask(pupil=""), ask(pupil="", folder=tmp_path / "elsewhere")
    asked = ask(pupil="")
    asked.pupil = "ann"
    assert (before.pupil, ask(pupil="").pupil, other.pupil) == ("ann", "ann", "")
    asked.pupil = "bob"
    assert before.pupil == "ann"  # two may sit at one computer


def test_an_open_question_is_not_as_narrow_as_its_answers(ask):
    assert "<caption" not in ask().static() and f"<p>{QUESTION} (not" in ask().static()


def test_without_a_right_answer_nobody_is_wrong(ask):
    widget = ask(right=None)
    widget.say("nothing")
    assert widget.value["right"].isna().all() and widget.right == ""
    assert widget.tabulate()["right"].isna().all()


def test_the_table_has_the_right_answer_also_where_nobody_gave_it_and_nothing_before(ask):
    assert ask().tabulate().empty
    ask("ann").say("paler")
    table = ask("teacher").tabulate()
    assert table.drop(columns=["question", "group"]).values.tolist() == [
        ["paler", 1, False],
        ["stronger", 0, True],
        ["nothing", 0, False],
    ]
    assert table.dtypes.to_dict() == ask(folder="nowhere").tabulate().dtypes.to_dict()


def test_a_second_class_begins_from_nothing_in_the_same_folder(ask, tmp_path):
    first = ask("Ann", group="class 7b")
    first.say("paler")
    widget = ask("Ann", group=" class 8a ")
    told = [text.get_text() for text in widget.draw().texts]
    assert told == [QUESTION, "class 8a: nobody has answered yet"]
    assert widget.choice == "" and widget.value.empty and widget.tabulate().empty
    assert "of class 8a" not in widget.static() and ask("", group="class 9").pupil == ""
    widget.say("stronger")  # another Ann
    assert first.choice == "paler" and (widget.counts, first.counts) == ([0, 1, 0], [1, 0, 0])
    names = sorted(path.name for path in (tmp_path / "answers").iterdir())
    assert names == ["class-7b-ann.jsonl", "class-8a-ann.jsonl"]  # lie in one folder
    assert widget.value[["pupil", "group"]].values.tolist() == [["Ann", "class 8a"]]
    assert "of class 8a" in widget.static() and "group='class 8a'" in widget.code
    words = widget.draw()._repr_png_()[1]["alt"]
    assert words.endswith("nothing: 0; class 8a: 1 answer")
    both = widget.tabulate("class 7b", "class 8a", "class 9")
    assert both.pivot(index="group", columns="answer", values="pupils").to_dict("index") == {
        "class 7b": {"paler": 1, "stronger": 0, "nothing": 0},
        "class 8a": {"paler": 0, "stronger": 1, "nothing": 0},
    }
    widget.group = "class 7b"
    assert (widget.choice, widget.counts) == ("paler", [1, 0, 0])


def test_answers_from_before_there_were_groups_are_those_of_no_group(ask, tmp_path):
    row = {"pupil": "ann", "question": QUESTION, "answer": "paler", "time": "2026-01-01T00:00:00"}
    (tmp_path / "answers").mkdir()
    (tmp_path / "answers" / "ann.jsonl").write_text(json.dumps(row) + "\n")
    assert ask("ann").choice == "paler" and ask("ann").tabulate()["pupils"].tolist() == [1, 0, 0]
    assert ask("ann", group="class 7b").choice == ""


def test_the_figure_counts_the_class_and_tells_nothing_before(ask):
    figure = ask("d").draw()
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ANSWERS
    assert [text.get_text() for text in figure.texts] == [QUESTION, "nobody has answered yet"]
    for pupil, answer in (("a", "paler"), ("b", "stronger"), ("c", "stronger")):
        ask(pupil).say(answer)
    figure = ask("d").draw()
    (axes,) = figure.axes
    assert [bar.get_width() for bar in axes.patches] == [1, 2, 0]
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        *("paler", "stronger (right)", "nothing")
    ]
    assert [text.get_text() for text in figure.texts] == [QUESTION, "3 answers"]
    words = ask("d").draw()._repr_png_()[1]["alt"]
    assert words == f"{QUESTION} paler: 1; stronger (right): 2; nothing: 0; 3 answers"


def test_a_long_question_stands_whole_in_the_figure_and_above_its_bars():
    question = "A pizza and no cat for $5 or $6: in how many of these six pictures is a cat?"
    value = pd.DataFrame({"answer": ["none", "all"]})
    for long in (question, f"{question} {question}"):
        figure = draw_answers(long, ["none", "some", "all"], value, "all")
        assert " ".join(text.get_text() for text in figure.texts) == f"{long} 2 answers"
        boxes = [text.get_window_extent() for text in figure.texts]
        assert all(box.x0 >= 0 and box.x1 <= figure.bbox.width for box in boxes)
        assert all(above.y0 >= below.y1 for above, below in itertools.pairwise(boxes))
        assert boxes[-1].y0 >= figure.axes[0].get_window_extent().y1


def test_own_captions_stand_under_the_pictures_and_come_with_the_code(ask, frame):
    told = ["the whole prompt", "without “cat”: 20.1 levels away"]
    widget = ask(captions=told)
    assert told[1] not in json.dumps(widget.get_state(), default=str)  # nothing before the answer
    content, _ = hear(widget, "answer", answer="paler")
    assert content["captions"] == told and told[1] in widget.static()
    assert f"captions={told!r}" in widget.code
    frame.loc[0, "path"] = None
    widget = ask("bea", captions=told)
    assert hear(widget, "answer", answer="paler")[0]["captions"] == told[1:]
    with pytest.raises(ValueError, match="1 captions for 2 rows: give one for each row"):
        ask(captions=["one"])
    with pytest.raises(TypeError, match="give texts"):
        ask(captions=[1, 2])


def test_a_choice_says_whose_it_is(ask):
    widget = ask("ann")
    widget.say("paler")
    assert (widget.whose, widget.choice) == ("ann", "paler")
    widget.pupil = "bea"
    assert (widget.whose, widget.choice) == ("bea", "")


def test_the_code_asks_the_same(ask):
    code = ask().code
    assert (
        "Predict(results, 'What does more guidance do?', ['paler', 'stronger', 'nothing']" in code
    )
    assert "right='stronger'" in code and "pupil='ann'" in code


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"answers": "yes"}, "is no list"),
        ({"answers": ["a"]}, "two to nine"),
        ({"answers": ["a", "a"]}, "two to nine"),
        ({"right": "maybe"}, "none of the answers"),
        ({"question": " "}, "say what is asked"),
    ],
)
def test_what_is_no_question_is_refused(frame, given, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Predict(frame, **{"question": QUESTION, "answers": ANSWERS} | given)
    with pytest.raises(ValueError, match="no picture"):
        Predict(frame.assign(path=pd.NA), QUESTION, ANSWERS)
