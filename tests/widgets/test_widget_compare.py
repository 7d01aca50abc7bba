"""A comparison shows fair pairs, keeps votes, and in blind mode tells nobody whose picture is whose before the vote."""

import ast
import base64
import io
import itertools
import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from conftest import draw_scene
from PIL import Image
from scipy.stats import binomtest

import sdlab.models.pipeline
from sdlab import run, stats, write_report
from sdlab.recipe.request import Recipe, Request
from sdlab.recipe.sweep import sweep
from sdlab.render.job import Job
from sdlab.results.stats import Claim
from sdlab.store.columns import LABELS
from sdlab.store.opinions import MemoryOpinions
from sdlab.store.store import Store
from sdlab.widgets import Compare
from sdlab.widgets.compare import compare as compares
from sdlab.widgets.compare.counts import describe_count, tell_winner
from sdlab.widgets.compare.votes import Ballot, Votes

TELLING = ("guidance", "key", ".png", "path")  # a scheduler that both share may be told

pytestmark = pytest.mark.usefixtures("at_once")


@pytest.fixture
def frame(tmp_path):
    """Six seeds at three guidance scales, in a store; every picture is one colour of its own."""
    base = Request(
        prompt="a cat",
        weights="a" * 32,
        scheduler="DDIMScheduler",
        num_inference_steps=8,
        height=64,
        width=64,
    )
    store = Store(tmp_path / "runs")
    for i, cell in enumerate(sweep(base, guidance_scale=[1.0, 4.0, 7.5], seed=range(6))):
        store.save(Recipe(**cell.to_dict()), Image.new("RGB", (64, 64), (i, 100 + i, 200)), {})
    return store.frame()


def shown(frame, **given):
    """A comparison by guidance_scale that notes what it sends."""
    widget = Compare(frame, "guidance_scale", **given)
    widget.sent = []
    widget.send = lambda content, buffers=None: widget.sent.append((content, buffers))
    return widget


def asked(widget, kind, **content):
    """The answer to a question of the page."""
    number = f"q{len(widget.sent)}"
    widget._hear(None, {"kind": kind, "id": number, "deal": widget.deal, **content}, [])
    return widget.sent[-1]


def colour(data):
    return Image.open(io.BytesIO(data)).getpixel((5, 5))


class Texts(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.texts, self.alts = [], []
        self.feed(html)

    def handle_data(self, data):
        self.texts += [data] if data.strip() else []

    def handle_starttag(self, tag, attributes):
        self.alts += [dict(attributes)["alt"]] if tag == "img" else []


def test_the_page_gets_the_pixels_of_both_sides(frame):
    widget = shown(frame, left=7.5, right=1.0)
    content, buffers = asked(widget, "pair", n=2)
    row = widget.value.iloc[2]
    assert (
        content["names"] == ["guidance_scale 7.5", "guidance_scale 1"]
        and ["seed", str(row.seed)] in content["shared"]
    )
    assert [colour(data) for data in buffers] == [
        Image.open(p).getpixel((5, 5)) for p in (row.left_path, row.right_path)
    ]


def test_a_blind_page_learns_nothing_before_the_names_are_asked_for(frame):
    widget = shown(frame, blind=True)
    for n in range(6):
        content, buffers = asked(widget, "pair", n=n)
        asked(widget, "vote", n=n, vote="left")
        assert not any(word in json.dumps(widget.sent[-1][0]) for word in TELLING)
        assert not any(word in json.dumps(content) for word in TELLING) and content["names"] == [
            "",
            "",
        ]
        assert all(
            Image.open(io.BytesIO(data)).info == {} and b"tEXt" not in data and b"iTXt" not in data
            for data in buffers
        )
    state = {
        name: value
        for name, value in widget.get_state().items()
        if name not in ("_esm", "_css", "by")
    }
    assert not any(key in json.dumps(state, default=str) for key in (*frame.key, "guidance_scale"))
    assert state["choices"] == state["tally"] == state["unlike"] == [] and "code" not in state
    told = asked(widget, "code")[0]
    assert told["kind"] == "error" and not any(word in told["text"] for word in TELLING)
    assert widget.value.vote.isna().all()
    with pytest.raises(ValueError, match="counts tell who is who"):
        widget.counts()


def test_labels_are_told_when_the_names_are(frame):
    number = frame.seed.map("number {}".format)
    known = frame.seed.map(lambda seed: "left only" if seed > 2 else "right only")
    labelled = frame.assign(prompt="a cat, " + number, known_to=known, subject=number)
    labelled.attrs[LABELS] = ["known_to", "subject"]
    told = lambda blind: shown(labelled, blind=blind)
    names = lambda widget: [name for name, _ in asked(widget, "pair", n=0)[0]["shared"]]
    assert "known_to" in names(told(False)) and "only" in told(False).static()
    hidden = told(True)
    assert sorted(names(hidden)) == ["prompt", "seed"] and "only" not in hidden.static()
    assert "known_to" not in str(hidden.sent)
    hidden.reveal()
    assert "known_to" in names(hidden)


def test_who_does_not_see_a_blind_pair_hears_what_was_found_and_not_whose_it_is(frame):
    found = [f"{scale:g} at {seed}" for scale, seed in zip(frame.guidance_scale, frame.seed)]
    frame = frame.assign(objects_found=found, objects_right=True, watermark_found="sd-v1")
    blind, open_ = (shown(frame, blind=blind) for blind in (True, False))
    for n in range(6):
        content, buffers = asked(blind, "pair", n=n)
        for data, seen in zip(buffers, content["seen"]):
            (row,) = frame[
                [Image.open(p).getpixel((5, 5)) == colour(data) for p in frame.path]
            ].itertuples()
            assert seen == f"a program found {row.objects_found}"
    assert "watermark_found sd-v1" in asked(open_, "pair", n=0)[0]["seen"][0]


def test_what_is_known_of_one_side_only_is_not_said_in_a_blind_vote(frame):
    found = frame.guidance_scale.map({1.0: "cat", 4.0: None, 7.5: ""})
    frame = frame.assign(objects_found=found, objects_background="green")
    seen = lambda left, right: asked(shown(frame, blind=True, left=left, right=right), "pair", n=0)[
        0
    ]["seen"]
    assert seen(1.0, 4.0) == ["background green", "background green"]
    assert sorted(seen(1.0, 7.5)) == [
        "a program found cat, background green",
        "a program found nothing that it knows, background green",
    ]


def test_pictures_of_the_embedded_models_are_described_though_nothing_was_measured(frame):
    for n, path in enumerate(frame.path):
        draw_scene(["cat", "dog"][n % 2]).save(path)
    for blind in (True, False):
        widget = shown(frame, blind=blind)
        content, buffers = asked(widget, "pair", n=0)
        assert content["seen"] is None  # the pictures do not wait for their description
        pictures = [np.asarray(Image.open(io.BytesIO(data))) for data in buffers]
        cats = [np.array_equal(p, draw_scene("cat")) for p in pictures]
        names = ["cat" if cat else "dog" for cat in cats]
        seen = asked(widget, "seen", n=0)[0]["seen"]
        assert seen == [f"a program found {name}, background green" for name in names]
    other = shown(frame.assign(model="a-model-of-others"), blind=True)
    assert asked(other, "pair", n=0)[0]["seen"] == ["", ""]


def test_blind_sides_are_those_of_the_pictures_sent(frame):
    widget, sent = shown(frame, blind=True), []
    for n in range(6):
        pictures = [colour(data) for data in asked(widget, "pair", n=n)[1]]
        sent.append(pictures)
    widget.reveal()
    found = {
        Image.open(row.path).getpixel((5, 5)): f"guidance_scale {row.guidance_scale:g}"
        for row in frame.itertuples()
    }
    for n, pictures in enumerate(sent):
        content, buffers = asked(widget, "pair", n=n)
        assert [colour(data) for data in buffers] == pictures
        assert content["names"] == [found[picture] for picture in pictures]


def test_a_blind_vote_is_stored_by_the_true_keys(frame):
    widget = shown(frame, blind=True)
    key_of_colour = {Image.open(row.path).getpixel((5, 5)): row.key for row in frame.itertuples()}
    preferred = []
    for n in range(6):
        left, _ = asked(widget, "pair", n=n)[1]
        asked(widget, "vote", n=n, vote="left")
        preferred.append(key_of_colour[colour(left)])
    votes = widget._votes.keeper.votes()
    assert (
        list(np.where(votes.vote == "left", votes.left, votes.right)) == preferred
        and votes.blind.all()
    )
    assert set(votes.vote) == {"left", "right"}  # chance has swapped some, not all
    assert set(zip(votes.left, votes.right)) == set(
        zip(widget.value.left_key, widget.value.right_key)
    )


def test_a_blind_vote_taken_back_in_the_widget_leaves_an_earlier_open_one(frame):
    asked(shown(frame), "vote", n=0, vote="left")
    widget = shown(frame, blind=True)
    place = widget._ballot.order.index(0)
    for vote in ("tie", "both bad"):
        asked(widget, "vote", n=place, vote=vote)
    for vote in ("tie", ""):
        asked(widget, "undo", n=place)
        assert widget.voted[place] == vote
    assert shown(frame).voted[0] == "left"
    assert widget._votes.keeper.votes()[["vote", "blind"]].values.tolist() == [["left", False]]


def test_whatever_is_said_in_turn_the_widget_and_the_store_agree():
    lines = [("left", False), ("right", True), (None, False), (None, True), ("tie", True)]
    for said in itertools.permutations(lines, 4):
        votes = Votes(opinions := MemoryOpinions())
        for vote, blind in said:
            opinions.vote("a", "b", vote, blind=blind)
            votes._note(("a", "b"), vote, blind)
            kept = opinions.votes()[["vote", "blind"]].itertuples(index=False, name=None)
            assert list(filter(None, [votes.of(("a", "b"))])) == list(kept), said


def test_the_same_seed_shuffles_alike_and_another_does_not():
    def ballot(seed):
        made = Ballot([(f"l{i}", f"r{i}") for i in range(400)], Votes(MemoryOpinions()), True, seed)
        return made.order, made.swapped

    assert ballot(3) == ballot(3) != ballot(4)
    order, swapped = ballot(3)
    assert (
        sorted(order) == list(range(400)) != order and abs(sum(swapped) - 200) < 50
    )  # 5 standard deviations


def test_all_raters_have_the_same_pairs_first_on_sides_of_their_own():
    pairs = [(f"l{i:02}", f"r{i:02}") for i in range(40)]

    def deal(rater, ids):
        ballot = Ballot(ids, Votes(MemoryOpinions(), rater), True, 0)
        return [ids[n] for n in ballot.order], [ballot.swapped[n] for n in ballot.order]

    (ann, ann_sides), (bob, bob_sides) = deal("ann", pairs), deal("bob", pairs)
    turned, _ = deal("", [ids[::-1] for ids in pairs[::-1]])  # another frame of the same pairs
    assert ann == bob == [ids[::-1] for ids in turned] and ann != pairs
    assert ann_sides != bob_sides and 10 < sum(ann_sides) < 30


def test_blind_votes_given_in_another_order_count_and_the_vote_goes_on_without_them(frame):
    given = shown(frame, blind=True, rater="ann")
    places = [1, 4]  # as if those had come first
    for place in places:
        asked(given, "vote", n=place, vote="left")
    again = shown(frame, blind=True, rater="ann")
    assert again.voted == given.voted and again.at == 0
    asked(again, "vote", n=0, vote="tie")
    assert shown(frame, blind=True, rater="ann").at == 2


def test_votes_are_found_again_also_with_the_sides_exchanged(frame):
    asked(shown(frame), "vote", n=1, vote="left")
    again, exchanged = shown(frame), shown(frame, left=4.0, right=1.0)
    assert again.voted == ["", "left", "", "", "", ""] and exchanged.voted == [
        "",
        "right",
        "",
        "",
        "",
        "",
    ]
    assert (
        again.value.vote.tolist()[1] == "left"
        and not again.value.blind[1]
        and again.value.vote.isna().sum() == 5
    )
    assert asked(again, "pair", n=1)[0]["said"] == "voted: left (guidance_scale 1)"


def test_each_rater_has_votes_of_their_own(frame):
    asked(ann := shown(frame, rater="ann"), "vote", n=0, vote="left")
    asked(shown(frame, rater="bob"), "vote", n=0, vote="tie")
    assert [shown(frame, rater=name).voted[0] for name in ("ann", "bob", "")] == ["left", "tie", ""]
    assert ann._votes.keeper.votes().rater.tolist() == ["ann", "bob"]
    assert "rater='ann'" in ann.code and "rater" not in shown(frame).code


def test_a_vote_heard_while_another_rater_s_pairs_are_laid_out_is_nobody_s(frame, meanwhile):
    """Of one page, a name may be heard on one thread and a vote after it on another."""
    widget = shown(frame, blind=True, rater="ann")
    vote = {"kind": "vote", "id": "v", "n": 0, "deal": widget.deal, "vote": "left"}
    voting = meanwhile(widget, "_count_unnamed", widget._hear, None, vote, [])
    widget.rater = "bob"
    voting.join()
    assert widget._votes.opinions.votes().empty and widget.sent[-1][0]["kind"] == "outdated"


def test_a_vote_under_a_name_that_is_heard_later_is_nobody_s(frame):
    widget = shown(frame, blind=True, rater="ann")
    for kind in ("vote", "undo"):
        said, _ = asked(widget, kind, n=0, vote="left", rater="bob")
        assert said["kind"] == "outdated"
    asked(widget, "reveal", rater="bob")
    assert widget._votes.opinions.votes().empty and widget.secret
    assert asked(widget, "vote", n=0, vote="left", rater=" ann ")[0]["kind"] == "pair"


def test_what_all_have_said_is_not_told_to_who_votes_blind_meanwhile(frame, meanwhile):
    first, second = (shown(frame, blind=True, rater=rater) for rater in ("ann", "bob"))
    for widget in (first, second):
        for n in range(len(widget.voted)):
            asked(widget, "vote", n=n, vote="left")
        asked(widget, "reveal")
    first._share()
    assert first.tally
    changing = meanwhile(compares, "tell_all", setattr, first, "rater", "cleo")
    first._share()
    changing.join()
    assert first.secret and first.tally == [] and first.outcome == ""


def test_a_blind_vote_goes_on_with_the_first_pair_that_has_none(frame):
    first = shown(frame, blind=True)
    for n in (0, 1):
        asked(first, "vote", n=n, vote="both bad")
    first.vote(first._ballot.order[5], "left")  # an open vote is no blind one
    again = shown(frame, blind=True)
    assert again.at == 2 and again.voted[:2] == ["both bad"] * 2 and again.voted.count("") == 4


def test_a_blind_vote_is_changed_and_taken_back_until_the_names_are_known(frame):
    widget = shown(frame, blind=True)
    for vote in ("left", "right"):
        assert asked(widget, "vote", n=0, vote=vote)[0]["said"] == f"voted: {vote}"
    asked(widget, "vote", n=3, vote="tie")
    assert asked(widget, "undo", n=0)[0]["vote"] == widget.voted[0] == "left"
    assert asked(widget, "undo", n=0)[0]["n"] == 0 and widget.voted.count("") == 5
    assert asked(widget, "undo", n=5)[0]["n"] == 3 and widget.voted == [""] * 6  # the last one
    asked(widget, "vote", n=0, vote="both bad")
    history = widget._votes.opinions.votes(history=True)
    assert history.vote.isna().tolist() == [False] * 4 + [True, True, False]
    widget.reveal()
    stays = asked(widget, "vote", n=0, vote="left")[0]
    assert stays["vote"] == asked(widget, "undo", n=0)[0]["vote"] == "both bad"
    assert stays["said"] == "voted blind: both bad; it stays, as you know the names"


def test_a_vote_taken_back_brings_back_the_one_before_it_and_no_message_counts_twice(frame):
    for blind in (True, False):
        widget = shown(frame, blind=blind, rater=str(blind))
        for vote in ("tie", "tie", "left", "right"):
            asked(widget, "vote", n=2, vote=vote)
        undo = {"kind": "undo", "id": "once", "deal": widget.deal, "n": 2}
        for _ in range(2):
            widget._hear(None, undo, [])
        assert widget.voted[2] == "left"
        back = [asked(widget, "undo", n=2)[0] for _ in range(3)]
        assert [(one["vote"], one["undone"]) for one in back] == [
            ("tie", True),
            ("", True),
            ("", False),
        ]
        assert widget.voted == [""] * 6


def test_a_vote_that_a_busy_page_sends_again_takes_no_later_one_back(frame):
    widget = shown(frame, blind=True)
    first, second = (
        {"kind": "vote", "id": vote, "deal": widget.deal, "n": 2, "vote": vote}
        for vote in ("left", "right")
    )
    for question in (first, second, first):
        widget._hear(None, question, [])
    assert widget.voted[2] == widget.sent[-1][0]["vote"] == "right"
    asked(widget, "undo", n=2)
    widget._hear(None, second, [])
    assert widget.voted[2] == widget.sent[-1][0]["vote"] == "left"


def test_looking_in_the_middle_of_a_blind_vote_is_written_down(frame):
    widget = shown(frame, blind=True, rater="ann")
    asked(widget, "vote", n=0, vote="left")
    widget.blind = False
    assert len(widget._votes.opinions.revealed("ann")) == 6
    again = shown(frame, blind=True, rater="ann")
    asked(again, "vote", n=1, vote="left")
    assert not again.secret and sorted(again.value.blind.dropna()) == [False, True]
    assert shown(frame, blind=True, rater="bob").secret  # what ann knows, bob does not


def test_names_seen_before_the_first_vote_are_written_down(frame):
    widget = shown(frame, blind=True, rater="ann")
    widget.blind = False
    widget.blind = True
    asked(widget, "vote", n=0, vote="left")
    assert not widget.secret and widget.value.blind.dropna().tolist() == [False]


def test_a_name_whose_rater_knows_the_names_ends_nobody_elses_vote(frame, tmp_path):
    shown(frame, blind=True, rater="bob").reveal()
    before = Store(tmp_path / "runs").opinions.revealed("bob")
    for rater, votes in (("ann", 1), ("eve", 0), ("", 1)):
        widget = shown(frame, blind=True, rater=rater)
        for n in range(votes):
            asked(widget, "vote", n=n, vote="left")
        widget.rater = "bob"
        assert not widget.secret and "shown here before" not in widget.note
        widget.rater = rater
        assert widget.secret and asked(widget, "pair", n=0)[0]["names"] == ["", ""]
        assert "who is who was shown here before (rater: bob)" in widget.note
        asked(widget, "vote", n=3, vote="left")
        assert not any(word in str(widget.sent[-1][0]) for word in TELLING)
    opinions = Store(tmp_path / "runs").opinions
    kept = opinions.votes()
    assert set(opinions.list_knowing()) == before and kept.blind.all() and len(kept) == 5
    assert {rater for who in opinions.list_knowing().values() for rater in who} == {"bob"}
    assert kept.names_shown.all() and kept.may_change.all()


def test_names_that_were_seen_openly_on_this_page_are_told_to_who_votes_blind_next(frame):
    widget = shown(frame, rater="bob")
    widget.rater = "ann"
    widget.blind = True
    assert widget.secret and "(rater: bob and ann)" in widget.note
    asked(widget, "vote", n=0, vote="tie")
    other = shown(frame, blind=True, rater="carl")
    asked(other, "vote", n=0, vote="tie")
    votes = other._votes.opinions.votes().set_index("rater")
    assert votes.names_shown.to_dict() == {"ann": True, "carl": False}


def test_a_rater_who_only_gives_a_name_ends_nobodys_vote(frame):
    shown(frame, blind=True, rater="bob").reveal()
    widget = shown(frame, blind=True)
    widget.rater = "bob"
    widget.rater = ""
    assert widget.secret
    asked(widget, "vote", n=0, vote="left")
    widget.rater = "carl"  # who knows nothing either
    widget.rater = ""
    assert widget.secret


@pytest.mark.parametrize("asks", [False, True])
def test_votes_without_a_name_are_nobodys_until_a_rater_claims_them(frame, tmp_path, asks):
    widget = shown(frame, blind=True)
    with pytest.raises(ValueError, match="no name to give these votes"):
        widget.take_unnamed()
    for n, vote in enumerate(("left", "tie", "right")):
        asked(widget, "vote", n=n, vote=vote)
    if asks:
        widget.reveal()
    preferred = widget._votes.opinions.votes()[["left", "right", "vote", "blind"]]
    lines = (tmp_path / "runs" / "opinions.jsonl").read_text()
    assert widget.unnamed == 0
    shown(frame, blind=True, rater="ann")._ballot.cast(1, "both bad")  # her own, which stays
    widget.rater = "ann"
    assert widget.unnamed == 2 and widget.voted.count("") == 5 and widget.secret
    deal = widget.deal
    for _ in range(2):  # a message may come twice
        assert asked(widget, "claim", deal=deal)[0]["kind"] == "claimed"
    assert widget.unnamed == 0 and widget.voted.count("") == 3 and "both bad" in widget.voted
    votes = widget._votes.opinions.votes()
    assert sorted(votes.rater) == ["", "ann", "ann", "ann"] and votes.blind.all()
    given = votes[(votes.rater == "ann") & (votes.vote != "both bad")]
    kept = given[["left", "right", "vote", "blind"]].values.tolist()
    assert kept == preferred.iloc[[0, 2]].values.tolist()
    assert given.may_change.tolist() == [not asks] * 2  # whoever asked for the names knows them
    assert (tmp_path / "runs" / "opinions.jsonl").read_text().startswith(lines)  # all is kept
    widget.rater = "bob"
    assert widget.unnamed == 1
    widget.rater = ""
    assert widget.unnamed == 0


def test_an_open_look_at_the_same_pairs_ends_a_blind_vote(frame):
    first, blind = (shown(frame, rater="ann", blind=b) for b in (False, True))
    asked(blind, "vote", n=0, vote="left")
    shown(frame, rater="bob")  # another rater's look
    assert blind._votes.opinions.revealed("ann") == set()
    asked(first, "pair", n=0)  # was open before
    assert len(blind._votes.opinions.revealed("ann")) == 6
    asked(blind, "vote", n=0, vote="right")
    assert blind.voted[0] == "left" and not blind.secret and blind.choices
    asked(blind, "vote", n=1, vote="right")
    assert sorted(blind.value.blind.dropna()) == [False, True]
    other = shown(frame, blind=True, rater="carl")
    asked(other, "vote", n=0, vote="left")
    shown(frame, rater="carl")
    assert len(other._votes.opinions.revealed("carl")) == 6
    asked(other, "undo", n=0)
    assert other.voted[0] == "left"


def test_votes_of_before_that_came_with_their_names_stay_as_they_are(frame):
    widget = shown(frame, blind=True)
    widget._votes.keeper.vote(*widget._ballot.ids[2], "tie", blind=True)
    again = shown(frame, blind=True)
    place = again._ballot.order.index(2)
    asked(again, "vote", n=place, vote="left")
    assert again.voted[place] == "tie" and again.secret


def test_both_sides_of_a_blind_pair_are_of_one_size_which_is_said_before(frame):
    for path in frame.path[frame.guidance_scale == 4]:
        with Image.open(path) as image:
            larger = image.resize((96, 96))
        larger.save(path)
    widget = shown(frame, blind=True)
    assert "in 6 of 6 pairs the two sizes differ (64×64 against 96×96)" in widget.note
    sizes = lambda n: [Image.open(io.BytesIO(d)).size for d in asked(widget, "pair", n=n)[1]]
    assert {size for n in range(6) for size in sizes(n)} == {(64, 64)}
    still = re.findall(r'src="data:image/webp;base64,([^"]+)"', widget.static())
    assert {Image.open(io.BytesIO(base64.b64decode(one))).size for one in still} == {(64, 64)}
    widget.reveal()
    assert sorted(sizes(0)) == [(64, 64), (96, 96)] and "differ" not in widget.note


def test_what_differs_and_the_tally_wait_for_the_reveal(frame):
    frame["dtype"] = frame.guidance_scale.map({1: "float32", 4: "bfloat16", 7.5: "float16"}).astype(
        "string"
    )
    widget = shown(frame, blind=True)
    for n in range(6):
        asked(widget, "vote", n=n, vote="tie")
        assert widget.unlike == [] and widget.tally == [] and widget.choices == []
    asked(widget, "reveal")
    assert widget.unlike == [["dtype", "float32", "bfloat16"]] and "tie: 6" in widget.tally[0]


def test_counts_are_those_of_all_raters_by_what_is_asked(frame):
    for rater, votes in (("ann", ["right"] * 5 + ["left"]), ("bob", ["right", "tie"])):
        widget = shown(frame, rater=rater)
        for n, vote in enumerate(votes):
            widget.vote(n, vote)
    row = widget.counts().iloc[0]
    assert row[["n", "left_wins", "right_wins", "ties", "both_bad"]].tolist() == [8, 1, 6, 1, 0]
    assert row.share == 6 / 7 and row.low < row.share < row.high
    # five pairs for the right side, one for the left: the two votes on the first are one pair
    assert row.over == "pair" and row.p == pytest.approx(binomtest(5, 6).pvalue)
    assert widget.value["vote"].notna().sum() == 2  # those of bob, who is in the field
    by = widget.counts(["rater", "seed"])
    assert by.rater.tolist().count("ann") == 6 and by.n.tolist() == [1] * 8
    widget._share()
    assert widget.raters == ["ann: 6 of 6", "bob: 2 of 6"]
    _, plain, numbers, alike = widget.tally  # of two pairs in common there are no statistics
    told = "All votes together: guidance_scale 4 was preferred more often, 6 times of 7."
    assert plain == f"{told} That is not more than luck alone may bring."
    assert numbers == f"In numbers: {row.verdict}." and "6 of 7 decided votes" in numbers
    assert alike.startswith("ann and bob: the same vote in ") and "interval" not in plain
    assert alike.endswith(" of 2 pairs.") and widget.tally[0].startswith("bob: 2 votes on 6 pairs")
    assert widget.outcome == plain  # is read aloud, the others are not


def test_of_several_raters_the_sum_comes_first_and_few_common_votes_are_summed_up(frame):
    for rater, votes in {"ann": ["left"] * 6, "bob": ["left"] * 6, "cy": ["right"]}.items():
        widget = shown(frame, rater=rater)
        for n, vote in enumerate(votes):
            widget.vote(n, vote)
    widget._share()
    everyone, _, two, numbers, few = widget.tally[3:]
    often = "any two of them gave the same vote 89% of the time"  # 1/3 of one pair, all of five
    assert everyone == f"All raters together: {often}, on 6 pairs."
    assert two == "ann and bob: the same vote in 6 of 6 pairs."
    assert numbers.startswith("In numbers: 95% interval ")
    assert few == "2 pairs of raters have fewer than 5 pairs of pictures in common."
    shown(frame, rater="dee").vote(0, "right")
    widget._share()
    assert len(widget.tally) == 8 and widget.tally[-1].startswith("5 pairs of raters have fewer")


def test_the_plain_line_and_the_numbers_name_one_side_and_no_side_is_a_right_answer(frame):
    for rater, votes in (("ann", ["left"] * 5), ("bob", ["left"] * 5 + ["right"])):
        widget = shown(frame, rater=rater)
        for n, vote in enumerate(votes):
            widget.vote(n, vote)
    evidence = widget.counts().iloc[0]
    widget._share()
    _, plain, numbers, _, more = widget.tally
    assert "guidance_scale 1 was preferred more often, 10 times of 11" in plain
    low, high = f"{1 - evidence.high:.0%}", f"{1 - evidence.low:.0%}"
    said = f"10 of 11 decided votes: 91% (95% interval {low} to {high})"
    assert f"guidance_scale 1 was preferred in {said}" in numbers
    assert evidence.share == pytest.approx(1 / 11)  # that of the right side, as in the table
    assert "every answer is 'guidance_scale 1'" in more and "'left'" not in more
    asked(blind := shown(frame, blind=True, rater="cem"), "vote", n=0, vote="tie")
    assert blind.outcome == "" == shown(frame, rater="dora").outcome
    asked(shown(frame, blind=True, rater="eve"), "vote", n=0, vote="tie")
    widget._share()
    assert any("cem and eve have not yet asked who is who" in line for line in widget.tally)
    (cem := shown(frame, blind=True, rater="cem"))._share()
    told = "has not yet asked who is who: each rater asks under their own name."
    assert cem.waiting == f"eve {told}" and cem.outcome == ""  # while cem votes, too
    cem.reveal()
    assert cem.waiting == f"eve {told}"
    (eve := shown(frame, blind=True, rater="eve")).reveal()
    assert eve.waiting == ""


@pytest.mark.parametrize(
    ("wins", "p", "told"),
    [
        ((0, 0), 1.0, ""),
        ((2, 2), 1.0, "both were preferred equally often, 2 times each."),
        ((3, 2), 1.0, "v1 was preferred more often, 3 times of 5. That is not more than luck"),
        ((1, 9), 0.02, "v2 was preferred more often, 9 times of 10. That is more than luck"),
    ],
)
def test_who_was_preferred_is_told_without_statistics_first(wins, p, told):
    row = {"left": "v1", "right": "v2", "left_wins": wins[0], "right_wins": wins[1], "p": p}
    said = tell_winner(row)
    assert said.startswith(f"All votes together: {told}") if told else said == ""
    votes = ["left"] * wins[0] + ["right"] * wins[1]
    table = pd.DataFrame({"vote": votes, "unit": range(len(votes)), "may_change": False})
    table = table.assign(over="pair", pair=table["unit"])
    lines = describe_count(table, row | {"verdict": "p = 1"})
    assert len(lines) == (2 if told else 1) and lines[-1].endswith("p = 1.")


def test_a_report_shows_the_votes_of_others_while_nobody_has_begun_to_vote(frame):
    def vote(rater, *said):
        widget = shown(frame, blind=True, rater=rater)
        for place, vote in enumerate(said):
            asked(widget, "vote", n=place, vote=vote)
        return widget

    nobody, ann = shown(frame, blind=True), vote("ann", *["left"] * 6)
    assert not nobody.has_ended and nobody.render_for_page() == nobody.static()  # ann still votes
    ann.reveal()
    nobody = shown(frame, blind=True)
    page, still = nobody.render_for_page(), nobody.static()
    assert "A blind vote is under way" in still and "guidance_scale" not in still
    assert nobody.has_ended and "guidance_scale 4" in page and "ann: 6 votes on 6 pairs" in page
    assert "under way" not in page and page.count("—") < still.count("—") == 6
    assert "shown here before" not in page  # that is of a vote to come
    bob = vote("bob", "right", "tie")
    assert nobody.render_for_page() == nobody.static()  # bob's is under way
    bob.reveal()
    page = nobody.render_for_page()
    assert "ann: guidance_scale" in page and "bob: tie" in page and "All votes together" in page
    # the live page stays blind, and nobody is held to have seen the names
    assert nobody.secret and nobody.unlike == [] == nobody.tally == nobody.choices
    assert asked(nobody, "pair", n=0)[0]["names"] == ["", ""]
    assert {*nobody._votes.opinions.list_knowing().popitem()[1]} <= {"ann", "bob"}
    nobody.rater = "cem"  # who begins
    assert not nobody.has_ended and nobody.render_for_page() == nobody.static()
    nobody.rater = ""
    asked(nobody, "vote", n=0, vote="tie")
    assert not nobody.has_ended and nobody.render_for_page() == nobody.static()


def test_votes_on_so_few_prompts_that_none_could_show_anything_say_so(frame):
    few = "with 2 prompts even all votes one way could not show more than luck; 6 prompts could"
    two = pd.concat([frame, frame.assign(prompt="a dog")]).drop(columns="key")
    widget = shown(two.assign(path=[f"{n}.png" for n in range(len(two))]))
    assert f" · {few}" in widget.note  # before the vote
    for n in range(len(widget.value)):
        widget.vote(n, "left")
    widget._share()
    _, plain, numbers = widget.tally
    assert plain.endswith(f"That is not more than luck alone may bring: {few}.")
    assert few not in numbers and numbers.endswith("p = 0.5, which chance alone may do.")
    assert widget.counts().verdict[0].endswith(f"which chance alone may do: {few}")
    assert "could" not in shown(frame).note  # six pairs of one prompt may show something
    few = shown(frame[frame["seed"] < frame["seed"].max()])
    few.vote(0, "left")
    assert (
        few.counts()
        .verdict[0]
        .endswith(
            "with 1 vote even all of them one way could not show more than luck; 6 votes could"
        )
    )


def test_votes_on_one_prompt_that_outvote_all_others_are_told_in_numbers_alone():
    row = {"left": "v1", "right": "v2", "left_wins": 2, "right_wins": 5, "p": 1.0, "verdict": "…"}
    votes, prompts = ["right"] * 5 + ["left"] * 2, [0] * 5 + [1, 2]
    table = pd.DataFrame({"vote": votes, "unit": prompts, "may_change": False})
    table = table.assign(over="prompt", pair=range(7))
    assert describe_count(table, row) == ["All votes together: …."]
    assert len(describe_count(table.assign(unit=range(7)), row)) == 2


def test_counts_are_evidence_that_a_report_argues_with(frame, tmp_path):
    for rater, votes in (("ann", ["right"] * 5 + ["left"]), ("bob", ["right", "tie"])):
        widget = shown(frame, rater=rater)
        for n, vote in enumerate(votes):
            widget.vote(n, vote)
    evidence, votes = widget.counts(), Store(tmp_path / "runs").votes()
    claim = Claim("Raters prefer more guidance", evidence, votes=votes)
    (verdict,) = claim.verdicts
    said = "guidance_scale 4 was preferred in 6 of 7 decided votes: 86%"
    assert verdict.startswith(said) and verdict.endswith("may do (1 of 8 votes for neither side)")
    write_report(tmp_path / "page.html", "Guidance", frame, claims=[claim])
    page = (tmp_path / "page.html").read_text()
    assert said in page and "right: 4" in page
    assert "1 of 6 comparisons goes the other way than “guidance_scale 4 preferred”" in page
    pairs = re.search(r'<div class="pairs">.*?</article>', page, re.S)[0]
    assert "votes for it 1" in pairs and "votes for it 0" in pairs and pairs.count("<img") == 2
    by_rater = Claim("x", widget.counts("rater"), votes=votes)
    write_report(tmp_path / "raters.html", "Guidance", frame, claims=[by_rater])
    assert (
        "Which pairs go against the finding cannot be told"
        in (tmp_path / "raters.html").read_text()
    )
    by_seed = widget.counts("seed")
    assert len(Claim("x", by_seed, votes=votes).verdicts) == 6


def test_votes_of_a_rater_who_still_votes_blind_are_said_to_may_change(frame):
    ann, bob = (shown(frame, blind=True, rater=rater) for rater in ("ann", "bob"))
    for widget in (bob, ann):
        for n in range(6):
            asked(widget, "vote", n=n, vote="left")
    ann.reveal()
    assert "6 of these votes may change: bob has not yet asked who is who." in ann.tally
    assert ann.counts("rater").set_index("rater")["may_change"].to_dict() == {"ann": 0, "bob": 6}
    bob.reveal()
    ann._share()
    assert not any("may change" in line for line in ann.tally)
    assert ann.counts()["may_change"].tolist() == [0]


def test_agreement_in_the_widget_is_over_prompts_as_the_function_has_it(frame, tmp_path):
    frame = frame.assign(prompt=frame["seed"].map(lambda seed: f"cat {seed // 3}"))
    frame = frame.astype({"prompt": "string"})
    for rater, votes in (("ann", "llllrr"), ("bob", "llrrrl")):
        widget = shown(frame, rater=rater)
        for n, vote in enumerate(votes):
            widget.vote(n, {"l": "left", "r": "right"}[vote])
    widget._share()
    (row,) = stats.agreement(Store(tmp_path / "runs").votes(), frame, by="guidance_scale").to_dict(
        "records"
    )
    assert row["prompts"] == 2 and row["n"] == 6
    ends = f"95% interval {row['low']:.0%} to {row['high']:.0%}"
    assert widget.tally[-2].endswith(" in 3 of 6 pairs.")
    assert ends in widget.tally[-1] and f"alpha {row['alpha']:.2f}" in widget.tally[-1]
    assert f"{row['note']}." in widget.tally[-1] and "not told" not in widget.tally[-1]
    alone = stats.agreement(Store(tmp_path / "runs").votes()).to_dict("records")[0]
    assert alone["kappa"] == pytest.approx(row["kappa"]) and alone["low"] != row["low"]


def test_another_rater_has_votes_of_their_own_in_the_same_order(frame):
    widget = shown(frame, blind=True, rater="ann")
    asked(widget, "vote", n=0, vote="left")
    before = widget._ballot.order
    widget.set_state({"rater": " bob "})
    assert widget.rater == "bob" and widget.voted == [""] * 6 and widget._ballot.order == before
    widget.rater = "ann"
    assert widget.voted[0] == "left" and widget._ballot.order == before


def test_an_open_vote_never_takes_the_place_of_a_blind_one(frame):
    blind = shown(frame, blind=True)
    asked(blind, "vote", n=0, vote="left")
    n = blind._ballot.order[0]
    blind.reveal()
    said = blind.value.vote[n]
    other = "right" if said == "left" else "left"
    opened = shown(frame)
    asked(opened, "vote", n=n, vote=other)
    assert opened.value.vote[n] == said and opened.value.blind[n]
    assert len(opened._votes.opinions.votes(history=True)) == 1  # nor is it kept beside it
    with pytest.raises(ValueError, match="voted blind on row"):
        opened.vote(n, other)


def test_a_message_that_comes_twice_counts_once(frame):
    widget = shown(frame)
    for _ in range(2):
        asked(widget, "vote", n=0, vote="right")
    assert widget._votes.keeper.votes().vote.tolist() == ["right"]


def test_questions_about_an_earlier_order_are_not_answered(frame):
    widget = shown(frame)
    before = widget.deal
    widget.blind = True
    for kind in ("pair", "vote", "difference"):
        assert asked(widget, kind, n=0, vote="left", gain=4, deal=before)[0]["kind"] == "outdated"
    assert widget.voted == [""] * 6


def test_other_values_can_be_chosen_and_a_wrong_choice_changes_nothing(frame):
    widget = shown(frame)
    asked(widget, "choose", left=2, right=0)
    assert widget.chosen == [2, 0] and widget._names == ["guidance_scale 7.5", "guidance_scale 1"]
    asked(widget, "choose", left=1, right=1)
    assert (
        widget.sent[-1][0]["kind"] == "error"
        and widget.chosen == [2, 0]
        and "left=7.5, right=1.0" in widget.code
    )


def test_the_difference_is_that_of_the_arrays_as_shown(frame):
    widget = shown(frame, blind=True)
    for n in range(6):
        left, right = (np.array(colour(data), float) for data in asked(widget, "pair", n=n)[1])
        content, (data,) = asked(widget, "difference", n=n, gain=3)
        assert colour(data) == tuple(np.clip(128 + 3 * (right - left), 0, 255))
        assert content["said"] == f"mean change {np.abs(right - left).mean():.1f} of 255"


def test_a_value_is_a_row_a_pair_as_a_merge_makes_them(frame):
    asked(widget := shown(frame), "vote", n=3, vote="both bad")
    sides = (frame[frame.guidance_scale == scale] for scale in (1, 4))
    merged = pd.merge(*sides, on="seed", suffixes=("_left", "_right")).set_index("seed")
    value = widget.value.set_index("seed").loc[merged.index]
    assert (
        value.left_key.tolist() == merged.key_left.tolist()
        and value.right_key.tolist() == merged.key_right.tolist()
    )
    assert widget.value.vote.value_counts().to_dict() == {"both bad": 1}


def test_pictures_in_no_store_can_be_voted_on_as_long_as_the_widget_lives(frame):
    own = frame[["prompt", "seed", "guidance_scale", "path"]]
    widget = shown(own)
    widget.vote(2, "right")
    assert (
        widget.voted[2] == "right"
        and widget.value.vote[2] == "right"
        and shown(own).voted == [""] * 6
    )
    assert "Store" not in widget.code


def test_the_static_picture_tells_who_is_who_only_after_the_reveal(frame):
    widget = shown(frame, blind=True)
    for n in range(6):
        page = Texts(widget.static())
        assert not any(word in text for text in (*page.texts, *page.alts) for word in TELLING)
        asked(widget, "vote", n=n, vote="left")
    widget.reveal()
    page = Texts(widget.static())
    assert (
        page.texts[:4] == ["pair", "guidance_scale 1", "guidance_scale 4", "vote"]
        and len(page.alts) == 12
    )
    assert (
        page.texts.count("guidance_scale 1") + page.texts.count("guidance_scale 4") == 8
    )  # six votes and the heads


def test_a_missing_picture_is_named_but_not_in_a_blind_vote(frame):
    for path in frame.path:
        open(path, "wb").close()
    for blind in (False, True):
        widget = shown(frame, blind=blind)
        content, buffers = asked(widget, "pair", n=0)
        assert buffers == [b"", b""] and (".png" in content["lacking"][0]) != blind
        assert asked(widget, "difference", n=0, gain=4)[0]["kind"] == "error" and ".png" not in str(
            widget.sent[-1]
        )


def test_a_job_is_waited_for(frame):
    class Finished(Job):
        def __init__(self):
            pass

        def result(self):
            return frame

    assert len(Compare(Finished(), "guidance_scale").value) == 6


def test_the_code_names_both_sides_and_the_way_of_voting(frame):
    widget = shown(frame, blind=True, seed=5, gain=8)
    last = ast.parse(widget.code).body[-1].value
    given = {word.arg: ast.literal_eval(word.value) for word in last.keywords}
    assert given == {
        "by": "guidance_scale",
        "left": 1.0,
        "right": 4.0,
        "blind": True,
        "seed": 5,
        "gain": 8.0,
    }
    widget.blind = False
    assert "blind" not in widget.code


@pytest.mark.parametrize("elsewhere", [False, True])
def test_the_code_gives_the_same_pairs(random_v1, tmp_path, monkeypatch, elsewhere):
    base = Request(model=str(random_v1), prompt="a cat", num_inference_steps=1, height=64, width=64)
    results = run(
        sweep(base, guidance_scale=[1.0, 4.0], seed=range(2)),
        Store(tmp_path / "mine"),
        progress=False,
    )
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other" if elsewhere else tmp_path)
    widget = Compare(results, "guidance_scale", left=4.0, right=1.0, blind=True, seed=3)
    widget.vote(1, "tie")
    *lines, last = ast.parse(
        widget.code.replace("Store('runs/mine')", f"Store({str(tmp_path / 'mine')!r})")
    ).body
    scope = {}
    exec(compile(ast.Module(lines, []), "code", "exec"), scope)
    again = eval(ast.unparse(last), scope)
    paths = ["left_path", "right_path"]
    pd.testing.assert_frame_equal(again.value.drop(columns=paths), widget.value.drop(columns=paths))
    assert again._ballot.order == widget._ballot.order and len(again.value) == 2
    sdlab.models.pipeline.unload()


def test_the_code_of_pictures_in_no_store_pairs_the_readers_own_frame(frame):
    own = frame[["prompt", "seed", "guidance_scale", "path"]]
    scope, widget = {"results": own}, shown(own, left=7.5, right=4.0)
    *lines, last = ast.parse(widget.code).body
    exec(compile(ast.Module(lines, []), "code", "exec"), scope)
    pd.testing.assert_frame_equal(eval(ast.unparse(last), scope).value, widget.value)


def test_a_blind_vote_is_on_two_whole_pictures_unless_a_way_was_chosen(frame):
    begun, later, chosen = shown(frame, blind=True), shown(frame), shown(frame)
    assert (begun.mode, later.mode) == ("side by side", "swipe")
    later.set_state({"blind": True})
    assert later.mode == "side by side"
    for mode in ("blink", "swipe"):
        chosen.set_state({"mode": mode})
    chosen.set_state({"blind": True})
    assert chosen.mode == "swipe"


@pytest.mark.parametrize("by", [["seed"], ("seed", "prompt"), None, 3])
def test_by_is_the_name_of_one_column(frame, by):
    with pytest.raises(TypeError, match="not the name of one column"):
        Compare(frame, by)


def test_wrong_arguments_are_errors_that_say_so(frame):
    for given, said in (
        (dict(by="guidance_scal"), "did you mean 'guidance_scale'"),
        (dict(by="guidance_scale", left=2), "has 1, 4, 7.5"),
    ):
        with pytest.raises(ValueError, match=said):
            Compare(frame, **given)
    with pytest.raises(TypeError, match="mode"):
        Compare(frame, mode="blink")


def test_a_still_has_the_votes_of_all_raters_where_none_is_blind(frame):
    for rater, vote in (("ann", "left"), ("bob", "tie")):
        widget = shown(frame, rater=rater)
        asked(widget, "vote", n=0, vote=vote)
    left = widget.counts()["left"].iloc[0]
    assert f"ann: {left}; bob: tie" in widget.static()
    blind = shown(frame.assign(seed=frame.seed), blind=True, rater="carl")
    words = re.sub(r"base64,[^\"]+", "", blind.static())  # a picture may have any three letters
    assert "ann" not in words and "bob" not in words


def test_who_has_voted_in_a_store_is_offered_as_a_name(frame):
    asked(shown(frame, rater="ann"), "vote", n=0, vote="tie")
    asked(shown(frame), "vote", n=1, vote="tie")
    assert shown(frame, rater="bob").known == ["ann"]
