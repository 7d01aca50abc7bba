"""What rows share, and what their prompts ask for, in a line."""

import pandas as pd
import pytest

from sdlab import Request, sweep
from sdlab.recipe.axes import read_choices
from sdlab.recipe.request import FIELDS
from sdlab.results.shared import describe_constant, describe_prompts


def frame_of(cells):
    """A frame as run() makes it, without pictures."""
    rows = [{**{f: getattr(c, f) for f in FIELDS}, **c.labels, "error": "none"} for c in cells]
    return pd.DataFrame(rows).convert_dtypes()


def planned(prompt, **axes):
    return frame_of(sweep(Request(prompt="", weights="f00d"), prompt=prompt, **axes))


@pytest.mark.parametrize(
    "prompt, said",
    [
        ("a {red|blue} circle left of a cat", None),
        ("a {colour=red|blue} {cat|dog}", None),
        ("a red {red|blue|green} {red|cat} of red", None),
        ("{here|there} a {red|blue}", None),
        ("{a {red|blue} circle|a cat}", "{a red circle|a blue circle|a cat}"),
        ("{1-2$$cat|dog}", "{cat|dog|cat, dog}"),
    ],
)
def test_a_prompt_is_told_with_the_choices_that_made_the_prompts(prompt, said):
    frame = planned(prompt, seed=range(2))
    told = describe_prompts(frame)
    assert told == (said or prompt)
    assert {text for text, _ in read_choices(told)} == set(frame["prompt"])
    assert describe_constant(frame, ["seed"]).startswith(f"prompt: {told} · model: ")


def test_choices_are_those_of_the_frame_and_of_many_the_first():
    frame = planned("a {red|blue|green} cat")
    assert describe_prompts(frame.iloc[1:]) == "a {blue|green} cat"
    assert describe_prompts(frame.iloc[1:2]) == "a blue cat"
    many = planned(f"number {{{'|'.join(map(str, range(40)))}}}")
    assert describe_prompts(many) == "number {0|1|2|3|4|5|6|7|8|9|10|11|… 28 more}"
    assert describe_prompts(planned("a hamster", replace="hamster, cat")) == "a {hamster|cat}"


@pytest.mark.parametrize(
    "prompt, said",
    [
        (["a cat", "a dog"], "a cat; a dog"),
        ([f"cat {n}" for n in range(7)], "cat 0; cat 1; cat 2; cat 3; cat 4 and 2 more"),
        (["a" * 200, "b" * 200], f"{'a' * 200} and 1 more"),
        ("a {|very }big cat", "a big cat; a very big cat"),
        (r"a \{plain\} {cat|dog}", "a {plain} cat; a {plain} dog"),
    ],
)
def test_prompts_that_no_choices_explain_are_listed_and_of_many_the_first(prompt, said):
    assert describe_prompts(planned(prompt)) == said
    assert describe_constant(planned(prompt, seed=range(2)), ["seed"]).startswith(
        f"prompts: {said}"
    )


def test_prompts_are_told_once():
    frame = planned(["a cat", "a dog"], seed=range(2))
    assert "prompt" not in describe_constant(frame, ["prompt", "seed"])
    assert "prompt" not in describe_constant(frame, [])  # the captions tell them
    labelled = planned("a {red|blue} cat", negative_prompt=["", "fog"], seed=range(2))
    assert "prompt: a {red|blue} cat · " in describe_constant(labelled, ["red|blue"])
    assert "prompt:" not in describe_constant(labelled, [])  # no label tells rows apart there
    assert "negative_prompts: none; fog" in describe_constant(labelled, ["red|blue", "seed"])
    assert "red|blue" not in describe_constant(labelled, ["prompt", "seed"])
    assert "also varies: seed" in describe_constant(labelled, ["red|blue"])
    assert describe_prompts(frame.assign(prompt=None)) == ""
