"""A judged picture tells nothing but its pixels; each answer is kept before the next picture, for each rater apart."""

import ast
import io
import json
from collections import Counter
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sdlab import read_pictures, stats
from sdlab.recipe.request import Recipe, Request
from sdlab.recipe.sweep import sweep
from sdlab.results.frame import format_value
from sdlab.store.store import Store
from sdlab.widgets import Judge
from sdlab.widgets.judge.judge import assign_keys
from sdlab.widgets.judge.round import Round, plan_trials, sort_sides

ASKED = ["question", "answer", "rater", "seconds", "blind", "repeat", "time"]
QUESTION = "Is it a cat?"

pytestmark = pytest.mark.usefixtures("at_once")


@pytest.fixture
def frame(tmp_path):
    """Six seeds at two guidance scales, in a store; every picture is one colour of its own."""
    base = Request(
        prompt="a cat",
        weights="a" * 32,
        scheduler="DDIMScheduler",
        num_inference_steps=8,
        height=64,
        width=64,
    )
    store = Store(tmp_path / "runs")
    for i, cell in enumerate(sweep(base, guidance_scale=[1.0, 4.0], seed=range(6))):
        store.save(Recipe(**cell.to_dict()), Image.new("RGB", (64, 64), (i, 100 + i, 200)), {})
    return store.frame()


def shown(frame, **given):
    """A question about these pictures that notes what it sends."""
    widget = Judge(frame, given.pop("question", QUESTION), **given)
    widget.sent = []
    widget.send = lambda content, buffers=None: widget.sent.append((content, buffers))
    return widget


def asked(widget, kind, **content):
    """The answer to a question of the page."""
    widget._hear(None, {"kind": kind, "id": "q", "deal": widget.deal, **content}, [])
    return widget.sent[-1]


def answered(widget, answer, **content):
    """What the page gets when it answers about the picture that it has."""
    n = asked(widget, "show")[0]["n"]
    return asked(widget, "answer", **{"n": n, "answer": answer, "seconds": 1.5} | content)


def colour(data):
    return Image.open(io.BytesIO(data)).getpixel((5, 5))


def colours_of(frame):
    return {row.key: Image.open(row.path).getpixel((5, 5)) for row in frame.itertuples()}


# The plan


def test_all_are_shown_in_an_order_of_chance_and_a_tenth_twice():
    plan = plan_trials([f"k{i:02}" for i in range(50)], seed=0, rater="", repeats=0.1)
    first = [trial.about for trial in plan if not trial.repeat]
    again = [trial.about for trial in plan if trial.repeat]
    assert sorted(first) == [f"k{i:02}" for i in range(50)] != first
    assert len(set(again)) == len(again) == 5
    for about in again:
        places = [i for i, trial in enumerate(plan) if trial.about == about]
        assert len(places) == 2 and places[1] - places[0] > 25 and plan[places[1]].repeat == 1


@pytest.mark.parametrize("n, repeats, twice", [(1, 0.1, 0), (2, 0.1, 1), (9, 0.5, 4), (9, 0, 0)])
def test_a_few_pictures_are_repeated_as_far_as_that_makes_sense(n, repeats, twice):
    plan = plan_trials([f"k{i}" for i in range(n)], seed=0, rater="", repeats=repeats)
    assert len(plan) == n + twice
    assert all(one.about != other.about for one, other in pairwise(plan))


def test_the_same_seed_and_rater_make_the_same_plan_whatever_the_frames_order():
    keys = [(f"l{i}", f"r{i}") for i in range(100)]
    plan = plan_trials(keys, seed=3, rater="ann", repeats=0.1)
    turned = [(right, left) for left, right in keys[::-1]]
    assert plan_trials(turned, seed=3, rater="ann", repeats=0.1) == plan
    assert plan_trials(keys, seed=4, rater="ann", repeats=0.1) != plan
    other = plan_trials(keys, seed=3, rater="bob", repeats=0.1)  # on sides of their own
    assert other != plan
    assert [(sort_sides(trial.about), trial.repeat) for trial in other] == [
        (sort_sides(trial.about), trial.repeat) for trial in plan
    ]


@pytest.mark.parametrize("by", [None, "guidance_scale"])
def test_a_round_begun_in_an_order_of_the_raters_own_goes_on_in_it(frame, by):
    how = {} if by is None else {"by": by, "answers": ["left", "right"]}
    first = shown(frame, rater="ann", **how)
    subjects, keeper = first._pictures.subjects, first._keeper
    plan = plan_trials(subjects, seed=0, rater="ann", repeats=0.1, alone=True)
    assert plan != first._round.trials
    former = Round(keeper, plan, question=QUESTION, rater="ann")
    for done in (3, len(plan)):
        for place in range(former.place, done):
            former.put(place, first.answers[0], 1.0)
        again = shown(frame, rater="ann", **how)
        assert again._round.trials == plan and (again.done, again._round.place) == (done, done)
    assert again.unblinded and len(again.value) == len(plan)
    bob = shown(frame, rater="bob", **how)._round.trials
    orders = [[sort_sides(trial.about) for trial in one] for one in (bob, first._round.trials)]
    assert orders[0] == orders[1]


def test_sides_are_those_of_chance_and_some_repeats_change_them():
    keys = [(f"l{i}", f"r{i}") for i in range(400)]
    plan = plan_trials(keys, seed=0, rater="", repeats=0.1)
    first = {trial.about for trial in plan if not trial.repeat}
    swapped = sum(about[0].startswith("r") for about in first)
    assert abs(swapped - 200) < 50  # 5 standard deviations
    again = [trial.about for trial in plan if trial.repeat]
    assert sum(about in first for about in again) == 20 == len(again) // 2
    assert sum(about[::-1] in first for about in again) == 20


# What the page learns


def test_the_page_gets_pixels_and_nothing_that_tells_the_recipe(frame):
    widget, known = shown(frame), colours_of(frame)
    for n in range(widget.total):
        content, buffers = asked(widget, "show")
        told = {"kind": "trial", "deal": 1, "n": n, "question": QUESTION, "seen": None, "re": "q"}
        assert content == told
        assert Image.open(io.BytesIO(buffers[0])).info == {} and b"tEXt" not in buffers[0]
        assert colour(buffers[0]) in known.values()
        state = {k: v for k, v in widget.get_state().items() if k not in ("_esm", "_css")}
        words = json.dumps(state, default=str) + widget.static()
        assert not any(word in words for word in (*frame.key, "guidance", ".png", "img", "seed"))
        assert asked(widget, "code")[0]["kind"] == "error" and "guidance" not in str(widget.sent)
        answered(widget, "yes")


def test_who_does_not_see_a_picture_hears_what_was_found_there_and_no_verdict(frame):
    found = frame["seed"].map("cat number {}".format)
    frame = frame.assign(objects_found=found, objects_right=True, watermark_found="sd-v1")
    for given in ({}, {"by": "guidance_scale"}):
        widget, known = shown(frame, **given), colours_of(frame)
        content, buffers = asked(widget, "show")
        keys = [next(k for k in known if known[k] == colour(data)) for data in buffers]
        seeds = frame.set_index("key")["seed"]
        assert content["seen"] == [f"a program found cat number {seeds[key]}" for key in keys]


def test_pictures_of_the_embedded_models_are_described_though_nothing_was_measured(frame):
    widget = shown(frame)
    trial, _ = asked(widget, "show")
    assert trial["seen"] is None  # the picture does not wait for its description
    place = {"deal": trial["deal"], "n": trial["n"]}
    (said,) = asked(widget, "seen", **place)[0]["seen"]
    assert "found" in said and ", background " in said
    answered(widget, "yes")
    assert asked(widget, "seen", **place)[0]["kind"] == "outdated"


def test_the_heading_before_the_first_picture_has_no_braces(frame):
    widget = shown(frame, question='Is it "{prompt}"?')
    assert widget.heading == 'Is it "…"?' and widget.question == 'Is it "{prompt}"?'
    assert "{" not in widget.static().split("</p>")[0] and "…" in widget.static()


def test_a_picture_that_cannot_be_read_is_not_named(frame):
    for path in frame.path:
        open(path, "wb").close()
    content, buffers = asked(shown(frame), "show")
    assert content["kind"] == "trial" and buffers == [b""] and ".png" not in str(content)


@pytest.mark.parametrize("given", [{}, {"by": "guidance_scale"}])
def test_a_question_tells_a_column_if_it_names_it(frame, given):
    widget = shown(frame, question='Is it "{prompt}" no. {seed}?', **given)
    seeds = {
        colour: row.seed for row in frame.itertuples() for colour in [colours_of(frame)[row.key]]
    }
    for _ in range(widget.total):
        content, buffers = asked(widget, "show")
        assert content["question"] == f'Is it "a cat" no. {seeds[colour(buffers[0])]}?'
        answered(widget, None)
    assert {*widget.value["question"]} == {'Is it "{prompt}" no. {seed}?'}
    for name in ("guidance", *given.values()):
        with pytest.raises(ValueError, match=f"'{name}' is nothing that can be told"):
            shown(frame, question=f"Is it {{{name}}}?", **given)


def test_pairs_are_two_pictures_of_one_seed_and_the_answer_is_about_them_as_they_stood(frame):
    widget = shown(frame, by="guidance_scale", question="closer?")
    keys = {colour: key for key, colour in colours_of(frame).items()}
    stood = []
    for _ in range(widget.total):
        _, buffers = asked(widget, "show")
        stood.append([keys[colour(data)] for data in buffers])
        answered(widget, "left")
    asked(widget, "finish", n=widget.total)
    value = widget.value
    assert value[["left", "right"]].values.tolist() == stood
    scale = frame.set_index("key")["guidance_scale"]
    assert value["preferred"].tolist() == [scale[left] for left, _ in stood]
    assert set(value["preferred"]) == {1, 4}  # chance has swapped some, not all
    assert value["left_guidance_scale"].tolist() == value["preferred"].tolist()
    assert (value["right_guidance_scale"] + value["left_guidance_scale"] == 5).all()
    seeds = frame.set_index("key")["seed"]
    assert value["seed"].tolist() == [seeds[left] for left, _ in stood]
    assert stats.ranking(value, frame, by="guidance_scale")["wins"].sum() == 6


# What is kept


def test_an_answer_is_in_the_store_before_the_next_picture_is_sent(frame, monkeypatch):
    widget, store = shown(frame, rater="ann"), Store(Judge(frame, QUESTION)._pictures.root)
    known, seen = colours_of(frame), []
    send = widget.send

    def note(content, buffers=None):
        seen.append(len(store.answers()))
        send(content, buffers)

    first = colour(asked(widget, "show")[1][0])
    widget.send = note
    asked(widget, "answer", n=0, answer="yes", seconds=2.25)
    assert seen == [1]
    row = store.answers().iloc[0]
    assert known[row.key] == first
    assert (row.question, row.answer, row.rater) == (QUESTION, "yes", "ann")
    assert (row["seconds"], row["repeat"], row["blind"]) == (2.25, 0, True)


def test_what_cannot_be_kept_is_said_and_the_picture_stays(frame, monkeypatch):
    widget = shown(frame)

    def fail(*arguments, **named):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(widget._keeper.opinions, "answer", fail)
    content, _ = answered(widget, "yes")
    assert content["kind"] == "error" and "free space there" in content["text"]
    assert widget.done == 0 and asked(widget, "show")[0]["n"] == 0


def test_a_message_that_comes_twice_or_late_counts_once(frame):
    widget = shown(frame)
    for _ in range(2):
        content, _ = asked(widget, "answer", n=0, answer="yes", seconds=1)
        assert content["n"] == 1
    asked(widget, "undo", n=0)
    assert widget.done == 1
    before = widget.deal
    widget.rater = "bob"
    content, _ = asked(widget, "answer", n=0, answer="yes", seconds=1, deal=before)
    assert content["n"] == 0 and content["deal"] == widget.deal and widget.done == 0
    assert len(widget.value) == 1


def test_an_answer_heard_while_another_rater_s_round_begins_is_nobody_s(frame, meanwhile):
    widget = shown(frame, rater="ann")
    answer = {"kind": "answer", "id": "a", "n": 0, "deal": widget.deal, "answer": "yes"}
    answering = meanwhile(widget, "_count", widget._hear, None, answer | {"seconds": 1}, [])
    widget.rater = "bob"
    answering.join()
    assert widget.done == 0 and widget.value.empty


def test_an_answer_under_a_name_that_is_heard_later_is_nobody_s(frame):
    widget = shown(frame, rater="ann")
    for kind in ("answer", "finish"):
        asked(widget, kind, n=0, answer="yes", seconds=1, rater="bob")
    assert widget.value.empty and not widget.unblinded
    asked(widget, "answer", n=0, answer="yes", seconds=1, rater="ann ")
    assert widget.value["rater"].tolist() == ["ann"]


def test_a_round_goes_on_where_its_rater_stopped(frame):
    first = shown(frame, rater="ann")
    for answer in ("yes", None, "no"):
        answered(first, answer)
    again = shown(frame[::-1], rater=" ann ")
    assert again.done == 3 and asked(again, "show")[0]["n"] == 3
    assert colour(asked(again, "show")[1][0]) == colour(asked(first, "show")[1][0])
    assert again.value["answer"].fillna("-").tolist() == ["yes", "-", "no"]
    assert shown(frame, rater="ann", question="Is it?").done == shown(frame).done == 0


def test_an_answer_that_was_not_blind_is_none_of_the_round(frame):
    store = Store(shown(frame)._pictures.root)
    for key in frame.key:
        store.answer(key, "yes", question=QUESTION)
    widget = shown(frame)
    assert widget.done == 0 and widget.value.empty and len(store.answers()) == 12


def test_undo_takes_answers_back_one_by_one_and_shows_their_pictures(frame):
    widget = shown(frame)
    pictures = [asked(widget, "show")[1]] + [answered(widget, "yes")[1] for _ in range(2)]
    for n in (1, 0, 0):
        content, buffers = asked(widget, "undo", n=asked(widget, "show")[0]["n"])
        assert content["n"] == n and buffers == pictures[n]
    assert widget.done == 0 and widget.value.empty and shown(frame).done == 0
    answered(widget, "no")
    assert widget.value["answer"].tolist() == ["no"]


def test_each_rater_has_a_round_and_an_order_and_all_answers_are_in_the_value(frame):
    widget = shown(frame, rater="ann")
    ann = asked(widget, "show")[1]
    answered(widget, "yes")
    widget.set_state({"rater": "bob "})
    assert (widget.rater, widget.done, widget.deal) == ("bob", 0, widget.deal)
    answered(widget, "no")
    assert widget.value[["answer", "rater"]].values.tolist() == [["yes", "ann"], ["no", "bob"]]
    assert widget.raters == ["ann", "bob"]
    widget.rater = "ann"
    assert widget.done == 1 and ann != asked(widget, "show")[1]


def test_an_answer_must_be_one_of_those_offered(frame):
    widget = shown(frame, answers=range(3))
    assert "answer='7': use '0', '1', '2'" in answered(widget, "7")[0]["text"]
    assert answered(widget, "1", seconds=-1)[0]["kind"] == "error"
    widget.say(2, seconds=3)
    widget.say(None)
    assert widget.value["answer"].fillna("-").tolist() == ["2", "-"]


# The end


def test_the_recipes_are_told_when_the_round_has_ended(frame):
    widget = shown(frame.assign(found=True), rater="ann")
    for _ in range(widget.total - 1):
        widget.say("yes")
    asked(widget, "finish", n=widget.total)
    assert widget.value["blind"].all()
    assert not widget.unblinded and list(widget.value) == ["key", *ASKED]
    widget.say("no")
    assert not widget.unblinded and widget.verdict == []  # the last can still be taken back
    asked(widget, "undo", n=widget.total)
    answered(widget, "yes")
    asked(widget, "finish", n=widget.total)
    value = widget.value
    assert widget.unblinded and value[["key", *ASKED]].equals(value[list(value)[: len(ASKED) + 1]])
    scale = frame.set_index("key")["guidance_scale"]
    assert value["guidance_scale"].tolist() == scale[value["key"]].tolist()
    assert value["found"].all() and {"path", "prompt", "seed"} <= {*value}
    assert not {"created", "device", "rating", "error"} & {*value}
    assert "guidance_scale" in asked(widget, "code")[0]["text"]
    assert stats.agreement(value, scorer="found")["share"].tolist() == [1, 1]
    assert shown(frame, rater="ann").unblinded and not shown(frame, rater="bob").unblinded


def test_a_round_can_be_ended_early_and_takes_no_answer_then(frame):
    widget = shown(frame)
    widget.say("yes")
    widget.unblind()
    assert {"seed", "path"} <= {*widget.value} and widget.verdict[0].startswith(
        "Of 1 picture – yes: 1."
    )
    content, _ = answered(widget, "no")
    asked(widget, "undo", n=1)
    widget.undo()
    assert content["n"] == 1 == widget.done == len(widget.value)
    with pytest.raises(ValueError, match="or the round was ended"):
        widget.say("no")


def test_who_ends_a_round_ends_it_for_no_other_rater(frame):
    widget = shown(frame, rater="ann")
    for rater in ("ann", "bob"):
        widget.rater = rater
        for _ in range(widget.total):
            widget.say("yes")
    asked(widget, "finish", n=widget.total)
    assert widget.unblinded and widget.verdict
    widget.rater = "ann"  # she has answered all, and not ended
    assert (widget.done, widget.unblinded, widget.verdict) == (widget.total, False, [])
    assert "guidance_scale" not in widget.value
    asked(widget, "undo", n=widget.total)
    assert widget.done == widget.total - 1
    answered(widget, "no")
    asked(widget, "finish", n=widget.total)
    for rater in ("bob", "ann"):
        widget.rater = rater
        assert widget.unblinded


def test_who_claims_what_somebody_has_ended_has_seen_what_came_out(frame):
    for ends in (False, True):
        widget = shown(frame, question=f"Is it? {ends}")
        for _ in range(widget.total):
            widget.say("yes")
        if ends:
            widget.unblind()
        widget.rater = "ann"
        assert not widget.unblinded
        widget.take_unnamed()
        assert widget.done == widget.total and widget.unblinded == ends


@pytest.mark.parametrize("by", [None, "guidance_scale"])
def test_answers_without_a_name_are_nobodys_until_a_rater_claims_them(frame, tmp_path, by):
    how = {} if by is None else {"by": by, "answers": ["yes", "no"]}
    widget = shown(frame, **how)
    with pytest.raises(ValueError, match="no name to give"):
        widget.take_unnamed()
    for answer in ("yes", None, "no"):
        widget.say(answer, seconds=2.5)
    before = widget.value.drop(columns=["rater", "time"])
    lines = (tmp_path / "runs" / "opinions.jsonl").read_text()
    assert widget.unnamed == 0
    widget.rater = "ann"
    assert (widget.unnamed, widget.done) == (3, 0)  # asked for, and given to nobody
    assert widget.value["rater"].tolist() == [""] * 3
    deal = widget.deal
    for _ in range(2):  # a message may come twice
        content, _ = asked(widget, "claim", deal=deal)
    assert (widget.unnamed, widget.done, content["n"]) == (0, 3, 3)
    assert widget.value["rater"].tolist() == ["ann"] * 3
    pd.testing.assert_frame_equal(widget.value.drop(columns=["rater", "time"]), before)
    assert (tmp_path / "runs" / "opinions.jsonl").read_text().startswith(lines)  # all is kept
    assert shown(frame, rater="ann", **how).done == 3
    widget.undo()
    assert (widget.done, widget.unnamed) == (2, 0)
    widget.rater = "bob"
    assert (widget.unnamed, widget.done) == (0, 0)


def test_an_own_answer_outweighs_one_without_a_name_which_stays(frame):
    shown(frame, rater="ann").say("yes")
    widget = shown(frame)
    for answer in ("no", "no"):
        widget.say(answer)
    widget.rater = "ann"
    assert widget.unnamed == 1
    widget.take_unnamed()
    said = widget.value[["rater", "answer"]].values.tolist()
    assert sorted(said) == [["", "no"], ["ann", "no"], ["ann", "yes"]] and widget.done == 2


def test_what_came_out_is_said_with_what_it_rests_on(frame):
    for rater, says in (("ann", "yes"), ("bob", "no")):
        widget = shown(frame, rater=rater, seed=1)
        for _ in range(widget.total):
            widget.say(says, seconds=2)
    widget.unblind()
    first, apart, numbers, again = widget.verdict
    pace = "Half of the answers took 2.0 seconds or less."
    assert first == f"Of 12 pictures – no: 12. With 1 repeat, 13 answers – no: 13. {pace}"
    assert apart == "ann and bob: the same answer in 0 of 12 pictures."  # statistics come apart
    assert numbers.startswith("In numbers: 95% interval 0% to 24%; Krippendorff's alpha -")
    assert again == "The same answer to pictures shown again: ann in 1 of 1, bob in 1 of 1."
    page = widget.static()
    assert page.count("<img") == 12 and "ann" in page and "seed 5" in page


@pytest.mark.parametrize("by, noun", [(None, "12 pictures"), ("guidance_scale", "6 pairs")])
def test_what_is_summed_up_first_counts_no_repeats(frame, by, noun):
    widget = shown(frame, by=by, repeats=0.5, answers=["yes", "no"], rater="ann")
    seen = Counter()
    for n, trial in enumerate(widget._round.trials):
        answer = "no" if trial.repeat else ("yes", "no", None)[n % 3]
        seen[answer or "cannot tell"] += not trial.repeat
        widget.say(answer)
    widget.unblind()
    first, more = widget.verdict[0].split(". With ")
    told = dict(each.split(": ") for each in first.removeprefix(f"Of {noun} – ").split(", "))
    assert told == {word: str(n) for word, n in seen.items()}
    again = widget.total - sum(seen.values())
    assert again > 1 and more.startswith(f"{again} repeats, {widget.total} answers – no: ")


def test_of_several_raters_the_sum_comes_first_and_few_common_answers_are_summed_up(frame):
    for rater, says in {"cy": ["yes"], "bob": ["no"] * 13, "ann": ["no"] * 13}.items():
        widget = shown(frame, rater=rater, seed=1)
        for each in says:
            widget.say(each)
    widget.unblind()
    _, everyone, numbers, two, more, few, again = widget.verdict
    told = "All raters together: any two of them gave the same answer 94% of the time"
    assert everyone == f"{told}, on 12 pictures."  # 1/3 of one picture, all of eleven
    assert two == "bob and ann: the same answer in 12 of 12 pictures."
    assert numbers.startswith("In numbers: ") and more.startswith("In numbers: ")
    assert few == "2 pairs of raters have fewer than 5 pictures in common."
    assert again == "The same answer to pictures shown again: bob in 1 of 1, ann in 1 of 1."


def test_the_end_tells_the_shares_by_what_differs_and_rate_takes_the_value(frame):
    widget = shown(frame, repeats=0.5, rater="ann")
    scale = frame.set_index("key")["guidance_scale"]
    said = {1.0: iter(["yes"] * 4 + [None, "no"]), 4.0: iter(["no"] * 5 + ["yes"])}
    for trial in widget._round.trials:
        widget.say("no" if trial.repeat else next(said[scale[trial.about]]))
    assert widget.shares == [] and "yes" not in widget.value
    widget.unblind()
    head, *rows = widget.shares
    whose = "first answers of ann, by what the pictures differ in"
    assert head == [whose, "yes", "no", "cannot tell", "share of yes"]
    assert [row[:4] for row in rows] == [
        ["guidance_scale 1", "4", "1", "1"],
        ["guidance_scale 4", "1", "5", "0"],
    ]
    assert whose in widget.static()
    found = stats.rate(widget.value.query("repeat == 0"), "yes", by="guidance_scale")
    for row in found.to_dict("records"):
        ends = f"(95% interval {row['low']:.0%} to {row['high']:.0%})"
        title = f"guidance_scale {row['guidance_scale']:g}"
        assert [title, f"{row['share']:.0%} {ends}"] in [[one[0], one[-1]] for one in rows]
    assert rows[0][-1] in widget.static()
    other = shown(frame, question="How many?", answers=range(3), rater="bob")
    other.say(2)
    assert other.shares == []
    other.say(0)
    other.unblind()
    assert "yes" not in other.value and all(len(row) == 4 for row in other.shares)


def test_shares_are_in_the_order_of_numbers_and_name_these_as_people_do(frame):
    scales = pd.Series([7.5, 1.0] * (len(frame) // 2), dtype="Float64")
    widget = shown(frame.assign(guidance_scale=scales), repeats=0)
    while widget.done < widget.total:
        widget.say("yes")
    widget.unblind()
    assert [row[0] for row in widget.shares[1:]] == ["guidance_scale 1", "guidance_scale 7.5"]
    assert format_value(np.float64(7.5)) == "7.5"


def test_the_static_table_of_pairs_names_whose_picture_was_preferred(frame):
    widget = shown(frame, by="guidance_scale", left=4.0, right=1.0, question="closer?")
    said = Counter()
    for place, trial in enumerate(widget._round.trials):
        answer = ("left", "tie", None)[place % 3]
        widget.say(answer)
        if trial.repeat == 0:
            left = frame.set_index("key")["guidance_scale"][trial.about[0]]
            name = {"left": f"{left:g}", "tie": "tie", None: "cannot tell"}[answer]
            said[f">{name}<"] += 1
    widget.unblind()
    page = widget.static()
    assert {word: page.count(word) for word in said} == dict(said)
    assert page.count("<img") == 12 and page.index("guidance_scale 4") < page.index(
        "guidance_scale 1"
    )


def test_pictures_in_no_store_can_be_judged_as_long_as_the_widget_lives(frame):
    own = frame[["prompt", "seed", "path"]]
    widget = shown(own)
    widget.say("yes")
    widget.undo()
    widget.say("no")
    widget.unblind()
    value = widget.value
    assert value["answer"].tolist() == ["no"] and value["key"].tolist() == value["path"].tolist()
    assert shown(own).done == 0 and "Store" not in widget.code


@pytest.mark.parametrize("given", [{}, {"by": "guidance_scale", "left": 4.0}])
def test_the_code_repeats_the_plan(frame, given):
    widget = shown(frame, answers=["yes", "no", "both"], seed=5, repeats=0.3, rater="ann", **given)
    widget.say("both")
    last = ast.parse(widget.code).body[-1]
    again = eval(ast.unparse(last), {"Judge": Judge, "results": frame})
    assert again._round.trials == widget._round.trials and again.done == 1
    assert again.code == widget.code and "run(plan, Store(" in widget.code


@pytest.mark.parametrize(
    "answers, keys",
    [
        (["yes", "no"], ["1", "2"]),
        (["0", "1", "5"], ["0", "1", "5"]),
        (["3", "4", "5", "other"], ["3", "4", "5", "1"]),
        (["10", "5"], ["1", "5"]),
        ([str(n) for n in range(10)], [str(n) for n in range(10)]),
    ],
)
def test_an_answer_that_is_a_digit_has_its_own_key(answers, keys):
    assert assign_keys(answers) == keys


@pytest.mark.parametrize(
    "given, message",
    [
        ({"question": " "}, "say what is asked"),
        ({"question": None}, "question=None is no text"),
        ({"answers": "yes"}, "is no list"),
        ({"answers": ["yes"]}, "two to nine"),
        ({"answers": ["yes", "yes"]}, "two to nine that differ"),
        ({"answers": [1, "1"]}, "two to nine that differ"),
        ({"answers": ["yes", "cannot tell"]}, "is there without being named"),
        ({"answers": list("abcdefghij")}, "two to nine"),
        ({"rater": 3}, "rater=3 is no text"),
        ({"repeats": 0.6}, "a share from 0 to 0.5"),
        ({"seed": 1.5}, "seed=1.5 is no whole number"),
        ({"left": 1}, "give by='model', say, too"),
        ({"by": "guidance_scal"}, "did you mean 'guidance_scale'"),
    ],
)
def test_wrong_arguments_are_errors_that_say_so(frame, given, message):
    with pytest.raises((TypeError, ValueError), match=message):
        shown(frame, **given)


def test_a_frame_without_pictures_is_refused(frame):
    with pytest.raises(ValueError, match="no row of the frame has a picture"):
        shown(frame.assign(path=pd.array([None] * 12, "string")))
    with pytest.raises(ValueError, match="'path' is no column"):
        shown(frame.drop(columns="path"))


def test_pictures_from_elsewhere_are_judged_as_ours_and_told_by_their_files(frame, tmp_path):
    """They have no key; what is said of them finds them by their files all the same."""
    folder = tmp_path / "dall-e"
    folder.mkdir()
    for i in range(3):
        Image.new("RGB", (32, 32), (200, i, 0)).save(folder / f"{i}.png")
    theirs = read_pictures(
        folder, tmp_path / "runs", model="dall-e-2", prompt="a cat", progress=False
    )
    both = pd.concat([frame.dropna(axis=1, how="all"), theirs], ignore_index=True)
    widget = shown(both, rater="ann", repeats=0)
    for _ in range(15):
        data = asked(widget, "show")[1][0]
        answered(widget, "no" if colour(data)[0] > 150 else "yes")
    said = widget.value
    assert Counter(said["answer"]) == {"yes": 12, "no": 3}
    assert set(said["key"][said["answer"] == "no"]) == set(theirs["path"])
    assert shown(both, rater="ann", repeats=0).done == 0  # beside no one store they are not kept
