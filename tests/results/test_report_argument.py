"""A report argues: claims with their verdicts, what goes against them, and whether all comes out again."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from test_report import MODELS, NASTY, figure, ids, plan, report, results

from sdlab import pair, write_report
from sdlab.results.answers import join_answers
from sdlab.results.argument import count_prompts, show_unlike
from sdlab.results.rated import find_rated, list_otherwise, name_finding, show_unlike_pictures
from sdlab.results.report import show_frame
from sdlab.results.stats import Claim, agreement, paired, plot, ranking, rate, yield_curve

PROMPTS = [f"a cat {i}" for i in range(12)]


@pytest.fixture
def frame(tmp_path):
    """Two models over twelve prompts; the second is right in all but two, the first in those two."""
    cells = [c.but(**MODELS[c.model]) for c in plan(prompt=PROMPTS, model=list(MODELS))]
    out = results(tmp_path, cells)
    against = out["prompt"].isin(PROMPTS[:2])
    return out.assign(right=(out["model"] == "tiny-v2") ^ against)


def test_a_claim_has_its_verdict_its_numbers_and_what_goes_against_it(tmp_path, frame):
    evidence = paired(frame, "right")
    page = report(tmp_path, frame, claims=[Claim("v2 is right more often", evidence)])
    assert page.text.index("v2 is right more often") < page.text.index("Held constant")
    (verdict,) = evidence["verdict"]
    assert (
        f"{verdict} (n = 12, tiny-v2 less tiny-v1 +0.67, 95% interval +" in page.text
        and "Over 12 prompts, 1 seed." in page.text
    )
    against = "2 of 12 comparisons go the other way than “tiny-v2 higher in right”: the"
    assert f"What goes against the finding {against}" in " ".join(page.text.split())
    assert "Not held constant" in page.text and "training data" in page.text
    assert "left: tiny-v1" in page.text and "right: tiny-v2" in page.text
    pairs = re.search(r'<div class="pairs">.*?</article>', page.source, re.S)[0]
    assert pairs.count("<img") == 4 and pairs.count("<span>tiny-v1: right True</span>") == 2
    assert "prompt a cat 0" in pairs and "prompt a cat 1" in pairs and "cat 2" not in pairs


def test_what_is_alike_on_both_sides_is_not_called_unlike(frame):
    pairing = pair(frame, "model")
    both = pd.DataFrame([["seeds", "1", "1"], ["size", "64", "96"]], columns=["what", "a", "b"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(pairing), "differences", both)
        assert show_unlike(pairing).rows == [["size", "64", "96"]]


def test_votes_are_not_counted_as_prompts(frame):
    assert count_prompts(paired(frame, "right")) == [12]
    votes = pd.DataFrame({"n": [160], "over": ["prompt"], "share": [0.5]})  # as Compare counts
    assert count_prompts(votes) == []
    untold = pd.DataFrame({"prompts": pd.array([None, 8], "Int64")})  # as agreement has it
    assert count_prompts(untold) == [8]


def test_who_judged_and_how_blind_is_said(tmp_path, frame):
    answers = pd.DataFrame(
        {"rater": ["Ann", "Ann", ""], "question": "Is it?", "blind": [True, True, False]}
    )
    claim = Claim("They are right", rate(frame, "right", by="model"), votes=answers)
    text = report(tmp_path, frame, claims=[claim]).text
    assert "Judged by Ann (2 answers) and somebody (1 answer), asked “Is it?”; 2 of 3" in text
    assert "tiny-v1: 17%, 2 of 12" in text


def test_a_pair_goes_against_the_difference_of_its_own_group_alone(tmp_path, frame):
    """Of "odd" one side is right in both pairs that go against all of "even"."""
    frame = frame.assign(half=["odd" if p in PROMPTS[:2] else "even" for p in frame["prompt"]])
    text = report(tmp_path, frame, claims=[Claim("x", paired(frame, "right", each="half"))]).text
    assert (
        "Of 12 comparisons none goes against “odd: tiny-v1 higher in right; even: tiny-v2" in text
    )
    both = paired(frame.assign(nice=frame["right"]), ["right", "nice"])
    text = report(tmp_path, frame.assign(nice=frame["right"]), claims=[Claim("x", both)]).text
    assert (
        "4 of 24 comparisons go the other way than “tiny-v2 higher in right; tiny-v2 higher in"
        in text
    )


def test_the_farthest_are_only_spoken_of_where_some_are_farther(tmp_path, frame):
    odd = frame["prompt"].isin(PROMPTS[:7])
    right = [3.0 * ((m == "tiny-v2") ^ o) for m, o in zip(frame["model"], ~odd)]
    few = frame.assign(right=right)
    few["right"] = few["right"].where(odd | (few["right"] == 0), 90.0)
    text = report(tmp_path, few, claims=[Claim("x", paired(few, "right"))]).text
    assert "7 of 12 comparisons go" in text and "; 6 of them are shown: the reader" in text
    first = (few["prompt"] == PROMPTS[0]) & (few["right"] > 0)
    few["right"] = few["right"].mask(first, 4.0)
    text = report(tmp_path, few, claims=[Claim("x", paired(few, "right"))]).text
    assert "; the 6 farthest are shown: the reader may see why." in text


def test_what_goes_against_a_finding_is_told_by_it_whatever_the_claim_says(tmp_path, frame):
    """The pairs that are shown speak for a claim whose text is refuted: they must not look so."""
    page = report(tmp_path, frame, claims=[Claim("v1 is right more often", paired(frame, "right"))])
    assert "the other way than “tiny-v2 higher in right”" in page.text
    assert "speaks against it" not in page.text
    many = frame.assign(pair=[f"pair {p}" for p in frame["prompt"]])
    evidence = paired(many, "right", each="pair")
    text = report(tmp_path, many, claims=[Claim("x", evidence)]).text
    assert "Of 12 comparisons none goes against the finding of their own row." in text


def test_a_claim_says_what_its_column_means(tmp_path, frame):
    """That things are there is not taken for that they stand as the prompt says."""
    claim = Claim("v2 is right", rate(frame.assign(objects_right=True), "objects_right"))
    page = report(tmp_path, frame.assign(objects_right=True), claims=[claim])
    assert "left of, right of, above and below are objects_relation's" in page.text


def show_against(page):
    """What a page says against its claims, and the HTML of the pictures that it shows there."""
    pictures = re.search(r'<div class="pairs">.*?</article>', page.source, re.S)
    return " ".join(page.text.split()), pictures[0] if pictures else ""


def test_a_claim_from_a_rate_shows_what_came_out_otherwise_and_what_was_not_held_constant(
    tmp_path, frame
):
    early = frame["prompt"].isin(PROMPTS[:6])
    frame = frame.assign(guidance_scale=[1.0 if each else 7.5 for each in early])
    claim = Claim("v2 is right", rate(frame, "right", by="model"))
    text, pictures = show_against(report(tmp_path, frame, claims=[claim]))
    finding = "tiny-v1: right less often true than not; tiny-v2: right more often true than not"
    said = f"4 of 24 pictures came out otherwise than “{finding}”: the reader may see why."
    assert f"What goes against the finding {said}" in text
    assert pictures.count("<img") == pictures.count('class="single"') == 4
    for words in ("tiny-v1: right True", "tiny-v2: right False"):
        assert pictures.count(f"<span>{words}</span>") == 2
    assert "prompt a cat 0" in pictures and "prompt a cat 1" in pictures
    told = show_unlike_pictures(find_rated(claim, frame)[0])
    rows = {name: cells for name, *cells in told.rows}
    assert list(told.head) == ["what", "tiny-v1", "tiny-v2"] and "training data" in rows
    assert rows["guidance_scale"] == ["1, 7.5"] * 2
    assert {"prompt", "seed", "model", "weights"}.isdisjoint(rows)
    second = frame[(frame["model"] == "tiny-v2") & ~early]
    page = report(tmp_path, frame, claims=[Claim("x", rate(second, "right"), frame=second)])
    text, pictures = show_against(page)
    assert "Of 6 pictures none came out otherwise than “right more often true than not”." in text
    assert "All else that is recorded was held constant." in text and "<img" not in pictures


def test_where_a_share_says_neither_or_its_pictures_are_not_there_none_goes_against_it(
    tmp_path, frame
):
    claims = [Claim("x", rate(frame, "right")), Claim("y", rate(frame, "right", by="model"))]
    text, _ = show_against(report(tmp_path, frame, claims=claims[:1]))
    assert "The share says neither, so there is no direction to go against." in text
    text, _ = show_against(report(tmp_path, frame[:5], claims=claims[1:]))
    assert "cannot be told: these rows have 3 pictures where the evidence is of 12;" in text
    lost = frame.drop(columns="right")
    text, _ = show_against(report(tmp_path, lost, claims=claims[1:]))
    assert "cannot be told: these rows have no column right; Claim(..., frame=)" in text
    assert name_finding({"share": 0.4, "guessing": 0.25}, "right") == (
        "right more often true than guessing gives",
        True,
    )


def test_the_samples_of_groups_that_differ_are_told_and_raters_of_a_picture_count_once(frame):
    later = frame.assign(seed=[7 if model == "tiny-v2" else 3 for model in frame["model"]])
    rated, _ = find_rated(Claim("x", rate(later, "right", by="model")), later)
    rows = {name: cells for name, *cells in show_unlike_pictures(rated).rows}
    assert rows["seed"] == ["3", "7"] and "prompt" not in rows
    keys = frame["key"][:4].tolist()
    said = [("Ann", keys, "yes no no yes"), ("Bob", keys, "yes no no no")]
    answers = pd.DataFrame(
        [(who, key, each) for who, keys, all_ in said for key, each in zip(keys, all_.split())],
        columns=["rater", "key", "answer"],
    )
    evidence = rate(join_answers(answers, frame).query("key != @keys[0]"), "yes")
    rest = Claim("x", evidence, votes=answers[answers["key"] != keys[0]])
    rated, _ = find_rated(rest, frame)
    assert rated.findings == ["yes less often true than not"] and rated.found == []
    every = Claim("x", rate(join_answers(answers, frame), "yes"), votes=answers)
    rated, _ = find_rated(every, frame)
    ((_, [(_, path, value)]),) = list_otherwise(rated)
    assert path == frame["path"][0] and value == "yes True"


def test_where_the_difference_is_nothing_there_is_no_direction(tmp_path, frame):
    odd = frame["prompt"].isin(PROMPTS[::2])
    frame = frame.assign(even=(frame["model"] == "tiny-v2") ^ odd)
    text = report(tmp_path, frame, claims=[Claim("x", paired(frame, "even"))]).text
    assert "The difference of all is 0, so there is no direction to go against." in text
    text = report(tmp_path, frame, claims=[Claim("x", paired(frame, ["even", "right"]))]).text
    assert "2 of 12 comparisons go" in text and "is 0, in 12 more, there is no direction." in text


def test_it_is_said_why_pairs_cannot_be_shown(tmp_path, frame):
    evidence = paired(frame, "right")
    twice = pd.concat([frame, frame[:1]], ignore_index=True)
    text = report(tmp_path, twice, claims=[Claim("x", evidence)]).text
    assert (
        "Which pairs go against the finding cannot be told: two images with model='tiny-v1'" in text
    )
    text = report(tmp_path, frame.drop(columns="right"), claims=[Claim("x", evidence)]).text
    assert "cannot be told: these rows have no column right." in text
    lost = frame.assign(right=pd.NA)
    text = report(tmp_path, lost, claims=[Claim("x", evidence)]).text
    assert "cannot be told: no pair of these rows has the values" in text


def test_the_sample_is_that_of_the_evidence_not_of_the_report(tmp_path, frame):
    known = frame["prompt"].isin(PROMPTS[:5])
    some = frame.assign(right=frame["right"].where(known))
    for evidence in (rate(some, "right", by="model"), paired(some, "right")):
        assert (
            "Over 5 prompts, 1 seed." in report(tmp_path, some, claims=[Claim("x", evidence)]).text
        )
    first = rate(some.assign(p=some["prompt"]), "right", by="p")[:2]
    page = report(tmp_path, some.assign(p=some["prompt"]), claims=[Claim("x", first)])
    assert "Over 1 prompt a row, 1 seed." in page.text
    both = paired(frame.assign(seed=frame["prompt"].isin(PROMPTS[:6]).astype(int)), "right")
    assert (
        "Over 12 prompts, 2 seeds."
        in report(
            tmp_path,
            frame.assign(seed=frame["prompt"].isin(PROMPTS[:6]).astype(int)),
            claims=[Claim("x", both)],
        ).text
    )
    bare = pd.DataFrame({"verdict": ["so it is"]})
    assert "Over " not in report(tmp_path, some, claims=[Claim("x", bare)]).text


def test_every_statistic_is_said_in_a_sentence_with_its_own_confidence(frame):
    (said,) = Claim("x", rate(frame, "right", confidence=0.9)).verdicts
    assert said.startswith("50%, 12 of 24 (90% interval ")
    empty = rate(
        frame.assign(right=frame["right"].where(frame["model"] == "tiny-v1")), "right", by="model"
    )
    assert Claim("x", empty).verdicts[1] == "tiny-v2: no picture was judged"
    curve = yield_curve(frame.assign(prompt="a"), "right", by="model", k=3, confidence=0.8)
    _, second = Claim("x", curve).verdicts
    best, low, high = curve.iloc[-1][["best", "low", "high"]]
    assert second == (
        f"tiny-v2: the best of 3 is worth {best:.3g} (80% interval {low:.3g} to {high:.3g}), over"
        " 12 pictures of 1 prompt"
    )
    answers = pd.DataFrame(
        [(r, str(k), "yes" if k % 3 else "no") for r in ("Ann", "Bob") for k in range(9)],
        columns=["rater", "key", "answer"],
    )
    every = agreement(answers, confidence=0.9)
    assert "100% alike over 9 pictures (90% interval " in Claim("x", every).verdicts[0]
    assert "alpha 1.00" in Claim("x", every).verdicts[0]
    labels = plot(rate(frame, "right", confidence=0.9)).axes[0].get_xlabel()
    assert labels == "share, with 90% interval"


def test_fitted_strengths_are_rounded_as_other_measured_numbers_are():
    votes = pd.DataFrame(
        {"left": ["a"] * 9, "right": ["b"] * 9, "vote": ["left"] * 7 + ["right"] * 2}
    )
    table = show_frame(ranking(votes), "Evidence")
    for name, value in zip(table.head[2:9], table.rows[0][2:9]):
        assert len(value.text) <= 7, name
    [[_, cell]] = show_frame(pd.DataFrame({"strength": [0.12345678]}), "Recipes").rows
    assert cell.text == "0.12345678"  # of a request it is what was set


def test_whether_judges_were_blind_is_not_made_up(frame):
    evidence = rate(frame, "right")
    answers = pd.DataFrame({"rater": ["Ann", "Bob"], "blind": [True, None]})
    bare = Claim("x", evidence, votes=answers[["rater"]]).judged
    assert bare.endswith("Bob (1 answer); whether blind was not recorded.")
    half = Claim("x", evidence, votes=answers).judged
    assert "1 of 2 without knowing" in half and "of 1 whether blind was not recorded" in half
    with pytest.raises(ValueError, match=r"no column 'rater'.*Judge\(...\).value"):
        Claim("x", evidence, votes=frame)


def test_what_is_no_claim_is_refused(tmp_path, frame):
    evidence = rate(frame, "right")
    with pytest.raises(TypeError, match="claim 0 is 'v2'; give sdlab.stats.Claim"):
        report(tmp_path, frame, claims=["v2"])
    with pytest.raises(ValueError, match="text=' '"):
        Claim(" ", evidence)
    with pytest.raises(TypeError, match="evidence is float"):
        Claim("x", 0.5)
    with pytest.raises(ValueError, match="no row"):
        Claim("x", evidence[:0])
    marked = frame.assign(verdict=None)  # as a store's frame, whose marks have that name, too
    for pictures in (frame, marked, marked[:1]):
        with pytest.raises(ValueError, match="pictures?, which say nothing .* as frame="):
            Claim("x", pictures)
    table = pd.DataFrame({"model": ["a", "b"], "mean": [1, 2]})
    with pytest.raises(ValueError, match="2 rows that are no finding of sdlab.stats; give what"):
        Claim("x", table)
    Claim("x", table[:1])
    Claim("x", table.assign(verdict="so it is"))


def test_the_contents_lead_to_every_section(tmp_path, frame):
    page = report(tmp_path, frame, figure(), claims=[Claim("x", rate(frame, "right"))])
    sections = re.findall(r'<section id="([\w-]+)"><h2>([\w ]+)</h2>', page.source)
    links = re.findall(r'<a href="#([\w-]+)">([\w ]+)</a>', page.source)
    assert links == sections and len(links) > 7 and {place for place, _ in links} <= ids(page)


def test_licences_papers_and_a_notebooks_prose_are_there(tmp_path, frame):
    cells = [
        {"cell_type": "markdown", "source": ["# Why\n", "\n", "Because *it* matters.\n"]},
        {"cell_type": "code", "source": ["secret = 1"]},
        {"cell_type": "markdown", "source": f"{NASTY}"},
    ]
    (tmp_path / "n.ipynb").write_text(json.dumps({"cells": cells}))
    page = report(tmp_path, frame, notebook=tmp_path / "n.ipynb")
    assert "Why" in page.text and "Because *it* matters." in page.text and NASTY in page.text
    assert "secret = 1" not in page.text
    assert "Apache-2.0; trained on pictures of Noto Color Emoji" in page.text
    assert "arXiv 2112.10752" in page.text and "arXiv 2010.02502" in page.text
    with pytest.raises(ValueError, match="is no notebook"):
        report(tmp_path, frame, notebook=frame["path"][0])


def test_the_rest_of_many_cells_is_in_a_gallery_beside_it(tmp_path):
    frame = results(tmp_path, plan(seed=range(201)))
    page = report(tmp_path, frame)
    assert len(page.every("img")) == 200
    assert {"href": "report-gallery/index.html"} in page.every("a")
    assert (tmp_path / "out/report-gallery/index.html").is_file()


def test_hostile_text_in_every_field_stays_text(tmp_path):
    """10,000 of them, made of what ends a tag, an attribute, a comment or a script."""
    chance = np.random.default_rng(0)
    parts = np.array(["<", ">", '"', "'", "&", "</script>", "<!--", "-->", "]]>", "{{", "{%", "\0"])
    parts = [*parts, "javascript:", "onload=", "\u2028", "\ud800", "<img src=x onerror=y>", "`"]
    texts = ["".join(chance.choice(parts, 6)) for _ in range(10_000)]
    frame = results(tmp_path, plan(seed=range(200)))
    for k, name in enumerate(("prompt", "negative_prompt", "error", "device", "machine", "label")):
        frame[name] = [text.replace("\ud800", "") for text in texts[k * 200 : (k + 1) * 200]]
    table = pd.DataFrame({"text": texts[2000:2200], texts[0]: texts[2200:2400]})
    claim = Claim(texts[1], pd.DataFrame({texts[2]: texts[3:5], "verdict": texts[5:7], "n": 3}))
    page = report(tmp_path, frame, table, *texts[2400:], text=texts[7], claims=[claim])
    own = {
        tag for tag, _ in report(tmp_path, results(tmp_path, plan()), table, claims=[claim]).tags
    }
    assert {tag for tag, _ in page.tags} <= own | {"span"}
    assert all(not name.startswith("on") for _, given in page.tags for name in given)
    assert "<script" not in page.source and "{{" in page.text


def test_of_a_thousand_cells_only_the_pictures_that_are_shown_are_opened(tmp_path, monkeypatch):
    frame = results(tmp_path, plan(seed=range(1000)))
    opened, real = [], Image.open
    monkeypatch.setattr(
        Image, "open", lambda *given, **more: opened.append(1) or real(*given, **more)
    )
    write_report(tmp_path / "r.html", "Many", frame, gallery=False)
    assert 100 < len(opened) <= 200
