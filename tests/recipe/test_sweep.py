"""Axes, their text syntax, and the order of a sweep."""

import itertools
import warnings

import numpy as np
import pandas as pd
import pytest

from sdlab import Request, sweep
from sdlab.recipe.axes import count_readings, read_choices, read_numbers, split_words


def test_a_sweep_is_the_product_of_its_axes_with_the_last_one_fastest():
    cells = sweep(Request(prompt="a cat"), guidance_scale=[1, 3, 7.5], seed=range(4))
    expected = [
        Request(prompt="a cat", guidance_scale=g, seed=s)
        for g, s in itertools.product([1, 3, 7.5], range(4))
    ]
    assert cells == expected


@pytest.mark.parametrize(
    "text, values",
    [
        ("1-5", [1, 2, 3, 4, 5]),
        ("1-10 (+2)", [1, 3, 5, 7, 9]),
        ("1-10 [5]", [1, 3, 5, 7, 10]),
        ("10-1 (-3)", [10, 7, 4, 1]),
        ("10-1 (-2)", [10, 8, 6, 4, 2]),
        ("-5--1", [-5, -4, -3, -2, -1]),
        ("3, 1,2-3", [3, 1, 2, 3]),
        ("5-3", [5, 4, 3]),
        ("7", [7]),
    ],
)
def test_whole_number_ranges(text, values):
    assert read_numbers(text, whole=True) == values


@pytest.mark.parametrize(
    "text, values",
    [
        ("0-1", [0, 1]),
        ("0-1 (+0.25)", [0, 0.25, 0.5, 0.75, 1]),
        ("0-1 [5]", [0, 0.25, 0.5, 0.75, 1]),
        (".5-1", [0.5]),
        ("0-1 (+0.3)", [0, 0.3, 0.6, 0.9]),
        ("1e-1-1 (+.3)", [0.1, 0.4, 0.7, 1.0]),
        ("7.5, 3", [7.5, 3]),
        ("0.1-0.3 (+0.1)", [0.1, 0.2, 0.3]),
    ],
)
def test_real_ranges_end_where_they_say_and_are_exact(text, values):
    assert read_numbers(text, whole=False) == values


@pytest.mark.parametrize(
    "text, says",
    [
        ("1-5(1)", r"a step needs its sign"),
        ("a", "neither a number nor a range; ranges"),
        ("1, 3 6; 9", "nor a range: commas part numbers, as in “3, 6, 9”; ranges are written"),
        ("3 a", "neither a number nor a range; ranges"),
        ("1-5 (-1)", "never arrives"),
        ("1-5 (+0)", "never arrives"),
        ("0-1 (+x)", "not a step"),
        ("0-9999999", "more than"),
        ("1-5 [0]", "ask for 1"),
        ("1.5", "whole number"),
        ("0-1.5", "1.5 in '0-1.5' is not a whole number"),
        ("0.5-2 [4]", "0.5 in .* is not a whole number"),
        ("", "no values|neither"),
    ],
)
def test_a_range_that_is_none_is_explained(text, says):
    with pytest.raises(ValueError, match=f"seed.*({says})"):
        sweep(Request(), seed=text)


def test_values_given_twice_count_once_and_keep_their_order():
    assert [c.seed for c in sweep(Request(), seed=[3, 1, 3, 2])] == [3, 1, 2]
    assert [c.guidance_scale for c in sweep(Request(), guidance_scale=[4, 4.0])] == [4.0]


def test_arrays_one_value_and_None_are_axes_too():
    assert [c.guidance_scale for c in sweep(Request(), guidance_scale=np.linspace(1, 2, 3))] == [
        1.0,
        1.5,
        2.0,
    ]
    assert [c.seed for c in sweep(Request(), seed=5)] == [5]
    assert [c.height for c in sweep(Request(), height=[None, 64])] == [None, 64]


def test_commas_belong_to_a_prompt_and_separate_names():
    assert [c.prompt for c in sweep(Request(), prompt="a cat, big")] == ["a cat, big"]
    assert [c.prompt for c in sweep(Request(), prompt=["a, b", "c"])] == ["a, b", "c"]
    assert [c.scheduler for c in sweep(Request(), scheduler="DDIM, PNDM")] == ["DDIM", "PNDM"]
    assert split_words('cat, "dog, big", "say ""hi"""') == ["cat", "dog, big", 'say "hi"']


@pytest.mark.parametrize(
    "axes, says",
    [
        ({"guidance": [1]}, "unknown axis 'guidance'; did you mean 'guidance_scale'"),
        ({"steps": [1]}, "did you mean 'num_inference_steps'"),
        ({"cfg": [1]}, "did you mean 'guidance_scale'"),
        ({"seed": []}, "no values"),
        ({"seed": {"a": 1}}, "mapping"),
        ({"labels": [1]}, "unknown axis"),
    ],
)
def test_a_wrong_axis_is_refused_by_name(axes, says):
    with pytest.raises((TypeError, ValueError), match=says):
        sweep(Request(), **axes)


def test_an_endless_axis_and_a_giant_sweep_are_refused():
    with pytest.raises(ValueError, match="endless"):
        sweep(Request(), seed=itertools.count())
    with pytest.raises(ValueError, match="1,001,000 pictures"):
        sweep(Request(), seed=range(1001), guidance_scale="1-1000")


def test_search_and_replace_acts_on_both_prompts_and_names_its_choice():
    cells = sweep(Request(prompt="a red cat", negative_prompt="cat hair"), replace="cat, dog")
    assert [(c.prompt, c.negative_prompt, c.labels) for c in cells] == [
        ("a red cat", "cat hair", {"cat": "cat"}),
        ("a red dog", "dog hair", {"cat": "dog"}),
    ]


def test_several_searches_are_several_axes():
    cells = sweep(Request(prompt="a red cat"), replace={"cat": ["dog"], "red": "blue, green"})
    assert [c.prompt for c in cells] == [
        "a red cat",
        "a blue cat",
        "a green cat",
        "a red dog",
        "a blue dog",
        "a green dog",
    ]


@pytest.mark.parametrize(
    "replace, says",
    [("hamster, dog", "contains 'hamster'"), ("cat", "at least one"), ("", "at least one|give")],
)
def test_a_search_that_finds_nothing_is_an_error(replace, says):
    with pytest.raises(ValueError, match=says):
        sweep(Request(prompt="a cat"), replace=replace)


def test_choices_in_a_prompt_are_all_taken_and_named():
    cells = sweep(Request(prompt="a {colour=red|blue} {cat|dog}"), seed=range(2))
    assert [c.prompt for c in cells[:4]] == ["a red cat", "a red dog", "a blue cat", "a blue dog"]
    assert cells[1].labels == {"colour": "red", "cat|dog": "dog"} and len(cells) == 8


@pytest.mark.parametrize(
    "prompt, name", [("{|very} big", "none|very"), ("{x| }", "x|none"), ("{how=|very}", "how")]
)
def test_an_empty_choice_is_called_none_where_the_choices_name_themselves(prompt, name):
    assert [list(labels) for _, labels in read_choices(prompt)] == [[name], [name]]
    assert "" in {labels[name] for _, labels in read_choices(prompt)}


@pytest.mark.parametrize(
    "prompt, texts",
    [
        ("{a|b {c|d}}", ["a", "b c", "b d"]),
        ("{2$$a|b|c}", ["a, b", "a, c", "b, c"]),
        ("{1-2$$ and $$a|b}", ["a", "b", "a and b"]),
        ("{|very} big", [" big", "very big"]),
        (r"\{a\|b\}", ["{a|b}"]),
        ("plain", ["plain"]),
        ("{a|a}", ["a"]),
        ("{a|b|a|a }", ["a", "b"]),
        ("{1-2$$a|a|b}", ["a", "b", "a, b"]),
        ("{1::a|3::a|b}", ["a", "b"]),
        ("{c|{a|c}|a}", ["c", "a"]),
        ("{x|}{|x}", ["x", "xx", ""]),
        ("a|b", ["a|b"]),
    ],
)
def test_the_readings_of_a_prompt(prompt, texts):
    with warnings.catch_warnings(action="ignore"):  # of weights
        assert [text for text, _ in read_choices(prompt)] == texts
        assert count_readings(prompt) == len(texts)


def test_no_choice_makes_a_cell_twice():
    cells = sweep(Request(prompt="{a|a|b}", negative_prompt="{c|{c|d}}"), seed="1-2")
    assert len(cells) == len({(c.prompt, c.negative_prompt, c.seed) for c in cells}) == 8


def test_a_choice_that_occurs_twice_gets_a_number():
    assert read_choices("{a|b} {a|b}")[1] == ("a b", {"a|b": "a", "a|b 2": "b"})


def test_cells_that_share_prompts_keep_their_own_labels():
    base = Request(prompt="a cat and a dog, {red|blue}", labels={"why": ["no", "hash"]})
    cells = sweep(base, replace={"cat": ["dog"], "dog": ["cat"]}, seed=range(2))
    twice = [cell for cell in cells if cell.prompt == "a cat and a cat, blue"]
    assert [(c.seed, c.labels["cat"], c.labels["dog"], c.labels["red|blue"]) for c in twice] == [
        (seed, text, "cat", "blue") for seed in range(2) for text in ("cat", "dog")
    ]


def test_choices_in_both_prompts_keep_their_own_labels():
    cells = sweep(Request(prompt="a {red|blue} cat", negative_prompt="{red|blue}"))
    assert cells[1].labels == {"red|blue": "red", "red|blue 2": "blue"}


@pytest.mark.parametrize(
    "prompt, says",
    [
        ("{a|b", "without its partner"),
        ("a}", "without its partner"),
        ("{4$$a|b}", "cannot take 4 of 2"),
        ("{a|b}" * 20, "1,048,576 readings"),
    ],
)
def test_a_prompt_that_cannot_be_read_is_explained(prompt, says):
    with pytest.raises(ValueError, match=says):
        sweep(Request(prompt=prompt))


def test_weights_of_choices_are_ignored_aloud():
    with pytest.warns(UserWarning, match="weights are ignored"):
        assert [text for text, _ in read_choices("{0.5::a|3::b}")] == ["a", "b"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_choices("{10 cats|a::b}")


STEPS = [1.0, 1.1, 1.2, 1.3, 1.4]


@pytest.mark.parametrize(
    "given",
    [
        np.arange(1, 1.5, 0.1),
        np.arange(1, 1.5, 0.1, dtype="float32"),
        pd.Series(np.arange(1, 1.5, 0.1, dtype="float32")),
        pd.Series(np.arange(1, 1.5, 0.1), dtype="Float64"),
        np.array(STEPS, "float16"),
        list(itertools.accumulate([1.0, 0.1, 0.1, 0.1, 0.1])),
        "1.0000000000000002, 1.1, 1.2000000000000002, 1.3, 1.4000000000000004",
        "1-1.4 (+0.1)",
    ],
)
def test_numbers_lose_what_computing_has_left_behind_their_digits(given):
    plan = sweep(Request(prompt="a cat"), guidance_scale=given)
    assert [cell.guidance_scale for cell in plan] == STEPS


def test_an_axis_down_to_zero_ends_there():
    falling = np.arange(0.3, -0.05, -0.1)
    assert falling[-1] < 0  # as NumPy computes it
    plan = sweep(Request(), strength=falling, lora=[f"a.pt@{scale}" for scale in falling[-2:]])
    assert [cell.strength for cell in plan[::2]] == [0.3, 0.2, 0.1, 0.0]
    assert plan.axes["lora"] == ["a.pt@0.1", "a.pt@0.0"]


def test_numbers_keep_twelve_digits_and_labels_are_rounded_alike():
    assert Request(guidance_scale=1 / 3).guidance_scale == 0.333333333333
    assert Request(guidance_scale=123.456789012).guidance_scale == 123.456789012
    assert Request(labels={"by": 0.1 + 0.2, "n": 3, "who": "a"}).labels == {
        "by": 0.3,
        "n": 3,
        "who": "a",
    }
