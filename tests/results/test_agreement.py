"""Agreement of raters: against published examples and counting by hand, and where nothing can be told, in words."""

import numpy as np
import pandas as pd
import pytest

from sdlab import stats
from sdlab.store.opinions import Opinions

# K. Krippendorff, "Computing Krippendorff's alpha-reliability" (2011), sections A to C
TWO_BINARY = {"A": "0100000010", "B": "1110010000"}
TWO_NOMINAL = {"Ben": "aabbdcccedda", "Gerry": "babbbccceddd"}
FOUR = {
    "A": "123321412...",
    "B": "123322412" + "5.3",
    "C": ".33323422" + "51.",
    "D": "123324412" + "51.",
}
COHEN = [[88, 14, 18], [10, 40, 10], [2, 6, 12]]  # J. Cohen (1960): 200 patients, kappa = .49


def rated(by, repeat=0):
    """A frame of answers, a letter each; a dot is a picture that was not asked about."""
    rows = [
        (f"key {i}", rater, None if word == "?" else word, repeat)
        for rater, words in by.items()
        for i, word in enumerate(words)
        if word != "."
    ]
    return pd.DataFrame(rows, columns=["key", "rater", "answer", "repeat"])


def only(answers, **given):
    (row,) = stats.agreement(answers, **given).to_dict("records")
    return row


@pytest.mark.parametrize("by, alpha", [(TWO_BINARY, 0.095), (TWO_NOMINAL, 0.692), (FOUR, 0.743)])
def test_alpha_of_named_answers_is_that_of_krippendorffs_examples(by, alpha):
    assert stats.agreement(rated(by)).alpha[0] == pytest.approx(alpha, abs=5e-4)


def test_alpha_of_answers_in_order_is_that_of_krippendorffs_example():
    out = stats.agreement(rated(FOUR), order=range(1, 6))
    assert out.kind[0] == "all raters" and out.n[0] == 11  # the twelfth was rated once
    assert out.alpha[0] == pytest.approx(0.815, abs=5e-4)
    turned = stats.agreement(rated(FOUR), order=range(5, 0, -1))
    assert turned.alpha[0] == pytest.approx(out.alpha[0])
    mixed = stats.agreement(rated(FOUR), order=[3, 1, 5, 2, 4])
    assert mixed.alpha[0] < 0.743


def test_kappa_is_that_of_cohens_example():
    cells = [(i, j) for i in range(3) for j in range(3) for _ in range(COHEN[i][j])]
    row = only(rated({"a": [str(i) for i, _ in cells], "b": [str(j) for _, j in cells]}))
    assert row["share"] == pytest.approx(0.70) and row["n"] == 200
    assert row["kappa"] == pytest.approx((0.70 - 0.41) / (1 - 0.41))
    assert (row["low"], row["high"]) == pytest.approx(stats.share_interval(140, 200))


def test_the_share_of_three_raters_is_that_of_their_pairs():
    row = stats.agreement(rated({"a": "xxx", "b": "xxy", "c": "xyz"})).iloc[0]
    assert row["of"] == "a · b · c" and row.share == pytest.approx((1 + 1 / 3 + 0) / 3)


def test_each_pair_of_raters_has_a_row_of_its_own():
    out = stats.agreement(rated({"a": "xy", "b": "xy", "c": "yx"})).set_index("of")
    assert out.share.to_dict() == {"a · b · c": 1 / 3, "a · b": 1, "a · c": 0, "b · c": 0}
    assert out.kappa["a · c"] == -1 and np.isnan(out.kappa["a · b · c"])


def test_answers_to_what_was_shown_again_are_compared_with_the_first():
    answers = pd.concat([rated({"ann": "xyxy", "bob": "xx.."}), rated({"ann": ".yyx"}, repeat=1)])
    out = stats.agreement(answers).set_index("of")
    assert out.kind.to_dict() == {"ann · bob": "two raters", "ann": "again"}
    assert out.n.to_dict() == {"ann · bob": 2, "ann": 3} and out.share["ann"] == 1 / 3


def test_cannot_tell_is_counted_and_is_no_answer():
    row = only(rated({"a": "xy??", "b": "xyx?"}))
    assert (row["n"], row["cannot_tell"], row["share"], row["kappa"]) == (2, 2, 1, 1)
    none = only(rated({"a": "??", "b": "xy"}))
    assert none["n"] == 0 and "no picture that two of them" in none["note"]


@pytest.mark.parametrize("order", [None, "x"])
def test_where_all_answers_are_the_same_it_says_so(order):
    row = only(rated({"a": "x" * 12, "b": "x" * 12}), order=order)
    assert row["share"] == 1 and row["low"] == pytest.approx(stats.share_interval(12, 12)[0])
    assert np.isnan([row["kappa"], row["alpha"]]).all()
    assert row["note"].startswith("every answer is 'x': kappa and alpha do not exist")


def test_a_rare_answer_is_named_where_it_makes_alpha_low():
    row = only(rated({"a": "x" * 49 + "y", "b": "x" * 50}))
    assert row["share"] == 0.98 and row["alpha"] == row["kappa"] == 0
    assert row["note"].startswith("99 of 100 answers are 'x': kappa and alpha are low then")
    assert "98 of" not in only(rated({"a": "x" * 49 + "y", "b": "x" * 49 + "y"}))["note"]


@pytest.mark.parametrize(
    "n, wrong, said",
    [
        (100, 0, "reliable: alpha is above 0.8"),
        (400, 40, "enough for tentative conclusions"),
        (100, 50, "not reliable"),
        (6, 0, "6 pictures cannot tell whether this is reliable"),
    ],
)
def test_the_note_says_what_the_interval_of_alpha_allows(n, wrong, said):
    one = "xy" * (n // 2)
    other = one[: n - wrong] + "yx" * (wrong // 2)
    assert only(rated({"a": one, "b": other}))["note"].startswith(said)


@pytest.mark.parametrize("n, order", [(8, None), (30, None), (30, "abc")])
def test_the_interval_of_alpha_holds_the_true_one_as_often_as_it_says(n, order):
    """Both see the truth with chance .8 and guess otherwise: alpha is .8 squared."""
    chance, held, rounds = np.random.default_rng(1), 0, 200
    for _ in range(rounds):
        truth, *guesses = chance.choice(list("abc"), (3, n), p=[0.5, 0.3, 0.2])
        sees = chance.random((2, n)) < 0.8
        one, other = np.where(sees, truth, guesses)
        row = only(rated({"a": one, "b": other}), order=order)
        held += bool(np.isnan(row["alpha"]) or row["alpha_low"] <= 0.64 <= row["alpha_high"])
    assert held / rounds > 0.95 - 0.04  # 2.6 standard errors


def with_prompts(answers, each):
    """So many pictures of each prompt, one after the other."""
    number = answers["key"].str.removeprefix("key ").astype(int)
    return answers.assign(prompt="prompt " + (number // each).astype(str))


def test_seeds_of_one_prompt_are_no_further_sample():
    """What raters do to a prompt's pictures four times is worth what they do to it once."""
    one, other = "xyxyxyxyxy", "xyxyxyyxyx"
    once = only(rated({"a": one, "b": other}))
    fourfold = rated(
        {rater: "".join(4 * w for w in words) for rater, words in (("a", one), ("b", other))}
    )
    told, untold = only(with_prompts(fourfold, 4)), only(fourfold)
    assert (once["n"], told["n"], told["prompts"], untold["n"]) == (10, 40, 10, 40)
    assert told["share"] == once["share"] == untold["share"] == 0.6
    assert untold["low"] - told["low"] > 0.1  # about 1.7 times as wide
    assert (told["low"], told["high"]) == pytest.approx((once["low"], once["high"]), abs=0.03)
    assert (told["alpha_low"], told["alpha_high"]) == pytest.approx(
        (once["alpha_low"], once["alpha_high"]), abs=0.08
    )
    assert told["alpha_high"] - told["alpha_low"] > 1.5 * (
        untold["alpha_high"] - untold["alpha_low"]
    )


def test_prompts_that_do_not_repeat_change_nothing():
    answers = rated(FOUR)
    without = lambda answers: stats.agreement(answers).drop(columns="prompts")
    for out in (answers.assign(prompt=answers["key"]), answers.assign(prompt=None)):
        pd.testing.assert_frame_equal(without(out), without(answers))


def test_where_all_agree_pictures_of_a_prompt_count_as_half_alike():
    row = only(with_prompts(rated({"a": "x" * 12, "b": "x" * 12}), 4))
    effective = 12 / (1 + 3 * 0.5)
    assert row["low"] == pytest.approx(stats.share_interval(effective, effective)[0])


def test_few_prompts_are_named_where_they_cannot_tell():
    row = only(with_prompts(rated({"a": "xxyy" * 5, "b": "xxyy" * 4 + "yyxx"}), 4))
    assert row["note"].startswith("20 pictures of 5 prompts cannot tell")


def test_the_sample_may_be_named():
    answers = rated({"a": "xyxy", "b": "xyyx"}).assign(prompt="p", scene=list("aabb") * 2)
    assert [only(answers, prompt=name)["prompts"] for name in (None, "scene", "key")] == [1, 2, 4]


def test_the_interval_of_the_share_holds_the_true_one_where_prompts_repeat():
    """Raters agree on a prompt or they do not; eight seeds of each are no further sample."""
    chance, held, rounds = np.random.default_rng(2), 0, 60
    for _ in range(rounds):
        agree = np.repeat(chance.random(16) < 0.7, 8)
        one = np.array(list("xy"))[chance.integers(0, 2, 128)]
        other = np.where(agree, one, np.where(one == "x", "y", "x"))
        row = only(with_prompts(rated({"a": one, "b": other}), 8))
        held += row["low"] <= 0.7 <= row["high"]
    assert held / rounds > 0.95 - 0.07  # 2.5 standard errors; of the pictures' own it is .5


def test_a_scorer_is_compared_with_each_rater():
    answers = rated({"ann": "55?4", "bob": "5444"}).assign(found=[5, 5, 4, None, 5, 5, 4, None])
    out = stats.agreement(answers, scorer="found").set_index("of")
    assert out.kind.tolist() == ["two raters", "scorer", "scorer"]
    assert out.share[["ann · found", "bob · found"]].tolist() == [1, 2 / 3]
    assert out.cannot_tell["ann · found"] == 2
    yes = rated({"ann": ["yes", "no"]}).assign(right=pd.array([True, False], "boolean"))
    assert only(yes, scorer="right")["share"] == 1


def test_a_scorer_that_gives_other_answers_is_refused():
    answers = rated({"ann": ["yes", "no"]}).assign(found=[0.3, 0.9])
    with pytest.raises(ValueError, match="found.* has 0.3, 0.9, and no answer is such: .*no, yes"):
        stats.agreement(answers, scorer="found")
    with pytest.raises(ValueError, match="did you mean 'found'"):
        stats.agreement(answers, scorer="foudn")


def test_votes_and_answers_on_pairs_agree_whichever_picture_stands_left(tmp_path):
    opinions = Opinions(tmp_path)
    for rater, left, right, vote in [
        ("ann", "x", "y", "left"),
        ("bob", "y", "x", "right"),
        ("ann", "x", "z", "tie"),
        ("bob", "z", "x", "tie"),
        ("ann", "y", "z", "left"),
        ("bob", "y", "z", "right"),
    ]:
        opinions.vote(left, right, vote, rater=rater)
        opinions.answer((left, right), vote, question="closer?", rater=rater)
    assert only(opinions.votes())["share"] == 2 / 3
    assert "3 pairs cannot tell" in only(opinions.votes())["note"]
    row = only(opinions.answers())
    assert (row["question"], row["share"], row["n"]) == ("closer?", 2 / 3, 3)


def cast_votes(n=60):
    """Votes of two raters on pairs of two models, four seeds a prompt, by keys that tell nothing."""
    chance = np.random.default_rng(3)
    keys = [f"{k:08x}" for k in chance.permutation(2 * n)]
    frame = pd.DataFrame({"key": keys, "model": ["old", "new"] * n, "score": chance.random(2 * n)})
    frame["prompt"] = [f"prompt {i // 8}" for i in range(2 * n)]
    words = {
        "ann": chance.choice(["left", "right", "tie"], n, p=[0.1, 0.7, 0.2]),
        "bob": chance.choice(["left", "right", "tie"], n, p=[0.2, 0.6, 0.2]),
    }
    turned = {"left": "right", "right": "left", "tie": "tie"}
    rows = []
    for rater, said in words.items():
        for i, word in enumerate(said):
            pair = keys[2 * i], keys[2 * i + 1]
            if chance.random() < 0.5:
                pair, word = pair[::-1], turned[word]
            rows.append((*pair, word, rater))
    return pd.DataFrame(rows, columns=["left", "right", "vote", "rater"]), frame, words


def test_votes_on_pairs_agree_by_what_was_compared_and_not_by_the_keys():
    votes, frame, words = cast_votes()
    shares = [{w: np.mean(said == w) for w in ("left", "right", "tie")} for said in words.values()]
    same, chance = (
        np.mean(words["ann"] == words["bob"]),
        sum(shares[0][word] * shares[1][word] for word in shares[0]),
    )
    wanted = (same - chance) / (1 - chance)
    told = only(votes, frame=frame)
    assert told["kappa"] == pytest.approx(wanted) and told["share"] == pytest.approx(same)
    assert (told["n"], told["prompts"]) == (60, 15)
    named = frame.set_index("key")["model"]
    sides = {f"{side}_model": votes[side].map(named) for side in ("left", "right")}
    assert only(votes.assign(**sides))["kappa"] == pytest.approx(wanted)  # as `Judge` has them
    assert only(votes)["kappa"] != pytest.approx(wanted, abs=1e-3)
    untold = "; what was compared is not told (frame=): left and right are as a pair first stood"
    assert only(votes)["note"].endswith(untold) and "not told" not in told["note"]
    first = votes["left"].map(named) == "old"
    kept = votes[first].groupby("left").filter(lambda part: len(part) == 2)
    alike = [
        words[rater][frame.index[frame.key == k][0] // 2] for rater, k in zip(kept.rater, kept.left)
    ]
    assert kept["vote"].tolist() == alike
    assert only(kept)["kappa"] == pytest.approx(only(kept, frame=frame)["kappa"])


def test_how_many_prompts_there_are_is_missing_where_none_is_told():
    votes, frame, _ = cast_votes()
    assert pd.isna(only(votes)["prompts"]) and only(votes, frame=frame)["prompts"] == 15


def test_a_scorer_says_which_of_a_pair_is_better():
    votes, frame, words = cast_votes()
    score = frame["score"].round(1)  # some are equal
    frame = frame.assign(score=score)
    old, new = score[::2].to_numpy(), score[1::2].to_numpy()
    better = np.select([old > new, new > old], ["left", "right"], "tie")
    assert "tie" in better
    found = stats.agreement(votes, frame, scorer="score").query("kind == 'scorer'")
    assert found["share"].tolist() == [np.mean(better == said) for said in words.values()]
    own = votes.merge(
        frame.assign(word=np.repeat(better, 2))[["key", "word", "model"]],
        "left",
        left_on="left",
        right_on="key",
    ).drop(columns="key")
    turned = own["word"].map({"left": "right", "right": "left", "tie": "tie"})
    own["said"] = own["word"].where(own["model"] == "old", turned)  # as the row has its sides
    again = stats.agreement(own.drop(columns="model"), scorer="said").query("kind == 'scorer'")
    assert again["share"].tolist() == found["share"].tolist()


def test_the_answers_of_a_store_are_matched_with_its_pictures_whether_of_one_or_of_two(tmp_path):
    """`Store.answers()` always has `key`, `left` and `right`, of which most are empty."""
    votes, frame, _ = cast_votes()
    opinions = Opinions(tmp_path)
    drawn = frame["score"].to_numpy() > 0.5
    for rater, odd in (("ann", 3), ("bob", 4)):
        for n, (key, found) in enumerate(zip(frame["key"], drawn)):
            said = "yes" if bool(found) ^ (n % odd == 0) else "no"
            opinions.answer(key, said, question="drawn?", rater=rater)
    single = opinions.answers()
    bare = single.drop(columns=["left", "right"])
    frame = frame.assign(drawn=drawn)
    found = stats.agreement(single, frame, scorer="drawn")
    assert found["prompts"].tolist() == [15] * 3 and not found["note"].str.contains("frame=").any()
    pd.testing.assert_frame_equal(found, stats.agreement(bare, frame, scorer="drawn"))
    for _, left, right, vote, rater in votes.itertuples():
        opinions.answer((left, right), vote, question="better?", rater=rater)
    both = stats.agreement(opinions.answers(), frame, scorer="drawn")
    pairs = opinions.answers().query("question == 'better?'").drop(columns="key")
    own = stats.agreement(pairs, frame, scorer="drawn")
    expected = pd.concat([found, own], ignore_index=True)
    pd.testing.assert_frame_equal(both, expected, check_dtype=False)


def test_a_frame_of_other_pictures_is_refused():
    votes, frame, _ = cast_votes()
    with pytest.raises(ValueError, match="no answer is about a picture of this frame"):
        stats.agreement(votes, frame.assign(key="other " + frame.key))
    with pytest.raises(ValueError, match="no vote is on two pictures with another prompt"):
        stats.agreement(votes, frame, by="prompt")


def test_questions_are_kept_apart():
    answers = pd.concat(
        [
            rated({"a": "xy", "b": "xy"}).assign(question="hands?"),
            rated({"a": "xy", "b": "yx"}).assign(question="legs?"),
        ]
    )
    out = stats.agreement(answers)
    assert out[["question", "share"]].values.tolist() == [["hands?", 1], ["legs?", 0]]


@pytest.mark.parametrize(
    "given, message",
    [
        ({"answers": rated({"a": "xy"})}, "nothing to compare: one rater"),
        ({"answers": rated({"a": "xy", "b": "xy"}), "order": "x"}, "also the answer 'y'"),
        ({"answers": rated({"a": "xy", "b": "xy"}), "order": "xyx"}, "stands there twice"),
        ({"answers": rated({}).drop(columns="rater")}, "'rater' is no column"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_what_is_allowed(given, message):
    with pytest.raises(ValueError, match=message):
        stats.agreement(**given)


def test_agreement_has_a_figure():
    figure = stats.plot(stats.agreement(rated(FOUR)), title="fingers")
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels[0] == "all raters · A · B · C · D" and len(labels) == 7
