"""Probes: questions as data, and the sweeps that put them."""

import itertools
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sdlab import PROBES, Request, measure, models, probe, run, stats, sweep
from sdlab.errors import FieldError
from sdlab.models.checkpoint import read_tokenizer
from sdlab.recipe.request import FIELDS
from sdlab.recipe.sweep import Sweep
from sdlab.results.probes import Probe
from sdlab.results.probes.little import choose_words
from sdlab.results.scorers import lettering
from sdlab.results.scorers.objects import find_wishes
from sdlab.results.scorers.signs import find_said
from sdlab.store.columns import FACTS
from sdlab.tiny.signs import HELD_OUT, SHOWN
from sdlab.tiny.world import V1, V2
from training.samples import HELD_OUT_SHAPES, is_held_out_pair

LITTLE = [row for row in PROBES.values() if row.models == ("tiny-v1", "tiny-v2")]
WORDS = tuple(f"a cat number {n}" for n in range(8))


def name_of(row):
    return row.name


@pytest.mark.parametrize("row", PROBES.values(), ids=name_of)
def test_a_probe_has_eight_wordings_a_question_and_an_answer(row):
    assert PROBES[row.name] is row and row.question.endswith("?")
    assert len(set(row.prompts)) == len(row.prompts) >= 8
    assert all(f.figure and f.source and f.differs for f in row.findings)
    with warnings.catch_warnings(action="error"):
        cells = probe(row.name)
    told = {(cell, *sorted(cell.labels.items())) for cell in cells}
    assert len(cells) == row.cells * len(row.models) == len(told)
    assert {cell.model for cell in cells} == set(row.models)


@pytest.mark.parametrize("row", [r for r in PROBES.values() if r.scorer != "people"], ids=name_of)
def test_a_probes_column_is_one_that_its_scorer_gives(row, monkeypatch):
    monkeypatch.setattr(
        lettering, "open_reader", lambda: (None, "no engine is needed for no picture")
    )
    requests = row.list_requests()
    nothing = pd.DataFrame({name: [getattr(r, name) for r in requests] for name in FIELDS})
    nothing = nothing.assign(wording="", arm="", path=None)
    assert row.column in {*measure(nothing, row.scorer, progress=False), *FACTS}


@pytest.fixture(scope="module")
def count_tokens():
    tokenizer = read_tokenizer(Path(models.__file__).parent / "configs" / "v1")
    return lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"])


@pytest.mark.parametrize(
    "row", [row for row in PROBES.values() if not row.name.startswith("tiny-")], ids=name_of
)
def test_v1_reads_a_probes_prompts_whole(row, count_tokens):
    chunks = "chunks" in row.axes.get("prompt_syntax", ())
    for request in row.list_requests():
        assert chunks or count_tokens(request.prompt) <= 75


def test_the_end_of_a_long_prompt_is_beyond_what_v1_reads_at_once(count_tokens):
    for request in PROBES["long-prompt"].list_requests():
        before, *after = request.prompt.split(request.labels["wording"])
        assert (count_tokens(before) >= 75) == (request.labels["arm"] == "last")
        assert len(after) == 1


@pytest.mark.parametrize("row", LITTLE, ids=name_of)
def test_probes_of_the_little_worlds_name_what_both_models_were_shown(row):
    for request in row.list_requests():
        wishes = find_wishes(request.prompt)
        names = [wish.name for wish in wishes]
        assert wishes and all(" " in name or {name} <= {*V1.names} & {*V2.names} for name in names)
        unseen = any(name in HELD_OUT_SHAPES for name in names) or any(
            is_held_out_pair(*pair) for pair in itertools.combinations(set(names), 2)
        )
        assert unseen == (request.labels.get("arm") == "never shown")


def test_the_words_of_a_probe_come_from_the_whole_alphabet():
    for words in (SHOWN, HELD_OUT):
        for n in range(1, 7):
            every = [word for word in words if len(word) == n]
            places = [every.index(word) for word in choose_words(words, (n,))]
            assert len(places) == 8 and max(np.diff([-1, *places, len(every)])) <= len(every) / 6


def test_the_probe_of_lettering_asks_for_words_that_were_shown_or_not_as_its_arms_say():
    row = PROBES["tiny-lettering"]
    asked = [(r.labels["arm"], find_said(r.prompt).split()) for r in row.list_requests()]
    for arm, words in asked:
        *before, word = words
        assert before == (["no"] if arm.endswith("two words") else [])
        assert (word in HELD_OUT) == arm.startswith("never") != (word in SHOWN)
        lengths = {int(n) for n in arm if n.isdigit()} or {3, 4}
        assert len(word) in lengths
    assert len({(arm, *words) for arm, words in asked}) == len(asked)
    assert ("never shown, two words", ["no", "war"]) in asked


def test_a_probe_is_a_sweep_whose_requests_say_what_they_are_for():
    cells = probe("tiny-binding")
    assert isinstance(cells, Sweep) and cells.base.labels == {"probe": "tiny-binding"}
    base = Request(labels={"probe": "tiny-binding"})
    row = PROBES["tiny-binding"]
    assert cells == sweep(base, model=["tiny-v1", "tiny-v2"], prompt=row.prompts, seed=range(4))
    assert all(cell.labels == {"probe": "tiny-binding"} for cell in cells)


def test_arms_of_a_wording_share_it_as_a_label():
    cells = probe("tiny-cure", model="tiny-v1", seed=0)
    rows = pd.DataFrame([dict(cell.labels, negative=cell.negative_prompt) for cell in cells])
    assert rows.groupby("wording")["arm"].apply(list).tolist() == [
        ["none", "negative prompt", "placebo"]
    ] * len(PROBES["tiny-cure"].prompts)
    assert rows.query("wording == 'a car, not a bus'")["negative"].tolist() == [
        "",
        "a bus",
        "a key",
    ]
    assert set(cells.axes["prompt"]) == set(PROBES["tiny-cure"].prompts)


def test_the_control_of_negation_asks_for_what_the_wording_rules_out():
    for request in PROBES["tiny-negation"].list_requests():
        out = [wish.name for wish in find_wishes(request.labels["wording"]) if not wish.wanted]
        named = {wish.name: wish.wanted for wish in find_wishes(request.prompt)}
        expected = {"ruled out": False, "not named": None, "asked for": True}
        assert [named.get(name) for name in out] == [expected[request.labels["arm"]]]


def test_any_field_may_take_the_place_of_the_probes_own():
    cells = probe("tiny-counting", model="tiny-v2", seed="7-8", guidance_scale=[1, 9], eta=0.5)
    assert len(cells) == 8 * 3 * 2 * 2
    assert {(c.model, c.seed, c.guidance_scale, c.eta) for c in cells} == {
        ("tiny-v2", seed, scale, 0.5) for seed in (7, 8) for scale in (1, 9)
    }
    assert {cell.prompt for cell in probe("tiny-binding", prompt="a dog")} == {"a dog"}


@pytest.mark.parametrize(
    "name, axes, error, says",
    [
        (
            "tiny-countin",
            {},
            ValueError,
            "unknown probe 'tiny-countin'; did you mean 'tiny-counting'",
        ),
        (["tiny-cure"], {}, ValueError, "unknown probe .'tiny-cure'"),
        ("tiny-counting", {"sed": 1}, TypeError, "unknown axis 'sed'; did you mean 'seed'"),
        ("tiny-counting", {"prompt": "a dog"}, FieldError, "prompt: the arms .*two, three, four"),
        ("tiny-cure", {"negative_prompt": ""}, FieldError, "negative_prompt: the arms"),
    ],
)
def test_what_a_probe_cannot_put_is_refused(name, axes, error, says):
    with pytest.raises(error, match=says):
        probe(name, **axes)


def test_a_model_of_another_world_is_warned_of():
    with pytest.warns(UserWarning, match="'tiny-binding' is about the .* sd-v1-5 knows") as caught:
        probe("tiny-binding", model=["tiny-v1", "sd-v1-5"])
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="about the embedded models of signs, and tiny-v1 knows"):
        probe("tiny-lettering", model=["tiny-signs", "tiny-v1"])


@pytest.mark.parametrize(
    "row, says",
    [
        (dict(prompts=WORDS[:7]), "7 different wordings of 7"),
        (dict(prompts=(*WORDS, WORDS[0])), "8 different wordings of 9"),
        (dict(column=""), "what its answer is"),
        (dict(arms={"a": {"prompt": ("x",)}}), "1 values of prompt in an arm, and 8 wordings"),
        (dict(arms={"a": {"promt": "x"}}), "did you mean 'prompt'"),
    ],
)
def test_a_probe_that_cannot_answer_is_refused_when_it_is_made(row, says):
    whole = dict(name="mine", question="What?", prompts=WORDS, scorer="pixels", column="x")
    with pytest.raises((TypeError, ValueError), match=says):
        Probe(**whole | row)


def test_a_probe_of_ones_own_is_put_like_the_others(monkeypatch):
    row = Probe(
        name="mine", question="What?", prompts=WORDS, rule="it smiles", seeds=2, models=("tiny-v1",)
    )
    monkeypatch.setitem(PROBES, "mine", row)
    assert len(probe("mine")) == 16 and row.answer == "people: it smiles"


def test_the_table_is_a_frame_and_a_page():
    frame = PROBES.frame
    assert list(frame.index) == list(PROBES) and frame["cells a model"]["tiny-cure"] == 8 * 3 * 4
    page = PROBES._repr_html_()
    assert page.count("<tr") == len(PROBES) + 1 and "Are there as many" in page
    assert "a car, not a bus" in PROBES["tiny-cure"]._repr_html_()


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    cells = [*probe("tiny-cure", seed=0, num_inference_steps=1, model="tiny-v1")]
    cells += probe("tiny-negation", seed=0, num_inference_steps=1)
    return measure(run(cells, tmp_path_factory.mktemp("store"), progress=False), "objects")


def test_arms_and_models_can_be_compared_probe_by_probe(results):
    cure = results.query("probe == 'tiny-cure'")
    arms = stats.paired(cure, "objects_right", by="arm", each="probe")
    assert arms["n"].tolist() == [8] and arms["over"].tolist() == ["prompt"]
    rates = stats.rate(cure, "objects_right", by=["model", "arm"])
    assert rates["arm"].tolist() == ["none", "negative prompt", "placebo"]
    models = results.query("probe == 'tiny-negation' and arm == 'ruled out'")
    assert stats.paired(models, "objects_avoided", each="probe")["n"].tolist() == [8]


def make_answers(*names):
    """A frame of probes that is scored already: all things are there, half stand as they should."""
    cells = [cell for name in names for cell in probe(name, seed=0)]
    rows = [
        {"model": c.model, "prompt": c.prompt, "seed": c.seed, "path": "a.png", **c.labels}
        for c in cells
    ]
    half = [n % 4 < 2 for n in range(len(rows))]
    return pd.DataFrame(rows).assign(objects_right=True, objects_relation=half)


def test_a_statistic_of_a_probe_takes_the_probes_own_column():
    frame = make_answers("tiny-relations")
    out = stats.rate(frame, by="model")
    assert list(out["share"]) == [0.5, 0.5] and PROBES["tiny-relations"].guessing == 0.5
    pd.testing.assert_frame_equal(out, stats.rate(frame, "objects_relation", by="model"))
    assert set(stats.paired(frame)["column"]) == {"objects_relation"}
    assert stats.yield_curve(frame, k=1)["best"][0] == 0.5
    both = stats.paired(make_answers("tiny-counting", "tiny-relations"), each="probe")
    assert list(both["column"]) == ["objects_right", "objects_relation"]


def test_shares_and_verdicts_say_how_they_lie_to_guessing():
    frame = make_answers("tiny-relations")
    first = frame["model"][0]
    rates = stats.rate(frame, by="model")
    over = "guessing (50%), over left of, right of, above and below"
    assert set(rates["verdict"]) == {f"not told apart from {over}"}
    said = stats.Claim("it keeps left from right", rates).verdicts
    assert said[0].endswith(f"not told apart from {over}") and "50%, 16 of 32" in said[0]
    assert stats.plot(rates).axes[0].get_xlabel().endswith("| is guessing")
    assert stats.paired(frame)["verdict"][0].endswith("; neither is told apart from guessing (50%)")
    frame.loc[frame["model"] == first, "objects_relation"] = True
    assert stats.rate(frame, by="model")["verdict"][0] == f"above {over}"
    assert stats.paired(frame)["verdict"][0].endswith(
        f"; {first} is above guessing (50%), tiny-v2 is not told apart from guessing (50%)"
    )
    frame["objects_relation"] = True
    assert "guessing" not in stats.paired(frame)["verdict"][0]


def test_guessing_is_told_of_all_arms_of_its_own_column_alone():
    frame = make_answers("tiny-relations")
    apart = stats.rate(frame, by=["arm", "model"])
    assert "guessing" not in apart and apart["verdict"].str.startswith("alone this may be").all()
    assert "guessing" not in stats.rate(frame[frame["arm"] != "above"])
    sides = stats.rate(frame[frame["arm"].isin(["left of", "right of"])], by="model")
    assert list(sides["guessing"]) == [0.5, 0.5]
    alone = stats.paired(frame, each="arm")["verdict"]
    assert alone.str.endswith("; alone this may be a habit: look at it with its opposite").all()
    with pytest.warns(UserWarning, match="does not tell that"):
        assert "guessing" not in stats.rate(frame, "objects_right")
    both = make_answers("tiny-counting", "tiny-relations").assign(objects_right=True)
    with pytest.warns(UserWarning, match="does not tell that"):
        assert "guessing" not in stats.rate(both, "objects_right")


def test_the_better_side_is_that_of_the_columns_own_probe_and_no_habit_is_better():
    frame = make_answers("tiny-relations")
    frame["objects_relation"] = frame["model"] == "tiny-v1"
    one = {"left": "tiny-v2", "right": "tiny-v1"}
    assert stats.paired(frame, **one)["verdict"][0].startswith("tiny-v1 better")
    alone = stats.paired(frame[frame["arm"] == "above"], **one)["verdict"][0]
    assert alone == "tiny-v1 higher; alone this may be a habit: look at it with its opposite"
    posters = make_answers("negative-prompt").assign(lettering_any=lambda f: f["arm"] == "none")
    assert PROBES["negative-prompt"].better == "lower"
    sides = {"by": "arm", "left": "none", "right": "negative prompt"}
    told = "arm negative prompt better than arm none"
    assert stats.paired(posters, **sides)["verdict"][0] == told
    assert stats.paired(posters, "lettering_any", **sides)["verdict"][0] == told
    told = "arm none better than arm negative prompt"
    assert stats.paired(posters, **sides, better="higher")["verdict"][0] == told
    other = posters.rename(columns={"lettering_any": "mine"})
    assert stats.paired(other, "mine", **sides)["verdict"][0] == told
    light = make_answers("tiny-brightness").assign(
        pixels_brightness=lambda f: f["model"] == "tiny-v1"
    )
    assert stats.paired(light, **one)["verdict"][0] == "tiny-v1 higher"


def test_arms_far_apart_are_told_where_they_are_counted_together():
    frame = make_answers("tiny-counting")
    first, *_, last = frame["arm"].unique()
    assert "verdict" not in stats.rate(frame, by="model")
    frame["objects_right"] = frame["arm"] != last
    told = f"its arms differ, 0% ({last}) to 100% ({first}): see them by 'arm'"
    assert set(stats.rate(frame, by="model")["verdict"]) == {told}
    assert "verdict" not in stats.rate(frame, by=["arm", "model"])
    said = stats.paired(frame, by="arm", left=first, right=last)["verdict"][0]
    assert said == f"arm {first} better than arm {last}"


def test_tries_are_pictures_of_one_prompt_not_of_all_arms():
    frame = make_answers("tiny-relations")
    frame = pd.concat([frame, frame.assign(seed=1)])
    frame["objects_relation"] = frame["arm"] == "left of"  # it puts all things left
    assert list(stats.yield_curve(frame[frame["model"] == "tiny-v1"])["best"]) == [0.25, 0.25]


def test_yields_count_wordings_and_begin_where_the_rate_stands():
    frame = make_answers("tiny-relations")
    frame = pd.concat([frame, frame.assign(seed=1)], ignore_index=True)
    frame["objects_relation"] = np.random.default_rng(0).random(len(frame)) < 0.6
    rates, curves = (ask(frame, by="model") for ask in (stats.rate, stats.yield_curve))
    first = curves[curves["k"] == 1].reset_index(drop=True)
    same = ["low", "high", "prompts", "n", "guessing", "verdict"]
    pd.testing.assert_frame_equal(first[same], rates[same])
    assert list(first["best"]) == pytest.approx(list(rates["share"])) and set(rates["prompts"]) == {
        8
    }
    cure = make_answers("tiny-cure").assign(negative_prompt=lambda f: f["arm"])
    assert cure["prompt"].nunique() == cure["wording"].nunique() == 8
    assert list(stats.yield_curve(cure, "objects_right")["k"]) == [1]  # an arm is no further try


def test_the_best_of_several_is_measured_by_what_guessing_several_times_gives():
    frame = make_answers("tiny-relations").query("model == 'tiny-v1'")
    frame = pd.concat([frame.assign(seed=seed) for seed in range(3)], ignore_index=True)
    habit = frame.assign(objects_relation=frame["arm"].isin(["left of", "above"]))
    curve = stats.yield_curve(habit)
    assert list(curve["best"]) == [0.5] * 3
    assert list(curve["guessing"]) == pytest.approx([0.5, 0.75, 0.875])
    over = ", over left of, right of, above and below"
    told = f"not told apart from guessing (88% by the best of 3){over}"
    assert curve["verdict"][2] == told
    assert stats.Claim("it learns by trying", curve).verdicts[0].endswith(f" of 8 prompts: {told}")
    figure = stats.plot(curve).axes[0]
    assert list(figure.lines[-1].get_ydata()) == list(curve["guessing"])
    assert figure.get_legend().get_texts()[-1].get_text() == "guessing anew each time"
    sure = stats.yield_curve(frame.assign(objects_relation=True))["verdict"]
    assert sure[0].startswith("above guessing (50%)") and not sure[2].startswith("below")
    never = stats.yield_curve(frame.assign(objects_relation=False))["verdict"]
    assert never.str.startswith("below guessing").all()
    one = stats.yield_curve(frame[frame["arm"] == "above"])
    assert "guessing" not in one and one["verdict"].str.startswith("alone this may be").all()
    other = make_answers("tiny-counting")
    assert not {"guessing", "verdict"} & {*stats.yield_curve(other)}


def test_pictures_that_are_not_measured_yet_are_said_to_be_so():
    frame = make_answers("tiny-counting").drop(columns="objects_right")
    for ask in (stats.rate, stats.paired, stats.yield_curve):
        with pytest.raises(ValueError, match=r"measure the pictures first, measure\(frame\)"):
            ask(frame)
        with pytest.raises(ValueError, match="no rows; does a query leave nothing over"):
            ask(frame[:0])
    with pytest.raises(ValueError, match="by and each are both 'model'"):
        stats.paired(make_answers("tiny-counting"), each="model")
    with pytest.raises(KeyError, match="did you mean 'tiny-counting'"):
        PROBES["tiny-countin"]


def test_a_column_that_does_not_answer_the_probe_is_named_aloud():
    frame = make_answers("tiny-relations")
    for ask in (stats.rate, stats.paired, stats.yield_curve):
        with pytest.warns(UserWarning, match="scored by 'objects_relation'.*'objects_right'"):
            ask(frame, "objects_right")
    with warnings.catch_warnings(action="error"):
        stats.paired(frame, ["objects_right", "objects_relation"])
        stats.rate(frame.drop(columns="probe"), "objects_right")


@pytest.mark.parametrize(
    "names, words",
    [
        ((), "no column 'probe'"),
        (("hands",), "people judge it"),
        (("tiny-counting", "tiny-relations"), "different ones.*'tiny-counting' 'objects_right'"),
    ],
)
def test_without_one_question_the_column_must_be_named(names, words):
    frame = make_answers(*(names or ("tiny-counting",)))
    with pytest.raises(ValueError, match=words):
        stats.rate(frame if names else frame.drop(columns="probe"))


def test_measure_takes_the_scorers_of_the_frames_probes(monkeypatch):
    from sdlab import SCORERS

    monkeypatch.setitem(SCORERS, "objects", lambda frame: {"objects_told": [1] * len(frame)})
    frame = make_answers("tiny-counting", "tiny-relations")
    assert measure(frame)["objects_told"].eq(1).all()
    with pytest.raises(TypeError, match="is for people"):
        measure(make_answers("hands"))
    with pytest.raises(TypeError, match="name at least one scorer"):
        measure(frame.drop(columns="probe"))
