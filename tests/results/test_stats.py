"""Statistics of shares, pairs, yields and votes: against SciPy, counting, and simulation."""

import itertools
import math
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from scipy import stats as reference
from scipy.optimize import brentq

from sdlab import SCORERS, image_grid, pair, stats
from sdlab.results.argument import describe_columns, name_sides
from sdlab.results.meanings import MEANINGS, explain_column
from sdlab.results.stats import resampling
from sdlab.results.stats.charts import COLORS
from sdlab.results.stats.circles import compute_misfit, describe_circles
from sdlab.results.stats.claims import note_sample
from sdlab.results.stats.paired import adjust_holm, compare_ranks, compare_signs
from sdlab.results.stats.preferences import write_preference
from sdlab.results.stats.rankings import pool_votes
from sdlab.results.stats.resampling import bootstrap_mean


def make_frame(hits, by="model", names=("v1", "v2"), **more):
    """A frame of hits[arm][prompt][seed]."""
    rows = [
        {by: name, "prompt": f"prompt {i}", "seed": seed, "key": f"{name} {i} {seed}", "good": good}
        for name, arm in zip(names, hits)
        for i, prompt in enumerate(arm)
        for seed, good in enumerate(prompt)
    ]
    return pd.DataFrame(rows).assign(path="a.png", **more)


# Shares


@pytest.mark.parametrize("hits, n", [(0, 4), (1, 16), (8, 16), (16, 16), (7, 300)])
def test_a_share_of_single_pictures_has_scipys_wilson_interval(hits, n):
    frame = pd.DataFrame(
        {"prompt": [f"p{i}" for i in range(n)], "good": [i < hits for i in range(n)]}
    )
    row = stats.rate(frame, "good").iloc[0]
    ends = reference.binomtest(hits, n).proportion_ci(method="wilson")
    assert (row.low, row.high) == pytest.approx(tuple(ends), abs=1e-12)
    assert (row.share, row.hits, row.n, row.prompts, row.missing) == (hits / n, hits, n, n, 0)


def test_seeds_of_one_prompt_that_agree_count_as_one_picture_together():
    """Eight prompts that are always or never right say as much with four seeds as with one."""
    four = make_frame([[[i % 2] * 4 for i in range(8)]])
    one = make_frame([[[i % 2] for i in range(8)]])
    wide, narrow = (stats.rate(frame, "good").iloc[0] for frame in (four, one))
    assert (wide.low, wide.high) == pytest.approx((narrow.low, narrow.high), abs=0.03)
    assert wide.high - wide.low > 1.5 * np.diff(reference.binomtest(16, 32).proportion_ci())[0]


@pytest.mark.parametrize("prompts, seeds", [(8, 8), (8, 4), (16, 4), (8, 2), (4, 16)])
@pytest.mark.parametrize("spread", [True, False])
def test_a_further_success_never_lowers_the_interval(prompts, seeds, spread):
    """Failures stand in as many prompts as they can, or in as few."""
    n, ends = prompts * seeds, []
    for k in range(7 * n // 8, n + 1):
        hits = (np.arange(n) < k).reshape((seeds, prompts) if spread else (prompts, seeds))
        frame = make_frame([hits.T if spread else hits])
        row = stats.rate(frame, "good").iloc[0]
        other = stats.rate(frame.assign(good=~frame["good"]), "good").iloc[0]
        assert (other.low, other.high) == pytest.approx((1 - row.high, 1 - row.low))
        ends.append((row.low, row.high))
    assert (np.diff(ends, axis=0) >= -1e-12).all()
    bounds = [reference.binomtest(m, m).proportion_ci(method="wilson").low for m in (prompts, n)]
    assert bounds[0] < ends[-1][0] < bounds[1]  # more than one picture a prompt, less than all


def test_an_interval_is_computed_again_from_the_formula_in_the_help():
    hits = [[1, 1, 0, 1], [0, 0], [1, 1, 1], [1], [0, 1, 0, 0, 1]]
    row = stats.rate(make_frame([hits]), "good").iloc[0]
    n, m, p = 15, 5, 9 / 15
    b = sum(len(each) ** 2 for each in hits) / n
    v = m / (m - 1) * sum((sum(each) - p * len(each)) ** 2 for each in hits) / n**2
    rho = min(max((v * n / (p * (1 - p)) - 1) / (b - 1), 0), 1)
    r = max(rho, (12 * 0.5 + n * p * (1 - p) * rho) / (12 + n * p * (1 - p)))
    size = min(max(n / (1 + (b - 1) * r), m), n)
    assert (row.low, row.high) == pytest.approx(stats.share_interval(p * size, size))
    said = " ".join(stats.rate.__doc__.split())
    assert "r = max(rho, (12 * 0.5 + n p (1 - p) rho) / (12 + n p (1 - p)))" in said


def test_missing_values_are_counted_apart_and_groups_keep_their_order():
    frame = make_frame([[[1], [0]], [[1], [1]]], names=("z", "a"))
    frame["good"] = frame["good"].astype("boolean")
    frame.loc[0, "good"] = pd.NA
    out = stats.rate(frame, "good", by="model")
    assert list(out["model"]) == ["z", "a"] and list(out["missing"]) == [1, 0]
    assert list(out["n"]) == [1, 2] and list(out["share"]) == [0, 1]


def test_a_group_without_any_value_has_no_share():
    frame = make_frame([[[1]], [[1]]])
    frame["good"] = pd.array([pd.NA, True], "boolean")
    out = stats.rate(frame, "good", by="model")
    assert math.isnan(out["share"][0]) and math.isnan(out["low"][0]) and out["n"][0] == 0


@pytest.mark.parametrize("prompts", [8, 16, 64])
@pytest.mark.parametrize("seeds", [1, 4])
def test_the_intervals_of_shares_cover_as_often_as_they_say(prompts, seeds):
    """Prompts of unequal difficulty: an intraclass correlation of .2."""
    rng, covered, truths = np.random.default_rng(3), [], (0.1, 0.2, 0.35, 0.5, 0.7)
    for truth in truths:
        for _ in range(120):
            hard = rng.beta(truth * 4, (1 - truth) * 4, prompts)
            hits = rng.random((prompts, seeds)) < hard[:, None]
            frame = pd.DataFrame({"prompt": np.repeat(range(prompts), seeds), "good": hits.ravel()})
            row = stats.rate(frame, "good").iloc[0]
            covered.append(row.low <= truth <= row.high)
    error = 2 * math.sqrt(0.05 * 0.95 / len(covered))  # of the simulation
    assert abs(np.mean(covered) - 0.95) <= 0.02 + error


@pytest.mark.parametrize(
    "column, words", [("rating", "good=frame"), ("godo", "did you mean 'good'")]
)
def test_what_is_no_share_is_refused_with_what_to_do(column, words):
    frame = make_frame([[[1]]]).assign(rating=4)
    with pytest.raises(ValueError, match=words):
        stats.rate(frame, column)
    with pytest.raises(TypeError, match="frame"):
        stats.rate([1, 2], "good")


def test_the_arms_of_a_probe_share_their_wordings_as_the_sample():
    frame = make_frame([[[1], [0], [1]]] * 4, names=("v1", "v1b", "v2", "v2b")).assign(
        model=["v1"] * 6 + ["v2"] * 6, arm=(["x"] * 3 + ["y"] * 3) * 2, probe="p"
    )
    frame["wording"], frame["prompt"] = frame["prompt"], frame["prompt"] + frame["arm"]
    frame["path"] = frame.pop("path")  # labels stand before it
    assert list(stats.rate(frame, "good", by="model")["prompts"]) == [3, 3]
    row = stats.paired(frame, "good").iloc[0]
    assert (row.n, row.over) == (3, "wording") and "3 wordings" in row.verdict
    bare = frame.assign(wording=None)
    assert list(stats.rate(bare, "good", by="model")["prompts"]) == [6, 6]


def test_arms_that_are_far_apart_are_told_beside_a_comparison_too():
    frame = make_frame([[[1]] * 9, [[0]] * 9] * 2, names=("v1", "v1b", "v2", "v2b"))
    frame = frame.assign(
        model=["v1"] * 18 + ["v2"] * 18, arm=(["x"] * 9 + ["y"] * 9) * 2, wording=frame["prompt"]
    )
    frame["prompt"] += frame["arm"]
    said = stats.paired(frame, "good")["verdict"][0]
    both = stats.rate(frame, "good", by="model")["verdict"]
    assert said.count("its arms differ, 0% (y) to 100% (x): see them by 'arm'") == 2
    assert f"; v1: {both[0]}; v2: {both[1]}" in said
    assert "arms differ" not in " ".join(stats.paired(frame, "good", each="arm")["verdict"])


STATISTICS = [stats.rate, stats.paired, stats.yield_curve]


@pytest.mark.parametrize("confidence", [95, 0, 1, -0.5, math.nan, "95 %"])
@pytest.mark.parametrize("ask", STATISTICS)
def test_a_confidence_that_is_no_share_is_refused(ask, confidence):
    frame = make_frame([[[1, 0], [0, 1]]] * 2)
    with pytest.raises(ValueError, match="a share between 0 and 1, such as 0.95"):
        ask(frame, "good", confidence=confidence)
    votes = pd.DataFrame({"left": ["a"], "right": ["b"], "vote": ["left"], "rater": ["me"]})
    for other in (stats.ranking, stats.agreement):
        with pytest.raises(ValueError, match="a share between 0 and 1"):
            other(votes, confidence=confidence)


@pytest.mark.parametrize("texts", [("yes", "no"), ("True", "False"), ("1", "0")])
@pytest.mark.parametrize("ask", STATISTICS)
def test_texts_for_yes_and_no_are_refused_with_what_to_do(ask, texts):
    frame = make_frame([[[1, 0], [0, 1]]] * 2).replace({"good": dict(zip((1, 0), texts))})
    with pytest.raises(ValueError, match=f"text '{texts[0]}'.*frame\\['good'\\] =="):
        ask(frame, "good")


DATES = pd.to_datetime(["2026-01-01", "2026-01-02"] * 4)


@pytest.mark.parametrize(
    "good, words",
    [
        ([math.inf, *[0.5] * 7], "good has inf: statistics need"),
        (DATES, "good has Timestamp"),
        (DATES - DATES[0], "good has Timedelta"),
        (np.arange(8) * 1j, "good has .*j"),
        ([[1]] * 8, r"good has \[1\]: statistics need"),
    ],
)
@pytest.mark.parametrize("ask", STATISTICS)
def test_what_is_no_finite_number_is_refused(ask, good, words):
    frame = make_frame([[[1, 0], [0, 1]]] * 2)
    with pytest.raises(ValueError, match=words):
        ask(frame.assign(good=good), "good")


@pytest.mark.parametrize("ask", STATISTICS)
def test_pictures_and_columns_that_stand_there_twice_are_refused(ask):
    frame = make_frame([[[1, 0], [0, 1]]] * 2)
    with pytest.raises(ValueError, match=r"[48] rows .* again.*drop_duplicates\('key'\)"):
        ask(pd.concat([frame, frame]), "good")
    ask(pd.concat([frame, frame.assign(attack="jpeg")]), "good")  # another row of one picture
    ask(pd.concat([frame.drop(columns="key")] * 2), "good")
    with pytest.raises(ValueError, match="several columns 'good'"):
        ask(pd.concat([frame, frame[["good"]]], axis=1), "good")


@pytest.mark.parametrize("ask", STATISTICS)
def test_a_picture_in_two_stores_is_refused_and_counted_apart_by_what_differs(ask):
    """Rendered again elsewhere, its file and machine differ, and its score may."""
    frame = make_frame([[[1, 0], [0, 1]]] * 2).assign(dtype="float32")
    other = frame.assign(path="b/a.png", seconds=2.5, dtype="float16", good=1 - frame["good"])
    with pytest.raises(ValueError, match=r"[48] rows .* again.*drop_duplicates\('key'\)"):
        ask(pd.concat([frame, other]), "good")
    ask(pd.concat([frame, other.assign(good=None)]), "good")  # that has no picture
    ask(pd.concat([frame, other]), "good", by="dtype")


@pytest.mark.parametrize(
    "kind", ["int8", "float32", "object", "boolean", "Int64", "category", bool]
)
def test_yes_and_no_are_counted_alike_in_any_type(kind):
    frame = make_frame([[[1, 0], [0, 1]], [[1, 1], [0, 1]]])
    other = frame.assign(good=frame["good"].astype(kind), model=frame["model"].astype("category"))
    for ask in (stats.rate, stats.paired, stats.yield_curve):
        found, wanted = (ask(each, "good") for each in (other, frame))
        pd.testing.assert_frame_equal(found, wanted, check_dtype=False)


# Pairs


def test_a_column_that_some_probes_lack_is_compared_where_it_is():
    frame = make_frame([[[1], [0], [1], [1]], [[1], [1], [1], [0]]])
    frame["probe"] = np.where(frame["prompt"].isin(["prompt 0", "prompt 1"]), "a", "b")
    frame["other"] = frame["good"].where(frame["probe"] == "a")
    out = stats.paired(frame, ["good", "other"], each="probe")
    assert list(zip(out["probe"], out["column"])) == [("a", "good"), ("a", "other"), ("b", "good")]
    with pytest.raises(ValueError, match="no row has a value"):
        stats.paired(frame.assign(good=None), "good")
    with pytest.raises(ValueError, match="other: v2 has no value"):
        stats.paired(frame.assign(other=frame["good"].where(frame["model"] == "v1")), "other")


def test_one_picture_a_prompt_is_tested_by_mcnemar():
    left = [[i < 10] for i in range(24)]
    right = [[i < 9 or i > 16] for i in range(24)]  # one lost, seven won
    row = stats.paired(make_frame([left, right]), "good").iloc[0]
    assert row.test == "McNemar" and (row.left_wins, row.right_wins, row.ties) == (1, 7, 16)
    assert row.p == pytest.approx(reference.binomtest(1, 8).pvalue)
    assert row.difference == pytest.approx(6 / 24) and row.low < 6 / 24 < row.high


def test_several_seeds_a_prompt_are_one_value_tested_by_all_sign_changes():
    rng = np.random.default_rng(0)
    arms = [rng.normal(size=(9, 3)), rng.normal(0.6, size=(9, 3))]
    row = stats.paired(make_frame(arms), "good").iloc[0]
    change = arms[1].mean(1) - arms[0].mean(1)
    assert row.test == "Wilcoxon" and row.n == 9 and row.over == "prompt"
    assert row.p == pytest.approx(reference.wilcoxon(change, method="exact").pvalue)


def test_one_prompt_that_differs_shows_nothing():
    """Each of its two signs is as likely where neither side is better."""
    left, right = [[False, False]] * 6, [[False, False]] * 5 + [[True, False]]
    row = stats.paired(make_frame([left, right]), "good").iloc[0]
    assert row.test == "Wilcoxon" and row.p == 1 and row.n == 6
    assert row.right_wins == 1 and row.ties == 5


def test_the_verdict_names_the_better_side_or_how_many_prompts_it_would_take():
    sure = [[[False]] * 30, [[True]] * 30]
    assert stats.paired(make_frame(sure), "good")["verdict"][0] == "v2 better"
    assert stats.paired(make_frame(sure), "good", better="lower")["verdict"][0] == "v1 better"
    assert stats.paired(make_frame(sure), "good", better=None)["verdict"][0] == "v2 higher"
    turned = stats.paired(make_frame(sure), "good", left="v2", right="v1")
    assert turned["verdict"][0] == "v2 better" and turned["difference"][0] == -1
    few = [[[i < 8] for i in range(24)], [[i < 10] for i in range(24)]]
    row = stats.paired(make_frame(few), "good").iloc[0]
    change = np.array([0] * 22 + [1, 1])
    z = reference.norm.ppf(0.975) + reference.norm.ppf(0.8)
    assert row.needed == math.ceil((z * change.std(ddof=1) / change.mean()) ** 2)
    assert (
        row.verdict == f"no difference that 24 prompts could show; about {row.needed} prompts would"
    )
    none = stats.paired(make_frame([few[0], few[0]]), "good").iloc[0]
    assert none.verdict == "no difference seen in 24 prompts" and pd.isna(none.needed)
    assert none.low < 0 < none.high  # an empty interval would say that we know


def test_the_number_of_prompts_that_would_show_it_does_in_four_of_five_samples():
    rng = np.random.default_rng(5)
    first = np.concatenate([np.ones(40), -np.ones(14), np.zeros(146)])  # of 200 prompts
    left = [[v < 0] for v in first]
    needed = stats.paired(make_frame([left, [[v > 0] for v in first]]), "good")["needed"][0]
    found = [compare_signs(rng.choice(first, size=int(needed))) <= 0.05 for _ in range(2000)]
    assert 0.7 <= np.mean(found) <= 0.87  # McNemar's exact test is a little strict


def test_one_prompt_is_compared_over_its_seeds_and_the_verdict_says_so():
    frame = make_frame([[[0] * 12], [[1] * 12]], by="guidance_scale", names=(1.0, 8.0), model="m")
    row = stats.paired(frame, "good", by="guidance_scale").iloc[0]
    assert (row.over, row.n, row.verdict) == ("seed", 12, "guidance_scale 8 better for this prompt")


def make_negatives(prompts, negatives, hits=(0.9, 0.5), seeds=3):
    """Two models over prompts, each with all negative prompts; the second's chance is less."""
    rng = np.random.default_rng(3)
    every = itertools.product(("v1", "v2"), prompts, negatives, range(seeds))
    frame = pd.DataFrame(every, columns=["model", "prompt", "negative_prompt", "seed"])
    chance = frame["model"].map(dict(zip(("v1", "v2"), hits)))
    keys = [f"k{i}" for i in range(len(frame))]
    return frame.assign(path="a.png", key=keys, good=rng.random(len(frame)) < chance)


def test_negative_prompts_are_averaged_within_their_prompt():
    """As a setting's values are: more of them are no more prompts."""
    frame = make_negatives([f"p{i}" for i in range(8)], ["", "blue"])
    row = stats.paired(frame, "good").iloc[0]
    means = frame.groupby(["model", "prompt"])["good"].mean()
    change = (means["v2"] - means["v1"]).to_numpy()
    assert (row.n, row.over) == (8, "prompt")
    assert row.p == pytest.approx(reference.wilcoxon(change, method="exact").pvalue)
    scales = frame.rename(columns={"negative_prompt": "guidance_scale"})
    scales["guidance_scale"] = scales["guidance_scale"].map({"": 4.0, "blue": 8.0})
    pd.testing.assert_frame_equal(stats.paired(scales, "good"), stats.paired(frame, "good"))
    assert stats.rate(frame, "good", by="model")["prompts"].tolist() == [8, 8]
    assert stats.yield_curve(frame, "good", by="model")["prompts"].tolist() == [8] * 6


def test_negative_prompts_that_one_side_lacks_are_told_as_any_setting():
    frame = make_negatives(["p", "q"], ["", "blue"])
    lacking = frame.query("model == 'v1' or negative_prompt == ''")
    with pytest.raises(ValueError, match="negative_prompt differs between the sides"):
        stats.paired(lacking, "good")


def test_negative_prompts_are_sides_if_they_are_compared():
    frame = make_negatives([f"p{i}" for i in range(8)], ["", "blue"], seeds=1)
    row = stats.paired(frame, "good", by="negative_prompt").iloc[0]
    assert (row.n, row.over) == (8, "prompt")
    labelled = frame.assign(no=frame["negative_prompt"], what=frame["prompt"])
    labelled.attrs["sdlab labels"] = ["no", "what"]
    again = stats.paired(labelled, "good", by="no").iloc[0]
    assert again.drop("verdict").equals(row.drop("verdict"))


def test_a_choice_in_the_negative_prompt_makes_no_more_prompts_of_those_in_the_prompt():
    frame = make_negatives([f"{a} {b}" for a in ("cat", "dog") for b in "xyz"], ["", "blue"])
    frame["animal"], frame["place"] = frame["prompt"].str[:3], frame["prompt"].str[4:]
    frame = frame.assign(no=frame["negative_prompt"]).query("model == 'v1'")
    frame.attrs["sdlab labels"] = ["animal", "place", "no"]
    row = stats.paired(frame, "good", by="animal").iloc[0]
    assert (row.n, row.over) == (3, "prompt")


@pytest.mark.parametrize(
    "by, over", [("animal", "prompt"), ("arm", "wording"), ("model", "prompt")]
)
def test_votes_are_tested_over_what_paired_counts(by, over):
    """Three wordings, or places, with twelve votes each, that all go one way: one chance in four."""
    frame = make_negatives([f"{a} {b}" for a in ("cat", "dog") for b in "xyz"], ["", "blue"])
    frame["animal"], frame["place"] = frame["prompt"].str[:3], frame["prompt"].str[4:]
    frame = frame.query("animal == 'cat'" if by == "model" else "model == 'v1'")
    frame = frame.rename(columns={"animal": "arm", "place": "wording"} if by == "arm" else {})
    frame = frame.assign(no=frame["negative_prompt"])
    frame.attrs["sdlab labels"] = [
        *(("arm", "wording") if by == "arm" else ("animal", "place")),
        "no",
    ]
    pairs = pair(frame, by).frame
    votes = pd.DataFrame({"left": pairs["right_key"], "right": pairs["left_key"], "vote": "left"})
    votes = pd.concat([votes.assign(rater=rater) for rater in ("ann", "bob")])
    row = stats.preference(votes, frame, by=by).iloc[0]
    assert (row.n, row.right_wins, row.over, row.p) == (36, 36, over, 0.25)
    assert stats.paired(frame, "good", by=by)[["over", "n"]].values.tolist() == [[over, 3]]
    with pytest.raises(ValueError, match="no vote on these pairs yet"):
        stats.preference(votes.assign(left="f"), frame, by=by)
    twice = pd.concat([votes, votes.assign(vote="tie")])
    assert stats.preference(twice, frame, by=by)["ties"][0] == 36


@pytest.mark.parametrize("prompt", ["a cat", ""])
def test_negative_prompts_are_the_sample_only_where_that_is_said(prompt):
    """Of one prompt, or none, the seeds are it, whatever else varies."""
    frame = make_negatives([prompt], [f"n{i}" for i in range(7)])
    row = stats.paired(frame, "good").iloc[0]
    assert (row.n, row.over) == (3, "seed") and "for this prompt" in row.verdict
    sampled = frame.assign(wording=frame["negative_prompt"])
    row = stats.paired(sampled, "good").iloc[0]
    assert (row.n, row.over) == (7, "wording")
    assert stats.rate(sampled, "good", by="model")["prompts"].tolist() == [7, 7]


def test_prompts_that_one_side_lacks_are_left_out_and_no_common_one_is_an_error():
    frame = make_frame([[[1], [0], [1]], [[1], [1], [1]]])
    assert stats.paired(frame[:-1], "good")["n"][0] == 2
    apart = frame[(frame["model"] == "v1") ^ (frame["prompt"] == "prompt 0")]
    with pytest.raises(ValueError, match="has pictures of both model='v1' and 'v2'"):
        stats.paired(apart.iloc[[1, 2, 3]] if len(apart) > 3 else apart, "good")


def test_another_field_that_differs_between_the_sides_is_refused():
    frame = make_frame([[[1], [0]] * 3, [[1], [1]] * 3])
    frame["guidance_scale"] = [4.0, 8.0] * 3 + [4.0, 4.0] * 3
    with pytest.raises(ValueError, match="guidance_scale differs between the sides"):
        stats.paired(frame, "good")


def test_a_side_without_a_value_is_named_and_no_other_field_is_blamed():
    frame = make_frame([[[1], [0], [1]]] * 2).assign(aspect="1:1")
    frame["good"] = frame["good"].where(frame["model"] == "v1")
    for rows in (frame, frame.assign(good=frame["good"].astype("boolean"))):
        with pytest.raises(ValueError, match="good: v2 has no value; .*compare it with"):
            stats.paired(rows, "good")


def test_pictures_without_a_value_are_told_by_every_statistic():
    frame = make_frame([[[1, 0, 1], [0, 0, 0], [1, 1, 1]], [[1, 1, 0], [1, 0, 1], [1, 1, 1]]])
    frame["good"] = frame["good"].where(~frame["key"].isin(["v1 0 0", "v1 1 1", "v2 0 0"]))
    say = lambda found: " ".join(stats.Claim("x", found).verdicts)
    assert "; 3 pictures without a value left out" in say(stats.paired(frame, "good"))
    curve = stats.yield_curve(frame, "good", by="model")
    assert curve.groupby("model")["missing"].unique().map(list).to_dict() == {"v1": [2], "v2": [1]}
    assert "over 7 pictures of 3 prompts, 2 without a value left out" in say(curve)
    assert "4 of 7, 2 without a value left out (95%" in say(stats.rate(frame, "good", by="model"))
    whole = frame.assign(good=1)
    for ask in STATISTICS:
        assert "without a value" not in say(ask(whole, "good"))


def test_several_tests_are_corrected_together():
    rng = np.random.default_rng(1)
    frame = make_frame([rng.random((20, 1)) < 0.3, rng.random((20, 1)) < 0.6])
    frame["other"] = ~frame["good"]
    out = stats.paired(frame, ["good", "other"])
    p = out["p"].to_numpy()
    assert list(out["column"]) == ["good", "other"] and list(out["p_holm"]) == list(
        np.minimum(2 * p, 1)
    )
    frame["probe"] = np.where(frame["prompt"].isin(["prompt 1", "prompt 2", "prompt 3"]), "a", "b")
    assert list(stats.paired(frame, "good", each="probe")["n"]) == [17, 3]


def test_holms_correction_steps_down_and_never_falls():
    assert adjust_holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx(
        [0.03, 0.06, 0.06, 0.02]
    )


@pytest.mark.parametrize("test", [compare_signs, compare_ranks])
def test_no_difference_is_found_at_most_as_often_as_any_level_says(test):
    """Of all the ways in which changes may be turned round, if neither side is better."""
    sizes = np.array([1, 2, 2, 3.5, 0, 5, 8])
    p = [test(sizes * signs) for signs in itertools.product((-1, 1), repeat=len(sizes))]
    assert all(np.mean(np.array(p) <= level) <= level + 1e-12 for level in (0.05, 0.1, 0.3, *p))
    assert min(p) <= 0.05


@pytest.fixture
def few_resamples(monkeypatch):
    monkeypatch.setattr(resampling, "RESAMPLES", 800)


@pytest.mark.parametrize("n", [8, 16, 64])
def test_the_interval_of_a_difference_covers_as_often_as_it_says(n, few_resamples):
    rng = np.random.default_rng(n)
    covered = [
        low <= 0 <= high
        for low, high in (bootstrap_mean(rng.normal(size=n), 0.95) for _ in range(400))
    ]
    assert abs(np.mean(covered) - 0.95) <= 0.02 + 2 * math.sqrt(0.05 * 0.95 / len(covered))


@pytest.mark.parametrize("n", [8, 16, 64])
def test_the_interval_of_a_difference_of_shares_covers_as_often_as_it_says(n, few_resamples):
    rng, covered = np.random.default_rng(n), []
    for left, right in ((0.1, 0.1), (0.3, 0.5), (0.5, 0.9)):
        for _ in range(120):
            change = (rng.random(n) < right) - 1.0 * (rng.random(n) < left)
            low, high = bootstrap_mean(change, 0.95, 1)
            covered.append(low <= right - left <= high)
    assert np.mean(covered) >= 0.93 - 2 * math.sqrt(0.05 * 0.95 / len(covered))


def test_no_side_is_called_better_where_ranks_and_means_point_apart():
    """Nineteen small gains and one great loss."""
    frame = make_frame([[[0.0]] * 20, [[1.0 + i / 100] for i in range(19)] + [[-60.0]]])
    row = stats.paired(frame, "good").iloc[0]
    assert row.p_holm < 0.05 and row.right_wins == 19 and row.difference < 0
    assert row.verdict.startswith("they differ, but not by their means")


@pytest.mark.parametrize("seeds", [1, 4])
@pytest.mark.parametrize("n", range(2, 8))
def test_prompts_that_all_go_one_way_show_it_from_six_on(n, seeds):
    row = stats.paired(make_frame([[[0] * seeds] * n, [[1] * seeds] * n]), "good").iloc[0]
    assert row.p == reference.binomtest(n, n).pvalue and row.needed == 6 and row.difference == 1
    few = (
        f"all {n} prompts went one way (p {f'{row.p:.2f}'[1:]}): too few to tell; at least 6 would"
    )
    assert row.verdict == ("v2 better" if n >= 6 else few + " be needed")


@pytest.mark.parametrize("seeds", [1, 4])
def test_one_prompt_that_differs_among_others_is_no_error(seeds):
    left, right = ([[good] * seeds, *[[0] * seeds] * 4] for good in (0, 1))
    row = stats.paired(make_frame([left, right]), "good").iloc[0]
    assert (row.n, row.right_wins, row.ties, row.p) == (5, 1, 4, 1)
    assert pd.isna(row.needed) and row.verdict == "1 of 5 prompts differs: too few to tell"


def test_one_prompt_that_differs_shows_nothing_in_scores_too():
    scores = [[0.5, 1.5]] * 5
    row = stats.paired(make_frame([scores, [[0.5, 2.5], *scores[1:]]]), "good").iloc[0]
    assert row.p == 1 and row.right_wins == 1 and pd.isna(row.needed)
    row = stats.paired(make_frame([[[0.25], [1.5]], [[0.5], [1.75]]]), "good").iloc[0]
    assert row.p == 0.5 and row.needed == 6 and row.verdict.startswith("all 2 prompts went one way")


def test_shares_that_differ_from_those_of_all_pictures_are_told_beside_them():
    """One prompt lost three of its four pictures, and another is of one side alone."""
    frame = make_frame([[[1] * 4, [0] * 4, [0, 1, 1, 1]], [[1] * 4, [1] * 4, [0] * 4]])
    frame["good"] = frame["good"].astype("boolean")
    assert "over all pictures" not in stats.paired(frame, "good")["verdict"][0]
    frame.loc[frame["key"].isin([f"v1 0 {seed}" for seed in range(3)]), "good"] = pd.NA
    row, rates = stats.paired(frame, "good").iloc[0], stats.rate(frame, "good", by="model")
    assert row.left == pytest.approx((1 + 0 + 3 / 4) / 3) and rates["share"][0] == 4 / 9
    told = "; each prompt counts once: over all pictures it is v1 44% and v2 67%"
    assert row.verdict.endswith(told) and "one side alone" not in row.verdict
    frame.loc[frame["key"].str.startswith("v2 2"), "good"] = pd.NA
    told = "; 1 prompt of one side alone left out; 7 pictures without a value left out; each prompt"
    assert (
        f"{told} counts once: over all pictures it is v1 44% and v2 100%"
        in stats.paired(frame, "good")["verdict"][0]
    )
    scores = frame.assign(good=frame["good"].astype(float) * 2)
    assert stats.paired(scores, "good")["verdict"][0].endswith(
        "1 prompt of one side alone left out; 7 pictures without a value left out"
    )


@pytest.mark.parametrize("n, known", [(24, 0.05), (24, 0.2), (8, 0.2)])
def test_habits_do_not_make_the_interval_of_a_difference_too_narrow(n, known, few_resamples):
    """Left always draws "left", right too, but for the wordings that it has learned."""
    rng, covered = np.random.default_rng(n), []
    habit = [[1, 1, 0, 0]] * n  # two seeds of "left of" and two of "right of"
    for _ in range(60):
        knows = rng.random(n) < known
        right = [[1] * 4 if own else habit[0] for own in knows]
        row = stats.paired(make_frame([habit, right]), "good").iloc[0]
        covered.append(row.low <= known / 2 <= row.high)
    assert np.mean(covered) >= 0.95 - 2 * math.sqrt(0.05 * 0.95 / len(covered))


def test_where_test_and_interval_do_not_agree_no_side_is_called_better():
    little = [[[0] * 4] * 6, [[1, 0, 0, 0]] * 6]
    row = stats.paired(make_frame(little), "good").iloc[0]
    assert row.p_holm < 0.05 and row.left_wins == 0 and row.low < 0 < row.high
    assert row.verdict == "all that differ go one way, but 6 prompts cannot tell by how much"


# Yields


def test_the_yield_of_k_is_the_share_of_all_choices_of_k_that_hold_a_hit():
    hits = [1, 0, 0, 1, 0, 0]
    curve = stats.yield_curve(pd.DataFrame({"good": hits}), "good")
    counted = [np.mean([any(c) for c in itertools.combinations(hits, k)]) for k in range(1, 7)]
    assert curve["best"].tolist() == pytest.approx(counted) and curve["k"].tolist() == [
        *range(1, 7)
    ]
    exact = reference.binomtest(2, 6).proportion_ci(method="exact")
    assert curve["low"].tolist() == pytest.approx([1 - (1 - exact.low) ** k for k in range(1, 7)])


def test_the_best_score_of_k_is_the_mean_over_all_choices_of_k():
    scores = [3.0, -1.0, 7.5, 2.0, 2.0]
    curve = stats.yield_curve(pd.DataFrame({"score": scores}), "score")
    counted = [np.mean([max(c) for c in itertools.combinations(scores, k)]) for k in range(1, 6)]
    assert curve["best"].tolist() == pytest.approx(counted) and curve["low"].isna().all()


def test_yields_are_averaged_over_prompts_and_begin_where_the_rate_stands():
    frame = make_frame([[[1, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0], [1, 1, 0, 0]]])
    curve = stats.yield_curve(frame, "good", by="model")
    rate = stats.rate(frame, "good").iloc[0]
    assert curve["best"].tolist() == pytest.approx(
        [7 / 16, (0.5 + 1 + 5 / 6) / 4, (0.75 + 2) / 4, 0.75]
    )
    assert curve.iloc[0][["best", "low", "high"]].tolist() == pytest.approx(
        [rate.share, rate.low, rate.high]
    )
    assert curve["high"].max() <= 1 and (curve["low"].diff()[1:] > 0).all()


def test_the_band_of_a_yield_holds_its_estimate_and_is_never_empty():
    curve = stats.yield_curve(pd.DataFrame({"good": [1, 0, 0, 0, 0, 0]}), "good")
    assert curve["best"].iloc[-1] == 1 and (curve["high"] >= curve["best"]).all()
    assert (curve["low"] <= curve["best"]).all()
    alike = make_frame([[[2.5, 3.5]] * 2])
    assert stats.yield_curve(alike, "good")[["low", "high"]].isna().all(axis=None)


def test_no_hit_in_n_is_no_proof_of_zero():
    never = make_frame([[[0, 0]] * 6])
    curve = stats.yield_curve(never, "good")
    assert curve["best"].eq(0).all() and curve["low"].eq(0).all() and curve["high"].gt(0.3).all()


def test_more_than_the_prompt_with_the_fewest_pictures_has_is_refused():
    frame = make_frame([[[1, 0, 1], [1, 0]]])
    with pytest.raises(ValueError, match="fewest pictures has 2"):
        stats.yield_curve(frame, "good", k=3)
    assert stats.yield_curve(frame, "good")["k"].tolist() == [1, 2]


def test_a_curve_of_nothing_says_whose_values_are_missing():
    frame = make_frame([[[1, 0]] * 2] * 2)
    with pytest.raises(ValueError, match="no row has a value, of model v2; measure .*leave them"):
        stats.yield_curve(
            frame.assign(good=frame["good"].where(frame["model"] == "v1")), "good", by="model"
        )
    with pytest.raises(ValueError, match="good: no row has a value; measure the pictures first"):
        stats.yield_curve(frame.assign(good=None), "good")
    for k in (0, -1, 1.5, True, "2"):
        with pytest.raises(ValueError, match="how many tries at most, 1 or more"):
            stats.yield_curve(frame, "good", k=k)


# Rankings


def penalized_ends(wins, losses):
    """Half the ends of the log-odds of a side, by Firth's likelihood written out for two sides."""
    won, lost = wins + 0.5, losses + 0.5

    def likely(odds):
        return -won * np.logaddexp(0, -odds) - lost * np.logaddexp(0, odds)

    best = math.log(won / lost)
    limit = likely(best) - reference.chi2.ppf(0.95, 1) / 2
    ends = (brentq(lambda odds: likely(odds) - limit, best, best + far) for far in (-20, 20))
    return tuple(end / 2 for end in ends)


def test_two_sides_stand_as_far_apart_as_their_wins():
    votes = pd.DataFrame(
        {"left": ["a"] * 40, "right": ["b"] * 40, "vote": ["left"] * 30 + ["right"] * 10}
    )
    out = stats.ranking(votes)
    assert out["item"].tolist() == ["a", "b"] and out["wins"].tolist() == [30, 10]
    assert out["strength"].diff()[1] == pytest.approx(-math.log(30.5 / 10.5), abs=1e-4)
    assert (out["low"][0], out["high"][0]) == pytest.approx(penalized_ends(30, 10), abs=1e-4)


def test_strengths_come_back_from_votes_and_their_intervals_cover_them():
    """Covered is what the votes allow; every tenth time, that the interval's ends say the same."""
    rng, truth, covered = np.random.default_rng(2), np.array([0.8, 0.1, -0.9]), []
    for n in range(150):
        sides = np.array([rng.permutation(3)[:2] for _ in range(90)])
        won = rng.random(90) < 1 / (1 + np.exp(truth[sides[:, 1]] - truth[sides[:, 0]]))
        pooled = pool_votes(sides, won.astype(float), 3)
        best = pooled.fit()
        held = [pooled.fit(own, at, best) for own, at in zip(np.eye(3), truth)]
        less = [2 * (pooled.weigh(best)[0] - pooled.weigh(each)[0]) for each in held]
        covered.append(np.array(less) <= reference.chi2.ppf(0.95, 1))
        if n % 10 == 0:
            votes = pd.DataFrame(sides, columns=["left", "right"])
            out = stats.ranking(votes.assign(vote=np.where(won, "left", "right")))
            out = out.set_index("item").sort_index()
            assert list(out["strength"]) == pytest.approx(best, abs=1e-4)
            assert list((out["low"] <= truth) & (truth <= out["high"])) == list(covered[-1])
    assert not np.all(covered[::10])  # among these some ends are short of the truth
    assert abs(np.mean(covered) - 0.95) <= 0.02 + 2 * math.sqrt(0.05 * 0.95 / np.size(covered))


def test_votes_on_keys_rank_a_column_and_repeated_prompts_widen_the_intervals():
    frame = make_frame([[[0] * 5] * 6, [[0] * 5] * 6])
    votes = pd.DataFrame(
        [
            {"left": f"v1 {i} {s}", "right": f"v2 {i} {s}", "vote": "left" if i < 2 else "right"}
            for i in range(6)
            for s in range(5)
        ]
    )
    grouped = stats.ranking(votes, frame)
    assert grouped["model"].tolist() == ["v2", "v1"] and grouped["losses"].tolist() == [10, 20]
    single = stats.ranking(votes, frame.assign(prompt=frame["key"]))
    assert (grouped["high"] - grouped["low"])[0] > 1.8 * (single["high"] - single["low"])[0]


def test_votes_that_tell_their_prompts_need_no_frame_for_that():
    votes = pd.DataFrame({"left": ["a"] * 30, "right": ["b"] * 30, "vote": ["left"] * 30})
    votes.loc[10:, "vote"] = "right"
    alone, told = (stats.ranking(v) for v in (votes, votes.assign(prompt=[*range(6)] * 5)))
    assert told["strength"].equals(alone["strength"])
    told = stats.ranking(votes.assign(prompt=[n for n in range(6) for _ in range(5)]))
    assert (told["high"] - told["low"])[0] > 1.8 * (alone["high"] - alone["low"])[0]
    untold = stats.ranking(votes.assign(prompt=[None, *range(29)]))
    pd.testing.assert_frame_equal(untold, alone)


def test_votes_of_one_prompt_that_agree_are_not_held_for_independent():
    """Five prompts, six votes each, all for one side: no more than five are sure to tell."""
    votes = make_votes(ab=30)
    low = lambda **more: stats.ranking(votes.assign(**more))["low"][0]
    five, alone = low(prompt=[*range(5)] * 6), low()
    assert penalized_ends(5, 0)[0] < five < alone - 0.5
    assert low(prompt=[*range(29), 0]) == pytest.approx(alone, abs=0.1)


def judged(raters, said, **columns):
    """Answers of some raters to the same pictures, in one order."""
    keys = [f"key{n}" for n in range(len(said))]
    return pd.DataFrame(
        [
            {"key": key, "prompt": "two bees", "rater": rater, "yes": yes}
            for rater in raters
            for key, yes in zip(keys, said)
        ]
    ).assign(yes=lambda rows: rows["yes"].astype("boolean"), **columns)


def test_more_raters_of_the_same_pictures_are_no_more_pictures():
    said = [True, True, True, False]
    one, five = (stats.rate(judged(raters, said), "yes") for raters in ("a", "abcde"))
    pd.testing.assert_frame_equal(pd.DataFrame(one), pd.DataFrame(five.drop(columns="verdict")))
    assert five.verdict.tolist() == ["20 answers of 5 raters; each picture counts once"]
    assert stats.Claim("x", five).verdicts[0].startswith("75%, 3 of 4 (95% interval 30% to 95%): ")
    alone = stats.rate(judged("ab", said), "yes", by="rater")
    assert alone.n.tolist() == [4, 4] and "verdict" not in alone


def test_a_picture_on_which_raters_differ_counts_by_their_share():
    rows = judged("abc", [True, True, False, None])
    rows.loc[0, "yes"], rows.loc[1, "yes"] = False, None  # of a
    found = stats.rate(rows, "yes").iloc[0]
    assert (found.n, found.missing, found.prompts) == (3, 1, 1)
    assert found.hits == pytest.approx(2 / 3 + 1) and found.share == pytest.approx(5 / 9)
    assert (found.low, found.high) == pytest.approx(stats.share_interval(5 / 3, 3))
    assert found.verdict == "8 answers of 3 raters; each picture counts once"
    told = "56%, 1.7 of 3, 1 without a value left out"
    assert stats.Claim("x", stats.rate(rows, "yes")).verdicts[0].startswith(told)
    again = pd.concat([rows, rows[:1].assign(repeat=1)])  # asked twice is said once
    assert stats.rate(again, "yes").hits[0] == found.hits
    sides = rows.assign(left=rows["key"], right="other").drop(columns="key")
    sides.loc[4:7, ["left", "right"]] = sides.loc[4:7, ["right", "left"]].to_numpy()
    assert stats.rate(sides, "yes").n[0] == 3  # pairs, that stood either way round
    asked = pd.concat([rows.assign(question="one?"), rows.assign(question="two?")])
    assert stats.rate(asked, "yes").n[0] == 6  # two questions are not the same thing


def test_two_raters_of_the_same_pairs_are_not_held_for_independent():
    """Also where no prompt is told: then each pair of pictures is a sample of its own."""
    frame = make_frame([[[0]] * 20] * 2).drop(columns="prompt")
    one = pd.DataFrame({"left": frame["key"][:20], "right": [*frame["key"][20:]], "rater": "ann"})
    one = one.assign(vote=["left"] * 13 + ["right"] * 7)
    same = [one, one.assign(rater="ben"), one.assign(rater="cleo")]
    low, high = (
        dict(zip(out["model"], out["high"] - out["low"]))["v1"]
        for out in (stats.ranking(votes, frame) for votes in (one, pd.concat(same)))
    )
    assert high > 0.9 * low  # they say the same thrice
    pairs = frame.assign(prompt=[*range(20)] * 2)
    votes = pd.concat(same)
    pd.testing.assert_frame_equal(stats.ranking(votes, frame), stats.ranking(votes, pairs))


def test_ties_are_said_to_be_half_a_win_in_a_ranking():
    votes = make_votes(ab=6, ba=2)
    votes.loc[:2, "vote"] = "tie"
    said = stats.Claim("x", stats.ranking(votes)).verdicts[0]
    assert re.search(
        r"interval \d+% to \d+%; 8 votes, of which 3 ties are half a win for either\)", said
    )


def test_answers_rank_like_votes_and_repeats_do_not_count():
    votes = pd.DataFrame({"left": list("abab"), "right": list("baba"), "vote": ["left"] * 4})
    answers = votes.rename(columns={"vote": "answer"}).assign(repeat=[0, 0, 1, 1])
    pd.testing.assert_frame_equal(stats.ranking(answers), stats.ranking(votes[:2]))
    answers.loc[0, "answer"] = None  # cannot tell
    assert stats.ranking(answers)["wins"].sum() == 1


def test_a_vote_counts_once_however_often_it_stands_there():
    frame = make_frame([[[0] * 2] * 3] * 2)
    votes = pd.DataFrame(
        [(f"v1 {i} {s}", f"v2 {i} {s}") for i in range(3) for s in (0, 1)],
        columns=["left", "right"],
    ).assign(vote=["left"] * 5 + ["right"], rater="ann", time=[*"abcdef"])
    turned = votes.rename(columns={"left": "right", "right": "left"})[:3].assign(vote="left")
    for twice in (pd.concat([votes, votes]), pd.concat([turned, votes])):  # the last one counts
        pd.testing.assert_frame_equal(stats.ranking(twice, frame), stats.ranking(votes, frame))
    items = votes.assign(left="v1", right="v2")
    once = stats.ranking(items)
    pd.testing.assert_frame_equal(stats.ranking(pd.concat([items, items])), once)
    assert once["wins"].sum() == 6
    two = stats.ranking(pd.concat([votes, votes.assign(rater="ben")]), frame)
    assert two["wins"].sum() == 12


def test_votes_on_two_pictures_of_one_model_do_not_rank_models():
    frame = make_frame([[[0, 0]], [[0, 0]]])
    votes = pd.DataFrame(
        {"left": ["v1 0 0", "v1 0 0"], "right": ["v1 0 1", "v2 0 0"], "vote": "left"}
    )
    out = stats.ranking(votes, frame)
    assert out["wins"].sum() == out["losses"].sum() == 1
    with pytest.raises(ValueError, match="with another model; give the frame that was voted on"):
        stats.ranking(votes[:1], frame)


def test_a_side_that_never_lost_stands_above_the_other_with_finite_ends():
    votes = pd.DataFrame({"left": ["a"] * 9, "right": ["b"] * 9, "vote": ["left"] * 9})
    out = stats.ranking(votes)
    assert (out["low"][0], out["high"][0]) == pytest.approx(penalized_ends(9, 0), abs=1e-4)
    assert out["low"][0] > 0 and out["chance_low"][0] == pytest.approx(0.71, abs=0.01)
    said = stats.Claim("a is better", out).verdicts[0]
    assert re.fullmatch(
        r"a: wins .* chance 95% \(95% interval 71% to 100%; 9 votes\): above b", said
    )
    assert len(stats.plot(out).axes[0].get_yticks()) == 2


def make_votes(**wins):
    """Votes of {"ab": 5}: a won 5 times against b."""
    rows = [(*pair, "left") for pair, n in wins.items() for _ in range(n)]
    return pd.DataFrame(rows, columns=["left", "right", "vote"])


def test_more_votes_for_an_order_never_widen_what_is_told_of_it():
    some = stats.ranking(make_votes(ab=5, bc=5))
    more = stats.ranking(make_votes(ab=5, bc=5, ac=5))
    assert list(some["item"]) == list(more["item"]) == ["a", "b", "c"]
    assert np.isfinite(some[["low", "high"]].to_numpy()).all()
    assert more["low"][0] > some["low"][0] > 0
    assert more["high"][1] == pytest.approx(-more["low"][1], abs=1e-4) and more["high"][1] < 2


def test_claims_of_rankings_say_how_sure_they_are():
    said = stats.Claim("a leads", stats.ranking(make_votes(ab=5, bc=5))).verdicts[1]
    assert re.fullmatch(
        r"b: wins against another with chance 50% \(strength [+-]\S+, 95% interval -1.8 to \+1.8; 10 votes\): not told apart from a and c",
        said,
    )
    ties = make_votes(ab=4).assign(vote="tie")
    assert stats.Claim("x", stats.ranking(ties)).verdicts[0] == "a: no vote of 4 has a winner"
    with pytest.raises(ValueError, match="no votes yet"):
        stats.ranking(ties[:0])


def test_a_circle_of_wins_ranks_nobody():
    out = stats.ranking(make_votes(ab=3, bc=3, ca=3))
    assert np.allclose(out["strength"], 0, atol=1e-5) and np.allclose(out["chance"], 0.5)
    assert ((out["low"] < 0) & (out["high"] > 0)).all()
    first, *others = stats.Claim("a leads", out).verdicts
    assert first.endswith(
        ": not told apart from b and c; wins go in a circle (a beats b, b beats c, c beats a),"
        " 1 of 1 threes, Kendall's consistence 0.00: one order does not tell these votes"
    )
    assert all(said.endswith("; in a circle, too") for said in others)
    few = stats.ranking(make_votes(ab=1, bc=1, ca=1))["verdict"]
    assert few[0].endswith("consistence 0.00, as chance alone may do") and "circle" not in few[1]
    assert not stats.ranking(make_votes(ab=9, bc=9, ac=9))["verdict"].str.contains("circle").any()


def count_circles(beats):
    """Threes of {(winner, loser)} that go round, counted one by one."""
    items = sorted({item for pair in beats for item in pair})
    rounds = lambda a, b, c: {(a, b), (b, c), (c, a)} <= beats
    return sum(rounds(a, b, c) or rounds(c, b, a) for a, b, c in itertools.combinations(items, 3))


@pytest.mark.parametrize("n, most", [(4, 2), (5, 5), (6, 8), (7, 14)])
def test_circles_of_three_are_counted_and_so_is_kendalls_consistence(n, most):
    """`most` can be circles: Kendall and Babington Smith (1940)."""
    rng, seen = np.random.default_rng(n), set()
    for _ in range(4):
        pairs = np.array(list(itertools.combinations(range(n), 2)))
        won = rng.integers(2, size=len(pairs))
        beats = {tuple(pair[:: 1 if first else -1].tolist()) for pair, first in zip(pairs, won)}
        said = describe_circles(list("abcdefg"[:n]), pairs, np.ones(len(pairs)), won, 1, 0.05)
        circles, threes = count_circles(beats), math.comb(n, 3)
        told = f"{circles} of {threes} threes, Kendall's consistence {1 - circles / most:.2f}"
        assert told in said[min(said)][0] if circles else not said
        seen.add(circles)
    assert len(seen) > 1


def test_strengths_alone_are_blamed_for_circles_as_rarely_as_the_level_says():
    rng, pairs = np.random.default_rng(0), np.array(list(itertools.combinations(range(4), 2)))
    n, chances = np.full(len(pairs), 30), []
    for _ in range(600):
        strength = rng.normal(size=4)
        won = rng.binomial(n, 1 / (1 + np.exp(strength[pairs[:, 1]] - strength[pairs[:, 0]])))
        chances.append(compute_misfit(pairs, n, won, 4, 1.0))
    assert 0.02 <= np.mean(np.array(chances) <= 0.05) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 600)
    won = rng.binomial(
        30, np.where(pairs[:, 1] - pairs[:, 0] == 2, 0.5, [0.8, 0.5, 0.2, 0.8, 0.5, 0.8])
    )
    assert compute_misfit(pairs, n, won, 4, 1.0) < 0.001 < compute_misfit(pairs, n, won, 4, 20.0)


def test_one_that_was_compared_once_is_not_put_first_in_words():
    out = stats.ranking(make_votes(ab=30, ba=3, bc=18, cb=11, da=1))
    assert list(out["item"]) == ["d", "a", "b", "c"]
    assert list(out["verdict"]) == [
        "compared once, too rarely to be told apart",
        "above b and c; not told apart from d",
        "not told apart from d and c; below a",
        "not told apart from d and b; below a",
    ]
    five = stats.ranking(make_votes(ab=5))["verdict"]
    assert set(five) == {"compared 5 times, too rarely to be told apart"}
    assert list(stats.ranking(make_votes(ab=6))["verdict"]) == ["above b", "below a"]


def test_votes_on_one_picture_or_none_do_not_count():
    votes = make_votes(ab=7)
    odd = pd.DataFrame({"left": ["a", None, "c"], "right": ["a", "b", "c"], "vote": "left"})
    pd.testing.assert_frame_equal(stats.ranking(pd.concat([odd, votes])), stats.ranking(votes))
    pd.testing.assert_frame_equal(stats.ranking(votes.astype("category")), stats.ranking(votes))
    with pytest.raises(ValueError, match="no vote on two that differ"):
        stats.ranking(odd)


@pytest.mark.parametrize("won, lost", [(7, 1), (8, 1), (9, 2), (10, 2), (15, 5), (14, 6)])
def test_two_sides_are_told_apart_where_the_sign_test_tells_them_apart(won, lost):
    told = reference.binomtest(won, won + lost).pvalue <= 0.05
    for votes in (make_votes(ab=won, ba=lost), make_votes(ba=lost, ab=won)):
        verdicts = stats.ranking(votes).set_index("item")["verdict"]
        assert verdicts["a"] == ("above b" if told else "not told apart from b")
    prompts = [i for i in range(won + lost) for _ in range(3)]
    votes = votes.loc[prompts].assign(prompt=prompts)
    assert stats.ranking(votes).set_index("item")["verdict"]["a"] == verdicts["a"]


def test_intervals_of_few_votes_cover_as_often_as_they_say():
    rng, ends = np.random.default_rng(4), {}
    wins = rng.binomial(16, 1 / (1 + math.exp(-2)), 300)
    for n in {*wins.tolist()}:
        out = stats.ranking(make_votes(ab=n, ba=16 - n)).set_index("item").loc["a"]
        ends[n] = out["low"] <= 1 <= out["high"]
    covered = [ends[n] for n in wins.tolist()]
    assert abs(np.mean(covered) - 0.95) <= 0.02 + 2 * math.sqrt(0.05 * 0.95 / len(covered))


@pytest.mark.parametrize(
    "left, right, vote, words",
    [
        (["a", "c"], ["b", "d"], ["left", "tie"], "never compared.*a, b; c, d"),
        (["a"], ["b"], ["first"], "votes are 'left'"),
        ([], [], [], "there are no votes yet"),
    ],
)
def test_votes_that_rank_nothing_are_refused(left, right, vote, words):
    with pytest.raises(ValueError, match=words):
        stats.ranking(pd.DataFrame({"left": left, "right": right, "vote": vote}))


# Figures


def test_every_result_has_a_figure_that_names_its_rows_and_n():
    frame = make_frame([[[1, 0], [0, 0], [1, 1]], [[1, 1], [1, 0], [1, 1]]])
    rate = stats.plot(stats.rate(frame, "good", by="model"), title="Which?")
    texts = [
        t.get_text()
        for axes in (rate.axes[0], *rate.axes[0].child_axes)
        for t in axes.get_yticklabels()
    ]
    assert texts == ["v1", "v2", "3 of 6", "5 of 6"] and rate.axes[0].get_title("left") == "Which?"
    curves = stats.plot(stats.yield_curve(frame, "good", by="model"))
    assert [t.get_text() for t in curves.axes[0].get_legend().get_texts()] == ["v1", "v2"]
    assert stats.plot(stats.paired(frame, "good"))._repr_png_()[0][:4] == b"\x89PNG"
    with pytest.raises(ValueError, match="rate, paired, yield_curve, preference, ranking or"):
        stats.plot(frame)


def test_figures_and_sentences_of_a_comparison_name_its_sides():
    frame = make_frame([[[1], [0], [0]], [[1], [1], [0]]])
    for by, rows, names in (
        ("model", frame, "v2 less v1"),
        (
            "cfg",
            frame.rename(columns={"model": "cfg"}).replace({"v1": 4, "v2": 8}),
            "cfg 8 less cfg 4",
        ),
    ):
        found = stats.paired(rows, "good", by=by)
        assert names in stats.plot(found).axes[0].get_xlabel()
        assert f"(n = 3, {names} +0.33, 95% interval " in stats.Claim("x", found).verdicts[0]
        found.attrs.clear()  # as a CSV file does
        assert "right less left" in stats.plot(found).axes[0].get_xlabel()


def test_a_figure_of_votes_tells_how_many_decided():
    votes = pd.DataFrame({"left_wins": [3], "right_wins": [6], "ties": [2], "both_bad": [1]})
    votes = votes.assign(left="v1", right="v2", n=12, share=6 / 9, low=0.4, high=0.9, verdict="so")
    axes = stats.plot(votes).axes[0]
    [label] = [t.get_text() for t in axes.get_yticklabels()]
    [beside] = [t.get_text() for t in axes.child_axes[0].get_yticklabels()]
    assert (label, beside) == ("all votes", "9 of 12 votes decided")
    assert axes.get_xlabel() == "share that preferred v2 to v1, with interval"
    assert stats.Claim("x", votes).verdicts == ["so (3 of 12 votes for neither side)"]


def test_a_figure_of_votes_is_of_the_side_that_the_sentence_names():
    votes = pd.DataFrame({"left_wins": [6], "right_wins": [3], "ties": [0], "both_bad": [0]})
    votes = votes.assign(left="v1", right="v2", n=9, share=3 / 9, low=0.1, high=0.6, verdict="so")
    axes = stats.plot(votes).axes[0]
    assert axes.get_xlabel() == "share that preferred v1 to v2, with interval"
    assert axes.lines[0].get_xdata().tolist() == pytest.approx([6 / 9])
    [ends] = axes.collections[0].get_segments()
    assert ends[:, 0].tolist() == pytest.approx([0.4, 0.9])
    table = name_sides(votes)
    told = table[["share for v1", "low", "high"]].iloc[0].tolist()
    assert told == pytest.approx([6 / 9, 0.4, 0.9])
    assert "share for v2" in name_sides(votes.assign(right_wins=7))
    assert votes["share"][0] == 3 / 9  # what it is of stays as it was


@pytest.mark.parametrize("n", [2, 3, 4])
def test_curves_that_are_alike_are_all_to_be_seen(n):
    names = [f"v{i}" for i in range(n)]
    frame = make_frame([[[1, 0, 0, 1], [0, 1, 0, 0], [1, 1, 1, 0]]] * n, names=names)
    figure = stats.plot(stats.yield_curve(frame, "good", by="model"))
    figure.axes[0].get_legend().remove()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    seen = np.asarray(canvas.buffer_rgba())[..., :3].reshape(-1, 3)
    for color in COLORS[:n]:
        of = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)])
        assert (abs(seen - of).max(axis=1) < 12).sum() > 60


def test_a_notebook_shows_sentences_whole_under_the_numbers():
    frame = make_negatives([f"p{i}" for i in range(8)], [""])
    pairs = pair(frame, "model").frame
    votes = pd.DataFrame({"left": pairs["left_key"], "right": pairs["right_key"], "vote": "left"})
    found = stats.preference(votes, frame, each="prompt")
    before = pd.get_option("display.max_colwidth")
    shown = found._repr_html_()
    assert len(found["verdict"][7]) > 80 and found["verdict"][7] in repr(found)
    assert f"<b>verdict, p7:</b> {found['verdict'][7]}</div>" in shown
    assert shown.count("verdict") == 8 and ">verdict<" not in shown and ">left_wins<" in shown
    assert pd.get_option("display.max_colwidth") == before
    some = found[:1].assign(verdict="<b>")
    assert "&lt;b&gt;" in some._repr_html_() and some.attrs == found.attrs
    many = pd.concat([found] * 9)
    assert found["verdict"][0] in many._repr_html_() and "<b>" not in many._repr_html_()
    assert "<b>verdict, good:</b>" in stats.paired(frame, "good")._repr_html_()
    with pd.option_context("display.notebook_repr_html", False):
        assert found._repr_html_() is None


def test_a_column_that_was_not_measured_yet_is_said_to_be_and_what_adds_it():
    frame = make_frame([[[1, 0]], [[0, 1]]]).assign(height=64)
    said = "'objects_right' is no column of the frame yet, which measure(results, 'objects') adds"
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        stats.rate(frame, "objects_right", by="model")
    said = "did you mean 'objects_right', which measure(results, 'objects') adds?"
    with pytest.raises(ValueError, match=re.escape(said)):
        stats.paired(frame, "object_right")
    with pytest.raises(ValueError, match="did you mean 'objects_right'. it has .*, objects_right$"):
        stats.rate(frame.assign(objects_right=True), "object_right")
    with pytest.raises(ValueError, match="by='pixels_brightness' is no column of the frame yet"):
        pair(frame, "pixels_brightness")
    with pytest.raises(ValueError, match="row='tokens_count' is no column of the frame yet, which"):
        image_grid(frame.assign(path=None), row="tokens_count")


def test_every_column_of_the_table_of_scorers_is_named_with_its_scorer():
    for column in MEANINGS:
        scorer = next(name for name in SCORERS if column.startswith(f"{name}_"))
        assert f"measure(results, {scorer!r}) adds" in explain_column(column, ["key"])


def test_the_scale_of_where_things_stand_is_told_with_the_columns():
    told = {column: text for _, column, text in SCORERS.list_columns()}
    assert all("64ths" in told[f"objects_{name}"] for name in ("places", "x", "y"))
    evidence = pd.DataFrame({"difference": [1.0]})
    evidence.attrs |= note_sample((), "objects_x")
    (said,) = describe_columns(evidence)
    assert said.endswith("from the left, in 64ths of the width.")


def test_of_as_many_votes_for_both_sides_neither_is_called_preferred():
    row = {"left": "a", "right": "b", "left_wins": 3, "right_wins": 3, "share": 0.5, "n": 8}
    row |= {"low": 0.1, "high": 0.9, "p": 1.0, "over": "prompt"}
    said = write_preference(row, 0.05)
    assert said.startswith("both were preferred equally often, each in 3 of 6 decided votes: 50%")
    more = write_preference(row | {"left_wins": 4, "share": 3 / 7}, 0.05)
    assert more.startswith("a was preferred in 4 of 7 decided votes: 57%")
