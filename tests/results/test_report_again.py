"""The code in a report repeats what the report says, and never replaces the report."""

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from test_report import MODELS, figure, plan, report, results

import sdlab
from sdlab.results.again import read_table
from sdlab.results.stats import (
    Claim,
    agreement,
    paired,
    plot,
    preference,
    ranking,
    rate,
    yield_curve,
)
from sdlab.widgets import Compare, Judge

PROMPTS = [f"a cat {i}" for i in range(8)]


@pytest.fixture
def frame(tmp_path):
    """Two models over eight prompts, with a column that no code makes."""
    out = results(
        tmp_path, [c.but(**MODELS[c.model]) for c in plan(prompt=PROMPTS, model=[*MODELS])]
    )
    right = (out["model"] == "tiny-v2") ^ out["prompt"].isin(PROMPTS[:2])
    return out.assign(right=right, page=range(len(out)))


@pytest.fixture
def votes(frame):
    """Of two raters, who differ in the last two pairs; one of them has no name."""
    keys = frame["key"].tolist()
    rows = [
        {"left": a, "right": b, "vote": "left" if n > 5 and rater else "right", "rater": rater}
        for rater in ("Ann", "")
        for n, (a, b) in enumerate(zip(keys[::2], keys[1::2]))
    ]
    return pd.DataFrame(rows).assign(blind=True)


def execute(page, frame, folder, monkeypatch):
    """What the report's code leaves, run in a folder with nothing but the report."""
    bare, names = frame.drop(columns=["right", "page"], errors="ignore"), {"__name__": "__main__"}
    (folder / "alone").mkdir()
    monkeypatch.chdir(folder / "alone")
    (folder / "alone" / "report.html").write_text(page.source)
    monkeypatch.setattr(sdlab, "run", lambda plan, store, **given: bare, raising=False)
    exec(page.pre("code"), names)
    return names


def claims_of(page):
    return re.findall(r'<article class="claim">.*?</article>', page.source, re.S)


def test_the_code_writes_beside_the_report_it_stands_in(tmp_path, frame, monkeypatch):
    page = report(tmp_path, frame)
    names = execute(page, frame, tmp_path, monkeypatch)
    assert (tmp_path / "alone/report.html").read_text() == page.source
    assert (tmp_path / "alone/report-again.html").is_file() and len(names["results"]) == 16
    (tmp_path / "out/report-again.html").touch()
    assert "write_report('report-again-2.html'," in report(tmp_path, frame).pre("code")


def test_the_code_makes_the_same_claims_from_the_report_alone(tmp_path, frame, votes, monkeypatch):
    both = frame.iloc[:8]
    frame.attrs["noted"] = "by run"
    claims = [
        Claim("v2 is 'right'", paired(frame, "right", better=None)),
        Claim("a share", rate(frame, "right", by="model")[1:]),
        Claim("of half", rate(both, "right", confidence=0.9), frame=both),
        Claim("the best", yield_curve(frame, "right", by=["model"])),
        Claim("liked", ranking(votes, frame), votes=votes),
        Claim("they agree", agreement(votes, frame), votes=votes),
        Claim("preferred", preference(votes, frame), votes=votes),
        Claim("by prompt", preference(votes, frame, each="prompt", confidence=0.9), votes=votes),
    ]
    page = report(tmp_path, frame, claims=claims, text="Why\n\nwe look.")
    names = execute(page, frame, tmp_path, monkeypatch)
    for own, again in zip(claims, names["claims"], strict=True):
        pd.testing.assert_frame_equal(own.evidence, again.evidence, check_dtype=False)
        assert (own.text, own.verdicts, own.judged) == (again.text, again.verdicts, again.judged)
    assert names["results"].attrs == {"noted": "by run"}
    again = type(page)(tmp_path / "alone" / "report-again.html")
    assert claims_of(again) == claims_of(page) and "we look." in again.text


def test_the_code_counts_what_a_comparison_counted(tmp_path, monkeypatch):
    """`Compare.counts` reads the store; the code has the votes, and which of them may change."""
    cells = [c.but(**MODELS[c.model]) for c in plan(prompt=PROMPTS, model=[*MODELS])]
    store = sdlab.Store(tmp_path / "runs")
    for cell in cells:
        store.save(sdlab.recipe.request.Recipe(**cell.to_dict()), Image.new("RGB", (64, 64)), {})
    frame = store.frame()
    compare, pairs = Compare(frame, by="model", rater="Ann"), sdlab.pair(frame, "model").frame
    for n in range(8):
        compare.vote(n, "right" if n else "both bad")
    store.vote(*pairs.loc[0, ["right_key", "left_key"]], "left", blind=True, sealed=True)
    counts = compare.counts()
    assert counts[["left_wins", "right_wins", "both_bad", "may_change"]].values.tolist() == [
        [0, 8, 1, 1]
    ]
    claims = [Claim("liked", counts, votes=store.votes())]
    page = report(tmp_path, frame, (plot(counts, title="Votes"), "Liked"), claims=claims)
    assert "left out" not in page.pre("code") and "not in this code" not in page.pre("code")
    names = execute(page, frame, tmp_path, monkeypatch)
    pd.testing.assert_frame_equal(names["claims"][0].evidence, counts, check_dtype=False)
    again = type(page)(tmp_path / "alone" / "report-again.html")
    figures = [re.findall(r"<figure>.*?</figure>", each.source, re.S) for each in (page, again)]
    assert claims_of(again) == claims_of(page) and figures[0] == figures[1]
    other = plot(rate(frame.assign(good=True), "good"))
    assert "not in this code is 1 figure" in report(tmp_path, frame, other).pre("code")


def test_the_code_of_a_claim_without_votes_reads_those_of_the_store(tmp_path, monkeypatch):
    cells = [c.but(**MODELS[c.model]) for c in plan(prompt=PROMPTS, model=[*MODELS])]
    store = sdlab.Store(tmp_path / "runs")
    for cell in cells:
        store.save(sdlab.recipe.request.Recipe(**cell.to_dict()), Image.new("RGB", (64, 64)), {})
    frame = store.frame()
    for rater in ("Ann", "Bob"):
        compare = Compare(frame, by="model", rater=rater)
        for n in range(8):
            compare.vote(n, "right" if n else "left")
        for n, key in enumerate(frame["key"]):
            asked = dict(question="A cat?", rater=rater, blind=True, seconds=1.0, repeat=0)
            store.answer(key, "yes" if n % 3 else "no", **asked)
    old = compare.counts()
    evidence = [compare.counts("rater"), ranking(store.votes(), frame)]
    evidence += [agreement(store.votes(), frame), agreement(store.answers())]
    claims = [Claim(f"claim {n}", each) for n, each in enumerate(evidence)]
    with pytest.warns(UserWarning, match="claim 'claim 0': The votes .* are not in this file"):
        page = report(tmp_path, frame, claims=claims)
    code, said = (
        page.pre("code"),
        "only where the pictures' store has them. Claim(..., votes=) puts",
    )
    assert page.text.count(said) == 4
    untold = "cannot be told: the votes are not in this report; Claim(..., votes=) puts them here."
    assert page.text.count(untold) == 1 and "no pair of these rows" not in page.text
    assert "Ann" not in code and "left out" not in code and "Claim(..., votes=)" in code
    with pytest.warns(UserWarning) as caught:  # there is no such store here
        names = execute(page, frame, tmp_path, monkeypatch)
    said = [str(each.message) for each in caught]
    lost = [text for text in said if "alone/runs/runs does not exist" in text]  # the store says it
    assert [text.split()[-1] for text in lost] == ["votes", "answers"]
    assert names["claims"] == [] and [text for text in said if text not in lost] == [
        "runs/runs has no votes here, so these claims are not made: 'claim 0', 'claim 1', 'claim 2'",
        "runs/runs has no answers here, so these claims are not made: 'claim 3'",
    ]
    shutil.copytree(tmp_path / "runs", tmp_path / "alone" / "runs" / "runs")
    exec(code, names)
    for own, again in zip(claims, names["claims"], strict=True):
        pd.testing.assert_frame_equal(own.evidence, again.evidence, check_dtype=False)
    store.vote(*compare.value.loc[0, ["left_key", "right_key"]], "tie", rater="Ann")
    stale = report(tmp_path, frame, claims=[Claim("once", old)]).pre("code")
    assert "those of the store give another one by now; give them as Claim(" in stale
    assert "store_votes" not in stale


@pytest.fixture
def judged(tmp_path):
    """Finished pictures of two models, and what two raters said of them, some twice."""
    cells = [c.but(**MODELS[c.model]) for c in plan(prompt=PROMPTS, model=[*MODELS])]
    store = sdlab.Store(tmp_path / "runs")
    for cell in cells:
        store.save(sdlab.recipe.request.Recipe(**cell.to_dict()), Image.new("RGB", (64, 64)), {})
    frame = store.frame()
    for question in ("Is it a dog?", "Is it a cat?"):
        for rater in ("Ann", "Bob"):
            judge = Judge(frame, question, rater=rater, repeats=0.2)
            while judge.done < judge.total:
                judge.say("no" if judge.done % (2 + len(rater + question) % 5) else "yes")
            judge.unblind()
    return frame, store.answers(), judge.value


def test_the_code_repeats_claims_on_judged_pictures(tmp_path, judged, monkeypatch):
    """What is counted there is no column of the pictures, but of what people said of them."""
    frame, answers, value = judged
    once = value.query("repeat == 0")
    scored = frame.assign(found=[n % 3 == 0 for n in range(len(frame))])
    shares = rate(once, "yes", by="model")
    claims = [
        Claim("of these", shares, votes=value),
        Claim("of all", shares, votes=answers),
        Claim("of those looked at", shares, frame=once, votes=once),
        Claim("by rater", rate(value, "yes", by=["rater", "model"])[1:], votes=answers),
        Claim("agree", agreement(value, scored, scorer="found"), votes=value),
        Claim("agree, of the store's", agreement(answers, scored, scorer="found"), votes=answers),
    ]
    page = report(tmp_path, scored, claims=claims)
    code = page.pre("code")
    assert "left out" not in code and "does not make this claim again" not in page.text
    assert "join_answers(votes2, results).query(" in code
    names = execute(page, frame, tmp_path, monkeypatch)
    for own, again in zip(claims, names["claims"], strict=True):
        pd.testing.assert_frame_equal(own.evidence, again.evidence, check_dtype=False)
    again = type(page)(tmp_path / "alone" / "report-again.html")
    assert claims_of(again) == claims_of(page) and "Over 8 prompts a row" not in page.text
    assert page.text.count("Over 8 prompts, 1 seed. Judged by") == 4


def test_a_claim_that_is_not_made_again_says_so_in_the_page_and_in_a_warning(tmp_path, judged):
    frame, _, value = judged
    counted = value.assign(both=value["yes"] & (value["seed"] >= 0))
    claim = Claim("both", rate(counted, "both", by="model"))
    with pytest.warns(UserWarning, match="claim 'both': The code below does not") as caught:
        page = report(tmp_path, frame, claims=[claim])
    assert len(caught) == 1 and Path(caught[0].filename).parent == Path(__file__).parent
    said = "does not make this claim again: the report's frame has no column 'both'; report a"
    assert said in claims_of(page)[0].replace("&#39;", "'")
    assert "frame has no column 'both'" in page.pre("code")


def test_the_code_measures_what_the_report_shows(tmp_path, monkeypatch):
    path = tmp_path / "red.png"
    Image.new("RGB", (64, 64), "red").save(path)
    scored = sdlab.measure(results(tmp_path, plan(seed=range(2))).assign(path=str(path)), "pixels")
    page = report(tmp_path, scored, claims=[Claim("x", rate(scored.assign(o=True), "o"))])
    bare = scored[[name for name in scored if not name.startswith("pixels")]]
    found = execute(page, bare, tmp_path, monkeypatch)["results"]
    pd.testing.assert_frame_equal(found, scored)
    assert "read_table" not in page.pre("code")


def test_the_code_draws_grids_of_the_reports_pictures(tmp_path, frame, monkeypatch):
    grids = [sdlab.image_grid(frame, row="prompt", col="model", max_rows=4), "A text."]
    other = sdlab.image_grid(frame.assign(page=0, key="f")[:2], col="model")
    page = report(tmp_path, frame, (grids[0], "All"), grids[1], other)
    execute(page, frame, tmp_path, monkeypatch)
    again = type(page)(tmp_path / "alone" / "report-again.html")
    figures = re.findall(r"<figure>.*?</figure>", page.source, re.S)
    assert len(figures) == 3 and "not in this code is 1 figure" in page.pre("code")
    assert re.findall(r"<figure>.*?</figure>", again.source, re.S) == figures[:2]


def test_what_the_code_cannot_say_is_a_comment_at_its_place(tmp_path, frame, votes, monkeypatch):
    other = frame.assign(right=True)
    compare = Compare(frame, by="model")
    compare.vote(0, "left")
    claims = [
        Claim("of other\nrows", rate(frame[:4], "right")),
        Claim("of strangers", rate(other, "right"), frame=other.assign(key="f")),
        Claim("by hand", pd.DataFrame({"verdict": ["so it is"]})),
        Claim("no votes", ranking(votes, frame)),
        Claim("changed", rate(frame, "right").assign(share=1.0)),
        Claim("counted", compare.counts()),
        Claim("kept", rate(frame, "right")),
    ]
    page = report(
        tmp_path, frame, figure(), "A text.", claims=claims, notebook=write_note(tmp_path)
    )
    lines = [line for line in page.pre("code").split("\n") if re.match(" *# (left|not)", line)]
    for line, said in zip(
        lines, ("of other\\nrows", "of strangers", "by hand", "no votes", "changed", "counted")
    ):
        assert f"# left out: '{said}'" in line
    for line in (lines[3], lines[5]):
        assert "the raters' votes are not in this file; give them as Claim(..., votes=" in line
    assert "1 figure:" in lines[6] and "notebook='n.ipynb'" in lines[7] and len(lines) == 8
    names = execute(page, frame, tmp_path, monkeypatch)
    assert [claim.text for claim in names["claims"]] == ["kept"]
    assert "A text." in (tmp_path / "alone/report-again.html").read_text()


def write_note(folder):
    (folder / "n.ipynb").write_text('{"cells": []}')
    return folder / "n.ipynb"


def test_votes_and_own_columns_are_carried_as_tables(tmp_path, frame, votes):
    votes = votes.assign(left_path="/home/alice/runs/a.png", answer=[f"0{n}" for n in range(16)])
    votes = votes.assign(rater="Ann")
    claim = Claim("liked", ranking(votes, frame), votes=votes)
    page = report(tmp_path, frame, claims=[claim, claim])
    found = read_table(tmp_path / "out/report.html", "report-votes.csv")
    expected = votes.assign(left_path="a.png")
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)
    own = read_table(tmp_path / "out/report.html", "report.csv")
    assert own["key"].tolist() == frame["key"].tolist() and "alice" not in page.source
    assert own["right"].tolist() == frame["right"].tolist()
    assert page.text.count("All 16 answers of people") == 1
    with pytest.raises(ValueError, match="carries no such table; it has 'report-votes.csv', 'rep"):
        read_table(tmp_path / "out/report.html", "votes.csv")
